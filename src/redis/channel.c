/*
 * Laws.
 * - One place in the queue for each command written, in order; a reply
 *   belongs to the oldest place. A place whose call was given up stays and
 *   swallows its reply.
 * - The queue is a ring that only grows: what one burst needed, the next
 *   will need again.
 * - All commands of a turn leave in one write at its end.
 */
#include "redis/channel.h"

#include "nearside/redis/redirect.h"
#include "nearside/redis/resp.h"
#include "redis/secret.h"

#include <stdlib.h>

enum {
    /* 256 KiB: then the other connections of the loop have their turn. */
    READS_MAX = 16,
    RING_MIN = 64,
    /* Some 200 GETs; what took more room is given back. */
    OUT_KEPT = 16 * 1024,
    /* In WIRE_BULK_LOOK_MS: 2.6 Mbit/s. */
    MOVED_MIN = 64 * 1024,
};

/* ---- the queue of awaited replies --------------------------------------- */

static struct place *
place_at(struct channel *ch, uint64_t index)
{
    return &ch->ring[index & (ch->cap - 1)];
}

/* Room for one more place. */
static enum rc
ring_reserve(struct channel *ch)
{
    size_t cap = ch->cap == 0 ? RING_MIN : ch->cap * 2;
    struct place *ring;

    if (channel_awaits(ch) < ch->cap) {
        return RC_OK;
    }
    ring = malloc(cap * sizeof(*ring));
    if (ring == NULL) {
        return RC_NOMEM;
    }
    MUST((cap & (cap - 1)) == 0);
    for (uint64_t i = ch->first; i < ch->behind; i++) {
        ring[i & (cap - 1)] = *place_at(ch, i);
    }
    free(ch->ring);
    ch->ring = ring;
    ch->cap = cap;
    return RC_OK;
}

struct place
channel_take(struct channel *ch)
{
    struct place *place = channel_oldest(ch);

    MUST(place != NULL);
    MUST(place->bytes <= ch->bytes);
    ch->bytes -= place->bytes;
    MUST(place->reply_len <= ch->reply_bytes);
    ch->reply_bytes -= place->reply_len;
    ch->first++;
    return *place;
}

void
channel_forget(struct channel *ch, struct redis_call *call)
{
    struct place *place = place_at(ch, call->impl.place);

    MUST(place->call == call);
    place->call = NULL;
}

/* ---- commands ----------------------------------------------------------- */

/* Room for a command's bytes. NULL: no memory. */
static char *
room_for(struct channel *ch, const struct place *place)
{
    MUST(ch->conn != NULL);
    if (place->call != NULL) {
        MUST(ch->is_greeted);
    }
    return ring_reserve(ch) == RC_OK ? buf_reserve(&ch->out, place->bytes)
                                     : NULL;
}

/* Its bytes are there. */
static void
take_place(struct channel *ch, struct place *place)
{
    MUST(place->bytes > 0);
    buf_commit(&ch->out, place->bytes);
    place->begins = ch->queued;
    ch->queued += place->bytes;
    ch->bytes += place->bytes;
    ch->reply_bytes += place->reply_len;
    if (place->call != NULL) {
        place->call->impl.place = ch->behind;
    }
    *place_at(ch, ch->behind++) = *place;
}

enum rc
channel_put(struct channel *ch, struct place place, unsigned argc,
    const struct slice *argv)
{
    char *at = room_for(ch, &place);

    MUST(place.call == NULL);
    if (at == NULL) {
        return RC_NOMEM;
    }
    MUST(command_put(at, argc, argv) == at + place.bytes);
    take_place(ch, &place);
    return RC_OK;
}

static enum rc
put_asking(struct channel *ch, int64_t now_us)
{
    static const struct slice asking = {"ASKING", 6};
    const struct place place = {
        .sent_us = now_us,
        .kind = PLACE_SILENT,
        .bytes = command_len(1, &asking),
    };

    return channel_put(ch, place, 1, &asking);
}

enum rc
channel_put_call(struct channel *ch, struct redis_call *call, int64_t now_us)
{
    struct place place = {
        .call = call,
        .sent_us = now_us,
        .bytes = call->impl.len,
        .reply_len = call->reply_len,
        .kind = PLACE_CALL,
    };
    char *at;

    MUST(ch->is_greeted);
    if (call->impl.is_asking && put_asking(ch, now_us) != RC_OK) {
        return RC_NOMEM;
    }
    at = room_for(ch, &place);
    if (at == NULL) {
        return RC_NOMEM;
    }
    MUST(call_put(at, call) == at + place.bytes);
    take_place(ch, &place);
    call->impl.state = CALL_SENT;
    call->impl.sent_us = now_us;
    call->impl.moved = channel_moved(ch);
    return RC_OK;
}

bool
channel_has_moved(const struct channel *ch, struct redis_call *call)
{
    uint64_t before = call->impl.moved;
    uint64_t at_least = call->impl.is_moving ? MOVED_MIN : 1;

    MUST(call_state(call) == CALL_SENT);
    call->impl.moved = channel_moved(ch);
    call->impl.is_moving = call->impl.moved - before >= at_least;
    return call->impl.is_moving;
}

enum rc
channel_flush(struct channel *ch)
{
    MUST(ch->conn != NULL);
    while (buf_len(&ch->out) > 0) {
        struct iovec iov = {ch->out.data + ch->out.start, buf_len(&ch->out)};
        size_t n = 0;
        enum rc rc = conn_writev(ch->conn, &iov, 1, &n);

        if (rc == RC_AGAIN) {
            break;
        }
        if (rc != RC_OK) {
            ch->why = SLICE("write failed");
            return rc;
        }
        buf_consume(&ch->out, n);
    }
    conn_want_write(ch->conn, buf_len(&ch->out) > 0);
    if (ch->out.cap > OUT_KEPT) {
        buf_trim(&ch->out);
    }
    return RC_OK;
}

/* AUTH [user] password, CLIENT SETNAME name. */
static enum rc
greet(struct channel *ch, const struct redis_opts *opts, int64_t now_us)
{
    char password[REDIS_PASSWORD_MAX];
    size_t password_len = secret_get(opts->secret, password);
    struct slice auth[3] = {SLICE("AUTH")};
    struct slice name[3] = {
        SLICE("CLIENT"), SLICE("SETNAME"), slice_of_str(opts->client_name)};
    struct place place = {.sent_us = now_us, .kind = PLACE_AUTH};
    unsigned argc = 1;
    enum rc rc = RC_OK;

    if (password_len > 0) {
        if (opts->user != NULL) {
            auth[argc++] = slice_of_str(opts->user);
        }
        auth[argc++] = slice_of(password, password_len);
        place.bytes = command_len(argc, auth);
        rc = channel_put(ch, place, argc, auth);
        explicit_bzero(password, password_len);
    }
    place.kind = PLACE_SILENT;
    place.bytes = command_len(3, name);
    return rc == RC_OK ? channel_put(ch, place, 3, name) : rc;
}

/* ---- replies ------------------------------------------------------------ */

/* The server says by an error reply that it does not want us. */
static enum rc
refused(struct channel *ch, const struct redis_reply *reply)
{
    ch->why = slice_of(reply->str, reply->len);
    ch->is_refused = true;
    return RC_REFUSED;
}

/* Does this reply to a greeting shut us out? What else may be wrong, such as
   an ACL without CLIENT, does not matter here. */
static bool
is_shut_out(const struct place *place, const struct redis_reply *reply)
{
    struct slice text = slice_of(reply->str, reply->len);

    return reply->type == REDIS_ERROR &&
           (place->kind == PLACE_AUTH ||
               redis_error_of(text) == REDIS_ERROR_NOAUTH ||
               redis_error_of(text) == REDIS_ERROR_DENIED ||
               slice_starts(text, SLICE("ERR max number of clients")));
}

static enum rc
channel_reply(struct channel *ch, struct redis_reply *reply,
    const struct channel_callbacks *callbacks, void *ctx)
{
    const struct place *oldest = channel_oldest(ch);
    struct place place;

    if (ch->is_greeted && callbacks->on_message != NULL) {
        return callbacks->on_message(ctx, reply);
    }
    if (oldest == NULL || !channel_has_written(ch, oldest)) {
        /* Nobody asked, or not yet. "-ERR max number of clients reached"
           perhaps. */
        return reply->type == REDIS_ERROR ? refused(ch, reply) : RC_BAD;
    }
    place = channel_take(ch);
    if (ch->is_greeted) {
        return place.kind == PLACE_CALL
                   ? callbacks->on_reply(ctx, &place, reply)
                   : RC_OK;
    }
    MUST(place.kind != PLACE_CALL);
    if (is_shut_out(&place, reply)) {
        return refused(ch, reply);
    }
    if (channel_awaits(ch) == 0) {
        ch->is_greeted = true;
        callbacks->on_greeted(ctx);
    }
    return RC_OK;
}

enum rc
channel_read(
    struct channel *ch, const struct channel_callbacks *callbacks, void *ctx)
{
    char scratch[RESP_SCRATCH];
    struct redis_reply *reply = NULL;

    MUST(ch->conn != NULL);
    for (unsigned i = 0; i < READS_MAX; i++) {
        struct resp_space to = resp_space(ch->resp, scratch, sizeof(scratch));
        size_t n = 0;
        enum rc rc = conn_read(ch->conn, to.ptr, to.cap, &n);

        if (rc != RC_OK) {
            return rc == RC_AGAIN ? RC_OK : rc;
        }
        ch->received += n;
        resp_put(ch->resp, n);
        while ((rc = resp_next(ch->resp, &reply)) == RC_OK) {
            rc = channel_reply(ch, reply, callbacks, ctx);
            if (rc != RC_OK) {
                return rc;
            }
        }
        if (rc != RC_AGAIN) {
            return rc;
        }
        if (n < to.cap) {
            return RC_OK;
        }
    }
    return RC_OK;
}

/* ---- life --------------------------------------------------------------- */

enum rc
channel_open(struct channel *ch, struct conn *own_conn,
    const struct redis_opts *opts, int64_t now_us)
{
    MUST(own_conn != NULL);
    MUST(ch->conn == NULL);
    MUST(channel_awaits(ch) == 0);
    ch->conn = own_conn;
    ch->resp = resp_new(opts->reply_max);
    ch->out.max = SIZE_MAX; /* the owner limits what it puts there */
    if (ch->resp == NULL || greet(ch, opts, now_us) != RC_OK) {
        return RC_NOMEM;
    }
    conn_want_read(ch->conn, true);
    return RC_OK;
}

void
channel_close(struct channel *ch)
{
    MUST(channel_awaits(ch) == 0);
    conn_close(&ch->conn);
    resp_free(&ch->resp);
    buf_fini(&ch->out);
    free(ch->ring);
    *ch = (struct channel){0};
}
