/*
 * The configuration as requests see it: routes, names, trusted networks and
 * limits. It is a counted, immutable snapshot. A request takes the one in
 * force when it starts and keeps it until the request has been accounted
 * for. What must outlive a snapshot (pools, metric cells) is found by name
 * or index, and is no part of it.
 */
#ifndef NEARSIDE_RULES_CONF_H
#define NEARSIDE_RULES_CONF_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "nearside/rules/route.h"

/* A network whose X-Forwarded-* and Forwarded fields are believed. */
struct proxy_net {
    bool is_v6;
    uint8_t address[16];
    unsigned bits;
};

/* What holds for every connection, request and stored response, whatever its
   route. Whoever makes a snapshot sets all of them; the defaults stand in the
   conf's table. 0 means no limit where the field says so. */
struct limits {
    size_t head_max;
    size_t field_max;
    size_t field_name_max;
    unsigned fields_max;
    size_t target_max;
    int64_t head_timeout_ms; /* the whole head */
    int64_t body_timeout_ms; /* a gap */
    size_t body_min_rate;    /* bytes a second; 0: none */
    int64_t body_min_rate_after_ms;
    uint64_t body_max; /* 0: none */
    int64_t idle_timeout_ms;
    unsigned requests_per_connection; /* 0: none */
    int64_t send_timeout_ms;          /* a gap */
    int64_t send_total_ms;            /* 0: none */
    size_t send_min_rate;             /* bytes a second; 0: none */
    int64_t send_min_rate_after_ms;
    int64_t linger_timeout_ms; /* a gap */
    int64_t linger_total_ms;
    unsigned linger_max; /* all connections */
    size_t buffer_max;   /* a connection and way */
    uint64_t held_max;   /* all connections */
    unsigned connections_max;
    unsigned connections_per_ip; /* 0: none */
    size_t object_max;
    int64_t flight_wait_ms;
    unsigned variants_max; /* of one key */
    unsigned flights_max;
    unsigned new_keys_max; /* a second; 0: none */
};

/* What a snapshot is made of. All pointers are borrowed until it is freed. */
struct proxy_conf_opts {
    const struct route *routes;
    size_t routes_len;
    size_t groups_len;
    size_t default_group; /* gets what no route matches; groups_len: none */
    const struct slice *group_hosts; /* Host for each; empty: the client's */
    const struct slice *group_names; /* of the origins, in the conf */
    const char *prefix;              /* of every key in Redis */
    const char *via;                 /* our name in Via and Cache-Status */
    const char *default_host; /* NULL: HTTP/1.0 without Host is refused */
    const char *const *hosts; /* lower-case; none: any; else 421 */
    size_t hosts_len;
    const struct proxy_net *trusted;
    size_t trusted_len;
    struct limits limits;
};

#define PROXY_CONF_MAGIC UINT32_C(0x6e636e66)

struct proxy_conf {
    uint32_t magic;
    _Atomic uint32_t refs;
    struct proxy_conf_opts opts;
    struct slice prefix;
    struct slice via;    /* "1.1 name", a member of Via */
    struct slice name;   /* our name */
    struct slice member; /* the name as Cache-Status has it (RFC 9211 2) */
    struct slice hit;    /* lines of a hit: Via, and Cache-Status up to the
                            number of its ttl */
};

/* One reference. NULL: no memory. */
struct proxy_conf *proxy_conf_new(const struct proxy_conf_opts *opts);
struct proxy_conf *proxy_conf_ref(struct proxy_conf *conf);
void proxy_conf_unref(struct proxy_conf **conf);

#endif
