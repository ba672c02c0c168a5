/*
 * Laws.
 * - A value comes whole in one reply, or not at all: between two of its parts
 *   it could be replaced.
 * - On the connection that all share no reply is longer than PART_LEN.
 * - A value is what Redis had when it began to send it. One that takes long to
 *   come may have been deleted meanwhile, so Redis is asked for its checksum
 *   once more.
 *
 * What a worker remembers of large values, by a few bits of their keys' hashes,
 * spares the first look and is no more than a guess: a value that turns out
 * small is forgotten.
 */
#include "nearside/tier/lookup.h"

#include "nearside/base/log.h"
#include "nearside/cache/codec.h"
#include "nearside/cache/entry.h"
#include "nearside/redis/redirect.h"
#include "nearside/tier/memory_find.h"
#include "nearside/tier/tier.h"

#include "tier/beside.h"

enum {
    PART_LEN = 64 * 1024,
    PAGE_LEN = 4096, /* in which a remembered length is counted */
    /* From then on a value is looked at again; half the bound of what a write
       may leave unseen. */
    OLD_MS = 1000,
};

/* GETRANGE <key> 0 65535 */
static const struct redis_form part_form = {
    .before = {"*4\r\n$8\r\nGETRANGE\r\n$", 19},
    .behind = {"\r\n$1\r\n0\r\n$5\r\n65535\r\n", 20},
};
static_assert(PART_LEN - 1 == 65535, "as in part_form");

static void on_whole(void *ctx, enum rc rc, struct redis_reply *reply);

/* --- what is remembered ------------------------------------------------ */

static uint32_t *
memory_of(const struct lookup *l)
{
    struct tier_worker *t = l->worker->tier;

    MUST_OBJ(t, TIER_WORKER_MAGIC);
    return &t->large[l->q->key.hash % TIER_LARGE_MAX];
}

static uint32_t
tag_of(const struct lookup *l)
{
    return (uint32_t)(l->q->key.hash >> 48) << 16;
}

static void
remember(const struct lookup *l, size_t len)
{
    size_t pages = (len + PAGE_LEN - 1) / PAGE_LEN;
    uint32_t *memory = memory_of(l);

    if (len > PART_LEN) {
        *memory = tag_of(l) | (pages < UINT16_MAX ? (uint32_t)pages : 0xffff);
    } else if ((*memory & 0xffff0000) == tag_of(l)) {
        *memory = 0;
    }
}

/* 0: nothing is known. */
static size_t
remembered_len(const struct lookup *l)
{
    uint32_t memory = *memory_of(l);

    return (memory & 0xffff0000) == tag_of(l)
               ? (size_t)(memory & 0xffff) * PAGE_LEN
               : 0;
}

/* --- ends -------------------------------------------------------------- */

static void
end(struct lookup *l, enum lookup_end how, struct entry *own_entry)
{
    MUST_OBJ(l, LOOKUP_MAGIC);
    MUST(!lookup_is_active(l));
    MUST((how == LOOKUP_FOUND || l->is_unverified) == (own_entry != NULL));
    l->magic = 0; /* on_end may start it again, or free it */
    l->on_end(l->ctx, how, own_entry);
}

/* Redis has not said what is stored. */
static void
end_failed(struct lookup *l, enum rc rc)
{
    struct entry *entry =
        memory_find_unverified(l->worker, l->q, &l->may_answer);

    l->doubt = rc == RC_DOUBT ? l->call.doubt : NULL;
    l->is_unverified = entry != NULL;
    end(l, LOOKUP_FAILED, entry);
}

static void ask_sum(struct lookup *l, struct entry *own_entry);

/* Redis has it. */
static void
end_found(struct lookup *l, struct entry *own_entry)
{
    beside_put(l, own_entry);
    end(l, LOOKUP_FOUND, own_entry);
}

static void
end_with(struct lookup *l, struct redis_reply *reply)
{
    struct entry *entry;
    char *value;
    size_t len;

    MUST(reply->type == REDIS_STRING);
    value = redis_reply_take(reply, &len);
    remember(l, len);
    if (codec_decode(value, len, l->q->key.full, &entry) != RC_OK) {
        worker_count(l->worker, COUNTER_VALUES_BAD);
        end(l, LOOKUP_BAD, NULL);
        return;
    }
    if (entry_received_ms(entry) < l->call.not_before_ms) {
        worker_count(l->worker, COUNTER_VALUES_OUTDATED);
        entry_unref(&entry);
        end(l, LOOKUP_BAD, NULL);
        return;
    }
    if (entry_received_ms(entry) < l->call.verify_before_ms) {
        entry->flags |= ENTRY_UNVERIFIED; /* nobody else has it yet */
    }
    if (worker_now_ms(l->worker) - l->asked_ms >= OLD_MS) {
        ask_sum(l, entry);
    } else {
        end_found(l, entry);
    }
}

/* True: there is no value in the reply, and the lookup has ended. */
static bool
has_ended(struct lookup *l, enum rc rc, const struct redis_reply *reply)
{
    if (rc != RC_OK) {
        end_failed(l, rc);
    } else if (reply->type == REDIS_NIL ||
               (reply->type == REDIS_STRING && reply->len == 0)) {
        end(l, LOOKUP_NOTHING, NULL);
    } else if (reply->type == REDIS_ERROR) {
        end(l, LOOKUP_REFUSED, NULL);
    } else if (reply->type != REDIS_STRING) {
        worker_count(l->worker, COUNTER_VALUES_BAD);
        end(l, LOOKUP_BAD, NULL);
    } else {
        return false;
    }
    return true;
}

/* --- whether it is still there ----------------------------------------- */

/* Another checksum: the value has been deleted, or replaced. */
static void
on_sum(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct lookup *l = OBJ_OF(struct lookup, ctx, LOOKUP_MAGIC);
    struct entry *entry = l->own_entry;

    MUST(entry != NULL);
    l->own_entry = NULL;
    if (rc == RC_OK && reply->type == REDIS_STRING &&
        slice_eq(slice_of(reply->str, reply->len), entry_sum(entry))) {
        end_found(l, entry);
        return;
    }
    entry_unref(&entry);
    if (rc == RC_OK && reply->type == REDIS_STRING) {
        end(l, LOOKUP_NOTHING, NULL);
    } else {
        end_failed(l, rc);
    }
}

static void
ask_sum(struct lookup *l, struct entry *own_entry)
{
    const struct slice argv[] = {
        SLICE("GETRANGE"), l->q->entry_key, SLICE("-8"), SLICE("-1")};
    struct worker *w = l->worker;

    MUST(!lookup_is_active(l));
    MUST(l->own_entry == NULL);
    l->own_entry = own_entry;
    l->call = (struct redis_call){
        .on_reply = on_sum, .ctx = l, .retries = true, .is_guarded = true};
    if (atomic_load(&w->tier->tier->gets_whole)) {
        redis_eval(w->redis, &l->call, &w->tier->scripts->sum, &argv[1], 1, 1);
    } else {
        redis_send(w->redis, &l->call, l->q->entry_key, ARRAY_LEN(argv), argv);
    }
}

/* --- the whole --------------------------------------------------------- */

/* len 0: of a length that is not known. */
static void
ask_whole(struct lookup *l, bool is_bulk, size_t len)
{
    const struct slice argv[] = {SLICE("GET"), l->q->entry_key};

    MUST(!lookup_is_active(l));
    l->asked_ms = worker_now_ms(l->worker);
    l->call = (struct redis_call){.on_reply = on_whole,
        .ctx = l,
        .retries = true,
        .is_guarded = true,
        .is_bulk = is_bulk,
        .reply_len = len,
        .last_ms = l->until_ms};
    redis_send(
        l->worker->redis, &l->call, l->q->entry_key, ARRAY_LEN(argv), argv);
}

static void
on_whole(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct lookup *l = OBJ_OF(struct lookup, ctx, LOOKUP_MAGIC);

    MUST_OBJ(l->worker, WORKER_MAGIC);
    if (!has_ended(l, rc, reply)) {
        end_with(l, reply);
    }
}

/* --- its beginning ----------------------------------------------------- */

/* The user's ACL is of a time when GET was enough. */
static bool
is_unknown(const struct redis_reply *reply)
{
    struct slice text = slice_of(reply->str, reply->len);

    return reply->type == REDIS_ERROR &&
           (redis_error_of(text) == REDIS_ERROR_NOPERM ||
               slice_starts(text, SLICE("ERR unknown command")));
}

static void
get_whole_from_now_on(struct worker *w)
{
    MUST_OBJ(w, WORKER_MAGIC);
    if (!atomic_exchange(&w->tier->tier->gets_whole, true)) {
        log_event(w->ring, LOG_LEVEL_WARN, "redis_no_getrange",
            "detail=\"Redis refuses GETRANGE: large values are asked for "
            "whole, and hold up small ones\"");
    }
}

static void
on_part(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct lookup *l = OBJ_OF(struct lookup, ctx, LOOKUP_MAGIC);
    size_t len = 0;

    MUST_OBJ(l->worker, WORKER_MAGIC);
    if (rc == RC_OK && is_unknown(reply)) {
        get_whole_from_now_on(l->worker);
        ask_whole(l, false, 0);
        return;
    }
    if (has_ended(l, rc, reply)) {
        return;
    }
    if (reply->len >= PART_LEN) {
        len = codec_len(slice_of(reply->str, reply->len));
    }
    if (len > PART_LEN && len <= redis_reply_max(l->worker->redis)) {
        remember(l, len);
        ask_whole(l, true, len);
        return;
    }
    end_with(l, reply);
}

static void
ask_part(struct lookup *l)
{
    MUST(!lookup_is_active(l));
    l->asked_ms = worker_now_ms(l->worker);
    redis_call_clear(&l->call);
    l->call.on_reply = on_part;
    l->call.ctx = l;
    l->call.retries = true;
    l->call.is_guarded = true;
    redis_send_form(l->worker->redis, &l->call, &part_form, l->q->entry_key);
}

/* --- memory ------------------------------------------------------------ */

/* Without Redis it is looked into now, behind what this turn has done. */
static void
on_turn_end(void *ctx)
{
    struct lookup *l = OBJ_OF(struct lookup, ctx, LOOKUP_MAGIC);
    struct entry *entry = l->own_entry;

    MUST(l->is_task_due);
    l->is_task_due = false;
    l->own_entry = NULL;
    if (l->worker->redis == NULL) {
        MUST(entry == NULL);
        entry = memory_find(l->worker, l->q);
    }
    l->is_of_memory = entry != NULL;
    end(l, entry == NULL ? LOOKUP_NOTHING : LOOKUP_FOUND, entry);
}

static void
end_with_turn(struct lookup *l, struct entry *own_entry)
{
    MUST(!lookup_is_active(l));
    MUST(l->own_entry == NULL);
    l->own_entry = own_entry;
    l->is_task_due = true;
    loop_task_init(&l->task, on_turn_end, l);
    loop_defer(l->worker->loop, &l->task);
}

/* --- the door ---------------------------------------------------------- */

static void
ask_redis(struct lookup *l, bool is_in_order)
{
    size_t len = remembered_len(l);

    beside_watch(l);
    if (atomic_load_explicit(
            &l->worker->tier->tier->gets_whole, memory_order_relaxed)) {
        ask_whole(l, false, 0);
    } else if (len > 0 && !is_in_order) {
        ask_whole(l, true, len);
    } else {
        ask_part(l);
    }
}

void
lookup_start(
    struct lookup *l, struct worker *worker, const struct lookup_opts *opts)
{
    struct entry *entry = NULL;

    MUST_OBJ(worker, WORKER_MAGIC);
    MUST_OBJ(opts->q, QUESTION_MAGIC);
    MUST(l->magic == 0);
    MUST(!lookup_is_active(l));
    l->magic = LOOKUP_MAGIC;
    l->worker = worker;
    l->q = opts->q;
    l->on_end = opts->on_end;
    l->ctx = opts->ctx;
    l->doubt = NULL;
    l->until_ms = opts->until_ms;
    if (l->until_ms == 0) {
        l->until_ms =
            worker_now_ms(worker) + worker->conf->opts.limits.flight_wait_ms;
    }
    l->is_of_memory = false;
    l->is_unverified = false;
    if (worker->redis != NULL && !opts->is_in_order) {
        entry = memory_find(worker, l->q);
    }
    if (worker->redis == NULL || entry != NULL) {
        end_with_turn(l, entry);
    } else {
        ask_redis(l, opts->is_in_order);
    }
}

void
lookup_cancel(struct lookup *l)
{
    if (l->magic == 0) {
        return;
    }
    MUST_OBJ(l, LOOKUP_MAGIC);
    l->magic = 0;
    redis_call_cancel(&l->call);
    if (l->is_task_due) {
        loop_task_cancel(&l->task);
        l->is_task_due = false;
    }
    entry_unref(&l->own_entry);
}
