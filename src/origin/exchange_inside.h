/*
 * An exchange's inside, for its files, which know each other downwards:
 *
 *     exchange.c   its life; what wakes it
 *     receive.c    the response's way in
 *     connect.c    how it comes by a connection; wait.c, when there is none
 *     send.c       the request's way out
 *     end.c        its end; deadline.c, buffer.c
 */
#ifndef ORIGIN_EXCHANGE_INSIDE_H
#define ORIGIN_EXCHANGE_INSIDE_H

#include "nearside/http/chunk.h"
#include "nearside/net/dial.h"
#include "origin/pool_inside.h"

#define EXCHANGE_MAGIC UINT32_C(0x6f786368)

enum {
    /* Content that waits for room in the socket. */
    SEND_MAX = 64 * 1024,
    /* The framing lines and the empty line behind a request's fields. */
    TAIL_MAX = 96,
    /* More interim responses than this are an error: no origin has so much
       to say before it answers. */
    INTERIM_MAX = 8,
};

/* "Never" among deadlines. */
#define NEVER_MS INT64_MAX

enum exchange_state {
    /* Just started: takes a connection, or QUEUE, NAMES, DIAL, FAILING. */
    EXCHANGE_NEW,
    /* Told what to fail with at the turn's end; then OVER. */
    EXCHANGE_FAILING,
    /* In the group's queue for a place; then NAMES or DIAL, or HEAD with a
       connection that somebody else has done with. */
    EXCHANGE_QUEUE,
    /* On names->waiting, for what a look-up brings; then DIAL. */
    EXCHANGE_NAMES,
    /* Connecting; then HEAD, or DIAL again at the next address, or NAMES. */
    EXCHANGE_DIAL,
    /* Has a connection: the request goes out, interim heads and the final
       one are eaten. Then BODY, or DIAL for the one retry. */
    EXCHANGE_HEAD,
    /* Eats content (and goes on sending, if the answer was early). */
    EXCHANGE_BODY,
    /* Said all it had to say; waits for burial or reuse. */
    EXCHANGE_OVER,
};

struct exchange {
    uint32_t magic;
    struct list link; /* names->waiting, pool->dead_exchanges or ->spare */
    struct origin_pool *pool;
    struct loop_timer timer; /* stays armed over reuse; see deadline_ms */
    struct loop_task task;
    struct dial dial;
    struct origin_waiter waiter;         /* in QUEUE */
    const struct conn_callbacks *events; /* how its connection calls it */
    struct buf in;  /* lent by the pool while something is read or kept */
    struct buf out; /* framed content not yet written */

    /* From here on zeroed at each start. */
    enum exchange_state state;
    enum origin_error error; /* with FAILING; of the last dial, in NAMES */
    const struct exchange_callbacks *callbacks;
    void *ctx;
    struct exchange_request request;
    struct origin_conn *conn; /* in HEAD and BODY */
    bool is_retried;
    bool has_place; /* counted with the group, without a connection so far */

    /* With has_place: the addresses, and which of them were dialled. */
    struct origin_addresses *addresses; /* a reference; NULL: none yet */
    unsigned address;                   /* the item that is being dialled */
    uint64_t tried;                     /* bit i: item i was dialled */
    uint64_t timed_out;                 /* those of them that took too long */
    bool is_second_round;               /* in which these are dialled again */

    /* Moments of the loop's clock. */
    int64_t queue_since_us;
    int64_t queued_us; /* how long that took, once it is over */
    int64_t connect_until_ms;
    int64_t missed_ms; /* since then it lacks something to dial */
    int64_t names_until_ms;
    int64_t total_until_ms;
    int64_t deadline_ms; /* the nearest that counts now */
    int64_t moved_ms;    /* last progress in the direction waited for */
    int64_t sent_us;     /* the request's first byte went; 0: not yet */
    int64_t complete_us; /* its last byte went; 0: not yet */

    /* The request's way. */
    char tail[TAIL_MAX];
    size_t tail_len;
    size_t lead_done; /* bytes written of head and tail together */
    uint64_t content_left;
    bool has_content;     /* the first of it was handed over, */
    bool is_content_over; /* and all of it */
    bool is_last;         /* its connection is not to be used again */
    bool is_blocked;      /* the socket is full; on_writable comes */
    bool is_broken;       /* nothing can be written any more */
    bool is_drain_due;    /* exchange_send took less than all */

    /* The response's way. */
    struct parse parse;
    struct chunk chunk;
    enum framing framing;
    uint64_t body_left;
    unsigned interims;
    bool is_continued; /* a 100 has come */
    bool has_answered; /* a byte of the response has come */
    bool is_keep_alive;
    bool is_early;
    bool is_paused;
    bool is_resumed;   /* content is offered again at the turn's end */
    bool is_read_full; /* the last read may have left something behind */
};

/* --- exchange.c -------------------------------------------------------- */

/* The largest run of bytes an exchange keeps of its response. */
size_t exchange_in_max(const struct origin_group *group);

/* Those that are over become spare ones, or are freed. */
void exchanges_bury(struct origin_pool *pool);

/* Frees the spare ones, too. */
void exchanges_free(struct origin_pool *pool);

/* --- end.c ------------------------------------------------------------- */

/* Ends it well: the connection is pooled or closed, on_end is called. */
void exchange_finish(struct exchange *x);

/* Ends it badly: the connection is closed, on_error is called. */
void exchange_fail(struct exchange *x, enum origin_error error);

/* The same at the turn's end, for those who must not call back. */
void exchange_fail_later(struct exchange *x, enum origin_error error);

static inline bool
exchange_is_over(const struct exchange *x)
{
    return x->state == EXCHANGE_OVER;
}

/* --- deadline.c -------------------------------------------------------- */

/* What is waited for has changed, or something moved. */
void exchange_touch(struct exchange *x);

/* Which deadline has passed. */
enum origin_error exchange_timeout(const struct exchange *x);

/* --- wait.c ------------------------------------------------------------ */

/* Enters the queue, unless it may not. No callback from inside. */
enum origin_error exchange_wait(struct exchange *x);

/* It is not in the queue any more. */
void exchange_waited(struct exchange *x);

/* Leaves the queue by itself. */
void exchange_stop_waiting(struct exchange *x);

/* --- connect.c --------------------------------------------------------- */

/* Takes a connection of the pool, or makes one. No callback from inside. */
void exchange_connect(struct exchange *x);

/* Its time in the queue is over: it has this connection, or the place for one.
   No callback from inside. */
void exchange_on_place(struct origin_waiter *w, struct origin_conn *own_conn);

/* The connection was no good before a response came: once more on a fresh
   one if that is allowed, else it fails with `error`. */
void exchange_reconnect(struct exchange *x, enum origin_error error);

/* names->waiting has come to an end. */
void exchange_on_names(struct list *link);

void exchange_on_dialled(void *ctx, enum rc rc, struct conn *own_conn);

/* --- send.c ------------------------------------------------------------ */

/* Makes the request's framing ready; nothing is written yet. */
void exchange_frame(struct exchange *x);

/* Forgets what was written, for a new connection. */
void exchange_rewind(struct exchange *x);

/* Writes what waits. No callback from inside. */
void exchange_write(struct exchange *x);

/* Tells of room, when somebody waits for it. May end the exchange. */
void exchange_drained(struct exchange *x);

void exchange_on_writable(void *ctx);

/* Is the whole request written? */
static inline bool
exchange_is_sent(const struct exchange *x)
{
    return x->complete_us != 0;
}

/* Does our client wait for a 100, and we with it? */
static inline bool
exchange_awaits_100(const struct exchange *x)
{
    return x->request.expects_100 && !x->is_continued && !x->has_content;
}

/* --- receive.c --------------------------------------------------------- */

void exchange_on_readable(void *ctx);

/* Goes on with content kept by a pause. */
void exchange_unpause(struct exchange *x);

/* --- buffer.c ---------------------------------------------------------- */

/* Where the next *out_cap bytes may be read to. NULL: no memory, or paused with
   a full buffer. */
char *exchange_in_place(struct exchange *x, size_t *out_cap);

/* Gives the lent buffer back if it is empty; drop: whatever it holds. */
void exchange_in_return(struct exchange *x);
void exchange_in_drop(struct exchange *x);

#endif
