/*
 * Reaches a node: resolves its name, dials its addresses one after another,
 * and after a failure waits, longer each time, before it tries again.
 */
#ifndef REDIS_REACH_H
#define REDIS_REACH_H

#include "nearside/base/hash.h"
#include "nearside/net/dial.h"
#include "nearside/net/resolve.h"
#include "redis/node.h"

/* Why it ends when no address could be connected to. */
#define REACH_FAILED_TEXT "connect failed"
#define REACH_FAILED      SLICE(REACH_FAILED_TEXT)

enum {
    REACH_MAGIC = 0x52454143,
};

enum reach_state {
    REACH_IDLE,      /* until reach_begin */
    REACH_RESOLVING, /* the node's name */
    REACH_DIALLING,  /* one of its addresses */
    REACH_WAITING,   /* after a failure; then it begins by itself */
};

struct reach {
    uint32_t magic;
    enum reach_state state;
    struct loop *loop;
    struct resolver *resolver;
    const struct node *node;
    int64_t timeout_ms; /* of connecting to one address */
    bool is_bulk;       /* the connection is for what is large */
    /* It has ended: RC_OK with a connection that wants nothing, or why not.
       May come from inside reach_begin when memory runs out. */
    void (*on_end)(
        void *ctx, enum rc rc, struct conn *own_conn, const char *why);
    void *ctx;
    struct resolve *resolve;
    struct dial dial;
    struct addresses *found; /* NULL: not looked up yet */
    unsigned found_next;     /* address to try next */
    struct loop_timer wait;
    int64_t begun_ms; /* the last time */
    struct random random;
    unsigned failures; /* in a row, as the owner counts them */
};

/* Fields up to ctx are set by the caller before, but for the first two. */
void reach_init(struct reach *reach);

/* Begins at once. Not while it is at it already. */
void reach_begin(struct reach *reach);

/* Counts a failure and begins after a while. */
void reach_begin_later(struct reach *reach);

/* If it waits, it begins half a second after it last did, or now. */
void reach_hurry(struct reach *reach);

/* on_end will not come. Harmless when it is idle. */
void reach_cancel(struct reach *reach);

#endif
