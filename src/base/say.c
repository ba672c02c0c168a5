/* One call for each kind of file: a disk, a socket, a pipe, and the rest. */
#include "nearside/base/say.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    SAID_MAX = 1024, /* bytes of one line */
    WAIT_MS = 100,
};

static bool
is_ready(int fd, int wait_ms)
{
    struct pollfd pfd = {.fd = fd, .events = POLLOUT};

    return poll(&pfd, 1, wait_ms) > 0;
}

/* A pipe that polls writable takes PIPE_BUF bytes whole, unless somebody else
   fills it in between: so the kernel is asked not to wait, where it can be. */
static ssize_t
write_now(int fd, const char *data, size_t len)
{
    const struct iovec iov = {(char *)(uintptr_t)data, len};
    ssize_t n = pwritev2(fd, &iov, 1, -1, RWF_NOWAIT);

    if (n >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)) {
        return n;
    }
    if (!is_ready(fd, 0)) {
        errno = EAGAIN;
        return -1;
    }
    return write(fd, data, len);
}

ssize_t
say_now(int fd, const char *data, size_t len)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return -1;
    }
    if (S_ISREG(st.st_mode)) {
        return write(fd, data, len);
    }
    if (S_ISSOCK(st.st_mode)) {
        return send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    return write_now(fd, data, len < PIPE_BUF ? len : PIPE_BUF);
}

void
say_all(const char *text, size_t len)
{
    while (len > 0 && is_ready(STDERR_FILENO, WAIT_MS)) {
        ssize_t n = say_now(STDERR_FILENO, text, len);
        if (n < 0) {
            return;
        }
        text += n;
        len -= (size_t)n;
    }
}

void
say(const char *fmt, ...)
{
    char line[SAID_MAX];
    size_t len;
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line) - 1, fmt, ap);
    va_end(ap);
    len = strlen(line);
    line[len] = '\n';
    say_all(line, len + 1);
}
