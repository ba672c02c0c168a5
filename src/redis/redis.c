/*
 * The process's part of the client: how it begins and ends. What the threads
 * share meanwhile, the nodes and the map, is in map.c.
 */
#include "redis/map.h"

#include <stdlib.h>

enum {
    COMMAND_TIMEOUT_MS = 50,
    CONNECT_TIMEOUT_MS = 500,
    HANG_MS = 1000,
    REFRESH_INTERVAL_MS = 30000,
    IN_FLIGHT_MAX = 1024,
    IN_FLIGHT_BYTES_MAX = 8 * 1024 * 1024,
    REPLY_BYTES_MAX = 8 * 1024 * 1024 + 64 * 1024,
};

static int64_t
or_ms(int64_t ms, int64_t otherwise)
{
    return ms > 0 ? ms : otherwise;
}

static void
opts_complete(struct redis_opts *o)
{
    o->client_name = o->client_name != NULL ? o->client_name : "nearside";
    o->command_timeout_ms = or_ms(o->command_timeout_ms, COMMAND_TIMEOUT_MS);
    o->connect_timeout_ms = or_ms(o->connect_timeout_ms, CONNECT_TIMEOUT_MS);
    o->hang_ms = or_ms(o->hang_ms, HANG_MS);
    o->refresh_interval_ms = or_ms(o->refresh_interval_ms, REFRESH_INTERVAL_MS);
    o->in_flight_max = o->in_flight_max > 0 ? o->in_flight_max : IN_FLIGHT_MAX;
    o->in_flight_bytes_max = o->in_flight_bytes_max > 0 ? o->in_flight_bytes_max
                                                        : IN_FLIGHT_BYTES_MAX;
    o->reply_max = o->reply_max > 0 ? o->reply_max : REPLY_BYTES_MAX;
}

/* A single server owns all slots; that needs no discovery. */
static enum rc
publish_standalone(struct redis *redis)
{
    struct topology *topology = topology_new();
    struct slice host;
    uint16_t port;
    bool changed;
    enum rc rc = RC_NOMEM;

    if (topology == NULL) {
        return rc;
    }
    rc = host_port_parse(slice_of_str(redis->opts.seeds[0]), &host, &port);
    if (rc == RC_OK) {
        rc = topology_fill(topology, host, port);
    }
    if (rc == RC_OK) {
        rc = redis_publish(redis, topology, &changed);
    }
    topology_free(&topology);
    return rc;
}

struct redis *
redis_new(const struct redis_opts *opts, struct resolver *resolver,
    struct metric_registry *registry)
{
    struct redis *redis = calloc(1, sizeof(*redis));

    MUST(opts != NULL);
    MUST(opts->seeds_len > 0);
    if (redis == NULL) {
        return NULL;
    }
    redis->magic = REDIS_MAGIC;
    redis->opts = *opts;
    redis->resolver = resolver;
    opts_complete(&redis->opts);
    list_init(&redis->nodes);
    list_init(&redis->members);
    MUST(pthread_mutex_init(&redis->lock, NULL) == 0);
    if (registry != NULL) {
        redis_metrics_init(&redis->metrics, registry);
        redis->has_metrics = true;
    }
    /* A seed that is none (RC_BAD) leaves the map empty: every call misses,
       and the refresh says so. */
    if (opts->mode == REDIS_MODE_STANDALONE &&
        publish_standalone(redis) == RC_NOMEM) {
        redis_free(&redis);
    }
    return redis;
}

void
redis_free(struct redis **predis)
{
    struct redis *redis = *predis;

    if (redis == NULL) {
        return;
    }
    MUST_OBJ(redis, REDIS_MAGIC);
    MUST(list_is_empty(&redis->members));
    MUST(redis->refresh == NULL);
    *predis = NULL;
    redis_map_unref(redis, &redis->map);
    MUST(list_is_empty(&redis->nodes));
    MUST(pthread_mutex_destroy(&redis->lock) == 0);
    redis->magic = 0;
    free(redis);
}
