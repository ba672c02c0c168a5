/*
 * The life of an exchange: making, starting, and what wakes it.
 *
 * Laws. The pool recycles exchanges. The timer stays armed meanwhile (moving a
 * deadline away is one store, cancelling and arming are not) and fires in vain.
 *
 *     NAMES -> DIAL -> HEAD -> BODY -> OVER
 *       ^        ^      |
 *       |        +------+  one retry on a fresh connection
 *       +---------------+
 *     (a connection of the pool begins at HEAD)
 */
#include "origin/exchange_inside.h"

#include <stdlib.h>

static const struct conn_callbacks conn_events = {
    .on_readable = exchange_on_readable,
    .on_writable = exchange_on_writable,
};

size_t
exchange_in_max(const struct origin_group *group)
{
    size_t head_max = group->opts.head_max + 1;

    return head_max > READ_MAX ? head_max : READ_MAX;
}

/* --- what wakes it ------------------------------------------------------ */

static void
on_timer(void *ctx)
{
    struct exchange *x = OBJ_OF(struct exchange, ctx, EXCHANGE_MAGIC);

    /* A deadline that is due has armed the timer; this one was left. */
    if (exchange_is_over(x) || x->deadline_ms == NEVER_MS) {
        return;
    }
    exchange_fail(x, exchange_timeout(x));
}

static void
on_task(void *ctx)
{
    struct exchange *x = OBJ_OF(struct exchange, ctx, EXCHANGE_MAGIC);

    MUST(!exchange_is_over(x)); /* over() has cancelled it */
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
    x->dial.on_done = exchange_on_dialled;
    x->dial.ctx = x;
    x->events = &conn_events;
    list_init(&x->link);
    loop_timer_init(&x->timer, pool->loop, on_timer, x);
    loop_task_init(&x->task, on_task, x);
    buf_init(&x->in, exchange_in_max(pool->group));
    buf_init(&x->out, SEND_MAX);
    return x;
}

static void
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

void
exchanges_bury(struct origin_pool *pool)
{
    struct list *link;

    while ((link = list_pop(&pool->dead_exchanges)) != NULL) {
        struct exchange *x = CONTAINER_OF(link, struct exchange, link);
        MUST_OBJ(x, EXCHANGE_MAGIC);
        MUST(exchange_is_over(x));
        if (pool->spare_len < SPARE_MAX) {
            list_push_front(&pool->spare, &x->link);
            pool->spare_len++;
        } else {
            exchange_free(x);
        }
    }
}

void
exchanges_free(struct origin_pool *pool)
{
    struct list *link;

    exchanges_bury(pool);
    while ((link = list_pop(&pool->spare)) != NULL) {
        exchange_free(CONTAINER_OF(link, struct exchange, link));
    }
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

/* From here on the request says them, whoever has set them. */
static void
take_timeouts(struct exchange *x)
{
    const struct origin_opts *opts = &x->pool->group->opts;

    if (x->request.first_byte_timeout_ms == 0) {
        x->request.first_byte_timeout_ms = opts->first_byte_timeout_ms;
    }
    if (x->request.between_bytes_timeout_ms == 0) {
        x->request.between_bytes_timeout_ms = opts->between_bytes_timeout_ms;
    }
}

struct exchange *
exchange_start(struct origin_pool *pool, const struct exchange_request *request,
    const struct exchange_callbacks *callbacks, void *ctx)
{
    struct exchange *x;
    int64_t total_ms;

    MUST_OBJ(pool, POOL_MAGIC);
    MUST(request->framing != FRAMING_CLOSE);
    MUST(request->head.len > 0);
    MUST(callbacks != NULL);
    x = exchange_take(pool);
    if (x == NULL) {
        return NULL;
    }
    x->callbacks = callbacks;
    x->ctx = ctx;
    x->request = *request;
    take_timeouts(x);
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
