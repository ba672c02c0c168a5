/* Names to addresses, off the loop. */
#include "nearside/net/resolve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "names_given.h"
#include "passing.h"

#include "nearside/base/check.h"

struct rig {
    struct loop *loop;
    struct resolver *resolver;
    unsigned dones;
    struct resolve_answer answer; /* the last, with a reference of its own */
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

    addresses_unref(&rig->answer.addresses);
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
    addresses_unref(&rig->answer.addresses);
    rig->answer = *answer;
    if (answer->addresses != NULL) {
        (void)addresses_ref(answer->addresses);
    }
}

static struct resolve *
start(struct rig *rig, struct slice host)
{
    unsigned dones = rig->dones;
    struct resolve *resolve =
        resolve_start(rig->resolver, rig->loop, host, on_done, rig);

    assert_non_null(resolve);
    assert_int_equal(rig->dones, dones); /* never from inside */
    return resolve;
}

static struct resolve *
start_anew(struct rig *rig, struct slice host)
{
    struct resolve *resolve =
        resolve_anew(rig->resolver, rig->loop, host, on_done, rig);

    assert_non_null(resolve);
    return resolve;
}

static void
wait_done(struct rig *rig, unsigned dones)
{
    TURN_UNTIL(rig->loop, 20, rig->dones >= dones);
    assert_int_equal(rig->dones, dones);
}

static void
a_numeric_host_is_its_address(void **state)
{
    struct rig *rig = *state;
    const char *const hosts[] = {"127.0.0.1", "::1", "2001:db8::7"};
    const char *const want[] = {"127.0.0.1:0", "[::1]:0", "[2001:db8::7]:0"};
    char text[ADDRESS_TEXT_MAX];

    for (unsigned i = 0; i < 3; i++) {
        start(rig, slice_of_str(hosts[i]));
        wait_done(rig, i + 1);
        assert_int_equal(rig->answer.rc, RC_OK);
        assert_int_equal(rig->answer.addresses->count, 1);
        assert_string_equal(
            address_text(&rig->answer.addresses->items[0], text), want[i]);
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
    for (unsigned i = 0; i < rig->answer.addresses->count; i++) {
        const struct address *a = &rig->answer.addresses->items[i];
        assert_int_equal(address_port(a), 0);
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
    assert_null(rig->answer.addresses);
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
    start(rig, SLICE("localhost"));
    wait_done(rig, 1);
    loop_turn(rig->loop, 20);
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

/* ---- names that are never answered -------------------------------------- */

/* Names that hang; some of them are one name. */
static void
hang(struct rig *rig, struct resolve *out[], unsigned len, unsigned names)
{
    char host[32];

    for (unsigned i = 0; i < len; i++) {
        snprintf(host, sizeof(host), "gone-%u.test", i % names);
        out[i] = start(rig, slice_of_str(host));
    }
}

static void
cancel(struct resolve *lookups[], unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        resolve_cancel(&lookups[i]);
    }
}

static void
names_that_are_never_answered_keep_no_other_waiting(void **state)
{
    struct rig *rig = *state;
    struct resolve *gone[20];
    int64_t began_ms;

    if (!names_are("127.0.0.1 good.test\n")) {
        skip();
    }
    began_ms = real_ms();
    hang(rig, gone, 20, 20);
    start(rig, SLICE("good.test"));
    wait_done(rig, 1);
    assert_int_equal(rig->answer.rc, RC_OK);
    assert_true(real_ms() - began_ms < NAMES_HANG_S * 1000 / 2);
    cancel(gone, 20);
}

static void
a_name_that_hangs_takes_one_thread_however_many_ask(void **state)
{
    struct rig *rig = *state;
    struct resolve *gone[1000];

    if (!names_are("127.0.0.1 good.test\n")) {
        skip();
    }
    hang(rig, gone, 1000, 1);
    start(rig, SLICE("good.test"));
    wait_done(rig, 1);
    assert_int_equal(rig->answer.rc, RC_OK);
    cancel(gone, 1000);
    loop_turn(rig->loop, 20);
    assert_int_equal(rig->dones, 1);
}

static void
lookups_that_were_cancelled_are_gone(void **state)
{
    struct rig *rig = *state;
    struct resolve *gone[200];
    struct resolve *again;

    if (!names_are("127.0.0.1 localhost\n")) {
        skip();
    }
    for (unsigned i = 0; i < 5; i++) {
        hang(rig, gone, 200, 1);
        cancel(gone, 200);
    }
    /* One who asks after that waits as everybody does. */
    again = start(rig, SLICE("gone-0.test"));
    start(rig, SLICE("localhost"));
    wait_done(rig, 1);
    resolve_cancel(&again);
}

static void
a_name_that_hangs_has_the_addresses_that_it_had(void **state)
{
    struct rig *rig = *state;
    struct addresses *before;

    if (!names_are("127.0.0.7 good.test\n127.0.0.8 good.test\n")) {
        skip();
    }
    start(rig, SLICE("good.test"));
    wait_done(rig, 1);
    assert_int_equal(rig->answer.rc, RC_OK);
    before = addresses_ref(rig->answer.addresses);
    assert_true(names_are(""));
    loop_turn(rig->loop, 0); /* the clock may be old */
    time_stop(rig->loop);
    start(rig, SLICE("good.test"));
    start(rig, SLICE("good.test"));
    time_pass(rig->loop, 250 - 8);
    assert_int_equal(rig->dones, 1);
    time_pass(rig->loop, 16);
    assert_int_equal(rig->dones, 3);
    assert_int_equal(rig->answer.rc, RC_OK);
    assert_ptr_equal(rig->answer.addresses, before); /* shared */
    addresses_unref(&before);
    /* It is under way for so long that nobody waits for it again. */
    start(rig, SLICE("good.test"));
    time_pass(rig->loop, 8);
    assert_int_equal(rig->dones, 4);
    assert_int_equal(rig->answer.rc, RC_OK);
}

static void
a_name_has_its_addresses_when_no_name_server_is_there(void **state)
{
    struct rig *rig = *state;
    char text[ADDRESS_TEXT_MAX];

    if (!names_are("127.0.0.7 good.test\n")) {
        skip();
    }
    start(rig, SLICE("good.test"));
    wait_done(rig, 1);
    assert_true(names_are(""));
    names_unmute();
    start(rig, SLICE("other.test"));
    wait_done(rig, 2);
    assert_int_equal(rig->answer.rc, RC_IO);
    start(rig, SLICE("good.test"));
    wait_done(rig, 3);
    assert_int_equal(rig->answer.rc, RC_OK);
    assert_string_equal(
        address_text(&rig->answer.addresses->items[0], text), "127.0.0.7:0");
    start_anew(rig, SLICE("good.test"));
    wait_done(rig, 4);
    assert_int_equal(rig->answer.rc, RC_IO);
    assert_true(names_mute());
}

/* The name has an answer at hand, which is not what is asked for. */
static void
who_asks_anew_waits_for_the_lookup(void **state)
{
    struct rig *rig = *state;
    struct resolve *anew;

    if (!names_are("127.0.0.7 good.test\n")) {
        skip();
    }
    start(rig, SLICE("good.test"));
    wait_done(rig, 1);
    assert_true(names_are(""));
    anew = start_anew(rig, SLICE("good.test"));
    start(rig, SLICE("good.test"));
    wait_done(rig, 2); /* the other one is answered meanwhile */
    assert_int_equal(rig->answer.rc, RC_OK);
    resolve_cancel(&anew);
}

static void
sixty_four_addresses_are_kept(void **state)
{
    struct rig *rig = *state;
    char hosts[100 * 32];
    size_t len = 0;

    for (unsigned i = 1; i <= 100; i++) {
        len += (size_t)snprintf(
            hosts + len, sizeof(hosts) - len, "127.0.9.%u many.test\n", i);
    }
    if (!names_are(hosts)) {
        skip();
    }
    start(rig, SLICE("many.test"));
    wait_done(rig, 1);
    assert_int_equal(rig->answer.rc, RC_OK);
    assert_int_equal(rig->answer.addresses->count, 64);
}

/* What is kept of names is bounded: they come from servers' replies. */
static void
a_name_that_was_forgotten_is_looked_up_again(void **state)
{
    struct rig *rig = *state;
    char host[32];

    for (unsigned i = 1; i <= 600; i++) {
        unsigned n = i % 300; /* each of them twice */

        snprintf(host, sizeof(host), "127.1.%u.%u", n / 200, n % 200);
        start(rig, slice_of_str(host));
        wait_done(rig, i);
        assert_int_equal(rig->answer.rc, RC_OK);
    }
}

static void
a_resolver_ends_at_once_though_a_name_hangs(void **state)
{
    struct rig *rig = *state;
    struct resolve *gone[3];
    int64_t began_ms;

    if (!names_are("")) {
        skip();
    }
    hang(rig, gone, 3, 3);
    usleep(50000); /* so that they have begun, most likely */
    cancel(gone, 3);
    began_ms = real_ms();
    resolver_free(&rig->resolver);
    assert_true(real_ms() - began_ms < NAMES_HANG_S * 1000 / 2);
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
        TEST(names_that_are_never_answered_keep_no_other_waiting),
        TEST(a_name_that_hangs_takes_one_thread_however_many_ask),
        TEST(lookups_that_were_cancelled_are_gone),
        TEST(a_name_that_hangs_has_the_addresses_that_it_had),
        TEST(a_name_has_its_addresses_when_no_name_server_is_there),
        TEST(who_asks_anew_waits_for_the_lookup),
        TEST(sixty_four_addresses_are_kept),
        TEST(a_name_that_was_forgotten_is_looked_up_again),
        TEST(a_resolver_ends_at_once_though_a_name_hangs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
