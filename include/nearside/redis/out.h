/*
 * Commands on their way out: a queue of chunks, each command in one piece.
 * An argument's bytes are copied once, here; commands of one turn share a
 * chunk and leave together by one writev.
 */
#ifndef NEARSIDE_REDIS_OUT_H
#define NEARSIDE_REDIS_OUT_H

#include <sys/uio.h>

#include "nearside/base/slice.h"

struct out_chunk;

struct out {
    struct out_chunk *head; /* oldest; owned */
    struct out_chunk *tail;
    struct out_chunk *spare; /* one is kept for the next turn */
    size_t len;              /* bytes not yet written */
    uint64_t queued;         /* bytes ever appended */
};

enum {
    OUT_IOV_MAX = 16,
};

void out_init(struct out *out);

/* Gives all memory back; unwritten commands are dropped. */
void out_fini(struct out *out);

/* The size of a command in RESP. */
size_t out_command_len(unsigned argc, const struct slice *argv);

/* Appends a command. RC_NOMEM: the queue is unchanged. */
enum rc out_command(
    struct out *out, unsigned argc, const struct slice *argv) RC_MUST_CHECK;

/* The oldest bytes; how many entries were set. */
int out_iov(const struct out *out, struct iovec iov[OUT_IOV_MAX]);

/* The oldest n bytes have been written. */
void out_written(struct out *out, size_t n);

/* How many bytes were ever written (or dropped). */
static inline uint64_t
out_position(const struct out *out)
{
    return out->queued - out->len;
}

#endif
