/* What the log tells of heads that were refused (refused.c). */
#include "nearside/http/refused.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "nearside/base/check.h"

static const struct {
    const char *raw;
    const char *method;
    const char *target;
    const char *version;
    const char *host;
} rows[] = {
    {"GET /a HTTP/1.1\r\nA: b\r\nHost: h\r\n\r\n", "GET", "/a", "HTTP/1.1",
        "h"},
    {"GET /a b HTTP/1.1\r\nHOST:h \r\nHost: i\r\n\r\n", "GET", "/a b",
        "HTTP/1.1", "h"},
    {"GET /a HTTP/1.1\r\nHost:\r\nHost: i\r\n\r\n", "GET", "/a", "HTTP/1.1",
        ""},
    {"GET /a%\nhost: h\n\n", "GET", "/a%", "", "h"},
    {"\r\nGET  /a  http/9\r\n", "GET", " /a ", "http/9", ""},
    {"GET /a HTTP/1.1\r\n\r\nHost: h\r\n", "GET", "/a", "HTTP/1.1", ""},
    {"GET ?a HTTP/0.\x01\r\n", "GET", "?a", "HTTP/0.\x01", ""},
    {"GET /a", "GET", "/a", "", ""},
    {"G\tT /\x01\xff HTTP/1.1\rX", "G\tT", "/\x01\xff", "HTTP/1.1\rX", ""},
    {"\x16\x03\x01", "\x16\x03\x01", "", "", ""},
    {"GET\r\nX-Host: h\r\n Host: i\r\n", "GET", "", "", ""},
    {"\r\n\r\n", "", "", "", ""},
    {"", "", "", "", ""},
};

static void
what_can_be_told_apart_is_told(void **state)
{
    struct head head;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice raw = slice_of_str(rows[i].raw);
        refused_read(raw, &head);
        assert_true(slice_eq(head.method_text, slice_of_str(rows[i].method)));
        assert_true(slice_eq(head.target, slice_of_str(rows[i].target)));
        assert_true(slice_eq(head.version, slice_of_str(rows[i].version)));
        assert_true(slice_eq(head.host, slice_of_str(rows[i].host)));
        assert_int_equal(head.field_count, 0);
    }
}

/* Whatever the parser has called it. What only looks like one keeps its own. */
static void
another_protocol_is_named(void **state)
{
    static const struct {
        struct slice raw;
        enum parse_fault fault;
    } cases[] = {
        {{"\x16\x03\x01\x02\x00\x01", 6}, FAULT_TLS},
        {{"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HT", 45},
            FAULT_PROXY_PROTOCOL},
        {{"PROXY TCP6 ::1 ::1 1 2\r\n", 24}, FAULT_PROXY_PROTOCOL},
        {{"PROXY UNKNOWN\r\n", 15}, FAULT_PROXY_PROTOCOL},
        {{"\r\n\r\n\0\r\nQUIT\n\x21\x11", 14}, FAULT_PROXY_PROTOCOL},
        {{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24}, FAULT_HTTP2},
        {{"\x16\x04", 2}, FAULT_CONTROL},
        {{"\x16", 1}, FAULT_CONTROL},
        {{"PROXY /a HTTP/9\r\n", 17}, FAULT_CONTROL},
        {{"PRI * HTTP/1.1\r\n", 16}, FAULT_CONTROL},
        {{"\r\n\r\nGET / HTTP/1.1\r\n", 20}, FAULT_CONTROL},
        {{"", 0}, FAULT_CONTROL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(
            refused_as(cases[i].raw, FAULT_CONTROL), cases[i].fault);
        assert_int_equal(fault_status(cases[i].fault), 400);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_can_be_told_apart_is_told),
        cmocka_unit_test(another_protocol_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
