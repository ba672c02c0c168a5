/* The owner's side of a flight: what it does until there is an answer. */
#ifndef PROXY_FLIGHT_RUN_H
#define PROXY_FLIGHT_RUN_H

#include <stdbool.h>

struct flight;
struct question;
struct worker;

/*
 * Flies a flight that has just been opened for the question: shared tier,
 * lease, origin, store. Takes over the opener's reference of the flight.
 * wants_validated: what was stored before now is not good enough.
 */
void flight_run_start(struct worker *worker, struct question *q,
    struct flight *own_flight, bool wants_validated);

/* The worker ends, and all its flights do: who waits for one goes on alone. */
void flight_runs_free(struct worker *worker);

#endif
