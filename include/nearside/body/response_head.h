/*
 * The head of a response as it is carried from one wire to another: status
 * and end-to-end field lines, no framing. What depends on the one who asks
 * (the status line, how the body ends, Age, Cache-Status) is written for each
 * answer.
 */
#ifndef NEARSIDE_BODY_RESPONSE_HEAD_H
#define NEARSIDE_BODY_RESPONSE_HEAD_H

#include "nearside/base/slice.h"

enum {
    RESPONSE_AGE_NONE = -1,
};

struct response_head {
    unsigned status;
    bool has_length;
    uint64_t length; /* of the body; of a HEAD's, what GET would give */
    int64_t age_s;   /* on receipt, or RESPONSE_AGE_NONE */
    /* "name: value\r\n" lines, names in lower case. */
    struct slice private_fields; /* for caches alone (RFC 9213): they are
                                    stored, and not delivered */
    struct slice fields;         /* all others; Date is always among them */
};

#endif
