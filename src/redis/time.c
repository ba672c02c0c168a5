/* Reads replies to TIME, and takes the median of what primaries have said. */
#include "redis/time.h"

#include <stdlib.h>

#include "nearside/base/check.h"

/* Seconds, or microseconds of one, as TIME says them. */
static enum rc
part(const struct redis_reply *reply, uint64_t max, int64_t *out)
{
    uint64_t n;

    if (reply->type != REDIS_STRING ||
        slice_to_u64(slice_of(reply->str, reply->len), max, &n) != RC_OK) {
        return RC_BAD;
    }
    *out = (int64_t)n;
    return RC_OK;
}

enum rc
time_sample_of(const struct redis_reply *reply, int64_t sent_us,
    int64_t heard_us, struct time_sample *out)
{
    int64_t s;
    int64_t us;

    MUST(reply != NULL);
    MUST(heard_us >= sent_us);
    if (reply->type != REDIS_ARRAY || reply->elements_len != 2 ||
        part(reply->elements[0], UINT32_MAX, &s) != RC_OK ||
        part(reply->elements[1], 999999, &us) != RC_OK) {
        return RC_BAD;
    }
    /* It was that time somewhere between the two; most likely amid. */
    *out = (struct time_sample){
        .start_ms =
            (s * 1000000 + us - sent_us - (heard_us - sent_us) / 2) / 1000,
        .error_ms = (heard_us - sent_us) / 2000 + 1,
    };
    return out->start_ms > 0 ? RC_OK : RC_BAD;
}

static int
earlier_first(const void *pa, const void *pb)
{
    const struct time_sample *a = pa;
    const struct time_sample *b = pb;

    return (a->start_ms > b->start_ms) - (a->start_ms < b->start_ms);
}

void
time_begin(struct shared_time *time, struct time_sample *sample,
    const struct clock *own)
{
    if (atomic_load(&time->start_ms) == 0) {
        (void)time_judge(time, sample, 1, own);
    }
}

bool
time_judge(struct shared_time *time, struct time_sample samples[], unsigned len,
    const struct clock *own)
{
    int64_t start_ms = shared_time_ms(time, own) - clock_now_ms(own);
    const struct time_sample *median;
    int64_t off_ms;

    if (len == 0) {
        return false;
    }
    qsort(samples, len, sizeof(samples[0]), earlier_first);
    median = &samples[(len - 1) / 2];
    MUST(median->start_ms > 0);
    off_ms = start_ms > median->start_ms ? start_ms - median->start_ms
                                         : median->start_ms - start_ms;
    if (off_ms > TIME_SAME_MS + median->error_ms) {
        start_ms = median->start_ms;
    } else if (atomic_load(&time->start_ms) != 0) {
        return false;
    }
    /* Else the own clock is right so far: its time is kept, so that it does not
       matter any more how that clock is set. */
    atomic_store(&time->start_ms, start_ms);
    return true;
}
