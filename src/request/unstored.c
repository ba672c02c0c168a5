/*
 * A route is settled once something of it was stored or found, or once the
 * warning was given. Each worker remembers that in a flag of its own, which is
 * all that a request of a settled route costs. Until then, those answers are
 * counted under a lock that say why they are not stored: a hundred a route at
 * most. What says nothing, such as an answer while Redis is away, is no sign,
 * and counted as `other`.
 */
#include "request/unstored.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "nearside/base/log.h"
#include "nearside/tier/tier.h"
#include "request/request_inside.h"

enum {
    ANSWERED_MAX = 100,
};

/* What Cache-Status gives as its detail, and what may be done about it where
   that is no passing trouble. */
struct cause {
    const char *detail;
    const char *cure; /* NULL: it passes */
};

static const struct cause causes[] = {
    /* Only the others say why, so it comes last in a draw. */
    {"not-storable", "see the detail of the first answer to one of its URLs"},
    {"cookie", "name in cookies those that count, let the API say public or "
               "s-maxage, or set cookie = ignore or key"},
    {"authorization", "let the API say public or s-maxage, or set "
                      "authorization = ignore or key"},
    {"credential", "let the API say public or s-maxage, or change "
                   "credential_fields"},
    {"private", "let the API say otherwise in Cache-Control or "
                "CDN-Cache-Control, or set ttl_force = all"},
    {"no-store", "let the API say otherwise in Cache-Control or "
                 "CDN-Cache-Control, or set ttl_force = all"},
    {"no-cache", "let the API send an ETag or say otherwise in Cache-Control "
                 "or CDN-Cache-Control, or set ttl_force = all"},
    {"request-no-store", "clients ask for it: client_cache_control = ignore"},
    {"must-understand", "let the API leave must-understand out"},
    {"set-cookie", "let the API leave Set-Cookie out, or set set_cookie = "
                   "strip"},
    {"vary", "let the API vary by fields that a cache may key, or set vary = "
             "any"},
    {"status", "the API answers with errors; ttl_by_status keeps some of them"},
    {"no-freshness", "let the API say max-age, or set ttl"},
    {"stale", "let the API say a later Expires or max-age, or set ttl_force = "
              "freshness"},
    {"size", "raise object_max, or let the API send less at once"},
    {"close-delimited", "let the API send a Content-Length or chunks"},
    {"body", "a GET with a body is never stored"},
    {"condition", "clients send If-Match or If-Unmodified-Since"},
    {"target", "a path with ';', '//' or an encoded slash is never stored"},
    {"spelling", "let clients write the path without needless %XX"},
    {"partial", "the API answers with a part"},
    {"no-redis", "write a section redis, or give memory a size"},
    {"redis-refuses", NULL},
    {"redis-silent", NULL},
    {"redis-minority", NULL},
    {"slot-moving", NULL},
    {"slot-changed", NULL},
    {"deletion-pending", NULL},
    {"flight_wait", NULL},
    {"no-memory", NULL},
};

enum {
    CAUSES_COUNT = ARRAY_LEN(causes),
};

struct watched {
    atomic_bool is_settled;
    unsigned answered; /* under the lock, as is the next */
    unsigned by_cause[CAUSES_COUNT];
};

struct unstored {
    metric_id by_cause[CAUSES_COUNT + 1]; /* the last one: other */
    pthread_mutex_t lock;
    struct watched routes[];
};

static void
add_metrics(struct unstored *u, struct metric_registry *registry)
{
    for (size_t i = 0; i <= CAUSES_COUNT; i++) {
        char labels[64];

        snprintf(labels, sizeof(labels), "reason=\"%s\"",
            i < CAUSES_COUNT ? causes[i].detail : "other");
        u->by_cause[i] =
            metric_add(registry, METRIC_COUNTER, "nearside_not_stored_total",
                "Answers of origins to a route's GET that were not stored, by "
                "the detail of their Cache-Status.",
                labels);
    }
}

struct unstored *
unstored_new(size_t routes_len, struct metric_registry *registry)
{
    struct unstored *u =
        calloc(1, sizeof(*u) + routes_len * sizeof(u->routes[0]));

    if (u != NULL) {
        MUST(pthread_mutex_init(&u->lock, NULL) == 0);
        add_metrics(u, registry);
    }
    return u;
}

void
unstored_free(struct unstored **unstored)
{
    if (*unstored != NULL) {
        pthread_mutex_destroy(&(*unstored)->lock);
        free(*unstored);
        *unstored = NULL;
    }
}

/* Its index; CAUSES_COUNT: nothing that keeps a route from being stored. */
static size_t
cause_of(const char *detail)
{
    size_t i = 0;

    while (i < CAUSES_COUNT &&
           (detail == NULL || strcmp(causes[i].detail, detail) != 0)) {
        i++;
    }
    return i;
}

static void
warn(struct request *r, const struct watched *route)
{
    char title[128];
    size_t most = 0;

    for (size_t i = 1; i < CAUSES_COUNT; i++) {
        if (route->by_cause[i] > 0 &&
            (most == 0 || route->by_cause[i] > route->by_cause[most])) {
            most = i;
        }
    }
    log_event(r->worker->ring, LOG_LEVEL_WARN, "route_not_cached",
        "route=\"%s\" answered=\"%u\" stored=\"0\" cause=\"%s\" cure=\"%s\"",
        log_escape(r->q->route->title, title, sizeof(title)), route->answered,
        causes[most].detail, causes[most].cure);
}

static void
count(struct request *r, struct watched *route, size_t cause)
{
    struct unstored *u = r->worker->request->requests->unstored;

    MUST(pthread_mutex_lock(&u->lock) == 0);
    if (!atomic_load(&route->is_settled)) {
        route->by_cause[cause]++;
        route->answered++;
        if (route->answered == ANSWERED_MAX) {
            warn(r, route);
            atomic_store(&route->is_settled, true);
        }
    }
    MUST(pthread_mutex_unlock(&u->lock) == 0);
}

/* Is it a sign that the route is cached? */
static bool
is_cached(const struct request *r)
{
    return r->is_stored || r->result == RESULT_HIT ||
           r->result == RESULT_STALE || r->result == RESULT_VALIDATED;
}

/* Is it an answer that could have been stored? */
static bool
is_candidate(const struct request *r)
{
    return r->q->kind == QUESTION_READ && r->q->head->method == METHOD_GET &&
           r->q->route->read != ROUTE_READ_PASS && r->tier == TIER_ORIGIN &&
           r->status != 0 && r->result != RESULT_ERROR &&
           r->result != RESULT_GONE;
}

/* cause: why the answer is not stored; CAUSES_COUNT: it is, or says nothing. */
static void
watch(struct request *r, size_t cause)
{
    struct request_worker *all = r->worker->request;
    struct watched *route = &all->requests->unstored->routes[r->q->row];

    MUST(!all->is_settled[r->q->row]);
    /* Without Redis nothing is stored at all, which is told at the start. */
    if (!tier_stores(r->worker) || r->q->route->read == ROUTE_READ_PASS ||
        is_cached(r)) {
        atomic_store(&route->is_settled, true);
    } else if (cause < CAUSES_COUNT && causes[cause].cure != NULL) {
        count(r, route, cause);
    }
    all->is_settled[r->q->row] = atomic_load(&route->is_settled);
}

void
unstored_account(struct request *r)
{
    struct request_worker *all = r->worker->request;
    size_t cause = CAUSES_COUNT;

    MUST_OBJ(all, REQUEST_WORKER_MAGIC);
    MUST((size_t)r->q->row < all->requests->routes_len);
    if (is_candidate(r) && !is_cached(r)) {
        cause = cause_of(r->detail);
        metric_inc(r->worker->block, all->requests->unstored->by_cause[cause]);
    }
    if (!all->is_settled[r->q->row]) {
        watch(r, cause);
    }
}
