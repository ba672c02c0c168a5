/*
 * Laws.
 * - A call is in exactly one place (enum call_state), and its timer is armed
 *   for as long as it is under way: it ends at its deadline at the latest. The
 *   deadline of one that is bulk moves on for as long as enough bytes move on
 *   its connection, up to its last_ms.
 * - A call ends once, never from inside redis_send: ends known at once wait
 *   for the end of the turn.
 * - A pause that would outlast the deadline is not begun: the caller has
 *   better things to do than to wait.
 */
#include "redis/dispatch.h"

enum {
    /* How long a call may wait for the very first map. */
    BOOT_MS = 1000,
    HELD_MAX = 1024,
    /* One is acknowledged sooner, as a rule. */
    DELETION_MS = 2,
};

/* ---- ends --------------------------------------------------------------- */

void
call_done(struct redis_client *c, struct redis_call *call, enum rc rc,
    struct redis_reply *reply)
{
    MUST(call_state(call) == CALL_IDLE);
    MUST((rc == RC_OK) == (reply != NULL));
    loop_timer_cancel(&call->impl.timer);
    if (rc != RC_OK && rc != RC_CANCELLED) {
        client_count(c, redis_metric_of_failure(&c->redis->metrics, rc));
    }
    call->on_reply(call->ctx, rc, reply);
}

static void
on_ending(void *ctx)
{
    struct redis_client *c = OBJ_OF(struct redis_client, ctx, CLIENT_MAGIC);
    struct redis_call *call;
    struct list now;

    /* Only those there are: who is told of a failure may try again and fail
       again, and must not keep the loop from its sockets. */
    list_init(&now);
    list_splice(&now, &c->ending);
    while ((call = call_pop(&now)) != NULL) {
        MUST(call_state(call) == CALL_ENDING);
        call->impl.state = CALL_IDLE;
        call_done(c, call, call->impl.rc, NULL);
    }
}

static void
call_end(struct redis_client *c, struct redis_call *call, enum rc rc)
{
    MUST(call_state(call) == CALL_IDLE);
    MUST(rc != RC_OK);
    call->impl.state = CALL_ENDING;
    call->impl.rc = rc;
    list_push_back(&c->ending, &call->impl.link);
    loop_defer(c->loop, &c->ending_task);
}

/* Takes the call off whatever it waits for. */
static void
call_detach(struct redis_client *c, struct redis_call *call)
{
    switch (call_state(call)) {
    case CALL_IDLE:
        break;
    case CALL_PARKED:
    case CALL_PAUSED:
        MUST(c->held_len > 0);
        c->held_len--;
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

/* ---- waiting ------------------------------------------------------------ */

static bool
call_hold(
    struct redis_client *c, struct redis_call *call, enum call_state state)
{
    if (c->held_len >= HELD_MAX) {
        return false;
    }
    MUST(call_state(call) == CALL_IDLE);
    call->impl.state = (uint8_t)state;
    list_push_back(&c->held, &call->impl.link);
    c->held_len++;
    return true;
}

bool
call_pause(struct redis_client *c, struct redis_call *call, int64_t base_ms)
{
    int64_t until_ms = client_now_ms(c) + base_ms +
                       (int64_t)random_below(&c->random, (uint64_t)base_ms);

    MUST(base_ms > 0);
    if (until_ms >= call->impl.deadline_ms ||
        !call_hold(c, call, CALL_PAUSED)) {
        return false;
    }
    loop_timer_arm(&call->impl.timer, until_ms);
    return true;
}

void
client_tell_rest(struct redis_client *c, const struct node *node)
{
    redis_tell_rest(c->redis, node, c->ring, c->block);
    redis_want_refresh(c->redis, REFRESH_UNREACHABLE);
}

/* Its reply has not come in time, which speaks against the node. That a large
   one is slow does not. */
static void
call_late(struct redis_client *c, const struct redis_call *call)
{
    struct node *node = wire_node(call->impl.wire);

    MUST_OBJ(node, NODE_MAGIC);
    if (!call->is_bulk && node_failed(node, client_now_ms(c))) {
        client_tell_rest(c, node);
    }
}

/* Of a bulk call: bytes come or go, and that may take its time. */
static bool
call_is_moving(struct redis_client *c, struct redis_call *call)
{
    int64_t span_ms = call->impl.span_ms;

    if (call->impl.wire == NULL || !wire_has_moved(call->impl.wire, call)) {
        return false;
    }
    MUST(call->is_bulk);
    if (call->last_ms != 0 && client_now_ms(c) >= call->last_ms) {
        return false;
    }
    if (span_ms < WIRE_BULK_LOOK_MS) {
        span_ms = WIRE_BULK_LOOK_MS;
    }
    call->impl.deadline_ms = client_now_ms(c) + span_ms;
    if (call->last_ms != 0 && call->impl.deadline_ms > call->last_ms) {
        call->impl.deadline_ms = call->last_ms;
    }
    loop_timer_arm(&call->impl.timer, call->impl.deadline_ms);
    return true;
}

static void
on_timer(void *ctx)
{
    struct redis_call *call = ctx;
    struct redis_client *c = call->impl.client;
    enum call_state state = call_state(call);

    MUST(call->impl.magic == CALL_MAGIC);
    MUST_OBJ(c, CLIENT_MAGIC);
    MUST(state != CALL_IDLE);
    if (state == CALL_ENDING) {
        return; /* its end comes with this turn's */
    }
    if (call_is_moving(c, call)) {
        return;
    }
    if (call->impl.wire != NULL) {
        call_late(c, call);
    }
    call_detach(c, call);
    if (state == CALL_PAUSED && client_now_ms(c) < call->impl.deadline_ms) {
        loop_timer_arm(&call->impl.timer, call->impl.deadline_ms);
        call_dispatch(c, call);
        return;
    }
    call_done(c, call, state == CALL_PARKED ? RC_MISS : RC_TIMEOUT, NULL);
}

/* ---- ways --------------------------------------------------------------- */

static const char *
why_not(
    const struct redis_client *c, const struct contact *contact, uint16_t slot)
{
    int64_t now_ms = client_now_ms(c);
    const char *why = node_why_not(contact->node, now_ms);

    MUST_OBJ(contact, CONTACT_MAGIC);
    return why != NULL ? why : trust_why_not(c->redis->trust, slot, now_ms);
}

bool
call_is_doubtful(struct redis_client *c, struct redis_call *call,
    const struct contact *contact)
{
    MUST_OBJ(c, CLIENT_MAGIC);
    if (!call->is_guarded) {
        return false;
    }
    call->doubt = why_not(c, contact, call->impl.hash_slot);
    return call->doubt != NULL;
}

bool
call_awaits_deletion(struct redis_client *c, struct redis_call *call)
{
    MUST(call->is_guarded);
    MUST(call->doubt != NULL);
    return trust_is_held_shortly(
               c->redis->trust, call->impl.hash_slot, client_now_ms(c)) &&
           call_pause(c, call, DELETION_MS);
}

void
call_doubt(struct redis_client *c, struct redis_call *call, const char *why)
{
    MUST(call->is_guarded);
    call->doubt = why;
    call_end(c, call, RC_DOUBT);
}

/* At the start, the node or too many others have not answered a probe yet. */
static bool
is_too_early(const struct redis_client *c, const struct contact *contact)
{
    MUST_OBJ(contact, CONTACT_MAGIC);
    if (client_now_ms(c) - c->born_ms >= BOOT_MS) {
        return false;
    }
    switch ((enum node_state)atomic_load(&contact->node->state)) {
    case NODE_UNPROBED:
        return true;
    case NODE_TRUSTED:
        return !atomic_load(&c->redis->trust->is_begun);
    case NODE_REFUSING:
    case NODE_SILENT:
        break;
    }
    return false;
}

bool
slot_is_doubtful(
    const struct redis_client *c, const struct contact *contact, uint16_t slot)
{
    MUST(slot < SLOT_COUNT);
    return why_not(c, contact, slot) != NULL && !is_too_early(c, contact);
}

static enum rc
contact_send(
    struct redis_client *c, struct redis_call *call, struct contact *contact)
{
    struct wire *wire = contact_wire(contact, call);

    MUST_OBJ(contact, CONTACT_MAGIC);
    MUST(contact->client == c);
    call->version =
        atomic_load(&c->redis->trust->slots[call->impl.hash_slot].version);
    if (!node_admits(contact->node, client_now_ms(c)) && !call->is_urgent) {
        return RC_REFUSED;
    }
    return wire == NULL ? RC_NOMEM : wire_send(wire, call);
}

void
call_send_to(
    struct redis_client *c, struct redis_call *call, struct contact *contact)
{
    enum rc rc = RC_NOMEM;

    MUST(call->impl.client == c);
    if (contact != NULL && call_is_doubtful(c, call, contact)) {
        if (is_too_early(c, contact) && call_hold(c, call, CALL_PARKED)) {
            return;
        }
        if (call_awaits_deletion(c, call)) {
            return;
        }
        rc = RC_DOUBT;
    } else if (contact != NULL) {
        rc = contact_send(c, call, contact);
    }
    if (rc != RC_OK) {
        call_end(c, call, rc);
    }
}

void
call_dispatch(struct redis_client *c, struct redis_call *call)
{
    struct contact *contact = pool_owner(c, call->impl.hash_slot);

    MUST(call_state(call) == CALL_IDLE);
    if (c->is_closing) {
        call_end(c, call, RC_CANCELLED);
        return;
    }
    if (contact != NULL) {
        call_send_to(c, call, contact);
        return;
    }
    redis_want_refresh(c->redis, REFRESH_UNSERVED);
    if (c->version != 0 || client_now_ms(c) - c->born_ms >= BOOT_MS ||
        !call_hold(c, call, CALL_PARKED)) {
        call_end(c, call, RC_MISS);
    }
}

void
call_begin(struct redis_client *c, struct redis_call *call, uint16_t slot)
{
    int64_t deadline_ms = call->deadline_ms;

    MUST_OBJ(c, CLIENT_MAGIC);
    if (deadline_ms == 0) {
        deadline_ms = client_now_ms(c) + c->redis->opts.command_timeout_ms;
    }
    call_init(call);
    call->impl.client = c;
    call->impl.hash_slot = slot;
    call->impl.deadline_ms = deadline_ms;
    call->impl.span_ms = deadline_ms - client_now_ms(c);
    loop_timer_init(&call->impl.timer, c->loop, on_timer, call);
    loop_timer_arm(&call->impl.timer, deadline_ms);
    client_count(c, c->redis->metrics.commands);
}

/* ---- all of them -------------------------------------------------------- */

void
dispatch_init(struct redis_client *c)
{
    MUST_OBJ(c, CLIENT_MAGIC);
    list_init(&c->held);
    list_init(&c->ending);
    loop_task_init(&c->ending_task, on_ending, c);
    random_seed(&c->random);
}

void
dispatch_parked(struct redis_client *c)
{
    struct list held;
    struct list *link;

    MUST(c->version != 0);
    /* Apart, since one for which it is too early is held again. */
    list_init(&held);
    list_splice(&held, &c->held);
    while ((link = list_pop(&held)) != NULL) {
        struct redis_call *call = call_of(link);

        list_push_back(&c->held, link);
        if (call_state(call) == CALL_PARKED) {
            call_detach(c, call);
            call_dispatch(c, call);
        }
    }
}

void
dispatch_cancel(struct redis_client *c, struct list *calls)
{
    struct list *link;

    MUST(c->is_closing);
    while ((link = list_first(calls)) != NULL) {
        struct redis_call *call = call_of(link);

        call_detach(c, call);
        call_done(c, call, RC_CANCELLED, NULL);
    }
}
