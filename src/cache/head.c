/*
 * From the head of a value to that of an entry. It is tight unless a number
 * does not fit; then it is wide, and has all numbers as the value has them. A
 * tight head has the times as created, and how long from there on.
 */
#include "head.h"

static inline bool
fits(uint64_t number, unsigned bits)
{
    MUST(bits < 64);
    return number >> bits == 0;
}

/* What fits is not changed; the compiler sees that it fits. */
#define CUT(number, bits) ((uint64_t)(number) & ((UINT64_C(1) << (bits)) - 1))

static bool
is_tight(const struct head *h)
{
    MUST(h->stale_until_ms >= h->fresh_until_ms);
    return h->fresh_until_ms >= h->created_ms &&
           fits((uint64_t)h->created_ms, ENTRY_CREATED_BITS) &&
           fits((uint64_t)(h->fresh_until_ms - h->created_ms),
               ENTRY_SPAN_BITS) &&
           fits((uint64_t)(h->stale_until_ms - h->fresh_until_ms),
               ENTRY_SPAN_BITS) &&
           fits(h->key_len, ENTRY_KEY_BITS) &&
           fits(h->fields_len, ENTRY_FIELDS_BITS) &&
           fits(h->body_len, ENTRY_BODY_BITS);
}

static bool
has_more(const struct head *h)
{
    return h->private_len != 0 || h->while_ms != 0 || h->if_error_ms != 0 ||
           (h->fetched & ~ENTRY_FETCHED_AGE) > ENTRY_COST_MAX;
}

size_t
head_len_in_entry(const struct head *h)
{
    size_t more = sizeof(struct entry_more);

    if (!is_tight(h)) {
        return sizeof(struct entry) + more + sizeof(struct entry_wide);
    }
    return sizeof(struct entry) + (has_more(h) ? more : 0);
}

static void
put_tight(const struct head *h, struct entry *e)
{
    MUST(!e->is_wide);
    e->tight.created_ms = CUT(h->created_ms, ENTRY_CREATED_BITS);
    e->tight.fresh_for_ms =
        CUT(h->fresh_until_ms - h->created_ms, ENTRY_SPAN_BITS);
    e->tight.stale_for_ms =
        CUT(h->stale_until_ms - h->fresh_until_ms, ENTRY_SPAN_BITS);
    e->tight.key_len = CUT(h->key_len, ENTRY_KEY_BITS);
    e->tight.fields_len = CUT(h->fields_len, ENTRY_FIELDS_BITS);
    e->tight.body_len = CUT(h->body_len, ENTRY_BODY_BITS);
    e->tight.is_age_known = (h->fetched & ENTRY_FETCHED_AGE) != 0;
    e->tight.cost = CUT(h->fetched, ENTRY_COST_BITS);
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

    e->has_more = true;
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

    MUST(e->has_more);
    e->is_wide = true;
    e->wide.created_ms = h->created_ms;
    e->wide.fresh_until_ms = h->fresh_until_ms;
    e->wide.stale_until_ms = h->stale_until_ms;
    memcpy(e->bytes + sizeof(struct entry_more), &wide, sizeof(wide));
}

struct entry *
head_make_entry(const struct head *h, char *place)
{
    struct entry *e = (struct entry *)(void *)place;
    bool is_wide = !is_tight(h);

    MUST((uintptr_t)place % _Alignof(struct entry) == 0);
    *e = (struct entry){
        .magic = ENTRY_MAGIC,
        .status = CUT(h->status, 10),
        .flags = CUT(h->flags, 11),
    };
    MUST(e->status == h->status);
    MUST(e->flags == h->flags);
    atomic_init(&e->refs, 1);
    if (is_wide || has_more(h)) {
        put_more(h, e);
    }
    if (is_wide) {
        put_wide(h, e);
    } else {
        put_tight(h, e);
    }
    MUST(entry_head_len(e) == head_len_in_entry(h));
    return e;
}
