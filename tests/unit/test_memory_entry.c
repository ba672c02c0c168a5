/* Entries are counted, across threads too. */
#include "nearside/memory/entry.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "nearside/memory/codec.h"

static struct entry *
entry_new(void)
{
    struct codec_parts parts = {
        .status = 200, .key = SLICE("http://h/"), .body = SLICE("body")};
    struct entry *e = NULL;

    assert_int_equal(codec_encode(&parts, &e), RC_OK);
    return e;
}

static void
an_entry_lives_until_its_last_owner_leaves(void **state)
{
    struct entry *first = entry_new();
    struct entry *second = entry_ref(first);

    (void)state;
    assert_ptr_equal(second, first);
    assert_int_equal(atomic_load(&second->refs), 2);
    entry_unref(&first);
    assert_null(first);
    assert_int_equal(atomic_load(&second->refs), 1);
    assert_true(slice_eq(second->body, SLICE("body")));
    entry_unref(&second);
    assert_null(second);
}

static void
leaving_nothing_is_fine(void **state)
{
    struct entry *none = NULL;

    (void)state;
    entry_unref(&none);
    assert_null(none);
}

static void *
come_and_go(void *ctx)
{
    struct entry *mine = ctx;

    for (int i = 0; i < 10000; i++) {
        struct entry *e = entry_ref(mine);
        if (!slice_eq(e->body, SLICE("body"))) {
            return NULL;
        }
        entry_unref(&e);
    }
    entry_unref(&mine);
    return ctx;
}

static void
two_threads_may_own_one_entry(void **state)
{
    struct entry *e = entry_new();
    struct entry *shares[2] = {entry_ref(e), entry_ref(e)};
    pthread_t threads[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, come_and_go, shares[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        void *ended = NULL;
        assert_int_equal(pthread_join(threads[i], &ended), 0);
        assert_non_null(ended);
    }
    assert_int_equal(atomic_load(&e->refs), 1);
    entry_unref(&e);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_lives_until_its_last_owner_leaves),
        cmocka_unit_test(leaving_nothing_is_fine),
        cmocka_unit_test(two_threads_may_own_one_entry),
    };

    return cmocka_run_group_tests_name("memory.entry", tests, NULL, NULL);
}
