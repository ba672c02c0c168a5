/* A node's breaker: when it opens, whom it lets try, when it closes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "redis/node.h"

static struct node *
given_open(int64_t now_ms)
{
    struct node *node = node_new(SLICE("10.0.0.1"), 6379);

    for (int i = 0; i < NODE_FAILURES_MAX - 1; i++) {
        assert_false(node_failed(node, now_ms));
        assert_true(node_admits(node, now_ms));
    }
    assert_true(node_failed(node, now_ms));
    return node;
}

static void
five_failures_in_a_row_open_it(void **state)
{
    struct node *node = given_open(1000);

    (void)state;
    assert_false(node_admits(node, 1000));
    assert_false(node_admits(node, 1999));
    node_free(&node);
}

static void
success_between_failures_keeps_it_closed(void **state)
{
    struct node *node = node_new(SLICE("10.0.0.1"), 6379);

    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_false(node_failed(node, i));
        if (i % 4 == 3) {
            node_succeeded(node);
        }
    }
    assert_true(node_admits(node, 100));
    node_free(&node);
}

static void
one_call_is_let_through_and_its_success_closes_it(void **state)
{
    struct node *node = given_open(1000);

    (void)state;
    assert_true(node_admits(node, 2000));
    assert_false(node_admits(node, 2000));
    node_succeeded(node);
    assert_true(node_admits(node, 2000));
    assert_true(node_admits(node, 2000));
    node_free(&node);
}

static void
each_failed_try_doubles_the_rest_up_to_thirty_seconds(void **state)
{
    static const int64_t rests[] = {
        1000, 2000, 4000, 8000, 16000, 30000, 30000};
    struct node *node = given_open(0);
    int64_t now = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rests); i++) {
        assert_false(node_admits(node, now + rests[i] - 1));
        assert_true(node_admits(node, now + rests[i]));
        now += rests[i];
        assert_true(node_failed(node, now));
    }
    node_free(&node);
}

static void
failures_of_older_calls_do_not_lengthen_the_rest(void **state)
{
    struct node *node = given_open(0);

    (void)state;
    for (int i = 0; i < 200; i++) {
        assert_false(node_failed(node, 10));
    }
    assert_true(node_admits(node, 1000));
    node_free(&node);
}

static void
late_reply_lets_the_next_call_try(void **state)
{
    struct node *node = given_open(0);

    (void)state;
    assert_false(node_admits(node, 10));
    node_heard(node);
    assert_true(node_admits(node, 10));
    assert_false(node_admits(node, 10));
    node_free(&node);
}

static void
try_whose_end_never_comes_is_followed_by_another(void **state)
{
    struct node *node = given_open(0);

    (void)state;
    assert_true(node_admits(node, 1000));
    assert_false(node_admits(node, 1999));
    assert_true(node_admits(node, 2000));
    assert_false(node_admits(node, 2001));
    node_free(&node);
}

/* One that answers probes, and no call. */
static void
who_is_there_closes_no_breaker(void **state)
{
    struct node *node = node_new(SLICE("10.0.0.1"), 6379);

    (void)state;
    for (int i = 0; i < NODE_FAILURES_MAX - 1; i++) {
        assert_false(node_failed(node, 0));
        node_is_there(node, 0);
        assert_false(atomic_load(&node->is_down));
    }
    assert_true(node_failed(node, 0));
    node_is_there(node, 0);
    assert_false(node_admits(node, 999));
    assert_true(node_admits(node, 1000));
    node_free(&node);
}

/* It is tried once a second, and not once in half a minute. */
static void
who_is_there_is_not_left_alone_for_long(void **state)
{
    struct node *node = given_open(0);
    int64_t now_ms = 0;

    (void)state;
    for (int i = 0; i < 10; i++) {
        now_ms += NODE_REST_MAX_MS;
        assert_true(node_admits(node, now_ms));
        assert_true(node_failed(node, now_ms));
    }
    assert_false(node_admits(node, now_ms + NODE_REST_MAX_MS - 1));
    node_is_there(node, now_ms + 500);
    node_is_there(node, now_ms + 1000);
    assert_false(node_admits(node, now_ms + 1499));
    assert_true(node_admits(node, now_ms + 1500));
    node_free(&node);
}

static void
resting_node_is_not_woken_by_a_new_connection(void **state)
{
    struct node *node = node_new(SLICE("10.0.0.1"), 6379);

    (void)state;
    node_rest(node, 0);
    node_is_there(node, 0);
    node_heard(node);
    assert_false(node_admits(node, 999));
    assert_true(node_admits(node, 1000));
    node_rest(node, 1000);
    assert_false(node_admits(node, 1999));
    assert_true(node_admits(node, 2000)); /* no doubling: it does answer */
    node_succeeded(node);
    assert_true(node_admits(node, 2000));
    node_free(&node);
}

static void
address_of_ipv6_is_shown_in_brackets(void **state)
{
    struct node *node = node_new(SLICE("::1"), 6379);

    (void)state;
    assert_string_equal(node->text, "[::1]:6379");
    assert_true(node_is_at(node, SLICE("::1"), 6379));
    assert_false(node_is_at(node, SLICE("::1"), 6380));
    node_free(&node);
}

/* One caller a second may see whether that still holds. */
static void
node_that_runs_no_scripts_is_tried_again_after_a_second(void **state)
{
    struct node *node = node_new(SLICE("10.0.0.1"), 6379);

    (void)state;
    assert_int_equal(node_scripts(node, 0), REDIS_SCRIPTS_RUN);
    assert_true(node_script_failed(node, 5000, true));
    assert_false(node_script_failed(node, 5000, true)); /* no news */
    assert_int_equal(node_scripts(node, 5999), REDIS_SCRIPTS_FAIL);
    assert_int_equal(node_scripts(node, 6000), REDIS_SCRIPTS_UNSURE);
    assert_int_equal(node_scripts(node, 6000), REDIS_SCRIPTS_FAIL);
    assert_int_equal(node_scripts(node, 7000), REDIS_SCRIPTS_UNSURE);
    assert_true(node_script_ran(node));
    assert_false(node_script_ran(node));
    assert_int_equal(node_scripts(node, 7000), REDIS_SCRIPTS_RUN);
    /* One that takes no writes now is left alone for as long, no more. */
    assert_false(node_script_failed(node, 8000, false));
    assert_int_equal(node_scripts(node, 8999), REDIS_SCRIPTS_FAIL);
    assert_int_equal(node_scripts(node, 9000), REDIS_SCRIPTS_RUN);
    node_rest(node, 9000);
    assert_int_equal(node_scripts(node, 9999), REDIS_SCRIPTS_FAIL);
    assert_int_equal(node_scripts(node, 10000), REDIS_SCRIPTS_RUN);
    node_free(&node);
}

/* As Cache-Status names it. */
static void
why_its_values_are_not_used_is_told_by_its_state(void **state)
{
    static const struct {
        enum node_state state;
        const char *why;
    } rows[] = {
        {NODE_UNPROBED, "redis-silent"},
        {NODE_SILENT, "redis-silent"},
        {NODE_REFUSING, "redis-refuses"},
        {NODE_TRUSTED, "redis-minority"},
    };
    struct node *node = node_new(SLICE("10.0.0.1"), 6379);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        atomic_store(&node->state, (int)rows[i].state);
        atomic_store(&node->usable_until_ms, 1000);
        assert_null(node_why_not(node, 999));
        assert_string_equal(node_why_not(node, 1000), rows[i].why);
    }
    node_free(&node);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_failures_in_a_row_open_it),
        cmocka_unit_test(success_between_failures_keeps_it_closed),
        cmocka_unit_test(one_call_is_let_through_and_its_success_closes_it),
        cmocka_unit_test(each_failed_try_doubles_the_rest_up_to_thirty_seconds),
        cmocka_unit_test(failures_of_older_calls_do_not_lengthen_the_rest),
        cmocka_unit_test(late_reply_lets_the_next_call_try),
        cmocka_unit_test(try_whose_end_never_comes_is_followed_by_another),
        cmocka_unit_test(who_is_there_closes_no_breaker),
        cmocka_unit_test(who_is_there_is_not_left_alone_for_long),
        cmocka_unit_test(resting_node_is_not_woken_by_a_new_connection),
        cmocka_unit_test(
            node_that_runs_no_scripts_is_tried_again_after_a_second),
        cmocka_unit_test(address_of_ipv6_is_shown_in_brackets),
        cmocka_unit_test(why_its_values_are_not_used_is_told_by_its_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
