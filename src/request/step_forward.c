/*
 * A request that the origin answers alone: reads that are for nobody else,
 * and writes, after which what they made stale is deleted before the client
 * has its answer.
 */
#include "request/use_stored.h"

#include "nearside/write/fence.h"
#include "nearside/write/head_update.h"
#include "nearside/write/stored_post.h"

/* --- post -------------------------------------------------------------- */

static void
on_post_ready(void *ctx)
{
    request_wake(
        OBJ_OF(struct request, ctx, REQUEST_MAGIC), WAKE_LEASE, &step_forward);
}

static const struct step *
run_post(struct request *r)
{
    const struct stored_post_opts opts = {
        .worker = r->worker,
        .q = r->q,
        .arena = &r->arena,
        .on_ready = on_post_ready,
        .ctx = r,
    };

    MUST(r->post == NULL);
    r->post = stored_post_begin(&opts);
    return r->post == NULL ? &step_forward : request_park(r, WAKE_LEASE);
}

/* --- fence ------------------------------------------------------------- */

static void
on_fence_ready(void *ctx, bool is_held)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);

    MUST(r->fence != NULL);
    request_wake(r, WAKE_LEASE,
        is_held ? &step_forward : request_fail(r, 503, "unfenced"));
}

static const struct step *
run_fence(struct request *r)
{
    const struct fence_opts opts = {
        .worker = r->worker,
        .q = r->q,
        .arena = &r->arena,
        .on_ready = on_fence_ready,
        .ctx = r,
    };

    MUST(r->fence == NULL);
    r->fence = fence_begin(&opts);
    return r->fence == NULL ? request_fail(r, 503, "no-memory")
                            : request_park(r, WAKE_LEASE);
}

/* --- forward ----------------------------------------------------------- */

static void
on_forward_interim(void *ctx, const struct head *head)
{
    request_interim(OBJ_OF(struct request, ctx, REQUEST_MAGIC), head);
}

/* Renews or deletes the stored response by the answer to a HEAD. */
static void
update_by_head_answer(struct request *r, const struct head *head)
{
    const struct head_update update = {
        .q = r->q,
        .found = r->stale,
        .response = head,
        .request_ms = worker_wall_ms(r->worker) - fetch_cost_ms(&r->fetch),
        .arena = &r->arena,
    };

    if (r->stale != NULL && r->q->head->method == METHOD_HEAD &&
        !r->q->policy.is_odd) {
        r->is_stored = head_update(r->worker, &update);
    }
}

static bool
is_keyed_write(const struct request *r)
{
    return r->result == RESULT_WRITE && r->q->key.full.len > 0;
}

static struct fetch_plan
on_forward_head(void *ctx, const struct head *head)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);
    struct fetch_plan plan = {0};

    r->fwd_status = head->status;
    update_by_head_answer(r, head);
    if (r->result == RESULT_WRITE) {
        made_stale_find(&r->made_stale, r->q, head, &r->arena);
        plan = stored_post_on_head(r->post, head);
        r->is_stored = plan.is_kept;
        if (!plan.is_kept) {
            stored_post_drop(&r->post);
        }
        if (!r->made_stale.is_due) {
            fence_drop(&r->fence);
        }
    }
    if (r->q->route != NULL) {
        plan.withheld = policy_withheld(r->q->route);
    }
    if (r->q->kind == QUESTION_READ) {
        plan.vary_on = policy_vary_on(r->q->route);
    }
    return plan;
}

/* The write has succeeded, though its answer cannot be delivered. */
static void
invalidate_unwaited(struct request *r)
{
    if (r->made_stale.is_due) {
        made_stale_delete(
            &r->made_stale, r->worker, r->q, &(struct made_stale_opts){0});
    }
}

static void
on_forward_fill(void *ctx, struct fill *fill)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);

    r->tier = TIER_ORIGIN;
    if (fill == NULL ||
        source_of_fill(&r->source, fill, r->worker->loop) != RC_OK) {
        worker_count_limit(r->worker, LIMIT_MEMORY);
        invalidate_unwaited(r);
        fetch_cancel(&r->fetch);
        request_wake(r, WAKE_FETCH, request_fail(r, 503, "no-memory"));
        return;
    }
    if (r->made_stale.is_due) {
        request_wake(r, WAKE_FETCH, &step_invalidate);
        return;
    }
    if (policy_is_failure(r->fwd_status) && request_has_substitute(r)) {
        request_wake(r, WAKE_FETCH, request_deliver_substitute(r));
        return;
    }
    request_wake(r, WAKE_FETCH, &step_deliver_fill);
}

/* The client hears of it if its answer has not begun. */
static void
give_up_post(struct request *r)
{
    if (r->post != NULL) {
        r->is_stored = false;
        stored_post_drop(&r->post);
    }
}

static void
on_forward_outgrown(void *ctx)
{
    give_up_post(OBJ_OF(struct request, ctx, REQUEST_MAGIC));
}

static void
on_forward_end(void *ctx, enum fill_state state, bool is_doubtful)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);

    MUST(state != FILL_OPEN);
    if (state == FILL_COMPLETE && !is_doubtful) {
        stored_post_on_complete(r->post, r->fetch.fill);
    } else {
        give_up_post(r);
    }
    request_skip_body(r);
}

static void
on_forward_error(void *ctx, enum origin_error error)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);

    MUST(error != ORIGIN_ERROR_NONE);
    if (request_has_substitute(r)) {
        request_wake(r, WAKE_FETCH, request_deliver_substitute(r));
        return;
    }
    r->error = error;
    r->tier = TIER_ORIGIN;
    /* 504 says that a stale answer is forbidden (RFC 9111 5.2.2.2). */
    r->response.status = r->stale != NULL && policy_forbids_stale(r->stale)
                             ? 504
                             : origin_failure(error)->status;
    if (!origin_failure(error)->was_sent) {
        fence_drop(&r->fence);
    }
    /* Nobody knows whether the write was done, unless it was never sent. */
    request_wake(r, WAKE_FETCH,
        is_keyed_write(r) && origin_failure(error)->was_sent
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

    MUST(!fetch_is_active(&r->fetch));
    MUST(r->hit == NULL);
    if (fetch_start(&r->fetch, r->worker, &opts) != RC_OK) {
        worker_count_limit(r->worker, LIMIT_MEMORY);
        return request_fail(r, 503, "no-memory");
    }
    request_park(r, WAKE_FETCH);
    if (r->q->has_body) { /* which may turn out malformed at once */
        r->stream->ops->want_body(r->stream);
    }
    return NULL;
}

/* --- invalidate -------------------------------------------------------- */

static const struct step *
after_deletion(struct request *r)
{
    MUST(r->result == RESULT_WRITE);
    if (r->error == ORIGIN_ERROR_NONE) {
        fence_drop(&r->fence); /* it has succeeded, and is over */
    }
    return r->error == ORIGIN_ERROR_NONE ? &step_deliver_fill
                                         : &step_deliver_error;
}

/* The answer is to be stored, if at all, behind its own deletion. */
static void
store_after(struct request *r)
{
    MUST(!made_stale_is_awaited(&r->made_stale));
    if (r->post != NULL &&
        !stored_post_on_deleted(r->post, r->made_stale.own_end)) {
        fetch_stop_keeping(&r->fetch);
        give_up_post(r);
    }
}

static void
on_deleted(void *ctx)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);

    store_after(r);
    request_wake(r, WAKE_DELETION, after_deletion(r));
}

static const struct step *
run_invalidate(struct request *r)
{
    const struct made_stale_opts opts = {
        .own_lease = stored_post_lease(r->post),
        .on_done = on_deleted,
        .ctx = r};

    MUST(r->result == RESULT_WRITE);
    if (!made_stale_delete(&r->made_stale, r->worker, r->q, &opts)) {
        store_after(r);
        return after_deletion(r);
    }
    return request_park(r, WAKE_DELETION);
}

const struct step step_fence = {"fence", run_fence, false};
const struct step step_post = {"post", run_post, false};
const struct step step_forward = {"forward", run_forward, true};
const struct step step_invalidate = {"invalidate", run_invalidate, true};
