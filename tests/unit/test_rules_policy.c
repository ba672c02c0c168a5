/*
 * What is stored and for how long: tables of heads, parsed from text, and
 * the verdict on each (RFC 9111 3 and 4.2, on the safe side).
 */
#include "nearside/rules/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "http_given.h"
#include "nearside/base/check.h"

enum {
    TTL_MS = 300000,
    GRACE_MS = 60000,
};

/* Sun, 06 Nov 1994 08:49:37 GMT: the response came then. */
static const int64_t NOW_MS = INT64_C(784111777000);

static struct route
given_route(void)
{
    return (struct route){.ttl_ms = TTL_MS, .grace_ms = GRACE_MS};
}

static struct policy_request
read_request(const struct route *route, const char *fields)
{
    struct policy_request out;

    policy_read(route, given_request("GET /a", fields), false, &out);
    return out;
}

static struct policy_verdict
store(const struct route *route, const struct policy_request *request,
    unsigned status, const char *fields)
{
    struct policy_verdict out;

    policy_store(route, request, given_answer(METHOD_GET, status, fields),
        &(struct policy_times){NOW_MS, NOW_MS, 0}, &out);
    return out;
}

static void
assert_word(const char *got, const char *want, const char *row)
{
    if (want == NULL ? got != NULL : got == NULL || strcmp(got, want) != 0) {
        fail_msg("%s: got %s, want %s", row, got == NULL ? "-" : got,
            want == NULL ? "-" : want);
    }
}

/* --- requests ---------------------------------------------------------- */

static void
a_request_that_no_entry_may_answer_is_bypassed(void **state)
{
    const struct {
        const char *line;
        const char *fields;
        bool has_body;
        const char *bypass;
    } rows[] = {
        {"GET /a", "", false, NULL},
        {"GET /a?x=%2f;//", "", false, NULL},
        {"GET /a", "If-None-Match: \"x\"\r\n", false, NULL},
        {"GET /a", "If-Modified-Since: x\r\n", false, NULL},
        {"GET /a", "Cache-Control: no-cache\r\n", false, NULL},
        {"GET /a", "", true, "body"},
        {"GET /a", "If-Match: \"x\"\r\n", false, "condition"},
        {"GET /a", "If-Unmodified-Since: x\r\n", false, "condition"},
        {"GET /a%2fb", "", false, "target"},
        {"GET /a%5Cb", "", false, "target"},
        {"GET /a/%2e%2e", "", false, "target"},
        {"GET /a%2e%2e", "", false, NULL},
        {"GET //a", "", false, "target"},
        {"GET /a;b", "", false, "target"},
    };
    const struct route route = given_route();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct policy_request out;
        policy_read(&route, given_request(rows[i].line, rows[i].fields),
            rows[i].has_body, &out);
        assert_word(out.bypass, rows[i].bypass, rows[i].line);
        assert_null(out.credential);
    }
}

static void
a_route_that_passes_bypasses_everything(void **state)
{
    struct route route = given_route();

    (void)state;
    route.read = ROUTE_READ_PASS;
    assert_word(read_request(&route, "").bypass, "route", "pass");
}

static void
credentials_are_served_as_the_route_says(void **state)
{
    const struct {
        enum route_credential how;
        bool has_credentials;
        bool is_bypassed;
    } rows[] = {
        {ROUTE_CREDENTIAL_AUTO, true, false},
        {ROUTE_CREDENTIAL_BYPASS, false, true},
        {ROUTE_CREDENTIAL_IGNORE, false, false},
        {ROUTE_CREDENTIAL_KEY, false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct route route = given_route();
        struct policy_request out;
        route.cookie = rows[i].how;
        out = read_request(&route, "Cookie: a=b\r\n");
        assert_int_equal(out.credential != NULL, rows[i].has_credentials);
        assert_word(
            out.bypass, rows[i].is_bypassed ? "cookie" : NULL, "cookie");
        assert_word(out.credential, rows[i].has_credentials ? "cookie" : NULL,
            "cookie");
        assert_non_null(
            read_request(&route, "Authorization: x\r\n").credential);
        route = given_route();
        route.authorization = rows[i].how;
        out = read_request(&route, "Authorization: Basic eDp5\r\n");
        assert_int_equal(out.credential != NULL, rows[i].has_credentials);
        assert_word(out.bypass, rows[i].is_bypassed ? "authorization" : NULL,
            "authorization");
        assert_non_null(read_request(&route, "Cookie: x\r\n").credential);
    }
}

static void
named_fields_are_credentials_too(void **state)
{
    const struct slice names[] = {SLICE("x-api-key"), SLICE("x-token")};
    struct route route = given_route();
    struct policy_request out;

    (void)state;
    assert_null(read_request(&route, "X-Api-Key: 1\r\n").credential);
    route.credential_fields = names;
    route.credential_fields_len = 2;
    assert_null(read_request(&route, "X-Api: 1\r\n").credential);
    out = read_request(&route, "X-ToKeN: 1\r\n");
    assert_non_null(out.credential);
    assert_word(out.credential, "credential", "x-token");
    route.credential_fields_len = 1;
    assert_null(read_request(&route, "X-Token: 1\r\n").credential);
    assert_non_null(read_request(&route, "X-Api-Key: 1\r\n").credential);
}

static void
only_if_cached_is_read(void **state)
{
    const struct route route = given_route();

    (void)state;
    assert_false(read_request(&route, "").reuse.only_if_cached);
    assert_true(read_request(&route, "Cache-Control: a, Only-If-Cached\r\n")
                    .reuse.only_if_cached);
}

/* --- responses --------------------------------------------------------- */

struct row {
    unsigned status;
    const char *fields;
    int64_t ttl_ms;
    const char *why; /* it is not stored; NULL: it is */
};

static void
assert_rows(const struct route *route, const struct policy_request *request,
    const struct row *rows, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        struct policy_verdict v =
            store(route, request, rows[i].status, rows[i].fields);
        assert_word(v.detail, rows[i].why, rows[i].fields);
        assert_int_equal(v.is_storable, rows[i].why == NULL);
        if (v.is_storable) {
            assert_int_equal(v.fresh_until_ms, NOW_MS + rows[i].ttl_ms);
            assert_int_equal(v.stale_until_ms, v.fresh_until_ms + GRACE_MS);
        } else {
            assert_int_equal(v.fresh_until_ms, 0);
        }
    }
}

#define LEN0  "Content-Length: 0\r\n"
#define CC(x) LEN0 "Cache-Control: " x "\r\n"

static void
a_response_is_stored_by_its_own_word_or_the_route_s_ttl(void **state)
{
    const struct route route = given_route();
    const struct policy_request request = {.storable = {.method = METHOD_GET}};
    const struct row rows[] = {
        {200, LEN0, TTL_MS, NULL},
        {200, "Transfer-Encoding: chunked\r\n", TTL_MS, NULL},
        {200, CC("max-age=60"), 60000, NULL},
        {200, CC("max-age=60, s-maxage=30"), 30000, NULL},
        {200, CC("s-maxage=90, max-age=1"), 90000, NULL},
        {200, CC("max-age=60") "Age: 20\r\n", 40000, NULL},
        /* Stale from the first, and kept for the route's grace. */
        {200, CC("max-age=60") "Age: 60\r\n", 0, NULL},
        {200, CC("max-age=0, must-revalidate"), 0, "stale"},
        {200, CC("max-age=60") "Date: Sun, 06 Nov 1994 08:49:07 GMT\r\n", 30000,
            NULL},
        {200, CC("max-age=0"), 0, NULL},
        {200, CC("max-age=x"), 0, NULL},
        {200, CC("public"), TTL_MS, NULL},
        {200,
            LEN0 "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                 "Expires: Sun, 06 Nov 1994 08:50:37 GMT\r\n",
            60000, NULL},
        {200, LEN0 "Expires: 0\r\n", 0, NULL},
        {200, CC("max-age=60") "Expires: 0\r\n", 60000, NULL},
        {200, CC("max-age=60, max-age=10"), 10000, NULL},
        {200, CC("max-age=60") "Cache-Control: max-age=5\r\n", 5000, NULL},
        {200, CC("must-revalidate, max-age=60"), 60000, NULL},
    };

    (void)state;
    assert_rows(&route, &request, rows, ARRAY_LEN(rows));
}

static void
what_a_response_forbids_is_not_stored(void **state)
{
    const struct route route = given_route();
    const struct policy_request request = {.storable = {.method = METHOD_GET}};
    const struct row rows[] = {
        {200, CC("no-store"), 0, "no-store"},
        {200, CC("no-store, max-age=60, public"), 0, "no-store"},
        {200, CC("max-age=60") "Cache-Control: no-store\r\n", 0, "no-store"},
        {200, CC("NO-STORE"), 0, "no-store"},
        {200, CC("private, max-age=60"), 0, "private"},
        {200, CC("private=\"x\", max-age=60"), 0, "private"},
        {200, CC("no-cache, max-age=60"), 0, "no-cache"},
        {200, CC("no-cache=\"\tx\", max-age=60"), 0, "no-cache"},
        {200, CC("max-age=60") "Vary: Cookie\r\n", 0, "vary"},
        {200, CC("max-age=60") "Vary: *\r\n", 0, "vary"},
        {200, CC("max-age=60") "Set-Cookie: a=b\r\n", 0, "set-cookie"},
        {200, CC("max-age=60") "Content-Range: bytes 0-1/2\r\n", 0, "partial"},
        {200, "Cache-Control: max-age=60\r\n", 0, "close-delimited"},
    };

    (void)state;
    assert_rows(&route, &request, rows, ARRAY_LEN(rows));
}

static void
errors_need_the_origin_s_word_and_most_are_never_stored(void **state)
{
    const struct route route = given_route();
    const struct policy_request request = {.storable = {.method = METHOD_GET}};
    const unsigned by_ttl[] = {200, 203, 204, 300, 301, 308};
    const unsigned by_word[] = {404, 410};
    const unsigned never[] = {201, 202, 206, 302, 303, 304, 307, 400, 401, 403,
        405, 413, 414, 416, 429, 431, 500, 501, 502, 503, 504};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(by_ttl); i++) {
        const struct row row = {by_ttl[i], LEN0, TTL_MS, NULL};
        if (row.status != 204) { /* which has no length */
            assert_rows(&route, &request, &row, 1);
        } else {
            assert_rows(
                &route, &request, &(struct row){204, "", TTL_MS, NULL}, 1);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(by_word); i++) {
        const struct row rows[] = {{by_word[i], LEN0, 0, "status"},
            {by_word[i], CC("max-age=60"), 60000, NULL}};
        assert_rows(&route, &request, rows, 2);
    }
    for (size_t i = 0; i < ARRAY_LEN(never); i++) {
        struct policy_verdict v =
            store(&route, &request, never[i], CC("public, s-maxage=60"));
        assert_false(v.is_storable);
        assert_non_null(v.detail);
    }
}

static void
with_credentials_only_what_is_marked_shareable_is_stored(void **state)
{
    const struct route route = given_route();
    const struct policy_request request = {.credential = "cookie",
        .storable = {.method = METHOD_GET, .has_credentials = true}};
    const struct row rows[] = {
        {200, LEN0, 0, "cookie"},
        {200, CC("max-age=60"), 0, "cookie"},
        {200, CC("must-revalidate, max-age=60"), 0, "cookie"},
        {200, CC("public, max-age=60"), 60000, NULL},
        {200, CC("s-maxage=60"), 60000, NULL},
        {200, CC("public"), 0, "cookie"}, /* the route's ttl is not for it */
        {200, CC("public, private, max-age=60"), 0, "private"},
        {200, CC("s-maxage=0, max-age=60"), 0, "stale"},
    };
    static const char tagged[] = CC("public") "ETag: 1\r\n";
    struct route unkept = route;
    struct policy_verdict v;

    (void)state;
    assert_rows(&route, &request, rows, ARRAY_LEN(rows));
    unkept.grace_ms = 0;
    v = store(&unkept, &request, 200, tagged);
    assert_word(v.detail, "cookie", tagged);
    assert_true(v.is_personal);
    unkept.ttl_ms = 0; /* it is for nobody */
    v = store(&unkept, &request, 200, tagged);
    assert_word(v.detail, "stale", tagged);
    assert_false(v.is_personal);
}

static void
a_forced_ttl_is_not_forced_on_credentials(void **state)
{
    struct route route = given_route();
    const struct policy_request plain = {.storable = {.method = METHOD_GET}};
    const struct policy_request request = {.credential = "cookie",
        .storable = {.method = METHOD_GET, .has_credentials = true}};
    const struct row of_plain[] = {
        {200, CC("max-age=1"), TTL_MS, NULL},
        {200, CC("max-age=0"), TTL_MS, NULL},
        {200, CC("no-store"), 0, "no-store"},
        {404, CC("max-age=60"), 0, "status"},
    };
    const struct row of_request[] = {
        {200, CC("max-age=60"), 0, "cookie"},
        {200, LEN0, 0, "cookie"},
    };

    (void)state;
    route.ttl_force = ROUTE_TTL_FORCE_FRESHNESS;
    assert_rows(&route, &plain, of_plain, ARRAY_LEN(of_plain));
    assert_rows(&route, &request, of_request, ARRAY_LEN(of_request));
}

static void
a_route_may_overrule_all_that_is_nobody_s_own(void **state)
{
    struct route route = given_route();
    const struct policy_request plain = {.storable = {.method = METHOD_GET}};
    const struct policy_request request = {.credential = "cookie",
        .storable = {.method = METHOD_GET, .has_credentials = true}};
    const struct row of_plain[] = {
        {200, CC("max-age=1"), TTL_MS, NULL},
        {200, CC("no-cache, max-age=9"), TTL_MS, NULL},
        {200, CC("no-store"), TTL_MS, NULL},
        {200, CC("private"), TTL_MS, NULL},
        {200, CC("private, no-store") "Vary: *\r\n", 0, "vary"},
        {200, CC("private") "Set-Cookie: a=1\r\n", 0, "private"},
        {404, CC("no-store"), 0, "status"},
    };
    const struct row of_request[] = {
        {200, CC("no-store"), 0, "no-store"},
        {200, CC("private, public"), 0, "private"},
    };

    (void)state;
    route.ttl_force = ROUTE_TTL_FORCE_ALL;
    assert_rows(&route, &plain, of_plain, ARRAY_LEN(of_plain));
    assert_rows(&route, &request, of_request, ARRAY_LEN(of_request));
    route.set_cookie = ROUTE_SET_COOKIE_STRIP;
    assert_rows(&route, &plain, &of_plain[5], 1);
}

static void
a_bypassed_request_stores_nothing(void **state)
{
    const struct route route = given_route();
    const struct policy_request request = {
        .bypass = "body", .storable = {.method = METHOD_GET}};
    const struct row row = {200, CC("public, max-age=60"), 0, "body"};

    (void)state;
    assert_rows(&route, &request, &row, 1);
}

static void
bounds_hold_for_any_freshness_there_is(void **state)
{
    struct route route = given_route();
    const struct policy_request request = {.storable = {.method = METHOD_GET}};
    const struct row bounded[] = {
        {200, LEN0, 20000, NULL},
        {200, CC("max-age=1"), 10000, NULL},
        {200, CC("max-age=15"), 15000, NULL},
        {200, CC("max-age=60"), 20000, NULL},
    };
    const struct row no_ttl[] = {
        {200, LEN0, 0, "no-freshness"},
        {200, CC("max-age=15"), 15000, NULL},
    };

    (void)state;
    route.ttl_min_ms = 10000;
    route.ttl_max_ms = 20000;
    assert_rows(&route, &request, bounded, ARRAY_LEN(bounded));
    /* Where there is none, a bound makes none. */
    route.ttl_ms = 0;
    assert_rows(&route, &request, no_ttl, ARRAY_LEN(no_ttl));
}

/* RFC 9111 3.5 has a third word, must-revalidate. */
static void
authorized_answers_are_shared_by_public_and_s_maxage_but_under_rfc(void **state)
{
    static const struct {
        const char *fields;
        bool safe;
        bool rfc;
    } rows[] = {
        {CC("max-age=60"), false, false},
        {CC("max-age=60, must-revalidate"), false, true},
        {CC("max-age=60, proxy-revalidate"), false, false},
        {CC("max-age=60, public"), true, true},
        {CC("s-maxage=60"), true, true},
    };
    const struct policy_request anybody = {.storable = {.method = METHOD_GET}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (int is_rfc = 0; is_rfc < 2; is_rfc++) {
            struct route route = given_route();
            bool want = is_rfc ? rows[i].rfc : rows[i].safe;
            struct policy_request request;
            struct policy_verdict v;
            route.is_rfc = is_rfc;
            request = read_request(&route, "Authorization: x\r\n");
            v = store(&route, &request, 200, rows[i].fields);
            assert_int_equal(v.is_storable, want);
            /* What was stored for somebody without, by either preset. */
            v = store(&route, &anybody, 200, rows[i].fields);
            assert_int_equal(
                policy_may_use(&route, &request.reuse, v.flags), want);
            v.flags |= rows[i].rfc ? ENTRY_AUTHORIZED : 0;
            assert_int_equal(
                policy_may_use(&route, &request.reuse, v.flags), want);
            assert_int_equal(
                policy_reuse(&route,
                    &(struct entry){.magic = ENTRY_MAGIC,
                        .flags = v.flags & ENTRY_FLAGS_ALL,
                        .tight = {.created_ms = NOW_MS, .fresh_for_ms = 1}},
                    &request.reuse, NOW_MS) == REUSE_FRESH,
                want);
        }
    }
}

static void
set_cookie_is_stored_or_dropped_as_the_route_says(void **state)
{
    struct route route = given_route();
    const struct policy_request request = {.storable = {.method = METHOD_GET}};
    struct policy_verdict v;

    (void)state;
    route.set_cookie = ROUTE_SET_COOKIE_STRIP;
    v = store(&route, &request, 200, LEN0 "Set-Cookie: a=b\r\n");
    assert_true(v.is_storable);
    assert_true(v.drops_set_cookie);
    route.set_cookie = ROUTE_SET_COOKIE_STORE;
    v = store(&route, &request, 200, LEN0 "Set-Cookie: a=b\r\n");
    assert_true(v.is_storable);
    assert_false(v.drops_set_cookie);
}

static void
jitter_shortens_a_route_s_ttl_and_nothing_else(void **state)
{
    struct route route = given_route();
    const struct policy_request request = {.storable = {.method = METHOD_GET}};
    int64_t least = INT64_MAX;
    int64_t most = 0;

    (void)state;
    route.ttl_jitter_percent = 10;
    for (uint64_t jitter = 0; jitter < 100000; jitter += 77) {
        struct policy_verdict v;
        int64_t ttl_ms;
        policy_store(&route, &request, given_answer(METHOD_GET, 200, LEN0),
            &(struct policy_times){NOW_MS, NOW_MS, jitter}, &v);
        ttl_ms = v.fresh_until_ms - NOW_MS;
        least = ttl_ms < least ? ttl_ms : least;
        most = ttl_ms > most ? ttl_ms : most;
        policy_store(&route, &request,
            given_answer(METHOD_GET, 200, CC("max-age=60")),
            &(struct policy_times){NOW_MS, NOW_MS, jitter}, &v);
        assert_int_equal(v.fresh_until_ms, NOW_MS + 60000);
    }
    assert_in_range(least, TTL_MS * 9 / 10, TTL_MS * 91 / 100);
    assert_int_equal(most, TTL_MS);
}

static void
an_entry_is_kept_while_it_may_stand_in_or_be_validated(void **state)
{
    static const struct {
        const char *fields;
        bool honours_client;
        int64_t kept_s; /* from now; 0: not stored */
    } rows[] = {
        {CC("max-age=60"), false, 61}, /* the route's grace */
        {CC("max-age=60") "ETag: \"a\"\r\n", false, 70},
        {CC("max-age=60") "Last-Modified: x\r\n", false, 70},
        {CC("max-age=60"), true, 70}, /* for a client's max-stale */
        {CC("max-age=60, stale-while-revalidate=5"), false, 65},
        {CC("max-age=60, stale-if-error=7"), false, 67},
        {CC("max-age=60, stale-if-error=7") "ETag: \"a\"\r\n", false, 70},
        {CC("max-age=60, stale-if-error=20") "ETag: \"a\"\r\n", false, 80},
        /* Over when it came: kept from its receipt on. */
        {CC("max-age=5") "Age: 100\r\nETag: \"a\"\r\n", false, 10},
        {CC("max-age=5") "Age: 100\r\n", false, 0},
        {CC("max-age=5, stale-if-error=100") "Age: 100\r\n", false, 5},
    };
    struct route route = given_route();
    const struct policy_request request = {.storable = {.method = METHOD_GET}};

    (void)state;
    route.grace_ms = 1000;
    route.keep_ms = 10000;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct policy_verdict v;
        route.honours_client = rows[i].honours_client;
        v = store(&route, &request, 200, rows[i].fields);
        assert_int_equal(v.is_storable, rows[i].kept_s > 0);
        if (v.is_storable &&
            v.stale_until_ms - NOW_MS != rows[i].kept_s * 1000) {
            fail_msg("%s: %lld ms", rows[i].fields,
                (long long)(v.stale_until_ms - NOW_MS));
        }
    }
}

static void
age_counts_from_before_the_exchange(void **state)
{
    const struct route route = given_route();
    const struct policy_request request = {.storable = {.method = METHOD_GET}};
    struct policy_verdict v;

    (void)state;
    v = store(&route, &request, 200, CC("max-age=60") "Age: 20\r\n");
    assert_int_equal(v.created_ms, NOW_MS - 20000);
    /* The exchange took 5 s, and the response may have been made at its
       beginning (RFC 9111 4.2.3). */
    policy_store(&route, &request,
        given_answer(METHOD_GET, 200, CC("max-age=60") "Age: 20\r\n"),
        &(struct policy_times){NOW_MS - 5000, NOW_MS, 0}, &v);
    assert_int_equal(v.created_ms, NOW_MS - 25000);
    assert_int_equal(v.fresh_until_ms, NOW_MS + 35000);
}

static void
a_status_that_the_route_names_has_a_lifetime_of_its_own(void **state)
{
    static const struct route_status_ttl ttls[] = {
        {404, 5000}, {200, 7000}, {410, 0}, {503, 9000}};
    static const struct {
        unsigned status;
        int64_t ttl_ms; /* 0: not stored */
    } rows[] = {
        {404, 5000}, {200, 7000}, {301, TTL_MS}, {410, 0}, {503, 0}, {500, 0}};
    struct route route = given_route();
    const struct policy_request request = {.storable = {.method = METHOD_GET}};

    (void)state;
    route.status_ttls = ttls;
    route.status_ttls_len = 3; /* the last one is no more the route's */
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct policy_verdict v =
            store(&route, &request, rows[i].status, "Content-Length: 1\r\n");

        if (v.is_storable != (rows[i].ttl_ms > 0)) {
            fail_msg("%u: %s", rows[i].status, v.detail);
        }
        if (v.is_storable) {
            assert_true(v.fresh_until_ms == NOW_MS + rows[i].ttl_ms);
        }
    }
    assert_true(store(&route, &request, 404, CC("max-age=1")).fresh_until_ms ==
                NOW_MS + 1000);
}

static void
what_a_route_keys_may_be_varied_by(void **state)
{
    static const enum route_credential hows[] = {
        ROUTE_CREDENTIAL_KEY, ROUTE_CREDENTIAL_AUTO, ROUTE_CREDENTIAL_IGNORE};
    const struct policy_request request = {.storable = {.method = METHOD_GET}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hows); i++) {
        struct route route = given_route();

        route.cookie = hows[i];
        assert_int_equal(
            store(&route, &request, 200, CC("max-age=1") "Vary: Cookie\r\n")
                .is_storable,
            hows[i] == ROUTE_CREDENTIAL_KEY);
        assert_false(store(
            &route, &request, 200, CC("max-age=1") "Vary: Authorization\r\n")
                         .is_storable);
        route = given_route();
        route.authorization = hows[i];
        assert_int_equal(store(&route, &request, 200,
                             CC("max-age=1") "Vary: Authorization\r\n")
                             .is_storable,
            hows[i] == ROUTE_CREDENTIAL_KEY);
        assert_false(
            store(&route, &request, 200, CC("max-age=1") "Vary: Cookie\r\n")
                .is_storable);
    }
}

static void
windows_are_those_that_the_response_states(void **state)
{
    struct route route = given_route();
    const struct policy_request request = {.storable = {.method = METHOD_GET}};
    struct policy_verdict v;

    (void)state;
    v = store(&route, &request, 200,
        CC("max-age=1, stale-while-revalidate=7, stale-if-error=9"));
    assert_true(v.while_ms == 7000);
    assert_true(v.if_error_ms == 9000);
    assert_true(v.received_ms == NOW_MS);
    assert_true(v.created_ms == NOW_MS);
}

static void
what_forbids_stale_answers_is_noted(void **state)
{
    const struct {
        const char *fields;
        bool must_revalidate;
        bool is_shareable;
    } rows[] = {
        {CC("max-age=1"), false, false},
        {CC("max-age=1, must-revalidate"), true, false},
        {CC("max-age=1, proxy-revalidate"), true, false},
        {CC("s-maxage=1"), true, true},
        {CC("public, max-age=1"), false, true},
        {CC("s-maxage=1, stale-if-error=1"), true, true},
    };
    struct route route = given_route();
    struct policy_request request = {.storable = {.method = METHOD_GET}};
    struct policy_verdict windows;

    (void)state;
    windows = store(
        &route, &request, 200, CC("s-maxage=1, stale-while-revalidate=1"));
    assert_true((windows.flags & ENTRY_WINDOWS) != 0);
    request.storable.has_authorization = true;
    windows = store(
        &route, &request, 200, CC("s-maxage=1, stale-while-revalidate=1"));
    assert_true(windows.is_storable);
    assert_false((windows.flags & ENTRY_WINDOWS) != 0);
    request.storable.has_authorization = false;
    route.is_rfc = true;
    windows = store(
        &route, &request, 200, CC("s-maxage=1, stale-while-revalidate=1"));
    assert_false((windows.flags & ENTRY_WINDOWS) != 0);
    route.is_rfc = false;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct policy_verdict v = store(&route, &request, 200, rows[i].fields);
        assert_int_equal(
            (v.flags & ENTRY_NEVER_STALE) != 0, rows[i].must_revalidate);
        assert_int_equal(
            (v.flags & ENTRY_SHAREABLE) != 0, rows[i].is_shareable);
    }
}

static void
methods_are_safe_and_idempotent_as_the_rfc_says(void **state)
{
    const struct {
        enum method method;
        bool is_safe;
        bool is_idempotent;
    } rows[] = {
        {METHOD_GET, true, true},
        {METHOD_HEAD, true, true},
        {METHOD_OPTIONS, true, true},
        {METHOD_TRACE, true, true},
        {METHOD_PUT, false, true},
        {METHOD_DELETE, false, true},
        {METHOD_POST, false, false},
        {METHOD_PATCH, false, false},
        {METHOD_CONNECT, false, false},
        {METHOD_OTHER, false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(method_is_safe(rows[i].method), rows[i].is_safe);
        assert_int_equal(
            policy_is_idempotent(rows[i].method), rows[i].is_idempotent);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_may_overrule_all_that_is_nobody_s_own),
        cmocka_unit_test(a_request_that_no_entry_may_answer_is_bypassed),
        cmocka_unit_test(a_route_that_passes_bypasses_everything),
        cmocka_unit_test(credentials_are_served_as_the_route_says),
        cmocka_unit_test(named_fields_are_credentials_too),
        cmocka_unit_test(only_if_cached_is_read),
        cmocka_unit_test(
            a_response_is_stored_by_its_own_word_or_the_route_s_ttl),
        cmocka_unit_test(what_a_response_forbids_is_not_stored),
        cmocka_unit_test(
            errors_need_the_origin_s_word_and_most_are_never_stored),
        cmocka_unit_test(
            with_credentials_only_what_is_marked_shareable_is_stored),
        cmocka_unit_test(a_forced_ttl_is_not_forced_on_credentials),
        cmocka_unit_test(a_bypassed_request_stores_nothing),
        cmocka_unit_test(bounds_hold_for_any_freshness_there_is),
        cmocka_unit_test(
            authorized_answers_are_shared_by_public_and_s_maxage_but_under_rfc),
        cmocka_unit_test(set_cookie_is_stored_or_dropped_as_the_route_says),
        cmocka_unit_test(jitter_shortens_a_route_s_ttl_and_nothing_else),
        cmocka_unit_test(
            an_entry_is_kept_while_it_may_stand_in_or_be_validated),
        cmocka_unit_test(age_counts_from_before_the_exchange),
        cmocka_unit_test(
            a_status_that_the_route_names_has_a_lifetime_of_its_own),
        cmocka_unit_test(what_a_route_keys_may_be_varied_by),
        cmocka_unit_test(windows_are_those_that_the_response_states),
        cmocka_unit_test(what_forbids_stale_answers_is_noted),
        cmocka_unit_test(methods_are_safe_and_idempotent_as_the_rfc_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
