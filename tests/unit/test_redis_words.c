/* What is told of the cluster: once, with its cure, and again when it has been
   otherwise in between. */
#include "log_given.h"
#include "redis_opts.h"

#include "redis/words.h"

static const char *const seeds[] = {"127.0.0.1:1"};

struct rig {
    struct log_given log;
    struct words words;
    struct redis *redis;
};

static void
rig_open(struct rig *rig)
{
    const struct redis_opts opts =
        redis_opts_filled((struct redis_opts){.seeds = seeds, .seeds_len = 1});

    log_given_open(&rig->log);
    rig->redis = redis_new(&opts, NULL, NULL);
    rig->words = (struct words){.ring = rig->log.ring};
}

static void
rig_close(struct rig *rig)
{
    redis_free(&rig->redis);
}

/* `nodes` nodes; the first of them owns the first `slots` slots. */
static struct topology *
topology_given(unsigned nodes, unsigned slots)
{
    struct topology *t = topology_new();
    uint16_t index;

    for (unsigned i = nodes; i > 0; i--) {
        char id[8], host[64];

        snprintf(id, sizeof(id), "id%u", i);
        snprintf(host, sizeof(host), "node%u.redis.example", nodes - i + 1);
        assert_int_equal(topology_add_node(t, slice_of_str(id),
                             slice_of_str(host), 6379, &index),
            RC_OK);
    }
    if (slots > 0) {
        topology_give(t, 0, slots - 1, 0);
    }
    return t;
}

static void
settle(struct rig *rig, unsigned slots)
{
    struct topology *t = topology_given(1, slots);

    words_settled(&rig->words, t);
    topology_free(&t);
}

static void
slots_of_nobody_are_told_whenever_their_number_changes(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig);
    settle(&rig, SLOT_COUNT);
    settle(&rig, SLOT_COUNT - 1);
    settle(&rig, SLOT_COUNT - 1);
    settle(&rig, SLOT_COUNT / 2);
    settle(&rig, SLOT_COUNT);
    settle(&rig, SLOT_COUNT / 2);
    log_given_text(&rig.log);
    assert_int_equal(log_given_count(&rig.log, "redis_slots_uncovered"), 3);
    assert_int_equal(
        log_given_count(&rig.log, "slots=\"1\" share=\"0.0%\""), 1);
    assert_int_equal(
        log_given_count(&rig.log, "slots=\"8192\" share=\"50.0%\""), 2);
    rig_close(&rig);
}

/* A node that others have at that address, too; port 0: none has. */
static void
dispute(struct rig *rig, uint16_t port)
{
    struct topology *t = topology_given(2, SLOT_COUNT);

    strcpy(t->nodes[1].other_host, "10.0.0.9");
    t->nodes[1].other_port = port;
    words_settled(&rig->words, t);
    topology_free(&t);
}

static void
a_dispute_is_told_once_until_it_is_settled(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig);
    dispute(&rig, 0);
    for (int round = 0; round < 2; round++) {
        for (uint16_t port = 1; port <= WORDS_TOLD_MAX; port++) {
            dispute(&rig, port);
        }
    }
    /* One more than are remembered: the first is forgotten, the second not. */
    dispute(&rig, WORDS_TOLD_MAX + 1);
    dispute(&rig, 2);
    dispute(&rig, WORDS_TOLD_MAX + 1);
    dispute(&rig, 1);
    /* All agree, and then do not again. */
    dispute(&rig, 0);
    dispute(&rig, 2);
    log_given_text(&rig.log);
    assert_int_equal(
        log_given_count(&rig.log, "redis_two_addresses"), WORDS_TOLD_MAX + 3);
    assert_int_equal(
        log_given_count(&rig.log, "id=\"id1\" used=\"node2.redis.example:6379\""
                                  " other=\"10.0.0.9:1\""),
        2);
    assert_int_equal(log_given_count(&rig.log, "other=\"10.0.0.9:2\""), 2);
    rig_close(&rig);
}

static void
a_node_of_another_cluster_is_told_once_until_it_is_of_ours(void **state)
{
    struct node *node = node_new(SLICE("stranger"), 7);
    struct node *other = node_new(SLICE("stranger"), 8);
    struct rig rig;

    (void)state;
    rig_open(&rig);
    words_foreign(&rig.words, node);
    words_foreign(&rig.words, node);
    words_foreign(&rig.words, other);
    words_kin(&rig.words, node);
    words_foreign(&rig.words, other);
    words_foreign(&rig.words, node);
    log_given_text(&rig.log);
    assert_int_equal(log_given_count(&rig.log, "redis_two_clusters"), 3);
    assert_int_equal(log_given_count(&rig.log, "node=\"stranger:7\""), 2);
    node_free(&other);
    node_free(&node);
    rig_close(&rig);
}

/* The map in use, of so many nodes, all of which are down, or not heard. */
static struct map *
map_given(struct rig *rig, unsigned nodes, bool is_down)
{
    struct topology *t = topology_given(nodes, SLOT_COUNT);
    struct map *map;

    assert_int_equal(redis_publish(rig->redis, &t), RC_OK);
    map = redis_map_take(rig->redis);
    for (unsigned i = 0; i < nodes; i++) {
        atomic_store(&map->nodes[i]->is_down, is_down && i == nodes / 2);
    }
    return map;
}

static void
addresses_of_which_none_answers_are_told_once_until_one_does(void **state)
{
    struct node *seed = node_new(SLICE("seed"), 7);
    struct rig rig;
    struct map *map;

    (void)state;
    rig_open(&rig);
    map = map_given(&rig, 3, true);
    words_in_use(&rig.words, map, NULL); /* nobody says otherwise */
    words_in_use(&rig.words, map, seed);
    words_in_use(&rig.words, map, seed);
    atomic_store(&map->nodes[2]->is_heard, true);
    words_in_use(&rig.words, map, seed);
    atomic_store(&map->nodes[2]->is_heard, false);
    words_in_use(&rig.words, map, seed);
    atomic_store(&map->nodes[1]->is_down, false); /* nobody has tried it */
    rig.words.has_told_unreachable = false;
    words_in_use(&rig.words, map, seed);
    redis_map_unref(rig.redis, &map);
    log_given_text(&rig.log);
    assert_int_equal(
        log_given_count(&rig.log, "redis_unreachable_addresses"), 2);
    assert_int_equal(
        log_given_count(&rig.log,
            "announced=\"node1.redis.example:6379, node2.redis.example:6379, "
            "node3.redis.example:6379\" answers=\"seed:7\""),
        2);
    node_free(&seed);
    rig_close(&rig);
}

static void
three_addresses_are_named_and_the_others_counted(void **state)
{
    struct node *seed = node_new(SLICE("seed"), 7);
    struct rig rig;
    struct map *map;

    (void)state;
    rig_open(&rig);
    map = map_given(&rig, 5, true);
    words_in_use(&rig.words, map, seed);
    redis_map_unref(rig.redis, &map);
    log_given_text(&rig.log);
    assert_non_null(strstr(rig.log.text,
        "node3.redis.example:6379, and 2 more\" answers=\"seed:7\""));
    node_free(&seed);
    rig_close(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            slots_of_nobody_are_told_whenever_their_number_changes),
        cmocka_unit_test(a_dispute_is_told_once_until_it_is_settled),
        cmocka_unit_test(
            a_node_of_another_cluster_is_told_once_until_it_is_of_ours),
        cmocka_unit_test(
            addresses_of_which_none_answers_are_told_once_until_one_does),
        cmocka_unit_test(three_addresses_are_named_and_the_others_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
