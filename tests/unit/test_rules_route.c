/* Which route a request belongs to. */
#include "nearside/rules/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "nearside/base/check.h"

enum {
    SEGMENTS_MAX = 8,
};

struct given {
    struct route route;
    struct route_segment segments[SEGMENTS_MAX];
};

/* "/a/:id" or "/a/" followed by a star, cut as the conf reader cuts it. */
static void
given_path(struct given *g, const char *pattern)
{
    struct slice rest = slice_of_str(pattern + 1);
    struct slice piece;

    while (slice_split(&rest, '/', &piece)) {
        struct route_segment *s = &g->segments[g->route.segments_len++];
        assert_true(g->route.segments_len <= SEGMENTS_MAX);
        s->kind = slice_eq(piece, SLICE("*")) ? ROUTE_SEGMENT_TAIL
                  : piece.len > 0 && piece.ptr[0] == ':'
                      ? ROUTE_SEGMENT_PARAM
                      : ROUTE_SEGMENT_LITERAL;
        s->text = piece;
    }
    g->route.segments = g->segments;
}

static bool
matches(const struct route *route, const char *method, const char *host,
    const char *path)
{
    return route_match(route, 1, slice_of_str(method), slice_of_str(host),
               slice_of_str(path)) == 0;
}

static void
paths_match_segment_by_segment(void **state)
{
    const struct {
        const char *pattern;
        const char *path;
        bool does;
    } rows[] = {
        {"/", "/", true},
        {"/", "/a", false},
        {"/", "//", false},
        {"/a", "/a", true},
        {"/a", "/A", false},
        {"/a", "/a/", false},
        {"/a", "/ab", false},
        {"/a", "/", false},
        {"/a", "//a", false},
        {"/a", "/%61", false},
        {"/a/", "/a/", true},
        {"/a/", "/a", false},
        {"/products/:id", "/products/42", true},
        {"/products/:id", "/products/a%2fb", true},
        {"/products/:id", "/products/", false},
        {"/products/:id", "/products", false},
        {"/products/:id", "/products/42/", false},
        {"/products/:id", "/products/42/x", false},
        {"/a/:x/c", "/a/b/c", true},
        {"/a/:x/c", "/a//c", false},
        {"/a/:x/c", "/a/b/d", false},
        {"/a/*", "/a/", true},
        {"/a/*", "/a/b", true},
        {"/a/*", "/a/b/c/", true},
        {"/a/*", "/a", false},
        {"/a/*", "/ab/c", false},
        {"/*", "/", true},
        {"/*", "/a/b", true},
        {"/:x/*", "/a/", true},
        {"/:x/*", "/a", false},
        {"/a", "a", false},
        {"/*", "*", false},
        {"/*", "", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct given g = {0};
        given_path(&g, rows[i].pattern);
        if (matches(&g.route, "GET", "h", rows[i].path) != rows[i].does) {
            fail_msg("%s against %s", rows[i].pattern, rows[i].path);
        }
    }
}

static void
a_host_without_port_is_meant_on_any_port(void **state)
{
    const struct {
        const char *want;
        const char *host;
        bool does;
    } rows[] = {
        {"", "anything:1", true},
        {"", "", true},
        {"shop.example", "shop.example", true},
        {"shop.example", "shop.example:8080", true},
        {"shop.example", "shop.example.evil", false},
        {"shop.example", "evil.shop.example", false},
        {"shop.example", "shop.exampl", false},
        {"shop.example", "", false},
        {"shop.example:80", "shop.example", false},
        {"shop.example:8080", "shop.example:8080", true},
        {"shop.example:8080", "shop.example:8081", false},
        {"shop.example:80", "shop.example:80:1", false},
        {"[::1]", "[::1]", true},
        {"[::1]", "[::1]:8080", true},
        {"[::1]", "[::2]:8080", false},
        {"[::1]:80", "[::1]", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct given g = {0};
        given_path(&g, "/a");
        g.route.host = slice_of_str(rows[i].want);
        if (matches(&g.route, "GET", rows[i].host, "/a") != rows[i].does) {
            fail_msg("%s against %s", rows[i].want, rows[i].host);
        }
    }
}

static void
a_route_for_get_takes_head_too(void **state)
{
    struct given g = {0};

    (void)state;
    given_path(&g, "/a");
    assert_true(matches(&g.route, "BREW", "h", "/a"));
    g.route.method = SLICE("GET");
    assert_true(matches(&g.route, "GET", "h", "/a"));
    assert_true(matches(&g.route, "HEAD", "h", "/a"));
    assert_false(matches(&g.route, "get", "h", "/a"));
    assert_false(matches(&g.route, "PUT", "h", "/a"));
    g.route.method = SLICE("HEAD");
    assert_false(matches(&g.route, "GET", "h", "/a"));
    g.route.method = SLICE("PUT");
    assert_true(matches(&g.route, "PUT", "h", "/a"));
    assert_false(matches(&g.route, "GET", "h", "/a"));
}

static void
the_first_route_that_matches_counts(void **state)
{
    struct given g[3] = {0};
    struct route routes[3];

    (void)state;
    given_path(&g[0], "/a/:x");
    given_path(&g[1], "/a/b");
    given_path(&g[2], "/*");
    for (size_t i = 0; i < 3; i++) {
        routes[i] = g[i].route;
    }
    routes[0].method = SLICE("PUT");
    assert_int_equal(
        route_match(routes, 3, SLICE("PUT"), SLICE("h"), SLICE("/a/b")), 0);
    assert_int_equal(
        route_match(routes, 3, SLICE("GET"), SLICE("h"), SLICE("/a/b")), 1);
    assert_int_equal(
        route_match(routes, 3, SLICE("GET"), SLICE("h"), SLICE("/a/c")), 2);
    assert_int_equal(
        route_match(routes, 2, SLICE("GET"), SLICE("h"), SLICE("/a/c")), -1);
    assert_int_equal(
        route_match(NULL, 0, SLICE("GET"), SLICE("h"), SLICE("/a/c")), -1);
}

static void
a_route_that_lists_methods_allows_those(void **state)
{
    const struct slice methods[] = {SLICE("GET"), SLICE("DELETE")};
    struct route route = {0};

    (void)state;
    assert_true(route_allows(&route, SLICE("ANY")));
    route.methods = methods;
    route.methods_len = 2;
    assert_true(route_allows(&route, SLICE("GET")));
    assert_true(route_allows(&route, SLICE("HEAD")));
    assert_true(route_allows(&route, SLICE("DELETE")));
    assert_false(route_allows(&route, SLICE("PUT")));
    assert_false(route_allows(&route, SLICE("get")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_match_segment_by_segment),
        cmocka_unit_test(a_host_without_port_is_meant_on_any_port),
        cmocka_unit_test(a_route_for_get_takes_head_too),
        cmocka_unit_test(the_first_route_that_matches_counts),
        cmocka_unit_test(a_route_that_lists_methods_allows_those),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
