/*
 * The fetch of a flight: the origin is asked once, on behalf of all who
 * wait, and its head decides what they get.
 *
 * A response that is for the leader alone is settled at its head: the flight
 * is closed and the lease given up, so that nobody waits for a body that will
 * not be stored.
 */
#include "collapse/flight_inside.h"

#include "nearside/body/encode.h"
#include "nearside/http/condition.h"
#include "nearside/http/fresh.h"
#include "nearside/http/update.h"
#include "nearside/tier/store.h"

enum {
    /* If-None-Match and If-Modified-Since around stored values. */
    VALIDATORS_MAX = 16384,
};

static void
on_interim(void *ctx, const struct head *head)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    flight_interim(run->flight, head);
}

static struct assess_opts
assess_opts_of(struct flight_run *run)
{
    struct assess_opts opts = tier_assess_opts(run->worker);

    opts.route = run->q->reads;
    opts.request = &run->q->policy;
    opts.arena = &run->arena;
    opts.is_delivered = true;
    opts.times.request_ms = run->request_ms;
    return opts;
}

/* --- 304 --------------------------------------------------------------- */

static int64_t
age_ms_of(const struct head *head)
{
    int64_t age_s;

    return fresh_read_age(head, &age_s) == RC_OK ? age_s * 1000 : 0;
}

/* A response that varies by names that no record has so far gets a record of
   its own, as does one of a key that always has variants. If all the names are
   too many for a record, the present one is given up. */
static void
find_variant(struct flight_run *run)
{
    bool is_keyed = question_is_keyed(run->q) && run->q->record == NULL;
    enum rc rc;

    MUST(run->variant == NULL);
    if (!run->verdict->is_storable || (flight_fits_record(run) && !is_keyed)) {
        return;
    }
    rc = flight_make_record(run);
    if (rc != RC_OK && rc != RC_LIMIT) {
        run->verdict->is_storable = false;
        run->verdict->detail = "no-memory";
    }
}

static void
take_not_modified(struct flight_run *run, const struct head *head)
{
    const struct assess_opts opts = assess_opts_of(run);
    struct renewal *renewal = arena_zalloc(&run->arena, sizeof(*renewal));

    MUST(run->renewal == NULL);
    if (renewal == NULL || run->stale == NULL ||
        !update_is_identified(
            head, entry_fields(run->stale), run->response_ms / 1000) ||
        !assess_renewed(&opts, run->stale, head, renewal)) {
        return;
    }
    run->renewal = renewal;
    *run->verdict = renewal->verdict;
    find_variant(run);
    if (!run->verdict->is_storable) {
        /* It answers those who wait, and is over. */
        run->verdict->created_ms = run->response_ms - age_ms_of(head);
        run->verdict->fresh_until_ms = run->response_ms;
        run->verdict->stale_until_ms = run->response_ms;
    }
}

static bool
is_to_be_kept(const struct flight_run *run)
{
    MUST(run->verdict != NULL);
    return run->verdict->is_storable && flight_fits_record(run);
}

/* Those who wait chose by what was known to vary: a response that varies by
   something more now has been chosen by the leader alone (RFC 9111 4.1). */
static bool
is_for_all(const struct flight_run *run)
{
    return is_to_be_kept(run) && !flight_is_wider(run);
}

/* What it is called, that is: where it is known that Redis takes nothing, it is
   not said. */
static bool
can_be_stored(const struct flight_run *run)
{
    MUST_OBJ(run, RUN_MAGIC);
    return run->lease_state == LEASE_HELD &&
           store_is_possible(run->worker, run->q);
}

static void
tell_validated(struct flight_run *run, struct entry *own_entry)
{
    flight_tell(run,
        &(struct flight_result){
            .outcome = FLIGHT_ENTRY,
            .entry = own_entry,
            .is_validated = true,
            .is_private = !is_for_all(run) || run->variant != NULL,
            .is_personal = run->verdict->is_personal,
            .is_stored = is_to_be_kept(run) && can_be_stored(run),
            .fwd_status = 304,
        },
        false);
}

/* The stale entry is good again, under new fields. */
static void
end_validated(struct flight_run *run)
{
    const struct encoding encoding = {
        .verdict = run->verdict,
        .status = run->stale->status,
        .cost_ms = fetch_cost_ms(&run->fetch),
        .key = flight_key(run),
    };
    struct value value = {0};
    struct entry *entry;

    MUST(run->renewal != NULL);
    if (encode_renewed(&encoding, run->renewal, run->stale, &value) != RC_OK ||
        codec_entry(&value, &entry) != RC_OK) {
        value_free(&value);
        flight_run_fail(run);
        return;
    }
    tell_validated(run, entry);
    if (run->verdict->is_storable) {
        flight_store_renewed(run, &value);
        return;
    }
    value_free(&value);
    if (run->verdict->is_personal) {
        flight_run_end_released(run);
    } else {
        flight_store_refusal(run);
    }
}

/* --- the head ---------------------------------------------------------- */

static struct fetch_plan
on_head(void *ctx, const struct head *head)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);
    struct assess_opts opts;

    MUST(!run->is_over);
    run->status = head->status;
    run->response_ms = worker_wall_ms(run->worker);
    opts = assess_opts_of(run);
    if (head->status == 304) {
        take_not_modified(run, head);
        return (struct fetch_plan){0};
    }
    assess_response(&opts, head, run->verdict);
    find_variant(run);
    return (struct fetch_plan){
        .is_kept = is_to_be_kept(run),
        .drops_set_cookie =
            run->verdict->is_storable && run->verdict->drops_set_cookie,
        .withheld = policy_withheld(run->q->reads),
        .vary_on = policy_vary_on(run->q->reads),
    };
}

/* The origin cannot answer: what is past its time is better than nothing. */
static bool
tell_stale(struct flight_run *run)
{
    int64_t now_ms = worker_wall_ms(run->worker);
    struct flight_result result = {
        .outcome = FLIGHT_ENTRY,
        .is_stale = true,
        .is_substitute = true,
        .fwd_status = run->status,
        .detail = "stale-if-error",
    };

    if (run->stale == NULL ||
        (run->is_stale_unverified &&
            !policy_bears_outdated(run->q->reads, run->stale)) ||
        !policy_allows_on_error(run->q->reads, run->stale,
            run->wants_since_ms > 0 ? &run->q->policy.reuse : NULL, now_ms)) {
        return false;
    }
    MUST_OBJ(run->stale, ENTRY_MAGIC);
    result.entry = run->stale;
    run->stale = NULL;
    fetch_cancel(&run->fetch);
    flight_tell(run, &result, false);
    flight_run_end_released(run);
    return true;
}

static void
fail(struct flight_run *run, enum origin_error error)
{
    if (tell_stale(run)) {
        return;
    }
    flight_tell(run,
        &(struct flight_result){
            .outcome = FLIGHT_ERROR,
            .error = error,
            .is_private = origin_failure(error)->was_sent,
            .is_stale_forbidden =
                run->stale != NULL && policy_forbids_stale(run->stale),
        },
        false);
    flight_run_end_released(run);
}

/* Is the answer no word on whether the target can be stored? An error about the
   request or about who asks is none: it must neither keep others from storing
   nor displace what is stored. A failure while something is stored is none
   either: that may still be renewed, or stand in. */
static bool
says_nothing(const struct flight_run *run)
{
    return run->verdict->is_personal || run->status == 304 ||
           (policy_is_about_request(run->status) &&
               !run->verdict->is_storable) ||
           (policy_is_failure(run->status) && run->stale != NULL);
}

/* Its head says so: what does not fit is for the leader alone, and errors
   displace nothing. */
static bool
is_to_be_stored(const struct flight_run *run)
{
    return is_to_be_kept(run) && !says_nothing(run);
}

/* By those who come while it is under way? For them it is a stored response:
   fresh, and for all. One of a key that is kept out is for those who wait
   already, since it is the next request that lets the key in. One that no lease
   guards may be joined until flight_lease.c closes the flight, which is as long
   as the loss of a lease goes unnoticed. */
static bool
may_be_joined(struct flight_run *run)
{
    return is_for_all(run) && !run->is_kept_out &&
           run->verdict->fresh_until_ms > run->response_ms &&
           (run->verdict->flags & ENTRY_MUST_VALIDATE) == 0;
}

static void
tell_fill(struct flight_run *run, struct fill *fill)
{
    const struct policy_verdict *v = run->verdict;
    struct flight_result result = {
        .outcome = FLIGHT_FILL,
        .fill = fill_ref(fill),
        .is_private = !is_for_all(run) || (v->flags & ENTRY_MUST_VALIDATE) != 0,
        .is_personal = v->is_personal,
        .flags = v->flags,
        .created_ms = v->created_ms,
        .fresh_until_ms = v->fresh_until_ms,
        .is_stored = is_to_be_stored(run) && can_be_stored(run),
        .is_stale_fetch = run->stale != NULL,
        .detail = v->detail != NULL ? v->detail : run->doubt,
    };

    MUST(!run->is_told || run->is_background);
    if (run->variant != NULL) {
        result.record = entry_ref(run->made);
        memcpy(result.variant, run->variant->key.variant.ptr, DIGEST_LEN);
    }
    flight_tell(run, &result, may_be_joined(run));
}

/* Nobody in the fleet is to wait for a body that will not be stored, however
   slowly it is read. It comes on for those who have it. */
static void
settle(struct flight_run *run)
{
    MUST(!run->is_over);
    MUST(run->is_told);
    MUST(fetch_is_active(&run->fetch));
    flight_close(run->flights, run->flight);
    if (says_nothing(run)) {
        fetch_stop_keeping(&run->fetch);
        flight_run_end_released(run);
    } else {
        flight_store_refusal(run);
    }
}

/* A 304 that identifies nothing stored is of no use to anybody (RFC 9111
   4.3.4): the origin is asked once more, without a condition. */
static bool
fetch_anew(struct flight_run *run)
{
    if (run->status != 304 || run->stale == NULL || run->is_plain) {
        return false;
    }
    run->is_plain = true;
    fetch_cancel(&run->fetch);
    flight_fetch(run);
    return true;
}

static void
on_fill(void *ctx, struct fill *fill)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    if (fill == NULL) {
        flight_run_fail(run);
        return;
    }
    if (run->renewal != NULL || fetch_anew(run) ||
        (policy_is_failure(run->status) && tell_stale(run))) {
        return;
    }
    if (run->status == 304) { /* to a question that nobody has asked */
        fetch_cancel(&run->fetch);
        fail(run, ORIGIN_ERROR_NOT_MODIFIED);
        return;
    }
    tell_fill(run, fill);
    if (!is_to_be_stored(run)) {
        settle(run);
    }
}

static void
on_outgrown(void *ctx)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    MUST(run->is_told);
    run->verdict->is_storable = false;
    run->verdict->detail = storable_detail(STORABLE_SIZE);
    if (!run->is_over) {
        settle(run);
    }
}

static void
on_end(void *ctx, enum fill_state state, bool is_doubtful)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    MUST(run->is_told || run->renewal != NULL);
    if (is_doubtful && run->lease_state == LEASE_HELD) {
        run->lease_state = LEASE_UNSURE;
    }
    if (run->is_over) {
        flight_run_end(run);
    } else if (run->renewal != NULL) {
        end_validated(run);
    } else if (state == FILL_COMPLETE && !is_doubtful) {
        flight_store_fill(run);
    } else {
        flight_run_end_released(run);
    }
}

static void
on_error(void *ctx, enum origin_error error)
{
    fail(OBJ_OF(struct flight_run, ctx, RUN_MAGIC), error);
}

static const struct fetch_callbacks fetch_callbacks = {
    .on_interim = on_interim,
    .on_head = on_head,
    .on_fill = on_fill,
    .on_outgrown = on_outgrown,
    .on_end = on_end,
    .on_error = on_error,
};

/* Lines that ask whether the stale entry is still the one. */
static struct slice
validators_of(struct flight_run *run)
{
    char *text;
    struct writer w;

    if (run->stale == NULL || run->is_plain) {
        return slice_of(NULL, 0);
    }
    text = arena_alloc(&run->arena, VALIDATORS_MAX);
    if (text == NULL) {
        return slice_of(NULL, 0);
    }
    w = writer_of(text, VALIDATORS_MAX);
    condition_write_validators(&w, entry_fields(run->stale));
    return w.is_full ? slice_of(NULL, 0) : writer_slice(&w);
}

void
flight_fetch(struct flight_run *run)
{
    const struct fetch_opts opts = {
        .q = run->q,
        .head = {.is_for_cache = true, .lines = validators_of(run)},
        .is_background = run->is_background,
        .arena = &run->arena,
        .callbacks = &fetch_callbacks,
        .ctx = run,
    };

    MUST_OBJ(run, RUN_MAGIC);
    MUST(!run->is_over);
    MUST(!fetch_is_active(&run->fetch));
    MUST(!lookup_is_active(&run->look));
    run->request_ms = worker_wall_ms(run->worker);
    run->verdict = arena_zalloc(&run->arena, sizeof(*run->verdict));
    if (run->verdict == NULL ||
        fetch_start(&run->fetch, run->worker, &opts) != RC_OK) {
        flight_run_fail(run);
        return;
    }
    if (tier_stores(run->worker)) {
        flight_is_current(run, worker_now_ms(run->worker));
        flight_lease_keep(run);
    }
}
