/*
 * What TIME says, and the time that all instances share by it (shared_time.h).
 * Nodes' clocks may differ too: the median of the primaries counts, which is
 * the same for every instance, and which no single one of several nodes can
 * move. Pure.
 */
#ifndef REDIS_TIME_H
#define REDIS_TIME_H

#include "nearside/base/rc.h"
#include "nearside/base/shared_time.h"
#include "nearside/redis/redis.h"

enum {
    /* Nearer than this, and what the way there may explain, is the same. */
    TIME_SAME_MS = 100,
    /* An instance's own clock that is further off is told of. */
    TIME_TOLD_MS = 1000,
};

/* One answer to TIME. */
struct time_sample {
    int64_t start_ms; /* as in shared_time; 0: none */
    int64_t error_ms; /* off by that much at most */
};

/* Of a reply to a TIME that was sent and answered at these monotonic moments.
   RC_BAD: it is none, and *out stays as it is. */
enum rc time_sample_of(const struct redis_reply *reply, int64_t sent_us,
    int64_t heard_us, struct time_sample *out) RC_MUST_CHECK;

/* Before any other was heard, the first sample of any node counts. `own` is
   this machine's clock, here and below. */
void time_begin(struct shared_time *time, struct time_sample *sample,
    const struct clock *own);

/* Sets *time if the samples, which it sorts, show that it is off, or if it has
   none yet. False: it stays as it is. */
bool time_judge(struct shared_time *time, struct time_sample samples[],
    unsigned len, const struct clock *own);

#endif
