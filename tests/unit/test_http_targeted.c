/* Targeted cache control (RFC 9213). */
#include "nearside/http/targeted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "http_given.h"
#include "nearside/base/check.h"

static const struct slice names[] = {
    {"nearside-cache-control", 22},
    {"cdn-cache-control", 17},
};
static const struct targeted_list list = {names, ARRAY_LEN(names)};

#define CC  "Cache-Control: max-age=1\r\n"
#define CDN "CDN-Cache-Control: "
#define OWN "Nearside-Cache-Control: "

/* RFC 9213 2.2 */
static void
the_first_valid_field_of_the_list_decides_alone(void **state)
{
    static const struct {
        const char *fields;
        bool is_targeted;
        int64_t max_age;
    } rows[] = {
        {"", false, DELTA_ABSENT},
        {CC, false, 1},
        {CC CDN "max-age=2\r\n", true, 2},
        {CDN "max-age=2\r\n" CC, true, 2},
        {CC CDN "max-age=2\r\n" OWN "max-age=3\r\n", true, 3},
        {CC OWN "max-age=3\r\n", true, 3},
        {CC CDN "none\r\n", true, DELTA_ABSENT},
        {CC CDN "max-age=2\r\n" CDN "private\r\n", true, 2},
        {CC CDN "a=1\r\nX: y\r\n" CDN "max-age=2\r\n", true, 2},
        /* Empty or invalid: as though it were not there. */
        {CC CDN "\r\n", false, 1},
        {CC CDN "max-age=2,\r\n", false, 1},
        {CC CDN "max-age = 2\r\n", false, 1},
        {CC CDN "Max-Age=2\r\n", false, 1},
        {CC CDN "max-age=2, &&&\r\n", false, 1},
        {CC CDN "max-age=2 private\r\n", false, 1},
        {CC CDN "max-age=2000000000000000\r\n", false, 1},
        {CC CDN "max-age=2\r\n" CDN "!\r\n", false, 1},
        {CC CDN "max-age=2\r\n" CDN "\r\n", false, 1},
        {CC CDN "max-age=2\r\n" OWN "max-age=\r\n", true, 2},
        /* Not on the list. */
        {CC "Surrogate-Control: max-age=9\r\n", false, 1},
        {CC "X-Cache-Control: max-age=9\r\n", false, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cache_control cc;
        bool got = targeted_read(given_response(rows[i].fields), &list, &cc);
        if (got != rows[i].is_targeted || cc.max_age != rows[i].max_age) {
            fail_msg("%s: %d, %jd", rows[i].fields, got, (intmax_t)cc.max_age);
        }
    }
}

static void
without_a_list_cache_control_counts(void **state)
{
    const struct targeted_list none = {NULL, 0};
    struct cache_control cc;

    (void)state;
    assert_false(
        targeted_read(given_response(CC CDN "max-age=2\r\n"), &none, &cc));
    assert_true(cc.max_age == 1);
    assert_true(targeted_has(&list, SLICE("CDN-Cache-Control")));
    assert_false(targeted_has(&list, SLICE("cache-control")));
    assert_false(targeted_has(&none, SLICE("cdn-cache-control")));
}

static struct cache_control
control_of(const char *value)
{
    char fields[512];
    struct cache_control cc;

    snprintf(fields, sizeof(fields), "Cache-Control: no-store\r\n" CDN "%s\r\n",
        value);
    assert_true(targeted_read(given_response(fields), &list, &cc));
    return cc;
}

/* RFC 9213 2.1, 2.2 */
static void
every_directive_has_its_meaning(void **state)
{
    struct cache_control cc = control_of(
        "max-age=1, s-maxage=2, stale-while-revalidate=3, stale-if-error=4");

    (void)state;
    assert_true(cc.max_age == 1);
    assert_true(cc.s_maxage == 2);
    assert_true(cc.stale_while_revalidate == 3);
    assert_true(cc.stale_if_error == 4);
    assert_true(cc.min_fresh == DELTA_ABSENT);
    assert_false(cc.no_store);
    cc = control_of("no-store, no-cache, private, must-revalidate");
    assert_true(
        cc.no_store && cc.no_cache && cc.private_ && cc.must_revalidate);
    assert_false(cc.public_ || cc.proxy_revalidate || cc.immutable);
    assert_true(cc.max_age == DELTA_ABSENT);
    cc = control_of("proxy-revalidate, public, immutable, must-understand");
    assert_true(cc.proxy_revalidate && cc.public_ && cc.immutable &&
                cc.must_understand);
    assert_false(cc.no_store || cc.no_cache || cc.private_);
}

static void
parameters_and_unknown_directives_are_ignored(void **state)
{
    struct cache_control cc =
        control_of("max-age=5;max-age=6;no-store, x=no-store, y=\"private\"");

    (void)state;
    assert_true(cc.max_age == 5);
    assert_false(cc.no_store || cc.private_);
}

static void
a_duration_that_is_no_integer_is_over(void **state)
{
    static const struct {
        const char *value;
        int64_t max_age;
    } rows[] = {
        {"max-age=0", 0},
        {"max-age=60", 60},
        {"max-age=2147483649", DELTA_MAX},
        {"max-age=999999999999999", DELTA_MAX},
        {"max-age=-1", 0},
        {"max-age=60.5", 0},
        {"max-age=60.0", 0},
        {"max-age=\"60\"", 0},
        {"max-age=a60", 0},
        {"max-age", 0},
        {"max-age=?1", 0},
        {"max-age=@60", 0},
        {"max-age=(60)", 0},
        {"max-age=:aQ==:", 0},
        {"max-age=60, max-age=5", 5},
        {"max-age=5, max-age=60", 60}, /* RFC 9651 4.2.2: the last counts */
        {"max-age=5, max-age=x", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cache_control cc = control_of(rows[i].value);
        if (cc.max_age != rows[i].max_age) {
            fail_msg("%s: %jd", rows[i].value, (intmax_t)cc.max_age);
        }
    }
}

static void
a_restriction_holds_with_any_value_and_a_permission_only_if_true(void **state)
{
    static const char *const values[] = {
        "=?0", "=\"x\"", "=x", "=1", "=(a b)", "=?1", "", ";a=b"};
    char text[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        bool is_true = i >= 5;
        snprintf(text, sizeof(text), "no-store%s", values[i]);
        assert_true(control_of(text).no_store);
        snprintf(text, sizeof(text), "private%s", values[i]);
        assert_true(control_of(text).private_);
        snprintf(text, sizeof(text), "no-cache%s", values[i]);
        assert_true(control_of(text).no_cache);
        snprintf(text, sizeof(text), "public%s", values[i]);
        assert_int_equal(control_of(text).public_, is_true);
        snprintf(text, sizeof(text), "immutable%s", values[i]);
        assert_int_equal(control_of(text).immutable, is_true);
    }
    assert_false(control_of("public, public=?0").public_);
    assert_true(control_of("no-store, no-store=?0").no_store);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_valid_field_of_the_list_decides_alone),
        cmocka_unit_test(without_a_list_cache_control_counts),
        cmocka_unit_test(every_directive_has_its_meaning),
        cmocka_unit_test(parameters_and_unknown_directives_are_ignored),
        cmocka_unit_test(a_duration_that_is_no_integer_is_over),
        cmocka_unit_test(
            a_restriction_holds_with_any_value_and_a_permission_only_if_true),
    };

    return cmocka_run_group_tests_name("http targeted", tests, NULL, NULL);
}
