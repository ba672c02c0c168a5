/*
 * The values that a worker has sent to Redis and awaits the reply of. Each
 * holds its question until then.
 *
 * Each goes with a script that is guarded by a token or a checksum, and so may
 * be sent again when its connection is lost. While a value is on its way, which
 * may take longer than a lease lasts, its lease is renewed; one under which
 * nothing could be stored is given back (release.h).
 */
#include "nearside/tier/store.h"

#include <stdio.h>
#include <stdlib.h>

#include "nearside/base/log.h"
#include "nearside/cache/key.h"
#include "nearside/lease/lease.h"
#include "nearside/lease/release.h"
#include "nearside/tier/takes.h"
#include "nearside/tier/tier.h"

#include "tier/alone.h"
#include "tier/beside.h"

#define PENDING_MAGIC UINT32_C(0x6e73746f)

enum {
    STORE_TIMEOUT_MS = 1000, /* a value is larger than a question */
    /* In all. A link on which the largest value takes longer is too slow to
       have others wait for it. */
    STORE_LAST_MS = 30000,
    STORE_RENEW_MS = LEASE_MS / 3,
    ARGS_MAX = 10,
    /* What is larger holds up what is small, on a connection that they share.
     */
    BULK_MIN = 64 * 1024,
};

/* A value under way. */
struct pending {
    uint32_t magic;
    bool is_lease_backed; /* the guard is the token of a lease */
    struct list link;
    struct worker *worker;
    struct question *q;        /* a reference */
    struct question *lease_of; /* whose lease it is; a reference */
    struct redis_call call;
    struct redis_call renewal; /* of the lease that backs it */
    struct loop_timer renewal_timer;
    struct value value;
    struct value record;
    struct slice argv[ARGS_MAX];
    unsigned argc;
    unsigned keys;
    struct slice guard; /* in bytes, as is the next */
    struct slice lease_key;
    struct arena arena; /* holds a key in argv */
    char px[24];
    char max[12];
    char bytes[];
};

static void on_renewal_due(void *ctx);
static void on_renewed(void *ctx, enum rc rc, struct redis_reply *reply);

/* What it changes in Redis leaves memory, before it is sent and when its end is
   known or given up. */
static void
drop_changed(const struct pending *p)
{
    beside_drop(p->worker, p->q->key.hash);
    if (p->record.bytes != NULL) {
        beside_drop(p->worker, question_base(p->q)->key.hash);
    }
}

static void
pending_free(struct pending *p)
{
    MUST_OBJ(p, PENDING_MAGIC);
    drop_changed(p);
    redis_call_cancel(&p->call);
    redis_call_cancel(&p->renewal);
    loop_timer_cancel(&p->renewal_timer);
    list_remove(&p->link);
    value_free(&p->value);
    value_free(&p->record);
    question_unref(&p->q);
    question_unref(&p->lease_of);
    arena_fini(&p->arena);
    p->magic = 0;
    free(p);
}

/* lease_of: whose lease it is. NULL: no memory. */
static struct pending *
pending_new(struct worker *w, struct question *q, struct slice guard,
    struct question *lease_of)
{
    size_t lease_len = lease_of->entry_key.len;
    struct pending *p = calloc(1, sizeof(*p) + guard.len + lease_len);

    MUST_OBJ(w, WORKER_MAGIC);
    MUST(w->redis != NULL);
    if (p == NULL) {
        worker_count_limit(w, LIMIT_MEMORY);
        return NULL;
    }
    p->magic = PENDING_MAGIC;
    p->worker = w;
    p->q = question_ref(q);
    p->lease_of = question_ref(lease_of);
    arena_init(&p->arena, 64 * 1024);
    memcpy(p->bytes, guard.ptr, guard.len);
    p->guard = slice_of(p->bytes, guard.len);
    key_lease_of(lease_of->entry_key, w->conf->prefix, p->bytes + guard.len);
    p->lease_key = slice_of(p->bytes + guard.len, lease_len);
    list_push_back(&w->tier->stores, &p->link);
    loop_timer_init(&p->renewal_timer, w->loop, on_renewal_due, p);
    return p;
}

/* --- outcomes ---------------------------------------------------------- */

static void
count_store(struct worker *w, int64_t outcome)
{
    if (outcome == 2) {
        worker_count_limit(w, LIMIT_VARIANTS);
    } else {
        worker_count(w, outcome == 1 ? COUNTER_STORES : COUNTER_STORES_FENCED);
    }
}

/* Nobody is to wait for a lease whose fetch is over. */
static void
give_up(struct pending *p)
{
    if (p->is_lease_backed) {
        release_token(p->worker, p->lease_of, p->guard);
    }
    pending_free(p);
}

/* Above the server's proto-max-bulk-len it says "Protocol error: invalid bulk
   length" and closes the connection, with all that was on it. Its words may be
   lost with what is still being sent to it. */
static void
note_refusal(struct pending *p, enum rc rc, const struct redis_reply *reply)
{
    struct slice text = slice_of(NULL, 0);
    char escaped[128];

    if (rc == RC_OK && reply->type == REDIS_ERROR) {
        text = slice_of(reply->str, reply->len);
    }
    if (rc == RC_OK ? !slice_starts(text, SLICE("ERR Protocol error"))
                    : (!p->call.was_sent || (rc != RC_CLOSED && rc != RC_IO))) {
        return;
    }
    if (takes_refused(p->worker, p->value.len, rc == RC_OK)) {
        log_event(p->worker->ring, LOG_LEVEL_WARN, "redis_value_refused",
            "bytes=%zu cause=\"%s\" detail=\"%s\"", p->value.len, rc_text(rc),
            log_escape(text, escaped, sizeof(escaped)));
    }
}

static void
on_reply(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct pending *p = OBJ_OF(struct pending, ctx, PENDING_MAGIC);

    if (rc == RC_OK && reply->type == REDIS_INTEGER) {
        count_store(p->worker, reply->integer);
        pending_free(p);
        return;
    }
    note_refusal(p, rc, reply);
    worker_count(p->worker, COUNTER_STORES_FAILED);
    give_up(p);
}

/* --- sending ----------------------------------------------------------- */

static void
send_script(struct pending *p, const struct redis_script *script)
{
    MUST(p->keys > 0);
    MUST(!redis_call_is_active(&p->call));
    p->call = (struct redis_call){
        .on_reply = on_reply,
        .ctx = p,
        .retries = true,
        .is_guarded = true,
        .is_bulk = p->value.len > BULK_MIN,
        .deadline_ms = worker_now_ms(p->worker) + STORE_TIMEOUT_MS,
        .last_ms = worker_now_ms(p->worker) + STORE_LAST_MS,
    };
    redis_eval(p->worker->redis, &p->call, script, p->argv, p->keys, p->argc);
}

/* By the connection for what is small: it overtakes the value. */
static void
on_renewal_due(void *ctx)
{
    struct pending *p = OBJ_OF(struct pending, ctx, PENDING_MAGIC);
    const struct slice argv[] = {p->lease_key, p->guard, LEASE_PX};

    MUST(p->is_lease_backed);
    MUST(!redis_call_is_active(&p->renewal));
    p->renewal = (struct redis_call){.on_reply = on_renewed, .ctx = p};
    redis_eval(p->worker->redis, &p->renewal, &p->worker->lease->scripts->renew,
        argv, 1, ARRAY_LEN(argv));
}

static void
renew_later(struct pending *p)
{
    loop_timer_arm(
        &p->renewal_timer, worker_now_ms(p->worker) + STORE_RENEW_MS);
}

/* A lease that is gone stays so: the value will find that out. */
static void
on_renewed(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct pending *p = OBJ_OF(struct pending, ctx, PENDING_MAGIC);

    MUST(redis_call_is_active(&p->call)); /* or p would be gone */
    if (rc != RC_OK || reply->type != REDIS_INTEGER || reply->integer != 0) {
        renew_later(p);
    }
}

/* --- arguments --------------------------------------------------------- */

static void
add(struct pending *p, struct slice word)
{
    MUST(p->argc < ARGS_MAX);
    p->argv[p->argc++] = word;
}

static void
end_keys(struct pending *p)
{
    MUST(p->keys == 0);
    p->keys = p->argc;
    add(p, p->guard);
}

static struct slice
number(char *to, size_t cap, int64_t n)
{
    return slice_of(to, (size_t)snprintf(to, cap, "%lld", (long long)n));
}

/* How many variants there may be; 0: as many as there are clients, where the
   route keys credentials. */
static unsigned
variants_max(const struct pending *p)
{
    const struct route *route = p->q->reads;

    return route->cookie == ROUTE_CREDENTIAL_KEY ||
                   route->authorization == ROUTE_CREDENTIAL_KEY
               ? 0
               : p->worker->conf->opts.limits.variants_max;
}

/* The fence of the target that the question asks for. RC_NOMEM. */
static enum rc
put_fence(struct pending *p)
{
    struct slice entry_key = question_base(p->q)->entry_key;
    char *text = arena_alloc(&p->arena, entry_key.len);

    MUST(entry_key.len > 0);
    if (text == NULL) {
        return RC_NOMEM;
    }
    key_fence_of(entry_key, p->worker->conf->prefix, text);
    add(p, slice_of(text, entry_key.len));
    return RC_OK;
}

/* The keys that a script needs, and the guard. RC_NOMEM. */
static enum rc
put_keys(struct pending *p, enum store_kind kind)
{
    struct slice names;

    add(p, p->q->entry_key);
    if (kind != STORE_RENEWED) {
        add(p, p->lease_key);
    }
    if ((kind == STORE_ENTRY || kind == STORE_RECORD) &&
        put_fence(p) != RC_OK) {
        return RC_NOMEM;
    }
    if (kind != STORE_ENTRY && kind != STORE_RENEWED) {
        MUST(p->q->base != NULL);
        add(p, question_base(p->q)->entry_key);
    }
    if (kind == STORE_VARIANT) {
        MUST_OBJ(p->q->record, ENTRY_MAGIC);
        if (key_names(&p->arena, question_base(p->q)->entry_key,
                entry_generation(p->q->record), &names) != RC_OK) {
            return RC_NOMEM;
        }
        add(p, names);
    }
    end_keys(p);
    return RC_OK;
}

/* What it stores, and what it must know for that. */
static const struct redis_script *
put_values(struct pending *p, enum store_kind kind, int64_t px_ms)
{
    const struct tier_scripts *scripts = p->worker->tier->scripts;

    add(p, value_slice(&p->value));
    add(p, number(p->px, sizeof(p->px), px_ms));
    switch (kind) {
    case STORE_RECORD:
        add(p, value_slice(&p->record));
        return &scripts->fill;
    case STORE_WIDER:
        add(p, value_slice(&p->record));
        add(p, entry_sum(p->lease_of->record));
        return &scripts->widen;
    case STORE_ENTRY:
        return &scripts->fill;
    case STORE_VARIANT:
        add(p, entry_sum(p->q->record));
        add(p, number(p->max, sizeof(p->max), variants_max(p)));
        add(p, p->q->key.variant);
        return &scripts->fill_variant;
    case STORE_RENEWED:
        MUST(p->guard.len == ENTRY_SUM_LEN);
        return &scripts->replace;
    }
    return NULL;
}

/* --- the writer -------------------------------------------------------- */

/* A lease's token, or the checksum of what is replaced. */
static struct slice
guard_of(const struct store *store)
{
    if (store->kind == STORE_RENEWED) {
        MUST(store->sum.len == ENTRY_SUM_LEN);
        return store->sum;
    }
    MUST_OBJ(store->lease, LEASE_MAGIC);
    return store->lease->token;
}

void
store_write(struct worker *w, const struct store *own_store)
{
    struct question *q = own_store->q;
    bool has_record =
        own_store->kind == STORE_RECORD || own_store->kind == STORE_WIDER;
    struct question *lease_of = has_record ? own_store->leased : q;
    struct slice guard = guard_of(own_store);
    struct value value = own_store->value;
    struct value record = own_store->record;
    struct pending *p;

    MUST_OBJ(q, QUESTION_MAGIC);
    MUST(own_store->px_ms > 0);
    MUST(value.bytes != NULL);
    MUST((record.bytes != NULL) == has_record);
    MUST_OBJ(lease_of, QUESTION_MAGIC);
    if (w->redis == NULL) {
        alone_store(w, own_store);
        return;
    }
    p = pending_new(w, q, guard, lease_of);
    if (p == NULL) {
        value_free(&value);
        value_free(&record);
        if (own_store->kind != STORE_RENEWED) { /* the values made room */
            release_token(w, lease_of, guard);
        }
        return;
    }
    p->is_lease_backed = own_store->kind != STORE_RENEWED;
    p->value = value;
    p->record = record;
    if (value.len > takes_max(w)) {
        worker_count_limit(w, LIMIT_OBJECT_MAX);
        give_up(p);
        return;
    }
    if (put_keys(p, own_store->kind) != RC_OK) {
        worker_count_limit(w, LIMIT_MEMORY);
        give_up(p);
        return;
    }
    drop_changed(p);
    send_script(p, put_values(p, own_store->kind, own_store->px_ms));
    if (p->is_lease_backed) {
        renew_later(p);
    }
}

/* --- the door ---------------------------------------------------------- */

bool
store_is_possible(struct worker *w, struct question *q)
{
    MUST_OBJ(q, QUESTION_MAGIC);
    if (w->redis == NULL) {
        return tier_stores(w);
    }
    switch (redis_scripts_of(w->redis, q->entry_key)) {
    case REDIS_SCRIPTS_RUN:
        return true;
    case REDIS_SCRIPTS_UNSURE:
        release_trial(w, q);
        return false;
    case REDIS_SCRIPTS_FAIL:
        return false;
    }
    return false;
}

void
stores_free(struct worker *w)
{
    struct list *link;

    while ((link = list_first(&w->tier->stores)) != NULL) {
        pending_free(CONTAINER_OF(link, struct pending, link));
    }
}
