/*
 * Parse, serialise, parse is the identity: what a head says is the same
 * before and after it was written anew as it goes to the other side, framing
 * included; and what was written anew, written again, is the same bytes. Over
 * all that the tables take, and over heads made at random.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "http_cases.h"
#include "../support/http_names.h"
#include "nearside/base/check.h"
#include "nearside/http/uri.h"
#include "nearside/http/write.h"

enum {
    HEAD_BYTES = 16384,
    TEXT_BYTES = 65536,
    ROUNDS = 20000,
    FIELDS_MADE_MAX = 12,
};

/* Which side the head comes from. */
struct side {
    bool is_response;
    enum method method; /* that a response answers */
};

static enum rc
parse(const struct side *side, struct slice in, struct head *out, size_t *len)
{
    const struct parse_opts opts = {.keep_underscore = side->is_response};
    struct parse p;

    parse_start(&p);
    return side->is_response
               ? parse_response(&p, &opts, side->method, in, out, len)
               : parse_request(&p, &opts, in, out, len);
}

/* --- what a head says, as text ------------------------------------------- */

/* Fields that are written by who sends, not passed on. */
static bool
is_own(const struct head *h, const struct field *f)
{
    return f->id == FIELD_CONTENT_LENGTH || f->id == FIELD_HOST ||
           f->id == FIELD_EXPECT || head_is_hop_by_hop(h, f);
}

/* To an HTTP/1.1 client a response that only the end ends comes in chunks. */
static enum framing
framing_sent(const struct head *h)
{
    return h->framing == FRAMING_CLOSE ? FRAMING_CHUNKED : h->framing;
}

static void
say_host(struct slice host, struct writer *w)
{
    char text[1024];

    assert_true(host.len <= sizeof(text));
    write_slice(
        w, slice_of(text, uri_authority_normalise(host, SLICE("http"), text)));
}

/* With the slash that head_copy adds. */
static struct slice
target_of(const struct head *h)
{
    static char text[65536];

    if (h->target.len == 0 || h->target.ptr[0] != '?') {
        return h->target;
    }
    assert_true(h->target.len < sizeof(text));
    text[0] = '/';
    memcpy(text + 1, h->target.ptr, h->target.len);
    return slice_of(text, h->target.len + 1);
}

static void
say(const struct head *h, struct writer *w)
{
    write_u64(w, h->status);
    write_slice(w, SLICE(" "));
    write_slice(w, h->method_text);
    write_slice(w, SLICE(" "));
    write_slice(w, target_of(h));
    write_slice(w, SLICE(" "));
    say_host(h->host, w);
    write_slice(w, SLICE(" "));
    write_u64(w, framing_sent(h));
    write_slice(w, SLICE(" "));
    write_u64(w, h->framing == FRAMING_LENGTH ? h->content_length : 0);
    write_slice(w, SLICE("\n"));
    for (size_t i = 0; i < h->field_count; i++) {
        if (!is_own(h, &h->fields[i])) {
            write_field_lower(w, h->fields[i].name, h->fields[i].value);
        }
    }
    assert_false(w->is_full);
}

/* --- writing it anew, as the daemon does --------------------------------- */

static void
write_framing(const struct head *h, struct writer *w)
{
    switch (framing_sent(h)) {
    case FRAMING_LENGTH:
        write_field_u64(w, SLICE("content-length"), h->content_length);
        break;
    case FRAMING_CHUNKED:
        write_slice(w, SLICE("transfer-encoding: chunked\r\n"));
        break;
    case FRAMING_NONE:
    case FRAMING_CLOSE:
        break;
    }
}

static void
write_anew(const struct side *side, const struct head *h, struct writer *w)
{
    if (side->is_response) {
        write_status_line(w, h->status);
    } else {
        write_request_line(w, h->method_text, target_of(h));
        write_slice(w, SLICE("host: "));
        say_host(h->host, w);
        write_slice(w, SLICE("\r\n"));
    }
    for (size_t i = 0; i < h->field_count; i++) {
        const struct field *f = &h->fields[i];
        if (is_own(h, f)) {
            continue;
        }
        if (side->is_response) {
            write_field_lower(w, f->name, f->value);
        } else {
            write_field(w, f->name, f->value);
        }
    }
    write_framing(h, w);
    write_end(w);
    assert_false(w->is_full);
}

/* False: the head is not taken at all. */
static bool
check_identity(const struct side *side, struct slice in)
{
    static char first[HEAD_BYTES], second[HEAD_BYTES];
    static char said[TEXT_BYTES], said_again[TEXT_BYTES];
    static struct head h;
    struct writer w = writer_of(first, sizeof(first));
    struct writer again = writer_of(second, sizeof(second));
    struct writer text = writer_of(said, sizeof(said));
    struct writer text_again = writer_of(said_again, sizeof(said_again));
    size_t len;

    if (parse(side, in, &h, &len) != RC_OK) {
        return false;
    }
    say(&h, &text);
    write_anew(side, &h, &w);
    if (parse(side, writer_slice(&w), &h, &len) != RC_OK || len != w.len) {
        fail_msg("not taken again:\n%.*s", SLICE_FMT(writer_slice(&w)));
    }
    say(&h, &text_again);
    if (!slice_eq(writer_slice(&text), writer_slice(&text_again))) {
        fail_msg("first:\n%.*s\nthen:\n%.*s", SLICE_FMT(writer_slice(&text)),
            SLICE_FMT(writer_slice(&text_again)));
    }
    write_anew(side, &h, &again);
    assert_true(slice_eq(writer_slice(&w), writer_slice(&again)));
    return true;
}

/* --- the tables ---------------------------------------------------------- */

static void
all_that_the_tables_take_says_the_same_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(request_cases); i++) {
        const struct head_case *c = &request_cases[i];
        const struct side side = {.is_response = false};
        assert_int_equal(check_identity(&side, c->in), c->fault == FAULT_NONE);
    }
    for (size_t i = 0; i < ARRAY_LEN(response_cases); i++) {
        const struct head_case *c = &response_cases[i];
        const struct side side = {.is_response = true, .method = c->method};
        assert_int_equal(check_identity(&side, c->in), c->fault == FAULT_NONE);
    }
}

/* --- heads at random ----------------------------------------------------- */

static size_t
below(uint64_t *seed, size_t n)
{
    /* xorshift64: any cheap generator will do, as long as it is the same. */
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (size_t)(*seed % n);
}

static void
put_some(struct writer *w, uint64_t *seed, struct slice bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        write_slice(w, slice_of(bytes.ptr + below(seed, bytes.len), 1));
    }
}

static void
put_one_of(
    struct writer *w, uint64_t *seed, const char *const *words, size_t count)
{
    write_slice(w, slice_of_str(words[below(seed, count)]));
}

#define ONE_OF(w, seed, words) put_one_of(w, seed, words, ARRAY_LEN(words))

static const char name_bytes[] =
    "!#$%&'*+-.^`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "abcdefghijklmnopqrstuvwxyz";
/* Neither '.' nor '%': what they make of a target is the tables' matter. */
static const char target_bytes[] =
    "!$&'()*+,-/:;=?@[]^_`{|}~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "abcdefghijklmnopqrstuvwxyz";

static void
put_value(struct writer *w, uint64_t *seed, size_t n)
{
    while (n > 0) {
        char c = (char)below(seed, 256);
        if (c == '\t' || ((unsigned char)c >= 0x20 && c != 0x7f)) {
            write_slice(w, slice_of(&c, 1));
            n--;
        }
    }
}

/* A name known by heart, in any case. */
static void
put_known_name(struct writer *w, uint64_t *seed)
{
    static const enum field_id ids[] = {FIELD_ACCEPT, FIELD_COOKIE,
        FIELD_USER_AGENT, FIELD_CACHE_CONTROL, FIELD_TE, FIELD_VIA,
        FIELD_X_HTTP_METHOD_OVERRIDE, FIELD_PROXY_AUTHENTICATION_INFO};
    struct slice name = field_name_of(ids[below(seed, ARRAY_LEN(ids))]);

    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        c = c >= 'a' && below(seed, 2) == 0 ? (char)(c - 0x20) : c;
        write_slice(w, slice_of(&c, 1));
    }
}

static void
put_fields(struct writer *w, uint64_t *seed)
{
    static const char *const ows[] = {"", " ", "\t", " \t "};
    static const char *const whole[] = {"Connection: close\r\n",
        "Connection: X-A, keep-alive\r\n", "X-A: 1\r\n",
        "Keep-Alive: timeout=5\r\n", "Upgrade: h2c\r\n",
        "X-Forwarded-For: 10.0.0.1\r\n"};
    size_t fields = below(seed, FIELDS_MADE_MAX);

    for (size_t i = 0; i < fields; i++) {
        if (below(seed, 6) == 0) {
            ONE_OF(w, seed, whole);
            continue;
        }
        if (below(seed, 2) == 0) {
            put_known_name(w, seed);
        } else {
            write_slice(w, SLICE("q"));
            put_some(w, seed, SLICE(name_bytes), below(seed, 40));
        }
        write_slice(w, SLICE(":"));
        ONE_OF(w, seed, ows);
        put_value(w, seed, below(seed, 50));
        ONE_OF(w, seed, ows);
        write_slice(w, SLICE("\r\n"));
    }
}

static void
put_framing(struct writer *w, uint64_t *seed)
{
    static const char *const framings[] = {"", "Content-Length: 0\r\n",
        "content-length:\t007 \r\n", "Content-Length: 9223372036854775807\r\n",
        "Transfer-Encoding: chunked\r\n", "TRANSFER-ENCODING:CHUNKED\t\r\n"};

    ONE_OF(w, seed, framings);
    put_fields(w, seed);
    write_end(w);
}

static void
put_request(struct writer *w, uint64_t *seed)
{
    static const char *const methods[] = {"GET ", "HEAD ", "POST ", "PUT ",
        "DELETE ", "OPTIONS ", "get ", "B!W "};
    static const char *const before[] = {
        "/", "http://a.example/", "HTTP://A.example:80/", "/a%20%0d%0A"};
    static const char *const versions[] = {
        " HTTP/1.1\r\n", " HTTP/1.2\r\n", " HTTP/1.9\r\n"};
    static const char *const hosts[] = {"Host: a.example\r\n",
        "hOST:\tA.EXAMPLE:80 \r\n", "Host:a.example:\r\n"};

    ONE_OF(w, seed, methods);
    ONE_OF(w, seed, before);
    put_some(w, seed, SLICE(target_bytes), below(seed, 40));
    ONE_OF(w, seed, versions);
    put_fields(w, seed);
    ONE_OF(w, seed, hosts);
    put_framing(w, seed);
}

static void
put_response(struct writer *w, uint64_t *seed)
{
    static const char *const lines[] = {"HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 204 \r\n", "HTTP/1.1 304 Not Modified\r\n",
        "HTTP/1.1 404\r\n", "HTTP/1.2 599 \x80 what\r\n",
        "HTTP/1.1 103 Early Hints\r\n", "HTTP/1.0 500 Oh\r\n"};

    ONE_OF(w, seed, lines);
    put_fields(w, seed);
    put_framing(w, seed);
}

static void
check_random(bool is_response, size_t taken_min)
{
    static const enum method methods[] = {METHOD_GET, METHOD_HEAD, METHOD_PUT};
    uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);
    size_t taken = 0;

    for (size_t i = 0; i < ROUNDS; i++) {
        char text[HEAD_BYTES];
        struct writer w = writer_of(text, sizeof(text));
        const struct side side = {is_response, methods[i % 3]};
        if (is_response) {
            put_response(&w, &seed);
        } else {
            put_request(&w, &seed);
        }
        assert_false(w.is_full);
        taken += check_identity(&side, writer_slice(&w));
    }
    if (taken < taken_min) {
        fail_msg("only %zu of %d are taken", taken, ROUNDS);
    }
}

static void
requests_at_random_say_the_same_again(void **state)
{
    (void)state;
    check_random(false, ROUNDS / 2);
}

static void
responses_at_random_say_the_same_again(void **state)
{
    (void)state;
    check_random(true, ROUNDS / 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_the_tables_take_says_the_same_again),
        cmocka_unit_test(requests_at_random_say_the_same_again),
        cmocka_unit_test(responses_at_random_say_the_same_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
