/* The floor of an uncached pass: bytes from the client go to the origin,
 * bytes from the origin go to the client, and nobody looks at them.
 *
 * Each client has an origin connection of its own, dialled when it comes
 * and kept as long as it stays:
 *
 *     client --read--> pair --write--> origin
 *     client <-write-- pair <--read--- origin
 *
 * One request is in flight per client, so nothing ever waits here; what one
 * write does not take closes both (plain.h). */
#include "plain.h"

#include <event2/event.h>
#include <event2/event_struct.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

/* One read; the answers relayed here are 200 bytes and a head. */
enum {
    RELAY_READ = 16384
};

struct relay {
    struct event_base *base;
    struct event accepting;
    const char *origin; /* "HOST:PORT", of argv */
};

struct pair;

struct side {
    struct event readable;
    struct pair *pair;
    struct side *other;
    int fd;
};

struct pair {
    struct side client;
    struct side origin;
};

static void
pair_free(struct pair *pair)
{
    (void)event_del(&pair->client.readable);
    (void)event_del(&pair->origin.readable);
    (void)close(pair->client.fd);
    (void)close(pair->origin.fd);
    free(pair);
}

static void
on_readable(evutil_socket_t fd, short what, void *ctx)
{
    struct side *side = ctx;
    char bytes[RELAY_READ];
    ssize_t got = read(fd, bytes, sizeof bytes);
    struct iovec piece = {.iov_base = bytes};

    (void)what;
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    if (got <= 0) {
        pair_free(side->pair);
        return;
    }
    piece.iov_len = (size_t)got;
    if (!plain_writev(side->other->fd, &piece, 1)) {
        pair_free(side->pair);
    }
}

static void
side_init(struct side *side, struct pair *pair, struct side *other, int fd)
{
    side->pair = pair;
    side->other = other;
    side->fd = fd;
}

static bool
side_watch(struct side *side, struct event_base *base)
{
    return event_assign(&side->readable, base, side->fd, EV_READ | EV_PERSIST,
               on_readable, side) == 0 &&
           event_add(&side->readable, NULL) == 0;
}

static void
pair_open(struct relay *relay, int client_fd, int origin_fd)
{
    struct pair *pair = calloc(1, sizeof *pair);

    if (pair == NULL) {
        plain_die("calloc");
    }
    side_init(&pair->client, pair, &pair->origin, client_fd);
    side_init(&pair->origin, pair, &pair->client, origin_fd);
    if (!side_watch(&pair->client, relay->base) ||
        !side_watch(&pair->origin, relay->base)) {
        plain_die("event_add");
    }
}

static void
on_accept(evutil_socket_t listener, short what, void *ctx)
{
    struct relay *relay = ctx;
    int client_fd = plain_accept(listener);
    int origin_fd;

    (void)what;
    if (client_fd < 0) {
        return;
    }
    origin_fd = plain_try_dial(relay->origin);
    if (origin_fd < 0) {
        (void)close(client_fd);
        return;
    }
    pair_open(relay, client_fd, origin_fd);
}

static void
serve(int listener, const char *origin)
{
    struct relay relay = {.base = plain_base(), .origin = origin};

    if (event_assign(&relay.accepting, relay.base, listener,
            EV_READ | EV_PERSIST, on_accept, &relay) != 0 ||
        event_add(&relay.accepting, NULL) != 0) {
        plain_die("event_add");
    }
    plain_ready(listener);
    (void)event_base_dispatch(relay.base);
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"origin", required_argument, NULL, 'o'},
        {0},
    };
    const char *origin = NULL;
    unsigned port = 0;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'p') {
            port = plain_number(optarg, 65535);
        } else if (option == 'o') {
            origin = optarg;
        } else {
            origin = NULL;
            break;
        }
    }
    if (origin == NULL) {
        fprintf(
            stderr, "usage: bench-relay --origin HOST:PORT [--port PORT]\n");
        return 2;
    }
    serve(plain_listen((uint16_t)port), origin);
    return 0;
}
