/*
 * Which stored values may be used. One table for the whole process.
 *
 * A value that is still in Redis may have been deleted by somebody: its node
 * refused the command, a failover lost it, or the node that took it was no
 * primary any more. So a reply to a guarded call (redis.h) is used only
 *
 * - while its node, and more than half of all primaries, have acknowledged a
 *   probe that was sent less than TRUST_BOUND_MS ago (probe.c). A primary that
 *   is cut off goes on acknowledging, but more than half are not cut off;
 * - when its slot has had the same owner for TRUST_WINDOW_MS. In that time
 *   those who remember young deletions repeat them to the new owner;
 * - while no deletion of this process is pending in its slot.
 *
 * Beside that stands what tells an entry in this process' memory that it may be
 * out of date, though nobody has asked Redis (near.h): the slot's stamp, which
 * the entry carries. Each change of a version is a new stamp.
 *
 * Everything here is atomic. The control and coherence threads write, and so
 * does a worker that is sent to another owner; a worker reads three words for
 * each reply.
 */
#ifndef REDIS_TRUST_H
#define REDIS_TRUST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "nearside/base/check.h"
#include "nearside/redis/slot.h"

enum {
    TRUST_BOUND_MS = 2000,
    /* What memory holds is used for that much less than the bound: a worker
       judges by the time at which its loop's turn began, and the client has
       counted from before. */
    TRUST_TURN_MS = 100,
    /* Long enough to hear of a new owner, and to repeat deletions to it. */
    TRUST_WINDOW_MS = TRUST_BOUND_MS + 1000,
    /* For so long nothing is used of a slot in which a deletion is lost. */
    TRUST_LOST_MS = 3600 * 1000,
    /* As long as deletions are kept (tier/journal.h): older ones are not lost
       when a slot changes its owner. */
    TRUST_YOUNG_MS = 60 * 1000,
    /* A deletion that is under way for longer is not waited for. */
    TRUST_SHORTLY_MS = 50,
    /* No node: the slot was seen without an owner. */
    TRUST_NOBODY = UINT32_MAX,
    /* Stamps are below; a bit is left for marks of another kind (near.c). */
    TRUST_STAMPS = 0x80000000,
};

struct trust_slot {
    _Atomic int64_t until_ms;      /* no value is used before that time */
    _Atomic uint32_t held;         /* deletions pending */
    _Atomic int64_t held_ms;       /* when the first of them began, or later */
    _Atomic uint32_t owner;        /* the node's serial; 0: none seen yet */
    _Atomic uint32_t version;      /* how often the owner has changed, or
                                      restarted */
    _Atomic int64_t changed_ms;    /* wall: when it did last; 0: never */
    _Atomic int64_t not_before_ms; /* wall: what was received earlier may be of
                                      a snapshot; 0: nothing is */
    _Atomic int64_t forgot_ms;     /* when a young deletion was last forgotten;
                                      0: never */
    _Atomic uint32_t stamp;        /* of what is put into memory now */
    _Atomic uint32_t void_before;  /* what has an older stamp is void */
};

struct trust {
    struct trust_slot slots[SLOT_COUNT];
    atomic_bool is_begun;         /* a majority has acknowledged once */
    _Atomic int64_t confirmed_ms; /* how long a majority has acknowledged, in
                                     all: a clock */
    _Atomic uint64_t changes;     /* of the versions of all slots; one is
                                     counted after it is made */
    _Atomic int64_t young;        /* deletions that may have to be repeated */
    _Atomic int64_t mapped_ms;    /* when that was asked of which the map is
                                     what was answered last; 0: never */
    atomic_bool is_looked_into;   /* memory, since that was asked for it */
    _Atomic uint32_t news;        /* how often a coherence lease was renewed;
                                     counted before it is */
};

/*
 * Until when more than half of the primaries count as acknowledging. Given is
 * for each of the len primaries when the last probe was sent that it has
 * acknowledged (0: it has none); the array is sorted. 0: no majority. Pure.
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

/* The slot has a new stamp. What memory holds of it cannot be sure to be told
   of changes: it is unverified, or (void) even that is not worth keeping. */
void trust_unverify_slot(struct trust *trust, uint16_t slot);
void trust_void_slot(struct trust *trust, uint16_t slot);

/* Is what has that stamp void? It is no stamp of now. */
bool trust_is_void(const struct trust *trust, uint16_t slot, uint32_t stamp);

/* Values of the slot are refused for an hour, since a deletion there is lost.
 */
void trust_lose_slot(struct trust *trust, uint16_t slot, int64_t now_ms);

/* The word for a value that a node has while it imports the slot: it is not
   used. */
extern const char trust_moving[];

/* Is a deletion pending that began a moment ago, and so will end in one? */
bool trust_is_held_shortly(
    const struct trust *trust, uint16_t slot, int64_t now_ms);

/* trust_why_not where something may speak against it. */
const char *trust_why_doubtful(
    const struct trust *trust, uint16_t slot, int64_t now_ms);

/* Why no value of that slot is to be used now, whatever its node is; NULL: it
   may be. Asked twice for each lookup. */
static inline const char *
trust_why_not(const struct trust *trust, uint16_t slot, int64_t now_ms)
{
    struct trust *t = (struct trust *)(uintptr_t)trust;
    struct trust_slot *s = &t->slots[slot];

    MUST(slot < SLOT_COUNT);
    return atomic_load_explicit(&s->held, memory_order_relaxed) == 0 &&
                   now_ms >=
                       atomic_load_explicit(&s->until_ms, memory_order_relaxed)
               ? NULL
               : trust_why_doubtful(trust, slot, now_ms);
}

#endif
