/*
 * One request to an origin and its response, over a keep-alive connection
 * of the worker's pool. A connection goes back to the pool only when both
 * directions are provably finished.
 *
 * Callbacks come on the worker's loop, never from inside exchange_start.
 * on_end or on_error is the last one; the exchange is gone after it. Either
 * may not come: exchange_cancel ends it in silence.
 */
#ifndef NEARSIDE_ORIGIN_EXCHANGE_H
#define NEARSIDE_ORIGIN_EXCHANGE_H

#include "nearside/http/head.h"

struct exchange;
struct origin_pool;

enum origin_error {
    ORIGIN_ERROR_NONE,
#define ORIGIN_ERROR(name, sent, status, type, text) ORIGIN_ERROR_##name,
#include "nearside/origin/error.def"
#undef ORIGIN_ERROR
    ORIGIN_ERROR_COUNT
};

/* What error.def says of an error. */
struct origin_failure {
    const char *name; /* "REFUSED" */
    bool was_sent; /* the request may have reached the origin: a write may have
                      been done, and the failure be of this request's making */
    unsigned status;
    const char *type; /* RFC 9209 */
    const char *text;
};

const struct origin_failure *origin_failure(enum origin_error error);

struct exchange_request {
    enum method method;
    /*
     * Request line and end-to-end field lines, each with its CRLF, Host
     * included; no framing fields, no Connection, no empty line: the
     * exchange adds those. Borrowed until on_head, on_end or on_error.
     */
    struct slice head;
    enum framing framing; /* NONE, LENGTH or CHUNKED: of the request body */
    uint64_t content_length;
    int64_t first_byte_timeout_ms;    /* 0: the group's */
    int64_t between_bytes_timeout_ms; /* 0: the group's */
    bool expects_100;   /* with content: "Expect: 100-continue" is sent, and a
                           100 is told by on_interim */
    bool is_background; /* no client waits for it: nor does it, where all
                           connections of the group are in use */
    bool is_idempotent; /* RFC 9110 9.2.2; with FRAMING_NONE it may be sent
                           once more when a pooled connection was closed */
};

struct exchange_callbacks {
    /* A 1xx response (say, 103) other than 101; 100 if it is expected. */
    void (*on_interim)(void *ctx, const struct head *head);
    /* The final head; a loan until the callback returns. */
    void (*on_head)(void *ctx, const struct head *head);
    /* Content. Returns how many bytes were taken; fewer than all pauses
       the exchange until exchange_resume. */
    size_t (*on_body)(void *ctx, struct slice data);
    /* The response is complete. is_doubtful: it came before the whole request
       body was sent, or with bytes behind it that nobody asked for. It is
       delivered as its head says, but not stored, and the connection that it
       came on is used no more. */
    void (*on_end)(void *ctx, bool is_doubtful);
    void (*on_error)(void *ctx, enum origin_error error);
    /* Room for more request body, after exchange_send took less. */
    void (*on_drain)(void *ctx);
};

/* NULL: no memory. callbacks are borrowed for the exchange's life. */
struct exchange *exchange_start(struct origin_pool *pool,
    const struct exchange_request *request,
    const struct exchange_callbacks *callbacks, void *ctx);

/* Gives up; the connection is closed, with a reset if the request was not
   sent whole. Clears the caller's pointer. Inside any callback, too; data
   given to that callback is not to be read afterwards. */
void exchange_cancel(struct exchange **x);

/*
 * Offers request content; *out_taken bytes were taken (framed, and written
 * or buffered: at most 64 KiB wait here). Less than all: on_drain follows.
 * After the end of the response nothing is taken and nothing follows.
 */
void exchange_send(struct exchange *x, struct slice data, size_t *out_taken);

/* The request's content is complete; needed with FRAMING_CHUNKED, harmless
   otherwise. A content that was cut short is cancelled instead. */
void exchange_send_end(struct exchange *x);

/* How long it has waited for a connection under connections_max; in its
   callbacks, too. */
int64_t exchange_queued_us(const struct exchange *x);

/* Offers content again from where on_body stopped; on_body comes at the
   turn's end. */
void exchange_resume(struct exchange *x);

#endif
