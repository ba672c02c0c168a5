/*
 * A session: one client connection speaking HTTP/1.1 (RFC 9112). It reads
 * heads and content, hands requests on, and frames their answers; steps
 * never see framing. One request at a time: what a client sends ahead waits,
 * a little of it here and the rest in the socket.
 *
 *            first byte        head complete
 *     IDLE ------------> HEAD ---------------> BUSY --+--> IDLE, HEAD
 *       ^                  |      refused       ^     |
 *       |                  +--------------------+     +--> LINGER: our end
 *       +--- no turn is held for it           answer       is closed, the
 *                                            has left      client's drained
 *
 * From every state: DEAD, buried at the end of the loop's turn.
 *
 * An idle session holds its connection and this struct, no buffers.
 *
 * Its files, each of which calls only those below it:
 *
 *     session.c          its life: the timer, the end, what follows an answer
 *     session_read.c     the socket and heads
 *     session_known.c    hits that need no turn
 *     session_content.c  a request's content
 *     session_write.c    the answer
 *     session_state.c    what all of them share: what is read, for how long
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
    SESSION_LINGER, /* eats and drops what still comes, for a while; then the
                       end */
    SESSION_DEAD,   /* nothing; buried at the end of the turn */
};

struct session {
    struct stream stream; /* first: the request's way here */
    uint32_t magic;
    enum session_state state : 8;
    bool is_eof : 1;      /* the client sends no more */
    bool must_close : 1;  /* after this answer */
    bool is_aborted : 1;  /* its end is a reset */
    bool is_next_due : 1; /* the next head is looked at when the task runs */
    bool is_fresh : 1;    /* IDLE, and has sent nothing yet */
    struct known_client known; /* what is remembered of its requests */
    struct list link; /* of the worker: fresh, idle, lingering, or others */
    struct front_worker *front;
    struct conn *conn;
    struct turn *turn; /* in HEAD and BUSY */
    struct loop_task flush;
    struct loop_timer timer; /* it may fire early in BUSY, where its deadline
                                moves with every byte */
    union {
        int64_t speak_until_ms;  /* while it is fresh: its time to speak */
        unsigned requests;       /* then: how many there were */
        int64_t linger_until_ms; /* in LINGER: whatever still comes */
    };
};

/* Takes the fd. Counts and limits have been seen to. */
void session_start(
    struct front_worker *f, int own_fd, const struct address *peer);

/* Ends it now, for a worker that ends. */
void session_free(struct session *s);

/* The worker drains: an idle session ends. One that has sent nothing yet has
   the rest of its time to speak, one that lingers a little longer. */
void session_drain(struct session *s);

/* --- session_state.c --- */

static inline struct worker *
session_worker(const struct session *s)
{
    return s->front->worker;
}

static inline const struct limits *
session_limits(const struct session *s)
{
    return &s->front->worker->conf->opts.limits;
}

static inline int64_t
session_now_ms(const struct session *s)
{
    return worker_now_ms(s->front->worker);
}

/* Is it new, and may be about to send its first request? */
static inline bool
session_may_speak(const struct session *s)
{
    return s->is_fresh && session_now_ms(s) < s->speak_until_ms;
}

struct session *session_of(struct stream *stream);
void session_place(struct session *s, struct list *where); /* at its end */
void session_leave(struct session *s); /* it lingers no more */

/* Nobody takes what is left of its content: that is read unparsed and
   dropped. */
void session_refuse_body(struct session *s);

/* Decides whether the socket is read. */
void session_wants(struct session *s);

/* From now on the client is given its time for the next of its content. */
void session_await_body(struct session *s);

/* Sets the timer by what it waits for. */
void session_arm(struct session *s);

/* Ends it at the end of the loop's turn, with a reset if is_abort. */
void session_end(struct session *s, bool is_abort);

/* --- session_write.c --- */

/* Why no more of the answer was written. */
enum write_state {
    WRITTEN_ALL,        /* it has left */
    WRITTEN_PART,       /* the socket is full, or the session has had its share
                           of this turn of the loop; the timer runs */
    WRITTEN_SO_FAR,     /* the source holds no more for now */
    WRITTEN_NO_FURTHER, /* client or source are broken */
};

/* Writes as much of the answer as there is and the socket takes. */
enum write_state session_write(struct session *s);
void session_write_interim(struct session *s); /* what is left of it */

void stream_respond(struct stream *stream, const struct response *response);
void stream_interim(
    struct stream *stream, unsigned status, struct slice fields);

/* --- session_content.c --- */

/* Decodes what is at hand for as long as the request takes it. */
void session_pump_body(struct session *s);

/* Fails the content if it is late or slow; sets the timer if not. */
void session_check_body(struct session *s);

void stream_want_body(struct stream *stream);

/* --- session_known.c --- */

/* The first bytes of a head are at hand. If it can be answered at once, it is,
   and *first is what follows it. If only a part of the answer has left, *first
   stays, and front->begun says so. */
void session_answer_known(struct session *s, struct slice *first);

/* Its request goes on with that answer. */
void session_resume_known(struct session *s);

/* Its request's answer has left. */
void session_learn(struct session *s);

/* --- session_read.c --- */

void session_read(struct session *s);      /* the socket is readable */
void session_read_head(struct session *s); /* bytes are at hand */

/* A request that stands for a head that was not read, so that it is counted
   and logged like any other. NULL: no memory. */
struct request *session_unread(struct session *s);

/* Answers a head that is not served, and closes after that. */
void session_refuse(struct session *s, unsigned status, const char *detail);

#endif
