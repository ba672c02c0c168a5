/*
 * Answers. The entry or the fill brings status and fields; what belongs to
 * this answer alone is written here: Age, Via, Cache-Status (RFC 9211), and
 * whether there is a body at all. Conditions are answered from an entry.
 */
#include <stdio.h>

#include "nearside/http/write.h"
#include "proxy/lines.h"
#include "proxy/request.h"

enum {
    /* Via, Age, Cache-Status, Proxy-Status, Allow's share apart. */
    EXTRA_MAX = 768,
};

/* --- the lines of our own ---------------------------------------------- */

static void
write_ttl(struct writer *w, struct request *r)
{
    int64_t now_ms = clock_wall_ms(loop_clock(r->worker->loop));
    int64_t ttl_s = (r->hit->fresh_until_ms - now_ms) / 1000;

    write_slice(w, SLICE("; ttl="));
    if (ttl_s < 0) {
        write_slice(w, SLICE("-"));
        ttl_s = -ttl_s;
    }
    write_u64(w, (uint64_t)ttl_s);
}

static void
write_cache_status(struct writer *w, struct request *r)
{
    write_slice(w, SLICE("cache-status: "));
    write_slice(w, r->worker->proxy->name);
    if (r->fwd != NULL) {
        write_slice(w, SLICE("; fwd="));
        write_slice(w, slice_of_str(r->fwd));
    } else if (r->hit != NULL) {
        write_slice(w, SLICE("; hit"));
    }
    if (r->hit != NULL) {
        write_ttl(w, r);
    }
    if (r->fwd_status != 0 && r->fwd_status != r->response.status) {
        write_slice(w, SLICE("; fwd-status="));
        write_u64(w, r->fwd_status);
    }
    if (r->is_stored) {
        write_slice(w, SLICE("; stored"));
    }
    if (r->is_collapsed) {
        write_slice(w, SLICE("; collapsed"));
    }
    if (r->detail != NULL) {
        write_slice(w, SLICE("; detail="));
        write_slice(w, slice_of_str(r->detail));
    }
    write_slice(w, SLICE("\r\n"));
}

static void
write_age(struct writer *w, int64_t age_s)
{
    if (age_s != MESSAGE_AGE_NONE) {
        write_field_u64(w, SLICE("age"), age_s < 0 ? 0 : (uint64_t)age_s);
    }
}

static bool
open_extra(struct request *r, struct writer *w)
{
    char *text = arena_alloc(&r->arena, EXTRA_MAX);

    if (text == NULL) {
        return false;
    }
    *w = writer_of(text, EXTRA_MAX);
    return true;
}

/* Lines that do not fit are left out whole: an answer without Cache-Status
   is still an answer. */
static void
close_extra(struct request *r, struct writer *w)
{
    r->response.extra = w->is_full ? slice_of(NULL, 0) : writer_slice(w);
}

static void
respond(struct request *r)
{
    r->status = r->response.status;
    r->stream->ops->respond(r->stream, &r->response);
}

static bool
status_has_body(unsigned status)
{
    return status >= 200 && status != 204 && status != 304;
}

/* --- from an entry ----------------------------------------------------- */

/* RFC 9110 8.8.3.2: weak comparison; "W/" does not count. */
static struct slice
opaque_tag(struct slice tag)
{
    return slice_starts(tag, SLICE("W/")) ? slice_skip(tag, 2) : tag;
}

/* One value of If-None-Match: "*" or a list of entity tags. */
static bool
list_has_tag(struct slice list, struct slice etag)
{
    struct slice member;

    if (slice_eq(list, SLICE("*"))) {
        return true;
    }
    while (slice_split(&list, ',', &member)) {
        if (slice_eq(opaque_tag(slice_trim(member)), opaque_tag(etag))) {
            return true;
        }
    }
    return false;
}

static bool
is_not_modified(struct request *r)
{
    const struct field *field = head_find(&r->head, FIELD_IF_NONE_MATCH);
    struct slice etag;

    if (field == NULL || r->hit->status != 200 ||
        !lines_find(r->hit->fields, SLICE("etag"), &etag)) {
        return false;
    }
    for (; field != NULL; field = head_find_next(&r->head, field)) {
        if (list_has_tag(field->value, etag)) {
            return true;
        }
    }
    return false;
}

/* What a 304 must repeat of the 200 (RFC 9110 15.4.5). */
static bool
is_in_not_modified(struct slice name)
{
    static const struct slice names[] = {
        {"cache-control", 13},
        {"content-location", 16},
        {"date", 4},
        {"etag", 4},
        {"expires", 7},
        {"vary", 4},
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (slice_eq(names[i], name)) {
            return true;
        }
    }
    return false;
}

static struct slice
not_modified_fields(struct request *r)
{
    struct slice rest = r->hit->fields;
    struct slice name;
    struct slice value;
    char *text = arena_alloc(&r->arena, rest.len + 1);
    struct writer w;

    if (text == NULL) {
        return r->hit->fields;
    }
    w = writer_of(text, rest.len + 1);
    while (lines_next(&rest, &name, &value)) {
        if (is_in_not_modified(name)) {
            write_field(&w, name, value);
        }
    }
    return writer_slice(&w);
}

static const struct step *
run_deliver_entry(struct request *r)
{
    int64_t now_ms = clock_wall_ms(loop_clock(r->worker->loop));
    struct entry *entry = r->hit;
    struct writer w;

    MUST_OBJ(entry, ENTRY_MAGIC);
    if (!open_extra(r, &w)) {
        entry_unref(&r->hit);
        return request_fail(r, 503, "memory");
    }
    r->response = (struct response){
        .status = entry->status,
        .fields = entry->fields,
        .has_length = true,
        .length = entry->body.len,
        .has_body =
            status_has_body(entry->status) && r->head.method != METHOD_HEAD,
        .source = &r->source,
    };
    if (is_not_modified(r)) {
        r->response.status = 304;
        r->response.fields = not_modified_fields(r);
        r->response.has_body = false;
        r->response.has_length = false;
    }
    source_of_bytes(
        &r->source, r->response.has_body ? entry->body : slice_of(NULL, 0));
    write_age(&w, (now_ms - entry->created_ms) / 1000 < 0
                      ? 0
                      : (now_ms - entry->created_ms) / 1000);
    write_field(&w, SLICE("via"), r->worker->proxy->via);
    write_cache_status(&w, r);
    close_extra(r, &w);
    respond(r);
    return NULL;
}

/* --- from a fill ------------------------------------------------------- */

static const struct step *
run_deliver_fill(struct request *r)
{
    const struct message *message = fill_message(r->source.reader.fill);
    struct writer w;

    if (!open_extra(r, &w)) {
        request_drop(r);
        return request_fail(r, 503, "memory");
    }
    r->response = (struct response){
        .status = message->status,
        .fields = message->fields,
        .has_length = message->has_length,
        .length = message->length,
        .has_body =
            status_has_body(message->status) && r->head.method != METHOD_HEAD,
        .must_close = r->response.must_close,
        .source = &r->source,
    };
    write_age(&w, message->age_s);
    write_field(&w, SLICE("via"), r->worker->proxy->via);
    write_cache_status(&w, r);
    close_extra(r, &w);
    respond(r);
    return NULL;
}

/* --- our own ----------------------------------------------------------- */

static void
write_proxy_status(struct writer *w, struct request *r)
{
    if (r->error == ORIGIN_ERROR_NONE) {
        return;
    }
    write_slice(w, SLICE("proxy-status: "));
    write_slice(w, r->worker->proxy->name);
    write_slice(w, SLICE("; error="));
    write_slice(w, slice_of_str(origin_error_type(r->error)));
    write_slice(w, SLICE("\r\n"));
}

static void
write_allow(struct writer *w, struct request *r)
{
    const struct route *route = r->route_opts;

    if (r->response.status != 405 || route == NULL) {
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
    const char *why =
        r->error != ORIGIN_ERROR_NONE ? origin_error_text(r->error) : r->detail;
    int n;

    if (text == NULL) {
        return slice_of(NULL, 0);
    }
    n = snprintf(text, 160, "%u %.*s%s%.64s\n", r->response.status,
        SLICE_FMT(reason), why == NULL ? "" : ": ", why == NULL ? "" : why);
    return slice_of(text, (size_t)n);
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
        .has_body = r->head.method != METHOD_HEAD,
        .source = &r->source,
        .must_close = status == 400 || status == 408 || status == 413 ||
                      status == 414 || status == 431,
    };
    source_of_bytes(&r->source, body);
    if (open_extra(r, &w)) {
        write_field(&w, SLICE("date"), worker_date(r->worker));
        if (status == 503) {
            write_field(&w, SLICE("retry-after"), SLICE("1"));
        }
        write_allow(&w, r);
        write_proxy_status(&w, r);
        write_cache_status(&w, r);
        close_extra(r, &w);
    }
    respond(r);
    return NULL;
}

const struct step step_deliver_entry = {"deliver_entry", run_deliver_entry};
const struct step step_deliver_fill = {"deliver_fill", run_deliver_fill};
const struct step step_deliver_error = {"deliver_error", run_deliver_error};
