/*
 * Flights: who opens, who joins, who is told, and what is left when all are
 * gone. The table must be empty to be freed, and a flight must be nobody's;
 * both are checked by the code itself.
 */
#include "nearside/collapse/collapse.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "heap.h"
#include "nearside/body/fill.h"

enum {
    FLIGHTS_MAX = 100,
};

struct rig {
    struct flight_table *table;
    struct loop *own;
    struct loop *other;
    struct written written;
};

static int
rig_up(void **state)
{
    struct rig *rig;

    heap_begins();
    rig = calloc(1, sizeof(*rig));
    rig->table = flight_table_new(FLIGHTS_MAX, &rig->written);
    rig->own = loop_new();
    rig->other = loop_new();
    assert_non_null(rig->table);
    *state = rig;
    return 0;
}

static int
rig_down(void **state)
{
    struct rig *rig = *state;

    loop_free(&rig->own);
    loop_free(&rig->other);
    flight_table_free(&rig->table);
    assert_null(rig->table);
    free(rig);
    heap_ends();
    return 0;
}

struct waiting {
    struct flight_waiter waiter;
    unsigned results;
    enum flight_outcome outcome;
    const char *detail;
    struct fill *fill;
};

static void
on_result(void *ctx, const struct flight_result *result)
{
    struct waiting *w = ctx;

    w->results++;
    w->outcome = result->outcome;
    w->detail = result->detail;
    w->fill = result->fill;
}

static struct key
key_of(const char *text)
{
    static const struct hash_key hash_key = {1, 2};
    struct slice full = slice_of_str(text);

    return (struct key){.full = full, .hash = hash_keyed(&hash_key, full)};
}

static void
doom(struct rig *rig, const char *text)
{
    const struct key key = key_of(text);

    written_mark(&rig->written, key.hash);
}

static enum flight_entry
enter_form(struct rig *rig, const char *text, const char *form,
    struct loop *loop, struct waiting *waiting)
{
    const struct key key = key_of(text);
    struct flight *own;

    *waiting = (struct waiting){0};
    waiting->waiter.loop = loop;
    waiting->waiter.on_result = on_result;
    waiting->waiter.ctx = waiting;
    return flight_enter(
        rig->table, &key, slice_of_str(form), &waiting->waiter, &own);
}

static enum flight_entry
enter(struct rig *rig, const char *key, struct loop *loop,
    struct waiting *waiting)
{
    return enter_form(rig, key, "", loop, waiting);
}

static void
resolve_alone(struct rig *rig, struct flight *flight, bool keeps_open)
{
    const struct flight_result result = {
        .outcome = FLIGHT_ALONE, .detail = "why"};

    flight_resolve(rig->table, flight, &result, keeps_open);
}

static void
turn(struct rig *rig)
{
    loop_turn(rig->own, 0);
    loop_turn(rig->other, 0);
}

/* The owner's end: nobody joins any more, its reference goes. */
static void
owner_ends(struct rig *rig, struct flight *flight)
{
    flight_close(rig->table, flight);
    flight_unref(&flight);
}

static void
the_first_opens_and_the_others_join(void **state)
{
    struct rig *rig = *state;
    struct waiting w[4];
    struct flight *flight;

    assert_int_equal(enter(rig, "k", rig->own, &w[0]), FLIGHT_OPENED);
    assert_int_equal(enter(rig, "k", rig->own, &w[1]), FLIGHT_JOINED);
    assert_int_equal(enter(rig, "k", rig->other, &w[2]), FLIGHT_JOINED);
    assert_int_equal(enter(rig, "other", rig->own, &w[3]), FLIGHT_OPENED);
    assert_int_equal(flight_table_len(rig->table), 2);
    flight = w[0].waiter.flight;
    assert_ptr_equal(w[1].waiter.flight, flight);
    assert_ptr_equal(w[2].waiter.flight, flight);
    assert_ptr_not_equal(w[3].waiter.flight, flight);
    assert_true(slice_eq(flight->key, SLICE("k")));
    assert_true(w[0].waiter.is_leader);
    assert_false(w[1].waiter.is_leader);
    turn(rig);
    assert_int_equal(w[0].results + w[1].results + w[2].results, 0);

    resolve_alone(rig, flight, false);
    assert_int_equal(w[0].results, 1); /* the leader, at once */
    assert_int_equal(w[1].results + w[2].results, 0);
    turn(rig);
    turn(rig);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(w[i].results, 1);
        assert_int_equal(w[i].outcome, FLIGHT_ALONE);
        assert_string_equal(w[i].detail, "why");
        flight_unref(&w[i].waiter.flight);
    }
    assert_int_equal(w[3].results, 0);
    owner_ends(rig, flight);

    flight = w[3].waiter.flight;
    assert_true(flight_leave(rig->table, &w[3].waiter));
    resolve_alone(rig, flight, false);
    owner_ends(rig, flight);
    assert_int_equal(flight_table_len(rig->table), 0);
}

static void
keys_are_compared_to_the_last_byte(void **state)
{
    struct rig *rig = *state;
    const char *const keys[] = {"", "a", "ab", "abc", "abd", "Abc"};
    struct waiting w[6];

    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(enter(rig, keys[i], rig->own, &w[i]), FLIGHT_OPENED);
    }
    for (size_t i = 0; i < 6; i++) {
        struct flight *flight = w[i].waiter.flight;
        flight_leave(rig->table, &w[i].waiter);
        resolve_alone(rig, flight, false);
        owner_ends(rig, flight);
    }
}

static void
one_flown_alone_is_found_by_nobody(void **state)
{
    struct rig *rig = *state;
    struct waiting alone = {.waiter = {.loop = rig->own}};
    const struct key k = key_of("k");
    struct waiting w;
    struct flight *flight;

    alone.waiter.on_result = on_result;
    alone.waiter.ctx = &alone;
    assert_true(flight_enter_alone(rig->table, &k, &alone.waiter));
    assert_true(alone.waiter.is_leader);
    assert_int_equal(flight_table_len(rig->table), 0);
    assert_int_equal(enter(rig, "k", rig->own, &w), FLIGHT_OPENED);
    flight = alone.waiter.flight;
    resolve_alone(rig, flight, true);
    assert_int_equal(alone.results, 1);
    assert_int_equal(w.results, 0);
    flight_unref(&alone.waiter.flight);
    owner_ends(rig, flight);
    assert_int_equal(flight_table_len(rig->table), 1);
    flight = w.waiter.flight;
    assert_true(flight_leave(rig->table, &w.waiter));
    resolve_alone(rig, flight, false);
    owner_ends(rig, flight);
}

static void
after_a_resolution_that_closes_the_next_one_opens(void **state)
{
    struct rig *rig = *state;
    struct waiting first;
    struct waiting second;
    struct flight *flights[2];

    enter(rig, "k", rig->own, &first);
    flights[0] = first.waiter.flight;
    resolve_alone(rig, flights[0], false);
    assert_int_equal(flight_table_len(rig->table), 0);
    assert_int_equal(enter(rig, "k", rig->own, &second), FLIGHT_OPENED);
    flights[1] = second.waiter.flight;
    assert_ptr_not_equal(flights[0], flights[1]);
    flight_unref(&first.waiter.flight);
    owner_ends(rig, flights[0]);
    /* The end of the old one closes the old one alone. */
    assert_int_equal(flight_table_len(rig->table), 1);
    resolve_alone(rig, flights[1], false);
    flight_unref(&second.waiter.flight);
    owner_ends(rig, flights[1]);
}

static struct fill *
given_fill(struct rig *rig)
{
    const struct response_head head = {
        .status = 200, .fields = SLICE("a: b\r\n")};
    const struct fill_opts opts = {
        .window = 1000, .held_max = 2000, .is_kept = true};

    return fill_new(rig->own, &head, &opts);
}

/* One that comes while the body is under way joins the fill; the fill lives
   as long as the last who was told of it. */
static void
a_late_one_joins_an_open_fill(void **state)
{
    struct rig *rig = *state;
    struct flight_result result = {.outcome = FLIGHT_FILL};
    struct waiting leader;
    struct waiting late[2];
    struct flight *flight;

    result.fill = given_fill(rig);
    enter(rig, "k", rig->own, &leader);
    flight = leader.waiter.flight;
    flight_resolve(rig->table, flight, &result, true);
    assert_ptr_equal(leader.fill, result.fill);
    assert_int_equal(enter(rig, "k", rig->own, &late[0]), FLIGHT_JOINED);
    assert_int_equal(enter(rig, "k", rig->other, &late[1]), FLIGHT_JOINED);
    assert_int_equal(late[0].results, 0); /* never from inside enter */
    fill_finish(result.fill, FILL_COMPLETE);
    flight_unref(&leader.waiter.flight);
    owner_ends(rig, flight);
    assert_int_equal(flight_table_len(rig->table), 0);
    turn(rig);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(late[i].results, 1);
        assert_int_equal(late[i].outcome, FLIGHT_FILL);
        assert_ptr_equal(late[i].fill, result.fill);
        assert_int_equal(fill_state(late[i].fill), FILL_COMPLETE);
        flight_unref(&late[i].waiter.flight);
    }
}

static void
without_memory_no_flight_is_opened(void **state)
{
    struct rig *rig = *state;
    const struct key k = key_of("k");
    struct waiting w;
    struct collapse collapse;

    heap_refuse(1, 0);
    assert_int_equal(enter(rig, "k", rig->own, &w), FLIGHT_REFUSED);
    heap_refuse(1, 0);
    assert_false(flight_enter_alone(rig->table, &k, &w.waiter));
    assert_int_equal(flight_table_len(rig->table), 0);
    for (unsigned nth = 1; nth <= 3; nth++) {
        heap_refuse(nth, 0);
        assert_int_equal(collapse_init(&collapse, 1, 1, &rig->written),
            nth < 3 ? RC_NOMEM : RC_OK);
        collapse_fini(&collapse);
    }
    heap_refuse(0, 0);
    collapse_fini(&collapse); /* once more */
}

/* A request flies again, with the same memory. */
static void
who_waits_again_is_not_what_it_was(void **state)
{
    struct rig *rig = *state;
    const struct key k = key_of("k");
    struct waiting first;
    struct waiting w;
    struct flight *own;

    enter(rig, "k", rig->own, &first);
    resolve_alone(rig, first.waiter.flight, true);
    enter(rig, "k", rig->own, &w);
    turn(rig);
    assert_int_equal(w.results, 1);
    assert_true(w.waiter.is_late);
    flight_unref(&w.waiter.flight);
    own = first.waiter.flight;
    flight_unref(&first.waiter.flight);
    owner_ends(rig, own);

    assert_int_equal(
        flight_enter(rig->table, &k, slice_of_str(""), &w.waiter, &own),
        FLIGHT_OPENED);
    assert_false(w.waiter.is_late);
    assert_true(w.waiter.is_leader);
    assert_true(flight_leave(rig->table, &w.waiter));
    assert_int_equal(
        flight_enter(rig->table, &k, slice_of_str(""), &w.waiter, NULL),
        FLIGHT_JOINED);
    assert_false(w.waiter.is_leader);
    assert_true(flight_leave(rig->table, &w.waiter));
    resolve_alone(rig, own, false);
    assert_int_equal(w.results, 1);
    owner_ends(rig, own);
}

static void
one_that_left_is_not_told(void **state)
{
    struct rig *rig = *state;
    struct waiting leader;
    struct waiting w[2];
    struct flight *flight;

    enter(rig, "k", rig->own, &leader);
    enter(rig, "k", rig->own, &w[0]);
    enter(rig, "k", rig->other, &w[1]);
    flight = leader.waiter.flight;
    for (size_t i = 0; i < 2; i++) {
        assert_true(flight_leave(rig->table, &w[i].waiter));
        assert_null(w[i].waiter.flight);
    }
    /* The leader may leave too: its flight goes on. */
    assert_true(flight_leave(rig->table, &leader.waiter));
    resolve_alone(rig, flight, false);
    turn(rig);
    assert_int_equal(leader.results + w[0].results + w[1].results, 0);
    owner_ends(rig, flight);
}

/* Its message is under way: the waiter's memory must stay for it. */
static void
one_that_leaves_after_the_resolution_is_still_told(void **state)
{
    struct rig *rig = *state;
    struct waiting leader;
    struct waiting w[2];
    struct flight *flight;

    enter(rig, "k", rig->own, &leader);
    enter(rig, "k", rig->other, &w[0]);
    flight = leader.waiter.flight;
    resolve_alone(rig, flight, true);
    enter(rig, "k", rig->own, &w[1]);
    for (size_t i = 0; i < 2; i++) {
        assert_false(flight_leave(rig->table, &w[i].waiter));
        assert_non_null(w[i].waiter.flight);
    }
    flight_unref(&leader.waiter.flight);
    owner_ends(rig, flight);
    turn(rig);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(w[i].results, 1);
        flight_unref(&w[i].waiter.flight);
    }
}

static void
forms_of_a_key_fly_apart_and_are_outdated_together(void **state)
{
    static const char *const forms[] = {"", "a", "b", "a"};
    struct rig *rig = *state;
    struct waiting w[6];

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(enter_form(rig, "k", forms[i], rig->own, &w[i]),
            i == 3 ? FLIGHT_JOINED : FLIGHT_OPENED);
    }
    enter(rig, "ka", rig->own, &w[4]);
    assert_ptr_equal(w[3].waiter.flight, w[1].waiter.flight);
    doom(rig, "k");
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(
            flight_is_outdated(rig->table, w[i].waiter.flight), i != 4);
    }
    assert_int_equal(enter_form(rig, "k", "a", rig->own, &w[5]), FLIGHT_OPENED);
    for (size_t i = 0; i < 6; i++) {
        struct flight *flight = w[i].waiter.flight;
        if (w[i].waiter.is_leader) {
            resolve_alone(rig, flight, false);
            owner_ends(rig, flight);
        }
    }
    turn(rig);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(w[i].results, 1);
        flight_unref(&w[i].waiter.flight);
    }
}

static void
an_outdated_flight_is_joined_no_more_and_tells_those_it_has(void **state)
{
    struct rig *rig = *state;
    struct waiting w[3];
    struct flight *outdated;
    struct flight *next;

    enter(rig, "k", rig->own, &w[0]);
    enter(rig, "k", rig->other, &w[1]);
    outdated = w[0].waiter.flight;
    assert_false(flight_is_outdated(rig->table, outdated));
    doom(rig, "other");
    assert_false(flight_is_outdated(rig->table, outdated));
    doom(rig, "k");
    assert_true(flight_is_outdated(rig->table, outdated));
    assert_int_equal(enter(rig, "k", rig->own, &w[2]), FLIGHT_OPENED);
    assert_int_equal(flight_table_len(rig->table), 1);
    next = w[2].waiter.flight;
    assert_false(flight_is_outdated(rig->table, next));
    /* It asks to stay open; it stays closed. */
    resolve_alone(rig, outdated, true);
    assert_int_equal(flight_table_len(rig->table), 1);
    turn(rig);
    assert_int_equal(w[0].results, 1);
    assert_int_equal(w[1].results, 1);
    assert_int_equal(w[2].results, 0);
    resolve_alone(rig, next, false);
    for (size_t i = 0; i < 3; i++) {
        flight_unref(&w[i].waiter.flight);
    }
    owner_ends(rig, outdated);
    owner_ends(rig, next);
}

static void
from_its_time_on_a_flight_is_joined_no_more(void **state)
{
    struct rig *rig = *state;
    struct waiting w[4];
    struct flight *flight;

    assert_int_equal(enter(rig, "k", rig->own, &w[0]), FLIGHT_OPENED);
    flight = w[0].waiter.flight;
    flight_join_until(flight, loop_now_ms(rig->own) + 10000);
    assert_int_equal(enter(rig, "k", rig->own, &w[1]), FLIGHT_JOINED);
    flight_join_until(flight, loop_now_ms(rig->own));
    assert_int_equal(enter(rig, "k", rig->own, &w[2]), FLIGHT_OPENED);
    assert_int_equal(enter(rig, "k", rig->own, &w[3]), FLIGHT_JOINED);
    assert_ptr_not_equal(w[2].waiter.flight, flight);
    assert_ptr_equal(w[3].waiter.flight, w[2].waiter.flight);

    /* Those it has are told all the same. */
    for (size_t i = 0; i < 4; i += 2) {
        resolve_alone(rig, w[i].waiter.flight, false);
        turn(rig);
        assert_int_equal(w[i].results, 1);
        assert_int_equal(w[i + 1].results, 1);
        flight_unref(&w[i + 1].waiter.flight);
        flight = w[i].waiter.flight;
        flight_unref(&w[i].waiter.flight);
        flight_unref(&flight);
    }
}

static void
a_full_table_refuses_new_keys_only(void **state)
{
    struct rig *rig = *state;
    struct waiting w[FLIGHTS_MAX + 2];
    char key[16];

    for (unsigned i = 0; i < FLIGHTS_MAX; i++) {
        snprintf(key, sizeof(key), "%u", i);
        assert_int_equal(enter(rig, key, rig->own, &w[i]), FLIGHT_OPENED);
    }
    assert_int_equal(
        enter(rig, "new", rig->own, &w[FLIGHTS_MAX]), FLIGHT_REFUSED);
    assert_null(w[FLIGHTS_MAX].waiter.flight);
    assert_int_equal(
        enter(rig, "7", rig->own, &w[FLIGHTS_MAX + 1]), FLIGHT_JOINED);
    flight_leave(rig->table, &w[FLIGHTS_MAX + 1].waiter);
    for (unsigned i = 0; i < FLIGHTS_MAX; i++) {
        struct flight *flight = w[i].waiter.flight;
        flight_leave(rig->table, &w[i].waiter);
        resolve_alone(rig, flight, false);
        owner_ends(rig, flight);
    }
    assert_int_equal(enter(rig, "new", rig->own, &w[0]), FLIGHT_OPENED);
    {
        struct flight *flight = w[0].waiter.flight;
        flight_leave(rig->table, &w[0].waiter);
        owner_ends(rig, flight);
    }
}

/* --- threads ----------------------------------------------------------- */

enum {
    ROUNDS = 3000,
};

struct racer {
    struct rig *rig;
    struct loop *loop;
    pthread_barrier_t *barrier;
    atomic_uint *opened; /* of each round */
    unsigned told_own;
    unsigned left_own;
    bool leaves;
};

/* Enters; the one that opened resolves, the other waits to be told, or
   leaves while that is under way. */
static void
race(struct racer *racer, unsigned round)
{
    struct waiting w;
    enum flight_entry entry = enter(racer->rig, "key", racer->loop, &w);
    struct flight *flight = w.waiter.flight;

    MUST(entry != FLIGHT_REFUSED);
    if (entry == FLIGHT_OPENED) {
        atomic_fetch_add(&racer->opened[round], 1);
        pthread_barrier_wait(racer->barrier);
        resolve_alone(racer->rig, flight, false);
    } else {
        pthread_barrier_wait(racer->barrier);
    }
    if (racer->leaves && flight_leave(racer->rig->table, &w.waiter)) {
        racer->left_own++;
        MUST(w.waiter.flight == NULL);
    } else {
        while (w.results == 0) {
            loop_turn(racer->loop, 100);
        }
        MUST(w.results == 1);
        racer->told_own++;
        flight_unref(&w.waiter.flight);
    }
    if (entry == FLIGHT_OPENED) {
        owner_ends(racer->rig, flight);
    }
    pthread_barrier_wait(racer->barrier);
}

static void *
racer_main(void *ctx)
{
    struct racer *racer = ctx;

    for (unsigned i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(racer->barrier);
        race(racer, i);
    }
    return NULL;
}

static void
run_races(struct rig *rig, bool leaves)
{
    atomic_uint *opened = calloc(ROUNDS, sizeof(*opened));
    pthread_barrier_t barrier;
    struct racer racers[2];
    pthread_t thread;

    pthread_barrier_init(&barrier, NULL, 2);
    for (size_t i = 0; i < 2; i++) {
        racers[i] = (struct racer){.rig = rig,
            .loop = i == 0 ? rig->own : rig->other,
            .barrier = &barrier,
            .opened = opened,
            .leaves = leaves};
    }
    pthread_create(&thread, NULL, racer_main, &racers[1]);
    racer_main(&racers[0]);
    pthread_join(thread, NULL);
    for (unsigned i = 0; i < ROUNDS; i++) {
        assert_int_equal(atomic_load(&opened[i]), 1);
    }
    assert_int_equal(racers[0].told_own + racers[0].left_own, ROUNDS);
    assert_int_equal(racers[1].told_own + racers[1].left_own, ROUNDS);
    assert_int_equal(flight_table_len(rig->table), 0);
    pthread_barrier_destroy(&barrier);
    free(opened);
}

static void
of_two_threads_that_enter_at_once_one_opens(void **state)
{
    run_races(*state, false);
}

static void
leaving_races_the_resolution_and_one_of_them_wins(void **state)
{
    run_races(*state, true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_up, rig_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_opens_and_the_others_join),
        TEST(keys_are_compared_to_the_last_byte),
        TEST(one_flown_alone_is_found_by_nobody),
        TEST(after_a_resolution_that_closes_the_next_one_opens),
        TEST(a_late_one_joins_an_open_fill),
        TEST(without_memory_no_flight_is_opened),
        TEST(who_waits_again_is_not_what_it_was),
        TEST(one_that_left_is_not_told),
        TEST(one_that_leaves_after_the_resolution_is_still_told),
        TEST(forms_of_a_key_fly_apart_and_are_outdated_together),
        TEST(an_outdated_flight_is_joined_no_more_and_tells_those_it_has),
        TEST(from_its_time_on_a_flight_is_joined_no_more),
        TEST(a_full_table_refuses_new_keys_only),
        TEST(of_two_threads_that_enter_at_once_one_opens),
        TEST(leaving_races_the_resolution_and_one_of_them_wins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
