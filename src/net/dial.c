/*
 * Connecting: a non-blocking connect, a deadline, one answer. A failure that
 * the kernel tells at once is handed on at the end of the turn, so that
 * dial_start never calls its caller back.
 */
#include "nearside/net/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#define DIAL_MAGIC UINT32_C(0x6e646961)

enum {
    DIAL_KEEPALIVE_S = 15,
};

/* It is over; its connection, which may be NULL, is handed on. */
static struct conn *
dial_stop(struct dial *dial)
{
    struct conn *conn = dial->conn;

    loop_timer_cancel(&dial->timer);
    loop_task_cancel(&dial->failed);
    dial->conn = NULL;
    dial->magic = 0;
    return conn;
}

static void
dial_end(struct dial *dial, enum rc rc)
{
    struct conn *conn = dial_stop(dial);

    if (rc != RC_OK) {
        conn_close(&conn);
    } else {
        conn_want_write(conn, false);
    }
    dial->on_done(dial->ctx, rc, conn);
}

static void
on_connected(void *ctx)
{
    struct dial *dial = OBJ_OF(struct dial, ctx, DIAL_MAGIC);

    dial_end(dial, conn_connect_result(dial->conn));
}

static void
on_timeout(void *ctx)
{
    dial_end(OBJ_OF(struct dial, ctx, DIAL_MAGIC), RC_TIMEOUT);
}

static void
on_failed(void *ctx)
{
    struct dial *dial = OBJ_OF(struct dial, ctx, DIAL_MAGIC);

    MUST(dial->rc != RC_OK);
    dial_end(dial, dial->rc);
}

static const struct conn_callbacks dial_callbacks = {
    .on_readable = on_connected,
    .on_writable = on_connected,
};

static void
set_options(int fd, const struct address *to, const struct dial_opts *opts)
{
    int one = 1;
    int idle_s = DIAL_KEEPALIVE_S;
    unsigned user_timeout = opts->user_timeout_ms;
    unsigned buffer = opts->buffer / 2; /* the kernel doubles it */

    if (to->u.any.sa_family == AF_UNIX) {
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (user_timeout != 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout,
            sizeof(user_timeout));
    }
    if (buffer != 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &idle_s, sizeof(idle_s));
}

/* The first four are for want of something on our side. EAGAIN: a unix socket
 * whose backlog is full. */
static enum rc
rc_of(int error)
{
    switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return RC_LIMIT;
    case ECONNREFUSED:
    case ENOENT:
    case EAGAIN:
        return RC_REFUSED;
    default:
        return RC_IO;
    }
}

static enum rc
dial_connect(struct dial *dial, struct loop *loop, const struct address *to,
    const struct dial_opts *opts)
{
    int fd = socket(
        to->u.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return rc_of(errno);
    }
    set_options(fd, to, opts);
    if (connect(fd, &to->u.any, to->len) != 0 && errno != EINPROGRESS) {
        enum rc rc = rc_of(errno);
        close(fd);
        return rc;
    }
    dial->conn = conn_new(loop, fd, &dial_callbacks, dial);
    if (dial->conn == NULL) {
        return RC_NOMEM;
    }
    conn_want_write(dial->conn, true);
    return RC_OK;
}

void
dial_start(struct dial *dial, struct loop *loop, const struct address *to,
    const struct dial_opts *opts)
{
    MUST(opts->timeout_ms > 0);
    MUST(dial->on_done != NULL);
    MUST(to->len != 0);
    MUST(dial->magic != DIAL_MAGIC); /* one at a time */
    dial->magic = DIAL_MAGIC;
    dial->conn = NULL;
    loop_timer_init(&dial->timer, loop, on_timeout, dial);
    loop_task_init(&dial->failed, on_failed, dial);
    dial->rc = dial_connect(dial, loop, to, opts);
    if (dial->rc != RC_OK) {
        loop_defer(loop, &dial->failed);
        return;
    }
    loop_timer_arm(&dial->timer, loop_now_ms(loop) + opts->timeout_ms);
}

void
dial_cancel(struct dial *dial)
{
    struct conn *conn;

    if (dial->magic == 0) {
        return;
    }
    MUST(dial->magic == DIAL_MAGIC);
    conn = dial_stop(dial);
    conn_close(&conn);
}
