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
    const struct fresh_times times = {request_s * 1000, response_s * 1000};
    const struct fresh_opts opts = {0};
    const struct head *h = given_response(fields);
    struct cache_control cc;
    struct fresh fresh;

    cache_control_parse(h, FIELD_CACHE_CONTROL, &cc);
    fresh_compute(h, &cc, &times, &opts, &fresh);
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
        {DATE "Cache-Control: max-age=60\r\n", FRESH_STATED, 60},
        {DATE "Cache-Control: max-age=60, s-maxage=9\r\n", FRESH_STATED, 9},
        {DATE "Cache-Control: s-maxage=0, max-age=60\r\n", FRESH_STATED, 0},
        {DATE EXPIRES("08:50:37"), FRESH_STATED, 60},
        {EXPIRES("08:50:37"), FRESH_STATED, 60},
        {DATE EXPIRES("08:49:37"), FRESH_STATED, 0},
        {DATE EXPIRES("08:49:36"), FRESH_STATED, 0},
        {DATE EXPIRES("08:50:37") "Cache-Control: max-age=5\r\n", FRESH_STATED,
            5},
        {DATE EXPIRES("08:50:37") "Cache-Control: max-age=x\r\n", FRESH_STATED,
            0},
        {DATE "Expires: 0\r\n", FRESH_STATED, 0},
        {DATE "Expires: -1\r\n", FRESH_STATED, 0},
        {DATE "Expires:\r\n", FRESH_STATED, 0},
        {DATE EXPIRES("08:50:37") EXPIRES("08:50:37"), FRESH_STATED, 0},
        {"Date: never\r\n" EXPIRES("08:50:37"), FRESH_STATED, 60},
        {DATE "Expires: Fri, 31 Dec 9999 23:59:59 GMT\r\n", FRESH_STATED,
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
        {"Age: 7, 99\r\n", T0, T0, 7}, {"Age: 7,x\r\n", T0, T0, 7},
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

/* RFC 9111 4.2.3 */
static void
the_delay_is_how_long_it_took_wherever_a_second_begins(void **state)
{
    static const struct {
        int64_t request_ms; /* behind T0 */
        int64_t response_ms;
        int64_t age_s;
    } rows[] = {{999, 1000, 0}, {1, 1000, 0}, {0, 999, 0}, {999, 1998, 0},
        {999, 1999, 1}, {0, 1000, 1}, {999, 2998, 1}, {1000, 999, 0}};
    const struct fresh_opts opts = {0};
    struct cache_control cc;
    struct fresh f;

    (void)state;
    cache_control_init(&cc);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct fresh_times times = {
            T0 * 1000 + rows[i].request_ms, T0 * 1000 + rows[i].response_ms};
        fresh_compute(given_response(""), &cc, &times, &opts, &f);
        if (f.initial_age_s != rows[i].age_s) {
            fail_msg("row %zu: age %jd", i, (intmax_t)f.initial_age_s);
        }
    }
}

/* RFC 9111 5.1 */
static void
a_malformed_age_makes_the_response_stale(void **state)
{
    static const char *const rows[] = {"Age: x\r\n", "Age:\r\n", "Age: -7\r\n",
        "Age: +7\r\n", "Age: x, 8\r\n", "Age: , 8\r\n", "Age: 7.0\r\n",
        "Age: \"7\"\r\n", "Age: x\r\nAge: 7\r\n"};
    char fields[128];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fresh f;
        snprintf(fields, sizeof(fields),
            "%sCache-Control: max-age=60, s-maxage=60\r\n", rows[i]);
        f = fresh_of(fields, T0, T0);
        assert_int_equal(f.source, FRESH_BAD_AGE);
        assert_true(f.lifetime_s == 0);
        assert_true(f.initial_age_s == 0);
    }
}

/* RFC 9111 5.1 as it stands, where a route asks for that */
static void
a_malformed_age_may_be_taken_for_none(void **state)
{
    const struct head *h =
        given_response("Age: x\r\nCache-Control: max-age=60\r\n");
    const struct fresh_times times = {T0 * 1000, T0 * 1000 + 2000};
    const struct fresh_opts opts = {.is_rfc = true};
    struct cache_control cc;
    struct fresh f;

    (void)state;
    cache_control_parse(h, FIELD_CACHE_CONTROL, &cc);
    fresh_compute(h, &cc, &times, &opts, &f);
    assert_int_equal(f.source, FRESH_STATED);
    assert_true(f.lifetime_s == 60);
    assert_true(f.initial_age_s == 2);
}

/* RFC 9111 4.2.1: the stricter reading of what stands twice */
static void
of_several_dates_each_counts_where_it_is_stricter(void **state)
{
#define OTHER "Date: Sun, 06 Nov 1994 08:49:07 GMT\r\n"
    static const char *const rows[] = {
        DATE OTHER, OTHER DATE, "Date: x\r\n" DATE OTHER};
    char fields[256];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fresh f;
        snprintf(fields, sizeof(fields), "%s" EXPIRES("08:50:37"), rows[i]);
        f = fresh_of(fields, T0, T0);
        assert_true(f.lifetime_s == 60);
        assert_true(f.initial_age_s == 30);
        f = fresh_of(fields, T0 + 100, T0 + 100);
        assert_true(f.lifetime_s == 60);
        assert_true(f.initial_age_s == 130);
        f = fresh_of(fields, T0 - 100, T0 - 100);
        assert_true(f.lifetime_s == 60);
    }
}

/* RFC 9213 2.2 */
static void
beside_a_targeted_field_expires_means_nothing(void **state)
{
    const struct fresh_times times = {T0 * 1000, T0 * 1000};
    const struct fresh_opts opts = {.ignores_expires = true};
    struct cache_control cc;
    struct fresh f;

    (void)state;
    cache_control_init(&cc);
    fresh_compute(
        given_response(DATE EXPIRES("08:50:37")), &cc, &times, &opts, &f);
    assert_int_equal(f.source, FRESH_NONE);
}

/* 2,400 s before DATE. */
#define MODIFIED "Last-Modified: Sun, 06 Nov 1994 08:09:37 GMT\r\n"

static struct fresh
guess_of(unsigned status, const char *fields, const struct fresh_opts *opts)
{
    const struct head *h = given_answer(METHOD_GET, status, fields);
    const struct fresh_times times = {T0 * 1000, T0 * 1000};
    struct cache_control cc;
    struct fresh f;

    cache_control_parse(h, FIELD_CACHE_CONTROL, &cc);
    fresh_compute(h, &cc, &times, opts, &f);
    return f;
}

/* RFC 9111 4.2.2 */
static void
a_guess_is_a_tenth_of_the_time_since_the_last_change(void **state)
{
    static const struct {
        const char *fields;
        enum fresh_source source;
        int64_t lifetime_s;
    } rows[] = {
        {DATE MODIFIED, FRESH_HEURISTIC, 240},
        {MODIFIED, FRESH_HEURISTIC, 240},
        {DATE MODIFIED "Cache-Control: public\r\n", FRESH_HEURISTIC, 240},
        {DATE "Last-Modified: Wed, 06 Nov 1974 08:49:37 GMT\r\n",
            FRESH_HEURISTIC, 86400},
        {DATE "Last-Modified: Sun, 06 Nov 1994 08:49:30 GMT\r\n",
            FRESH_HEURISTIC, 0},
        {DATE "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n", FRESH_NONE,
            0},
        {DATE "Last-Modified: Mon, 07 Nov 1994 08:49:37 GMT\r\n", FRESH_NONE,
            0},
        {DATE "Last-Modified: x\r\n", FRESH_NONE, 0},
        {DATE MODIFIED MODIFIED, FRESH_NONE, 0},
        {DATE, FRESH_NONE, 0},
        /* Never beside what is explicit, however malformed that is. */
        {DATE MODIFIED "Cache-Control: max-age=5\r\n", FRESH_STATED, 5},
        {DATE MODIFIED "Cache-Control: max-age=x\r\n", FRESH_STATED, 0},
        {DATE MODIFIED "Expires: 0\r\n", FRESH_STATED, 0},
        {DATE MODIFIED "Age: x\r\n", FRESH_BAD_AGE, 0},
    };
    const struct fresh_opts opts = {.heuristic = true};
    const struct fresh_opts off = {.is_rfc = true};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fresh f = guess_of(200, rows[i].fields, &opts);
        if (f.source != rows[i].source || f.lifetime_s != rows[i].lifetime_s) {
            fail_msg("%s: source %d, lifetime %jd", rows[i].fields, f.source,
                (intmax_t)f.lifetime_s);
        }
    }
    assert_int_equal(guess_of(200, DATE MODIFIED, &off).source, FRESH_NONE);
}

/* RFC 9111 4.2.2, RFC 9110 15.1 */
static void
only_statuses_that_are_heuristically_cacheable_are_guessed(void **state)
{
    static const struct {
        unsigned status;
        bool by_default;
        bool with_errors;
    } rows[] = {{200, true, true}, {203, true, true}, {204, true, true},
        {300, true, true}, {301, true, true}, {308, true, true},
        {404, false, true}, {405, false, true}, {410, false, true},
        {414, false, true}, {501, false, true}, {201, false, false},
        {206, false, false}, {302, false, false}, {304, false, false},
        {307, false, false}, {400, false, false}, {403, false, false},
        {500, false, false}, {503, false, false}};
    const struct fresh_opts opts = {.heuristic = true};
    const struct fresh_opts errors = {.heuristic = true, .is_rfc = true};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned status = rows[i].status;
        bool is_default =
            guess_of(status, MODIFIED, &opts).source == FRESH_HEURISTIC;
        bool is_error =
            guess_of(status, MODIFIED, &errors).source == FRESH_HEURISTIC;
        if (is_default != rows[i].by_default ||
            is_error != rows[i].with_errors) {
            fail_msg("%u: %d, %d", status, is_default, is_error);
        }
    }
#define PUBLIC "Cache-Control: public\r\n"
    /* Marked public it may be guessed too; an error only where asked. */
    assert_int_equal(
        guess_of(302, MODIFIED PUBLIC, &opts).source, FRESH_HEURISTIC);
    assert_int_equal(guess_of(400, MODIFIED PUBLIC, &opts).source, FRESH_NONE);
    assert_int_equal(
        guess_of(400, MODIFIED PUBLIC, &errors).source, FRESH_HEURISTIC);
}

static void
without_a_date_the_time_of_receipt_is_the_date(void **state)
{
#define UNTIL EXPIRES("08:50:37")
    (void)state;
    assert_true(fresh_of(DATE UNTIL, T0, T0 + 5).lifetime_s == 60);
    assert_true(fresh_of(UNTIL, T0, T0 + 5).lifetime_s == 55);
    assert_true(fresh_of("Date: x\r\n" UNTIL, T0, T0 + 5).lifetime_s == 55);
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
        cmocka_unit_test(
            the_delay_is_how_long_it_took_wherever_a_second_begins),
        cmocka_unit_test(a_malformed_age_makes_the_response_stale),
        cmocka_unit_test(a_malformed_age_may_be_taken_for_none),
        cmocka_unit_test(of_several_dates_each_counts_where_it_is_stricter),
        cmocka_unit_test(beside_a_targeted_field_expires_means_nothing),
        cmocka_unit_test(a_guess_is_a_tenth_of_the_time_since_the_last_change),
        cmocka_unit_test(
            only_statuses_that_are_heuristically_cacheable_are_guessed),
    };

    return cmocka_run_group_tests_name("http fresh", tests, NULL, NULL);
}
