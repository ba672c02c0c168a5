/*
 * What a node is asked: CLUSTER SLOTS (PING, if there is no cluster), CLUSTER
 * NODES when topologies differ, and once for all INFO, whether it can run
 * full. A server that is not a cluster's owns all slots: it was meant to be
 * one.
 */
#include "redis/inquiry.h"

#include "nearside/base/log.h"
#include "redis/info.h"

/* ---- answers ------------------------------------------------------------ */

/* One answer less to wait for. */
static void
inquiry_ended(struct inquiries *q)
{
    MUST(q->pending > 0);
    q->pending--;
    if (q->pending == 0) {
        loop_defer(q->loop, &q->over);
    }
}

/* NULL: no memory, or nothing to go by. */
static struct topology *
slots_topology(const struct inquiry *i, const struct redis_reply *reply)
{
    struct topology *topology = topology_new();

    if (topology != NULL &&
        (topology_read_slots(topology, reply, slice_of_str(i->node->host),
             &i->set->opts.address_map) != RC_OK ||
            topology->covered == 0)) {
        topology_free(&topology);
    }
    return topology;
}

/* It is no cluster's, or its CLUSTER has another name. */
static bool
is_of_no_cluster(const struct redis_reply *reply)
{
    static const char text[] = "cluster support disabled";

    return reply->type == REDIS_ERROR &&
           (slice_starts(slice_of(reply->str, reply->len),
                SLICE("ERR unknown command")) ||
               memmem(reply->str, reply->len, text, sizeof(text) - 1) != NULL);
}

static void
tell_refused(const struct inquiry *i, struct slice words)
{
    char escaped[128];

    MUST_OBJ(i, INQUIRY_MAGIC);
    log_event(i->set->ring, LOG_LEVEL_WARN, "redis_refresh_refused",
        "node=\"%s\" reply=\"%s\"", i->node->text,
        log_escape(words, escaped, sizeof(escaped)));
}

static void
on_slots_reply(struct inquiry *i, const struct redis_reply *reply)
{
    struct inquiries *q = i->set;
    bool is_error = reply->type == REDIS_ERROR;

    MUST(i->topology == NULL);
    if (is_of_no_cluster(reply) ||
        (q->opts.mode == REDIS_MODE_STANDALONE && !is_error)) {
        i->topology =
            topology_of_one(slice_of_str(i->node->host), i->node->port);
    } else if (!is_error) {
        i->topology = slots_topology(i, reply);
    } else {
        redis_tell_refusal(q->redis, i->node, slice_of(reply->str, reply->len));
        if (!q->is_quiet) {
            tell_refused(i, slice_of(reply->str, reply->len));
        }
    }
}

/* One that knows its slots may keep its nodes to itself. Then two views can be
   told apart by no epoch, which whoever set its ACL should hear of. */
static void
on_nodes_reply(struct inquiry *i, const struct redis_reply *reply)
{
    struct inquiries *q = i->set;

    MUST_OBJ(i->topology, TOPOLOGY_MAGIC);
    if (reply->type == REDIS_STRING) {
        q->has_told_nodes = false;
        topology_read_nodes(i->topology, slice_of(reply->str, reply->len),
            slice_of_str(i->node->host), i->node->port);
    } else if (reply->type == REDIS_ERROR && !q->has_told_nodes) {
        q->has_told_nodes = true;
        tell_refused(i, slice_of(reply->str, reply->len));
    }
}

/* A full server that evicts nothing refuses to store, for ever. */
static void
on_info_reply(struct inquiry *i, const struct redis_reply *reply)
{
    struct inquiries *q = i->set;
    struct slice info = slice_of(reply->str, reply->len);
    uint64_t maxmemory;

    if (reply->type != REDIS_STRING || q->is_eviction_known) {
        return; /* forbidden to us, which is fine */
    }
    q->is_eviction_known = true;
    if (slice_to_u64(info_value(info, SLICE("maxmemory")), UINT64_MAX,
            &maxmemory) == RC_OK &&
        maxmemory > 0 &&
        slice_eq(
            info_value(info, SLICE("maxmemory_policy")), SLICE("noeviction"))) {
        log_event(q->ring, LOG_LEVEL_WARN, "redis_never_evicts",
            "node=\"%s\" maxmemory=\"%llu\" detail=\"maxmemory-policy is "
            "noeviction: once full, it stores nothing more\"",
            i->node->text, (unsigned long long)maxmemory);
    }
}

static void
tell_first(const struct inquiry *i)
{
    struct inquiries *q = i->set;

    if (!q->has_first && i->topology != NULL &&
        i->topology->covered == SLOT_COUNT) {
        q->has_first = true;
        q->on_first(q->ctx);
    }
}

static void
on_end(
    void *ctx, struct redis_call *call, enum rc rc, struct redis_reply *reply)
{
    struct inquiry *i = OBJ_OF(struct inquiry, ctx, INQUIRY_MAGIC);

    if (rc == RC_OK) {
        node_is_there(i->node, loop_now_ms(i->set->loop));
        if (call == &i->info) {
            on_info_reply(i, reply);
        } else {
            (i->set->is_about_nodes ? on_nodes_reply : on_slots_reply)(
                i, reply);
            tell_first(i);
        }
    }
    if (rc != RC_CANCELLED && call == &i->map) {
        inquiry_ended(i->set);
    }
}

static void
on_down(void *ctx, const struct wire_loss *loss)
{
    struct inquiry *i = OBJ_OF(struct inquiry, ctx, INQUIRY_MAGIC);
    char escaped[256];

    if (loss->opens_breaker) {
        redis_tell_rest(i->set->redis, i->node, i->set->ring, i->set->block);
    }
    if (loss->is_said) {
        redis_tell_refusal(i->set->redis, i->node, loss->why);
    }
    if (i->set->is_quiet) {
        return; /* it is asked again every other second */
    }
    log_event(i->set->ring, loss->is_said ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
        "redis_refresh_failed", "node=\"%s\" cause=\"%s\" detail=\"%s\"",
        i->node->text, rc_text(loss->rc),
        log_escape(loss->why, escaped, sizeof(escaped)));
}

static const struct wire_callbacks inquiry_wire_callbacks = {
    .on_end = on_end,
    .on_down = on_down,
};

/* ---- questions ---------------------------------------------------------- */

static void
inquiry_send(struct inquiry *i, struct redis_call *call, unsigned argc,
    const struct slice *argv)
{
    MUST(i->wire != NULL);
    call_init(call);
    call_set_words(call, argc, argv);
    if (wire_send(i->wire, call) == RC_OK && call == &i->map) {
        i->set->pending++;
    }
}

static void
inquiry_begin(struct inquiry *i)
{
    static const struct slice slots[] = {{"CLUSTER", 7}, {"SLOTS", 5}};
    static const struct slice ping[] = {{"PING", 4}};
    static const struct slice info[] = {{"INFO", 4}, {"memory", 6}};
    struct inquiries *q = i->set;
    const struct wire_setup setup = {
        .loop = q->loop,
        .resolver = q->redis->resolver,
        .node = i->node,
        .opts = &q->opts,
        .callbacks = &inquiry_wire_callbacks,
        .ctx = i,
        .is_once = true,
    };

    MUST_OBJ(i, INQUIRY_MAGIC);
    MUST(i->wire == NULL);
    i->wire = wire_new(&setup);
    if (i->wire == NULL) {
        return;
    }
    if (!q->is_eviction_known) {
        /* Before the other: its reply is there when that one's is. */
        inquiry_send(i, &i->info, 2, info);
    }
    if (q->opts.mode == REDIS_MODE_STANDALONE) {
        inquiry_send(i, &i->map, 1, ping);
    } else {
        inquiry_send(i, &i->map, 2, slots);
    }
}

void
inquiries_add(struct inquiries *q, struct node *own_node)
{
    bool is_wanted = own_node != NULL && q->len < INQUIRIES_MAX;

    for (unsigned i = 0; i < q->len; i++) {
        is_wanted &= q->all[i].node != own_node;
    }
    if (!is_wanted) {
        redis_node_unref(q->redis, &own_node);
        return;
    }
    q->all[q->len++] =
        (struct inquiry){.magic = INQUIRY_MAGIC, .set = q, .node = own_node};
}

static void
inquiry_ask_nodes(struct inquiry *i)
{
    static const struct slice nodes[] = {{"CLUSTER", 7}, {"NODES", 5}};

    MUST_OBJ(i, INQUIRY_MAGIC);
    if (i->topology != NULL && i->topology->members_len > 0 &&
        !redis_call_is_active(&i->map)) {
        inquiry_send(i, &i->map, 2, nodes);
    }
}

void
inquiries_ask(struct inquiries *q, bool is_about_nodes)
{
    MUST(q->pending == 0);
    q->pending = 1; /* ours, so that it is over if nobody can be asked */
    q->is_about_nodes = is_about_nodes;
    for (unsigned i = 0; i < q->len; i++) {
        if (is_about_nodes) {
            inquiry_ask_nodes(&q->all[i]);
        } else {
            inquiry_begin(&q->all[i]);
        }
    }
    inquiry_ended(q);
}

void
inquiries_give_up(struct inquiries *q)
{
    for (unsigned i = 0; i < q->len; i++) {
        struct redis_call *call = &q->all[i].map;

        if (redis_call_is_active(call)) {
            wire_forget(call->impl.wire, call);
        }
    }
    q->pending = 1;
    inquiry_ended(q);
}

unsigned
inquiries_topologies(struct inquiries *q, struct topology *out[INQUIRIES_MAX])
{
    unsigned len = 0;

    MUST(q->len <= INQUIRIES_MAX);
    for (unsigned i = 0; i < q->len; i++) {
        if (q->all[i].topology != NULL) {
            out[len++] = q->all[i].topology;
        }
    }
    return len;
}

const struct node *
inquiries_node_of(const struct inquiries *q, const struct topology *topology)
{
    MUST_OBJ(topology, TOPOLOGY_MAGIC);
    for (unsigned i = 0; i < q->len; i++) {
        if (q->all[i].topology == topology) {
            return q->all[i].node;
        }
    }
    return NULL;
}

void
inquiries_clear(struct inquiries *q)
{
    for (unsigned i = 0; i < q->len; i++) {
        struct inquiry *one = &q->all[i];

        MUST_OBJ(one, INQUIRY_MAGIC);
        wire_free(&one->wire);
        topology_free(&one->topology);
        redis_node_unref(q->redis, &one->node);
        one->magic = 0;
    }
    q->len = 0;
    q->pending = 0;
    q->has_first = false;
    loop_task_cancel(&q->over);
}

void
inquiries_init(struct inquiries *q)
{
    MUST_OBJ(q->redis, REDIS_MAGIC);
    MUST(q->on_over != NULL);
    MUST(q->on_first != NULL);
    loop_task_init(&q->over, q->on_over, q->ctx);
}
