/* Proxy-Status (RFC 9209). */
#include "nearside/http/proxy_status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "http_given.h"
#include "../support/structured_read.h"
#include "nearside/base/check.h"

/* RFC 9209 2, 2.1 */
static void
a_member_says_what_went_wrong_in_a_valid_list(void **state)
{
    static const struct {
        const char *name;
        const char *error;
        const char *want;
    } rows[] = {
        {"near", "", "near"},
        {"near", "connection_timeout", "near; error=connection_timeout"},
        {"a b", "dns_error", "\"a b\"; error=dns_error"},
    };
    char text[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct writer w = writer_of(text, sizeof(text));
        struct slice line;
        proxy_status_write_line(
            &w, slice_of_str(rows[i].name), slice_of_str(rows[i].error));
        line = writer_slice(&w);
        assert_true(slice_starts(line, SLICE("proxy-status: ")));
        line = slice_skip(line, strlen("proxy-status: "));
        assert_memory_equal(line.ptr + line.len - 2, "\r\n", 2);
        line.len -= 2;
        assert_slice(line, rows[i].want);
        assert_true(sf_is_item(line));
    }
}

static void
a_line_is_there_whole_or_not_at_all(void **state)
{
    const struct slice name = SLICE("near"), error = SLICE("dns_error");
    const char *const want = "proxy-status: near; error=dns_error\r\n";
    char text[64];
    struct writer w;

    (void)state;
    w = writer_of(text, strlen(want));
    proxy_status_write_line(&w, name, error);
    assert_slice(writer_slice(&w), want);
    for (size_t cap = 0; cap < strlen(want); cap++) {
        w = writer_of(text, cap);
        proxy_status_write_line(&w, name, error);
        assert_true(w.is_full);
        assert_int_equal(w.len, 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_says_what_went_wrong_in_a_valid_list),
        cmocka_unit_test(a_line_is_there_whole_or_not_at_all),
    };

    return cmocka_run_group_tests_name("http proxy_status", tests, NULL, NULL);
}
