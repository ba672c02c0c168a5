/*
 * Commands in RESP: an array of bulk strings, whose size is known before a
 * byte is written, so that a command is appended whole or not at all.
 */
#include "redis/command.h"

#include "nearside/base/check.h"

static size_t
digits_of(size_t n)
{
    size_t digits = 1;

    for (; n >= 10; n /= 10) {
        digits++;
    }
    return digits;
}

size_t
command_len(unsigned argc, const struct slice *argv)
{
    size_t len = 1 + digits_of(argc) + 2;

    for (unsigned i = 0; i < argc; i++) {
        len += 1 + digits_of(argv[i].len) + 2 + argv[i].len + 2;
    }
    return len;
}

/* "$12\r\n"; the place behind it. */
static char *
put_number(char *at, char mark, size_t n)
{
    size_t digits = digits_of(n);

    *at++ = mark;
    for (size_t i = digits; i > 0; i--) {
        at[i - 1] = (char)('0' + n % 10);
        n /= 10;
    }
    at += digits;
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

char *
command_put(char *at, unsigned argc, const struct slice *argv)
{
    MUST(argc > 0);
    at = put_number(at, '*', argc);
    for (unsigned i = 0; i < argc; i++) {
        at = put_number(at, '$', argv[i].len);
        if (argv[i].len > 0) {
            memcpy(at, argv[i].ptr, argv[i].len);
        }
        at += argv[i].len;
        *at++ = '\r';
        *at++ = '\n';
    }
    return at;
}
