/* Vary: which names, which variant, and the normal forms. */
#include "nearside/http/vary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "http_given.h"
#include "nearside/base/check.h"

static const struct vary_opts safe = {0};

#define NAMES_8  "a, b, c, d, e, f, g, h"
#define NAMES_16 NAMES_8 ", i, j, k, l, m, n, o, p"

static void
names_of_all_lines_are_sorted_and_stand_once(void **state)
{
    static const struct {
        const char *fields;
        const char *want;
    } rows[] = {
        {"", ""},
        {"Vary:\r\n", ""},
        {"Vary: ,, ,\r\n", ""},
        {"Vary: Accept\r\n", "accept"},
        {"Vary: b, A\tc\r\n", NULL},
        {"Vary: B , a,\r\nVary: c\r\n", "a,b,c"},
        {"Vary: Accept-Encoding, accept-encoding\r\nVARY: ACCEPT\r\n",
            "accept,accept-encoding"},
        {"Vary: " NAMES_8 "\r\n", "a,b,c,d,e,f,g,h"},
        {"Vary: " NAMES_8 "\r\nVary: A, H\r\n", "a,b,c,d,e,f,g,h"},
    };
    struct vary vary;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum rc rc = vary_read(given_response(rows[i].fields), &safe, &vary);
        if (rows[i].want == NULL) {
            assert_int_equal(rc, RC_BAD);
            continue;
        }
        if (rc != RC_OK) {
            fail_msg("%s: %s", rows[i].fields, rc_text(rc));
        }
        assert_slice(vary_text(&vary), rows[i].want);
    }
    assert_int_equal(vary_parse(SLICE("b,a-b"), &safe, &vary), RC_OK);
    assert_int_equal(vary.count, 2);
    assert_slice(vary_name(&vary, 0), "a-b");
    assert_slice(vary_name(&vary, 1), "b");
}

/* RFC 9111 4.1: "*" always fails to match. */
static void
what_varies_without_bound_is_refused(void **state)
{
    static const struct {
        const char *fields;
        enum rc rc;
    } rows[] = {
        {"Vary: *\r\n", RC_REFUSED}, {"Vary: accept, *\r\n", RC_REFUSED},
        {"Vary: accept\r\nVary: a,*,b\r\n", RC_REFUSED},
        {"Vary: Cookie\r\n", RC_REFUSED},
        {"Vary: accept, AUTHORIZATION\r\n", RC_REFUSED},
        {"Vary: user-agent\r\n", RC_REFUSED},
        {"Vary: X-Forwarded-For\r\n", RC_REFUSED},
        {"Vary: accept, Forwarded\r\n", RC_REFUSED},
        {"Vary: " NAMES_16 "\r\n", RC_OK},
        {"Vary: " NAMES_16 ", q\r\n", RC_LIMIT},
        {"Vary: " NAMES_16 "\r\nVary: q\r\n", RC_LIMIT},
        {"Vary: a b\r\n", RC_BAD}, {"Vary: a;b\r\n", RC_BAD},
        {"Vary: \"a\"\r\n", RC_BAD},
        {"Vary: **\r\n", RC_OK}, /* a token like any other */
    };
    struct vary vary;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum rc rc = vary_read(given_response(rows[i].fields), &safe, &vary);
        if (rc != rows[i].rc) {
            fail_msg("%s: %s", rows[i].fields, rc_text(rc));
        }
    }
}

static void
a_refused_name_is_taken_where_it_is_allowed(void **state)
{
    const struct vary_opts cookie = {.allows_cookie = true};
    const struct vary_opts authorization = {.allows_authorization = true};
    const struct vary_opts agent = {.allows_user_agent = true};
    struct vary vary;

    (void)state;
    assert_int_equal(vary_parse(SLICE("cookie"), &cookie, &vary), RC_OK);
    assert_int_equal(
        vary_parse(SLICE("user-agent"), &cookie, &vary), RC_REFUSED);
    assert_int_equal(
        vary_parse(SLICE("authorization"), &authorization, &vary), RC_OK);
    assert_int_equal(vary_parse(SLICE("user-agent"), &agent, &vary), RC_OK);
    assert_int_equal(vary_parse(SLICE("*"), &agent, &vary), RC_REFUSED);
}

static void
names_longer_than_the_text_are_refused(void **state)
{
    char name[VARY_TEXT_MAX + 1];
    struct vary vary;

    (void)state;
    memset(name, 'x', sizeof(name));
    assert_int_equal(
        vary_parse(slice_of(name, VARY_TEXT_MAX), &safe, &vary), RC_OK);
    assert_int_equal(
        vary_parse(slice_of(name, VARY_TEXT_MAX + 1), &safe, &vary), RC_LIMIT);
    name[10] = ',';
    assert_int_equal(
        vary_parse(slice_of(name, VARY_TEXT_MAX), &safe, &vary), RC_OK);
    assert_int_equal(vary.text_len, VARY_TEXT_MAX);
}

static struct slice
variant_of(const char *names, const char *fields)
{
    static char text[1024];
    struct writer w = writer_of(text, sizeof(text));
    struct vary vary;

    assert_int_equal(vary_parse(slice_of_str(names), &safe, &vary), RC_OK);
    assert_int_equal(
        vary_write_variant(&vary, given_request("GET /", fields), &w), RC_OK);
    return writer_slice(&w);
}

/* RFC 9111 4.1 */
static void
a_variant_is_what_the_request_says_for_each_name(void **state)
{
    static const struct {
        const char *names;
        const char *fields;
        const char *want;
    } rows[] = {
        {"", "A: 1\r\n", ""},
        {"a", "A: 1\r\n", "a: 1\n"},
        {"a", "", "a\n"},
        {"a", "A:\r\n", "a: \n"}, /* there, and empty */
        {"a", "A: 1\r\nb: 2\r\nA:  3 \r\n", "a: 1, 3\n"},
        {"a", "A: 1, 3\r\n", "a: 1, 3\n"},
        {"a", "A: X\r\n", "a: X\n"},
        {"b, a", "A: 1\r\nB: 2\r\n", "a: 1\nb: 2\n"},
        {"accept", "Accept: x\r\nAccept: y\r\n", "accept: x, y\n"},
        {"accept-encoding", "", "accept-encoding\n"},
        {"accept-encoding", "Accept-Encoding:\r\n",
            "accept-encoding: identity\n"},
        {"accept-language", "", "accept-language\n"},
        {"accept-language", "Accept-Language: DE ; q=0.5,en\r\n",
            "accept-language: en,de;q=0.5\n"},
        {"host", "", "host: a.example\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_slice(variant_of(rows[i].names, rows[i].fields), rows[i].want);
    }
}

static void
a_variant_without_room_is_none(void **state)
{
    char text[8];
    struct writer w = writer_of(text, 4);
    struct vary vary;

    (void)state;
    assert_int_equal(vary_parse(SLICE("a"), &safe, &vary), RC_OK);
    assert_int_equal(
        vary_write_variant(&vary, given_request("GET /", "A: 1\r\n"), &w),
        RC_LIMIT);
    w = writer_of(text, 5);
    assert_int_equal(
        vary_write_variant(&vary, given_request("GET /", "A: 1\r\n"), &w),
        RC_OK);
}

static void
a_field_that_is_not_sent_on_counts_as_not_there(void **state)
{
    const struct head *request = given_request("GET /", "A: 1\r\nB: 2\r\n");
    char text[64];
    struct writer w = writer_of(text, sizeof(text));
    struct vary vary;

    (void)state;
    assert_int_equal(vary_parse(SLICE("a,b"), &safe, &vary), RC_OK);
    vary.unsent = 1;
    assert_int_equal(vary_write_variant(&vary, request, &w), RC_OK);
    assert_slice(writer_slice(&w), "a\nb: 2\n");
}

/* Of a variant, what stands for Accept-Language. */
static enum rc
write_language(const struct head *request, struct writer *w)
{
    const struct slice start = SLICE("accept-language: ");
    char text[1024];
    struct writer line = writer_of(text, sizeof(text));
    struct slice value;
    struct vary vary;

    assert_int_equal(vary_parse(SLICE("accept-language"), &safe, &vary), RC_OK);
    assert_int_equal(vary_write_variant(&vary, request, &line), RC_OK);
    value = writer_slice(&line);
    assert_true(slice_starts(value, start));
    value.len--;
    write_slice(w, slice_skip(value, start.len));
    return RC_OK;
}

typedef enum rc (*write_fn)(const struct head *, struct writer *);

static void
expect_normal(
    write_fn write, const char *name, const char *value, const char *want)
{
    char fields[1024], text[1024];
    struct writer w = writer_of(text, sizeof(text));

    snprintf(fields, sizeof(fields), "%s: %s\r\n", name, value);
    assert_int_equal(write(given_request("GET /", fields), &w), RC_OK);
    if (!slice_eq(writer_slice(&w), slice_of_str(want))) {
        fail_msg("[%s] gives [%.*s], not [%s]", value,
            SLICE_FMT(writer_slice(&w)), want);
    }
}

/* RFC 9110 12.5.3, 12.4.2 */
static void
accept_encoding_is_what_of_br_and_gzip_is_welcome(void **state)
{
    static const char *const rows[][2] = {
        {"gzip", "gzip"},
        {"br", "br"},
        {"gzip, deflate, br", "br, gzip"},
        {"gzip,deflate,br,zstd", "br, gzip"},
        {"GZIP", "gzip"},
        {"x-gzip", "gzip"},
        {"deflate", "identity"},
        {"", "identity"},
        {",", "identity"},
        {"identity", "identity"},
        {"*", "br, gzip"},
        {"*;q=0.5, br;q=0", "gzip"},
        {"gzip;q=0", "identity"},
        {"gzip;q=0.0, br;q=0.000", "identity"},
        {"gzip;q=0.001", "gzip"},
        {"gzip;q=0.999", "gzip"},
        {"gzip;q=1.000", "gzip"},
        {"gzip ; Q=1.", "gzip"},
        {"gzip, gzip;q=0", "identity"},
        {"identity;q=1, gzip;q=0.5", "identity"},
        {"gzip, identity", "gzip"},
        {"identity, br, gzip", "br, gzip"},
        {"gzip;q=0.5, identity;q=0.5", "gzip"},
        {"gzip;q=0.500, identity;q=0.501", "identity"},
        {"identity;q=0.5, gzip;q=0.6, br;q=0.4", "gzip"},
        {"identity;q=0.5, gzip;q=1.0, *;q=0", "gzip"},
        /* Without identity, or malformed: as it stands. */
        {"gzip, identity;q=0", "gzip, identity;q=0"},
        {"gzip, *;q=0", "gzip, *;q=0"},
        {"gzip;q=2", "gzip;q=2"},
        {"gzip;q=0.:", "gzip;q=0.:"},
        {"gzip;q=0./", "gzip;q=0./"},
        {"gzip;q=1.001", "gzip;q=1.001"},
        {"gzip;q=0.0001", "gzip;q=0.0001"},
        {"gzip;q=.5", "gzip;q=.5"},
        {"gzip;q=", "gzip;q="},
        {"gzip;q=0x1", "gzip;q=0x1"},
        {"gzip;level=1", "gzip;level=1"},
        {"gzip;", "gzip;"},
        {"gzip br", "gzip br"},
        {";q=1", ";q=1"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        expect_normal(vary_write_accept_encoding, "Accept-Encoding", rows[i][0],
            rows[i][1]);
    }
    expect_normal(vary_write_accept_encoding, "Accept-Encoding",
        "gzip\r\nAccept-Encoding: br", "br, gzip");
    expect_normal(vary_write_accept_encoding, "Accept-Encoding",
        "gzip;\r\nX: y\r\nAccept-Encoding: br", "gzip;, br");
}

/* RFC 9110 12.5.4, 12.4.2 */
static void
accept_language_is_written_in_one_way(void **state)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"de", "de"},
        {"DE-at", "de-at"},
        {"da, en-gb;q=0.8, en;q=0.7", "da,en-gb;q=0.8,en;q=0.7"},
        {"en;q=0.7 ,da,  en-GB ; q=0.80", "da,en-gb;q=0.8,en;q=0.7"},
        {"a;q=0.5, b;q=0.5, c;q=0.50", "a;q=0.5,b;q=0.5,c;q=0.5"},
        {"a;q=0.125,b;q=0,c;q=0.01,d;q=1.0", "d,a;q=0.125,c;q=0.01,b;q=0"},
        {"*, de;q=1", "*,de"},
        {"de;q=1.5", "de;q=1.5"},
        {"de fr", "de fr"},
    };
    char many[400] = "a";

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        expect_normal(
            write_language, "Accept-Language", rows[i][0], rows[i][1]);
    }
    for (size_t i = 1; i < 32; i++) {
        memcpy(many + strlen(many), ",a", 3);
    }
    expect_normal(write_language, "Accept-Language", many, many);
    memcpy(many + strlen(many), ",B", 3);
    expect_normal(write_language, "Accept-Language", many, many);
}

static void
a_field_that_is_not_there_has_no_normal_form(void **state)
{
    char text[4];
    struct writer w = writer_of(text, sizeof(text));
    const struct head *none = given_request("GET /", "");

    (void)state;
    assert_int_equal(vary_write_accept_encoding(none, &w), RC_MISS);
    assert_int_equal(w.len, 0);
    assert_int_equal(
        vary_write_accept_encoding(
            given_request("GET /", "Accept-Encoding: gzip, br\r\n"), &w),
        RC_LIMIT);
}

/* --- names of two ------------------------------------------------------ */

static struct vary
given_names(const char *value)
{
    const struct vary_opts opts = {true, true, true};
    struct vary v;

    assert_int_equal(vary_parse(slice_of_str(value), &opts, &v), RC_OK);
    return v;
}

static void
names_of_two_are_joined_and_stand_once(void **state)
{
    static const char *const rows[][3] = {
        {"", "", ""},
        {"b", "", "b"},
        {"", "b", "b"},
        {"c,a", "B,A", "a,b,c"},
        {"a,b,c,d", "e,f,g,h", "a,b,c,d,e,f,g,h"},
    };
    struct vary a, b, out;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        a = given_names(rows[i][0]);
        b = given_names(rows[i][1]);
        assert_int_equal(vary_join(&a, &b, &out), RC_OK);
        assert_slice(vary_text(&out), rows[i][2]);
    }
    a = given_names("a,b,c,d,e,f,g,h");
    b = given_names("i,j,k,l,m,n,o,p,q");
    assert_int_equal(vary_join(&a, &b, &out), RC_LIMIT);
}

static void
fewer_names_are_within_more(void **state)
{
    static const struct {
        const char *names;
        const char *record;
        bool is_within;
    } rows[] = {
        {"", "", true},
        {"", "a", true},
        {"a", "", false},
        {"a", "a,b", true},
        {"b,a", "a,b", true},
        {"a,c", "a,b", false},
        {"a", "ab,ba", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct vary v = given_names(rows[i].names);

        assert_int_equal(vary_is_within(&v, slice_of_str(rows[i].record)),
            rows[i].is_within);
    }
}

static void
names_of_a_route_are_added_and_told(void **state)
{
    static const struct slice names[] = {{"origin", 6}, {"accept", 6}};
    static const struct vary_list list = {names, 2};
    static const struct {
        const char *fields;
        const char *line;
    } rows[] = {
        {"", "vary: origin, accept\r\n"},
        {"Vary: ORIGIN\r\n", "vary: accept\r\n"},
        {"Vary: x\r\nVary: y, Accept\r\n", "vary: origin\r\n"},
        {"Vary: accept,origin\r\n", ""},
        {"Vary: x, *\r\n", ""},
    };
    struct vary v = given_names("x,accept");
    char text[64];

    (void)state;
    assert_int_equal(vary_add(&v, &list), RC_OK);
    assert_slice(vary_text(&v), "accept,origin,x");
    v = given_names(NAMES_8 ", i, j, k, l, m, n, accept");
    assert_int_equal(vary_add(&v, &list), RC_OK);
    v = given_names(NAMES_8 ", i, j, k, l, m, n, o, accept");
    assert_int_equal(vary_add(&v, &list), RC_LIMIT);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct writer w = writer_of(text, sizeof(text));

        vary_write_missing(
            given_answer(METHOD_GET, 200, rows[i].fields), &list, &w);
        assert_slice(writer_slice(&w), rows[i].line);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_two_are_joined_and_stand_once),
        cmocka_unit_test(fewer_names_are_within_more),
        cmocka_unit_test(names_of_a_route_are_added_and_told),
        cmocka_unit_test(names_of_all_lines_are_sorted_and_stand_once),
        cmocka_unit_test(what_varies_without_bound_is_refused),
        cmocka_unit_test(a_refused_name_is_taken_where_it_is_allowed),
        cmocka_unit_test(names_longer_than_the_text_are_refused),
        cmocka_unit_test(a_variant_is_what_the_request_says_for_each_name),
        cmocka_unit_test(a_field_that_is_not_sent_on_counts_as_not_there),
        cmocka_unit_test(a_variant_without_room_is_none),
        cmocka_unit_test(accept_encoding_is_what_of_br_and_gzip_is_welcome),
        cmocka_unit_test(accept_language_is_written_in_one_way),
        cmocka_unit_test(a_field_that_is_not_there_has_no_normal_form),
    };

    return cmocka_run_group_tests_name("http vary", tests, NULL, NULL);
}
