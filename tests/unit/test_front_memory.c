/* Memory that is not to be had, for what the front makes. */
#include "accept_given.h"

/* Of the session, its connection, its turn, its turn's buffer: each once. */
static void
what_memory_is_refused_costs_a_connection_at_most(void **state)
{
    unsigned refusals = 0;

    (void)state;
    for (unsigned nth = 1; nth <= 4; nth++) {
        struct caller c;

        turns_free(bench.side->front);
        heap_refuse(nth, 1);
        c = caller_new();
        calls(&c, GET("/a"));
        refusals += heap_refused();
        assert_int_equal(limited(LIMIT_MEMORY), refusals);
        assert_over(&c);
        leaves(&c);
        assert_int_equal(front_connections(bench.front), 0);
    }
    assert_int_equal(refusals, 4);
    assert_int_equal(bench.requests_len, 0);
}

/* It is served by who has accepted it. */
static void
without_memory_nobody_is_handed_over(void **state)
{
    struct caller c[3];

    (void)state;
    given_front((struct front_opts){.workers = 2});
    c[0] = connects();
    c[1] = connects();
    heap_refuse(1, 1);
    c[2] = connects();
    assert_true(heap_refused());
    assert_int_equal(sessions_of(0), 3);
    assert_int_equal(sessions_of(1), 0);
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        close(c[i].fd);
    }
    UNTIL(front_connections(bench.front) == 0);
}

/* Its worker drains already, and waits for what was handed over to it. */
static void
without_memory_for_who_is_handed_over_a_drain_ends(void **state)
{
    struct caller c[3];

    (void)state;
    given_front((struct front_opts){.workers = 2});
    c[0] = connects();
    c[1] = connects();
    front_say_close(bench.sides[1].front);
    front_drain(bench.sides[1].front);
    c[2] = queued_from("127.0.0.1");
    heap_refuse(2, 1); /* the first is for the hand-over */
    UNTIL(bench.sides[1].empties == 1);
    assert_true(heap_refused());
    assert_int_equal(front_connections(bench.front), 2);
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        close(c[i].fd);
    }
    UNTIL(front_connections(bench.front) == 0);
}

/* It is told so, and not heard out. */
static void
without_memory_who_is_turned_away_is_told_so(void **state)
{
    (void)state;
    given_front((struct front_opts){0});
    bench.front->opts.connections_max = 0;
    for (unsigned nth = 1; nth <= 2; nth++) {
        struct caller c = queued_from("127.0.0.1");

        heap_refuse(nth, 1);
        UNTIL(limited(LIMIT_CONNECTIONS) == nth);
        assert_true(heap_refused());
        assert_turned_away(&c);
        assert_int_equal(refusals(), 0);
        close(c.fd);
    }
}

static void
what_has_no_memory_is_not_made(void **state)
{
    const struct front_opts opts = {.connections_max = 1, .workers = 1};
    struct front *front;

    (void)state;
    for (unsigned nth = 1; nth <= 3; nth++) {
        heap_refuse(nth, 1);
        front = front_new(&opts);
        assert_null(front);
        assert_true(heap_refused());
    }
    front_up(&opts);
    for (unsigned nth = 1; nth <= 2; nth++) {
        heap_refuse(nth, 1);
        assert_int_equal(front_listen(bench.side->front, listens), RC_NOMEM);
        assert_true(heap_refused());
    }
    assert_true(list_is_empty(&bench.side->front->acceptors));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FRONT_TEST(what_memory_is_refused_costs_a_connection_at_most),
        ACCEPT_TEST(without_memory_nobody_is_handed_over),
        ACCEPT_TEST(without_memory_for_who_is_handed_over_a_drain_ends),
        ACCEPT_TEST(without_memory_who_is_turned_away_is_told_so),
        ACCEPT_TEST(what_has_no_memory_is_not_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
