/* The floor of a Redis hit: a request comes, one GET of a fixed key goes to
 * a node, the bulk of the reply goes out behind a fixed head.
 *
 * All GETs that one turn of the loop produces for a node leave in one write:
 *
 *     clients --requests--> node.output --one write a turn--> Redis node
 *     clients <--head+bulk-- node.waiting (in order) <--one read-- replies
 *
 * Clients are dealt to the keys given by --key round robin, and with them to
 * the nodes of a cluster. Every value has the length of --body; any other
 * reply is a mistake of the bench and ends the process. A client that leaves
 * while its reply is under way is freed when that comes. */
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
    NODES_MAX = 16,
    KEYS_MAX = 64,
    COMMAND_MAX = 256,
    /* Commands in flight per node: one per client, so this many clients. */
    WAITING_MAX = 4096,
    OUTPUT_MAX = WAITING_MAX * 64,
    /* 64 KiB hold 300 replies of 200 bytes: a turn's worth. */
    INPUT_MAX = 65536,
};

struct client;

struct node {
    struct event readable;
    struct relay *relay;
    const char *address; /* "HOST:PORT", of argv */
    int fd;
    size_t output_len;
    size_t input_len;
    size_t waiting_first;
    size_t waiting_count;
    struct client *waiting[WAITING_MAX];
    char output[OUTPUT_MAX];
    char input[INPUT_MAX];
};

struct key {
    struct node *node;
    size_t command_len;
    char command[COMMAND_MAX]; /* the whole GET, rendered once */
};

struct relay {
    struct event_base *base;
    struct event accepting;
    struct plain_answer answer; /* its head is what goes before a bulk */
    size_t body_len;
    size_t bulk_head_len; /* of "$200\r\n" */
    char bulk_head[16];
    unsigned node_count;
    unsigned key_count;
    unsigned next_key;
    struct node *nodes[NODES_MAX];
    struct key keys[KEYS_MAX];
};

struct client {
    struct event readable;
    struct relay *relay;
    const struct key *key;
    size_t held;
    int fd;
    bool is_waiting; /* a node's queue points here */
    bool is_gone;
    char input[PLAIN_INPUT];
};

static void
client_close(struct client *client)
{
    if (!client->is_gone) {
        client->is_gone = true;
        (void)event_del(&client->readable);
        (void)close(client->fd);
    }
    if (!client->is_waiting) {
        free(client);
    }
}

/* Puts the client's GET behind the others of this turn. */
static void
node_ask(struct node *node, struct client *client)
{
    const struct key *key = client->key;
    size_t last;

    if (node->waiting_count == WAITING_MAX ||
        node->output_len + key->command_len > OUTPUT_MAX) {
        errno = ENOBUFS;
        plain_die(node->address);
    }
    memcpy(node->output + node->output_len, key->command, key->command_len);
    node->output_len += key->command_len;
    last = (node->waiting_first + node->waiting_count) % WAITING_MAX;
    node->waiting[last] = client;
    node->waiting_count++;
    client->is_waiting = true;
}

static void
on_client_readable(evutil_socket_t fd, short what, void *ctx)
{
    struct client *client = ctx;
    size_t room = sizeof client->input - client->held;
    ssize_t got = read(fd, client->input + client->held, room);

    (void)what;
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) {
            client_close(client);
        }
        return;
    }
    client->held += (size_t)got;
    if (plain_ends_head(client->input, client->held)) {
        client->held = 0;
        node_ask(client->key->node, client);
    }
}

static void
node_answer_first(struct node *node, char *bulk)
{
    struct relay *relay = node->relay;
    struct client *client = node->waiting[node->waiting_first];
    struct iovec both[2] = {
        {relay->answer.bytes, relay->answer.head_len},
        {bulk, relay->body_len},
    };

    node->waiting_first = (node->waiting_first + 1) % WAITING_MAX;
    node->waiting_count--;
    client->is_waiting = false;
    if (client->is_gone || !plain_writev(client->fd, both, 2)) {
        client_close(client);
    }
}

static void
on_node_readable(evutil_socket_t fd, short what, void *ctx)
{
    struct node *node = ctx;
    const struct relay *relay = node->relay;
    size_t reply_len = relay->bulk_head_len + relay->body_len + 2;
    size_t done = 0;
    ssize_t got = read(fd, node->input + node->input_len,
        sizeof node->input - node->input_len);

    (void)what;
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    if (got <= 0) {
        plain_die(node->address);
    }
    node->input_len += (size_t)got;
    while (node->input_len - done >= reply_len) {
        char *reply = node->input + done;

        if (node->waiting_count == 0 ||
            memcmp(reply, relay->bulk_head, relay->bulk_head_len) != 0) {
            errno = EPROTO;
            plain_die(node->address);
        }
        node_answer_first(node, reply + relay->bulk_head_len);
        done += reply_len;
    }
    node->input_len -= done;
    memmove(node->input, node->input + done, node->input_len);
}

static void
on_accept(evutil_socket_t listener, short what, void *ctx)
{
    struct relay *relay = ctx;
    struct client *client;
    int fd = plain_accept(listener);

    (void)what;
    if (fd < 0) {
        return;
    }
    client = calloc(1, sizeof *client);
    if (client == NULL) {
        plain_die("calloc");
    }
    client->relay = relay;
    client->fd = fd;
    client->key = &relay->keys[relay->next_key++ % relay->key_count];
    if (event_assign(&client->readable, relay->base, fd, EV_READ | EV_PERSIST,
            on_client_readable, client) != 0 ||
        event_add(&client->readable, NULL) != 0) {
        plain_die("event_add");
    }
}

static struct node *
node_open(struct relay *relay, const char *address)
{
    struct node *node;

    for (unsigned i = 0; i < relay->node_count; i++) {
        if (strcmp(relay->nodes[i]->address, address) == 0) {
            return relay->nodes[i];
        }
    }
    node = calloc(1, sizeof *node);
    if (node == NULL || relay->node_count == NODES_MAX) {
        plain_die("node");
    }
    node->relay = relay;
    node->address = address;
    node->fd = plain_dial(address);
    if (event_assign(&node->readable, relay->base, node->fd,
            EV_READ | EV_PERSIST, on_node_readable, node) != 0 ||
        event_add(&node->readable, NULL) != 0) {
        plain_die("event_add");
    }
    relay->nodes[relay->node_count++] = node;
    return node;
}

/* Takes "KEY@HOST:PORT". */
static void
key_add(struct relay *relay, const char *text)
{
    struct key *key = &relay->keys[relay->key_count];
    const char *at = strrchr(text, '@');
    int len;

    if (at == NULL || relay->key_count == KEYS_MAX) {
        errno = EINVAL;
        plain_die(text);
    }
    len = snprintf(key->command, sizeof key->command,
        "*2\r\n$3\r\nGET\r\n$%d\r\n%.*s\r\n", (int)(at - text),
        (int)(at - text), text);
    if (len < 0 || (size_t)len >= sizeof key->command) {
        errno = EOVERFLOW;
        plain_die(text);
    }
    key->command_len = (size_t)len;
    key->node = node_open(relay, at + 1);
    relay->key_count++;
}

static void
flush_nodes(struct relay *relay)
{
    for (unsigned i = 0; i < relay->node_count; i++) {
        struct node *node = relay->nodes[i];
        struct iovec turn = {node->output, node->output_len};

        if (node->output_len == 0) {
            continue;
        }
        if (!plain_writev(node->fd, &turn, 1)) {
            plain_die(node->address);
        }
        node->output_len = 0;
    }
}

static void
serve(struct relay *relay, int listener)
{
    if (event_assign(&relay->accepting, relay->base, listener,
            EV_READ | EV_PERSIST, on_accept, relay) != 0 ||
        event_add(&relay->accepting, NULL) != 0) {
        plain_die("event_add");
    }
    plain_ready(listener);
    /* One turn is one wait and all callbacks it woke. */
    while (event_base_loop(relay->base, EVLOOP_ONCE) == 0 &&
           !event_base_got_break(relay->base)) {
        flush_nodes(relay);
    }
}

static void
body_set(struct relay *relay, size_t body_len)
{
    int len = snprintf(
        relay->bulk_head, sizeof relay->bulk_head, "$%zu\r\n", body_len);

    relay->body_len = body_len;
    relay->bulk_head_len = (size_t)len;
    relay->answer = plain_answer_make("", body_len);
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"body", required_argument, NULL, 'b'},
        {"key", required_argument, NULL, 'k'},
        {0},
    };
    struct relay relay = {.base = plain_base()};
    unsigned port = 0;
    int option;

    body_set(&relay, 200);
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'p') {
            port = plain_number(optarg, 65535);
        } else if (option == 'b') {
            body_set(&relay, plain_number(optarg, INPUT_MAX / 2));
        } else if (option == 'k') {
            key_add(&relay, optarg);
        } else {
            relay.key_count = 0;
            break;
        }
    }
    if (relay.key_count == 0) {
        fprintf(stderr, "usage: bench-redis-relay --key KEY@HOST:PORT... "
                        "[--port PORT] [--body BYTES]\n");
        return 2;
    }
    serve(&relay, plain_listen((uint16_t)port));
    return 0;
}
