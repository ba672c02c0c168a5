/*
 * A link, kept up. It takes no part in the node's health: the probes and the
 * workers' connections do that.
 */
#include "redis/link.h"

#include "nearside/base/log.h"
#include "redis/tracking.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    /* Rounds in which an answer that is awaited has not come: the bound. They
       are counted, since a process that was stopped for a while has its answers
       lying in the socket. */
    ROUNDS_MAX = 4,
    /* From a PING to the next. */
    ROUND_MS = 500,
    /* Who does not tell may do so after an upgrade, or with another ACL. */
    AGAIN_MS = 60000,
    WHY_MAX = 128,
};

/* The answers while SUBSCRIBING, in their order. */
enum step {
    STEP_TRACKING,
    STEP_NO_EVICT, /* whatever it is */
    STEP_LIST,
    STEP_SUBSCRIBE,
};

static int64_t
now_ms(const struct link *l)
{
    MUST_OBJ(l, LINK_MAGIC);
    return loop_now_ms(l->common->loop);
}

/* ---- what follows for memory --------------------------------------------- */

static void
each_slot(struct link *l, void (*fn)(struct trust *trust, uint16_t slot))
{
    struct trust *trust = l->common->redis->trust;

    MUST_OBJ(l->node, NODE_MAGIC);
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
        if (atomic_load(&trust->slots[slot].owner) == l->node->serial) {
            fn(trust, (uint16_t)slot);
        }
    }
}

/* Nobody tells of changes any more. First the words that a mark needs, then the
   stamps, so that no mark of before is as good as one of later. */
static void
fall_silent(struct link *l)
{
    atomic_store(&l->node->coherent_until_ms, 0);
    atomic_store(&l->node->telling, NODE_TELLS_NOT);
    if (l->state == LINK_LIVE) {
        each_slot(l, trust_unverify_slot);
    }
}

/* All that was sent before the PING was told before its reply. The news first:
   who finds the new lease finds them. */
static void
renew_lease(struct link *l)
{
    int64_t until_ms =
        l->pinged_ms + l->common->opts.coherence_bound_ms - TRUST_TURN_MS;

    MUST(l->state == LINK_LIVE);
    atomic_fetch_add(&l->common->redis->trust->news, 1);
    atomic_store(&l->node->coherent_until_ms, until_ms);
    if (l->is_lapsed && now_ms(l) < until_ms) {
        l->is_lapsed = false;
        log_event(l->common->ring, LOG_LEVEL_INFO, "redis_link_heard",
            "node=\"%s\"", l->node->text);
    }
}

static void
judge_lease(struct link *l)
{
    struct linking *common = l->common;
    int64_t until_ms = atomic_load(&l->node->coherent_until_ms);

    MUST(until_ms == 0 || l->state == LINK_LIVE);
    if (until_ms == 0 || l->is_lapsed || now_ms(l) < until_ms) {
        return;
    }
    l->is_lapsed = true;
    metric_inc(common->block, common->redis->metrics.leases_lapsed);
    log_event(common->ring, LOG_LEVEL_WARN, "redis_link_silent",
        "node=\"%s\" detail=\"what memory has of it is not used\"",
        l->node->text);
}

/* ---- states -------------------------------------------------------------- */

static void
change_state(struct link *l, enum link_state state)
{
    struct linking *common = l->common;
    const struct redis_metrics *metrics = &common->redis->metrics;
    int live = (state == LINK_LIVE) - (l->state == LINK_LIVE);
    int refused = (state == LINK_REFUSED) - (l->state == LINK_REFUSED);

    MUST_OBJ(l, LINK_MAGIC);
    if (live != 0) {
        metric_add_to(common->block, metrics->links, live);
    }
    if (refused != 0) {
        metric_add_to(common->block, metrics->links_refused, refused);
    }
    l->state = state;
    l->rounds = 0;
}

/* Takes down whatever there is of a connection. */
static void
close_all(struct link *l)
{
    while (channel_awaits(&l->channel) > 0) {
        (void)channel_take(&l->channel);
    }
    channel_close(&l->channel);
    reach_cancel(&l->reach);
    loop_task_cancel(&l->flush);
    l->pinged_ms = 0;
    MUST(l->channel.conn == NULL);
}

static void
tell_loss(struct link *l, enum rc rc, const char *why)
{
    struct linking *common = l->common;
    bool was_live = l->state == LINK_LIVE;

    MUST_OBJ(l, LINK_MAGIC);
    if (was_live) {
        metric_inc(common->block, common->redis->metrics.links_lost);
    }
    log_event(common->ring, was_live ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG,
        "redis_link_down", "node=\"%s\" cause=\"%s\" detail=\"%s\"",
        l->node->text, rc_text(rc), why);
}

/* The connection is lost, or could not be had. */
static void
fail(struct link *l, enum rc rc, struct slice why)
{
    char escaped[WHY_MAX];

    MUST(rc != RC_OK);
    fall_silent(l);
    tell_loss(l, rc, log_escape(why, escaped, sizeof(escaped)));
    close_all(l);
    change_state(l, LINK_DOWN);
    reach_begin_later(&l->reach);
    reach_hurry(&l->reach);
}

/* The server does not tell of changes. */
static void
give_up(struct link *l, struct slice words)
{
    bool is_auto = l->common->opts.coherence == REDIS_COHERENCE_AUTO;
    char escaped[WHY_MAX];

    MUST(l->state == LINK_ASKING || l->state == LINK_SUBSCRIBING);
    MUST(l->common->opts.coherence != REDIS_COHERENCE_TTL);
    if (!l->is_refusal_told) {
        l->is_refusal_told = true;
        log_event(l->common->ring, LOG_LEVEL_WARN, "redis_tracking_refused",
            "node=\"%s\" reply=\"%s\" detail=\"%s\"", l->node->text,
            log_escape(words, escaped, sizeof(escaped)),
            is_auto ? "what is read from it is used from memory for "
                      "coherence_bound"
                    : "nothing of it is kept in memory");
    }
    fall_silent(l);
    close_all(l);
    change_state(l, LINK_REFUSED);
    l->again_ms = now_ms(l) + AGAIN_MS;
    if (is_auto) {
        atomic_store(&l->node->telling, NODE_NEED_NOT);
    }
}

/* ---- what is sent -------------------------------------------------------- */

static enum rc
send_words(struct link *l, unsigned argc, const struct slice *argv)
{
    struct place place = {.sent_us = now_ms(l) * 1000,
        .kind = PLACE_SILENT,
        .bytes = command_len(argc, argv)};

    MUST(l->channel.is_greeted);
    loop_defer(l->common->loop, &l->flush);
    return channel_put(&l->channel, place, argc, argv);
}

static enum rc
send_ping(struct link *l)
{
    static const struct slice ping[] = {{"PING", 4}};

    MUST(l->pinged_ms == 0);
    l->pinged_ms = now_ms(l);
    return send_words(l, 1, ping);
}

/* All that makes it tell, at once. */
static enum rc
send_subscription(struct link *l)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "%lld", (long long)l->id);
    const struct slice id = slice_of(text, (size_t)len);
    const struct slice tracking[] = {SLICE("CLIENT"), SLICE("TRACKING"),
        SLICE("ON"), SLICE("REDIRECT"), id, SLICE("BCAST"), SLICE("PREFIX"),
        slice_of_str(l->common->prefix)};
    const struct slice no_evict[] = {
        SLICE("CLIENT"), SLICE("NO-EVICT"), SLICE("ON")};
    const struct slice list[] = {
        SLICE("CLIENT"), SLICE("LIST"), SLICE("ID"), id};
    const struct slice subscribe[] = {SLICE("SUBSCRIBE"), TRACKING_CHANNEL};
    enum rc rc = send_words(l, ARRAY_LEN(tracking), tracking);

    MUST(l->id > 0);
    if (rc == RC_OK) {
        rc = send_words(l, ARRAY_LEN(no_evict), no_evict);
    }
    if (rc == RC_OK) {
        rc = send_words(l, ARRAY_LEN(list), list);
    }
    if (rc == RC_OK) {
        rc = send_words(l, ARRAY_LEN(subscribe), subscribe);
    }
    return rc == RC_OK ? send_ping(l) : rc;
}

/* ---- what comes ---------------------------------------------------------- */

/* An error that is none of tracking: a script runs, the server loads. Then the
   connection is given up, and the next one asks again. */
static bool
is_passing(const struct redis_reply *reply)
{
    enum redis_error error;

    MUST(reply != NULL);
    if (reply->type != REDIS_ERROR) {
        return false;
    }
    error = redis_error_of(slice_of(reply->str, reply->len));
    return error != REDIS_ERROR_NOPERM && error != REDIS_ERROR_OTHER;
}

/* RC_REFUSED, which ends the connection: it does not tell. */
static enum rc
refused(struct link *l, const struct redis_reply *reply, struct slice words)
{
    l->channel.why =
        reply->type == REDIS_ERROR ? slice_of(reply->str, reply->len) : words;
    return is_passing(reply) ? RC_BAD : RC_REFUSED;
}

static enum rc
on_id(struct link *l, const struct redis_reply *reply)
{
    MUST(l->state == LINK_ASKING);
    l->id = tracking_id(reply);
    if (l->id == 0) {
        return refused(l, reply, SLICE("CLIENT ID has no number"));
    }
    change_state(l, LINK_SUBSCRIBING);
    l->step = STEP_TRACKING;
    return send_subscription(l);
}

static void
go_live(struct link *l)
{
    MUST(l->state == LINK_SUBSCRIBING);
    change_state(l, LINK_LIVE);
    l->reach.failures = 0;
    l->is_lapsed = false;
    l->is_refusal_told = false;
    atomic_store(&l->node->telling, NODE_TELLS);
    log_event(l->common->ring, LOG_LEVEL_INFO, "redis_link_up", "node=\"%s\"",
        l->node->text);
}

static enum rc
on_step(struct link *l, const struct redis_reply *reply)
{
    MUST(l->state == LINK_SUBSCRIBING);
    switch ((enum step)l->step++) {
    case STEP_TRACKING:
        return reply->type == REDIS_STATUS
                   ? RC_OK
                   : refused(l, reply,
                         SLICE("CLIENT TRACKING is not answered "
                               "by OK"));
    case STEP_NO_EVICT:
        return RC_OK;
    case STEP_LIST:
        return tracking_is_on(reply, l->id)
                   ? RC_OK
                   : refused(l, reply,
                         SLICE("CLIENT LIST knows of no "
                               "tracking"));
    case STEP_SUBSCRIBE:
        if (tracking_read(reply) != TRACKING_SUBSCRIBED) {
            return refused(l, reply, SLICE("SUBSCRIBE is not confirmed"));
        }
        go_live(l);
        return RC_OK;
    }
    return RC_BAD;
}

static void
hand_on(struct link *l, const struct redis_reply *keys)
{
    struct redis *redis = l->common->redis;

    MUST(keys->type == REDIS_ARRAY);
    metric_add_to(l->common->block, redis->metrics.invalidations,
        (int64_t)keys->elements_len);
    for (size_t i = 0; i < keys->elements_len; i++) {
        redis->on_changed(redis->changed_ctx,
            slice_of(keys->elements[i]->str, keys->elements[i]->len));
    }
}

static void
void_all(struct link *l)
{
    MUST(l->state == LINK_LIVE);
    metric_inc(
        l->common->block, l->common->redis->metrics.invalidations_of_all);
    each_slot(l, trust_void_slot);
}

static enum rc
on_pong(struct link *l)
{
    bool is_due = now_ms(l) - l->pinged_ms >= ROUND_MS;

    MUST(l->pinged_ms != 0);
    (void)channel_take(&l->channel);
    renew_lease(l);
    l->pinged_ms = 0;
    l->rounds = 0;
    return is_due ? send_ping(l) : RC_OK;
}

static enum rc
on_live_message(struct link *l, const struct redis_reply *reply)
{
    MUST(l->state == LINK_LIVE);
    switch (tracking_read(reply)) {
    case TRACKING_KEYS:
        hand_on(l, reply->elements[2]);
        return RC_OK;
    case TRACKING_ALL:
        void_all(l);
        return RC_OK;
    case TRACKING_PONG:
        if (channel_is_due(&l->channel)) {
            return on_pong(l);
        }
        break;
    case TRACKING_SUBSCRIBED:
    case TRACKING_BAD:
        break;
    }
    void_all(l);
    l->channel.why = SLICE("no message of tracking");
    return RC_BAD;
}

static enum rc
on_message(void *ctx, struct redis_reply *reply)
{
    struct link *l = OBJ_OF(struct link, ctx, LINK_MAGIC);

    if (l->state == LINK_LIVE) {
        return on_live_message(l, reply);
    }
    if (!channel_is_due(&l->channel)) {
        return RC_BAD;
    }
    (void)channel_take(&l->channel);
    l->rounds = 0;
    return l->state == LINK_ASKING ? on_id(l, reply) : on_step(l, reply);
}

/* ---- the connection ------------------------------------------------------ */

static void
on_greeted(void *ctx)
{
    static const struct slice id[] = {{"CLIENT", 6}, {"ID", 2}};
    struct link *l = OBJ_OF(struct link, ctx, LINK_MAGIC);

    MUST(l->state == LINK_DOWN);
    change_state(l, LINK_ASKING);
    if (send_words(l, ARRAY_LEN(id), id) != RC_OK) {
        /* The rounds find that nothing is answered. */
        l->channel.why = slice_of_str(rc_text(RC_NOMEM));
    }
}

static const struct channel_callbacks channel_callbacks = {
    .on_greeted = on_greeted,
    .on_message = on_message,
};

static void
on_readable(void *ctx)
{
    struct link *l = OBJ_OF(struct link, ctx, LINK_MAGIC);
    enum rc rc = channel_read(&l->channel, &channel_callbacks, l);

    if (rc == RC_REFUSED && !l->channel.is_refused) {
        give_up(l, l->channel.why);
    } else if (rc != RC_OK) {
        fail(l, rc, l->channel.why);
    }
}

static void
on_flush(void *ctx)
{
    struct link *l = OBJ_OF(struct link, ctx, LINK_MAGIC);
    enum rc rc = channel_flush(&l->channel);

    if (rc != RC_OK) {
        fail(l, rc, l->channel.why);
    }
}

static const struct conn_callbacks conn_callbacks = {
    .on_readable = on_readable,
    .on_writable = on_flush,
};

static void
on_reached(void *ctx, enum rc rc, struct conn *own_conn, const char *why)
{
    struct link *l = OBJ_OF(struct link, ctx, LINK_MAGIC);

    MUST(l->state == LINK_DOWN);
    if (rc == RC_OK) {
        conn_set_owner(own_conn, &conn_callbacks, l);
        why = rc_text(RC_NOMEM);
        rc = channel_open(
            &l->channel, own_conn, &l->common->opts, now_ms(l) * 1000);
    }
    if (rc != RC_OK) {
        fail(l, rc, slice_of_str(why));
        return;
    }
    loop_defer(l->common->loop, &l->flush);
}

void
link_round(struct link *l)
{
    enum rc rc = RC_OK;

    MUST_OBJ(l, LINK_MAGIC);
    judge_lease(l);
    if (l->state == LINK_REFUSED && l->again_ms != 0 &&
        now_ms(l) >= l->again_ms) {
        change_state(l, LINK_DOWN);
        reach_begin(&l->reach);
    }
    if (l->channel.conn == NULL) {
        return;
    }
    if (l->rounds++ >= ROUNDS_MAX) {
        rc = RC_TIMEOUT;
        l->channel.why = SLICE("no reply for 2 seconds");
    } else if (l->state == LINK_LIVE && l->pinged_ms == 0) {
        rc = send_ping(l);
    }
    if (rc != RC_OK) {
        fail(l, rc, l->channel.why);
    }
}

void
link_renew(struct link *l)
{
    MUST_OBJ(l, LINK_MAGIC);
    if (l->state != LINK_REFUSED) {
        fail(l, RC_CLOSED, SLICE("given up for a new one"));
    }
}

/* ---- life ---------------------------------------------------------------- */

void
linking_init(struct linking *k, struct redis *redis, struct loop *loop,
    struct log_ring *ring, struct metric_block *block)
{
    int len =
        snprintf(k->prefix, sizeof(k->prefix), "%se:", redis->opts.prefix);

    MUST_OBJ(redis, REDIS_MAGIC);
    MUST(len > 0 && (size_t)len < sizeof(k->prefix));
    k->redis = redis;
    k->opts = redis->opts;
    k->loop = loop;
    k->ring = ring;
    k->block = block;
}

struct link *
link_new(struct linking *common, struct node *node)
{
    struct link *l = calloc(1, sizeof(*l));

    MUST_OBJ(node, NODE_MAGIC);
    MUST(common->redis->on_changed != NULL);
    if (l == NULL) {
        return NULL;
    }
    l->magic = LINK_MAGIC;
    l->common = common;
    l->node = node;
    l->reach.loop = common->loop;
    l->reach.resolver = common->redis->resolver;
    l->reach.node = node;
    l->reach.timeout_ms = common->opts.connect_timeout_ms;
    l->reach.on_end = on_reached;
    l->reach.ctx = l;
    reach_init(&l->reach);
    loop_task_init(&l->flush, on_flush, l);
    if (common->opts.coherence == REDIS_COHERENCE_TTL) {
        change_state(l, LINK_REFUSED);
        atomic_store(&node->telling, NODE_NEED_NOT);
    } else {
        reach_begin(&l->reach);
    }
    return l;
}

void
link_free(struct link **plink)
{
    struct link *l = *plink;

    if (l == NULL) {
        return;
    }
    MUST_OBJ(l, LINK_MAGIC);
    *plink = NULL;
    fall_silent(l);
    close_all(l);
    change_state(l, LINK_DOWN);
    l->magic = 0;
    free(l);
}
