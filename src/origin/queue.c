/*
 * The places of a group, and who waits for one. A place is the right to have
 * one connection; there are connections_max of them.
 *
 * Laws.
 * - A connection is counted before it is dialled and given back when it is
 *   closed, so connections_max is never exceeded, not even for a moment.
 * - The queue is one for all workers, as connections_max is, and who came first
 *   is served first. But a kept connection, which no other worker can use, is
 *   for one of its own who came hardly later.
 * - While somebody waits no newcomer gets a place, and no worker keeps an idle
 *   connection: it is handed on, or closed for its place.
 * - Whoever gives a place back counts it down and then looks for who waits;
 *   whoever begins to wait stands in the queue and then looks for a place. So
 *   one of the two sees the other.
 * - The lock guards the lists; `len` can be read without it.
 *
 *     waiting -> | came first | ... | came last |
 *                   | a place is free
 *                   v
 *     its pool's granted -> bell -> on_place, on the pool's own loop
 */
#include "origin/pool_inside.h"

enum {
    /* Who came no more than so much later than the first may get a connection
       before it. With four workers, three of four requests would dial
       otherwise. */
    NEAR_MS = 50,
    /* Waiters looked at for that, under the lock. */
    NEAR_MAX = 64,
};

static void
queue_lock(struct origin_queue *queue)
{
    MUST(pthread_mutex_lock(&queue->lock) == 0);
}

static void
queue_unlock(struct origin_queue *queue)
{
    MUST(pthread_mutex_unlock(&queue->lock) == 0);
}

/* --- life -------------------------------------------------------------- */

void
origin_queue_init(struct origin_queue *queue)
{
    MUST(pthread_mutex_init(&queue->lock, NULL) == 0);
    list_init(&queue->pools);
    list_init(&queue->waiting);
}

void
origin_queue_fini(struct origin_queue *queue)
{
    MUST(list_is_empty(&queue->pools));
    MUST(list_is_empty(&queue->waiting));
    MUST(pthread_mutex_destroy(&queue->lock) == 0);
}

void
origin_queue_join(struct origin_pool *pool)
{
    struct origin_queue *queue = &pool->group->queue;

    MUST_OBJ(pool, POOL_MAGIC);
    MUST(pool->bell != NULL);
    list_init(&pool->granted);
    queue_lock(queue);
    list_push_back(&queue->pools, &pool->sibling);
    queue_unlock(queue);
}

void
origin_queue_part(struct origin_pool *pool)
{
    struct origin_queue *queue = &pool->group->queue;

    MUST_OBJ(pool, POOL_MAGIC);
    MUST(list_is_empty(&pool->granted));
    queue_lock(queue);
    list_remove(&pool->sibling);
    queue_unlock(queue);
}

/* --- places ------------------------------------------------------------ */

/* It never counts beyond the maximum and back again: somebody else would find
   no place meanwhile, and wait with nobody left to serve it. */
static bool
count_one(struct origin_group *group)
{
    unsigned max = group->opts.connections_max;
    unsigned now;

    MUST_OBJ(group, GROUP_MAGIC);
    now = atomic_load(&group->connections);
    do {
        if (max != 0 && now >= max) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&group->connections, &now, now + 1));
    return true;
}

bool
origin_group_reserve(struct origin_group *group)
{
    return !origin_group_is_waited_for(group) && count_one(group);
}

/* --- who waits --------------------------------------------------------- */

static struct origin_waiter *
waiter_of(struct list *link)
{
    return CONTAINER_OF(link, struct origin_waiter, link);
}

static void
take_off(struct origin_queue *queue, struct origin_waiter *w)
{
    MUST(atomic_load(&queue->len) > 0);
    list_remove(&w->link);
    atomic_fetch_sub(&queue->len, 1);
}

/* As many as there are places for. Under the lock. */
static void
grant(struct origin_group *group)
{
    struct origin_queue *queue = &group->queue;
    struct list *link;

    while ((link = list_first(&queue->waiting)) != NULL && count_one(group)) {
        struct origin_waiter *w = waiter_of(link);

        take_off(queue, w);
        w->is_granted = true;
        list_push_back(&w->pool->granted, &w->link);
        bell_ring(w->pool->bell);
    }
}

void
origin_group_release(struct origin_group *group)
{
    unsigned before = atomic_fetch_sub(&group->connections, 1);

    MUST(before > 0);
    if (origin_group_is_waited_for(group)) {
        queue_lock(&group->queue);
        grant(group);
        queue_unlock(&group->queue);
    }
}

/* The first who waits hurries all: what is idle elsewhere is to be closed. */
static void
ring_all(struct origin_queue *queue)
{
    LIST_EACH (link, &queue->pools) {
        struct origin_pool *pool =
            CONTAINER_OF(link, struct origin_pool, sibling);
        MUST_OBJ(pool, POOL_MAGIC);
        bell_ring(pool->bell);
    }
}

bool
origin_queue_enter(struct origin_waiter *w, struct origin_pool *pool)
{
    struct origin_group *group = pool->group;
    struct origin_queue *queue = &group->queue;
    unsigned len;

    MUST_OBJ(pool, POOL_MAGIC);
    MUST(!list_is_linked(&w->link));
    queue_lock(queue);
    len = atomic_load(&queue->len);
    if (len < group->opts.queue_max) {
        w->pool = pool;
        w->is_granted = false;
        w->since_ms = loop_now_ms(pool->loop);
        list_push_back(&queue->waiting, &w->link);
        atomic_store(&queue->len, len + 1);
        if (len == 0) {
            ring_all(queue);
        }
    }
    grant(group);
    queue_unlock(queue);
    return len < group->opts.queue_max;
}

bool
origin_queue_leave(struct origin_waiter *w)
{
    struct origin_queue *queue = &w->pool->group->queue;
    bool is_granted;

    MUST_OBJ(w->pool, POOL_MAGIC);
    queue_lock(queue);
    MUST(list_is_linked(&w->link));
    is_granted = w->is_granted;
    if (is_granted) {
        list_remove(&w->link);
    } else {
        take_off(queue, w);
    }
    queue_unlock(queue);
    return is_granted;
}

/* The first of the pool's own among those who came with the very first. */
static struct origin_waiter *
first_of(const struct origin_queue *queue, const struct origin_pool *pool)
{
    struct list *link = queue->waiting.next;

    for (unsigned i = 0; i < NEAR_MAX && link != &queue->waiting; i++) {
        struct origin_waiter *w = waiter_of(link);
        if (w->since_ms - waiter_of(queue->waiting.next)->since_ms > NEAR_MS) {
            return NULL;
        }
        if (w->pool == pool) {
            return w;
        }
        link = link->next;
    }
    return NULL;
}

struct origin_waiter *
origin_queue_take(struct origin_pool *pool)
{
    struct origin_queue *queue = &pool->group->queue;
    struct origin_waiter *w;

    MUST_OBJ(pool, POOL_MAGIC);
    queue_lock(queue);
    w = first_of(queue, pool);
    if (w != NULL) {
        take_off(queue, w);
    }
    queue_unlock(queue);
    return w;
}

struct origin_waiter *
origin_queue_pop(struct origin_pool *pool)
{
    struct list *link;

    MUST_OBJ(pool, POOL_MAGIC);
    queue_lock(&pool->group->queue);
    link = list_pop(&pool->granted);
    queue_unlock(&pool->group->queue);
    return link == NULL ? NULL : waiter_of(link);
}
