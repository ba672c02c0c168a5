/*
 * The last step: makes the conf of a build that is free of mistakes. It fills
 * in the members that follow from other options, and lays origins and routes
 * out as the rooms want them. It can only fail for want of memory.
 */
#include "app/conf/build.h"

#include <stdlib.h>

#include "nearside/base/check.h"

enum {
    /* With preset = rfc a stale entry waits at least this long to be validated.
     */
    RFC_KEEP_MS = 600000,
    /* A value in Redis is an object with its head and key around it. */
    REPLY_EXTRA = 128 * 1024,
    /* The largest object must fit, or it could never be stored. */
    IN_FLIGHT_EXTRA = 1024 * 1024,
};

static void
finish_redis(struct conf_build *build)
{
    struct redis_opts *redis = &build->conf.redis;
    size_t object_max = build->conf.proxy.conf.limits.object_max;

    redis->reply_max = object_max + REPLY_EXTRA;
    if (redis->in_flight_bytes_max < object_max + IN_FLIGHT_EXTRA) {
        redis->in_flight_bytes_max = object_max + IN_FLIGHT_EXTRA;
    }
}

/* The index of the origin of that name, which conf_check has seen to be
   there. */
static size_t
index_of(struct conf_build *build, const char *name)
{
    const struct conf_where *where;

    MUST(name != NULL);
    where = conf_section_at(build, CONF_ORIGIN, slice_of_str(name));
    MUST(where != NULL);
    return (size_t)((struct conf_origin *)where->base - build->origins);
}

/* Requests of one team must not reach another team's API by chance: only an
   origin that is alone or named gets what no route matches. */
static size_t
default_group(struct conf_build *build)
{
    if (build->default_origin != NULL) {
        return index_of(build, build->default_origin);
    }
    return build->origins_len == 1 ? 0 : build->origins_len;
}

static enum rc
finish_origins(struct conf_build *build)
{
    struct conf *conf = &build->conf;
    size_t count = build->origins_len;
    struct origin_opts *origins =
        arena_alloc(&conf->arena, count * sizeof(*origins));
    struct slice *hosts = arena_alloc(&conf->arena, count * sizeof(*hosts));
    struct slice *names = arena_alloc(&conf->arena, count * sizeof(*names));

    MUST(count > 0);
    if (origins == NULL || hosts == NULL || names == NULL) {
        return RC_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        origins[i] = build->origins[i].opts;
        origins[i].head_max = build->response_head_max;
        origins[i].fields_max = build->response_fields_max;
        hosts[i] = slice_of_str(build->origins[i].host);
        names[i] = slice_of_str(build->origins[i].opts.name);
    }
    conf->origins = origins;
    conf->origins_len = count;
    conf->proxy.conf.group_hosts = hosts;
    conf->proxy.conf.group_names = names;
    conf->proxy.conf.default_group = default_group(build);
    return RC_OK;
}

/* preset = rfc makes a textbook cache, whatever the single options say. */
static void
finish_rfc(struct route *route)
{
    route->heuristic = true;
    route->honours_client = true;
    route->varies_by_any = true;
    route->stores_post = true;
    route->set_cookie = ROUTE_SET_COOKIE_STORE;
    if (route->keep_ms < RFC_KEEP_MS) {
        route->keep_ms = RFC_KEEP_MS;
    }
}

/* `query = all` and `query = none` were read as lists of one word. */
static void
finish_query(struct route *route)
{
    struct slice first =
        route->query_names_len == 1 ? route->query_names[0] : SLICE("");

    if (slice_eq(first, SLICE("all"))) {
        route->query = ROUTE_QUERY_ALL;
    } else if (slice_eq(first, SLICE("none")) || route->query_names_len == 0) {
        route->query = ROUTE_QUERY_NONE;
    } else {
        route->query = ROUTE_QUERY_LIST;
        return;
    }
    route->query_names_len = 0;
}

static enum rc
finish_routes(struct conf_build *build)
{
    struct conf *conf = &build->conf;
    struct route *routes =
        arena_alloc(&conf->arena, build->routes_len * sizeof(*routes) + 1);

    MUST(conf->proxy.conf.routes == NULL);
    if (routes == NULL) {
        return RC_NOMEM;
    }
    for (size_t i = 0; i < build->routes_len; i++) {
        const struct conf_route *from = &build->routes[i];

        routes[i] = from->opts;
        routes[i].group = index_of(build, from->origin);
        finish_query(&routes[i]);
        if (routes[i].is_rfc) {
            finish_rfc(&routes[i]);
        }
    }
    conf->proxy.conf.routes = routes;
    conf->proxy.conf.routes_len = build->routes_len;
    return RC_OK;
}

enum rc
conf_build_finish(struct conf_build *build, struct conf **out_conf)
{
    struct conf *conf = malloc(sizeof(*conf));
    enum rc rc = conf == NULL ? RC_NOMEM : finish_origins(build);

    MUST(out_conf != NULL);
    MUST(build->errors->mistakes == 0);
    finish_redis(build);
    if (rc == RC_OK) {
        rc = finish_routes(build);
    }
    if (rc != RC_OK) {
        free(conf);
        return rc;
    }
    *conf = build->conf;
    conf->magic = CONF_MAGIC;
    build->conf = (struct conf){.magic = 0};
    *out_conf = conf;
    return RC_OK;
}
