/* May a stored response be used now? */
#include "nearside/http/reuse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "http_given.h"
#include "nearside/base/check.h"

enum {
    CREATED_MS = 1000000,
    LIFETIME_MS = 60000,
};

static const char *const names[] = {
    [REUSE_FRESH] = "fresh",
    [REUSE_STALE] = "stale",
    [REUSE_BACKGROUND] = "background",
    [REUSE_VALIDATE] = "validate",
    [REUSE_REQUEST] = "request",
    [REUSE_MISS] = "miss",
    [REUSE_UNAVAILABLE] = "unavailable",
};

/* Stored with these directives, fresh for a minute from CREATED_MS on. */
static struct reuse_stored
given_stored(const char *directives)
{
    struct reuse_stored stored = {
        .created_ms = CREATED_MS,
        .fresh_until_ms = CREATED_MS + LIFETIME_MS,
    };
    struct cache_control cc;

    cache_control_init(&cc);
    cache_control_add(&cc, slice_of_str(directives));
    reuse_read_stored(&cc, false, &stored);
    return stored;
}

/* The same, where windows beside s-maxage count. */
static struct reuse_stored
given_with_windows(const char *directives)
{
    struct reuse_stored stored = given_stored("");
    struct cache_control cc;

    cache_control_init(&cc);
    cache_control_add(&cc, slice_of_str(directives));
    reuse_read_stored(&cc, true, &stored);
    return stored;
}

static struct reuse_request
given_asked(const char *fields, bool honours)
{
    struct reuse_request request;

    reuse_read_request(given_request("GET /", fields), honours, &request);
    return request;
}

/* age_s: of the stored response when it is asked for. */
struct row {
    const char *stored;
    const char *fields; /* of the request */
    int age_s;
    enum reuse ignored; /* client_cache_control = ignore */
    enum reuse honoured;
};

static void
expect(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct reuse_stored stored = given_stored(rows[i].stored);
        int64_t now_ms = CREATED_MS + rows[i].age_s * INT64_C(1000);
        for (int honours = 0; honours < 2; honours++) {
            struct reuse_request request =
                given_asked(rows[i].fields, honours == 1);
            enum reuse want = honours == 1 ? rows[i].honoured : rows[i].ignored;
            enum reuse got = reuse_decide(&stored, &request, now_ms);
            if (got != want) {
                fail_msg("row %zu [%s] asked [%s] at %d, %s: %s, not %s", i,
                    rows[i].stored, rows[i].fields, rows[i].age_s,
                    honours == 1 ? "honoured" : "ignored", names[got],
                    names[want]);
            }
        }
    }
}

#define EXPECT(rows)            expect(rows, ARRAY_LEN(rows))
#define BOTH(verdict)           REUSE_##verdict, REUSE_##verdict
#define EACH(ignored, honoured) REUSE_##ignored, REUSE_##honoured
#define CC(list)                "Cache-Control: " list "\r\n"

/* RFC 9111 4.2 */
static void
a_response_is_fresh_while_its_lifetime_exceeds_its_age(void **state)
{
    static const struct row rows[] = {
        {"", "", 0, BOTH(FRESH)}, {"", "", 59, BOTH(FRESH)},
        {"", "", 60, BOTH(VALIDATE)}, {"", "", 100000, BOTH(VALIDATE)},
        {"", "", -5, BOTH(FRESH)}, /* the clock was set back */
    };
    struct reuse_stored stored = given_stored("");

    (void)state;
    EXPECT(rows);
    assert_true(reuse_age_s(&stored, CREATED_MS - 1) == 0);
    assert_true(reuse_age_s(&stored, CREATED_MS + 999) == 0);
    assert_true(reuse_age_s(&stored, CREATED_MS + 61000) == 61);
}

/* RFC 9111 4, 5.2.2.4 */
static void
no_cache_is_validated_at_each_use(void **state)
{
    static const struct row rows[] = {
        {"no-cache", "", 0, BOTH(VALIDATE)},
        {"no-cache=\"x\"", "", 0, BOTH(VALIDATE)},
        {"no-cache, stale-while-revalidate=60", "", 61, BOTH(VALIDATE)},
        {"no-cache, immutable", "", 0, BOTH(VALIDATE)},
        {"no-cache", CC("max-stale"), 61, BOTH(VALIDATE)},
    };

    (void)state;
    EXPECT(rows);
}

/* RFC 5861 3, RFC 9111 4.2.4 */
static void
stale_while_revalidate_serves_stale_unless_that_is_forbidden(void **state)
{
#define SWR "stale-while-revalidate=30"
    static const struct row rows[] = {
        {SWR, "", 59, BOTH(FRESH)},
        {SWR, "", 60, BOTH(BACKGROUND)},
        {SWR, "", 89, BOTH(BACKGROUND)},
        {SWR, "", 90, BOTH(VALIDATE)},
        {SWR ", must-revalidate", "", 61, BOTH(VALIDATE)},
        {SWR ", proxy-revalidate", "", 61, BOTH(VALIDATE)},
        {SWR ", s-maxage=60", "", 61, BOTH(VALIDATE)},
        {"stale-if-error=30", "", 61, BOTH(VALIDATE)},
        {SWR, CC("no-cache"), 61, EACH(BACKGROUND, VALIDATE)},
        {SWR, CC("max-age=100"), 61, EACH(BACKGROUND, VALIDATE)},
        {SWR, CC("min-fresh=0"), 61, EACH(BACKGROUND, VALIDATE)},
        {SWR, CC("min-fresh=1"), 61, EACH(BACKGROUND, VALIDATE)},
        {SWR, CC("no-store"), 61, BOTH(BACKGROUND)},
    };

    (void)state;
    EXPECT(rows);
}

/* Its own windows are all that s-maxage gives way to. */
static void
a_window_beside_s_maxage_counts_where_that_is_wanted(void **state)
{
    static const struct {
        const char *stored;
        const char *fields;
        int age_s;
        enum reuse reuse;
        bool on_error; /* with a grace of 100 s */
    } rows[] = {
        {"s-maxage=60, " SWR, "", 59, REUSE_FRESH, true},
        {"s-maxage=60, " SWR, "", 61, REUSE_BACKGROUND, true},
        {"s-maxage=60, " SWR, "", 90, REUSE_VALIDATE, false},
        {"s-maxage=60, stale-if-error=30", "", 61, REUSE_VALIDATE, true},
        {"s-maxage=60, stale-if-error=30", "", 90, REUSE_VALIDATE, false},
        {"s-maxage=60, stale-if-error=0", "", 61, REUSE_VALIDATE, false},
        {"s-maxage=60", "", 61, REUSE_VALIDATE, false},
        {"s-maxage=60, " SWR ", must-revalidate", "", 61, REUSE_VALIDATE,
            false},
        {"s-maxage=60, " SWR ", proxy-revalidate", "", 61, REUSE_VALIDATE,
            false},
        {"s-maxage=60, " SWR, CC("max-stale=100"), 61, REUSE_BACKGROUND, true},
        {"s-maxage=60, " SWR, CC("max-stale=100"), 91, REUSE_VALIDATE, false},
        {"s-maxage=60, " SWR, CC("stale-if-error=100"), 91, REUSE_VALIDATE,
            false},
        {"max-age=60, " SWR, "", 91, REUSE_VALIDATE, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct reuse_stored stored = given_with_windows(rows[i].stored);
        const struct reuse_request request = given_asked(rows[i].fields, true);
        const int64_t now_ms = CREATED_MS + rows[i].age_s * INT64_C(1000);

        stored.grace_ms = 100000;
        if (reuse_decide(&stored, &request, now_ms) != rows[i].reuse ||
            reuse_is_allowed_on_error(&stored, &request, now_ms) !=
                rows[i].on_error) {
            fail_msg("row %zu", i);
        }
    }
}

/* RFC 9111 5.2.1.1, 5.2.1.3, 5.2.1.4, 5.4 */
static void
a_request_may_want_more_than_fresh_where_it_is_honoured(void **state)
{
    static const struct row rows[] = {
        {"", CC("no-cache"), 0, EACH(FRESH, REQUEST)},
        {"", "Pragma: no-cache\r\n", 0, EACH(FRESH, REQUEST)},
        {"", "Pragma: x, No-Cache\r\n", 0, EACH(FRESH, REQUEST)},
        {"", "Pragma: no-cache=x\r\n", 0, BOTH(FRESH)},
        {"", "Pragma: no-cache\r\n" CC("max-age=60"), 0, BOTH(FRESH)},
        {"", CC("max-age=0"), 0, BOTH(FRESH)},
        {"", CC("max-age=0"), 1, EACH(FRESH, REQUEST)},
        {"", CC("max-age=10"), 10, BOTH(FRESH)},
        {"", CC("max-age=10"), 11, EACH(FRESH, REQUEST)},
        {"", CC("max-age=x"), 1, EACH(FRESH, REQUEST)},
        {"", CC("min-fresh=10"), 50, BOTH(FRESH)},
        {"", CC("min-fresh=10"), 51, EACH(FRESH, REQUEST)},
        {"", CC("min-fresh=x"), 0, EACH(FRESH, REQUEST)},
        {"", CC("no-store"), 0, BOTH(FRESH)}, /* 5.2.1.5: of what comes */
        {"", CC("no-transform"), 0, BOTH(FRESH)},
    };

    (void)state;
    EXPECT(rows);
}

/* RFC 9111 5.2.1.2, 4.2.4 */
static void
max_stale_takes_stale_unless_the_origin_forbids_it(void **state)
{
    static const struct row rows[] = {
        {"", CC("max-stale"), 60, EACH(VALIDATE, STALE)},
        {"", CC("max-stale"), 100000, EACH(VALIDATE, STALE)},
        {"", CC("max-stale=10"), 70, EACH(VALIDATE, STALE)},
        {"", CC("max-stale=10"), 71, EACH(VALIDATE, VALIDATE)},
        {"", CC("max-stale=x"), 61, BOTH(VALIDATE)},
        {"must-revalidate", CC("max-stale"), 60, BOTH(VALIDATE)},
        {"proxy-revalidate", CC("max-stale"), 60, BOTH(VALIDATE)},
        {"s-maxage=60", CC("max-stale"), 60, BOTH(VALIDATE)},
        {"", CC("max-stale, no-cache"), 60, BOTH(VALIDATE)},
        {"", CC("max-stale, min-fresh=1"), 60, BOTH(VALIDATE)},
        {"", CC("max-stale, max-age=65"), 65, EACH(VALIDATE, STALE)},
        {"", CC("max-stale, max-age=65"), 66, BOTH(VALIDATE)},
        {SWR, CC("max-stale=5"), 70, BOTH(BACKGROUND)},
    };

    (void)state;
    EXPECT(rows);
}

/* RFC 8246 2, 2.1 */
static void
immutable_spares_a_reload_but_not_a_forced_one(void **state)
{
    static const struct row rows[] = {
        {"immutable", CC("max-age=0"), 30, BOTH(FRESH)},
        {"immutable", CC("no-cache"), 30, EACH(FRESH, REQUEST)},
        {"immutable", CC("max-age=0"), 60, BOTH(VALIDATE)},
        {"immutable", CC("min-fresh=31"), 30, EACH(FRESH, REQUEST)},
    };

    (void)state;
    EXPECT(rows);
}

/* RFC 9111 5.2.1.7 */
static void
only_if_cached_is_always_honoured(void **state)
{
#define ONLY CC("only-if-cached")
    static const struct row rows[] = {
        {"", ONLY, 0, BOTH(FRESH)},
        {"", ONLY, 60, BOTH(UNAVAILABLE)},
        {"no-cache", ONLY, 0, BOTH(UNAVAILABLE)},
        {SWR, ONLY, 61, BOTH(BACKGROUND)},
        {"", CC("only-if-cached, max-stale"), 61, EACH(UNAVAILABLE, STALE)},
        {"", CC("only-if-cached, no-cache"), 0, EACH(FRESH, UNAVAILABLE)},
    };

    (void)state;
    EXPECT(rows);
}

/* RFC 9111 3.5 */
static void
a_request_with_credentials_gets_only_what_is_marked_shareable(void **state)
{
    static const struct {
        const char *stored;
        enum reuse credentials;
        enum reuse authorization;
    } rows[] = {
        {"max-age=60", REUSE_MISS, REUSE_MISS},
        {"public", REUSE_FRESH, REUSE_FRESH},
        {"s-maxage=60", REUSE_FRESH, REUSE_FRESH},
        {"must-revalidate", REUSE_MISS, REUSE_FRESH},
        {"proxy-revalidate", REUSE_MISS, REUSE_MISS},
        {"public=x", REUSE_MISS, REUSE_MISS},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct reuse_stored stored = given_stored(rows[i].stored);
        struct reuse_request request = given_asked("", false);
        request.has_credentials = true;
        assert_int_equal(
            reuse_decide(&stored, &request, CREATED_MS), rows[i].credentials);
        assert_int_equal(
            reuse_is_allowed_on_error(&stored, &request, CREATED_MS),
            rows[i].credentials == REUSE_FRESH);
        request.has_credentials = false;
        request.has_authorization = true;
        assert_int_equal(
            reuse_decide(&stored, &request, CREATED_MS), rows[i].authorization);
    }
}

/* RFC 5861 4, RFC 9111 4.2.4, 5.2.2.2 */
static void
when_the_origin_fails_stale_stands_in_within_its_windows(void **state)
{
    static const struct {
        const char *stored;
        const char *fields;
        int grace_s;
        int age_s;
        bool ignored;
        bool honoured;
    } rows[] = {
        {"", "", 0, 59, true, true},
        {"", "", 0, 60, false, false},
        {"", "", 10, 69, true, true},
        {"", "", 10, 70, false, false},
        {"stale-if-error=10", "", 0, 69, true, true},
        {"stale-if-error=10", "", 0, 70, false, false},
        {"stale-if-error=5", "", 10, 69, true, true},
        {"stale-if-error=10", "", 5, 69, true, true},
        {SWR, "", 0, 89, true, true},
        {SWR, "", 0, 90, false, false},
        {"", CC("stale-if-error=10"), 0, 69, false, true},
        {"", CC("stale-if-error=10"), 0, 70, false, false},
        {"must-revalidate, stale-if-error=10", "", 10, 59, true, true},
        {"must-revalidate, stale-if-error=10", "", 10, 60, false, false},
        {"proxy-revalidate", "", 10, 60, false, false},
        {"s-maxage=60", "", 10, 60, false, false},
        {"no-cache", "", 10, 0, false, false},
        {"", CC("no-cache"), 10, 0, true, false},
        {"", CC("no-cache"), 10, 61, true, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct reuse_stored stored = given_stored(rows[i].stored);
        int64_t now_ms = CREATED_MS + rows[i].age_s * INT64_C(1000);
        stored.grace_ms = rows[i].grace_s * INT64_C(1000);
        for (int honours = 0; honours < 2; honours++) {
            struct reuse_request request =
                given_asked(rows[i].fields, honours == 1);
            bool got = reuse_is_allowed_on_error(&stored, &request, now_ms);
            if (got != (honours == 1 ? rows[i].honoured : rows[i].ignored)) {
                fail_msg("row %zu, honours %d: %d", i, honours, got);
            }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_response_is_fresh_while_its_lifetime_exceeds_its_age),
        cmocka_unit_test(no_cache_is_validated_at_each_use),
        cmocka_unit_test(
            stale_while_revalidate_serves_stale_unless_that_is_forbidden),
        cmocka_unit_test(a_window_beside_s_maxage_counts_where_that_is_wanted),
        cmocka_unit_test(
            a_request_may_want_more_than_fresh_where_it_is_honoured),
        cmocka_unit_test(max_stale_takes_stale_unless_the_origin_forbids_it),
        cmocka_unit_test(immutable_spares_a_reload_but_not_a_forced_one),
        cmocka_unit_test(only_if_cached_is_always_honoured),
        cmocka_unit_test(
            a_request_with_credentials_gets_only_what_is_marked_shareable),
        cmocka_unit_test(
            when_the_origin_fails_stale_stands_in_within_its_windows),
    };

    return cmocka_run_group_tests_name("http reuse", tests, NULL, NULL);
}
