/*
 * A whole server: it starts, serves, ends, and leaves nothing. A signal that
 * ends it is pending before it starts, or is sent by a thread that has asked
 * it.
 */
#include "server_given.h"
#include "heap.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum {
    BLOCKS_MAX = 2000,
    /* Exit statuses of our own. */
    NOT_WANTED = 2,
    THREAD_LEFT = 3,
    BLOCK_LEFT = 4,
};

#define CONF                                                                   \
    "workers = 2\n"                                                            \
    "drain_delay = 0s\n"                                                       \
    "drain_timeout = 5s\n" TO_NOWHERE

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
    return conf_made(f, CONF);
}

/* THREAD_LEFT: one was not waited for. */
static int
run(const struct conf *conf)
{
    int begun = atomic_load(&threads_begun);
    int ended = atomic_load(&threads_ended);
    int status = run_told(conf);

    return atomic_load(&threads_begun) - begun ==
                   atomic_load(&threads_ended) - ended
               ? status
               : THREAD_LEFT;
}

/* ---- one that serves ---------------------------------------------------- */

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

    LOOK_UNTIL(access("a", F_OK) == 0);
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
