/*
 * What a request makes of a flight's result (step_flight.c, use_stored.c): the
 * step that it takes then, by what was found and by whether it may have it. The
 * test flies; only where a request is to lead, it asks the origin itself.
 */
#include "request_given.h"

enum {
    FRESH_MS = 9500,
    PATIENT_MS = 20000,
};

static int
patient_setup(void **state)
{
    setup(state);
    bench.rules.conf->opts.limits.flight_wait_ms = PATIENT_MS;
    return 0;
}

static unsigned
limited(enum limit limit)
{
    return (unsigned)bench.worker.block->cells[bench.metrics.limits[limit]];
}

static struct entry *
given_of(uint16_t flags, int64_t fresh_ms)
{
    int64_t now_ms = worker_wall_ms(&bench.worker);
    const struct codec_parts parts = {
        .status = (flags & ENTRY_HIT_FOR_MISS) != 0 ? 0 : 200,
        .flags = flags,
        .key = SLICE(KEY),
        .created_ms = now_ms - 65000,
        .fresh_until_ms = now_ms + fresh_ms,
        .stale_until_ms = now_ms + 60000,
    };

    return given_entry(&parts);
}

/* How a request is asked, and what the flight that it joined came to. */
struct row {
    const char *text;
    struct flight_result landed;
    uint16_t flags;    /* of its entry, or of its fill */
    int64_t fresh_ms;  /* likewise */
    bool is_late;      /* it joins when the result is there */
    const char *moves; /* after "ask flight landed" */
    enum result result;
    enum cache_fwd fwd;
    const char *detail;
};

static void
check_row(const struct row *row, size_t at, const struct request *r)
{
    char moves[128];
    /* A worker of this bench has no Redis. */
    const char *detail = row->detail == NULL && r->tier == TIER_ORIGIN &&
                                 r->status != 0 && r->hit == NULL &&
                                 !r->is_stored && r->error == ORIGIN_ERROR_NONE
                             ? "no-redis"
                             : row->detail;

    snprintf(moves, sizeof(moves), "ask %sflight landed %s",
        r->q->policy.is_particular ? "lookup " : "", row->moves);
    assert_moves(r, moves);
    assert_true(
        row->landed.fwd_status == 0 || r->fwd_status == row->landed.fwd_status);
    if (r->result != row->result || r->fwd != row->fwd ||
        (r->detail == NULL) != (detail == NULL) ||
        (r->detail != NULL && strcmp(r->detail, detail) != 0)) {
        fail_msg("row %zu: %u, %u, %s", at, r->result, r->fwd, r->detail);
    }
}

static void
fly_row(const struct row *row, size_t at)
{
    struct flight *flight = given_flight(row->text);
    struct request *r = given_new(row->text);
    struct flight_result result = row->landed;

    if (result.outcome == FLIGHT_ENTRY) {
        result.entry = given_of(row->flags, row->fresh_ms);
    }
    if (result.outcome == FLIGHT_FILL) {
        result.fill = given_fill(200, "abc", true);
        result.flags = row->flags;
        result.fresh_until_ms = worker_wall_ms(&bench.worker) + row->fresh_ms;
    }
    if (!row->is_late) {
        request_start(r);
    }
    flight_resolve(bench.collapse.flights, flight, &result, row->is_late);
    if (row->is_late) {
        request_start(r);
    }
    loop_turn(bench.worker.loop, 0);
    check_row(row, at, r);
    request_on_gone(r, 0);
    if (row->is_late) {
        flight_close(bench.collapse.flights, flight);
    }
    flight_unref(&flight);
    flight_runs_free(&bench.worker); /* what was opened anew */
    loop_turn(bench.worker.loop, 0);
    assert_int_equal(flight_table_len(bench.collapse.flights), 0);
}

#define ASKED(field)                                                           \
    "GET /any/x HTTP/1.1\r\nHost: a.example\r\n" field "\r\n\r\n"
#define AUTHORIZED ASKED("Authorization: me")

/* --- entries ----------------------------------------------------------- */

static void
an_entry_is_used_by_whom_it_is_for(void **state)
{
    static const struct row rows[] = {
        {GET, {.outcome = FLIGHT_ENTRY}, 0, FRESH_MS, false, "deliver_entry",
            RESULT_HIT, CACHE_FWD_NONE, "memory"},
        {GET, {.outcome = FLIGHT_ENTRY}, ENTRY_HIT_FOR_MISS, FRESH_MS, false,
            "forward", RESULT_MISS, CACHE_FWD_URI_MISS, "not-storable"},
        {GET, {.outcome = FLIGHT_ENTRY, .is_private = true}, 0, FRESH_MS, false,
            "forward", RESULT_MISS, CACHE_FWD_URI_MISS, NULL},
        /* The leader's credentials say nothing of those without any. */
        {GET,
            {.outcome = FLIGHT_ENTRY, .is_private = true, .is_personal = true},
            0, FRESH_MS, false, "flight", RESULT_MISS, CACHE_FWD_URI_MISS,
            NULL},
        {AUTHORIZED,
            {.outcome = FLIGHT_ENTRY, .is_private = true, .is_personal = true},
            0, FRESH_MS, false, "forward", RESULT_MISS, CACHE_FWD_URI_MISS,
            NULL},
        {AUTHORIZED, {.outcome = FLIGHT_ENTRY}, 0, FRESH_MS, false, "forward",
            RESULT_BYPASS, CACHE_FWD_BYPASS, "authorization"},
        {AUTHORIZED, {.outcome = FLIGHT_ENTRY}, ENTRY_SHAREABLE, FRESH_MS,
            false, "deliver_entry", RESULT_HIT, CACHE_FWD_NONE, "memory"},
        /* Each use is validated by whoever uses it. */
        {GET, {.outcome = FLIGHT_ENTRY}, ENTRY_MUST_VALIDATE, FRESH_MS, false,
            "validate", RESULT_MISS, CACHE_FWD_URI_MISS, NULL},
        {GET, {.outcome = FLIGHT_ENTRY, .is_validated = true},
            ENTRY_MUST_VALIDATE, FRESH_MS, false, "validate", RESULT_MISS,
            CACHE_FWD_URI_MISS, NULL},
        {GET,
            {.outcome = FLIGHT_ENTRY, .is_validated = true, .fwd_status = 304},
            0, FRESH_MS, false, "deliver_entry", RESULT_VALIDATED,
            CACHE_FWD_STALE, NULL},
        {GET, {.outcome = FLIGHT_ENTRY, .is_stale = true, .detail = "while"}, 0,
            -1, false, "deliver_entry", RESULT_STALE, CACHE_FWD_NONE, "while"},
        {GET,
            {.outcome = FLIGHT_ENTRY,
                .is_stale = true,
                .is_substitute = true,
                .fwd_status = 503,
                .detail = "stale-if-error"},
            0, -1, false, "deliver_entry", RESULT_STALE, CACHE_FWD_STALE,
            "stale-if-error"},
        /* Who comes late may find it over, and flies anew. */
        {GET, {.outcome = FLIGHT_ENTRY}, 0, FRESH_MS, true, "deliver_entry",
            RESULT_HIT, CACHE_FWD_NONE, "memory"},
        {GET, {.outcome = FLIGHT_ENTRY}, 0, -1, true, "flight", RESULT_MISS,
            CACHE_FWD_URI_MISS, NULL},
        /* It is 65 s old. */
        {ASKED("Cache-Control: max-age=100"), {.outcome = FLIGHT_ENTRY}, 0,
            FRESH_MS, false, "deliver_entry", RESULT_HIT, CACHE_FWD_NONE,
            "memory"},
        {ASKED("Cache-Control: max-age=10"), {.outcome = FLIGHT_ENTRY}, 0,
            FRESH_MS, false, "forward", RESULT_MISS, CACHE_FWD_URI_MISS, NULL},
        {ASKED("Cache-Control: max-age=10"), {.outcome = FLIGHT_ENTRY}, 0,
            FRESH_MS, true, "forward", RESULT_MISS, CACHE_FWD_URI_MISS, NULL},
        /* But what the origin has just confirmed is as new as can be. */
        {ASKED("Cache-Control: max-age=10"),
            {.outcome = FLIGHT_ENTRY, .is_validated = true}, 0, FRESH_MS, false,
            "deliver_entry", RESULT_VALIDATED, CACHE_FWD_STALE, NULL},
    };

    (void)state;
    bench.rules.routes[ROW_ANY].honours_client = true;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        fly_row(&rows[i], i);
    }
}

/* Its own grace counts, where it has directives of its own. */
static void
a_substitute_is_good_enough_where_the_route_has_grace(void **state)
{
    static const char *const moves[] = {"forward", "deliver_entry"};

    (void)state;
    bench.rules.routes[ROW_ANY].honours_client = true;
    for (int grace = 0; grace < 2; grace++) {
        const struct row row = {ASKED("Cache-Control: max-age=100"),
            {.outcome = FLIGHT_ENTRY,
                .is_stale = true,
                .is_substitute = true,
                .detail = "error"},
            0, -1, false, moves[grace], grace ? RESULT_STALE : RESULT_MISS,
            grace ? CACHE_FWD_STALE : CACHE_FWD_URI_MISS,
            grace ? "error" : NULL};

        bench.rules.routes[ROW_ANY].grace_ms = grace * 60000;
        fly_row(&row, (size_t)grace);
    }
}

/* --- fills, errors, and nothing ---------------------------------------- */

static void
a_fill_is_used_by_whom_it_is_for(void **state)
{
    static const struct row rows[] = {
        {GET, {.outcome = FLIGHT_FILL}, 0, FRESH_MS, false, "deliver_fill",
            RESULT_COLLAPSED, CACHE_FWD_URI_MISS, NULL},
        {GET, {.outcome = FLIGHT_FILL, .is_stale_fetch = true, .detail = "why"},
            0, FRESH_MS, false, "deliver_fill", RESULT_COLLAPSED,
            CACHE_FWD_STALE, "why"},
        {GET, {.outcome = FLIGHT_FILL, .is_private = true}, 0, FRESH_MS, false,
            "forward", RESULT_MISS, CACHE_FWD_URI_MISS, NULL},
        {GET, {.outcome = FLIGHT_FILL, .is_private = true, .detail = "why"}, 0,
            FRESH_MS, false, "forward", RESULT_MISS, CACHE_FWD_URI_MISS, "why"},
        {GET, {.outcome = FLIGHT_FILL, .is_private = true, .is_personal = true},
            0, FRESH_MS, false, "flight", RESULT_MISS, CACHE_FWD_URI_MISS,
            NULL},
        {AUTHORIZED, {.outcome = FLIGHT_FILL}, 0, FRESH_MS, false, "forward",
            RESULT_BYPASS, CACHE_FWD_BYPASS, "authorization"},
        {AUTHORIZED, {.outcome = FLIGHT_FILL}, ENTRY_SHAREABLE, FRESH_MS, false,
            "deliver_fill", RESULT_COLLAPSED, CACHE_FWD_URI_MISS, NULL},
        {GET, {.outcome = FLIGHT_FILL}, 0, FRESH_MS, true, "deliver_fill",
            RESULT_COLLAPSED, CACHE_FWD_URI_MISS, NULL},
        {GET, {.outcome = FLIGHT_FILL}, 0, 0, true, "forward", RESULT_MISS,
            CACHE_FWD_URI_MISS, NULL},
        {GET, {.outcome = FLIGHT_FILL}, 0, -1, false, "deliver_fill",
            RESULT_COLLAPSED, CACHE_FWD_URI_MISS, NULL},
        {GET, {.outcome = FLIGHT_ALONE, .detail = "size"}, 0, 0, false,
            "forward", RESULT_MISS, CACHE_FWD_URI_MISS, "size"},
        {GET, {.outcome = FLIGHT_ERROR, .error = ORIGIN_ERROR_CONNECT}, 0, 0,
            false, "deliver_error", RESULT_ERROR, CACHE_FWD_URI_MISS, NULL},
        /* The leader's request may have caused it. */
        {GET,
            {.outcome = FLIGHT_ERROR,
                .error = ORIGIN_ERROR_CONNECT,
                .is_private = true},
            0, 0, false, "flight", RESULT_MISS, CACHE_FWD_URI_MISS, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        fly_row(&rows[i], i);
    }
}

static void
an_error_is_504_where_what_is_stored_may_not_stand_in(void **state)
{
    (void)state;
    for (int is_forbidden = 0; is_forbidden < 2; is_forbidden++) {
        struct flight *flight = given_flight(GET);
        struct request *r = given_new(GET);

        request_start(r);
        land(&flight, &(struct flight_result){.outcome = FLIGHT_ERROR,
                          .error = ORIGIN_ERROR_CONNECT,
                          .is_stale_forbidden = is_forbidden});
        assert_int_equal(bench.response->status, is_forbidden ? 504 : 502);
        request_on_sent(r, 0);
    }
}

/* It was found by a lookup of the request's own. */
static void
what_the_request_has_found_itself_stands_in_for_an_origin_that_fails(
    void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        bool has_grace = i % 2 == 1;
        struct flight *flight = given_flight(GET);
        struct request *r = given_new(GET);
        struct flight_result result = {
            .outcome = FLIGHT_ERROR, .error = ORIGIN_ERROR_CONNECT};

        bench.rules.routes[ROW_ANY].grace_ms = has_grace ? 60000 : 0;
        r->stale = given_of(0, -1);
        request_start(r);
        if (i >= 2) {
            result = (struct flight_result){.outcome = FLIGHT_FILL,
                .fill = given_fill(i < 4 ? 503 : 404, "down", true)};
        }
        land(&flight, &result);
        if (has_grace && i < 4) {
            assert_moves(r, "ask flight landed deliver_entry");
            assert_int_equal(r->result, RESULT_STALE);
            assert_int_equal(r->fwd, CACHE_FWD_STALE);
            assert_int_equal(r->fwd_status, i < 2 ? 0 : 503);
            assert_string_equal(r->detail, "stale-if-error");
        } else {
            assert_int_equal(bench.response->status, i < 2   ? 502
                                                     : i < 4 ? 503
                                                             : 404);
        }
        request_on_sent(r, 0);
    }
}

static void
a_fill_that_failed_is_asked_for_again_while_there_is_patience(void **state)
{
    (void)state;
    for (int is_patient = 0; is_patient < 2; is_patient++) {
        struct flight *flight = given_flight(GET);
        struct request *r = given_new(GET);
        struct fill *fill = given_fill(200, "abc", false);

        fill_finish(fill, FILL_FAILED);
        request_start(r);
        if (!is_patient) {
            r->wait_until_ms = worker_now_ms(&bench.worker);
        }
        land(&flight,
            &(struct flight_result){.outcome = FLIGHT_FILL, .fill = fill});
        assert_moves(r, is_patient ? "ask flight landed flight"
                                   : "ask flight landed forward");
        assert_int_equal(limited(LIMIT_FLIGHT_WAIT), 1);
        if (!is_patient) {
            assert_string_equal(r->detail, "flight_wait");
        }
        request_on_gone(r, 0);
        flight_runs_free(&bench.worker);
    }
}

/* --- variants ---------------------------------------------------------- */

static void
a_record_sends_each_to_its_own_variant_once(void **state)
{
    struct flight *flight = given_flight(GET);
    struct request *r = given_new(GET);
    const struct entry *record;

    (void)state;
    request_start(r);
    land(&flight, &(struct flight_result){.outcome = FLIGHT_ENTRY,
                      .entry = given_record(SLICE(KEY), "accept")});
    assert_moves(r, "ask flight landed flight");
    assert_int_equal(r->fwd, CACHE_FWD_VARY_MISS);
    record = r->q->record;
    assert_non_null(record);
    assert_true(r->q->key.variant.len > 0);
    request_on_gone(r, 0);
    flight_runs_free(&bench.worker);
}

/* What varies goes to those whose variant it is. */
static void
a_fill_that_varies_is_for_its_own_variant(void **state)
{
    (void)state;
    for (int is_other = 0; is_other < 2; is_other++) {
        struct flight_result result = {.outcome = FLIGHT_FILL,
            .fill = given_fill(200, "abc", true),
            .record = given_record(SLICE(KEY), "accept")};
        struct flight *flight = given_flight(GET);
        struct request *other = given_new(ASKED("Accept: b"));
        struct request *r = given_new(ASKED("Accept: a"));
        struct question *variant;
        struct request *leader =
            is_other ? other : given_new(ASKED("Accept: a"));

        assert_int_equal(question_read(leader->q).status, 0);
        assert_int_equal(
            question_vary(leader->q, result.record, &variant), RC_OK);
        memcpy(result.variant, variant->key.variant.ptr, DIGEST_LEN);
        question_unref(&variant);
        request_start(r);
        land(&flight, &result);
        assert_moves(r, is_other ? "ask flight landed flight"
                                 : "ask flight landed deliver_fill");
        assert_int_equal(
            r->fwd, is_other ? CACHE_FWD_VARY_MISS : CACHE_FWD_URI_MISS);
        request_on_gone(r, 0);
        if (!is_other) {
            request_on_gone(leader, 0);
        }
        request_on_gone(other, 0);
        flight_runs_free(&bench.worker);
    }
}

/* --- waiting ----------------------------------------------------------- */

static void
who_has_waited_long_enough_goes_alone(void **state)
{
    struct flight *flight = given_flight(GET);
    struct request *r = given_new(GET);

    (void)state;
    bench.rules.conf->opts.limits.flight_wait_ms = 1;
    request_start(r);
    UNTIL(r->wake == WAKE_FETCH);
    assert_moves(r, "ask flight forward");
    assert_string_equal(r->detail, "flight_wait");
    assert_int_equal(limited(LIMIT_FLIGHT_WAIT), 1);
    assert_null(r->waiter.flight);
    assert_int_equal(r->refs, 1);
    request_on_gone(r, 0);
    land(&flight, &(struct flight_result){.outcome = FLIGHT_ALONE});
}

/* All its flights together have one patience. */
static void
patience_begins_with_the_first_flight(void **state)
{
    struct flight *flight = given_flight(GET);
    struct request *r = given_new(GET);

    (void)state;
    r->wait_until_ms = worker_now_ms(&bench.worker) + 5;
    request_start(r);
    assert_int_equal(r->wait_until_ms, worker_now_ms(&bench.worker) + 5);
    UNTIL(r->wake == WAKE_FETCH);
    assert_int_equal(limited(LIMIT_FLIGHT_WAIT), 1);
    request_on_gone(r, 0);
    land(&flight, &(struct flight_result){.outcome = FLIGHT_ALONE});
}

static void
where_too_many_fly_a_request_goes_alone(void **state)
{
    struct flight *flights[FLIGHTS_MAX];
    struct request *r = given_new(GET);

    (void)state;
    for (unsigned i = 0; i < FLIGHTS_MAX; i++) {
        char text[64];
        snprintf(text, sizeof(text),
            "GET /any/%u HTTP/1.1\r\nHost: a.example\r\n\r\n", i);
        flights[i] = given_flight(text);
    }
    request_start(r);
    assert_moves(r, "ask flight forward");
    assert_int_equal(limited(LIMIT_FLIGHTS), 1);
    request_on_gone(r, 0);
    for (unsigned i = 0; i < FLIGHTS_MAX; i++) {
        land(&flights[i], &(struct flight_result){.outcome = FLIGHT_ALONE});
    }
}

/* --- leading ----------------------------------------------------------- */

static void
the_leader_asks_the_origin_and_its_answer_is_a_miss(void **state)
{
    struct request *r = given_new(GET);
    struct request *late = given_new(GET);

    (void)state;
    request_start(r);
    assert_int_equal(r->wake, WAKE_FLIGHT);
    assert_false(loop_timer_is_armed(&r->patience));
    /* It would wait for a lease, and may wait in another flight later. */
    assert_in_range(r->wait_until_ms, 1,
        worker_now_ms(&bench.worker) +
            bench.rules.conf->opts.limits.flight_wait_ms);
    assert_non_null(strstr(await_asked(), "GET /any/x HTTP/1.1\r\n"));
    say("HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n");
    UNTIL(bench.interim[0] != '\0');
    assert_string_equal(bench.interim, "103 link: </a>\r\n");
    request_start(late);
    say("HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\n"
        "Content-Length: 3\r\n\r\nabc");
    UNTIL(late->status != 0);
    assert_moves(r, "ask flight landed deliver_fill");
    assert_int_equal(r->status, 200);
    assert_int_equal(r->result, RESULT_MISS);
    assert_false(r->is_collapsed);
    assert_int_equal(r->tier, TIER_ORIGIN);
    assert_int_equal(late->result, RESULT_COLLAPSED);
    assert_true(late->is_collapsed);
    UNTIL(fill_state(r->source.reader.fill) == FILL_COMPLETE);
    request_on_sent(r, 3);
    request_on_sent(late, 3);
}

/* It is not stored for whom it is, and would not be the next time. */
static void
an_answer_to_credentials_is_a_bypass(void **state)
{
    struct request *r = given_new("GET /any/x HTTP/1.1\r\nHost: a.example\r\n"
                                  "Cookie: a=b\r\n\r\n");

    (void)state;
    request_start(r);
    await_asked();
    say("HTTP/1.1 201 OK\r\nCache-Control: max-age=9\r\n"
        "Content-Length: 3\r\n\r\nabc");
    UNTIL(r->status != 0);
    assert_int_equal(r->result, RESULT_BYPASS);
    assert_int_equal(r->fwd, CACHE_FWD_BYPASS);
    assert_int_equal(r->fwd_status, 201);
    assert_string_equal(r->detail, "cookie");
    assert_false(r->is_stored);
    request_on_sent(r, 3);
}

/* The request that has validated it uses it; see also validate above. */
static void
who_validates_an_entry_uses_what_became_of_it(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 304 Same\r\nETag: \"v1\"\r\nCache-Control: no-cache\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew"};
    int64_t now_ms = worker_wall_ms(&bench.worker);
    const struct codec_parts parts = {
        .status = 200,
        .flags = ENTRY_MUST_VALIDATE,
        .key = SLICE(KEY),
        .created_ms = now_ms - 65000,
        .fresh_until_ms = now_ms + FRESH_MS,
        .stale_until_ms = now_ms + 60000,
        .fields = SLICE("etag: \"v1\"\r\n"),
        .body = SLICE("old"),
    };

    (void)state;
    bench.rules.routes[ROW_ANY].keep_ms = 60000;
    for (int i = 0; i < 2; i++) {
        struct flight *flight = given_flight(GET);
        struct request *r = given_new(GET);

        request_start(r);
        land(&flight, &(struct flight_result){.outcome = FLIGHT_ENTRY,
                          .entry = given_entry(&parts)});
        assert_non_null(
            strcasestr(await_asked(), "\r\nif-none-match: \"v1\"\r\n"));
        say(answers[i]);
        UNTIL(r->status != 0);
        assert_moves(r, i == 0
                            ? "ask flight landed validate landed deliver_entry"
                            : "ask flight landed validate landed deliver_fill");
        assert_int_equal(r->result, i == 0 ? RESULT_VALIDATED : RESULT_MISS);
        assert_int_equal(r->fwd, CACHE_FWD_STALE);
        if (i == 0) {
            assert_body(r, "old");
        }
        request_on_gone(r, 0);
        flight_runs_free(&bench.worker);
    }
}

/* A flight that nobody waits for holds the question, not the request. */
static void
a_renewal_goes_on_without_its_request(void **state)
{
    struct request *r = given_new(GET);

    (void)state;
    assert_int_equal(question_read(r->q).status, 0);
    request_renew(r);
    assert_int_equal(flight_table_len(bench.collapse.flights), 1);
    assert_int_equal(r->refs, 1);
    request_on_gone(r, 0);
    await_asked();
    say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    UNTIL(list_is_empty(&bench.worker.collapse->runs));
    assert_int_equal(flight_table_len(bench.collapse.flights), 0);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, patient_setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_entry_is_used_by_whom_it_is_for),
        TEST(a_substitute_is_good_enough_where_the_route_has_grace),
        TEST(a_fill_is_used_by_whom_it_is_for),
        TEST(an_error_is_504_where_what_is_stored_may_not_stand_in),
        TEST(
            what_the_request_has_found_itself_stands_in_for_an_origin_that_fails),
        TEST(a_fill_that_failed_is_asked_for_again_while_there_is_patience),
        TEST(a_record_sends_each_to_its_own_variant_once),
        TEST(a_fill_that_varies_is_for_its_own_variant),
        TEST(who_has_waited_long_enough_goes_alone),
        TEST(patience_begins_with_the_first_flight),
        TEST(where_too_many_fly_a_request_goes_alone),
        TEST(the_leader_asks_the_origin_and_its_answer_is_a_miss),
        TEST(an_answer_to_credentials_is_a_bypass),
        TEST(who_validates_an_entry_uses_what_became_of_it),
        TEST(a_renewal_goes_on_without_its_request),
    };

    return cmocka_run_group_tests_name(
        "request step flight", tests, NULL, NULL);
}
