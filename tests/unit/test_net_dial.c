/* Connecting: to who answers, to who refuses, and to who is silent. */
#include "nearside/net/dial.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/loop_inside.h"
#include "../support/listening.h"
#include "patience.h"

/* What they are to fail with next; 0: nothing, ask the kernel. */
static int socket_error;
static int connect_error;

/* Both take the place of libc's. */
int
socket(int family, int type, int protocol)
{
    if (socket_error != 0) {
        errno = socket_error;
        return -1;
    }
    return (int)syscall(SYS_socket, family, type, protocol);
}

int
connect(int fd, const struct sockaddr *to, socklen_t len)
{
    if (connect_error != 0) {
        errno = connect_error;
        return -1;
    }
    return (int)syscall(SYS_connect, fd, to, len);
}

struct rig {
    struct loop *loop;
    struct dial dial;
    int listener;
    struct address at;
    unsigned dones;
    enum rc rc;
    struct conn *conn;
};

static void
on_done(void *ctx, enum rc rc, struct conn *own_conn)
{
    struct rig *rig = ctx;

    rig->dones++;
    rig->rc = rc;
    rig->conn = own_conn;
    dial_cancel(&rig->dial); /* harmless: it has ended */
}

static int
up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct address at;

    rig->loop = loop_new();
    assert_int_equal(address_parse(SLICE("127.0.0.1:0"), &at), RC_OK);
    assert_int_equal(listen_at(&at, &rig->listener, &rig->at), RC_OK);
    rig->dial.on_done = on_done;
    rig->dial.ctx = rig;
    *state = rig;
    return 0;
}

static int
down(void **state)
{
    struct rig *rig = *state;

    socket_error = connect_error = 0;
    dial_cancel(&rig->dial);
    conn_close(&rig->conn);
    if (rig->listener >= 0) {
        close(rig->listener);
    }
    loop_free(&rig->loop);
    free(rig);
    return 0;
}

static void
start(struct rig *rig, int64_t timeout_ms)
{
    const struct dial_opts opts = {
        .timeout_ms = timeout_ms, .user_timeout_ms = 1000};

    dial_start(&rig->dial, rig->loop, &rig->at, &opts);
    assert_int_equal(rig->dones, 0);
}

static void
wait_done(struct rig *rig)
{
    TURN_UNTIL(rig->loop, 10, rig->dones > 0);
    assert_int_equal(rig->dones, 1);
}

static void
on_event(void *ctx)
{
    ++*(unsigned *)ctx;
}

static void
who_answers_is_connected_and_nothing_is_wanted(void **state)
{
    struct rig *rig = *state;
    static const struct conn_callbacks callbacks = {
        .on_readable = on_event, .on_writable = on_event};
    unsigned events = 0;
    int accepted;

    start(rig, PATIENCE_MS);
    wait_done(rig);
    assert_int_equal(rig->rc, RC_OK);
    accepted = accept(rig->listener, NULL, NULL);
    assert_true(accepted >= 0);
    assert_int_equal(write(accepted, "x", 1), 1);
    conn_set_owner(rig->conn, &callbacks, &events);
    for (int i = 0; i < 3; i++) {
        loop_turn(rig->loop, 1);
    }
    assert_int_equal(events, 0);
    assert_false(loop_timer_is_armed(&rig->dial.timer));
    close(accepted);
}

static void
who_refuses_is_told_as_such(void **state)
{
    struct rig *rig = *state;

    close(rig->listener);
    rig->listener = -1;
    start(rig, PATIENCE_MS);
    wait_done(rig);
    assert_int_equal(rig->rc, RC_REFUSED);
    assert_null(rig->conn);
}

static void
start_failing(struct rig *rig, int *error, int with, enum rc want)
{
    rig->dones = 0;
    *error = with;
    start(rig, PATIENCE_MS);
    wait_done(rig);
    *error = 0;
    assert_int_equal(rig->rc, want);
    assert_null(rig->conn);
}

static void
what_is_wanting_on_our_side_is_a_limit_and_nobodys_refusal(void **state)
{
    static const int ours[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
    static const int theirs[] = {ENETUNREACH, EHOSTUNREACH, EACCES};
    struct rig *rig = *state;

    for (unsigned i = 0; i < ARRAY_LEN(ours); i++) {
        start_failing(rig, &socket_error, ours[i], RC_LIMIT);
    }
    start_failing(rig, &connect_error, ENOBUFS, RC_LIMIT);
    start_failing(rig, &connect_error, EAGAIN, RC_REFUSED);
    for (unsigned i = 0; i < ARRAY_LEN(theirs); i++) {
        start_failing(rig, &connect_error, theirs[i], RC_IO);
    }
    rig->dones = 0;
    start(rig, PATIENCE_MS);
    wait_done(rig);
    assert_int_equal(rig->rc, RC_OK);
}

static void
a_unix_socket_that_is_not_there_is_refused_later(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(
        address_parse(SLICE("unix:/nowhere/at/all"), &rig->at), RC_OK);
    start(rig, PATIENCE_MS);
    loop_turn(rig->loop, 0);
    assert_int_equal(rig->dones, 1);
    assert_int_equal(rig->rc, RC_REFUSED);
    assert_false(loop_timer_is_armed(&rig->dial.timer));
}

/* A listener whose queue is full lets the next one wait. */
static void
fill_queue(struct rig *rig, int fds[8])
{
    assert_int_equal(listen(rig->listener, 0), 0);
    for (int i = 0; i < 8; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fds[i], &rig->at.u.any, rig->at.len);
    }
}

static void
who_is_silent_costs_the_timeout(void **state)
{
    struct rig *rig = *state;
    int64_t start_ms;
    int fds[8];

    fill_queue(rig, fds);
    rig->loop->clock.is_manual = true;
    start(rig, 60000);
    start_ms = loop_now_ms(rig->loop);
    loop_turn(rig->loop, 20);
    assert_int_equal(rig->dones, 0);
    assert_int_equal(rig->dial.timer.deadline_ms, start_ms + 60000);
    rig->loop->clock.is_manual = false;
    loop_timer_arm(&rig->dial.timer, start_ms + 1);
    wait_done(rig);
    assert_int_equal(rig->rc, RC_TIMEOUT);
    assert_null(rig->conn);
    for (int i = 0; i < 8; i++) {
        close(fds[i]);
    }
}

static void
a_cancelled_dial_tells_nothing(void **state)
{
    struct rig *rig = *state;

    dial_cancel(&rig->dial); /* never started */
    start(rig, PATIENCE_MS);
    dial_cancel(&rig->dial);
    dial_cancel(&rig->dial);
    assert_int_equal(
        address_parse(SLICE("unix:/nowhere/at/all"), &rig->at), RC_OK);
    start(rig, PATIENCE_MS);
    dial_cancel(&rig->dial);
    for (int i = 0; i < 3; i++) {
        loop_turn(rig->loop, 5);
    }
    assert_int_equal(rig->dones, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_answers_is_connected_and_nothing_is_wanted),
        TEST(who_refuses_is_told_as_such),
        TEST(what_is_wanting_on_our_side_is_a_limit_and_nobodys_refusal),
        TEST(a_unix_socket_that_is_not_there_is_refused_later),
        TEST(who_is_silent_costs_the_timeout),
        TEST(a_cancelled_dial_tells_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
