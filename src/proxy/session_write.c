/*
 * Writing answers: framing (RFC 9112 6, 7.1) around what the request brings.
 *
 * An answer leaves in batches of [pre][data][post]: the first pre is the
 * head; with chunked coding each further batch's pre is a size line, and
 * the last one's post the last chunk. All of a batch goes into one writev
 * when the socket takes it. The data is never copied: it is written from
 * the entry or the fill, and the fill is told when it has left.
 */
#include "proxy/session.h"

#include "nearside/http/write.h"

enum {
    IOV_MAX_OWN = 16,
    HEAD_LINES_MAX = 256,
    WRITES_PER_TURN = 8,
};

/* --- the head ---------------------------------------------------------- */

static bool
is_chunked(struct session *s, const struct response *response)
{
    return response->has_body && !response->has_length &&
           s->request->head.minor >= 1;
}

static void
write_framing(
    struct session *s, struct writer *w, const struct response *response)
{
    const struct head *head = &s->request->head;

    if (s->out.is_chunked) {
        write_slice(w, SLICE("transfer-encoding: chunked\r\n"));
    } else if (response->has_length && response->status != 204 &&
               response->status >= 200) {
        write_field_u64(w, SLICE("content-length"), response->length);
    }
    if (s->must_close) {
        write_slice(w, SLICE("connection: close\r\n"));
    } else if (head->minor == 0) {
        write_slice(w, SLICE("connection: keep-alive\r\n"));
    }
    write_end(w);
}

/* An answer of known length whose source is at hand and whole cannot come
   up short; any other is watched by length_left. */
void
stream_respond(struct stream *stream, const struct response *response)
{
    struct session *s = CONTAINER_OF(stream, struct session, stream);
    struct session_out *out = &s->out;
    char *text;
    struct writer w;

    MUST_OBJ(s, SESSION_MAGIC);
    if (s->state != SESSION_BUSY) {
        return;
    }
    text = arena_alloc(&s->request->arena, HEAD_LINES_MAX);
    if (text == NULL) {
        session_end(s, true);
        return;
    }
    out->is_active = true;
    out->is_chunked = is_chunked(s, response);
    out->is_close =
        response->has_body && !response->has_length && !out->is_chunked;
    out->has_body = response->has_body;
    out->has_sent_last = !out->is_chunked;
    out->is_first_chunk = true;
    out->length_left =
        response->has_body && response->has_length ? response->length : 0;
    out->body_sent = 0;
    out->data_left = 0;
    out->post = slice_of(NULL, 0);
    out->waited_ms = 0;
    out->wait_since_ms = 0;
    s->must_close = s->must_close || response->must_close || out->is_close ||
                    s->in.state != BODY_NONE || s->worker->is_draining;
    w = writer_of(text, HEAD_LINES_MAX);
    write_status_line(&w, response->status);
    out->pre[0] = out->interim;
    out->pre[1] = writer_slice(&w);
    out->pre[2] = response->fields;
    out->pre[3] = response->extra;
    w = writer_of(text + w.len, HEAD_LINES_MAX - w.len);
    write_framing(s, &w, response);
    out->pre[4] = writer_slice(&w);
    out->pre_len = 5;
    out->interim = slice_of(NULL, 0);
    MUST(!w.is_full);
    loop_defer(s->worker->loop, &s->flush);
}

/* What is not on the wire yet follows as soon as may be, before the final
   answer's head at the latest. */
static void
keep_interim(
    struct session *s, const struct iovec iov[3], size_t sent, size_t len)
{
    char *text = arena_alloc(&s->request->arena, len - sent);
    struct writer w = writer_of(text, len - sent);

    if (text == NULL) {
        session_end(s, true);
        return;
    }
    for (int i = 0; i < 3; i++) {
        struct slice part = slice_of(iov[i].iov_base, iov[i].iov_len);
        size_t skipped = sent < part.len ? sent : part.len;

        write_slice(&w, slice_skip(part, skipped));
        sent -= skipped;
    }
    s->out.interim = writer_slice(&w);
    conn_want_write(s->conn, true);
}

void
stream_interim(struct stream *stream, unsigned status, struct slice fields)
{
    struct session *s = CONTAINER_OF(stream, struct session, stream);
    char text[HEAD_LINES_MAX];
    struct writer w = writer_of(text, sizeof(text));
    struct iovec iov[3];
    size_t n = 0;
    size_t len;
    enum rc rc;

    MUST_OBJ(s, SESSION_MAGIC);
    if (s->state != SESSION_BUSY || s->out.is_active ||
        s->out.interim.len > 0 || s->request->head.minor == 0) {
        return;
    }
    write_status_line(&w, status);
    iov[0] = (struct iovec){text, w.len};
    iov[1] = (struct iovec){(char *)(uintptr_t)fields.ptr, fields.len};
    iov[2] = (struct iovec){(char *)(uintptr_t) "\r\n", 2};
    len = w.len + fields.len + 2;
    rc = conn_writev(s->conn, iov, 3, &n);
    /* Without a hint a client can do; for 100 it waits. */
    if ((rc == RC_OK && n < len) || (rc == RC_AGAIN && status == 100)) {
        keep_interim(s, iov, rc == RC_OK ? n : 0, len);
    }
}

void
session_write_interim(struct session *s)
{
    struct slice *left = &s->out.interim;
    struct iovec iov = {(char *)(uintptr_t)left->ptr, left->len};
    size_t n = 0;
    enum rc rc = conn_writev(s->conn, &iov, 1, &n);

    if (rc != RC_OK && rc != RC_AGAIN) {
        session_end(s, true);
        return;
    }
    *left = slice_skip(*left, rc == RC_OK ? n : 0);
    conn_want_write(s->conn, left->len > 0);
}

/* --- batches ----------------------------------------------------------- */

static struct source *
source_of_answer(struct session *s)
{
    return s->request->response.source;
}

static uint64_t
iov_total(const struct iovec *iov, int count)
{
    uint64_t total = 0;

    for (int i = 0; i < count; i++) {
        total += iov[i].iov_len;
    }
    return total;
}

static void
batch_last_chunk(struct session_out *out)
{
    out->post = out->is_first_chunk && out->data_left == 0
                    ? SLICE("0\r\n\r\n")
                    : SLICE("\r\n0\r\n\r\n");
    out->has_sent_last = true;
}

/* A size line before the next data; the CRLF behind the last data comes
   with it. Takes the next free place in pre. */
static void
batch_size_line(struct session_out *out)
{
    size_t at = 0;

    if (!out->is_first_chunk) {
        out->line[0] = '\r';
        out->line[1] = '\n';
        at = 2;
    }
    out->is_first_chunk = false;
    at += chunk_write_line(out->line + at, out->data_left);
    out->size_line = slice_of(out->line, at);
}

/* The source holds nothing: wait, say that this was the last, or end. */
static enum rc
batch_make_empty(struct session_out *out, enum source_state state)
{
    if (state == SOURCE_MORE) {
        return RC_AGAIN;
    }
    if (out->has_sent_last) {
        return out->length_left > 0 ? RC_IO : RC_CLOSED;
    }
    batch_last_chunk(out);
    return RC_OK;
}

/*
 * Makes the next batch of what the source holds now. RC_AGAIN: it holds
 * nothing yet. RC_CLOSED: everything is out. RC_IO: it failed.
 */
static enum rc
batch_make(struct session *s)
{
    struct session_out *out = &s->out;
    struct iovec iov[IOV_MAX_OWN];
    enum source_state state;
    uint64_t ready;

    if (!out->has_body) {
        return RC_CLOSED;
    }
    state = source_state(source_of_answer(s));
    if (state == SOURCE_FAILED) {
        return RC_IO;
    }
    ready = iov_total(iov, source_peek(source_of_answer(s), iov, IOV_MAX_OWN));
    if (ready == 0) {
        return batch_make_empty(out, state);
    }
    if (!out->is_chunked && !out->is_close) {
        if (ready > out->length_left) {
            return RC_IO;
        }
        out->length_left -= ready;
    }
    out->data_left = ready;
    if (out->is_chunked) {
        batch_size_line(out);
        if (state == SOURCE_END && ready == source_left(source_of_answer(s))) {
            batch_last_chunk(out);
        }
    }
    return RC_OK;
}

static int
push(struct iovec *iov, int count, struct slice s)
{
    if (s.len == 0) {
        return count;
    }
    iov[count].iov_base = (char *)(uintptr_t)s.ptr;
    iov[count].iov_len = s.len;
    return count + 1;
}

/* What is left of the batch, as far as iov goes. */
static int
batch_iov(struct session *s, struct iovec iov[2 * IOV_MAX_OWN])
{
    struct session_out *out = &s->out;
    uint64_t left = out->data_left;
    int count = 0;

    for (unsigned i = 0; i < out->pre_len; i++) {
        count = push(iov, count, out->pre[i]);
    }
    count = push(iov, count, out->size_line);
    if (left > 0) {
        struct iovec data[IOV_MAX_OWN];
        int n = source_peek(source_of_answer(s), data, IOV_MAX_OWN);
        for (int i = 0; i < n && left > 0; i++) {
            size_t len =
                data[i].iov_len < left ? data[i].iov_len : (size_t)left;
            count = push(iov, count, slice_of(data[i].iov_base, len));
            left -= len;
        }
    }
    return left > 0 ? count : push(iov, count, out->post);
}

static size_t
eat(struct slice *s, size_t n)
{
    size_t part = n < s->len ? n : s->len;

    *s = slice_skip(*s, part);
    return n - part;
}

static void
batch_consume(struct session *s, size_t n)
{
    struct session_out *out = &s->out;
    size_t data;

    for (unsigned i = 0; i < out->pre_len; i++) {
        n = eat(&out->pre[i], n);
    }
    if (out->pre_len > 0 && out->pre[out->pre_len - 1].len == 0) {
        out->pre_len = 0;
    }
    n = eat(&out->size_line, n);
    data = n < out->data_left ? n : (size_t)out->data_left;
    if (data > 0) {
        source_advance(source_of_answer(s), data);
        out->data_left -= data;
        out->body_sent += data;
    }
    eat(&out->post, n - data);
}

static bool
batch_is_done(const struct session_out *out)
{
    return out->pre_len == 0 && out->size_line.len == 0 &&
           out->data_left == 0 && out->post.len == 0;
}

/* --- writing ----------------------------------------------------------- */

static void
answer_failed(struct session *s)
{
    if (source_of_answer(s)->reader.is_cut) {
        worker_count_limit(s->worker, LIMIT_READER_CUT);
    }
    session_end(s, true);
}

static void
on_source(void *ctx)
{
    struct session *s = OBJ_OF(struct session, ctx, SESSION_MAGIC);

    if (s->state != SESSION_BUSY || !s->out.is_active) {
        return;
    }
    /* A reader that was cut must not wait for the rest of its batch. */
    if (source_state(source_of_answer(s)) == SOURCE_FAILED) {
        answer_failed(s);
        return;
    }
    session_write(s);
}

/* Writes the batch. RC_OK: all of it. RC_AGAIN: the socket is full. */
static enum rc
batch_write(struct session *s)
{
    struct iovec iov[2 * IOV_MAX_OWN];
    size_t n = 0;
    enum rc rc;

    rc = conn_writev(s->conn, iov, batch_iov(s, iov), &n);
    if (rc == RC_OK) {
        batch_consume(s, n);
        rc = batch_is_done(&s->out) ? RC_OK : RC_AGAIN;
    }
    return rc;
}

/* All that there was has left. */
static void
session_waits_no_more(struct session *s)
{
    struct session_out *out = &s->out;

    if (out->wait_since_ms > 0) {
        out->waited_ms += loop_now_ms(s->worker->loop) - out->wait_since_ms;
        out->wait_since_ms = 0;
    }
}

static void
session_wait_writable(struct session *s)
{
    conn_want_write(s->conn, true);
    if (s->out.wait_since_ms == 0) {
        s->out.wait_since_ms = loop_now_ms(s->worker->loop);
    }
    s->out.gap_deadline_ms = loop_now_ms(s->worker->loop) +
                             s->worker->proxy->opts.limits.send_timeout_ms;
    session_arm(s);
    request_hold(s->request);
}

void
session_write(struct session *s)
{
    enum rc rc = RC_OK;

    for (int i = 0; i < WRITES_PER_TURN; i++) {
        /* The head waits for the first of the body if that is near. */
        if (batch_is_done(&s->out) || s->out.pre_len > 0) {
            enum rc made = s->out.data_left > 0 || s->out.post.len > 0
                               ? RC_OK
                               : batch_make(s);
            if (made == RC_CLOSED && s->out.pre_len == 0) {
                session_answered(s);
                return;
            }
            if (made == RC_IO) {
                answer_failed(s);
                return;
            }
            if (made == RC_AGAIN && s->out.pre_len == 0) {
                session_waits_no_more(s);
                session_arm(s);
                source_await(source_of_answer(s), on_source, s);
                return;
            }
        }
        rc = batch_write(s);
        if (rc != RC_OK) {
            break;
        }
    }
    if (rc == RC_OK || rc == RC_AGAIN) {
        session_wait_writable(s);
    } else {
        session_end(s, true);
    }
}
