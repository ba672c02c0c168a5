/* Memory beside Redis: what comes into it, what leaves it, and when it answers.
   What links note of a node is noted here by hand. */
#include "worker_given.h"

#include "nearside/redis/hold.h"
#include "nearside/tier/lookup.h"
#include "nearside/tier/memory_find.h"
#include "nearside/tier/store.h"
#include "redis/pool.h"

enum {
    SIZE = 4 << 20,
    LONG_MS = 3600 * 1000,
};

static struct node *node; /* of the one server */

static void
note_telling(enum node_telling telling, int64_t until_ms)
{
    atomic_store(&node->coherent_until_ms, until_ms);
    atomic_store(&node->telling, (int)telling);
}

/* A worker with memory beside a server that tells of its changes. */
static void
beside_begins(struct given *g, bool is_behind)
{
    struct redis *redis;
    struct loop *loop;

    if (is_behind) {
        given_worker_behind(g);
    } else {
        given_worker(g, PATIENCE_MS);
    }
    redis = g->rig.redis;
    loop = redis->loop;
    g->tier.memory = memory_new(&(struct memory_opts){.size = SIZE});
    redis->loop = NULL; /* as if it had not started yet */
    tier_listen(&g->tier, redis, &g->asking.hash_key, SLICE("ns:"));
    redis->loop = loop;
    node = pool_owner(g->rig.client, 0)->node;
    AWAIT(&g->rig, atomic_load(&node->state) == NODE_TRUSTED);
    time_stop(loop); /* and the node is trusted for as long as it stands */
    note_telling(NODE_TELLS, loop_now_ms(loop) + LONG_MS);
}

static void
beside_ends(struct given *g)
{
    worker_over(g);
    tier_fini(&g->tier);
}

/* The server tells of that key. */
static void
tell(struct given *g, struct slice redis_key)
{
    g->rig.redis->on_changed(g->rig.redis->changed_ctx, redis_key);
}

static size_t
entries(struct given *g)
{
    struct memory_counts counts;

    memory_count(g->tier.memory, &counts);
    return counts.entries;
}

struct looked {
    struct lookup lookup;
    unsigned times;
    enum lookup_end end;
    struct entry *entry;
};

static void
on_end(void *ctx, enum lookup_end end, struct entry *own_entry)
{
    struct looked *l = ctx;

    l->times++;
    l->end = end;
    l->entry = own_entry;
}

static void
look_begin(struct given *g, const struct question *q, bool is_in_order,
    struct looked *l)
{
    const struct lookup_opts opts = {
        .q = q, .is_in_order = is_in_order, .on_end = on_end, .ctx = l};

    *l = (struct looked){0};
    lookup_start(&l->lookup, &g->worker, &opts);
    assert_int_equal(l->times, 0);
}

static void
look_end(struct given *g, struct looked *l)
{
    AWAIT(&g->rig, l->times > 0);
    entry_unref(&l->entry);
}

static enum lookup_end
look(struct given *g, const struct question *q, bool is_in_order,
    bool *of_memory)
{
    struct looked l;

    look_begin(g, q, is_in_order, &l);
    look_end(g, &l);
    *of_memory = l.lookup.is_of_memory;
    return l.end;
}

static void
assert_looked(struct given *g, const struct question *q, bool of_memory)
{
    bool is_of_memory;

    assert_int_equal(look(g, q, false, &is_of_memory), LOOKUP_FOUND);
    assert_int_equal(is_of_memory, of_memory);
}

/* Does memory answer? */
static bool
answers(struct given *g, const struct question *q)
{
    struct entry *entry = memory_find(&g->worker, q);
    bool is_found = entry != NULL;

    entry_unref(&entry);
    return is_found;
}

static void
stored(struct given *g, const struct question *q, const char *body)
{
    struct value value = given_value(g, q, body, LONG_MS);

    given_stored(g, q, value_slice(&value));
    value_free(&value);
}

/* One that lies in Redis and, by a lookup, in memory. */
static struct question *
given_both(struct given *g)
{
    struct question *q = given_question(&g->asking, "GET /a", "");

    stored(g, q, "old");
    assert_looked(g, q, false);
    assert_true(answers(g, q));
    return q;
}

static void
given_deletion(struct given *g, const struct question *q)
{
    struct deletion *d = deletion_start(
        &g->worker, &q->key, q->entry_key, &(struct deletion_opts){0});

    assert_non_null(d);
    deletion_forget(&d);
}

static void
what_a_lookup_has_found_in_redis_the_next_one_finds_in_memory(void **state)
{
    struct given g;
    struct question *q;
    bool of_memory;

    (void)state;
    beside_begins(&g, true);
    q = given_both(&g);
    between_heard(g.between);
    assert_looked(&g, q, true);
    assert_string_equal(between_heard(g.between), "");
    /* One that wants to see what was sent before it asks Redis. */
    assert_int_equal(look(&g, q, true, &of_memory), LOOKUP_FOUND);
    assert_false(of_memory);
    question_unref(&q);
    beside_ends(&g);
}

static void
nothing_comes_into_memory_of_a_server_that_does_not_tell(void **state)
{
    struct given g;
    struct question *q;

    (void)state;
    beside_begins(&g, false);
    note_telling(NODE_TELLS_NOT, 0);
    q = given_question(&g.asking, "GET /a", "");
    stored(&g, q, "old");
    assert_looked(&g, q, false);
    assert_int_equal(entries(&g), 0);
    question_unref(&q);
    beside_ends(&g);
}

/* Nor by a lookup that had begun before. */
static void
what_the_server_tells_of_leaves_memory(void **state)
{
    struct given g;
    struct question *q;
    struct looked l;

    (void)state;
    beside_begins(&g, false);
    q = given_both(&g);
    tell(&g, SLICE("ns:e:{http://h/b}"));
    tell(&g, SLICE("ns:l:{http://h/a}"));
    tell(&g, SLICE("x"));
    assert_true(answers(&g, q));
    tell(&g, q->entry_key);
    assert_int_equal(entries(&g), 0);
    look_begin(&g, q, false, &l);
    tell(&g, q->entry_key);
    look_end(&g, &l);
    assert_int_equal(l.end, LOOKUP_FOUND);
    assert_int_equal(entries(&g), 0);
    question_unref(&q);
    beside_ends(&g);
}

static void
a_deletion_takes_it_out_of_memory_before_it_is_sent(void **state)
{
    struct given g;
    struct question *q;

    (void)state;
    beside_begins(&g, false);
    q = given_both(&g);
    given_deletion(&g, q);
    assert_int_equal(entries(&g), 0);
    AWAIT(&g.rig, g.tier_worker.journal.pending == 0);
    stored(&g, q, "new");
    assert_looked(&g, q, false);
    assert_true(answers(&g, q));
    question_unref(&q);
    beside_ends(&g);
}

/* Another worker's lookup has begun after the deletion, and Redis has answered
   it before: it may not be put once the deletion is done. */
static void
what_was_watched_while_a_deletion_was_under_way_has_changed(void **state)
{
    struct memory_watch watch;
    struct given g;
    struct question *q;

    (void)state;
    beside_begins(&g, false);
    q = given_both(&g);
    given_deletion(&g, q);
    watch = memory_watch(g.tier.memory, q->key.hash);
    assert_false(memory_has_changed(g.tier.memory, &watch));
    AWAIT(&g.rig, g.tier_worker.journal.pending == 0);
    assert_true(memory_has_changed(g.tier.memory, &watch));
    question_unref(&q);
    beside_ends(&g);
}

/* It is in memory by the first hit in Redis after it. */
static void
what_this_process_stores_is_not_put_into_memory(void **state)
{
    struct store store = {.kind = STORE_ENTRY, .px_ms = 60000};
    struct memory_watch watch;
    struct given g;
    struct question *q;

    (void)state;
    beside_begins(&g, false);
    q = given_both(&g);
    given_lease(&g, q, TOKEN);
    store.q = q;
    store.lease = held_lease(TOKEN);
    store.value = given_value(&g, q, "new", LONG_MS);
    store_write(&g.worker, &store);
    assert_int_equal(entries(&g), 0);
    watch = memory_watch(g.tier.memory, q->key.hash);
    AWAIT(&g.rig, nothing_is_sent(&g.worker));
    assert_true(memory_has_changed(g.tier.memory, &watch));
    assert_int_equal(entries(&g), 0);
    assert_stored(&g, q, "new");
    assert_looked(&g, q, false);
    assert_looked(&g, q, true);
    question_unref(&q);
    beside_ends(&g);
}

/* A record and its first variant are two entries. */
static void
a_record_that_is_stored_takes_out_what_was_under_the_base_key(void **state)
{
    struct store store = {.kind = STORE_RECORD, .px_ms = 60000};
    struct given g;
    struct question *base, *q;
    struct varied v;

    (void)state;
    beside_begins(&g, false);
    base = given_both(&g);
    v = given_record(&g, 7);
    q = given_variant(&g, v.record, "Accept: a\r\n");
    given_lease(&g, base, TOKEN);
    store.q = q;
    store.leased = base;
    store.lease = held_lease(TOKEN);
    store.value = given_value(&g, q, "new", LONG_MS);
    store.record = v.value;
    v.value = (struct value){0};
    store_write(&g.worker, &store);
    assert_int_equal(entries(&g), 0);
    AWAIT(&g.rig, nothing_is_sent(&g.worker));
    assert_looked(&g, base, false);
    assert_looked(&g, q, false);
    assert_looked(&g, base, true);
    assert_looked(&g, q, true);
    assert_int_equal(entries(&g), 2);
    question_unref(&q);
    question_unref(&base);
    record_over(&v);
    beside_ends(&g);
}

static void
memory_is_silent_while_the_server_is_and_void_once_the_slot_has_moved(
    void **state)
{
    struct given g;
    struct question *q;
    uint16_t slot;

    (void)state;
    beside_begins(&g, false);
    q = given_both(&g);
    slot = slot_of(q->entry_key);
    note_telling(NODE_TELLS, loop_now_ms(g.rig.loop));
    assert_false(answers(&g, q));
    assert_looked(&g, q, false);
    note_telling(NODE_TELLS, loop_now_ms(g.rig.loop) + LONG_MS);
    assert_true(answers(&g, q));
    redis_hold(g.rig.client, slot);
    assert_false(answers(&g, q));
    redis_release(g.rig.client, slot);
    assert_true(answers(&g, q));
    trust_unverify_slot(g.rig.redis->trust, slot);
    assert_false(answers(&g, q));
    assert_int_equal(entries(&g), 1);
    trust_void_slot(g.rig.redis->trust, slot);
    assert_false(answers(&g, q));
    assert_int_equal(entries(&g), 0);
    question_unref(&q);
    beside_ends(&g);
}

static void
redis_is_asked_once_a_minute_at_least(void **state)
{
    struct given g;
    struct question *q;

    (void)state;
    beside_begins(&g, false);
    q = given_both(&g);
    clock_advance(loop_own_clock(g.rig.loop), 55 * 1000);
    atomic_store(&node->usable_until_ms, loop_now_ms(g.rig.loop) + LONG_MS);
    assert_true(answers(&g, q));
    clock_advance(loop_own_clock(g.rig.loop), 10 * 1000);
    assert_false(answers(&g, q));
    assert_int_equal(entries(&g), 1);
    question_unref(&q);
    beside_ends(&g);
}

static void
what_is_past_its_time_comes_not_into_memory_and_answers_from_none(void **state)
{
    struct given g;
    struct question *q;
    struct value value;

    (void)state;
    beside_begins(&g, false);
    q = given_question(&g.asking, "GET /a", "");
    value = given_value(&g, q, "old", -60001);
    given_stored(&g, q, value_slice(&value));
    value_free(&value);
    assert_looked(&g, q, false);
    assert_int_equal(entries(&g), 0);
    question_unref(&q);
    q = given_both(&g);
    clock_advance(loop_own_clock(g.rig.loop), LONG_MS + 61 * 1000);
    atomic_store(&node->usable_until_ms, loop_now_ms(g.rig.loop) + LONG_MS);
    note_telling(NODE_TELLS, loop_now_ms(g.rig.loop) + LONG_MS);
    assert_false(answers(&g, q));
    question_unref(&q);
    beside_ends(&g);
}

static void
a_route_may_be_kept_out_of_memory(void **state)
{
    struct given g;
    struct question *q;

    (void)state;
    beside_begins(&g, false);
    q = given_both(&g);
    g.asking.route.skips_memory = true;
    assert_false(answers(&g, q));
    tell(&g, q->entry_key);
    assert_looked(&g, q, false);
    assert_int_equal(entries(&g), 0);
    question_unref(&q);
    beside_ends(&g);
}

static void
a_value_too_large_for_memory_is_found_in_redis(void **state)
{
    static char body[SIZE / 4];
    struct given g;
    struct question *q;

    (void)state;
    memset(body, 'x', sizeof(body) - 1);
    beside_begins(&g, false);
    q = given_question(&g.asking, "GET /a", "");
    stored(&g, q, body);
    assert_looked(&g, q, false);
    assert_looked(&g, q, false);
    assert_int_equal(entries(&g), 0);
    question_unref(&q);
    beside_ends(&g);
}

/* Redis says nothing of it. */
static void
what_memory_has_may_answer_while_it_is_young_or_the_route_says_so(void **state)
{
    static const struct {
        int64_t passed_ms; /* it was received 1 s ago */
        enum route_redis_down redis_down;
        bool may_answer;
    } rows[] = {
        {900, ROUTE_REDIS_DOWN_ORIGIN, true},
        {1000, ROUTE_REDIS_DOWN_ORIGIN, false},
        {1000, ROUTE_REDIS_DOWN_REFUSE, false},
        {10000, ROUTE_REDIS_DOWN_STALE, true},
        {21000, ROUTE_REDIS_DOWN_STALE, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct given g;
        struct question *q;
        struct entry *entry;
        bool may_answer;

        beside_begins(&g, false);
        q = given_both(&g);
        g.asking.route.redis_down = rows[i].redis_down;
        g.asking.route.redis_down_max_ms = 20000;
        clock_advance(loop_own_clock(g.rig.loop), rows[i].passed_ms);
        note_telling(NODE_TELLS, 0);
        entry = memory_find_unverified(&g.worker, q, &may_answer);
        assert_non_null(entry);
        assert_int_equal(may_answer, rows[i].may_answer);
        entry_unref(&entry);
        trust_void_slot(g.rig.redis->trust, slot_of(q->entry_key));
        assert_null(memory_find_unverified(&g.worker, q, &may_answer));
        assert_false(may_answer);
        question_unref(&q);
        beside_ends(&g);
    }
}

/* It comes with the failure of a lookup. */
static void
a_lookup_that_fails_brings_what_memory_has(void **state)
{
    struct given g;
    struct question *q;
    struct looked l;

    (void)state;
    beside_begins(&g, false);
    q = given_both(&g);
    note_telling(NODE_TELLS, 0);
    atomic_store(&node->usable_until_ms, 0);
    look_begin(&g, q, false, &l);
    AWAIT(&g.rig, l.times > 0);
    assert_int_equal(l.end, LOOKUP_FAILED);
    assert_true(l.lookup.is_unverified);
    assert_non_null(l.entry);
    entry_unref(&l.entry);
    question_unref(&q);
    beside_ends(&g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_a_lookup_has_found_in_redis_the_next_one_finds_in_memory),
        TEST(nothing_comes_into_memory_of_a_server_that_does_not_tell),
        TEST(what_the_server_tells_of_leaves_memory),
        TEST(a_deletion_takes_it_out_of_memory_before_it_is_sent),
        TEST(what_was_watched_while_a_deletion_was_under_way_has_changed),
        TEST(what_this_process_stores_is_not_put_into_memory),
        TEST(a_record_that_is_stored_takes_out_what_was_under_the_base_key),
        TEST(
            memory_is_silent_while_the_server_is_and_void_once_the_slot_has_moved),
        TEST(redis_is_asked_once_a_minute_at_least),
        TEST(what_is_past_its_time_comes_not_into_memory_and_answers_from_none),
        TEST(a_route_may_be_kept_out_of_memory),
        TEST(a_value_too_large_for_memory_is_found_in_redis),
        TEST(what_memory_has_may_answer_while_it_is_young_or_the_route_says_so),
        TEST(a_lookup_that_fails_brings_what_memory_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
