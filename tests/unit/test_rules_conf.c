/* Snapshots of the configuration: how our name is spelled, and who counts. */
#include "nearside/rules/conf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "rules_given.h"

static void
our_name_is_a_token_or_a_string_where_it_is_none(void **state)
{
    static const struct {
        const char *name;
        const char *via;
        const char *member;
    } rows[] = {
        {"nearside", "1.1 nearside", "nearside"},
        {"near.example:80", "1.1 near.example:80", "near.example:80"},
        {"80", "1.1 80", "\"80\""}, /* an sf-token begins with a letter */
        {"a b", "1.1 a b", "\"a b\""},
        {"a\"\\", "1.1 a\"\\", "\"a\\\"\\\\\""},
    };
    struct rules rules;

    (void)state;
    rules_init(&rules);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        rules.opts.via = rows[i].name;
        rules_make_conf(&rules);
        assert_text(rules.conf->name, rows[i].name, rows[i].name);
        assert_text(rules.conf->via, rows[i].via, rows[i].name);
        assert_text(rules.conf->member, rows[i].member, rows[i].name);
        assert_text(rules.conf->prefix, "ns:", rows[i].name);
    }
    rules_fini(&rules);
}

static void
a_snapshot_lives_as_long_as_it_is_referred_to(void **state)
{
    struct rules rules;
    struct proxy_conf *conf, *other;

    (void)state;
    rules_init(&rules);
    conf = proxy_conf_new(&rules.opts);
    assert_non_null(conf);
    other = proxy_conf_ref(conf);
    assert_ptr_equal(other, conf);
    proxy_conf_unref(&conf);
    assert_null(conf);
    assert_int_equal(other->magic, PROXY_CONF_MAGIC);
    assert_int_equal(atomic_load(&other->refs), 1);
    proxy_conf_unref(&other);
    assert_null(other);
    proxy_conf_unref(&other);
    rules_fini(&rules);
}

/* What its maker does to its own options is not seen. */
static void
a_snapshot_does_not_change(void **state)
{
    struct rules rules;

    (void)state;
    rules_init(&rules);
    rules_make_conf(&rules);
    rules.opts.limits.object_max = 7;
    rules.opts.routes_len = 0;
    assert_int_equal(
        rules.conf->opts.limits.object_max, limits_given().object_max);
    assert_int_equal(rules.conf->opts.routes_len, ROWS);
    rules_fini(&rules);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_name_is_a_token_or_a_string_where_it_is_none),
        cmocka_unit_test(a_snapshot_lives_as_long_as_it_is_referred_to),
        cmocka_unit_test(a_snapshot_does_not_change),
    };

    return cmocka_run_group_tests_name("rules conf", tests, NULL, NULL);
}
