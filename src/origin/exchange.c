/*
 * The life of an exchange: start, deadlines, end.
 *
 * Laws. An exchange ends exactly once, by finish, fail or cancel; its state
 * is OVER before the last callback runs, and its memory stays until the end
 * of the turn, so every frame below can ask whether it is over. Objects are
 * recycled by the pool; the timer stays armed meanwhile (moving a deadline
 * away is one store, cancelling and arming are not) and fires in vain.
 *
 *     NAMES -> DIAL -> HEAD -> BODY -> OVER
 *       ^        ^      |
 *       |        +------+  one retry on a fresh connection
 *       +---------------+
 *     (a connection of the pool begins at HEAD)
 *
 * Deadlines: looking up and connecting share connect_timeout; first_byte
 * counts from the request's last byte to the final head's last, interim
 * responses included; between_bytes counts while content is awaited, or
 * while the socket takes none of ours; nothing but total counts while the
 * other side waits for us.
 */
#include "origin/exchange_inside.h"

#include <stdlib.h>

#include "nearside/base/check.h"
#include "nearside/http/parse.h"

static void on_timer(void *ctx);
static void on_task(void *ctx);

enum {
    /* A spare exchange keeps an output buffer up to this. */
    OUT_KEPT_MAX = 4096,
};

size_t
exchange_in_max(const struct origin_group *group)
{
    size_t head_max = group->opts.head_max + 1;

    return head_max > READ_MAX ? head_max : READ_MAX;
}

/* --- making and recycling ---------------------------------------------- */

static struct exchange *
exchange_new(struct origin_pool *pool)
{
    struct exchange *x = calloc(1, sizeof(*x));

    if (x == NULL) {
        return NULL;
    }
    x->magic = EXCHANGE_MAGIC;
    x->pool = pool;
    x->state = EXCHANGE_OVER;
    x->dial.on_done = exchange_on_dialled;
    x->dial.ctx = x;
    list_init(&x->link);
    loop_timer_init(&x->timer, pool->loop, on_timer, x);
    loop_task_init(&x->task, on_task, x);
    buf_init(&x->in, exchange_in_max(pool->group));
    buf_init(&x->out, SEND_MAX);
    return x;
}

void
exchange_free(struct exchange *x)
{
    MUST_OBJ(x, EXCHANGE_MAGIC);
    MUST(exchange_is_over(x));
    loop_timer_cancel(&x->timer);
    buf_fini(&x->in);
    buf_fini(&x->out);
    x->magic = 0;
    free(x);
}

static struct exchange *
exchange_take(struct origin_pool *pool)
{
    struct list *link = list_pop(&pool->spare);
    struct exchange *x;

    if (link == NULL) {
        return exchange_new(pool);
    }
    pool->spare_len--;
    x = CONTAINER_OF(link, struct exchange, link);
    MUST_OBJ(x, EXCHANGE_MAGIC);
    MUST(exchange_is_over(x));
    memset((char *)x + offsetof(struct exchange, state), 0,
        sizeof(*x) - offsetof(struct exchange, state));
    return x;
}

struct exchange *
exchange_start(struct origin_pool *pool, const struct exchange_request *request,
    const struct exchange_callbacks *callbacks, void *ctx)
{
    struct exchange *x;
    int64_t total_ms;

    MUST_OBJ(pool, POOL_MAGIC);
    MUST(request->framing != FRAMING_CLOSE);
    x = exchange_take(pool);
    if (x == NULL) {
        return NULL;
    }
    x->callbacks = callbacks;
    x->ctx = ctx;
    x->request = *request;
    total_ms = pool->group->opts.total_timeout_ms;
    x->total_until_ms =
        total_ms > 0 ? loop_now_ms(pool->loop) + total_ms : NEVER_MS;
    pool->live++;
    atomic_fetch_add_explicit(&pool->group->in_flight, 1, memory_order_relaxed);
    metric_inc(pool->block, pool->group->metrics.requests);
    exchange_frame(x);
    exchange_connect(x);
    return x;
}

/* --- deadlines --------------------------------------------------------- */

static int64_t
head_until_ms(const struct exchange *x)
{
    const struct origin_opts *opts = &x->pool->group->opts;

    if (exchange_is_sent(x)) {
        return x->complete_us / 1000 + opts->first_byte_timeout_ms;
    }
    /* Without anything to write it is the client who is waited for. */
    return x->is_blocked || x->is_broken
               ? x->moved_ms + opts->between_bytes_timeout_ms
               : NEVER_MS;
}

static int64_t
phase_until_ms(const struct exchange *x)
{
    switch (x->state) {
    case EXCHANGE_NAMES:
        return x->connect_until_ms;
    case EXCHANGE_HEAD:
        return head_until_ms(x);
    case EXCHANGE_BODY:
        return x->is_paused ? NEVER_MS
                            : x->moved_ms +
                                  x->pool->group->opts.between_bytes_timeout_ms;
    case EXCHANGE_DIAL: /* the dial has a timer of its own */
    case EXCHANGE_FAILING:
    case EXCHANGE_OVER:
        return NEVER_MS;
    }
    return NEVER_MS;
}

void
exchange_touch(struct exchange *x)
{
    int64_t until_ms = phase_until_ms(x);

    if (until_ms > x->total_until_ms) {
        until_ms = x->total_until_ms;
    }
    x->deadline_ms = until_ms;
    if (until_ms != NEVER_MS) {
        loop_timer_arm(&x->timer, until_ms);
    }
}

static enum origin_error
timeout_of(const struct exchange *x)
{
    if (loop_now_ms(x->pool->loop) >= x->total_until_ms) {
        return ORIGIN_ERROR_TOTAL;
    }
    if (x->state == EXCHANGE_NAMES) {
        return ORIGIN_ERROR_DNS_TIMEOUT;
    }
    return x->state == EXCHANGE_HEAD && exchange_is_sent(x)
               ? ORIGIN_ERROR_FIRST_BYTE
               : ORIGIN_ERROR_BETWEEN_BYTES;
}

static void
on_timer(void *ctx)
{
    struct exchange *x = OBJ_OF(struct exchange, ctx, EXCHANGE_MAGIC);

    /* A deadline that is due has armed the timer; this one was left. */
    if (exchange_is_over(x) || x->deadline_ms == NEVER_MS) {
        return;
    }
    exchange_fail(x, timeout_of(x));
}

/* --- what waits for the turn's end ------------------------------------- */

static void
on_task(void *ctx)
{
    struct exchange *x = OBJ_OF(struct exchange, ctx, EXCHANGE_MAGIC);

    if (x->state == EXCHANGE_FAILING) {
        exchange_fail(x, x->error);
        return;
    }
    if (x->conn != NULL && !x->is_blocked) {
        exchange_write(x);
        exchange_drained(x);
    }
    if (x->is_resumed && !exchange_is_over(x)) {
        exchange_unpause(x);
    }
}

void
exchange_resume(struct exchange *x)
{
    MUST_OBJ(x, EXCHANGE_MAGIC);
    if (exchange_is_over(x)) {
        return;
    }
    x->is_resumed = true;
    loop_defer(x->pool->loop, &x->task);
}

/* --- the end ----------------------------------------------------------- */

static void
out_forget(struct exchange *x)
{
    buf_clear(&x->out);
    if (x->out.cap > OUT_KEPT_MAX) {
        buf_trim(&x->out);
    }
}

/* Leaves whatever the state holds on to; the connection is gone before. */
static void
enter_end(struct exchange *x, enum exchange_state state)
{
    MUST(x->conn == NULL);
    if (x->state == EXCHANGE_NAMES) {
        list_remove(&x->link);
    }
    if (x->state == EXCHANGE_DIAL) {
        dial_cancel(&x->dial);
        origin_group_release(x->pool->group);
    }
    x->state = state;
}

static void
over(struct exchange *x)
{
    struct origin_pool *pool = x->pool;

    enter_end(x, EXCHANGE_OVER);
    loop_task_cancel(&x->task);
    exchange_in_drop(x);
    out_forget(x);
    atomic_fetch_sub_explicit(&pool->group->in_flight, 1, memory_order_relaxed);
    MUST(pool->live > 0);
    pool->live--;
    list_push_back(&pool->dead_exchanges, &x->link);
    origin_pool_turn(pool);
}

/* A request that was cut short ends with a reset: no origin shall take the
   cut for an end. So does one that was the last by our own wish: whoever
   closes first holds the port for a minute, and many writes would use up all
   there are. */
static void
conn_drop(struct exchange *x)
{
    if (x->conn != NULL) {
        origin_pool_close(&x->conn, !exchange_is_sent(x) || x->is_last);
    }
}

/* Are both directions provably finished, with nothing behind? */
static bool
is_reusable(struct exchange *x)
{
    if (!exchange_is_sent(x) || x->is_last || x->is_early ||
        !x->is_keep_alive || x->framing == FRAMING_CLOSE ||
        buf_len(&x->in) > 0) {
        return false;
    }
    return !x->is_read_full || conn_is_quiet(x->conn->conn);
}

void
exchange_finish(struct exchange *x)
{
    const struct exchange_callbacks *callbacks = x->callbacks;
    bool is_doubtful = x->is_early || buf_len(&x->in) > 0;

    MUST(x->state == EXCHANGE_BODY);
    if (is_reusable(x)) {
        /* A pause may have ended with the content still held back. */
        conn_want_read(x->conn->conn, true);
        origin_pool_put(x->pool, x->conn);
        x->conn = NULL;
    } else {
        conn_drop(x);
    }
    over(x);
    callbacks->on_end(x->ctx, is_doubtful);
}

void
exchange_fail(struct exchange *x, enum origin_error error)
{
    const struct exchange_callbacks *callbacks = x->callbacks;
    struct origin_pool *pool = x->pool;

    MUST(!exchange_is_over(x));
    MUST(error != ORIGIN_ERROR_NONE);
    metric_inc(pool->block, pool->group->metrics.errors[error]);
    log_event(pool->ring, LOG_LEVEL_WARN, "origin_error",
        "origin=\"%s\" server=\"%s\" cause=\"%s%s%s\"", pool->group->own_name,
        pool->group->server_text, origin_error_text(error),
        error == ORIGIN_ERROR_HEAD ? ": " : "",
        error == ORIGIN_ERROR_HEAD ? fault_text(x->parse.fault) : "");
    conn_drop(x);
    over(x);
    callbacks->on_error(x->ctx, error);
}

void
exchange_fail_later(struct exchange *x, enum origin_error error)
{
    conn_drop(x);
    enter_end(x, EXCHANGE_FAILING);
    x->error = error;
    loop_defer(x->pool->loop, &x->task);
}

void
exchange_cancel(struct exchange **px)
{
    struct exchange *x = *px;

    if (x == NULL) {
        return;
    }
    MUST_OBJ(x, EXCHANGE_MAGIC);
    *px = NULL;
    if (exchange_is_over(x)) {
        return;
    }
    conn_drop(x);
    over(x);
}

int64_t
exchange_sent_us(const struct exchange *x)
{
    MUST_OBJ(x, EXCHANGE_MAGIC);
    return x->sent_us;
}
