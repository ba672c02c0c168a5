/*
 * Storing what the origin has answered. Each of these functions ends the run,
 * and its lease goes to the writer or back to Redis. Nothing is stored without
 * the lease, nor when a write of this process came since the flight was opened.
 */
#include "collapse/flight_inside.h"

#include "nearside/body/encode.h"
#include "nearside/tier/deletion.h"
#include "nearside/tier/store.h"

static bool
may_store(const struct flight_run *run)
{
    MUST_OBJ(run, RUN_MAGIC);
    MUST(!run->is_over);
    return run->lease_state == LEASE_HELD &&
           !flight_is_outdated(run->flights, run->flight);
}

bool
flight_fits_record(const struct flight_run *run)
{
    MUST_OBJ(run, RUN_MAGIC);
    return run->variant != NULL ||
           question_fits_record(run->q, &run->verdict->vary);
}

bool
flight_is_wider(const struct flight_run *run)
{
    MUST_OBJ(run, RUN_MAGIC);
    return run->variant != NULL && run->q->record != NULL;
}

const struct key *
flight_key(const struct flight_run *run)
{
    MUST_OBJ(run, RUN_MAGIC);
    return run->variant != NULL ? &run->variant->key : &run->q->key;
}

/* The writer has the lease from now on. */
static void
hand_over(struct flight_run *run, enum store_kind kind, struct value *own_value,
    int64_t px_ms)
{
    struct store store = {
        .kind = kind,
        .q = run->q,
        .lease = flight_lease_pass_on(run),
        .value = *own_value,
        .px_ms = px_ms,
    };

    MUST(run->is_told);
    if (kind == STORE_RECORD || kind == STORE_WIDER) {
        MUST(run->record_value.bytes != NULL);
        store.q = run->variant;
        store.leased = run->q;
        store.record = run->record_value;
        run->record_value = (struct value){0};
    }
    store_write(run->worker, &store);
    flight_run_end(run);
}

/* How a response is stored. */
static enum store_kind
kind_of(const struct flight_run *run)
{
    if (run->variant != NULL) {
        return flight_is_wider(run) ? STORE_WIDER : STORE_RECORD;
    }
    return run->q->record != NULL ? STORE_VARIANT : STORE_ENTRY;
}

/* The origin varies by more names than a record has room for: the record is
   deleted, and with it all variants are out of reach. */
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
        .cost_ms = fetch_cost_ms(&run->fetch),
        .key = flight_key(run),
    };
    struct value value = {0};
    enum rc rc = RC_MISS;

    MUST(flight_fits_record(run));
    if (may_store(run) && left_ms(run) > 0) {
        rc = encode_fill(&encoding, run->fetch.fill, &value);
    }
    if (rc == RC_OK) {
        hand_over(run, kind_of(run), &value, left_ms(run));
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
        hand_over(run, kind_of(run), own_value, left_ms(run));
        return;
    }
    value_free(own_value);
}

/* A client can ask for as many variants as it likes: one that was never stored
   gets no hit-for-miss entry. Nor does a base key under which something is
   stored for others, which the entry would displace. */
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
        encode_hit_for_miss(&run->q->key, run->verdict->detail,
            worker_wall_ms(run->worker), &value, &px_ms) != RC_OK) {
        flight_run_end_released(run);
        return;
    }
    hand_over(run, STORE_ENTRY, &value, px_ms);
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

/* Names of both; RC_LIMIT. */
static enum rc
names_of(const struct flight_run *run, struct vary *out)
{
    static const struct vary_opts any = {true, true, true};
    struct vary chosen_by;
    enum rc rc = vary_parse(question_names(run->q), &any, &chosen_by);

    return rc == RC_OK ? vary_join(&chosen_by, &run->verdict->vary, out) : rc;
}

enum rc
flight_make_record(struct flight_run *run)
{
    struct vary names;
    enum rc rc = names_of(run, &names);

    MUST(run->made == NULL);
    MUST(run->variant == NULL);
    if (rc == RC_OK) {
        rc = encode_record(&question_base(run->q)->key, vary_text(&names),
            run->response_ms, random_next(&run->worker->random),
            &run->record_value);
    }
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
