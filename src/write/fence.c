/*
 * The token of a write: taken by a script that deletes what is stored, renewed
 * for as long as the write is under way, and given back in the end.
 */
#include "nearside/write/fence.h"

#include "nearside/cache/key.h"
#include "nearside/lease/release.h"
#include "nearside/redis/redirect.h"
#include "nearside/tier/tier.h"

#define FENCE_MAGIC UINT32_C(0x6e66656e)

enum {
    AGAIN_MS = 50, /* as long as the token is not held */
    /* So an instance may be cut off for 50 s before anybody can store. */
    RENEW_MS = 10000,
    RENEW_AGAIN_MS = 1000,
};

struct fence {
    uint32_t magic;
    struct fence_opts opts;
    struct slice key;
    struct slice lease_key;
    struct slice token;
    struct redis_call call;
    struct loop_timer timer; /* to the next attempt, or renewal */
    int64_t until_ms;        /* by then the token is held, or refused */
    bool was_sent;           /* the token may stand in Redis */
    bool is_plain;           /* no script is run there, so nothing is stored */
    bool is_held;
    char token_text[TOKEN_MAX];
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
on_timer(void *ctx)
{
    fence_try(OBJ_OF(struct fence, ctx, FENCE_MAGIC));
}

static void
try_in(struct fence *f, int64_t ms)
{
    MUST(!redis_call_is_active(&f->call));
    loop_timer_arm(&f->timer, worker_now_ms(f->opts.worker) + ms);
}

static void
note_sent(struct fence *f)
{
    MUST_OBJ(f, FENCE_MAGIC);
    f->was_sent |=
        !f->is_plain && (redis_call_is_active(&f->call) || f->call.was_sent);
}

/* Nobody is to be kept from storing for a write that is over. */
static void
give_back(struct fence *f)
{
    note_sent(f);
    redis_call_cancel(&f->call);
    if (f->was_sent) {
        release_fence(f->opts.worker, f->opts.q, f->token);
    }
    f->was_sent = false;
    f->call.was_sent = false;
}

/* Not acknowledged. */
static void
try_again(struct fence *f)
{
    if (f->is_held) {
        try_in(f, RENEW_AGAIN_MS);
    } else if (worker_now_ms(f->opts.worker) < f->until_ms) {
        try_in(f, AGAIN_MS);
    } else {
        give_back(f);
        f->opts.on_ready(f->opts.ctx, false);
    }
}

static void
on_acknowledged(struct fence *f)
{
    struct worker *w = f->opts.worker;
    bool was_held = f->is_held;

    f->is_held = true;
    f->is_plain = false;
    try_in(f, RENEW_MS);
    if (!was_held) {
        written_mark(w->tier->written, f->opts.q->key.hash);
        f->opts.on_ready(f->opts.ctx, true);
    }
}

static void
on_reply(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct fence *f = OBJ_OF(struct fence, ctx, FENCE_MAGIC);

    MUST(!loop_timer_is_armed(&f->timer));
    note_sent(f);
    if (rc == RC_OK && reply->type == REDIS_INTEGER) {
        on_acknowledged(f);
        return;
    }
    /* Where no script is run: a plain deletion next, and else a script again.
     */
    f->is_plain = !f->is_plain && rc == RC_OK && reply->type == REDIS_ERROR &&
                  redis_error_is_of_scripts(slice_of(reply->str, reply->len));
    try_again(f);
}

static void
fence_try(struct fence *f)
{
    struct worker *w = f->opts.worker;
    const struct slice entry_key = f->opts.q->entry_key;
    const struct slice del[] = {SLICE("DEL"), entry_key, f->lease_key};
    const struct slice take[] = {
        f->key, entry_key, f->lease_key, f->token, FENCE_PX};

    MUST(!redis_call_is_active(&f->call));
    f->call = (struct redis_call){
        .on_reply = on_reply, .ctx = f, .retries = true, .is_guarded = true};
    if (f->is_plain) {
        redis_send(w->redis, &f->call, entry_key, ARRAY_LEN(del), del);
    } else {
        redis_eval(w->redis, &f->call, &w->lease->scripts->fence, take, 3,
            ARRAY_LEN(take));
    }
}

/* The keys in Redis, and the token. RC_NOMEM. */
static enum rc
make_keys(struct fence *f)
{
    struct worker *w = f->opts.worker;
    struct slice entry_key = f->opts.q->entry_key;
    char *text = arena_alloc(f->opts.arena, 2 * entry_key.len);

    MUST(entry_key.len > 0);
    if (text == NULL) {
        return RC_NOMEM;
    }
    key_fence_of(entry_key, w->conf->prefix, text);
    key_lease_of(entry_key, w->conf->prefix, text + entry_key.len);
    f->key = slice_of(text, entry_key.len);
    f->lease_key = slice_of(text + entry_key.len, entry_key.len);
    f->token = slice_of(f->token_text, lease_make_token(w, f->token_text));
    return RC_OK;
}

struct fence *
fence_begin(const struct fence_opts *opts)
{
    struct fence *f = arena_zalloc(opts->arena, sizeof(*f));
    struct worker *w = opts->worker;

    MUST(opts->on_ready != NULL);
    MUST(fence_is_due(w, opts->q));
    if (f == NULL) {
        return NULL;
    }
    f->magic = FENCE_MAGIC;
    f->opts = *opts;
    if (make_keys(f) != RC_OK) {
        return NULL;
    }
    f->until_ms = worker_now_ms(w) + w->conf->opts.limits.flight_wait_ms;
    loop_timer_init(&f->timer, w->loop, on_timer, f);
    fence_try(f);
    return f;
}

static void
end(struct fence **pf)
{
    struct fence *f = *pf;

    MUST_OBJ(f, FENCE_MAGIC);
    *pf = NULL;
    redis_call_cancel(&f->call);
    loop_timer_cancel(&f->timer);
    f->magic = 0;
}

void
fence_drop(struct fence **pf)
{
    if (*pf != NULL) {
        MUST_OBJ(*pf, FENCE_MAGIC);
        give_back(*pf);
        end(pf);
    }
}

void
fence_leave(struct fence **pf)
{
    if (*pf != NULL && (*pf)->is_held) {
        end(pf);
    } else {
        fence_drop(pf);
    }
}
