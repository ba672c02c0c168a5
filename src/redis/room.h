/*
 * What the parts of this room share: the process-wide object behind
 * `struct redis`. Everything below `lock` is guarded by it; the rest is
 * constant after redis_new, atomic, or belongs to the control thread.
 */
#ifndef REDIS_ROOM_H
#define REDIS_ROOM_H

#include <pthread.h>
#include <stdatomic.h>

#include "nearside/base/metric.h"
#include "nearside/redis/redis.h"
#include "nearside/redis/topology.h"
#include "redis/mailbox.h"
#include "redis/node.h"

struct refresh;

enum {
    REDIS_MAGIC = 0x52444953,
};

/* REFRESH_CAUSE(NAME, text): why the map is asked for anew. */
#define REFRESH_CAUSES(REFRESH_CAUSE)                                          \
    REFRESH_CAUSE(START, "start")                                              \
    REFRESH_CAUSE(PERIODIC, "periodic")                                        \
    REFRESH_CAUSE(MOVED, "moved")                                              \
    REFRESH_CAUSE(UNREACHABLE, "unreachable")                                  \
    REFRESH_CAUSE(CLUSTERDOWN, "clusterdown")                                  \
    REFRESH_CAUSE(READONLY, "readonly")                                        \
    REFRESH_CAUSE(UNSERVED, "unserved")

enum refresh_cause {
#define REFRESH_CAUSE(name, text) REFRESH_##name,
    REFRESH_CAUSES(REFRESH_CAUSE)
#undef REFRESH_CAUSE
    REFRESH_CAUSE_COUNT,
};

enum redis_failure {
    FAILURE_TIMEOUT,
    FAILURE_CLOSED,
    FAILURE_REFUSED,
    FAILURE_IO,
    FAILURE_MISS,
    FAILURE_LIMIT,
    FAILURE_BAD,
    FAILURE_NOMEM,
    FAILURE_COUNT,
};

struct redis_metrics {
    metric_id commands;
    metric_id latency;
    metric_id failures[FAILURE_COUNT];
    metric_id errors[REDIS_ERROR_COUNT];
    metric_id refreshes[REFRESH_CAUSE_COUNT];
    metric_id refresh_failures;
    metric_id map_changes;
    metric_id retries;
    metric_id connections;
    metric_id connects;
    metric_id disconnects;
    metric_id breaker_opens;
};

void redis_metrics_init(
    struct redis_metrics *metrics, struct metric_registry *registry);

/* rc must be one that redis_reply_fn names. */
metric_id redis_metric_of_failure(
    const struct redis_metrics *metrics, enum rc rc);

struct map_node {
    char id[NODE_ID_LEN + 1];
    struct node *node; /* a counted reference */
    unsigned slots;
};

/* Who owns which slot; immutable once published, counted under the lock. */
struct map {
    unsigned refs;
    uint64_t version;
    unsigned covered;
    unsigned nodes_len;
    uint16_t owner[SLOT_COUNT]; /* index into nodes, or SLOT_NONE */
    struct map_node nodes[];
};

/* A worker's place in the list of those who hear of a new map. */
struct member {
    struct list link;
    struct mailbox *mailbox;
};

struct redis {
    uint32_t magic;
    struct redis_opts opts; /* defaults filled in */
    struct resolver *resolver;
    struct redis_metrics metrics;
    bool has_metrics;
    atomic_bool is_wanted;    /* a refresh was asked for, not yet taken up */
    _Atomic int wanted_cause; /* enum refresh_cause */
    atomic_bool is_patched;   /* a worker's copy of the map differs from it */
    struct refresh *refresh;  /* control thread's */
    pthread_mutex_t lock;
    struct list nodes;
    struct list members;
    struct map *map;         /* NULL: none yet */
    struct mailbox *control; /* NULL: not started, or stopped */
    uint64_t version;
};

/* The node at an address, counted for the caller. NULL: no memory. */
struct node *redis_node_take(
    struct redis *redis, struct slice host, uint16_t port);
struct node *redis_node_ref(struct redis *redis, struct node *node);
void redis_node_unref(struct redis *redis, struct node **node);

/* The newest map, counted; NULL: there is none. */
struct map *redis_map_take(struct redis *redis);
void redis_map_unref(struct redis *redis, struct map **map);

/* Makes a topology the newest map and tells all workers; no new version when
   nothing has changed (*out_changed says so), but who has patched his copy
   takes it over again. RC_NOMEM. */
enum rc redis_publish(struct redis *redis, const struct topology *topology,
    bool *out_changed) RC_MUST_CHECK;

void redis_join(struct redis *redis, struct member *member);
void redis_leave(struct redis *redis, struct member *member);

/* Asks the control thread for a refresh. Any thread; cheap when one is
   wanted already. */
void redis_want_refresh(struct redis *redis, enum refresh_cause cause);

/* The control thread's part (refresh.c). NULL: no memory. */
struct refresh *refresh_new(struct redis *redis, struct loop *loop,
    struct log_ring *ring, struct metric_block *block);
void refresh_free(struct refresh **refresh);

/* Somebody wants one; in redis's mailbox. */
void refresh_on_wanted(void *ctx);

#endif
