/* Arenas: aligned, apart from each other, bounded, reusable. */
#include "nearside/base/arena.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
allocations_are_aligned_and_do_not_overlap(void **state)
{
    enum {
        COUNT = 300
    };
    struct arena a;
    unsigned char *places[COUNT];

    (void)state;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < COUNT; i++) {
        places[i] = arena_alloc(&a, i);
        assert_non_null(places[i]);
        assert_int_equal((uintptr_t)places[i] % 16, 0);
        memset(places[i], (int)(i % 256), i);
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < i; k++) {
            assert_int_equal(places[i][k], i % 256);
        }
    }
    arena_fini(&a);
}

static void
zalloc_gives_zeroes_also_in_used_memory(void **state)
{
    struct arena a;
    char *p;

    (void)state;
    arena_init(&a, 1 << 20);
    memset(arena_alloc(&a, 1000), 0xff, 1000);
    arena_reset(&a);
    p = arena_zalloc(&a, 1000);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(p[i], 0);
    }
    arena_fini(&a);
}

static void
no_arena_outgrows_its_max(void **state)
{
    struct arena a;
    size_t got = 0;

    (void)state;
    arena_init(&a, 10000);
    assert_null(arena_alloc(&a, 10001));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 7));
    while (arena_alloc(&a, 100) != NULL) {
        got += 100;
        assert_true(a.total <= 10000);
    }
    assert_in_range(got, 8000, 10000);
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 100));
    arena_fini(&a);
    assert_int_equal(a.total, 0);
}

static void
a_tight_arena_still_gives_what_fits(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 64); /* below the size of a common block */
    assert_non_null(arena_alloc(&a, 64));
    assert_null(arena_alloc(&a, 1));
    arena_fini(&a);
    arena_init(&a, 0);
    assert_null(arena_alloc(&a, 1));
    arena_fini(&a);
}

static void
a_reset_arena_reuses_its_block(void **state)
{
    struct arena a;
    void *first;

    (void)state;
    arena_init(&a, 1 << 20);
    first = arena_alloc(&a, 100);
    assert_non_null(arena_alloc(&a, 50000));
    assert_non_null(arena_alloc(&a, 60000));
    arena_reset(&a);
    assert_ptr_equal(arena_alloc(&a, 100), first);
    assert_true(a.total < 50000);
    arena_fini(&a);
}

static void
copies_are_copies(void **state)
{
    struct arena a;
    char text[] = "abc";
    struct slice out = {NULL, 9};

    (void)state;
    arena_init(&a, 4096);
    assert_int_equal(arena_copy(&a, slice_of(text, 3), &out), RC_OK);
    text[0] = 'x';
    assert_true(slice_eq(out, SLICE("abc")));
    assert_int_equal(arena_copy(&a, slice_of(NULL, 0), &out), RC_OK);
    assert_int_equal(out.len, 0);
    out.len = 9;
    assert_int_equal(arena_copy(&a, slice_of(text, 5000), &out), RC_NOMEM);
    assert_int_equal(out.len, 9);
    arena_fini(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_and_do_not_overlap),
        cmocka_unit_test(zalloc_gives_zeroes_also_in_used_memory),
        cmocka_unit_test(no_arena_outgrows_its_max),
        cmocka_unit_test(a_tight_arena_still_gives_what_fits),
        cmocka_unit_test(a_reset_arena_reuses_its_block),
        cmocka_unit_test(copies_are_copies),
    };

    return cmocka_run_group_tests_name("base.arena", tests, NULL, NULL);
}
