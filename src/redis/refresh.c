/*
 * Discovery, on the control thread: who owns which slot.
 *
 *     wanted --(jitter, 1 s apart)--> ASKING --> settled --> published
 *                                       \--(they differ)--> NODES --^
 *
 * Laws.
 * - One refresh at a time, its starts at least SPACING_MS apart. After an
 *   event it waits a random while besides, so that a fleet does not ask as
 *   one; the first begins at once.
 * - Three nodes are asked: one that workers are connected to, one at
 *   random, and a seed, its name resolved anew. A node cut off from its
 *   cluster, or new to it, shows an old or an empty topology.
 * - Once one has answered, the others have REST_MS: a name that nobody answers,
 *   or a node that is off, must not keep the map from us.
 * - If what they say differs, or is new, each is asked for the nodes of its
 *   cluster besides. Nodes of another cluster than ours are not listened to.
 * - Topologies that cover all slots are preferred; how they become one is in
 *   settle.c.
 * - Seeds are kept for ever: an answer never replaces them.
 * - A standalone server needs no map: the same question is a PING, and of
 *   the first three seeds the first that answers is the server.
 */
#include "nearside/base/hash.h"
#include "nearside/base/log.h"
#include "nearside/base/say.h"
#include "redis/inquiry.h"
#include "redis/prober.h"
#include "redis/secret.h"
#include "redis/words.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    REFRESH_MAGIC = 0x52465253,
    SPACING_MS = 1000,
    JITTER_MS = 1000,
    REST_MS = 200,
    /* CLUSTER SLOTS of 1,000 nodes with 16 ranges each, objects counted. */
    REPLY_MAX = 64 * 1024 * 1024,
};

enum phase {
    PHASE_IDLE,   /* until the timer */
    PHASE_ASKING, /* CLUSTER SLOTS (or PING) */
    PHASE_NODES,  /* CLUSTER NODES, to settle what differs */
};

struct refresh {
    uint32_t magic;
    enum phase phase;
    struct redis *redis; /* NULL: it has ended, but for `wanted` */
    struct loop *loop;
    struct log_ring *ring;
    struct metric_block *block;
    struct member wanted;
    struct inquiries inquiries;
    struct loop_timer timer; /* the start, or the deadline of a phase */
    struct random random;
    unsigned seed; /* the next to ask */
    int64_t started_ms;
    int64_t password_ms; /* when its file was read again; 0: never */
    enum refresh_cause cause;
    bool was_failing;
    struct words words; /* what was said of the map already */
    /* The members of a cluster that is not ours; NULL: none was met. */
    struct topology *foreign;
};

/* ---- when --------------------------------------------------------------- */

static void
refresh_arm(struct refresh *r, int64_t at_ms)
{
    if (!loop_timer_is_armed(&r->timer) || at_ms < r->timer.deadline_ms) {
        loop_timer_arm(&r->timer, at_ms);
    }
}

/* Somebody wants a refresh. */
static void
refresh_wanted(struct refresh *r)
{
    int64_t at_ms = loop_now_ms(r->loop);

    if (r->phase != PHASE_IDLE) {
        return; /* looked at again when this one is over */
    }
    r->cause = (enum refresh_cause)atomic_load(&r->redis->wanted_cause);
    if (r->started_ms != 0) {
        /* No event has all instances ask for the sake of young deletions, or of
           what memory holds. */
        if (r->cause != REFRESH_DELETIONS && r->cause != REFRESH_MEMORY) {
            at_ms += (int64_t)random_below(&r->random, JITTER_MS);
        }
        if (at_ms < r->started_ms + SPACING_MS) {
            at_ms = r->started_ms + SPACING_MS;
        }
    }
    refresh_arm(r, at_ms);
}

/* After a refresh: the next one by the interval, or soon. */
static void
refresh_sleep(struct refresh *r, bool is_good)
{
    int64_t interval_ms = r->redis->opts.refresh_interval_ms;
    int64_t wait_ms =
        interval_ms * 4 / 5 +
        (int64_t)random_below(&r->random, (uint64_t)(interval_ms * 2 / 5) + 1);

    if (!is_good) {
        wait_ms = SPACING_MS + (int64_t)random_below(&r->random, JITTER_MS);
    }
    MUST(r->phase != PHASE_IDLE);
    r->phase = PHASE_IDLE;
    r->cause = REFRESH_PERIODIC;
    loop_timer_arm(&r->timer, loop_now_ms(r->loop) + wait_ms);
    if (atomic_load(&r->redis->is_wanted)) {
        refresh_wanted(r);
    }
}

/* ---- whom --------------------------------------------------------------- */

static void
add_seed(struct refresh *r)
{
    const char *seed =
        r->redis->opts.seeds[r->seed++ % r->redis->opts.seeds_len];
    struct slice host;
    uint16_t port;

    if (host_port_parse(slice_of_str(seed), &host, &port) != RC_OK) {
        log_event(
            r->ring, LOG_LEVEL_ERROR, "redis_bad_seed", "seed=\"%s\"", seed);
        return;
    }
    inquiries_add(&r->inquiries, redis_node_take(r->redis, host, port));
}

static void
add_mapped(struct refresh *r, const struct node *node)
{
    MUST_OBJ(node, NODE_MAGIC);
    inquiries_add(&r->inquiries,
        redis_node_take(r->redis, slice_of_str(node->host), node->port));
}

/* One that is connected and one at random, out of the map. */
static void
choose_mapped(struct refresh *r)
{
    struct map *map = redis_map_take(r->redis);
    unsigned len = map == NULL ? 0 : map->topology->nodes_len;
    unsigned start = (unsigned)random_below(&r->random, len + 1);

    for (unsigned i = 0; i < len; i++) {
        const struct node *node = map->nodes[(start + i) % len];

        if (atomic_load(&node->wires) > 0 && !atomic_load(&node->is_down)) {
            add_mapped(r, node);
            break;
        }
    }
    if (len > 0) {
        add_mapped(r, map->nodes[random_below(&r->random, len)]);
    }
    redis_map_unref(r->redis, &map);
}

static void
choose(struct refresh *r)
{
    MUST(r->inquiries.len == 0);
    if (r->redis->opts.mode == REDIS_MODE_CLUSTER) {
        choose_mapped(r);
    } else {
        /* Always in their order: which one is "the" server must not turn
           with the refreshes. */
        r->seed = 0;
    }
    for (unsigned i = 0;
         i < r->redis->opts.seeds_len && r->inquiries.len < INQUIRIES_MAX;
         i++) {
        add_seed(r);
    }
}

static void
refresh_begin(struct refresh *r)
{
    MUST(r->phase == PHASE_IDLE);
    atomic_store(&r->redis->is_wanted, false);
    r->started_ms = loop_now_ms(r->loop);
    r->phase = PHASE_ASKING;
    metric_inc(r->block, r->redis->metrics.refreshes[r->cause]);
    choose(r);
    r->inquiries.is_quiet = r->was_failing;
    inquiries_ask(&r->inquiries, false);
    loop_timer_arm(&r->timer, r->started_ms +
                                  r->redis->opts.connect_timeout_ms +
                                  r->redis->opts.hang_ms);
}

/* ---- answers ------------------------------------------------------------ */

static void
note_foreign(struct refresh *r, const struct topology *topology)
{
    MUST_OBJ(topology, TOPOLOGY_MAGIC);
    if (r->foreign == NULL) {
        r->foreign = topology_new();
    }
    if (r->foreign != NULL) {
        topology_add_members(r->foreign, topology);
    }
}

/* Has each slot an owner, and all in reach? If one is not, its replica may take
   over any moment, and nobody but the map would tell. */
static bool
is_map_good(struct refresh *r)
{
    struct map *map = redis_map_take(r->redis);
    bool is_good = map != NULL && map->topology->covered == SLOT_COUNT;

    for (unsigned i = 0; is_good && i < map->topology->nodes_len; i++) {
        is_good = !atomic_load(&map->nodes[i]->is_down);
    }
    redis_map_unref(r->redis, &map);
    return is_good;
}

static void
refresh_end(struct refresh *r, enum rc rc)
{
    MUST(r->phase != PHASE_IDLE);
    if (rc != RC_OK) {
        metric_inc(r->block, r->redis->metrics.refresh_failures);
        if (!r->was_failing) {
            log_event(r->ring, LOG_LEVEL_WARN, "redis_no_map", "cause=\"%s\"",
                rc == RC_MISS ? "no node has an answer" : rc_text(rc));
        }
    }
    if (rc == RC_OK) {
        redis_forget_refusal(r->redis);
    }
    r->was_failing = rc != RC_OK;
    inquiries_clear(&r->inquiries);
    refresh_sleep(r, rc == RC_OK && is_map_good(r));
}

/* Is there anything that CLUSTER NODES would help to settle? */
static bool
is_open(const struct refresh *r, const struct map *map,
    struct topology *const all[], unsigned len)
{
    bool is_open =
        len > 0 && map != NULL && !topology_eq(all[0], map->topology);

    MUST(r->phase == PHASE_ASKING);
    for (unsigned i = 0; i < len; i++) {
        is_open |= topology_has_unknown(all[i]) ||
                   (i > 0 && !topology_eq(all[0], all[i]));
    }
    return is_open;
}

/* Seeds may belong to two clusters. Keeps those of one: ours, or at first that
   of the earliest seed that has answered. */
static unsigned
keep_kin(struct refresh *r, const struct map *map, struct topology *all[],
    unsigned len)
{
    const struct topology *ours = map == NULL ? NULL : map->topology;
    const struct topology *chosen = NULL;
    unsigned kept = 0;

    for (unsigned i = 0; i < len && chosen == NULL; i++) {
        chosen = ours != NULL && topology_is_kin(ours, all[i]) ? ours : NULL;
    }
    for (unsigned i = 0; i < len && chosen == NULL; i++) {
        /* Ours is gone; another may have been made in its place. */
        chosen = r->foreign != NULL && topology_is_kin(r->foreign, all[i])
                     ? NULL
                     : all[i];
    }
    for (unsigned i = 0; i < len; i++) {
        if (chosen != NULL && topology_is_kin(chosen, all[i])) {
            words_kin(&r->words, inquiries_node_of(&r->inquiries, all[i]));
            all[kept++] = all[i];
        } else {
            words_foreign(&r->words, inquiries_node_of(&r->inquiries, all[i]));
            note_foreign(r, all[i]);
        }
    }
    return kept;
}

/* Those that are whole, or all if none is. */
static unsigned
keep_whole(struct topology *all[], unsigned len)
{
    unsigned whole = 0;

    MUST(len <= INQUIRIES_MAX);
    for (unsigned i = 0; i < len; i++) {
        if (all[i]->covered == SLOT_COUNT) {
            all[whole++] = all[i];
        }
    }
    return whole > 0 ? whole : len;
}

/* Makes one map of them. */
static enum rc
settle(struct refresh *r, const struct map *map, struct topology *const all[],
    unsigned len)
{
    struct topology *topology = topology_new();
    bool is_down[TOPOLOGY_NODES_MAX];
    const struct topology_views views = {.all = all,
        .len = len,
        .base = map == NULL ? NULL : map->topology,
        .base_is_down = is_down};
    unsigned slots = 0;
    unsigned nodes = 0;
    enum rc rc = RC_NOMEM;

    MUST(len > 0);
    for (unsigned i = 0; map != NULL && i < map->topology->nodes_len; i++) {
        is_down[i] = atomic_load(&map->nodes[i]->is_down);
    }
    if (topology != NULL) {
        rc = topology_settle(topology, &views);
    }
    if (rc == RC_OK) {
        words_settled(&r->words, topology);
        slots = topology->covered;
        nodes = topology->nodes_len;
        rc = redis_publish(r->redis, &topology);
    }
    if (rc == RC_OK) {
        atomic_store(&r->redis->trust->mapped_ms, r->started_ms);
    }
    if (rc == RC_OK && topology == NULL) {
        metric_inc(r->block, r->redis->metrics.map_changes);
        log_event(r->ring, LOG_LEVEL_INFO, "redis_map",
            "slots=\"%u\" nodes=\"%u\"", slots, nodes);
    }
    topology_free(&topology);
    return rc;
}

/* One who told it and is none of the map's nodes: a seed by another name, or
   one that alone is reached. */
static const struct node *
teller_outside(const struct refresh *r, const struct map *map,
    struct topology *const all[], unsigned len)
{
    MUST_OBJ(map, MAP_MAGIC);
    for (unsigned i = 0; i < len; i++) {
        const struct node *node = inquiries_node_of(&r->inquiries, all[i]);
        bool is_inside = false;

        for (unsigned j = 0; j < map->topology->nodes_len; j++) {
            is_inside |= map->nodes[j] == node;
        }
        if (!is_inside) {
            return node;
        }
    }
    return NULL;
}

static enum rc
publish(struct refresh *r, const struct map *map, struct topology *all[],
    unsigned len)
{
    len = keep_kin(r, map, all, len);
    len = keep_whole(all, len);
    if (len > 0 && map != NULL) {
        words_in_use(&r->words, map, teller_outside(r, map, all, len));
    }
    return len == 0 ? RC_MISS : settle(r, map, all, len);
}

/* A phase is over: all have answered, or its time is up. */
static void
on_over(void *ctx)
{
    struct refresh *r = OBJ_OF(struct refresh, ctx, REFRESH_MAGIC);
    struct topology *all[INQUIRIES_MAX];
    unsigned len = inquiries_topologies(&r->inquiries, all);
    struct map *map = redis_map_take(r->redis);

    MUST(r->phase != PHASE_IDLE);
    if (r->phase == PHASE_ASKING && r->redis->opts.mode == REDIS_MODE_CLUSTER &&
        is_open(r, map, all, len)) {
        r->phase = PHASE_NODES;
        inquiries_ask(&r->inquiries, true);
        loop_timer_arm(
            &r->timer, loop_now_ms(r->loop) + r->redis->opts.hang_ms);
    } else {
        refresh_end(r, publish(r, map, all, len));
    }
    redis_map_unref(r->redis, &map);
}

/* Which of several standalone servers is "the" server depends on their order,
   not on who is the fastest. */
static void
on_first(void *ctx)
{
    struct refresh *r = OBJ_OF(struct refresh, ctx, REFRESH_MAGIC);

    MUST(r->phase == PHASE_ASKING);
    if (r->redis->opts.mode == REDIS_MODE_CLUSTER) {
        refresh_arm(r, loop_now_ms(r->loop) + REST_MS);
    }
}

static void
on_timer(void *ctx)
{
    struct refresh *r = OBJ_OF(struct refresh, ctx, REFRESH_MAGIC);

    if (r->phase == PHASE_IDLE) {
        refresh_begin(r);
    } else {
        inquiries_give_up(&r->inquiries);
    }
}

/* ---- the door ----------------------------------------------------------- */

static void
refresh_free(struct refresh *r)
{
    topology_free(&r->foreign);
    r->magic = 0;
    free(r);
}

/* A server has refused us: the password may be another one by now. */
static void
password_again(struct refresh *r)
{
    int64_t now_ms = loop_now_ms(r->loop);
    enum rc rc;

    if (r->password_ms != 0 && now_ms - r->password_ms < SPACING_MS) {
        return; /* who is refused again asks again */
    }
    r->password_ms = now_ms;
    rc = secret_read(r->redis->opts.secret);
    if (rc == RC_OK) {
        log_event(r->ring, LOG_LEVEL_INFO, "redis_password_read",
            "detail=\"password_file has another password, which is used from "
            "now on\"");
        redis_want_refresh(r->redis, REFRESH_UNREACHABLE);
    } else if (rc != RC_MISS) {
        log_event(r->ring, LOG_LEVEL_WARN, "redis_password_unreadable",
            "cause=\"%s\" detail=\"password_file cannot be read, or is not one "
            "line\"",
            rc_text(rc));
    }
}

static void
on_wanted(void *ctx)
{
    struct refresh *r = OBJ_OF(struct refresh, ctx, REFRESH_MAGIC);

    if (r->redis == NULL) {
        refresh_free(r);
        return;
    }
    if (atomic_exchange(&r->redis->is_password_doubted, false)) {
        password_again(r);
    }
    if (atomic_load(&r->redis->is_wanted)) {
        refresh_wanted(r);
    }
}

static struct refresh *
refresh_new(struct redis *redis, struct loop *loop, struct log_ring *ring,
    struct metric_block *block)
{
    struct refresh *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        return NULL;
    }
    r->magic = REFRESH_MAGIC;
    r->redis = redis;
    r->loop = loop;
    r->ring = ring;
    r->block = block;
    r->words.ring = ring;
    r->inquiries.redis = redis;
    r->inquiries.opts = redis->opts;
    r->inquiries.opts.reply_max = REPLY_MAX;
    r->inquiries.loop = loop;
    r->inquiries.ring = ring;
    r->inquiries.block = block;
    r->inquiries.on_over = on_over;
    r->inquiries.on_first = on_first;
    r->inquiries.ctx = r;
    inquiries_init(&r->inquiries);
    r->wanted.loop = loop;
    loop_message_init(&r->wanted.message, on_wanted, r);
    loop_timer_init(&r->timer, loop, on_timer, r);
    random_seed(&r->random);
    return r;
}

void
redis_start(struct redis *redis, const struct redis_thread *control,
    const struct redis_thread *coherence)
{
    MUST_OBJ(redis, REDIS_MAGIC);
    MUST(redis->refresh == NULL);
    redis->refresh =
        refresh_new(redis, control->loop, control->ring, control->block);
    if (redis->refresh == NULL) {
        say("nearside: out of memory");
        exit(1); /* at start-up, where that is the way */
    }
    redis->loop = control->loop;
    redis->prober =
        prober_new(redis, coherence->loop, coherence->ring, coherence->block);
    if (redis->prober == NULL) {
        say("nearside: out of memory");
        exit(1);
    }
    redis_set_control(redis, &redis->refresh->wanted);
    atomic_store(&redis->is_wanted, false);
    redis_want_refresh(redis, REFRESH_START);
}

void
redis_stop(struct redis *redis)
{
    struct refresh *r;

    MUST_OBJ(redis, REDIS_MAGIC);
    r = redis->refresh;
    if (r == NULL) {
        return;
    }
    MUST_OBJ(r, REFRESH_MAGIC);
    redis_set_control(redis, NULL);
    prober_free(&redis->prober);
    loop_timer_cancel(&r->timer);
    inquiries_clear(&r->inquiries);
    redis->refresh = NULL;
    r->redis = NULL;
    if (!atomic_load(&r->wanted.message.is_posted)) {
        refresh_free(r);
    }
}
