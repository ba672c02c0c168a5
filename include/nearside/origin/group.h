/*
 * A group: the servers of one origin. The group is one for the process (its
 * counters are atomics: a limit holds for all workers); each worker has a
 * pool of connections to it.
 */
#ifndef NEARSIDE_ORIGIN_GROUP_H
#define NEARSIDE_ORIGIN_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "nearside/server/server.h"

struct log_ring;
struct metric_registry;
struct origin_group;
struct origin_pool;

/* Nothing has a default here: the conf's table has them. */
struct origin_opts {
    const char *name;           /* as in the conf; borrowed */
    const char *const *servers; /* "http://host:port", "unix:/path" */
    size_t servers_len;         /* one in this version */
    int64_t connect_timeout_ms;
    int64_t first_byte_timeout_ms;
    int64_t between_bytes_timeout_ms;
    int64_t total_timeout_ms;    /* 0: none */
    int64_t idle_timeout_ms;     /* in the pool; shorter than the origin's
                                    own, or requests race its close */
    int64_t resolve_interval_ms; /* between look-ups */
    unsigned connections_max;    /* 0: no limit; of all workers */
    unsigned queue_max;          /* requests of all workers that wait for one;
                                    0: none does */
    int64_t queue_timeout_ms;    /* how long one of them waits */
    unsigned idle_max;           /* a worker; never above the worker's
                                    share of connections_max */
    bool reuse_after_body;       /* keep a connection after a body of
                                    POST, PUT, PATCH, and after HEAD */
    size_t head_max;
    unsigned fields_max;
};

/*
 * RC_BAD: a server's address; RC_UNSUPPORTED: https, not in this version;
 * RC_NOMEM.
 */
enum rc origin_group_new(const struct origin_opts *opts,
    struct origin_group **out_group) RC_MUST_CHECK;

/* Its pools have gone before. */
void origin_group_free(struct origin_group **group);

/* Look-ups of its server's name, as server.h says of origin_server_start; after
   origin_groups_measure. */
void origin_group_start(struct origin_group *group, struct loop *loop,
    struct resolver *resolver, struct log_ring *ring,
    struct metric_block *block);
void origin_group_stop(struct origin_group *group);

/*
 * Adds the metrics of all groups, once, before the first pool: a registry
 * wants metrics of one name one after the other.
 */
void origin_groups_measure(struct origin_group *const *groups,
    unsigned groups_len, struct metric_registry *registry);

const char *origin_group_name(const struct origin_group *group);

/* Of its server. Any thread. */
void origin_group_status(struct origin_group *group, int64_t now_ms,
    struct origin_server_status *out);

/* Connections open now, of all workers; requests under way. */
unsigned origin_group_connections(const struct origin_group *group);
unsigned origin_group_in_flight(const struct origin_group *group);

/* Requests that wait for a connection, of all workers. */
unsigned origin_group_waiting(const struct origin_group *group);

/* One worker's connections. NULL: no memory. */
struct origin_pool *origin_pool_new(struct origin_group *group,
    struct loop *loop, struct log_ring *ring, struct metric_block *block);

/* All exchanges have ended before. */
void origin_pool_free(struct origin_pool **pool);

#endif
