/*
 * A request that the origin answers alone: reads that are for nobody else,
 * and writes, after which what they made stale is deleted before the client
 * has its answer.
 */
#include "proxy/steps.h"

#include "proxy/claim.h"
#include "proxy/head_update.h"

/* --- forward ----------------------------------------------------------- */

static void
on_forward_interim(void *ctx, const struct head *head)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);

    request_interim(r, head);
}

static struct fetch_plan
on_forward_head(void *ctx, const struct head *head)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);
    struct fetch_plan plan = {0};

    r->fwd_status = head->status;
    if (r->stale != NULL && r->q->head->method == METHOD_HEAD &&
        !r->q->policy.is_odd) {
        head_update(r, head);
    }
    if (r->result == RESULT_WRITE && r->q->key.full.len > 0) {
        request_find_stale(r, head);
        plan = claim_on_head(r, head);
        if (!plan.is_kept) {
            claim_drop(r);
        }
    }
    if (r->q->route != NULL) {
        plan.withheld = policy_withheld(r->q->route);
    }
    return plan;
}

static void
on_forward_fill(void *ctx, struct fill *fill)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);

    r->tier = TIER_ORIGIN;
    if (fill == NULL ||
        source_of_fill(&r->source, fill, r->worker->loop) != RC_OK) {
        worker_count_limit(r->worker, LIMIT_MEMORY);
        fetch_cancel(&r->fetch);
        request_run(r, request_fail(r, 503, "memory"));
        return;
    }
    if (r->is_invalidation_due) {
        request_run(r, &step_invalidate);
        return;
    }
    if (policy_is_failure(r->fwd_status) && request_has_substitute(r)) {
        request_run(r, request_deliver_substitute(r));
        return;
    }
    request_run(r, &step_deliver_fill);
}

static void
on_forward_outgrown(void *ctx)
{
    claim_drop(OBJ_OF(struct request, ctx, REQUEST_MAGIC));
}

static void
on_forward_end(void *ctx, enum fill_state state, bool is_doubtful)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);

    claim_on_end(r, is_doubtful ? FILL_FAILED : state);
    if (is_doubtful) {
        r->response.end = RESPONSE_DOUBTS;
    }
}

static void
on_forward_error(void *ctx, enum origin_error error)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);

    if (request_has_substitute(r)) {
        request_run(r, request_deliver_substitute(r));
        return;
    }
    r->error = error;
    r->tier = TIER_ORIGIN;
    /* Where it is forbidden to answer with what is stale, 504 says so (RFC
       9111 5.2.2.2). */
    r->response.status = r->stale != NULL && policy_forbids_stale(r->stale)
                             ? 504
                             : origin_error_status(error);
    /* Whether a write was done nobody knows, unless it was never sent. */
    request_run(r, r->result == RESULT_WRITE && r->q->key.full.len > 0 &&
                           origin_error_was_sent(error)
                       ? &step_invalidate
                       : &step_deliver_error);
}

static void
on_forward_drain(void *ctx)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);

    if (r->stream != NULL) {
        r->stream->ops->want_body(r->stream);
    }
}

static const struct fetch_callbacks forward_callbacks = {
    .on_interim = on_forward_interim,
    .on_head = on_forward_head,
    .on_fill = on_forward_fill,
    .on_outgrown = on_forward_outgrown,
    .on_end = on_forward_end,
    .on_error = on_forward_error,
    .on_drain = on_forward_drain,
};

static const struct step *
run_forward(struct request *r)
{
    const struct fetch_opts opts = {
        .q = r->q,
        .head.is_for_stored = r->stale != NULL,
        .arena = &r->arena,
        .callbacks = &forward_callbacks,
        .ctx = r,
    };

    if (fetch_start(&r->fetch, r->worker, &opts) != RC_OK) {
        worker_count_limit(r->worker, LIMIT_MEMORY);
        return request_fail(r, 503, "memory");
    }
    if (r->q->has_body) {
        r->stream->ops->want_body(r->stream);
    }
    return NULL;
}

/* --- invalidate -------------------------------------------------------- */

static const struct step *
after_invalidation(const struct request *r)
{
    return r->error == ORIGIN_ERROR_NONE ? &step_deliver_fill
                                         : &step_deliver_error;
}

static void
on_invalidated(void *ctx, bool is_acknowledged)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);

    (void)is_acknowledged;
    r->invalidation = NULL;
    request_run(r, after_invalidation(r));
}

static const struct step *
run_invalidate(struct request *r)
{
    r->invalidation = request_invalidate(r, on_invalidated);
    return r->invalidation == NULL ? after_invalidation(r) : NULL;
}

const struct step step_forward = {"forward", run_forward};
const struct step step_invalidate = {"invalidate", run_invalidate};
