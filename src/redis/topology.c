/*
 * Reads CLUSTER SLOTS and CLUSTER NODES with suspicion.
 *
 * Nodes are told apart by their id, or by address where a server gives none
 * (before Redis 4). A topology holds primaries only: replicas are never read.
 */
#include "nearside/redis/topology.h"

#include "nearside/base/check.h"
#include "nearside/redis/redis.h"

#include <stdlib.h>

struct topology *
topology_new(void)
{
    struct topology *topology = calloc(1, sizeof(*topology));

    if (topology == NULL) {
        return NULL;
    }
    topology->magic = TOPOLOGY_MAGIC;
    for (unsigned i = 0; i < SLOT_COUNT; i++) {
        topology->owner[i] = SLOT_NONE;
    }
    return topology;
}

void
topology_free(struct topology **topology)
{
    if (*topology == NULL) {
        return;
    }
    MUST_OBJ(*topology, TOPOLOGY_MAGIC);
    (*topology)->magic = 0;
    free(*topology);
    *topology = NULL;
}

static bool
node_is(const struct topology_node *node, struct slice id, struct slice host,
    uint16_t port)
{
    if (id.len > 0 && node->id[0] != '\0') {
        return slice_eq(slice_of_str(node->id), id);
    }
    return node->port == port && slice_eq(slice_of_str(node->host), host);
}

enum rc
topology_add_node(struct topology *topology, struct slice id, struct slice host,
    uint16_t port, uint16_t *out_index)
{
    struct topology_node *node;

    MUST_OBJ(topology, TOPOLOGY_MAGIC);
    if (!host_is_sane(host) || port == 0 || id.len > NODE_ID_LEN) {
        return RC_BAD;
    }
    for (unsigned i = 0; i < topology->nodes_len; i++) {
        if (node_is(&topology->nodes[i], id, host, port)) {
            *out_index = (uint16_t)i;
            return RC_OK;
        }
    }
    if (topology->nodes_len == TOPOLOGY_NODES_MAX) {
        return RC_LIMIT;
    }
    *out_index = (uint16_t)topology->nodes_len;
    node = &topology->nodes[topology->nodes_len++];
    *node = (struct topology_node){.port = port};
    if (id.len > 0) {
        memcpy(node->id, id.ptr, id.len);
    }
    memcpy(node->host, host.ptr, host.len);
    return RC_OK;
}

void
topology_give(
    struct topology *topology, unsigned first, unsigned last, uint16_t index)
{
    MUST_OBJ(topology, TOPOLOGY_MAGIC);
    MUST(last < SLOT_COUNT);
    MUST(index < topology->nodes_len);
    for (unsigned slot = first; slot <= last; slot++) {
        if (topology->owner[slot] == SLOT_NONE) {
            topology->owner[slot] = index;
            topology->nodes[index].slots++;
            topology->covered++;
        }
    }
}

struct topology *
topology_of_one(struct slice host, uint16_t port)
{
    struct topology *topology = topology_new();
    uint16_t index;

    if (topology == NULL) {
        return NULL;
    }
    if (topology_add_node(topology, slice_of(NULL, 0), host, port, &index) ==
        RC_OK) {
        topology_give(topology, 0, SLOT_COUNT - 1, index);
    } else {
        topology_free(&topology);
    }
    return topology;
}

/* ---- CLUSTER SLOTS ------------------------------------------------------ */

static bool
is_text(const struct redis_reply *reply)
{
    return reply->type == REDIS_STRING || reply->type == REDIS_STATUS;
}

static bool
is_integer(const struct redis_reply *reply, int64_t min, int64_t max)
{
    return reply->type == REDIS_INTEGER && reply->integer >= min &&
           reply->integer <= max;
}

/* The primary of a row: endpoint, port, id, and whatever newer servers add.
   RC_MISS: no use to us. */
static enum rc
read_primary(struct topology *topology, const struct redis_reply *reply,
    struct slice sender, uint16_t *out_index)
{
    struct slice host = sender;
    struct slice id = {NULL, 0};
    struct redis_reply **e = reply->elements;
    enum rc rc;

    if (reply->type != REDIS_ARRAY || reply->elements_len < 2 ||
        !(is_text(e[0]) || e[0]->type == REDIS_NIL) ||
        !is_integer(e[1], 1, UINT16_MAX)) {
        return RC_MISS;
    }
    if (e[0]->len > 0) {
        host = slice_of(e[0]->str, e[0]->len);
    }
    if (reply->elements_len > 2 && is_text(e[2])) {
        id = slice_of(e[2]->str, e[2]->len);
    }
    rc = topology_add_node(
        topology, id, host, (uint16_t)e[1]->integer, out_index);
    return rc == RC_BAD ? RC_MISS : rc;
}

/* [first, last, primary, replicas...]. RC_MISS: no use to us. */
static enum rc
read_row(struct topology *topology, const struct redis_reply *row,
    struct slice sender)
{
    struct redis_reply **e = row->elements;
    uint16_t index;
    enum rc rc;

    if (row->type != REDIS_ARRAY || row->elements_len < 3 ||
        !is_integer(e[0], 0, SLOT_COUNT - 1) ||
        !is_integer(e[1], e[0]->integer, SLOT_COUNT - 1)) {
        return RC_MISS;
    }
    rc = read_primary(topology, e[2], sender, &index);
    if (rc == RC_OK) {
        topology_give(
            topology, (unsigned)e[0]->integer, (unsigned)e[1]->integer, index);
    }
    return rc;
}

enum rc
topology_read_slots(struct topology *topology, const struct redis_reply *reply,
    struct slice sender)
{
    MUST_OBJ(topology, TOPOLOGY_MAGIC);
    MUST(topology->nodes_len == 0);
    MUST(reply != NULL);
    if (reply->type != REDIS_ARRAY) {
        return RC_BAD;
    }
    for (size_t i = 0; i < reply->elements_len; i++) {
        enum rc rc = read_row(topology, reply->elements[i], sender);

        if (rc != RC_OK && rc != RC_MISS) {
            return rc;
        }
    }
    return RC_OK;
}

/* ---- CLUSTER NODES ------------------------------------------------------ */

static void
set_epoch(struct topology *topology, struct slice id, uint64_t epoch)
{
    for (unsigned i = 0; i < topology->nodes_len; i++) {
        if (slice_eq(slice_of_str(topology->nodes[i].id), id)) {
            topology->nodes[i].epoch = epoch;
            return;
        }
    }
}

/* <id> <address> <flags> <primary> <ping> <pong> <config-epoch> ... */
static void
read_node_line(struct topology *topology, struct slice line)
{
    struct slice id = {NULL, 0};
    struct slice field = {NULL, 0};
    uint64_t epoch;

    if (!slice_split(&line, ' ', &id) || id.len != NODE_ID_LEN) {
        return;
    }
    for (unsigned i = 0; i < 6; i++) {
        if (!slice_split(&line, ' ', &field)) {
            return;
        }
    }
    if (slice_to_u64(field, UINT64_MAX, &epoch) == RC_OK) {
        set_epoch(topology, id, epoch);
    }
}

void
topology_read_epochs(struct topology *topology, struct slice nodes_text)
{
    struct slice line;

    MUST_OBJ(topology, TOPOLOGY_MAGIC);
    while (slice_split(&nodes_text, '\n', &line)) {
        read_node_line(topology, line);
    }
}

/* ---- several ------------------------------------------------------------ */

static bool
node_eq(const struct topology_node *a, const struct topology_node *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0 &&
           strcmp(a->id, b->id) == 0;
}

bool
topology_eq(const struct topology *a, const struct topology *b)
{
    MUST_OBJ(a, TOPOLOGY_MAGIC);
    MUST_OBJ(b, TOPOLOGY_MAGIC);
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
        uint16_t i = a->owner[slot];
        uint16_t j = b->owner[slot];

        if ((i == SLOT_NONE) != (j == SLOT_NONE)) {
            return false;
        }
        /* Owners change seldom along the slots: compare them once a run. */
        if (i != SLOT_NONE &&
            (slot == 0 || i != a->owner[slot - 1] || j != b->owner[slot - 1]) &&
            !node_eq(&a->nodes[i], &b->nodes[j])) {
            return false;
        }
    }
    return true;
}

/* The owner of the slot that has the highest epoch in any of the topologies;
   NULL: the slot has no owner in any. */
static const struct topology_node *
slot_winner(
    struct topology *const topologies[], unsigned topologies_len, unsigned slot)
{
    const struct topology_node *best = NULL;

    for (unsigned i = 0; i < topologies_len; i++) {
        uint16_t index = topologies[i]->owner[slot];
        const struct topology_node *node;

        if (index == SLOT_NONE) {
            continue;
        }
        MUST(index < topologies[i]->nodes_len);
        node = &topologies[i]->nodes[index];
        if (best == NULL || node->epoch > best->epoch) {
            best = node;
        }
    }
    return best;
}

enum rc
topology_settle(struct topology *out, struct topology *const topologies[],
    unsigned topologies_len)
{
    const struct topology_node *last = NULL;
    uint16_t index = SLOT_NONE;

    MUST_OBJ(out, TOPOLOGY_MAGIC);
    MUST(out->nodes_len == 0);
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
        const struct topology_node *node =
            slot_winner(topologies, topologies_len, slot);

        if (node == NULL) {
            continue;
        }
        if (node != last) {
            enum rc rc = topology_add_node(out, slice_of_str(node->id),
                slice_of_str(node->host), node->port, &index);
            if (rc != RC_OK) {
                return rc;
            }
            last = node;
        }
        topology_give(out, slot, slot, index);
    }
    return RC_OK;
}
