/* The origin behind the relay and the proxies of the benchmark: the same
 * answer each time, as cheaply as can be, so that the core it shares with
 * the load is left to the load.
 *
 * It differs from the floor in three ways: the answer may carry further
 * field lines (a freshness, so that a cache may keep it); a request may
 * arrive in any pieces; and GET /count is answered with how many other
 * requests have come, by which the bench proves that a pass reached the
 * origin and a hit did not. One request in flight per connection. */
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

struct origin {
    struct event_base *base;
    struct event accepting;
    struct plain_answer answer;
    unsigned long count;
};

struct client {
    struct event readable;
    struct origin *origin;
    size_t held;
    char input[PLAIN_INPUT];
};

static void
client_free(struct client *client, int fd)
{
    (void)event_del(&client->readable);
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

static bool
answer(const struct client *client, int fd)
{
    static const char count_line[] = "GET /count ";
    struct plain_answer *fixed = &client->origin->answer;
    struct iovec whole = {fixed->bytes, fixed->len};

    if (client->held > sizeof count_line &&
        memcmp(client->input, count_line, sizeof count_line - 1) == 0) {
        return answer_count(client, fd);
    }
    client->origin->count++;
    return plain_writev(fd, &whole, 1);
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
    if (event_assign(&client->readable, origin->base, fd, EV_READ | EV_PERSIST,
            on_readable, client) != 0 ||
        event_add(&client->readable, NULL) != 0) {
        (void)close(fd);
        free(client);
    }
}

static void
serve(int listener, struct plain_answer fixed)
{
    struct origin origin = {.base = plain_base(), .answer = fixed};

    if (event_assign(&origin.accepting, origin.base, listener,
            EV_READ | EV_PERSIST, on_accept, &origin) != 0 ||
        event_add(&origin.accepting, NULL) != 0) {
        plain_die("event_add");
    }
    plain_ready(listener);
    (void)event_base_dispatch(origin.base);
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
        {"field", required_argument, NULL, 'f'},
        {0},
    };
    char fields[1024] = "";
    unsigned port = 0;
    unsigned body_len = 200;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'p') {
            port = plain_number(optarg, 65535);
        } else if (option == 'b') {
            body_len = plain_number(optarg, 1 << 20);
        } else if (option == 'f') {
            field_add(fields, sizeof fields, optarg);
        } else {
            fprintf(stderr, "usage: bench-origin [--port PORT] "
                            "[--body BYTES] [--field 'NAME: VALUE']...\n");
            return 2;
        }
    }
    serve(plain_listen((uint16_t)port), plain_answer_make(fields, body_len));
    return 0;
}
