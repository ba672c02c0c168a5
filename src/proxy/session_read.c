/*
 * Reading: heads, content, and what comes when nobody wants it.
 *
 * A head is read into its request's own buffer and stays there, unmoved,
 * for as long as the request lives. What follows it is read elsewhere, into
 * s->more: content to be decoded, or the next head, one read ahead.
 */
#include "proxy/session.h"

enum {
    HEAD_READ = 4096,
    BODY_READ = 16384,
    DRAIN_READ = 4096,
};

/* --- heads ------------------------------------------------------------- */

static struct parse_opts
parse_opts_of(const struct proxy *proxy)
{
    const struct proxy_limits *limits = &proxy->opts.limits;

    return (struct parse_opts){
        .head_max = limits->head_max,
        .target_max = limits->target_max,
        .field_max = limits->field_max,
        .name_max = limits->field_name_max,
        .fields_max = limits->fields_max,
        .default_host = slice_of_str(proxy->opts.default_host),
    };
}

static void
count_size(struct worker *worker, enum parse_fault fault)
{
    switch ((int)fault) {
    case FAULT_HEAD_LONG:
        worker_count_limit(worker, LIMIT_HEAD_SIZE);
        break;
    case FAULT_FIELD_LONG:
        worker_count_limit(worker, LIMIT_FIELD_SIZE);
        break;
    case FAULT_NAME_LONG:
        worker_count_limit(worker, LIMIT_FIELD_NAME_SIZE);
        break;
    case FAULT_FIELDS_MANY:
        worker_count_limit(worker, LIMIT_FIELDS);
        break;
    case FAULT_TARGET_LONG:
        worker_count_limit(worker, LIMIT_TARGET_SIZE);
        break;
    default:
        break;
    }
}

static void
session_refuse(struct session *s)
{
    enum parse_fault fault = s->request->parse.fault;
    unsigned status = fault_status(fault);

    count_size(s->worker, fault);
    s->state = SESSION_BUSY;
    s->must_close = true;
    s->in = (struct session_in){.state = BODY_WAITING};
    session_wants(s);
    request_refuse(s->request, status, fault_text(fault));
}

/* The head is there: how does its content come? */
static void
session_begin(struct session *s, size_t head_len)
{
    const struct proxy_limits *limits = &s->worker->proxy->opts.limits;
    struct request *r = s->request;
    const struct head *head = &r->head;

    s->state = SESSION_BUSY;
    s->requests++;
    s->must_close = s->must_close || !head->is_keep_alive;
    if (limits->requests_per_connection > 0 &&
        s->requests >= limits->requests_per_connection) {
        worker_count_limit(s->worker, LIMIT_REQUESTS);
        s->must_close = true;
    }
    r->has_body = head->framing == FRAMING_CHUNKED ||
                  (head->framing == FRAMING_LENGTH && head->content_length > 0);
    s->in = (struct session_in){
        .state = r->has_body ? BODY_WAITING : BODY_NONE,
        .framing = head->framing,
        .left = head->content_length,
        .rest = slice_skip(buf_slice(&r->in), head_len),
    };
    chunk_start(&s->in.chunk);
    s->out.body_sent = 0;
    s->out.interim = slice_of(NULL, 0);
    session_wants(s);
    loop_timer_cancel(&s->timer);
    request_start(r);
}

void
session_read_head(struct session *s)
{
    const struct parse_opts opts = parse_opts_of(s->worker->proxy);
    struct request *r = s->request;
    size_t head_len;
    enum rc rc;

    MUST(s->state == SESSION_HEAD);
    rc =
        parse_request(&r->parse, &opts, buf_slice(&r->in), &r->head, &head_len);
    if (rc == RC_OK) {
        session_begin(s, head_len);
    } else if (rc != RC_AGAIN) {
        session_refuse(s);
    } else if (s->is_eof) {
        /* Half a head and no more to come: nothing to answer. */
        session_end(s, false);
    }
}

/* --- the socket -------------------------------------------------------- */

/* Reads up to n bytes behind b's end. */
static enum rc
read_into(struct session *s, struct buf *b, size_t n)
{
    char *room = buf_reserve(b, n);
    size_t got;
    enum rc rc;

    if (room == NULL) {
        return RC_NOMEM;
    }
    rc = conn_read(s->conn, room, n, &got);
    if (rc == RC_OK) {
        buf_commit(b, got);
    }
    return rc;
}

static void
read_first(struct session *s)
{
    struct request *r = request_take(s->worker, &s->stream);
    enum rc rc;

    if (r == NULL) {
        worker_count_limit(s->worker, LIMIT_MEMORY);
        session_end(s, true);
        return;
    }
    rc = read_into(s, &r->in, HEAD_READ);
    if (rc != RC_OK) {
        r->stream = NULL;
        request_unref(&r);
        if (rc != RC_AGAIN) {
            session_end(s, false);
        }
        return;
    }
    s->request = r;
    s->state = SESSION_HEAD;
    session_place(s, &s->worker->sessions);
    session_read_head(s);
    if (s->state == SESSION_HEAD) {
        session_arm(s);
    }
}

static void
read_head(struct session *s)
{
    enum rc rc = read_into(s, &s->request->in, HEAD_READ);

    switch ((int)rc) {
    case RC_OK:
        session_read_head(s);
        break;
    case RC_AGAIN:
        break;
    case RC_CLOSED:
        s->is_eof = true;
        session_end(s, false);
        break;
    default:
        session_end(s, true);
        break;
    }
}

/* While an answer is under way: content, or one read ahead. The end of the
   client's direction alone does not end a request: it may have closed just
   its half. A reset does. */
static void
read_busy(struct session *s)
{
    size_t room = s->more.max - buf_len(&s->more);
    size_t most = s->in.state == BODY_WANTED ? BODY_READ : HEAD_READ;
    enum rc rc = read_into(s, &s->more, most < room ? most : room);

    switch ((int)rc) {
    case RC_OK:
        if (s->in.state == BODY_WANTED) {
            session_pump_body(s);
        }
        session_wants(s);
        break;
    case RC_AGAIN:
        break;
    case RC_CLOSED:
        s->is_eof = true;
        session_wants(s);
        if (s->in.state != BODY_NONE) {
            session_end(s, true);
        }
        break;
    default:
        session_end(s, true);
        break;
    }
}

static void
read_linger(struct session *s)
{
    char bytes[DRAIN_READ];
    size_t n;
    enum rc rc = conn_read(s->conn, bytes, sizeof(bytes), &n);

    if (rc == RC_AGAIN) {
        return;
    }
    if (rc != RC_OK || n >= s->linger_left) {
        session_end(s, false);
        return;
    }
    s->linger_left -= (uint32_t)n;
}

void
session_read(struct session *s)
{
    switch (s->state) {
    case SESSION_IDLE:
        read_first(s);
        break;
    case SESSION_HEAD:
        read_head(s);
        break;
    case SESSION_BUSY:
        read_busy(s);
        break;
    case SESSION_LINGER:
        read_linger(s);
        break;
    case SESSION_DEAD:
        break;
    }
}

/* --- content ----------------------------------------------------------- */

static struct slice
body_input(struct session *s)
{
    return s->in.rest.len > 0 ? s->in.rest : buf_slice(&s->more);
}

static void
body_consume(struct session *s, size_t n)
{
    if (s->in.rest.len > 0) {
        s->in.rest = slice_skip(s->in.rest, n);
    } else {
        buf_consume(&s->more, n);
    }
}

/* Decodes from what is at hand. RC_OK: the content has ended. */
static enum rc
body_decode(struct session *s, struct slice in, size_t *out_eaten)
{
    static const struct chunk_opts chunk_opts = {0};

    if (s->in.framing == FRAMING_CHUNKED) {
        return chunk_decode(
            &s->in.chunk, &chunk_opts, in, out_eaten, &s->in.pending);
    }
    *out_eaten = in.len < s->in.left ? in.len : (size_t)s->in.left;
    s->in.pending = slice_of(in.ptr, *out_eaten);
    s->in.left -= *out_eaten;
    return s->in.left == 0 ? RC_OK : RC_AGAIN;
}

static void
body_fail(struct session *s, unsigned status)
{
    s->must_close = true;
    s->in.state = BODY_WAITING;
    s->in.pending = slice_of(NULL, 0);
    request_on_body_failed(s->request, status);
}

/* Offers what is decoded. False: not all of it was taken. */
static bool
body_offer(struct session *s)
{
    size_t taken;

    if (s->in.pending.len == 0) {
        return true;
    }
    taken = request_on_body(s->request, s->in.pending);
    s->in.pending = slice_skip(s->in.pending, taken);
    return s->in.pending.len == 0;
}

/* One run of input: decoded, counted, offered, consumed. False: stop. */
static bool
body_step(struct session *s)
{
    const struct proxy_limits *limits = &s->worker->proxy->opts.limits;
    struct slice in = body_input(s);
    size_t eaten = 0;
    enum rc rc;

    if (in.len == 0) {
        return false;
    }
    rc = body_decode(s, in, &eaten);
    if (rc != RC_OK && rc != RC_AGAIN) {
        if (rc == RC_LIMIT) {
            worker_count_limit(s->worker, LIMIT_CHUNK_FRAMING);
        }
        body_fail(s, 400);
        return false;
    }
    s->in.received += eaten;
    s->in.is_last = rc == RC_OK;
    s->in.eaten = eaten;
    s->in.content += s->in.pending.len;
    if (limits->body_max > 0 && s->in.content > limits->body_max) {
        worker_count_limit(s->worker, LIMIT_BODY_MAX);
        body_fail(s, 413);
        return false;
    }
    return true;
}

/* What was decoded has been taken: on with the input. */
static void
body_settle(struct session *s)
{
    body_consume(s, s->in.eaten);
    s->in.eaten = 0;
    if (s->in.is_last) {
        s->in.state = BODY_NONE;
        request_on_body_end(s->request);
    }
}

void
session_pump_body(struct session *s)
{
    const struct proxy_limits *limits = &s->worker->proxy->opts.limits;

    s->in.gap_deadline_ms =
        loop_now_ms(s->worker->loop) + limits->body_timeout_ms;
    while (s->state == SESSION_BUSY && s->in.state == BODY_WANTED) {
        if (s->in.eaten == 0 && !body_step(s)) {
            break;
        }
        if (!body_offer(s)) {
            s->in.state = BODY_STUCK;
            s->in.stuck_ms = loop_now_ms(s->worker->loop);
            break;
        }
        body_settle(s);
    }
    if (s->state == SESSION_BUSY) {
        session_wants(s);
        session_check_body(s);
    }
}

void
stream_want_body(struct stream *stream)
{
    struct session *s = CONTAINER_OF(stream, struct session, stream);

    MUST_OBJ(s, SESSION_MAGIC);
    if (s->state != SESSION_BUSY || s->in.state == BODY_NONE ||
        s->in.state == BODY_WANTED) {
        return;
    }
    if (s->in.state == BODY_WAITING) {
        s->in.start_ms = loop_now_ms(s->worker->loop);
        if (s->request->head.expects_100 && body_input(s).len == 0) {
            stream_interim(stream, 100, slice_of("", 0));
        }
    }
    if (s->in.state == BODY_STUCK) {
        /* The client is not to blame for how long the origin took. */
        s->in.start_ms += loop_now_ms(s->worker->loop) - s->in.stuck_ms;
    }
    s->in.state = BODY_WANTED;
    session_pump_body(s);
}
