/*
 * Whose values may be used, as the whole process sees it.
 *
 * A value that lies in Redis may have been meant to be deleted: by a command
 * that a node refused, that a failover lost, or that went to a primary which
 * is one no more. So the reply to a guarded call (redis.h) counts only
 *
 * - while its node has acknowledged a probe that was sent less than
 *   TRUST_BOUND_MS ago, and so have more than half of all primaries (probe.c):
 *   one that is cut off from the others acknowledges whatever it is told;
 * - when its slot has not changed its owner for TRUST_WINDOW_MS, in which
 *   whoever holds young deletions repeats them to the new owner;
 * - while no deletion of this process is pending in its slot.
 *
 * All of these are atomics: the control thread and workers that see a change
 * write them, and a worker reads three on its way.
 */
#ifndef REDIS_TRUST_H
#define REDIS_TRUST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "nearside/redis/slot.h"

enum {
    TRUST_BOUND_MS = 2000,
    TRUST_WINDOW_MS = TRUST_BOUND_MS + 1000,
    TRUST_LOST_MS = 3600 * 1000,
    TRUST_YOUNG_MS = 60 * 1000,
    TRUST_SHORTLY_MS = 50,
    /* No node: the slot was seen without an owner. */
    TRUST_NOBODY = UINT32_MAX,
};

struct trust_slot {
    _Atomic int64_t until_ms;   /* values are refused before that time */
    _Atomic uint32_t held;      /* deletions pending */
    _Atomic int64_t held_ms;    /* since then, or later */
    _Atomic uint32_t owner;     /* the node's serial; 0: none seen yet */
    _Atomic uint32_t version;   /* changes and restarts of its owner so far */
    _Atomic int64_t changed_ms; /* wall: the last of them; 0: none */
    _Atomic int64_t not_before_ms; /* wall: values that were received earlier
                                      may be of a snapshot; 0: none is */
    _Atomic int64_t forgot_ms;     /* when a young deletion was last forgotten;
                                      0: never */
};

struct trust {
    struct trust_slot slots[SLOT_COUNT];
    atomic_bool is_begun;         /* a majority has acknowledged, once */
    _Atomic int64_t confirmed_ms; /* a clock that stands still while no
                                     majority acknowledges */
    _Atomic uint64_t changes;     /* of all slots' versions so far; counted
                                     behind them */
    _Atomic int64_t young;        /* deletions that may have to be repeated */
};

/*
 * Until when more than half of len primaries are known to acknowledge, which
 * have each last acknowledged a probe sent at that time (0: none), and which it
 * sorts. 0: no majority has. Pure.
 */
int64_t trust_majority_until(int64_t acknowledged_ms[], unsigned len);

/* The slot was seen with an owner. True: it had another one before. */
bool trust_see_owner(struct trust *trust, uint16_t slot, uint32_t owner,
    int64_t now_ms, int64_t wall_ms);

/* Values of the slot are refused for one window from now on. */
void trust_doubt_slot(struct trust *trust, uint16_t slot, int64_t now_ms);

/* The same. In addition, who remembers deletions in the slot repeats them. */
void trust_renew_slot(struct trust *trust, uint16_t slot, int64_t now_ms);

/* Wall: what was received earlier may be out of date. */
void trust_note_change(struct trust *trust, uint16_t slot, int64_t wall_ms);

/* Wall: what was received earlier is refused, whoever owns the slot then. */
void trust_refuse_before(struct trust *trust, uint16_t slot, int64_t wall_ms);

/* Values of the slot are refused for an hour, since a deletion there is lost.
 */
void trust_lose_slot(struct trust *trust, uint16_t slot, int64_t now_ms);

/* The word for a value that a node has while it imports the slot: it is not
   used. */
extern const char trust_moving[];

/* Is a deletion pending that began a moment ago, and so will end in one? */
bool trust_is_held_shortly(
    const struct trust *trust, uint16_t slot, int64_t now_ms);

/* Why no value of that slot is to be used now, whatever its node is; NULL: it
   may be. */
const char *trust_why_not(
    const struct trust *trust, uint16_t slot, int64_t now_ms);

#endif
