/* The doorkeeper: few new keys pass, of many only those that come again. */
#include "nearside/cache/doorkeeper.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include <cmocka.h>

#include "nearside/base/hash.h"

enum {
    MANY = 100000,
    THREADS = 4,
};

static bool
asks(struct doorkeeper *d, const char *what, unsigned n, int64_t now_ms)
{
    static const struct hash_key hash_key = {1, 2};
    char text[64];
    int len = snprintf(text, sizeof(text), "http://test/%s?%u", what, n);

    return doorkeeper_admits(
        d, hash_keyed(&hash_key, slice_of(text, (size_t)len)), now_ms);
}

static unsigned
admitted(struct doorkeeper *d, const char *what, unsigned count, int64_t now_ms)
{
    unsigned passed = 0;

    for (unsigned i = 0; i < count; i++) {
        passed += asks(d, what, i, now_ms);
    }
    return passed;
}

static void
as_many_new_keys_a_second_as_allowed_pass(void **state)
{
    struct doorkeeper *d = doorkeeper_new(100);

    (void)state;
    assert_int_equal(admitted(d, "a", 100, 5000), 100);
    assert_false(asks(d, "b", 0, 5999));
    assert_int_equal(admitted(d, "c", 100, 6000), 100);
    doorkeeper_free(&d);
    assert_null(d);
}

static void
of_a_flood_only_what_comes_again_passes(void **state)
{
    struct doorkeeper *d = doorkeeper_new(10);

    (void)state;
    /* A false "seen before" is rare while the filter is not full. */
    assert_in_range(admitted(d, "flood", MANY, 1000), 10, 10 + MANY / 200);
    /* All but the ten that were let in before. */
    assert_in_range(admitted(d, "flood", MANY, 1000), MANY - 10, MANY);
    doorkeeper_free(&d);
}

static void
what_comes_again_does_not_use_up_the_limit(void **state)
{
    struct doorkeeper *d = doorkeeper_new(10);

    (void)state;
    assert_int_equal(admitted(d, "a", 20, 1000), 10);
    assert_int_equal(admitted(d, "a", 20, 2000), 20); /* ten of them new */
    assert_false(asks(d, "b", 0, 2000));
    assert_true(asks(d, "b", 0, 3000));
    assert_int_equal(admitted(d, "c", 20, 3000), 10);
    doorkeeper_free(&d);
}

static void
a_key_is_remembered_through_a_flood_and_forgotten_at_last(void **state)
{
    struct doorkeeper *d = doorkeeper_new(1);

    (void)state;
    assert_true(asks(d, "first", 0, 1000));
    assert_int_equal(admitted(d, "key", 50, 1000), 0);
    (void)admitted(d, "x", 2 * MANY, 1000);
    assert_int_equal(admitted(d, "key", 50, 1000), 50);
    (void)admitted(d, "y", 6 * MANY, 1000);
    /* One in 200 is taken for another. */
    assert_in_range(admitted(d, "key", 50, 1000), 0, 5);
    assert_int_equal(admitted(d, "key", 50, 1000), 50);
    doorkeeper_free(&d);
}

/* Wherever in a filter's time a key came: it outlives that filter's end, and
   the end of the next one it does not. */
static void
a_key_outlives_one_change_of_filters_and_not_two(void **state)
{
    enum {
        STEP = 10000,
        STEPS = 120,
        KEPT = 20,      /* 200,000 others; a filter takes 262,144 */
        FORGOTTEN = 60, /* 600,000 others are more than two filters' */
    };
    struct doorkeeper *d = doorkeeper_new(1);
    unsigned remembered = 0;
    unsigned kept_too_long = 0;

    (void)state;
    assert_true(asks(d, "first", 0, 1000));
    for (unsigned i = 0; i < STEPS; i++) {
        (void)asks(d, "early", i, 1000);
        (void)asks(d, "late", i, 1000);
        for (unsigned n = 0; n < STEP; n++) {
            (void)asks(d, "x", i * STEP + n, 1000);
        }
        if (i >= KEPT) {
            remembered += asks(d, "early", i - KEPT, 1000);
        }
        if (i >= FORGOTTEN) {
            kept_too_long += asks(d, "late", i - FORGOTTEN, 1000);
        }
    }
    assert_int_equal(remembered, STEPS - KEPT);
    assert_in_range(kept_too_long, 0, 3); /* taken for others */
    doorkeeper_free(&d);
}

static void
no_limit_lets_all_pass(void **state)
{
    struct doorkeeper *d = doorkeeper_new(0);

    (void)state;
    assert_int_equal(admitted(d, "a", MANY, 1000), MANY);
    doorkeeper_free(&d);
}

struct asker {
    struct doorkeeper *doorkeeper;
    atomic_uint *passed;
    const char *name;
};

static void *
asker_main(void *ctx)
{
    struct asker *asker = ctx;

    atomic_fetch_add(
        asker->passed, admitted(asker->doorkeeper, asker->name, 10000, 1000));
    return NULL;
}

static void
the_limit_holds_for_all_threads_together(void **state)
{
    static const char *const names[THREADS] = {"a", "b", "c", "d"};
    struct doorkeeper *d = doorkeeper_new(500);
    struct asker askers[THREADS];
    pthread_t threads[THREADS];
    atomic_uint passed;

    (void)state;
    atomic_init(&passed, 0);
    for (unsigned i = 0; i < THREADS; i++) {
        askers[i] = (struct asker){d, &passed, names[i]};
        assert_int_equal(
            pthread_create(&threads[i], NULL, asker_main, &askers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_in_range(atomic_load(&passed), 500, 700);
    doorkeeper_free(&d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_new_keys_a_second_as_allowed_pass),
        cmocka_unit_test(of_a_flood_only_what_comes_again_passes),
        cmocka_unit_test(what_comes_again_does_not_use_up_the_limit),
        cmocka_unit_test(
            a_key_is_remembered_through_a_flood_and_forgotten_at_last),
        cmocka_unit_test(a_key_outlives_one_change_of_filters_and_not_two),
        cmocka_unit_test(no_limit_lets_all_pass),
        cmocka_unit_test(the_limit_holds_for_all_threads_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
