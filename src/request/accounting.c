/*
 * What is left of a request when it is over: counters, a latency, and a
 * record for the access log.
 */
#include "nearside/base/log.h"
#include "request/request_inside.h"
#include "request/unstored.h"

const char *
result_text(enum result result)
{
    static const char *const texts[RESULT_COUNT] = {
#define RESULT(name, text) [RESULT_##name] = text,
#include "nearside/request/result.def"
#undef RESULT
    };

    MUST(result < RESULT_COUNT);
    return texts[result];
}

static const char *
tier_text(enum tier_id tier)
{
    static const char *const texts[TIER_COUNT] = {
        [TIER_NONE] = "-",
        [TIER_MEMORY] = "memory",
        [TIER_SHARED] = "shared",
        [TIER_ORIGIN] = "origin",
    };

    MUST(tier < TIER_COUNT);
    return texts[tier];
}

/* 200 to 299 are 2xx; an origin's 600 and above are no better than 5xx. */
static enum status_class
class_of(unsigned status)
{
    if (status == 0) {
        return STATUS_CLASS_NONE;
    }
    MUST(status >= 200);
    return status >= 500 ? STATUS_CLASS_5XX
                         : (enum status_class)(status / 100 - 1);
}

/* What is counted of each request. */
struct counted {
    ptrdiff_t row; /* of its route; -1: none */
    enum result result;
    enum tier_id tier;
    unsigned status;
    uint64_t body_bytes;
    int64_t took_us;
};

static void
account_metrics(struct worker *w, const struct counted *counted)
{
    const struct requests *requests = w->request->requests;
    size_t row =
        counted->row >= 0 ? (size_t)counted->row : requests->routes_len;

    MUST(row <= requests->routes_len);
    MUST(counted->result < RESULT_COUNT);
    metric_inc(w->block,
        requests->by_result[row][counted->result][class_of(counted->status)]);
    metric_observe_us(
        w->block, requests->latency[row][counted->tier], counted->took_us);
    worker_count_by(w, COUNTER_BODY_BYTES, (int64_t)counted->body_bytes);
}

static struct slice
value_of(const struct head *head, enum field_id id)
{
    const struct field *field = head_find(head, id);

    return field == NULL ? slice_of(NULL, 0) : field->value;
}

static struct slice
version_of(const struct head *head)
{
    if (head->is_refused) {
        return head->version;
    }
    return head->minor == 0 ? SLICE("HTTP/1.0") : SLICE("HTTP/1.1");
}

static void
account_access(struct request *r, int64_t took_us)
{
    const struct requests *requests = r->worker->request->requests;
    const struct request_access access = {
        .wall_ms = worker_own_wall_ms(r->worker) - took_us / 1000,
        .took_us = took_us,
        .queued_us = r->queued_us + fetch_queued_us(&r->fetch),
        .peer = r->q->client.peer,
        .method = r->q->head->method_text,
        .target = r->q->head->target,
        .version = version_of(r->q->head),
        .host = r->q->head->host,
        .referer = value_of(r->q->head, FIELD_REFERER),
        .user_agent = value_of(r->q->head, FIELD_USER_AGENT),
        .status = r->status,
        .bytes = r->sent,
        .route = r->q->row >= 0 ? r->q->route->title : slice_of(NULL, 0),
        .result = result_text(r->result),
        .tier = tier_text(r->tier),
        .detail = r->error != ORIGIN_ERROR_NONE ? origin_failure(r->error)->text
                                                : r->detail,
        .fault = r->fault,
    };

    requests->on_access(r->worker->ring, &access);
}

void
request_account(struct request *r)
{
    int64_t took_us;

    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->stream == NULL);
    took_us = worker_now_us(r->worker) - r->start_us;
    account_metrics(r->worker, &(struct counted){
                                   .row = r->q->row,
                                   .result = r->result,
                                   .tier = r->tier,
                                   .status = r->status,
                                   .body_bytes = r->sent,
                                   .took_us = took_us,
                               });
    if (r->q->row >= 0 && (r->tier == TIER_ORIGIN ||
                              !r->worker->request->is_settled[r->q->row])) {
        unstored_account(r);
    }
    if (r->worker->request->requests->on_access != NULL) {
        account_access(r, took_us);
    }
}

static void
account_hit_access(struct worker *w, const struct stream *stream,
    const struct request_hit *hit, int64_t took_us)
{
    struct request_access access = {
        .wall_ms = worker_own_wall_ms(w) - took_us / 1000,
        .took_us = took_us,
        .method = hit->like->head->method_text,
        .target = hit->target,
        .version = version_of(hit->like->head),
        .host = hit->like->head->host,
        .referer = value_of(hit->like->head, FIELD_REFERER),
        .user_agent = value_of(hit->like->head, FIELD_USER_AGENT),
        .status = 200,
        .bytes = hit->body_len,
        .route = hit->like->route->title,
        .result = result_text(RESULT_HIT),
        .tier = tier_text(TIER_MEMORY),
        .detail = "memory",
    };

    stream->ops->peer(stream, &access.peer);
    w->request->requests->on_access(w->ring, &access);
}

void
request_account_hit(struct worker *w, const struct stream *stream,
    const struct request_hit *hit)
{
    int64_t took_us = worker_now_us(w) - hit->start_us;

    MUST_OBJ(hit->like, QUESTION_MAGIC);
    account_metrics(w, &(struct counted){
                           .row = hit->like->row,
                           .result = RESULT_HIT,
                           .tier = TIER_MEMORY,
                           .status = 200,
                           .body_bytes = hit->body_len,
                           .took_us = took_us,
                       });
    if (w->request->requests->on_access != NULL) {
        account_hit_access(w, stream, hit, took_us);
    }
}
