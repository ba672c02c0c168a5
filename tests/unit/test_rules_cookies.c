/* Which cookies of a request count, and what becomes of the others. */
#include "nearside/rules/cookies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http_given.h"
#include "nearside/base/check.h"
#include "nearside/http/write.h"

static const struct slice names[] = {{"session", 7}, {"lang", 4}};

/* The fields as lines. */
static struct slice
lines_of(const struct head *head)
{
    static char text[1024];
    struct writer w = writer_of(text, sizeof(text));

    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id == FIELD_HOST) {
            continue; /* each request has one */
        }
        write_field(&w, head->fields[i].name, head->fields[i].value);
        assert_true(head->fields[i].id == FIELD_OTHER ||
                    head_has(head, head->fields[i].id));
    }
    assert_false(w.is_full);
    return writer_slice(&w);
}

static void
those_that_are_named_are_kept_as_they_came(void **state)
{
    static const char *const rows[][2] = {
        {"Accept: a\r\n", "Accept: a\r\n"},
        {"Cookie: a=1\r\n", ""},
        {"Cookie: session=1\r\n", "Cookie: session=1\r\n"},
        {"Accept: a\r\nCookie: a=1;session=2 ; lang=de\r\nX: y\r\n",
            "Accept: a\r\nCookie: session=2; lang=de\r\nX: y\r\n"},
        {"cookie: lang=1\r\nX: y\r\nCookie: b=1\r\nCookie: session=2\r\n",
            "cookie: lang=1; session=2\r\nX: y\r\n"},
        {"Cookie: a=1\r\nCookie: session=2\r\n", "Cookie: session=2\r\n"},
        {"Cookie: Session=1; session; sessions=2; xsession=3\r\n", ""},
        {"Cookie: session=; session==a; session = b\r\n",
            "Cookie: session=; session==a; session = b\r\n"},
        {"Cookie: ;; ;session=1;;\r\n", "Cookie: session=1\r\n"},
        {"Cookie: a=\"; session=1\"; b=\"\r\n", "Cookie: session=1\"\r\n"},
        {"Cookie: a=1, session=2\r\n", ""},
        {"Cookie:\r\n", ""},
    };
    const struct route route = {
        .cookies = names, .cookies_len = ARRAY_LEN(names)};
    struct arena arena;

    (void)state;
    arena_init(&arena, 65536);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct head *head = given_request("GET /", rows[i][0]);
        const struct head *kept;

        assert_int_equal(cookies_keep(&arena, &route, head, &kept), RC_OK);
        assert_slice(lines_of(kept), rows[i][1]);
        assert_int_equal(
            head_has(kept, FIELD_COOKIE), strstr(rows[i][1], "ookie:") != NULL);
        assert_int_equal(kept->method, METHOD_GET);
    }
    arena_fini(&arena);
}

static void
no_more_names_are_kept_than_the_route_has(void **state)
{
    const struct route route = {.cookies = names, .cookies_len = 1};
    const struct head *kept;
    struct arena arena;

    (void)state;
    arena_init(&arena, 65536);
    assert_int_equal(
        cookies_keep(&arena, &route,
            given_request("GET /", "Cookie: lang=1; session=2\r\n"), &kept),
        RC_OK);
    assert_slice(lines_of(kept), "Cookie: session=2\r\n");
    arena_fini(&arena);
}

/* Each gets a blank that it did not have. */
static void
many_without_blanks_become_longer(void **state)
{
    static const struct slice short_name[] = {{"a", 1}};
    enum {
        COUNT = 500
    };
    const struct route route = {.cookies = short_name, .cookies_len = 1};
    const struct head *kept;
    struct arena arena;
    char lines[16 + 3 * COUNT] = "Cookie: ";

    (void)state;
    arena_init(&arena, 65536);
    for (size_t i = 0; i < COUNT; i++) {
        strcat(lines, "a=;");
    }
    strcat(lines, "\r\n");
    assert_int_equal(
        cookies_keep(&arena, &route, given_request("GET /", lines), &kept),
        RC_OK);
    assert_int_equal(
        head_find(kept, FIELD_COOKIE)->value.len, COUNT * strlen("a=; ") - 2);
    arena_fini(&arena);
}

static void
without_names_or_cookies_nothing_is_copied(void **state)
{
    const struct route all = {.cookies_len = 0};
    const struct route some = {
        .cookies = names, .cookies_len = ARRAY_LEN(names)};
    const struct head *head = given_request("GET /", "Cookie: a=1\r\n");
    const struct head *kept;
    struct arena none;

    (void)state;
    arena_init(&none, 16);
    assert_int_equal(cookies_keep(&none, &all, head, &kept), RC_OK);
    assert_ptr_equal(kept, head);
    assert_int_equal(cookies_keep(&none, &some, head, &kept), RC_NOMEM);
    head = given_request("GET /", "A: b\r\n");
    assert_int_equal(cookies_keep(&none, &some, head, &kept), RC_OK);
    assert_ptr_equal(kept, head);
    arena_fini(&none);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_that_are_named_are_kept_as_they_came),
        cmocka_unit_test(no_more_names_are_kept_than_the_route_has),
        cmocka_unit_test(many_without_blanks_become_longer),
        cmocka_unit_test(without_names_or_cookies_nothing_is_copied),
    };

    return cmocka_run_group_tests_name("rules cookies", tests, NULL, NULL);
}
