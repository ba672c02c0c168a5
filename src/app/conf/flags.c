/*
 * The command line: it adds to what the file says, or replaces it. Its values
 * are read as the file's are. A bad value is told and the work goes on, since
 * a conf with a mistake is thrown away in the end.
 */
#include "app/conf/build.h"

#include "app/conf/store.h"
#include "nearside/base/check.h"

#define TELL(build, ...) conf_errors_add((build)->errors, NULL, 0, __VA_ARGS__)

/* A flag, and the option of the table whose value it gives. */
struct flag {
    const char *name; /* "--redis" */
    enum conf_section section;
    const char *option;
};

static const struct flag flag_listen = {"--listen", CONF_TOP, "listen"};
static const struct flag flag_redis = {"--redis", CONF_REDIS, "seeds"};
static const struct flag flag_origin = {"--origin", CONF_ORIGIN, "servers"};
static const struct flag flag_route = {"--route", CONF_ROUTE, "ttl"};

/* Stores the flag's values, if there are any, at its option in base, whatever
   was there. */
static enum rc
replace(struct conf_build *build, const struct flag *flag,
    const char *const *values, size_t count, void *base)
{
    struct conf_store store = {
        .option = conf_option_find(flag->section, slice_of_str(flag->option)),
        .count = count,
        .arena = &build->conf.arena,
        .base = base};
    char why[CONF_WHY_MAX];
    enum rc rc;

    MUST(store.option != NULL);
    if (count == 0) {
        return RC_OK;
    }
    rc = conf_store_begin(&store);
    for (size_t i = 0; i < count && rc == RC_OK; i++) {
        rc = conf_store_value(&store, slice_of_str(values[i]), why);
        if (rc == RC_BAD) {
            TELL(build, "%s '%s': %s", flag->name, values[i], why);
            rc = RC_OK;
        }
    }
    return rc;
}

static enum rc
apply_origin(struct conf_build *build, const char *url)
{
    struct conf_where *where;
    enum rc rc = RC_OK;

    if (url == NULL) {
        return RC_OK;
    }
    if (build->origins_len == 0) {
        rc = conf_section_add(build, CONF_ORIGIN, SLICE("origin"), 0, &where);
    }
    if (build->origins_len > 1) {
        TELL(build,
            "--origin: the file names %zu origins, so there is none to "
            "take the place of",
            build->origins_len);
        return RC_OK;
    }
    return rc == RC_OK ? replace(build, &flag_origin, &url, 1, build->origins)
                       : rc;
}

/* "/products/:id=5m"; a path may hold '=', a duration does not. */
static enum rc
apply_route(struct conf_build *build, const char *text)
{
    const char *equals = strrchr(text, '=');
    struct conf_where *where;
    struct slice title;
    enum rc rc = RC_OK;

    if (equals == NULL) {
        TELL(build,
            "--route '%s': the time to live is missing; did you mean "
            "'%s=300s'?",
            text, text);
        return RC_OK;
    }
    title = slice_of(text, (size_t)(equals - text));
    equals++;
    where = conf_section_at(build, CONF_ROUTE, title);
    if (where == NULL) {
        rc = conf_section_add(build, CONF_ROUTE, title, 0, &where);
        if (rc == RC_OK) {
            conf_route_inherit(build, where->base);
        }
    }
    return rc == RC_OK ? replace(build, &flag_route, &equals, 1, where->base)
                       : rc;
}

enum rc
conf_flags_apply(struct conf_build *build, const struct conf_flags *flags)
{
    enum rc rc;

    MUST(flags != NULL);
    rc = replace(
        build, &flag_listen, flags->listen.items, flags->listen.count, build);
    if (flags->redis.count > 0 && build->conf.redis.mode == REDIS_MODE_OFF) {
        build->conf.redis.mode = REDIS_MODE_CLUSTER;
    }
    if (rc == RC_OK) {
        rc = replace(
            build, &flag_redis, flags->redis.items, flags->redis.count, build);
    }
    if (rc == RC_OK) {
        rc = apply_origin(build, flags->origin);
    }
    for (size_t i = 0; i < flags->routes.count && rc == RC_OK; i++) {
        rc = apply_route(build, flags->routes.items[i]);
    }
    return rc;
}
