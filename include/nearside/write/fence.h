/*
 * A write that waits for its token. Before it is sent to the origin, what is
 * stored for its target is deleted, and a token takes the place of the target's
 * fetch lease, so that nobody stores anything until the write has deleted both.
 * Then an instance that is cut off during the write leaves nothing stale.
 *
 * Only where the route says so (write_unfenced = refuse): such a write costs
 * two round trips more, and whoever reads its target meanwhile waits as for a
 * fetch.
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

/* The write was not done: the token is given back. */
void fence_drop(struct fence **fence);

/* The write was sent: what it made stale is deleted with the token, or the
   token ends by itself. */
void fence_leave(struct fence **fence);

#endif
