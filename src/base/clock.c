/* The only place that asks the kernel for the time. */
#include "nearside/base/clock.h"

#include <time.h>

#include "nearside/base/check.h"

void
clock_init(struct clock *c)
{
    *c = (struct clock){0};
    clock_update(c);
}

void
clock_update(struct clock *c)
{
    struct timespec mono;
    struct timespec wall;

    if (c->is_manual) {
        return;
    }
    MUST(clock_gettime(CLOCK_BOOTTIME, &mono) == 0);
    MUST(clock_gettime(CLOCK_REALTIME, &wall) == 0);
    c->mono_us = (int64_t)mono.tv_sec * 1000000 + mono.tv_nsec / 1000;
    c->wall_ms = (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000;
}
