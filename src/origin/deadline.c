/*
 * An exchange's deadlines.
 *
 * Laws. queue_timeout is for the wait for a place. Looking up and connecting
 * share connect_timeout. first_byte counts from the request's last byte to the
 * final head's last, interim responses included; and to the 100 for which our
 * client keeps its content back. between_bytes counts while content is awaited,
 * or while the socket takes none of ours. While the other side waits for us,
 * nothing but total counts.
 */
#include "origin/exchange_inside.h"

static int64_t
head_until_ms(const struct exchange *x)
{
    const struct exchange_request *request = &x->request;

    if (exchange_is_sent(x)) {
        return x->complete_us / 1000 + request->first_byte_timeout_ms;
    }
    if (x->is_blocked || x->is_broken) {
        return x->moved_ms + request->between_bytes_timeout_ms;
    }
    /* With nothing to write we wait for our client, unless it waits too. */
    return exchange_awaits_100(x) ? x->moved_ms + request->first_byte_timeout_ms
                                  : NEVER_MS;
}

static int64_t
phase_until_ms(const struct exchange *x)
{
    switch (x->state) {
    case EXCHANGE_QUEUE:
        return x->queue_since_us / 1000 + x->pool->group->opts.queue_timeout_ms;
    case EXCHANGE_NAMES:
        return x->names_until_ms;
    case EXCHANGE_HEAD:
        return head_until_ms(x);
    case EXCHANGE_BODY:
        return x->is_paused ? NEVER_MS
                            : x->moved_ms + x->request.between_bytes_timeout_ms;
    case EXCHANGE_DIAL: /* the dial has a timer of its own */
    case EXCHANGE_NEW:
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

    MUST_OBJ(x, EXCHANGE_MAGIC);
    if (until_ms > x->total_until_ms) {
        until_ms = x->total_until_ms;
    }
    x->deadline_ms = until_ms;
    if (until_ms != NEVER_MS) {
        loop_timer_arm(&x->timer, until_ms);
    }
}

enum origin_error
exchange_timeout(const struct exchange *x)
{
    MUST_OBJ(x, EXCHANGE_MAGIC);
    MUST(!exchange_is_over(x));
    if (loop_now_ms(x->pool->loop) >= x->total_until_ms) {
        return ORIGIN_ERROR_TOTAL;
    }
    if (x->state == EXCHANGE_QUEUE) {
        return ORIGIN_ERROR_QUEUE_TIMEOUT;
    }
    if (x->state == EXCHANGE_NAMES) {
        return x->error != ORIGIN_ERROR_NONE ? x->error
                                             : ORIGIN_ERROR_DNS_TIMEOUT;
    }
    return x->state == EXCHANGE_HEAD &&
                   (exchange_is_sent(x) ||
                       (exchange_awaits_100(x) && !x->is_blocked))
               ? ORIGIN_ERROR_FIRST_BYTE
               : ORIGIN_ERROR_BETWEEN_BYTES;
}
