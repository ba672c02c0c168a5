/*
 * An open connection that speaks RESP: it greets the server, sends commands,
 * and finds the command that a reply belongs to. It knows no node.
 */
#ifndef REDIS_CHANNEL_H
#define REDIS_CHANNEL_H

#include "nearside/base/buf.h"
#include "nearside/net/conn.h"
#include "redis/call.h"

enum {
    CHANNEL_REPLIES_MAX = 16 * 1024 * 1024,
};

enum place_kind {
    PLACE_CALL,
    PLACE_AUTH,   /* an error ends the connection */
    PLACE_SILENT, /* CLIENT SETNAME, ASKING: whatever it answers */
};

/* A command's place in the queue of awaited replies. */
struct place {
    struct redis_call *call; /* NULL: given up, or none */
    int64_t sent_us;
    uint64_t begins;  /* position in the stream of its first byte */
    size_t bytes;     /* of the command */
    size_t reply_len; /* of a large reply, at most; 0: a short one */
    enum place_kind kind;
};

/* Zeroed at first; after it was closed it may be opened again. */
struct channel {
    struct conn *conn;  /* owned; NULL: closed */
    struct resp *resp;  /* owned; with conn */
    struct buf out;     /* commands not yet written */
    uint64_t queued;    /* bytes ever put there */
    struct place *ring; /* owned; one place for each command, in order */
    size_t cap;         /* a power of two */
    uint64_t first;     /* oldest place */
    uint64_t behind;    /* one past the newest */
    size_t bytes;       /* of all places' commands */
    size_t reply_bytes; /* of all places' large replies */
    uint64_t received;  /* bytes ever read */
    bool is_greeted;
    bool is_refused;  /* why is what the server said */
    struct slice why; /* what is wrong, if it is known; until it is closed */
};

struct channel_callbacks {
    /* The server has let us in. */
    void (*on_greeted)(void *ctx);
    /* The reply (a loan) to a call's command; place->call is NULL when it
       was given up. Anything but RC_OK ends the channel. */
    enum rc (*on_reply)(
        void *ctx, const struct place *place, struct redis_reply *reply);
    /* Not NULL: of a connection over which the server speaks unasked. All that
       comes after the greeting comes here instead, and whoever finds that it is
       the reply to a command takes its place off. */
    enum rc (*on_message)(void *ctx, struct redis_reply *reply);
};

/* Takes over a connection, whose callbacks and owner are set, and queues the
   greeting. RC_NOMEM: it is closed. */
enum rc channel_open(struct channel *channel, struct conn *own_conn,
    const struct redis_opts *opts, int64_t now_us) RC_MUST_CHECK;

/* Harmless when it is closed. No place may be left. */
void channel_close(struct channel *channel);

/* Queues a command that is no call's. Kind, time and bytes are set in place.
   RC_NOMEM. */
enum rc channel_put(struct channel *channel, struct place place, unsigned argc,
    const struct slice *argv) RC_MUST_CHECK;

/* Queues a call's command, behind an ASKING when it asks so. The call is sent
   then. RC_NOMEM. */
enum rc channel_put_call(struct channel *channel, struct redis_call *call,
    int64_t now_us) RC_MUST_CHECK;

/* Sends what the socket takes, and waits for the rest to be wanted. */
enum rc channel_flush(struct channel *channel) RC_MUST_CHECK;

/*
 * Reads what is there, tells of the replies, and stops early for the loop's
 * other sockets. RC_OK: all is well so far. Else the channel is of no more
 * use: RC_CLOSED, RC_IO, RC_BAD, RC_LIMIT, RC_NOMEM, RC_REFUSED (the server
 * does not want us), or what on_reply said.
 */
enum rc channel_read(struct channel *channel,
    const struct channel_callbacks *callbacks, void *ctx) RC_MUST_CHECK;

/* How many replies are awaited. */
static inline size_t
channel_awaits(const struct channel *ch)
{
    return (size_t)(ch->behind - ch->first);
}

/* The place whose reply is next; NULL: none is awaited. */
static inline struct place *
channel_oldest(const struct channel *ch)
{
    return ch->first == ch->behind ? NULL
                                   : &ch->ring[ch->first & (ch->cap - 1)];
}

/* Has a byte of the place's command been written? */
static inline bool
channel_has_written(const struct channel *ch, const struct place *place)
{
    return place->begins < ch->queued - buf_len(&ch->out);
}

/* Are so many bytes of large replies awaited that the origin is faster? Twice
   the largest value. */
static inline bool
channel_is_full(const struct channel *ch)
{
    return ch->reply_bytes > CHANNEL_REPLIES_MAX;
}

/* Bytes ever read and written. */
static inline uint64_t
channel_moved(const struct channel *ch)
{
    return ch->received + ch->queued - buf_len(&ch->out);
}

/* Since it was asked last of this call, or since that was sent: have bytes come
   or gone, and quite a few when it is asked again? */
bool channel_has_moved(const struct channel *channel, struct redis_call *call);

/* Has the other side a reply to give? */
static inline bool
channel_is_due(const struct channel *ch)
{
    const struct place *oldest = channel_oldest(ch);

    return oldest != NULL && channel_has_written(ch, oldest);
}

/* Takes the oldest place off; there must be one. */
struct place channel_take(struct channel *channel);

/* The call is given up: its place will swallow its reply. */
void channel_forget(struct channel *channel, struct redis_call *call);

#endif
