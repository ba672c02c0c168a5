/* One function a room; a route's words are copied into slices. */
#include "app/setup.h"

#include <string.h>

#include "nearside/base/check.h"
#include "nearside/http/uri.h"

void
setup_log(const struct conf *conf, struct log_opts *out)
{
    *out = (struct log_opts){
        .events = {.target = conf->error_log.target.target,
            .path = conf->error_log.target.path},
        .access = {.target = conf->access_log.target.target,
            .path = conf->access_log.target.path},
        .level = conf->error_log.level,
        .rate_max = conf->error_log.rate_max,
    };
}

/* An entry of the largest size must fit, or it could never be stored. */
static size_t
larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

void
setup_redis(const struct conf *conf, struct redis_opts *out)
{
    const struct conf_redis *c = &conf->redis;

    *out = (struct redis_opts){
        .mode = c->mode == CONF_REDIS_CLUSTER ? REDIS_MODE_CLUSTER
                                              : REDIS_MODE_STANDALONE,
        .seeds = c->seeds.items,
        .seeds_len = (unsigned)c->seeds.count,
        .user = c->user,
        .password = c->password,
        .client_name = c->client_name,
        .command_timeout_ms = c->command_timeout_ms,
        .connect_timeout_ms = c->connect_timeout_ms,
        .hang_ms = c->hang_ms,
        .refresh_interval_ms = c->refresh_interval_ms,
        .in_flight_max = c->in_flight_max,
        .in_flight_bytes_max =
            larger(c->in_flight_bytes_max, conf->limits.object_max + 1048576),
        /* A value is an object with its head and key around it. */
        .reply_max = conf->limits.object_max + 128 * 1024,
    };
}

void
setup_origin(const struct conf *conf, const struct conf_origin *c,
    struct origin_opts *out)
{
    *out = (struct origin_opts){
        .name = c->name,
        .servers = c->servers.items,
        .servers_len = (unsigned)c->servers.count,
        .connect_timeout_ms = c->connect_timeout_ms,
        .first_byte_timeout_ms = c->first_byte_timeout_ms,
        .between_bytes_timeout_ms = c->between_bytes_timeout_ms,
        .total_timeout_ms = c->total_timeout_ms,
        .idle_timeout_ms = c->idle_timeout_ms,
        .resolve_interval_ms = c->resolve_interval_ms,
        .connections_max = c->connections_max,
        .idle_max = c->idle_max,
        .reuse_after_body = c->reuse_after_body,
        .head_max = conf->limits.response_head_max,
        .fields_max = conf->limits.response_fields_max,
    };
}

static void
setup_limits(const struct conf_limits *c, struct limits *out)
{
    *out = (struct limits){
        .head_max = c->head_max,
        .field_max = c->field_max,
        .field_name_max = c->field_name_max,
        .fields_max = c->fields_max,
        .target_max = c->target_max,
        .head_timeout_ms = c->head_timeout_ms,
        .body_timeout_ms = c->body_timeout_ms,
        .body_min_rate = c->body_min_rate,
        .body_min_rate_after_ms = c->body_min_rate_after_ms,
        .body_max = c->body_max,
        .idle_timeout_ms = c->idle_timeout_ms,
        .requests_per_connection = c->requests_per_connection,
        .send_timeout_ms = c->send_timeout_ms,
        .send_total_ms = c->send_total_ms,
        .buffer_max = c->buffer_max,
        .held_max = c->held_max,
        .connections_max = c->connections_max,
        .connections_per_ip = c->connections_per_ip,
        .object_max = c->object_max,
        .flight_wait_ms = c->flight_wait_ms,
        .variants_max = c->variants_max,
        .flights_max = c->flights_max,
        .new_keys_max = c->new_keys_max,
    };
}

/* NULL when there are none, or no memory: *out_len tells which. */
static const struct slice *
slices_of(
    struct arena *arena, const struct conf_strings *strings, size_t *out_len)
{
    struct slice *slices =
        arena_alloc(arena, strings->count * sizeof(*slices) + 1);

    *out_len = slices == NULL ? 0 : strings->count;
    for (size_t i = 0; i < *out_len; i++) {
        slices[i] = slice_of_str(strings->items[i]);
    }
    return slices;
}

/* Parameters of a query, in the one spelling by which they are told. */
static const struct slice *
parameters_of(
    struct arena *arena, const struct conf_strings *strings, size_t *out_len)
{
    struct slice *names =
        arena_alloc(arena, strings->count * sizeof(*names) + 1);

    *out_len = 0;
    for (size_t i = 0; names != NULL && i < strings->count; i++) {
        struct slice name = slice_of_str(strings->items[i]);
        char *text = arena_alloc(arena, name.len);
        if (text != NULL) {
            names[(*out_len)++] = slice_of(text, uri_normalise(name, text));
        }
    }
    return names;
}

static const struct route_segment *
segments_of(struct arena *arena, const struct conf_pattern *pattern)
{
    static const enum route_segment_kind kinds[] = {
        [CONF_SEGMENT_LITERAL] = ROUTE_SEGMENT_LITERAL,
        [CONF_SEGMENT_PARAM] = ROUTE_SEGMENT_PARAM,
        [CONF_SEGMENT_TAIL] = ROUTE_SEGMENT_TAIL,
    };
    struct route_segment *segments =
        arena_alloc(arena, pattern->count * sizeof(*segments));

    for (size_t i = 0; segments != NULL && i < pattern->count; i++) {
        segments[i] = (struct route_segment){
            .kind = kinds[pattern->segments[i].kind],
            .text = slice_of_str(pattern->segments[i].text),
        };
    }
    return segments;
}

static enum route_credential
credential_of(enum conf_credential credential)
{
    switch (credential) {
    case CONF_CREDENTIAL_AUTO:
        return ROUTE_CREDENTIAL_AUTO;
    case CONF_CREDENTIAL_BYPASS:
        return ROUTE_CREDENTIAL_BYPASS;
    case CONF_CREDENTIAL_IGNORE:
        return ROUTE_CREDENTIAL_IGNORE;
    case CONF_CREDENTIAL_KEY:
        return ROUTE_CREDENTIAL_KEY;
    }
    return ROUTE_CREDENTIAL_BYPASS;
}

static enum route_set_cookie
set_cookie_of(enum conf_set_cookie set_cookie)
{
    switch (set_cookie) {
    case CONF_SET_COOKIE_BYPASS:
        return ROUTE_SET_COOKIE_BYPASS;
    case CONF_SET_COOKIE_STRIP:
        return ROUTE_SET_COOKIE_STRIP;
    case CONF_SET_COOKIE_STORE:
        return ROUTE_SET_COOKIE_STORE;
    }
    return ROUTE_SET_COOKIE_BYPASS;
}

static enum route_query
query_of(enum conf_query_kind query)
{
    switch (query) {
    case CONF_QUERY_ALL:
        return ROUTE_QUERY_ALL;
    case CONF_QUERY_NONE:
        return ROUTE_QUERY_NONE;
    case CONF_QUERY_LIST:
        return ROUTE_QUERY_LIST;
    }
    return ROUTE_QUERY_ALL;
}

static size_t
group_of(const struct conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->origins_count; i++) {
        if (strcmp(conf->origins[i].name, name) == 0) {
            return i;
        }
    }
    MUST(conf->origins_count == 0); /* conf has checked the name */
    return 0;
}

static enum route_cache_status
cache_status_of(enum conf_cache_status cache_status)
{
    switch (cache_status) {
    case CONF_CACHE_STATUS_ON:
        return ROUTE_CACHE_STATUS_ON;
    case CONF_CACHE_STATUS_KEY:
        return ROUTE_CACHE_STATUS_KEY;
    case CONF_CACHE_STATUS_OFF:
        return ROUTE_CACHE_STATUS_OFF;
    }
    return ROUTE_CACHE_STATUS_ON;
}

static enum rc
setup_status_ttls(
    const struct conf_status_ttls *from, struct arena *arena, struct route *out)
{
    struct route_status_ttl *ttls =
        arena_alloc(arena, from->count * sizeof(*ttls) + 1);

    if (ttls == NULL) {
        return RC_NOMEM;
    }
    for (size_t i = 0; i < from->count; i++) {
        ttls[i] = (struct route_status_ttl){
            from->items[i].status, from->items[i].ttl_ms};
    }
    out->status_ttls = ttls;
    out->status_ttls_len = from->count;
    return RC_OK;
}

enum {
    PRESET_KEEP_MS = 600000,
};

/* preset = rfc: a textbook cache, whatever the single options say. */
static void
setup_preset(const struct conf_route *c, struct route *out)
{
    if (c->preset != CONF_PRESET_RFC) {
        return;
    }
    out->is_rfc = true;
    out->heuristic = true;
    out->honours_client = true;
    out->varies_by_any = true;
    out->stores_post = true;
    out->set_cookie = ROUTE_SET_COOKIE_STORE;
    if (out->keep_ms < PRESET_KEEP_MS) {
        out->keep_ms = PRESET_KEEP_MS;
    }
}

static enum rc
setup_route(const struct conf *conf, const struct conf_route *c,
    struct arena *arena, struct route *out)
{
    *out = (struct route){
        .title = slice_of_str(c->title),
        .method = slice_of_str(c->method),
        .host = slice_of_str(c->host),
        .segments = segments_of(arena, &c->pattern),
        .segments_len = c->pattern.count,
        .group = group_of(conf, c->origin),
        .read = c->read == CONF_READ_PASS ? ROUTE_READ_PASS
                                          : ROUTE_READ_CACHE_ASIDE,
        .write = c->write == CONF_WRITE_PASS ? ROUTE_WRITE_PASS
                                             : ROUTE_WRITE_INVALIDATE,
        .ttl_ms = c->ttl_ms,
        .ttl_min_ms = c->ttl_min_ms,
        .ttl_max_ms = c->ttl_max_ms,
        .ttl_force = c->ttl_force,
        .ttl_jitter_percent = c->ttl_jitter_percent,
        .grace_ms = c->grace_ms,
        .keep_ms = c->keep_ms,
        .heuristic = c->heuristic,
        .honours_client =
            c->client_cache_control == CONF_CLIENT_CACHE_CONTROL_HONOUR,
        .passes_targeted = c->targeted_pass,
        .varies_by_any = c->vary == CONF_VARY_ANY,
        .stores_post = c->store_post,
        .cache_status = cache_status_of(c->cache_status),
        .query = query_of(c->query.kind),
        .cookie = credential_of(c->cookie),
        .authorization = credential_of(c->authorization),
        .set_cookie = set_cookie_of(c->set_cookie),
    };
    out->query_names =
        parameters_of(arena, &c->query.names, &out->query_names_len);
    out->credential_fields =
        slices_of(arena, &c->credential_fields, &out->credential_fields_len);
    setup_preset(c, out);
    out->targeted = slices_of(arena, &c->targeted, &out->targeted_len);
    out->methods = slices_of(arena, &c->methods, &out->methods_len);
    return out->segments == NULL
               ? RC_NOMEM
               : setup_status_ttls(&c->ttl_by_status, arena, out);
}

static enum rc
setup_routes(
    const struct conf *conf, struct arena *arena, struct proxy_conf_opts *out)
{
    struct route *routes =
        arena_alloc(arena, conf->routes_count * sizeof(*routes) + 1);
    enum rc rc = routes == NULL ? RC_NOMEM : RC_OK;

    for (size_t i = 0; i < conf->routes_count && rc == RC_OK; i++) {
        rc = setup_route(conf, &conf->routes[i], arena, &routes[i]);
    }
    out->routes = routes;
    out->routes_len = conf->routes_count;
    return rc;
}

static enum rc
setup_trusted(
    const struct conf *conf, struct arena *arena, struct proxy_conf_opts *out)
{
    size_t count = conf->trusted_proxies.count;
    struct proxy_net *nets = arena_alloc(arena, count * sizeof(*nets) + 1);

    if (nets == NULL) {
        return RC_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        const struct conf_net *from = &conf->trusted_proxies.items[i];
        nets[i] = (struct proxy_net){.is_v6 = from->is_v6, .bits = from->bits};
        memcpy(nets[i].address, from->address, sizeof(nets[i].address));
    }
    out->trusted = nets;
    out->trusted_len = count;
    return RC_OK;
}

static enum rc
setup_hosts(
    const struct conf *conf, struct arena *arena, struct proxy_conf_opts *out)
{
    struct slice *hosts =
        arena_alloc(arena, conf->origins_count * sizeof(*hosts));

    if (hosts == NULL) {
        return RC_NOMEM;
    }
    for (size_t i = 0; i < conf->origins_count; i++) {
        hosts[i] = slice_of_str(conf->origins[i].host);
    }
    out->group_hosts = hosts;
    return RC_OK;
}

enum rc
setup_proxy(
    const struct conf *conf, struct arena *arena, struct proxy_conf_opts *out)
{
    enum rc rc;

    *out = (struct proxy_conf_opts){
        .prefix = conf->redis.prefix,
        .via = conf->via,
        .default_host = conf->default_host,
        .hosts = conf->hosts.items,
        .hosts_len = conf->hosts.count,
    };
    setup_limits(&conf->limits, &out->limits);
    rc = setup_routes(conf, arena, out);
    if (rc == RC_OK) {
        rc = setup_trusted(conf, arena, out);
    }
    return rc == RC_OK ? setup_hosts(conf, arena, out) : rc;
}
