/*
 * Deletions: an entry and its lease are deleted together, so that a fetch
 * begun before can never store after. One that fails is tried again until the
 * owner of its slot has acknowledged it, and repeated when the slot comes to
 * another owner within the next minute. Until it is acknowledged, nothing in
 * its slot is used by this process.
 */
#ifndef NEARSIDE_TIER_DELETION_H
#define NEARSIDE_TIER_DELETION_H

#include <stdbool.h>

#include "nearside/cache/key.h"

struct deletion;
struct lease;
struct worker;

enum deletion_end {
    DELETION_FAILED,     /* the first attempt did; further ones will follow */
    DELETION_DONE,       /* acknowledged */
    DELETION_DONE_WHOLE, /* acknowledged, and the caller's own lease has gone
                            with it: the slot is on its way to another node, or
                            no script is run there */
};

struct deletion_opts {
    struct lease *own_lease; /* the caller's own, which is not deleted; NULL:
                                any lease is. A loan for the call */
    void (*on_done)(void *ctx, enum deletion_end end); /* or NULL */
    void *ctx;
};

/*
 * Marks the key as written and deletes entry and lease in Redis (keys are
 * copied). on_done comes once, when it is acknowledged or after the first
 * attempt has failed, never from inside this call; the attempts go on without
 * it. NULL is answered without Redis, when it is done at once, and when there
 * is no memory or too many are remembered: then nothing will come.
 */
struct deletion *deletion_start(struct worker *worker, const struct key *key,
    struct slice entry_key, const struct deletion_opts *opts);

/* on_done will not come; the attempts go on. Clears the pointer. */
void deletion_forget(struct deletion **deletion);

/* To be called a moment after deletion_start has armed the tier's tick. */
void deletions_tick(struct worker *worker);

/* A node may take writes again: those that wait are tried without delay. */
void deletions_hurry(struct worker *worker);

/* The worker ends: gives up what is left. */
void deletions_free(struct worker *worker);

#endif
