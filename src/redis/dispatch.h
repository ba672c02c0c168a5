/*
 * A worker's calls on their way to the nodes, and back to their callers.
 *
 *     redis_send --> dispatch --+--> wire --> reply --> done
 *                       ^       |      \--> MOVED, ASK, TRYAGAIN ... -+
 *                       |       +--> parked, paused <----------------+
 *                       +-------------------/
 */
#ifndef REDIS_DISPATCH_H
#define REDIS_DISPATCH_H

#include "redis/call.h"
#include "redis/pool.h"

static inline int64_t
client_now_ms(const struct redis_client *c)
{
    return loop_now_ms(c->loop);
}

static inline void
client_count(struct redis_client *c, metric_id id)
{
    metric_inc(c->block, id);
}

/* The node's breaker has opened: counts, logs, and asks for a refresh. */
void client_tell_rest(struct redis_client *c, const struct node *node);

/* The lists and the task; the rest of the client is its owner's. */
void dispatch_init(struct redis_client *c);

/* All calls of a list of the client's are told RC_CANCELLED. */
void dispatch_cancel(struct redis_client *c, struct list *calls);

/* There is a map, or more trust: those that were waiting for it go on. */
void dispatch_parked(struct redis_client *c);

/* A call begins, for a key of this slot; its timer is armed. */
void call_begin(struct redis_client *c, struct redis_call *call, uint16_t slot);

/* To the slot's owner. Without one: before the first map the call waits a
   little for it, later it is a miss. */
void call_dispatch(struct redis_client *c, struct redis_call *call);

/* To this contact; NULL: there was no memory for one. */
void call_send_to(
    struct redis_client *c, struct redis_call *call, struct contact *contact);

/* May a guarded call's values not be used from there, now? Says why in it. */
bool call_is_doubtful(struct redis_client *c, struct redis_call *call,
    const struct contact *contact);

/* The doubt is a deletion that ends in a moment, as a rule: true, the call
   waits for that, and is sent anew. */
bool call_awaits_deletion(struct redis_client *c, struct redis_call *call);

/* Ends a guarded call for that reason. */
void call_doubt(
    struct redis_client *c, struct redis_call *call, const char *why);

/* Holds the call back for base to 2 * base ms, then dispatches it; false:
   it has no such time, or too many are held. */
bool call_pause(
    struct redis_client *c, struct redis_call *call, int64_t base_ms);

/* Ends the call now. */
void call_done(struct redis_client *c, struct redis_call *call, enum rc rc,
    struct redis_reply *reply);

/* Would a guarded call to the slot end with RC_DOUBT? */
bool slot_is_doubtful(
    const struct redis_client *c, const struct contact *contact, uint16_t slot);

/* --- error_reply.c --- */

/* What an error reply leads to. True: the call, which is on nothing now, goes
   on. False: its caller has to deal with the error. */
bool error_reply_is_dealt_with(struct redis_client *c, struct redis_call *call,
    struct contact *contact, struct slice text);

#endif
