/* Look-ups of a server's name: who is told, what leaves, what is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "log_given.h"
#include "names_given.h"
#include "passing.h"
#include "server/server_inside.h"

enum {
    SOON_MS = 20, /* between look-ups, where some are to follow */
    NEVER_MS = 3600 * 1000,
};

struct rig {
    struct loop *loop;
    struct resolver *resolver;
    struct metric_registry *registry;
    struct metric_block *block;
    struct origin_server *server;
    struct server_news news[2];
    struct log_given log;
    unsigned heard;
};

static void
on_news(void *ctx)
{
    struct rig *rig = ctx;

    rig->heard++;
}

static metric_id
gauge(struct rig *rig, const char *name)
{
    return metric_add(rig->registry, METRIC_GAUGE, name, "x", NULL);
}

/* False: names of one's own are not to be had here. */
static bool
rig_up(struct rig *rig, const char *hosts, int64_t interval_ms)
{
    struct origin_server_metrics metrics = {0};

    *rig = (struct rig){.loop = NULL};
    if (!names_are(hosts)) {
        return false;
    }
    heap_begins();
    log_given_open(&rig->log);
    rig->loop = loop_new();
    rig->resolver = resolver_new();
    rig->registry = metric_registry_new();
    metrics.addresses = gauge(rig, "addresses");
    metrics.resting = gauge(rig, "resting");
    metrics.looked_up = gauge(rig, "looked_up");
    for (unsigned i = 0; i < ORIGIN_LOOKUP_COUNT; i++) {
        metrics.lookups[i] = gauge(rig, origin_lookup_text(i));
    }
    rig->block = metric_block_new(rig->registry);
    assert_int_equal(
        origin_server_new("http://api.test:8080", interval_ms, &rig->server),
        RC_OK);
    origin_server_measure(rig->server, &metrics);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(origin_server_join(rig->server, &rig->news[i],
                             rig->loop, on_news, rig),
            RC_OK);
    }
    origin_server_start(
        rig->server, rig->loop, rig->resolver, rig->log.ring, rig->block);
    return true;
}

/* How often its log, which is closed, says so. */
static unsigned
told(const struct rig *rig, const char *words)
{
    return log_given_count(&rig->log, words);
}

/* A look-up may be under way, whose end has no need of the loop. */
static void
rig_drop(struct rig *rig)
{
    for (size_t i = 0; i < 2; i++) {
        origin_server_part(rig->server, &rig->news[i]);
    }
    origin_server_stop(rig->server);
    resolver_free(&rig->resolver);
    loop_free(&rig->loop);
    origin_server_free(&rig->server);
    metric_registry_free(&rig->registry);
    (void)log_given_text(&rig->log);
}

static void
rig_down(struct rig *rig)
{
    rig_drop(rig);
    heap_ends();
}

static struct clock *
stop_clock(struct rig *rig)
{
    time_stop(rig->loop);
    return loop_own_clock(rig->loop);
}

static void
advance(struct rig *rig, int64_t ms)
{
    time_stop(rig->loop);
    time_pass(rig->loop, ms);
}

static void
turns(struct rig *rig)
{
    for (int i = 0; i < 10; i++) {
        loop_turn(rig->loop, 5);
    }
}

static uint64_t
lookups(const struct rig *rig, enum origin_lookup result)
{
    return rig->server->lookup.last.counts[result];
}

#define UNTIL(rig, claim) TURN_UNTIL((rig)->loop, 10, claim)

static void
what_is_found_is_told_to_all(void **state)
{
    struct origin_server_status status;
    struct rig rig;

    (void)state;
    if (!rig_up(&rig, "127.0.0.2 api.test\n127.0.0.3 api.test\n", NEVER_MS)) {
        skip();
    }
    (void)stop_clock(&rig);
    UNTIL(&rig, rig.heard == 2);
    origin_server_status(rig.server, 0, &status);
    assert_true(status.has_name);
    assert_int_equal(status.addresses_len, 2);
    assert_int_equal(strncmp(status.addresses[0].text, "127.0.0.", 8), 0);
    assert_non_null(strstr(status.addresses[0].text, ":8080"));
    assert_int_equal(status.lookup.result, ORIGIN_LOOKUP_CHANGED);
    assert_true(status.lookup.at_ms > 0);
    assert_int_equal(
        metric_sum(rig.registry, rig.server->metrics.addresses), 2);
    assert_int_equal(metric_sum(rig.registry, rig.server->metrics.looked_up),
        status.lookup.at_ms / 1000);
    rig_down(&rig);
    assert_int_equal(told(&rig, "origin_addresses"), 1);
    assert_int_equal(told(&rig, "count=\"2\" addresses=\"127.0.0."), 1);
    assert_int_equal(told(&rig, ":8080 127.0.0."), 1);
}

static void
who_leaves_is_gone_and_who_stays_keeps_its_rest(void **state)
{
    struct origin_addresses *before;
    struct origin_addresses *after;
    struct origin_server_status status;
    struct rig rig;
    metric_id resting;

    (void)state;
    if (!rig_up(&rig, "127.0.0.2 api.test\n127.0.0.3 api.test\n", SOON_MS)) {
        skip();
    }
    resting = rig.server->metrics.resting;
    UNTIL(&rig, lookups(&rig, ORIGIN_LOOKUP_CHANGED) == 1);
    before = origin_server_addresses(rig.server);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(origin_server_failed(
            rig.server, before->items[i], rig.block, 1000));
        assert_false(origin_server_failed(
            rig.server, before->items[i], rig.block, 1001));
    }
    assert_int_equal(metric_sum(rig.registry, resting), 2);
    assert_true(names_are("127.0.0.3 api.test\n127.0.0.4 api.test\n"));
    UNTIL(&rig, lookups(&rig, ORIGIN_LOOKUP_CHANGED) == 2);
    after = origin_server_addresses(rig.server);
    assert_int_equal(after->count, 2);
    for (unsigned i = 0; i < 2; i++) {
        struct origin_address *a = before->items[i];
        bool stays = origin_addresses_have(after, a);

        assert_int_equal(atomic_load(&a->is_gone), !stays);
        assert_int_equal(atomic_load(&a->rest_until_ms), 11000);
    }
    assert_int_equal(metric_sum(rig.registry, resting), 1);
    assert_int_equal(
        metric_sum(rig.registry, rig.server->metrics.addresses), 2);
    origin_server_status(rig.server, 4000, &status);
    for (unsigned i = 0; i < 2; i++) {
        bool stays = origin_addresses_have(before, after->items[i]);

        assert_int_equal(status.addresses[i].rests_ms, stays ? 7000 : 0);
    }
    origin_server_status(rig.server, 11001, &status);
    assert_int_equal(status.addresses[0].rests_ms, 0);
    assert_int_equal(status.addresses[1].rests_ms, 0);
    /* Who is gone rests for nobody. */
    for (unsigned i = 0; i < 2; i++) {
        assert_false(origin_server_failed(
            rig.server, before->items[i], rig.block, 1002));
        origin_server_worked(rig.server, before->items[i], rig.block);
    }
    assert_int_equal(metric_sum(rig.registry, resting), 0);
    origin_addresses_unref(&before);
    origin_addresses_unref(&after);
    rig_down(&rig);
}

static void
the_same_addresses_are_the_same_set(void **state)
{
    struct origin_addresses *before;
    struct origin_addresses *after;
    struct rig rig;

    (void)state;
    if (!rig_up(&rig, "127.0.0.2 api.test\n", SOON_MS)) {
        skip();
    }
    UNTIL(&rig, lookups(&rig, ORIGIN_LOOKUP_CHANGED) == 1);
    before = origin_server_addresses(rig.server);
    UNTIL(&rig, lookups(&rig, ORIGIN_LOOKUP_SAME) >= 3);
    after = origin_server_addresses(rig.server);
    assert_ptr_equal(after, before);
    UNTIL(&rig, rig.heard >= 8); /* each look-up is told, whatever it brings */
    origin_addresses_unref(&before);
    origin_addresses_unref(&after);
    rig_down(&rig);
}

static void
a_look_up_that_fails_changes_nothing(void **state)
{
    struct origin_addresses *set;
    struct rig rig;

    (void)state;
    if (!rig_up(&rig, "127.0.0.2 api.test\n", SOON_MS)) {
        skip();
    }
    UNTIL(&rig, lookups(&rig, ORIGIN_LOOKUP_CHANGED) == 1);
    names_unmute(); /* no name server is there, which is known at once */
    assert_true(names_are(""));
    UNTIL(&rig, lookups(&rig, ORIGIN_LOOKUP_FAILED) >= 2);
    set = origin_server_addresses(rig.server);
    assert_int_equal(set->count, 1);
    assert_false(atomic_load(&set->items[0]->is_gone));
    origin_addresses_unref(&set);
    assert_true(names_mute());
    rig_down(&rig);
    /* Told once, however often it fails. */
    assert_int_equal(told(&rig, "origin_addresses"), 1);
    assert_int_equal(told(&rig, "origin_lookup_failed"), 1);
    assert_int_equal(told(&rig, "kept=\"1\""), 1);
}

static void
those_who_ask_together_are_served_by_one_a_second(void **state)
{
    struct clock *clock;
    struct rig rig;

    (void)state;
    if (!rig_up(&rig, "127.0.0.2 api.test\n", NEVER_MS)) {
        skip();
    }
    UNTIL(&rig, lookups(&rig, ORIGIN_LOOKUP_CHANGED) == 1);
    clock = stop_clock(&rig);
    origin_server_ask(rig.server);
    origin_server_ask(rig.server);
    UNTIL(&rig, lookups(&rig, ORIGIN_LOOKUP_SAME) == 1);
    origin_server_ask(rig.server);
    turns(&rig);
    clock_advance(clock, LOOKUP_PAUSE_MS - 1);
    turns(&rig);
    assert_int_equal(lookups(&rig, ORIGIN_LOOKUP_SAME), 1);
    clock_advance(clock, 1 + 4); /* the wheel is that fine */
    UNTIL(&rig, lookups(&rig, ORIGIN_LOOKUP_SAME) == 2);
    /* Nobody asks any more: the interval counts. */
    advance(&rig, 2 * LOOKUP_PAUSE_MS);
    turns(&rig);
    assert_int_equal(lookups(&rig, ORIGIN_LOOKUP_SAME), 2);
    assert_false(rig.server->lookup.is_under_way);
    rig_down(&rig);
}

/* Whatever a look-up brings, when it was is shown, and by the metrics when one
   last found something. */
static void
when_a_name_was_looked_up_is_told(void **state)
{
    struct origin_server_status status;
    struct clock *clock;
    int64_t wall_ms;
    struct rig rig;
    metric_id looked_up;

    (void)state;
    if (!rig_up(&rig, "127.0.0.2 api.test\n", NEVER_MS)) {
        skip();
    }
    looked_up = rig.server->metrics.looked_up;
    UNTIL(&rig, lookups(&rig, ORIGIN_LOOKUP_CHANGED) == 1);
    clock = stop_clock(&rig);
    clock_advance(clock, 5000);
    origin_server_ask(rig.server);
    UNTIL(&rig, lookups(&rig, ORIGIN_LOOKUP_SAME) == 1);
    wall_ms = clock_wall_ms(clock);
    origin_server_status(rig.server, 0, &status);
    assert_true(status.lookup.at_ms == wall_ms);
    assert_int_equal(status.lookup.result, ORIGIN_LOOKUP_SAME);
    assert_int_equal(metric_sum(rig.registry, looked_up), wall_ms / 1000);
    names_unmute(); /* no name server is there, which is known at once */
    assert_true(names_are(""));
    clock_advance(clock, 5000);
    origin_server_ask(rig.server);
    UNTIL(&rig, lookups(&rig, ORIGIN_LOOKUP_FAILED) == 1);
    origin_server_status(rig.server, 0, &status);
    assert_true(status.lookup.at_ms == wall_ms + 5000);
    assert_int_equal(status.lookup.result, ORIGIN_LOOKUP_FAILED);
    assert_int_equal(metric_sum(rig.registry, looked_up), wall_ms / 1000);
    for (unsigned i = 0; i < ORIGIN_LOOKUP_COUNT; i++) {
        assert_int_equal(
            metric_sum(rig.registry, rig.server->metrics.lookups[i]),
            lookups(&rig, (enum origin_lookup)i));
    }
    /* The next one that finds something is told of. */
    assert_true(names_are("127.0.0.2 api.test\n"));
    clock_advance(clock, 5000);
    origin_server_ask(rig.server);
    UNTIL(&rig, lookups(&rig, ORIGIN_LOOKUP_SAME) == 2);
    assert_int_equal(metric_sum(rig.registry, looked_up), wall_ms / 1000 + 10);
    assert_true(names_mute());
    rig_down(&rig);
    assert_int_equal(told(&rig, " warn origin_lookup_failed "
                                "server=\"http://api.test:8080\" cause=\"no "
                                "name server has answered\" kept=\"1\"\n"),
        1);
    assert_int_equal(told(&rig, " info origin_lookup_works "
                                "server=\"http://api.test:8080\"\n"),
        1);
}

/* Of many addresses some are told, and that there are more. */
static void
of_many_addresses_eight_are_told(void **state)
{
    char hosts[512] = "";
    size_t len = 0;

    (void)state;
    for (unsigned count = 8; count <= 9; count++) {
        struct rig rig;

        len = 0;
        for (unsigned i = 0; i < count; i++) {
            len += (size_t)snprintf(hosts + len, sizeof(hosts) - len,
                "127.0.0.%u api.test\n", 11 + i);
        }
        if (!rig_up(&rig, hosts, NEVER_MS)) {
            skip();
        }
        UNTIL(&rig, lookups(&rig, ORIGIN_LOOKUP_CHANGED) == 1);
        rig_down(&rig);
        assert_int_equal(
            told(&rig, count == 8 ? "count=\"8\"" : "count=\"9\""), 1);
        assert_int_equal(told(&rig, "127.0.0."), 8);
        assert_int_equal(told(&rig, ":8080 ...\"\n"), count > 8);
        assert_int_equal(told(&rig, ":8080\"\n"), count == 8);
    }
}

/* It is one address for good, and nothing is to be stopped. */
static void
a_fixed_address_is_counted_and_not_looked_up(void **state)
{
    struct origin_server_metrics metrics = {0};
    struct rig rig = {.loop = loop_new()};

    (void)state;
    rig.registry = metric_registry_new();
    metrics.addresses = gauge(&rig, "addresses");
    rig.block = metric_block_new(rig.registry);
    assert_int_equal(
        origin_server_new("http://127.0.0.1:80", NEVER_MS, &rig.server), RC_OK);
    origin_server_measure(rig.server, &metrics);
    origin_server_start(rig.server, rig.loop, NULL, NULL, rig.block);
    assert_int_equal(metric_sum(rig.registry, metrics.addresses), 1);
    assert_null(rig.server->lookup.loop);
    origin_server_ask(rig.server);
    turns(&rig);
    assert_int_equal(rig.server->lookup.last.at_ms, 0);
    origin_server_stop(rig.server);
    origin_server_free(&rig.server);
    loop_free(&rig.loop);
    metric_registry_free(&rig.registry);
}

/* The next one is due when it is stopped. */
static void
who_is_stopped_looks_nothing_up(void **state)
{
    struct rig rig;
    unsigned heard;

    (void)state;
    if (!rig_up(&rig, "127.0.0.2 api.test\n", NEVER_MS)) {
        skip();
    }
    UNTIL(&rig, lookups(&rig, ORIGIN_LOOKUP_CHANGED) == 1);
    turns(&rig);
    heard = rig.heard;
    (void)stop_clock(&rig);
    origin_server_stop(rig.server);
    advance(&rig, 2 * NEVER_MS);
    origin_server_ask(rig.server);
    turns(&rig);
    assert_int_equal(rig.heard, heard);
    assert_false(rig.server->lookup.is_under_way);
    rig_down(&rig);
}

/* Nobody waits for one that hangs, and whoever asks after the end gets none. */
static void
it_ends_while_a_look_up_hangs(void **state)
{
    struct rig rig;

    (void)state;
    if (!rig_up(&rig, "", NEVER_MS)) {
        skip();
    }
    origin_server_ask(rig.server);
    loop_turn(rig.loop, 20);
    origin_server_ask(rig.server);
    assert_int_equal(rig.heard, 0);
    rig_drop(&rig); /* the thread that hangs keeps its blocks */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_found_is_told_to_all),
        cmocka_unit_test(who_leaves_is_gone_and_who_stays_keeps_its_rest),
        cmocka_unit_test(the_same_addresses_are_the_same_set),
        cmocka_unit_test(a_look_up_that_fails_changes_nothing),
        cmocka_unit_test(those_who_ask_together_are_served_by_one_a_second),
        cmocka_unit_test(when_a_name_was_looked_up_is_told),
        cmocka_unit_test(of_many_addresses_eight_are_told),
        cmocka_unit_test(a_fixed_address_is_counted_and_not_looked_up),
        cmocka_unit_test(who_is_stopped_looks_nothing_up),
        cmocka_unit_test(it_ends_while_a_look_up_hangs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
