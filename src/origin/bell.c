/*
 * A pool's bell. Another worker rings it, since one of this pool's waiters has
 * its place, or since somebody waits and this pool may have idle connections.
 *
 * Laws. A message stays until it was delivered, which may be after the pool's
 * end: so the bell is freed by itself.
 */
#include "origin/pool_inside.h"

#include <stdlib.h>

static void
on_bell(void *ctx)
{
    struct origin_bell *bell = ctx;
    struct origin_pool *pool = bell->pool;
    struct origin_waiter *w;

    if (pool == NULL) {
        free(bell);
        return;
    }
    MUST_OBJ(pool, POOL_MAGIC);
    while ((w = origin_queue_pop(pool)) != NULL) {
        pool->on_place(w, NULL);
    }
    origin_conns_make_room(pool);
}

enum rc
origin_bell_hang(struct origin_pool *pool)
{
    struct origin_bell *bell = calloc(1, sizeof(*bell));

    if (bell == NULL) {
        return RC_NOMEM;
    }
    bell->pool = pool;
    loop_message_init(&bell->message, on_bell, bell);
    pool->bell = bell;
    origin_queue_join(pool);
    return RC_OK;
}

void
origin_bell_drop(struct origin_pool *pool)
{
    struct origin_bell *bell = pool->bell;

    MUST(bell->pool == pool);
    origin_queue_part(pool);
    pool->bell = NULL;
    bell->pool = NULL;
    if (!atomic_load(&bell->message.is_posted)) {
        free(bell);
    }
}
