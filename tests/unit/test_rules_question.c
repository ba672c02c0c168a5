/*
 * What a request becomes before anybody is asked: refused, or a question with
 * its route, keys and variants. Bytes in, no worker. Also the policy's words
 * that a question has.
 */
#include "nearside/rules/question.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rules_given.h"

static int
setup(void **state)
{
    struct rules *rules = malloc(sizeof(*rules));

    assert_non_null(rules);
    rules_init(rules);
    rules_make_conf(rules);
    *state = rules;
    return 0;
}

static int
teardown(void **state)
{
    struct rules *rules = *state;

    /* Nobody holds the snapshot but the rig: every question let go of it. */
    assert_int_equal(atomic_load(&rules->conf->refs), 1);
    rules_fini(rules);
    free(rules);
    return 0;
}

#define HOST          "Host: a.example\r\n"
#define REQUEST(line) line " HTTP/1.1\r\n" HOST "\r\n"

/* --- refusals ---------------------------------------------------------- */

static void
a_question_is_refused_for_its_size_its_host_and_its_method(void **state)
{
    static const char *const hosts[] = {"a.example", "b.example:81"};
    static const struct {
        const char *text;
        unsigned status;
        const char *detail;
    } rows[] = {
        {REQUEST("GET /any/x"), 0, NULL},
        {"PUT /any/x HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n", 0, NULL},
        {"PUT /any/x HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n", 413,
            "body_max"},
        /* Nobody knows yet how long this is. */
        {"PUT /any/x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 0,
            NULL},
        {"GET /any/x HTTP/1.1\r\nHost: A.Example:80\r\n\r\n", 0, NULL},
        {"GET /any/x HTTP/1.1\r\nHost: a.example.\r\n\r\n", 0, NULL},
        {"GET /any/x HTTP/1.1\r\nHost: b.example:81\r\n\r\n", 0, NULL},
        {"GET /any/x HTTP/1.1\r\nHost: b.example\r\n\r\n", 421, "host"},
        {"GET /any/x HTTP/1.1\r\nHost: c.example\r\n\r\n", 421, "host"},
        {"GET /none HTTP/1.1\r\nHost: c.example\r\n\r\n", 421, "host"},
        {REQUEST("GET /item/1"), 0, NULL},
        {REQUEST("HEAD /item/1"), 0, NULL},
        {REQUEST("DELETE /item/1"), 405, "method"},
        {REQUEST("OPTIONS /item/1"), 405, "method"},
        {REQUEST("DELETE /item"), 0, NULL}, /* no route's */
        {REQUEST("DELETE /any/x"), 0, NULL},
        {"GET http://a.example/any/x HTTP/1.1\r\n" HOST "\r\n", 0, NULL},
        {"GET https://a.example/any/x HTTP/1.1\r\n" HOST "\r\n", 421, "scheme"},
    };
    struct rules *rules = *state;

    rules->opts.hosts = hosts;
    rules->opts.hosts_len = ARRAY_LEN(hosts);
    rules_make_conf(rules);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct question *q = given_unread(rules, rows[i].text);
        struct question_refusal got = question_read(q);
        if (got.status != rows[i].status) {
            fail_msg("%s: %u", rows[i].text, got.status);
        }
        if (rows[i].detail != NULL) {
            assert_string_equal(got.detail, rows[i].detail);
        }
        question_unref(&q);
    }
}

static void
without_a_limit_or_hosts_nothing_is_refused_for_them(void **state)
{
    struct rules *rules = *state;
    struct question *q;

    rules->opts.limits.body_max = 0;
    rules_make_conf(rules);
    q = given_question(rules, "PUT /any/x HTTP/1.1\r\nHost: who.knows\r\n"
                              "Content-Length: 9223372036854775807\r\n\r\n");
    question_unref(&q);
}

/* With several origins a request may be nobody's. OPTIONS is answered here
   where nobody is asked. */
static void
what_no_route_matches_is_refused_where_no_origin_gets_it(void **state)
{
    static const struct {
        const char *text;
        bool is_refused;
    } rows[] = {
        {REQUEST("GET /none"), true},
        {REQUEST("HEAD /none"), true},
        {REQUEST("PUT /none"), true},
        {REQUEST("BREW /none"), true},
        {REQUEST("OPTIONS /none"), false},
        {REQUEST("OPTIONS *"), false},
        {REQUEST("GET /any/x"), false},
        {REQUEST("GET /item/1"), false},
    };
    struct rules *rules = *state;

    for (size_t group = 0; group <= GROUPS; group++) {
        rules->opts.default_group = group;
        rules_make_conf(rules);
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            struct question *q = given_unread(rules, rows[i].text);
            struct question_refusal got = question_read(q);
            bool is_refused = rows[i].is_refused && group == GROUPS;

            if (got.status != (is_refused ? 404 : 0)) {
                fail_msg("%s: %u", rows[i].text, got.status);
            }
            if (is_refused) {
                assert_string_equal(got.detail, "no-route");
            } else if (q->route == NULL) {
                assert_int_equal(q->group, group);
            }
            question_unref(&q);
        }
    }
}

/* --- kind, route and origin -------------------------------------------- */

static void
method_and_route_say_what_kind_of_question_it_is(void **state)
{
    enum {
        NONE = -1
    };
    static const struct {
        const char *text;
        enum question_kind kind;
        ptrdiff_t row;
        ptrdiff_t reads;
        size_t group;
    } rows[] = {
        {REQUEST("GET /any/x"), QUESTION_READ, ROW_ANY, ROW_ANY, 0},
        {REQUEST("HEAD /any/x"), QUESTION_READ, ROW_ANY, ROW_ANY, 0},
        {REQUEST("GET /pass/x"), QUESTION_READ, ROW_PASS, ROW_PASS, 0},
        {REQUEST("GET /none"), QUESTION_PASS, NONE, NONE, 0},
        {REQUEST("OPTIONS /any/x"), QUESTION_OPTIONS, ROW_ANY, NONE, 0},
        {REQUEST("OPTIONS *"), QUESTION_OPTIONS, NONE, NONE, 0},
        {REQUEST("GET /item/1"), QUESTION_READ, ROW_ITEM, ROW_ITEM, 1},
        {REQUEST("POST /item/1"), QUESTION_WRITE, ROW_ITEM, ROW_ITEM, 1},
        {REQUEST("BREW /any/x"), QUESTION_WRITE, ROW_ANY, ROW_ANY, 0},
        {REQUEST("PUT /none"), QUESTION_WRITE, NONE, NONE, 0},
        /* A write of a route that says so is nobody's business. */
        {REQUEST("PUT /quiet/1"), QUESTION_WRITE, ROW_QUIET, NONE, 0},
        /* And of another method, or where nobody reads: none either. */
        {REQUEST("DELETE /quiet/1"), QUESTION_WRITE, NONE, NONE, 0},
        {REQUEST("PUT /pass/x"), QUESTION_WRITE, ROW_PASS, NONE, 0},
    };
    struct rules *rules = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct question *q = given_question(rules, rows[i].text);
        const struct route *reads =
            rows[i].reads < 0 ? NULL : &rules->routes[rows[i].reads];
        if (q->kind != rows[i].kind || q->row != rows[i].row ||
            q->reads != reads || q->group != rows[i].group) {
            fail_msg("%s: kind %d, row %td, origin %zu", rows[i].text, q->kind,
                q->row, q->group);
        }
        assert_ptr_equal(q->route, q->row < 0 ? NULL : &rules->routes[q->row]);
        if (q->policy.bypass == NULL) {
            assert_int_equal(q->key.full.len > 0, reads != NULL);
        }
        question_unref(&q);
    }
}

/* A write is known by the route of its own method, and those who read its
   target by another one. */
static void
a_write_s_readers_have_a_route_of_their_own(void **state)
{
    struct rules *rules = *state;
    struct question *q;

    rules->routes[ROW_PASS] = rules->routes[ROW_QUIET];
    rules->routes[ROW_PASS].method = SLICE("GET");
    rules->routes[ROW_PASS].query = ROUTE_QUERY_NONE;
    q = given_question(rules, REQUEST("PUT /quiet/1"));
    assert_null(
        q->reads); /* the write's route says that it is none of theirs */
    question_unref(&q);
    rules->routes[ROW_QUIET].write = ROUTE_WRITE_INVALIDATE;
    q = given_question(rules, REQUEST("PUT /quiet/1?x"));
    assert_ptr_equal(q->route, &rules->routes[ROW_QUIET]);
    assert_ptr_equal(q->reads, &rules->routes[ROW_PASS]);
    assert_text(q->key.full, "http://a.example/quiet/1", "PUT");
    assert_text(q->target, "/quiet/1?x", "PUT");
    question_unref(&q);
}

/* --- keys, and what is sent -------------------------------------------- */

static void
a_target_is_keyed_in_one_spelling_and_sent_as_it_came(void **state)
{
    static const struct {
        const char *text;
        const char *key;
        const char *sent;
        const char *sent_host;
        bool is_odd;
    } rows[] = {
        {REQUEST("GET /any/x?b"), "http://a.example/any/x?b", "/any/x?b",
            "a.example", false},
        {REQUEST("GET /%61ny/x"), "http://a.example/any/x", "/%61ny/x",
            "a.example", true},
        {REQUEST("GET /any/x%c3"), "http://a.example/any/x%C3", "/any/x%c3",
            "a.example", true},
        {REQUEST("GET /any/x%C3"), "http://a.example/any/x%C3", "/any/x%C3",
            "a.example", false},
        {REQUEST("GET /item/1?x&c=2"), "http://a.example/item/1?c=2",
            "/item/1?c=2", "a.example", false},
        {REQUEST("GET /item/1?%63=2&x"), "http://a.example/item/1?c=2",
            "/item/1?%63=2", "a.example", true},
        {REQUEST("POST /item/1?x&c=2"), "http://a.example/item/1?c=2",
            "/item/1?x&c=2", "a.example", true},
        {REQUEST("POST /item/1?c=2"), "http://a.example/item/1?c=2",
            "/item/1?c=2", "a.example", false},
        {"GET /any/x HTTP/1.1\r\nHost: A.Example:80\r\n\r\n",
            "http://a.example/any/x", "/any/x", "a.example", false},
        {"GET /any/x HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
            "http://a.example:443/any/x", "/any/x", "a.example:443", false},
        {"GET /any/x HTTP/1.1\r\nHost: A.example.\r\n\r\n",
            "http://a.example/any/x", "/any/x", "A.example.", true},
    };
    struct rules *rules = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct question *q = given_question(rules, rows[i].text);
        char want[128];
        assert_text(q->key.full, rows[i].key, rows[i].text);
        assert_text(q->target, rows[i].sent, rows[i].text);
        assert_text(q->sent_host, rows[i].sent_host, rows[i].text);
        if (q->policy.is_odd != rows[i].is_odd) {
            fail_msg("%s: odd", rows[i].text);
        }
        snprintf(want, sizeof(want), "ns:e:{%s}", rows[i].key);
        assert_text(q->entry_key, want, rows[i].text);
        question_unref(&q);
    }
}

/* The last one is remembered by whoever makes questions. */
static void
hosts_that_take_turns_are_each_keyed_as_their_own(void **state)
{
    static const char *const rows[][3] = {
        {"a.example", "a.example", "a.example"},
        {"b.example", "b.example", "b.example"},
        {"A.example", "a.example", "a.example"},
        {"a.example:8080", "a.example:8080", "a.example:8080"},
        {"a.example.", "a.example", "a.example."},
        {"[::1]:80", "[::1]", "[::1]"},
        {"a.exampl", "a.exampl", "a.exampl"},
    };
    struct rules *rules = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t j = 0; j < ARRAY_LEN(rows); j++) {
            const char *const *row = rows[(i * j) % ARRAY_LEN(rows)];
            struct question *q;
            char text[128], want[128];
            snprintf(text, sizeof(text),
                "GET /any/x HTTP/1.1\r\nHost: %s\r\n\r\n", row[0]);
            snprintf(want, sizeof(want), "http://%s/any/x", row[1]);
            q = given_question(rules, text);
            assert_text(q->key.full, want, row[0]);
            assert_text(q->sent_host, row[2], row[0]);
            question_unref(&q);
        }
    }
}

static void
a_question_is_named_when_that_is_asked_for(void **state)
{
    struct rules *rules = *state;
    const char *text = REQUEST("GET /any/x");
    const struct head *head = given_head(text);
    struct question *q = question_new(&rules->pool, rules->conf,
        &(struct question_opts){.head = head,
            .raw = slice_of(text, strlen(text)),
            .peer = rules->peer});

    assert_int_equal(question_ask(q).status, 0);
    assert_text(q->key.full, "http://a.example/any/x", text);
    assert_int_equal(q->entry_key.len, 0);
    assert_int_equal(question_name(q), RC_OK);
    assert_text(q->entry_key, "ns:e:{http://a.example/any/x}", text);
    question_unref(&q);
}

static void
a_trusted_proxy_s_scheme_and_view_are_part_of_the_question(void **state)
{
    const struct proxy_net net = given_net("192.0.2.0", 24);
    static const char text[] =
        "GET /any/x HTTP/1.1\r\n" HOST "X-Forwarded-Proto: https\r\n"
        "X-Forwarded-Port: 444\r\n\r\n";
    struct rules *rules = *state;

    for (int is_trusted = 0; is_trusted < 2; is_trusted++) {
        struct question *q;
        rules->opts.trusted = &net;
        rules->opts.trusted_len = (size_t)is_trusted;
        rules_make_conf(rules);
        q = given_question(rules, text);
        assert_text(q->key.full,
            is_trusted ? "https://a.example/any/x" : "http://a.example/any/x",
            text);
        assert_int_equal(question_is_keyed(q), is_trusted);
        assert_int_equal(question_form(q).len > 0, is_trusted);
        question_unref(&q);
    }
}

static void
another_target_is_keyed_as_a_get_for_it_would_be(void **state)
{
    static const struct {
        const char *target;
        const char *key;
    } rows[] = {
        {"/item/2?x&c=1", "http://a.example/item/2?c=1"},
        {"/any/y?x", "http://a.example/any/y?x"},
        {"/pass/y?x", NULL}, /* nothing is stored for these */
        {"/none?x", NULL},
    };
    struct rules *rules = *state;
    struct question *q = given_question(rules, REQUEST("POST /item/1?x"));

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice target = slice_of_str(rows[i].target);
        struct slice entry_key;
        struct key key;
        char want[128];
        assert_int_equal(
            question_keys_of(q, target, &rules->arena, &key, &entry_key),
            rows[i].key != NULL ? RC_OK : RC_MISS);
        if (rows[i].key == NULL) {
            continue;
        }
        assert_text(key.full, rows[i].key, rows[i].target);
        snprintf(want, sizeof(want), "ns:e:{%s}", rows[i].key);
        assert_text(entry_key, want, rows[i].target);
    }
    assert_null(question_read_route(q, SLICE("/pass/y")));
    assert_null(question_read_route(q, SLICE("/none")));
    assert_ptr_equal(
        question_read_route(q, SLICE("/any/y")), &rules->routes[ROW_ANY]);
    question_unref(&q);
}

/* --- sent as a GET would be -------------------------------------------- */

static void
a_post_is_sent_as_a_get_would_be_or_its_answer_is_its_own(void **state)
{
    static const struct {
        const char *text;
        bool is_same;
    } rows[] = {
        {REQUEST("POST /any/x"), true},
        {"POST /any/x HTTP/1.1\r\n" HOST "Cookie: a\r\n\r\n", true},
        {"POST /any/x HTTP/1.1\r\n" HOST "If-None-Match: *\r\n\r\n", false},
        {REQUEST("POST /%61ny/x"), false},
        {REQUEST("POST /item/1?c"), true},
        {REQUEST("POST /item/1?x"), false},
        /* The route's readers send none. */
        {"POST /item/1 HTTP/1.1\r\n" HOST "Cookie: a\r\n\r\n", false},
        {REQUEST("POST /keyed/1"), false},
    };
    struct rules *rules = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct question *q = given_question(rules, rows[i].text);
        if (question_is_sent_as_get(q) != rows[i].is_same) {
            fail_msg("%s", rows[i].text);
        }
        question_unref(&q);
    }
}

static void
a_post_to_another_origin_than_the_readers_is_not_sent_as_a_get(void **state)
{
    struct rules *rules = *state;
    struct question *q;

    rules->routes[ROW_QUIET].write = ROUTE_WRITE_INVALIDATE;
    rules->routes[ROW_QUIET].group = 1;
    rules->routes[ROW_ANY].segments = given_segments[ROW_QUIET];
    rules->routes[ROW_ANY].segments_len = 2;
    q = given_question(rules, REQUEST("PUT /quiet/1"));
    assert_ptr_equal(q->reads, &rules->routes[ROW_ANY]);
    assert_false(question_is_sent_as_get(q));
    question_unref(&q);
}

static void
a_write_is_sent_with_all_it_brings(void **state)
{
    struct rules *rules = *state;
    struct question *read = given_question(rules, REQUEST("GET /item/1"));
    struct question *write = given_question(rules, REQUEST("POST /item/1"));

    assert_ptr_equal(
        question_sending(read, true).route, &rules->routes[ROW_ITEM]);
    assert_true(question_sending(read, true).for_cache);
    assert_null(question_sending(write, false).route);
    assert_false(question_sending(write, false).for_cache);
    question_unref(&read);
    question_unref(&write);
}

/* --- variants ---------------------------------------------------------- */

static struct question *
vary(struct question *q, const char *names)
{
    struct entry *record = given_record(q->key.full, names);
    struct question *variant;

    assert_int_equal(question_vary(q, record, &variant), RC_OK);
    entry_unref(&record);
    return variant;
}

static void
a_variant_is_chosen_by_the_fields_of_a_record(void **state)
{
    static const struct {
        const char *fields;
        unsigned variant; /* those with the same number are one */
    } rows[] = {
        {"", 0},
        {"X-Other: 1\r\n", 0},
        {"X-Foo: 1\r\n", 1},
        {"X-Foo: 2\r\n", 2},
        {"X-Foo: 1\r\nAccept-Encoding: gzip\r\n", 3},
        {"X-Foo: 1\r\nAccept-Encoding: x, GZIP;q=0.5\r\n", 3},
        /* Connection keeps it from the origin: it cannot choose. */
        {"X-Foo: 1\r\nConnection: x-foo\r\n", 0},
    };
    struct rules *rules = *state;
    struct slice digests[ARRAY_LEN(rows)];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[256];
        struct question *q, *v;
        snprintf(text, sizeof(text), "GET /any/x HTTP/1.1\r\n" HOST "%s\r\n",
            rows[i].fields);
        q = given_question(rules, text);
        v = vary(q, "accept-encoding, x-foo");
        assert_int_equal(v->key.variant.len, DIGEST_LEN);
        assert_int_equal(
            arena_copy(&rules->arena, v->key.variant, &digests[i]), RC_OK);
        for (size_t k = 0; k < i; k++) {
            if (slice_eq(digests[i], digests[k]) !=
                (rows[i].variant == rows[k].variant)) {
                fail_msg("%s and %s", rows[i].fields, rows[k].fields);
            }
        }
        question_unref(&v);
        question_unref(&q);
    }
}

static void
a_variant_is_the_same_question_under_a_key_of_its_own(void **state)
{
    struct rules *rules = *state;
    struct question *q = given_question(rules, REQUEST("GET /keyed/x"));
    struct question *v = vary(q, "x-foo");
    char want[128];

    assert_ptr_equal(question_base(q), q);
    assert_ptr_equal(question_base(v), q);
    assert_ptr_equal(v->head, q->head);
    assert_ptr_equal(v->route, q->route);
    assert_text(q->key.full, "http://a.example/keyed/x", "base");
    snprintf(want, sizeof(want), "http://a.example/keyed/x %.*s",
        SLICE_FMT(v->key.variant));
    assert_text(v->key.full, want, "variant");
    snprintf(want, sizeof(want), "ns:e:{http://a.example/keyed/x}:%.*s",
        SLICE_FMT(v->key.variant));
    assert_text(v->entry_key, want, "variant");
    assert_true(v->key.hash != q->key.hash);
    assert_int_equal(question_form(v).len, 0);
    question_unref(&v);
    question_unref(&q);
}

static void
a_record_that_names_nothing_readable_chooses_nothing(void **state)
{
    struct rules *rules = *state;
    struct question *q = given_question(rules, REQUEST("GET /any/x"));
    struct entry *record = given_record(q->key.full, "a b");
    struct question *variant = NULL;

    assert_int_equal(question_vary(q, record, &variant), RC_BAD);
    assert_null(variant);
    assert_int_equal(q->refs, 1);
    assert_int_equal(atomic_load(&record->refs), 1);
    entry_unref(&record);
    question_unref(&q);
}

/* --- renewals ---------------------------------------------------------- */

#define UNKEYED                                                                \
    "X-Bar: b\r\nAccept: x/y\r\nUser-Agent: me\r\nRange: bytes=0-\r\n"         \
    "X-Forwarded-For: 192.0.2.7\r\nConnection: x-hop\r\nX-Hop: h\r\n"

static void
a_renewal_is_a_get_that_carries_keyed_fields_alone(void **state)
{
    static const struct {
        const char *target;
        const char *fields;
        const char *names; /* of the record; NULL: none */
        const char *want;
    } rows[] = {
        {"HEAD /any/x", UNKEYED "Cookie: a=1\r\n", NULL, ""},
        {"GET /any/x", UNKEYED "x-foo: 1\r\nX-FOO: 2\r\n",
            "accept-encoding,x-foo,x-hop", "x-foo: 1\r\nX-FOO: 2\r\n"},
        {"GET /keyed/x", UNKEYED "Authorization: Basic eDp5\r\nCookie: a=1\r\n",
            "", "Cookie: a=1\r\n"},
        {"GET /any/x", UNKEYED "X-Forwarded-Prefix: /p\r\n", "",
            "X-Forwarded-Prefix: /p\r\n"},
    };
    struct rules *rules = *state;
    struct proxy_net trusted = given_net("192.0.2.1", 32);

    rules->opts.trusted = &trusted;
    rules->opts.trusted_len = 1;
    rules_make_conf(rules);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct question *q, *v, *renewal;
        struct writer w;
        char text[1024], got[1024];

        snprintf(text, sizeof(text), "%s HTTP/1.1\r\n" HOST "%s\r\n",
            rows[i].target, rows[i].fields);
        q = given_question(rules, text);
        v = rows[i].names == NULL ? question_ref(q) : vary(q, rows[i].names);
        assert_int_equal(question_renewal(v, &renewal), RC_OK);
        w = writer_of(got, sizeof(got));
        for (size_t k = 0; k < renewal->head->field_count; k++) {
            write_field(&w, renewal->head->fields[k].name,
                renewal->head->fields[k].value);
        }
        assert_text(writer_slice(&w), rows[i].want, rows[i].fields);
        assert_int_equal(renewal->head->method, METHOD_GET);
        assert_null(renewal->policy.credential);
        assert_int_equal(renewal->client.peer.len, 0);
        assert_ptr_equal(renewal->key.full.ptr, v->key.full.ptr);
        assert_int_equal(question_base(renewal) == renewal, v == q);
        assert_ptr_equal(renewal->record, v->record);
        question_unref(&v);
        question_unref(&q); /* the renewal keeps what it borrows */
        assert_text(renewal->client.scheme, "http", "scheme");
        question_unref(&renewal);
    }
}

/* --- counting ---------------------------------------------------------- */

static void
a_variant_keeps_its_base_and_its_record(void **state)
{
    struct rules *rules = *state;
    struct question *q = given_question(rules, REQUEST("GET /any/x"));
    struct entry *record = given_record(q->key.full, "x-foo");
    struct question *v;

    assert_int_equal(question_vary(q, record, &v), RC_OK);
    assert_int_equal(q->refs, 3); /* it borrows from its base */
    assert_int_equal(atomic_load(&record->refs), 2);
    assert_int_equal(atomic_load(&rules->conf->refs), 3);
    question_unref(&q);
    assert_null(q);
    assert_text(v->base->key.full, "http://a.example/any/x", "base");
    assert_ptr_equal(question_ref(v), v);
    question_unref(&(struct question *){v});
    assert_int_equal(v->refs, 1);
    question_unref(&v);
    assert_int_equal(atomic_load(&record->refs), 1);
    assert_int_equal(rules->pool.free.len, 2);
    entry_unref(&record);
}

static void
a_question_that_was_given_back_is_used_again_and_is_clean(void **state)
{
    struct rules *rules = *state;
    struct question *q = given_question(rules, REQUEST("POST /item/1"));
    const struct question *old = q;

    question_unref(&q);
    assert_int_equal(rules->pool.free.len, 1);
    q = given_unread(rules, REQUEST("GET /none"));
    assert_ptr_equal(q, old);
    assert_int_equal(rules->pool.free.len, 0);
    assert_int_equal(q->row, -1);
    assert_int_equal(q->group, 0);
    assert_null(q->reads);
    assert_int_equal(q->key.full.len, 0);
    assert_int_equal(question_read(q).status, 0);
    assert_int_equal(q->kind, QUESTION_PASS);
    question_unref(&q);
}

static void
the_pool_keeps_a_bounded_number(void **state)
{
    enum {
        MANY = 200,
        KEPT = 128
    };
    struct rules *rules = *state;
    struct question *all[MANY];

    for (size_t i = 0; i < MANY; i++) {
        all[i] = given_unread(rules, REQUEST("GET /any/x"));
    }
    for (size_t i = 0; i < MANY; i++) {
        question_unref(&all[i]);
    }
    assert_int_equal(rules->pool.free.len, KEPT);
    question_pool_fini(&rules->pool);
    assert_int_equal(rules->pool.free.len, 0);
}

/* A head that leaves no room for itself is no memory, and gives all back. */
static void
a_head_beyond_the_arena_s_room_is_no_question(void **state)
{
    struct rules *rules = *state;
    struct head head = *given_head(REQUEST("GET /any/x"));
    static char raw[600 * 1024];
    const struct question_opts opts = {
        .head = &head, .raw = slice_of(raw, sizeof(raw))};

    assert_null(question_new(&rules->pool, rules->conf, &opts));
    assert_int_equal(rules->pool.free.len, 1);
}

/* Its key is not needed but to be shown. */
static void
what_is_bypassed_has_a_key_where_it_is_shown(void **state)
{
    static const char *const fields[] = {"", "If-Match: \"x\"\r\n"};
    struct rules *rules = *state;

    for (int i = 0; i < 4; i++) {
        struct question *q;
        char text[256];

        rules->routes[ROW_ANY].cache_status =
            i & 2 ? ROUTE_CACHE_STATUS_KEY : ROUTE_CACHE_STATUS_OFF;
        rules_make_conf(rules);
        snprintf(text, sizeof(text), "GET /any/x HTTP/1.1\r\n" HOST "%s\r\n",
            fields[i & 1]);
        q = given_question(rules, text);
        assert_int_equal(q->policy.bypass != NULL, i & 1);
        assert_int_equal(q->key.full.len > 0, i != 1);
        assert_text(q->target, "/any/x", text);
        question_unref(&q);
    }
}

static void
a_renewal_carries_an_authorization_that_is_keyed(void **state)
{
    struct rules *rules = *state;
    struct question *q, *renewal;

    rules->routes[ROW_ANY].authorization = ROUTE_CREDENTIAL_KEY;
    rules->routes[ROW_ANY].cookie = ROUTE_CREDENTIAL_IGNORE;
    rules_make_conf(rules);
    q = given_question(rules, "GET /any/x HTTP/1.1\r\n" HOST
                              "X-Foo: 1\r\nAuthorization: Basic eDp5\r\n"
                              "\r\n");
    assert_int_equal(question_renewal(q, &renewal), RC_OK);
    assert_int_equal(renewal->head->field_count, 1);
    assert_int_equal(renewal->head->fields[0].id, FIELD_AUTHORIZATION);
    question_unref(&renewal);
    question_unref(&q);
}

/* However far the room reaches. `room`: what the raw bytes leave of it. */
static const char *
end_with_room(struct rules *rules, const char *target, size_t room)
{
    static char raw[512 * 1024];
    static struct head head;
    const struct parse_opts parse_opts = {0};
    struct question_opts opts = {
        .head = &head, .raw = slice_of(raw, sizeof(raw) - room)};
    struct question_refusal refusal;
    struct question *q, *renewal;
    struct parse p;
    size_t len;
    enum rc rc;

    snprintf(raw, sizeof(raw),
        "GET %s HTTP/1.1\r\nHost: A.Example\r\nCookie: a=1; b=2\r\n"
        "X-Forwarded-Host: x\r\n\r\n",
        target);
    opts.peer = rules->peer;
    parse_start(&p);
    assert_int_equal(
        parse_request(&p, &parse_opts, opts.raw, &head, &len), RC_OK);
    q = question_new(&rules->pool, rules->conf, &opts);
    if (q == NULL) {
        return "none";
    }
    refusal = question_read(q);
    if (refusal.status != 0) {
        assert_int_equal(refusal.status, 503);
        assert_string_equal(refusal.detail, "no-memory");
        question_unref(&q);
        return "refused";
    }
    assert_text(q->head->fields[1].value, "a=1", target);
    assert_int_equal(q->entry_key.len > 0, q->policy.bypass == NULL);
    assert_int_equal(q->keys.credentials.len > 0, q->policy.bypass == NULL);
    rc = question_renewal(q, &renewal);
    if (rc == RC_OK) {
        question_unref(&renewal);
    }
    question_unref(&q);
    assert_true(rc == RC_OK || rc == RC_NOMEM);
    return rc == RC_OK ? "read" : "unrenewed";
}

static void
wherever_the_room_ends_a_question_is_refused_for_memory(void **state)
{
    struct rules *rules = *state;
    static const struct slice cookies[] = {{"a", 1}};
    /* One is keyed; one is bypassed, and both its forms are made. */
    static const char *const targets[] = {
        "/item/x?b&c=1", "/item/%2fx?b&c=%31"};
    struct proxy_net trusted = given_net("192.0.2.1", 32);

    rules->opts.trusted = &trusted;
    rules->opts.trusted_len = 1;
    rules->routes[ROW_ITEM].cookie = ROUTE_CREDENTIAL_KEY;
    rules->routes[ROW_ITEM].key_host = ROUTE_KEY_HOST_NAME;
    rules->routes[ROW_ITEM].cookies = cookies;
    rules->routes[ROW_ITEM].cookies_len = ARRAY_LEN(cookies);
    rules_make_conf(rules);
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        const char *before = "none";
        unsigned refused = 0;

        for (size_t room = 0; strcmp(before, "read") != 0; room += 8) {
            const char *now = end_with_room(rules, targets[i], room);

            assert_in_range(room, 0, 16384);
            refused += strcmp(now, "refused") == 0;
            /* More room never serves worse. */
            assert_false(
                strcmp(before, "refused") == 0 && strcmp(now, "none") == 0);
            before = now;
        }
        assert_in_range(refused, 5, 1000);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_question_is_refused_for_its_size_its_host_and_its_method),
        TEST(hosts_that_take_turns_are_each_keyed_as_their_own),
        TEST(a_question_is_named_when_that_is_asked_for),
        TEST(without_a_limit_or_hosts_nothing_is_refused_for_them),
        TEST(what_no_route_matches_is_refused_where_no_origin_gets_it),
        TEST(method_and_route_say_what_kind_of_question_it_is),
        TEST(a_write_s_readers_have_a_route_of_their_own),
        TEST(a_target_is_keyed_in_one_spelling_and_sent_as_it_came),
        TEST(a_trusted_proxy_s_scheme_and_view_are_part_of_the_question),
        TEST(another_target_is_keyed_as_a_get_for_it_would_be),
        TEST(a_post_is_sent_as_a_get_would_be_or_its_answer_is_its_own),
        TEST(a_post_to_another_origin_than_the_readers_is_not_sent_as_a_get),
        TEST(a_write_is_sent_with_all_it_brings),
        TEST(a_variant_is_chosen_by_the_fields_of_a_record),
        TEST(a_variant_is_the_same_question_under_a_key_of_its_own),
        TEST(a_record_that_names_nothing_readable_chooses_nothing),
        TEST(a_renewal_is_a_get_that_carries_keyed_fields_alone),
        TEST(a_variant_keeps_its_base_and_its_record),
        TEST(a_question_that_was_given_back_is_used_again_and_is_clean),
        TEST(the_pool_keeps_a_bounded_number),
        TEST(what_is_bypassed_has_a_key_where_it_is_shown),
        TEST(a_renewal_carries_an_authorization_that_is_keyed),
        TEST(wherever_the_room_ends_a_question_is_refused_for_memory),
        TEST(a_head_beyond_the_arena_s_room_is_no_question),
    };

    return cmocka_run_group_tests_name("rules question", tests, NULL, NULL);
}
