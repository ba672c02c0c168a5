/*
 * The limits of the configuration that hold for every connection, request
 * and stored response, whatever its route.
 */
#ifndef NEARSIDE_RULES_LIMITS_H
#define NEARSIDE_RULES_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* Whoever makes a snapshot sets all of them; the defaults stand in the conf's
   table. 0 means no limit where the field says so. */
struct limits {
    size_t head_max;
    size_t field_max;
    size_t field_name_max;
    unsigned fields_max;
    size_t target_max;
    int64_t head_timeout_ms; /* the whole head */
    int64_t body_timeout_ms; /* a gap */
    size_t body_min_rate;    /* bytes a second; 0: none */
    int64_t body_min_rate_after_ms;
    uint64_t body_max; /* 0: none */
    int64_t idle_timeout_ms;
    unsigned requests_per_connection; /* 0: none */
    int64_t send_timeout_ms;          /* a gap */
    int64_t send_total_ms;            /* 0: none */
    size_t buffer_max;                /* a connection and way */
    uint64_t held_max;                /* all connections */
    unsigned connections_max;
    unsigned connections_per_ip; /* 0: none */
    size_t object_max;
    int64_t flight_wait_ms;
    unsigned variants_max; /* of one key */
    unsigned flights_max;
    unsigned new_keys_max; /* a second; 0: none */
};

#endif
