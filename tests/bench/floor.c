/* The floor of every answer: a bare libevent loop that reads a request and
 * writes the same answer each time. What a server costs above this is its
 * own doing; what this costs is the kernel's and libevent's.
 *
 * One connection is one struct event and one buffer. A head is taken as
 * complete when the bytes end in an empty line (plain.h). With --processes
 * several processes watch the one listening socket and each accepts one
 * connection a turn, which spreads 64 of them well enough. */
#include "plain.h"

#include <event2/event.h>
#include <event2/event_struct.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

struct floor {
    struct event_base *base;
    struct event accepting;
    struct plain_answer answer;
};

struct client {
    struct event readable;
    struct floor *floor;
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

static void
on_readable(evutil_socket_t fd, short what, void *ctx)
{
    struct client *client = ctx;
    struct plain_answer *answer = &client->floor->answer;
    struct iovec whole = {answer->bytes, answer->len};
    ssize_t got = read(
        fd, client->input + client->held, sizeof client->input - client->held);

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
    client->held = 0;
    if (!plain_writev(fd, &whole, 1)) {
        client_free(client, fd);
    }
}

static void
on_accept(evutil_socket_t listener, short what, void *ctx)
{
    struct floor *floor = ctx;
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
    client->floor = floor;
    client->held = 0;
    if (event_assign(&client->readable, floor->base, fd, EV_READ | EV_PERSIST,
            on_readable, client) != 0 ||
        event_add(&client->readable, NULL) != 0) {
        (void)close(fd);
        free(client);
    }
}

static void
serve(int listener, struct plain_answer answer)
{
    struct floor floor = {.base = plain_base(), .answer = answer};

    if (event_assign(&floor.accepting, floor.base, listener,
            EV_READ | EV_PERSIST, on_accept, &floor) != 0 ||
        event_add(&floor.accepting, NULL) != 0) {
        plain_die("event_add");
    }
    (void)event_base_dispatch(floor.base);
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"processes", required_argument, NULL, 'n'},
        {"body", required_argument, NULL, 'b'},
        {0},
    };
    unsigned port = 0;
    unsigned processes = 1;
    unsigned body_len = 200;
    int option;
    int listener;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'p') {
            port = plain_number(optarg, 65535);
        } else if (option == 'n') {
            processes = plain_number(optarg, 64);
        } else if (option == 'b') {
            body_len = plain_number(optarg, 1 << 20);
        } else {
            fprintf(stderr, "usage: bench-floor [--port PORT] "
                            "[--processes N] [--body BYTES]\n");
            return 2;
        }
    }
    listener = plain_listen((uint16_t)port);
    plain_ready(listener);
    plain_fork(processes);
    serve(listener, plain_answer_make("", body_len));
    return 0;
}
