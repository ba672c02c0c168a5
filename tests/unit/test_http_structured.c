/* Structured fields (RFC 9651): what is valid, what it says,
   and how it is written. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http_given.h"
#include "../support/structured_read.h"
#include "nearside/base/check.h"

/* "integer:5", "boolean:1"; of any other type it is enough to be valid. */
static void
describe(struct writer *w, const struct sf_item *item)
{
    if (item->type == SF_OTHER) {
        write_slice(w, SLICE("other"));
        return;
    }
    write_slice(
        w, item->type == SF_INTEGER ? SLICE("integer:") : SLICE("boolean:"));
    sf_write_integer(w, item->number);
}

struct row {
    const char *text;
    const char *want; /* NULL: malformed */
};

static void
expect_item(const struct row *row)
{
    char text[512];
    struct writer w = writer_of(text, sizeof(text));
    struct sf_item item;
    bool is_valid = sf_parse_item(slice_of_str(row->text), &item);

    if (is_valid != (row->want != NULL)) {
        fail_msg("[%s]: %d", row->text, is_valid);
    }
    if (is_valid) {
        describe(&w, &item);
        assert_slice(writer_slice(&w), row->want);
    }
}

static void
expect_items(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        expect_item(&rows[i]);
    }
}

#define EXPECT_ITEMS(rows) expect_items(rows, ARRAY_LEN(rows))

/* RFC 9651 4.2.4 */
static void
numbers_have_a_sign_a_point_and_so_many_digits(void **state)
{
    static const struct row rows[] = {
        {"42", "integer:42"},
        {"42  ", "integer:42"},
        {"-42", "integer:-42"},
        {"0", "integer:0"},
        {"-0", "integer:0"},
        {"00042", "integer:42"},
        {"999999999999999", "integer:999999999999999"},
        {"-999999999999999", "integer:-999999999999999"},
        {"1000000000000000", NULL},
        {"000000000000001", "integer:1"},
        {"0000000000000001", NULL},
        {"", NULL},
        {"-", NULL},
        {"--1", NULL},
        {"+1", NULL},
        {"1e5", NULL},
        {"0x1", NULL},
        {"1 2", NULL},
        {"\t1", NULL},
        {"4.5", "other"},
        {"-0.001", "other"},
        {"1.50", "other"},
        {"1.123", "other"},
        {"1.1234", NULL},
        {"1.", NULL},
        {".5", NULL},
        {"1..5", NULL},
        {"1.5.5", NULL},
        {"999999999999.999", "other"},
        {"1234567890123.1", NULL},
    };

    (void)state;
    EXPECT_ITEMS(rows);
}

/* RFC 9651 4.2.8, 4.2.9 */
static void
booleans_and_dates_are_marked(void **state)
{
    static const struct row rows[] = {
        {"?1", "boolean:1"},
        {"?0", "boolean:0"},
        {"?", NULL},
        {"?2", NULL},
        {"?T", NULL},
        {"?01", NULL},
        {"@1659578233", "other"},
        {"@-62135596800", "other"},
        {"@253402214400", "other"},
        {"@1.0", NULL},
        {"@", NULL},
        {"@x", NULL},
    };

    (void)state;
    EXPECT_ITEMS(rows);
}

/* RFC 9651 4.2.5, 4.2.6 */
static void
strings_are_quoted_and_tokens_are_not(void **state)
{
    static const struct row rows[] = {
        {"\"hello world\"", "other"},
        {"\"\"", "other"},
        {"\"a\\\"b\\\\\"", "other"},
        {"\"~ ,;=()\"", "other"},
        {"\"", NULL},
        {"\"a", NULL},
        {"\"a\\", NULL},
        {"\"a\\\"", NULL},
        {"\"a\\n\"", NULL},
        {"\"a\tb\"", NULL},
        {"\"a\x7f\"", NULL},
        {"\"\xc3\xbc\"", NULL},
        {"\"a\"b", NULL},
        {"'a'", NULL},
        {"foo123/456", "other"},
        {"*", "other"},
        {"z", "other"},
        {"Z1", "other"},
        {"*a:b/c", "other"},
        {"A!#$%&'*+-.^_`|~", "other"},
        {"/a", NULL},
        {"!a", NULL},
        {"_a", NULL},
        {"a(", NULL},
        {"a\"b\"", NULL},
        {"a,b", NULL},
        {"a\xff", NULL},
    };

    (void)state;
    EXPECT_ITEMS(rows);
}

/* RFC 9651 4.2.7 */
static void
byte_sequences_are_base64_padded_or_not(void **state)
{
    static const struct row rows[] = {
        {":aGVsbG8=:", "other"},
        {":aGVsbG8:", "other"},
        {":aGk=:", "other"},
        {":aQ==:", "other"},
        {":aQ:", "other"},
        {":aR==:", "other"}, /* pad bits */
        {":zzZZ:", "other"},
        {"::", "other"},
        {":0A==:", "other"},
        {":+/+/:", "other"},
        {":aGVsbG8=", NULL},
        {":aGVsbG8", NULL},
        {":", NULL},
        {":=:", NULL},
        {":a:", NULL},
        {":aGVsbG8==:", NULL},
        {":aGVs=:", NULL},
        {":aGVs====:", NULL},
        {":aQ=:", NULL},
        {":=aGVsbG8=:", NULL},
        {":a=GVsbG8=:", NULL},
        {":aGVsb-8=:", NULL},
        {":aGVs bG8=:", NULL},
        {":aGVs\nbG8=:", NULL},
    };

    (void)state;
    EXPECT_ITEMS(rows);
}

/* RFC 9651 4.2.10 */
static void
display_strings_are_utf_8_in_lower_case_percents(void **state)
{
    static const struct row rows[] = {
        {"%\"This is f%c3%bcnf.\"", "other"},
        {"%\"\"", "other"},
        {"%\"%22%25\"", "other"},
        {"%\"%0a%7f\"", "other"},
        {"%\"%e2%82%ac\"", "other"},
        {"%\"%f0%9f%98%80\"", "other"},
        {"%\"%f4%8f%bf%bf\"", "other"},
        {"%\"%ed%9f%bf\"", "other"},
        {"%\"%C3%BC\"", NULL},
        {"%\"%c3\"", NULL},
        {"%\"%c3a\"", NULL},
        {"%\"%bc\"", NULL},
        {"%\"%c0%80\"", NULL},
        {"%\"%c1%bf\"", NULL},
        {"%\"%e0%9f%bf\"", NULL},
        {"%\"%ed%a0%80\"", NULL},
        {"%\"%f0%8f%bf%bf\"", NULL},
        {"%\"%f4%90%80%80\"", NULL},
        {"%\"%f5%80%80%80\"", NULL},
        {"%\"%e2%82\"", NULL},
        {"%\"%e2%28%a1\"", NULL},
        {"%\"%\"", NULL},
        {"%\"%a\"", NULL},
        {"%\"%ag\"", NULL},
        {"%\"\xc3\xbc\"", NULL},
        {"%\"a\tb\"", NULL},
        {"%\"a", NULL},
        {"%", NULL},
        {"%a", NULL},
    };

    (void)state;
    EXPECT_ITEMS(rows);
}

/* RFC 9651 4.2.3.2, 4.2.3.3 */
static void
parameters_have_keys_and_perhaps_values(void **state)
{
    static const struct row rows[] = {
        {"a;b;c=1", "other"},
        {"a;  b=\"x;y\";c=?0", "other"},
        {"1;*=1;a_b-c.d*0=x", "integer:1"},
        {"?0;a=1;a=2", "boolean:0"},
        {"a;", NULL},
        {"a;;b", NULL},
        {"a;B", NULL},
        {"a;1", NULL},
        {"a;b=", NULL},
        {"a;b= 1", NULL},
        {"a;b =1", NULL},
        {"a ;b", NULL},
        {"a;\tb", NULL},
        {"a;b=(1)", NULL},
    };

    (void)state;
    EXPECT_ITEMS(rows);
}

/* RFC 9651 4.2.1.2 */
static void
an_inner_list_is_items_with_spaces_between(void **state)
{
    static const struct row rows[] = {
        {"()", "other"},
        {"(a)", "other"},
        {"(\"foo\" \"bar\")", "other"},
        {"(  1  2 );a", "other"},
        {"(\"foo\"; a=1;b=2);lvl=5", "other"},
        {"(", NULL},
        {"(a", NULL},
        {"(a,b)", NULL},
        {"(a\tb)", NULL},
        {"(a(b))", NULL},
        {"((a))", NULL},
        {"(1\"a\")", NULL},
        {"(a;)", NULL},
        {"(a);", NULL},
        {"(a)b", NULL},
        {")", NULL},
    };

    (void)state;
    EXPECT_ITEMS(rows);
}

/* Out of a place of exactly its size, so that a read beyond it is found. */
static void
expect_dictionary(const char *text, const char *want)
{
    size_t len = strlen(text);
    char *copy = malloc(len + (len == 0)), out[512];
    struct writer w = writer_of(out, sizeof(out));
    struct slice rest = {copy, len}, key;
    struct sf_item item;
    enum rc rc;

    assert_non_null(copy);
    memcpy(copy, text, len);
    while ((rc = sf_next_member(&rest, &key, &item)) == RC_OK) {
        write_slice(&w, key);
        write_slice(&w, SLICE("="));
        describe(&w, &item);
        write_slice(&w, SLICE(","));
    }
    if ((rc == RC_MISS) != (want != NULL)) {
        fail_msg("[%s]: %s", text, rc_text(rc));
    }
    assert_int_equal(sf_next_member(&rest, &key, &item), rc); /* stays so */
    if (want != NULL) {
        assert_slice(writer_slice(&w), want);
    }
    free(copy);
}

/* RFC 9651 4.2.2 */
static void
a_dictionary_is_keys_with_values_or_true(void **state)
{
    static const struct row rows[] = {
        {"", ""},
        {"max-age=60, no-store", "max-age=integer:60,no-store=boolean:1,"},
        {"a=?0, b, c; foo=bar", "a=boolean:0,b=boolean:1,c=boolean:1,"},
        {"rating=1.5, feelings=(joy sadness)", "rating=other,feelings=other,"},
        {"a=(1 2), b=3, c=4;aa=bb, d=(5 6);valid",
            "a=other,b=integer:3,c=integer:4,d=other,"},
        {"da=:aQ==:", "da=other,"},
        {"a=1,a=2", "a=integer:1,a=integer:2,"},
        {"a\t,\t b  ", "a=boolean:1,b=boolean:1,"},
        {"a;x , b=1\t", "a=boolean:1,b=integer:1,"},
        {"*a=1", "*a=integer:1,"},
        {"z", "z=boolean:1,"},
        {"\ta", NULL},
        {"a, b=\"", NULL},
        {"a, ", NULL},
        {"a;b c", NULL},
        {"{=1", NULL},
        {"`=1", NULL},
        {"A=1", NULL},
        {"Max-Age=60", NULL},
        {"1=1", NULL},
        {"a =1", NULL},
        {"a= 1", NULL},
        {"a=", NULL},
        {"a=1 b=2", NULL},
        {"a=1;", NULL},
        {"a=1,", NULL},
        {",", NULL},
        {"a=1,,b", NULL},
        {"a=1, B=2", NULL},
        {"a=b c", NULL},
        {"=1", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        expect_dictionary(rows[i].text, rows[i].want);
    }
}

/* RFC 9651 4.1.4, 4.1.6, 4.1.7 */
static void
what_is_no_token_is_written_as_a_string(void **state)
{
    static const struct row rows[] = {
        {"nearside", "nearside"},
        {"*", "*"},
        {"a:b/c", "a:b/c"},
        {"1a", "\"1a\""},
        {"", "\"\""},
        {"a b", "\"a b\""},
        {"a\"\\", "\"a\\\"\\\\\""},
        {"\xc3\xbc\r\n", "\"????\""},
    };
    char text[64];
    struct writer w;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        w = writer_of(text, sizeof(text));
        sf_write_token_or_string(&w, slice_of_str(rows[i].text));
        assert_slice(writer_slice(&w), rows[i].want);
    }
    w = writer_of(text, sizeof(text));
    sf_write_integer(&w, INT64_MAX);
    sf_write_integer(&w, INT64_MIN);
    sf_write_integer(&w, -7);
    assert_slice(writer_slice(&w), "999999999999999-999999999999999-7");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_a_sign_a_point_and_so_many_digits),
        cmocka_unit_test(booleans_and_dates_are_marked),
        cmocka_unit_test(strings_are_quoted_and_tokens_are_not),
        cmocka_unit_test(byte_sequences_are_base64_padded_or_not),
        cmocka_unit_test(display_strings_are_utf_8_in_lower_case_percents),
        cmocka_unit_test(parameters_have_keys_and_perhaps_values),
        cmocka_unit_test(an_inner_list_is_items_with_spaces_between),
        cmocka_unit_test(a_dictionary_is_keys_with_values_or_true),
        cmocka_unit_test(what_is_no_token_is_written_as_a_string),
    };

    return cmocka_run_group_tests_name("http structured", tests, NULL, NULL);
}
