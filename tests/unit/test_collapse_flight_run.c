/*
 * A flight's run (flight_run.c, flight_lookup.c, flight_fetch.c,
 * flight_store.c, flight_lease.c, flight_end.c) between a real Redis and an
 * origin whose answers the test writes by hand. What those who wait are told,
 * and what is left in Redis.
 */
#include "collapse_given.h"

#include "nearside/redis/slot.h"
#include "redis/pool.h"

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
    AWAIT(&b.g.rig, nothing_is_sent(&b.g.worker));
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
    assert_true(
        entry_fresh_until_ms(stored) > worker_wall_ms(&b.g.worker) + 30000);
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
    assert_true(entry_fresh_until_ms(stored) < worker_wall_ms(&b.g.worker));
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
    AWAIT(&b.g.rig, nothing_is_sent(&b.g.worker));
    assert_string_equal(lease_of(&b.g, q), "");
    assert_int_equal(write(b.fd, "slow", 4), 4);
    await_no_run(&b);
    assert_int_equal(fill_state(w.result.fill), FILL_COMPLETE);
    assert_int_equal(fill_peek(&reader, &iov, 1), 1);
    assert_int_equal(iov.iov_len, 4);
    fill_leave(&reader);
    asked_over(&b, &q, &w);
}

/* --- what becomes of a lease ------------------------------------------- */

/* Its timer, without the time that it would take. */
static void
fire(struct flight_run *run)
{
    assert_true(loop_timer_is_armed(&run->timer));
    loop_timer_cancel(&run->timer);
    run->timer.fire(run->timer.ctx);
}

static struct flight_run *
first_run(struct bench *b)
{
    return CONTAINER_OF(
        list_first(&b->g.worker.collapse->runs), struct flight_run, link);
}

/* Each renewal gives it three seconds more, and another one follows, until it
   is gone. Then nobody joins, and what comes is not stored. */
static void
a_lease_is_renewed_again_and_again_until_it_is_lost(void **state)
{
    struct bench b;
    struct question *q;
    struct waiting w;
    char key[256];
    char out[16];

    (void)state;
    q = given_asked(&b, &w);
    for (int i = 0; i < 3; i++) {
        assert_true(ask(b.g.server, out, sizeof(out), "PEXPIRE %b 1500",
            lease_key(q, key).ptr, q->entry_key.len));
        fire(first_run(&b));
        AWAIT(&b.g.rig, loop_timer_is_armed(&first_run(&b)->timer));
        assert_in_range(pttl_of(&b.g, lease_key(q, key)), 2000, 3000);
        assert_int_equal(flight_table_len(b.collapse.flights), 1);
    }
    assert_true(ask(b.g.server, out, sizeof(out), "DEL %b",
        lease_key(q, key).ptr, q->entry_key.len));
    fire(first_run(&b));
    AWAIT(&b.g.rig, flight_table_len(b.collapse.flights) == 0);
    assert_false(loop_timer_is_armed(&first_run(&b)->timer));
    say(&b, "200 OK", FRESH, "old");
    await_told(&b, &w);
    assert_false(w.result.is_stored);
    await_no_run(&b);
    assert_stored(&b.g, q, NULL);
    asked_over(&b, &q, &w);
}

/* As long as one that has lost its lease may be: half a second. */
static void
a_fetch_without_a_lease_is_soon_joined_by_nobody(void **state)
{
    struct bench b;
    struct question *q;
    struct waiting w;
    struct waiting late;

    (void)state;
    bench_up(&b);
    q = given_question(&b.g.asking, "GET /a", "");
    given_lease(&b.g, q, SLICE("another's"));
    assert_int_equal(enter(&b, q, &w), FLIGHT_OPENED);
    flight_run_start(&b.g.worker, q, w.waiter.flight,
        &(struct flight_run_opts){.wait_until_ms = 1});
    await_request(&b);
    assert_int_equal(limited(&b.g, LIMIT_FLIGHT_WAIT), 1);
    assert_int_equal(enter(&b, q, &late), FLIGHT_JOINED);
    assert_in_range(first_run(&b)->timer.deadline_ms,
        worker_now_ms(&b.g.worker) + 1, worker_now_ms(&b.g.worker) + 500);
    fire(first_run(&b));
    assert_int_equal(flight_table_len(b.collapse.flights), 0);
    say(&b, "200 OK", FRESH, "new");
    await_told(&b, &w);
    await_told(&b, &late);
    assert_int_equal(late.result.outcome, FLIGHT_FILL);
    assert_false(w.result.is_stored);
    await_no_run(&b);
    assert_stored(&b.g, q, NULL);
    assert_string_equal(lease_of(&b.g, q), "another's");
    waiting_over(&late);
    asked_over(&b, &q, &w);
}

/* Unless it was told how long: flight_wait. A large value that is stale is
   looked for less often, since each look brings it again. */
static void
who_waits_for_anothers_fetch_waits_so_long_and_not_longer(void **state)
{
    static char large[1 << 20];
    struct bench b;
    struct question *q;
    struct value value;
    struct waiting w;
    int64_t begun_ms;

    (void)state;
    bench_up(&b);
    begun_ms = worker_now_ms(&b.g.worker);
    b.g.worker.conf->opts.limits.flight_wait_ms = 30000;
    q = given_question(&b.g.asking, "GET /a", "");
    memset(large, 'x', sizeof(large) - 1);
    value = given_value(&b.g, q, large, -1);
    given_stored(&b.g, q, value_slice(&value));
    value_free(&value);
    given_lease(&b.g, q, SLICE("another's"));
    assert_int_equal(enter(&b, q, &w), FLIGHT_OPENED);
    flight_run_start(
        &b.g.worker, q, w.waiter.flight, &(struct flight_run_opts){0});
    assert_int_equal(
        first_run(&b)->wait_until_ms, worker_now_ms(&b.g.worker) + 30000);
    AWAIT(&b.g.rig, loop_timer_is_armed(&first_run(&b)->timer));
    assert_true(first_run(&b)->timer.deadline_ms >= begun_ms + 15 + 64);
    flight_runs_free(&b.g.worker);
    assert_int_equal(w.result.outcome, FLIGHT_ALONE);
    asked_over(&b, &q, &w);
}

/* A write has deleted what was found, while another's lease kept the fetch. */
static void
what_has_gone_meanwhile_is_not_validated(void **state)
{
    struct bench b;
    struct question *q;
    struct value value;
    struct waiting w;
    int64_t px_ms;
    char key[256];
    char out[16];

    (void)state;
    bench_up(&b);
    q = given_stale(&b);
    given_lease(&b.g, q, SLICE("another's"));
    fly(&b, q, &w);
    AWAIT(&b.g.rig, first_run(&b)->lease_state == LEASE_TAKEN);
    assert_non_null(first_run(&b)->stale);
    assert_int_equal(encode_hit_for_miss(&q->key, "why",
                         worker_wall_ms(&b.g.worker) - 60000, &value, &px_ms),
        RC_OK);
    given_stored(&b.g, q, value_slice(&value));
    value_free(&value);
    assert_true(ask(b.g.server, out, sizeof(out), "DEL %b",
        lease_key(q, key).ptr, q->entry_key.len));
    await_request(&b);
    assert_null(strcasestr(b.request, "if-none-match"));
    say(&b, "200 OK", FRESH, "new");
    await_told(&b, &w);
    assert_false(w.result.is_stale_fetch);
    await_no_run(&b);
    assert_stored(&b.g, q, "new");
    asked_over(&b, &q, &w);
}

/* Its node runs none, as was seen just now. */
static void
without_scripts(struct bench *b, const struct question *q)
{
    const struct contact *contact =
        pool_owner(b->g.rig.client, slot_of(q->entry_key));

    assert_non_null(contact);
    node_script_failed(
        contact->node, worker_now_ms(&b->g.worker) + 60000, false);
}

/* Nobody waits for a renewal, and one that could not be stored is of no use:
   the origin is not asked. */
static void
in_the_background_nothing_is_fetched_that_cannot_be_stored(void **state)
{
    (void)state;
    for (int is_taken = 0; is_taken < 2; is_taken++) {
        struct bench b;
        struct question *q;
        struct waiting w;

        bench_up(&b);
        q = given_renewable(&b);
        if (is_taken) {
            given_lease(&b.g, q, SLICE("another's"));
        }
        if (!is_taken) {
            without_scripts(&b, q);
        }
        fly(&b, q, &w);
        await_told(&b, &w);
        assert_int_equal(w.result.outcome, FLIGHT_ENTRY);
        assert_true(w.result.is_stale);
        await_no_run(&b);
        assert_false(was_asked(&b));
        assert_string_equal(lease_of(&b.g, q), is_taken ? "another's" : "");
        asked_over(&b, &q, &w);
    }
}

/* Where no scripts are run, a lease would only keep others waiting. */
static void
what_cannot_be_stored_is_fetched_without_a_lease(void **state)
{
    struct bench b;
    struct question *q;
    struct waiting w;

    (void)state;
    bench_up(&b);
    q = given_question(&b.g.asking, "GET /a", "");
    without_scripts(&b, q);
    fly(&b, q, &w);
    await_request(&b);
    assert_string_equal(lease_of(&b.g, q), "");
    say(&b, "200 OK", FRESH, "new");
    await_told(&b, &w);
    assert_int_equal(w.result.outcome, FLIGHT_FILL);
    assert_false(w.result.is_stored);
    await_no_run(&b);
    assert_stored(&b.g, q, NULL);
    asked_over(&b, &q, &w);
}

/* --- floods, and what grows -------------------------------------------- */

/* One flight more; was its key kept out? */
static bool
is_kept_out(struct bench *b, struct question *q)
{
    int64_t before = limited(&b->g, LIMIT_NEW_KEYS);
    struct waiting w;
    bool is_out;

    fly(b, q, &w);
    await_request(b);
    is_out = limited(&b->g, LIMIT_NEW_KEYS) > before;
    assert_int_equal(lease_of(&b->g, q)[0] == '\0', is_out);
    say(b, "200 OK", FRESH, "new");
    await_told(b, &w);
    assert_int_equal(w.result.is_stored, !is_out);
    await_no_run(b);
    assert_stored(&b->g, q, is_out ? NULL : "new");
    waiting_over(&w);
    question_unref(&q);
    return is_out;
}

/* One a second here. What is stored already is no new key, and is renewed all
   the same. */
static void
new_keys_beyond_the_limit_cost_redis_nothing(void **state)
{
    struct bench b;
    bool is_out = false;

    (void)state;
    bench_up(&b);
    collapse_fini(&b.collapse);
    assert_int_equal(
        collapse_init(&b.collapse, 100, 1, b.g.worker.tier->written), RC_OK);
    collapse_worker_init(&b.collapse_worker, &b.collapse, &b.g.worker);
    for (int i = 0; !is_out; i++) {
        char line[32];

        assert_true(i < 100);
        snprintf(line, sizeof(line), "GET /%d", i);
        is_out =
            is_kept_out(&b, given_question(&b.g.asking, line, "")) && i > 0;
    }
    assert_false(is_kept_out(&b, given_stale(&b)));
    bench_down(&b);
}

/* Its length is not known before. What has come is read on by those who have
   it; nobody else waits for the rest. */
static void
one_that_outgrows_the_limit_is_for_nobody_else(void **state)
{
    static const char head[] =
        "HTTP/1.1 200 OK\r\n" FRESH
        "Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
    struct bench b;
    struct question *q;
    struct entry *stored;
    struct waiting w;
    struct fill_reader reader = {0};

    (void)state;
    bench_up(&b);
    b.g.worker.conf->opts.limits.object_max = 10;
    q = given_question(&b.g.asking, "GET /a", "");
    fly(&b, q, &w);
    await_request(&b);
    assert_int_equal(write(b.fd, head, sizeof(head) - 1), sizeof(head) - 1);
    await_told(&b, &w);
    assert_true(w.result.is_stored);
    assert_int_equal(flight_table_len(b.collapse.flights), 1);
    assert_int_equal(fill_join(w.result.fill, b.g.rig.loop, &reader), RC_OK);
    assert_int_equal(write(b.fd, "6\r\nsecond\r\n", 11), 11);
    AWAIT(&b.g.rig, flight_table_len(b.collapse.flights) == 0);
    AWAIT(&b.g.rig, nothing_is_sent(&b.g.worker));
    assert_int_equal(limited(&b.g, LIMIT_OBJECT_MAX), 1);
    stored = entry_of(&b.g, q);
    assert_non_null(stored);
    assert_int_equal(stored->flags, ENTRY_HIT_FOR_MISS);
    assert_true(slice_eq(entry_body(stored), SLICE("size")));
    assert_string_equal(lease_of(&b.g, q), "");
    assert_false(list_is_empty(&b.g.worker.collapse->runs));
    assert_int_equal(write(b.fd, "4\r\nmore\r\n0\r\n\r\n", 14), 14);
    await_no_run(&b);
    assert_int_equal(fill_state(w.result.fill), FILL_COMPLETE);
    assert_int_equal(fill_len(w.result.fill), 15);
    fill_leave(&reader);
    entry_unref(&stored);
    asked_over(&b, &q, &w);
}

/* What was cut short, or may have been, is told as what it is. */
static void
a_body_that_ends_early_is_not_stored(void **state)
{
    static const char *const heads[] = {"Content-Length: 100\r\n\r\nnew",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nnew\r\n"};
    struct bench b;

    (void)state;
    bench_up(&b);
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        struct question *q = given_question(&b.g.asking, "GET /a", "");
        struct waiting w;
        char text[256];
        int n = snprintf(
            text, sizeof(text), "HTTP/1.1 200 OK\r\n" FRESH "%s", heads[i]);

        fly(&b, q, &w);
        await_request(&b);
        assert_int_equal(write(b.fd, text, (size_t)n), n);
        await_told(&b, &w);
        assert_int_equal(w.result.outcome, FLIGHT_FILL);
        close(b.fd);
        b.fd = -1;
        await_no_run(&b);
        assert_stored(&b.g, q, NULL);
        assert_string_equal(lease_of(&b.g, q), "");
        waiting_over(&w);
        question_unref(&q);
    }
    bench_down(&b);
}

static void
on_interim(void *ctx, const struct head *head)
{
    struct waiting *w = ctx;

    assert_int_equal(head->status, 103);
    assert_int_equal(w->times, 0);
    w->interims++;
}

static void
an_interim_response_is_the_leaders(void **state)
{
    static const char early[] = "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n";
    struct bench b;
    struct question *q;
    struct waiting w;
    struct waiting late;

    (void)state;
    q = given_asked(&b, &w);
    w.waiter.on_interim = on_interim;
    assert_int_equal(enter(&b, q, &late), FLIGHT_JOINED);
    late.waiter.on_interim = on_interim;
    assert_int_equal(write(b.fd, early, sizeof(early) - 1), sizeof(early) - 1);
    AWAIT(&b.g.rig, w.interims == 1);
    say(&b, "200 OK", FRESH, "new");
    await_told(&b, &w);
    await_told(&b, &late);
    assert_int_equal(w.interims, 1);
    assert_int_equal(late.interims, 0);
    await_no_run(&b);
    waiting_over(&late);
    asked_over(&b, &q, &w);
}

/* A stale answer that its origin forbids is not used, and that is said. */
static void
an_origin_that_fails_is_told_with_what_it_has_forbidden(void **state)
{
    (void)state;
    for (int is_forbidden = 0; is_forbidden < 2; is_forbidden++) {
        struct bench b;
        struct question *q;
        struct waiting w;
        int64_t now_ms;
        struct codec_parts parts = {.status = 200,
            .flags = is_forbidden ? ENTRY_NEVER_STALE : 0,
            .body = SLICE("body")};
        struct value value;

        bench_up(&b);
        now_ms = worker_wall_ms(&b.g.worker);
        q = given_question(&b.g.asking, "GET /a", "");
        parts.key = q->key.full;
        parts.created_ms = now_ms - 2000;
        parts.fresh_until_ms = now_ms - 1000;
        parts.stale_until_ms = now_ms + 60000;
        assert_int_equal(codec_encode(&parts, &value), RC_OK);
        given_stored(&b.g, q, value_slice(&value));
        value_free(&value);
        fly(&b, q, &w);
        await_request(&b);
        close(b.fd);
        b.fd = -1;
        AWAIT(&b.g.rig,
            w.times > 0 || b.fd >= 0 ||
                (b.fd = accept4(b.listen_fd, NULL, NULL, SOCK_NONBLOCK)) >= 0);
        if (b.fd >= 0) { /* a GET is sent once more */
            close(b.fd);
            b.fd = -1;
        }
        close(b.listen_fd);
        b.listen_fd = -1;
        await_told(&b, &w);
        assert_int_equal(w.result.outcome, FLIGHT_ERROR);
        assert_int_equal(w.result.is_stale_forbidden, is_forbidden);
        await_no_run(&b);
        assert_string_equal(lease_of(&b.g, q), "");
        asked_over(&b, &q, &w);
    }
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
        TEST(a_lease_is_renewed_again_and_again_until_it_is_lost),
        TEST(a_fetch_without_a_lease_is_soon_joined_by_nobody),
        TEST(who_waits_for_anothers_fetch_waits_so_long_and_not_longer),
        TEST(what_has_gone_meanwhile_is_not_validated),
        TEST(in_the_background_nothing_is_fetched_that_cannot_be_stored),
        TEST(what_cannot_be_stored_is_fetched_without_a_lease),
        TEST(new_keys_beyond_the_limit_cost_redis_nothing),
        TEST(one_that_outgrows_the_limit_is_for_nobody_else),
        TEST(a_body_that_ends_early_is_not_stored),
        TEST(an_interim_response_is_the_leaders),
        TEST(an_origin_that_fails_is_told_with_what_it_has_forbidden),
        TEST(a_failure_gives_the_lease_back),
        TEST(a_worker_that_ends_tells_all_who_wait),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
