/*
 * Structured fields (RFC 9651), parsed strictly and without allocation: one
 * member after the other. A value is valid only as a whole: rely on nothing
 * that was given out before RC_MISS has said that the end is reached. All
 * slices are loans.
 */
#ifndef NEARSIDE_HTTP_STRUCTURED_H
#define NEARSIDE_HTTP_STRUCTURED_H

#include "nearside/http/write.h"

enum sf_type {
    SF_INTEGER,    /* number */
    SF_DECIMAL,    /* number, in thousandths */
    SF_STRING,     /* text, with its escapes */
    SF_TOKEN,      /* text */
    SF_BYTES,      /* text, in base64 */
    SF_BOOLEAN,    /* number: 0 or 1 */
    SF_DATE,       /* number: seconds since 1970 */
    SF_DISPLAY,    /* text, with its percent-encoding */
    SF_INNER_LIST, /* text: what stands between the parentheses */
};

struct sf_item {
    enum sf_type type;
    int64_t number;
    struct slice text;
    struct slice params; /* ";a;b=1" */
};

/* A walk over one field value; lines of a field are joined by the caller. */
struct sf {
    struct slice rest;
    bool is_begun;
};

void sf_start(struct sf *s, struct slice value);

/*
 * The next member of a dictionary (4.2.2): its key, and its value, true if
 * none is written. The last of equal keys is the one that counts. RC_MISS:
 * that was all, and all was valid. RC_BAD: the whole value is invalid.
 */
enum rc sf_next_member(
    struct sf *s, struct slice *out_key, struct sf_item *out) RC_MUST_CHECK;

/* The next member of a list (4.2.1). RC_MISS, RC_BAD: as above. */
enum rc sf_next_item(struct sf *s, struct sf_item *out) RC_MUST_CHECK;

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
