/*
 * A script on its way to Redis that nobody waits for: it stores a value, or
 * gives a lease back, only while a condition holds, and is given up when it
 * does not arrive.
 */
#ifndef PROXY_PUT_H
#define PROXY_PUT_H

#include <stdint.h>

#include "nearside/cache/codec.h"

struct redis_script;
struct worker;

struct put_opts {
    const struct redis_script *script; /* its ARGV: guard, value, ms */
    struct slice keys[2];              /* KEYS, copied; the second or empty */
    struct slice guard;                /* what must hold; copied */
    int64_t px_ms;                     /* how long Redis keeps it */
};

/* Takes the value over; one without bytes: the script wants none. Without
   memory nothing is sent. */
void put_start(
    struct worker *worker, const struct put_opts *opts, struct value own_value);

/* The worker ends: gives up what is left. */
void puts_free(struct worker *worker);

#endif
