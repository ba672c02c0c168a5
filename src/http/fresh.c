/*
 * Freshness lifetime (RFC 9111 4.2.1) and corrected initial age (4.2.3).
 * All values are clamped to 0 .. 2^31 seconds, so that sums of them never
 * overflow and a clock that jumps cannot make an answer younger than new.
 */
#include "nearside/http/fresh.h"

#include "nearside/http/date.h"

static int64_t
clamp(int64_t seconds)
{
    if (seconds < 0) {
        return 0;
    }
    return seconds > DELTA_MAX ? DELTA_MAX : seconds;
}

static int64_t
age_of(const struct head *h)
{
    const struct field *f = head_find(h, FIELD_AGE);
    uint64_t age = 0;
    enum rc rc;

    if (f == NULL) {
        return 0;
    }
    rc = slice_to_u64(f->value, DELTA_MAX, &age);
    if (rc == RC_LIMIT) {
        return DELTA_MAX;
    }
    return rc == RC_OK ? (int64_t)age : 0;
}

static int64_t
date_of(const struct head *h, int64_t response_s)
{
    const struct field *f = head_find(h, FIELD_DATE);
    int64_t date_s = response_s;

    if (f == NULL || date_parse(f->value, response_s, &date_s) != RC_OK) {
        return response_s;
    }
    return date_s;
}

/* Two Expires contradict each other, so neither promises anything. */
static int64_t
expires_lifetime(const struct head *h, int64_t date_s, int64_t response_s)
{
    const struct field *f = head_find(h, FIELD_EXPIRES);
    int64_t expires_s;

    if (head_find_next(h, f) != NULL ||
        date_parse(f->value, response_s, &expires_s) != RC_OK) {
        return 0;
    }
    return clamp(expires_s - date_s);
}

void
fresh_compute(const struct head *h, const struct cache_control *cc,
    int64_t request_s, int64_t response_s, struct fresh *out)
{
    int64_t date_s = date_of(h, response_s);
    int64_t apparent = clamp(response_s - date_s);
    int64_t corrected = age_of(h) + clamp(response_s - request_s);

    *out = (struct fresh){
        .source = FRESH_NONE,
        .initial_age_s = clamp(apparent > corrected ? apparent : corrected),
        .date_s = date_s,
    };
    if (cc->s_maxage != DELTA_ABSENT) {
        out->source = FRESH_S_MAXAGE;
        out->lifetime_s = cc->s_maxage;
    } else if (cc->max_age != DELTA_ABSENT) {
        out->source = FRESH_MAX_AGE;
        out->lifetime_s = cc->max_age;
    } else if (head_has(h, FIELD_EXPIRES)) {
        out->source = FRESH_EXPIRES;
        out->lifetime_s = expires_lifetime(h, date_s, response_s);
    }
}
