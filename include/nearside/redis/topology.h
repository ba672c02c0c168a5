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
    TOPOLOGY_MAGIC = 0x544f504f,
    SLOT_NONE = UINT16_MAX,
    NODE_ID_LEN = 40,
};

struct topology_node {
    char id[NODE_ID_LEN + 1]; /* "" when the server did not say */
    char host[HOST_MAX + 1];
    uint16_t port;
    unsigned slots; /* owned */
    uint64_t epoch; /* config epoch; 0 until topology_read_epochs */
};

/* Large, but the pages of nodes that there are not are never touched. */
struct topology {
    uint32_t magic;
    unsigned nodes_len;
    unsigned covered;           /* slots with an owner */
    uint16_t owner[SLOT_COUNT]; /* index into nodes, or SLOT_NONE */
    struct topology_node nodes[TOPOLOGY_NODES_MAX]; /* primaries with slots */
};

struct topology *topology_new(void); /* NULL: no memory */
void topology_free(struct topology **topology);

/*
 * Reads a reply to CLUSTER SLOTS into an empty topology. A NULL or empty
 * endpoint means sender, the host that was asked. Rows with an unknown
 * endpoint ("?") or outside the slots are left out; of rows that overlap the
 * first holds; what follows a node's id is ignored.
 * RC_BAD: it is not such a reply. RC_LIMIT: there are too many nodes.
 */
enum rc topology_read_slots(struct topology *topology,
    const struct redis_reply *reply, struct slice sender) RC_MUST_CHECK;

/* Gives the topology's nodes their config epochs from a reply to CLUSTER NODES.
   Lines that make no sense are left out. */
void topology_read_epochs(struct topology *topology, struct slice nodes_text);

/* The index of a node, which is added when it is new. RC_LIMIT: there are
   too many. RC_BAD: there can be no such host. */
enum rc topology_add_node(struct topology *topology, struct slice id,
    struct slice host, uint16_t port, uint16_t *out_index) RC_MUST_CHECK;

/* Gives the slots first to last to a node; those that have an owner keep
   it. */
void topology_give(
    struct topology *topology, unsigned first, unsigned last, uint16_t index);

/* One node that owns all slots. NULL: no memory, or there can be no such
   host. */
struct topology *topology_of_one(struct slice host, uint16_t port);

/* Is every slot at the same address, owned by the same node? */
bool topology_eq(const struct topology *a, const struct topology *b);

/*
 * Makes one topology (empty at first) of several. Each slot goes to the owner
 * with the highest config epoch, as among the servers themselves; of equals
 * the earlier topology's. RC_LIMIT.
 */
enum rc topology_settle(struct topology *out,
    struct topology *const topologies[], unsigned topologies_len) RC_MUST_CHECK;

#endif
