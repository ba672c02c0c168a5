/*
 * The prober, on the coherence thread: it writes to each primary of the map
 * twice a second, and so knows whose values may be used (trust.h). An instance
 * that only reads would not notice otherwise that a primary refuses to delete,
 * or that it is cut off.
 */
#ifndef REDIS_PROBER_H
#define REDIS_PROBER_H

#include "redis/map.h"

struct prober;

/* Probes the nodes of each map from now on, and keeps a link to each if
   somebody listens (near.h). All is as in struct redis_thread. NULL: no memory.
 */
struct prober *prober_new(struct redis *redis, struct loop *loop,
    struct log_ring *ring, struct metric_block *block);

void prober_free(struct prober **prober);

#endif
