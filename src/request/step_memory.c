/*
 * Memory is asked before anything else: a fresh entry answers at once, without
 * a flight, and a Vary record leads to the variant, for which memory is asked
 * again. Anything else that memory has is left to those who can do something
 * about it, a flight or a lookup of the request's own: they find it again.
 */
#include "request/use_stored.h"

#include "nearside/rules/found.h"
#include "nearside/tier/memory_find.h"

const struct step *
request_look_further(struct request *r)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    if (question_name(r->q) != RC_OK) {
        return request_fail(r, 503, "no-memory");
    }
    return r->q->head->method == METHOD_HEAD || r->q->policy.is_particular ||
                   r->q->policy.is_odd
               ? &step_lookup
               : &step_flight;
}

static const struct step *
run_memory(struct request *r)
{
    struct entry *entry = memory_find(r->worker, r->q);
    const struct step *next = NULL;

    if (entry == NULL) {
        return request_look_further(r);
    }
    switch (found_judge(r->q, entry, false, worker_wall_ms(r->worker))) {
    case FOUND_FRESH:
        return request_deliver_hit(r, entry, TIER_MEMORY);
    case FOUND_RECORD:
        next = request_use_record(r, entry, &step_memory);
        break;
    case FOUND_STALE:
    case FOUND_RENEW:
    case FOUND_VALIDATE:
    case FOUND_OUTDATED:
    case FOUND_UNWANTED:
    case FOUND_UNAVAILABLE:
    case FOUND_HIT_FOR_MISS:
    case FOUND_FOREIGN:
    case FOUND_NOTHING:
    case FOUND_NOT_FOR_IT:
        next = request_look_further(r);
        break;
    }
    entry_unref(&entry);
    return next;
}

const struct step step_memory = {"memory", run_memory, false};
