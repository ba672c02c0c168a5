/* Connections, over socket pairs and over TCP. */
#include "nearside/net/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/address.h"
#include "nearside/base/check.h"
#include "patience.h"

struct rig {
    struct loop *loop;
    struct conn *conn;
    int peer; /* the other end, by hand */
    unsigned reads;
    unsigned writes;
    bool closes; /* in the callback */
    bool consumes;
    size_t got;
};

static void
on_readable(void *ctx)
{
    struct rig *rig = ctx;
    char text[4096];
    size_t n;

    rig->reads++;
    if (rig->closes) {
        conn_close(&rig->conn);
        return;
    }
    while (rig->consumes &&
           conn_read(rig->conn, text, sizeof(text), &n) == RC_OK) {
        rig->got += n;
    }
}

static void
on_writable(void *ctx)
{
    struct rig *rig = ctx;

    rig->writes++;
    if (rig->closes) {
        conn_close(&rig->conn);
    }
}

static const struct conn_callbacks callbacks = {
    .on_readable = on_readable,
    .on_writable = on_writable,
};

static void
pair_unix(int fds[2])
{
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
}

static void
pair_tcp(int fds[2])
{
    struct address at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(address_parse(SLICE("127.0.0.1:0"), &at), RC_OK);
    assert_int_equal(bind(listener, &at.u.any, at.len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(address_of_socket(listener, &at), RC_OK);
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fds[0], &at.u.any, at.len), 0);
    fds[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    assert_true(fds[1] >= 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    close(listener);
}

static int
up(void **state, void (*pair)(int fds[2]))
{
    struct rig *rig = calloc(1, sizeof(*rig));
    int fds[2];

    rig->loop = loop_new();
    pair(fds);
    rig->peer = fds[1];
    rig->conn = conn_new(rig->loop, fds[0], &callbacks, rig);
    assert_non_null(rig->conn);
    *state = rig;
    return 0;
}

static int
unix_up(void **state)
{
    return up(state, pair_unix);
}

static int
tcp_up(void **state)
{
    return up(state, pair_tcp);
}

static int
down(void **state)
{
    struct rig *rig = *state;

    conn_close(&rig->conn);
    if (rig->peer >= 0) {
        close(rig->peer);
    }
    loop_free(&rig->loop);
    free(rig);
    return 0;
}

static void
turns(struct rig *rig, int n)
{
    for (int i = 0; i < n; i++) {
        loop_turn(rig->loop, 0);
    }
}

static void
turn_until_read(struct rig *rig)
{
    TURN_UNTIL(rig->loop, 50, rig->reads > 0);
}

static void
peer_says(struct rig *rig, const char *text)
{
    assert_int_equal(
        write(rig->peer, text, strlen(text)), (ssize_t)strlen(text));
}

static void
reading_gives_bytes_then_again_then_the_end(void **state)
{
    struct rig *rig = *state;
    char text[16];
    size_t n = 77;

    assert_int_equal(conn_read(rig->conn, text, 16, &n), RC_AGAIN);
    assert_int_equal(n, 77);
    peer_says(rig, "hello");
    conn_want_read(rig->conn, true);
    turn_until_read(rig);
    assert_int_equal(conn_read(rig->conn, text, 3, &n), RC_OK);
    assert_int_equal(n, 3);
    assert_int_equal(conn_read(rig->conn, text, 16, &n), RC_OK);
    assert_int_equal(n, 2);
    assert_memory_equal(text, "lo", 2);
    assert_int_equal(conn_read(rig->conn, text, 16, &n), RC_AGAIN);
    close(rig->peer);
    rig->peer = -1;
    rig->reads = 0;
    turn_until_read(rig);
    assert_int_equal(conn_read(rig->conn, text, 16, &n), RC_CLOSED);
}

static void
all_parts_are_written_in_their_order(void **state)
{
    struct rig *rig = *state;
    static char large[5000];
    static char got[sizeof(large) + 16];
    /* An empty part is no part, wherever its bytes would be. */
    struct iovec iov[] = {{(char *)(uintptr_t) "ab", 2}, {NULL, 0},
        {(char *)(uintptr_t) "cd", 2}, {large, sizeof(large)}};
    size_t n = 0;

    memset(large, 'x', sizeof(large));
    assert_int_equal(conn_writev(rig->conn, iov, 3, &n), RC_OK);
    assert_int_equal(n, 4);
    assert_int_equal(read(rig->peer, got, sizeof(got)), 4);
    assert_memory_equal(got, "abcd", 4);
    assert_int_equal(conn_writev(rig->conn, iov, 4, &n), RC_OK);
    assert_int_equal(n, 4 + sizeof(large));
    assert_int_equal(recv(rig->peer, got, 4 + sizeof(large), MSG_WAITALL), n);
    assert_memory_equal(got, "abcdxx", 6);
}

static size_t
fill_socket(struct rig *rig)
{
    static char text[65536];
    struct iovec iov = {text, sizeof(text)};
    size_t total = 0;
    size_t n;
    enum rc rc;

    while ((rc = conn_writev(rig->conn, &iov, 1, &n)) == RC_OK) {
        total += n;
    }
    assert_int_equal(rc, RC_AGAIN);
    return total;
}

static size_t
drain_peer(struct rig *rig, size_t want)
{
    static char text[65536];
    size_t total = 0;
    int fails = 0;

    while (total < want && fails < 1000) {
        ssize_t n = read(rig->peer, text, sizeof(text));
        fails += n < 0;
        total += n > 0 ? (size_t)n : 0;
        loop_turn(rig->loop, n < 0 ? 1 : 0);
    }
    return total;
}

static void
a_full_socket_says_again_and_tells_when_there_is_room(void **state)
{
    struct rig *rig = *state;
    size_t total = fill_socket(rig);

    conn_want_write(rig->conn, true);
    turns(rig, 3);
    assert_int_equal(rig->writes, 0);
    assert_int_equal(drain_peer(rig, total), total);
    turns(rig, 3);
    assert_true(rig->writes > 0);
    rig->writes = 0;
    conn_want_write(rig->conn, false);
    turns(rig, 3);
    assert_int_equal(rig->writes, 0);
}

static void
nothing_is_told_that_is_not_wanted(void **state)
{
    struct rig *rig = *state;

    peer_says(rig, "x");
    turns(rig, 3);
    assert_int_equal(rig->reads + rig->writes, 0);
    conn_want_read(rig->conn, true);
    conn_want_read(rig->conn, true);
    turn_until_read(rig);
    conn_want_read(rig->conn, false);
    rig->reads = 0;
    turns(rig, 3);
    assert_int_equal(rig->reads + rig->writes, 0);
    close(rig->peer);
    rig->peer = -1;
    turns(rig, 3);
    assert_int_equal(rig->reads + rig->writes, 0);
}

static void
unread_bytes_are_told_every_turn(void **state)
{
    struct rig *rig = *state;

    peer_says(rig, "x");
    conn_want_read(rig->conn, true);
    turn_until_read(rig);
    rig->reads = 0;
    turns(rig, 3);
    assert_int_equal(rig->reads, 3);
}

static void
reader_and_writer_both_come_to_their_turn(void **state)
{
    struct rig *rig = *state;

    peer_says(rig, "x");
    conn_want_read(rig->conn, true);
    conn_want_write(rig->conn, true);
    turn_until_read(rig);
    rig->reads = rig->writes = 0;
    turns(rig, 20);
    assert_int_equal(rig->reads + rig->writes, 20);
    assert_int_equal(rig->reads, 10);
    conn_want_write(rig->conn, false);
    rig->reads = rig->writes = 0;
    turns(rig, 4);
    assert_int_equal(rig->reads, 4);
    assert_int_equal(rig->writes, 0);
}

/* Both are ready, and whichever comes first closes. */
static void
a_connection_may_close_in_its_own_callback(void **state)
{
    struct rig *rig = *state;
    char byte;

    for (int i = 0; i < 2; i++) {
        int fds[2];
        peer_says(rig, "x");
        rig->closes = true;
        conn_want_read(rig->conn, true);
        conn_want_write(rig->conn, true);
        rig->reads = rig->writes = 0;
        TURN_UNTIL(rig->loop, 10, rig->conn == NULL);
        assert_int_equal(rig->reads + rig->writes, 1);
        turns(rig, 3);
        assert_int_equal(rig->reads + rig->writes, 1);
        assert_true(read(rig->peer, &byte, 1) <= 0);
        close(rig->peer);
        pair_unix(fds);
        rig->peer = fds[1];
        rig->conn = conn_new(rig->loop, fds[0], &callbacks, rig);
    }
}

static void
closing_tells_the_peer_and_is_harmless_twice(void **state)
{
    struct rig *rig = *state;
    char byte;
    ssize_t n;

    conn_close(&rig->conn);
    assert_null(rig->conn);
    conn_close(&rig->conn);
    conn_abort(&rig->conn);
    while ((n = read(rig->peer, &byte, 1)) < 0 && errno == EAGAIN) {
    }
    assert_int_equal(n, 0);
}

static void
an_abort_is_no_end_of_input(void **state)
{
    struct rig *rig = *state;
    struct iovec iov = {(char *)(uintptr_t) "part", 4};
    char byte;
    ssize_t n;
    size_t written;

    assert_int_equal(conn_writev(rig->conn, &iov, 1, &written), RC_OK);
    conn_abort(&rig->conn);
    assert_null(rig->conn);
    while ((n = read(rig->peer, &byte, 1)) > 0 || (n < 0 && errno == EAGAIN)) {
    }
    assert_int_equal(n, -1);
    assert_int_equal(errno, ECONNRESET);
}

static void
a_reset_is_broken_not_closed(void **state)
{
    struct rig *rig = *state;
    const struct linger reset = {.l_onoff = 1};
    struct iovec iov = {(char *)(uintptr_t) "x", 1};
    char byte;
    size_t n;

    setsockopt(rig->peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    conn_want_read(rig->conn, true);
    close(rig->peer);
    rig->peer = -1;
    turn_until_read(rig);
    assert_int_equal(conn_read(rig->conn, &byte, 1, &n), RC_IO);
    assert_int_equal(conn_writev(rig->conn, &iov, 1, &n), RC_CLOSED);
}

/* And raises no signal. */
static void
writing_to_a_closed_peer_is_closed(void **state)
{
    struct rig *rig = *state;
    struct iovec iov = {(char *)(uintptr_t) "x", 1};
    size_t n;

    close(rig->peer);
    rig->peer = -1;
    assert_int_equal(conn_writev(rig->conn, &iov, 1, &n), RC_CLOSED);
}

static void
half_a_close_still_reads(void **state)
{
    struct rig *rig = *state;
    char byte;
    size_t n;

    conn_shutdown_write(rig->conn);
    assert_int_equal(read(rig->peer, &byte, 1), 0);
    peer_says(rig, "y");
    conn_want_read(rig->conn, true);
    turn_until_read(rig);
    assert_int_equal(conn_read(rig->conn, &byte, 1, &n), RC_OK);
    assert_int_equal(byte, 'y');
}

static void
on_other_readable(void *ctx)
{
    ++*(unsigned *)ctx;
}

static void
a_new_owner_is_called_and_the_wants_are_kept(void **state)
{
    struct rig *rig = *state;
    static const struct conn_callbacks other = {
        .on_readable = on_other_readable,
        .on_writable = on_other_readable,
    };
    unsigned calls = 0;

    conn_want_read(rig->conn, true);
    peer_says(rig, "x");
    turn_until_read(rig);
    rig->reads = 0;
    conn_set_owner(rig->conn, &other, &calls);
    turns(rig, 2);
    assert_int_equal(rig->reads, 0);
    assert_int_equal(calls, 2);
}

static void
an_idle_connection_is_quiet_until_anything_comes(void **state)
{
    struct rig *rig = *state;
    char byte;
    size_t n;

    assert_true(conn_is_quiet(rig->conn));
    peer_says(rig, "x");
    while (conn_is_quiet(rig->conn)) { /* TCP takes its time */
        loop_turn(rig->loop, 1);
    }
    assert_false(conn_is_quiet(rig->conn)); /* looking takes nothing */
    assert_int_equal(conn_read(rig->conn, &byte, 1, &n), RC_OK);
    assert_true(conn_is_quiet(rig->conn));
    close(rig->peer);
    rig->peer = -1;
    while (conn_is_quiet(rig->conn)) {
        loop_turn(rig->loop, 1);
    }
}

static void
the_peer_is_who_was_told(void **state)
{
    struct rig *rig = *state;
    const char *const rows[] = {"10.1.2.3:4", "[2001:db8::1]:5"};
    char text[ADDRESS_TEXT_MAX];
    struct address peer;
    struct address got;

    conn_peer(rig->conn, &got);
    assert_string_equal(address_host_text(&got, text), "unix:");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(address_parse(slice_of_str(rows[i]), &peer), RC_OK);
        conn_set_peer(rig->conn, &peer);
        conn_peer(rig->conn, &got);
        assert_true(address_eq(&peer, &got));
    }
    assert_int_equal(address_parse(SLICE("unix:/x"), &peer), RC_OK);
    conn_set_peer(rig->conn, &peer);
    conn_peer(rig->conn, &got);
    assert_string_equal(address_text(&got, text), "unix:");
}

/* The kernel refuses to watch a plain file, as it does without memory. */
static void
what_cannot_be_watched_is_broken(void **state)
{
    struct rig *rig = *state;
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    char byte;
    size_t n;

    assert_true(file >= 0);
    conn_close(&rig->conn);
    rig->conn = conn_new(rig->loop, file, &callbacks, rig);
    conn_want_write(rig->conn, true);
    assert_int_equal(rig->reads, 0); /* not from inside */
    turns(rig, 2);
    assert_int_equal(rig->reads, 1);
    assert_int_equal(conn_read(rig->conn, &byte, 1, &n), RC_IO);
    assert_int_equal(conn_connect_result(rig->conn), RC_IO);
    conn_want_write(rig->conn, false);
    conn_want_read(rig->conn, true);
    rig->closes = true;
    turns(rig, 2);
    assert_int_equal(rig->reads, 2);
    assert_null(rig->conn);
}

#define UNIX(test) cmocka_unit_test_setup_teardown(test, unix_up, down)
#define TCP(test)  cmocka_unit_test_setup_teardown(test, tcp_up, down)
#define BOTH(test) UNIX(test), TCP(test)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(reading_gives_bytes_then_again_then_the_end),
        UNIX(all_parts_are_written_in_their_order),
        BOTH(a_full_socket_says_again_and_tells_when_there_is_room),
        BOTH(nothing_is_told_that_is_not_wanted),
        BOTH(unread_bytes_are_told_every_turn),
        BOTH(reader_and_writer_both_come_to_their_turn),
        UNIX(a_connection_may_close_in_its_own_callback),
        BOTH(closing_tells_the_peer_and_is_harmless_twice),
        TCP(an_abort_is_no_end_of_input),
        TCP(a_reset_is_broken_not_closed),
        UNIX(what_cannot_be_watched_is_broken),
        UNIX(writing_to_a_closed_peer_is_closed),
        UNIX(half_a_close_still_reads),
        BOTH(a_new_owner_is_called_and_the_wants_are_kept),
        BOTH(an_idle_connection_is_quiet_until_anything_comes),
        UNIX(the_peer_is_who_was_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
