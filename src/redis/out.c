/*
 * Commands on their way out. A command is appended whole into one chunk, so
 * that nothing is half there when memory runs out: chunks of one size for
 * what is small, one of the exact size for what does not fit.
 */
#include "nearside/redis/out.h"

#include "nearside/base/check.h"

#include <stdlib.h>

enum {
    /* Some 200 GETs; with the allocator's own bytes four pages. */
    CHUNK_CAP = 16 * 1024 - 64,
};

struct out_chunk {
    struct out_chunk *next;
    size_t start; /* first byte not yet written */
    size_t end;
    size_t cap;
    char data[];
};

void
out_init(struct out *out)
{
    MUST(out != NULL);
    *out = (struct out){0};
}

void
out_fini(struct out *out)
{
    struct out_chunk *next;

    for (struct out_chunk *c = out->head; c != NULL; c = next) {
        next = c->next;
        free(c);
    }
    free(out->spare);
    *out = (struct out){.queued = out->queued};
}

static size_t
digits_of(size_t n)
{
    size_t digits = 1;

    for (; n >= 10; n /= 10) {
        digits++;
    }
    return digits;
}

size_t
out_command_len(unsigned argc, const struct slice *argv)
{
    size_t len = 1 + digits_of(argc) + 2;

    for (unsigned i = 0; i < argc; i++) {
        len += 1 + digits_of(argv[i].len) + 2 + argv[i].len + 2;
    }
    return len;
}

/* "$12\r\n"; the place behind it. */
static char *
put_head(char *at, char mark, size_t n)
{
    size_t digits = digits_of(n);

    *at++ = mark;
    for (size_t i = digits; i > 0; i--) {
        at[i - 1] = (char)('0' + n % 10);
        n /= 10;
    }
    at += digits;
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

static char *
put_command(char *at, unsigned argc, const struct slice *argv)
{
    at = put_head(at, '*', argc);
    for (unsigned i = 0; i < argc; i++) {
        at = put_head(at, '$', argv[i].len);
        if (argv[i].len > 0) {
            memcpy(at, argv[i].ptr, argv[i].len);
        }
        at += argv[i].len;
        *at++ = '\r';
        *at++ = '\n';
    }
    return at;
}

/* A chunk with room for n bytes, at the queue's end. NULL: no memory. */
static struct out_chunk *
out_room(struct out *out, size_t n)
{
    struct out_chunk *c = out->tail;
    size_t cap = n > CHUNK_CAP ? n : CHUNK_CAP;

    if (c != NULL && c->cap - c->end >= n) {
        return c;
    }
    if (cap == CHUNK_CAP && out->spare != NULL) {
        c = out->spare;
        out->spare = NULL;
    } else {
        c = malloc(sizeof(*c) + cap);
        if (c == NULL) {
            return NULL;
        }
        c->cap = cap;
    }
    c->start = 0;
    c->end = 0;
    c->next = NULL;
    if (out->tail == NULL) {
        out->head = c;
    } else {
        out->tail->next = c;
    }
    out->tail = c;
    return c;
}

enum rc
out_command(struct out *out, unsigned argc, const struct slice *argv)
{
    size_t n = out_command_len(argc, argv);
    struct out_chunk *c = out_room(out, n);
    char *end;

    if (c == NULL) {
        return RC_NOMEM;
    }
    end = put_command(c->data + c->end, argc, argv);
    MUST(end == c->data + c->end + n);
    c->end += n;
    out->len += n;
    out->queued += n;
    return RC_OK;
}

int
out_iov(const struct out *out, struct iovec iov[OUT_IOV_MAX])
{
    int count = 0;

    for (struct out_chunk *c = out->head; c != NULL && count < OUT_IOV_MAX;
         c = c->next) {
        iov[count].iov_base = c->data + c->start;
        iov[count].iov_len = c->end - c->start;
        count++;
    }
    return count;
}

/* Takes the oldest chunk off, written through. */
static void
out_pop(struct out *out)
{
    struct out_chunk *c = out->head;

    out->head = c->next;
    if (out->head == NULL) {
        out->tail = NULL;
    }
    if (c->cap == CHUNK_CAP && out->spare == NULL) {
        out->spare = c;
    } else {
        free(c);
    }
}

void
out_written(struct out *out, size_t n)
{
    MUST(n <= out->len);
    out->len -= n;
    while (n > 0) {
        struct out_chunk *c = out->head;
        size_t held = c->end - c->start;

        if (n < held) {
            c->start += n;
            return;
        }
        n -= held;
        out_pop(out);
    }
}
