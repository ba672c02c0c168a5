/*
 * Listening: opening the socket once, watching it from any loop. Several
 * loops may watch one fd: whoever is awake takes the connection, the others
 * find nothing, which is no error.
 *
 * The end has two steps. When a TCP socket stops listening, Linux resets all
 * that it has queued and those that are amid their handshake. So newcomers
 * are kept out first, while it still listens, and what is queued is accepted;
 * only then is it shut down.
 */
#include "nearside/net/listen.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <limits.h>
#include <linux/filter.h>
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
    /* No kernel queues more for one listener. */
    QUEUE_MAX = 65536,
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
is_unix(const struct address *at)
{
    return at->u.any.sa_family == AF_UNIX;
}

/* The file that is there now; a zeroed one: there is none. */
static struct listen_file
file_at(const struct address *at)
{
    struct listen_file file = {0};
    struct stat st;

    if (lstat(at->u.unix_.sun_path, &st) == 0) {
        file = (struct listen_file){st.st_dev, st.st_ino};
    }
    return file;
}

static bool
bind_unix(struct listener *l, const struct address *at, unsigned mode)
{
    unlink_stale(at);
    if (bind(l->fd, &at->u.any, at->len) != 0) {
        return false;
    }
    l->file = file_at(at);
    /* Nobody can connect before listen, so chmod comes in time. */
    return chmod(at->u.unix_.sun_path, mode) == 0;
}

static bool
bind_tcp(struct listener *l, const struct address *at, bool is_ipv6_only)
{
    int one = 1;
    int only = is_ipv6_only;

    (void)setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (at->u.any.sa_family == AF_INET6) {
        (void)setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
    }
    return bind(l->fd, &at->u.any, at->len) == 0;
}

enum rc
listen_open(const struct address *at, const struct listen_opts *opts,
    struct listener *out)
{
    struct listener l = {.fd = socket(at->u.any.sa_family,
                             SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    int error;

    MUST(at->len != 0);
    if (l.fd < 0) {
        return RC_IO;
    }
    if ((is_unix(at) ? bind_unix(&l, at, opts->mode)
                     : bind_tcp(&l, at, opts->is_ipv6_only)) &&
        listen(l.fd, SOMAXCONN) == 0 &&
        address_of_socket(l.fd, &l.bound) == RC_OK) {
        *out = l;
        return RC_OK;
    }
    error = errno;
    close(l.fd);
    errno = error;
    return error == EADDRINUSE || error == EACCES ? RC_REFUSED : RC_IO;
}

void
listen_unlink(struct listener *l)
{
    struct listen_file now;

    if (l->file.inode == 0) {
        return;
    }
    MUST(is_unix(&l->bound));
    now = file_at(&l->bound);
    if (now.device == l->file.device && now.inode == l->file.inode) {
        (void)unlink(l->bound.u.unix_.sun_path);
    }
    l->file = (struct listen_file){0};
}

/* Drops each SYN. A SYN-ACK's answer passes, and all that comes later to the
   sockets that are made of it, which inherit the filter. */
static void
drop_syns(int fd)
{
    enum {
        FLAGS_AT = 13,
        SYN = 0x02,
        ACK = 0x10
    };
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_AT),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = {ARRAY_LEN(code), code};

    /* Where it is refused, who comes within the last moment is reset. */
    (void)setsockopt(
        fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

void
listen_hold(struct listener *l)
{
    MUST(l->fd >= 0);
    if (is_unix(&l->bound)) {
        listen_unlink(l);
    } else {
        drop_syns(l->fd);
    }
}

void
listen_close(struct listener *l)
{
    if (l->fd >= 0) {
        listen_unlink(l);
        close(l->fd);
        l->fd = -1;
    }
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

/* False: none was there, and errno says why. */
static bool
accept_one(struct acceptor *a)
{
    struct address peer = {.len = sizeof(peer.u)};
    int one = 1;
    int client =
        accept4(a->fd, &peer.u.any, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (client < 0) {
        return false;
    }
    if (!is_unix(&peer)) {
        (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        address_unmap(&peer);
    }
    a->callbacks->on_accept(a->ctx, client, &peer);
    return true;
}

static void
on_acceptable(evutil_socket_t fd, short what, void *ctx)
{
    struct acceptor *a = OBJ_OF(struct acceptor, ctx, ACCEPTOR_MAGIC);

    (void)fd;
    (void)what;
    loop_enter(a->loop);
    for (int i = 0; i < ACCEPT_TURN_MAX && !a->is_paused; i++) {
        if (!accept_one(a)) {
            if (is_exhausted(errno)) {
                acceptor_rest(a);
            }
            return;
        }
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

/* Did accept fail with one connection alone? Then others may be behind it. */
static bool
is_of_one(int error)
{
    return error == ECONNABORTED || error == EPROTO || error == EINTR;
}

void
acceptor_finish(struct acceptor *a)
{
    MUST_OBJ(a, ACCEPTOR_MAGIC);
    for (int i = 0; i < QUEUE_MAX && (accept_one(a) || is_of_one(errno)); i++) {
    }
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
