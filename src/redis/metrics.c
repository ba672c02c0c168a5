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
    [RC_DOUBT] = "doubt",
};

static const char *const cause_names[REFRESH_CAUSE_COUNT] = {
#define REFRESH_CAUSE(name, text) [REFRESH_##name] = text,
    REFRESH_CAUSES(REFRESH_CAUSE)
#undef REFRESH_CAUSE
};

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
#define REDIS_METRIC(name, kind, text, help)                                   \
    m->name = metric_add(registry, METRIC_##kind, text, help, NULL);
#include "redis/metric.def"
#undef REDIS_METRIC
    add_rows(registry, "nearside_redis_failures_total", failure_names,
        RC_CANCELLED, m->failures);
    add_rows(registry, "nearside_redis_error_replies_total", errors,
        REDIS_ERROR_COUNT, m->errors);
    add_rows(registry, "nearside_redis_refreshes_total", cause_names,
        REFRESH_CAUSE_COUNT, m->refreshes);
}

metric_id
redis_metric_of_failure(const struct redis_metrics *m, enum rc rc)
{
    MUST(rc < RC_CANCELLED);
    MUST(failure_names[rc] != NULL);
    return m->failures[rc];
}
