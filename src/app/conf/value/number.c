/*
 * Numbers: durations and sizes with their units, counts, percentages. Whole
 * numbers only, no signs, units always: nothing is taken that would be read
 * differently elsewhere.
 */
#include "app/conf/value/read.h"

#include <ctype.h>

#include "nearside/base/check.h"

enum {
    UNITS_MAX = 5,
    DAY_MS = 24 * 3600 * 1000,
};

/* How a kind of number is read and spoken of. */
struct scale {
    const char *what;  /* "a duration" */
    const char *names; /* "ms, s, m, h or d" */
    const char *usual; /* the unit most often meant */
    uint64_t max;
    struct unit {
        const char *text; /* NULL ends the array */
        uint64_t factor;
    } units[UNITS_MAX + 1];
};

/* Ten years: beyond, it is a slip of the finger. */
static const struct scale time_scale = {"a duration", "ms, s, m, h or d", "s",
    (uint64_t)3650 * DAY_MS,
    {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", DAY_MS}}};

static const struct scale size_scale = {"a size", "B, KB, MB or GB", "KB",
    (uint64_t)1 << 40,
    {{"B", 1}, {"KB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30}}};

size_t
conf_digits_len(struct slice s)
{
    size_t n = 0;

    while (n < s.len && isdigit((unsigned char)s.ptr[n])) {
        n++;
    }
    return n;
}

/* Members are 4 or 8 bytes wide, as their room likes it. */
static enum rc
give_number(const struct conf_reading *r, uint64_t n)
{
    if (r->option->size == sizeof(uint32_t)) {
        *(uint32_t *)r->out = (uint32_t)n;
    } else {
        MUST(r->option->size == sizeof(uint64_t));
        *(uint64_t *)r->out = n;
    }
    return RC_OK;
}

/* In the largest unit that divides it: a limit reads as it is written. */
static enum rc
refuse_limit(const struct conf_reading *r, const struct scale *scale,
    const char *what, uint64_t limit)
{
    const struct unit *unit = scale->units;

    for (const struct unit *u = unit; u->text != NULL; u++) {
        unit = limit % u->factor == 0 ? u : unit;
    }
    return WHY(r, "%s %llu%s", what, (unsigned long long)(limit / unit->factor),
        limit == 0 ? "" : unit->text);
}

/* "secs" is for s, "kb" and "KiB" are for KB, "min" for m, "msec" for ms.
   NULL: for none. */
static const char *
unit_guess(const struct scale *scale, struct slice text)
{
    const char *found = NULL;
    bool is_ms = text.len > 1 && text.ptr[1] == 's';

    for (const struct unit *u = scale->units; text.len > 0 && u->text != NULL;
         u++) {
        if (ascii_lower(u->text[0]) == ascii_lower(text.ptr[0]) &&
            !(is_ms && found != NULL)) {
            found = u->text;
        }
    }
    return found;
}

static enum rc
read_scaled(
    const struct conf_reading *r, const struct scale *scale, uint64_t *out)
{
    size_t digits = conf_digits_len(r->text);
    struct slice unit = slice_skip(r->text, digits);
    const struct unit *u = scale->units;
    const char *guess;
    uint64_t max = r->option->max == 0 ? scale->max : r->option->max;
    uint64_t n;

    if (digits == 0 || (unit.len > 0 && strchr(".,", unit.ptr[0]) != NULL)) {
        return WHY(r, "not %s; it is a whole number and a unit (%s)",
            scale->what, scale->names);
    }
    if (slice_to_u64(slice_of(r->text.ptr, digits), UINT64_MAX / 2, &n) !=
        RC_OK) {
        n = UINT64_MAX / 2;
    }
    if (unit.len == 0 && n != 0) {
        return WHY(r, "%s has a unit (%s); did you mean '%.*s%s'?", scale->what,
            scale->names, SLICE_FMT(r->text), scale->usual);
    }
    while (unit.len > 0 && u->text != NULL &&
           !slice_eq(unit, slice_of_str(u->text))) {
        u++;
    }
    if (u->text == NULL) {
        guess = unit_guess(scale, slice_trim(unit));
        return guess == NULL
                   ? WHY(r, "'%.*s' is no unit (%s)", SLICE_FMT(unit),
                         scale->names)
                   : WHY(r, "'%.*s' is no unit (%s); did you mean '%.*s%s'?",
                         SLICE_FMT(unit), scale->names, (int)digits,
                         r->text.ptr, guess);
    }
    n = n > UINT64_MAX / u->factor ? UINT64_MAX : n * u->factor;
    if (n < r->option->min || n > max) {
        return n > max ? refuse_limit(r, scale, "too large; at most", max)
                       : refuse_limit(
                             r, scale, "too small; at least", r->option->min);
    }
    *out = n;
    return RC_OK;
}

enum rc
conf_read_duration(const struct conf_reading *r)
{
    uint64_t n;
    enum rc rc = read_scaled(r, &time_scale, &n);

    if (rc == RC_OK) {
        *(int64_t *)r->out = (int64_t)n;
    }
    return rc;
}

enum rc
conf_read_size(const struct conf_reading *r)
{
    enum conf_kind kind = r->option->kind;
    bool may_be_auto =
        kind == CONF_KIND_SIZE_AUTO || kind == CONF_KIND_SIZE_OR_AUTO;
    uint64_t n;
    enum rc rc;

    if (may_be_auto && slice_eq(r->text, SLICE("auto"))) {
        return give_number(r, kind == CONF_KIND_SIZE_AUTO ? 0 : SIZE_MAX);
    }
    rc = read_scaled(r, &size_scale, &n);
    if (rc == RC_OK && n > SIZE_MAX) {
        return WHY(r, "more than this machine can address");
    }
    return rc == RC_OK ? give_number(r, n) : rc;
}

enum rc
conf_read_count(const struct conf_reading *r)
{
    unsigned long long min = r->option->min;
    unsigned long long max = r->option->max == 0 ? UINT32_MAX : r->option->max;
    bool may_be_auto = r->option->kind == CONF_KIND_COUNT_AUTO;
    uint64_t n;

    if (may_be_auto && slice_eq(r->text, SLICE("auto"))) {
        return give_number(r, 0);
    }
    if (slice_to_u64(r->text, max, &n) != RC_OK || n < min) {
        return WHY(r, "not a whole number from %llu to %llu%s", min, max,
            may_be_auto ? ", or auto" : "");
    }
    return give_number(r, n);
}

enum rc
conf_read_percent(const struct conf_reading *r)
{
    struct slice number = slice_of(r->text.ptr, conf_digits_len(r->text));
    struct slice unit = slice_skip(r->text, number.len);
    uint64_t n;

    if (slice_to_u64(number, r->option->max, &n) != RC_OK ||
        !(slice_eq(unit, SLICE("%")) || (unit.len == 0 && n == 0))) {
        return WHY(r, "not a percentage from 0%% to %llu%%, such as '10%%'",
            (unsigned long long)r->option->max);
    }
    return give_number(r, n);
}
