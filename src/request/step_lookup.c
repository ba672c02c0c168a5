/*
 * Looks a stored response up for one request alone: HEAD, Range, and a request
 * whose own directives or spelling count. What a flight finds for everybody may
 * not be good enough for it.
 */
#include "request/use_stored.h"

#include "nearside/rules/found.h"
#include "nearside/tier/tier.h"

/* Nothing is stored that this request may have. It asks the origin: by a
   flight, if others may have the answer too. */
static const struct step *
go_on(struct request *r)
{
    if (r->is_redis_down &&
        r->q->reads->redis_down == ROUTE_REDIS_DOWN_REFUSE) {
        return request_fail(r, 503, "redis-down");
    }
    if (r->q->policy.is_odd) {
        r->detail = "spelling";
    }
    if (r->q->policy.is_alone || r->q->policy.is_odd ||
        r->q->head->method != METHOD_GET) {
        return request_go_forward(r);
    }
    return &step_flight;
}

/* The entry is kept, to be validated or to stand in. */
static const struct step *
pass_over(struct request *r, struct entry *own_entry, enum cache_fwd fwd)
{
    MUST(r->stale == NULL);
    r->fwd = fwd;
    r->stale = own_entry;
    r->is_stale_unverified = r->look->is_unverified;
    r->wants_validated = fwd == CACHE_FWD_REQUEST;
    return go_on(r);
}

/* May a GET of its question be asked for all who read this entry? Not in
   another spelling, nor by a HEAD that has a route of its own. */
static bool
may_renew(const struct request *r)
{
    return !r->q->policy.reuse.only_if_cached &&
           !r->q->policy.storable.no_store && !r->q->policy.is_odd &&
           (r->q->head->method == METHOD_GET ||
               question_read_route(r->q, r->q->normal) == r->q->route);
}

/* Lets go of an entry that is of no use to it. */
static const struct step *
leave(struct entry *own_entry, const struct step *next)
{
    entry_unref(&own_entry);
    return next;
}

static const struct step *
use_looked_up(struct request *r, struct entry *own_entry)
{
    enum found found =
        found_judge(r->q, own_entry, false, worker_wall_ms(r->worker));

    if (r->look->is_unverified) {
        found = found_unverified(found, r->look->may_answer);
    }
    switch (found) {
    case FOUND_FRESH:
        return r->look->is_unverified ? request_deliver_unverified(r, own_entry)
                                      : request_deliver_hit(r, own_entry,
                                            request_tier_of_stored(r));
    case FOUND_STALE:
        r->fwd = CACHE_FWD_NONE;
        return request_deliver_stale(r, own_entry, "max-stale");
    case FOUND_RENEW:
        if (may_renew(r)) {
            request_renew(r);
        }
        r->fwd = CACHE_FWD_NONE;
        return request_deliver_stale(r, own_entry, "stale-while-revalidate");
    case FOUND_UNWANTED:
        return pass_over(r, own_entry, CACHE_FWD_REQUEST);
    case FOUND_VALIDATE:
    case FOUND_OUTDATED:
        return pass_over(r, own_entry, CACHE_FWD_STALE);
    case FOUND_RECORD:
        return leave(own_entry, request_use_record(r, own_entry, &step_lookup));
    case FOUND_NOT_FOR_IT:
        request_note_credentials(r);
        return leave(own_entry, request_go_forward(r));
    case FOUND_HIT_FOR_MISS:
        request_note_refusal(r, own_entry);
        return leave(own_entry, request_go_forward(r));
    case FOUND_UNAVAILABLE:
        return leave(own_entry, request_go_forward(r));
    case FOUND_FOREIGN:
    case FOUND_NOTHING:
        break;
    }
    return leave(own_entry, go_on(r));
}

static void
on_lookup(void *ctx, enum lookup_end end, struct entry *own_entry)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);

    MUST(own_entry != NULL || end != LOOKUP_FOUND);
    r->is_of_memory = r->look->is_of_memory;
    r->is_redis_down = end == LOOKUP_FAILED || end == LOOKUP_REFUSED;
    if (r->look->doubt != NULL) {
        r->detail = r->look->doubt;
    }
    request_wake(r, WAKE_LOOKUP,
        own_entry == NULL ? go_on(r) : use_looked_up(r, own_entry));
}

static const struct step *
run_lookup(struct request *r)
{
    const struct lookup_opts opts = {.q = r->q, .on_end = on_lookup, .ctx = r};

    if (!tier_stores(r->worker)) {
        return go_on(r);
    }
    if (r->look == NULL) {
        r->look = arena_zalloc(&r->arena, sizeof(*r->look));
    }
    if (r->look == NULL) {
        return go_on(r);
    }
    MUST(r->q->entry_key.len > 0);
    lookup_start(r->look, r->worker, &opts);
    return request_park(r, WAKE_LOOKUP);
}

const struct step step_lookup = {"lookup", run_lookup, true};
