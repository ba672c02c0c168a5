/*
 * How an exchange comes by a connection.
 *
 * The other side may have ended a connection while it was idle in the pool. A
 * request that may be sent twice finds that out by itself, which costs the one
 * silent retry; before any other request we look at the connection. Bytes that
 * were there before the request was sent are nobody's response: the connection
 * is dropped (RFC 9112 9.2). On a pooled one we see that without asking the
 * kernel: what is readable in the turn of the sending was readable before it.
 *
 * The retry takes a fresh connection: where one idle connection was dead,
 * the others may be too.
 */
#include "origin/exchange_inside.h"

static bool
may_be_repeated(const struct exchange *x)
{
    return x->request.is_idempotent && x->request.framing == FRAMING_NONE;
}

static void
attach(struct exchange *x, struct origin_conn *c)
{
    MUST(x->conn == NULL);
    MUST(c->conn != NULL);
    MUST(!list_is_linked(&c->link));
    x->conn = c;
    conn_set_owner(c->conn, x->events, x);
    x->state = EXCHANGE_HEAD;
    x->moved_ms = loop_now_ms(x->pool->loop);
    parse_start(&x->parse);
}

static struct origin_conn *
take_quiet(struct exchange *x)
{
    struct origin_conn *c = origin_pool_take(x->pool);

    while (c != NULL && !may_be_repeated(x) && !conn_is_quiet(c->conn)) {
        origin_pool_close(&c, false);
        c = origin_pool_take(x->pool);
    }
    return c;
}

static int64_t
dial_timeout_ms(const struct exchange *x, unsigned addresses_left)
{
    int64_t left_ms = x->connect_until_ms - loop_now_ms(x->pool->loop);

    /* Each address gets its share: the first must not eat all the time. */
    left_ms /= addresses_left;
    return left_ms > 0 ? left_ms : 1;
}

static void
dial_next(struct exchange *x)
{
    struct origin_pool *pool = x->pool;
    const struct addresses *addresses = pool->names.addresses;
    unsigned count = addresses->count;
    unsigned left = count > x->dials ? count - x->dials : 1;
    struct address to = addresses->items[x->address % count];
    const struct dial_opts opts = {
        .timeout_ms = dial_timeout_ms(x, left),
    };

    MUST(x->conn == NULL);
    if (!origin_group_reserve(pool->group)) {
        exchange_fail_later(x, ORIGIN_ERROR_LIMIT);
        return;
    }
    x->state = EXCHANGE_DIAL;
    if (!pool->group->is_fixed) {
        address_set_port(&to, pool->group->server.port);
    }
    dial_start(&x->dial, pool->loop, &to, &opts);
    exchange_touch(x);
}

static void
dial_first(struct exchange *x)
{
    x->dials = 0;
    x->address = x->pool->names.first;
    dial_next(x);
}

static void
connect_fresh(struct exchange *x)
{
    enum rc rc;

    x->connect_until_ms =
        loop_now_ms(x->pool->loop) + x->pool->group->opts.connect_timeout_ms;
    rc = origin_names_get(x->pool);
    if (rc == RC_OK) {
        dial_first(x);
    } else if (rc == RC_AGAIN) {
        x->state = EXCHANGE_NAMES;
        list_push_back(&x->pool->names.waiting, &x->link);
        exchange_touch(x);
    } else {
        exchange_fail_later(x, ORIGIN_ERROR_NOMEM);
    }
}

void
exchange_connect(struct exchange *x)
{
    struct origin_conn *c;

    MUST_OBJ(x, EXCHANGE_MAGIC);
    MUST(x->state == EXCHANGE_NEW);
    c = take_quiet(x);
    if (c == NULL) {
        connect_fresh(x);
        return;
    }
    metric_inc(x->pool->block, x->pool->group->metrics.reused);
    attach(x, c);
    if (x->request.framing == FRAMING_NONE) {
        exchange_write(x);
        return;
    }
    /* The head goes with the first content, at the turn's end at latest. */
    loop_defer(x->pool->loop, &x->task);
    exchange_touch(x);
}

void
exchange_reconnect(struct exchange *x, enum origin_error error)
{
    bool is_unsent = x->sent_us == 0;

    MUST_OBJ(x, EXCHANGE_MAGIC);
    MUST(x->conn != NULL);
    MUST(!x->has_answered);
    if (x->is_retried ||
        (!is_unsent && !(x->conn->is_reused && may_be_repeated(x)))) {
        exchange_fail(x, error);
        return;
    }
    x->is_retried = true;
    metric_inc(x->pool->block, x->pool->group->metrics.retries);
    origin_pool_close(&x->conn, false);
    exchange_rewind(x);
    connect_fresh(x);
}

void
exchange_on_names(struct list *link, enum rc rc)
{
    struct exchange *x = CONTAINER_OF(link, struct exchange, link);

    MUST_OBJ(x, EXCHANGE_MAGIC);
    MUST(x->state == EXCHANGE_NAMES);
    if (rc == RC_OK || x->pool->names.addresses != NULL) {
        dial_first(x);
        return;
    }
    exchange_fail(x, ORIGIN_ERROR_DNS);
}

static enum origin_error
error_of_dial(enum rc rc)
{
    if (rc == RC_REFUSED) {
        return ORIGIN_ERROR_REFUSED;
    }
    if (rc == RC_NOMEM) {
        return ORIGIN_ERROR_NOMEM;
    }
    if (rc == RC_LIMIT) { /* ours: no fd is left */
        return ORIGIN_ERROR_LIMIT;
    }
    return rc == RC_TIMEOUT ? ORIGIN_ERROR_CONNECT_TIMEOUT
                            : ORIGIN_ERROR_CONNECT;
}

static void
dial_failed(struct exchange *x, enum rc rc)
{
    struct origin_pool *pool = x->pool;

    MUST(x->conn == NULL);
    origin_group_release(pool->group);
    x->state = EXCHANGE_FAILING;
    origin_names_failed(pool, x->address);
    x->dials++;
    x->address++;
    if (x->dials < pool->names.addresses->count) {
        dial_next(x);
        return;
    }
    exchange_fail(x, error_of_dial(rc));
}

void
exchange_on_dialled(void *ctx, enum rc rc, struct conn *own_conn)
{
    struct exchange *x = OBJ_OF(struct exchange, ctx, EXCHANGE_MAGIC);
    struct origin_conn *c;

    MUST(x->state == EXCHANGE_DIAL);
    if (rc != RC_OK) {
        dial_failed(x, rc);
        return;
    }
    x->state = EXCHANGE_FAILING;
    c = origin_pool_adopt(x->pool, own_conn);
    if (c == NULL) {
        exchange_fail(x, ORIGIN_ERROR_NOMEM);
        return;
    }
    attach(x, c);
    if (!conn_is_quiet(c->conn)) {
        exchange_reconnect(x, ORIGIN_ERROR_CLOSED);
        return;
    }
    conn_want_read(c->conn, true);
    exchange_write(x);
    exchange_drained(x);
}
