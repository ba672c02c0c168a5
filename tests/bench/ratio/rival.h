/*
 * Rivals: other ways to choose what a cache keeps, written as their papers tell
 * them and no faster. They hold no entries, only numbers of objects, and are
 * charged the bytes of the entries alone.
 */
#ifndef BENCH_RATIO_RIVAL_H
#define BENCH_RATIO_RIVAL_H

#include "trace.h"

struct rival;

struct policy {
    const char *name;
    /* Is it there? If not it is put. */
    bool (*ask)(struct rival *rival, uint32_t object);
};

enum {
    RIVAL_LRU,
    RIVAL_SIEVE,
    RIVAL_S3FIFO,
    RIVALS,
};

extern const struct policy policies[RIVALS];

struct rival *rival_new(const struct policy *policy, const uint32_t *sizes,
    uint32_t objects_len, size_t budget);
bool rival_ask(struct rival *rival, uint32_t object);
size_t rival_bytes(const struct rival *rival);
void rival_free(struct rival **rival);

#endif
