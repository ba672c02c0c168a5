/*
 * A probe is `SET <prefix>hb:{<tag>} 1 PX 2000` and DEL of it, on a connection
 * that is used for this alone; the tag falls into a slot that the node owns.
 *
 *     UNPROBED --both acknowledged--> TRUSTED --an error--> REFUSING
 *                                        \--no reply for the bound--> SILENT
 *
 * Laws.
 * - What counts is when the acknowledged probe was sent. The next one is sent
 *   when the last has ended, PROBE_MS after that was sent or later.
 * - An error ends the trust at once, but for one that says where the tag's slot
 *   is now: then another slot is chosen, and a new map asked for.
 * - While a node was not trusted, other instances may have written and failed
 *   to delete there. So when it is trusted again, values of all its slots wait
 *   for a window. When a majority acknowledges again, those of all nodes do.
 */
#include "redis/probe.h"

#include "nearside/base/log.h"
#include "redis/info.h"
#include "redis/reach.h"
#include "redis/wire.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    /* So many tags are tried. Of a node with a single slot one in 16,384
       fits. */
    TAGS_MAX = 400000,
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

/* ---- slots -------------------------------------------------------------- */

void
probing_each_slot(struct probing *pr, const struct node *node,
    void (*fn)(struct trust *trust, uint16_t slot, int64_t now_ms))
{
    struct map *map = redis_map_take(pr->redis);

    MUST(fn != NULL);
    for (unsigned slot = 0; map != NULL && slot < SLOT_COUNT; slot++) {
        uint16_t owner = map->topology->owner[slot];

        if (owner != SLOT_NONE && (node == NULL || map->nodes[owner] == node)) {
            fn(pr->redis->trust, (uint16_t)slot, probing_now_ms(pr));
        }
    }
    redis_map_unref(pr->redis, &map);
}

bool
probe_owns(const struct map *map, const struct node *node, uint16_t slot)
{
    uint16_t owner = map->topology->owner[slot];

    MUST(slot < SLOT_COUNT);
    return owner != SLOT_NONE && map->nodes[owner] == node;
}

/* A key with the next tag whose slot the node owns. */
static void
choose_key_by(struct probe *p, const struct map *map)
{
    unsigned from = p->tag + 1;

    for (unsigned tag = from; tag < from + TAGS_MAX; tag++) {
        int len = snprintf(
            p->key, sizeof(p->key), "%shb:{%u}", p->common->opts.prefix, tag);

        MUST(len > 0);
        MUST((size_t)len < sizeof(p->key));
        p->key_len = (size_t)len;
        if (probe_owns(map, p->node, slot_of(slice_of(p->key, p->key_len)))) {
            p->tag = tag;
            return;
        }
    }
    p->tag = 0;
}

static void
choose_key(struct probe *p)
{
    struct map *map = redis_map_take(p->common->redis);

    MUST(!redis_call_is_active(&p->set));
    if (map != NULL) {
        choose_key_by(p, map);
        p->needs_key = p->tag == 0;
    }
    redis_map_unref(p->common->redis, &map);
}

int64_t
probe_acknowledged_ms(const struct probe *p)
{
    MUST_OBJ(p, PROBE_MAGIC);
    return p->is_known ? p->acknowledged_ms : 0;
}

/* ---- rounds ------------------------------------------------------------- */

static void
send_call(struct probe *p, struct redis_call *call, unsigned argc,
    const struct slice *argv)
{
    call_init(call);
    call_set_words(call, argc, argv);
    /* A wire that is down says so in on_down. */
    (void)!wire_send(p->wire, call);
}

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
    send_call(p, &p->set, ARRAY_LEN(set), set);
    send_call(p, &p->del, ARRAY_LEN(del), del);
}

void
probe_begin_round(struct probe *p)
{
    MUST_OBJ(p, PROBE_MAGIC);
    if (redis_call_is_active(&p->set) || redis_call_is_active(&p->del)) {
        return;
    }
    if (p->needs_key) {
        choose_key(p);
    }
    if (p->tag != 0) {
        send_round(p);
    }
}

/* Has the node been away, so that others may not have been able to delete? */
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
        return; /* it may have restarted: INFO's answer is on its way */
    }
    if (took_ms < pr->opts.command_timeout_ms) {
        node_greeted(p->node); /* one that rests has its reasons */
    } else {
        node_heard(p->node);
    }
    if (was_away(p)) {
        probing_each_slot(pr, p->node, trust_doubt_slot);
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
        redis_want_refresh(pr->redis, REFRESH_READONLY);
        break;
    case REDIS_ERROR_LOADING:
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

/* ---- what the server says of itself ------------------------------------- */

/* A snapshot brings back what has been deleted since, but for an AOF. */
static void
warn_of_snapshots(struct probe *p, const struct redis_reply *reply)
{
    struct probing *pr = p->common;
    char escaped[128];

    MUST_OBJ(p, PROBE_MAGIC);
    if (reply->type != REDIS_ARRAY || reply->elements_len != 2 ||
        reply->elements[1]->type != REDIS_STRING ||
        reply->elements[1]->len == 0) {
        return; /* forbidden to us, which is fine */
    }
    log_event(pr->ring, LOG_LEVEL_WARN, "redis_saves_snapshots",
        "node=\"%s\" save=\"%s\" detail=\"a restart brings back what was "
        "deleted since the last one; without an AOF say: save \\\"\\\"\"",
        p->node->text,
        log_escape(slice_of(reply->elements[1]->str, reply->elements[1]->len),
            escaped, sizeof(escaped)));
}

static void
ask_for_save(struct probe *p)
{
    static const struct slice get[] = {{"CONFIG", 6}, {"GET", 3}, {"save", 4}};

    MUST(!redis_call_is_active(&p->save));
    if (!p->common->is_save_asked) {
        p->common->is_save_asked = true;
        send_call(p, &p->save, ARRAY_LEN(get), get);
    }
}

/* The same primary, and another process: it may have lost deletions, and what
   it has from before may be from a snapshot. */
static void
on_restarted(struct probe *p, struct slice info, bool has_aof)
{
    struct probing *pr = p->common;
    uint64_t up_s = 0;
    struct clock now; /* the turn's may be older than the server's answer */

    MUST_OBJ(p, PROBE_MAGIC);
    if (slice_to_u64(info_value(info, SLICE("uptime_in_seconds")), INT32_MAX,
            &up_s) != RC_OK) {
        up_s = 0;
    }
    clock_init(&now);
    /* It counts in whole seconds, and nothing is stored in the next ones. */
    atomic_store(&p->node->not_before_ms,
        has_aof ? 0 : clock_wall_ms(&now) - (int64_t)up_s * 1000 + 2000);
    probing_each_slot(pr, p->node, trust_renew_slot);
    pr->has_news = true;
    log_event(pr->ring, LOG_LEVEL_WARN, "redis_restarted",
        "node=\"%s\" detail=\"%s\"", p->node->text,
        has_aof ? "with its AOF"
                : "what it has from before is not used any more");
}

static void
on_info(struct probe *p, const struct redis_reply *reply)
{
    struct slice info = slice_of(reply->str, reply->len);
    bool has_aof = slice_eq(info_value(info, SLICE("aof_enabled")), SLICE("1"));
    bool is_primary =
        slice_eq(info_value(info, SLICE("role")), SLICE("master"));
    struct slice run_id = info_value(info, SLICE("run_id"));

    MUST_OBJ(p, PROBE_MAGIC);
    MUST(!p->is_known);
    if (reply->type != REDIS_STRING) {
        if (!p->common->is_blind) {
            p->common->is_blind = true;
            log_event(p->common->ring, LOG_LEVEL_WARN, "redis_info_refused",
                "node=\"%s\" detail=\"a restart from a snapshot will not be "
                "noticed\"",
                p->node->text);
        }
        return;
    }
    if (!has_aof) {
        ask_for_save(p);
    }
    if (run_id.len != NODE_ID_LEN) {
        return;
    }
    if (p->run_id[0] != '\0' && is_primary &&
        !slice_eq(slice_of_str(p->run_id), run_id)) {
        on_restarted(p, info, has_aof);
    }
    (void)slice_put(p->run_id, run_id);
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
    if (call == &p->info) {
        on_info(p, reply);
        p->is_known = true;
        probe_begin_round(p);
    } else if (call == &p->save) {
        warn_of_snapshots(p, reply);
    } else if (!is_taken(p, call, reply)) {
        on_error_reply(p, slice_of(reply->str, reply->len));
    } else if (call == &p->set) {
        p->has_set = true;
    } else if (p->has_set) {
        on_acknowledged(p);
    }
}

/* Nothing counts on a new connection before INFO has told whose it is. */
static void
on_up(void *ctx)
{
    static const struct slice info[] = {
        {"INFO", 4}, {"server", 6}, {"persistence", 11}, {"replication", 11}};
    struct probe *p = OBJ_OF(struct probe, ctx, PROBE_MAGIC);

    MUST(!p->is_known);
    send_call(p, &p->info, ARRAY_LEN(info), info);
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
    wire_free(&p->wire);
    loop_task_cancel(&p->again);
    change_state(p, NODE_UNPROBED);
    atomic_store(&p->node->usable_until_ms, 0);
    atomic_store(&p->node->not_before_ms, 0);
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
    p->born_ms = probing_now_ms(common);
    list_init(&p->link);
    loop_task_init(&p->again, on_again, p);
    return p;
}
