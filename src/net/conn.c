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

/* An idle client holds one of these, so it is small. */
struct conn {
    struct event event;
    struct loop *loop;
    const struct conn_callbacks *callbacks;
    void *ctx;
    uint32_t magic;
    int fd;
    union {
        struct in_addr v4;
        struct in6_addr v6;
    } peer;
    in_port_t peer_port;
    uint8_t peer_family; /* AF_INET or AF_INET6; 0: none */
    uint8_t wants;       /* EV_READ, EV_WRITE */
    bool is_broken;
    bool was_writer; /* the last callback when both were ready */
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

static void
set_wants(struct conn *conn, int wants)
{
    if (wants == conn->wants) {
        return;
    }
    if (conn->wants != 0) {
        event_del(&conn->event);
    }
    conn->wants = (uint8_t)wants;
    if (wants == 0) {
        return;
    }
    event_assign(&conn->event, conn->loop->base, conn->fd,
        (short)(wants | EV_PERSIST), on_event, conn);
    if (conn->is_broken || event_add(&conn->event, NULL) != 0) {
        conn->is_broken = true;
        event_active(&conn->event, EV_READ, 0);
    }
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
    set_wants(conn, 0);
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

void
conn_want_read(struct conn *conn, bool is_wanted)
{
    MUST_OBJ(conn, CONN_MAGIC);
    set_wants(conn, (conn->wants & EV_WRITE) | (is_wanted ? EV_READ : 0));
}

void
conn_want_write(struct conn *conn, bool is_wanted)
{
    MUST_OBJ(conn, CONN_MAGIC);
    set_wants(conn, (conn->wants & EV_READ) | (is_wanted ? EV_WRITE : 0));
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
    size_t len = count > 1 ? gather(iov, count, text) : 0;
    ssize_t n;

    MUST_OBJ(conn, CONN_MAGIC);
    if (count == 1) {
        n = send(conn->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL);
    } else if (len > 0) {
        n = send(conn->fd, text, len, MSG_NOSIGNAL);
    } else {
        n = sendmsg(conn->fd, &all, MSG_NOSIGNAL);
    }
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
    out->u.any.sa_family = conn->peer_family;
    switch (conn->peer_family) {
    case AF_INET:
        out->len = sizeof(out->u.v4);
        out->u.v4.sin_port = conn->peer_port;
        out->u.v4.sin_addr = conn->peer.v4;
        break;
    case AF_INET6:
        out->len = sizeof(out->u.v6);
        out->u.v6.sin6_port = conn->peer_port;
        out->u.v6.sin6_addr = conn->peer.v6;
        break;
    default:
        out->len = sizeof(sa_family_t);
        out->u.any.sa_family = AF_UNIX;
        break;
    }
}

void
conn_set_peer(struct conn *conn, const struct address *peer)
{
    MUST_OBJ(conn, CONN_MAGIC);
    conn->peer_family = 0;
    if (peer->len == 0) {
        return;
    }
    if (peer->u.any.sa_family == AF_INET) {
        conn->peer_family = AF_INET;
        conn->peer_port = peer->u.v4.sin_port;
        conn->peer.v4 = peer->u.v4.sin_addr;
    } else if (peer->u.any.sa_family == AF_INET6) {
        conn->peer_family = AF_INET6;
        conn->peer_port = peer->u.v6.sin6_port;
        conn->peer.v6 = peer->u.v6.sin6_addr;
    }
}
