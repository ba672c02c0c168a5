/*
 * Two kinds of lines: events (the error log) and access lines. A line is
 * put into the ring of the thread that writes it and leaves by the log
 * writer, a thread of its own: a slow or full disk never stops a loop. A
 * ring that is full drops the line and counts it.
 *
 * Every byte that came from outside is escaped: printable ASCII stays, the
 * rest, '"' and '\' become \xHH.
 */
#ifndef NEARSIDE_BASE_LOG_H
#define NEARSIDE_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "nearside/base/slice.h"

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
};

enum log_target {
    LOG_TARGET_STDERR,
    LOG_TARGET_STDOUT,
    LOG_TARGET_FILE,
    LOG_TARGET_SYSLOG,
    LOG_TARGET_NONE,
};

struct log_sink_opts {
    enum log_target target;
    const char *path; /* borrowed for the log's life. With LOG_TARGET_FILE:
                         the file or fifo; with LOG_TARGET_SYSLOG: the
                         daemon's socket, NULL: /dev/log */
};

struct log_opts {
    struct log_sink_opts events;
    struct log_sink_opts access;
    enum log_level level; /* events above it are not made */
    unsigned rate_max;    /* events of one name a second */
};

struct log;      /* the writer and its rings */
struct log_ring; /* one per writing thread; not shared between threads */

/* Starts the writer thread. RC_IO: a file cannot be opened. RC_NOMEM: no
   memory or no thread. why (may be NULL) then says which and why. */
enum rc log_open(const struct log_opts *opts, struct log **out_log,
    char why[256]) RC_MUST_CHECK;

/* Writes out what the rings hold, ends the thread, frees all rings: nobody
   may log any more. A reader that hangs holds it up for about a second. */
void log_close(struct log **log);

/* A ring for the calling thread; freed by log_close. NULL: no memory. */
struct log_ring *log_ring_new(struct log *log);

/* Opens the files anew (after a rotation); the writer does it. */
void log_reopen(struct log *log);

/*
 * One event, one line: `2026-01-31T12:00:00.123Z warn origin_down
 * server="api:80" cause="connection refused"`. `event` is a static name,
 * the rate limit is per name; the fields are a printf format of key="value"
 * pairs whose outside text went through log_escape. A NULL ring is allowed
 * and drops the line (tests).
 */
void log_event(struct log_ring *ring, enum log_level level, const char *event,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* The same behind all other lines: log_close writes it last. There is one, and
   no rate limit. Any thread that does not run beside log_close. */
void log_event_last(struct log *log, enum log_level level, const char *event,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* One access line, already complete but for its newline; no rate limit. */
void log_access(struct log_ring *ring, struct slice line);
bool log_wants_access(const struct log_ring *ring);

/* Lines dropped because a ring was full or a write failed. */
uint64_t log_dropped(const struct log *log);

/* Escapes s into out (cap bytes, NUL-terminated, cut with "..." when it
   does not fit) and returns out. */
const char *log_escape(struct slice s, char *out, size_t cap);

#endif
