/* Signals: those that are served come on the loop, one a call; PIPE is
   ignored. */
#include "nearside/net/signals.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
    unsigned count;
    int numbers[8];
};

static void
on_signal(void *ctx, int number)
{
    struct seen *seen = ctx;

    assert_true(seen->count < 8);
    seen->numbers[seen->count++] = number;
}

static void
a_signal_comes_on_the_loop_and_not_before(void **state)
{
    static const int served[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    struct loop *loop = loop_new();
    struct seen seen = {0};
    struct signals *signals = signals_new(loop, on_signal, &seen);

    (void)state;
    assert_non_null(signals);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(raise(served[i]), 0);
        assert_int_equal(seen.count, i);
        loop_turn(loop, 1000);
        assert_int_equal(seen.count, i + 1);
        assert_int_equal(seen.numbers[i], served[i]);
    }
    signals_free(&signals);
    assert_null(signals);
    signals_free(&signals); /* harmless */
    loop_free(&loop);
}

static void
a_pipe_without_a_reader_ends_nothing(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    assert_int_equal(write(fds[1], "x", 1), -1);
    close(fds[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_comes_on_the_loop_and_not_before),
        cmocka_unit_test(a_pipe_without_a_reader_ends_nothing),
    };

    signals_block();
    return cmocka_run_group_tests_name("net signals", tests, NULL, NULL);
}
