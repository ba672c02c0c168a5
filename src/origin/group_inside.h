/* A group's inside, for the files of this room. */
#ifndef ORIGIN_GROUP_INSIDE_H
#define ORIGIN_GROUP_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "nearside/base/list.h"
#include "nearside/http/parse.h"
#include "nearside/origin/exchange.h"
#include "nearside/origin/group.h"

#define GROUP_MAGIC UINT32_C(0x6f677270)

struct origin_metrics {
    metric_id requests;
    metric_id connections;
    metric_id reused;
    metric_id retries;
    metric_id first_byte;
    metric_id waiting;
    metric_id waited;
    metric_id errors[ORIGIN_ERROR_COUNT];
    struct origin_server_metrics server; /* which gets a copy */
};

/* Those of all workers who wait for a connection; see queue.c. */
struct origin_queue {
    pthread_mutex_t lock;
    struct list pools;    /* of the group, by their siblings */
    struct list waiting;  /* who came first is first */
    _Atomic unsigned len; /* of waiting */
};

/*
 * Written by origin_group_new and origin_groups_measure, constant
 * afterwards but for the counters, which all workers share, and the server.
 */
struct origin_group {
    uint32_t magic;
    bool is_measured;          /* metrics are in a registry */
    struct origin_opts opts;   /* name: own_name */
    struct parse_opts parsing; /* of response heads */
    char *own_name;
    struct origin_server *server; /* one in this version */
    struct origin_metrics metrics;
    _Atomic unsigned connections;
    _Atomic unsigned in_flight;
    _Atomic unsigned pools;
    struct origin_queue queue;
};

/* Does anybody wait for a place? */
static inline bool
origin_group_is_waited_for(const struct origin_group *group)
{
    return atomic_load(&group->queue.len) > 0;
}

/* How many idle connections a pool may keep. */
unsigned origin_group_idle_max(const struct origin_group *group);

/* --- queue.c ------------------------------------------------------------- */

void origin_queue_init(struct origin_queue *queue);
void origin_queue_fini(struct origin_queue *queue);

/* Room for one more connection under connections_max? Counts it if so. While
   somebody waits there is none. */
bool origin_group_reserve(struct origin_group *group);

/* Gives a place back; it is the first one's who waits. */
void origin_group_release(struct origin_group *group);

#endif
