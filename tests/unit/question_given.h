/*
 * A configuration of one route and questions under it, for tests of the rooms
 * that are asked: given_conf once, then given_question as often as wanted.
 */
#ifndef TESTS_UNIT_QUESTION_GIVEN_H
#define TESTS_UNIT_QUESTION_GIVEN_H

#include <stdio.h>

#include "limits_given.h"
#include "nearside/http/parse.h"
#include "nearside/rules/question.h"

struct asking {
    struct route_segment tail;
    struct route route; /* of all targets; to be changed before a question */
    struct hash_key hash_key;
    struct proxy_conf *conf;
    struct question_pool pool;
};

static inline void
given_conf(struct asking *a)
{
    static const struct slice own_host; /* the client's is sent */
    static const struct slice own_name = {"api", 3};
    struct proxy_conf_opts opts = {
        .group_hosts = &own_host,
        .group_names = &own_name,
        .routes = &a->route,
        .routes_len = 1,
        .groups_len = 1,
        .prefix = "ns:",
        .via = "nearside",
        .limits = limits_given(),
    };

    a->tail = (struct route_segment){.kind = ROUTE_SEGMENT_TAIL};
    a->route = (struct route){.segments = &a->tail,
        .segments_len = 1,
        .ttl_ms = 60000,
        .honours_client = true};
    a->hash_key = (struct hash_key){1, 2};
    question_pool_init(&a->pool, &a->hash_key);
    a->conf = proxy_conf_new(&opts);
    assert_non_null(a->conf);
}

static inline void
conf_over(struct asking *a)
{
    proxy_conf_unref(&a->conf);
    question_pool_fini(&a->pool);
}

/* "GET /a", with these field lines ("A: b\r\n"). */
static inline struct question *
given_question(struct asking *a, const char *line, const char *fields)
{
    static struct head head;
    struct question_opts opts = {.head = &head};
    const struct parse_opts parse_opts = {0};
    struct question *q;
    char text[4096];
    struct parse p;
    size_t len;

    snprintf(
        text, sizeof(text), "%s HTTP/1.1\r\nHost: h\r\n%s\r\n", line, fields);
    opts.raw = slice_of_str(text);
    parse_start(&p);
    assert_int_equal(
        parse_request(&p, &parse_opts, opts.raw, &head, &len), RC_OK);
    assert_int_equal(address_parse(SLICE("127.0.0.1:1"), &opts.peer), RC_OK);
    q = question_new(&a->pool, a->conf, &opts);
    assert_non_null(q);
    assert_int_equal(question_read(q).status, 0);
    return q;
}

#endif
