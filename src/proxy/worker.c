/*
 * A worker: each room's part of it, made from the lowest floor up and ended
 * from the highest down. It is drained when the front has no connection left
 * and the tier no deletion.
 */
#include <stdlib.h>

#include "nearside/collapse/flight_run.h"
#include "nearside/origin/group.h"
#include "proxy/proxy.h"

/* --- draining ---------------------------------------------------------- */

static bool
is_empty(const struct worker *w)
{
    return front_is_empty(w->front) && w->tier->journal.pending == 0;
}

/* The front or the tier has nothing left. */
static void
on_empty(void *ctx)
{
    struct proxy_worker *pw =
        OBJ_OF(struct proxy_worker, ctx, PROXY_WORKER_MAGIC);

    if (!pw->is_draining || pw->is_drained || !is_empty(&pw->worker)) {
        return;
    }
    pw->is_drained = true;
    pw->on_drained(pw->drain_ctx);
}

static void
on_drain(void *ctx)
{
    struct proxy_worker *pw =
        OBJ_OF(struct proxy_worker, ctx, PROXY_WORKER_MAGIC);

    front_drain(pw->worker.front);
    pw->is_draining = true;
    on_empty(pw);
}

void
proxy_worker_say_close(struct proxy_worker *pw)
{
    MUST_OBJ(pw, PROXY_WORKER_MAGIC);
    front_say_close(pw->worker.front);
}

void
proxy_worker_drain(
    struct proxy_worker *pw, void (*on_drained)(void *ctx), void *ctx)
{
    MUST_OBJ(pw, PROXY_WORKER_MAGIC);
    pw->on_drained = on_drained;
    pw->drain_ctx = ctx;
    loop_post(pw->worker.loop, &pw->drain_message);
}

unsigned
proxy_worker_requests(const struct proxy_worker *pw)
{
    MUST_OBJ(pw, PROXY_WORKER_MAGIC);
    return front_requests(pw->worker.front);
}

/* --- life -------------------------------------------------------------- */

static bool
pools_make(struct worker *w, const struct proxy_worker_opts *opts)
{
    const struct proxy_opts *p = &opts->proxy->opts;

    w->pools = calloc(p->conf.groups_len, sizeof(struct origin_pool *));
    if (w->pools == NULL) {
        return false;
    }
    for (size_t i = 0; i < p->conf.groups_len; i++) {
        w->pools[i] = origin_pool_new(p->groups[i], w->loop, w->ring, w->block);
        if (w->pools[i] == NULL) {
            return false;
        }
    }
    return true;
}

static bool
rooms_make(struct proxy_worker *pw, const struct proxy_worker_opts *opts)
{
    struct proxy *proxy = opts->proxy;
    struct worker *w = &pw->worker;
    struct redis *redis = proxy->opts.redis;

    if (redis != NULL) {
        w->time = redis_time(redis);
        w->redis = redis_client_new(redis, w->loop, w->ring, w->block);
    }
    tier_worker_init(&pw->tier, &proxy->tier, w, on_empty, pw);
    touch_start(&pw->touch, w);
    collapse_worker_init(&pw->collapse, &proxy->collapse, w);
    return (redis == NULL || w->redis != NULL) && pools_make(w, opts) &&
           request_worker_new(proxy->requests, w) != NULL &&
           front_worker_new(proxy->front, w, on_empty, pw) != NULL;
}

struct proxy_worker *
proxy_worker_new(const struct proxy_worker_opts *opts)
{
    struct proxy_worker *pw = calloc(1, sizeof(*pw));

    MUST_OBJ(opts->proxy, PROXY_MAGIC);
    MUST(opts->index < opts->proxy->opts.workers);
    if (pw == NULL) {
        return NULL;
    }
    pw->magic = PROXY_WORKER_MAGIC;
    pw->proxy = opts->proxy;
    pw->worker = (struct worker){
        .magic = WORKER_MAGIC,
        .index = opts->index,
        .loop = opts->loop,
        .time = &shared_time_own,
        .ring = opts->ring,
        .block = opts->block,
        .metrics = &opts->proxy->metrics,
        .conf = opts->proxy->conf,
        .credit = &opts->proxy->credit,
    };
    random_seed(&pw->worker.random);
    loop_message_init(&pw->drain_message, on_drain, pw);
    if (!rooms_make(pw, opts)) {
        proxy_worker_free(&pw);
    }
    return pw;
}

enum rc
proxy_worker_listen(struct proxy_worker *pw, int fd)
{
    MUST_OBJ(pw, PROXY_WORKER_MAGIC);
    return front_listen(pw->worker.front, fd);
}

static void
pools_free(struct worker *w, size_t groups_len)
{
    for (size_t i = 0; w->pools != NULL && i < groups_len; i++) {
        if (w->pools[i] != NULL) {
            origin_pool_free(&w->pools[i]);
        }
    }
    free(w->pools);
}

void
proxy_worker_free(struct proxy_worker **ppw)
{
    struct proxy_worker *pw = *ppw;
    struct worker *w;

    if (pw == NULL) {
        return;
    }
    MUST_OBJ(pw, PROXY_WORKER_MAGIC);
    *ppw = NULL;
    w = &pw->worker;
    pw->is_draining = false; /* nobody is told any more */
    if (w->front != NULL) {
        front_worker_stop(w->front);
    }
    flight_runs_free(w);
    touch_stop(&pw->touch);
    tier_worker_stop(w);
    redis_client_free(&w->redis);
    /* Messages and tasks that are still under way find their objects. */
    loop_turn(w->loop, 0);
    pools_free(w, pw->proxy->opts.conf.groups_len);
    front_worker_free(&w->front);
    request_worker_free(&w->request);
    MUST(list_is_empty(&pw->collapse.runs));
    MUST(list_is_empty(&pw->tier.stores));
    MUST(list_is_empty(&pw->tier.deletions));
    pw->magic = 0;
    w->magic = 0;
    free(pw);
}
