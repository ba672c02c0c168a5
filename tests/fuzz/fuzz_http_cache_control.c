/*
 * Cache-Control: whatever stands there, more of it never allows more; and
 * durations stay within their bounds.
 */
#include "fuzz.h"
#include "nearside/http/cache_control.h"

static void
must_be_bounded(int64_t delta)
{
    MUST(delta >= DELTA_ABSENT && delta <= DELTA_MAX);
}

/* What was restricted stays so, and no duration grows. */
static void
must_not_loosen(const struct cache_control *was, const struct cache_control *is)
{
    MUST(!was->no_store || is->no_store);
    MUST(!was->no_cache || is->no_cache);
    MUST(!was->private_ || is->private_);
    MUST(!was->must_revalidate || is->must_revalidate);
    MUST(!was->proxy_revalidate || is->proxy_revalidate);
    MUST(was->max_age == DELTA_ABSENT || is->max_age <= was->max_age);
    MUST(was->s_maxage == DELTA_ABSENT || is->s_maxage <= was->s_maxage);
    MUST(is->min_fresh >= was->min_fresh);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = fuzz_copy(slice_of((const char *)data, size));
    struct cache_control was, is;

    cache_control_init(&was);
    cache_control_add(&was, SLICE("private, max-age=60, s-maxage=90"));
    is = was;
    cache_control_add(&is, slice_of(copy, size));
    must_not_loosen(&was, &is);
    cache_control_init(&is);
    cache_control_add(&is, slice_of(copy, size));
    must_be_bounded(is.max_age);
    must_be_bounded(is.s_maxage);
    must_be_bounded(is.min_fresh);
    must_be_bounded(is.max_stale);
    must_be_bounded(is.stale_while_revalidate);
    must_be_bounded(is.stale_if_error);
    free(copy);
    return 0;
}
