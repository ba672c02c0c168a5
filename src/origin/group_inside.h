/* A group's inside, for the files of this room. */
#ifndef ORIGIN_GROUP_INSIDE_H
#define ORIGIN_GROUP_INSIDE_H

#include <stdatomic.h>

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
    metric_id errors[ORIGIN_ERROR_COUNT];
    struct origin_server_metrics server; /* which gets a copy */
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
};

/* Room for one more connection under connections_max? Counts it if so. */
bool origin_group_reserve(struct origin_group *group);
void origin_group_release(struct origin_group *group);

/* How many idle connections a pool may keep. */
unsigned origin_group_idle_max(const struct origin_group *group);

#endif
