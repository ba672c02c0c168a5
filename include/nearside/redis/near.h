/*
 * Whether an entry that this process holds in its own memory may be used now,
 * though Redis is not asked: whoever changes the value in Redis changes it
 * without asking us.
 *
 * A server tells us which keys were changed, over a connection that is there
 * for this alone, the link (link.h). While a node's link is alive, and while
 * its shared values are trusted (trust.h), what was read from that node is as
 * good in memory as it is in Redis.
 *
 * Who keeps an entry has to know three things.
 *
 * - Before it asks Redis for the value it takes a mark of the key's slot, and
 *   has memory watch the key. The mark stays with the entry.
 * - When the reply is there, near_may_keep says whether the entry may be put
 *   into memory. A value that this process wrote itself is never put there.
 * - Each time an entry is to be used, near_look comes before memory is looked
 *   into, and near_why_not after it: what the link tells meanwhile may concern
 *   the entry that was just found.
 *
 * An entry that may not be used is *unverified* or *void*. An unverified one
 * may be out of date: it is kept for what a stale entry may still do. When only
 * the coherence lease of its node is over, or its slot is in doubt, that may
 * pass, and then it may be used again. A void one is dropped.
 */
#ifndef NEARSIDE_REDIS_NEAR_H
#define NEARSIDE_REDIS_NEAR_H

#include "nearside/redis/redis.h"

/* Of a slot, at some time. It is a number, costs nothing and needs no end. */
struct near_mark {
    uint32_t stamp;
    uint16_t slot;
};

/*
 * Told of each key that was changed in Redis, by whomever, this process
 * included. The key has the prefix that the conf gives to all keys; that of the
 * entries follows (cache/key.h). Called on the coherence thread, which has many
 * to tell: it may take locks that are held for a moment, and must not wait.
 */
typedef void (*near_changed_fn)(void *ctx, struct slice redis_key);

/* Has on_changed called from now on. Before redis_start; without this no server
   is asked to tell anything, and near_take_mark says false for ever. */
void near_listen(struct redis *redis, near_changed_fn on_changed, void *ctx);

/* A mark for a value that is asked for after this. False: what is asked for now
   must not be put into memory, since nobody would tell us of its change. */
bool near_take_mark(const struct redis_client *client, uint16_t slot,
    struct near_mark *out) RC_MUST_CHECK;

/* May the reply to a call that was sent after the mark was taken be put into
   memory? For on_reply with RC_OK; the reply is no error. */
bool near_may_keep(const struct redis_client *client,
    const struct near_mark *mark, const struct redis_call *call);

/* How often any link has vouched for its node so far. Taken before memory is
   looked into. One load. */
uint32_t near_look(const struct redis_client *client);

/* NULL: what was kept with that mark, and was found in memory after that look,
   may be used in this turn. Else a word for Cache-Status and the log that says
   why not. A few loads of what is shared. */
const char *near_why_not(const struct redis_client *client, uint32_t look,
    const struct near_mark *mark);

/* Is what was kept with that mark void? It is to be dropped then. For one that
   may not be used. */
bool near_is_void(
    const struct redis_client *client, const struct near_mark *mark);

#endif
