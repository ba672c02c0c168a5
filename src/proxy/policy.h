/*
 * Policy: may this request be answered from the cache, may this response be
 * stored, and for how long? Pure: route, heads and a moment in, a verdict
 * out. Where a verdict is no, it says why in a word for Cache-Status.
 */
#ifndef PROXY_POLICY_H
#define PROXY_POLICY_H

#include "nearside/http/head.h"
#include "nearside/proxy/route.h"

/* What a request brings that concerns a cache. */
struct policy_request {
    bool has_credentials;   /* not ignored and not keyed by the route */
    const char *credential; /* "cookie", "authorization", "credential" */
    const char *bypass;     /* why it is neither looked up nor stored; NULL:
                               it is */
    bool is_only_if_cached;
};

/* has_body: the request brings content. */
void policy_read(const struct route *route, const struct head *head,
    bool has_body, struct policy_request *out);

struct policy_verdict {
    bool is_storable;
    const char *detail; /* why not; static */
    bool is_shareable;  /* the origin said public or s-maxage */
    bool must_revalidate;
    bool drops_set_cookie;
    int64_t created_ms; /* wall; Age counts from here */
    int64_t fresh_until_ms;
    int64_t stale_until_ms;
};

/*
 * request_ms, response_ms: wall-clock moments of the exchange. jitter: a
 * random number that spreads the ends of a route's ttl.
 */
void policy_store(const struct route *route,
    const struct policy_request *request, const struct head *response,
    int64_t request_ms, int64_t response_ms, uint64_t jitter,
    struct policy_verdict *out);

/* Does the method leave the state of the target alone (RFC 9110 9.2.1)? */
bool policy_is_safe(enum method method);
bool policy_is_idempotent(enum method method);

#endif
