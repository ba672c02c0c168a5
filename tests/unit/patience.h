/*
 * How long a test waits for what must come, on a machine that others may starve
 * for seconds: only a test that fails waits so long. What happens within some
 * time is not measured so, but by a clock that the test moves.
 */
#ifndef TESTS_PATIENCE_H
#define TESTS_PATIENCE_H

#include <stdint.h>
#include <time.h>

enum {
    PATIENCE_MS = 60000,
};

/* The kernel's time, whatever a loop thinks. */
static inline int64_t
real_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Turns the loop, for so long at a time, until the claim holds. */
#define TURN_UNTIL(loop, turn_ms, claim)                                       \
    do {                                                                       \
        int64_t until_ms_ = real_ms() + PATIENCE_MS;                           \
        while (!(claim)) {                                                     \
            if (real_ms() >= until_ms_) {                                      \
                fail_msg("never came true: %s", #claim);                       \
            }                                                                  \
            loop_turn((loop), (turn_ms));                                      \
        }                                                                      \
    } while (0)

#endif
