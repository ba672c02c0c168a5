/*
 * What the tests of the origin room share: a rig (loop, group, pool), a
 * peer that plays the origin server on a real socket, byte by byte as the
 * test says, and a record of what an exchange's callbacks told.
 *
 * Everything runs on one thread: whatever waits for the peer turns the
 * loop meanwhile.
 */
#ifndef TEST_ORIGIN_PEER_H
#define TEST_ORIGIN_PEER_H

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "nearside/base/check.h"
#include "nearside/base/metric.h"
#include "../support/listening.h"
#include "passing.h"
#include "nearside/net/loop.h"
#include "nearside/net/resolve.h"
#include "nearside/origin/exchange.h"
#include "nearside/origin/group.h"

enum {
    GOT_BODY_MAX = 4096,
    PEER_HEAD_MAX = 65536,
};

#define TAKE_ALL SIZE_MAX

struct rig {
    struct loop *loop;
    struct origin_group *group;
    struct origin_pool *pool;
    struct metric_registry *registry;
    struct metric_block *block;
    struct resolver *resolver;
    int listen_fd;
    char server[ADDRESS_TEXT_MAX + 8];
};

/* What the callbacks of one exchange told, and how they shall answer. */
struct got {
    struct exchange *x; /* NULL once it is over */
    struct rig *rig;
    unsigned interims;
    unsigned interim_status;
    unsigned heads;
    unsigned status;
    char note[64]; /* the response's field "note" */
    char body[GOT_BODY_MAX];
    uint64_t body_len;
    uint64_t body_sum; /* of all its bytes, positions counted */
    bool is_ended;
    bool is_doubtful;
    enum origin_error error;
    unsigned drains;
    uint64_t take_left; /* on_body takes no more than this in all */
    size_t take_max;    /* nor more than this at a time; 0: no limit */
    void (*during)(struct got *got, const char *callback);
    void *extra;
};

static inline bool
got_over(const struct got *got)
{
    return got->is_ended || got->error != ORIGIN_ERROR_NONE;
}

static inline void
got_during(struct got *got, const char *callback)
{
    if (got->during != NULL) {
        got->during(got, callback);
    }
}

static inline void
got_on_interim(void *ctx, const struct head *head)
{
    struct got *got = ctx;

    got->interims++;
    got->interim_status = head->status;
    got_during(got, "interim");
}

static inline void
got_on_head(void *ctx, const struct head *head)
{
    struct got *got = ctx;
    const struct field *note = head_find_name(head, SLICE("note"));

    got->heads++;
    got->status = head->status;
    if (note != NULL) {
        snprintf(got->note, sizeof(got->note), "%.*s", SLICE_FMT(note->value));
    }
    got_during(got, "head");
}

static inline size_t
got_on_body(void *ctx, struct slice data)
{
    struct got *got = ctx;
    size_t n = data.len;

    if (got->take_max != 0 && n > got->take_max) {
        n = got->take_max;
    }
    if (n > got->take_left) {
        n = (size_t)got->take_left;
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t at = got->body_len + i;
        if (at < GOT_BODY_MAX) {
            got->body[at] = data.ptr[i];
        }
        got->body_sum += (at + 1) * (unsigned char)data.ptr[i];
    }
    got->body_len += n;
    got->take_left -= n;
    got_during(got, "body");
    return n;
}

static inline void
got_on_end(void *ctx, bool is_doubtful)
{
    struct got *got = ctx;

    assert_false(got_over(got));
    got->x = NULL;
    got->is_ended = true;
    got->is_doubtful = is_doubtful;
    got_during(got, "end");
}

static inline void
got_on_error(void *ctx, enum origin_error error)
{
    struct got *got = ctx;

    assert_false(got_over(got));
    got->x = NULL;
    got->error = error;
    got_during(got, "error");
}

static inline void
got_on_drain(void *ctx)
{
    struct got *got = ctx;

    got->drains++;
    got_during(got, "drain");
}

static const struct exchange_callbacks got_callbacks = {
    .on_interim = got_on_interim,
    .on_head = got_on_head,
    .on_body = got_on_body,
    .on_end = got_on_end,
    .on_error = got_on_error,
    .on_drain = got_on_drain,
};

/* --- the rig ----------------------------------------------------------- */

static inline void
rig_listen(struct rig *rig, const char *at)
{
    struct address want;
    struct address bound;
    char text[ADDRESS_TEXT_MAX];

    assert_int_equal(address_parse(slice_of_str(at), &want), RC_OK);
    assert_int_equal(listen_at(&want, &rig->listen_fd, &bound), RC_OK);
    address_text(&bound, text);
    snprintf(rig->server, sizeof(rig->server), "%s%s",
        strncmp(text, "unix:", 5) == 0 ? "" : "http://", text);
}

/* opts with the conf's default for every member that is 0. */
static inline struct origin_opts
opts_filled(struct origin_opts opts)
{
    const struct origin_opts usual = {
        .connect_timeout_ms = 3000,
        .first_byte_timeout_ms = 30000,
        .between_bytes_timeout_ms = 15000,
        .idle_timeout_ms = 20000,
        .resolve_interval_ms = 30000,
        .queue_timeout_ms = 30000,
        .idle_max = 64,
        .head_max = 32 << 10,
        .fields_max = 128,
    };

#define FILL(member) opts.member = opts.member == 0 ? usual.member : opts.member
    FILL(connect_timeout_ms);
    FILL(first_byte_timeout_ms);
    FILL(between_bytes_timeout_ms);
    FILL(idle_timeout_ms);
    FILL(resolve_interval_ms);
    FILL(queue_timeout_ms);
    FILL(idle_max);
    FILL(head_max);
    FILL(fields_max);
#undef FILL
    return opts;
}

/* A pool to rig->server. */
static inline void
rig_open(struct rig *rig, struct origin_opts opts)
{
    const char *server = rig->server;

    opts = opts_filled(opts);
    opts.name = "api";
    opts.servers = &server;
    opts.servers_len = 1;
    rig->loop = loop_new();
    rig->registry = metric_registry_new();
    assert_int_equal(origin_group_new(&opts, &rig->group), RC_OK);
    origin_groups_measure(&rig->group, 1, rig->registry);
    rig->block = metric_block_new(rig->registry);
    if (rig->resolver != NULL) {
        origin_group_start(
            rig->group, rig->loop, rig->resolver, NULL, rig->block);
    }
    rig->pool = origin_pool_new(rig->group, rig->loop, NULL, rig->block);
    assert_non_null(rig->pool);
}

static inline void
rig_start(struct rig *rig, struct origin_opts opts)
{
    *rig = (struct rig){0};
    rig_listen(rig, "127.0.0.1:0");
    rig_open(rig, opts);
}

static inline void
rig_stop(struct rig *rig)
{
    if (rig->listen_fd > 0) {
        close(rig->listen_fd);
    }
    assert_int_equal(origin_group_in_flight(rig->group), 0);
    origin_pool_free(&rig->pool);
    assert_int_equal(origin_group_connections(rig->group), 0);
    origin_group_stop(rig->group);
    resolver_free(&rig->resolver);
    loop_free(&rig->loop); /* whose messages may be of the group */
    origin_group_free(&rig->group);
    metric_registry_free(&rig->registry);
}

/* The rig of a test with the usual options. */
static inline int
rig_up(void **state)
{
    static struct rig rig;

    rig_start(&rig, (struct origin_opts){0});
    *state = &rig;
    return 0;
}

static inline int
rig_down(void **state)
{
    rig_stop(*state);
    return 0;
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, rig_up, rig_down)

/* The value of one line of the metrics, as text; "" when absent. */
static inline long
rig_metric(struct rig *rig, const char *series)
{
    struct buf out;
    char *line;
    long value = -1;

    buf_init(&out, 1 << 20);
    assert_int_equal(metric_render(rig->registry, &out), RC_OK);
    assert_int_equal(buf_append(&out, slice_of("", 1)), RC_OK);
    line = strstr(out.data, series);
    if (line != NULL) {
        value = strtol(line + strlen(series), NULL, 10);
    }
    buf_fini(&out);
    return value;
}

static inline void
rig_turns(struct rig *rig, int count)
{
    for (int i = 0; i < count; i++) {
        loop_turn(rig->loop, 0);
    }
}

#define rig_until(rig, claim) TURN_UNTIL((rig)->loop, 1, claim)

/* --- requests ---------------------------------------------------------- */

static inline struct exchange_request
request_get(void)
{
    return (struct exchange_request){
        .method = METHOD_GET,
        .head = SLICE("GET /a HTTP/1.1\r\nhost: api\r\n"),
        .framing = FRAMING_NONE,
        .is_idempotent = true,
    };
}

static inline struct exchange_request
request_post(enum framing framing, uint64_t length)
{
    return (struct exchange_request){
        .method = METHOD_POST,
        .head = SLICE("POST /a HTTP/1.1\r\nhost: api\r\n"),
        .framing = framing,
        .content_length = length,
    };
}

static inline void
got_start(
    struct rig *rig, struct got *got, const struct exchange_request *request)
{
    got->rig = rig;
    if (got->take_left == 0) {
        got->take_left = UINT64_MAX;
    }
    got->x = exchange_start(rig->pool, request, &got_callbacks, got);
    assert_non_null(got->x);
    assert_false(got_over(got));
}

static inline void
got_get(struct rig *rig, struct got *got)
{
    const struct exchange_request request = request_get();

    got_start(rig, got, &request);
}

/* --- the peer ---------------------------------------------------------- */

/* The next connection that the pool makes. */
static inline int
peer_accept(struct rig *rig)
{
    int fd = -1;

    rig_until(rig, (fd = accept4(rig->listen_fd, NULL, NULL,
                        SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
    return fd;
}

static inline bool
peer_is_waiting(struct rig *rig)
{
    struct pollfd pfd = {.fd = rig->listen_fd, .events = POLLIN};

    return poll(&pfd, 1, 0) > 0;
}

/* Reads until what was read ends with `end`, and gives it. */
static inline const char *
peer_read_until(struct rig *rig, int fd, const char *end)
{
    static char text[PEER_HEAD_MAX];
    size_t len = 0;
    size_t end_len = strlen(end);
    int64_t until_ms = real_ms() + PATIENCE_MS;

    while (real_ms() < until_ms) {
        ssize_t n = recv(fd, text + len, sizeof(text) - 1 - len, 0);
        if (n > 0) {
            len += (size_t)n;
        }
        text[len] = '\0';
        if (len >= end_len && strcmp(text + len - end_len, end) == 0) {
            return text;
        }
        loop_turn(rig->loop, n > 0 ? 0 : 1);
    }
    fail_msg("the request never ended with %s: %s", end, text);
    return NULL;
}

static inline const char *
peer_read_head(struct rig *rig, int fd)
{
    return peer_read_until(rig, fd, "\r\n\r\n");
}

/* Has the pool closed this connection? Whatever it sent before is eaten. */
static inline bool
peer_is_closed(int fd)
{
    char bytes[4096];
    ssize_t n;

    do {
        n = recv(fd, bytes, sizeof(bytes), 0);
    } while (n > 0);
    return n == 0 || errno == ECONNRESET || errno == EPIPE;
}

/* Sends what the socket takes and turns the loop; a pool that has closed
   meanwhile is no fault of the peer's. */
static inline void
peer_send(struct rig *rig, int fd, struct slice bytes)
{
    int64_t until_ms = real_ms() + PATIENCE_MS;

    while (bytes.len > 0 && real_ms() < until_ms) {
        ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) {
            return;
        }
        bytes = slice_skip(bytes, n > 0 ? (size_t)n : 0);
        loop_turn(rig->loop, n > 0 ? 0 : 1);
    }
    assert_int_equal(bytes.len, 0);
}

static inline void
peer_say(struct rig *rig, int fd, const char *text)
{
    peer_send(rig, fd, slice_of_str(text));
}

/* A GET on a connection that is new; its head has been read. */
static inline int
peer_asked(struct rig *rig, struct got *got)
{
    int fd;

    got_get(rig, got);
    fd = peer_accept(rig);
    peer_read_head(rig, fd);
    return fd;
}

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

/* Answers, and waits until the exchange is over. */
static inline void
peer_answer(struct rig *rig, int fd, struct got *got)
{
    peer_say(rig, fd, OK_EMPTY);
    rig_until(rig, got_over(got));
}

static inline void
got_ends(struct rig *rig, struct got *got)
{
    rig_until(rig, got_over(got));
    assert_true(got->is_ended);
}

static inline void
got_fails(struct rig *rig, struct got *got, enum origin_error error)
{
    rig_until(rig, got_over(got));
    assert_int_equal(got->error, error);
}

/* Closes with a reset. */
static inline void
peer_reset(int fd)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(fd);
}

#endif
