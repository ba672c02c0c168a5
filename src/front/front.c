/*
 * How many connections there are, and whether a worker has any left. Nothing
 * here makes or ends a connection; accept.c and h1/session.c do, and tell.
 */
#include "front/front_inside.h"

#include <stdlib.h>

enum {
    WARN_EVERY_MS = 60000,
};

struct front *
front_new(const struct front_opts *opts)
{
    struct front *front = calloc(1, sizeof(*front));

    MUST(opts->workers > 0);
    if (front == NULL) {
        return NULL;
    }
    front->magic = FRONT_MAGIC;
    front->opts = *opts;
    front->client_counts = client_counts_new(opts->connections_per_ip);
    front->workers = calloc(opts->workers, sizeof(*front->workers));
    if (front->client_counts == NULL || front->workers == NULL) {
        front_free(&front);
    }
    return front;
}

void
front_free(struct front **pfront)
{
    struct front *front = *pfront;

    if (front == NULL) {
        return;
    }
    MUST_OBJ(front, FRONT_MAGIC);
    MUST(atomic_load(&front->connections) == 0);
    MUST(atomic_load(&front->lingering) == 0);
    *pfront = NULL;
    client_counts_free(&front->client_counts);
    free(front->workers);
    front->magic = 0;
    free(front);
}

unsigned
front_connections(const struct front *front)
{
    MUST_OBJ(front, FRONT_MAGIC);
    return atomic_load(&((struct front *)(uintptr_t)front)->connections);
}

bool
front_may_warn(const struct front_worker *f, _Atomic int64_t *next_ms)
{
    int64_t now_ms = worker_now_ms(f->worker);
    int64_t next = atomic_load(next_ms);

    MUST_OBJ(f, FRONT_WORKER_MAGIC);
    return now_ms >= next && atomic_compare_exchange_strong(
                                 next_ms, &next, now_ms + WARN_EVERY_MS);
}

void
front_release(struct front_worker *f, const struct address *peer)
{
    MUST_OBJ(f, FRONT_WORKER_MAGIC);
    MUST(atomic_load(&f->front->connections) > 0);
    MUST(atomic_load(&f->sessions_len) > 0);
    client_counts_put(f->front->client_counts, peer);
    atomic_fetch_sub(&f->front->connections, 1);
    atomic_fetch_sub(&f->sessions_len, 1);
}

/* --- a worker draining -------------------------------------------------- */

bool
front_is_empty(const struct front_worker *f)
{
    MUST_OBJ(f, FRONT_WORKER_MAGIC);
    return list_is_empty(&f->sessions) && list_is_empty(&f->fresh) &&
           list_is_empty(&f->idle) && list_is_empty(&f->lingering) &&
           list_is_empty(&f->refusals) &&
           atomic_load(&((struct front_worker *)(uintptr_t)f)->handoffs) ==
               NULL;
}

void
front_check_empty(struct front_worker *f)
{
    MUST_OBJ(f, FRONT_WORKER_MAGIC);
    if (f->is_draining && front_is_empty(f)) {
        f->on_empty(f->ctx);
    }
}

void
front_say_close(struct front_worker *f)
{
    MUST_OBJ(f, FRONT_WORKER_MAGIC);
    atomic_store(&f->says_close, true);
}
