/*
 * What of a flight's answer is stored, and what else becomes of its lease:
 * each of these ends the run. Nothing is stored without the lease, nor when a
 * write of this process came meanwhile.
 */
#include "nearside/tier/deletion.h"
#include "nearside/tier/encode.h"
#include "collapse/flight_inside.h"
#include "nearside/tier/store.h"

static bool
may_store(const struct flight_run *run)
{
    return run->has_lease &&
           !flight_is_outdated(run->worker->collapse->flights, run->flight);
}

/* One that names nothing has forgotten to: it is what this request chose, by
   the last that was heard (RFC 9111 4.1). */
bool
flight_fits_record(const struct flight_run *run)
{
    if (run->q->record == NULL) {
        return run->verdict->vary.count == 0 || run->variant != NULL;
    }
    return run->verdict->vary.count == 0 ||
           slice_eq(vary_text(&run->verdict->vary),
               entry_vary_names(run->q->record));
}

/* The writer has the lease from now on. */
static void
hand_over(struct flight_run *run, struct value *own_value, int64_t px_ms)
{
    struct store store = {
        .kind = STORE_ENTRY,
        .q = run->q,
        .guard = run->lease->token,
        .value = *own_value,
        .px_ms = px_ms,
    };

    MUST(run->has_lease);
    *own_value = (struct value){0};
    if (run->variant != NULL) {
        store.kind = STORE_RECORD;
        store.q = run->variant;
        store.record = run->record_value;
        run->record_value = (struct value){0};
    } else if (run->q->record != NULL && !run->is_refused) {
        store.kind = STORE_VARIANT;
    }
    redis_call_cancel(&run->lease->call);
    run->has_lease = false;
    run->may_have_lease = false;
    store_write(run->worker, &store);
    flight_run_end(run);
}

/* The origin varies by something else now: the record goes, and with it all
   its variants. */
static void
drop_record(struct flight_run *run)
{
    const struct question *base = question_base(run->q);

    deletion_start(
        run->worker, &base->key, base->entry_key, &(struct deletion_opts){0});
    flight_run_end_released(run);
}

static int64_t
left_ms(const struct flight_run *run)
{
    return run->verdict->stale_until_ms - worker_wall_ms(run->worker);
}

void
flight_store_fill(struct flight_run *run)
{
    const struct encoding encoding = {
        .verdict = run->verdict,
        .status = run->status,
        .origin_cost_ms = fetch_cost_ms(&run->fetch),
        .key = run->variant != NULL ? &run->variant->key : &run->q->key,
    };
    struct value value = {0};
    enum rc rc = RC_MISS;

    MUST(flight_fits_record(run));
    if (may_store(run) && left_ms(run) > 0) {
        rc = encode_fill(&encoding, run->fetch.fill, &value);
    }
    if (rc == RC_OK) {
        hand_over(run, &value, left_ms(run));
        return;
    }
    if (rc != RC_MISS) {
        worker_count_limit(run->worker, LIMIT_MEMORY);
    }
    flight_run_end_released(run);
}

void
flight_store_renewed(struct flight_run *run, struct value *own_value)
{
    if (!may_store(run)) {
        flight_run_end_released(run);
    } else if (!flight_fits_record(run)) {
        drop_record(run);
    } else if (left_ms(run) <= 0) {
        flight_run_end_released(run);
    } else {
        hand_over(run, own_value, left_ms(run));
        return;
    }
    value_free(own_value);
}

/* Hit-for-miss entries of variants that were never stored would be as many as
   a client likes. One under the base key is for all forms: it would displace
   what is there for others. */
static bool
may_say_so(const struct flight_run *run)
{
    return (run->q->record == NULL || run->stale != NULL) && !run->has_foreign;
}

static void
store_hit_for_miss(struct flight_run *run)
{
    struct value value = {0};
    int64_t px_ms;

    if (!may_say_so(run) ||
        encode_hit_for_miss(&run->q->key, worker_wall_ms(run->worker), &value,
            &px_ms) != RC_OK) {
        flight_run_end_released(run);
        return;
    }
    question_unref(&run->variant);
    run->is_refused = true;
    hand_over(run, &value, px_ms);
}

void
flight_store_refusal(struct flight_run *run)
{
    if (!may_store(run)) {
        flight_run_end_released(run);
    } else if (run->verdict->is_storable) { /* and fits no record */
        drop_record(run);
    } else {
        store_hit_for_miss(run);
    }
}

enum rc
flight_make_record(struct flight_run *run)
{
    enum rc rc = encode_record(&run->q->key, vary_text(&run->verdict->vary),
        run->response_ms, random_next(&run->worker->random),
        &run->record_value);

    MUST(run->made == NULL);
    if (rc == RC_OK) {
        rc = codec_entry(&run->record_value, &run->made);
    }
    if (rc == RC_OK) {
        rc = question_vary(run->q, run->made, &run->variant);
    }
    if (rc != RC_OK) {
        value_free(&run->record_value);
        entry_unref(&run->made);
    }
    return rc;
}
