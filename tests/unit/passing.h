/* Time that passes on a loop when the test says so, and not else. */
#ifndef TESTS_PASSING_H
#define TESTS_PASSING_H

#include "../support/clock_advance.h"
#include "patience.h"

#include "nearside/net/loop.h"

static inline struct clock *
loop_own_clock(struct loop *loop)
{
    return (struct clock *)(uintptr_t)loop_clock(loop);
}

/* From now on. */
static inline void
time_stop(struct loop *loop)
{
    loop_own_clock(loop)->is_manual = true;
}

static inline void
on_passed(void *ctx)
{
    *(bool *)ctx = true;
}

/* So much time passes, in milliseconds, 8 at least. What is due then has been
   done when this returns, but for what the last 4 ms would have brought. */
static inline void
time_pass(struct loop *loop, int64_t ms)
{
    struct loop_timer first;
    struct loop_timer timer;
    bool has_begun = false;
    bool is_over = false;

    assert_true(ms >= 8);
    clock_advance(loop_own_clock(loop), ms);
    /* The kernel knows of the time before: it is not to wait for that. */
    loop_timer_init(&first, loop, on_passed, &has_begun);
    loop_timer_arm(&first, 1);
    loop_timer_init(&timer, loop, on_passed, &is_over);
    /* The wheel goes by ticks, of which the last is not over yet. */
    loop_timer_arm(&timer, loop_now_ms(loop) / 4 * 4);
    TURN_UNTIL(loop, 20, is_over);
}

#endif
