/*
 * What the command line adds to the file, or says in its stead. The values
 * go through the same readers as the file's.
 */
#include "conf_inside.h"

#include "nearside/base/check.h"

#define TELL(build, ...) conf_errors_add((build)->errors, NULL, 0, __VA_ARGS__)

static const struct conf_option *
option_of(enum conf_section section, const char *name)
{
    const struct conf_option *option =
        conf_option_find(section, slice_of_str(name));

    MUST(option != NULL);
    return option;
}

/* A bad value is told and goes on: what is built is then thrown away. */
static void
check(struct conf_build *build, const char *flag,
    const struct conf_option *option, const char *value)
{
    char why[CONF_WHY_MAX];

    if (conf_value_read(option, slice_of_str(value), NULL, NULL, why) ==
        RC_OK) {
        return;
    }
    TELL(build, "%s '%s': %s", flag, value, why);
}

/* A list given on the command line replaces the file's. */
static enum rc
replace(struct conf_build *build, const char *flag,
    const struct conf_option *option, const struct conf_strings *values)
{
    const struct conf_section_info *info = &conf_sections[option->section];

    if (values->count == 0) {
        return RC_OK;
    }
    for (size_t i = 0; i < values->count; i++) {
        check(build, flag, option, values->items[i]);
    }
    return conf_value_store(option, values->items, values->count,
        &build->conf->arena, (char *)build->conf + info->offset);
}

static enum rc
apply_redis(struct conf_build *build, const struct conf_flags *flags)
{
    struct conf_redis *redis = &build->conf->redis;

    if (flags->redis.count > 0 && redis->mode == CONF_REDIS_OFF) {
        redis->mode = CONF_REDIS_CLUSTER;
    }
    return replace(
        build, "--redis", option_of(CONF_REDIS, "seeds"), &flags->redis);
}

static enum rc
apply_origin(struct conf_build *build, const char *url)
{
    const struct conf_option *servers = option_of(CONF_ORIGIN, "servers");
    struct conf *conf = build->conf;
    struct conf_origin *origin = conf->origins;
    enum rc rc = RC_OK;

    if (url == NULL) {
        return RC_OK;
    }
    check(build, "--origin", servers, url);
    if (conf->origins_count > 1) {
        TELL(build,
            "--origin: the file names %zu origins, so there is none to "
            "take the place of",
            conf->origins_count);
        return RC_OK;
    }
    if (conf->origins_count == 0) {
        rc = conf_origin_add(build, &origin);
        if (rc == RC_OK) {
            origin->name = "origin";
        }
    }
    if (rc == RC_OK) {
        rc = conf_value_store(servers, &url, 1, &conf->arena, origin);
    }
    return rc;
}

static struct conf_route *
route_find(const struct conf *conf, const char *title)
{
    for (size_t i = 0; i < conf->routes_count; i++) {
        if (strcmp(conf->routes[i].title, title) == 0) {
            return &conf->routes[i];
        }
    }
    return NULL;
}

/* "/products/:id=5m"; a path may hold '=', a duration does not. */
static enum rc
apply_route(struct conf_build *build, const char *text)
{
    const struct conf_option *ttl = option_of(CONF_ROUTE, "ttl");
    struct arena *arena = &build->conf->arena;
    const char *equals = strrchr(text, '=');
    struct conf_route *route;
    const char *title;
    enum rc rc = RC_OK;

    if (equals == NULL) {
        TELL(build,
            "--route '%s': the time to live is missing; did you mean "
            "'%s=300s'?",
            text, text);
        return RC_OK;
    }
    title = conf_copy(arena, slice_of(text, (size_t)(equals - text)));
    if (title == NULL) {
        return RC_NOMEM;
    }
    equals++;
    check(build, "--route", ttl, equals);
    route = route_find(build->conf, title);
    if (route == NULL) {
        rc = conf_route_add(build, &route);
        if (rc == RC_OK) {
            route->title = title;
        }
    }
    if (rc == RC_OK) {
        rc = conf_value_store(ttl, &equals, 1, arena, route);
    }
    return rc;
}

enum rc
conf_flags_apply(struct conf_build *build, const struct conf_flags *flags)
{
    enum rc rc = replace(
        build, "--listen", option_of(CONF_TOP, "listen"), &flags->listen);

    if (rc == RC_OK) {
        rc = apply_redis(build, flags);
    }
    if (rc == RC_OK) {
        rc = apply_origin(build, flags->origin);
    }
    for (size_t i = 0; i < flags->routes.count && rc == RC_OK; i++) {
        rc = apply_route(build, flags->routes.items[i]);
    }
    return rc;
}
