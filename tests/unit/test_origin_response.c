/*
 * What an origin may answer and what it may not (receive.c, buffer.c): rows 94
 * to 106 of the table of malformed input, and their well-formed neighbours.
 * Each answer comes whole, byte by byte, and split at every offset, and has the
 * same outcome each time. The last tests do the same with a client that takes
 * content in small bites.
 */
#include "test_origin_peer.h"

enum after {
    STAYS,  /* the peer keeps the connection open */
    CLOSES, /* the peer ends it behind the answer */
    RESETS, /* the peer resets it behind the answer */
};

struct row {
    const char *name;
    enum method method; /* OTHER (0) stands for GET */
    struct slice answer;
    enum after after;
    enum origin_error error;
    unsigned status; /* of the final head; 0: none came */
    unsigned interims;
    const char *body; /* what was passed on, also before an error */
    bool is_pooled;
};

#define ANSWER(text) .answer = {text, sizeof(text) - 1}
#define OK_CL(n)     "HTTP/1.1 200 OK\r\nContent-Length: " n "\r\n"
#define OK_TE        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define HEAD_BAD     .error = ORIGIN_ERROR_HEAD
#define I103         "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

static const struct row rows[] = {
    /* well-formed */
    {.name = "length",
        ANSWER(OK_CL("5") "\r\nhello"),
        .status = 200,
        .body = "hello",
        .is_pooled = true},
    {.name = "length 0",
        ANSWER(OK_CL("0") "\r\n"),
        .status = 200,
        .is_pooled = true},
    {.name = "chunked",
        ANSWER(OK_TE "3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\nx-t: 1\r\n\r\n"),
        .status = 200,
        .body = "hello",
        .is_pooled = true},
    {.name = "connection: close is not pooled",
        ANSWER(OK_CL("2") "Connection: close\r\n\r\nhi"),
        .status = 200,
        .body = "hi"},
    {.name = "HTTP/1.0 is not pooled",
        ANSWER("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
        .status = 200,
        .body = "hi"},
    {.name = "HTTP/1.0 with keep-alive is pooled",
        ANSWER("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n"
               "Connection: keep-alive\r\n\r\nhi"),
        .status = 200,
        .body = "hi",
        .is_pooled = true},
    {.name = "100 is swallowed, 103 is told",
        ANSWER("HTTP/1.1 100 Continue\r\n\r\n" I103 OK_CL("2") "\r\nhi"),
        .status = 200,
        .interims = 1,
        .body = "hi",
        .is_pooled = true},
    {.name = "304",
        ANSWER("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"),
        .status = 304,
        .is_pooled = true},

    /* 94: length and coding */
    {.name = "CL and TE",
        ANSWER(OK_CL("5") "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        HEAD_BAD},
    {.name = "TE and CL",
        ANSWER("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
               "Content-Length: 5\r\n\r\n0\r\n\r\n"),
        HEAD_BAD},
    /* 95: bad, duplicate or comma length */
    {.name = "CL twice",
        ANSWER(OK_CL("5") "Content-Length: 5\r\n\r\nhello"),
        HEAD_BAD},
    {.name = "CL twice, different",
        ANSWER(OK_CL("5") "Content-Length: 6\r\n\r\nhello"),
        HEAD_BAD},
    {.name = "CL with comma", ANSWER(OK_CL("5, 5") "\r\nhello"), HEAD_BAD},
    {.name = "CL with sign", ANSWER(OK_CL("+5") "\r\nhello"), HEAD_BAD},
    {.name = "CL negative", ANSWER(OK_CL("-5") "\r\nhello"), HEAD_BAD},
    {.name = "CL hex", ANSWER(OK_CL("0x5") "\r\nhello"), HEAD_BAD},
    {.name = "CL empty", ANSWER(OK_CL("") "\r\nhello"), HEAD_BAD},
    {.name = "CL overflows",
        ANSWER(OK_CL("18446744073709551621") "\r\nhello"),
        HEAD_BAD},
    /* 96: coding not exactly chunked, or where none may be */
    {.name = "TE gzip",
        ANSWER("HTTP/1.1 200 OK\r\n"
               "Transfer-Encoding: gzip\r\n\r\nhello"),
        HEAD_BAD},
    {.name = "TE gzip, chunked",
        ANSWER("HTTP/1.1 200 OK\r\n"
               "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        HEAD_BAD},
    {.name = "TE chunked twice",
        ANSWER("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
               "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        HEAD_BAD},
    {.name = "TE identity",
        ANSWER("HTTP/1.1 200 OK\r\n"
               "Transfer-Encoding: identity\r\n\r\nhello"),
        HEAD_BAD},
    {.name = "TE on 103",
        ANSWER("HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n"
               "\r\n0\r\n\r\n"),
        HEAD_BAD},
    {.name = "TE on 204",
        ANSWER("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n"
               "\r\n0\r\n\r\n"),
        HEAD_BAD},
    {.name = "TE in HTTP/1.0",
        ANSWER("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n"
               "\r\n0\r\n\r\n"),
        HEAD_BAD},
    /* 97: folded lines, control bytes, bad names */
    {.name = "obs-fold", ANSWER(OK_CL("0") "A: b\r\n c\r\n\r\n"), HEAD_BAD},
    {.name = "NUL in value", ANSWER(OK_CL("0") "A: b\0c\r\n\r\n"), HEAD_BAD},
    {.name = "CR in value", ANSWER(OK_CL("0") "A: b\rc\r\n\r\n"), HEAD_BAD},
    {.name = "LF alone", ANSWER(OK_CL("0") "A: b\nC: d\r\n\r\n"), HEAD_BAD},
    {.name = "bad name", ANSWER(OK_CL("0") "A@b: c\r\n\r\n"), HEAD_BAD},
    {.name = "no colon", ANSWER(OK_CL("0") "Abc\r\n\r\n"), HEAD_BAD},
    /* 98: space before the colon */
    {.name = "space before colon",
        ANSWER("HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n"),
        HEAD_BAD},
    /* 99: status and version */
    {.name = "two digits", ANSWER("HTTP/1.1 20 OK\r\n\r\n"), HEAD_BAD},
    {.name = "four digits", ANSWER("HTTP/1.1 2000 OK\r\n\r\n"), HEAD_BAD},
    {.name = "no digits", ANSWER("HTTP/1.1 abc OK\r\n\r\n"), HEAD_BAD},
    {.name = "status 099", ANSWER("HTTP/1.1 099 No\r\n\r\n"), HEAD_BAD},
    {.name = "version 2", ANSWER("HTTP/2.0 200 OK\r\n\r\n"), HEAD_BAD},
    {.name = "lower-case version", ANSWER("http/1.1 200 OK\r\n\r\n"), HEAD_BAD},
    {.name = "not HTTP at all", ANSWER("SSH-2.0-OpenSSH_9.2\r\n"), HEAD_BAD},
    /* 100: spare bytes */
    {.name = "a second response",
        ANSWER(OK_CL("2") "\r\nhi" OK_CL("4") "\r\nevil"),
        .status = 200,
        .body = "hi"},
    {.name = "one byte more",
        ANSWER(OK_CL("2") "\r\nhi\n"),
        .status = 200,
        .body = "hi"},
    {.name = "bytes behind the last chunk",
        ANSWER(OK_TE "2\r\nhi\r\n0\r\n\r\nx"),
        .status = 200,
        .body = "hi"},
    /* 101: truncated */
    {.name = "length cut",
        ANSWER(OK_CL("5") "\r\nhell"),
        .after = CLOSES,
        .error = ORIGIN_ERROR_TRUNCATED,
        .status = 200,
        .body = "hell"},
    {.name = "length cut by a reset",
        ANSWER(OK_CL("5") "\r\nhell"),
        .after = RESETS,
        .error = ORIGIN_ERROR_TRUNCATED,
        .status = 200,
        .body = "hell"},
    {.name = "chunk cut",
        ANSWER(OK_TE "5\r\nhel"),
        .after = CLOSES,
        .error = ORIGIN_ERROR_TRUNCATED,
        .status = 200,
        .body = "hel"},
    {.name = "no last chunk",
        ANSWER(OK_TE "2\r\nhi\r\n"),
        .after = CLOSES,
        .error = ORIGIN_ERROR_TRUNCATED,
        .status = 200,
        .body = "hi"},
    {.name = "no end of trailers",
        ANSWER(OK_TE "2\r\nhi\r\n0\r\n"),
        .after = CLOSES,
        .error = ORIGIN_ERROR_TRUNCATED,
        .status = 200,
        .body = "hi"},
    {.name = "head cut",
        ANSWER("HTTP/1.1 200 OK\r\nConte"),
        .after = CLOSES,
        .error = ORIGIN_ERROR_TRUNCATED},
    {.name = "nothing behind a 103",
        ANSWER(I103),
        .after = CLOSES,
        .error = ORIGIN_ERROR_CLOSED,
        .interims = 1},
    {.name = "bad chunk size",
        ANSWER(OK_TE "2\r\nhi\r\nxyz\r\n"),
        .error = ORIGIN_ERROR_BODY,
        .status = 200,
        .body = "hi"},
    {.name = "chunk ended by LF",
        ANSWER(OK_TE "2\r\nhi\n"),
        .error = ORIGIN_ERROR_BODY,
        .status = 200,
        .body = "hi"},
    {.name = "chunk size of 17 digits",
        ANSWER(OK_TE "00000000000000002\r\nhi\r\n"),
        .error = ORIGIN_ERROR_BODY,
        .status = 200},
    /* 102: close-delimited */
    {.name = "close-delimited",
        ANSWER("HTTP/1.1 200 OK\r\n\r\nhello"),
        .after = CLOSES,
        .status = 200,
        .body = "hello"},
    {.name = "close-delimited, reset",
        ANSWER("HTTP/1.1 200 OK\r\n\r\nhello"),
        .after = RESETS,
        .error = ORIGIN_ERROR_TRUNCATED,
        .status = 200,
        .body = "hello"},
    /* 103: interim responses */
    {.name = "eight interims",
        ANSWER(I103 I103 I103 I103 I103 I103 I103 I103 OK_CL("0") "\r\n"),
        .status = 200,
        .interims = 8,
        .is_pooled = true},
    {.name = "nine interims",
        ANSWER(I103 I103 I103 I103 I103 I103 I103 I103 I103 OK_CL("0") "\r\n"),
        .error = ORIGIN_ERROR_INTERIM,
        .interims = 8},
    {.name = "101 not asked for",
        ANSWER("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n"
               "Connection: upgrade\r\n\r\n"),
        .error = ORIGIN_ERROR_UPGRADE},
    /* 104: content where none may be */
    {.name = "HEAD with length",
        .method = METHOD_HEAD,
        ANSWER(OK_CL("5") "\r\n"),
        .status = 200,
        .is_pooled = true},
    {.name = "HEAD with coding",
        .method = METHOD_HEAD,
        ANSWER(OK_TE),
        .status = 200,
        .is_pooled = true},
    {.name = "HEAD with content",
        .method = METHOD_HEAD,
        ANSWER(OK_CL("5") "\r\nhello"),
        .status = 200},
    {.name = "204 with content",
        ANSWER("HTTP/1.1 204 No Content\r\n\r\nhello"),
        .status = 204},
    {.name = "204 that states content",
        ANSWER("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"),
        .status = 204},
    {.name = "204 that states none",
        ANSWER("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
        .status = 204,
        .is_pooled = true},
    {.name = "304 with content",
        ANSWER("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello"),
        .status = 304},
    {.name = "304 with length, of which some may come yet",
        ANSWER("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        .status = 304},
    {.name = "304 with a coding, likewise",
        ANSWER("HTTP/1.1 304 Not Modified\r\n"
               "Transfer-Encoding: chunked\r\n\r\n"),
        .status = 304},
    {.name = "304 with length 0",
        ANSWER("HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n"),
        .status = 304,
        .is_pooled = true},
    /* 106: range answers are delivered; storing is not decided here */
    {.name = "206 not asked for",
        ANSWER("HTTP/1.1 206 Partial Content\r\nContent-Length: 2\r\n"
               "Content-Range: bytes 0-1/5\r\n\r\nhe"),
        .status = 206,
        .body = "he",
        .is_pooled = true},
};

enum {
    WHOLE = -1,
    BYTEWISE = -2,
};

/* How one row came out; what is compared between the ways of sending. */
static void
row_check(const struct row *row, const struct got *got, bool is_pooled, int way)
{
    const char *body = row->body == NULL ? "" : row->body;

    if (got->error != row->error || got->status != row->status ||
        got->is_ended != (row->error == ORIGIN_ERROR_NONE) ||
        got->interims != row->interims || got->body_len != strlen(body) ||
        memcmp(got->body, body, strlen(body)) != 0 ||
        (got->is_doubtful && is_pooled) || is_pooled != row->is_pooled) {
        fail_msg("%s (%d): error %s, status %u, interims %u, body %.*s, %s",
            row->name, way, origin_failure(got->error)->text, got->status,
            got->interims, (int)got->body_len, got->body,
            is_pooled ? "pooled" : "closed");
    }
}

static void
answer_send(struct rig *rig, int fd, const struct row *row, int way)
{
    size_t cut = way >= 0 ? (size_t)way : row->answer.len;

    if (way == BYTEWISE) {
        for (size_t i = 0; i < row->answer.len; i++) {
            peer_send(rig, fd, slice_of(row->answer.ptr + i, 1));
        }
        return;
    }
    peer_send(rig, fd, slice_of(row->answer.ptr, cut));
    rig_turns(rig, 2);
    peer_send(rig, fd, slice_skip(row->answer, cut));
}

static void
bite(struct got *got, const char *callback)
{
    if (strcmp(callback, "body") == 0) {
        exchange_resume(got->x);
    }
}

static void
row_run(struct rig *rig, const struct row *row, int way, size_t take_max)
{
    struct exchange_request request = request_get();
    struct got got = {.take_max = take_max};
    int fd;

    if (take_max != 0) {
        got.during = bite;
    }
    if (row->method != METHOD_OTHER) {
        request.method = row->method;
        request.head = SLICE("HEAD /a HTTP/1.1\r\nhost: api\r\n");
    }
    got_start(rig, &got, &request);
    fd = peer_accept(rig);
    peer_read_head(rig, fd);
    answer_send(rig, fd, row, way);
    rig_turns(rig, 3);
    if (row->after == RESETS) {
        peer_reset(fd);
        fd = -1;
    } else if (row->after == CLOSES) {
        shutdown(fd, SHUT_WR);
    }
    rig_until(rig, got_over(&got));
    rig_turns(rig, 2);
    row_check(row, &got, origin_group_connections(rig->group) == 1, way);
    /* The next row begins without connections. */
    if (fd >= 0) {
        close(fd);
    }
    rig_until(rig, origin_group_connections(rig->group) == 0);
    assert_false(peer_is_waiting(rig));
}

static void
rows_run(int from_way, bool is_split, size_t take_max)
{
    struct rig rig;

    rig_start(&rig, (struct origin_opts){.reuse_after_body = true});
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int ways = is_split ? (int)rows[i].answer.len : from_way + 1;
        for (int way = from_way; way < ways; way++) {
            row_run(&rig, &rows[i], way, take_max);
        }
    }
    rig_stop(&rig);
}

static void
each_answer_whole_has_its_outcome(void **state)
{
    (void)state;
    rows_run(WHOLE, false, 0);
}

static void
each_answer_byte_by_byte_has_the_same_outcome(void **state)
{
    (void)state;
    rows_run(BYTEWISE, false, 0);
}

static void
each_answer_split_anywhere_has_the_same_outcome(void **state)
{
    (void)state;
    rows_run(1, true, 0);
}

static void
each_answer_taken_in_bites_has_the_same_outcome(void **state)
{
    (void)state;
    rows_run(WHOLE, false, 1);
    rows_run(BYTEWISE, false, 1);
    rows_run(1, true, 2);
}

/* --- 105: large heads -------------------------------------------------- */

static void
large_head_run(struct origin_opts opts, size_t fields, size_t value_len,
    enum origin_error error)
{
    struct rig rig;
    struct got got = {0};
    struct buf answer;
    char *value = calloc(1, value_len + 1);
    int fd;

    memset(value, 'v', value_len);
    buf_init(&answer, 1 << 20);
    assert_int_equal(buf_append(&answer, SLICE(OK_CL("2"))), RC_OK);
    for (size_t i = 0; i < fields; i++) {
        assert_int_equal(buf_printf(&answer, "f-%zu: %s\r\n", i, value), RC_OK);
    }
    assert_int_equal(buf_append(&answer, SLICE("\r\nhi")), RC_OK);
    rig_start(&rig, opts);
    fd = peer_asked(&rig, &got);
    peer_send(&rig, fd, buf_slice(&answer));
    rig_until(&rig, got_over(&got));
    assert_int_equal(got.error, error);
    assert_int_equal(got.status, error == ORIGIN_ERROR_NONE ? 200 : 0);
    close(fd);
    buf_fini(&answer);
    free(value);
    rig_stop(&rig);
}

static void
head_within_the_limits_is_passed_on(void **state)
{
    (void)state;
    large_head_run((struct origin_opts){0}, 127, 200, ORIGIN_ERROR_NONE);
    large_head_run((struct origin_opts){0}, 1, 32000, ORIGIN_ERROR_NONE);
}

static void
head_above_32_kib_or_128_fields_is_refused(void **state)
{
    (void)state;
    large_head_run((struct origin_opts){0}, 128, 200, ORIGIN_ERROR_HEAD_SIZE);
    large_head_run((struct origin_opts){0}, 1, 33000, ORIGIN_ERROR_HEAD_SIZE);
    large_head_run((struct origin_opts){0}, 10, 4000, ORIGIN_ERROR_HEAD_SIZE);
    large_head_run((struct origin_opts){0}, 10, 20000, ORIGIN_ERROR_HEAD_SIZE);
}

static void
head_limits_are_settable(void **state)
{
    const struct origin_opts low = {.head_max = 1000, .fields_max = 5};
    const struct origin_opts high = {.head_max = 200000};

    (void)state;
    large_head_run(low, 4, 10, ORIGIN_ERROR_NONE);
    large_head_run(low, 5, 10, ORIGIN_ERROR_HEAD_SIZE);
    large_head_run(low, 1, 1000, ORIGIN_ERROR_HEAD_SIZE);
    large_head_run(high, 1, 150000, ORIGIN_ERROR_NONE);
    large_head_run(high, 1, 210000, ORIGIN_ERROR_HEAD_SIZE);
}

/* Row 100: nobody has asked for what follows, so the answer is in doubt. */
static void
spare_bytes_make_an_answer_doubtful(void **state)
{
    static const struct {
        const char *answer;
        bool is_doubtful;
    } answers[] = {
        {OK_CL("2") "\r\nhi", false},
        {OK_CL("2") "\r\nhi!", true},
        {OK_TE "2\r\nhi\r\n0\r\n\r\n", false},
        {OK_TE "2\r\nhi\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct exchange_request request = request_get();
        struct got got = {0};
        struct rig rig;
        int fd;

        rig_start(&rig, (struct origin_opts){0});
        got_start(&rig, &got, &request);
        fd = peer_accept(&rig);
        peer_read_head(&rig, fd);
        peer_say(&rig, fd, answers[i].answer);
        got_ends(&rig, &got);
        assert_int_equal(got.is_doubtful, answers[i].is_doubtful);
        close(fd);
        rig_stop(&rig);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spare_bytes_make_an_answer_doubtful),
        cmocka_unit_test(each_answer_whole_has_its_outcome),
        cmocka_unit_test(each_answer_byte_by_byte_has_the_same_outcome),
        cmocka_unit_test(each_answer_split_anywhere_has_the_same_outcome),
        cmocka_unit_test(each_answer_taken_in_bites_has_the_same_outcome),
        cmocka_unit_test(head_within_the_limits_is_passed_on),
        cmocka_unit_test(head_above_32_kib_or_128_fields_is_refused),
        cmocka_unit_test(head_limits_are_settable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
