/*
 * The fetch of a flight: the origin is asked once, on behalf of all who
 * wait, and its head decides what they get.
 */
#include "nearside/http/condition.h"
#include "nearside/http/update.h"
#include "nearside/memory/codec.h"
#include "proxy/flight_inside.h"

enum {
    /* If-None-Match and If-Modified-Since around stored values. */
    VALIDATORS_MAX = 16384,
    /* Age lines of a 304: one is usual. */
    AGES_MAX = 1024,
};

static void
on_interim(void *ctx, const struct head *head)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    request_interim(run->leader, head);
}

static void
judge(struct flight_run *run, const struct head *head)
{
    const struct policy_times times = {
        .request_ms = run->request_ms,
        .response_ms = run->response_ms,
        .jitter = random_next(&run->worker->random),
    };

    policy_store(run->route, &run->policy, head, &times, &run->verdict);
    if (run->verdict.is_storable && head->framing == FRAMING_LENGTH &&
        head->content_length > run->worker->proxy->opts.limits.object_max) {
        run->verdict.is_storable = false;
        run->verdict.detail = "size";
    }
}

/* --- 304 --------------------------------------------------------------- */

/* The stored lines as the 304 leaves them (RFC 9111 3.2). */
static bool
merge(struct flight_run *run, const struct head *head)
{
    const struct update_opts opts = {
        .set_cookie = run->route->set_cookie == ROUTE_SET_COOKIE_STORE};
    size_t size = run->stale->fields.len;
    struct writer w;
    char *text;

    for (size_t i = 0; i < head->field_count; i++) {
        size += head->fields[i].name.len + head->fields[i].value.len + 4;
    }
    text = arena_alloc(&run->arena, size);
    if (text == NULL) {
        return false;
    }
    w = writer_of(text, size);
    if (update_merge(head, run->stale->fields, &opts, &w) != RC_OK) {
        return false;
    }
    run->merged = writer_slice(&w);
    return true;
}

/* How old the 304 was when it came is how old the response is now. */
static void
write_ages(struct writer *w, const struct head *head)
{
    const struct field *f = head_find(head, FIELD_AGE);

    for (; f != NULL; f = head_find_next(head, f)) {
        write_field(w, SLICE("age"), f->value);
    }
}

/* Judges the stored response with its renewed lines as if it had just come:
   the lines are made a head again by the parser itself. */
static bool
judge_merged(struct flight_run *run, const struct head *not_modified)
{
    const struct parse_opts opts = {.field_max = 65536, .head_max = 262144};
    size_t size = run->merged.len + AGES_MAX + 128;
    char *text = arena_alloc(&run->arena, size);
    struct writer w = writer_of(text, size);
    struct parse parse;
    struct head *head = arena_alloc(&run->arena, sizeof(*head));
    size_t len;

    if (text == NULL || head == NULL) {
        return false;
    }
    write_status_line(&w, run->stale->status);
    write_slice(&w, run->merged);
    write_ages(&w, not_modified);
    write_field_u64(&w, SLICE("content-length"), run->stale->body.len);
    write_end(&w);
    parse_start(&parse);
    if (w.is_full || parse_response(&parse, &opts, METHOD_GET, writer_slice(&w),
                         head, &len) != RC_OK) {
        return false;
    }
    judge(run, head);
    return true;
}

/* The 304 with the time of its receipt where it brings no Date (RFC 9110
   6.6.1): the stored one would make the response as old as it was. NULL: no
   memory. */
static const struct head *
with_date(struct flight_run *run, const struct head *head)
{
    struct head *dated;

    if (head_has(head, FIELD_DATE) || head->field_count == HEAD_FIELDS_MAX) {
        return head;
    }
    dated = arena_alloc(&run->arena, sizeof(*dated));
    if (dated == NULL) {
        return NULL;
    }
    *dated = *head;
    dated->fields[dated->field_count++] = (struct field){
        .name = SLICE("date"),
        .value = worker_date(run->worker),
        .id = FIELD_DATE,
    };
    dated->field_set |= UINT64_C(1) << (FIELD_DATE - 1);
    return dated;
}

static void
take_not_modified(struct flight_run *run, const struct head *head)
{
    int64_t now_s = run->response_ms / 1000;
    const struct head *dated;

    if (run->stale == NULL || !update_is_identified(head, run->stale->fields,
                                  run->record == NULL, now_s)) {
        return;
    }
    dated = with_date(run, head);
    run->is_validated =
        dated != NULL && merge(run, dated) && judge_merged(run, dated);
}

static enum rc
encode_validated(struct flight_run *run)
{
    const struct policy_verdict *v = &run->verdict;
    bool is_kept = v->is_storable;
    const struct codec_parts parts = {
        .status = run->stale->status,
        .flags = v->flags,
        .while_ms = v->while_ms,
        .if_error_ms = v->if_error_ms,
        .created_ms = is_kept ? v->created_ms : run->response_ms,
        .fresh_until_ms = is_kept ? v->fresh_until_ms : run->response_ms,
        .stale_until_ms = is_kept ? v->stale_until_ms : run->response_ms,
        .origin_cost_ms =
            (uint32_t)((run->fetch.head_us - run->fetch.start_us) / 1000),
        .key = run->key,
        .fields = run->merged,
        .body = run->stale->body,
    };

    return codec_encode(&parts, &run->entry);
}

/* Not storable for what the leader brought: that says nothing of the
   target. */
static bool
is_personal(const struct flight_run *run)
{
    return run->policy.credential != NULL &&
           run->verdict.detail == run->policy.credential;
}

/* The stale entry is good again, under new fields. */
static void
end_validated(struct flight_run *run)
{
    if (encode_validated(run) != RC_OK) {
        loop_defer(run->worker->loop, &run->failed);
        return;
    }
    flight_tell(run,
        &(struct flight_result){
            .outcome = FLIGHT_ENTRY,
            .entry = entry_ref(run->entry),
            .is_validated = true,
            .is_private = !run->verdict.is_storable,
            .is_personal = is_personal(run),
            .is_stored = run->verdict.is_storable && run->has_lease,
            .fwd_status = 304,
        },
        false);
    if (run->verdict.is_storable) {
        flight_store_entry(run);
    } else if (is_personal(run)) {
        flight_run_end_released(run);
    } else {
        flight_store_marker(run);
    }
}

/* --- the head ---------------------------------------------------------- */

static struct fetch_plan
on_head(void *ctx, const struct head *head)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    run->status = head->status;
    run->response_ms = clock_wall_ms(loop_clock(run->worker->loop));
    if (head->status == 304) {
        take_not_modified(run, head);
        return (struct fetch_plan){0};
    }
    judge(run, head);
    if (run->verdict.is_storable && run->record == NULL &&
        run->verdict.vary.count > 0 && flight_make_record(run) != RC_OK) {
        run->verdict.is_storable = false;
        run->verdict.detail = "memory";
    }
    return (struct fetch_plan){
        .is_kept = run->verdict.is_storable,
        .drops_set_cookie =
            run->verdict.is_storable && run->verdict.drops_set_cookie,
    };
}

/* The origin cannot answer: what is past its time is better than nothing. */
static bool
tell_stale(struct flight_run *run)
{
    int64_t now_ms = clock_wall_ms(loop_clock(run->worker->loop));
    struct flight_result result = {
        .outcome = FLIGHT_ENTRY,
        .is_stale = true,
        .fwd_status = run->status,
        .detail = "stale-if-error",
    };

    if (run->stale == NULL ||
        !policy_allows_on_error(run->route, run->stale, now_ms)) {
        return false;
    }
    result.entry = run->stale;
    run->stale = NULL;
    fetch_cancel(&run->fetch);
    flight_tell(run, &result, false);
    flight_run_end_released(run);
    return true;
}

static bool
is_error(unsigned status)
{
    return status == 500 || status == 502 || status == 503 || status == 504;
}

static void
tell_fill(struct flight_run *run, struct fill *fill)
{
    const struct policy_verdict *v = &run->verdict;
    struct flight_result result = {
        .outcome = FLIGHT_FILL,
        .fill = fill_ref(fill),
        .is_private = !v->is_storable,
        .is_personal = is_personal(run),
        .flags = v->flags,
        .is_stored = v->is_storable && run->has_lease,
        .is_stale_fetch = run->stale != NULL,
        .detail = v->detail,
    };

    if (run->variant_key.len > 0) {
        result.record = entry_ref(run->entry);
        memcpy(result.variant,
            run->variant_key.ptr + run->variant_key.len - DIGEST_LEN,
            DIGEST_LEN);
    }
    /* What no lease guards is for those who wait already: whoever comes later
       must see what was written meanwhile, and his coming lets the key in. */
    flight_tell(run, &result, v->is_storable && !run->is_kept_out);
}

/* A 304 that identifies nothing stored is of no use to anybody (RFC 9111
   4.3.4): the origin is asked once more, without a condition. */
static bool
fetch_anew(struct flight_run *run)
{
    if (run->status != 304 || run->stale == NULL || run->is_plain) {
        return false;
    }
    run->is_plain = true;
    fetch_cancel(&run->fetch);
    loop_timer_cancel(&run->timer);
    flight_fetch(run);
    return true;
}

static void
on_fill(void *ctx, struct fill *fill)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    if (fill == NULL) {
        loop_defer(run->worker->loop, &run->failed);
        return;
    }
    if (run->is_validated || fetch_anew(run) ||
        (is_error(run->status) && tell_stale(run))) {
        return;
    }
    tell_fill(run, fill);
    request_unref(&run->leader);
}

static void
on_outgrown(void *ctx)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    run->verdict.is_storable = false;
    flight_close(run->worker->proxy->flights, run->flight);
}

/* Is the answer no word on whether the target can be stored? An error while
   something is stored is none: that may still be renewed, or stand in. */
static bool
says_nothing(const struct flight_run *run)
{
    return is_personal(run) || run->status == 304 ||
           (is_error(run->status) && run->stale != NULL);
}

static void
on_end(void *ctx, enum fill_state state, bool is_early)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    (void)is_early;
    flight_close(run->worker->proxy->flights, run->flight);
    if (run->is_validated) {
        end_validated(run);
    } else if (state != FILL_COMPLETE || says_nothing(run)) {
        flight_run_end_released(run);
    } else if (run->verdict.is_storable) {
        flight_store_fill(run);
    } else {
        flight_store_marker(run);
    }
}

static void
on_error(void *ctx, enum origin_error error)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    if (tell_stale(run)) {
        return;
    }
    flight_tell(run,
        &(struct flight_result){.outcome = FLIGHT_ERROR, .error = error},
        false);
    flight_run_end_released(run);
}

static const struct fetch_callbacks fetch_callbacks = {
    .on_interim = on_interim,
    .on_head = on_head,
    .on_fill = on_fill,
    .on_outgrown = on_outgrown,
    .on_end = on_end,
    .on_error = on_error,
};

/* Lines that ask whether the stale entry is still the one. */
static struct slice
validators_of(struct flight_run *run)
{
    char *text;
    struct writer w;

    if (run->stale == NULL || run->is_plain) {
        return slice_of(NULL, 0);
    }
    text = arena_alloc(&run->arena, VALIDATORS_MAX);
    if (text == NULL) {
        return slice_of(NULL, 0);
    }
    w = writer_of(text, VALIDATORS_MAX);
    condition_write_validators(&w, run->stale->fields);
    return w.is_full ? slice_of(NULL, 0) : writer_slice(&w);
}

/* The leader's memory goes once the head is there; the store comes later. */
static enum rc
keep_keys(struct flight_run *run)
{
    struct slice *const keys[] = {
        &run->key, &run->entry_key, &run->base_key, &run->base_entry_key};
    enum rc rc = RC_OK;

    for (size_t i = 0; i < ARRAY_LEN(keys) && rc == RC_OK; i++) {
        rc = arena_copy(&run->arena, *keys[i], keys[i]);
    }
    return rc;
}

void
flight_fetch(struct flight_run *run)
{
    struct request_head_opts opts = {
        .is_for_cache = true, .lines = validators_of(run)};
    struct exchange_request request;

    run->request_ms = clock_wall_ms(loop_clock(run->worker->loop));
    if (keep_keys(run) != RC_OK ||
        request_origin_head(run->leader, &opts, &request) != RC_OK ||
        fetch_start(&run->fetch, run->worker, run->group, &request,
            &fetch_callbacks, run) != RC_OK) {
        loop_defer(run->worker->loop, &run->failed);
        return;
    }
    if (run->has_lease) {
        flight_renew_later(run);
    }
}
