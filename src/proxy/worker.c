/*
 * A worker: its connections, pools and clients on one loop. Any worker may
 * accept; one that has more than its share hands the fd to the least loaded,
 * through a queue that lives in the receiving worker.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "nearside/base/log.h"
#include "proxy/flight_run.h"
#include "proxy/put.h"
#include "proxy/session.h"

enum {
    /* A worker this many connections above the least loaded one hands a new
       one over; below, the hand-over costs more than it evens out. */
    HANDOFF_LEAD = 2,
    /* Idle connections looked at for one that can go. */
    SHED_LOOKS = 8,
    /* Of the fds allowed: a cluster's nodes and an origin connection each. */
    FDS_KEPT_BACK = 32,
};

struct handoff {
    struct handoff *next;
    int fd;
    struct address peer;
};

struct watch {
    struct list link;
    struct acceptor *acceptor;
};

/* --- accepting --------------------------------------------------------- */

static struct worker *
least_loaded(struct worker *w)
{
    struct proxy *proxy = w->proxy;
    unsigned own = atomic_load_explicit(&w->sessions_len, memory_order_relaxed);
    struct worker *best = w;
    unsigned best_len = own;

    for (unsigned i = 0; i < proxy->opts.workers; i++) {
        struct worker *other = proxy->workers[i];
        unsigned len;
        if (other == NULL || other == w) {
            continue;
        }
        len = atomic_load_explicit(&other->sessions_len, memory_order_relaxed);
        if (len + HANDOFF_LEAD <= own && len < best_len) {
            best = other;
            best_len = len;
        }
    }
    return best;
}

static bool
hand_over(struct worker *to, int fd, const struct address *peer)
{
    struct handoff *h = malloc(sizeof(*h));

    if (h == NULL) {
        return false;
    }
    h->fd = fd;
    h->peer = *peer;
    h->next = atomic_load(&to->handoffs);
    while (!atomic_compare_exchange_weak(&to->handoffs, &h->next, h)) {
    }
    loop_post(to->loop, &to->handoff_message);
    return true;
}

static void
on_handoffs(void *ctx)
{
    struct worker *w = OBJ_OF(struct worker, ctx, WORKER_MAGIC);
    struct handoff *h = atomic_exchange(&w->handoffs, NULL);

    while (h != NULL) {
        struct handoff *next = h->next;
        session_start(w, h->fd, &h->peer);
        free(h);
        h = next;
    }
}

/* 503 without a session: there is no room for one. */
static void
turn_away(struct worker *w, int fd, enum limit limit)
{
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\n"
                                 "content-length: 0\r\n"
                                 "retry-after: 1\r\n"
                                 "connection: close\r\n\r\n";

    worker_count_limit(w, limit);
    (void)send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(fd);
}

/* One with bytes waiting is idle no more, only not yet read. */
static bool
shed_idle(struct worker *w)
{
    unsigned looks = 0;

    LIST_EACH (link, &w->idle) {
        struct session *s = CONTAINER_OF(link, struct session, link);
        if (conn_is_quiet(s->conn)) {
            worker_count_limit(w, LIMIT_IDLE_SHED);
            session_end(s, false);
            return true;
        }
        if (++looks == SHED_LOOKS) {
            break;
        }
    }
    return false;
}

static void
on_shed(void *ctx)
{
    shed_idle(OBJ_OF(struct worker, ctx, WORKER_MAGIC));
}

/* The connection that has been idle longest goes; where this worker has
   none, one of each other worker's. */
static void
make_room(struct worker *w)
{
    struct proxy *proxy = w->proxy;

    if (shed_idle(w)) {
        return;
    }
    for (unsigned i = 0; i < proxy->opts.workers; i++) {
        if (proxy->workers[i] != NULL && proxy->workers[i] != w) {
            loop_post(
                proxy->workers[i]->loop, &proxy->workers[i]->shed_message);
        }
    }
}

/* Would it be one of the fds kept back for origins, Redis and the small
   listeners? The kernel gives the lowest number that is free, so that a
   number says how many are taken. */
static bool
is_fd_kept_back(const struct proxy *proxy, int fd)
{
    return proxy->opts.fds_max > 0 &&
           (unsigned)fd + FDS_KEPT_BACK >= proxy->opts.fds_max;
}

/* Is there room for one more, counted already in `open`? If not, why. */
static bool
is_admitted(struct worker *w, int fd, unsigned open, const struct address *peer,
    enum limit *out_limit)
{
    const struct proxy *proxy = w->proxy;
    unsigned max = proxy->opts.limits.connections_max;
    bool is_fd_last = is_fd_kept_back(proxy, fd);

    /* First, lest who has too many already drives out others' idle ones. */
    if (!peers_take(proxy->peers, peer)) {
        *out_limit = LIMIT_CONNECTIONS_PER_IP;
        return false;
    }
    if (open > max - max / 10 || is_fd_last) {
        make_room(w);
    }
    if (open <= max && !is_fd_last) {
        return true;
    }
    *out_limit = is_fd_last ? LIMIT_FDS : LIMIT_CONNECTIONS;
    peers_put(proxy->peers, peer);
    return false;
}

static void
on_accept(void *ctx, int own_fd, const struct address *peer)
{
    struct worker *w = OBJ_OF(struct worker, ctx, WORKER_MAGIC);
    unsigned open = atomic_fetch_add(&w->proxy->connections, 1) + 1;
    enum limit limit;
    struct worker *to;

    if (!is_admitted(w, own_fd, open, peer, &limit)) {
        atomic_fetch_sub(&w->proxy->connections, 1);
        turn_away(w, own_fd, limit);
        return;
    }
    to = least_loaded(w);
    if (to == w || !hand_over(to, own_fd, peer)) {
        session_start(w, own_fd, peer);
    }
}

static void
on_exhausted(void *ctx)
{
    struct worker *w = OBJ_OF(struct worker, ctx, WORKER_MAGIC);

    worker_count_limit(w, LIMIT_FDS);
    log_event(w->ring, LOG_LEVEL_WARN, "accept_failed", "cause=\"%s\"",
        strerror(errno));
    make_room(w);
}

static const struct acceptor_callbacks acceptor_callbacks = {
    .on_accept = on_accept,
    .on_exhausted = on_exhausted,
};

enum rc
worker_listen(struct worker *w, int fd)
{
    struct watch *watch = malloc(sizeof(*watch));

    MUST_OBJ(w, WORKER_MAGIC);
    if (watch == NULL) {
        return RC_NOMEM;
    }
    watch->acceptor = acceptor_new(w->loop, fd, &acceptor_callbacks, w);
    if (watch->acceptor == NULL) {
        free(watch);
        return RC_NOMEM;
    }
    list_init(&watch->link);
    list_push_back(&w->acceptors, &watch->link);
    return RC_OK;
}

static void
stop_listening(struct worker *w)
{
    struct list *link;

    while ((link = list_pop(&w->acceptors)) != NULL) {
        struct watch *watch = CONTAINER_OF(link, struct watch, link);
        acceptor_refuse(watch->acceptor);
        acceptor_free(&watch->acceptor);
        free(watch);
    }
}

/* --- draining ---------------------------------------------------------- */

void
worker_check_drained(struct worker *w)
{
    if (!atomic_load(&w->is_draining) || w->is_drained ||
        !list_is_empty(&w->sessions) || !list_is_empty(&w->idle) ||
        !list_is_empty(&w->invalidations)) {
        return;
    }
    w->is_drained = true;
    if (w->on_drained != NULL) {
        w->on_drained(w->drain_ctx);
    }
}

static void
on_drain(void *ctx)
{
    struct worker *w = OBJ_OF(struct worker, ctx, WORKER_MAGIC);

    stop_listening(w);
    LIST_EACH (link, &w->sessions) {
        session_drain(CONTAINER_OF(link, struct session, link));
    }
    LIST_EACH (link, &w->idle) {
        session_drain(CONTAINER_OF(link, struct session, link));
    }
    worker_check_drained(w);
}

void
worker_drain(struct worker *w, void (*on_drained)(void *ctx), void *ctx)
{
    MUST_OBJ(w, WORKER_MAGIC);
    w->on_drained = on_drained;
    w->drain_ctx = ctx;
    atomic_store(&w->is_draining, true);
    loop_post(w->loop, &w->drain_message);
}

/* --- life -------------------------------------------------------------- */

static bool
pools_make(struct worker *w)
{
    const struct proxy_opts *opts = &w->proxy->opts;

    w->pools = calloc(opts->groups_len, sizeof(struct origin_pool *));
    if (w->pools == NULL) {
        return false;
    }
    for (size_t i = 0; i < opts->groups_len; i++) {
        w->pools[i] = origin_pool_new(
            opts->groups[i], w->loop, w->resolver, w->ring, w->block);
        if (w->pools[i] == NULL) {
            return false;
        }
    }
    return true;
}

static bool
tiers_make(struct worker *w)
{
    struct redis *redis = w->proxy->opts.redis;

    if (redis != NULL) {
        w->redis = redis_client_new(redis, w->loop, w->ring, w->block);
    }
    return redis == NULL || w->redis != NULL;
}

struct worker *
worker_new(const struct worker_opts *opts)
{
    struct worker *w = calloc(1, sizeof(*w));

    MUST_OBJ(opts->proxy, PROXY_MAGIC);
    MUST(opts->index < opts->proxy->opts.workers);
    if (w == NULL) {
        return NULL;
    }
    w->magic = WORKER_MAGIC;
    w->index = opts->index;
    w->proxy = opts->proxy;
    w->loop = opts->loop;
    w->resolver = opts->resolver;
    w->ring = opts->ring;
    w->block = opts->block;
    list_init(&w->acceptors);
    list_init(&w->idle);
    list_init(&w->sessions);
    list_init(&w->holders);
    list_init(&w->invalidations);
    list_init(&w->puts);
    list_init(&w->flights);
    list_init(&w->requests.free);
    random_seed(&w->random);
    loop_message_init(&w->handoff_message, on_handoffs, w);
    loop_message_init(&w->drain_message, on_drain, w);
    loop_message_init(&w->shed_message, on_shed, w);
    if (!pools_make(w) || !tiers_make(w)) {
        worker_free(&w);
        return NULL;
    }
    w->proxy->workers[w->index] = w;
    return w;
}

static void
sessions_free(struct worker *w)
{
    struct list *link;

    list_splice(&w->sessions, &w->idle);
    while ((link = list_first(&w->sessions)) != NULL) {
        session_free(CONTAINER_OF(link, struct session, link));
    }
}

static void
requests_free(struct worker *w)
{
    struct list *link;

    while ((link = list_pop(&w->requests.free)) != NULL) {
        request_destroy(CONTAINER_OF(link, struct request, link));
    }
}

void
worker_free(struct worker **pw)
{
    struct worker *w = *pw;

    if (w == NULL) {
        return;
    }
    MUST_OBJ(w, WORKER_MAGIC);
    *pw = NULL;
    w->on_drained = NULL;
    stop_listening(w);
    on_handoffs(w);
    sessions_free(w);
    flight_runs_free(w);
    invalidations_free(w);
    puts_free(w);
    redis_client_free(&w->redis);
    /* Messages and tasks that are still under way find their objects. */
    loop_turn(w->loop, 0);
    for (size_t i = 0; w->pools != NULL && i < w->proxy->opts.groups_len; i++) {
        if (w->pools[i] != NULL) {
            origin_pool_free(&w->pools[i]);
        }
    }
    free(w->pools);
    requests_free(w);
    w->proxy->workers[w->index] = NULL;
    w->magic = 0;
    free(w);
}

struct slice
worker_date(struct worker *w)
{
    int64_t now_s = clock_wall_ms(loop_clock(w->loop)) / 1000;

    if (w->date_s != now_s) {
        w->date_s = now_s;
        date_write(w->date_text, now_s);
    }
    return slice_of(w->date_text, DATE_LEN);
}
