/* Replies: each whole, split at every byte and byte by byte; and what a
   server must not send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "nearside/base/buf.h"
#include "nearside/base/check.h"
#include "nearside/redis/resp.h"

/* A reply as one line of text, to compare with. */
static void
describe(struct buf *out, const struct redis_reply *reply)
{
    switch (reply->type) {
    case REDIS_NIL:
        assert_int_equal(buf_append(out, SLICE("nil")), RC_OK);
        return;
    case REDIS_STATUS:
    case REDIS_ERROR:
    case REDIS_STRING:
        assert_int_equal(buf_printf(out, "%c%.*s'",
                             "+-$"[reply->type == REDIS_STATUS  ? 0
                                   : reply->type == REDIS_ERROR ? 1
                                                                : 2],
                             (int)reply -> len, reply -> str),
            RC_OK);
        return;
    case REDIS_INTEGER:
        assert_int_equal(
            buf_printf(out, ":%lld", (long long)reply->integer), RC_OK);
        return;
    case REDIS_ARRAY:
        assert_int_equal(buf_append(out, SLICE("[")), RC_OK);
        for (size_t i = 0; i < reply->elements_len; i++) {
            describe(out, reply->elements[i]);
        }
        assert_int_equal(buf_append(out, SLICE("]")), RC_OK);
        return;
    }
    fail();
}

/* Feeds the bytes in pieces that end at `cuts`, a step of `step` from there
   on; collects every reply. */
static enum rc
decode(struct slice in, size_t first, size_t step, struct buf *out)
{
    struct resp *resp = resp_new(200000);
    char scratch[RESP_SCRATCH];
    struct redis_reply *reply;
    enum rc rc = RC_AGAIN;

    assert_non_null(resp);
    while (in.len > 0 && rc == RC_AGAIN) {
        struct resp_space to = resp_space(resp, scratch, sizeof(scratch));
        size_t n = first > 0 ? first : step;

        first = 0;
        n = n < in.len ? n : in.len;
        n = n < to.cap ? n : to.cap;
        memcpy(to.ptr, in.ptr, n);
        in = slice_skip(in, n);
        resp_put(resp, n);
        while ((rc = resp_next(resp, &reply)) == RC_OK) {
            describe(out, reply);
        }
    }
    resp_free(&resp);
    return rc;
}

static const struct {
    const char *in;
    const char *out;
} good[] = {
    {"+OK\r\n", "+OK'"},
    {"-ERR no\r\n", "-ERR no'"},
    {":42\r\n", ":42"},
    {":-1\r\n", ":-1"},
    {"$-1\r\n", "nil"},
    {"*-1\r\n", "nil"},
    {"$0\r\n\r\n", "$'"},
    {"*0\r\n", "[]"},
    {"$5\r\nhello\r\n", "$hello'"},
    {"$11\r\n\r\n$3\r\nab\r\n:\r\n", "$\r\n$3\r\nab\r\n:'"},
    {"+OK\r\n$3\r\nabc\r\n:7\r\n$-1\r\n-ERR x\r\n", "+OK'$abc':7nil-ERR x'"},
    {"*3\r\n$1\r\na\r\n:1\r\n*2\r\n$-1\r\n+b\r\n", "[$a':1[nil+b']]"},
    {"*2\r\n*1\r\n*1\r\n*1\r\n:1\r\n$1\r\nx\r\n+after\r\n",
        "[[[[:1]]]$x']+after'"},
};

static void
replies_are_read_alike_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct slice in = slice_of_str(good[i].in);

        for (size_t cut = 1; cut <= in.len; cut++) {
            for (size_t step = 1; step <= in.len; step += in.len - 1) {
                struct buf out;

                buf_init(&out, 100000);
                if (decode(in, cut, step, &out) != RC_AGAIN) {
                    fail_msg("%zu: cut %zu step %zu", i, cut, step);
                }
                if (buf_len(&out) != strlen(good[i].out)) {
                    fail_msg("%zu: cut %zu step %zu: %.*s", i, cut, step,
                        SLICE_FMT(buf_slice(&out)));
                }
                assert_int_equal(buf_len(&out), strlen(good[i].out));
                assert_memory_equal(
                    buf_slice(&out).ptr, good[i].out, strlen(good[i].out));
                buf_fini(&out);
            }
        }
    }
}

/* "$N\r\n" and N bytes that tell their place, between two small replies. */
static struct slice
make_bulk(size_t n)
{
    char *in = malloc(n + 64);
    size_t at = (size_t)sprintf(in, "+a\r\n$%zu\r\n", n);

    for (size_t i = 0; i < n; i++) {
        in[at++] = (char)('a' + i % 23);
    }
    at += (size_t)sprintf(in + at, "\r\n:9\r\n");
    return slice_of(in, at);
}

static void
bulks_around_the_direct_way_are_whole(void **state)
{
    static const size_t sizes[] = {16383, 16384, 16385, 20000, 100000};
    static const size_t steps[] = {1, 7, 4096, 16384, 70000};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct slice in = make_bulk(sizes[i]);

        for (size_t j = 0; j < ARRAY_LEN(steps); j++) {
            for (size_t first = 1; first < 20; first++) {
                struct buf out;
                char *body;

                buf_init(&out, 200000);
                assert_int_equal(decode(in, first, steps[j], &out), RC_AGAIN);
                assert_int_equal(buf_len(&out), sizes[i] + 7);
                assert_memory_equal(buf_slice(&out).ptr, "+a'$", 4);
                body = memchr(in.ptr + 5, '\n', 20);
                assert_memory_equal(
                    buf_slice(&out).ptr + 4, body + 1, sizes[i]);
                assert_memory_equal(
                    buf_slice(&out).ptr + 4 + sizes[i], "':9", 3);
                buf_fini(&out);
            }
        }
        free((char *)(uintptr_t)in.ptr);
    }
}

static const struct {
    const char *in;
    enum rc rc;
} bad[] = {
    {"hello\r\n", RC_BAD},
    {"\r\n", RC_BAD},
    {"$abc\r\n", RC_BAD},
    {"$-2\r\n", RC_BAD},
    {"*-2\r\n", RC_BAD},
    {"*x\r\n", RC_BAD},
    {"$99999999999999999999\r\n", RC_BAD},
    {"$0000000020000\r\n", RC_BAD}, /* alike however it is cut */
    {"*2147483647\r\n", RC_LIMIT},
    {"*25001\r\n", RC_LIMIT},
    {"$536870913\r\n", RC_LIMIT},
    {"$200001\r\n", RC_LIMIT},
    {"*2\r\n*2147483647\r\n", RC_LIMIT},
    {"%1\r\n+a\r\n+b\r\n", RC_BAD}, /* RESP3, which nobody asked for */
    {"~1\r\n+a\r\n", RC_BAD},
    {">1\r\n+a\r\n", RC_BAD},
    {"_\r\n", RC_BAD},
    {"#t\r\n", RC_BAD},
    {",1.5\r\n", RC_BAD},
};

static void
what_is_no_resp2_ends_the_stream(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct slice in = slice_of_str(bad[i].in);

        for (size_t step = 1; step <= in.len; step += in.len - 1) {
            struct buf out;
            enum rc rc;

            buf_init(&out, 1000);
            rc = decode(in, 0, step, &out);
            /* hiredis 0.14 refuses to read a length beyond INT_MAX. */
            if (rc == RC_AGAIN && step == 1 && in.ptr[0] == '$') {
                rc = RC_LIMIT; /* it waits, but for no more than allowed */
            }
            if (rc != bad[i].rc && !(bad[i].rc == RC_LIMIT && rc == RC_BAD)) {
                fail_msg("'%s' gave %s", bad[i].in, rc_text(rc));
            }
            buf_fini(&out);
        }
    }
}

static void
missing_line_end_after_a_large_body_ends_the_stream(void **state)
{
    struct slice in = make_bulk(20000);
    char *crlf = memmem(in.ptr + 20000, in.len - 20000, "\r\n:9", 4);
    struct buf out;

    (void)state;
    buf_init(&out, 100000);
    assert_non_null(crlf);
    crlf[1] = 'x';
    assert_int_equal(decode(in, 0, 5000, &out), RC_BAD);
    buf_fini(&out);
    free((char *)(uintptr_t)in.ptr);
}

static void
missing_line_end_after_a_small_body_is_alike_however_it_is_cut(void **state)
{
    struct slice in = SLICE("$3\r\nabcXY+OK\r\n");
    struct buf whole;
    enum rc whole_rc;

    (void)state;
    buf_init(&whole, 1000);
    whole_rc = decode(in, 0, in.len, &whole);
    for (size_t cut = 1; cut < in.len; cut++) {
        struct buf out;

        buf_init(&out, 1000);
        assert_int_equal(decode(in, cut, in.len, &out), whole_rc);
        assert_int_equal(buf_len(&out), buf_len(&whole));
        buf_fini(&out);
    }
    buf_fini(&whole);
}

static void
nesting_is_allowed_to_seven_and_no_deeper(void **state)
{
    char in[100001 * 4];

    (void)state;
    for (unsigned depth = 1; depth <= 100000; depth += depth < 10 ? 1 : 9999) {
        struct buf out;
        enum rc rc;
        size_t n = 0;

        buf_init(&out, 1000);
        for (unsigned i = 0; i < depth; i++) {
            memcpy(in + n, "*1\r\n", 4);
            n += 4;
        }
        memcpy(in + n, ":1\r\n", 4);
        rc = decode(slice_of(in, n + 4), 0, 10000, &out);
        if (depth <= 7) {
            assert_int_equal(rc, RC_AGAIN);
            assert_int_equal(buf_len(&out), 2 * depth + 2);
        } else {
            assert_true(rc == RC_LIMIT || rc == RC_BAD);
            assert_int_equal(buf_len(&out), 0);
        }
        buf_fini(&out);
    }
}

static void
one_reply_never_holds_more_than_its_limit(void **state)
{
    /* 150 strings of 2,000 bytes: each allowed, together too much. */
    char *in = malloc(400000);
    size_t n = (size_t)sprintf(in, "*150\r\n");
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    for (int i = 0; i < 150; i++) {
        n += (size_t)sprintf(in + n, "$2000\r\n");
        memset(in + n, 'x', 2000);
        n += 2000;
        n += (size_t)sprintf(in + n, "\r\n");
    }
    assert_int_equal(decode(slice_of(in, n), 0, 16384, &out), RC_LIMIT);
    assert_int_equal(buf_len(&out), 0);
    /* A line that never ends. */
    in[0] = '+';
    memset(in + 1, 'x', 399999);
    assert_int_equal(decode(slice_of(in, 400000), 0, 16384, &out), RC_LIMIT);
    buf_fini(&out);
    free(in);
}

static void
string_that_is_all_there_has_the_same_limit(void **state)
{
    static const struct {
        const char *in;
        enum rc rc;
    } cases[] = {
        {"$8\r\n12345678\r\n", RC_OK}, {"$9\r\n123456789\r\n", RC_LIMIT}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct resp *resp = resp_new(8);
        char scratch[64];
        struct resp_space to = resp_space(resp, scratch, sizeof(scratch));
        struct redis_reply *reply;

        memcpy(to.ptr, cases[i].in, strlen(cases[i].in));
        resp_put(resp, strlen(cases[i].in));
        assert_int_equal(resp_next(resp, &reply), cases[i].rc);
        resp_free(&resp);
    }
}

static void
limit_of_one_reply_is_not_used_up_by_many(void **state)
{
    struct slice in = make_bulk(15000);
    char *many = malloc(in.len * 100);
    struct buf out;

    (void)state;
    buf_init(&out, 2000000);
    for (int i = 0; i < 100; i++) {
        memcpy(many + (size_t)i * in.len, in.ptr, in.len);
    }
    assert_int_equal(
        decode(slice_of(many, in.len * 100), 0, 16384, &out), RC_AGAIN);
    assert_int_equal(buf_len(&out), 100 * (15000 + 7));
    buf_fini(&out);
    free(many);
    free((char *)(uintptr_t)in.ptr);
}

static void
taken_string_outlives_its_reply(void **state)
{
    struct resp *resp = resp_new(8 << 20);
    char scratch[64];
    struct redis_reply *reply;
    struct resp_space to = resp_space(resp, scratch, sizeof(scratch));
    size_t len = 0;
    char *str;

    (void)state;
    memcpy(to.ptr, "$5\r\nhello\r\n+OK\r\n", 16);
    resp_put(resp, 16);
    assert_int_equal(resp_next(resp, &reply), RC_OK);
    str = redis_reply_take(reply, &len);
    assert_int_equal(len, 5);
    assert_int_equal(resp_next(resp, &reply), RC_OK);
    assert_int_equal(reply->type, REDIS_STATUS);
    assert_null(redis_reply_take(reply, &len));
    resp_free(&resp);
    assert_memory_equal(str, "hello", 5);
    free(str);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_read_alike_however_they_are_cut),
        cmocka_unit_test(bulks_around_the_direct_way_are_whole),
        cmocka_unit_test(what_is_no_resp2_ends_the_stream),
        cmocka_unit_test(missing_line_end_after_a_large_body_ends_the_stream),
        cmocka_unit_test(
            missing_line_end_after_a_small_body_is_alike_however_it_is_cut),
        cmocka_unit_test(nesting_is_allowed_to_seven_and_no_deeper),
        cmocka_unit_test(one_reply_never_holds_more_than_its_limit),
        cmocka_unit_test(string_that_is_all_there_has_the_same_limit),
        cmocka_unit_test(limit_of_one_reply_is_not_used_up_by_many),
        cmocka_unit_test(taken_string_outlives_its_reply),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
