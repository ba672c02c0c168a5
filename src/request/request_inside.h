/*
 * A request: from its head on, until its answer has left. It belongs to one
 * worker and takes its steps there; the wire it came by is behind `stream`.
 *
 * It has a reference count, which its worker's thread alone changes. The stream
 * holds one reference. While the request waits for a flight, as its leader or
 * not, its waiter holds another, until on_flight is called or flight_leave
 * answers true.
 */
#ifndef REQUEST_REQUEST_INSIDE_H
#define REQUEST_REQUEST_INSIDE_H

#include "nearside/base/arena.h"
#include "nearside/base/spare.h"
#include "nearside/cache/entry.h"
#include "nearside/http/cache_status.h"
#include "nearside/http/head.h"
#include "nearside/net/address.h"
#include "nearside/redis/redis.h"
#include "nearside/work/worker.h"
#include "nearside/body/fetch.h"
#include "nearside/collapse/flight_table.h"
#include "nearside/write/made_stale.h"
#include "nearside/rules/question.h"
#include "nearside/tier/lookup.h"
#include "nearside/request/requests.h"
#include "nearside/body/source.h"
#include "nearside/request/request.h"

#define REQUEST_MAGIC UINT32_C(0x6e726571)

enum {
    MOVES_MAX = 16,
};

struct request;
struct step;

/* A step that was taken, and when. */
struct move {
    const struct step *step;
    int64_t at_us;
};

/* What a parked request waits for: just one thing. */
enum wake {
    WAKE_NONE,     /* it is running, or over */
    WAKE_FLIGHT,   /* an answer, or the end of its patience */
    WAKE_LOOKUP,   /* Redis, about what is stored */
    WAKE_LEASE,    /* Redis, about the lease of a POST, or a write's token */
    WAKE_FETCH,    /* the origin */
    WAKE_DELETION, /* Redis, about what the write makes stale */
    WAKE_STREAM,   /* the answer has left */
};

struct request {
    uint32_t magic;
    unsigned refs;
    struct list link; /* the worker's free list */
    struct worker *worker;
    struct stream *stream;   /* NULL: the client has gone */
    const struct step *step; /* NULL: it is parked */
    enum wake wake;
    unsigned moves_len; /* all of them; the last ones are kept */
    struct move moves[MOVES_MAX];
    struct arena arena;

    struct question *q; /* what is asked; a reference */
    bool is_body_done;

    struct entry *stale;      /* found, but to be validated; a reference */
    bool is_stale_unverified; /* of memory, and Redis has not vouched for it */
    bool wants_validated;     /* a fresh one is not good enough either */

    /* What it waits for, or has got. */
    struct flight_waiter waiter;
    struct loop_timer patience; /* while it waits for another's flight */
    int64_t wait_until_ms;      /* for others, in all; 0: no flight yet */
    struct lookup *look;        /* a lookup without a flight; in the arena */
    struct fetch fetch;
    struct made_stale made_stale; /* by a write that has succeeded */
    struct stored_post *post;     /* in the arena; NULL: none */
    struct fence *fence;          /* likewise */
    struct entry *hit;
    struct source source;
    int64_t created_ms; /* wall; Age of a fill that was joined late counts from
                           here; 0: the head's own Age holds */
    struct response response;
    struct list holder; /* worker's holders, while its client holds much */
    uint64_t held;      /* bytes, as counted there */

    /* For Cache-Status, log and metrics. */
    enum result result;
    enum tier_id tier;
    enum cache_fwd fwd; /* NONE: a hit, or not known yet */
    const char *detail; /* NULL: none */
    const char *fault;  /* of a head that was refused; NULL: none */
    bool is_stored;
    bool is_unverified; /* the hit: Redis has not vouched for it */
    bool is_redis_down; /* it has not said what is stored */
    bool is_of_memory;  /* what is stored was found there, beside Redis */
    bool is_collapsed;
    unsigned fwd_status; /* what the origin said; 0: nothing */
    enum origin_error error;
    unsigned status;   /* answered; 0: none yet */
    uint64_t sent;     /* bytes of the body */
    int64_t queued_us; /* by a flight's fetch; beside the own one's */
    int64_t start_us;
};

void request_ref(struct request *r);
void request_unref(struct request **r);

/* --- between the files of the request's steps --- */

/* One way of going on. */
struct step {
    const char *name;
    /* The next step; or request_park's answer. */
    const struct step *(*run)(struct request *r);
    bool is_start; /* a parked request may go on here */
};

/* Takes steps from there on until one parks. */
void request_run(struct request *r, const struct step *from);

extern const struct step step_ask;
extern const struct step step_memory;
extern const struct step step_lookup;
extern const struct step step_flight;
extern const struct step step_validate;
extern const struct step step_fence;
extern const struct step step_post;
extern const struct step step_forward;
extern const struct step step_invalidate;
extern const struct step step_deliver_entry;
extern const struct step step_deliver_fill;
extern const struct step step_deliver_error;

/* The step has armed that wake-up, and nothing else. Answers NULL. */
const struct step *request_park(struct request *r, enum wake wake);

/* What it was parked for has come: takes steps from `from` on until one
   parks. */
void request_wake(struct request *r, enum wake wake, const struct step *from);

/* Something else has come while it is parked: lets go of what it waits for,
   and goes on at `from`. */
void request_divert(struct request *r, const struct step *from);

/* Gives r->response to the stream, and waits until it has left. */
const struct step *request_respond(struct request *r);

/* Where a request with OPTIONS goes on: to the origin, or it is answered
   here. */
const struct step *request_ask_options(struct request *r);

/* An answer of our own: status, and why. */
const struct step *request_fail(
    struct request *r, unsigned status, const char *detail);

/* An answer has begun, and nobody takes the request's content any more: it is
   read all the same, since many clients read no answer before they have sent
   all. */
void request_skip_body(struct request *r);

/* Lets go of whatever is waited for. */
void request_drop(struct request *r);

/* "allow: GET, HEAD\r\n", what the route lets through (RFC 9110 10.2.1); or
   nothing where it lets through all. */
void request_write_allow(struct writer *w, const struct route *route);

/* Passes a 1xx response of the origin on to a client that knows them. */
void request_interim(struct request *r, const struct head *head);

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
    struct requests *requests;
    struct spare free;
    struct question_pool questions;
    struct list holders; /* requests whose clients hold much, longest first */
    uint64_t held;       /* bytes, by them */
    bool *is_settled;    /* [routes_len]; see unstored.c */
};

#endif
