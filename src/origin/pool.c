/*
 * A pool: one worker's connections to a group and the exchanges on them.
 *
 * Laws: a pool and all that hangs from it belong to one loop. The dead of a
 * turn are buried at its end, so that nothing dies inside its own callback.
 */
#include <stdlib.h>

#include "origin/exchange_inside.h"

static void
on_turn_end(void *ctx)
{
    struct origin_pool *pool = OBJ_OF(struct origin_pool, ctx, POOL_MAGIC);

    origin_conns_bury(pool);
    exchanges_bury(pool);
}

/* Another worker has a place for one of this pool's waiters; or somebody waits,
   and this pool may have idle connections. */
static void
on_bell(void *ctx)
{
    struct origin_pool *pool = OBJ_OF(struct origin_pool, ctx, POOL_MAGIC);
    struct origin_waiter *w;

    while ((w = origin_queue_pop(pool)) != NULL) {
        pool->on_place(w, NULL);
    }
    origin_conns_make_room(pool);
}

/* What others reach it by. */
static enum rc
pool_join(struct origin_pool *pool)
{
    pool->bell = bell_new(pool->loop, on_bell, pool);
    if (pool->bell == NULL) {
        return RC_NOMEM;
    }
    if (origin_names_init(pool, exchange_on_names) != RC_OK) {
        bell_free(&pool->bell);
        return RC_NOMEM;
    }
    origin_queue_join(pool);
    return RC_OK;
}

struct origin_pool *
origin_pool_new(struct origin_group *group, struct loop *loop,
    struct log_ring *ring, struct metric_block *block)
{
    struct origin_pool *pool = calloc(1, sizeof(*pool));

    MUST_OBJ(group, GROUP_MAGIC);
    if (pool == NULL) {
        return NULL;
    }
    pool->magic = POOL_MAGIC;
    pool->group = group;
    pool->loop = loop;
    pool->ring = ring;
    pool->block = group->is_measured ? block : NULL;
    if (pool_join(pool) != RC_OK) {
        free(pool);
        return NULL;
    }
    origin_conns_init(pool);
    list_init(&pool->spare);
    list_init(&pool->dead_exchanges);
    loop_task_init(&pool->turn_end, on_turn_end, pool);
    buf_init(&pool->in, exchange_in_max(group));
    pool->on_place = exchange_on_place;
    atomic_fetch_add(&group->pools, 1);
    return pool;
}

void
origin_pool_free(struct origin_pool **ppool)
{
    struct origin_pool *pool = *ppool;

    if (pool == NULL) {
        return;
    }
    MUST_OBJ(pool, POOL_MAGIC);
    MUST(pool->live == 0);
    MUST_OBJ(pool->group, GROUP_MAGIC);
    *ppool = NULL;
    origin_conns_fini(pool);
    origin_names_fini(pool);
    origin_queue_part(pool);
    bell_free(&pool->bell);
    loop_task_cancel(&pool->turn_end);
    exchanges_free(pool);
    buf_fini(&pool->in);
    atomic_fetch_sub(&pool->group->pools, 1);
    pool->magic = 0;
    free(pool);
}
