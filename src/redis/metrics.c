/* The names and texts of what the room counts. */
#include "redis/metrics.h"

#include "nearside/base/check.h"

#include <stdio.h>

static const char *const failure_names[RC_CANCELLED] = {
    [RC_TIMEOUT] = "timeout",
    [RC_CLOSED] = "closed",
    [RC_REFUSED] = "refused",
    [RC_IO] = "io",
    [RC_MISS] = "no_node",
    [RC_LIMIT] = "limit",
    [RC_BAD] = "protocol",
    [RC_NOMEM] = "no_memory",
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

        if (texts[i] == NULL) {
            continue;
        }
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
        RC_CANCELLED, m->failures);
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
    MUST(rc < RC_CANCELLED);
    MUST(failure_names[rc] != NULL);
    return m->failures[rc];
}
