/* What all requests of the process share: how they are counted and logged. */
#ifndef NEARSIDE_REQUEST_REQUESTS_H
#define NEARSIDE_REQUEST_REQUESTS_H

#include <stdatomic.h>

#include "nearside/base/hash.h"
#include "nearside/base/metric.h"
#include "nearside/request/access.h"
#include "nearside/rules/conf.h"

struct request_worker;
struct unstored;
struct worker;

enum result {
#define RESULT(name, text) RESULT_##name,
#include "nearside/request/result.def"
#undef RESULT
    RESULT_COUNT
};

const char *result_text(enum result result);

/* Which tier an answer came from, for the latency histograms. */
enum tier_id {
    TIER_NONE,
    TIER_MEMORY,
    TIER_SHARED,
    TIER_ORIGIN,
    TIER_COUNT,
};

/* The class of an answer's status, a label of the counters. */
enum status_class {
    STATUS_CLASS_NONE, /* the client left before an answer */
    STATUS_CLASS_2XX,
    STATUS_CLASS_3XX,
    STATUS_CLASS_4XX,
    STATUS_CLASS_5XX, /* and above */
    STATUS_CLASS_COUNT
};

struct requests {
    struct hash_key hash_key;    /* of all keys */
    request_access_fn on_access; /* NULL: no access log is wanted */
    size_t routes_len;
    /* [routes_len + 1]; the last row: no route. */
    metric_id (*by_result)[RESULT_COUNT][STATUS_CLASS_COUNT];
    metric_id (*latency)[TIER_COUNT];
    struct unstored *unstored; /* routes of which nothing is stored */
    atomic_ullong held;        /* bytes, for slow clients of all workers */
};

/* conf: its routes are the rows. NULL: no memory. */
struct requests *requests_new(const struct proxy_conf *conf,
    request_access_fn on_access, struct metric_registry *registry);
void requests_free(struct requests **requests);

/* How many requests have ended so, of all routes and workers. Any thread. */
void requests_sum(const struct requests *requests,
    struct metric_registry *registry, uint64_t out[RESULT_COUNT]);

/* The requests of a worker; sets worker->request. NULL: no memory. */
struct request_worker *request_worker_new(
    struct requests *requests, struct worker *worker);
void request_worker_free(struct request_worker **all);

#endif
