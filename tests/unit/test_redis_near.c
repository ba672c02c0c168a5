/* What may be used from memory, by what the room has noted of slot and node.
   What its link notes is noted here by hand; the link has a test of its own. */
#include "redis_peer.h"

#include "nearside/redis/hold.h"
#include "nearside/redis/near.h"

static const struct redis_opts standalone = {.mode = REDIS_MODE_STANDALONE};

static const uint16_t slot = 7629; /* of k */

static void
on_changed(void *ctx, struct slice key)
{
    (void)ctx;
    (void)key;
}

/* A server that is trusted, and of which nobody tells anything. */
static void
open_one(struct rig *rig)
{
    peers_new(1);
    peers_open(rig, standalone, 1);
    PEERS_AWAIT(
        rig, atomic_load(&peer_node(rig, &peers[0])->state) == NODE_TRUSTED);
    peers_rest(rig);
    rig->redis->on_changed = on_changed;
    assert_int_equal(slot_of(SLICE("k")), slot);
}

static void
given_telling(struct rig *rig, enum node_telling telling, int64_t until_ms)
{
    struct node *node = peer_node(rig, &peers[0]);

    atomic_store(&node->coherent_until_ms, until_ms);
    atomic_store(&node->telling, (int)telling);
}

/* A mark of a server that tells of its changes for a second to come. */
static struct near_mark
given_mark(struct rig *rig)
{
    struct near_mark mark = {0};

    given_telling(rig, NODE_TELLS, loop_now_ms(rig->loop) + 1000);
    assert_true(near_take_mark(rig->client, slot, &mark));
    assert_null(near_why_not(rig->client, near_look(rig->client), &mark));
    return mark;
}

static void
assert_unusable(struct rig *rig, const struct near_mark *mark, const char *why,
    bool is_void)
{
    const char *got = near_why_not(rig->client, near_look(rig->client), mark);

    assert_non_null(got);
    assert_string_equal(got, why);
    assert_int_equal(near_is_void(rig->client, mark), is_void);
}

static void
nothing_is_kept_of_a_server_that_does_not_tell(void **state)
{
    struct near_mark mark;
    struct rig rig = {0};

    (void)state;
    open_one(&rig);
    assert_false(near_take_mark(rig.client, slot, &mark));
    given_telling(&rig, NODE_TELLS, loop_now_ms(rig.loop) + 1000);
    assert_true(near_take_mark(rig.client, slot, &mark));
    rig.redis->on_changed = NULL; /* nobody listens */
    assert_false(near_take_mark(rig.client, slot, &mark));
    rig_close(&rig);
}

static void
an_entry_is_used_while_the_coherence_lease_lasts_and_when_it_is_back(
    void **state)
{
    struct near_mark mark;
    struct rig rig = {0};

    (void)state;
    open_one(&rig);
    mark = given_mark(&rig);
    given_telling(&rig, NODE_TELLS, loop_now_ms(rig.loop));
    assert_unusable(&rig, &mark, "link-silent", false);
    given_telling(&rig, NODE_TELLS, loop_now_ms(rig.loop) + 1);
    assert_null(near_why_not(rig.client, near_look(rig.client), &mark));
    rig_close(&rig);
}

/* What has to be dropped for a new lease is dropped after the entry was found
   and before it is judged. */
static void
an_entry_found_before_a_lease_was_renewed_is_not_used_by_that_lease(
    void **state)
{
    struct near_mark mark;
    struct rig rig = {0};
    uint32_t look;

    (void)state;
    open_one(&rig);
    mark = given_mark(&rig);
    look = near_look(rig.client);
    atomic_fetch_add(&rig.redis->trust->news, 1);
    assert_string_equal(near_why_not(rig.client, look, &mark), "link-silent");
    assert_null(near_why_not(rig.client, near_look(rig.client), &mark));
    rig_close(&rig);
}

static void
an_entry_is_used_as_a_shared_value_is(void **state)
{
    struct near_mark mark;
    struct rig rig = {0};
    struct node *node;

    (void)state;
    open_one(&rig);
    mark = given_mark(&rig);
    node = peer_node(&rig, &peers[0]);
    redis_hold(rig.client, slot);
    assert_unusable(&rig, &mark, "deletion-pending", false);
    redis_release(rig.client, slot);
    assert_null(near_why_not(rig.client, near_look(rig.client), &mark));
    atomic_store(&node->usable_until_ms, 0);
    assert_unusable(&rig, &mark, "redis-minority", false);
    atomic_store(&node->state, NODE_SILENT);
    assert_unusable(&rig, &mark, "redis-silent", false);
    rig_close(&rig);
}

static void
an_entry_is_void_when_its_slot_has_another_owner_and_even_when_it_comes_back(
    void **state)
{
    struct near_mark mark;
    struct near_mark other;
    struct rig rig = {0};
    struct trust *trust;
    uint32_t owner;

    (void)state;
    open_one(&rig);
    mark = given_mark(&rig);
    trust = rig.redis->trust;
    owner = atomic_load(&trust->slots[slot].owner);
    assert_true(trust_see_owner(trust, slot, TRUST_NOBODY, 1, 1));
    assert_unusable(&rig, &mark, "slot-changed", true);
    assert_false(near_take_mark(rig.client, slot, &other));
    assert_true(trust_see_owner(trust, slot, owner, 1, 1));
    assert_unusable(&rig, &mark, "slot-changed", true);
    assert_true(near_take_mark(rig.client, slot, &other));
    assert_false(near_is_void(rig.client, &other));
    rig_close(&rig);
}

/* It is kept, and read again; what follows a loss does not bring it back. */
static void
an_entry_is_unverified_for_good_when_its_link_was_lost(void **state)
{
    struct near_mark mark;
    struct near_mark young;
    struct rig rig = {0};

    (void)state;
    open_one(&rig);
    mark = given_mark(&rig);
    trust_unverify_slot(rig.redis->trust, slot);
    assert_unusable(&rig, &mark, "link-lost", false);
    young = given_mark(&rig);
    trust_void_slot(rig.redis->trust, slot);
    assert_unusable(&rig, &mark, "slot-changed", true);
    assert_unusable(&rig, &young, "slot-changed", true);
    young = given_mark(&rig);
    trust_unverify_slot(rig.redis->trust, slot);
    assert_unusable(&rig, &young, "link-lost", false);
    assert_unusable(&rig, &mark, "slot-changed", true);
    rig_close(&rig);
}

static void
stamps_begin_anew_after_the_last(void **state)
{
    struct near_mark mark;
    struct rig rig = {0};
    struct trust_slot *s;

    (void)state;
    open_one(&rig);
    s = &rig.redis->trust->slots[slot];
    atomic_store(&s->stamp, TRUST_STAMPS - 1);
    atomic_store(&s->void_before, TRUST_STAMPS - 2);
    mark = given_mark(&rig);
    trust_unverify_slot(rig.redis->trust, slot);
    assert_int_equal(atomic_load(&s->stamp), 0);
    assert_unusable(&rig, &mark, "link-lost", false);
    trust_void_slot(rig.redis->trust, slot);
    assert_unusable(&rig, &mark, "slot-changed", true);
    rig_close(&rig);
}

/* A reply that was given while `happens` did. */
static bool
is_kept_after(struct rig *rig, void (*happens)(struct rig *rig))
{
    struct near_mark mark = given_mark(rig);
    struct told t;

    peer_says(&peers[0], "GET k", "");
    memset(&t, 0, sizeof(t));
    t.call.deadline_ms = loop_now_ms(rig->loop) + 5000;
    send_words(rig, &t, "GET k");
    PEERS_AWAIT(rig, peer_heard(&peers[0], "GET k") == 1);
    happens(rig);
    (void)!write(peers[0].fd, "$1\r\nv\r\n", 7);
    PEERS_AWAIT(rig, t.times > 0);
    assert_int_equal(run_end(&t), RC_OK);
    peer_says(&peers[0], "GET k", NULL);
    peer_forget(&peers[0]);
    return near_may_keep(rig->client, &mark, &t.call);
}

static void
happens_nothing(struct rig *rig)
{
    (void)rig;
}

static void
happens_loss(struct rig *rig)
{
    trust_unverify_slot(rig->redis->trust, slot);
}

static void
happens_move(struct rig *rig)
{
    struct trust *trust = rig->redis->trust;
    uint32_t owner = atomic_load(&trust->slots[slot].owner);

    assert_true(trust_see_owner(trust, slot, TRUST_NOBODY, 1, 1));
    assert_true(trust_see_owner(trust, slot, owner, 1, 1));
}

static void
happens_departure(struct rig *rig)
{
    struct trust *trust = rig->redis->trust;

    assert_true(trust_see_owner(trust, slot, TRUST_NOBODY, 1, 1));
}

static void
a_reply_is_kept_when_nothing_has_happened_to_slot_and_link_meanwhile(
    void **state)
{
    struct rig rig = {0};

    (void)state;
    open_one(&rig);
    assert_true(is_kept_after(&rig, happens_nothing));
    assert_false(is_kept_after(&rig, happens_loss));
    assert_false(is_kept_after(&rig, happens_move));
    assert_false(is_kept_after(&rig, happens_departure));
    rig_close(&rig);
}

/* It may have been left there by a migration that was given up; and a
   redirected one comes from a node that has not told of anything yet. */
static void
a_reply_that_came_by_a_redirection_is_not_kept(void **state)
{
    static const char *const words[] = {"ASK", "MOVED"};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
        struct near_mark mark;
        char answer[64];
        struct rig rig = {0};
        struct told t;

        peers_new(2);
        peers_open(&rig, (struct redis_opts){0}, 1);
        rig.redis->on_changed = on_changed;
        PEERS_AWAIT(&rig, rig_map_is_whole(&rig));
        mark = given_mark(&rig);
        snprintf(answer, sizeof(answer), "-%s %u 127.0.0.1:%u\r\n", words[i],
            slot, peers[1].port);
        peer_says(&peers[0], "GET k", answer);
        assert_int_equal(peers_run(&rig, &t, "GET k"), RC_OK);
        assert_int_equal(peer_heard(&peers[1], "GET k"), 1);
        assert_false(near_may_keep(rig.client, &mark, &t.call));
        assert_unusable(&rig, &mark, "slot-changed", true);
        rig_close(&rig);
        (void)peers_end(NULL);
    }
}

static void
what_is_read_from_a_server_that_need_not_tell_is_used_for_the_bound(
    void **state)
{
    struct near_mark mark = {0};
    struct rig rig = {0};
    struct told t;

    (void)state;
    open_one(&rig);
    given_telling(&rig, NODE_NEED_NOT, 0);
    peers_pass_rounds(&rig, 1); /* whatever the time is */
    assert_true(near_take_mark(rig.client, slot, &mark));
    assert_null(near_why_not(rig.client, near_look(rig.client), &mark));
    assert_int_equal(peers_run(&rig, &t, "GET k"), RC_OK);
    assert_true(near_may_keep(rig.client, &mark, &t.call));
    peers_pass_rounds(&rig, 3);
    assert_null(near_why_not(rig.client, near_look(rig.client), &mark));
    peers_pass(&rig, 2000 - 3 * PEER_ROUND_MS);
    assert_unusable(&rig, &mark, "memory-old", false);
    assert_false(near_may_keep(rig.client, &mark, &t.call));
    rig_close(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(
            nothing_is_kept_of_a_server_that_does_not_tell, peers_end),
        cmocka_unit_test_teardown(
            an_entry_is_used_while_the_coherence_lease_lasts_and_when_it_is_back,
            peers_end),
        cmocka_unit_test_teardown(
            an_entry_found_before_a_lease_was_renewed_is_not_used_by_that_lease,
            peers_end),
        cmocka_unit_test_teardown(
            an_entry_is_used_as_a_shared_value_is, peers_end),
        cmocka_unit_test_teardown(
            an_entry_is_void_when_its_slot_has_another_owner_and_even_when_it_comes_back,
            peers_end),
        cmocka_unit_test_teardown(
            an_entry_is_unverified_for_good_when_its_link_was_lost, peers_end),
        cmocka_unit_test_teardown(stamps_begin_anew_after_the_last, peers_end),
        cmocka_unit_test_teardown(
            a_reply_is_kept_when_nothing_has_happened_to_slot_and_link_meanwhile,
            peers_end),
        cmocka_unit_test_teardown(
            a_reply_that_came_by_a_redirection_is_not_kept, peers_end),
        cmocka_unit_test_teardown(
            what_is_read_from_a_server_that_need_not_tell_is_used_for_the_bound,
            peers_end),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
