/*
 * What becomes of what an origin says: whole responses, and stored ones that a
 * 304 has renewed (RFC 9111 4.3.4). Pure: heads as text in, a verdict out.
 */
#include "nearside/rules/assess.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "http_given.h"
#include "rules_given.h"

/* Sun, 06 Nov 1994 08:49:37 GMT: the head came then, asked for 2 s before. */
static const int64_t NOW_MS = INT64_C(784111777000);
#define NOW    "Sun, 06 Nov 1994 08:49:37 GMT"
#define BEFORE "Sun, 06 Nov 1994 08:39:37 GMT"

enum {
    TTL_MS = 300000,
    OBJECT_MAX = 100,
};

struct rig {
    struct route route;
    struct policy_request request;
    struct arena arena;
    struct assess_opts opts;
};

static int
setup(void **state)
{
    static struct rig rig;

    rig = (struct rig){
        .route = {.ttl_ms = TTL_MS, .keep_ms = 1000, .grace_ms = 1000},
        .request = {.storable = {.method = METHOD_GET}},
        .opts = {.route = &rig.route,
            .request = &rig.request,
            .arena = &rig.arena,
            .object_max = OBJECT_MAX,
            .date = SLICE(NOW),
            .times.request_ms = NOW_MS,
            .times.response_ms = NOW_MS},
    };
    arena_init(&rig.arena, 65536);
    *state = &rig;
    return 0;
}

static int
teardown(void **state)
{
    arena_fini(&((struct rig *)*state)->arena);
    return 0;
}

/* --- whole responses --------------------------------------------------- */

static void
a_response_that_says_it_is_too_large_is_not_stored(void **state)
{
    static const struct {
        const char *fields;
        const char *detail; /* NULL: it is stored */
    } rows[] = {
        {"Content-Length: 0\r\n", NULL},
        {"Content-Length: 100\r\n", NULL},
        {"Content-Length: 101\r\n", "size"},
        {"Transfer-Encoding: chunked\r\n", NULL}, /* nobody knows yet */
        {"Content-Length: 101\r\nCache-Control: no-store\r\n", "no-store"},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct policy_verdict v;
        assess_response(
            &rig->opts, given_answer(METHOD_GET, 200, rows[i].fields), &v);
        assert_int_equal(v.is_storable, rows[i].detail == NULL);
        if (rows[i].detail != NULL) {
            assert_string_equal(v.detail, rows[i].detail);
        }
    }
}

static void
what_is_over_when_it_comes_and_never_stale_is_validated_each_time(void **state)
{
    static const struct {
        const char *control;
        bool must_validate;
    } rows[] = {
        {"max-age=1, must-revalidate", false},
        {"max-age=0, must-revalidate", true},
        {"max-age=5, proxy-revalidate\r\nAge: 5", true},
        {"max-age=6, must-revalidate\r\nAge: 5", false},
        {"s-maxage=0", true},
        {"max-age=0", false},
        {"max-age=9, no-cache", true},
    };
    struct rig *rig = *state;

    rig->route.is_rfc = true;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct policy_verdict v;
        char fields[256];
        snprintf(fields, sizeof(fields),
            "ETag: \"a\"\r\nContent-Length: 1\r\nCache-Control: %s\r\n",
            rows[i].control);
        assess_response(&rig->opts, given_answer(METHOD_GET, 200, fields), &v);
        assert_true(v.is_storable);
        if (((v.flags & ENTRY_MUST_VALIDATE) != 0) != rows[i].must_validate) {
            fail_msg("%s", rows[i].control);
        }
    }
}

static void
the_moments_of_the_exchange_are_handed_on(void **state)
{
    struct rig *rig = *state;
    struct policy_verdict v;

    rig->opts.times.request_ms = NOW_MS - 2000;
    rig->route.ttl_jitter_percent = 10;
    rig->opts.times.jitter = 7;
    assess_response(&rig->opts,
        given_answer(METHOD_GET, 200, "Content-Length: 1\r\nAge: 3\r\n"), &v);
    assert_int_equal(v.created_ms, NOW_MS - 5000);
    assert_int_equal(v.fresh_until_ms, NOW_MS + TTL_MS - 7);
}

/* --- renewed ones ------------------------------------------------------ */

#define STORED_DATE "date: " BEFORE "\r\n"

/* The stored response with these lines, private ones first, renewed by a 304
   with those fields. */
static struct renewal
renewed(
    struct rig *rig, const char *private, const char *lines, const char *fields)
{
    const struct codec_parts parts = {
        .status = 200,
        .key = SLICE("http://h/"),
        .created_ms = 1,
        .fresh_until_ms = 2,
        .stale_until_ms = 3,
        .private_fields = slice_of_str(private),
        .fields = slice_of_str(lines),
        .body = SLICE("abc"),
    };
    struct entry *stored = given_entry(&parts);
    struct renewal out;

    assert_true(assess_renewed(
        &rig->opts, stored, given_answer(METHOD_GET, 304, fields), &out));
    entry_unref(&stored);
    return out;
}

static void
a_renewed_response_has_the_update_s_fields_and_lifetime(void **state)
{
    static const struct {
        const char *stored;
        const char *update;
        const char *fields;
        int64_t fresh_ms;
        int64_t age_ms;
    } rows[] = {
        {STORED_DATE "cache-control: max-age=5\r\netag: \"a\"\r\n",
            "Date: " NOW "\r\nCache-Control: max-age=60\r\n",
            "etag: \"a\"\r\ndate: " NOW "\r\ncache-control: max-age=60\r\n",
            60000, 0},
        {STORED_DATE "cache-control: max-age=5\r\n", "Date: " NOW "\r\n",
            "cache-control: max-age=5\r\ndate: " NOW "\r\n", 5000, 0},
        /* Without a Date it was made when it came, and not when the stored
           one was. */
        {STORED_DATE "cache-control: max-age=5\r\n", "",
            "cache-control: max-age=5\r\ndate: " NOW "\r\n", 5000, 0},
        /* Its age is its own, and no field of what is stored. */
        {STORED_DATE "cache-control: max-age=5\r\n",
            "Date: " NOW "\r\nAge: 2\r\n",
            "cache-control: max-age=5\r\ndate: " NOW "\r\n", 3000, 2000},
        /* Of the length of what is stored a 304 says nothing. */
        {STORED_DATE "x: 1\r\n", "Date: " NOW "\r\nContent-Length: 999\r\n",
            "x: 1\r\ndate: " NOW "\r\n", TTL_MS, 0},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct renewal got =
            renewed(rig, "", rows[i].stored, rows[i].update);
        assert_text(got.fields, rows[i].fields, rows[i].update);
        assert_int_equal(got.private_fields.len, 0);
        assert_true(got.verdict.is_storable);
        assert_int_equal(got.verdict.fresh_until_ms, NOW_MS + rows[i].fresh_ms);
        assert_int_equal(got.verdict.created_ms, NOW_MS - rows[i].age_ms);
    }
}

static void
a_renewed_response_may_be_one_that_is_not_stored_any_more(void **state)
{
    struct rig *rig = *state;
    struct renewal got =
        renewed(rig, "", STORED_DATE, "Cache-Control: private\r\n");

    assert_false(got.verdict.is_storable);
    assert_string_equal(got.verdict.detail, "private");
    /* Its size is that of the body that is there: 3. */
    rig->opts.object_max = 2;
    got = renewed(rig, "", STORED_DATE, "");
    assert_false(got.verdict.is_storable);
    assert_string_equal(got.verdict.detail, "size");
    rig->opts.object_max = 3;
    assert_true(renewed(rig, "", STORED_DATE, "").verdict.is_storable);
}

static void
a_cookie_of_an_update_is_for_one_client_or_for_all(void **state)
{
    static const struct {
        enum route_set_cookie how;
        bool is_delivered;
        bool has_cookie;
        bool is_storable;
    } rows[] = {
        {ROUTE_SET_COOKIE_BYPASS, true, true, false},
        {ROUTE_SET_COOKIE_BYPASS, false, false, true},
        {ROUTE_SET_COOKIE_STRIP, true, false, true},
        {ROUTE_SET_COOKIE_STRIP, false, false, true},
        {ROUTE_SET_COOKIE_STORE, true, true, true},
        {ROUTE_SET_COOKIE_STORE, false, true, true},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct renewal got;
        rig->route.set_cookie = rows[i].how;
        rig->opts.is_delivered = rows[i].is_delivered;
        got = renewed(
            rig, "", STORED_DATE, "Date: " NOW "\r\nSet-Cookie: a=b\r\n");
        assert_text(got.fields,
            rows[i].has_cookie ? "date: " NOW "\r\nset-cookie: a=b\r\n"
                               : "date: " NOW "\r\n",
            "cookie");
        assert_int_equal(got.verdict.is_storable, rows[i].is_storable);
    }
}

static void
lines_that_are_for_us_alone_are_parted_from_the_others(void **state)
{
    static const struct slice targeted[] = {{"us-cache-control", 16}};
    static const char private[] = "us-cache-control: max-age=7\r\n";
    struct rig *rig = *state;
    struct renewal got;

    rig->route.targeted = targeted;
    rig->route.targeted_len = 1;
    got = renewed(rig, private, STORED_DATE "x: 1\r\n", "Date: " NOW "\r\n");
    assert_text(got.private_fields, private, "kept");
    assert_text(got.fields, "x: 1\r\ndate: " NOW "\r\n", "kept");
    assert_int_equal(got.verdict.fresh_until_ms, NOW_MS + 7000);
    got = renewed(rig, private, STORED_DATE,
        "Date: " NOW "\r\nUs-Cache-Control: max-age=8\r\n");
    assert_text(
        got.private_fields, "us-cache-control: max-age=8\r\n", "renewed");
    assert_text(got.fields, "date: " NOW "\r\n", "renewed");
    assert_int_equal(got.verdict.fresh_until_ms, NOW_MS + 8000);
    /* A route that passes them on has nothing for itself. */
    rig->route.passes_targeted = true;
    got = renewed(rig, private, STORED_DATE, "Date: " NOW "\r\n");
    assert_int_equal(got.private_fields.len, 0);
    assert_text(got.fields, "us-cache-control: max-age=7\r\ndate: " NOW "\r\n",
        "passed");
}

static void
without_memory_nothing_is_renewed(void **state)
{
    static const struct codec_parts parts = {
        .status = 200,
        .key = {"http://h/", 9},
        .created_ms = 1,
        .fresh_until_ms = 2,
        .stale_until_ms = 3,
    };
    struct rig *rig = *state;
    struct entry *stored = given_entry(&parts);
    struct arena small;
    struct renewal out;

    rig->opts.arena = &small;
    for (size_t max = 0; max <= 2 * sizeof(struct head); max += 1024) {
        arena_init(&small, max);
        assert_false(assess_renewed(
            &rig->opts, stored, given_answer(METHOD_GET, 304, ""), &out));
        arena_fini(&small);
    }
    entry_unref(&stored);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_response_that_says_it_is_too_large_is_not_stored),
        TEST(what_is_over_when_it_comes_and_never_stale_is_validated_each_time),
        TEST(the_moments_of_the_exchange_are_handed_on),
        TEST(a_renewed_response_has_the_update_s_fields_and_lifetime),
        TEST(a_renewed_response_may_be_one_that_is_not_stored_any_more),
        TEST(a_cookie_of_an_update_is_for_one_client_or_for_all),
        TEST(lines_that_are_for_us_alone_are_parted_from_the_others),
        TEST(without_memory_nothing_is_renewed),
    };

    return cmocka_run_group_tests_name("rules assess", tests, NULL, NULL);
}
