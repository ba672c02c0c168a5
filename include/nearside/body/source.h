/* Where an answer's body comes from: bytes at hand, or a fill. */
#ifndef NEARSIDE_BODY_SOURCE_H
#define NEARSIDE_BODY_SOURCE_H

#include "nearside/body/fill.h"

enum source_state {
    SOURCE_MORE, /* more may come; source_await tells when */
    SOURCE_END,  /* what source_peek shows now is the last of it */
    SOURCE_FAILED,
};

/* Zeroed, it is nothing yet. */
struct source {
    uint32_t magic;
    struct slice bytes;        /* what is left of them */
    struct fill_reader reader; /* joined: the body is the fill's */
};

/* Bytes that stay as long as the source. */
void source_of_bytes(struct source *source, struct slice bytes);

/* RC_MISS: the fill's start is gone; RC_NOMEM. It is nothing then. */
enum rc source_of_fill(
    struct source *source, struct fill *fill, struct loop *loop) RC_MUST_CHECK;

/* It is nothing from here. Harmless on one that is nothing. */
void source_close(struct source *source);

int source_peek(struct source *source, struct iovec *iov, int iov_max);
/* Bytes that can be read now, all of them. */
uint64_t source_left(const struct source *source);

void source_advance(struct source *source, uint64_t n);
enum source_state source_state(const struct source *source);

/* What a source failed of. NONE: nothing, or no origin is to blame. */
enum origin_error source_error(const struct source *source);

/* on_wake comes once, at the end of a turn in which something happened. Not
   on bytes: they are all there. */
void source_await(struct source *source, void (*on_wake)(void *ctx), void *ctx);

#endif
