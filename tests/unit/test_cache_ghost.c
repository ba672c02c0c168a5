/* The ghost remembers keys that have left, the latest ones. */
#include "cache/ghost.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "heap.h"

enum {
    PLACES = 64, /* of the smallest one */
    SET = 32,    /* places of a set; keys below 65,536 are all of one */
    MANY = 20000,
    ALL = 4 * MANY, /* entries: it may remember as many as it has places */
};

/* Keys as a keyed hash would give them. */
static uint32_t
hash_of(uint32_t n)
{
    uint64_t h = (n + 1) * UINT64_C(0x9e3779b97f4a7c15);

    return (uint32_t)((h ^ h >> 29) * UINT64_C(0xbf58476d1ce4e5b9) >> 32);
}

static unsigned
remembered(struct ghost *g, uint32_t from, uint32_t to)
{
    unsigned found = 0;

    for (uint32_t n = from; n < to; n++) {
        found += ghost_take(g, hash_of(n));
    }
    return found;
}

static void
what_has_left_is_remembered_once(void **state)
{
    struct ghost g;

    (void)state;
    ghost_init(&g);
    ghost_grow(&g, 1);
    ghost_add(&g, hash_of(1), ALL);
    ghost_add(&g, hash_of(2), ALL);
    assert_true(ghost_take(&g, hash_of(1)));
    assert_false(ghost_take(&g, hash_of(1)));
    assert_true(ghost_take(&g, hash_of(2)));
    ghost_fini(&g);
}

static void
one_without_places_remembers_nothing(void **state)
{
    struct ghost g;

    (void)state;
    ghost_init(&g);
    ghost_add(&g, hash_of(1), ALL);
    assert_false(ghost_take(&g, hash_of(1)));
    assert_int_equal(ghost_size(&g), 0);
    ghost_fini(&g);
}

/* A set is full, then comes one more: the first is forgotten. */
static void
the_oldest_makes_room(void **state)
{
    struct ghost g;

    (void)state;
    ghost_init(&g);
    ghost_grow(&g, 1);
    for (uint32_t n = 1; n <= SET + 1; n++) {
        ghost_add(&g, n, ALL);
    }
    assert_false(ghost_take(&g, 1));
    for (uint32_t n = 2; n <= SET + 1; n++) {
        assert_true(ghost_take(&g, n));
    }
    ghost_fini(&g);
}

/* A set has been full: the last of it is forgotten with the others. */
static void
what_was_taken_from_a_full_set_is_forgotten(void **state)
{
    struct ghost g;

    (void)state;
    ghost_init(&g);
    ghost_grow(&g, 1);
    for (uint32_t n = 1; n <= SET; n++) {
        ghost_add(&g, n, ALL);
    }
    for (uint32_t n = 1; n <= SET; n++) {
        assert_true(ghost_take(&g, n));
        assert_false(ghost_take(&g, n));
    }
    ghost_fini(&g);
}

/* Its fingerprint would be the one that means that there is none. */
static void
a_key_whose_fingerprint_is_nought_is_as_any_other(void **state)
{
    struct ghost g;

    (void)state;
    ghost_init(&g);
    ghost_grow(&g, 1);
    assert_false(ghost_take(&g, UINT32_C(0x10000)));
    ghost_add(&g, UINT32_C(0x10000), ALL);
    assert_true(ghost_take(&g, UINT32_C(0x10000)));
    ghost_fini(&g);
}

/* One taken from their midst leaves the others in order. */
static void
the_others_stay_in_order(void **state)
{
    struct ghost g;

    (void)state;
    ghost_init(&g);
    ghost_grow(&g, 1);
    for (uint32_t n = 1; n <= SET; n++) {
        ghost_add(&g, n, ALL);
    }
    assert_true(ghost_take(&g, 5));
    ghost_add(&g, SET + 1, ALL);
    assert_true(ghost_take(&g, 1));
    ghost_add(&g, SET + 2, ALL);
    ghost_add(&g, SET + 3, ALL);
    assert_false(ghost_take(&g, 2));
    assert_true(ghost_take(&g, 3));
    ghost_fini(&g);
}

static void
it_remembers_about_as_many_as_it_has_places(void **state)
{
    struct ghost g;
    unsigned found;

    (void)state;
    ghost_init(&g);
    ghost_grow(&g, MANY);
    for (uint32_t n = 0; n < 2 * MANY; n++) {
        ghost_add(&g, hash_of(n), ALL);
    }
    found = remembered(&g, MANY, 2 * MANY);
    assert_in_range(found, MANY * 9 / 10, MANY);
    /* Others that it never saw are taken for one of them only by chance. */
    assert_in_range(remembered(&g, 3 * MANY, 4 * MANY), 0, MANY / 1000);
    ghost_fini(&g);
}

/* Chance fills some sets faster than others; not so much that a key is gone
   long before its time, or there long after it. */
static void
it_remembers_four_in_five_of_the_entries(void **state)
{
    struct ghost g;

    (void)state;
    ghost_init(&g);
    ghost_grow(&g, 2 * MANY);
    for (uint32_t n = 0; n < 5 * MANY; n++) {
        ghost_add(&g, hash_of(n), MANY * 5 / 4);
    }
    assert_in_range(
        remembered(&g, 5 * MANY - MANY / 2, 5 * MANY), MANY * 49 / 100, MANY);
    assert_in_range(remembered(&g, 0, 5 * MANY - 2 * MANY), 0, MANY / 50);
    ghost_fini(&g);
}

/* Of the keys from 1 to that one, which are all of one set. */
static unsigned
remembered_of_set(struct ghost *g, uint32_t to)
{
    unsigned found = 0;

    for (uint32_t n = 1; n <= to; n++) {
        found += ghost_take(g, n);
    }
    return found;
}

/* What it was told to forget does not come back when it may know more. */
static void
what_was_too_many_is_forgotten(void **state)
{
    struct ghost g;

    (void)state;
    ghost_init(&g);
    ghost_grow(&g, PLACES);
    for (uint32_t n = 1; n <= SET; n++) {
        ghost_add(&g, n, ALL);
    }
    ghost_add(&g, SET + 1, PLACES * 5 / 8);
    ghost_add(&g, SET + 2, ALL);
    assert_int_equal(remembered_of_set(&g, SET / 2 + 1), 0);
    assert_true(ghost_take(&g, SET / 2 + 2));
    ghost_add(&g, SET + 3, 0); /* one is remembered at least */
    assert_true(ghost_take(&g, SET + 3));
    assert_false(ghost_take(&g, SET + 2));
    ghost_fini(&g);
}

static void
as_it_grows_it_forgets_nothing(void **state)
{
    struct ghost g;

    (void)state;
    ghost_init(&g);
    ghost_grow(&g, PLACES);
    assert_int_equal(ghost_size(&g), PLACES * sizeof(uint16_t));
    for (uint32_t n = 0; n < PLACES / 4; n++) {
        ghost_add(&g, hash_of(n), ALL);
    }
    ghost_grow(&g, PLACES * 8);
    assert_int_equal(ghost_size(&g), PLACES * 8 * sizeof(uint16_t));
    assert_int_equal(remembered(&g, 0, PLACES / 4), PLACES / 4);
    ghost_fini(&g);
}

/* A hash names no more sets than that. */
static void
it_grows_no_larger_than_a_hash_can_tell(void **state)
{
    struct ghost g;

    (void)state;
    ghost_init(&g);
    ghost_grow(&g, 1 << 23);
    assert_int_equal(ghost_size(&g), 1 << 22);
    ghost_fini(&g);
}

static void
without_memory_it_stays_as_it_was(void **state)
{
    struct ghost g;

    (void)state;
    ghost_init(&g);
    heap_refuse(1, 0);
    ghost_grow(&g, PLACES);
    assert_true(heap_refused());
    assert_int_equal(ghost_size(&g), 0);
    ghost_grow(&g, PLACES);
    ghost_add(&g, hash_of(1), ALL);
    heap_refuse(1, 0);
    ghost_grow(&g, 2 * PLACES);
    assert_true(heap_refused());
    assert_int_equal(ghost_size(&g), PLACES * sizeof(uint16_t));
    assert_true(ghost_take(&g, hash_of(1)));
    ghost_fini(&g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_left_is_remembered_once),
        cmocka_unit_test(one_without_places_remembers_nothing),
        cmocka_unit_test(the_oldest_makes_room),
        cmocka_unit_test(what_was_taken_from_a_full_set_is_forgotten),
        cmocka_unit_test(a_key_whose_fingerprint_is_nought_is_as_any_other),
        cmocka_unit_test(the_others_stay_in_order),
        cmocka_unit_test(it_remembers_about_as_many_as_it_has_places),
        cmocka_unit_test(it_remembers_four_in_five_of_the_entries),
        cmocka_unit_test(what_was_too_many_is_forgotten),
        cmocka_unit_test(as_it_grows_it_forgets_nothing),
        cmocka_unit_test(it_grows_no_larger_than_a_hash_can_tell),
        cmocka_unit_test(without_memory_it_stays_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
