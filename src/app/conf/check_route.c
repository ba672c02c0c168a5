/*
 * The check of the routes: an origin for each, options that contradict each
 * other, routes that no request can reach, and writes that leave stale what
 * another route has stored. It fills in the only origin.
 */
#include "app/conf/check.h"

#include "nearside/app/conf/value/value.h"
#include "nearside/base/check.h"

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
        conf_check_origin_name(build, route->origin, line);
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
    unsigned line = conf_set_in(where, "ttl_by_status");
    bool has_own_range = o == defaults || !is_min_above_max(defaults) ||
                         conf_set_in(where, "ttl_min") != 0 ||
                         conf_set_in(where, "ttl_max") != 0;
    bool has_own_force = o == defaults || !is_nothing_forced(defaults) ||
                         conf_set_in(where, "ttl_force") != 0 ||
                         conf_set_in(where, "ttl") != 0;
    const struct conf_rule rules[] = {
        {has_own_range && is_min_above_max(o), "ttl_min",
            "'ttl_min' is above 'ttl_max'"},
        {has_own_force && is_nothing_forced(o), "ttl_force",
            "'ttl_force' needs a 'ttl' above 0"},
    };

    conf_check_rules(build, where, rules, ARRAY_LEN(rules));
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

/* Tells if an earlier route has all the requests that this one could have. */
static void
check_route_reached(struct conf_build *build, const struct conf_route *route)
{
    for (const struct conf_route *r = build->routes; r < route; r++) {
        if (!conf_title_covers(&r->opts, &route->opts)) {
            continue;
        }
        if (conf_title_covers(&route->opts, &r->opts)) {
            TELL(build, route->where.line,
                "route \"%.*s\" matches the same requests as route \"%.*s\"",
                SLICE_FMT(route->opts.title), SLICE_FMT(r->opts.title));
        } else {
            TELL(build, route->where.line,
                "route \"%.*s\" is never reached: route \"%.*s\" before it has "
                "all its requests; let the special one come first",
                SLICE_FMT(route->opts.title), SLICE_FMT(r->opts.title));
        }
        return;
    }
}

/* Is the host one that the conf names elsewhere? None is named: yes. */
static bool
is_host_served(const struct conf_build *build, struct slice host)
{
    const struct proxy_conf_opts *opts = &build->conf.proxy.conf;
    size_t i = 0;

    while (i < opts->hosts_len &&
           !route_host_matches(slice_of_str(opts->hosts[i]), host) &&
           !route_host_matches(host, slice_of_str(opts->hosts[i]))) {
        i++;
    }
    return i < opts->hosts_len || opts->hosts_len == 0;
}

/* Does it look more like the first piece of a path than like a host? written:
   the host as it stands in the title. */
static bool
is_like_a_piece(
    const struct conf_build *build, struct slice host, struct slice written)
{
    const struct proxy_conf_opts *opts = &build->conf.proxy.conf;

    return slice_find(written, '.') < 0 && slice_find(written, ':') < 0 &&
           !slice_eq(host, SLICE("localhost")) && opts->hosts_len == 0 &&
           !slice_eq(host, slice_of_str(opts->default_host));
}

static void
check_route_host(struct conf_build *build, const struct conf_route *route)
{
    struct slice title = route->opts.title, host = route->opts.host;
    struct slice method = route->opts.method;
    struct slice rest = slice_skip(title, method.len + (method.len > 0));

    if (host.len == 0) {
        return;
    }
    if (!is_host_served(build, host)) {
        WARN(build, route->where.line,
            "route \"%.*s\" is never reached: '%.*s' is not among 'hosts'",
            SLICE_FMT(title), SLICE_FMT(host));
    } else if (is_like_a_piece(build, host,
                   slice_of(rest.ptr, (size_t)slice_find(rest, '/')))) {
        WARN(build, route->where.line,
            "route \"%.*s\": '%.*s' is taken for a host, as no '/' stands "
            "before it; did you mean \"%.*s%s/%.*s\"?",
            SLICE_FMT(title), SLICE_FMT(host), SLICE_FMT(method),
            method.len > 0 ? " " : "", SLICE_FMT(rest));
    }
}

/* --- writes that leave stale hits ---------------------------------------- */

static bool
takes_writes(const struct route *route)
{
    return route_allows(route, SLICE("PUT")) ||
           route_allows(route, SLICE("POST")) ||
           route_allows(route, SLICE("PATCH")) ||
           route_allows(route, SLICE("DELETE"));
}

static bool
is_write_left_alone(const struct route *route)
{
    return route->write == ROUTE_WRITE_PASS && takes_writes(route) &&
           !slice_eq(route->method, SLICE("GET")) &&
           !slice_eq(route->method, SLICE("HEAD")) &&
           !slice_eq(route->method, SLICE("OPTIONS"));
}

/* A route that stores what a write by this route would change; NULL: none. The
   first route that reads all of its targets is the last that can. */
static const struct route *
left_stale_by(const struct conf_build *build, const struct route *write)
{
    struct route as_read = *write;

    as_read.method = SLICE("GET");
    for (size_t i = 0; is_write_left_alone(write) && i < build->routes_len;
         i++) {
        const struct route *read = &build->routes[i].opts;

        if (read->read != ROUTE_READ_PASS &&
            (read->method.len == 0 || slice_eq(read->method, SLICE("GET"))) &&
            conf_title_meets(read, write)) {
            return read;
        }
        if (conf_title_covers(read, &as_read)) {
            break;
        }
    }
    return NULL;
}

/* Once in the line that says so, be it in `defaults` for many routes. */
static void
check_writes(struct conf_build *build)
{
    unsigned inherited = conf_set_in(&build->where[CONF_DEFAULTS], "write");
    unsigned told = 0;

    for (size_t i = 0; i < build->routes_len; i++) {
        const struct conf_route *route = &build->routes[i];
        const struct route *read = left_stale_by(build, &route->opts);
        unsigned line = conf_set_in(&route->where, "write");

        line = line == 0 ? inherited : line;
        if (read == NULL || line == told) {
            continue;
        }
        told = line;
        WARN(build, line,
            "'write = pass' leaves what route \"%.*s\" has stored as it is, "
            "and readers get that until its time is over; write = invalidate "
            "deletes it",
            SLICE_FMT(read->title));
    }
}

static bool
is_none_counted(const struct route *o)
{
    return o->cookies_len > 0 && o->cookie == ROUTE_CREDENTIAL_IGNORE;
}

/* The line that gives a route its key_host, be it one of `defaults`. */
static unsigned
key_host_line(const struct conf_build *build, const struct conf_route *route)
{
    unsigned line = conf_set_in(&route->where, "key_host");

    return line != 0 ? line
                     : conf_set_in(&build->where[CONF_DEFAULTS], "key_host");
}

/* Does the route's origin get the client's host, of which not all is keyed? */
static bool
is_host_unkeyed(const struct conf_build *build, const struct conf_route *route)
{
    if (route->opts.key_host == ROUTE_KEY_HOST_FULL || route->origin == NULL) {
        return false;
    }
    for (size_t i = 0; i < build->origins_len; i++) {
        if (strcmp(build->origins[i].opts.name, route->origin) == 0) {
            return build->origins[i].host == NULL;
        }
    }
    return false; /* there is no such origin, which was told */
}

/* What is not keyed of the host must not reach the origin: it might come back
   in what everybody gets. Told once for a line and an origin. */
static void
check_key_host(struct conf_build *build, const struct conf_route *route)
{
    unsigned line = key_host_line(build, route);

    if (!is_host_unkeyed(build, route)) {
        return;
    }
    MUST(line != 0); /* it is not the default */
    for (const struct conf_route *r = build->routes; r < route; r++) {
        if (is_host_unkeyed(build, r) && key_host_line(build, r) == line &&
            strcmp(r->origin, route->origin) == 0) {
            return;
        }
    }
    TELL(build, line,
        "'key_host' needs a 'host' of origin '%s', to be sent in place of the "
        "client's",
        route->origin);
}

/* Told where a line of the section has made it so. */
static void
check_cookies(struct conf_build *build, const struct route *o,
    const struct conf_where *where)
{
    unsigned line = conf_set_in(where, "cookies");

    line = line == 0 ? conf_set_in(where, "cookie") : line;
    if (line != 0 && is_none_counted(o)) {
        TELL(build, line,
            "'cookies' names those that count, and 'cookie' = ignore drops "
            "them all");
    }
}

static void
check_route(struct conf_build *build, struct conf_route *route)
{
    const struct conf_where *where = &route->where;
    struct route *opts = &route->opts;
    unsigned methods = conf_set_in(where, "methods");

    /* A wrong origin in `defaults` is told there: once is enough. */
    if (route->origin == NULL || route->origin != build->defaults.origin) {
        check_route_origin(build, route, conf_line_of(where, "origin"));
    }
    check_route_ttl(build, &route->opts, where);
    check_key_host(build, route);
    conf_check_vary_on(build, &route->opts, where);
    check_cookies(build, &route->opts, where);
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
    unsigned line = conf_set_in(&route->where, "tags");

    check_route_reached(build, route);
    check_route_host(build, route);
    for (size_t i = 0; i < route->tags_len && line != 0; i++) {
        check_tag(build, route, route->tags[i], line);
    }
    if (route->tags_len > 0 && line != 0) {
        warn_of_tags(build, line);
    }
}

static enum rc
check_each(struct conf_build *build)
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
        check_route_origin(build, defaults, conf_line_of(where, "origin"));
    }
    if (defaults->tags_len > 0) {
        warn_of_tags(build, conf_line_of(where, "tags"));
    }
    check_route_ttl(build, &defaults->opts, where);
    conf_check_vary_on(build, &defaults->opts, where);
    check_cookies(build, &defaults->opts, where);
}

enum rc
conf_check_routes(struct conf_build *build)
{
    enum rc rc;

    check_defaults(build);
    rc = check_each(build);
    if (rc == RC_OK) {
        check_writes(build);
    }
    return rc;
}
