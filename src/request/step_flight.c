/*
 * A request in a flight: it opens one or joins one, and uses the result as far
 * as that is meant for it. An entry that must be validated at each use is
 * validated for one request alone: the step `validate` opens a flight that
 * nobody joins.
 */
#include "request/use_stored.h"

#include "nearside/collapse/collapse.h"
#include "nearside/collapse/flight_run.h"

/* --- waiting ----------------------------------------------------------- */

static bool
is_patient(struct request *r)
{
    return worker_now_ms(r->worker) < r->wait_until_ms;
}

static const struct step *
stop_waiting(struct request *r)
{
    worker_count_limit(r->worker, LIMIT_FLIGHT_WAIT);
    r->detail = "flight_wait";
    return &step_forward;
}

/* The leader's own request may have caused the failure, so whoever waited for
   it asks with its own question. The first of them asks for all others: a
   failing origin is asked once at a time, and nobody waits longer than it
   would have waited anyway. */
static const struct step *
fly_again(struct request *r)
{
    return is_patient(r) ? &step_flight : stop_waiting(r);
}

/* The result is private because of the leader's credentials. A request without
   any waits for another leader without any; one that has some goes alone. */
static bool
waits_again(struct request *r, const struct flight_result *result)
{
    return !r->waiter.is_leader && result->is_personal &&
           r->q->policy.credential == NULL && is_patient(r);
}

/* --- an entry ---------------------------------------------------------- */

/* Does the entry satisfy the request's own directives, and is it still usable?
   Its stale-while-revalidate window may end while it is renewed. */
static bool
is_good_enough(struct request *r, const struct flight_result *result)
{
    int64_t now_ms = worker_wall_ms(r->worker);
    const struct reuse_request *asked = &r->q->policy.reuse;
    enum reuse verdict;

    if (result->is_validated ||
        (!r->q->policy.has_directives && !r->waiter.is_late)) {
        return true;
    }
    verdict = policy_reuse(r->q->route, result->entry, asked, now_ms);
    return verdict == REUSE_FRESH || verdict == REUSE_STALE ||
           verdict == REUSE_BACKGROUND ||
           (result->is_substitute && policy_allows_on_error(r->q->route,
                                         result->entry, asked, now_ms));
}

static const struct step *
deliver_validated(struct request *r, const struct flight_result *result)
{
    MUST(r->hit == NULL);
    r->hit = entry_ref(result->entry);
    r->result = RESULT_VALIDATED;
    r->tier = TIER_ORIGIN;
    r->fwd = r->fwd == CACHE_FWD_REQUEST ? r->fwd : CACHE_FWD_STALE;
    r->fwd_status = result->fwd_status;
    r->detail = result->detail;
    r->is_stored = result->is_stored;
    return &step_deliver_entry;
}

/* The entry is of no use to a request that came late. It closes the flight to
   newcomers and flies again, with all who come now. */
static const struct step *
use_none(struct request *r)
{
    if (r->q->policy.has_directives || !r->waiter.is_late) {
        return &step_forward;
    }
    MUST(r->waiter.flight != NULL);
    flight_close(r->worker->collapse->flights, r->waiter.flight);
    return &step_flight;
}

/* An entry that must be validated at each use (RFC 9111 5.2.2.4) answers only
   the request that has validated it. Each of the others validates it too. */
static const struct step *
validate(struct request *r, const struct flight_result *result)
{
    struct entry *entry = result->entry;
    struct entry *stale = entry_ref(entry); /* from memory it may be the same */

    entry_unref(&r->stale);
    r->stale = stale;
    r->is_stale_unverified = result->is_unverified;
    return &step_validate;
}

/* What a flight has found or renewed. */
static const struct step *
use_entry(struct request *r, const struct flight_result *result)
{
    struct entry *entry = result->entry;

    MUST_OBJ(entry, ENTRY_MAGIC);
    r->is_of_memory = result->is_of_memory;
    if ((entry->flags & ENTRY_VARY_RECORD) != 0) {
        return request_use_record(r, entry, &step_flight);
    }
    if ((entry->flags & ENTRY_HIT_FOR_MISS) != 0) {
        request_note_refusal(r, entry);
        return &step_forward;
    }
    if (waits_again(r, result)) {
        return &step_flight;
    }
    if ((!r->waiter.is_leader && result->is_private) ||
        !request_may_use(r, entry->flags)) {
        return &step_forward;
    }
    if ((entry->flags & ENTRY_MUST_VALIDATE) != 0 &&
        !(result->is_validated && r->waiter.is_leader)) {
        return validate(r, result);
    }
    if (!is_good_enough(r, result)) {
        return use_none(r);
    }
    if (result->is_validated) {
        return deliver_validated(r, result);
    }
    if (result->is_unverified) {
        return request_deliver_unverified(r, entry_ref(entry));
    }
    if (!result->is_stale) {
        return request_deliver_hit(
            r, entry_ref(entry), request_tier_of_stored(r));
    }
    r->fwd = result->is_substitute ? CACHE_FWD_STALE : CACHE_FWD_NONE;
    r->fwd_status = result->fwd_status;
    return request_deliver_stale(r, entry_ref(entry), result->detail);
}

/* --- a fill ------------------------------------------------------------ */

/* The response varies: is the leader's variant this request's too? */
static bool
is_own_variant(struct request *r, const struct flight_result *result)
{
    if (result->record == NULL || r->waiter.is_leader) {
        return true;
    }
    return request_choose_variant(r, result->record) == RC_OK &&
           slice_eq(r->q->key.variant, slice_of(result->variant, DIGEST_LEN));
}

/* To a request that joins it under way, a fill is a stored response: its time
   may be over. */
static bool
is_over(struct request *r, const struct flight_result *result)
{
    return r->waiter.is_late &&
           (r->q->policy.has_directives ||
               worker_wall_ms(r->worker) >= result->fresh_until_ms);
}

/* It is not stored because of the credentials that the request carries, and
   would not be the next time: that is no miss. */
static void
note_personal(struct request *r, const struct flight_result *result)
{
    if (result->is_personal && r->q->policy.credential != NULL &&
        (r->fwd == CACHE_FWD_URI_MISS || r->fwd == CACHE_FWD_VARY_MISS)) {
        request_note_credentials(r);
    }
}

static const struct step *
use_fill(struct request *r, const struct flight_result *result)
{
    unsigned status = fill_head(result->fill)->status;

    MUST(r->hit == NULL);
    if (waits_again(r, result)) {
        return &step_flight;
    }
    if (policy_is_failure(status) && request_has_substitute(r)) {
        r->fwd_status = status;
        return request_deliver_substitute(r);
    }
    if (!r->waiter.is_leader && fill_state(result->fill) == FILL_FAILED) {
        return fly_again(r);
    }
    if (!r->waiter.is_leader && result->is_private) {
        r->detail = result->is_personal ? NULL : result->detail;
        note_personal(r, result);
        return &step_forward;
    }
    if (!r->waiter.is_leader &&
        (!request_may_use(r, result->flags) || is_over(r, result))) {
        return &step_forward;
    }
    if (!is_own_variant(r, result)) {
        r->fwd = CACHE_FWD_VARY_MISS;
        return r->q->record != NULL ? &step_flight : &step_forward;
    }
    if (source_of_fill(&r->source, result->fill, r->worker->loop) != RC_OK) {
        return &step_forward;
    }
    r->tier = TIER_ORIGIN;
    r->is_collapsed = !r->waiter.is_leader;
    r->result = r->is_collapsed ? RESULT_COLLAPSED : RESULT_MISS;
    r->is_stored = result->is_stored;
    r->created_ms = r->waiter.is_late ? result->created_ms : 0;
    if (result->is_stale_fetch && r->fwd != CACHE_FWD_REQUEST) {
        r->fwd = CACHE_FWD_STALE;
    }
    r->detail = result->detail;
    note_personal(r, result);
    r->fwd_status = status;
    return &step_deliver_fill;
}

/* --- an error ---------------------------------------------------------- */

static const struct step *
use_error(struct request *r, const struct flight_result *result)
{
    MUST(result->error != ORIGIN_ERROR_NONE);
    if (request_has_substitute(r)) {
        return request_deliver_substitute(r);
    }
    if (result->is_private && !r->waiter.is_leader) {
        return fly_again(r);
    }
    r->error = result->error;
    r->response.status = result->is_stale_forbidden
                             ? 504
                             : origin_failure(result->error)->status;
    return &step_deliver_error;
}

/* --- the flight -------------------------------------------------------- */

static const struct step *
use_result(struct request *r, const struct flight_result *result)
{
    MUST(result->outcome != FLIGHT_PENDING);
    r->queued_us += result->queued_us;
    switch (result->outcome) {
    case FLIGHT_ENTRY:
        return use_entry(r, result);
    case FLIGHT_FILL:
        return use_fill(r, result);
    case FLIGHT_ERROR:
        return use_error(r, result);
    case FLIGHT_REFUSED_BY_ROUTE:
        return request_fail(r, 503, result->detail);
    case FLIGHT_PENDING:
    case FLIGHT_ALONE:
        break;
    }
    r->detail = result->detail;
    return &step_forward;
}

static const struct step *
run_landed(struct request *r)
{
    const struct step *next = use_result(r, &r->waiter.flight->result);

    flight_unref(&r->waiter.flight);
    return next;
}

static const struct step step_landed = {"landed", run_landed, true};

static void
on_flight(void *ctx, const struct flight_result *result)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);

    MUST(r->waiter.flight != NULL);
    MUST(result == &r->waiter.flight->result);
    loop_timer_cancel(&r->patience);
    if (r->stream != NULL && r->status == 0) {
        request_wake(r, WAKE_FLIGHT, &step_landed);
    } else {
        flight_unref(&r->waiter.flight);
    }
    request_unref(&r);
}

/* The leader takes longer than this request waits. */
static void
on_patience_over(void *ctx)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);
    struct request *waiting = r;

    if (r->waiter.flight == NULL ||
        !flight_leave(r->worker->collapse->flights, &r->waiter)) {
        return;
    }
    request_wake(r, WAKE_FLIGHT, stop_waiting(r));
    request_unref(&waiting);
}

static void
on_flight_interim(void *ctx, const struct head *head)
{
    request_interim(OBJ_OF(struct request, ctx, REQUEST_MAGIC), head);
}

static void
set_waiter(struct request *r)
{
    MUST(r->waiter.flight == NULL);
    r->waiter.loop = r->worker->loop;
    r->waiter.on_interim = on_flight_interim;
    r->waiter.on_result = on_flight;
    r->waiter.ctx = r;
}

/* All its flights have one patience, whether it leads them or not: a leader
   waits too, for the lease of another instance. */
static void
begin_to_wait(struct request *r)
{
    if (r->wait_until_ms == 0) {
        r->wait_until_ms =
            worker_now_ms(r->worker) + r->q->conf->opts.limits.flight_wait_ms;
    }
}

static const struct step *
run_flight(struct request *r)
{
    struct flight *flight;

    begin_to_wait(r);
    set_waiter(r);
    switch (flight_enter(r->worker->collapse->flights, &r->q->key,
        question_form(r->q), &r->waiter, &flight)) {
    case FLIGHT_OPENED:
        request_ref(r); /* the waiter's, until on_flight or flight_leave */
        request_park(r, WAKE_FLIGHT); /* the answer may come at once */
        flight_run_start(r->worker, r->q, flight,
            &(struct flight_run_opts){.wants_validated = r->wants_validated,
                .wait_until_ms = r->wait_until_ms});
        return NULL;
    case FLIGHT_JOINED:
        request_ref(r);
        loop_timer_init(&r->patience, r->worker->loop, on_patience_over, r);
        loop_timer_arm(&r->patience, r->wait_until_ms);
        return request_park(r, WAKE_FLIGHT);
    case FLIGHT_REFUSED:
        break;
    }
    worker_count_limit(r->worker, LIMIT_FLIGHTS);
    return &step_forward;
}

/* Only the request that led the flight to the entry takes the lease: one of
   them stores the result. */
static const struct step *
run_validate(struct request *r)
{
    bool was_leader = r->waiter.is_leader;

    MUST_OBJ(r->stale, ENTRY_MAGIC);
    set_waiter(r);
    if (!flight_enter_alone(
            r->worker->collapse->flights, &r->q->key, &r->waiter)) {
        worker_count_limit(r->worker, LIMIT_MEMORY);
        return &step_forward;
    }
    request_ref(r); /* the waiter's, as above */
    request_park(r, WAKE_FLIGHT);
    flight_run_start(r->worker, r->q, r->waiter.flight,
        &(struct flight_run_opts){
            .stale = r->stale, .takes_lease = was_leader});
    return NULL;
}

const struct step step_flight = {"flight", run_flight, true};
const struct step step_validate = {"validate", run_validate, false};
