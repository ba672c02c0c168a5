/*
 * The proxy: what all workers share (routes, flights, metrics), and
 * the workers themselves, each serving its connections on a loop of its own.
 */
#ifndef NEARSIDE_PROXY_PROXY_H
#define NEARSIDE_PROXY_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "nearside/request/access.h"
#include "nearside/request/requests.h"
#include "nearside/rules/conf.h"

struct log_ring;
struct loop;
struct metric_block;
struct metric_registry;
struct origin_group;
struct proxy;
struct redis;
struct proxy_worker;

/* All pointers are borrowed for the proxy's life. */
struct proxy_opts {
    struct proxy_conf_opts conf;
    struct origin_group *const *groups; /* [conf.groups_len] */
    struct redis *redis;                /* NULL: no shared tier */
    size_t memory_size;                 /* bytes; 0: no memory tier */
    request_access_fn on_access;
    unsigned fds_max; /* open files that the process may have; 0: any number */
    unsigned workers;
};

/* NULL: out of memory. */
struct proxy *proxy_new(
    const struct proxy_opts *opts, struct metric_registry *registry);

/* After all workers are gone. */
void proxy_free(struct proxy **proxy);

/* Connections open now, of all workers. Any thread. */
unsigned proxy_connections(const struct proxy *proxy);

/* How many requests have ended so, of all workers. Any thread. */
void proxy_results(const struct proxy *proxy, struct metric_registry *registry,
    uint64_t out[RESULT_COUNT]);

/* Sets what memory holds in the block, for whoever reads the registry next. On
   the one thread whose block that is. */
void proxy_measure(struct proxy *proxy, struct metric_block *block);

/* What memory holds. False: there is none. Any thread. */
struct proxy_memory {
    size_t size; /* bytes that it may take */
    size_t bytes;
    size_t entries;
};
bool proxy_memory(struct proxy *proxy, struct proxy_memory *out);

/* --- a worker; all calls on its loop's thread unless said otherwise --- */

struct proxy_worker_opts {
    struct proxy *proxy;
    struct loop *loop;
    struct log_ring *ring;
    struct metric_block *block;
    unsigned index; /* below proxy_opts.workers */
};

/* Made before the loop runs, on any thread. NULL: out of memory. */
struct proxy_worker *proxy_worker_new(const struct proxy_worker_opts *opts);

/* Watches a listening fd. RC_NOMEM. */
enum rc proxy_worker_listen(struct proxy_worker *worker, int fd) RC_MUST_CHECK;

/* From now on each answer ends its connection. Any thread. */
void proxy_worker_say_close(struct proxy_worker *worker);

/*
 * Drains: accepts what is queued and then no more, ends idle connections, lets
 * the others finish their answer. It comes after proxy_worker_say_close. Any
 * thread. on_drained comes on the worker's loop when no connection is left, and
 * no deletion.
 */
void proxy_worker_drain(
    struct proxy_worker *worker, void (*on_drained)(void *ctx), void *ctx);

/* Clients' requests under way. The loop's thread, or any once the loop runs no
   more. */
unsigned proxy_worker_requests(const struct proxy_worker *worker);

/* Ends what is left and frees everything; the loop runs no more. */
void proxy_worker_free(struct proxy_worker **worker);

#endif
