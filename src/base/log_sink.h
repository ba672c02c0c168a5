/*
 * Where lines end up: a file, stdout, stderr or syslog. Used by the log
 * writer alone. A sink may be slow, full or gone: it waits a little, then
 * drops and counts.
 */
#ifndef BASE_LOG_SINK_H
#define BASE_LOG_SINK_H

#include "nearside/base/log.h"

enum {
    LOG_SINK_BUF_SIZE = 64 * 1024, /* at least one line and its newline */
};

struct log_sink {
    struct log_sink_opts opts;
    int fd;            /* -1: none */
    bool is_owned;     /* opened here, closed here */
    bool is_regular;   /* writes to it do not wait for a reader */
    bool is_stalled;   /* its reader hangs: no more waiting until it reads */
    bool is_torn;      /* the last byte written was not a newline */
    int64_t redial_ms; /* syslog: not before; mono */
    int error;         /* errno of the last failed write; 0: went well */
    uint64_t dropped;  /* lines */
    size_t len;        /* bytes waiting in data */
    char data[LOG_SINK_BUF_SIZE];
};

/* RC_IO: cannot be opened, errno says why. */
enum rc log_sink_init(
    struct log_sink *s, const struct log_sink_opts *opts) RC_MUST_CHECK;

/* Flushes, closes. Waits for a reader that hangs at most wait_ms. */
void log_sink_fini(struct log_sink *s, int wait_ms);

/* Opens a file anew. RC_IO: it stays with the old one, errno says why. */
enum rc log_sink_reopen(struct log_sink *s) RC_MUST_CHECK;

/* Takes one line, without newline. What would break the line is blanked. */
void log_sink_line(struct log_sink *s, enum log_level level, struct slice line);

/* Writes what waits; for a slow reader waits at most wait_ms in all. */
void log_sink_flush(struct log_sink *s, int wait_ms);

#endif
