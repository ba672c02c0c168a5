/*
 * The chunked coding against the table of cases: each whole, byte by byte
 * and cut in two at every offset, with one verdict and one content.
 */
#include "nearside/http/chunk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http_cases.h"
#include "nearside/base/check.h"

enum {
    CONTENT_MAX = 4096,
};

struct result {
    enum rc rc;
    size_t eaten;
    size_t content_len;
    char content[CONTENT_MAX];
};

/* Feeds a run of bytes, at a place of their own, until they are used up. */
static void
feed(struct chunk *c, struct slice run, struct result *r)
{
    char *copy = malloc(run.len + (run.len == 0));
    struct slice in = {copy, run.len}, data;
    size_t eaten;

    assert_non_null(copy);
    memcpy(copy, run.ptr, run.len);
    while (in.len > 0 && r->rc == RC_AGAIN) {
        r->rc = chunk_decode(c, in, &eaten, &data);
        if (r->rc != RC_AGAIN && r->rc != RC_OK) {
            break;
        }
        assert_true(eaten > 0); /* progress, always */
        assert_true(r->content_len + data.len <= CONTENT_MAX);
        memcpy(r->content + r->content_len, data.ptr, data.len);
        r->content_len += data.len;
        r->eaten += eaten;
        in = slice_skip(in, eaten);
    }
    free(copy);
}

static void
decode_in_steps(struct slice in, size_t step, struct result *r)
{
    struct chunk c;

    *r = (struct result){.rc = RC_AGAIN};
    chunk_start(&c);
    for (size_t at = 0; at < in.len; at += step) {
        struct slice rest = slice_skip(in, at);
        feed(&c, slice_of(rest.ptr, rest.len < step ? rest.len : step), r);
    }
}

static void
decode_in_two(struct slice in, size_t at, struct result *r)
{
    struct chunk c;

    *r = (struct result){.rc = RC_AGAIN};
    chunk_start(&c);
    feed(&c, slice_of(in.ptr, at), r);
    feed(&c, slice_skip(in, at), r);
}

/* What was delivered before a fault may differ by nothing either. */
static void
expect_same(const struct result *r, const struct result *whole)
{
    assert_int_equal(r->rc, whole->rc);
    if (whole->rc == RC_OK || whole->rc == RC_AGAIN) {
        assert_int_equal(r->eaten, whole->eaten);
    }
    assert_true(slice_eq(slice_of(r->content, r->content_len),
        slice_of(whole->content, whole->content_len)));
}

static void
decode_all_ways(struct slice in, struct result *whole)
{
    struct result r;

    decode_in_steps(in, in.len, whole);
    for (size_t step = 1; step < 8; step++) {
        decode_in_steps(in, step, &r);
        expect_same(&r, whole);
    }
    for (size_t at = 0; at <= in.len; at++) {
        decode_in_two(in, at, &r);
        expect_same(&r, whole);
    }
}

static void
every_body_of_the_table_has_its_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(chunk_cases); i++) {
        const struct chunk_case *c = &chunk_cases[i];
        struct result r;
        decode_all_ways(c->in, &r);
        if (r.rc != c->rc) {
            fail_msg("row %s, %s: %s", c->row, c->claim, rc_text(r.rc));
        }
        if (c->content != NULL && !slice_eq(slice_of_str(c->content),
                                      slice_of(r.content, r.content_len))) {
            fail_msg("row %s, %s: content [%.*s]", c->row, c->claim,
                (int)r.content_len, r.content);
        }
        if (c->rc == RC_OK) {
            assert_int_equal(r.eaten, c->in.len - strlen(NEXT));
        }
    }
}

/* A body with a run of n bytes c within. */
static char *
with_run(
    const char *before, char c, size_t n, const char *after, struct slice *out)
{
    size_t len = strlen(before) + n + strlen(after);
    char *text = malloc(len + 1);

    assert_non_null(text);
    memcpy(text, before, strlen(before));
    memset(text + strlen(before), c, n);
    memcpy(text + strlen(before) + n, after, strlen(after) + 1);
    *out = slice_of(text, len);
    return text;
}

static void
an_endless_line_is_refused_at_its_limit(void **state)
{
    /* row 33: an extension, and zeros that are no more than 16 anyway */
    static const struct {
        const char *before;
        size_t most;
        const char *after;
    } rows[] = {
        {"5;", 4096 - 3, "\r\nhello\r\n0\r\n\r\n"},
        {"0\r\nX:", 16384 - 2 - 4, "\r\n\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t over = 0; over < 2; over++) {
            struct slice in;
            struct result r;
            char *text = with_run(
                rows[i].before, 'a', rows[i].most + over, rows[i].after, &in);
            decode_in_steps(in, in.len, &r);
            assert_int_equal(r.rc, over == 0 ? RC_OK : RC_LIMIT);
            decode_in_steps(in, 1, &r);
            assert_int_equal(r.rc, over == 0 ? RC_OK : RC_LIMIT);
            free(text);
        }
    }
}

static void
extensions_are_counted_over_the_whole_body(void **state)
{
    /* The semicolon, the name and CR: 2,048 bytes of extension each. */
    struct result r = {.rc = RC_AGAIN};
    struct chunk c;
    struct slice chunk;
    char *text = with_run("1;", 'a', 2046, "\r\nx\r\n", &chunk);

    (void)state;
    chunk_start(&c);
    for (size_t i = 0; i < 16384 / 2048; i++) {
        feed(&c, chunk, &r);
        assert_int_equal(r.rc, RC_AGAIN);
    }
    feed(&c, SLICE("1\r\nx\r\n1"), &r);
    assert_int_equal(r.rc, RC_AGAIN);
    feed(&c, SLICE(";"), &r);
    assert_int_equal(r.rc, RC_LIMIT);
    free(text);
}

static void
chunks_without_extensions_are_not_counted(void **state)
{
    struct chunk c;
    struct result r = {.rc = RC_AGAIN};

    (void)state;
    chunk_start(&c);
    for (size_t i = 0; i < 4000; i++) {
        feed(&c, SLICE("00001\r\nx\r\n"), &r);
        assert_int_equal(r.rc, RC_AGAIN);
    }
    feed(&c, SLICE("0\r\n\r\n"), &r);
    assert_int_equal(r.rc, RC_OK);
    assert_int_equal(r.content_len, 4000);
}

static void
what_is_broken_stays_broken(void **state)
{
    struct chunk c;
    struct slice data;
    size_t eaten;

    (void)state;
    chunk_start(&c);
    assert_int_equal(chunk_decode(&c, SLICE("x"), &eaten, &data), RC_BAD);
    assert_int_equal(
        chunk_decode(&c, SLICE("0\r\n\r\n"), &eaten, &data), RC_BAD);
}

static void
content_is_a_loan_and_not_a_copy(void **state)
{
    const struct slice in = SLICE("5\r\nhello\r\n");
    struct chunk c;
    struct slice data;
    size_t eaten;

    (void)state;
    chunk_start(&c);
    assert_int_equal(chunk_decode(&c, in, &eaten, &data), RC_AGAIN);
    assert_ptr_equal(data.ptr, in.ptr + 3);
    assert_int_equal(data.len, 5);
    assert_int_equal(eaten, 8);
    assert_int_equal(
        chunk_decode(&c, slice_of(in.ptr, 0), &eaten, &data), RC_AGAIN);
    assert_int_equal(eaten, 0);
    assert_int_equal(data.len, 0);
}

static void
a_chunk_line_is_read_back_as_it_was_written(void **state)
{
    static const uint64_t sizes[] = {1, 9, 10, 15, 16, 255, 256, 65535, 65536,
        UINT64_C(0x123456789abcdef), INT64_MAX};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        char line[CHUNK_LINE_MAX + 1], wanted[CHUNK_LINE_MAX + 1];
        size_t len = chunk_write_line(line, sizes[i]), eaten;
        struct chunk c;
        struct slice data;
        snprintf(wanted, sizeof(wanted), "%jx\r\n", (uintmax_t)sizes[i]);
        line[len] = '\0';
        assert_string_equal(line, wanted);
        chunk_start(&c);
        assert_int_equal(
            chunk_decode(&c, slice_of(line, len), &eaten, &data), RC_AGAIN);
        assert_true(c.left == sizes[i]);
    }
    char line[CHUNK_LINE_MAX];
    assert_int_equal(chunk_write_line(line, UINT64_MAX), CHUNK_LINE_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_body_of_the_table_has_its_verdict),
        cmocka_unit_test(an_endless_line_is_refused_at_its_limit),
        cmocka_unit_test(extensions_are_counted_over_the_whole_body),
        cmocka_unit_test(chunks_without_extensions_are_not_counted),
        cmocka_unit_test(what_is_broken_stays_broken),
        cmocka_unit_test(content_is_a_loan_and_not_a_copy),
        cmocka_unit_test(a_chunk_line_is_read_back_as_it_was_written),
    };

    return cmocka_run_group_tests_name("http chunk", tests, NULL, NULL);
}
