/*
 * Which of a request's fields the origin gets to see (RFC 9110 7.6). Pure: a
 * head, a route and who sent it in, a verdict on each field out.
 */
#ifndef NEARSIDE_RULES_SENDING_H
#define NEARSIDE_RULES_SENDING_H

#include "nearside/http/head.h"
#include "nearside/rules/route.h"

/* How a request is sent. Loans. */
struct sending {
    const struct head *head;
    const struct route *route; /* the credentials that it ignores stay behind;
                                  NULL: none do */
    bool is_trusted;           /* a trusted proxy sent it */
    bool for_cache;            /* its answer may be stored: the conditions of
                                  this client stay behind */
};

bool sending_has(const struct sending *s, const struct field *field);

/* Is a field sent by the one that is not sent by the other? Of the same
   head. */
bool sending_is_more(const struct sending *s, const struct sending *than);

#endif
