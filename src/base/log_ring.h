/*
 * The way from a thread to the log writer: a ring of bytes with one
 * producer and one consumer, whose records say what a line is, and then the
 * line.
 */
#ifndef BASE_LOG_RING_H
#define BASE_LOG_RING_H

#include "nearside/base/log.h"

enum log_stream {
    LOG_STREAM_EVENTS,
    LOG_STREAM_ACCESS,
};

enum {
    LOG_STREAMS = 2,
    /* One line at most; a request head may be long, but not endless. */
    LOG_LINE_MAX = 32 * 1024,
};

struct log_record {
    uint32_t line_len; /* of the bytes that follow */
    uint16_t stream;   /* enum log_stream */
    uint16_t level;    /* enum log_level; events only */
};

struct log_ring;

/* size: bytes; rounded up to a power of two within its limits. NULL: no
   memory. */
struct log_ring *log_ring_make(struct log *log, size_t size);
void log_ring_free(struct log_ring **ring);

struct log *log_ring_log(const struct log_ring *ring);

/* The next one on the log's list; set before the ring is published. */
struct log_ring **log_ring_next(struct log_ring *ring);

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
uint64_t log_ring_dropped(const struct log_ring *ring);

#endif
