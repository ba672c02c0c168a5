/* A request's content: read as far as it is taken, and no more of it than may
   be. */
#include "caller_given.h"

#define HEAD_OF_OK "HTTP/1.1 200 OK\r\nx: 1\r\ny: 2\r\ncontent-length: 2\r\n"
#define OK         HEAD_OF_OK "\r\nok"
#define OK_LAST    HEAD_OF_OK "connection: close\r\n\r\nok"
#define LENGTH_10  POST("Content-Length: 10\r\n")
#define CHUNKED    POST("Transfer-Encoding: chunked\r\n")

/* --- how it comes ------------------------------------------------------ */

static void
content_may_come_in_any_two_pieces(void **state)
{
    static const char *const rows[] = {
        POST("Content-Length: 5\r\n") "hello" GET("/b"),
        CHUNKED "2\r\nhe\r\n03;x=y\r\nllo\r\n0\r\nT: 1\r\n\r\n" GET("/b"),
    };
    struct caller c = caller_new();

    (void)state;
    bench.on_start = want_all;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t at = 1; at < strlen(rows[i]); at++) {
            struct request *r = &bench.requests[0];

            bench.requests_len = 0;
            says_bytes(&c, rows[i], at);
            says(&c, rows[i] + at);
            assert_string_equal(r->asks, "POST /p");
            assert_true(r->has_content);
            assert_content(r, "hello");
            assert_int_equal(r->content_ends, 1);
            assert_int_equal(bench.requests_len, 1);
            answer(r, "ok");
            assert_got(&c, OK);
            assert_int_equal(bench.requests_len, 2);
            assert_string_equal(last_request()->asks, "GET /b");
            answer(last_request(), "ok");
            assert_got(&c, OK);
        }
    }
    leaves(&c);
}

/* One byte at a time is taken, and one at a time comes: none twice, and no end
   before the last. */
static void
what_is_not_taken_is_offered_again(void **state)
{
    static const char *const rows[] = {
        POST("Content-Length: 5\r\n") "hello",
        CHUNKED "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    };
    struct caller c = caller_new();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *r = asks(&c, rows[i]);

        want(r, 0);
        for (size_t taken = 1; taken <= 5; taken++) {
            assert_int_equal(r->content_ends, 0);
            assert_false(is_awaited(c.other, EV_READ));
            want(r, 1);
            turns();
            assert_int_equal(r->content_len, taken);
        }
        assert_content(r, "hello");
        assert_int_equal(r->content_ends, 1);
        answer(r, "ok");
        assert_got(&c, OK);
    }
    leaves(&c);
}

static void
content_is_not_read_before_it_is_wanted(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, LENGTH_10 "01");

    (void)state;
    assert_false(is_awaited(c.other, EV_READ));
    says(&c, "2345");
    assert_int_equal(r->content_len, 0);
    want(r, 100);
    assert_content(r, "01");
    assert_true(is_awaited(c.other, EV_READ));
    want(r, 100); /* once more changes nothing */
    turns();
    assert_content(r, "012345");
    says(&c, "6789");
    assert_content(r, "0123456789");
    assert_int_equal(r->content_ends, 1);
    want(r, 100);                              /* nor does it behind the end */
    assert_true(is_awaited(c.other, EV_READ)); /* for the next request */
    answer(r, "ok");
    assert_got(&c, OK);
    assert_idle(&c);
    leaves(&c);
}

/* A client that sends more than is taken fills its socket, not our memory. */
static void
content_that_is_not_taken_stays_in_the_socket(void **state)
{
    static char much[1 << 16];
    struct caller c = caller_new();
    struct request *r = asks(&c, POST("Content-Length: 1000000\r\n"));
    size_t sent = 0;
    ssize_t n;

    (void)state;
    want(r, 7);
    while ((n = write(c.fd, much, sizeof(much))) > 0) {
        sent += (size_t)n;
        turns();
    }
    assert_int_equal(r->content_len, 7);
    assert_true(
        buf_len(&CONTAINER_OF(r->stream, struct session, stream)->turn->buf) <=
        16384);
    want(r, sent);
    turns();
    turns();
    assert_true(r->content_len > 7 + 16384);
    leaves(&c);
    assert_int_equal(r->end, REQUEST_GONE);
}

static void
no_content_is_none(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, POST("Content-Length: 0\r\n"));

    (void)state;
    assert_false(r->has_content);
    want(r, 10);
    assert_int_equal(r->content_ends, 0);
    answer(r, "ok");
    assert_got(&c, OK);
    assert_idle(&c);
    leaves(&c);
}

/* --- how much, and malformed ------------------------------------------- */

static void
content_up_to_body_max_is_taken(void **state)
{
    static const char *const rows[] = {
        LENGTH_10 "0123456789",
        CHUNKED "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n",
    };
    struct caller c = caller_new();

    (void)state;
    limits()->body_max = 10;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *r = asks(&c, rows[i]);

        want_all(r);
        assert_content(r, "0123456789");
        assert_int_equal(r->content_ends, 1);
        answer(r, "ok");
        assert_got(&c, OK);
    }
    assert_int_equal(limited(LIMIT_BODY_MAX), 0);
    leaves(&c);
}

static void
content_beyond_body_max_is_413(void **state)
{
    static const char *const rows[] = {
        POST("Content-Length: 11\r\n") "0123456789x",
        CHUNKED "5\r\n01234\r\n6\r\n56789x\r\n0\r\n\r\n",
    };

    (void)state;
    limits()->body_max = 10;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct caller c = caller_new();
        struct request *r = asks(&c, rows[i]);

        want_all(r);
        assert_true(r->content_len <= 10);
        assert_failed(&c, r, 413);
        assert_int_equal(limited(LIMIT_BODY_MAX), i + 1);
        leaves(&c);
    }
}

static void
malformed_content_is_400(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, CHUNKED "2\r\nab\r\n");

    (void)state;
    want_all(r);
    says(&c, "x\r\n" GET("/smuggled"));
    assert_content(r, "ab");
    assert_failed(&c, r, 400);
    assert_int_equal(limited(LIMIT_CHUNK_FRAMING), 0);
    says(&c, GET("/late"));
    assert_int_equal(bench.requests_len, 1);
    leaves(&c);
}

static void
chunks_that_are_mostly_framing_are_400_and_counted(void **state)
{
    static char line[20000] = CHUNKED "1;";
    struct caller c = caller_new();
    struct request *r;

    (void)state;
    memset(line + strlen(line), 'x', sizeof(line) - 1 - strlen(line));
    r = asks(&c, line);
    want_all(r);
    turns();
    assert_failed(&c, r, 400);
    assert_int_equal(limited(LIMIT_CHUNK_FRAMING), 1);
    leaves(&c);
}

/* --- when it is over --------------------------------------------------- */

/* Nobody will take it: what still comes is dropped, and is no request. */
static void
an_answer_before_the_content_is_wanted_ends_the_connection(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, LENGTH_10 "01234");

    (void)state;
    answer(r, "ok");
    want(r, 10);
    assert_got(&c, OK_LAST);
    assert_int_equal(r->content_len, 0);
    assert_lingers(&c);
    says(&c, "56789" GET("/b"));
    assert_int_equal(bench.requests_len, 1);
    leaves(&c);
}

/* However much still comes while the answer is under way: none is kept. */
static void
content_that_nobody_takes_takes_no_room(void **state)
{
    static char much[1 << 16];
    struct caller c = caller_new();
    struct request *r = asks(&c, POST("Content-Length: 1000000\r\n"));
    struct fill *fill = given_fill();

    (void)state;
    answer_fill(r, fill, 2);
    for (int i = 0; i < 4; i++) {
        says_bytes(&c, much, sizeof(much));
        want(r, 100);
        turns();
    }
    assert_int_equal(r->content_len, 0);
    assert_int_equal(
        buf_len(&CONTAINER_OF(r->stream, struct session, stream)->turn->buf),
        0);
    append(fill, "ok");
    fill_finish(fill, FILL_COMPLETE);
    assert_non_null(strstr(got(&c), "\r\n\r\nok"));
    assert_lingers(&c);
    leaves(&c);
    fill_unref(&fill);
}

/* It is taken on until the answer has left. */
static void
an_answer_amid_the_content_ends_the_connection(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, LENGTH_10 "01234");
    struct fill *fill = given_fill();

    (void)state;
    want_all(r);
    answer_fill(r, fill, 2);
    assert_non_null(strstr(got(&c), "connection: close"));
    says(&c, "56789");
    assert_content(r, "0123456789");
    assert_int_equal(r->content_ends, 1);
    append(fill, "ok");
    fill_finish(fill, FILL_COMPLETE);
    assert_got(&c, "ok");
    assert_lingers(&c);
    leaves(&c);
    fill_unref(&fill);
}

/* A reset could destroy what the client has not read yet. */
static void
content_that_fails_behind_an_answer_does_not_cut_it(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, CHUNKED "2\r\nab\r\n");
    struct fill *fill = given_fill();

    (void)state;
    want_all(r);
    answer_fill(r, fill, 2);
    turns();
    says(&c, "x");
    assert_int_equal(r->failed, 0);
    says(&c, GET("/b"));
    pass(600000); /* nor is it late any more */
    append(fill, "ok");
    fill_finish(fill, FILL_COMPLETE);
    assert_non_null(strstr(got(&c), "\r\n\r\nok"));
    assert_int_equal(r->end, REQUEST_SENT);
    assert_int_equal(limited(LIMIT_BODY_TIMEOUT), 0);
    assert_lingers(&c);
    assert_int_equal(bench.requests_len, 1);
    leaves(&c);
    fill_unref(&fill);
}

static void
content_that_ends_early_is_a_client_that_has_gone(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, LENGTH_10 "01234");

    (void)state;
    want_all(r);
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    assert_over(&c);
    assert_int_equal(r->end, REQUEST_GONE);
    assert_int_equal(r->content_ends, 0);
    leaves(&c);
}

static void
content_that_ends_early_behind_an_answer_does_not_cut_it(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, LENGTH_10 "01234");
    struct fill *fill = given_fill();

    (void)state;
    want_all(r);
    answer_fill(r, fill, 2);
    turns();
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    turns();
    assert_int_equal(r->end, REQUEST_OPEN);
    assert_false(is_awaited(c.other, EV_READ));
    append(fill, "ok");
    fill_finish(fill, FILL_COMPLETE);
    assert_non_null(strstr(got(&c), "\r\n\r\nok"));
    assert_int_equal(r->end, REQUEST_SENT);
    assert_over(&c);
    leaves(&c);
    fill_unref(&fill);
}

static void
a_client_that_sends_no_more_is_answered(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, LENGTH_10 "0123456789");

    (void)state;
    want_all(r);
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    turns();
    assert_int_equal(r->end, REQUEST_OPEN);
    assert_false(is_awaited(c.other, EV_READ));
    answer(r, "ok");
    assert_got(&c, OK);
    assert_over(&c);
    leaves(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FRONT_TEST(content_may_come_in_any_two_pieces),
        FRONT_TEST(what_is_not_taken_is_offered_again),
        FRONT_TEST(content_is_not_read_before_it_is_wanted),
        FRONT_TEST(content_that_is_not_taken_stays_in_the_socket),
        FRONT_TEST(no_content_is_none),
        FRONT_TEST(content_up_to_body_max_is_taken),
        FRONT_TEST(content_beyond_body_max_is_413),
        FRONT_TEST(malformed_content_is_400),
        FRONT_TEST(chunks_that_are_mostly_framing_are_400_and_counted),
        FRONT_TEST(an_answer_before_the_content_is_wanted_ends_the_connection),
        FRONT_TEST(content_that_nobody_takes_takes_no_room),
        FRONT_TEST(an_answer_amid_the_content_ends_the_connection),
        FRONT_TEST(content_that_fails_behind_an_answer_does_not_cut_it),
        FRONT_TEST(content_that_ends_early_is_a_client_that_has_gone),
        FRONT_TEST(content_that_ends_early_behind_an_answer_does_not_cut_it),
        FRONT_TEST(a_client_that_sends_no_more_is_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
