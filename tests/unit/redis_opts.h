/* What the conf would say of Redis, where a test says nothing. */
#ifndef TESTS_REDIS_OPTS_H
#define TESTS_REDIS_OPTS_H

#include "nearside/redis/redis.h"

/* o with the conf's default for every member that is 0. */
static inline struct redis_opts
redis_opts_filled(struct redis_opts o)
{
    const struct redis_opts usual = {
        .client_name = "nearside",
        .prefix = "ns:",
        .command_timeout_ms = 50,
        .connect_timeout_ms = 500,
        .hang_ms = 1000,
        .coherence_bound_ms = 2000,
        .refresh_interval_ms = 30000,
        .in_flight_max = 1024,
        .in_flight_bytes_max = 8 << 20,
        .reply_max = (8 << 20) + (64 << 10),
    };

#define FILL(member) o.member = o.member == 0 ? usual.member : o.member
    FILL(client_name);
    FILL(prefix);
    FILL(command_timeout_ms);
    FILL(connect_timeout_ms);
    FILL(hang_ms);
    FILL(coherence_bound_ms);
    FILL(refresh_interval_ms);
    FILL(in_flight_max);
    FILL(in_flight_bytes_max);
    FILL(reply_max);
#undef FILL
    return o;
}

#endif
