/*
 * A request: from its head on, until its answer has left. It belongs to one
 * worker and takes its steps there; the wire it came by is behind `stream`.
 *
 * Counted, on its worker's thread: the stream holds it, a flight that it
 * leads holds it, and so does a message that is under way to it.
 */
#ifndef PROXY_REQUEST_H
#define PROXY_REQUEST_H

#include "nearside/base/arena.h"
#include "nearside/cache/entry.h"
#include "nearside/http/cache_status.h"
#include "nearside/http/invalidate.h"
#include "nearside/http/head.h"
#include "nearside/net/address.h"
#include "nearside/redis/redis.h"
#include "nearside/work/worker.h"
#include "proxy/fetch.h"
#include "proxy/flight_table.h"
#include "proxy/invalidate.h"
#include "nearside/rules/question.h"
#include "proxy/requests.h"
#include "proxy/source.h"
#include "proxy/stream.h"

#define REQUEST_MAGIC UINT32_C(0x6e726571)

struct request;
struct step;

struct request {
    uint32_t magic;
    unsigned refs;
    struct list link; /* the worker's free list */
    struct worker *worker;
    struct stream *stream; /* NULL: the client has gone */
    const struct step *step;
    struct arena arena;

    struct question *q; /* what is asked; a reference */
    bool is_body_done;

    struct entry *stale;      /* found, and not good enough; a reference */
    bool wants_validated;     /* a fresh one is not good enough either */
    bool is_invalidation_due; /* a write has succeeded */
    struct stale_targets *made_stale; /* what else it has made stale; in the
                                         arena; NULL: nothing */

    /* What it waits for, or has got. */
    struct flight_waiter waiter;
    struct loop_timer patience; /* while it waits for another's flight */
    int64_t wait_until_ms;      /* for others, in all; 0: not yet waited */
    struct redis_call call;     /* a lookup without a flight */
    struct slice call_argv[2];
    struct fetch fetch;
    struct invalidation *invalidation;
    struct claim *claim; /* in the arena; NULL: none */
    struct entry *hit;
    struct source source;
    int64_t created_ms; /* wall: Age of a fill that had begun before counts
                           from here; 0: it is as received */
    struct response response;
    struct list holder; /* worker's holders, while its client holds much */
    uint64_t held;      /* bytes, as counted there */

    /* For Cache-Status, log and metrics. */
    enum result result;
    enum tier_id tier;
    enum cache_fwd fwd; /* NONE: a hit, or not known yet */
    const char *detail; /* NULL: none */
    bool is_stored;
    bool is_collapsed;
    unsigned fwd_status; /* what the origin said; 0: nothing */
    enum origin_error error;
    unsigned status; /* answered; 0: none yet */
    uint64_t sent;   /* bytes of the body */
    int64_t start_us;
};

/* What a stream knows of a request. */
struct request_opts {
    struct question_opts question;
    int64_t start_us; /* when its first byte came */
};

/* From the worker's free list; one reference, the stream's. NULL: no memory. */
struct request *request_new(struct worker *worker, struct stream *stream,
    const struct request_opts *opts);
void request_ref(struct request *r);
void request_unref(struct request **r);

/* --- what the stream tells --- */

/* Serves it. An answer may be given before this returns. */
void request_start(struct request *r);

/* Content; returns how much was taken. Less than all: the stream waits for
   want_body. */
size_t request_on_body(struct request *r, struct slice data);
void request_on_body_end(struct request *r);

/* The client's content is malformed or late: an answer of `status` if none
   has begun. */
void request_on_body_failed(struct request *r, unsigned status);

/* The answer has left; the stream lets go of the request. */
void request_on_sent(struct request *r, uint64_t body_bytes);

/* The stream is gone before that. */
void request_on_gone(struct request *r, uint64_t body_bytes);

/* The answer waits for the client to take more of it. */
void request_on_blocked(struct request *r);

/* An answer of our own to a head that could not be parsed. */
void request_refuse(struct request *r, unsigned status, const char *detail);

/* --- between the files of the request's steps --- */

/* One way of going on; NULL: parked, exactly one wake-up is armed. */
struct step {
    const char *name;
    const struct step *(*run)(struct request *r);
};

extern const struct step step_ask;
extern const struct step step_lookup;
extern const struct step step_flight;
extern const struct step step_validate;
extern const struct step step_forward;
extern const struct step step_invalidate;
extern const struct step step_deliver_entry;
extern const struct step step_deliver_fill;
extern const struct step step_deliver_error;

/* Takes steps until one parks. */
void request_run(struct request *r, const struct step *from);

/* An answer of our own: status, and why. */
const struct step *request_fail(
    struct request *r, unsigned status, const char *detail);

/* Lets go of whatever is waited for. */
void request_drop(struct request *r);

/* Deletes all that is stored for the target, and what else the write has made
   stale (RFC 9111 4.4). on_done as invalidation_start tells it, for the
   target. */
struct invalidation *request_invalidate(
    struct request *r, void (*on_done)(void *ctx, bool is_acknowledged));

/* After an unsafe method: is the target stale now, and what else? */
void request_find_stale(struct request *r, const struct head *response);

/* "allow: GET, HEAD\r\n", what the route lets through (RFC 9110 10.2.1); or
   nothing where it lets through all. */
void request_write_allow(struct writer *w, const struct route *route);

/* Passes a 1xx response of the origin on to a client that knows them. */
void request_interim(struct request *r, const struct head *head);

/* Is that stored without regard to what such a request is keyed by? Then it
   is not for it. */
static inline bool
request_is_foreign(const struct question *q, const struct entry *entry)
{
    return question_is_keyed(q) && q->record == NULL &&
           (entry->flags & (ENTRY_HIT_FOR_MISS | ENTRY_VARY_RECORD)) == 0;
}

/* From now on it asks for the variant that it chooses by a record. RC_NOMEM;
   RC_BAD: no such record. */
enum rc request_choose_variant(
    struct request *r, struct entry *record) RC_MUST_CHECK;

/* Lets go of what its client holds. */
void request_hold_end(struct request *r);

/* Metrics and the access line, once, when the request is over. */
void request_account(struct request *r);

/* --- the requests of a worker, and of the process ----------------------- */

#define REQUEST_WORKER_MAGIC UINT32_C(0x6e726577)

struct request_worker {
    uint32_t magic;
    const struct requests *requests;
    struct list free;
    unsigned free_len;
    struct question_pool questions;
    struct list holders; /* requests whose clients hold much, longest first */
    uint64_t held;       /* bytes, by them */
};

#endif
