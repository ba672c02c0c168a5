/* The link, against servers that say what a test wants. */
#include "redis_peer.h"

#include "nearside/redis/near.h"

#define SUBSCRIBED                                                             \
    "*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n"
#define PONG    "*2\r\n$4\r\npong\r\n$0\r\n\r\n"
#define MESSAGE "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n"

static const uint16_t slot = 7629; /* of k */

/* What was told to be changed, a key a line. */
static char changed[256];

static void
on_changed(void *ctx, struct slice key)
{
    size_t len = strlen(changed);

    (void)ctx;
    assert_true(len + key.len + 2 < sizeof(changed));
    memcpy(changed + len, key.ptr, key.len);
    strcpy(changed + len + key.len, "\n");
}

static void
given_teller(struct peer *p)
{
    peer_says(p, "CLIENT ID", ":7\r\n");
    peer_says(p, "CLIENT LIST", "-NOPERM no\r\n");
    peer_says(p, "SUBSCRIBE", SUBSCRIBED);
    peer_says(p, "PING", PONG);
}

static void
given_peers(unsigned len)
{
    changed[0] = '\0';
    peers_new(len);
    for (unsigned i = 0; i < len; i++) {
        given_teller(&peers[i]);
    }
}

static int
telling(struct rig *rig)
{
    return atomic_load(&peer_node(rig, &peers[0])->telling);
}

static int64_t
coherent_until_ms(struct rig *rig)
{
    return atomic_load(&peer_node(rig, &peers[0])->coherent_until_ms);
}

static void
open_with(struct rig *rig, struct redis_opts opts)
{
    rig->on_changed = on_changed;
    peers_open(rig, opts, 1);
    PEERS_AWAIT(rig,
        rig_map_is_whole(rig) &&
            atomic_load(&peer_node(rig, &peers[0])->state) == NODE_TRUSTED);
    peers_rest(rig);
}

/* One server, whose link is alive and has a lease. */
static void
open_one(struct rig *rig)
{
    given_peers(1);
    open_with(rig, (struct redis_opts){0});
    PEERS_AWAIT(rig, coherent_until_ms(rig) > 0);
    assert_int_equal(telling(rig), NODE_TELLS);
    assert_int_equal(rig_metric(rig, "links"), 1);
}

static struct near_mark
given_mark(struct rig *rig)
{
    struct near_mark mark = {0};

    assert_true(near_take_mark(rig->client, slot, &mark));
    assert_null(near_why_not(rig->client, near_look(rig->client), &mark));
    return mark;
}

static void
assert_unusable(struct rig *rig, const struct near_mark *mark, const char *why)
{
    const char *got = near_why_not(rig->client, near_look(rig->client), mark);

    assert_non_null(got);
    assert_string_equal(got, why);
    assert_int_equal(
        near_is_void(rig->client, mark), strcmp(why, "slot-changed") == 0);
}

static void
peer_tells(struct rig *rig, const char *text)
{
    assert_int_equal(
        write(peers[0].told_fd, text, strlen(text)), (ssize_t)strlen(text));
    peers_rest(rig);
}

/* ---- how it begins ------------------------------------------------------- */

static void
nothing_is_live_before_the_subscription_is_confirmed(void **state)
{
    struct near_mark mark;
    struct rig rig = {0};

    (void)state;
    given_peers(1);
    peer_says(&peers[0], "SUBSCRIBE", "");
    peer_says(&peers[0], "PING", "");
    open_with(&rig, (struct redis_opts){0});
    PEERS_AWAIT(&rig, peer_heard(&peers[0], "SUBSCRIBE") == 1);
    peers_rest(&rig);
    assert_false(near_take_mark(rig.client, slot, &mark));
    peer_tells(&rig, SUBSCRIBED);
    assert_true(near_take_mark(rig.client, slot, &mark));
    assert_unusable(&rig, &mark, "link-silent");
    peer_tells(&rig, PONG);
    assert_null(near_why_not(rig.client, near_look(rig.client), &mark));
    rig_close(&rig);
}

static void
a_server_is_asked_to_tell_of_entries_over_the_connection_itself(void **state)
{
    struct rig rig = {0};

    (void)state;
    open_one(&rig);
    assert_int_equal(peer_heard(&peers[0], "CLIENT ID\n"), 1);
    assert_int_equal(peer_heard(&peers[0],
                         "CLIENT TRACKING ON REDIRECT 7 BCAST PREFIX ns:e:\n"
                         "CLIENT NO-EVICT ON\nCLIENT LIST ID 7\n"
                         "SUBSCRIBE __redis__:invalidate\nPING\n"),
        1);
    rig_close(&rig);
}

static void
without_anybody_who_keeps_what_is_read_no_server_is_asked_to_tell(void **state)
{
    struct rig rig = {0};

    (void)state;
    given_peers(1);
    peers_open(&rig, (struct redis_opts){0}, 1);
    PEERS_AWAIT(&rig, rig_map_is_whole(&rig));
    peers_pass_rounds(&rig, 3);
    assert_int_equal(peer_heard(&peers[0], "CLIENT ID"), 0);
    rig_close(&rig);
}

/* What Redis 6.2 says of itself ends with redir, and 7.0 has more behind it. */
static void
a_server_whose_list_knows_of_tracking_is_relied_on(void **state)
{
    static const char *const lists[] = {
        "$36\r\nid=7 flags=PtB user=default redir=7\n\r\n",
        "$43\r\nid=7 flags=PtB user=default redir=7 resp=2\n\r\n",
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(lists); i++) {
        struct rig rig = {0};

        given_peers(1);
        peer_says(&peers[0], "CLIENT LIST", lists[i]);
        open_with(&rig, (struct redis_opts){0});
        PEERS_AWAIT(&rig, telling(&rig) != NODE_TELLS_NOT);
        assert_int_equal(telling(&rig), NODE_TELLS);
        rig_close(&rig);
        (void)peers_end(NULL);
    }
}

static bool
is_back(struct rig *rig)
{
    return telling(rig) == NODE_TELLS &&
           atomic_load(&peer_node(rig, &peers[0])->state) == NODE_TRUSTED;
}

/* Its name leads to another one by now, which new connections find. */
static void
a_standalone_server_that_was_demoted_is_left(void **state)
{
    struct near_mark mark;
    struct rig rig = {0};

    (void)state;
    given_peers(1);
    open_with(&rig, (struct redis_opts){.mode = REDIS_MODE_STANDALONE});
    PEERS_AWAIT(&rig, coherent_until_ms(&rig) > 0);
    mark = given_mark(&rig);
    assert_int_equal(peer_heard(&peers[0], "CLIENT ID"), 1);
    peer_forget(&peers[0]);
    peer_says(&peers[0], "SET ", "-READONLY it is\r\n");
    /* By rounds, as its clock does not go on by itself, and as many as a busy
       machine needs to have connections made. */
    for (int i = 0; i < 500 && peer_heard(&peers[0], "CLIENT ID") == 0; i++) {
        peers_pass_rounds(&rig, 1);
    }
    assert_true(peer_heard(&peers[0], "CLIENT ID") > 0);
    peer_says(&peers[0], "SET ", NULL);
    for (int i = 0; i < 500 && !is_back(&rig); i++) {
        peers_pass_rounds(&rig, 1);
    }
    assert_true(is_back(&rig));
    assert_unusable(&rig, &mark, "link-lost");
    rig_close(&rig);
    (void)peers_end(NULL);
}

/* ---- who does not tell --------------------------------------------------- */

static const struct {
    const char *words;
    const char *answer;
} refusals[] = {
    {"CLIENT ID", "-NOPERM no\r\n"},
    {"CLIENT ID", "+OK\r\n"},
    {"CLIENT TRACKING", "-ERR unknown subcommand\r\n"},
    {"CLIENT TRACKING", ":1\r\n"},
    {"CLIENT LIST", "$33\r\nid=7 flags=N redir=-1 name=a tot=0\r\n"},
    {"SUBSCRIBE", "-NOPERM no such channel\r\n"},
    {"SUBSCRIBE", PONG},
};

static void
assert_refusal(unsigned i, enum redis_coherence coherence)
{
    bool is_auto = coherence == REDIS_COHERENCE_AUTO;
    struct near_mark mark = {0};
    struct log_given log;
    struct rig rig = {0};

    log_given_open(&log);
    rig.ring = log.ring;
    given_peers(1);
    peer_says(&peers[0], refusals[i].words, refusals[i].answer);
    open_with(&rig, (struct redis_opts){.coherence = coherence});
    PEERS_AWAIT(&rig, rig_metric(&rig, "links_refused") == 1);
    assert_int_equal(telling(&rig), is_auto ? NODE_NEED_NOT : NODE_TELLS_NOT);
    assert_int_equal(near_take_mark(rig.client, slot, &mark), is_auto);
    peer_forget(&peers[0]);
    peers_pass_rounds(&rig, 116); /* some 59 s */
    assert_int_equal(peer_heard(&peers[0], "CLIENT ID"), 0);
    peers_pass_rounds(&rig, 6);
    assert_int_equal(peer_heard(&peers[0], "CLIENT ID"), 1);
    PEERS_AWAIT(&rig, rig_metric(&rig, "links_refused") == 1);
    peer_says(&peers[0], refusals[i].words, NULL);
    given_teller(&peers[0]);
    peers_pass_rounds(&rig, 122);
    PEERS_AWAIT(&rig, telling(&rig) == NODE_TELLS);
    assert_int_equal(rig_metric(&rig, "links_refused"), 0);
    rig_close(&rig);
    (void)log_given_text(&log);
    assert_int_equal(log_given_count(&log, "redis_tracking_refused"), 1);
    assert_int_equal(log_given_count(&log, "redis_link_up"), 1);
    (void)peers_end(NULL);
}

static void
a_server_that_does_not_tell_is_asked_again_after_a_minute(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(refusals); i++) {
        assert_refusal(i, REDIS_COHERENCE_AUTO);
    }
    assert_refusal(0, REDIS_COHERENCE_TRACKING);
}

static void
a_server_that_cannot_answer_now_is_asked_again_soon(void **state)
{
    struct near_mark mark;
    struct rig rig = {0};

    (void)state;
    given_peers(1);
    peer_says(&peers[0], "CLIENT TRACKING", "-BUSY a script runs\r\n");
    open_with(&rig, (struct redis_opts){0});
    PEERS_AWAIT(&rig, peer_heard(&peers[0], "CLIENT TRACKING") == 1);
    peers_rest(&rig);
    assert_false(near_take_mark(rig.client, slot, &mark));
    assert_int_equal(rig_metric(&rig, "links_refused"), 0);
    peer_says(&peers[0], "CLIENT TRACKING", NULL);
    peers_pass_rounds(&rig, 1);
    PEERS_AWAIT(&rig, telling(&rig) == NODE_TELLS);
    rig_close(&rig);
}

static void
no_server_is_asked_to_tell_where_that_is_not_wanted(void **state)
{
    struct near_mark mark = {0};
    struct rig rig = {0};

    (void)state;
    given_peers(1);
    open_with(&rig, (struct redis_opts){.coherence = REDIS_COHERENCE_TTL});
    peers_pass_rounds(&rig, 130);
    assert_int_equal(peer_heard(&peers[0], "CLIENT ID"), 0);
    (void)near_look(rig.client);
    peers_pass_rounds(&rig, 2); /* the map is asked for */
    assert_true(near_take_mark(rig.client, slot, &mark));
    assert_null(near_why_not(rig.client, near_look(rig.client), &mark));
    peers_pass_rounds(&rig, 4);
    assert_unusable(&rig, &mark, "memory-old");
    rig_close(&rig);
}

/* ---- what it tells ------------------------------------------------------- */

static void
changed_keys_are_handed_on_and_nothing_else_changes(void **state)
{
    struct near_mark mark;
    struct rig rig = {0};

    (void)state;
    open_one(&rig);
    mark = given_mark(&rig);
    peer_tells(&rig, MESSAGE "*2\r\n$7\r\nns:e:{a\r\n$4\r\nns:e\r\n" MESSAGE
                             "*1\r\n$1\r\nx\r\n");
    assert_string_equal(changed, "ns:e:{a\nns:e\nx\n");
    assert_null(near_why_not(rig.client, near_look(rig.client), &mark));
    assert_int_equal(rig_metric(&rig, "invalidations_total"), 3);
    assert_int_equal(rig_metric(&rig, "links_lost_total"), 0);
    rig_close(&rig);
}

static void
when_all_keys_are_changed_the_entries_of_that_node_alone_are_void(void **state)
{
    static const uint16_t other = 16000;
    struct near_mark mark;
    struct near_mark others = {0};
    struct rig rig = {0};

    (void)state;
    given_peers(2);
    open_with(&rig, (struct redis_opts){0});
    PEERS_AWAIT(&rig,
        coherent_until_ms(&rig) > 0 && rig_metric(&rig, "links") == 2 &&
            near_take_mark(rig.client, other, &others) &&
            near_why_not(rig.client, near_look(rig.client), &others) == NULL);
    mark = given_mark(&rig);
    peer_tells(&rig, MESSAGE "$-1\r\n");
    assert_unusable(&rig, &mark, "slot-changed");
    assert_null(near_why_not(rig.client, near_look(rig.client), &others));
    mark = given_mark(&rig);
    peer_tells(&rig, MESSAGE "*-1\r\n");
    assert_unusable(&rig, &mark, "slot-changed");
    assert_int_equal(rig_metric(&rig, "invalidations_of_all_total"), 2);
    assert_int_equal(rig_metric(&rig, "links"), 2);
    rig_close(&rig);
}

static void
what_is_no_message_voids_all_and_ends_the_link(void **state)
{
    static const char *const texts[] = {
        "+OK\r\n",
        "-ERR what\r\n",
        ":1\r\n",
        "$-1\r\n",
        "*0\r\n",
        PONG, /* that nobody has asked for */
        SUBSCRIBED,
        MESSAGE "*1\r\n:1\r\n",
        MESSAGE "*2\r\n$1\r\na\r\n$-1\r\n",
        MESSAGE "$1\r\na\r\n",
        MESSAGE "*1\r\n*1\r\n$1\r\na\r\n",
        "*3\r\n$7\r\nmessage\r\n$5\r\nother\r\n*1\r\n$1\r\na\r\n",
        "*3\r\n$8\r\npmessage\r\n$20\r\n__redis__:invalidate\r\n*0\r\n",
        "*2\r\n$7\r\nmessage\r\n*1\r\n$1\r\na\r\n",
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(texts); i++) {
        struct near_mark mark;
        struct rig rig = {0};

        open_one(&rig);
        mark = given_mark(&rig);
        peer_tells(&rig, texts[i]);
        assert_string_equal(changed, "");
        assert_int_equal(rig_metric(&rig, "links_lost_total"), 1);
        assert_unusable(&rig, &mark, "slot-changed");
        assert_false(near_take_mark(rig.client, slot, &mark));
        peers_pass_rounds(&rig, 1);
        PEERS_AWAIT(&rig, telling(&rig) == NODE_TELLS);
        rig_close(&rig);
        (void)peers_end(NULL);
    }
}

/* What is no RESP at all ends it as a loss does. */
static void
an_entry_is_unverified_at_once_when_its_link_is_lost(void **state)
{
    static const char *const texts[] = {"", "what\r\n", "*2147483648\r\n"};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(texts); i++) {
        struct near_mark mark;
        struct near_mark other;
        struct rig rig = {0};

        open_one(&rig);
        mark = given_mark(&rig);
        if (texts[i][0] == '\0') {
            shutdown(peers[0].told_fd, SHUT_RDWR);
            PEERS_AWAIT(&rig, rig_metric(&rig, "links_lost_total") == 1);
        } else {
            peer_tells(&rig, texts[i]);
        }
        assert_int_equal(rig_metric(&rig, "links_lost_total"), 1);
        assert_int_equal(coherent_until_ms(&rig), 0);
        assert_unusable(&rig, &mark, "link-lost");
        assert_false(near_take_mark(rig.client, slot, &other));
        peers_pass_rounds(&rig, 1);
        PEERS_AWAIT(&rig, coherent_until_ms(&rig) > 0);
        assert_unusable(&rig, &mark, "link-lost");
        (void)given_mark(&rig);
        rig_close(&rig);
        (void)peers_end(NULL);
    }
}

/* ---- the coherence lease ------------------------------------------------- */

static void
a_lease_counts_from_when_its_ping_was_sent(void **state)
{
    struct near_mark mark;
    struct rig rig = {0};
    int64_t sent_ms;
    uint32_t look;

    (void)state;
    given_peers(1);
    open_with(&rig, (struct redis_opts){.coherence_bound_ms = 1500});
    PEERS_AWAIT(&rig, coherent_until_ms(&rig) > 0);
    mark = given_mark(&rig);
    look = near_look(rig.client);
    peer_says(&peers[0], "PING", "");
    peer_forget(&peers[0]);
    peers_pass(&rig, PEER_ROUND_MS);
    assert_int_equal(peer_heard(&peers[0], "PING"), 1);
    sent_ms = loop_now_ms(rig.loop);
    peers_pass(&rig, 400);
    peer_tells(&rig, PONG);
    assert_int_equal(coherent_until_ms(&rig), sent_ms + 1500 - TRUST_TURN_MS);
    /* It is no lease for what was found before it. */
    assert_string_equal(near_why_not(rig.client, look, &mark), "link-silent");
    assert_null(near_why_not(rig.client, near_look(rig.client), &mark));
    rig_close(&rig);
}

/* Also when the probes are answered longer than that. */
static void
an_entry_is_not_used_for_longer_than_a_bound_that_is_shorter(void **state)
{
    struct near_mark mark;
    struct rig rig = {0};

    (void)state;
    given_peers(1);
    open_with(&rig, (struct redis_opts){.coherence_bound_ms = 1000});
    PEERS_AWAIT(&rig, coherent_until_ms(&rig) > 0);
    mark = given_mark(&rig);
    peer_says(&peers[0], "SET ", "");
    peers_pass(&rig, PEER_ROUND_MS);
    assert_null(near_why_not(rig.client, near_look(rig.client), &mark));
    peers_pass(&rig, PEER_ROUND_MS);
    assert_non_null(near_why_not(rig.client, near_look(rig.client), &mark));
    assert_true(coherent_until_ms(&rig) > loop_now_ms(rig.loop));
    rig_close(&rig);
}

static void
an_entry_is_unverified_while_the_link_is_silent_and_used_when_it_is_heard(
    void **state)
{
    struct near_mark mark;
    struct log_given log;
    struct rig rig = {0};

    (void)state;
    log_given_open(&log);
    rig.ring = log.ring;
    open_one(&rig);
    peer_says(&peers[0], "PING", "");
    mark = given_mark(&rig);
    peers_pass_rounds(&rig, 3);
    assert_null(near_why_not(rig.client, near_look(rig.client), &mark));
    peers_pass_rounds(&rig, 1);
    assert_unusable(&rig, &mark, "link-silent");
    assert_int_equal(rig_metric(&rig, "leases_lapsed_total"), 1);
    peer_says(&peers[0], "PING", PONG);
    peer_tells(&rig, MESSAGE "*1\r\n$1\r\na\r\n" PONG);
    assert_string_equal(changed, "a\n");
    PEERS_AWAIT(
        &rig, near_why_not(rig.client, near_look(rig.client), &mark) == NULL);
    assert_int_equal(rig_metric(&rig, "links_lost_total"), 0);
    rig_close(&rig);
    (void)log_given_text(&log);
    assert_int_equal(log_given_count(&log, "redis_link_silent"), 1);
    assert_int_equal(log_given_count(&log, "redis_link_heard"), 1);
}

static void
a_link_that_does_not_answer_for_the_bound_is_given_up(void **state)
{
    struct near_mark mark;
    struct rig rig = {0};

    (void)state;
    open_one(&rig);
    mark = given_mark(&rig);
    peer_says(&peers[0], "PING", "");
    peers_pass_rounds(&rig, 4);
    assert_int_equal(rig_metric(&rig, "links_lost_total"), 0);
    peers_pass_rounds(&rig, 1);
    assert_int_equal(rig_metric(&rig, "links_lost_total"), 1);
    assert_unusable(&rig, &mark, "link-lost");
    rig_close(&rig);
}

/* So is one that is not answered while it begins. */
static void
a_link_that_is_not_answered_while_it_begins_is_given_up(void **state)
{
    static const char *const words[] = {
        "CLIENT ID", "CLIENT TRACKING", "SUBSCRIBE"};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
        struct rig rig = {0};

        given_peers(1);
        peer_says(&peers[0], words[i], "");
        peer_says(&peers[0], "PING", "");
        if (i == 1) {
            peer_says(&peers[0], "CLIENT NO-EVICT", "");
            peer_says(&peers[0], "CLIENT LIST", "");
            peer_says(&peers[0], "SUBSCRIBE", "");
        }
        open_with(&rig, (struct redis_opts){0});
        PEERS_AWAIT(&rig, peer_heard(&peers[0], words[i]) == 1);
        peers_pass_rounds(&rig, 3);
        assert_int_equal(peer_heard(&peers[0], words[i]), 1);
        peers_pass_rounds(&rig, 3);
        assert_int_equal(peer_heard(&peers[0], words[i]), 2);
        rig_close(&rig);
        (void)peers_end(NULL);
    }
}

/* The process was stopped for half a minute. What was told meanwhile lies in
   the socket, and is handed on before anything is used. */
static void
after_a_stall_nothing_is_used_before_the_link_has_answered_anew(void **state)
{
    struct near_mark mark;
    struct rig rig = {0};

    (void)state;
    open_one(&rig);
    mark = given_mark(&rig);
    peers[0].is_held = true;
    peers_pass(&rig, PEER_ROUND_MS);
    (void)!write(peers[0].told_fd, MESSAGE "*1\r\n$1\r\na\r\n" PONG,
        strlen(MESSAGE "*1\r\n$1\r\na\r\n" PONG));
    clock_advance(rig_clock(&rig), 30000);
    assert_unusable(&rig, &mark, "redis-minority");
    peers_pass(&rig, 8);
    assert_string_equal(changed, "a\n");
    assert_non_null(near_why_not(rig.client, near_look(rig.client), &mark));
    assert_true(coherent_until_ms(&rig) < loop_now_ms(rig.loop));
    peer_says(&peers[0], "PING", PONG);
    assert_int_equal(rig_metric(&rig, "links_lost_total"), 0);
    rig_close(&rig);
}

/* ---- the map ------------------------------------------------------------- */

static void
an_entry_is_used_while_the_map_is_young_and_it_is_asked_for_meanwhile(
    void **state)
{
    struct near_mark mark;
    struct rig rig = {0};

    (void)state;
    open_one(&rig);
    mark = given_mark(&rig);
    for (unsigned i = 0; i < 20; i++) {
        peers_pass_rounds(&rig, 1);
        assert_null(near_why_not(rig.client, near_look(rig.client), &mark));
    }
    peers_pass_rounds(&rig, 3); /* one look is to be answered yet */
    peer_forget(&peers[0]);
    peers_pass_rounds(&rig, 4); /* nobody looks */
    assert_int_equal(peer_heard(&peers[0], "CLUSTER SLOTS"), 0);
    assert_unusable(&rig, &mark, "map-old");
    peers_pass_rounds(&rig, 2);
    assert_null(near_why_not(rig.client, near_look(rig.client), &mark));
    rig_close(&rig);
}

/* Redis 7.0 tells nothing of the keys that a node loses with a slot. */
static void
a_slot_that_is_given_to_a_new_node_is_void_within_the_bound(void **state)
{
    struct near_mark mark;
    struct rig rig = {0};
    unsigned rounds = 0;

    (void)state;
    given_peers(2);
    peers[1].first = -1;
    peers[0].last = SLOT_COUNT - 1;
    open_with(&rig, (struct redis_opts){0});
    PEERS_AWAIT(&rig, coherent_until_ms(&rig) > 0);
    mark = given_mark(&rig);
    peers[0].first = slot + 1;
    peers[1].first = 0;
    peers[1].last = slot;
    peers[1].epoch = 9;
    while (near_why_not(rig.client, near_look(rig.client), &mark) == NULL) {
        assert_true(rounds++ < TRUST_BOUND_MS / 500);
        peers_pass_rounds(&rig, 1);
    }
    peers_pass_rounds(&rig, 1);
    assert_unusable(&rig, &mark, "slot-changed");
    rig_close(&rig);
}

static void
a_node_that_leaves_the_map_is_not_told_of_any_more(void **state)
{
    struct near_mark mark;
    struct near_mark other;
    struct rig rig = {0};

    (void)state;
    given_peers(2);
    open_with(&rig, (struct redis_opts){0});
    PEERS_AWAIT(&rig, rig_metric(&rig, "links") == 2);
    PEERS_AWAIT(&rig, coherent_until_ms(&rig) > 0);
    mark = given_mark(&rig);
    peers[1].first = 0;
    peers[1].epoch = 9;
    peers[0].first = -1;
    redis_want_refresh(rig.redis, REFRESH_MOVED);
    for (unsigned i = 0; i < 6 && rig_metric(&rig, "links") != 1; i++) {
        peers_pass_rounds(&rig, 1);
    }
    assert_int_equal(rig_metric(&rig, "links"), 1);
    assert_int_equal(rig_metric(&rig, "links_lost_total"), 0);
    assert_unusable(&rig, &mark, "slot-changed");
    assert_true(near_take_mark(rig.client, slot, &other)); /* of the other */
    /* It may miss deletions. */
    assert_string_equal(near_why_not(rig.client, near_look(rig.client), &other),
        "slot-changed");
    assert_false(near_is_void(rig.client, &other));
    rig_close(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, peers_end)
        T(nothing_is_live_before_the_subscription_is_confirmed),
        T(a_server_is_asked_to_tell_of_entries_over_the_connection_itself),
        T(without_anybody_who_keeps_what_is_read_no_server_is_asked_to_tell),
        T(a_server_whose_list_knows_of_tracking_is_relied_on),
        T(a_standalone_server_that_was_demoted_is_left),
        T(a_server_that_does_not_tell_is_asked_again_after_a_minute),
        T(a_server_that_cannot_answer_now_is_asked_again_soon),
        T(no_server_is_asked_to_tell_where_that_is_not_wanted),
        T(changed_keys_are_handed_on_and_nothing_else_changes),
        T(when_all_keys_are_changed_the_entries_of_that_node_alone_are_void),
        T(what_is_no_message_voids_all_and_ends_the_link),
        T(an_entry_is_unverified_at_once_when_its_link_is_lost),
        T(a_lease_counts_from_when_its_ping_was_sent),
        T(an_entry_is_not_used_for_longer_than_a_bound_that_is_shorter),
        T(an_entry_is_unverified_while_the_link_is_silent_and_used_when_it_is_heard),
        T(a_link_that_does_not_answer_for_the_bound_is_given_up),
        T(a_link_that_is_not_answered_while_it_begins_is_given_up),
        T(after_a_stall_nothing_is_used_before_the_link_has_answered_anew),
        T(an_entry_is_used_while_the_map_is_young_and_it_is_asked_for_meanwhile),
        T(a_slot_that_is_given_to_a_new_node_is_void_within_the_bound),
        T(a_node_that_leaves_the_map_is_not_told_of_any_more),
#undef T
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
