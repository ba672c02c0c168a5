/*
 * What a write that has succeeded makes stale (RFC 9111 4.4): its target, where
 * readers are answered from the cache, and what its answer names in Location
 * and Content-Location, whatever route the write took.
 */
#ifndef NEARSIDE_WRITE_MADE_STALE_H
#define NEARSIDE_WRITE_MADE_STALE_H

#include "nearside/http/invalidate.h"
#include "nearside/rules/question.h"
#include "nearside/tier/deletion.h"

enum {
    MADE_STALE_MAX = 1 + INVALIDATE_MORE_MAX,
};

struct made_stale_more;

/* A deletion that is waited for. */
struct made_stale_wait {
    struct made_stale *stale;
    struct deletion *deletion; /* NULL: not waited for */
};

/* Lives in the request. Zeroed, nothing but the write's own target. */
struct made_stale {
    bool is_due;                        /* there is something to delete */
    const struct made_stale_more *more; /* in the arena; NULL: nothing named */
    struct made_stale_wait waits[MADE_STALE_MAX];
    enum deletion_end own_end; /* of the target's own deletion */
    void (*on_done)(void *ctx);
    void *ctx;
};

/* By a write with that answer. Out of memory, what the answer names is left
   out. */
void made_stale_find(struct made_stale *stale, const struct question *q,
    const struct head *response, struct arena *arena);

struct made_stale_opts {
    struct lease *own_lease; /* of the target, as in deletion_opts */
    void (*on_done)(void *ctx);
    void *ctx;
};

/*
 * Deletes all that is stored for the target, in all its forms, and what else
 * was found. True: on_done comes once, when each of them is acknowledged or
 * has failed for the first time, and not from inside this call. False: it will
 * not come.
 */
bool made_stale_delete(struct made_stale *stale, struct worker *w,
    const struct question *q, const struct made_stale_opts *opts);

/* Is on_done still to come? */
bool made_stale_is_awaited(const struct made_stale *stale);

/* on_done will not come; the deletions go on. */
void made_stale_forget(struct made_stale *stale);

#endif
