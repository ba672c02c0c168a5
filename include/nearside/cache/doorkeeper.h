/*
 * The doorkeeper of the shared tier. As long as few new keys come, all are
 * let in. When more come within a second than a site's own keys account
 * for, somebody may be making them up (random query strings), and from then
 * on only a key that is asked for again is let in: a flood of keys that are
 * used once costs the tier no more than the limit, and what is asked for
 * twice is still cached.
 */
#ifndef NEARSIDE_CACHE_DOORKEEPER_H
#define NEARSIDE_CACHE_DOORKEEPER_H

#include <stdbool.h>
#include <stdint.h>

struct doorkeeper;

/* Lets in new_max new keys a second unseen; 0: all. NULL: no memory. */
struct doorkeeper *doorkeeper_new(unsigned new_max);
void doorkeeper_free(struct doorkeeper **doorkeeper);

/*
 * May the new key with this hash (key.h) be let in? If not, it is remembered
 * for a while, and may at its next coming. Any thread; now_ms is monotonic.
 */
bool doorkeeper_admits(
    struct doorkeeper *doorkeeper, uint64_t hash, int64_t now_ms);

#endif
