/*
 * A pool's connections: the idle ones, and the way into and out of them.
 *
 * Laws: idle connections stand in the order of their last use: the newest is
 * taken first, so that the load's need decides how many stay, and the oldest
 * end by the idle timeout. Reading stays wanted while a connection is idle:
 * whatever comes then (a byte nobody asked for, an end, an error) kills it
 * (RFC 9112 9.2). Who takes a connection becomes its owner and hears of it.
 *
 *     idle -> | used last | ... | used first |   <- idle_timer looks here
 */
#include "origin/pool_inside.h"

#include <stdlib.h>

static void
idle_drop(struct origin_conn *c)
{
    MUST(list_is_linked(&c->link));
    MUST(c->pool->idle_len > 0);
    c->pool->idle_len--;
    list_remove(&c->link);
    origin_pool_close(&c, false);
}

static void
on_readable(void *ctx)
{
    idle_drop(OBJ_OF(struct origin_conn, ctx, ORIGIN_CONN_MAGIC));
}

/* An idle connection has nothing to write. */
static void
on_writable(void *ctx)
{
    const struct origin_conn *c =
        OBJ_OF(struct origin_conn, ctx, ORIGIN_CONN_MAGIC);

    MUST(!list_is_linked(&c->link));
}

static const struct conn_callbacks idle_events = {
    .on_readable = on_readable,
    .on_writable = on_writable,
};

struct origin_conn *
origin_pool_adopt(
    struct origin_pool *pool, struct origin_address *to, struct conn *own_conn)
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
    c->address = origin_address_ref(to);
    c->conn = own_conn;
    list_init(&c->link);
    conn_set_owner(own_conn, &idle_events, c);
    metric_inc(pool->block, pool->group->metrics.connections);
    return c;
}

/* Closes what it has of the world; its memory stays until the turn's end. */
static void
lay_down(struct origin_conn *c, bool is_abrupt)
{
    struct origin_pool *pool = c->pool;

    MUST(c->conn != NULL);
    MUST(!list_is_linked(&c->link));
    if (is_abrupt) {
        conn_abort(&c->conn);
    } else {
        conn_close(&c->conn);
    }
    origin_address_unref(&c->address);
    metric_add_to(pool->block, pool->group->metrics.connections, -1);
    list_push_back(&pool->dead_conns, &c->link);
    origin_pool_turn(pool);
}

void
origin_pool_close(struct origin_conn **pc, bool is_abrupt)
{
    struct origin_conn *c = *pc;

    MUST_OBJ(c, ORIGIN_CONN_MAGIC);
    *pc = NULL;
    lay_down(c, is_abrupt);
    origin_group_release(c->pool->group);
}

void
origin_pool_replace(struct origin_conn **pc)
{
    struct origin_conn *c = *pc;

    MUST_OBJ(c, ORIGIN_CONN_MAGIC);
    *pc = NULL;
    lay_down(c, false);
}

/* --- the idle ones ----------------------------------------------------- */

static struct origin_conn *
idle_oldest(struct origin_pool *pool)
{
    struct origin_conn *c =
        CONTAINER_OF(pool->idle.prev, struct origin_conn, link);

    MUST_OBJ(c, ORIGIN_CONN_MAGIC);
    return c;
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
        idle_drop(idle_oldest(pool));
    }
    if (!list_is_empty(&pool->idle)) {
        loop_timer_arm(&pool->idle_timer, idle_until_ms(pool));
    }
}

void
origin_conns_leave(struct origin_pool *pool)
{
    MUST_OBJ(pool, POOL_MAGIC);
    LIST_EACH (it, &pool->idle) {
        struct origin_conn *c = CONTAINER_OF(it, struct origin_conn, link);

        MUST_OBJ(c, ORIGIN_CONN_MAGIC);
        if (atomic_load(&c->address->is_gone)) {
            idle_drop(c);
        }
    }
}

struct origin_conn *
origin_pool_take(struct origin_pool *pool)
{
    struct list *link = list_pop(&pool->idle);
    struct origin_conn *c;

    if (link == NULL) {
        return NULL;
    }
    MUST(pool->idle_len > 0);
    pool->idle_len--;
    c = CONTAINER_OF(link, struct origin_conn, link);
    MUST_OBJ(c, ORIGIN_CONN_MAGIC);
    MUST(c->conn != NULL);
    return c;
}

/* A waiter of this worker gets the connection, if its turn is near. Else it is
   closed, and whoever is first gets its place. The close is a reset, which
   leaves no port behind. */
static void
hand_on(struct origin_pool *pool, struct origin_conn *c)
{
    struct origin_waiter *w =
        conn_is_quiet(c->conn) ? origin_queue_take(pool) : NULL;

    if (w == NULL) {
        origin_pool_close(&c, true);
    } else {
        pool->on_place(w, c);
    }
}

void
origin_conns_make_room(struct origin_pool *pool)
{
    MUST_OBJ(pool, POOL_MAGIC);
    while (pool->idle_len > 0 && origin_group_is_waited_for(pool->group)) {
        idle_drop(idle_oldest(pool));
    }
}

void
origin_pool_put(struct origin_pool *pool, struct origin_conn *c)
{
    MUST_OBJ(c, ORIGIN_CONN_MAGIC);
    MUST(c->conn != NULL);
    MUST(c->pool == pool);
    conn_set_owner(c->conn, &idle_events, c);
    c->is_reused = true;
    if (origin_group_is_waited_for(pool->group)) {
        hand_on(pool, c);
        return;
    }
    c->idle_since_ms = loop_now_ms(pool->loop);
    list_push_front(&pool->idle, &c->link);
    pool->idle_len++;
    if (pool->idle_len > origin_group_idle_max(pool->group)) {
        idle_drop(idle_oldest(pool));
    }
    if (pool->idle_len > 0 && !loop_timer_is_armed(&pool->idle_timer)) {
        loop_timer_arm(&pool->idle_timer, idle_until_ms(pool));
    }
}

/* --- life -------------------------------------------------------------- */

void
origin_conns_init(struct origin_pool *pool)
{
    list_init(&pool->idle);
    list_init(&pool->dead_conns);
    loop_timer_init(&pool->idle_timer, pool->loop, on_idle_timer, pool);
}

void
origin_conns_fini(struct origin_pool *pool)
{
    while (!list_is_empty(&pool->idle)) {
        idle_drop(idle_oldest(pool));
    }
    loop_timer_cancel(&pool->idle_timer);
    origin_conns_bury(pool);
}

void
origin_conns_bury(struct origin_pool *pool)
{
    struct list *link;

    while ((link = list_pop(&pool->dead_conns)) != NULL) {
        struct origin_conn *c = CONTAINER_OF(link, struct origin_conn, link);
        MUST_OBJ(c, ORIGIN_CONN_MAGIC);
        MUST(c->conn == NULL);
        c->magic = 0;
        free(c);
    }
}
