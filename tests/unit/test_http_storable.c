/* What may be stored, and why not. */
#include "nearside/http/storable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "http_given.h"
#include "nearside/base/check.h"

/* 784111777: Sun, 06 Nov 1994 08:49:37 GMT. */
#define T0       INT64_C(784111777)
#define CC(list) "Cache-Control: " list "\r\n"
#define FRESH    CC("max-age=60")
#define ETAG     "ETag: \"1\"\r\n"
#define COOKIE   "Set-Cookie: a=b\r\n"

/* What is asked, with what is usual where a row says nothing. */
struct given {
    unsigned status;    /* 0: 200 */
    enum method method; /* METHOD_OTHER: GET */
    bool has_authorization;
    bool has_credentials;
    bool no_store;
    bool has_ttl;
    bool has_status_ttl;
    enum rc vary;
    bool is_close;
};

static enum storable
decide(const struct storable_opts *opts, const struct given *given,
    const char *fields)
{
    char text[1024];
    enum method method =
        given->method == METHOD_OTHER ? METHOD_GET : given->method;
    unsigned status = given->status == 0 ? 200 : given->status;
    const struct fresh_times times = {T0 * 1000, T0 * 1000};
    const struct fresh_opts fresh_opts = {0};
    const struct storable_request request = {
        .method = method,
        .has_authorization = given->has_authorization,
        .has_credentials = given->has_credentials,
        .no_store = given->no_store,
        .scheme = SLICE("http"),
        .host = SLICE("a.example"),
        .target = SLICE("/a?b"),
    };
    struct storable_response response = {
        .has_ttl = given->has_ttl,
        .has_status_ttl = given->has_status_ttl,
        .vary = given->vary,
    };
    struct cache_control cc;
    struct fresh fresh;

    snprintf(text, sizeof(text), "%s%s",
        given->is_close || status < 200 || status == 204 || status == 304
            ? ""
            : "Content-Length: 0\r\n",
        fields);
    response.head = given_answer(method, status, text);
    cache_control_parse(response.head, FIELD_CACHE_CONTROL, &cc);
    fresh_compute(response.head, &cc, &times, &fresh_opts, &fresh);
    response.cc = &cc;
    response.fresh = &fresh;
    return storable_decide(opts, &request, &response);
}

struct row {
    struct given given;
    const char *fields;
    enum storable safe;
    enum storable rfc;
};

static const char *
name_of(enum storable verdict)
{
    const char *detail = storable_detail(verdict);

    return detail == NULL ? "yes" : detail;
}

static void
expect(const struct row *rows, size_t count)
{
    const struct storable_opts safe = {0};
    const struct storable_opts rfc = {
        .is_rfc = true, .set_cookie = true, .honours_request = true};

    for (size_t i = 0; i < count; i++) {
        enum storable got[2] = {decide(&safe, &rows[i].given, rows[i].fields),
            decide(&rfc, &rows[i].given, rows[i].fields)};
        if (got[0] != rows[i].safe || got[1] != rows[i].rfc) {
            fail_msg("row %zu, %u %s: %s and %s, not %s and %s", i,
                rows[i].given.status, rows[i].fields, name_of(got[0]),
                name_of(got[1]), name_of(rows[i].safe), name_of(rows[i].rfc));
        }
    }
}

/* What was written down is found again, and nothing else. */
static void
a_token_leads_back_to_itself(void **state)
{
    static const char *const others[] = {
        "", "x", "no-stor", "no-store ", "NO-STORE"};

    (void)state;
    for (unsigned i = 0; i <= STORABLE_SIZE; i++) {
        const char *token = storable_detail((enum storable)i);
        if (token != NULL) {
            assert_ptr_equal(storable_detail_of(slice_of_str(token)), token);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_null(storable_detail_of(slice_of_str(others[i])));
    }
}

#define EXPECT(rows)    expect(rows, ARRAY_LEN(rows))
#define BOTH(verdict)   STORABLE_##verdict, STORABLE_##verdict
#define EACH(safe, rfc) STORABLE_##safe, STORABLE_##rfc

/* RFC 9111 3: method; RFC 9110 9.3.3 */
static void
only_get_and_a_post_that_names_its_own_target_are_stored(void **state)
{
#define POST                                                                   \
    {                                                                          \
        .method = METHOD_POST                                                  \
    }
#define AT(uri) "Content-Location: " uri "\r\n"
    static const struct row rows[] = {
        {{0}, FRESH, BOTH(YES)},
        {{.method = METHOD_HEAD}, FRESH, BOTH(METHOD)},
        {{.method = METHOD_PUT}, FRESH AT("/a?b"), BOTH(METHOD)},
        {{.method = METHOD_DELETE}, FRESH AT("/a?b"), BOTH(METHOD)},
        {{.method = METHOD_OPTIONS}, FRESH, BOTH(METHOD)},
        {POST, FRESH, BOTH(METHOD)},
        {POST, FRESH AT("/a?b"), BOTH(YES)},
        {POST, CC("s-maxage=5") AT("/a?b"), BOTH(YES)},
        {POST, FRESH AT("http://a.example/a?b"), BOTH(YES)},
        {POST, FRESH AT("HTTP://A.Example:80/a?b"), BOTH(YES)},
        {POST, FRESH AT("http://a.example:81/a?b"), BOTH(METHOD)},
        {POST, FRESH AT("https://a.example/a?b"), BOTH(METHOD)},
        {POST, FRESH AT("http://b.example/a?b"), BOTH(METHOD)},
        {POST, FRESH AT("http://a"), BOTH(METHOD)},
        {POST, FRESH AT("http://x@a.example/a?b"), BOTH(METHOD)},
        {POST, FRESH AT("http:/a?b"), BOTH(METHOD)},
        {POST, FRESH AT("http:///a?b"), BOTH(METHOD)},
        {POST, FRESH AT("/a?c"), BOTH(METHOD)},
        {POST, FRESH AT("/a"), BOTH(METHOD)},
        {POST, FRESH AT("/a?b") AT("/a?b"), BOTH(METHOD)},
        {POST, AT("/a?b") ETAG, BOTH(METHOD)},
        {POST, CC("public") AT("/a?b"), BOTH(METHOD)},
        {{.method = METHOD_POST, .has_ttl = true}, AT("/a?b"), BOTH(METHOD)},
        {{.method = METHOD_POST, .status = 201}, FRESH AT("/a?b"),
            BOTH(METHOD)},
    };

    (void)state;
    EXPECT(rows);
}

/* RFC 9111 3, 3.3 */
static void
parts_interim_and_conditional_answers_are_never_stored(void **state)
{
    static const struct row rows[] = {
        {{.status = 103}, FRESH, BOTH(INTERIM)},
        {{.status = 206}, FRESH, BOTH(PARTIAL)},
        {{.status = 206}, FRESH "Content-Range: bytes 0-0/1\r\n",
            BOTH(PARTIAL)},
        {{.status = 200}, FRESH "Content-Range: bytes 0-0/1\r\n",
            EACH(PARTIAL, YES)},
        {{.status = 416}, FRESH, BOTH(PARTIAL)},
        {{.status = 304}, FRESH, BOTH(CONDITION)},
        {{.status = 412}, FRESH, BOTH(CONDITION)},
        {{.status = 416, .has_status_ttl = true}, "", BOTH(PARTIAL)},
    };

    (void)state;
    EXPECT(rows);
}

/* RFC 9111 3, 5.2.2.5, 5.2.2.7 */
static void
no_store_and_private_forbid_in_either_form(void **state)
{
    static const struct row rows[] = {
        {{0}, CC("no-store, max-age=60"), BOTH(NO_STORE)},
        {{0}, CC("max-age=60") CC("NO-STORE"), BOTH(NO_STORE)},
        {{0}, CC("public, no-store"), BOTH(NO_STORE)},
        {{0}, CC("private, max-age=60"), BOTH(PRIVATE)},
        {{0}, CC("private=\"x\", max-age=60"), BOTH(PRIVATE)},
        {{0}, CC("public, private, s-maxage=60"), BOTH(PRIVATE)},
        {{.has_ttl = true}, CC("no-store"), BOTH(NO_STORE)},
        {{.has_status_ttl = true}, CC("private"), BOTH(PRIVATE)},
    };

    (void)state;
    EXPECT(rows);
}

/* RFC 9111 5.2.2.3 */
static void
must_understand_lifts_no_store_where_the_status_is_understood(void **state)
{
#define UNDERSTAND CC("must-understand, no-store, max-age=60")
    static const struct row rows[] = {
        {{0}, UNDERSTAND, BOTH(YES)},
        {{.status = 404}, UNDERSTAND, BOTH(YES)},
        {{.status = 299}, UNDERSTAND, BOTH(NOT_UNDERSTOOD)},
        {{.status = 299}, CC("must-understand, max-age=60"),
            BOTH(NOT_UNDERSTOOD)},
        {{.status = 599}, UNDERSTAND, BOTH(NOT_UNDERSTOOD)},
        {{.status = 306}, UNDERSTAND, BOTH(NOT_UNDERSTOOD)},
        {{.status = 418}, UNDERSTAND, BOTH(NOT_UNDERSTOOD)},
        {{.status = 302}, UNDERSTAND, EACH(STATUS, YES)},
        {{.status = 201}, UNDERSTAND, EACH(STATUS, YES)},
        {{.status = 205}, UNDERSTAND, EACH(STATUS, YES)},
        {{.status = 307}, UNDERSTAND, EACH(STATUS, YES)},
        {{.status = 417}, UNDERSTAND, EACH(STATUS, YES)},
        {{.status = 421}, UNDERSTAND, EACH(STATUS, YES)},
        {{.status = 422}, UNDERSTAND, EACH(STATUS, YES)},
        {{.status = 426}, UNDERSTAND, EACH(STATUS, YES)},
        {{.status = 500}, UNDERSTAND, EACH(STATUS, YES)},
        {{.status = 505}, UNDERSTAND, EACH(STATUS, YES)},
        {{0}, CC("must-understand, no-store, private, max-age=60"),
            BOTH(PRIVATE)},
        {{0}, CC("must-understand=x, no-store, max-age=60"), BOTH(NO_STORE)},
        {{0}, CC("must-understand, max-age=60, x=\"no-store"), BOTH(PRIVATE)},
    };

    (void)state;
    EXPECT(rows);
}

/* RFC 9111 3.5 */
static void
an_authorized_answer_needs_public_s_maxage_or_must_revalidate(void **state)
{
#define AUTH                                                                   \
    {                                                                          \
        .has_authorization = true                                              \
    }
    static const struct row rows[] = {
        {AUTH, FRESH, BOTH(AUTHORIZATION)},
        {AUTH, "Expires: Mon, 07 Nov 1994 08:49:37 GMT\r\n",
            BOTH(AUTHORIZATION)},
        {AUTH, CC("max-age=60, proxy-revalidate"), BOTH(AUTHORIZATION)},
        {AUTH, CC("max-age=60, public"), BOTH(YES)},
        {AUTH, CC("s-maxage=60"), BOTH(YES)},
        /* Which says nothing of others: it is the RFC's word alone. */
        {AUTH, CC("max-age=60, must-revalidate"), EACH(AUTHORIZATION, YES)},
        {AUTH, CC("max-age=60, public=x"), BOTH(AUTHORIZATION)},
        {AUTH, CC("public, private, max-age=60"), BOTH(PRIVATE)},
        {{.has_authorization = true, .has_ttl = true}, "", BOTH(AUTHORIZATION)},
    };

    (void)state;
    EXPECT(rows);
}

static void
with_other_credentials_the_origin_must_say_that_it_is_shareable(void **state)
{
#define CREDENTIALS                                                            \
    {                                                                          \
        .has_credentials = true                                                \
    }
    static const struct row rows[] = {
        {CREDENTIALS, FRESH, EACH(CREDENTIALS, YES)},
        {CREDENTIALS, CC("max-age=60, must-revalidate"),
            EACH(CREDENTIALS, YES)},
        {CREDENTIALS, CC("max-age=60, public"), BOTH(YES)},
        {CREDENTIALS, CC("s-maxage=60"), BOTH(YES)},
        {{.has_credentials = true, .has_ttl = true}, "",
            EACH(CREDENTIALS, YES)},
        /* A lifetime of the route's is not for them, shareable or not. */
        {{.has_credentials = true, .has_ttl = true}, CC("public"),
            EACH(UNSTATED, YES)},
        {{.has_credentials = true, .has_status_ttl = true}, CC("public"),
            EACH(UNSTATED, YES)},
        {{.has_authorization = true, .has_ttl = true}, CC("public"),
            BOTH(UNSTATED)},

    };

    (void)state;
    EXPECT(rows);
}

static void
what_is_safe_by_default_is_loosened_by_the_rfc_alone(void **state)
{
    static const struct row rows[] = {
        {{0}, FRESH COOKIE, EACH(SET_COOKIE, YES)},
        {{.vary = RC_REFUSED}, FRESH, BOTH(VARY)},
        {{.vary = RC_LIMIT}, FRESH, BOTH(VARY)},
        {{.vary = RC_BAD}, FRESH, BOTH(VARY)},
        {{.is_close = true}, FRESH, BOTH(FRAMING)},
        {{.no_store = true}, FRESH, EACH(YES, REQUEST)},
    };

    (void)state;
    EXPECT(rows);
}

/* RFC 9111 3, last item */
static void
a_stated_lifetime_stores_the_statuses_that_are_safe_or_all(void **state)
{
    static const unsigned safe[] = {200, 203, 204, 300, 301, 308, 404, 410};
    static const unsigned others[] = {201, 202, 205, 299, 302, 303, 307, 400,
        401, 403, 405, 413, 414, 429, 431, 500, 501, 502, 503, 504, 599};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(safe); i++) {
        const struct row row = {{.status = safe[i]}, FRESH, BOTH(YES)};
        expect(&row, 1);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        const struct row row = {
            {.status = others[i]}, FRESH, EACH(STATUS, YES)};
        expect(&row, 1);
    }
}

static void
without_a_lifetime_only_a_ttl_or_a_validator_stores(void **state)
{
#define TTL(code)                                                              \
    {                                                                          \
        .status = code, .has_ttl = true                                        \
    }
#define OWN(code)                                                              \
    {                                                                          \
        .status = code, .has_status_ttl = true                                 \
    }
    static const struct row rows[] = {
        {{0}, "", BOTH(UNSTATED)},
        {{0}, CC("public"), BOTH(UNSTATED)},
        {{0}, ETAG, BOTH(YES)},
        {{0}, "Last-Modified: x\r\n", BOTH(YES)},
        {TTL(200), "", BOTH(YES)},
        {TTL(301), "", BOTH(YES)},
        {TTL(302), "", BOTH(STATUS)},
        {TTL(404), "", EACH(STATUS, UNSTATED)},
        {TTL(404), CC("public"), EACH(STATUS, UNSTATED)},
        {TTL(500), "", BOTH(STATUS)},
        {OWN(404), "", BOTH(YES)},
        {OWN(500), "", BOTH(YES)},
        {OWN(302), "", BOTH(YES)},
        {OWN(200), COOKIE, EACH(SET_COOKIE, YES)},
        /* What the origin states counts, not the route. */
        {TTL(200), CC("max-age=0"), BOTH(STALE)},
        {OWN(404), CC("max-age=0"), BOTH(STALE)},
        {TTL(200), CC("no-cache"), BOTH(NO_CACHE)},
        {TTL(200), "Age: x\r\n", BOTH(STALE)},
    };

    (void)state;
    EXPECT(rows);
}

static void
what_can_never_be_used_without_validation_needs_a_validator(void **state)
{
    static const struct row rows[] = {
        {{0}, CC("max-age=60, no-cache"), BOTH(NO_CACHE)},
        {{0}, CC("max-age=60, no-cache=\"x\""), BOTH(NO_CACHE)},
        {{0}, CC("max-age=60, no-cache") ETAG, BOTH(YES)},
        {{0}, CC("max-age=0"), BOTH(STALE)},
        {{0}, CC("max-age=0") ETAG, BOTH(YES)},
        {{0}, CC("max-age=60") "Age: 59\r\n", BOTH(YES)},
        {{0}, CC("max-age=60") "Age: 60\r\n", BOTH(STALE)},
        {{0}, CC("max-age=60") "Age: -1\r\n", BOTH(STALE)},
        {{0}, CC("max-age=60") "Age: x, 2\r\n", BOTH(STALE)},
        {{0}, CC("max-age=0, stale-while-revalidate=5"), BOTH(YES)},
        {{0}, CC("max-age=0, stale-if-error=5"), BOTH(YES)},
        {{0}, CC("max-age=0, stale-if-error=5") "Age: 5\r\n", BOTH(STALE)},
        {{0}, CC("s-maxage=0, stale-if-error=5"), EACH(YES, STALE)},
        {{0}, CC("s-maxage=0"), BOTH(STALE)},
        {{.has_authorization = true}, CC("s-maxage=0, stale-if-error=5"),
            BOTH(STALE)},
        {{.has_authorization = true},
            CC("public, s-maxage=0, stale-if-error=5"), EACH(YES, STALE)},
        {{0}, CC("max-age=0, stale-if-error=5, must-revalidate"), BOTH(STALE)},
        {{0}, CC("max-age=0, stale-if-error=5, proxy-revalidate"), BOTH(STALE)},
    };

    (void)state;
    EXPECT(rows);
}

/* The least lifetime that a route gives, and how long it lets stale stand in.
 */
static void
a_route_may_have_a_use_for_what_comes_stale(void **state)
{
    static const struct {
        const char *fields;
        int64_t ttl_min_ms;
        int64_t grace_ms;
        enum storable want;
    } rows[] = {
        {CC("max-age=0"), 0, 0, STORABLE_STALE},
        {CC("max-age=0"), 1, 0, STORABLE_YES},
        {CC("max-age=0"), 0, 1, STORABLE_YES},
        {"Expires: 0\r\n", 1, 0, STORABLE_YES},
        {"Expires: 0\r\n", 0, 1, STORABLE_YES},
        {CC("max-age=10") "Age: 20\r\n", 1, 0, STORABLE_YES},
        {CC("max-age=10") "Age: 20\r\n", 0, 10000, STORABLE_STALE},
        {CC("max-age=10") "Age: 20\r\n", 0, 10001, STORABLE_YES},
        {CC("max-age=10") "Age: x\r\n", 0, 1000, STORABLE_STALE},
        {CC("max-age=10") "Age: x\r\n", 1, 0, STORABLE_YES},
        {CC("max-age=0, must-revalidate"), 0, 1, STORABLE_STALE},
        {CC("max-age=0, must-revalidate"), 1, 0, STORABLE_YES},
        {CC("s-maxage=0"), 0, 1, STORABLE_STALE},
        {CC("s-maxage=0, stale-if-error=5") "Age: 5\r\n", 0, 9000,
            STORABLE_STALE},
        {CC("no-cache"), 1, 1, STORABLE_NO_CACHE},
        {"", 1, 1, STORABLE_UNSTATED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct storable_opts opts = {
            .ttl_min_ms = rows[i].ttl_min_ms, .grace_ms = rows[i].grace_ms};
        const struct given nothing = {0};

        if (decide(&opts, &nothing, rows[i].fields) != rows[i].want) {
            fail_msg("row %zu", i);
        }
    }
}

/* RFC 9111 3.1 */
static void
fields_of_this_hop_are_not_stored_and_unknown_ones_are(void **state)
{
    static const struct {
        const char *name;
        bool is_stored;
    } rows[] = {
        {"Connection", false},
        {"X-Hop", false},
        {"Keep-Alive", false},
        {"Proxy-Authenticate", false},
        {"Proxy-Authentication-Info", false},
        {"Proxy-Authorization", false},
        {"Content-Length", false},
        {"Age", false},
        {"Trailer", false},
        {"X-Unknown", true},
        {"Content-Type", true},
        {"Set-Cookie", true},
        {"Cache-Status", true},
        {"Warning", true},
    };
    const struct head *head = given_response(
        "Connection: x-hop\r\nX-Hop: a\r\nKeep-Alive: a\r\n"
        "Proxy-Authenticate: a\r\nProxy-Authentication-Info: a\r\n"
        "Proxy-Authorization: a\r\nContent-Length: 1\r\nAge: 1\r\n"
        "Trailer: a\r\nX-Unknown: a\r\nContent-Type: a\r\nSet-Cookie: a\r\n"
        "Cache-Status: a\r\nWarning: a\r\n");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct field *f =
            head_find_name(head, slice_of_str(rows[i].name));
        assert_non_null(f);
        if (storable_has_field(head, f) != rows[i].is_stored) {
            fail_msg("%s", rows[i].name);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_may_have_a_use_for_what_comes_stale),
        cmocka_unit_test(
            only_get_and_a_post_that_names_its_own_target_are_stored),
        cmocka_unit_test(
            parts_interim_and_conditional_answers_are_never_stored),
        cmocka_unit_test(a_token_leads_back_to_itself),
        cmocka_unit_test(no_store_and_private_forbid_in_either_form),
        cmocka_unit_test(
            must_understand_lifts_no_store_where_the_status_is_understood),
        cmocka_unit_test(
            an_authorized_answer_needs_public_s_maxage_or_must_revalidate),
        cmocka_unit_test(
            with_other_credentials_the_origin_must_say_that_it_is_shareable),
        cmocka_unit_test(what_is_safe_by_default_is_loosened_by_the_rfc_alone),
        cmocka_unit_test(
            a_stated_lifetime_stores_the_statuses_that_are_safe_or_all),
        cmocka_unit_test(without_a_lifetime_only_a_ttl_or_a_validator_stores),
        cmocka_unit_test(
            what_can_never_be_used_without_validation_needs_a_validator),
        cmocka_unit_test(
            fields_of_this_hop_are_not_stored_and_unknown_ones_are),
    };

    return cmocka_run_group_tests_name("http storable", tests, NULL, NULL);
}
