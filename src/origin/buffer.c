/*
 * The buffer that a response is read into.
 *
 * Law. The pool lends it. What an exchange does not use up at once (half a
 * head, content that a pause keeps back) keeps the loan, so that an exchange
 * that waits with nothing read holds no memory.
 */
#include "origin/exchange_inside.h"

char *
exchange_in_place(struct exchange *x, size_t *out_cap)
{
    struct origin_pool *pool = x->pool;
    size_t cap;

    MUST_OBJ(x, EXCHANGE_MAGIC);
    if (x->in.data == NULL) {
        x->in = pool->in;
        buf_init(&pool->in, x->in.max);
    }
    /* Half a head may be in it: the parser refuses one above head_max, and
       max is larger. Content is used up before more is read. */
    cap = x->in.max - buf_len(&x->in);
    if (cap == 0) {
        return NULL; /* paused, and called for a connection that has broken */
    }
    *out_cap = cap < READ_MAX ? cap : READ_MAX;
    return buf_reserve(&x->in, *out_cap);
}

/* Back to the pool once empty; a second one is freed. */
void
exchange_in_return(struct exchange *x)
{
    if (x->in.data == NULL || buf_len(&x->in) > 0) {
        return;
    }
    if (x->pool->in.data != NULL) {
        buf_trim(&x->in);
        return;
    }
    x->pool->in = x->in;
    buf_init(&x->in, x->pool->in.max);
}

void
exchange_in_drop(struct exchange *x)
{
    buf_clear(&x->in);
    exchange_in_return(x);
}
