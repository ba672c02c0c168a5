/*
 * Lays a route's options over the rules of RFC 9111: what may be answered, what
 * may be stored, and for how long. A response's own word on its freshness comes
 * first, then the route's ttl, then a guess by Last-Modified. With ttl_force
 * the route's ttl comes first.
 */
#include "nearside/rules/policy.h"

#include "nearside/base/check.h"
#include "nearside/http/uri.h"

bool
policy_is_idempotent(enum method method)
{
    return method_is_safe(method) || method == METHOD_PUT ||
           method == METHOD_DELETE;
}

/* --- requests ---------------------------------------------------------- */

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

/* One kind of credential that the request does carry. True: it counts. */
static bool
read_credential(
    enum route_credential how, const char *name, struct policy_request *out)
{
    if (how == ROUTE_CREDENTIAL_BYPASS) {
        out->bypass = name;
    }
    if (how == ROUTE_CREDENTIAL_AUTO) {
        out->credential = name;
    }
    return how == ROUTE_CREDENTIAL_AUTO;
}

static void
read_credentials(const struct route *route, const struct head *head,
    struct policy_request *out)
{
    bool has_other = false;
    bool has_authorization = false;

    if (head_has(head, FIELD_COOKIE)) {
        has_other = read_credential(route->cookie, "cookie", out);
    }
    if (route->credential_fields_len > 0 && carries_named(route, head)) {
        has_other = read_credential(ROUTE_CREDENTIAL_AUTO, "credential", out);
    }
    if (head_has(head, FIELD_AUTHORIZATION)) {
        has_authorization =
            read_credential(route->authorization, "authorization", out);
    }
    out->storable.has_credentials = has_other;
    out->storable.has_authorization = has_authorization;
    out->reuse.has_credentials = has_other && !route->is_rfc;
    out->reuse.has_authorization = has_authorization;
}

static const char *
bypass_of(const struct route *route, const struct head *head, bool has_body)
{
    if (route->read == ROUTE_READ_PASS) {
        return "route";
    }
    if (has_body) {
        return "body";
    }
    if (head_has(head, FIELD_IF_MATCH) ||
        head_has(head, FIELD_IF_UNMODIFIED_SINCE)) {
        return "condition";
    }
    return uri_is_ambiguous(head->target) ? "target" : NULL;
}

static bool
has_directives(const struct reuse_request *reuse)
{
    return reuse->no_cache || reuse->max_age_ms >= 0 ||
           reuse->min_fresh_ms >= 0 || reuse->max_stale_ms >= 0 ||
           reuse->if_error_ms >= 0;
}

void
policy_read(const struct route *route, const struct head *head, bool has_body,
    struct policy_request *out)
{
    MUST(route != NULL);
    MUST(head->status == 0);
    *out = (struct policy_request){
        .bypass = bypass_of(route, head, has_body),
        .storable = {.method = head->method,
            .host = head->host,
            .target = head->target},
    };
    reuse_read_request(head, route->honours_client, &out->reuse);
    if (route->honours_client && head_has(head, FIELD_CACHE_CONTROL)) {
        struct cache_control cc;
        cache_control_parse(head, FIELD_CACHE_CONTROL, &cc);
        out->storable.no_store = cc.no_store;
    }
    read_credentials(route, head, out);
    out->is_alone = head_has(head, FIELD_RANGE) || out->reuse.only_if_cached ||
                    out->storable.no_store;
    out->has_directives = has_directives(&out->reuse);
    out->is_particular = out->is_alone || out->has_directives;
}

/* --- entries ----------------------------------------------------------- */

/* May a request with Authorization have it? By RFC 9111 3.5 must-revalidate
   allows that too. Few who write it mean that, so it counts only with preset
   rfc. */
static bool
is_authorized(const struct route *route, uint16_t flags)
{
    return (flags & (route->is_rfc ? ENTRY_AUTHORIZED : ENTRY_SHAREABLE)) != 0;
}

bool
policy_may_use(const struct route *route, const struct reuse_request *request,
    uint16_t flags)
{
    MUST(route != NULL);
    MUST(request != NULL);
    return (!request->has_credentials || (flags & ENTRY_SHAREABLE) != 0) &&
           (!request->has_authorization || is_authorized(route, flags));
}

static struct reuse_stored
stored_of(const struct route *route, const struct entry *entry)
{
    MUST(route != NULL);
    MUST_OBJ(entry, ENTRY_MAGIC);
    return (struct reuse_stored){
        .created_ms = entry_created_ms(entry),
        .fresh_until_ms = entry_fresh_until_ms(entry),
        .while_ms = entry_while_ms(entry),
        .if_error_ms = entry_if_error_ms(entry),
        .grace_ms = route->grace_ms,
        .must_validate = (entry->flags & ENTRY_MUST_VALIDATE) != 0,
        .never_stale = (entry->flags & ENTRY_NEVER_STALE) != 0,
        .has_windows = (entry->flags & ENTRY_WINDOWS) != 0,
        .is_shareable = (entry->flags & ENTRY_SHAREABLE) != 0,
        .is_authorized = is_authorized(route, entry->flags),
        .is_immutable = (entry->flags & ENTRY_IMMUTABLE) != 0,
    };
}

static const struct reuse_request anybody = {
    .max_age_ms = -1,
    .min_fresh_ms = -1,
    .max_stale_ms = -1,
    .if_error_ms = -1,
};

/* For nearly all requests and entries nothing else counts in reuse_decide. */
static bool
is_plainly_fresh(const struct entry *entry, const struct reuse_request *request,
    int64_t now_ms)
{
    return now_ms < entry_fresh_until_ms(entry) &&
           (entry->flags & ENTRY_MUST_VALIDATE) == 0 && !request->is_honoured &&
           !request->has_credentials && !request->has_authorization;
}

enum reuse
policy_reuse(const struct route *route, const struct entry *entry,
    const struct reuse_request *request, int64_t now_ms)
{
    struct reuse_stored stored;

    MUST_OBJ(entry, ENTRY_MAGIC);
    MUST((entry->flags & (ENTRY_HIT_FOR_MISS | ENTRY_VARY_RECORD)) == 0);
    request = request == NULL ? &anybody : request;
    if (is_plainly_fresh(entry, request, now_ms)) {
        return REUSE_FRESH;
    }
    stored = stored_of(route, entry);
    return reuse_decide(&stored, request, now_ms);
}

bool
policy_allows_on_error(const struct route *route, const struct entry *entry,
    const struct reuse_request *request, int64_t now_ms)
{
    struct reuse_stored stored = stored_of(route, entry);

    return (entry->flags & (ENTRY_HIT_FOR_MISS | ENTRY_VARY_RECORD |
                               ENTRY_UNVERIFIED)) == 0 &&
           reuse_is_allowed_on_error(
               &stored, request == NULL ? &anybody : request, now_ms);
}

bool
policy_bears_outdated(const struct route *route, const struct entry *entry)
{
    struct reuse_stored stored = stored_of(route, entry);

    MUST_OBJ(entry, ENTRY_MAGIC);
    return reuse_window_ms(&stored) > 0;
}

bool
policy_forbids_stale(const struct entry *entry)
{
    MUST_OBJ(entry, ENTRY_MAGIC);
    return (entry->flags & (ENTRY_NEVER_STALE | ENTRY_MUST_VALIDATE |
                               ENTRY_UNVERIFIED)) != 0;
}

bool
policy_is_failure(unsigned status)
{
    return status == 500 || status == 502 || status == 503 || status == 504;
}

/* 404, 405, 409, 410, 423, 424 and 451 speak of the target; the others of how
   it was asked for, or by whom. */
bool
policy_is_about_request(unsigned status)
{
    return status >= 400 && status < 500 && status != 404 && status != 405 &&
           status != 409 && status != 410 && status != 423 && status != 424 &&
           status != 451;
}

/* --- responses --------------------------------------------------------- */

static struct storable_opts
opts_of(const struct route *route)
{
    return (struct storable_opts){
        .is_rfc = route->is_rfc,
        .set_cookie = route->set_cookie != ROUTE_SET_COOKIE_BYPASS,
        .honours_request = route->honours_client,
        .ttl_min_ms = route->ttl_min_ms,
        .grace_ms = route->grace_ms,
    };
}

/* A negative ttl_ms is that of a response that was over before it came. */
static int64_t
clamp_ttl(const struct route *route, int64_t ttl_ms)
{
    if (route->ttl_min_ms > 0 && ttl_ms < route->ttl_min_ms) {
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
spread(const struct route *route, int64_t ttl_ms, uint64_t jitter)
{
    int64_t most_ms = ttl_ms / 100 * route->ttl_jitter_percent;

    MUST(route->ttl_jitter_percent <= 100);
    return most_ms <= 0 ? ttl_ms
                        : ttl_ms - (int64_t)(jitter % (uint64_t)most_ms);
}

/* What the route says of that very status; NULL: nothing. */
static const struct route_status_ttl *
status_ttl_of(const struct route *route, unsigned status)
{
    for (size_t i = 0; i < route->status_ttls_len; i++) {
        if (route->status_ttls[i].status == status) {
            return &route->status_ttls[i];
        }
    }
    return NULL;
}

/* The lifetime that the route gives to a response whose origin states none. An
   error gets only its own status's. */
static int64_t
route_ttl_ms(const struct route *route, unsigned status)
{
    const struct route_status_ttl *given = status_ttl_of(route, status);

    return given != NULL ? given->ttl_ms : status < 400 ? route->ttl_ms : 0;
}

/* The same, but a request with credentials gets none. */
static int64_t
given_ttl_ms(const struct route *route, const struct policy_request *request,
    unsigned status)
{
    return request->credential != NULL ? 0 : route_ttl_ms(route, status);
}

static int64_t
ttl_of(const struct route *route, int64_t given_ms, const struct fresh *fresh,
    uint64_t jitter)
{
    if (fresh->source == FRESH_NONE && given_ms > 0) {
        return clamp_ttl(route, spread(route, given_ms, jitter));
    }
    if (fresh->source == FRESH_NONE) {
        return -fresh->initial_age_s * 1000;
    }
    return clamp_ttl(route, (fresh->lifetime_s - fresh->initial_age_s) * 1000);
}

/* What the response says of its freshness, as far as the route listens. */
static void
read_fresh(const struct route *route, const struct head *response,
    const struct policy_times *times, struct cache_control *cc,
    struct fresh *fresh)
{
    const struct targeted_list list = {route->targeted, route->targeted_len};
    const struct fresh_times when = {times->request_ms, times->response_ms};
    const struct fresh_opts opts = {
        .ignores_expires = targeted_read(response, &list, cc),
        .heuristic = route->heuristic && route->ttl_ms == 0 &&
                     status_ttl_of(route, response->status) == NULL,
        .is_rfc = route->is_rfc,
    };

    fresh_compute(response, cc, &when, &opts, fresh);
    if (route->ttl_force != ROUTE_TTL_FORCE_OFF) {
        fresh->source = FRESH_NONE;
    }
}

/* With ttl_force = all the route's word goes before all that the origin says
   against storing, but where the answer is somebody's own. */
static void
overrule(const struct route *route, const struct policy_request *request,
    const struct head *response, struct cache_control *cc)
{
    if (route->ttl_force == ROUTE_TTL_FORCE_ALL &&
        request->credential == NULL && !head_has(response, FIELD_SET_COOKIE)) {
        cc->no_cache = false;
        cc->no_store = false;
        cc->private_ = false;
    }
}

struct targeted_list
policy_withheld(const struct route *route)
{
    MUST(route != NULL);
    return route->passes_targeted
               ? (struct targeted_list){NULL, 0}
               : (struct targeted_list){route->targeted, route->targeted_len};
}

struct vary_list
policy_vary_on(const struct route *route)
{
    MUST(route != NULL);
    MUST(route->vary_on_len <= VARY_LIST_MAX);
    return (struct vary_list){route->vary_on, route->vary_on_len};
}

/* By what the response varies, or else why it cannot be stored. */
static enum rc
read_vary(
    const struct route *route, const struct head *response, struct vary *out)
{
    /* What the route keys varies by it anyway. */
    const struct vary_opts opts = {
        .allows_cookie =
            route->varies_by_any || route->cookie == ROUTE_CREDENTIAL_KEY,
        .allows_authorization = route->varies_by_any ||
                                route->authorization == ROUTE_CREDENTIAL_KEY,
        .allows_user_agent = route->varies_by_any,
    };
    const struct vary_list list = policy_vary_on(route);
    enum rc rc = vary_read(response, &opts, out);

    return rc == RC_OK && list.count > 0 ? vary_add(out, &list) : rc;
}

static uint16_t
flags_of(const struct reuse_stored *stored, const struct cache_control *cc)
{
    unsigned flags = 0;

    flags |= stored->is_shareable ? ENTRY_SHAREABLE : 0;
    flags |= stored->is_authorized ? ENTRY_AUTHORIZED : 0;
    flags |= stored->never_stale ? ENTRY_NEVER_STALE : 0;
    flags |= stored->has_windows ? ENTRY_WINDOWS : 0;
    flags |= cc->no_cache ? ENTRY_MUST_VALIDATE : 0;
    flags |= stored->is_immutable ? ENTRY_IMMUTABLE : 0;
    return (uint16_t)flags;
}

static uint32_t
window_ms(int64_t ms)
{
    return ms <= 0 ? 0 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static int64_t
larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* How long past its receipt an entry is kept to be validated, to be updated
   by the answer to a HEAD, or for a client's max-stale. */
static int64_t
kept_ms(const struct route *route, const struct head *response)
{
    return route->honours_client || head_has(response, FIELD_ETAG) ||
                   head_has(response, FIELD_LAST_MODIFIED)
               ? route->keep_ms
               : 0;
}

/* The stale windows begin where freshness ends (RFC 5861 3, 4), which may be
   before the response came. keep_ms counts from its receipt, if that is later.
 */
static int64_t
stale_until_ms(const struct route *route, const struct head *response,
    const struct reuse_stored *stored, int64_t fresh_until_ms,
    int64_t response_ms)
{
    int64_t window = larger(stored->while_ms, stored->if_error_ms);

    return larger(fresh_until_ms + larger(window, route->grace_ms),
        larger(fresh_until_ms, response_ms) + kept_ms(route, response));
}

/* YES, or why not after all. */
static enum storable
fill_verdict(const struct route *route, const struct policy_request *request,
    const struct storable_response *response, const struct policy_times *times,
    struct policy_verdict *out)
{
    const struct storable_opts opts = opts_of(route);
    const struct cache_control *cc = response->cc;
    const struct fresh *fresh = response->fresh;
    int64_t given_ms = given_ttl_ms(route, request, response->head->status);
    struct reuse_stored stored = {0};

    reuse_read_stored(
        cc, storable_has_windows(&opts, &request->storable, cc), &stored);
    out->is_storable = true;
    out->drops_set_cookie = route->set_cookie == ROUTE_SET_COOKIE_STRIP;
    out->flags = flags_of(&stored, cc);
    out->while_ms = window_ms(stored.while_ms);
    out->if_error_ms = window_ms(stored.if_error_ms);
    out->received_ms = times->response_ms;
    out->created_ms = times->response_ms - fresh->initial_age_s * 1000;
    out->fresh_until_ms =
        times->response_ms + ttl_of(route, given_ms, fresh, times->jitter);
    out->stale_until_ms = stale_until_ms(route, response->head, &stored,
        out->fresh_until_ms, times->response_ms);
    MUST(out->stale_until_ms >= out->fresh_until_ms);
    if (out->stale_until_ms <= times->response_ms) {
        out->is_storable = false;
        return STORABLE_STALE;
    }
    return STORABLE_YES;
}

/* Is it for its credentials that the response is not stored? Also one that is
   over at once because the route's lifetime is not for them. */
static bool
is_personal(const struct route *route, const struct policy_request *request,
    const struct storable_response *response, enum storable verdict)
{
    return verdict == STORABLE_CREDENTIALS ||
           verdict == STORABLE_AUTHORIZATION ||
           ((verdict == STORABLE_UNSTATED || verdict == STORABLE_STALE) &&
               request->credential != NULL &&
               response->fresh->source == FRESH_NONE &&
               route_ttl_ms(route, response->head->status) > 0);
}

void
policy_store(const struct route *route, const struct policy_request *request,
    const struct head *response, const struct policy_times *times,
    struct policy_verdict *out)
{
    const struct storable_opts opts = opts_of(route);
    struct cache_control cc;
    struct fresh fresh;
    struct storable_response r = {.head = response, .cc = &cc, .fresh = &fresh};
    enum storable verdict;

    MUST(route != NULL);
    MUST(request != NULL);
    MUST(response->status != 0);
    *out = (struct policy_verdict){.detail = request->bypass};
    if (request->bypass != NULL) {
        return;
    }
    read_fresh(route, response, times, &cc, &fresh);
    overrule(route, request, response, &cc);
    r.vary = read_vary(route, response, &out->vary);
    r.has_ttl = given_ttl_ms(route, request, response->status) > 0;
    r.has_status_ttl =
        r.has_ttl && status_ttl_of(route, response->status) != NULL;
    verdict = storable_decide(&opts, &request->storable, &r);
    if (verdict == STORABLE_YES) {
        verdict = fill_verdict(route, request, &r, times, out);
    }
    if (verdict == STORABLE_YES) {
        return;
    }
    out->is_personal = is_personal(route, request, &r, verdict);
    out->detail =
        out->is_personal ? request->credential : storable_detail(verdict);
}
