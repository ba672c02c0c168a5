/*
 * Cache-Control (RFC 9111 5.2), every malformed form resolved to the
 * stricter reading.
 */
#ifndef NEARSIDE_HTTP_CACHE_CONTROL_H
#define NEARSIDE_HTTP_CACHE_CONTROL_H

#include "nearside/http/head.h"

/* Delta-seconds beyond this mean this (RFC 9111 1.2.2). */
#define DELTA_MAX INT64_C(2147483648)

enum {
    DELTA_ABSENT = -1,
};

/*
 * Durations in seconds; DELTA_ABSENT when not stated. A malformed one reads as
 * 0 (already stale), and of two the smaller counts. For min_fresh more is
 * stricter: of two the larger counts, and a malformed one reads as DELTA_MAX.
 * A value with an open quote sets no_store and private_.
 */
struct cache_control {
    bool no_store;
    bool no_cache; /* also in its qualified form */
    bool private_; /* also in its qualified form */
    bool public_;
    bool must_revalidate;
    bool proxy_revalidate;
    bool must_understand;
    bool only_if_cached;
    bool immutable;
    int64_t max_age;
    int64_t s_maxage;
    int64_t min_fresh;
    int64_t max_stale; /* alone it takes any staleness: DELTA_MAX */
    int64_t stale_while_revalidate; /* RFC 5861 */
    int64_t stale_if_error;
};

/* All fields of `id` in h, joined as RFC 9110 5.3 says. */
void cache_control_parse(
    const struct head *h, enum field_id id, struct cache_control *out);

/* One value alone; adds to what *out already holds. */
void cache_control_init(struct cache_control *out);
void cache_control_add(struct cache_control *out, struct slice value);

/*
 * The same for a structured dictionary (RFC 9651), as RFC 9213 has it: a
 * restriction holds whatever its value, a permission only if true, a duration
 * that is no integer of 0 or more reads as 0, and of repeated keys the last
 * counts. Parameters are ignored.
 * RC_MISS: it is empty. RC_BAD: it is no dictionary; rely on nothing in *out.
 */
enum rc cache_control_add_dictionary(
    struct cache_control *out, struct slice value) RC_MUST_CHECK;

#endif
