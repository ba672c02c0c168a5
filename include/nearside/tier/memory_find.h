/*
 * Memory is asked at once: no call, no waiting, one lock of a shard. Every tier
 * lookup begins here, and so does a request that hopes for a hit in memory.
 */
#ifndef NEARSIDE_TIER_MEMORY_FIND_H
#define NEARSIDE_TIER_MEMORY_FIND_H

#include "nearside/rules/question.h"
#include "nearside/work/worker.h"

/* The entry of the question's key that memory has, if it may be used now and is
   not past all use: stored response, Vary record or hit-for-miss entry, to be
   judged by found_judge like one from Redis. A reference of the caller's, or
   NULL; NULL too where there is no memory. */
struct entry *memory_find(struct worker *w, const struct question *q);

#endif
