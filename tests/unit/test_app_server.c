/*
 * A whole server: it starts, serves, ends, and leaves nothing. A signal that
 * ends it is pending before it starts, or is sent by a thread that has asked
 * it.
 */
#include "conf_given.h"
#include "heap.h"

#include "app/server.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "nearside/base/clock.h"
#include "nearside/net/signals.h"

enum {
    BLOCKS_MAX = 2000,
    /* Exit statuses of our own. */
    NOT_WANTED = 2,
    THREAD_LEFT = 3,
    BLOCK_LEFT = 4,
};

#define CONF                                                                   \
    "listen = { \"unix:%1$s/l\" }\n"                                           \
    "metrics = \"unix:%1$s/m\"\n"                                              \
    "admin = \"unix:%1$s/a\"\n"                                                \
    "workers = 2\n"                                                            \
    "drain_delay = 0s\n"                                                       \
    "drain_timeout = 5s\n"                                                     \
    "origin api { servers = { \"http://127.0.0.1:1\" } }\n"                    \
    "route \"/a\" { ttl = 1s }\n"

/* ---- threads: each that has begun is waited for ------------------------- */

static atomic_int threads_begun, threads_ended;

int
pthread_create(pthread_t *out, const pthread_attr_t *attr,
    void *(*start)(void *), void *ctx)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    int error;

    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    error = real(out, attr, start, ctx);
    atomic_fetch_add(&threads_begun, error == 0 ? 1 : 0);
    return error;
}

int
pthread_join(pthread_t thread, void **out)
{
    int (*real)(pthread_t, void **);

    *(void **)&real = dlsym(RTLD_NEXT, "pthread_join");
    atomic_fetch_add(&threads_ended, 1);
    return real(thread, out);
}

/* ---- a server ----------------------------------------------------------- */

static struct conf *
given_conf(const struct folder *f)
{
    const struct conf_flags flags = {.path = "c"};
    struct conf_errors errors;
    struct conf *conf = NULL;
    char text[1024];

    snprintf(text, sizeof(text), CONF, f->path);
    file_write("c", 0644, text);
    conf_errors_init(&errors);
    if (conf_load(&flags, &errors, &conf) != RC_OK) {
        conf_errors_print(&errors, stderr);
        fail();
    }
    conf_errors_fini(&errors);
    return conf;
}

/* Runs it; all that it says goes to the file "told". THREAD_LEFT: one was not
   waited for. */
static int
run(const struct conf *conf)
{
    int was = dup(STDERR_FILENO);
    int to = open("told", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int begun = atomic_load(&threads_begun);
    int ended = atomic_load(&threads_ended);
    int status;

    fflush(stderr);
    dup2(to, STDERR_FILENO);
    close(to);
    status = server_run(conf);
    fflush(stderr);
    dup2(was, STDERR_FILENO);
    close(was);
    return atomic_load(&threads_begun) - begun ==
                   atomic_load(&threads_ended) - ended
               ? status
               : THREAD_LEFT;
}

static bool
was_told(const char *line)
{
    char text[8192];
    FILE *f = fopen("told", "r");
    size_t len;

    assert_non_null(f);
    len = fread(text, 1, sizeof(text) - 1, f);
    text[len] = '\0';
    fclose(f);
    return strstr(text, line) != NULL;
}

/* It comes as soon as the server looks. */
static void
end_is_pending(void)
{
    signals_block();
    kill(getpid(), SIGTERM);
}

static int64_t
monotonic_ms(void)
{
    struct clock clock;

    clock_init(&clock);
    return clock_now_ms(&clock);
}

/* ---- one that serves ---------------------------------------------------- */

/* The whole answer at a unix socket of the folder. */
static void
ask(const char *name, const char *path, char *out, size_t cap)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char request[256];
    size_t len = 0;
    ssize_t n;

    snprintf(at.sun_path, sizeof(at.sun_path), "%s", name);
    snprintf(request, sizeof(request),
        "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        path);
    out[0] = '\0';
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
        send(fd, request, strlen(request), MSG_NOSIGNAL) > 0) {
        while (len + 1 < cap && (n = read(fd, out + len, cap - 1 - len)) > 0) {
            len += (size_t)n;
        }
        out[len] = '\0';
    }
    close(fd);
}

struct heard {
    char ready[512];
    char status[16384];
    char client[2048];
    char metrics[200000];
};

/* It waits in the listen queue until the server is ready. */
static void *
asker(void *ctx)
{
    struct heard *h = ctx;

    for (int i = 0; i < 2000 && access("a", F_OK) != 0; i++) {
        usleep(5000);
    }
    ask("m", "/readyz", h->ready, sizeof(h->ready));
    ask("l", "/a", h->client, sizeof(h->client));
    ask("a", "/status", h->status, sizeof(h->status));
    ask("m", "/metrics", h->metrics, sizeof(h->metrics));
    kill(getpid(), SIGTERM);
    return NULL;
}

static void
a_server_serves_until_it_is_told_to_end(void **state)
{
    struct conf *conf = given_conf(*state);
    struct heard *h = calloc(1, sizeof(*h));
    int64_t began_ms, ran_ms;
    const char *uptime;
    pthread_t thread;

    assert_non_null(h);
    signals_block();
    assert_int_equal(pthread_create(&thread, NULL, asker, h), 0);
    began_ms = monotonic_ms();
    assert_int_equal(run(conf), 0);
    ran_ms = monotonic_ms() - began_ms;
    pthread_join(thread, NULL);
    assert_false(was_told("drain_timeout")); /* nobody was left to wait for */
    assert_true(was_told("\nready\n"));
    assert_memory_equal(h->ready, "HTTP/1.1 200 ", 13);
    assert_memory_equal(h->client, "HTTP/1.1 502 ", 13);
    assert_non_null(strstr(h->status, "\"state\": \"serving\""));
    assert_non_null(strstr(h->status, "\"workers\": 2"));
    uptime = strstr(h->status, "\"uptime_seconds\": ");
    assert_non_null(uptime);
    assert_true(atof(strchr(uptime, ':') + 1) <= (double)(ran_ms + 1) / 1000);
    assert_non_null(strstr(h->status, "\"redis\": null"));
    assert_non_null(strstr(h->status, "\"name\": \"api\""));
    assert_non_null(strstr(h->metrics,
        "\nnearside_build_info{version=\"" NEARSIDE_VERSION "\"} 1\n"));
    assert_non_null(
        strstr(h->metrics, "\nnearside_origin_requests_total{origin=\"api\"} "
                           "1\n"));
    assert_int_not_equal(access("l", F_OK), 0);
    assert_int_not_equal(access("m", F_OK), 0);
    assert_int_not_equal(access("a", F_OK), 0);
    free(h);
    conf_free(&conf);
}

/* ---- one that cannot start ---------------------------------------------- */

static void
a_server_without_its_origin_or_log_says_so_and_ends(void **state)
{
    struct conf *conf = given_conf(*state);
    struct origin_opts *origins =
        (struct origin_opts *)(uintptr_t)conf->origins;
    const char *bad = "http://";

    heap_begins();
    origins[0].servers = &bad;
    assert_int_equal(run(conf), 1);
    assert_true(was_told("nearside: origin api: bad server address\n"));
    assert_true(was_told("nearside: cannot start\n"));
    assert_false(was_told("\nready\n"));
    conf->listen_len = 0;
    conf->metrics = "nowhere";
    assert_int_equal(run(conf), 1);
    assert_true(was_told("nearside: cannot listen on nowhere: "));
    heap_ends();
    conf_free(&conf);
}

/* Its exit status: 0 or 1, or NOT_WANTED. -1: it has ended in metric.c,
   which takes no "no" at start. */
static int
status_without(const struct conf *conf, unsigned nth)
{
    size_t before = heap_blocks();
    int status;
    pid_t pid;

    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit none = {0, 0};

        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        end_is_pending();
        heap_refuse(nth, 0);
        status = run(conf);
        status = heap_refused() ? status : NOT_WANTED;
        _exit(heap_blocks() == before ? status : BLOCK_LEFT);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGABRT);
        assert_true(was_told("metric.c"));
        return -1;
    }
    return WEXITSTATUS(status);
}

static void
without_any_one_block_nothing_of_a_server_is_left(void **state)
{
    struct conf *conf = given_conf(*state);
    unsigned ends[NOT_WANTED + 1] = {0}; /* by status */
    int status = 0;

    for (unsigned n = 1; status != NOT_WANTED; n++) {
        status = status_without(conf, n);
        assert_in_range(n, 1, BLOCKS_MAX);
        assert_true(status >= -1 && status <= NOT_WANTED);
        if (status >= 0) {
            assert_int_equal(was_told("nearside: cannot start\n"), status == 1);
            ends[status]++;
        }
    }
    assert_in_range(ends[1], 20, BLOCKS_MAX);
    conf_free(&conf);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_server_serves_until_it_is_told_to_end),
        TEST(a_server_without_its_origin_or_log_says_so_and_ends),
        TEST(without_any_one_block_nothing_of_a_server_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
