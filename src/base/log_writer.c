/*
 * The log's writer: the one thread that does the log's I/O.
 *
 * Laws: the sinks are its own. It takes what the rings hold, in batches,
 * every TURN_MS while lines flow; after a quiet turn it sleeps without a timer
 * until a thread wakes it. It says when lines got lost, at most once a
 * DROP_NOTE_MS, and not to a sink that would lose that too.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/log_inside.h"
#include "nearside/base/check.h"

enum {
    TURN_MS = 100,       /* how old a line gets before it is written */
    DROP_NOTE_MS = 1000, /* between two notes about dropped lines */
};

uint64_t
log_dropped(const struct log *log)
{
    uint64_t dropped = 0;

    MUST_OBJ(log, LOG_MAGIC);
    for (struct log_ring *r = atomic_load(&log->rings); r != NULL;
         r = r->next) {
        dropped += atomic_load_explicit(&r->dropped, memory_order_relaxed);
    }
    return dropped + atomic_load_explicit(&log->lost, memory_order_relaxed);
}

static void
write_line(struct log *log, enum log_stream stream, enum log_level level,
    struct slice line)
{
    struct log_sink *sink = &log->sinks[stream];

    MUST((unsigned)stream < LOG_STREAMS);
    /* Syslog stamps its lines itself. */
    if (stream == LOG_STREAM_EVENTS && sink->opts.target == LOG_TARGET_SYSLOG) {
        line = slice_skip(line, LOG_STAMP_LEN + 1);
    }
    log_sink_line(sink, level, line);
}

/* An event of the writer's own; it has no ring. */
static __attribute__((format(printf, 4, 5))) void
write_event(struct log *log, enum log_level level, const char *event,
    const char *fmt, ...)
{
    char line[LOG_EVENT_MAX];
    struct clock clock;
    size_t len;
    va_list ap;

    clock_init(&clock);
    va_start(ap, fmt);
    len = log_line_write(line, level, &clock, event, fmt, ap);
    va_end(ap);
    write_line(log, LOG_STREAM_EVENTS, level, slice_of(line, len));
}

/* Takes what the rings hold. A turn ends even when lines keep coming: no
   ring gives more than it holds at once. */
static bool
drain_rings(struct log *log)
{
    bool is_any = false;

    for (struct log_ring *r = atomic_load(&log->rings); r != NULL;
         r = r->next) {
        size_t taken = 0;
        struct log_record record;

        while (taken < LOG_RING_SIZE && log_ring_take(r, &record, log->line)) {
            write_line(log, (enum log_stream)record.stream,
                (enum log_level)record.level,
                slice_of(log->line, record.line_len));
            taken += sizeof(record) + record.line_len;
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
    MUST(lost > log->lost_noted); /* owed */
    log->lost_noted = lost;
    log->note_ms = clock_now_ms(&clock) + DROP_NOTE_MS;
}

/* Lines of several rings come in no order; this one comes after all. */
static void
write_last(struct log *log)
{
    if (log->last_len > 0) {
        write_line(log, LOG_STREAM_EVENTS, log->last_level,
            slice_of(log->last, log->last_len));
    }
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
         r = r->next) {
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
        if (is_closing) {
            write_last(log);
        }
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

/* The writer takes no signals: they are the control thread's, and SIGPIPE
   would end the process for a reader that went away. */
bool
log_writer_start(struct log *log)
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
