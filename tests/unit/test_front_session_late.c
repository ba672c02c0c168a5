/* The time that a client has for its content, and a 100 that it waits for. */
#include "caller_given.h"

#define HEAD_OF_OK "HTTP/1.1 200 OK\r\nx: 1\r\ny: 2\r\ncontent-length: 2\r\n"
#define OK         HEAD_OF_OK "\r\nok"
#define CONTINUE   "HTTP/1.1 100 Continue\r\n\r\n"
#define LENGTH_10  POST("Content-Length: 10\r\n")
#define EXPECTING  POST("Content-Length: 10\r\nExpect: 100-continue\r\n")

/* --- 100 --------------------------------------------------------------- */

static void
a_client_that_waits_for_a_100_gets_one(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, EXPECTING);

    (void)state;
    want_all(r);
    assert_got(&c, "");
    interim(r, 100, "");
    assert_got(&c, CONTINUE);
    interim(r, 100, "");
    assert_got(&c, "");
    says(&c, "0123456789");
    assert_int_equal(r->content_ends, 1);
    interim(r, 100, "");
    answer(r, "ok");
    assert_got(&c, OK);
    r = asks(&c, LENGTH_10);
    want_all(r);
    interim(r, 100, "");
    assert_got(&c, "");
    leaves(&c);
}

static void
a_client_that_has_not_waited_for_it_gets_no_100(void **state)
{
    static const char *const rows[] = {
        LENGTH_10,
        EXPECTING "0",
        "POST /p HTTP/1.0\r\nHost: a\r\nContent-Length: 10\r\n"
        "Expect: 100-continue\r\n\r\n",
        GET("/a"),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct caller c = caller_new();
        struct request *r = asks(&c, rows[i]);

        want_all(r);
        interim(r, 100, "");
        assert_got(&c, "");
        leaves(&c);
    }
}

/* The origin is waited for, which has a deadline of its own for that. */
static void
a_wait_for_a_100_is_not_the_clients(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, EXPECTING);

    (void)state;
    limits()->body_min_rate = 1000;
    limits()->body_min_rate_after_ms = 400;
    limits()->body_timeout_ms = 60000;
    want_all(r);
    pass(600000);
    assert_int_equal(r->failed, 0);
    interim(r, 100, "");
    assert_got(&c, CONTINUE);
    pass(396);
    says(&c, "01234");
    assert_int_equal(r->failed, 0);
    pass(1000);
    assert_failed(&c, r, 408);
    assert_int_equal(limited(LIMIT_BODY_RATE), 1);
    leaves(&c);
}

static void
a_client_that_waits_no_longer_for_a_100_has_its_time(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, EXPECTING);

    (void)state;
    limits()->body_min_rate = 1;
    limits()->body_min_rate_after_ms = 800;
    want_all(r);
    pass(600000);
    says(&c, "0");
    pass(996);
    assert_int_equal(r->failed, 0);
    pass(4);
    assert_failed(&c, r, 408);
    assert_int_equal(limited(LIMIT_BODY_TIMEOUT), 1);
    leaves(&c);
}

static void
after_the_100_the_content_has_its_time(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, EXPECTING);

    (void)state;
    want_all(r);
    pass(5000);
    interim(r, 100, "");
    assert_got(&c, CONTINUE);
    pass(996);
    assert_int_equal(r->failed, 0);
    pass(4);
    assert_failed(&c, r, 408);
    assert_int_equal(limited(LIMIT_BODY_TIMEOUT), 1);
    leaves(&c);
}

/* --- late and slow ----------------------------------------------------- */

/* A gap, from when it is wanted or from the last that came. */
static void
content_that_pauses_too_long_is_408(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, LENGTH_10);

    (void)state;
    pass(5000); /* it is not wanted yet */
    want_all(r);
    pass(996);
    says(&c, "01234");
    pass(996);
    assert_int_equal(r->failed, 0);
    pass(4);
    assert_content(r, "01234");
    assert_failed(&c, r, 408);
    assert_int_equal(limited(LIMIT_BODY_TIMEOUT), 1);
    leaves(&c);
}

static void
content_that_is_not_taken_is_not_late(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, LENGTH_10);

    (void)state;
    limits()->body_min_rate = 5;
    limits()->body_min_rate_after_ms = 2000;
    limits()->body_timeout_ms = 60000;
    want(r, 2);
    pass(600);
    says(&c, "01234");
    pass(600000);
    assert_int_equal(r->failed, 0);
    want(r, 100);
    pass(600);
    says(&c, "5");
    assert_int_equal(r->failed, 0);
    pass(600);
    says(&c, "6");
    assert_int_equal(r->failed, 0);
    pass(204); /* 7 in 2,004 ms, in which it might have sent */
    says(&c, "7");
    assert_int_equal(r->failed, 408);
    assert_int_equal(limited(LIMIT_BODY_RATE), 1);
    leaves(&c);
}

/* Ten bytes a second, looked at each second, however it trickles in. */
static void
content_below_the_least_rate_is_408(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, POST("Content-Length: 1000\r\n"));

    (void)state;
    limits()->body_min_rate = 10;
    limits()->body_min_rate_after_ms = 2000;
    limits()->body_timeout_ms = 60000;
    want_all(r);
    for (int i = 0; i < 4; i++) {
        pass(500);
        says(&c, "1");
    }
    assert_int_equal(r->failed, 0);
    says(&c, "012345678901234567890123456789");
    pass(1000); /* 34 in 3 s */
    assert_int_equal(r->failed, 0);
    says(&c, "012345");
    pass(1000); /* 40 in 4 s */
    assert_int_equal(r->failed, 0);
    pass(1000);
    assert_failed(&c, r, 408);
    assert_int_equal(limited(LIMIT_BODY_RATE), 1);
    assert_int_equal(limited(LIMIT_BODY_TIMEOUT), 0);
    leaves(&c);
}

static void
bytes_that_trickle_in_do_not_put_the_rate_off(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, POST("Content-Length: 1000\r\n"));

    (void)state;
    limits()->body_min_rate = 100;
    limits()->body_min_rate_after_ms = 2000;
    want_all(r);
    for (int i = 0; i < 5 && r->failed == 0; i++) {
        pass(i < 4 ? 500 : 4);
        calls(&c, "1");
    }
    assert_failed(&c, r, 408);
    assert_int_equal(limited(LIMIT_BODY_RATE), 1);
    leaves(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FRONT_TEST(a_client_that_waits_for_a_100_gets_one),
        FRONT_TEST(a_client_that_has_not_waited_for_it_gets_no_100),
        FRONT_TEST(a_wait_for_a_100_is_not_the_clients),
        FRONT_TEST(a_client_that_waits_no_longer_for_a_100_has_its_time),
        FRONT_TEST(after_the_100_the_content_has_its_time),
        FRONT_TEST(content_that_pauses_too_long_is_408),
        FRONT_TEST(content_that_is_not_taken_is_not_late),
        FRONT_TEST(content_below_the_least_rate_is_408),
        FRONT_TEST(bytes_that_trickle_in_do_not_put_the_rate_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
