/* /status: what the server knows of itself and its neighbours, as JSON. */
#include <jansson.h>
#include <stdlib.h>

#include "app/server_inside.h"
#include "nearside/base/log.h"

/* How the machine's clock stands to the time by Redis, which counts. */
static json_t *
clock_json(struct server *s)
{
    const struct shared_time *time = redis_time(s->redis);
    const struct clock *clock = loop_clock(s->control);

    return json_pack("{s:b, s:I}", "shared",
        (int)(atomic_load(&time->start_ms) != 0), "ahead_ms",
        (json_int_t)(clock_wall_ms(clock) - shared_time_ms(time, clock)));
}

static json_t *
redis_json(struct server *s)
{
    struct redis_status *status = calloc(1, sizeof(*status));
    json_t *nodes = json_array();
    char text[256];
    json_t *out;

    MUST_OBJ(s, SERVER_MAGIC);
    if (s->redis == NULL || status == NULL || nodes == NULL) {
        free(status);
        json_decref(nodes);
        return json_null();
    }
    redis_status(s->redis, status);
    for (unsigned i = 0; i < status->nodes_len; i++) {
        const struct redis_node_status *node = &status->nodes[i];
        json_array_append_new(nodes,
            json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:i, s:I}", "id",
                node->id, "address", node->address, "state", node->state,
                "refusal",
                log_escape(slice_of_str(node->refusal), text, sizeof(text)),
                "coherence", node->coherence, "reachable",
                (int)node->is_reachable, "slots", (int)node->slots, "in_flight",
                (json_int_t)node->in_flight));
    }
    out = json_pack("{s:b, s:i, s:I, s:s, s:o, s:o}", "up", (int)status->is_up,
        "slots_known", (int)status->slots_known, "map_version",
        (json_int_t)status->map_version, "refusal", status->refusal, "clock",
        clock_json(s), "nodes", nodes);
    free(status);
    return out;
}

static json_t *
addresses_json(const struct origin_server_status *status)
{
    json_t *out = json_array();

    for (unsigned i = 0; out != NULL && i < status->addresses_len; i++) {
        const struct origin_address_status *a = &status->addresses[i];

        json_array_append_new(
            out, json_pack("{s:s, s:f}", "address", a->text, "rests_seconds",
                     (double)a->rests_ms / 1000));
    }
    return out;
}

/* NULL in JSON: there is no name to look up. */
static json_t *
lookups_json(const struct origin_server_status *status)
{
    const struct origin_looked_up *lookup = &status->lookup;
    json_t *out;

    if (!status->has_name) {
        return json_null();
    }
    out =
        json_pack("{s:f, s:s}", "last", (double)lookup->at_ms / 1000, "result",
            lookup->at_ms == 0 ? "none" : origin_lookup_text(lookup->result));
    for (unsigned i = 0; out != NULL && i < ORIGIN_LOOKUP_COUNT; i++) {
        json_object_set_new(out, origin_lookup_text((enum origin_lookup)i),
            json_integer((json_int_t)lookup->counts[i]));
    }
    return out;
}

static json_t *
origin_json(struct server *s, struct origin_group *group)
{
    struct origin_server_status *status = calloc(1, sizeof(*status));
    json_t *out;

    if (status == NULL) {
        return json_null();
    }
    origin_group_status(group, loop_now_ms(s->control), status);
    out = json_pack("{s:s, s:i, s:i, s:i, s:o, s:o}", "name",
        origin_group_name(group), "connections",
        (int)origin_group_connections(group), "in_flight",
        (int)origin_group_in_flight(group), "waiting",
        (int)origin_group_waiting(group), "addresses", addresses_json(status),
        "lookups", lookups_json(status));
    free(status);
    return out;
}

static json_t *
origins_json(struct server *s)
{
    json_t *out = json_array();

    MUST_OBJ(s, SERVER_MAGIC);
    for (size_t i = 0; out != NULL && i < s->groups_len; i++) {
        json_array_append_new(out, origin_json(s, s->groups[i]));
    }
    return out;
}

/* Which part of what could come from the cache did so, without a word from the
   origin. NULL in JSON: nothing was asked yet. */
static json_t *
hit_ratio(const uint64_t by_result[RESULT_COUNT])
{
    uint64_t hits = by_result[RESULT_HIT] + by_result[RESULT_STALE];
    uint64_t asked = hits + by_result[RESULT_VALIDATED] +
                     by_result[RESULT_COLLAPSED] + by_result[RESULT_MISS] +
                     by_result[RESULT_BYPASS];

    MUST(hits <= asked);
    return asked == 0 ? json_null() : json_real((double)hits / (double)asked);
}

static json_t *
requests_json(struct server *s)
{
    uint64_t by_result[RESULT_COUNT];
    json_t *out = json_object();

    MUST(s->proxy != NULL);
    proxy_results(s->proxy, s->registry, by_result);
    for (size_t i = 0; out != NULL && i < RESULT_COUNT; i++) {
        json_object_set_new(out, result_text((enum result)i),
            json_integer((json_int_t)by_result[i]));
    }
    if (out != NULL) {
        json_object_set_new(out, "hit_ratio", hit_ratio(by_result));
    }
    return out;
}

static json_t *
memory_json(struct server *s)
{
    struct proxy_memory memory;

    MUST(s->proxy != NULL);
    if (!proxy_memory(s->proxy, &memory)) {
        return json_null();
    }
    return json_pack("{s:I, s:I, s:I}", "size", (json_int_t)memory.size,
        "bytes", (json_int_t)memory.bytes, "entries",
        (json_int_t)memory.entries);
}

enum rc
server_status(void *ctx, struct buf *out)
{
    struct server *s = OBJ_OF(struct server, ctx, SERVER_MAGIC);
    json_t *json = json_pack("{s:s, s:s, s:f, s:i, s:i, s:o, s:o, s:o, s:o}",
        "version", NEARSIDE_VERSION, "state",
        s->is_draining ? "draining" : "serving", "uptime_seconds",
        (double)(loop_now_ms(s->control) - s->start_ms) / 1000, "workers",
        (int)s->threads_len, "connections", (int)proxy_connections(s->proxy),
        "requests", requests_json(s), "memory", memory_json(s), "redis",
        redis_json(s), "origins", origins_json(s));
    char *text = json == NULL ? NULL
                              : json_dumps(json,
                                    JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    enum rc rc = RC_NOMEM;

    if (text != NULL) {
        rc = buf_append(out, slice_of_str(text));
    }
    if (rc == RC_OK) {
        rc = buf_append(out, SLICE("\n"));
    }
    free(text);
    json_decref(json);
    return rc;
}
