/* Over TCP: who was cut sees a reset, and takes nothing for whole; who was not
   sees an end. */
#include "accept_given.h"

/* What comes behind all that it was sent. */
static void
assert_reset(struct caller *c)
{
    char byte;
    ssize_t n;

    UNTIL((n = read(c->fd, &byte, 1)) <= 0 && (n == 0 || errno != EAGAIN));
    assert_int_equal(n, -1);
    assert_int_equal(errno, ECONNRESET);
    close(c->fd);
}

static struct caller
asking(const char *text)
{
    struct caller c;

    given_front((struct front_opts){0});
    c = connects();
    calls(&c, text);
    UNTIL(bench.requests_len == 1);
    return c;
}

static void
an_answer_that_fails_is_a_reset(void **state)
{
    struct caller c = asking(GET("/a"));
    struct fill *fill = given_fill();

    (void)state;
    answer_fill(last_request(), fill, -1);
    append(fill, "abc");
    turns();
    fill_finish(fill, FILL_FAILED);
    assert_reset(&c);
    fill_unref(&fill);
}

static void
an_answer_that_is_aborted_is_a_reset(void **state)
{
    struct caller c = asking(GET("/a"));

    (void)state;
    last_request()->stream->ops->abort(last_request()->stream);
    assert_reset(&c);
}

static void
an_answer_that_is_taken_too_slowly_is_a_reset(void **state)
{
    static const enum limit by[] = {
        LIMIT_SEND_TIMEOUT, LIMIT_SEND_TOTAL, LIMIT_SEND_RATE};

    (void)state;
    given_front((struct front_opts){0});
    for (size_t i = 0; i < ARRAY_LEN(by); i++) {
        struct caller c = connects();

        bench.requests_len = 0;
        calls(&c, GET("/a"));
        UNTIL(bench.requests_len == 1);
        limits()->send_total_ms = by[i] == LIMIT_SEND_TOTAL ? 500 : 0;
        limits()->send_min_rate = by[i] == LIMIT_SEND_RATE ? 1000 : 0;
        limits()->send_min_rate_after_ms = 500;
        bench.room = 10;
        answer(last_request(), "ok");
        turns();
        limits()->send_timeout_ms = by[i] == LIMIT_SEND_TIMEOUT ? 0 : 60000;
        pass(1000);
        bench.room = -1;
        assert_int_equal(limited(by[i]), 1);
        assert_reset(&c);
    }
}

static void
content_that_ends_early_is_a_reset(void **state)
{
    struct caller c = asking(POST("Content-Length: 5\r\n"));

    (void)state;
    want(last_request(), 5);
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    assert_reset(&c);
    assert_int_equal(last_request()->end, REQUEST_GONE);
}

static void
who_was_idle_too_long_sees_an_end(void **state)
{
    struct caller c;

    (void)state;
    given_front((struct front_opts){0});
    c = connects();
    pass(1000);
    assert_ended(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ACCEPT_TEST(an_answer_that_fails_is_a_reset),
        ACCEPT_TEST(an_answer_that_is_aborted_is_a_reset),
        ACCEPT_TEST(an_answer_that_is_taken_too_slowly_is_a_reset),
        ACCEPT_TEST(content_that_ends_early_is_a_reset),
        ACCEPT_TEST(who_was_idle_too_long_sees_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
