/* Structured fields (RFC 9651): what is valid, what it says,
   and how it is written (structured_write.c). */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http_given.h"
#include "../support/structured_read.h"
#include "nearside/base/check.h"

static const char *const types[] = {
    [SF_INTEGER] = "integer",
    [SF_DECIMAL] = "decimal",
    [SF_STRING] = "string",
    [SF_TOKEN] = "token",
    [SF_BYTES] = "bytes",
    [SF_BOOLEAN] = "boolean",
    [SF_DATE] = "date",
    [SF_DISPLAY] = "display",
    [SF_INNER_LIST] = "list",
};

static bool
has_number(enum sf_type type)
{
    return type == SF_INTEGER || type == SF_DECIMAL || type == SF_BOOLEAN ||
           type == SF_DATE;
}

static void describe_params(struct writer *w, struct slice params);

/* "integer:5", and "(token:a token:b)" */
static void
describe(struct writer *w, const struct sf_item *item)
{
    struct slice inner = item->text;
    struct sf_item member;

    if (item->type == SF_INNER_LIST) {
        write_slice(w, SLICE("("));
        while (sf_next_inner(&inner, &member)) {
            describe(w, &member);
            write_slice(w, SLICE(" "));
        }
        write_slice(w, SLICE(")"));
    } else {
        write_slice(w, slice_of_str(types[item->type]));
        write_slice(w, SLICE(":"));
        if (has_number(item->type)) {
            sf_write_integer(w, item->number);
        }
        sf_write_text(w, item);
    }
    describe_params(w, item->params);
}

static void
describe_params(struct writer *w, struct slice params)
{
    struct sf_item value;
    struct slice key;

    while (sf_next_param(&params, &key, &value)) {
        write_slice(w, SLICE(";"));
        write_slice(w, key);
        write_slice(w, SLICE("="));
        describe(w, &value);
    }
}

struct row {
    const char *text;
    const char *want; /* NULL: malformed */
};

/* Out of a place of exactly its size, so that a read beyond it is found. */
static void
expect_item(const struct row *row)
{
    size_t len = strlen(row->text);
    char *copy = malloc(len + (len == 0)), text[512];
    struct writer w = writer_of(text, sizeof(text));
    struct sf_item item;
    enum rc rc;

    assert_non_null(copy);
    memcpy(copy, row->text, len);
    rc = sf_parse_item(slice_of(copy, len), &item);
    if ((rc == RC_OK) != (row->want != NULL)) {
        fail_msg("[%s]: %s", row->text, rc_text(rc));
    }
    if (rc == RC_OK) {
        describe(&w, &item);
        assert_slice(writer_slice(&w), row->want);
    }
    free(copy);
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
        {"  42  ", "integer:42"},
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
        {"1\t", NULL},
        {"4.5", "decimal:4500"},
        {"-0.001", "decimal:-1"},
        {"1.50", "decimal:1500"},
        {"1.123", "decimal:1123"},
        {"1.1234", NULL},
        {"1.", NULL},
        {".5", NULL},
        {"1..5", NULL},
        {"1.5.5", NULL},
        {"999999999999.999", "decimal:999999999999999"},
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
        {"@1659578233", "date:1659578233"},
        {"@-62135596800", "date:-62135596800"},
        {"@253402214400", "date:253402214400"},
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
        {"\"hello world\"", "string:hello world"},
        {"\"\"", "string:"},
        {"\"a\\\"b\\\\\"", "string:a\"b\\"},
        {"\"~ ,;=()\"", "string:~ ,;=()"},
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
        {"foo123/456", "token:foo123/456"},
        {"*", "token:*"},
        {"z", "token:z"},
        {"Z1", "token:Z1"},
        {"*a:b/c", "token:*a:b/c"},
        {"A!#$%&'*+-.^_`|~", "token:A!#$%&'*+-.^_`|~"},
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
        {":aGVsbG8=:", "bytes:hello"},
        {":aGVsbG8:", "bytes:hello"},
        {":aGk=:", "bytes:hi"},
        {":aQ==:", "bytes:i"},
        {":aQ:", "bytes:i"},
        {":aR==:", "bytes:i"}, /* pad bits */
        {":zzZZ:", "bytes:\xcf\x36\x59"},
        {"::", "bytes:"},
        {":0A==:", "bytes:\xd0"},
        {":+/+/:", "bytes:\xfb\xff\xbf"},
        {":aGVsbG8=", NULL},
        {":aGVsbG8", NULL},
        {":", NULL},
        {":=:", NULL},
        {":a:", NULL},
        {":aGVsbG8==:", NULL},
        {":aGVs=:", NULL},
        {":aQ=:", NULL},
        {":=aGVsbG8=:", NULL},
        {":a=GVsbG8=:", NULL},
        {":aGVsb-8=:", NULL},
        {":aGVs bG8=:", NULL},
        {":aGVs\nbG8=:", NULL},
    };
    struct sf_item item;

    (void)state;
    EXPECT_ITEMS(rows);
    assert_int_equal(sf_parse_item(SLICE(":aQ==:;a"), &item), RC_OK);
    assert_slice(item.text, "aQ==");
    assert_slice(item.params, ";a");
}

/* RFC 9651 4.2.10 */
static void
display_strings_are_utf_8_in_lower_case_percents(void **state)
{
    static const struct row rows[] = {
        {"%\"This is f%c3%bcnf.\"", "display:This is f\xc3\xbcnf."},
        {"%\"\"", "display:"},
        {"%\"%22%25\"", "display:\"%"},
        {"%\"%0a%7f\"", "display:\n\x7f"},
        {"%\"%e2%82%ac\"", "display:\xe2\x82\xac"},
        {"%\"%f0%9f%98%80\"", "display:\xf0\x9f\x98\x80"},
        {"%\"%f4%8f%bf%bf\"", "display:\xf4\x8f\xbf\xbf"},
        {"%\"%ed%9f%bf\"", "display:\xed\x9f\xbf"},
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
        {"a;b;c=1", "token:a;b=boolean:1;c=integer:1"},
        {"a;  b=\"x;y\";c=?0", "token:a;b=string:x;y;c=boolean:0"},
        {"1;*=1;a_b-c.d*0=x", "integer:1;*=integer:1;a_b-c.d*0=token:x"},
        {"a;b=1;b=2", "token:a;b=integer:1;b=integer:2"}, {"a;", NULL},
        {"a;;b", NULL}, {"a;B", NULL}, {"a;1", NULL}, {"a;b=", NULL},
        {"a;b= 1", NULL}, {"a;b =1", NULL}, {"a ;b", NULL}, {"a;\tb", NULL},
        {"a;b=(1)", NULL}, {"(a)", NULL}, /* an item is no list */
    };
    struct sf_item item, value;

    (void)state;
    EXPECT_ITEMS(rows);
    assert_int_equal(sf_parse_item(SLICE("a;b=1;c;b=2"), &item), RC_OK);
    assert_true(sf_find_param(&item, SLICE("b"), &value));
    assert_true(value.number == 2);
    assert_false(sf_find_param(&item, SLICE("d"), &value));
}

static void
expect_list(const char *text, const char *want)
{
    char out[512];
    struct writer w = writer_of(out, sizeof(out));
    struct sf_item item;
    struct sf s;
    enum rc rc;

    sf_start(&s, slice_of_str(text));
    while ((rc = sf_next_item(&s, &item)) == RC_OK) {
        describe(&w, &item);
        write_slice(&w, SLICE(","));
    }
    assert_int_equal(sf_is_list(slice_of_str(text)), want != NULL);
    if ((rc == RC_MISS) != (want != NULL)) {
        fail_msg("[%s]: %s", text, rc_text(rc));
    }
    assert_int_equal(sf_next_item(&s, &item), rc); /* and stays so */
    if (want != NULL) {
        assert_slice(writer_slice(&w), want);
    }
}

/* RFC 9651 4.2.1 */
static void
a_list_is_members_with_commas_between(void **state)
{
    static const struct row rows[] = {
        {"", ""},
        {"   ", ""},
        {"sugar, tea, rum", "token:sugar,token:tea,token:rum,"},
        {"a\t,\t b", "token:a,token:b,"},
        {" a,b  ", "token:a,token:b,"},
        {"a;x , 1", "token:a;x=boolean:1,integer:1,"},
        {"(\"foo\" \"bar\"), (\"baz\"), ()",
            "(string:foo string:bar ),(string:baz ),(),"},
        {"(  1  2 );a, 3", "(integer:1 integer:2 );a=boolean:1,integer:3,"},
        {"(\"foo\"; a=1;b=2);lvl=5",
            "(string:foo;a=integer:1;b=integer:2 );lvl=integer:5,"},
        {"a,", NULL},
        {"a, ", NULL},
        {",a", NULL},
        {"a,,b", NULL},
        {"a b", NULL},
        {"a;b c", NULL},
        {"\ta", NULL},
        {"(", NULL},
        {"(a", NULL},
        {"(a,b)", NULL},
        {"(a\tb)", NULL},
        {"(a(b))", NULL},
        {"((a))", NULL},
        {"(1\"a\")", NULL},
        {")", NULL},
        {"a, \"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        expect_list(rows[i].text, rows[i].want);
    }
}

static void
expect_dictionary(const char *text, const char *want)
{
    char out[512];
    struct writer w = writer_of(out, sizeof(out));
    struct sf_item item;
    struct slice key;
    struct sf s;
    enum rc rc;

    sf_start(&s, slice_of_str(text));
    while ((rc = sf_next_member(&s, &key, &item)) == RC_OK) {
        write_slice(&w, key);
        write_slice(&w, SLICE("="));
        describe(&w, &item);
        write_slice(&w, SLICE(","));
    }
    assert_int_equal(sf_is_dictionary(slice_of_str(text)), want != NULL);
    if ((rc == RC_MISS) != (want != NULL)) {
        fail_msg("[%s]: %s", text, rc_text(rc));
    }
    assert_int_equal(sf_next_member(&s, &key, &item), rc);
    if (want != NULL) {
        assert_slice(writer_slice(&w), want);
    }
}

/* RFC 9651 4.2.2 */
static void
a_dictionary_is_keys_with_values_or_true(void **state)
{
    static const struct row rows[] = {
        {"", ""},
        {"max-age=60, no-store", "max-age=integer:60,no-store=boolean:1,"},
        {"a=?0, b, c; foo=bar",
            "a=boolean:0,b=boolean:1,c=boolean:1;foo=token:bar,"},
        {"rating=1.5, feelings=(joy sadness)",
            "rating=decimal:1500,feelings=(token:joy token:sadness ),"},
        {"a=(1 2), b=3, c=4;aa=bb, d=(5 6);valid",
            "a=(integer:1 integer:2 ),b=integer:3,c=integer:4;aa=token:bb,"
            "d=(integer:5 integer:6 );valid=boolean:1,"},
        {"da=:aQ==:", "da=bytes:i,"},
        {"a=1,a=2", "a=integer:1,a=integer:2,"},
        {"*a=1", "*a=integer:1,"},
        {"z", "z=boolean:1,"},
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
        cmocka_unit_test(a_list_is_members_with_commas_between),
        cmocka_unit_test(a_dictionary_is_keys_with_values_or_true),
        cmocka_unit_test(what_is_no_token_is_written_as_a_string),
    };

    return cmocka_run_group_tests_name("http structured", tests, NULL, NULL);
}
