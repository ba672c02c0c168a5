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
 *
 * A deletion goes on until the owner of its slot has acknowledged it. While
 * more than ACTIVE_MAX fail, one that has failed becomes a record that waits
 * (journal.h); some of those are tried on each tick, and all of them when a
 * node takes writes again.
 */
#include "nearside/tier/deletion.h"

#include <stdlib.h>

#include "nearside/base/log.h"
#include "nearside/lease/lease.h"
#include "nearside/redis/redirect.h"
#include "nearside/tier/tier.h"

#include "tier/alone.h"
#include "tier/beside.h"

#define DELETION_MAGIC UINT32_C(0x6e696e76)

enum {
    /* Of a worker, that keep a kilobyte and try by themselves. */
    ACTIVE_MAX = 1000,
    /* Out of those that wait, at once. */
    PUMPED_MAX = 200,
    TICK_MS = 250,
    RETRY_FIRST_MS = 20,
    RETRY_MAX_MS = 250,
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
    bool is_pumped;        /* it had been waiting */
    bool is_failure_told;  /* in the log */
    struct record *record; /* owned */
    struct loop_timer retry;
    struct slice entry_key; /* in the record */
    struct slice lease_key; /* in bytes, as is the next */
    struct slice token;
    uint64_t hash; /* of the key; while there is on_done */
    int64_t pause_ms;
    void (*on_done)(void *ctx, enum deletion_end end);
    void *ctx;
    char bytes[];
};

static void deletion_send(struct deletion *d);
static void pump(struct worker *w, unsigned count);

/* The attempts end; what becomes of the record is said already. */
static void
deletion_free(struct deletion *d)
{
    struct tier_worker *t = d->worker->tier;

    MUST_OBJ(t, TIER_WORKER_MAGIC);
    MUST(d->on_done == NULL);
    MUST(d->record == NULL);
    loop_timer_cancel(&d->retry);
    redis_call_cancel(&d->call);
    redis_call_cancel(&d->lease_call);
    list_remove(&d->link);
    MUST(t->deletions_len > 0);
    t->deletions_len--;
    if (d->is_pumped) {
        MUST(t->pumped > 0);
        t->pumped--;
    }
    d->magic = 0;
    free(d);
}

/* One less is pending. */
static void
count_ended(struct worker *w)
{
    worker_count_by(w, COUNTER_INVALIDATIONS_PENDING, -1);
    if (w->tier->journal.pending == 0) {
        w->tier->on_empty(w->tier->ctx);
    }
}

static void
count_lost(struct worker *w, const char *cause)
{
    worker_count(w, COUNTER_INVALIDATIONS_FAILED);
    log_event(
        w->ring, LOG_LEVEL_WARN, "invalidation_lost", "cause=\"%s\"", cause);
}

/* The write is answered now, and counts once more: a flight that was opened
   meanwhile may have found what was there before. */
static void
tell(struct deletion *d, enum deletion_end end)
{
    void (*on_done)(void *, enum deletion_end) = d->on_done;

    MUST_OBJ(d, DELETION_MAGIC);
    d->on_done = NULL;
    if (on_done != NULL) {
        written_mark(d->worker->tier->written, d->hash);
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
    return reply->type == REDIS_ERROR &&
           redis_error_is_of_scripts(slice_of(reply->str, reply->len));
}

static void
tell_failure(struct deletion *d, enum rc rc, const struct redis_reply *reply)
{
    char escaped[256];

    if (d->is_failure_told) {
        return;
    }
    d->is_failure_told = true;
    log_event(d->worker->ring, LOG_LEVEL_WARN, "invalidation_pending",
        "cause=\"%s\" reply=\"%s\"",
        rc == RC_OK ? rc_text(RC_REFUSED) : rc_text(rc),
        rc == RC_OK && reply->type == REDIS_ERROR
            ? log_escape(
                  slice_of(reply->str, reply->len), escaped, sizeof(escaped))
            : "");
}

/* The first failure is told; reply is of use with RC_OK. */
static void
attempt_failed(struct deletion *d, enum rc rc, const struct redis_reply *reply)
{
    struct worker *w = d->worker;
    struct tier_worker *t = w->tier;
    struct record *record = d->record;

    MUST(record != NULL);
    MUST(rc != RC_CANCELLED); /* deletions end before the worker's client */
    tell_failure(d, rc, reply);
    tell(d, DELETION_FAILED);
    if (d->is_pumped || t->deletions_len > ACTIVE_MAX) {
        d->record = NULL;
        deletion_free(d);
        journal_wait(&t->journal, record);
        pump(w, t->pass_left > 0 ? 1 : 0);
        return;
    }
    loop_timer_arm(&d->retry, worker_now_ms(w) + d->pause_ms);
    d->pause_ms =
        d->pause_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : d->pause_ms * 2;
}

static enum deletion_end
end_of(const struct deletion *d)
{
    return d->stage == STAGE_OWN || d->token.len == 0 ? DELETION_DONE
                                                      : DELETION_DONE_WHOLE;
}

/* Redis has acknowledged it. */
static void
attempt_done(struct deletion *d)
{
    struct worker *w = d->worker;

    /* First: from then on other lookups in the slot count again. */
    beside_drop_name(w, d->entry_key);
    if (!journal_keep(
            &w->tier->journal, d->record, d->call.by, d->call.version)) {
        /* By a node that the slot has left meanwhile, or before a restart. */
        attempt_failed(d, RC_MISS, NULL);
        return;
    }
    d->record = NULL;
    tell(d, end_of(d));
    deletion_free(d);
    count_ended(w);
    pump(w, 2);
}

static bool
is_acknowledged(enum rc rc, const struct redis_reply *reply)
{
    return rc == RC_OK && reply->type == REDIS_INTEGER;
}

static struct redis_call
call_of(struct deletion *d, redis_reply_fn on_reply)
{
    MUST(d->record != NULL);
    return (struct redis_call){
        .on_reply = on_reply, .ctx = d, .retries = true, .is_urgent = true};
}

/* --- each by a command of its own -------------------------------------- */

static void
send_one(struct deletion *d, struct redis_call *call, redis_reply_fn on_reply,
    struct slice key)
{
    const struct slice argv[] = {SLICE("DEL"), key};

    MUST(d->stage == STAGE_PARTS);
    MUST(!redis_call_is_active(call));
    *call = call_of(d, on_reply);
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
part_ended(struct deletion *d, enum rc rc, const struct redis_reply *reply)
{
    bool is_entry_under_way = redis_call_is_active(&d->call);

    MUST(d->stage == STAGE_PARTS);
    if (d->is_entry_deleted && d->is_last && d->is_lease_deleted &&
        !is_entry_under_way) {
        attempt_done(d);
    } else if (d->is_lease_deleted && d->is_entry_deleted &&
               !is_entry_under_way) {
        send_entry(d);
    } else if (!is_entry_under_way && !redis_call_is_active(&d->lease_call)) {
        attempt_failed(d, rc, reply);
    }
}

static void
on_entry_reply(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct deletion *d = OBJ_OF(struct deletion, ctx, DELETION_MAGIC);

    d->is_entry_deleted = is_acknowledged(rc, reply);
    part_ended(d, rc, reply);
}

static void
on_lease_reply(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct deletion *d = OBJ_OF(struct deletion, ctx, DELETION_MAGIC);

    MUST(!d->is_lease_deleted);
    d->is_lease_deleted = is_acknowledged(rc, reply);
    part_ended(d, rc, reply);
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
        attempt_done(d);
    } else {
        attempt_failed(d, rc, reply);
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
    d->call = call_of(d, on_reply);
    if (d->stage == STAGE_OWN) {
        redis_eval(d->worker->redis, &d->call, &d->worker->tier->scripts->drop,
            own, 2, ARRAY_LEN(own));
    } else {
        redis_send(
            d->worker->redis, &d->call, d->entry_key, ARRAY_LEN(both), both);
    }
}

/* --- those that wait --------------------------------------------------- */

static void
arm_tick(struct worker *w)
{
    if (!loop_timer_is_armed(&w->tier->tick)) {
        loop_timer_arm(&w->tier->tick, worker_now_ms(w) + TICK_MS);
    }
}

/* The attempts for a record, which it takes over. NULL: no memory. */
static struct deletion *
deletion_new(struct worker *worker, struct record *record, struct slice token)
{
    size_t len = record->key_len;
    struct deletion *d = calloc(1, sizeof(*d) + len + token.len);

    MUST(record->is_pending);
    if (d == NULL) {
        return NULL;
    }
    d->magic = DELETION_MAGIC;
    d->worker = worker;
    d->record = record;
    d->entry_key = slice_of(record->key, len);
    key_lease_of(d->entry_key, worker->conf->prefix, d->bytes);
    d->lease_key = slice_of(d->bytes, len);
    d->token = slice_of(d->bytes + len, token.len);
    if (token.len > 0) {
        memcpy(d->bytes + len, token.ptr, token.len);
    }
    d->stage = token.len > 0 ? STAGE_OWN : STAGE_BOTH;
    d->pause_ms = RETRY_FIRST_MS;
    loop_timer_init(&d->retry, worker->loop, on_retry, d);
    list_push_back(&worker->tier->deletions, &d->link);
    worker->tier->deletions_len++;
    return d;
}

static struct slice
token_of(const struct deletion_opts *opts)
{
    if (opts->own_lease == NULL) {
        return slice_of(NULL, 0);
    }
    MUST_OBJ(opts->own_lease, LEASE_MAGIC);
    return opts->own_lease->token;
}

struct deletion *
deletion_start(struct worker *worker, const struct key *key,
    struct slice entry_key, const struct deletion_opts *opts)
{
    struct tier_worker *t = worker->tier;
    struct record *record;
    struct deletion *d;

    MUST_OBJ(worker, WORKER_MAGIC);
    MUST_OBJ(t, TIER_WORKER_MAGIC);
    worker_count(worker, COUNTER_INVALIDATIONS);
    if (worker->redis == NULL) {
        alone_delete(worker, key, opts->own_lease);
        /* Behind it: whoever comes now joins no flight that may have looked
           before. */
        written_mark(t->written, key->hash);
        return NULL;
    }
    written_mark(t->written, key->hash);
    beside_drop(worker, key->hash);
    record = journal_add(&t->journal, entry_key);
    if (record == NULL) {
        worker_count_limit(worker, LIMIT_DELETIONS);
        count_lost(worker, "too many");
        return NULL;
    }
    worker_count_by(worker, COUNTER_INVALIDATIONS_PENDING, 1);
    arm_tick(worker);
    d = deletion_new(worker, record, token_of(opts));
    if (d == NULL) {
        worker_count_limit(worker, LIMIT_MEMORY);
        journal_wait(&t->journal, record);
        return NULL;
    }
    d->hash = key->hash;
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

/* Tries so many of those that wait, as far as there is room. */
static void
pump(struct worker *w, unsigned count)
{
    struct tier_worker *t = w->tier;

    for (; count > 0 && t->pumped < PUMPED_MAX; count--) {
        struct record *record = journal_next(&t->journal);
        struct deletion *d;

        t->pass_left -= t->pass_left > 0 ? 1 : 0;
        if (record == NULL) {
            return;
        }
        d = deletion_new(w, record, slice_of(NULL, 0));
        if (d == NULL) {
            journal_wait(&t->journal, record);
            return;
        }
        d->is_pumped = true;
        d->is_failure_told = true;
        t->pumped++;
        deletion_send(d);
    }
}

/* Repeats those whose slots have other owners now. A walk over all that are
   remembered, so not at each change. */
static void
renew(struct worker *w)
{
    unsigned count = journal_renew(&w->tier->journal);

    MUST_OBJ(w->tier, TIER_WORKER_MAGIC);
    if (count > 0) {
        worker_count_by(w, COUNTER_INVALIDATIONS_REPEATED, count);
        worker_count_by(w, COUNTER_INVALIDATIONS_PENDING, count);
        deletions_hurry(w);
    }
}

void
deletions_tick(struct worker *w)
{
    MUST_OBJ(w->tier, TIER_WORKER_MAGIC);
    renew(w); /* first: one that expires now may be of a slot that has moved */
    journal_expire(&w->tier->journal);
    pump(w, PUMPED_MAX / 2);
    if (w->tier->journal.len > 0) {
        arm_tick(w);
    }
}

void
deletions_hurry(struct worker *w)
{
    struct tier_worker *t = w->tier;

    MUST_OBJ(t, TIER_WORKER_MAGIC);
    t->pass_left = t->journal.pending;
    pump(w, PUMPED_MAX);
}

void
deletions_free(struct worker *worker)
{
    struct tier_worker *t = worker->tier;
    struct list *link;

    MUST_OBJ(t, TIER_WORKER_MAGIC);
    loop_timer_cancel(&t->tick);
    while ((link = list_first(&t->deletions)) != NULL) {
        struct deletion *d = CONTAINER_OF(link, struct deletion, link);
        MUST_OBJ(d, DELETION_MAGIC);
        count_lost(worker, "the process ends");
        d->on_done = NULL;
        journal_lose(&t->journal, &d->record);
        deletion_free(d);
        count_ended(worker);
    }
    if (worker->redis != NULL) {
        for (unsigned left = journal_fini(&t->journal); left > 0; left--) {
            count_lost(worker, "the process ends");
        }
    }
}
