/* Listening sockets and those who watch them. */
#include "nearside/net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/address.h"
#include "nearside/base/check.h"
#include "passing.h"

enum {
    CLIENTS = 40,
    REST_MS = 100, /* of an acceptor that lacks something; listen.c */
};

/* What accept is to fail with next; 0: nothing, ask the kernel. */
static int accept_error;
static unsigned accept_calls;

/* Takes the place of libc's. */
int
accept4(int fd, struct sockaddr *peer, socklen_t *len, int flags)
{
    accept_calls++;
    if (accept_error != 0) {
        errno = accept_error;
        return -1;
    }
    return (int)syscall(SYS_accept4, fd, peer, len, flags);
}

struct rig {
    struct loop *loop;
    struct listener listener;
    struct acceptor *acceptor;
    unsigned accepted;
    unsigned exhausted;
    struct address peer;
    char dir[32];
};

static void
on_accept(void *ctx, int own_fd, const struct address *peer)
{
    struct rig *rig = ctx;

    rig->accepted++;
    rig->peer = *peer;
    assert_true((fcntl(own_fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(own_fd, F_GETFD) & FD_CLOEXEC) != 0);
    close(own_fd);
}

static void
on_exhausted(void *ctx)
{
    struct rig *rig = ctx;

    rig->exhausted++;
}

static const struct listen_opts plain = {.mode = 0600};

static const struct acceptor_callbacks callbacks = {
    .on_accept = on_accept,
    .on_exhausted = on_exhausted,
};

static struct address
given(const char *text)
{
    struct address a;

    assert_int_equal(address_parse(slice_of_str(text), &a), RC_OK);
    return a;
}

static int
up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct address any = given("127.0.0.1:0");

    rig->loop = loop_new();
    snprintf(rig->dir, sizeof(rig->dir), "/tmp/nearside-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    assert_int_equal(listen_open(&any, &plain, &rig->listener), RC_OK);
    *state = rig;
    return 0;
}

static int
down(void **state)
{
    struct rig *rig = *state;

    accept_error = 0;
    acceptor_free(&rig->acceptor);
    listen_close(&rig->listener);
    loop_free(&rig->loop);
    assert_int_equal(rmdir(rig->dir), 0);
    free(rig);
    return 0;
}

static int
client(const struct address *at)
{
    int fd = socket(at->u.any.sa_family, SOCK_STREAM, 0);

    assert_int_equal(connect(fd, &at->u.any, at->len), 0);
    return fd;
}

static void
turns(struct rig *rig, int n)
{
    for (int i = 0; i < n; i++) {
        loop_turn(rig->loop, 1);
    }
}

static void
port_0_becomes_a_port_that_is_told(void **state)
{
    struct rig *rig = *state;
    struct address same = rig->listener.bound;
    struct address any6 = given("[::1]:0");
    struct listener other = {.fd = -1};

    assert_true(address_port(&rig->listener.bound) != 0);
    assert_int_equal(listen_open(&same, &plain, &other), RC_REFUSED);
    assert_int_equal(errno, EADDRINUSE);
    assert_int_equal(other.fd, -1);
    if (listen_open(&any6, &plain, &other) == RC_OK) { /* no IPv6 here? */
        assert_true(address_port(&other.bound) != 0);
        close(client(&other.bound));
    }
    listen_close(&other);
}

/* And its address is told as what it is, by which it is trusted, limited and
   logged. */
static void
the_ipv6_wildcard_takes_ipv4_too_unless_it_is_told_not_to(void **state)
{
    struct rig *rig = *state;
    const struct listen_opts only = {.is_ipv6_only = true};
    struct address any6 = given("[::]:0");
    struct address v4 = given("127.0.0.1:0");
    struct listener both, six;
    int fd;

    if (listen_open(&any6, &plain, &both) != RC_OK) {
        skip(); /* no IPv6 here */
    }
    rig->acceptor = acceptor_new(rig->loop, both.fd, &callbacks, rig);
    address_set_port(&v4, address_port(&both.bound));
    fd = client(&v4);
    turns(rig, 3);
    assert_int_equal(rig->accepted, 1);
    assert_int_equal(rig->peer.len, sizeof(struct sockaddr_in));
    assert_int_equal(rig->peer.u.v4.sin_family, AF_INET);
    assert_int_equal(ntohl(rig->peer.u.v4.sin_addr.s_addr), INADDR_LOOPBACK);
    assert_true(address_port(&rig->peer) != 0);
    close(fd);
    acceptor_free(&rig->acceptor);
    listen_close(&both);

    assert_int_equal(listen_open(&any6, &only, &six), RC_OK);
    address_set_port(&v4, address_port(&six.bound));
    fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_not_equal(connect(fd, &v4.u.any, v4.len), 0);
    close(fd);
    listen_close(&six);
}

static void
those_who_connect_are_handed_on_sixteen_a_turn(void **state)
{
    struct rig *rig = *state;
    int fds[CLIENTS];

    rig->acceptor = acceptor_new(rig->loop, rig->listener.fd, &callbacks, rig);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = client(&rig->listener.bound);
    }
    loop_turn(rig->loop, 100);
    assert_int_equal(rig->accepted, 16);
    loop_turn(rig->loop, 100);
    assert_int_equal(rig->accepted, 32);
    turns(rig, 3);
    assert_int_equal(rig->accepted, CLIENTS);
    assert_int_equal(rig->peer.u.any.sa_family, AF_INET);
    assert_true(address_port(&rig->peer) != 0);
    for (int i = 0; i < CLIENTS; i++) {
        close(fds[i]);
    }
}

static void
a_paused_acceptor_accepts_nothing_until_it_goes_on(void **state)
{
    struct rig *rig = *state;
    int fd;

    rig->acceptor = acceptor_new(rig->loop, rig->listener.fd, &callbacks, rig);
    acceptor_pause(rig->acceptor, true);
    acceptor_pause(rig->acceptor, true);
    fd = client(&rig->listener.bound);
    turns(rig, 3);
    assert_int_equal(rig->accepted, 0);
    acceptor_pause(rig->acceptor, false);
    turns(rig, 3);
    assert_int_equal(rig->accepted, 1);
    close(fd);
}

static void
two_loops_may_watch_one_listener(void **state)
{
    struct rig *rig = *state;
    struct loop *other = loop_new();
    struct acceptor *second =
        acceptor_new(other, rig->listener.fd, &callbacks, rig);
    int fd;

    rig->acceptor = acceptor_new(rig->loop, rig->listener.fd, &callbacks, rig);
    for (unsigned i = 1; i <= 4; i++) {
        fd = client(&rig->listener.bound);
        loop_turn(i % 2 == 0 ? other : rig->loop, 100);
        loop_turn(i % 2 == 0 ? rig->loop : other, 0);
        assert_int_equal(rig->accepted, i);
        close(fd);
    }
    acceptor_free(&second);
    assert_null(second);
    loop_free(&other);
}

/* Out of fds: it is told, the loop does not spin, and what waits is served
   once there are fds again. */
static void
out_of_fds_it_rests_and_goes_on_later(void **state)
{
    struct rig *rig = *state;
    struct rlimit before;
    struct rlimit none;
    int fd = client(&rig->listener.bound);

    rig->acceptor = acceptor_new(rig->loop, rig->listener.fd, &callbacks, rig);
    time_stop(rig->loop);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)fd; /* no number below it is free */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    TURN_UNTIL(rig->loop, 5, rig->exhausted > 0);
    time_pass(rig->loop, REST_MS - 8);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    turns(rig, 20);
    assert_int_equal(rig->accepted, 0);
    assert_int_equal(rig->exhausted, 1);
    time_pass(rig->loop, 16);
    TURN_UNTIL(rig->loop, 5, rig->accepted > 0);
    assert_int_equal(rig->accepted, 1);
    close(fd);
}

static void
whatever_accept_wants_for_it_rests_once_and_goes_on(void **state)
{
    static const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
    struct rig *rig = *state;

    time_stop(rig->loop);
    for (unsigned i = 0; i < ARRAY_LEN(errors); i++) {
        int fd = client(&rig->listener.bound);
        rig->accepted = rig->exhausted = 0;
        rig->acceptor =
            acceptor_new(rig->loop, rig->listener.fd, &callbacks, rig);
        accept_error = errors[i];
        accept_calls = 0;
        turns(rig, 20);
        time_pass(rig->loop, REST_MS - 8);
        turns(rig, 20);
        assert_int_equal(accept_calls, 1);
        assert_int_equal(rig->exhausted, 1);
        accept_error = 0;
        time_pass(rig->loop, 16);
        TURN_UNTIL(rig->loop, 5, rig->accepted > 0);
        assert_int_equal(rig->accepted, 1);
        acceptor_free(&rig->acceptor);
        close(fd);
    }
}

/* A client that has left, or an error of its connection: the next turn
   looks again, and nothing rests. */
static void
a_connection_that_fails_while_it_is_accepted_is_no_want(void **state)
{
    static const int errors[] = {ECONNABORTED, EPROTO, EINTR, EPERM, EAGAIN};
    struct rig *rig = *state;

    for (unsigned i = 0; i < ARRAY_LEN(errors); i++) {
        int fd = client(&rig->listener.bound);
        rig->accepted = rig->exhausted = 0;
        rig->acceptor =
            acceptor_new(rig->loop, rig->listener.fd, &callbacks, rig);
        accept_error = errors[i];
        turns(rig, 1);
        accept_error = 0;
        turns(rig, 2);
        assert_int_equal(rig->exhausted, 0);
        assert_int_equal(rig->accepted, 1);
        acceptor_free(&rig->acceptor);
        close(fd);
    }
}

/* A unix socket's path in the rig's folder. */
static struct address
path_in(const struct rig *rig)
{
    char text[64];

    snprintf(text, sizeof(text), "unix:%s/s", rig->dir);
    return given(text);
}

static void
a_unix_socket_has_the_mode_asked_for(void **state)
{
    struct rig *rig = *state;
    struct address at = path_in(rig);
    struct listener l;
    struct stat st;
    int peer;

    assert_int_equal(listen_open(&at, &plain, &l), RC_OK);
    assert_true(address_eq(&at, &l.bound));
    assert_int_equal(stat(at.u.unix_.sun_path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    rig->acceptor = acceptor_new(rig->loop, l.fd, &callbacks, rig);
    peer = client(&at);
    turns(rig, 3);
    assert_int_equal(rig->accepted, 1);
    assert_int_equal(rig->peer.u.any.sa_family, AF_UNIX);
    acceptor_free(&rig->acceptor);
    close(peer);
    listen_close(&l);
    assert_int_not_equal(access(at.u.unix_.sun_path, F_OK), 0);
}

static void
a_stale_socket_file_is_replaced_a_live_one_or_another_file_is_not(void **state)
{
    struct rig *rig = *state;
    struct address at = path_in(rig);
    struct listener first, second = {.fd = -1};
    int fd;

    assert_int_equal(listen_open(&at, &plain, &first), RC_OK);
    assert_int_equal(listen_open(&at, &plain, &second), RC_REFUSED);
    close(client(&at)); /* still served */
    close(first.fd);    /* the file stays behind */
    assert_int_equal(listen_open(&at, &plain, &second), RC_OK);
    close(client(&at));
    listen_close(&second);
    fd = open(at.u.unix_.sun_path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(listen_open(&at, &plain, &second), RC_REFUSED);
    assert_int_equal(access(at.u.unix_.sun_path, F_OK), 0);
    close(fd);
    unlink(at.u.unix_.sun_path);
}

/* Who ends late must not take the path from its heir. */
static void
a_socket_file_that_another_has_bound_since_is_left_alone(void **state)
{
    struct rig *rig = *state;
    struct address at = path_in(rig);
    struct listener first, heir;

    for (int is_held = 0; is_held < 2; is_held++) {
        assert_int_equal(listen_open(&at, &plain, &first), RC_OK);
        if (is_held) {
            listen_hold(&first);
            assert_int_not_equal(access(at.u.unix_.sun_path, F_OK), 0);
        } else {
            unlink(at.u.unix_.sun_path);
        }
        assert_int_equal(listen_open(&at, &plain, &heir), RC_OK);
        listen_close(&first);
        close(client(&at));
        listen_close(&heir);
        assert_int_not_equal(access(at.u.unix_.sun_path, F_OK), 0);
    }
}

/* Starts to connect; whether it will is not known yet. */
static int
newcomer(const struct address *at)
{
    int fd = socket(at->u.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

    (void)connect(fd, &at->u.any, at->len);
    return fd;
}

static void
who_is_queued_when_it_ends_is_accepted_and_nobody_else(void **state)
{
    struct rig *rig = *state;
    const struct address ats[] = {
        given("127.0.0.1:0"), given("[::1]:0"), path_in(rig)};
    int fds[CLIENTS + 1];

    for (size_t i = 0; i < ARRAY_LEN(ats); i++) {
        struct listener l;
        if (listen_open(&ats[i], &plain, &l) != RC_OK) {
            continue; /* no IPv6 here */
        }
        rig->accepted = 0;
        rig->acceptor = acceptor_new(rig->loop, l.fd, &callbacks, rig);
        for (int j = 0; j < CLIENTS; j++) {
            fds[j] = client(&l.bound);
        }
        listen_hold(&l);
        fds[CLIENTS] = newcomer(&l.bound);
        acceptor_finish(rig->acceptor);
        assert_int_equal(rig->accepted, CLIENTS);
        /* Another worker finds nothing, and no harm is done. */
        acceptor_finish(rig->acceptor);
        assert_int_equal(rig->accepted, CLIENTS);
        acceptor_free(&rig->acceptor);
        listen_close(&l);
        for (int j = 0; j <= CLIENTS; j++) {
            close(fds[j]);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(port_0_becomes_a_port_that_is_told),
        TEST(the_ipv6_wildcard_takes_ipv4_too_unless_it_is_told_not_to),
        TEST(those_who_connect_are_handed_on_sixteen_a_turn),
        TEST(a_paused_acceptor_accepts_nothing_until_it_goes_on),
        TEST(two_loops_may_watch_one_listener),
        TEST(out_of_fds_it_rests_and_goes_on_later),
        TEST(whatever_accept_wants_for_it_rests_once_and_goes_on),
        TEST(a_connection_that_fails_while_it_is_accepted_is_no_want),
        TEST(a_unix_socket_has_the_mode_asked_for),
        TEST(a_stale_socket_file_is_replaced_a_live_one_or_another_file_is_not),
        TEST(a_socket_file_that_another_has_bound_since_is_left_alone),
        TEST(who_is_queued_when_it_ends_is_accepted_and_nobody_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
