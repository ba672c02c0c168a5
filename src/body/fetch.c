/*
 * Fetches. The exchange tells what comes from the origin; this file turns
 * the head into a message and appends the body to a fill. A fetch whose body
 * is neither kept nor read by anybody is given up.
 */
#include "nearside/body/fetch.h"

#include <stdlib.h>

#include "nearside/http/fresh.h"
#include "nearside/http/storable.h"
#include "nearside/http/write.h"
#include "nearside/work/worker.h"

#define FETCH_MAGIC UINT32_C(0x6e666574)

enum {
    /* How far the origin may run ahead of the fastest reader. */
    FETCH_WINDOW = 262144,
};

static size_t
fields_size(const struct head *head)
{
    size_t size = 0;

    for (size_t i = 0; i < head->field_count; i++) {
        size += head->fields[i].name.len + head->fields[i].value.len + 4;
    }
    return size;
}

/* Framing and Age are written for each answer anew. */
static bool
is_carried(const struct head *head, const struct field *field,
    const struct fetch_plan *plan)
{
    switch ((int)field->id) {
    case FIELD_CONTENT_LENGTH:
    case FIELD_AGE:
        return false;
    case FIELD_SET_COOKIE:
        return !plan->drops_set_cookie;
    default:
        return plan->is_kept ? storable_has_field(head, field)
                             : !head_is_hop_by_hop(head, field);
    }
}

/* Are there fields that are for us alone? As a rule none. */
static bool
has_withheld(const struct head *head, const struct fetch_plan *plan)
{
    size_t count = plan->withheld.count == 0 ? 0 : head->field_count;

    for (size_t i = 0; i < count; i++) {
        if (targeted_has(&plan->withheld, head->fields[i].name)) {
            return true;
        }
    }
    return false;
}

static void
write_withheld(
    struct writer *w, const struct head *head, const struct fetch_plan *plan)
{
    for (size_t i = 0; i < head->field_count; i++) {
        const struct field *field = &head->fields[i];
        if (is_carried(head, field, plan) &&
            targeted_has(&plan->withheld, field->name)) {
            write_field_lower(w, field->name, field->value);
        }
    }
}

static void
write_carried(struct writer *w, const struct head *head,
    const struct fetch_plan *plan, bool some_withheld)
{
    for (size_t i = 0; i < head->field_count; i++) {
        const struct field *field = &head->fields[i];
        if (is_carried(head, field, plan) &&
            !(some_withheld && targeted_has(&plan->withheld, field->name))) {
            write_field_lower(w, field->name, field->value);
        }
    }
}

/* What is withheld, and behind it what is delivered: with the time of its
   receipt if it has no Date (RFC 9110 6.6.1). */
static void
write_message(struct writer *w, const struct head *head,
    const struct fetch_plan *plan, struct slice date, struct message *out)
{
    bool some_withheld = has_withheld(head, plan);

    if (some_withheld) {
        write_withheld(w, head, plan);
    }
    out->note = writer_slice(w);
    if (!head_has(head, FIELD_DATE)) {
        write_field(w, SLICE("date"), date);
    }
    write_carried(w, head, plan, some_withheld);
    out->fields = slice_skip(writer_slice(w), out->note.len);
}

static int64_t
age_of(const struct head *head)
{
    int64_t age_s;

    return fresh_read_age(head, &age_s) == RC_OK ? age_s : MESSAGE_AGE_NONE;
}

static struct fill *
fetch_new_fill(struct fetch *fetch, const struct head *head,
    const struct fetch_plan *plan, const struct fill_opts *opts)
{
    size_t size = fields_size(head) + sizeof("date: \r\n") + DATE_LEN;
    char *text = malloc(size);
    struct writer w = writer_of(text, size);
    struct message message = {
        .status = head->status,
        .has_length =
            head->framing == FRAMING_LENGTH ||
            (fetch->method == METHOD_HEAD && head->has_content_length),
        .length = head->content_length,
        .age_s = age_of(head),
    };
    struct fill *fill;

    if (text == NULL) {
        return NULL;
    }
    write_message(&w, head, plan, worker_date(fetch->worker), &message);
    MUST(!w.is_full);
    fill = fill_new(fetch->worker->loop, &message, opts);
    free(text);
    return fill;
}

static void
on_room(void *ctx)
{
    struct fetch *fetch = OBJ_OF(struct fetch, ctx, FETCH_MAGIC);

    if (fetch->exchange != NULL) {
        exchange_resume(fetch->exchange);
    }
}

static void
on_interim(void *ctx, const struct head *head)
{
    struct fetch *fetch = OBJ_OF(struct fetch, ctx, FETCH_MAGIC);

    if (fetch->callbacks->on_interim != NULL) {
        fetch->callbacks->on_interim(fetch->ctx, head);
    }
}

/*
 * What only passes through waits for one client. What is kept is held whole in
 * the end: when its length is known (and counted, request_hold.c), nobody in
 * the fleet is to wait for it until a slow reader has taken it.
 */
static size_t
window_of(struct fetch *fetch, const struct head *head, bool is_kept)
{
    const struct limits *limits = &fetch->worker->conf->limits;

    if (!is_kept) {
        return limits->buffer_max;
    }
    return head->framing == FRAMING_LENGTH ? FETCH_WINDOW + limits->object_max
                                           : FETCH_WINDOW;
}

static void
on_head(void *ctx, const struct head *head)
{
    struct fetch *fetch = OBJ_OF(struct fetch, ctx, FETCH_MAGIC);
    const struct limits *limits = &fetch->worker->conf->limits;
    struct fetch_plan plan;
    struct fill_opts opts = {.on_room = on_room, .ctx = fetch};

    fetch->head_us = worker_now_us(fetch->worker);
    plan = fetch->callbacks->on_head(fetch->ctx, head);
    opts.is_kept = plan.is_kept;
    opts.window = window_of(fetch, head, plan.is_kept);
    opts.held_max =
        plan.is_kept ? 2 * FETCH_WINDOW + limits->object_max : 2 * opts.window;
    fetch->is_kept = plan.is_kept;
    fetch->fill = fetch_new_fill(fetch, head, &plan, &opts);
    if (fetch->fill == NULL) {
        exchange_cancel(&fetch->exchange);
    }
    fetch->callbacks->on_fill(fetch->ctx, fetch->fill);
}

static void
fetch_check_size(struct fetch *fetch)
{
    if (fetch->is_kept &&
        fill_len(fetch->fill) > fetch->worker->conf->limits.object_max) {
        fetch->is_kept = false;
        fill_stop_keeping(fetch->fill);
        worker_count_limit(fetch->worker, LIMIT_OBJECT_MAX);
        fetch->callbacks->on_outgrown(fetch->ctx);
    }
}

static void
fetch_end(struct fetch *fetch, enum fill_state state, bool is_doubtful)
{
    fetch->exchange = NULL;
    if (fill_state(fetch->fill) == FILL_OPEN) {
        fill_finish(fetch->fill, state);
    }
    state = fill_state(fetch->fill);
    fill_disown(fetch->fill);
    fetch->callbacks->on_end(fetch->ctx, state, is_doubtful);
}

static size_t
on_body(void *ctx, struct slice data)
{
    struct fetch *fetch = OBJ_OF(struct fetch, ctx, FETCH_MAGIC);
    size_t taken;

    if (!fetch->is_kept && !fill_has_readers(fetch->fill)) {
        exchange_cancel(&fetch->exchange);
        fetch_end(fetch, FILL_FAILED, false);
        return data.len;
    }
    taken = fill_append(fetch->fill, data);
    if (fill_state(fetch->fill) == FILL_FAILED) {
        worker_count_limit(fetch->worker, LIMIT_MEMORY);
        exchange_cancel(&fetch->exchange);
        fetch_end(fetch, FILL_FAILED, false);
        return data.len;
    }
    fetch_check_size(fetch);
    return taken;
}

static void
on_end(void *ctx, bool is_doubtful)
{
    fetch_end(
        OBJ_OF(struct fetch, ctx, FETCH_MAGIC), FILL_COMPLETE, is_doubtful);
}

static void
on_error(void *ctx, enum origin_error error)
{
    struct fetch *fetch = OBJ_OF(struct fetch, ctx, FETCH_MAGIC);

    fetch->exchange = NULL;
    if (fetch->fill != NULL) {
        fetch_end(fetch, FILL_FAILED, false);
    } else {
        fetch->callbacks->on_error(fetch->ctx, error);
    }
}

static void
on_drain(void *ctx)
{
    struct fetch *fetch = OBJ_OF(struct fetch, ctx, FETCH_MAGIC);

    if (fetch->callbacks->on_drain != NULL) {
        fetch->callbacks->on_drain(fetch->ctx);
    }
}

static const struct exchange_callbacks exchange_callbacks = {
    .on_interim = on_interim,
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_error = on_error,
    .on_drain = on_drain,
};

enum rc
fetch_start(
    struct fetch *fetch, struct worker *worker, const struct fetch_opts *opts)
{
    const struct question *q = opts->q;
    struct exchange_request request = {
        .method = q->head->method,
        .framing = q->has_body ? q->head->framing : FRAMING_NONE,
        .content_length = q->head->content_length,
        .is_idempotent = policy_is_idempotent(q->head->method),
    };

    MUST_OBJ(worker, WORKER_MAGIC);
    MUST_OBJ(q, QUESTION_MAGIC);
    MUST(q->group < worker->conf->opts.groups_len);
    if (origin_head_write(q, &opts->head, opts->arena, &request.head) !=
        RC_OK) {
        return RC_NOMEM;
    }
    *fetch = (struct fetch){
        .magic = FETCH_MAGIC,
        .worker = worker,
        .callbacks = opts->callbacks,
        .ctx = opts->ctx,
        .method = request.method,
        .start_us = worker_now_us(worker),
    };
    fetch->exchange = exchange_start(
        worker->pools[q->group], &request, &exchange_callbacks, fetch);
    return fetch->exchange == NULL ? RC_NOMEM : RC_OK;
}

void
fetch_cancel(struct fetch *fetch)
{
    if (fetch->magic == 0) {
        return;
    }
    MUST_OBJ(fetch, FETCH_MAGIC);
    if (fetch->exchange != NULL) {
        exchange_cancel(&fetch->exchange);
    }
    if (fetch->fill != NULL) {
        if (fill_state(fetch->fill) == FILL_OPEN) {
            fill_finish(fetch->fill, FILL_FAILED);
        }
        fill_disown(fetch->fill);
        fill_unref(&fetch->fill);
    }
    fetch->magic = 0;
}

bool
fetch_is_active(const struct fetch *fetch)
{
    return fetch->magic == FETCH_MAGIC && fetch->exchange != NULL;
}

uint32_t
fetch_cost_ms(const struct fetch *fetch)
{
    return fetch->head_us == 0
               ? 0
               : (uint32_t)((fetch->head_us - fetch->start_us) / 1000);
}
