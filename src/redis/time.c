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
    int64_t start_ms;
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
    start_ms = (s * 1000000 + us - sent_us - (heard_us - sent_us) / 2) / 1000;
    if (start_ms <= 0) {
        return RC_BAD;
    }
    *out = (struct time_sample){
        .start_ms = start_ms,
        .error_ms = (heard_us - sent_us) / 2000 + 1,
    };
    return RC_OK;
}

static int
earlier_first(const void *pa, const void *pb)
{
    const struct time_sample *a = pa;
    const struct time_sample *b = pb;

    return (a->start_ms > b->start_ms) - (a->start_ms < b->start_ms);
}

static int64_t
distance(int64_t a_ms, int64_t b_ms)
{
    return a_ms > b_ms ? a_ms - b_ms : b_ms - a_ms;
}

/* Of an even number, which leaves two amid, the one that is nearer to the time
   which counts so far: one clock of two cannot move that. At first, when none
   counts yet, the earlier, for every instance. */
static const struct time_sample *
median_of(
    struct time_sample samples[], unsigned len, const struct shared_time *time)
{
    int64_t start_ms = atomic_load(&time->start_ms);
    const struct time_sample *low = &samples[(len - 1) / 2];
    const struct time_sample *high = &samples[len / 2];

    MUST(len > 0);
    qsort(samples, len, sizeof(samples[0]), earlier_first);
    return start_ms != 0 && distance(start_ms, high->start_ms) <
                                distance(start_ms, low->start_ms)
               ? high
               : low;
}

void
time_begin(struct shared_time *time, struct time_sample *sample,
    const struct clock *own)
{
    MUST(sample->start_ms > 0);
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

    if (len == 0) {
        return false;
    }
    median = median_of(samples, len, time);
    MUST(median->start_ms > 0);
    if (distance(start_ms, median->start_ms) >
        TIME_SAME_MS + median->error_ms) {
        start_ms = median->start_ms;
    } else if (atomic_load(&time->start_ms) != 0) {
        return false;
    }
    /* Else the own clock is right so far: its time is kept, so that it does not
       matter any more how that clock is set. */
    atomic_store(&time->start_ms, start_ms);
    return true;
}
