/*
 * What single values cannot show: names that must exist, options that
 * contradict each other, routes that shadow each other, secrets. Also what
 * follows from the rest: a route's only origin, the password in its file,
 * the place of the admin socket.
 */
#include "conf_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "nearside/base/check.h"

enum {
    SECRET_MAX = 4096, /* bytes of a password file */
};

/* Where systemd's RuntimeDirectory= and the packages put it. */
#define RUN_DIRECTORY "/run/nearside"

/* Does the section itself set the option? */
static bool
is_set(
    const struct conf_where *where, const char *name, enum conf_section section)
{
    const struct conf_option *option =
        conf_option_find(section, slice_of_str(name));

    MUST(option != NULL);
    return where->options[conf_option_index(option)] != 0;
}

static unsigned
line_of(
    const struct conf_where *where, const char *name, enum conf_section section)
{
    const struct conf_option *option =
        conf_option_find(section, slice_of_str(name));
    unsigned line;

    MUST(option != NULL);
    line = where->options[conf_option_index(option)];
    return line == 0 ? where->line : line;
}

/* What no line says, the command line has said. */
#define TELL(build, line, ...)                                                 \
    conf_errors_add((build)->errors, (line) == 0 ? NULL : (build)->text,       \
        (line), __VA_ARGS__)

static void
check_listen(struct conf_build *build)
{
    struct conf *conf = build->conf;
    const struct conf_strings *listen = &conf->listen;
    unsigned line = line_of(&build->sections[CONF_TOP], "listen", CONF_TOP);

    if (listen->count == 0) {
        TELL(build, line, "'listen' names no address");
    }
    for (size_t i = 0; i < listen->count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(listen->items[i], listen->items[j]) == 0) {
                TELL(
                    build, line, "'listen' names '%s' twice", listen->items[i]);
            }
        }
    }
    if (conf->admin != NULL && strcmp(conf->admin, "auto") == 0) {
        conf->admin = access(RUN_DIRECTORY, W_OK | X_OK) == 0
                          ? "unix:" RUN_DIRECTORY "/admin.sock"
                          : NULL;
    }
}

static void
check_limits(struct conf_build *build)
{
    const struct conf_limits *limits = &build->conf->limits;
    const struct conf_where *where = &build->sections[CONF_LIMITS];

    if (limits->field_max > limits->head_max) {
        TELL(build, line_of(where, "field_max", CONF_LIMITS),
            "'field_max' is above 'head_max': one field cannot be larger than "
            "the whole head");
    }
    if (limits->target_max > limits->head_max) {
        TELL(build, line_of(where, "target_max", CONF_LIMITS),
            "'target_max' is above 'head_max': the target is a part of the "
            "head");
    }
    if (limits->send_total_ms != 0 &&
        limits->send_total_ms < limits->send_timeout_ms) {
        TELL(build, line_of(where, "send_total", CONF_LIMITS),
            "'send_total' is below 'send_timeout', which could never pass");
    }
}

/* Reads the secret; errno says why not. 0: longer than cap. */
static ssize_t
secret_read(const char *path, char *out, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t n;
    int error;

    if (fd < 0) {
        return -1;
    }
    n = read(fd, out, cap);
    error = errno;
    close(fd);
    errno = error;
    return n == (ssize_t)cap ? 0 : n;
}

static enum rc
check_password_file(struct conf_build *build, unsigned line)
{
    struct conf_redis *redis = &build->conf->redis;
    char secret[SECRET_MAX];
    ssize_t n = secret_read(redis->password_file, secret, sizeof(secret));
    struct slice text;
    enum rc rc = RC_OK;

    if (n < 0) {
        TELL(build, line, "'password_file' = '%s': %s", redis->password_file,
            strerror(errno));
        return RC_OK;
    }
    text = slice_of(secret, (size_t)n);
    if (text.len > 0 && secret[text.len - 1] == '\n') {
        text.len--;
    }
    if (text.len == 0 || memchr(secret, '\0', text.len) != NULL ||
        slice_find(text, '\n') >= 0) {
        TELL(build, line,
            "'password_file' = '%s': not one line of 1 to %d bytes",
            redis->password_file, SECRET_MAX - 2);
    } else {
        redis->password = conf_copy(&build->conf->arena, text);
        rc = redis->password == NULL ? RC_NOMEM : RC_OK;
    }
    explicit_bzero(secret, sizeof(secret));
    return rc;
}

static enum rc
check_redis(struct conf_build *build)
{
    struct conf_redis *redis = &build->conf->redis;
    const struct conf_where *where = &build->sections[CONF_REDIS];
    unsigned line = line_of(where, "password_file", CONF_REDIS);

    if (redis->mode != CONF_REDIS_OFF && redis->seeds.count == 0) {
        TELL(build, where->line,
            "section 'redis' names no seeds; write seeds = { "
            "\"redis-1:6379\" }, or mode = off");
    }
    if (redis->mode == CONF_REDIS_STANDALONE && redis->seeds.count > 1) {
        TELL(build, line_of(where, "seeds", CONF_REDIS),
            "mode = standalone has one server, 'seeds' names %zu",
            redis->seeds.count);
    }
    if (redis->command_timeout_ms > redis->hang_ms) {
        TELL(build, line_of(where, "command_timeout", CONF_REDIS),
            "'command_timeout' is above 'hang', after which the connection is "
            "closed");
    }
    if (redis->password != NULL && redis->password_file != NULL) {
        TELL(build, line, "'password' and 'password_file' exclude each other");
        return RC_OK;
    }
    if (redis->user != NULL && redis->password == NULL &&
        redis->password_file == NULL) {
        TELL(build, line_of(where, "user", CONF_REDIS),
            "'user' without a password; add password_file");
    }
    return redis->password_file == NULL ? RC_OK
                                        : check_password_file(build, line);
}

static bool
is_origin_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

    return len > 0 && len <= 64 && name[len] == '\0';
}

static void
check_origins(struct conf_build *build)
{
    const struct conf *conf = build->conf;

    if (conf->origins_count == 0) {
        conf_errors_add(build->errors, build->text, 0,
            "no origin is named; write origin api { servers = { "
            "\"http://127.0.0.1:3000\" } }, or use --origin");
    }
    for (size_t i = 0; i < conf->origins_count; i++) {
        const struct conf_origin *o = &conf->origins[i];
        unsigned line = line_of(&build->origins[i], "servers", CONF_ORIGIN);

        if (!is_origin_name(o->name)) {
            TELL(build, build->origins[i].line,
                "the name of an origin has 1 to 64 letters, digits, '_', '.' "
                "or '-'");
        }
        if (o->servers.count == 0) {
            TELL(build, line,
                "origin '%s' names no server; write servers = { "
                "\"http://127.0.0.1:3000\" }",
                o->name);
        }
        if (o->servers.count > 1) {
            TELL(build, line,
                "origin '%s' names %zu servers; this version takes one",
                o->name, o->servers.count);
        }
    }
}

static const char *
origin_suggest(const struct conf *conf, const char *name)
{
    unsigned best = 99;
    const char *near = NULL;

    for (size_t i = 0; i < conf->origins_count; i++) {
        const char *candidate = conf->origins[i].name;

        if (conf_is_nearer(
                slice_of_str(name), slice_of_str(candidate), &best)) {
            near = candidate;
        }
    }
    return near;
}

/* The origin must exist; the only one need not be named. */
static void
check_route_origin(
    struct conf_build *build, struct conf_route *route, unsigned line)
{
    const struct conf *conf = build->conf;
    const char *near;

    if (route->origin == NULL) {
        if (conf->origins_count == 1) {
            route->origin = conf->origins[0].name;
        } else if (conf->origins_count > 1) {
            TELL(build, line, "route \"%s\" does not say which origin it has",
                route->title);
        }
        return;
    }
    for (size_t i = 0; i < conf->origins_count; i++) {
        if (strcmp(route->origin, conf->origins[i].name) == 0) {
            return;
        }
    }
    near = origin_suggest(conf, route->origin);
    TELL(build, line, "there is no origin '%s'%s%s%s", route->origin,
        near == NULL ? "" : "; did you mean '", near == NULL ? "" : near,
        near == NULL ? "" : "'?");
}

static void
check_route_statuses(struct conf_build *build, const struct conf_route *route,
    const struct conf_where *where)
{
    const struct conf_status_ttls *ttls = &route->ttl_by_status;

    for (size_t i = 0; i < ttls->count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (ttls->items[i].status == ttls->items[j].status &&
                ttls->items[i].status != 0) {
                TELL(build, line_of(where, "ttl_by_status", CONF_ROUTE),
                    "'ttl_by_status' names %u twice", ttls->items[i].status);
            }
        }
    }
}

static void
check_route_ttl(struct conf_build *build, const struct conf_route *route,
    const struct conf_where *where)
{
    if (route->ttl_max_ms != 0 && route->ttl_min_ms > route->ttl_max_ms) {
        TELL(build, line_of(where, "ttl_min", CONF_ROUTE),
            "'ttl_min' is above 'ttl_max'");
    }
    if (route->ttl_force && route->ttl_ms == 0) {
        TELL(build, line_of(where, "ttl_force", CONF_ROUTE),
            "'ttl_force' needs a 'ttl' above 0");
    }
    if (is_set(where, "ttl_by_status", CONF_ROUTE)) {
        check_route_statuses(build, route, where);
    }
}

/* A template's {name} must be one of the pattern's parameters. */
static bool
has_param(const struct conf_pattern *pattern, struct slice name)
{
    for (size_t i = 0; i < pattern->count; i++) {
        if (pattern->segments[i].kind == CONF_SEGMENT_PARAM &&
            slice_eq(slice_of_str(pattern->segments[i].text), name)) {
            return true;
        }
    }
    return false;
}

static void
check_tag(struct conf_build *build, const struct conf_route *route,
    const char *tag, unsigned line)
{
    for (const char *open = strchr(tag, '{'); open != NULL;
         open = strchr(open + 1, '{')) {
        const char *close = strchr(open, '}');
        struct slice name;

        if (close == NULL) {
            TELL(build, line, "tag \"%s\": a '}' is missing", tag);
            return;
        }
        name = slice_of(open + 1, (size_t)(close - open) - 1);
        if (!has_param(&route->pattern, name)) {
            TELL(build, line, "tag \"%s\": the route has no parameter ':%.*s'",
                tag, SLICE_FMT(name));
        }
    }
}

static void
check_route_tags(
    struct conf_build *build, const struct conf_route *route, unsigned line)
{
    for (size_t i = 0; i < route->tags.count; i++) {
        check_tag(build, route, route->tags.items[i], line);
    }
    if (route->tags.count > 0) {
        conf_errors_warn(build->errors, build->text, line,
            "'tags' are kept but have no effect in this version");
    }
}

/* An earlier route that takes all that this one could. */
static void
check_route_twin(struct conf_build *build, size_t at)
{
    const struct conf_route *routes = build->conf->routes;
    unsigned line = build->routes[at].line;

    for (size_t i = 0; i < at; i++) {
        if (conf_title_is_same(&routes[i], &routes[at])) {
            TELL(build, line,
                "route \"%s\" matches the same requests as route \"%s\"",
                routes[at].title, routes[i].title);
            return;
        }
    }
}

static enum rc
check_route(struct conf_build *build, size_t at)
{
    struct conf_route *route = &build->conf->routes[at];
    const struct conf_where *where = &build->routes[at];
    unsigned tags = line_of(where, "tags", CONF_ROUTE);
    char why[CONF_WHY_MAX];
    enum rc rc = conf_title_read(route, &build->conf->arena, why);

    if (rc == RC_NOMEM) {
        return rc;
    }
    if (rc == RC_BAD) {
        TELL(build, where->line, "route \"%s\": %s", route->title, why);
        route->pattern.count = 0;
    }
    /* An origin from `defaults` is told there, once is enough. */
    if (route->origin == NULL ||
        route->origin != build->conf->defaults.origin) {
        check_route_origin(build, route, line_of(where, "origin", CONF_ROUTE));
    }
    check_route_ttl(build, route, where);
    if (route->method != NULL && is_set(where, "methods", CONF_ROUTE)) {
        TELL(build, line_of(where, "methods", CONF_ROUTE),
            "'methods' in a route whose title names the method %s",
            route->method);
    }
    if (rc == RC_OK) {
        check_route_twin(build, at);
        if (is_set(where, "tags", CONF_ROUTE)) {
            check_route_tags(build, route, tags);
        }
    }
    return RC_OK;
}

static void
check_defaults(struct conf_build *build)
{
    struct conf_route *defaults = &build->conf->defaults;
    const struct conf_where *where = &build->sections[CONF_DEFAULTS];

    if (defaults->origin != NULL) {
        check_route_origin(
            build, defaults, line_of(where, "origin", CONF_DEFAULTS));
    }
    if (defaults->tags.count > 0) {
        conf_errors_warn(build->errors, build->text,
            line_of(where, "tags", CONF_DEFAULTS),
            "'tags' are kept but have no effect in this version");
    }
    check_route_ttl(build, defaults, where);
}

enum rc
conf_check(struct conf_build *build)
{
    struct conf *conf = build->conf;
    enum rc rc;

    if (build->sections[CONF_REDIS].line == 0 && conf->redis.seeds.count == 0) {
        conf->redis.mode = CONF_REDIS_OFF;
    }
    check_listen(build);
    if (conf->memory.size != 0) {
        TELL(build, line_of(&build->sections[CONF_MEMORY], "size", CONF_MEMORY),
            "the memory tier is not in this version; write size = 0, or leave "
            "the section out");
    }
    check_limits(build);
    rc = check_redis(build);
    check_origins(build);
    check_defaults(build);
    for (size_t i = 0; i < conf->routes_count && rc == RC_OK; i++) {
        rc = check_route(build, i);
    }
    return rc;
}
