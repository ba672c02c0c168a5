/* Until when a majority counts, and what is noted of each slot. */
#include "redis/trust.h"

#include <stdlib.h>

#include "nearside/base/check.h"

const char trust_moving[] = "slot-moving";

static int
later_first(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x < y) - (x > y);
}

int64_t
trust_majority_until(int64_t acknowledged_ms[], unsigned len)
{
    /* So many are later than the one at this place. With it they are more than
       half. */
    unsigned behind = len / 2;

    if (len == 0) {
        return 0;
    }
    qsort(acknowledged_ms, len, sizeof(acknowledged_ms[0]), later_first);
    MUST(acknowledged_ms[behind] <= acknowledged_ms[0]);
    return acknowledged_ms[behind] == 0
               ? 0
               : acknowledged_ms[behind] + TRUST_BOUND_MS;
}

static void
raise_to(_Atomic int64_t *value, int64_t to)
{
    int64_t old = atomic_load(value);

    while (old < to && !atomic_compare_exchange_weak(value, &old, to)) {
    }
}

void
trust_doubt_slot(struct trust *trust, uint16_t slot, int64_t now_ms)
{
    MUST(slot < SLOT_COUNT);
    raise_to(&trust->slots[slot].until_ms, now_ms + TRUST_WINDOW_MS);
}

void
trust_lose_slot(struct trust *trust, uint16_t slot, int64_t now_ms)
{
    MUST(slot < SLOT_COUNT);
    raise_to(&trust->slots[slot].until_ms, now_ms + TRUST_LOST_MS);
}

/* How many stamps ago it was the slot's. */
static uint32_t
age_of(const struct trust_slot *s, uint32_t stamp)
{
    struct trust_slot *slot = (struct trust_slot *)(uintptr_t)s;

    MUST(stamp < TRUST_STAMPS);
    return (atomic_load(&slot->stamp) - stamp) % TRUST_STAMPS;
}

/* The new one. */
static uint32_t
change_stamp(struct trust_slot *s)
{
    uint32_t old = atomic_load(&s->stamp);

    MUST(old < TRUST_STAMPS);
    while (!atomic_compare_exchange_weak(
        &s->stamp, &old, (old + 1) % TRUST_STAMPS)) {
    }
    return (old + 1) % TRUST_STAMPS;
}

void
trust_unverify_slot(struct trust *trust, uint16_t slot)
{
    MUST(slot < SLOT_COUNT);
    (void)change_stamp(&trust->slots[slot]);
}

/* Whoever finds the new stamp and not yet the other word keeps a void entry a
   little longer, and does not use it. */
void
trust_void_slot(struct trust *trust, uint16_t slot)
{
    struct trust_slot *s = &trust->slots[slot];
    uint32_t stamp = change_stamp(s);
    uint32_t old = atomic_load(&s->void_before);

    MUST(slot < SLOT_COUNT);
    while (age_of(s, old) > age_of(s, stamp) &&
           !atomic_compare_exchange_weak(&s->void_before, &old, stamp)) {
    }
}

bool
trust_is_void(const struct trust *trust, uint16_t slot, uint32_t stamp)
{
    struct trust *t = (struct trust *)(uintptr_t)trust;
    struct trust_slot *s = &t->slots[slot];

    MUST(slot < SLOT_COUNT);
    MUST(stamp < TRUST_STAMPS);
    return age_of(s, stamp) > age_of(s, atomic_load(&s->void_before));
}

/* Was a deletion forgotten that its owner may have lost? */
static bool
lacks_deletions(struct trust_slot *s, int64_t now_ms)
{
    int64_t forgot_ms = atomic_load(&s->forgot_ms);

    return forgot_ms != 0 && now_ms - forgot_ms < TRUST_YOUNG_MS;
}

void
trust_renew_slot(struct trust *trust, uint16_t slot, int64_t now_ms)
{
    struct trust_slot *s = &trust->slots[slot];

    MUST(slot < SLOT_COUNT);
    trust_doubt_slot(trust, slot, now_ms);
    if (lacks_deletions(s, now_ms)) {
        trust_lose_slot(trust, slot, now_ms);
    }
    trust_void_slot(trust, slot);
    atomic_fetch_add(&s->version, 1);
    atomic_fetch_add(&trust->changes, 1);
}

void
trust_note_change(struct trust *trust, uint16_t slot, int64_t wall_ms)
{
    MUST(slot < SLOT_COUNT);
    raise_to(&trust->slots[slot].changed_ms, wall_ms);
}

void
trust_refuse_before(struct trust *trust, uint16_t slot, int64_t wall_ms)
{
    MUST(slot < SLOT_COUNT);
    raise_to(&trust->slots[slot].not_before_ms, wall_ms);
}

bool
trust_see_owner(struct trust *trust, uint16_t slot, uint32_t owner,
    int64_t now_ms, int64_t wall_ms)
{
    struct trust_slot *s = &trust->slots[slot];
    uint32_t before = atomic_load(&s->owner);

    MUST(slot < SLOT_COUNT);
    MUST(owner != 0);
    if (before == owner) {
        return false;
    }
    if (before == 0) {
        atomic_store(&s->owner, owner);
        return false;
    }
    /* Before the owner: who finds the new one finds the doubt. */
    trust_doubt_slot(trust, slot, now_ms);
    trust_note_change(trust, slot, wall_ms);
    atomic_store(&s->owner, owner);
    /* Behind the owner: who finds the old version finds the old owner. */
    trust_renew_slot(trust, slot, now_ms);
    return true;
}

bool
trust_is_held_shortly(const struct trust *trust, uint16_t slot, int64_t now_ms)
{
    struct trust *t = (struct trust *)(uintptr_t)trust;
    struct trust_slot *s = &t->slots[slot];

    MUST(slot < SLOT_COUNT);
    return atomic_load(&s->held) > 0 &&
           now_ms - atomic_load(&s->held_ms) < TRUST_SHORTLY_MS;
}

const char *
trust_why_doubtful(const struct trust *trust, uint16_t slot, int64_t now_ms)
{
    struct trust *t = (struct trust *)(uintptr_t)trust;
    struct trust_slot *s = &t->slots[slot];

    MUST(slot < SLOT_COUNT);
    if (atomic_load_explicit(&s->held, memory_order_relaxed) > 0) {
        return "deletion-pending";
    }
    return now_ms < atomic_load_explicit(&s->until_ms, memory_order_relaxed)
               ? "slot-changed"
               : NULL;
}
