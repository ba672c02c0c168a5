/*
 * Several topologies become one: who owns a slot, and where a node is.
 *
 * Owners are settled as the servers settle it among themselves: the highest
 * config epoch wins. Epochs say nothing of addresses. A node that was started
 * at another address goes on giving its old one for itself, while all others
 * have learned the new one; so the others are asked first, and the node last.
 */
#include "nearside/base/check.h"
#include "nearside/redis/topology.h"

enum {
    VOTE_SELF = 1,  /* what a node says of itself */
    VOTE_BASE = 2,  /* where it was, if nothing speaks against it */
    VOTE_OTHER = 4, /* what another node says: more than both together */
};

/* ---- of one cluster ----------------------------------------------------- */

bool
topology_is_kin(const struct topology *a, const struct topology *b)
{
    MUST_OBJ(a, TOPOLOGY_MAGIC);
    MUST_OBJ(b, TOPOLOGY_MAGIC);
    if (a->members_len == 0 && b->members_len == 0) {
        return true;
    }
    for (unsigned i = 0; i < a->members_len; i++) {
        for (unsigned j = 0; j < b->members_len; j++) {
            if (a->members[i] == b->members[j]) {
                return true;
            }
        }
    }
    return false;
}

void
topology_add_members(struct topology *to, const struct topology *from)
{
    MUST_OBJ(to, TOPOLOGY_MAGIC);
    MUST_OBJ(from, TOPOLOGY_MAGIC);
    for (unsigned i = 0; i < from->members_len; i++) {
        bool is_new = to->members_len < TOPOLOGY_MEMBERS_MAX;

        for (unsigned j = 0; is_new && j < to->members_len; j++) {
            is_new = to->members[j] != from->members[i];
        }
        if (is_new) {
            to->members[to->members_len++] = from->members[i];
        }
    }
}

/* ---- where a node is ---------------------------------------------------- */

static bool
is_at(const struct topology_node *node, const struct topology_node *other)
{
    return node->port == other->port && strcmp(node->host, other->host) == 0;
}

/* The node as the view with that index has it, with what its word is worth;
   beyond the views there is what was settled last. NULL: it is not there, or
   has no address. */
static const struct topology_node *
voice(const struct topology_views *views, unsigned i, const char *id,
    unsigned *out_votes)
{
    const struct topology *one = i < views->len ? views->all[i] : views->base;
    const struct topology_node *node = NULL;

    MUST(i <= views->len);
    if (one != NULL) {
        MUST_OBJ(one, TOPOLOGY_MAGIC);
        node = topology_find(one, id);
    }
    if (node == NULL || node->host[0] == '\0') {
        return NULL;
    }
    if (i < views->len) {
        *out_votes = strcmp(one->self, id) == 0 ? VOTE_SELF : VOTE_OTHER;
        return node;
    }
    *out_votes = VOTE_BASE;
    return views->base_is_down != NULL &&
                   views->base_is_down[node - views->base->nodes]
               ? NULL
               : node;
}

/* How many votes the address of a node has. */
static unsigned
count_votes(
    const struct topology_views *views, const struct topology_node *node)
{
    unsigned sum = 0;
    unsigned votes = 0;

    MUST(node->id[0] != '\0');
    for (unsigned i = 0; i <= views->len; i++) {
        const struct topology_node *one = voice(views, i, node->id, &votes);

        if (one != NULL && is_at(one, node)) {
            sum += votes;
        }
    }
    return sum;
}

/* The node as those see it who are to be believed. NULL: nobody has its
   address. */
static const struct topology_node *
best_address(
    const struct topology_views *views, const struct topology_node *node)
{
    const struct topology_node *best = NULL;
    unsigned most = 0;
    unsigned votes;

    if (node->id[0] == '\0') {
        return node;
    }
    for (unsigned i = 0; i <= views->len; i++) {
        const struct topology_node *one = voice(views, i, node->id, &votes);

        if (one != NULL && (best == NULL || !is_at(one, best))) {
            votes = count_votes(views, one);
            best = votes > most ? one : best;
            most = votes > most ? votes : most;
        }
    }
    return best;
}

/* Notes on a settled node that a view has it at another address. */
static void
note_dispute(const struct topology_views *views, struct topology_node *node)
{
    unsigned votes;

    MUST(node->other_port == 0);
    for (unsigned i = 0; i < views->len; i++) {
        const struct topology_node *one = voice(views, i, node->id, &votes);

        if (one != NULL && !is_at(one, node)) {
            memcpy(node->other_host, one->host, sizeof(one->host));
            node->other_port = one->port;
        }
    }
}

/* ---- who owns a slot ---------------------------------------------------- */

/* The owner of the slot that has the highest epoch in any of the topologies;
   NULL: the slot has no owner in any. */
static const struct topology_node *
slot_winner(const struct topology_views *views, unsigned slot)
{
    const struct topology_node *best = NULL;

    for (unsigned i = 0; i < views->len; i++) {
        uint16_t index = views->all[i]->owner[slot];
        const struct topology_node *node;

        if (index == SLOT_NONE) {
            continue;
        }
        MUST(index < views->all[i]->nodes_len);
        node = &views->all[i]->nodes[index];
        if (best == NULL || node->epoch > best->epoch) {
            best = node;
        }
    }
    return best;
}

/* One beyond the slots that have the same owner as this one in each. */
static unsigned
run_end(const struct topology_views *views, unsigned slot)
{
    unsigned end = SLOT_COUNT;

    MUST(slot < SLOT_COUNT);
    for (unsigned i = 0; i < views->len; i++) {
        unsigned one = topology_run_end(views->all[i], slot);

        end = one < end ? one : end;
    }
    return end;
}

/* The index of the owner, which is added when it is new. RC_MISS: nobody knows
   where it is. */
static enum rc
settle_owner(struct topology *out, const struct topology_views *views,
    const struct topology_node *owner, uint16_t *out_index)
{
    const struct topology_node *known = topology_find(out, owner->id);
    unsigned len = out->nodes_len;
    enum rc rc;

    MUST(len <= TOPOLOGY_NODES_MAX);
    if (known != NULL) {
        *out_index = (uint16_t)(known - out->nodes);
        return RC_OK;
    }
    known = best_address(views, owner);
    if (known == NULL) {
        return RC_MISS;
    }
    rc = topology_add_node(out, slice_of_str(known->id),
        slice_of_str(known->host), known->port, out_index);
    if (rc == RC_OK && out->nodes_len > len) {
        out->nodes[len].epoch = owner->epoch;
        note_dispute(views, &out->nodes[len]);
    }
    return rc;
}

enum rc
topology_settle(struct topology *out, const struct topology_views *views)
{
    const struct topology_node *last = NULL;
    uint16_t index = SLOT_NONE;
    enum rc rc = RC_MISS;

    MUST_OBJ(out, TOPOLOGY_MAGIC);
    MUST(out->nodes_len == 0);
    for (unsigned slot = 0, end; slot < SLOT_COUNT; slot = end) {
        const struct topology_node *owner = slot_winner(views, slot);

        end = run_end(views, slot);
        if (owner == NULL) {
            continue;
        }
        if (owner != last) {
            rc = settle_owner(out, views, owner, &index);
            last = owner;
        }
        if (rc == RC_OK) {
            topology_give(out, slot, end - 1, index);
        } else if (rc != RC_MISS) {
            return rc;
        }
    }
    for (unsigned i = 0; i < views->len; i++) {
        topology_add_members(out, views->all[i]);
    }
    return RC_OK;
}
