/*
 * A worker's part of the front, from its first connection to its last: it
 * accepts, hands over, makes room, and drains.
 *
 * Any worker may accept. One that has more than its share hands the fd to
 * the least loaded, through a queue that lives in the receiving worker. When
 * there is little room left, the connection that has been idle longest is
 * ended; when there is none, the new one is told 503 and closed.
 */
#include "front/front_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "nearside/base/log.h"
#include "nearside/net/listen.h"
#include "nearside/rules/client.h"
#include "front/h1/session.h"
#include "front/h1/turn.h"

enum {
    /* A worker this many connections above the least loaded one hands a new
       one over; below, the hand-over costs more than it evens out. */
    HANDOFF_LEAD = 2,
    /* Idle connections looked at for one that can go. */
    SHED_LOOKS = 8,
    /* Fds that clients do not get: the connections to the cluster's nodes and
       to origins need them. */
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

/* --- handing over ------------------------------------------------------ */

/* At the end each keeps what it accepts: another may have nothing left already,
   and wait for nothing. */
static struct front_worker *
least_loaded(struct front_worker *f)
{
    struct front *front = f->front;
    unsigned own = atomic_load(&f->sessions_len);
    struct front_worker *best = f;
    unsigned best_len = own;

    if (atomic_load(&f->says_close)) {
        return f;
    }
    for (unsigned i = 0; i < front->opts.workers; i++) {
        struct front_worker *other = front->workers[i];
        unsigned len;
        if (other == NULL || other == f) {
            continue;
        }
        MUST_OBJ(other, FRONT_WORKER_MAGIC);
        len = atomic_load(&other->sessions_len);
        if (len + HANDOFF_LEAD <= own && len < best_len) {
            best = other;
            best_len = len;
        }
    }
    return best;
}

static bool
hand_over(struct front_worker *to, int fd, const struct address *peer)
{
    struct handoff *h = malloc(sizeof(*h));

    MUST_OBJ(to, FRONT_WORKER_MAGIC);
    if (h == NULL) {
        return false;
    }
    h->fd = fd;
    h->peer = *peer;
    /* Counted now, not when it arrives: whoever chooses next has to know. */
    atomic_fetch_add(&to->sessions_len, 1);
    h->next = atomic_load(&to->handoffs);
    while (!atomic_compare_exchange_weak(&to->handoffs, &h->next, h)) {
    }
    loop_post(to->worker->loop, &to->handoff_message);
    return true;
}

static void
drain_sessions(struct front_worker *f)
{
    struct list *const lists[] = {&f->fresh, &f->idle, &f->lingering};

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        LIST_EACH (link, lists[i]) {
            session_drain(CONTAINER_OF(link, struct session, link));
        }
    }
}

static void
on_handoffs(void *ctx)
{
    struct front_worker *f =
        OBJ_OF(struct front_worker, ctx, FRONT_WORKER_MAGIC);
    struct handoff *h = atomic_exchange(&f->handoffs, NULL);

    while (h != NULL) {
        struct handoff *next = h->next;
        session_start(f, h->fd, &h->peer);
        free(h);
        h = next;
    }
    /* They were accepted by a worker that had not begun to drain. */
    if (f->is_draining) {
        drain_sessions(f);
        front_check_empty(f);
    }
}

/* --- making room ------------------------------------------------------- */

/* Ends the first of the list that is idle: one whose bytes wait to be read is
   not, nor is a new one that has not had its time to speak. */
static bool
shed_first(struct front_worker *f, struct list *of)
{
    unsigned looks = 0;

    LIST_EACH (link, of) {
        struct session *s = CONTAINER_OF(link, struct session, link);
        MUST_OBJ(s, SESSION_MAGIC);
        MUST(s->state == SESSION_IDLE);
        if (session_may_speak(s) || looks++ == SHED_LOOKS) {
            return false;
        }
        if (conn_is_quiet(s->conn)) {
            worker_count_limit(f->worker, LIMIT_IDLE_SHED);
            session_end(s, false);
            return true;
        }
    }
    return false;
}

/* Who has never said a word goes first, then who has been idle longest, then
   who has lingered longest. False: there is none of these. */
static bool
shed_one(struct front_worker *f)
{
    struct list *lingers = list_first(&f->lingering);

    if (shed_first(f, &f->fresh) || shed_first(f, &f->idle)) {
        return true;
    }
    if (lingers != NULL) {
        worker_count_limit(f->worker, LIMIT_IDLE_SHED);
        session_end(CONTAINER_OF(lingers, struct session, link), false);
    }
    return lingers != NULL;
}

static void
on_shed(void *ctx)
{
    shed_one(OBJ_OF(struct front_worker, ctx, FRONT_WORKER_MAGIC));
}

/* Ends one such connection of this worker; if it has none, one of each other
   worker. */
static void
make_room(struct front_worker *f)
{
    struct front *front = f->front;

    if (shed_one(f)) {
        return;
    }
    for (unsigned i = 0; i < front->opts.workers; i++) {
        struct front_worker *other = front->workers[i];
        if (other != NULL && other != f) {
            loop_post(other->worker->loop, &other->shed_message);
        }
    }
}

/* Is it one of the fds kept back for origins, Redis and the small listeners?
   The kernel gives the lowest number that is free, so a number says how many
   are taken. */
static bool
is_fd_kept_back(const struct front *front, int fd)
{
    return front->opts.fds_max > 0 &&
           (unsigned)fd + FDS_KEPT_BACK >= front->opts.fds_max;
}

/* Is there room for this one, which `open` counts already? If not, why? */
static bool
is_admitted(struct front_worker *f, int fd, unsigned open,
    const struct address *peer, enum limit *out_limit)
{
    const struct front *front = f->front;
    unsigned max = front->opts.connections_max;
    bool is_fd_last = is_fd_kept_back(front, fd);
    /* A trusted proxy connects for many clients. */
    bool is_limited = !client_is_trusted(&f->worker->conf->opts, peer);

    /* This comes first: a client that has too many connections must not drive
       out those of others. */
    if (!client_counts_take(front->client_counts, peer, is_limited)) {
        *out_limit = LIMIT_CONNECTIONS_PER_IP;
        return false;
    }
    if (open > max - max / 10 || is_fd_last) {
        make_room(f);
    }
    if (open <= max && !is_fd_last) {
        return true;
    }
    *out_limit = is_fd_last ? LIMIT_FDS : LIMIT_CONNECTIONS;
    client_counts_put(front->client_counts, peer);
    return false;
}

/* --- accepting --------------------------------------------------------- */

static void
on_accept(void *ctx, int own_fd, const struct address *peer)
{
    struct front_worker *f =
        OBJ_OF(struct front_worker, ctx, FRONT_WORKER_MAGIC);
    unsigned open = atomic_fetch_add(&f->front->connections, 1) + 1;
    enum limit limit;
    struct front_worker *to;

    if (!is_admitted(f, own_fd, open, peer, &limit)) {
        atomic_fetch_sub(&f->front->connections, 1);
        refusal_start(f, own_fd, limit, peer);
        return;
    }
    to = least_loaded(f);
    if (to == f || !hand_over(to, own_fd, peer)) {
        atomic_fetch_add(&f->sessions_len, 1);
        session_start(f, own_fd, peer);
    }
}

static void
on_exhausted(void *ctx)
{
    struct front_worker *f =
        OBJ_OF(struct front_worker, ctx, FRONT_WORKER_MAGIC);

    worker_count_limit(f->worker, LIMIT_FDS);
    log_event(f->worker->ring, LOG_LEVEL_WARN, "accept_failed", "cause=\"%s\"",
        strerror(errno));
    make_room(f);
}

static const struct acceptor_callbacks acceptor_callbacks = {
    .on_accept = on_accept,
    .on_exhausted = on_exhausted,
};

enum rc
front_listen(struct front_worker *f, int fd)
{
    struct watch *watch = malloc(sizeof(*watch));

    MUST_OBJ(f, FRONT_WORKER_MAGIC);
    if (watch == NULL) {
        return RC_NOMEM;
    }
    watch->acceptor = acceptor_new(f->worker->loop, fd, &acceptor_callbacks, f);
    if (watch->acceptor == NULL) {
        free(watch);
        return RC_NOMEM;
    }
    list_init(&watch->link);
    list_push_back(&f->acceptors, &watch->link);
    return RC_OK;
}

static void
stop_listening(struct front_worker *f, bool is_orderly)
{
    struct list *link;

    while ((link = list_pop(&f->acceptors)) != NULL) {
        struct watch *watch = CONTAINER_OF(link, struct watch, link);
        if (is_orderly) {
            acceptor_finish(watch->acceptor);
        }
        acceptor_free(&watch->acceptor);
        free(watch);
    }
}

/* --- draining ---------------------------------------------------------- */

void
front_drain(struct front_worker *f)
{
    MUST_OBJ(f, FRONT_WORKER_MAGIC);
    MUST(atomic_load(&f->says_close));
    MUST(!f->is_draining);
    stop_listening(f, true);
    f->is_draining = true;
    drain_sessions(f);
}

unsigned
front_requests(const struct front_worker *f)
{
    unsigned requests = 0;

    MUST_OBJ(f, FRONT_WORKER_MAGIC);
    LIST_EACH (link, &f->sessions) {
        const struct session *s = CONTAINER_OF(link, struct session, link);

        MUST_OBJ(s, SESSION_MAGIC);
        requests += s->state == SESSION_HEAD || s->state == SESSION_BUSY;
    }
    return requests;
}

/* --- life -------------------------------------------------------------- */

struct front_worker *
front_worker_new(struct front *front, struct worker *worker,
    void (*on_empty)(void *ctx), void *ctx)
{
    struct front_worker *f = calloc(1, sizeof(*f));

    MUST_OBJ(front, FRONT_MAGIC);
    MUST_OBJ(worker, WORKER_MAGIC);
    MUST(worker->index < front->opts.workers);
    MUST(front->workers[worker->index] == NULL);
    if (f == NULL) {
        return NULL;
    }
    f->known = known_new();
    if (f->known == NULL) {
        free(f);
        return NULL;
    }
    f->magic = FRONT_WORKER_MAGIC;
    f->front = front;
    f->worker = worker;
    f->on_empty = on_empty;
    f->ctx = ctx;
    list_init(&f->acceptors);
    list_init(&f->refusals);
    list_init(&f->fresh);
    list_init(&f->idle);
    list_init(&f->lingering);
    list_init(&f->sessions);
    spare_init(&f->turns);
    loop_message_init(&f->handoff_message, on_handoffs, f);
    loop_message_init(&f->shed_message, on_shed, f);
    front->workers[worker->index] = f;
    worker->front = f;
    return f;
}

void
front_worker_stop(struct front_worker *f)
{
    struct list *link;

    MUST_OBJ(f, FRONT_WORKER_MAGIC);
    stop_listening(f, false);
    on_handoffs(f);
    refusals_end(f);
    list_splice(&f->sessions, &f->fresh);
    list_splice(&f->sessions, &f->idle);
    list_splice(&f->sessions, &f->lingering);
    while ((link = list_first(&f->sessions)) != NULL) {
        session_free(CONTAINER_OF(link, struct session, link));
    }
}

void
front_worker_free(struct front_worker **pf)
{
    struct front_worker *f = *pf;

    if (f == NULL) {
        return;
    }
    MUST_OBJ(f, FRONT_WORKER_MAGIC);
    MUST(front_is_empty(f));
    MUST(list_is_empty(&f->acceptors));
    MUST(atomic_load(&f->handoffs) == NULL);
    *pf = NULL;
    turns_free(f);
    known_free(&f->known);
    f->front->workers[f->worker->index] = NULL;
    f->worker->front = NULL;
    f->magic = 0;
    free(f);
}
