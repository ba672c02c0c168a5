/*
 * Routes: which requests are ours to answer, and how. The first route that
 * matches a request counts; what none matches passes through.
 */
#ifndef NEARSIDE_RULES_ROUTE_H
#define NEARSIDE_RULES_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "nearside/base/slice.h"

enum route_read {
    ROUTE_READ_CACHE_ASIDE,
    ROUTE_READ_PASS,
};

enum route_write {
    ROUTE_WRITE_INVALIDATE,
    ROUTE_WRITE_PASS,
};

/* How a request that carries a credential of a kind is served. */
enum route_credential {
    ROUTE_CREDENTIAL_AUTO,   /* only what the origin marked shareable */
    ROUTE_CREDENTIAL_BYPASS, /* neither looked up nor stored */
    ROUTE_CREDENTIAL_IGNORE, /* neither keyed nor forwarded */
    ROUTE_CREDENTIAL_KEY,    /* part of the key */
};

enum route_set_cookie {
    ROUTE_SET_COOKIE_BYPASS, /* such a response is not stored */
    ROUTE_SET_COOKIE_STRIP,  /* stored and delivered without it */
    ROUTE_SET_COOKIE_STORE,
};

/* What of a response's own words ttl overrules. */
enum route_ttl_force {
    ROUTE_TTL_FORCE_OFF,
    ROUTE_TTL_FORCE_FRESHNESS, /* its lifetime */
    ROUTE_TTL_FORCE_ALL,       /* no-cache, no-store and private too */
};

/* What becomes of a read when Redis cannot say what is stored. */
enum route_redis_down {
    ROUTE_REDIS_DOWN_ORIGIN, /* the origin is asked */
    ROUTE_REDIS_DOWN_STALE,  /* what memory has answers for a while, though it
                                may have been changed */
    ROUTE_REDIS_DOWN_REFUSE, /* 503 */
};

/* What of the host by which a target was asked for belongs to its key. */
enum route_key_host {
    ROUTE_KEY_HOST_FULL,
    ROUTE_KEY_HOST_NAME, /* without the port */
    ROUTE_KEY_HOST_NONE, /* the target is the same by whatever name */
};

enum route_query {
    ROUTE_QUERY_ALL,  /* keyed byte by byte */
    ROUTE_QUERY_NONE, /* leaves key and request */
    ROUTE_QUERY_LIST, /* only the parameters named stay */
};

enum route_segment_kind {
    ROUTE_SEGMENT_LITERAL,
    ROUTE_SEGMENT_PARAM, /* one segment, not empty */
    ROUTE_SEGMENT_TAIL,  /* the last one: all that is left, maybe nothing */
};

struct route_segment {
    enum route_segment_kind kind;
    struct slice text; /* of a literal */
};

enum route_cache_status {
    ROUTE_CACHE_STATUS_ON,
    ROUTE_CACHE_STATUS_KEY, /* with the key */
    ROUTE_CACHE_STATUS_OFF,
};

/* How long an answer of that status is kept that states nothing itself. */
struct route_status_ttl {
    unsigned status;
    int64_t ttl_ms;
};

/* All pointers are borrowed for the proxy's life. */
struct route {
    struct slice title;                   /* for logs and metrics */
    struct slice method;                  /* empty: any */
    struct slice host;                    /* lower-case; empty: any */
    const struct route_segment *segments; /* "/a/:id" is {a} {:id} */
    size_t segments_len;
    size_t group; /* index of the origin */
    enum route_read read;
    enum route_write write;
    enum route_redis_down redis_down;
    int64_t redis_down_max_ms; /* STALE: since it was read from Redis */
    bool skips_memory; /* beside Redis: neither looked for nor put there */
    int64_t ttl_ms;    /* where the origin states no freshness; 0: none */
    int64_t ttl_min_ms;
    int64_t ttl_max_ms; /* 0: none */
    enum route_ttl_force ttl_force;
    unsigned ttl_jitter_percent;
    const struct route_status_ttl *status_ttls; /* before ttl_ms */
    size_t status_ttls_len;
    int64_t grace_ms;
    int64_t first_byte_timeout_ms;    /* 0: the origin's */
    int64_t between_bytes_timeout_ms; /* 0: the origin's */
    int64_t keep_ms;                  /* past freshness, to be validated */
    bool is_rfc;         /* preset = rfc: all that a shared cache may do */
    bool heuristic;      /* guess a lifetime where ttl is 0 */
    bool honours_client; /* max-age, no-cache and the like of requests */
    bool varies_by_any;  /* Vary may name Cookie, Authorization, User-Agent */
    const struct slice *vary_on; /* lower-case names of fields that answers
                                    vary by, whether they say so or not */
    size_t vary_on_len;
    bool refuses_unfenced; /* a write waits for its token, or is refused */
    bool stores_post;      /* an answer that RFC 9110 9.3.3 lets a GET have */
    enum route_cache_status cache_status;
    const struct slice *targeted; /* lower-case field names, first one first */
    size_t targeted_len;
    bool passes_targeted; /* on to clients */
    enum route_key_host key_host;
    enum route_query query;
    const struct slice *query_names;
    size_t query_names_len;
    enum route_credential cookie;
    const struct slice *cookies; /* names of those that count; none: all do */
    size_t cookies_len;
    enum route_credential authorization;
    enum route_set_cookie set_cookie;
    const struct slice *credential_fields; /* lower-case names */
    size_t credential_fields_len;
    const struct slice *methods; /* none: all; others get 405 */
    size_t methods_len;
};

/* Is that the host that is meant? One without a port is meant on any; an
   empty one is any. */
bool route_host_matches(struct slice want, struct slice host);

/* The index of the first match, or -1. Path and host are in their one spelling
   (http/uri.h). */
ptrdiff_t route_match(const struct route *routes, size_t routes_len,
    struct slice method, struct slice host, struct slice path);

/* Is the method among those that the route allows? */
bool route_allows(const struct route *route, struct slice method);

#endif
