/* Deletions before a real Redis: what goes, what stays, who is told when. */
#include "worker_given.h"

#include "nearside/work/written.h"

struct heard {
    unsigned times;
    bool is_acknowledged;
    const struct written *written;
    uint64_t hash;
    uint32_t count; /* of writes, when it was told */
};

static void
on_done(void *ctx, enum deletion_end end)
{
    struct heard *heard = ctx;

    heard->times++;
    heard->is_acknowledged = end != DELETION_FAILED;
    heard->count = written_count(heard->written, heard->hash);
}

static struct deletion *
start(struct given *g, const struct question *q, struct slice token,
    struct heard *heard)
{
    const struct deletion_opts opts = {
        .own_lease = token.len == 0 ? NULL : held_lease(token),
        .on_done = on_done,
        .ctx = heard};

    *heard =
        (struct heard){.written = g->worker.tier->written, .hash = q->key.hash};
    return deletion_start(&g->worker, &q->key, q->entry_key, &opts);
}

static struct question *
given_kept(struct given *g, struct slice token)
{
    struct question *q = given_question(&g->asking, "GET /a", "");
    struct value value = given_value(g, q, "body", 1000);

    given_stored(g, q, value_slice(&value));
    given_lease(g, q, token);
    value_free(&value);
    return q;
}

static void
entry_and_lease_are_deleted_but_for_a_lease_of_ones_own(void **state)
{
    static const struct {
        const char *token; /* of the deletion; "": none */
        const char *left;  /* of the lease, whose token is token-1 */
    } rows[] = {{"", ""}, {"token-1", "token-1"}, {"token-2", ""}};
    struct given g;

    (void)state;
    given_worker(&g, 5000);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct question *q = given_kept(&g, TOKEN);
        uint32_t before = written_count(g.worker.tier->written, q->key.hash);
        struct heard heard;

        assert_non_null(start(&g, q, slice_of_str(rows[i].token), &heard));
        /* Nobody in this process takes what was fetched before, from now on. */
        assert_int_equal(
            written_count(g.worker.tier->written, q->key.hash), before + 1);
        assert_int_equal(heard.times, 0);
        AWAIT(&g.rig, heard.times > 0);
        assert_true(heard.is_acknowledged);
        /* Nor what a flight found that was opened meanwhile. */
        assert_int_equal(heard.count, before + 2);
        assert_stored(&g, q, NULL);
        assert_string_equal(lease_of(&g, q), rows[i].left);
        assert_true(list_is_empty(&g.worker.tier->deletions));
        assert_int_equal(g.empties, i + 1);
        question_unref(&q);
    }
    assert_int_equal(counted(&g, COUNTER_INVALIDATIONS), 3);
    assert_int_equal(counted(&g, COUNTER_INVALIDATIONS_FAILED), 0);
    worker_over(&g);
}

/* Both ways of deleting are tried again. */
static void
a_deletion_goes_on_until_redis_is_there_again(void **state)
{
    struct given g;

    (void)state;
    given_worker(&g, 30);
    for (int has_token = 0; has_token < 2; has_token++) {
        struct question *q = given_kept(&g, SLICE("token-2"));
        struct heard heard;

        server_stop(g.server);
        start(&g, q, has_token ? TOKEN : SLICE(""), &heard);
        AWAIT(&g.rig, heard.times > 0);
        assert_false(heard.is_acknowledged);
        spin(&g.rig, 100); /* further tries; nothing is told of them */
        assert_false(list_is_empty(&g.worker.tier->deletions));
        kill(g.server->pid, SIGCONT);
        AWAIT(&g.rig, list_is_empty(&g.worker.tier->deletions));
        assert_int_equal(heard.times, 1);
        assert_stored(&g, q, NULL);
        assert_string_equal(lease_of(&g, q), "");
        question_unref(&q);
    }
    assert_int_equal(counted(&g, COUNTER_INVALIDATIONS_FAILED), 0);
    worker_over(&g);
}

/* A refusal is no acknowledgement: here the server is short of replicas. */
static void
a_deletion_that_redis_refuses_is_tried_again(void **state)
{
    struct given g;
    struct question *q;
    struct heard heard;
    char out[64];

    (void)state;
    given_worker(&g, 5000);
    q = given_kept(&g, TOKEN);
    assert_true(
        ask(g.server, out, sizeof(out), "CONFIG SET min-replicas-to-write 1"));
    start(&g, q, SLICE(""), &heard);
    AWAIT(&g.rig, heard.times > 0);
    assert_false(heard.is_acknowledged);
    assert_stored(&g, q, "body");
    assert_true(
        ask(g.server, out, sizeof(out), "CONFIG SET min-replicas-to-write 0"));
    AWAIT(&g.rig, list_is_empty(&g.worker.tier->deletions));
    assert_stored(&g, q, NULL);
    assert_int_equal(heard.times, 1);
    question_unref(&q);
    worker_over(&g);
}

static void
one_that_is_forgotten_goes_on_and_tells_nobody(void **state)
{
    struct given g;
    struct question *q;
    struct heard heard;
    struct deletion *deletion;

    (void)state;
    given_worker(&g, 5000);
    q = given_kept(&g, TOKEN);
    deletion = start(&g, q, SLICE(""), &heard);
    deletion_forget(&deletion);
    assert_null(deletion);
    deletion_forget(&deletion);
    AWAIT(&g.rig, list_is_empty(&g.worker.tier->deletions));
    assert_stored(&g, q, NULL);
    assert_int_equal(heard.times, 0);
    question_unref(&q);
    worker_over(&g);
}

static void
a_worker_that_ends_counts_what_it_gives_up(void **state)
{
    struct given g;
    struct question *q;
    struct heard heard;

    (void)state;
    given_worker(&g, 30);
    q = given_kept(&g, TOKEN);
    server_stop(g.server);
    for (int i = 0; i < 2; i++) {
        start(&g, q, SLICE(""), &heard);
        AWAIT(&g.rig, heard.times > 0);
    }
    assert_int_equal(g.empties, 0);
    tier_worker_stop(&g.worker);
    assert_int_equal(g.empties, 1); /* once, after the last one */
    assert_int_equal(counted(&g, COUNTER_INVALIDATIONS_FAILED), 2);
    question_unref(&q);
    worker_over(&g);
}

/* Many more than may try by themselves, and one more than are remembered. */
static void
beyond_the_maximum_a_deletion_is_lost_and_says_so(void **state)
{
    struct given g;
    struct question *q;
    struct heard heard;
    struct told t;

    (void)state;
    given_worker(&g, 5000);
    q = given_kept(&g, TOKEN);
    g.tier_worker.journal.max = 3000;
    server_stop(g.server);
    for (int i = 0; i < 3000; i++) {
        assert_non_null(start(&g, q, SLICE(""), &heard));
        if (i % 500 == 0) {
            loop_turn(g.rig.loop, 0);
        }
    }
    assert_int_equal(counted(&g, COUNTER_INVALIDATIONS_FAILED), 0);
    assert_int_equal(counted(&g, COUNTER_INVALIDATIONS_PENDING), 3000);
    assert_null(start(&g, q, SLICE(""), &heard));
    assert_int_equal(counted(&g, COUNTER_INVALIDATIONS), 3001);
    assert_int_equal(counted(&g, COUNTER_INVALIDATIONS_FAILED), 1);
    assert_int_equal(limited(&g, LIMIT_DELETIONS), 1);
    kill(g.server->pid, SIGCONT);
    AWAIT(&g.rig, counted(&g, COUNTER_INVALIDATIONS_PENDING) == 0);
    assert_in_range(g.tier_worker.deletions_len, 0, 0);
    assert_stored(&g, q, NULL);
    /* The slot of the one that was lost is not used any more. */
    t = (struct told){.call.is_guarded = true};
    t.call.on_reply = on_told;
    t.call.ctx = &t;
    redis_send(g.rig.client, &t.call, q->entry_key, 2,
        (const struct slice[]){SLICE("GET"), q->entry_key});
    AWAIT(&g.rig, t.times > 0);
    assert_int_equal(t.rc, RC_DOUBT);
    question_unref(&q);
    worker_over(&g);
}

static void
without_a_shared_tier_a_write_is_marked_all_the_same(void **state)
{
    struct given g;
    struct question *q;
    struct heard heard;
    uint32_t before;

    (void)state;
    given_worker(&g, 5000);
    q = given_question(&g.asking, "GET /a", "");
    before = written_count(g.worker.tier->written, q->key.hash);
    g.worker.redis = NULL;
    assert_null(start(&g, q, SLICE(""), &heard));
    assert_int_equal(
        written_count(g.worker.tier->written, q->key.hash), before + 1);
    assert_int_equal(counted(&g, COUNTER_INVALIDATIONS), 1);
    assert_int_equal(heard.times, 0);
    question_unref(&q);
    worker_over(&g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(entry_and_lease_are_deleted_but_for_a_lease_of_ones_own),
        TEST(a_deletion_goes_on_until_redis_is_there_again),
        TEST(a_deletion_that_redis_refuses_is_tried_again),
        TEST(one_that_is_forgotten_goes_on_and_tells_nobody),
        TEST(a_worker_that_ends_counts_what_it_gives_up),
        TEST(beyond_the_maximum_a_deletion_is_lost_and_says_so),
        TEST(without_a_shared_tier_a_write_is_marked_all_the_same),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
