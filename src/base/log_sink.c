/*
 * Sinks. The laws:
 *
 * - Nothing here waits without an end. Files of ours are opened
 *   non-blocking; stdout and stderr are shared with other processes, whose
 *   flags are not ours to change, so they are polled first and written by
 *   say_now.
 * - A sink whose reader hangs costs one wait, not one for each line: it is
 *   `stalled` until it takes bytes again, and drops meanwhile.
 * - Lines are written whole as far as the kernel lets us; when a disk ends
 *   in the middle of one, the next successful write begins a new line.
 * - The writer thread has SIGPIPE blocked, so a closed pipe is only EPIPE.
 */
#include "base/log_sink.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/log_ring.h"
#include "nearside/base/check.h"
#include "nearside/base/clock.h"
#include "nearside/base/say.h"

static_assert(LOG_LINE_MAX + 2 <= LOG_SINK_BUF_SIZE, "a line fits a sink");

enum {
    LINE_WAIT_MS = 100,     /* for a slow reader, before lines are dropped */
    REDIAL_MS = 1000,       /* between two attempts to reach syslog */
    SYSLOG_TEXT_MAX = 2000, /* what syslog daemons take without cutting */
};

static int64_t
now_ms(void)
{
    struct clock clock;

    clock_init(&clock);
    return clock_now_ms(&clock);
}

/* A fifo without a reader refuses a writer; opened for both it keeps what
   fits until one comes. */
static int
file_open(const char *path)
{
    int flags = O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    int fd = open(path, flags | O_WRONLY, 0640);

    if (fd < 0 && errno == ENXIO) {
        fd = open(path, flags | O_RDWR, 0640);
    }
    return fd;
}

static int
syslog_dial(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd;

    path = path == NULL ? "/dev/log" : path;
    if (strlen(path) >= sizeof(addr.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(addr.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 &&
        connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

static int
target_open(const struct log_sink_opts *opts)
{
    switch (opts->target) {
    case LOG_TARGET_STDERR:
        return STDERR_FILENO;
    case LOG_TARGET_STDOUT:
        return STDOUT_FILENO;
    case LOG_TARGET_FILE:
        return file_open(opts->path);
    case LOG_TARGET_SYSLOG:
        return syslog_dial(opts->path);
    case LOG_TARGET_NONE:
        return -1;
    }
    return -1;
}

static void
sink_close(struct log_sink *s)
{
    if (s->is_owned && s->fd >= 0) {
        close(s->fd);
    }
    s->fd = -1;
}

static void
sink_adopt(struct log_sink *s, int fd)
{
    struct stat st;

    MUST(fd >= 0);
    sink_close(s);
    s->fd = fd;
    s->is_owned = s->opts.target == LOG_TARGET_FILE ||
                  s->opts.target == LOG_TARGET_SYSLOG;
    s->is_stalled = false;
    s->is_torn = false;
    if (fstat(fd, &st) == 0) {
        s->is_regular = S_ISREG(st.st_mode);
    }
}

enum rc
log_sink_init(struct log_sink *s, const struct log_sink_opts *opts)
{
    int fd;

    MUST(opts->target != LOG_TARGET_FILE || opts->path != NULL);
    s->opts = *opts;
    s->fd = -1;
    fd = target_open(opts);
    if (fd >= 0) {
        sink_adopt(s, fd);
    }
    return fd >= 0 || opts->target == LOG_TARGET_NONE ? RC_OK : RC_IO;
}

static void
sink_drop(struct log_sink *s)
{
    MUST(s->len <= sizeof(s->data));
    /* A newline in front only mends a torn line; it is no line. */
    for (size_t i = 1; i < s->len; i++) {
        s->dropped += s->data[i] == '\n';
    }
    s->len = 0;
}

enum rc
log_sink_reopen(struct log_sink *s)
{
    int fd;

    if (s->opts.target != LOG_TARGET_FILE) {
        return RC_OK;
    }
    fd = target_open(&s->opts);
    if (fd < 0) {
        return RC_IO;
    }
    if (s->is_torn) {
        sink_drop(s); /* begins with the end of a line of the old file */
    }
    sink_adopt(s, fd);
    return RC_OK;
}

/* True: the sink takes bytes, as far as can be known beforehand. */
static bool
sink_wait(struct log_sink *s, int64_t until_ms)
{
    struct pollfd pfd = {.fd = s->fd, .events = POLLOUT};
    int64_t left;
    int n;

    MUST(s->fd >= 0);
    if (s->is_regular) {
        return true;
    }
    do {
        left = s->is_stalled ? 0 : until_ms - now_ms();
        left = left < 0 ? 0 : left;
        n = poll(&pfd, 1, (int)left);
    } while (n < 0 && errno == EINTR);
    if (n > 0 || left > 0) {
        s->is_stalled = n <= 0;
    }
    return n > 0;
}

/* The first bytes of data that go out in one call: whole lines if it can
   be, so that writers who share a pipe do not cut into each other. */
static size_t
next_run(const struct log_sink *s)
{
    const char *end;

    MUST(s->len > 0);
    if (s->is_regular || s->len <= PIPE_BUF) {
        return s->len;
    }
    end = memrchr(s->data, '\n', PIPE_BUF);
    return end == NULL ? PIPE_BUF : (size_t)(end - s->data) + 1;
}

static ssize_t
sink_write(struct log_sink *s, const char *data, size_t len)
{
    ssize_t n;

    MUST(s->fd >= 0);
    MUST(len > 0);
    do {
        n = say_now(s->fd, data, len);
    } while (n < 0 && errno == EINTR);
    s->error = n < 0 && errno != EAGAIN ? errno : 0;
    return n;
}

static void
sink_consume(struct log_sink *s, size_t n)
{
    MUST(n > 0);
    MUST(n <= s->len);
    s->is_torn = s->data[n - 1] != '\n';
    memmove(s->data, s->data + n, s->len - n);
    s->len -= n;
}

void
log_sink_flush(struct log_sink *s, int wait_ms)
{
    int64_t until_ms = s->is_regular || s->len == 0 ? 0 : now_ms() + wait_ms;

    while (s->len > 0 && s->fd >= 0 && sink_wait(s, until_ms)) {
        ssize_t n = sink_write(s, s->data, next_run(s));

        if (n > 0) {
            sink_consume(s, (size_t)n);
        } else if (s->error != 0) {
            sink_drop(s);
        } else {
            break; /* said writable, took nothing: the next turn */
        }
    }
}

void
log_sink_fini(struct log_sink *s, int wait_ms)
{
    s->is_stalled = false;
    log_sink_flush(s, wait_ms);
    sink_drop(s);
    sink_close(s);
}

/* Copies a line, blanking what would end it early or move a cursor. */
static void
copy_line(char *to, struct slice line)
{
    for (size_t i = 0; i < line.len; i++) {
        unsigned char c = (unsigned char)line.ptr[i];

        to[i] = c < 0x20 || c == 0x7f ? '?' : line.ptr[i];
    }
}

static void
syslog_start(char *out, size_t cap, enum log_level level)
{
    static const int severities[] = {
        [LOG_LEVEL_ERROR] = LOG_ERR,
        [LOG_LEVEL_WARN] = LOG_WARNING,
        [LOG_LEVEL_INFO] = LOG_INFO,
        [LOG_LEVEL_DEBUG] = LOG_DEBUG,
    };
    char stamp[32];
    struct tm tm;
    struct clock clock;
    time_t now;

    clock_init(&clock);
    now = (time_t)(clock_wall_ms(&clock) / 1000);
    localtime_r(&now, &tm);
    MUST(strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &tm) > 0);
    snprintf(out, cap, "<%d>%s nearside[%d]: ", LOG_DAEMON | severities[level],
        stamp, (int)getpid());
}

/* A syslog daemon that was restarted must be dialled anew. */
static bool
syslog_ready(struct log_sink *s)
{
    int64_t now;
    int fd;

    MUST(s->opts.target == LOG_TARGET_SYSLOG);
    if (s->fd >= 0) {
        return true;
    }
    now = now_ms();
    if (now < s->redial_ms) {
        return false;
    }
    s->redial_ms = now + REDIAL_MS;
    fd = target_open(&s->opts);
    if (fd >= 0) {
        sink_adopt(s, fd);
    }
    return fd >= 0;
}

static bool
syslog_send(struct log_sink *s, const char *text, size_t len)
{
    if (!syslog_ready(s) || !sink_wait(s, now_ms() + LINE_WAIT_MS)) {
        return false;
    }
    if (sink_write(s, text, len) >= 0) {
        return true;
    }
    if (s->error != 0) {
        sink_close(s);
    }
    return false;
}

/* One datagram a line, at once: there is nothing to gather. */
static void
syslog_line(struct log_sink *s, enum log_level level, struct slice line)
{
    char text[SYSLOG_TEXT_MAX + 1];
    bool is_sent;
    size_t len;

    syslog_start(text, sizeof(text), level);
    len = strlen(text);
    if (line.len > SYSLOG_TEXT_MAX - len) {
        line.len = SYSLOG_TEXT_MAX - len;
    }
    copy_line(text + len, line);
    len += line.len;
    is_sent = syslog_send(s, text, len);
    if (!is_sent) {
        /* Once more: the first may only have found the old daemon gone. */
        is_sent = syslog_send(s, text, len);
    }
    s->dropped += is_sent ? 0 : 1;
}

void
log_sink_line(struct log_sink *s, enum log_level level, struct slice line)
{
    MUST(line.len <= LOG_LINE_MAX);
    if (s->opts.target == LOG_TARGET_NONE) {
        return;
    }
    if (s->opts.target == LOG_TARGET_SYSLOG) {
        syslog_line(s, level, line);
        return;
    }
    if (line.len + 2 > sizeof(s->data) - s->len) {
        log_sink_flush(s, LINE_WAIT_MS);
    }
    if (line.len + 2 > sizeof(s->data) - s->len) {
        s->dropped++;
        return;
    }
    MUST(s->fd >= 0);
    if (s->is_torn && s->len == 0) {
        s->data[s->len++] = '\n';
    }
    copy_line(s->data + s->len, line);
    s->len += line.len;
    s->data[s->len++] = '\n';
}
