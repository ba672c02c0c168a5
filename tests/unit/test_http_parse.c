/*
 * The head parser (class.c, start_line.c, field_line.c, judge.c, connection.c)
 * against the table of cases: each whole, byte by byte, and
 * cut in two at every offset, the bytes moved to another place (of exactly
 * their size) before each call. It is judged alike each time.
 */
#include "nearside/http/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http_cases.h"
#include "nearside/base/check.h"

/* Bytes that are somebody's alone; a read beyond them is found. */
static char *
copy_of(struct slice s)
{
    char *copy = malloc(s.len + (s.len == 0));

    assert_non_null(copy);
    if (s.len > 0) {
        memcpy(copy, s.ptr, s.len);
    }
    return copy;
}

/* What is to be parsed, and how. */
struct subject {
    struct slice in;
    bool is_response;
    enum method method;
    struct parse_opts opts;
};

/* One message under way. */
struct feed {
    const struct subject *of;
    struct parse parse;
    struct head head;
    size_t head_len;
    char *bytes; /* what the head's slices point into */
    size_t fed;  /* bytes shown when the verdict came */
};

static void
feed_start(struct feed *f, const struct subject *of)
{
    *f = (struct feed){.of = of};
    parse_start(&f->parse);
}

static void
feed_end(struct feed *f)
{
    free(f->bytes);
}

/* Shows the first len bytes, at a place of their own. */
static enum rc
feed_upto(struct feed *f, size_t len)
{
    struct slice in;

    free(f->bytes);
    f->bytes = copy_of(slice_of(f->of->in.ptr, len));
    f->fed = len;
    in = slice_of(f->bytes, len);
    memset(&f->head, 0xa5, sizeof(f->head)); /* another one's meanwhile */
    if (f->of->is_response) {
        return parse_response(
            &f->parse, &f->of->opts, f->of->method, in, &f->head, &f->head_len);
    }
    return parse_request(&f->parse, &f->of->opts, in, &f->head, &f->head_len);
}

static enum rc
feed_bytewise(struct feed *f)
{
    enum rc rc = RC_AGAIN;

    for (size_t len = 0; len <= f->of->in.len && rc == RC_AGAIN; len++) {
        rc = feed_upto(f, len);
    }
    return rc;
}

static enum rc
feed_cut(struct feed *f, size_t at)
{
    enum rc rc = feed_upto(f, at);

    return rc == RC_AGAIN ? feed_upto(f, f->of->in.len) : rc;
}

/* As text, so that a difference shows. */
static void
describe(const struct feed *f, enum rc rc, char *out, size_t cap)
{
    const struct head *h = &f->head;
    size_t at;

    if (rc != RC_OK) {
        snprintf(out, cap, "%s: %s", rc_text(rc), fault_text(f->parse.fault));
        return;
    }
    at = (size_t)snprintf(out, cap,
        "ok %zu %u %u %d %d %ju %d%d%d%d [%.*s] [%.*s] [%.*s] [%.*s] %jx\n",
        f->head_len, h->status, h->minor, h->method, h->framing,
        (uintmax_t)h->content_length, h->has_content_length, h->is_keep_alive,
        h->expects_100, h->has_underscore, SLICE_FMT(h->method_text),
        SLICE_FMT(h->target), SLICE_FMT(h->host), SLICE_FMT(h->reason),
        (uintmax_t)h->field_set);
    for (size_t i = 0; i < h->field_count && at < cap; i++) {
        at += (size_t)snprintf(out + at, cap - at, "%d [%.*s] [%.*s]\n",
            h->fields[i].id, SLICE_FMT(h->fields[i].name),
            SLICE_FMT(h->fields[i].value));
    }
}

enum {
    TEXT_MAX = 70000,
};

static void
expect_same(
    const struct feed *f, enum rc rc, const char *whole, const char *how)
{
    static char text[TEXT_MAX];

    describe(f, rc, text, sizeof(text));
    if (strcmp(text, whole) != 0) {
        fail_msg("%s:\n%s\nwhole:\n%s\nof: %.*s", how, text, whole,
            SLICE_FMT(f->of->in));
    }
}

/* Runs it in all ways; fills *out with the whole run, feed_end is yours. */
static enum rc
run_all_ways(const struct subject *of, struct feed *out)
{
    static char whole[TEXT_MAX];
    struct feed f;
    enum rc rc;

    feed_start(out, of);
    rc = feed_upto(out, of->in.len);
    describe(out, rc, whole, sizeof(whole));
    feed_start(&f, of);
    expect_same(&f, feed_bytewise(&f), whole, "byte by byte");
    feed_end(&f);
    for (size_t at = 0; at <= of->in.len; at++) {
        feed_start(&f, of);
        expect_same(&f, feed_cut(&f, at), whole, "cut");
        feed_end(&f);
    }
    return rc;
}

static void
run_case(const struct head_case *c, bool is_response)
{
    struct subject of = {
        .in = c->in, .is_response = is_response, .method = c->method};
    struct feed f;
    enum rc rc = run_all_ways(&of, &f);

    if ((rc == RC_OK) != (c->fault == FAULT_NONE) || rc == RC_AGAIN ||
        f.parse.fault != c->fault) {
        fail_msg("row %s, %s: %s, %s; wanted %s", c->row, c->claim, rc_text(rc),
            fault_text(f.parse.fault), fault_text(c->fault));
    }
    if (rc == RC_OK && (f.head.framing != c->framing ||
                           f.head.content_length != c->content_length ||
                           f.head_len != c->in.len)) {
        fail_msg("row %s, %s: framing %d, length %ju, head %zu", c->row,
            c->claim, f.head.framing, (uintmax_t)f.head.content_length,
            f.head_len);
    }
    feed_end(&f);
}

static void
every_request_of_the_table_has_its_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(request_cases); i++) {
        run_case(&request_cases[i], false);
    }
}

static void
every_response_of_the_table_has_its_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(response_cases); i++) {
        run_case(&response_cases[i], true);
    }
}

static void
every_fault_has_a_status_that_its_class_asks_for(void **state)
{
    static const struct {
        enum parse_fault fault;
        unsigned status;
    } rows[] = {
        {FAULT_TARGET_LONG, 414},
        {FAULT_EXPECT, 417},
        {FAULT_NAME_LONG, 431},
        {FAULT_FIELD_LONG, 431},
        {FAULT_FIELDS_MANY, 431},
        {FAULT_HEAD_LONG, 431},
        {FAULT_METHOD_REFUSED, 501},
        {FAULT_METHOD_LONG, 501},
        {FAULT_VERSION_UNKNOWN, 505},
        {FAULT_LENGTH_AND_CODING, 400},
        {FAULT_CODING, 400},
        {FAULT_HOST_MISSING, 400},
        {FAULT_VERSION, 400},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(fault_status(rows[i].fault), rows[i].status);
        assert_true(strlen(fault_text(rows[i].fault)) > 0);
    }
}

/* --- Early refusal: no more bytes are coming ----------------------------- */

static void
what_is_wrong_is_refused_before_the_head_ends(void **state)
{
    static const struct {
        struct slice in; /* refused by its last byte, not before */
        enum parse_fault fault;
    } rows[] = {
        {SLICE("GET /\r"), FAULT_VERSION},
        {SLICE("GET / HTTP/1.1\n"), FAULT_BARE_LF},
        {SLICE("GET / HTTP/1.1\rH"), FAULT_BARE_CR},
        {SLICE("GET / HTTP/2.0\r\n"), FAULT_VERSION_UNKNOWN},
        {SLICE("GET / h"), FAULT_VERSION},
        {SLICE("GET /%z"), FAULT_TARGET_PERCENT},
        {SLICE("GET /%4z"), FAULT_TARGET_PERCENT},
        {SLICE("GET /\x80"), FAULT_TARGET_BYTE},
        {SLICE("GET /\001"), FAULT_CONTROL},
        {SLICE("GET /.. "), FAULT_TARGET_DOTS},
        {SLICE("TRACE "), FAULT_METHOD_REFUSED},
        {SLICE("\026"), FAULT_CONTROL}, /* a TLS hello */
        {SLICE("\n"), FAULT_BARE_LF},
        {SLICE("\r\n\r"), FAULT_LEADING},
        {SLICE("GET / HTTP/1.1\r\n "), FAULT_FOLD},
        {SLICE("GET / HTTP/1.1\r\nHost: a\n"), FAULT_BARE_LF},
        {SLICE("GET / HTTP/1.1\r\nHost: a\rb"), FAULT_BARE_CR},
        {SLICE("GET / HTTP/1.1\r\nHost: a\0"), FAULT_CONTROL},
        {SLICE("GET / HTTP/1.1\r\nHost "), FAULT_NAME_SPACE},
        {SLICE("GET / HTTP/1.1\r\nHost\r"), FAULT_NO_COLON},
        {SLICE("GET / HTTP/1.1\r\n:"), FAULT_NAME_EMPTY},
        {SLICE("GET / HTTP/1.1\r\nHost: a\r\n\n"), FAULT_BARE_LF},
        {SLICE("GET / HTTP/1.1\r\nHost: a\r\n\rX"), FAULT_BARE_CR},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct subject of = {.in = rows[i].in};
        struct feed f;
        feed_start(&f, &of);
        assert_int_equal(feed_bytewise(&f), RC_BAD);
        assert_int_equal(f.parse.fault, rows[i].fault);
        assert_int_equal(f.fed, rows[i].in.len);
        assert_int_equal(feed_upto(&f, of.in.len), RC_BAD); /* for good */
        assert_int_equal(f.parse.fault, rows[i].fault);
        feed_end(&f);
    }
}

static void
every_proper_prefix_of_a_good_head_wants_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(request_cases); i++) {
        struct subject of = {.in = request_cases[i].in};
        if (request_cases[i].fault != FAULT_NONE) {
            continue;
        }
        for (size_t len = 0; len < of.in.len; len++) {
            struct feed f;
            feed_start(&f, &of);
            assert_int_equal(feed_upto(&f, len), RC_AGAIN);
            feed_end(&f);
        }
    }
}

/* --- Each byte in each place --------------------------------------------- */

static bool
is_token_byte(int c)
{
    return c > 0 && c < 128 &&
           strchr("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                  "abcdefghijklmnopqrstuvwxyz",
               c) != NULL;
}

static bool
is_target_byte(int c)
{
    return c > 0x20 && c < 0x7f && strchr("#\\\"<>%", c) == NULL;
}

static bool
is_query_byte(int c)
{
    return c > 0x20 && c < 0x7f && c != '#';
}

static bool
is_host_byte(int c)
{
    return c > 0 && c < 128 &&
           strchr("-._~:0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                  "abcdefghijklmnopqrstuvwxyz",
               c) != NULL;
}

static bool
is_value_byte(int c)
{
    return c == '\t' || (c >= 0x20 && c != 0x7f);
}

/* `format` with the byte c in place of its '@'. */
static enum rc
verdict_with(const char *format, int c)
{
    char text[256];
    struct subject of = {.in = slice_of_str(format)};
    struct feed f;
    enum rc rc;

    memcpy(text, format, of.in.len);
    *(char *)memchr(text, '@', of.in.len) = (char)c;
    of.in.ptr = text;
    rc = run_all_ways(&of, &f);
    feed_end(&f);
    return rc;
}

static void
each_byte_is_taken_where_the_grammar_has_it_and_nowhere_else(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        assert_int_equal(
            verdict_with("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", c) == RC_OK,
            is_token_byte(c));
        assert_int_equal(
            verdict_with("GET /a@b HTTP/1.1\r\nHost: a\r\n\r\n", c) == RC_OK,
            is_target_byte(c));
        assert_int_equal(
            verdict_with("GET /a?b@c HTTP/1.1\r\nHost: a\r\n\r\n", c) == RC_OK,
            is_query_byte(c));
        assert_int_equal(
            verdict_with("GET / HTTP/1.1\r\nX@Y: a\r\nHost: a\r\n\r\n", c) ==
                RC_OK,
            is_token_byte(c) || c == ':');
        assert_int_equal(
            verdict_with("GET / HTTP/1.1\r\nX: a@b\r\nHost: a\r\n\r\n", c) ==
                RC_OK,
            is_value_byte(c));
        assert_int_equal(
            verdict_with("GET / HTTP/1.1\r\nHost: a@1\r\n\r\n", c) == RC_OK,
            is_host_byte(c));
    }
}

/*
 * A field line with the byte c in place of its '@', beside a length of 5.
 * Taken it is only as what it says to everybody: some other field, another
 * one's value, or white space around a value, which makes two framings, so
 * that it is refused.
 */
static void
expect_not_hidden(const char *line, char c)
{
    char text[256];
    int len = snprintf(text, sizeof(text),
        "POST / HTTP/1.1\r\nHost: a\r\n%s\r\nContent-Length: 5\r\n\r\n", line);
    struct subject of = {.in = slice_of(text, (size_t)len)};
    struct feed f;

    *(char *)memchr(text, '@', of.in.len) = c;
    if (run_all_ways(&of, &f) == RC_OK &&
        (f.head.framing != FRAMING_LENGTH || f.head.content_length != 5 ||
            f.head_len != of.in.len ||
            head_has(&f.head, FIELD_TRANSFER_ENCODING))) {
        fail_msg("%s with 0x%02x", line, (unsigned char)c);
    }
    feed_end(&f);
}

static void
no_byte_hides_a_framing_field(void **state)
{
    static const char *const lines[] = {"Transfer-Encoding@: chunked",
        "@Transfer-Encoding: chunked", "Transfer-Encoding:@chunked",
        "Transfer-Encoding: chunked@", "Transfer@Encoding: chunked",
        "Content-Length@: 7", "@Content-Length: 7", "Content-Length:@7",
        "Content-Length: 7@", "Content@Length: 7", "X: y@Content-Length: 7",
        "X: y@Transfer-Encoding: chunked"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        for (int c = 0; c < 256; c++) {
            expect_not_hidden(lines[i], (char)c);
        }
    }
}

/* --- What is read out of a head ------------------------------------------ */

/* The head of a request that is taken; the bytes live in *f. */
static const struct head *
taken(struct feed *f, const struct subject *of)
{
    assert_int_equal(run_all_ways(of, f), RC_OK);
    return &f->head;
}

static void
assert_slice(struct slice s, const char *text)
{
    if (!slice_eq(s, slice_of_str(text))) {
        fail_msg("[%.*s] is not [%s]", SLICE_FMT(s), text);
    }
}

static void
a_request_is_taken_apart(void **state)
{
    struct subject of = {
        .in = SLICE("PUT /a/b?c=%20d HTTP/1.1\r\nhOST: a.example:8080\r\n"
                    "X-Own:  v  w \t\r\nEmpty:\r\n\r\nbody")};
    struct feed f;
    const struct head *h = taken(&f, &of);

    (void)state;
    assert_int_equal(h->method, METHOD_PUT);
    assert_slice(h->method_text, "PUT");
    assert_slice(h->target, "/a/b?c=%20d");
    assert_slice(h->host, "a.example:8080");
    assert_int_equal(h->minor, 1);
    assert_int_equal(h->status, 0);
    assert_int_equal(h->field_count, 3);
    assert_int_equal(h->fields[0].id, FIELD_HOST);
    assert_slice(h->fields[0].name, "hOST");
    assert_int_equal(h->fields[1].id, FIELD_OTHER);
    assert_slice(h->fields[1].value, "v  w");
    assert_slice(h->fields[2].value, "");
    assert_true(h->is_keep_alive);
    assert_int_equal(f.head_len, of.in.len - 4);
    feed_end(&f);
}

static void
each_method_is_told_from_the_others(void **state)
{
    static const struct {
        const char *text;
        enum method method;
    } rows[] = {{"GET", METHOD_GET}, {"HEAD", METHOD_HEAD},
        {"POST", METHOD_POST}, {"PUT", METHOD_PUT}, {"PATCH", METHOD_PATCH},
        {"DELETE", METHOD_DELETE}, {"OPTIONS", METHOD_OPTIONS},
        {"get", METHOD_OTHER}, {"GETS", METHOD_OTHER}, {"GE", METHOD_OTHER},
        {"PURGE", METHOD_OTHER}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[64];
        struct subject of;
        struct feed f;
        snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: a\r\n\r\n",
            rows[i].text);
        of = (struct subject){.in = slice_of_str(text)};
        assert_int_equal(taken(&f, &of)->method, rows[i].method);
        assert_slice(f.head.method_text, rows[i].text);
        feed_end(&f);
    }
}

static void
an_absolute_target_becomes_an_origin_one(void **state)
{
    static const struct {
        const char *line;
        const char *target;
        const char *host;
    } rows[] = {
        {"GET http://A.example/x?y HTTP/1.1", "/x?y", "A.example"},
        {"GET http://a.example:80/ HTTP/1.1", "/", "a.example:80"},
        {"GET http://a.example HTTP/1.1", "/", "a.example"},
        {"GET https://a.example:443/ HTTP/1.1", "/", "a.example:443"},
        {"OPTIONS http://a.example HTTP/1.1", "*", "a.example"},
        {"GET HTTP://a.example//x HTTP/1.1", "//x", "a.example"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[128];
        struct subject of;
        struct feed f;
        snprintf(
            text, sizeof(text), "%s\r\nHost: a.example\r\n\r\n", rows[i].line);
        of = (struct subject){.in = slice_of_str(text)};
        assert_slice(taken(&f, &of)->target, rows[i].target);
        assert_slice(f.head.host, rows[i].host);
        feed_end(&f);
    }
}

static void
http_1_0_without_host_takes_the_default_one(void **state)
{
    struct subject of = {.in = SLICE("GET / HTTP/1.0\r\n\r\n"),
        .opts = {.default_host = SLICE("fallback")}};
    struct feed f;

    (void)state;
    assert_slice(taken(&f, &of)->host, "fallback");
    feed_end(&f);
    of.in = SLICE("GET http://b.example/ HTTP/1.0\r\n\r\n");
    assert_slice(taken(&f, &of)->host, "b.example");
    feed_end(&f);
    of.in = SLICE("GET / HTTP/1.1\r\n\r\n");
    assert_int_equal(run_all_ways(&of, &f), RC_BAD);
    assert_int_equal(f.parse.fault, FAULT_HOST_MISSING);
    feed_end(&f);
}

static void
a_connection_lives_on_as_version_and_connection_say(void **state)
{
    static const struct {
        const char *version;
        const char *fields;
        bool is_keep_alive;
    } rows[] = {
        {"1.1", "", true},
        {"1.0", "", false},
        {"1.1", "Connection: close\r\n", false},
        {"1.1", "Connection: CLOSE\r\n", false},
        {"1.1", "Connection: keep-alive\r\n", true},
        {"1.0", "Connection: keep-alive\r\n", true},
        {"1.0", "Connection: Keep-Alive\r\n", true},
        {"1.0", "Connection: x-own, keep-alive\r\n", true},
        {"1.1", "Connection: keep-alive, close\r\n", false},
        {"1.1", "Connection: keep-alive\r\nConnection: close\r\n", false},
        {"1.0", "Connection: keep-alive\r\nConnection: close\r\n", false},
        {"1.1", "Connection: closed\r\n", true},
        {"1.1", "Connection:\r\n", true},
        {"1.1", "Proxy-Connection: close\r\n", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[128];
        struct subject of;
        struct feed f;
        snprintf(text, sizeof(text), "GET / HTTP/%s\r\nHost: a\r\n%s\r\n",
            rows[i].version, rows[i].fields);
        of = (struct subject){.in = slice_of_str(text)};
        assert_int_equal(taken(&f, &of)->is_keep_alive, rows[i].is_keep_alive);
        feed_end(&f);
    }
}

static void
an_expectation_is_for_http_1_1(void **state)
{
    struct subject of = {.in = SLICE("PUT / HTTP/1.1\r\nHost: a\r\n"
                                     "Expect: 100-CONTINUE\r\n\r\n")};
    struct feed f;

    (void)state;
    assert_true(taken(&f, &of)->expects_100);
    feed_end(&f);
    of.in = SLICE("PUT / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\n\r\n");
    assert_false(taken(&f, &of)->expects_100);
    feed_end(&f);
}

static void
names_with_an_underscore_go_only_when_asked_for(void **state)
{
    struct subject of = {.in = SLICE("GET / HTTP/1.1\r\nHost: a\r\n"
                                     "Content_Length: 5\r\nX: y\r\n\r\n")};
    struct feed f;

    (void)state;
    assert_int_equal(taken(&f, &of)->field_count, 2);
    assert_true(f.head.has_underscore);
    assert_slice(f.head.fields[1].name, "X");
    feed_end(&f);
    of.opts.keep_underscore = true;
    assert_int_equal(taken(&f, &of)->field_count, 3);
    assert_slice(f.head.fields[1].name, "Content_Length");
    assert_int_equal(f.head.framing, FRAMING_NONE);
    feed_end(&f);
}

static void
a_response_is_taken_apart(void **state)
{
    struct subject of = {.in = SLICE("HTTP/1.0 404 Not \xe9 Found\r\n"
                                     "Connection: keep-alive\r\n"
                                     "Content-Length: 3\r\n\r\nabc"),
        .is_response = true,
        .method = METHOD_GET};
    struct feed f;
    const struct head *h = taken(&f, &of);

    (void)state;
    assert_int_equal(h->status, 404);
    assert_int_equal(h->minor, 0);
    assert_slice(h->reason, "Not \xe9 Found");
    assert_true(h->has_content_length);
    assert_true(h->is_keep_alive);
    assert_int_equal(f.head_len, of.in.len - 3);
    feed_end(&f);
    of.in = SLICE("HTTP/1.1 200\r\n\r\n");
    assert_false(taken(&f, &of)->is_keep_alive); /* it ends by closing */
    assert_slice(f.head.reason, "");
    feed_end(&f);
}

/* --- Limits: rows 77, 91, 92, 105 ---------------------------------------- */

/* A request or a response with one part of n bytes. */
static char *
with_run(const char *before, size_t n, const char *after, struct slice *out)
{
    size_t len = strlen(before) + n + strlen(after);
    char *text = malloc(len + 1);

    assert_non_null(text);
    memcpy(text, before, strlen(before));
    memset(text + strlen(before), 'a', n);
    memcpy(text + strlen(before) + n, after, strlen(after) + 1);
    *out = slice_of(text, len);
    return text;
}

/* Cutting 8 KiB at each of its bytes would take its square. */
static void
expect_limit(const struct subject *of, enum parse_fault fault)
{
    struct feed f;
    enum rc wanted = fault == FAULT_NONE ? RC_OK : RC_BAD;

    feed_start(&f, of);
    assert_int_equal(feed_upto(&f, of->in.len), wanted);
    assert_int_equal(f.parse.fault, fault);
    feed_end(&f);
    feed_start(&f, of);
    assert_int_equal(feed_bytewise(&f), wanted);
    assert_int_equal(f.parse.fault, fault);
    feed_end(&f);
    for (size_t at = 0; at < of->in.len; at += 97) {
        feed_start(&f, of);
        assert_int_equal(feed_cut(&f, at), wanted);
        assert_int_equal(f.parse.fault, fault);
        feed_end(&f);
    }
}

static void
one_byte_over_a_limit_is_refused_and_the_limit_is_not(void **state)
{
    static const struct {
        const char *before;
        size_t most; /* that is taken */
        const char *after;
        enum parse_fault fault;
    } rows[] = {
        {"GET /", 7999, " HTTP/1.1\r\nHost: a\r\n\r\n", FAULT_TARGET_LONG},
        {"POST /", 7999, " HTTP/1.1\r\nHost: a\r\n\r\n", FAULT_TARGET_LONG},
        {"GET /.", 7998, " HTTP/1.1\r\nHost: a\r\n\r\n", FAULT_TARGET_LONG},
        {"", 64, " / HTTP/1.1\r\nHost: a\r\n\r\n", FAULT_METHOD_LONG},
        {"GET / HTTP/1.1\r\nHost: a\r\n", 256, ": b\r\n\r\n", FAULT_NAME_LONG},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: ", 7997, "\r\n\r\n",
            FAULT_FIELD_LONG},
        {"GET / HTTP/1.1\r\nHost: a\r\nX_Y: ", 7995, "\r\n\r\n",
            FAULT_FIELD_LONG},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t over = 0; over < 2; over++) {
            struct subject of = {0};
            char *text = with_run(
                rows[i].before, rows[i].most + over, rows[i].after, &of.in);
            expect_limit(&of, over == 0 ? FAULT_NONE : rows[i].fault);
            free(text);
        }
    }
}

static void
limits_are_refused_without_waiting_for_the_line_to_end(void **state)
{
    static const struct {
        const char *before;
        size_t most;
        enum parse_fault fault;
    } rows[] = {
        {"GET /", 7999, FAULT_TARGET_LONG},
        {"GET / HTTP/1.1\r\n", 256, FAULT_NAME_LONG},
        {"GET / HTTP/1.1\r\nX:", 7998, FAULT_FIELD_LONG},
        {"", 64, FAULT_METHOD_LONG},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct subject of = {0};
        char *text = with_run(rows[i].before, rows[i].most + 1, "", &of.in);
        struct feed f;
        feed_start(&f, &of);
        assert_int_equal(feed_bytewise(&f), RC_BAD);
        assert_int_equal(f.parse.fault, rows[i].fault);
        assert_int_equal(f.fed, of.in.len);
        feed_end(&f);
        free(text);
    }
}

static void
limits_of_the_caller_take_the_place_of_ours(void **state)
{
    struct subject of = {.in = SLICE("GET /1234 HTTP/1.1\r\nHost: a\r\n"
                                     "Name: value\r\n\r\n")};
    const size_t len = of.in.len;
    struct {
        struct parse_opts opts;
        enum parse_fault fault;
    } rows[] = {
        {{.target_max = 5}, FAULT_NONE},
        {{.target_max = 4}, FAULT_TARGET_LONG},
        {{.name_max = 4}, FAULT_NONE},
        {{.name_max = 3}, FAULT_NAME_LONG},
        {{.field_max = 11}, FAULT_NONE},
        {{.field_max = 10}, FAULT_FIELD_LONG},
        {{.fields_max = 2}, FAULT_NONE},
        {{.fields_max = 1}, FAULT_FIELDS_MANY},
        {{.head_max = len}, FAULT_NONE},
        {{.head_max = len - 1}, FAULT_HEAD_LONG},
        {{.head_max = len - 2}, FAULT_HEAD_LONG},
        {{.head_max = 3}, FAULT_HEAD_LONG},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct feed f;
        of.opts = rows[i].opts;
        run_all_ways(&of, &f);
        assert_int_equal(f.parse.fault, rows[i].fault);
        feed_end(&f);
    }
}

/* A head of n fields; the first is Host. */
static char *
with_fields(const char *line, size_t n, const char *field, struct slice *out)
{
    size_t cap = 64 + n * (strlen(field) + 16), at;
    char *text = malloc(cap);

    assert_non_null(text);
    at = (size_t)snprintf(text, cap, "%s\r\nHost: a\r\n", line);
    for (size_t i = 1; i < n; i++) {
        at += (size_t)snprintf(text + at, cap - at, "%s\r\n", field);
    }
    at += (size_t)snprintf(text + at, cap - at, "\r\n");
    *out = slice_of(text, at);
    return text;
}

static void
a_head_has_a_hundred_fields_and_a_response_128(void **state)
{
    static const struct {
        const char *line;
        const char *field;
        bool is_response;
        size_t most;
        unsigned fields_max;
    } rows[] = {
        {"GET / HTTP/1.1", "X: y", false, 100, 0},
        {"GET / HTTP/1.1", "X_Y: dropped, but counted", false, 100, 0},
        {"HTTP/1.1 200 OK", "X: y", true, 128, 0},
        {"HTTP/1.1 200 OK", "X: y", true, 128, 1000},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t over = 0; over < 2; over++) {
            struct subject of = {.is_response = rows[i].is_response,
                .method = METHOD_GET,
                .opts = {.fields_max = rows[i].fields_max}};
            char *text = with_fields(
                rows[i].line, rows[i].most + over, rows[i].field, &of.in);
            expect_limit(&of, over == 0 ? FAULT_NONE : FAULT_FIELDS_MANY);
            free(text);
        }
    }
}

static void
a_head_has_32_kib(void **state)
{
    struct slice big = SLICE("GET / HTTP/1.1\r\nHost: a\r\n");
    char *text = malloc(40000);
    struct subject of;
    size_t at = big.len;

    (void)state;
    assert_non_null(text);
    memcpy(text, big.ptr, big.len);
    for (size_t i = 0; i < 4; i++) {
        memcpy(text + at, "X: ", 3);
        memset(text + at + 3, 'v', 7990);
        memcpy(text + at + 7993, "\r\n", 2);
        at += 7995;
    }
    memcpy(text + at, "Y: ", 3);
    memset(text + at + 3, 'w', 32768 - at - 7);
    memcpy(text + 32764, "\r\n\r\n", 4);
    of = (struct subject){.in = slice_of(text, 32768)};
    expect_limit(&of, FAULT_NONE);
    memcpy(text + 32764, "w\r\n\r\n", 5);
    of.in.len = 32769;
    expect_limit(&of, FAULT_HEAD_LONG);
    free(text);
}

/* What comes next may move the bytes that it would point into. */
static void
half_a_head_tells_nothing(void **state)
{
    const struct slice whole =
        SLICE("GET http://h/a HTTP/1.1\r\nHost: h\r\nA: b\r\nC: d\r\n\r\n");
    const struct parse_opts opts = {0};

    (void)state;
    for (size_t cut = 0; cut < whole.len; cut++) {
        struct head head = {.method = METHOD_GET};
        struct parse p;
        size_t len = 0;

        parse_start(&p);
        assert_int_equal(
            parse_request(&p, &opts, slice_of(whole.ptr, cut), &head, &len),
            RC_AGAIN);
        assert_int_equal(head.field_count, 0);
        assert_int_equal(head.target.len, 0);
        assert_int_equal(head.host.len, 0);
        assert_int_equal(len, 0);
    }
}

static void
an_absolute_target_says_the_scheme(void **state)
{
    static const struct {
        const char *target;
        bool is_https;
    } rows[] = {{"/a", false}, {"http://a.example/a", false},
        {"https://a.example/a", true}, {"HTTPS://a.example", true}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct parse_opts opts = {0};
        struct head head;
        struct parse p;
        char text[128];
        size_t len;

        snprintf(text, sizeof(text),
            "GET %s HTTP/1.1\r\nHost: a.example\r\n\r\n", rows[i].target);
        parse_start(&p);
        assert_int_equal(
            parse_request(&p, &opts, slice_of_str(text), &head, &len), RC_OK);
        assert_int_equal(head.is_https, rows[i].is_https);
    }
}

/* It is the caller's word that the known one is well-formed. */
static void
a_known_host_is_taken_byte_by_byte_and_no_other(void **state)
{
    static const struct {
        const char *known;
        const char *host;
        enum rc rc;
    } rows[] = {
        {"a b", "a b", RC_OK},
        {"a b", "a  b", RC_BAD},
        {"a b", "a b ", RC_OK}, /* the blank is none of its bytes */
        {"a b", "a b:1", RC_BAD},
        {"a b", "A b", RC_BAD},
        {"a b", "a.example", RC_OK},
        {"a b", "", RC_BAD},
        {"", "", RC_BAD},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct parse_opts opts = {
            .known_host = slice_of_str(rows[i].known)};
        struct head head;
        struct parse p;
        char text[128];
        size_t len;

        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n",
            rows[i].host);
        parse_start(&p);
        if (parse_request(&p, &opts, slice_of_str(text), &head, &len) !=
            rows[i].rc) {
            fail_msg("[%s] beside [%s]", rows[i].host, rows[i].known);
        }
    }
}

/* A status line is as long as a field line at most. */
static void
a_reason_has_a_limit(void **state)
{
    static char text[128];
    struct subject of = {
        .is_response = true, .method = METHOD_GET, .opts = {.field_max = 64}};

    (void)state;
    for (int over = 0; over < 2; over++) {
        snprintf(text, sizeof(text), "HTTP/1.1 200 %0*d\r\n\r\n", 51 + over, 0);
        of.in = slice_of_str(text);
        expect_limit(&of, over == 0 ? FAULT_NONE : FAULT_FIELD_LONG);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_of_the_table_has_its_verdict),
        cmocka_unit_test(every_response_of_the_table_has_its_verdict),
        cmocka_unit_test(every_fault_has_a_status_that_its_class_asks_for),
        cmocka_unit_test(what_is_wrong_is_refused_before_the_head_ends),
        cmocka_unit_test(every_proper_prefix_of_a_good_head_wants_more),
        cmocka_unit_test(
            each_byte_is_taken_where_the_grammar_has_it_and_nowhere_else),
        cmocka_unit_test(no_byte_hides_a_framing_field),
        cmocka_unit_test(a_request_is_taken_apart),
        cmocka_unit_test(each_method_is_told_from_the_others),
        cmocka_unit_test(an_absolute_target_becomes_an_origin_one),
        cmocka_unit_test(http_1_0_without_host_takes_the_default_one),
        cmocka_unit_test(a_connection_lives_on_as_version_and_connection_say),
        cmocka_unit_test(an_expectation_is_for_http_1_1),
        cmocka_unit_test(names_with_an_underscore_go_only_when_asked_for),
        cmocka_unit_test(a_response_is_taken_apart),
        cmocka_unit_test(one_byte_over_a_limit_is_refused_and_the_limit_is_not),
        cmocka_unit_test(
            limits_are_refused_without_waiting_for_the_line_to_end),
        cmocka_unit_test(limits_of_the_caller_take_the_place_of_ours),
        cmocka_unit_test(a_head_has_a_hundred_fields_and_a_response_128),
        cmocka_unit_test(a_head_has_32_kib),
        cmocka_unit_test(half_a_head_tells_nothing),
        cmocka_unit_test(an_absolute_target_says_the_scheme),
        cmocka_unit_test(a_known_host_is_taken_byte_by_byte_and_no_other),
        cmocka_unit_test(a_reason_has_a_limit),
    };

    return cmocka_run_group_tests_name("http parse", tests, NULL, NULL);
}
