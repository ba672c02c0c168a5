/*
 * Who calls the front: a client at the other end of a socket pair, what it
 * says and gets, and what is left of its session.
 */
#ifndef TESTS_UNIT_CALLER_GIVEN_H
#define TESTS_UNIT_CALLER_GIVEN_H

#include "front_given.h"

/* --- the client -------------------------------------------------------- */

struct caller {
    int fd;    /* its end */
    int other; /* the session's */
};

/* A session of that side's has it. */
static inline struct caller
caller_of(struct side *side)
{
    struct caller c;
    int fds[2];

    assert_int_equal(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    c = (struct caller){.fd = fds[0], .other = fds[1]};
    /* As accept.c counts it. */
    assert_true(
        client_counts_take(bench.front->client_counts, &bench.peer, true));
    atomic_fetch_add(&bench.front->connections, 1);
    atomic_fetch_add(&side->front->sessions_len, 1);
    session_start(side->front, c.other, &bench.peer);
    return c;
}

static inline struct caller
caller_new(void)
{
    return caller_of(bench.side);
}

/* Its session's end takes little before it is full. */
static inline void
narrow(const struct caller *c)
{
    int size = 1;

    assert_int_equal(
        setsockopt(c->other, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
}

static inline void
says_bytes(const struct caller *c, const char *bytes, size_t len)
{
    assert_int_equal(write(c->fd, bytes, len), len);
    turns();
}

static inline void
says(const struct caller *c, const char *text)
{
    says_bytes(c, text, strlen(text));
}

/* Whether anybody hears it or not. */
static inline void
calls(const struct caller *c, const char *text)
{
    (void)sendto(c->fd, text, strlen(text), MSG_NOSIGNAL, NULL, 0);
    turns();
}

/* It says that, and the request that comes of it. */
static inline struct request *
asks(const struct caller *c, const char *text)
{
    unsigned before = bench.requests_len;

    says(c, text);
    assert_int_equal(bench.requests_len, before + 1);
    return last_request();
}

/* All that it is sent, up to now; at most max bytes of it. */
static inline const char *
got_some(const struct caller *c, size_t max)
{
    static char got[GOT_MAX + 1];
    size_t len = 0;
    ssize_t n;

    turns();
    while (len < max && (n = read(c->fd, got + len,
                             max - len < 4096 ? max - len : 4096)) > 0) {
        len += (size_t)n;
        turns();
    }
    got[len] = '\0';
    return got;
}

static inline const char *
got(const struct caller *c)
{
    return got_some(c, GOT_MAX);
}

#define assert_got(c, want) assert_string_equal(got(c), want)

/* It has read all, and there is an end behind it. */
static inline bool
has_end(const struct caller *c)
{
    char byte;

    return recv(c->fd, &byte, 1, MSG_PEEK) == 0;
}

static inline int64_t
connections(void)
{
    return (int64_t)bench.side->worker.block
        ->cells[bench.metrics.counters[COUNTER_CONNECTIONS]];
}

/* The session is over, and nothing but its end is left to read, which is a
   reset if something that was said has not been heard. */
static inline void
assert_over(const struct caller *c)
{
    char byte;

    turns();
    assert_true(recv(c->fd, &byte, 1, MSG_PEEK) == 0 || errno == ECONNRESET);
    assert_int_equal(connections(), 0);
    assert_true(front_is_empty(bench.side->front));
}

/* Only its own direction has ended: the client is still heard. */
static inline void
assert_lingers(const struct caller *c)
{
    turns();
    assert_true(has_end(c));
    assert_int_equal(connections(), 1);
    assert_false(list_is_empty(&bench.side->front->lingering));
}

static inline void
assert_idle(const struct caller *c)
{
    turns();
    assert_false(has_end(c));
    assert_int_equal(bench.front->connections, 1);
    assert_false(list_is_empty(&bench.side->front->idle));
}

static inline void
leaves(struct caller *c)
{
    close(c->fd);
    c->fd = -1;
    turns();
}

static inline int64_t
limited(enum limit limit)
{
    return (
        int64_t)bench.side->worker.block->cells[bench.metrics.limits[limit]];
}

#define GET(target)  "GET " target " HTTP/1.1\r\nHost: a.example\r\n\r\n"
#define POST(fields) "POST /p HTTP/1.1\r\nHost: a.example\r\n" fields "\r\n"

/* --- a request's content ----------------------------------------------- */

static inline void
assert_content(const struct request *r, const char *want)
{
    assert_int_equal(r->content_len, strlen(want));
    assert_memory_equal(r->content, want, strlen(want));
}

static inline void
assert_failed(const struct caller *c, const struct request *r, unsigned status)
{
    char want[128];
    const char *text;

    assert_int_equal(r->failed, status);
    assert_int_equal(r->content_ends, 0);
    snprintf(want, sizeof(want), "HTTP/1.1 %u ", status);
    text = got(c);
    assert_memory_equal(text, want, strlen(want));
    assert_non_null(strstr(text, "connection: close"));
    assert_int_equal(r->end, REQUEST_SENT);
    assert_lingers(c);
}

static inline void
want_all(struct request *r)
{
    want(r, 1 << 20);
}

#endif
