/*
 * What a request is keyed by, and what of it is sent: tables of heads, parsed
 * from text.
 */
#include "nearside/rules/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "nearside/base/check.h"
#include "nearside/http/parse.h"

struct rig {
    struct arena arena;
    struct head head;
    char text[1024];
};

static int
setup(void **state)
{
    static struct rig rig;

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

static const struct head *
given(struct rig *rig, const char *fields)
{
    const struct parse_opts opts = {0};
    struct parse p;
    size_t len;

    snprintf(rig->text, sizeof(rig->text),
        "GET /a HTTP/1.1\r\nHost: h\r\n%s\r\n", fields);
    parse_start(&p);
    assert_int_equal(
        parse_request(&p, &opts, slice_of_str(rig->text), &rig->head, &len),
        RC_OK);
    return &rig->head;
}

static struct keys
keys_of(struct rig *rig, const struct route *route, const char *target,
    const char *fields, bool is_trusted)
{
    static const struct hash_key hash_key = {1, 2};
    const struct keys_from from = {
        .hash_key = &hash_key,
        .route = route,
        .head = given(rig, fields),
        .is_trusted = is_trusted,
        .scheme = SLICE("http"),
        .host = SLICE("h"),
        .target = slice_of_str(target),
    };
    struct keys keys;

    assert_int_equal(keys_make(&rig->arena, &from, &keys), RC_OK);
    return keys;
}

static void
assert_slice(struct slice s, const char *text, const char *row)
{
    if (!slice_eq(s, slice_of_str(text))) {
        fail_msg("%s: [%.*s] is not [%s]", row, SLICE_FMT(s), text);
    }
}

/* --- the target -------------------------------------------------------- */

static void
a_route_keeps_of_a_target_what_it_keys_in_any_spelling(void **state)
{
    static const struct slice names[] = {{"b", 1}, {"c%26", 4}};
    static const struct {
        enum route_query query;
        const char *target;
        const char *keyed;
        const char *sent;
    } rows[] = {
        {ROUTE_QUERY_ALL, "/a", "/a", "/a"},
        {ROUTE_QUERY_ALL, "/%61?x&%62=%2f", "/a?x&b=%2F", "/%61?x&%62=%2f"},
        {ROUTE_QUERY_NONE, "/a?x=%31", "/a", "/a"},
        {ROUTE_QUERY_NONE, "/%61?x", "/a", "/%61"},
        {ROUTE_QUERY_NONE, "/a?", "/a", "/a"},
        {ROUTE_QUERY_LIST, "/a", "/a", "/a"},
        {ROUTE_QUERY_LIST, "/a?x", "/a", "/a"},
        {ROUTE_QUERY_LIST, "/a?x&b=1&y&b", "/a?b=1&b", "/a?b=1&b"},
        {ROUTE_QUERY_LIST, "/a?x=%31&b=1", "/a?b=1", "/a?b=1"},
        {ROUTE_QUERY_LIST, "/a?%62=%31&x", "/a?b=1", "/a?%62=%31"},
        {ROUTE_QUERY_LIST, "/a?%62%3d&c%26=1", "/a?c%26=1", "/a?c%26=1"},
        {ROUTE_QUERY_LIST, "/x/%2e%2e/a?&&b", "/a?b", "/x/%2e%2e/a?b"},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct route route = {.query = rows[i].query,
            .query_names = names,
            .query_names_len = ARRAY_LEN(names)};
        struct slice target = slice_of_str(rows[i].target), normal, got;
        assert_int_equal(keys_normalise(&rig->arena, target, &normal), RC_OK);
        assert_int_equal(
            keys_keep(&rig->arena, &route, normal, normal, &got), RC_OK);
        assert_slice(got, rows[i].keyed, rows[i].target);
        assert_int_equal(
            keys_keep(&rig->arena, &route, normal, target, &got), RC_OK);
        assert_slice(got, rows[i].sent, rows[i].target);
    }
}

/* As in version 0.1, so that two versions find each other's entries. */
static void
a_target_that_needs_no_decoding_is_its_own_key(void **state)
{
    static const char *const rows[] = {"/", "/a?b=c&d", "/a%2Fb%20c", "/%25;x",
        "/a|b{}^", "/a//b?/../", "/A~._-"};
    const struct route route = {.query = ROUTE_QUERY_ALL};
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice target = slice_of_str(rows[i]), normal;
        char want[64];
        assert_int_equal(keys_normalise(&rig->arena, target, &normal), RC_OK);
        assert_slice(normal, rows[i], rows[i]);
        snprintf(want, sizeof(want), "http://h%s", rows[i]);
        assert_slice(
            keys_of(rig, &route, rows[i], "", false).base.full, want, rows[i]);
    }
}

static void
a_route_keys_all_of_a_host_its_name_or_nothing_of_it(void **state)
{
    static const struct {
        enum route_key_host key_host;
        const char *host;
        const char *want;
    } rows[] = {
        {ROUTE_KEY_HOST_FULL, "h", "http://h/a"},
        {ROUTE_KEY_HOST_FULL, "h:81", "http://h:81/a"},
        {ROUTE_KEY_HOST_NAME, "h", "http://h@api/a"},
        {ROUTE_KEY_HOST_NAME, "h:81", "http://h@api/a"},
        {ROUTE_KEY_HOST_NAME, "[::1]:81", "http://[::1]@api/a"},
        {ROUTE_KEY_HOST_NONE, "h:81", "http://@api/a"},
    };
    static const struct hash_key hash_key = {1, 2};
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct route route = {.key_host = rows[i].key_host};
        const struct keys_from from = {
            .hash_key = &hash_key,
            .route = &route,
            .head = given(rig, ""),
            .scheme = SLICE("http"),
            .host = slice_of_str(rows[i].host),
            .target = SLICE("/a"),
            .origin = SLICE("api"),
        };
        struct keys keys;

        assert_int_equal(keys_make(&rig->arena, &from, &keys), RC_OK);
        assert_slice(keys.base.full, rows[i].want, rows[i].host);
    }
}

/* --- forms of one target ----------------------------------------------- */

#define PORT "X-Forwarded-Port: "

static void
all_forms_have_one_base_key(void **state)
{
    static const char *const fields[] = {"", PORT "80\r\n", PORT "81\r\n",
        "Cookie: a\r\n", PORT "80\r\nCookie: a\r\n"};
    const struct route route = {.cookie = ROUTE_CREDENTIAL_KEY};
    const struct route keyless = {0};
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        for (int t = 0; t < 2; t++) {
            struct keys keys = keys_of(rig, &route, "/a", fields[i], t);
            assert_slice(keys.base.full, "http://h/a", fields[i]);
            assert_int_equal(
                keys.view.len > 0, t && strstr(fields[i], PORT) != NULL);
            assert_true(keys.credentials.len > 0);
            keys = keys_of(rig, &keyless, "/a", fields[i], t);
            assert_int_equal(keys.credentials.len, 0);
        }
    }
}

static struct slice
variant_of(struct rig *rig, const char *fields, bool is_trusted,
    const char *names, const char *generation)
{
    static const struct route route = {.cookie = ROUTE_CREDENTIAL_KEY};
    const struct keys keys = keys_of(rig, &route, "/a", fields, is_trusted);
    const struct sending sending = {.head = &rig->head,
        .route = &route,
        .is_trusted = is_trusted,
        .for_cache = true};
    const struct keys_record record = {
        slice_of_str(names), slice_of_str(generation)};
    struct slice digest;

    assert_int_equal(
        keys_choose(&rig->arena, &keys, &sending, &record, &digest), RC_OK);
    return digest;
}

static void
view_credentials_and_the_fields_of_a_record_choose_a_variant(void **state)
{
    static const struct {
        const char *fields;
        bool is_trusted;
        unsigned variant; /* those with the same number are one */
    } rows[] = {
        {"", true, 0},
        {"X-Other: 1\r\n", true, 0},
        {PORT "80\r\n", false, 0},                 /* not sent */
        {"X-Forwarded-Proto: https\r\n", true, 0}, /* in the key */
        {"X-Forwarded-Host: h\r\n", true, 0},      /* so is that */
        {"X-Forwarded-Host: h\r\nX-Forwarded-Host: x\r\n", true, 8},
        {"X-Forwarded-Host: x\r\n", false, 0},
        {PORT "80\r\n", true, 1},
        {PORT "81\r\n", true, 2},
        {"X-Forwarded-Host: x\r\n", true, 3},
        {"Cookie: a\r\n", true, 4},
        {"Cookie: b\r\n", true, 5},
        {PORT "80\r\nCookie: a\r\n", true, 6},
        {"X-Foo: 1\r\n", true, 7},
        {"X-Foo: 1\r\n", false, 7},
    };
    struct rig *rig = *state;
    struct slice digests[ARRAY_LEN(rows)];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        digests[i] =
            variant_of(rig, rows[i].fields, rows[i].is_trusted, "x-foo", "g");
        for (size_t k = 0; k < i; k++) {
            if (slice_eq(digests[i], digests[k]) !=
                (rows[i].variant == rows[k].variant)) {
                fail_msg("%s and %s", rows[i].fields, rows[k].fields);
            }
        }
    }
    /* As in version 0.1. */
    assert_slice(digests[ARRAY_LEN(rows) - 1],
        "30cfa3b8820e23ed8086ca07480f4f27", "X-Foo: 1");
    assert_false(slice_eq(digests[0], variant_of(rig, "", true, "x-foo", "h")));
    assert_false(slice_eq(digests[0], variant_of(rig, "", true, "", "g")));
}

/* By the one that the route keys, whatever becomes of the other. */
static void
credentials_that_are_not_keyed_choose_nothing(void **state)
{
    struct rig *rig = *state;

    for (int by = 0; by < 4; by++) {
        const struct route route = {
            .cookie = by & 1 ? ROUTE_CREDENTIAL_KEY : ROUTE_CREDENTIAL_IGNORE,
            .authorization =
                by & 2 ? ROUTE_CREDENTIAL_KEY : ROUTE_CREDENTIAL_IGNORE};
        const char *const fields[] = {"", "Cookie: a\r\n",
            "Authorization: Basic a\r\n", "X-Api-Key: a\r\n"};
        char none[64] = "";
        struct slice got = keys_of(rig, &route, "/a", "", false).credentials;

        assert_int_equal(got.len > 0, by != 0);
        assert_true(got.len < sizeof(none));
        (void)slice_put(none, got);
        for (int i = 1; i < 4; i++) {
            got = keys_of(rig, &route, "/a", fields[i], false).credentials;
            assert_int_equal(
                !slice_eq(got, slice_of_str(none)), i < 3 && (by & i) != 0);
        }
    }
}

/* --- what is sent ------------------------------------------------------ */

static void
a_post_may_say_more_than_a_get_of_its_key(void **state)
{
    static const struct {
        const char *fields;
        enum route_credential how;
        bool is_trusted;
        bool is_more;
    } rows[] = {
        {"", ROUTE_CREDENTIAL_IGNORE, false, false},
        {"Accept: x\r\nX-Api-Key: 1\r\n", ROUTE_CREDENTIAL_IGNORE, false,
            false},
        {"Cookie: a\r\n", ROUTE_CREDENTIAL_IGNORE, false, true},
        {"Authorization: a\r\n", ROUTE_CREDENTIAL_IGNORE, false, true},
        {"Cookie: a\r\n", ROUTE_CREDENTIAL_AUTO, false, false},
        {"If-None-Match: \"a\"\r\n", ROUTE_CREDENTIAL_AUTO, false, true},
        {"Range: bytes=0-1\r\n", ROUTE_CREDENTIAL_AUTO, false, true},
        {"Forwarded: for=x\r\n", ROUTE_CREDENTIAL_AUTO, false, false},
        {"Forwarded: for=x\r\n", ROUTE_CREDENTIAL_AUTO, true, true},
        {"X-Http-Method: x\r\n", ROUTE_CREDENTIAL_AUTO, true, false},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct route route = {
            .cookie = rows[i].how, .authorization = rows[i].how};
        struct sending post = {.head = given(rig, rows[i].fields),
            .is_trusted = rows[i].is_trusted};
        struct sending get = post;
        get.route = &route;
        get.for_cache = true;
        if (sending_is_more(&post, &get) != rows[i].is_more ||
            sending_is_more(&get, &post)) {
            fail_msg("%s", rows[i].fields);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_route_keeps_of_a_target_what_it_keys_in_any_spelling),
        TEST(a_route_keys_all_of_a_host_its_name_or_nothing_of_it),
        TEST(a_target_that_needs_no_decoding_is_its_own_key),
        TEST(all_forms_have_one_base_key),
        TEST(view_credentials_and_the_fields_of_a_record_choose_a_variant),
        TEST(credentials_that_are_not_keyed_choose_nothing),
        TEST(a_post_may_say_more_than_a_get_of_its_key),
    };

    return cmocka_run_group_tests_name("proxy keys", tests, NULL, NULL);
}
