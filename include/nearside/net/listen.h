/*
 * Listening sockets. A listener is a set of fds that any worker may watch.
 */
#ifndef NEARSIDE_NET_LISTEN_H
#define NEARSIDE_NET_LISTEN_H

#include "nearside/net/conn.h"

/*
 * Binds and listens; for port 0, *bound says which port it became. A stale
 * unix socket file is replaced. mode: of a unix socket, such as 0600.
 * RC_REFUSED: in use or not allowed; RC_IO. errno is left for the message.
 */
enum rc listen_open(const struct address *at, unsigned mode, int *out_fd,
    struct address *out_bound) RC_MUST_CHECK;

/*
 * Of what is written to a connection accepted from now on, the kernel keeps
 * about this much beyond what the peer has room for; without it the socket's
 * buffer grows to megabytes, for a peer that does not read, too.
 */
void listen_limit_unsent(int fd, size_t unsent_max);

struct acceptor;

struct acceptor_callbacks {
    /* A new connection; the callee takes the fd. */
    void (*on_accept)(void *ctx, int own_fd, const struct address *peer);
    /* accept failed for want of fds or memory; watching rests 100 ms. */
    void (*on_exhausted)(void *ctx);
};

/* Watches a listening fd (borrowed) on a loop; at most 16 connections a
   turn, so that a flood of them cannot starve those that are served. */
struct acceptor *acceptor_new(struct loop *loop, int fd,
    const struct acceptor_callbacks *callbacks, void *ctx);
void acceptor_pause(struct acceptor *a, bool is_paused);

/* Whoever comes from now on is refused, also by the other acceptors of the
   fd: it listens no more. Without it connections would go on to be queued by
   the kernel until the fd is closed. */
void acceptor_refuse(struct acceptor *a);
void acceptor_free(struct acceptor **a);

#endif
