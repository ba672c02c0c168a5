/*
 * A flight's run (flight_run.c, flight_lookup.c, flight_fetch.c,
 * flight_store.c, flight_lease.c, flight_end.c) between a real Redis and an
 * origin whose answers the test writes by hand. What those who wait are told,
 * and what is left in Redis.
 */
#include "collapse_given.h"

/* --- lookup ------------------------------------------------------------ */

static void
a_fresh_entry_is_told_and_the_origin_is_not_asked(void **state)
{
    struct bench b;
    struct question *q;
    struct value value;
    struct waiting w;

    (void)state;
    bench_up(&b);
    q = given_question(&b.g.asking, "GET /a", "");
    value = given_value(&b.g, q, "body", 60000);
    given_stored(&b.g, q, value_slice(&value));
    value_free(&value);
    fly(&b, q, &w);
    await_told(&b, &w);
    assert_int_equal(w.result.outcome, FLIGHT_ENTRY);
    assert_true(slice_eq(entry_body(w.result.entry), SLICE("body")));
    assert_false(w.result.is_stale);
    assert_string_equal(lease_of(&b.g, q), "");
    assert_false(was_asked(&b));
    await_no_run(&b);
    asked_over(&b, &q, &w);
}

/* It is looked for again and again, until it is there or its lease is free. */
static void
one_who_finds_the_lease_taken_waits_for_the_entry(void **state)
{
    struct bench b;
    struct question *q;
    struct value value;
    struct waiting w;

    (void)state;
    bench_up(&b);
    q = given_question(&b.g.asking, "GET /a", "");
    given_lease(&b.g, q, SLICE("another's"));
    fly(&b, q, &w);
    assert_false(was_asked(&b));
    assert_int_equal(w.times, 0);
    value = given_value(&b.g, q, "body", 60000);
    given_stored(&b.g, q, value_slice(&value));
    value_free(&value);
    await_told(&b, &w);
    assert_int_equal(w.result.outcome, FLIGHT_ENTRY);
    assert_false(was_asked(&b));
    assert_string_equal(lease_of(&b.g, q), "another's");
    await_no_run(&b);
    asked_over(&b, &q, &w);
}

/* Whatever Redis says of the key, the lease is not asked for after it, and
   nothing takes the place of what lies there. */
static void
after_a_lookup_that_fails_nothing_is_stored(void **state)
{
    struct bench b;
    struct question *q;
    struct waiting w;
    char out[16];

    (void)state;
    bench_up(&b);
    q = given_question(&b.g.asking, "GET /a", "");
    assert_true(ask(b.g.server, out, sizeof(out), "RPUSH %b x",
        q->entry_key.ptr, q->entry_key.len));
    fly(&b, q, &w);
    await_request(&b);
    assert_string_equal(lease_of(&b.g, q), "");
    say(&b, "200 OK", FRESH, "new");
    await_told(&b, &w);
    assert_int_equal(w.result.outcome, FLIGHT_FILL);
    assert_false(w.result.is_stored);
    await_no_run(&b);
    assert_true(ask(b.g.server, out, sizeof(out), "LLEN %b", q->entry_key.ptr,
        q->entry_key.len));
    assert_string_equal(out, "1");
    asked_over(&b, &q, &w);
}

/* --- fetch and store --------------------------------------------------- */

static void
what_the_origin_says_is_told_and_stored_under_the_lease(void **state)
{
    struct bench b;
    struct question *q;
    struct waiting w;
    struct waiting late;

    (void)state;
    q = given_asked(&b, &w);
    assert_string_not_equal(lease_of(&b.g, q), "");
    assert_int_equal(enter(&b, q, &late), FLIGHT_JOINED);
    say(&b, "200 OK", FRESH, "new");
    await_told(&b, &w);
    await_told(&b, &late);
    assert_int_equal(w.result.outcome, FLIGHT_FILL);
    assert_true(w.result.is_stored);
    assert_false(w.result.is_private);
    assert_ptr_equal(w.result.fill, late.result.fill);
    await_no_run(&b);
    assert_stored(&b.g, q, "new");
    assert_string_equal(lease_of(&b.g, q), "");
    waiting_over(&w);
    waiting_over(&late);
    question_unref(&q);
    bench_down(&b);
}

/* By this process, or by another that has deleted the lease. */
static void
what_was_fetched_before_a_write_is_not_stored(void **state)
{
    (void)state;
    for (int is_own = 0; is_own < 2; is_own++) {
        struct bench b;
        struct question *q;
        struct waiting w;
        struct waiting late;
        char key[256];
        char out[16];

        q = given_asked(&b, &w);
        if (is_own) {
            written_mark(b.g.worker.tier->written, q->key.hash);
        } else {
            assert_true(ask(b.g.server, out, sizeof(out), "DEL %b",
                lease_key(q, key).ptr, q->entry_key.len));
        }
        say(&b, "200 OK", FRESH, "old");
        await_told(&b, &w);
        if (is_own) { /* nor is it given to whoever comes now */
            struct flight *own;

            assert_int_equal(enter(&b, q, &late), FLIGHT_OPENED);
            own = late.waiter.flight;
            flight_resolve(b.collapse.flights, own,
                &(struct flight_result){.outcome = FLIGHT_ALONE}, false);
            flight_unref(&own);
        }
        await_no_run(&b);
        assert_stored(&b.g, q, NULL);
        assert_string_equal(lease_of(&b.g, q), "");
        asked_over(&b, &q, &w);
    }
}

/* A targeted field is for us alone (RFC 9213): it is kept, not delivered. */
static void
a_targeted_field_is_a_private_one(void **state)
{
    static const struct slice targeted = {"cdn-cache-control", 17};
    const struct response_head *head;
    struct bench b;
    struct question *q;
    struct entry *stored;
    struct waiting w;

    (void)state;
    bench_up(&b);
    b.g.asking.route.targeted = &targeted;
    b.g.asking.route.targeted_len = 1;
    q = given_question(&b.g.asking, "GET /a", "");
    fly(&b, q, &w);
    await_request(&b);
    say(&b, "200 OK", "CDN-Cache-Control: max-age=60\r\nX-A: b\r\n", "new");
    await_told(&b, &w);
    head = fill_head(w.result.fill);
    assert_true(slice_eq(
        head->private_fields, SLICE("cdn-cache-control: max-age=60\r\n")));
    assert_false(slice_starts(head->fields, SLICE("cdn")));
    await_no_run(&b);
    stored = entry_of(&b.g, q);
    assert_non_null(stored);
    assert_true(slice_eq(entry_private(stored), head->private_fields));
    entry_unref(&stored);
    asked_over(&b, &q, &w);
}

/* At its head already: the body is still to come. */
static void
what_may_not_be_stored_leaves_a_hit_for_miss_entry(void **state)
{
    struct bench b;
    struct question *q;
    struct entry *stored;
    struct waiting w;
    const char head[] = "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n"
                        "Content-Length: 4\r\n\r\n";

    (void)state;
    q = given_asked(&b, &w);
    assert_int_equal(write(b.fd, head, strlen(head)), strlen(head));
    await_told(&b, &w);
    assert_int_equal(w.result.outcome, FLIGHT_FILL);
    assert_true(w.result.is_private);
    assert_false(w.result.is_stored);
    AWAIT(&b.g.rig, list_is_empty(&b.g.worker.tier->stores));
    assert_string_equal(lease_of(&b.g, q), "");
    stored = entry_of(&b.g, q);
    assert_non_null(stored);
    assert_int_equal(stored->flags, ENTRY_HIT_FOR_MISS);
    assert_int_equal(flight_table_len(b.collapse.flights), 0);
    assert_false(list_is_empty(&b.g.worker.collapse->runs));
    assert_int_equal(write(b.fd, "body", 4), 4);
    await_no_run(&b);
    entry_unref(&stored);
    asked_over(&b, &q, &w);
}

static void
a_response_that_varies_is_stored_with_a_record(void **state)
{
    struct bench b;
    struct question *q;
    struct question *variant;
    struct entry *record;
    struct waiting w;

    (void)state;
    bench_up(&b);
    q = given_question(&b.g.asking, "GET /a", "Accept: a\r\n");
    fly(&b, q, &w);
    await_request(&b);
    say(&b, "200 OK", FRESH "Vary: Accept\r\n", "new");
    await_told(&b, &w);
    assert_non_null(w.result.record);
    await_no_run(&b);
    record = entry_of(&b.g, q);
    assert_non_null(record);
    assert_int_equal(record->flags, ENTRY_VARY_RECORD);
    assert_int_equal(question_vary(q, record, &variant), RC_OK);
    assert_true(
        slice_eq(variant->key.variant, slice_of(w.result.variant, DIGEST_LEN)));
    assert_stored(&b.g, variant, "new");
    assert_string_equal(lease_of(&b.g, q), "");
    entry_unref(&record);
    waiting_over(&w);
    question_unref(&variant);
    question_unref(&q);
    bench_down(&b);
}

/* --- validation -------------------------------------------------------- */

static void
a_304_renews_the_stale_entry(void **state)
{
    struct bench b;
    struct question *q;
    struct waiting w;
    struct entry *stored;

    (void)state;
    bench_up(&b);
    q = given_stale(&b);
    fly(&b, q, &w);
    await_request(&b);
    assert_non_null(strcasestr(b.request, "if-none-match: \"v1\"\r\n"));
    say(&b, "304 Same", FRESH "ETag: \"v1\"\r\n", "");
    await_told(&b, &w);
    assert_int_equal(w.result.outcome, FLIGHT_ENTRY);
    assert_true(w.result.is_validated);
    assert_true(w.result.is_stored);
    assert_true(slice_eq(entry_body(w.result.entry), SLICE("body")));
    await_no_run(&b);
    stored = entry_of(&b.g, q);
    assert_true(stored->fresh_until_ms > worker_wall_ms(&b.g.worker) + 30000);
    assert_string_equal(lease_of(&b.g, q), "");
    entry_unref(&stored);
    asked_over(&b, &q, &w);
}

/* Redis falls silent once the stale entry is found, so the lease and the second
   look behind it fail. The origin is asked all the same, and nothing is stored,
   since nobody knows who has the lease. */
static void
a_renewal_outlives_a_redis_that_falls_silent(void **state)
{
    struct bench b;
    struct question *q;
    struct waiting w;
    struct entry *stored;

    (void)state;
    bench_up_with(&b, 1000);
    q = given_renewable(&b);
    fly(&b, q, &w);
    w.stops = b.g.server;
    await_told(&b, &w);
    assert_int_equal(w.result.outcome, FLIGHT_ENTRY);
    assert_true(w.result.is_stale);
    await_request(&b);
    kill(b.g.server->pid, SIGCONT);
    say(&b, "304 Same", FRESH "ETag: \"v1\"\r\n", "");
    await_no_run(&b);
    stored = entry_of(&b.g, q);
    assert_true(stored->fresh_until_ms < worker_wall_ms(&b.g.worker));
    assert_string_equal(lease_of(&b.g, q), "");
    entry_unref(&stored);
    asked_over(&b, &q, &w);
}

static void
a_304_about_something_else_is_asked_once_more_without_validators(void **state)
{
    struct bench b;
    struct question *q;
    struct waiting w;

    (void)state;
    bench_up(&b);
    q = given_stale(&b);
    fly(&b, q, &w);
    await_request(&b);
    say(&b, "304 Same", FRESH "ETag: \"v2\"\r\n", "");
    close(b.fd); /* the pool does not keep what was cancelled */
    b.fd = -1;
    await_request(&b);
    assert_null(strcasestr(b.request, "if-none-match"));
    say(&b, "304 Same", FRESH "ETag: \"v2\"\r\n", "");
    await_told(&b, &w);
    assert_int_equal(w.result.outcome, FLIGHT_ERROR);
    assert_true(w.result.is_private);
    await_no_run(&b);
    assert_stored(&b.g, q, "body");
    assert_string_equal(lease_of(&b.g, q), "");
    asked_over(&b, &q, &w);
}

/* It stands in only where that is allowed, and stays what it is. */
static void
a_stale_entry_stands_in_when_the_origin_fails(void **state)
{
    (void)state;
    for (int grace = 0; grace < 2; grace++) {
        struct bench b;
        struct question *q;
        struct waiting w;

        bench_up(&b);
        b.g.asking.route.grace_ms = grace * 60000;
        q = given_stale(&b);
        fly(&b, q, &w);
        await_request(&b);
        say(&b, "503 Down", "", "sorry");
        await_told(&b, &w);
        assert_int_equal(w.result.outcome, grace ? FLIGHT_ENTRY : FLIGHT_FILL);
        assert_int_equal(w.result.is_substitute, grace);
        await_no_run(&b);
        assert_stored(&b.g, q, "body");
        assert_string_equal(lease_of(&b.g, q), "");
        asked_over(&b, &q, &w);
    }
}

/* An error that could be stored, but for the stale entry that it must not
   displace, is not kept either: nobody reads it, so the rest of it, which never
   comes, is not waited for. */
static void
what_says_nothing_of_the_target_is_kept_for_no_store(void **state)
{
    static const char head[] = "HTTP/1.1 503 Down\r\n" FRESH
                               "Content-Length: 100\r\n\r\nthe first bytes";
    struct bench b;
    struct question *q;
    struct waiting w;

    (void)state;
    bench_up(&b);
    b.g.asking.route.is_rfc = true; /* stores a 503 that says how long */
    b.g.asking.route.grace_ms = 0;
    q = given_stale(&b);
    fly(&b, q, &w);
    await_request(&b);
    assert_int_equal(write(b.fd, head, sizeof(head) - 1), sizeof(head) - 1);
    await_told(&b, &w);
    assert_int_equal(w.result.outcome, FLIGHT_FILL);
    assert_false(w.result.is_private);
    await_no_run(&b);
    assert_stored(&b.g, q, "body");
    waiting_over(&w);
    question_unref(&q);
    bench_down(&b);
}

/* What the route gives counts from when the answer came, not from when it was
   asked for: a slow origin's answer is not stored for less. */
static void
the_lifetime_that_a_route_gives_begins_with_the_answer(void **state)
{
    struct bench b;
    struct question *q;
    struct waiting w;
    int64_t asked_ms;

    (void)state;
    bench_up(&b);
    b.g.asking.route.ttl_ms = 60000;
    q = given_question(&b.g.asking, "GET /a", "");
    fly(&b, q, &w);
    await_request(&b);
    asked_ms = worker_wall_ms(&b.g.worker);
    AWAIT(&b.g.rig, worker_wall_ms(&b.g.worker) >= asked_ms + 20);
    say(&b, "200 OK", "", "new");
    await_told(&b, &w);
    assert_in_range(w.result.fresh_until_ms, asked_ms + 20 + 60000, INT64_MAX);
    await_no_run(&b);
    asked_over(&b, &q, &w);
}

/* Redis is slow: the reply to the renewal comes when the lease has been given
   back already, while the body goes on to who reads it. */
static void
a_lease_given_back_is_renewed_no_more(void **state)
{
    static const char head[] = "HTTP/1.1 429 Slow Down\r\n"
                               "Content-Length: 4\r\n\r\n";
    struct bench b;
    struct question *q;
    struct waiting w;
    struct fill_reader reader = {0};
    struct flight_run *run;
    struct iovec iov;
    char out[64];

    (void)state;
    q = given_asked(&b, &w);
    run = CONTAINER_OF(b.g.worker.collapse->runs.next, struct flight_run, link);
    assert_true(ask(b.g.server, out, sizeof(out), "CLIENT PAUSE 1000 ALL"));
    AWAIT(&b.g.rig, redis_call_is_active(&run->lease->call));
    assert_int_equal(write(b.fd, head, sizeof(head) - 1), sizeof(head) - 1);
    while (w.times == 0) {
        loop_turn(b.g.rig.loop, 10);
    }
    assert_int_equal(fill_join(w.result.fill, b.g.rig.loop, &reader), RC_OK);
    AWAIT(&b.g.rig, list_is_empty(&b.g.worker.tier->stores));
    assert_string_equal(lease_of(&b.g, q), "");
    assert_int_equal(write(b.fd, "slow", 4), 4);
    await_no_run(&b);
    assert_int_equal(fill_state(w.result.fill), FILL_COMPLETE);
    assert_int_equal(fill_peek(&reader, &iov, 1), 1);
    assert_int_equal(iov.iov_len, 4);
    fill_leave(&reader);
    asked_over(&b, &q, &w);
}

/* --- ends -------------------------------------------------------------- */

/* All who wait are told when the origin cannot be reached at all; only the
   leader is when it was asked and failed. */
static void
a_failure_gives_the_lease_back(void **state)
{
    (void)state;
    for (int was_sent = 0; was_sent < 2; was_sent++) {
        struct bench b;
        struct question *q;
        struct waiting w;

        bench_up(&b);
        q = given_question(&b.g.asking, "GET /a", "");
        if (!was_sent) {
            close(b.listen_fd);
            b.listen_fd = -1;
        }
        fly(&b, q, &w);
        if (was_sent) {
            await_request(&b);
            assert_int_equal(write(b.fd, "nonsense\r\n\r\n", 12), 12);
        }
        await_told(&b, &w);
        assert_int_equal(w.result.outcome, FLIGHT_ERROR);
        assert_int_equal(w.result.is_private, was_sent);
        await_no_run(&b);
        assert_string_equal(lease_of(&b.g, q), "");
        question_unref(&q);
        bench_down(&b);
    }
}

/* Some wait for Redis, some for the origin, and one for a body. */
static void
a_worker_that_ends_tells_all_who_wait(void **state)
{
    static const char *const lines[] = {"GET /a", "GET /b", "GET /c"};
    struct bench b;
    struct question *q[3];
    struct waiting w[3];
    const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";

    (void)state;
    bench_up(&b);
    for (int i = 0; i < 3; i++) {
        q[i] = given_question(&b.g.asking, lines[i], "");
        fly(&b, q[i], &w[i]);
        if (i == 0) {
            await_request(&b);
            assert_int_equal(write(b.fd, head, strlen(head)), strlen(head));
            await_told(&b, &w[0]);
        }
        if (i == 1) {
            was_asked(&b);
        }
    }
    flight_runs_free(&b.g.worker);
    assert_int_equal(w[0].result.outcome, FLIGHT_FILL);
    assert_int_equal(fill_state(w[0].result.fill), FILL_FAILED);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(w[i].times, 1);
        assert_true(i == 0 || w[i].result.outcome == FLIGHT_ALONE);
        waiting_over(&w[i]);
        question_unref(&q[i]);
    }
    await_no_run(&b);
    bench_down(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_fresh_entry_is_told_and_the_origin_is_not_asked),
        TEST(one_who_finds_the_lease_taken_waits_for_the_entry),
        TEST(after_a_lookup_that_fails_nothing_is_stored),
        TEST(what_the_origin_says_is_told_and_stored_under_the_lease),
        TEST(a_targeted_field_is_a_private_one),
        TEST(what_was_fetched_before_a_write_is_not_stored),
        TEST(what_may_not_be_stored_leaves_a_hit_for_miss_entry),
        TEST(a_response_that_varies_is_stored_with_a_record),
        TEST(a_304_renews_the_stale_entry),
        TEST(a_renewal_outlives_a_redis_that_falls_silent),
        TEST(a_304_about_something_else_is_asked_once_more_without_validators),
        TEST(a_stale_entry_stands_in_when_the_origin_fails),
        TEST(what_says_nothing_of_the_target_is_kept_for_no_store),
        TEST(the_lifetime_that_a_route_gives_begins_with_the_answer),
        TEST(a_lease_given_back_is_renewed_no_more),
        TEST(a_failure_gives_the_lease_back),
        TEST(a_worker_that_ends_tells_all_who_wait),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
