/* What the files of this room share: the proxy and the worker, opened up. */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include <pthread.h>
#include <stdatomic.h>

#include "nearside/base/hash.h"
#include "nearside/base/metric.h"
#include "nearside/http/date.h"
#include "nearside/memory/doorkeeper.h"
#include "nearside/net/listen.h"
#include "nearside/net/loop.h"
#include "nearside/origin/group.h"
#include "nearside/proxy/proxy.h"
#include "nearside/redis/redis.h"
#include "proxy/flight_table.h"
#include "proxy/peers.h"

#define PROXY_MAGIC  UINT32_C(0x6e70726f)
#define WORKER_MAGIC UINT32_C(0x6e776f72)

enum limit {
#define LIMIT(name, text) LIMIT_##name,
#include "proxy/limit.def"
#undef LIMIT
    LIMIT_COUNT
};

enum result {
#define RESULT(name, text) RESULT_##name,
#include "proxy/result.def"
#undef RESULT
    RESULT_COUNT
};

const char *result_text(enum result result);

/* Which tier an answer came from, for the latency histograms. */
enum tier {
    TIER_NONE,
    TIER_SHARED,
    TIER_ORIGIN,
    TIER_COUNT,
};

struct proxy_metrics {
    metric_id *requests; /* [routes + 1][RESULT_COUNT]; the last: no route */
    metric_id latency[TIER_COUNT];
    metric_id limits[LIMIT_COUNT];
    metric_id bad_requests;
    metric_id connections;
    metric_id connections_total;
    metric_id bytes_sent;
    metric_id values_bad;
    metric_id stores;
    metric_id stores_fenced;
    metric_id stores_failed;
    metric_id invalidations;
    metric_id invalidations_failed;
};

struct proxy_scripts {
    struct redis_script fill;
    struct redis_script fill_record;
    struct redis_script fill_variant;
    struct redis_script replace;
    struct redis_script drop;
    struct redis_script renew;
    struct redis_script release;
};

struct proxy {
    uint32_t magic;
    struct proxy_opts opts; /* with defaults filled in */
    struct slice prefix;
    struct slice via; /* "1.1 nearside" */
    struct slice name;
    struct slice member; /* the name as Cache-Status has it (RFC 9211 2) */
    uint64_t instance;   /* random; part of every lease token */
    atomic_ullong tokens;
    struct proxy_scripts scripts;
    struct proxy_metrics metrics;
    struct flight_table *flights;
    struct peers *peers;
    struct doorkeeper *doorkeeper;
    atomic_uint connections;
    struct worker **workers; /* [opts.workers]; NULL until made */
};

struct request_pool {
    struct list free;
    unsigned len;
};

struct worker {
    uint32_t magic;
    unsigned index;
    struct proxy *proxy;
    struct loop *loop;
    struct resolver *resolver;
    struct log_ring *ring;
    struct metric_block *block;
    struct redis_client *redis; /* NULL: no shared tier */
    struct origin_pool **pools; /* [opts.groups_len] */
    struct list acceptors;
    struct list idle;     /* sessions without a request, longest idle first */
    struct list sessions; /* all others */
    struct list holders;  /* requests, the longest at it first */
    uint64_t held;        /* bytes, by them */
    struct list invalidations;
    struct list puts;
    struct list flights; /* owned by this worker */
    struct request_pool requests;
    struct random random;
    atomic_uint sessions_len;
    _Atomic(struct handoff *) handoffs; /* accepted elsewhere, for us */
    struct loop_message handoff_message;
    struct loop_message drain_message;
    struct loop_message shed_message;
    atomic_bool is_draining;
    bool is_drained;
    void (*on_drained)(void *ctx);
    void *drain_ctx;
    int64_t date_s; /* of date_text */
    char date_text[DATE_LEN];
};

static inline void
worker_count(struct worker *w, metric_id id)
{
    metric_inc(w->block, id);
}

static inline void
worker_count_limit(struct worker *w, enum limit limit)
{
    metric_inc(w->block, w->proxy->metrics.limits[limit]);
}

enum {
    TOKEN_MAX = 40,
    /* How long a lease holds that nobody renews. */
    LEASE_MS = 3000,
};

/* A token that nobody else in the fleet has, nor this process at another
   time; its length. */
size_t proxy_make_token(struct proxy *proxy, char out[TOKEN_MAX]);

/* Tells whoever waits for it that no session is left. */
void worker_check_drained(struct worker *w);

/* The turn's wall time as an HTTP date. */
struct slice worker_date(struct worker *w);

void metrics_add(struct proxy *proxy, struct metric_registry *registry);

#endif
