/* Answers: their framing, how they leave in any pieces, and what becomes of
   one that fails. */
#include "caller_given.h"

#define BEGIN    "HTTP/1.1 200 OK\r\nx: 1\r\ny: 2\r\n"
#define OK       BEGIN "content-length: 2\r\n\r\nok"
#define CHUNKED  "HTTP/1.1 200 OK\r\nx: 1\r\ntransfer-encoding: chunked\r\n\r\n"
#define HTTP_1_0 "GET /a HTTP/1.0\r\nHost: a\r\n\r\n"
#define HTTP_1_0_STAYS                                                         \
    "GET /a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
#define GET_LAST "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
#define HINTS    "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"

/* --- framing ----------------------------------------------------------- */

static void
respond_now(struct request *r, const struct response *response)
{
    r->response = *response;
    r->stream->ops->respond(r->stream, &r->response);
}

static void
an_answer_without_a_body_is_its_head(void **state)
{
    static const struct {
        struct response response;
        const char *want;
    } rows[] = {
        /* HEAD, 304: the length that a body would have. */
        {{.status = 200, .has_length = true, .length = 1234},
            "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n"},
        {{.status = 304, .has_length = true, .length = 1234},
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 1234\r\n\r\n"},
        {{.status = 200}, "HTTP/1.1 200 OK\r\n\r\n"},
        /* RFC 9110 8.6: none in a 204. */
        {{.status = 204, .has_length = true},
            "HTTP/1.1 204 No Content\r\n\r\n"},
    };
    struct caller c = caller_new();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *r = asks(&c, GET("/a"));

        respond_now(r, &rows[i].response);
        assert_got(&c, rows[i].want);
        assert_int_equal(r->end, REQUEST_SENT);
        assert_int_equal(r->body_bytes, 0);
        assert_idle(&c);
    }
    leaves(&c);
}

/* The head is made at once, and nothing leaves before the turn's end. */
static void
an_answer_leaves_at_the_end_of_the_turn(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a"));
    char byte;

    (void)state;
    answer(r, "ok");
    assert_int_equal(r->end, REQUEST_OPEN);
    assert_int_equal(recv(c.fd, &byte, 1, 0), -1);
    assert_got(&c, OK);
    leaves(&c);
}

static void
connections_that_stay_and_end_are_told_so(void **state)
{
    static const struct {
        const char *head;
        const char *line;
        bool stays;
    } rows[] = {
        {GET("/a"), "", true},
        {GET_LAST, "connection: close\r\n", false},
        {HTTP_1_0, "connection: close\r\n", false},
        {HTTP_1_0_STAYS, "connection: keep-alive\r\n", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct caller c = caller_new();
        struct request *r = asks(&c, rows[i].head);
        char want[256];

        answer(r, "ok");
        snprintf(want, sizeof(want), BEGIN "content-length: 2\r\n%s\r\nok",
            rows[i].line);
        assert_got(&c, want);
        assert_int_equal(r->end, REQUEST_SENT);
        if (rows[i].stays) {
            assert_idle(&c);
        } else {
            assert_lingers(&c);
        }
        leaves(&c);
    }
}

static void
a_body_of_unknown_length_is_chunked(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a"));
    struct fill *fill = given_fill();

    (void)state;
    answer_fill(r, fill, -1);
    assert_got(&c, CHUNKED);
    append(fill, "a");
    assert_got(&c, "1\r\na");
    assert_false(is_awaited(c.other, EV_WRITE));
    append(fill, "0123456789abcdef");
    assert_got(&c, "\r\n10\r\n0123456789abcdef");
    fill_finish(fill, FILL_COMPLETE);
    assert_got(&c, "\r\n0\r\n\r\n");
    assert_int_equal(r->end, REQUEST_SENT);
    assert_int_equal(r->body_bytes, 17);
    assert_idle(&c);
    fill_unref(&fill);
    leaves(&c);
}

static void
the_last_chunk_comes_once(void **state)
{
    static const struct {
        const char *body;
        const char *want;
    } rows[] = {
        {"", CHUNKED "0\r\n\r\n"},
        {"abc", CHUNKED "3\r\nabc\r\n0\r\n\r\n"},
    };
    struct caller c = caller_new();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fill *fill = given_fill();
        struct request *r = asks(&c, GET("/a"));

        append(fill, rows[i].body);
        fill_finish(fill, FILL_COMPLETE);
        answer_fill(r, fill, -1);
        assert_got(&c, rows[i].want);
        assert_idle(&c);
        fill_unref(&fill);
    }
    leaves(&c);
}

static void
for_http_1_0_the_end_of_the_connection_ends_a_body(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, HTTP_1_0_STAYS);
    struct fill *fill = given_fill();

    (void)state;
    answer_fill(r, fill, -1);
    append(fill, "a");
    assert_got(&c, "HTTP/1.1 200 OK\r\nx: 1\r\nconnection: close\r\n\r\na");
    append(fill, "b");
    assert_got(&c, "b");
    fill_finish(fill, FILL_COMPLETE);
    assert_got(&c, "");
    assert_int_equal(r->body_bytes, 2);
    assert_lingers(&c);
    fill_unref(&fill);
    leaves(&c);
}

static void
a_body_of_known_length_comes_as_it_is(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a"));
    struct fill *fill = given_fill();

    (void)state;
    append(fill, "ab");
    answer_fill(r, fill, 4);
    assert_got(&c, "HTTP/1.1 200 OK\r\nx: 1\r\ncontent-length: 4\r\n\r\nab");
    append(fill, "cd");
    assert_got(&c, "cd");
    assert_int_equal(r->end, REQUEST_OPEN);
    fill_finish(fill, FILL_COMPLETE);
    assert_got(&c, "");
    assert_int_equal(r->end, REQUEST_SENT);
    assert_int_equal(r->body_bytes, 4);
    assert_idle(&c);
    fill_unref(&fill);
    leaves(&c);
}

/* --- in pieces --------------------------------------------------------- */

/* What the answers below are of; 0: bytes, 1: chunks, 2: one, of a length. */
enum {
    KINDS = 3
};

static const char *const wholes[KINDS] = {
    HINTS BEGIN "content-length: 5\r\n\r\nhello",
    HINTS CHUNKED "5\r\nhello\r\n0\r\n\r\n",
    HINTS "HTTP/1.1 200 OK\r\nx: 1\r\ncontent-length: 5\r\n\r\nhello",
};

static struct request *
answered_as(const struct caller *c, int kind)
{
    struct request *r = asks(c, GET("/a"));
    struct fill *fill;

    interim(r, 103, "link: x\r\n");
    if (kind == 0) {
        answer(r, "hello");
        return r;
    }
    fill = given_fill();
    append(fill, "hello");
    fill_finish(fill, FILL_COMPLETE);
    answer_fill(r, fill, kind == 1 ? -1 : 5);
    fill_unref(&fill);
    return r;
}

static void
an_answer_may_leave_in_any_two_pieces(void **state)
{
    struct caller c = caller_new();

    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t at = 0; at < strlen(wholes[kind]); at++) {
            char want[256];
            struct request *r;

            bench.requests_len = 0;
            bench.room = (ssize_t)at;
            r = answered_as(&c, kind);
            snprintf(want, sizeof(want), "%.*s", (int)at, wholes[kind]);
            assert_got(&c, want);
            assert_int_equal(r->end, REQUEST_OPEN);
            assert_true(r->blocked > 0);
            assert_true(is_awaited(c.other, EV_WRITE));
            bench.room = -1;
            assert_got(&c, wholes[kind] + at);
            assert_int_equal(r->end, REQUEST_SENT);
            assert_int_equal(r->body_bytes, 5);
            assert_false(is_awaited(c.other, EV_WRITE));
        }
    }
    leaves(&c);
}

static void
an_answer_may_leave_byte_by_byte(void **state)
{
    struct caller c = caller_new();

    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        struct request *r;

        bench.room = 0;
        r = answered_as(&c, kind);
        turns();
        for (const char *at = wholes[kind]; *at != '\0'; at++) {
            char want[] = {*at, '\0'};

            assert_int_equal(r->end, REQUEST_OPEN);
            bench.room = 1;
            assert_got(&c, want);
        }
        assert_int_equal(r->end, REQUEST_SENT);
        assert_int_equal(r->body_bytes, 5);
    }
    leaves(&c);
}

/* Not of the head, nor of chunked coding: of the body that has left. */
static void
what_was_sent_of_a_body_is_told_when_the_client_goes(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        size_t begin = (size_t)(strstr(wholes[kind], "hello") - wholes[kind]);

        for (size_t at = 0; at < strlen(wholes[kind]); at++) {
            struct caller c = caller_new();
            struct request *r;
            size_t want = at < begin ? 0 : at - begin;

            bench.requests_len = 0;
            bench.room = (ssize_t)at;
            r = answered_as(&c, kind);
            (void)got(&c);
            bench.room = -1;
            leaves(&c);
            assert_int_equal(r->end, REQUEST_GONE);
            assert_int_equal(r->body_bytes, want < 5 ? want : 5);
            assert_int_equal(connections(), 0);
        }
    }
}

/* More comes while a part waits: neither is lost, nor is any twice. */
static void
what_comes_while_a_part_waits_follows_it(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a"));
    struct fill *fill = given_fill();

    (void)state;
    append(fill, "abc");
    bench.room = (ssize_t)(sizeof(CHUNKED "3\r\nab") - 1);
    answer_fill(r, fill, -1);
    assert_got(&c, CHUNKED "3\r\nab");
    append(fill, "de");
    turns();
    bench.room = 2;
    assert_got(&c, "c\r");
    fill_finish(fill, FILL_COMPLETE);
    bench.room = -1;
    assert_got(&c, "\n2\r\nde\r\n0\r\n\r\n");
    assert_int_equal(r->end, REQUEST_SENT);
    assert_int_equal(r->body_bytes, 5);
    fill_unref(&fill);
    leaves(&c);
}

/* A client that reads as fast as it is written to does not hold up others. */
static void
a_long_answer_leaves_in_several_turns(void **state)
{
    static char body[3 << 20];
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a"));
    struct fill *fill = given_fill();

    (void)state;
    answer_fill(r, fill, sizeof(body));
    (void)got(&c);
    bench.is_sink = true;
    bench.writes = 0;
    assert_int_equal(
        fill_append(fill, slice_of(body, sizeof(body))), sizeof(body));
    fill_finish(fill, FILL_COMPLETE);
    loop_turn(bench.loop, 0);
    assert_int_equal(bench.writes, 8);
    assert_int_equal(r->end, REQUEST_OPEN);
    assert_int_equal(r->blocked, 1);
    for (int i = 0; i < 100 && r->end == REQUEST_OPEN; i++) {
        loop_turn(bench.loop, 0);
        assert_true(bench.writes <= 8 * ((unsigned)i + 2));
    }
    assert_int_equal(r->end, REQUEST_SENT);
    assert_int_equal(r->body_bytes, sizeof(body));
    fill_unref(&fill);
    leaves(&c);
}

/* --- 1xx --------------------------------------------------------------- */

static void
interim_answers_come_before_the_answer(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a"));

    (void)state;
    interim(r, 103, "link: x\r\n");
    assert_got(&c, HINTS);
    assert_false(is_awaited(c.other, EV_WRITE));
    interim(r, 103, "link: x\r\n");
    interim(r, 103, "link: x\r\n");
    assert_got(&c, HINTS HINTS);
    answer(r, "ok");
    interim(r, 103, "link: x\r\n");
    assert_got(&c, OK);
    assert_idle(&c);
    leaves(&c);
}

static void
http_1_0_knows_no_interim_answers(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, HTTP_1_0);

    (void)state;
    interim(r, 103, "link: x\r\n");
    assert_got(&c, "");
    leaves(&c);
}

static void
an_interim_answer_leaves_when_the_socket_has_room(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a"));

    (void)state;
    for (size_t at = 0; at < sizeof(HINTS) - 1; at++) {
        bench.room = (ssize_t)at;
        interim(r, 103, "link: x\r\n");
        turns();
        assert_true(is_awaited(c.other, EV_WRITE));
        bench.room = -1;
        assert_got(&c, HINTS);
        assert_false(is_awaited(c.other, EV_WRITE));
    }
    answer(r, "ok");
    assert_got(&c, OK);
    leaves(&c);
}

/* Its client has not read those before. */
static void
interim_answers_beyond_the_room_for_them_are_dropped(void **state)
{
    struct caller c = caller_new();
    struct request *r;

    (void)state;
    limits()->head_max = 100;
    r = asks(&c, GET("/a"));
    bench.room = 0;
    for (int i = 0; i < 10; i++) {
        interim(r, 103, "link: x\r\n");
    }
    turns();
    bench.room = -1;
    assert_got(&c, HINTS HINTS);
    answer(r, "ok");
    assert_got(&c, OK);
    leaves(&c);
}

static void
a_client_that_goes_before_an_interim_answer_has_gone(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a"));

    (void)state;
    close(c.fd);
    interim(r, 103, "link: x\r\n");
    turns();
    assert_int_equal(r->end, REQUEST_GONE);
    assert_int_equal(connections(), 0);
}

/* --- what fails -------------------------------------------------------- */

static void
an_answer_that_fails_unseen_becomes_another(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a"));
    struct fill *fill = given_fill();

    (void)state;
    r->has_other = true;
    append(fill, "abc");
    answer_fill(r, fill, -1);
    fill_finish(fill, FILL_FAILED);
    assert_got(&c, "HTTP/1.1 502 Bad Gateway\r\nx: 1\r\n\r\n");
    assert_int_equal(r->end, REQUEST_SENT);
    assert_int_equal(r->body_bytes, 0);
    assert_idle(&c);
    fill_unref(&fill);
    leaves(&c);
}

static void
an_answer_that_fails_unseen_without_another_is_cut(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a"));
    struct fill *fill = given_fill();

    (void)state;
    answer_fill(r, fill, -1);
    fill_finish(fill, FILL_FAILED);
    assert_got(&c, "");
    assert_int_equal(r->end, REQUEST_GONE);
    assert_over(&c);
    fill_unref(&fill);
    leaves(&c);
}

/* Once a byte has left there is no other answer. */
static void
an_answer_that_fails_once_it_was_seen_is_cut(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a"));
    struct fill *fill = given_fill();

    (void)state;
    r->has_other = true;
    bench.room = 1;
    answer_fill(r, fill, -1);
    assert_got(&c, "H");
    bench.room = -1;
    append(fill, "abc");
    assert_got(&c, &(CHUNKED "3\r\nabc")[1]);
    fill_finish(fill, FILL_FAILED);
    assert_got(&c, "");
    assert_int_equal(r->end, REQUEST_GONE);
    assert_int_equal(r->body_bytes, 3);
    assert_over(&c);
    fill_unref(&fill);
    leaves(&c);
}

/* Neither is a body of the length that was announced. */
static void
a_body_longer_or_shorter_than_announced_is_cut(void **state)
{
    (void)state;
    for (int64_t length = 2; length <= 4; length += 2) {
        struct caller c = caller_new();
        struct request *r = asks(&c, GET("/a"));
        struct fill *fill = given_fill();

        answer_fill(r, fill, length);
        turns();
        append(fill, "abc");
        turns();
        fill_finish(fill, FILL_COMPLETE);
        (void)got(&c);
        assert_int_equal(r->end, REQUEST_GONE);
        assert_int_equal(r->body_bytes, length == 2 ? 0 : 3);
        assert_over(&c);
        fill_unref(&fill);
        leaves(&c);
    }
}

static void
an_answer_that_is_aborted_is_cut(void **state)
{
    struct caller c = caller_new();
    struct request *r = asks(&c, GET("/a"));

    (void)state;
    r->stream->ops->abort(r->stream);
    assert_int_equal(r->end, REQUEST_OPEN);
    /* What it still says is heard by nobody. */
    interim(r, 103, "link: x\r\n");
    answer(r, "ok");
    want(r, 1);
    r->stream->ops->abort(r->stream);
    assert_got(&c, "");
    assert_int_equal(r->end, REQUEST_GONE);
    assert_over(&c);
    leaves(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FRONT_TEST(an_answer_without_a_body_is_its_head),
        FRONT_TEST(an_answer_leaves_at_the_end_of_the_turn),
        FRONT_TEST(connections_that_stay_and_end_are_told_so),
        FRONT_TEST(a_body_of_unknown_length_is_chunked),
        FRONT_TEST(the_last_chunk_comes_once),
        FRONT_TEST(for_http_1_0_the_end_of_the_connection_ends_a_body),
        FRONT_TEST(a_body_of_known_length_comes_as_it_is),
        FRONT_TEST(an_answer_may_leave_in_any_two_pieces),
        FRONT_TEST(an_answer_may_leave_byte_by_byte),
        FRONT_TEST(what_was_sent_of_a_body_is_told_when_the_client_goes),
        FRONT_TEST(what_comes_while_a_part_waits_follows_it),
        FRONT_TEST(a_long_answer_leaves_in_several_turns),
        FRONT_TEST(interim_answers_come_before_the_answer),
        FRONT_TEST(http_1_0_knows_no_interim_answers),
        FRONT_TEST(an_interim_answer_leaves_when_the_socket_has_room),
        FRONT_TEST(interim_answers_beyond_the_room_for_them_are_dropped),
        FRONT_TEST(a_client_that_goes_before_an_interim_answer_has_gone),
        FRONT_TEST(an_answer_that_fails_unseen_becomes_another),
        FRONT_TEST(an_answer_that_fails_unseen_without_another_is_cut),
        FRONT_TEST(an_answer_that_fails_once_it_was_seen_is_cut),
        FRONT_TEST(a_body_longer_or_shorter_than_announced_is_cut),
        FRONT_TEST(an_answer_that_is_aborted_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
