/* The room's metrics: one list, so that names and texts stand together. */
#include "redis/room.h"

#include <stdio.h>

static const char *const failure_names[FAILURE_COUNT] = {
    [FAILURE_TIMEOUT] = "timeout",
    [FAILURE_CLOSED] = "closed",
    [FAILURE_REFUSED] = "refused",
    [FAILURE_IO] = "io",
    [FAILURE_MISS] = "no_node",
    [FAILURE_LIMIT] = "limit",
    [FAILURE_BAD] = "protocol",
    [FAILURE_NOMEM] = "no_memory",
};

static const char *const cause_names[REFRESH_CAUSE_COUNT] = {
#define REFRESH_CAUSE(name, text) [REFRESH_##name] = text,
    REFRESH_CAUSES(REFRESH_CAUSE)
#undef REFRESH_CAUSE
};

static metric_id
add(struct metric_registry *registry, const char *name, const char *help)
{
    return metric_add(registry, METRIC_COUNTER, name, help, NULL);
}

static void
add_rows(struct metric_registry *registry, const char *name,
    const char *const texts[], unsigned len, metric_id *out)
{
    for (unsigned i = 0; i < len; i++) {
        char labels[64];

        (void)snprintf(labels, sizeof(labels), "cause=\"%s\"", texts[i]);
        out[i] = metric_add(registry, METRIC_COUNTER, name,
            "Redis events of this kind, by cause.", labels);
    }
}

void
redis_metrics_init(struct redis_metrics *m, struct metric_registry *registry)
{
    const char *errors[REDIS_ERROR_COUNT];

    for (unsigned i = 0; i < REDIS_ERROR_COUNT; i++) {
        errors[i] = redis_error_name((enum redis_error)i);
    }
    m->commands = add(registry, "nearside_redis_commands_total",
        "Commands asked for by requests.");
    m->latency =
        metric_add(registry, METRIC_HISTOGRAM, "nearside_redis_latency_seconds",
            "From a command's writing to its reply.", NULL);
    add_rows(registry, "nearside_redis_failures_total", failure_names,
        FAILURE_COUNT, m->failures);
    add_rows(registry, "nearside_redis_error_replies_total", errors,
        REDIS_ERROR_COUNT, m->errors);
    add_rows(registry, "nearside_redis_refreshes_total", cause_names,
        REFRESH_CAUSE_COUNT, m->refreshes);
    m->refresh_failures = add(registry, "nearside_redis_refresh_failures_total",
        "Refreshes of the slot map to which no node had an answer.");
    m->map_changes = add(registry, "nearside_redis_map_changes_total",
        "New slot maps published.");
    m->retries = add(registry, "nearside_redis_retries_total",
        "Commands sent again after a redirection, a pause or a loss.");
    m->connections = metric_add(registry, METRIC_GAUGE,
        "nearside_redis_connections", "Data connections that are up.", NULL);
    m->connects = add(registry, "nearside_redis_connects_total",
        "Data connections that came up.");
    m->disconnects = add(registry, "nearside_redis_disconnects_total",
        "Data connections lost, or attempts that failed.");
    m->breaker_opens = add(registry, "nearside_redis_breaker_opens_total",
        "Times a node was given a rest after failures in a row.");
}

metric_id
redis_metric_of_failure(const struct redis_metrics *m, enum rc rc)
{
    switch (rc) {
    case RC_TIMEOUT:
        return m->failures[FAILURE_TIMEOUT];
    case RC_CLOSED:
        return m->failures[FAILURE_CLOSED];
    case RC_REFUSED:
        return m->failures[FAILURE_REFUSED];
    case RC_MISS:
        return m->failures[FAILURE_MISS];
    case RC_LIMIT:
        return m->failures[FAILURE_LIMIT];
    case RC_BAD:
        return m->failures[FAILURE_BAD];
    case RC_NOMEM:
        return m->failures[FAILURE_NOMEM];
    case RC_IO:
    case RC_OK:
    case RC_AGAIN:
    case RC_UNSUPPORTED:
    case RC_CANCELLED:
        return m->failures[FAILURE_IO];
    }
    return m->failures[FAILURE_IO];
}
