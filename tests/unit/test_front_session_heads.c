/* Heads: read in any pieces, one after the other, in time, and refused. */
#include "caller_given.h"

#include "log_given.h"

#define OK(body_len, body)                                                     \
    "HTTP/1.1 200 OK\r\nx: 1\r\ny: 2\r\ncontent-length: " body_len             \
    "\r\n\r\n" body
#define REFUSED(status_line)                                                   \
    "HTTP/1.1 " status_line "\r\nx: 1\r\nconnection: close\r\n\r\n"

static void
answer_ok(struct request *r)
{
    answer(r, "ok");
}

static void
a_head_may_come_in_any_two_pieces(void **state)
{
    static const char head[] = GET("/a");
    struct caller c = caller_new();

    (void)state;
    bench.on_start = answer_ok;
    for (size_t at = 1; at < sizeof(head) - 1; at++) {
        bench.requests_len = 0;
        says_bytes(&c, head, at);
        assert_int_equal(bench.requests_len, 0);
        says_bytes(&c, head + at, sizeof(head) - 1 - at);
        assert_int_equal(bench.requests_len, 1);
        assert_string_equal(last_request()->asks, "GET /a");
        assert_got(&c, OK("2", "ok"));
        assert_int_equal(last_request()->end, REQUEST_SENT);
        assert_int_equal(last_request()->body_bytes, 2);
    }
    leaves(&c);
}

static void
a_head_may_come_byte_by_byte(void **state)
{
    static const char head[] = GET("/a");
    struct caller c = caller_new();

    (void)state;
    bench.on_start = answer_ok;
    for (size_t at = 0; at < sizeof(head) - 1; at++) {
        assert_int_equal(bench.requests_len, 0);
        says_bytes(&c, head + at, 1);
    }
    assert_int_equal(bench.requests_len, 1);
    assert_got(&c, OK("2", "ok"));
    leaves(&c);
}

/* Two that come together, cut anywhere: in their order, one at a time. */
static void
requests_are_answered_in_their_order(void **state)
{
    static const char heads[] = GET("/a") GET("/b");
    struct caller c = caller_new();

    (void)state;
    for (size_t at = 1; at < sizeof(heads); at++) {
        struct request *r;

        bench.requests_len = 0;
        says_bytes(&c, heads, at);
        says_bytes(&c, heads + at, sizeof(heads) - 1 - at);
        assert_int_equal(bench.requests_len, 1);
        r = last_request();
        assert_string_equal(r->asks, "GET /a");
        answer(r, "a");
        turns();
        assert_int_equal(r->end, REQUEST_SENT);
        assert_int_equal(bench.requests_len, 2);
        r = last_request();
        assert_string_equal(r->asks, "GET /b");
        answer(r, "b");
        assert_got(&c, OK("1", "a") OK("1", "b"));
        assert_int_equal(r->end, REQUEST_SENT);
    }
    assert_idle(&c);
    leaves(&c);
}

/* Each is answered at once, and none on the stack of the one before. */
static void
many_that_come_together_are_all_answered(void **state)
{
    struct caller c = caller_new();
    char want[4096] = "";

    (void)state;
    bench.on_start = answer_ok;
    for (int i = 0; i < 30; i++) {
        strcat(want, OK("2", "ok"));
        assert_true(write(c.fd, GET("/a"), sizeof(GET("/a")) - 1) > 0);
    }
    assert_got(&c, want);
    assert_int_equal(bench.requests_len, 30);
    assert_idle(&c);
    leaves(&c);
}

/* What a client sends ahead stays in its socket, but for a little. */
static void
little_is_read_ahead(void **state)
{
    static char ahead[5000];
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a"));

    (void)state;
    memset(ahead, 'x', sizeof(ahead));
    memcpy(ahead, "GET /b HTTP/1.1\r\nHost: b\r\nX: ", 29);
    memcpy(ahead + sizeof(ahead) - 4, "\r\n\r\n", 4);
    assert_true(is_awaited(c.other, EV_READ));
    says_bytes(&c, ahead, 4095);
    assert_true(is_awaited(c.other, EV_READ));
    says_bytes(&c, ahead + 4095, 1);
    assert_false(is_awaited(c.other, EV_READ));
    says_bytes(&c, ahead + 4096, sizeof(ahead) - 4096);
    answer(r, "a");
    turns();
    assert_int_equal(bench.requests_len, 2);
    assert_string_equal(last_request()->asks, "GET /b");
    answer(last_request(), "b");
    assert_got(&c, OK("1", "a") OK("1", "b"));
    leaves(&c);
}

static void
a_request_knows_its_client_and_when_it_came(void **state)
{
    struct caller c = caller_new();
    int64_t came_us;
    struct request *r;

    (void)state;
    pass(40);
    came_us = clock_now_us(&bench.loop->clock);
    says(&c, "G");
    pass(500);
    r = asks(&c, &(GET("/a"))[1]);
    assert_int_equal(r->start_us, came_us);
    assert_int_equal(
        r->peer.u.v4.sin_addr.s_addr, bench.peer.u.v4.sin_addr.s_addr);
    assert_false(r->has_content);
    answer(r, "a");
    pass(300);
    assert_int_equal(asks(&c, GET("/b"))->start_us, came_us + 800000);
    leaves(&c);
}

/* --- the time for a head ----------------------------------------------- */

/* From its first byte on, however it trickles in. */
static void
a_head_has_its_time_from_its_first_byte(void **state)
{
    struct caller c = caller_new();

    (void)state;
    pass(500);
    says(&c, "GET /");
    pass(600);
    says(&c, "a HTTP/1.1\r\n");
    pass(396);
    assert_int_equal(bench.requests_len, 0);
    pass(4);
    assert_int_equal(bench.requests_len, 1);
    assert_int_equal(last_request()->refused, 408);
    assert_string_equal(last_request()->detail, "head_timeout");
    assert_null(last_request()->fault);
    assert_got(&c, REFUSED("408 Request Timeout"));
    assert_int_equal(limited(LIMIT_HEAD_TIMEOUT), 1);
    assert_lingers(&c);
    leaves(&c);
}

/* The time of one that was read ahead begins when its turn comes. */
static void
a_head_read_ahead_has_its_time_too(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a") "GET /b");

    (void)state;
    pass(5000);
    answer(r, "a");
    assert_got(&c, OK("1", "a"));
    pass(996);
    assert_int_equal(limited(LIMIT_HEAD_TIMEOUT), 0);
    pass(4);
    assert_int_equal(limited(LIMIT_HEAD_TIMEOUT), 1);
    assert_got(&c, REFUSED("408 Request Timeout"));
    leaves(&c);
}

static void
a_client_that_waits_for_its_answer_has_no_deadline(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a"));

    (void)state;
    pass(3600000);
    answer(r, "a");
    assert_got(&c, OK("1", "a"));
    assert_idle(&c);
    leaves(&c);
}

/* --- what is refused --------------------------------------------------- */

static void
a_malformed_head_is_refused_and_ends_the_connection(void **state)
{
    struct caller c = caller_new();
    struct request *r =
        asks(&c, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n" GET("/b"));

    (void)state;
    assert_int_equal(r->refused, 400);
    assert_string_equal(r->fault, "VERSION");
    assert_non_null(r->detail);
    assert_string_equal(r->asks, "GET /a b");
    assert_false(r->is_started);
    assert_got(&c, REFUSED("400 Bad Request"));
    assert_int_equal(r->end, REQUEST_SENT);
    assert_int_equal(bench.requests_len, 1);
    assert_lingers(&c);
    leaves(&c);
}

static void
a_head_beyond_a_limit_is_refused_and_counted(void **state)
{
    static const struct {
        enum limit limit;
        unsigned status;
        const char *head;
    } rows[] = {
        {LIMIT_HEAD_SIZE, 431,
            "GET /a HTTP/1.1\r\nHost: a\r\nA: 34567890\r\nB: 34567890\r\n"
            "C: 34567890\r\nD: 34567890\r\nE: 34567890\r\nF: 34567890\r\n\r\n"},
        {LIMIT_FIELD_SIZE, 431,
            "GET /a HTTP/1.1\r\nHost: a\r\nA: 3456789012345678901\r\n\r\n"},
        {LIMIT_FIELD_NAME_SIZE, 431,
            "GET /a HTTP/1.1\r\nHost: a\r\nNine-byte: 1\r\n\r\n"},
        {LIMIT_FIELDS, 431,
            "GET /a HTTP/1.1\r\nHost: a\r\nA:\r\nB:\r\nC:\r\nD:\r\nE:\r\nF:\r\n"
            "G:\r\n\r\n"},
        {LIMIT_TARGET_SIZE, 414, GET("/234567890123")},
    };

    (void)state;
    limits()->head_max = 100;
    limits()->field_max = 20;
    limits()->field_name_max = 8;
    limits()->fields_max = 7;
    limits()->target_max = 12;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct caller c = caller_new();
        struct request *r = asks(&c, rows[i].head);

        assert_int_equal(r->refused, rows[i].status);
        assert_true(r->end == REQUEST_SENT);
        for (size_t j = 0; j < ARRAY_LEN(rows); j++) {
            assert_int_equal(limited(rows[j].limit), j <= i);
        }
        leaves(&c);
    }
}

static void
an_http_1_0_client_may_leave_out_the_host_if_there_is_a_default(void **state)
{
    struct caller c = caller_new();

    (void)state;
    assert_int_equal(asks(&c, "GET /a HTTP/1.0\r\n\r\n")->refused, 400);
    leaves(&c);
    bench.conf->opts.default_host = "a.example";
    c = caller_new();
    assert_int_equal(asks(&c, "GET /a HTTP/1.0\r\n\r\n")->refused, 0);
    leaves(&c);
}

/* Once a minute at most, however many come. */
static void
another_protocol_is_warned_of(void **state)
{
    static struct log_given log;

    (void)state;
    log_given_open(&log);
    bench.side->worker.ring = log.ring;
    for (int i = 0; i < 3; i++) {
        struct caller c = caller_new();
        struct request *r = asks(&c, "\x16\x03\x01\x02\x01\x01");

        assert_int_equal(r->refused, 400);
        assert_string_equal(r->fault, "TLS");
        leaves(&c);
        c = caller_new();
        assert_string_equal(asks(&c, "G\1T\r\n")->fault, "CONTROL");
        leaves(&c);
        pass(i == 0 ? 59996 : 4);
    }
    log_given_text(&log);
    assert_int_equal(log_given_count(&log, "other_protocol"), 2);
    assert_int_equal(log_given_count(&log, "TLS"), 2);
    assert_int_equal(log_given_count(&log, "192.0.2.1"), 2);
}

/* --- memory and ends --------------------------------------------------- */

static void
without_memory_for_a_request_the_answer_is_503(void **state)
{
    struct caller c = caller_new();

    (void)state;
    bench.requests_refused = 1;
    assert_int_equal(asks(&c, GET("/a"))->refused, 503);
    assert_string_equal(last_request()->detail, "no-memory");
    assert_got(&c, REFUSED("503 Service Unavailable"));
    assert_int_equal(limited(LIMIT_MEMORY), 1);
    leaves(&c);
    c = caller_new();
    bench.requests_refused = 3;
    says(&c, GET("/a"));
    assert_over(&c);
    assert_int_equal(limited(LIMIT_MEMORY), 3);
    leaves(&c);
}

static void
half_a_head_and_an_end_are_a_request_that_has_gone(void **state)
{
    struct caller c = caller_new();

    (void)state;
    says(&c, "GET /a HT");
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    assert_over(&c);
    assert_int_equal(bench.requests_len, 1);
    assert_int_equal(last_request()->end, REQUEST_GONE);
    assert_int_equal(last_request()->refused, 0);
    assert_string_equal(last_request()->asks, " ");
    leaves(&c);
}

/* It has read the answers that it was owed, and half a head is no request. */
static void
half_a_head_behind_an_answer_and_an_end_are_nothing_to_answer(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a") "GET /b");

    (void)state;
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    turns();
    answer(r, "a");
    assert_got(&c, OK("1", "a"));
    assert_over(&c);
    leaves(&c);
}

static void
all_that_were_sent_before_an_end_are_answered(void **state)
{
    struct caller c = caller_new();
    struct request *r;

    (void)state;
    bench.on_start = answer_ok;
    assert_true(
        write(c.fd, GET("/a") GET("/b"), sizeof(GET("/a") GET("/b")) - 1) > 0);
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    assert_got(&c, OK("2", "ok") OK("2", "ok"));
    assert_over(&c);
    leaves(&c);
    /* Also those whose turn comes when the end has been seen. */
    bench.on_start = NULL;
    c = caller_new();
    r = asks(&c, GET("/a") GET("/b"));
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    turns();
    assert_false(is_awaited(c.other, EV_READ));
    bench.on_start = answer_ok;
    answer_ok(r);
    assert_got(&c, OK("2", "ok") OK("2", "ok"));
    assert_over(&c);
    leaves(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FRONT_TEST(a_head_may_come_in_any_two_pieces),
        FRONT_TEST(a_head_may_come_byte_by_byte),
        FRONT_TEST(requests_are_answered_in_their_order),
        FRONT_TEST(many_that_come_together_are_all_answered),
        FRONT_TEST(little_is_read_ahead),
        FRONT_TEST(a_request_knows_its_client_and_when_it_came),
        FRONT_TEST(a_head_has_its_time_from_its_first_byte),
        FRONT_TEST(a_head_read_ahead_has_its_time_too),
        FRONT_TEST(a_client_that_waits_for_its_answer_has_no_deadline),
        FRONT_TEST(a_malformed_head_is_refused_and_ends_the_connection),
        FRONT_TEST(a_head_beyond_a_limit_is_refused_and_counted),
        FRONT_TEST(
            an_http_1_0_client_may_leave_out_the_host_if_there_is_a_default),
        FRONT_TEST(another_protocol_is_warned_of),
        FRONT_TEST(without_memory_for_a_request_the_answer_is_503),
        FRONT_TEST(half_a_head_and_an_end_are_a_request_that_has_gone),
        FRONT_TEST(
            half_a_head_behind_an_answer_and_an_end_are_nothing_to_answer),
        FRONT_TEST(all_that_were_sent_before_an_end_are_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
