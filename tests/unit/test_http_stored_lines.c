/* Field lines as entries hold them. */
#include "nearside/http/stored_lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http_given.h"
#include "nearside/base/check.h"

#define LINES "a: 1\r\nb-c:2\r\nempty: \r\nd: x: y\r\na:\t3 \r\n"

static void
lines_come_one_after_the_other(void **state)
{
    struct slice rest = SLICE(LINES);
    const char *const want[][2] = {
        {"a", "1"}, {"b-c", "2"}, {"empty", ""}, {"d", "x: y"}, {"a", "3"}};
    struct slice name = {NULL, 0}, value = {NULL, 0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(stored_next(&rest, &name, &value));
        assert_slice(name, want[i][0]);
        assert_slice(value, want[i][1]);
    }
    assert_false(stored_next(&rest, &name, &value));
    assert_int_equal(rest.len, 0);
}

/* What a damaged entry might hold is not read beyond its end. */
static void
a_line_that_is_cut_short_is_none(void **state)
{
    const char *const rows[] = {
        "", "a", "a: b", ":", "a b\r\n", "a: b\r", "a: b\n", "a: b\rx"};
    struct slice name, value;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t len = strlen(rows[i]);
        char *copy = malloc(len + (len == 0));
        struct slice rest = slice_of(copy, len);
        assert_non_null(copy);
        memcpy(copy, rows[i], len);
        if (stored_next(&rest, &name, &value)) {
            fail_msg("row %zu is taken for a line", i);
        }
        free(copy);
    }
    assert_false(stored_find(slice_of(NULL, 0), SLICE("a"), &value));
}

static void
a_value_is_found_by_its_whole_name(void **state)
{
    struct slice rest = SLICE(LINES), value = SLICE("untouched");

    (void)state;
    assert_false(stored_find(rest, SLICE("b"), &value));
    assert_false(stored_find(rest, SLICE("b-c:"), &value));
    assert_slice(value, "untouched");
    assert_true(stored_find(rest, SLICE("b-c"), &value));
    assert_slice(value, "2");
    assert_true(stored_next_of(&rest, SLICE("a"), &value));
    assert_slice(value, "1");
    assert_true(stored_next_of(&rest, SLICE("a"), &value));
    assert_slice(value, "3");
    assert_false(stored_next_of(&rest, SLICE("a"), &value));
}

static void
what_may_stand_once_and_stands_twice_has_no_value(void **state)
{
    struct slice value = SLICE("untouched");

    (void)state;
    assert_false(stored_find_single(SLICE(LINES), SLICE("a"), &value));
    assert_false(stored_find_single(SLICE(LINES), SLICE("x"), &value));
    assert_slice(value, "untouched");
    assert_true(stored_find_single(SLICE(LINES), SLICE("d"), &value));
    assert_slice(value, "x: y");
}

static void
stored_lines_read_as_a_head(void **state)
{
    static struct head head;
    static char many[HEAD_FIELDS_MAX * 8 + 8];

    (void)state;
    assert_int_equal(
        stored_to_head(
            SLICE("etag: \"1\"\r\nx-own: a\r\nvary: b\r\nvary: c\r\n"), 203,
            &head),
        RC_OK);
    assert_int_equal(head.status, 203);
    assert_int_equal(head.field_count, 4);
    assert_slice(head_find(&head, FIELD_ETAG)->value, "\"1\"");
    assert_slice(head_find_name(&head, SLICE("X-Own"))->value, "a");
    assert_slice(
        head_find_next(&head, head_find(&head, FIELD_VARY))->value, "c");
    assert_false(head_has(&head, FIELD_AGE));
    for (size_t i = 0; i <= HEAD_FIELDS_MAX; i++) {
        memcpy(many + i * 6, "a: 1\r\n", 6);
    }
    assert_int_equal(
        stored_to_head(slice_of(many, HEAD_FIELDS_MAX * 6), 200, &head), RC_OK);
    assert_int_equal(head.field_count, HEAD_FIELDS_MAX);
    assert_int_equal(
        stored_to_head(slice_of(many, HEAD_FIELDS_MAX * 6 + 6), 200, &head),
        RC_LIMIT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_one_after_the_other),
        cmocka_unit_test(a_line_that_is_cut_short_is_none),
        cmocka_unit_test(a_value_is_found_by_its_whole_name),
        cmocka_unit_test(what_may_stand_once_and_stands_twice_has_no_value),
        cmocka_unit_test(stored_lines_read_as_a_head),
    };

    return cmocka_run_group_tests_name("http stored lines", tests, NULL, NULL);
}
