/*
 * One connection to one node, which keeps itself up: it reaches the node,
 * greets it, then sends commands and tells of their ends; after a failure it
 * waits and begins again. It belongs to one loop.
 *
 * One for what is large (is_bulk) is slow by nature, which says nothing about
 * its node.
 */
#ifndef REDIS_WIRE_H
#define REDIS_WIRE_H

#include "nearside/net/resolve.h"
#include "redis/call.h"
#include "redis/node.h"

struct wire;

enum {
    /* In which a packet that was lost comes a second time. */
    WIRE_BULK_LOOK_MS = 200,
};

struct wire_loss {
    enum rc rc;
    struct slice why; /* says more, in outside text that is not escaped */
    bool is_said;     /* why is what the server said: it does not want us */
    bool was_up;
    bool was_idle;      /* up for a while, and with nothing to do: a server may
                           close such ones */
    bool was_due;       /* a reply was due when the server closed it */
    bool opens_breaker; /* the node has failed too often: it rests now */
};

struct wire_callbacks {
    /*
     * A call has ended on this wire and is off it: RC_OK with its reply (a
     * loan), or why there will be none. Not from inside wire_send.
     */
    void (*on_end)(void *ctx, struct redis_call *call, enum rc rc,
        struct redis_reply *reply);
    /* It is ready for commands; may be NULL. */
    void (*on_up)(void *ctx);
    /* It was lost, or (was_up is false) could not be had. Its calls end after
       this. */
    void (*on_down)(void *ctx, const struct wire_loss *loss);
};

struct wire_setup {
    struct loop *loop;
    struct resolver *resolver;
    struct node *node;             /* borrowed for the wire's life */
    const struct redis_opts *opts; /* borrowed as well */
    const struct wire_callbacks *callbacks;
    void *ctx;
    bool is_bulk;  /* for large commands and replies */
    bool is_once;  /* no second try: for one inquiry on the control
                      thread */
    bool is_probe; /* the coherence thread's; dialled twice a second */
};

struct wire *wire_new(const struct wire_setup *setup); /* NULL: no memory */

/* Calls on it end with RC_CANCELLED, from inside this call. Not to be
   called from inside on_end. */
void wire_free(struct wire **wire);

/*
 * Sends a call, behind an ASKING when it asks so, at the end of the turn or
 * once the wire is up. RC_LIMIT: too much in flight. RC_REFUSED, RC_TIMEOUT,
 * RC_CLOSED, RC_IO, RC_BAD, RC_MISS: it fails, and this is why.
 * RC_NOMEM.
 */
enum rc wire_send(struct wire *wire, struct redis_call *call) RC_MUST_CHECK;

/* The call on the wire is given up: its place stays, its reply is dropped. */
void wire_forget(struct wire *wire, struct redis_call *call);

/* Gives the connection up at the turn's end and makes a new one, name
   resolution included. Calls on it end with rc. */
void wire_drop(struct wire *wire, enum rc rc);

/* For how long it has had nothing to do; 0: it has. */
int64_t wire_idle_ms(const struct wire *wire);

struct node *wire_node(const struct wire *wire);
bool wire_is_up(const struct wire *wire);

/* Of a call on it that is bulk, whose time is over: have bytes come or gone in
   that time? When it is asked again, WIRE_BULK_LOOK_MS later or more, it must
   have been quite a few. What they were part of does not count, since each
   waits for those before it. */
bool wire_has_moved(const struct wire *wire, struct redis_call *call);

/* It could not be had, or was lost soon: it refuses what is sent. */
bool wire_is_failing(const struct wire *wire);

#endif
