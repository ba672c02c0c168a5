/*
 * The check of the whole conf, for mistakes that no single value shows: names
 * that must exist, options that contradict each other, addresses that can only
 * be had once, folders that are missing. It also fills in what the file need
 * not say: the password from its file, the place of the admin socket.
 * check_route.c has the routes, check_vary.c what their answers vary by.
 */
#include "app/conf/check.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nearside/app/conf/value/guess.h"
#include "nearside/app/conf/value/value.h"
#include "nearside/app/conf/text/lex.h"
#include "nearside/base/check.h"
#include "nearside/net/address.h"

/* Where systemd's RuntimeDirectory= and the packages put it. */
#define RUN_DIRECTORY "/run/nearside"

/* --- listeners and files ------------------------------------------------- */

/* Is it all addresses of its kind? */
static bool
is_any(const struct address *a)
{
    return a->u.any.sa_family == AF_INET
               ? a->u.v4.sin_addr.s_addr == htonl(INADDR_ANY)
               : IN6_IS_ADDR_UNSPECIFIED(&a->u.v6.sin6_addr);
}

enum clash {
    CLASH_NONE,
    CLASH_PORT, /* one of them is all addresses */
    CLASH_SAME,
};

/* Can a and b not be listened on both? Port 0 is any number of ports. IPv6 is
   listened on for IPv6 alone. */
static enum clash
clash_of(const char *a_text, const char *b_text)
{
    struct address a, b;
    bool is_unix;

    if (a_text == NULL || b_text == NULL ||
        address_parse(slice_of_str(a_text), &a) != RC_OK ||
        address_parse(slice_of_str(b_text), &b) != RC_OK) {
        return CLASH_NONE; /* told where it was read */
    }
    is_unix = a.u.any.sa_family == AF_UNIX;
    if (a.u.any.sa_family != b.u.any.sa_family ||
        address_port(&a) != address_port(&b) ||
        (!is_unix && address_port(&a) == 0)) {
        return CLASH_NONE;
    }
    if (a.len == b.len && memcmp(&a.u, &b.u, a.len) == 0) {
        return CLASH_SAME;
    }
    return !is_unix && (is_any(&a) || is_any(&b)) ? CLASH_PORT : CLASH_NONE;
}

/* Tells if the option's address is taken by those of another option. */
static void
check_address(struct conf_build *build, const char *option, const char *text,
    const char *by, const struct conf_texts *taken)
{
    unsigned line = conf_line_of(&build->where[CONF_TOP], option);

    for (size_t i = 0; i < taken->len; i++) {
        switch (clash_of(text, taken->items[i])) {
        case CLASH_NONE:
            break;
        case CLASH_PORT:
            TELL(build, line, "'%s' = '%s': '%s' has that port too ('%s')",
                option, text, by, taken->items[i]);
            break;
        case CLASH_SAME:
            TELL(build, line, "'%s' = '%s': this is an address of '%s' too",
                option, text, by);
            break;
        }
    }
}

/* The same among the addresses of `listen`. */
static void
check_listen(struct conf_build *build)
{
    const char *const *listen = build->conf.listen;
    unsigned line = conf_line_of(&build->where[CONF_TOP], "listen");

    if (build->conf.listen_len == 0) {
        TELL(build, line, "'listen' names no address");
    }
    for (size_t i = 0; i < build->conf.listen_len; i++) {
        for (size_t j = 0; j < i; j++) {
            enum clash clash = clash_of(listen[i], listen[j]);

            if (clash == CLASH_SAME) {
                TELL(build, line, "'listen' names '%s' twice", listen[i]);
            } else if (clash == CLASH_PORT) {
                TELL(build, line, "'listen' = '%s': '%s' has that port too",
                    listen[i], listen[j]);
            }
        }
    }
}

/* What the path's folder lacks is told as a warning, since whoever starts the
   daemon may make it first. text: the option's value. */
static void
check_folder(struct conf_build *build, const struct conf_where *where,
    const char *option, const char *text)
{
    const char *path = text == NULL ? NULL : strchr(text, ':') + 1;
    const char *slash = path == NULL ? NULL : strrchr(path, '/');
    char folder[4096];
    struct stat st;

    if (slash == NULL || slash == path ||
        (size_t)(slash - path) >= sizeof(folder)) {
        return;
    }
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = '\0';
    errno = ENOTDIR;
    if (stat(folder, &st) == 0 && S_ISDIR(st.st_mode)) {
        return;
    }
    WARN(build, conf_line_of(where, option),
        "'%s' = '%s': there is no folder '%s' (%s)", option, text, folder,
        strerror(errno));
}

static void
check_socket_folder(
    struct conf_build *build, const char *option, const char *text)
{
    if (text != NULL && strncmp(text, "unix:", 5) == 0) {
        check_folder(build, &build->where[CONF_TOP], option, text);
    }
}

static void
check_log_folder(struct conf_build *build, enum conf_section section,
    const struct log_sink_opts *sink)
{
    char text[4096];

    if (sink->target == LOG_TARGET_FILE) {
        snprintf(text, sizeof(text), "file:%s", sink->path);
        check_folder(build, &build->where[section], "target", text);
    }
}

static void
check_folders(struct conf_build *build)
{
    const struct conf *conf = &build->conf;

    check_log_folder(build, CONF_ACCESS_LOG, &conf->log.access);
    check_log_folder(build, CONF_ERROR_LOG, &conf->log.events);
    for (size_t i = 0; i < conf->listen_len; i++) {
        check_socket_folder(build, "listen", conf->listen[i]);
    }
    check_socket_folder(build, "metrics", conf->metrics);
    check_socket_folder(build, "admin", conf->admin);
}

static void
check_top(struct conf_build *build)
{
    struct conf *conf = &build->conf;
    const struct conf_texts listen = {conf->listen, conf->listen_len};
    const struct conf_texts metrics = {&conf->metrics, 1};

    if (conf->admin != NULL && strcmp(conf->admin, "auto") == 0) {
        conf->admin_is_auto = true;
        conf->admin = access(RUN_DIRECTORY, W_OK | X_OK) == 0
                          ? "unix:" RUN_DIRECTORY "/admin.sock"
                          : NULL;
    }
    check_listen(build);
    check_address(build, "metrics", conf->metrics, "listen", &listen);
    check_address(build, "admin", conf->admin, "listen", &listen);
    check_address(build, "admin", conf->admin, "metrics", &metrics);
    check_folders(build);
}

/* --- the sections -------------------------------------------------------- */

static void
check_limits(struct conf_build *build)
{
    const struct limits *l = &build->conf.proxy.conf.limits;
    const struct conf_rule rules[] = {
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

    conf_check_rules(
        build, &build->where[CONF_LIMITS], rules, ARRAY_LEN(rules));
}

/* The file is read as one of the text, which wipes its bytes in the end. */
static enum rc
check_password_file(struct conf_build *build, unsigned line)
{
    const char *path = build->conf.redis.password_file;
    char *own_path = strdup(path);
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
    if (redis_password_parse(secret, &secret) != RC_OK) {
        TELL(build, line,
            "'password_file' = '%s': not one line of 1 to %d bytes", path,
            REDIS_PASSWORD_MAX);
        return RC_OK;
    }
    build->conf.redis.password = conf_copy(&build->conf.arena, secret);
    return build->conf.redis.password == NULL ? RC_NOMEM : RC_OK;
}

/* With so little that no body fits, nothing would be stored, though answers
   would say so. */
static void
check_memory(struct conf_build *build)
{
    const struct conf_memory *memory = &build->conf.memory;
    unsigned line = conf_line_of(&build->where[CONF_MEMORY], "size");

    if (memory->size != 0 && memory->size < CONF_MEMORY_MIN) {
        TELL(build, line, "'size' is too small; at least 1MB, or 0 for none");
    }
}

/* An address that is announced is reached in one place. */
static void
check_address_map(struct conf_build *build)
{
    const struct address_map *map = &build->conf.redis.address_map;
    unsigned line = conf_line_of(&build->where[CONF_REDIS], "address_map");

    for (size_t i = 0; i < map->rows_len; i++) {
        struct slice host = slice_of_str(map->rows[i].host);
        const struct address_map before = {map->rows, i};
        uint16_t port = map->rows[i].port;

        address_map_apply(&before, &host, &port);
        if (host.ptr != map->rows[i].host) {
            TELL(build, line, "'address_map' names '%s:%u' twice",
                map->rows[i].host, (unsigned)map->rows[i].port);
        }
    }
}

static enum rc
check_redis(struct conf_build *build)
{
    struct redis_opts *redis = &build->conf.redis;
    const struct conf_where *where = &build->where[CONF_REDIS];
    bool has_password = redis->password != NULL;
    bool has_file = build->conf.redis.password_file != NULL;
    const struct conf_rule rules[] = {
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
        TELL(build, conf_line_of(where, "seeds"),
            "mode = standalone has one server, 'seeds' names %zu",
            redis->seeds_len);
    }
    conf_check_rules(build, where, rules, ARRAY_LEN(rules));
    check_address_map(build);
    check_memory(build);
    return has_file && !has_password ? check_password_file(build,
                                           conf_line_of(where, "password_file"))
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
        unsigned line = conf_line_of(&o->where, "servers");

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

enum rc
conf_check(struct conf_build *build)
{
    enum rc rc;

    MUST(build->errors != NULL);
    check_top(build);
    check_limits(build);
    rc = check_redis(build);
    check_origins(build);
    conf_check_origin_name(build, build->default_origin,
        conf_line_of(&build->where[CONF_TOP], "default_origin"));
    return rc == RC_OK ? conf_check_routes(build) : rc;
}
