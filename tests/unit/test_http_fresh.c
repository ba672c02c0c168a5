/* Freshness lifetime and age, as RFC 9111 4.2 computes them. */
#include "nearside/http/fresh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "http_given.h"

/* 784111777: Sun, 06 Nov 1994 08:49:37 GMT. */
#define T0            INT64_C(784111777)
#define DATE          "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define EXPIRES(time) "Expires: Sun, 06 Nov 1994 " time " GMT\r\n"

static struct fresh
fresh_of(const char *fields, int64_t request_s, int64_t response_s)
{
    const struct head *h = given_response(fields);
    struct cache_control cc;
    struct fresh fresh;

    cache_control_parse(h, FIELD_CACHE_CONTROL, &cc);
    fresh_compute(h, &cc, request_s, response_s, &fresh);
    return fresh;
}

static void
the_lifetime_is_the_first_of_s_maxage_max_age_and_expires(void **state)
{
    static const struct {
        const char *fields;
        enum fresh_source source;
        int64_t lifetime_s;
    } rows[] = {
        {DATE, FRESH_NONE, 0},
        {DATE "Cache-Control: public\r\n", FRESH_NONE, 0},
        {DATE "Cache-Control: max-age=60\r\n", FRESH_MAX_AGE, 60},
        {DATE "Cache-Control: max-age=60, s-maxage=9\r\n", FRESH_S_MAXAGE, 9},
        {DATE "Cache-Control: s-maxage=0, max-age=60\r\n", FRESH_S_MAXAGE, 0},
        {DATE EXPIRES("08:50:37"), FRESH_EXPIRES, 60},
        {EXPIRES("08:50:37"), FRESH_EXPIRES, 60},
        {DATE EXPIRES("08:49:37"), FRESH_EXPIRES, 0},
        {DATE EXPIRES("08:49:36"), FRESH_EXPIRES, 0},
        {DATE EXPIRES("08:50:37") "Cache-Control: max-age=5\r\n", FRESH_MAX_AGE,
            5},
        {DATE EXPIRES("08:50:37") "Cache-Control: max-age=x\r\n", FRESH_MAX_AGE,
            0},
        {DATE "Expires: 0\r\n", FRESH_EXPIRES, 0},
        {DATE "Expires: -1\r\n", FRESH_EXPIRES, 0},
        {DATE "Expires:\r\n", FRESH_EXPIRES, 0},
        {DATE EXPIRES("08:50:37") EXPIRES("08:50:37"), FRESH_EXPIRES, 0},
        {"Date: never\r\n" EXPIRES("08:50:37"), FRESH_EXPIRES, 60},
        {DATE "Expires: Fri, 31 Dec 9999 23:59:59 GMT\r\n", FRESH_EXPIRES,
            DELTA_MAX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fresh f = fresh_of(rows[i].fields, T0, T0);
        if (f.source != rows[i].source || f.lifetime_s != rows[i].lifetime_s) {
            fail_msg("%s: source %d, lifetime %jd", rows[i].fields, f.source,
                (intmax_t)f.lifetime_s);
        }
    }
}

static void
the_age_is_the_larger_of_what_is_seen_and_what_is_said(void **state)
{
    static const struct {
        const char *fields;
        int64_t request_s;
        int64_t response_s;
        int64_t age_s;
    } rows[] = {
        {DATE, T0, T0, 0},
        {DATE, T0 + 8, T0 + 10, 10},               /* the Date is ten old */
        {DATE "Age: 30\r\n", T0 + 8, T0 + 10, 32}, /* and two on the way */
        {DATE "Age: 5\r\n", T0 + 8, T0 + 10, 10},
        {DATE, T0 - 100, T0 - 90, 10}, /* a Date in the future */
        {"Age: 7\r\n", T0, T0, 7}, {"Age: 7\r\nAge: 99\r\n", T0, T0, 7},
        {"Age: 99999999999999999999\r\n", T0, T0, DELTA_MAX},
        {"Age: 2147483648\r\n", T0, T0 + 10, DELTA_MAX},
        {"Age: 7\r\n", T0 + 10, T0, 7}, /* the clock was set back */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fresh f =
            fresh_of(rows[i].fields, rows[i].request_s, rows[i].response_s);
        if (f.initial_age_s != rows[i].age_s) {
            fail_msg("row %zu, %s: age %jd", i, rows[i].fields,
                (intmax_t)f.initial_age_s);
        }
    }
}

static void
without_a_date_the_time_of_receipt_is_the_date(void **state)
{
    (void)state;
    assert_true(fresh_of(DATE, T0, T0 + 5).date_s == T0);
    assert_true(fresh_of("X: y\r\n", T0, T0 + 5).date_s == T0 + 5);
    assert_true(fresh_of("Date: x\r\n", T0, T0 + 5).date_s == T0 + 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            the_lifetime_is_the_first_of_s_maxage_max_age_and_expires),
        cmocka_unit_test(
            the_age_is_the_larger_of_what_is_seen_and_what_is_said),
        cmocka_unit_test(without_a_date_the_time_of_receipt_is_the_date),
    };

    return cmocka_run_group_tests_name("http fresh", tests, NULL, NULL);
}
