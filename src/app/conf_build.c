/*
 * What a conf is made of and in: its memory, its defaults, one more origin,
 * one more route.
 */
#include "conf_inside.h"

#include <stdlib.h>

#include "nearside/base/check.h"

enum {
    ORIGINS_MAX = 256,
    ROUTES_MAX = CONF_SECTIONS_MAX,
};

enum rc
conf_new(struct conf **out_conf)
{
    struct conf *conf = calloc(1, sizeof(*conf));
    enum rc rc = RC_OK;

    if (conf == NULL) {
        return RC_NOMEM;
    }
    conf->magic = CONF_MAGIC;
    arena_init(&conf->arena, CONF_ARENA_MAX);
    for (unsigned i = CONF_TOP; i < CONF_SECTION_COUNT && rc == RC_OK; i++) {
        const struct conf_section_info *info = &conf_sections[i];

        if (!info->has_title) {
            rc = conf_value_presets(
                info->options, &conf->arena, (char *)conf + info->offset);
        }
    }
    if (rc != RC_OK) {
        conf_free(&conf);
        return rc;
    }
    *out_conf = conf;
    return RC_OK;
}

static void
wipe(const char *secret)
{
    if (secret != NULL) {
        explicit_bzero((char *)(uintptr_t)secret, strlen(secret));
    }
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

/* Room for one more item of `size` bytes, zeroed. NULL: no room. Doubles in
   the arena, whose end frees the old ones. */
static void *
item_add(struct arena *arena, void **items, size_t count, size_t size)
{
    if ((count & (count - 1)) == 0) {
        void *more = arena_zalloc(arena, (count == 0 ? 1 : count * 2) * size);

        if (more == NULL) {
            return NULL;
        }
        if (count > 0) {
            memcpy(more, *items, count * size);
        }
        *items = more;
    }
    return (char *)*items + count * size;
}

/* A section that no file speaks of, so far. */
static enum rc
where_add(struct conf_build *build, struct conf_where **wheres, size_t count)
{
    void *items = *wheres;
    struct conf_where *where =
        item_add(&build->conf->arena, &items, count, sizeof(*where));

    if (where == NULL) {
        return RC_NOMEM;
    }
    *wheres = items;
    *where = build->nowhere;
    return RC_OK;
}

enum rc
conf_origin_add(struct conf_build *build, struct conf_origin **out)
{
    struct conf *conf = build->conf;
    void *items = conf->origins;
    struct conf_origin *origin;

    if (conf->origins_count == ORIGINS_MAX) {
        conf_errors_add(
            build->errors, build->text, 0, "more than %d origins", ORIGINS_MAX);
        return RC_LIMIT;
    }
    origin =
        item_add(&conf->arena, &items, conf->origins_count, sizeof(*origin));
    if (origin == NULL ||
        where_add(build, &build->origins, conf->origins_count) != RC_OK) {
        return RC_NOMEM;
    }
    conf->origins = items;
    conf->origins_count++;
    *origin = (struct conf_origin){.name = NULL};
    *out = origin;
    return conf_value_presets(CONF_ORIGIN, &conf->arena, origin);
}

enum rc
conf_route_add(struct conf_build *build, struct conf_route **out)
{
    struct conf *conf = build->conf;
    void *items = conf->routes;
    struct conf_route *route;

    if (conf->routes_count == ROUTES_MAX) {
        conf_errors_add(
            build->errors, build->text, 0, "more than %d routes", ROUTES_MAX);
        return RC_LIMIT;
    }
    route = item_add(&conf->arena, &items, conf->routes_count, sizeof(*route));
    if (route == NULL ||
        where_add(build, &build->routes, conf->routes_count) != RC_OK) {
        return RC_NOMEM;
    }
    conf->routes = items;
    conf->routes_count++;
    *route = conf->defaults;
    *out = route;
    return RC_OK;
}

enum rc
conf_build_init(struct conf_build *build)
{
    enum rc rc = conf_new(&build->conf);
    unsigned *unset;

    if (rc != RC_OK) {
        return rc;
    }
    unset =
        arena_zalloc(&build->conf->arena, conf_options_count * sizeof(*unset));
    if (unset == NULL) {
        return RC_NOMEM;
    }
    build->nowhere = (struct conf_where){0, unset};
    for (unsigned i = 0; i < CONF_SECTION_COUNT; i++) {
        build->sections[i] = build->nowhere;
    }
    return RC_OK;
}
