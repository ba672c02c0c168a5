/*
 * Targeted cache control: a field that is no dictionary changes nothing, one
 * that is decides alone, and durations stay within their bounds.
 */
#include "fuzz_http_fields.h"
#include "../support/structured_read.h"
#include "nearside/http/targeted.h"

static void
must_be_bounded(int64_t delta)
{
    MUST(delta >= DELTA_ABSENT && delta <= DELTA_MAX);
}

/* Are all lines dictionaries, and none of them empty? */
static bool
is_decisive(struct slice in)
{
    struct slice line;

    while (slice_split(&in, '\n', &line)) {
        line = slice_trim(line);
        if (line.len == 0 || !sf_is_dictionary(line)) {
            return false;
        }
    }
    return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct slice name = {"cdn-cache-control", 17};
    const struct targeted_list list = {&name, 1};
    static struct head head;
    char *copy = fuzz_copy(slice_of((const char *)data, size));
    struct cache_control cc;
    bool is_targeted;

    head.field_count = 0;
    head.field_set = 0;
    fuzz_add_field(&head, FIELD_CACHE_CONTROL, SLICE("no-store, s-maxage=7"));
    fuzz_add_fields(&head, FIELD_CDN_CACHE_CONTROL, slice_of(copy, size));
    is_targeted = targeted_read(&head, &list, &cc);
    if (head.field_count < HEAD_FIELDS_MAX) {
        MUST(is_targeted == is_decisive(slice_of(copy, size)));
    }
    if (!is_targeted) {
        MUST(cc.no_store && cc.s_maxage == 7 && cc.max_age == DELTA_ABSENT);
    }
    must_be_bounded(cc.max_age);
    must_be_bounded(cc.s_maxage);
    must_be_bounded(cc.stale_while_revalidate);
    must_be_bounded(cc.stale_if_error);
    free(copy);
    return 0;
}
