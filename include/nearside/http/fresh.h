/*
 * Freshness (RFC 9111 4.2): how long a response may be answered from a
 * cache. Pure arithmetic over a head and two moments; seconds throughout.
 */
#ifndef NEARSIDE_HTTP_FRESH_H
#define NEARSIDE_HTTP_FRESH_H

#include "nearside/http/cache_control.h"

enum fresh_source {
    FRESH_NONE, /* the response states nothing */
    FRESH_S_MAXAGE,
    FRESH_MAX_AGE,
    FRESH_EXPIRES,
};

struct fresh {
    enum fresh_source source;
    int64_t lifetime_s;    /* freshness lifetime; 0 when stated as stale */
    int64_t initial_age_s; /* corrected initial age, 4.2.3 */
    int64_t date_s;        /* the origin's Date, or the time of receipt */
};

/*
 * request_s: when the request was sent; response_s: when the head came;
 * both wall-clock seconds. cc is h's Cache-Control. A malformed Age counts
 * as 0, several Ages as the first; a malformed Expires is in the past.
 */
void fresh_compute(const struct head *h, const struct cache_control *cc,
    int64_t request_s, int64_t response_s, struct fresh *out);

#endif
