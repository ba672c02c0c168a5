/*
 * All probes: one for each node of the newest map. What they say together is
 * whether more than half of the primaries acknowledge.
 */
#include "redis/prober.h"

#include "nearside/base/log.h"
#include "redis/probe.h"

#include <stdlib.h>

enum {
    PROBER_MAGIC = 0x50524f42,
    PROBE_REPLY_MAX = 256 * 1024,
};

struct prober {
    uint32_t magic;
    struct probing common; /* redis is NULL: the prober has ended, but its
                              message is still on the way */
    struct member member;
    struct list probes;
    unsigned probes_len;
    uint64_t version; /* of the map that they are of; 0: none */
    bool lacks_some;  /* nodes of that map without a probe: no memory */
    struct loop_timer timer;
    int64_t begun_ms; /* with the first map; 0: not yet */
    int64_t judged_ms;
    bool has_majority;   /* at that time */
    bool has_told_clock; /* that our own clock differs */
};

static int64_t
now_ms(const struct prober *pr)
{
    MUST_OBJ(pr, PROBER_MAGIC);
    return probing_now_ms(&pr->common);
}

/* ---- what they say together ---------------------------------------------- */

static int64_t
majority_until(struct prober *pr)
{
    int64_t acknowledged_ms[TOPOLOGY_NODES_MAX];
    unsigned len = 0;

    MUST(pr->probes_len <= TOPOLOGY_NODES_MAX);
    LIST_EACH (it, &pr->probes) {
        MUST(len < TOPOLOGY_NODES_MAX);
        /* Also of one whose connection has just been lost: it may have
           restarted, but it has acknowledged. */
        acknowledged_ms[len++] = probe_of(it)->acknowledged_ms;
    }
    return trust_majority_until(acknowledged_ms, len);
}

/* Was there no majority for so long that others have written meanwhile, and
   could not delete here? */
static bool
was_without(const struct prober *pr)
{
    MUST(!pr->has_majority);
    return pr->common.had_majority ||
           now_ms(pr) - pr->begun_ms > TRUST_BOUND_MS;
}

/* The clock by which deletions get old runs only while there is a majority. */
static void
judge_majority(struct prober *pr, int64_t until_ms)
{
    struct trust *trust = pr->common.redis->trust;
    bool has_majority = now_ms(pr) < until_ms;

    MUST(now_ms(pr) >= pr->judged_ms);
    if (pr->has_majority && has_majority) {
        atomic_fetch_add(&trust->confirmed_ms, now_ms(pr) - pr->judged_ms);
    }
    if (has_majority && !pr->has_majority && was_without(pr)) {
        probing_each_slot(&pr->common, NULL, trust_doubt_slot, now_ms(pr));
        redis_want_refresh(pr->common.redis, REFRESH_UNREACHABLE);
    }
    if (has_majority != pr->has_majority && pr->common.had_majority) {
        log_event(pr->common.ring,
            has_majority ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
            has_majority ? "redis_majority_back" : "redis_no_majority",
            "primaries=\"%u\"", pr->probes_len);
    }
    pr->common.has_news |= has_majority && !pr->common.had_majority;
    pr->common.had_majority |= has_majority;
    pr->has_majority = has_majority;
    pr->judged_ms = now_ms(pr);
    if (has_majority) {
        atomic_store(&trust->is_begun, true);
    }
}

/* The time that all instances share, and whether our own clock keeps it. */
static void
judge_time(struct prober *pr)
{
    const struct clock *clock = loop_clock(pr->common.loop);
    struct shared_time *time = &pr->common.redis->time;
    struct time_sample samples[TOPOLOGY_NODES_MAX];
    unsigned len = 0;
    int64_t ahead_ms;
    bool differs;

    LIST_EACH (it, &pr->probes) {
        if (node_time_is_known(&probe_of(it)->time, clock)) {
            samples[len++] = probe_of(it)->time.sample;
        }
    }
    (void)time_judge(time, samples, len, clock);
    ahead_ms = clock_wall_ms(clock) - shared_time_ms(time, clock);
    differs = ahead_ms > TIME_TOLD_MS || ahead_ms < -TIME_TOLD_MS;
    if (differs != pr->has_told_clock) {
        log_event(pr->common.ring, differs ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
            differs ? "clock_differs" : "clock_agrees",
            "ahead_ms=\"%lld\" detail=\"of Redis, whose time counts\"",
            (long long)ahead_ms);
    }
    pr->has_told_clock = differs;
}

static void
on_judge(void *ctx)
{
    struct prober *pr = OBJ_OF(struct prober, ctx, PROBER_MAGIC);
    int64_t until_ms;

    LIST_EACH (it, &pr->probes) {
        probe_judge_silence(probe_of(it));
    }
    until_ms = majority_until(pr);
    judge_majority(pr, until_ms);
    LIST_EACH (it, &pr->probes) {
        struct probe *p = probe_of(it);
        int64_t at_ms = probe_acknowledged_ms(p);
        int64_t own_ms = at_ms == 0 ? 0 : at_ms + TRUST_BOUND_MS;

        atomic_store(
            &p->node->usable_until_ms, own_ms < until_ms ? own_ms : until_ms);
    }
    judge_time(pr);
    if (pr->common.has_news) {
        /* Calls that came before the first answers wait for them. */
        pr->common.has_news = false;
        redis_tell_members(pr->common.redis);
    }
}

/* ---- which -------------------------------------------------------------- */

static struct probe *
find(struct prober *pr, const struct node *node)
{
    MUST_OBJ(node, NODE_MAGIC);
    LIST_EACH (it, &pr->probes) {
        if (probe_of(it)->node == node) {
            return probe_of(it);
        }
    }
    return NULL;
}

/* The probe of a node of the map; NULL: no memory. */
static struct probe *
take(struct prober *pr, const struct node *node)
{
    struct probe *p = find(pr, node);

    MUST(pr->probes_len < TOPOLOGY_NODES_MAX || p != NULL);
    if (p == NULL) {
        p = probe_new(&pr->common, node);
        if (p == NULL) {
            pr->lacks_some = true;
            return NULL;
        }
        list_push_back(&pr->probes, &p->link);
        pr->probes_len++;
        probe_begin_link_round(p);
    }
    return p;
}

/* The map is new to a probe of one of its nodes: its key may be another's, and
   it may have more slots. */
static void
adopt_probe(struct prober *pr, struct probe *p, const struct map *map)
{
    MUST_OBJ(p, PROBE_MAGIC);
    if (p->not_before_ms > 0) {
        probing_each_slot(
            &pr->common, p->node, trust_refuse_before, p->not_before_ms);
    }
    if (!probe_has_key(p, map)) {
        p->needs_key = true;
        probe_begin_round(p);
    }
}

static bool
is_mapped(const struct probe *p, const struct map *map)
{
    for (unsigned i = 0; i < map->topology->nodes_len; i++) {
        if (map->nodes[i] == p->node) {
            return true;
        }
    }
    return false;
}

/* Those of nodes that the map does not name. */
static void
drop_others(struct prober *pr, const struct map *map)
{
    MUST_OBJ(map, MAP_MAGIC);
    LIST_EACH (it, &pr->probes) {
        if (!is_mapped(probe_of(it), map)) {
            MUST(pr->probes_len > 0);
            probe_free(probe_of(it));
            pr->probes_len--;
        }
    }
}

/* Each node of the map is probed, and no other. */
static void
adopt(struct prober *pr, const struct map *map)
{
    MUST_OBJ(map, MAP_MAGIC);
    MUST_OBJ(map->topology, TOPOLOGY_MAGIC);
    if (pr->begun_ms == 0) {
        pr->begun_ms = now_ms(pr);
    }
    pr->version = map->version;
    pr->lacks_some = false;
    drop_others(pr, map);
    for (unsigned i = 0; i < map->topology->nodes_len; i++) {
        struct probe *p = take(pr, map->nodes[i]);

        if (p != NULL) {
            memcpy(p->id, map->topology->nodes[i].id, sizeof(p->id));
        }
    }
    LIST_EACH (it, &pr->probes) {
        adopt_probe(pr, probe_of(it), map);
    }
    loop_defer(pr->common.loop, &pr->common.judge);
}

/* The newest map, unless it is known and each of its nodes is probed. */
static void
look(struct prober *pr)
{
    struct map *map = redis_map_take(pr->common.redis);

    MUST_OBJ(pr, PROBER_MAGIC);
    if (map != NULL && (map->version != pr->version || pr->lacks_some)) {
        adopt(pr, map);
    }
    redis_map_unref(pr->common.redis, &map);
}

static void
prober_bury(struct prober *pr)
{
    MUST(pr->common.redis == NULL);
    MUST(list_is_empty(&pr->probes));
    pr->magic = 0;
    free(pr);
}

static void
on_map(void *ctx)
{
    struct prober *pr = OBJ_OF(struct prober, ctx, PROBER_MAGIC);

    if (pr->common.redis == NULL) {
        prober_bury(pr);
        return;
    }
    look(pr);
}

static void
on_timer(void *ctx)
{
    struct prober *pr = OBJ_OF(struct prober, ctx, PROBER_MAGIC);

    look(pr); /* for want of memory a node may lack its probe */
    LIST_EACH (it, &pr->probes) {
        probe_begin_round(probe_of(it));
        probe_begin_link_round(probe_of(it));
    }
    if (atomic_load(&pr->common.redis->trust->young) > 0) {
        redis_want_refresh(pr->common.redis, REFRESH_DELETIONS);
    }
    if (atomic_exchange(&pr->common.redis->trust->is_looked_into, false)) {
        redis_want_refresh(pr->common.redis, REFRESH_MEMORY);
    }
    loop_defer(pr->common.loop, &pr->common.judge);
    loop_timer_arm(&pr->timer, now_ms(pr) + PROBE_MS);
}

/* ---- the door ----------------------------------------------------------- */

struct prober *
prober_new(struct redis *redis, struct loop *loop, struct log_ring *ring,
    struct metric_block *block)
{
    struct prober *pr = calloc(1, sizeof(*pr));

    MUST_OBJ(redis, REDIS_MAGIC);
    if (pr == NULL) {
        return NULL;
    }
    pr->magic = PROBER_MAGIC;
    pr->common.redis = redis;
    pr->common.opts = redis->opts;
    pr->common.opts.reply_max = PROBE_REPLY_MAX;
    pr->common.opts.hang_ms = TRUST_BOUND_MS;
    pr->common.loop = loop;
    pr->common.ring = ring;
    pr->common.block = block;
    linking_init(&pr->common.linking, redis, loop, ring, block);
    list_init(&pr->probes);
    loop_timer_init(&pr->timer, loop, on_timer, pr);
    loop_task_init(&pr->common.judge, on_judge, pr);
    pr->member.loop = loop;
    loop_message_init(&pr->member.message, on_map, pr);
    redis_join(redis, &pr->member);
    loop_timer_arm(&pr->timer, now_ms(pr) + PROBE_MS);
    on_map(pr);
    return pr;
}

void
prober_free(struct prober **ppr)
{
    struct prober *pr = *ppr;

    if (pr == NULL) {
        return;
    }
    MUST_OBJ(pr, PROBER_MAGIC);
    *ppr = NULL;
    redis_leave(pr->common.redis, &pr->member);
    LIST_EACH (it, &pr->probes) {
        probe_free(probe_of(it));
    }
    loop_timer_cancel(&pr->timer);
    loop_task_cancel(&pr->common.judge);
    pr->common.redis = NULL;
    if (!atomic_load(&pr->member.message.is_posted)) {
        prober_bury(pr);
    }
}
