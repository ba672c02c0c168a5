/* The metrics of this room, listed once at start. */
#include <stdio.h>
#include <stdlib.h>

#include "nearside/base/check.h"
#include "proxy/proxy.h"

static void
add_requests(struct proxy *proxy, struct metric_registry *registry)
{
    size_t rows = proxy->opts.routes_len + 1;
    metric_id *ids = calloc(rows * RESULT_COUNT, sizeof(*ids));

    MUST(ids != NULL); /* at start */
    proxy->metrics.requests = ids;
    for (size_t row = 0; row < rows; row++) {
        char title[256] = "-";
        if (row < proxy->opts.routes_len) {
            metric_escape(proxy->opts.routes[row].title, title, sizeof(title));
        }
        for (size_t i = 0; i < RESULT_COUNT; i++) {
            char labels[320];
            snprintf(labels, sizeof(labels), "route=\"%s\",result=\"%s\"",
                title, result_text((enum result)i));
            ids[row * RESULT_COUNT + i] =
                metric_add(registry, METRIC_COUNTER, "nearside_requests_total",
                    "Requests that are over, by route and result.", labels);
        }
    }
}

static void
add_latencies(struct proxy *proxy, struct metric_registry *registry)
{
    static const char *const labels[TIER_COUNT] = {
        [TIER_NONE] = "tier=\"none\"",
        [TIER_SHARED] = "tier=\"shared\"",
        [TIER_ORIGIN] = "tier=\"origin\"",
    };

    for (size_t i = 0; i < TIER_COUNT; i++) {
        proxy->metrics.latency[i] =
            metric_add(registry, METRIC_HISTOGRAM, "nearside_request_seconds",
                "Time from a request's first byte until its answer has left, "
                "by the tier that answered.",
                labels[i]);
    }
}

static void
add_limits(struct proxy *proxy, struct metric_registry *registry)
{
    static const char *const labels[LIMIT_COUNT] = {
#define LIMIT(name, text) [LIMIT_##name] = "limit=\"" text "\"",
#include "proxy/limit.def"
#undef LIMIT
    };

    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        proxy->metrics.limits[i] =
            metric_add(registry, METRIC_COUNTER, "nearside_limits_hit_total",
                "How often a limit of the configuration was hit.", labels[i]);
    }
}

static metric_id
counter(struct metric_registry *registry, const char *name, const char *help)
{
    return metric_add(registry, METRIC_COUNTER, name, help, NULL);
}

void
metrics_add(struct proxy *proxy, struct metric_registry *registry)
{
    struct proxy_metrics *m = &proxy->metrics;

    add_requests(proxy, registry);
    add_latencies(proxy, registry);
    add_limits(proxy, registry);
    m->bad_requests = counter(
        registry, "nearside_bad_requests_total", "Heads that were refused.");
    m->connections = metric_add(registry, METRIC_GAUGE, "nearside_connections",
        "Client connections open now.", NULL);
    m->connections_total = counter(
        registry, "nearside_connections_total", "Client connections accepted.");
    m->bytes_sent = counter(registry, "nearside_body_bytes_total",
        "Bytes of answers' bodies written to clients.");
    m->values_bad = counter(registry, "nearside_values_bad_total",
        "Values in Redis that were not entries of ours; each was a miss.");
    m->stores =
        counter(registry, "nearside_stores_total", "Entries stored in Redis.");
    m->stores_fenced = counter(registry, "nearside_stores_fenced_total",
        "Entries not stored because a write came during the fetch.");
    m->stores_failed = counter(registry, "nearside_stores_failed_total",
        "Entries not stored because Redis did not take them.");
    m->invalidations = counter(registry, "nearside_invalidations_total",
        "Keys deleted after a write.");
    m->invalidations_failed =
        counter(registry, "nearside_invalidations_failed_total",
            "Keys whose deletion was never acknowledged.");
}
