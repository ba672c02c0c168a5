/*
 * The head parser of HTTP/1.1, strict (RFC 9112 2 to 6, RFC 9110 5): what is
 * ambiguous is refused, nothing is repaired. It is fed a growing run of bytes
 * and remembers how far it has looked, so that a head costs the same whether
 * it comes whole or byte by byte, and is judged alike.
 */
#ifndef NEARSIDE_HTTP_PARSE_H
#define NEARSIDE_HTTP_PARSE_H

#include "nearside/http/head.h"

/* Why a message was refused. One row: name, status to answer, phrase. */
enum parse_fault {
#define FAULT(name, status, text) FAULT_##name,
#include "nearside/http/fault.def"
#undef FAULT
};

/*
 * Status for the client: 400, 414, 417, 431, 501, 505. A refused response
 * is a 502 to the client, whatever its fault.
 */
unsigned fault_status(enum parse_fault fault);
const char *fault_text(enum parse_fault fault);
const char *fault_name(enum parse_fault fault); /* "HOST_MANY" */

/* Limits; 0 takes the default named beside it. */
struct parse_opts {
    size_t head_max;           /* 32 KiB: the whole head */
    size_t target_max;         /* 8,000 bytes of request target; beyond: 414 */
    size_t field_max;          /* 8,000 bytes: one field line, name to CRLF */
    size_t name_max;           /* 256 bytes: one field name */
    unsigned fields_max;       /* 100 in requests, 128 in responses */
    struct slice default_host; /* for HTTP/1.0 without Host; empty: 400 */
    struct slice known_host; /* a Host that was accepted before: it is compared
                                byte by byte and not judged again */
    bool keep_underscore;    /* pass names with '_' on instead of dropping */
};

/* Progress over one head; zero it for each. All offsets are into `in`. */
struct parse {
    size_t scanned; /* bytes already found to be well-formed */
    unsigned state;
    size_t line_start;
    enum parse_fault fault; /* set with RC_BAD */
    /* Private. */
    size_t mark;     /* start of the element under way */
    unsigned lines;  /* field lines begun */
    unsigned method; /* enum method of the request line */
    bool has_dot;    /* in the target */
    bool has_query;  /* a '?' was seen there; not always looked for */
};

void parse_start(struct parse *p);

/*
 * in: all bytes received so far, from the head's first byte on; the same
 * bytes, perhaps moved, and more of them at each call.
 * RC_OK: *out is filled, *out_len is the length of the head with its empty
 * line. RC_AGAIN: more bytes are needed. RC_BAD: refused, p->fault says why,
 * as soon as the offending byte is there. Until RC_OK, *out is room to work
 * in: its contents are then undefined and need not survive between calls.
 *
 * The target is a loan into in, but for an absolute-form with an empty path:
 * then it is static text, or begins with '?' and lacks its slash, which
 * head_copy adds.
 */
enum rc parse_request(struct parse *p, const struct parse_opts *opts,
    struct slice in, struct head *out, size_t *out_len) RC_MUST_CHECK;

/*
 * Does `in` begin with the request line that nearly all heads have: of a GET by
 * HTTP/1.1, of a target in origin-form without dots and percent signs?
 * *out_rest is what follows it. A target of any length is taken.
 */
bool parse_plain_line(
    struct slice in, struct slice *out_target, struct slice *out_rest);

/*
 * The same for a response to a request of `method`; the method decides how
 * the content ends (RFC 9112 6.3).
 */
enum rc parse_response(struct parse *p, const struct parse_opts *opts,
    enum method method, struct slice in, struct head *out,
    size_t *out_len) RC_MUST_CHECK;

#endif
