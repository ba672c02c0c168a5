/*
 * The end of an exchange.
 *
 * Laws. An exchange ends exactly once, by finish, fail or cancel. Its state is
 * OVER before the last callback runs, and its memory stays until the end of the
 * turn, so that every frame below can ask whether it is over.
 */
#include "origin/exchange_inside.h"

enum {
    /* A spare exchange keeps an output buffer up to this. */
    OUT_KEPT_MAX = 4096,
};

static void
out_forget(struct exchange *x)
{
    buf_clear(&x->out);
    if (x->out.cap > OUT_KEPT_MAX) {
        buf_trim(&x->out);
    }
}

/* Lets go of what the state holds; the connection is gone before. */
static void
enter_end(struct exchange *x, enum exchange_state state)
{
    MUST(x->conn == NULL);
    MUST(!exchange_is_over(x));
    if (x->state == EXCHANGE_NAMES) {
        list_remove(&x->link);
    }
    if (x->state == EXCHANGE_QUEUE) {
        exchange_stop_waiting(x);
    }
    if (x->state == EXCHANGE_DIAL) {
        dial_cancel(&x->dial);
    }
    x->state = state;
    if (x->has_place) {
        x->has_place = false;
        origin_addresses_unref(&x->addresses);
        origin_group_release(x->pool->group);
    }
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

/* A request that was cut short ends with a reset, so that no origin takes the
   cut for an end. So does a connection that we do not want to use again:
   whoever closes first holds the port for a minute, and many writes would use
   up all ports. */
static void
conn_drop(struct exchange *x)
{
    if (x->conn != NULL) {
        origin_pool_close(&x->conn, !exchange_is_sent(x) || x->is_last);
    }
}

/* Are both directions provably finished, with nothing behind? An origin that
   answers without the 100 that it was asked for may not have read the content
   that we sent all the same. And what leads to an address that the server has
   no more is to end. */
static bool
is_reusable(struct exchange *x)
{
    if (!exchange_is_sent(x) || x->is_last || x->is_early ||
        (x->request.expects_100 && !x->is_continued) || !x->is_keep_alive ||
        x->framing == FRAMING_CLOSE || buf_len(&x->in) > 0 ||
        atomic_load_explicit(
            &x->conn->address->is_gone, memory_order_relaxed)) {
        return false;
    }
    return !x->is_read_full || conn_is_quiet(x->conn->conn);
}

void
exchange_finish(struct exchange *x)
{
    const struct exchange_callbacks *callbacks = x->callbacks;
    bool is_doubtful = x->is_early || buf_len(&x->in) > 0;

    MUST_OBJ(x, EXCHANGE_MAGIC);
    MUST(x->state == EXCHANGE_BODY);
    MUST(x->conn != NULL);
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

    MUST_OBJ(x, EXCHANGE_MAGIC);
    MUST(!exchange_is_over(x));
    MUST(error != ORIGIN_ERROR_NONE);
    metric_inc(pool->block, pool->group->metrics.errors[error]);
    log_event(pool->ring, LOG_LEVEL_WARN, "origin_error",
        "origin=\"%s\" server=\"%s\" cause=\"%s%s%s\"", pool->group->own_name,
        origin_server_text(pool->group->server), origin_failure(error)->text,
        error == ORIGIN_ERROR_HEAD ? ": " : "",
        error == ORIGIN_ERROR_HEAD ? fault_text(x->parse.fault) : "");
    conn_drop(x);
    over(x);
    callbacks->on_error(x->ctx, error);
}

void
exchange_fail_later(struct exchange *x, enum origin_error error)
{
    MUST_OBJ(x, EXCHANGE_MAGIC);
    MUST(error != ORIGIN_ERROR_NONE);
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
