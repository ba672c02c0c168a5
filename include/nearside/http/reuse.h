/*
 * May a stored response be used now (RFC 9111 4, 4.2, 5.2.1; RFC 5861;
 * RFC 8246)? Wall-clock milliseconds throughout. The caller has found that
 * URI and variant match.
 */
#ifndef NEARSIDE_HTTP_REUSE_H
#define NEARSIDE_HTTP_REUSE_H

#include "nearside/http/fresh.h"

/* What of a stored response decides. An entry keeps it, or it is read again
   from the stored lines. */
struct reuse_stored {
    int64_t created_ms; /* receipt less the age it had then */
    int64_t fresh_until_ms;
    int64_t while_ms;    /* stale-while-revalidate; 0: none */
    int64_t if_error_ms; /* stale-if-error; 0: none */
    int64_t grace_ms;    /* the route's: stale if the origin fails */
    bool must_validate;  /* no-cache, or marked invalid: each use */
    bool never_stale;    /* must-revalidate, proxy-revalidate, s-maxage */
    bool has_windows;    /* but within while_ms and if_error_ms, which stood
                            beside s-maxage */
    bool is_shareable;   /* public or s-maxage */
    bool is_authorized;  /* that, or must-revalidate; its user may be
                            stricter */
    bool is_immutable;
};

/*
 * Fills the flags and windows, not the times and not grace_ms. By RFC 9111
 * 5.2.2.10 s-maxage forbids all stale use. Where beside_s_maxage says so,
 * stale-while-revalidate and stale-if-error that stand beside it count, as CDNs
 * have it.
 */
void reuse_read_stored(const struct cache_control *cc, bool beside_s_maxage,
    struct reuse_stored *out);

/* How long past its time the origin allows to use it at all, for whatever
   reason; grace_ms included. */
int64_t reuse_window_ms(const struct reuse_stored *stored);

/* What of a request decides. */
struct reuse_request {
    bool only_if_cached;    /* always honoured */
    bool has_credentials;   /* uses only what is_shareable */
    bool has_authorization; /* uses only what is_authorized (3.5) */
    bool is_honoured;       /* the rest counts */
    bool no_cache;          /* or Pragma: no-cache without Cache-Control */
    int64_t max_age_ms;     /* -1: not stated, here and below */
    int64_t min_fresh_ms;
    int64_t max_stale_ms;
    int64_t if_error_ms; /* stale-if-error, RFC 5861 4 */
};

/*
 * Reads directives off a head; honours: client_cache_control = honour.
 * The two credentials are the route's to say, and left false.
 */
void reuse_read_request(
    const struct head *request, bool honours, struct reuse_request *out);

enum reuse {
    REUSE_FRESH,       /* answer from it */
    REUSE_STALE,       /* answer from it; the client asked for it so */
    REUSE_BACKGROUND,  /* answer from it, and renew it meanwhile */
    REUSE_VALIDATE,    /* stale, or never without: Cache-Status fwd=stale */
    REUSE_REQUEST,     /* fresh, but the request wants more: fwd=request */
    REUSE_MISS,        /* not for this request */
    REUSE_UNAVAILABLE, /* only-if-cached, and not usable: 504 */
};

enum reuse reuse_decide(const struct reuse_stored *stored,
    const struct reuse_request *request, int64_t now_ms);

/*
 * The origin failed (no answer, or 500, 502, 503, 504): may the stored
 * response stand in (RFC 9111 4.2.4, 4.3.3; RFC 5861 4)? False also where
 * must-revalidate and its like forbid it, which makes an error: 504.
 */
bool reuse_is_allowed_on_error(const struct reuse_stored *stored,
    const struct reuse_request *request, int64_t now_ms);

/* current_age (RFC 9111 4.2.3) in whole seconds, never negative. */
static inline int64_t
reuse_age_s(const struct reuse_stored *stored, int64_t now_ms)
{
    int64_t age_ms = now_ms - stored->created_ms;

    return age_ms < 0 ? 0 : age_ms / 1000;
}

#endif
