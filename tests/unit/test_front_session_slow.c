/* Clients that take their answer slowly: how long they may, and what is not
   counted against them. */
#include "caller_given.h"

enum {
    LARGE = 400000, /* more than a narrow socket takes */
};

static char large[LARGE + 1];

/* A client with a narrow socket, and an answer that does not fit in it. */
static struct caller
slow_new(void)
{
    struct caller c = caller_new();

    memset(large, 'x', LARGE);
    narrow(&c);
    answer(asks(&c, GET("/a")), large);
    turns();
    assert_int_equal(last_request()->end, REQUEST_OPEN);
    assert_true(last_request()->blocked > 0);
    return c;
}

static size_t
read_some(const struct caller *c, size_t max)
{
    return strlen(got_some(c, max));
}

/* It is cut by that limit and by no other. */
static void
assert_cut(struct caller *c, enum limit by)
{
    static const enum limit all[] = {LIMIT_SEND_TIMEOUT, LIMIT_SEND_TOTAL,
        LIMIT_SEND_RATE, LIMIT_BODY_TIMEOUT};

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        assert_int_equal(limited(all[i]), all[i] == by);
    }
    assert_int_equal(last_request()->end, REQUEST_GONE);
    assert_true(last_request()->body_bytes > 0);
    assert_true(last_request()->body_bytes < LARGE);
    assert_int_equal(connections(), 0);
    leaves(c);
}

static void
a_client_that_takes_nothing_is_cut(void **state)
{
    struct caller c = slow_new();

    (void)state;
    pass(996);
    assert_int_equal(last_request()->end, REQUEST_OPEN);
    pass(4);
    assert_cut(&c, LIMIT_SEND_TIMEOUT);
}

/* The gap is from the last that left. */
static void
a_client_that_takes_a_little_has_its_time_again(void **state)
{
    struct caller c = slow_new();
    size_t len = 0;

    (void)state;
    for (int i = 0; i < 10; i++) {
        pass(996);
        assert_int_equal(last_request()->end, REQUEST_OPEN);
        len += read_some(&c, 10000);
    }
    assert_true(len >= 100000);
    pass(1000);
    assert_cut(&c, LIMIT_SEND_TIMEOUT);
}

/* Once it has taken all it is idle, and has an idle one's time. */
static void
a_client_that_takes_all_of_it_is_slow_no_more(void **state)
{
    struct caller c = slow_new();

    (void)state;
    limits()->idle_timeout_ms = 60000;
    pass(996);
    assert_true(read_some(&c, GOT_MAX) > LARGE);
    assert_int_equal(last_request()->end, REQUEST_SENT);
    assert_int_equal(last_request()->body_bytes, LARGE);
    assert_false(is_awaited(c.other, EV_WRITE));
    pass(59996);
    assert_idle(&c);
    assert_int_equal(limited(LIMIT_SEND_TIMEOUT), 0);
    leaves(&c);
}

static void
a_client_that_takes_too_long_in_all_is_cut(void **state)
{
    struct caller c;

    (void)state;
    limits()->send_total_ms = 3000;
    c = slow_new();
    for (int i = 0; i < 5; i++) {
        pass(500);
        read_some(&c, 10000);
    }
    pass(496);
    assert_int_equal(last_request()->end, REQUEST_OPEN);
    pass(4);
    assert_cut(&c, LIMIT_SEND_TOTAL);
}

/* Three answers' worth of pauses: those are the origin's. */
static void
how_long_the_origin_takes_is_not_counted(void **state)
{
    struct fill *fill = given_fill();
    struct caller c = caller_new();
    struct request *r;

    (void)state;
    limits()->send_total_ms = 1600;
    limits()->send_min_rate = 100000;
    limits()->send_min_rate_after_ms = 1200;
    memset(large, 'x', LARGE);
    narrow(&c);
    r = asks(&c, GET("/a"));
    answer_fill(r, fill, -1);
    (void)got(&c);
    for (int i = 0; i < 3; i++) {
        pass(600000);
        append(fill, large + LARGE - 30000);
        turns();
        assert_true(is_awaited(c.other, EV_WRITE));
        pass(300);
        assert_true(read_some(&c, GOT_MAX) > 30000);
        assert_int_equal(r->end, REQUEST_OPEN);
        assert_false(is_awaited(c.other, EV_WRITE));
    }
    /* 900 ms are gone. */
    append(fill, large);
    turns();
    pass(296);
    assert_int_equal(r->end, REQUEST_OPEN);
    pass(4);
    assert_cut(&c, LIMIT_SEND_RATE);
    fill_unref(&fill);
}

/* The total, too, is of the client's time alone. */
static void
the_total_is_of_the_clients_time(void **state)
{
    struct fill *fill = given_fill();
    struct caller c = caller_new();
    struct request *r;

    (void)state;
    limits()->send_total_ms = 1200;
    memset(large, 'x', LARGE);
    narrow(&c);
    r = asks(&c, GET("/a"));
    answer_fill(r, fill, -1);
    (void)got(&c);
    for (int i = 0; i < 2; i++) {
        append(fill, large + LARGE - 30000);
        turns();
        pass(400);
        (void)got(&c);
        assert_int_equal(r->end, REQUEST_OPEN);
        pass(600000);
    }
    append(fill, large);
    turns();
    pass(396);
    assert_int_equal(r->end, REQUEST_OPEN);
    pass(4);
    assert_cut(&c, LIMIT_SEND_TOTAL);
    fill_unref(&fill);
}

static void
a_client_below_the_least_rate_is_cut(void **state)
{
    struct caller c;
    size_t len;
    int64_t enough_ms;

    (void)state;
    limits()->send_min_rate = 10000;
    limits()->send_min_rate_after_ms = 2000;
    limits()->send_timeout_ms = 600000;
    c = slow_new();
    pass(1996);
    assert_int_equal(last_request()->end, REQUEST_OPEN);
    len = read_some(&c, 60000);
    assert_int_equal(last_request()->end, REQUEST_OPEN);
    /* What it has taken is enough for so long, by whole seconds. */
    enough_ms = (int64_t)len / 10000 * 1000;
    pass(enough_ms - 2000);
    assert_int_equal(last_request()->end, REQUEST_OPEN);
    pass(2000);
    assert_cut(&c, LIMIT_SEND_RATE);
}

/* Both ways at once: the deadline that comes first holds. */
static void
a_client_that_sends_well_may_yet_take_nothing(void **state)
{
    struct caller c = caller_new();
    struct request *r;

    (void)state;
    memset(large, 'x', LARGE);
    narrow(&c);
    r = asks(&c, POST("Content-Length: 100\r\n"));
    want(r, 100);
    answer(r, large);
    turns();
    pass(600);
    says(&c, "01234");
    assert_int_equal(r->content_len, 5);
    pass(396);
    assert_int_equal(r->end, REQUEST_OPEN);
    pass(4);
    assert_cut(&c, LIMIT_SEND_TIMEOUT);
}

/* Its content is late, and its answer has begun: that goes on. */
static void
a_client_that_takes_well_may_yet_send_nothing(void **state)
{
    struct caller c = caller_new();
    struct request *r;

    (void)state;
    memset(large, 'x', LARGE);
    narrow(&c);
    r = asks(&c, POST("Content-Length: 100\r\n"));
    want(r, 100);
    answer(r, large);
    turns();
    for (int i = 0; i < 2; i++) {
        pass(600);
        read_some(&c, 10000);
    }
    assert_int_equal(limited(LIMIT_BODY_TIMEOUT), 1);
    assert_int_equal(r->failed, 0);
    says(&c, "0123");
    assert_int_equal(r->content_len, 0);
    (void)got(&c);
    assert_int_equal(r->end, REQUEST_SENT);
    assert_int_equal(r->body_bytes, LARGE);
    assert_lingers(&c);
    leaves(&c);
}

static void
a_slow_client_that_goes_has_gone(void **state)
{
    struct caller c = slow_new();

    (void)state;
    leaves(&c);
    assert_int_equal(last_request()->end, REQUEST_GONE);
    assert_true(last_request()->body_bytes > 0);
    assert_true(last_request()->body_bytes < LARGE);
    assert_int_equal(connections(), 0);
    pass(1000);
    assert_int_equal(limited(LIMIT_SEND_TIMEOUT), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FRONT_TEST(a_client_that_takes_nothing_is_cut),
        FRONT_TEST(a_client_that_takes_a_little_has_its_time_again),
        FRONT_TEST(a_client_that_takes_all_of_it_is_slow_no_more),
        FRONT_TEST(a_client_that_takes_too_long_in_all_is_cut),
        FRONT_TEST(how_long_the_origin_takes_is_not_counted),
        FRONT_TEST(the_total_is_of_the_clients_time),
        FRONT_TEST(a_client_below_the_least_rate_is_cut),
        FRONT_TEST(a_client_that_sends_well_may_yet_take_nothing),
        FRONT_TEST(a_client_that_takes_well_may_yet_send_nothing),
        FRONT_TEST(a_slow_client_that_goes_has_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
