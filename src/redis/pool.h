/*
 * A worker's connections, one to each node it has had to do with and one more
 * for what is large, opened on demand, and its own copy of the slot map, which
 * points right at them.
 */
#ifndef REDIS_POOL_H
#define REDIS_POOL_H

#include "nearside/base/hash.h"
#include "redis/map.h"
#include "redis/wire.h"

enum {
    CLIENT_MAGIC = 0x52434c49,
    CONTACT_MAGIC = 0x434f4e54,
};

/* A node and this worker's connection to it. */
struct contact {
    uint32_t magic;
    struct list link; /* the client's contacts */
    struct redis_client *client;
    struct node *node; /* a counted reference */
    struct wire *wire; /* owned, as is the next */
    struct wire *bulk; /* for what is large; NULL: none yet */
    bool is_mapped;    /* by the newest map, or by a MOVED since */
    bool is_known;     /* it was up before */
    bool is_loss_told; /* in the log; once until it is up again */
    bool is_refusal_told;
    int64_t denied_ms; /* when it was told last; 0: never */
    int64_t cut_ms;    /* a reply was due when it was closed; 0: none was */
    int64_t cut_told_ms;
};

struct redis_client {
    uint32_t magic;
    bool is_closing;
    struct redis *redis;
    struct loop *loop;
    struct log_ring *ring;
    struct metric_block *block;

    /* pool.c */
    const struct wire_callbacks *callbacks; /* their ctx is the contact */
    struct list contacts;
    unsigned contacts_len;
    uint64_t version; /* of the map that was adopted; 0: none yet */
    bool is_patched;  /* since it was adopted */
    struct loop_timer sweep;
    struct contact *slots[SLOT_COUNT]; /* the owners; NULL: none is known */

    /* dispatch.c and client.c */
    struct member member;
    struct list held; /* until there is a map, or their pause ends */
    unsigned held_len;
    struct list ending; /* until the turn's end */
    struct loop_task ending_task;
    struct random random;
    int64_t born_ms;
    void (*on_change)(void *ctx); /* or NULL; hold.h */
    void *change_ctx;
};

/* Fields up to callbacks are set by the caller before, the rest is zero. */
void pool_init(struct redis_client *c);
void pool_fini(struct redis_client *c);

/* Takes over the newest map, if there is one; patches end. */
void pool_adopt(struct redis_client *c);

/* The owner of a slot; NULL: none is known. */
static inline struct contact *
pool_owner(const struct redis_client *c, uint16_t slot)
{
    MUST_OBJ(c, CLIENT_MAGIC);
    return c->slots[slot];
}

/* The contact at an address, made when new. NULL: no memory, or too many. */
struct contact *pool_at(
    struct redis_client *c, struct slice host, uint16_t port);

/* The connection for such a call. NULL: no memory. */
struct wire *contact_wire(
    struct contact *contact, const struct redis_call *call);

/* Gives its connections up, as wire_drop does. */
void contact_drop(struct contact *contact, enum rc rc);

/* Until the next refresh, the slot has no owner. */
void pool_forget(struct redis_client *c, uint16_t slot);

/* Until the next refresh, the slot is this contact's (MOVED). */
void pool_patch(struct redis_client *c, uint16_t slot, struct contact *contact);

#endif
