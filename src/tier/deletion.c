/*
 * The deletions under way on a worker. Each is one DEL of two keys in one
 * slot, tried again with growing pauses.
 *
 * While the slot moves to another node, Redis refuses a command of two keys
 * when only one of them has moved (TRYAGAIN). Then each key is deleted by a
 * command of its own, and neither waits for the other: the node that one of
 * them leads to may be dead.
 *
 * Law: the deletion is done when an entry's DEL has been acknowledged that was
 * sent after the lease's was. A fetch that began before may store for as long
 * as its lease is there. So an entry that was deleted earlier than its lease
 * is deleted once more.
 */
#include "nearside/tier/deletion.h"

#include <stdlib.h>

#include "nearside/base/log.h"
#include "nearside/redis/redirect.h"
#include "nearside/tier/tier.h"

#define DELETION_MAGIC UINT32_C(0x6e696e76)

enum {
    /* Of a worker. While Redis is away all writes of a minute pile up, and each
       takes a kilobyte and a call every other second. */
    DELETIONS_MAX = 10000,
    RETRY_FIRST_MS = 20,
    RETRY_MAX_MS = 2000,
    RETRY_TOTAL_MS = 60000,
};

enum stage {
    STAGE_OWN,   /* a script: both, but the caller's own lease; as the next, or
                    that where no scripts are run */
    STAGE_BOTH,  /* DEL entry lease; done, or STAGE_PARTS on TRYAGAIN */
    STAGE_PARTS, /* DEL lease and DEL entry, each until it is acknowledged */
};

struct deletion {
    uint32_t magic;
    enum stage stage;
    struct list link; /* worker's */
    struct worker *worker;
    struct redis_call call;       /* of both, or of the entry alone */
    struct redis_call lease_call; /* of the lease alone */
    bool is_lease_deleted;
    bool is_entry_deleted; /* at least once */
    bool is_last;          /* the entry's DEL under way is behind the lease's */
    struct loop_timer retry;
    struct slice entry_key; /* in bytes, as is the next */
    struct slice lease_key;
    struct slice token;
    int64_t pause_ms;
    int64_t until_ms;
    void (*on_done)(void *ctx, enum deletion_end end);
    void *ctx;
    char bytes[];
};

static void deletion_send(struct deletion *d);

static void
deletion_end(struct deletion *d)
{
    struct tier_worker *t = d->worker->tier;

    MUST_OBJ(t, TIER_WORKER_MAGIC);
    MUST(d->on_done == NULL);
    loop_timer_cancel(&d->retry);
    redis_call_cancel(&d->call);
    redis_call_cancel(&d->lease_call);
    list_remove(&d->link);
    MUST(t->deletions_len > 0);
    t->deletions_len--;
    d->magic = 0;
    free(d);
    if (list_is_empty(&t->deletions)) {
        t->on_empty(t->ctx);
    }
}

static void
count_lost(struct worker *w, const char *cause)
{
    worker_count(w, COUNTER_INVALIDATIONS_FAILED);
    log_event(
        w->ring, LOG_LEVEL_WARN, "invalidation_lost", "cause=\"%s\"", cause);
}

static void
tell(struct deletion *d, enum deletion_end end)
{
    void (*on_done)(void *, enum deletion_end) = d->on_done;

    MUST_OBJ(d, DELETION_MAGIC);
    d->on_done = NULL;
    if (on_done != NULL) {
        on_done(d->ctx, end);
    }
}

static void
on_retry(void *ctx)
{
    deletion_send(OBJ_OF(struct deletion, ctx, DELETION_MAGIC));
}

/* The slot is on the move. The new owner may say TRYAGAIN too; then each try
   is led to it anew, and the last answer that the client hears is an ASK. */
static bool
is_refused_for_now(const struct redis_reply *reply)
{
    struct slice text = slice_of(reply->str, reply->len);

    return reply->type == REDIS_ERROR &&
           (slice_starts(text, SLICE("TRYAGAIN")) ||
               slice_starts(text, SLICE("ASK ")));
}

/* The node runs no scripts, or not this one. */
static bool
is_no_script(const struct redis_reply *reply)
{
    enum redis_error error =
        reply->type == REDIS_ERROR
            ? redis_error_of(slice_of(reply->str, reply->len))
            : REDIS_ERROR_COUNT;

    return error == REDIS_ERROR_NOPERM || error == REDIS_ERROR_OTHER;
}

static void
retry_later(struct deletion *d, enum rc rc)
{
    int64_t now_ms = worker_now_ms(d->worker);

    MUST(d->on_done == NULL);
    MUST(rc != RC_CANCELLED); /* deletions end before the worker's client */
    if (now_ms >= d->until_ms) {
        count_lost(d->worker, rc_text(rc));
        deletion_end(d);
        return;
    }
    loop_timer_arm(&d->retry, now_ms + d->pause_ms);
    d->pause_ms =
        d->pause_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : d->pause_ms * 2;
}

static enum deletion_end
end_of(const struct deletion *d)
{
    return d->stage == STAGE_OWN || d->token.len == 0 ? DELETION_DONE
                                                      : DELETION_DONE_WHOLE;
}

static void
attempt_failed(struct deletion *d, enum rc rc)
{
    tell(d, DELETION_FAILED);
    retry_later(d, rc == RC_OK ? RC_REFUSED : rc);
}

static bool
is_acknowledged(enum rc rc, const struct redis_reply *reply)
{
    return rc == RC_OK && reply->type == REDIS_INTEGER;
}

/* --- each by a command of its own -------------------------------------- */

static void
send_one(struct deletion *d, struct redis_call *call, redis_reply_fn on_reply,
    struct slice key)
{
    const struct slice argv[] = {SLICE("DEL"), key};

    MUST(d->stage == STAGE_PARTS);
    MUST(!redis_call_is_active(call));
    *call =
        (struct redis_call){.on_reply = on_reply, .ctx = d, .retries = true};
    redis_send(d->worker->redis, call, d->entry_key, ARRAY_LEN(argv), argv);
}

static void on_entry_reply(void *ctx, enum rc rc, struct redis_reply *reply);

static void
send_entry(struct deletion *d)
{
    d->is_last = d->is_lease_deleted;
    send_one(d, &d->call, on_entry_reply, d->entry_key);
}

/* One of the two has ended. */
static void
part_ended(struct deletion *d, enum rc rc)
{
    bool is_entry_under_way = redis_call_is_active(&d->call);

    if (d->is_entry_deleted && d->is_last && d->is_lease_deleted &&
        !is_entry_under_way) {
        tell(d, end_of(d));
        deletion_end(d);
    } else if (d->is_lease_deleted && d->is_entry_deleted &&
               !is_entry_under_way) {
        send_entry(d);
    } else if (!is_entry_under_way && !redis_call_is_active(&d->lease_call)) {
        attempt_failed(d, rc);
    }
}

static void
on_entry_reply(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct deletion *d = OBJ_OF(struct deletion, ctx, DELETION_MAGIC);

    d->is_entry_deleted = is_acknowledged(rc, reply);
    part_ended(d, rc);
}

static void
on_lease_reply(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct deletion *d = OBJ_OF(struct deletion, ctx, DELETION_MAGIC);

    MUST(!d->is_lease_deleted);
    d->is_lease_deleted = is_acknowledged(rc, reply);
    part_ended(d, rc);
}

/* The lease first: as a rule it is deleted first then. */
static void
send_parts(struct deletion *d)
{
    if (!d->is_lease_deleted) {
        send_one(d, &d->lease_call, on_lease_reply, d->lease_key);
    }
    if (d->is_lease_deleted || !d->is_entry_deleted) {
        send_entry(d);
    }
}

/* --- both -------------------------------------------------------------- */

static void
on_reply(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct deletion *d = OBJ_OF(struct deletion, ctx, DELETION_MAGIC);

    MUST(d->stage != STAGE_PARTS);
    if (rc == RC_OK && is_refused_for_now(reply)) {
        d->stage = STAGE_PARTS;
        deletion_send(d);
    } else if (rc == RC_OK && d->stage == STAGE_OWN && is_no_script(reply)) {
        d->stage = STAGE_BOTH;
        deletion_send(d);
    } else if (is_acknowledged(rc, reply)) {
        tell(d, end_of(d));
        deletion_end(d);
    } else {
        attempt_failed(d, rc);
    }
}

static void
deletion_send(struct deletion *d)
{
    const struct slice own[] = {d->entry_key, d->lease_key, d->token};
    const struct slice both[] = {SLICE("DEL"), d->entry_key, d->lease_key};

    MUST(!redis_call_is_active(&d->call));
    MUST(!loop_timer_is_armed(&d->retry));
    if (d->stage == STAGE_PARTS) {
        send_parts(d);
        return;
    }
    d->call =
        (struct redis_call){.on_reply = on_reply, .ctx = d, .retries = true};
    if (d->stage == STAGE_OWN) {
        redis_eval(d->worker->redis, &d->call, &d->worker->tier->scripts->drop,
            own, 2, ARRAY_LEN(own));
    } else {
        redis_send(
            d->worker->redis, &d->call, d->entry_key, ARRAY_LEN(both), both);
    }
}

static struct deletion *
deletion_new(struct worker *worker, struct slice entry_key, struct slice token)
{
    struct deletion *d = calloc(1, sizeof(*d) + 2 * entry_key.len + token.len);

    MUST(entry_key.len > 0);
    if (d == NULL) {
        return NULL;
    }
    d->magic = DELETION_MAGIC;
    d->worker = worker;
    memcpy(d->bytes, entry_key.ptr, entry_key.len);
    key_lease_of(entry_key, worker->conf->prefix, d->bytes + entry_key.len);
    d->entry_key = slice_of(d->bytes, entry_key.len);
    d->lease_key = slice_of(d->bytes + entry_key.len, entry_key.len);
    d->token = slice_of(d->bytes + 2 * entry_key.len, token.len);
    if (token.len > 0) {
        memcpy(d->bytes + 2 * entry_key.len, token.ptr, token.len);
    }
    d->stage = token.len > 0 ? STAGE_OWN : STAGE_BOTH;
    d->pause_ms = RETRY_FIRST_MS;
    d->until_ms = worker_now_ms(worker) + RETRY_TOTAL_MS;
    loop_timer_init(&d->retry, worker->loop, on_retry, d);
    list_push_back(&worker->tier->deletions, &d->link);
    worker->tier->deletions_len++;
    return d;
}

struct deletion *
deletion_start(struct worker *worker, const struct key *key,
    struct slice entry_key, const struct deletion_opts *opts)
{
    struct deletion *d;

    MUST_OBJ(worker, WORKER_MAGIC);
    MUST_OBJ(worker->tier, TIER_WORKER_MAGIC);
    worker_count(worker, COUNTER_INVALIDATIONS);
    written_mark(worker->tier->written, key->hash);
    if (worker->redis == NULL) {
        return NULL;
    }
    if (worker->tier->deletions_len >= DELETIONS_MAX) {
        worker_count_limit(worker, LIMIT_DELETIONS);
        count_lost(worker, "too many");
        return NULL;
    }
    d = deletion_new(worker, entry_key, opts->token);
    if (d == NULL) {
        count_lost(worker, "no memory");
        return NULL;
    }
    d->on_done = opts->on_done;
    d->ctx = opts->ctx;
    deletion_send(d);
    return d;
}

void
deletion_forget(struct deletion **deletion)
{
    if (*deletion != NULL) {
        MUST_OBJ(*deletion, DELETION_MAGIC);
        (*deletion)->on_done = NULL;
        *deletion = NULL;
    }
}

void
deletions_free(struct worker *worker)
{
    struct list *link;

    while ((link = list_first(&worker->tier->deletions)) != NULL) {
        struct deletion *d = CONTAINER_OF(link, struct deletion, link);
        MUST_OBJ(d, DELETION_MAGIC);
        count_lost(d->worker, "the process ends");
        deletion_end(d);
    }
}
