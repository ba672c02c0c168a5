/*
 * May a response be stored (RFC 9111 3)? One decision for a shared cache:
 * what the RFC forbids is never stored, and unless opts say so neither is
 * what attacks on caches live of.
 */
#ifndef NEARSIDE_HTTP_STORABLE_H
#define NEARSIDE_HTTP_STORABLE_H

#include "nearside/http/fresh.h"

/* The verdict: STORABLE_YES, or why not. */
enum storable {
#define STORABLE(name, token) STORABLE_##name,
#include "nearside/http/storable.def"
#undef STORABLE
};

/* A token for Cache-Status detail; NULL for STORABLE_YES. */
const char *storable_detail(enum storable verdict);

/* The same token, for one that was written down; NULL: there is no such. */
const char *storable_detail_of(struct slice token);

/* Zero is safe. */
struct storable_opts {
    bool is_rfc; /* explicit freshness counts for any final status but 206 304
                    412 416, which are never stored, not only for 200 203 204
                    300 301 308 404 410; credentials other than Authorization
                    make no difference; must-revalidate shares an answer to
                    Authorization as public and s-maxage do (3.5) */
    bool set_cookie;      /* with Set-Cookie too (stripped by the caller or
                             not) */
    bool honours_request; /* no-store in the request counts */
    int64_t ttl_min_ms;   /* however little freshness is stated */
    int64_t grace_ms;     /* how long it may stand in when it is stale */
};

/* What of the request matters. Slices are loans. */
struct storable_request {
    enum method method;
    bool has_authorization; /* and the route does not key or drop it */
    bool has_credentials;   /* Cookie and the like: the same */
    bool no_store;
    struct slice scheme; /* the target URI, for POST alone */
    struct slice host;
    struct slice target;
};

/* The response, and what was made of it. */
struct storable_response {
    const struct head *head;
    const struct cache_control *cc; /* the one that counts: targeted.h */
    const struct fresh *fresh;
    enum rc vary;        /* what vary_read said */
    bool has_ttl;        /* where fresh->source is FRESH_NONE, the route gives
                            a lifetime; never to errors, nor to requests with
                            credentials */
    bool has_status_ttl; /* the same, to this very status, whatever it is */
};

/*
 * Do the windows of RFC 5861 beside s-maxage count? Not by RFC 9111 5.2.2.10
 * alone (is_rfc), nor where only s-maxage lets an answer to Authorization be
 * shared (3.5).
 */
bool storable_has_windows(const struct storable_opts *opts,
    const struct storable_request *request, const struct cache_control *cc);

enum storable storable_decide(const struct storable_opts *opts,
    const struct storable_request *request,
    const struct storable_response *response);

/*
 * Is the response field one that is stored (RFC 9111 3.1)? Not: what ends
 * at this hop, Proxy-Authentication-Info, framing, and Age.
 */
bool storable_has_field(const struct head *response, const struct field *f);

#endif
