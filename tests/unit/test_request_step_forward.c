/*
 * What the origin answers for one request alone, and writes (step_forward.c),
 * with a real Redis and an origin whose answers the test writes.
 */
#include "request_stored_given.h"

#define KEPT  ENTRY_OF("/any/x")
#define LEASE LEASE_OF("/any/x")
#define OK    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static void
given_kept(uint16_t flags, int64_t fresh_ms)
{
    int64_t now_ms = worker_wall_ms(&bench.worker);
    const struct codec_parts parts = {
        .status = 200,
        .flags = flags,
        .key = SLICE(KEY),
        .created_ms = now_ms - 65000,
        .fresh_until_ms = now_ms + fresh_ms,
        .stale_until_ms = now_ms + 60000,
        .fields = SLICE("etag: \"v1\"\r\n"),
        .body = SLICE("abc"),
    };

    given_value_at(KEPT, &parts);
}

/* The origin has been asked, and has not answered. */
static struct request *
given_asked(const char *text)
{
    struct request *r = given_new(text);

    request_start(r);
    if (r->q->has_body) {
        UNTIL(bench.wants > 0);
        assert_int_equal(request_on_body(r, SLICE("12345")), 5);
        request_on_body_end(r);
    }
    await_asked();
    return r;
}

/* Whatever it answers, its connection is not for the next request. */
static void
hang_up(void)
{
    close(bench.fd);
    bench.fd = -1;
}

static void
await_answered(struct request *r)
{
    UNTIL(r->status != 0);
}

static void
over(struct request *r)
{
    request_on_sent(r, 0);
    if (bench.fd >= 0) {
        hang_up();
    }
    UNTIL(nothing_is_sent(&bench.worker));
    UNTIL(list_is_empty(&bench.worker.tier->deletions));
}

/* --- reads ------------------------------------------------------------- */

static void
what_is_for_one_request_alone_is_passed_on(void **state)
{
    static const struct slice targeted = {"cdn-cache-control", 17};
    struct request *r;

    (void)state;
    bench.rules.routes[ROW_PASS].targeted = &targeted;
    bench.rules.routes[ROW_PASS].targeted_len = 1;
    r = given_asked(REQUEST("GET /pass/x"));
    say("HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n");
    UNTIL(bench.interim[0] != '\0');
    assert_string_equal(bench.interim, "103 link: </a>\r\n");
    say("HTTP/1.1 201 Made\r\nCDN-Cache-Control: max-age=9\r\n"
        "Content-Length: 2\r\n\r\nok");
    await_answered(r);
    assert_moves(r, "ask forward deliver_fill");
    assert_int_equal(bench.response->status, 201);
    assert_int_equal(bench.response->length, 2);
    assert_int_equal(r->tier, TIER_ORIGIN);
    assert_int_equal(r->fwd_status, 201);
    assert_null(memmem(bench.response->fields.ptr, bench.response->fields.len,
        "cdn-cache-control", 17));
    over(r);
}

static void
the_answer_to_a_head_has_no_body(void **state)
{
    struct request *r = given_new(REQUEST("HEAD /pass/x"));

    (void)state;
    request_start(r);
    await_asked();
    say("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
    await_answered(r);
    assert_false(bench.response->has_body);
    assert_true(bench.response->has_length);
    assert_int_equal(bench.response->length, 7);
    over(r);
}

/* It renews or deletes what was found; another spelling's does neither. */
static void
the_answer_to_a_head_updates_what_is_stored(void **state)
{
    static const struct {
        const char *line;
        const char *tag;
        bool is_stored;
        bool is_kept;
    } rows[] = {
        {REQUEST("HEAD /any/x"), "\"v1\"", true, true},
        {REQUEST("HEAD /any/x"), "\"v2\"", false, false},
        {REQUEST("HEAD /any/%78"), "\"v2\"", false, true},
        {"GET /any/x HTTP/1.1\r\nHost: a.example\r\nRange: bytes=0-1\r\n\r\n",
            "\"v2\"", false, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *r;
        char text[128];

        given_kept(0, -1);
        r = given_asked(rows[i].line);
        snprintf(text, sizeof(text),
            "HTTP/1.1 200 OK\r\nETag: %s\r\nCache-Control: max-age=60\r\n"
            "Content-Length: 3\r\n\r\n",
            rows[i].tag);
        say(text);
        await_answered(r);
        assert_moves(r, "ask lookup forward deliver_fill");
        assert_int_equal(r->is_stored, rows[i].is_stored);
        over(r);
        assert_int_equal(exists(KEPT), rows[i].is_kept);
    }
}

/* --- failures ---------------------------------------------------------- */

/* By a lookup of the request's own something was found. */
static void
what_was_found_stands_in_where_it_may(void **state)
{
    static const struct {
        int64_t grace_ms;
        uint16_t flags;
        const char *answer; /* NULL: it hangs up */
        unsigned status;
        const char *moves;
    } rows[] = {
        {60000, 0, NULL, 200, "deliver_entry"},
        {60000, 0, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", 200,
            "deliver_entry"},
        {60000, 0, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", 404,
            "deliver_fill"},
        {0, 0, NULL, 502, "deliver_error"},
        {0, 0, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", 503,
            "deliver_fill"},
        {60000, ENTRY_NEVER_STALE, NULL, 504, "deliver_error"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *r;
        char moves[64];

        bench.rules.routes[ROW_ANY].grace_ms = rows[i].grace_ms;
        given_kept(rows[i].flags, -1);
        r = given_asked(REQUEST("HEAD /any/x"));
        if (rows[i].answer != NULL) {
            say(rows[i].answer);
        } else { /* and once more: a HEAD may be tried again */
            hang_up();
        }
        await_answered(r);
        snprintf(moves, sizeof(moves), "ask lookup forward %s", rows[i].moves);
        assert_moves(r, moves);
        assert_int_equal(bench.response->status, rows[i].status);
        assert_int_equal(r->result == RESULT_STALE, rows[i].status == 200);
        /* The origin's own answer is not waited for. */
        assert_false(rows[i].status == 200 && r->fetch.magic != 0);
        over(r);
    }
}

static void
without_memory_a_request_is_503_and_asks_nobody(void **state)
{
    struct request *r = given_new(REQUEST("GET /pass/x"));

    (void)state;
    arena_fini(&r->arena);
    arena_init(&r->arena, 16);
    request_start(r);
    assert_moves(r, "ask forward deliver_error");
    assert_int_equal(bench.response->status, 503);
    assert_int_equal(
        bench.worker.block->cells[bench.metrics.limits[LIMIT_MEMORY]], 1);
    request_on_sent(r, 0);
}

/* --- writes ------------------------------------------------------------ */

#define PUT                                                                    \
    "PUT /any/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\n"

static void
a_write_that_may_have_been_done_deletes_before_it_is_answered(void **state)
{
    static const struct {
        const char *text;
        const char *answer; /* NULL: it hangs up */
        const char *moves;
        unsigned status;
        bool is_kept;
    } rows[] = {
        {PUT, OK, "ask forward invalidate deliver_fill", 200, false},
        {REQUEST("DELETE /any/x"), OK, "ask forward invalidate deliver_fill",
            200, false},
        {PUT, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
            "ask forward deliver_fill", 404, true},
        /* Nobody knows. */
        {PUT, NULL, "ask forward invalidate deliver_error", 502, false},
        {REQUEST("PUT /quiet/x"), OK, "ask forward deliver_fill", 200, true},
        {REQUEST("PUT /quiet/x"), NULL, "ask forward deliver_error", 502, true},
        {REQUEST("GET /pass/x"), NULL, "ask forward deliver_error", 502, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *r;

        given_kept(0, 9000);
        r = given_asked(rows[i].text);
        assert_true(exists(KEPT));
        if (rows[i].answer != NULL) {
            say(rows[i].answer);
        } else {
            hang_up();
        }
        await_answered(r);
        assert_moves(r, rows[i].moves);
        assert_int_equal(bench.response->status, rows[i].status);
        assert_int_equal(exists(KEPT), rows[i].is_kept);
        over(r);
    }
}

/* It was never sent, so it was not done. */
static void
a_write_that_reaches_no_origin_deletes_nothing(void **state)
{
    struct request *r = given_new(PUT);

    (void)state;
    given_kept(0, 9000);
    close(bench.listen_fd);
    bench.listen_fd = -1;
    request_start(r);
    await_answered(r);
    assert_moves(r, "ask forward deliver_error");
    assert_int_equal(r->error, ORIGIN_ERROR_REFUSED);
    assert_true(exists(KEPT));
    over(r);
}

/* Whose client leaves when its write has been sent, will not hear of it. */
static void
a_write_that_nobody_waits_for_deletes_once_it_is_sent(void **state)
{
    (void)state;
    for (int is_sent = 0; is_sent < 2; is_sent++) {
        struct request *r = given_new(PUT);

        given_kept(0, 9000);
        request_start(r);
        await_asked();
        assert_int_equal(request_on_body(r, SLICE("12345")), 5);
        if (is_sent) {
            request_on_body_end(r);
        }
        request_on_gone(r, 0);
        hang_up();
        UNTIL(list_is_empty(&bench.worker.tier->deletions));
        assert_int_equal(exists(KEPT), !is_sent);
    }
}

/* --- posts that are stored --------------------------------------------- */

#define POST                                                                   \
    "POST /any/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\n"
#define STORABLE "Cache-Control: max-age=60\r\nContent-Location: /any/x\r\n"

/* As a client takes it that keeps up. */
static bool
is_read_whole(struct request *r)
{
    struct iovec iov;

    while (source_peek(&r->source, &iov, 1) == 1) {
        source_advance(&r->source, iov.iov_len);
    }
    return !fetch_is_active(&r->fetch);
}

/* Under the lease that it has taken before it was sent. */
static void
a_post_is_stored_if_it_has_the_lease_and_its_answer_is_whole(void **state)
{
    static const struct {
        bool is_taken; /* the lease, by another */
        const char *answer;
        bool hangs_up;
        bool is_stored; /* as it is told */
        bool is_kept;   /* as it is */
    } rows[] = {
        {false, "HTTP/1.1 200 OK\r\n" STORABLE "Content-Length: 2\r\n\r\nok",
            false, true, true},
        {true, "HTTP/1.1 200 OK\r\n" STORABLE "Content-Length: 2\r\n\r\nok",
            false, false, false},
        {false, OK, false, false, false},
        {false, "HTTP/1.1 200 OK\r\n" STORABLE "Content-Length: 3\r\n\r\nok",
            true, true, false},
        /* What follows its end makes that doubtful. */
        {false, "HTTP/1.1 200 OK\r\n" STORABLE "Content-Length: 2\r\n\r\nok?",
            false, false, false},
        /* It ends where the connection does, and nobody knows where that was
           meant to be. */
        {false, "HTTP/1.1 200 OK\r\n" STORABLE "\r\nok", true, false, false},
        /* More than object_max, which its head does not say. */
        {false,
            "HTTP/1.1 200 OK\r\n" STORABLE "Transfer-Encoding: chunked\r\n\r\n"
            "3c\r\n123456789 123456789 123456789 123456789 123456789 123456789 "
            "\r\n3c\r\n123456789 123456789 123456789 123456789 123456789 "
            "123456789 \r\n0\r\n\r\n",
            false, false, false},
    };

    (void)state;
    bench.rules.routes[ROW_ANY].stores_post = true;
    bench.rules.conf->opts.limits.object_max = 100;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *r;
        char out[16];

        bench.wants = 0;
        assert_true(ask(redis_server, out, sizeof(out), "FLUSHALL"));
        if (rows[i].is_taken) {
            assert_true(
                ask(redis_server, out, sizeof(out), "SET %s other", LEASE));
        }
        r = given_asked(POST);
        assert_true(exists(LEASE));
        say(rows[i].answer);
        await_answered(r);
        assert_moves(r, "ask post forward invalidate deliver_fill");
        assert_int_equal(r->is_stored, rows[i].is_stored);
        if (rows[i].hangs_up) {
            hang_up();
        }
        UNTIL(is_read_whole(r));
        over(r);
        assert_int_equal(exists(KEPT), rows[i].is_kept);
        assert_false(exists(LEASE));
    }
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, redis_setup, redis_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_for_one_request_alone_is_passed_on),
        TEST(the_answer_to_a_head_has_no_body),
        TEST(the_answer_to_a_head_updates_what_is_stored),
        TEST(what_was_found_stands_in_where_it_may),
        TEST(without_memory_a_request_is_503_and_asks_nobody),
        TEST(a_write_that_may_have_been_done_deletes_before_it_is_answered),
        TEST(a_write_that_reaches_no_origin_deletes_nothing),
        TEST(a_write_that_nobody_waits_for_deletes_once_it_is_sent),
        TEST(a_post_is_stored_if_it_has_the_lease_and_its_answer_is_whole),
    };

    servers_guard();
    return cmocka_run_group_tests_name(
        "request step forward", tests, NULL, NULL);
}
