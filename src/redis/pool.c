/*
 * A worker's connections and its copy of the map.
 *
 * The snapshot that all workers share says which node owns a slot; here
 * that becomes the index of this worker's contact, so that a command costs one
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
    CONTACT_IDLE_MS = 30000,
    CONTACTS_MIN = 8,
};

static void
contact_free(struct pool *pool, unsigned index)
{
    struct contact *contact = pool->contacts[index];

    MUST_OBJ(contact, CONTACT_MAGIC);
    if (wire_is_up(contact->wire)) {
        metric_add_to(pool->block, pool->redis->metrics.connections, -1);
    }
    /* Out of the table only when its calls have ended: they look it up. */
    wire_free(&contact->wire);
    pool->contacts[index] = NULL;
    redis_node_unref(pool->redis, &contact->node);
    contact->magic = 0;
    free(contact);
}

static void
on_sweep(void *ctx)
{
    struct pool *pool = ctx;
    int64_t now_ms = loop_now_ms(pool->loop);

    for (unsigned i = 0; i < pool->contacts_len; i++) {
        struct contact *contact = pool->contacts[i];

        if (contact != NULL && !contact->is_mapped &&

            wire_idle_ms(contact->wire) >= CONTACT_IDLE_MS) {
            contact_free(pool, i);
        }
    }
    loop_timer_arm(&pool->sweep, now_ms + SWEEP_MS);
}

void
pool_init(struct pool *pool)
{
    MUST(pool->callbacks != NULL);
    for (unsigned i = 0; i < SLOT_COUNT; i++) {
        pool->slots[i] = SLOT_NONE;
    }
    loop_timer_init(&pool->sweep, pool->loop, on_sweep, pool);
    loop_timer_arm(&pool->sweep, loop_now_ms(pool->loop) + SWEEP_MS);
}

void
pool_fini(struct pool *pool)
{
    loop_timer_cancel(&pool->sweep);
    for (unsigned i = 0; i < pool->contacts_len; i++) {
        if (pool->contacts[i] != NULL) {
            contact_free(pool, i);
        }
    }
    free(pool->contacts);
    pool->contacts = NULL;
    pool->contacts_len = 0;
}

/* A free index, or SLOT_NONE. */
static uint16_t
pool_free_index(struct pool *pool)
{
    unsigned cap =
        pool->contacts_cap == 0 ? CONTACTS_MIN : pool->contacts_cap * 2;
    struct contact **contacts;

    for (unsigned i = 0; i < pool->contacts_len; i++) {
        if (pool->contacts[i] == NULL) {
            return (uint16_t)i;
        }
    }
    if (pool->contacts_len == pool->contacts_cap) {
        /* Twice the nodes of a map: a map and the one it replaces. */
        if (cap > 2 * TOPOLOGY_NODES_MAX) {
            return SLOT_NONE;
        }
        contacts = realloc(pool->contacts, cap * sizeof(struct contact *));
        if (contacts == NULL) {
            return SLOT_NONE;
        }
        pool->contacts = contacts;
        pool->contacts_cap = cap;
    }
    pool->contacts[pool->contacts_len] = NULL;
    return (uint16_t)pool->contacts_len++;
}

/* A contact for a node. NULL: no memory, or too many. */
static struct contact *
contact_new(struct pool *pool, struct node *node)
{
    uint16_t index = pool_free_index(pool);
    struct contact *contact = calloc(1, sizeof(*contact));
    const struct wire_setup setup = {
        .loop = pool->loop,
        .resolver = pool->redis->resolver,
        .node = node,
        .opts = &pool->redis->opts,
        .callbacks = pool->callbacks,
        .ctx = contact,
    };

    if (index == SLOT_NONE || contact == NULL) {
        free(contact);
        return NULL;
    }
    contact->wire = wire_new(&setup);
    if (contact->wire == NULL) {
        free(contact);
        return NULL;
    }
    contact->magic = CONTACT_MAGIC;
    contact->pool = pool;
    contact->node = redis_node_ref(pool->redis, node);
    contact->index = index;
    pool->contacts[index] = contact;
    return contact;
}

/* The contact of a node, made when new. NULL as above. */
static struct contact *
pool_contact_of(struct pool *pool, struct node *node)
{
    for (unsigned i = 0; i < pool->contacts_len; i++) {
        if (pool->contacts[i] != NULL && pool->contacts[i]->node == node) {
            return pool->contacts[i];
        }
    }
    return contact_new(pool, node);
}

struct contact *
pool_at(struct pool *pool, struct slice host, uint16_t port)
{
    struct node *node;
    struct contact *contact;

    for (unsigned i = 0; i < pool->contacts_len; i++) {
        if (pool->contacts[i] != NULL &&
            node_is_at(pool->contacts[i]->node, host, port)) {
            return pool->contacts[i];
        }
    }
    node = redis_node_take(pool->redis, host, port);
    if (node == NULL) {
        return NULL;
    }
    contact = contact_new(pool, node);
    redis_node_unref(pool->redis, &node);
    return contact;
}

void
pool_patch(struct pool *pool, uint16_t slot, struct contact *contact)
{
    MUST(slot < SLOT_COUNT);
    MUST_OBJ(contact, CONTACT_MAGIC);
    pool->slots[slot] = contact->index;
    contact->is_mapped = true;
    pool->is_patched = true;
    atomic_store(&pool->redis->is_patched, true);
}

static void
pool_copy(struct pool *pool, const struct map *map)
{
    uint16_t index[TOPOLOGY_NODES_MAX];

    MUST(map->nodes_len <= TOPOLOGY_NODES_MAX);
    for (unsigned i = 0; i < pool->contacts_len; i++) {
        if (pool->contacts[i] != NULL) {
            pool->contacts[i]->is_mapped = false;
        }
    }
    for (unsigned i = 0; i < map->nodes_len; i++) {
        struct contact *contact = pool_contact_of(pool, map->nodes[i].node);

        index[i] = SLOT_NONE;
        if (contact != NULL) {
            contact->is_mapped = true;
            index[i] = contact->index;
        }
    }
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
        uint16_t owner = map->owner[slot];

        pool->slots[slot] = owner == SLOT_NONE ? SLOT_NONE : index[owner];
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
