/* The owner's side of a flight: what it does until there is an answer. */
#ifndef NEARSIDE_COLLAPSE_FLIGHT_RUN_H
#define NEARSIDE_COLLAPSE_FLIGHT_RUN_H

#include <stdbool.h>
#include <stdint.h>

struct flight;
struct question;
struct worker;

struct flight_run_opts {
    bool wants_validated;  /* what was stored before now is not good enough */
    int64_t wait_until_ms; /* for those elsewhere who fetch; 0: flight_wait */
    struct entry *stale;   /* to be validated, in a flight of the leader's own,
                              which waits for nobody: with the lease or without,
                              it fetches at once. NULL: none */
    bool takes_lease;      /* with stale: what becomes of it is stored */
};

/*
 * Flies a flight that has just been opened for the question: shared tier,
 * lease, origin, store. Takes over the opener's reference of the flight.
 */
void flight_run_start(struct worker *worker, struct question *q,
    struct flight *own_flight, const struct flight_run_opts *opts);

/* The worker ends, and all its flights do: who waits for one goes on alone. */
void flight_runs_free(struct worker *worker);

#endif
