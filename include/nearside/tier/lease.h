/*
 * A fetch lease: the right to fetch, fleet-wide, for as long as its token
 * stands in Redis. What the holder fetches is stored only while the token is
 * there. A write deletes it, so that nothing fetched before the write can be
 * stored after it.
 */
#ifndef NEARSIDE_TIER_LEASE_H
#define NEARSIDE_TIER_LEASE_H

#include "nearside/rules/question.h"
#include "nearside/tier/tier.h"

/* How long it holds when nobody renews it. */
#define LEASE_PX SLICE("3000")
enum {
    LEASE_MS = 3000,
};

/* How its holder-to-be stands to it. */
enum lease_state {
    LEASE_NONE,   /* not asked for, refused, lost, or no longer ours */
    LEASE_TAKEN,  /* somebody else has it */
    LEASE_UNSURE, /* asked for without a reply, or nothing can be stored under
                     it: it is given back in case it is ours */
    LEASE_HELD,   /* the fetch's answer may be stored under it */
};

struct lease {
    struct redis_call call; /* SET, then renewals */
    struct slice entry_key; /* the question's; it decides the slot */
    struct slice key;
    struct slice token;
    char token_text[TOKEN_MAX];
};

/* A lease for the question's key, in the arena, not yet taken. NULL: no
   memory. */
struct lease *lease_new(
    struct worker *w, const struct question *q, struct arena *arena);

/* Asks for it. on_reply finds in lease_taken_as what the reply says. */
void lease_take(
    struct lease *lease, struct worker *w, redis_reply_fn on_reply, void *ctx);
enum lease_state lease_taken_as(
    const struct lease *lease, enum rc rc, const struct redis_reply *reply);

/* Makes it last as long again; 0 in reply says that it is gone. */
void lease_renew(
    struct lease *lease, struct worker *w, redis_reply_fn on_reply, void *ctx);

#endif
