/* The owner's side of a flight: what it does until there is a result. */
#ifndef PROXY_FLIGHT_RUN_H
#define PROXY_FLIGHT_RUN_H

struct flight;
struct request;
struct worker;

/*
 * Flies the flight that `leader` has just opened: shared tier, lease,
 * origin, store. Takes over the opener's reference of the flight; keeps the
 * leader's memory until the origin has been asked.
 */
void flight_run_start(struct request *leader, struct flight *flight);

/* The worker ends: all its flights end with RC_CANCELLED. */
void flight_runs_free(struct worker *worker);

#endif
