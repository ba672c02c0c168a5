/*
 * The way from a thread to the log writer: a ring of bytes with one
 * producer and one consumer, whose records say what a line is, and then the
 * line.
 */
#ifndef BASE_LOG_RING_H
#define BASE_LOG_RING_H

#include <stdalign.h>
#include <stdatomic.h>

#include "nearside/base/log.h"

#define LOG_RING_MAGIC UINT32_C(0x6e7410c4)

enum log_stream {
    LOG_STREAM_EVENTS,
    LOG_STREAM_ACCESS,
};

enum {
    LOG_STREAMS = 2,
    /* One line at most; a request head may be long, but not endless. */
    LOG_LINE_MAX = 32 * 1024,
    LOG_RING_SIZE = 256 * 1024, /* power of two; a few of the longest lines */
    LOG_CACHE_LINE = 64,
};

struct log_record {
    uint32_t line_len; /* of the bytes that follow */
    uint16_t stream;   /* enum log_stream */
    uint16_t level;    /* enum log_level; events only */
};

struct log_ring {
    uint32_t magic;
    struct log *log;
    struct log_ring *next; /* on the log's list; set before it is there */

    /* The producer's line. */
    alignas(LOG_CACHE_LINE) _Atomic uint64_t written;
    uint64_t taken_seen;      /* spares a look at the consumer's line */
    _Atomic uint64_t dropped; /* lines */

    /* The consumer's line. */
    alignas(LOG_CACHE_LINE) _Atomic uint64_t taken;

    alignas(LOG_CACHE_LINE) char data[LOG_RING_SIZE];
};

/* NULL: no memory. */
struct log_ring *log_ring_make(struct log *log);
void log_ring_free(struct log_ring **ring);

/*
 * Producer: adds a record, the line cut to what a record may hold. False:
 * no room, the line is counted as dropped. *out_is_pressing: the ring has
 * just become more than half full.
 */
bool log_ring_put(struct log_ring *ring, struct log_record record,
    struct slice line, bool *out_is_pressing);

/*
 * Consumer: takes a record, its line copied to line (LOG_LINE_MAX bytes).
 * False: nothing there.
 */
bool log_ring_take(
    struct log_ring *ring, struct log_record *out_record, char *line);

bool log_ring_is_empty(struct log_ring *ring);

#endif
