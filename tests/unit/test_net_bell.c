/* Bells: rung by any thread, heard on one loop. */
#include "nearside/net/bell.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct rig {
    struct loop *loop;
    struct bell *bell;
    unsigned heard;
    bool is_freed_inside;
};

static void
on_ring(void *ctx)
{
    struct rig *rig = ctx;

    rig->heard++;
    if (rig->is_freed_inside) {
        bell_free(&rig->bell);
    }
}

static int
up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    rig->loop = loop_new();
    rig->bell = bell_new(rig->loop, on_ring, rig);
    assert_non_null(rig->bell);
    *state = rig;
    return 0;
}

static int
down(void **state)
{
    struct rig *rig = *state;

    bell_free(&rig->bell);
    loop_free(&rig->loop);
    free(rig);
    return 0;
}

static void
those_who_ring_together_are_heard_once(void **state)
{
    struct rig *rig = *state;

    bell_ring(rig->bell);
    bell_ring(rig->bell);
    assert_int_equal(rig->heard, 0); /* never from inside */
    loop_turn(rig->loop, 0);
    assert_int_equal(rig->heard, 1);
    bell_ring(rig->bell);
    loop_turn(rig->loop, 0);
    assert_int_equal(rig->heard, 2);
}

static void
it_may_go_while_it_rings(void **state)
{
    struct rig *rig = *state;

    bell_ring(rig->bell);
    bell_free(&rig->bell);
    assert_null(rig->bell);
    bell_free(&rig->bell); /* harmless */
    loop_turn(rig->loop, 0);
    assert_int_equal(rig->heard, 0);
}

static void
it_may_go_when_it_is_heard(void **state)
{
    struct rig *rig = *state;

    rig->is_freed_inside = true;
    bell_ring(rig->bell);
    loop_turn(rig->loop, 0);
    loop_turn(rig->loop, 0);
    assert_int_equal(rig->heard, 1);
}

static void *
ring_often(void *bell)
{
    for (int i = 0; i < 1000; i++) {
        bell_ring(bell);
    }
    return NULL;
}

static void
other_threads_ring_it(void **state)
{
    struct rig *rig = *state;
    pthread_t threads[4];

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, ring_often, rig->bell), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    loop_turn(rig->loop, 0);
    assert_in_range(rig->heard, 1, 4000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(those_who_ring_together_are_heard_once),
        TEST(it_may_go_while_it_rings),
        TEST(it_may_go_when_it_is_heard),
        TEST(other_threads_ring_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
