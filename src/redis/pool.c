/*
 * A worker's connections and its copy of the map.
 *
 * The snapshot that all workers share says which node owns a slot; here
 * that becomes the index of this worker's peer, so that a command costs one
 * look-up. A MOVED patches the copy alone: the other workers learn by their
 * own MOVED or by the next map. A patch lives until the refresh that each
 * MOVED asks for, also when that finds the map unchanged: a node that was
 * wrong must not keep a slot from us for ever.
 *
 * Peers that neither map nor patch names any more are buried by a sweep
 * once they have been idle for a while: an importing node owns no slot yet
 * and is asked again and again during a migration.
 */
#include "redis/pool.h"

#include <stdlib.h>

enum {
    SWEEP_MS = 10000,
    PEER_IDLE_MS = 30000,
    PEERS_MIN = 8,
};

static void
peer_free(struct pool *pool, unsigned index)
{
    struct peer *peer = pool->peers[index];

    MUST_OBJ(peer, PEER_MAGIC);
    if (wire_is_up(peer->wire)) {
        metric_add_to(pool->block, pool->redis->metrics.connections, -1);
    }
    /* Out of the table only when its calls have ended: they look it up. */
    wire_free(&peer->wire);
    pool->peers[index] = NULL;
    redis_node_unref(pool->redis, &peer->node);
    peer->magic = 0;
    free(peer);
}

static void
on_sweep(void *ctx)
{
    struct pool *pool = ctx;
    int64_t now_ms = loop_now_ms(pool->loop);

    for (unsigned i = 0; i < pool->peers_len; i++) {
        struct peer *peer = pool->peers[i];

        if (peer != NULL && !peer->is_mapped && wire_is_idle(peer->wire) &&
            now_ms - wire_used_ms(peer->wire) >= PEER_IDLE_MS) {
            peer_free(pool, i);
        }
    }
    loop_timer_arm(&pool->sweep, now_ms + SWEEP_MS);
}

void
pool_init(struct pool *pool)
{
    MUST(pool->callbacks != NULL);
    for (unsigned i = 0; i < SLOT_COUNT; i++) {
        pool->slots[i] = VIEW_NONE;
    }
    loop_timer_init(&pool->sweep, pool->loop, on_sweep, pool);
    loop_timer_arm(&pool->sweep, loop_now_ms(pool->loop) + SWEEP_MS);
}

void
pool_fini(struct pool *pool)
{
    loop_timer_cancel(&pool->sweep);
    for (unsigned i = 0; i < pool->peers_len; i++) {
        if (pool->peers[i] != NULL) {
            peer_free(pool, i);
        }
    }
    free(pool->peers);
    pool->peers = NULL;
    pool->peers_len = 0;
}

/* A free index, or VIEW_NONE. */
static uint16_t
pool_free_index(struct pool *pool)
{
    unsigned cap = pool->peers_cap == 0 ? PEERS_MIN : pool->peers_cap * 2;
    struct peer **peers;

    for (unsigned i = 0; i < pool->peers_len; i++) {
        if (pool->peers[i] == NULL) {
            return (uint16_t)i;
        }
    }
    if (pool->peers_len == pool->peers_cap) {
        /* Twice the nodes of a map: a map and the one it replaces. */
        if (cap > 2 * VIEW_NODES_MAX) {
            return VIEW_NONE;
        }
        peers = realloc(pool->peers, cap * sizeof(struct peer *));
        if (peers == NULL) {
            return VIEW_NONE;
        }
        pool->peers = peers;
        pool->peers_cap = cap;
    }
    pool->peers[pool->peers_len] = NULL;
    return (uint16_t)pool->peers_len++;
}

/* A peer for a node. NULL: no memory, or too many. */
static struct peer *
peer_new(struct pool *pool, struct node *node)
{
    uint16_t index = pool_free_index(pool);
    struct peer *peer = calloc(1, sizeof(*peer));
    const struct wire_setup setup = {
        .loop = pool->loop,
        .resolver = pool->redis->resolver,
        .node = node,
        .opts = &pool->redis->opts,
        .callbacks = pool->callbacks,
        .ctx = peer,
    };

    if (index == VIEW_NONE || peer == NULL) {
        free(peer);
        return NULL;
    }
    peer->wire = wire_new(&setup);
    if (peer->wire == NULL) {
        free(peer);
        return NULL;
    }
    peer->magic = PEER_MAGIC;
    peer->pool = pool;
    peer->node = redis_node_ref(pool->redis, node);
    peer->index = index;
    pool->peers[index] = peer;
    return peer;
}

/* The peer of a node, made when new. NULL as above. */
static struct peer *
pool_peer_of(struct pool *pool, struct node *node)
{
    for (unsigned i = 0; i < pool->peers_len; i++) {
        if (pool->peers[i] != NULL && pool->peers[i]->node == node) {
            return pool->peers[i];
        }
    }
    return peer_new(pool, node);
}

struct peer *
pool_at(struct pool *pool, struct slice host, uint16_t port)
{
    struct node *node;
    struct peer *peer;

    for (unsigned i = 0; i < pool->peers_len; i++) {
        if (pool->peers[i] != NULL &&
            node_is_at(pool->peers[i]->node, host, port)) {
            return pool->peers[i];
        }
    }
    node = redis_node_take(pool->redis, host, port);
    if (node == NULL) {
        return NULL;
    }
    peer = peer_new(pool, node);
    redis_node_unref(pool->redis, &node);
    return peer;
}

void
pool_patch(struct pool *pool, uint16_t slot, struct peer *peer)
{
    MUST(slot < SLOT_COUNT);
    MUST_OBJ(peer, PEER_MAGIC);
    pool->slots[slot] = peer->index;
    peer->is_mapped = true;
    pool->is_patched = true;
    atomic_store(&pool->redis->is_patched, true);
}

static void
pool_copy(struct pool *pool, const struct map *map)
{
    uint16_t index[VIEW_NODES_MAX];

    MUST(map->nodes_len <= VIEW_NODES_MAX);
    for (unsigned i = 0; i < pool->peers_len; i++) {
        if (pool->peers[i] != NULL) {
            pool->peers[i]->is_mapped = false;
        }
    }
    for (unsigned i = 0; i < map->nodes_len; i++) {
        struct peer *peer = pool_peer_of(pool, map->nodes[i].node);

        index[i] = VIEW_NONE;
        if (peer != NULL) {
            peer->is_mapped = true;
            index[i] = peer->index;
        }
    }
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
        uint16_t owner = map->owner[slot];

        pool->slots[slot] = owner == VIEW_NONE ? VIEW_NONE : index[owner];
    }
}

void
pool_adopt(struct pool *pool)
{
    struct map *map = redis_map_take(pool->redis);

    if (map == NULL) {
        return;
    }
    if (map->version != pool->version || pool->is_patched) {
        pool_copy(pool, map);
        pool->version = map->version;
        pool->is_patched = false;
    }
    redis_map_unref(pool->redis, &map);
}
