/*
 * The process's part of the client: how it begins and ends. What the threads
 * share meanwhile, the nodes and the map, is in map.c.
 */
#include "redis/map.h"
#include "redis/secret.h"

#include <stdlib.h>

/* A single server owns all slots; that needs no discovery. With a seed that is
   none the map stays empty: every call misses, and the refresh says so. */
static enum rc
publish_standalone(struct redis *redis)
{
    struct topology *topology;
    struct slice host;
    uint16_t port;
    enum rc rc;

    if (host_port_parse(slice_of_str(redis->opts.seeds[0]), &host, &port) !=
            RC_OK ||
        host.len == 0) {
        return RC_OK;
    }
    topology = topology_of_one(host, port);
    rc = topology == NULL ? RC_NOMEM : redis_publish(redis, &topology);
    topology_free(&topology);
    return rc;
}

struct redis *
redis_new(const struct redis_opts *opts, struct resolver *resolver,
    struct metric_registry *registry)
{
    struct redis *redis = calloc(1, sizeof(*redis));

    MUST(opts != NULL);
    MUST(opts->mode != REDIS_MODE_OFF);
    MUST(opts->seeds_len > 0);
    MUST(opts->command_timeout_ms > 0);
    MUST(opts->connect_timeout_ms > 0);
    MUST(opts->hang_ms > 0);
    MUST(opts->refresh_interval_ms > 0);
    MUST(opts->in_flight_max > 0);
    MUST(opts->reply_max > 0);
    if (redis == NULL) {
        return NULL;
    }
    redis->magic = REDIS_MAGIC;
    redis->opts = *opts;
    redis->opts.secret = secret_new(opts);
    redis->resolver = resolver;
    redis->trust = calloc(1, sizeof(*redis->trust));
    list_init(&redis->nodes);
    list_init(&redis->members);
    MUST(pthread_mutex_init(&redis->lock, NULL) == 0);
    if (registry != NULL) {
        redis_metrics_init(&redis->metrics, registry);
    }
    if (redis->trust == NULL || redis->opts.secret == NULL ||
        (opts->mode == REDIS_MODE_STANDALONE &&
            publish_standalone(redis) != RC_OK)) {
        redis_free(&redis);
    }
    return redis;
}

const struct shared_time *
redis_time(const struct redis *redis)
{
    MUST_OBJ(redis, REDIS_MAGIC);
    return &redis->time;
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
    free(redis->trust);
    secret_free(&redis->opts.secret);
    MUST(pthread_mutex_destroy(&redis->lock) == 0);
    redis->magic = 0;
    free(redis);
}
