/*
 * Flying a flight: the shared tier is asked first, then the origin, until
 * there is an answer for all who wait.
 *
 *   lookup --fresh--> ENTRY
 *     |     --stale, may be used meanwhile--> ENTRY, and on in the background
 *     |     --a Vary record--> ENTRY: each waiter looks for its own variant
 *     |     --each use must be validated--> ENTRY: each waiter does so, by a
 *     |       flight of its own; the leader's tries for the lease
 *     |none, or stale
 *     |a new key among too many --> fetch, store nothing
 *   lease: SET <lease> <token> NX PX, GET <entry>, in one go
 *     |won, still no entry    |lost, entry there --> ENTRY
 *     |                       |lost, none: pause, lease again, up to
 *     |                       |flight_wait, then fetch without a lease
 *   fetch, with the validators of a stale entry: the origin's head decides
 *     |storable: FILL, the flight stays open to join while it fills
 *     |304: ENTRY, the stale one with its fields renewed
 *     |not: FILL for the leader, ALONE for the others. A hit-for-miss entry is
 *     |     stored at once, so that nobody in the fleet queues up for the next
 *     |     seconds; the body still comes for those who read it
 *     |failed: ENTRY, the stale one, where that is allowed; else ERROR. If the
 *     |     origin cannot be reached, all are told. A failure after it was
 *     |     asked may be the leader's doing: it alone is told, and the others
 *     |     fly again, one of them as the leader
 *   store: a script, only while the token still holds
 */
#include "nearside/collapse/flight_run.h"

#include <stdlib.h>

#include "collapse/flight_inside.h"

enum {
    /* Keys of 8,000 bytes thrice, a 304's fields beside the stored ones. */
    RUN_ARENA_MAX = 256 * 1024,
};

/* One that was given back, or a new one. NULL: no memory. */
static struct flight_run *
run_take(struct spare *free_runs)
{
    struct list *link = spare_take(free_runs);

    return link != NULL ? CONTAINER_OF(link, struct flight_run, link)
                        : malloc(sizeof(struct flight_run));
}

/* NULL: no memory, which whoever waits has been told. */
static struct flight_run *
run_new(struct worker *worker, struct question *q, struct flight *own_flight)
{
    struct flight_run *run;

    MUST_OBJ(worker, WORKER_MAGIC);
    MUST_OBJ(q, QUESTION_MAGIC);
    MUST(q->reads != NULL);
    MUST(own_flight->result.outcome == FLIGHT_PENDING);
    run = run_take(&worker->collapse->free_runs);
    if (run == NULL) {
        worker_count_limit(worker, LIMIT_MEMORY);
        flight_resolve(worker->collapse->flights, own_flight,
            &(struct flight_result){
                .outcome = FLIGHT_ALONE, .detail = "no-memory"},
            false);
        flight_unref(&own_flight);
        return NULL;
    }
    *run = (struct flight_run){
        .magic = RUN_MAGIC,
        .worker = worker,
        .flights = worker->collapse->flights,
        .flight = own_flight,
        .q = question_ref(q),
    };
    arena_init(&run->arena, RUN_ARENA_MAX);
    list_push_back(&worker->collapse->runs, &run->link);
    return run;
}

/* Where it begins. */
static void
run_begin(struct flight_run *run, bool takes_lease)
{
    MUST(run->is_alone == (run->stale != NULL));
    if (!tier_stores(run->worker) || (run->is_alone && !takes_lease)) {
        flight_fetch(run);
    } else if (run->is_alone) {
        flight_take_lease(run);
    } else {
        flight_lookup(run);
    }
}

void
flight_run_start(struct worker *worker, struct question *q,
    struct flight *own_flight, const struct flight_run_opts *opts)
{
    struct flight_run *run = run_new(worker, q, own_flight);

    if (run == NULL) {
        return;
    }
    if (opts->wants_validated) {
        run->wants_since_ms = worker_wall_ms(worker);
    }
    run->wait_until_ms = opts->wait_until_ms;
    if (run->wait_until_ms == 0) {
        run->wait_until_ms =
            worker_now_ms(worker) + worker->conf->opts.limits.flight_wait_ms;
    }
    if (opts->stale != NULL) {
        MUST_OBJ(opts->stale, ENTRY_MAGIC);
        run->is_alone = true;
        run->stale = entry_ref(opts->stale);
    }
    run_begin(run, opts->takes_lease);
}

void
flight_runs_free(struct worker *worker)
{
    struct list *link;

    MUST_OBJ(worker->collapse, COLLAPSE_WORKER_MAGIC);
    while ((link = list_first(&worker->collapse->runs)) != NULL) {
        struct flight_run *run = CONTAINER_OF(link, struct flight_run, link);
        flight_tell(
            run, &(struct flight_result){.outcome = FLIGHT_ALONE}, false);
        fetch_cancel(&run->fetch);
        flight_run_end(run);
    }
    while ((link = spare_take(&worker->collapse->free_runs)) != NULL) {
        free(CONTAINER_OF(link, struct flight_run, link));
    }
}
