/* Whose values may be used: the arithmetic, and what is noted of slots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "nearside/base/check.h"
#include "redis/trust.h"

static void
a_majority_lasts_until_one_of_it_is_older_than_the_bound(void **state)
{
    static const struct {
        unsigned len;
        int64_t at_ms[5]; /* acknowledged probes were sent; 0: none was */
        int64_t until_ms;
    } rows[] = {
        {0, {700}, 0}, /* what lies behind is nobody's */
        {1, {0}, 0},
        {1, {700}, 2700},
        {2, {700, 0}, 0},
        {2, {700, 900}, 2700}, /* of two both are needed */
        {3, {700, 0, 0}, 0},
        {3, {700, 0, 900}, 2700},
        {3, {900, 700, 500}, 2700}, /* the oldest is not needed */
        {4, {900, 700, 0, 0}, 0},
        {4, {900, 700, 500, 0}, 2500},
        {5, {1, 900, 2, 700, 800}, 2700},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t at_ms[5];

        memcpy(at_ms, rows[i].at_ms, sizeof(at_ms));
        assert_int_equal(
            trust_majority_until(at_ms, rows[i].len), rows[i].until_ms);
    }
}

static int
given_trust(void **state)
{
    *state = calloc(1, sizeof(struct trust));
    return *state == NULL ? 1 : 0;
}

static int
trust_over(void **state)
{
    free(*state);
    return 0;
}

static void
a_slot_waits_for_a_window_when_its_owner_changes_and_only_then(void **state)
{
    struct trust *trust = *state;

    assert_null(trust_why_not(trust, 7, 1000));
    /* The first owner is no change: what is there may be used at once. */
    assert_false(trust_see_owner(trust, 7, 1, 1000, 5000));
    assert_false(trust_see_owner(trust, 7, 1, 1000, 5000));
    assert_null(trust_why_not(trust, 7, 1000));
    assert_int_equal(atomic_load(&trust->slots[7].version), 0);
    assert_true(trust_see_owner(trust, 7, 2, 1000, 5000));
    assert_int_equal(atomic_load(&trust->slots[7].version), 1);
    assert_int_equal(atomic_load(&trust->slots[7].changed_ms), 5000);
    assert_string_equal(trust_why_not(trust, 7, 1000), "slot-changed");
    assert_string_equal(trust_why_not(trust, 7, 3999), "slot-changed");
    assert_null(trust_why_not(trust, 7, 4000));
    assert_null(trust_why_not(trust, 8, 1000));
}

/* Back to one that had it before, and after a time without any. */
static void
each_way_of_coming_to_a_slot_is_a_change(void **state)
{
    static const uint32_t owners[] = {2, 1, TRUST_NOBODY, 1};
    struct trust *trust = *state;

    assert_false(trust_see_owner(trust, 0, 1, 1000, 1));
    for (unsigned i = 0; i < ARRAY_LEN(owners); i++) {
        assert_true(trust_see_owner(trust, 0, owners[i], 1000, 1));
        assert_int_equal(atomic_load(&trust->slots[0].version), i + 1);
    }
}

static void
a_window_is_never_shortened(void **state)
{
    struct trust *trust = *state;

    trust_doubt_slot(trust, SLOT_COUNT - 1, 2000);
    trust_doubt_slot(trust, SLOT_COUNT - 1, 1000);
    assert_non_null(trust_why_not(trust, SLOT_COUNT - 1, 4999));
    assert_null(trust_why_not(trust, SLOT_COUNT - 1, 5000));
}

static void
what_is_refused_of_a_slot_is_never_taken_back(void **state)
{
    struct trust *trust = *state;

    trust_refuse_before(trust, 7, 5000);
    assert_int_equal(atomic_load(&trust->slots[7].not_before_ms), 5000);
    trust_refuse_before(trust, 7, 4000);
    assert_int_equal(atomic_load(&trust->slots[7].not_before_ms), 5000);
    trust_note_change(trust, 7, 6000);
    trust_note_change(trust, 7, 5500);
    assert_int_equal(atomic_load(&trust->slots[7].changed_ms), 6000);
    assert_int_equal(atomic_load(&trust->slots[8].not_before_ms), 0);
}

static void
a_slot_in_which_a_deletion_is_pending_is_not_read(void **state)
{
    struct trust *trust = *state;

    atomic_store(&trust->slots[3].held, 1);
    assert_string_equal(trust_why_not(trust, 3, 1000), "deletion-pending");
    assert_null(trust_why_not(trust, 4, 1000));
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, given_trust, trust_over)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_majority_lasts_until_one_of_it_is_older_than_the_bound),
        TEST(a_slot_waits_for_a_window_when_its_owner_changes_and_only_then),
        TEST(each_way_of_coming_to_a_slot_is_a_change),
        TEST(a_window_is_never_shortened),
        TEST(what_is_refused_of_a_slot_is_never_taken_back),
        TEST(a_slot_in_which_a_deletion_is_pending_is_not_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
