/*
 * May a stored response be used now (RFC 9111 4)? Law: no window of a client,
 * a route or RFC 5861 allows what the origin forbids (must-revalidate,
 * proxy-revalidate, s-maxage, no-cache). s-maxage alone may give way, and only
 * to the origin's own windows beside it. A client can only ask for less than
 * is allowed, but for max-stale.
 */
#include "nearside/http/reuse.h"

static int64_t
ms_of(int64_t delta_s)
{
    return delta_s == DELTA_ABSENT ? -1 : delta_s * 1000;
}

static int64_t
window_of(int64_t delta_s)
{
    return delta_s == DELTA_ABSENT ? 0 : delta_s * 1000;
}

void
reuse_read_stored(const struct cache_control *cc, bool beside_s_maxage,
    struct reuse_stored *out)
{
    bool is_forbidden = cc->must_revalidate || cc->proxy_revalidate;

    out->while_ms = window_of(cc->stale_while_revalidate);
    out->if_error_ms = window_of(cc->stale_if_error);
    out->must_validate = cc->no_cache;
    out->never_stale = is_forbidden || cc->s_maxage != DELTA_ABSENT;
    out->has_windows = out->never_stale && !is_forbidden && beside_s_maxage &&
                       (out->while_ms > 0 || out->if_error_ms > 0);
    out->is_shareable = cc->public_ || cc->s_maxage != DELTA_ABSENT;
    out->is_authorized = out->is_shareable || cc->must_revalidate;
    out->is_immutable = cc->immutable;
}

void
reuse_read_request(
    const struct head *request, bool honours, struct reuse_request *out)
{
    struct cache_control cc;

    *out = (struct reuse_request){
        .is_honoured = honours,
        .max_age_ms = -1,
        .min_fresh_ms = -1,
        .max_stale_ms = -1,
        .if_error_ms = -1,
    };
    if (!head_has(request, FIELD_CACHE_CONTROL)) {
        /* Pragma counts where there is no Cache-Control (RFC 9111 5.4). */
        out->no_cache =
            honours && head_lists(request, FIELD_PRAGMA, SLICE("no-cache"));
        return;
    }
    cache_control_parse(request, FIELD_CACHE_CONTROL, &cc);
    out->only_if_cached = cc.only_if_cached;
    if (!honours) {
        return;
    }
    out->no_cache = cc.no_cache;
    out->max_age_ms = ms_of(cc.max_age);
    out->min_fresh_ms = ms_of(cc.min_fresh);
    out->max_stale_ms = ms_of(cc.max_stale);
    out->if_error_ms = ms_of(cc.stale_if_error);
}

/* May this requester have it at all (RFC 9111 3.5)? */
static bool
is_for(const struct reuse_stored *stored, const struct reuse_request *request)
{
    if (request->has_credentials && !stored->is_shareable) {
        return false;
    }
    return !request->has_authorization || stored->is_authorized;
}

/* Is the staleness within the window? now_ms is at or behind its start. */
static bool
is_within(const struct reuse_stored *stored, int64_t window_ms, int64_t now_ms)
{
    return now_ms - stored->fresh_until_ms < window_ms;
}

/* In whole seconds, as clients count: "no more than". */
static bool
exceeds_max_age(const struct reuse_stored *stored,
    const struct reuse_request *request, int64_t now_ms)
{
    return request->max_age_ms >= 0 &&
           reuse_age_s(stored, now_ms) * 1000 > request->max_age_ms;
}

static enum reuse
decide_fresh(const struct reuse_stored *stored,
    const struct reuse_request *request, int64_t now_ms)
{
    int64_t left_ms = stored->fresh_until_ms - now_ms;

    if (!request->is_honoured) {
        return REUSE_FRESH;
    }
    if (request->no_cache) {
        return REUSE_REQUEST;
    }
    /* A reload says max-age=0, which "immutable" is there to spare the origin
       (RFC 8246 2.1). A forced reload says no-cache. */
    if (exceeds_max_age(stored, request, now_ms) && !stored->is_immutable) {
        return REUSE_REQUEST;
    }
    return request->min_fresh_ms >= 0 && left_ms < request->min_fresh_ms
               ? REUSE_REQUEST
               : REUSE_FRESH;
}

static enum reuse
decide_stale(const struct reuse_stored *stored,
    const struct reuse_request *request, int64_t now_ms)
{
    bool is_wanted = !request->is_honoured ||
                     (!request->no_cache && request->min_fresh_ms < 0 &&
                         !exceeds_max_age(stored, request, now_ms));

    if ((stored->never_stale && !stored->has_windows) || !is_wanted) {
        return REUSE_VALIDATE;
    }
    if (request->is_honoured && !stored->never_stale &&
        now_ms - stored->fresh_until_ms <= request->max_stale_ms) {
        return REUSE_STALE;
    }
    /* max-age without max-stale wants nothing stale (RFC 9111 5.2.1.1). */
    if (request->is_honoured && request->max_age_ms >= 0) {
        return REUSE_VALIDATE;
    }
    return is_within(stored, stored->while_ms, now_ms) ? REUSE_BACKGROUND
                                                       : REUSE_VALIDATE;
}

enum reuse
reuse_decide(const struct reuse_stored *stored,
    const struct reuse_request *request, int64_t now_ms)
{
    enum reuse verdict;

    if (!is_for(stored, request)) {
        verdict = REUSE_MISS;
    } else if (stored->must_validate) {
        verdict = REUSE_VALIDATE;
    } else if (now_ms < stored->fresh_until_ms) {
        verdict = decide_fresh(stored, request, now_ms);
    } else {
        verdict = decide_stale(stored, request, now_ms);
    }
    if (request->only_if_cached &&
        (verdict == REUSE_MISS || verdict == REUSE_VALIDATE ||
            verdict == REUSE_REQUEST)) {
        return REUSE_UNAVAILABLE;
    }
    return verdict;
}

static int64_t
larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t
reuse_window_ms(const struct reuse_stored *stored)
{
    int64_t own_ms = larger(stored->while_ms, stored->if_error_ms);

    if (stored->never_stale) {
        return stored->has_windows ? own_ms : 0;
    }
    return larger(own_ms, stored->grace_ms);
}

bool
reuse_is_allowed_on_error(const struct reuse_stored *stored,
    const struct reuse_request *request, int64_t now_ms)
{
    int64_t window_ms = reuse_window_ms(stored);

    if (stored->must_validate || request->no_cache ||
        !is_for(stored, request)) {
        return false;
    }
    if (now_ms < stored->fresh_until_ms) {
        return true;
    }
    if (request->is_honoured && !stored->never_stale) {
        window_ms = larger(window_ms, request->if_error_ms);
    }
    return is_within(stored, window_ms, now_ms);
}
