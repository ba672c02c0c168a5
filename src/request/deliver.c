/*
 * Makes the answer. An entry or a fill brings status and fields. This file adds
 * what belongs to one answer alone: Age, Via, Cache-Status (RFC 9211), and
 * whether there is a body at all. It answers conditions and ranges from an
 * entry. Our own answers have Proxy-Status (RFC 9209) and no Cache-Status,
 * which speaks of the origin's responses only.
 */
#include <stdio.h>

#include "nearside/http/condition.h"
#include "nearside/http/proxy_status.h"
#include "nearside/http/range.h"
#include "nearside/http/write.h"
#include "nearside/tier/tier.h"
#include "request/request_inside.h"

enum {
    /* Via, Age, Cache-Status or Proxy-Status, and a usual Allow. */
    EXTRA_MAX = 768,
};

/* --- the lines of our own ---------------------------------------------- */

static enum route_cache_status
wanted(const struct request *r)
{
    return r->q->route == NULL ? ROUTE_CACHE_STATUS_ON
                               : r->q->route->cache_status;
}

static int64_t
ttl_s_of(struct request *r)
{
    MUST_OBJ(r->hit, ENTRY_MAGIC);
    return (entry_fresh_until_ms(r->hit) - worker_wall_ms(r->worker)) / 1000;
}

/* Of fresh hits Via and Cache-Status differ by a number only: `nearside; hit;
   ttl=9; detail=shared`. Writing them here costs a fifth of the general way. */
static void
write_hit(struct writer *w, struct request *r, int64_t ttl_s)
{
    static const struct slice ends[TIER_COUNT] = {
        [TIER_MEMORY] = {"; detail=memory\r\n", 17},
        [TIER_SHARED] = {"; detail=shared\r\n", 17},
    };

    MUST(r->fwd == CACHE_FWD_NONE);
    MUST(r->hit != NULL);
    MUST(ends[r->tier].len > 0);
    write_slice(w, r->q->conf->hit);
    write_u64(w, (uint64_t)ttl_s);
    write_slice(w, ends[r->tier]);
}

static void
write_cache_status(struct writer *w, struct request *r)
{
    enum route_cache_status how = wanted(r);
    struct cache_status status;

    if (how == ROUTE_CACHE_STATUS_OFF) {
        return;
    }
    status = (struct cache_status){
        .name = r->q->conf->name,
        .is_hit = r->hit != NULL && r->fwd == CACHE_FWD_NONE,
        .fwd = r->fwd,
        .fwd_status = r->fwd_status != r->response.status ? r->fwd_status : 0,
        .has_ttl = r->hit != NULL,
        .ttl_s = r->hit != NULL ? ttl_s_of(r) : 0,
        .is_stored = r->is_stored,
        .is_collapsed = r->is_collapsed,
        .key =
            how == ROUTE_CACHE_STATUS_KEY ? r->q->key.full : slice_of(NULL, 0),
        .detail = slice_of_str(r->detail),
    };
    cache_status_write_line(w, &status);
}

static void
write_age(struct writer *w, int64_t age_s)
{
    if (age_s != RESPONSE_AGE_NONE) {
        write_field_u64(w, SLICE("age"), age_s < 0 ? 0 : (uint64_t)age_s);
    }
}

static int64_t
age_s_of(struct request *r, int64_t created_ms)
{
    int64_t now_ms = worker_wall_ms(r->worker);

    return now_ms < created_ms ? 0 : (now_ms - created_ms) / 1000;
}

static bool
open_extra(struct request *r, struct writer *w)
{
    /* The key is a string, which escapes some bytes (RFC 9651 3.3.3). */
    size_t size = EXTRA_MAX + 2 * r->q->key.full.len;
    char *text = arena_alloc(&r->arena, size);

    if (text == NULL) {
        return false;
    }
    *w = writer_of(text, size);
    return true;
}

/* Lines that do not fit are left out whole: an answer without Cache-Status
   is still an answer. */
static void
close_extra(struct request *r, struct writer *w)
{
    r->response.extra = w->is_full ? slice_of(NULL, 0) : writer_slice(w);
}

static bool
status_has_body(unsigned status)
{
    return status >= 200 && status != 204 && status != 304;
}

const struct step *
request_respond(struct request *r)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->status == 0);
    MUST(r->response.status >= 200);
    MUST(r->response.source == &r->source);
    MUST(!r->response.has_body || status_has_body(r->response.status));
    r->status = r->response.status;
    r->stream->ops->respond(r->stream, &r->response);
    request_skip_body(r);
    return request_park(r, WAKE_STREAM);
}

/* An answer of the origin's. */
static const struct step *
respond(struct request *r, struct writer *w)
{
    int64_t ttl_s = r->result == RESULT_HIT ? ttl_s_of(r) : -1;

    if (ttl_s >= 0 && wanted(r) == ROUTE_CACHE_STATUS_ON && !r->is_unverified) {
        write_hit(w, r, ttl_s);
    } else {
        write_field(w, SLICE("via"), r->q->conf->via);
        write_cache_status(w, r);
    }
    close_extra(r, w);
    return request_respond(r);
}

/* --- from an entry ----------------------------------------------------- */

/* The lines of a 304, and of a 206 for a client that has the others already.
   When memory is short these are all lines: longer, but not wrong. */
static struct slice
not_modified_fields(struct request *r)
{
    char *text = arena_alloc(&r->arena, entry_fields(r->hit).len + 1);
    struct writer w;

    if (text == NULL) {
        return entry_fields(r->hit);
    }
    w = writer_of(text, entry_fields(r->hit).len + 1);
    condition_write_not_modified(&w, entry_fields(r->hit));
    return writer_slice(&w);
}

static void
make_not_modified(struct request *r)
{
    r->response.status = 304;
    r->response.fields = not_modified_fields(r);
    r->response.has_body = false;
    r->response.has_length = false;
}

/* One range of the entry (RFC 9110 14); more than one gives the whole. */
static void
make_range(struct request *r, struct writer *extra, struct slice *body)
{
    struct range range;

    switch (range_evaluate(r->q->head, body->len, &range)) {
    case RANGE_WHOLE:
        break;
    case RANGE_PART:
        r->response.status = 206;
        /* A client with another part has the fields (RFC 9110 15.3.7). */
        if (head_has(r->q->head, FIELD_IF_RANGE)) {
            r->response.fields = not_modified_fields(r);
        }
        MUST(range.first <= range.last);
        MUST(range.last < body->len);
        range_write(extra, &range, body->len);
        *body = slice_of(
            body->ptr + range.first, (size_t)(range.last - range.first + 1));
        r->response.length = body->len;
        break;
    case RANGE_UNSATISFIABLE:
        /* This is about the request: the stored response's fields say nothing
           of it. */
        r->response.status = 416;
        r->response.fields = SLICE("cache-control: no-store\r\n");
        write_field(extra, SLICE("date"), worker_date(r->worker));
        range_write_unsatisfied(extra, body->len);
        *body = slice_of(NULL, 0);
        r->response.length = 0;
        break;
    }
}

static void
answer_condition(struct request *r, struct writer *extra, struct slice *body)
{
    int64_t now_ms = worker_wall_ms(r->worker);
    const struct condition_stored stored = {
        .status = r->hit->status,
        .lines = entry_fields(r->hit),
        .received_s = entry_created_ms(r->hit) / 1000,
    };

    switch (condition_evaluate(r->q->head, &stored, now_ms / 1000)) {
    case CONDITION_NOT_MODIFIED:
        make_not_modified(r);
        break;
    case CONDITION_RANGE:
        make_range(r, extra, body);
        break;
    case CONDITION_FULL:
    case CONDITION_PASS: /* policy_read has bypassed these */
        break;
    }
}

static bool
has_condition(const struct head *head)
{
    return head_has(head, FIELD_IF_NONE_MATCH) ||
           head_has(head, FIELD_IF_MODIFIED_SINCE) ||
           head_has(head, FIELD_RANGE);
}

static const struct step *
run_deliver_entry(struct request *r)
{
    struct entry *entry = r->hit;
    struct slice body = entry_body(entry);
    struct writer w;

    MUST_OBJ(entry, ENTRY_MAGIC);
    MUST((entry->flags & (ENTRY_VARY_RECORD | ENTRY_HIT_FOR_MISS)) == 0);
    MUST(policy_may_use(r->q->route, &r->q->policy.reuse, entry->flags));
    if (!open_extra(r, &w)) {
        entry_unref(&r->hit);
        return request_fail(r, 503, "no-memory");
    }
    r->response = (struct response){
        .status = entry->status,
        .fields = entry_fields(entry),
        .has_length = true,
        .length = entry_body(entry).len,
        .has_body =
            status_has_body(entry->status) && r->q->head->method != METHOD_HEAD,
        .source = &r->source,
    };
    if (has_condition(r->q->head)) {
        answer_condition(r, &w, &body);
    }
    source_of_bytes(&r->source, r->response.has_body ? body : SLICE(""));
    if (r->response.status != 416) {
        write_age(&w, age_s_of(r, entry_created_ms(entry)));
    }
    return respond(r, &w);
}

/* --- from a fill ------------------------------------------------------- */

static const struct step *
run_deliver_fill(struct request *r)
{
    const struct response_head *head = fill_head(r->source.reader.fill);
    struct writer w;

    MUST(r->hit == NULL);
    MUST(r->tier == TIER_ORIGIN);
    if (!tier_stores(r->worker) && r->detail == NULL && !r->is_stored &&
        r->q->kind == QUESTION_READ) {
        r->detail = "no-redis";
    }
    if (!open_extra(r, &w)) {
        request_drop(r);
        return request_fail(r, 503, "no-memory");
    }
    r->response = (struct response){
        .status = head->status,
        .fields = head->fields,
        .has_length = head->has_length,
        .length = head->length,
        .has_body =
            status_has_body(head->status) && r->q->head->method != METHOD_HEAD,
        .source = &r->source,
    };
    write_age(&w, r->created_ms > 0 ? age_s_of(r, r->created_ms) : head->age_s);
    return respond(r, &w);
}

/* --- our own ----------------------------------------------------------- */

/* RFC 9209's type for what we did not ask the origin about: no origin is
   named for it (404), the client's mistake, our own, or neither
   (only-if-cached, 405, 421). */
static const char *
own_error_type(const struct request *r)
{
    switch (r->response.status) {
    case 404:
        return "destination_not_found";
    case 405:
    case 421:
    case 504:
        return "proxy_internal_response";
    case 503:
        return "proxy_internal_error";
    default: /* a number, not an enum */
        return "http_request_error";
    }
}

static void
write_proxy_status(struct writer *w, struct request *r)
{
    const char *error = r->error != ORIGIN_ERROR_NONE
                            ? origin_failure(r->error)->type
                            : own_error_type(r);

    proxy_status_write_line(w, r->q->conf->name, slice_of_str(error));
}

void
request_write_allow(struct writer *w, const struct route *route)
{
    if (route == NULL || route->methods_len == 0) {
        return;
    }
    write_slice(w, SLICE("allow: "));
    for (size_t i = 0; i < route->methods_len; i++) {
        write_slice(w, i > 0 ? SLICE(", ") : slice_of(NULL, 0));
        write_slice(w, route->methods[i]);
    }
    write_slice(w, SLICE("\r\n"));
}

/* "502 Bad Gateway: connection refused\n" */
static struct slice
error_body(struct request *r)
{
    char *text = arena_alloc(&r->arena, 160);
    struct slice reason = status_reason(r->response.status);
    const char *why = r->error != ORIGIN_ERROR_NONE
                          ? origin_failure(r->error)->text
                          : r->detail;
    int n;

    if (text == NULL) {
        return slice_of(NULL, 0);
    }
    n = snprintf(text, 160, "%u %.*s%s%.64s\n", r->response.status,
        SLICE_FMT(reason), why == NULL ? "" : ": ", why == NULL ? "" : why);
    return slice_of(text, (size_t)n);
}

/* Does the status say that the request itself could not be read? */
static bool
refuses(unsigned status)
{
    return status == 400 || status == 408 || status == 413 || status == 414 ||
           status == 431;
}

static const struct step *
run_deliver_error(struct request *r)
{
    unsigned status = r->response.status;
    struct slice body;
    struct writer w;

    MUST(status >= 400);
    source_close(&r->source);
    r->result = RESULT_ERROR;
    r->is_stored = false;
    body = error_body(r);
    r->response = (struct response){
        .status = status,
        .fields = SLICE("content-type: text/plain; charset=utf-8\r\n"
                        "cache-control: no-store\r\n"),
        .has_length = true,
        .length = body.len,
        .has_body = r->q->head->method != METHOD_HEAD,
        .source = &r->source,
        .is_last = refuses(status),
    };
    source_of_bytes(&r->source, body);
    if (open_extra(r, &w)) {
        write_field(&w, SLICE("date"), worker_date(r->worker));
        if (status == 503) {
            write_field(&w, SLICE("retry-after"), SLICE("1"));
        }
        if (status == 405) {
            request_write_allow(&w, r->q->route);
        }
        write_proxy_status(&w, r);
        close_extra(r, &w);
    }
    return request_respond(r);
}

const struct step step_deliver_entry = {
    "deliver_entry", run_deliver_entry, true};
const struct step step_deliver_fill = {"deliver_fill", run_deliver_fill, true};
const struct step step_deliver_error = {
    "deliver_error", run_deliver_error, true};
