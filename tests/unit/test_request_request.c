/*
 * A request's way from step to step, without a socket: a stream that only
 * notes what it is told, a worker without Redis, flights that the test flies.
 * And what a request says of itself when a MUST fails (request.c).
 */
#include "request_given.h"

#include "dying.h"

/* --- its way ----------------------------------------------------------- */

static void
what_is_refused_is_answered_at_once(void **state)
{
    struct request *r = given_new(REQUEST("DELETE /item/1"));

    (void)state;
    request_start(r);
    assert_int_equal(bench.responses, 1);
    assert_int_equal(bench.response->status, 405);
    assert_true(bench.response->has_body);
    assert_false(bench.response->is_last);
    assert_moves(r, "ask deliver_error");
    assert_int_equal(r->wake, WAKE_STREAM);
    request_on_sent(r, 0);
    r = given_new(REQUEST("GET /any/x"));
    request_refuse(r, 400, "framing", "LENGTH");
    assert_int_equal(bench.response->status, 400);
    assert_true(bench.response->is_last);
    request_on_sent(r, 0);
}

static void
who_joins_a_flight_is_answered_with_what_it_has_found(void **state)
{
    struct flight *flight = given_flight(GET);
    struct request *r = given_new(GET);
    struct entry *entry = given_stored(KEY);
    const struct flight_result result = {
        .outcome = FLIGHT_ENTRY, .entry = entry_ref(entry)};
    const struct slice status =
        SLICE("\r\ncache-status: near; hit; ttl=9; detail=memory\r\n");

    (void)state;
    request_start(r);
    assert_moves(r, "ask flight");
    assert_int_equal(r->wake, WAKE_FLIGHT);
    assert_true(loop_timer_is_armed(&r->patience));
    assert_int_equal(bench.responses, 0);
    land(&flight, &result);
    assert_moves(r, "ask flight landed deliver_entry");
    assert_null(r->waiter.flight);
    assert_false(loop_timer_is_armed(&r->patience));
    assert_int_equal(bench.response->status, 200);
    assert_int_equal(bench.response->length, 3);
    assert_int_equal(r->result, RESULT_HIT);
    assert_true(bench.response->extra.len > status.len);
    assert_true(slice_eq(slice_skip(bench.response->extra,
                             bench.response->extra.len - status.len),
        status));
    /* Ours and the answer's: the flight is gone. */
    assert_int_equal(atomic_load(&entry->refs), 2);
    request_on_sent(r, 3);
    assert_int_equal(atomic_load(&entry->refs), 1);
    entry_unref(&entry);
}

static void
a_long_key_has_room_in_cache_status(void **state)
{
    enum {
        LONG = 1500
    };
    struct slice extra;
    struct flight *flight;
    struct request *r;
    char target[LONG + 6] = "/any/";
    char text[LONG + 64], key[LONG + 64];

    (void)state;
    memset(target + 5, 'x', LONG);
    target[LONG + 5] = '\0';
    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target);
    snprintf(key, sizeof(key), "http://h%s", target);
    bench.rules.routes[ROW_ANY].cache_status = ROUTE_CACHE_STATUS_KEY;
    flight = given_flight(text);
    r = given_new(text);
    request_start(r);
    land(&flight, &(struct flight_result){
                      .outcome = FLIGHT_ENTRY, .entry = given_stored(key)});
    extra = bench.response->extra;
    assert_true(extra.len > LONG);
    assert_non_null(
        memmem(extra.ptr, extra.len, "; key=\"http://h/any/xxx", 22));
    request_on_sent(r, 3);
}

static void
whose_client_leaves_meanwhile_hears_nothing_of_it(void **state)
{
    struct flight *flight = given_flight(GET);
    struct request *r = given_new(GET);
    const struct flight_result result = {
        .outcome = FLIGHT_ENTRY, .entry = given_stored(KEY)};

    (void)state;
    request_start(r);
    flight_resolve(bench.collapse.flights, flight, &result, false);
    /* The message is under way. */
    request_on_gone(r, 0);
    flight_unref(&flight);
    loop_turn(bench.worker.loop, 0);
    assert_int_equal(bench.responses, 0);
    assert_int_equal(bench.worker.request->free.len, 1);
}

static void
a_body_that_fails_ends_the_wait_for_a_flight(void **state)
{
    struct flight *flight = given_flight(GET);
    struct request *r = given_new(GET);

    (void)state;
    request_start(r);
    request_on_body_failed(r, 400);
    assert_moves(r, "ask flight deliver_error");
    assert_int_equal(bench.response->status, 400);
    assert_null(r->waiter.flight);
    assert_int_equal(r->refs, 1);
    request_on_sent(r, 0);
    land(&flight, &(struct flight_result){.outcome = FLIGHT_ALONE});
    assert_int_equal(bench.responses, 1);
}

static void
a_renewal_joins_who_renews_already_and_is_counted_if_there_is_no_room(
    void **state)
{
    metric_id refused = bench.metrics.limits[LIMIT_FLIGHTS];
    struct flight *flights[FLIGHTS_MAX];
    struct request *r = given_new(GET);
    struct request *other = given_new(REQUEST("GET /any/other"));

    (void)state;
    for (unsigned i = 0; i < FLIGHTS_MAX; i++) {
        char text[64];
        snprintf(text, sizeof(text),
            "GET /any/%s%.*s HTTP/1.1\r\nHost: a.example\r\n\r\n", "x", (int)i,
            "0123456789");
        flights[i] = given_flight(text);
    }
    assert_int_equal(question_read(r->q).status, 0);
    assert_int_equal(question_read(other->q).status, 0);
    request_renew(r);
    assert_int_equal(bench.worker.block->cells[refused], 0);
    request_renew(other);
    assert_int_equal(bench.worker.block->cells[refused], 1);
    request_on_gone(r, 0);
    request_on_gone(other, 0);
    for (unsigned i = 0; i < FLIGHTS_MAX; i++) {
        land(&flights[i], &(struct flight_result){.outcome = FLIGHT_ALONE});
    }
}

static void
a_request_is_counted_once_by_route_result_and_tier(void **state)
{
    struct flight *flight = given_flight(GET); /* and goes */
    struct request *r = given_new(GET);

    (void)state;
    request_start(r);
    land(&flight, &(struct flight_result){
                      .outcome = FLIGHT_ENTRY, .entry = given_stored(KEY)});
    request_on_sent(r, 3);
    r = given_new(REQUEST("DELETE /item/1"));
    request_start(r);
    request_on_sent(r, 40);
    r = given_new(GET); /* it was not read: nobody knows the route */
    request_refuse(r, 400, "framing", "LENGTH");
    request_on_sent(r, 2);
#define BY(route, result, class)                                               \
    "nearside_requests_total{route=\"" route "\",result=\"" result             \
    "\",status=\"" class "\"}"
#define TOOK(route, tier)                                                      \
    "nearside_request_seconds_count{route=\"" route "\",tier=\"" tier "\"}"
    assert_counted(BY("any", "hit", "2xx"), 1);
    assert_counted(BY("any", "gone", "none"), 1);
    assert_counted(BY("any", "error", "5xx"), 0);
    assert_counted(BY("item", "error", "4xx"), 1);
    assert_counted(BY("item", "error", "5xx"), 0);
    assert_counted(BY("-", "error", "4xx"), 1);
    assert_counted(TOOK("any", "memory"), 1);
    assert_counted(TOOK("any", "none"), 1);
    assert_counted(TOOK("item", "none"), 1);
    assert_counted(TOOK("-", "none"), 1);
    assert_counted("nearside_body_bytes_total", 45);
    assert_counted("nearside_bad_requests_total", 1);
}

/* --- its last words ---------------------------------------------------- */

static void
dies_in_its_last_step(void)
{
    bench.dies = true;
    request_start(given_new(REQUEST("DELETE /item/1")));
}

static void
a_failed_must_tells_the_request_and_its_moves(void **state)
{
    const char *said = dying_words(dies_in_its_last_step);
    const char *at = strchr(said, '\n');

    (void)state;
    assert_non_null(
        strstr(said, "on_respond: broken invariant: !bench.dies\n"));
    assert_non_null(at);
    assert_string_equal(at,
        "\nrequest DELETE /item/1: status 405, waits for nothing\n"
        "         0 us ask\n"
        "         0 us deliver_error\n");
}

/* An error that is none. */
static void
dies_of_a_flight(void)
{
    struct flight *flight = given_flight(GET);

    request_start(given_new(GET));
    land(&flight, &(struct flight_result){.outcome = FLIGHT_ERROR});
}

static void
and_the_flight_that_it_waits_for(void **state)
{
    const char *said = dying_words(dies_of_a_flight);

    (void)state;
    assert_non_null(
        strstr(said, "\nrequest GET /any/x: status 0, waits for nothing\n"));
    assert_non_null(strstr(said, " us ask\n"));
    assert_non_null(strstr(said, " us flight\n"));
    assert_non_null(strstr(said,
        " us landed\nflight http://a.example/any/x: error, 1 references\n"));
}

/* --- what it may not do ------------------------------------------------ */

static void
is_woken_by_what_it_does_not_wait_for(void)
{
    struct flight *flight = given_flight(GET);
    struct request *r = given_new(GET);

    (void)flight;
    request_start(r);
    request_wake(r, WAKE_LOOKUP, &step_forward);
}

static void
is_woken_after_its_answer(void)
{
    struct request *r = given_new(REQUEST("DELETE /item/1"));

    request_start(r);
    request_wake(r, WAKE_STREAM, &step_deliver_error);
}

static void
goes_on_at_a_step_that_is_no_start(void)
{
    static const struct step inner = {"inner", NULL, false};
    struct flight *flight = given_flight(GET);
    struct request *r = given_new(GET);

    (void)flight;
    request_start(r);
    request_wake(r, WAKE_FLIGHT, &inner);
}

static void
starts_twice(void)
{
    struct request *r = given_new(REQUEST("DELETE /item/1"));

    request_start(r);
    request_start(r);
}

static void
ends_twice(void)
{
    struct request *r = given_new(REQUEST("DELETE /item/1"));

    request_start(r);
    request_on_sent(r, 0);
    request_on_sent(r, 0);
}

/* The wake-up is armed by nobody. */
static const struct step *
park_for_nothing(struct request *r)
{
    return request_park(r, WAKE_FETCH);
}

static void
parks_without_a_wake_up(void)
{
    static const struct step lost = {"lost", park_for_nothing, true};
    struct flight *flight = given_flight(GET);
    struct request *r = given_new(GET);

    (void)flight;
    request_start(r);
    request_divert(r, &lost);
}

static void
on_late(void *ctx)
{
    (void)ctx;
}

static const struct step *
park_with_a_timer(struct request *r)
{
    loop_timer_init(&r->patience, r->worker->loop, on_late, r);
    loop_timer_arm(&r->patience, worker_now_ms(r->worker) + 1000);
    r->response = (struct response){.status = 200, .source = &r->source};
    return request_respond(r);
}

static void
parks_with_two_wake_ups(void)
{
    static const struct step torn = {"torn", park_with_a_timer, true};
    struct flight *flight = given_flight(GET);
    struct request *r = given_new(GET);

    (void)flight;
    request_start(r);
    request_divert(r, &torn);
}

static void
a_request_that_is_moved_wrongly_ends_the_process(void **state)
{
    static const struct {
        void (*die)(void);
        const char *says;
    } rows[] = {
        {is_woken_by_what_it_does_not_wait_for, "r->wake == wake"},
        {is_woken_after_its_answer, "r->status == 0"},
        {goes_on_at_a_step_that_is_no_start, "from->is_start"},
        {starts_twice, "r->moves_len == 0"},
        {ends_twice, "request_on_sent: broken"},
        {parks_without_a_wake_up, "check_parked: broken invariant: is_armed"},
        {parks_with_two_wake_ups, "check_parked: broken invariant: r->wake == "
                                  "WAKE_FLIGHT"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *said = dying_words(rows[i].die);
        if (strstr(said, rows[i].says) == NULL) {
            fail_msg("%s: %s", rows[i].says, said);
        }
    }
}

/* --- hints ------------------------------------------------------------- */

/* Its length is none of a 1xx response (RFC 9110 8.6), nor is a field of one
   hop the client's. After the answer, or the client, it is for nobody. */
static void
a_hint_is_passed_on_until_there_is_an_answer(void **state)
{
    struct request *r = given_new(GET);
    struct head hint;

    (void)state;
    hint = *given_head("GET / HTTP/1.1\r\nHost: a\r\nLink: x\r\n"
                       "Content-Length: 5\r\nConnection: y\r\nY: 1\r\n"
                       "Set-Cookie: z\r\n\r\n");
    hint.status = 103;
    request_interim(r, &hint);
    assert_string_equal(
        bench.interim, "103 host: a\r\nlink: x\r\nset-cookie: z\r\n");
    bench.interim[0] = '\0';
    r->status = 200;
    request_interim(r, &hint);
    r->status = 0;
    r->stream = NULL;
    request_interim(r, &hint);
    assert_string_equal(bench.interim, "");
    r->stream = &bench.stream;

    /* Without memory the client misses it; but it waits for a 100. */
    arena_fini(&r->arena);
    arena_init(&r->arena, 16);
    request_interim(r, &hint);
    assert_string_equal(bench.interim, "");
    hint.status = 100;
    request_interim(r, &hint);
    assert_string_equal(bench.interim, "100 ");
    request_on_gone(r, 0);
}

/* --- a body that fails ------------------------------------------------- */

/* The origin is to blame, and the answer has not begun to leave: it is 502. */
static void
an_answer_that_fails_before_it_leaves_is_an_error_of_the_origin(void **state)
{
    (void)state;
    for (int is_gone = 0; is_gone < 2; is_gone++) {
        struct request *r = given_new(REQUEST("GET /pass/x"));

        request_start(r);
        await_asked();
        say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
        UNTIL(r->status != 0);
        assert_false(request_on_source_failed(r)); /* it has not */
        assert_int_equal(r->status, 200);
        close(bench.fd);
        bench.fd = -1;
        UNTIL(source_error(&r->source) != ORIGIN_ERROR_NONE);
        bench.responses = 0;
        if (is_gone) { /* what has left cannot be taken back */
            request_on_gone(r, 4);
        } else {
            assert_true(request_on_source_failed(r));
            assert_int_equal(bench.responses, 1);
            assert_int_equal(bench.response->status, 502);
            assert_int_equal(r->status, 502);
            assert_int_equal(r->tier, TIER_ORIGIN);
            assert_null(r->detail);
            assert_int_not_equal(r->error, ORIGIN_ERROR_NONE);
            request_on_sent(r, 0);
        }
    }
    assert_counted("nearside_requests_total{route=\"pass\",result=\"error\","
                   "status=\"5xx\"}",
        1);
    assert_counted("nearside_requests_total{route=\"pass\",result=\"error\","
                   "status=\"2xx\"}",
        1);
}

/* --- many -------------------------------------------------------------- */

/* What is more than is kept for the next ones is freed. */
static void
many_requests_at_once_leave_nothing_behind(void **state)
{
    struct request *r[SPARE_MAX + 2];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(r); i++) {
        r[i] = given_new(GET);
        assert_non_null(arena_alloc(&r[i]->arena, 1000));
    }
    for (size_t i = 0; i < ARRAY_LEN(r); i++) {
        request_on_gone(r[i], 0);
    }
    assert_int_equal(bench.worker.request->free.len, SPARE_MAX);
}

static void
without_memory_there_is_no_request(void **state)
{
    const struct head *head = given_head(GET);
    const struct request_opts opts = {.question = {.head = head,
                                          .raw = slice_of(head->method_text.ptr,
                                              strlen(head->method_text.ptr)),
                                          .peer = bench.rules.peer}};
    struct request *r;
    unsigned nth = 0;

    (void)state;
    do {
        heap_refuse(++nth, 0);
        r = request_new(&bench.worker, &bench.stream, &opts);
        assert_true((r == NULL) == heap_refused());
    } while (r == NULL);
    assert_true(nth > 2);
    request_on_gone(r, 0);
}

/* --- why it is not stored ---------------------------------------------- */

static void
the_reason_that_another_instance_wrote_down_is_told(void **state)
{
    static const char *const rows[][2] = {
        {"no-store", "no-store"},
        {"vary", "vary"},
        {"unheard-of", "not-storable"},
        {"", "not-storable"},
    };
    struct request *r = given_new(GET);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct codec_parts parts = {.flags = ENTRY_HIT_FOR_MISS,
            .key = SLICE(KEY),
            .created_ms = 1,
            .fresh_until_ms = 2,
            .stale_until_ms = 2,
            .body = slice_of_str(rows[i][0])};
        struct entry *entry = given_entry(&parts);

        request_note_refusal(r, entry);
        assert_string_equal(r->detail, rows[i][1]);
        entry_unref(&entry);
    }
    request_on_gone(r, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_hint_is_passed_on_until_there_is_an_answer),
        TEST(an_answer_that_fails_before_it_leaves_is_an_error_of_the_origin),
        TEST(many_requests_at_once_leave_nothing_behind),
        TEST(without_memory_there_is_no_request),
        TEST(the_reason_that_another_instance_wrote_down_is_told),
        TEST(what_is_refused_is_answered_at_once),
        TEST(who_joins_a_flight_is_answered_with_what_it_has_found),
        TEST(a_long_key_has_room_in_cache_status),
        TEST(whose_client_leaves_meanwhile_hears_nothing_of_it),
        TEST(a_body_that_fails_ends_the_wait_for_a_flight),
        TEST(
            a_renewal_joins_who_renews_already_and_is_counted_if_there_is_no_room),
        TEST(a_request_is_counted_once_by_route_result_and_tier),
        TEST(a_failed_must_tells_the_request_and_its_moves),
        TEST(and_the_flight_that_it_waits_for),
        TEST(a_request_that_is_moved_wrongly_ends_the_process),
    };

    return cmocka_run_group_tests_name("request request", tests, NULL, NULL);
}
