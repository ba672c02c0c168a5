/*
 * Writing answers: framing (RFC 9112 6, 7.1) around what the request brings.
 *
 * An answer leaves in batches of [head][size line][data][last chunk]. Only
 * the first batch has the head; size lines and the last chunk belong to
 * chunked coding. One writev takes all of a batch if the socket has room. The
 * data is written from the entry or the fill, where it stays until this file
 * says that it has left; it is never copied.
 *
 * session_write says why it stopped, and session.c acts on that.
 */
#include "front/h1/session.h"

#include "nearside/body/source.h"
#include "nearside/http/write.h"

enum {
    /* A client that reads as fast as we write must not hold up the others of
       this loop. */
    WRITES_PER_TURN = 8,
};

static void
batch_add(struct turn *turn, struct slice part)
{
    struct turn_out *out = &turn->out;

    if (part.len > 0) {
        MUST(out->iov_len < TURN_IOV_MAX);
        turn->iov[out->iov_len++] =
            (struct iovec){(char *)(uintptr_t)part.ptr, part.len};
        out->left += part.len;
    }
}

/* --- the head ---------------------------------------------------------- */

static void
write_framing(const struct session *s, struct writer *w)
{
    const struct turn_out *out = &s->turn->out;
    const struct response *response = out->response;

    if (out->is_chunked) {
        write_slice(w, SLICE("transfer-encoding: chunked\r\n"));
    } else if (response->has_length && response->status != 204) {
        write_field_u64(w, SLICE("content-length"), response->length);
    }
    if (s->must_close) {
        write_slice(w, SLICE("connection: close\r\n"));
    } else if (s->turn->is_http10) {
        write_slice(w, SLICE("connection: keep-alive\r\n"));
    }
    write_end(w);
}

/* Status line, the response's own lines, framing. */
static void
make_head(const struct session *s)
{
    struct turn *turn = s->turn;
    const struct response *response = turn->out.response;
    struct writer w = writer_of(turn->lines, TURN_LINES_MAX);
    size_t status_len;

    write_status_line(&w, response->status);
    status_len = w.len;
    write_framing(s, &w);
    MUST(!w.is_full);
    batch_add(turn, buf_slice(&turn->interim));
    batch_add(turn, slice_of(turn->lines, status_len));
    batch_add(turn, response->fields);
    batch_add(turn, response->extra);
    batch_add(turn, slice_skip(writer_slice(&w), status_len));
}

/* The head is made at once, and written when the loop's turn ends. */
void
stream_respond(struct stream *stream, const struct response *response)
{
    struct session *s = session_of(stream);
    struct turn *turn = s->turn;
    struct turn_out *out;

    if (s->state != SESSION_BUSY) {
        return;
    }
    MUST_OBJ(turn, TURN_MAGIC);
    MUST(turn->out.response == NULL);
    MUST(!response->has_body || response->source != NULL);
    MUST(response->status >= 200);
    out = &turn->out; /* all zero since turn_restart */
    out->response = response;
    if (response->has_body && response->has_length) {
        out->length_left = response->length;
    } else if (response->has_body) {
        /* For HTTP/1.0 the end of the connection is the end of the body. */
        out->is_chunked = !turn->is_http10;
        s->must_close = s->must_close || turn->is_http10;
    }
    if (turn->in.state == BODY_WAITING) { /* and will not be wanted any more */
        session_refuse_body(s);
        session_wants(s);
    }
    s->must_close = s->must_close || response->is_last ||
                    turn->in.state != BODY_NONE ||
                    atomic_load(&s->front->says_close);
    make_head(s);
    loop_defer(session_worker(s)->loop, &s->flush);
}

/* --- interim responses ------------------------------------------------- */

void
session_write_interim(struct session *s)
{
    struct buf *interim = &s->turn->interim;
    struct slice left = buf_slice(interim);
    struct iovec iov = {(char *)(uintptr_t)left.ptr, left.len};
    size_t n = 0;
    enum rc rc = conn_writev(s->conn, &iov, 1, &n);

    MUST(s->turn->out.response == NULL); /* its head would bring the rest */
    if (rc != RC_OK && rc != RC_AGAIN) {
        session_end(s, true);
        return;
    }
    buf_consume(interim, rc == RC_OK ? n : 0);
    conn_want_write(s->conn, buf_len(interim) > 0);
}

static bool
interim_add(struct buf *interim, struct slice status_line, struct slice fields)
{
    size_t len = status_line.len + fields.len + SLICE("\r\n").len;

    return buf_reserve(interim, len) != NULL &&
           buf_append(interim, status_line) == RC_OK &&
           buf_append(interim, fields) == RC_OK &&
           buf_append(interim, SLICE("\r\n")) == RC_OK;
}

/* The origin wants the content. Is the client told, or has it not waited for
   that (RFC 9110 10.1.1)? */
static bool
take_continue(struct session *s)
{
    struct turn *turn = s->turn;

    if (!turn->awaits_100) {
        return false;
    }
    MUST(s->state == SESSION_BUSY);
    turn->awaits_100 = false;
    turn->in.start_ms = session_now_ms(s);
    session_await_body(s);
    session_arm(s);
    return true;
}

/* What the socket does not take now leaves when it can, with the final
   answer's head at the latest. A 1xx response for which the buffer has no room
   any more is dropped: its client has not read those before it. */
void
stream_interim(struct stream *stream, unsigned status, struct slice fields)
{
    struct session *s = session_of(stream);
    char text[TURN_LINES_MAX];
    struct writer w = writer_of(text, sizeof(text));

    if (s->state != SESSION_BUSY || s->turn->out.response != NULL ||
        s->turn->is_http10) {
        return;
    }
    MUST_OBJ(s->turn, TURN_MAGIC);
    MUST(status >= 100 && status < 200);
    if (status == 100 && !take_continue(s)) {
        return;
    }
    write_status_line(&w, status);
    if (interim_add(&s->turn->interim, writer_slice(&w), fields)) {
        session_write_interim(s);
    }
}

/* --- batches ----------------------------------------------------------- */

/* The CRLF behind a chunk's data comes with what follows it. */
static void
add_last_chunk(struct turn *turn)
{
    struct turn_out *out = &turn->out;

    MUST(out->is_chunked);
    batch_add(
        turn, out->has_chunk ? SLICE("\r\n0\r\n\r\n") : SLICE("0\r\n\r\n"));
    out->is_chunked = false;
}

static void
add_size_line(struct turn *turn, size_t size)
{
    size_t at = 0;

    MUST(turn->out.is_chunked);
    if (turn->out.has_chunk) {
        memcpy(turn->size_line, "\r\n", 2);
        at = 2;
    }
    turn->out.has_chunk = true;
    at += chunk_write_line(turn->size_line + at, size);
    batch_add(turn, slice_of(turn->size_line, at));
}

/* Adds data and its size line. RC_IO: there is more than was announced. */
static enum rc
add_data(struct turn *turn)
{
    struct turn_out *out = &turn->out;
    struct iovec iov[TURN_DATA_MAX];
    int count = source_peek(out->response->source, iov, TURN_DATA_MAX);
    size_t size = 0;

    for (int i = 0; i < count; i++) {
        size += iov[i].iov_len;
    }
    if (out->response->has_length) {
        if (size > out->length_left) {
            return RC_IO;
        }
        out->length_left -= size;
    } else if (out->is_chunked && size > 0) {
        add_size_line(turn, size);
    }
    out->before_data = out->left;
    for (int i = 0; i < count; i++) {
        batch_add(turn, slice_of(iov[i].iov_base, iov[i].iov_len));
    }
    out->data_left = size;
    return RC_OK;
}

/* Adds to the batch, which may hold a head already, what the source has now.
   RC_IO: the source failed, or its length is not the one announced. */
static enum rc
batch_make(struct turn *turn)
{
    struct turn_out *out = &turn->out;
    struct source *source = out->response->source;
    enum source_state state;
    enum rc rc;

    MUST(out->data_left == 0);
    MUST(!out->is_last);
    if (!out->response->has_body) {
        out->is_last = true;
        return RC_OK;
    }
    state = source_state(source);
    rc = state == SOURCE_FAILED ? RC_IO : add_data(turn);
    if (rc != RC_OK || state != SOURCE_END ||
        source_left(source) > out->data_left) {
        return rc;
    }
    if (out->length_left > 0) {
        return out->data_left > 0 ? RC_OK : RC_IO;
    }
    if (out->is_chunked) {
        add_last_chunk(turn);
    }
    out->is_last = true;
    return RC_OK;
}

/* n bytes have left. */
static void
batch_consume(struct turn *turn, size_t n)
{
    struct turn_out *out = &turn->out;
    struct iovec *part = &turn->iov[out->iov_at];
    size_t before = n < out->before_data ? n : out->before_data;
    size_t data = n - before < out->data_left ? n - before : out->data_left;

    MUST(n <= out->left);
    out->has_left = out->has_left || n > 0;
    out->left -= n;
    out->before_data -= before;
    if (data > 0) {
        source_advance(out->response->source, data);
        out->data_left -= data;
        out->body_sent += data;
    }
    if (out->left == 0) {
        out->iov_at = 0;
        out->iov_len = 0;
        return;
    }
    for (; n >= part->iov_len; part++) {
        n -= part->iov_len;
        out->iov_at++;
    }
    part->iov_base = (char *)part->iov_base + n;
    part->iov_len -= n;
}

/* What has left of the answer before its request was there. False: that was
   another answer than this one. */
static bool
skip_begun(struct turn *turn)
{
    size_t n = turn->begun.n;

    turn->begun.n = 0;
    if (turn->out.response->status != 200 ||
        turn->out.left != turn->begun.size) {
        turn->out.has_left = true; /* and no other one can follow */
        return false;
    }
    MUST(n < turn->out.left);
    batch_consume(turn, n);
    return true;
}

/* Writes the batch. RC_OK: all of it. RC_AGAIN: the socket is full. */
static enum rc
batch_write(struct session *s)
{
    struct turn *turn = s->turn;
    struct turn_out *out = &turn->out;
    size_t n = 0;
    enum rc rc;

    MUST(out->left > 0);
    MUST(out->iov_at < out->iov_len);
    rc = conn_writev(s->conn, turn->iov + out->iov_at,
        (int)(out->iov_len - out->iov_at), &n);

    if (rc == RC_OK) {
        batch_consume(turn, n);
        rc = out->left == 0 ? RC_OK : RC_AGAIN;
    }
    return rc;
}

/* --- writing ----------------------------------------------------------- */

/* By then a client that takes no more has been slower than it may be. */
static int64_t
rate_deadline_ms(const struct limits *limits, const struct turn_out *out)
{
    int64_t enough_ms;

    if (limits->send_min_rate == 0) {
        return INT64_MAX;
    }
    enough_ms = (int64_t)(out->body_sent / limits->send_min_rate) * 1000;
    return out->wait_since_ms - out->waited_ms +
           (enough_ms > limits->send_min_rate_after_ms
                   ? enough_ms
                   : limits->send_min_rate_after_ms);
}

/* Only the time that the client takes counts, not the origin's. */
static void
wait_for_client(struct session *s)
{
    const struct limits *limits = session_limits(s);
    struct turn_out *out = &s->turn->out;
    int64_t now_ms = session_now_ms(s);

    MUST(out->response != NULL);
    conn_want_write(s->conn, true);
    if (!turn_is_sending(s->turn)) {
        out->wait_since_ms = now_ms;
        out->total_deadline_ms =
            limits->send_total_ms > 0
                ? now_ms + limits->send_total_ms - out->waited_ms
                : INT64_MAX;
    }
    out->gap_deadline_ms = now_ms + limits->send_timeout_ms;
    out->rate_deadline_ms = rate_deadline_ms(limits, out);
    session_arm(s);
}

/* All that the source had has left. */
static void
wait_for_source(struct session *s)
{
    struct turn_out *out = &s->turn->out;

    MUST(out->left == 0);
    if (turn_is_sending(s->turn)) {
        out->waited_ms += session_now_ms(s) - out->wait_since_ms;
        out->wait_since_ms = 0;
    }
    session_arm(s);
}

/* WRITTEN_PART: there is a batch to write. A head leaves with the first of its
   body if that is at hand. */
static enum write_state
batch_next(struct session *s)
{
    struct turn *turn = s->turn;
    const struct turn_out *out = &turn->out;

    MUST_OBJ(turn, TURN_MAGIC);
    if (out->data_left == 0 && !out->is_last && batch_make(turn) != RC_OK) {
        return WRITTEN_NO_FURTHER;
    }
    if (out->left > 0) {
        return WRITTEN_PART;
    }
    return out->is_last ? WRITTEN_ALL : WRITTEN_SO_FAR;
}

enum write_state
session_write(struct session *s)
{
    enum rc rc = RC_OK;

    MUST_OBJ(s, SESSION_MAGIC);
    MUST(s->state == SESSION_BUSY);
    MUST(s->turn->out.response != NULL);
    for (int i = 0; i < WRITES_PER_TURN && rc == RC_OK; i++) {
        enum write_state state = batch_next(s);
        if (s->turn->begun.n > 0 && !skip_begun(s->turn)) {
            return WRITTEN_NO_FURTHER;
        }
        if (state == WRITTEN_SO_FAR) {
            wait_for_source(s);
        }
        if (state != WRITTEN_PART) {
            return state;
        }
        rc = batch_write(s);
    }
    if (rc != RC_OK && rc != RC_AGAIN) {
        return WRITTEN_NO_FURTHER;
    }
    wait_for_client(s);
    return WRITTEN_PART;
}
