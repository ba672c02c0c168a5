/*
 * Commands on their way out. A command is appended whole into one chunk, so
 * that nothing is half there when memory runs out: chunks of one size for
 * what is small, one of the exact size for what does not fit.
 */
#include "redis/unsent.h"

#include "nearside/base/check.h"

#include <stdlib.h>

enum {
    /* Some 200 GETs; with the allocator's own bytes four pages. */
    CHUNK_CAP = 16 * 1024 - 64,
};

struct unsent_chunk {
    struct unsent_chunk *next;
    size_t start; /* first byte not yet written */
    size_t end;
    size_t cap;
    char data[];
};

void
unsent_init(struct unsent *unsent)
{
    MUST(unsent != NULL);
    *unsent = (struct unsent){0};
}

void
unsent_fini(struct unsent *unsent)
{
    struct unsent_chunk *next;

    for (struct unsent_chunk *c = unsent->head; c != NULL; c = next) {
        next = c->next;
        free(c);
    }
    free(unsent->spare);
    *unsent = (struct unsent){.queued = unsent->queued};
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
command_len(unsigned argc, const struct slice *argv)
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
static struct unsent_chunk *
unsent_room(struct unsent *unsent, size_t n)
{
    struct unsent_chunk *c = unsent->tail;
    size_t cap = n > CHUNK_CAP ? n : CHUNK_CAP;

    if (c != NULL && c->cap - c->end >= n) {
        return c;
    }
    if (cap == CHUNK_CAP && unsent->spare != NULL) {
        c = unsent->spare;
        unsent->spare = NULL;
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
    if (unsent->tail == NULL) {
        unsent->head = c;
    } else {
        unsent->tail->next = c;
    }
    unsent->tail = c;
    return c;
}

enum rc
unsent_add(struct unsent *unsent, unsigned argc, const struct slice *argv)
{
    size_t n = command_len(argc, argv);
    struct unsent_chunk *c = unsent_room(unsent, n);
    char *end;

    if (c == NULL) {
        return RC_NOMEM;
    }
    end = put_command(c->data + c->end, argc, argv);
    MUST(end == c->data + c->end + n);
    c->end += n;
    unsent->len += n;
    unsent->queued += n;
    return RC_OK;
}

int
unsent_iov(const struct unsent *unsent, struct iovec iov[UNSENT_IOV_MAX])
{
    int count = 0;

    for (struct unsent_chunk *c = unsent->head;
         c != NULL && count < UNSENT_IOV_MAX; c = c->next) {
        iov[count].iov_base = c->data + c->start;
        iov[count].iov_len = c->end - c->start;
        count++;
    }
    return count;
}

/* Takes the oldest chunk off, written through. */
static void
unsent_pop(struct unsent *unsent)
{
    struct unsent_chunk *c = unsent->head;

    unsent->head = c->next;
    if (unsent->head == NULL) {
        unsent->tail = NULL;
    }
    if (c->cap == CHUNK_CAP && unsent->spare == NULL) {
        unsent->spare = c;
    } else {
        free(c);
    }
}

void
unsent_written(struct unsent *unsent, size_t n)
{
    MUST(n <= unsent->len);
    unsent->len -= n;
    while (n > 0) {
        struct unsent_chunk *c = unsent->head;
        size_t held = c->end - c->start;

        if (n < held) {
            c->start += n;
            return;
        }
        n -= held;
        unsent_pop(unsent);
    }
}
