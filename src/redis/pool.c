/*
 * A worker's connections and its copy of the map.
 *
 * The snapshot that all workers share says which node owns a slot; here
 * that becomes this worker's contact, so that a command costs one look-up.
 * A MOVED patches the copy alone: the other workers learn by their own MOVED
 * or by the next map. A patch lives until the refresh that each MOVED asks
 * for, also when that finds the map unchanged: a node that was wrong must
 * not keep a slot from us for ever.
 *
 * Contacts that neither map nor patch names any more are buried by a sweep
 * once they have been idle for a while: an importing node owns no slot yet
 * and is asked again and again during a migration.
 */
#include "redis/pool.h"

#include <stdlib.h>

enum {
    SWEEP_MS = 10000,
    CONTACT_IDLE_MS = 30000,
    /* Twice the nodes of a map: a map and the one it replaces. */
    CONTACTS_MAX = 2 * TOPOLOGY_NODES_MAX,
};

static struct contact *
contact_of(struct list *link)
{
    struct contact *contact = CONTAINER_OF(link, struct contact, link);

    MUST_OBJ(contact, CONTACT_MAGIC);
    return contact;
}

static struct wire *
open_wire(struct contact *contact, bool is_bulk)
{
    struct redis_client *c = contact->client;
    const struct wire_setup setup = {
        .loop = c->loop,
        .resolver = c->redis->resolver,
        .node = contact->node,
        .opts = &c->redis->opts,
        .callbacks = c->callbacks,
        .ctx = contact,
        .is_bulk = is_bulk,
    };

    MUST_OBJ(contact, CONTACT_MAGIC);
    return wire_new(&setup);
}

struct wire *
contact_wire(struct contact *contact, const struct redis_call *call)
{
    MUST_OBJ(contact, CONTACT_MAGIC);
    MUST(contact->wire != NULL);
    if (!call->is_bulk) {
        return contact->wire;
    }
    if (contact->bulk == NULL) {
        contact->bulk = open_wire(contact, true);
    }
    return contact->bulk;
}

void
contact_drop(struct contact *contact, enum rc rc)
{
    MUST_OBJ(contact, CONTACT_MAGIC);
    wire_drop(contact->wire, rc);
    if (contact->bulk != NULL) {
        wire_drop(contact->bulk, rc);
    }
}

/* A contact with a node, whose reference it takes over. NULL: no memory, or
   too many. */
static struct contact *
contact_new(struct redis_client *c, struct node *own_node)
{
    struct contact *contact = calloc(1, sizeof(*contact));

    if (contact != NULL && c->contacts_len < CONTACTS_MAX) {
        contact->magic = CONTACT_MAGIC;
        contact->client = c;
        contact->node = own_node;
        contact->wire = open_wire(contact, false);
    }
    if (contact == NULL || contact->wire == NULL) {
        redis_node_unref(c->redis, &own_node);
        free(contact);
        return NULL;
    }
    list_push_back(&c->contacts, &contact->link);
    c->contacts_len++;
    return contact;
}

static void
close_wire(struct contact *contact, struct wire **wire)
{
    struct redis_client *c = contact->client;

    MUST_OBJ(c, CLIENT_MAGIC);
    if (*wire != NULL && wire_is_up(*wire)) {
        metric_add_to(c->block, c->redis->metrics.connections, -1);
    }
    wire_free(wire);
}

static int64_t
idle_ms(const struct contact *contact)
{
    int64_t ms = wire_idle_ms(contact->wire);
    int64_t bulk_ms = contact->bulk == NULL ? ms : wire_idle_ms(contact->bulk);

    return ms < bulk_ms ? ms : bulk_ms;
}

/* No slot points to it any more. */
static void
contact_free(struct contact *contact)
{
    struct redis_client *c = contact->client;

    MUST_OBJ(c, CLIENT_MAGIC);
    close_wire(contact, &contact->wire);
    close_wire(contact, &contact->bulk);
    list_remove(&contact->link);
    c->contacts_len--;
    redis_node_unref(c->redis, &contact->node);
    contact->magic = 0;
    free(contact);
}

static void
on_sweep(void *ctx)
{
    struct redis_client *c = OBJ_OF(struct redis_client, ctx, CLIENT_MAGIC);

    LIST_EACH (it, &c->contacts) {
        struct contact *contact = contact_of(it);

        if (!contact->is_mapped && idle_ms(contact) >= CONTACT_IDLE_MS) {
            contact_free(contact);
        }
    }
    loop_timer_arm(&c->sweep, loop_now_ms(c->loop) + SWEEP_MS);
}

void
pool_init(struct redis_client *c)
{
    MUST_OBJ(c->redis, REDIS_MAGIC);
    MUST(c->callbacks != NULL);
    list_init(&c->contacts);
    loop_timer_init(&c->sweep, c->loop, on_sweep, c);
    loop_timer_arm(&c->sweep, loop_now_ms(c->loop) + SWEEP_MS);
}

void
pool_fini(struct redis_client *c)
{
    MUST_OBJ(c, CLIENT_MAGIC);
    loop_timer_cancel(&c->sweep);
    LIST_EACH (it, &c->contacts) {
        contact_free(contact_of(it));
    }
    MUST(c->contacts_len == 0);
}

struct contact *
pool_at(struct redis_client *c, struct slice host, uint16_t port)
{
    struct node *node;

    LIST_EACH (it, &c->contacts) {
        struct contact *contact = contact_of(it);

        if (node_is_at(contact->node, host, port)) {
            return contact;
        }
    }
    node = redis_node_take(c->redis, host, port);
    return node == NULL ? NULL : contact_new(c, node);
}

void
pool_forget(struct redis_client *c, uint16_t slot)
{
    MUST_OBJ(c, CLIENT_MAGIC);
    MUST(slot < SLOT_COUNT);
    c->slots[slot] = NULL;
    c->is_patched = true;
    atomic_store(&c->redis->is_patched, true);
}

void
pool_patch(struct redis_client *c, uint16_t slot, struct contact *contact)
{
    MUST(slot < SLOT_COUNT);
    MUST_OBJ(contact, CONTACT_MAGIC);
    MUST(contact->client == c);
    c->slots[slot] = contact;
    contact->is_mapped = true;
    c->is_patched = true;
    atomic_store(&c->redis->is_patched, true);
}

/* False: for want of memory or room, some slots have no contact. */
static bool
pool_copy(struct redis_client *c, const struct map *map)
{
    struct contact *contacts[TOPOLOGY_NODES_MAX];
    bool is_whole = true;

    LIST_EACH (it, &c->contacts) {
        contact_of(it)->is_mapped = false;
    }
    for (unsigned i = 0; i < map->topology->nodes_len; i++) {
        const struct node *node = map->nodes[i];

        contacts[i] = pool_at(c, slice_of_str(node->host), node->port);
        if (contacts[i] != NULL) {
            contacts[i]->is_mapped = true;
        } else {
            is_whole = false;
        }
    }
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
        uint16_t owner = map->topology->owner[slot];

        c->slots[slot] = owner == SLOT_NONE ? NULL : contacts[owner];
    }
    return is_whole;
}

void
pool_adopt(struct redis_client *c)
{
    struct map *map = redis_map_take(c->redis);

    MUST_OBJ(c, CLIENT_MAGIC);
    if (map == NULL) {
        return;
    }
    if (map->version != c->version ||
        (c->is_patched && !atomic_load(&c->redis->is_patched))) {
        /* What is not whole counts as patched: it is copied anew when the
           topology has been looked at, though that may not have changed. */
        c->is_patched = !pool_copy(c, map);
        c->version = map->version;
        if (c->is_patched) {
            atomic_store(&c->redis->is_patched, true);
        }
    }
    redis_map_unref(c->redis, &map);
}
