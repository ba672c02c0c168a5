/*
 * Commands on their way out: a queue of chunks, each command in one piece.
 * An argument's bytes are copied once, here; commands of one turn share a
 * chunk and leave together by one writev.
 */
#ifndef REDIS_UNSENT_H
#define REDIS_UNSENT_H

#include <sys/uio.h>

#include "nearside/base/slice.h"

struct unsent_chunk;

struct unsent {
    struct unsent_chunk *head; /* oldest; owned */
    struct unsent_chunk *tail;
    struct unsent_chunk *spare; /* one is kept for the next turn */
    size_t len;                 /* bytes not yet written */
    uint64_t queued;            /* bytes ever appended */
};

enum {
    UNSENT_IOV_MAX = 16,
};

void unsent_init(struct unsent *unsent);

/* Gives all memory back; unwritten commands are dropped. */
void unsent_fini(struct unsent *unsent);

/* The size of a command in RESP. */
size_t command_len(unsigned argc, const struct slice *argv);

/* Appends a command. RC_NOMEM: the queue is unchanged. */
enum rc unsent_add(struct unsent *unsent, unsigned argc,
    const struct slice *argv) RC_MUST_CHECK;

/* The oldest bytes; how many entries were set. */
int unsent_iov(const struct unsent *unsent, struct iovec iov[UNSENT_IOV_MAX]);

/* The oldest n bytes have been written. */
void unsent_written(struct unsent *unsent, size_t n);

/* How many bytes were ever written (or dropped). */
static inline uint64_t
unsent_position(const struct unsent *unsent)
{
    return unsent->queued - unsent->len;
}

#endif
