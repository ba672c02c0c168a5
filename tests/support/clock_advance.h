/* A clock that only a test moves. */
#ifndef TESTS_SUPPORT_CLOCK_ADVANCE_H
#define TESTS_SUPPORT_CLOCK_ADVANCE_H

#include "nearside/base/check.h"
#include "nearside/base/clock.h"

static inline void
clock_advance(struct clock *c, int64_t ms)
{
    MUST(c->is_manual);
    c->mono_us += ms * 1000;
    c->wall_ms += ms;
}

#endif
