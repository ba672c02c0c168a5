/*
 * The store: the entries that this process holds in memory. What it keeps and
 * what it lets go is decided by S3-FIFO (Yang, Zhang, Qiu, Yue and Rashmi,
 * SOSP 2023): a new entry comes to a small queue; if it is asked for again
 * there it goes on to the main queue, and else it leaves, and a ghost remembers
 * its key for a while. A hit writes one byte, or none, and moves nothing.
 *
 * It is found by a key's hash and compared by the full key. Whoever learns that
 * a key was changed somewhere drops it by the hash alone, since the messages of
 * Redis name no full key. A hash that two keys share costs a miss.
 *
 * A store has no clock and knows no Redis. With each entry it keeps a note of
 * its caller's, who alone knows what that means for the use of the entry.
 *
 * It falls into shards by the hash, each with a lock and a budget of its own.
 * All functions but store_new and store_free may be called by any thread.
 */
#ifndef NEARSIDE_CACHE_STORE_H
#define NEARSIDE_CACHE_STORE_H

#include "nearside/base/list.h"
#include "nearside/cache/entry.h"
#include "nearside/cache/key.h"

struct store;

struct store_opts {
    size_t size;      /* bytes, its own tables included */
    size_t entry_max; /* bytes of an entry; 0: a quarter of a shard */
    unsigned shards;  /* a power of two, at most STORE_SHARDS_MAX; 0: by size */
};

enum {
    STORE_SHARDS_MAX = 256,
};

/* NULL: no memory. */
struct store *store_new(const struct store_opts *opts);

/* Nobody uses it any more, and no key is watched. NULL is fine. */
void store_free(struct store **store);

/* What a caller keeps beside an entry. */
struct store_note {
    uint32_t stamp;
    uint16_t slot;
};

/* The entry of that key, and its note; out_entry: a reference of the caller's.
   RC_MISS. */
enum rc store_get(struct store *store, const struct key *key,
    struct entry **out_entry, struct store_note *out_note) RC_MUST_CHECK;

/*
 * A key is watched from before its value is asked for until it is put, so that
 * no value is put that was read before a change and comes after it. As WATCH
 * in Redis. The watch is its caller's memory, and stays where it is.
 */
struct store_watch {
    struct list link; /* the store's; under its shard's lock */
    uint64_t hash;
    bool is_changed; /* the key was dropped meanwhile */
};

void store_watch(
    struct store *store, struct store_watch *watch, const struct key *key);

/* Harmless on one that watches nothing (zeroed, or put). */
void store_unwatch(struct store *store, struct store_watch *watch);

/*
 * Keeps the entry under its own key, which is the one that is watched, and
 * ends the watch. The store takes a reference of its own.
 * RC_MISS: the key was changed meanwhile; what is there now stays.
 * RC_LIMIT: the entry is too large. RC_NOMEM. After these two there is nothing
 * under the key.
 */
enum rc store_put(struct store *store, struct store_watch *watch,
    struct entry *entry, const struct store_note *note) RC_MUST_CHECK;

/* Whatever has this hash is dropped, and who watches it is told. How many. */
unsigned store_drop(struct store *store, uint64_t hash);

/* Drops all there is. Watches see it. */
void store_drop_all(struct store *store);

/* Sums over all shards. */
struct store_counts {
    size_t entries;
    size_t bytes;           /* of entries and of its own tables */
    uint64_t puts;          /* since it was made, as are the next */
    uint64_t drops;         /* entries that were dropped */
    uint64_t evicted_small; /* asked for at most once */
    uint64_t evicted_main;  /* long enough not asked for */
    uint64_t ghost_returns; /* put while the ghost knew them */
};

void store_count(struct store *store, struct store_counts *out);

#endif
