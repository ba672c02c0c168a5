/*
 * One node's view of who owns which slot, and how several views that differ
 * become one. Pure: replies in, tables out.
 */
#ifndef NEARSIDE_REDIS_VIEW_H
#define NEARSIDE_REDIS_VIEW_H

#include "nearside/redis/redirect.h"
#include "nearside/redis/slot.h"

struct redis_reply;

enum {
    VIEW_NODES_MAX = 1024, /* the specification's own limit is 1,000 */
    VIEW_NONE = UINT16_MAX,
    NODE_ID_LEN = 40,
};

struct view_node {
    char id[NODE_ID_LEN + 1]; /* "" when the server did not say */
    char host[HOST_MAX + 1];
    uint16_t port;
    unsigned slots; /* owned */
    uint64_t epoch; /* config epoch; 0 until view_read_epochs */
};

struct view {
    struct view_node *nodes; /* primaries that own slots; owned */
    unsigned nodes_len;
    unsigned nodes_cap;
    unsigned covered;           /* slots with an owner */
    uint16_t owner[SLOT_COUNT]; /* index into nodes, or VIEW_NONE */
};

struct view *view_new(void); /* NULL: no memory */
void view_free(struct view **view);

/*
 * Reads a reply to CLUSTER SLOTS into an empty view. A NULL or empty
 * endpoint is sender, the host that was asked; rows with an unknown endpoint
 * ("?") or outside the slots are left out; of rows that overlap the first
 * holds; whatever follows a node's id is ignored.
 * RC_BAD: not such a reply. RC_LIMIT: too many nodes. RC_NOMEM.
 */
enum rc view_read_slots(struct view *view, const struct redis_reply *reply,
    struct slice sender) RC_MUST_CHECK;

/* Gives the view's nodes their config epochs from a reply to CLUSTER NODES.
   Lines that make no sense are left out. */
void view_read_epochs(struct view *view, struct slice nodes_text);

/* The index of a node, added when it is new. RC_LIMIT, RC_NOMEM, RC_BAD (no
   such host). */
enum rc view_add_node(struct view *view, struct slice id, struct slice host,
    uint16_t port, uint16_t *out_index) RC_MUST_CHECK;

/* Gives slots first to last (both included) to a node; those that have an
   owner keep it. */
void view_give(
    struct view *view, unsigned first, unsigned last, uint16_t index);

/* Every slot at the same address, by the same node? */
bool view_eq(const struct view *a, const struct view *b);

/*
 * Makes one view (empty at first) of several: slot by slot the owner with
 * the highest config epoch, as the servers themselves do; among equals
 * the earlier view's. RC_LIMIT, RC_NOMEM.
 */
enum rc view_settle(struct view *out, struct view *const views[],
    unsigned views_len) RC_MUST_CHECK;

#endif
