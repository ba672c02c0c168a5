/* Memory in the place of Redis: what a lookup finds, what is stored, and what a
   write ends. */
#include "nearside/tier/lookup.h"
#include "nearside/lease/release.h"
#include "nearside/tier/store.h"
#include "worker_given.h"

#include <sched.h>

enum {
    SIZE = 4 << 20,
};

static struct arena arena; /* of the leases */

static void
alone_begins(struct given *g)
{
    *g = (struct given){.empties = 0};
    given_conf(&g->asking);
    g->rig.loop = loop_new();
    g->registry = metric_registry_new();
    work_metrics_add(&g->metrics, g->registry);
    g->worker = (struct worker){.magic = WORKER_MAGIC,
        .time = &shared_time_own,
        .loop = g->rig.loop,
        .block = metric_block_new(g->registry),
        .metrics = &g->metrics,
        .conf = g->asking.conf,
        .credit = &g->credit};
    random_seed(&g->worker.random);
    tier_init(&g->tier, memory_new(&(struct memory_opts){.size = SIZE}));
    tier_worker_init(&g->tier_worker, &g->tier, &g->worker, on_no_deletion, g);
    arena_init(&arena, 65536);
}

static void
alone_ends(struct given *g)
{
    arena_fini(&arena);
    tier_worker_stop(&g->worker);
    loop_free(&g->rig.loop);
    tier_fini(&g->tier);
    metric_registry_free(&g->registry);
    conf_over(&g->asking);
}

/* --- leases ------------------------------------------------------------ */

struct taken {
    struct lease *lease;
    unsigned times;
    enum lease_state state;
    bool is_gone;
};

static void
on_taken(void *ctx, enum lease_state state)
{
    struct taken *t = ctx;

    t->times++;
    t->state = state;
}

static void
on_renewed(void *ctx, bool is_gone)
{
    struct taken *t = ctx;

    t->times++;
    t->is_gone = is_gone;
}

static enum lease_state
ask_for(struct given *g, const struct question *q, struct taken *t)
{
    *t = (struct taken){.times = 0};
    t->lease = lease_new(&g->worker, q, &arena);
    assert_non_null(t->lease);
    lease_take(t->lease, on_taken, t);
    assert_int_equal(t->times, 0); /* not from inside */
    assert_true(lease_is_asked(t->lease));
    loop_turn(g->rig.loop, 0);
    assert_int_equal(t->times, 1);
    assert_false(lease_is_asked(t->lease));
    return t->state;
}

static struct lease *
take(struct given *g, const struct question *q, struct taken *t)
{
    assert_int_equal(ask_for(g, q, t), LEASE_HELD);
    return t->lease;
}

static bool
is_gone(struct given *g, struct taken *t)
{
    lease_renew(t->lease, on_renewed, t);
    assert_int_equal(t->times, 1);
    loop_turn(g->rig.loop, 0);
    assert_int_equal(t->times, 2);
    t->times = 1;
    return t->is_gone;
}

static void
delete_it(struct given *g, const struct question *q, struct lease *own_lease)
{
    assert_null(deletion_start(&g->worker, &q->key, q->entry_key,
        &(struct deletion_opts){.own_lease = own_lease}));
}

static void
one_at_a_time_has_the_lease_of_a_key(void **state)
{
    struct given g;
    struct taken first, second, other;
    struct question *a, *b;

    (void)state;
    alone_begins(&g);
    a = given_question(&g.asking, "GET /a", "");
    b = given_question(&g.asking, "GET /b", "");
    take(&g, a, &first);
    assert_int_equal(ask_for(&g, a, &second), LEASE_TAKEN);
    take(&g, b, &other);
    release_lease(&g.worker, a, second.lease); /* not its own */
    assert_int_equal(ask_for(&g, a, &second), LEASE_TAKEN);
    release_lease(&g.worker, a, first.lease);
    take(&g, a, &second);
    question_unref(&a);
    question_unref(&b);
    alone_ends(&g);
}

static void
a_lease_that_nobody_renews_ends(void **state)
{
    struct given g;
    struct taken first, second;
    struct question *q;

    (void)state;
    alone_begins(&g);
    time_stop(g.rig.loop);
    q = given_question(&g.asking, "GET /a", "");
    take(&g, q, &first);
    for (int i = 0; i < 3; i++) {
        time_pass(g.rig.loop, LEASE_MS - 100);
        assert_false(is_gone(&g, &first));
        assert_int_equal(ask_for(&g, q, &second), LEASE_TAKEN);
    }
    time_pass(g.rig.loop, LEASE_MS);
    take(&g, q, &second);
    question_unref(&q);
    alone_ends(&g);
}

static void
a_write_ends_the_lease_of_its_target_but_its_own(void **state)
{
    struct given g;
    struct taken own, other, elsewhere;
    struct question *a, *b;

    (void)state;
    alone_begins(&g);
    a = given_question(&g.asking, "GET /a", "");
    b = given_question(&g.asking, "GET /b", "");
    take(&g, a, &own);
    take(&g, b, &elsewhere);
    delete_it(&g, a, own.lease);
    assert_false(is_gone(&g, &own));
    assert_int_equal(ask_for(&g, a, &other), LEASE_TAKEN);
    delete_it(&g, a, NULL);
    assert_true(is_gone(&g, &own));
    take(&g, a, &other);
    assert_false(is_gone(&g, &elsewhere));
    assert_int_equal(counted(&g, COUNTER_INVALIDATIONS), 2);
    question_unref(&a);
    question_unref(&b);
    alone_ends(&g);
}

/* Nor does anybody wait for one that only counts as ended. */
static void
a_write_to_a_key_that_is_counted_with_it_ends_a_lease_too(void **state)
{
    struct given g;
    struct taken own, next;
    struct question *q;
    struct key other;

    (void)state;
    alone_begins(&g);
    q = given_question(&g.asking, "GET /a", "");
    take(&g, q, &own);
    other = q->key;
    other.hash ^= UINT64_C(1) << 31; /* no counter goes by this bit */
    assert_null(deletion_start(
        &g.worker, &other, q->entry_key, &(struct deletion_opts){0}));
    assert_int_equal(ask_for(&g, q, &next), LEASE_TAKEN);
    assert_true(is_gone(&g, &own));
    take(&g, q, &next);
    question_unref(&q);
    alone_ends(&g);
}

static void
who_asks_no_longer_hears_nothing(void **state)
{
    struct given g;
    struct taken t;
    struct question *q;

    (void)state;
    alone_begins(&g);
    q = given_question(&g.asking, "GET /a", "");
    take(&g, q, &t);
    lease_renew(t.lease, on_renewed, &t);
    lease_cancel(t.lease);
    assert_false(lease_is_asked(t.lease));
    loop_turn(g.rig.loop, 0);
    assert_int_equal(t.times, 1);
    question_unref(&q);
    alone_ends(&g);
}

/* --- lookups ----------------------------------------------------------- */

struct looked {
    unsigned times;
    enum lookup_end end;
    struct entry *own_entry;
};

static void
on_end(void *ctx, enum lookup_end end, struct entry *own_entry)
{
    struct looked *l = ctx;

    l->times++;
    l->end = end;
    l->own_entry = own_entry;
}

/* The body that is found; NULL: nothing. */
static const char *
look(struct given *g, const struct question *q)
{
    static char text[64];
    struct lookup lookup = {0};
    struct looked l = {0};
    struct slice body;

    lookup_start(&lookup, &g->worker,
        &(struct lookup_opts){.q = q, .on_end = on_end, .ctx = &l});
    assert_true(lookup_is_active(&lookup));
    assert_int_equal(l.times, 0);
    loop_turn(g->rig.loop, 0);
    assert_false(lookup_is_active(&lookup));
    assert_int_equal(l.times, 1);
    if (l.own_entry == NULL) {
        assert_int_equal(l.end, LOOKUP_NOTHING);
        return NULL;
    }
    assert_int_equal(l.end, LOOKUP_FOUND);
    body = (l.own_entry->flags & ENTRY_VARY_RECORD) != 0
               ? entry_generation(l.own_entry)
               : entry_body(l.own_entry);
    snprintf(text, sizeof(text), "%.*s", SLICE_FMT(body));
    entry_unref(&l.own_entry);
    return text;
}

static void
assert_found(struct given *g, const struct question *q, const char *want)
{
    const char *got = look(g, q);

    if (want == NULL) {
        assert_null(got);
    } else {
        assert_non_null(got);
        assert_string_equal(got, want);
    }
}

static void
store(struct given *g, enum store_kind kind, struct question *q,
    struct lease *lease, const char *body)
{
    const struct store own_store = {
        .kind = kind,
        .q = q,
        .lease = lease,
        .value = given_value(g, q, body, 1000),
        .px_ms = 1000,
    };

    store_write(&g->worker, &own_store);
}

/* Stores it under a lease of its own. */
static void
store_now(
    struct given *g, enum store_kind kind, struct question *q, const char *body)
{
    struct taken t;

    store(g, kind, q, take(g, q, &t), body);
}

static void
what_is_stored_is_found_until_a_write_deletes_it(void **state)
{
    struct given g;
    struct question *a, *b;

    (void)state;
    alone_begins(&g);
    a = given_question(&g.asking, "GET /a", "");
    b = given_question(&g.asking, "GET /b", "");
    assert_true(store_is_possible(&g.worker, a));
    assert_found(&g, a, NULL);
    store_now(&g, STORE_ENTRY, a, "one");
    assert_found(&g, a, "one");
    assert_found(&g, b, NULL);
    store_now(&g, STORE_ENTRY, a, "two");
    assert_found(&g, a, "two");
    assert_int_equal(counted(&g, COUNTER_STORES), 2);
    delete_it(&g, a, NULL);
    assert_found(&g, a, NULL);
    question_unref(&a);
    question_unref(&b);
    alone_ends(&g);
}

/* A thread that looks as soon as it sees a write counted, as a flight does that
   is opened then. */
struct rival {
    struct tier *tier;
    const struct key *key;
    atomic_uint seen; /* the count of writes at which it has looked */
    atomic_bool is_over;
    atomic_uint found;
};

enum {
    ROUNDS = 2000,
};

static void
put_round(struct given *g, const struct question *q)
{
    const struct memory_watch watch = memory_watch(g->tier.memory, q->key.hash);
    const struct codec_parts parts = {
        .status = 200, .key = q->key.full, .body = SLICE("old")};
    struct value value;
    struct entry *entry;

    assert_int_equal(codec_encode(&parts, &value), RC_OK);
    assert_int_equal(codec_entry(&value, &entry), RC_OK);
    assert_int_equal(
        memory_put(g->tier.memory, &watch, entry, &(struct memory_note){0}),
        RC_OK);
    entry_unref(&entry);
    value_free(&value);
}

static void *
rival_main(void *ctx)
{
    struct rival *rival = ctx;
    struct memory_note note;
    struct entry *entry;

    while (!atomic_load(&rival->is_over)) {
        uint32_t count = written_count(&rival->tier->written, rival->key->hash);

        if (count == atomic_load(&rival->seen)) {
            sched_yield();
            continue;
        }
        if (memory_get(rival->tier->memory, rival->key, &entry, &note) ==
            RC_OK) {
            atomic_fetch_add(&rival->found, 1);
            entry_unref(&entry);
        }
        atomic_store(&rival->seen, count);
    }
    return NULL;
}

/* Whoever comes when a write has been answered may join a flight that counts
   it: that flight must have found nothing of before. */
static void
whoever_counts_a_write_finds_nothing_of_before(void **state)
{
    struct given g;
    struct rival rival = {.found = 0};
    struct question *q;
    pthread_t thread;

    (void)state;
    alone_begins(&g);
    q = given_question(&g.asking, "GET /a", "");
    rival.tier = &g.tier;
    rival.key = &q->key;
    assert_int_equal(written_count(&g.tier.written, q->key.hash), 0);
    assert_int_equal(pthread_create(&thread, NULL, rival_main, &rival), 0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        while (atomic_load(&rival.seen) != round) {
            sched_yield();
        }
        put_round(&g, q);
        delete_it(&g, q, NULL);
    }
    atomic_store(&rival.is_over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(atomic_load(&rival.found), 0);
    question_unref(&q);
    alone_ends(&g);
}

static void
a_lookup_that_is_cancelled_ends_nothing(void **state)
{
    struct given g;
    struct lookup lookup = {0};
    struct looked l = {0};
    struct question *q;

    (void)state;
    alone_begins(&g);
    q = given_question(&g.asking, "GET /a", "");
    lookup_start(&lookup, &g.worker,
        &(struct lookup_opts){.q = q, .on_end = on_end, .ctx = &l});
    lookup_cancel(&lookup);
    assert_false(lookup_is_active(&lookup));
    loop_turn(g.rig.loop, 0);
    assert_int_equal(l.times, 0);
    question_unref(&q);
    alone_ends(&g);
}

/* As Redis would have let go of it. */
static void
what_is_past_all_use_is_not_found(void **state)
{
    struct given g;
    struct taken t;
    struct store own_store = {.kind = STORE_ENTRY, .px_ms = 1};
    int64_t now_ms;
    struct codec_parts parts;

    (void)state;
    alone_begins(&g);
    own_store.q = given_question(&g.asking, "GET /a", "");
    now_ms = worker_wall_ms(&g.worker);
    parts = (struct codec_parts){.status = 200,
        .created_ms = now_ms - 2000,
        .fresh_until_ms = now_ms - 1000,
        .stale_until_ms = now_ms,
        .key = own_store.q->key.full,
        .body = SLICE("old")};
    assert_int_equal(codec_encode(&parts, &own_store.value), RC_OK);
    own_store.lease = take(&g, own_store.q, &t);
    store_write(&g.worker, &own_store);
    assert_int_equal(counted(&g, COUNTER_STORES), 1);
    assert_found(&g, own_store.q, NULL);
    question_unref(&own_store.q);
    alone_ends(&g);
}

/* A fetch that began before a write stores nothing after it; that of the write
   itself does. */
static void
what_was_fetched_before_a_write_is_not_stored(void **state)
{
    struct given g;
    struct taken before, own;
    struct question *q;

    (void)state;
    alone_begins(&g);
    q = given_question(&g.asking, "GET /a", "");
    take(&g, q, &before);
    delete_it(&g, q, NULL);
    take(&g, q, &own);
    delete_it(&g, q, own.lease);
    store(&g, STORE_ENTRY, q, before.lease, "old");
    assert_found(&g, q, NULL);
    assert_int_equal(counted(&g, COUNTER_STORES_FENCED), 1);
    assert_int_equal(ask_for(&g, q, &before), LEASE_TAKEN);
    store(&g, STORE_ENTRY, q, own.lease, "new");
    assert_found(&g, q, "new");
    take(&g, q, &own); /* it was given back */
    assert_int_equal(counted(&g, COUNTER_STORES), 1);
    question_unref(&q);
    alone_ends(&g);
}

static void
what_was_fetched_under_a_lease_that_has_ended_is_not_stored(void **state)
{
    struct given g;
    struct taken first, second;
    struct question *q;

    (void)state;
    alone_begins(&g);
    time_stop(g.rig.loop);
    q = given_question(&g.asking, "GET /a", "");
    take(&g, q, &first);
    time_pass(g.rig.loop, LEASE_MS - 1);
    assert_false(is_gone(&g, &first));
    time_pass(g.rig.loop, LEASE_MS);
    take(&g, q, &second);
    store(&g, STORE_ENTRY, q, second.lease, "newer");
    store(&g, STORE_ENTRY, q, first.lease, "older");
    assert_found(&g, q, "newer");
    take(&g, q, &first);
    assert_false(is_gone(&g, &first));
    time_pass(g.rig.loop, LEASE_MS - 1);
    store(&g, STORE_ENTRY, q, first.lease, "newest");
    assert_found(&g, q, "newest");
    question_unref(&q);
    alone_ends(&g);
}

static void
what_is_renewed_takes_the_place_of_that_very_value(void **state)
{
    struct given g;
    struct question *q;
    struct entry *first;
    struct store own_store;

    (void)state;
    alone_begins(&g);
    q = given_question(&g.asking, "GET /a", "");
    for (int is_there = 0; is_there < 2; is_there++) {
        struct value value = given_value(&g, q, "first", 1000);
        struct taken t;

        assert_int_equal(codec_entry(&value, &first), RC_OK);
        own_store = (struct store){.kind = STORE_ENTRY,
            .q = q,
            .lease = take(&g, q, &t),
            .value = value,
            .px_ms = 1000};
        store_write(&g.worker, &own_store);
        if (!is_there) {
            store_now(&g, STORE_ENTRY, q, "other");
        }
        own_store = (struct store){.kind = STORE_RENEWED,
            .q = q,
            .sum = entry_sum(first),
            .value = given_value(&g, q, "renewed", 1000),
            .px_ms = 1000};
        store_write(&g.worker, &own_store);
        assert_found(&g, q, is_there ? "renewed" : "other");
        entry_unref(&first);
    }
    question_unref(&q);
    alone_ends(&g);
}

static void
one_that_is_too_large_is_counted(void **state)
{
    static char body[SIZE];
    struct given g;
    struct question *q;

    (void)state;
    memset(body, 'x', sizeof(body) - 1);
    alone_begins(&g);
    q = given_question(&g.asking, "GET /a", "");
    store_now(&g, STORE_ENTRY, q, "small");
    store_now(&g, STORE_ENTRY, q, body);
    assert_int_equal(limited(&g, LIMIT_OBJECT_MAX), 1);
    assert_found(&g, q, NULL);
    question_unref(&q);
    alone_ends(&g);
}

/* So the origin's answer is told to be too large before it is kept. */
static void
a_body_is_to_fit_memory_with_its_lines(void **state)
{
    struct given g;

    (void)state;
    alone_begins(&g);
    g.asking.conf->opts.limits.object_max = SIZE;
    assert_int_equal(tier_assess_opts(&g.worker).object_max, SIZE / 4 / 8 * 7);
    g.asking.conf->opts.limits.object_max = 1000;
    assert_int_equal(tier_assess_opts(&g.worker).object_max, 1000);
    g.asking.conf->opts.limits.object_max = SIZE;
    memory_free(&g.tier.memory);
    assert_int_equal(tier_assess_opts(&g.worker).object_max, SIZE);
    alone_ends(&g);
}

static void
without_memory_for_it_nothing_is_stored(void **state)
{
    struct given g;
    struct question *q;
    struct taken t;
    struct store own_store;

    (void)state;
    alone_begins(&g);
    q = given_question(&g.asking, "GET /a", "");
    own_store = (struct store){.kind = STORE_ENTRY,
        .q = q,
        .lease = take(&g, q, &t),
        .value = given_value(&g, q, "body", 1000),
        .px_ms = 1000};
    heap_refuse(1, 0);
    store_write(&g.worker, &own_store);
    assert_true(heap_refused());
    assert_int_equal(limited(&g, LIMIT_MEMORY), 1);
    assert_found(&g, q, NULL);
    question_unref(&q);
    alone_ends(&g);
}

/* --- variants ---------------------------------------------------------- */

/* With its first variant; takes the record's value. False: not stored. */
static void
store_record(struct given *g, struct varied *v, struct question *variant,
    struct lease *lease)
{
    const struct store own_store = {
        .kind = STORE_RECORD,
        .q = variant,
        .leased = v->base,
        .lease = lease,
        .value = given_value(g, variant, "first", 1000),
        .record = v->value,
        .px_ms = 1000,
    };

    v->value = (struct value){0};
    store_write(&g->worker, &own_store);
}

static void
varied_over(struct varied *v)
{
    value_free(&v->value);
    entry_unref(&v->record);
    question_unref(&v->base);
}

static void
a_record_is_stored_with_its_first_variant_under_the_base_lease(void **state)
{
    struct given g;

    (void)state;
    alone_begins(&g);
    for (int is_ours = 0; is_ours < 2; is_ours++) {
        struct varied v = given_record(&g, (uint64_t)is_ours);
        struct question *variant = given_variant(&g, v.record, "Accept: a\r\n");
        struct taken t;

        take(&g, v.base, &t);
        if (!is_ours) {
            delete_it(&g, v.base, NULL);
        }
        store_record(&g, &v, variant, t.lease);
        assert_found(&g, variant, is_ours ? "first" : NULL);
        assert_int_equal(look(&g, v.base) != NULL, is_ours);
        question_unref(&variant);
        varied_over(&v);
    }
    assert_int_equal(counted(&g, COUNTER_STORES), 1);
    assert_int_equal(counted(&g, COUNTER_STORES_FENCED), 1);
    alone_ends(&g);
}

static void
a_further_variant_is_stored_while_its_record_is_there(void **state)
{
    struct given g;

    (void)state;
    alone_begins(&g);
    for (int what = 0; what < 3; what++) {
        struct varied v = given_record(&g, 1);
        struct varied now = given_record(&g, 2);
        struct question *first = given_variant(&g, v.record, "Accept: a\r\n");
        struct question *further = given_variant(&g, v.record, "Accept: b\r\n");
        struct taken base, t;

        take(&g, v.base, &base);
        take(&g, further, &t);
        store_record(&g, &v, first, base.lease);
        if (what == 1) {
            delete_it(&g, v.base, NULL);
        } else if (what == 2) {
            store_record(&g, &now, first, base.lease);
        }
        store(&g, STORE_VARIANT, further, t.lease, "further");
        assert_found(&g, further, what == 0 ? "further" : NULL);
        memory_drop_all(g.tier.memory);
        question_unref(&first);
        question_unref(&further);
        varied_over(&v);
        varied_over(&now);
    }
    alone_ends(&g);
}

static void
a_wider_record_takes_the_place_of_the_one_that_chose(void **state)
{
    struct given g;

    (void)state;
    alone_begins(&g);
    for (int what = 0; what < 3; what++) {
        struct varied old = given_record(&g, 1);
        struct varied now = given_record(&g, 2);
        struct varied wide = given_record(&g, 3);
        struct question *chosen =
            given_variant(&g, old.record, "Accept: a\r\n");
        struct question *variant =
            given_variant(&g, wide.record, "Accept: a\r\n");
        struct taken base, t;
        struct store own_store = {
            .kind = STORE_WIDER,
            .q = variant,
            .leased = chosen,
            .value = given_value(&g, variant, "wider", 1000),
            .record = wide.value,
            .px_ms = 1000,
        };
        struct varied *there = what == 1 ? &now : &old;
        char want[64];

        wide.value = (struct value){0};
        take(&g, old.base, &base);
        own_store.lease = take(&g, chosen, &t);
        store_record(&g, there, chosen, base.lease);
        if (what == 2) {
            delete_it(&g, chosen, NULL);
        }
        store_write(&g.worker, &own_store);
        assert_found(&g, variant, what == 0 ? "wider" : NULL);
        snprintf(want, sizeof(want), "%.*s",
            SLICE_FMT(entry_generation((what == 0 ? &wide : there)->record)));
        assert_found(&g, old.base, want);
        memory_drop_all(g.tier.memory);
        question_unref(&chosen);
        question_unref(&variant);
        varied_over(&old);
        varied_over(&now);
        varied_over(&wide);
    }
    alone_ends(&g);
}

/* --- without either ---------------------------------------------------- */

static void
without_memory_nothing_stores(void **state)
{
    struct given g;
    struct question *q;

    (void)state;
    alone_begins(&g);
    q = given_question(&g.asking, "GET /a", "");
    assert_true(tier_stores(&g.worker));
    memory_free(&g.tier.memory);
    assert_false(tier_stores(&g.worker));
    assert_false(store_is_possible(&g.worker, q));
    delete_it(&g, q, NULL);
    assert_int_equal(counted(&g, COUNTER_INVALIDATIONS), 1);
    question_unref(&q);
    alone_ends(&g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_at_a_time_has_the_lease_of_a_key),
        TEST(a_lease_that_nobody_renews_ends),
        TEST(a_write_ends_the_lease_of_its_target_but_its_own),
        TEST(a_write_to_a_key_that_is_counted_with_it_ends_a_lease_too),
        TEST(who_asks_no_longer_hears_nothing),
        TEST(what_is_stored_is_found_until_a_write_deletes_it),
        TEST(whoever_counts_a_write_finds_nothing_of_before),
        TEST(a_lookup_that_is_cancelled_ends_nothing),
        TEST(what_is_past_all_use_is_not_found),
        TEST(what_was_fetched_before_a_write_is_not_stored),
        TEST(what_was_fetched_under_a_lease_that_has_ended_is_not_stored),
        TEST(what_is_renewed_takes_the_place_of_that_very_value),
        TEST(one_that_is_too_large_is_counted),
        TEST(a_body_is_to_fit_memory_with_its_lines),
        TEST(without_memory_for_it_nothing_is_stored),
        TEST(a_record_is_stored_with_its_first_variant_under_the_base_lease),
        TEST(a_further_variant_is_stored_while_its_record_is_there),
        TEST(a_wider_record_takes_the_place_of_the_one_that_chose),
        TEST(without_memory_nothing_stores),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
