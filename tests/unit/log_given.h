/* A log into a file that is gone with the test, and what is in it. */
#ifndef TESTS_UNIT_LOG_GIVEN_H
#define TESTS_UNIT_LOG_GIVEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "nearside/base/log.h"

struct log_given {
    int fd;
    struct log *log;
    struct log_ring *ring;
    char text[65536];
};

static inline void
log_given_open(struct log_given *given)
{
    char path[] = "/tmp/nearside-log-XXXXXX";
    struct log_opts opts = {
        .events = {.target = LOG_TARGET_FILE, .path = path},
        .access = {.target = LOG_TARGET_NONE},
        .level = LOG_LEVEL_INFO,
        .rate_max = 1000,
    };
    char why[256];

    given->fd = mkstemp(path);
    assert_true(given->fd >= 0);
    assert_int_equal(log_open(&opts, &given->log, why), RC_OK);
    given->ring = log_ring_new(given->log);
    unlink(path);
}

/* All that was logged; the log is closed by it. */
static inline const char *
log_given_text(struct log_given *given)
{
    ssize_t len;

    log_close(&given->log);
    len = pread(given->fd, given->text, sizeof(given->text) - 1, 0);
    assert_true(len >= 0);
    given->text[len] = '\0';
    close(given->fd);
    return given->text;
}

/* How often it says so. */
static inline unsigned
log_given_count(const struct log_given *given, const char *words)
{
    unsigned count = 0;

    for (const char *at = given->text; (at = strstr(at, words)) != NULL; at++) {
        count++;
    }
    return count;
}

#endif
