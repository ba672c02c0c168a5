/*
 * The request's way out.
 *
 *     | request.head | tail | out | (a large piece of content, uncopied) |
 *       borrowed       framing  framed content that waits
 *
 * All that waits goes in one writev. Small content is copied behind what
 * waits and goes at the turn's end, together with the head, the next piece
 * and the last chunk; large content is written from where it lies, and only
 * what the socket does not take is copied.
 *
 * A write that fails does not end the exchange: the other side may have
 * answered before it closed, and the next read shows that. From then on
 * nothing is taken or written.
 */
#include "origin/exchange_inside.h"
#include "nearside/http/write.h"

enum {
    /* From here on a copy costs more than a system call of its own. */
    SEND_DIRECT_MIN = 16 * 1024,
    /* Kept free in `out` for a chunk's line and end and the last chunk. */
    SEND_FRAME_MAX = CHUNK_LINE_MAX + 2 + 5,
    SEND_IOV_MAX = 6,
};

/* What goes out in one call, and how far each piece counts. */
struct load {
    struct iovec iov[SEND_IOV_MAX];
    int count;
    size_t total;
};

static void
load_add(struct load *load, struct slice s)
{
    if (s.len > 0) {
        MUST(load->count < SEND_IOV_MAX);
        load->iov[load->count].iov_base = (void *)(uintptr_t)s.ptr;
        load->iov[load->count].iov_len = s.len;
        load->count++;
        load->total += s.len;
    }
}

/* --- framing ----------------------------------------------------------- */

/* With these methods content has a meaning: its absence is stated, too (RFC
   9110 8.6). */
static bool
is_empty_stated(enum method method)
{
    return method == METHOD_POST || method == METHOD_PUT ||
           method == METHOD_PATCH;
}

static bool
has_content(const struct exchange_request *request)
{
    return request->framing == FRAMING_CHUNKED ||
           (request->framing == FRAMING_LENGTH && request->content_length > 0);
}

/*
 * May the connection be used again, as far as the request goes? An origin that
 * answers without reading the content takes it for its next request, and with
 * some methods hardly any origin reads it. An origin that sends content with
 * HEAD does so when the next request is on its way. That request may be
 * another client's; so the operator has to vouch for the origin.
 */
static bool
is_last(const struct exchange *x)
{
    bool is_vouched = x->pool->group->opts.reuse_after_body;

    if (has_content(&x->request)) {
        return !is_vouched || !is_empty_stated(x->request.method);
    }
    return !is_vouched && x->request.method == METHOD_HEAD;
}

void
exchange_frame(struct exchange *x)
{
    const struct exchange_request *request = &x->request;
    struct writer w = writer_of(x->tail, sizeof(x->tail));

    MUST(x->lead_done == 0);
    x->content_left = 0;
    x->is_content_over = true;
    switch (request->framing) {
    case FRAMING_NONE:
        if (is_empty_stated(request->method)) {
            write_field_u64(&w, SLICE("content-length"), 0);
        }
        break;
    case FRAMING_LENGTH:
        write_field_u64(&w, SLICE("content-length"), request->content_length);
        x->content_left = request->content_length;
        x->is_content_over = request->content_length == 0;
        break;
    case FRAMING_CHUNKED:
        write_slice(&w, SLICE("transfer-encoding: chunked\r\n"));
        x->is_content_over = false;
        break;
    case FRAMING_CLOSE:
        break;
    }
    if (request->expects_100) {
        MUST(!x->is_content_over);
        write_slice(&w, SLICE("expect: 100-continue\r\n"));
    }
    x->is_last = is_last(x);
    if (x->is_last) {
        write_slice(&w, SLICE("connection: close\r\n"));
    }
    write_end(&w);
    MUST(!w.is_full);
    x->tail_len = w.len;
}

void
exchange_rewind(struct exchange *x)
{
    MUST(x->conn == NULL);
    x->lead_done = 0;
    x->sent_us = 0;
    x->complete_us = 0;
    x->is_blocked = false;
    x->is_broken = false;
    x->is_read_full = false;
}

/* --- writing ----------------------------------------------------------- */

static size_t
lead_len(const struct exchange *x)
{
    return x->request.head.len + x->tail_len;
}

static bool
is_all_written(const struct exchange *x)
{
    return x->lead_done == lead_len(x) && buf_len(&x->out) == 0;
}

static void
load_waiting(const struct exchange *x, struct load *load)
{
    size_t head_len = x->request.head.len;

    if (x->lead_done < head_len) {
        load_add(load, slice_skip(x->request.head, x->lead_done));
        load_add(load, slice_of(x->tail, x->tail_len));
    } else if (x->lead_done < lead_len(x)) {
        load_add(load, slice_skip(slice_of(x->tail, x->tail_len),
                           x->lead_done - head_len));
    }
    load_add(load, buf_slice(&x->out));
}

/* Counts n bytes as written; returns how many lie beyond what waited. */
static size_t
count_written(struct exchange *x, size_t n)
{
    size_t part = lead_len(x) - x->lead_done;

    MUST(x->lead_done <= lead_len(x));
    part = n < part ? n : part;
    x->lead_done += part;
    n -= part;
    part = n < buf_len(&x->out) ? n : buf_len(&x->out);
    buf_consume(&x->out, part);
    return n - part;
}

static void
note_sent(struct exchange *x)
{
    int64_t now_us = clock_now_us(loop_clock(x->pool->loop));

    if (x->sent_us == 0) {
        x->sent_us = now_us;
    }
    x->moved_ms = now_us / 1000;
}

static void
note_state(struct exchange *x, bool is_blocked)
{
    if (x->is_blocked != is_blocked) {
        x->is_blocked = is_blocked;
        conn_want_write(x->conn->conn, is_blocked);
    }
    if (x->complete_us == 0 && !x->is_broken && !is_blocked &&
        x->is_content_over && is_all_written(x)) {
        x->complete_us = clock_now_us(loop_clock(x->pool->loop));
    }
    exchange_touch(x);
}

/* Writes a load that begins with all that waits; returns how many bytes
   beyond that went out. */
static size_t
load_write(struct exchange *x, const struct load *load)
{
    size_t written = 0;
    size_t beyond = 0;
    enum rc rc = conn_writev(x->conn->conn, load->iov, load->count, &written);

    if (rc == RC_OK) {
        beyond = count_written(x, written);
        note_sent(x);
    }
    x->is_broken = rc != RC_OK && rc != RC_AGAIN;
    note_state(x, rc == RC_AGAIN || (rc == RC_OK && written < load->total));
    return beyond;
}

void
exchange_write(struct exchange *x)
{
    struct load load = {.count = 0};

    MUST(x->conn != NULL);
    if (x->is_broken) {
        return;
    }
    load_waiting(x, &load);
    if (load.count > 0) {
        load_write(x, &load);
    } else {
        note_state(x, false);
    }
}

void
exchange_drained(struct exchange *x)
{
    if (exchange_is_over(x) || !x->is_drain_due || x->is_broken ||
        x->conn == NULL || !is_all_written(x)) {
        return;
    }
    x->is_drain_due = false;
    x->callbacks->on_drain(x->ctx);
}

void
exchange_on_writable(void *ctx)
{
    struct exchange *x = OBJ_OF(struct exchange, ctx, EXCHANGE_MAGIC);

    exchange_write(x);
    exchange_drained(x);
}

/* --- content ----------------------------------------------------------- */

/* One piece of content with its framing. */
struct piece {
    char line[CHUNK_LINE_MAX];
    struct slice parts[3]; /* chunk line, data, CRLF; or data alone */
    size_t total;
};

static void
piece_make(struct piece *piece, enum framing framing, struct slice data)
{
    bool is_chunk = framing == FRAMING_CHUNKED;

    piece->parts[0] = slice_of(
        piece->line, is_chunk ? chunk_write_line(piece->line, data.len) : 0);
    piece->parts[1] = data;
    piece->parts[2] = is_chunk ? SLICE("\r\n") : slice_of("", 0);
    piece->total = piece->parts[0].len + data.len + piece->parts[2].len;
}

/* Copies what lies behind the first `skip` bytes; there is room. */
static void
piece_copy(struct exchange *x, const struct piece *piece, size_t skip)
{
    for (size_t i = 0; i < ARRAY_LEN(piece->parts); i++) {
        struct slice part = piece->parts[i];
        size_t cut = skip < part.len ? skip : part.len;
        enum rc rc = buf_append(&x->out, slice_skip(part, cut));
        MUST(rc == RC_OK);
        skip -= cut;
    }
}

static size_t
room_of(const struct exchange *x)
{
    size_t waiting = buf_len(&x->out) + SEND_FRAME_MAX;

    return waiting < SEND_MAX ? SEND_MAX - waiting : 0;
}

/* Takes a piece that fits; false: no memory. */
static bool
piece_send(struct exchange *x, struct slice data)
{
    struct load load = {.count = 0};
    struct piece piece;
    size_t written = 0;

    piece_make(&piece, x->request.framing, data);
    if (buf_reserve(&x->out, piece.total) == NULL) {
        return false;
    }
    x->has_content = true;
    if (x->request.framing == FRAMING_LENGTH) {
        x->content_left -= data.len;
        x->is_content_over = x->content_left == 0;
    }
    if (data.len < SEND_DIRECT_MIN || x->conn == NULL || x->is_blocked) {
        piece_copy(x, &piece, 0);
        loop_defer(x->pool->loop, &x->task);
        return true;
    }
    load_waiting(x, &load);
    for (size_t i = 0; i < ARRAY_LEN(piece.parts); i++) {
        load_add(&load, piece.parts[i]);
    }
    written = load_write(x, &load);
    piece_copy(x, &piece, written);
    return true;
}

static bool
can_take(const struct exchange *x)
{
    return !exchange_is_over(x) && x->state != EXCHANGE_FAILING &&
           x->state != EXCHANGE_QUEUE && !x->is_broken;
}

void
exchange_send(struct exchange *x, struct slice data, size_t *out_taken)
{
    size_t taken = 0;

    MUST_OBJ(x, EXCHANGE_MAGIC);
    while (can_take(x) && taken < data.len) {
        size_t n = data.len - taken;
        size_t room = room_of(x);

        MUST(!x->is_content_over);
        n = n < room ? n : room;
        MUST(x->request.framing != FRAMING_LENGTH || n <= x->content_left);
        if (n == 0) {
            break;
        }
        if (!piece_send(x, slice_of(data.ptr + taken, n))) {
            exchange_fail_later(x, ORIGIN_ERROR_NOMEM);
            break;
        }
        taken += n;
    }
    /* Should a fresh connection replace a broken one, it will have room. */
    x->is_drain_due = x->is_drain_due || taken < data.len;
    *out_taken = taken;
}

void
exchange_send_end(struct exchange *x)
{
    MUST_OBJ(x, EXCHANGE_MAGIC);
    /* Of a broken connection too: the next one begins with what there is. */
    if (exchange_is_over(x) || x->state == EXCHANGE_FAILING) {
        return;
    }
    MUST(x->content_left == 0);
    if (x->request.framing == FRAMING_CHUNKED && !x->is_content_over) {
        if (buf_append(&x->out, SLICE("0\r\n\r\n")) != RC_OK) {
            exchange_fail_later(x, ORIGIN_ERROR_NOMEM);
            return;
        }
    }
    x->is_content_over = true;
    if (x->conn != NULL && !x->is_blocked && !x->is_broken) {
        exchange_write(x);
    }
}
