/*
 * Byte ranges (RFC 9110 14), answered from a representation of known length:
 * one range in any of its three forms. A request for several ranges or for
 * other units, or a malformed one, gets the whole.
 */
#ifndef NEARSIDE_HTTP_RANGE_H
#define NEARSIDE_HTTP_RANGE_H

#include "nearside/http/write.h"

enum range_outcome {
    RANGE_WHOLE,         /* Range is ignored: 200 */
    RANGE_PART,          /* 206 with the bytes first to last */
    RANGE_UNSATISFIABLE, /* 416 */
};

/* Offsets of bytes, both inclusive. */
struct range {
    uint64_t first;
    uint64_t last;
};

/*
 * The Range field of a request whose conditions let it count. *out is
 * filled with RANGE_PART alone: then first <= last < length. Several Range
 * lines, or a representation of no bytes, give RANGE_WHOLE.
 */
enum range_outcome range_evaluate(
    const struct head *request, uint64_t length, struct range *out);

/* "content-range: bytes 0-4/10\r\n" (RFC 9110 14.4) */
void range_write(struct writer *w, const struct range *range, uint64_t length);

/* "content-range: bytes *" "/10\r\n", for a 416 */
void range_write_unsatisfied(struct writer *w, uint64_t length);

#endif
