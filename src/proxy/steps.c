/*
 * The steps of a request.
 *
 *   receive -> route -+-> key -+-> flight ------+-> deliver_entry
 *                     |        |   (parked)     +-> deliver_fill
 *                     |        +-> lookup ------+-> forward
 *                     |        |   (parked)
 *                     |        +-> claim -> forward
 *                     |            (parked)
 *                     +-> forward -+-> deliver_fill, deliver_entry
 *                         (parked) +-> invalidate -> deliver_fill
 *                                      (parked)
 *
 * flight is the common read; lookup is one that first asks for itself: HEAD,
 * Range, and requests whose directives count. What only it may have is
 * fetched by forward, all else by a flight. claim is a POST's whose answer
 * may be stored. Any step may end in deliver_error. A parked step has armed
 * just one wake-up, whose callback names the step that goes on.
 *
 * Here are the first three; the others are in files of their names.
 */
#include "proxy/steps.h"

#include "nearside/http/uri.h"
#include "proxy/claim.h"
#include "proxy/options.h"

/* --- receive, route ---------------------------------------------------- */

static bool
is_host_allowed(const struct proxy_conf *conf, struct slice host)
{
    for (size_t i = 0; i < conf->opts.hosts_len; i++) {
        if (route_host_matches(slice_of_str(conf->opts.hosts[i]), host)) {
            return true;
        }
    }
    return conf->opts.hosts_len == 0;
}

/* Host and target, as they are found and as they are sent. RC_NOMEM. */
static enum rc
read_target(struct request *r)
{
    char *host = arena_alloc(&r->arena, r->head->host.len + 1);

    if (host == NULL) {
        return RC_NOMEM;
    }
    r->host = slice_of(
        host, uri_authority_normalise(r->head->host, r->client.scheme, host));
    r->sent_host = uri_is_absolute_name(r->head->host) ? r->head->host : r->host;
    r->target = r->head->target;
    return keys_normalise(&r->arena, r->target, &r->normal);
}

static const struct step *
run_receive(struct request *r)
{
    const struct limits *limits = &r->conf->limits;

    if (r->head->framing == FRAMING_LENGTH && limits->body_max > 0 &&
        r->head->content_length > limits->body_max) {
        worker_count_limit(r->worker, LIMIT_BODY_MAX);
        return request_fail(r, 413, "body_max");
    }
    request_find_client(r);
    if (read_target(r) != RC_OK) {
        return request_fail(r, 503, "memory");
    }
    if (!is_host_allowed(r->conf, r->host)) {
        return request_fail(r, 421, "host");
    }
    return &step_route;
}

/* It is sent as it came; its success is news to those who read its target,
   by whichever route they do. */
static const struct step *
route_write(struct request *r)
{
    r->result = RESULT_WRITE;
    r->fwd = CACHE_FWD_METHOD;
    r->reads = request_read_route(r, r->normal);
    if (r->reads == NULL ||
        (r->route_opts != NULL && r->route_opts->write == ROUTE_WRITE_PASS)) {
        return &step_forward;
    }
    return &step_key;
}

static const struct step *
route_read(struct request *r)
{
    r->reads = r->route_opts;
    policy_read(r->route_opts, r->head, r->has_body, &r->policy);
    if (r->policy.bypass != NULL) {
        r->result = RESULT_BYPASS;
        r->fwd = CACHE_FWD_BYPASS;
        r->detail = r->policy.bypass;
    }
    return &step_key;
}

static const struct step *
run_route(struct request *r)
{
    const struct proxy_conf_opts *opts = &r->conf->opts;

    r->group = opts->default_group;
    r->route = route_match(opts->routes, opts->routes_len, r->head->method_text,
        r->host, uri_path(r->normal));
    if (r->route >= 0) {
        r->route_opts = &opts->routes[r->route];
        r->group = r->route_opts->group;
        if (!route_allows(r->route_opts, r->head->method_text)) {
            return request_fail(r, 405, "method");
        }
    }
    if (!policy_is_safe(r->head->method)) {
        return route_write(r);
    }
    if (r->head->method == METHOD_OPTIONS) {
        return options_route(r);
    }
    if (r->route < 0) {
        r->result = RESULT_PASS;
        r->fwd = CACHE_FWD_BYPASS;
        r->detail = uri_is_ambiguous(r->head->target) ? "target" : "route";
        reuse_read_request(r->head, false, &r->policy.reuse);
        return request_go_forward(r);
    }
    return route_read(r);
}

/* --- key --------------------------------------------------------------- */

static const struct step *
run_key(struct request *r)
{
    if (request_make_keys(r) != RC_OK) {
        return request_fail(r, 503, "memory");
    }
    if (r->result == RESULT_WRITE) {
        return claim_is_due(r) ? &step_claim : &step_forward;
    }
    if (r->policy.bypass != NULL) {
        return request_go_forward(r);
    }
    r->result = RESULT_MISS;
    r->fwd = CACHE_FWD_URI_MISS;
    if (r->head->method == METHOD_HEAD || r->policy.is_particular ||
        r->policy.is_odd) {
        return &step_lookup;
    }
    return &step_flight;
}

const struct step step_receive = {"receive", run_receive};
const struct step step_route = {"route", run_route};
const struct step step_key = {"key", run_key};
