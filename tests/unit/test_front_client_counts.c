/* Connections counted by the address they come from. */
#include "front/client_counts.h"

#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "nearside/base/check.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_OWN_MALLOC 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_OWN_MALLOC 1
#endif

static struct address
given(const char *text)
{
    struct address a;

    assert_int_equal(address_parse(slice_of_str(text), &a), RC_OK);
    return a;
}

static void
an_address_gets_its_share_and_no_more(void **state)
{
    struct client_counts *counts = client_counts_new(2);
    struct address a = given("10.0.0.1:1000");
    struct address a_again = given("10.0.0.1:2000");
    struct address b = given("10.0.0.2:1000");

    (void)state;
    assert_true(client_counts_take(counts, &a, true));
    assert_true(client_counts_take(counts, &a_again, true));
    assert_false(client_counts_take(counts, &a, true));
    assert_true(client_counts_take(counts, &b, true));
    client_counts_put(counts, &a_again);
    assert_true(client_counts_take(counts, &a, true));
    assert_false(client_counts_take(counts, &a_again, true));
    client_counts_put(counts, &a);
    client_counts_put(counts, &a);
    client_counts_put(counts, &b);
    assert_true(client_counts_take(counts, &a, true));
    client_counts_free(&counts);
    assert_null(counts);
}

static void
a_v6_host_is_its_network_of_64_bits(void **state)
{
    struct client_counts *counts = client_counts_new(1);
    struct address a = given("[2001:db8:0:1::1]:1");
    struct address same = given("[2001:db8:0:1:ffff::9]:2");
    struct address other = given("[2001:db8:0:2::1]:1");

    (void)state;
    assert_true(client_counts_take(counts, &a, true));
    assert_false(client_counts_take(counts, &same, true));
    assert_true(client_counts_take(counts, &other, true));
    client_counts_put(counts, &same);
    assert_true(client_counts_take(counts, &a, true));
    client_counts_free(&counts);
}

/* It counts all the same: what is counted can be given back, whatever becomes
   of the limit meanwhile. */
static void
who_is_not_limited_counts_and_is_not_refused(void **state)
{
    struct client_counts *counts = client_counts_new(2);
    struct address a = given("10.0.0.1:1");

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_true(client_counts_take(counts, &a, false));
    }
    assert_false(client_counts_take(counts, &a, true));
    for (int i = 0; i < 4; i++) {
        client_counts_put(counts, &a);
    }
    assert_true(client_counts_take(counts, &a, true));
    client_counts_free(&counts);
}

/* 32.1.13.184 has the bytes 2001:db8. */
static void
families_are_told_apart(void **state)
{
    struct client_counts *counts = client_counts_new(1);
    struct address v4 = given("32.1.13.184:1");
    struct address v6 = given("[2001:db8::1]:1");

    (void)state;
    assert_true(client_counts_take(counts, &v4, true));
    assert_true(client_counts_take(counts, &v6, true));
    assert_false(client_counts_take(counts, &v4, true));
    client_counts_free(&counts);
}

static void
unix_peers_and_unlimited_ones_are_never_refused(void **state)
{
    struct client_counts *one = client_counts_new(1);
    struct client_counts *unlimited = client_counts_new(0);
    struct address local = given("unix:/x");
    struct address none = {0};
    struct address a = given("10.0.0.1:1");

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_true(client_counts_take(one, &local, true));
        assert_true(client_counts_take(one, &none, true));
        assert_true(client_counts_take(unlimited, &a, true));
    }
    for (int i = 0; i < 5; i++) {
        client_counts_put(one, &local);
        client_counts_put(one, &none);
        client_counts_put(unlimited, &a);
    }
    client_counts_free(&one);
    client_counts_free(&unlimited);
}

/* More addresses than buckets: those that share one keep their own count. */
static void
many_addresses_are_counted_apart(void **state)
{
    struct client_counts *counts = client_counts_new(1);
    char text[ADDRESS_TEXT_MAX];

    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < 20000; i++) {
            struct address a;
            snprintf(text, sizeof(text), "10.%d.%d.1:80", i / 256, i % 256);
            a = given(text);
            assert_int_equal(client_counts_take(counts, &a, true), turn == 0);
        }
    }
    for (int i = 0; i < 20000; i += 2) {
        struct address a;
        snprintf(text, sizeof(text), "10.%d.%d.1:80", i / 256, i % 256);
        a = given(text);
        client_counts_put(counts, &a);
    }
    for (int i = 0; i < 20000; i++) {
        struct address a;
        snprintf(text, sizeof(text), "10.%d.%d.1:80", i / 256, i % 256);
        a = given(text);
        assert_int_equal(client_counts_take(counts, &a, true), i % 2 == 0);
    }
    client_counts_free(&counts);
}

#ifndef HAS_OWN_MALLOC
static void
addresses_that_are_gone_take_no_memory(void **state)
{
    struct client_counts *counts = client_counts_new(1);
    char text[ADDRESS_TEXT_MAX];
    size_t before = mallinfo2().uordblks;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct address a;
        snprintf(text, sizeof(text), "10.%d.%d.1:80", i / 256, i % 256);
        a = given(text);
        assert_true(client_counts_take(counts, &a, true));
        client_counts_put(counts, &a);
    }
    assert_true(mallinfo2().uordblks < before + 10000);
    client_counts_free(&counts);
}
#endif

static void *
come_and_go(void *ctx)
{
    struct client_counts *counts = ctx;
    struct address a;

    MUST(address_parse(SLICE("10.0.0.1:80"), &a) == RC_OK);
    for (int i = 0; i < 20000; i++) {
        if (client_counts_take(counts, &a, true)) {
            client_counts_put(counts, &a);
        }
    }
    return NULL;
}

static void
the_count_holds_over_threads(void **state)
{
    struct client_counts *counts = client_counts_new(3);
    struct address a = given("10.0.0.1:1");
    pthread_t threads[2];

    (void)state;
    assert_true(client_counts_take(counts, &a, true));
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, come_and_go, counts);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_true(client_counts_take(counts, &a, true));
    assert_true(client_counts_take(counts, &a, true));
    assert_false(client_counts_take(counts, &a, true));
    client_counts_free(&counts);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_gets_its_share_and_no_more),
        cmocka_unit_test(a_v6_host_is_its_network_of_64_bits),
        cmocka_unit_test(families_are_told_apart),
        cmocka_unit_test(who_is_not_limited_counts_and_is_not_refused),
        cmocka_unit_test(unix_peers_and_unlimited_ones_are_never_refused),
        cmocka_unit_test(many_addresses_are_counted_apart),
#ifndef HAS_OWN_MALLOC
        cmocka_unit_test(addresses_that_are_gone_take_no_memory),
#endif
        cmocka_unit_test(the_count_holds_over_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
