/* Forwarding fields: every name of the table in any case, and nothing that is
 * near. */
#include "nearside/http/forwarding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "nearside/base/check.h"

struct row {
    const char *name;
    enum forwarding kind;
};

static const struct row rows[] = {
#define FORWARDING(kind, name) {name, FORWARDING_##kind},
#include "nearside/http/forwarding.def"
#undef FORWARDING
};

/* As the parser gives it: with its id. */
static enum forwarding
forwarding_parsed(const char *name)
{
    struct field field = {.name = slice_of_str(name)};

    field.id = field_id_of(field.name);
    return forwarding_of(&field);
}

static void
every_listed_name_is_found_in_any_case(void **state)
{
    char upper[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t len = strlen(rows[i].name);
        for (size_t c = 0; c <= len; c++) {
            char byte = rows[i].name[c];
            assert_int_not_equal(byte, '_');
            upper[c] = (char)(byte >= 'a' && byte <= 'z' ? byte - 32 : byte);
        }
        assert_int_equal(forwarding_parsed(rows[i].name), rows[i].kind);
        assert_int_equal(forwarding_parsed(upper), rows[i].kind);
    }
}

static void
no_name_is_listed_twice(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(rows[i].name, rows[j].name);
        }
    }
}

static void
all_of_x_forwarded_is_forwarding(void **state)
{
    static const struct row more[] = {
        {"X-Forwarded-For", FORWARDING_ADDRESS},
        {"X-Forwarded-Host", FORWARDING_SITE},
        {"X-Forwarded-Proto", FORWARDING_SITE},
        {"X-Forwarded-Port", FORWARDING_SITE},
        {"X-Forwarded-Scheme", FORWARDING_SITE},
        {"X-Forwarded-Server", FORWARDING_SITE},
        {"X-Forwarded-Prefix", FORWARDING_SITE},
        {"x-forwarded-anything-that-is-longer-than-any", FORWARDING_SITE},
        {"x-forwarded-", FORWARDING_SITE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(more); i++) {
        assert_int_equal(forwarding_parsed(more[i].name), more[i].kind);
    }
}

static void
what_is_only_like_one_is_none(void **state)
{
    static const char *const names[] = {"", "x", "x-", "host", "x-hos",
        "x-hostx", "x-real-ip2", "x-forwardedfor", "accept", "user-agent",
        "authorization", "x-request-id", "x-api-key", "x-requested-with",
        "content-type", "via", "origin", "referer", "upgrade-insecure-requests",
        "sec-fetch-mode", "traceparent", "x-original-content-type"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (forwarding_parsed(names[i]) != FORWARDING_NONE) {
            fail_msg("%s", names[i]);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_listed_name_is_found_in_any_case),
        cmocka_unit_test(no_name_is_listed_twice),
        cmocka_unit_test(all_of_x_forwarded_is_forwarding),
        cmocka_unit_test(what_is_only_like_one_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
