/*
 * One connection to one node, kept up by itself: resolve, dial, greet (AUTH,
 * CLIENT SETNAME), then commands and replies in order; after a failure a
 * rest with jittered backoff and the same again. It belongs to one loop.
 */
#ifndef REDIS_WIRE_H
#define REDIS_WIRE_H

#include "nearside/net/resolve.h"
#include "nearside/redis/redis.h"
#include "redis/node.h"

struct wire;

struct wire_callbacks {
    /*
     * A call has ended on this wire and is off it: RC_OK with its reply (a
     * loan), or why there will be none. Not from inside wire_send.
     */
    void (*on_end)(void *ctx, struct redis_call *call, enum rc rc,
        struct redis_reply *reply);
    /* It is ready for commands. */
    void (*on_up)(void *ctx);
    /* It was lost, or (was_up is false) could not be had; wire_why says
       more. Its calls end after this. */
    void (*on_down)(void *ctx, enum rc rc, bool was_up);
};

struct wire_setup {
    struct loop *loop;
    struct resolver *resolver;
    struct node *node;             /* borrowed for the wire's life */
    const struct redis_opts *opts; /* complete; borrowed as well */
    const struct wire_callbacks *callbacks;
    void *ctx;
    bool is_once; /* no second attempt: for one question on the control
                     thread */
};

struct wire *wire_new(const struct wire_setup *setup); /* NULL: no memory */

/* Calls on it end with RC_CANCELLED, from inside this call. Not to be
   called from inside on_end. */
void wire_free(struct wire **wire);

/*
 * Sends a call, behind an ASKING when it asks so, at the end of the turn or
 * once the wire is up. RC_LIMIT: too much in flight. RC_REFUSED, RC_TIMEOUT,
 * RC_CLOSED, RC_IO, RC_BAD, RC_MISS: it is failing and rests, this is why.
 * RC_NOMEM.
 */
enum rc wire_send(struct wire *wire, struct redis_call *call) RC_MUST_CHECK;

/* The call on the wire is given up: its place stays, its reply is dropped. */
void wire_forget(struct wire *wire, struct redis_call *call);

/* Gives the connection up at the turn's end and makes a new one, name
   resolution included. Calls on it end with rc. */
void wire_drop(struct wire *wire, enum rc rc);

/* Nothing waits or is unanswered. */
bool wire_is_idle(const struct wire *wire);

/* Since when (loop time) it has had nothing to do. */
int64_t wire_used_ms(const struct wire *wire);

/* Microseconds the reply under way took; good in on_end with RC_OK. */
int64_t wire_latency_us(const struct wire *wire);

struct node *wire_node(const struct wire *wire);
bool wire_is_up(const struct wire *wire);

/* Why it went down last, for the log: outside text, not escaped. */
const char *wire_why(const struct wire *wire);

/* States of a redis_call that the wire sets; the client has more. */
enum call_state {
    CALL_IDLE,    /* not under way */
    CALL_PARKED,  /* client: until there is a map */
    CALL_PAUSED,  /* client: until its pause ends */
    CALL_ENDING,  /* client: its end is told at the turn's end */
    CALL_WAITING, /* wire: until it is up */
    CALL_SENT,    /* wire: has a place in the queue of replies */
    CALL_LOST,    /* wire: its end is told at the turn's end */
};

#endif
