/*
 * Byte ranges (RFC 9110 14). Law: only one well-formed range is answered as
 * a part. Several would let a few bytes of request ask for much work (RFC
 * 9110 17.15), so the whole goes out instead, as the RFC allows. Numbers of
 * any length are compared without being converted first (14.1.2).
 */
#include "nearside/http/range.h"

#include "nearside/base/check.h"

/* UINT64_MAX stands for all that is larger. False: no number. */
static bool
read_number(struct slice s, uint64_t *out)
{
    enum rc rc = slice_to_u64(s, UINT64_MAX, out);

    if (rc == RC_LIMIT) {
        *out = UINT64_MAX;
    }
    return rc == RC_OK || rc == RC_LIMIT;
}

static struct slice
skip_zeros(struct slice s)
{
    while (s.len > 0 && *s.ptr == '0') {
        s = slice_skip(s, 1);
    }
    return s;
}

/* Is a < b? Both are digits. */
static bool
is_less(struct slice a, struct slice b)
{
    a = skip_zeros(a);
    b = skip_zeros(b);
    if (a.len != b.len) {
        return a.len < b.len;
    }
    return a.len > 0 && memcmp(a.ptr, b.ptr, a.len) < 0;
}

/* "-500" without its "-" */
static enum range_outcome
suffix_range(struct slice digits, uint64_t length, struct range *out)
{
    uint64_t count;

    if (!read_number(digits, &count)) {
        return RANGE_WHOLE;
    }
    if (count == 0) {
        return RANGE_UNSATISFIABLE;
    }
    out->first = count < length ? length - count : 0;
    out->last = length - 1;
    return RANGE_PART;
}

/* "0-499" or "500-", cut at the "-" */
static enum range_outcome
int_range(struct slice first_text, struct slice last_text, uint64_t length,
    struct range *out)
{
    uint64_t first, last = UINT64_MAX;

    if (!read_number(first_text, &first)) {
        return RANGE_WHOLE;
    }
    if (last_text.len > 0 &&
        (!read_number(last_text, &last) || is_less(last_text, first_text))) {
        return RANGE_WHOLE;
    }
    if (first >= length) {
        return RANGE_UNSATISFIABLE;
    }
    out->first = first;
    out->last = last < length ? last : length - 1;
    return RANGE_PART;
}

/* The one member of the set that is not empty. */
static bool
find_single(struct slice set, struct slice *out)
{
    struct slice member;
    bool found = false;

    while (slice_split(&set, ',', &member)) {
        member = slice_trim(member);
        if (member.len > 0) {
            if (found) {
                return false;
            }
            *out = member;
            found = true;
        }
    }
    return found;
}

enum range_outcome
range_evaluate(const struct head *request, uint64_t length, struct range *out)
{
    const struct field *f = head_find(request, FIELD_RANGE);
    struct slice set, unit, spec, first;
    struct range range = {0, 0};
    enum range_outcome outcome;

    if (f == NULL || head_find_next(request, f) != NULL) {
        return RANGE_WHOLE;
    }
    set = f->value;
    if (length == 0 || !slice_split(&set, '=', &unit) ||
        !slice_ieq(unit, SLICE("bytes")) || !find_single(set, &spec) ||
        slice_find(spec, '-') < 0) {
        return RANGE_WHOLE;
    }
    slice_split(&spec, '-', &first);
    outcome = first.len == 0 ? suffix_range(spec, length, &range)
                             : int_range(first, spec, length, &range);
    if (outcome == RANGE_PART) {
        *out = range;
    }
    return outcome;
}

void
range_write(struct writer *w, const struct range *range, uint64_t length)
{
    size_t start = w->len;

    MUST(range->first <= range->last);
    MUST(range->last < length);
    write_slice(w, SLICE("content-range: bytes "));
    write_u64(w, range->first);
    write_slice(w, SLICE("-"));
    write_u64(w, range->last);
    write_slice(w, SLICE("/"));
    write_u64(w, length);
    write_line_end(w, start);
}

void
range_write_unsatisfied(struct writer *w, uint64_t length)
{
    size_t start = w->len;

    write_slice(w, SLICE("content-range: bytes */"));
    write_u64(w, length);
    write_line_end(w, start);
}
