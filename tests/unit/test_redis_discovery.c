/* Whom discovery asks, when, and what follows from what they say. */
#include "redis_peer.h"
#include "redis/dispatch.h"

static const struct redis_opts cluster = {.mode = REDIS_MODE_CLUSTER};

static long long
starts(struct rig *rig, const char *cause)
{
    char row[64];

    snprintf(row, sizeof(row), "refreshes_total{cause=\"%s\"}", cause);
    return rig_metric(rig, row);
}

/* A refresh for that cause begins, and is over. */
static void
refresh(struct rig *rig)
{
    long long before;

    PEERS_AWAIT(rig, !atomic_load(&rig->redis->is_wanted));
    before = starts(rig, "moved");

    redis_want_refresh(rig->redis, REFRESH_MOVED);
    PEERS_AWAIT(
        rig, (peers_pass(rig, 100), starts(rig, "moved") == before + 1));
    peers_pass(rig, 500);
}

/* A cluster of its own, in the words of one of them. */
static void
alone(struct peer *p, char texts[2][512])
{
    char node[256];

    snprintf(texts[0], 512,
        "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%u\r\n"
        "$40\r\n%s\r\n",
        p->port, p->id);
    snprintf(node, sizeof(node),
        "%s 127.0.0.1:%u@1 myself,master - 0 0 1 connected 0-16383\n", p->id,
        p->port);
    snprintf(texts[1], 512, "$%zu\r\n%s\r\n", strlen(node), node);
    peer_says(p, "CLUSTER SLOTS", texts[0]);
    peer_says(p, "CLUSTER NODES", texts[1]);
}

static bool
owns_all(struct rig *rig, const struct peer *p)
{
    struct redis_status status;
    char port[8];

    snprintf(port, sizeof(port), ":%u", p->port);
    redis_status(rig->redis, &status);
    return status.nodes_len == 1 && status.slots_known == SLOT_COUNT &&
           strstr(status.nodes[0].address, port) != NULL;
}

/* ---- whom --------------------------------------------------------------- */

static void
connect_to(struct rig *rig, const struct peer *p)
{
    struct told t;
    char words[32];

    for (int i = 0;; i++) {
        int slot;

        snprintf(words, sizeof(words), "GET k%d", i);
        slot = (int)slot_of(slice_of_str(words + 4));
        if (slot >= p->first && slot <= p->last) {
            assert_int_equal(peers_run(rig, &t, words), RC_OK);
            return;
        }
    }
}

static void
a_seed_one_that_is_connected_and_one_at_random_are_asked(void **state)
{
    enum {
        REFRESHES = 12
    };
    struct rig rig = {0};
    unsigned sum = 0;

    (void)state;
    peers_new(5);
    peers_open(&rig, cluster, 1);
    PEERS_AWAIT(&rig, rig_map_is_whole(&rig));
    connect_to(&rig, &peers[3]);
    for (unsigned i = 0; i < 5; i++) {
        peer_forget(&peers[i]);
    }
    for (unsigned i = 0; i < REFRESHES; i++) {
        refresh(&rig);
    }
    assert_int_equal(peer_heard(&peers[0], "CLUSTER SLOTS"), REFRESHES);
    assert_int_equal(peer_heard(&peers[3], "CLUSTER SLOTS"), REFRESHES);
    for (unsigned i = 0; i < 5; i++) {
        sum += peer_heard(&peers[i], "CLUSTER SLOTS");
        /* They agree with the map. */
        assert_int_equal(peer_heard(&peers[i], "CLUSTER NODES"), 0);
    }
    assert_in_range(sum, 2 * REFRESHES + 1, 3 * REFRESHES);
    /* However many are connected. */
    connect_to(&rig, &peers[2]);
    connect_to(&rig, &peers[4]);
    peer_forget(&peers[0]);
    for (unsigned i = 0; i < REFRESHES; i++) {
        refresh(&rig);
    }
    assert_int_equal(peer_heard(&peers[0], "CLUSTER SLOTS"), REFRESHES);
    rig_close(&rig);
}

static void
nodes_of_the_map_are_asked_when_the_seed_is_gone(void **state)
{
    struct rig rig = {0};

    (void)state;
    peers_new(3);
    peers_open(&rig, cluster, 1);
    PEERS_AWAIT(&rig, rig_map_is_whole(&rig));
    connect_to(&rig, &peers[1]);
    peer_says(&peers[0], "CLUSTER ", "");
    peers[1].last = peers[2].last;
    peers[1].epoch = 9;
    peers[2].first = -1;
    peer_forget(&peers[1]);
    refresh(&rig);
    PEERS_AWAIT(&rig,
        (peers_pass(&rig, 100), rig_metric(&rig, "map_changes_total") == 2));
    /* It is not as the map is, so that the epochs are asked for. */
    assert_int_equal(peer_heard(&peers[1], "CLUSTER NODES"), 1);
    rig_close(&rig);
}

static void
a_cluster_that_is_not_ours_is_left_out_and_told_of_once(void **state)
{
    static char texts[3][2][512];
    struct log_given log;
    struct rig rig = {0};

    (void)state;
    log_given_open(&log);
    rig.ring = log.ring;
    peers_new(3);
    for (unsigned i = 0; i < 3; i++) {
        alone(&peers[i], texts[i]);
    }
    peer_says(&peers[2], "CLUSTER SLOTS", "-ERR not yet\r\n");
    peers_open(&rig, cluster, 3);
    PEERS_AWAIT(&rig, owns_all(&rig, &peers[0]));
    refresh(&rig);
    refresh(&rig);
    assert_true(owns_all(&rig, &peers[0]));
    /* Ours is gone. That other one is not taken for it, a new one is. */
    peer_says(&peers[0], "CLUSTER SLOTS", "-ERR no more\r\n");
    refresh(&rig);
    refresh(&rig);
    assert_true(owns_all(&rig, &peers[0]));
    peer_says(&peers[2], "CLUSTER SLOTS", texts[2][0]);
    refresh(&rig);
    PEERS_AWAIT(&rig, (peers_pass(&rig, 100), owns_all(&rig, &peers[2])));
    rig_close(&rig);
    (void)log_given_text(&log);
    assert_int_equal(log_given_count(&log, "redis_two_clusters"), 1);
    assert_int_equal(log_given_count(&log, "redis_map "), 2);
}

/* ---- when --------------------------------------------------------------- */

static void
the_next_refresh_comes_by_the_interval(void **state)
{
    struct rig rig = {0};

    (void)state;
    peers_new(1);
    peers_open(&rig, cluster, 1);
    PEERS_AWAIT(&rig, rig_map_is_whole(&rig));
    for (unsigned i = 0; i < 3; i++) {
        peers_pass_rounds(&rig, 46); /* 23,368 ms */
        assert_int_equal(starts(&rig, "periodic"), i);
        PEERS_AWAIT(&rig,
            (peers_pass_rounds(&rig, 1), starts(&rig, "periodic") == i + 1));
        assert_int_equal(peer_heard(&peers[0], "CLUSTER SLOTS"), i + 2);
    }
    assert_in_range(loop_now_ms(rig.loop) - rig.client->born_ms, 3 * 24000,
        3 * (36000 + PEER_ROUND_MS));
    rig_close(&rig);
}

static void
a_map_that_nobody_tells_is_asked_for_soon_and_told_of_once(void **state)
{
    struct redis_status status;
    struct log_given log;
    struct rig rig = {0};
    char words[64];

    (void)state;
    log_given_open(&log);
    rig.ring = log.ring;
    peers_new(1);
    peer_says(&peers[0], "CLUSTER SLOTS", "-NOPERM not you\r\n");
    peers_open(&rig, cluster, 1);
    PEERS_AWAIT(&rig, rig_metric(&rig, "refresh_failures_total") == 1);
    for (unsigned i = 1; i <= 5; i++) {
        peers_pass(&rig, 992);
        assert_int_equal(rig_metric(&rig, "refresh_failures_total"), i);
        PEERS_AWAIT(
            &rig, (peers_pass(&rig, 40),
                      rig_metric(&rig, "refresh_failures_total") == i + 1));
    }
    assert_in_range(loop_now_ms(rig.loop) - rig.client->born_ms, 5 * 1000,
        5 * (2000 + 48) + 8);
    redis_status(rig.redis, &status);
    snprintf(
        words, sizeof(words), "127.0.0.1:%u: NOPERM not you", peers[0].port);
    assert_string_equal(status.refusal, words);
    peer_says(&peers[0], "CLUSTER SLOTS", NULL);
    peers_pass(&rig, 2008);
    PEERS_AWAIT(&rig, rig_map_is_whole(&rig));
    peers_rest(&rig);
    redis_status(rig.redis, &status);
    assert_string_equal(status.refusal, "");
    peer_says(&peers[0], "CLUSTER SLOTS", "-NOPERM again\r\n");
    refresh(&rig);
    refresh(&rig);
    rig_close(&rig);
    (void)log_given_text(&log);
    assert_int_equal(
        log_given_count(&log, "redis_no_map cause=\"no node has an answer\""),
        2);
    assert_int_equal(log_given_count(&log, "reply=\"NOPERM not you\""), 1);
    assert_int_equal(log_given_count(&log, "reply=\"NOPERM again\""), 1);
}

/* What has no owner is told, and may have one any moment. */
static void
slots_without_an_owner_are_told_and_asked_for_soon(void **state)
{
    struct log_given log;
    struct rig rig = {0};
    struct told t;

    (void)state;
    log_given_open(&log);
    rig.ring = log.ring;
    peers_new(2);
    peers[1].last = (int)slot_of(SLICE("foo")) - 1;
    assert_true(peers[1].last > peers[1].first);
    peers_open(&rig, cluster, 1);
    PEERS_AWAIT(&rig, rig_metric(&rig, "map_changes_total") == 1);
    peers_pass_rounds(&rig, 4);
    assert_true(starts(&rig, "periodic") >= 1);
    assert_int_equal(starts(&rig, "unserved"), 0);
    assert_int_equal(peers_run(&rig, &t, "GET foo"), RC_MISS);
    assert_int_equal(atomic_load(&rig.redis->wanted_cause), REFRESH_UNSERVED);
    PEERS_AWAIT(&rig, (peers_pass(&rig, 504), starts(&rig, "unserved") == 1));
    assert_int_equal(
        redis_scripts_of(rig.client, SLICE("foo")), REDIS_SCRIPTS_FAIL);
    rig_close(&rig);
    (void)log_given_text(&log);
    assert_int_equal(log_given_count(&log, "redis_slots_uncovered"), 1);
}

static void
the_others_have_a_while_when_one_has_answered(void **state)
{
    struct rig rig = {0};

    (void)state;
    peers_new(2);
    peers[1].is_held = true;
    peers_open(&rig, cluster, 2);
    PEERS_AWAIT(&rig, peer_heard(&peers[0], "CLUSTER SLOTS") == 1);
    peers_rest(&rig);
    peers_pass(&rig, 192);
    assert_false(rig_map_is_whole(&rig));
    peers_pass(&rig, 16);
    assert_true(rig_map_is_whole(&rig));
    rig_close(&rig);
}

/* ---- what they say ------------------------------------------------------ */

/* A cluster of a thousand nodes says more than a value may have. */
static void
a_map_may_be_longer_than_any_value(void **state)
{
    struct redis_opts opts = cluster;
    struct rig rig = {0};

    (void)state;
    peers_new(5);
    opts.reply_max = 200;
    peers_open(&rig, opts, 1);
    PEERS_AWAIT(&rig, rig_map_is_whole(&rig));
    rig_close(&rig);
}

static void
addresses_that_nobody_reaches_are_told_with_the_seed_that_answers(void **state)
{
    char slots[512];
    struct log_given log;
    struct rig rig = {0};
    char words[160];

    (void)state;
    log_given_open(&log);
    rig.ring = log.ring;
    peers_new(1);
    snprintf(slots, sizeof(slots),
        "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:1\r\n"
        "$40\r\n%s\r\n",
        peers[0].id);
    peer_says(&peers[0], "CLUSTER SLOTS", slots);
    peers_open(&rig, cluster, 1);
    PEERS_AWAIT(&rig, rig_map_is_whole(&rig));
    /* A map whose node is down is asked for often. */
    PEERS_AWAIT(&rig, (peers_pass_rounds(&rig, 1),
                          peer_heard(&peers[0], "CLUSTER SLOTS") == 5));
    rig_close(&rig);
    (void)log_given_text(&log);
    snprintf(words, sizeof(words),
        "redis_unreachable_addresses announced=\"127.0.0.1:1\" "
        "answers=\"127.0.0.1:%u\"",
        peers[0].port);
    assert_int_equal(log_given_count(&log, words), 1);
}

/* ---- its password ------------------------------------------------------- */

static void
put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void
a_password_that_is_refused_is_read_again_once_a_second(void **state)
{
    char path[] = "/tmp/nearside-secret-XXXXXX";
    struct redis_opts opts = cluster;
    struct log_given log;
    struct rig rig = {0};
    struct node *node;
    char words[80];

    (void)state;
    close(mkstemp(path));
    put(path, "two\nlines\n");
    log_given_open(&log);
    rig.ring = log.ring;
    peers_new(1);
    peer_says(&peers[0], "AUTH old", "-WRONGPASS invalid\r\n");
    opts.password = "old";
    opts.password_file = path;
    peers_open(&rig, opts, 1);
    PEERS_AWAIT(&rig, rig_metric(&rig, "refresh_failures_total") == 1);
    peers_rest(&rig);
    node = redis_node_take(rig.redis, SLICE("127.0.0.1"), peers[0].port);
    for (unsigned i = 0; i < 3; i++) { /* at once */
        redis_tell_refusal(rig.redis, node, SLICE("WRONGPASS no"));
        peers_rest(&rig);
    }
    put(path, "new\n");
    PEERS_AWAIT(&rig, (peers_pass(&rig, 248), rig_map_is_whole(&rig)));
    assert_true(peer_heard(&peers[0], "AUTH new") > 0);
    assert_true(starts(&rig, "unreachable") > 0); /* at once, with that one */
    /* It is the same, and no news. */
    redis_tell_refusal(rig.redis, node, SLICE("WRONGPASS no"));
    peers_pass_rounds(&rig, 3);
    redis_node_unref(rig.redis, &node);
    rig_close(&rig);
    unlink(path);
    (void)log_given_text(&log);
    snprintf(words, sizeof(words), "redis_password_unreadable cause=\"%s\"",
        rc_text(RC_BAD));
    assert_int_equal(log_given_count(&log, words), 1);
    assert_int_equal(log_given_count(&log, "redis_password_unreadable"), 1);
    assert_int_equal(log_given_count(&log, "redis_password_read "), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(
            a_seed_one_that_is_connected_and_one_at_random_are_asked,
            peers_end),
        cmocka_unit_test_teardown(
            nodes_of_the_map_are_asked_when_the_seed_is_gone, peers_end),
        cmocka_unit_test_teardown(
            a_cluster_that_is_not_ours_is_left_out_and_told_of_once, peers_end),
        cmocka_unit_test_teardown(
            the_next_refresh_comes_by_the_interval, peers_end),
        cmocka_unit_test_teardown(
            a_map_that_nobody_tells_is_asked_for_soon_and_told_of_once,
            peers_end),
        cmocka_unit_test_teardown(
            slots_without_an_owner_are_told_and_asked_for_soon, peers_end),
        cmocka_unit_test_teardown(
            the_others_have_a_while_when_one_has_answered, peers_end),
        cmocka_unit_test_teardown(
            a_map_may_be_longer_than_any_value, peers_end),
        cmocka_unit_test_teardown(
            addresses_that_nobody_reaches_are_told_with_the_seed_that_answers,
            peers_end),
        cmocka_unit_test_teardown(
            a_password_that_is_refused_is_read_again_once_a_second, peers_end),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
