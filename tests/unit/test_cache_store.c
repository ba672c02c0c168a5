/* The store: shards behind locks, and keys that are watched. */
#include "nearside/cache/store.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "heap.h"
#include "nearside/base/hash.h"
#include "store_given.h"

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

static struct store *
store_of(size_t size, unsigned shards)
{
    struct store *store =
        store_new(&(struct store_opts){.size = size, .shards = shards});

    assert_non_null(store);
    return store;
}

static enum rc
put_watched(struct store *store, struct store_watch *watch,
    const struct given *g, unsigned generation, size_t body_len)
{
    struct entry *entry = given_entry(g->full, generation, body_len);
    enum rc rc = store_put(store, watch, entry,
        &(struct store_note){.stamp = generation, .slot = 16383});

    entry_unref(&entry);
    return rc;
}

static enum rc
put(struct store *store, const struct given *g, unsigned generation)
{
    struct store_watch watch = {0};

    store_watch(store, &watch, &g->key);
    return put_watched(store, &watch, g, generation, BODY);
}

/* The generation that is found; 0: none. */
static unsigned
find(struct store *store, const struct given *g)
{
    struct entry *entry;
    struct store_note note;
    unsigned generation;

    if (store_get(store, &g->key, &entry, &note) != RC_OK) {
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
    struct store *store = store_of(SIZE, 0);
    struct given a, b;

    (void)state;
    given(&a, "a", 1);
    given(&b, "b", 1);
    assert_int_equal(find(store, &a), 0);
    assert_int_equal(put(store, &a, 11), RC_OK);
    assert_int_equal(find(store, &a), 11);
    assert_int_equal(find(store, &b), 0);
    assert_int_equal(put(store, &a, 12), RC_OK);
    assert_int_equal(find(store, &a), 12);
    store_free(&store);
    assert_null(store);
    store_free(&store);
}

static void
what_was_read_before_a_change_is_not_put_after_it(void **state)
{
    struct store *store = store_of(SIZE, 0);
    struct store_watch watch = {0}, other = {0}, later = {0};
    struct given a, b;

    (void)state;
    given(&a, "a", 1);
    given(&b, "b", 1);
    store_watch(store, &watch, &a.key);
    store_watch(store, &other, &b.key);
    assert_int_equal(store_drop(store, a.key.hash), 0);
    store_watch(store, &later, &a.key);
    assert_int_equal(put_watched(store, &watch, &a, 1, BODY), RC_MISS);
    assert_int_equal(find(store, &a), 0);
    assert_int_equal(put_watched(store, &later, &a, 2, BODY), RC_OK);
    assert_int_equal(put_watched(store, &other, &b, 3, BODY), RC_OK);
    assert_int_equal(find(store, &a), 2);
    assert_int_equal(find(store, &b), 3);
    store_free(&store);
}

/* What came after the change stays when one from before it is late. */
static void
one_that_is_too_late_takes_nothing_away(void **state)
{
    struct store *store = store_of(SIZE, 0);
    struct store_watch watch = {0};
    struct given a;

    (void)state;
    given(&a, "a", 1);
    store_watch(store, &watch, &a.key);
    assert_int_equal(store_drop(store, a.key.hash), 0);
    assert_int_equal(put(store, &a, 2), RC_OK);
    assert_int_equal(put_watched(store, &watch, &a, 1, BODY), RC_MISS);
    assert_int_equal(find(store, &a), 2);
    store_free(&store);
}

static void
all_who_watch_see_that_all_is_dropped(void **state)
{
    enum {
        MANY = 64
    };
    struct store *store = store_of(SIZE, 4);
    struct store_watch watches[MANY] = {0};
    struct given g[MANY];

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        given(&g[i], "a", i);
        assert_int_equal(put(store, &g[i], i + 1), RC_OK);
        store_watch(store, &watches[i], &g[i].key);
    }
    store_drop_all(store);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(find(store, &g[i]), 0);
        assert_int_equal(
            put_watched(store, &watches[i], &g[i], 1, BODY), RC_MISS);
    }
    store_free(&store);
}

/* Whoever watches another key is not concerned, and takes back nothing. */
static void
each_drop_concerns_its_own_key(void **state)
{
    enum {
        MANY = 64
    };
    struct store *store = store_of(SIZE, 1);
    struct store_watch watches[MANY] = {0};
    struct given g[MANY];

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        given(&g[i], "a", i);
        store_watch(store, &watches[i], &g[i].key);
    }
    for (unsigned i = 0; i < MANY / 2; i++) {
        store_drop(store, g[i].key.hash);
    }
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(put_watched(store, &watches[i], &g[i], i + 1, BODY),
            i < MANY / 2 ? RC_MISS : RC_OK);
    }
    store_free(&store);
}

static void
who_watches_no_longer_is_told_nothing(void **state)
{
    struct store *store = store_of(SIZE, 0);
    struct store_watch watch = {0};
    struct given a;

    (void)state;
    given(&a, "a", 1);
    store_unwatch(store, &watch); /* it never began */
    store_watch(store, &watch, &a.key);
    store_unwatch(store, &watch);
    store_unwatch(store, &watch);
    store_drop(store, a.key.hash);
    assert_false(watch.is_changed);
    store_free(&store);
}

static void
what_is_too_large_is_not_kept_nor_what_it_would_replace(void **state)
{
    struct store *store =
        store_new(&(struct store_opts){.size = SIZE, .entry_max = 4 * BODY});
    struct store_watch watch = {0};
    struct given a;

    (void)state;
    given(&a, "a", 1);
    assert_int_equal(put(store, &a, 1), RC_OK);
    store_watch(store, &watch, &a.key);
    assert_int_equal(put_watched(store, &watch, &a, 2, 4 * BODY), RC_LIMIT);
    assert_int_equal(find(store, &a), 0);
    store_watch(store, &watch, &a.key);
    assert_int_equal(put_watched(store, &watch, &a, 3, 3 * BODY), RC_OK);
    assert_int_equal(find(store, &a), 3);
    store_free(&store);
}

/* Whatever its own limit is, and without one. */
static void
no_entry_is_larger_than_a_quarter_of_a_shard(void **state)
{
    struct store_watch watch = {0};
    struct given a;

    (void)state;
    given(&a, "a", 1);
    for (size_t entry_max = 0; entry_max <= SIZE; entry_max += SIZE) {
        struct store *store = store_new(&(struct store_opts){
            .size = SIZE, .shards = 64, .entry_max = entry_max});

        store_watch(store, &watch, &a.key);
        assert_int_equal(put_watched(store, &watch, &a, 1, 5 * BODY), RC_LIMIT);
        store_watch(store, &watch, &a.key);
        assert_int_equal(put_watched(store, &watch, &a, 1, 3 * BODY), RC_OK);
        store_free(&store);
    }
}

static void
what_was_found_twice_outlives_a_scan(void **state)
{
    struct store *store = store_of(SIZE, 1);
    struct given hot, warm, g;

    (void)state;
    given(&hot, "hot", 1);
    given(&warm, "warm", 1);
    assert_int_equal(put(store, &hot, 1), RC_OK);
    assert_int_equal(put(store, &warm, 1), RC_OK);
    assert_int_equal(find(store, &hot), 1);
    assert_int_equal(find(store, &hot), 1);
    assert_int_equal(find(store, &warm), 1);
    for (unsigned i = 0; i < 2000; i++) {
        given(&g, "scan", i);
        assert_int_equal(put(store, &g, 1), RC_OK);
    }
    assert_int_equal(find(store, &hot), 1);
    assert_int_equal(find(store, &warm), 0);
    store_free(&store);
}

static void
it_stays_within_its_size_and_counts(void **state)
{
    enum {
        MANY = 4000
    };
    struct store *store = store_of(SIZE, 4);
    struct store_counts counts;
    struct given g;
    unsigned found = 0;

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        given(&g, "a", i);
        assert_int_equal(put(store, &g, i + 1), RC_OK);
    }
    for (unsigned i = 0; i < MANY; i++) {
        given(&g, "a", i);
        found += find(store, &g) != 0;
    }
    store_count(store, &counts);
    assert_int_equal(counts.entries, found);
    assert_int_equal(counts.puts, MANY);
    assert_int_equal(counts.evicted_small + counts.evicted_main, MANY - found);
    assert_int_equal(counts.drops, 0);
    /* Its shards' own structs come on top: some hundred bytes. */
    assert_in_range(counts.bytes, SIZE * 9 / 10, SIZE + 4096);
    assert_true(found > SIZE / (2 * BODY));
    given(&g, "a", MANY - 1);
    assert_int_equal(store_drop(store, g.key.hash), 1);
    store_count(store, &counts);
    assert_int_equal(counts.drops, 1);
    store_free(&store);
}

static void
each_refused_malloc_leaves_no_store_and_no_block(void **state)
{
    unsigned nth = 1;

    (void)state;
    for (;; nth++) {
        struct store *store;

        heap_begins();
        heap_refuse(nth, 0);
        store = store_new(&(struct store_opts){.size = SIZE, .shards = 4});
        if (!heap_refused()) {
            store_free(&store);
            break;
        }
        assert_null(store);
        heap_ends();
    }
    assert_int_equal(nth, 7); /* the store, its places, a table each */
}

/* --- threads --------------------------------------------------------------
 */

/* What all threads share. A writer of a key first raises `begun`, then drops,
   then raises `done`; a reader puts what it read after it began to watch. */
struct race {
    struct store *store;
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

    (void)store_drop(race->store, race->keys[n].key.hash);
    before = atomic_load(&race->dropped[n]);
    while (before < value &&
           !atomic_compare_exchange_weak(&race->dropped[n], &before, value)) {
        /* another writer was faster, or is to be */
    }
}

static void
race_read(struct race *race, unsigned n)
{
    struct store_watch watch = {0};
    unsigned least = atomic_load(&race->dropped[n]);
    unsigned got = find(race->store, &race->keys[n]);

    if (got != 0) {
        if (got < least) {
            fprintf(stderr, "key %u: %u after %u\n", n, got, least);
            abort();
        }
        atomic_fetch_add(&race->hits, 1);
        return;
    }
    store_watch(race->store, &watch, &race->keys[n].key);
    got = atomic_load(&race->value[n]);
    if (got == 0) {
        store_unwatch(race->store, &watch);
        return;
    }
    (void)put_watched(race->store, &watch, &race->keys[n], got, BODY);
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

/* No thread finds what was dropped before it looked. The store is too small
   for all keys, so that entries leave meanwhile. */
static void
threads_find_nothing_older_than_a_drop(void **state)
{
    static struct race race;
    struct store_counts counts;
    pthread_t threads[THREADS];

    (void)state;
    race.store = store_of((size_t)HOT_KEYS * BODY / 2, 2);
    for (unsigned i = 0; i < HOT_KEYS; i++) {
        given(&race.keys[i], "race", i);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, race_run, &race), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    store_count(race.store, &counts);
    assert_true(atomic_load(&race.hits) > ROUNDS / 10);
    assert_true(counts.drops > 0);
    assert_true(counts.evicted_small > 0);
    store_free(&race.store);
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
        cmocka_unit_test(who_watches_no_longer_is_told_nothing),
        cmocka_unit_test(
            what_is_too_large_is_not_kept_nor_what_it_would_replace),
        cmocka_unit_test(no_entry_is_larger_than_a_quarter_of_a_shard),
        cmocka_unit_test(what_was_found_twice_outlives_a_scan),
        cmocka_unit_test(it_stays_within_its_size_and_counts),
        cmocka_unit_test(each_refused_malloc_leaves_no_store_and_no_block),
        cmocka_unit_test(threads_find_nothing_older_than_a_drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
