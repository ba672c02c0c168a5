/*
 * Name resolution off the loop: getaddrinfo in helper threads, a name each,
 * answers posted to the loop that asked.
 */
#ifndef NEARSIDE_NET_RESOLVE_H
#define NEARSIDE_NET_RESOLVE_H

#include "nearside/net/addresses.h"
#include "nearside/net/loop.h"

struct resolver; /* the names and their threads; shared by all loops */

struct resolver *resolver_new(void); /* NULL: no memory */

/* Nobody asks any more, and all look-ups were cancelled. Waits for none. */
void resolver_free(struct resolver **resolver);

struct resolve_answer {
    enum rc rc; /* RC_OK, RC_MISS: no such name, RC_IO: ask again later */
    /* With RC_OK: without ports, and a loan until on_done returns. Else NULL.
     */
    struct addresses *addresses;
};

/* A look-up under way; freed by itself after on_done or resolve_cancel. */
struct resolve;

/*
 * on_done comes on `loop`, never from inside this call. A name that has been
 * found before and is not answered now is told with the addresses it had.
 * host is copied. NULL: no memory.
 */
struct resolve *resolve_start(struct resolver *resolver, struct loop *loop,
    struct slice host,
    void (*on_done)(void *ctx, const struct resolve_answer *answer), void *ctx);

/* The same for one who has the addresses that the name had: on_done tells what
   is found now, or why nothing is, however long that takes. */
struct resolve *resolve_anew(struct resolver *resolver, struct loop *loop,
    struct slice host,
    void (*on_done)(void *ctx, const struct resolve_answer *answer), void *ctx);

/* on_done will not come; clears the caller's pointer. Same loop only. */
void resolve_cancel(struct resolve **resolve);

#endif
