/*
 * Questions for tests of the rules: a snapshot with a route of each kind, and
 * what a request, given as its bytes, becomes by it.
 */
#ifndef TESTS_UNIT_RULES_GIVEN_H
#define TESTS_UNIT_RULES_GIVEN_H

#include <stdio.h>

#include "limits_given.h"
#include "nearside/base/check.h"
#include "nearside/cache/codec.h"
#include "nearside/http/parse.h"
#include "nearside/rules/question.h"

/* Rows of the snapshot's routes. */
enum {
    ROW_ITEM,  /* /item/:id, of origin 1: query c, no Cookie, few methods */
    ROW_QUIET, /* PUT /quiet/:id: writes that invalidate nothing */
    ROW_PASS,  /* /pass/...: reads that are not cached */
    ROW_KEYED, /* /keyed/...: by Cookie */
    ROW_ANY,   /* /any/... */
    ROWS,
};

enum {
    GROUPS = 2,
};

/* A test may change the options, and then makes the snapshot. */
struct rules {
    struct hash_key hash_key;
    struct question_pool pool;
    struct route routes[ROWS];
    struct slice group_hosts[GROUPS];
    struct proxy_conf_opts opts;
    struct proxy_conf *conf;
    struct arena arena;
    struct address peer;
};

#define LITERAL(text)                                                          \
    {                                                                          \
        ROUTE_SEGMENT_LITERAL,                                                 \
        {                                                                      \
            text, sizeof(text) - 1                                             \
        }                                                                      \
    }
#define PARAM                                                                  \
    {                                                                          \
        ROUTE_SEGMENT_PARAM,                                                   \
        {                                                                      \
            NULL, 0                                                            \
        }                                                                      \
    }
#define TAIL                                                                   \
    {                                                                          \
        ROUTE_SEGMENT_TAIL,                                                    \
        {                                                                      \
            NULL, 0                                                            \
        }                                                                      \
    }

static const struct slice given_groups[GROUPS] = {{"api", 3}, {"items", 5}};
static const struct slice given_names[] = {{"c", 1}};
static const struct slice given_methods[] = {
    {"GET", 3}, {"PUT", 3}, {"POST", 4}};
static const struct route_segment given_segments[ROWS][2] = {
    [ROW_ITEM] = {LITERAL("item"), PARAM},
    [ROW_QUIET] = {LITERAL("quiet"), PARAM},
    [ROW_PASS] = {LITERAL("pass"), TAIL},
    [ROW_KEYED] = {LITERAL("keyed"), TAIL},
    [ROW_ANY] = {LITERAL("any"), TAIL},
};

static inline struct proxy_net
given_net(const char *ip, unsigned bits)
{
    struct proxy_net net = {.bits = bits};
    struct address address;

    assert_int_equal(address_of(slice_of_str(ip), 0, &address), RC_OK);
    net.is_v6 = address.u.any.sa_family == AF_INET6;
    if (net.is_v6) {
        memcpy(net.address, &address.u.v6.sin6_addr, 16);
    } else {
        memcpy(net.address, &address.u.v4.sin_addr, 4);
    }
    return net;
}

static inline void
rules_init(struct rules *rules)
{
    *rules = (struct rules){
        .hash_key = {1, 2},
        .opts = {.routes = rules->routes,
            .routes_len = ROWS,
            .groups_len = GROUPS,
            .group_hosts = rules->group_hosts,
            .group_names = given_groups,
            .prefix = "ns:",
            .via = "near",
            .limits = limits_given()},
    };
    rules->opts.limits.body_max = 10;
    for (size_t i = 0; i < ROWS; i++) {
        rules->routes[i].title = given_segments[i][0].text;
        rules->routes[i].segments = given_segments[i];
        rules->routes[i].segments_len = 2;
    }
    rules->routes[ROW_ITEM].group = 1;
    rules->routes[ROW_ITEM].query = ROUTE_QUERY_LIST;
    rules->routes[ROW_ITEM].query_names = given_names;
    rules->routes[ROW_ITEM].query_names_len = ARRAY_LEN(given_names);
    rules->routes[ROW_ITEM].cookie = ROUTE_CREDENTIAL_IGNORE;
    rules->routes[ROW_ITEM].methods = given_methods;
    rules->routes[ROW_ITEM].methods_len = ARRAY_LEN(given_methods);
    rules->routes[ROW_QUIET].method = SLICE("PUT");
    rules->routes[ROW_QUIET].write = ROUTE_WRITE_PASS;
    rules->routes[ROW_PASS].read = ROUTE_READ_PASS;
    rules->routes[ROW_KEYED].cookie = ROUTE_CREDENTIAL_KEY;
    question_pool_init(&rules->pool, &rules->hash_key);
    arena_init(&rules->arena, 65536);
    assert_int_equal(address_of(SLICE("192.0.2.1"), 4000, &rules->peer), RC_OK);
}

/* Of the options as they are now. */
static inline void
rules_make_conf(struct rules *rules)
{
    proxy_conf_unref(&rules->conf);
    rules->conf = proxy_conf_new(&rules->opts);
    assert_non_null(rules->conf);
}

static inline void
rules_fini(struct rules *rules)
{
    question_pool_fini(&rules->pool);
    proxy_conf_unref(&rules->conf);
    arena_fini(&rules->arena);
}

/* The head of a request; good until the next call. */
static inline const struct head *
given_head(const char *text)
{
    static struct head head;
    static char bytes[8192];
    const struct parse_opts opts = {0};
    struct parse p;
    size_t len;

    assert_true(strlen(text) < sizeof(bytes));
    strcpy(bytes, text);
    parse_start(&p);
    if (parse_request(&p, &opts, slice_of_str(bytes), &head, &len) != RC_OK) {
        fail_msg("refused: %s", text);
    }
    return &head;
}

/* What the peer asks, not yet read; one reference. */
static inline struct question *
given_unread(struct rules *rules, const char *text)
{
    const struct head *head = given_head(text);
    const struct question_opts opts = {
        .head = head,
        /* The method is where the bytes begin. */
        .raw = slice_of(head->method_text.ptr, strlen(head->method_text.ptr)),
        .has_body =
            head->framing != FRAMING_NONE &&
            !(head->framing == FRAMING_LENGTH && head->content_length == 0),
        .peer = rules->peer,
    };
    struct question *q = question_new(&rules->pool, rules->conf, &opts);

    assert_non_null(q);
    return q;
}

/* The same, read, and not refused. */
static inline struct question *
given_question(struct rules *rules, const char *text)
{
    struct question *q = given_unread(rules, text);
    const struct question_refusal refusal = question_read(q);

    if (refusal.status != 0) {
        fail_msg("%s: %u", text, refusal.status);
    }
    return q;
}

/* An entry of these parts; one reference. */
static inline struct entry *
given_entry(const struct codec_parts *parts)
{
    struct value value = {NULL, 0};
    struct entry *entry;

    assert_int_equal(codec_encode(parts, &value), RC_OK);
    assert_int_equal(codec_entry(&value, &entry), RC_OK);
    value_free(&value);
    return entry;
}

/* The Vary record of that key, which names fields ("accept, x-foo"). */
static inline struct entry *
given_record(struct slice key, const char *names)
{
    const struct codec_parts parts = {
        .flags = ENTRY_VARY_RECORD,
        .key = key,
        .created_ms = 1,
        .fresh_until_ms = 2,
        .stale_until_ms = 2,
        .vary_names = slice_of_str(names),
        .generation = SLICE("g"),
    };

    return given_entry(&parts);
}

static inline void
assert_text(struct slice got, const char *want, const char *row)
{
    if (!slice_eq(got, slice_of_str(want))) {
        fail_msg("%s: [%.*s] is not [%s]", row, SLICE_FMT(got), want);
    }
}

#endif
