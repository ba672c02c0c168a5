/*
 * A session: one client connection speaking HTTP/1.1 (RFC 9112). It reads
 * heads and content, hands requests on, and frames their answers; steps
 * never see framing. One request at a time: what a client sends ahead waits,
 * a little of it here and the rest in the socket.
 *
 *            first byte        head complete
 *     IDLE ------------> HEAD ---------------> BUSY --+--> IDLE, HEAD
 *       ^                                       answer, |
 *       +--- no turn is held for it             content  +--> LINGER: our end
 *                                                 done       is closed, the
 *                                                            client's drained
 *
 * An idle session holds its connection and this struct, no buffers.
 */
#ifndef FRONT_H1_SESSION_H
#define FRONT_H1_SESSION_H

#include "nearside/net/conn.h"
#include "nearside/request/request.h"
#include "front/h1/turn.h"

#define SESSION_MAGIC UINT32_C(0x6e736573)

enum session_state {
    SESSION_IDLE,   /* no byte of a request; waits for one */
    SESSION_HEAD,   /* eats a head; then BUSY */
    SESSION_BUSY,   /* eats content, writes the answer; then IDLE or HEAD */
    SESSION_LINGER, /* eats and drops what still comes; then the end */
    SESSION_DEAD,   /* nothing; buried at the end of the turn */
};

struct session {
    struct stream stream; /* first: the request's way here */
    uint32_t magic;
    enum session_state state;
    struct list link; /* worker's idle ones, longest idle first; or others */
    struct front_worker *front;
    struct conn *conn;
    struct turn *turn; /* in HEAD and BUSY */
    struct loop_task flush;
    struct loop_timer timer;
    unsigned requests;
    uint32_t linger_left;
    bool is_eof;      /* the client sends no more */
    bool must_close;  /* after this answer */
    bool is_aborted;  /* its end is a reset */
    bool is_next_due; /* the next head is looked at when the task runs */
};

/* Takes the fd. Counts and limits have been seen to. */
void session_start(
    struct front_worker *f, int own_fd, const struct address *peer);

/* Ends it at the end of the loop's turn, with a reset if is_abort. */
void session_end(struct session *s, bool is_abort);

/* Ends it now, for a worker that ends. */
void session_free(struct session *s);

/* The worker drains: an idle session ends, a busy one after its answer. */
void session_drain(struct session *s);

/* --- between the session's files --- */

static inline struct worker *
session_worker(const struct session *s)
{
    return s->front->worker;
}

static inline const struct limits *
session_limits(const struct session *s)
{
    return &s->front->worker->conf->limits;
}

/* session_read.c */
void session_refuse(struct session *s, unsigned status, const char *detail);
void session_read(struct session *s);      /* the socket is readable */
void session_read_head(struct session *s); /* bytes are at hand */

/* session_content.c */
void session_pump_body(struct session *s);

/* session_write.c */
void session_write(struct session *s); /* as much as the socket takes */
void session_write_interim(struct session *s);

/* session.c */
void session_arm(struct session *s);
void session_place(struct session *s, struct list *where); /* at its end */
void session_wants(struct session *s);
void session_check_body(struct session *s); /* its rate; arms the timer */
void session_answered(struct session *s);

/* The stream's operations, in the files that read and write. */
void stream_respond(struct stream *stream, const struct response *response);
void stream_interim(
    struct stream *stream, unsigned status, struct slice fields);
void stream_want_body(struct stream *stream);
struct session *session_of(struct stream *stream);

#endif
