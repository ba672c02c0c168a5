/*
 * May a response be stored (RFC 9111 3)? Laws: no opts lift a MUST NOT. A part
 * (206, 416) or the answer to a condition (304, 412) is never stored: the
 * request made it so, and the key does not show that. What opts leave out by
 * default is what a poisoner of caches needs: answers to requests that only an
 * attacker sends, or that differ by what the key leaves out.
 */
#include "nearside/http/storable.h"

#include "http/known.h"
#include "nearside/base/check.h"
#include "nearside/http/reuse.h"
#include "nearside/http/uri.h"

static const char *const tokens[] = {
#define STORABLE(name, token) [STORABLE_##name] = token,
#include "nearside/http/storable.def"
#undef STORABLE
};

const char *
storable_detail(enum storable verdict)
{
    MUST((unsigned)verdict < ARRAY_LEN(tokens));
    return tokens[verdict];
}

const char *
storable_detail_of(struct slice token)
{
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
        if (tokens[i] != NULL && slice_eq(slice_of_str(tokens[i]), token)) {
            return tokens[i];
        }
    }
    return NULL;
}

/* --- the method (RFC 9110 9.3.1, 9.3.3) ---------------------------------- */

/* Is it the target URI: written whole, or as its path and query? */
static bool
is_target_uri(struct slice uri, const struct storable_request *request)
{
    struct slice rest = uri, scheme, authority;

    if (slice_eq(uri, request->target)) {
        return true;
    }
    if (!uri_take_scheme(&rest, &scheme) ||
        !slice_eq(scheme, request->scheme) || rest.len < request->target.len) {
        return false;
    }
    authority = slice_of(rest.ptr, rest.len - request->target.len);
    return slice_eq(slice_skip(rest, authority.len), request->target) &&
           uri_is_same_authority(authority, request->host, scheme);
}

/* A POST is stored as what a GET of its target would have given. */
static bool
is_post_storable(const struct storable_request *request,
    const struct storable_response *response)
{
    const struct field *f = head_find(response->head, FIELD_CONTENT_LOCATION);

    return response->head->status == 200 &&
           response->fresh->source == FRESH_STATED && f != NULL &&
           head_find_next(response->head, f) == NULL &&
           is_target_uri(f->value, request);
}

static bool
is_method_storable(const struct storable_request *request,
    const struct storable_response *response)
{
    return request->method == METHOD_GET ||
           (request->method == METHOD_POST &&
               is_post_storable(request, response));
}

/* --- the status ---------------------------------------------------------- */

/* Where an origin's word is enough. The others depend on the request, or are
   over when the trouble is. */
static bool
is_safe_status(unsigned status)
{
    return fresh_is_heuristic(status, false) || status == 404 || status == 410;
}

/* Statuses whose caching we know all about (RFC 9110 15). */
static bool
is_understood(unsigned status)
{
    return fresh_is_heuristic(status, true) ||
           (status >= 201 && status <= 205) ||
           (status >= 302 && status <= 307 && status != 304 && status != 306) ||
           (status >= 400 && status <= 417) || status == 421 || status == 422 ||
           status == 426 || (status >= 500 && status <= 505);
}

/* Does anything say that it may be stored, and for how long (last of 3)? */
static enum storable
judge_status(
    const struct storable_opts *opts, const struct storable_response *response)
{
    unsigned status = response->head->status;
    enum fresh_source source = response->fresh->source;

    if (source == FRESH_NONE && response->has_status_ttl) {
        return STORABLE_YES;
    }
    if (!opts->is_rfc && !is_safe_status(status)) {
        return STORABLE_STATUS;
    }
    /* An error without a lifetime of its origin's is not kept: neither
       "public" nor a route's ttl makes it last. */
    return source != FRESH_NONE || fresh_is_heuristic(status, opts->is_rfc)
               ? STORABLE_YES
               : STORABLE_STATUS;
}

/* --- the directives ------------------------------------------------------ */

/* must-understand lifts no-store where it is understood (5.2.2.3). */
static enum storable
judge_directives(const struct cache_control *cc, unsigned status)
{
    if (cc->must_understand && !is_understood(status)) {
        return STORABLE_NOT_UNDERSTOOD;
    }
    if (cc->no_store && !cc->must_understand) {
        return STORABLE_NO_STORE;
    }
    return cc->private_ ? STORABLE_PRIVATE : STORABLE_YES;
}

static enum storable
judge_credentials(const struct storable_opts *opts,
    const struct storable_request *request, const struct cache_control *cc)
{
    bool is_shareable = cc->public_ || cc->s_maxage != DELTA_ABSENT;

    if (request->has_authorization && !is_shareable &&
        !(cc->must_revalidate && opts->is_rfc)) {
        return STORABLE_AUTHORIZATION;
    }
    if (request->has_credentials && !opts->is_rfc && !is_shareable) {
        return STORABLE_CREDENTIALS;
    }
    return STORABLE_YES;
}

static enum storable
judge_message(const struct storable_opts *opts,
    const struct storable_request *request,
    const struct storable_response *response)
{
    const struct head *head = response->head;

    if (head->status < 200) {
        return STORABLE_INTERIM;
    }
    /* Content-Range means nothing beside another status (RFC 9110 14.4); but
       whoever says it may have sent a part all the same. */
    if (head->status == 206 || head->status == 416 ||
        (head_has(head, FIELD_CONTENT_RANGE) && !opts->is_rfc)) {
        return STORABLE_PARTIAL;
    }
    if (head->status == 304 || head->status == 412) {
        return STORABLE_CONDITION;
    }
    if (!is_method_storable(request, response)) {
        return STORABLE_METHOD;
    }
    if (head->framing == FRAMING_CLOSE) {
        return STORABLE_FRAMING;
    }
    return request->no_store && opts->honours_request ? STORABLE_REQUEST
                                                      : STORABLE_YES;
}

/* --- is it of any use? --------------------------------------------------- */

bool
storable_has_windows(const struct storable_opts *opts,
    const struct storable_request *request, const struct cache_control *cc)
{
    return !opts->is_rfc && (!request->has_authorization || cc->public_);
}

/* Fresh, if only by the route's word, or within a window that nothing forbids?
   Of a malformed Age nobody knows where a window ends. */
static bool
is_usable_now(const struct storable_opts *opts,
    const struct storable_request *request,
    const struct storable_response *response)
{
    const struct fresh *fresh = response->fresh;
    int64_t left_ms = (fresh->lifetime_s - fresh->initial_age_s) * 1000;
    struct reuse_stored stored = {.grace_ms = opts->grace_ms};

    if (opts->ttl_min_ms > 0 && opts->ttl_min_ms > left_ms) {
        left_ms = opts->ttl_min_ms;
    }
    if (left_ms > 0 || fresh->source == FRESH_BAD_AGE) {
        return fresh->source != FRESH_BAD_AGE || opts->ttl_min_ms > 0;
    }
    reuse_read_stored(response->cc,
        storable_has_windows(opts, request, response->cc), &stored);
    return left_ms + reuse_window_ms(&stored) > 0;
}

/* A lifetime of the route's: not for those that carry credentials. */
static bool
is_given(const struct storable_opts *opts,
    const struct storable_request *request,
    const struct storable_response *response)
{
    if (request->has_authorization ||
        (request->has_credentials && !opts->is_rfc)) {
        return false;
    }
    return response->has_status_ttl ||
           (response->has_ttl && response->head->status < 400);
}

static enum storable
judge_use(const struct storable_opts *opts,
    const struct storable_request *request,
    const struct storable_response *response)
{
    const struct fresh *fresh = response->fresh;

    if (head_has(response->head, FIELD_ETAG) ||
        head_has(response->head, FIELD_LAST_MODIFIED)) {
        return STORABLE_YES; /* each use can be validated */
    }
    if (response->cc->no_cache) {
        return STORABLE_NO_CACHE;
    }
    if (fresh->source == FRESH_NONE) {
        return is_given(opts, request, response) ? STORABLE_YES
                                                 : STORABLE_UNSTATED;
    }
    return is_usable_now(opts, request, response) ? STORABLE_YES
                                                  : STORABLE_STALE;
}

enum storable
storable_decide(const struct storable_opts *opts,
    const struct storable_request *request,
    const struct storable_response *response)
{
    const struct head *head = response->head;
    enum storable verdict = judge_message(opts, request, response);

    if (verdict == STORABLE_YES) {
        verdict = judge_directives(response->cc, head->status);
    }
    if (verdict == STORABLE_YES) {
        verdict = judge_credentials(opts, request, response->cc);
    }
    if (verdict != STORABLE_YES) {
        return verdict;
    }
    if (response->vary != RC_OK) {
        return STORABLE_VARY;
    }
    if (head_has(head, FIELD_SET_COOKIE) && !opts->set_cookie) {
        return STORABLE_SET_COOKIE;
    }
    verdict = judge_status(opts, response);
    return verdict == STORABLE_YES ? judge_use(opts, request, response)
                                   : verdict;
}

bool
storable_has_field(const struct head *response, const struct field *f)
{
    return !field_is_in(f->id, FIELD_BIT(PROXY_AUTHENTICATION_INFO) |
                                   FIELD_BIT(CONTENT_LENGTH) |
                                   FIELD_BIT(AGE)) &&
           !head_is_hop_by_hop(response, f);
}
