/*
 * Arena: a chain of blocks, filled from the front of the newest one. A
 * request's arena usually lives in its first block for as long as the
 * connection lives, so that a keep-alive request allocates nothing.
 */
#include "nearside/base/arena.h"

#include "nearside/base/check.h"

#include <stdlib.h>

enum {
    /* One block holds a common request's fields, key and heads. */
    ARENA_BLOCK_MIN = 4096,
};

void
arena_init(struct arena *a, size_t max)
{
    MUST(a != NULL);
    *a = (struct arena){.max = max};
}

static void
blocks_free(struct arena_block *block)
{
    while (block != NULL) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
}

void
arena_fini(struct arena *a)
{
    MUST(a != NULL);
    blocks_free(a->blocks);
    *a = (struct arena){.max = a->max};
}

/* Keeps one of the common size. */
static void
blocks_reset(struct arena *a)
{
    struct arena_block *kept = NULL;

    MUST(a->used <= a->total);
    while (a->blocks != NULL) {
        struct arena_block *block = a->blocks;
        a->blocks = block->next;
        if (kept == NULL && block->size == ARENA_BLOCK_MIN) {
            kept = block;
        } else {
            free(block);
        }
    }
    if (kept != NULL) {
        kept->next = NULL;
    }
    a->blocks = kept;
    a->total = kept == NULL ? 0 : kept->size;
}

void
arena_reset(struct arena *a)
{
    /* One block of the common size is kept; a larger one was an exception
       and must not stay with a quiet connection. */
    if (a->blocks != NULL && a->total != ARENA_BLOCK_MIN) {
        blocks_reset(a);
    }
    a->used = 0;
}

static struct arena_block *
block_add(struct arena *a, size_t size)
{
    size_t want = size < ARENA_BLOCK_MIN ? ARENA_BLOCK_MIN : size;
    struct arena_block *block;

    MUST(a->total <= a->max);
    if (want > a->max - a->total) {
        want = size;
    }
    if (want > a->max - a->total) {
        return NULL;
    }
    block = malloc(sizeof(*block) + want);
    if (block == NULL) {
        return NULL;
    }
    block->size = want;
    block->next = a->blocks;
    a->blocks = block;
    a->total += want;
    a->used = 0;
    return block;
}

void *
arena_alloc_beyond(struct arena *a, size_t size)
{
    struct arena_block *block;

    if (size > a->max) {
        return NULL;
    }
    size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    block = block_add(a, size);
    if (block == NULL) {
        return NULL;
    }
    a->used = size;
    return block->data;
}

void *
arena_zalloc(struct arena *a, size_t size)
{
    void *p = arena_alloc(a, size);

    return p == NULL ? NULL : memset(p, 0, size);
}

enum rc
arena_copy(struct arena *a, struct slice s, struct slice *out)
{
    char *p = arena_alloc(a, s.len);

    if (p == NULL) {
        return RC_NOMEM;
    }
    if (s.len > 0) {
        memcpy(p, s.ptr, s.len);
    }
    *out = slice_of(p, s.len);
    return RC_OK;
}
