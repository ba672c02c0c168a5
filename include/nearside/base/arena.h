/*
 * Bump allocation for what dies together, such as all that belongs to one
 * request. Nothing is freed alone. An arena has a maximum: the peer decides
 * how much is asked for, so the owner decides where it ends.
 */
#ifndef NEARSIDE_BASE_ARENA_H
#define NEARSIDE_BASE_ARENA_H

#include <stdalign.h>
#include <stddef.h>

#include "nearside/base/slice.h"

enum {
    ARENA_ALIGN = 16,
};

struct arena_block {
    struct arena_block *next;
    size_t size; /* of data */
    alignas(ARENA_ALIGN) char data[];
};

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

/* As arena_alloc, with another block. */
void *arena_alloc_beyond(struct arena *a, size_t size);

/* 16-byte aligned, not zeroed. NULL: over max, or malloc refused. */
static inline void *
arena_alloc(struct arena *a, size_t size)
{
    struct arena_block *block = a->blocks;
    void *p;

    /* What is left is a multiple of the alignment, as each block's size is: so
       what fits does so when it is rounded up. */
    if (block == NULL || size > block->size - a->used) {
        return arena_alloc_beyond(a, size);
    }
    p = block->data + a->used;
    a->used += (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    return p;
}

/* Zeroed. NULL as above. */
void *arena_zalloc(struct arena *a, size_t size);

/* Copies s into the arena. RC_NOMEM: over max, or malloc refused. */
enum rc arena_copy(
    struct arena *a, struct slice s, struct slice *out) RC_MUST_CHECK;

#endif
