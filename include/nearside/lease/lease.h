/*
 * A fetch lease: the right to fetch, fleet-wide, for as long as its token
 * stands in Redis. What the holder fetches is stored only while the token is
 * there. A write deletes it, so that nothing fetched before the write can be
 * stored after it.
 *
 * With memory alone a lease stands in a table of the process, and its key is
 * watched: a write ends it likewise.
 */
#ifndef NEARSIDE_LEASE_LEASE_H
#define NEARSIDE_LEASE_LEASE_H

#include "nearside/cache/memory.h"
#include "nearside/lease/leases.h"
#include "nearside/net/loop.h"
#include "nearside/rules/question.h"
#include "nearside/work/worker.h"

#define LEASE_MAGIC UINT32_C(0x6e6c6561)

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
    uint32_t magic;
    struct worker *worker;
    struct redis_call call; /* SET, then renewals */
    struct slice entry_key; /* the question's; it decides the slot */
    struct slice key;
    struct slice token;
    uint64_t number;           /* of all that this process has made; not 0 */
    struct memory_watch watch; /* with memory alone, as are the next */
    int64_t until_ms;          /* loop time; then it has ended by itself */
    int64_t asked_ms;          /* loop time of what was asked last */
    int64_t held_ms;           /* the same of the last that said it is held */
    enum lease_state state;    /* what on_taken will be told */
    struct loop_task task;     /* answers at the end of the turn */
    bool is_asked;             /* and the task will come */
    void (*on_taken)(void *ctx, enum lease_state state);
    void (*on_renewed)(void *ctx, bool is_gone);
    void *ctx;
    char token_text[TOKEN_MAX];
};

/* A lease for the question's key, in the arena, not yet taken. NULL: no
   memory. */
struct lease *lease_new(
    struct worker *w, const struct question *q, struct arena *arena);

/* Asks for it. on_taken comes once, and not from inside this call. */
void lease_take(struct lease *lease,
    void (*on_taken)(void *ctx, enum lease_state state), void *ctx);

/* Makes a lease that is held last as long again. on_renewed comes once, and not
   from inside this call. is_gone: it is no longer held, as is known for sure.
   That it is held is known for sure as of held_ms. */
void lease_renew(struct lease *lease,
    void (*on_renewed)(void *ctx, bool is_gone), void *ctx);

/* Is one of the two callbacks still to come? */
bool lease_is_asked(const struct lease *lease);

/* It will not come. */
void lease_cancel(struct lease *lease);

/* With memory alone: a write to the key of that hash ends all its leases but
   that one; NULL: all. */
void lease_end(struct worker *w, uint64_t hash, const struct lease *but_own);

#endif
