/* The origin behind the relay and the proxies of the benchmark: the same
 * answer each time, as cheaply as can be, so that the core it shares with
 * the load is left to the load.
 *
 * It differs from the floor in four ways: the answer may carry further
 * field lines (a freshness, so that a cache may keep it); a request may
 * arrive in any pieces; GET /count is answered with how many other
 * requests have come, by which the bench proves that a pass reached the
 * origin and a hit did not; and GET /bytes/N is answered with a body of N
 * bytes, for each N that a --large names. Such a body may be larger than the
 * socket's buffer: what did not fit follows when the client has read. One
 * request in flight per connection. */
#include "plain.h"

#include <event2/event.h>
#include <event2/event_struct.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    LARGE_MAX = 8,
    BODY_MAX = 1 << 24
};

struct large {
    char path[32]; /* with the spaces around it: " /bytes/N " */
    struct plain_answer answer;
};

struct origin {
    struct event_base *base;
    struct event accepting;
    struct plain_answer answer;
    struct large large[LARGE_MAX];
    size_t large_len;
    unsigned long count;
};

struct client {
    struct event readable;
    struct event writable; /* pending while an answer is under way */
    struct origin *origin;
    const char *rest; /* of that answer; it is the origin's */
    size_t rest_len;
    size_t held;
    char input[PLAIN_INPUT];
};

static void
client_free(struct client *client, int fd)
{
    (void)event_del(&client->readable);
    (void)event_del(&client->writable);
    (void)close(fd);
    free(client);
}

static bool
answer_count(const struct client *client, int fd)
{
    char text[160];
    char number[32];
    struct iovec whole = {.iov_base = text};
    int number_len =
        snprintf(number, sizeof number, "%lu\n", client->origin->count);

    whole.iov_len = (size_t)snprintf(text, sizeof text,
        "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n"
        "Content-Length: %d\r\n\r\n%s",
        number_len, number);
    return plain_writev(fd, &whole, 1);
}

static const struct plain_answer *
answer_to(const struct client *client)
{
    const struct origin *origin = client->origin;

    for (size_t i = 0; i < origin->large_len; i++) {
        const struct large *large = &origin->large[i];
        size_t path_len = strlen(large->path);

        if (client->held > 3 + path_len &&
            memcmp(client->input + 3, large->path, path_len) == 0) {
            return &large->answer;
        }
    }
    return &origin->answer;
}

/* Writes what the socket takes and waits until it takes more. */
static bool
write_rest(struct client *client, int fd)
{
    ssize_t written = write(fd, client->rest, client->rest_len);

    if (written < 0 && errno != EAGAIN) {
        return false;
    }
    if (written > 0) {
        client->rest += written;
        client->rest_len -= (size_t)written;
    }
    return client->rest_len == 0 || event_add(&client->writable, NULL) == 0;
}

static void
on_writable(evutil_socket_t fd, short what, void *ctx)
{
    (void)what;
    if (!write_rest(ctx, fd)) {
        client_free(ctx, fd);
    }
}

static bool
answer(struct client *client, int fd)
{
    static const char count_line[] = "GET /count ";
    const struct plain_answer *fixed;

    if (client->held > sizeof count_line &&
        memcmp(client->input, count_line, sizeof count_line - 1) == 0) {
        return answer_count(client, fd);
    }
    client->origin->count++;
    fixed = answer_to(client);
    client->rest = fixed->bytes;
    client->rest_len = fixed->len;
    return write_rest(client, fd);
}

static void
on_readable(evutil_socket_t fd, short what, void *ctx)
{
    struct client *client = ctx;
    size_t room = sizeof client->input - client->held;
    ssize_t got = read(fd, client->input + client->held, room);

    (void)what;
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) {
            client_free(client, fd);
        }
        return;
    }
    client->held += (size_t)got;
    if (!plain_ends_head(client->input, client->held)) {
        return;
    }
    if (!answer(client, fd)) {
        client_free(client, fd);
        return;
    }
    client->held = 0;
}

static void
on_accept(evutil_socket_t listener, short what, void *ctx)
{
    struct origin *origin = ctx;
    struct client *client;
    int fd = plain_accept(listener);

    (void)what;
    if (fd < 0) {
        return;
    }
    client = malloc(sizeof *client);
    if (client == NULL) {
        (void)close(fd);
        return;
    }
    client->origin = origin;
    client->held = 0;
    if (event_assign(&client->writable, origin->base, fd, EV_WRITE, on_writable,
            client) != 0 ||
        event_assign(&client->readable, origin->base, fd, EV_READ | EV_PERSIST,
            on_readable, client) != 0 ||
        event_add(&client->readable, NULL) != 0) {
        (void)close(fd);
        free(client);
    }
}

static void
serve(int listener, struct origin *origin)
{
    origin->base = plain_base();
    if (event_assign(&origin->accepting, origin->base, listener,
            EV_READ | EV_PERSIST, on_accept, origin) != 0 ||
        event_add(&origin->accepting, NULL) != 0) {
        plain_die("event_add");
    }
    plain_ready(listener);
    (void)event_base_dispatch(origin->base);
}

/* Makes room for the answer to GET /bytes/N; it is rendered when all field
 * lines are known. */
static void
large_add(struct origin *origin, unsigned body_len)
{
    struct large *large = &origin->large[origin->large_len];

    if (origin->large_len == LARGE_MAX) {
        errno = E2BIG;
        plain_die("--large");
    }
    (void)snprintf(large->path, sizeof large->path, " /bytes/%u ", body_len);
    large->answer.len = body_len;
    origin->large_len++;
}

static void
large_render(struct origin *origin, const char *fields)
{
    for (size_t i = 0; i < origin->large_len; i++) {
        struct plain_answer *answer = &origin->large[i].answer;

        *answer = plain_answer_make(fields, answer->len);
    }
}

/* Adds "Name: value" to the field lines of the answer. */
static void
field_add(char *fields, size_t size, const char *line)
{
    size_t held = strlen(fields);
    int added = snprintf(fields + held, size - held, "%s\r\n", line);

    if (added < 0 || (size_t)added >= size - held) {
        errno = EOVERFLOW;
        plain_die(line);
    }
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"body", required_argument, NULL, 'b'},
        {"large", required_argument, NULL, 'l'},
        {"field", required_argument, NULL, 'f'},
        {0},
    };
    static struct origin origin;
    char fields[1024] = "";
    unsigned port = 0;
    unsigned body_len = 200;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'p') {
            port = plain_number(optarg, 65535);
        } else if (option == 'b') {
            body_len = plain_number(optarg, BODY_MAX);
        } else if (option == 'l') {
            large_add(&origin, plain_number(optarg, BODY_MAX));
        } else if (option == 'f') {
            field_add(fields, sizeof fields, optarg);
        } else {
            fprintf(stderr, "usage: bench-origin [--port PORT] "
                            "[--body BYTES] [--large BYTES]... "
                            "[--field 'NAME: VALUE']...\n");
            return 2;
        }
    }
    origin.answer = plain_answer_make(fields, body_len);
    large_render(&origin, fields);
    serve(plain_listen((uint16_t)port), &origin);
    return 0;
}
