/* Freshening by a 304 and by the answer to a HEAD. */
#include "nearside/http/update.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "http_given.h"
#include "nearside/base/check.h"

#define T0       INT64_C(784111777)
#define AT(time) "Sun, 06 Nov 1994 " time " GMT"
#define TAG(tag) "ETag: " tag "\r\n"
#define MOD(at)  "Last-Modified: " AT(at) "\r\n"
#define HAS(tag) "etag: " tag "\r\n"
#define OLD(at)  "last-modified: " AT(at) "\r\n"
#define DATE     "date: " AT("08:30:00") "\r\n"

/* RFC 9111 4.3.4 */
static void
a_304_is_for_what_its_validators_identify(void **state)
{
    static const struct {
        const char *fields;
        const char *stored;
        bool want;
    } rows[] = {
        /* Strong ones identify, and nothing else does beside them. */
        {TAG("\"1\""), HAS("\"1\""), true},
        {TAG("\"1\""), HAS("\"2\""), false},
        {TAG("\"1\""), HAS("W/\"1\""), false},
        {TAG("\"1\""), "", false},
        {TAG("\"1\"") MOD("08:00:00"), HAS("\"1\"") OLD("07:00:00"), true},
        {TAG("\"1\"") MOD("08:00:00"), HAS("\"2\"") OLD("08:00:00") DATE,
            false},
        {TAG("\"1\"") MOD("08:00:00"), OLD("08:00:00") DATE, true},
        {TAG("\"1\"") MOD("08:00:00"), OLD("07:00:00") DATE, false},
        {TAG("\"1\"") MOD("08:00:00"), OLD("08:00:00"), false},
        {TAG("\"1\"") MOD("08:29:30"), OLD("08:29:30") DATE, false},
        /* Weak ones, where there are no strong ones. */
        {TAG("W/\"1\""), HAS("W/\"1\""), true},
        {TAG("W/\"1\""), HAS("\"1\""), true},
        {TAG("W/\"1\""), HAS("W/\"2\""), false},
        {TAG("W/\"1\""), "", false},
        {TAG("W/\"1\"") MOD("08:00:00"), HAS("W/\"1\"") OLD("07:00:00"), false},
        {TAG("W/\"1\"") MOD("08:00:00"), HAS("W/\"2\"") OLD("08:00:00"), false},
        {TAG("W/\"1\"") MOD("08:00:00"), OLD("08:00:00"), true},
        {MOD("08:00:00"), OLD("08:00:00"), true},
        {MOD("08:00:00"), OLD("08:00:00") HAS("\"1\""), true},
        {"Last-Modified: Sunday, 06-Nov-94 08:00:00 GMT\r\n", OLD("08:00:00"),
            true},
        {MOD("08:00:00"), OLD("08:00:01"), false},
        {MOD("08:00:00"), HAS("\"1\""), false},
        /* Malformed ones, and none. */
        {"ETag: 1\r\n", "etag: 1\r\n", false},
        {TAG("\"1\"") TAG("\"1\""), HAS("\"1\""), false},
        {TAG("\"1\"") "Last-Modified: x\r\n", HAS("\"1\""), false},
        /* Only what has a validator was asked about. */
        {"", HAS("\"1\""), true},
        {"", OLD("08:00:00"), true},
        {"", "x: y\r\n", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct head *head = given_answer(METHOD_GET, 304, rows[i].fields);
        bool got = update_is_identified(head, slice_of_str(rows[i].stored), T0);
        if (got != rows[i].want) {
            fail_msg("row %zu, %s for %s: %d", i, rows[i].fields,
                rows[i].stored, got);
        }
    }
}

/* RFC 9111 4.3.5 */
static void
a_head_freshens_what_it_agrees_with_and_makes_stale_what_not(void **state)
{
#define LEN(n) "Content-Length: " n "\r\n"
    static const struct {
        unsigned status;
        const char *fields;
        const char *stored;
        enum update_head want;
    } rows[] = {
        {200, TAG("\"1\"") LEN("5"), HAS("\"1\""), UPDATE_HEAD_FRESHEN},
        {200, TAG("\"1\""), HAS("\"1\""), UPDATE_HEAD_FRESHEN},
        {200, MOD("08:00:00"), OLD("08:00:00"), UPDATE_HEAD_FRESHEN},
        {200, LEN("5"), "", UPDATE_HEAD_FRESHEN},
        {200, LEN("5"), HAS("\"1\""), UPDATE_HEAD_FRESHEN},
        {200, TAG("\"1\"") LEN("6"), HAS("\"1\""), UPDATE_HEAD_STALE},
        {200, TAG("\"2\"") LEN("5"), HAS("\"1\""), UPDATE_HEAD_STALE},
        {200, TAG("W/\"1\"") LEN("5"), HAS("\"1\""), UPDATE_HEAD_STALE},
        {200, TAG("W/\"1\""), HAS("W/\"1\""), UPDATE_HEAD_FRESHEN},
        {200, TAG("\"1\""), "", UPDATE_HEAD_STALE},
        {200, TAG("1"), "", UPDATE_HEAD_STALE},
        {200, TAG("\"1\"") MOD("08:00:00"), HAS("\"1\"") OLD("08:00:01"),
            UPDATE_HEAD_STALE},
        {200, MOD("08:00:00"), HAS("\"1\""), UPDATE_HEAD_STALE},
        {200, "", HAS("\"1\""), UPDATE_HEAD_NONE},
        {200, "", "", UPDATE_HEAD_NONE},
        {404, TAG("\"1\""), HAS("\"1\""), UPDATE_HEAD_NONE},
        {304, TAG("\"1\""), HAS("\"1\""), UPDATE_HEAD_NONE},
        {500, "", "", UPDATE_HEAD_NONE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum update_head got = update_by_head(
            given_answer(METHOD_HEAD, rows[i].status, rows[i].fields),
            slice_of_str(rows[i].stored), 5);
        if (got != rows[i].want) {
            fail_msg("row %zu, %s for %s: %d", i, rows[i].fields,
                rows[i].stored, got);
        }
    }
}

/* RFC 9111 3.2 */
static void
an_update_replaces_all_fields_but_those_the_content_depends_on(void **state)
{
    static const struct {
        const char *fields;
        const char *stored;
        const char *want;
    } rows[] = {
        {"", "a: 1\r\nb: 2\r\n", "a: 1\r\nb: 2\r\n"},
        {"B: 3\r\n", "a: 1\r\nb: 2\r\n", "a: 1\r\nb: 3\r\n"},
        {"C: 3\r\n", "a: 1\r\n", "a: 1\r\nc: 3\r\n"},
        {"A: 3\r\nA: 4\r\n", "a: 1\r\nb: 0\r\na: 2\r\n",
            "b: 0\r\na: 3\r\na: 4\r\n"},
        {"A:\r\n", "a: 1\r\n", "a: \r\n"},
        {"Cache-Control: max-age=9\r\nExpires: 0\r\n",
            "cache-control: max-age=1\r\n",
            "cache-control: max-age=9\r\nexpires: 0\r\n"},
        /* What chose the response goes on choosing it. */
        {"Vary: x\r\n", "vary: y\r\n", "vary: y\r\nvary: x\r\n"},
        {"Vary: Y\r\n", "vary: x, y\r\n", "vary: x, y\r\n"},
        {"Vary: X,, z ,y\r\nVary: *\r\n", "vary: x\r\na: 1\r\nvary: Q\r\n",
            "vary: x\r\na: 1\r\nvary: Q\r\nvary: z,y\r\nvary: *\r\n"},
        {"a: 1\r\n", "vary: x\r\n", "vary: x\r\na: 1\r\n"},
        {"Vary: y\r\n", "vary: x\r\nz: y\r\n",
            "vary: x\r\nz: y\r\nvary: y\r\n"},
        {"Content-Type: b\r\nDate: x\r\n", "content-type: a\r\ndate: y\r\n",
            "content-type: b\r\ndate: x\r\n"},
        {"Content-Length: 9\r\nContent-Encoding: br\r\n"
         "Content-Range: bytes 0-0/1\r\n",
            "content-encoding: gzip\r\n", "content-encoding: gzip\r\n"},
        {"Connection: X, close\r\nX: 2\r\nKeep-Alive: a\r\nAge: 5\r\n"
         "Proxy-Authenticate: a\r\nTrailer: b\r\n",
            "x: 1\r\n", "x: 1\r\n"},
        {"Set-Cookie: a\r\n", "a: 1\r\n", "a: 1\r\n"},
    };
    char text[256];
    struct writer w;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        w = writer_of(text, sizeof(text));
        assert_int_equal(
            update_merge(given_answer(METHOD_GET, 304, rows[i].fields),
                slice_of_str(rows[i].stored), false, &w),
            RC_OK);
        assert_slice(writer_slice(&w), rows[i].want);
    }
    w = writer_of(text, sizeof(text));
    assert_int_equal(
        update_merge(given_answer(METHOD_GET, 304, "Set-Cookie: a\r\n"),
            SLICE("set-cookie: b\r\n"), true, &w),
        RC_OK);
    assert_slice(writer_slice(&w), "set-cookie: a\r\n");
}

static void
an_update_without_room_is_none(void **state)
{
    const struct head *head = given_answer(METHOD_GET, 304, "B: 2\r\n");
    const struct slice stored = SLICE("a: 1\r\n");
    char text[16];
    struct writer w = writer_of(text, 12);

    (void)state;
    assert_int_equal(update_merge(head, stored, false, &w), RC_OK);
    w = writer_of(text, 11);
    assert_int_equal(update_merge(head, stored, false, &w), RC_LIMIT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_304_is_for_what_its_validators_identify),
        cmocka_unit_test(
            a_head_freshens_what_it_agrees_with_and_makes_stale_what_not),
        cmocka_unit_test(
            an_update_replaces_all_fields_but_those_the_content_depends_on),
        cmocka_unit_test(an_update_without_room_is_none),
    };

    return cmocka_run_group_tests_name("http update", tests, NULL, NULL);
}
