/*
 * A shard of memory: seats, the two queues and the ghost of S3-FIFO, and how
 * often keys were dropped. It takes no lock: memory.c holds the shard's lock
 * around each call.
 */
#ifndef CACHE_SHARD_H
#define CACHE_SHARD_H

#include "nearside/cache/memory.h"

#include "ghost.h"
#include "queue.h"
#include "seats.h"

#define SHARD_MAGIC UINT32_C(0x6e736861)

enum {
    SHARD_DROPS_LEN = 4096, /* by a hash's lowest bits: 16 KiB */
    SHARD_PARTING_MAX = 32,
};

enum {
    QUEUE_SMALL,
    QUEUE_MAIN,
    QUEUES,
};

/* Entries that have left and are let go when no lock is held any more: to free
   a large one can take the kernel a while. */
struct parting {
    unsigned len;
    struct entry *entries[SHARD_PARTING_MAX]; /* own */
};

struct shard {
    uint32_t magic;
    size_t budget;
    struct queue queues[QUEUES];
    struct seats seats;
    struct ghost ghost;
    uint32_t drops[SHARD_DROPS_LEN]; /* how often, by the hash */
    struct memory_counts counts;     /* but for entries and bytes */
};

/* RC_NOMEM: nothing is left of it. */
enum rc shard_init(struct shard *s, size_t budget) RC_MUST_CHECK;
void shard_fini(struct shard *s);

/* One more has asked for it. */
void shard_ask(struct seat *seat);

/* What memory_put promises. What it displaces goes to `parting`. */
enum rc shard_put(struct shard *s, uint32_t hash, struct entry *entry,
    const struct memory_note *note, struct parting *parting) RC_MUST_CHECK;

/* How often keys that are counted with that one were dropped; it comes round
   to 0. */
uint32_t *shard_drops(struct shard *s, uint32_t hash);

/* All that have this hash; how many. They count as dropped also when there were
   none. */
unsigned shard_drop(struct shard *s, uint32_t hash, struct parting *parting);

void shard_drop_all(struct shard *s);

size_t shard_bytes(const struct shard *s);
size_t shard_len(const struct shard *s);

/* Lets them go; without any lock. */
void parting_end(struct parting *parting);

/* Is all of it as it must be? For tests: it looks at every seat. */
void shard_check(const struct shard *s);

#endif
