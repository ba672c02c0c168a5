/* How a line of the log begins, and how outside text in it is escaped. */
#include <stdio.h>
#include <time.h>

#include "base/log_inside.h"
#include "nearside/base/check.h"

enum {
    STAMP_SIZE = 32,
};

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

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

size_t
log_line_write(char line[LOG_EVENT_MAX], enum log_level level,
    const struct clock *clock, const char *event, const char *fmt, va_list ap)
{
    char when[STAMP_SIZE];
    size_t len;
    int n;

    stamp(when, clock_wall_ms(clock));
    n = snprintf(
        line, LOG_EVENT_MAX, "%s %s %.64s", when, level_names[level], event);
    MUST(n > 0);
    len = (size_t)n;
    line[len] = ' ';
    n = vsnprintf(line + len + 1, LOG_EVENT_MAX - len - 1, fmt, ap);
    MUST(n >= 0);
    len += n == 0 ? 0 : 1 + (size_t)n;
    if (len >= LOG_EVENT_MAX) {
        len = LOG_EVENT_MAX - 1;
        memcpy(line + len - 3, "...", 3);
    }
    return len;
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
