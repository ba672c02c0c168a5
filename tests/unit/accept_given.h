/* A listening socket, and who connects to it, for the front to accept. */
#ifndef TESTS_UNIT_ACCEPT_GIVEN_H
#define TESTS_UNIT_ACCEPT_GIVEN_H

#include "caller_given.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include "../support/listening.h"

#define OK "HTTP/1.1 200 OK\r\nx: 1\r\ny: 2\r\ncontent-length: 2\r\n"
#define TURNED_AWAY                                                            \
    "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n"                \
    "retry-after: 1\r\nconnection: close\r\n\r\n"

static int listens = -1;
static struct address bound;
static int accept_error; /* of the next; 0: none */

/* Stands before the kernel's. */
int
accept4(int fd, struct sockaddr *at, socklen_t *len, int flags)
{
    if (accept_error != 0) {
        errno = accept_error;
        accept_error = 0;
        return -1;
    }
    return (int)syscall(SYS_accept4, fd, at, len, flags);
}

static inline int
accept_up(void **state)
{
    struct address want;

    (void)state;
    heap_begins();
    bench_up();
    assert_int_equal(address_parse(SLICE("127.0.0.1:0"), &want), RC_OK);
    assert_int_equal(listen_at(&want, &listens, &bound), RC_OK);
    return 0;
}

static inline int
accept_down(void **state)
{
    (void)state;
    bench_down();
    close(listens);
    heap_ends();
    return 0;
}

static inline void
given_front(struct front_opts opts)
{
    opts.connections_max = opts.connections_max > 0 ? opts.connections_max : 99;
    opts.workers = opts.workers > 0 ? opts.workers : 1;
    front_up(&opts);
    assert_int_equal(front_listen(bench.side->front, listens), RC_OK);
}

/* It has connected, and nobody has accepted it yet. */
static inline struct caller
queued_from(const char *host)
{
    struct caller c = {.fd = socket(AF_INET, SOCK_STREAM, 0), .other = -1};
    struct address from;

    assert_int_equal(address_of(slice_of_str(host), 0, &from), RC_OK);
    assert_int_equal(bind(c.fd, &from.u.any, from.len), 0);
    assert_int_equal(connect(c.fd, &bound.u.any, bound.len), 0);
    assert_int_equal(fcntl(c.fd, F_SETFL, O_NONBLOCK), 0);
    return c;
}

static inline int64_t
total(const struct side *side)
{
    const struct metric_block *block = side->worker.block;
    metric_id id = bench.metrics.counters[COUNTER_CONNECTIONS_TOTAL];

    return block == NULL ? 0 : (int64_t)block->cells[id];
}

static inline unsigned
refusals(void)
{
    return atomic_load(&bench.front->refusals);
}

/* It is accepted, or refused. */
static inline struct caller
connects_from(const char *host)
{
    int64_t before = total(&bench.sides[0]) + total(&bench.sides[1]);
    unsigned refused = atomic_load(&bench.front->unsaid) + refusals();
    struct caller c = queued_from(host);

    UNTIL(total(&bench.sides[0]) + total(&bench.sides[1]) > before ||
          atomic_load(&bench.front->unsaid) + refusals() > refused);
    return c;
}

static inline struct caller
connects(void)
{
    return connects_from("127.0.0.1");
}

/* Waits for so much of what it is sent. */
static inline void
assert_told(const struct caller *c, const char *want)
{
    char text[512];
    size_t len = 0;

    while (len < strlen(want)) {
        ssize_t n;
        UNTIL((n = read(c->fd, text + len, strlen(want) - len)) >= 0);
        assert_true(n > 0);
        len += (size_t)n;
    }
    assert_memory_equal(text, want, len);
}

/* Behind a reset, which is told once, there is an end too. */
static inline void
assert_ended(struct caller *c)
{
    char byte;
    ssize_t n;

    UNTIL((n = recv(c->fd, &byte, 1, MSG_PEEK)) >= 0 || errno != EAGAIN);
    assert_int_equal(n, 0);
    close(c->fd);
}

static inline void
assert_served(const struct caller *c)
{
    unsigned before = bench.requests_len;

    calls(c, GET("/a"));
    UNTIL(bench.requests_len > before);
    answer(last_request(), "ok");
    assert_told(c, OK);
    UNTIL(last_request()->end == REQUEST_SENT);
    UNTIL(got(c)[0] != '\0');
}

static inline void
assert_turned_away(const struct caller *c)
{
    assert_told(c, TURNED_AWAY);
    UNTIL(has_end(c));
}

static inline void
goes(struct caller *c, unsigned left)
{
    close(c->fd);
    UNTIL(front_connections(bench.front) == left);
}

static inline unsigned
sessions_of(unsigned index)
{
    return atomic_load(&bench.sides[index].front->sessions_len);
}

#define ACCEPT_TEST(name)                                                      \
    cmocka_unit_test_setup_teardown(name, accept_up, accept_down)

#endif
