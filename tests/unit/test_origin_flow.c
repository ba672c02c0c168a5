/*
 * What happens while a response flows: back-pressure in flat memory,
 * deadlines (deadline.c), and exchanges that end or start inside callbacks
 * (end.c).
 */
#include "test_origin_peer.h"

#include "heap.h"

#include <malloc.h>

#define CHUNKED_ANSWER                                                         \
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"                    \
    "5\r\nhello\r\n0\r\n\r\n"

enum {
    SHORT_MS = 1000, /* by a clock that stands still but for time_pass */
    MIB = 1024 * 1024,
};

static int
begin(struct rig *rig, struct got *got)
{
    int fd;

    got_get(rig, got);
    fd = peer_accept(rig);
    peer_read_head(rig, fd);
    return fd;
}

/* --- back-pressure ------------------------------------------------------ */

/* Sends content (byte i of it is i mod 251) until the socket is full and
   stays so; returns how much was sent in all. */
static uint64_t
send_until_stalled(struct rig *rig, int fd, uint64_t sent, uint64_t total)
{
    static char bytes[251 * 256];
    int quiet = 0;

    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)(i % 251);
    }
    while (sent < total && quiet < 20) {
        size_t at = (size_t)(sent % 251);
        size_t n = sizeof(bytes) - at;
        ssize_t done;
        if (n > total - sent) {
            n = (size_t)(total - sent);
        }
        done = send(fd, bytes + at, n, MSG_NOSIGNAL);
        quiet = done > 0 ? 0 : quiet + 1;
        sent += done > 0 ? (uint64_t)done : 0;
        loop_turn(rig->loop, 0);
    }
    return sent;
}

static uint64_t
sum_of(uint64_t total)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < total; i++) {
        sum += (i + 1) * (unsigned char)(i % 251);
    }
    return sum;
}

static void
pause_stalls_the_origin_and_resume_goes_on(void **state)
{
    enum {
        TOTAL = 32 * MIB,
        TAKEN = 1000,
    };
    struct rig *rig = *state;
    struct got got = {.take_left = TAKEN};
    size_t used;
    uint64_t sent;
    int fd = begin(rig, &got);

    peer_say(rig, fd, "HTTP/1.1 200 OK\r\nContent-Length: 33554432\r\n\r\n");
    used = mallinfo2().uordblks + mallinfo2().hblkhd;
    sent = send_until_stalled(rig, fd, 0, TOTAL);
    assert_true(sent < TOTAL);
    assert_int_equal(got.body_len, TAKEN);
    /* One read's worth is kept here, the rest waits in the sockets. */
    assert_true(mallinfo2().uordblks + mallinfo2().hblkhd < used + 200000);
    while (!got_over(&got)) {
        got.take_left = 3 * MIB;
        exchange_resume(got.x);
        sent = send_until_stalled(rig, fd, sent, TOTAL);
        rig_turns(rig, 1);
    }
    assert_true(got.is_ended);
    assert_int_equal(got.body_len, TOTAL);
    assert_true(got.body_sum == sum_of(TOTAL));
    assert_int_equal(origin_group_connections(rig->group), 1);
    close(fd);
}

static void
connection_that_ended_in_a_pause_is_watched_while_idle(void **state)
{
    struct rig *rig = *state;
    struct got got = {.take_left = 2};
    int fd = begin(rig, &got);

    peer_say(rig, fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    rig_until(rig, got.body_len == 2);
    got.take_left = 100;
    exchange_resume(got.x);
    assert_int_equal(got.body_len, 2); /* not from inside the call */
    rig_until(rig, got_over(&got));
    assert_int_equal(origin_group_connections(rig->group), 1);
    close(fd);
    rig_until(rig, origin_group_connections(rig->group) == 0);
}

static void
response_of_100_mb_passes_in_flat_memory(void **state)
{
    enum {
        TOTAL = 100 * MIB,
    };
    struct rig *rig = *state;
    struct got got = {0};
    size_t used;
    uint64_t sent = 0;
    int fd = begin(rig, &got);

    peer_say(rig, fd, "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n");
    used = mallinfo2().uordblks + mallinfo2().hblkhd;
    while (!got_over(&got)) {
        sent = send_until_stalled(rig, fd, sent, TOTAL);
        rig_turns(rig, 1);
        assert_true(mallinfo2().uordblks + mallinfo2().hblkhd < used + 200000);
    }
    assert_true(got.is_ended);
    assert_int_equal(got.body_len, TOTAL);
    assert_true(got.body_sum == sum_of(TOTAL));
    close(fd);
}

/* --- deadlines ---------------------------------------------------------- */

/* Once SHORT_MS are over, and not before. */
static void
times_out(struct rig *rig, struct got *got, enum origin_error error)
{
    time_pass(rig->loop, SHORT_MS - 8);
    assert_false(got_over(got));
    time_pass(rig->loop, 16);
    assert_true(got_over(got));
    assert_int_equal(got->error, error);
    assert_int_equal(origin_group_connections(rig->group), 0);
}

/* With these options; no time passes by itself. */
static void
timed_start(struct rig *rig, struct origin_opts opts)
{
    rig_start(rig, opts);
    time_stop(rig->loop);
}

static void
first_byte_deadline_counts_from_the_sent_request(void **state)
{
    struct rig rig;
    struct got got = {0};
    int fd;

    (void)state;
    timed_start(&rig, (struct origin_opts){.first_byte_timeout_ms = SHORT_MS});
    fd = begin(&rig, &got);
    times_out(&rig, &got, ORIGIN_ERROR_FIRST_BYTE);
    assert_true(peer_is_closed(fd));
    close(fd);
    rig_stop(&rig);
}

/* A head that dribbles in does not push the deadline away. */
static void
first_byte_deadline_covers_the_whole_head(void **state)
{
    struct rig rig;
    struct got got = {0};
    int fd;

    (void)state;
    timed_start(&rig, (struct origin_opts){.first_byte_timeout_ms = SHORT_MS});
    fd = begin(&rig, &got);
    peer_say(&rig, fd, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n");
    rig_until(&rig, got.interims == 1);
    for (int i = 0; i < 9; i++) {
        peer_say(&rig, fd, "a: b\r\n");
        time_pass(rig.loop, SHORT_MS / 10);
        assert_false(got_over(&got));
    }
    time_pass(rig.loop, SHORT_MS / 10 + 8);
    assert_int_equal(got.error, ORIGIN_ERROR_FIRST_BYTE);
    close(fd);
    rig_stop(&rig);
}

static void
first_byte_deadline_does_not_count_while_content_is_awaited(void **state)
{
    struct rig rig;
    struct got got = {0};
    struct exchange_request request = request_post(FRAMING_LENGTH, 2);
    size_t taken;
    int fd;

    (void)state;
    timed_start(&rig, (struct origin_opts){.first_byte_timeout_ms = SHORT_MS,
                          .between_bytes_timeout_ms = SHORT_MS});
    got_start(&rig, &got, &request);
    fd = peer_accept(&rig);
    time_pass(rig.loop, 2 * SHORT_MS);
    assert_false(got_over(&got));
    exchange_send(got.x, SLICE("hi"), &taken);
    peer_read_until(&rig, fd, "hi");
    times_out(&rig, &got, ORIGIN_ERROR_FIRST_BYTE);
    close(fd);
    rig_stop(&rig);
}

static void
origin_that_takes_no_content_times_out_between_bytes(void **state)
{
    static char bytes[65536];
    struct rig rig;
    struct got got = {0};
    struct exchange_request request = request_post(FRAMING_CHUNKED, 0);
    int fd;

    (void)state;
    timed_start(
        &rig, (struct origin_opts){.between_bytes_timeout_ms = SHORT_MS});
    got_start(&rig, &got, &request);
    fd = peer_accept(&rig);
    for (int quiet = 0; quiet < 20;) {
        size_t taken = 0;

        exchange_send(got.x, slice_of(bytes, sizeof(bytes)), &taken);
        rig_turns(&rig, 1);
        quiet = taken > 0 ? 0 : quiet + 1;
    }
    times_out(&rig, &got, ORIGIN_ERROR_BETWEEN_BYTES);
    close(fd);
    rig_stop(&rig);
}

static void
stalled_content_times_out_between_bytes(void **state)
{
    struct rig rig;
    struct got got = {0};
    int fd;

    (void)state;
    timed_start(
        &rig, (struct origin_opts){.between_bytes_timeout_ms = SHORT_MS});
    fd = begin(&rig, &got);
    time_pass(rig.loop, SHORT_MS / 2);
    peer_say(&rig, fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    rig_until(&rig, got.body_len == 3);
    times_out(&rig, &got, ORIGIN_ERROR_BETWEEN_BYTES);
    close(fd);
    rig_stop(&rig);
}

static void
steady_content_never_times_out_between_bytes(void **state)
{
    struct rig rig;
    struct got got = {0};
    int fd;

    (void)state;
    timed_start(
        &rig, (struct origin_opts){.between_bytes_timeout_ms = SHORT_MS});
    fd = begin(&rig, &got);
    peer_say(&rig, fd, "HTTP/1.1 200 OK\r\n\r\n");
    for (unsigned i = 1; i <= 10; i++) {
        peer_say(&rig, fd, "x");
        rig_until(&rig, got.body_len == i);
        time_pass(rig.loop, SHORT_MS - 8);
        assert_false(got_over(&got));
    }
    close(fd);
    got_ends(&rig, &got);
    rig_stop(&rig);
}

static void
pause_does_not_count_between_bytes(void **state)
{
    struct rig rig;
    struct got got = {.take_left = 1};
    int fd;

    (void)state;
    timed_start(
        &rig, (struct origin_opts){.between_bytes_timeout_ms = SHORT_MS});
    fd = begin(&rig, &got);
    peer_say(&rig, fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    rig_until(&rig, got.body_len == 1);
    time_pass(rig.loop, 2 * SHORT_MS);
    assert_false(got_over(&got));
    got.take_left = 100;
    exchange_resume(got.x);
    rig_until(&rig, got.body_len == 3);
    times_out(&rig, &got, ORIGIN_ERROR_BETWEEN_BYTES);
    close(fd);
    rig_stop(&rig);
}

static void
total_deadline_counts_always(void **state)
{
    struct rig rig;
    struct got got = {.take_left = 1};
    int fd;

    (void)state;
    timed_start(&rig, (struct origin_opts){.total_timeout_ms = SHORT_MS});
    fd = begin(&rig, &got);
    peer_say(&rig, fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    rig_until(&rig, got.body_len == 1);
    times_out(&rig, &got, ORIGIN_ERROR_TOTAL);
    close(fd);
    rig_stop(&rig);
}

/* A listener whose backlog is full lets nobody in. */
static void
connecting_has_a_deadline(void **state)
{
    struct rig rig = {0};
    struct got got = {0};
    struct address bound;
    int fds[8];

    (void)state;
    rig_listen(&rig, "127.0.0.1:0");
    assert_int_equal(listen(rig.listen_fd, 0), 0);
    assert_int_equal(address_of_socket(rig.listen_fd, &bound), RC_OK);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fds[i], &bound.u.any, bound.len);
    }
    rig_open(&rig, (struct origin_opts){.connect_timeout_ms = SHORT_MS});
    time_stop(rig.loop);
    got_get(&rig, &got);
    times_out(&rig, &got, ORIGIN_ERROR_CONNECT_TIMEOUT);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        close(fds[i]);
    }
    rig_stop(&rig);
}

/* A spare exchange's timer from before must not strike its next life. */
static void
deadline_of_one_exchange_does_not_strike_the_next(void **state)
{
    struct rig rig;
    int fd = -1;

    (void)state;
    timed_start(&rig, (struct origin_opts){.first_byte_timeout_ms = SHORT_MS});
    for (int i = 0; i < 8; i++) {
        struct got got = {0};

        got_get(&rig, &got);
        fd = fd < 0 ? peer_accept(&rig) : fd;
        peer_read_head(&rig, fd);
        time_pass(rig.loop, SHORT_MS * 3 / 4);
        peer_answer(&rig, fd, &got);
        assert_true(got.is_ended);
    }
    close(fd);
    rig_stop(&rig);
}

/* --- inside callbacks --------------------------------------------------- */

static void
cancel_at(struct got *got, const char *callback)
{
    if (got->x != NULL && strcmp(callback, got->extra) == 0) {
        exchange_cancel(&got->x);
        assert_null(got->x);
        got->note[0] = 'c';
    }
}

static void
exchange_may_be_cancelled_inside_any_callback(void **state)
{
    static char *const places[] = {"interim", "head", "body"};
    static const char *const answers[] = {
        "HTTP/1.1 103 Hi\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        "hello",
        "HTTP/1.1 103 Hi\r\n\r\nHTTP/1.1 200 OK\r\n"
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 103 Hi\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello",
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_LEN(places) * ARRAY_LEN(answers); i++) {
        struct got got = {
            .during = cancel_at, .extra = places[i % ARRAY_LEN(places)]};
        int fd = begin(rig, &got);
        peer_say(rig, fd, answers[i / ARRAY_LEN(places)]);
        rig_until(rig, got.note[0] == 'c');
        rig_turns(rig, 2);
        assert_false(got_over(&got));
        assert_int_equal(origin_group_connections(rig->group), 0);
        assert_int_equal(origin_group_in_flight(rig->group), 0);
        close(fd);
    }
}

static void
cancel_at_drain(struct got *got, const char *callback)
{
    if (strcmp(callback, "drain") == 0) {
        exchange_cancel(&got->x);
    }
}

static void
exchange_may_be_cancelled_inside_on_drain(void **state)
{
    static char bytes[100000];
    struct rig *rig = *state;
    struct got got = {.during = cancel_at_drain};
    struct exchange_request request = request_post(FRAMING_CHUNKED, 0);
    size_t taken;
    int fd;

    got_start(rig, &got, &request);
    exchange_send(got.x, slice_of(bytes, sizeof(bytes)), &taken);
    assert_true(taken < sizeof(bytes));
    fd = peer_accept(rig);
    rig_until(rig, got.x == NULL);
    assert_int_equal(got.drains, 1);
    rig_turns(rig, 2);
    close(fd);
}

static void
start_next(struct got *got, const char *callback)
{
    struct got *next = got->extra;

    if (strcmp(callback, "end") == 0 || strcmp(callback, "error") == 0) {
        got_get(got->rig, next);
    }
}

static void
next_exchange_may_start_inside_on_end(void **state)
{
    struct rig *rig = *state;
    struct got next = {0};
    struct got got = {.during = start_next, .extra = &next};
    int fd = begin(rig, &got);

    peer_answer(rig, fd, &got);
    peer_read_head(rig, fd); /* on the very same connection */
    peer_answer(rig, fd, &next);
    assert_true(next.is_ended);
    close(fd);
}

/* The response ends exactly where the read does; what is behind it is still
   in the socket when the connection would be taken again. */
static void
spare_byte_behind_a_full_read_closes_the_connection(void **state)
{
    enum {
        READ = 65536,
    };
    const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 65494\r\n\r\n";
    static char answer[READ + 1];
    struct rig *rig = *state;
    struct got next = {0};
    struct got got = {.during = start_next, .extra = &next};
    int fd;

    memset(answer, 'x', sizeof(answer));
    memcpy(answer, head, sizeof(head) - 1);
    assert_int_equal(sizeof(head) - 1 + 65494, READ);
    fd = begin(rig, &got);
    assert_int_equal(send(fd, answer, sizeof(answer), 0), sizeof(answer));
    got_ends(rig, &got);
    close(fd);
    fd = peer_accept(rig);
    peer_read_head(rig, fd);
    peer_answer(rig, fd, &next);
    assert_true(next.is_ended);
    assert_int_equal(next.status, 200);
    assert_int_equal(
        rig_metric(rig, "nearside_origin_retries_total{origin=\"api\"} "), 0);
    close(fd);
}

static void
next_exchange_may_start_inside_on_error(void **state)
{
    struct rig *rig = *state;
    struct got next = {0};
    struct got got = {.during = start_next, .extra = &next};
    int fd = begin(rig, &got);

    peer_say(rig, fd, "garbage\r\n\r\n");
    rig_until(rig, got_over(&got));
    close(fd);
    fd = peer_accept(rig);
    peer_read_head(rig, fd);
    peer_answer(rig, fd, &next);
    assert_true(next.is_ended);
    close(fd);
}

static void
nothing_is_taken_after_the_end(void **state)
{
    struct rig *rig = *state;
    struct got got = {0};
    struct exchange_request request = request_post(FRAMING_CHUNKED, 0);
    struct exchange *x;
    size_t taken = 7;
    int fd;

    got_start(rig, &got, &request);
    x = got.x;
    fd = peer_accept(rig);
    peer_read_head(rig, fd);
    exchange_cancel(&got.x);
    exchange_send(x, SLICE("late"), &taken); /* still in the same turn */
    assert_int_equal(taken, 0);
    close(fd);
}

/* The dial once went on, and found its exchange failed or gone. */
static void
no_memory_for_content_while_connecting_ends_the_dial_too(void **state)
{
    struct exchange_request request = request_post(FRAMING_CHUNKED, 0);
    struct rig *rig = *state;
    struct got got = {0};
    size_t taken;

    got_start(rig, &got, &request); /* connecting */
    heap_refuse(1, 0);
    exchange_send(got.x, SLICE("content"), &taken);
    assert_true(heap_refused());
    assert_int_equal(taken, 0);
    got_fails(rig, &got, ORIGIN_ERROR_NOMEM);
    assert_int_equal(origin_group_connections(rig->group), 0);
    rig_turns(rig, 3);
}

/* The whole request is answered, on the one connection that there is. */
static bool
is_over_answered(struct got *got, int *fd)
{
    char bytes[512];
    ssize_t n;

    if (*fd < 0) {
        *fd = accept4(
            got->rig->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    n = *fd < 0 ? -1 : recv(*fd, bytes, sizeof(bytes), 0);
    if (n > 5 && memcmp(bytes + n - 5, "0\r\n\r\n", 5) == 0) {
        assert_int_equal(
            send(*fd, CHUNKED_ANSWER, sizeof(CHUNKED_ANSWER) - 1, MSG_NOSIGNAL),
            sizeof(CHUNKED_ANSWER) - 1);
    }
    return got_over(got);
}

/* Content both ways, then a second exchange, which may find the connection.
   False: fewer blocks are wanted. */
static bool
ends_well_without(unsigned nth)
{
    struct exchange_request request = request_post(FRAMING_CHUNKED, 0);
    unsigned errors = 0;
    struct rig rig;
    int fd = -1;

    rig_start(&rig, (struct origin_opts){.reuse_after_body = true});
    heap_refuse(nth, 0);
    for (int i = 0; i < 2; i++) {
        struct got got = {.rig = &rig, .take_left = UINT64_MAX};
        size_t taken = 1;

        got.x = exchange_start(rig.pool, &request, &got_callbacks, &got);
        if (got.x == NULL) {
            errors++;
            continue;
        }
        if (i > 0) { /* the first one's is empty */
            exchange_send(got.x, SLICE("content"), &taken);
        }
        if (taken > 0) {
            exchange_send_end(got.x);
        }
        rig_until(&rig, is_over_answered(&got, &fd));
        assert_true(got.is_ended || got.error == ORIGIN_ERROR_NOMEM);
        if (!got.is_ended) {
            errors++;
            rig_turns(&rig, 2);
            if (fd >= 0 || peer_is_waiting(&rig)) {
                close(fd >= 0 ? fd : peer_accept(&rig));
            }
            fd = -1;
        }
    }
    assert_int_equal(errors, heap_refused());
    if (fd >= 0) {
        close(fd);
    }
    rig_stop(&rig);
    return errors > 0;
}

static void
without_any_one_block_of_memory_an_exchange_fails_and_is_gone(void **state)
{
    unsigned nth = 1;

    (void)state;
    for (heap_begins(); ends_well_without(nth); nth++) {
        heap_ends();
    }
    assert_in_range(nth, 5, 50);
}

static void
cancelled_exchanges_leave_nothing_in_any_state(void **state)
{
    struct rig *rig = *state;
    struct got got = {0};
    int fd;

    got_get(rig, &got); /* connecting */
    exchange_cancel(&got.x);
    assert_int_equal(origin_group_connections(rig->group), 0);
    close(peer_accept(rig)); /* the kernel had let it in */
    fd = begin(rig, &got);
    exchange_cancel(&got.x); /* waiting for the answer */
    exchange_cancel(&got.x); /* of nothing: harmless */
    close(fd);
    rig_turns(rig, 2);
    assert_int_equal(origin_group_connections(rig->group), 0);
    assert_int_equal(origin_group_in_flight(rig->group), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        RIGGED(pause_stalls_the_origin_and_resume_goes_on),
        RIGGED(connection_that_ended_in_a_pause_is_watched_while_idle),
        RIGGED(response_of_100_mb_passes_in_flat_memory),
        cmocka_unit_test(first_byte_deadline_counts_from_the_sent_request),
        cmocka_unit_test(first_byte_deadline_covers_the_whole_head),
        cmocka_unit_test(
            first_byte_deadline_does_not_count_while_content_is_awaited),
        cmocka_unit_test(origin_that_takes_no_content_times_out_between_bytes),
        cmocka_unit_test(stalled_content_times_out_between_bytes),
        cmocka_unit_test(steady_content_never_times_out_between_bytes),
        cmocka_unit_test(pause_does_not_count_between_bytes),
        cmocka_unit_test(total_deadline_counts_always),
        cmocka_unit_test(connecting_has_a_deadline),
        cmocka_unit_test(deadline_of_one_exchange_does_not_strike_the_next),
        RIGGED(exchange_may_be_cancelled_inside_any_callback),
        RIGGED(exchange_may_be_cancelled_inside_on_drain),
        RIGGED(next_exchange_may_start_inside_on_end),
        RIGGED(spare_byte_behind_a_full_read_closes_the_connection),
        RIGGED(next_exchange_may_start_inside_on_error),
        RIGGED(nothing_is_taken_after_the_end),
        RIGGED(no_memory_for_content_while_connecting_ends_the_dial_too),
        cmocka_unit_test(
            without_any_one_block_of_memory_an_exchange_fails_and_is_gone),
        RIGGED(cancelled_exchanges_leave_nothing_in_any_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
