/*
 * Tokens that are given back: those of fetch leases, and those of writes
 * (write/fence.h). Others wait for their end. So Redis is asked again until it
 * has acknowledged it, for as long as the token may last by itself; nobody
 * waits for that.
 */
#ifndef NEARSIDE_LEASE_RELEASE_H
#define NEARSIDE_LEASE_RELEASE_H

#include "nearside/rules/question.h"

struct lease;
struct worker;

/* How long a token of a write lasts by itself. */
#define FENCE_PX SLICE("60000")
enum {
    FENCE_MS = 60000,
};

/* Gives back the lease of the question's key. With memory alone it is done at
   once. */
void release_lease(
    struct worker *w, const struct question *q, const struct lease *lease);

/* The same by its token, which is copied; with Redis alone, as are the next. */
void release_token(
    struct worker *w, const struct question *q, struct slice token);

/* Takes the token of a write out of the fence of the question's key. */
void release_fence(struct worker *w, struct question *q, struct slice token);

/* Gives back a lease that nobody has, once: does the node of the question's key
   run scripts? */
void release_trial(struct worker *w, const struct question *q);

/* The worker ends: gives up what is left. */
void releases_free(struct worker *w);

#endif
