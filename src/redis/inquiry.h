/*
 * A few nodes are asked at once what they know of the cluster, each over a
 * connection that is used for this alone.
 */
#ifndef REDIS_INQUIRY_H
#define REDIS_INQUIRY_H

#include "redis/map.h"
#include "redis/wire.h"

enum {
    INQUIRY_MAGIC = 0x494e5155,
    INQUIRIES_MAX = 3,
};

struct inquiry {
    uint32_t magic;
    struct inquiries *set;
    struct node *node; /* counted */
    struct wire *wire; /* owned */
    struct redis_call map;
    struct redis_call info;
    struct topology *topology; /* owned; NULL: no answer */
};

struct inquiries {
    struct redis *redis;
    struct redis_opts opts; /* redis's, with a larger reply_max */
    struct loop *loop;
    struct log_ring *ring;
    struct metric_block *block;
    /* All that were asked have answered, failed, or been given up; at the
       turn's end. */
    void (*on_over)(void *ctx);
    /* The first has answered who owns which slot, and knows it of all; the
       others may be waited for a little. */
    void (*on_first)(void *ctx);
    void *ctx;
    bool has_first;
    bool is_quiet; /* what may be wrong was said already */
    bool is_eviction_known;
    bool is_about_nodes;
    bool has_told_nodes; /* that CLUSTER NODES is refused */
    struct inquiry all[INQUIRIES_MAX];
    unsigned len;
    unsigned pending; /* answers awaited */
    struct loop_task over;
};

/* Fields up to is_quiet are set by the caller before. */
void inquiries_init(struct inquiries *q);

/* Adds a node to those asked, unless it is one of them or there are enough.
   Takes over the reference; NULL: no node. */
void inquiries_add(struct inquiries *q, struct node *own_node);

/* Asks all of them who owns which slot; or those that knew, and are of a
   cluster, for its nodes. */
void inquiries_ask(struct inquiries *q, bool is_about_nodes);

/* The answers that are still awaited are given up. */
void inquiries_give_up(struct inquiries *q);

/* Those with an answer. How many they are. */
unsigned inquiries_topologies(
    struct inquiries *q, struct topology *out[INQUIRIES_MAX]);

/* Who told that topology. */
const struct node *inquiries_node_of(
    const struct inquiries *q, const struct topology *topology);

/* Ends them all and forgets the nodes; on_over will not come. */
void inquiries_clear(struct inquiries *q);

#endif
