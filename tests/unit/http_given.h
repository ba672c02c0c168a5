/* A head for tests of what is read out of heads: parsed from text. */
#ifndef TESTS_UNIT_HTTP_GIVEN_H
#define TESTS_UNIT_HTTP_GIVEN_H

#include "nearside/http/parse.h"

/* The answer of that status to that method, with these field lines ("A:
   b\r\n"). The head is good until the next call. */
static inline const struct head *
given_answer(enum method method, unsigned status, const char *fields)
{
    static struct head head;
    static char text[16384];
    const struct parse_opts opts = {0};
    struct parse p;
    size_t len;

    snprintf(text, sizeof(text), "HTTP/1.1 %u X\r\n%s\r\n", status, fields);
    parse_start(&p);
    assert_int_equal(
        parse_response(&p, &opts, method, slice_of_str(text), &head, &len),
        RC_OK);
    return &head;
}

/* The request `line` ("GET /a") with these field lines and a Host. As above. */
static inline const struct head *
given_request(const char *line, const char *fields)
{
    static struct head head;
    static char text[16384];
    const struct parse_opts opts = {0};
    struct parse p;
    size_t len;

    snprintf(text, sizeof(text), "%s HTTP/1.1\r\nHost: a.example\r\n%s\r\n",
        line, fields);
    parse_start(&p);
    assert_int_equal(
        parse_request(&p, &opts, slice_of_str(text), &head, &len), RC_OK);
    return &head;
}

static inline void
assert_slice(struct slice s, const char *want)
{
    if (!slice_eq(s, slice_of_str(want))) {
        fail_msg("[%.*s] is not [%s]", SLICE_FMT(s), want);
    }
}

/* The response "HTTP/1.1 200 OK" with these field lines ("A: b\r\n"). The
   head is good until the next call. */
static inline const struct head *
given_response(const char *fields)
{
    static struct head head;
    static char text[8192];
    const struct parse_opts opts = {0};
    struct parse p;
    size_t len;

    snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n%s\r\n", fields);
    parse_start(&p);
    assert_int_equal(
        parse_response(&p, &opts, METHOD_GET, slice_of_str(text), &head, &len),
        RC_OK);
    return &head;
}

#endif
