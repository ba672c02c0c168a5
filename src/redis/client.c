/*
 * A worker's client: from a call to the node that serves it, and what an
 * answer that is none leads to.
 *
 *     redis_send --> route --+--> wire --> reply --> done
 *                     ^      |      \--> MOVED, ASK, TRYAGAIN ... -+
 *                     |      +--> parked, paused <----------------+
 *                     +------------------/
 *
 * Laws.
 * - A call is in exactly one place (enum call_state), and its timer is armed
 *   for as long as it is under way: it ends at its deadline at the latest.
 * - A call ends once, never from inside redis_send: ends known at once wait
 *   for the end of the turn.
 * - The budget of retries is the deadline, and hops and attempts are counted
 *   besides. A pause that would outlast the deadline is not begun: the
 *   caller has better things to do than to wait.
 * - What may have been executed is sent again only when the caller said
 *   that this does no harm (call->retries).
 */
#include "nearside/base/hash.h"
#include "nearside/base/log.h"
#include "redis/pool.h"

#include <stdlib.h>

enum {
    CLIENT_MAGIC = 0x52434c49,
    HOPS_MAX = 5,
    /* From here a redirection waits: two nodes that send us to each other
       during a failover agree sooner or later. */
    HOPS_FREE = 2,
    HOP_PAUSE_MS = 10,
    ATTEMPTS_MAX = 3,
    TRYAGAIN_MS = 10,
    DOWN_MS = 50,
    /* How long a call may wait for the very first map. */
    BOOT_MS = 1000,
    PARKED_MAX = 1024,
    EVAL_ARGS_MAX = REDIS_ARGS_MAX - 3,
};

struct redis_client {
    uint32_t magic;
    bool is_closing;
    struct redis *redis;
    struct pool pool;
    struct member member;
    struct list parked; /* until there is a map */
    struct list paused; /* until their pause ends */
    struct list ending; /* until the turn's end */
    unsigned held;      /* parked and paused */
    struct loop_task ending_task;
    struct random random;
    int64_t born_ms;
};

static void call_route(struct redis_client *c, struct redis_call *call);

static int64_t
client_now_ms(const struct redis_client *c)
{
    return loop_now_ms(c->pool.loop);
}

static const struct redis_metrics *
metrics_of(const struct redis_client *c)
{
    return &c->redis->metrics;
}

/* ---- ends --------------------------------------------------------------- */

static void
call_done(struct redis_client *c, struct redis_call *call, enum rc rc,
    struct redis_reply *reply)
{
    MUST(call->impl.state == CALL_IDLE);
    MUST((rc == RC_OK) == (reply != NULL));
    loop_timer_cancel(&call->impl.timer);
    if (rc != RC_OK && rc != RC_CANCELLED) {
        metric_inc(c->pool.block, redis_metric_of_failure(metrics_of(c), rc));
    }
    call->on_reply(call->ctx, rc, reply);
}

static void
on_ending(void *ctx)
{
    struct redis_client *c = OBJ_OF(struct redis_client, ctx, CLIENT_MAGIC);
    struct list now;
    struct list *link;

    /* Only those there are: who is told of a failure may try again and fail
       again, and must not keep the loop from its sockets. */
    list_init(&now);
    list_splice(&now, &c->ending);
    while ((link = list_pop(&now)) != NULL) {
        struct redis_call *call =
            CONTAINER_OF(link, struct redis_call, impl.link);

        call->impl.state = CALL_IDLE;
        call_done(c, call, call->impl.rc, NULL);
    }
}

/* Ends the call at the turn's end. */
static void
call_end(struct redis_client *c, struct redis_call *call, enum rc rc)
{
    MUST(call->impl.state == CALL_IDLE);
    call->impl.state = CALL_ENDING;
    call->impl.rc = rc;
    list_push_back(&c->ending, &call->impl.link);
    loop_defer(c->pool.loop, &c->ending_task);
}

/* Takes the call off whatever it waits for. */
static void
call_detach(struct redis_client *c, struct redis_call *call)
{
    switch ((enum call_state)call->impl.state) {
    case CALL_IDLE:
        break;
    case CALL_PARKED:
    case CALL_PAUSED:
        c->held--;
        list_remove(&call->impl.link);
        break;
    case CALL_ENDING:
        list_remove(&call->impl.link);
        break;
    case CALL_WAITING:
    case CALL_SENT:
    case CALL_LOST:
        wire_forget(call->impl.wire, call);
        break;
    }
    call->impl.state = CALL_IDLE;
}

/* ---- waiting ------------------------------------------------------------ */

static bool
call_hold(struct redis_client *c, struct redis_call *call,
    enum call_state state, struct list *where)
{
    if (c->held >= PARKED_MAX) {
        return false;
    }
    MUST(call->impl.state == CALL_IDLE);
    call->impl.state = (uint8_t)state;
    list_push_back(where, &call->impl.link);
    c->held++;
    return true;
}

/* Holds the call back for base..2*base ms; false: it has no such time. */
static bool
call_pause(struct redis_client *c, struct redis_call *call, int64_t base_ms)
{
    int64_t until_ms = client_now_ms(c) + base_ms +
                       (int64_t)random_below(&c->random, (uint64_t)base_ms);

    if (until_ms >= call->impl.deadline_ms ||
        !call_hold(c, call, CALL_PAUSED, &c->paused)) {
        return false;
    }
    loop_timer_arm(&call->impl.timer, until_ms);
    return true;
}

static void
node_has_failed(struct redis_client *c, struct node *node)
{
    if (node_failed(node, client_now_ms(c))) {
        metric_inc(c->pool.block, metrics_of(c)->breaker_opens);
        redis_want_refresh(c->redis, REFRESH_UNREACHABLE);
        log_event(c->pool.ring, LOG_LEVEL_WARN, "redis_node_rests",
            "node=\"%s\"", node->text);
    }
}

static void
on_timer(void *ctx)
{
    struct redis_call *call = ctx;
    struct redis_client *c = call->impl.client;
    enum call_state state = (enum call_state)call->impl.state;
    enum rc rc = RC_TIMEOUT;

    MUST_OBJ(c, CLIENT_MAGIC);
    MUST(state != CALL_IDLE);
    if (state == CALL_ENDING) {
        return; /* its end comes with this turn's */
    }
    if (call->impl.wire != NULL) {
        node_has_failed(c, wire_node(call->impl.wire));
    }
    call_detach(c, call);
    if (state == CALL_PAUSED && client_now_ms(c) < call->impl.deadline_ms) {
        loop_timer_arm(&call->impl.timer, call->impl.deadline_ms);
        call_route(c, call);
        return;
    }
    if (state == CALL_PARKED) {
        rc = RC_MISS;
    }
    call_done(c, call, rc, NULL);
}

/* ---- ways --------------------------------------------------------------- */

static void
call_send_to(
    struct redis_client *c, struct redis_call *call, struct contact *contact)
{
    enum rc rc = RC_NOMEM;

    if (contact != NULL) {
        MUST_OBJ(contact, CONTACT_MAGIC);
        rc = node_admits(contact->node, client_now_ms(c))
                 ? wire_send(contact->wire, call)
                 : RC_REFUSED;
    }
    if (rc != RC_OK) {
        call_end(c, call, rc);
    }
}

/* To the slot's owner. Without one: before the first map the call waits a
   little for it, later it is a miss. */
static void
call_route(struct redis_client *c, struct redis_call *call)
{
    struct contact *contact = pool_owner(&c->pool, call->impl.hash_slot);

    if (contact != NULL) {
        call_send_to(c, call, contact);
        return;
    }
    redis_want_refresh(c->redis, REFRESH_UNSERVED);
    if (c->pool.version != 0 || client_now_ms(c) - c->born_ms >= BOOT_MS ||
        !call_hold(c, call, CALL_PARKED, &c->parked)) {
        call_end(c, call, RC_MISS);
    }
}

static void
on_map(void *ctx)
{
    struct redis_client *c = OBJ_OF(struct redis_client, ctx, CLIENT_MAGIC);
    struct list parked;
    struct list *link;

    pool_adopt(&c->pool);
    if (c->pool.version == 0) {
        return;
    }
    list_init(&parked);
    list_splice(&parked, &c->parked);
    while ((link = list_pop(&parked)) != NULL) {
        struct redis_call *call =
            CONTAINER_OF(link, struct redis_call, impl.link);

        call->impl.state = CALL_IDLE;
        c->held--;
        call_route(c, call);
    }
}

/* ---- answers that are none ---------------------------------------------- */

/* What has become of a call whose error reply was looked at. */
enum verdict {
    VERDICT_TELL, /* the caller's to deal with */
    VERDICT_HELD, /* it goes on */
};

/* Another redirection; false: enough of them. */
static bool
call_hop(struct redis_client *c, struct redis_call *call)
{
    if (call->impl.hops >= HOPS_MAX) {
        return false;
    }
    call->impl.hops++;
    metric_inc(c->pool.block, metrics_of(c)->retries);
    return true;
}

/* Where a redirection leads, for a call that contact has refused. NULL: none
   to follow. */
static struct contact *
redirect_target(struct redis_client *c, struct redis_call *call,
    struct contact *contact, struct slice text)
{
    struct redirect to;

    if (redirect_parse(text, &to) != RC_OK || to.slot != call->impl.hash_slot ||
        !call_hop(c, call)) {
        return NULL;
    }
    if (to.host.len == 0) {
        to.host = slice_of_str(contact->node->host);
    }
    return pool_at(&c->pool, to.host, to.port);
}

static enum verdict
on_moved(struct redis_client *c, struct redis_call *call,
    struct contact *contact, struct slice text)
{
    struct contact *target = redirect_target(c, call, contact, text);
    bool is_pause = call->impl.hops > HOPS_FREE || target == contact;

    redis_want_refresh(c->redis, REFRESH_MOVED);
    if (target == NULL) {
        return VERDICT_TELL;
    }
    if (target == contact) {
        /* It sends us to where we are: another server answers to its
           name, perhaps. A new connection looks the name up again. */
        wire_drop(contact->wire, RC_CLOSED);
    }
    pool_patch(&c->pool, call->impl.hash_slot, target);
    if (is_pause) {
        return call_pause(c, call, HOP_PAUSE_MS) ? VERDICT_HELD : VERDICT_TELL;
    }
    call_send_to(c, call, target);
    return VERDICT_HELD;
}

static enum verdict
on_ask(struct redis_client *c, struct redis_call *call, struct contact *contact,
    struct slice text)
{
    struct contact *target = redirect_target(c, call, contact, text);

    if (target == NULL) {
        return VERDICT_TELL;
    }
    call->impl.is_asking = true;
    call_send_to(c, call, target);
    return VERDICT_HELD;
}

/* The script is new to the server: its body, on the same connection. */
static enum verdict
on_noscript(struct redis_client *c, struct redis_call *call,
    struct contact *contact, bool was_asking)
{
    if (call->impl.script == NULL) {
        return VERDICT_TELL;
    }
    call->impl.argv[0] = SLICE("EVAL");
    call->impl.argv[1] = slice_of_str(call->impl.script->body);
    call->impl.script = NULL;
    call->impl.is_asking = was_asking;
    call_send_to(c, call, contact);
    return VERDICT_HELD;
}

/* Full jitter over a doubling span, at most a second. */
static enum verdict
call_back_off(struct redis_client *c, struct redis_call *call, int64_t base_ms)
{
    int64_t span_ms = base_ms
                      << (call->impl.attempts < 6 ? call->impl.attempts : 6);

    span_ms = span_ms > 1000 ? 1000 : span_ms;
    if (!call_pause(c, call, span_ms / 2)) {
        return VERDICT_TELL;
    }
    if (call->impl.attempts < UINT8_MAX) {
        call->impl.attempts++;
    }
    metric_inc(c->pool.block, metrics_of(c)->retries);
    return VERDICT_HELD;
}

static enum verdict
on_down_reply(
    struct redis_client *c, struct redis_call *call, struct contact *contact)
{
    redis_want_refresh(c->redis, REFRESH_CLUSTERDOWN);
    node_rest(contact->node, client_now_ms(c));
    return call_back_off(c, call, DOWN_MS);
}

/* A demoted primary: its connection is of no more use to us. */
static enum verdict
on_readonly(
    struct redis_client *c, struct redis_call *call, struct contact *contact)
{
    redis_want_refresh(c->redis, REFRESH_READONLY);
    wire_drop(contact->wire, RC_CLOSED);
    if (!call_hop(c, call)) {
        return VERDICT_TELL;
    }
    return call_pause(c, call, HOP_PAUSE_MS) ? VERDICT_HELD : VERDICT_TELL;
}

static enum verdict
on_denied(
    struct redis_client *c, struct contact *contact, enum redis_error error)
{
    if (error != REDIS_ERROR_NOPERM) {
        /* NOPERM may concern one command; these two concern all. */
        node_rest(contact->node, client_now_ms(c));
        wire_drop(contact->wire, RC_REFUSED);
    }
    log_event(c->pool.ring, LOG_LEVEL_ERROR, "redis_denied",
        "node=\"%s\" cause=\"%s\"", contact->node->text,
        redis_error_name(error));
    return VERDICT_TELL;
}

static enum verdict
on_error(struct redis_client *c, struct redis_call *call,
    struct contact *contact, struct slice text)
{
    enum redis_error error = redis_error_of(text);
    bool was_asking = call->impl.is_asking;

    call->impl.is_asking = false;
    metric_inc(c->pool.block, metrics_of(c)->errors[error]);
    switch (error) {
    case REDIS_ERROR_MOVED:
        return on_moved(c, call, contact, text);
    case REDIS_ERROR_ASK:
        return on_ask(c, call, contact, text);
    case REDIS_ERROR_TRYAGAIN:
        return call_back_off(c, call, TRYAGAIN_MS);
    case REDIS_ERROR_CLUSTERDOWN:
    case REDIS_ERROR_MASTERDOWN:
        return on_down_reply(c, call, contact);
    case REDIS_ERROR_LOADING:
        node_rest(contact->node, client_now_ms(c));
        return VERDICT_TELL;
    case REDIS_ERROR_READONLY:
        return on_readonly(c, call, contact);
    case REDIS_ERROR_NOSCRIPT:
        return on_noscript(c, call, contact, was_asking);
    case REDIS_ERROR_NOAUTH:
    case REDIS_ERROR_WRONGPASS:
    case REDIS_ERROR_NOPERM:
        return on_denied(c, contact, error);
    case REDIS_ERROR_OOM:
    case REDIS_ERROR_MISCONF:
    case REDIS_ERROR_NOREPLICAS:
    case REDIS_ERROR_OTHER:
    case REDIS_ERROR_COUNT:
        return VERDICT_TELL;
    }
    return VERDICT_TELL;
}

/* The connection is gone and the call was on it. */
static void
on_loss(struct redis_client *c, struct redis_call *call, enum rc rc)
{
    bool is_harmless = !call->was_sent || call->retries;
    bool is_passing = rc == RC_CLOSED || rc == RC_IO || rc == RC_REFUSED;

    call->impl.is_asking = false;
    if (!c->is_closing && is_harmless && is_passing &&
        call->impl.attempts < ATTEMPTS_MAX) {
        call->impl.attempts++;
        metric_inc(c->pool.block, metrics_of(c)->retries);
        call_route(c, call);
        return;
    }
    call_done(c, call, rc, NULL);
}

/* ---- the wires' callbacks ----------------------------------------------- */

static void
on_end(
    void *ctx, struct redis_call *call, enum rc rc, struct redis_reply *reply)
{
    struct contact *contact = OBJ_OF(struct contact, ctx, CONTACT_MAGIC);
    struct redis_client *c =
        OBJ_OF(struct redis_client, contact->pool->owner, CLIENT_MAGIC);

    if (rc != RC_OK) {
        on_loss(c, call, rc);
        return;
    }
    metric_observe_us(
        c->pool.block, metrics_of(c)->latency, wire_latency_us(contact->wire));
    node_succeeded(
        contact->node); /* it answers; on_error may think otherwise */
    if (reply->type == REDIS_ERROR &&
        on_error(c, call, contact, slice_of(reply->str, reply->len)) ==
            VERDICT_HELD) {
        return;
    }
    call_done(c, call, RC_OK, reply);
}

static void
on_up(void *ctx)
{
    struct contact *contact = OBJ_OF(struct contact, ctx, CONTACT_MAGIC);
    struct redis_client *c =
        OBJ_OF(struct redis_client, contact->pool->owner, CLIENT_MAGIC);

    metric_inc(c->pool.block, metrics_of(c)->connects);
    metric_inc(c->pool.block, metrics_of(c)->connections);
    contact->is_loss_told = false;
    log_event(c->pool.ring, LOG_LEVEL_INFO, "redis_node_up", "node=\"%s\"",
        contact->node->text);
}

static void
on_down(void *ctx, enum rc rc, bool was_up)
{
    struct contact *contact = OBJ_OF(struct contact, ctx, CONTACT_MAGIC);
    struct redis_client *c =
        OBJ_OF(struct redis_client, contact->pool->owner, CLIENT_MAGIC);
    char escaped[256];

    metric_inc(c->pool.block, metrics_of(c)->disconnects);
    if (was_up) {
        metric_add_to(c->pool.block, metrics_of(c)->connections, -1);
    }
    redis_want_refresh(c->redis, REFRESH_UNREACHABLE);
    log_event(c->pool.ring,
        contact->is_loss_told ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN,
        "redis_node_down", "node=\"%s\" cause=\"%s\" detail=\"%s\"",
        contact->node->text, rc_text(rc),
        log_escape(
            slice_of_str(wire_why(contact->wire)), escaped, sizeof(escaped)));
    contact->is_loss_told = true;
}

static const struct wire_callbacks client_wire_callbacks = {
    .on_end = on_end,
    .on_up = on_up,
    .on_down = on_down,
};

/* ---- the door ----------------------------------------------------------- */

struct redis_client *
redis_client_new(struct redis *redis, struct loop *loop, struct log_ring *ring,
    struct metric_block *block)
{
    struct redis_client *c = calloc(1, sizeof(*c));

    MUST_OBJ(redis, REDIS_MAGIC);
    if (c == NULL) {
        return NULL;
    }
    c->member.mailbox = mailbox_new(loop, on_map, c);
    if (c->member.mailbox == NULL) {
        free(c);
        return NULL;
    }
    c->magic = CLIENT_MAGIC;
    c->redis = redis;
    c->born_ms = loop_now_ms(loop);
    c->pool.redis = redis;
    c->pool.loop = loop;
    c->pool.ring = ring;
    c->pool.block = redis->has_metrics ? block : NULL;
    c->pool.owner = c;
    c->pool.callbacks = &client_wire_callbacks;
    pool_init(&c->pool);
    list_init(&c->parked);
    list_init(&c->paused);
    list_init(&c->ending);
    loop_task_init(&c->ending_task, on_ending, c);
    random_seed(&c->random);
    redis_join(redis, &c->member);
    pool_adopt(&c->pool);
    return c;
}

static void
cancel_all(struct redis_client *c, struct list *calls)
{
    struct list *link;

    while ((link = list_first(calls)) != NULL) {
        struct redis_call *call =
            CONTAINER_OF(link, struct redis_call, impl.link);

        call_detach(c, call);
        call_done(c, call, RC_CANCELLED, NULL);
    }
}

void
redis_client_free(struct redis_client **pclient)
{
    struct redis_client *c = *pclient;

    if (c == NULL) {
        return;
    }
    MUST_OBJ(c, CLIENT_MAGIC);
    *pclient = NULL;
    c->is_closing = true;
    redis_leave(c->redis, &c->member);
    mailbox_close(&c->member.mailbox);
    cancel_all(c, &c->parked);
    cancel_all(c, &c->paused);
    pool_fini(&c->pool);
    cancel_all(c, &c->ending);
    loop_task_cancel(&c->ending_task);
    c->magic = 0;
    free(c);
}

static void
call_begin(struct redis_client *c, struct redis_call *call, uint16_t slot)
{
    int64_t now_ms = client_now_ms(c);

    call->impl.deadline_ms = call->deadline_ms != 0
                                 ? call->deadline_ms
                                 : now_ms + c->redis->opts.command_timeout_ms;
    call->was_sent = false;
    call->impl.client = c;
    call->impl.wire = NULL;
    call->impl.script = NULL;
    call->impl.hash_slot = slot;
    call->impl.hops = 0;
    call->impl.attempts = 0;
    call->impl.is_asking = false;
    list_init(&call->impl.link);
    loop_timer_init(&call->impl.timer, c->pool.loop, on_timer, call);
    loop_timer_arm(&call->impl.timer, call->impl.deadline_ms);
    metric_inc(c->pool.block, metrics_of(c)->commands);
}

static void
call_start(struct redis_client *c, struct redis_call *call)
{
    if (c->is_closing) {
        call_end(c, call, RC_CANCELLED);
    } else {
        call_route(c, call);
    }
}

void
redis_send(struct redis_client *c, struct redis_call *call, struct slice key,
    unsigned argc, const struct slice *argv)
{
    MUST_OBJ(c, CLIENT_MAGIC);
    MUST(argc > 0);
    MUST(argc <= REDIS_ARGS_MAX);
    MUST(!redis_call_is_active(call));
    call_begin(c, call, slot_of(key));
    call->impl.argc = (uint8_t)argc;
    memcpy(call->impl.argv, argv, argc * sizeof(argv[0]));
    call_start(c, call);
}

void
redis_eval(struct redis_client *c, struct redis_call *call,
    const struct redis_script *script, const struct slice *key_and_args,
    unsigned keys, unsigned count)
{
    static const char digits[] = "0123456789";

    MUST_OBJ(c, CLIENT_MAGIC);
    MUST(keys > 0);
    MUST(keys <= count);
    MUST(count <= EVAL_ARGS_MAX);
    MUST(!redis_call_is_active(call));
    call_begin(c, call, slot_of(key_and_args[0]));
    call->impl.script = script;
    call->impl.argv[0] = SLICE("EVALSHA");
    call->impl.argv[1] = slice_of(script->sha1, sizeof(script->sha1) - 1);
    call->impl.argv[2] = slice_of(&digits[keys], 1);
    memcpy(&call->impl.argv[3], key_and_args, count * sizeof(key_and_args[0]));
    call->impl.argc = (uint8_t)(3 + count);
    call_start(c, call);
}

void
redis_call_cancel(struct redis_call *call)
{
    if (!redis_call_is_active(call)) {
        return;
    }
    MUST_OBJ(call->impl.client, CLIENT_MAGIC);
    call_detach(call->impl.client, call);
    loop_timer_cancel(&call->impl.timer);
}

bool
redis_call_is_active(const struct redis_call *call)
{
    return call->impl.state != CALL_IDLE;
}
