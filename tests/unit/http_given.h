/* A head for tests of what is read out of heads: parsed from text. */
#ifndef TESTS_UNIT_HTTP_GIVEN_H
#define TESTS_UNIT_HTTP_GIVEN_H

#include "nearside/http/parse.h"

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
