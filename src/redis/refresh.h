/* The control thread's part: it looks for a new map whenever one is wanted,
   and now and then unasked. */
#ifndef REDIS_REFRESH_H
#define REDIS_REFRESH_H

#include "redis/map.h"

struct refresh;

struct refresh *refresh_new(struct redis *redis, struct loop *loop,
    struct log_ring *ring, struct metric_block *block); /* NULL: no memory */
void refresh_free(struct refresh **refresh);

/* Somebody wants a refresh; ctx is the refresh. */
void refresh_on_wanted(void *ctx);

#endif
