/*
 * A topology is what one node says about who owns which slot; several that
 * differ become one. Pure: replies in, tables out.
 */
#ifndef NEARSIDE_REDIS_TOPOLOGY_H
#define NEARSIDE_REDIS_TOPOLOGY_H

#include "nearside/redis/redirect.h"
#include "nearside/redis/slot.h"

struct redis_reply;

enum {
    TOPOLOGY_NODES_MAX = 1024, /* the specification's own limit is 1,000 */
    TOPOLOGY_MEMBERS_MAX = 4 * TOPOLOGY_NODES_MAX, /* with their replicas */
    TOPOLOGY_MAGIC = 0x544f504f,
    SLOT_NONE = UINT16_MAX,
    NODE_ID_LEN = 40,
};

struct topology_node {
    char id[NODE_ID_LEN + 1]; /* "" when the server did not say */
    char host[HOST_MAX + 1];  /* "" when the server does not know */
    uint16_t port;
    unsigned slots; /* owned */
    uint64_t epoch; /* config epoch; 0 until topology_read_nodes */
    /* After topology_settle: the address that somebody else gave; "", 0: all
       gave the same. */
    char other_host[HOST_MAX + 1];
    uint16_t other_port;
};

/* Large, but what there is beyond the members and the nodes is never
   touched. */
struct topology {
    uint32_t magic;
    unsigned nodes_len;
    unsigned covered;           /* slots with an owner */
    uint16_t owner[SLOT_COUNT]; /* index into nodes, or SLOT_NONE */
    char self[NODE_ID_LEN + 1]; /* who told it; "": not known */
    /* Hashes of the ids of the cluster's nodes, replicas included. */
    unsigned members_len;
    uint64_t members[TOPOLOGY_MEMBERS_MAX];
    struct topology_node nodes[TOPOLOGY_NODES_MAX]; /* primaries with slots */
};

struct topology *topology_new(void); /* NULL: no memory */
void topology_free(struct topology **topology);

/*
 * Reads a reply to CLUSTER SLOTS into an empty topology. A NULL or empty
 * endpoint means sender, the host that was asked. The host of a node with an
 * unknown endpoint ("?") is empty. map, which may be NULL, is applied to what
 * is announced. Rows outside the slots are left out; of rows that overlap the
 * first holds; what follows a node's id is ignored.
 * RC_BAD: it is not such a reply. RC_LIMIT: there are too many nodes.
 */
enum rc topology_read_slots(struct topology *topology,
    const struct redis_reply *reply, struct slice sender,
    const struct address_map *map) RC_MUST_CHECK;

/*
 * Reads a reply to CLUSTER NODES: the config epochs, who the members are, and
 * which of them told it. If that one does not know its own address, it is the
 * one at which it was asked. Lines that make no sense are left out.
 */
void topology_read_nodes(struct topology *topology, struct slice nodes_text,
    struct slice asked_host, uint16_t asked_port);

/* The index of a node, which is added when it is new. An empty host is one that
   is not known, and needs an id. RC_LIMIT: there are too many. RC_BAD: there
   can be no such host. */
enum rc topology_add_node(struct topology *topology, struct slice id,
    struct slice host, uint16_t port, uint16_t *out_index) RC_MUST_CHECK;

/* Gives the slots first to last to a node; those that have an owner keep
   it. */
void topology_give(
    struct topology *topology, unsigned first, unsigned last, uint16_t index);

/* One beyond the last of the slots, from this one on, that have the same owner
   as this one, or none either. */
unsigned topology_run_end(const struct topology *topology, unsigned slot);

/* One node that owns all slots. NULL: no memory, or there can be no such
   host. */
struct topology *topology_of_one(struct slice host, uint16_t port);

/* The node with that id; NULL: it has none. */
const struct topology_node *topology_find(
    const struct topology *topology, const char *id);

/* Is every slot at the same address, owned by the same node? */
bool topology_eq(const struct topology *a, const struct topology *b);

/* Has it a node whose address is not known? */
bool topology_has_unknown(const struct topology *topology);

/* --- settle.c: several become one ----------------------------------------- */

/*
 * Do both know a node of the same id? One without ids is not of one cluster
 * with one that has some; two without any may be.
 */
bool topology_is_kin(const struct topology *a, const struct topology *b);

/* Adds the members of one to those of the other. */
void topology_add_members(struct topology *to, const struct topology *from);

/* What several nodes say. */
struct topology_views {
    struct topology *const *all;
    unsigned len;
    /* What was settled last; NULL: nothing was. Those of its nodes that are
       down have lost their say. */
    const struct topology *base;
    const bool *base_is_down;
};

/*
 * Makes one topology (empty at first) of several. Each slot goes to the owner
 * with the highest config epoch, as among the servers themselves; of equals
 * the earlier topology's. A node's address is the one that most others give;
 * then the one that it had; what it says of itself counts least, since a node
 * that was started elsewhere keeps its old address for itself until somebody
 * sends it CLUSTER MEET. RC_LIMIT.
 */
enum rc topology_settle(
    struct topology *out, const struct topology_views *views) RC_MUST_CHECK;

#endif
