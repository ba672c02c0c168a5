/*
 * Laws.
 * - A key is watched, and its slot marked, before Redis is asked for its value.
 *   Whoever changes the key drops it, before the change is sent and once more
 *   when its end is known. So a value that was read in between is not put.
 * - A deletion whose outcome is unknown holds its slot (redis/hold.h): no reply
 *   of that slot counts until the deletion is done. A store whose outcome is
 *   unknown needs no more than its key's drop: if it comes about later, the
 *   server tells of it like of anybody's.
 * - No entry is used for longer than USED_MAX ticks without asking Redis,
 *   though it may be known to be unchanged. What servers tell is what keeps
 *   memory in time, within the bound; this ends what a server never told of.
 *   And it shows a Redis that evicts what nobody asks for which of its keys are
 *   asked for: a key is read once a minute at least. With a cap of ten seconds
 *   a third of the hits of a million keys would be lost to it, by Zipf's law.
 */
#include "tier/beside.h"

#include "nearside/redis/slot.h"
#include "nearside/tier/tier.h"

enum {
    /* 4 s: the time of a note comes round after nine hours. An entry that
       nobody asked for so long, and that is still fresh, counts as new then. */
    TICK_SHIFT = 12,
    USED_MAX = 15, /* a minute */
};

static uint16_t
tick_now(const struct worker *w)
{
    return (uint16_t)((worker_now_ms(w) >> TICK_SHIFT) & (MEMORY_PUT_MAX - 1));
}

static uint16_t
age_of(const struct worker *w, const struct memory_note *note)
{
    return (uint16_t)((tick_now(w) - note->put) & (MEMORY_PUT_MAX - 1));
}

/* --- putting ----------------------------------------------------------- */

void
beside_watch(struct lookup *l)
{
    struct worker *w = l->worker;
    struct memory *memory = tier_memory_for(w, l->q);

    MUST(w->redis != NULL);
    MUST(l->q->entry_key.len > 0);
    l->watch.is_set =
        memory != NULL &&
        near_take_mark(w->redis, slot_of(l->q->entry_key), &l->watch.mark);
    if (l->watch.is_set) {
        l->watch.watch = memory_watch(memory, l->q->key.hash);
    }
}

/* That Redis cannot be sure of is not of memory either. */
static bool
may_be_put(const struct lookup *l, const struct entry *entry)
{
    MUST_OBJ(entry, ENTRY_MAGIC);
    return l->watch.is_set && (entry->flags & ENTRY_UNVERIFIED) == 0 &&
           worker_wall_ms(l->worker) < entry_stale_until_ms(entry) &&
           near_may_keep(l->worker->redis, &l->watch.mark, &l->call);
}

void
beside_put(const struct lookup *l, struct entry *entry)
{
    struct memory_note note;

    MUST(!lookup_is_active(l));
    if (!may_be_put(l, entry)) {
        return;
    }
    note = (struct memory_note){
        .stamp = l->watch.mark.stamp,
        .slot = l->watch.mark.slot,
        .put = tick_now(l->worker),
    };
    if (memory_put(tier_memory(l->worker), &l->watch.watch, entry, &note) ==
        RC_NOMEM) {
        worker_count_limit(l->worker, LIMIT_MEMORY);
    }
}

/* --- dropping ---------------------------------------------------------- */

void
beside_drop(struct worker *w, uint64_t hash)
{
    struct memory *memory = tier_memory(w);

    MUST(w->redis != NULL);
    if (memory != NULL) {
        (void)memory_drop(memory, hash, NULL);
    }
}

static void
drop_name(struct tier *tier, struct slice redis_key)
{
    uint64_t hash;

    MUST(tier->memory != NULL);
    if (key_hash_of_name(tier->hash_key, tier->prefix, redis_key, &hash)) {
        (void)memory_drop(tier->memory, hash, NULL);
    }
}

void
beside_drop_name(struct worker *w, struct slice redis_key)
{
    struct tier *tier = w->tier->tier;

    MUST(w->redis != NULL);
    if (tier->hash_key != NULL) {
        drop_name(tier, redis_key);
    }
}

/* On the coherence thread. */
static void
on_changed(void *ctx, struct slice redis_key)
{
    drop_name(OBJ_OF(struct tier, ctx, TIER_MAGIC), redis_key);
}

void
tier_listen(struct tier *tier, struct redis *redis,
    const struct hash_key *hash_key, struct slice prefix)
{
    MUST_OBJ(tier, TIER_MAGIC);
    MUST(tier->memory != NULL);
    tier->hash_key = hash_key;
    tier->prefix = prefix;
    near_listen(redis, on_changed, tier);
}

/* --- using ------------------------------------------------------------- */

bool
beside_is_usable(struct worker *w, uint64_t hash, uint32_t look,
    const struct memory_note *note)
{
    const struct near_mark mark = {.stamp = note->stamp, .slot = note->slot};

    MUST(w->redis != NULL);
    if (near_why_not(w->redis, look, &mark) == NULL) {
        return age_of(w, note) < USED_MAX;
    }
    if (near_is_void(w->redis, &mark)) {
        beside_drop(w, hash);
    }
    return false;
}

int64_t
beside_age_ms(const struct worker *w, const struct memory_note *note)
{
    return ((int64_t)age_of(w, note) + 1) << TICK_SHIFT;
}

bool
beside_is_void(const struct worker *w, const struct memory_note *note)
{
    const struct near_mark mark = {.stamp = note->stamp, .slot = note->slot};

    MUST(w->redis != NULL);
    return near_is_void(w->redis, &mark);
}
