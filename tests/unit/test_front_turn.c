/* Turns, which sessions borrow (turn.c), and how little an idle session has
   without one. */
#include "front/h1/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "heap.h"

enum {
    HEAD_MAX = 32768,
    KEPT_MAX = 128,
};

struct given {
    struct proxy_conf conf;
    struct worker worker;
    struct front_worker front;
};

static int
setup(void **state)
{
    static struct given g;

    heap_begins();
    memset(&g, 0, sizeof(g));
    g.conf.opts.limits.head_max = HEAD_MAX;
    g.worker.loop = loop_new();
    g.worker.conf = &g.conf;
    g.front.magic = FRONT_WORKER_MAGIC;
    g.front.worker = &g.worker;
    spare_init(&g.front.turns);
    *state = &g;
    return g.worker.loop == NULL;
}

static int
teardown(void **state)
{
    struct given *g = *state;

    turns_free(&g->front);
    loop_free(&g->worker.loop);
    heap_ends();
    return 0;
}

/* As a request leaves it that was cut in both directions. */
static void
use(struct turn *turn)
{
    static const struct response response;

    assert_int_equal(buf_append(&turn->buf, SLICE("GET /next")), RC_OK);
    assert_int_equal(buf_append(&turn->interim, SLICE("HTTP/1.1 1")), RC_OK);
    turn->parse.scanned = 7;
    turn->start_us = -1;
    turn->is_http10 = true;
    turn->awaits_100 = true;
    memset(&turn->in, 0xff, sizeof(turn->in));
    memset(&turn->out, 0xff, sizeof(turn->out));
    turn->out.response = &response;
}

static void
assert_new(const struct given *g, const struct turn *turn)
{
    static const struct turn_in no_in;
    static const struct turn_out no_out;
    struct parse parse;

    parse_start(&parse);
    assert_memory_equal(&turn->parse, &parse, sizeof(parse));
    assert_int_equal(turn->start_us, worker_now_us(&g->worker));
    assert_null(turn->request);
    assert_false(turn->is_http10);
    assert_false(turn->awaits_100);
    assert_int_equal(buf_len(&turn->interim), 0);
    assert_int_equal(turn->in.state, BODY_NONE);
    assert_memory_equal(&turn->in, &no_in, sizeof(no_in));
    assert_memory_equal(&turn->out, &no_out, sizeof(no_out));
}

static void
a_turn_given_back_is_borrowed_again_and_new(void **state)
{
    struct given *g = *state;
    struct turn *first = turn_take(&g->front);
    struct turn *turn = first;

    assert_new(g, turn);
    use(turn);
    turn_put(&g->front, &turn);
    assert_null(turn);
    assert_int_equal(g->front.turns.len, 1);

    turn = turn_take(&g->front);
    assert_ptr_equal(turn, first);
    assert_int_equal(g->front.turns.len, 0);
    assert_new(g, turn);
    assert_int_equal(buf_len(&turn->buf), 0);
    turn_put(&g->front, &turn);
}

static void
a_turn_restarted_keeps_only_what_was_read(void **state)
{
    struct given *g = *state;
    struct turn *turn = turn_take(&g->front);

    use(turn);
    turn_restart(turn, &g->worker);
    assert_new(g, turn);
    assert_true(slice_eq(buf_slice(&turn->buf), SLICE("GET /next")));
    turn_put(&g->front, &turn);
}

static void
two_that_are_borrowed_are_not_one(void **state)
{
    struct given *g = *state;
    struct turn *a = turn_take(&g->front);
    struct turn *b = turn_take(&g->front);

    assert_ptr_not_equal(a, b);
    turn_put(&g->front, &a);
    turn_put(&g->front, &b);
    assert_int_equal(g->front.turns.len, 2);
}

static void
a_large_buffer_is_not_kept(void **state)
{
    struct given *g = *state;
    struct turn *turn = turn_take(&g->front);

    assert_non_null(buf_reserve(&turn->buf, HEAD_MAX));
    turn_put(&g->front, &turn);
    assert_null(turn);
    assert_int_equal(g->front.turns.len, 0);

    turn = turn_take(&g->front);
    use(turn);
    turn_put(&g->front, &turn);
    turn = turn_take(&g->front);
    assert_true(turn->buf.cap > 0);
    assert_int_equal(turn->interim.cap, 0);
    turn_put(&g->front, &turn);
}

static void
a_head_and_what_comes_behind_it_fit(void **state)
{
    struct given *g = *state;
    struct turn *turn = turn_take(&g->front);

    assert_non_null(buf_reserve(&turn->buf, HEAD_MAX + 16384));
    assert_null(buf_reserve(&turn->buf, HEAD_MAX + 16385));
    assert_non_null(buf_reserve(&turn->interim, HEAD_MAX));
    assert_null(buf_reserve(&turn->interim, HEAD_MAX + 1));
    turn_put(&g->front, &turn);
}

static void
no_more_are_kept_than_are_needed(void **state)
{
    struct given *g = *state;
    struct turn *turns[KEPT_MAX + 2];

    for (size_t i = 0; i < ARRAY_LEN(turns); i++) {
        turns[i] = turn_take(&g->front);
        assert_non_null(turns[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(turns); i++) {
        turn_put(&g->front, &turns[i]);
    }
    assert_int_equal(g->front.turns.len, KEPT_MAX);
    turns_free(&g->front);
    assert_true(list_is_empty(&g->front.turns.list));
}

/* With malloc's own, conn and libevent's bookkeeping: at most 512 bytes. */
static void
an_idle_session_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct session) <= 152);
}

#define TURN_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TURN_TEST(a_turn_given_back_is_borrowed_again_and_new),
        TURN_TEST(a_turn_restarted_keeps_only_what_was_read),
        TURN_TEST(two_that_are_borrowed_are_not_one),
        TURN_TEST(a_large_buffer_is_not_kept),
        TURN_TEST(a_head_and_what_comes_behind_it_fit),
        TURN_TEST(no_more_are_kept_than_are_needed),
        cmocka_unit_test(an_idle_session_is_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
