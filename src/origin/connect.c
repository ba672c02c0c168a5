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

/* --- dialling ---------------------------------------------------------- */

enum {
    /* Less is too little for an address on the other side of the world. */
    DIAL_MIN_MS = 250,
};

static struct origin_server *
server_of(const struct exchange *x)
{
    return x->pool->group->server;
}

/* Each address gets its share of the time, so that the first does not eat all
   of it; and so does what a look-up may bring. */
static int64_t
dial_timeout_ms(const struct exchange *x)
{
    int64_t left_ms = x->connect_until_ms - loop_now_ms(x->pool->loop);
    unsigned tried = (unsigned)__builtin_popcountll(x->tried);
    unsigned shares = x->addresses->count - tried;
    int64_t share_ms;

    if (!origin_server_is_fixed(server_of(x)) && !x->is_second_round) {
        shares++;
    }
    share_ms = left_ms / (shares > 0 ? shares : 1);
    if (share_ms < DIAL_MIN_MS) {
        share_ms = left_ms < DIAL_MIN_MS ? left_ms : DIAL_MIN_MS;
    }
    return share_ms > 0 ? share_ms : 1;
}

/* Goes over to what this worker knows by now. */
static void
take_addresses(struct exchange *x)
{
    struct origin_addresses *before = x->addresses;
    struct origin_addresses *now = x->pool->names.addresses;

    MUST(now != NULL);
    if (now == before) {
        return;
    }
    x->addresses = origin_addresses_ref(now);
    if (before != NULL) {
        x->tried = origin_addresses_mask(x->tried, before, now);
        x->timed_out = origin_addresses_mask(x->timed_out, before, now);
        origin_addresses_unref(&before);
    }
}

static int
next_address(struct exchange *x)
{
    return origin_names_next(
        x->pool, x->addresses, x->tried, dial_timeout_ms(x));
}

/* Among what all workers know by now. */
static int
next_newer_address(struct exchange *x)
{
    origin_names_refresh(x->pool);
    take_addresses(x);
    return next_address(x);
}

static void
dial_at(struct exchange *x, unsigned address)
{
    struct origin_pool *pool = x->pool;
    const struct dial_opts opts = {.timeout_ms = dial_timeout_ms(x)};

    MUST(x->conn == NULL);
    MUST(address < x->addresses->count);
    MUST(x->has_place);
    x->state = EXCHANGE_DIAL;
    x->address = address;
    x->tried |= UINT64_C(1) << address;
    dial_start(
        &x->dial, pool->loop, &x->addresses->items[address]->address, &opts);
    exchange_touch(x);
}

/* Nothing is left to dial: perhaps a look-up brings something. One that was
   under way when a dial failed may bring what is out of date, and does not
   stand for the one that was asked for then: so it is asked for again. False:
   none is to be waited for. */
static bool
wait_for_names(struct exchange *x)
{
    struct origin_pool *pool = x->pool;
    int64_t now_ms = loop_now_ms(pool->loop);
    int64_t until_ms = origin_server_hope_ms(server_of(x), x->missed_ms, now_ms,
        pool->group->opts.connect_timeout_ms);

    if (until_ms > x->connect_until_ms) {
        until_ms = x->connect_until_ms;
    }
    if (until_ms <= now_ms) {
        return false;
    }
    origin_server_ask(server_of(x));
    x->names_until_ms = until_ms;
    x->state = EXCHANGE_NAMES;
    list_push_back(&pool->names.waiting, &x->link);
    exchange_touch(x);
    return true;
}

/* No look-up helps any more. Whoever only took too long is dialled once more,
   if there is time. */
static bool
begin_second_round(struct exchange *x)
{
    if (x->is_second_round || x->timed_out == 0 ||
        x->connect_until_ms <= loop_now_ms(x->pool->loop)) {
        return false;
    }
    x->is_second_round = true;
    x->tried &= ~x->timed_out;
    return true;
}

/* The next address, or what a look-up brings, or an end. */
static void
dial_on(struct exchange *x)
{
    int next = next_address(x);

    if (next < 0) {
        next = next_newer_address(x);
    }
    if (next < 0 && wait_for_names(x)) {
        return;
    }
    if (next < 0) { /* what is not waited for may have ended just now */
        next = next_newer_address(x);
    }
    if (next < 0 && begin_second_round(x)) {
        next = next_address(x);
    }
    if (next < 0) {
        exchange_fail(x, x->error);
        return;
    }
    dial_at(x, (unsigned)next);
}

/* False: no address is known, and none is to be waited for. */
static bool
begin_to_dial(struct exchange *x)
{
    struct origin_names *names = &x->pool->names;

    if (names->addresses == NULL) {
        if (wait_for_names(x)) {
            return true;
        }
        /* What is not waited for may have ended just now. */
        origin_names_refresh(x->pool);
    }
    if (names->addresses == NULL) {
        return false;
    }
    take_addresses(x);
    dial_on(x);
    return true;
}

static void
connect_fresh(struct exchange *x)
{
    x->missed_ms = loop_now_ms(x->pool->loop);
    x->connect_until_ms =
        x->missed_ms + x->pool->group->opts.connect_timeout_ms;
    x->tried = 0;
    x->timed_out = 0;
    x->is_second_round = false;
    x->error = ORIGIN_ERROR_NONE;
    if (!begin_to_dial(x)) {
        exchange_fail_later(x, ORIGIN_ERROR_DNS);
    }
}

/* --- connections ------------------------------------------------------- */

static void
connect_kept(struct exchange *x, struct origin_conn *c)
{
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

static void
wait_for_place(struct exchange *x)
{
    enum origin_error error = exchange_wait(x);

    if (error == ORIGIN_ERROR_NONE) {
        exchange_touch(x);
    } else {
        exchange_fail_later(x, error);
    }
}

void
exchange_connect(struct exchange *x)
{
    struct origin_conn *c;

    MUST_OBJ(x, EXCHANGE_MAGIC);
    MUST(x->state == EXCHANGE_NEW);
    c = take_quiet(x);
    if (c != NULL) {
        connect_kept(x, c);
    } else if (origin_group_reserve(x->pool->group)) {
        x->has_place = true;
        connect_fresh(x);
    } else {
        wait_for_place(x);
    }
}

void
exchange_on_place(struct origin_waiter *w, struct origin_conn *own_conn)
{
    struct exchange *x = CONTAINER_OF(w, struct exchange, waiter);

    MUST_OBJ(x, EXCHANGE_MAGIC);
    exchange_waited(x);
    if (own_conn != NULL) {
        connect_kept(x, own_conn);
    } else {
        x->has_place = true;
        connect_fresh(x);
    }
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
    origin_pool_replace(&x->conn);
    x->has_place = true;
    exchange_rewind(x);
    connect_fresh(x);
}

void
exchange_on_names(struct list *link)
{
    struct exchange *x = CONTAINER_OF(link, struct exchange, link);

    MUST_OBJ(x, EXCHANGE_MAGIC);
    MUST(x->state == EXCHANGE_NAMES);
    x->state = EXCHANGE_FAILING;
    if (!begin_to_dial(x)) {
        exchange_fail(x, ORIGIN_ERROR_DNS);
    }
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

/* Is it the address that did not work, and not we who lack something? */
static bool
is_of_address(enum origin_error error)
{
    return error == ORIGIN_ERROR_REFUSED || error == ORIGIN_ERROR_CONNECT ||
           error == ORIGIN_ERROR_CONNECT_TIMEOUT;
}

/* The log hears of one among several, since no request may fail of it. */
static void
put_to_rest(struct exchange *x)
{
    struct origin_pool *pool = x->pool;
    struct origin_address *a = x->addresses->items[x->address];
    char text[ADDRESS_TEXT_MAX];

    if (origin_server_failed(
            server_of(x), a, pool->block, loop_now_ms(pool->loop)) &&
        x->addresses->count > 1) {
        log_event(pool->ring, LOG_LEVEL_WARN, "origin_address_rests",
            "origin=\"%s\" address=\"%s\" cause=\"%s\"", pool->group->own_name,
            address_text(&a->address, text), origin_failure(x->error)->text);
    }
}

static void
dial_failed(struct exchange *x, enum rc rc)
{
    MUST(x->conn == NULL);
    x->state = EXCHANGE_FAILING;
    x->error = error_of_dial(rc);
    if (!is_of_address(x->error)) {
        exchange_fail(x, x->error);
        return;
    }
    if (x->error == ORIGIN_ERROR_CONNECT_TIMEOUT) {
        x->timed_out |= UINT64_C(1) << x->address;
    }
    x->missed_ms = loop_now_ms(x->pool->loop);
    put_to_rest(x);
    dial_on(x);
}

/* The connection is made. NULL: no memory, it is closed. */
static struct origin_conn *
adopt(struct exchange *x, struct conn *own_conn)
{
    struct origin_address *to = x->addresses->items[x->address];
    struct origin_conn *c = origin_pool_adopt(x->pool, to, own_conn);

    origin_server_worked(server_of(x), to, x->pool->block);
    origin_addresses_unref(&x->addresses);
    return c;
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
    x->has_place = false; /* the connection's now */
    c = adopt(x, own_conn);
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
