/*
 * What is stored and for how long (RFC 9111 3, 4.2), on the safe side of
 * what the RFC allows: see the route options that loosen it.
 */
#include "proxy/policy.h"

#include "nearside/base/check.h"
#include "nearside/http/cache_control.h"
#include "nearside/http/fresh.h"
#include "nearside/http/uri.h"

bool
policy_is_safe(enum method method)
{
    return method == METHOD_GET || method == METHOD_HEAD ||
           method == METHOD_OPTIONS || method == METHOD_TRACE;
}

bool
policy_is_idempotent(enum method method)
{
    return policy_is_safe(method) || method == METHOD_PUT ||
           method == METHOD_DELETE;
}

static bool
is_named(const struct route *route, struct slice name)
{
    for (size_t i = 0; i < route->credential_fields_len; i++) {
        if (route->credential_fields[i].len == name.len &&
            slice_ieq(route->credential_fields[i], name)) {
            return true;
        }
    }
    return false;
}

static bool
carries_named(const struct route *route, const struct head *head)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (is_named(route, head->fields[i].name)) {
            return true;
        }
    }
    return false;
}

/* One kind of credential that the request does carry. */
static void
read_credential(
    enum route_credential how, const char *name, struct policy_request *out)
{
    if (how == ROUTE_CREDENTIAL_BYPASS) {
        out->bypass = name;
    }
    if (how == ROUTE_CREDENTIAL_AUTO) {
        out->has_credentials = true;
        out->credential = name;
    }
}

void
policy_read(const struct route *route, const struct head *head, bool has_body,
    struct policy_request *out)
{
    struct cache_control cc;

    MUST(route != NULL);
    *out = (struct policy_request){0};
    if (route->read == ROUTE_READ_PASS) {
        out->bypass = "route";
    } else if (has_body) {
        out->bypass = "body";
    } else if (head_has(head, FIELD_RANGE)) {
        out->bypass = "range";
    } else if (head_has(head, FIELD_IF_MATCH) ||
               head_has(head, FIELD_IF_UNMODIFIED_SINCE)) {
        out->bypass = "condition";
    } else if (uri_is_ambiguous(head->target)) {
        out->bypass = "target";
    }
    if (head_has(head, FIELD_COOKIE)) {
        read_credential(route->cookie, "cookie", out);
    }
    if (head_has(head, FIELD_AUTHORIZATION)) {
        read_credential(route->authorization, "authorization", out);
    }
    if (route->credential_fields_len > 0 && carries_named(route, head)) {
        read_credential(ROUTE_CREDENTIAL_AUTO, "credential", out);
    }
    if (head_has(head, FIELD_CACHE_CONTROL)) {
        cache_control_parse(head, FIELD_CACHE_CONTROL, &cc);
        out->is_only_if_cached = cc.only_if_cached;
    }
}

/* Statuses that are stored when the origin states their freshness. */
static bool
is_storable_status(unsigned status)
{
    switch (status) {
    case 200:
    case 203:
    case 204:
    case 300:
    case 301:
    case 308:
    case 404:
    case 410:
        return true;
    default:
        return false;
    }
}

/* Statuses that a route's ttl applies to: errors need the origin's word. */
static bool
is_ttl_status(unsigned status)
{
    return status == 200 || status == 203 || status == 204 || status == 301 ||
           status == 308;
}

/* Reasons not to store that lie in the response alone. */
static const char *
refusal_of(const struct route *route, const struct head *response,
    const struct cache_control *cc)
{
    if (response->framing == FRAMING_CLOSE) {
        return "close-delimited";
    }
    if (cc->no_store) {
        return "no-store";
    }
    if (cc->private_) {
        return "private";
    }
    if (cc->no_cache) {
        return "no-cache";
    }
    if (!is_storable_status(response->status)) {
        return "status";
    }
    if (head_has(response, FIELD_CONTENT_RANGE)) {
        return "range";
    }
    if (head_has(response, FIELD_VARY)) {
        return "vary";
    }
    if (head_has(response, FIELD_SET_COOKIE) &&
        route->set_cookie == ROUTE_SET_COOKIE_BYPASS) {
        return "set-cookie";
    }
    return NULL;
}

static int64_t
clamp_ttl(const struct route *route, int64_t ttl_ms)
{
    if (ttl_ms < route->ttl_min_ms) {
        ttl_ms = route->ttl_min_ms;
    }
    if (route->ttl_max_ms > 0 && ttl_ms > route->ttl_max_ms) {
        ttl_ms = route->ttl_max_ms;
    }
    return ttl_ms;
}

/* A route's ttl less up to its jitter, so that what was filled together does
   not end together. */
static int64_t
route_ttl(const struct route *route, uint64_t jitter)
{
    int64_t spread = route->ttl_ms / 100 * route->ttl_jitter_percent;

    return spread <= 0 ? route->ttl_ms
                       : route->ttl_ms - (int64_t)(jitter % (uint64_t)spread);
}

/* How long from now, or 0: not at all (with *why). */
static int64_t
ttl_of(const struct route *route, const struct policy_request *request,
    const struct head *response, const struct fresh *fresh, uint64_t jitter,
    const char **why)
{
    bool is_stated = fresh->source != FRESH_NONE && !route->ttl_force;

    if (!is_stated && request->has_credentials) {
        *why = request->credential;
        return 0;
    }
    if (!is_stated && !is_ttl_status(response->status)) {
        *why = "status";
        return 0;
    }
    *why = "stale";
    if (is_stated) {
        int64_t left_s = fresh->lifetime_s - fresh->initial_age_s;
        return clamp_ttl(route, left_s > 0 ? left_s * 1000 : 0);
    }
    /* No freshness at all has no bounds. */
    return route->ttl_ms <= 0 ? 0 : clamp_ttl(route, route_ttl(route, jitter));
}

void
policy_store(const struct route *route, const struct policy_request *request,
    const struct head *response, int64_t request_ms, int64_t response_ms,
    uint64_t jitter, struct policy_verdict *out)
{
    struct cache_control cc;
    struct fresh fresh;
    int64_t ttl_ms;

    *out = (struct policy_verdict){0};
    cache_control_parse(response, FIELD_CACHE_CONTROL, &cc);
    out->is_shareable = cc.public_ || cc.s_maxage != DELTA_ABSENT;
    out->must_revalidate = cc.must_revalidate || cc.proxy_revalidate ||
                           cc.s_maxage != DELTA_ABSENT;
    out->detail = request->bypass != NULL ? request->bypass
                                          : refusal_of(route, response, &cc);
    if (out->detail == NULL && request->has_credentials && !out->is_shareable) {
        out->detail = request->credential;
    }
    if (out->detail != NULL) {
        return;
    }
    fresh_compute(response, &cc, request_ms / 1000, response_ms / 1000, &fresh);
    ttl_ms = ttl_of(route, request, response, &fresh, jitter, &out->detail);
    if (ttl_ms <= 0) {
        return;
    }
    out->detail = NULL;
    out->is_storable = true;
    out->drops_set_cookie = route->set_cookie == ROUTE_SET_COOKIE_STRIP;
    out->created_ms = response_ms - fresh.initial_age_s * 1000;
    out->fresh_until_ms = response_ms + ttl_ms;
    out->stale_until_ms = out->fresh_until_ms + route->grace_ms;
}
