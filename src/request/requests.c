/* The counters of requests, listed once at start: a row for each route. */
#include "nearside/request/requests.h"

#include <stdio.h>
#include <stdlib.h>

#include "nearside/base/check.h"
#include "request/unstored.h"

enum {
    TITLE_MAX = 256, /* bytes of a label; a longer title is cut */
    LABELS_MAX = 320,
};

/* "-": of no route. */
static const char *
title_of(const struct proxy_conf *conf, size_t row, char out[TITLE_MAX])
{
    struct slice title = SLICE("-");

    if (row < conf->opts.routes_len) {
        title = conf->opts.routes[row].title;
    }
    return metric_escape(title, out, TITLE_MAX);
}

/* What most requests with that result are answered with. The other rows are
   shown once there is such an answer, since a route has fifty. */
static enum status_class
usual_class(enum result result)
{
    switch (result) {
    case RESULT_ERROR:
        return STATUS_CLASS_5XX;
    case RESULT_GONE:
        return STATUS_CLASS_NONE;
    case RESULT_HIT:
    case RESULT_STALE:
    case RESULT_VALIDATED:
    case RESULT_COLLAPSED:
    case RESULT_MISS:
    case RESULT_BYPASS:
    case RESULT_WRITE:
    case RESULT_PASS:
    case RESULT_COUNT:
        break;
    }
    return STATUS_CLASS_2XX;
}

static void
add_result(struct metric_registry *registry, const char *title,
    enum result result, metric_id out[STATUS_CLASS_COUNT])
{
    static const char *const classes[STATUS_CLASS_COUNT] = {
        [STATUS_CLASS_NONE] = "none",
        [STATUS_CLASS_2XX] = "2xx",
        [STATUS_CLASS_3XX] = "3xx",
        [STATUS_CLASS_4XX] = "4xx",
        [STATUS_CLASS_5XX] = "5xx",
    };

    for (size_t i = 0; i < STATUS_CLASS_COUNT; i++) {
        char labels[LABELS_MAX];

        snprintf(labels, sizeof(labels),
            "route=\"%s\",result=\"%s\",status=\"%s\"", title,
            result_text(result), classes[i]);
        out[i] = metric_add(registry, METRIC_COUNTER, "nearside_requests_total",
            "Requests that are over, by route, result and status class.",
            labels);
        if (i != usual_class(result)) {
            metric_make_rare(registry);
        }
    }
}

static void
add_results(struct requests *requests, const struct proxy_conf *conf,
    struct metric_registry *registry)
{
    for (size_t row = 0; row <= requests->routes_len; row++) {
        char title[TITLE_MAX];

        title_of(conf, row, title);
        for (size_t i = 0; i < RESULT_COUNT; i++) {
            add_result(
                registry, title, (enum result)i, requests->by_result[row][i]);
        }
    }
}

static void
add_latencies(struct requests *requests, const struct proxy_conf *conf,
    struct metric_registry *registry)
{
    static const char *const tiers[TIER_COUNT] = {
        [TIER_NONE] = "none",
        [TIER_MEMORY] = "memory",
        [TIER_SHARED] = "shared",
        [TIER_ORIGIN] = "origin",
    };

    for (size_t row = 0; row <= requests->routes_len; row++) {
        for (size_t i = 0; i < TIER_COUNT; i++) {
            char title[TITLE_MAX], labels[LABELS_MAX];

            snprintf(labels, sizeof(labels), "route=\"%s\",tier=\"%s\"",
                title_of(conf, row, title), tiers[i]);
            requests->latency[row][i] = metric_add(registry, METRIC_HISTOGRAM,
                "nearside_request_seconds",
                "Time from a request's first byte until its answer has left, "
                "by route and the tier that answered.",
                labels);
            metric_make_rare(registry);
        }
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
    requests->by_result = calloc(rows, sizeof(*requests->by_result));
    requests->latency = calloc(rows, sizeof(*requests->latency));
    requests->unstored = unstored_new(requests->routes_len, registry);
    if (requests->by_result == NULL || requests->latency == NULL ||
        requests->unstored == NULL) {
        requests_free(&requests);
        return NULL;
    }
    add_results(requests, conf, registry);
    add_latencies(requests, conf, registry);
    return requests;
}

void
requests_sum(const struct requests *requests, struct metric_registry *registry,
    uint64_t out[RESULT_COUNT])
{
    MUST(registry != NULL);
    for (size_t i = 0; i < RESULT_COUNT; i++) {
        out[i] = 0;
        for (size_t row = 0; row <= requests->routes_len; row++) {
            for (size_t class = 0; class < STATUS_CLASS_COUNT; class ++) {
                out[i] +=
                    metric_sum(registry, requests->by_result[row][i][class]);
            }
        }
    }
}

void
requests_free(struct requests **prequests)
{
    struct requests *requests = *prequests;

    if (requests == NULL) {
        return;
    }
    MUST(atomic_load(&requests->held) == 0);
    *prequests = NULL;
    free(requests->by_result);
    free(requests->latency);
    unstored_free(&requests->unstored);
    free(requests);
}
