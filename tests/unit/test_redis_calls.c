/* How a call ends: in time, with what reason, and what it leaves behind. */
#include "redis_peer.h"
#include "redis/dispatch.h"
#include "redis/wire_inside.h"

static const struct redis_opts standalone = {.mode = REDIS_MODE_STANDALONE};
static const struct redis_opts cluster = {.mode = REDIS_MODE_CLUSTER};

static void
open_one(struct rig *rig, struct redis_opts opts)
{
    peers_new(1);
    peers_open(rig, opts, 1);
    PEERS_AWAIT(rig, peer_heard(&peers[0], "PING") == 1 &&
                         peer_heard(&peers[0], "DEL ") == 1);
    peers_rest(rig);
}

/* ---- what is large ------------------------------------------------------ */

enum {
    QUITE_A_FEW = 64 * 1024, /* bytes; channel.c */
};

static int large_fd; /* over which the last large reply comes */

/* Some bytes of it come. */
static void
drip(struct rig *rig, const char *bytes)
{
    int64_t until_ms = real_ms() + PATIENCE_MS;

    for (size_t left = strlen(bytes); left > 0;) {
        ssize_t n = write(large_fd, bytes, left);

        assert_true(real_ms() < until_ms);
        bytes += n > 0 ? n : 0;
        left -= n > 0 ? (size_t)n : 0;
        (void)peers_turn(rig, 0);
    }
    peers_rest(rig);
}

/* A GET of what is large, of which nothing has come. */
static void
begin_large(
    struct rig *rig, struct told *t, int64_t deadline_ms, int64_t last_ms)
{
    peer_says(&peers[0], "GET large", "");
    memset(t, 0, sizeof(*t));
    t->call.deadline_ms = loop_now_ms(rig->loop) + deadline_ms;
    t->call.last_ms = last_ms == 0 ? 0 : loop_now_ms(rig->loop) + last_ms;
    t->call.is_bulk = true;
    t->call.reply_len = 100;
    send_words(rig, t, "GET large");
    PEERS_AWAIT(rig, peer_heard(&peers[0], "GET large") == 1);
    large_fd = peers[0].fd;
}

static void
open_patient(struct rig *rig)
{
    struct redis_opts opts = standalone;

    opts.hang_ms = PATIENCE_MS;
    open_one(rig, opts);
}

/* So many bytes of what is large come. */
static void
drip_many(struct rig *rig, size_t len)
{
    static char bytes[8 * QUITE_A_FEW];

    assert_true(len < sizeof(bytes));
    memset(bytes, 'x', len);
    bytes[len] = '\0';
    drip(rig, bytes);
}

/* The first look is content with a byte, each later one wants quite a few. */
static void
a_large_reply_has_more_time_for_as_long_as_bytes_come(void **state)
{
    (void)state;
    for (unsigned is_slow = 0; is_slow < 2; is_slow++) {
        struct rig rig = {0};
        char head[16];
        struct told t;

        open_patient(&rig);
        begin_large(&rig, &t, 1000, 0);
        peers_pass(&rig, 900);
        snprintf(head, sizeof(head), "$%d\r\n", 3 * QUITE_A_FEW);
        drip(&rig, head);
        for (int i = 0; i < 3; i++) {
            int64_t until_ms = t.call.impl.deadline_ms;

            peers_pass(&rig, until_ms - loop_now_ms(rig.loop) + 8);
            assert_int_equal(t.times, is_slow && i == 2);
            if (t.times == 0) {
                assert_int_equal(
                    t.call.impl.deadline_ms, loop_now_ms(rig.loop) + 1000);
            }
            drip_many(&rig, is_slow && i == 1 ? QUITE_A_FEW - 1 : QUITE_A_FEW);
        }
        drip(&rig, "\r\n");
        PEERS_AWAIT(&rig, t.times > 0);
        assert_int_equal(t.rc, is_slow ? RC_TIMEOUT : RC_OK);
        assert_int_equal(t.len, is_slow ? 0 : 3 * QUITE_A_FEW);
        rig_close(&rig);
        peers_end(NULL);
    }
}

static void
a_large_reply_of_which_no_byte_comes_is_late_and_speaks_against_nobody(
    void **state)
{
    struct rig rig = {0};
    struct told t;

    (void)state;
    open_patient(&rig);
    begin_large(&rig, &t, 1000, 0);
    drip(&rig, "$10\r\n12345");
    peers_pass(&rig, 1008);
    assert_int_equal(t.times, 0);
    peers_pass(&rig, 992);
    assert_int_equal(t.times, 0);
    peers_pass(&rig, 16);
    assert_int_equal(t.rc, RC_TIMEOUT);
    assert_int_equal(t.times, 1);
    assert_int_equal(atomic_load(&peer_node(&rig, &peers[0])->failures), 0);
    assert_int_equal(rig_metric(&rig, "failures_total{cause=\"timeout\"}"), 1);
    rig_close(&rig);
}

static void
a_large_reply_ends_at_its_last_moment_whatever_comes(void **state)
{
    struct rig rig = {0};
    struct told t;

    (void)state;
    open_patient(&rig);
    begin_large(&rig, &t, 1000, 2500);
    drip(&rig, "$1000000\r\n");
    peers_pass(&rig, 1008);
    assert_int_equal(t.times, 0);
    assert_int_equal(t.call.impl.deadline_ms, loop_now_ms(rig.loop) + 1000);
    drip_many(&rig, QUITE_A_FEW);
    peers_pass(&rig, 1008);
    assert_int_equal(t.times, 0);
    assert_int_equal(t.call.impl.deadline_ms, t.call.last_ms);
    drip_many(&rig, QUITE_A_FEW);
    peers_pass(&rig, 480);
    assert_int_equal(t.times, 0);
    peers_pass(&rig, 20);
    assert_int_equal(t.times, 1);
    assert_int_equal(t.rc, RC_TIMEOUT);
    rig_close(&rig);
}

/* Else it would be looked at more often than bytes can come. */
static void
a_large_reply_in_a_hurry_is_looked_at_five_times_a_second(void **state)
{
    struct rig rig = {0};
    struct told t;

    (void)state;
    open_patient(&rig);
    begin_large(&rig, &t, 40, 0);
    drip(&rig, "$10\r\n12345");
    peers_pass(&rig, 48);
    assert_int_equal(t.times, 0);
    assert_int_equal(
        t.call.impl.deadline_ms, loop_now_ms(rig.loop) + WIRE_BULK_LOOK_MS);
    rig_close(&rig);
}

static void
a_connection_for_large_replies_hangs_when_no_byte_has_come(void **state)
{
    struct rig rig = {0};
    unsigned conns;
    struct told t;

    (void)state;
    open_one(&rig, standalone); /* hang is a second */
    begin_large(&rig, &t, PATIENCE_MS, 0);
    conns = peer_conns(&peers[0]);
    peers_pass(&rig, 900);
    drip(&rig, "$10\r\n12345");
    peers_pass(&rig, 108);
    assert_int_equal(t.times, 0);
    peers_pass(&rig, 900);
    drip(&rig, "6");
    peers_pass(&rig, 108);
    assert_int_equal(t.times, 0);
    peers_pass(&rig, 984);
    assert_int_equal(t.times, 0);
    assert_int_equal(peer_conns(&peers[0]), conns);
    peers_pass(&rig, 24);
    assert_int_equal(t.times, 1);
    assert_int_equal(t.rc, RC_TIMEOUT);
    assert_true(peer_conns(&peers[0]) < conns);
    rig_close(&rig);
}

/* ---- error replies ------------------------------------------------------ */

static void
what_a_node_has_while_it_imports_a_slot_is_not_used(void **state)
{
    struct rig rig = {0};
    char ask_reply[64];
    struct told t;

    (void)state;
    peers_new(2);
    snprintf(ask_reply, sizeof(ask_reply), "-ASK %u 127.0.0.1:%u\r\n",
        slot_of(SLICE("k")), peers[1].port);
    assert_in_range(slot_of(SLICE("k")), peers[0].first, peers[0].last);
    peer_says(&peers[0], "GET k", ask_reply);
    peers_open(&rig, cluster, 1);
    PEERS_AWAIT(&rig, rig_map_is_whole(&rig));
    assert_int_equal(peers_run_guarded(&rig, &t, "GET k"), RC_DOUBT);
    assert_string_equal(t.call.doubt, "slot-moving");
    assert_int_equal(rig_metric(&rig, "failures_total{cause=\"doubt\"}"), 1);
    assert_int_equal(peer_heard(&peers[1], "ASKING"), 0);
    /* What counts in any case goes there. */
    assert_int_equal(peers_run(&rig, &t, "GET k"), RC_OK);
    assert_int_equal(t.type, REDIS_NIL);
    assert_true(t.call.was_asked);
    assert_int_equal(peer_heard(&peers[1], "ASKING\nGET k"), 1);
    rig_close(&rig);
}

/* Each pause is between a half and the whole of what doubles up to the most. */
static void
pauses_double_up_to_a_second(void **state)
{
    static const int64_t tryagain_ms[] = {5, 10, 20, 40, 80, 160, 320, 320};
    static const int64_t down_ms[] = {25, 50, 100, 200, 400, 500, 500, 500};

    (void)state;
    for (unsigned is_down = 0; is_down < 2; is_down++) {
        const int64_t *low_ms = is_down ? down_ms : tryagain_ms;
        struct rig rig = {0};
        struct told t = {0};

        open_patient(&rig);
        peer_says(&peers[0], "GET k",
            is_down ? "-CLUSTERDOWN no\r\n" : "-TRYAGAIN no\r\n");
        t.call.deadline_ms = loop_now_ms(rig.loop) + PATIENCE_MS;
        t.call.is_urgent = true;
        send_words(&rig, &t, "GET k");
        PEERS_AWAIT(&rig, peer_heard(&peers[0], "GET k") == 1);
        peers_rest(&rig);
        for (unsigned i = 0; i < 8; i++) {
            int64_t began_ms = loop_now_ms(rig.loop);
            int64_t step_ms = low_ms[i] / 8 < 8 ? 8 : low_ms[i] / 8;

            assert_int_equal(t.call.impl.attempts, i + 1);
            while (peer_heard(&peers[0], "GET k") == i + 1) {
                peers_pass(&rig, step_ms);
            }
            assert_in_range(loop_now_ms(rig.loop) - began_ms, low_ms[i],
                2 * low_ms[i] + step_ms + 8);
        }
        assert_int_equal(rig_metric(&rig, "retries_total"), 9);
        assert_int_equal(t.times, 0);
        redis_call_cancel(&t.call);
        rig_close(&rig);
        peers_end(NULL);
    }
}

static void
a_command_that_is_forbidden_is_told_of_once_a_minute(void **state)
{
    struct log_given log;
    struct rig rig = {0};
    struct told t;

    (void)state;
    log_given_open(&log);
    rig.ring = log.ring;
    open_one(&rig, standalone);
    peer_says(&peers[0], "GET k", "-NOPERM not you\r\n");
    for (int i = 0; i < 4; i++) { /* at 0, 0, 59.9 and 60 s */
        peers_pass(&rig, i == 2 ? 59890 : i == 3 ? 120 : 8);
        assert_int_equal(peers_run(&rig, &t, "GET k"), RC_OK);
        assert_int_equal(t.type, REDIS_ERROR);
    }
    rig_close(&rig);
    (void)log_given_text(&log);
    assert_int_equal(log_given_count(&log, "redis_denied"), 2);
}

/* Five such calls in a row: they would go round for ever. */
static void
nodes_that_send_calls_to_each_other_are_given_a_rest(void **state)
{
    struct rig rig = {0};
    char moved[2][64];
    struct told t;

    (void)state;
    peers_new(2);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(moved[i], sizeof(moved[i]), "-MOVED %u 127.0.0.1:%u\r\n",
            slot_of(SLICE("k")), peers[1 - i].port);
        peer_says(&peers[i], "GET k", moved[i]);
    }
    peers_open(&rig, cluster, 1);
    PEERS_AWAIT(&rig, rig_map_is_whole(&rig));
    for (int i = 1; i <= 5; i++) {
        assert_int_equal(rig_metric(&rig, "breaker_opens_total"), 0);
        run_begin(&rig, &t, "GET k", PATIENCE_MS);
        PEERS_AWAIT(&rig, (peers_pass(&rig, 8), t.times > 0));
        assert_int_equal(t.rc, RC_OK);
        assert_int_equal(t.call.impl.hops, 5);
        assert_null(pool_owner(rig.client, slot_of(SLICE("k"))));
        PEERS_AWAIT(
            &rig, (peers_pass_rounds(&rig, 1),
                      pool_owner(rig.client, slot_of(SLICE("k"))) != NULL));
    }
    assert_int_equal(rig_metric(&rig, "breaker_opens_total"), 1);
    rig_close(&rig);
}

/* ---- ends --------------------------------------------------------------- */

struct again {
    struct told told; /* its call */
    struct redis_client *client;
    unsigned more;
};

static void
on_again(void *ctx, enum rc rc, struct redis_reply *reply)
{
    static const struct slice argv[] = {{"GET", 3}, {"k", 1}};
    struct again *a = ctx;

    assert_null(reply);
    assert_int_equal(rc, RC_CANCELLED);
    a->told.times++;
    if (a->more > 0) {
        a->more--;
        redis_send(a->client, &a->told.call, argv[1], 2, argv);
    }
}

/* Of a client that goes: whoever is told so may send, and is told again. */
static void
calls_that_are_sent_while_the_client_goes_are_cancelled_too(void **state)
{
    (void)state;
    for (unsigned is_sent = 0; is_sent < 2; is_sent++) {
        struct again a = {.more = 3};
        struct rig rig = {0};

        peers_new(1);
        peers[0].is_held = !is_sent;
        peers_open(&rig, is_sent ? standalone : cluster, 1);
        peer_says(&peers[0], "GET k", "");
        a.client = rig.client;
        send_words(&rig, &a.told, "GET k");
        a.told.call.on_reply = on_again;
        if (is_sent) {
            PEERS_AWAIT(&rig, peer_heard(&peers[0], "GET k") == 1);
        } else {
            peers_rest(&rig);
            assert_int_equal(call_state(&a.told.call), CALL_PARKED);
        }
        redis_client_free(&rig.client);
        assert_int_equal(a.told.times, 4);
        assert_false(redis_call_is_active(&a.told.call));
        rig_close(&rig);
        peers_end(NULL);
    }
}

static void
a_call_waits_for_the_first_map_only_at_the_start(void **state)
{
    struct rig rig = {0};
    struct told t[3] = {0};

    (void)state;
    peers_new(1);
    peers[0].is_held = true;
    peers_open(&rig, cluster, 1);
    assert_int_equal(
        redis_scripts_of(rig.client, SLICE("k")), REDIS_SCRIPTS_RUN);
    for (unsigned i = 0; i < 3; i++) { /* at 8, 984 and 1008 ms */
        t[i].call.deadline_ms = loop_now_ms(rig.loop) + 5000;
        send_words(&rig, &t[i], "GET k");
        peers_rest(&rig);
        assert_int_equal(t[i].times, i == 2);
        peers_pass(&rig, i == 0 ? 976 : 24);
    }
    assert_int_equal(t[2].rc, RC_MISS);
    assert_int_equal(t[0].times, 0);
    peers_pass(&rig, 5000);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(t[i].times, 1);
        assert_int_equal(t[i].rc, RC_MISS);
    }
    assert_int_equal(rig_metric(&rig, "commands_total"), 3);
    assert_int_equal(rig_metric(&rig, "failures_total{cause=\"no_node\"}"), 3);
    rig_close(&rig);
}

static void
a_call_that_waits_for_its_connection_makes_room_when_it_is_cancelled(
    void **state)
{
    struct redis_opts opts = standalone;
    struct rig rig = {0};
    struct told t[4] = {0};

    (void)state;
    peers_new(1);
    peers[0].is_held = true;
    opts.in_flight_max = 3; /* of which the greeting is one */
    peers_open(&rig, opts, 1);
    send_words(&rig, &t[0], "GET k");
    PEERS_AWAIT(&rig, pool_owner(rig.client, 0)->wire->state == WIRE_GREETING);
    redis_call_cancel(&t[0].call);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 3; i++) {
            t[i].call.deadline_ms = loop_now_ms(rig.loop) + 5000;
            send_words(&rig, &t[i], "GET k");
        }
        peers_rest(&rig);
        assert_int_equal(t[0].times + t[1].times, 0);
        assert_int_equal(t[2].times, 1);
        assert_int_equal(t[2].rc, RC_LIMIT);
        redis_call_cancel(&t[0].call);
        redis_call_cancel(&t[1].call);
    }
    rig_close(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(
            a_large_reply_has_more_time_for_as_long_as_bytes_come, peers_end),
        cmocka_unit_test_teardown(
            a_large_reply_of_which_no_byte_comes_is_late_and_speaks_against_nobody,
            peers_end),
        cmocka_unit_test_teardown(
            a_large_reply_ends_at_its_last_moment_whatever_comes, peers_end),
        cmocka_unit_test_teardown(
            a_large_reply_in_a_hurry_is_looked_at_five_times_a_second,
            peers_end),
        cmocka_unit_test_teardown(
            a_connection_for_large_replies_hangs_when_no_byte_has_come,
            peers_end),
        cmocka_unit_test_teardown(
            what_a_node_has_while_it_imports_a_slot_is_not_used, peers_end),
        cmocka_unit_test_teardown(pauses_double_up_to_a_second, peers_end),
        cmocka_unit_test_teardown(
            a_command_that_is_forbidden_is_told_of_once_a_minute, peers_end),
        cmocka_unit_test_teardown(
            nodes_that_send_calls_to_each_other_are_given_a_rest, peers_end),
        cmocka_unit_test_teardown(
            calls_that_are_sent_while_the_client_goes_are_cancelled_too,
            peers_end),
        cmocka_unit_test_teardown(
            a_call_waits_for_the_first_map_only_at_the_start, peers_end),
        cmocka_unit_test_teardown(
            a_call_that_waits_for_its_connection_makes_room_when_it_is_cancelled,
            peers_end),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
