/*
 * A growable run of bytes with a stated maximum: appended at the end,
 * consumed from the front. Never grows beyond max by construction.
 */
#ifndef NEARSIDE_BASE_BUF_H
#define NEARSIDE_BASE_BUF_H

#include <stddef.h>

#include "nearside/base/slice.h"

struct buf {
    char *data;   /* owned; NULL until something is appended */
    size_t start; /* first byte not yet consumed */
    size_t end;   /* one past the last byte */
    size_t cap;
    size_t max;
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);

static inline size_t
buf_len(const struct buf *b)
{
    return b->end - b->start;
}

/* The bytes held; good until the next call that appends or consumes. */
static inline struct slice
buf_slice(const struct buf *b)
{
    return (struct slice){
        b->data == NULL ? "" : b->data + b->start, b->end - b->start};
}

/*
 * Makes room for n more bytes behind the end and gives the place; what was
 * written there is added by buf_commit. NULL: over max, or malloc refused;
 * the buffer is unchanged.
 */
char *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);

/* RC_LIMIT: over max. RC_NOMEM. The buffer is unchanged in both cases. */
enum rc buf_append(struct buf *b, struct slice s) RC_MUST_CHECK;
enum rc buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3))) RC_MUST_CHECK;

/* Drops n bytes from the front. */
void buf_consume(struct buf *b, size_t n);

/* Empties it and keeps the memory. */
void buf_clear(struct buf *b);

/* Gives the memory back when empty; a quiet connection should hold none. */
void buf_trim(struct buf *b);

#endif
