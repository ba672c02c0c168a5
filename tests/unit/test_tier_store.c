/*
 * The writer of stored responses before a real Redis: what is stored, and what
 * a write, another holder of the lease or another value keeps from it.
 */
#include "worker_given.h"

#include "nearside/lease/release.h"
#include "nearside/tier/store.h"

/* Until nothing is under way. */
static void
await_stores(struct given *g)
{
    AWAIT(&g->rig, nothing_is_sent(&g->worker));
}

static void
store(struct given *g, enum store_kind kind, struct question *q, int64_t px_ms)
{
    const struct store own_store = {
        .kind = kind,
        .q = q,
        .lease = held_lease(TOKEN),
        .value = given_value(g, q, "body", 1000),
        .px_ms = px_ms,
    };

    store_write(&g->worker, &own_store);
    await_stores(g);
}

static void
an_entry_is_stored_under_its_own_lease_alone(void **state)
{
    static const struct {
        const char *lease; /* "": none */
        bool is_stored;
    } rows[] = {{"token-1", true}, {"token-2", false}, {"", false},
        {"token-11", false}, {"token-", false}};
    struct given g;
    char out[8];

    (void)state;
    given_worker(&g, 5000);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct question *q = given_question(&g.asking, "GET /a", "");

        assert_true(ask(g.server, out, sizeof(out), "FLUSHALL"));
        if (rows[i].lease[0] != '\0') {
            given_lease(&g, q, slice_of_str(rows[i].lease));
        }
        store(&g, STORE_ENTRY, q, 50000);
        assert_stored(&g, q, rows[i].is_stored ? "body" : NULL);
        if (rows[i].is_stored) {
            assert_in_range(pttl_of(&g, q->entry_key), 30000, 50000);
        }
        assert_string_equal(
            lease_of(&g, q), rows[i].is_stored ? "" : rows[i].lease);
        question_unref(&q);
    }
    assert_int_equal(counted(&g, COUNTER_STORES), 1);
    assert_int_equal(counted(&g, COUNTER_STORES_FENCED), 4);
    assert_int_equal(counted(&g, COUNTER_STORES_FAILED), 0);
    worker_over(&g);
}

/* --- variants ---------------------------------------------------------- */

static void
a_record_is_stored_with_its_first_variant_under_the_base_lease(void **state)
{
    struct given g;

    (void)state;
    given_worker(&g, 5000);
    for (int is_ours = 0; is_ours < 2; is_ours++) {
        struct varied v = given_record(&g, 1);
        struct question *variant = given_variant(&g, v.record, "Accept: a\r\n");
        const struct store own_store = {
            .kind = STORE_RECORD,
            .q = variant,
            .leased = v.base,
            .lease = held_lease(TOKEN),
            .value = given_value(&g, variant, "body", 1000),
            .record = v.value,
            .px_ms = 50000,
        };
        struct entry *stored;

        v.value = (struct value){0};
        given_lease(&g, v.base, is_ours ? TOKEN : SLICE("token-2"));
        given_lease(&g, variant, SLICE("token-3")); /* not the one meant */
        store_write(&g.worker, &own_store);
        await_stores(&g);
        assert_stored(&g, variant, is_ours ? "body" : NULL);
        assert_string_equal(lease_of(&g, v.base), is_ours ? "" : "token-2");
        assert_string_equal(lease_of(&g, variant), "token-3");
        stored = entry_of(&g, v.base);
        assert_int_equal(stored != NULL, is_ours);
        if (is_ours) {
            assert_true(slice_eq(entry_sum(stored), entry_sum(v.record)));
            assert_in_range(pttl_of(&g, v.base->entry_key), 30000, 50000);
            assert_in_range(pttl_of(&g, variant->entry_key), 30000, 50000);
        }
        entry_unref(&stored);
        question_unref(&variant);
        record_over(&v);
    }
    worker_over(&g);
}

/* Names have come: the variant was chosen by the old record, is stored under
   the new one, and its lease is that of the old one. */
static void
a_wider_record_takes_the_place_of_the_one_that_chose(void **state)
{
    static const struct {
        const char *lease;
        bool is_replaced; /* the record, meanwhile */
        bool is_stored;
    } rows[] = {
        {"token-1", false, true},
        {"token-2", false, false},
        {"token-1", true, false},
    };
    struct given g;

    (void)state;
    given_worker(&g, 5000);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct varied old = given_record(&g, 1);
        struct varied now = given_record(&g, 2);
        struct varied wide = given_record(&g, 3);
        struct question *chosen =
            given_variant(&g, old.record, "Accept: a\r\n");
        struct question *variant =
            given_variant(&g, wide.record, "Accept: a\r\n");
        const struct store own_store = {
            .kind = STORE_WIDER,
            .q = variant,
            .leased = chosen,
            .lease = held_lease(TOKEN),
            .value = given_value(&g, variant, "body", 1000),
            .record = wide.value,
            .px_ms = 50000,
        };
        struct varied *there = rows[i].is_replaced ? &now : &old;
        struct entry *stored;
        char out[8];

        assert_true(ask(g.server, out, sizeof(out), "FLUSHALL"));
        wide.value = (struct value){0};
        given_stored(&g, old.base, value_slice(&there->value));
        given_lease(&g, chosen, slice_of_str(rows[i].lease));
        store_write(&g.worker, &own_store);
        await_stores(&g);
        assert_stored(&g, variant, rows[i].is_stored ? "body" : NULL);
        stored = entry_of(&g, old.base);
        assert_non_null(stored);
        assert_true(slice_eq(entry_sum(stored),
            entry_sum(rows[i].is_stored ? wide.record : there->record)));
        assert_string_equal(lease_of(&g, chosen),
            strcmp(rows[i].lease, "token-1") == 0 ? "" : "token-2");
        entry_unref(&stored);
        question_unref(&variant);
        question_unref(&chosen);
        record_over(&wide);
        record_over(&now);
        record_over(&old);
    }
    worker_over(&g);
}

/* One more variant, with its lease; is it there? */
static bool
add_variant(struct given *g, const struct varied *v, const char *accept)
{
    struct question *variant;
    struct entry *stored;
    bool is_stored;
    char fields[64];

    snprintf(fields, sizeof(fields), "Accept: %s\r\n", accept);
    variant = given_variant(g, v->record, fields);
    given_lease(g, variant, TOKEN);
    store(g, STORE_VARIANT, variant, 90000);
    stored = entry_of(g, variant);
    is_stored = stored != NULL;
    entry_unref(&stored);
    /* The fetch is over, whatever became of it. */
    assert_string_equal(lease_of(g, variant), "");
    question_unref(&variant);
    return is_stored;
}

/* Its keys need more memory than a script may have: nobody is to wait for it.
 */
static void
a_lease_is_given_back_when_there_is_no_memory_for_the_keys(void **state)
{
    static char large[100000] = "{";
    struct given g;
    struct varied v;
    struct question *variant;
    struct slice was;

    (void)state;
    given_worker(&g, 5000);
    v = given_record(&g, 1);
    variant = given_variant(&g, v.record, "Accept: a\r\n");
    given_lease(&g, variant, TOKEN);
    was = question_base(variant)->entry_key;
    question_base(variant)->entry_key = slice_of(large, sizeof(large));
    store(&g, STORE_VARIANT, variant, 90000);
    question_base(variant)->entry_key = was;
    assert_int_equal(limited(&g, LIMIT_MEMORY), 1);
    assert_stored(&g, variant, NULL);
    assert_string_equal(lease_of(&g, variant), "");
    question_unref(&variant);
    record_over(&v);
    worker_over(&g);
}

/* The value's own memory is free again, so there is enough to say so. */
static void
a_lease_is_given_back_when_there_is_no_memory_for_the_store(void **state)
{
    struct given g;
    struct question *q;
    struct store own_store = {
        .kind = STORE_ENTRY, .lease = held_lease(TOKEN), .px_ms = 50000};

    (void)state;
    given_worker(&g, 5000);
    q = given_question(&g.asking, "GET /a", "");
    given_lease(&g, q, TOKEN);
    own_store.q = q;
    own_store.value = given_value(&g, q, "body", 1000);
    heap_refuse(1, 0);
    store_write(&g.worker, &own_store);
    assert_true(heap_refused());
    await_stores(&g);
    assert_int_equal(limited(&g, LIMIT_MEMORY), 1);
    assert_stored(&g, q, NULL);
    assert_string_equal(lease_of(&g, q), "");
    question_unref(&q);
    worker_over(&g);
}

/* The record lives as long as its last variant. */
static void
a_variant_is_stored_while_its_record_is_the_one_that_chose_it(void **state)
{
    struct given g;
    struct varied old;
    struct varied v;
    char out[8];

    (void)state;
    given_worker(&g, 5000);
    old = given_record(&g, 1);
    v = given_record(&g, 2);
    assert_false(add_variant(&g, &v, "a")); /* a write has deleted it */
    given_stored(&g, v.base, value_slice(&old.value));
    assert_false(add_variant(&g, &v, "a")); /* there is another */
    assert_int_equal(counted(&g, COUNTER_STORES_FENCED), 2);
    given_stored(&g, v.base, value_slice(&v.value));
    assert_true(add_variant(&g, &v, "a"));
    assert_in_range(pttl_of(&g, v.base->entry_key), 70000, 90000);
    assert_true(ask(g.server, out, sizeof(out), "PEXPIRE %b 200000",
        v.base->entry_key.ptr, v.base->entry_key.len));
    assert_true(add_variant(&g, &v, "b"));
    assert_in_range(pttl_of(&g, v.base->entry_key), 150000, 200000);
    record_over(&old);
    record_over(&v);
    worker_over(&g);
}

/* Three of one record, of which the first came with it. */
static void
variants_beyond_the_limit_are_not_stored(void **state)
{
    struct given g;
    struct varied v;

    (void)state;
    given_worker(&g, 5000);
    v = given_record(&g, 1);
    given_stored(&g, v.base, value_slice(&v.value));
    assert_true(add_variant(&g, &v, "b"));
    assert_true(add_variant(&g, &v, "c"));
    assert_false(add_variant(&g, &v, "d"));
    assert_true(add_variant(&g, &v, "b")); /* none more */
    assert_false(add_variant(&g, &v, "e"));
    assert_int_equal(limited(&g, LIMIT_VARIANTS), 2);
    assert_int_equal(counted(&g, COUNTER_STORES), 3);
    assert_int_equal(counted(&g, COUNTER_STORES_FENCED), 0);
    /* Where credentials are keyed they are as many as there are clients. */
    g.asking.route.cookie = ROUTE_CREDENTIAL_KEY;
    assert_true(add_variant(&g, &v, "f"));
    g.asking.route.cookie = ROUTE_CREDENTIAL_AUTO;
    g.asking.route.authorization = ROUTE_CREDENTIAL_KEY;
    assert_true(add_variant(&g, &v, "g"));
    record_over(&v);
    worker_over(&g);
}

/* --- others ------------------------------------------------------------ */

static void
a_renewed_value_takes_the_place_of_the_very_one_it_was_made_of(void **state)
{
    struct given g;

    (void)state;
    given_worker(&g, 5000);
    for (int what = 0; what < 3; what++) { /* nothing, another, the same */
        struct question *q = given_question(&g.asking, "GET /a", "");
        struct value old = given_value(&g, q, "old", 1000);
        struct value other = given_value(&g, q, "other", 1000);
        struct store own_store = {
            .kind = STORE_RENEWED,
            .q = q,
            .value = given_value(&g, q, "new", 1000),
            .px_ms = 50000,
        };
        struct entry *was;

        assert_int_equal(codec_entry(&old, &was), RC_OK);
        own_store.sum = entry_sum(was);
        if (what > 0) {
            given_stored(&g, q, value_slice(what == 1 ? &other : &old));
        }
        given_lease(&g, q, SLICE("token-2")); /* nobody asks for it */
        store_write(&g.worker, &own_store);
        await_stores(&g);
        assert_stored(&g, q, what == 0 ? NULL : (what == 1 ? "other" : "new"));
        assert_string_equal(lease_of(&g, q), "token-2");
        if (what == 2) {
            assert_in_range(pttl_of(&g, q->entry_key), 30000, 50000);
        }
        entry_unref(&was);
        value_free(&old);
        value_free(&other);
        question_unref(&q);
    }
    assert_int_equal(counted(&g, COUNTER_STORES), 1);
    assert_int_equal(counted(&g, COUNTER_STORES_FENCED), 2);
    worker_over(&g);
}

/* Nobody is to wait for the lease of a fetch that is over. */
static void
a_lease_is_given_back_when_redis_does_not_take_the_value(void **state)
{
    struct given g;
    struct question *q;
    char out[128];

    (void)state;
    given_worker(&g, 5000);
    q = given_question(&g.asking, "GET /a", "");
    given_lease(&g, q, TOKEN);
    assert_true(ask(g.server, out, sizeof(out), "CONFIG SET maxmemory 1"));
    store(&g, STORE_ENTRY, q, 50000);
    assert_stored(&g, q, NULL);
    assert_string_equal(lease_of(&g, q), "");
    assert_int_equal(counted(&g, COUNTER_STORES), 0);
    assert_int_equal(counted(&g, COUNTER_STORES_FAILED), 1);
    question_unref(&q);
    worker_over(&g);
}

/* The lease of a record's store is that of its base. */
static void
the_base_lease_is_given_back_when_redis_does_not_take_the_record(void **state)
{
    struct given g;
    struct varied v;
    struct question *variant;
    struct store own_store = {
        .kind = STORE_RECORD, .lease = held_lease(TOKEN), .px_ms = 50000};
    char out[128];

    (void)state;
    given_worker(&g, 5000);
    v = given_record(&g, 1);
    variant = given_variant(&g, v.record, "Accept: a\r\n");
    given_lease(&g, v.base, TOKEN);
    given_lease(&g, variant, TOKEN); /* not the one meant */
    assert_true(ask(g.server, out, sizeof(out), "CONFIG SET maxmemory 1"));
    own_store.q = variant;
    own_store.leased = v.base;
    own_store.value = given_value(&g, variant, "body", 1000);
    own_store.record = v.value;
    v.value = (struct value){0};
    store_write(&g.worker, &own_store);
    await_stores(&g);
    assert_int_equal(counted(&g, COUNTER_STORES_FAILED), 1);
    assert_string_equal(lease_of(&g, v.base), "");
    assert_string_equal(lease_of(&g, variant), "token-1");
    question_unref(&variant);
    record_over(&v);
    worker_over(&g);
}

/* The values and the question are freed, as valgrind and the sanitizers see. */
static void
a_worker_that_ends_gives_up_what_is_under_way(void **state)
{
    struct given g;
    struct question *q;
    struct store own_store = {
        .kind = STORE_ENTRY, .lease = held_lease(TOKEN), .px_ms = 50000};

    (void)state;
    given_worker(&g, 5000);
    q = given_question(&g.asking, "GET /a", "");
    own_store.q = q;
    own_store.value = given_value(&g, q, "body", 1000);
    store_write(&g.worker, &own_store);
    release_lease(&g.worker, q, held_lease(TOKEN));
    question_unref(&q); /* they hold it */
    assert_false(nothing_is_sent(&g.worker));
    tier_worker_stop(&g.worker);
    assert_true(nothing_is_sent(&g.worker));
    assert_int_equal(g.asking.pool.free.len, 1); /* the question is back */
    worker_over(&g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_entry_is_stored_under_its_own_lease_alone),
        TEST(a_record_is_stored_with_its_first_variant_under_the_base_lease),
        TEST(a_wider_record_takes_the_place_of_the_one_that_chose),
        TEST(a_variant_is_stored_while_its_record_is_the_one_that_chose_it),
        TEST(a_lease_is_given_back_when_there_is_no_memory_for_the_keys),
        TEST(a_lease_is_given_back_when_there_is_no_memory_for_the_store),
        TEST(variants_beyond_the_limit_are_not_stored),
        TEST(a_renewed_value_takes_the_place_of_the_very_one_it_was_made_of),
        TEST(a_lease_is_given_back_when_redis_does_not_take_the_value),
        TEST(the_base_lease_is_given_back_when_redis_does_not_take_the_record),
        TEST(a_worker_that_ends_gives_up_what_is_under_way),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
