/* Growable bytes with a maximum. */
#include "nearside/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "nearside/base/check.h"

enum {
    BUF_CAP_MIN = 512,
};

void
buf_init(struct buf *b, size_t max)
{
    MUST(b != NULL);
    *b = (struct buf){.max = max};
}

void
buf_fini(struct buf *b)
{
    free(b->data);
    *b = (struct buf){.max = b->max};
}

static enum rc
buf_grow(struct buf *b, size_t need)
{
    size_t cap = b->cap < BUF_CAP_MIN ? BUF_CAP_MIN : b->cap;
    char *data;

    if (need > b->max) {
        return RC_LIMIT;
    }
    while (cap < need) {
        cap = cap > b->max / 2 ? b->max : cap * 2;
    }
    cap = cap > b->max ? b->max : cap;
    data = realloc(b->data, cap);
    if (data == NULL) {
        return RC_NOMEM;
    }
    b->data = data;
    b->cap = cap;
    return RC_OK;
}

/*
 * Makes room for n bytes behind the end. Consumed bytes are won back by
 * sliding once they are half of the buffer, so that each byte moves once on
 * average; before that the buffer grows, if it may.
 */
static enum rc
buf_room(struct buf *b, size_t n)
{
    size_t len = buf_len(b);

    if (b->data != NULL && n <= b->cap - b->end) {
        return RC_OK;
    }
    if (n > b->max - len) {
        return RC_LIMIT;
    }
    if (b->start > 0 &&
        (b->start >= len || b->cap >= b->max || n > b->max - b->end)) {
        MUST(b->data != NULL);
        memmove(b->data, b->data + b->start, len);
        b->start = 0;
        b->end = len;
    }
    return b->data != NULL && n <= b->cap - b->end ? RC_OK
                                                   : buf_grow(b, b->end + n);
}

char *
buf_reserve(struct buf *b, size_t n)
{
    return buf_room(b, n) == RC_OK ? b->data + b->end : NULL;
}

void
buf_commit(struct buf *b, size_t n)
{
    MUST(n <= b->cap - b->end);
    b->end += n;
}

enum rc
buf_append(struct buf *b, struct slice s)
{
    enum rc rc = buf_room(b, s.len);

    if (rc == RC_OK && s.len > 0) {
        memcpy(b->data + b->end, s.ptr, s.len);
        b->end += s.len;
    }
    return rc;
}

enum rc
buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    char *text;
    int n;
    enum rc rc;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    MUST(n >= 0);
    rc = buf_room(b, (size_t)n);
    if (rc != RC_OK) {
        return rc;
    }
    /* vsnprintf wants a place for its NUL, which the buffer may not have. */
    text = malloc((size_t)n + 1);
    if (text == NULL) {
        return RC_NOMEM;
    }
    va_start(ap, fmt);
    MUST(vsnprintf(text, (size_t)n + 1, fmt, ap) == n);
    va_end(ap);
    memcpy(b->data + b->end, text, (size_t)n);
    b->end += (size_t)n;
    free(text);
    return RC_OK;
}

void
buf_consume(struct buf *b, size_t n)
{
    MUST(n <= buf_len(b));
    b->start += n;
    if (b->start == b->end) {
        buf_clear(b);
    }
}

void
buf_clear(struct buf *b)
{
    b->start = 0;
    b->end = 0;
}

void
buf_trim(struct buf *b)
{
    if (b->start == b->end) {
        buf_fini(b);
    }
}
