/*
 * The life of a request: taken from the worker's list, run from step to
 * step, given back. What the stream tells comes in here; the steps are in
 * step_*.c and deliver.c. Law: request_run() alone moves r->step.
 */
#include "request/request_inside.h"

#include <stdio.h>
#include <stdlib.h>

#include "nearside/http/write.h"
#include "nearside/write/fence.h"
#include "nearside/write/stored_post.h"
#include "nearside/collapse/collapse.h"

enum {
    /* The common request's arena use fits one block of 4 KiB; a head of
       32 KiB needs its copy for the origin, its keys and its own lines. */
    REQUEST_ARENA_MAX = 512 * 1024,
};

/* --- life -------------------------------------------------------------- */

static struct request *
from_free_list(struct request_worker *all)
{
    struct list *link = spare_take(&all->free);
    struct request *r;

    if (link != NULL) {
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
to_free_list(struct request_worker *all, struct request *r)
{
    MUST(!list_is_linked(&r->holder));
    r->magic = 0;
    arena_reset(&r->arena);
    if (!spare_keep(&all->free, &r->link)) {
        arena_fini(&r->arena);
        free(r);
    }
}

struct request *
request_new(struct worker *worker, struct stream *stream,
    const struct request_opts *opts)
{
    struct request_worker *all = worker->request;
    struct request *r;
    struct arena arena;

    MUST_OBJ(worker, WORKER_MAGIC);
    MUST_OBJ(all, REQUEST_WORKER_MAGIC);
    MUST(stream != NULL);
    r = from_free_list(all);
    if (r == NULL) {
        return NULL;
    }
    arena = r->arena;
    *r = (struct request){
        .magic = REQUEST_MAGIC,
        .refs = 1,
        .worker = worker,
        .stream = stream,
        .arena = arena,
        .q = question_new(&all->questions, worker->conf, &opts->question),
        .result = RESULT_ERROR,
        .start_us = opts->start_us,
    };
    list_init(&r->holder);
    if (r->q == NULL) {
        to_free_list(all, r);
        return NULL;
    }
    return r;
}

void
request_ref(struct request *r)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->refs > 0);
    r->refs++;
}

static bool
is_looking_up(const struct request *r)
{
    return r->look != NULL && lookup_is_active(r->look);
}

void
request_unref(struct request **pr)
{
    struct request *r = *pr;

    if (r == NULL) {
        return;
    }
    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->refs > 0);
    *pr = NULL;
    if (--r->refs > 0) {
        return;
    }
    MUST(r->stream == NULL);
    MUST(r->stale == NULL);
    MUST(r->hit == NULL);
    MUST(r->waiter.flight == NULL);
    MUST(!is_looking_up(r));
    MUST(!fetch_is_active(&r->fetch));
    MUST(!made_stale_is_awaited(&r->made_stale));
    MUST(r->post == NULL);
    question_unref(&r->q);
    to_free_list(r->worker->request, r);
}

/* What has reached the origin in part only has changed nothing there, so that
   nobody need wait for it. */
static void
end_fence(struct request *r)
{
    if (r->fence != NULL && r->fwd_status == 0 && r->q->has_body &&
        !r->is_body_done) {
        fence_drop(&r->fence);
    } else {
        fence_leave(&r->fence);
    }
}

void
request_drop(struct request *r)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    loop_timer_cancel(&r->patience);
    if (r->look != NULL) {
        lookup_cancel(r->look);
    }
    made_stale_forget(&r->made_stale);
    if (r->waiter.flight != NULL &&
        flight_leave(r->worker->collapse->flights, &r->waiter)) {
        struct request *waiting = r;
        request_unref(&waiting);
    }
    request_hold_end(r);
    source_close(&r->source);
    fetch_cancel(&r->fetch);
    stored_post_drop(&r->post);
    end_fence(r);
    entry_unref(&r->hit);
    entry_unref(&r->stale);
}

/* --- running ----------------------------------------------------------- */

static const char *
wake_text(enum wake wake)
{
    static const char *const texts[] = {
        [WAKE_NONE] = "nothing",
        [WAKE_FLIGHT] = "a flight",
        [WAKE_LOOKUP] = "a lookup",
        [WAKE_LEASE] = "a lease",
        [WAKE_FETCH] = "the origin",
        [WAKE_DELETION] = "a deletion",
        [WAKE_STREAM] = "the client",
    };

    return texts[wake];
}

/* For the report of a failed MUST. */
static void
describe(const void *ctx, FILE *to)
{
    const struct request *r = ctx;
    unsigned first = r->moves_len > MOVES_MAX ? r->moves_len - MOVES_MAX : 0;
    struct slice method = r->q->head->method_text;
    struct slice target = r->q->head->target;

    fprintf(to, "request %.*s %.*s: status %u, waits for %s\n",
        SLICE_FMT(method), (int)(target.len > 200 ? 200 : target.len),
        target.ptr, r->status, wake_text(r->wake));
    for (unsigned i = first; i < r->moves_len; i++) {
        const struct move *move = &r->moves[i % MOVES_MAX];
        fprintf(to, "  %8lld us %s\n", (long long)(move->at_us - r->start_us),
            move->step->name);
    }
    if (r->waiter.flight != NULL) {
        flight_describe(r->waiter.flight, to);
    }
}

/* Is what a parked request waits for under way? */
static bool
is_armed(const struct request *r)
{
    switch (r->wake) {
    case WAKE_NONE:
        return false;
    case WAKE_FLIGHT:
        return r->waiter.flight != NULL;
    case WAKE_LOOKUP:
        return is_looking_up(r);
    case WAKE_LEASE:
        return r->post != NULL || r->fence != NULL;
    case WAKE_FETCH:
        return fetch_is_active(&r->fetch);
    case WAKE_DELETION:
        return made_stale_is_awaited(&r->made_stale);
    case WAKE_STREAM:
        return r->status != 0;
    }
    return false;
}

/* Between two steps: it has a client that was not answered yet. */
static void
check_running(const struct request *r)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->wake == WAKE_NONE);
    MUST(r->stream != NULL);
    MUST(r->status == 0);
    MUST(!is_looking_up(r));
    MUST(!loop_timer_is_armed(&r->patience));
    MUST(!made_stale_is_awaited(&r->made_stale));
}

/* Behind the last step: what it waits for will come, and nothing else. */
static void
check_parked(const struct request *r)
{
    MUST(is_armed(r));
    MUST(r->wake == WAKE_LOOKUP || !is_looking_up(r));
    MUST(r->wake == WAKE_FLIGHT || !loop_timer_is_armed(&r->patience));
    MUST(r->wake == WAKE_DELETION || !made_stale_is_awaited(&r->made_stale));
}

void
request_run(struct request *r, const struct step *from)
{
    struct check_scope scope = {.describe = describe, .ctx = r};
    const struct step *next = from;

    check_enter(&scope);
    r->wake = WAKE_NONE;
    while (next != NULL) {
        check_running(r);
        r->step = next;
        r->moves[r->moves_len++ % MOVES_MAX] =
            (struct move){next, worker_now_us(r->worker)};
        next = next->run(r);
    }
    r->step = NULL;
    check_parked(r);
    check_leave(&scope);
}

const struct step *
request_park(struct request *r, enum wake wake)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->wake == WAKE_NONE);
    MUST(wake != WAKE_NONE);
    r->wake = wake;
    return NULL;
}

void
request_wake(struct request *r, enum wake wake, const struct step *from)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->wake == wake);
    MUST(from->is_start);
    request_run(r, from);
}

void
request_divert(struct request *r, const struct step *from)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->wake != WAKE_NONE);
    MUST(from->is_start);
    request_drop(r);
    request_run(r, from);
}

const struct step *
request_fail(struct request *r, unsigned status, const char *detail)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->status == 0);
    MUST(status >= 400);
    r->response.status = status;
    r->detail = detail;
    return &step_deliver_error;
}

enum rc
request_choose_variant(struct request *r, struct entry *record)
{
    struct question *variant;
    enum rc rc;

    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->q->record == NULL);
    rc = question_vary(r->q, record, &variant);
    if (rc == RC_OK) {
        question_unref(&r->q);
        r->q = variant;
    }
    return rc;
}

void
request_interim(struct request *r, const struct head *head)
{
    size_t size = head_lines_size(head);
    struct writer w;
    char *text;

    MUST_OBJ(r, REQUEST_MAGIC);
    if (r->stream == NULL || r->status != 0) {
        return;
    }
    text = arena_alloc(&r->arena, size + 1);
    if (text == NULL) {
        /* The client misses a hint, and gets its answer; but it waits for a
           100. */
        if (head->status == 100) {
            r->stream->ops->interim(r->stream, 100, slice_of(NULL, 0));
        }
        return;
    }
    w = writer_of(text, size);
    for (size_t i = 0; i < head->field_count; i++) {
        const struct field *field = &head->fields[i];
        /* A 1xx response must not have one (RFC 9110 8.6). */
        if (field->id != FIELD_CONTENT_LENGTH &&
            !head_is_hop_by_hop(head, field)) {
            write_field_lower(&w, field->name, field->value);
        }
    }
    r->stream->ops->interim(r->stream, head->status, writer_slice(&w));
}

/* --- what the stream tells --------------------------------------------- */

void
request_start(struct request *r)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->moves_len == 0);
    request_run(r, &step_ask);
}

void
request_refuse(
    struct request *r, unsigned status, const char *detail, const char *fault)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->moves_len == 0);
    worker_count(r->worker, COUNTER_BAD_REQUESTS);
    r->fault = fault;
    request_run(r, request_fail(r, status, detail));
}

size_t
request_on_body(struct request *r, struct slice data)
{
    size_t taken = data.len;

    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(!r->is_body_done);
    if (fetch_is_active(&r->fetch)) {
        exchange_send(r->fetch.exchange, data, &taken);
    }
    return taken;
}

void
request_on_body_end(struct request *r)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(!r->is_body_done);
    r->is_body_done = true;
    if (fetch_is_active(&r->fetch)) {
        exchange_send_end(r->fetch.exchange);
    }
}

void
request_on_body_failed(struct request *r, unsigned status)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->stream != NULL);
    MUST(r->status == 0);
    request_divert(r, request_fail(r, status, "body"));
}

void
request_skip_body(struct request *r)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    if (r->stream != NULL && r->status != 0 && r->q->has_body &&
        !r->is_body_done && !fetch_is_active(&r->fetch)) {
        r->stream->ops->want_body(r->stream);
    }
}

static void
request_finish(struct request *r, uint64_t body_bytes)
{
    MUST(r->stream != NULL);
    MUST(r->step == NULL);
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

/* The client left after its write was sent: nobody will hear whether it was
   done, and what is stored may be out of date. */
static void
invalidate_unheard(struct request *r)
{
    const struct made_stale_opts opts = {
        .own_lease = stored_post_lease(r->post)};

    if (r->result == RESULT_WRITE && r->q->key.full.len > 0 &&
        r->fwd_status == 0 && (!r->q->has_body || r->is_body_done) &&
        fetch_is_active(&r->fetch)) {
        made_stale_delete(&r->made_stale, r->worker, r->q, &opts);
    }
}

/* The origin has failed amid its body. The client hears of that by no more than
   a reset. */
static bool
is_origin_to_blame(struct request *r)
{
    enum origin_error error = source_error(&r->source);

    if (error == ORIGIN_ERROR_NONE) {
        return false;
    }
    MUST(r->status != 0);
    r->error = error;
    r->tier = TIER_ORIGIN;
    return true;
}

bool
request_on_source_failed(struct request *r)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->wake == WAKE_STREAM);
    if (!is_origin_to_blame(r)) {
        return false;
    }
    r->status = 0;
    r->response.status = origin_failure(r->error)->status;
    r->detail = NULL;
    request_divert(r, &step_deliver_error);
    return true;
}

void
request_on_gone(struct request *r, uint64_t body_bytes)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    invalidate_unheard(r);
    r->result = is_origin_to_blame(r) ? RESULT_ERROR : RESULT_GONE;
    request_finish(r, body_bytes);
}

/* --- the requests of a worker ------------------------------------------ */

struct request_worker *
request_worker_new(struct requests *requests, struct worker *worker)
{
    struct request_worker *all = calloc(1, sizeof(*all));

    MUST_OBJ(worker, WORKER_MAGIC);
    MUST(worker->request == NULL);
    MUST(requests != NULL);
    if (all == NULL) {
        return NULL;
    }
    all->is_settled = calloc(requests->routes_len + 1, sizeof(bool));
    if (all->is_settled == NULL) {
        free(all);
        return NULL;
    }
    all->magic = REQUEST_WORKER_MAGIC;
    all->requests = requests;
    spare_init(&all->free);
    question_pool_init(&all->questions, &requests->hash_key);
    list_init(&all->holders);
    worker->request = all;
    return all;
}

void
request_worker_free(struct request_worker **pall)
{
    struct request_worker *all = *pall;
    struct list *link;

    if (all == NULL) {
        return;
    }
    MUST_OBJ(all, REQUEST_WORKER_MAGIC);
    MUST(list_is_empty(&all->holders));
    MUST(all->held == 0);
    *pall = NULL;
    while ((link = spare_take(&all->free)) != NULL) {
        struct request *r = CONTAINER_OF(link, struct request, link);
        arena_fini(&r->arena);
        free(r);
    }
    question_pool_fini(&all->questions);
    free(all->is_settled);
    all->magic = 0;
    free(all);
}
