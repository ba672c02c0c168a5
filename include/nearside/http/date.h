/* HTTP dates (RFC 9110 5.6.7) to and from seconds since 1970. */
#ifndef NEARSIDE_HTTP_DATE_H
#define NEARSIDE_HTTP_DATE_H

#include "nearside/base/slice.h"

enum {
    DATE_LEN = 29, /* "Sun, 06 Nov 1994 08:49:37 GMT" */
};

/* IMF-fixdate into out, without a NUL. For years 1970 to 9999. */
void date_write(char out[DATE_LEN], int64_t seconds);

/*
 * All three formats, letters in any case (RFC 9111 4.2); a two-digit year more
 * than 50 years ahead of now_s is in the past century. RC_BAD: anything else,
 * impossible days included.
 */
enum rc date_parse(
    struct slice s, int64_t now_s, int64_t *out_seconds) RC_MUST_CHECK;

#endif
