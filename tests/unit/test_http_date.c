/* HTTP dates: all three formats, and what is no date. */
#include "nearside/http/date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum {
    NOW_S = 1767225600, /* 2026-01-01 */
};

static void
a_date_is_read_in_each_of_the_three_formats(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } rows[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Wed Nov 16 08:49:37 1994", 784975777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Wed, 31 Dec 1969 23:59:59 GMT", -1},
        {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
        {"Thu, 29 Feb 2024 12:00:00 GMT", 1709208000},
        {"Tue, 19 Jan 2038 03:14:08 GMT", INT64_C(2147483648)},
        {"Fri, 31 Dec 9999 23:59:59 GMT", INT64_C(253402300799)},
        {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},
        /* RFC 9111 4.2: a cache SHOULD match without regard to case. */
        {"sun, 06 nov 1994 08:49:37 gmt", 784111777},
        {"SUNDAY, 06-NOV-94 08:49:37 GMT", 784111777},
        {"sun nov  6 08:49:37 1994", 784111777},
        /* Fifty years ahead is the limit; a moment more is the past. */
        {"Wednesday, 01-Jan-76 00:00:00 GMT", INT64_C(3345062400)},
        {"Thursday, 01-Jan-76 00:00:01 GMT", 189302401},
        {"Friday, 01-Jan-27 00:00:00 GMT", 1798761600},
        {"Saturday, 01-Jan-00 00:00:00 GMT", 946684800},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t seconds;
        enum rc rc = date_parse(slice_of_str(rows[i].text), NOW_S, &seconds);
        if (rc != RC_OK || seconds != rows[i].seconds) {
            fail_msg(
                "%s: %s, %jd", rows[i].text, rc_text(rc), (intmax_t)seconds);
        }
    }
}

static void
what_is_no_date_is_refused_and_touches_nothing(void **state)
{
    static const char *const rows[] = {"", "0", "-1", "now",
        "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000", "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT", "Sun,06 Nov 1994 08:49:37 GMT",
        "Xxx, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Xxx 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT", "Thu, 31 Nov 1994 08:49:37 GMT",
        "Tue, 29 Feb 1994 08:49:37 GMT", "Thu, 29 Feb 1900 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT", "Sun, 06 Nov 199a 08:49:37 GMT",
        "Sun, -6 Nov 1994 08:49:37 GMT", "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT", "Sunday, 31-Feb-94 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT", "Sun Nov 6 08:49:37 1994",
        "Sun Nov  06 08:49:37 1994", "Sun Nov  6 08:49:37 1994 GMT",
        "Sun Nov  6 08:49:37 94", "Sun Feb 30 08:49:37 1994"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t seconds = 42;
        if (date_parse(slice_of_str(rows[i]), NOW_S, &seconds) != RC_BAD ||
            seconds != 42) {
            fail_msg("taken: %s", rows[i]);
        }
    }
}

static void
every_prefix_of_a_date_is_none(void **state)
{
    static const char *const rows[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"};
    int64_t seconds;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t len = 0; len < strlen(rows[i]); len++) {
            char *copy = malloc(len + 1);
            assert_non_null(copy);
            memcpy(copy, rows[i], len);
            assert_int_equal(
                date_parse(slice_of(copy, len), NOW_S, &seconds), RC_BAD);
            free(copy);
        }
    }
}

static void
a_date_is_written_as_the_c_library_writes_it_and_read_back(void **state)
{
    (void)state;
    /* A prime step, so that all parts of a date go round. */
    for (int64_t s = 0; s < INT64_C(253402300800); s += 86400 * 13 + 3607) {
        char text[DATE_LEN], libc[64];
        time_t moment = (time_t)s;
        struct tm tm;
        int64_t back;
        date_write(text, s);
        assert_non_null(gmtime_r(&moment, &tm));
        assert_int_equal(
            strftime(libc, sizeof(libc), "%a, %d %b %Y %H:%M:%S GMT", &tm),
            DATE_LEN);
        assert_memory_equal(text, libc, DATE_LEN);
        assert_int_equal(
            date_parse(slice_of(text, DATE_LEN), NOW_S, &back), RC_OK);
        assert_true(back == s);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_date_is_read_in_each_of_the_three_formats),
        cmocka_unit_test(what_is_no_date_is_refused_and_touches_nothing),
        cmocka_unit_test(every_prefix_of_a_date_is_none),
        cmocka_unit_test(
            a_date_is_written_as_the_c_library_writes_it_and_read_back),
    };

    return cmocka_run_group_tests_name("http date", tests, NULL, NULL);
}
