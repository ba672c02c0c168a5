/*
 * The proxy: what all workers share (routes, flights, words, metrics), and
 * the workers themselves, each serving its connections on a loop of its own.
 */
#ifndef NEARSIDE_PROXY_PROXY_H
#define NEARSIDE_PROXY_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "nearside/net/address.h"
#include "nearside/proxy/route.h"

struct log_ring;
struct loop;
struct metric_block;
struct metric_registry;
struct origin_group;
struct proxy;
struct redis;
struct resolver;
struct worker;

/* A network whose X-Forwarded-* and Forwarded fields are believed. */
struct proxy_net {
    bool is_v6;
    uint8_t address[16];
    unsigned bits;
};

/* Limits; 0 takes the default named beside it, except where it says none. */
struct proxy_limits {
    size_t head_max;                  /* 32 KiB */
    size_t field_max;                 /* 8,000 */
    size_t field_name_max;            /* 256 */
    unsigned fields_max;              /* 100 */
    size_t target_max;                /* 8,000 */
    int64_t head_timeout_ms;          /* 10 s, the whole head */
    int64_t body_timeout_ms;          /* 30 s, a gap */
    size_t body_min_rate;             /* bytes a second; 0: none */
    int64_t body_min_rate_after_ms;   /* 10 s */
    uint64_t body_max;                /* 0: none */
    int64_t idle_timeout_ms;          /* 30 s */
    unsigned requests_per_connection; /* 0: none */
    int64_t send_timeout_ms;          /* 30 s, a gap */
    int64_t send_total_ms;            /* 0: none */
    size_t buffer_max;                /* 64 KiB, a connection and way */
    uint64_t held_max;                /* 256 MiB, all connections */
    unsigned connections_max;         /* 10,000 */
    unsigned connections_per_ip;      /* 0: none */
    size_t object_max;                /* 8 MiB */
    int64_t flight_wait_ms;           /* 5 s */
    unsigned variants_max;            /* 32, of one key */
    unsigned flights_max;             /* 10,000 */
    unsigned new_keys_max;            /* a second; 0: none */
};

/* What is known of a request that is over; slices end with the call. */
struct proxy_access {
    int64_t wall_ms; /* when it came */
    int64_t took_us; /* until the answer had left */
    struct address peer;
    struct slice method; /* empty: the head could not be read */
    struct slice target;
    unsigned minor;
    struct slice host;
    struct slice referer;
    struct slice user_agent;
    unsigned status;    /* 0: the client left before an answer */
    uint64_t bytes;     /* of the body */
    struct slice route; /* title; empty: none */
    const char *result; /* result.def's word */
    const char *tier;   /* "shared", "origin", "-" */
    const char *detail; /* NULL: none */
};

/* Makes the access line; NULL: none are wanted. Any worker's thread. */
typedef void (*proxy_access_fn)(
    void *ctx, struct log_ring *ring, const struct proxy_access *access);

/* All pointers are borrowed for the proxy's life. */
struct proxy_opts {
    const struct route *routes;
    size_t routes_len;
    struct origin_group *const *groups;
    size_t groups_len;
    const struct slice *group_hosts; /* Host for each; empty: the client's */
    size_t default_group;            /* where what no route matches goes */
    struct redis *redis;             /* NULL: no shared tier */
    const char *prefix;              /* of every key in Redis; NULL: "ns:" */
    const char *via;                 /* our name in Via and Cache-Status */
    const char *default_host; /* NULL: HTTP/1.0 without Host is refused */
    const char *const *hosts; /* lower-case; none: any; else 421 */
    size_t hosts_len;
    const struct proxy_net *trusted;
    size_t trusted_len;
    proxy_access_fn on_access;
    void *access_ctx;
    struct proxy_limits limits;
    unsigned fds_max; /* open files that the process may have; 0: any number */
    unsigned workers;
};

/* NULL: out of memory. */
struct proxy *proxy_new(
    const struct proxy_opts *opts, struct metric_registry *registry);

/* After all workers are gone. */
void proxy_free(struct proxy **proxy);

/* --- a worker; all calls on its loop's thread unless said otherwise --- */

struct worker_opts {
    struct proxy *proxy;
    struct loop *loop;
    struct resolver *resolver;
    struct log_ring *ring;
    struct metric_block *block;
    unsigned index; /* below proxy_opts.workers */
};

/* Made before the loop runs, on any thread. NULL: out of memory. */
struct worker *worker_new(const struct worker_opts *opts);

/* Watches a listening fd. RC_NOMEM. */
enum rc worker_listen(struct worker *worker, int fd) RC_MUST_CHECK;

/*
 * Drains: stops accepting, ends idle connections, lets the others finish
 * their answer. Any thread. on_drained comes on the worker's loop when no
 * connection is left.
 */
void worker_drain(
    struct worker *worker, void (*on_drained)(void *ctx), void *ctx);

/* Ends what is left and frees everything; the loop runs no more. */
void worker_free(struct worker **worker);

/* Connections open now, of all workers. Any thread. */
unsigned proxy_connections(const struct proxy *proxy);

#endif
