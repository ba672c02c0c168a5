/*
 * The memory of a conf in the making, its defaults, and how it grows by an
 * origin or a route. Both lists have room for as many as there may be from the
 * beginning, since memory that is not touched costs nothing.
 */
#include "app/conf/build.h"

#include <stdlib.h>

#include "app/conf/value.h"
#include "nearside/base/check.h"

static void
wipe(const char *secret)
{
    if (secret != NULL) {
        explicit_bzero((char *)(uintptr_t)secret, strlen(secret));
    }
}

void *
conf_build_base(struct conf_build *build, enum conf_section section)
{
    MUST(!conf_sections[section].has_title);
    return section == CONF_DEFAULTS ? (void *)&build->defaults : build;
}

enum rc
conf_where_init(struct conf_build *build, enum conf_section section,
    unsigned line, struct conf_where *out)
{
    *out = (struct conf_where){.section = section,
        .line = line,
        .options = arena_zalloc(
            &build->scratch, conf_options_count * sizeof(*out->options))};
    return out->options == NULL ? RC_NOMEM : RC_OK;
}

enum rc
conf_build_init(struct conf_build *build)
{
    enum rc rc = RC_OK;

    MUST(build->errors != NULL);
    arena_init(&build->conf.arena, CONF_ARENA_MAX);
    arena_init(&build->scratch, CONF_ARENA_MAX);
    build->origins = arena_alloc(
        &build->scratch, CONF_ORIGINS_MAX * sizeof(*build->origins));
    build->routes = arena_alloc(
        &build->scratch, CONF_SECTIONS_MAX * sizeof(*build->routes));
    if (build->origins == NULL || build->routes == NULL) {
        return RC_NOMEM;
    }
    for (enum conf_section i = 0; i < CONF_SECTION_COUNT && rc == RC_OK; i++) {
        const struct conf_section_info *info = &conf_sections[i];

        if (info->has_title) {
            continue;
        }
        rc = conf_where_init(build, i, 0, &build->where[i]);
        if (rc == RC_OK) {
            rc = conf_store_presets(
                info->options, &build->conf.arena, conf_build_base(build, i));
        }
    }
    return rc;
}

void
conf_build_fini(struct conf_build *build)
{
    wipe(build->conf.redis.password);
    arena_fini(&build->conf.arena);
    arena_fini(&build->scratch);
}

void
conf_free(struct conf **conf)
{
    struct conf *c = *conf;

    if (c == NULL) {
        return;
    }
    MUST_OBJ(c, CONF_MAGIC);
    wipe(c->redis.password);
    arena_fini(&c->arena);
    c->magic = 0;
    free(c);
    *conf = NULL;
}

static enum rc
check_room(struct conf_build *build, unsigned line)
{
    if (build->origins_len + build->routes_len < CONF_SECTIONS_MAX) {
        return RC_OK;
    }
    conf_errors_add(build->errors, line == 0 ? NULL : build->text, line,
        "more than %d sections", CONF_SECTIONS_MAX);
    return RC_LIMIT;
}

enum rc
conf_origin_add(struct conf_build *build, const char *name, unsigned line,
    struct conf_origin **out)
{
    struct conf_origin *origin = &build->origins[build->origins_len];
    enum rc rc = check_room(build, line);

    if (rc == RC_OK && build->origins_len == CONF_ORIGINS_MAX) {
        conf_errors_add(build->errors, build->text, line,
            "more than %d origins", CONF_ORIGINS_MAX);
        rc = RC_LIMIT;
    }
    if (rc != RC_OK) {
        return rc;
    }
    build->origins_len++;
    *origin = (struct conf_origin){.opts.name = name};
    *out = origin;
    rc = conf_where_init(build, CONF_ORIGIN, line, &origin->where);
    return rc == RC_OK
               ? conf_store_presets(CONF_ORIGIN, &build->conf.arena, origin)
               : rc;
}

enum rc
conf_route_add(struct conf_build *build, struct slice title, unsigned line,
    struct conf_route **out)
{
    struct conf_route *route = &build->routes[build->routes_len];
    enum rc rc = check_room(build, line);

    if (rc != RC_OK) {
        return rc;
    }
    build->routes_len++;
    *route = (struct conf_route){.opts.title = title};
    *out = route;
    return conf_where_init(build, CONF_ROUTE, line, &route->where);
}

struct conf_origin *
conf_origin_find(const struct conf_build *build, struct slice name)
{
    for (size_t i = 0; i < build->origins_len; i++) {
        if (slice_eq(slice_of_str(build->origins[i].opts.name), name)) {
            return &build->origins[i];
        }
    }
    return NULL;
}

struct conf_route *
conf_route_find(const struct conf_build *build, struct slice title)
{
    for (size_t i = 0; i < build->routes_len; i++) {
        if (slice_eq(build->routes[i].opts.title, title)) {
            return &build->routes[i];
        }
    }
    return NULL;
}

void
conf_route_inherit(const struct conf_build *build, struct conf_route *route)
{
    MUST(route->where.section == CONF_ROUTE);
    for (size_t i = 0; i < conf_options_count; i++) {
        if (conf_options[i].section == CONF_ROUTE &&
            route->where.options[i] == 0) {
            conf_store_same(&conf_options[i], &build->defaults, route);
        }
    }
}
