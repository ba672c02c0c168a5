/* The counts of written keys: one for each group of keys, from any thread. */
#include "nearside/work/written.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct written written;

static void
a_mark_changes_the_count_of_its_group_alone(void **state)
{
    (void)state;
    for (uint64_t hash = 0; hash < WRITTEN_GROUPS; hash += 4097) {
        uint32_t before = written_count(&written, hash);
        uint32_t other = written_count(&written, hash + 1);

        written_mark(&written, hash);
        assert_int_equal(written_count(&written, hash), before + 1);
        assert_int_equal(
            written_count(&written, hash + WRITTEN_GROUPS), before + 1);
        assert_int_equal(written_count(&written, hash + 1), other);
        written_mark(&written, UINT64_MAX - WRITTEN_GROUPS + 1 + hash);
        assert_int_equal(written_count(&written, hash), before + 2);
    }
}

enum {
    MARKS = 200000,
};

/* Counts only grow for whoever looks. */
static void *
mark(void *ctx)
{
    uint32_t seen = 0;

    (void)ctx;
    for (unsigned i = 0; i < MARKS; i++) {
        uint32_t count;

        written_mark(&written, 5);
        count = written_count(&written, 5);
        if (count <= seen) {
            return &written;
        }
        seen = count;
    }
    return NULL;
}

static void
no_mark_of_two_threads_is_lost(void **state)
{
    uint32_t before = written_count(&written, 5);
    pthread_t thread;
    void *shrank;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, mark, NULL), 0);
    assert_null(mark(NULL));
    assert_int_equal(pthread_join(thread, &shrank), 0);
    assert_null(shrank);
    assert_int_equal(written_count(&written, 5), before + 2 * MARKS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mark_changes_the_count_of_its_group_alone),
        cmocka_unit_test(no_mark_of_two_threads_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
