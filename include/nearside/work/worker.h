/*
 * What a worker gives to all who work on it: its loop, the date of the turn,
 * random numbers, counters, limits, and a pointer to each room's own state on
 * this worker. The rooms above know each other's state by name only.
 *
 * A worker belongs to its loop's thread, and so does everything that hangs
 * from it.
 */
#ifndef NEARSIDE_WORK_WORKER_H
#define NEARSIDE_WORK_WORKER_H

#include "nearside/base/hash.h"
#include "nearside/base/metric.h"
#include "nearside/base/shared_time.h"
#include "nearside/http/date.h"
#include "nearside/net/loop.h"
#include "nearside/rules/conf.h"

#define WORKER_MAGIC UINT32_C(0x6e776f72)

/* A limit that was hit. */
enum limit {
#define LIMIT(name, text) LIMIT_##name,
#include "nearside/work/limit.def"
#undef LIMIT
    LIMIT_COUNT
};

/* As the conf and the metrics name it: "connections_max". */
const char *limit_text(enum limit limit);

/* What else is counted. */
enum counter {
#define COUNTER(name, kind, text, help) COUNTER_##name,
#include "nearside/work/counter.def"
#undef COUNTER
    COUNTER_COUNT
};

/* Where the counters are in a worker's block. */
struct work_metrics {
    metric_id limits[LIMIT_COUNT];
    metric_id counters[COUNTER_COUNT];
};

/* Lists them once, at start. */
void work_metrics_add(
    struct work_metrics *metrics, struct metric_registry *registry);

struct worker {
    uint32_t magic;
    unsigned index; /* from 0 */
    struct loop *loop;
    const struct shared_time *time;
    struct log_ring *ring;
    struct metric_block *block;
    const struct work_metrics *metrics;
    struct proxy_conf *conf; /* the snapshot in force */
    struct random random;
    int64_t date_s; /* of date_text */
    char date_text[DATE_LEN];

    /* The rooms' own; each is set before the room is used. */
    struct redis_client *redis; /* NULL: no shared tier */
    struct origin_pool **pools; /* by index of the origin */
    struct lease_worker *lease;
    struct tier_worker *tier;
    struct collapse_worker *collapse;
    struct request_worker *request;
    struct front_worker *front;
    struct fill_credit *credit; /* of the bodies under way; the process' */
};

static inline void
worker_count(struct worker *w, enum counter counter)
{
    metric_inc(w->block, w->metrics->counters[counter]);
}

/* n may be negative for a gauge. */
static inline void
worker_count_by(struct worker *w, enum counter counter, int64_t n)
{
    metric_add_to(w->block, w->metrics->counters[counter], n);
}

static inline void
worker_count_limit(struct worker *w, enum limit limit)
{
    metric_inc(w->block, w->metrics->limits[limit]);
}

/* The turn's time: monotonic; the wall time that all instances share; and that
   of this machine, which may be set at any moment. */
static inline int64_t
worker_now_ms(const struct worker *w)
{
    return loop_now_ms(w->loop);
}

static inline int64_t
worker_now_us(const struct worker *w)
{
    return clock_now_us(loop_clock(w->loop));
}

static inline int64_t
worker_wall_ms(const struct worker *w)
{
    return shared_time_ms(w->time, loop_clock(w->loop));
}

static inline int64_t
worker_own_wall_ms(const struct worker *w)
{
    return clock_wall_ms(loop_clock(w->loop));
}

/* The turn's wall time as an HTTP date; until the next turn. */
struct slice worker_date(struct worker *w);

#endif
