/*
 * A worker's door: it takes calls in, and hears from the wires how they
 * ended. What may have been executed is sent again only when the caller said
 * that this does no harm (call->retries).
 */
#include "nearside/base/log.h"
#include "redis/dispatch.h"

#include <stdlib.h>

enum {
    ATTEMPTS_MAX = 3,
    /* A server that was started again is not back so soon. */
    CUT_MS = 1000,
    AGAIN_MS = 60000,
};

/* ---- what the wires tell ------------------------------------------------ */

/* The connection is gone and the call was on it. */
static void
on_loss(struct redis_client *c, struct redis_call *call, enum rc rc)
{
    bool is_harmless = !call->was_sent || call->retries;
    bool is_passing = rc == RC_CLOSED || rc == RC_IO || rc == RC_REFUSED;

    MUST(call_state(call) == CALL_IDLE);
    call->impl.is_asking = false;
    if (!c->is_closing && is_harmless && is_passing &&
        call->impl.attempts < ATTEMPTS_MAX) {
        call->impl.attempts++;
        client_count(c, c->redis->metrics.retries);
        call_dispatch(c, call);
        return;
    }
    call_done(c, call, rc, NULL);
}

/* This says nothing for the node: two may send us to each other for ever. */
static bool
is_moved(const struct redis_reply *reply)
{
    return reply->type == REDIS_ERROR && redis_error_of(slice_of(reply->str,
                                             reply->len)) == REDIS_ERROR_MOVED;
}

/* How old a value in its slot may be. */
static void
note_ages(const struct redis_client *c, struct redis_call *call)
{
    struct trust_slot *s = &c->redis->trust->slots[call->impl.hash_slot];

    MUST(call->impl.client == c);
    call->not_before_ms =
        atomic_load_explicit(&s->not_before_ms, memory_order_relaxed);
    call->verify_before_ms =
        c->redis->opts.after_failover == REDIS_VERIFY
            ? atomic_load_explicit(&s->changed_ms, memory_order_relaxed)
            : 0;
}

static void
on_end(
    void *ctx, struct redis_call *call, enum rc rc, struct redis_reply *reply)
{
    struct contact *contact = OBJ_OF(struct contact, ctx, CONTACT_MAGIC);
    struct redis_client *c = contact->client;

    MUST(call->impl.client == c);
    if (rc != RC_OK) {
        on_loss(c, call, rc);
        return;
    }
    metric_observe_us(c->block, c->redis->metrics.latency,
        clock_now_us(loop_clock(c->loop)) - call->impl.sent_us);
    if (!is_moved(reply)) {
        /* It answers; what an error leads to may think otherwise. */
        node_succeeded(contact->node);
    }
    if (!call->impl.is_asking) {
        call->by = contact->node->serial;
    }
    note_ages(c, call);
    if (reply->type != REDIS_ERROR && call_is_doubtful(c, call, contact)) {
        if (!call->retries || !call_awaits_deletion(c, call)) {
            call_done(c, call, RC_DOUBT, NULL);
        }
        return;
    }
    if (call->impl.is_script && reply->type != REDIS_ERROR &&
        node_script_ran(contact->node)) {
        log_event(c->ring, LOG_LEVEL_INFO, "redis_scripts_again", "node=\"%s\"",
            contact->node->text);
    }
    if (reply->type != REDIS_ERROR ||
        !error_reply_is_dealt_with(
            c, call, contact, slice_of(reply->str, reply->len))) {
        call_done(c, call, RC_OK, reply);
    }
}

/* It has closed the connection instead of a reply, and takes a new one at once:
   it is well, and that reply was more than it lets a client have. */
static void
tell_cut(struct redis_client *c, struct contact *contact)
{
    int64_t now_ms = client_now_ms(c);
    bool is_cut = contact->cut_ms != 0 && now_ms - contact->cut_ms < CUT_MS;

    MUST_OBJ(contact, CONTACT_MAGIC);
    contact->cut_ms = 0;
    if (is_cut && (contact->cut_told_ms == 0 ||
                      now_ms - contact->cut_told_ms >= AGAIN_MS)) {
        contact->cut_told_ms = now_ms;
        log_event(c->ring, LOG_LEVEL_WARN, "redis_reply_cut",
            "node=\"%s\" detail=\"the server closed the connection instead of "
            "a reply: was a value above its client-output-buffer-limit? Raise "
            "that for normal clients, or lower object_max\"",
            contact->node->text);
    }
}

static void
on_up(void *ctx)
{
    struct contact *contact = OBJ_OF(struct contact, ctx, CONTACT_MAGIC);
    struct redis_client *c = contact->client;
    bool is_news = !contact->is_known || contact->is_loss_told;

    client_count(c, c->redis->metrics.connects);
    client_count(c, c->redis->metrics.connections);
    contact->is_known = true;
    contact->is_loss_told = false;
    contact->is_refusal_told = false;
    log_event(c->ring, is_news ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG,
        "redis_node_up", "node=\"%s\"", contact->node->text);
    tell_cut(c, contact);
}

static void
tell_loss(struct redis_client *c, struct contact *contact,
    const struct wire_loss *loss)
{
    bool is_quiet = loss->is_said ? contact->is_refusal_told
                                  : contact->is_loss_told || loss->was_idle;
    char escaped[256];

    MUST_OBJ(contact, CONTACT_MAGIC);
    log_event(c->ring, is_quiet ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN,
        "redis_node_down", "node=\"%s\" cause=\"%s\" detail=\"%s\"",
        contact->node->text, rc_text(loss->rc),
        log_escape(loss->was_idle ? SLICE("nothing was to do") : loss->why,
            escaped, sizeof(escaped)));
    if (!loss->was_idle) {
        contact->is_loss_told = true;
    }
    if (loss->is_said) {
        contact->is_refusal_told = true;
        redis_tell_refusal(c->redis, contact->node, loss->why);
    }
}

static void
on_down(void *ctx, const struct wire_loss *loss)
{
    struct contact *contact = OBJ_OF(struct contact, ctx, CONTACT_MAGIC);
    struct redis_client *c = contact->client;

    client_count(c, c->redis->metrics.disconnects);
    if (loss->was_up) {
        metric_add_to(c->block, c->redis->metrics.connections, -1);
    }
    redis_want_refresh(c->redis, REFRESH_UNREACHABLE);
    contact->cut_ms = loss->was_due ? client_now_ms(c) : contact->cut_ms;
    tell_loss(c, contact, loss);
    if (loss->opens_breaker) {
        client_tell_rest(c, contact->node);
    }
}

static const struct wire_callbacks client_wire_callbacks = {
    .on_end = on_end,
    .on_up = on_up,
    .on_down = on_down,
};

static void
client_bury(struct redis_client *c)
{
    MUST(c->is_closing);
    c->magic = 0;
    free(c);
}

/* There is a new map, or this worker shall forget what it has patched. */
static void
on_map(void *ctx)
{
    struct redis_client *c = OBJ_OF(struct redis_client, ctx, CLIENT_MAGIC);

    if (c->is_closing) {
        client_bury(c);
        return;
    }
    pool_adopt(c);
    if (c->version != 0) {
        dispatch_parked(c);
    }
    if (c->on_change != NULL) {
        c->on_change(c->change_ctx);
    }
}

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
    c->magic = CLIENT_MAGIC;
    c->redis = redis;
    c->born_ms = loop_now_ms(loop);
    c->loop = loop;
    c->ring = ring;
    c->block = block;
    c->callbacks = &client_wire_callbacks;
    pool_init(c);
    dispatch_init(c);
    c->member.loop = loop;
    loop_message_init(&c->member.message, on_map, c);
    redis_join(redis, &c->member);
    pool_adopt(c);
    return c;
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
    dispatch_cancel(c, &c->held);
    pool_fini(c);
    dispatch_cancel(c, &c->ending);
    loop_task_cancel(&c->ending_task);
    if (!atomic_load(&c->member.message.is_posted)) {
        client_bury(c);
    }
}

void
redis_send(struct redis_client *c, struct redis_call *call, struct slice key,
    unsigned argc, const struct slice *argv)
{
    MUST_OBJ(c, CLIENT_MAGIC);
    call_begin(c, call, slot_of(key));
    call_set_words(call, argc, argv);
    call_dispatch(c, call);
}

void
redis_send_form(struct redis_client *c, struct redis_call *call,
    const struct redis_form *form, struct slice key)
{
    MUST_OBJ(c, CLIENT_MAGIC);
    call_begin(c, call, slot_of(key));
    call_set_form(call, form, key);
    call_dispatch(c, call);
}

void
redis_eval(struct redis_client *c, struct redis_call *call,
    const struct redis_script *script, const struct slice *keys_and_args,
    unsigned keys, unsigned count)
{
    MUST_OBJ(c, CLIENT_MAGIC);
    call_begin(c, call, slot_of(keys_and_args[0]));
    call_set_script(call, script, keys_and_args, keys, count);
    call_dispatch(c, call);
}

enum redis_scripts
redis_scripts_of(const struct redis_client *c, struct slice key)
{
    uint16_t slot = slot_of(key);
    const struct contact *contact = pool_owner(c, slot);

    MUST_OBJ(c, CLIENT_MAGIC);
    if (contact == NULL) {
        return c->version == 0 ? REDIS_SCRIPTS_RUN : REDIS_SCRIPTS_FAIL;
    }
    return wire_is_failing(contact->wire) || slot_is_doubtful(c, contact, slot)
               ? REDIS_SCRIPTS_FAIL
               : node_scripts(contact->node, client_now_ms(c));
}

size_t
redis_reply_max(const struct redis_client *c)
{
    MUST_OBJ(c, CLIENT_MAGIC);
    return c->redis->opts.reply_max;
}
