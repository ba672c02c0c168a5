/* Entries are counted, across threads too. */
#include "nearside/cache/entry.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "nearside/cache/codec.h"

static struct entry *
entry_fetched_as(uint32_t fetched)
{
    struct codec_parts parts = {
        .status = 200,
        .created_ms = 7,
        .fresh_until_ms = 7,
        .stale_until_ms = 7,
        .fetched = fetched,
        .key = SLICE("http://h/"),
        .private_fields = SLICE("x-us: 1\r\n"),
        .fields = SLICE("a: b\r\nc: d\r\n"),
        .body = SLICE("body"),
    };
    struct value value;
    struct entry *e = NULL;

    assert_int_equal(codec_encode(&parts, &value), RC_OK);
    assert_int_equal(codec_entry(&value, &e), RC_OK);
    value_free(&value);
    return e;
}

static struct entry *
entry_new(void)
{
    return entry_fetched_as(0);
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
    assert_true(slice_eq(entry_body(second), SLICE("body")));
    entry_unref(&second);
    assert_null(second);
}

/* Age and cost share a number; what does not fit it stays below, or above. */
static void
it_says_how_old_it_came_and_what_it_cost(void **state)
{
    static const struct {
        int64_t age_ms;
        uint32_t cost_ms;
        int64_t age_s;
        uint32_t cost;
    } rows[] = {
        {0, 0, 0, 0},
        {-1000, 1, 0, 16},
        {1999, 16, 1, 16},
        {INT64_C(524287999), 17, 524287, 32},
        {INT64_C(524288000), 65520, 524287, 65520},
        {INT64_MAX, UINT32_MAX, 524287, 65520},
    };
    struct entry *e;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        e = entry_fetched_as(entry_fetched_of(rows[i].age_ms, rows[i].cost_ms));
        assert_int_equal(entry_received_ms(e), 7 + rows[i].age_s * 1000);
        assert_int_equal(entry_cost_ms(e), rows[i].cost);
        entry_unref(&e);
    }
    e = entry_fetched_as(4711); /* by version 0.1 */
    assert_int_equal(entry_received_ms(e), 7);
    assert_int_equal(entry_cost_ms(e), 4711);
    entry_unref(&e);
}

static void
leaving_nothing_is_fine(void **state)
{
    struct entry *none = NULL;

    (void)state;
    entry_unref(&none);
    assert_null(none);
}

static void
what_an_entry_lends_are_its_parts(void **state)
{
    struct entry *e = entry_new();

    (void)state;
    assert_true(slice_eq(entry_key(e), SLICE("http://h/")));
    assert_true(slice_eq(entry_private(e), SLICE("x-us: 1\r\n")));
    assert_true(slice_eq(entry_fields(e), SLICE("a: b\r\nc: d\r\n")));
    assert_true(slice_eq(entry_lines(e), SLICE("x-us: 1\r\na: b\r\nc: d\r\n")));
    assert_true(slice_eq(entry_body(e), SLICE("body")));
    assert_int_equal(entry_sum(e).len, ENTRY_SUM_LEN);
    assert_ptr_equal(entry_sum(e).ptr, entry_body(e).ptr + 4);
    assert_true(entry_size(e) >= 32 + 9 + 9 + 12 + 4 + ENTRY_SUM_LEN);
    entry_unref(&e);
}

static void *
come_and_go(void *ctx)
{
    struct entry *mine = ctx;

    for (int i = 0; i < 10000; i++) {
        struct entry *e = entry_ref(mine);
        if (!slice_eq(entry_body(e), SLICE("body"))) {
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
        cmocka_unit_test(what_an_entry_lends_are_its_parts),
        cmocka_unit_test(it_says_how_old_it_came_and_what_it_cost),
        cmocka_unit_test(leaving_nothing_is_fine),
        cmocka_unit_test(two_threads_may_own_one_entry),
    };

    return cmocka_run_group_tests_name("cache.entry", tests, NULL, NULL);
}
