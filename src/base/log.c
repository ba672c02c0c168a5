/*
 * The log: opening and closing it, and the side of the threads that log.
 *
 * Laws: a thread that logs copies its line into its own ring and goes on;
 * it takes no lock and does no I/O. It pays for a system call only when
 * the writer sleeps without a timer, or when the ring has become half
 * full. Rings are only ever added, at the front of a list that is read
 * without a lock, and live as long as the log.
 *
 *     thread --ring--.
 *     thread --ring---+--> writer --+--> events sink
 *     thread --ring--'              '--> access sink
 */
#include "nearside/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log_inside.h"
#include "nearside/base/check.h"

enum {
    CLOSE_WAIT_MS = 500, /* for a reader that hangs, at the end */
    WHY_SIZE = 256,
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

/* All but the thread. */
static void
log_free(struct log *log)
{
    struct log_ring *ring = atomic_load(&log->rings);

    for (unsigned i = 0; i < LOG_STREAMS; i++) {
        log_sink_fini(&log->sinks[i], CLOSE_WAIT_MS);
    }
    while (ring != NULL) {
        struct log_ring *next = ring->next;
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

    MUST(opts->rate_max > 0);
    if (log == NULL) {
        goto fail;
    }
    log->magic = LOG_MAGIC;
    log->level = opts->level;
    log->has_access = opts->access.target != LOG_TARGET_NONE;
    log->rate.max = opts->rate_max;
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
    if (!log_writer_start(log)) {
        rc = RC_NOMEM;
        goto fail;
    }
    *out_log = log;
    return RC_OK;

fail:
    if (rc == RC_NOMEM && why != NULL) {
        snprintf(why, WHY_SIZE, "no memory for the log writer");
    }
    if (log != NULL) {
        log_free(log);
    }
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
    ring = log_ring_make(log);
    if (ring == NULL) {
        return NULL;
    }
    first = atomic_load(&log->rings);
    do {
        ring->next = first;
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

/* --- The threads' side --------------------------------------------------- */

static void
put(struct log_ring *ring, struct log_record record, struct slice line)
{
    struct log *log = ring->log;
    bool is_pressing = false;

    log_ring_put(ring, record, line, &is_pressing);
    if (is_pressing || atomic_load(&log->is_asleep)) {
        wake(log);
    }
}

bool
log_wants_access(const struct log_ring *ring)
{
    return ring != NULL && ring->log->has_access;
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
    struct log_record record = {
        .stream = LOG_STREAM_EVENTS, .level = (uint16_t)level};
    char line[LOG_EVENT_MAX];
    struct clock clock;
    size_t len;
    va_list ap;

    if (ring == NULL || level > ring->log->level) {
        return;
    }
    clock_init(&clock);
    if (!is_admitted(ring->log, event, level, &clock)) {
        return;
    }
    va_start(ap, fmt);
    len = log_line_write(line, level, &clock, event, fmt, ap);
    va_end(ap);
    put(ring, record, slice_of(line, len));
}

void
log_event_last(struct log *log, enum log_level level, const char *event,
    const char *fmt, ...)
{
    struct clock clock;
    va_list ap;

    MUST_OBJ(log, LOG_MAGIC);
    MUST(log->last_len == 0);
    if (level > log->level) {
        return;
    }
    clock_init(&clock);
    log->last_level = level;
    va_start(ap, fmt);
    log->last_len = log_line_write(log->last, level, &clock, event, fmt, ap);
    va_end(ap);
}

void
log_access(struct log_ring *ring, struct slice line)
{
    struct log_record record = {
        .stream = LOG_STREAM_ACCESS, .level = LOG_LEVEL_INFO};

    if (log_wants_access(ring)) {
        put(ring, record, line);
    }
}
