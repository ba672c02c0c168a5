/*
 * What memory holds is judged by its mark. All that is needed stands in three
 * places: the slot's line in the table of trust, the node's atomics, and this
 * worker's own copy of the map, which says which node that is.
 *
 * Laws.
 * - A mark is the slot's stamp. Whatever may let a change go by untold makes a
 *   new one: a new owner or a restarted one (trust_renew_slot), an ASK, a link
 *   that is lost, an invalidation of all keys. The stamp is read first, and the
 *   link's state after it: one that was lost in between has changed the stamp,
 *   or is seen to be down.
 * - Where a server tells nothing, a mark is the time at which it was taken.
 *   What was kept with it is used for the bound from then on.
 * - A slot that is given to another node is told of by that one from then on,
 *   if we know it; the old one tells nothing in Redis 7.0, although it drops
 *   the keys. So that one which we do not know is found, the map is asked for
 *   every second while memory is looked into, and what memory holds is used
 *   only while the last answer is younger than the bound.
 * - The news are counted before a lease is renewed, and read once before memory
 *   is looked into and once after the lease was read. While they are the same,
 *   all that had to be dropped for that lease was dropped before the look.
 */
#include "nearside/redis/near.h"

#include "nearside/base/blind.h"

#include "redis/pool.h"

enum {
    /* Of a mark that is a time: 16 ms, so that it comes again after a year. */
    TICK_SHIFT = 4,
};

void
near_listen(struct redis *redis, near_changed_fn on_changed, void *ctx)
{
    MUST_OBJ(redis, REDIS_MAGIC);
    MUST(redis->loop == NULL);
    MUST(on_changed != NULL);
    redis->on_changed = on_changed;
    redis->changed_ctx = ctx;
}

static struct trust_slot *
slot_at(const struct redis_client *c, uint16_t slot)
{
    MUST_OBJ(c, CLIENT_MAGIC);
    MUST(slot < SLOT_COUNT);
    return &c->redis->trust->slots[slot];
}

/* The node that owns the slot, as all know and as this worker does. NULL: they
   differ, or there is none. */
static const struct node *
owner_of(const struct redis_client *c, uint16_t slot)
{
    const struct contact *contact = pool_owner(c, slot);
    uint32_t owner =
        atomic_load_explicit(&slot_at(c, slot)->owner, memory_order_relaxed);

    return contact != NULL && contact->node->serial == owner ? contact->node
                                                             : NULL;
}

/* ---- marks that are times ------------------------------------------------ */

static bool
is_timed(const struct near_mark *mark)
{
    return mark->stamp >= TRUST_STAMPS;
}

static uint32_t
tick_now(const struct redis_client *c)
{
    return (uint32_t)(loop_now_ms(c->loop) >> TICK_SHIFT) % TRUST_STAMPS;
}

/* Nobody voids it when the slot changes its owner. So it must be over when the
   slot is trusted again. */
static bool
is_over(const struct redis_client *c, const struct near_mark *mark)
{
    int64_t bound_ms = c->redis->opts.coherence_bound_ms;
    uint32_t age = (tick_now(c) - mark->stamp) % TRUST_STAMPS;

    MUST(is_timed(mark));
    if (bound_ms > TRUST_BOUND_MS) {
        bound_ms = TRUST_BOUND_MS;
    }
    return age >= (uint32_t)bound_ms >> TICK_SHIFT;
}

/* ---- the door ------------------------------------------------------------ */

bool
near_take_mark(
    const struct redis_client *c, uint16_t slot, struct near_mark *out)
{
    uint32_t stamp =
        atomic_load_explicit(&slot_at(c, slot)->stamp, memory_order_acquire);
    const struct node *node = owner_of(c, slot);

    MUST(stamp < TRUST_STAMPS);
    if (node == NULL || c->redis->on_changed == NULL) {
        return false;
    }
    switch ((enum node_telling)atomic_load_explicit(
        &((struct node *)(uintptr_t)node)->telling, memory_order_acquire)) {
    case NODE_TELLS_NOT:
        return false;
    case NODE_TELLS:
        break;
    case NODE_NEED_NOT:
        stamp = tick_now(c) + TRUST_STAMPS;
        break;
    }
    *out = (struct near_mark){.stamp = stamp, .slot = slot};
    return true;
}

bool
near_may_keep(const struct redis_client *c, const struct near_mark *mark,
    const struct redis_call *call)
{
    struct trust_slot *s = slot_at(c, mark->slot);

    MUST(call->impl.client == c);
    MUST(call->impl.hash_slot == mark->slot);
    MUST(!redis_call_is_active(call));
    if (call->was_asked || call->by == 0 ||
        call->by != atomic_load_explicit(&s->owner, memory_order_acquire)) {
        return false;
    }
    return is_timed(mark) ? !is_over(c, mark)
                          : mark->stamp == atomic_load_explicit(
                                               &s->stamp, memory_order_acquire);
}

uint32_t
near_look(const struct redis_client *c)
{
    atomic_bool *is_looked_into = &c->redis->trust->is_looked_into;

    MUST_OBJ(c, CLIENT_MAGIC);
    if (!atomic_load_explicit(is_looked_into, memory_order_relaxed)) {
        atomic_store_explicit(is_looked_into, true, memory_order_relaxed);
    }
    return atomic_load_explicit(&c->redis->trust->news, memory_order_acquire);
}

/* Is the node told of, and its changes by it? The lease is read before the
   news. */
static bool
is_coherent(const struct redis_client *c, const struct node *node,
    uint32_t look, const struct near_mark *mark)
{
    struct node *n = (struct node *)(uintptr_t)node;
    int64_t until_ms =
        atomic_load_explicit(&n->coherent_until_ms, memory_order_acquire);

    MUST_OBJ(n, NODE_MAGIC);
    if (is_timed(mark)) {
        return !is_over(c, mark);
    }
    return (loop_now_ms(c->loop) < until_ms || !SEES_LEASE) &&
           atomic_load_explicit(&c->redis->trust->news, memory_order_relaxed) ==
               look;
}

/* Has nobody said for the bound who owns the slots? */
static bool
is_map_old(const struct redis_client *c, int64_t now_ms)
{
    int64_t mapped_ms =
        atomic_load_explicit(&c->redis->trust->mapped_ms, memory_order_relaxed);

    MUST(mapped_ms >= 0);
    return c->redis->opts.mode == REDIS_MODE_CLUSTER &&
           now_ms >= mapped_ms + TRUST_BOUND_MS;
}

const char *
near_why_not(
    const struct redis_client *c, uint32_t look, const struct near_mark *mark)
{
    int64_t now_ms = loop_now_ms(c->loop);
    int64_t bound_ms = c->redis->opts.coherence_bound_ms;
    /* The probes count for the bound too, also for one that is shorter. */
    int64_t early_ms =
        TRUST_TURN_MS +
        (bound_ms < TRUST_BOUND_MS ? TRUST_BOUND_MS - bound_ms : 0);
    const struct node *node = owner_of(c, mark->slot);
    const char *why;

    MUST(mark->slot < SLOT_COUNT);
    if (node == NULL) {
        return "slot-changed";
    }
    if (SEES_EPOCH && !is_timed(mark) &&
        mark->stamp != atomic_load_explicit(&slot_at(c, mark->slot)->stamp,
                           memory_order_acquire)) {
        return near_is_void(c, mark) ? "slot-changed" : "link-lost";
    }
    why = SEES_LEASE ? node_why_not(node, now_ms + early_ms) : NULL;
    if (why == NULL && !is_coherent(c, node, look, mark)) {
        why = is_timed(mark) ? "memory-old" : "link-silent";
    }
    if (why == NULL && is_map_old(c, now_ms)) {
        why = "map-old";
    }
    return why != NULL ? why
                       : trust_why_not(c->redis->trust, mark->slot, now_ms);
}

bool
near_is_void(const struct redis_client *c, const struct near_mark *mark)
{
    MUST_OBJ(c, CLIENT_MAGIC);
    return !is_timed(mark) &&
           trust_is_void(c->redis->trust, mark->slot, mark->stamp);
}
