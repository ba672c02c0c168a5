/*
 * Memory: the entries that this process holds itself. What it keeps and what it
 * lets go is decided by S3-FIFO (Yang, Zhang, Qiu, Yue and Rashmi, SOSP 2023):
 * a new entry comes to a small queue; if it is asked for again there it goes on
 * to the main queue, and else it leaves, and a ghost remembers its key for a
 * while. A hit writes two bytes, or none, and moves nothing.
 *
 * It is found by a key's hash and compared by the full key. Whoever learns that
 * a key was changed somewhere drops it by the hash alone: the messages of Redis
 * give the name there (key_hash_of_name), and no full key. A hash that two keys
 * share costs a miss.
 *
 * Memory has no clock and knows no Redis. With each entry it keeps a note of
 * its caller's, who alone knows what that means for the use of the entry.
 *
 * It falls into shards by the hash, each with a lock and a budget of its own.
 * All functions but memory_new and memory_free may be called by any thread.
 */
#ifndef NEARSIDE_CACHE_MEMORY_H
#define NEARSIDE_CACHE_MEMORY_H

#include "nearside/cache/entry.h"
#include "nearside/cache/key.h"

struct memory;

struct memory_opts {
    size_t size;      /* bytes, its own tables included */
    size_t entry_max; /* bytes of an entry; 0: a quarter of a shard */
    unsigned shards;  /* a power of two, at most MEMORY_SHARDS_MAX; 0: by size
                       */
};

enum {
    MEMORY_SHARDS_MAX = 256,
    MEMORY_PUT_BITS = 13, /* of a note, as it is kept */
    MEMORY_PUT_MAX = 1 << MEMORY_PUT_BITS,
    MEMORY_SLOT_BITS = 14,
    MEMORY_SLOT_MAX = 1 << MEMORY_SLOT_BITS,
};

/* NULL: no memory. */
struct memory *memory_new(const struct memory_opts *opts);

/* Nobody uses it any more. NULL is fine. */
void memory_free(struct memory **memory);

/* Bytes of the largest entry that it takes. */
size_t memory_entry_max(const struct memory *memory);

/* What a caller keeps beside an entry. */
struct memory_note {
    uint32_t stamp;
    uint16_t slot; /* below MEMORY_SLOT_MAX */
    uint16_t put;  /* below MEMORY_PUT_MAX */
};

/* The entry of that key, and its note; out_entry: a reference of the caller's.
   RC_MISS. */
enum rc memory_get(struct memory *memory, const struct key *key,
    struct entry **out_entry, struct memory_note *out_note) RC_MUST_CHECK;

/*
 * A key is watched from before its value is asked for until it is put, so that
 * no value is put that was read before a change and comes after it; as WATCH in
 * Redis. A watch is a number: how often something was dropped until then, among
 * the keys that are counted with this one. It needs no end. A change of another
 * of them, one key in thousands, lets the watched one count as changed too.
 */
struct memory_watch {
    uint64_t hash;
    uint32_t drops;
};

struct memory_watch memory_watch(struct memory *memory, uint64_t hash);

bool memory_has_changed(
    struct memory *memory, const struct memory_watch *watch);

/*
 * Keeps the entry under its own key, which is the one that is watched. Memory
 * takes a reference of its own, or a copy that takes less (entry_ref_to_keep).
 * RC_MISS: the key was changed meanwhile; what is there now stays.
 * RC_LIMIT: the entry is too large. RC_NOMEM. After these two there is nothing
 * under the key.
 */
enum rc memory_put(struct memory *memory, const struct memory_watch *watch,
    struct entry *entry, const struct memory_note *note) RC_MUST_CHECK;

/* As memory_put, in place of the entry whose checksum that is, and only while
   it is there: RC_MISS. */
enum rc memory_replace(struct memory *memory, const struct key *key,
    struct slice sum, struct entry *entry,
    const struct memory_note *note) RC_MUST_CHECK;

/* Whatever has this hash is dropped, and has changed for all who watch it, but
   for the owner of `own_watch` (or NULL). How many there were. */
unsigned memory_drop(
    struct memory *memory, uint64_t hash, struct memory_watch *own_watch);

/* Drops all there is. It has changed for all who watch. */
void memory_drop_all(struct memory *memory);

/*
 * Which entries are asked for? Redis does not see it, since memory answers. A
 * walk goes over all seats, some in each call, for as long as it is called; it
 * begins zeroed. There is one walk in a memory, called by one thread at a time.
 */
struct memory_walk {
    uint32_t shard;
    uint32_t seat;
};

enum {
    MEMORY_SAMPLE_MAX = 64,
};

typedef void memory_sample_fn(void *ctx, const struct entry *entry);

/*
 * Looks at up to `max` seats of one shard, at most MEMORY_SAMPLE_MAX, and tells
 * of each entry that somebody has asked for since the walk came by. It is lent
 * for the call of on_asked, and no lock is held then: key_redis_of_full gives
 * its name in Redis. True: the walk has come round.
 */
bool memory_sample(struct memory *memory, struct memory_walk *walk,
    unsigned max, memory_sample_fn *on_asked, void *ctx);

/* Sums over all shards. */
struct memory_counts {
    size_t entries;
    size_t bytes;           /* of entries and of its own tables */
    uint64_t puts;          /* since it was made, as are the next */
    uint64_t drops;         /* entries that were dropped */
    uint64_t evicted_small; /* asked for at most once */
    uint64_t evicted_main;  /* long enough not asked for */
    uint64_t ghost_returns; /* put while the ghost knew them */
};

void memory_count(struct memory *memory, struct memory_counts *out);

#endif
