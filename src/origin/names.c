/*
 * A worker's view of the server's addresses.
 *
 * Laws. Who dials uses the set that the worker was told of last, without a
 * lock. When a look-up has ended, whatever it brought, all who wait go on; and
 * connections to addresses that the server has no more end: idle ones at once,
 * the others when their answer is complete.
 */
#include "origin/pool_inside.h"

void
origin_names_refresh(struct origin_pool *pool)
{
    struct origin_names *names = &pool->names;

    MUST_OBJ(pool, POOL_MAGIC);
    origin_addresses_unref(&names->addresses);
    names->addresses = origin_server_addresses(pool->group->server);
}

static void
on_news(void *ctx)
{
    struct origin_pool *pool = OBJ_OF(struct origin_pool, ctx, POOL_MAGIC);
    struct list waiting;
    struct list *link;

    origin_names_refresh(pool);
    origin_conns_leave(pool);
    /* Who starts waiting inside these callbacks waits for the next look-up. */
    list_init(&waiting);
    list_splice(&waiting, &pool->names.waiting);
    while ((link = list_pop(&waiting)) != NULL) {
        pool->names.on_names(link);
    }
}

enum rc
origin_names_init(
    struct origin_pool *pool, void (*on_names)(struct list *waiting))
{
    struct origin_names *names = &pool->names;
    struct origin_server *server = pool->group->server;

    MUST(on_names != NULL);
    names->on_names = on_names;
    list_init(&names->waiting);
    if (origin_server_join(server, &names->news, pool->loop, on_news, pool) !=
        RC_OK) {
        return RC_NOMEM;
    }
    /* Workers do not all begin at the same address. */
    names->turn = atomic_load(&pool->group->pools);
    origin_names_refresh(pool);
    return RC_OK;
}

void
origin_names_fini(struct origin_pool *pool)
{
    MUST_OBJ(pool, POOL_MAGIC);
    MUST(list_is_empty(&pool->names.waiting));
    origin_server_part(pool->group->server, &pool->names.news);
    origin_addresses_unref(&pool->names.addresses);
}

int
origin_names_next(struct origin_pool *pool, struct origin_addresses *set,
    uint64_t but, int64_t try_ms)
{
    int next = origin_addresses_next(
        set, pool->names.turn, but, loop_now_ms(pool->loop), try_ms);

    if (next >= 0) {
        pool->names.turn = (unsigned)next + 1;
    }
    return next;
}
