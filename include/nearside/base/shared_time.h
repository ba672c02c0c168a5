/*
 * The time that all instances share: milliseconds since 1970, UTC, counted by
 * the monotonic clock from a moment that Redis has told. Instances whose wall
 * clocks differ, or are set while they run, agree by it on how old an entry
 * is. Until Redis has told one, an instance's own wall clock takes its place.
 */
#ifndef NEARSIDE_BASE_SHARED_TIME_H
#define NEARSIDE_BASE_SHARED_TIME_H

#include <stdatomic.h>

#include "nearside/base/clock.h"

/* Written by one thread, read by all. */
struct shared_time {
    _Atomic int64_t start_ms; /* what it was when the monotonic clock was 0;
                                 0: Redis has told none yet */
};

/* One that nobody ever tells. */
extern const struct shared_time shared_time_own;

static inline int64_t
shared_time_ms(const struct shared_time *time, const struct clock *clock)
{
    int64_t start_ms =
        atomic_load_explicit(&time->start_ms, memory_order_relaxed);

    return start_ms == 0 ? clock_wall_ms(clock)
                         : start_ms + clock_now_ms(clock);
}

#endif
