/* Cache-Control: what is said, and what is made of what is malformed. */
#include "nearside/http/cache_control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "http_given.h"

/* "+no-store max-age=5": all that is set, in one order. */
static const char *
describe(const struct cache_control *cc)
{
    static char out[512];
    const struct {
        const char *name;
        bool is_set;
    } flags[] = {{"no-store", cc->no_store}, {"no-cache", cc->no_cache},
        {"private", cc->private_}, {"public", cc->public_},
        {"must-revalidate", cc->must_revalidate},
        {"proxy-revalidate", cc->proxy_revalidate},
        {"must-understand", cc->must_understand},
        {"only-if-cached", cc->only_if_cached}, {"immutable", cc->immutable}};
    const struct {
        const char *name;
        int64_t seconds;
    } deltas[] = {{"max-age", cc->max_age}, {"s-maxage", cc->s_maxage},
        {"min-fresh", cc->min_fresh}, {"max-stale", cc->max_stale},
        {"swr", cc->stale_while_revalidate}, {"sie", cc->stale_if_error}};
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (flags[i].is_set) {
            at += (size_t)snprintf(
                out + at, sizeof(out) - at, "+%s ", flags[i].name);
        }
    }
    for (size_t i = 0; i < sizeof(deltas) / sizeof(deltas[0]); i++) {
        if (deltas[i].seconds != DELTA_ABSENT) {
            at += (size_t)snprintf(out + at, sizeof(out) - at, "%s=%jd ",
                deltas[i].name, (intmax_t)deltas[i].seconds);
        }
    }
    return out;
}

struct row {
    const char *value;
    const char *wanted;
};

static void
expect(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct cache_control cc;
        cache_control_init(&cc);
        cache_control_add(&cc, slice_of_str(rows[i].value));
        if (strcmp(describe(&cc), rows[i].wanted) != 0) {
            fail_msg("[%s] gives [%s], not [%s]", rows[i].value, describe(&cc),
                rows[i].wanted);
        }
    }
}

#define EXPECT(rows) expect(rows, sizeof(rows) / sizeof((rows)[0]))

static void
every_directive_is_read(void **state)
{
    static const struct row rows[] = {
        {"", ""},
        {",, ,", ""},
        {"no-store", "+no-store "},
        {"NO-Cache", "+no-cache "},
        {"private", "+private "},
        {"public", "+public "},
        {"must-revalidate, proxy-revalidate",
            "+must-revalidate +proxy-revalidate "},
        {"must-understand,no-transform,only-if-cached,immutable",
            "+must-understand +only-if-cached +immutable "},
        {"max-age=60", "max-age=60 "},
        {"max-age=0", "max-age=0 "},
        {"s-maxage=1, max-age=2", "max-age=2 s-maxage=1 "},
        {"min-fresh=3", "min-fresh=3 "},
        {"max-stale", "max-stale=2147483648 "},
        {"max-stale=4", "max-stale=4 "},
        {"stale-while-revalidate=5, stale-if-error=6", "swr=5 sie=6 "},
        {" public ,\tmax-age=60 ", "+public max-age=60 "},
        {"x-own, x=y, x=\"a, no-store, b\", public", "+public "},
        {"x=\"a\\\", no-store\", public", "+public "},
    };

    (void)state;
    EXPECT(rows);
}

static void
a_quoted_number_is_a_number(void **state)
{
    static const struct row rows[] = {
        {"max-age=\"60\"", "max-age=60 "},
        {"s-maxage=\"\"", "s-maxage=0 "},
        {"max-age=\" 60\"", "max-age=0 "},
    };

    (void)state;
    EXPECT(rows);
}

static void
a_malformed_duration_is_over(void **state)
{
    static const struct row rows[] = {
        {"max-age", "max-age=0 "},
        {"max-age=", "max-age=0 "},
        {"max-age=-1", "max-age=0 "},
        {"max-age=+1", "max-age=0 "},
        {"max-age=1.5", "max-age=0 "},
        {"max-age=1s", "max-age=0 "},
        {"max-age=0x10", "max-age=0 "},
        {"max-age = 60", "max-age=0 "},
        {"max-age= 60", "max-age=0 "},
        {"max-age=60;s-maxage=90", "max-age=0 "},
        {"max-age=60 s-maxage=90", "max-age=0 "},
        {"max-age=60=60", "max-age=0 "},
        {"max-age:60", "max-age=0 "},
        {"s-maxage=abc, max-age=60", "max-age=60 s-maxage=0 "},
        {"stale-if-error=x, stale-while-revalidate", "swr=0 sie=0 "},
        {"max-stale=x", "max-stale=0 "},
        {"min-fresh=x", "min-fresh=2147483648 "},
    };

    (void)state;
    EXPECT(rows);
}

static void
a_duration_beyond_all_bounds_is_the_longest(void **state)
{
    static const struct row rows[] = {
        {"max-age=2147483648", "max-age=2147483648 "},
        {"max-age=2147483649", "max-age=2147483648 "},
        {"max-age=18446744073709551617", "max-age=2147483648 "},
        {"max-age=99999999999999999999999999", "max-age=2147483648 "},
        {"max-age=000000000000000000000000005", "max-age=5 "},
    };

    (void)state;
    EXPECT(rows);
}

static void
of_duplicates_the_most_restrictive_counts(void **state)
{
    static const struct row rows[] = {
        {"max-age=60, max-age=5", "max-age=5 "},
        {"max-age=5, max-age=60", "max-age=5 "},
        {"max-age=60, max-age=x", "max-age=0 "},
        {"min-fresh=5, min-fresh=60", "min-fresh=60 "},
        {"max-stale, max-stale=5", "max-stale=5 "},
        {"max-stale=5, max-stale", "max-stale=5 "},
        {"public, no-store", "+no-store +public "},
    };

    (void)state;
    EXPECT(rows);
}

static void
a_qualified_restriction_is_a_whole_one(void **state)
{
    static const struct row rows[] = {
        {"private=\"x-own\"", "+private "},
        {"private=\" x\"", "+private "},
        {"no-cache=\"\tset-cookie, x\", max-age=5", "+no-cache max-age=5 "},
        {"no-cache=x", "+no-cache "},
        {"no-store=\"x\"", "+no-store "},
        {"no-store;x", "+no-store "},
        {"must-revalidate=1", "+must-revalidate "},
    };

    (void)state;
    EXPECT(rows);
}

static void
a_malformed_permission_is_none(void **state)
{
    static const struct row rows[] = {
        {"public=x", ""},
        {"public;", ""},
        {"public private", ""},
        {"immutable x", ""},
        {"must-understand=\"\"", ""},
        {"public=x, public", "+public "},
        {"xpublic, publicx, pub\xff"
         "lic",
            ""},
    };

    (void)state;
    EXPECT(rows);
}

/* RFC 8246 2 */
static void
an_argument_of_immutable_has_no_meaning(void **state)
{
    static const struct row rows[] = {
        {"immutable=1", "+immutable "},
        {"immutable=\"x\"", "+immutable "},
        {"immutable, immutable", "+immutable "},
    };

    (void)state;
    EXPECT(rows);
}

static void
an_open_quote_forbids_to_store(void **state)
{
    static const struct row rows[] = {
        {"must-understand, x=\"a, public",
            "+no-store +private +must-understand "},
        {"x=\"a, public", "+no-store +private "},
        {"max-age=60, x=\"", "+no-store +private max-age=60 "},
        {"max-age=\"60", "+no-store +private max-age=0 "},
        {"x=\"a\\", "+no-store +private "},
        {"x=\"a\\\"", "+no-store +private "},
    };

    (void)state;
    EXPECT(rows);
}

static void
several_fields_are_one_list(void **state)
{
    struct cache_control cc;
    const struct head *h =
        given_response("Cache-Control: public, max-age=60\r\n"
                       "X: no-store\r\n"
                       "CDN-Cache-Control: max-age=7\r\n"
                       "cache-control: max-age=30\r\n"
                       "Cache-Control:\r\n");

    (void)state;
    cache_control_parse(h, FIELD_CACHE_CONTROL, &cc);
    assert_string_equal(describe(&cc), "+public max-age=30 ");
    cache_control_parse(h, FIELD_CDN_CACHE_CONTROL, &cc);
    assert_string_equal(describe(&cc), "max-age=7 ");
    cache_control_parse(given_response("X: y\r\n"), FIELD_CACHE_CONTROL, &cc);
    assert_string_equal(describe(&cc), "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_directive_is_read),
        cmocka_unit_test(a_quoted_number_is_a_number),
        cmocka_unit_test(a_malformed_duration_is_over),
        cmocka_unit_test(a_duration_beyond_all_bounds_is_the_longest),
        cmocka_unit_test(of_duplicates_the_most_restrictive_counts),
        cmocka_unit_test(a_qualified_restriction_is_a_whole_one),
        cmocka_unit_test(a_malformed_permission_is_none),
        cmocka_unit_test(an_argument_of_immutable_has_no_meaning),
        cmocka_unit_test(an_open_quote_forbids_to_store),
        cmocka_unit_test(several_fields_are_one_list),
    };

    return cmocka_run_group_tests_name("http cache_control", tests, NULL, NULL);
}
