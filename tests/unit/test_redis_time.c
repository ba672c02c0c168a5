/* The time that instances share, out of what nodes say of theirs (time.c). */
#include "redis/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../support/clock_advance.h"

/* The answer of TIME. */
static enum rc
sample(const char *s, const char *us, int64_t sent_us, int64_t heard_us,
    struct time_sample *out)
{
    struct redis_reply parts[2] = {
        {.type = REDIS_STRING, .str = (char *)s, .len = strlen(s)},
        {.type = REDIS_STRING, .str = (char *)us, .len = strlen(us)}};
    struct redis_reply *elements[2] = {&parts[0], &parts[1]};
    struct redis_reply reply = {
        .type = REDIS_ARRAY, .elements = elements, .elements_len = 2};

    return time_sample_of(&reply, sent_us, heard_us, out);
}

static void
the_answer_counts_from_amid_its_way(void **state)
{
    struct time_sample t;

    (void)state;
    assert_int_equal(
        sample("1700000000", "250000", 4000000, 4100000, &t), RC_OK);
    assert_int_equal(t.start_ms, 1700000000250 - 4050);
    assert_int_equal(t.error_ms, 51);
    assert_int_equal(sample("1700000000", "0", 0, 0, &t), RC_OK);
    assert_int_equal(t.error_ms, 1);
}

static void
what_is_no_answer_is_refused(void **state)
{
    struct redis_reply error = {.type = REDIS_ERROR, .str = "NOPERM", .len = 6};
    struct time_sample t;

    (void)state;
    assert_int_equal(time_sample_of(&error, 0, 0, &t), RC_BAD);
    assert_int_equal(sample("", "0", 0, 0, &t), RC_BAD);
    assert_int_equal(sample("1700000000", "1000000", 0, 0, &t), RC_BAD);
    assert_int_equal(sample("4294967296", "0", 0, 0, &t), RC_BAD);
    assert_int_equal(sample("-5", "0", 0, 0, &t), RC_BAD);
    /* A node that says so after it has told its time: that stands. */
    assert_int_equal(sample("1700000000", "0", 0, 0, &t), RC_OK);
    assert_int_equal(sample("5", "0", 6000000, 6000000, &t), RC_BAD);
    assert_int_equal(t.start_ms, 1700000000000);
}

static bool
judge(struct shared_time *time, const struct clock *own, int64_t a, int64_t b,
    int64_t c)
{
    struct time_sample samples[] = {{a, 1}, {b, 20}, {c, 1}};

    return time_judge(time, samples, 3, own);
}

static void
the_median_of_the_nodes_counts(void **state)
{
    struct clock own = {
        .mono_us = 5000000, .wall_ms = 1700000000000, .is_manual = true};
    struct shared_time time = {0};
    const int64_t here = 1700000000000 - 5000;

    (void)state;
    assert_false(time_judge(&time, NULL, 0, &own));
    assert_int_equal(shared_time_ms(&time, &own), 1700000000000);
    /* One node that is an hour ahead and one that is behind move nobody. */
    assert_true(judge(&time, &own, here + 3600000, here - 40000, here - 30000));
    assert_int_equal(shared_time_ms(&time, &own), 1700000000000 - 30000);
}

/* With two that are heard, whichever is off moves nobody; at first the earlier
   counts, for every instance. */
static void
one_of_two_moves_nobody(void **state)
{
    struct clock own = {
        .mono_us = 5000000, .wall_ms = 1700000000000, .is_manual = true};
    const int64_t here = 1700000000000 - 5000;

    (void)state;
    for (int off = -9000; off <= 9000; off += 18000) {
        struct shared_time time = {0};
        struct time_sample both[] = {{here + off, 1}, {here, 1}};

        time_begin(&time, &(struct time_sample){here, 1}, &own);
        assert_false(time_judge(&time, both, 2, &own));
        assert_int_equal(shared_time_ms(&time, &own), 1700000000000);
        time = (struct shared_time){0};
        assert_true(time_judge(&time, both, 2, &own));
        assert_int_equal(
            shared_time_ms(&time, &own), 1700000000000 + (off < 0 ? off : 0));
    }
}

static void
what_the_way_may_explain_changes_nothing(void **state)
{
    struct clock own = {
        .mono_us = 5000000, .wall_ms = 1700000000000, .is_manual = true};
    struct shared_time time = {0};
    const int64_t here = 1700000000000 - 5000;

    (void)state;
    /* The own clock is right: from now on it is not looked at any more. */
    assert_true(judge(&time, &own, here - 500, here + 120, here + 130));
    assert_int_equal(shared_time_ms(&time, &own), 1700000000000);
    clock_advance(&own, 1000);
    own.wall_ms -= 3600000;
    assert_int_equal(shared_time_ms(&time, &own), 1700000001000);
    for (int64_t off = -120; off <= 120; off += 240) {
        assert_false(judge(&time, &own, here + off * 2, here + off, here));
        assert_int_equal(shared_time_ms(&time, &own), 1700000001000);
    }
    assert_true(judge(&time, &own, here + 242, here + 121, here));
    assert_int_equal(shared_time_ms(&time, &own), 1700000001121);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_counts_from_amid_its_way),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(the_median_of_the_nodes_counts),
        cmocka_unit_test(one_of_two_moves_nobody),
        cmocka_unit_test(what_the_way_may_explain_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
