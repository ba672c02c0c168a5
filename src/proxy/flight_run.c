/*
 * Flying.
 *
 *   lookup --hit--> ENTRY
 *     |miss
 *   lease: SET <lease> <token> NX PX, GET <entry>, in one go
 *     |won, still no entry    |lost, entry there --> ENTRY
 *     |                       |lost, none: pause, lease again, up to
 *     |                       |flight_wait, then fetch without a lease
 *   fetch: the origin's head decides
 *     |storable: FILL, the flight stays open to join while it fills
 *     |not: FILL for the leader, ALONE for the others, and a marker so
 *     |     that nobody in the fleet queues up for the next seconds
 *   store: the fill script, only while the token still holds
 *
 * Laws. The lease is renewed while the fetch lasts; when it turns out lost
 * (a write or purge came), the flight is closed: whoever asks from now on
 * must not get what was fetched before. Any Redis trouble means "not
 * there": the origin is asked and nothing is stored.
 */
#include "proxy/flight_run.h"

#include <stdio.h>
#include <stdlib.h>

#include "nearside/base/log.h"
#include "nearside/memory/codec.h"
#include "nearside/memory/key.h"
#include "proxy/request.h"

#define RUN_MAGIC UINT32_C(0x6e72756e)

enum {
    LEASE_MS = 3000,
    LEASE_RENEW_MS = 500, /* also how soon a lost lease is noticed */
    POLL_MIN_MS = 15,
    POLL_MAX_MS = 60,
    /* How long "not storable" is remembered, fleet-wide. */
    PASS_MARKER_MS = 5000,
    STORE_TIMEOUT_MS = 1000,
    TOKEN_LEN = 40,
};

struct flight_run {
    uint32_t magic;
    struct list link; /* worker's */
    struct worker *worker;
    struct flight *flight;  /* a reference */
    struct request *leader; /* a reference, until the head has come */
    const struct route *route;
    struct policy_request policy;
    size_t group;
    struct slice key; /* in own memory below, as are the next two */
    struct slice entry_key;
    struct slice lease_key;
    struct redis_call get;
    struct redis_call set; /* SET of the lease; the scripts later */
    struct slice argv[8];
    struct slice get_argv[2];
    struct loop_timer timer; /* poll, then renewal */
    struct loop_task failed; /* a failure told at the turn's end */
    int64_t wait_until_ms;
    bool is_lease_asked;
    bool is_get_failed;
    bool has_lease;
    bool may_have_lease; /* also when the SET's reply was lost */
    struct fetch fetch;
    struct policy_verdict verdict;
    int64_t request_ms; /* wall */
    int64_t response_ms;
    unsigned status;
    struct entry *entry; /* while it is being stored */
    struct entry *stale; /* found, no longer fresh, within its grace */
    char px[24];
    char token[TOKEN_LEN];
    size_t token_len;
    char bytes[];
};

static void run_fetch(struct flight_run *run);
static void run_lease(struct flight_run *run);

/* --- ends -------------------------------------------------------------- */

static void
run_end(struct flight_run *run)
{
    MUST_OBJ(run, RUN_MAGIC);
    loop_timer_cancel(&run->timer);
    loop_task_cancel(&run->failed);
    redis_call_cancel(&run->get);
    redis_call_cancel(&run->set);
    fetch_cancel(&run->fetch);
    entry_unref(&run->entry);
    entry_unref(&run->stale);
    flight_close(run->worker->proxy->flights, run->flight);
    request_unref(&run->leader);
    flight_unref(&run->flight);
    list_remove(&run->link);
    run->magic = 0;
    free(run);
}

static void
resolve(struct flight_run *run, const struct flight_result *own_result,
    bool keeps_open)
{
    flight_resolve(
        run->worker->proxy->flights, run->flight, own_result, keeps_open);
}

/* Everybody for himself. */
static void
run_give_up(struct flight_run *run, const char *detail)
{
    resolve(run,
        &(struct flight_result){.outcome = FLIGHT_ALONE, .detail = detail},
        false);
    run_end(run);
}

static void
on_failed(void *ctx)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    worker_count_limit(run->worker, LIMIT_MEMORY);
    run_give_up(run, "memory");
}

static void
resolve_entry(struct flight_run *run, struct entry *own_entry)
{
    resolve(run,
        &(struct flight_result){.outcome = FLIGHT_ENTRY, .entry = own_entry},
        false);
}

/* --- lookup ------------------------------------------------------------ */

/* Keeps an entry that is past its time for the case that the origin cannot
   answer (RFC 9111 4.2.4), unless the origin has forbidden that. */
static void
keep_stale(struct flight_run *run, struct entry *own_entry, int64_t now_ms)
{
    entry_unref(&run->stale);
    if (now_ms < own_entry->stale_until_ms &&
        (own_entry->flags & (ENTRY_REVALIDATE | ENTRY_PASS)) == 0) {
        run->stale = own_entry;
    } else {
        entry_unref(&own_entry);
    }
}

/* The entry in a reply, if it is one, is ours, and is fresh. */
static struct entry *
entry_of(struct flight_run *run, enum rc rc, struct redis_reply *reply)
{
    int64_t now_ms = clock_wall_ms(loop_clock(run->worker->loop));
    struct entry *entry;
    char *value;
    size_t len;

    if (rc != RC_OK || reply->type != REDIS_STRING) {
        return NULL;
    }
    value = redis_reply_take(reply, &len);
    if (codec_decode(value, len, run->key, &entry) != RC_OK) {
        worker_count(run->worker, run->worker->proxy->metrics.values_bad);
        return NULL;
    }
    if (now_ms >= entry->fresh_until_ms) {
        keep_stale(run, entry, now_ms);
        return NULL;
    }
    return entry;
}

static void
send_get(struct flight_run *run, redis_reply_fn on_reply)
{
    run->get =
        (struct redis_call){.on_reply = on_reply, .ctx = run, .retries = true};
    run->get_argv[0] = SLICE("GET");
    run->get_argv[1] = run->entry_key;
    redis_send(run->worker->redis, &run->get, run->entry_key, 2, run->get_argv);
}

static void
on_lookup(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);
    struct entry *entry = entry_of(run, rc, reply);

    if (entry != NULL) {
        resolve_entry(run, entry);
        run_end(run);
        return;
    }
    /* A reply that is an error, or none: fetch, but store nothing. */
    if (rc != RC_OK || reply->type == REDIS_ERROR) {
        run_fetch(run);
        return;
    }
    run->wait_until_ms = loop_now_ms(run->worker->loop) +
                         run->worker->proxy->opts.limits.flight_wait_ms;
    run_lease(run);
}

/* --- lease ------------------------------------------------------------- */

static void
on_poll(void *ctx)
{
    run_lease(OBJ_OF(struct flight_run, ctx, RUN_MAGIC));
}

static void
release_lease(struct flight_run *run)
{
    run->has_lease = false;
    run->may_have_lease = false;
    run->argv[0] = run->lease_key;
    run->argv[1] = slice_of(run->token, run->token_len);
    redis_eval(run->worker->redis, &run->set,
        &run->worker->proxy->scripts.release, run->argv, 1, 2);
}

static void
on_released(void *ctx, enum rc rc, struct redis_reply *reply)
{
    (void)rc;
    (void)reply;
    run_end(OBJ_OF(struct flight_run, ctx, RUN_MAGIC));
}

/* Ends, after giving the lease back if there is one, or may be: nobody is
   to wait for a lease that nobody holds. */
static void
run_end_released(struct flight_run *run)
{
    if (!run->may_have_lease) {
        run_end(run);
        return;
    }
    run->set = (struct redis_call){.on_reply = on_released, .ctx = run};
    release_lease(run);
}

/* The SET and the GET behind it have ended, without an entry. */
static void
after_lease(struct flight_run *run)
{
    int64_t now_ms = loop_now_ms(run->worker->loop);

    if (run->has_lease || !run->is_lease_asked || run->is_get_failed) {
        run_fetch(run);
        return;
    }
    if (now_ms >= run->wait_until_ms) {
        worker_count_limit(run->worker, LIMIT_FLIGHT_WAIT);
        run_fetch(run);
        return;
    }
    loop_timer_init(&run->timer, run->worker->loop, on_poll, run);
    loop_timer_arm(&run->timer, now_ms + POLL_MIN_MS +
                                    (int64_t)random_below(&run->worker->random,
                                        POLL_MAX_MS - POLL_MIN_MS));
}

/* One connection answers in order, and so the SET first, as a rule; but one
   of the two may be sent elsewhere (ASK), or be refused. */
static void
on_lease_set(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    run->has_lease = rc == RC_OK && reply->type == REDIS_STATUS;
    run->is_lease_asked = rc == RC_OK && reply->type != REDIS_ERROR;
    run->may_have_lease = run->has_lease || (rc != RC_OK && run->set.was_sent);
    if (!redis_call_is_active(&run->get)) {
        after_lease(run);
    }
}

static void
on_lease_get(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);
    struct entry *entry = entry_of(run, rc, reply);

    run->is_get_failed = rc != RC_OK;
    if (entry != NULL) {
        redis_call_cancel(&run->set);
        resolve_entry(run, entry);
        run_end_released(run);
    } else if (!redis_call_is_active(&run->set)) {
        after_lease(run);
    }
}

/* Nobody else in the fleet, nor this process at another time, has it. */
static void
make_token(struct flight_run *run)
{
    struct proxy *proxy = run->worker->proxy;

    run->token_len = (size_t)snprintf(run->token, sizeof(run->token),
        "%016llx-%llx", (unsigned long long)proxy->instance,
        atomic_fetch_add_explicit(&proxy->tokens, 1, memory_order_relaxed));
}

static void
run_lease(struct flight_run *run)
{
    if (run->token_len == 0) {
        make_token(run);
    }
    run->is_lease_asked = false;
    run->may_have_lease = true; /* until its reply says that it has not */
    run->set = (struct redis_call){.on_reply = on_lease_set, .ctx = run};
    run->argv[0] = SLICE("SET");
    run->argv[1] = run->lease_key;
    run->argv[2] = slice_of(run->token, run->token_len);
    run->argv[3] = SLICE("NX");
    run->argv[4] = SLICE("PX");
    run->argv[5] = slice_of(
        run->px, (size_t)snprintf(run->px, sizeof(run->px), "%d", LEASE_MS));
    redis_send(run->worker->redis, &run->set, run->entry_key, 6, run->argv);
    send_get(run, on_lease_get);
}

static void on_renew_timer(void *ctx);

static void
renew_later(struct flight_run *run)
{
    loop_timer_init(&run->timer, run->worker->loop, on_renew_timer, run);
    loop_timer_arm(
        &run->timer, loop_now_ms(run->worker->loop) + LEASE_RENEW_MS);
}

/* The lease is gone: a write came. What is under way goes on for those who
   have joined; nobody else joins, nothing is stored. */
static void
lease_lost(struct flight_run *run)
{
    run->has_lease = false;
    run->may_have_lease = false;
    flight_close(run->worker->proxy->flights, run->flight);
}

static void
on_renewed(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    if (rc == RC_OK && reply->type == REDIS_INTEGER && reply->integer == 0) {
        lease_lost(run);
        return;
    }
    renew_later(run);
}

static void
on_renew_timer(void *ctx)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    if (!run->has_lease || redis_call_is_active(&run->set)) {
        return;
    }
    run->set = (struct redis_call){.on_reply = on_renewed, .ctx = run};
    run->argv[0] = run->lease_key;
    run->argv[1] = slice_of(run->token, run->token_len);
    run->argv[2] = slice_of(
        run->px, (size_t)snprintf(run->px, sizeof(run->px), "%d", LEASE_MS));
    redis_eval(run->worker->redis, &run->set,
        &run->worker->proxy->scripts.renew, run->argv, 1, 3);
}

/* --- store ------------------------------------------------------------- */

static void
on_stored(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);
    const struct proxy_metrics *m = &run->worker->proxy->metrics;

    if (rc != RC_OK || reply->type != REDIS_INTEGER) {
        worker_count(run->worker, m->stores_failed);
        /* Nobody is to wait for a lease whose fetch is over. */
        run_end_released(run);
        return;
    }
    worker_count(
        run->worker, reply->integer == 1 ? m->stores : m->stores_fenced);
    run_end(run);
}

static bool
is_doomed(struct flight_run *run)
{
    return atomic_load(&run->flight->is_doomed);
}

/* Takes over run->entry's value into Redis for px_ms, by the fill script. */
static void
send_store(struct flight_run *run, int64_t px_ms)
{
    loop_timer_cancel(&run->timer);
    redis_call_cancel(&run->set);
    run->set = (struct redis_call){
        .on_reply = on_stored,
        .ctx = run,
        .deadline_ms = loop_now_ms(run->worker->loop) + STORE_TIMEOUT_MS,
    };
    run->argv[0] = run->entry_key;
    run->argv[1] = run->lease_key;
    run->argv[2] = slice_of(run->token, run->token_len);
    run->argv[3] = run->entry->blob;
    run->argv[4] = slice_of(run->px,
        (size_t)snprintf(run->px, sizeof(run->px), "%lld", (long long)px_ms));
    redis_eval(run->worker->redis, &run->set, &run->worker->proxy->scripts.fill,
        run->argv, 2, 5);
}

struct fill_cursor {
    struct fill *fill;
    struct fill_chunk *at;
};

static struct slice
next_run(void *ctx)
{
    struct fill_cursor *cursor = ctx;

    return fill_run(cursor->fill, &cursor->at);
}

static enum rc
encode_entry(struct flight_run *run)
{
    struct fill *fill = run->fetch.fill;
    struct fill_cursor cursor = {.fill = fill};
    const struct codec_parts parts = {
        .status = (uint16_t)run->status,
        .flags =
            (uint16_t)(ENTRY_HAS_DATE |
                       (run->verdict.is_shareable ? ENTRY_SHAREABLE : 0) |
                       (run->verdict.must_revalidate ? ENTRY_REVALIDATE : 0)),
        .created_ms = run->verdict.created_ms,
        .fresh_until_ms = run->verdict.fresh_until_ms,
        .stale_until_ms = run->verdict.stale_until_ms,
        .origin_cost_ms =
            (uint32_t)((run->fetch.head_us - run->fetch.start_us) / 1000),
        .key = run->key,
        .fields = fill_message(fill)->fields,
        .body_next = next_run,
        .body_ctx = &cursor,
        .body_len = (size_t)fill_len(fill),
    };

    return codec_encode(&parts, &run->entry);
}

static void
run_store(struct flight_run *run)
{
    int64_t now_ms = clock_wall_ms(loop_clock(run->worker->loop));
    int64_t px_ms = run->verdict.stale_until_ms - now_ms;

    if (!run->has_lease || is_doomed(run) || px_ms <= 0) {
        run_end_released(run);
        return;
    }
    if (encode_entry(run) != RC_OK) {
        worker_count_limit(run->worker, LIMIT_MEMORY);
        run_end_released(run);
        return;
    }
    send_store(run, px_ms);
}

/* Not storable: says so to the fleet for a few seconds. */
static void
store_marker(struct flight_run *run)
{
    int64_t now_ms = clock_wall_ms(loop_clock(run->worker->loop));
    const struct codec_parts parts = {
        .flags = ENTRY_PASS,
        .created_ms = now_ms,
        .fresh_until_ms = now_ms + PASS_MARKER_MS,
        .stale_until_ms = now_ms + PASS_MARKER_MS,
        .key = run->key,
    };

    if (!run->has_lease || is_doomed(run) ||
        codec_encode(&parts, &run->entry) != RC_OK) {
        run_end_released(run);
        return;
    }
    send_store(run, PASS_MARKER_MS);
}

/* --- fetch ------------------------------------------------------------- */

static void
on_interim(void *ctx, const struct head *head)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    request_interim(run->leader, head);
}

static struct fetch_plan
on_head(void *ctx, const struct head *head)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);
    const struct proxy_limits *limits = &run->worker->proxy->opts.limits;

    run->status = head->status;
    run->response_ms = clock_wall_ms(loop_clock(run->worker->loop));
    policy_store(run->route, &run->policy, head, run->request_ms,
        run->response_ms, random_next(&run->worker->random), &run->verdict);
    if (run->verdict.is_storable && head->framing == FRAMING_LENGTH &&
        head->content_length > limits->object_max) {
        run->verdict.is_storable = false;
        run->verdict.detail = "size";
    }
    return (struct fetch_plan){
        .is_kept = run->verdict.is_storable,
        .drops_set_cookie =
            run->verdict.is_storable && run->verdict.drops_set_cookie,
    };
}

/* The origin cannot answer: what is past its time is better than nothing. */
static void
resolve_stale(struct flight_run *run)
{
    struct flight_result result = {
        .outcome = FLIGHT_ENTRY,
        .entry = run->stale,
        .is_stale = true,
        .fwd_status = run->status,
    };

    run->stale = NULL;
    fetch_cancel(&run->fetch);
    resolve(run, &result, false);
    run_end_released(run);
}

/* Not storable for what the leader brought: that says nothing of the target. */
static bool
is_personal(const struct flight_run *run)
{
    return run->policy.has_credentials &&
           run->verdict.detail == run->policy.credential;
}

static void
on_fill(void *ctx, struct fill *fill)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);
    struct flight_result result = {
        .outcome = FLIGHT_FILL,
        .is_shareable = run->verdict.is_shareable,
        .is_stored = run->verdict.is_storable && run->has_lease,
        .detail = run->verdict.detail,
        .fresh_until_ms = run->verdict.fresh_until_ms,
    };

    if (fill == NULL) {
        loop_defer(run->worker->loop, &run->failed);
        return;
    }
    if (run->status >= 500 && run->stale != NULL) {
        resolve_stale(run);
        return;
    }
    result.fill = fill_ref(fill);
    result.is_private = !run->verdict.is_storable;
    result.is_personal = is_personal(run);
    resolve(run, &result, run->verdict.is_storable);
    request_unref(&run->leader);
}

static void
on_outgrown(void *ctx)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    run->verdict.is_storable = false;
    flight_close(run->worker->proxy->flights, run->flight);
}

static void
on_end(void *ctx, enum fill_state state, bool is_early)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    (void)is_early;
    flight_close(run->worker->proxy->flights, run->flight);
    if (state != FILL_COMPLETE || is_personal(run)) {
        run_end_released(run);
    } else if (run->verdict.is_storable) {
        run_store(run);
    } else {
        store_marker(run);
    }
}

static void
on_error(void *ctx, enum origin_error error)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    if (run->stale != NULL) {
        resolve_stale(run);
        return;
    }
    resolve(run,
        &(struct flight_result){.outcome = FLIGHT_ERROR, .error = error},
        false);
    run_end_released(run);
}

static const struct fetch_callbacks fetch_callbacks = {
    .on_interim = on_interim,
    .on_head = on_head,
    .on_fill = on_fill,
    .on_outgrown = on_outgrown,
    .on_end = on_end,
    .on_error = on_error,
};

static void
run_fetch(struct flight_run *run)
{
    struct exchange_request request;

    run->request_ms = clock_wall_ms(loop_clock(run->worker->loop));
    if (request_origin_head(run->leader, true, &request) != RC_OK ||
        fetch_start(&run->fetch, run->worker, run->group, &request,
            &fetch_callbacks, run) != RC_OK) {
        loop_defer(run->worker->loop, &run->failed);
        return;
    }
    if (run->has_lease) {
        renew_later(run);
    }
}

/* --- start ------------------------------------------------------------- */

static struct slice
keep(char **at, struct slice s)
{
    struct slice kept = slice_of(*at, s.len);

    memcpy(*at, s.ptr, s.len);
    *at += s.len;
    return kept;
}

static struct flight_run *
run_new(struct request *leader)
{
    struct proxy *proxy = leader->worker->proxy;
    struct flight_run *run =
        calloc(1, sizeof(*run) + leader->key.len + 2 * leader->entry_key.len);
    char *at;

    if (run == NULL) {
        return NULL;
    }
    at = run->bytes;
    run->magic = RUN_MAGIC;
    run->worker = leader->worker;
    run->route = leader->route_opts;
    run->policy = leader->policy;
    run->group = leader->group;
    run->key = keep(&at, leader->key);
    run->entry_key = keep(&at, leader->entry_key);
    key_lease_of(leader->entry_key, proxy->prefix, at);
    run->lease_key = slice_of(at, leader->entry_key.len);
    loop_timer_init(&run->timer, run->worker->loop, on_poll, run);
    loop_task_init(&run->failed, on_failed, run);
    list_init(&run->link);
    list_push_back(&run->worker->flights, &run->link);
    return run;
}

void
flight_run_start(struct request *leader, struct flight *flight)
{
    struct flight_run *run = run_new(leader);

    if (run == NULL) {
        struct flight *own = flight;
        worker_count_limit(leader->worker, LIMIT_MEMORY);
        flight_resolve(leader->worker->proxy->flights, flight,
            &(struct flight_result){
                .outcome = FLIGHT_ALONE, .detail = "memory"},
            false);
        flight_unref(&own);
        return;
    }
    run->flight = flight;
    request_ref(leader);
    run->leader = leader;
    if (run->worker->redis == NULL) {
        run_fetch(run);
    } else {
        send_get(run, on_lookup);
    }
}

void
flight_runs_free(struct worker *worker)
{
    struct list *link;

    while ((link = list_first(&worker->flights)) != NULL) {
        struct flight_run *run = CONTAINER_OF(link, struct flight_run, link);
        if (run->flight->result.outcome == FLIGHT_PENDING) {
            resolve(
                run, &(struct flight_result){.outcome = FLIGHT_ALONE}, false);
        }
        run_end(run);
    }
}
