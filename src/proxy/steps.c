/*
 * The steps of a request.
 *
 *   receive -> route -+-> key -+-> flight ------+-> deliver_entry
 *                     |        |   (parked)     +-> deliver_fill
 *                     |        +-> lookup ------+-> forward
 *                     |            (parked)
 *                     +-> forward -+-> deliver_fill
 *                         (parked) +-> invalidate -> deliver_fill
 *                                      (parked)
 *
 * flight is the common read; lookup is one that would never fetch for
 * others (HEAD, only-if-cached). Any step may end in deliver_error. A
 * parked step has armed just one wake-up, whose callback names the step
 * that goes on.
 */
#include "proxy/request.h"

#include "nearside/http/uri.h"
#include "nearside/memory/codec.h"
#include "proxy/flight_run.h"
#include "proxy/options.h"

/* --- receive, route ---------------------------------------------------- */

static bool
is_host_allowed(const struct proxy *proxy, struct slice host)
{
    for (size_t i = 0; i < proxy->opts.hosts_len; i++) {
        if (slice_eq(slice_of_str(proxy->opts.hosts[i]), host)) {
            return true;
        }
    }
    return proxy->opts.hosts_len == 0;
}

static const struct step *
run_receive(struct request *r)
{
    const struct proxy_limits *limits = &r->worker->proxy->opts.limits;
    char *host;

    if (r->head.framing == FRAMING_LENGTH && limits->body_max > 0 &&
        r->head.content_length > limits->body_max) {
        worker_count_limit(r->worker, LIMIT_BODY_MAX);
        return request_fail(r, 413, "body_max");
    }
    request_find_client(r);
    host = arena_alloc(&r->arena, r->head.host.len + 1);
    if (host == NULL) {
        return request_fail(r, 503, "memory");
    }
    r->host = slice_of(
        host, uri_authority_normalise(r->head.host, r->client.scheme, host));
    if (!is_host_allowed(r->worker->proxy, r->host)) {
        return request_fail(r, 421, "host");
    }
    r->target = r->head.target;
    return &step_route;
}

/* The read route of the target, for which an unsafe method's success is
   news: the route of GET. */
static ptrdiff_t
read_route(struct request *r)
{
    const struct proxy_opts *opts = &r->worker->proxy->opts;
    ptrdiff_t at = route_match(opts->routes, opts->routes_len, SLICE("GET"),
        r->host, uri_path(r->head.target));

    return at >= 0 && opts->routes[at].read == ROUTE_READ_PASS ? -1 : at;
}

static const struct step *
route_write(struct request *r)
{
    const struct proxy_opts *opts = &r->worker->proxy->opts;
    ptrdiff_t read = read_route(r);

    r->result = RESULT_WRITE;
    r->fwd = "method";
    if (read < 0 ||
        (r->route_opts != NULL && r->route_opts->write == ROUTE_WRITE_PASS)) {
        return &step_forward;
    }
    /* The key is the one that readers use. */
    r->route_opts = &opts->routes[read];
    return &step_key;
}

static const struct step *
route_read(struct request *r)
{
    policy_read(r->route_opts, &r->head, r->has_body, &r->policy);
    if (r->policy.bypass != NULL) {
        r->result = RESULT_BYPASS;
        r->fwd = "bypass";
        r->detail = r->policy.bypass;
    }
    return &step_key;
}

static const struct step *
run_route(struct request *r)
{
    const struct proxy_opts *opts = &r->worker->proxy->opts;

    r->group = opts->default_group;
    r->route = route_match(opts->routes, opts->routes_len, r->head.method_text,
        r->host, uri_path(r->head.target));
    if (r->route >= 0) {
        r->route_opts = &opts->routes[r->route];
        r->group = r->route_opts->group;
        if (!route_allows(r->route_opts, r->head.method_text)) {
            return request_fail(r, 405, "method");
        }
    }
    if (!policy_is_safe(r->head.method)) {
        return route_write(r);
    }
    if (r->head.method == METHOD_OPTIONS) {
        return options_route(r);
    }
    if (r->route < 0) {
        r->result = RESULT_PASS;
        r->fwd = "bypass";
        r->detail = "route";
        return &step_forward;
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
    if (r->result == RESULT_WRITE || r->policy.bypass != NULL) {
        return &step_forward;
    }
    r->result = RESULT_MISS;
    r->fwd = "uri-miss";
    if (r->head.method == METHOD_HEAD || r->policy.is_particular) {
        return &step_lookup;
    }
    return &step_flight;
}

/* --- using an entry ---------------------------------------------------- */

/* Is a response with these flags for this one who asks? Else r->detail says
   why not (RFC 9111 3.5, and http.md 3). */
static bool
may_use(struct request *r, uint16_t flags)
{
    const struct reuse_request *reuse = &r->policy.reuse;
    bool is_shareable = (flags & ENTRY_SHAREABLE) != 0;

    if ((!reuse->has_credentials || is_shareable) &&
        (!reuse->has_authorization || is_shareable ||
            (flags & ENTRY_AUTHORIZED) != 0)) {
        return true;
    }
    r->fwd = "bypass";
    r->detail = r->policy.credential;
    r->result = RESULT_BYPASS;
    return false;
}

static const struct step *
go_forward(struct request *r)
{
    return r->policy.reuse.only_if_cached
               ? request_fail(r, 504, "only-if-cached")
               : &step_forward;
}

/* The entry is a record: on to this request's own variant of it. */
static const struct step *
use_record(struct request *r, struct entry *record, const struct step *next)
{
    if (r->record != NULL || request_choose_variant(r, record) != RC_OK) {
        return go_forward(r);
    }
    r->fwd = "vary-miss";
    return next;
}

static const struct step *
deliver_hit(struct request *r, struct entry *own_entry)
{
    r->hit = own_entry;
    r->result = RESULT_HIT;
    r->tier = TIER_SHARED;
    r->fwd = NULL;
    r->detail = "shared";
    return &step_deliver_entry;
}

/* The leader's credentials were to blame: the next leader, who has none
   either, may have better luck. Whoever brings some goes alone. */
static bool
waits_again(struct request *r, const struct flight_result *result)
{
    int64_t waited_us = clock_now_us(loop_clock(r->worker->loop)) - r->start_us;

    return !r->waiter.is_leader && result->is_personal &&
           r->policy.credential == NULL &&
           waited_us < r->worker->proxy->opts.limits.flight_wait_ms * 1000;
}

/* What a flight has found or renewed. */
static const struct step *
use_entry(struct request *r, const struct flight_result *result)
{
    struct entry *entry = result->entry;

    if ((entry->flags & ENTRY_VARY_RECORD) != 0) {
        return use_record(r, entry, &step_flight);
    }
    if ((entry->flags & ENTRY_PASS) != 0) {
        r->detail = "not-storable";
        return &step_forward;
    }
    if (waits_again(r, result)) {
        return &step_flight;
    }
    if ((!r->waiter.is_leader && result->is_private) ||
        !may_use(r, entry->flags)) {
        return &step_forward;
    }
    if (!result->is_stale && !result->is_validated) {
        return deliver_hit(r, entry_ref(entry));
    }
    r->hit = entry_ref(entry);
    r->result = result->is_stale ? RESULT_STALE : RESULT_VALIDATED;
    r->tier = result->is_stale ? TIER_SHARED : TIER_ORIGIN;
    r->fwd = "stale";
    r->fwd_status = result->fwd_status;
    r->detail = result->detail;
    r->is_stored = result->is_stored;
    return &step_deliver_entry;
}

/* --- lookup ------------------------------------------------------------ */

/* What this request alone has found; its own directives count. */
static const struct step *
use_looked_up(struct request *r, struct entry *own_entry)
{
    int64_t now_ms = clock_wall_ms(loop_clock(r->worker->loop));
    const struct step *next = NULL;

    if ((own_entry->flags & ENTRY_VARY_RECORD) != 0) {
        next = use_record(r, own_entry, &step_lookup);
    } else if ((own_entry->flags & ENTRY_PASS) != 0 ||
               !may_use(r, own_entry->flags)) {
        next = go_forward(r);
    }
    if (next != NULL) {
        entry_unref(&own_entry);
        return next;
    }
    switch (policy_reuse(r->route_opts, own_entry, &r->policy.reuse, now_ms)) {
    case REUSE_FRESH:
        return deliver_hit(r, own_entry);
    case REUSE_STALE:
    case REUSE_BACKGROUND:
        next = deliver_hit(r, own_entry);
        r->result = RESULT_STALE;
        r->detail = "stale";
        return next;
    case REUSE_REQUEST:
        r->fwd = "request";
        break;
    case REUSE_VALIDATE:
        r->fwd = "stale";
        break;
    case REUSE_MISS:
    case REUSE_UNAVAILABLE:
        break;
    }
    entry_unref(&own_entry);
    return go_forward(r);
}

static void
on_lookup(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);
    struct entry *entry;
    char *value;
    size_t len;

    if (rc != RC_OK || reply->type != REDIS_STRING) {
        request_run(r, go_forward(r));
        return;
    }
    value = redis_reply_take(reply, &len);
    if (codec_decode(value, len, r->key, &entry) != RC_OK) {
        worker_count(r->worker, r->worker->proxy->metrics.values_bad);
        request_run(r, go_forward(r));
        return;
    }
    request_run(r, use_looked_up(r, entry));
}

static const struct step *
run_lookup(struct request *r)
{
    if (r->worker->redis == NULL) {
        return go_forward(r);
    }
    r->call =
        (struct redis_call){.on_reply = on_lookup, .ctx = r, .retries = true};
    r->call_argv[0] = SLICE("GET");
    r->call_argv[1] = r->entry_key;
    redis_send(r->worker->redis, &r->call, r->entry_key, 2, r->call_argv);
    return NULL;
}

/* --- flight ------------------------------------------------------------ */

/* The response varies: is the leader's variant this request's too? */
static bool
is_own_variant(struct request *r, const struct flight_result *result)
{
    if (result->record == NULL || r->waiter.is_leader) {
        return true;
    }
    return request_choose_variant(r, result->record) == RC_OK &&
           slice_eq(slice_of(r->key.ptr + r->key.len - DIGEST_LEN, DIGEST_LEN),
               slice_of(result->variant, DIGEST_LEN));
}

static const struct step *
use_fill(struct request *r, const struct flight_result *result)
{
    if (waits_again(r, result)) {
        return &step_flight;
    }
    if (!r->waiter.is_leader &&
        (result->is_private || !may_use(r, result->flags))) {
        return &step_forward;
    }
    if (!is_own_variant(r, result)) {
        r->fwd = "vary-miss";
        return r->record != NULL ? &step_flight : &step_forward;
    }
    if (source_of_fill(&r->source, result->fill, r->worker->loop) != RC_OK) {
        return &step_forward;
    }
    r->tier = TIER_ORIGIN;
    r->is_collapsed = !r->waiter.is_leader;
    r->result = r->is_collapsed ? RESULT_COLLAPSED : RESULT_MISS;
    r->is_stored = result->is_stored;
    r->fwd = result->is_stale_fetch ? "stale" : r->fwd;
    r->detail = result->detail;
    r->fwd_status = fill_message(result->fill)->status;
    return &step_deliver_fill;
}

static const struct step *
after_flight(struct request *r, const struct flight_result *result)
{
    switch (result->outcome) {
    case FLIGHT_ENTRY:
        return use_entry(r, result);
    case FLIGHT_FILL:
        return use_fill(r, result);
    case FLIGHT_ERROR:
        r->error = result->error;
        r->response.status = origin_error_status(result->error);
        return &step_deliver_error;
    case FLIGHT_PENDING:
    case FLIGHT_ALONE:
        break;
    }
    r->detail = result->detail;
    return &step_forward;
}

static void
on_flight(void *ctx, const struct flight_result *result)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);
    struct flight *flight = r->waiter.flight;
    const struct step *next = NULL;

    loop_timer_cancel(&r->patience);
    if (r->stream != NULL && r->status == 0) {
        next = after_flight(r, result);
    }
    r->waiter.flight = NULL;
    if (next != NULL) {
        request_run(r, next);
    }
    flight_unref(&flight);
    request_unref(&r);
}

/* The one who fetches takes long: not longer than this is waited. */
static void
on_patience_over(void *ctx)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);
    struct request *waiting = r;

    if (r->waiter.flight == NULL ||
        !flight_leave(r->worker->proxy->flights, &r->waiter)) {
        return;
    }
    worker_count_limit(r->worker, LIMIT_FLIGHT_WAIT);
    r->detail = "flight_wait";
    request_run(r, &step_forward);
    request_unref(&waiting);
}

static const struct step *
run_flight(struct request *r)
{
    r->waiter.loop = r->worker->loop;
    r->waiter.on_result = on_flight;
    r->waiter.ctx = r;
    switch (flight_enter(r->worker->proxy->flights, r->key, &r->waiter)) {
    case FLIGHT_OPENED:
        request_ref(r); /* the waiter's, until on_flight or flight_leave */
        flight_run_start(r, r->waiter.flight);
        return NULL;
    case FLIGHT_JOINED:
        request_ref(r);
        loop_timer_init(&r->patience, r->worker->loop, on_patience_over, r);
        loop_timer_arm(
            &r->patience, loop_now_ms(r->worker->loop) +
                              r->worker->proxy->opts.limits.flight_wait_ms);
        return NULL;
    case FLIGHT_REFUSED:
        break;
    }
    worker_count_limit(r->worker, LIMIT_FLIGHTS);
    return &step_forward;
}

/* --- forward ----------------------------------------------------------- */

static void
on_forward_interim(void *ctx, const struct head *head)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);

    request_interim(r, head);
}

static struct fetch_plan
on_forward_head(void *ctx, const struct head *head)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);

    r->fwd_status = head->status;
    if (r->result == RESULT_WRITE && r->key.len > 0) {
        request_find_stale(r, head);
    }
    return (struct fetch_plan){0};
}

static void
on_forward_fill(void *ctx, struct fill *fill)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);

    r->tier = TIER_ORIGIN;
    if (fill == NULL ||
        source_of_fill(&r->source, fill, r->worker->loop) != RC_OK) {
        worker_count_limit(r->worker, LIMIT_MEMORY);
        fetch_cancel(&r->fetch);
        request_run(r, request_fail(r, 503, "memory"));
        return;
    }
    if (r->is_invalidation_due) {
        request_run(r, &step_invalidate);
        return;
    }
    request_run(r, &step_deliver_fill);
}

static void
on_forward_outgrown(void *ctx)
{
    (void)ctx;
}

static void
on_forward_end(void *ctx, enum fill_state state, bool is_doubtful)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);

    (void)state;
    r->response.must_close = r->response.must_close || is_doubtful;
}

/* Of a write that failed: nobody knows, unless it was never sent. */
static bool
may_have_been_done(enum origin_error error)
{
    switch ((int)error) {
    case ORIGIN_ERROR_DNS:
    case ORIGIN_ERROR_DNS_TIMEOUT:
    case ORIGIN_ERROR_REFUSED:
    case ORIGIN_ERROR_CONNECT_TIMEOUT:
    case ORIGIN_ERROR_CONNECT:
    case ORIGIN_ERROR_LIMIT:
        return false;
    default:
        return true;
    }
}

static void
on_forward_error(void *ctx, enum origin_error error)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);

    r->error = error;
    r->tier = TIER_ORIGIN;
    r->response.status = origin_error_status(error);
    request_run(r,
        r->result == RESULT_WRITE && r->key.len > 0 && may_have_been_done(error)
            ? &step_invalidate
            : &step_deliver_error);
}

static void
on_forward_drain(void *ctx)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);

    if (r->stream != NULL) {
        r->stream->ops->want_body(r->stream);
    }
}

static const struct fetch_callbacks forward_callbacks = {
    .on_interim = on_forward_interim,
    .on_head = on_forward_head,
    .on_fill = on_forward_fill,
    .on_outgrown = on_forward_outgrown,
    .on_end = on_forward_end,
    .on_error = on_forward_error,
    .on_drain = on_forward_drain,
};

static const struct step *
run_forward(struct request *r)
{
    const struct request_head_opts opts = {0};
    struct exchange_request request;

    if (request_origin_head(r, &opts, &request) != RC_OK ||
        fetch_start(&r->fetch, r->worker, r->group, &request,
            &forward_callbacks, r) != RC_OK) {
        worker_count_limit(r->worker, LIMIT_MEMORY);
        return request_fail(r, 503, "memory");
    }
    if (r->has_body) {
        r->stream->ops->want_body(r->stream);
    }
    return NULL;
}

/* --- invalidate -------------------------------------------------------- */

static const struct step *
after_invalidation(const struct request *r)
{
    return r->error == ORIGIN_ERROR_NONE ? &step_deliver_fill
                                         : &step_deliver_error;
}

static void
on_invalidated(void *ctx, bool is_acknowledged)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);

    (void)is_acknowledged;
    r->invalidation = NULL;
    request_run(r, after_invalidation(r));
}

static const struct step *
run_invalidate(struct request *r)
{
    r->invalidation = request_invalidate(r, on_invalidated);
    return r->invalidation == NULL ? after_invalidation(r) : NULL;
}

const struct step step_receive = {"receive", run_receive};
const struct step step_route = {"route", run_route};
const struct step step_key = {"key", run_key};
const struct step step_lookup = {"lookup", run_lookup};
const struct step step_flight = {"flight", run_flight};
const struct step step_forward = {"forward", run_forward};
const struct step step_invalidate = {"invalidate", run_invalidate};
