/*
 * A connection: a socket and the two things one can wait for.
 *
 * One level-triggered event waits for what is wanted just now; it is set
 * anew when that changes, which is rare: most connections only ever read.
 * When both are ready the writer and the reader take turns.
 * Nothing is touched after a callback, which may have closed the connection.
 *
 * The kernel may have no memory for waiting. Then the connection is broken,
 * and its owner learns of it as of any other end: it is called, and reading
 * fails.
 */
#include "nearside/net/conn.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/loop_inside.h"

#define CONN_MAGIC UINT32_C(0x6e636f6e)

struct conn {
    uint32_t magic;
    int fd;
    bool is_read_wanted;
    bool is_write_wanted;
    bool is_broken;
    bool was_writer; /* the last callback when both were ready */
    struct loop *loop;
    const struct conn_callbacks *callbacks;
    void *ctx;
    struct event event;
    struct loop_task broken;  /* tells the owner at the end of the turn */
    struct sockaddr_in6 peer; /* or a sockaddr_in; family 0: none */
};

static void
on_event(evutil_socket_t fd, short what, void *ctx)
{
    struct conn *conn = OBJ_OF(struct conn, ctx, CONN_MAGIC);

    (void)fd;
    loop_enter(conn->loop);
    if (what == (EV_READ | EV_WRITE)) {
        conn->was_writer = !conn->was_writer;
        what = conn->was_writer ? EV_WRITE : EV_READ;
    }
    if ((what & EV_WRITE) != 0) {
        conn->callbacks->on_writable(conn->ctx);
    } else {
        conn->callbacks->on_readable(conn->ctx);
    }
}

static void
on_broken(void *ctx)
{
    struct conn *conn = OBJ_OF(struct conn, ctx, CONN_MAGIC);

    conn->callbacks->on_readable(conn->ctx);
}

struct conn *
conn_new(struct loop *loop, int own_fd, const struct conn_callbacks *callbacks,
    void *ctx)
{
    struct conn *conn = calloc(1, sizeof(*conn));

    MUST_OBJ(loop, LOOP_MAGIC);
    MUST(own_fd >= 0);
    MUST(callbacks != NULL);
    if (conn == NULL) {
        close(own_fd);
        return NULL;
    }
    conn->magic = CONN_MAGIC;
    conn->fd = own_fd;
    conn->loop = loop;
    conn->callbacks = callbacks;
    conn->ctx = ctx;
    loop_task_init(&conn->broken, on_broken, conn);
    return conn;
}

void
conn_set_owner(
    struct conn *conn, const struct conn_callbacks *callbacks, void *ctx)
{
    MUST_OBJ(conn, CONN_MAGIC);
    MUST(callbacks != NULL);
    conn->callbacks = callbacks;
    conn->ctx = ctx;
}

void
conn_close(struct conn **pconn)
{
    struct conn *conn = *pconn;

    if (conn == NULL) {
        return;
    }
    MUST_OBJ(conn, CONN_MAGIC);
    *pconn = NULL;
    conn_want_read(conn, false);
    conn_want_write(conn, false);
    loop_task_cancel(&conn->broken);
    close(conn->fd);
    conn->magic = 0;
    free(conn);
}

void
conn_abort(struct conn **pconn)
{
    static const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    if (*pconn != NULL) {
        MUST_OBJ(*pconn, CONN_MAGIC);
        /* Refused on a unix socket, where there is no reset. */
        (void)setsockopt(
            (*pconn)->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    }
    conn_close(pconn);
}

static void
wants_changed(struct conn *conn, bool was_waiting)
{
    short what = EV_PERSIST;

    if (was_waiting) {
        event_del(&conn->event);
    }
    what |= conn->is_read_wanted ? EV_READ : 0;
    what |= conn->is_write_wanted ? EV_WRITE : 0;
    if (what == EV_PERSIST) {
        return;
    }
    event_assign(
        &conn->event, conn->loop->base, conn->fd, what, on_event, conn);
    if (event_add(&conn->event, NULL) != 0) {
        conn->is_broken = true;
        loop_defer(conn->loop, &conn->broken);
    }
}

void
conn_want_read(struct conn *conn, bool is_wanted)
{
    bool was_waiting = conn->is_read_wanted || conn->is_write_wanted;

    MUST_OBJ(conn, CONN_MAGIC);
    if (conn->is_read_wanted != is_wanted) {
        conn->is_read_wanted = is_wanted;
        wants_changed(conn, was_waiting);
    }
}

void
conn_want_write(struct conn *conn, bool is_wanted)
{
    bool was_waiting = conn->is_read_wanted || conn->is_write_wanted;

    MUST_OBJ(conn, CONN_MAGIC);
    if (conn->is_write_wanted != is_wanted) {
        conn->is_write_wanted = is_wanted;
        wants_changed(conn, was_waiting);
    }
}

static bool
is_passing(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

enum rc
conn_read(struct conn *conn, void *to, size_t cap, size_t *out_n)
{
    ssize_t n;

    MUST_OBJ(conn, CONN_MAGIC);
    MUST(cap > 0); /* else nothing read would look like the end */
    if (conn->is_broken) {
        return RC_IO;
    }
    n = read(conn->fd, to, cap);
    if (n > 0) {
        *out_n = (size_t)n;
        return RC_OK;
    }
    if (n == 0) {
        return RC_CLOSED;
    }
    return is_passing(errno) ? RC_AGAIN : RC_IO;
}

enum {
    /* Up to here it is cheaper to lay the parts together than to have the
       kernel walk them. */
    GATHER_MAX = 2048,
};

/* Lays small parts together in `to`; 0: they are too large for that. */
static size_t
gather(const struct iovec *iov, int count, char to[GATHER_MAX])
{
    size_t len = 0;

    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len > GATHER_MAX - len) {
            return 0;
        }
        if (iov[i].iov_len > 0) {
            memcpy(to + len, iov[i].iov_base, iov[i].iov_len);
        }
        len += iov[i].iov_len;
    }
    return len;
}

enum rc
conn_writev(
    struct conn *conn, const struct iovec *iov, int count, size_t *out_n)
{
    const struct msghdr all = {
        .msg_iov = (struct iovec *)(uintptr_t)iov,
        .msg_iovlen = (size_t)count,
    };
    char text[GATHER_MAX];
    size_t len = gather(iov, count, text);
    ssize_t n;

    MUST_OBJ(conn, CONN_MAGIC);
    n = len > 0 ? send(conn->fd, text, len, MSG_NOSIGNAL)
                : sendmsg(conn->fd, &all, MSG_NOSIGNAL);

    if (n > 0) {
        *out_n = (size_t)n;
        return RC_OK;
    }
    if (n == 0 || is_passing(errno)) {
        return RC_AGAIN;
    }
    return errno == EPIPE || errno == ECONNRESET ? RC_CLOSED : RC_IO;
}

void
conn_shutdown_write(struct conn *conn)
{
    MUST_OBJ(conn, CONN_MAGIC);
    (void)shutdown(conn->fd, SHUT_WR);
}

enum rc
conn_connect_result(struct conn *conn)
{
    int error = 0;
    socklen_t len = sizeof(error);

    MUST_OBJ(conn, CONN_MAGIC);
    if (conn->is_broken ||
        getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        return RC_IO;
    }
    switch (error) {
    case 0:
        return RC_OK;
    case ECONNREFUSED:
        return RC_REFUSED;
    case ETIMEDOUT:
        return RC_TIMEOUT;
    default:
        return RC_IO;
    }
}

bool
conn_is_quiet(struct conn *conn)
{
    char byte;
    ssize_t n;

    MUST_OBJ(conn, CONN_MAGIC);
    n = recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n < 0 && is_passing(errno);
}

void
conn_peer(const struct conn *conn, struct address *out)
{
    MUST_OBJ(conn, CONN_MAGIC);
    memset(out, 0, sizeof(*out));
    switch (conn->peer.sin6_family) {
    case AF_INET:
        out->len = sizeof(struct sockaddr_in);
        break;
    case AF_INET6:
        out->len = sizeof(struct sockaddr_in6);
        break;
    default:
        out->len = sizeof(sa_family_t);
        out->u.any.sa_family = AF_UNIX;
        return;
    }
    memcpy(&out->u, &conn->peer, out->len);
}

void
conn_set_peer(struct conn *conn, const struct address *peer)
{
    MUST_OBJ(conn, CONN_MAGIC);
    memset(&conn->peer, 0, sizeof(conn->peer));
    if (peer->len != 0 && peer->u.any.sa_family != AF_UNIX) {
        memcpy(&conn->peer, &peer->u, peer->len);
    }
}

struct loop *
conn_loop(const struct conn *conn)
{
    MUST_OBJ(conn, CONN_MAGIC);
    return conn->loop;
}
