/* The client against a real cluster: redirections, failover, trouble. */
#include "redis_fixture.h"

#include "nearside/redis/redirect.h"
#include "redis/map.h"

static int
teardown(void **state)
{
    (void)state;
    servers_end();
    return 0;
}

static const struct redis_opts cluster = {.mode = REDIS_MODE_CLUSTER};

/* The tests that leave a cluster as it was share one: making it takes most
   of a test's time. */
static int
setup_shared(void **state)
{
    (void)state;
    cluster_new(3, 0);
    return 0;
}

/* The server of the first `primaries` that owns a key's slot by the deal. */
static struct server *
owner_of(const char *key, unsigned primaries)
{
    unsigned slot = slot_of(slice_of_str(key));

    for (unsigned i = 0; i < primaries; i++) {
        if (slot < SLOT_COUNT * (i + 1) / primaries) {
            return &fixture.servers[i];
        }
    }
    fail();
    return NULL;
}

static void
set_slot(struct server *on, unsigned slot, const char *state,
    const struct server *node)
{
    char text[128];

    assert_true(ask(on, text, sizeof(text), "CLUSTER SETSLOT %u %s %s", slot,
        state, node->id));
}

/* A client whose map is whole. */
static void
open_whole(struct rig *rig, struct redis_opts opts)
{
    rig_open(rig, opts);
    AWAIT(rig, rig_map_is_whole(rig));
}

static void
every_slot_is_served_by_its_owner_from_one_seed(void **state)
{
    struct redis_opts opts = cluster;
    struct redis_status status;
    char seed[64];
    char fresh[64];
    /* The first is dead, the second belongs to no cluster yet. */
    const char *seeds[] = {"127.0.0.1:1", fresh, seed};
    char words[64];
    struct rig rig = {0};
    struct told t;

    (void)state;
    snprintf(seed, sizeof(seed), "127.0.0.1:%u", fixture.servers[2].port);
    snprintf(
        fresh, sizeof(fresh), "127.0.0.1:%u", server_new(cluster_args)->port);
    opts.seeds = seeds;
    opts.seeds_len = 3;
    rig_open(&rig, opts);
    /* Without waiting for the map: the first calls wait for it. */
    assert_int_equal(run(&rig, &t, "SET first 1", PATIENCE_MS), RC_OK);
    for (int i = 0; i < 100; i++) {
        snprintf(words, sizeof(words), "SET key:%d v%d", i, i);
        assert_int_equal(run(&rig, &t, words, PATIENCE_MS), RC_OK);
        assert_int_equal(t.type, REDIS_STATUS);
    }
    for (int i = 0; i < 100; i++) {
        char text[64];
        char key[32];

        snprintf(key, sizeof(key), "key:%d", i);
        assert_true(ask(owner_of(key, 3), text, sizeof(text), "GET %s", key));
        snprintf(words, sizeof(words), "v%d", i);
        assert_string_equal(text, words);
    }
    redis_status(rig.redis, &status);
    assert_true(status.is_up);
    assert_int_equal(status.slots_known, SLOT_COUNT);
    assert_int_equal(status.nodes_len, 3);
    rig_close(&rig);
}

static void
moved_slot_is_followed_and_learnt(void **state)
{
    const unsigned slot = slot_of(SLICE("moving"));
    struct server *from;
    struct server *to;
    char text[64];
    struct rig rig = {0};
    struct told t;

    (void)state;
    from = owner_of("moving", 3);
    to =
        from == &fixture.servers[0] ? &fixture.servers[1] : &fixture.servers[0];
    open_whole(&rig, cluster);
    assert_int_equal(run(&rig, &t, "DEL moving", PATIENCE_MS), RC_OK);
    /* Whoever imports a slot owns it from a new epoch on. Without one the old
       owner's word of a moment ago would give it back to him. */
    set_slot(to, slot, "IMPORTING", from);
    set_slot(from, slot, "MIGRATING", to);
    set_slot(to, slot, "NODE", to);
    set_slot(from, slot, "NODE", to);
    assert_int_equal(run(&rig, &t, "SET moving there", PATIENCE_MS), RC_OK);
    assert_string_equal(t.text, "OK");
    assert_int_equal(t.call.impl.hops, 1);
    assert_int_equal(run(&rig, &t, "GET moving", PATIENCE_MS), RC_OK);
    assert_string_equal(t.text, "there");
    assert_int_equal(t.call.impl.hops, 0); /* by its own patch */
    assert_true(ask(to, text, sizeof(text), "GET moving"));
    assert_string_equal(text, "there");
    rig_close(&rig);
}

static void
nodes_that_send_us_to_each_other_do_so_once_a_refresh(void **state)
{
    static const char refreshes[] = "refreshes_total{cause=\"moved\"}";
    const unsigned slot = slot_of(SLICE("loop"));
    struct server *a;
    struct server *b;
    struct rig rig = {0};
    struct told t;
    int loops = 0;

    (void)state;
    a = owner_of("loop", 3);
    b = a == &fixture.servers[0] ? &fixture.servers[1] : &fixture.servers[0];
    open_whole(&rig, cluster);
    AWAIT(&rig, !atomic_load(&rig.redis->is_wanted));
    rig_stop_clock(&rig);
    set_slot(a, slot, "NODE", b);
    set_slot(b, slot, "NODE", b);
    set_slot(b, slot, "NODE", a);
    for (int i = 0; i < 20; i++) {
        if (run_slowly(&rig, &t, "GET loop", 5000) == RC_OK) {
            assert_int_equal(t.type, REDIS_ERROR);
            assert_int_equal(t.call.impl.hops, 5);
            loops++;
        } else {
            /* Nobody owns the slot until there is another map. */
            assert_int_equal(t.rc, RC_MISS);
        }
    }
    /* A tenth of a second has passed for the client. Maps have come of a
       refresh that was under way, or drew no delay: of none, as a rule. */
    assert_in_range(loops, 1, 3);
    assert_int_equal(
        rig_metric(&rig, "error_replies_total{cause=\"moved\"}"), loops * 6);
    rig_pass(&rig, 2000 + 8); /* the most that two refreshes are apart */
    assert_in_range(rig_metric(&rig, refreshes), 1, loops);
    rig_close(&rig);
}

/* Key i of the slot under migration: odd ones have gone already. */
static void
key_of(int i, char out[32])
{
    snprintf(out, 32, "{m}:%d", i);
}

static void
thousand_interleaved_commands_survive_a_slot_migration(void **state)
{
    enum {
        KEYS = 100,
        COMMANDS = 1000
    };
    static struct told t[COMMANDS];
    static char words[COMMANDS][48];
    const unsigned slot = slot_of(SLICE("{m}"));
    struct redis_opts opts = cluster;
    struct server *from;
    struct server *to;
    struct rig rig = {0};
    char text[64];
    char key[32];

    (void)state;
    from = owner_of("{m}", 3);
    to =
        from == &fixture.servers[0] ? &fixture.servers[1] : &fixture.servers[0];
    for (int i = 0; i < KEYS; i++) {
        key_of(i, key);
        assert_true(ask(from, text, sizeof(text), "SET %s v%d", key, i));
    }
    set_slot(to, slot, "IMPORTING", from);
    set_slot(from, slot, "MIGRATING", to);
    for (int i = 1; i < KEYS; i += 2) {
        key_of(i, key);
        assert_true(ask(from, text, sizeof(text),
            "MIGRATE 127.0.0.1 %u %s 0 5000", to->port, key));
    }
    opts.in_flight_max = 4 * COMMANDS;
    open_whole(&rig, opts);
    memset(t, 0, sizeof(t));
    loop_turn(rig.loop, 0);
    for (int i = 0; i < COMMANDS; i++) {
        /* Of three: one of the slot, either side, two of other slots. */
        if (i % 3 == 0) {
            key_of(i % KEYS, key);
            snprintf(words[i], sizeof(words[i]), "GET %s", key);
        } else {
            snprintf(words[i], sizeof(words[i]), "SET other:%d v%d", i, i);
        }
        t[i].call.deadline_ms = loop_now_ms(rig.loop) + 10000;
        send_words(&rig, &t[i], words[i]);
    }
    for (int i = 0; i < COMMANDS; i++) {
        AWAIT(&rig, t[i].times > 0);
        assert_int_equal(t[i].times, 1);
        assert_int_equal(t[i].rc, RC_OK);
        snprintf(text, sizeof(text), "v%d", i % KEYS);
        assert_string_equal(t[i].text, i % 3 == 0 ? text : "OK");
    }
    /* ASK teaches nothing: the next one asks the old node first. */
    key_of(1, key);
    snprintf(words[0], sizeof(words[0]), "GET %s", key);
    assert_int_equal(run(&rig, &t[0], words[0], PATIENCE_MS), RC_OK);
    assert_int_equal(t[0].call.impl.hops, 1);
    rig_close(&rig);
}

static void
scripts_are_loaded_on_the_node_that_an_ask_names(void **state)
{
    const unsigned slot = slot_of(SLICE("script"));
    struct slice args[] = {SLICE("script"), SLICE("v")};
    struct redis_script script;
    struct server *from;
    struct server *to;
    struct rig rig = {0};
    struct told t = {0};
    char text[64];

    (void)state;
    from = owner_of("script", 3);
    to =
        from == &fixture.servers[0] ? &fixture.servers[1] : &fixture.servers[0];
    set_slot(to, slot, "IMPORTING", from);
    set_slot(from, slot, "MIGRATING", to);
    open_whole(&rig, cluster);
    redis_script_init(&script, "return redis.call('SET', KEYS[1], ARGV[1])");
    loop_turn(rig.loop, 0);
    t.call.on_reply = on_told;
    t.call.ctx = &t;
    t.call.deadline_ms = loop_now_ms(rig.loop) + 5000;
    redis_eval(rig.client, &t.call, &script, args, 1, 2);
    AWAIT(&rig, t.times > 0);
    assert_int_equal(t.rc, RC_OK);
    assert_string_equal(t.text, "OK");
    assert_int_equal(t.call.impl.hops, 1); /* EVAL went behind an ASKING too */
    set_slot(to, slot, "NODE", to);
    set_slot(from, slot, "NODE", to);
    assert_true(ask(to, text, sizeof(text), "GET script"));
    assert_string_equal(text, "v");
    rig_close(&rig);
}

static void
killed_primary_is_replaced_by_its_replica(void **state)
{
    struct redis_opts opts = cluster;
    struct server *primary;
    char words[64];
    struct rig rig = {0};
    struct told t;

    (void)state;
    cluster_new(3, 1);
    for (unsigned i = 0; i < fixture.servers_len; i++) {
        /* The others serve even when a busy machine lets them see, before
           the test has asked them, that one is missing. */
        assert_true(ask(&fixture.servers[i], words, sizeof(words),
            "CONFIG SET cluster-require-full-coverage no"));
    }
    opts.refresh_interval_ms = 3600 * 1000; /* no map comes by itself */
    open_whole(&rig, opts);
    assert_int_equal(run(&rig, &t, "SET k v", PATIENCE_MS), RC_OK);
    primary = owner_of("k", 3);
    server_kill(primary);
    /* The others go on meanwhile. */
    for (int i = 0; i < 20; i++) {
        char key[16];

        snprintf(key, sizeof(key), "o%d", i);
        snprintf(words, sizeof(words), "SET %s v", key);
        if (owner_of(key, 3) != primary) {
            assert_int_equal(run(&rig, &t, words, PATIENCE_MS), RC_OK);
        }
    }
    AWAIT(
        &rig, run(&rig, &t, "SET k w", 500) == RC_OK && t.type == REDIS_STATUS);
    /* By the new map: a dead primary says no MOVED. */
    assert_int_equal(
        rig_metric(&rig, "error_replies_total{cause=\"moved\"}"), 0);
    assert_int_equal(run(&rig, &t, "GET k", PATIENCE_MS), RC_OK);
    assert_string_equal(t.text, "w");
    rig_close(&rig);
}

static void
node_of_no_cluster_gives_no_map(void **state)
{
    struct redis_opts opts = cluster;
    struct redis_status status;
    struct rig rig = {0};
    struct told t;
    char seed[64];
    const char *seeds[] = {seed};

    (void)state;
    /* The one that the first test has started. */
    snprintf(seed, sizeof(seed), "127.0.0.1:%u", fixture.servers[3].port);
    opts.seeds = seeds;
    opts.seeds_len = 1;
    rig_open(&rig, opts);
    assert_int_equal(run(&rig, &t, "GET k", 300), RC_MISS);
    redis_status(rig.redis, &status);
    assert_int_equal(status.map_version, 0);
    assert_true(rig_metric(&rig, "refresh_failures_total") > 0);
    rig_close(&rig);
}

static void
target_of_an_ask_that_is_dead_ends_the_call_in_time(void **state)
{
    const unsigned slot = slot_of(SLICE("asked"));
    struct server *from;
    struct server *to;
    struct rig rig = {0};
    struct told t;
    int64_t began;

    (void)state;
    from = owner_of("asked", 3);
    to =
        from == &fixture.servers[0] ? &fixture.servers[1] : &fixture.servers[0];
    open_whole(&rig, cluster);
    set_slot(from, slot, "MIGRATING", to);
    server_kill(to);
    began = real_ms();
    assert_int_not_equal(run(&rig, &t, "GET asked", PATIENCE_MS), RC_OK);
    assert_false(t.call.impl.hops > 5);
    assert_true(real_ms() - began < PATIENCE_MS / 2);
    rig_close(&rig);
    server_up(to, cluster_args);
    await_cluster_ok();
    assert_true(
        ask(from, t.text, sizeof(t.text), "CLUSTER SETSLOT %u STABLE", slot));
}

static void
calls_end_in_time_while_the_cluster_is_down(void **state)
{
    struct rig rig = {0};
    struct told t;

    (void)state;
    open_whole(&rig, cluster);
    assert_int_equal(run(&rig, &t, "SET k v", PATIENCE_MS), RC_OK);
    for (unsigned i = 0; i < 3; i++) {
        if (&fixture.servers[i] != owner_of("k", 3)) {
            server_stop(&fixture.servers[i]);
        }
    }
    /* The minority finds out and refuses. */
    AWAIT(&rig, run(&rig, &t, "GET k", 50) == RC_REFUSED);
    for (int i = 0; i < 20; i++) {
        if (run_in_time(&rig, &t, "GET k", 50) == RC_OK) {
            assert_int_equal(t.type, REDIS_ERROR);
            assert_memory_equal(t.text, "CLUSTERDOWN", 11);
        }
    }
    for (unsigned i = 0; i < 3; i++) {
        kill(fixture.servers[i].pid, SIGCONT);
    }
    AWAIT(&rig, run(&rig, &t, "GET k", 500) == RC_OK && t.type == REDIS_STRING);
    rig_close(&rig);
}

static void
all_of_a_cluster_down_and_back_is_found_again(void **state)
{
    struct rig rig = {0};
    struct told t;

    (void)state;
    open_whole(&rig, cluster);
    assert_int_equal(run(&rig, &t, "SET k v", PATIENCE_MS), RC_OK);
    for (unsigned i = 0; i < 3; i++) {
        server_kill(&fixture.servers[i]);
    }
    AWAIT(&rig, run(&rig, &t, "GET k", 500) != RC_OK);
    for (unsigned i = 0; i < 3; i++) {
        server_up(&fixture.servers[i], cluster_args);
    }
    AWAIT(&rig, run(&rig, &t, "GET k", 500) == RC_OK && t.type == REDIS_NIL);
    rig_close(&rig);
}

/* Its replica may take over any moment, and nobody but a map would tell. */
static void
map_is_asked_for_often_while_a_node_is_down(void **state)
{
    static const char row[] = "refreshes_total{cause=\"periodic\"}";
    struct rig rig = {0};
    struct server *down;
    struct told t;
    long long before;

    (void)state;
    open_whole(&rig, cluster);
    assert_int_equal(run(&rig, &t, "SET k v", PATIENCE_MS), RC_OK);
    down = owner_of("k", 3);
    server_kill(down);
    AWAIT(&rig, run(&rig, &t, "GET k", 500) != RC_OK);
    /* Without a client nothing but the map's own state asks for another. */
    redis_client_free(&rig.client);
    before = rig_metric(&rig, row);
    AWAIT(&rig, rig_metric(&rig, row) >= before + 2);
    assert_true(rig_map_is_whole(&rig));
    rig_close(&rig);
}

int
main(void)
{
    const struct CMUnitTest calm[] = {
        cmocka_unit_test(every_slot_is_served_by_its_owner_from_one_seed),
        cmocka_unit_test(moved_slot_is_followed_and_learnt),
        cmocka_unit_test(
            thousand_interleaved_commands_survive_a_slot_migration),
        cmocka_unit_test(scripts_are_loaded_on_the_node_that_an_ask_names),
        cmocka_unit_test(node_of_no_cluster_gives_no_map),
        cmocka_unit_test(nodes_that_send_us_to_each_other_do_so_once_a_refresh),
    };
    const struct CMUnitTest rough[] = {
        cmocka_unit_test(target_of_an_ask_that_is_dead_ends_the_call_in_time),
        cmocka_unit_test(calls_end_in_time_while_the_cluster_is_down),
        cmocka_unit_test(all_of_a_cluster_down_and_back_is_found_again),
        cmocka_unit_test(map_is_asked_for_often_while_a_node_is_down),
    };
    const struct CMUnitTest failover[] = {
        cmocka_unit_test_teardown(
            killed_primary_is_replaced_by_its_replica, teardown),
    };
    int failed;

    servers_guard();
    failed = cmocka_run_group_tests_name("calm", calm, setup_shared, teardown);
    failed +=
        cmocka_run_group_tests_name("rough", rough, setup_shared, teardown);
    failed += cmocka_run_group_tests_name("failover", failover, NULL, NULL);
    return failed;
}
