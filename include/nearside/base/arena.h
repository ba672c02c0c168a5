/*
 * Bump allocation for what dies together, such as all that belongs to one
 * request. Nothing is freed alone. An arena has a maximum: the peer decides
 * how much is asked for, so the owner decides where it ends.
 */
#ifndef NEARSIDE_BASE_ARENA_H
#define NEARSIDE_BASE_ARENA_H

#include <stddef.h>

#include "nearside/base/slice.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first; owned */
    size_t used;                /* bytes handed out of the newest block */
    size_t total;               /* bytes of all blocks */
    size_t max;                 /* total never exceeds this */
};

/* No memory is taken before the first allocation. */
void arena_init(struct arena *a, size_t max);
void arena_fini(struct arena *a);

/* Forgets everything but keeps one block for reuse. */
void arena_reset(struct arena *a);

/* 16-byte aligned, not zeroed. NULL: over max, or malloc refused. */
void *arena_alloc(struct arena *a, size_t size);

/* Zeroed. NULL as above. */
void *arena_zalloc(struct arena *a, size_t size);

/* Copies s into the arena. RC_NOMEM: over max, or malloc refused. */
enum rc arena_copy(
    struct arena *a, struct slice s, struct slice *out) RC_MUST_CHECK;

#endif
