/*
 * The configuration: what the conf file and the command line say, checked
 * and with every default filled in. It is read once and never changes; the
 * server hands each room the words that room needs. The options themselves
 * are listed in src/app/conf.def, one row each.
 *
 * Durations are milliseconds (_ms), sizes are bytes. All pointers belong to
 * the conf and end with conf_free.
 */
#ifndef NEARSIDE_APP_CONF_H
#define NEARSIDE_APP_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "nearside/base/arena.h"
#include "nearside/base/log.h"

struct conf_strings {
    const char **items; /* NULL when count is 0 */
    size_t count;
};

/* A network in CIDR notation: 10.0.0.0/8, 2001:db8::/32. */
struct conf_net {
    bool is_v6;
    uint8_t address[16]; /* network order; 4 bytes with !is_v6; host bits 0 */
    unsigned bits;       /* of the prefix */
};

struct conf_nets {
    struct conf_net *items;
    size_t count;
};

enum conf_access_format {
    CONF_ACCESS_COMBINED,
    CONF_ACCESS_JSON,
};

/* off, stdout, stderr, syslog, file:/path */
struct conf_target {
    enum log_target target;
    const char *path; /* with LOG_TARGET_FILE, else NULL */
};

struct conf_access_log {
    struct conf_target target;
    enum conf_access_format format;
};

struct conf_error_log {
    struct conf_target target;
    enum log_level level;
    unsigned rate_max; /* events of one name a second */
};

struct conf_memory {
    size_t size; /* 0: no memory tier; nothing else in this version */
};

enum conf_redis_mode {
    CONF_REDIS_OFF,
    CONF_REDIS_CLUSTER,
    CONF_REDIS_STANDALONE,
};

struct conf_redis {
    enum conf_redis_mode mode;   /* off without a redis section or --redis */
    struct conf_strings seeds;   /* "host:port"; at least one unless off */
    const char *user;            /* NULL: none */
    const char *password;        /* NULL: none; from password_file too */
    const char *password_file;   /* NULL: none; already read */
    const char *prefix;          /* of every key, "ns:" */
    const char *client_name;     /* CLIENT SETNAME */
    int64_t command_timeout_ms;  /* the request's deadline */
    int64_t connect_timeout_ms;  /* of one connection */
    int64_t hang_ms;             /* oldest command's age that ends it */
    int64_t refresh_interval_ms; /* of the cluster map */
    unsigned in_flight_max;      /* commands a connection */
    size_t in_flight_bytes_max;  /* unsent and unanswered, a connection */
};

struct conf_limits {
    /* Requests. */
    size_t head_max;
    size_t field_max;
    size_t field_name_max;
    unsigned fields_max;
    size_t target_max;
    int64_t head_timeout_ms; /* for the whole head */
    int64_t body_timeout_ms; /* for a gap between two parts */
    size_t body_min_rate;    /* bytes a second; 0: none */
    int64_t body_min_rate_after_ms;
    size_t body_max; /* 0: no limit */
    int64_t idle_timeout_ms;
    unsigned requests_per_connection; /* 0: no limit */
    /* Answers to clients. */
    int64_t send_timeout_ms;     /* for a gap */
    int64_t send_total_ms;       /* for the whole answer; 0: none */
    size_t buffer_max;           /* a connection and direction */
    size_t held_max;             /* of all connections, by slow readers */
    unsigned connections_max;    /* 0: auto, from the fds allowed */
    unsigned connections_per_ip; /* 0: no limit */
    /* Responses of origins. */
    size_t response_head_max;
    unsigned response_fields_max;
    /* Entries and flights. */
    size_t object_max;
    int64_t flight_wait_ms; /* a waiter's patience, then its own fetch */
    unsigned variants_max;  /* of one key */
    unsigned flights_max;   /* open at once */
    unsigned new_keys_max;  /* a second, stored unseen; 0: no limit */
};

struct conf_origin {
    const char *name;
    struct conf_strings servers; /* "http://host:port", "unix:/path"; one */
    const char *host;            /* Host to send; NULL: the client's own */
    int64_t connect_timeout_ms;
    int64_t first_byte_timeout_ms;
    int64_t between_bytes_timeout_ms;
    int64_t total_timeout_ms; /* 0: none */
    int64_t idle_timeout_ms;  /* of a pooled connection */
    int64_t resolve_interval_ms;
    unsigned connections_max; /* 0: no limit */
    unsigned idle_max;        /* a worker */
    bool reuse_after_body;    /* of POST, PUT, PATCH; and after HEAD */
};

enum conf_read {
    CONF_READ_CACHE_ASIDE,
    CONF_READ_PASS,
};

enum conf_write {
    CONF_WRITE_INVALIDATE,
    CONF_WRITE_PASS,
};

/* Of `cookie` and `authorization`: how a request that carries it is served. */
enum conf_credential {
    CONF_CREDENTIAL_AUTO,   /* only what the origin marked shareable */
    CONF_CREDENTIAL_BYPASS, /* neither looked up nor stored */
    CONF_CREDENTIAL_IGNORE, /* neither keyed nor forwarded */
    CONF_CREDENTIAL_KEY,    /* part of the key */
};

enum conf_set_cookie {
    CONF_SET_COOKIE_BYPASS, /* a response with Set-Cookie is not stored */
    CONF_SET_COOKIE_STRIP,  /* stored and delivered without it */
    CONF_SET_COOKIE_STORE,  /* stored with it */
};

/* What of RFC 9111's freedom is used where a route says nothing else. */
enum conf_preset {
    CONF_PRESET_SAFE,
    CONF_PRESET_RFC, /* all that a shared cache may do */
};

/* Directives of requests, only-if-cached apart, which always counts. */
enum conf_client_cache_control {
    CONF_CLIENT_CACHE_CONTROL_IGNORE,
    CONF_CLIENT_CACHE_CONTROL_HONOUR,
};

/* By which fields a response may vary and be stored. */
enum conf_vary {
    CONF_VARY_BOUNDED, /* not Cookie, Authorization, User-Agent */
    CONF_VARY_ANY,
};

enum conf_cache_status {
    CONF_CACHE_STATUS_ON,
    CONF_CACHE_STATUS_KEY, /* with the key */
    CONF_CACHE_STATUS_OFF,
};

/* How long an answer of that status is kept that says nothing itself. */
struct conf_status_ttl {
    unsigned status;
    int64_t ttl_ms;
};

struct conf_status_ttls {
    struct conf_status_ttl *items;
    size_t count;
};

enum conf_query_kind {
    CONF_QUERY_ALL,  /* keyed byte by byte */
    CONF_QUERY_NONE, /* leaves key and request */
    CONF_QUERY_LIST, /* only the parameters named stay */
};

struct conf_query {
    enum conf_query_kind kind;
    struct conf_strings names; /* with CONF_QUERY_LIST */
};

enum conf_segment_kind {
    CONF_SEGMENT_LITERAL, /* these bytes; empty at the end of "/a/" */
    CONF_SEGMENT_PARAM,   /* one segment, not empty */
    CONF_SEGMENT_TAIL,    /* the last one: all that is left, maybe nothing */
};

struct conf_segment {
    enum conf_segment_kind kind;
    const char *text; /* the literal, or the parameter's name; tail: "*" */
};

/* A path, cut at each '/' behind the first: "/a/:id" is {a} {:id}. */
struct conf_pattern {
    struct conf_segment *segments;
    size_t count; /* at least one */
};

struct conf_route {
    const char *title;  /* as written; NULL in `defaults` */
    const char *method; /* "PUT"; NULL: any */
    const char *host;   /* lower-case, no default port; NULL: any */
    struct conf_pattern pattern;
    const char *origin; /* name of an origin that exists */
    enum conf_read read;
    enum conf_write write;
    int64_t ttl_ms; /* where the origin states no freshness; 0: none */
    int64_t ttl_min_ms;
    int64_t ttl_max_ms; /* 0: no limit */
    bool ttl_force;     /* ttl wins over what the origin states */
    unsigned ttl_jitter_percent;
    struct conf_status_ttls ttl_by_status;
    int64_t grace_ms;
    int64_t keep_ms; /* past freshness, to be validated */
    enum conf_preset preset;
    bool heuristic;
    enum conf_client_cache_control client_cache_control;
    struct conf_strings targeted; /* lower-case field names */
    bool targeted_pass;
    enum conf_vary vary;
    bool store_post;
    enum conf_cache_status cache_status;
    struct conf_query query;
    enum conf_credential cookie;
    enum conf_credential authorization;
    enum conf_set_cookie set_cookie;
    struct conf_strings credential_fields; /* lower-case field names */
    struct conf_strings methods;           /* none: all; others: 405 */
    struct conf_strings tags;              /* kept, without effect so far */
};

enum {
    CONF_MAGIC = 0x434f4e46,
};

struct conf {
    uint32_t magic;
    struct arena arena;         /* all that the pointers point to */
    const char *path;           /* of the file; NULL: flags alone */
    struct conf_strings listen; /* "127.0.0.1:8080", "[::]:80", "unix:/x" */
    const char *metrics;        /* likewise; NULL: off */
    const char *admin;          /* likewise; NULL: off */
    struct conf_nets trusted_proxies;
    unsigned workers; /* 0: auto */
    int64_t drain_delay_ms;
    int64_t drain_timeout_ms;
    struct conf_strings hosts; /* lower-case; none: any host is served */
    const char *default_host;  /* for HTTP/1.0 without Host; NULL: 400 */
    const char *via;           /* our name in Via and Cache-Status */
    struct conf_access_log access_log;
    struct conf_error_log error_log;
    struct conf_memory memory;
    struct conf_redis redis;
    struct conf_limits limits;
    struct conf_origin *origins;
    size_t origins_count;       /* at least one */
    struct conf_route defaults; /* where every route starts */
    struct conf_route *routes;  /* in the file's order */
    size_t routes_count;
};

enum {
    CONF_ERRORS_MAX = 100, /* more are counted, not kept */
};

struct conf_error {
    char *text;      /* owned: "file:12: what, and what was meant" */
    unsigned line;   /* of the text with its includes, for the order */
    bool is_warning; /* the file is still good */
};

struct conf_errors {
    struct conf_error items[CONF_ERRORS_MAX];
    size_t count;    /* of items */
    size_t mistakes; /* warnings apart; those dropped included */
};

/* What the command line says; all borrowed for the call of conf_read. */
struct conf_flags {
    const char *path; /* -c; NULL: no file */
    const char *origin;
    struct conf_strings routes; /* PATTERN=TTL */
    struct conf_strings redis;
    struct conf_strings listen;
};

void conf_errors_init(struct conf_errors *errors);
void conf_errors_fini(struct conf_errors *errors);

/* One line each, in the order of the file. */
void conf_errors_print(const struct conf_errors *errors, FILE *to);

/*
 * Reads a file. All mistakes of it are in *errors, warnings too; errors was
 * initialised by the caller. RC_BAD: there are mistakes. RC_IO: the file
 * cannot be read (also told in errors). RC_NOMEM.
 */
enum rc conf_load(const char *path, struct conf_errors *errors,
    struct conf **out_conf) RC_MUST_CHECK;

/*
 * The same for a command line. --listen and --redis take the place of what
 * the file says; --origin that of the server of the file's only origin, or
 * it adds one named "origin"; --route adds a route, or sets the ttl of the
 * route of that title.
 */
enum rc conf_load_flags(const struct conf_flags *flags,
    struct conf_errors *errors, struct conf **out_conf) RC_MUST_CHECK;

/*
 * The same for text in memory, named `name` in messages (the fuzzer's way in);
 * it counts as a file that only its owner can read.
 */
enum rc conf_load_text(struct slice text, const char *name,
    struct conf_errors *errors, struct conf **out_conf) RC_MUST_CHECK;

/* Secrets are wiped. NULL is allowed; *conf is NULL afterwards. */
void conf_free(struct conf **conf);

#endif
