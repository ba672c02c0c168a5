/*
 * A probe is `SET <prefix>hb:{<tag>} 1 PX 2000` and DEL of it, on a connection
 * that is used for this alone; the tag falls into a slot that the node owns.
 *
 *     UNPROBED --both acknowledged--> TRUSTED --an error--> REFUSING
 *                                        \--no reply for the bound--> SILENT
 *
 * Laws.
 * - A probe counts from when it was sent, not from when it was acknowledged.
 *   The next one is sent PROBE_MS later, or when this one has ended, whichever
 *   is later.
 * - An error reply ends the trust at once. MOVED, ASK and TRYAGAIN do not: they
 *   concern the key's slot alone, and another key is chosen.
 * - Where there is one server alone, behind a name or an address that may move,
 *   one that was demoted is left, and the link goes where the probe goes.
 * - While a node is not trusted, other instances may write and fail to delete
 *   there. So when it is trusted again, the values of its slots are not used
 *   for a window; when there is a majority again, those of all slots.
 */
#include "redis/probe.h"

#include "nearside/base/log.h"
#include "redis/reach.h"

#include <stdlib.h>

enum {
    /* An instance that could not delete meanwhile needs that much of the bound
       to reach the node and to try again. */
    COME_BACK_MS = 250,
};

static void
change_state(struct probe *p, enum node_state state)
{
    enum node_state before =
        (enum node_state)atomic_exchange(&p->node->state, (int)state);
    struct probing *pr = p->common;

    MUST_OBJ(p->node, NODE_MAGIC);
    if ((before == NODE_REFUSING) != (state == NODE_REFUSING)) {
        metric_add_to(pr->block, pr->redis->metrics.refusing,
            state == NODE_REFUSING ? 1 : -1);
    }
}

int64_t
probe_acknowledged_ms(const struct probe *p)
{
    MUST_OBJ(p, PROBE_MAGIC);
    return p->is_known ? p->acknowledged_ms : 0;
}

/* A standalone server is whoever its name leads to. One that was demoted still
   answers, and would be asked for ever. */
static void
leave_server(struct probe *p)
{
    if (p->common->opts.mode == REDIS_MODE_STANDALONE) {
        wire_drop(p->wire, RC_CLOSED);
    }
}

/* The next connection may lead to another server, and so must the link: the old
   one tells nothing of what is changed there. */
static void
leave_link(struct probe *p)
{
    if (p->common->opts.mode == REDIS_MODE_STANDALONE && p->teller != NULL) {
        link_renew(p->teller);
    }
}

/* ---- rounds ------------------------------------------------------------- */

static void
send_round(struct probe *p)
{
    const struct slice key = slice_of(p->key, p->key_len);
    const struct slice set[] = {
        SLICE("SET"), key, SLICE("1"), SLICE("PX"), SLICE("2000")};
    const struct slice del[] = {SLICE("DEL"), key};

    MUST(p->tag != 0);
    MUST(p->key_len > 0);
    p->sent_ms = probing_now_ms(p->common);
    p->has_set = false;
    probe_send(p, &p->set, ARRAY_LEN(set), set);
    probe_send(p, &p->del, ARRAY_LEN(del), del);
}

void
probe_begin_round(struct probe *p)
{
    MUST_OBJ(p, PROBE_MAGIC);
    if (redis_call_is_active(&p->set) || redis_call_is_active(&p->del)) {
        return;
    }
    node_time_ask(&p->time, p->wire, loop_clock(p->common->loop));
    if (probe_is_info_due(p)) {
        probe_ask_info(p); /* its reply comes before the round's */
    }
    if (p->needs_key) {
        probe_choose_key(p);
    }
    if (p->tag != 0) {
        send_round(p);
    }
}

void
probe_begin_link_round(struct probe *p)
{
    struct probing *pr = p->common;

    MUST_OBJ(p, PROBE_MAGIC);
    if (p->teller != NULL) {
        link_round(p->teller);
    } else if (pr->redis->on_changed != NULL) {
        p->teller = link_new(&pr->linking, p->node);
    }
}

/* May others have failed to delete there since it was last acknowledged? */
static bool
was_away(const struct probe *p)
{
    switch ((enum node_state)atomic_load(&p->node->state)) {
    case NODE_REFUSING:
    case NODE_SILENT:
        return true;
    case NODE_UNPROBED:
    case NODE_TRUSTED:
        break;
    }
    return p->acknowledged_ms != 0 &&
           p->sent_ms - p->acknowledged_ms > TRUST_BOUND_MS - COME_BACK_MS;
}

static void
become_trusted(struct probe *p)
{
    struct probing *pr = p->common;

    MUST_OBJ(p, PROBE_MAGIC);
    if (was_away(p)) {
        log_event(pr->ring, LOG_LEVEL_INFO, "redis_writes_taken", "node=\"%s\"",
            p->node->text);
    }
    redis_note_refusal(pr->redis, p->node, SLICE(""));
    change_state(p, NODE_TRUSTED);
    pr->has_news = true;
}

static void
on_acknowledged(struct probe *p)
{
    struct probing *pr = p->common;
    int64_t took_ms = probing_now_ms(pr) - p->sent_ms;

    MUST_OBJ(p, PROBE_MAGIC);
    if (!p->is_known) {
        return; /* INFO, before it, has said that it is a replica */
    }
    node_is_there(p->node, probing_now_ms(pr));
    if (took_ms >= pr->opts.command_timeout_ms) {
        node_heard(p->node);
    }
    if (was_away(p)) {
        node_heard(p->node);
        probing_each_slot(pr, p->node, trust_doubt_slot, probing_now_ms(pr));
    }
    if (atomic_load(&p->node->state) != NODE_TRUSTED) {
        become_trusted(p);
    }
    p->acknowledged_ms = p->sent_ms;
    loop_defer(pr->loop, &pr->judge);
    if (took_ms >= PROBE_MS) {
        probe_begin_round(p); /* it is due already */
    }
}

/* The server refuses to write, or to delete. */
static void
on_refused(struct probe *p, struct slice words)
{
    struct probing *pr = p->common;
    char escaped[256];

    MUST_OBJ(p, PROBE_MAGIC);
    p->acknowledged_ms = 0;
    atomic_store(&p->node->usable_until_ms, 0);
    redis_note_refusal(pr->redis, p->node, words);
    if (atomic_load(&p->node->state) != NODE_REFUSING) {
        change_state(p, NODE_REFUSING);
        log_event(pr->ring, LOG_LEVEL_WARN, "redis_writes_refused",
            "node=\"%s\" reply=\"%s\" detail=\"its values are not used\"",
            p->node->text, log_escape(words, escaped, sizeof(escaped)));
    }
    loop_defer(pr->loop, &pr->judge);
}

static void
on_error_reply(struct probe *p, struct slice words)
{
    struct probing *pr = p->common;
    enum redis_error error = redis_error_of(words);

    MUST_OBJ(p, PROBE_MAGIC);
    metric_inc(pr->block, pr->redis->metrics.errors[error]);
    switch (error) {
    case REDIS_ERROR_MOVED:
        redis_want_refresh(pr->redis, REFRESH_MOVED);
        p->needs_key = true;
        return;
    case REDIS_ERROR_ASK:
    case REDIS_ERROR_TRYAGAIN:
        p->needs_key = true;
        return;
    case REDIS_ERROR_CLUSTERDOWN:
    case REDIS_ERROR_MASTERDOWN:
        if (atomic_load(&p->node->state) != NODE_REFUSING) {
            redis_want_refresh(pr->redis, REFRESH_CLUSTERDOWN);
        }
        break;
    case REDIS_ERROR_READONLY:
        p->is_known = false; /* it may be a primary again, of other data */
        redis_want_refresh(pr->redis, REFRESH_READONLY);
        leave_server(p);
        break;
    case REDIS_ERROR_LOADING:
    case REDIS_ERROR_BUSY:
    case REDIS_ERROR_OOM:
    case REDIS_ERROR_MISCONF:
    case REDIS_ERROR_NOREPLICAS:
    case REDIS_ERROR_NOSCRIPT:
    case REDIS_ERROR_NOAUTH:
    case REDIS_ERROR_WRONGPASS:
    case REDIS_ERROR_DENIED:
    case REDIS_ERROR_NOPERM:
    case REDIS_ERROR_OTHER:
    case REDIS_ERROR_COUNT:
        break;
    }
    on_refused(p, words);
}

/* A full server deletes, and is trusted: it only stores nothing. */
static bool
is_taken(const struct probe *p, const struct redis_call *call,
    const struct redis_reply *reply)
{
    MUST(reply != NULL);
    if (call == &p->set && reply->type == REDIS_ERROR) {
        return redis_error_of(slice_of(reply->str, reply->len)) ==
               REDIS_ERROR_OOM;
    }
    return reply->type != REDIS_ERROR;
}

/* What INFO says, whose reply comes next, is laid over the time already. */
static void
on_time(struct probe *p, const struct redis_reply *reply)
{
    struct probing *pr = p->common;
    const struct clock *clock = loop_clock(pr->loop);

    MUST_OBJ(p, PROBE_MAGIC);
    if (node_time_take(&p->time, reply, clock) == RC_OK) {
        time_begin(&pr->redis->time, &p->time.sample, clock);
        loop_defer(pr->loop, &pr->judge);
    } else if (!probe_is_put_off(reply) && !pr->has_told_time) {
        pr->has_told_time = true;
        log_event(pr->ring, LOG_LEVEL_WARN, "redis_time_refused",
            "node=\"%s\" detail=\"the clocks of all instances have to agree\"",
            p->node->text);
    }
}

/* ---- the wire ----------------------------------------------------------- */

static void
on_end(
    void *ctx, struct redis_call *call, enum rc rc, struct redis_reply *reply)
{
    struct probe *p = OBJ_OF(struct probe, ctx, PROBE_MAGIC);

    if (rc != RC_OK) {
        return; /* on_down has said so, or it ends */
    }
    if (call == &p->info || call == &p->save) {
        probe_informed(p, call, reply);
    } else if (call == &p->time.call) {
        on_time(p, reply);
    } else if (!is_taken(p, call, reply)) {
        on_error_reply(p, slice_of(reply->str, reply->len));
    } else if (call == &p->set) {
        p->has_set = true;
    } else if (p->has_set) {
        on_acknowledged(p);
    }
}

static void
on_up(void *ctx)
{
    struct probe *p = OBJ_OF(struct probe, ctx, PROBE_MAGIC);

    MUST(!p->is_known);
    probe_begin_round(p);
}

static void
on_again(void *ctx)
{
    probe_begin_round(OBJ_OF(struct probe, ctx, PROBE_MAGIC));
}

static void
on_down(void *ctx, const struct wire_loss *loss)
{
    struct probe *p = OBJ_OF(struct probe, ctx, PROBE_MAGIC);
    struct probing *pr = p->common;
    char escaped[256];

    p->is_known = false;
    atomic_store(&p->node->usable_until_ms, 0);
    loop_defer(pr->loop, &p->again);
    loop_defer(pr->loop, &pr->judge);
    if (loss->opens_breaker) {
        redis_tell_rest(pr->redis, p->node, pr->ring, pr->block);
    }
    if (loss->was_up) {
        redis_want_refresh(pr->redis, REFRESH_UNREACHABLE);
        leave_link(p);
    }
    if (loss->rc == RC_REFUSED && !slice_eq(loss->why, REACH_FAILED)) {
        on_refused(p, loss->why);
    }
    log_event(pr->ring, loss->was_up ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG,
        "redis_probe_down", "node=\"%s\" cause=\"%s\" detail=\"%s\"",
        p->node->text, rc_text(loss->rc),
        log_escape(loss->why, escaped, sizeof(escaped)));
}

static const struct wire_callbacks probe_wire_callbacks = {
    .on_end = on_end,
    .on_up = on_up,
    .on_down = on_down,
};

/* No reply for the bound. */
void
probe_judge_silence(struct probe *p)
{
    enum node_state state = (enum node_state)atomic_load(&p->node->state);
    struct probing *pr = p->common;
    int64_t since_ms = state == NODE_UNPROBED ? p->born_ms : p->acknowledged_ms;

    if ((state == NODE_TRUSTED || state == NODE_UNPROBED) &&
        probing_now_ms(pr) >= since_ms + TRUST_BOUND_MS) {
        change_state(p, NODE_SILENT);
        p->acknowledged_ms = 0;
        redis_want_refresh(pr->redis, REFRESH_UNREACHABLE);
        log_event(pr->ring, LOG_LEVEL_WARN, "redis_writes_unanswered",
            "node=\"%s\" detail=\"its values are not used\"", p->node->text);
    }
}

/* ---- life --------------------------------------------------------------- */

void
probe_free(struct probe *p)
{
    struct probing *pr = p->common;

    MUST_OBJ(p, PROBE_MAGIC);
    link_free(&p->teller);
    wire_free(&p->wire);
    loop_task_cancel(&p->again);
    change_state(p, NODE_UNPROBED);
    atomic_store(&p->node->usable_until_ms, 0);
    redis_note_refusal(pr->redis, p->node, SLICE(""));
    list_remove(&p->link);
    redis_node_unref(pr->redis, &p->node);
    p->magic = 0;
    free(p);
}

struct probe *
probe_new(struct probing *common, const struct node *node)
{
    struct probe *p = calloc(1, sizeof(*p));
    struct wire_setup setup = {
        .loop = common->loop,
        .resolver = common->redis->resolver,
        .opts = &common->opts,
        .callbacks = &probe_wire_callbacks,
        .ctx = p,
        .is_probe = true,
    };

    MUST_OBJ(node, NODE_MAGIC);
    if (p == NULL) {
        return NULL;
    }
    p->node =
        redis_node_take(common->redis, slice_of_str(node->host), node->port);
    setup.node = p->node;
    p->wire = p->node == NULL ? NULL : wire_new(&setup);
    if (p->wire == NULL) {
        redis_node_unref(common->redis, &p->node);
        free(p);
        return NULL;
    }
    MUST(p->node == node);
    p->magic = PROBE_MAGIC;
    p->common = common;
    p->needs_key = true;
    p->is_late = common->had_majority;
    p->born_ms = probing_now_ms(common);
    list_init(&p->link);
    loop_task_init(&p->again, on_again, p);
    return p;
}
