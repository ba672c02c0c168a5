/*
 * Assessing what an origin says: a whole response, or what a 304 or the answer
 * to a HEAD makes of a stored one (RFC 9111 3.2, 4.3.4, 4.3.5).
 */
#ifndef NEARSIDE_RULES_ASSESS_H
#define NEARSIDE_RULES_ASSESS_H

#include "nearside/base/arena.h"
#include "nearside/rules/policy.h"

/* For whom, under which route, and when. */
struct assess_opts {
    const struct route *route;
    const struct policy_request *request;
    struct arena *arena; /* what the verdict on a renewed one points into */
    bool is_delivered;   /* and so is what is renewed: a cookie set there is
                            for one client, as with a whole response */
    size_t object_max;   /* a larger body is not stored */
    struct slice date;   /* now, as an HTTP date */
    struct policy_times times;
};

/* A whole response; one that says it is too large is not storable. */
void assess_response(const struct assess_opts *j, const struct head *head,
    struct policy_verdict *out);

/* A stored response that was renewed. */
struct renewal {
    struct slice private_fields; /* its lines now, in the arena: those that */
    struct slice fields;         /* are for us alone, and the others */
    struct policy_verdict verdict;
};

/*
 * The stored response with the update's fields, judged as if it had just
 * come. The caller has found that the update speaks of it. False: no memory.
 */
bool assess_renewed(const struct assess_opts *j, const struct entry *stored,
    const struct head *update, struct renewal *out);

#endif
