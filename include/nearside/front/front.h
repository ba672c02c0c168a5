/*
 * The front: everything between listening sockets and requests. One `struct
 * front` for the process counts connections, in all and by address; one
 * `struct front_worker` for each worker accepts them and owns their sessions.
 */
#ifndef NEARSIDE_FRONT_FRONT_H
#define NEARSIDE_FRONT_FRONT_H

#include "nearside/work/worker.h"

struct front;
struct front_worker;

struct front_opts {
    unsigned connections_max;    /* in all */
    unsigned connections_per_ip; /* 0: no limit */
    unsigned fds_max; /* open files that the process may have; 0: any */
    unsigned workers;
};

/* NULL: no memory. Freed after all of its workers' parts. */
struct front *front_new(const struct front_opts *opts);
void front_free(struct front **front);

/* Connections open now, of all workers. Any thread. */
unsigned front_connections(const struct front *front);

/*
 * The front's part of a worker; sets worker->front. on_empty is called on
 * the worker's loop whenever its last connection has ended while it drains.
 * NULL: no memory.
 */
struct front_worker *front_worker_new(struct front *front,
    struct worker *worker, void (*on_empty)(void *ctx), void *ctx);

/* Watches a listening fd, which stays the caller's. RC_NOMEM. */
enum rc front_listen(struct front_worker *f, int fd) RC_MUST_CHECK;

/*
 * The end has two steps. front_say_close, on any thread: from there on each
 * answer ends its connection, and whoever accepts one keeps it. front_drain,
 * after that and on the worker's loop: what is queued is accepted, and then no
 * more; idle connections end, the others after the answer under way. One that
 * is new is given its second to speak.
 */
void front_say_close(struct front_worker *f);
void front_drain(struct front_worker *f);
bool front_is_empty(const struct front_worker *f);

/* Requests under way, from the first byte of a head to the last of its answer.
   The loop's thread, or any once the loop runs no more. */
unsigned front_requests(const struct front_worker *f);

/* Ends what is left; the loop runs no more. front_worker_free comes after
   the last message to the loop has been delivered. */
void front_worker_stop(struct front_worker *f);
void front_worker_free(struct front_worker **f);

#endif
