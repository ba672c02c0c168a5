/*
 * Structured fields (RFC 9651): dictionaries parsed strictly and without
 * allocation, and what our own fields are written with.
 */
#ifndef NEARSIDE_HTTP_STRUCTURED_H
#define NEARSIDE_HTTP_STRUCTURED_H

#include "nearside/http/write.h"

enum sf_type {
    SF_INTEGER, /* number */
    SF_BOOLEAN, /* number: 0 or 1 */
    SF_OTHER,   /* any other type; valid */
};

struct sf_item {
    enum sf_type type;
    int64_t number;
};

/*
 * Takes the next member of a dictionary (4.2.2) off *rest, which is a field's
 * value at first: its key, a loan, and its value, true if none is written.
 * The last of equal keys is the one that counts. A value is valid only as a
 * whole: rely on nothing before RC_MISS. RC_MISS: that was all. RC_BAD: the
 * whole value is invalid.
 */
enum rc sf_next_member(struct slice *rest, struct slice *out_key,
    struct sf_item *out) RC_MUST_CHECK;

/* A token (4.1.7)? What is not has to be written as a string. */
bool sf_is_token(struct slice s);

/*
 * Writes s as a token if it is one, else as a string; a byte that no string
 * can hold is written as '?'.
 */
void sf_write_token_or_string(struct writer *w, struct slice s);
void sf_write_string(struct writer *w, struct slice s);

/* "-12"; beyond 15 digits: the nearest that can be said. */
void sf_write_integer(struct writer *w, int64_t value);

#endif
