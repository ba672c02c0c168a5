/*
 * The memory of a conf in the making, its defaults, and how it grows by an
 * origin or a route. Both lists have room for as many as there may be from the
 * beginning, since memory that is not touched costs nothing.
 */
#include "app/conf/build.h"

#include <stdlib.h>

#include "app/conf/store.h"
#include "nearside/base/check.h"

static void
wipe(const char *secret)
{
    if (secret != NULL) {
        explicit_bzero((char *)(uintptr_t)secret, strlen(secret));
    }
}

enum rc
conf_where_init(struct conf_build *build, enum conf_section section,
    unsigned line, void *base, struct conf_where *out)
{
    MUST((unsigned)section < CONF_SECTION_COUNT);
    *out = (struct conf_where){.section = section,
        .line = line,
        .base = base,
        .options = arena_zalloc(
            &build->scratch, conf_options_count * sizeof(*out->options))};
    return out->options == NULL ? RC_NOMEM : RC_OK;
}

enum rc
conf_build_init(struct conf_build *build)
{
    enum rc rc = RC_OK;

    MUST(build->errors != NULL);
    MUST(build->origins == NULL);
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
        void *base = i == CONF_DEFAULTS ? (void *)&build->defaults : build;

        if (conf_sections[i].has_title) {
            continue;
        }
        rc = conf_where_init(build, i, 0, base, &build->where[i]);
        if (rc == RC_OK) {
            rc = conf_store_presets(
                conf_sections[i].options, &build->conf.arena, base);
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
check_room(struct conf_build *build, enum conf_section section, unsigned line)
{
    const char *what = "sections";
    int max = CONF_SECTIONS_MAX;

    MUST(build->origins_len <= CONF_ORIGINS_MAX);
    MUST(build->origins_len + build->routes_len <= CONF_SECTIONS_MAX);
    if (section == CONF_ORIGIN && build->origins_len == CONF_ORIGINS_MAX) {
        what = "origins";
        max = CONF_ORIGINS_MAX;
    } else if (build->origins_len + build->routes_len < CONF_SECTIONS_MAX) {
        return RC_OK;
    }
    conf_errors_add(build->errors, line == 0 ? NULL : build->text, line,
        "more than %d %s", max, what);
    return RC_LIMIT;
}

enum rc
conf_section_add(struct conf_build *build, enum conf_section section,
    struct slice title, unsigned line, struct conf_where **out)
{
    const char *own_title = conf_copy(&build->conf.arena, title);
    struct conf_route *route;
    enum rc rc = check_room(build, section, line);

    MUST(conf_sections[section].has_title);
    if (rc != RC_OK || own_title == NULL) {
        return rc == RC_OK ? RC_NOMEM : rc;
    }
    if (section == CONF_ORIGIN) {
        struct conf_origin *origin = &build->origins[build->origins_len++];

        *origin = (struct conf_origin){.opts.name = own_title};
        *out = &origin->where;
        rc = conf_store_presets(CONF_ORIGIN, &build->conf.arena, origin);
        return rc == RC_OK ? conf_where_init(build, section, line, origin, *out)
                           : rc;
    }
    route = &build->routes[build->routes_len++];
    *route = (struct conf_route){.opts.title = slice_of_str(own_title)};
    *out = &route->where;
    return conf_where_init(build, section, line, route, *out);
}

struct conf_where *
conf_section_at(
    struct conf_build *build, enum conf_section section, struct slice title)
{
    MUST((unsigned)section < CONF_SECTION_COUNT);
    for (size_t i = 0; section == CONF_ORIGIN && i < build->origins_len; i++) {
        if (slice_eq(slice_of_str(build->origins[i].opts.name), title)) {
            return &build->origins[i].where;
        }
    }
    for (size_t i = 0; section == CONF_ROUTE && i < build->routes_len; i++) {
        if (slice_eq(build->routes[i].opts.title, title)) {
            return &build->routes[i].where;
        }
    }
    return conf_sections[section].has_title ? NULL : &build->where[section];
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
