/*
 * The lease: the right to fetch, fleet-wide. Taken with the entry looked up
 * once more behind it, so that what another instance has stored meanwhile
 * is not fetched again; renewed while the fetch lasts.
 */
#include "collapse/flight_inside.h"

enum {
    LEASE_RENEW_MS = 500, /* also how soon a lost lease is noticed */
    POLL_MIN_MS = 15,
    POLL_MAX_MS = 60,
    POLL_BYTES_PER_MS = 16384,
};

static void
on_poll(void *ctx)
{
    flight_lease(OBJ_OF(struct flight_run, ctx, RUN_MAGIC));
}

/* Between two looks, each of which brings what is stale once more. */
static int64_t
pause_ms(struct flight_run *run)
{
    size_t stale_len = run->stale == NULL ? 0 : entry_size(run->stale);

    return POLL_MIN_MS + (int64_t)(stale_len / POLL_BYTES_PER_MS) +
           (int64_t)random_below(
               &run->worker->random, POLL_MAX_MS - POLL_MIN_MS);
}

/* Another has it. A background run has nobody to wait for it. */
static void
lease_taken(struct flight_run *run, int64_t now_ms)
{
    if (run->is_background) {
        flight_run_end(run);
        return;
    }
    if (run->is_alone) {
        flight_fetch(run);
        return;
    }
    if (now_ms >= run->wait_until_ms) {
        worker_count_limit(run->worker, LIMIT_FLIGHT_WAIT);
        flight_fetch(run);
        return;
    }
    loop_timer_init(&run->timer, run->worker->loop, on_poll, run);
    loop_timer_arm(&run->timer, now_ms + pause_ms(run));
}

/* The SET and the GET behind it have ended, without an entry. */
static void
after_both(struct flight_run *run)
{
    if (run->has_lease || !run->is_lease_asked || run->is_get_failed) {
        flight_fetch(run);
    } else {
        lease_taken(run, worker_now_ms(run->worker));
    }
}

/* One connection answers in order, and so the SET first, as a rule; but one
   of the two may be sent elsewhere (ASK), or be refused. */
static void
on_set(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    run->has_lease = rc == RC_OK && reply->type == REDIS_STATUS;
    run->is_lease_asked = rc == RC_OK && reply->type != REDIS_ERROR;
    run->may_have_lease =
        run->has_lease || (rc != RC_OK && run->lease->call.was_sent);
    if (!redis_call_is_active(&run->get)) {
        after_both(run);
    }
}

static void
on_get(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);
    struct entry *entry;

    run->is_get_failed = rc != RC_OK;
    if (run->is_background && rc == RC_OK && reply->type == REDIS_NIL) {
        /* A write came before the lease was there to be lost. */
        flight_close(run->worker->collapse->flights, run->flight);
    }
    if (flight_take_value(run, rc, reply, &entry)) {
        redis_call_cancel(&run->lease->call);
        flight_tell_entry(run, entry);
        flight_run_end_released(run);
    } else if (!redis_call_is_active(&run->lease->call)) {
        after_both(run);
    }
}

void
flight_lease(struct flight_run *run)
{
    if (run->lease == NULL) {
        run->lease = lease_new(run->worker, run->q, &run->arena);
    }
    if (run->lease == NULL) {
        loop_defer(run->worker->loop, &run->failed);
        return;
    }
    run->is_lease_asked = false;
    run->may_have_lease = true; /* until its reply says that it has not */
    lease_take(run->lease, run->worker, on_set, run);
    flight_send_get(run, on_get);
}

/* The lease is gone: a write came. What is under way goes on for those who
   have joined; nobody else joins, nothing is stored. */
static void
lease_lost(struct flight_run *run)
{
    run->has_lease = false;
    run->may_have_lease = false;
    flight_close(run->worker->collapse->flights, run->flight);
}

static void
on_renewed(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    if (rc == RC_OK && reply->type == REDIS_INTEGER && reply->integer == 0) {
        lease_lost(run);
        return;
    }
    flight_renew_later(run);
}

static void
on_renew_timer(void *ctx)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    if (!run->has_lease) {
        /* Nothing would tell of a write that comes. */
        flight_close(run->worker->collapse->flights, run->flight);
        return;
    }
    if (!redis_call_is_active(&run->lease->call)) {
        lease_renew(run->lease, run->worker, on_renewed, run);
    }
}

void
flight_renew_later(struct flight_run *run)
{
    loop_timer_init(&run->timer, run->worker->loop, on_renew_timer, run);
    loop_timer_arm(&run->timer, worker_now_ms(run->worker) + LEASE_RENEW_MS);
}
