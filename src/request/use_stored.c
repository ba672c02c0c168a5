/*
 * What a request does with a stored response, whether its own lookup or a
 * flight has found it. A stale one stays in r->stale: it stands in when the
 * origin fails, and the answer to a HEAD is compared with it.
 */
#include "request/use_stored.h"

#include "nearside/collapse/collapse.h"
#include "nearside/collapse/flight_run.h"

void
request_note_credentials(struct request *r)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    r->fwd = CACHE_FWD_BYPASS;
    r->detail = r->q->policy.credential;
    r->result = RESULT_BYPASS;
}

void
request_note_refusal(struct request *r, const struct entry *entry)
{
    MUST_OBJ(entry, ENTRY_MAGIC);
    MUST((entry->flags & ENTRY_HIT_FOR_MISS) != 0);
    r->detail = storable_detail_of(entry_body(entry));
    if (r->detail == NULL) { /* another version wrote down none, or its own */
        r->detail = "not-storable";
    }
}

bool
request_may_use(struct request *r, uint16_t flags)
{
    if (policy_may_use(r->q->route, &r->q->policy.reuse, flags)) {
        return true;
    }
    request_note_credentials(r);
    return false;
}

const struct step *
request_go_forward(struct request *r)
{
    return r->q->policy.reuse.only_if_cached
               ? request_fail(r, 504, "only-if-cached")
               : &step_forward;
}

const struct step *
request_use_record(
    struct request *r, struct entry *record, const struct step *next)
{
    if (r->q->record != NULL || request_choose_variant(r, record) != RC_OK) {
        return request_go_forward(r);
    }
    r->fwd = CACHE_FWD_VARY_MISS;
    return next;
}

enum tier_id
request_tier_of_stored(const struct request *r)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    return r->worker->redis == NULL || r->is_of_memory ? TIER_MEMORY
                                                       : TIER_SHARED;
}

const struct step *
request_deliver_hit(
    struct request *r, struct entry *own_entry, enum tier_id tier)
{
    MUST_OBJ(own_entry, ENTRY_MAGIC);
    MUST(r->hit == NULL);
    MUST(slice_eq(entry_key(own_entry), r->q->key.full));
    MUST(tier == TIER_MEMORY || tier == TIER_SHARED);
    r->hit = own_entry;
    r->result = RESULT_HIT;
    r->tier = tier;
    r->fwd = CACHE_FWD_NONE;
    r->detail = r->tier == TIER_MEMORY ? "memory" : "shared";
    return &step_deliver_entry;
}

const struct step *
request_deliver_unverified(struct request *r, struct entry *own_entry)
{
    const struct step *next = request_deliver_hit(r, own_entry, TIER_MEMORY);

    MUST(r->worker->redis != NULL);
    r->is_unverified = true;
    r->detail = "unverified";
    return next;
}

/* A flight that nobody waits for. It asks nothing of this client's own, and
   always by a GET. */
void
request_renew(struct request *r)
{
    struct question *renewal;
    struct flight *flight;

    MUST_OBJ(r, REQUEST_MAGIC);
    if (question_renewal(r->q, &renewal) != RC_OK) {
        worker_count_limit(r->worker, LIMIT_MEMORY);
        return;
    }
    switch (flight_enter(r->worker->collapse->flights, &renewal->key,
        question_form(renewal), NULL, &flight)) {
    case FLIGHT_OPENED:
        flight_run_start(
            r->worker, renewal, flight, &(struct flight_run_opts){0});
        break;
    case FLIGHT_JOINED: /* somebody sees to it */
        break;
    case FLIGHT_REFUSED:
        worker_count_limit(r->worker, LIMIT_FLIGHTS);
        break;
    }
    question_unref(&renewal);
}

const struct step *
request_deliver_stale(
    struct request *r, struct entry *own_entry, const char *detail)
{
    MUST_OBJ(own_entry, ENTRY_MAGIC);
    MUST(r->hit == NULL);
    r->hit = own_entry;
    r->result = RESULT_STALE;
    r->tier = request_tier_of_stored(r);
    r->detail = detail;
    return &step_deliver_entry;
}

bool
request_has_substitute(struct request *r)
{
    int64_t now_ms = worker_wall_ms(r->worker);

    MUST_OBJ(r, REQUEST_MAGIC);
    if (r->stale == NULL ||
        (r->is_stale_unverified &&
            !policy_bears_outdated(r->q->route, r->stale))) {
        return false;
    }
    return policy_allows_on_error(
        r->q->route, r->stale, &r->q->policy.reuse, now_ms);
}

const struct step *
request_deliver_substitute(struct request *r)
{
    struct entry *stale = r->stale;

    MUST(stale != NULL);
    r->stale = NULL;
    source_close(&r->source);
    fetch_cancel(&r->fetch);
    r->fwd = CACHE_FWD_STALE;
    return request_deliver_stale(r, stale, "stale-if-error");
}
