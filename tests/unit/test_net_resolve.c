/* Names to addresses, off the loop. Only names that need no server. */
#include "nearside/net/resolve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nearside/base/check.h"

struct rig {
    struct loop *loop;
    struct resolver *resolver;
    unsigned dones;
    struct resolve_answer answer;
};

static int
up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    rig->loop = loop_new();
    rig->resolver = resolver_new();
    assert_non_null(rig->resolver);
    *state = rig;
    return 0;
}

static int
down(void **state)
{
    struct rig *rig = *state;

    resolver_free(&rig->resolver);
    assert_null(rig->resolver);
    loop_free(&rig->loop);
    free(rig);
    return 0;
}

static void
on_done(void *ctx, const struct resolve_answer *answer)
{
    struct rig *rig = ctx;

    rig->dones++;
    rig->answer = *answer;
}

static struct resolve *
start(struct rig *rig, struct slice host)
{
    unsigned dones = rig->dones;
    struct resolve *resolve =
        resolve_start(rig->resolver, rig->loop, host, 8080, on_done, rig);

    assert_non_null(resolve);
    assert_int_equal(rig->dones, dones); /* never from inside */
    return resolve;
}

static void
wait_done(struct rig *rig, unsigned dones)
{
    for (int i = 0; i < 1000 && rig->dones < dones; i++) {
        loop_turn(rig->loop, 20);
    }
    assert_int_equal(rig->dones, dones);
}

static void
a_numeric_host_is_its_address(void **state)
{
    struct rig *rig = *state;
    const char *const hosts[] = {"127.0.0.1", "::1", "2001:db8::7"};
    const char *const want[] = {
        "127.0.0.1:8080", "[::1]:8080", "[2001:db8::7]:8080"};
    char text[ADDRESS_TEXT_MAX];

    for (unsigned i = 0; i < 3; i++) {
        start(rig, slice_of_str(hosts[i]));
        wait_done(rig, i + 1);
        assert_int_equal(rig->answer.rc, RC_OK);
        assert_int_equal(rig->answer.count, 1);
        assert_string_equal(
            address_text(&rig->answer.addresses[0], text), want[i]);
    }
}

static void
localhost_is_this_machine(void **state)
{
    struct rig *rig = *state;
    char name[] = "localhost";
    char text[ADDRESS_TEXT_MAX];

    start(rig, slice_of(name, 9));
    memset(name, 'x', sizeof(name)); /* it was copied */
    wait_done(rig, 1);
    assert_int_equal(rig->answer.rc, RC_OK);
    assert_in_range(rig->answer.count, 1, RESOLVE_MAX);
    for (unsigned i = 0; i < rig->answer.count; i++) {
        const struct address *a = &rig->answer.addresses[i];
        assert_int_equal(address_port(a), 8080);
        address_host_text(a, text);
        assert_true(strncmp(text, "127.", 4) == 0 || strcmp(text, "::1") == 0);
    }
}

/* A name with an empty label asks nobody. */
static void
what_is_no_name_gives_no_address(void **state)
{
    struct rig *rig = *state;

    start(rig, SLICE("no..name"));
    wait_done(rig, 1);
    assert_true(rig->answer.rc == RC_MISS || rig->answer.rc == RC_IO);
    assert_int_equal(rig->answer.count, 0);
}

static void
a_cancelled_lookup_tells_nothing(void **state)
{
    struct rig *rig = *state;
    struct rig gone = *rig;
    struct resolve *resolve = NULL;

    resolve_cancel(&resolve); /* harmless */
    resolve = start(&gone, SLICE("127.0.0.1"));
    resolve_cancel(&resolve);
    assert_null(resolve);
    resolve = start(&gone, SLICE("localhost"));
    resolve_cancel(&resolve);
    /* The thread takes one after the other: this one is the last. */
    start(rig, SLICE("localhost"));
    wait_done(rig, 1);
    assert_int_equal(gone.dones, 0);
}

static void
lookups_are_answered_each_once(void **state)
{
    struct rig *rig = *state;

    for (int i = 0; i < 20; i++) {
        start(rig, i % 2 == 0 ? SLICE("localhost") : SLICE("127.0.0.1"));
    }
    wait_done(rig, 20);
    loop_turn(rig->loop, 5);
    assert_int_equal(rig->dones, 20);
}

static void
a_resolver_may_end_with_lookups_waiting(void **state)
{
    struct rig *rig = *state;

    for (int i = 0; i < 20; i++) {
        struct resolve *resolve = start(rig, SLICE("localhost"));
        resolve_cancel(&resolve);
    }
    resolver_free(&rig->resolver);
    loop_turn(rig->loop, 0);
    assert_int_equal(rig->dones, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_numeric_host_is_its_address),
        TEST(localhost_is_this_machine),
        TEST(what_is_no_name_gives_no_address),
        TEST(a_cancelled_lookup_tells_nothing),
        TEST(lookups_are_answered_each_once),
        TEST(a_resolver_may_end_with_lookups_waiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
