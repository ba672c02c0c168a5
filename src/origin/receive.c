/*
 * The response's way in.
 *
 * Laws. One read a turn and connection: a fast origin does not starve the
 * others. After every callback the exchange may be over, and then nothing of
 * it is touched.
 *
 * When a pause comes in chunked content, the decoder has eaten more than the
 * reader took. It is set back to before the run and fed again up to the last
 * byte taken; what follows stays in the buffer as it came.
 */
#include "origin/exchange_inside.h"

enum {
    /* What parse.h has as the status for what is beyond its limits. */
    STATUS_TOO_LARGE = 431,
};

/* --- heads ------------------------------------------------------------- */

static void
interim(struct exchange *x, const struct head *head, size_t head_len)
{
    MUST(x->state == EXCHANGE_HEAD);
    if (head->status == 101) {
        exchange_fail(x, ORIGIN_ERROR_UPGRADE);
        return;
    }
    x->interims++;
    if (x->interims > INTERIM_MAX) {
        exchange_fail(x, ORIGIN_ERROR_INTERIM);
        return;
    }
    x->is_continued = x->is_continued || head->status == 100;
    if (head->status != 100 || x->request.expects_100) {
        x->callbacks->on_interim(x->ctx, head);
        if (exchange_is_over(x)) {
            return;
        }
    }
    buf_consume(&x->in, head_len);
    parse_start(&x->parse);
}

static void
final(struct exchange *x, const struct head *head, size_t head_len)
{
    MUST(x->state == EXCHANGE_HEAD);
    MUST(x->conn != NULL);
    x->state = EXCHANGE_BODY;
    x->framing = head->framing;
    x->body_left = head->content_length;
    x->is_keep_alive = head->is_keep_alive;
    x->is_early = !exchange_is_sent(x);
    /* The loan of the request's head ends here: none of it goes out after. */
    if (x->lead_done < x->request.head.len) {
        x->is_broken = true;
    }
    chunk_start(&x->chunk);
    x->callbacks->on_head(x->ctx, head);
    if (!exchange_is_over(x)) {
        buf_consume(&x->in, head_len);
    }
}

static void
receive_heads(struct exchange *x)
{
    while (x->state == EXCHANGE_HEAD && buf_len(&x->in) > 0) {
        struct head *head = &x->pool->head;
        size_t head_len = 0;
        enum rc rc = parse_response(&x->parse, &x->pool->group->parsing,
            x->request.method, buf_slice(&x->in), head, &head_len);

        if (rc == RC_AGAIN) {
            return;
        }
        if (rc != RC_OK) {
            exchange_fail(x, fault_status(x->parse.fault) == STATUS_TOO_LARGE
                                 ? ORIGIN_ERROR_HEAD_SIZE
                                 : ORIGIN_ERROR_HEAD);
            return;
        }
        if (head->status < 200) {
            interim(x, head, head_len);
        } else {
            final(x, head, head_len);
        }
    }
}

/* --- content ----------------------------------------------------------- */

static void
hold(struct exchange *x)
{
    MUST(x->state == EXCHANGE_BODY);
    MUST(!x->is_paused);
    x->is_paused = true;
    conn_want_read(x->conn->conn, false);
}

/* Offers data; false: the exchange is over. */
static bool
offer(struct exchange *x, struct slice data, size_t *out_taken)
{
    *out_taken = 0;
    if (data.len > 0) {
        *out_taken = x->callbacks->on_body(x->ctx, data);
        MUST(*out_taken <= data.len);
    }
    return !exchange_is_over(x);
}

/* Content that is told by no more than its number of bytes. */
static void
receive_plain(struct exchange *x)
{
    struct slice in = buf_slice(&x->in);
    size_t taken;

    if (x->framing == FRAMING_LENGTH && in.len > x->body_left) {
        in.len = (size_t)x->body_left;
    }
    if (!offer(x, in, &taken)) {
        return;
    }
    buf_consume(&x->in, taken);
    if (x->framing == FRAMING_LENGTH) {
        x->body_left -= taken;
    }
    if (taken < in.len) {
        hold(x);
    }
}

/* Decodes again, from where `before` stood, all up to the bytes taken. */
static void
chunk_step_back(struct exchange *x, const struct chunk *before,
    struct slice data, size_t taken)
{
    struct slice in = buf_slice(&x->in);
    struct slice again;
    size_t eaten = 0;
    enum rc rc;

    in.len = (size_t)(data.ptr - in.ptr) + taken;
    x->chunk = *before;
    if (in.len > 0) {
        rc = chunk_decode(&x->chunk, in, &eaten, &again);
        MUST(rc == RC_AGAIN);
        MUST(eaten == in.len);
    }
    buf_consume(&x->in, in.len);
    hold(x);
}

static void
receive_chunked(struct exchange *x)
{
    const struct chunk before = x->chunk;
    struct slice data = {NULL, 0};
    size_t eaten = 0;
    size_t taken;
    enum rc rc = chunk_decode(&x->chunk, buf_slice(&x->in), &eaten, &data);

    if (rc != RC_OK && rc != RC_AGAIN) {
        exchange_fail(x, ORIGIN_ERROR_BODY);
        return;
    }
    if (!offer(x, data, &taken)) {
        return;
    }
    if (taken < data.len) {
        chunk_step_back(x, &before, data, taken);
        return;
    }
    buf_consume(&x->in, eaten);
    if (rc == RC_OK) {
        exchange_finish(x);
    }
}

static bool
is_body_over(const struct exchange *x)
{
    return x->framing == FRAMING_NONE ||
           (x->framing == FRAMING_LENGTH && x->body_left == 0);
}

static void
receive_body(struct exchange *x)
{
    while (x->state == EXCHANGE_BODY && !x->is_paused) {
        MUST(x->conn != NULL);
        if (is_body_over(x)) {
            exchange_finish(x);
            return;
        }
        if (buf_len(&x->in) == 0) {
            return;
        }
        if (x->framing == FRAMING_CHUNKED) {
            receive_chunked(x);
        } else {
            receive_plain(x);
        }
    }
}

/* --- events ------------------------------------------------------------ */

static void
receive(struct exchange *x)
{
    receive_heads(x);
    receive_body(x);
    if (!exchange_is_over(x)) {
        exchange_in_return(x);
        exchange_touch(x);
    }
}

static void
note_first_byte(struct exchange *x)
{
    const struct origin_pool *pool = x->pool;

    if (x->has_answered) {
        return;
    }
    x->has_answered = true;
    if (exchange_is_sent(x) && pool->block != NULL) {
        metric_observe_us(pool->block, pool->group->metrics.first_byte,
            clock_now_us(loop_clock(pool->loop)) - x->complete_us);
    }
}

/* The end of input, or an error. */
static void
receive_end(struct exchange *x, enum rc rc)
{
    if (x->state == EXCHANGE_BODY) {
        /* A reset is no end: what came before it may be cut (RFC 9112 8). */
        if (x->framing == FRAMING_CLOSE && rc == RC_CLOSED) {
            exchange_finish(x);
        } else {
            exchange_fail(x, ORIGIN_ERROR_TRUNCATED);
        }
        return;
    }
    if (!x->has_answered) {
        exchange_reconnect(
            x, x->is_broken ? ORIGIN_ERROR_WRITE : ORIGIN_ERROR_CLOSED);
        return;
    }
    exchange_fail(
        x, buf_len(&x->in) > 0 ? ORIGIN_ERROR_TRUNCATED : ORIGIN_ERROR_CLOSED);
}

/* Was this here before the request was sent? Then it answers nothing. */
static bool
is_untimely(const struct exchange *x)
{
    /* The clock stands still for a turn, and what is readable in the turn
       of the sending was readable when the turn began. */
    return !x->has_answered &&
           (x->sent_us == 0 ||
               (x->conn->is_reused &&
                   x->sent_us == clock_now_us(loop_clock(x->pool->loop))));
}

void
exchange_on_readable(void *ctx)
{
    struct exchange *x = OBJ_OF(struct exchange, ctx, EXCHANGE_MAGIC);
    char *place;
    size_t cap;
    size_t n = 0;
    enum rc rc;

    MUST(x->state == EXCHANGE_HEAD || x->state == EXCHANGE_BODY);
    if (is_untimely(x)) {
        exchange_reconnect(x, ORIGIN_ERROR_CLOSED);
        return;
    }
    place = exchange_in_place(x, &cap);
    if (place == NULL) {
        exchange_fail(x, ORIGIN_ERROR_NOMEM);
        return;
    }
    rc = conn_read(x->conn->conn, place, cap, &n);
    if (rc == RC_AGAIN) {
        exchange_in_return(x);
        return;
    }
    if (rc != RC_OK) {
        receive_end(x, rc);
        return;
    }
    buf_commit(&x->in, n);
    x->is_read_full = n == cap;
    x->moved_ms = loop_now_ms(x->pool->loop);
    note_first_byte(x);
    receive(x);
}

void
exchange_unpause(struct exchange *x)
{
    MUST_OBJ(x, EXCHANGE_MAGIC);
    MUST(x->is_resumed);
    x->is_resumed = false;
    if (!x->is_paused) {
        return;
    }
    x->is_paused = false;
    x->moved_ms = loop_now_ms(x->pool->loop);
    receive(x);
    if (!exchange_is_over(x) && !x->is_paused) {
        conn_want_read(x->conn->conn, true);
    }
}
