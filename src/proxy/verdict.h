/*
 * Judging what an origin says: a whole response, or what a 304 or the answer
 * to a HEAD makes of a stored one (RFC 9111 3.2, 4.3.4, 4.3.5).
 */
#ifndef PROXY_VERDICT_H
#define PROXY_VERDICT_H

#include "nearside/base/arena.h"
#include "nearside/rules/policy.h"

struct fill;
struct value;
struct worker;

/* For whom, under which route, and when. */
struct judging {
    struct worker *worker;
    const struct route *route;
    const struct policy_request *request;
    struct arena *arena; /* what the verdict on a renewed one points into */
    bool is_delivered;   /* and so is what is renewed: a cookie set there is
                            for one client, as with a whole response */
    int64_t request_ms;  /* wall: when it was asked, when the head came */
    int64_t response_ms;
};

/* A whole response; one that says it is too large is not storable. */
void verdict_of_response(const struct judging *j, const struct head *head,
    struct policy_verdict *out);

/* A stored response that was renewed. */
struct renewal {
    struct slice note;   /* its lines now, in the arena: those that are for */
    struct slice fields; /* us alone, and the others */
    struct policy_verdict verdict;
};

/*
 * The stored response with the update's fields, judged as if it had just
 * come. The caller has found that the update speaks of it. False: no memory.
 */
bool verdict_of_renewed(const struct judging *j, const struct entry *stored,
    const struct head *update, struct renewal *out);

/* What becomes a value in Redis. */
struct encoding {
    const struct policy_verdict *verdict;
    unsigned status;
    uint32_t origin_cost_ms;
    struct slice key;
};

/* From a fill that is complete. RC_NOMEM, RC_LIMIT, RC_BAD: as codec.h. */
enum rc encode_fill(const struct encoding *e, struct fill *fill,
    struct value *out) RC_MUST_CHECK;

/* From a renewed one: its new lines and the stored body. */
enum rc encode_renewed(const struct encoding *e, const struct renewal *renewal,
    const struct entry *stored, struct value *out) RC_MUST_CHECK;

#endif
