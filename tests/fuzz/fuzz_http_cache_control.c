/*
 * Cache-Control: whatever stands there, more of it never allows more, nor
 * does it matter how it is spread over lines; and durations stay within
 * their bounds. Input: values, a line each.
 */
#include "fuzz.h"
#include "nearside/http/cache_control.h"

enum {
    CUTS_MAX = 16, /* commas; each costs a reading of the whole value */
};

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
    MUST(was->stale_while_revalidate == DELTA_ABSENT ||
         is->stale_while_revalidate <= was->stale_while_revalidate);
    MUST(was->stale_if_error == DELTA_ABSENT ||
         is->stale_if_error <= was->stale_if_error);
    MUST(!was->only_if_cached || is->only_if_cached);
    MUST(is->min_fresh >= was->min_fresh);
    MUST(was->max_stale == DELTA_ABSENT || is->max_stale <= was->max_stale);
}

static void
must_be_bounded_all(const struct cache_control *cc)
{
    must_be_bounded(cc->max_age);
    must_be_bounded(cc->s_maxage);
    must_be_bounded(cc->min_fresh);
    must_be_bounded(cc->max_stale);
    must_be_bounded(cc->stale_while_revalidate);
    must_be_bounded(cc->stale_if_error);
}

static bool
is_same(const struct cache_control *a, const struct cache_control *b)
{
    return a->no_store == b->no_store && a->no_cache == b->no_cache &&
           a->private_ == b->private_ && a->public_ == b->public_ &&
           a->must_revalidate == b->must_revalidate &&
           a->proxy_revalidate == b->proxy_revalidate &&
           a->must_understand == b->must_understand &&
           a->only_if_cached == b->only_if_cached &&
           a->immutable == b->immutable && a->max_age == b->max_age &&
           a->s_maxage == b->s_maxage && a->min_fresh == b->min_fresh &&
           a->max_stale == b->max_stale &&
           a->stale_while_revalidate == b->stale_while_revalidate &&
           a->stale_if_error == b->stale_if_error;
}

/* Cut at a comma: as two lines it says what it says as one, unless a quote
   is open there, and then nothing is stored. */
static void
must_not_depend_on_lines(struct slice value)
{
    struct slice rest = value, head;
    struct cache_control one, two;

    cache_control_init(&one);
    cache_control_add(&one, value);
    must_be_bounded_all(&one);
    for (int i = 0; i < CUTS_MAX; i++) {
        if (!slice_split(&rest, ',', &head) || rest.ptr == NULL) {
            break;
        }
        size_t at = (size_t)(rest.ptr - value.ptr);
        cache_control_init(&two);
        cache_control_add(&two, slice_of(value.ptr, at - 1));
        head = slice_skip(value, at);
        must_be_bounded_all(&two);
        if (two.no_store && two.private_) {
            continue;
        }
        cache_control_add(&two, head);
        MUST(is_same(&one, &two));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = fuzz_copy(slice_of((const char *)data, size));
    struct slice rest = slice_of(copy, size), line;
    struct cache_control was, is;

    cache_control_init(&was);
    cache_control_add(&was, SLICE("private, max-age=60, s-maxage=90"));
    while (slice_split(&rest, '\n', &line)) {
        is = was;
        cache_control_add(&is, line);
        must_not_loosen(&was, &is);
        was = is;
        cache_control_add(&is, line);
        MUST(is_same(&was, &is));
        must_not_depend_on_lines(line);
    }
    free(copy);
    return 0;
}
