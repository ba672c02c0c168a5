/* Targets, authorities and addresses of servers. */
#include "nearside/http/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void
assert_slice(struct slice s, const char *text)
{
    if (!slice_eq(s, slice_of_str(text))) {
        fail_msg("[%.*s] is not [%s]", SLICE_FMT(s), text);
    }
}

static void
a_target_is_cut_at_its_first_question_mark(void **state)
{
    (void)state;
    assert_slice(uri_path(SLICE("/a/b")), "/a/b");
    assert_null(uri_query(SLICE("/a/b")).ptr);
    assert_slice(uri_path(SLICE("/a?b?c")), "/a");
    assert_slice(uri_query(SLICE("/a?b?c")), "b?c");
    assert_non_null(uri_query(SLICE("/a?")).ptr);
    assert_int_equal(uri_query(SLICE("/a?")).len, 0);
}

static void
paths_that_two_could_read_differently_are_told(void **state)
{
    static const struct {
        const char *target;
        bool is_ambiguous;
    } rows[] = {
        {"/a/b", false},
        {"/", false},
        {"", false},
        {"/a%20b", false},
        {"/a%2fb", true},
        {"/a%2Fb", true},
        {"/a%5cb", true},
        {"/a%5Cb", true},
        {"/%2e%2e/a", true},
        {"/%2E", true},
        {"/a/.%2e", true},
        {"/a/%2E.?b", true},
        {"/a/./b", true},
        {"/a/..", true},
        {"/a%2eb", false},
        {"/a/%2ea", false},
        {"/a/%2e%2e%2e", false},
        {"/a/...", false},
        {"/a?/../%2e%2e", false},
        {"//", true},
        {"/a//b", true},
        {"/a;b", true},
        {"/a?b//c", false},
        {"/a?b;c", false},
        {"/a?b%2fc", false},
        {"/a%25", false},
        {"/a%2", false},
        {"/a%", false},
        {"/a/", false},
        {"*", false},
        {"/%252e", false},
        {"/a%3fb", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (uri_is_ambiguous(slice_of_str(rows[i].target)) !=
            rows[i].is_ambiguous) {
            fail_msg("%s", rows[i].target);
        }
    }
}

struct spelling {
    const char *target;
    const char *normal;
};

static void
assert_spellings(const struct spelling *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct slice s = slice_of_str(rows[i].target);
        char out[64], again[64];
        size_t len = uri_normalise(s, out);
        assert_true(len <= s.len);
        if (!slice_eq(slice_of(out, len), slice_of_str(rows[i].normal))) {
            fail_msg("%s: %.*s", rows[i].target, (int)len, out);
        }
        /* In place, and once more. */
        memcpy(again, s.ptr, s.len);
        assert_int_equal(uri_normalise(slice_of(again, s.len), again), len);
        assert_memory_equal(again, out, len);
        assert_int_equal(uri_normalise(slice_of(out, len), again), len);
        assert_memory_equal(again, out, len);
    }
}

/* RFC 3986 6.2.2.1, 6.2.2.2, and 6.2.2.3 behind them */
static void
a_target_has_one_spelling(void **state)
{
    static const struct spelling rows[] = {
        {"/", "/"},
        {"", ""},
        {"*", "*"},
        {"/stock/%315292", "/stock/15292"},
        {"/stock/%6de", "/stock/me"},
        {"/%41%5a%61%7A%30%39%2d%2E%5f%7e", "/AZaz09-._~"},
        {"/caf%c3%a9", "/caf%C3%A9"},
        {"/a%2fb%5c%3B%3f%23%25%20", "/a%2Fb%5C%3B%3F%23%25%20"},
        {"/%2531", "/%2531"}, /* once */
        {"/%252e%252E/a", "/%252e%252E/a"},
        {"/a?%61=%31&b=%26%3d+%2b", "/a?a=1&b=%26%3D+%2B"},
        {"/a?b/../c/%2e%2e", "/a?b/../c/.."}, /* no path */
        {"/a%2eb/c%2E", "/a.b/c."},
        {"/a/%2e%2e/b", "/b"},
        {"/a/.%2e/b?c", "/b?c"},
        {"/a/b/%2e%2E", "/a/"},
        {"/a/%2e/b/%2e", "/a/b/"},
        {"/%2e%2e/%2e%2e/a", "/a"},
        {"/..", "/"},
        {"/a/./b/../c", "/a/c"},
        {"/a//%2e%2e/b", "/a/b"},
        {"/a/%2e%2e%2e/...", "/a/.../..."},
        {"/a/%2e%2e%2fb", "/a/..%2Fb"},
    };

    (void)state;
    assert_spellings(rows, sizeof(rows) / sizeof(rows[0]));
}

/* Nothing that is decoded makes a percent sign mean more than it did. */
static void
a_bare_percent_sign_stays_bare(void **state)
{
    static const struct spelling rows[] = {
        {"%", "%"},
        {"/%4", "/%4"},
        {"/%4g%31", "/%4g1"},
        {"/%%31", "/%%31"},
        {"/%%36%31", "/%%361"},
        {"/%a%62", "/%a%62"},
        {"/%%aa%61", "/%%AAa"},
        {"/%g%31%31", "/%g%311"},
    };

    (void)state;
    assert_spellings(rows, sizeof(rows) / sizeof(rows[0]));
}

static void
an_authority_is_a_host_and_perhaps_a_port(void **state)
{
    static const char *const good[] = {"a", "a.example", "A-1.example.",
        "a_b~c", "a:80", "a:", "a:1", "a:65535", "127.0.0.1", "127.0.0.1:8080",
        "[::1]", "[::1]:80", "[2001:db8::1]:", "[::]", "[::ffff:1.2.3.4]:443"};
    static const char *const bad[] = {"", ":", ":80", "a:b", "a:0", "a:080",
        "a:65536", "a:99999", "a:655350", "a:-1", "a:8 0", "a b", "a,b", "a/b",
        "a?b", "a#b", "u@a", "a\\b", "a%41", "a;b", "a=b", "a!b", "[", "[]",
        "[::1", "::1", "[::1]a", "[::1]:b", "[::1%25eth0]", "[v1.a]",
        "[1.2.3.4]", "[:::]", "[::1]]", "a]", "a\x80", "a:80:80",
        "[0123456789012345678901234567890123456789012345678]"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (!uri_is_authority(slice_of_str(good[i]))) {
            fail_msg("refused: %s", good[i]);
        }
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (uri_is_authority(slice_of_str(bad[i]))) {
            fail_msg("taken: %s", bad[i]);
        }
    }
    assert_false(uri_is_authority(SLICE("[::1\0]")));
    assert_false(uri_is_authority(SLICE("a\0")));
}

static void
a_host_has_255_bytes_at_most(void **state)
{
    char name[257];

    (void)state;
    memset(name, 'a', sizeof(name));
    assert_true(uri_is_authority(slice_of(name, 255)));
    assert_false(uri_is_authority(slice_of(name, 256)));
}

static void
an_authority_has_one_spelling(void **state)
{
    static const struct {
        const char *authority;
        const char *scheme;
        const char *wanted;
    } rows[] = {
        {"A.Example", "http", "a.example"},
        {"a.example:80", "http", "a.example"},
        {"a.example:80", "https", "a.example:80"},
        {"a.example:443", "https", "a.example"},
        {"a.example:443", "HTTPS", "a.example"},
        {"a.example:443", "http", "a.example:443"},
        {"a.example:", "http", "a.example"},
        {"a.example:8080", "http", "a.example:8080"},
        {"@AZ[`az{.example", "http", "@az[`az{.example"},
        {"SHOP.EXAMPLE", "http", "shop.example"},
        {"\xc1\xda.EXAMPLE", "http", "\xc1\xda.example"},
        {"AN.Example", "http", "an.example"},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZ.EXAMPLE:81", "http",
            "abcdefghijklmnopqrstuvwxyz.example:81"},
        /* An absolute name, and so the same host. */
        {"A.example.", "http", "a.example"},
        {"a.example.:80", "http", "a.example"},
        {"a.example.:8080", "http", "a.example:8080"},
        {"127.0.0.1.", "http", "127.0.0.1"},
        {".", "http", "."},
        {".:81", "http", ".:81"},
        {"a..", "http", "a.."},
        {"[2001:DB8::1]:80", "http", "[2001:db8::1]"},
        {"[2001:DB8::1]:81", "http", "[2001:db8::1]:81"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct slice s = slice_of_str(rows[i].authority);
        char *out = malloc(s.len);
        assert_non_null(out);
        size_t len =
            uri_authority_normalise(s, slice_of_str(rows[i].scheme), out);
        assert_slice(slice_of(out, len), rows[i].wanted);
        free(out);
    }
}

static void
an_absolute_name_is_told(void **state)
{
    static const struct {
        const char *authority;
        bool is_absolute;
    } rows[] = {{"a.", true}, {"a.example.:80", true}, {"a.:", true},
        {"a", false}, {"a:80", false}, {"a..", false}, {".", false},
        {"", false}, {"[::1]", false}, {"[::1]:80", false}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (uri_is_absolute_name(slice_of_str(rows[i].authority)) !=
            rows[i].is_absolute) {
            fail_msg("%s", rows[i].authority);
        }
    }
}

static void
a_server_is_an_url_without_a_path(void **state)
{
    static const struct {
        const char *text;
        const char *scheme;
        const char *host;
        uint16_t port;
    } rows[] = {
        {"http://127.0.0.1:3000", "http", "127.0.0.1", 3000},
        {"http://api", "http", "api", 80},
        {"HTTPS://Api", "https", "Api", 443},
        {"https://[::1]:8443", "https", "::1", 8443},
        {"unix:/run/api.sock", "http", "/run/api.sock", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct uri_server server;
        assert_int_equal(
            uri_parse_server(slice_of_str(rows[i].text), &server), RC_OK);
        assert_slice(server.scheme, rows[i].scheme);
        assert_slice(server.host, rows[i].host);
        assert_int_equal(server.port, rows[i].port);
        assert_int_equal(
            server.is_unix, strncmp(rows[i].text, "unix:", 5) == 0);
    }
}

static void
what_is_no_server_is_refused(void **state)
{
    static const char *const rows[] = {"", "http", "http:", "http://",
        "http:/a", "http:a", "a", "a:80", "ftp://a", "httpx://a", "http://a/",
        "http://a/b", "http://a?b", "http://a#b", "http://u@a", "http://u:p@a",
        "http://a:b", "http://:80", "http://a b", "http://[::1",
        "unix:", "unix:run/api.sock", " http://a", "http://a "};
    struct uri_server server = {.port = 42};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (uri_parse_server(slice_of_str(rows[i]), &server) != RC_BAD) {
            fail_msg("taken: %s", rows[i]);
        }
    }
    assert_int_equal(
        uri_parse_server(SLICE("unix:/run/a\0b"), &server), RC_BAD);
    assert_int_equal(server.port, 42);
}

/* RFC 9110 4.2.3, 4.3.1 */
static void
authorities_are_the_same_by_host_and_port_under_their_scheme(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        bool http;
        bool https;
    } rows[] = {
        {"a.example", "a.example", true, true},
        {"a.example", "A.Example", true, true},
        {"a.example", "a.example:80", true, false},
        {"a.example:443", "a.example:", false, true},
        {"a.example:81", "a.example:81", true, true},
        {"a.example:81", "a.example", false, false},
        {"a.example.", "a.example", true, true},
        {"a.example", "b.example", false, false},
        {"[::1]", "[::1]:80", true, false},
        {"", "", false, false},
        {"u@a", "u@a", false, false},
        {"a:0", "a:0", false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct slice a = slice_of_str(rows[i].a), b = slice_of_str(rows[i].b);
        if (uri_is_same_authority(a, b, SLICE("http")) != rows[i].http ||
            uri_is_same_authority(b, a, SLICE("https")) != rows[i].https) {
            fail_msg("%s, %s", rows[i].a, rows[i].b);
        }
    }
}

static void
a_host_s_name_is_without_its_port(void **state)
{
    static const char *const rows[][2] = {
        {"a.example", "a.example"},
        {"a.example:81", "a.example"},
        {"192.0.2.1:81", "192.0.2.1"},
        {"[::1]", "[::1]"},
        {"[::1]:81", "[::1]"},
        {"", ""},
        {":81", ":81"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(slice_eq(
            uri_host_name(slice_of_str(rows[i][0])), slice_of_str(rows[i][1])));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_s_name_is_without_its_port),
        cmocka_unit_test(
            authorities_are_the_same_by_host_and_port_under_their_scheme),
        cmocka_unit_test(a_target_is_cut_at_its_first_question_mark),
        cmocka_unit_test(paths_that_two_could_read_differently_are_told),
        cmocka_unit_test(a_target_has_one_spelling),
        cmocka_unit_test(a_bare_percent_sign_stays_bare),
        cmocka_unit_test(an_authority_is_a_host_and_perhaps_a_port),
        cmocka_unit_test(a_host_has_255_bytes_at_most),
        cmocka_unit_test(an_authority_has_one_spelling),
        cmocka_unit_test(an_absolute_name_is_told),
        cmocka_unit_test(a_server_is_an_url_without_a_path),
        cmocka_unit_test(what_is_no_server_is_refused),
    };

    return cmocka_run_group_tests_name("http uri", tests, NULL, NULL);
}
