/*
 * How a connection ends, and what follows.
 *
 * Laws.
 * - It is given up when its oldest command is older than hang_ms, however
 *   lively the rest is. One for what is large is given up when for hang_ms no
 *   byte has come or gone.
 * - It takes its calls with it only after it has been taken down completely,
 *   from a task of its own: whoever is told may send again at once.
 */
#include "redis/wire_inside.h"

enum {
    /* One that lived shorter than this counts as a failed try. */
    STEADY_MS = 1000,
    WHY_MAX = 128,
};

static bool
has_calls(const struct wire *w)
{
    return channel_awaits(&w->channel) > 0 || w->waiting_len > 0;
}

void
wire_count(struct wire *w)
{
    int64_t n = (int64_t)channel_awaits(&w->channel) + (int64_t)w->waiting_len;

    MUST_OBJ(w->setup.node, NODE_MAGIC);
    if (wire_is_workers(w) && n != w->counted) {
        atomic_fetch_add_explicit(
            &w->setup.node->in_flight, n - w->counted, memory_order_relaxed);
        w->counted = n;
    }
}

/* ---- calls -------------------------------------------------------------- */

static void
tell_end(struct wire *w, struct redis_call *call, enum rc rc,
    struct redis_reply *reply)
{
    MUST(call->impl.wire == w);
    call->impl.state = CALL_IDLE;
    call->impl.wire = NULL;
    w->setup.callbacks->on_end(w->setup.ctx, call, rc, reply);
}

void
wire_answer(struct wire *w, struct redis_call *call, struct redis_reply *reply)
{
    MUST(w->state == WIRE_UP);
    call->was_sent = true;
    tell_end(w, call, RC_OK, reply);
}

static void
on_lost(void *ctx)
{
    struct wire *w = OBJ_OF(struct wire, ctx, WIRE_MAGIC);
    struct redis_call *call;

    while ((call = call_pop(&w->lost)) != NULL) {
        MUST(call_state(call) == CALL_LOST);
        tell_end(w, call, call->impl.rc, NULL);
    }
}

void
wire_lose(struct wire *w, struct redis_call *call, enum rc rc)
{
    MUST(call->impl.wire == w);
    call->impl.state = CALL_LOST;
    call->impl.rc = rc;
    list_push_back(&w->lost, &call->impl.link);
    loop_defer(w->setup.loop, &w->lost_task);
}

/* Moves every call of the wire to the lost ones. */
static void
lose_all(struct wire *w, enum rc rc)
{
    struct redis_call *call;

    while (channel_awaits(&w->channel) > 0) {
        struct place place = channel_take(&w->channel);

        if (place.call != NULL) {
            place.call->was_sent |= channel_has_written(&w->channel, &place);
            wire_lose(w, place.call, rc);
        }
    }
    while ((call = call_pop(&w->waiting)) != NULL) {
        wire_lose(w, call, rc);
    }
    w->waiting_len = 0;
    w->waiting_bytes = 0;
}

/* ---- the connection ----------------------------------------------------- */

/* Takes down whatever stage the connection is in. */
static void
wire_close(struct wire *w)
{
    MUST(!has_calls(w));
    if (w->state == WIRE_UP && wire_is_workers(w)) {
        atomic_fetch_sub(&w->setup.node->wires, 1);
    }
    w->state = WIRE_DOWN;
    reach_cancel(&w->reach);
    channel_close(&w->channel);
    loop_timer_cancel(&w->hang);
    loop_task_cancel(&w->flush_task);
    loop_task_cancel(&w->drop_task);
}

void
wire_reach(struct wire *w)
{
    MUST(w->state == WIRE_DOWN);
    w->state = WIRE_REACHING;
    reach_begin(&w->reach);
}

/* What follows after the connection was lost or could not be had. */
static void
wire_go_on(struct wire *w, enum rc rc, bool was_idle, bool was_steady)
{
    /* Given up by ourselves, and not again and again. */
    bool is_drop =
        w->drop_rc != RC_OK &&
        (w->dropped_ms == 0 || wire_now_ms(w) - w->dropped_ms >= STEADY_MS);
    bool is_plain_loss = rc == RC_CLOSED || rc == RC_IO;

    MUST(w->state == WIRE_DOWN);
    if (was_steady) {
        w->reach.failures = 0;
    }
    if (w->setup.is_once) {
        w->reach.failures = 1;
    } else if ((was_steady && is_plain_loss) || is_drop) {
        /* The first try after a good time is made at once, or when it is
           needed: servers close idle connections. */
        w->reach.failures = 0;
        w->dropped_ms = is_drop ? wire_now_ms(w) : w->dropped_ms;
        if (!was_idle) {
            wire_reach(w);
        }
    } else {
        w->state = WIRE_REACHING;
        reach_begin_later(&w->reach);
        if (w->setup.is_probe) {
            reach_hurry(&w->reach);
        }
    }
}

void
wire_fail(struct wire *w, enum rc rc, struct slice why)
{
    bool was_idle = !has_calls(w);
    bool was_up = w->state == WIRE_UP;
    bool was_steady = was_up && wire_now_ms(w) - w->up_ms >= STEADY_MS;
    bool is_closed = w->drop_rc == RC_OK && (rc == RC_CLOSED || rc == RC_IO);
    struct wire_loss loss = {.rc = rc,
        .is_said = w->channel.is_refused,
        .was_up = was_up,
        .was_idle = was_steady && was_idle && is_closed,
        .was_due = was_up && is_closed && channel_is_due(&w->channel)};
    char kept[WHY_MAX]; /* why may lie in what is taken down */

    MUST(rc != RC_OK);
    why.len = why.len < WHY_MAX ? why.len : WHY_MAX;
    memcpy(kept, why.ptr, why.len);
    lose_all(w, rc);
    wire_close(w);
    w->last_rc = rc;
    /* What we gave up ourselves, or an idle one that was closed, says
       nothing about the node. */
    if (!w->setup.is_bulk && w->drop_rc == RC_OK && !(was_steady && was_idle)) {
        loss.opens_breaker = node_failed(w->setup.node, wire_now_ms(w));
    }
    wire_go_on(w, rc, was_idle, was_steady);
    w->drop_rc = RC_OK;
    wire_count(w);
    loss.why = slice_of(kept, why.len);
    w->setup.callbacks->on_down(w->setup.ctx, &loss);
}

static void
on_hang(void *ctx)
{
    struct wire *w = OBJ_OF(struct wire, ctx, WIRE_MAGIC);
    const struct place *oldest = channel_oldest(&w->channel);
    int64_t due_ms;

    if (oldest == NULL) {
        return;
    }
    due_ms = oldest->sent_us / 1000 + w->setup.opts->hang_ms;
    if (w->setup.is_bulk && channel_moved(&w->channel) != w->moved) {
        w->moved = channel_moved(&w->channel);
        due_ms = wire_now_ms(w) + w->setup.opts->hang_ms;
    }
    if (due_ms > wire_now_ms(w)) {
        loop_timer_arm(&w->hang, due_ms);
        return;
    }
    wire_fail(w, RC_TIMEOUT, SLICE("no reply within hang"));
}

static void
on_drop(void *ctx)
{
    struct wire *w = OBJ_OF(struct wire, ctx, WIRE_MAGIC);

    wire_fail(w, w->drop_rc, SLICE("dropped for a new one"));
}

void
wire_drop(struct wire *w, enum rc rc)
{
    MUST_OBJ(w, WIRE_MAGIC);
    MUST(rc != RC_OK);
    if (w->channel.conn != NULL) {
        w->drop_rc = rc;
        loop_defer(w->setup.loop, &w->drop_task);
    }
}

/* ---- life --------------------------------------------------------------- */

void
wire_end_init(struct wire *w)
{
    MUST_OBJ(w, WIRE_MAGIC);
    list_init(&w->lost);
    loop_task_init(&w->lost_task, on_lost, w);
    loop_task_init(&w->drop_task, on_drop, w);
    loop_timer_init(&w->hang, w->setup.loop, on_hang, w);
}

void
wire_end(struct wire *w)
{
    lose_all(w, RC_CANCELLED);
    wire_close(w);
    w->reach.failures = 1; /* refuses what the ending calls send */
    w->last_rc = RC_CANCELLED;
    wire_count(w);
    loop_task_cancel(&w->lost_task);
    on_lost(w);
}
