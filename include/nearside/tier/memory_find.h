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

/*
 * Redis cannot say what is stored. What memory has all the same may have been
 * changed: it is to be validated, or may stand in. out_may_answer: it may
 * answer besides, while it is fresh. It is so young that no change before it
 * can be older than the bound, or the route says so (redis_down = stale). As
 * memory_find else. NULL too without Redis.
 */
struct entry *memory_find_unverified(
    struct worker *w, const struct question *q, bool *out_may_answer);

#endif
