/*
 * A lookup for one request alone (step_lookup.c), with a real Redis: what it
 * makes of each kind of value that it can find there.
 */
#include "request_stored_given.h"

#define KEPT ENTRY_OF("/any/x")

/* A value for that path, of that age and those flags. */
static void
given_at(const char *key, uint16_t flags, int64_t fresh_ms)
{
    int64_t now_ms = worker_wall_ms(&bench.worker);
    const struct codec_parts parts = {
        .status = (flags & ENTRY_HIT_FOR_MISS) != 0 ? 0 : 200,
        .flags = flags,
        .key = slice_of_str(key),
        .created_ms = now_ms - 65000,
        .fresh_until_ms = now_ms + fresh_ms,
        .stale_until_ms = now_ms + 60000,
        .while_ms = 30000,
        .fields = SLICE("etag: \"v1\"\r\n"),
        .body = SLICE("abc"),
    };

    if ((flags & ENTRY_HIT_FOR_MISS) != 0) {
        const struct codec_parts none = {.flags = flags,
            .key = parts.key,
            .created_ms = parts.created_ms,
            .fresh_until_ms = parts.fresh_until_ms,
            .stale_until_ms = parts.stale_until_ms};
        given_value_at(KEPT, &none);
        return;
    }
    given_value_at(KEPT, &parts);
}

static void
given_junk(void)
{
    char out[16];

    assert_true(ask(redis_server, out, sizeof(out), "SET %s junk", KEPT));
}

/* It is no string: Redis answers with an error. */
static void
given_list(void)
{
    char out[16];

    assert_true(ask(redis_server, out, sizeof(out), "RPUSH %s x", KEPT));
}

static struct request *
asked(const char *text)
{
    struct request *r = given_new(text);

    request_start(r);
    assert_int_equal(r->wake, WAKE_LOOKUP);
    UNTIL(r->wake != WAKE_LOOKUP);
    return r;
}

static void
over(struct request *r)
{
    request_on_gone(r, 0);
    flight_runs_free(&bench.worker);
}

#define ASKED(method, field)                                                   \
    method " /any/x HTTP/1.1\r\nHost: a.example\r\n" field "\r\n\r\n"
#define RANGE   ASKED("GET", "Range: bytes=0-0")
#define HEAD    ASKED("HEAD", "X: y")
#define MAX_AGE ASKED("GET", "Cache-Control: max-age=100")

static const struct row {
    const char *text;
    uint16_t flags;
    int64_t fresh_ms;
    const char *key; /* NULL: nothing is stored */
    const char *moves;
    enum result result;
    enum cache_fwd fwd;
    const char *detail;
    bool keeps_stale;
} rows[] = {
    {RANGE, 0, 9000, NULL, "forward", RESULT_MISS, CACHE_FWD_URI_MISS, NULL,
        false},
    {HEAD, 0, 9000, NULL, "forward", RESULT_MISS, CACHE_FWD_URI_MISS, NULL,
        false},
    {ASKED("GET", "Cache-Control: only-if-cached"), 0, 9000, NULL,
        "deliver_error", RESULT_ERROR, CACHE_FWD_URI_MISS, "only-if-cached",
        false},
    /* The answer to it may be for others too. */
    {MAX_AGE, 0, 9000, NULL, "flight", RESULT_MISS, CACHE_FWD_URI_MISS, NULL,
        false},
    {RANGE, 0, 9000, KEY, "deliver_entry", RESULT_HIT, CACHE_FWD_NONE, "shared",
        false},
    {HEAD, 0, 9000, KEY, "deliver_entry", RESULT_HIT, CACHE_FWD_NONE, "shared",
        false},
    {MAX_AGE, 0, 9000, KEY, "deliver_entry", RESULT_HIT, CACHE_FWD_NONE,
        "shared", false},
    {ASKED("GET", "Cache-Control: max-age=10"), 0, 9000, KEY, "flight",
        RESULT_MISS, CACHE_FWD_REQUEST, NULL, true},
    {ASKED("GET", "Cache-Control: max-stale"), 0, -40000, KEY, "deliver_entry",
        RESULT_STALE, CACHE_FWD_NONE, "max-stale", false},
    {RANGE, 0, -40000, KEY, "forward", RESULT_MISS, CACHE_FWD_STALE, NULL,
        true},
    {HEAD, 0, -40000, KEY, "forward", RESULT_MISS, CACHE_FWD_STALE, NULL, true},
    {RANGE, ENTRY_MUST_VALIDATE, 9000, KEY, "forward", RESULT_MISS,
        CACHE_FWD_STALE, NULL, true},
    {ASKED("GET", "Cache-Control: only-if-cached"), 0, -40000, KEY,
        "deliver_error", RESULT_ERROR, CACHE_FWD_URI_MISS, "only-if-cached",
        false},
    {ASKED("HEAD", "Authorization: me"), 0, 9000, KEY, "forward", RESULT_BYPASS,
        CACHE_FWD_BYPASS, "authorization", false},
    {RANGE, ENTRY_HIT_FOR_MISS, 9000, KEY, "forward", RESULT_MISS,
        CACHE_FWD_URI_MISS, "not-storable", false},
    /* It is over: others may have the answer. */
    {MAX_AGE, ENTRY_HIT_FOR_MISS, -1, KEY, "flight", RESULT_MISS,
        CACHE_FWD_URI_MISS, NULL, false},
    {MAX_AGE, ENTRY_HIT_FOR_MISS, 9000, KEY, "forward", RESULT_MISS,
        CACHE_FWD_URI_MISS, "not-storable", false},
    /* Of another key: its place is taken, and it is nothing. */
    {RANGE, 0, 9000, "http://a.example/any/y", "forward", RESULT_MISS,
        CACHE_FWD_URI_MISS, NULL, false},
    {REQUEST("GET /any/%78"), 0, 9000, KEY, "deliver_entry", RESULT_HIT,
        CACHE_FWD_NONE, "shared", false},
    {REQUEST("GET /any/%78"), 0, 9000, NULL, "forward", RESULT_MISS,
        CACHE_FWD_URI_MISS, "spelling", false},
};

static void
what_is_found_answers_or_says_who_is_asked(void **state)
{
    (void)state;
    bench.rules.routes[ROW_ANY].honours_client = true;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *row = &rows[i];
        struct request *r;
        char moves[64];
        char out[16];

        assert_true(ask(redis_server, out, sizeof(out), "FLUSHALL"));
        if (row->key != NULL) {
            given_at(row->key, row->flags, row->fresh_ms);
        }
        r = asked(row->text);
        snprintf(moves, sizeof(moves), "ask lookup %s", row->moves);
        assert_moves(r, moves);
        if (r->result != row->result || r->fwd != row->fwd ||
            (r->stale != NULL) != row->keeps_stale ||
            r->wants_validated != (row->fwd == CACHE_FWD_REQUEST) ||
            (r->detail == NULL) != (row->detail == NULL) ||
            (r->detail != NULL && strcmp(r->detail, row->detail) != 0)) {
            fail_msg("row %zu: %u, %u, %s", i, r->result, r->fwd, r->detail);
        }
        over(r);
    }
}

static void
junk_in_redis_is_a_miss_and_counted_if_it_is_a_value(void **state)
{
    static void (*const given[])(void) = {given_list, given_junk};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        char out[16];
        struct request *r;

        assert_true(ask(redis_server, out, sizeof(out), "FLUSHALL"));
        given[i]();
        r = asked(RANGE);
        assert_moves(r, "ask lookup forward");
        assert_int_equal(
            bench.worker.block
                ->cells[bench.metrics.counters[COUNTER_VALUES_BAD]],
            i);
        over(r);
    }
}

/* Who may, has it renewed for all; the others only use it. */
static void
an_entry_within_its_window_is_used_and_renewed_for_all(void **state)
{
    static const struct {
        const char *text;
        bool is_renewed;
    } tries[] = {
        {RANGE, true},
        {HEAD, true},
        {ASKED("GET", "Cache-Control: only-if-cached"), false},
        {ASKED("GET", "Cache-Control: no-store"), false},
        {REQUEST("GET /any/%78"), false},
        {REQUEST("HEAD /any/%78"), false},
    };

    (void)state;
    bench.rules.routes[ROW_ANY].honours_client = true;
    for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
        struct request *r;

        given_at(KEY, 0, -1);
        r = asked(tries[i].text);
        assert_moves(r, "ask lookup deliver_entry");
        assert_int_equal(r->result, RESULT_STALE);
        assert_int_equal(r->fwd, CACHE_FWD_NONE);
        assert_string_equal(r->detail, "stale-while-revalidate");
        assert_int_equal(
            flight_table_len(bench.collapse.flights), tries[i].is_renewed);
        over(r);
    }
}

/* A GET by its own route would be asked differently from what it was. */
static void
a_head_that_has_a_route_of_its_own_renews_nothing(void **state)
{
    struct route *of_head = &bench.rules.routes[ROW_KEYED];
    struct request *r;
    size_t flights;

    (void)state;
    *of_head = bench.rules.routes[ROW_ANY];
    of_head->method = SLICE("HEAD");
    given_at(KEY, 0, -1);
    r = asked(HEAD);
    assert_ptr_equal(r->q->route, of_head);
    assert_string_equal(r->detail, "stale-while-revalidate");
    flights = flight_table_len(bench.collapse.flights);
    over(r);
    assert_int_equal(flights, 0);
}

/* Another instance is renewing it already, and has asked its origin before
   this renewal began. What it stores is good enough. */
static void
a_renewal_takes_what_another_instance_has_stored_meanwhile(void **state)
{
    struct request *r;
    char out[64];

    (void)state;
    given_at(KEY, 0, -1);
    assert_true(ask(redis_server, out, sizeof(out), "SET %s another's PX 60000",
        LEASE_OF("/any/x")));
    r = asked(RANGE);
    assert_string_equal(r->detail, "stale-while-revalidate");
    assert_int_equal(flight_table_len(bench.collapse.flights), 1);
    given_at(KEY, 0, 9000);
    assert_true(
        ask(redis_server, out, sizeof(out), "DEL %s", LEASE_OF("/any/x")));
    UNTIL(origin_group_in_flight(bench.group) > 0 ||
          flight_table_len(bench.collapse.flights) == 0);
    assert_int_equal(origin_group_in_flight(bench.group), 0);
    UNTIL(nothing_is_sent(&bench.worker));
    assert_false(exists(LEASE_OF("/any/x")));
    over(r);
}

/* And a record that is found under a variant's key leads no further. */
static void
a_record_leads_to_a_second_lookup_and_not_to_a_third(void **state)
{
    (void)state;
    for (int is_twice = 0; is_twice < 2; is_twice++) {
        int64_t now_ms = worker_wall_ms(&bench.worker);
        struct codec_parts parts = {
            .flags = ENTRY_VARY_RECORD,
            .key = SLICE(KEY),
            .created_ms = now_ms,
            .fresh_until_ms = now_ms + 60000,
            .stale_until_ms = now_ms + 60000,
            .vary_names = SLICE("accept"),
            .generation = SLICE("g"),
        };
        struct request *r = given_new(RANGE);
        struct entry *record = given_entry(&parts);
        struct question *variant;
        char key[256];

        given_value_at(KEPT, &parts);
        assert_int_equal(question_read(r->q).status, 0);
        assert_int_equal(question_vary(r->q, record, &variant), RC_OK);
        parts.key = variant->key.full;
        if (!is_twice) {
            parts.flags = 0;
            parts.status = 200;
            parts.fields = SLICE("a: b\r\n");
            parts.private_fields = slice_of(NULL, 0);
        }
        snprintf(key, sizeof(key), "%.*s", SLICE_FMT(variant->entry_key));
        given_value_at(key, &parts);
        question_unref(&variant);
        request_on_gone(r, 0);
        entry_unref(&record);

        r = asked(RANGE);
        assert_moves(r, is_twice ? "ask lookup lookup forward"
                                 : "ask lookup lookup deliver_entry");
        over(r);
    }
}

/* Its reply, if it comes, finds nobody. */
static void
whose_client_leaves_meanwhile_is_told_nothing(void **state)
{
    struct request *r = given_new(RANGE);
    struct told t;

    (void)state;
    given_at(KEY, 0, 9000);
    request_start(r);
    assert_int_equal(r->wake, WAKE_LOOKUP);
    request_on_gone(r, 0);
    assert_int_equal(run(&redis_rig, &t, "PING", PATIENCE_MS), RC_OK);
    assert_int_equal(bench.responses, 0);
    assert_int_equal(bench.worker.request->free.len, 1);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, redis_setup, redis_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_found_answers_or_says_who_is_asked),
        TEST(junk_in_redis_is_a_miss_and_counted_if_it_is_a_value),
        TEST(an_entry_within_its_window_is_used_and_renewed_for_all),
        TEST(a_head_that_has_a_route_of_its_own_renews_nothing),
        TEST(a_renewal_takes_what_another_instance_has_stored_meanwhile),
        TEST(a_record_leads_to_a_second_lookup_and_not_to_a_third),
        TEST(whose_client_leaves_meanwhile_is_told_nothing),
    };

    servers_guard();
    return cmocka_run_group_tests_name(
        "request step lookup", tests, NULL, NULL);
}
