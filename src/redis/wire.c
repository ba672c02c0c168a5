/*
 * A connection to a node, kept up.
 *
 *     wire_send --> waiting --(up)--> channel --> wire_callbacks
 *
 * Laws.
 * - Commands and bytes, waiting or unanswered, are capped: beyond that a
 *   call is refused at once.
 * - The connection is given up when LATE_MAX replies in a row came after their
 *   deadline, or when one does not come (wire_end.c).
 * - While it fails (a wait, or a try after one) calls are refused.
 */
#include "redis/wire_inside.h"

#include <stdlib.h>

enum {
    /* Late replies in a row: one may have been lost, and each be taken for
       that of the command before it. */
    LATE_MAX = 16,
};

static int64_t
now_us(const struct wire *w)
{
    return clock_now_us(loop_clock(w->setup.loop));
}

/* ---- commands ----------------------------------------------------------- */

static size_t
call_len(const struct redis_call *call)
{
    MUST(call->impl.magic == CALL_MAGIC);
    return call->impl.len;
}

/* The channel has something to send, and a reply to wait for. */
static void
wire_stir(struct wire *w)
{
    if (!loop_timer_is_armed(&w->hang)) {
        loop_timer_arm(&w->hang, wire_now_ms(w) + w->setup.opts->hang_ms);
    }
    loop_defer(w->setup.loop, &w->flush_task);
}

static enum rc
call_write(struct wire *w, struct redis_call *call)
{
    enum rc rc = channel_put_call(&w->channel, call, now_us(w));

    if (rc == RC_OK) {
        wire_stir(w);
    }
    return rc;
}

/* The end of a turn in which something was queued, or the socket has room
   again. */
static void
on_flush(void *ctx)
{
    struct wire *w = OBJ_OF(struct wire, ctx, WIRE_MAGIC);
    enum rc rc = channel_flush(&w->channel);

    if (rc != RC_OK) {
        wire_fail(w, rc, w->channel.why);
        return;
    }
    wire_count(w);
}

/* ---- replies ------------------------------------------------------------ */

/* Up: those who waited may go. */
static void
on_greeted(void *ctx)
{
    struct wire *w = OBJ_OF(struct wire, ctx, WIRE_MAGIC);
    struct redis_call *call;

    MUST(w->state == WIRE_GREETING);
    w->state = WIRE_UP;
    w->up_ms = wire_now_ms(w);
    w->late = 0;
    if (wire_is_workers(w)) {
        atomic_fetch_add(&w->setup.node->wires, 1);
    }
    node_is_there(w->setup.node, w->up_ms);
    if (!w->setup.is_once) {
        node_heard(w->setup.node);
    }
    w->waiting_len = 0;
    w->waiting_bytes = 0;
    while ((call = call_pop(&w->waiting)) != NULL) {
        enum rc rc = call_write(w, call);

        if (rc != RC_OK) {
            wire_lose(w, call, rc);
        }
    }
    if (w->setup.callbacks->on_up != NULL) {
        w->setup.callbacks->on_up(w->setup.ctx);
    }
}

/* RC_TIMEOUT: too many in a row came after their deadline. */
static enum rc
late_reply(struct wire *w, const struct place *place)
{
    /* In milliseconds, as its deadline was told. */
    int64_t due_ms = place->sent_us / 1000 + w->setup.opts->command_timeout_ms;

    node_heard(w->setup.node);
    if (!w->setup.is_bulk && wire_now_ms(w) >= due_ms) {
        w->late++;
    }
    if (w->late < LATE_MAX) {
        return RC_OK;
    }
    w->channel.why = SLICE("all replies are late");
    return RC_TIMEOUT;
}

static enum rc
on_reply(void *ctx, const struct place *place, struct redis_reply *reply)
{
    struct wire *w = OBJ_OF(struct wire, ctx, WIRE_MAGIC);

    MUST(w->state == WIRE_UP);
    if (place->call == NULL) {
        return late_reply(w, place);
    }
    w->late = 0;
    wire_answer(w, place->call, reply);
    return RC_OK;
}

static const struct channel_callbacks channel_callbacks = {
    .on_greeted = on_greeted,
    .on_reply = on_reply,
};

static void
on_readable(void *ctx)
{
    struct wire *w = OBJ_OF(struct wire, ctx, WIRE_MAGIC);
    enum rc rc;

    w->used_ms = wire_now_ms(w);
    rc = channel_read(&w->channel, &channel_callbacks, w);
    if (rc != RC_OK) {
        wire_fail(w, rc,
            w->channel.why.len > 0 ? w->channel.why
                                   : slice_of_str(rc_text(rc)));
        return;
    }
    wire_count(w);
}

static const struct conn_callbacks conn_callbacks = {
    .on_readable = on_readable,
    .on_writable = on_flush,
};

static void
on_reached(void *ctx, enum rc rc, struct conn *own_conn, const char *why)
{
    struct wire *w = OBJ_OF(struct wire, ctx, WIRE_MAGIC);

    MUST(w->state == WIRE_REACHING);
    if (rc == RC_OK) {
        w->state = WIRE_GREETING;
        conn_set_owner(own_conn, &conn_callbacks, w);
        why = rc_text(RC_NOMEM);
        rc = channel_open(&w->channel, own_conn, w->setup.opts, now_us(w));
    }
    if (rc != RC_OK) {
        wire_fail(w, rc, slice_of_str(why));
        return;
    }
    wire_stir(w);
}

/* ---- the door ----------------------------------------------------------- */

struct wire *
wire_new(const struct wire_setup *setup)
{
    struct wire *w = calloc(1, sizeof(*w));

    MUST_OBJ(setup->node, NODE_MAGIC);
    MUST(setup->opts->hang_ms > 0);
    if (w == NULL) {
        return NULL;
    }
    w->magic = WIRE_MAGIC;
    w->setup = *setup;
    w->used_ms = loop_now_ms(setup->loop);
    w->reach.loop = setup->loop;
    w->reach.resolver = setup->resolver;
    w->reach.node = setup->node;
    w->reach.timeout_ms = setup->opts->connect_timeout_ms;
    w->reach.is_bulk = setup->is_bulk;
    w->reach.on_end = on_reached;
    w->reach.ctx = w;
    reach_init(&w->reach);
    list_init(&w->waiting);
    loop_task_init(&w->flush_task, on_flush, w);
    wire_end_init(w);
    return w;
}

void
wire_free(struct wire **pw)
{
    struct wire *w = *pw;

    if (w == NULL) {
        return;
    }
    MUST_OBJ(w, WIRE_MAGIC);
    *pw = NULL;
    wire_end(w);
    w->magic = 0;
    free(w);
}

/* Is there room for n more bytes and one more command (two with ASKING)? */
static bool
has_room(const struct wire *w, size_t n)
{
    const struct redis_opts *opts = w->setup.opts;
    size_t held = w->channel.bytes + w->waiting_bytes;

    return channel_awaits(&w->channel) + w->waiting_len < opts->in_flight_max &&
           !channel_is_full(&w->channel) && n <= opts->in_flight_bytes_max &&
           held <= opts->in_flight_bytes_max - n;
}

bool
wire_has_moved(const struct wire *w, struct redis_call *call)
{
    MUST_OBJ(w, WIRE_MAGIC);
    MUST(call->impl.wire == w);
    return w->setup.is_bulk && call_state(call) == CALL_SENT &&
           channel_has_moved(&w->channel, call);
}

bool
wire_is_failing(const struct wire *w)
{
    MUST_OBJ(w, WIRE_MAGIC);
    return w->reach.failures > 0 && w->state != WIRE_UP;
}

enum rc
wire_send(struct wire *w, struct redis_call *call)
{
    size_t len = call_len(call);
    enum rc rc = RC_OK;

    MUST_OBJ(w, WIRE_MAGIC);
    MUST(call_state(call) == CALL_IDLE);
    MUST(call->impl.wire == NULL);
    if (wire_is_failing(w)) {
        if (call->is_urgent) {
            reach_hurry(&w->reach);
        }
        return w->last_rc;
    }
    if (!has_room(w, len)) {
        return RC_LIMIT;
    }
    if (w->state == WIRE_UP) {
        rc = call_write(w, call);
        call->impl.wire = rc == RC_OK ? w : NULL;
        return rc;
    }
    w->used_ms = wire_now_ms(w);
    list_push_back(&w->waiting, &call->impl.link);
    w->waiting_len++;
    w->waiting_bytes += len;
    call->impl.state = CALL_WAITING;
    call->impl.wire = w;
    if (w->state == WIRE_DOWN) {
        wire_reach(w);
    }
    return RC_OK;
}

void
wire_forget(struct wire *w, struct redis_call *call)
{
    MUST_OBJ(w, WIRE_MAGIC);
    MUST(call->impl.wire == w);
    if (call_state(call) == CALL_SENT) {
        channel_forget(&w->channel, call);
        /* Written or not yet: it will be. */
        call->was_sent = true;
    } else {
        list_remove(&call->impl.link);
    }
    if (call_state(call) == CALL_WAITING) {
        w->waiting_len--;
        w->waiting_bytes -= call_len(call);
    }
    call->impl.state = CALL_IDLE;
    call->impl.wire = NULL;
}

int64_t
wire_idle_ms(const struct wire *w)
{
    bool is_busy = channel_awaits(&w->channel) > 0 || w->waiting_len > 0 ||
                   !list_is_empty(&w->lost);

    MUST_OBJ(w, WIRE_MAGIC);
    return is_busy ? 0 : wire_now_ms(w) - w->used_ms;
}

struct node *
wire_node(const struct wire *w)
{
    MUST_OBJ(w, WIRE_MAGIC);
    return w->setup.node;
}

bool
wire_is_up(const struct wire *w)
{
    MUST_OBJ(w, WIRE_MAGIC);
    return w->state == WIRE_UP;
}
