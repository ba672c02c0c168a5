/*
 * A worker's connections, one to each node it has had to do with, opened on
 * demand, and its own copy of the slot map, which points right at them.
 */
#ifndef REDIS_POOL_H
#define REDIS_POOL_H

#include "redis/map.h"
#include "redis/wire.h"

enum {
    CONTACT_MAGIC = 0x434f4e54,
    POOL_MAGIC = 0x504f4f4c,
};

/* A node and this worker's connection to it. */
struct contact {
    uint32_t magic;
    struct list link; /* the pool's contacts */
    struct pool *pool;
    struct node *node; /* a counted reference */
    struct wire *wire; /* owned */
    bool is_mapped;    /* by the newest map, or by a MOVED since */
    bool is_loss_told; /* in the log; once until it is up again */
};

struct pool {
    uint32_t magic;
    struct redis *redis;
    struct loop *loop;
    struct log_ring *ring;
    struct metric_block *block;
    const struct wire_callbacks *callbacks; /* their ctx is the contact */
    struct list contacts;
    unsigned contacts_len;
    uint64_t version; /* of the map that was adopted; 0: none yet */
    bool is_patched;  /* since it was adopted */
    struct loop_timer sweep;
    struct contact *slots[SLOT_COUNT]; /* the owners; NULL: none is known */
};

/* Fields up to callbacks are set by the caller before, the rest is zero. */
void pool_init(struct pool *pool);
void pool_fini(struct pool *pool);

/* Takes over the newest map, if there is one; patches end. */
void pool_adopt(struct pool *pool);

/* The owner of a slot; NULL: none is known. */
static inline struct contact *
pool_owner(const struct pool *pool, uint16_t slot)
{
    MUST_OBJ(pool, POOL_MAGIC);
    return pool->slots[slot];
}

/* The contact at an address, made when new. NULL: no memory, or too many. */
struct contact *pool_at(struct pool *pool, struct slice host, uint16_t port);

/* Until the next refresh, the slot is this contact's (MOVED). */
void pool_patch(struct pool *pool, uint16_t slot, struct contact *contact);

#endif
