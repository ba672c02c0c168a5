/*
 * The life of a request: taken from the worker's list, run from step to
 * step, given back. What the stream tells comes in here; the steps are in
 * steps.c. request_run alone moves r->step.
 */
#include "proxy/request.h"

#include <stdio.h>
#include <stdlib.h>

#include "nearside/base/log.h"
#include "proxy/claim.h"

enum {
    /* The common request's arena use fits one block of 4 KiB; a head of
       32 KiB needs its copy for the origin, its keys and its own lines. */
    REQUEST_ARENA_MAX = 512 * 1024,
    /* Kept for reuse by a worker: more than this many at once is a burst. */
    REQUESTS_FREE_MAX = 128,
    /* Read behind the last head or its content in one go (session_read.c);
       the next head begins with it, however small head_max is. */
    REQUEST_AHEAD_MAX = 16384,
    /* A free request keeps an input buffer no larger than this. */
    REQUEST_IN_KEEP = 8192,
};

/* --- life -------------------------------------------------------------- */

static struct request *
request_new(struct worker *worker)
{
    struct request *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        return NULL;
    }
    arena_init(&r->arena, REQUEST_ARENA_MAX);
    list_init(&r->holder);
    buf_init(&r->in, worker->proxy->opts.limits.head_max + REQUEST_AHEAD_MAX);
    return r;
}

static void
request_clear(struct request *r)
{
    r->route = -1;
    r->route_opts = NULL;
    r->is_invalidation_due = false;
    r->more_len = 0;
    r->wants_validated = false;
    r->created_ms = 0;
    r->reads = NULL;
    r->base_key = r->base_entry_key = (struct slice){0};
    r->key = r->view = r->credentials = r->host = r->target = (struct slice){0};
    r->policy = (struct policy_request){0};
    r->fetch.magic = 0;
    r->fetch.fill = NULL;
    r->fetch.exchange = NULL;
    r->waiter.flight = NULL;
    r->result = RESULT_ERROR;
    r->tier = TIER_NONE;
    r->fwd = CACHE_FWD_NONE;
    r->detail = NULL;
    r->is_stored = r->is_collapsed = false;
    r->has_body = r->is_body_done = false;
    r->fwd_status = 0;
    r->error = ORIGIN_ERROR_NONE;
    r->response = (struct response){0};
    r->status = 0;
    r->sent = 0;
    r->head.status = 0;
    r->head.target = r->head.method_text = (struct slice){0};
    r->head.field_count = 0;
    r->head.field_set = 0;
}

struct request *
request_take(struct worker *worker, struct stream *stream)
{
    struct list *link = list_pop(&worker->requests.free);
    struct request *r;

    if (link != NULL) {
        r = CONTAINER_OF(link, struct request, link);
        worker->requests.len--;
    } else {
        r = request_new(worker);
    }
    if (r == NULL) {
        return NULL;
    }
    MUST(r->record == NULL && r->stale == NULL && r->hit == NULL);
    r->magic = REQUEST_MAGIC;
    r->refs = 1;
    r->worker = worker;
    r->stream = stream;
    r->step = NULL;
    r->start_us = clock_now_us(loop_clock(worker->loop));
    parse_start(&r->parse);
    request_clear(r);
    stream->ops->peer(stream, &r->client.peer);
    return r;
}

void
request_ref(struct request *r)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    r->refs++;
}

void
request_destroy(struct request *r)
{
    arena_fini(&r->arena);
    buf_fini(&r->in);
    free(r);
}

void
request_unref(struct request **pr)
{
    struct request *r = *pr;
    struct request_pool *pool;

    if (r == NULL) {
        return;
    }
    MUST_OBJ(r, REQUEST_MAGIC);
    *pr = NULL;
    if (--r->refs > 0) {
        return;
    }
    MUST(r->stream == NULL);
    /* A flight may have chosen a variant for a leader that had gone. */
    entry_unref(&r->record);
    pool = &r->worker->requests;
    r->magic = 0;
    if (pool->len >= REQUESTS_FREE_MAX || r->in.cap > REQUEST_IN_KEEP) {
        request_destroy(r);
        return;
    }
    arena_reset(&r->arena);
    buf_clear(&r->in);
    list_init(&r->link);
    list_push_front(&pool->free, &r->link);
    pool->len++;
}

void
request_drop(struct request *r)
{
    loop_timer_cancel(&r->patience);
    redis_call_cancel(&r->call);
    invalidation_forget(&r->invalidation);
    if (r->waiter.flight != NULL &&
        flight_leave(r->worker->proxy->flights, &r->waiter)) {
        struct request *waiting = r;
        request_unref(&waiting);
    }
    request_hold_end(r);
    source_close(&r->source);
    fetch_cancel(&r->fetch);
    claim_drop(r);
    entry_unref(&r->hit);
    entry_unref(&r->stale);
    entry_unref(&r->record);
}

/* --- running ----------------------------------------------------------- */

void
request_run(struct request *r, const struct step *from)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(from != NULL);
    r->step = from;
    while (r->step != NULL) {
        r->step = r->step->run(r);
    }
}

const struct step *
request_fail(struct request *r, unsigned status, const char *detail)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->status == 0);
    r->response.status = status;
    r->detail = detail;
    return &step_deliver_error;
}

/* --- what the stream tells --------------------------------------------- */

void
request_start(struct request *r)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->step == NULL);
    request_run(r, &step_receive);
}

void
request_refuse(struct request *r, unsigned status, const char *detail)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    /* What the parser left half done is not a head. */
    r->head.method = METHOD_OTHER;
    r->head.method_text = r->head.target = (struct slice){0};
    r->head.host = (struct slice){0};
    r->head.minor = 1;
    r->head.field_count = 0;
    r->head.field_set = 0;
    r->stream->ops->peer(r->stream, &r->client.peer);
    worker_count(r->worker, r->worker->proxy->metrics.bad_requests);
    request_run(r, request_fail(r, status, detail));
}

size_t
request_on_body(struct request *r, struct slice data)
{
    size_t taken = data.len;

    MUST_OBJ(r, REQUEST_MAGIC);
    if (fetch_is_active(&r->fetch)) {
        exchange_send(r->fetch.exchange, data, &taken);
    }
    return taken;
}

void
request_on_body_end(struct request *r)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    r->is_body_done = true;
    if (fetch_is_active(&r->fetch)) {
        exchange_send_end(r->fetch.exchange);
    }
}

void
request_on_body_failed(struct request *r, unsigned status)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    if (r->status != 0) {
        r->stream->ops->abort(r->stream);
        return;
    }
    request_drop(r);
    request_run(r, request_fail(r, status, "body"));
}

static void
request_finish(struct request *r, uint64_t body_bytes)
{
    r->sent = body_bytes;
    r->stream = NULL;
    request_account(r);
    request_drop(r);
    request_unref(&r);
}

void
request_on_sent(struct request *r, uint64_t body_bytes)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->status != 0);
    request_finish(r, body_bytes);
}

/* A write was sent and its outcome will never be heard: what is stored may
   be what was before. */
static void
request_invalidate_unheard(struct request *r)
{
    struct invalidation *i;

    if (r->result != RESULT_WRITE || r->key.len == 0 || r->fwd_status != 0 ||
        (r->has_body && !r->is_body_done) || !fetch_is_active(&r->fetch)) {
        return;
    }
    i = request_invalidate(r, NULL);
    invalidation_forget(&i);
}

void
request_on_gone(struct request *r, uint64_t body_bytes)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    request_invalidate_unheard(r);
    r->result = RESULT_GONE;
    request_finish(r, body_bytes);
}
