/*
 * Discovery, on the control thread: who owns which slot.
 *
 *     wanted --(jitter, 1 s apart)--> ASKING --> settled --> published
 *                                        \--(topologies differ)--> NODES --^
 *
 * Laws.
 * - One refresh at a time, its starts at least SPACING_MS apart. After an
 *   event it waits a random while besides, so that a fleet does not ask as
 *   one; the first begins at once.
 * - Three nodes are asked: one that workers are connected to, one at
 *   random, and a seed, its name resolved anew. A node cut off from its
 *   cluster, or new to it, shows an old or an empty map.
 * - Topologies that cover all slots are preferred; if these differ, the config
 *   epochs of CLUSTER NODES decide slot by slot.
 * - Seeds are kept for ever: an answer never replaces them.
 * - A standalone server needs no map: the same question is a PING, and of
 *   the first three seeds the first that answers is the server.
 */
#include "nearside/base/hash.h"
#include "nearside/base/log.h"
#include "redis/refresh.h"
#include "redis/wire.h"

#include <stdlib.h>

enum {
    REFRESH_MAGIC = 0x52465253,
    ASKS_MAX = 3,
    SPACING_MS = 1000,
    JITTER_MS = 1000,
    /* CLUSTER SLOTS of 1,000 nodes with 16 ranges each, objects counted. */
    ASK_REPLY_MAX = 64 * 1024 * 1024,
};

enum phase {
    PHASE_RESTING, /* until the timer */
    PHASE_ASKING,  /* CLUSTER SLOTS (or PING) */
    PHASE_NODES,   /* CLUSTER NODES, to settle a conflict */
};

struct ask {
    struct refresh *refresh;
    struct node *node; /* counted */
    struct wire *wire; /* owned */
    struct redis_call map;
    struct redis_call info;
    struct topology *topology; /* owned; NULL: no answer */
    bool is_answered;          /* standalone: the PING */
};

struct refresh {
    uint32_t magic;
    enum phase phase;
    struct redis *redis;
    struct redis_opts opts; /* redis's, with a larger reply_max */
    struct loop *loop;
    struct log_ring *ring;
    struct metric_block *block;
    struct ask asks[ASKS_MAX];
    unsigned asks_len;
    unsigned pending;        /* answers awaited in this phase */
    struct loop_timer timer; /* the start, or the deadline of a phase */
    struct loop_task next;   /* a phase is over */
    struct random random;
    unsigned seed; /* the next to ask */
    int64_t started_ms;
    enum refresh_cause cause;
    bool is_first_done;
    bool is_eviction_known;
    bool was_failing;
};

static void refresh_begin(struct refresh *r);

/* ---- when --------------------------------------------------------------- */

static void
refresh_arm(struct refresh *r, int64_t at_ms)
{
    if (!loop_timer_is_armed(&r->timer) || at_ms < r->timer.deadline_ms) {
        loop_timer_arm(&r->timer, at_ms);
    }
}

void
refresh_on_wanted(void *ctx)
{
    struct refresh *r = OBJ_OF(struct refresh, ctx, REFRESH_MAGIC);
    int64_t now_ms = loop_now_ms(r->loop);
    int64_t at_ms = now_ms;

    if (r->phase != PHASE_RESTING) {
        return; /* looked at again when this one is over */
    }
    r->cause = (enum refresh_cause)atomic_load(&r->redis->wanted_cause);
    if (r->started_ms != 0) {
        at_ms += (int64_t)random_below(&r->random, JITTER_MS);
        if (at_ms < r->started_ms + SPACING_MS) {
            at_ms = r->started_ms + SPACING_MS;
        }
    }
    refresh_arm(r, at_ms);
}

/* After a refresh: the next one by the interval, or soon. */
static void
refresh_rest(struct refresh *r, bool is_good)
{
    int64_t interval_ms = r->opts.refresh_interval_ms;
    int64_t wait_ms =
        interval_ms * 4 / 5 +
        (int64_t)random_below(&r->random, (uint64_t)(interval_ms * 2 / 5) + 1);

    if (!is_good) {
        wait_ms = SPACING_MS + (int64_t)random_below(&r->random, JITTER_MS);
    }
    r->phase = PHASE_RESTING;
    r->cause = REFRESH_PERIODIC;
    loop_timer_arm(&r->timer, loop_now_ms(r->loop) + wait_ms);
    if (atomic_load(&r->redis->is_wanted)) {
        refresh_on_wanted(r);
    }
}

/* ---- whom --------------------------------------------------------------- */

static bool
is_asked_already(const struct refresh *r, const struct node *node)
{
    for (unsigned i = 0; i < r->asks_len; i++) {
        if (r->asks[i].node == node) {
            return true;
        }
    }
    return false;
}

/* Adds a node to those asked; takes over the reference. */
static void
add_ask(struct refresh *r, struct node *own_node)
{
    if (own_node == NULL) {
        return;
    }
    if (r->asks_len == ASKS_MAX || is_asked_already(r, own_node)) {
        redis_node_unref(r->redis, &own_node);
        return;
    }
    r->asks[r->asks_len++] = (struct ask){.refresh = r, .node = own_node};
}

static void
add_seed(struct refresh *r)
{
    const char *seed = r->opts.seeds[r->seed++ % r->opts.seeds_len];
    struct slice host;
    uint16_t port;

    if (host_port_parse(slice_of_str(seed), &host, &port) != RC_OK) {
        log_event(
            r->ring, LOG_LEVEL_ERROR, "redis_bad_seed", "seed=\"%s\"", seed);
        return;
    }
    add_ask(r, redis_node_take(r->redis, host, port));
}

/* One that is connected and one at random, out of the map. */
static void
add_mapped(struct refresh *r)
{
    struct map *map = redis_map_take(r->redis);
    unsigned start;

    if (map == NULL) {
        return;
    }
    start = (unsigned)random_below(&r->random, map->nodes_len);
    for (unsigned i = 0; i < map->nodes_len; i++) {
        struct node *node = map->nodes[(start + i) % map->nodes_len].node;

        if (atomic_load(&node->wires) > 0 && !atomic_load(&node->is_down)) {
            add_ask(r, redis_node_ref(r->redis, node));
            break;
        }
    }
    if (map->nodes_len > 0) {
        start = (unsigned)random_below(&r->random, map->nodes_len);
        add_ask(r, redis_node_ref(r->redis, map->nodes[start].node));
    }
    redis_map_unref(r->redis, &map);
}

static void
choose(struct refresh *r)
{
    r->asks_len = 0;
    if (r->opts.mode == REDIS_MODE_CLUSTER) {
        add_mapped(r);
    } else {
        /* Always in their order: which one is "the" server must not turn
           with the refreshes. */
        r->seed = 0;
    }
    for (unsigned i = 0; i < r->opts.seeds_len && r->asks_len < ASKS_MAX; i++) {
        add_seed(r);
    }
}

/* ---- asking ------------------------------------------------------------- */

static void
ask_ended(struct ask *ask)
{
    struct refresh *r = ask->refresh;

    MUST(r->pending > 0);
    r->pending--;
    if (r->pending == 0) {
        loop_defer(r->loop, &r->next);
    }
}

static void
take_slots(struct ask *ask, const struct redis_reply *reply)
{
    struct topology *topology = topology_new();

    if (topology == NULL) {
        return;
    }
    if (topology_read_slots(topology, reply, slice_of_str(ask->node->host)) !=
            RC_OK ||
        topology->covered == 0) {
        topology_free(&topology);
    }
    ask->topology = topology;
}

/* A server that is no cluster's owns all slots: it was meant to be one. */
static bool
is_single(const struct redis_reply *reply)
{
    static const char text[] = "cluster support disabled";

    return reply->type == REDIS_ERROR &&
           memmem(reply->str, reply->len, text, sizeof(text) - 1) != NULL;
}

/* All slots at one node. NULL: no memory. */
static struct topology *
single_topology(const struct node *node)
{
    struct topology *topology = topology_new();
    uint16_t index;

    if (topology == NULL ||
        topology_add_node(topology, slice_of(NULL, 0), slice_of_str(node->host),
            node->port, &index) != RC_OK) {
        topology_free(&topology);
        return NULL;
    }
    topology_give(topology, 0, SLOT_COUNT - 1, index);
    return topology;
}

static void
on_map_reply(struct ask *ask, const struct redis_reply *reply)
{
    struct refresh *r = ask->refresh;

    if (r->phase != PHASE_NODES && is_single(reply)) {
        ask->topology = single_topology(ask->node);
        return;
    }
    if (reply->type == REDIS_ERROR && r->was_failing) {
        return; /* said already */
    }
    if (reply->type == REDIS_ERROR) {
        char escaped[128];

        log_event(r->ring, LOG_LEVEL_WARN, "redis_refresh_refused",
            "node=\"%s\" reply=\"%s\"", ask->node->text,
            log_escape(
                slice_of(reply->str, reply->len), escaped, sizeof(escaped)));
    } else if (r->phase == PHASE_NODES) {
        if (reply->type == REDIS_STRING && ask->topology != NULL) {
            topology_read_epochs(
                ask->topology, slice_of(reply->str, reply->len));
        }
    } else if (r->opts.mode == REDIS_MODE_STANDALONE) {
        ask->is_answered = true;
    } else {
        take_slots(ask, reply);
    }
}

/* The value of a line "name:value\r\n" of INFO. */
static struct slice
info_value(struct slice info, struct slice name)
{
    struct slice line;

    while (slice_split(&info, '\n', &line)) {
        line = slice_trim(line);
        if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
            line.len--;
        }
        if (slice_starts(line, name) && line.len > name.len &&
            line.ptr[name.len] == ':') {
            return slice_skip(line, name.len + 1);
        }
    }
    return slice_of("", 0);
}

/* A full server that evicts nothing refuses to store, for ever. */
static void
on_info_reply(struct ask *ask, const struct redis_reply *reply)
{
    struct refresh *r = ask->refresh;
    struct slice info = slice_of(reply->str, reply->len);
    uint64_t maxmemory;

    if (reply->type != REDIS_STRING || r->is_eviction_known) {
        return; /* forbidden to us, which is fine */
    }
    r->is_eviction_known = true;
    if (slice_to_u64(info_value(info, SLICE("maxmemory")), UINT64_MAX,
            &maxmemory) == RC_OK &&
        maxmemory > 0 &&
        slice_eq(
            info_value(info, SLICE("maxmemory_policy")), SLICE("noeviction"))) {
        log_event(r->ring, LOG_LEVEL_WARN, "redis_never_evicts",
            "node=\"%s\" maxmemory=\"%llu\" detail=\"maxmemory-policy is "
            "noeviction: once full, it stores nothing more\"",
            ask->node->text, (unsigned long long)maxmemory);
    }
}

static void
on_ask_end(
    void *ctx, struct redis_call *call, enum rc rc, struct redis_reply *reply)
{
    struct ask *ask = ctx;

    if (rc == RC_OK) {
        node_greeted(ask->node); /* INFO is answered while LOADING too */
        if (call == &ask->info) {
            on_info_reply(ask, reply);
        } else {
            on_map_reply(ask, reply);
        }
    }
    if (rc != RC_CANCELLED && call == &ask->map) {
        ask_ended(ask);
    }
}

static void
on_ask_up(void *ctx)
{
    (void)ctx;
}

static void
on_ask_down(void *ctx, enum rc rc, bool was_up, struct slice why)
{
    struct ask *ask = ctx;
    char escaped[256];

    (void)was_up;
    if (ask->refresh->was_failing) {
        return; /* said already; it is asked again every other second */
    }
    log_event(ask->refresh->ring, LOG_LEVEL_INFO, "redis_refresh_failed",
        "node=\"%s\" cause=\"%s\" detail=\"%s\"", ask->node->text, rc_text(rc),
        log_escape(why, escaped, sizeof(escaped)));
}

static const struct wire_callbacks ask_callbacks = {
    .on_end = on_ask_end,
    .on_up = on_ask_up,
    .on_down = on_ask_down,
};

static void
ask_send(struct ask *ask, struct redis_call *call, unsigned argc,
    const struct slice *argv)
{
    call_init(call);
    call_set_words(call, argc, argv);
    if (wire_send(ask->wire, call) == RC_OK && call == &ask->map) {
        ask->refresh->pending++;
    }
}

static void
ask_begin(struct ask *ask)
{
    struct refresh *r = ask->refresh;
    static const struct slice slots[] = {{"CLUSTER", 7}, {"SLOTS", 5}};
    static const struct slice ping[] = {{"PING", 4}};
    static const struct slice info[] = {{"INFO", 4}, {"memory", 6}};
    const struct wire_setup setup = {
        .loop = r->loop,
        .resolver = r->redis->resolver,
        .node = ask->node,
        .opts = &r->opts,
        .callbacks = &ask_callbacks,
        .ctx = ask,
        .is_once = true,
    };

    ask->wire = wire_new(&setup);
    if (ask->wire == NULL) {
        return;
    }
    if (!r->is_eviction_known) {
        /* Before the other: its reply is there when that one's is. */
        ask_send(ask, &ask->info, 2, info);
    }
    if (r->opts.mode == REDIS_MODE_STANDALONE) {
        ask_send(ask, &ask->map, 1, ping);
    } else {
        ask_send(ask, &ask->map, 2, slots);
    }
}

static void
asks_end(struct refresh *r)
{
    for (unsigned i = 0; i < r->asks_len; i++) {
        struct ask *ask = &r->asks[i];

        wire_free(&ask->wire);
        topology_free(&ask->topology);
        redis_node_unref(r->redis, &ask->node);
    }
    r->asks_len = 0;
    r->pending = 0;
}

static void
refresh_begin(struct refresh *r)
{
    MUST(r->phase == PHASE_RESTING);
    atomic_store(&r->redis->is_wanted, false);
    r->started_ms = loop_now_ms(r->loop);
    r->phase = PHASE_ASKING;
    metric_inc(r->block, r->redis->metrics.refreshes[r->cause]);
    choose(r);
    for (unsigned i = 0; i < r->asks_len; i++) {
        ask_begin(&r->asks[i]);
    }
    loop_timer_arm(&r->timer,
        r->started_ms + r->opts.connect_timeout_ms + r->opts.hang_ms);
    if (r->pending == 0) {
        loop_defer(r->loop, &r->next);
    }
}

/* ---- answers ------------------------------------------------------------ */

/* Is an owner of slots out of reach? Its replica may take over any moment,
   and nobody but the map would tell. */
static bool
has_node_down(struct refresh *r)
{
    struct map *map = redis_map_take(r->redis);
    bool is_down = false;

    for (unsigned i = 0; map != NULL && i < map->nodes_len; i++) {
        is_down |= atomic_load(&map->nodes[i].node->is_down);
    }
    redis_map_unref(r->redis, &map);
    return is_down;
}

static void
refresh_end(struct refresh *r, const struct topology *topology)
{
    bool is_whole = topology != NULL && topology->covered == SLOT_COUNT;
    bool changed = false;
    enum rc rc = topology == NULL ? RC_MISS
                                  : redis_publish(r->redis, topology, &changed);

    if (rc == RC_OK && changed) {
        metric_inc(r->block, r->redis->metrics.map_changes);
        log_event(r->ring, LOG_LEVEL_INFO, "redis_map",
            "slots=\"%u\" nodes=\"%u\"", topology->covered,
            topology->nodes_len);
    }
    if (rc != RC_OK) {
        metric_inc(r->block, r->redis->metrics.refresh_failures);
        if (!r->was_failing) {
            log_event(r->ring, LOG_LEVEL_WARN, "redis_no_map", "cause=\"%s\"",
                topology == NULL ? "no node has an answer" : rc_text(rc));
        }
    }
    r->was_failing = rc != RC_OK;
    asks_end(r); /* the topology perhaps included */
    refresh_rest(r, rc == RC_OK && is_whole && !has_node_down(r));
}

/* The topologies worth having: all that are whole, or all if none is. */
static unsigned
good_topologies(struct refresh *r, struct topology *out[ASKS_MAX])
{
    unsigned most = 0;
    unsigned len = 0;

    for (unsigned i = 0; i < r->asks_len; i++) {
        const struct topology *topology = r->asks[i].topology;

        if (topology != NULL && topology->covered == SLOT_COUNT) {
            most = SLOT_COUNT;
        }
    }
    for (unsigned i = 0; i < r->asks_len; i++) {
        struct topology *topology = r->asks[i].topology;

        if (topology != NULL && topology->covered >= most) {
            out[len++] = topology;
        }
    }
    return len;
}

static bool
topologies_differ(struct topology *const topologies[], unsigned len)
{
    for (unsigned i = 1; i < len; i++) {
        if (!topology_eq(topologies[0], topologies[i])) {
            return true;
        }
    }
    return false;
}

/* Asks those with a topology for the config epochs. */
static void
begin_nodes(struct refresh *r)
{
    static const struct slice nodes[] = {{"CLUSTER", 7}, {"NODES", 5}};

    r->phase = PHASE_NODES;
    for (unsigned i = 0; i < r->asks_len; i++) {
        struct ask *ask = &r->asks[i];

        if (ask->topology != NULL && !redis_call_is_active(&ask->map)) {
            ask_send(ask, &ask->map, 2, nodes);
        }
    }
    loop_timer_arm(&r->timer, loop_now_ms(r->loop) + r->opts.hang_ms);
    if (r->pending == 0) {
        loop_defer(r->loop, &r->next);
    }
}

static void
settle(struct refresh *r, struct topology *const topologies[], unsigned len)
{
    struct topology *topology = topology_new();

    if (topology == NULL ||
        topology_settle(topology, topologies, len) != RC_OK) {
        refresh_end(r, topologies[0]);
    } else {
        refresh_end(r, topology);
    }
    topology_free(&topology);
}

/* A standalone server's "map": that of the first seed that answers. */
static void
end_standalone(struct refresh *r)
{
    struct topology *topology = NULL;

    for (unsigned i = 0; topology == NULL && i < r->asks_len; i++) {
        if (r->asks[i].is_answered) {
            topology = single_topology(r->asks[i].node);
        }
    }
    refresh_end(r, topology);
    topology_free(&topology);
}

/* A phase is over: all have answered, or its time is up. */
static void
on_next(void *ctx)
{
    struct refresh *r = OBJ_OF(struct refresh, ctx, REFRESH_MAGIC);
    struct topology *topologies[ASKS_MAX];
    unsigned len;

    MUST(r->phase != PHASE_RESTING);
    r->pending = 0;
    if (r->opts.mode == REDIS_MODE_STANDALONE) {
        end_standalone(r);
        return;
    }
    len = good_topologies(r, topologies);
    if (len == 0) {
        refresh_end(r, NULL);
    } else if (r->phase == PHASE_NODES) {
        settle(r, topologies, len);
    } else if (topologies_differ(topologies, len)) {
        begin_nodes(r);
    } else {
        refresh_end(r, topologies[0]);
    }
}

static void
on_timer(void *ctx)
{
    struct refresh *r = OBJ_OF(struct refresh, ctx, REFRESH_MAGIC);

    if (r->phase == PHASE_RESTING) {
        refresh_begin(r);
        return;
    }
    for (unsigned i = 0; i < r->asks_len; i++) {
        struct redis_call *call = &r->asks[i].map;

        if (redis_call_is_active(call)) {
            wire_forget(call->impl.wire, call);
        }
    }
    loop_defer(r->loop, &r->next);
}

/* ---- life --------------------------------------------------------------- */

struct refresh *
refresh_new(struct redis *redis, struct loop *loop, struct log_ring *ring,
    struct metric_block *block)
{
    struct refresh *r = calloc(1, sizeof(*r));

    MUST_OBJ(redis, REDIS_MAGIC);
    if (r == NULL) {
        return NULL;
    }
    r->magic = REFRESH_MAGIC;
    r->redis = redis;
    r->opts = redis->opts;
    r->opts.reply_max = ASK_REPLY_MAX;
    r->loop = loop;
    r->ring = ring;
    r->block = block;
    loop_timer_init(&r->timer, loop, on_timer, r);
    loop_task_init(&r->next, on_next, r);
    random_seed(&r->random);
    return r;
}

void
refresh_free(struct refresh **pr)
{
    struct refresh *r = *pr;

    if (r == NULL) {
        return;
    }
    MUST_OBJ(r, REFRESH_MAGIC);
    *pr = NULL;
    loop_timer_cancel(&r->timer);
    loop_task_cancel(&r->next);
    asks_end(r);
    r->magic = 0;
    free(r);
}
