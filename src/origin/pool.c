/*
 * One worker's connections to a group.
 *
 * Laws: a pool and all that hangs from it belong to one loop. Idle
 * connections stand in the order of their last use: the newest is taken
 * first, so that the load's need decides how many stay, and the oldest end
 * by the idle timeout. Reading stays wanted while a connection is idle:
 * whatever comes then (a byte nobody asked for, an end, an error) kills it
 * (RFC 9112 9.2). The dead of a turn are buried at its end, so that nothing
 * dies inside its own callback.
 *
 *     idle -> | used last | ... | used first |   <- idle_timer looks here
 */
#include "origin/pool_inside.h"

#include <stdlib.h>

#include "origin/exchange_inside.h"
#include "nearside/base/check.h"

/* --- the end of a turn ------------------------------------------------- */

static void
conns_bury(struct origin_pool *pool)
{
    struct list *link;

    while ((link = list_pop(&pool->dead_conns)) != NULL) {
        struct origin_conn *c = CONTAINER_OF(link, struct origin_conn, link);
        c->magic = 0;
        free(c);
    }
}

static void
exchanges_bury(struct origin_pool *pool)
{
    struct list *link;

    while ((link = list_pop(&pool->dead_exchanges)) != NULL) {
        struct exchange *x = CONTAINER_OF(link, struct exchange, link);
        if (pool->spare_len < SPARE_MAX) {
            list_push_front(&pool->spare, &x->link);
            pool->spare_len++;
        } else {
            exchange_free(x);
        }
    }
}

static void
on_turn_end(void *ctx)
{
    struct origin_pool *pool = OBJ_OF(struct origin_pool, ctx, POOL_MAGIC);

    conns_bury(pool);
    exchanges_bury(pool);
}

void
origin_pool_turn(struct origin_pool *pool)
{
    loop_defer(pool->loop, &pool->turn_end);
}

/* --- connections ------------------------------------------------------- */

static void
on_readable(void *ctx)
{
    struct origin_conn *c = OBJ_OF(struct origin_conn, ctx, ORIGIN_CONN_MAGIC);

    if (c->exchange != NULL) {
        exchange_on_readable(c->exchange);
        return;
    }
    c->pool->idle_len--;
    list_remove(&c->link);
    origin_pool_close(&c, false);
}

static void
on_writable(void *ctx)
{
    struct origin_conn *c = OBJ_OF(struct origin_conn, ctx, ORIGIN_CONN_MAGIC);

    MUST(c->exchange != NULL);
    exchange_on_writable(c->exchange);
}

static const struct conn_callbacks conn_callbacks = {
    .on_readable = on_readable,
    .on_writable = on_writable,
};

struct origin_conn *
origin_pool_adopt(struct origin_pool *pool, struct conn *own_conn)
{
    struct origin_conn *c = calloc(1, sizeof(*c));

    MUST_OBJ(pool, POOL_MAGIC);
    if (c == NULL) {
        conn_close(&own_conn);
        origin_group_release(pool->group);
        return NULL;
    }
    c->magic = ORIGIN_CONN_MAGIC;
    c->pool = pool;
    c->conn = own_conn;
    list_init(&c->link);
    conn_set_owner(own_conn, &conn_callbacks, c);
    metric_inc(pool->block, pool->group->metrics.connections);
    return c;
}

void
origin_pool_close(struct origin_conn **pc, bool is_abrupt)
{
    struct origin_conn *c = *pc;
    struct origin_pool *pool;

    MUST_OBJ(c, ORIGIN_CONN_MAGIC);
    MUST(c->conn != NULL);
    *pc = NULL;
    pool = c->pool;
    if (is_abrupt) {
        conn_abort(&c->conn);
    } else {
        conn_close(&c->conn);
    }
    c->exchange = NULL;
    metric_add_to(pool->block, pool->group->metrics.connections, -1);
    origin_group_release(pool->group);
    list_push_back(&pool->dead_conns, &c->link);
    origin_pool_turn(pool);
}

/* --- the idle ones ----------------------------------------------------- */

static struct origin_conn *
idle_oldest(struct origin_pool *pool)
{
    return CONTAINER_OF(pool->idle.prev, struct origin_conn, link);
}

static void
idle_drop_oldest(struct origin_pool *pool)
{
    struct origin_conn *c = idle_oldest(pool);

    list_remove(&c->link);
    pool->idle_len--;
    origin_pool_close(&c, false);
}

static int64_t
idle_until_ms(struct origin_pool *pool)
{
    return idle_oldest(pool)->idle_since_ms + pool->group->opts.idle_timeout_ms;
}

static void
on_idle_timer(void *ctx)
{
    struct origin_pool *pool = OBJ_OF(struct origin_pool, ctx, POOL_MAGIC);

    while (!list_is_empty(&pool->idle) &&
           idle_until_ms(pool) <= loop_now_ms(pool->loop)) {
        idle_drop_oldest(pool);
    }
    if (!list_is_empty(&pool->idle)) {
        loop_timer_arm(&pool->idle_timer, idle_until_ms(pool));
    }
}

struct origin_conn *
origin_pool_take(struct origin_pool *pool)
{
    struct list *link = list_pop(&pool->idle);

    if (link == NULL) {
        return NULL;
    }
    pool->idle_len--;
    return CONTAINER_OF(link, struct origin_conn, link);
}

void
origin_pool_put(struct origin_pool *pool, struct origin_conn *c)
{
    MUST_OBJ(c, ORIGIN_CONN_MAGIC);
    MUST(c->conn != NULL);
    c->exchange = NULL;
    c->is_reused = true;
    c->idle_since_ms = loop_now_ms(pool->loop);
    list_push_front(&pool->idle, &c->link);
    pool->idle_len++;
    if (pool->idle_len > origin_group_idle_max(pool->group)) {
        idle_drop_oldest(pool);
    }
    if (pool->idle_len > 0 && !loop_timer_is_armed(&pool->idle_timer)) {
        loop_timer_arm(&pool->idle_timer, idle_until_ms(pool));
    }
}

/* --- life -------------------------------------------------------------- */

struct origin_pool *
origin_pool_new(struct origin_group *group, struct loop *loop,
    struct resolver *resolver, struct log_ring *ring,
    struct metric_block *block)
{
    struct origin_pool *pool = calloc(1, sizeof(*pool));

    MUST_OBJ(group, GROUP_MAGIC);
    if (pool == NULL) {
        return NULL;
    }
    pool->magic = POOL_MAGIC;
    pool->group = group;
    pool->loop = loop;
    pool->resolver = resolver;
    pool->ring = ring;
    pool->block = group->is_measured ? block : NULL;
    list_init(&pool->idle);
    list_init(&pool->spare);
    list_init(&pool->dead_conns);
    list_init(&pool->dead_exchanges);
    loop_timer_init(&pool->idle_timer, loop, on_idle_timer, pool);
    loop_task_init(&pool->turn_end, on_turn_end, pool);
    buf_init(&pool->in, exchange_in_max(group));
    origin_names_init(pool);
    atomic_fetch_add(&group->pools, 1);
    return pool;
}

void
origin_pool_free(struct origin_pool **ppool)
{
    struct origin_pool *pool = *ppool;
    struct list *link;

    if (pool == NULL) {
        return;
    }
    MUST_OBJ(pool, POOL_MAGIC);
    MUST(pool->live == 0);
    *ppool = NULL;
    while (!list_is_empty(&pool->idle)) {
        idle_drop_oldest(pool);
    }
    origin_names_fini(pool);
    loop_timer_cancel(&pool->idle_timer);
    loop_task_cancel(&pool->turn_end);
    conns_bury(pool);
    exchanges_bury(pool);
    while ((link = list_pop(&pool->spare)) != NULL) {
        exchange_free(CONTAINER_OF(link, struct exchange, link));
    }
    buf_fini(&pool->in);
    atomic_fetch_sub(&pool->group->pools, 1);
    pool->magic = 0;
    free(pool);
}
