/*
 * An exchange that waits for its turn, since its group has connections_max
 * connections.
 *
 * Laws. Nothing of the request's content is taken meanwhile: a thousand who
 * wait hold no more than their heads. connect_timeout begins with the turn. The
 * turn comes once; what an exchange loses of its connections later, it replaces
 * without standing in the queue again.
 */
#include "origin/exchange_inside.h"

enum origin_error
exchange_wait(struct exchange *x)
{
    struct origin_pool *pool = x->pool;
    bool may_wait =
        pool->group->opts.queue_max > 0 && !x->request.is_background;

    MUST(x->state == EXCHANGE_NEW);
    MUST(!x->has_place);
    if (!may_wait) {
        return ORIGIN_ERROR_LIMIT;
    }
    if (!origin_queue_enter(&x->waiter, pool)) {
        return ORIGIN_ERROR_QUEUE_FULL;
    }
    x->state = EXCHANGE_QUEUE;
    x->queue_since_us = clock_now_us(loop_clock(pool->loop));
    metric_inc(pool->block, pool->group->metrics.waiting);
    return ORIGIN_ERROR_NONE;
}

void
exchange_waited(struct exchange *x)
{
    struct origin_pool *pool = x->pool;

    MUST(x->state == EXCHANGE_QUEUE);
    MUST(!list_is_linked(&x->waiter.link));
    x->state = EXCHANGE_NEW;
    x->queued_us = clock_now_us(loop_clock(pool->loop)) - x->queue_since_us;
    metric_add_to(pool->block, pool->group->metrics.waiting, -1);
    metric_observe_us(pool->block, pool->group->metrics.waited, x->queued_us);
}

void
exchange_stop_waiting(struct exchange *x)
{
    MUST_OBJ(x, EXCHANGE_MAGIC);
    MUST(x->state == EXCHANGE_QUEUE);
    x->has_place = origin_queue_leave(&x->waiter);
    exchange_waited(x);
}

int64_t
exchange_queued_us(const struct exchange *x)
{
    MUST_OBJ(x, EXCHANGE_MAGIC);
    return x->state == EXCHANGE_QUEUE
               ? clock_now_us(loop_clock(x->pool->loop)) - x->queue_since_us
               : x->queued_us;
}
