/* The proxy and its workers, opened up for this room's files. */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include "nearside/proxy/proxy.h"
#include "nearside/body/fill.h"
#include "nearside/redis/redis.h"
#include "nearside/work/worker.h"
#include "nearside/collapse/collapse.h"
#include "nearside/front/front.h"
#include "nearside/request/requests.h"
#include "nearside/tier/tier.h"
#include "proxy/touch.h"

#define PROXY_MAGIC        UINT32_C(0x6e70726f)
#define PROXY_WORKER_MAGIC UINT32_C(0x6e707277)

enum {
    MEMORY_METRICS = 6,
};

struct proxy {
    uint32_t magic;
    struct proxy_opts opts;
    struct proxy_conf *conf;
    struct work_metrics metrics;
    struct tier tier;
    struct collapse collapse;
    struct fill_credit credit;
    struct requests *requests;
    struct front *front;
    metric_id memory_metrics[MEMORY_METRICS]; /* with memory: measure.c */
};

/* Adds what proxy_measure sets. */
void proxy_metrics_add(struct proxy *proxy, struct metric_registry *registry);

struct proxy_worker {
    uint32_t magic;
    struct proxy *proxy;
    struct worker worker;
    struct tier_worker tier;
    struct collapse_worker collapse;
    struct touch touch;
    struct loop_message drain_message;
    bool is_draining; /* on the worker's thread alone, as is the next */
    bool is_drained;
    void (*on_drained)(void *ctx); /* set before the drain message is sent */
    void *drain_ctx;
};

#endif
