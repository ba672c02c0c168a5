/*
 * The log: the threads' side and the writer's.
 *
 * Laws: a thread that logs copies its line into its own ring and goes on;
 * it takes no lock and does no I/O. It pays for a system call only when
 * the writer sleeps without a timer, or when the ring has become half
 * full. While lines flow the writer comes by itself every TURN_MS and
 * takes them in batches; after a quiet turn it sleeps until it is woken.
 *
 * The writer owns the sinks. Rings are only ever added, at the front of a
 * list that is read without a lock, and live as long as the log.
 *
 *     thread --ring--.
 *     thread --ring---+--> writer --+--> events sink
 *     thread --ring--'              '--> access sink
 */
#include "nearside/base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "log_rate.h"
#include "log_ring.h"
#include "log_sink.h"
#include "nearside/base/check.h"
#include "nearside/base/clock.h"

#define LOG_MAGIC UINT32_C(0x6e74109e)

enum {
    RATE_MAX_DEFAULT = 20,
    RING_SIZE_DEFAULT = 256 * 1024,
    EVENT_MAX = 2048,    /* bytes of an event line; longer ones are cut */
    TURN_MS = 100,       /* how old a line gets before it is written */
    CLOSE_WAIT_MS = 500, /* for a reader that hangs, at the end */
    DROP_NOTE_MS = 1000, /* between two notes about dropped lines */
    WHY_SIZE = 256,
    STAMP_SIZE = 32,
};

struct log {
    uint32_t magic;
    enum log_level level;
    size_t ring_size;
    bool has_access; /* access lines go anywhere at all */
    pthread_t writer;
    int wake_fd;
    _Atomic(struct log_ring *) rings;
    _Atomic bool is_asleep; /* the writer waits without a timer */
    _Atomic bool is_woken;  /* wake_fd has been written, not yet read */
    _Atomic bool is_closing;
    _Atomic bool is_reopening;
    _Atomic uint64_t lost; /* lines the sinks dropped */
    struct log_rate rate;

    /* The writer's own. */
    uint64_t lost_noted;
    int64_t note_ms; /* no note about dropped lines before; mono */
    char line[LOG_LINE_MAX];
    struct log_sink sinks[LOG_STREAMS];
};

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

static void
wake(struct log *log)
{
    uint64_t one = 1;

    if (atomic_load(&log->is_woken) || atomic_exchange(&log->is_woken, true)) {
        return;
    }
    /* Never full: the writer reads it each time it is set. */
    MUST(write(log->wake_fd, &one, sizeof(one)) == (ssize_t)sizeof(one));
}

/* "2026-01-31T12:00:00.123Z" */
static void
stamp(char out[STAMP_SIZE], int64_t wall_ms)
{
    time_t second = (time_t)(wall_ms / 1000);
    struct tm tm;
    size_t len;

    gmtime_r(&second, &tm);
    len = strftime(out, STAMP_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + len, STAMP_SIZE - len, ".%03dZ", (int)(wall_ms % 1000));
}

/* "<time> <level> <event>" at the front of an event line. */
static size_t
event_head(char out[EVENT_MAX], const struct clock *clock, enum log_level level,
    const char *event)
{
    char when[STAMP_SIZE];
    int n;

    stamp(when, clock_wall_ms(clock));
    n = snprintf(
        out, EVENT_MAX, "%s %s %.64s", when, level_names[level], event);
    return (size_t)n;
}

/* --- The writer ---------------------------------------------------------- */

static void
write_line(struct log *log, enum log_stream stream, enum log_level level,
    struct slice line)
{
    struct log_sink *sink = &log->sinks[stream];

    /* Syslog stamps its lines itself. */
    if (stream == LOG_STREAM_EVENTS && sink->opts.target == LOG_TARGET_SYSLOG) {
        line = slice_skip(line, sizeof("2026-01-31T12:00:00.123Z"));
    }
    log_sink_line(sink, level, line);
}

/* An event of the writer's own; it has no ring. */
static __attribute__((format(printf, 4, 5))) void
write_event(struct log *log, enum log_level level, const char *event,
    const char *fmt, ...)
{
    char line[EVENT_MAX];
    struct clock clock;
    size_t len;
    va_list ap;
    int n;

    clock_init(&clock);
    len = event_head(line, &clock, level, event);
    line[len++] = ' ';
    va_start(ap, fmt);
    n = vsnprintf(line + len, sizeof(line) - len, fmt, ap);
    va_end(ap);
    MUST(n >= 0);
    len += (size_t)n < sizeof(line) - len ? (size_t)n : sizeof(line) - len - 1;
    write_line(log, LOG_STREAM_EVENTS, level, slice_of(line, len));
}

/* Takes what the rings hold. A turn ends even when lines keep coming: no
   ring gives more than it holds at once. */
static bool
drain_rings(struct log *log)
{
    bool is_any = false;

    for (struct log_ring *r = atomic_load(&log->rings); r != NULL;
         r = *log_ring_next(r)) {
        size_t taken = 0;
        struct log_record head;

        while (taken < log->ring_size && log_ring_take(r, &head, log->line)) {
            write_line(log, (enum log_stream)head.stream,
                (enum log_level)head.level, slice_of(log->line, head.line_len));
            taken += sizeof(head) + head.line_len;
            is_any = true;
        }
    }
    return is_any;
}

static void
note_suppressed(struct log *log, bool is_closing)
{
    struct log_rate_slot slot;
    struct clock clock;
    unsigned cursor = 0;

    clock_init(&clock);
    while (log_rate_next(
        &log->rate, &cursor, clock_now_ms(&clock) / 1000, is_closing, &slot)) {
        write_event(log, (enum log_level)slot.level, slot.name,
            "suppressed=%" PRIu32, slot.suppressed);
    }
}

/* A note about lost lines that would be lost itself is not written. */
static bool
is_note_owed(const struct log *log)
{
    const struct log_sink *events = &log->sinks[LOG_STREAM_EVENTS];

    return log_dropped(log) != log->lost_noted && events->error == 0 &&
           !events->is_stalled;
}

static const char *
lost_cause(const struct log *log)
{
    const struct log_sink *access = &log->sinks[LOG_STREAM_ACCESS];

    if (access->error != 0) {
        return strerrordesc_np(access->error);
    }
    return access->is_stalled ? "reader hangs" : "ring full";
}

/* Says that lines were lost, at most once a DROP_NOTE_MS. */
static void
note_lost(struct log *log)
{
    uint64_t lost = log_dropped(log);
    struct clock clock;

    clock_init(&clock);
    if (!is_note_owed(log) || clock_now_ms(&clock) < log->note_ms) {
        return;
    }
    write_event(log, LOG_LEVEL_WARN, "log_dropped",
        "lines=%" PRIu64 " cause=\"%s\"", lost - log->lost_noted,
        lost_cause(log));
    log->lost_noted = lost;
    log->note_ms = clock_now_ms(&clock) + DROP_NOTE_MS;
}

static void
flush_sinks(struct log *log)
{
    uint64_t lost = 0;

    for (unsigned i = 0; i < LOG_STREAMS; i++) {
        log_sink_flush(&log->sinks[i], 0);
        lost += log->sinks[i].dropped;
    }
    atomic_store_explicit(&log->lost, lost, memory_order_relaxed);
}

static void
reopen_sinks(struct log *log)
{
    for (unsigned i = 0; i < LOG_STREAMS; i++) {
        if (log_sink_reopen(&log->sinks[i]) != RC_OK) {
            write_event(log, LOG_LEVEL_ERROR, "log_reopen_failed",
                "cause=\"%s\"", strerrordesc_np(errno));
        }
    }
}

/* Nothing in the rings, nothing waiting in a sink, no note owed. */
static bool
is_idle(struct log *log)
{
    for (struct log_ring *r = atomic_load(&log->rings); r != NULL;
         r = *log_ring_next(r)) {
        if (!log_ring_is_empty(r)) {
            return false;
        }
    }
    for (unsigned i = 0; i < LOG_STREAMS; i++) {
        if (log->sinks[i].len > 0) {
            return false;
        }
    }
    return !log_rate_is_pending(&log->rate) && !is_note_owed(log);
}

/* Waits for the next turn; without a timer only when nothing is left. */
static void
writer_wait(struct log *log, bool is_quiet)
{
    struct pollfd pfd = {.fd = log->wake_fd, .events = POLLIN};
    bool is_asleep = false;
    uint64_t count;

    if (is_quiet) {
        /* First the flag, then the look: who comes in between sees the
           flag, or is seen. */
        atomic_store(&log->is_asleep, true);
        is_asleep = is_idle(log);
        atomic_store(&log->is_asleep, is_asleep);
    }
    if (poll(&pfd, 1, is_asleep ? -1 : TURN_MS) > 0) {
        MUST(read(log->wake_fd, &count, sizeof(count)) > 0);
        atomic_store(&log->is_woken, false);
    }
    atomic_store(&log->is_asleep, false);
}

static void *
writer_run(void *ctx)
{
    struct log *log = OBJ_OF(struct log, ctx, LOG_MAGIC);
    bool is_closing = false;

    while (!is_closing) {
        bool is_any;

        is_closing = atomic_load(&log->is_closing);
        is_any = drain_rings(log);
        while (is_closing && drain_rings(log)) {
            /* the producers have stopped: this ends */
        }
        note_suppressed(log, is_closing);
        note_lost(log);
        flush_sinks(log);
        if (atomic_exchange(&log->is_reopening, false)) {
            reopen_sinks(log);
        }
        if (!is_closing) {
            writer_wait(log, !is_any);
        }
    }
    return NULL;
}

/* --- Opening and closing ------------------------------------------------- */

static const char *
sink_text(const struct log_sink_opts *opts)
{
    if (opts->path != NULL) {
        return opts->path;
    }
    return opts->target == LOG_TARGET_SYSLOG ? "/dev/log" : "a standard stream";
}

static enum rc
sinks_open(struct log *log, const struct log_opts *opts, char *why)
{
    const struct log_sink_opts *sinks[LOG_STREAMS] = {
        [LOG_STREAM_EVENTS] = &opts->events,
        [LOG_STREAM_ACCESS] = &opts->access,
    };

    for (unsigned i = 0; i < LOG_STREAMS; i++) {
        if (log_sink_init(&log->sinks[i], sinks[i]) == RC_OK) {
            continue;
        }
        if (why != NULL) {
            snprintf(why, WHY_SIZE, "cannot open log %s: %s",
                sink_text(sinks[i]), strerrordesc_np(errno));
        }
        return RC_IO;
    }
    return RC_OK;
}

/* The writer takes no signals: they are the control thread's, and SIGPIPE
   would end the process for a reader that went away. */
static bool
writer_start(struct log *log)
{
    sigset_t all;
    sigset_t before;
    int rc;

    sigfillset(&all);
    MUST(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    rc = pthread_create(&log->writer, NULL, writer_run, log);
    MUST(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (rc == 0) {
        pthread_setname_np(log->writer, "log");
    }
    return rc == 0;
}

/* All but the thread. */
static void
log_free(struct log *log)
{
    struct log_ring *ring = atomic_load(&log->rings);

    for (unsigned i = 0; i < LOG_STREAMS; i++) {
        log_sink_fini(&log->sinks[i], CLOSE_WAIT_MS);
    }
    while (ring != NULL) {
        struct log_ring *next = *log_ring_next(ring);
        log_ring_free(&ring);
        ring = next;
    }
    if (log->wake_fd >= 0) {
        close(log->wake_fd);
    }
    log->magic = 0;
    free(log);
}

enum rc
log_open(const struct log_opts *opts, struct log **out_log, char why[256])
{
    struct log *log = calloc(1, sizeof(*log));
    enum rc rc = RC_NOMEM;

    if (log == NULL) {
        return RC_NOMEM;
    }
    log->magic = LOG_MAGIC;
    log->level = opts->level;
    log->has_access = opts->access.target != LOG_TARGET_NONE;
    log->ring_size = opts->ring_size == 0 ? RING_SIZE_DEFAULT : opts->ring_size;
    log->rate.max = opts->rate_max == 0 ? RATE_MAX_DEFAULT : opts->rate_max;
    for (unsigned i = 0; i < LOG_STREAMS; i++) {
        log->sinks[i].fd = -1;
    }
    log->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (log->wake_fd < 0) {
        goto fail;
    }
    rc = sinks_open(log, opts, why);
    if (rc != RC_OK) {
        goto fail;
    }
    if (!writer_start(log)) {
        rc = RC_NOMEM;
        goto fail;
    }
    *out_log = log;
    return RC_OK;

fail:
    if (rc == RC_NOMEM && why != NULL) {
        snprintf(why, WHY_SIZE, "no memory for the log writer");
    }
    log_free(log);
    return rc;
}

void
log_close(struct log **log)
{
    struct log *l = *log;

    if (l == NULL) {
        return;
    }
    MUST_OBJ(l, LOG_MAGIC);
    *log = NULL;
    atomic_store(&l->is_closing, true);
    wake(l);
    MUST(pthread_join(l->writer, NULL) == 0);
    log_free(l);
}

struct log_ring *
log_ring_new(struct log *log)
{
    struct log_ring *ring;
    struct log_ring *first;

    MUST_OBJ(log, LOG_MAGIC);
    ring = log_ring_make(log, log->ring_size);
    if (ring == NULL) {
        return NULL;
    }
    first = atomic_load(&log->rings);
    do {
        *log_ring_next(ring) = first;
    } while (!atomic_compare_exchange_weak(&log->rings, &first, ring));
    return ring;
}

void
log_reopen(struct log *log)
{
    MUST_OBJ(log, LOG_MAGIC);
    atomic_store(&log->is_reopening, true);
    wake(log);
}

uint64_t
log_dropped(const struct log *log)
{
    uint64_t dropped = 0;

    MUST_OBJ(log, LOG_MAGIC);
    for (struct log_ring *r = atomic_load(&log->rings); r != NULL;
         r = *log_ring_next(r)) {
        dropped += log_ring_dropped(r);
    }
    return dropped + atomic_load_explicit(&log->lost, memory_order_relaxed);
}

/* --- The threads' side --------------------------------------------------- */

static void
put(struct log_ring *ring, struct log_record head, struct slice line)
{
    struct log *log = log_ring_log(ring);
    bool is_pressing = false;

    log_ring_put(ring, head, line, &is_pressing);
    if (is_pressing || atomic_load(&log->is_asleep)) {
        wake(log);
    }
}

bool
log_wants(const struct log_ring *ring, enum log_level level)
{
    return ring != NULL && level <= log_ring_log(ring)->level;
}

bool
log_wants_access(const struct log_ring *ring)
{
    return ring != NULL && log_ring_log(ring)->has_access;
}

static bool
is_admitted(struct log *log, const char *event, enum log_level level,
    const struct clock *clock)
{
    if (log_rate_admits(&log->rate, event, level, clock_now_ms(clock) / 1000)) {
        return true;
    }
    /* The writer owes a note; it may have gone to sleep. */
    if (atomic_load(&log->is_asleep)) {
        wake(log);
    }
    return false;
}

void
log_event(struct log_ring *ring, enum log_level level, const char *event,
    const char *fmt, ...)
{
    struct log_record head = {
        .stream = LOG_STREAM_EVENTS, .level = (uint16_t)level};
    char line[EVENT_MAX];
    struct clock clock;
    size_t len;
    va_list ap;
    int n;

    if (!log_wants(ring, level)) {
        return;
    }
    clock_init(&clock);
    if (!is_admitted(log_ring_log(ring), event, level, &clock)) {
        return;
    }
    len = event_head(line, &clock, level, event);
    line[len] = ' ';
    va_start(ap, fmt);
    n = vsnprintf(line + len + 1, sizeof(line) - len - 1, fmt, ap);
    va_end(ap);
    MUST(n >= 0);
    len += n == 0 ? 0 : 1 + (size_t)n;
    if (len >= sizeof(line)) {
        len = sizeof(line) - 1;
        memcpy(line + len - 3, "...", 3);
    }
    put(ring, head, slice_of(line, len));
}

void
log_access(struct log_ring *ring, struct slice line)
{
    struct log_record head = {
        .stream = LOG_STREAM_ACCESS, .level = LOG_LEVEL_INFO};

    if (log_wants_access(ring)) {
        put(ring, head, line);
    }
}

/* How c looks in a log line; gives the length. */
static size_t
escape_byte(char c, char out[4])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char byte = (unsigned char)c;

    if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\') {
        out[0] = c;
        return 1;
    }
    out[0] = '\\';
    out[1] = 'x';
    out[2] = hex[byte >> 4];
    out[3] = hex[byte & 15];
    return 4;
}

const char *
log_escape(struct slice s, char *out, size_t cap)
{
    static const char dots[] = "...";
    size_t len = 0;
    size_t fit = 0; /* as far as there is still room for the dots */

    MUST(cap >= sizeof(dots));
    for (size_t i = 0; i < s.len; i++) {
        char text[4];
        size_t n = escape_byte(s.ptr[i], text);

        if (len + n + 1 > cap) {
            memcpy(out + fit, dots, sizeof(dots));
            return out;
        }
        memcpy(out + len, text, n);
        len += n;
        fit = len + sizeof(dots) <= cap ? len : fit;
    }
    out[len] = '\0';
    return out;
}
