/* What the floors of the benchmark have in common.
 *
 * A floor is the least that a program of its kind can cost: a bare libevent
 * loop over struct event, plain read and write, no parsing. It therefore
 * assumes what the benchmark guarantees and nothing else would: one request
 * in flight per connection, messages smaller than a socket's buffer, peers
 * on this machine. Anything outside of that closes the connection, so that
 * a broken run shows as errors of the load generator and is thrown away.
 *
 * Nothing is freed at the end: the process ends with its loop. */
#include "plain.h"

#include <event2/event.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

_Noreturn void
plain_die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(2);
}

unsigned
plain_number(const char *text, unsigned max)
{
    char *end;
    unsigned long number;

    errno = 0;
    number = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number > max) {
        errno = EINVAL;
        plain_die(text);
    }
    return (unsigned)number;
}

int
plain_listen(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd;
    int on = 1;

    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        plain_die("socket");
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, 1024) != 0) {
        plain_die("listen");
    }
    return fd;
}

/* "HOST:PORT" with a numeric host; false when it is anything else. */
static bool
address_parse(const char *text, struct sockaddr_in *address)
{
    char host[INET_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');

    if (colon == NULL || (size_t)(colon - text) >= sizeof host) {
        return false;
    }
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    address->sin_family = AF_INET;
    address->sin_port = htons((uint16_t)plain_number(colon + 1, 65535));
    return inet_pton(AF_INET, host, &address->sin_addr) == 1;
}

static void
no_delay(int fd)
{
    int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int
plain_try_dial(const char *text)
{
    struct sockaddr_in address = {0};
    int fd;

    if (!address_parse(text, &address)) {
        errno = EINVAL;
        return -1;
    }
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        (void)close(fd);
        return -1;
    }
    no_delay(fd);
    return fd;
}

int
plain_dial(const char *address)
{
    int fd = plain_try_dial(address);

    if (fd < 0) {
        plain_die(address);
    }
    return fd;
}

int
plain_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        no_delay(fd);
    }
    return fd;
}

void
plain_fork(unsigned processes)
{
    pid_t first = getpid();

    for (unsigned i = 1; i < processes; i++) {
        pid_t pid = fork();

        if (pid < 0) {
            plain_die("fork");
        }
        if (pid == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
            if (getppid() != first) {
                exit(0);
            }
            return;
        }
    }
}

void
plain_ready(int listener)
{
    struct sockaddr_in address = {0};
    socklen_t len = sizeof address;

    if (getsockname(listener, (struct sockaddr *)&address, &len) != 0) {
        plain_die("getsockname");
    }
    fprintf(stderr, "listening on 127.0.0.1:%u (http)\nready\n",
        (unsigned)ntohs(address.sin_port));
}

static void
on_signal(evutil_socket_t number, short what, void *ctx)
{
    (void)number;
    (void)what;
    (void)event_base_loopbreak(ctx);
}

static void
break_on(struct event_base *base, int number)
{
    struct event *signal_event = evsignal_new(base, number, on_signal, base);

    if (signal_event == NULL || event_add(signal_event, NULL) != 0) {
        plain_die("signal");
    }
}

struct event_base *
plain_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (config != NULL &&
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0) {
        base = event_base_new_with_config(config);
    }
    if (base == NULL) {
        plain_die("event_base_new");
    }
    event_config_free(config);
    (void)signal(SIGPIPE, SIG_IGN);
    break_on(base, SIGTERM);
    break_on(base, SIGINT);
    return base;
}

bool
plain_writev(int fd, const struct iovec *iov, int iov_count)
{
    size_t len = 0;
    ssize_t written;

    for (int i = 0; i < iov_count; i++) {
        len += iov[i].iov_len;
    }
    written = iov_count == 1 ? write(fd, iov[0].iov_base, len)
                             : writev(fd, iov, iov_count);
    return written >= 0 && (size_t)written == len;
}

bool
plain_ends_head(const char *bytes, size_t len)
{
    return len >= 4 && memcmp(bytes + len - 4, "\r\n\r\n", 4) == 0;
}

struct plain_answer
plain_answer_make(const char *fields, size_t body_len)
{
    struct plain_answer answer = {0};
    char head[PLAIN_INPUT];
    int head_len = snprintf(head, sizeof head,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        "Content-Length: %zu\r\n%s\r\n",
        body_len, fields);

    if (head_len < 0 || (size_t)head_len >= sizeof head) {
        errno = EOVERFLOW;
        plain_die("head");
    }
    answer.head_len = (size_t)head_len;
    answer.len = answer.head_len + body_len;
    answer.bytes = malloc(answer.len);
    if (answer.bytes == NULL) {
        plain_die("malloc");
    }
    memcpy(answer.bytes, head, answer.head_len);
    for (size_t i = 0; i < body_len; i++) {
        answer.bytes[answer.head_len + i] = (char)('a' + i % 26);
    }
    return answer;
}
