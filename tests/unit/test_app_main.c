/* The entry point: what the process prints, where, and its exit status. */
#include "server_given.h"
#include "heap.h"

#include <sys/wait.h>

#include "nearside/app/options.h"

#define main nearside_main
int nearside_main(int argc, char *argv[]);
#include "app/main.c"
#undef main

enum {
    CHILD_FAILED = 77, /* an exit status of our own */
};

/* Of the command line; what it prints goes to the files "out" and "told". */
static int
status_of(const char *const *words)
{
    static const char *const names[] = {"out", "told"};
    int fds[] = {STDOUT_FILENO, STDERR_FILENO};
    char *argv[8] = {"nearside"};
    int was[2];
    int argc = 1;
    int status;

    for (; words[argc - 1] != NULL; argc++) {
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    }
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        int to = open(names[i], O_WRONLY | O_CREAT | O_TRUNC, 0600);

        was[i] = dup(fds[i]);
        dup2(to, fds[i]);
        close(to);
    }
    status = nearside_main(argc, argv);
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        dup2(was[i], fds[i]);
        close(was[i]);
    }
    return status;
}

#define STATUS_OF(...) status_of((const char *const[]){__VA_ARGS__, NULL})

static bool
is_empty(const char *name)
{
    struct stat found;

    assert_int_equal(stat(name, &found), 0);
    return found.st_size == 0;
}

static void
version_and_help_go_to_stdout(void **state)
{
    (void)state;
    assert_int_equal(STATUS_OF("--version"), 0);
    assert_true(file_has("out", "nearside " NEARSIDE_VERSION "\n"));
    assert_true(is_empty("told"));
    assert_int_equal(STATUS_OF("--help"), 0);
    assert_true(file_has("out", "usage: nearside "));
    assert_true(is_empty("told"));
}

static void
a_mistake_on_the_command_line_is_status_2(void **state)
{
    (void)state;
    assert_int_equal(STATUS_OF("--nonsense"), 2);
    assert_true(was_told("nearside: unknown option --nonsense; "));
    assert_true(is_empty("out"));
}

static void
a_conf_is_checked_and_nothing_else(void **state)
{
    (void)state;
    file_write("c", 0644, TO_NOWHERE);
    assert_int_equal(STATUS_OF("--check", "c"), 0);
    assert_true(file_has("out", "c: ok\n"));
    assert_true(is_empty("told"));
    file_write("c", 0644, API "route \"products/:id\" { }\n");
    assert_int_equal(STATUS_OF("--check", "c"), 0);
    assert_true(file_has("out", "c: ok\n"));
    assert_true(was_told("c:2: warning: "));
    file_write("c", 0644, "nonsense = 1\n");
    assert_int_equal(STATUS_OF("--check", "c"), 2);
    assert_true(is_empty("out"));
    assert_true(was_told("c:1: "));
    assert_int_equal(STATUS_OF("--check", "nowhere"), 2);
    assert_true(is_empty("out"));
    assert_true(was_told("nowhere"));
}

/* Nobody who has made a mistake is served. */
static void
a_mistake_in_the_conf_is_status_2(void **state)
{
    (void)state;
    file_write("c", 0644, "nonsense = 1\n");
    end_is_pending();
    assert_int_equal(STATUS_OF("-c", "c"), 2);
    assert_true(was_told("c:1: "));
    assert_false(was_told("listening on"));
}

/* The first block that it wants is for the conf. */
static void
without_memory_for_the_conf_it_is_status_1(void **state)
{
    (void)state;
    file_write("c", 0644, TO_NOWHERE);
    heap_refuse(1, 0);
    assert_int_equal(STATUS_OF("-c", "c"), 1);
    assert_true(heap_refused());
    assert_true(was_told("nearside: there is no memory to read the conf\n"));
    assert_false(was_told("listening on"));
}

/* ---- one that serves ---------------------------------------------------- */

static void
conf_write(const struct folder *f, const char *rest)
{
    struct conf *conf = conf_made(f, rest); /* it is the file "c" */

    conf_free(&conf);
}

static void
it_says_its_warnings_and_serves(void **state)
{
    conf_write(*state, "drain_delay = 0s\n" API "route \"products/:id\" { }\n");
    end_is_pending();
    assert_int_equal(STATUS_OF("-c", "c"), 0);
    assert_true(was_told("c:6: warning: "));
    assert_true(was_told("\nready\n"));
    assert_true(is_empty("out"));
}

/* A pipe that is full: who writes to it waits for good. */
static void
it_waits_for_nobody_to_read_its_warnings(void **state)
{
    char *argv[] = {"nearside", "-c", "c", NULL};
    static const char block[4096];
    int was = dup(STDERR_FILENO);
    int fds[2];
    int status;

    conf_write(*state,
        "drain_delay = 0s\n"
        "error_log { target = off }\n" API "route \"products/:id\" { }\n");
    assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    while (write(fds[1], block, sizeof(block)) > 0) {
    }
    assert_int_equal(fcntl(fds[1], F_SETFL, 0), 0);
    end_is_pending();
    fflush(stderr);
    dup2(fds[1], STDERR_FILENO);
    status = nearside_main(3, argv);
    dup2(was, STDERR_FILENO);
    close(was);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(status, 0);
}

static void
what_cannot_start_is_status_1(void **state)
{
    file_write("c", 0644, "listen = { \"unix:/nowhere/l\" }\n" TO_NOWHERE);
    (void)state;
    assert_int_equal(STATUS_OF("-c", "c"), 1);
    assert_true(was_told("nearside: cannot listen on unix:/nowhere/l: "));
}

/* ---- is one ready? ------------------------------------------------------ */

static void *
answer_200(void *ctx)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\n\r\n";
    int fd = accept(*(const int *)ctx, NULL, NULL);
    char request[1024];

    (void)recv(fd, request, sizeof(request), 0);
    tell(fd, answer);
    close(fd);
    return NULL;
}

static void
ready_is_0_and_else_1(void **state)
{
    const struct folder *f = *state;
    struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "s"};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char address[128];
    pthread_t thread;

    snprintf(address, sizeof(address), "unix:%s/s", f->path);
    assert_int_equal(STATUS_OF("--ready", address), 1);
    assert_true(was_told(address));
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(pthread_create(&thread, NULL, answer_200, &fd), 0);
    assert_int_equal(STATUS_OF("--ready", address), 0);
    pthread_join(thread, NULL);
    close(fd);
    assert_true(is_empty("out"));
    assert_true(is_empty("told"));
    assert_int_equal(STATUS_OF("--ready", "nonsense"), 2);
    assert_true(was_told("nonsense"));
}

/* ---- files of its own --------------------------------------------------- */

/* In a process that was started without them: its exit status. */
static int
status_without_standard_fds(int from)
{
    char *argv[] = {"nearside", "--version", NULL};
    int status = CHILD_FAILED;

    for (int fd = from; fd <= STDERR_FILENO; fd++) {
        close(fd);
    }
    if (nearside_main(2, argv) == 0) {
        status = 0;
        for (int fd = 0; fd <= STDERR_FILENO; fd++) {
            /* Open for both, for whoever reads or writes there. */
            int flags = fcntl(fd, F_GETFL);

            if (fd >= from && (flags < 0 || (flags & O_ACCMODE) != O_RDWR)) {
                status = CHILD_FAILED;
            }
        }
    }
    return status;
}

static void
standard_files_that_are_lacking_lead_nowhere(void **state)
{
    (void)state;
    for (int from = 0; from <= STDERR_FILENO; from++) {
        pid_t pid = fork();
        int status;

        assert_true(pid >= 0);
        if (pid == 0) {
            _exit(status_without_standard_fds(from));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(version_and_help_go_to_stdout),
        TEST(a_mistake_on_the_command_line_is_status_2),
        TEST(a_conf_is_checked_and_nothing_else),
        TEST(a_mistake_in_the_conf_is_status_2),
        TEST(without_memory_for_the_conf_it_is_status_1),
        TEST(it_says_its_warnings_and_serves),
        TEST(it_waits_for_nobody_to_read_its_warnings),
        TEST(what_cannot_start_is_status_1),
        TEST(ready_is_0_and_else_1),
        TEST(standard_files_that_are_lacking_lead_nowhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
