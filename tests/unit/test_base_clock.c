/* Clocks: the kernel's, and one that only a test moves. */
#include "nearside/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#include "../support/clock_advance.h"

static void
a_manual_clock_moves_only_by_hand(void **state)
{
    struct clock c = {
        .mono_us = 1000000, .wall_ms = 1700000000123, .is_manual = true};
    int64_t begin;

    (void)state;
    begin = clock_now_ms(&c);
    assert_true(begin > 0);
    clock_update(&c);
    assert_true(clock_now_ms(&c) == begin);
    assert_true(clock_wall_ms(&c) == 1700000000123);
    clock_advance(&c, 1001);
    assert_true(clock_now_ms(&c) == begin + 1001);
    assert_true(clock_now_us(&c) == (begin + 1001) * 1000);
    assert_true(clock_wall_ms(&c) == 1700000001124);
}

static void
the_real_clock_shows_the_kernels_time(void **state)
{
    struct clock c;
    int64_t before;
    int64_t wall_s = (int64_t)time(NULL);

    (void)state;
    clock_init(&c);
    assert_true(clock_wall_ms(&c) / 1000 >= wall_s - 1);
    assert_true(clock_wall_ms(&c) / 1000 <= wall_s + 60);
    before = clock_now_us(&c);
    /* It stands still until it is updated. */
    assert_true(clock_now_us(&c) == before);
    for (int i = 0; i < 1000000 && clock_now_us(&c) == before; i++) {
        clock_update(&c);
    }
    assert_true(clock_now_us(&c) > before);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manual_clock_moves_only_by_hand),
        cmocka_unit_test(the_real_clock_shows_the_kernels_time),
    };

    return cmocka_run_group_tests_name("base.clock", tests, NULL, NULL);
}
