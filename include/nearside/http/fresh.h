/*
 * Freshness (RFC 9111 4.2): how long a response may be answered from a
 * cache. Pure arithmetic over a head and two moments.
 */
#ifndef NEARSIDE_HTTP_FRESH_H
#define NEARSIDE_HTTP_FRESH_H

#include "nearside/http/cache_control.h"

enum fresh_source {
    FRESH_NONE,      /* the response states nothing */
    FRESH_STATED,    /* by s-maxage, max-age or Expires */
    FRESH_HEURISTIC, /* a guess by Last-Modified (4.2.2) */
    FRESH_BAD_AGE,   /* a malformed Age: stale, whatever is stated */
};

struct fresh {
    enum fresh_source source;
    int64_t lifetime_s;    /* freshness lifetime; 0 when stated as stale */
    int64_t initial_age_s; /* corrected initial age, 4.2.3 */
};

/*
 * The first member of the first Age (5.1); beyond DELTA_MAX it is that.
 * RC_MISS: no Age. RC_BAD: malformed; *out_s is then untouched.
 */
enum rc fresh_read_age(const struct head *h, int64_t *out_s) RC_MUST_CHECK;

/* When the request was sent and the head came; wall clock. */
struct fresh_times {
    int64_t request_ms;
    int64_t response_ms;
};

struct fresh_opts {
    bool ignores_expires; /* cc is a targeted field's (RFC 9213 2.2) */
    bool heuristic;       /* guess where nothing is stated (4.2.2) */
    bool is_rfc;          /* guess for errors too (404, 405, 410, 414, 501); a
                             malformed Age is as none (RFC 9111 5.1) */
};

/*
 * cc is h's Cache-Control, or the targeted field that counts instead. A
 * malformed Age makes the response stale; of a list of Ages the first counts.
 * A malformed or repeated Expires is in the past. Of several Dates, age and
 * lifetime each take the stricter one. A guess is a tenth of the time from
 * Last-Modified to Date, at most a day, for a status that is heuristically
 * cacheable (RFC 9110 15.1) or a response marked public; never beside an
 * explicit time, however malformed.
 */
void fresh_compute(const struct head *h, const struct cache_control *cc,
    const struct fresh_times *times, const struct fresh_opts *opts,
    struct fresh *out);

/*
 * May a cache give that status a lifetime of its own (RFC 9110 15.1,
 * heuristically cacheable)? Never a 206; a 4xx or 5xx only with errors.
 */
bool fresh_is_heuristic(unsigned status, bool errors);

#endif
