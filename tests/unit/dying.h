/* What a child says on stderr before it aborts. */
#ifndef TESTS_UNIT_DYING_H
#define TESTS_UNIT_DYING_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child: no core is left, cmocka does not catch the signal, and one
   that lives on is ended by another one. */
static inline void
dying_child(int to, void (*die)(void))
{
    const struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
    signal(SIGABRT, SIG_DFL);
    signal(SIGALRM, SIG_DFL);
    alarm(20);
    dup2(to, STDERR_FILENO);
    die();
    _exit(0);
}

/* Fails unless `die` ends by SIGABRT. The text is good until the next call. */
static inline const char *
dying_words(void (*die)(void))
{
    static char text[4096];
    size_t len = 0;
    int fds[2], status;
    ssize_t n;
    pid_t pid;

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dying_child(fds[1], die);
    }
    close(fds[1]);
    while ((n = read(fds[0], text + len, sizeof(text) - 1 - len)) > 0) {
        len += (size_t)n;
    }
    text[len] = '\0';
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    return text;
}

#endif
