/* The counters of requests, listed once at start: a row for each route. */
#include "nearside/request/requests.h"

#include <stdio.h>
#include <stdlib.h>

#include "nearside/base/check.h"
#include "request/unstored.h"

static void
add_results(struct requests *requests, const struct proxy_conf *conf,
    struct metric_registry *registry)
{
    for (size_t row = 0; row <= requests->routes_len; row++) {
        char title[256] = "-";
        if (row < requests->routes_len) {
            metric_escape(conf->opts.routes[row].title, title, sizeof(title));
        }
        for (size_t i = 0; i < RESULT_COUNT; i++) {
            char labels[320];
            snprintf(labels, sizeof(labels), "route=\"%s\",result=\"%s\"",
                title, result_text((enum result)i));
            requests->by_result[row * RESULT_COUNT + i] =
                metric_add(registry, METRIC_COUNTER, "nearside_requests_total",
                    "Requests that are over, by route and result.", labels);
        }
    }
}

static void
add_latencies(struct requests *requests, struct metric_registry *registry)
{
    static const char *const labels[TIER_COUNT] = {
        [TIER_NONE] = "tier=\"none\"",
        [TIER_SHARED] = "tier=\"shared\"",
        [TIER_ORIGIN] = "tier=\"origin\"",
    };

    for (size_t i = 0; i < TIER_COUNT; i++) {
        requests->latency[i] =
            metric_add(registry, METRIC_HISTOGRAM, "nearside_request_seconds",
                "Time from a request's first byte until its answer has left, "
                "by the tier that answered.",
                labels[i]);
    }
}

struct requests *
requests_new(const struct proxy_conf *conf, request_access_fn on_access,
    struct metric_registry *registry)
{
    struct requests *requests = calloc(1, sizeof(*requests));
    size_t rows = conf->opts.routes_len + 1;

    MUST_OBJ(conf, PROXY_CONF_MAGIC);
    if (requests == NULL) {
        return NULL;
    }
    hash_key_random(&requests->hash_key);
    requests->on_access = on_access;
    requests->routes_len = conf->opts.routes_len;
    requests->by_result = calloc(rows * RESULT_COUNT, sizeof(metric_id));
    requests->unstored = unstored_new(requests->routes_len);
    if (requests->by_result == NULL || requests->unstored == NULL) {
        requests_free(&requests);
        return NULL;
    }
    add_results(requests, conf, registry);
    add_latencies(requests, registry);
    return requests;
}

void
requests_free(struct requests **prequests)
{
    struct requests *requests = *prequests;

    if (requests == NULL) {
        return;
    }
    *prequests = NULL;
    free(requests->by_result);
    unstored_free(&requests->unstored);
    free(requests);
}
