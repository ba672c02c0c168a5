/* The probes, and what follows from the answers to them. */
#include "redis_peer.h"

#include "nearside/redis/hold.h"

static const struct redis_opts standalone = {.mode = REDIS_MODE_STANDALONE};

/* One server, which takes the probes. */
static void
open_one(struct rig *rig)
{
    peers_new(1);
    peers_open(rig, standalone, 1);
    PEERS_AWAIT(rig, peer_heard(&peers[0], "PING") == 1);
    PEERS_AWAIT(
        rig, atomic_load(&peer_node(rig, &peers[0])->state) == NODE_TRUSTED);
    peers_rest(rig);
}

static int64_t
usable_until_ms(struct rig *rig, unsigned i)
{
    return atomic_load(&peer_node(rig, &peers[i])->usable_until_ms);
}

static long long
starts(struct rig *rig, const char *cause)
{
    char row[64];

    snprintf(row, sizeof(row), "refreshes_total{cause=\"%s\"}", cause);
    return rig_metric(rig, row);
}

/* What becomes of a GET that counts only while values may be used. */
static void
assert_doubt(struct rig *rig, const char *doubt)
{
    struct told t;

    assert_int_equal(
        peers_run_guarded(rig, &t, "GET k"), doubt == NULL ? RC_OK : RC_DOUBT);
    if (doubt != NULL) {
        assert_string_equal(t.call.doubt, doubt);
    }
}

/* ---- rounds ------------------------------------------------------------- */

static void
a_round_is_sent_twice_a_second_and_counts_from_then(void **state)
{
    struct rig rig = {0};
    int64_t began_ms;

    (void)state;
    open_one(&rig);
    began_ms = loop_now_ms(rig.loop);
    assert_int_equal(peer_heard(&peers[0], "TIME\n"), 1);
    assert_int_equal(
        peer_heard(&peers[0], "INFO server persistence replication\n"), 1);
    assert_int_equal(
        peer_heard(&peers[0], "SET ns:hb:{1} 1 PX 2000\nDEL ns:hb:{1}\n"), 1);
    peer_forget(&peers[0]);
    peers_pass(&rig, 480);
    assert_string_equal(peers[0].heard, "\n");
    peers[0].is_held = true;
    peers_pass(&rig, 24);
    peers_pass(&rig, 96);
    peers[0].is_held = false;
    peers_rest(&rig);
    assert_string_equal(
        peers[0].heard, "\nTIME\nSET ns:hb:{1} 1 PX 2000\nDEL ns:hb:{1}\n");
    assert_in_range(usable_until_ms(&rig, 0), began_ms + 500 + TRUST_BOUND_MS,
        began_ms + 508 + TRUST_BOUND_MS);
    rig_close(&rig);
}

/* Who is slow is asked again when it has answered, not each time that is. */
static void
a_round_that_took_its_time_is_followed_by_the_next_at_once(void **state)
{
    struct rig rig = {0};

    (void)state;
    open_one(&rig);
    peers[0].is_held = true;
    peer_forget(&peers[0]);
    peers_pass(&rig, PEER_ROUND_MS);
    peers_pass(&rig, PEER_ROUND_MS);
    peers[0].is_held = false;
    peers_rest(&rig);
    assert_int_equal(peer_heard(&peers[0], "SET "), 2);
    assert_int_equal(peer_heard(&peers[0], "DEL "), 2);
    assert_int_equal(
        usable_until_ms(&rig, 0), loop_now_ms(rig.loop) + TRUST_BOUND_MS);
    rig_close(&rig);
}

static void
a_server_is_asked_every_half_minute_what_it_is(void **state)
{
    struct rig rig = {0};

    (void)state;
    open_one(&rig);
    peer_forget(&peers[0]);
    peers_pass_rounds(&rig, 59);
    assert_int_equal(peer_heard(&peers[0], "INFO server"), 0);
    peers_pass_rounds(&rig, 1);
    assert_int_equal(peer_heard(&peers[0], "INFO server"), 1);
    peers_pass_rounds(&rig, 58);
    assert_int_equal(peer_heard(&peers[0], "INFO server"), 1);
    rig_close(&rig);
}

/* ---- refusals ----------------------------------------------------------- */

struct refusal {
    const char *command;
    const char *answer;
    const char *refresh; /* NULL: none is wanted for it */
};

static void
assert_refused(struct rig *rig, const struct refusal *r)
{
    struct redis_status status;

    redis_status(rig->redis, &status);
    assert_string_equal(status.nodes[0].state, "refusing");
    assert_memory_equal(
        status.nodes[0].refusal, r->answer + 1, strlen(r->answer) - 3);
    assert_int_equal(strlen(status.nodes[0].refusal), strlen(r->answer) - 3);
    assert_false(status.is_up);
    assert_int_equal(rig_metric(rig, "primaries_refusing"), 1);
    assert_int_equal(usable_until_ms(rig, 0), 0);
    assert_doubt(rig, "redis-refuses");
}

/* Of all causes it is that one alone that has the map asked for; NULL: none. */
static void
assert_refreshes(struct rig *rig, const char *cause)
{
    static const char *const causes[] = {
        "moved", "unreachable", "clusterdown", "readonly", "deletions"};

    for (unsigned i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
        bool is_it = cause != NULL && strcmp(causes[i], cause) == 0;

        assert_int_equal(starts(rig, causes[i]) > 0, is_it);
    }
}

/* What it has is used again when it is sure that all has been deleted. */
static void
assert_back(struct rig *rig)
{
    struct redis_status status;

    redis_status(rig->redis, &status);
    assert_string_equal(status.nodes[0].state, "up");
    assert_string_equal(status.nodes[0].refusal, "");
    assert_true(status.is_up);
    assert_int_equal(rig_metric(rig, "primaries_refusing"), 0);
    assert_doubt(rig, "slot-changed");
    peers_pass_rounds(rig, 5);
    peers_pass(rig, TRUST_WINDOW_MS - 5 * PEER_ROUND_MS - 1);
    assert_doubt(rig, "slot-changed");
    peers_pass(rig, 8);
    assert_doubt(rig, NULL);
}

static void
a_server_that_refuses_a_probe_is_not_trusted_until_it_takes_one(void **state)
{
    static const struct refusal refusals[] = {
        {"SET ", "-MISCONF no disk\r\n", NULL},
        {"SET ", "-NOREPLICAS too few\r\n", NULL},
        {"SET ", "-NOPERM not you\r\n", NULL},
        {"SET ", "-LOADING it is\r\n", NULL},
        {"SET ", "-READONLY it is\r\n", "readonly"},
        {"SET ", "-CLUSTERDOWN it is\r\n", "clusterdown"},
        {"SET ", "-MASTERDOWN it is\r\n", "clusterdown"},
        {"DEL ", "-OOM full\r\n", NULL},
        {"DEL ", "-ERR what\r\n", NULL},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *r = &refusals[i];
        struct log_given log;
        struct rig rig = {0};

        log_given_open(&log);
        rig.ring = log.ring;
        open_one(&rig);
        assert_doubt(&rig, NULL);
        peer_says(&peers[0], r->command, r->answer);
        peers_pass(&rig, PEER_ROUND_MS);
        assert_refused(&rig, r);
        peers_pass_rounds(&rig, 5);
        assert_refused(&rig, r);
        assert_refreshes(&rig, r->refresh);
        peer_says(&peers[0], r->command, NULL);
        peers_pass(&rig, PEER_ROUND_MS);
        assert_back(&rig);
        rig_close(&rig);
        (void)log_given_text(&log);
        assert_int_equal(log_given_count(&log, "redis_writes_refused"), 1);
        assert_int_equal(log_given_count(&log, "redis_writes_taken"), 1);
        assert_int_equal(log_given_count(&log, "redis_writes_unanswered"), 0);
        peers_end(NULL);
    }
}

static void
a_full_server_that_deletes_is_trusted(void **state)
{
    struct rig rig = {0};
    int64_t until_ms;

    (void)state;
    open_one(&rig);
    peer_says(&peers[0], "SET ", "-OOM full\r\n");
    until_ms = usable_until_ms(&rig, 0);
    peers_pass(&rig, PEER_ROUND_MS);
    assert_true(usable_until_ms(&rig, 0) > until_ms);
    assert_doubt(&rig, NULL);
    assert_int_equal(rig_metric(&rig, "error_replies_total{cause=\"oom\"}"), 0);
    rig_close(&rig);
}

/* It concerns the key's slot alone. */
static void
a_key_that_is_elsewhere_is_changed_and_ends_no_trust(void **state)
{
    static const char *const answers[] = {"-MOVED 9842 127.0.0.1:1\r\n",
        "-ASK 9842 127.0.0.1:1\r\n", "-TRYAGAIN later\r\n"};

    (void)state;
    for (unsigned i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct rig rig = {0};
        int64_t until_ms;

        open_one(&rig);
        until_ms = usable_until_ms(&rig, 0);
        peer_says(&peers[0], "SET ", answers[i]);
        peers_pass(&rig, PEER_ROUND_MS);
        assert_int_equal(usable_until_ms(&rig, 0), until_ms);
        assert_doubt(&rig, NULL);
        assert_int_equal(peer_heard(&peers[0], "SET ns:hb:{1} "), 2);
        peer_says(&peers[0], "SET ", NULL);
        peers_pass(&rig, PEER_ROUND_MS);
        assert_int_equal(peer_heard(&peers[0], "SET ns:hb:{1} "), 2);
        assert_int_equal(peer_heard(&peers[0], "SET ns:hb:{2} "), 1);
        assert_int_equal(
            usable_until_ms(&rig, 0), loop_now_ms(rig.loop) + TRUST_BOUND_MS);
        peers_pass_rounds(&rig, 4);
        assert_int_equal(peer_heard(&peers[0], "SET ns:hb:{2} "), 5);
        assert_refreshes(&rig, i == 0 ? "moved" : NULL);
        rig_close(&rig);
        peers_end(NULL);
    }
}

/* ---- silence ------------------------------------------------------------ */

static void
a_server_that_does_not_answer_is_not_trusted_after_the_bound(void **state)
{
    struct redis_status status;
    struct log_given log;
    struct rig rig = {0};

    (void)state;
    log_given_open(&log);
    rig.ring = log.ring;
    open_one(&rig);
    peer_says(&peers[0], "SET ", "");
    peers_pass_rounds(&rig, 3);
    assert_doubt(&rig, NULL);
    peers_pass_rounds(&rig, 1);
    assert_doubt(&rig, "redis-silent");
    redis_status(rig.redis, &status);
    assert_string_equal(status.nodes[0].state, "down");
    assert_int_equal(usable_until_ms(&rig, 0), 0);
    peers_pass_rounds(&rig, 3);
    PEERS_AWAIT(&rig, /* over a new connection */
        peer_heard(&peers[0], "INFO server") == 2);
    assert_refreshes(&rig, "unreachable");
    peer_says(&peers[0], "SET ", NULL);
    peers_pass_rounds(&rig, 5);
    PEERS_AWAIT(&rig, usable_until_ms(&rig, 0) != 0);
    assert_doubt(&rig, "slot-changed");
    peers_pass_rounds(&rig, 6);
    assert_doubt(&rig, NULL);
    rig_close(&rig);
    (void)log_given_text(&log);
    assert_int_equal(log_given_count(&log, "redis_writes_unanswered"), 1);
    assert_int_equal(log_given_count(&log, "redis_writes_taken"), 1);
    assert_int_equal(
        log_given_count(&log, "redis_probe_down"), 2); /* by hang */
}

/* Not a word since it is known. */
static void
a_server_that_was_never_heard_is_silent_after_the_bound(void **state)
{
    struct redis_status status;
    struct rig rig = {0};

    (void)state;
    peers_new(1);
    peer_says(&peers[0], "DEL ", "");
    peers_open(&rig, standalone, 1);
    PEERS_AWAIT(&rig, peer_heard(&peers[0], "PING") == 1);
    peers_pass_rounds(&rig, 3);
    redis_status(rig.redis, &status);
    assert_string_equal(status.nodes[0].state, "unknown");
    assert_doubt(&rig, "redis-silent");
    assert_refreshes(&rig, NULL);
    peers_pass_rounds(&rig, 1);
    redis_status(rig.redis, &status);
    assert_string_equal(status.nodes[0].state, "down");
    assert_doubt(&rig, "redis-silent");
    rig_close(&rig);
}

static void
a_call_that_comes_before_the_first_answers_waits_for_them(void **state)
{
    struct rig rig = {0};
    struct told t = {0};

    (void)state;
    peers_new(1);
    peers[0].is_held = true;
    peers_open(&rig, standalone, 1);
    peers_pass(&rig, 900);
    t.call.deadline_ms = loop_now_ms(rig.loop) + 5000;
    t.call.is_guarded = true;
    send_words(&rig, &t, "GET k");
    peers_rest(&rig);
    assert_int_equal(t.times, 0);
    peers[0].is_held = false;
    PEERS_AWAIT(&rig, t.times > 0);
    assert_int_equal(t.rc, RC_OK);
    rig_close(&rig);
}

static void
a_call_does_not_wait_for_the_first_answers_when_they_are_late(void **state)
{
    struct rig rig = {0};

    (void)state;
    peers_new(1);
    peers[0].is_held = true;
    peers_open(&rig, standalone, 1);
    peers_pass(&rig, 1000);
    assert_doubt(&rig, "redis-silent");
    rig_close(&rig);
}

/* ---- a majority --------------------------------------------------------- */

static const struct redis_opts cluster = {.mode = REDIS_MODE_CLUSTER};

static bool
all_are(struct rig *rig, enum node_state state)
{
    for (unsigned i = 0; i < peers_len; i++) {
        if (atomic_load(&peer_node(rig, &peers[i])->state) != (int)state) {
            return false;
        }
    }
    return true;
}

static void
open_three(struct rig *rig)
{
    peers_new(3);
    peers_open(rig, cluster, 1);
    PEERS_AWAIT(rig, rig_map_is_whole(rig) && all_are(rig, NODE_TRUSTED));
    peers_rest(rig);
}

static void
two_of_three_say(const char *words, const char *answer)
{
    assert_in_range(slot_of(SLICE("k")), peers[1].first, peers[1].last);
    peer_says(&peers[0], words, answer);
    peer_says(&peers[2], words, answer);
}

static void
what_one_has_is_not_used_while_more_than_half_are_silent(void **state)
{
    struct log_given log;
    struct rig rig = {0};
    int64_t confirmed_ms;

    (void)state;
    log_given_open(&log);
    rig.ring = log.ring;
    open_three(&rig);
    peers_pass_rounds(&rig, 1);
    confirmed_ms = redis_confirmed_ms(rig.client);
    peers_pass_rounds(&rig, 2);
    assert_int_equal(
        redis_confirmed_ms(rig.client), confirmed_ms + 2 * PEER_ROUND_MS);
    peer_says(&peers[0], "SET ", "");
    peers_pass_rounds(&rig, 4);
    assert_doubt(&rig, NULL); /* two are a majority */
    two_of_three_say("SET ", "");
    peers_pass_rounds(&rig, 3);
    assert_doubt(&rig, NULL);
    confirmed_ms = redis_confirmed_ms(rig.client);
    peers_pass_rounds(&rig, 2);
    assert_doubt(&rig, "redis-minority");
    assert_int_equal(redis_confirmed_ms(rig.client), confirmed_ms);
    two_of_three_say("SET ", NULL);
    PEERS_AWAIT(
        &rig, (peers_pass_rounds(&rig, 1), usable_until_ms(&rig, 1) != 0));
    assert_doubt(&rig, "slot-changed");
    assert_int_equal(redis_confirmed_ms(rig.client), confirmed_ms);
    peers_pass_rounds(&rig, 5);
    assert_int_equal(
        redis_confirmed_ms(rig.client), confirmed_ms + 5 * PEER_ROUND_MS);
    assert_doubt(&rig, "slot-changed");
    peers_pass_rounds(&rig, 1);
    assert_doubt(&rig, NULL);
    rig_close(&rig);
    (void)log_given_text(&log);
    assert_int_equal(
        log_given_count(&log, "redis_no_majority primaries=\"3\""), 1);
    assert_int_equal(
        log_given_count(&log, "redis_majority_back primaries=\"3\""), 1);
}

/* Then others may have written, and failed to delete, before it was there. */
static void
the_first_majority_is_doubted_when_it_took_longer_than_the_bound(void **state)
{
    (void)state;
    for (unsigned rounds = 3; rounds <= 4; rounds++) {
        struct log_given log;
        struct rig rig = {0};

        log_given_open(&log);
        rig.ring = log.ring;
        peers_new(3);
        two_of_three_say("INFO server", "");
        peers_open(&rig, cluster, 1);
        PEERS_AWAIT(&rig, rig_map_is_whole(&rig));
        PEERS_AWAIT(&rig, peer_heard(&peers[0], "DEL ") == 1 &&
                              peer_heard(&peers[2], "DEL ") == 1);
        peers_pass_rounds(&rig, rounds);
        assert_doubt(&rig, "redis-minority");
        /* Who asks again is not answered in another's place. */
        for (unsigned i = 0; i < 3; i += 2) {
            for (unsigned j = 0; j < PEER_CONNS_MAX; j++) {
                if (peers[i].conns[j].fd != 0) {
                    peer_cut(&peers[i].conns[j]);
                }
            }
        }
        two_of_three_say("INFO server", NULL);
        PEERS_AWAIT(&rig,
            (clock_advance(rig_clock(&rig), 1), usable_until_ms(&rig, 1) != 0));
        assert_doubt(&rig, rounds == 3 ? NULL : "slot-changed");
        rig_close(&rig);
        (void)log_given_text(&log);
        /* Nobody had one before. */
        assert_int_equal(log_given_count(&log, "_majority"), 0);
        peers_end(NULL);
    }
}

/* ---- which nodes -------------------------------------------------------- */

static void
nodes_of_a_new_map_are_probed_and_no_others(void **state)
{
    struct rig rig = {0};
    unsigned conns;

    (void)state;
    open_three(&rig);
    peers_pass_rounds(&rig, 1);
    conns = peer_conns(&peers[2]);
    peers[1].last = peers[2].last;
    peers[1].epoch = 9;
    peers[2].first = -1;
    redis_want_refresh(rig.redis, REFRESH_MOVED);
    PEERS_AWAIT(&rig, (peers_pass_rounds(&rig, 1),
                          rig_metric(&rig, "map_changes_total") == 2));
    peers_rest(&rig);
    assert_true(peer_conns(&peers[2]) < conns);
    assert_int_equal(
        atomic_load(&peer_node(&rig, &peers[2])->state), NODE_UNPROBED);
    assert_int_equal(usable_until_ms(&rig, 2), 0);
    for (unsigned i = 0; i < 3; i++) {
        peer_forget(&peers[i]);
    }
    peers_pass_rounds(&rig, 2);
    assert_int_equal(peer_heard(&peers[0], "SET ns:hb:"), 2);
    assert_int_equal(peer_heard(&peers[1], "SET ns:hb:"), 2);
    assert_int_equal(peer_heard(&peers[2], "SET ns:hb:"), 0);
    rig_close(&rig);
}

/* Deletions go to whoever owns a slot, so one's own is asked. */
static void
a_probe_whose_slot_is_given_away_takes_another_key_at_once(void **state)
{
    struct rig rig = {0};
    char key[32];
    const char *set;

    (void)state;
    open_three(&rig);
    set = strstr(peers[0].heard, "SET ns:hb:");
    assert_non_null(set);
    assert_int_equal(sscanf(set, "SET %31s", key), 1);
    peers[1].first = (int)slot_of(slice_of_str(key));
    peers[0].last = peers[1].first - 1;
    peers[1].epoch = 9;
    redis_want_refresh(rig.redis, REFRESH_MOVED);
    PEERS_AWAIT(&rig, (peers_pass_rounds(&rig, 1),
                          rig_metric(&rig, "map_changes_total") == 2));
    peers_rest(&rig);
    set = strrchr(peers[0].heard, '{');
    assert_int_equal(sscanf(set, "{%20[0-9]", key), 1);
    assert_in_range(slot_of(slice_of_str(key)), peers[0].first, peers[0].last);
    peer_forget(&peers[0]);
    peers_pass_rounds(&rig, 1);
    assert_non_null(strstr(peers[0].heard, key));
    rig_close(&rig);
}

static void
the_map_is_asked_for_each_second_while_deletions_are_young(void **state)
{
    struct rig rig = {0};

    (void)state;
    open_one(&rig);
    peers_pass_rounds(&rig, 4);
    assert_int_equal(starts(&rig, "deletions"), 0);
    redis_remember(rig.client, 1);
    peers_pass_rounds(&rig, 10);
    assert_in_range(starts(&rig, "deletions"), 4, 5);
    redis_remember(rig.client, -1);
    peers_pass_rounds(&rig, 2);
    assert_in_range(starts(&rig, "deletions"), 4, 6);
    peer_forget(&peers[0]);
    peers_pass_rounds(&rig, 4);
    assert_int_equal(peer_heard(&peers[0], "PING"), 0);
    rig_close(&rig);
}

/* ---- what it is --------------------------------------------------------- */

/* What INFO says; at most one of each is in use. */
static const char *
info_of(char run, const char *role, unsigned aof)
{
    static char answer[512];
    char info[400];
    char id[41] = {0};

    memset(id, run, 40);
    snprintf(info, sizeof(info),
        "run_id:%s\r\nuptime_in_seconds:0\r\nloading:0\r\naof_enabled:%u\r\n"
        "role:%s\r\nmaster_replid:%s\r\n",
        id, aof, role, id);
    snprintf(answer, sizeof(answer), "$%zu\r\n%s\r\n", strlen(info), info);
    return answer;
}

/* All connections to it end; the probe's is there again. */
static void
cut_all(struct rig *rig, struct peer *p)
{
    for (unsigned i = 0; i < PEER_CONNS_MAX; i++) {
        if (p->conns[i].fd != 0) {
            peer_cut(&p->conns[i]);
        }
    }
    peer_forget(p);
    PEERS_AWAIT(rig,
        (clock_advance(rig_clock(rig), 1), peer_heard(p, "INFO server") > 0));
    peers_rest(rig);
}

static void
nothing_is_used_of_a_lost_connection_until_it_is_known_whose_the_next_is(
    void **state)
{
    static const char *const answers[] = {"", "-LOADING it does\r\n"};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct rig rig = {0};

        open_one(&rig);
        peers_pass_rounds(&rig, 3); /* it was up for long */
        peer_says(&peers[0], "INFO server",
            i < 2 ? answers[i] : info_of('a', "slave", 1));
        cut_all(&rig, &peers[0]);
        assert_true(strncmp(peers[0].heard, "\nCLIENT SETNAME", 15) == 0);
        assert_int_equal(usable_until_ms(&rig, 0), 0);
        assert_doubt(&rig, "redis-minority");
        if (i > 0) {
            peers_pass_rounds(&rig, 1);
            assert_int_equal(peer_heard(&peers[0], "INFO server"), 2);
            assert_doubt(&rig, "redis-minority");
            peer_says(&peers[0], "INFO server", NULL);
            peers_pass_rounds(&rig, 1);
            assert_doubt(&rig, NULL);
            peers_pass_rounds(&rig, 1);
            assert_int_equal(peer_heard(&peers[0], "INFO server"), 3);
        }
        rig_close(&rig);
        peers_end(NULL);
    }
}

static void
who_may_not_ask_what_it_is_trusts_and_is_told_once(void **state)
{
    struct log_given log;
    struct rig rig = {0};

    (void)state;
    log_given_open(&log);
    rig.ring = log.ring;
    peers_new(1);
    peer_says(&peers[0], "INFO server", "-NOPERM not you\r\n");
    peers_open(&rig, standalone, 1);
    PEERS_AWAIT(&rig, all_are(&rig, NODE_TRUSTED));
    assert_doubt(&rig, NULL);
    peers_pass_rounds(&rig, 61);
    assert_doubt(&rig, NULL);
    assert_int_equal(peer_heard(&peers[0], "INFO server"), 2);
    rig_close(&rig);
    (void)log_given_text(&log);
    assert_int_equal(log_given_count(&log, "redis_info_refused"), 1);
    assert_int_equal(log_given_count(&log, "redis_time_refused"), 1);
}

static void
a_restart_is_told_and_what_was_there_before_is_used_only_with_an_aof(
    void **state)
{
    (void)state;
    for (unsigned aof = 0; aof < 2; aof++) {
        struct log_given log;
        struct rig rig = {0};
        int64_t before_ms;
        uint64_t changes;
        struct told t;

        log_given_open(&log);
        rig.ring = log.ring;
        peers_new(1);
        peer_says(&peers[0], "INFO server", info_of('a', "master", aof));
        peers_open(&rig, standalone, 1);
        PEERS_AWAIT(&rig, all_are(&rig, NODE_TRUSTED));
        peers_pass_rounds(&rig, 3);
        changes = redis_changes(rig.client);
        assert_int_equal(peers_run_guarded(&rig, &t, "GET k"), RC_OK);
        before_ms = t.call.not_before_ms; /* its start, which was just now */
        assert_int_equal(before_ms != 0, aof == 0);
        info_of('b', "master", aof);
        cut_all(&rig, &peers[0]);
        assert_int_equal(redis_changes(rig.client), changes + SLOT_COUNT);
        assert_doubt(&rig, "slot-changed");
        peers_pass_rounds(&rig, 7);
        assert_int_equal(peers_run_guarded(&rig, &t, "GET k"), RC_OK);
        assert_int_equal(t.call.not_before_ms > before_ms, aof == 0);
        rig_close(&rig);
        (void)log_given_text(&log);
        assert_int_equal(log_given_count(&log, "redis_restarted"), 1);
        assert_int_equal(log_given_count(&log, "not used any more"), aof == 0);
        assert_int_equal(log_given_count(&log, "with its AOF"), aof == 1);
        assert_int_equal(log_given_count(&log, "redis_unknown_past"), 0);
        peers_end(NULL);
    }
}

static void
snapshots_are_warned_of_once_where_there_is_no_aof(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct log_given log;
        struct rig rig = {0};

        log_given_open(&log);
        rig.ring = log.ring;
        peers_new(1);
        peer_says(&peers[0], "INFO server", info_of('a', "master", i == 1));
        peer_says(&peers[0], "CONFIG GET save",
            i == 2 ? "*2\r\n$4\r\nsave\r\n$0\r\n\r\n"
                   : "*2\r\n$4\r\nsave\r\n$6\r\n3600 1\r\n");
        peers_open(&rig, standalone, 1);
        PEERS_AWAIT(&rig, all_are(&rig, NODE_TRUSTED));
        peers_pass_rounds(&rig, 61);
        assert_int_equal(peer_heard(&peers[0], "CONFIG GET save"), i != 1);
        rig_close(&rig);
        (void)log_given_text(&log);
        assert_int_equal(
            log_given_count(&log, "redis_saves_snapshots"), i == 0);
        assert_int_equal(log_given_count(&log, "save=\"3600 1\""), i == 0);
        peers_end(NULL);
    }
}

/* ---- its time ----------------------------------------------------------- */

/* Says by TIME that it is that much earlier than by our clock. */
static void
say_time(struct rig *rig, int64_t ahead_ms)
{
    static char answer[64];
    int64_t wall_ms = rig_clock(rig)->wall_ms + PEER_ROUND_MS - ahead_ms;

    snprintf(answer, sizeof(answer), "*2\r\n$10\r\n%lld\r\n$6\r\n%06lld\r\n",
        (long long)(wall_ms / 1000), (long long)(wall_ms % 1000 * 1000));
    peer_says(&peers[0], "TIME", answer);
    peers_pass_rounds(rig, 1);
}

static void
a_clock_that_is_off_by_more_than_a_second_is_told_and_its_return(void **state)
{
    static const int64_t offs_ms[] = {1000, -1000, 1001, 5000, 1000, -1001, 0};
    const struct shared_time *time;
    struct log_given log;
    struct rig rig = {0};
    struct clock *clock;

    (void)state;
    log_given_open(&log);
    rig.ring = log.ring;
    open_one(&rig);
    time = redis_time(rig.redis);
    clock = rig_clock(&rig);
    clock->mono_us += 1000 - clock->mono_us % 1000;
    assert_int_equal(shared_time_ms(time, clock), clock->wall_ms);
    for (unsigned i = 0; i < sizeof(offs_ms) / sizeof(offs_ms[0]); i++) {
        say_time(&rig, offs_ms[i]);
        assert_int_equal(
            shared_time_ms(time, clock), clock->wall_ms - offs_ms[i]);
        if (i == 1) {
            say_time(&rig, 0); /* else the next is too near to this one */
        }
    }
    rig_close(&rig);
    (void)log_given_text(&log);
    assert_int_equal(log_given_count(&log, "clock_differs"), 2);
    assert_int_equal(
        log_given_count(&log, "clock_differs ahead_ms=\"1001\""), 1);
    assert_int_equal(
        log_given_count(&log, "clock_differs ahead_ms=\"-1001\""), 1);
    assert_int_equal(log_given_count(&log, "clock_agrees"), 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(
            a_round_is_sent_twice_a_second_and_counts_from_then, peers_end),
        cmocka_unit_test_teardown(
            a_round_that_took_its_time_is_followed_by_the_next_at_once,
            peers_end),
        cmocka_unit_test_teardown(
            a_server_is_asked_every_half_minute_what_it_is, peers_end),
        cmocka_unit_test_teardown(
            a_server_that_refuses_a_probe_is_not_trusted_until_it_takes_one,
            peers_end),
        cmocka_unit_test_teardown(
            a_full_server_that_deletes_is_trusted, peers_end),
        cmocka_unit_test_teardown(
            a_key_that_is_elsewhere_is_changed_and_ends_no_trust, peers_end),
        cmocka_unit_test_teardown(
            a_server_that_does_not_answer_is_not_trusted_after_the_bound,
            peers_end),
        cmocka_unit_test_teardown(
            a_server_that_was_never_heard_is_silent_after_the_bound, peers_end),
        cmocka_unit_test_teardown(
            a_call_that_comes_before_the_first_answers_waits_for_them,
            peers_end),
        cmocka_unit_test_teardown(
            a_call_does_not_wait_for_the_first_answers_when_they_are_late,
            peers_end),
        cmocka_unit_test_teardown(
            what_one_has_is_not_used_while_more_than_half_are_silent,
            peers_end),
        cmocka_unit_test_teardown(
            the_first_majority_is_doubted_when_it_took_longer_than_the_bound,
            peers_end),
        cmocka_unit_test_teardown(
            nodes_of_a_new_map_are_probed_and_no_others, peers_end),
        cmocka_unit_test_teardown(
            a_probe_whose_slot_is_given_away_takes_another_key_at_once,
            peers_end),
        cmocka_unit_test_teardown(
            the_map_is_asked_for_each_second_while_deletions_are_young,
            peers_end),
        cmocka_unit_test_teardown(
            nothing_is_used_of_a_lost_connection_until_it_is_known_whose_the_next_is,
            peers_end),
        cmocka_unit_test_teardown(
            who_may_not_ask_what_it_is_trusts_and_is_told_once, peers_end),
        cmocka_unit_test_teardown(
            a_restart_is_told_and_what_was_there_before_is_used_only_with_an_aof,
            peers_end),
        cmocka_unit_test_teardown(
            snapshots_are_warned_of_once_where_there_is_no_aof, peers_end),
        cmocka_unit_test_teardown(
            a_clock_that_is_off_by_more_than_a_second_is_told_and_its_return,
            peers_end),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
