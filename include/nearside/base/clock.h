/*
 * Time as a value. Only clock_update asks the kernel; everything else is
 * handed a moment. Deadlines count on the monotonic time; Date, Age and
 * whatever is written to Redis use wall time.
 */
#ifndef NEARSIDE_BASE_CLOCK_H
#define NEARSIDE_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct clock {
    int64_t mono_us; /* since some start; CLOCK_BOOTTIME: suspend counts */
    int64_t wall_ms; /* since 1970, UTC */
    bool is_manual;  /* a test's clock: clock_update leaves it alone */
};

/* A clock that shows the kernel's time as of its last update. */
void clock_init(struct clock *c);
void clock_update(struct clock *c);

static inline int64_t
clock_now_ms(const struct clock *c)
{
    return c->mono_us / 1000;
}

static inline int64_t
clock_now_us(const struct clock *c)
{
    return c->mono_us;
}

static inline int64_t
clock_wall_ms(const struct clock *c)
{
    return c->wall_ms;
}

#endif
