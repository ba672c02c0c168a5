/*
 * Seats: where the entries of a shard stand, and the table in which one is
 * found by its key's hash. A seat is known by its number, from 1 on; 0: none.
 */
#ifndef CACHE_SEATS_H
#define CACHE_SEATS_H

#include "nearside/cache/memory.h"

#define SEATS_MAGIC UINT32_C(0x6e737365)

/* Where one entry stands. 28 bytes: there are millions of them. */
struct seat {
    struct entry *entry; /* own; NULL: the seat is free */
    uint32_t hash;
    uint32_t next; /* in its queue, to the older one; or the next free seat */
    uint32_t prev;
    uint32_t stamp;
    uint16_t slot : MEMORY_SLOT_BITS;
    uint16_t was_asked : 1; /* since seats_sample was here */
    /* How often, at most ASKED_MAX, since it was looked at. */
    uint16_t asked : 2;
    uint16_t queue : 1;
    uint16_t put : MEMORY_PUT_BITS;
} __attribute__((packed, aligned(4)));

static_assert(sizeof(struct seat) == 28, "more would cost each entry as much");

enum {
    SEATS_CHUNK = 256,
};

struct seats {
    uint32_t magic;
    uint32_t *buckets; /* own; numbers; open addressing, linear probing */
    unsigned bucket_bits;
    struct seat **chunks; /* own */
    uint32_t chunks_len;
    uint32_t made;
    uint32_t free; /* the first free one */
    uint32_t used; /* in the table */
};

static inline struct seat *
seats_at(const struct seats *s, uint32_t number)
{
    MUST(number > 0);
    MUST(number <= s->made);
    return &s->chunks[(number - 1) / SEATS_CHUNK][(number - 1) % SEATS_CHUNK];
}

/* RC_NOMEM: nothing is left of it. */
enum rc seats_init(struct seats *s) RC_MUST_CHECK;

/* All are free. */
void seats_fini(struct seats *s);

/* A free seat, for which the table has room; 0: no memory. */
uint32_t seats_take(struct seats *s);

/* Gives back one that is not in the table. */
void seats_give(struct seats *s, uint32_t number);

/* Puts it into the table, by its hash. */
void seats_enter(struct seats *s, uint32_t number);

/* Takes it out of the table. */
void seats_remove(struct seats *s, uint32_t number);

/* The one whose entry has that key; NULL: none. */
struct seat *seats_find(
    const struct seats *s, uint32_t hash, struct slice full);

/* The first in the table that has this hash. */
uint32_t seats_first_with(const struct seats *s, uint32_t hash);

/*
 * Of `max` seats from *number on, which begins as 1, the entries that somebody
 * has asked for since this was called for their seats. How many; out_own: of
 * `max` places, references of the caller's. *number is left at the next seat,
 * or 0: there is none.
 */
unsigned seats_sample(
    struct seats *s, uint32_t *number, unsigned max, struct entry **out_own);

/* Places in its table. */
size_t seats_places(const struct seats *s);

/* Bytes of all of it. */
size_t seats_size(const struct seats *s);

/* Is all of it as it must be? For tests. */
void seats_check(const struct seats *s);

#endif
