/* Connecting without blocking. */
#ifndef NEARSIDE_NET_DIAL_H
#define NEARSIDE_NET_DIAL_H

#include "nearside/net/conn.h"

/* TCP connections are probed after 15 s of silence. */
struct dial_opts {
    int64_t timeout_ms;       /* of connecting; not 0 */
    unsigned user_timeout_ms; /* TCP_USER_TIMEOUT; 0: the kernel's own */
    unsigned buffer; /* bytes, SO_RCVBUF and SO_SNDBUF; 0: the kernel's own */
};

/* The dial's memory is the caller's and stays put until it has ended. */
struct dial {
    uint32_t magic; /* while it is under way; zeroed by the caller before */
    struct conn *conn;
    struct loop_timer timer;
    struct loop_task failed; /* a failure known at once, told later */
    enum rc rc;
    /* RC_OK: own_conn is connected and wants nothing; set its owner.
       Else RC_REFUSED, RC_TIMEOUT, RC_LIMIT (no fd is left), RC_NOMEM,
       RC_IO, and own_conn is NULL. Never called from inside dial_start. */
    void (*on_done)(void *ctx, enum rc rc, struct conn *own_conn);
    void *ctx;
};

void dial_start(struct dial *dial, struct loop *loop, const struct address *to,
    const struct dial_opts *opts);

/* on_done will not come; harmless when the dial has ended. */
void dial_cancel(struct dial *dial);

#endif
