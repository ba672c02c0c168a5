/*
 * Flying.
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
 *     |not: FILL for the leader, ALONE for the others, and at once a marker
 *     |     so that nobody in the fleet queues up for the next seconds, while
 *     |     the body still comes for who reads it
 *     |failed: ENTRY, the stale one where that is allowed, or ERROR: for all
 *     |     if the origin cannot be reached, else for the leader, whose doing
 *     |     it may be; the others fly again, one of them as the leader
 *   store: a script, only while the token still holds
 *
 * Laws. The lease is renewed while the fetch lasts; when it turns out lost
 * (a write or purge came), the flight is closed: whoever asks from now on
 * must not get what was fetched before. Any Redis trouble means "not
 * there": the origin is asked and nothing is stored.
 */
#include "nearside/collapse/flight_run.h"

#include <stdlib.h>

#include "nearside/cache/codec.h"
#include "collapse/flight_inside.h"
#include "nearside/tier/store.h"

enum {
    /* Keys of 8,000 bytes thrice, a 304's fields beside the stored ones. */
    RUN_ARENA_MAX = 256 * 1024,
};

/* --- ends -------------------------------------------------------------- */

/* With whatever is still under way. */
static void
run_free(struct flight_run *run)
{
    MUST_OBJ(run, RUN_MAGIC);
    loop_timer_cancel(&run->timer);
    loop_task_cancel(&run->failed);
    redis_call_cancel(&run->get);
    if (run->lease != NULL) {
        redis_call_cancel(&run->lease->call);
    }
    fetch_cancel(&run->fetch);
    value_free(&run->record_value);
    entry_unref(&run->made);
    entry_unref(&run->stale);
    flight_close(run->worker->collapse->flights, run->flight);
    question_unref(&run->variant);
    question_unref(&run->q);
    flight_unref(&run->flight);
    list_remove(&run->link);
    arena_fini(&run->arena);
    run->magic = 0;
    free(run);
}

void
flight_run_end(struct flight_run *run)
{
    MUST_OBJ(run, RUN_MAGIC);
    run->is_over = true;
    if (!fetch_is_active(&run->fetch)) {
        run_free(run);
    }
}

/* Nobody is to wait for a lease that nobody holds. */
void
flight_run_end_released(struct flight_run *run)
{
    loop_timer_cancel(&run->timer);
    if (run->may_have_lease) {
        redis_call_cancel(&run->lease->call);
        run->has_lease = false;
        run->may_have_lease = false;
        store_release(run->worker, run->q, run->lease->token);
    }
    flight_run_end(run);
}

static void
drop_result(const struct flight_result *own_result)
{
    struct entry *entry = own_result->entry;
    struct entry *record = own_result->record;
    struct fill *fill = own_result->fill;

    entry_unref(&entry);
    entry_unref(&record);
    fill_unref(&fill);
}

void
flight_tell(struct flight_run *run, const struct flight_result *own_result,
    bool keeps_open)
{
    MUST_OBJ(run, RUN_MAGIC);
    if (run->is_resolved) {
        drop_result(own_result);
        return;
    }
    run->is_resolved = true;
    flight_resolve(
        run->worker->collapse->flights, run->flight, own_result, keeps_open);
}

void
flight_tell_entry(struct flight_run *run, struct entry *own_entry)
{
    flight_tell(run,
        &(struct flight_result){.outcome = FLIGHT_ENTRY, .entry = own_entry},
        false);
}

/* Everybody for himself. */
static void
on_failed(void *ctx)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    worker_count_limit(run->worker, LIMIT_MEMORY);
    flight_tell(run,
        &(struct flight_result){.outcome = FLIGHT_ALONE, .detail = "memory"},
        false);
    flight_run_end_released(run);
}

/* --- lookup ------------------------------------------------------------ */

/* A stale entry that may be used while it is renewed: whoever waits gets it
   now, whoever comes while the run goes on joins to get it too. */
static void
go_on_in_background(struct flight_run *run)
{
    run->is_background = true;
    flight_tell(run,
        &(struct flight_result){
            .outcome = FLIGHT_ENTRY,
            .entry = entry_ref(run->stale),
            .is_stale = true,
            .detail = "stale-while-revalidate",
        },
        true);
}

/* What was made before the request that wants it validated is not good enough.
   Of the same millisecond it may have been made before. */
static bool
is_new_enough(const struct flight_run *run, const struct entry *entry)
{
    return run->wants_since_ms == 0 || entry->created_ms > run->wants_since_ms;
}

static void
keep_stale(struct flight_run *run, struct entry *own_entry)
{
    entry_unref(&run->stale);
    run->stale = own_entry;
}

/* True: it answers whoever waits. False: it is kept, or of no use. */
static bool
take_entry(struct flight_run *run, struct entry *own_entry)
{
    int64_t now_ms = worker_wall_ms(run->worker);

    switch (found_judge(run->q, own_entry, true, now_ms)) {
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
        if (!run->is_resolved) {
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

bool
flight_take_value(struct flight_run *run, enum rc rc, struct redis_reply *reply,
    struct entry **out_entry)
{
    struct entry *entry;
    char *value;
    size_t len;

    if (rc != RC_OK || reply->type != REDIS_STRING) {
        return false;
    }
    value = redis_reply_take(reply, &len);
    if (codec_decode(value, len, run->q->key.full, &entry) != RC_OK) {
        worker_count(run->worker, COUNTER_VALUES_BAD);
        return false;
    }
    if (!take_entry(run, entry)) {
        return false;
    }
    *out_entry = entry;
    return true;
}

void
flight_send_get(struct flight_run *run, redis_reply_fn on_reply)
{
    run->get =
        (struct redis_call){.on_reply = on_reply, .ctx = run, .retries = true};
    redis_send(run->worker->redis, &run->get, run->q->entry_key, 2,
        (const struct slice[]){SLICE("GET"), run->q->entry_key});
}

/* In a flood of new keys this one may have come to be used once only: then
   Redis hears no more of it, not even of a lease. */
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
on_lookup(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);
    struct entry *entry;

    if (flight_take_value(run, rc, reply, &entry)) {
        flight_tell_entry(run, entry);
        run_free(run);
        return;
    }
    /* A reply that is an error, or none: fetch, but store nothing. */
    if (rc != RC_OK || reply->type == REDIS_ERROR || is_kept_out(run)) {
        flight_fetch(run);
        return;
    }
    if (run->wait_until_ms == 0) {
        run->wait_until_ms = worker_now_ms(run->worker) +
                             run->worker->conf->limits.flight_wait_ms;
    }
    flight_lease(run);
}

/* --- start ------------------------------------------------------------- */

static struct flight_run *
run_new(struct worker *worker, struct question *q,
    const struct flight_run_opts *opts)
{
    struct flight_run *run = malloc(sizeof(*run));

    if (run == NULL) {
        return NULL;
    }
    *run = (struct flight_run){
        .magic = RUN_MAGIC,
        .worker = worker,
        .q = question_ref(q),
        .wait_until_ms = opts->wait_until_ms,
    };
    arena_init(&run->arena, RUN_ARENA_MAX);
    if (opts->wants_validated) {
        run->wants_since_ms = worker_wall_ms(worker);
    }
    loop_timer_init(&run->timer, worker->loop, on_failed, run);
    loop_task_init(&run->failed, on_failed, run);
    list_init(&run->link);
    list_push_back(&worker->collapse->runs, &run->link);
    return run;
}

/* NULL: no memory, which whoever waits has been told. */
static struct flight_run *
run_begin(struct worker *worker, struct question *q, struct flight *own_flight,
    const struct flight_run_opts *opts)
{
    struct flight_run *run = run_new(worker, q, opts);

    if (run == NULL) {
        worker_count_limit(worker, LIMIT_MEMORY);
        flight_resolve(worker->collapse->flights, own_flight,
            &(struct flight_result){
                .outcome = FLIGHT_ALONE, .detail = "memory"},
            false);
        flight_unref(&own_flight);
        return NULL;
    }
    run->flight = own_flight;
    return run;
}

void
flight_run_start(struct worker *worker, struct question *q,
    struct flight *own_flight, const struct flight_run_opts *opts)
{
    struct flight_run *run = run_begin(worker, q, own_flight, opts);

    if (run == NULL) {
        return;
    }
    if (worker->redis == NULL) {
        flight_fetch(run);
    } else {
        flight_send_get(run, on_lookup);
    }
}

void
flight_run_validate(struct worker *worker, struct question *q,
    struct flight *own_flight, struct entry *stale, bool takes_lease)
{
    const struct flight_run_opts none = {0};
    struct flight_run *run = run_begin(worker, q, own_flight, &none);

    MUST_OBJ(stale, ENTRY_MAGIC);
    if (run == NULL) {
        return;
    }
    run->is_alone = true;
    run->stale = entry_ref(stale);
    if (takes_lease && worker->redis != NULL) {
        flight_lease(run);
    } else {
        flight_fetch(run);
    }
}

void
flight_runs_free(struct worker *worker)
{
    struct list *link;

    while ((link = list_first(&worker->collapse->runs)) != NULL) {
        struct flight_run *run = CONTAINER_OF(link, struct flight_run, link);
        flight_tell(
            run, &(struct flight_result){.outcome = FLIGHT_ALONE}, false);
        run_free(run);
    }
}
