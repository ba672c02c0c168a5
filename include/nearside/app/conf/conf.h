/*
 * The configuration: what the conf file and the command line say, checked,
 * with every default filled in. It holds the opts structs of the rooms below,
 * ready to be handed to them. The options themselves are listed in
 * src/app/conf/conf.def, one row each.
 *
 * A conf is read once and never changes. It owns all memory that it points
 * to, also what the opts point to; conf_free gives all of it back. Durations
 * are milliseconds (_ms), sizes are bytes.
 */
#ifndef NEARSIDE_APP_CONF_CONF_H
#define NEARSIDE_APP_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nearside/app/conf/text/errors.h"
#include "nearside/base/arena.h"
#include "nearside/base/log.h"
#include "nearside/origin/group.h"
#include "nearside/proxy/proxy.h"
#include "nearside/redis/redis.h"

enum conf_access_format {
    CONF_ACCESS_COMBINED,
    CONF_ACCESS_JSON,
};

/* The memory tier. */
enum {
    CONF_MEMORY_MIN = 1 << 20, /* with less it could keep next to nothing */
};

struct conf_memory {
    size_t size; /* bytes; 0: none; SIZE_MAX: auto */
};

enum {
    CONF_MAGIC = 0x434f4e46,
};

struct conf {
    uint32_t magic;
    struct arena arena;        /* all that the pointers point to */
    const char *const *listen; /* "127.0.0.1:8080", "[::]:80", "unix:/x" */
    size_t listen_len;         /* at least one */
    const char *metrics;       /* likewise; NULL: off */
    const char *admin;         /* likewise; NULL: off */
    bool admin_is_auto;        /* not named: may fail to be bound */
    unsigned workers;          /* 0: auto */
    int64_t drain_delay_ms;
    int64_t drain_timeout_ms;
    struct log_opts log;
    enum conf_access_format access_format;
    struct conf_memory memory;
    struct redis_opts redis; /* off without a redis section or --redis */
    struct origin_opts *origins;
    size_t origins_len; /* at least one */
    /* Without what the server makes: groups, redis, on_access, workers,
       fds_max. limits.connections_max is 0 for what the fds allow. */
    struct proxy_opts proxy;
};

struct conf_strings {
    const char **items;
    size_t count;
};

/* What the command line says; all borrowed for the call of conf_load. */
struct conf_flags {
    const char *path; /* -c; NULL: no file */
    const char *origin;
    struct conf_strings routes; /* PATTERN=TTL */
    struct conf_strings redis;
    struct conf_strings listen;
};

/*
 * Reads the file, then what else the command line says: --listen and --redis
 * take the place of what the file says; --origin that of the server of the
 * file's only origin, or it adds one named "origin"; --route adds a route, or
 * sets the ttl of the route of that title.
 *
 * *errors, initialised by the caller, gets all mistakes, and the warnings
 * too. RC_BAD: there are mistakes. RC_IO: the file cannot be read (also told
 * in errors). RC_NOMEM.
 */
enum rc conf_load(const struct conf_flags *flags, struct conf_errors *errors,
    struct conf **out_conf) RC_MUST_CHECK;

/* Secrets are wiped. NULL is allowed; *conf is NULL afterwards. */
void conf_free(struct conf **conf);

#endif
