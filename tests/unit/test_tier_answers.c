/*
 * What the tier makes of each thing that Redis may say: to a deletion, to a
 * script, when it refuses commands or values, or is on the move.
 */
#include "worker_given.h"
#include "../support/clock_advance.h"

#include "nearside/redis/hold.h"
#include "nearside/lease/lease.h"
#include "nearside/lease/release.h"
#include "nearside/tier/store.h"
#include "nearside/tier/takes.h"
#include <event2/event.h>

#include "net/loop_inside.h"
#include "redis/pool.h"

struct heard {
    unsigned times;
    enum deletion_end end;
};

static void
on_done(void *ctx, enum deletion_end end)
{
    struct heard *heard = ctx;

    heard->times++;
    heard->end = end;
}

static struct question *
given_kept(struct given *g)
{
    struct question *q = given_question(&g->asking, "GET /a", "");
    struct value value = given_value(g, q, "body", 1000);

    given_stored(g, q, value_slice(&value));
    given_lease(g, q, TOKEN);
    value_free(&value);
    between_heard(g->between);
    return q;
}

static struct heard delete (
    struct given *g, const struct question *q, const char *token)
{
    struct heard heard = {0};
    const struct deletion_opts opts = {
        .own_lease = token[0] == '\0' ? NULL : held_lease(slice_of_str(token)),
        .on_done = on_done,
        .ctx = &heard};

    assert_non_null(deletion_start(&g->worker, &q->key, q->entry_key, &opts));
    AWAIT(&g->rig, list_is_empty(&g->worker.tier->deletions));
    assert_int_equal(heard.times, 1);
    return heard;
}

/* --- deletions --------------------------------------------------------- */

#define E  "ns:e:{http://h/a}"
#define L  "ns:l:{http://h/a}"
#define D  "DEL "
#define NO "-ASK 1 127.0.0.1:1\r\n" /* of a slot on the move */

/* What was said to the first command that begins so, and what follows. */
static void
a_deletion_is_done_when_both_are_gone_and_the_lease_was_first(void **state)
{
    static const struct {
        const char *token;
        const char *begins[2];
        const char *answer[2];
        enum deletion_end end; /* what is told first */
        const char *heard;
    } rows[] = {
        {"", {""}, {""}, DELETION_DONE, D E " " L},
        /* Of two commands one goes somewhere else: each by its own. An entry
           whose DEL was sent before the lease's was acknowledged may have been
           stored again. */
        {"", {D E " " L}, {NO}, DELETION_DONE,
            D E " " L "; " D L "; " D E "; " D E},
        {"", {D E " " L}, {"-TRYAGAIN x\r\n"}, DELETION_DONE,
            D E " " L "; " D E " " L},
        {"", {D E " " L, D L}, {NO, "-ERR x\r\n"}, DELETION_FAILED,
            D E " " L "; " D L "; " D E "; " D L "; " D E},
        {"", {D E " " L, D E}, {NO, "-ERR x\r\n"}, DELETION_FAILED,
            D E " " L "; " D L "; " D E "; " D E},
        {"", {D E " " L}, {"-ERR x\r\n"}, DELETION_FAILED,
            D E " " L "; " D E " " L},
        {"", {D E " " L}, {"+OK\r\n"}, DELETION_FAILED,
            D E " " L "; " D E " " L},
        {"token-1", {""}, {""}, DELETION_DONE, "2 " E " " L " token-1"},
        {"token-1", {"EVALSHA"}, {"-NOPERM x\r\n"}, DELETION_DONE_WHOLE,
            "2 " E " " L " token-1; " D E " " L},
        {"token-1", {"EVALSHA"}, {NO}, DELETION_DONE_WHOLE,
            "2 " E " " L " token-1; " D L "; " D E "; " D E},
        {"token-1", {"EVALSHA"}, {"+OK\r\n"}, DELETION_FAILED,
            "2 " E " " L " token-1; 2 " E " " L " token-1"},
    };
    struct given g;

    (void)state;
    given_worker_behind(&g);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct question *q = given_kept(&g);
        struct heard heard;
        const char *words;

        for (unsigned j = 0; j < 2; j++) {
            const char *begins = rows[i].begins[j];
            between_says(g.between, j, begins == NULL ? "" : begins,
                rows[i].answer[j], begins != NULL && begins[0] != '\0');
        }
        heard = delete (&g, q, rows[i].token);
        words = between_heard(g.between);
        if (strcmp(words, rows[i].heard) != 0 || heard.end != rows[i].end) {
            fail_msg("row %zu: %d, %s", i, heard.end, words);
        }
        assert_stored(&g, q, NULL);
        question_unref(&q);
    }
    worker_over(&g);
}

/* All that are remembered, and not only as many as there is room for at once.
 */
static void
deletions_of_slots_that_have_moved_are_all_repeated(void **state)
{
    enum {
        COUNT = 500
    };
    struct given g;
    struct question *q;
    struct trust *trust;
    unsigned repeated;

    (void)state;
    given_worker_behind(&g);
    q = given_kept(&g);
    trust = g.rig.redis->trust;
    for (int i = 0; i < COUNT; i++) {
        deletion_start(
            &g.worker, &q->key, q->entry_key, &(struct deletion_opts){0});
    }
    AWAIT(&g.rig, counted(&g, COUNTER_INVALIDATIONS_PENDING) == 0);
    assert_int_equal(counted(&g, COUNTER_INVALIDATIONS_REPEATED), 0);
    assert_int_equal(g.tier_worker.journal.len, COUNT);
    given_stored(&g, q, SLICE("again"));
    trust_see_owner(trust, slot_of(q->entry_key),
        atomic_load(&trust->slots[0].owner) + 1, 1, 1);
    deletions_tick(&g.worker);
    loop_timer_cancel(&g.tier_worker.tick);
    assert_int_equal(counted(&g, COUNTER_INVALIDATIONS_REPEATED), COUNT);
    assert_int_equal(counted(&g, COUNTER_INVALIDATIONS_PENDING), COUNT);
    trust_see_owner(trust, slot_of(q->entry_key),
        atomic_load(&trust->slots[0].owner), 2, 2);
    repeated = g.empties;
    AWAIT(&g.rig, counted(&g, COUNTER_INVALIDATIONS_PENDING) == 0);
    assert_int_equal(g.empties, repeated + 1);
    assert_stored(&g, q, NULL);
    assert_int_equal(g.tier_worker.journal.len, COUNT);
    question_unref(&q);
    worker_over(&g);
}

/* A node that takes writes again may still refuse some. Each that waits is
   tried once, whatever becomes of those before it. */
static void
each_that_waits_is_tried_once_when_a_node_takes_writes_again(void **state)
{
    enum {
        COUNT = 500,
        ALWAYS = 1000000
    };
    struct given g;
    struct question *q;

    (void)state;
    given_worker_behind(&g);
    q = given_kept(&g);
    for (int i = 0; i < COUNT; i++) {
        struct record *record = journal_add(&g.tier_worker.journal, SLICE(E));

        worker_count_by(&g.worker, COUNTER_INVALIDATIONS_PENDING, 1);
        journal_wait(&g.tier_worker.journal, record);
    }
    between_says(g.between, 0, "DEL " E, "+OK\r\n", ALWAYS);
    redis_on_change(g.rig.client, NULL, NULL);
    deletions_hurry(&g.worker);
    AWAIT(&g.rig, g.tier_worker.deletions_len == 0);
    assert_int_equal(atomic_load(&g.between->rules[0].times), ALWAYS - COUNT);
    assert_int_equal(g.tier_worker.journal.pending, COUNT);
    assert_int_equal(g.tier_worker.pumped, 0);

    /* On a tick not as many; what is old is forgotten. */
    deletions_tick(&g.worker);
    assert_in_range(g.tier_worker.deletions_len, 1, COUNT / 2);
    assert_true(loop_timer_is_armed(&g.tier_worker.tick));
    between_says(g.between, 0, "", "", 0);
    AWAIT(&g.rig, g.tier_worker.journal.pending == 0);
    assert_int_equal(g.tier_worker.journal.len, COUNT);
    atomic_fetch_add(&g.rig.redis->trust->confirmed_ms, JOURNAL_KEPT_MS + 1000);
    loop_timer_cancel(&g.tier_worker.tick);
    deletions_tick(&g.worker);
    assert_int_equal(g.tier_worker.journal.len, 0);
    assert_false(loop_timer_is_armed(&g.tier_worker.tick));
    question_unref(&q);
    worker_over(&g);
}

/* A deletion that there is no memory for waits, and is done; one that cannot
   even be remembered is lost. A lease that is not given back ends by itself. */
static void
without_memory_a_deletion_waits_and_a_lease_ends_by_itself(void **state)
{
    struct given g;
    struct question *q;
    struct heard heard = {0};
    const struct deletion_opts opts = {.on_done = on_done, .ctx = &heard};

    (void)state;
    given_worker_behind(&g);
    q = given_kept(&g);
    heap_refuse(1, 0);
    release_lease(&g.worker, q, held_lease(TOKEN));
    assert_true(nothing_is_sent(&g.worker));
    assert_string_equal(lease_of(&g, q), "token-1");
    heap_refuse(2, 0);
    assert_null(deletion_start(&g.worker, &q->key, q->entry_key, &opts));
    assert_int_equal(limited(&g, LIMIT_MEMORY), 2);
    assert_int_equal(counted(&g, COUNTER_INVALIDATIONS_PENDING), 1);
    heap_refuse(1, 0); /* nor is there on the tick */
    deletions_tick(&g.worker);
    assert_int_equal(g.tier_worker.deletions_len, 0);
    AWAIT(&g.rig, counted(&g, COUNTER_INVALIDATIONS_PENDING) == 0);
    assert_stored(&g, q, NULL);
    assert_int_equal(heard.times, 0);
    assert_int_equal(counted(&g, COUNTER_INVALIDATIONS_FAILED), 0);

    heap_refuse(1, 0);
    assert_null(deletion_start(&g.worker, &q->key, q->entry_key, &opts));
    assert_int_equal(limited(&g, LIMIT_DELETIONS), 1);
    assert_int_equal(counted(&g, COUNTER_INVALIDATIONS_FAILED), 1);
    assert_int_equal(counted(&g, COUNTER_INVALIDATIONS_PENDING), 0);
    question_unref(&q);
    worker_over(&g);
}

/* A client outlives the worker's part of the tier. */
static void
a_worker_that_has_stopped_hears_of_no_change(void **state)
{
    struct given g;

    (void)state;
    given_worker(&g, 5000);
    assert_non_null(g.rig.client->on_change);
    tier_worker_stop(&g.worker);
    assert_null(g.rig.client->on_change);
    worker_over(&g);
}

/* --- stores and leases ------------------------------------------------- */

static void
store_body(struct given *g, struct question *q, const char *body)
{
    const struct store store = {.kind = STORE_ENTRY,
        .q = q,
        .lease = held_lease(TOKEN),
        .value = given_value(g, q, body, 1000),
        .px_ms = 50000};

    given_lease(g, q, TOKEN);
    between_heard(g->between);
    store_write(&g->worker, &store);
    AWAIT(&g->rig, nothing_is_sent(&g->worker));
}

/* Whatever Redis says to the script: the lease is given back. A value that it
   says is too long teaches how long one may be. */
static void
what_redis_refuses_to_store_is_counted_and_its_lease_given_back(void **state)
{
    static const struct {
        const char *answer; /* NULL: its own */
        bool is_stored;
        bool is_learnt;
    } rows[] = {
        {NULL, true, false},
        {"-OOM command not allowed\r\n", false, false},
        {"+OK\r\n", false, false},
        {"-ERR Protocol error: invalid bulk length\r\n", false, true},
    };
    struct given g;
    struct question *q;
    int64_t failed = 0;

    (void)state;
    given_worker_behind(&g);
    q = given_question(&g.asking, "GET /a", "");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        between_says(g.between, 0, "EVALSHA",
            rows[i].answer == NULL ? "" : rows[i].answer,
            rows[i].answer != NULL);
        store_body(&g, q, "body");
        failed += !rows[i].is_stored;
        assert_int_equal(counted(&g, COUNTER_STORES), 1);
        assert_int_equal(counted(&g, COUNTER_STORES_FAILED), failed);
        assert_string_equal(lease_of(&g, q), "");
        assert_int_equal(takes_max(&g.worker) != SIZE_MAX, rows[i].is_learnt);
    }
    /* From now on none of that length is sent. */
    store_body(&g, q, "body");
    assert_string_equal(between_heard(g.between), "1 " L " token-1");
    assert_int_equal(limited(&g, LIMIT_OBJECT_MAX), 1);
    assert_string_equal(lease_of(&g, q), "");
    assert_int_equal(counted(&g, COUNTER_STORES_FAILED), failed);
    question_unref(&q);
    worker_over(&g);
}

/* It may close the connection before its words arrive. Twice within a minute is
   no chance, where the value is large. What was learnt is forgotten. */
static void
how_long_a_value_may_be_is_learnt_for_a_while(void **state)
{
    enum {
        SMALL = 512 * 1024 - 1,
        LARGE = 1024 * 1024
    };
    struct given g;
    struct clock *clock;

    (void)state;
    given_worker(&g, 5000);
    clock = &g.rig.loop->clock;
    clock->is_manual = true;
    for (int i = 0; i < 3; i++) {
        assert_false(takes_refused(&g.worker, SMALL, false));
    }
    assert_false(takes_refused(&g.worker, LARGE, false));
    clock_advance(clock, 60000);
    assert_false(takes_refused(&g.worker, LARGE, false));
    assert_true(takes_max(&g.worker) == SIZE_MAX);
    clock_advance(clock, 59999);
    assert_true(takes_refused(&g.worker, LARGE, false));
    assert_int_equal(takes_max(&g.worker), LARGE - LARGE / 16);
    clock_advance(clock, 59999);
    assert_int_equal(takes_max(&g.worker), LARGE - LARGE / 16);
    clock_advance(clock, 1);
    assert_true(takes_max(&g.worker) == SIZE_MAX);

    assert_true(takes_refused(&g.worker, SMALL, true));
    clock_advance(clock, 599999);
    assert_int_equal(takes_max(&g.worker), SMALL - SMALL / 16);
    clock_advance(clock, 1);
    assert_true(takes_max(&g.worker) == SIZE_MAX);
    clock->is_manual = false;
    worker_over(&g);
}

static void
release(struct given *g, struct question *q)
{
    given_lease(g, q, TOKEN);
    between_heard(g->between);
    release_lease(&g->worker, q, held_lease(TOKEN));
    AWAIT(&g->rig, nothing_is_sent(&g->worker));
}

static void
a_lease_is_given_back_as_soon_as_redis_lets_it(void **state)
{
    static const struct {
        const char *answer;
        int times;
        const char *heard;
    } rows[] = {
        {"", 0, "1 " L " token-1"},
        {"-OOM x\r\n", 2, "1 " L " token-1; 1 " L " token-1; 1 " L " token-1"},
        /* No script is run: a lease that is somebody else's goes too. */
        {"-NOPERM x\r\n", 1, "1 " L " token-1; DEL " L},
    };
    struct given g;
    struct question *q;

    (void)state;
    given_worker_behind(&g);
    q = given_question(&g.asking, "GET /a", "");
    release(&g, q); /* the script is known from now on */
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        between_says(g.between, 0, "EVALSHA", rows[i].answer, rows[i].times);
        release(&g, q);
        assert_string_equal(between_heard(g.between), rows[i].heard);
        assert_string_equal(lease_of(&g, q), "");
    }
    question_unref(&q);
    worker_over(&g);
}

/* For as long as the lease may last, with pauses that grow to half a second. */
static void
a_lease_that_redis_does_not_take_back_ends_by_itself(void **state)
{
    struct given g;
    struct question *q;
    struct clock *clock;
    struct told t;
    int64_t begun_ms;

    (void)state;
    given_worker_behind(&g);
    q = given_question(&g.asking, "GET /a", "");
    given_lease(&g, q, TOKEN);
    between_says(g.between, 0, "EVALSHA", "-NOPERM x\r\n", 1);
    between_says(g.between, 1, "DEL " L, "+OK\r\n", 1000);
    between_heard(g.between);
    clock = &g.rig.loop->clock;
    clock->is_manual = true;
    begun_ms = worker_now_ms(&g.worker);
    release_lease(&g.worker, q, held_lease(TOKEN));
    while (!nothing_is_sent(&g.worker)) {
        /* Behind what is sent in a turn, on the same connection. */
        assert_int_equal(run(&g.rig, &t, "PING", PATIENCE_MS), RC_OK);
        clock_advance(clock, 20);
        event_active(&g.rig.loop->wheel.event, EV_TIMEOUT, 1);
        loop_turn(g.rig.loop, 0);
        assert_true(worker_now_ms(&g.worker) < begun_ms + 4000);
    }
    assert_true(worker_now_ms(&g.worker) >= begun_ms + LEASE_MS);
    /* After 0, 20, 60, 140, 300, 620 ms, and then each half second. */
    assert_int_equal(atomic_load(&g.between->seen_len), 11);
    assert_string_equal(lease_of(&g, q), "token-1");
    question_unref(&q);
    worker_over(&g);
}

/* A node that ran no scripts may have changed its mind: one caller tries, with
   a lease that nobody has. */
static void
one_caller_tries_whether_scripts_are_run_again(void **state)
{
    struct given g;
    struct question *q;
    struct node *node;

    (void)state;
    given_worker_behind(&g);
    assert_int_equal(g.tier_worker.journal.max, JOURNAL_MAX);
    q = given_kept(&g);
    node = pool_owner(g.rig.client, slot_of(q->entry_key))->node;
    assert_true(store_is_possible(&g.worker, q));
    node_script_failed(node, worker_now_ms(&g.worker), true);
    assert_false(store_is_possible(&g.worker, q));
    assert_true(nothing_is_sent(&g.worker));
    node_script_failed(node, worker_now_ms(&g.worker) - 60000, true);
    assert_false(store_is_possible(&g.worker, q));
    assert_false(nothing_is_sent(&g.worker));
    assert_false(store_is_possible(&g.worker, q));
    AWAIT(&g.rig, nothing_is_sent(&g.worker));
    assert_int_equal(g.worker.lease->releases_len, 0);
    assert_string_equal(between_heard(g.between), "1 " L " nobody's");
    assert_string_equal(lease_of(&g, q), "token-1");
    assert_true(store_is_possible(&g.worker, q));
    g.worker.redis = NULL;
    assert_false(store_is_possible(&g.worker, q));
    g.worker.redis = g.rig.client;
    question_unref(&q);
    worker_over(&g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_memory_a_deletion_waits_and_a_lease_ends_by_itself),
        TEST(each_that_waits_is_tried_once_when_a_node_takes_writes_again),
        TEST(a_worker_that_has_stopped_hears_of_no_change),
        TEST(deletions_of_slots_that_have_moved_are_all_repeated),
        TEST(what_redis_refuses_to_store_is_counted_and_its_lease_given_back),
        TEST(how_long_a_value_may_be_is_learnt_for_a_while),
        TEST(a_lease_is_given_back_as_soon_as_redis_lets_it),
        TEST(a_lease_that_redis_does_not_take_back_ends_by_itself),
        TEST(one_caller_tries_whether_scripts_are_run_again),
        TEST(a_deletion_is_done_when_both_are_gone_and_the_lease_was_first),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
