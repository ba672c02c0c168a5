/*
 * Nodes, maps, and the way from a worker that saw trouble to the control
 * thread and back.
 *
 * One lock guards all of it. It is held for a few stores, or, when a map
 * changes, for a walk over nodes and slots; never on the way of a command,
 * which uses its worker's own copy.
 */
#include "redis/map.h"

#include <stdio.h>
#include <stdlib.h>

#include "nearside/base/log.h"

static void
lock(struct redis *redis)
{
    MUST(pthread_mutex_lock(&redis->lock) == 0);
}

static void
unlock(struct redis *redis)
{
    MUST(pthread_mutex_unlock(&redis->lock) == 0);
}

/* ---- nodes -------------------------------------------------------------- */

static struct node *
node_take_locked(struct redis *redis, struct slice host, uint16_t port)
{
    struct node *node;

    LIST_EACH (it, &redis->nodes) {
        node = CONTAINER_OF(it, struct node, link);
        MUST_OBJ(node, NODE_MAGIC);
        if (node_is_at(node, host, port)) {
            node->refs++;
            return node;
        }
    }
    node = node_new(host, port);
    if (node != NULL) {
        node->refs = 1;
        node->serial = ++redis->serials;
        list_push_back(&redis->nodes, &node->link);
    }
    return node;
}

static void
node_unref_locked(struct node **pnode)
{
    struct node *node = *pnode;

    if (node == NULL) {
        return;
    }
    *pnode = NULL;
    MUST_OBJ(node, NODE_MAGIC);
    MUST(node->refs > 0);
    node->refs--;
    if (node->refs == 0) {
        list_remove(&node->link);
        node_free(&node);
    }
}

struct node *
redis_node_take(struct redis *redis, struct slice host, uint16_t port)
{
    struct node *node;

    MUST_OBJ(redis, REDIS_MAGIC);
    lock(redis);
    node = node_take_locked(redis, host, port);
    unlock(redis);
    return node;
}

void
redis_node_unref(struct redis *redis, struct node **node)
{
    MUST_OBJ(redis, REDIS_MAGIC);
    lock(redis);
    node_unref_locked(node);
    unlock(redis);
}

void
redis_tell_rest(const struct redis *redis, const struct node *node,
    struct log_ring *ring, struct metric_block *block)
{
    MUST_OBJ(redis, REDIS_MAGIC);
    MUST_OBJ(node, NODE_MAGIC);
    metric_inc(block, redis->metrics.breaker_opens);
    log_event(
        ring, LOG_LEVEL_WARN, "redis_node_rests", "node=\"%s\"", node->text);
}

/* ---- maps --------------------------------------------------------------- */

static void
map_unref_locked(struct map **pmap)
{
    struct map *map = *pmap;

    *pmap = NULL;
    if (map == NULL) {
        return;
    }
    MUST_OBJ(map, MAP_MAGIC);
    MUST(map->refs > 0);
    map->refs--;
    if (map->refs > 0) {
        return;
    }
    for (unsigned i = 0; i < map->topology->nodes_len; i++) {
        node_unref_locked(&map->nodes[i]);
    }
    topology_free(&map->topology);
    map->magic = 0;
    free(map);
}

struct map *
redis_map_take(struct redis *redis)
{
    struct map *map;

    MUST_OBJ(redis, REDIS_MAGIC);
    lock(redis);
    map = redis->map;
    if (map != NULL) {
        map->refs++;
    }
    unlock(redis);
    return map;
}

void
redis_map_unref(struct redis *redis, struct map **map)
{
    MUST_OBJ(redis, REDIS_MAGIC);
    lock(redis);
    map_unref_locked(map);
    unlock(redis);
}

/* Takes over the topology. NULL: no memory. */
static struct map *
map_new_locked(struct redis *redis, struct topology **topology)
{
    const struct topology *t = *topology;
    struct map *map =
        calloc(1, sizeof(*map) + t->nodes_len * sizeof(map->nodes[0]));

    MUST_OBJ(t, TOPOLOGY_MAGIC);
    if (map == NULL) {
        return NULL;
    }
    map->magic = MAP_MAGIC;
    map->refs = 1;
    map->topology = *topology;
    *topology = NULL;
    for (unsigned i = 0; i < t->nodes_len; i++) {
        const struct topology_node *node = &t->nodes[i];

        map->nodes[i] =
            node_take_locked(redis, slice_of_str(node->host), node->port);
        if (map->nodes[i] == NULL) {
            map_unref_locked(&map);
            return NULL;
        }
    }
    return map;
}

static void
member_tell(struct member *member)
{
    (void)loop_post(member->loop, &member->message);
}

static void
tell_members_locked(struct redis *redis)
{
    LIST_EACH (it, &redis->members) {
        member_tell(CONTAINER_OF(it, struct member, link));
    }
}

/* Before anybody uses the new map: values of slots that change their owner are
   not to be used for a while. */
static void
see_owners(struct redis *redis, const struct map *map)
{
    const struct clock *clock =
        redis->loop == NULL ? NULL : loop_clock(redis->loop);
    int64_t now_ms = clock == NULL ? 0 : clock_now_ms(clock);
    int64_t wall_ms = clock == NULL ? 0 : shared_time_ms(&redis->time, clock);

    for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
        uint16_t owner = map->topology->owner[slot];
        bool was_seen = atomic_load(&redis->trust->slots[slot].owner) != 0;

        if (owner != SLOT_NONE) {
            (void)trust_see_owner(redis->trust, (uint16_t)slot,
                map->nodes[owner]->serial, now_ms, wall_ms);
        } else if (was_seen) {
            (void)trust_see_owner(
                redis->trust, (uint16_t)slot, TRUST_NOBODY, now_ms, wall_ms);
        }
    }
}

/* RC_NOMEM: the old one stays. */
static enum rc
map_replace_locked(struct redis *redis, struct topology **topology)
{
    struct map *map = map_new_locked(redis, topology);

    if (map == NULL) {
        return RC_NOMEM;
    }
    map->version = ++redis->version;
    see_owners(redis, map);
    map_unref_locked(&redis->map);
    redis->map = map;
    atomic_store(&redis->is_patched, false);
    tell_members_locked(redis);
    return RC_OK;
}

enum rc
redis_publish(struct redis *redis, struct topology **topology)
{
    enum rc rc = RC_OK;

    MUST_OBJ(redis, REDIS_MAGIC);
    lock(redis);
    if (redis->map == NULL || !topology_eq(redis->map->topology, *topology)) {
        rc = map_replace_locked(redis, topology);
    } else if (atomic_exchange(&redis->is_patched, false)) {
        /* A MOVED that did not last has no say about the owner any more. */
        see_owners(redis, redis->map);
        tell_members_locked(redis);
    }
    unlock(redis);
    return rc;
}

void
redis_tell_members(struct redis *redis)
{
    MUST_OBJ(redis, REDIS_MAGIC);
    lock(redis);
    tell_members_locked(redis);
    unlock(redis);
}

void
redis_see_owner(struct redis *redis, uint16_t slot, const struct node *node,
    const struct loop *loop)
{
    const struct clock *clock = loop_clock(loop);

    MUST_OBJ(redis, REDIS_MAGIC);
    MUST_OBJ(node, NODE_MAGIC);
    if (trust_see_owner(redis->trust, slot, node->serial, clock_now_ms(clock),
            shared_time_ms(&redis->time, clock))) {
        redis_tell_members(redis);
    }
}

void
redis_note_refusal(struct redis *redis, struct node *node, struct slice words)
{
    size_t len =
        words.len < NODE_REFUSAL_MAX - 1 ? words.len : NODE_REFUSAL_MAX - 1;

    MUST_OBJ(node, NODE_MAGIC);
    lock(redis);
    (void)slice_put(node->refusal, slice_of(words.ptr, len));
    node->refusal[len] = '\0';
    unlock(redis);
}

void
redis_join(struct redis *redis, struct member *member)
{
    MUST_OBJ(redis, REDIS_MAGIC);
    MUST(member->loop != NULL);
    lock(redis);
    list_push_back(&redis->members, &member->link);
    unlock(redis);
}

void
redis_leave(struct redis *redis, struct member *member)
{
    MUST_OBJ(redis, REDIS_MAGIC);
    lock(redis);
    MUST(list_is_linked(&member->link));
    list_remove(&member->link);
    unlock(redis);
}

/* ---- the wish for a newer one ------------------------------------------- */

void
redis_set_control(struct redis *redis, struct member *control)
{
    MUST_OBJ(redis, REDIS_MAGIC);
    lock(redis);
    MUST((redis->control == NULL) != (control == NULL));
    redis->control = control;
    unlock(redis);
}

void
redis_want_refresh(struct redis *redis, enum refresh_cause cause)
{
    MUST_OBJ(redis, REDIS_MAGIC);
    MUST(cause < REFRESH_CAUSE_COUNT);
    if (atomic_load_explicit(&redis->is_wanted, memory_order_relaxed) ||
        atomic_exchange(&redis->is_wanted, true)) {
        return;
    }
    atomic_store(&redis->wanted_cause, (int)cause);
    lock(redis);
    if (redis->control != NULL) {
        member_tell(redis->control);
    }
    unlock(redis);
}

void
redis_tell_refusal(
    struct redis *redis, const struct node *node, struct slice words)
{
    char escaped[160];

    MUST_OBJ(redis, REDIS_MAGIC);
    MUST_OBJ(node, NODE_MAGIC);
    lock(redis);
    (void)snprintf(redis->refusal, sizeof(redis->refusal), "%.80s: %s",
        node->text, log_escape(words, escaped, sizeof(escaped)));
    if (redis->opts.password_file != NULL && redis->control != NULL &&
        !atomic_exchange(&redis->is_password_doubted, true)) {
        member_tell(redis->control);
    }
    unlock(redis);
}

void
redis_forget_refusal(struct redis *redis)
{
    MUST_OBJ(redis, REDIS_MAGIC);
    lock(redis);
    redis->refusal[0] = '\0';
    unlock(redis);
}

/* ---- what is known ------------------------------------------------------ */

static const char *const state_words[] = {
    [NODE_UNPROBED] = "unknown",
    [NODE_TRUSTED] = "up",
    [NODE_REFUSING] = "refusing",
    [NODE_SILENT] = "down",
};

static const char *const telling_words[] = {
    [NODE_TELLS_NOT] = "none",
    [NODE_TELLS] = "tracking",
    [NODE_NEED_NOT] = "ttl",
};

/* With the lock held. */
static void
status_of_node(struct redis_node_status *out, const struct node *node,
    const struct topology_node *known)
{
    int64_t in_flight = atomic_load(&node->in_flight);

    MUST_OBJ(node, NODE_MAGIC);
    memcpy(out->id, known->id, sizeof(out->id));
    (void)snprintf(out->address, sizeof(out->address), "%.79s", node->text);
    out->is_reachable = !atomic_load(&node->is_down);
    out->state = state_words[atomic_load(&node->state)];
    out->coherence = telling_words[atomic_load(&node->telling)];
    memcpy(out->refusal, node->refusal, sizeof(out->refusal));
    out->slots = known->slots;
    out->in_flight = in_flight > 0 ? (uint64_t)in_flight : 0;
}

void
redis_status(struct redis *redis, struct redis_status *out)
{
    struct map *map = redis_map_take(redis);

    MUST(out != NULL);
    *out = (struct redis_status){0};
    lock(redis);
    memcpy(out->refusal, redis->refusal, sizeof(out->refusal));
    if (map == NULL) {
        unlock(redis);
        return;
    }
    out->slots_known = map->topology->covered;
    out->map_version = map->version;
    for (unsigned i = 0; i < map->topology->nodes_len; i++) {
        const struct node *node = map->nodes[i];

        out->is_up |= atomic_load(&node->state) == NODE_TRUSTED &&
                      !atomic_load(&node->is_down);
        if (i < ARRAY_LEN(out->nodes)) {
            status_of_node(
                &out->nodes[out->nodes_len++], node, &map->topology->nodes[i]);
        }
    }
    map_unref_locked(&map);
    unlock(redis);
}
