/* Field lines as entries hold them. */
#include "proxy/lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "nearside/base/check.h"

static void
assert_slice(struct slice s, const char *want)
{
    assert_int_equal(s.len, strlen(want));
    assert_memory_equal(s.ptr, want, s.len);
}

static void
lines_come_one_after_the_other(void **state)
{
    struct slice rest = SLICE("a: 1\r\nb-c:2\r\nempty: \r\nd: x: y\r\n");
    const char *const want[][2] = {
        {"a", "1"}, {"b-c", "2"}, {"empty", ""}, {"d", "x: y"}};
    struct slice name;
    struct slice value;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(lines_next(&rest, &name, &value));
        assert_slice(name, want[i][0]);
        assert_slice(value, want[i][1]);
    }
    assert_false(lines_next(&rest, &name, &value));
    assert_int_equal(rest.len, 0);
}

static void
no_lines_are_no_line(void **state)
{
    struct slice none = slice_of(NULL, 0);
    struct slice name;
    struct slice value;

    (void)state;
    assert_false(lines_next(&none, &name, &value));
    assert_false(lines_find(slice_of(NULL, 0), SLICE("a"), &value));
}

/* Values that a damaged entry might hold are not read beyond their end. */
static void
a_line_that_is_cut_short_is_none(void **state)
{
    const char *const rows[] = {"a", "a: b", ":", "a b\r\n"};
    struct slice name;
    struct slice value;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice rest = slice_of_str(rows[i]);
        assert_false(lines_next(&rest, &name, &value));
    }
    {
        struct slice rest = SLICE("a: b\r");
        assert_true(lines_next(&rest, &name, &value));
        assert_slice(value, "b");
        assert_int_equal(rest.len, 0);
    }
}

static void
the_first_of_a_name_is_found(void **state)
{
    const struct slice lines = SLICE("ab: 0\r\na: 1\r\na: 2\r\nb: 3\r\n");
    struct slice value = SLICE("untouched");

    (void)state;
    assert_false(lines_find(lines, SLICE("c"), &value));
    assert_slice(value, "untouched");
    assert_true(lines_find(lines, SLICE("a"), &value));
    assert_slice(value, "1");
    assert_true(lines_find(lines, SLICE("b"), &value));
    assert_slice(value, "3");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_one_after_the_other),
        cmocka_unit_test(no_lines_are_no_line),
        cmocka_unit_test(a_line_that_is_cut_short_is_none),
        cmocka_unit_test(the_first_of_a_name_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
