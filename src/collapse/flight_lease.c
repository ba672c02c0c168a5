/*
 * Keeping the lease. It is renewed while the fetch lasts, and given back when
 * nothing is stored under it.
 *
 * When it turns out that the lease is gone, a write has deleted it. Then the
 * flight is closed: those who have joined get what they joined, whoever comes
 * later does not, and nothing is stored.
 */
#include "collapse/flight_inside.h"

#include "nearside/lease/release.h"

enum {
    LEASE_RENEW_MS = 500, /* also how soon a lost lease is noticed */
    /* For so long is joined what was asked for, or still held, at some time: a
       process that was stopped, or has lost Redis, knows of no write since. */
    JOINED_MS = 2000,
};

void
flight_is_current(struct flight_run *run, int64_t as_of_ms)
{
    MUST_OBJ(run, RUN_MAGIC);
    flight_join_until(run->flight, as_of_ms + JOINED_MS);
}

void
flight_set_timer(struct flight_run *run, void (*fire)(void *ctx), int64_t in_ms)
{
    MUST_OBJ(run, RUN_MAGIC);
    MUST(!run->is_over);
    loop_timer_cancel(&run->timer);
    loop_timer_init(&run->timer, run->worker->loop, fire, run);
    loop_timer_arm(&run->timer, worker_now_ms(run->worker) + in_ms);
}

static void
on_renewed(void *ctx, bool is_gone)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    MUST(run->lease_state == LEASE_HELD);
    if (is_gone) {
        run->lease_state = LEASE_NONE;
        flight_close(run->flights, run->flight);
        return;
    }
    if (run->lease->held_ms > 0) {
        flight_is_current(run, run->lease->held_ms);
    }
    flight_lease_keep(run);
}

static void
on_renew_timer(void *ctx)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    if (run->lease_state != LEASE_HELD) {
        /* Nothing would tell of a write that comes. */
        flight_close(run->flights, run->flight);
    } else if (!lease_is_asked(run->lease)) {
        lease_renew(run->lease, on_renewed, run);
    }
}

void
flight_lease_keep(struct flight_run *run)
{
    flight_set_timer(run, on_renew_timer, LEASE_RENEW_MS);
}

static void
let_go(struct flight_run *run)
{
    MUST(run->lease != NULL);
    lease_cancel(run->lease);
    run->lease_state = LEASE_NONE;
}

void
flight_lease_release(struct flight_run *run)
{
    MUST_OBJ(run, RUN_MAGIC);
    if (run->lease_state == LEASE_UNSURE || run->lease_state == LEASE_HELD) {
        let_go(run);
        release_lease(run->worker, run->q, run->lease);
    }
}

struct lease *
flight_lease_pass_on(struct flight_run *run)
{
    MUST(run->lease_state == LEASE_HELD);
    let_go(run);
    return run->lease;
}
