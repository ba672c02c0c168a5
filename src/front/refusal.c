/*
 * Who is turned away is told so by a 503, without a session: there is no room
 * for one.
 *
 * Closing at once would destroy the answer: the kernel answers the request that
 * is on its way with a reset, and a client that sees it may give up before it
 * has read. So only our direction ends, and what the client sends is dropped
 * until it closes, for a second at most.
 *
 * As many may be so heard out at once as sessions may linger, and far fewer
 * when files are short; beyond that the one goes that has been at it longest.
 */
#include <stdlib.h>
#include <unistd.h>

#include "nearside/base/log.h"
#include "nearside/net/conn.h"
#include "front/front_inside.h"

#define REFUSAL_MAGIC UINT32_C(0x6e726566)

enum {
    REFUSAL_MS = 1000,
    READ_MAX = 16384,
    /* Of the fds that are kept back for others. */
    FDS_SHORT_MAX = 8,
};

struct refusal {
    uint32_t magic;
    struct list link; /* of its worker, the longest first */
    struct front_worker *front;
    struct conn *conn;
    struct loop_timer timer;
};

static void
refusal_end(struct refusal *r)
{
    struct front_worker *f = r->front;

    MUST_OBJ(r, REFUSAL_MAGIC);
    conn_close(&r->conn);
    loop_timer_cancel(&r->timer);
    list_remove(&r->link);
    atomic_fetch_sub(&f->front->refusals, 1);
    r->magic = 0;
    free(r);
    front_check_empty(f);
}

static void
on_readable(void *ctx)
{
    struct refusal *r = OBJ_OF(struct refusal, ctx, REFUSAL_MAGIC);
    char dropped[READ_MAX];
    size_t n;
    enum rc rc = conn_read(r->conn, dropped, sizeof(dropped), &n);

    if (rc != RC_OK && rc != RC_AGAIN) {
        refusal_end(r);
    }
}

static void
on_late(void *ctx)
{
    refusal_end(OBJ_OF(struct refusal, ctx, REFUSAL_MAGIC));
}

static const struct conn_callbacks callbacks = {.on_readable = on_readable};

static void
end_first(struct front_worker *f)
{
    MUST(!list_is_empty(&f->refusals));
    refusal_end(CONTAINER_OF(list_first(&f->refusals), struct refusal, link));
}

/* Hears out the client of an answer that has left. */
static void
hear_out(struct front_worker *f, int own_fd, unsigned max)
{
    struct refusal *r = calloc(1, sizeof(*r));
    struct conn *conn = conn_new(f->worker->loop, own_fd, &callbacks, r);

    if (r == NULL || conn == NULL) {
        conn_close(&conn);
        free(r);
        return;
    }
    r->magic = REFUSAL_MAGIC;
    r->front = f;
    r->conn = conn;
    list_init(&r->link);
    list_push_back(&f->refusals, &r->link);
    loop_timer_init(&r->timer, f->worker->loop, on_late, r);
    loop_timer_arm(&r->timer, worker_now_ms(f->worker) + REFUSAL_MS);
    conn_shutdown_write(conn);
    conn_want_read(conn, true);
    if (atomic_fetch_add(&f->front->refusals, 1) >= max) {
        end_first(f);
    }
}

static void
warn(struct front_worker *f, enum limit limit, const struct address *peer)
{
    struct front *front = f->front;
    char shown[ADDRESS_TEXT_MAX];

    atomic_fetch_add(&front->unsaid, 1);
    if (!front_may_warn(f, &front->refusal_warn_ms)) {
        return;
    }
    log_event(f->worker->ring, LOG_LEVEL_WARN, "turned_away",
        "limit=\"%s\" peer=\"%s\" connections=\"%u\" times=\"%u\"",
        limit_text(limit), address_host_text(peer, shown),
        atomic_load(&front->connections), atomic_exchange(&front->unsaid, 0));
}

void
refusal_start(struct front_worker *f, int own_fd, enum limit limit,
    const struct address *peer)
{
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\n"
                                 "content-length: 0\r\n"
                                 "retry-after: 1\r\n"
                                 "connection: close\r\n\r\n";
    unsigned max = f->worker->conf->opts.limits.linger_max;

    MUST_OBJ(f, FRONT_WORKER_MAGIC);
    worker_count_limit(f->worker, limit);
    warn(f, limit, peer);
    (void)send(own_fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    hear_out(f, own_fd,
        limit == LIMIT_FDS && max > FDS_SHORT_MAX ? FDS_SHORT_MAX : max);
}

void
refusals_end(struct front_worker *f)
{
    MUST_OBJ(f, FRONT_WORKER_MAGIC);
    while (!list_is_empty(&f->refusals)) {
        end_first(f);
    }
}
