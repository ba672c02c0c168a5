/*
 * What a server does at each signal, and how long it waits for whom before it
 * ends. A delay of an hour is one that nobody has waited for.
 */
#include "server_given.h"

#include <sys/wait.h>

#include "nearside/net/address.h"

enum {
    SHORT_MS = 300,
};

#define HOUR_TO_DRAIN "drain_timeout = 1h\n"

static const char keeps_open[] = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";

struct story {
    void (*tell)(struct story *);
    int origin_fd; /* listens; nobody answers there */
    char heard[16384];
    char other[2048];
    int64_t asked_ms; /* when the end was asked for */
    bool is_true;     /* what it has waited for */
};

static void *
story_main(void *ctx)
{
    struct story *story = ctx;

    LOOK_UNTIL(access("a", F_OK) == 0);
    story->tell(story);
    return NULL;
}

/* How long it has run since it was asked to end. */
static int64_t
ran_ms(const struct folder *f, const char *rest, struct story *story)
{
    struct conf *conf = conf_made(f, rest);
    pthread_t thread;
    int64_t ended_ms;

    signals_block();
    assert_int_equal(pthread_create(&thread, NULL, story_main, story), 0);
    assert_int_equal(run_told(conf), 0);
    ended_ms = monotonic_ms();
    pthread_join(thread, NULL);
    conf_free(&conf);
    return ended_ms - story->asked_ms;
}

/* To the process, in which a thread of the server's takes it. */
static void
signal_with(struct story *story, int number)
{
    story->asked_ms = monotonic_ms();
    kill(getpid(), number);
}

/* Is that said at once by the listener there? */
static bool
says(struct story *story, const char *name, const char *path, const char *want)
{
    ask(name, path, story->heard, sizeof(story->heard));
    return strstr(story->heard, want) != NULL;
}

/* ---- an end without delay ----------------------------------------------- */

static void
interrupt(struct story *story)
{
    story->is_true = says(story, "m", "/readyz", "HTTP/1.1 200 ");
    signal_with(story, SIGINT);
}

/* Who interrupts it has no balancer. */
static void
an_interrupt_waits_for_no_balancer(void **state)
{
    struct story story = {.tell = interrupt};

    ran_ms(*state, "drain_delay = 1h\n" HOUR_TO_DRAIN TO_NOWHERE, &story);
    assert_true(story.is_true);
    assert_true(was_told(" info draining connections=\"0\"\n"));
    assert_false(was_told("drain_timeout"));
}

static void
terminate(struct story *story)
{
    story->is_true = says(story, "m", "/readyz", "HTTP/1.1 200 ");
    signal_with(story, SIGTERM);
}

static void
the_delay_is_waited_for_and_no_longer(void **state)
{
    static const char *const delays[] = {
        "drain_delay = 100ms\n" HOUR_TO_DRAIN TO_NOWHERE,
        "drain_delay = 200ms\n" HOUR_TO_DRAIN TO_NOWHERE,
        "drain_delay = 300ms\n" HOUR_TO_DRAIN TO_NOWHERE,
    };

    for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
        struct story story = {.tell = terminate};

        assert_true(
            ran_ms(*state, delays[i], &story) >= (int64_t)(i + 1) * 100);
        assert_false(was_told("drain_timeout"));
    }
}

/* In a process that has not blocked them: else the signal is its death. */
static void
the_server_blocks_its_signals_itself(void **state)
{
    struct story story = {.tell = interrupt};
    struct conf *conf = conf_made(*state, "drain_delay = 0s\n" TO_NOWHERE);
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        pthread_t thread;
        sigset_t none;

        signals_block(); /* for the story's thread */
        sigemptyset(&none);
        if (pthread_create(&thread, NULL, story_main, &story) == 0) {
            sigprocmask(SIG_SETMASK, &none, NULL);
            status = run_told(conf);
            pthread_join(thread, NULL);
            _exit(status);
        }
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    conf_free(&conf);
}

/* ---- the delay ---------------------------------------------------------- */

static void
terminate_twice(struct story *story)
{
    int fd;

    signal_with(story, SIGTERM);
    LOOK_UNTIL(says(story, "m", "/readyz", "HTTP/1.1 503 "));
    fd = dial_unix("l"); /* it still comes in, and its answer is the last */
    tell(fd, keeps_open);
    hear(fd, story->other, sizeof(story->other));
    close(fd);
    story->is_true = says(story, "a", "/status", "\"state\": \"draining\"");
    signal_with(story, SIGTERM);
}

static void
in_the_delay_it_is_not_ready_and_serves_until_told_again(void **state)
{
    struct story story = {.tell = terminate_twice};

    ran_ms(*state, "drain_delay = 1h\n" HOUR_TO_DRAIN TO_NOWHERE, &story);
    assert_true(story.is_true);
    assert_memory_equal(story.other, "HTTP/1.1 502 ", 13);
    assert_non_null(strstr(story.other, "\r\nconnection: close\r\n"));
    assert_false(was_told("drain_timeout"));
}

/* ---- the drain ---------------------------------------------------------- */

/* An origin that takes connections and says nothing; its conf. */
static void
origin_opens(struct story *story, char *conf, size_t cap, const char *options)
{
    struct address any, bound;
    char text[ADDRESS_TEXT_MAX];

    assert_int_equal(address_parse(SLICE("127.0.0.1:0"), &any), RC_OK);
    story->origin_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(story->origin_fd, &any.u.any, any.len), 0);
    assert_int_equal(listen(story->origin_fd, 8), 0);
    assert_int_equal(address_of_socket(story->origin_fd, &bound), RC_OK);
    snprintf(conf, cap,
        "%sorigin api { servers = { \"http://%s\" } }\n"
        "route \"/a\" { ttl = 1s }\n",
        options, address_text(&bound, text));
}

static void
terminate_with_a_request_under_way(struct story *story)
{
    int fd = dial_unix("l");

    tell(fd, keeps_open);
    LOOK_UNTIL(says(story, "a", "/status", "\"in_flight\": 1"));
    story->is_true = strstr(story->heard, "\"connections\": 1") != NULL;
    signal_with(story, SIGTERM);
    hear(fd, story->other, sizeof(story->other));
    close(fd);
}

static void
who_gets_no_answer_is_waited_for_so_long(void **state)
{
    struct story story = {.tell = terminate_with_a_request_under_way};
    char conf[512];

    origin_opens(&story, conf, sizeof(conf),
        "drain_delay = 0s\ndrain_timeout = 300ms\n");
    assert_true(ran_ms(*state, conf, &story) >= SHORT_MS);
    assert_true(story.is_true);
    assert_true(was_told(" info draining connections=\"1\"\n"));
    assert_true(was_told(" warn drain_timeout connections=\"1\"\n"));
    close(story.origin_fd);
}

static void
terminate_and_answer(struct story *story)
{
    int fd = dial_unix("l");
    int api;

    tell(fd, keeps_open);
    api = accept(story->origin_fd, NULL, NULL);
    signal_with(story, SIGTERM);
    LOOK_UNTIL(was_told(" info draining "));
    tell(api, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    hear(fd, story->other, sizeof(story->other));
    close(fd);
    close(api);
}

/* And nobody is waited for any longer. */
static void
an_answer_under_way_is_finished(void **state)
{
    struct story story = {.tell = terminate_and_answer};
    char conf[512];

    origin_opens(&story, conf, sizeof(conf),
        "workers = 2\ndrain_delay = 0s\n" HOUR_TO_DRAIN);
    ran_ms(*state, conf, &story);
    assert_memory_equal(story.other, "HTTP/1.1 200 OK\r\n", 17);
    assert_non_null(strstr(story.other, "\r\n\r\nhi"));
    assert_false(was_told("drain_timeout"));
    close(story.origin_fd);
}

/* ---- other signals ------------------------------------------------------ */

static void
hang_up_and_reopen(struct story *story)
{
    kill(getpid(), SIGHUP);
    LOOK_UNTIL(file_has("events", " warn reload_refused cause=\"not in this "
                                  "version: restart to read the conf\"\n"));
    rename("events", "before");
    kill(getpid(), SIGUSR1);
    LOOK_UNTIL(access("events", F_OK) == 0);
    story->is_true = says(story, "m", "/readyz", "HTTP/1.1 200 ");
    signal_with(story, SIGTERM);
}

static void
other_signals_end_nothing(void **state)
{
    const struct folder *f = *state;
    struct story story = {.tell = hang_up_and_reopen};
    char conf[512];

    snprintf(conf, sizeof(conf),
        "error_log { target = \"file:%s/events\" }\n"
        "drain_delay = 0s\n" HOUR_TO_DRAIN TO_NOWHERE,
        f->path);
    ran_ms(f, conf, &story);
    assert_true(story.is_true);
    assert_true(file_has("before", " warn reload_refused "));
    assert_false(file_has("before", " info draining "));
    assert_true(file_has("events", " info draining "));
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_interrupt_waits_for_no_balancer),
        TEST(the_server_blocks_its_signals_itself),
        TEST(the_delay_is_waited_for_and_no_longer),
        TEST(in_the_delay_it_is_not_ready_and_serves_until_told_again),
        TEST(who_gets_no_answer_is_waited_for_so_long),
        TEST(an_answer_under_way_is_finished),
        TEST(other_signals_end_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
