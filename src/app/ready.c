/* One request to the metrics listener, with blocking calls: the process does
   nothing else and ends with the answer. */
#include "nearside/app/ready.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "nearside/base/check.h"
#include "nearside/net/address.h"

/* What an answer begins with: the version, then three digits. */
#define STATUS_LINE "HTTP/1.1 200"
#define VERSION_LEN (sizeof("HTTP/1.1 ") - 1)

static const char request[] = "GET /readyz HTTP/1.1\r\n"
                              "Host: nearside\r\n"
                              "Connection: close\r\n\r\n";

static enum rc
refuse(FILE *to, const char *address, const char *why)
{
    fprintf(to, "nearside: %s: %s\n", address, why);
    return RC_IO;
}

/* A call that the socket's timeout has ended leaves one of these two. */
static const char *
error_text(void)
{
    return errno == EAGAIN || errno == EINPROGRESS ? "no answer in time"
                                                   : strerror(errno);
}

/* -1: errno says why. */
static int
dial(const struct address *at, unsigned timeout_ms)
{
    struct timeval limit = {
        .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    int fd = socket(at->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
        connect(fd, &at->u.any, at->len) != 0) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static enum rc
ask(int fd, const char *address, FILE *to)
{
    char start[sizeof(STATUS_LINE)] = "";
    ssize_t got = send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL);

    if (got == (ssize_t)sizeof(request) - 1) {
        got = recv(fd, start, sizeof(start) - 1, MSG_WAITALL);
    }
    if (got < 0) {
        return refuse(to, address, error_text());
    }
    if ((size_t)got < sizeof(start) - 1 ||
        memcmp(start, STATUS_LINE, VERSION_LEN) != 0) {
        return refuse(to, address, "this is no answer of nearside");
    }
    if (strcmp(start, STATUS_LINE) != 0) {
        fprintf(
            to, "nearside: not ready: /readyz says %s\n", start + VERSION_LEN);
        return RC_REFUSED;
    }
    return RC_OK;
}

enum rc
ready_ask(const char *address, unsigned timeout_ms, FILE *to)
{
    struct address at;
    enum rc rc;
    int fd;

    MUST(address != NULL);
    MUST(timeout_ms > 0); /* a socket's timeout of 0 is none */
    MUST(to != NULL);
    if (address_parse(slice_of_str(address), &at) != RC_OK) {
        (void)refuse(to, address,
            "no address, such as 127.0.0.1:9145 or unix:/path; see nearside "
            "--help");
        return RC_BAD;
    }
    fd = dial(&at, timeout_ms);
    if (fd < 0) {
        return refuse(to, address, error_text());
    }
    rc = ask(fd, address, to);
    close(fd);
    return rc;
}
