/*
 * The machine that parse.c runs over a head, line by line. Its laws stand
 * there.
 */
#ifndef HTTP_SCAN_H
#define HTTP_SCAN_H

#include "nearside/http/parse.h"

enum {
    AT_START,   /* an optional CRLF; then AT_METHOD or, of a response, AT_STATUS
                 */
    AT_METHOD,  /* a token and a space; then AT_TARGET */
    AT_TARGET,  /* target bytes and a space; then AT_VERSION */
    AT_VERSION, /* "HTTP/1.1" CRLF; then AT_FIELD */
    AT_STATUS,  /* "HTTP/1.1 200", a space perhaps; then AT_REASON */
    AT_REASON,  /* text and CRLF; then AT_FIELD */
    AT_FIELD,   /* CRLF: the head is whole; a token byte: AT_NAME */
    AT_NAME,    /* a token and a colon; then AT_VALUE */
    AT_VALUE,   /* text and CRLF; then AT_FIELD */
    AT_END,
    AT_FAULT, /* refused: says so again whenever asked */
};

/* One call's work. */
struct scan {
    struct parse *p;
    const char *base;  /* first byte of the head */
    const char *at;    /* next byte to eat */
    const char *end;   /* of what may be looked at */
    struct head *out;  /* NULL: only scan */
    uint64_t repeated; /* field_set bits seen twice */
    size_t head_max;
    size_t target_max;
    size_t field_max;
    size_t name_max;
    size_t fields_max;
    bool keep_underscore;
};

/*
 * The start line, from AT_START to AT_FIELD, and the field lines, from
 * AT_FIELD, AT_NAME or AT_VALUE to AT_END. RC_AGAIN, RC_BAD: as
 * parse_request has them; s->at is where to go on.
 */
enum rc scan_request_line(struct scan *s) RC_MUST_CHECK;
enum rc scan_status_line(struct scan *s) RC_MUST_CHECK;
enum rc scan_field_lines(struct scan *s) RC_MUST_CHECK;

static inline enum rc
refuse(struct scan *s, enum parse_fault fault)
{
    s->p->fault = fault;
    s->p->state = AT_FAULT;
    return RC_BAD;
}

/* Refuses the byte at s->at; other: why, when it is not a stray byte. */
static inline enum rc
refuse_byte(struct scan *s, enum parse_fault other)
{
    unsigned char c = (unsigned char)*s->at;

    if (c == '\n') {
        return refuse(s, FAULT_BARE_LF);
    }
    if ((c < ' ' && c != '\t' && c != '\r') || c == 0x7f) {
        return refuse(s, FAULT_CONTROL);
    }
    return refuse(s, other);
}

static inline size_t
offset(const struct scan *s)
{
    return (size_t)(s->at - s->base);
}

/*
 * Eats CRLF, which must be next: what else stands there is refused, as
 * `other` when it is not a stray byte.
 */
static inline enum rc
eat_crlf(struct scan *s, enum parse_fault other)
{
    if (s->at == s->end) {
        return RC_AGAIN;
    }
    if (*s->at != '\r') {
        return refuse_byte(s, other);
    }
    if (s->end - s->at < 2) {
        return RC_AGAIN;
    }
    if (s->at[1] != '\n') {
        return refuse(s, FAULT_BARE_CR);
    }
    s->at += 2;
    return RC_OK;
}

#endif
