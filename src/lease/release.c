/*
 * What is given back (release.h). Each is a script that ends one token, or
 * finds that it has ended. It is sent again, with growing pauses, until Redis
 * has acknowledged it.
 */
#include "nearside/lease/release.h"

#include <stdlib.h>

#include "nearside/cache/key.h"
#include "nearside/lease/lease.h"
#include "nearside/redis/redirect.h"

#include "lease/held.h"

#define RELEASE_MAGIC UINT32_C(0x6e72656c)

enum {
    TIMEOUT_MS = 1000, /* of an attempt */
    /* Of a worker. Beyond that a token that could not be given back ends by
       itself. */
    RELEASES_MAX = 10000,
    AGAIN_FIRST_MS = 20,
    AGAIN_LAST_MS = 500,
};

struct release {
    uint32_t magic;
    bool is_plain; /* by DEL, where no script is run */
    struct list link;
    struct worker *worker;
    const struct redis_script *script;
    struct redis_call call;
    struct loop_timer again; /* the next attempt */
    int64_t pause_ms;
    int64_t until_ms;
    struct slice key; /* in bytes, as is the next */
    struct slice token;
    char bytes[];
};

static void on_again(void *ctx);

static void
release_free(struct release *r)
{
    struct lease_worker *own = r->worker->lease;

    MUST_OBJ(r, RELEASE_MAGIC);
    MUST_OBJ(own, LEASE_WORKER_MAGIC);
    MUST(own->releases_len > 0);
    redis_call_cancel(&r->call);
    loop_timer_cancel(&r->again);
    list_remove(&r->link);
    own->releases_len--;
    r->magic = 0;
    free(r);
}

/* A token under a key of that length, which is still to be written, that lasts
   so long by itself. NULL: no memory, so it is left to that. */
static struct release *
release_new(
    struct worker *w, size_t key_len, struct slice token, int64_t lasts_ms)
{
    struct release *r = calloc(1, sizeof(*r) + key_len + token.len);

    MUST_OBJ(w, WORKER_MAGIC);
    MUST(w->redis != NULL);
    MUST(key_len > 0);
    MUST(token.len > 0);
    if (r == NULL) {
        worker_count_limit(w, LIMIT_MEMORY);
        return NULL;
    }
    r->magic = RELEASE_MAGIC;
    r->worker = w;
    r->key = slice_of(r->bytes, key_len);
    r->token = slice_of(r->bytes + key_len, token.len);
    memcpy(r->bytes + key_len, token.ptr, token.len);
    r->pause_ms = AGAIN_FIRST_MS;
    r->until_ms = worker_now_ms(w) + lasts_ms;
    loop_timer_init(&r->again, w->loop, on_again, r);
    list_push_back(&w->lease->releases, &r->link);
    w->lease->releases_len++;
    return r;
}

/* A plain DEL may take somebody else's lease. Then nothing is stored under
   that, which is not wrong. */
static bool
may_be_plain(const struct release *r, const struct redis_reply *reply)
{
    return r->script == &r->worker->lease->scripts->release &&
           redis_error_is_of_scripts(slice_of(reply->str, reply->len));
}

static void
on_reply(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct release *r = OBJ_OF(struct release, ctx, RELEASE_MAGIC);
    int64_t now_ms = worker_now_ms(r->worker);

    if ((rc == RC_OK && reply->type == REDIS_INTEGER) ||
        now_ms >= r->until_ms ||
        r->worker->lease->releases_len > RELEASES_MAX) {
        release_free(r);
        return;
    }
    r->is_plain = r->is_plain || (rc == RC_OK && may_be_plain(r, reply));
    loop_timer_arm(&r->again, now_ms + r->pause_ms);
    r->pause_ms *= 2;
    if (r->pause_ms > AGAIN_LAST_MS) {
        r->pause_ms = AGAIN_LAST_MS;
    }
}

static void
release_send(struct release *r)
{
    /* A fence is told how long the token is to last: not at all. */
    const struct slice script[] = {r->key, r->token, SLICE("0")};
    const struct slice plain[] = {SLICE("DEL"), r->key};
    struct worker *w = r->worker;

    MUST(!redis_call_is_active(&r->call));
    r->call = (struct redis_call){.on_reply = on_reply,
        .ctx = r,
        .retries = true,
        .deadline_ms = worker_now_ms(w) + TIMEOUT_MS};
    if (r->is_plain) {
        redis_send(w->redis, &r->call, r->key, ARRAY_LEN(plain), plain);
    } else {
        redis_eval(w->redis, &r->call, r->script, script, 1,
            r->script == &w->lease->scripts->fence ? 3 : 2);
    }
}

static void
on_again(void *ctx)
{
    release_send(OBJ_OF(struct release, ctx, RELEASE_MAGIC));
}

/* --- the door ---------------------------------------------------------- */

static void
give_back(struct worker *w, const struct question *q, struct slice token,
    int64_t lasts_ms)
{
    struct release *r = release_new(w, q->entry_key.len, token, lasts_ms);

    MUST_OBJ(q, QUESTION_MAGIC);
    if (r != NULL) {
        key_lease_of(q->entry_key, w->conf->prefix, r->bytes);
        r->script = &w->lease->scripts->release;
        release_send(r);
    }
}

void
release_lease(
    struct worker *w, const struct question *q, const struct lease *lease)
{
    MUST_OBJ(lease, LEASE_MAGIC);
    if (w->redis == NULL) {
        held_release(&w->lease->leases->held, lease->watch.hash, lease->number);
    } else {
        release_token(w, q, lease->token);
    }
}

void
release_token(struct worker *w, const struct question *q, struct slice token)
{
    give_back(w, q, token, LEASE_MS);
}

void
release_fence(struct worker *w, struct question *q, struct slice token)
{
    struct slice entry_key = question_base(q)->entry_key;
    struct release *r = release_new(w, entry_key.len, token, FENCE_MS);

    MUST_OBJ(q, QUESTION_MAGIC);
    if (r != NULL) {
        key_fence_of(entry_key, w->conf->prefix, r->bytes);
        r->script = &w->lease->scripts->fence;
        release_send(r);
    }
}

void
release_trial(struct worker *w, const struct question *q)
{
    give_back(w, q, SLICE("nobody's"), 0);
}

void
releases_free(struct worker *w)
{
    struct list *link;

    MUST_OBJ(w->lease, LEASE_WORKER_MAGIC);
    while ((link = list_first(&w->lease->releases)) != NULL) {
        release_free(CONTAINER_OF(link, struct release, link));
    }
}
