/* What is given back and kept. */
#include "nearside/base/spare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
the_last_one_back_is_the_next_one_out(void **state)
{
    struct spare spare;
    struct list a = {0}, b = {0};

    (void)state;
    spare_init(&spare);
    assert_null(spare_take(&spare));
    assert_true(spare_keep(&spare, &a));
    assert_true(spare_keep(&spare, &b));
    assert_ptr_equal(spare_take(&spare), &b);
    assert_ptr_equal(spare_take(&spare), &a);
    assert_null(spare_take(&spare));
}

static void
no_more_are_kept_than_it_may(void **state)
{
    struct spare spare;
    struct list links[SPARE_MAX + 1] = {0};

    (void)state;
    spare_init(&spare);
    for (int i = 0; i < SPARE_MAX; i++) {
        assert_true(spare_keep(&spare, &links[i]));
    }
    assert_false(spare_keep(&spare, &links[SPARE_MAX]));
    assert_ptr_equal(spare_take(&spare), &links[SPARE_MAX - 1]);
    assert_true(spare_keep(&spare, &links[SPARE_MAX]));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_one_back_is_the_next_one_out),
        cmocka_unit_test(no_more_are_kept_than_it_may),
    };

    return cmocka_run_group_tests_name("base spare", tests, NULL, NULL);
}
