/*
 * Traces (trace.h). The scan and the loop have objects of their own, behind
 * the popular ones: the loop's first, then the scan's.
 */
#include "trace.h"

#include <math.h>
#include <stdlib.h>

#include "nearside/base/check.h"
#include "nearside/base/hash.h"

enum {
    ONE_PERCENT = POPULAR_LEN / 100,
    TEN_PERCENT = POPULAR_LEN / 10,
    WARM_UP_SHARE = 6, /* one part in so many of the requests */
};

const struct trace_kind trace_kinds[] = {
    {.name = "zipf+scan 1%", .scan = 200, .scan_run = 1, .cache = ONE_PERCENT},
    {.name = "zipf+scan 10%", .scan = 200, .scan_run = 1, .cache = TEN_PERCENT},
    /* As many in a row as the cache has. */
    {.name = "zipf+runs 1%",
        .scan = 200,
        .scan_run = ONE_PERCENT,
        .cache = ONE_PERCENT},
    {.name = "zipf 1%", .cache = ONE_PERCENT},
    {.name = "zipf 10%", .cache = TEN_PERCENT},
    {.name = "zipf+loop 1%",
        .loop = 333,
        .loop_len = 2 * ONE_PERCENT,
        .cache = ONE_PERCENT},
    {.name = "loop",
        .loop = 1000,
        .loop_len = ONE_PERCENT * 3 / 2,
        .cache = ONE_PERCENT},
    {.name = "sizes zipf 1%",
        .cache = ONE_PERCENT,
        .body_min = 200,
        .body_max = 20000},
    {.name = "sizes zipf+scan 1%",
        .scan = 200,
        .scan_run = 1,
        .cache = ONE_PERCENT,
        .body_min = 200,
        .body_max = 20000},
    {.name = NULL},
};

void *
must_calloc(size_t len, size_t size)
{
    void *bytes = calloc(len, size);

    MUST(bytes != NULL);
    return bytes;
}

/* In [0, 1). */
static double
fraction(struct random *random)
{
    return (double)(random_next(random) >> 11) * 0x1p-53;
}

/* For each rank the weight of it and all before it. */
static double *
make_ranks(void)
{
    double *ranks = must_calloc(POPULAR_LEN, sizeof(*ranks));
    double sum = 0;

    for (uint32_t i = 0; i < POPULAR_LEN; i++) {
        sum += pow(i + 1, -ZIPF_EXPONENT);
        ranks[i] = sum;
    }
    return ranks;
}

static uint32_t
draw_popular(const double *ranks, struct random *random)
{
    double at = fraction(random) * ranks[POPULAR_LEN - 1];
    uint32_t low = 0;
    uint32_t high = POPULAR_LEN - 1;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (ranks[middle] > at) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* Does a run of the scan begin here? As often as gives the scan its share: for
   each run there are (1000 - scan) / scan times as many others. */
static bool
begins_run(const struct trace_kind *kind, struct random *random)
{
    uint64_t others = (uint64_t)kind->scan_run * (1000 - kind->scan);

    return random_below(random, kind->scan + others) < kind->scan;
}

static void
draw_objects(
    struct trace *trace, const struct trace_kind *kind, struct random *random)
{
    double *ranks = make_ranks();
    uint32_t loop_at = 0;
    uint32_t scan_at = POPULAR_LEN + kind->loop_len;
    unsigned run_left = 0;

    for (size_t i = 0; i < trace->len; i++) {
        if (run_left == 0 && kind->scan > 0 && begins_run(kind, random)) {
            run_left = kind->scan_run;
        }
        if (run_left > 0) {
            run_left--;
            trace->objects[i] = scan_at++;
        } else if (random_below(random, 1000) < kind->loop) {
            trace->objects[i] = POPULAR_LEN + loop_at++ % kind->loop_len;
        } else {
            trace->objects[i] = draw_popular(ranks, random);
        }
    }
    trace->objects_len = scan_at;
    free(ranks);
}

static uint32_t
draw_body(const struct trace_kind *kind, struct random *random)
{
    double ratio;

    if (kind->body_min == 0) {
        return BODY_EQUAL;
    }
    ratio = (double)kind->body_max / kind->body_min;
    return (uint32_t)(kind->body_min * pow(ratio, fraction(random)));
}

void
trace_make(struct trace *trace, const struct trace_kind *kind, size_t requests,
    uint64_t seed)
{
    struct random random = {.state = seed};

    *trace = (struct trace){.len = requests,
        .warm_up = requests / WARM_UP_SHARE,
        .is_equal = kind->body_min == 0};
    trace->objects = must_calloc(requests, sizeof(*trace->objects));
    draw_objects(trace, kind, &random);
    trace->body_lens =
        must_calloc(trace->objects_len, sizeof(*trace->body_lens));
    trace->sizes = must_calloc(trace->objects_len, sizeof(*trace->sizes));
    for (uint32_t i = 0; i < trace->objects_len; i++) {
        trace->body_lens[i] = draw_body(kind, &random);
    }
}

/* The mean is that of the popular objects: those of the scan are asked for
   once, and no cache could use them. Half an object more: then no few bytes
   decide whether one fits. */
void
trace_set_budget(struct trace *trace, uint32_t cache)
{
    size_t footprint = 0;

    for (uint32_t i = 0; i < POPULAR_LEN; i++) {
        MUST(trace->sizes[i] > 0);
        footprint += trace->sizes[i];
    }
    trace->budget =
        (size_t)((double)footprint / POPULAR_LEN * ((double)cache + 0.5));
}

void
trace_free(struct trace *trace)
{
    free(trace->objects);
    free(trace->body_lens);
    free(trace->sizes);
    *trace = (struct trace){.len = 0};
}
