/*
 * The check of the whole conf, for mistakes that no single value shows: names
 * that must exist, options that contradict each other, routes that match the
 * same requests. It also fills in what the file need not say: a route's only
 * origin, the password from its file, the place of the admin socket.
 */
#include "app/conf/build.h"

#include <errno.h>
#include <unistd.h>

#include "app/conf/value.h"
#include "nearside/app/conf/text/lex.h"
#include "nearside/base/check.h"
#include "nearside/http/vary.h"

/* Where systemd's RuntimeDirectory= and the packages put it. */
#define RUN_DIRECTORY "/run/nearside"

/* The line that sets the option in the section itself; 0: no line does. */
static unsigned
set_in(const struct conf_where *where, const char *name)
{
    const struct conf_option *option =
        conf_option_find(where->section, slice_of_str(name));

    MUST(option != NULL);
    return where->options[conf_option_index(option)];
}

/* The same, or else the section's line; 0: the section is not in the file. */
static unsigned
line_of(const struct conf_where *where, const char *name)
{
    unsigned line = set_in(where, name);

    return line == 0 ? where->line : line;
}

/* What stands on no line of the file was said on the command line. */
#define TELL(build, line, ...)                                                 \
    conf_errors_add((build)->errors, (line) == 0 ? NULL : (build)->text,       \
        (line), __VA_ARGS__)

/* Two options of a section contradict each other. The mistake is told where
   `option` is set. */
struct rule {
    bool is_broken;
    const char *option;
    const char *what;
};

static void
check_rules(struct conf_build *build, const struct conf_where *where,
    const struct rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (rules[i].is_broken) {
            TELL(build, line_of(where, rules[i].option), "%s", rules[i].what);
        }
    }
}

/* Tells if the option's address is one of `taken`. Port 0 is any number of
   ports. */
static void
check_address(struct conf_build *build, const char *option, const char *text,
    const char *by, const char *const *taken, size_t count)
{
    /* Each form of an address has a colon. */
    bool is_any = text == NULL || strcmp(strrchr(text, ':'), ":0") == 0;

    for (size_t i = 0; i < count && !is_any; i++) {
        if (taken[i] != NULL && strcmp(taken[i], text) == 0) {
            TELL(build, line_of(&build->where[CONF_TOP], option),
                "'%s' = '%s': this is an address of '%s' too", option, text,
                by);
        }
    }
}

static void
check_top(struct conf_build *build)
{
    struct conf *conf = &build->conf;
    const char *const *listen = conf->listen;
    unsigned line = line_of(&build->where[CONF_TOP], "listen");

    if (conf->listen_len == 0) {
        TELL(build, line, "'listen' names no address");
    }
    for (size_t i = 0; i < conf->listen_len; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(listen[i], listen[j]) == 0) {
                TELL(build, line, "'listen' names '%s' twice", listen[i]);
            }
        }
    }
    if (conf->admin != NULL && strcmp(conf->admin, "auto") == 0) {
        conf->admin = access(RUN_DIRECTORY, W_OK | X_OK) == 0
                          ? "unix:" RUN_DIRECTORY "/admin.sock"
                          : NULL;
    }
    check_address(
        build, "metrics", conf->metrics, "listen", listen, conf->listen_len);
    check_address(
        build, "admin", conf->admin, "listen", listen, conf->listen_len);
    check_address(build, "admin", conf->admin, "metrics", &conf->metrics, 1);
    if (build->memory_size != 0) {
        TELL(build, line_of(&build->where[CONF_MEMORY], "size"),
            "the memory tier is not in this version; write size = 0, or leave "
            "the section out");
    }
}

static void
check_limits(struct conf_build *build)
{
    const struct limits *l = &build->conf.proxy.conf.limits;
    const struct rule rules[] = {
        {l->field_max > l->head_max, "field_max",
            "'field_max' is above 'head_max': one field cannot be larger than "
            "the whole head"},
        {l->target_max > l->head_max, "target_max",
            "'target_max' is above 'head_max': the target is a part of the "
            "head"},
        {l->send_total_ms != 0 && l->send_total_ms < l->send_timeout_ms,
            "send_total",
            "'send_total' is below 'send_timeout', which could never pass"},
    };

    check_rules(build, &build->where[CONF_LIMITS], rules, ARRAY_LEN(rules));
}

/* The file is read as one of the text, which wipes its bytes in the end. */
static enum rc
check_password_file(struct conf_build *build, unsigned line)
{
    const char *path = build->password_file;
    char *own_path = strdup(path);
    size_t max = conf_option_find(CONF_REDIS, SLICE(CONF_SECRET))->max;
    struct slice secret;

    MUST(build->text != NULL); /* where the option was read */
    if (own_path == NULL) {
        return RC_NOMEM;
    }
    if (conf_text_add_file(build->text, own_path) != RC_OK) {
        TELL(build, line, "'password_file' = '%s': %s", path, strerror(errno));
        return RC_OK;
    }
    secret = buf_slice(&build->text->files[build->text->files_len - 1].bytes);
    if (secret.len > 0 && secret.ptr[secret.len - 1] == '\n') {
        secret.len--;
    }
    if (secret.len == 0 || secret.len > max || slice_find(secret, '\0') >= 0 ||
        slice_find(secret, '\n') >= 0) {
        TELL(build, line,
            "'password_file' = '%s': not one line of 1 to %zu bytes", path,
            max);
        return RC_OK;
    }
    build->conf.redis.password = conf_copy(&build->conf.arena, secret);
    return build->conf.redis.password == NULL ? RC_NOMEM : RC_OK;
}

static enum rc
check_redis(struct conf_build *build)
{
    struct redis_opts *redis = &build->conf.redis;
    const struct conf_where *where = &build->where[CONF_REDIS];
    bool has_password = redis->password != NULL;
    bool has_file = build->password_file != NULL;
    const struct rule rules[] = {
        {redis->command_timeout_ms > redis->hang_ms, "command_timeout",
            "'command_timeout' is above 'hang', after which the connection is "
            "closed"},
        {has_password && has_file, "password_file",
            "'password' and 'password_file' exclude each other"},
        {redis->user != NULL && !has_password && !has_file, "user",
            "'user' without a password; add password_file"},
    };

    if (where->line == 0 && redis->seeds_len == 0) {
        redis->mode = REDIS_MODE_OFF;
    }
    if (redis->mode != REDIS_MODE_OFF && redis->seeds_len == 0) {
        TELL(build, where->line,
            "section 'redis' names no seeds; write seeds = { "
            "\"redis-1:6379\" }, or mode = off");
    }
    if (redis->mode == REDIS_MODE_STANDALONE && redis->seeds_len > 1) {
        TELL(build, line_of(where, "seeds"),
            "mode = standalone has one server, 'seeds' names %zu",
            redis->seeds_len);
    }
    check_rules(build, where, rules, ARRAY_LEN(rules));
    return has_file && !has_password
               ? check_password_file(build, line_of(where, "password_file"))
               : RC_OK;
}

static void
check_origins(struct conf_build *build)
{
    if (build->origins_len == 0) {
        conf_errors_add(build->errors, build->text, 0,
            "no origin is named; write origin api { servers = { "
            "\"http://127.0.0.1:3000\" } }, or use --origin");
    }
    for (size_t i = 0; i < build->origins_len; i++) {
        const struct conf_origin *o = &build->origins[i];
        struct slice name = slice_of_str(o->opts.name);
        unsigned line = line_of(&o->where, "servers");

        if (!o->where.is_told &&
            (name.len == 0 || name.len > 64 || !conf_text_is_of(name, "_.-"))) {
            TELL(build, o->where.line,
                "the name of an origin has 1 to 64 letters, digits, '_', '.' "
                "or '-'");
        }
        if (o->opts.servers_len == 0) {
            TELL(build, line,
                "origin '%s' names no server; write servers = { "
                "\"http://127.0.0.1:3000\" }",
                o->opts.name);
        }
        if (o->opts.servers_len > 1) {
            TELL(build, line,
                "origin '%s' names %zu servers; this version takes one",
                o->opts.name, o->opts.servers_len);
        }
    }
}

/* Tells if there is no origin of that name; NULL is none. */
static void
check_name_of_origin(struct conf_build *build, const char *name, unsigned line)
{
    struct conf_guess guess = {.name = slice_of_str(name)};

    if (name == NULL ||
        conf_section_at(build, CONF_ORIGIN, slice_of_str(name)) != NULL) {
        return;
    }
    for (size_t i = 0; i < build->origins_len; i++) {
        conf_guess_at(&guess, slice_of_str(build->origins[i].opts.name));
    }
    TELL(build, line, "there is no origin '%s'%s%.*s%s", name,
        guess.found.len == 0 ? "" : "; did you mean '", SLICE_FMT(guess.found),
        guess.found.len == 0 ? "" : "'?");
}

/* The origin must exist; the only one need not be named. */
static void
check_route_origin(
    struct conf_build *build, struct conf_route *route, unsigned line)
{
    if (route->origin == NULL && build->origins_len == 1) {
        route->origin = build->origins[0].opts.name;
    } else if (route->origin == NULL && build->origins_len > 1) {
        TELL(build, line, "route \"%.*s\" does not say which origin it has",
            SLICE_FMT(route->opts.title));
    } else {
        check_name_of_origin(build, route->origin, line);
    }
}

static bool
is_min_above_max(const struct route *o)
{
    return o->ttl_max_ms != 0 && o->ttl_min_ms > o->ttl_max_ms;
}

static bool
is_nothing_forced(const struct route *o)
{
    return o->ttl_force != ROUTE_TTL_FORCE_OFF && o->ttl_ms == 0;
}

/* `defaults` are checked by this too. What they broke, and the route only
   inherits, is told there. */
static void
check_route_ttl(struct conf_build *build, const struct route *o,
    const struct conf_where *where)
{
    const struct route *defaults = &build->defaults.opts;
    unsigned line = set_in(where, "ttl_by_status");
    bool has_own_range = o == defaults || !is_min_above_max(defaults) ||
                         set_in(where, "ttl_min") != 0 ||
                         set_in(where, "ttl_max") != 0;
    bool has_own_force = o == defaults || !is_nothing_forced(defaults) ||
                         set_in(where, "ttl_force") != 0 ||
                         set_in(where, "ttl") != 0;
    const struct rule rules[] = {
        {has_own_range && is_min_above_max(o), "ttl_min",
            "'ttl_min' is above 'ttl_max'"},
        {has_own_force && is_nothing_forced(o), "ttl_force",
            "'ttl_force' needs a 'ttl' above 0"},
    };

    check_rules(build, where, rules, ARRAY_LEN(rules));
    for (size_t i = 0; i < o->status_ttls_len && line != 0; i++) {
        unsigned status = o->status_ttls[i].status;

        /* 0: it could not be read, and that was told. */
        for (size_t j = 0; j < i && status != 0; j++) {
            if (o->status_ttls[j].status == status) {
                TELL(build, line, "'ttl_by_status' names %u twice", status);
            }
        }
    }
}

/* A template's {name} must be one of the route's parameters. */
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
        if (!conf_title_has_param(&route->opts, name)) {
            TELL(build, line, "tag \"%s\": the route has no parameter ':%.*s'",
                tag, SLICE_FMT(name));
        }
    }
}

static void
warn_of_tags(struct conf_build *build, unsigned line)
{
    conf_errors_warn(build->errors, build->text, line,
        "'tags' are kept but have no effect in this version");
}

/* Tells if an earlier route matches exactly the requests that this one does. */
static void
check_route_twin(struct conf_build *build, const struct conf_route *route)
{
    for (const struct conf_route *r = build->routes; r < route; r++) {
        if (conf_title_is_same(&r->opts, &route->opts)) {
            TELL(build, route->where.line,
                "route \"%.*s\" matches the same requests as route \"%.*s\"",
                SLICE_FMT(route->opts.title), SLICE_FMT(r->opts.title));
            return;
        }
    }
}

static bool
is_credential(const struct route *o, struct slice name)
{
    for (size_t i = 0; i < o->credential_fields_len; i++) {
        if (slice_eq(o->credential_fields[i], name)) {
            return true;
        }
    }
    return slice_eq(name, SLICE("proxy-authorization"));
}

/* Why answers cannot vary by it; NULL: they can. */
static const char *
why_not_varied_by(const struct route *o, struct slice name)
{
    if (is_credential(o, name)) {
        return "a credential, which makes an answer for each client";
    }
    if (slice_eq(name, SLICE("forwarded")) ||
        slice_eq(name, SLICE("x-forwarded-for"))) {
        return "it differs with each client, since we write it ourselves";
    }
    return slice_eq(name, SLICE("*")) ? "not the name of a header field" : NULL;
}

static void
check_vary_on(struct conf_build *build, const struct route *o,
    const struct conf_where *where)
{
    unsigned line = set_in(where, "vary_on");

    line = line == 0 ? set_in(where, "credential_fields") : line;
    if (line == 0) {
        return; /* it was told in `defaults` */
    }
    if (o->vary_on_len > VARY_NAMES_MAX) {
        TELL(
            build, line, "'vary_on' names more than %d fields", VARY_NAMES_MAX);
    }
    for (size_t i = 0; i < o->vary_on_len; i++) {
        const char *why = why_not_varied_by(o, o->vary_on[i]);

        if (why != NULL) {
            TELL(build, line, "'vary_on' = '%.*s': %s",
                SLICE_FMT(o->vary_on[i]), why);
        }
    }
}

static void
check_route(struct conf_build *build, struct conf_route *route)
{
    const struct conf_where *where = &route->where;
    struct route *opts = &route->opts;
    unsigned methods = set_in(where, "methods");

    /* A wrong origin in `defaults` is told there: once is enough. */
    if (route->origin == NULL || route->origin != build->defaults.origin) {
        check_route_origin(build, route, line_of(where, "origin"));
    }
    check_route_ttl(build, &route->opts, where);
    check_vary_on(build, &route->opts, where);
    if (opts->method.len > 0 && methods != 0) {
        TELL(build, methods,
            "'methods' in a route whose title names the method %.*s",
            SLICE_FMT(opts->method));
    }
}

/* Checks what can only be checked when the title is good. */
static void
check_titled(struct conf_build *build, const struct conf_route *route)
{
    unsigned line = set_in(&route->where, "tags");

    check_route_twin(build, route);
    for (size_t i = 0; i < route->tags_len && line != 0; i++) {
        check_tag(build, route, route->tags[i], line);
    }
    if (route->tags_len > 0 && line != 0) {
        warn_of_tags(build, line);
    }
}

static enum rc
check_routes(struct conf_build *build)
{
    char why[CONF_WHY_MAX];

    for (size_t i = 0; i < build->routes_len; i++) {
        struct conf_route *route = &build->routes[i];
        enum rc rc = conf_title_read(&route->opts, &build->conf.arena, why);

        if (rc == RC_BAD && !route->where.is_told) {
            TELL(build, route->where.line, "route \"%.*s\": %s",
                SLICE_FMT(route->opts.title), why);
        } else if (rc != RC_OK && rc != RC_BAD) {
            return rc;
        }
        check_route(build, route);
        if (rc == RC_OK && !route->where.is_told) {
            check_titled(build, route);
        }
    }
    return RC_OK;
}

static void
check_defaults(struct conf_build *build)
{
    struct conf_route *defaults = &build->defaults;
    const struct conf_where *where = &build->where[CONF_DEFAULTS];

    if (defaults->origin != NULL) {
        check_route_origin(build, defaults, line_of(where, "origin"));
    }
    if (defaults->tags_len > 0) {
        warn_of_tags(build, line_of(where, "tags"));
    }
    check_route_ttl(build, &defaults->opts, where);
    check_vary_on(build, &defaults->opts, where);
}

enum rc
conf_check(struct conf_build *build)
{
    enum rc rc;

    check_top(build);
    check_limits(build);
    rc = check_redis(build);
    check_origins(build);
    check_name_of_origin(build, build->default_origin,
        line_of(&build->where[CONF_TOP], "default_origin"));
    check_defaults(build);
    return rc == RC_OK ? check_routes(build) : rc;
}
