/* The map that threads share: when it is new, and who hears of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nearside/redis/hold.h"
#include "redis/map.h"
#include "redis_opts.h"

static const char *const seeds[] = {"127.0.0.1:1"};

struct rig {
    struct loop *loop;
    struct redis *redis;
    struct member member;
    unsigned told;
};

static void
on_map(void *ctx)
{
    struct rig *rig = ctx;

    rig->told++;
}

static void
rig_open(struct rig *rig)
{
    const struct redis_opts opts =
        redis_opts_filled((struct redis_opts){.seeds = seeds, .seeds_len = 1});

    *rig = (struct rig){.loop = loop_new()};
    rig->redis = redis_new(&opts, NULL, NULL);
    rig->member.loop = rig->loop;
    loop_message_init(&rig->member.message, on_map, rig);
    redis_join(rig->redis, &rig->member);
}

static void
rig_close(struct rig *rig)
{
    redis_leave(rig->redis, &rig->member);
    redis_free(&rig->redis);
    loop_free(&rig->loop);
}

/* Publishes `slots` slots of one node; was the map a new one? */
static bool
publish(struct rig *rig, const char *id, const char *host, uint16_t port,
    unsigned slots)
{
    struct topology *topology = topology_new();
    bool changed;
    uint16_t index;

    assert_int_equal(topology_add_node(topology, slice_of_str(id),
                         slice_of_str(host), port, &index),
        RC_OK);
    topology_give(topology, 0, slots - 1, index);
    assert_int_equal(redis_publish(rig->redis, &topology), RC_OK);
    changed = topology == NULL; /* the map has it */
    topology_free(&topology);
    return changed;
}

static bool
publish_told(struct rig *rig, const char *id, const char *host, uint16_t port,
    unsigned slots)
{
    bool changed = publish(rig, id, host, port, slots);

    loop_turn(rig->loop, 0);
    return changed;
}

static void
whatever_differs_makes_a_new_map_and_is_told(void **state)
{
    struct redis_status status;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    assert_true(publish_told(&rig, "id", "h", 1, 9));
    assert_int_equal(rig.told, 1);
    assert_false(publish_told(&rig, "id", "h", 1, 9));
    assert_int_equal(rig.told, 1);
    assert_true(publish_told(&rig, "id", "h", 1, 8));
    assert_true(publish_told(&rig, "id", "h", 2, 8));
    assert_true(publish_told(&rig, "id", "i", 2, 8));
    assert_true(publish_told(&rig, "ie", "i", 2, 8));
    assert_int_equal(rig.told, 5);
    redis_status(rig.redis, &status);
    assert_int_equal(status.map_version, 5);
    assert_int_equal(status.slots_known, 8);
    assert_int_equal(status.nodes_len, 1);
    assert_string_equal(status.nodes[0].id, "ie");
    assert_string_equal(status.nodes[0].address, "i:2");
    assert_int_equal(status.nodes[0].slots, 8);
    assert_false(status.is_up); /* nobody has heard of it */
    rig_close(&rig);
}

static void
same_map_is_told_once_to_who_has_patched_it(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig);
    assert_true(publish_told(&rig, "id", "h", 1, 9));
    atomic_store(&rig.redis->is_patched, true);
    assert_false(publish_told(&rig, "id", "h", 1, 9));
    assert_int_equal(rig.told, 2);
    assert_false(publish_told(&rig, "id", "h", 1, 9));
    assert_int_equal(rig.told, 2);
    rig_close(&rig);
}

/* A MOVED to a node that turns out not to own the slot. */
static void
owner_that_did_not_last_is_the_maps_again(void **state)
{
    enum {
        SLOT = 5
    };
    _Atomic uint32_t *owner;
    struct node *other;
    struct rig rig;
    struct map *map;

    (void)state;
    rig_open(&rig);
    assert_true(publish_told(&rig, "id", "h", 1, 9));
    owner = &rig.redis->trust->slots[SLOT].owner;
    map = redis_map_take(rig.redis);
    assert_int_equal(atomic_load(owner), map->nodes[0]->serial);
    other = redis_node_take(rig.redis, SLICE("other"), 1);
    redis_see_owner(rig.redis, SLOT, other, rig.loop);
    atomic_store(&rig.redis->is_patched, true);
    loop_turn(rig.loop, 0);
    assert_int_equal(rig.told, 2); /* as of a map */
    redis_see_owner(rig.redis, SLOT, other, rig.loop);
    loop_turn(rig.loop, 0);
    assert_int_equal(rig.told, 2);
    assert_int_equal(atomic_load(owner), other->serial);
    assert_false(publish_told(&rig, "id", "h", 1, 9));
    assert_int_equal(atomic_load(owner), map->nodes[0]->serial);
    redis_node_unref(rig.redis, &other);
    redis_map_unref(rig.redis, &map);
    rig_close(&rig);
}

static void
map_in_use_outlives_its_successor(void **state)
{
    struct rig rig;
    struct map *map;
    struct node *node;

    (void)state;
    rig_open(&rig);
    assert_true(publish_told(&rig, "id", "h", 1, 9));
    map = redis_map_take(rig.redis);
    assert_true(publish_told(&rig, "id", "i", 1, 9));
    assert_string_equal(map->nodes[0]->host, "h");
    node = redis_node_take(rig.redis, SLICE("h"), 1);
    assert_ptr_equal(node, map->nodes[0]);
    redis_map_unref(rig.redis, &map);
    assert_null(map);
    assert_string_equal(node->host, "h");
    redis_node_unref(rig.redis, &node);
    rig_close(&rig);
}

/* Who leaves when the message is under way is freed by it, and told nothing. */
static void
client_that_is_freed_hears_of_no_map(void **state)
{
    struct redis_client *client;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    client = redis_client_new(rig.redis, rig.loop, NULL, NULL);
    assert_true(publish(&rig, "id", "h", 1, 9));
    redis_client_free(&client);
    loop_turn(rig.loop, 0);
    assert_int_equal(rig.told, 1);
    rig_close(&rig);
}

static void
on_change(void *ctx)
{
    ++*(unsigned *)ctx;
}

static void
client_tells_of_each_map(void **state)
{
    struct redis_client *client;
    unsigned changes = 0;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    client = redis_client_new(rig.redis, rig.loop, NULL, NULL);
    redis_on_change(client, on_change, &changes);
    assert_true(publish_told(&rig, "id", "h", 1, 9));
    assert_int_equal(changes, 1);
    assert_false(publish_told(&rig, "id", "h", 1, 9));
    assert_int_equal(changes, 1);
    assert_true(publish_told(&rig, "id", "h", 1, 8));
    assert_int_equal(changes, 2);
    redis_client_free(&client);
    rig_close(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_differs_makes_a_new_map_and_is_told),
        cmocka_unit_test(same_map_is_told_once_to_who_has_patched_it),
        cmocka_unit_test(owner_that_did_not_last_is_the_maps_again),
        cmocka_unit_test(map_in_use_outlives_its_successor),
        cmocka_unit_test(client_tells_of_each_map),
        cmocka_unit_test(client_that_is_freed_hears_of_no_map),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
