/*
 * The invalidations under way on a worker. Each is one DEL of two keys in
 * one slot, repeated with growing pauses for a minute. What is given up then
 * is logged and counted, and its entry lives until its time is over.
 *
 * While the slot is on the move, Redis refuses a command of two keys of
 * which one is with the old owner and one is not (TRYAGAIN). Then each is
 * deleted alone, and the lease first: once it is gone, no older fetch can
 * store what the second DEL has deleted.
 */
#include "proxy/invalidate.h"

#include <stdlib.h>

#include "nearside/base/log.h"
#include "nearside/cache/key.h"
#include "proxy/collapse.h"
#include "proxy/tier.h"

#define INVALIDATION_MAGIC UINT32_C(0x6e696e76)

enum {
    RETRY_FIRST_MS = 20,
    RETRY_MAX_MS = 2000,
    RETRY_TOTAL_MS = 60000,
};

enum stage {
    STAGE_OWN,   /* a script: both, but the caller's own lease; as the next */
    STAGE_BOTH,  /* DEL entry lease; done, or STAGE_LEASE on TRYAGAIN */
    STAGE_LEASE, /* DEL lease; then STAGE_ENTRY */
    STAGE_ENTRY, /* DEL entry; done */
};

struct invalidation {
    uint32_t magic;
    enum stage stage;
    struct list link; /* worker's */
    struct worker *worker;
    struct redis_call call;
    struct loop_timer retry;
    struct slice entry_key; /* in bytes, as is the next */
    struct slice lease_key;
    struct slice token;
    int64_t pause_ms;
    int64_t until_ms;
    void (*on_done)(void *ctx, bool is_acknowledged);
    void *ctx;
    char bytes[];
};

static void invalidation_send(struct invalidation *i);

static void
invalidation_end(struct invalidation *i)
{
    loop_timer_cancel(&i->retry);
    redis_call_cancel(&i->call);
    list_remove(&i->link);
    tier_check_empty(i->worker->tier);
    i->magic = 0;
    free(i);
}

static void
count_lost(struct invalidation *i, const char *cause)
{
    worker_count(i->worker, COUNTER_INVALIDATIONS_FAILED);
    log_event(i->worker->ring, LOG_LEVEL_WARN, "invalidation_lost",
        "cause=\"%s\"", cause);
}

static void
tell(struct invalidation *i, bool is_acknowledged)
{
    void (*on_done)(void *, bool) = i->on_done;

    i->on_done = NULL;
    if (on_done != NULL) {
        on_done(i->ctx, is_acknowledged);
    }
}

static void
on_retry(void *ctx)
{
    invalidation_send(OBJ_OF(struct invalidation, ctx, INVALIDATION_MAGIC));
}

/* By the new owner too, to whom ASK leads each try again: the client gives up
   at an ASK then, after as many redirections as it follows. */
static bool
is_refused_for_now(const struct redis_reply *reply)
{
    struct slice text = slice_of(reply->str, reply->len);

    return reply->type == REDIS_ERROR &&
           (slice_starts(text, SLICE("TRYAGAIN")) ||
               slice_starts(text, SLICE("ASK ")));
}

/* True: a DEL was executed or refused such that the next can go at once. */
static bool
go_on(struct invalidation *i, const struct redis_reply *reply)
{
    bool is_deleted = reply->type == REDIS_INTEGER;

    switch (i->stage) {
    case STAGE_OWN:
    case STAGE_BOTH:
        if (!is_refused_for_now(reply)) {
            return false;
        }
        i->stage = STAGE_LEASE;
        return true;
    case STAGE_LEASE:
        if (is_deleted) {
            i->stage = STAGE_ENTRY;
        }
        return is_deleted;
    case STAGE_ENTRY:
        return false;
    }
    return false;
}

static void
retry_later(struct invalidation *i, enum rc rc)
{
    int64_t now_ms = worker_now_ms(i->worker);

    if (rc == RC_CANCELLED || now_ms >= i->until_ms) {
        count_lost(i, rc_text(rc));
        invalidation_end(i);
        return;
    }
    loop_timer_arm(&i->retry, now_ms + i->pause_ms);
    i->pause_ms =
        i->pause_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : i->pause_ms * 2;
}

static void
on_reply(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct invalidation *i =
        OBJ_OF(struct invalidation, ctx, INVALIDATION_MAGIC);

    if (rc == RC_OK && go_on(i, reply)) {
        invalidation_send(i);
        return;
    }
    if (rc == RC_OK && reply->type == REDIS_INTEGER) {
        tell(i, true);
        invalidation_end(i);
        return;
    }
    tell(i, false);
    retry_later(i, rc);
}

static void
send_own(struct invalidation *i)
{
    const struct slice argv[] = {i->entry_key, i->lease_key, i->token};

    redis_eval(i->worker->redis, &i->call, &i->worker->tier->scripts->drop,
        argv, 2, 3);
}

static void
invalidation_send(struct invalidation *i)
{
    struct slice argv[3] = {SLICE("DEL"), i->entry_key, i->lease_key};
    unsigned argc = i->stage == STAGE_BOTH ? 3 : 2;

    i->call.on_reply = on_reply;
    i->call.ctx = i;
    i->call.deadline_ms = 0;
    i->call.retries = true;
    if (i->stage == STAGE_OWN) {
        send_own(i);
        return;
    }
    if (i->stage == STAGE_LEASE) {
        argv[1] = i->lease_key;
    }
    redis_send(i->worker->redis, &i->call, i->entry_key, argc, argv);
}

static struct invalidation *
invalidation_new(
    struct worker *worker, struct slice entry_key, struct slice token)
{
    struct invalidation *i =
        calloc(1, sizeof(*i) + 2 * entry_key.len + token.len);

    if (i == NULL) {
        return NULL;
    }
    i->magic = INVALIDATION_MAGIC;
    i->worker = worker;
    memcpy(i->bytes, entry_key.ptr, entry_key.len);
    key_lease_of(entry_key, worker->conf->prefix, i->bytes + entry_key.len);
    i->entry_key = slice_of(i->bytes, entry_key.len);
    i->lease_key = slice_of(i->bytes + entry_key.len, entry_key.len);
    i->token = slice_of(i->bytes + 2 * entry_key.len, token.len);
    if (token.len > 0) {
        memcpy(i->bytes + 2 * entry_key.len, token.ptr, token.len);
    }
    i->stage = token.len > 0 ? STAGE_OWN : STAGE_BOTH;
    i->pause_ms = RETRY_FIRST_MS;
    i->until_ms = worker_now_ms(worker) + RETRY_TOTAL_MS;
    loop_timer_init(&i->retry, worker->loop, on_retry, i);
    list_init(&i->link);
    list_push_back(&worker->tier->deletions, &i->link);
    return i;
}

struct invalidation *
invalidation_start(struct worker *worker, const struct key *key,
    struct slice entry_key, const struct invalidation_opts *opts)
{
    struct invalidation *i;

    MUST_OBJ(worker, WORKER_MAGIC);
    worker_count(worker, COUNTER_INVALIDATIONS);
    flight_doom(worker->collapse->flights, key);
    if (worker->redis == NULL) {
        return NULL;
    }
    i = invalidation_new(worker, entry_key, opts->token);
    if (i == NULL) {
        worker_count(worker, COUNTER_INVALIDATIONS_FAILED);
        return NULL;
    }
    i->on_done = opts->on_done;
    i->ctx = opts->ctx;
    invalidation_send(i);
    return i;
}

void
invalidation_forget(struct invalidation **invalidation)
{
    if (*invalidation != NULL) {
        MUST_OBJ(*invalidation, INVALIDATION_MAGIC);
        (*invalidation)->on_done = NULL;
        *invalidation = NULL;
    }
}

void
invalidations_free(struct worker *worker)
{
    struct list *link;

    while ((link = list_first(&worker->tier->deletions)) != NULL) {
        struct invalidation *i = CONTAINER_OF(link, struct invalidation, link);
        count_lost(i, "the process ends");
        invalidation_end(i);
    }
}
