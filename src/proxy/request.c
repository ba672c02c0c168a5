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
#include "proxy/collapse.h"

enum {
    /* The common request's arena use fits one block of 4 KiB; a head of
       32 KiB needs its copy for the origin, its keys and its own lines. */
    REQUEST_ARENA_MAX = 512 * 1024,
    /* Kept for reuse by a worker: more than this many at once is a burst. */
    REQUESTS_FREE_MAX = 128,
};

/* --- life -------------------------------------------------------------- */

static struct request *
from_free_list(struct request_worker *q)
{
    struct list *link = list_pop(&q->free);
    struct request *r;

    if (link != NULL) {
        q->free_len--;
        r = CONTAINER_OF(link, struct request, link);
        MUST(r->magic == 0);
        return r;
    }
    r = malloc(sizeof(*r));
    if (r != NULL) {
        r->magic = 0;
        arena_init(&r->arena, REQUEST_ARENA_MAX);
    }
    return r;
}

static void
to_free_list(struct request_worker *q, struct request *r)
{
    r->magic = 0;
    if (q->free_len >= REQUESTS_FREE_MAX) {
        arena_fini(&r->arena);
        free(r);
        return;
    }
    arena_reset(&r->arena);
    list_init(&r->link);
    list_push_front(&q->free, &r->link);
    q->free_len++;
}

/* A head that could not be read says nothing. */
static const struct head *
copy_head(struct arena *arena, const struct request_opts *opts)
{
    static const struct head nothing = {.minor = 1};
    struct head *head;

    if (opts->head == NULL) {
        return &nothing;
    }
    return head_copy(opts->head, opts->raw, arena, &head) == RC_OK ? head
                                                                   : NULL;
}

struct request *
request_new(struct worker *worker, struct stream *stream,
    const struct request_opts *opts)
{
    struct request *r = from_free_list(worker->request);
    struct arena arena;
    const struct head *head;

    MUST_OBJ(worker, WORKER_MAGIC);
    if (r == NULL) {
        return NULL;
    }
    arena = r->arena;
    head = copy_head(&arena, opts);
    *r = (struct request){
        .magic = REQUEST_MAGIC,
        .refs = 1,
        .worker = worker,
        .stream = stream,
        .arena = arena,
        .head = head,
        .client.peer = opts->peer,
        .has_body = opts->has_body,
        .route = -1,
        .result = RESULT_ERROR,
        .start_us = opts->start_us,
    };
    list_init(&r->holder);
    if (head == NULL) {
        to_free_list(worker->request, r);
        return NULL;
    }
    r->conf = proxy_conf_ref(worker->conf);
    return r;
}

void
request_ref(struct request *r)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    r->refs++;
}

void
request_unref(struct request **pr)
{
    struct request *r = *pr;

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
    MUST(r->stale == NULL);
    MUST(r->hit == NULL);
    proxy_conf_unref(&r->conf);
    to_free_list(r->worker->request, r);
}

void
request_drop(struct request *r)
{
    loop_timer_cancel(&r->patience);
    redis_call_cancel(&r->call);
    invalidation_forget(&r->invalidation);
    if (r->waiter.flight != NULL &&
        flight_leave(r->worker->collapse->flights, &r->waiter)) {
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
    worker_count(r->worker, COUNTER_BAD_REQUESTS);
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

/* --- the requests of a worker ------------------------------------------ */

struct request_worker *
request_worker_new(const struct requests *requests, struct worker *worker)
{
    struct request_worker *q = calloc(1, sizeof(*q));

    MUST_OBJ(worker, WORKER_MAGIC);
    if (q == NULL) {
        return NULL;
    }
    q->magic = REQUEST_WORKER_MAGIC;
    q->requests = requests;
    list_init(&q->free);
    list_init(&q->holders);
    worker->request = q;
    return q;
}

void
request_worker_free(struct request_worker **pq)
{
    struct request_worker *q = *pq;
    struct list *link;

    if (q == NULL) {
        return;
    }
    MUST_OBJ(q, REQUEST_WORKER_MAGIC);
    MUST(list_is_empty(&q->holders));
    *pq = NULL;
    while ((link = list_pop(&q->free)) != NULL) {
        struct request *r = CONTAINER_OF(link, struct request, link);
        arena_fini(&r->arena);
        free(r);
    }
    q->magic = 0;
    free(q);
}
