/*
 * Shares of the memory there is: an eighth is held for clients that are slow,
 * as much again of bodies under way, a quarter caches. The rest is for all
 * else.
 */
#include "app/auto.h"

enum {
    HELD_SHARE = 8,
    CACHE_SHARE = 4,
    SHARE_MIN = 1 << 20,
    SHARE_MAX = 256 << 20, /* more is seldom wanted without a word */
};

/* The nth part, within the limits. */
static uint64_t
share_of(uint64_t memory, unsigned n)
{
    uint64_t share = memory / n;

    if (share == 0 || share > SHARE_MAX) {
        return SHARE_MAX;
    }
    return share < SHARE_MIN ? SHARE_MIN : share;
}

uint64_t
auto_held_max(uint64_t wanted, uint64_t memory)
{
    return wanted > 0 ? wanted : share_of(memory, HELD_SHARE);
}

size_t
auto_memory_size(size_t wanted, uint64_t memory)
{
    return wanted != SIZE_MAX ? wanted : (size_t)share_of(memory, CACHE_SHARE);
}
