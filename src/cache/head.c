/*
 * From the head of a value to that of an entry. It is tight unless a number
 * does not fit; then it is wide, and has all numbers as the value has them. A
 * tight head has the times as created, and how long from there on.
 */
#include "head.h"

/* What fits is not changed; the compiler sees that it fits. */
#define CUT(number, bits) ((uint64_t)(number) & ((UINT64_C(1) << (bits)) - 1))

static bool
is_tight(const struct head *h)
{
    uint64_t created = (uint64_t)h->created_ms;
    uint64_t fresh_for = (uint64_t)(h->fresh_until_ms - h->created_ms);
    uint64_t stale_for = (uint64_t)(h->stale_until_ms - h->fresh_until_ms);

    MUST(h->stale_until_ms >= h->fresh_until_ms);
    /* A span that is negative has its highest bits set. */
    return (created >> ENTRY_CREATED_BITS | fresh_for >> ENTRY_SPAN_BITS |
               stale_for >> ENTRY_SPAN_BITS | h->key_len >> ENTRY_KEY_BITS |
               h->fields_len >> ENTRY_FIELDS_BITS |
               h->body_len >> ENTRY_BODY_BITS) == 0;
}

static bool
has_more(const struct head *h)
{
    return h->private_len != 0 || h->while_ms != 0 || h->if_error_ms != 0 ||
           (h->fetched & ~ENTRY_FETCHED_AGE) > ENTRY_COST_MAX;
}

static unsigned
kind_of(const struct head *h)
{
    return !is_tight(h) ? ENTRY_WIDE : has_more(h) ? ENTRY_MORE : ENTRY_TIGHT;
}

static size_t
len_of(unsigned kind)
{
    MUST(kind <= ENTRY_WIDE);
    return sizeof(struct entry) + kind * sizeof(struct entry_more);
}

size_t
head_len_in_entry(const struct head *h)
{
    return len_of(kind_of(h));
}

static struct entry_tight
tight_of(const struct head *h)
{
    return (struct entry_tight){
        .created_ms = CUT(h->created_ms, ENTRY_CREATED_BITS),
        .fields_len = CUT(h->fields_len, ENTRY_FIELDS_BITS),
        .fresh_for_ms = CUT(h->fresh_until_ms - h->created_ms, ENTRY_SPAN_BITS),
        .body_len = CUT(h->body_len, ENTRY_BODY_BITS),
        .stale_for_ms =
            CUT(h->stale_until_ms - h->fresh_until_ms, ENTRY_SPAN_BITS),
        .key_len = CUT(h->key_len, ENTRY_KEY_BITS),
        .is_age_known = (h->fetched & ENTRY_FETCHED_AGE) != 0,
        .cost = CUT(h->fetched, ENTRY_COST_BITS),
    };
}

static void
put_more(const struct head *h, struct entry *e)
{
    struct entry_more more = {
        .fetched = h->fetched,
        .private_len = h->private_len,
        .while_ms = h->while_ms,
        .if_error_ms = h->if_error_ms,
    };

    MUST(e->kind != ENTRY_TIGHT);
    memcpy(e->bytes, &more, sizeof(more));
}

static void
put_wide(const struct head *h, struct entry *e)
{
    struct entry_wide wide = {
        .key_len = h->key_len,
        .fields_len = h->fields_len,
        .body_len = h->body_len,
    };

    MUST(e->kind == ENTRY_WIDE);
    e->wide = (struct entry_times){
        h->created_ms, h->fresh_until_ms, h->stale_until_ms};
    memcpy(e->bytes + sizeof(struct entry_more), &wide, sizeof(wide));
}

struct entry *
head_make_entry(const struct head *h, char *parts)
{
    unsigned kind = kind_of(h);
    struct entry *e = (struct entry *)(void *)(parts - len_of(kind));

    MUST((uintptr_t)e % _Alignof(struct entry) == 0);
    *e = (struct entry){
        .magic = ENTRY_MAGIC,
        .kind = CUT(kind, 2),
        .status = CUT(h->status, 10),
        .flags = CUT(h->flags, 11),
        .tight = tight_of(h),
    };
    MUST(e->status == h->status);
    MUST(e->flags == h->flags);
    atomic_init(&e->refs, 1);
    if (kind != ENTRY_TIGHT) {
        put_more(h, e);
    }
    if (kind == ENTRY_WIDE) {
        put_wide(h, e);
    }
    return e;
}
