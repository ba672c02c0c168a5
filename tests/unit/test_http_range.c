/* Byte ranges against a known length. */
#include "nearside/http/range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "http_given.h"
#include "nearside/base/check.h"

struct row {
    const char *value;
    uint64_t length;
    enum range_outcome want;
    uint64_t first;
    uint64_t last;
};

static void
expect(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct row *r = &rows[i];
        struct range range = {42, 43};
        bool is_part = r->want == RANGE_PART;
        enum range_outcome got;
        char fields[128];
        snprintf(fields, sizeof(fields), "Range: %s\r\n", r->value);
        got = range_evaluate(given_request("GET /", fields), r->length, &range);
        if (got != r->want || range.first != (is_part ? r->first : 42) ||
            range.last != (is_part ? r->last : 43)) {
            fail_msg("%s of %ju: %d, %ju-%ju", r->value, (uintmax_t)r->length,
                got, (uintmax_t)range.first, (uintmax_t)range.last);
        }
    }
}

#define EXPECT(rows) expect(rows, ARRAY_LEN(rows))

/* RFC 9110 14.1.2 */
static void
one_range_in_each_of_the_three_forms_is_a_part(void **state)
{
    static const struct row rows[] = {
        {"bytes=0-499", 10000, RANGE_PART, 0, 499},
        {"bytes=500-999", 10000, RANGE_PART, 500, 999},
        {"bytes=-500", 10000, RANGE_PART, 9500, 9999},
        {"bytes=9500-", 10000, RANGE_PART, 9500, 9999},
        {"bytes=0-0", 1, RANGE_PART, 0, 0},
        {"bytes=0-", 1, RANGE_PART, 0, 0},
        {"bytes=-1", 10, RANGE_PART, 9, 9},
        {"BYTES=0-1", 10, RANGE_PART, 0, 1},
        {"bytes= 0-999", 10000, RANGE_PART, 0, 999},
        {"bytes=,0-1 ,", 10, RANGE_PART, 0, 1},
        {"bytes=000-001", 10, RANGE_PART, 0, 1},
    };

    (void)state;
    EXPECT(rows);
}

static void
a_range_beyond_the_end_ends_there(void **state)
{
    static const struct row rows[] = {
        {"bytes=5-10", 10, RANGE_PART, 5, 9},
        {"bytes=5-9", 10, RANGE_PART, 5, 9},
        {"bytes=-10", 10, RANGE_PART, 0, 9},
        {"bytes=-11", 10, RANGE_PART, 0, 9},
        {"bytes=5-18446744073709551615", 10, RANGE_PART, 5, 9},
        {"bytes=5-18446744073709551616", 10, RANGE_PART, 5, 9},
        {"bytes=5-99999999999999999999999999", 10, RANGE_PART, 5, 9},
        {"bytes=-99999999999999999999999999", 10, RANGE_PART, 0, 9},
        {"bytes=0-", UINT64_MAX, RANGE_PART, 0, UINT64_MAX - 1},
    };

    (void)state;
    EXPECT(rows);
}

/* RFC 9110 14.1.2, 14.2 */
static void
a_range_behind_the_end_is_unsatisfiable(void **state)
{
    static const struct row rows[] = {
        {"bytes=10-", 10, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=10-10", 10, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=11-20", 10, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-0", 10, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-000", 10, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=18446744073709551616-", 10, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=18446744073709551616-18446744073709551617", 10,
            RANGE_UNSATISFIABLE, 0, 0},
    };

    (void)state;
    EXPECT(rows);
}

static void
what_is_malformed_or_not_for_us_gets_the_whole(void **state)
{
    static const struct row rows[] = {
        {"", 10, RANGE_WHOLE, 0, 0},
        {"bytes", 10, RANGE_WHOLE, 0, 0},
        {"bytes=", 10, RANGE_WHOLE, 0, 0},
        {"bytes=,", 10, RANGE_WHOLE, 0, 0},
        {"bytes=-", 10, RANGE_WHOLE, 0, 0},
        {"bytes=5", 10, RANGE_WHOLE, 0, 0},
        {"bytes=a-b", 10, RANGE_WHOLE, 0, 0},
        {"bytes=1-b", 10, RANGE_WHOLE, 0, 0},
        {"bytes=--1", 10, RANGE_WHOLE, 0, 0},
        {"bytes=1-2-3", 10, RANGE_WHOLE, 0, 0},
        {"bytes=1 - 2", 10, RANGE_WHOLE, 0, 0},
        {"bytes=+1-2", 10, RANGE_WHOLE, 0, 0},
        {"bytes=0x1-2", 10, RANGE_WHOLE, 0, 0},
        {"bytes=5-4", 10, RANGE_WHOLE, 0, 0},
        {"bytes=15-14", 10, RANGE_WHOLE, 0, 0},
        {"bytes=10-09", 10, RANGE_WHOLE, 0, 0},
        {"bytes=18446744073709551617-18446744073709551616", 10, RANGE_WHOLE, 0,
            0},
        {"bytes =0-1", 10, RANGE_WHOLE, 0, 0},
        {"bytes:0-1", 10, RANGE_WHOLE, 0, 0},
        {"items=0-1", 10, RANGE_WHOLE, 0, 0},
        {"=0-1", 10, RANGE_WHOLE, 0, 0},
        {"0-1", 10, RANGE_WHOLE, 0, 0},
        {"bytes=0-0,5-5", 10, RANGE_WHOLE, 0, 0},
        {"bytes=0-0,20-", 10, RANGE_WHOLE, 0, 0},
        {"bytes=20-,30-", 10, RANGE_WHOLE, 0, 0},
        {"bytes=0-0,x", 10, RANGE_WHOLE, 0, 0},
        /* Of no bytes there is no part. */
        {"bytes=0-", 0, RANGE_WHOLE, 0, 0},
        {"bytes=-1", 0, RANGE_WHOLE, 0, 0},
        {"bytes=5-", 0, RANGE_WHOLE, 0, 0},
    };

    (void)state;
    EXPECT(rows);
}

static void
two_range_lines_get_the_whole(void **state)
{
    struct range range;

    (void)state;
    assert_int_equal(
        range_evaluate(
            given_request("GET /", "Range: bytes=1-2\r\n"), 9, &range),
        RANGE_PART);
    assert_int_equal(range.first, 1);
    assert_int_equal(
        range_evaluate(
            given_request("GET /", "Range: bytes=1-2\r\nRange: bytes=1-2\r\n"),
            9, &range),
        RANGE_WHOLE);
    assert_int_equal(
        range_evaluate(given_request("GET /", ""), 9, &range), RANGE_WHOLE);
}

/* RFC 9110 14.4 */
static void
content_range_says_part_and_length_whole_or_not_at_all(void **state)
{
    const struct range part = {42, 1233};
    const struct range last = {UINT64_MAX - 1, UINT64_MAX - 1};
    char text[128];
    struct writer w = writer_of(text, sizeof(text));

    (void)state;
    range_write(&w, &part, 1234);
    assert_slice(writer_slice(&w), "content-range: bytes 42-1233/1234\r\n");
    w = writer_of(text, sizeof(text));
    range_write(&w, &last, UINT64_MAX);
    assert_slice(writer_slice(&w),
        "content-range: bytes 18446744073709551614-"
        "18446744073709551614/18446744073709551615\r\n");
    w = writer_of(text, sizeof(text));
    range_write_unsatisfied(&w, 1234);
    assert_slice(writer_slice(&w), "content-range: bytes */1234\r\n");
    w = writer_of(text, 34);
    range_write(&w, &part, 1234);
    assert_true(w.is_full);
    assert_int_equal(w.len, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_range_in_each_of_the_three_forms_is_a_part),
        cmocka_unit_test(a_range_beyond_the_end_ends_there),
        cmocka_unit_test(a_range_behind_the_end_is_unsatisfiable),
        cmocka_unit_test(what_is_malformed_or_not_for_us_gets_the_whole),
        cmocka_unit_test(two_range_lines_get_the_whole),
        cmocka_unit_test(
            content_range_says_part_and_length_whole_or_not_at_all),
    };

    return cmocka_run_group_tests_name("http range", tests, NULL, NULL);
}
