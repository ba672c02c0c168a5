/*
 * A bell: any thread rings it, and its owner hears it on the owner's loop. It
 * may be hung off while it still rings, which a message in the owner may not.
 */
#ifndef NEARSIDE_NET_BELL_H
#define NEARSIDE_NET_BELL_H

#include "nearside/net/loop.h"

struct bell;

/* NULL: no memory. */
struct bell *bell_new(struct loop *loop, void (*on_ring)(void *ctx), void *ctx);

/* on_ring comes, once for all who have rung since it last came. Any thread. */
void bell_ring(struct bell *bell);

/* on_ring will not come. On its loop, or when that runs no more, and after the
   last bell_ring. Clears the caller's pointer; harmless when that is NULL. */
void bell_free(struct bell **bell);

#endif
