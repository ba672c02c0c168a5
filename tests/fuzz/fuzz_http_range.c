/*
 * Byte ranges: a part lies within the length, whatever is asked; blanks
 * around the set change nothing; and what is given out is a range of its
 * own. Input: 8 bytes of length, then the value of Range.
 */
#include "fuzz_http_fields.h"
#include "nearside/http/range.h"

static enum range_outcome
evaluate(struct slice value, uint64_t length, struct range *out)
{
    static struct head request;

    request.field_count = 0;
    request.field_set = 0;
    fuzz_add_field(&request, FIELD_RANGE, value);
    return range_evaluate(&request, length, out);
}

static void
must_read_back(const struct range *range, uint64_t length)
{
    char text[128];
    struct writer w = writer_of(text, sizeof(text));
    struct range again;

    write_slice(&w, SLICE("bytes="));
    write_u64(&w, range->first);
    write_slice(&w, SLICE("-"));
    write_u64(&w, range->last);
    MUST(evaluate(writer_slice(&w), length, &again) == RANGE_PART);
    MUST(again.first == range->first && again.last == range->last);
    w = writer_of(text, sizeof(text));
    range_write(&w, range, length);
    MUST(!w.is_full);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct range range = {42, 42}, other = {42, 42};
    enum range_outcome outcome;
    uint64_t length;
    struct slice value;
    char *copy, *more;

    if (size < sizeof(length)) {
        return 0;
    }
    memcpy(&length, data, sizeof(length));
    value =
        slice_of((const char *)data + sizeof(length), size - sizeof(length));
    copy = fuzz_copy(value);
    outcome = evaluate(slice_of(copy, value.len), length, &range);
    if (outcome == RANGE_PART) {
        MUST(range.first <= range.last);
        MUST(range.last < length);
        must_read_back(&range, length);
    } else {
        MUST(range.first == 42 && range.last == 42);
        MUST(outcome == RANGE_WHOLE || length > 0);
    }
    more = malloc(value.len + 2);
    MUST(more != NULL);
    memcpy(more, copy, value.len);
    memcpy(more + value.len, " ,", 2);
    MUST(value.len == 0 || slice_find(value, '=') < 0 ||
         evaluate(slice_of(more, value.len + 2), length, &other) == outcome);
    free(more);
    free(copy);
    return 0;
}
