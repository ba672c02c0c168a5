/* Validators among stored lines (RFC 9110 8.8). */
#ifndef HTTP_VALIDATOR_H
#define HTTP_VALIDATOR_H

#include "nearside/http/condition.h"

enum {
    /*
     * A Last-Modified this much older than the Date beside it is strong.
     * RFC 9110 8.8.2.2 asks for a second, and for so much that clocks
     * cannot be why; the Date may be ours. A minute is what its
     * predecessors asked for.
     */
    VALIDATOR_STRONG_AFTER_S = 60,
};

/* The ETag, if it is there once and well-formed. */
bool validator_tag(struct slice lines, struct entity_tag *out);

/* A date of that name, if it is there once and well-formed. */
bool validator_date(
    struct slice lines, struct slice name, int64_t now_s, int64_t *out_s);

bool validator_is_strong_date(int64_t modified_s, int64_t date_s);

#endif
