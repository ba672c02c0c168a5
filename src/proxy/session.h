/*
 * A session: one client connection speaking HTTP/1.1 (RFC 9112). It reads
 * heads and content, hands requests on, and frames their answers; steps
 * never see framing. One request at a time: what a client sends ahead waits,
 * a little of it here and the rest in the socket.
 *
 *            first byte        head complete
 *     IDLE ------------> HEAD ---------------> BUSY --+--> IDLE, HEAD
 *       ^                                       answer, |
 *       +--- nothing is held for it            content  +--> LINGER: our end
 *                                                 done       is closed, the
 *                                                            client's drained
 *
 * An idle session holds its connection and this struct, no buffers.
 */
#ifndef PROXY_SESSION_H
#define PROXY_SESSION_H

#include "nearside/http/chunk.h"
#include "nearside/net/conn.h"
#include "proxy/request.h"

#define SESSION_MAGIC UINT32_C(0x6e736573)

struct session;

enum session_state {
    SESSION_IDLE,   /* no byte of a request; waits for one */
    SESSION_HEAD,   /* eats a head; then BUSY */
    SESSION_BUSY,   /* eats content, writes the answer; then IDLE or HEAD */
    SESSION_LINGER, /* eats and drops what still comes; then the end */
    SESSION_DEAD,   /* nothing; buried at the end of the turn */
};

enum body_state {
    BODY_NONE,    /* none, or all of it was read */
    BODY_WAITING, /* not yet wanted */
    BODY_WANTED,  /* is read */
    BODY_STUCK,   /* its reader takes no more for now */
};

/* The answer under way. Written in batches: what stands before the data, the
   data, what stands behind it. */
struct session_out {
    bool is_active;
    bool is_chunked;
    bool is_close; /* the end of the connection is the end of the body */
    bool has_body;
    bool has_sent_last; /* chunked: the last chunk is in post, or out */
    bool is_first_chunk;
    struct slice pre[5]; /* the head; left to write */
    unsigned pre_len;
    struct slice size_line; /* chunked: before the data */
    uint64_t data_left;     /* of this batch */
    struct slice interim;   /* the rest of a 1xx response, before the head */
    struct slice post;
    uint64_t length_left; /* with a Content-Length */
    uint64_t body_sent;
    int64_t waited_ms;             /* for the client, in all, before that: */
    int64_t wait_since_ms;         /* it waits for the client; 0: it does not */
    int64_t gap_deadline_ms;       /* while it waits for the client */
    char line[CHUNK_LINE_MAX + 2]; /* CRLF of the last chunk, next size */
};

/* The request's content under way. */
struct session_in {
    enum body_state state;
    enum framing framing;
    uint64_t left; /* with FRAMING_LENGTH */
    struct chunk chunk;
    struct slice rest;    /* bytes behind the head, in request->in */
    struct slice pending; /* decoded, not yet taken by the request */
    size_t eaten;         /* of the input, by what is pending */
    bool is_last;         /* the content ends with what is pending */
    uint64_t received;    /* bytes on the wire, for the rate */
    uint64_t content;     /* of them, content */
    int64_t start_ms;     /* put off by as long as it was stuck */
    int64_t stuck_ms;     /* BODY_STUCK: since when */
    int64_t gap_deadline_ms;
};

struct session {
    struct stream stream; /* first: the request's way here */
    uint32_t magic;
    enum session_state state;
    struct list link; /* worker's idle ones, longest idle first; or others */
    struct worker *worker;
    struct conn *conn;
    struct request *request; /* from the first byte to the end */
    struct buf more;         /* read behind the head: content, next head */
    struct session_in in;
    struct session_out out;
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
    struct worker *worker, int own_fd, const struct address *peer);

/* Ends it at the end of the turn, with a reset if is_abort. */
void session_end(struct session *s, bool is_abort);

/* Ends it now, for a worker that ends. */
void session_free(struct session *s);

/* The worker drains: an idle session ends, a busy one after its answer. */
void session_drain(struct session *s);

/* --- between the session's files --- */

void session_read(struct session *s);      /* the socket is readable */
void session_read_head(struct session *s); /* bytes are at hand */
void session_pump_body(struct session *s);
void session_check_body(struct session *s); /* its rate; arms the timer */
void session_write(struct session *s);      /* as much as the socket takes */
void session_write_interim(struct session *s);
void session_answered(struct session *s);
void session_arm(struct session *s);
void session_place(struct session *s, struct list *where); /* at its end */
void session_wants(struct session *s);

void stream_respond(struct stream *stream, const struct response *response);
void stream_interim(
    struct stream *stream, unsigned status, struct slice fields);
void stream_want_body(struct stream *stream);

#endif
