/*
 * Reads CLUSTER SLOTS and CLUSTER NODES with suspicion.
 *
 * Nodes are told apart by their id, or by address where a server gives none
 * (before Redis 4). A topology holds primaries only: replicas are never read.
 */
#include "nearside/redis/topology.h"

#include "nearside/base/check.h"
#include "nearside/redis/redis.h"

#include <assert.h>
#include <stdlib.h>

struct topology *
topology_new(void)
{
    /* Not calloc: that clears half a megabyte, for nodes that there are not. */
    struct topology *topology = malloc(sizeof(*topology));

    if (topology == NULL) {
        return NULL;
    }
    memset(topology, 0, offsetof(struct topology, owner));
    static_assert(SLOT_NONE == UINT16_MAX, "each byte is 0xff");
    memset(topology->owner, 0xff, sizeof(topology->owner));
    memset(topology->self, 0, sizeof(topology->self));
    topology->members_len = 0;
    topology->magic = TOPOLOGY_MAGIC;
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

static bool
may_be_node(struct slice id, struct slice host, uint16_t port)
{
    return id.len <= NODE_ID_LEN && port != 0 &&
           (host.len == 0 ? id.len > 0 : host_is_sane(host));
}

enum rc
topology_add_node(struct topology *topology, struct slice id, struct slice host,
    uint16_t port, uint16_t *out_index)
{
    struct topology_node *node;

    MUST_OBJ(topology, TOPOLOGY_MAGIC);
    if (!may_be_node(id, host, port)) {
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
    if (host.len > 0) {
        memcpy(node->host, host.ptr, host.len);
    }
    return RC_OK;
}

const struct topology_node *
topology_find(const struct topology *topology, const char *id)
{
    MUST_OBJ(topology, TOPOLOGY_MAGIC);
    for (unsigned i = 0; *id != '\0' && i < topology->nodes_len; i++) {
        if (strcmp(topology->nodes[i].id, id) == 0) {
            return &topology->nodes[i];
        }
    }
    return NULL;
}

/* An id is random hex: half of its bits tell it from all others. */
static void
add_member(struct topology *topology, struct slice id)
{
    uint64_t parts[2];
    uint64_t member;

    if (id.len != NODE_ID_LEN ||
        topology->members_len == TOPOLOGY_MEMBERS_MAX) {
        return;
    }
    memcpy(parts, id.ptr, sizeof(parts));
    member = parts[0] * UINT64_C(0x9e3779b97f4a7c15) ^ parts[1];
    for (unsigned i = 0; i < topology->members_len; i++) {
        if (topology->members[i] == member) {
            return;
        }
    }
    topology->members[topology->members_len++] = member;
}

unsigned
topology_run_end(const struct topology *topology, unsigned slot)
{
    /* Slots that are compared at once, each with the one that follows. */
    enum {
        STRIDE = 64
    };
    const uint16_t *owner = topology->owner;
    unsigned end = slot + 1;

    MUST_OBJ(topology, TOPOLOGY_MAGIC);
    MUST(slot < SLOT_COUNT);
    while (end + STRIDE <= SLOT_COUNT &&
           memcmp(&owner[end - 1], &owner[end], STRIDE * sizeof(*owner)) == 0) {
        end += STRIDE;
    }
    while (end < SLOT_COUNT && owner[end] == owner[slot]) {
        end++;
    }
    return end;
}

static void
fill(uint16_t *owner, unsigned len, uint16_t index)
{
    MUST(len > 0);
    owner[0] = index;
    for (unsigned done = 1; done < len; done *= 2) {
        unsigned more = done < len - done ? done : len - done;

        memcpy(&owner[done], owner, more * sizeof(*owner));
    }
}

void
topology_give(
    struct topology *topology, unsigned first, unsigned last, uint16_t index)
{
    MUST_OBJ(topology, TOPOLOGY_MAGIC);
    MUST(last < SLOT_COUNT);
    MUST(index < topology->nodes_len);
    for (unsigned slot = first; slot <= last;) {
        unsigned end = topology_run_end(topology, slot);

        end = end > last + 1 ? last + 1 : end;
        if (topology->owner[slot] == SLOT_NONE) {
            fill(&topology->owner[slot], end - slot, index);
            topology->nodes[index].slots += end - slot;
            topology->covered += end - slot;
        }
        slot = end;
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

/* What is read, and by what it is understood. */
struct reading {
    struct topology *topology;
    struct slice sender;
    const struct address_map *map;
};

/* The third element of a node; empty before Redis 4. */
static struct slice
id_of(const struct redis_reply *node)
{
    return node->type == REDIS_ARRAY && node->elements_len > 2 &&
                   is_text(node->elements[2])
               ? slice_of(node->elements[2]->str, node->elements[2]->len)
               : slice_of(NULL, 0);
}

/* The primary of a row: endpoint, port, id, and whatever newer servers add.
   RC_MISS: no use to us. */
static enum rc
read_primary(const struct reading *r, const struct redis_reply *reply,
    uint16_t *out_index)
{
    struct slice host = r->sender;
    struct redis_reply **e = reply->elements;
    uint16_t port;
    enum rc rc;

    if (reply->type != REDIS_ARRAY || reply->elements_len < 2 ||
        !(is_text(e[0]) || e[0]->type == REDIS_NIL) ||
        !is_integer(e[1], 1, UINT16_MAX)) {
        return RC_MISS;
    }
    port = (uint16_t)e[1]->integer;
    if (e[0]->len > 0) {
        host = slice_of(e[0]->str, e[0]->len);
        if (slice_eq(host, SLICE("?"))) {
            host.len = 0;
        } else {
            address_map_apply(r->map, &host, &port);
        }
    }
    rc = topology_add_node(r->topology, id_of(reply), host, port, out_index);
    return rc == RC_BAD ? RC_MISS : rc;
}

/* [first, last, primary, replicas...]. RC_MISS: no use to us. */
static enum rc
read_row(const struct reading *r, const struct redis_reply *row)
{
    struct redis_reply **e = row->elements;
    uint16_t index;
    enum rc rc;

    if (row->type != REDIS_ARRAY || row->elements_len < 3 ||
        !is_integer(e[0], 0, SLOT_COUNT - 1) ||
        !is_integer(e[1], e[0]->integer, SLOT_COUNT - 1)) {
        return RC_MISS;
    }
    rc = read_primary(r, e[2], &index);
    if (rc == RC_OK) {
        topology_give(r->topology, (unsigned)e[0]->integer,
            (unsigned)e[1]->integer, index);
    }
    for (size_t i = 2; rc == RC_OK && i < row->elements_len; i++) {
        add_member(r->topology, id_of(e[i]));
    }
    return rc;
}

enum rc
topology_read_slots(struct topology *topology, const struct redis_reply *reply,
    struct slice sender, const struct address_map *map)
{
    const struct reading r = {topology, sender, map};

    MUST_OBJ(topology, TOPOLOGY_MAGIC);
    MUST(topology->nodes_len == 0);
    MUST(reply != NULL);
    if (reply->type != REDIS_ARRAY) {
        return RC_BAD;
    }
    for (size_t i = 0; i < reply->elements_len; i++) {
        enum rc rc = read_row(&r, reply->elements[i]);

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

/* It says `myself` of itself. */
static void
set_self(struct topology *topology, struct slice id, struct slice flags)
{
    struct slice flag;

    MUST(id.len == NODE_ID_LEN);
    while (slice_split(&flags, ',', &flag)) {
        if (slice_eq(flag, SLICE("myself"))) {
            memcpy(topology->self, id.ptr, id.len);
        }
    }
}

/* <id> <address> <flags> <primary> <ping> <pong> <config-epoch> ... */
static void
read_node_line(struct topology *topology, struct slice line)
{
    struct slice id = {NULL, 0};
    struct slice fields[6];
    uint64_t epoch;

    if (!slice_split(&line, ' ', &id) || id.len != NODE_ID_LEN ||
        slice_find(id, '\0') >= 0) {
        return;
    }
    for (unsigned i = 0; i < ARRAY_LEN(fields); i++) {
        if (!slice_split(&line, ' ', &fields[i])) {
            return;
        }
    }
    add_member(topology, id);
    set_self(topology, id, fields[1]);
    if (slice_to_u64(fields[5], UINT64_MAX, &epoch) == RC_OK) {
        set_epoch(topology, id, epoch);
    }
}

void
topology_read_nodes(struct topology *topology, struct slice nodes_text,
    struct slice asked_host, uint16_t asked_port)
{
    struct slice line;

    MUST_OBJ(topology, TOPOLOGY_MAGIC);
    MUST(asked_host.len <= HOST_MAX);
    while (slice_split(&nodes_text, '\n', &line)) {
        read_node_line(topology, line);
    }
    for (unsigned i = 0; i < topology->nodes_len; i++) {
        struct topology_node *node = &topology->nodes[i];

        if (node->host[0] == '\0' && strcmp(node->id, topology->self) == 0) {
            memcpy(node->host, asked_host.ptr, asked_host.len);
            node->port = asked_port;
        }
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
    /* Owners change seldom along the slots: they are compared once a run. */
    for (unsigned slot = 0; slot < SLOT_COUNT;) {
        uint16_t i = a->owner[slot];
        uint16_t j = b->owner[slot];
        unsigned end = topology_run_end(a, slot);
        unsigned other_end = topology_run_end(b, slot);

        if ((i == SLOT_NONE) != (j == SLOT_NONE) ||
            (i != SLOT_NONE && !node_eq(&a->nodes[i], &b->nodes[j]))) {
            return false;
        }
        slot = end < other_end ? end : other_end;
    }
    return true;
}

bool
topology_has_unknown(const struct topology *topology)
{
    MUST_OBJ(topology, TOPOLOGY_MAGIC);
    for (unsigned i = 0; i < topology->nodes_len; i++) {
        if (topology->nodes[i].host[0] == '\0') {
            return true;
        }
    }
    return false;
}
