/*
 * Fetches. The exchange tells what comes from the origin. This file makes the
 * head that is carried on and appends the body to a fill. It gives up a fetch
 * whose body is neither kept nor read by anybody.
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

/* --- the head ---------------------------------------------------------- */

/* Framing and Age are written for each answer anew. */
static bool
is_carried(const struct head *head, const struct field *field,
    const struct fetch_plan *plan)
{
    if (field->id == FIELD_CONTENT_LENGTH || field->id == FIELD_AGE ||
        (field->id == FIELD_SET_COOKIE && plan->drops_set_cookie)) {
        return false;
    }
    return plan->is_kept ? storable_has_field(head, field)
                         : !head_is_hop_by_hop(head, field);
}

/* Of what is carried: the fields on the list, or all others. */
static void
write_carried(struct writer *w, const struct head *head,
    const struct fetch_plan *plan, const struct targeted_list *list,
    bool is_listed)
{
    for (size_t i = 0; i < head->field_count; i++) {
        const struct field *field = &head->fields[i];
        bool has = list->count > 0 && targeted_has(list, field->name);
        if (has == is_listed && is_carried(head, field, plan)) {
            write_field_lower(w, field->name, field->value);
        }
    }
}

/* In the writer: the private fields, and behind them the others. A response
   without Date gets the time of its receipt (RFC 9110 6.6.1). */
static struct response_head
carry_head(struct fetch *fetch, const struct head *head,
    const struct fetch_plan *plan, struct writer *w)
{
    struct response_head out = {
        .status = head->status,
        .has_length =
            head->framing == FRAMING_LENGTH ||
            (fetch->method == METHOD_HEAD && head->has_content_length),
        .length = head->content_length,
    };
    struct targeted_list withheld = plan->withheld;

    MUST(head->status >= 200);
    if (withheld.count > 0) {
        write_carried(w, head, plan, &withheld, true);
    }
    out.private_fields = writer_slice(w);
    if (out.private_fields.len == 0) {
        withheld.count = 0; /* as a rule: nothing to look for */
    }
    if (!head_has(head, FIELD_DATE)) {
        write_field(w, SLICE("date"), worker_date(fetch->worker));
    }
    write_carried(w, head, plan, &withheld, false);
    vary_write_missing(head, &plan->vary_on, w);
    MUST(!w->is_full);
    out.fields = slice_skip(writer_slice(w), out.private_fields.len);
    if (fresh_read_age(head, &out.age_s) != RC_OK) {
        out.age_s = RESPONSE_AGE_NONE;
    }
    return out;
}

static size_t
vary_on_size(const struct vary_list *list)
{
    size_t size = sizeof("vary: \r\n");

    for (size_t i = 0; i < list->count; i++) {
        size += list->names[i].len + 2;
    }
    return size;
}

static struct fill *
fetch_new_fill(struct fetch *fetch, const struct head *head,
    const struct fetch_plan *plan, const struct fill_opts *opts)
{
    size_t size = head_lines_size(head) + sizeof("date: \r\n") + DATE_LEN +
                  vary_on_size(&plan->vary_on);
    char *text = malloc(size);
    struct writer w = writer_of(text, size);
    struct response_head carried;
    struct fill *fill;

    if (text == NULL) {
        return NULL;
    }
    carried = carry_head(fetch, head, plan, &w);
    fill = fill_new(fetch->worker->loop, &carried, opts);
    free(text);
    return fill;
}

static void
on_interim(void *ctx, const struct head *head)
{
    struct fetch *fetch = OBJ_OF(struct fetch, ctx, FETCH_MAGIC);

    MUST(fetch->fill == NULL);
    if (fetch->callbacks->on_interim != NULL) {
        fetch->callbacks->on_interim(fetch->ctx, head);
    }
}

static void
on_room(void *ctx)
{
    struct fetch *fetch = OBJ_OF(struct fetch, ctx, FETCH_MAGIC);

    MUST(fetch->exchange != NULL);
    exchange_resume(fetch->exchange);
}

/*
 * A body that only passes through is read no faster than its client takes it.
 * A body that is kept is held whole in the end anyway. So the origin may be as
 * far ahead as object_max, and a slow reader does not delay the store for which
 * the fleet waits, nor the word that the body is too large.
 */
static struct fill_opts
fill_opts_of(struct fetch *fetch)
{
    const struct limits *limits = &fetch->worker->conf->opts.limits;
    struct fill_opts opts = {
        .window = limits->buffer_max,
        .held_max = 2 * limits->buffer_max,
        .is_kept = fetch->is_kept,
        .on_room = on_room,
        .ctx = fetch,
    };

    if (fetch->is_kept) {
        MUST(fetch->worker->credit != NULL);
        opts.window = FETCH_WINDOW;
        opts.held_max = 2 * FETCH_WINDOW;
        opts.credit = fetch->worker->credit;
        opts.credit_max = limits->held_max;
        opts.ahead_max = limits->object_max;
    }
    return opts;
}

static void
on_head(void *ctx, const struct head *head)
{
    struct fetch *fetch = OBJ_OF(struct fetch, ctx, FETCH_MAGIC);
    struct fetch_plan plan;
    struct fill_opts opts;

    MUST(fetch->fill == NULL);
    fetch->head_us = worker_now_us(fetch->worker);
    fetch->queued_us = exchange_queued_us(fetch->exchange);
    plan = fetch->callbacks->on_head(fetch->ctx, head);
    MUST_OBJ(fetch, FETCH_MAGIC);
    MUST(fetch->exchange != NULL);
    fetch->is_kept = plan.is_kept;
    opts = fill_opts_of(fetch);
    fetch->fill = fetch_new_fill(fetch, head, &plan, &opts);
    if (fetch->fill == NULL) {
        exchange_cancel(&fetch->exchange);
    }
    fetch->callbacks->on_fill(fetch->ctx, fetch->fill);
}

/* --- the body ---------------------------------------------------------- */

static void
fetch_end(struct fetch *fetch, enum fill_state state, bool is_doubtful)
{
    MUST(fetch->fill != NULL);
    fetch->exchange = NULL;
    if (fill_state(fetch->fill) == FILL_OPEN) {
        fill_finish(fetch->fill, state);
    }
    fetch->callbacks->on_end(fetch->ctx, fill_state(fetch->fill), is_doubtful);
}

void
fetch_stop_keeping(struct fetch *fetch)
{
    MUST_OBJ(fetch, FETCH_MAGIC);
    if (fetch->is_kept) {
        fetch->is_kept = false;
        fill_stop_keeping(fetch->fill);
    }
}

static void
fetch_check_size(struct fetch *fetch)
{
    MUST(fetch->exchange != NULL);
    if (fetch->is_kept &&
        fill_len(fetch->fill) > fetch->worker->conf->opts.limits.object_max) {
        fetch_stop_keeping(fetch);
        worker_count_limit(fetch->worker, LIMIT_OBJECT_MAX);
        fetch->callbacks->on_outgrown(fetch->ctx);
    }
}

static size_t
on_body(void *ctx, struct slice data)
{
    struct fetch *fetch = OBJ_OF(struct fetch, ctx, FETCH_MAGIC);
    bool is_wanted = fetch->is_kept || fill_has_readers(fetch->fill);
    size_t taken = 0;

    MUST(fetch->exchange != NULL);
    if (is_wanted) {
        taken = fill_append(fetch->fill, data);
        if (fill_state(fetch->fill) == FILL_OPEN) {
            if (taken < data.len && fill_waits_for_slowest(fetch->fill)) {
                worker_count_limit(fetch->worker, LIMIT_SLOWEST_READER);
            }
            fetch_check_size(fetch);
            return taken;
        }
        worker_count_limit(fetch->worker, LIMIT_MEMORY);
    }
    exchange_cancel(&fetch->exchange);
    fetch_end(fetch, FILL_FAILED, false);
    return data.len;
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

    if (fetch->fill != NULL) {
        fill_blame(fetch->fill, error);
        fetch_end(fetch, FILL_FAILED, false);
        return;
    }
    fetch->queued_us = exchange_queued_us(fetch->exchange);
    fetch->exchange = NULL;
    fetch->callbacks->on_error(fetch->ctx, error);
}

static void
on_drain(void *ctx)
{
    struct fetch *fetch = OBJ_OF(struct fetch, ctx, FETCH_MAGIC);

    if (fetch->callbacks->on_drain != NULL) {
        fetch->callbacks->on_drain(fetch->ctx);
    }
}

/* --- begin and end ----------------------------------------------------- */

enum rc
fetch_start(
    struct fetch *fetch, struct worker *worker, const struct fetch_opts *opts)
{
    static const struct exchange_callbacks callbacks = {
        .on_interim = on_interim,
        .on_head = on_head,
        .on_body = on_body,
        .on_end = on_end,
        .on_error = on_error,
        .on_drain = on_drain,
    };
    const struct question *q = opts->q;
    struct exchange_request request = {
        .method = q->head->method,
        .framing = q->has_body ? q->head->framing : FRAMING_NONE,
        .content_length = q->head->content_length,
        .expects_100 = q->has_body && q->head->expects_100,
        .is_background = opts->is_background,
        .is_idempotent = policy_is_idempotent(q->head->method),
    };

    MUST_OBJ(worker, WORKER_MAGIC);
    MUST_OBJ(q, QUESTION_MAGIC);
    if (q->route != NULL) {
        request.first_byte_timeout_ms = q->route->first_byte_timeout_ms;
        request.between_bytes_timeout_ms = q->route->between_bytes_timeout_ms;
    }
    MUST(q->group < worker->conf->opts.groups_len);
    MUST(fetch->exchange == NULL);
    MUST(fetch->fill == NULL);
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
    fetch->exchange =
        exchange_start(worker->pools[q->group], &request, &callbacks, fetch);
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
        fetch->queued_us = exchange_queued_us(fetch->exchange);
        exchange_cancel(&fetch->exchange);
    }
    if (fetch->fill != NULL && fill_state(fetch->fill) == FILL_OPEN) {
        fill_finish(fetch->fill, FILL_FAILED);
    }
    fill_unref(&fetch->fill);
    fetch->magic = 0;
}

bool
fetch_is_active(const struct fetch *fetch)
{
    return fetch->magic == FETCH_MAGIC && fetch->exchange != NULL;
}

int64_t
fetch_queued_us(const struct fetch *fetch)
{
    return fetch_is_active(fetch) ? exchange_queued_us(fetch->exchange)
                                  : fetch->queued_us;
}

uint32_t
fetch_cost_ms(const struct fetch *fetch)
{
    return fetch->head_us == 0
               ? 0
               : (uint32_t)((fetch->head_us - fetch->start_us) / 1000);
}
