/*
 * Listening: opening the socket once, watching it from any loop. Several
 * loops may watch one fd: whoever is awake takes the connection, the others
 * find nothing, which is no error.
 */
#include "nearside/net/listen.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/loop_inside.h"

#define ACCEPTOR_MAGIC UINT32_C(0x6e616363)

enum {
    ACCEPT_TURN_MAX = 16,
    ACCEPT_REST_MS = 100,
};

/* A socket file nobody answers on was left by a process that died. */
static void
unlink_stale(const struct address *at)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct stat st;

    if (fd < 0) {
        return;
    }
    if (lstat(at->u.unix_.sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
        connect(fd, &at->u.any, at->len) != 0 && errno == ECONNREFUSED) {
        (void)unlink(at->u.unix_.sun_path);
    }
    close(fd);
}

static bool
bind_and_listen(int fd, const struct address *at, unsigned mode)
{
    int one = 1;

    if (at->u.any.sa_family == AF_UNIX) {
        unlink_stale(at);
        /* Nobody can connect before listen, so chmod comes in time. */
        return bind(fd, &at->u.any, at->len) == 0 &&
               chmod(at->u.unix_.sun_path, mode) == 0 &&
               listen(fd, SOMAXCONN) == 0;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (at->u.any.sa_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    }
    return bind(fd, &at->u.any, at->len) == 0 && listen(fd, SOMAXCONN) == 0;
}

enum rc
listen_open(const struct address *at, unsigned mode, int *out_fd,
    struct address *out_bound)
{
    int fd = socket(
        at->u.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error;

    MUST(at->len != 0);
    if (fd < 0) {
        return RC_IO;
    }
    if (!bind_and_listen(fd, at, mode) ||
        address_of_socket(fd, out_bound) != RC_OK) {
        error = errno;
        close(fd);
        errno = error;
        return error == EADDRINUSE || error == EACCES ? RC_REFUSED : RC_IO;
    }
    *out_fd = fd;
    return RC_OK;
}

void
listen_limit_unsent(int fd, size_t unsent_max)
{
    unsigned max = unsent_max < UINT_MAX ? (unsigned)unsent_max : UINT_MAX;

    /* Refused on a unix socket, whose buffer does not grow. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &max, sizeof(max));
}

struct acceptor {
    uint32_t magic;
    int fd;
    bool is_paused;
    struct loop *loop;
    const struct acceptor_callbacks *callbacks;
    void *ctx;
    struct loop_timer rest;
    struct event event;
};

/* If the kernel has no memory for watching either, it rests once more. */
static void
acceptor_watch(struct acceptor *a)
{
    if (a->is_paused || loop_timer_is_armed(&a->rest)) {
        event_del(&a->event);
    } else if (event_add(&a->event, NULL) != 0) {
        loop_timer_arm(&a->rest, loop_now_ms(a->loop) + ACCEPT_REST_MS);
    }
}

/* Out of fds or memory: the listener would be ready again at once and the
   loop would spin, so it is left alone for a while. */
static void
acceptor_rest(struct acceptor *a)
{
    loop_timer_arm(&a->rest, loop_now_ms(a->loop) + ACCEPT_REST_MS);
    acceptor_watch(a);
    a->callbacks->on_exhausted(a->ctx);
}

static void
on_rested(void *ctx)
{
    acceptor_watch(OBJ_OF(struct acceptor, ctx, ACCEPTOR_MAGIC));
}

static bool
is_exhausted(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS ||
           error == ENOMEM;
}

static void
on_acceptable(evutil_socket_t fd, short what, void *ctx)
{
    struct acceptor *a = OBJ_OF(struct acceptor, ctx, ACCEPTOR_MAGIC);
    int one = 1;

    (void)what;
    loop_enter(a->loop);
    for (int i = 0; i < ACCEPT_TURN_MAX && !a->is_paused; i++) {
        struct address peer = {.len = sizeof(peer.u)};
        int client =
            accept4(fd, &peer.u.any, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0) {
            if (is_exhausted(errno)) {
                acceptor_rest(a);
            }
            return;
        }
        if (peer.u.any.sa_family != AF_UNIX) {
            (void)setsockopt(
                client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        }
        a->callbacks->on_accept(a->ctx, client, &peer);
    }
}

struct acceptor *
acceptor_new(struct loop *loop, int fd,
    const struct acceptor_callbacks *callbacks, void *ctx)
{
    struct acceptor *a = calloc(1, sizeof(*a));

    MUST_OBJ(loop, LOOP_MAGIC);
    MUST(fd >= 0);
    MUST(callbacks != NULL);
    if (a == NULL) {
        return NULL;
    }
    a->magic = ACCEPTOR_MAGIC;
    a->fd = fd;
    a->loop = loop;
    a->callbacks = callbacks;
    a->ctx = ctx;
    loop_timer_init(&a->rest, loop, on_rested, a);
    event_assign(
        &a->event, loop->base, fd, EV_READ | EV_PERSIST, on_acceptable, a);
    acceptor_watch(a);
    return a;
}

void
acceptor_pause(struct acceptor *a, bool is_paused)
{
    MUST_OBJ(a, ACCEPTOR_MAGIC);
    a->is_paused = is_paused;
    acceptor_watch(a);
}

void
acceptor_refuse(struct acceptor *a)
{
    MUST_OBJ(a, ACCEPTOR_MAGIC);
    /* Not closed: the fd is the caller's, and others may watch it still. */
    (void)shutdown(a->fd, SHUT_RDWR);
}

void
acceptor_free(struct acceptor **pa)
{
    struct acceptor *a = *pa;

    if (a == NULL) {
        return;
    }
    MUST_OBJ(a, ACCEPTOR_MAGIC);
    *pa = NULL;
    loop_timer_cancel(&a->rest);
    event_del(&a->event);
    a->magic = 0;
    free(a);
}
