/*
 * The shared tier is asked: for the entry first, then for the lease and once
 * more for the entry, in one go. So what another instance has stored since the
 * first look is not fetched again. Whoever finds the lease taken looks again
 * after a pause.
 *
 * Whatever goes wrong in Redis counts as "not there": then the origin is asked
 * without a lease, and nothing is stored.
 */
#include "collapse/flight_inside.h"

#include "nearside/rules/found.h"
#include "nearside/tier/store.h"

enum {
    POLL_MIN_MS = 15,
    POLL_MAX_MS = 60,
    POLL_BYTES_PER_MS = 16384,
};

/* --- what is found ----------------------------------------------------- */

static void
tell_entry(struct flight_run *run, struct entry *own_entry)
{
    MUST_OBJ(own_entry, ENTRY_MAGIC);
    flight_tell(run,
        &(struct flight_result){.outcome = FLIGHT_ENTRY,
            .entry = own_entry,
            .is_of_memory = run->look.is_of_memory,
            .is_unverified = run->look.is_unverified},
        false);
    flight_run_end_released(run);
}

/* Whoever waits gets the stale entry now; whoever comes while it is renewed
   joins and gets it too. Without memory for the renewal's question they wait
   until it is renewed by the leader's. */
static void
go_on_in_background(struct flight_run *run)
{
    struct question *renewal;

    MUST_OBJ(run->stale, ENTRY_MAGIC);
    if (question_renewal(run->q, &renewal) != RC_OK) {
        worker_count_limit(run->worker, LIMIT_MEMORY);
        return;
    }
    question_unref(&run->q);
    run->q = renewal;
    run->is_background = true;
    flight_tell(run,
        &(struct flight_result){
            .outcome = FLIGHT_ENTRY,
            .entry = entry_ref(run->stale),
            .is_of_memory = run->look.is_of_memory,
            .is_stale = true,
            .detail = "stale-while-revalidate",
        },
        true);
}

/* A request that wants it validated takes nothing that was received before it
   came. What was received in the same millisecond may have been. */
static bool
is_new_enough(const struct flight_run *run, const struct entry *entry)
{
    return run->wants_since_ms == 0 ||
           entry_received_ms(entry) > run->wants_since_ms;
}

static void
keep_stale(struct flight_run *run, struct entry *own_entry)
{
    MUST_OBJ(own_entry, ENTRY_MAGIC);
    entry_unref(&run->stale);
    run->stale = own_entry;
    run->is_stale_unverified = run->look.is_unverified;
}

/* True: it answers whoever waits. False: it is kept, or of no use. */
static bool
take_entry(struct flight_run *run, struct entry *own_entry)
{
    int64_t now_ms = worker_wall_ms(run->worker);
    enum found found = found_judge(run->q, own_entry, true, now_ms);

    if (run->look.is_unverified) {
        found = found_unverified(found, run->look.may_answer);
    }
    switch (found) {
    case FOUND_RECORD:
    case FOUND_HIT_FOR_MISS:
        return true;
    case FOUND_FRESH:
        if (is_new_enough(run, own_entry)) {
            return true;
        }
        break;
    case FOUND_VALIDATE: /* each who waits does so */
        if (!run->is_alone) {
            return true;
        }
        break;
    case FOUND_RENEW:
        keep_stale(run, own_entry);
        if (!run->is_told) {
            go_on_in_background(run);
        }
        return false;
    case FOUND_STALE:
    case FOUND_OUTDATED:
    case FOUND_UNWANTED:
    case FOUND_UNAVAILABLE:
    case FOUND_NOT_FOR_IT:
        break;
    case FOUND_FOREIGN:
        run->has_foreign = true;
        entry_unref(&own_entry);
        return false;
    case FOUND_NOTHING:
        entry_unref(&run->stale);
        entry_unref(&own_entry);
        return false;
    }
    keep_stale(run, own_entry);
    return false;
}

/* What a lookup has found, if it answers whoever waits; or NULL. */
static struct entry *
take_found(struct flight_run *run, struct entry *own_entry)
{
    if (run->look.doubt != NULL) {
        run->doubt = run->look.doubt;
    }
    return own_entry != NULL && take_entry(run, own_entry) ? own_entry : NULL;
}

static void
look(struct flight_run *run, bool is_in_order,
    void (*on_end)(void *ctx, enum lookup_end end, struct entry *own_entry))
{
    const struct lookup_opts opts = {.q = run->q,
        .until_ms = run->wait_until_ms,
        .is_in_order = is_in_order,
        .on_end = on_end,
        .ctx = run};

    MUST_OBJ(run, RUN_MAGIC);
    flight_is_current(run, worker_now_ms(run->worker));
    lookup_start(&run->look, run->worker, &opts);
}

/* Redis does not say what is stored. */
static void
go_without_redis(struct flight_run *run)
{
    MUST_OBJ(run, RUN_MAGIC);
    MUST(run->worker->redis != NULL);
    if (run->q->reads->redis_down != ROUTE_REDIS_DOWN_REFUSE) {
        flight_fetch(run);
        return;
    }
    flight_tell(run,
        &(struct flight_result){
            .outcome = FLIGHT_REFUSED_BY_ROUTE, .detail = "redis-down"},
        false);
    flight_run_end_released(run);
}

/* --- with the lease ---------------------------------------------------- */

static void
on_poll(void *ctx)
{
    flight_take_lease(OBJ_OF(struct flight_run, ctx, RUN_MAGIC));
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

/* Somebody else has the lease. Nobody waits for a run in the background, and
   one that validates for its leader waits for nobody. */
static void
wait_for_other(struct flight_run *run)
{
    MUST(!fetch_is_active(&run->fetch));
    if (run->is_background) {
        flight_run_end(run);
    } else if (run->is_alone) {
        flight_fetch(run);
    } else if (worker_now_ms(run->worker) >= run->wait_until_ms) {
        worker_count_limit(run->worker, LIMIT_FLIGHT_WAIT);
        flight_fetch(run);
    } else {
        flight_set_timer(run, on_poll, pause_ms(run));
    }
}

/* The SET and the GET behind it have ended, without an entry. */
static void
after_both(struct flight_run *run)
{
    MUST(!lookup_is_active(&run->look));
    MUST(!lease_is_asked(run->lease));
    if (run->lease_state == LEASE_UNSURE) {
        /* Nothing will be stored under it: nobody is to wait for it. */
        flight_lease_release(run);
    }
    if (run->lease_state == LEASE_TAKEN && !run->is_get_failed) {
        wait_for_other(run);
    } else if (run->is_get_failed) {
        go_without_redis(run);
    } else {
        flight_fetch(run);
    }
}

/* As a rule this comes before on_get, since one connection answers in order.
   But Redis may send one of the two commands elsewhere (ASK), or refuse it. */
static void
on_taken(void *ctx, enum lease_state state)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    MUST(run->lease_state == LEASE_UNSURE);
    run->lease_state = state;
    if (!lookup_is_active(&run->look)) {
        after_both(run);
    }
}

static void
on_get(void *ctx, enum lookup_end end, struct entry *own_entry)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);
    struct entry *entry;

    run->is_get_failed = end == LOOKUP_FAILED;
    if (run->is_background && end == LOOKUP_NOTHING) {
        /* A write came before the lease was there to be lost. */
        flight_close(run->flights, run->flight);
    }
    entry = take_found(run, own_entry);
    if (entry != NULL) {
        tell_entry(run, entry);
    } else if (!lease_is_asked(run->lease)) {
        after_both(run);
    }
}

/* Nothing can be stored, as is known: a lease would only keep others waiting.
   Nor is anything renewed in the background then. */
static void
go_without_lease(struct flight_run *run)
{
    MUST(!fetch_is_active(&run->fetch));
    MUST(!lookup_is_active(&run->look));
    run->lease_state = LEASE_NONE;
    if (run->is_background) {
        flight_run_end(run);
    } else {
        flight_fetch(run);
    }
}

void
flight_take_lease(struct flight_run *run)
{
    MUST_OBJ(run, RUN_MAGIC);
    MUST(run->lease_state == LEASE_NONE || run->lease_state == LEASE_TAKEN);
    if (!store_is_possible(run->worker, run->q)) {
        go_without_lease(run);
        return;
    }
    if (run->lease == NULL) {
        run->lease = lease_new(run->worker, run->q, &run->arena);
    }
    if (run->lease == NULL) {
        flight_run_fail(run);
        return;
    }
    run->lease_state = LEASE_UNSURE;
    lease_take(run->lease, on_taken, run);
    look(run, true, on_get);
}

/* --- the first look ---------------------------------------------------- */

/* In a flood of new keys, most are asked for once only. One that is kept out
   costs Redis nothing more, not even a lease. */
static bool
is_kept_out(struct flight_run *run)
{
    struct worker *w = run->worker;

    if (run->stale == NULL && !doorkeeper_admits(w->collapse->doorkeeper,
                                  run->q->key.hash, worker_now_ms(w))) {
        worker_count_limit(w, LIMIT_NEW_KEYS);
        run->is_kept_out = true;
    }
    return run->is_kept_out;
}

static void
on_lookup(void *ctx, enum lookup_end end, struct entry *own_entry)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);
    struct entry *entry = take_found(run, own_entry);

    MUST(run->lease_state == LEASE_NONE);
    if (entry != NULL) {
        tell_entry(run, entry);
    } else if (end == LOOKUP_FAILED || end == LOOKUP_REFUSED) {
        go_without_redis(run);
    } else if (is_kept_out(run)) {
        flight_fetch(run);
    } else {
        flight_take_lease(run);
    }
}

void
flight_lookup(struct flight_run *run)
{
    MUST(run->stale == NULL);
    look(run, false, on_lookup);
}
