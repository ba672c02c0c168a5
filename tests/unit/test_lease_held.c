/* Leases with memory alone: a table with few places. */
#include "lease/held.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "nearside/lease/lease.h"

/* The second is held without being seen, and harms the first in nothing. */
static void
two_keys_that_share_a_place_do_not_keep_each_other_waiting(void **state)
{
    struct held h;

    (void)state;
    held_init(&h);
    assert_true(held_take(&h, 5, 1, 1000));
    assert_true(held_take(&h, 5 + HELD_MAX, 2, 1000));
    assert_false(held_take(&h, 5, 3, 1000));
    held_release(&h, 5 + HELD_MAX, 2);
    held_renew(&h, 5 + HELD_MAX, 2, 9000);
    held_end(&h, 5 + HELD_MAX, 0);
    assert_false(held_take(&h, 5, 3, 1000 + LEASE_MS - 1));
    assert_true(held_take(&h, 5, 3, 1000 + LEASE_MS));
    held_fini(&h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            two_keys_that_share_a_place_do_not_keep_each_other_waiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
