/* What INFO says of where a server has its data from, and what follows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "nearside/base/check.h"
#include "redis/past.h"

#define NOW_MS INT64_C(1700000000000)
/* Forty characters of one letter. */
#define ID(c)                                                                  \
    SLICE(c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c  \
            c c c c c c)

/* Letters: the node, its run, its data, those it has taken over. */
struct row {
    struct slice node, run, replid, replid2;
    bool has_aof, has_loaded, is_late;
    int64_t up_s;
    bool is_restart;
    int64_t not_before_ms; /* before NOW_MS; INT64_MAX: nothing is refused */
};

#define ALL INT64_MAX

static int
given_past(void **state)
{
    *state = calloc(1, sizeof(struct past));
    return *state == NULL ? 1 : 0;
}

static int
past_over(void **state)
{
    free(*state);
    return 0;
}

static void
check(struct past *past, const struct row *row)
{
    const struct past_word word = {.run_id = row->run,
        .replid = row->replid,
        .replid2 = row->replid2,
        .has_aof = row->has_aof,
        .has_loaded = row->has_loaded,
        .started_ms = NOW_MS - row->up_s * 1000};
    struct past_finding finding =
        past_hear(past, row->node, &word, row->is_late, NOW_MS);

    assert_int_equal(finding.is_restart, row->is_restart);
    assert_int_equal(finding.not_before_ms,
        row->not_before_ms == ALL ? 0 : NOW_MS - row->not_before_ms);
}

static void
check_all(struct past *past, const struct row *rows, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        check(past, &rows[i]);
    }
}

#define CHECK(past, rows) check_all(past, rows, ARRAY_LEN(rows))

static void
info_says_where_the_data_are_from(void **state)
{
    struct past_word word;

    (void)state;
    past_read(
        SLICE("# Server\r\nrun_id:"
              "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
              "\r\nuptime_in_seconds:90\r\nrole:master\r\n"
              "aof_enabled:1\r\nrdb_last_load_keys_loaded:0\r\nloading:0\r\n"
              "master_replid:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n"
              "master_replid2:cccccccccccccccccccccccccccccccccccccccc\r\n"),
        NOW_MS, &word);
    assert_true(slice_eq(word.run_id, ID("a")));
    assert_true(slice_eq(word.replid, ID("b")));
    assert_true(slice_eq(word.replid2, ID("c")));
    assert_false(word.is_replica);
    assert_true(word.has_aof);
    assert_false(word.has_loaded);
    assert_int_equal(word.started_ms, NOW_MS - 90000);
    past_read(
        SLICE("loading:1\r\nrdb_last_load_keys_loaded:0\r\n"
              "master_replid2:0000000000000000000000000000000000000000\r\n"),
        NOW_MS, &word);
    assert_true(word.has_loaded);
    assert_int_equal(word.replid2.len, 0);
    /* Redis 6 does not say what it has loaded. */
    past_read(SLICE("role:slave\r\naof_enabled:0\r\n"), NOW_MS, &word);
    assert_int_equal(word.run_id.len, 0);
    assert_true(word.is_replica);
    assert_false(word.has_aof);
    assert_true(word.has_loaded);
}

static void
what_is_older_than_a_server_without_an_aof_may_be_of_a_snapshot(void **state)
{
    const struct row rows[] = {
        /* Heard for the first time: it was started before us. */
        {ID("1"), ID("a"), ID("A"), SLICE(""), false, true, false, 90, false,
            88000},
        {ID("1"), ID("a"), ID("A"), SLICE(""), false, true, false, 95, false,
            88000},
        {ID("1"), ID("b"), ID("B"), ID("A"), false, true, false, 3, true, 1000},
        /* A later AOF holds what the snapshot had brought. */
        {ID("1"), ID("c"), ID("C"), SLICE(""), true, true, false, 1, true,
            1000},
        {ID("2"), ID("d"), ID("D"), SLICE(""), true, true, false, 90, false,
            ALL},
        {ID("3"), ID("e"), ID("E"), SLICE(""), false, false, false, 90, false,
            ALL},
        {ID("3"), ID("f"), ID("F"), SLICE(""), false, false, false, 1, true,
            ALL},
    };

    CHECK(*state, rows);
}

static void
a_promoted_replica_has_what_its_primary_had(void **state)
{
    const struct row rows[] = {
        {ID("1"), ID("a"), ID("A"), SLICE(""), false, false, false, 90, false,
            ALL},
        {ID("2"), ID("b"), ID("B"), ID("A"), false, true, true, 5, false, ALL},
        /* And back: it was started again as a replica meanwhile. */
        {ID("1"), ID("c"), ID("C"), ID("B"), false, true, true, 3, true, ALL},
    };

    CHECK(*state, rows);
}

/* Redis names the data of its snapshot as those that it has taken over. */
static void
a_snapshot_of_what_another_had_is_one_all_the_same(void **state)
{
    const struct row rows[] = {
        {ID("1"), ID("a"), ID("A"), SLICE(""), false, false, false, 90, false,
            ALL},
        {ID("2"), ID("b"), ID("B"), ID("A"), false, true, true, 50, false, ALL},
        /* Made when it was a replica of the first. */
        {ID("2"), ID("c"), ID("C"), ID("A"), false, true, true, 5, true, -2000},
    };

    CHECK(*state, rows);
}

/* Its primary may have come back from a snapshot, unseen, before. */
static void
an_heir_of_nobody_we_know_is_not_believed(void **state)
{
    const struct row rows[] = {
        {ID("1"), ID("a"), ID("A"), SLICE(""), false, false, false, 90, false,
            ALL},
        {ID("2"), ID("b"), ID("B"), ID("X"), false, true, true, 500, false,
            -2000},
        /* New, and filled by commands alone. */
        {ID("3"), ID("c"), ID("C"), SLICE(""), false, false, true, 500, false,
            ALL},
    };

    CHECK(*state, rows);
}

/* The same process was a replica of somebody for a while. */
static void
who_has_taken_over_anew_is_judged_anew(void **state)
{
    const struct row rows[] = {
        {ID("1"), ID("a"), ID("A"), SLICE(""), false, false, false, 90, false,
            ALL},
        {ID("2"), ID("b"), ID("B"), ID("A"), false, true, true, 50, false, ALL},
        {ID("1"), ID("a"), ID("C"), ID("B"), false, true, true, 99, false, ALL},
        {ID("1"), ID("a"), ID("D"), ID("X"), true, true, true, 99, false,
            -2000},
        /* Those that the first had from the second were known once. */
        {ID("1"), ID("c"), ID("E"), ID("B"), false, true, true, 9, true, -2000},
    };

    CHECK(*state, rows);
}

static void
data_that_were_renamed_meanwhile_are_known(void **state)
{
    const struct row rows[] = {
        {ID("1"), ID("a"), ID("A"), SLICE(""), false, false, false, 90, false,
            ALL},
        {ID("1"), ID("a"), ID("B"), SLICE(""), false, false, false, 3690, false,
            ALL},
        {ID("2"), ID("b"), ID("C"), ID("B"), false, true, true, 5, false, ALL},
    };

    CHECK(*state, rows);
}

static void
a_server_that_does_not_say_who_it_is_is_not_remembered(void **state)
{
    const struct row row = {.node = ID("1"),
        .run = SLICE(""),
        .replid = ID("A"),
        .replid2 = SLICE(""),
        .has_loaded = true,
        .not_before_ms = ALL};
    struct past *past = *state;

    check(past, &row);
    assert_int_equal(past->len, 0);
}

static void
of_too_many_servers_the_oldest_is_forgotten(void **state)
{
    struct past *past = *state;
    struct row row = {.run = ID("a"),
        .replid = ID("A"),
        .replid2 = SLICE(""),
        .not_before_ms = ALL};
    char id[16];

    for (unsigned i = 0; i < PAST_SERVERS_MAX + 3; i++) {
        row.node = slice_of(id, (size_t)snprintf(id, sizeof(id), "node%u", i));
        check(past, &row);
    }
    assert_int_equal(past->len, PAST_SERVERS_MAX);
    row.run = ID("b");
    row.node = SLICE("node2"); /* gone, and so no restart */
    check(past, &row);
    row.node = SLICE("node4");
    row.is_restart = true;
    check(past, &row);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, given_past, past_over)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(info_says_where_the_data_are_from),
        TEST(what_is_older_than_a_server_without_an_aof_may_be_of_a_snapshot),
        TEST(a_promoted_replica_has_what_its_primary_had),
        TEST(a_snapshot_of_what_another_had_is_one_all_the_same),
        TEST(an_heir_of_nobody_we_know_is_not_believed),
        TEST(who_has_taken_over_anew_is_judged_anew),
        TEST(data_that_were_renamed_meanwhile_are_known),
        TEST(a_server_that_does_not_say_who_it_is_is_not_remembered),
        TEST(of_too_many_servers_the_oldest_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
