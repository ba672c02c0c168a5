/*
 * HTTP dates (RFC 9110 5.6.7). The proleptic Gregorian calendar by the
 * arithmetic of Howard Hinnant's "chrono-compatible low-level date
 * algorithms": years begin in March, so that the leap day comes last.
 *
 * A date that is not wholly right is none. Only its weekday may be another
 * day's: nothing is derived from it.
 */
#include "nearside/http/date.h"

#include "nearside/base/check.h"

enum {
    DAY_S = 86400,
    ERA_DAYS = 146097,   /* 400 years */
    EPOCH_DAYS = 719468, /* from 0000-03-01 to 1970-01-01 */
    PIVOT_YEARS = 50,    /* RFC 9110: further ahead is the past century */
};

static const char days[7][10] = {"Sunday", "Monday", "Tuesday", "Wednesday",
    "Thursday", "Friday", "Saturday"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* A moment as it is written. */
struct civil {
    int64_t year;
    int64_t month; /* 1 to 12 */
    int64_t day;   /* 1 to 31 */
    int64_t hour;
    int64_t minute;
    int64_t second; /* 60: a leap second, the next minute's first */
};

static int64_t
days_of(const struct civil *c)
{
    int64_t year = c->year - (c->month <= 2);
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t month = (c->month + 9) % 12; /* 0: March */
    int64_t of_year = (153 * month + 2) / 5 + c->day - 1;

    return era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year -
           EPOCH_DAYS;
}

static void
civil_of(int64_t day, struct civil *out)
{
    int64_t shifted = day + EPOCH_DAYS;
    int64_t era = shifted / ERA_DAYS;
    int64_t of_era = shifted % ERA_DAYS;
    int64_t year =
        (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;

    out->day = of_year - (153 * month + 2) / 5 + 1;
    out->month = month < 10 ? month + 3 : month - 9;
    out->year = year + era * 400 + (out->month <= 2);
}

static void
put_2(char *out, int64_t value)
{
    out[0] = (char)('0' + value / 10 % 10);
    out[1] = (char)('0' + value % 10);
}

void
date_write(char out[DATE_LEN], int64_t seconds)
{
    int64_t day = seconds / DAY_S;
    int64_t rest = seconds % DAY_S;
    struct civil c;

    MUST(seconds >= 0);
    civil_of(day, &c);
    MUST(c.year <= 9999);
    memcpy(out, "Sun, 00 Jan 0000 00:00:00 GMT", DATE_LEN);
    memcpy(out, days[(day + 4) % 7], 3); /* 1970 began on a Thursday */
    put_2(out + 5, c.day);
    memcpy(out + 8, months[c.month - 1], 3);
    put_2(out + 12, c.year / 100);
    put_2(out + 14, c.year % 100);
    put_2(out + 17, rest / 3600);
    put_2(out + 20, rest / 60 % 60);
    put_2(out + 23, rest % 60);
}

/* --- Reading: each take_ eats its text off *rest or returns false -------- */

/* Letters in any case, as RFC 9111 4.2 asks of caches. */
static bool
take_text(struct slice *rest, struct slice text)
{
    if (rest->len < text.len ||
        !slice_ieq(slice_of(rest->ptr, text.len), text)) {
        return false;
    }
    *rest = slice_skip(*rest, text.len);
    return true;
}

static bool
take_digits(struct slice *rest, size_t count, int64_t *out)
{
    uint64_t value;

    if (rest->len < count ||
        slice_to_u64(slice_of(rest->ptr, count), 9999, &value) != RC_OK) {
        return false;
    }
    *rest = slice_skip(*rest, count);
    *out = (int64_t)value;
    return true;
}

static bool
take_month(struct slice *rest, int64_t *out)
{
    for (unsigned i = 0; i < ARRAY_LEN(months); i++) {
        if (take_text(rest, slice_of(months[i], 3))) {
            *out = i + 1;
            return true;
        }
    }
    return false;
}

/* is_long: the whole name, as RFC 850 writes it. */
static bool
take_day_name(struct slice *rest, bool is_long)
{
    for (unsigned i = 0; i < ARRAY_LEN(days); i++) {
        size_t len = is_long ? strlen(days[i]) : 3;
        if (take_text(rest, slice_of(days[i], len))) {
            return true;
        }
    }
    return false;
}

/* "08:49:37" */
static bool
take_time(struct slice *rest, struct civil *c)
{
    return take_digits(rest, 2, &c->hour) && take_text(rest, SLICE(":")) &&
           take_digits(rest, 2, &c->minute) && take_text(rest, SLICE(":")) &&
           take_digits(rest, 2, &c->second);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool
read_fixdate(struct slice rest, struct civil *c)
{
    return take_day_name(&rest, false) && take_text(&rest, SLICE(", ")) &&
           take_digits(&rest, 2, &c->day) && take_text(&rest, SLICE(" ")) &&
           take_month(&rest, &c->month) && take_text(&rest, SLICE(" ")) &&
           take_digits(&rest, 4, &c->year) && take_text(&rest, SLICE(" ")) &&
           take_time(&rest, c) && take_text(&rest, SLICE(" GMT")) &&
           rest.len == 0;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT"; the century is left open. */
static bool
read_rfc850(struct slice rest, struct civil *c)
{
    return take_day_name(&rest, true) && take_text(&rest, SLICE(", ")) &&
           take_digits(&rest, 2, &c->day) && take_text(&rest, SLICE("-")) &&
           take_month(&rest, &c->month) && take_text(&rest, SLICE("-")) &&
           take_digits(&rest, 2, &c->year) && take_text(&rest, SLICE(" ")) &&
           take_time(&rest, c) && take_text(&rest, SLICE(" GMT")) &&
           rest.len == 0;
}

/* "Sun Nov  6 08:49:37 1994" */
static bool
read_asctime(struct slice rest, struct civil *c)
{
    return take_day_name(&rest, false) && take_text(&rest, SLICE(" ")) &&
           take_month(&rest, &c->month) && take_text(&rest, SLICE(" ")) &&
           take_digits(&rest, take_text(&rest, SLICE(" ")) ? 1 : 2, &c->day) &&
           take_text(&rest, SLICE(" ")) && take_time(&rest, c) &&
           take_text(&rest, SLICE(" ")) && take_digits(&rest, 4, &c->year) &&
           rest.len == 0;
}

static int64_t
days_in_month(int64_t year, int64_t month)
{
    static const uint8_t counts[12] = {
        31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return counts[month - 1] + (month == 2 && is_leap);
}

static bool
is_possible(const struct civil *c)
{
    return c->day >= 1 && c->day <= days_in_month(c->year, c->month) &&
           c->hour <= 23 && c->minute <= 59 && c->second <= 60;
}

static int64_t
seconds_of(const struct civil *c)
{
    return days_of(c) * DAY_S + c->hour * 3600 + c->minute * 60 + c->second;
}

/* The latest year of those two digits not more than 50 years ahead. */
static void
choose_century(struct civil *c, int64_t now_s)
{
    struct civil now, limit = *c;

    civil_of(now_s / DAY_S, &now);
    c->year += now.year / 100 * 100 + 100;
    do {
        c->year -= 100;
        limit = *c;
        limit.year -= PIVOT_YEARS;
    } while (seconds_of(&limit) > now_s);
}

enum rc
date_parse(struct slice s, int64_t now_s, int64_t *out_seconds)
{
    struct civil c = {0};

    if (read_rfc850(s, &c)) {
        choose_century(&c, now_s < 0 ? 0 : now_s);
    } else if (!read_fixdate(s, &c) && !read_asctime(s, &c)) {
        return RC_BAD;
    }
    if (!is_possible(&c)) {
        return RC_BAD;
    }
    *out_seconds = seconds_of(&c);
    return RC_OK;
}
