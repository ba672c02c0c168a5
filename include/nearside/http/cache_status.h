/* Cache-Status (RFC 9211): how this cache handled a request. */
#ifndef NEARSIDE_HTTP_CACHE_STATUS_H
#define NEARSIDE_HTTP_CACHE_STATUS_H

#include "nearside/http/write.h"

/* Why a request went forward (RFC 9211 2.2). */
enum cache_fwd {
    CACHE_FWD_NONE, /* it did not */
    CACHE_FWD_BYPASS,
    CACHE_FWD_METHOD,
    CACHE_FWD_URI_MISS,
    CACHE_FWD_VARY_MISS,
    CACHE_FWD_REQUEST,
    CACHE_FWD_STALE,
};

/* A zero is not written, and without fwd neither is what only qualifies it. */
struct cache_status {
    struct slice name; /* of this cache; not empty */
    bool is_hit;
    enum cache_fwd fwd;
    unsigned fwd_status;
    bool has_ttl;
    int64_t ttl_s; /* negative: stale for so long */
    bool is_stored;
    bool is_collapsed; /* with another request's fetch */
    struct slice key;
    struct slice detail;
};

/*
 * The whole line, "cache-status: name; hit; ttl=3\r\n", to be put behind the
 * lines of caches nearer to the origin, which stay (RFC 9211 2). All or
 * nothing: a line that does not fit is left out and w is full.
 */
void cache_status_write_line(struct writer *w, const struct cache_status *s);

#endif
