/*
 * Freshness lifetime (RFC 9111 4.2.1, 4.2.2) and corrected initial age
 * (4.2.3). Where a head says a thing twice, the value counts that makes the
 * response older or its life shorter. All values are clamped to 0 .. 2^31
 * seconds: their sums never overflow, and no jump of a clock makes a response
 * younger than new.
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

enum rc
fresh_read_age(const struct head *h, int64_t *out_s)
{
    const struct field *f = head_find(h, FIELD_AGE);
    struct slice rest, first;
    uint64_t age;
    enum rc rc;

    if (f == NULL) {
        return RC_MISS;
    }
    rest = first = f->value;
    slice_split(&rest, ',', &first);
    rc = slice_to_u64(slice_trim(first), DELTA_MAX, &age);
    if (rc == RC_BAD) {
        return RC_BAD;
    }
    *out_s = rc == RC_LIMIT ? DELTA_MAX : (int64_t)age;
    return RC_OK;
}

/* The times that Date fields give; where none does, the time of receipt. */
struct dates {
    int64_t oldest_s;
    int64_t newest_s;
};

static struct dates
dates_of(const struct head *h, int64_t response_s)
{
    const struct field *f = head_find(h, FIELD_DATE);
    struct dates dates = {INT64_MAX, INT64_MIN};
    int64_t s;

    for (; f != NULL; f = head_find_next(h, f)) {
        if (date_parse(f->value, response_s, &s) == RC_OK) {
            dates.oldest_s = s < dates.oldest_s ? s : dates.oldest_s;
            dates.newest_s = s > dates.newest_s ? s : dates.newest_s;
        }
    }
    return dates.oldest_s <= dates.newest_s
               ? dates
               : (struct dates){response_s, response_s};
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

/* --- heuristics (4.2.2) -------------------------------------------------- */

enum {
    /* The tenth is what the RFC names as typical; the day keeps a mistaken
       guess about an old page from lasting for months. */
    HEURISTIC_FRACTION = 10,
    HEURISTIC_MAX_S = 86400,
};

bool
fresh_is_heuristic(unsigned status, bool errors)
{
    switch (status) {
    case 200:
    case 203:
    case 204:
    case 300:
    case 301:
    case 308:
        return true;
    case 404:
    case 405:
    case 410:
    case 414:
    case 501:
        return errors;
    default: /* a number, not an enum */
        return false;
    }
}

static void
guess(const struct head *h, const struct cache_control *cc, int64_t date_s,
    const struct fresh_opts *opts, struct fresh *out)
{
    const struct field *f = head_find(h, FIELD_LAST_MODIFIED);
    int64_t modified_s, lifetime_s;

    if (!fresh_is_heuristic(h->status, opts->is_rfc) &&
        !(cc->public_ && (h->status < 400 || opts->is_rfc))) {
        return;
    }
    if (f == NULL || head_find_next(h, f) != NULL ||
        date_parse(f->value, date_s, &modified_s) != RC_OK ||
        modified_s >= date_s) {
        return;
    }
    lifetime_s = (date_s - modified_s) / HEURISTIC_FRACTION;
    out->source = FRESH_HEURISTIC;
    out->lifetime_s =
        lifetime_s < HEURISTIC_MAX_S ? lifetime_s : HEURISTIC_MAX_S;
}

/* --- the lifetime (4.2.1) ------------------------------------------------ */

void
fresh_compute(const struct head *h, const struct cache_control *cc,
    const struct fresh_times *times, const struct fresh_opts *opts,
    struct fresh *out)
{
    int64_t response_s = times->response_ms / 1000;
    struct dates dates = dates_of(h, response_s);
    int64_t apparent = clamp(response_s - dates.oldest_s);
    int64_t delay = clamp((times->response_ms - times->request_ms) / 1000);
    int64_t age = 0;
    bool is_bad_age = fresh_read_age(h, &age) == RC_BAD && !opts->is_rfc;
    int64_t corrected = age + delay;

    *out = (struct fresh){
        .source = FRESH_NONE,
        .initial_age_s = clamp(apparent > corrected ? apparent : corrected),
    };
    if (is_bad_age) {
        out->source = FRESH_BAD_AGE;
    } else if (cc->s_maxage != DELTA_ABSENT || cc->max_age != DELTA_ABSENT) {
        out->source = FRESH_STATED;
        out->lifetime_s =
            cc->s_maxage != DELTA_ABSENT ? cc->s_maxage : cc->max_age;
    } else if (head_has(h, FIELD_EXPIRES) && !opts->ignores_expires) {
        out->source = FRESH_STATED;
        out->lifetime_s = expires_lifetime(h, dates.newest_s, response_s);
    } else if (opts->heuristic) {
        guess(h, cc, dates.oldest_s, opts, out);
    }
}
