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
    struct slice host;         /* by which it was asked, in its one spelling */
    bool is_trusted;           /* a trusted proxy sent it */
    bool for_cache;            /* its answer may be stored: the conditions of
                                  this client stay behind */
};

/* Does it say of the host what makes no difference on the route (key_host)?
   Then it is neither keyed nor sent. */
bool sending_merges(const struct sending *s, const struct field *field);

/* The host that the origin is told by X-Forwarded-Host and Forwarded: the
   client's as it spelled it, or what of it is keyed, or the one that is fixed.
 */
struct slice sending_host(const struct route *route, struct slice host,
    struct slice spelled, struct slice fixed);

bool sending_has(const struct sending *s, const struct field *field);

/* Is a field sent by the one that is not sent by the other? Of the same
   head. */
bool sending_is_more(const struct sending *s, const struct sending *than);

#endif
