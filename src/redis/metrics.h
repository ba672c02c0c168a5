/* What the room counts. The names and texts stand together in metrics.c. */
#ifndef REDIS_METRICS_H
#define REDIS_METRICS_H

#include "nearside/base/metric.h"
#include "nearside/redis/redirect.h"

/* REFRESH_CAUSE(NAME, text): why the map is asked for anew. */
#define REFRESH_CAUSES(REFRESH_CAUSE)                                          \
    REFRESH_CAUSE(START, "start")                                              \
    REFRESH_CAUSE(PERIODIC, "periodic")                                        \
    REFRESH_CAUSE(MOVED, "moved")                                              \
    REFRESH_CAUSE(UNREACHABLE, "unreachable")                                  \
    REFRESH_CAUSE(CLUSTERDOWN, "clusterdown")                                  \
    REFRESH_CAUSE(READONLY, "readonly")                                        \
    REFRESH_CAUSE(UNSERVED, "unserved")

enum refresh_cause {
#define REFRESH_CAUSE(name, text) REFRESH_##name,
    REFRESH_CAUSES(REFRESH_CAUSE)
#undef REFRESH_CAUSE
    REFRESH_CAUSE_COUNT,
};

struct redis_metrics {
    metric_id commands;
    metric_id latency;
    metric_id failures[RC_CANCELLED]; /* by enum rc */
    metric_id errors[REDIS_ERROR_COUNT];
    metric_id refreshes[REFRESH_CAUSE_COUNT];
    metric_id refresh_failures;
    metric_id map_changes;
    metric_id retries;
    metric_id connections;
    metric_id connects;
    metric_id disconnects;
    metric_id breaker_opens;
};

void redis_metrics_init(
    struct redis_metrics *metrics, struct metric_registry *registry);

/* rc must be one that redis_reply_fn names as a failure. */
metric_id redis_metric_of_failure(
    const struct redis_metrics *metrics, enum rc rc);

#endif
