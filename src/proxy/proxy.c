/* What the workers share. Made once, read by all. */
#include "proxy/proxy.h"

#include <stdlib.h>

/* The tier, with its memory. False: there is no memory for it. */
static bool
tier_make(struct proxy *proxy)
{
    const struct memory_opts opts = {.size = proxy->opts.memory_size};
    struct memory *memory = opts.size == 0 ? NULL : memory_new(&opts);

    tier_init(&proxy->tier, memory);
    if (memory != NULL && proxy->opts.redis != NULL &&
        proxy->requests != NULL) {
        tier_listen(&proxy->tier, proxy->opts.redis, &proxy->requests->hash_key,
            proxy->conf->prefix);
    }
    return opts.size == 0 || memory != NULL;
}

static bool
rooms_make(struct proxy *proxy, struct metric_registry *registry)
{
    const struct limits *limits = &proxy->conf->opts.limits;
    const struct front_opts front_opts = {
        .connections_max = limits->connections_max,
        .connections_per_ip = limits->connections_per_ip,
        .fds_max = proxy->opts.fds_max,
        .workers = proxy->opts.workers,
    };

    proxy->requests =
        requests_new(proxy->conf, proxy->opts.on_access, registry);
    proxy->front = front_new(&front_opts);
    return tier_make(proxy) && proxy->requests != NULL &&
           proxy->front != NULL &&
           collapse_init(&proxy->collapse, limits->flights_max,
               limits->new_keys_max, &proxy->tier.written) == RC_OK;
}

struct proxy *
proxy_new(const struct proxy_opts *opts, struct metric_registry *registry)
{
    struct proxy *proxy = calloc(1, sizeof(*proxy));

    if (proxy == NULL) {
        return NULL;
    }
    MUST(opts->workers > 0);
    proxy->magic = PROXY_MAGIC;
    proxy->opts = *opts;
    proxy->conf = proxy_conf_new(&opts->conf);
    if (proxy->conf == NULL || !rooms_make(proxy, registry)) {
        proxy_free(&proxy);
        return NULL;
    }
    work_metrics_add(&proxy->metrics, registry);
    proxy_metrics_add(proxy, registry);
    return proxy;
}

void
proxy_free(struct proxy **pproxy)
{
    struct proxy *proxy = *pproxy;

    if (proxy == NULL) {
        return;
    }
    MUST_OBJ(proxy, PROXY_MAGIC);
    *pproxy = NULL;
    front_free(&proxy->front);
    collapse_fini(&proxy->collapse);
    requests_free(&proxy->requests);
    tier_fini(&proxy->tier);
    proxy_conf_unref(&proxy->conf);
    proxy->magic = 0;
    free(proxy);
}

unsigned
proxy_connections(const struct proxy *proxy)
{
    MUST_OBJ(proxy, PROXY_MAGIC);
    return front_connections(proxy->front);
}

void
proxy_results(const struct proxy *proxy, struct metric_registry *registry,
    uint64_t out[RESULT_COUNT])
{
    MUST_OBJ(proxy, PROXY_MAGIC);
    requests_sum(proxy->requests, registry, out);
}
