/* Memory: shards behind locks, and keys that are watched. */
#include "nearside/cache/memory.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "heap.h"
#include "nearside/base/check.h"
#include "nearside/base/hash.h"
#include "memory_given.h"

enum {
    SIZE = 1 << 20,
    BODY = 1000,
    THREADS = 4,
    ROUNDS = 20000,
    HOT_KEYS = 64,
};

struct given {
    char full[64];
    struct key key;
};

static void
given(struct given *g, const char *what, unsigned n)
{
    static const struct hash_key hash_key = {5, 6};
    int len = snprintf(g->full, sizeof(g->full), "http://test/%s/%u", what, n);

    g->key = (struct key){.full = slice_of(g->full, (size_t)len)};
    g->key.hash = hash_keyed(&hash_key, g->key.full);
}

static struct memory *
memory_of(size_t size, unsigned shards)
{
    struct memory *memory =
        memory_new(&(struct memory_opts){.size = size, .shards = shards});

    assert_non_null(memory);
    return memory;
}

static enum rc
put_watched(struct memory *memory, struct memory_watch watch,
    const struct given *g, unsigned generation, size_t body_len)
{
    struct entry *entry = given_entry(g->full, generation, body_len);
    enum rc rc = memory_put(memory, &watch, entry,
        &(struct memory_note){.stamp = generation, .slot = 16383});

    entry_unref(&entry);
    return rc;
}

static enum rc
put(struct memory *memory, const struct given *g, unsigned generation)
{
    return put_watched(
        memory, memory_watch(memory, g->key.hash), g, generation, BODY);
}

/* The generation that is found; 0: none. */
static unsigned
find(struct memory *memory, const struct given *g)
{
    struct entry *entry;
    struct memory_note note;
    unsigned generation;

    if (memory_get(memory, &g->key, &entry, &note) != RC_OK) {
        return 0;
    }
    generation = given_generation(entry);
    assert_true(slice_eq(entry_key(entry), g->key.full));
    assert_int_equal(note.stamp, generation);
    assert_int_equal(note.slot, 16383);
    entry_unref(&entry);
    return generation;
}

static void
what_is_put_is_found_with_its_note(void **state)
{
    struct memory *memory = memory_of(SIZE, 0);
    struct given a, b;

    (void)state;
    given(&a, "a", 1);
    given(&b, "b", 1);
    assert_int_equal(find(memory, &a), 0);
    assert_int_equal(put(memory, &a, 11), RC_OK);
    assert_int_equal(find(memory, &a), 11);
    assert_int_equal(find(memory, &b), 0);
    assert_int_equal(put(memory, &a, 12), RC_OK);
    assert_int_equal(find(memory, &a), 12);
    memory_free(&memory);
    assert_null(memory);
    memory_free(&memory);
}

static void
what_was_read_before_a_change_is_not_put_after_it(void **state)
{
    struct memory *memory = memory_of(SIZE, 0);
    struct memory_watch watch, other, later;
    struct given a, b;

    (void)state;
    given(&a, "a", 1);
    given(&b, "b", 1);
    watch = memory_watch(memory, a.key.hash);
    other = memory_watch(memory, b.key.hash);
    assert_false(memory_has_changed(memory, &watch));
    assert_int_equal(memory_drop(memory, a.key.hash, NULL), 0);
    assert_true(memory_has_changed(memory, &watch));
    assert_false(memory_has_changed(memory, &other));
    later = memory_watch(memory, a.key.hash);
    assert_int_equal(put_watched(memory, watch, &a, 1, BODY), RC_MISS);
    assert_int_equal(find(memory, &a), 0);
    assert_int_equal(put_watched(memory, later, &a, 2, BODY), RC_OK);
    assert_int_equal(put_watched(memory, other, &b, 3, BODY), RC_OK);
    assert_int_equal(find(memory, &a), 2);
    assert_int_equal(find(memory, &b), 3);
    memory_free(&memory);
}

/* What came after the change stays when one from before it is late. */
static void
one_that_is_too_late_takes_nothing_away(void **state)
{
    struct memory *memory = memory_of(SIZE, 0);
    struct memory_watch watch;
    struct given a;

    (void)state;
    given(&a, "a", 1);
    watch = memory_watch(memory, a.key.hash);
    assert_int_equal(memory_drop(memory, a.key.hash, NULL), 0);
    assert_int_equal(put(memory, &a, 2), RC_OK);
    assert_int_equal(put_watched(memory, watch, &a, 1, BODY), RC_MISS);
    assert_int_equal(find(memory, &a), 2);
    memory_free(&memory);
}

/* Its own drop does not concern who watches; that of another before it does,
   and that of another after it. */
static void
who_drops_may_go_on_watching(void **state)
{
    struct memory *memory = memory_of(SIZE, 0);
    struct memory_watch own, other;
    struct given a;

    (void)state;
    given(&a, "a", 1);
    assert_int_equal(put(memory, &a, 1), RC_OK);
    own = memory_watch(memory, a.key.hash);
    other = own;
    assert_int_equal(memory_drop(memory, a.key.hash, &own), 1);
    assert_true(memory_has_changed(memory, &other));
    assert_int_equal(memory_drop(memory, a.key.hash, &other), 0);
    assert_true(memory_has_changed(memory, &other));
    assert_int_equal(put_watched(memory, own, &a, 2, BODY), RC_MISS);
    own = memory_watch(memory, a.key.hash);
    assert_int_equal(memory_drop(memory, a.key.hash, &own), 0);
    assert_int_equal(put_watched(memory, own, &a, 3, BODY), RC_OK);
    memory_free(&memory);
}

static void
all_who_watch_see_that_all_is_dropped(void **state)
{
    enum {
        MANY = 64
    };
    struct memory *memory = memory_of(SIZE, 4);
    struct memory_watch watches[MANY];
    struct given g[MANY];

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        given(&g[i], "a", i);
        assert_int_equal(put(memory, &g[i], i + 1), RC_OK);
        watches[i] = memory_watch(memory, g[i].key.hash);
    }
    memory_drop_all(memory);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(find(memory, &g[i]), 0);
        assert_int_equal(
            put_watched(memory, watches[i], &g[i], 1, BODY), RC_MISS);
    }
    memory_free(&memory);
}

/* Few of those who watch other keys are concerned, and none is the less so for
   what comes later. */
static void
each_drop_concerns_its_own_key(void **state)
{
    enum {
        MANY = 64
    };
    struct memory *memory = memory_of(SIZE, 1);
    struct memory_watch watches[MANY];
    struct given g[MANY];
    unsigned refused = 0;

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        given(&g[i], "a", i);
        watches[i] = memory_watch(memory, g[i].key.hash);
    }
    for (unsigned i = 0; i < MANY / 2; i++) {
        memory_drop(memory, g[i].key.hash, NULL);
    }
    for (unsigned i = 0; i < MANY; i++) {
        enum rc rc = put_watched(memory, watches[i], &g[i], i + 1, BODY);

        if (i < MANY / 2) {
            assert_int_equal(rc, RC_MISS);
        } else {
            refused += rc != RC_OK;
        }
    }
    assert_in_range(refused, 0, 5); /* of 32, with 4,096 places */
    memory_free(&memory);
}

/* What is replaced is that very entry, or nothing. */
static void
only_what_was_found_is_replaced(void **state)
{
    struct memory *memory = memory_of(SIZE, 0);
    struct entry *first, *second, *third;
    struct given a;

    (void)state;
    given(&a, "a", 1);
    first = given_entry(a.full, 1, BODY);
    second = given_entry(a.full, 2, BODY);
    third = given_entry(a.full, 3, BODY);
    assert_int_equal(memory_replace(memory, &a.key, entry_sum(first), second,
                         &(struct memory_note){.stamp = 2, .slot = 16383}),
        RC_MISS);
    assert_int_equal(put(memory, &a, 1), RC_OK);
    assert_int_equal(memory_replace(memory, &a.key, entry_sum(first), second,
                         &(struct memory_note){.stamp = 2, .slot = 16383}),
        RC_OK);
    assert_int_equal(find(memory, &a), 2);
    assert_int_equal(memory_replace(memory, &a.key, entry_sum(first), third,
                         &(struct memory_note){.stamp = 3, .slot = 16383}),
        RC_MISS);
    assert_int_equal(find(memory, &a), 2);
    entry_unref(&first);
    entry_unref(&second);
    entry_unref(&third);
    memory_free(&memory);
}

static void
what_is_too_large_is_not_kept_nor_what_it_would_replace(void **state)
{
    struct memory *memory =
        memory_new(&(struct memory_opts){.size = SIZE, .entry_max = 4 * BODY});
    struct given a;

    (void)state;
    given(&a, "a", 1);
    assert_int_equal(put(memory, &a, 1), RC_OK);
    assert_int_equal(
        put_watched(memory, memory_watch(memory, a.key.hash), &a, 2, 4 * BODY),
        RC_LIMIT);
    assert_int_equal(find(memory, &a), 0);
    assert_int_equal(
        put_watched(memory, memory_watch(memory, a.key.hash), &a, 3, 3 * BODY),
        RC_OK);
    assert_int_equal(find(memory, &a), 3);
    memory_free(&memory);
}

/* Whatever its own limit is, and without one. */
static void
no_entry_is_larger_than_a_quarter_of_a_shard(void **state)
{
    struct given a;

    (void)state;
    given(&a, "a", 1);
    for (size_t entry_max = 0; entry_max <= SIZE; entry_max += SIZE) {
        struct memory *memory = memory_new(&(struct memory_opts){
            .size = SIZE, .shards = 64, .entry_max = entry_max});
        struct memory_watch watch = memory_watch(memory, a.key.hash);

        assert_int_equal(memory_entry_max(memory), SIZE / 64 / 4);
        assert_int_equal(put_watched(memory, watch, &a, 1, 5 * BODY), RC_LIMIT);
        watch = memory_watch(memory, a.key.hash);
        assert_int_equal(put_watched(memory, watch, &a, 1, 3 * BODY), RC_OK);
        memory_free(&memory);
    }
}

static void
what_was_found_twice_outlives_a_scan(void **state)
{
    struct memory *memory = memory_of(SIZE, 1);
    struct given hot, warm, g;

    (void)state;
    given(&hot, "hot", 1);
    given(&warm, "warm", 1);
    assert_int_equal(put(memory, &hot, 1), RC_OK);
    assert_int_equal(put(memory, &warm, 1), RC_OK);
    assert_int_equal(find(memory, &hot), 1);
    assert_int_equal(find(memory, &hot), 1);
    assert_int_equal(find(memory, &warm), 1);
    for (unsigned i = 0; i < 2000; i++) {
        given(&g, "scan", i);
        assert_int_equal(put(memory, &g, 1), RC_OK);
    }
    assert_int_equal(find(memory, &hot), 1);
    assert_int_equal(find(memory, &warm), 0);
    memory_free(&memory);
}

static void
it_stays_within_its_size_and_counts(void **state)
{
    enum {
        MANY = 4000
    };
    struct memory *memory = memory_of(SIZE, 4);
    struct memory_counts counts;
    struct given g;
    unsigned found = 0;

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        given(&g, "a", i);
        assert_int_equal(put(memory, &g, i + 1), RC_OK);
    }
    for (unsigned i = 0; i < MANY; i++) {
        given(&g, "a", i);
        found += find(memory, &g) != 0;
    }
    memory_count(memory, &counts);
    assert_int_equal(counts.entries, found);
    assert_int_equal(counts.puts, MANY);
    assert_int_equal(counts.evicted_small + counts.evicted_main, MANY - found);
    assert_int_equal(counts.drops, 0);
    /* Its shards' own structs come on top: some hundred bytes. */
    assert_in_range(counts.bytes, SIZE * 9 / 10, SIZE + 4 * 17408);
    assert_true(found > SIZE / (2 * BODY));
    given(&g, "a", MANY - 1);
    assert_int_equal(memory_drop(memory, g.key.hash, NULL), 1);
    memory_count(memory, &counts);
    assert_int_equal(counts.drops, 1);
    memory_free(&memory);
}

static void
each_refused_malloc_leaves_no_store_and_no_block(void **state)
{
    unsigned nth = 1;

    (void)state;
    for (;; nth++) {
        struct memory *memory;

        heap_begins();
        heap_refuse(nth, 0);
        memory = memory_new(&(struct memory_opts){.size = SIZE, .shards = 4});
        if (!heap_refused()) {
            memory_free(&memory);
            break;
        }
        assert_null(memory);
        heap_ends();
    }
    assert_int_equal(nth, 7); /* it, its places, a table each */
}

/* --- threads --------------------------------------------------------------
 */

/* What all threads share. A writer of a key first raises `begun`, then drops,
   then raises `done`; a reader puts what it read after it began to watch. */
struct race {
    struct memory *memory;
    struct given keys[HOT_KEYS];
    atomic_uint value[HOT_KEYS];   /* as in the shared tier */
    atomic_uint dropped[HOT_KEYS]; /* all older ones are gone from here */
    atomic_uint hits;
};

static void
race_write(struct race *race, unsigned n)
{
    unsigned value = atomic_fetch_add(&race->value[n], 1) + 1;
    unsigned before;

    (void)memory_drop(race->memory, race->keys[n].key.hash, NULL);
    before = atomic_load(&race->dropped[n]);
    while (before < value &&
           !atomic_compare_exchange_weak(&race->dropped[n], &before, value)) {
        /* another writer was faster, or is to be */
    }
}

static void
race_read(struct race *race, unsigned n)
{
    struct memory_watch watch;
    unsigned least = atomic_load(&race->dropped[n]);
    unsigned got = find(race->memory, &race->keys[n]);

    if (got != 0) {
        if (got < least) {
            fprintf(stderr, "key %u: %u after %u\n", n, got, least);
            abort();
        }
        atomic_fetch_add(&race->hits, 1);
        return;
    }
    watch = memory_watch(race->memory, race->keys[n].key.hash);
    got = atomic_load(&race->value[n]);
    if (got > 0) {
        (void)put_watched(race->memory, watch, &race->keys[n], got, BODY);
    }
}

static void *
race_run(void *ctx)
{
    struct race *race = ctx;
    struct random random;

    random_seed(&random);
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned n = (unsigned)random_below(&random, HOT_KEYS);

        if (random_below(&random, 10) == 0) {
            race_write(race, n);
        } else {
            race_read(race, n);
        }
    }
    return NULL;
}

/* No thread finds what was dropped before it looked. Memory is too small
   for all keys, so that entries leave meanwhile. */
static void
threads_find_nothing_older_than_a_drop(void **state)
{
    static struct race race;
    struct memory_counts counts;
    pthread_t threads[THREADS];

    (void)state;
    race.memory = memory_of((size_t)HOT_KEYS * BODY / 2, 2);
    for (unsigned i = 0; i < HOT_KEYS; i++) {
        given(&race.keys[i], "race", i);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, race_run, &race), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    memory_count(race.memory, &counts);
    assert_true(atomic_load(&race.hits) > ROUNDS / 10);
    assert_true(counts.drops > 0);
    assert_true(counts.evicted_small > 0);
    memory_free(&race.memory);
}

enum {
    SEATS = 300,
};

struct told {
    unsigned in_call;
    unsigned times[SEATS]; /* by an entry's generation, less one */
};

static void
on_asked(void *ctx, const struct entry *entry)
{
    struct told *told = ctx;

    told->in_call++;
    told->times[given_generation(entry) - 1]++;
}

/* A whole round; how many entries it told of. */
static unsigned
walk_round(struct memory *memory, struct memory_walk *walk, unsigned max,
    struct told *told)
{
    unsigned sum = 0;
    bool is_round = false;

    *told = (struct told){.in_call = 0};
    while (!is_round) {
        is_round = memory_sample(memory, walk, max, on_asked, told);
        assert_in_range(told->in_call, 0, max);
        sum += told->in_call;
        told->in_call = 0;
    }
    return sum;
}

static void
a_walk_tells_what_was_asked_for_since_it_came_by(void **state)
{
    static const unsigned maxes[] = {1, 7, MEMORY_SAMPLE_MAX};
    struct memory *memory = memory_of(SIZE, 4);
    struct memory_walk walk = {.shard = 0};
    struct given g[SEATS];
    struct told told;

    (void)state;
    assert_int_equal(walk_round(memory, &walk, 1, &told), 0);
    for (unsigned i = 0; i < SEATS; i++) {
        given(&g[i], "walk", i);
        assert_int_equal(
            put_watched(memory, memory_watch(memory, g[i].key.hash), &g[i],
                i + 1, sizeof(i)),
            RC_OK);
    }
    for (size_t m = 0; m < ARRAY_LEN(maxes); m++) {
        /* Not even when it was put. */
        assert_int_equal(walk_round(memory, &walk, maxes[m], &told), 0);
        for (unsigned i = 0; i < SEATS; i += 3) {
            for (unsigned n = 0; n <= i % 7; n++) {
                assert_int_equal(find(memory, &g[i]), i + 1);
            }
        }
        assert_int_equal(walk_round(memory, &walk, maxes[m], &told), SEATS / 3);
        for (unsigned i = 0; i < SEATS; i++) {
            assert_int_equal(told.times[i], i % 3 == 0);
        }
    }
    assert_int_equal(find(memory, &g[1]), 2);
    assert_int_equal(memory_drop(memory, g[1].key.hash, NULL), 1);
    assert_int_equal(walk_round(memory, &walk, 5, &told), 0);
    memory_free(&memory);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_found_with_its_note),
        cmocka_unit_test(what_was_read_before_a_change_is_not_put_after_it),
        cmocka_unit_test(one_that_is_too_late_takes_nothing_away),
        cmocka_unit_test(all_who_watch_see_that_all_is_dropped),
        cmocka_unit_test(each_drop_concerns_its_own_key),
        cmocka_unit_test(who_drops_may_go_on_watching),
        cmocka_unit_test(only_what_was_found_is_replaced),
        cmocka_unit_test(
            what_is_too_large_is_not_kept_nor_what_it_would_replace),
        cmocka_unit_test(no_entry_is_larger_than_a_quarter_of_a_shard),
        cmocka_unit_test(a_walk_tells_what_was_asked_for_since_it_came_by),
        cmocka_unit_test(what_was_found_twice_outlives_a_scan),
        cmocka_unit_test(it_stays_within_its_size_and_counts),
        cmocka_unit_test(each_refused_malloc_leaves_no_store_and_no_block),
        cmocka_unit_test(threads_find_nothing_older_than_a_drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
