/*
 * Where a question takes its request first, and what is noted of it there
 * (step_ask.c, step_options.c).
 */
#include "request_given.h"

/* Which step is taken, and no further: what it waits for never comes. */
static void
a_request_goes_where_its_question_belongs(void **state)
{
    static const struct {
        const char *text;
        const char *moves;
        enum result result;
        enum cache_fwd fwd;
        const char *detail;
    } rows[] = {
        {GET, "ask flight", RESULT_MISS, CACHE_FWD_URI_MISS, NULL},
        /* For itself alone. Without Redis there is nothing to look up. */
        {REQUEST("HEAD /any/x"), "ask lookup forward", RESULT_MISS,
            CACHE_FWD_URI_MISS, NULL},
        {"GET /any/x HTTP/1.1\r\nHost: h\r\nRange: bytes=0-1\r\n\r\n",
            "ask lookup forward", RESULT_MISS, CACHE_FWD_URI_MISS, NULL},
        /* It is sent in another spelling than the key has. */
        {REQUEST("GET /any/%7ex"), "ask lookup forward", RESULT_MISS,
            CACHE_FWD_URI_MISS, "spelling"},
        {REQUEST("GET /pass/x"), "ask forward", RESULT_BYPASS, CACHE_FWD_BYPASS,
            "route"},
        {"GET /any/x HTTP/1.1\r\nHost: h\r\nIf-Match: \"a\"\r\n\r\n",
            "ask forward", RESULT_BYPASS, CACHE_FWD_BYPASS, "condition"},
        {REQUEST("PUT /any/x"), "ask forward", RESULT_WRITE, CACHE_FWD_METHOD,
            NULL},
        {REQUEST("DELETE /any/x"), "ask forward", RESULT_WRITE,
            CACHE_FWD_METHOD, NULL},
        {REQUEST("GET /elsewhere"), "ask forward", RESULT_PASS,
            CACHE_FWD_BYPASS, "route"},
        {REQUEST("GET /elsewhere/%2e%2e/x"), "ask forward", RESULT_PASS,
            CACHE_FWD_BYPASS, "target"},
        {REQUEST("OPTIONS /any/x"), "ask forward", RESULT_PASS,
            CACHE_FWD_METHOD, NULL},
        {"OPTIONS * HTTP/1.1\r\nHost: h\r\nMax-Forwards: 1\r\n\r\n",
            "ask forward", RESULT_PASS, CACHE_FWD_METHOD, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *r = given_new(rows[i].text);

        request_start(r);
        assert_moves(r, rows[i].moves);
        if (r->result != rows[i].result || r->fwd != rows[i].fwd) {
            fail_msg("%s: %u, %u", rows[i].text, r->result, r->fwd);
        }
        if (rows[i].detail == NULL) {
            assert_null(r->detail);
        } else {
            assert_string_equal(r->detail, rows[i].detail);
        }
        request_on_gone(r, 0);
    }
}

/* All of them are errors of ours, and are told as such. */
static void
what_cannot_be_asked_is_answered(void **state)
{
    static const struct {
        const char *text;
        const char *moves;
        unsigned status;
        const char *detail;
    } rows[] = {
        {REQUEST("DELETE /item/1"), "ask deliver_error", 405, "method"},
        {"PUT /any/x HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n",
            "ask deliver_error", 413, "body_max"},
        {"GET /any/x HTTP/1.1\r\nHost: h\r\n"
         "Cache-Control: only-if-cached\r\n\r\n",
            "ask lookup deliver_error", 504, "only-if-cached"},
        {"GET /pass/x HTTP/1.1\r\nHost: h\r\n"
         "Cache-Control: only-if-cached\r\n\r\n",
            "ask deliver_error", 504, "only-if-cached"},
        {"GET /elsewhere HTTP/1.1\r\nHost: h\r\n"
         "Cache-Control: only-if-cached\r\n\r\n",
            "ask deliver_error", 504, "only-if-cached"},
        {"OPTIONS * HTTP/1.1\r\nHost: h\r\nMax-Forwards: x\r\n\r\n",
            "ask deliver_error", 400, "max-forwards"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *r = given_new(rows[i].text);

        request_start(r);
        assert_moves(r, rows[i].moves);
        assert_int_equal(bench.response->status, rows[i].status);
        assert_string_equal(r->detail, rows[i].detail);
        request_on_sent(r, 0);
    }
    assert_int_equal(
        bench.worker.block->cells[bench.metrics.limits[LIMIT_BODY_MAX]], 1);
}

static void
the_last_server_asked_for_its_options_answers_itself(void **state)
{
    struct request *r = given_new(
        "OPTIONS /item/1 HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n");

    (void)state;
    bench.rules.routes[ROW_ITEM].methods_len = 0;
    request_start(r);
    assert_moves(r, "ask options");
    assert_int_equal(bench.response->status, 200);
    assert_true(slice_starts(bench.response->fields, SLICE("date: ")));
    assert_true(bench.response->has_length);
    assert_int_equal(bench.response->length, 0);
    assert_false(bench.response->has_body);
    assert_int_equal(bench.response->extra.len, 0);
    request_on_sent(r, 0);
}

static void
and_names_the_methods_of_the_route(void **state)
{
    static const struct slice methods[] = {{"GET", 3}, {"OPTIONS", 7}};
    struct request *r = given_new(
        "OPTIONS /item/1 HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n");

    (void)state;
    bench.rules.routes[ROW_ITEM].methods = methods;
    bench.rules.routes[ROW_ITEM].methods_len = 2;
    request_start(r);
    assert_true(slice_starts(
        bench.response->fields, SLICE("allow: GET, OPTIONS\r\ndate: ")));
    request_on_sent(r, 0);
}

/* No half of a line is sent. */
static void
but_not_where_they_are_too_many(void **state)
{
    struct slice methods[100];
    struct request *r = given_new(
        "OPTIONS /item/1 HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        methods[i] = SLICE("OPTIONS");
    }
    bench.rules.routes[ROW_ITEM].methods = methods;
    bench.rules.routes[ROW_ITEM].methods_len = ARRAY_LEN(methods);
    request_start(r);
    assert_true(slice_starts(bench.response->fields, SLICE("date: ")));
    request_on_sent(r, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_goes_where_its_question_belongs),
        TEST(what_cannot_be_asked_is_answered),
        TEST(the_last_server_asked_for_its_options_answers_itself),
        TEST(and_names_the_methods_of_the_route),
        TEST(but_not_where_they_are_too_many),
    };

    return cmocka_run_group_tests_name("request step ask", tests, NULL, NULL);
}
