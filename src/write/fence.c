/* Taking the token of a write: SET of the lease, then DEL of the entry. */
#include "nearside/write/fence.h"

#include "nearside/tier/lease.h"
#include "nearside/tier/store.h"

#define FENCE_MAGIC UINT32_C(0x6e66656e)

/* As long as an origin may take by default to answer. */
#define FENCE_PX SLICE("60000")

enum {
    AGAIN_MS = 50,
};

struct fence {
    uint32_t magic;
    struct fence_opts opts;
    struct lease *lease;
    struct redis_call call;
    struct loop_timer again;
    int64_t until_ms;
    bool was_sent; /* the token may stand in Redis */
    bool is_held;
};

static void fence_try(struct fence *f);

bool
fence_is_due(const struct worker *w, const struct question *q)
{
    MUST_OBJ(q, QUESTION_MAGIC);
    return q->route != NULL && q->route->refuses_unfenced && w->redis != NULL &&
           q->entry_key.len > 0;
}

static void
on_again(void *ctx)
{
    fence_try(OBJ_OF(struct fence, ctx, FENCE_MAGIC));
}

static void
try_again(struct fence *f)
{
    int64_t now_ms = worker_now_ms(f->opts.worker);

    MUST(!f->is_held);
    if (now_ms >= f->until_ms) {
        f->opts.on_ready(f->opts.ctx, false);
    } else {
        loop_timer_arm(&f->again, now_ms + AGAIN_MS);
    }
}

static void
begin_call(struct fence *f, redis_reply_fn on_reply)
{
    MUST(!redis_call_is_active(&f->call));
    f->call = (struct redis_call){
        .on_reply = on_reply, .ctx = f, .retries = true, .is_guarded = true};
}

static void
on_deleted(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct fence *f = OBJ_OF(struct fence, ctx, FENCE_MAGIC);
    struct worker *w = f->opts.worker;

    if (rc != RC_OK || reply->type != REDIS_INTEGER) {
        try_again(f);
        return;
    }
    f->is_held = true;
    written_mark(w->tier->written, f->opts.q->key.hash);
    f->opts.on_ready(f->opts.ctx, true);
}

static void
on_set(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct fence *f = OBJ_OF(struct fence, ctx, FENCE_MAGIC);
    const struct slice argv[] = {SLICE("DEL"), f->opts.q->entry_key};

    f->was_sent |= f->call.was_sent;
    if (rc != RC_OK || reply->type != REDIS_STATUS) {
        try_again(f);
        return;
    }
    begin_call(f, on_deleted);
    redis_send(f->opts.worker->redis, &f->call, f->lease->entry_key,
        ARRAY_LEN(argv), argv);
}

static void
fence_try(struct fence *f)
{
    const struct slice argv[] = {
        SLICE("SET"), f->lease->key, f->lease->token, SLICE("PX"), FENCE_PX};

    MUST(!loop_timer_is_armed(&f->again));
    begin_call(f, on_set);
    redis_send(f->opts.worker->redis, &f->call, f->lease->entry_key,
        ARRAY_LEN(argv), argv);
}

struct fence *
fence_begin(const struct fence_opts *opts)
{
    struct fence *f = arena_zalloc(opts->arena, sizeof(*f));
    struct lease *lease = lease_new(opts->worker, opts->q, opts->arena);
    struct worker *w = opts->worker;

    MUST(opts->on_ready != NULL);
    MUST(fence_is_due(w, opts->q));
    if (f == NULL || lease == NULL) {
        return NULL;
    }
    f->magic = FENCE_MAGIC;
    f->opts = *opts;
    f->lease = lease;
    f->until_ms = worker_now_ms(w) + w->conf->opts.limits.flight_wait_ms;
    loop_timer_init(&f->again, w->loop, on_again, f);
    fence_try(f);
    return f;
}

static void
end(struct fence *f)
{
    MUST_OBJ(f, FENCE_MAGIC);
    f->was_sent |= redis_call_is_active(&f->call);
    redis_call_cancel(&f->call);
    loop_timer_cancel(&f->again);
    f->magic = 0;
}

void
fence_drop(struct fence **pf)
{
    struct fence *f = *pf;

    if (f == NULL) {
        return;
    }
    *pf = NULL;
    end(f);
    if (f->was_sent) {
        store_release(f->opts.worker, f->opts.q, f->lease->token);
    }
}

void
fence_leave(struct fence **pf)
{
    struct fence *f = *pf;

    if (f == NULL) {
        return;
    }
    if (!f->is_held) {
        fence_drop(pf);
        return;
    }
    *pf = NULL;
    end(f);
}
