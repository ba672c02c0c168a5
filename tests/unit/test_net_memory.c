/*
 * Memory that is not to be had when a loop, what watches its sockets, or a
 * lookup is made: whichever one block it is, there is none of it, and nothing
 * of what was begun is left.
 */
#include "heap.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nearside/net/conn.h"
#include "nearside/net/listen.h"
#include "nearside/net/loop.h"
#include "nearside/net/resolve.h"
#include "nearside/net/signals.h"

static struct loop *loop;

static bool
makes_loop(void)
{
    struct loop *made = loop_new();
    bool is_made = made != NULL;

    loop_free(&made);
    return is_made;
}

static void
on_accept(void *ctx, int own_fd, const struct address *peer)
{
    (void)ctx;
    (void)own_fd;
    (void)peer;
}

static bool
makes_acceptor(void)
{
    const struct acceptor_callbacks callbacks = {.on_accept = on_accept};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct acceptor *made;
    bool is_made;

    assert_int_equal(listen(fd, 1), 0);
    made = acceptor_new(loop, fd, &callbacks, NULL);
    is_made = made != NULL;
    acceptor_free(&made);
    close(fd);
    return is_made;
}

static void
on_nothing(void *ctx)
{
    (void)ctx;
}

/* Its socket is closed with it, or without it. */
static bool
makes_conn(void)
{
    static const struct conn_callbacks events = {
        .on_readable = on_nothing, .on_writable = on_nothing};
    struct conn *made;
    bool is_made;
    int fds[2];

    assert_int_equal(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    made = conn_new(loop, fds[0], &events, NULL);
    is_made = made != NULL;
    conn_close(&made);
    close(fds[1]);
    return is_made;
}

static void
on_signal(void *ctx, int number)
{
    (void)ctx;
    (void)number;
}

static bool
makes_signals(void)
{
    struct signals *made = signals_new(loop, on_signal, NULL);
    bool is_made = made != NULL;

    signals_free(&made);
    return is_made;
}

static bool
makes_resolver(void)
{
    struct resolver *made = resolver_new();
    bool is_made = made != NULL;

    resolver_free(&made);
    return is_made;
}

static void
is_made_or_leaves_nothing(bool (*makes)(void), unsigned at_least)
{
    unsigned nth = 1;
    bool is_refused = true;

    for (heap_begins(); is_refused; nth++) {
        bool is_made;

        heap_refuse(nth, 0);
        is_made = makes();
        is_refused = heap_refused();
        assert_int_equal(is_made, !is_refused);
        heap_ends();
    }
    assert_in_range(nth - 2, at_least, 20);
}

static void
without_any_one_block_there_is_none_and_nothing_is_left(void **state)
{
    (void)state;
    is_made_or_leaves_nothing(makes_loop, 1);
    loop = loop_new();
    is_made_or_leaves_nothing(makes_acceptor, 1);
    is_made_or_leaves_nothing(makes_conn, 1);
    is_made_or_leaves_nothing(makes_signals, 1);
    is_made_or_leaves_nothing(makes_resolver, 1);
    loop_free(&loop);
}

/* The same when no more files than that may be opened. */
static void
takes_so_many_files(bool (*makes)(void), unsigned from, unsigned want)
{
    struct rlimit before, tight;
    int next = dup(STDIN_FILENO);

    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = before;
    for (unsigned room = from; room <= want; room++) {
        bool is_made;

        heap_begins();
        tight.rlim_cur = (rlim_t)next + room;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
        is_made = makes();
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(is_made, room == want);
        heap_ends();
    }
}

static void
without_a_file_there_is_none_and_nothing_is_left(void **state)
{
    (void)state;
    /* libevent's three, without which it ends the process, and one to wake. */
    takes_so_many_files(makes_loop, 3, 4);
    loop = loop_new();
    takes_so_many_files(makes_signals, 0, 1);
    loop_free(&loop);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            without_any_one_block_there_is_none_and_nothing_is_left),
        cmocka_unit_test(without_a_file_there_is_none_and_nothing_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
