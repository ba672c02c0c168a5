/* The limits of a snapshot in tests: all are set, and each is wide enough to be
   met by no test that does not make it its own. */
#ifndef TESTS_UNIT_LIMITS_GIVEN_H
#define TESTS_UNIT_LIMITS_GIVEN_H

#include "nearside/rules/conf.h"

static inline struct limits
limits_given(void)
{
    return (struct limits){
        .head_max = 65536,
        .field_max = 65536,
        .field_name_max = 256,
        .fields_max = 100,
        .target_max = 8192,
        .head_timeout_ms = 1000,
        .body_timeout_ms = 1000,
        .idle_timeout_ms = 1000,
        .send_timeout_ms = 1000,
        .linger_timeout_ms = 1000,
        .linger_total_ms = 5000,
        .linger_max = 100,
        .buffer_max = 65536,
        .held_max = 1 << 20,
        .connections_max = 100,
        .object_max = 1 << 20,
        .flight_wait_ms = 20000,
        .variants_max = 3,
        .flights_max = 100,
    };
}

#endif
