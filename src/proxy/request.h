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
#include "nearside/http/cache_status.h"
#include "nearside/http/invalidate.h"
#include "nearside/http/head.h"
#include "nearside/memory/entry.h"
#include "nearside/net/address.h"
#include "nearside/redis/redis.h"
#include "nearside/work/worker.h"
#include "proxy/fetch.h"
#include "proxy/flight_table.h"
#include "proxy/invalidate.h"
#include "nearside/rules/keys.h"
#include "nearside/rules/policy.h"
#include "proxy/requests.h"
#include "proxy/source.h"
#include "proxy/stream.h"

#define REQUEST_MAGIC UINT32_C(0x6e726571)

struct request;
struct step;

struct request_head_opts {
    bool is_for_cache;  /* the response is for everybody: this client's
                           conditions stay behind */
    bool is_for_stored; /* or says something of what is stored: what chooses a
                           variant is sent as it was chosen by */
    struct slice lines; /* further field lines */
};

/* Whom the request comes from, after trusted proxies have been heard. */
struct request_client {
    struct address peer;
    bool is_trusted;     /* the peer is one of trusted_proxies */
    struct slice scheme; /* "http" or "https" */
};

struct request {
    uint32_t magic;
    unsigned refs;
    struct list link; /* the worker's free list */
    struct worker *worker;
    struct stream *stream; /* NULL: the client has gone */
    const struct step *step;
    struct arena arena;

    struct proxy_conf *conf; /* the snapshot it is served by; a reference */
    const struct head *head; /* a copy, in the arena */
    struct request_client client;
    bool has_body;
    bool is_body_done;

    /* What is asked for. */
    ptrdiff_t route; /* index, or -1 */
    const struct route *route_opts;
    const struct route *reads; /* by which readers of the target are answered:
                                  route_opts, but for a write */
    size_t group;
    struct slice host;           /* in its one spelling, as is the next */
    struct slice normal;         /* the target */
    struct slice sent_host;      /* as it is sent */
    struct slice target;         /* as it is sent */
    struct keys keys;            /* keys.full is the base key */
    struct slice base_entry_key; /* in Redis */
    struct entry *record;        /* what a response varies by; a reference */
    struct entry *stale;         /* found, and not good enough; a reference */
    bool wants_validated;        /* a fresh one is not good enough either */
    struct slice key;            /* of the variant by it, or the base's */
    struct slice entry_key;
    bool is_invalidation_due; /* a write has succeeded */
    unsigned more_len;        /* what else it has made stale */
    struct {
        struct slice key;
        struct slice entry_key;
    } more[INVALIDATE_MORE_MAX];
    struct policy_request policy;

    /* What it waits for, or has got. */
    struct flight_waiter waiter;
    struct loop_timer patience; /* while it waits for another's flight */
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
    const struct head *head; /* copied; NULL: it could not be read */
    struct slice raw;        /* the bytes that the head's slices lie in */
    bool has_body;           /* content follows */
    struct address peer;
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

extern const struct step step_receive;
extern const struct step step_route;
extern const struct step step_key;
extern const struct step step_lookup;
extern const struct step step_flight;
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

/*
 * The origin's request head (request line and fields, RFC 9110 7.6), in the
 * request's arena. RC_NOMEM.
 */
enum rc request_origin_head(struct request *r,
    const struct request_head_opts *opts,
    struct exchange_request *out) RC_MUST_CHECK;

/* How its fields are sent. for_cache: its answer may be stored. */
struct sending request_sending(const struct request *r, bool for_cache);

/*
 * Key and entry key of the variant that this request chooses by a Vary
 * record, which it keeps a reference of. RC_NOMEM; RC_BAD: no such record.
 */
enum rc request_choose_variant(
    struct request *r, struct entry *record) RC_MUST_CHECK;

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

/* Who the client is, and by which scheme it came (request_client.c). */
void request_find_client(struct request *r);

/* The route by which a GET of that target is answered from what is stored;
   NULL: by none. */
const struct route *request_read_route(struct request *r, struct slice target);

/* Is it always a variant: of its own view, or by credentials that are keyed? */
static inline bool
request_is_keyed(const struct request *r)
{
    return r->keys.view.len > 0 || r->keys.credentials.len > 0;
}

/* Is that stored without regard to what such a request is keyed by? Then it
   is not for it. */
static inline bool
request_is_foreign(
    const struct entry *entry, bool is_keyed, const struct entry *record)
{
    return is_keyed && record == NULL &&
           (entry->flags & (ENTRY_PASS | ENTRY_VARY_RECORD)) == 0;
}

/* Keys by r->reads, the target as it is sent, and whether that is the one that
   is keyed (policy.is_odd). RC_NOMEM. */
enum rc request_make_keys(struct request *r) RC_MUST_CHECK;

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
    struct list holders; /* requests whose clients hold much, longest first */
    uint64_t held;       /* bytes, by them */
};

#endif
