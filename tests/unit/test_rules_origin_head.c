/*
 * The head that the origin gets, byte by byte: requests as text in, the head
 * out. Also what of a client's fields is sent on (sending.c), and the count of
 * servers on the way (hops_of).
 */
#include "nearside/rules/origin_head.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "rules_given.h"

static struct rules rules;

/* 198.51.100.0/24 is trusted, and the peer is not in it. */
static int
setup(void **state)
{
    static struct proxy_net net;

    (void)state;
    rules_init(&rules);
    net = given_net("198.51.100.0", 24);
    rules.opts.trusted = &net;
    rules.opts.trusted_len = 1;
    rules_make_conf(&rules);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    rules_fini(&rules);
    return 0;
}

static void
peer_is(const char *ip)
{
    assert_int_equal(address_of(slice_of_str(ip), 4000, &rules.peer), RC_OK);
}

/* The head for a request of these bytes, in the rig's arena. */
static const char *
written(const char *text, const struct origin_head_opts *opts)
{
    struct question *q = given_question(&rules, text);
    struct slice head;
    char *copy;

    assert_int_equal(origin_head_write(q, opts, &rules.arena, &head), RC_OK);
    copy = arena_alloc(&rules.arena, head.len + 1);
    assert_non_null(copy);
    memcpy(copy, head.ptr, head.len);
    copy[head.len] = '\0';
    question_unref(&q);
    return copy;
}

static const struct origin_head_opts alone = {.lines = {NULL, 0}};
static const struct origin_head_opts for_cache = {.is_for_cache = true};
static const struct origin_head_opts for_stored = {.is_for_stored = true};

#define HOST      "Host: a.example\r\n"
#define ASK       "GET /any/x HTTP/1.1\r\n"
#define TOLD_PEER "x-forwarded-for: 192.0.2.1\r\n"
#define TOLD_SITE "x-forwarded-proto: http\r\nx-forwarded-host: a.example\r\n"
#define FORWARDED "forwarded: for=192.0.2.1;host=\"a.example\";proto=http\r\n"
#define OWN       TOLD_PEER TOLD_SITE FORWARDED "via: 1.1 near\r\n"

/* --- which fields ------------------------------------------------------ */

static void
fields_are_sent_as_far_as_they_are_the_client_s_to_say(void **state)
{
    static const struct {
        const char *fields;
        const char *alone;
        const char *for_cache;
    } rows[] = {
        {"X-Foo: 1\r\nx-foo:  2 \r\n", "X-Foo: 1\r\nx-foo: 2\r\n",
            "X-Foo: 1\r\nx-foo: 2\r\n"},
        /* What ends at this hop (RFC 9110 7.6.1). */
        {"Connection: x-foo, close\r\nX-Foo: 1\r\n", "", ""},
        {"Keep-Alive: 1\r\nTE: trailers\r\nUpgrade: x\r\n", "", ""},
        {"Proxy-Connection: x\r\nProxy-Authorization: x\r\n", "", ""},
        {"Trailer: x\r\nHTTP2-Settings: x\r\n", "", ""},
        /* What is written anew. */
        {"Expect: 100-continue\r\n", "", ""},
        {"Content-Length: 0\r\n", "", ""},
        /* This client's conditions, but for all others'. */
        {"If-Match: \"a\"\r\n", "If-Match: \"a\"\r\n", ""},
        {"If-None-Match: \"a\"\r\n", "If-None-Match: \"a\"\r\n", ""},
        {"If-Modified-Since: x\r\n", "If-Modified-Since: x\r\n", ""},
        {"If-Unmodified-Since: x\r\n", "If-Unmodified-Since: x\r\n", ""},
        {"If-Range: \"a\"\r\n", "If-Range: \"a\"\r\n", ""},
        {"Range: bytes=0-1\r\n", "Range: bytes=0-1\r\n", ""},
        /* Credentials, as this route does not ignore them. */
        {"Cookie: a\r\n", "Cookie: a\r\n", "Cookie: a\r\n"},
        /* What only a trusted proxy may say. */
        {"X-Forwarded-Port: 1\r\nX-Real-IP: 9\r\n", "", ""},
        {"X-HTTP-Method-Override: PUT\r\nX-Original-URL: /\r\n", "", ""},
        {"Via: 1.0 x\r\n", "Via: 1.0 x\r\n", "Via: 1.0 x\r\n"},
        /* Counts for OPTIONS alone. */
        {"Max-Forwards: 1\r\n", "Max-Forwards: 1\r\n", "Max-Forwards: 1\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[256], want[512];
        snprintf(text, sizeof(text), ASK HOST "%s\r\n", rows[i].fields);
        snprintf(
            want, sizeof(want), ASK "host: a.example\r\n%s" OWN, rows[i].alone);
        assert_string_equal(written(text, &alone), want);
        snprintf(want, sizeof(want), ASK "host: a.example\r\n%s" OWN,
            rows[i].for_cache);
        assert_string_equal(written(text, &for_cache), want);
    }
}

static void
credentials_that_the_route_ignores_stay_behind(void **state)
{
    static const char text[] =
        "GET /item/1 HTTP/1.1\r\n" HOST "Cookie: a\r\nAuthorization: b\r\n\r\n";
    static const char post[] = "POST /item/1 HTTP/1.1\r\n" HOST
                               "Cookie: a\r\nAuthorization: b\r\n\r\n";

    (void)state;
    assert_null(strstr(written(text, &alone), "Cookie"));
    assert_non_null(strstr(written(text, &alone), "Authorization: b\r\n"));
    rules.routes[ROW_ITEM].authorization = ROUTE_CREDENTIAL_IGNORE;
    assert_null(strstr(written(text, &alone), "Authorization"));
    /* A write is sent with all it brings. */
    assert_non_null(strstr(written(post, &alone), "Cookie: a\r\n"));
    assert_non_null(strstr(written(post, &alone), "Authorization: b\r\n"));
}

static void
accept_encoding_has_its_normal_form_where_the_answer_is_for_others(void **state)
{
    static const struct {
        const char *fields;
        const char *normal;
    } rows[] = {
        {"Accept-Encoding: GZIP;q=0.5 , br\r\n", "br, gzip"},
        {"Accept-Encoding: gzip\r\nAccept-Encoding: br\r\n", "br, gzip"},
        {"Accept-Encoding: x\r\n", "identity"},
        {"Accept-Encoding: gzip;q=0\r\n", "identity"},
    };
    static const char one[] = ASK HOST "Accept-Encoding: x, gzip\r\n\r\n";

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[256], want[512];
        snprintf(text, sizeof(text), ASK HOST "%s\r\n", rows[i].fields);
        snprintf(want, sizeof(want),
            ASK "host: a.example\r\naccept-encoding: %s\r\n" OWN,
            rows[i].normal);
        assert_string_equal(written(text, &for_cache), want);
        assert_string_equal(written(text, &for_stored), want);
    }
    assert_string_equal(written(one, &alone),
        ASK "host: a.example\r\nAccept-Encoding: x, gzip\r\n" OWN);
}

/* It is held against what is stored, and is one client's all the same. */
static void
an_answer_about_what_is_stored_gets_the_client_s_conditions(void **state)
{
    (void)state;
    assert_non_null(
        strstr(written(ASK HOST "If-None-Match: \"a\"\r\n\r\n", &for_stored),
            "If-None-Match: \"a\"\r\n"));
}

static void
further_lines_stand_behind_the_client_s(void **state)
{
    const struct origin_head_opts opts = {
        .is_for_cache = true, .lines = SLICE("if-none-match: \"z\"\r\n")};

    (void)state;
    assert_string_equal(
        written(ASK HOST "If-None-Match: \"a\"\r\nX: 1\r\n\r\n", &opts),
        ASK "host: a.example\r\nX: 1\r\nif-none-match: \"z\"\r\n" OWN);
}

/* --- forwarding -------------------------------------------------------- */

/* What somebody who is not trusted says of himself is not sent. */
static void
the_peer_is_told_as_it_is_known_to_us(void **state)
{
    static const char text[] =
        ASK HOST "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n"
                 "X-Forwarded-Host: evil\r\nForwarded: for=9.9.9.9\r\n\r\n";

    (void)state;
    assert_string_equal(written(text, &alone), ASK "host: a.example\r\n" OWN);
    peer_is("2001:db8::1");
    assert_string_equal(written(text, &alone),
        ASK "host: a.example\r\nx-forwarded-for: 2001:db8::1\r\n" TOLD_SITE
            "forwarded: for=\"[2001:db8::1]\";host=\"a.example\";proto=http\r\n"
            "via: 1.1 near\r\n");
    assert_int_equal(
        address_parse(SLICE("unix:/run/x.sock"), &rules.peer), RC_OK);
    assert_string_equal(written(text, &alone),
        ASK "host: a.example\r\n" TOLD_SITE
            "forwarded: for=unknown;host=\"a.example\";proto=http\r\n"
            "via: 1.1 near\r\n");
}

static void
a_trusted_proxy_s_word_is_passed_on_and_the_peer_is_added(void **state)
{
    static const char text[] =
        ASK HOST "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 8.8.8.8, x\r\n"
                 "X-Forwarded-Proto: http, https\r\nX-Forwarded-Host: far\r\n"
                 "X-Forwarded-Port: 444\r\nForwarded: for=9.9.9.9\r\n"
                 "X-Real-IP: 7\r\nX-Rewrite-URL: /evil\r\n\r\n";
    static const char own[] =
        "x-forwarded-for: 9.9.9.9, 8.8.8.8, x, 198.51.100.7\r\n"
        "x-forwarded-proto: https\r\n"
        "forwarded: for=198.51.100.7;host=\"a.example\";proto=https\r\n"
        "via: 1.1 near\r\n";
    char want[1024];

    (void)state;
    peer_is("198.51.100.7");
    snprintf(want, sizeof(want),
        ASK "host: a.example\r\nX-Forwarded-Host: far\r\n"
            "X-Forwarded-Port: 444\r\nForwarded: for=9.9.9.9\r\n"
            "X-Real-IP: 7\r\n%s",
        own);
    assert_string_equal(written(text, &alone), want);
    /* A Forwarded cannot be keyed: not for what others get. */
    snprintf(want, sizeof(want),
        ASK "host: a.example\r\nX-Forwarded-Host: far\r\n"
            "X-Forwarded-Port: 444\r\nX-Real-IP: 7\r\n%s",
        own);
    assert_string_equal(written(text, &for_cache), want);
}

static void
via_says_by_which_version_the_request_came(void **state)
{
    (void)state;
    assert_string_equal(written("GET /any/x HTTP/1.0\r\n" HOST "\r\n", &alone),
        ASK "host: a.example\r\n" TOLD_PEER TOLD_SITE FORWARDED
            "via: 1.0 near\r\n");
}

/* --- host and target --------------------------------------------------- */

static void
the_host_is_the_client_s_in_the_key_s_form_or_the_origin_s(void **state)
{
    static const struct {
        const char *text;
        const char *start;
        const char *told; /* by X-Forwarded-Host */
    } rows[] = {
        {"GET /any/x HTTP/1.1\r\nHost: A.Example:80\r\n\r\n",
            ASK "host: a.example\r\n", "x-forwarded-host: a.example\r\n"},
        {"GET /any/x HTTP/1.1\r\nHost: A.example.\r\n\r\n",
            ASK "host: A.example.\r\n", "x-forwarded-host: A.example.\r\n"},
        {"GET /%61ny/x HTTP/1.1\r\n" HOST "\r\n",
            "GET /%61ny/x HTTP/1.1\r\nhost: a.example\r\n",
            "x-forwarded-host: a.example\r\n"},
        {"GET /item/1?x&c=1 HTTP/1.1\r\n" HOST "\r\n",
            "GET /item/1?c=1 HTTP/1.1\r\nhost: api.internal:81\r\n",
            "x-forwarded-host: a.example\r\n"},
        {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
            "OPTIONS * HTTP/1.1\r\nhost: a.example\r\n",
            "x-forwarded-host: a.example\r\n"},
    };

    (void)state;
    rules.group_hosts[1] = SLICE("api.internal:81");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *head = written(rows[i].text, &for_cache);
        if (strncmp(head, rows[i].start, strlen(rows[i].start)) != 0 ||
            strstr(head, rows[i].told) == NULL) {
            fail_msg("%s", head);
        }
    }
}

/* --- Max-Forwards ------------------------------------------------------ */

static void
options_counts_the_servers_on_its_way(void **state)
{
    static const struct {
        const char *fields;
        enum rc rc;
        uint64_t hops;
        const char *sent; /* NULL: it is not sent on */
    } rows[] = {
        {"", RC_MISS, 0, ""},
        {"Max-Forwards: 0\r\n", RC_OK, 0, NULL},
        {"Max-Forwards: 1\r\n", RC_OK, 1, "Max-Forwards: 0\r\n"},
        {"max-forwards: 0010\r\n", RC_OK, 10, "max-forwards: 9\r\n"},
        {"Max-Forwards: 4294967295\r\n", RC_OK, 4294967295,
            "Max-Forwards: 4294967294\r\n"},
        {"X: 7\r\nMax-Forwards: 5\r\nY: 9\r\n", RC_OK, 5,
            "X: 7\r\nMax-Forwards: 4\r\nY: 9\r\n"},
        /* As far as we can count. */
        {"Max-Forwards: 99999999999999999999\r\n", RC_OK, 4294967295,
            "Max-Forwards: 4294967294\r\n"},
        {"Max-Forwards: \r\n", RC_BAD, 0, NULL},
        {"Max-Forwards: -1\r\n", RC_BAD, 0, NULL},
        {"Max-Forwards: 1, 2\r\n", RC_BAD, 0, NULL},
        {"Max-Forwards: 1\r\nMax-Forwards: 1\r\n", RC_BAD, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t hops = 0;
        char text[256], want[512];
        snprintf(text, sizeof(text),
            "OPTIONS /any/x HTTP/1.1\r\n" HOST "%s\r\n", rows[i].fields);
        if (hops_of(given_head(text), &hops) != rows[i].rc ||
            (rows[i].rc == RC_OK && hops != rows[i].hops)) {
            fail_msg("%s", rows[i].fields);
        }
        if (rows[i].sent != NULL) {
            snprintf(want, sizeof(want),
                "OPTIONS /any/x HTTP/1.1\r\nhost: a.example\r\n%s" OWN,
                rows[i].sent);
            assert_string_equal(written(text, &alone), want);
        }
    }
}

static void
with_any_other_method_max_forwards_means_nothing(void **state)
{
    static const char *const methods[] = {"GET", "PUT", "HEAD", "BREW"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        uint64_t hops;
        char text[128];
        snprintf(text, sizeof(text),
            "%s /any/x HTTP/1.1\r\n" HOST "Max-Forwards: 0\r\n\r\n",
            methods[i]);
        assert_int_equal(hops_of(given_head(text), &hops), RC_MISS);
        assert_non_null(strstr(written(text, &alone), "Max-Forwards: 0\r\n"));
    }
}

/* --- memory ------------------------------------------------------------ */

static void
without_room_there_is_no_head(void **state)
{
    struct question *q = given_question(&rules, ASK HOST "\r\n");
    struct arena small;
    struct slice head;

    (void)state;
    arena_init(&small, 64);
    assert_int_equal(origin_head_write(q, &alone, &small, &head), RC_NOMEM);
    arena_fini(&small);
    question_unref(&q);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fields_are_sent_as_far_as_they_are_the_client_s_to_say),
        TEST(credentials_that_the_route_ignores_stay_behind),
        TEST(
            accept_encoding_has_its_normal_form_where_the_answer_is_for_others),
        TEST(an_answer_about_what_is_stored_gets_the_client_s_conditions),
        TEST(further_lines_stand_behind_the_client_s),
        TEST(the_peer_is_told_as_it_is_known_to_us),
        TEST(a_trusted_proxy_s_word_is_passed_on_and_the_peer_is_added),
        TEST(via_says_by_which_version_the_request_came),
        TEST(the_host_is_the_client_s_in_the_key_s_form_or_the_origin_s),
        TEST(options_counts_the_servers_on_its_way),
        TEST(with_any_other_method_max_forwards_means_nothing),
        TEST(without_room_there_is_no_head),
    };

    return cmocka_run_group_tests_name("rules origin head", tests, NULL, NULL);
}
