/* Addresses: text to address and back, and what is no address. */
#include "nearside/net/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/address.h"
#include "nearside/base/check.h"

static struct address
given(const char *text)
{
    struct address a;

    assert_int_equal(address_parse(slice_of_str(text), &a), RC_OK);
    return a;
}

static void
an_address_becomes_its_text_again(void **state)
{
    const struct {
        const char *text;
        const char *host;
        uint16_t port;
        int family;
    } rows[] = {
        {"127.0.0.1:8080", "127.0.0.1", 8080, AF_INET},
        {"0.0.0.0:0", "0.0.0.0", 0, AF_INET},
        {"255.255.255.255:65535", "255.255.255.255", 65535, AF_INET},
        {"[::1]:8080", "::1", 8080, AF_INET6},
        {"[::]:0", "::", 0, AF_INET6},
        {"[2001:db8::1:2]:443", "2001:db8::1:2", 443, AF_INET6},
        {"unix:/run/x.sock", "unix:", 0, AF_UNIX},
        {"unix:relative", "unix:", 0, AF_UNIX},
    };
    char text[ADDRESS_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct address a = given(rows[i].text);
        assert_int_equal(a.u.any.sa_family, rows[i].family);
        assert_int_equal(address_port(&a), rows[i].port);
        assert_string_equal(address_text(&a, text), rows[i].text);
        assert_string_equal(address_host_text(&a, text), rows[i].host);
    }
}

static void
what_is_no_address_is_refused(void **state)
{
    const char *const rows[] = {"", ":", ":80", "127.0.0.1",
        "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1: 80",
        "127.0.0.1:8x", "127.0.0.1:99999999999999999999", "127.0.0:80",
        "256.0.0.1:80", "localhost:80", "::1:80", "[::1]", "[::1]80", "[]:80",
        "[:80", "]:80", "[::1:80", "::1]:80", "[::g]:80",
        "unix:", " 127.0.0.1:80",
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001]:80"};
    struct address a = {.len = 77};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(address_parse(slice_of_str(rows[i]), &a), RC_BAD);
        assert_int_equal(a.len, 77);
    }
}

static void
a_nul_byte_ends_no_address(void **state)
{
    struct address a;

    (void)state;
    assert_int_equal(
        address_parse(slice_of("127.0.0.1\0.evil:80", 18), &a), RC_BAD);
    assert_int_equal(address_of(slice_of("::1\0x", 5), 80, &a), RC_BAD);
    assert_int_equal(address_parse(slice_of("unix:/a\0b", 9), &a), RC_BAD);
}

static void
a_unix_path_fits_or_is_refused(void **state)
{
    char text[256] = "unix:";
    char out[ADDRESS_TEXT_MAX];
    struct address a;
    size_t max = sizeof(a.u.unix_.sun_path) - 1;

    (void)state;
    memset(text + 5, 'p', max + 1);
    assert_int_equal(address_parse(slice_of(text, 5 + max + 1), &a), RC_BAD);
    assert_int_equal(address_parse(slice_of(text, 5 + max), &a), RC_OK);
    text[5 + max] = '\0';
    assert_string_equal(address_text(&a, out), text);
}

static void
two_ways_to_the_same_address_are_equal(void **state)
{
    struct address a;
    struct address b;
    struct address c;

    (void)state;
    /* What was on the stack before must not show. */
    memset(&a, 0x55, sizeof(a));
    memset(&b, 0xaa, sizeof(b));
    assert_int_equal(address_parse(SLICE("[2001:db8::1]:80"), &a), RC_OK);
    assert_int_equal(address_of(SLICE("2001:DB8:0::1"), 80, &b), RC_OK);
    assert_true(address_eq(&a, &b));
    c = given("[2001:db8::1]:81");
    assert_false(address_eq(&a, &c));
    c = given("[2001:db8::2]:80");
    assert_false(address_eq(&a, &c));
    a = given("127.0.0.1:80");
    assert_int_equal(address_of(SLICE("127.0.0.1"), 80, &b), RC_OK);
    assert_true(address_eq(&a, &b));
    c = given("unix:/a");
    assert_false(address_eq(&a, &c));
}

static void
a_socket_says_where_it_is_bound(void **state)
{
    struct address any = given("127.0.0.1:0");
    struct address bound;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    assert_int_equal(bind(fd, &any.u.any, any.len), 0);
    assert_int_equal(address_of_socket(fd, &bound), RC_OK);
    assert_true(address_port(&bound) != 0);
    bound.u.v4.sin_port = 0;
    assert_true(address_eq(&bound, &any));
    close(fd);
    assert_int_equal(address_of_socket(fd, &bound), RC_IO);
}

static void
no_address_has_no_text(void **state)
{
    const struct address none = {0};
    char text[ADDRESS_TEXT_MAX];

    (void)state;
    assert_string_equal(address_host_text(&none, text), "");
    assert_int_equal(address_port(&none), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_becomes_its_text_again),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(a_nul_byte_ends_no_address),
        cmocka_unit_test(a_unix_path_fits_or_is_refused),
        cmocka_unit_test(two_ways_to_the_same_address_are_equal),
        cmocka_unit_test(a_socket_says_where_it_is_bound),
        cmocka_unit_test(no_address_has_no_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
