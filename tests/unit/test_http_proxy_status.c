/* Proxy-Status (RFC 9209). */
#include "nearside/http/proxy_status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "http_given.h"
#include "../support/structured_read.h"
#include "nearside/base/check.h"

#define NAME .name = {"near", 4}

/* RFC 9209 2, 2.1 */
static void
a_member_says_what_went_wrong_in_a_valid_list(void **state)
{
    static const struct {
        struct proxy_status status;
        const char *want;
    } rows[] = {
        {{NAME}, "near"},
        {{NAME, .error = {"connection_timeout", 18}},
            "near; error=connection_timeout"},
        {{NAME, .next_hop = {"origin.example", 14}},
            "near; next-hop=origin.example"},
        {{NAME, .next_hop = {"127.0.0.1:80", 12}},
            "near; next-hop=\"127.0.0.1:80\""},
        {{NAME, .error = {"http_protocol_error", 19}, .received_status = 502,
             .details = {"bad chunk", 9}},
            "near; error=http_protocol_error; received-status=502; "
            "details=\"bad chunk\""},
        {{.name = {"a b", 3}}, "\"a b\""},
    };
    char text[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct writer w = writer_of(text, sizeof(text));
        struct slice line;
        proxy_status_write_line(&w, &rows[i].status);
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
    const struct proxy_status status = {NAME, .error = {"dns_error", 9}};
    const char *const want = "proxy-status: near; error=dns_error\r\n";
    char text[64];
    struct writer w;

    (void)state;
    w = writer_of(text, strlen(want));
    proxy_status_write_line(&w, &status);
    assert_slice(writer_slice(&w), want);
    for (size_t cap = 0; cap < strlen(want); cap++) {
        w = writer_of(text, cap);
        proxy_status_write_line(&w, &status);
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
