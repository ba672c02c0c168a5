/*
 * Listening sockets. A listener is a set of fds that any worker may watch.
 */
#ifndef NEARSIDE_NET_LISTEN_H
#define NEARSIDE_NET_LISTEN_H

#include <sys/types.h>

#include "nearside/net/conn.h"

/* A unix socket's file, by which one's own is told from another's that was
   bound at the same path later. */
struct listen_file {
    dev_t device;
    ino_t inode; /* 0: none, or none any more */
};

struct listener {
    int fd;               /* -1: none */
    struct address bound; /* for port 0, with the port that it became */
    struct listen_file file;
};

struct listen_opts {
    unsigned mode;     /* of a unix socket, such as 0600 */
    bool is_ipv6_only; /* [::] does not take IPv4 too */
};

/*
 * Binds and listens. A stale unix socket file is replaced. A client who comes
 * over IPv4 to [::] has an IPv4 address.
 * RC_REFUSED: in use or not allowed; RC_IO. errno is left for the message.
 */
enum rc listen_open(const struct address *at, const struct listen_opts *opts,
    struct listener *out) RC_MUST_CHECK;

/* Removes the file of a unix socket, if it is still this one's. */
void listen_unlink(struct listener *l);

/*
 * Keeps newcomers out, while those go on to be accepted who are queued or amid
 * their handshake. Over TCP a newcomer's SYN is dropped, so that it asks again
 * a second later: by then it is refused, or served by who has taken the port.
 * A unix socket's file is removed.
 */
void listen_hold(struct listener *l);

/* Closes it, and removes the file; harmless on one that is not open. */
void listen_close(struct listener *l);

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

/* Accepts all that is queued. After that the fd listens no more, also for its
   other acceptors: who comes then is refused. listen_hold comes before, so
   that nobody comes in between. */
void acceptor_finish(struct acceptor *a);
void acceptor_free(struct acceptor **a);

#endif
