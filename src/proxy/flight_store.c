/*
 * Storing: always by a script, always only while the token still holds.
 *
 * A response that varies is stored as two values in one slot: under the base
 * key a record that names the fields and a generation, under the variant's
 * key the response. The generation is part of the variant's key, and a
 * variant is stored only while its record is the one it was chosen by: so a
 * write, which deletes the record alone, puts all variants out of reach.
 */
#include <stdio.h>

#include "nearside/http/write.h"
#include "proxy/flight_inside.h"
#include "proxy/invalidate.h"
#include "proxy/verdict.h"

enum {
    /* How long "not storable" is remembered, fleet-wide. */
    PASS_MARKER_MS = 5000,
    STORE_TIMEOUT_MS = 1000,
    GENERATION_LEN = 16,
};

/* A record is good for as long as Redis keeps it, which its variants decide:
   this only has to be longer. */
#define RECORD_MS INT64_C(31536000000)

static void
on_stored(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    if (rc != RC_OK || reply->type != REDIS_INTEGER) {
        worker_count(run->worker, COUNTER_STORES_FAILED);
        /* Nobody is to wait for a lease whose fetch is over. */
        flight_run_end_released(run);
        return;
    }
    if (reply->integer == 2) {
        worker_count_limit(run->worker, LIMIT_VARIANTS);
    } else {
        worker_count(run->worker,
            reply->integer == 1 ? COUNTER_STORES : COUNTER_STORES_FENCED);
    }
    flight_run_end(run);
}

static void
send_script(struct flight_run *run, const struct redis_script *script,
    const struct slice *argv, unsigned keys, unsigned count)
{
    struct redis_call *call = &run->lease->call;

    loop_timer_cancel(&run->timer);
    redis_call_cancel(call);
    *call = (struct redis_call){
        .on_reply = on_stored,
        .ctx = run,
        .deadline_ms = worker_now_ms(run->worker) + STORE_TIMEOUT_MS,
    };
    redis_eval(run->worker->redis, call, script, argv, keys, count);
}

static struct slice
px_text(struct flight_run *run, int64_t px_ms)
{
    struct flight_lease *lease = run->lease;
    int n = snprintf(lease->px, sizeof(lease->px), "%lld", (long long)px_ms);

    return slice_of(lease->px, (size_t)n);
}

/* One value under its own key. */
static void
send_fill(struct flight_run *run, int64_t px_ms)
{
    const struct slice argv[] = {run->q->entry_key, run->lease->key,
        run->lease->token, value_slice(&run->value), px_text(run, px_ms)};

    send_script(
        run, &run->worker->tier->scripts->fill, argv, 2, ARRAY_LEN(argv));
}

/* A record and the first variant. */
static void
send_record(struct flight_run *run, int64_t px_ms)
{
    const struct slice argv[] = {run->q->entry_key, run->lease->key,
        run->variant->entry_key, run->lease->token, value_slice(&run->value),
        px_text(run, px_ms), value_slice(&run->second)};

    send_script(run, &run->worker->tier->scripts->fill_record, argv, 3,
        ARRAY_LEN(argv));
}

/* How many variants there may be; 0: as many as there are clients, where the
   route keys credentials. */
static struct slice
max_text(struct flight_run *run)
{
    const struct route *route = run->q->reads;
    bool is_per_client = route->cookie == ROUTE_CREDENTIAL_KEY ||
                         route->authorization == ROUTE_CREDENTIAL_KEY;
    struct flight_lease *lease = run->lease;
    unsigned max = is_per_client ? 0 : run->worker->conf->limits.variants_max;
    int n = snprintf(lease->max, sizeof(lease->max), "%u", max);

    return slice_of(lease->max, (size_t)n);
}

/* A further variant of a record. */
static void
send_variant(struct flight_run *run, int64_t px_ms)
{
    struct slice argv[] = {run->q->entry_key, run->lease->key,
        question_base(run->q)->entry_key, {NULL, 0}, run->lease->token,
        value_slice(&run->value), px_text(run, px_ms),
        entry_sum(run->q->record), max_text(run), run->q->key.variant};

    if (key_names(&run->arena, question_base(run->q)->entry_key,
            entry_generation(run->q->record), &argv[3]) != RC_OK) {
        flight_run_end_released(run);
        return;
    }
    send_script(run, &run->worker->tier->scripts->fill_variant, argv, 4,
        ARRAY_LEN(argv));
}

static enum rc
encode(struct flight_run *run, const struct key *key, struct value *out)
{
    const struct encoding encoding = {
        .verdict = run->verdict,
        .status = run->status,
        .origin_cost_ms =
            (uint32_t)((run->fetch.head_us - run->fetch.start_us) / 1000),
        .key = key->full,
    };

    return encode_fill(&encoding, run->fetch.fill, out);
}

static bool
may_store(struct flight_run *run)
{
    return run->has_lease && !flight_is_doomed(run);
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

/* The origin varies by something else now: the record goes, and with it all
   its variants. */
static void
drop_record(struct flight_run *run)
{
    struct invalidation *i =
        invalidation_start(run->worker, &question_base(run->q)->key,
            question_base(run->q)->entry_key, &(struct invalidation_opts){0});

    (void)i;
    flight_run_end_released(run);
}

static void
store(struct flight_run *run)
{
    int64_t px_ms = run->verdict->stale_until_ms - worker_wall_ms(run->worker);

    if (px_ms <= 0) {
        flight_run_end_released(run);
    } else if (run->second.bytes != NULL) {
        send_record(run, px_ms);
    } else if (run->q->record != NULL) {
        send_variant(run, px_ms);
    } else {
        send_fill(run, px_ms);
    }
}

void
flight_store_fill(struct flight_run *run)
{
    bool is_new = run->variant != NULL;
    enum rc rc;

    if (!may_store(run)) {
        flight_run_end_released(run);
        return;
    }
    MUST(flight_fits_record(run));
    rc = is_new ? encode(run, &run->variant->key, &run->second)
                : encode(run, &run->q->key, &run->value);
    if (rc != RC_OK) {
        worker_count_limit(run->worker, LIMIT_MEMORY);
        flight_run_end_released(run);
        return;
    }
    store(run);
}

void
flight_store_entry(struct flight_run *run)
{
    if (!may_store(run)) {
        flight_run_end_released(run);
    } else if (!flight_fits_record(run)) {
        drop_record(run);
    } else {
        store(run);
    }
}

/* Markers of variants that were never stored would be as many as a client
   likes. One under the base key is for all forms: it would displace what is
   there for others. */
static bool
is_new_variant(const struct flight_run *run)
{
    return run->q->record != NULL && run->stale == NULL;
}

static void
store_marker(struct flight_run *run)
{
    int64_t now_ms = worker_wall_ms(run->worker);
    const struct codec_parts parts = {
        .flags = ENTRY_HIT_FOR_MISS,
        .created_ms = now_ms,
        .fresh_until_ms = now_ms + PASS_MARKER_MS,
        .stale_until_ms = now_ms + PASS_MARKER_MS,
        .key = run->q->key.full,
    };

    value_free(&run->value);
    if (is_new_variant(run) || run->has_foreign ||
        codec_encode(&parts, &run->value) != RC_OK) {
        flight_run_end_released(run);
        return;
    }
    send_fill(run, PASS_MARKER_MS);
}

void
flight_store_refusal(struct flight_run *run)
{
    if (!may_store(run)) {
        flight_run_end_released(run);
    } else if (run->verdict->is_storable) { /* and fits no record */
        drop_record(run);
    } else {
        store_marker(run);
    }
}

enum rc
flight_make_record(struct flight_run *run)
{
    static const char digits[] = "0123456789abcdef";
    char generation[GENERATION_LEN];
    uint64_t random = random_next(&run->worker->random);
    const struct codec_parts parts = {
        .flags = ENTRY_VARY_RECORD,
        .created_ms = run->response_ms,
        .fresh_until_ms = run->response_ms + RECORD_MS,
        .stale_until_ms = run->response_ms + RECORD_MS,
        .key = run->q->key.full,
        .vary_names = vary_text(&run->verdict->vary),
        .generation = slice_of(generation, GENERATION_LEN),
    };
    enum rc rc;

    for (size_t i = 0; i < GENERATION_LEN; i++) {
        generation[i] = digits[(random >> (4 * i)) & 15];
    }
    rc = codec_encode(&parts, &run->value);
    if (rc == RC_OK) {
        rc = codec_entry(&run->value, &run->made);
    }
    if (rc == RC_OK) {
        rc = question_vary(run->q, run->made, &run->variant);
    }
    if (rc != RC_OK) {
        value_free(&run->value);
        entry_unref(&run->made);
    }
    return rc;
}
