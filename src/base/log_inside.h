/*
 * A log's inside, for its three files: log.c opens it and takes the threads'
 * lines, log_writer.c is the thread that writes them, log_line.c says how a
 * line looks.
 */
#ifndef BASE_LOG_INSIDE_H
#define BASE_LOG_INSIDE_H

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>

#include "base/log_rate.h"
#include "base/log_ring.h"
#include "base/log_sink.h"
#include "nearside/base/clock.h"

#define LOG_MAGIC UINT32_C(0x6e74109e)

enum {
    LOG_EVENT_MAX = 2048, /* bytes of an event line; longer ones are cut */
    LOG_STAMP_LEN = sizeof("2026-01-31T12:00:00.123Z") - 1,
};

struct log {
    uint32_t magic;
    enum log_level level;
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
    enum log_level last_level;
    size_t last_len;          /* 0: there is no such line */
    char last[LOG_EVENT_MAX]; /* written once no other line is left */

    /* The writer's own. */
    uint64_t lost_noted;
    int64_t note_ms; /* no note about dropped lines before; mono */
    char line[LOG_LINE_MAX];
    struct log_sink sinks[LOG_STREAMS];
};

/* Starts the writer's thread. False: there is none to be had. */
bool log_writer_start(struct log *log);

/* Writes "<time> <level> <event> <fields>" to line, without a newline; an
   event without fields ends with its name. Gives the length. */
size_t log_line_write(char line[LOG_EVENT_MAX], enum log_level level,
    const struct clock *clock, const char *event, const char *fmt, va_list ap)
    __attribute__((format(printf, 5, 0)));

#endif
