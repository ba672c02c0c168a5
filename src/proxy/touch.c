/*
 * Each second has a share of samples, so large that a walk over all seats takes
 * a minute. A sample is up to SAMPLE seats of one shard. The next one is taken
 * when the calls of those before leave room, and what is left of a share when
 * the next second begins is dropped: a Redis that is slow gets fewer.
 */
#include "proxy/touch.h"

#include <stdlib.h>
#include <string.h>

#include "nearside/tier/tier.h"

#define TOUCH_CALL_MAGIC UINT32_C(0x6e746363)

enum {
    TICK_MS = 1000,
    ROUND_S = 60,
    ROUND_MS = ROUND_S * 1000,
    SAMPLE = MEMORY_SAMPLE_MAX,
    /* Of a second: 4,096 commands at most, which is little for a Redis. From
       250,000 entries on, all of them asked for, a round takes longer. */
    SHARE_MAX = 64,
    /* An eighth of what a connection takes by default, since requests share
       it. */
    CALLS_MAX = 2 * SAMPLE,
};

struct touch_call {
    uint32_t magic;
    struct list link; /* touch's */
    struct touch *touch;
    struct redis_call call;
    char name[];
};

static void
call_free(struct touch_call *c)
{
    struct touch *t = c->touch;

    MUST_OBJ(c, TOUCH_CALL_MAGIC);
    MUST(t->calls_len > 0);
    redis_call_cancel(&c->call);
    list_remove(&c->link);
    t->calls_len--;
    c->magic = 0;
    free(c);
}

/* --- a sample ---------------------------------------------------------- */

static void touch_on(struct touch *t);

static void
on_reply(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct touch_call *c = OBJ_OF(struct touch_call, ctx, TOUCH_CALL_MAGIC);
    struct touch *t = c->touch;

    MUST_OBJ(t, TOUCH_MAGIC);
    call_free(c);
    if (rc != RC_OK) {
        t->left = 0;
    } else if (reply->type == REDIS_ERROR) {
        t->left = 0;
        t->next_round_ms = worker_now_ms(t->worker) + ROUND_MS;
    } else {
        worker_count(t->worker, COUNTER_TOUCHES);
    }
    touch_on(t);
}

/* NULL: no memory. */
static struct touch_call *
call_new(struct touch *t, struct slice name)
{
    struct touch_call *c = calloc(1, sizeof(*c) + name.len);

    MUST(name.len > 0);
    if (c != NULL) {
        c->magic = TOUCH_CALL_MAGIC;
        c->touch = t;
        c->call.on_reply = on_reply;
        c->call.ctx = c;
        memcpy(c->name, name.ptr, name.len);
        list_push_back(&t->calls, &c->link);
        t->calls_len++;
    }
    return c;
}

static void
touch_send(struct touch *t, struct slice name)
{
    struct touch_call *c = call_new(t, name);

    if (c != NULL) {
        struct slice key = slice_of(c->name, name.len);

        redis_send(t->worker->redis, &c->call, key, 2,
            (const struct slice[]){SLICE("TOUCH"), key});
    }
}

/* An entry that no memory can be had for is left out. */
static void
on_asked(void *ctx, const struct entry *entry)
{
    struct touch *t = OBJ_OF(struct touch, ctx, TOUCH_MAGIC);
    struct arena arena;
    struct slice name;

    MUST(t->calls_len < CALLS_MAX);
    arena_init(&arena, SIZE_MAX);
    if (key_redis_of_full(&arena, t->worker->tier->tier->prefix,
            entry_key(entry), &name) == RC_OK) {
        touch_send(t, name);
    }
    arena_fini(&arena);
}

/* --- a minute and its seconds ------------------------------------------ */

/* The walk has come round. The next round begins a minute after this one. */
static void
end_round(struct touch *t)
{
    int64_t next_ms = t->round_ms + ROUND_MS;

    t->left = 0;
    if (t->next_round_ms < next_ms) {
        t->next_round_ms = next_ms;
    }
    t->round_ms = 0;
}

/* For as long as there is room for a whole sample. */
static void
touch_on(struct touch *t)
{
    MUST_OBJ(t, TOUCH_MAGIC);
    MUST(t->left <= SHARE_MAX);
    while (t->left > 0 && t->calls_len + SAMPLE <= CALLS_MAX) {
        t->left--;
        if (memory_sample(
                tier_memory(t->worker), &t->walk, SAMPLE, on_asked, t)) {
            end_round(t);
        }
    }
}

/* As many samples as a second must take. The last one of a shard may be short,
   and seats that were used once are looked at for ever. */
static unsigned
share(struct touch *t)
{
    struct memory_counts counts;
    size_t samples;

    memory_count(tier_memory(t->worker), &counts);
    if (t->seats < counts.entries) {
        t->seats = counts.entries;
    }
    samples = (t->seats / SAMPLE + MEMORY_SHARDS_MAX) / ROUND_S + 1;
    return samples < SHARE_MAX ? (unsigned)samples : SHARE_MAX;
}

static void
on_tick(void *ctx)
{
    struct touch *t = OBJ_OF(struct touch, ctx, TOUCH_MAGIC);
    int64_t now_ms = worker_now_ms(t->worker);

    loop_timer_arm(&t->tick, now_ms + TICK_MS);
    if (now_ms < t->next_round_ms) {
        return;
    }
    if (t->round_ms == 0) {
        t->round_ms = now_ms;
    }
    t->left = share(t);
    touch_on(t);
}

/* --- life -------------------------------------------------------------- */

void
touch_start(struct touch *t, struct worker *w)
{
    MUST_OBJ(w, WORKER_MAGIC);
    *t = (struct touch){.magic = TOUCH_MAGIC, .worker = w};
    list_init(&t->calls);
    loop_timer_init(&t->tick, w->loop, on_tick, t);
    if (w->index == 0 && w->redis != NULL && tier_memory(w) != NULL) {
        loop_timer_arm(&t->tick, worker_now_ms(w) + TICK_MS);
    }
}

void
touch_stop(struct touch *t)
{
    struct list *link;

    MUST_OBJ(t, TOUCH_MAGIC);
    loop_timer_cancel(&t->tick);
    while ((link = list_first(&t->calls)) != NULL) {
        call_free(CONTAINER_OF(link, struct touch_call, link));
    }
    MUST(t->calls_len == 0);
}
