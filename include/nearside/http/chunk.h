/*
 * The chunked transfer coding (RFC 9112 7.1), decoded strictly: CRLF only,
 * extensions checked and dropped, trailer fields checked and dropped.
 */
#ifndef NEARSIDE_HTTP_CHUNK_H
#define NEARSIDE_HTTP_CHUNK_H

#include "nearside/base/slice.h"

struct chunk {
    unsigned state;
    uint64_t left; /* content bytes left in the current chunk */
    /* Private. */
    unsigned digits; /* of the size under way */
    size_t line_len; /* of the chunk-size line under way */
    size_t ext_len;  /* of all extensions so far */
    size_t trailer_len;
};

void chunk_start(struct chunk *c);

/*
 * Eats from in what it can: *out_eaten bytes; *out_data is the run of
 * content among them (may be empty), a loan into in. Call again with the
 * rest until in is used up. RC_AGAIN: ate what there was, the body goes on.
 * RC_OK: the body has ended; bytes behind *out_eaten are the next
 * message's. RC_BAD: malformed. RC_LIMIT: a chunk-size line above 4 KiB, or
 * all extensions of a body, or its trailers, above 16 KiB (also 400).
 * Progress is guaranteed: RC_AGAIN with *out_eaten 0 only if in is empty.
 */
enum rc chunk_decode(struct chunk *c, struct slice in, size_t *out_eaten,
    struct slice *out_data) RC_MUST_CHECK;

/* Bytes enough for the line before a chunk: 16 hex digits, CRLF. */
enum {
    CHUNK_LINE_MAX = 18,
};

/* Writes "<hex>\r\n" for a chunk of n > 0 bytes; returns its length. */
size_t chunk_write_line(char out[CHUNK_LINE_MAX], uint64_t n);

#endif
