/*
 * A connection to a node, kept up.
 *
 *     wire_send --> waiting --(up)--> channel --> wire_callbacks
 *
 * Laws.
 * - Commands and bytes, waiting or unanswered, are capped: beyond that a
 *   call is refused at once.
 * - The connection is given up when its oldest command is older than
 *   hang_ms, however lively the rest is; and when LATE_MAX replies in a row
 *   came after their deadline. One for what is large is given up when for
 *   hang_ms no byte has come or gone.
 * - A connection that ends takes its calls with it only after it has been
 *   taken down completely, from a task of its own: whoever is told may send
 *   again at once.
 * - While it fails (a wait, or a try after one) calls are refused.
 */
#include "redis/wire.h"

#include "redis/channel.h"
#include "redis/reach.h"

#include <stdlib.h>

enum {
    WIRE_MAGIC = 0x57495245,
    /* One that lived shorter than this counts as a failed try. */
    STEADY_MS = 1000,
    /* Late replies in a row: one may have been lost, and each be taken for
       that of the command before it. */
    LATE_MAX = 16,
    WHY_MAX = 128,
};

enum wire_state {
    WIRE_DOWN,     /* nothing to do; wire_send begins to reach the node */
    WIRE_REACHING, /* or, after a failure, waiting to */
    WIRE_GREETING, /* the server has not let us in yet */
    WIRE_UP,
};

struct wire {
    uint32_t magic;
    enum wire_state state;
    struct wire_setup setup;
    struct reach reach;
    struct channel channel; /* open while GREETING or UP */
    struct list waiting;
    unsigned waiting_len;
    size_t waiting_bytes;
    struct list lost;
    struct loop_task flush_task;
    struct loop_task lost_task;
    struct loop_task drop_task;
    struct loop_timer hang;
    enum rc last_rc; /* why it failed last */
    enum rc drop_rc; /* RC_OK, or why we give it up ourselves */
    int64_t up_ms;
    int64_t dropped_ms; /* the last time by ourselves */
    int64_t used_ms;
    uint64_t moved;  /* bulk: bytes when the hang was looked for */
    unsigned late;   /* replies in a row */
    int64_t counted; /* of this wire's in node->in_flight */
};

static int64_t
now_ms(const struct wire *w)
{
    return loop_now_ms(w->setup.loop);
}

static int64_t
now_us(const struct wire *w)
{
    return clock_now_us(loop_clock(w->setup.loop));
}

/* Of a worker, which the node's counters are about. */
static bool
is_workers(const struct wire *w)
{
    return !w->setup.is_once && !w->setup.is_probe;
}

static bool
has_calls(const struct wire *w)
{
    return channel_awaits(&w->channel) > 0 || w->waiting_len > 0;
}

/* Tells the node's shared counter, which is about the workers, what has
   changed since the last time; once a turn, not once a call. */
static void
count_in_flight(struct wire *w)
{
    int64_t n = (int64_t)channel_awaits(&w->channel) + (int64_t)w->waiting_len;

    MUST_OBJ(w->setup.node, NODE_MAGIC);
    if (is_workers(w) && n != w->counted) {
        atomic_fetch_add_explicit(
            &w->setup.node->in_flight, n - w->counted, memory_order_relaxed);
        w->counted = n;
    }
}

/* ---- ends --------------------------------------------------------------- */

static void
tell_end(struct wire *w, struct redis_call *call, enum rc rc,
    struct redis_reply *reply)
{
    MUST(call->impl.wire == w);
    call->impl.state = CALL_IDLE;
    call->impl.wire = NULL;
    w->setup.callbacks->on_end(w->setup.ctx, call, rc, reply);
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

static void
lose(struct wire *w, struct redis_call *call, enum rc rc)
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
            lose(w, place.call, rc);
        }
    }
    while ((call = call_pop(&w->waiting)) != NULL) {
        lose(w, call, rc);
    }
    w->waiting_len = 0;
    w->waiting_bytes = 0;
}

/* Takes down whatever stage the connection is in. */
static void
wire_close(struct wire *w)
{
    MUST(!has_calls(w));
    if (w->state == WIRE_UP && is_workers(w)) {
        atomic_fetch_sub(&w->setup.node->wires, 1);
    }
    w->state = WIRE_DOWN;
    reach_cancel(&w->reach);
    channel_close(&w->channel);
    loop_timer_cancel(&w->hang);
    loop_task_cancel(&w->flush_task);
    loop_task_cancel(&w->drop_task);
}

static void
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
        (w->dropped_ms == 0 || now_ms(w) - w->dropped_ms >= STEADY_MS);
    bool is_plain_loss = rc == RC_CLOSED || rc == RC_IO;

    MUST(w->state == WIRE_DOWN);
    if (w->setup.is_once) {
        w->reach.failures = 1;
    } else if ((was_steady && is_plain_loss) || is_drop) {
        /* The first try after a good time is made at once, or when it is
           needed: servers close idle connections. */
        w->reach.failures = 0;
        w->dropped_ms = is_drop ? now_ms(w) : w->dropped_ms;
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

/* Ends the connection, whatever stage it is in. */
static void
wire_fail(struct wire *w, enum rc rc, struct slice why)
{
    bool was_idle = !has_calls(w);
    bool was_up = w->state == WIRE_UP;
    bool was_steady = was_up && now_ms(w) - w->up_ms >= STEADY_MS;
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
        loss.opens_breaker = node_failed(w->setup.node, now_ms(w));
    }
    wire_go_on(w, rc, was_idle, was_steady);
    w->drop_rc = RC_OK;
    count_in_flight(w);
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
        due_ms = now_ms(w) + w->setup.opts->hang_ms;
    }
    if (due_ms > now_ms(w)) {
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

/* ---- commands ----------------------------------------------------------- */

static size_t
call_len(const struct redis_call *call)
{
    MUST(call->impl.magic == CALL_MAGIC);
    return command_len(call->impl.argc, call->impl.argv);
}

/* The channel has something to send, and a reply to wait for. */
static void
wire_stir(struct wire *w)
{
    if (!loop_timer_is_armed(&w->hang)) {
        loop_timer_arm(&w->hang, now_ms(w) + w->setup.opts->hang_ms);
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
    count_in_flight(w);
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
    w->up_ms = now_ms(w);
    w->reach.failures = 0;
    w->late = 0;
    if (is_workers(w)) {
        atomic_fetch_add(&w->setup.node->wires, 1);
    }
    node_greeted(w->setup.node);
    w->waiting_len = 0;
    w->waiting_bytes = 0;
    while ((call = call_pop(&w->waiting)) != NULL) {
        enum rc rc = call_write(w, call);

        if (rc != RC_OK) {
            lose(w, call, rc);
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
    int64_t limit_us = w->setup.opts->command_timeout_ms * 1000;

    node_heard(w->setup.node);
    if (!w->setup.is_bulk && now_us(w) - place->sent_us >= limit_us) {
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
    place->call->was_sent = true;
    tell_end(w, place->call, RC_OK, reply);
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

    w->used_ms = now_ms(w);
    rc = channel_read(&w->channel, &channel_callbacks, w);
    if (rc != RC_OK) {
        wire_fail(w, rc,
            w->channel.why.len > 0 ? w->channel.why
                                   : slice_of_str(rc_text(rc)));
        return;
    }
    count_in_flight(w);
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
    list_init(&w->lost);
    loop_task_init(&w->flush_task, on_flush, w);
    loop_task_init(&w->lost_task, on_lost, w);
    loop_task_init(&w->drop_task, on_drop, w);
    loop_timer_init(&w->hang, setup->loop, on_hang, w);
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
    lose_all(w, RC_CANCELLED);
    wire_close(w);
    w->reach.failures = 1; /* refuses what the ending calls send */
    w->last_rc = RC_CANCELLED;
    count_in_flight(w);
    loop_task_cancel(&w->lost_task);
    on_lost(w);
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
    w->used_ms = now_ms(w);
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
    MUST_OBJ(w, WIRE_MAGIC);
    return has_calls(w) || !list_is_empty(&w->lost) ? 0
                                                    : now_ms(w) - w->used_ms;
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
