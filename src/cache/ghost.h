/*
 * A ghost: the keys that have lately left a shard's small queue, as
 * fingerprints. Whoever comes back while it is remembered goes to the main
 * queue at once.
 *
 * Fingerprints stand in sets of 32. Within a set they are in the order in which
 * they came, and the oldest makes room for the newest. So a key is remembered
 * for about as many others as the ghost has places, or as its caller wishes,
 * for two bytes each. Two keys are taken for one at most once in 2,000
 * questions; then a key is thought more popular than it is, which costs nothing
 * but a place.
 */
#ifndef CACHE_GHOST_H
#define CACHE_GHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GHOST_MAGIC UINT32_C(0x6e676873)

struct ghost_set;

struct ghost {
    uint32_t magic;
    unsigned sets_len;      /* a power of two; 0: none yet */
    struct ghost_set *sets; /* own */
};

void ghost_init(struct ghost *g);
void ghost_fini(struct ghost *g);

/* Room for at least so many keys. What it remembers stays. Without memory it
   is as it was, and remembers fewer. */
void ghost_grow(struct ghost *g, size_t keys);

/* The key has left one of so many entries. About as many of the latest keys
   stay remembered as four fifths of that, and no more than there is room for.
 */
void ghost_add(struct ghost *g, uint32_t hash, size_t entries);

/* Does it remember the key? It forgets it with that. */
bool ghost_take(struct ghost *g, uint32_t hash);

/* Bytes of its memory. */
size_t ghost_size(const struct ghost *g);

#endif
