/* Conditional requests answered from what is stored. */
#include "nearside/http/condition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "http_given.h"
#include "nearside/base/check.h"

/* 784111777: Sun, 06 Nov 1994 08:49:37 GMT. */
#define T0         INT64_C(784111777)
#define AT(time)   "Sun, 06 Nov 1994 " time " GMT"
#define MODIFIED   "last-modified: " AT("08:00:00") "\r\n"
#define DATE       "date: " AT("08:30:00") "\r\n"
#define NONE(list) "If-None-Match: " list "\r\n"
#define SINCE(at)  "If-Modified-Since: " at "\r\n"
#define RANGE      "Range: bytes=0-1\r\n"

static const char *const names[] = {
    [CONDITION_FULL] = "full",
    [CONDITION_RANGE] = "range",
    [CONDITION_NOT_MODIFIED] = "not modified",
    [CONDITION_PASS] = "pass",
};

static enum condition
evaluate(
    const char *line, const char *fields, unsigned status, const char *stored)
{
    const struct condition_stored s = {
        .status = status,
        .lines = slice_of_str(stored),
        .received_s = T0,
    };

    return condition_evaluate(given_request(line, fields), &s, T0);
}

struct row {
    const char *fields;
    const char *stored;
    enum condition want;
};

static void
expect(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum condition got =
            evaluate("GET /", rows[i].fields, 200, rows[i].stored);
        if (got != rows[i].want) {
            fail_msg("[%s] of [%s]: %s, not %s", rows[i].fields, rows[i].stored,
                names[got], names[rows[i].want]);
        }
    }
}

#define EXPECT(rows) expect(rows, ARRAY_LEN(rows))

/* RFC 9110 8.8.3 */
static void
an_entity_tag_is_read_strictly(void **state)
{
    static const struct {
        const char *text;
        const char *opaque; /* NULL: no tag */
        bool is_weak;
    } rows[] = {
        {"\"\"", "", false},
        {"\"xyzzy\"", "xyzzy", false},
        {"W/\"xyzzy\"", "xyzzy", true},
        {"\"a,b\"", "a,b", false},
        {"\"a\\b\"", "a\\b", false},
        {"\"\xff!\"", "\xff!", false},
        {"", NULL, false},
        {"\"", NULL, false},
        {"xyzzy", NULL, false},
        {"\"xyzzy", NULL, false},
        {"xyzzy\"", NULL, false},
        {"w/\"xyzzy\"", NULL, false},
        {"W/xyzzy", NULL, false},
        {"W/", NULL, false},
        {"W \"a\"", NULL, false},
        {"\"a\"b", NULL, false},
        {"\"a\" ", NULL, false},
        {" \"a\"", NULL, false},
        {"\"a b\"", NULL, false},
        {"\"a\tb\"", NULL, false},
        {"\"a\x7f\"", NULL, false},
        {"\"a\", \"b\"", NULL, false},
        {"*", NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct entity_tag tag = {SLICE("untouched"), true};
        enum rc rc = entity_tag_parse(slice_of_str(rows[i].text), &tag);
        if (rows[i].opaque == NULL) {
            if (rc != RC_BAD) {
                fail_msg("taken: %s", rows[i].text);
            }
            assert_slice(tag.opaque, "untouched");
            continue;
        }
        assert_int_equal(rc, RC_OK);
        assert_slice(tag.opaque, rows[i].opaque);
        assert_int_equal(tag.is_weak, rows[i].is_weak);
    }
}

/* The table of RFC 9110 8.8.3.2 */
static void
entity_tags_compare_strongly_and_weakly(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        bool strongly;
        bool weakly;
    } rows[] = {
        {"W/\"1\"", "W/\"1\"", false, true},
        {"W/\"1\"", "W/\"2\"", false, false},
        {"W/\"1\"", "\"1\"", false, true},
        {"\"1\"", "W/\"1\"", false, true},
        {"\"1\"", "\"1\"", true, true},
        {"\"a\"", "\"A\"", false, false},
    };
    struct entity_tag a, b;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(entity_tag_parse(slice_of_str(rows[i].a), &a), RC_OK);
        assert_int_equal(entity_tag_parse(slice_of_str(rows[i].b), &b), RC_OK);
        assert_int_equal(entity_tag_matches_strongly(&a, &b), rows[i].strongly);
        assert_int_equal(entity_tag_matches_weakly(&a, &b), rows[i].weakly);
    }
}

/* RFC 9110 13.1.2 */
static void
if_none_match_compares_weakly_with_each_of_its_list(void **state)
{
#define ONE  "etag: \"1\"\r\n"
#define WEAK "etag: W/\"1\"\r\n"
    static const struct row rows[] = {
        {NONE("\"1\""), ONE, CONDITION_NOT_MODIFIED},
        {NONE("W/\"1\""), ONE, CONDITION_NOT_MODIFIED},
        {NONE("\"1\""), WEAK, CONDITION_NOT_MODIFIED},
        {NONE("W/\"1\""), WEAK, CONDITION_NOT_MODIFIED},
        {NONE("\"2\""), ONE, CONDITION_FULL},
        {NONE("\"2\", \"1\""), ONE, CONDITION_NOT_MODIFIED},
        {NONE("\"2\",\"1\" ,\"3\""), ONE, CONDITION_NOT_MODIFIED},
        {NONE(",, \"1\",,"), ONE, CONDITION_NOT_MODIFIED},
        {NONE("\"2\"") NONE("\"1\""), ONE, CONDITION_NOT_MODIFIED},
        {NONE("\"1\"") NONE("\"2\""), ONE, CONDITION_NOT_MODIFIED},
        {NONE("\"a,1\""), "etag: \"a,1\"\r\n", CONDITION_NOT_MODIFIED},
        {NONE("\"a,b\""), "etag: \"b\"\r\n", CONDITION_FULL},
        {NONE("\"1\""), "", CONDITION_FULL},
        {NONE("\"1\""), MODIFIED, CONDITION_FULL},
        {NONE(""), ONE, CONDITION_FULL},
        {NONE("*"), ONE, CONDITION_NOT_MODIFIED},
        {NONE("*"), "", CONDITION_NOT_MODIFIED},
    };

    (void)state;
    EXPECT(rows);
}

static void
a_malformed_if_none_match_matches_nothing(void **state)
{
    static const struct row rows[] = {
        {NONE("1"), ONE, CONDITION_FULL},
        {NONE("1"), "etag: 1\r\n", CONDITION_FULL},
        {NONE("\"1"), ONE, CONDITION_FULL},
        {NONE("w/\"1\""), ONE, CONDITION_FULL},
        {NONE("\"1\" \"2\""), ONE, CONDITION_FULL},
        {NONE("\"1\";\"2\""), ONE, CONDITION_FULL},
        {NONE("\"1\", x"), ONE, CONDITION_FULL},
        {NONE("\"1\", *"), ONE, CONDITION_FULL},
        {NONE("*, \"1\""), ONE, CONDITION_FULL},
        {NONE("*") NONE("*"), ONE, CONDITION_FULL},
        {NONE("\"1\"") NONE("*"), ONE, CONDITION_FULL},
        {NONE("\"1\"") NONE("x"), ONE, CONDITION_FULL},
        {NONE("\"1\""), ONE ONE, CONDITION_FULL},
        {NONE("\"1\""), "etag: \"1\" x\r\n", CONDITION_FULL},
    };

    (void)state;
    EXPECT(rows);
}

/* RFC 9110 13.1.3, RFC 9111 4.3.2 */
static void
if_modified_since_compares_with_last_modified_or_date(void **state)
{
    static const struct row rows[] = {
        {SINCE(AT("08:00:00")), MODIFIED DATE, CONDITION_NOT_MODIFIED},
        {SINCE(AT("08:00:01")), MODIFIED DATE, CONDITION_NOT_MODIFIED},
        {SINCE(AT("07:59:59")), MODIFIED DATE, CONDITION_FULL},
        {SINCE("Sunday, 06-Nov-94 08:00:00 GMT"), MODIFIED,
            CONDITION_NOT_MODIFIED},
        {SINCE("Sun Nov  6 08:00:00 1994"), MODIFIED, CONDITION_NOT_MODIFIED},
        /* Without a Last-Modified the Date counts, or the receipt. */
        {SINCE(AT("08:29:59")), DATE, CONDITION_FULL},
        {SINCE(AT("08:30:00")), DATE, CONDITION_NOT_MODIFIED},
        {SINCE(AT("08:49:36")), "", CONDITION_FULL},
        {SINCE(AT("08:49:37")), "", CONDITION_NOT_MODIFIED},
        {SINCE(AT("08:00:00")), MODIFIED MODIFIED DATE, CONDITION_FULL},
        {SINCE(AT("08:00:00")), "last-modified: x\r\n" DATE, CONDITION_FULL},
        /* Ignored: no date, several. */
        {SINCE("x"), MODIFIED, CONDITION_FULL},
        {SINCE("0"), MODIFIED, CONDITION_FULL},
        {SINCE(""), MODIFIED, CONDITION_FULL},
        {SINCE(AT("09:00:00")) SINCE(AT("09:00:00")), MODIFIED, CONDITION_FULL},
        {SINCE(AT("09:00:00") ", " AT("09:00:00")), MODIFIED, CONDITION_FULL},
    };

    (void)state;
    EXPECT(rows);
}

/* RFC 9110 13.2.2 */
static void
preconditions_are_evaluated_in_their_order(void **state)
{
    static const struct row rows[] = {
        {"", ONE MODIFIED, CONDITION_FULL},
        {NONE("\"2\"") SINCE(AT("09:00:00")), ONE MODIFIED, CONDITION_FULL},
        {NONE("x") SINCE(AT("09:00:00")), ONE MODIFIED, CONDITION_FULL},
        {NONE("\"1\"") SINCE(AT("07:00:00")), ONE MODIFIED,
            CONDITION_NOT_MODIFIED},
        {RANGE, ONE, CONDITION_RANGE},
        {RANGE NONE("\"1\""), ONE, CONDITION_NOT_MODIFIED},
        {RANGE NONE("\"2\""), ONE, CONDITION_RANGE},
        {RANGE SINCE(AT("08:00:00")), MODIFIED, CONDITION_NOT_MODIFIED},
        {RANGE SINCE(AT("07:00:00")), MODIFIED, CONDITION_RANGE},
        {"If-Match: \"1\"\r\n", ONE, CONDITION_PASS},
        {"If-Match: *\r\n" NONE("\"1\""), ONE, CONDITION_PASS},
        {"If-Unmodified-Since: " AT("09:00:00") "\r\n", MODIFIED,
            CONDITION_PASS},
        {RANGE "If-Unmodified-Since: x\r\n", MODIFIED, CONDITION_PASS},
    };

    (void)state;
    EXPECT(rows);
}

/* RFC 9110 13.1.5 */
static void
if_range_compares_strongly(void **state)
{
#define IF(what) RANGE "If-Range: " what "\r\n"
    static const struct row rows[] = {
        {IF("\"1\""), ONE, CONDITION_RANGE},
        {IF("\"2\""), ONE, CONDITION_FULL},
        {IF("W/\"1\""), ONE, CONDITION_FULL},
        {IF("\"1\""), WEAK, CONDITION_FULL},
        {IF("W/\"1\""), WEAK, CONDITION_FULL},
        {IF("\"1\""), "", CONDITION_FULL},
        {IF("\"1\", \"1\""), ONE, CONDITION_FULL},
        {IF("\"1"), ONE, CONDITION_FULL},
        {IF("*"), ONE, CONDITION_FULL},
        {IF(""), ONE, CONDITION_FULL},
        {IF("\"1\"") "If-Range: \"1\"\r\n", ONE, CONDITION_FULL},
        {"If-Range: \"2\"\r\n", ONE, CONDITION_FULL}, /* without Range */
        {IF(AT("08:00:00")), MODIFIED DATE, CONDITION_RANGE},
        {IF("Sunday, 06-Nov-94 08:00:00 GMT"), MODIFIED DATE, CONDITION_RANGE},
        {IF(AT("07:59:59")), MODIFIED DATE, CONDITION_FULL},
        {IF(AT("08:00:01")), MODIFIED DATE, CONDITION_FULL}, /* exact only */
        {IF(AT("08:00:00")), MODIFIED, CONDITION_FULL},      /* not strong */
        {IF(AT("08:00:00")), MODIFIED "date: " AT("08:00:59") "\r\n",
            CONDITION_FULL},
        {IF(AT("08:00:00")), MODIFIED "date: " AT("08:01:00") "\r\n",
            CONDITION_RANGE},
        {IF(AT("08:30:00")), DATE, CONDITION_FULL},
        {IF("x"), MODIFIED DATE, CONDITION_FULL},
        /* A whole that says it is a part is given whole. */
        {IF("\"1\""), ONE "content-range: bytes 0-1/2\r\n", CONDITION_FULL},
    };

    (void)state;
    EXPECT(rows);
}

/* RFC 9110 13.2.1, 14.2 */
static void
methods_and_statuses_that_conditions_are_not_for_go_without(void **state)
{
    static const struct {
        const char *line;
        const char *fields;
        unsigned status;
        enum condition want;
    } rows[] = {
        {"HEAD /", NONE("\"1\""), 200, CONDITION_NOT_MODIFIED},
        {"HEAD /", RANGE, 200, CONDITION_FULL},
        {"POST /", "", 200, CONDITION_PASS},
        {"PUT /", NONE("\"1\""), 200, CONDITION_PASS},
        {"OPTIONS /", NONE("\"1\""), 200, CONDITION_PASS},
        {"x /", NONE("\"1\""), 200, CONDITION_PASS},
        {"GET /", NONE("\"1\""), 203, CONDITION_NOT_MODIFIED},
        {"GET /", NONE("\"1\""), 204, CONDITION_NOT_MODIFIED},
        {"GET /", NONE("\"1\""), 299, CONDITION_NOT_MODIFIED},
        {"GET /", NONE("\"1\""), 300, CONDITION_FULL},
        {"GET /", NONE("\"1\""), 404, CONDITION_FULL},
        {"GET /", NONE("*"), 404, CONDITION_FULL},
        {"GET /", SINCE(AT("09:00:00")), 410, CONDITION_FULL},
        {"GET /", RANGE, 203, CONDITION_FULL},
        {"GET /", RANGE, 404, CONDITION_FULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum condition got = evaluate(
            rows[i].line, rows[i].fields, rows[i].status, ONE MODIFIED);
        if (got != rows[i].want) {
            fail_msg("row %zu: %s", i, names[got]);
        }
    }
}

/* RFC 9111 4.3.1 */
static void
a_validation_is_asked_for_with_every_validator(void **state)
{
    static const struct {
        const char *stored;
        const char *want; /* NULL: there is nothing to validate with */
    } rows[] = {
        {ONE "x: y\r\n" MODIFIED, "if-none-match: \"1\"\r\n"
                                  "if-modified-since: " AT("08:00:00") "\r\n"},
        {WEAK, "if-none-match: W/\"1\"\r\n"},
        {MODIFIED ONE ONE, "if-modified-since: " AT("08:00:00") "\r\n"},
        {"last-modified: Sun Nov  6 08:00:00 1994\r\n",
            "if-modified-since: Sun Nov  6 08:00:00 1994\r\n"},
        {DATE, NULL},
        {"etag: 1\r\nlast-modified: x\r\n", NULL},
        {MODIFIED MODIFIED, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[256];
        struct writer w = writer_of(text, sizeof(text));
        struct slice stored = slice_of_str(rows[i].stored);
        bool has_one = rows[i].want != NULL;
        assert_int_equal(condition_write_validators(&w, stored), has_one);
        assert_slice(writer_slice(&w), has_one ? rows[i].want : "");
    }
}

/* RFC 9110 15.4.5 */
static void
a_304_repeats_what_updates_a_stored_copy_and_nothing_more(void **state)
{
#define KEPT                                                                   \
    "cache-control: max-age=1\r\n" DATE "expires: 0\r\n"                       \
    "vary: a\r\ncontent-location: /b\r\ncdn-cache-control: max-age=2\r\n"
    char text[512];
    struct writer w = writer_of(text, sizeof(text));

    (void)state;
    condition_write_not_modified(
        &w, SLICE("content-type: x\r\n" KEPT MODIFIED
                  "content-encoding: br\r\n" ONE "set-cookie: a\r\n"));
    assert_slice(writer_slice(&w), KEPT ONE);
    w = writer_of(text, sizeof(text));
    condition_write_not_modified(&w, SLICE("content-type: x\r\n" MODIFIED));
    assert_slice(writer_slice(&w), MODIFIED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entity_tag_is_read_strictly),
        cmocka_unit_test(entity_tags_compare_strongly_and_weakly),
        cmocka_unit_test(if_none_match_compares_weakly_with_each_of_its_list),
        cmocka_unit_test(a_malformed_if_none_match_matches_nothing),
        cmocka_unit_test(if_modified_since_compares_with_last_modified_or_date),
        cmocka_unit_test(preconditions_are_evaluated_in_their_order),
        cmocka_unit_test(if_range_compares_strongly),
        cmocka_unit_test(
            methods_and_statuses_that_conditions_are_not_for_go_without),
        cmocka_unit_test(a_validation_is_asked_for_with_every_validator),
        cmocka_unit_test(
            a_304_repeats_what_updates_a_stored_copy_and_nothing_more),
    };

    return cmocka_run_group_tests_name("http condition", tests, NULL, NULL);
}
