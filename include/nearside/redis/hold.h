/*
 * What is noted of slots in which something is to be deleted. All is the
 * process's; any worker may call these for itself.
 *
 * A deletion is done when the node that owns its slot has acknowledged it. It
 * may be lost all the same when the slot comes to another node that has not
 * heard of it. So whoever deletes remembers it for a while, and repeats it when
 * the slot has changed its owner.
 */
#ifndef NEARSIDE_REDIS_HOLD_H
#define NEARSIDE_REDIS_HOLD_H

#include "nearside/redis/redis.h"
#include "nearside/redis/slot.h"

/* Guarded calls to the slot end with RC_DOUBT until as many releases. */
void redis_hold(struct redis_client *client, uint16_t slot);
void redis_release(struct redis_client *client, uint16_t slot);

/* Is it the slot's owner that has answered a call (redis_call.by)? */
bool redis_is_owner(
    const struct redis_client *client, uint16_t slot, uint32_t by);

/* Has the slot changed its owner since it had that version (redis_call), or has
   the owner restarted? */
bool redis_has_moved(
    const struct redis_client *client, uint16_t slot, uint32_t version);

/* How often any slot has changed its owner so far, or its owner has restarted.
   While it stays the same, redis_has_moved need not be asked again. */
uint64_t redis_changes(const struct redis_client *client);

/* fn is called, from the loop, when slots may have changed their owners, or a
   node takes writes again. */
void redis_on_change(
    struct redis_client *client, void (*fn)(void *ctx), void *ctx);

/* So many more deletions are remembered (fewer: negative). While there are any
   the map is asked for every second. */
void redis_remember(struct redis_client *client, int64_t count);

/* A clock for how long they are: it stands still while no majority of the
   primaries acknowledges writes. */
int64_t redis_confirmed_ms(const struct redis_client *client);

/* A deletion in the slot is given up: what is there is not used for an hour. */
void redis_lose(struct redis_client *client, uint16_t slot);

/* One that is acknowledged is remembered no longer, though it is young: the
   same, if the slot changes its owner within the next minute. */
void redis_forget(struct redis_client *client, uint16_t slot);

#endif
