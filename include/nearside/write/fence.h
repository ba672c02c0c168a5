/*
 * A write that waits for its token. Before it is sent to the origin, what is
 * stored for its target is deleted, and a token of the write is put beside it.
 * While there is one, nothing is stored for that target, whoever fetches it.
 * The token is renewed until the write is over. So an instance that is cut off
 * during the write leaves nothing stale, unless for longer than the token lasts
 * by itself. Several writes of one target have a token each.
 *
 * Only where the route says so (write_unfenced = refuse): such a write costs a
 * round trip more.
 */
#ifndef NEARSIDE_WRITE_FENCE_H
#define NEARSIDE_WRITE_FENCE_H

#include <stdbool.h>

struct arena;
struct fence;
struct question;
struct worker;

/* Is this write to wait for a token? */
bool fence_is_due(const struct worker *w, const struct question *q);

struct fence_opts {
    struct worker *worker;
    struct question *q;  /* outlives it */
    struct arena *arena; /* what it lives in */
    void (*on_ready)(void *ctx, bool is_held);
    void *ctx;
};

/*
 * on_ready comes once, and not from inside this call: when Redis has
 * acknowledged both, or when it has not within flight_wait. NULL: no memory,
 * and nothing will come.
 */
struct fence *fence_begin(const struct fence_opts *opts);

/* --- clear the pointer; harmless when it is NULL --- */

/* The write is over, or was not done: the token is given back. What the write
   made stale is being deleted already. */
void fence_drop(struct fence **fence);

/* Nobody knows what becomes of the write, which was sent: the token ends by
   itself. */
void fence_leave(struct fence **fence);

#endif
