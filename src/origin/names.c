/*
 * The addresses of a group's server.
 *
 * Laws: no lookup ever blocks the loop, at most one is under way per pool,
 * and it is shared by all who wait. An answer that has grown old is still
 * used while the next lookup runs, and when that fails: an origin does not
 * go away because a name server did.
 */
#include "origin/pool_inside.h"

void
origin_names_init(struct origin_pool *pool,
    void (*on_names)(struct list *waiting, enum rc rc))
{
    struct origin_names *names = &pool->names;

    names->on_names = on_names;
    list_init(&names->waiting);
    if (pool->group->is_fixed) {
        names->addresses = addresses_new(&pool->group->address, 1);
    }
}

void
origin_names_fini(struct origin_pool *pool)
{
    MUST(list_is_empty(&pool->names.waiting));
    resolve_cancel(&pool->names.lookup);
    addresses_unref(&pool->names.addresses);
}

static void
on_answer(void *ctx, const struct resolve_answer *answer)
{
    struct origin_pool *pool = OBJ_OF(struct origin_pool, ctx, POOL_MAGIC);
    struct origin_names *names = &pool->names;
    struct list waiting;
    struct list *link;

    MUST(names->lookup != NULL);
    names->lookup = NULL;
    if (answer->rc == RC_OK) {
        addresses_unref(&names->addresses);
        names->addresses = addresses_ref(answer->addresses);
        names->first = 0;
    }
    /* Who starts waiting inside these callbacks waits for the next lookup. */
    list_init(&waiting);
    list_splice(&waiting, &names->waiting);
    while ((link = list_pop(&waiting)) != NULL) {
        names->on_names(link, answer->rc);
    }
}

static bool
lookup_start(struct origin_pool *pool)
{
    const struct uri_server *server = &pool->group->server;
    struct origin_names *names = &pool->names;

    MUST(pool->resolver != NULL);
    MUST(names->lookup == NULL);
    names->lookup = resolve_start(
        pool->resolver, pool->loop, server->host, on_answer, pool);
    names->asked_ms = loop_now_ms(pool->loop);
    return names->lookup != NULL;
}

enum rc
origin_names_get(struct origin_pool *pool)
{
    struct origin_names *names = &pool->names;
    int64_t age_ms = loop_now_ms(pool->loop) - names->asked_ms;

    if (pool->group->is_fixed) {
        return names->addresses != NULL ? RC_OK : RC_NOMEM;
    }
    if (names->addresses == NULL) {
        return names->lookup != NULL || lookup_start(pool) ? RC_AGAIN
                                                           : RC_NOMEM;
    }
    if (names->lookup == NULL &&
        age_ms >= pool->group->opts.resolve_interval_ms) {
        /* Without memory the old answer serves until the next interval. */
        (void)lookup_start(pool);
    }
    return RC_OK;
}

void
origin_names_failed(struct origin_pool *pool, unsigned i)
{
    struct origin_names *names = &pool->names;

    MUST(names->addresses != NULL);
    if (i % names->addresses->count == names->first) {
        names->first = (i + 1) % names->addresses->count;
    }
}
