/*
 * How often events of one name may be logged: a table that all threads
 * share, so that the limit is the process's, not a thread's.
 */
#ifndef BASE_LOG_RATE_H
#define BASE_LOG_RATE_H

#include <stdatomic.h>

#include "nearside/base/log.h"

enum {
    /* Far above the number of event names in the program; what comes
       after shares the last slot. Power of two. */
    LOG_RATE_SLOTS = 256,
};

struct log_rate_slot {
    _Atomic(const char *) name; /* NULL: free; static text */
    _Atomic int64_t second;     /* the window, mono */
    _Atomic uint32_t count;     /* seen within it */
    _Atomic uint32_t suppressed;
    _Atomic int level; /* of the last suppressed one */
};

struct log_rate {
    uint32_t max; /* a second and name */
    struct log_rate_slot slots[LOG_RATE_SLOTS];
};

/* May one more of this name go out now? If not, it has been counted. */
bool log_rate_admits(struct log_rate *rate, const char *name,
    enum log_level level, int64_t second);

/*
 * One name that was suppressed in a window now over (or in any, with
 * is_closing) and how often; its count starts anew. Begin with *cursor 0
 * and go on until it gives false.
 */
bool log_rate_next(struct log_rate *rate, unsigned *cursor, int64_t second,
    bool is_closing, struct log_rate_slot *out);

/* Is there anything that log_rate_next will have to say? */
bool log_rate_is_pending(const struct log_rate *rate);

#endif
