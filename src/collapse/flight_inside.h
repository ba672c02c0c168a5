/*
 * A flight's run, opened up for the files that fly it. Each of them calls only
 * those that stand below it here:
 *
 *   flight_run.c      starts runs
 *   flight_lookup.c   asks the shared tier, and for the lease
 *   flight_fetch.c    asks the origin
 *   flight_store.c    stores what the origin has answered
 *   flight_end.c      tells those who wait, and ends the run
 *   flight_lease.c    keeps the lease, and gives it back
 */
#ifndef COLLAPSE_FLIGHT_INSIDE_H
#define COLLAPSE_FLIGHT_INSIDE_H

#include "nearside/body/fetch.h"
#include "nearside/cache/codec.h"
#include "nearside/collapse/collapse.h"
#include "nearside/lease/lease.h"
#include "nearside/tier/lookup.h"
#include "nearside/tier/tier.h"

#define RUN_MAGIC UINT32_C(0x6e72756e)

struct flight_run {
    uint32_t magic;
    struct list link; /* worker's */
    struct worker *worker;
    struct flight_table *flights; /* the process' */
    struct flight *flight;        /* a reference */
    struct question *q;           /* a reference */
    struct arena arena;           /* what the lease and the fetch need */
    struct question *variant;     /* of a response that turned out to vary; a
                                     reference */

    struct lookup look;
    struct lease *lease; /* in the arena; NULL: none was wanted */
    enum lease_state lease_state;
    struct loop_timer timer; /* poll, then renewal */
    struct loop_task failed; /* a failure told at the turn's end */
    int64_t wait_until_ms;
    int64_t wants_since_ms; /* wall: what was made before is not good enough;
                               0: anything fresh is */
    const char *doubt;      /* why what Redis has is not used; NULL */
    bool has_foreign;       /* what is there is for those who are not keyed */
    bool is_told;           /* whoever waits has been told */
    bool is_closed;         /* and nobody joins any more */
    bool is_kept_out;       /* a new key that is not to be stored yet */
    bool is_background;     /* told of a stale entry; the run renews it */
    bool is_alone;          /* validates `stale` for its leader and no other */
    bool is_get_failed;
    bool is_over; /* but for a body that still comes for its readers */

    struct fetch fetch;
    struct policy_verdict *verdict; /* in the arena, from the fetch on: a hit
                                       has none to pay for */
    int64_t request_ms;             /* wall */
    int64_t response_ms;
    unsigned status;
    bool is_plain;             /* asked anew: a 304 spoke of something else */
    struct renewal *renewal;   /* by a 304 that speaks of `stale`; in the
                                  arena */
    struct value record_value; /* of what turned out to vary */
    struct entry *made;        /* of that record */
    struct entry *stale;       /* found, to be validated or to stand in */
    bool is_stale_unverified;  /* of memory, and Redis has not vouched for it */
};

/* --- flight_lookup.c --- */

/* Looks into the shared tier; what is found there, or not, decides. */
void flight_lookup(struct flight_run *run);

/* Asks for the lease, and for the entry once more. */
void flight_take_lease(struct flight_run *run);

/* --- flight_fetch.c --- */

void flight_fetch(struct flight_run *run);

/* --- flight_store.c: each of them ends the run, as flight_run_end does --- */

/* The fill that is complete. */
void flight_store_fill(struct flight_run *run);

/* What a validated entry has become. */
void flight_store_renewed(struct flight_run *run, struct value *own_value);

/* That it is not storable, or by what it varies now. */
void flight_store_refusal(struct flight_run *run);

/* Does the response vary by what the record says, and by nothing more? */
bool flight_fits_record(const struct flight_run *run);

/* A record for a response that varies: by its names, and by those of the record
   that chose it, if there is one. RC_NOMEM; RC_LIMIT: these are too many. */
enum rc flight_make_record(struct flight_run *run) RC_MUST_CHECK;

/* Has a record been made in place of the one that it was chosen by? */
bool flight_is_wider(const struct flight_run *run);

/* What it is to be stored under. */
const struct key *flight_key(const struct flight_run *run);

/* --- flight_end.c --- */

/* Tells whoever waits, once; later results are dropped. */
void flight_tell(struct flight_run *run, const struct flight_result *own_result,
    bool keeps_open);

/* The end, once no body comes any more; with the lease given back at once if
   there is one, or may be. */
void flight_run_end(struct flight_run *run);
void flight_run_end_released(struct flight_run *run);

/* For want of memory, at the end of the turn: whoever waits goes on alone. */
void flight_run_fail(struct flight_run *run);

/* --- flight_lease.c --- */

/* Calls fire in so many milliseconds, and not what it was to call before. */
void flight_set_timer(
    struct flight_run *run, void (*fire)(void *ctx), int64_t in_ms);

/* Renews the lease from time to time, and sees whether it is lost. */
void flight_lease_keep(struct flight_run *run);

/* What the run brings was asked for at that loop time, or its lease held then:
   it may be joined for the bound from then on. */
void flight_is_current(struct flight_run *run, int64_t as_of_ms);

/* Gives it back, if it may be ours. */
void flight_lease_release(struct flight_run *run);

/* It is the writer's from now on; answers its token, in the arena. */
struct lease *flight_lease_pass_on(struct flight_run *run);

#endif
