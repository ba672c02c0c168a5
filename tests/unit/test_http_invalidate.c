/* What an unsafe request has dropped. */
#include "nearside/http/invalidate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "http_given.h"
#include "nearside/base/check.h"

/* RFC 9111 4.4; RFC 9110 9.2.1 */
static void
unsafe_and_unknown_methods_without_an_error_drop_the_target(void **state)
{
    static const struct {
        enum method method;
        bool is_unsafe;
    } methods[] = {{METHOD_GET, false}, {METHOD_HEAD, false},
        {METHOD_OPTIONS, false}, {METHOD_TRACE, false}, {METHOD_POST, true},
        {METHOD_PUT, true}, {METHOD_PATCH, true}, {METHOD_DELETE, true},
        {METHOD_CONNECT, true}, {METHOD_OTHER, true}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        enum method m = methods[i].method;
        bool is_unsafe = methods[i].is_unsafe;
        assert_int_equal(invalidate_is_due(m, 200), is_unsafe);
        assert_int_equal(invalidate_is_due(m, 204), is_unsafe);
        assert_int_equal(invalidate_is_due(m, 303), is_unsafe);
        assert_int_equal(invalidate_is_due(m, 399), is_unsafe);
        assert_false(invalidate_is_due(m, 199));
        assert_false(invalidate_is_due(m, 400));
        assert_false(invalidate_is_due(m, 500));
    }
}

static const struct invalidate_base base = {
    .scheme = {"http", 4},
    .host = {"a.example", 9},
    .target = {"/b/c/d;p?q", 10},
};

struct row {
    const char *reference;
    const char *want; /* NULL: nothing */
};

/* What a Location of that reference has dropped; empty: nothing. */
static struct slice
resolved(
    const char *reference, const struct invalidate_base *from, struct writer *w)
{
    struct slice targets[INVALIDATE_MORE_MAX] = {{NULL, 0}};
    char fields[256];

    snprintf(fields, sizeof(fields), "Location: %s\r\n", reference);
    invalidate_more(given_response(fields), from, w, targets);
    return targets[0];
}

static void
expect(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[256];
        struct writer w = writer_of(text, sizeof(text));
        struct slice got = resolved(rows[i].reference, &base, &w);
        if (!slice_eq(got, slice_of_str(rows[i].want))) {
            fail_msg("[%s]: [%.*s]", rows[i].reference, SLICE_FMT(got));
        }
    }
}

#define EXPECT(rows) expect(rows, ARRAY_LEN(rows))

/* The examples of RFC 3986 5.4 that are http, in origin-form. */
static void
references_are_resolved_against_the_target(void **state)
{
    static const struct row rows[] = {
        {"g", "/b/c/g"},
        {"./g", "/b/c/g"},
        {"g/", "/b/c/g/"},
        {"/g", "/g"},
        {"//a.example", "/"},
        {"//a.example?y", "/?y"},
        {"?y", "/b/c/d;p?y"},
        {"?", "/b/c/d;p?"},
        {"g?y", "/b/c/g?y"},
        {"#s", NULL},
        {"g#s", "/b/c/g"},
        {"g?y#s?/x", "/b/c/g?y"},
        {";x", "/b/c/;x"},
        {"", NULL}, /* the target itself, which is dropped anyway */
        {".", "/b/c/"},
        {"./", "/b/c/"},
        {"..", "/b/"},
        {"../g", "/b/g"},
        {"../..", "/"},
        {"../../g", "/g"},
        {"../../../g", "/g"},
        {"/./g", "/g"},
        {"/../g", "/g"},
        {"g.", "/b/c/g."},
        {"..g", "/b/c/..g"},
        {"./g/.", "/b/c/g/"},
        {"g/./h", "/b/c/g/h"},
        {"g/../h", "/b/c/h"},
        {"g?y/../x", "/b/c/g?y/../x"},
        {"/a//b", "/a//b"},
        {"/%2e%2E/x", "/x"},
        {"%67?%79=%c3", "/b/c/g?y=%C3"}, /* in its one spelling */
        {"?%71%2f", "/b/c/d;p?q%2F"},
        {"/x:y", "/x:y"},
    };

    (void)state;
    EXPECT(rows);
}

/* RFC 9111 4.4: MUST NOT where the origin differs. */
static void
another_origin_drops_nothing(void **state)
{
    static const struct row rows[] = {
        {"http://a.example/x", "/x"},
        {"http://a.example", "/"},
        {"HTTP://A.EXAMPLE:80/x", "/x"},
        {"//A.example:/x?y", "/x?y"},
        {"https://a.example/x", NULL},
        {"http://a.example:81/x", NULL},
        {"http://b.example/x", NULL},
        {"http://x.a.example/x", NULL},
        {"//b.example/x", NULL},
        {"ftp://a.example/x", NULL},
        {"mailto:x", NULL},
        {"x:y", NULL},
        {":x", NULL},
        {"http://u@a.example/x", NULL},
        {"http://a.example:80:80/x", NULL},
        {"http://a.example\\@b/x", NULL},
        {"http:///x", NULL},
        {"///x", NULL},
        {"http:x", NULL},
        {"http:/x", NULL},
        {"/a b", NULL},
        {"/a\"b", NULL},
        {"/\xc3\xbc", NULL},
        {"/a\\b", NULL},
        {"/a?b c", NULL},
    };

    (void)state;
    EXPECT(rows);
}

static void
a_base_without_a_path_resolves_nothing(void **state)
{
    const struct invalidate_base all = {
        .scheme = SLICE("http"), .host = SLICE("a"), .target = SLICE("*")};
    char text[16];
    struct writer w = writer_of(text, sizeof(text));

    (void)state;
    assert_int_equal(resolved("x", &all, &w).len, 0);
}

static void
at_most_two_more_targets_are_dropped(void **state)
{
#define LOCATION(uri) "Location: " uri "\r\n"
#define CONTENT(uri)  "Content-Location: " uri "\r\n"
    static const struct {
        const char *fields;
        const char *first;
        const char *second;
    } rows[] = {
        {"", NULL, NULL},
        {LOCATION("/x"), "/x", NULL},
        {CONTENT("y"), "/b/c/y", NULL},
        {LOCATION("/x") CONTENT("/y"), "/x", "/y"},
        {CONTENT("/y") LOCATION("http://a.example/x"), "/x", "/y"},
        {LOCATION("/x") CONTENT("/x"), "/x", NULL},
        {LOCATION("") CONTENT("/b/c/d;p?q"), NULL, NULL},
        {LOCATION("/%78") CONTENT("/b/%63/d;p?%71"), "/x", NULL},
        {LOCATION("//b/x") CONTENT("/y"), "/y", NULL},
        {LOCATION("/x") LOCATION("/z") CONTENT("/y"), "/y", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[256];
        struct writer w = writer_of(text, sizeof(text));
        struct slice targets[INVALIDATE_MORE_MAX];
        size_t want = rows[i].second != NULL  ? 2
                      : rows[i].first != NULL ? 1
                                              : 0;
        assert_int_equal(
            invalidate_more(given_answer(METHOD_POST, 201, rows[i].fields),
                &base, &w, targets),
            want);
        if (want > 0) {
            assert_slice(targets[0], rows[i].first);
        }
        if (want > 1) {
            assert_slice(targets[1], rows[i].second);
        }
    }
}

static void
a_target_without_room_is_left_out_whole(void **state)
{
    char text[16];
    struct writer w = writer_of(text, 3);
    struct slice targets[INVALIDATE_MORE_MAX];

    (void)state;
    assert_int_equal(
        invalidate_more(given_response("Location: /x\r\nContent-Location: /yy"
                                       "\r\n"),
            &base, &w, targets),
        1);
    assert_slice(targets[0], "/x");
    assert_int_equal(w.len, 2);
    w = writer_of(text, 2);
    assert_int_equal(resolved("/yy", &base, &w).len, 0);
    assert_int_equal(w.len, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            unsafe_and_unknown_methods_without_an_error_drop_the_target),
        cmocka_unit_test(references_are_resolved_against_the_target),
        cmocka_unit_test(another_origin_drops_nothing),
        cmocka_unit_test(a_base_without_a_path_resolves_nothing),
        cmocka_unit_test(at_most_two_more_targets_are_dropped),
        cmocka_unit_test(a_target_without_room_is_left_out_whole),
    };

    return cmocka_run_group_tests_name("http invalidate", tests, NULL, NULL);
}
