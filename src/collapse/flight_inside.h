/*
 * A flight's run, opened up for the files that fly it: flight_run.c (start,
 * lookup, ends), flight_lease.c, flight_fetch.c, flight_store.c.
 */
#ifndef COLLAPSE_FLIGHT_INSIDE_H
#define COLLAPSE_FLIGHT_INSIDE_H

#include "nearside/cache/codec.h"
#include "nearside/cache/key.h"
#include "nearside/collapse/collapse.h"
#include "nearside/rules/question.h"
#include "nearside/body/fetch.h"
#include "nearside/tier/found.h"
#include "nearside/tier/lease.h"
#include "nearside/tier/tier.h"

#define RUN_MAGIC UINT32_C(0x6e72756e)

struct flight_run {
    uint32_t magic;
    struct list link; /* worker's */
    struct worker *worker;
    struct flight *flight;    /* a reference */
    struct question *q;       /* a reference */
    struct arena arena;       /* what the lease and the fetch need */
    struct question *variant; /* of a response that turned out to vary; a
                                 reference */

    struct redis_call get;
    struct lease *lease;     /* in the arena; NULL: none was wanted */
    struct loop_timer timer; /* poll, then renewal */
    struct loop_task failed; /* a failure told at the turn's end */
    int64_t wait_until_ms;
    int64_t wants_since_ms; /* wall: what was made before is not good enough;
                               0: anything fresh is */
    bool has_foreign;       /* what is there is for those who are not keyed */
    bool is_resolved;       /* whoever waits has been told */
    bool is_kept_out;       /* a new key that is not to be stored yet */
    bool is_background;     /* told of a stale entry; the run renews it */
    bool is_alone;          /* validates `stale` for its leader and no other */
    bool is_lease_asked;
    bool is_get_failed;
    bool has_lease;
    bool may_have_lease;
    bool is_refused; /* it stores that nothing is to be stored */
    bool is_settled; /* it stores no body: its lease went at the head */
    bool is_over;    /* but for a body that still comes for its readers */

    struct fetch fetch;
    struct policy_verdict *verdict; /* in the arena, from the fetch on: a hit
                                       has none to pay for */
    int64_t request_ms;             /* wall */
    int64_t response_ms;
    unsigned status;
    bool is_validated;         /* a 304 that speaks of `stale` */
    bool is_plain;             /* asked anew: a 304 spoke of something else */
    struct renewal *renewal;   /* by a 304; in the arena */
    struct value record_value; /* of what turned out to vary */
    struct entry *made;        /* of that record */
    struct entry *stale;       /* found, to be validated or to stand in */
};

/* --- flight_run.c --- */

/* Tells whoever waits, once; later results are dropped. */
void flight_tell(struct flight_run *run, const struct flight_result *own_result,
    bool keeps_open);
void flight_tell_entry(struct flight_run *run, struct entry *own_entry);

/* The end, once no body comes any more; with the lease given back at once if
   there is one, or may be. */
void flight_run_end(struct flight_run *run);
void flight_run_end_released(struct flight_run *run);

/*
 * What is in a reply to GET, if it is of use. True: it answers, *out_entry
 * is a reference. False: not there, or kept in run->stale.
 */
bool flight_take_value(struct flight_run *run, enum rc rc,
    struct redis_reply *reply, struct entry **out_entry);
void flight_send_get(struct flight_run *run, redis_reply_fn on_reply);

/* --- flight_lease.c --- */

void flight_lease(struct flight_run *run);
void flight_renew_later(struct flight_run *run);

/* --- flight_fetch.c --- */

void flight_fetch(struct flight_run *run);

/* --- flight_store.c: each of them ends the run, as flight_run_end does --- */

/* The fill that is complete. */
void flight_store_fill(struct flight_run *run);

/* What a validated entry has become. */
void flight_store_renewed(struct flight_run *run, struct value *own_value);

/* That it is not storable, or by what it varies now. */
void flight_store_refusal(struct flight_run *run);

/* Does the response vary by what the record says, and by nothing else? */
bool flight_fits_record(const struct flight_run *run);

/* A record for a response that varies; RC_NOMEM. */
enum rc flight_make_record(struct flight_run *run) RC_MUST_CHECK;

#endif
