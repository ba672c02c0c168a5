/* Hits that leave before there is a request (session_known.c). */
#include "caller_given.h"

#include "nearside/cache/codec.h"

#define OK(body_len, body)                                                     \
    "HTTP/1.1 200 OK\r\nx: 1\r\ny: 2\r\ncontent-length: " body_len             \
    "\r\n\r\n" body

static void
answer_ok(struct request *r)
{
    r->is_repeatable = true;
    answer(r, "ok");
}

static void
answer_other(struct request *r)
{
    answer(r, "other");
}

static int
known_setup(void **state)
{
    const struct codec_parts parts = {.status = 200, .key = SLICE("k")};
    struct value value;

    setup(state);
    bench.known = OK("2", "ok");
    bench.on_start = answer_ok;
    assert_int_equal(codec_encode(&parts, &value), RC_OK);
    assert_int_equal(codec_entry(&value, &bench.known_entry), RC_OK);
    value_free(&value);
    return 0;
}

static int
known_teardown(void **state)
{
    entry_unref(&bench.known_entry);
    return teardown(state);
}

/* It has had its first request. */
static struct caller
caller_known(void)
{
    struct caller c = caller_new();

    asks(&c, GET("/first"));
    assert_got(&c, OK("2", "ok"));
    assert_int_equal(bench.known_asked, 0);
    return c;
}

static void
a_known_hit_needs_no_request(void **state)
{
    struct caller c = caller_known();

    (void)state;
    for (unsigned i = 1; i <= 3; i++) {
        says(&c, GET_KNOWN);
        assert_got(&c, OK("2", "ok"));
        assert_int_equal(bench.known_sent, i);
        assert_idle(&c);
    }
    assert_int_equal(bench.requests_len, 1);
    asks(&c, GET("/other"));
    assert_got(&c, OK("2", "ok"));
    leaves(&c);
}

static void
what_comes_with_it_is_the_next_request(void **state)
{
    static const char both[] = GET_KNOWN GET("/next");
    struct caller c = caller_known();

    (void)state;
    says(&c, both);
    assert_got(&c, OK("2", "ok") OK("2", "ok"));
    assert_int_equal(bench.known_sent, 1);
    assert_string_equal(last_request()->asks, "GET /next");
    for (size_t at = sizeof(GET_KNOWN); at < sizeof(both) - 1; at++) {
        says_bytes(&c, both, at);
        says_bytes(&c, both + at, sizeof(both) - 1 - at);
        bench.requests_len = 1;
        assert_got(&c, OK("2", "ok") OK("2", "ok"));
    }
    leaves(&c);
}

static void
a_head_in_two_pieces_is_a_requests(void **state)
{
    struct caller c = caller_known();

    (void)state;
    for (size_t at = 1; at < sizeof(GET_KNOWN) - 1; at++) {
        says_bytes(&c, GET_KNOWN, at);
        says_bytes(&c, &GET_KNOWN[at], sizeof(GET_KNOWN) - 1 - at);
        assert_int_equal(bench.requests_len, 2);
        bench.requests_len = 1;
        assert_got(&c, OK("2", "ok"));
    }
    assert_int_equal(bench.known_sent, 0);
    leaves(&c);
}

/* Cut at each byte; then the socket takes no more for now. */
static void
what_has_not_left_leaves_with_a_request(void **state)
{
    const size_t len = strlen(OK("2", "ok"));
    struct caller c = caller_known();

    (void)state;
    for (size_t room = 0; room < len; room++) {
        bench.room = (ssize_t)room;
        says(&c, GET_KNOWN);
        assert_int_equal(bench.requests_len, 2);
        assert_int_equal(bench.known_resumed, room + 1);
        assert_int_equal(strlen(got(&c)), room);
        bench.room = -1;
        turns();
        assert_string_equal(got(&c), &OK("2", "ok")[room]);
        assert_int_equal(last_request()->end, REQUEST_SENT);
        bench.requests_len = 1;
        assert_idle(&c);
    }
    assert_int_equal(bench.known_sent, 0);
    leaves(&c);
}

static void
an_answer_that_is_another_does_not_go_on_with_it(void **state)
{
    struct caller c = caller_known();

    (void)state;
    bench.room = 20;
    bench.on_start = answer_other;
    says(&c, GET_KNOWN);
    bench.room = -1;
    assert_int_equal(strlen(got(&c)), 20);
    assert_int_equal(last_request()->end, REQUEST_GONE);
    assert_over(&c);
    leaves(&c);
}

static void
without_memory_for_its_request_it_is_cut(void **state)
{
    struct caller c = caller_known();

    (void)state;
    bench.room = 20;
    bench.requests_refused = 1;
    says(&c, GET_KNOWN);
    bench.room = -1;
    assert_int_equal(strlen(got(&c)), 20);
    assert_over(&c);
    leaves(&c);
}

static void
a_client_that_is_gone_has_a_request_that_is_gone(void **state)
{
    struct caller c = caller_known();

    (void)state;
    assert_int_equal(
        write(c.fd, GET_KNOWN, strlen(GET_KNOWN)), strlen(GET_KNOWN));
    leaves(&c);
    assert_int_equal(last_request()->end, REQUEST_GONE);
    assert_int_equal(connections(), 0);
}

static void
the_last_request_of_a_connection_says_so(void **state)
{
    struct caller c;

    (void)state;
    bench.conf->opts.limits.requests_per_connection = 3;
    c = caller_known();
    says(&c, GET_KNOWN);
    assert_got(&c, OK("2", "ok"));
    assert_int_equal(bench.known_sent, 1);
    says(&c, GET_KNOWN);
    assert_non_null(strstr(got(&c), "connection: close"));
    assert_int_equal(bench.known_sent, 1);
    leaves(&c);
}

static void
while_all_answers_say_close_it_does_too(void **state)
{
    struct caller c = caller_known();

    (void)state;
    front_say_close(bench.side->front);
    says(&c, GET_KNOWN);
    assert_non_null(strstr(got(&c), "connection: close"));
    assert_int_equal(bench.known_sent, 0);
    leaves(&c);
}

/* It is idle from its answer on, for as long as any. */
static void
it_puts_off_the_end_of_an_idle_connection(void **state)
{
    int64_t idle_ms = bench.conf->opts.limits.idle_timeout_ms;
    struct caller c = caller_known();

    (void)state;
    pass(idle_ms - 10);
    says(&c, GET_KNOWN);
    assert_got(&c, OK("2", "ok"));
    pass(idle_ms - 10);
    assert_idle(&c);
    pass(20);
    assert_true(has_end(&c));
    assert_over(&c);
    leaves(&c);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, known_setup, known_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_known_hit_needs_no_request),
        TEST(what_comes_with_it_is_the_next_request),
        TEST(a_head_in_two_pieces_is_a_requests),
        TEST(what_has_not_left_leaves_with_a_request),
        TEST(an_answer_that_is_another_does_not_go_on_with_it),
        TEST(without_memory_for_its_request_it_is_cut),
        TEST(a_client_that_is_gone_has_a_request_that_is_gone),
        TEST(the_last_request_of_a_connection_says_so),
        TEST(while_all_answers_say_close_it_does_too),
        TEST(it_puts_off_the_end_of_an_idle_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
