/*
 * A response as the proxy carries it from one wire to another: status and
 * end-to-end field lines, no framing. What depends on the one who asks (the
 * status line, how the body ends, Age, Cache-Status) is written for each
 * answer.
 */
#ifndef NEARSIDE_BODY_MESSAGE_H
#define NEARSIDE_BODY_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "nearside/base/slice.h"

enum {
    MESSAGE_AGE_NONE = -1,
};

struct message {
    unsigned status;
    bool has_length;
    uint64_t length;     /* of the body; of a HEAD's, what GET would give */
    int64_t age_s;       /* on receipt, or MESSAGE_AGE_NONE */
    struct slice note;   /* lines that are for us alone (RFC 9213): stored,
                            and not delivered. fields follows it in memory */
    struct slice fields; /* "name: value\r\n" lines, names lower-case;
                            Date is always among them */
};

#endif
