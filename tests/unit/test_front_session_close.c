/* When a connection ends: after which answer, how long it lingers, when it was
   idle too long, in a drain, and when its client goes. */
#include "caller_given.h"

#define BEGIN   "HTTP/1.1 200 OK\r\nx: 1\r\ny: 2\r\ncontent-length: 2\r\n"
#define OK      BEGIN "\r\nok"
#define OK_LAST BEGIN "connection: close\r\n\r\nok"
#define GET_LAST                                                               \
    "GET /a HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"

static void
answer_ok(struct request *r)
{
    answer(r, "ok");
}

/* One that has had its last answer. */
static struct caller
lingering_new(void)
{
    struct caller c = caller_new();

    answer_ok(asks(&c, GET_LAST));
    assert_got(&c, OK_LAST);
    assert_true(has_end(&c));
    return c;
}

static struct caller
idle_new(void)
{
    struct caller c = caller_new();

    answer_ok(asks(&c, GET("/a")));
    assert_got(&c, OK);
    assert_idle(&c);
    return c;
}

static void
drains(void)
{
    front_say_close(bench.side->front);
    front_drain(bench.side->front);
    turns();
}

/* --- after an answer --------------------------------------------------- */

static void
what_comes_behind_the_last_request_is_not_answered(void **state)
{
    struct caller c = caller_new();

    (void)state;
    bench.on_start = answer_ok;
    says(&c, GET_LAST GET("/b"));
    assert_got(&c, OK_LAST);
    assert_int_equal(bench.requests_len, 1);
    assert_lingers(&c);
    leaves(&c);
    assert_int_equal(connections(), 0);
}

/* Those that come one by one count like those that come together. */
static void
a_connection_has_its_number_of_requests(void **state)
{
    struct caller c = caller_new();

    (void)state;
    limits()->requests_per_connection = 4;
    bench.on_start = answer_ok;
    for (int i = 0; i < 2; i++) {
        says(&c, GET("/a"));
        assert_got(&c, OK);
        assert_idle(&c);
    }
    says(&c, GET("/b") GET("/c") GET("/d"));
    assert_got(&c, OK OK_LAST);
    assert_int_equal(limited(LIMIT_REQUESTS), 1);
    assert_lingers(&c);
    leaves(&c);
}

static void
an_answer_may_end_its_connection(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a"));

    (void)state;
    r->response = (struct response){.status = 200, .is_last = true};
    r->stream->ops->respond(r->stream, &r->response);
    assert_got(&c, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
    assert_lingers(&c);
    leaves(&c);
}

/* --- lingering --------------------------------------------------------- */

static void
a_client_that_closes_is_waited_for_no_longer(void **state)
{
    struct caller c = lingering_new();

    (void)state;
    says(&c, "dropped");
    assert_lingers(&c);
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    assert_over(&c);
    assert_int_equal(atomic_load(&bench.front->lingering), 0);
    leaves(&c);
}

static void
a_client_that_is_silent_is_heard_out_for_a_gap(void **state)
{
    struct caller c = lingering_new();

    (void)state;
    pass(996);
    says(&c, GET("/late"));
    pass(996);
    assert_lingers(&c);
    assert_int_equal(bench.requests_len, 1);
    pass(4);
    assert_over(&c);
    assert_int_equal(limited(LIMIT_LINGER_TOTAL), 0);
    leaves(&c);
}

static void
a_client_that_never_ends_is_heard_out_for_so_long_in_all(void **state)
{
    struct caller c = lingering_new();

    (void)state;
    for (int i = 0; i < 9; i++) {
        pass(500);
        says(&c, "more");
    }
    pass(496);
    assert_lingers(&c);
    pass(4);
    assert_over(&c);
    assert_int_equal(limited(LIMIT_LINGER_TOTAL), 1);
    leaves(&c);
}

/* Who has been at it longest goes. */
static void
so_many_linger_at_most(void **state)
{
    struct caller c[4];

    (void)state;
    limits()->linger_max = 3;
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        assert_int_equal(limited(LIMIT_LINGER_MAX), 0);
        c[i] = lingering_new();
        pass(4);
    }
    assert_int_equal(limited(LIMIT_LINGER_MAX), 1);
    assert_int_equal(connections(), 3);
    assert_int_equal(atomic_load(&bench.front->lingering), 3);
    calls(&c[0], "x");
    calls(&c[1], "x");
    assert_int_equal(sendto(c[0].fd, "x", 1, MSG_NOSIGNAL, NULL, 0), -1);
    assert_int_equal(sendto(c[1].fd, "x", 1, MSG_NOSIGNAL, NULL, 0), 1);
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        leaves(&c[i]);
    }
    assert_int_equal(atomic_load(&bench.front->lingering), 0);
}

/* --- idle -------------------------------------------------------------- */

static void
an_idle_connection_ends(void **state)
{
    struct caller c = caller_new();

    (void)state;
    pass(996);
    assert_false(has_end(&c));
    pass(4);
    assert_over(&c);
    assert_int_equal(limited(LIMIT_IDLE_TIMEOUT), 1);
    leaves(&c);
    c = idle_new();
    pass(996);
    answer_ok(asks(&c, GET("/b")));
    assert_got(&c, OK);
    pass(996);
    assert_idle(&c);
    pass(4);
    assert_over(&c);
    assert_int_equal(limited(LIMIT_IDLE_TIMEOUT), 2);
    leaves(&c);
}

static void
an_idle_connection_holds_no_turn(void **state)
{
    struct caller c = caller_new();
    struct request *r;

    (void)state;
    turns();
    assert_int_equal(bench.side->front->turns.len, 0);
    r = asks(&c, GET("/a"));
    assert_int_equal(bench.side->front->turns.len, 0);
    answer_ok(r);
    assert_got(&c, OK);
    assert_int_equal(bench.side->front->turns.len, 1);
    leaves(&c);
}

/* --- a drain ----------------------------------------------------------- */

static void
an_answer_that_begins_in_a_drain_ends_its_connection(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a") GET("/b"));

    (void)state;
    front_say_close(bench.side->front);
    answer_ok(r);
    assert_got(&c, OK_LAST);
    assert_int_equal(bench.requests_len, 1);
    assert_lingers(&c);
    leaves(&c);
}

static void
one_that_has_begun_does_not(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a") GET("/b"));

    (void)state;
    answer_ok(r);
    front_say_close(bench.side->front);
    turns();
    assert_int_equal(bench.requests_len, 2);
    answer_ok(last_request());
    assert_got(&c, OK OK_LAST);
    assert_lingers(&c);
    leaves(&c);
}

/* What was on its way is heard, and not answered with a reset. */
static void
idle_connections_end_in_a_drain(void **state)
{
    struct caller c = idle_new();

    (void)state;
    drains();
    assert_lingers(&c);
    says(&c, GET("/late"));
    pass(500);
    says(&c, "more");
    pass(496);
    assert_lingers(&c);
    assert_int_equal(bench.side->empties, 0);
    pass(4);
    assert_over(&c);
    assert_int_equal(bench.requests_len, 1);
    assert_int_equal(bench.side->empties, 1);
    assert_int_equal(limited(LIMIT_LINGER_TOTAL), 0);
    assert_int_equal(limited(LIMIT_IDLE_TIMEOUT), 0);
    leaves(&c);
}

/* It was idle when the drain began, but for a request that waits to be read. */
static void
a_request_that_has_come_is_answered_in_a_drain(void **state)
{
    struct caller c = idle_new();

    (void)state;
    bench.on_start = answer_ok;
    assert_int_equal(
        write(c.fd, GET("/b"), sizeof(GET("/b")) - 1), sizeof(GET("/b")) - 1);
    drains();
    assert_got(&c, OK_LAST);
    assert_lingers(&c);
    leaves(&c);
    assert_int_equal(bench.side->empties, 1);
}

static void
a_new_connection_has_its_second_to_speak_in_a_drain(void **state)
{
    struct caller silent, c;

    (void)state;
    limits()->idle_timeout_ms = 60000;
    silent = caller_new();
    c = caller_new();
    pass(600);
    drains();
    pass(396);
    assert_int_equal(connections(), 2);
    bench.on_start = answer_ok;
    says(&c, GET("/a"));
    assert_got(&c, OK_LAST);
    pass(4);
    assert_true(has_end(&silent));
    assert_int_equal(connections(), 1);
    leaves(&c);
    assert_int_equal(bench.side->empties, 1);
    leaves(&silent);
}

static void
an_answer_under_way_is_finished_in_a_drain(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a"));
    struct fill *fill = given_fill();

    (void)state;
    answer_fill(r, fill, 2);
    turns();
    drains();
    pass(600000);
    append(fill, "ok");
    fill_finish(fill, FILL_COMPLETE);
    assert_non_null(strstr(got(&c), "\r\n\r\nok"));
    assert_int_equal(r->end, REQUEST_SENT);
    assert_lingers(&c);
    pass(996);
    assert_int_equal(connections(), 1);
    pass(4);
    assert_over(&c);
    assert_int_equal(bench.side->empties, 1);
    leaves(&c);
    fill_unref(&fill);
}

/* Whatever it sends, from the beginning of the drain or of its lingering. */
static void
who_lingers_in_a_drain_has_two_seconds(void **state)
{
    struct caller before = lingering_new();
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a"));

    (void)state;
    drains();
    pass(400);
    answer_ok(r);
    assert_got(&c, OK_LAST);
    for (int i = 0; i < 3; i++) {
        pass(400);
        says(&before, "more");
        says(&c, "more");
    }
    pass(396);
    assert_int_equal(connections(), 2);
    pass(4);
    assert_int_equal(connections(), 1);
    says(&c, "more");
    pass(396);
    assert_int_equal(connections(), 1);
    assert_int_equal(bench.side->empties, 0);
    pass(4);
    assert_over(&c);
    assert_int_equal(bench.side->empties, 1);
    assert_int_equal(limited(LIMIT_LINGER_TOTAL), 0);
    leaves(&c);
    leaves(&before);
}

/* --- a client that goes ------------------------------------------------ */

static void
a_client_may_go_before_it_has_spoken(void **state)
{
    struct caller c = caller_new();

    (void)state;
    leaves(&c);
    assert_int_equal(connections(), 0);
    c = idle_new();
    leaves(&c);
    assert_int_equal(connections(), 0);
    assert_int_equal(bench.requests_len, 1);
}

static void
a_client_that_goes_amid_a_head_is_a_request_that_has_gone(void **state)
{
    struct caller c = caller_new();

    (void)state;
    says(&c, "GET /a");
    leaves(&c);
    assert_int_equal(connections(), 0);
    assert_int_equal(bench.requests_len, 1);
    assert_int_equal(last_request()->end, REQUEST_GONE);
}

/* It may have ended its direction alone; writing tells. */
static void
a_client_that_goes_is_noticed_when_it_is_answered(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a"));

    (void)state;
    leaves(&c);
    assert_int_equal(r->end, REQUEST_OPEN);
    answer_ok(r);
    turns();
    assert_int_equal(r->end, REQUEST_GONE);
    assert_int_equal(r->body_bytes, 0);
    assert_int_equal(connections(), 0);
}

static void
a_client_that_goes_amid_an_answer_is_gone(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a"));
    struct fill *fill = given_fill();

    (void)state;
    answer_fill(r, fill, 4);
    append(fill, "ab");
    (void)got(&c);
    leaves(&c);
    append(fill, "cd");
    turns();
    assert_int_equal(r->end, REQUEST_GONE);
    assert_int_equal(r->body_bytes, 2);
    assert_int_equal(connections(), 0);
    fill_unref(&fill);
}

static void
what_is_left_ends_with_the_worker(void **state)
{
    struct caller c[5] = {idle_new()};
    struct request *r;

    (void)state;
    c[1] = lingering_new();
    c[2] = caller_new();
    c[3] = caller_new();
    c[4] = caller_new();
    r = asks(&c[3], GET("/a"));
    says(&c[4], "GET /");
    front_worker_stop(bench.side->front);
    assert_int_equal(r->end, REQUEST_GONE);
    assert_true(front_is_empty(bench.side->front));
    assert_int_equal(connections(), 0);
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        assert_true(has_end(&c[i]));
        leaves(&c[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FRONT_TEST(what_comes_behind_the_last_request_is_not_answered),
        FRONT_TEST(a_connection_has_its_number_of_requests),
        FRONT_TEST(an_answer_may_end_its_connection),
        FRONT_TEST(a_client_that_closes_is_waited_for_no_longer),
        FRONT_TEST(a_client_that_is_silent_is_heard_out_for_a_gap),
        FRONT_TEST(a_client_that_never_ends_is_heard_out_for_so_long_in_all),
        FRONT_TEST(so_many_linger_at_most),
        FRONT_TEST(an_idle_connection_ends),
        FRONT_TEST(an_idle_connection_holds_no_turn),
        FRONT_TEST(an_answer_that_begins_in_a_drain_ends_its_connection),
        FRONT_TEST(one_that_has_begun_does_not),
        FRONT_TEST(idle_connections_end_in_a_drain),
        FRONT_TEST(a_request_that_has_come_is_answered_in_a_drain),
        FRONT_TEST(a_new_connection_has_its_second_to_speak_in_a_drain),
        FRONT_TEST(an_answer_under_way_is_finished_in_a_drain),
        FRONT_TEST(who_lingers_in_a_drain_has_two_seconds),
        FRONT_TEST(a_client_may_go_before_it_has_spoken),
        FRONT_TEST(a_client_that_goes_amid_a_head_is_a_request_that_has_gone),
        FRONT_TEST(a_client_that_goes_is_noticed_when_it_is_answered),
        FRONT_TEST(a_client_that_goes_amid_an_answer_is_gone),
        FRONT_TEST(what_is_left_ends_with_the_worker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
