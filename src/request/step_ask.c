/*
 * The steps of a request.
 *
 *   ask      -> memory, fence, post, forward, options
 *   memory   -> memory, flight, lookup, forward, deliver_entry
 *   flight   -> landed, forward                                    (parks)
 *   landed   -> flight, validate, forward, deliver_entry, deliver_fill
 *   validate -> landed                                             (parks)
 *   lookup   -> lookup, flight, forward, deliver_entry             (parks)
 *   fence    -> forward                                            (parks)
 *   post     -> forward                                            (parks)
 *   forward  -> deliver_fill, deliver_entry, invalidate            (parks)
 *   invalidate -> deliver_fill                                     (parks)
 *
 * ask reads the question, which request_new has made. memory answers a hit in
 * memory at once. flight is the common read. lookup asks Redis for one request
 * alone: HEAD, Range, and requests whose directives count. Then forward fetches
 * what only that request may have, and a flight anything else. fence takes the
 * token of a write that may not go without. post takes the lease for a POST
 * whose answer may be stored. Any step may end in deliver_error. A parked step
 * has armed just one wake-up, whose callback names the step that goes on.
 *
 * Here is ask. step_memory.c has memory; step_flight.c has flight, landed and
 * validate; step_forward.c has post, forward and invalidate; step_lookup.c and
 * step_options.c have the steps that they are named after; deliver.c has the
 * deliver steps.
 */
#include "request/use_stored.h"

#include "nearside/http/uri.h"
#include "nearside/tier/tier.h"
#include "nearside/write/fence.h"
#include "nearside/write/stored_post.h"

static const struct step *
ask_read(struct request *r)
{
    const struct policy_request *policy = &r->q->policy;

    if (policy->bypass != NULL) {
        r->result = RESULT_BYPASS;
        r->fwd = CACHE_FWD_BYPASS;
        r->detail = policy->bypass;
        return request_go_forward(r);
    }
    MUST(r->q->key.full.len > 0);
    r->result = RESULT_MISS;
    r->fwd = CACHE_FWD_URI_MISS;
    return tier_memory(r->worker) != NULL ? &step_memory
                                          : request_look_further(r);
}

/* When it succeeds, what is stored for its target is deleted, whichever route
   its readers have. */
static const struct step *
ask_write(struct request *r)
{
    r->result = RESULT_WRITE;
    r->fwd = CACHE_FWD_METHOD;
    if (question_name(r->q) != RC_OK) {
        return request_fail(r, 503, "no-memory");
    }
    if (fence_is_due(r->worker, r->q)) {
        return &step_fence;
    }
    return stored_post_is_due(r->worker, r->q) ? &step_post : &step_forward;
}

static const struct step *
ask_pass(struct request *r)
{
    MUST(r->q->route == NULL);
    r->result = RESULT_PASS;
    r->fwd = CACHE_FWD_BYPASS;
    r->detail = uri_is_ambiguous(r->q->head->target) ? "target" : "route";
    return request_go_forward(r);
}

static const struct step *
run_ask(struct request *r)
{
    const struct question_refusal refusal = question_ask(r->q);

    MUST(r->moves_len == 1);
    if (refusal.status == 413) {
        worker_count_limit(r->worker, LIMIT_BODY_MAX);
    }
    if (refusal.status != 0) {
        return request_fail(r, refusal.status, refusal.detail);
    }
    switch (r->q->kind) {
    case QUESTION_READ:
        return ask_read(r);
    case QUESTION_WRITE:
        return ask_write(r);
    case QUESTION_OPTIONS:
        return request_ask_options(r);
    case QUESTION_PASS:
        return ask_pass(r);
    }
    return NULL;
}

const struct step step_ask = {"ask", run_ask, false};
