/*
 * What is to be told of the cluster as a whole, in the log: each thing once,
 * with its cure, and again only when it has been otherwise in between.
 */
#ifndef REDIS_WORDS_H
#define REDIS_WORDS_H

#include "redis/map.h"

enum {
    WORDS_TOLD_MAX = 64,
};

/* Hashes; zero: nothing. */
struct told {
    uint64_t who; /* the node's id, or its address */
    uint64_t what;
};

/* Zeroed at first. */
struct words {
    struct log_ring *ring;
    unsigned missing; /* slots without an owner, as told last */
    bool has_told_unreachable;
    unsigned told_next; /* to be overwritten */
    struct told told[WORDS_TOLD_MAX];
};

/* What nodes say together: slots without an owner, and nodes of which they
   have different addresses. */
void words_settled(struct words *words, const struct topology *topology);

/* A node that was asked belongs to another cluster than ours. */
void words_foreign(struct words *words, const struct node *node);

/* One that was asked belongs to ours. */
void words_kin(struct words *words, const struct node *node);

/* A map is in use. asked has told of it and is none of its nodes; NULL: there
   is no such. If it alone can be reached, the map is of no use. */
void words_in_use(
    struct words *words, const struct map *map, const struct node *asked);

#endif
