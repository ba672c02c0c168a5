/*
 * A connection to a node.
 *
 *     wire_send --> waiting --(up)--> out (bytes) --> socket
 *                                 \-> queue (places) <-- replies
 *
 * Laws.
 * - One place in the queue for each command written, in order; a reply
 *   belongs to the oldest place. A place whose call was given up stays and
 *   swallows its reply.
 * - All commands of a turn leave in one writev at its end.
 * - Commands and bytes, waiting or unanswered, are capped: beyond that a
 *   call is refused at once.
 * - The connection is given up when its oldest place is older than hang_ms,
 *   however lively the rest is; and when LATE_MAX replies in a row came
 *   after their deadline.
 * - A connection that ends takes its calls with it only after it has been
 *   taken down completely, from a task of its own: whoever is told may send
 *   again at once.
 * - While it fails (a rest, or an attempt after one) calls are refused.
 */
#include "redis/wire.h"

#include "nearside/base/hash.h"
#include "nearside/net/dial.h"
#include "redis/unsent.h"
#include "nearside/redis/resp.h"

#include <stdlib.h>

enum {
    WIRE_MAGIC = 0x57495245,
    QUEUE_MIN = 64,
    /* 256 KiB: then the other connections of the loop have their turn. */
    READS_MAX = 16,
    REST_MIN_MS = 50,
    REST_MAX_MS = 5000,
    /* One that lived shorter than this counts as a failed attempt. */
    STEADY_MS = 1000,
    USER_TIMEOUT_MS = 3000,
    /* Late replies in a row: one may have been lost, and each be taken for
       that of the command before it. */
    LATE_MAX = 16,
    WHY_MAX = 96,
};

enum wire_state {
    WIRE_DOWN,      /* nothing to do; wire_send begins an attempt */
    WIRE_RESOLVING, /* the node's name */
    WIRE_DIALING,   /* one of its addresses */
    WIRE_GREETING,  /* AUTH and the like sent; their replies decide */
    WIRE_UP,
    WIRE_RESTING, /* after a failure, until the rest's end */
};

enum place_kind {
    PLACE_CALL,
    PLACE_AUTH,   /* an error ends the attempt */
    PLACE_SILENT, /* CLIENT SETNAME, ASKING: whatever it answers */
};

struct place {
    struct redis_call *call; /* NULL: given up, or none */
    int64_t sent_us;
    uint64_t begins; /* position in the stream of its first byte */
    size_t bytes;
    enum place_kind kind;
};

struct wire {
    uint32_t magic;
    enum wire_state state;
    struct wire_setup setup;
    struct conn *conn; /* owned; while GREETING or UP */
    struct dial dial;
    struct resolve *resolve;
    struct resolve_answer found;
    unsigned found_next; /* address to try next */
    struct resp *resp;   /* owned; with conn */
    struct unsent unsent;
    struct place *queue; /* a ring; owned */
    size_t queue_cap;    /* a power of two */
    uint64_t first;      /* oldest place */
    uint64_t behind;     /* one past the newest */
    struct list waiting;
    unsigned waiting_len;
    size_t waiting_bytes;
    size_t bytes; /* of the places' commands */
    struct list lost;
    struct loop_task flush_task;
    struct loop_task lost_task;
    struct loop_task drop_task;
    struct loop_timer hang;
    struct loop_timer rest;
    struct random random;
    unsigned failures; /* attempts in a row */
    enum rc last_rc;
    enum rc drop_rc;
    int64_t up_ms;
    int64_t dropped_ms; /* the last time by ourselves */
    int64_t used_ms;
    int64_t latency_us;
    unsigned late;   /* replies in a row */
    int64_t counted; /* of this wire's in node->in_flight */
    char why[WHY_MAX];
};

static void wire_attempt(struct wire *w);

static int64_t
now_ms(const struct wire *w)
{
    return loop_now_ms(w->setup.loop);
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

const char *
wire_why(const struct wire *w)
{
    MUST_OBJ(w, WIRE_MAGIC);
    return w->why;
}

bool
wire_is_idle(const struct wire *w)
{
    MUST_OBJ(w, WIRE_MAGIC);
    return w->first == w->behind && w->waiting_len == 0 &&
           list_is_empty(&w->lost);
}

int64_t
wire_used_ms(const struct wire *w)
{
    return w->used_ms;
}

int64_t
wire_latency_us(const struct wire *w)
{
    return w->latency_us;
}

/* Tells the node's shared counter, which is about the workers, what has
   changed since the last time; once a turn, not once a call. */
static void
count_in_flight(struct wire *w)
{
    int64_t n = (int64_t)(w->behind - w->first) + (int64_t)w->waiting_len;

    if (!w->setup.is_once && n != w->counted) {
        atomic_fetch_add_explicit(
            &w->setup.node->in_flight, n - w->counted, memory_order_relaxed);
        w->counted = n;
    }
}

/* ---- the queue of replies ----------------------------------------------- */

static struct place *
place_at(struct wire *w, uint64_t index)
{
    return &w->queue[index & (w->queue_cap - 1)];
}

static enum rc
queue_grow(struct wire *w)
{
    size_t cap = w->queue_cap == 0 ? QUEUE_MIN : w->queue_cap * 2;
    struct place *queue;

    if (w->behind - w->first < w->queue_cap) {
        return RC_OK;
    }
    queue = malloc(cap * sizeof(*queue));
    if (queue == NULL) {
        return RC_NOMEM;
    }
    for (uint64_t i = w->first; i < w->behind; i++) {
        queue[i & (cap - 1)] = *place_at(w, i);
    }
    free(w->queue);
    w->queue = queue;
    w->queue_cap = cap;
    return RC_OK;
}

/* Writes a command and takes a place for its reply. */
static enum rc
queue_push(struct wire *w, enum place_kind kind, unsigned argc,
    const struct slice *argv, struct redis_call *call)
{
    uint64_t begins = w->unsent.queued;
    enum rc rc = queue_grow(w);

    if (rc != RC_OK) {
        return rc;
    }
    rc = unsent_add(&w->unsent, argc, argv);
    if (rc != RC_OK) {
        return rc;
    }
    *place_at(w, w->behind) = (struct place){
        .call = call,
        .sent_us = clock_now_us(loop_clock(w->setup.loop)),
        .begins = begins,
        .bytes = (size_t)(w->unsent.queued - begins),
        .kind = kind,
    };
    w->bytes += (size_t)(w->unsent.queued - begins);
    if (call != NULL) {
        call->impl.place = w->behind;
    }
    w->behind++;
    if (!loop_timer_is_armed(&w->hang)) {
        loop_timer_arm(&w->hang, now_ms(w) + w->setup.opts->hang_ms);
    }
    loop_defer(w->setup.loop, &w->flush_task);
    return RC_OK;
}

/* A call's command, and ASKING right before it. */
static enum rc
call_write(struct wire *w, struct redis_call *call)
{
    static const struct slice asking = {"ASKING", 6};
    enum rc rc;

    if (call->impl.is_asking) {
        rc = queue_push(w, PLACE_SILENT, 1, &asking, NULL);
        if (rc != RC_OK) {
            return rc;
        }
    }
    rc = queue_push(w, PLACE_CALL, call->impl.argc, call->impl.argv, call);
    if (rc == RC_OK) {
        call->impl.state = CALL_SENT;
        call->impl.wire = w;
    }
    return rc;
}

/* ---- ends --------------------------------------------------------------- */

static void
tell_end(struct wire *w, struct redis_call *call, enum rc rc,
    struct redis_reply *reply)
{
    call->impl.state = CALL_IDLE;
    call->impl.wire = NULL;
    w->setup.callbacks->on_end(w->setup.ctx, call, rc, reply);
}

static void
on_lost(void *ctx)
{
    struct wire *w = OBJ_OF(struct wire, ctx, WIRE_MAGIC);
    struct list *link;

    while ((link = list_pop(&w->lost)) != NULL) {
        struct redis_call *call =
            CONTAINER_OF(link, struct redis_call, impl.link);
        tell_end(w, call, call->impl.rc, NULL);
    }
}

static void
lose(struct wire *w, struct redis_call *call, enum rc rc)
{
    call->impl.state = CALL_LOST;
    call->impl.rc = rc;
    list_push_back(&w->lost, &call->impl.link);
}

/* Moves every call of the wire to the lost ones. */
static void
lose_all(struct wire *w, enum rc rc)
{
    uint64_t written = unsent_position(&w->unsent);
    struct list *link;

    for (; w->first < w->behind; w->first++) {
        struct place *place = place_at(w, w->first);

        if (place->call != NULL) {
            place->call->was_sent |= place->begins < written;
            lose(w, place->call, rc);
        }
    }
    while ((link = list_pop(&w->waiting)) != NULL) {
        lose(w, CONTAINER_OF(link, struct redis_call, impl.link), rc);
    }
    w->waiting_len = 0;
    w->waiting_bytes = 0;
    w->bytes = 0;
    if (!list_is_empty(&w->lost)) {
        loop_defer(w->setup.loop, &w->lost_task);
    }
}

static void
wire_set_why(struct wire *w, struct slice why)
{
    size_t n = why.len < WHY_MAX - 1 ? why.len : WHY_MAX - 1;

    if (n > 0) {
        memcpy(w->why, why.ptr, n);
    }
    w->why[n] = '\0';
}

/* Takes down whatever stage the connection is in. */
static void
wire_close(struct wire *w)
{
    if (w->state == WIRE_UP && !w->setup.is_once) {
        atomic_fetch_sub(&w->setup.node->wires, 1);
    }
    if (w->resolve != NULL) {
        resolve_cancel(&w->resolve);
    }
    dial_cancel(&w->dial);
    conn_close(&w->conn);
    resp_free(&w->resp);
    loop_timer_cancel(&w->hang);
    loop_timer_cancel(&w->rest);
    loop_task_cancel(&w->flush_task);
    loop_task_cancel(&w->drop_task);
}

static void
wire_rest(struct wire *w)
{
    unsigned shift = w->failures < 7 ? w->failures : 7;
    int64_t most_ms = (int64_t)REST_MIN_MS << shift;

    most_ms = most_ms > REST_MAX_MS ? REST_MAX_MS : most_ms;
    w->state = WIRE_RESTING;
    /* Full jitter; a millisecond at least, so that it is a rest. */
    loop_timer_arm(&w->rest,
        now_ms(w) + 1 + (int64_t)random_below(&w->random, (uint64_t)most_ms));
}

/* What follows after the connection was lost or could not be had. */
static void
wire_go_on(struct wire *w, enum rc rc, bool was_idle, bool was_steady)
{
    /* Given up by ourselves, and not again and again. */
    bool is_drop =
        w->drop_rc != RC_OK &&
        (w->dropped_ms == 0 || now_ms(w) - w->dropped_ms >= STEADY_MS);
    bool is_plain_loss = rc == RC_CLOSED || rc == RC_IO || rc == RC_OK;

    if (w->setup.is_once) {
        w->state = WIRE_DOWN;
        w->failures = 1;
        return;
    }
    if ((was_steady && is_plain_loss) || is_drop) {
        /* The first attempt after a good time is made at once, or when it
           is needed: servers close idle connections. */
        w->failures = 0;
        w->state = WIRE_DOWN;
        w->dropped_ms = is_drop ? now_ms(w) : w->dropped_ms;
        if (!was_idle) {
            wire_attempt(w);
        }
        return;
    }
    w->failures++;
    wire_rest(w);
}

/* Ends the connection, whatever stage it is in. */
static void
wire_fail(struct wire *w, enum rc rc, const char *why)
{
    bool was_idle = w->first == w->behind && w->waiting_len == 0;
    bool was_up = w->state == WIRE_UP;
    bool was_steady = was_up && now_ms(w) - w->up_ms >= STEADY_MS;

    MUST(rc != RC_OK);
    if (why != w->why) {
        wire_set_why(w, slice_of_str(why));
    }
    wire_close(w);
    lose_all(w, rc);
    unsent_fini(&w->unsent);
    w->last_rc = rc;
    /* What we gave up ourselves, or an idle one that was closed, says
       nothing about the node. */
    if (w->drop_rc == RC_OK && !(was_steady && was_idle)) {
        (void)node_failed(w->setup.node, now_ms(w));
    }
    wire_go_on(w, rc, was_idle, was_steady);
    w->drop_rc = RC_OK;
    count_in_flight(w);
    w->setup.callbacks->on_down(w->setup.ctx, rc, was_up);
}

static void
on_hang(void *ctx)
{
    struct wire *w = OBJ_OF(struct wire, ctx, WIRE_MAGIC);
    int64_t due_ms;

    if (w->first == w->behind) {
        return;
    }
    due_ms = place_at(w, w->first)->sent_us / 1000 + w->setup.opts->hang_ms;
    if (due_ms > now_ms(w)) {
        loop_timer_arm(&w->hang, due_ms);
        return;
    }
    wire_fail(w, RC_TIMEOUT, "no reply within hang");
}

static void
on_drop(void *ctx)
{
    struct wire *w = OBJ_OF(struct wire, ctx, WIRE_MAGIC);

    wire_fail(w, w->drop_rc, "dropped for a new one");
}

void
wire_drop(struct wire *w, enum rc rc)
{
    MUST_OBJ(w, WIRE_MAGIC);
    if (w->conn != NULL) {
        w->drop_rc = rc;
        loop_defer(w->setup.loop, &w->drop_task);
    }
}

/* ---- writing ------------------------------------------------------------ */

static void
wire_flush(struct wire *w)
{
    struct iovec iov[UNSENT_IOV_MAX];

    while (w->unsent.len > 0) {
        size_t n = 0;
        int count = unsent_iov(&w->unsent, iov);
        enum rc rc = conn_writev(w->conn, iov, count, &n);

        if (rc == RC_AGAIN) {
            break;
        }
        if (rc != RC_OK) {
            wire_fail(w, rc, "write failed");
            return;
        }
        unsent_written(&w->unsent, n);
    }
    conn_want_write(w->conn, w->unsent.len > 0);
    count_in_flight(w);
}

static void
on_flush(void *ctx)
{
    struct wire *w = OBJ_OF(struct wire, ctx, WIRE_MAGIC);

    MUST(w->conn != NULL);
    wire_flush(w);
}

/* ---- reading ------------------------------------------------------------ */

/* Up: those who waited may go. */
static void
wire_go_up(struct wire *w)
{
    struct list *link;

    w->state = WIRE_UP;
    w->up_ms = now_ms(w);
    w->failures = 0;
    w->late = 0;
    if (!w->setup.is_once) {
        atomic_fetch_add(&w->setup.node->wires, 1);
    }
    node_greeted(w->setup.node);
    w->waiting_len = 0;
    w->waiting_bytes = 0;
    while ((link = list_pop(&w->waiting)) != NULL) {
        struct redis_call *call =
            CONTAINER_OF(link, struct redis_call, impl.link);
        enum rc rc = call_write(w, call);

        if (rc != RC_OK) {
            lose(w, call, rc);
            loop_defer(w->setup.loop, &w->lost_task);
        }
    }
    w->setup.callbacks->on_up(w->setup.ctx);
}

/* Keeps an error reply's text to say why the connection ended. RC_REFUSED. */
static enum rc
refused_by(struct wire *w, const struct redis_reply *reply)
{
    wire_set_why(w, slice_of(reply->str, reply->len));
    return RC_REFUSED;
}

/* RC_REFUSED: the server does not let us in. */
static enum rc
greeting_reply(
    struct wire *w, const struct place *place, const struct redis_reply *reply)
{
    if (reply->type == REDIS_ERROR) {
        struct slice text = slice_of(reply->str, reply->len);
        enum redis_error error = redis_error_of(text);

        /* The rest, such as an ACL without CLIENT, does not matter here. */
        if (place->kind == PLACE_AUTH || error == REDIS_ERROR_NOAUTH ||
            slice_starts(text, SLICE("ERR max number of clients"))) {
            return refused_by(w, reply);
        }
    }
    if (w->first == w->behind) {
        wire_go_up(w);
    }
    return RC_OK;
}

/* RC_TIMEOUT: too many in a row came after their deadline. */
static enum rc
late_reply(struct wire *w, const struct place *place)
{
    int64_t age_us = clock_now_us(loop_clock(w->setup.loop)) - place->sent_us;

    if (age_us >= w->setup.opts->command_timeout_ms * 1000) {
        w->late++;
    }
    if (w->late < LATE_MAX) {
        return RC_OK;
    }
    wire_set_why(w, SLICE("all replies are late"));
    return RC_TIMEOUT;
}

/* A reply for the oldest place. */
static enum rc
wire_reply(struct wire *w, struct redis_reply *reply)
{
    struct place place;

    if (w->first == w->behind ||
        place_at(w, w->first)->begins >= unsent_position(&w->unsent)) {
        /* Nobody asked, or not yet. "-ERR max number of clients reached"
         * perhaps. */
        return reply->type == REDIS_ERROR ? refused_by(w, reply) : RC_BAD;
    }
    place = *place_at(w, w->first++);
    w->bytes -= place.bytes;
    if (w->state == WIRE_GREETING) {
        return greeting_reply(w, &place, reply);
    }
    if (place.kind == PLACE_SILENT) {
        return RC_OK;
    }
    if (place.call == NULL) {
        node_heard(w->setup.node);
        return late_reply(w, &place);
    }
    w->late = 0;
    w->latency_us = clock_now_us(loop_clock(w->setup.loop)) - place.sent_us;
    place.call->was_sent = true;
    tell_end(w, place.call, RC_OK, reply);
    return RC_OK;
}

static enum rc
wire_replies(struct wire *w)
{
    struct redis_reply *reply = NULL;
    enum rc rc;

    while ((rc = resp_next(w->resp, &reply)) == RC_OK) {
        rc = wire_reply(w, reply);
        if (rc != RC_OK) {
            return rc;
        }
    }
    return rc == RC_AGAIN ? RC_OK : rc;
}

static enum rc
wire_read(struct wire *w)
{
    char scratch[RESP_SCRATCH];

    for (unsigned i = 0; i < READS_MAX; i++) {
        struct resp_space to = resp_space(w->resp, scratch, sizeof(scratch));
        size_t n = 0;
        enum rc rc = conn_read(w->conn, to.ptr, to.cap, &n);

        if (rc != RC_OK) {
            return rc == RC_AGAIN ? RC_OK : rc;
        }
        resp_put(w->resp, n);
        rc = wire_replies(w);
        if (rc != RC_OK || n < to.cap) {
            return rc;
        }
    }
    return RC_OK;
}

static void
on_readable(void *ctx)
{
    struct wire *w = OBJ_OF(struct wire, ctx, WIRE_MAGIC);
    enum rc rc;

    w->used_ms = now_ms(w);
    w->why[0] = '\0';
    rc = wire_read(w);
    if (rc != RC_OK) {
        wire_fail(w, rc, w->why[0] != '\0' ? w->why : rc_text(rc));
        return;
    }
    count_in_flight(w);
}

static void
on_writable(void *ctx)
{
    wire_flush(OBJ_OF(struct wire, ctx, WIRE_MAGIC));
}

static const struct conn_callbacks wire_conn_callbacks = {
    .on_readable = on_readable,
    .on_writable = on_writable,
};

/* ---- coming up ---------------------------------------------------------- */

/* AUTH [user] password, CLIENT SETNAME name. */
static enum rc
wire_greet(struct wire *w)
{
    const struct redis_opts *opts = w->setup.opts;
    struct slice auth[3] = {SLICE("AUTH")};
    struct slice name[3] = {
        SLICE("CLIENT"), SLICE("SETNAME"), slice_of_str(opts->client_name)};
    unsigned argc = 1;
    enum rc rc;

    if (opts->password != NULL) {
        if (opts->user != NULL) {
            auth[argc++] = slice_of_str(opts->user);
        }
        auth[argc++] = slice_of_str(opts->password);
        rc = queue_push(w, PLACE_AUTH, argc, auth, NULL);
        if (rc != RC_OK) {
            return rc;
        }
    }
    return queue_push(w, PLACE_SILENT, 3, name, NULL);
}

static void
wire_dial(struct wire *w)
{
    const struct dial_opts opts = {
        .timeout_ms = w->setup.opts->connect_timeout_ms,
        .user_timeout_ms = USER_TIMEOUT_MS,
        .keepalive = true,
    };

    w->state = WIRE_DIALING;
    dial_start(
        &w->dial, w->setup.loop, &w->found.addresses[w->found_next++], &opts);
}

static void
on_dialed(void *ctx, enum rc rc, struct conn *own_conn)
{
    struct wire *w = OBJ_OF(struct wire, ctx, WIRE_MAGIC);
    const struct resp_opts opts = {.reply_max = w->setup.opts->reply_max};

    if (rc != RC_OK && w->found_next < w->found.count) {
        wire_dial(w);
        return;
    }
    if (rc != RC_OK) {
        wire_fail(w, rc, "connect failed");
        return;
    }
    w->conn = own_conn;
    conn_set_owner(w->conn, &wire_conn_callbacks, w);
    conn_want_read(w->conn, true);
    w->state = WIRE_GREETING;
    w->resp = resp_new(&opts);
    if (w->resp == NULL || wire_greet(w) != RC_OK) {
        wire_fail(w, RC_NOMEM, rc_text(RC_NOMEM));
    }
}

static void
on_resolved(void *ctx, const struct resolve_answer *answer)
{
    struct wire *w = OBJ_OF(struct wire, ctx, WIRE_MAGIC);

    w->resolve = NULL;
    if (answer->rc != RC_OK || answer->count == 0) {
        wire_fail(w, answer->rc == RC_OK ? RC_MISS : answer->rc,
            "name resolution failed");
        return;
    }
    w->found = *answer;
    w->found_next = 0;
    wire_dial(w);
}

/* Begins an attempt: numbers need no resolver. */
static void
wire_attempt(struct wire *w)
{
    struct node *node = w->setup.node;
    struct slice host = slice_of_str(node->host);

    MUST(w->conn == NULL);
    w->found.count = 1;
    w->found_next = 0;
    if (address_of(host, node->port, &w->found.addresses[0]) == RC_OK) {
        wire_dial(w);
        return;
    }
    w->state = WIRE_RESOLVING;
    w->resolve = resolve_start(
        w->setup.resolver, w->setup.loop, host, node->port, on_resolved, w);
    if (w->resolve == NULL) {
        wire_fail(w, RC_NOMEM, rc_text(RC_NOMEM));
    }
}

static void
on_rested(void *ctx)
{
    wire_attempt(OBJ_OF(struct wire, ctx, WIRE_MAGIC));
}

/* ---- the door ----------------------------------------------------------- */

struct wire *
wire_new(const struct wire_setup *setup)
{
    struct wire *w = calloc(1, sizeof(*w));

    MUST(setup->opts->hang_ms > 0);
    if (w == NULL) {
        return NULL;
    }
    w->magic = WIRE_MAGIC;
    w->setup = *setup;
    w->dial.on_done = on_dialed;
    w->dial.ctx = w;
    w->used_ms = loop_now_ms(setup->loop);
    unsent_init(&w->unsent);
    list_init(&w->waiting);
    list_init(&w->lost);
    loop_task_init(&w->flush_task, on_flush, w);
    loop_task_init(&w->lost_task, on_lost, w);
    loop_task_init(&w->drop_task, on_drop, w);
    loop_timer_init(&w->hang, setup->loop, on_hang, w);
    loop_timer_init(&w->rest, setup->loop, on_rested, w);
    random_seed(&w->random);
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
    wire_close(w);
    lose_all(w, RC_CANCELLED);
    w->state = WIRE_RESTING; /* refuses what the ending calls send */
    w->failures = 1;
    w->last_rc = RC_CANCELLED;
    count_in_flight(w);
    loop_task_cancel(&w->lost_task);
    on_lost(w);
    unsent_fini(&w->unsent);
    free(w->queue);
    w->magic = 0;
    free(w);
}

/* Is there room for n more bytes and one more command (two with ASKING)? */
static bool
wire_has_room(const struct wire *w, size_t n)
{
    const struct redis_opts *opts = w->setup.opts;
    size_t held = w->bytes + w->waiting_bytes;

    return w->behind - w->first + w->waiting_len < opts->in_flight_max &&
           n <= opts->in_flight_bytes_max &&
           held <= opts->in_flight_bytes_max - n;
}

enum rc
wire_send(struct wire *w, struct redis_call *call)
{
    size_t n = command_len(call->impl.argc, call->impl.argv);

    MUST_OBJ(w, WIRE_MAGIC);
    MUST(call->impl.wire == NULL);
    if (w->failures > 0 && w->state != WIRE_UP) {
        return w->last_rc;
    }
    if (!wire_has_room(w, n)) {
        return RC_LIMIT;
    }
    w->used_ms = now_ms(w);
    if (w->state == WIRE_UP) {
        return call_write(w, call);
    }
    list_push_back(&w->waiting, &call->impl.link);
    w->waiting_len++;
    w->waiting_bytes += n;
    call->impl.state = CALL_WAITING;
    call->impl.wire = w;
    if (w->state == WIRE_DOWN) {
        wire_attempt(w);
    }
    return RC_OK;
}

void
wire_forget(struct wire *w, struct redis_call *call)
{
    MUST_OBJ(w, WIRE_MAGIC);
    MUST(call->impl.wire == w);
    if (call->impl.state == CALL_SENT) {
        struct place *place = place_at(w, call->impl.place);

        MUST(place->call == call);
        place->call = NULL;
        /* Written or not yet: it will be. */
        call->was_sent = true;
    } else if (call->impl.state == CALL_WAITING) {
        list_remove(&call->impl.link);
        w->waiting_len--;
        w->waiting_bytes -= command_len(call->impl.argc, call->impl.argv);
    } else {
        list_remove(&call->impl.link); /* CALL_LOST */
    }
    call->impl.state = CALL_IDLE;
    call->impl.wire = NULL;
}
