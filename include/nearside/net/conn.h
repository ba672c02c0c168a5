/*
 * One stream connection, plain now, TLS behind the same door later. A thin
 * transport: it buffers nothing. Its owner asks to be told when it can read
 * or write, and does so.
 *
 * Level-triggered: while reading is wanted and bytes are there, on_readable
 * comes every turn. on_readable also comes at the end of input and on an
 * error; conn_read then says which.
 */
#ifndef NEARSIDE_NET_CONN_H
#define NEARSIDE_NET_CONN_H

#include <stdbool.h>
#include <sys/uio.h>

#include "nearside/net/address.h"
#include "nearside/net/loop.h"

struct conn;

struct conn_callbacks {
    void (*on_readable)(void *ctx);
    void (*on_writable)(void *ctx);
};

/*
 * Takes over a connected (or connecting) non-blocking socket. Wants nothing
 * at first. NULL: no memory, the fd is closed.
 */
struct conn *conn_new(struct loop *loop, int own_fd,
    const struct conn_callbacks *callbacks, void *ctx);

/* Hands the connection to another owner on the same loop; wants are kept.
   callbacks are borrowed for as long as they are set. */
void conn_set_owner(
    struct conn *conn, const struct conn_callbacks *callbacks, void *ctx);

/* Closes at once. May be called inside one of the conn's own callbacks:
   nothing of the conn is touched afterwards. */
void conn_close(struct conn **conn);

/* Closes with a reset, so that the peer cannot mistake it for an end. */
void conn_abort(struct conn **conn);

void conn_want_read(struct conn *conn, bool is_wanted);
void conn_want_write(struct conn *conn, bool is_wanted);

/*
 * RC_OK: *out_n > 0 bytes. RC_AGAIN: none now. RC_CLOSED: end of input.
 * RC_IO: broken.
 */
enum rc conn_read(
    struct conn *conn, void *to, size_t cap, size_t *out_n) RC_MUST_CHECK;

/*
 * RC_OK: *out_n > 0 bytes were taken, perhaps not all. RC_AGAIN: none now;
 * want to write and wait. RC_CLOSED, RC_IO: broken.
 */
enum rc conn_writev(struct conn *conn, const struct iovec *iov, int count,
    size_t *out_n) RC_MUST_CHECK;

/* Ends our direction; the peer reads an end of input. */
void conn_shutdown_write(struct conn *conn);

/* After connecting: RC_OK, RC_REFUSED, RC_TIMEOUT or RC_IO. */
enum rc conn_connect_result(struct conn *conn) RC_MUST_CHECK;

/*
 * Is an idle connection still good to send on? False when input, an end of
 * input, or an error is waiting (RFC 9112 9.2: bytes nobody asked for).
 */
bool conn_is_quiet(struct conn *conn);

/* Who is at the other end, as told by conn_set_peer; a unix socket's peer
   has no path. */
void conn_peer(const struct conn *conn, struct address *out);
void conn_set_peer(struct conn *conn, const struct address *peer);

#endif
