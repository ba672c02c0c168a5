/* A shard of memory: S3-FIFO, told by what stays and what leaves. */
#include "cache/shard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "heap.h"
#include "nearside/base/hash.h"
#include "memory_given.h"

enum {
    BUDGET = 256 * 1024,
    BODY = 1000,
    FEW = 20,    /* they fit the small queue */
    SCAN = 1000, /* many times what fits the whole */
    KEYS = 400,  /* of the property test: about twice what fits */
    STEPS = 40000,
};

static struct shard shard;
static struct parting parting;

static int
setup(void **state)
{
    (void)state;
    assert_int_equal(shard_init(&shard, BUDGET), RC_OK);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    parting_end(&parting);
    shard_fini(&shard);
    return 0;
}

static const char *
key_of(const char *what, unsigned n)
{
    static char full[64];

    snprintf(full, sizeof(full), "http://test/%s/%u", what, n);
    return full;
}

static uint32_t
hash_of(const char *full)
{
    static const struct hash_key hash_key = {3, 4};

    return (uint32_t)hash_keyed(&hash_key, slice_of(full, strlen(full)));
}

static enum rc
put_as(uint32_t hash, const char *full, unsigned generation, size_t body_len)
{
    struct entry *entry = given_entry(full, generation, body_len);
    const struct memory_note note = {.stamp = generation, .slot = 7};
    enum rc rc = shard_put(&shard, hash, entry, &note, &parting);

    parting_end(&parting);
    entry_unref(&entry);
    return rc;
}

static void
put(const char *what, unsigned n)
{
    const char *full = key_of(what, n);

    assert_int_equal(put_as(hash_of(full), full, n, BODY), RC_OK);
}

static struct seat *
seat_of(const char *what, unsigned n)
{
    const char *full = key_of(what, n);

    return seats_find(
        &shard.seats, hash_of(full), slice_of(full, strlen(full)));
}

static bool
is_there(const char *what, unsigned n)
{
    return seat_of(what, n) != NULL;
}

static void
ask(const char *what, unsigned n, unsigned times)
{
    struct seat *seat = seat_of(what, n);

    assert_non_null(seat);
    while (times-- > 0) {
        shard_ask(seat);
    }
}

static unsigned
count(const char *what, unsigned to)
{
    unsigned found = 0;

    for (unsigned n = 0; n < to; n++) {
        found += is_there(what, n);
    }
    return found;
}

static void
put_many(const char *what, unsigned to)
{
    for (unsigned n = 0; n < to; n++) {
        put(what, n);
    }
}

static void
what_is_put_is_found_by_its_full_key(void **state)
{
    const char *full = "http://test/a";
    struct seat *seat;

    (void)state;
    assert_int_equal(put_as(1, full, 41, BODY), RC_OK);
    assert_null(seats_find(&shard.seats, 1, SLICE("http://test/b")));
    assert_null(seats_find(&shard.seats, 2, SLICE("http://test/a")));
    seat = seats_find(&shard.seats, 1, SLICE("http://test/a"));
    assert_non_null(seat);
    assert_int_equal(given_generation(seat->entry), 41);
    assert_int_equal(seat->stamp, 41);
    assert_int_equal(seat->slot, 7);
    shard_check(&shard);
}

/* One hash for all of them: they stand side by side, and each is found. */
static void
keys_with_one_hash_stand_side_by_side_and_are_dropped_together(void **state)
{
    (void)state;
    for (unsigned n = 0; n < FEW; n++) {
        assert_int_equal(put_as(9, key_of("same", n), n, BODY), RC_OK);
    }
    put("other", 1);
    shard_check(&shard);
    for (unsigned n = 0; n < FEW; n++) {
        const char *full = key_of("same", n);
        struct seat *seat =
            seats_find(&shard.seats, 9, slice_of(full, strlen(full)));

        assert_non_null(seat);
        assert_int_equal(given_generation(seat->entry), n);
    }
    assert_int_equal(shard_drop(&shard, 9, &parting), FEW);
    assert_int_equal(shard_drop(&shard, 9, &parting), 0);
    assert_int_equal(shard.counts.drops, FEW);
    assert_true(is_there("other", 1));
    shard_check(&shard);
}

static void
what_was_asked_for_twice_outlives_a_scan(void **state)
{
    (void)state;
    for (unsigned n = 0; n < FEW; n++) {
        put("hot", n);
        ask("hot", n, 2);
    }
    put_many("scan", SCAN);
    assert_int_equal(count("hot", FEW), FEW);
    assert_int_equal(shard.counts.evicted_main, 0);
    shard_check(&shard);
}

static void
what_was_asked_for_once_does_not(void **state)
{
    (void)state;
    for (unsigned n = 0; n < FEW; n++) {
        put("warm", n);
        ask("warm", n, 1);
    }
    put_many("scan", SCAN);
    assert_int_equal(count("warm", FEW), 0);
    shard_check(&shard);
}

/* The small queue has a tenth, but as much as there is while main is empty. */
static void
a_small_queue_may_have_all_that_nobody_else_wants(void **state)
{
    unsigned before;

    (void)state;
    put_many("scan", SCAN);
    before = (unsigned)shard_len(&shard);
    assert_true(shard_bytes(&shard) > BUDGET - 2 * BODY);
    assert_int_equal(count("scan", SCAN), before);
    for (unsigned n = SCAN - before; n < SCAN; n++) {
        assert_true(is_there("scan", n)); /* the youngest */
    }
}

/* Those that the ghost knows fill main; the small queue keeps its tenth. */
static void
who_comes_back_goes_to_main_at_once(void **state)
{
    unsigned mains;

    (void)state;
    put_many("back", SCAN);
    mains = SCAN - (unsigned)shard_len(&shard);
    assert_true(mains > FEW);
    for (unsigned n = mains - FEW; n < mains; n++) {
        assert_false(is_there("back", n));
        put("back", n);
    }
    assert_in_range(shard.counts.ghost_returns, FEW, FEW + 1);
    put_many("scan", SCAN);
    for (unsigned n = mains - FEW; n < mains; n++) {
        assert_true(is_there("back", n));
    }
    shard_check(&shard);
}

/* As many others have left since as there are entries. */
static void
who_left_long_ago_begins_anew(void **state)
{
    unsigned len, last;

    (void)state;
    put_many("back", SCAN);
    len = (unsigned)shard_len(&shard);
    last = SCAN - 2 * len;
    assert_true(last > FEW);
    for (unsigned n = last - FEW; n < last; n++) {
        put("back", n);
    }
    assert_in_range(shard.counts.ghost_returns, 0, FEW / 3);
    shard_check(&shard);
}

/* Fills main with what was asked for; gives how many there are. */
static unsigned
fill_main(void)
{
    unsigned n = 0;

    while (shard.counts.evicted_main == 0) {
        put("main", n);
        ask("main", n, n == 0 ? 3 : 2); /* how often does not count later */
        n++;
        assert_true(n < SCAN);
    }
    return n;
}

/* Puts those from `n` on, each asked for, until so many have left main. */
static void
fill_until(unsigned n, uint64_t evicted)
{
    for (; shard.counts.evicted_main < evicted; n++) {
        put("main", n);
        ask("main", n, 2);
        assert_true(n < 3 * SCAN);
    }
}

/* Puts small ones, each asked for, until so many have left main. */
static unsigned
fill_with_small(unsigned n, uint64_t evicted)
{
    for (; shard.counts.evicted_main < evicted; n++) {
        const char *full = key_of("main", n);

        assert_int_equal(put_as(hash_of(full), full, n, 8), RC_OK);
        ask("main", n, 2);
    }
    return n;
}

static void
in_main_who_is_asked_for_is_passed_over(void **state)
{
    enum {
        PASSED = 10
    };
    unsigned n = fill_main();
    size_t len;

    (void)state;
    /* The first left; the next ten are asked for, those after it are not. */
    assert_false(is_there("main", 0));
    for (unsigned i = 1; i <= PASSED; i++) {
        ask("main", i, 1);
    }
    fill_until(n, 3);
    assert_int_equal(count("main", PASSED + 1), PASSED);
    assert_false(is_there("main", PASSED + 1));
    assert_false(is_there("main", PASSED + 2));
    assert_true(is_there("main", PASSED + 3));
    /* They have been passed over once, and leave when it is their turn. */
    len = shard.queues[QUEUE_MAIN].len;
    fill_until(SCAN, len / 2);
    assert_int_equal(count("main", PASSED + 1), PASSED);
    fill_until(2 * SCAN, len + PASSED);
    assert_int_equal(count("main", PASSED + 1), 0);
    shard_check(&shard);
}

static void
the_small_queue_has_a_tenth(void **state)
{
    size_t share;

    (void)state;
    (void)fill_main();
    put_many("scan", SCAN);
    share = shard.queues[QUEUE_SMALL].bytes;
    assert_in_range(share, BUDGET / 10 - 2 * BODY, BUDGET / 10 + 2 * BODY);
}

/* Small entries have large tables, which are no part of its share. */
static void
it_is_a_tenth_of_what_the_tables_leave(void **state)
{
    const size_t entry_max = 300;
    size_t tenth;
    unsigned made = fill_with_small(0, 1);

    (void)state;
    for (unsigned n = made; n < 2 * made; n++) {
        const char *full = key_of("scan", n);

        assert_int_equal(put_as(hash_of(full), full, n, 8), RC_OK);
    }
    tenth = (BUDGET - seats_size(&shard.seats) - ghost_size(&shard.ghost)) / 10;
    assert_true(tenth + 2 * entry_max < BUDGET / 10);
    assert_in_range(shard.queues[QUEUE_SMALL].bytes, tenth, tenth + entry_max);
}

/* Beyond three, an entry is not written to when it is asked for. */
static void
three_times_are_counted(void **state)
{
    (void)state;
    put("a", 1);
    for (unsigned times = 1; times < 300; times++) {
        ask("a", 1, 1);
        assert_int_equal(seat_of("a", 1)->asked, times < 3 ? times : 3);
    }
}

/* All have been asked for, and are more than are passed over in one call:
   somebody leaves, and not all have been looked at. */
static void
where_all_are_asked_for_one_leaves_all_the_same(void **state)
{
    enum {
        MANY = 8000
    };
    unsigned untouched = 0;
    unsigned made;

    (void)state;
    shard_fini(&shard);
    assert_int_equal(shard_init(&shard, (size_t)MANY * 200), RC_OK);
    made = fill_with_small(0, 1);
    for (unsigned n = 1; n < made; n++) {
        ask("main", n, 3);
    }
    (void)fill_with_small(made, 2);
    for (unsigned n = 1; n < made; n++) {
        untouched += is_there("main", n) && seat_of("main", n)->asked == 3;
    }
    /* A tenth is in the small queue, and has not been looked at anyway. */
    assert_true(made / 5 < made - 4096);
    assert_in_range(untouched, made / 5, made - 4096);
    shard_check(&shard);
}

static void
another_entry_takes_the_place_of_the_first(void **state)
{
    const char *full = "http://test/a";
    size_t before;

    (void)state;
    assert_int_equal(put_as(1, full, 1, BODY), RC_OK);
    before = shard_bytes(&shard);
    assert_int_equal(put_as(1, full, 2, 3 * BODY), RC_OK);
    assert_int_equal(shard_len(&shard), 1);
    assert_true(shard_bytes(&shard) >= before + 2 * BODY);
    assert_int_equal(put_as(1, full, 3, BODY), RC_OK);
    assert_int_equal(shard_bytes(&shard), before);
    assert_int_equal(
        seats_find(&shard.seats, 1, SLICE("http://test/a"))->stamp, 3);
    shard_check(&shard);
}

static void
a_larger_one_in_an_old_place_makes_others_leave(void **state)
{
    const char *full;
    unsigned last = SCAN - 1;

    (void)state;
    put_many("scan", SCAN);
    full = key_of("scan", last);
    assert_int_equal(put_as(hash_of(full), full, 1, 20 * BODY), RC_OK);
    assert_true(shard_bytes(&shard) <= BUDGET);
    assert_true(is_there("scan", last));
    shard_check(&shard);
}

static void
what_can_never_fit_is_refused(void **state)
{
    struct shard tiny;
    struct entry *entry = given_entry("http://test/a", 1, GIVEN_BODY_MAX);
    const struct memory_note note = {0};

    (void)state;
    assert_int_equal(shard_init(&tiny, GIVEN_BODY_MAX), RC_OK);
    for (unsigned i = 0; i < 3; i++) {
        struct entry *other = given_entry("http://test/b", 1, 8);

        assert_int_equal(shard_put(&tiny, 2, other, &note, &parting), RC_OK);
        assert_int_equal(shard_put(&tiny, 1, entry, &note, &parting), RC_LIMIT);
        assert_int_equal(shard_len(&tiny), 0);
        shard_check(&tiny);
        parting_end(&parting);
        entry_unref(&other);
    }
    assert_int_equal(tiny.seats.made, 2); /* they are given back */
    entry_unref(&entry);
    shard_fini(&tiny);
}

/* What leaves is not freed before parting_end, or while the list is full. */
static void
who_holds_an_entry_keeps_it_when_it_leaves(void **state)
{
    struct entry *held = given_entry("http://test/a", 5, BODY);
    const struct memory_note note = {0};

    (void)state;
    assert_int_equal(shard_put(&shard, 1, held, &note, &parting), RC_OK);
    assert_int_equal(atomic_load(&held->refs), 2);
    assert_int_equal(shard_drop(&shard, 1, &parting), 1);
    assert_int_equal(parting.len, 1);
    assert_int_equal(atomic_load(&held->refs), 2);
    parting_end(&parting);
    assert_int_equal(atomic_load(&held->refs), 1);
    assert_int_equal(given_generation(held), 5);
    entry_unref(&held);
}

static void
many_may_leave_in_one_call(void **state)
{
    const char *full = "http://test/large";
    uint64_t before;

    (void)state;
    for (unsigned n = 0; shard.counts.evicted_small == 0; n++) {
        const char *small = key_of("small", n);

        assert_int_equal(put_as(hash_of(small), small, n, 8), RC_OK);
    }
    before = shard.counts.evicted_small;
    assert_int_equal(put_as(1, full, 1, GIVEN_BODY_MAX), RC_OK);
    assert_true(
        shard.counts.evicted_small > before + (uint64_t)3 * SHARD_PARTING_MAX);
    assert_true(shard_bytes(&shard) <= BUDGET);
    shard_check(&shard);
}

static void
all_can_be_dropped(void **state)
{
    (void)state;
    put_many("a", FEW);
    shard_drop_all(&shard);
    assert_int_equal(shard_len(&shard), 0);
    assert_int_equal(count("a", FEW), 0);
    assert_int_equal(shard.counts.drops, FEW);
    put_many("a", FEW);
    assert_int_equal(count("a", FEW), FEW);
    shard_check(&shard);
}

/* Each allocation in turn: the put is refused, and all is as before. */
static void
a_refused_malloc_costs_that_put(void **state)
{
    unsigned refused = 0;

    (void)state;
    for (unsigned n = 0; n < SCAN; n++) {
        const char *full = key_of("key", n);
        struct entry *entry = given_entry(full, n, 8);
        const struct memory_note note = {0};
        size_t before = shard_len(&shard);
        enum rc rc;

        heap_refuse(n % 3 + 1, 0);
        rc = shard_put(&shard, hash_of(full), entry, &note, &parting);
        if (heap_refused()) {
            refused++;
        }
        if (rc != RC_OK) {
            assert_int_equal(rc, RC_NOMEM);
            assert_int_equal(shard_len(&shard), before);
            assert_false(is_there("key", n));
        }
        shard_check(&shard);
        entry_unref(&entry);
    }
    assert_true(refused > 3);
    assert_true(shard_len(&shard) > SCAN / 2);
}

/*
 * Against a plain model: a table of the latest generation of each key. What
 * is found is the latest, or nothing. Nothing is found that was dropped.
 */
static void
what_is_found_is_the_latest(void **state)
{
    static unsigned latest[KEYS]; /* 0: dropped, or never put */
    struct random random = {.state = 20261128};
    unsigned hits = 0;

    (void)state;
    memset(latest, 0, sizeof(latest));
    for (unsigned step = 1; step <= STEPS; step++) {
        /* The smaller of two: low numbers are popular. */
        unsigned a = (unsigned)random_below(&random, KEYS);
        unsigned b = (unsigned)random_below(&random, KEYS);
        unsigned n = a < b ? a : b;
        const char *full = key_of("key", n);
        uint32_t hash = hash_of(full) % (KEYS / 2); /* some are alike */
        struct seat *seat =
            seats_find(&shard.seats, hash, slice_of(full, strlen(full)));

        if (seat != NULL) {
            assert_int_equal(given_generation(seat->entry), latest[n]);
            shard_ask(seat);
            hits++;
        }
        if (random_below(&random, 50) == 0) {
            (void)shard_drop(&shard, hash, &parting);
            latest[n] = 0;
        } else if (seat == NULL || random_below(&random, 20) == 0) {
            assert_int_equal(
                put_as(hash, full, step, 8 + random_below(&random, 3 * BODY)),
                RC_OK);
            latest[n] = step;
        }
        if (step % 64 == 0) {
            shard_check(&shard);
        }
    }
    assert_true(hits > STEPS / 4);
    assert_true(shard.counts.evicted_main > 0);
    assert_true(shard.counts.evicted_small > 0);
    assert_true(shard.counts.ghost_returns > 0);
    /* Dropping one drops others that have its hash: not the latest, but
       nothing. The model does not know them, and needs not. */
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_put_is_found_by_its_full_key),
        TEST(keys_with_one_hash_stand_side_by_side_and_are_dropped_together),
        TEST(what_was_asked_for_twice_outlives_a_scan),
        TEST(what_was_asked_for_once_does_not),
        TEST(a_small_queue_may_have_all_that_nobody_else_wants),
        TEST(who_comes_back_goes_to_main_at_once),
        TEST(who_left_long_ago_begins_anew),
        TEST(in_main_who_is_asked_for_is_passed_over),
        TEST(the_small_queue_has_a_tenth),
        TEST(it_is_a_tenth_of_what_the_tables_leave),
        TEST(three_times_are_counted),
        TEST(where_all_are_asked_for_one_leaves_all_the_same),
        TEST(another_entry_takes_the_place_of_the_first),
        TEST(a_larger_one_in_an_old_place_makes_others_leave),
        TEST(what_can_never_fit_is_refused),
        TEST(who_holds_an_entry_keeps_it_when_it_leaves),
        TEST(many_may_leave_in_one_call),
        TEST(all_can_be_dropped),
        TEST(a_refused_malloc_costs_that_put),
        TEST(what_is_found_is_the_latest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
