/* What is said to a reader that hangs (say.c). */
#include "nearside/base/say.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    PATIENCE_S = 20, /* a write that waits is ended by SIGALRM */
};

/* A pipe, a socket and a terminal that take nothing more, though their flags
   say that a writer waits. */
static void
fill(int fd)
{
    char bytes[4096] = {0};
    int flags = fcntl(fd, F_GETFL);

    assert_int_equal(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
    for (size_t len = sizeof(bytes); len > 0; len /= 2) {
        while (write(fd, bytes, len) > 0) {
        }
    }
    assert_int_equal(fcntl(fd, F_SETFL, flags), 0);
}

static int
terminal(int *master)
{
    *master = posix_openpt(O_RDWR | O_NOCTTY);
    if (*master < 0 || grantpt(*master) != 0 || unlockpt(*master) != 0) {
        skip(); /* no terminals here */
    }
    return open(ptsname(*master), O_RDWR | O_NOCTTY);
}

static void
a_writer_never_waits_whatever_the_flags_say(void **state)
{
    int fds[3][2];

    (void)state;
    assert_int_equal(pipe(fds[0]), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds[1]), 0);
    fds[2][1] = terminal(&fds[2][0]);
    alarm(PATIENCE_S);
    for (size_t i = 0; i < 3; i++) {
        int to = fds[i][1];
        assert_int_equal(say_now(to, "x", 1), 1);
        fill(to);
        errno = 0;
        assert_int_equal(say_now(to, "x", 1), -1);
        assert_int_equal(errno, EAGAIN);
        assert_int_equal(fcntl(to, F_GETFL) & O_NONBLOCK, 0);
        close(to);
        close(fds[i][0]);
    }
    alarm(0);
}

static void
a_file_is_written_and_one_that_is_closed_is_an_error(void **state)
{
    FILE *file = tmpfile();
    int fd = fileno(file);

    (void)state;
    assert_int_equal(say_now(fd, "hello", 5), 5);
    assert_int_equal(lseek(fd, 0, SEEK_END), 5);
    fclose(file);
    assert_int_equal(say_now(-1, "x", 1), -1);
    assert_int_equal(errno, EBADF);
}

/* What fills a pipe goes out as far as it is taken; a line is dropped. */
static void
a_line_that_nobody_takes_is_dropped(void **state)
{
    static char much[200000];
    char got[64];
    int was = dup(STDERR_FILENO);
    int fds[2];
    ssize_t n;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
    alarm(PATIENCE_S);
    say("one %d", 1);
    n = read(fds[0], got, sizeof(got));
    say_all(much, sizeof(much));
    say("two");
    alarm(0);
    assert_int_equal(dup2(was, STDERR_FILENO), STDERR_FILENO);
    close(was);
    assert_int_equal(n, 6);
    assert_memory_equal(got, "one 1\n", 6);
    close(fds[0]);
    close(fds[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_writer_never_waits_whatever_the_flags_say),
        cmocka_unit_test(a_file_is_written_and_one_that_is_closed_is_an_error),
        cmocka_unit_test(a_line_that_nobody_takes_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
