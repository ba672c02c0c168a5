/*
 * The limits of the configuration that hold for every connection, request
 * and stored response, whatever its route.
 */
#ifndef NEARSIDE_RULES_LIMITS_H
#define NEARSIDE_RULES_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* 0 takes the default named beside it, except where it says none. */
struct limits {
    size_t head_max;                  /* 32 KiB */
    size_t field_max;                 /* 8,000 */
    size_t field_name_max;            /* 256 */
    unsigned fields_max;              /* 100 */
    size_t target_max;                /* 8,000 */
    int64_t head_timeout_ms;          /* 10 s, the whole head */
    int64_t body_timeout_ms;          /* 30 s, a gap */
    size_t body_min_rate;             /* bytes a second; 0: none */
    int64_t body_min_rate_after_ms;   /* 10 s */
    uint64_t body_max;                /* 0: none */
    int64_t idle_timeout_ms;          /* 30 s */
    unsigned requests_per_connection; /* 0: none */
    int64_t send_timeout_ms;          /* 30 s, a gap */
    int64_t send_total_ms;            /* 0: none */
    size_t buffer_max;                /* 64 KiB, a connection and way */
    uint64_t held_max;                /* 256 MiB, all connections */
    unsigned connections_max;         /* 10,000 */
    unsigned connections_per_ip;      /* 0: none */
    size_t object_max;                /* 8 MiB */
    int64_t flight_wait_ms;           /* 5 s */
    unsigned variants_max;            /* 32, of one key */
    unsigned flights_max;             /* 10,000 */
    unsigned new_keys_max;            /* a second; 0: none */
};

#endif
