/* Slices: comparing, trimming, cutting, reading numbers. */
#include "nearside/base/slice.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "nearside/base/check.h"

static void
equality_is_of_bytes_and_length(void **state)
{
    (void)state;
    assert_true(slice_eq(SLICE("a\0b"), slice_of("a\0b", 3)));
    assert_false(slice_eq(SLICE("a\0b"), SLICE("a\0c")));
    assert_false(slice_eq(SLICE("ab"), SLICE("abc")));
    assert_true(slice_eq(SLICE(""), slice_of(NULL, 0)));
    assert_true(slice_eq(slice_of_str(NULL), SLICE("")));
}

static void
only_ascii_letters_have_a_case(void **state)
{
    (void)state;
    assert_true(slice_ieq(SLICE("Content-TYPE"), SLICE("content-type")));
    assert_false(slice_ieq(SLICE("@[`{"), SLICE("`{@[")));
    assert_false(slice_ieq(SLICE("\xc4"), SLICE("\xe4")));
    assert_false(slice_ieq(SLICE("a"), SLICE("ab")));
    for (int c = 0; c < 256; c++) {
        char lower = c >= 'A' && c <= 'Z' ? (char)(c + 32) : (char)c;
        assert_int_equal(ascii_lower((char)c), lower);
    }
}

static void
trimming_takes_spaces_and_tabs_only(void **state)
{
    (void)state;
    assert_true(slice_eq(slice_trim(SLICE(" \t a b\t ")), SLICE("a b")));
    assert_true(slice_eq(slice_trim(SLICE("\ra\n")), SLICE("\ra\n")));
    assert_int_equal(slice_trim(SLICE(" \t ")).len, 0);
    assert_int_equal(slice_trim(slice_of(NULL, 0)).len, 0);
}

static void
finding_gives_the_first_place(void **state)
{
    (void)state;
    assert_int_equal(slice_find(SLICE("a:b:c"), ':'), 1);
    assert_int_equal(slice_find(SLICE("abc"), ':'), -1);
    assert_int_equal(slice_find(SLICE("ab\xff"), '\xff'), 2);
    assert_int_equal(slice_find(slice_of("abc:", 3), ':'), -1);
    assert_int_equal(slice_find(slice_of(NULL, 0), ':'), -1);
}

static void
skipping_stops_at_the_end(void **state)
{
    (void)state;
    assert_true(slice_eq(slice_skip(SLICE("abc"), 1), SLICE("bc")));
    assert_int_equal(slice_skip(SLICE("abc"), 3).len, 0);
    assert_int_equal(slice_skip(SLICE("abc"), 4).len, 0);
    assert_int_equal(slice_skip(slice_of(NULL, 0), 1).len, 0);
    assert_true(slice_starts(SLICE("abc"), SLICE("ab")));
    assert_true(slice_starts(SLICE("abc"), slice_of(NULL, 0)));
    assert_false(slice_starts(SLICE("ab"), SLICE("abc")));
}

struct split_case {
    struct slice in;
    size_t parts_len;
    const char *parts[4];
};

static void
splitting_gives_every_part_once(void **state)
{
    static const struct split_case cases[] = {
        {{"a,b", 3}, 2, {"a", "b"}},
        {{"a", 1}, 1, {"a"}},
        {{"a,", 2}, 2, {"a", ""}},
        {{",a", 2}, 2, {"", "a"}},
        {{",", 1}, 2, {"", ""}},
        {{"a,,b", 4}, 3, {"a", "", "b"}},
        {{"", 0}, 1, {""}},
        {{NULL, 0}, 0, {NULL}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice rest = cases[i].in;
        struct slice head;
        size_t n = 0;

        while (slice_split(&rest, ',', &head)) {
            assert_true(n < cases[i].parts_len);
            assert_true(slice_eq(head, slice_of_str(cases[i].parts[n])));
            n++;
        }
        assert_int_equal(n, cases[i].parts_len);
    }
}

struct number_case {
    const char *text;
    uint64_t max;
    enum rc rc;
    uint64_t value;
};

static void
numbers_are_digits_and_nothing_else(void **state)
{
    static const struct number_case cases[] = {
        {"0", UINT64_MAX, RC_OK, 0},
        {"007", UINT64_MAX, RC_OK, 7},
        {"42", 42, RC_OK, 42},
        {"43", 42, RC_LIMIT, 0},
        {"18446744073709551615", UINT64_MAX, RC_OK, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, RC_LIMIT, 0},
        {"18446744073709551620", UINT64_MAX, RC_LIMIT, 0},
        {"99999999999999999999999999", UINT64_MAX, RC_LIMIT, 0},
        /* Wraps round to something small twice over. */
        {"36893488147419103233", UINT64_MAX, RC_LIMIT, 0},
        {"99999999999999999999x", UINT64_MAX, RC_BAD, 0},
        {"", UINT64_MAX, RC_BAD, 0},
        {"+1", UINT64_MAX, RC_BAD, 0},
        {"-1", UINT64_MAX, RC_BAD, 0},
        {" 1", UINT64_MAX, RC_BAD, 0},
        {"1 ", UINT64_MAX, RC_BAD, 0},
        {"0x1", UINT64_MAX, RC_BAD, 0},
        {"1,1", UINT64_MAX, RC_BAD, 0},
        {"\xb2", UINT64_MAX, RC_BAD, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t value = 12345;
        enum rc rc =
            slice_to_u64(slice_of_str(cases[i].text), cases[i].max, &value);

        assert_int_equal(rc, cases[i].rc);
        assert_true(value == (rc == RC_OK ? cases[i].value : 12345));
    }
}

static void
every_rc_has_a_phrase(void **state)
{
    (void)state;
    assert_string_equal(rc_text(RC_OK), "ok");
    assert_string_equal(rc_text(RC_CANCELLED), "cancelled");
    assert_string_equal(rc_text((enum rc)999), "unknown");
}

static void
a_list_has_whole_members_in_any_case(void **state)
{
    (void)state;
    assert_true(slice_lists(SLICE("a, Bc\t,d"), SLICE("bC")));
    assert_true(slice_lists(SLICE("a"), SLICE("A")));
    assert_true(slice_lists(SLICE(" a,b "), SLICE("b")));
    assert_false(slice_lists(SLICE("a, bcd"), SLICE("bc")));
    assert_false(slice_lists(SLICE("a b"), SLICE("b")));
    assert_false(slice_lists(slice_of(NULL, 0), SLICE("a")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_has_whole_members_in_any_case),
        cmocka_unit_test(equality_is_of_bytes_and_length),
        cmocka_unit_test(only_ascii_letters_have_a_case),
        cmocka_unit_test(trimming_takes_spaces_and_tabs_only),
        cmocka_unit_test(finding_gives_the_first_place),
        cmocka_unit_test(skipping_stops_at_the_end),
        cmocka_unit_test(splitting_gives_every_part_once),
        cmocka_unit_test(numbers_are_digits_and_nothing_else),
        cmocka_unit_test(every_rc_has_a_phrase),
    };

    return cmocka_run_group_tests_name("base.slice", tests, NULL, NULL);
}
