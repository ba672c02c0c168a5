/*
 * What an answer says, by where it comes from: an entry, a fill, or ourselves
 * (deliver.c). It is looked at as the stream is given it.
 */
#include "request_given.h"

/* A fresh hit of that entry, answered. */
static struct request *
given_hit(const char *text, struct entry *own_entry)
{
    struct flight *flight = given_flight(GET);
    struct request *r = given_new(text);

    request_start(r);
    land(&flight,
        &(struct flight_result){.outcome = FLIGHT_ENTRY, .entry = own_entry});
    assert_int_equal(bench.responses, 1);
    return r;
}

/* The same for a request of any kind, as if it had looked for itself. */
static struct request *
given_particular(const char *text, struct entry *own_entry)
{
    struct request *r = given_new(text);

    assert_int_equal(question_read(r->q).status, 0);
    r->wake = WAKE_LOOKUP;
    request_wake(
        r, WAKE_LOOKUP, request_deliver_hit(r, own_entry, TIER_SHARED));
    return r;
}

static struct entry *
given_aged(
    unsigned status, int64_t age_ms, const char *fields, const char *body)
{
    const struct codec_parts parts = {
        .status = (uint16_t)status,
        .key = SLICE(KEY),
        .created_ms = worker_wall_ms(&bench.worker) - age_ms,
        .fresh_until_ms = worker_wall_ms(&bench.worker) + 9500,
        .stale_until_ms = worker_wall_ms(&bench.worker) + 9500,
        .fields = slice_of_str(fields),
        .body = slice_of_str(body),
    };

    return given_entry(&parts);
}

static struct entry *
given_parts(unsigned status, const char *fields, const char *body)
{
    return given_aged(status, 65000, fields, body);
}

/* --- from an entry ----------------------------------------------------- */

static void
an_entry_brings_its_fields_and_gets_age_via_and_cache_status(void **state)
{
    struct request *r = given_hit(GET, given_parts(200, "x: 1\r\n", "abc"));

    (void)state;
    assert_int_equal(bench.response->status, 200);
    assert_true(slice_eq(bench.response->fields, SLICE("x: 1\r\n")));
    assert_true(bench.response->has_length);
    assert_int_equal(bench.response->length, 3);
    assert_true(bench.response->has_body);
    assert_false(bench.response->is_last);
    assert_body(r, "abc");
    assert_true(slice_eq(bench.response->extra,
        SLICE("age: 65\r\nvia: 1.1 near\r\n"
              "cache-status: near; hit; ttl=9; detail=memory\r\n")));
    request_on_sent(r, 3);
}

/* The clock of another machine, or of this one, was set. */
static void
an_entry_of_the_future_has_the_age_0(void **state)
{
    struct entry *entry = given_aged(200, -1500, "x: 1\r\n", "abc");
    struct request *r;

    (void)state;
    r = given_hit(GET, entry);
    assert_extra("age: 0\r\n");
    request_on_sent(r, 3);
}

static void
cache_status_is_as_the_route_wants_it(void **state)
{
    static const struct {
        enum route_cache_status how;
        const char *want;
    } rows[] = {
        {ROUTE_CACHE_STATUS_ON, "cache-status: near; hit; ttl=9; detail=me"},
        {ROUTE_CACHE_STATUS_KEY, "cache-status: near; hit; ttl=9; key=\"" KEY},
        {ROUTE_CACHE_STATUS_OFF, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *r;

        bench.rules.routes[ROW_ANY].cache_status = rows[i].how;
        bench.responses = 0;
        r = given_hit(GET, given_parts(200, "x: 1\r\n", "abc"));
        if (rows[i].want != NULL) {
            assert_extra(rows[i].want);
        } else {
            assert_no_extra("cache-status");
        }
        assert_extra("via: 1.1 near\r\n");
        request_on_sent(r, 3);
    }
}

/* For which requests there is a body, and what its length says. */
static void
a_status_or_a_method_without_content_has_no_body(void **state)
{
    static const struct {
        const char *line;
        unsigned status;
        const char *body;
        bool has_body;
    } rows[] = {
        {REQUEST("GET /any/x"), 200, "abc", true},
        {REQUEST("GET /any/x"), 404, "abc", true},
        {REQUEST("GET /any/x"), 204, "", false},
        {REQUEST("HEAD /any/x"), 200, "abc", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *r = given_particular(
            rows[i].line, given_parts(rows[i].status, "", rows[i].body));

        assert_int_equal(bench.response->status, rows[i].status);
        assert_int_equal(bench.response->has_body, rows[i].has_body);
        assert_int_equal(bench.response->length, strlen(rows[i].body));
        assert_body(r, rows[i].has_body ? rows[i].body : "");
        request_on_sent(r, 3);
    }
}

#define WITH(line, field)                                                      \
    line " HTTP/1.1\r\nHost: a.example\r\n" field "\r\n\r\n"
#define STORED                                                                 \
    "etag: \"v1\"\r\ncontent-type: a/b\r\ncache-control: max-age=75\r\n"

/* RFC 9110 13.2 and 14.2, as far as an answer shows them. */
static void
a_condition_or_a_range_is_answered_from_the_entry(void **state)
{
    static const struct {
        const char *text;
        unsigned status;
        const char *body; /* NULL: it has none */
        uint64_t length;
        const char *extra;     /* a line of its own */
        bool has_content_type; /* the fields of the entry, all */
        bool has_etag;
    } rows[] = {
        {WITH("GET /any/x", "If-None-Match: \"v1\""), 304, NULL, 0,
            "age: 65\r\n", false, true},
        {WITH("GET /any/x", "If-None-Match: \"v2\""), 200, "abcdef", 6,
            "age: 65\r\n", true, true},
        {WITH("GET /any/x", "Range: bytes=2-3"), 206, "cd", 2,
            "content-range: bytes 2-3/6\r\n", true, true},
        {WITH("GET /any/x", "Range: bytes=-1"), 206, "f", 1,
            "content-range: bytes 5-5/6\r\n", true, true},
        {WITH("GET /any/x", "Range: bytes=0-0\r\nIf-Range: \"v1\""), 206, "a",
            1, "content-range: bytes 0-0/6\r\n", false, true},
        {WITH("GET /any/x", "Range: bytes=0-0\r\nIf-Range: \"v2\""), 200,
            "abcdef", 6, "age: 65\r\n", true, true},
        {WITH("GET /any/x", "Range: bytes=6-"), 416, "", 0,
            "content-range: bytes */6\r\n", false, false},
        {WITH("GET /any/x", "Range: bytes=0-1,3-4"), 200, "abcdef", 6,
            "age: 65\r\n", true, true},
        {WITH("HEAD /any/x", "Range: bytes=2-3"), 200, NULL, 6, "age: 65\r\n",
            true, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *r =
            given_particular(rows[i].text, given_parts(200, STORED, "abcdef"));
        struct slice fields = bench.response->fields;

        assert_int_equal(bench.response->status, rows[i].status);
        assert_int_equal(bench.response->has_body, rows[i].body != NULL);
        assert_int_equal(bench.response->has_length, rows[i].status != 304);
        if (bench.response->has_length) {
            assert_int_equal(bench.response->length, rows[i].length);
        }
        assert_body(r, rows[i].body == NULL ? "" : rows[i].body);
        assert_extra(rows[i].extra);
        assert_int_equal(
            memmem(fields.ptr, fields.len, "content-type", 12) != NULL,
            rows[i].has_content_type);
        assert_int_equal(memmem(fields.ptr, fields.len, "etag", 4) != NULL,
            rows[i].has_etag);
        if (rows[i].status == 416) {
            assert_no_extra("age:");
            assert_extra("date: ");
        }
        request_on_sent(r, 0);
    }
}

static void
without_memory_for_its_lines_an_answer_is_503(void **state)
{
    struct flight *flight = given_flight(GET);
    struct request *r = given_new(GET);
    struct entry *entry = given_stored(KEY);

    (void)state;
    request_start(r);
    arena_fini(&r->arena);
    arena_init(&r->arena, 200);
    land(&flight, &(struct flight_result){
                      .outcome = FLIGHT_ENTRY, .entry = entry_ref(entry)});
    assert_int_equal(bench.response->status, 503);
    assert_body(r, "503 Service Unavailable: no-memory\n");
    assert_null(r->hit);
    assert_int_equal(atomic_load(&entry->refs), 1);
    request_on_sent(r, 0);
    entry_unref(&entry);
}

/* --- from a fill ------------------------------------------------------- */

/* To one who joins the flight before it has landed, the origin's own Age is
   true; who comes later counts on from there. */
static void
a_fill_brings_the_origins_age_or_counts_on_from_it(void **state)
{
    (void)state;
    for (int is_late = 0; is_late < 2; is_late++) {
        struct flight *flight = given_flight(GET);
        struct request *r = given_new(GET);
        struct fill *fill = given_fill(200, "abc", true);
        int64_t now_ms = worker_wall_ms(&bench.worker);
        const struct flight_result result = {.outcome = FLIGHT_FILL,
            .fill = fill,
            .is_stored = true,
            .created_ms = now_ms - 12000,
            .fresh_until_ms = now_ms + 60000};

        if (is_late) {
            flight_resolve(bench.collapse.flights, flight, &result, true);
            request_start(r);
            flight_close(bench.collapse.flights, flight);
            flight_unref(&flight);
            loop_turn(bench.worker.loop, 0);
        } else {
            request_start(r);
            land(&flight, &result);
        }
        assert_moves(r, "ask flight landed deliver_fill");
        assert_int_equal(bench.response->status, 200);
        assert_true(slice_eq(bench.response->fields, SLICE("x: 2\r\n")));
        assert_int_equal(bench.response->length, 3);
        assert_body(r, "abc");
        assert_extra(is_late ? "age: 12\r\n" : "age: 7\r\n");
        assert_extra("cache-status: near; fwd=uri-miss; stored; collapsed\r\n");
        request_on_sent(r, 3);
    }
}

static void
without_memory_for_its_lines_a_fill_is_let_go_of(void **state)
{
    struct flight *flight = given_flight(GET);
    struct request *r = given_new(GET);
    struct fill *fill = given_fill(200, "abc", true);

    (void)state;
    request_start(r);
    arena_fini(&r->arena);
    arena_init(&r->arena, 200);
    land(&flight, &(struct flight_result){.outcome = FLIGHT_FILL,
                      .fill = fill_ref(fill),
                      .fresh_until_ms = INT64_MAX});
    assert_int_equal(bench.response->status, 503);
    assert_false(fill_has_readers(fill));
    request_on_sent(r, 0);
    assert_int_equal(fill_sharers(fill), 1);
    fill_unref(&fill);
}

/* --- our own ----------------------------------------------------------- */

static void
what_we_refuse_says_why_and_whether_more_is_read(void **state)
{
    static const struct {
        unsigned status;
        const char *detail;
        const char *body;
        const char *extra;
        bool is_last;
    } rows[] = {
        {400, "framing", "400 Bad Request: framing\n",
            "proxy-status: near; error=http_request_error\r\n", true},
        {408, "head_timeout", "408 Request Timeout: head_timeout\n",
            "error=http_request_error", true},
        {413, NULL, "413 Content Too Large\n", "error=http_request_error",
            true},
        {414, NULL, "414 URI Too Long\n", "error=http_request_error", true},
        {431, NULL, "431 Request Header Fields Too Large\n",
            "error=http_request_error", true},
        {404, "no-route", "404 Not Found: no-route\n",
            "error=destination_not_found", false},
        {421, "host", "421 Misdirected Request: host\n",
            "error=proxy_internal_response", false},
        {503, "no-memory", "503 Service Unavailable: no-memory\n",
            "retry-after: 1\r\nproxy-status: near; error=proxy_internal_error",
            false},
        {504, "only-if-cached", "504 Gateway Timeout: only-if-cached\n",
            "error=proxy_internal_response", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *r = given_new(REQUEST("GET /item/1"));

        assert_int_equal(question_read(r->q).status, 0);
        request_refuse(r, rows[i].status, rows[i].detail, NULL);
        assert_int_equal(bench.response->status, rows[i].status);
        assert_body(r, rows[i].body);
        assert_int_equal(bench.response->length, strlen(rows[i].body));
        assert_extra("date: ");
        assert_extra(rows[i].extra);
        assert_no_extra("cache-status");
        assert_no_extra("allow");
        assert_int_equal(
            strncmp(rows[i].extra, "retry", 5) == 0, rows[i].status == 503);
        assert_int_equal(bench.response->is_last, rows[i].is_last);
        assert_int_equal(r->result, RESULT_ERROR);
        request_on_sent(r, 0);
    }
}

static void
a_405_names_what_the_route_allows_and_a_head_gets_no_body(void **state)
{
    struct request *r = given_new(REQUEST("DELETE /item/1"));

    (void)state;
    request_start(r);
    assert_extra("allow: GET, PUT, POST\r\n");
    assert_extra("error=proxy_internal_response");
    request_on_sent(r, 0);
    r = given_new(REQUEST("HEAD /item/1"));
    request_refuse(r, 400, NULL, NULL);
    assert_false(bench.response->has_body);
    assert_int_equal(bench.response->length, strlen("400 Bad Request\n"));
    assert_no_extra("allow");
    request_on_sent(r, 0);
}

static void
an_error_of_the_origin_is_named_as_such(void **state)
{
    struct flight *flight = given_flight(GET);
    struct request *r = given_new(GET);

    (void)state;
    request_start(r);
    land(&flight, &(struct flight_result){.outcome = FLIGHT_ERROR,
                      .error = ORIGIN_ERROR_FIRST_BYTE});
    assert_int_equal(bench.response->status, 504);
    assert_extra("error=http_response_timeout\r\n");
    assert_no_extra("retry-after");
    assert_int_equal(r->result, RESULT_ERROR);
    request_on_sent(r, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_entry_brings_its_fields_and_gets_age_via_and_cache_status),
        TEST(an_entry_of_the_future_has_the_age_0),
        TEST(cache_status_is_as_the_route_wants_it),
        TEST(a_status_or_a_method_without_content_has_no_body),
        TEST(a_condition_or_a_range_is_answered_from_the_entry),
        TEST(without_memory_for_its_lines_an_answer_is_503),
        TEST(a_fill_brings_the_origins_age_or_counts_on_from_it),
        TEST(without_memory_for_its_lines_a_fill_is_let_go_of),
        TEST(what_we_refuse_says_why_and_whether_more_is_read),
        TEST(a_405_names_what_the_route_allows_and_a_head_gets_no_body),
        TEST(an_error_of_the_origin_is_named_as_such),
    };

    return cmocka_run_group_tests_name("request deliver", tests, NULL, NULL);
}
