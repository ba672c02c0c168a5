/* The log: what arrives, in which form, and that nothing a file, pipe or
   reader does can hold up or end the process: log_line.c, log_rate.c,
   log_ring.c, log_sink.c, log_writer.c. */
#include "nearside/base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "nearside/base/check.h"
#include "nearside/base/clock.h"
#include "patience.h"

enum {
    TEXT_MAX = 8 * 1024 * 1024,
};

struct fixture {
    char dir[64];
    char events[96];
    char access[96];
    char *text; /* what was read last */
    struct log_opts opts;
    struct log *log;
    struct log_ring *ring;
};

static int
fixture_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    snprintf(f->dir, sizeof(f->dir), "/tmp/nearside-log-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->events, sizeof(f->events), "%s/events", f->dir);
    snprintf(f->access, sizeof(f->access), "%s/access", f->dir);
    f->text = malloc(TEXT_MAX);
    f->opts = (struct log_opts){
        .events = {LOG_TARGET_FILE, f->events},
        .access = {LOG_TARGET_FILE, f->access},
        .level = LOG_LEVEL_INFO,
        .rate_max = 20,
    };
    *state = f;
    return 0;
}

static int
fixture_down(void **state)
{
    struct fixture *f = *state;
    char old[128];

    log_close(&f->log);
    snprintf(old, sizeof(old), "%s.1", f->access);
    unlink(old);
    unlink(f->events);
    unlink(f->access);
    assert_int_equal(rmdir(f->dir), 0);
    free(f->text);
    free(f);
    return 0;
}

static void
open_log(struct fixture *f)
{
    char why[256] = "";

    if (log_open(&f->opts, &f->log, why) != RC_OK) {
        fail_msg("%s", why);
    }
    f->ring = log_ring_new(f->log);
    assert_non_null(f->ring);
}

static const char *
read_file(struct fixture *f, const char *path)
{
    FILE *file = fopen(path, "r");
    size_t len;

    f->text[0] = '\0';
    if (file != NULL) {
        len = fread(f->text, 1, TEXT_MAX - 1, file);
        f->text[len] = '\0';
        fclose(file);
    }
    return f->text;
}

static size_t
count_lines(const char *text)
{
    size_t lines = 0;

    for (; *text != '\0'; text++) {
        lines += *text == '\n';
    }
    return lines;
}

static void
breathe(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

static void
await_text(struct fixture *f, const char *path, const char *want)
{
    int64_t until = real_ms() + PATIENCE_MS;

    while (strstr(read_file(f, path), want) == NULL) {
        if (real_ms() > until) {
            fail_msg("'%s' did not come; there is '%s'", want, f->text);
        }
        breathe();
    }
}

/* At least n lines have been dropped. */
static void
await_dropped(struct fixture *f, uint64_t n)
{
    int64_t until = real_ms() + PATIENCE_MS;

    while (log_dropped(f->log) < n) {
        assert_true(real_ms() < until);
        breathe();
    }
}

static void
assert_matches(const char *text, const char *pattern)
{
    regex_t re;
    bool is_match;

    assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    is_match = regexec(&re, text, 0, NULL, 0) == 0;
    regfree(&re);
    if (!is_match) {
        fail_msg("'%s' does not match '%s'", text, pattern);
    }
}

static void
an_event_is_one_line_of_the_stated_form(void **state)
{
    struct fixture *f = *state;

    open_log(f);
    log_event(f->ring, LOG_LEVEL_WARN, "origin_down", "server=\"%s\" tries=%d",
        "api:80", 3);
    log_close(&f->log);
    assert_matches(read_file(f, f->events),
        "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]"
        "\\.[0-9]{3}Z warn origin_down server=\"api:80\" tries=3\n$");
    assert_string_equal(read_file(f, f->access), "");
}

static void
events_above_the_level_are_not_made(void **state)
{
    struct fixture *f = *state;

    open_log(f);
    log_event(f->ring, LOG_LEVEL_DEBUG, "detail", "n=%d", 1);
    log_event(f->ring, LOG_LEVEL_INFO, "ready", "n=%d", 2);
    log_event(f->ring, LOG_LEVEL_ERROR, "bad", "n=%d", 3);
    log_close(&f->log);
    assert_int_equal(count_lines(read_file(f, f->events)), 2);
    assert_non_null(strstr(f->text, "Z info ready n=2\n"));
    assert_non_null(strstr(f->text, "Z error bad n=3\n"));
}

static void
without_a_ring_lines_are_dropped(void **state)
{
    (void)state;
    assert_false(log_wants_access(NULL));
    log_event(NULL, LOG_LEVEL_ERROR, "bad", "n=%d", 3);
    log_access(NULL, SLICE("line"));
}

static void
the_last_line_comes_behind_all_others(void **state)
{
    struct fixture *f = *state;
    struct log_ring *newer;

    f->opts.rate_max = 1;
    open_log(f);
    newer = log_ring_new(f->log);
    log_event_last(f->log, LOG_LEVEL_INFO, "end", "cut=\"%u\"", 3U);
    log_event(f->ring, LOG_LEVEL_INFO, "one", "n=%d", 1);
    for (int i = 0; i < 50; i++) { /* what is left out is told at the end */
        log_event(newer, LOG_LEVEL_INFO, "two", "n=%d", 2);
    }
    log_close(&f->log);
    read_file(f, f->events);
    assert_non_null(strstr(f->text, "Z info one n=1\n"));
    assert_non_null(strstr(f->text, "Z info two suppressed="));
    assert_string_equal(strrchr(f->text, 'Z'), "Z info end cut=\"3\"\n");
}

static void
above_the_level_there_is_no_last_line(void **state)
{
    struct fixture *f = *state;

    f->opts.level = LOG_LEVEL_WARN;
    open_log(f);
    log_event_last(f->log, LOG_LEVEL_INFO, "end", "n=%d", 3);
    log_close(&f->log);
    assert_string_equal(read_file(f, f->events), "");
}

static void
access_lines_arrive_as_they_are(void **state)
{
    struct fixture *f = *state;

    open_log(f);
    assert_true(log_wants_access(f->ring));
    log_access(f->ring, SLICE("10.0.0.1 - \"GET / HTTP/1.1\" 200 \xc3\xa9"));
    log_access(f->ring, SLICE(""));
    log_access(f->ring, SLICE("{\"status\":200}"));
    log_close(&f->log);
    assert_string_equal(read_file(f, f->access),
        "10.0.0.1 - \"GET / HTTP/1.1\" 200 \xc3\xa9\n\n{\"status\":200}\n");
}

static void
access_lines_are_not_wanted_without_a_target(void **state)
{
    struct fixture *f = *state;

    f->opts.access = (struct log_sink_opts){.target = LOG_TARGET_NONE};
    open_log(f);
    assert_false(log_wants_access(f->ring));
    log_access(f->ring, SLICE("line"));
    assert_int_equal(log_dropped(f->log), 0);
}

static void
no_byte_can_break_a_line(void **state)
{
    struct fixture *f = *state;

    open_log(f);
    log_access(f->ring, SLICE("a\nb\rc\x1b[31m\0d\x7f"));
    log_event(f->ring, LOG_LEVEL_INFO, "odd", "text=\"%s\"", "x\ny");
    log_close(&f->log);
    assert_string_equal(read_file(f, f->access), "a?b?c?[31m?d?\n");
    assert_non_null(strstr(read_file(f, f->events), " odd text=\"x?y\"\n"));
}

static void
a_long_event_is_cut_and_says_so(void **state)
{
    struct fixture *f = *state;
    char text[4000];
    size_t len;

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    open_log(f);
    log_event(f->ring, LOG_LEVEL_INFO, "long", "text=\"%s\"", text);
    log_close(&f->log);
    len = strlen(read_file(f, f->events));
    assert_in_range(len, 1000, 2048);
    assert_string_equal(f->text + len - 5, "x...\n");
}

static void
an_idle_writer_is_woken_by_a_line(void **state)
{
    struct fixture *f = *state;
    char want[32];

    open_log(f);
    for (int i = 0; i < 3; i++) {
        snprintf(want, sizeof(want), "line %d\n", i);
        log_access(f->ring, slice_of(want, strlen(want) - 1));
        await_text(f, f->access, want);
        /* Two turns without a line: now it sleeps for good. */
        nanosleep(&(struct timespec){.tv_nsec = 250000000}, NULL);
    }
    assert_int_equal(log_dropped(f->log), 0);
}

struct talker {
    struct log_ring *ring;
    int id;
    int lines;
};

static void *
talk(void *ctx)
{
    struct talker *t = ctx;
    char line[64];

    for (int i = 0; i < t->lines; i++) {
        int len = snprintf(line, sizeof(line), "%d %d", t->id, i);
        log_access(t->ring, slice_of(line, (size_t)len));
        if (i % 100 == 0) {
            log_event(t->ring, LOG_LEVEL_INFO, "talk", "i=%d", i);
        }
    }
    return NULL;
}

static void
lines_of_two_threads_all_arrive_each_in_order(void **state)
{
    enum {
        LINES = 10000 /* all of them fit a ring */
    };
    struct fixture *f = *state;
    struct talker talkers[2];
    pthread_t threads[2];
    int next[2] = {0, 0};
    char *rest;

    open_log(f);
    for (int i = 0; i < 2; i++) {
        talkers[i] = (struct talker){log_ring_new(f->log), i, LINES};
        assert_int_equal(
            pthread_create(&threads[i], NULL, talk, &talkers[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(log_dropped(f->log), 0);
    log_close(&f->log);
    read_file(f, f->access);
    for (char *line = strtok_r(f->text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        int id = line[0] - '0';
        assert_in_range(id, 0, 1);
        assert_int_equal(strtol(line + 2, NULL, 10), next[id]++);
    }
    assert_int_equal(next[0], LINES);
    assert_int_equal(next[1], LINES);
}

/* Records of all lengths at all places of the ring, several times around. */
static void
lines_wrap_around_the_end_of_a_ring(void **state)
{
    struct fixture *f = *state;
    char want[20100];
    char line[20000];
    size_t total = 0;

    open_log(f);
    for (size_t i = 0; i < 90; i++) {
        size_t len = (i * 3701) % sizeof(line);
        memset(line, 'a' + (int)(i % 26), len);
        snprintf(want, sizeof(want), "%zu:%.*s\n", i, (int)len, line);
        log_access(f->ring, slice_of(want, strlen(want) - 1));
        total += strlen(want);
        if (i % 6 == 5) {
            await_text(f, f->access, want);
        }
    }
    assert_int_equal(log_dropped(f->log), 0);
    log_close(&f->log);
    assert_int_equal(strlen(read_file(f, f->access)), total);
}

static void
one_name_is_limited_and_the_rest_is_counted(void **state)
{
    struct fixture *f = *state;
    long lines = 0;
    long suppressed = 0;
    char *rest;

    f->opts.rate_max = 5;
    open_log(f);
    for (int i = 0; i < 100; i++) {
        log_event(f->ring, LOG_LEVEL_WARN, "flood", "i=%d", i);
    }
    log_event(f->ring, LOG_LEVEL_WARN, "other", "i=%d", 1);
    log_close(&f->log);
    read_file(f, f->events);
    assert_non_null(strstr(f->text, "Z warn other i=1\n"));
    for (char *line = strtok_r(f->text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        const char *note = strstr(line, "Z warn flood suppressed=");
        if (note != NULL) {
            suppressed += strtol(strchr(note, '=') + 1, NULL, 10);
        } else {
            lines += strstr(line, " flood i=") != NULL;
        }
    }
    /* Twice the limit if the second turned meanwhile. */
    assert_in_range(lines, 5, 10);
    assert_int_equal(lines + suppressed, 100);
}

static void
the_note_follows_by_itself(void **state)
{
    struct fixture *f = *state;

    f->opts.rate_max = 1;
    open_log(f);
    for (int i = 0; i < 10; i++) {
        log_event(f->ring, LOG_LEVEL_INFO, "flood", "i=%d", i);
    }
    await_text(f, f->events, "Z info flood suppressed=");
}

static void
a_full_disk_costs_lines_only(void **state)
{
    struct fixture *f = *state;

    f->opts.access.path = "/dev/full";
    open_log(f);
    for (int i = 0; i < 100; i++) {
        log_access(f->ring, SLICE("a line for a disk that is full"));
    }
    await_text(f, f->events, "warn log_dropped lines=");
    assert_non_null(strstr(f->text, "cause=\"No space left on device\""));
    await_dropped(f, 100);
    assert_int_equal(log_dropped(f->log), 100);
}

static void
full_events_do_not_feed_on_themselves(void **state)
{
    struct fixture *f = *state;

    f->opts.events.path = "/dev/full";
    open_log(f);
    log_event(f->ring, LOG_LEVEL_ERROR, "bad", "n=%d", 1);
    await_dropped(f, 1);
    /* Time for a note about the lost line to be lost as well. */
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    assert_int_equal(log_dropped(f->log), 1);
}

/* The kernel refuses bytes beyond the limit, as a disk does that fills up
   in the middle of a line. */
static void
a_line_cut_by_a_full_disk_spoils_no_other(void **state)
{
    struct fixture *f = *state;
    struct rlimit before;
    struct rlimit tight;
    uint64_t dropped;

    /* The events' file would be as full: its own losses do not count here. */
    f->opts.events = (struct log_sink_opts){.target = LOG_TARGET_NONE};
    open_log(f);
    getrlimit(RLIMIT_FSIZE, &before);
    tight = (struct rlimit){.rlim_cur = 10, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    log_access(f->ring, SLICE("0123456"));
    log_access(f->ring, SLICE("cut here"));
    log_access(f->ring, SLICE("lost"));
    await_dropped(f, 2);
    log_access(f->ring, SLICE("lost too"));
    await_dropped(f, 3);
    dropped = log_dropped(f->log);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(dropped, 3);
    log_access(f->ring, SLICE("well again"));
    log_close(&f->log);
    assert_string_equal(read_file(f, f->access), "0123456\ncu\nwell again\n");
}

static void
a_reader_that_goes_away_does_not_end_the_process(void **state)
{
    struct fixture *f = *state;
    int reader;

    assert_int_equal(mkfifo(f->access, 0600), 0);
    reader = open(f->access, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    open_log(f);
    close(reader);
    log_access(f->ring, SLICE("to nobody"));
    await_text(f, f->events, "cause=\"Broken pipe\"");
    assert_int_equal(log_dropped(f->log), 1);
    /* And a new reader is served. */
    reader = open(f->access, O_RDONLY);
    log_access(f->ring, SLICE("to the next"));
    assert_int_equal(read(reader, f->text, TEXT_MAX), 12);
    assert_memory_equal(f->text, "to the next\n", 12);
    close(reader);
}

static void
a_reader_that_hangs_stops_nobody(void **state)
{
    enum {
        LINES = 30000
    };
    struct fixture *f = *state;
    static const char line[] = "a line of forty bytes for a fifo's sake";
    int64_t begin = real_ms();
    int reader;

    assert_int_equal(mkfifo(f->access, 0600), 0);
    reader = open(f->access, O_RDONLY | O_NONBLOCK);
    open_log(f);
    for (int i = 0; i < LINES; i++) {
        log_access(f->ring, slice_of(line, sizeof(line) - 1));
    }
    assert_true(real_ms() - begin < PATIENCE_MS);
    /* Events are not held up by it. */
    log_event(f->ring, LOG_LEVEL_INFO, "still", "here=%d", 1);
    begin = real_ms();
    await_text(f, f->events, "log_dropped lines=");
    log_close(&f->log);
    assert_true(real_ms() - begin < PATIENCE_MS);
    close(reader);
}

static void
what_a_hanging_reader_misses_is_counted(void **state)
{
    enum {
        LINES = 20000
    };
    struct fixture *f = *state;
    size_t got = 0;
    int64_t until = real_ms() + PATIENCE_MS;
    int reader;

    assert_int_equal(mkfifo(f->access, 0600), 0);
    reader = open(f->access, O_RDONLY | O_NONBLOCK);
    open_log(f);
    for (int i = 0; i < LINES; i++) {
        log_access(f->ring, SLICE("0123456789abcde0123456789abcde0"));
    }
    await_dropped(f, 1);
    while (got / 32 + log_dropped(f->log) < LINES) {
        ssize_t n = read(reader, f->text, TEXT_MAX);
        assert_true(real_ms() < until);
        for (ssize_t i = 31; i < n; i += 32) {
            assert_int_equal(f->text[i], '\n'); /* no line in pieces */
        }
        got += n > 0 ? (size_t)n : 0;
    }
    assert_true(got > 0);
    assert_int_equal(got / 32 + log_dropped(f->log), LINES);
    close(reader);
}

static void
a_fifo_without_reader_is_no_reason_not_to_start(void **state)
{
    struct fixture *f = *state;
    int reader;

    assert_int_equal(mkfifo(f->access, 0600), 0);
    open_log(f);
    log_access(f->ring, SLICE("kept"));
    reader = open(f->access, O_RDONLY);
    assert_int_equal(read(reader, f->text, TEXT_MAX), 5);
    assert_memory_equal(f->text, "kept\n", 5);
    close(reader);
}

static void
after_reopen_lines_go_to_the_new_file(void **state)
{
    struct fixture *f = *state;
    char old[128];
    int64_t until = real_ms() + PATIENCE_MS;

    snprintf(old, sizeof(old), "%s.1", f->access);
    open_log(f);
    log_access(f->ring, SLICE("before"));
    await_text(f, f->access, "before\n");
    assert_int_equal(rename(f->access, old), 0);
    log_reopen(f->log);
    while (access(f->access, F_OK) != 0) {
        assert_true(real_ms() < until);
        breathe();
    }
    log_access(f->ring, SLICE("after"));
    log_close(&f->log);
    assert_string_equal(read_file(f, old), "before\n");
    assert_string_equal(read_file(f, f->access), "after\n");
}

static void
when_reopen_fails_the_old_file_is_kept(void **state)
{
    struct fixture *f = *state;
    char old[128];

    snprintf(old, sizeof(old), "%s.1", f->access);
    open_log(f);
    assert_int_equal(rename(f->access, old), 0);
    assert_int_equal(mkdir(f->access, 0700), 0);
    log_reopen(f->log);
    await_text(
        f, f->events, "error log_reopen_failed cause=\"Is a directory\"");
    log_access(f->ring, SLICE("after"));
    log_close(&f->log);
    assert_string_equal(read_file(f, old), "after\n");
    assert_int_equal(rmdir(f->access), 0);
}

static void
a_file_that_cannot_be_opened_is_named(void **state)
{
    struct fixture *f = *state;
    char why[256] = "";

    f->opts.access.path = "/nonexistent/access.log";
    assert_int_equal(log_open(&f->opts, &f->log, why), RC_IO);
    assert_null(f->log);
    assert_string_equal(why, "cannot open log /nonexistent/access.log: "
                             "No such file or directory");
    assert_int_equal(log_open(&f->opts, &f->log, NULL), RC_IO);
}

static void
stderr_takes_events(void **state)
{
    struct fixture *f = *state;
    int file = open(f->events, O_CREAT | O_RDWR, 0600);
    int saved = dup(STDERR_FILENO);

    f->opts.events.target = LOG_TARGET_STDERR;
    assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
    open_log(f);
    log_event(f->ring, LOG_LEVEL_INFO, "ready", "n=%d", 1);
    log_close(&f->log);
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    close(saved);
    close(file);
    assert_matches(read_file(f, f->events), "Z info ready n=1\n$");
}

static int
syslog_server(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memcpy(addr.sun_path, path, strlen(path));
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return fd;
}

static const char *
received(struct fixture *f, int fd)
{
    ssize_t n = recv(fd, f->text, TEXT_MAX - 1, 0);

    assert_true(n > 0);
    f->text[n] = '\0';
    return f->text;
}

static void
syslog_gets_a_datagram_a_line(void **state)
{
    struct fixture *f = *state;
    int server = syslog_server(f->access);

    f->opts.events = (struct log_sink_opts){LOG_TARGET_SYSLOG, f->access};
    f->opts.access = f->opts.events;
    open_log(f);
    log_event(f->ring, LOG_LEVEL_ERROR, "origin_down", "server=\"%s\"", "a:1");
    assert_matches(received(f, server), /* daemon.err: 3 * 8 + 3 */
        "^<27>[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} nearside\\[[0-9]+\\]: "
        "error origin_down server=\"a:1\"$");
    log_access(f->ring, SLICE("GET / 200"));
    assert_matches(received(f, server), "^<30>.* nearside\\[[0-9]+\\]: "
                                        "GET / 200$");
    close(server);
}

static void
a_syslog_daemon_that_restarts_is_found_again(void **state)
{
    struct fixture *f = *state;
    int server = syslog_server(f->access);
    int64_t until = real_ms() + PATIENCE_MS;

    f->opts.access = (struct log_sink_opts){LOG_TARGET_SYSLOG, f->access};
    open_log(f);
    close(server);
    log_access(f->ring, SLICE("lost"));
    await_dropped(f, 1);
    unlink(f->access);
    server = syslog_server(f->access);
    assert_int_equal(fcntl(server, F_SETFL, O_NONBLOCK), 0);
    while (recv(server, f->text, TEXT_MAX, 0) < 0) {
        assert_true(real_ms() < until);
        log_access(f->ring, SLICE("again"));
        breathe();
    }
    close(server);
}

struct escape_case {
    struct slice in;
    size_t cap;
    const char *out;
};

static void
bytes_from_outside_are_escaped(void **state)
{
    static const struct escape_case cases[] = {
        {{"plain /a?b=c'~", 14}, 32, "plain /a?b=c'~"},
        {{"", 0}, 4, ""},
        {{NULL, 0}, 4, ""},
        {{"a\"b\\c", 5}, 32, "a\\x22b\\x5cc"},
        {{"\0\n\x1f\x7f\x80\xff", 6}, 32, "\\x00\\x0a\\x1f\\x7f\\x80\\xff"},
        {{"abcdefgh", 8}, 9, "abcdefgh"},  /* fits to the byte */
        {{"abcdefghi", 9}, 9, "abcde..."}, /* one too many */
        {{"abcd\nefgh", 9}, 9, "abcd..."}, /* no half escapes */
        {{"\n\n\n", 3}, 9, "\\x0a..."},
        {{"abcdefghi", 9}, 4, "..."},
    };
    char out[32];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        memset(out, '#', sizeof(out));
        assert_string_equal(
            log_escape(cases[i].in, out, cases[i].cap), cases[i].out);
        for (size_t at = cases[i].cap; at < sizeof(out); at++) {
            assert_int_equal(out[at], '#');
        }
    }
}

static void
closing_nothing_is_fine(void **state)
{
    struct log *none = NULL;

    (void)state;
    log_close(&none);
}

#define LOG_TEST(f) cmocka_unit_test_setup_teardown(f, fixture_up, fixture_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(an_event_is_one_line_of_the_stated_form),
        LOG_TEST(events_above_the_level_are_not_made),
        LOG_TEST(the_last_line_comes_behind_all_others),
        LOG_TEST(above_the_level_there_is_no_last_line),
        LOG_TEST(access_lines_arrive_as_they_are),
        LOG_TEST(access_lines_are_not_wanted_without_a_target),
        LOG_TEST(no_byte_can_break_a_line),
        LOG_TEST(a_long_event_is_cut_and_says_so),
        LOG_TEST(an_idle_writer_is_woken_by_a_line),
        LOG_TEST(lines_of_two_threads_all_arrive_each_in_order),
        LOG_TEST(lines_wrap_around_the_end_of_a_ring),
        LOG_TEST(one_name_is_limited_and_the_rest_is_counted),
        LOG_TEST(the_note_follows_by_itself),
        LOG_TEST(a_full_disk_costs_lines_only),
        LOG_TEST(full_events_do_not_feed_on_themselves),
        LOG_TEST(a_line_cut_by_a_full_disk_spoils_no_other),
        LOG_TEST(a_reader_that_goes_away_does_not_end_the_process),
        LOG_TEST(a_reader_that_hangs_stops_nobody),
        LOG_TEST(what_a_hanging_reader_misses_is_counted),
        LOG_TEST(a_fifo_without_reader_is_no_reason_not_to_start),
        LOG_TEST(after_reopen_lines_go_to_the_new_file),
        LOG_TEST(when_reopen_fails_the_old_file_is_kept),
        LOG_TEST(a_file_that_cannot_be_opened_is_named),
        LOG_TEST(stderr_takes_events),
        LOG_TEST(syslog_gets_a_datagram_a_line),
        LOG_TEST(a_syslog_daemon_that_restarts_is_found_again),
        cmocka_unit_test(without_a_ring_lines_are_dropped),
        cmocka_unit_test(bytes_from_outside_are_escaped),
        cmocka_unit_test(closing_nothing_is_fine),
    };

    return cmocka_run_group_tests_name("base.log", tests, NULL, NULL);
}
