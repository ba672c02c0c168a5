/*
 * The connection over which one primary tells which keys were changed, by the
 * protocol of RESP2: the client tracks all keys with the prefix of the entries,
 * and what is to be told is redirected to the connection itself, which has
 * subscribed to it. So its loss is the loss of tracking, and the only one.
 *
 *     DOWN --greeted--> ASKING --its id--> SUBSCRIBING --confirmed--> LIVE
 *       ^                  |                    |                      |
 *       +----- a loss -----+--------------------+----------------------+
 *                          +--> REFUSED: the server does not tell; it is asked
 *                               again after a minute
 *
 * Laws.
 * - The node's word `telling` and its coherence lease are the link's (near.h);
 *   so are the stamps of the node's slots when the link is lost.
 * - The lease counts from when the PING was sent whose reply has come, and only
 *   after all that was told before that reply has been handed on.
 * - After a loss, or what is no message, the stamps are changed before anything
 *   else may be told.
 */
#ifndef REDIS_LINK_H
#define REDIS_LINK_H

#include "redis/channel.h"
#include "redis/map.h"
#include "redis/reach.h"

enum {
    LINK_MAGIC = 0x4c494e4b,
    LINK_PREFIX_MAX = 64,
};

enum link_state {
    LINK_DOWN,        /* the node is being reached, or greeted */
    LINK_ASKING,      /* for the connection's id */
    LINK_SUBSCRIBING, /* it is to tell, and has not confirmed it */
    LINK_LIVE,
    LINK_REFUSED, /* it does not tell, or is not to */
};

/* What all links share. */
struct linking {
    struct redis *redis;
    struct redis_opts opts; /* redis's, but for what a link has of its own */
    struct loop *loop;
    struct log_ring *ring;
    struct metric_block *block;
    char prefix[LINK_PREFIX_MAX]; /* of the keys of entries */
};

struct link {
    uint32_t magic;
    enum link_state state;
    struct linking *common;
    struct node *node; /* borrowed for the link's life */
    struct reach reach;
    struct channel channel; /* open, but for DOWN and REFUSED */
    struct loop_task flush;
    int64_t id;           /* of the connection, by the server */
    int64_t pinged_ms;    /* the PING under way; 0: there is none */
    unsigned rounds;      /* without an answer */
    int step;             /* SUBSCRIBING: which answer is next */
    int64_t again_ms;     /* REFUSED: when it is asked again; 0: never */
    bool is_lapsed;       /* LIVE: the lease is over, which was told */
    bool is_refusal_told; /* in the log; once until it tells */
};

/* prefix: of all keys; opts.coherence says whether there are to be links. */
void linking_init(struct linking *linking, struct redis *redis,
    struct loop *loop, struct log_ring *ring, struct metric_block *block);

/* Of a node, which outlives it, as does common. It begins at once. NULL: no
   memory. */
struct link *link_new(struct linking *common, struct node *node);

/* What was read from the node is not told of any more. NULL is fine. */
void link_free(struct link **link);

/* The node's name may lead to another server by now: the connection is given
   up, and a new one made. */
void link_renew(struct link *link);

/* Called every PROBE_MS: sends a PING unless one is under way, and gives the
   connection up when that has not been answered for the bound. */
void link_round(struct link *link);

#endif
