/* What the room counts. */
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
    REFRESH_CAUSE(UNSERVED, "unserved")                                        \
    REFRESH_CAUSE(DELETIONS, "deletions")                                      \
    REFRESH_CAUSE(MEMORY, "memory")

enum refresh_cause {
#define REFRESH_CAUSE(name, text) REFRESH_##name,
    REFRESH_CAUSES(REFRESH_CAUSE)
#undef REFRESH_CAUSE
    REFRESH_CAUSE_COUNT,
};

struct redis_metrics {
#define REDIS_METRIC(name, kind, text, help) metric_id name;
#include "redis/metric.def"
#undef REDIS_METRIC
    metric_id failures[RC_CANCELLED]; /* by enum rc */
    metric_id errors[REDIS_ERROR_COUNT];
    metric_id refreshes[REFRESH_CAUSE_COUNT];
};

void redis_metrics_init(
    struct redis_metrics *metrics, struct metric_registry *registry);

/* rc must be one that redis_reply_fn names as a failure. */
metric_id redis_metric_of_failure(
    const struct redis_metrics *metrics, enum rc rc);

#endif
