/* What the floors and the fixed origin of the benchmark have in common: a
 * listening socket, a loop, whole writes, a ready line like the daemon's.
 * Nothing here parses; nothing here is called more often than it must be.
 *
 * A floor may give up loudly: what goes wrong at start ends the process with
 * a line on stderr and status 2. */
#ifndef NEARSIDE_BENCH_PLAIN_H
#define NEARSIDE_BENCH_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event;
struct event_base;
struct iovec;

/* Bytes of a request that a floor holds; more than this closes it. The
 * thirteen fields of a browser take 700. */
enum {
    PLAIN_INPUT = 4096
};

/* One answer, rendered once. */
struct plain_answer {
    char *bytes;
    size_t len;
    size_t head_len; /* of these, the head with its empty line */
};

/* Ends the process with status 2, having said why. */
_Noreturn void plain_die(const char *what);

/* Reads an unsigned number from a flag's argument, at most max; dies when it
 * is none. */
unsigned plain_number(const char *text, unsigned max);

/* A non-blocking socket that listens on 127.0.0.1:port; 0 is any free one. */
int plain_listen(uint16_t port);

/* A blocking connect to "HOST:PORT" (numeric IPv4), then non-blocking. The
 * peers of a floor are local and up before it is. Dies when it fails. */
int plain_dial(const char *address);

/* As plain_dial, but gives -1 when the peer cannot be reached. */
int plain_try_dial(const char *address);

/* Accepts one connection, non-blocking and without Nagle's delay; -1 when
 * there is none. */
int plain_accept(int listener);

/* Forks so that this many processes share what is open by now. Children end
 * when the first one does. */
void plain_fork(unsigned processes);

/* Prints the two lines that the bench waits for, as the daemon does. */
void plain_ready(int listener);

/* A loop without locks that SIGTERM and SIGINT break. The caller frees none
 * of it: the process ends with the loop. */
struct event_base *plain_base(void);

/* Writes all of it at once. False also when the socket took only a part: a
 * floor's messages are far smaller than a socket's buffer. */
bool plain_writev(int fd, const struct iovec *iov, int iov_count);

/* True when the bytes end in an empty line. One request is in flight per
 * connection, so this is the end of a request. */
bool plain_ends_head(const char *bytes, size_t len);

/* Renders a 200 answer with these further field lines (may be "") and a
 * JSON-like body of exactly this many bytes. */
struct plain_answer plain_answer_make(const char *fields, size_t body_len);

#endif
