/*
 * The life of a session: its states, its timer, its end. Nothing dies inside
 * its own callback: session_end closes the connection and lets the flush
 * task bury the rest at the end of the turn.
 */
#include "proxy/session.h"

#include <stdlib.h>

enum {
    /* A client we have answered and refused may still be sending: reading
       on for a while lets it see the answer instead of a reset. */
    LINGER_BYTES = 65536,
    LINGER_MS = 2000,
    RATE_CHECK_MS = 1000,
    /* Of the next requests, while one is under way. */
    AHEAD_MAX = 4096,
};

static struct session *
session_of(struct stream *stream)
{
    struct session *s = CONTAINER_OF(stream, struct session, stream);

    MUST_OBJ(s, SESSION_MAGIC);
    return s;
}

/* --- wants ------------------------------------------------------------- */

/* Content is read when what there was has been taken; behind it, or without
   any, a little is read ahead, so that an abort is noticed. */
static bool
has_room_ahead(const struct session *s)
{
    size_t ahead = s->in.rest.len + buf_len(&s->more);

    return s->in.state == BODY_NONE ? ahead < AHEAD_MAX : ahead == 0;
}

/* Does anybody read what comes now? */
void
session_wants(struct session *s)
{
    bool is_read = false;

    switch (s->state) {
    case SESSION_HEAD: /* what is at hand comes first */
        is_read = !s->is_eof && !s->is_next_due;
        break;
    case SESSION_IDLE:
    case SESSION_LINGER:
        is_read = !s->is_eof;
        break;
    case SESSION_BUSY:
        is_read = !s->is_eof && has_room_ahead(s) &&
                  s->in.state != BODY_WAITING && s->in.state != BODY_STUCK;
        break;
    case SESSION_DEAD:
        return;
    }
    conn_want_read(s->conn, is_read);
}

/* --- the timer --------------------------------------------------------- */

static int64_t
earlier(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Does a part of the answer wait for the client, not for the origin? */
static bool
is_sending(const struct session *s)
{
    return s->out.is_active &&
           (s->out.pre_len > 0 || s->out.data_left > 0 || s->out.post.len > 0);
}

/* How long the client takes counts, not how long the origin does. */
static int64_t
send_total_ms(const struct session *s)
{
    int64_t total_ms = s->worker->proxy->opts.limits.send_total_ms;

    return total_ms > 0 && s->out.wait_since_ms > 0
               ? s->out.wait_since_ms + total_ms - s->out.waited_ms
               : INT64_MAX;
}

static int64_t
busy_deadline(struct session *s, int64_t now_ms)
{
    const struct proxy_limits *limits = &s->worker->proxy->opts.limits;
    int64_t deadline = 0;

    if (s->in.state == BODY_WANTED) {
        deadline = s->in.gap_deadline_ms;
        if (limits->body_min_rate > 0) {
            deadline = earlier(deadline, now_ms + RATE_CHECK_MS);
        }
    }
    if (is_sending(s)) {
        deadline = earlier(deadline, s->out.gap_deadline_ms);
        deadline = earlier(deadline, send_total_ms(s));
    }
    return deadline;
}

void
session_arm(struct session *s)
{
    const struct proxy_limits *limits = &s->worker->proxy->opts.limits;
    int64_t now_ms = loop_now_ms(s->worker->loop);
    int64_t deadline = 0;

    switch (s->state) {
    case SESSION_IDLE:
        deadline = now_ms + limits->idle_timeout_ms;
        break;
    case SESSION_HEAD: /* armed at the first byte, for the whole head */
        deadline = now_ms + limits->head_timeout_ms;
        break;
    case SESSION_BUSY:
        deadline = busy_deadline(s, now_ms);
        break;
    case SESSION_LINGER:
        deadline = now_ms + LINGER_MS;
        break;
    case SESSION_DEAD:
        break;
    }
    if (deadline == 0) {
        loop_timer_cancel(&s->timer);
    } else {
        loop_timer_arm(&s->timer, deadline);
    }
}

static bool
is_body_slow(struct session *s, int64_t now_ms)
{
    const struct proxy_limits *limits = &s->worker->proxy->opts.limits;
    int64_t took_ms = now_ms - s->in.start_ms;

    return limits->body_min_rate > 0 &&
           took_ms > limits->body_min_rate_after_ms &&
           s->in.received < limits->body_min_rate * (uint64_t)took_ms / 1000;
}

static void
body_timer(struct session *s, int64_t now_ms)
{
    if (now_ms >= s->in.gap_deadline_ms) {
        worker_count_limit(s->worker, LIMIT_BODY_TIMEOUT);
    } else if (is_body_slow(s, now_ms)) {
        worker_count_limit(s->worker, LIMIT_BODY_RATE);
    } else {
        session_arm(s);
        return;
    }
    s->must_close = true;
    s->in.state = BODY_WAITING;
    if (s->out.is_active) {
        /* Whoever has an answer need not send on (RFC 9112 9.5). */
        session_wants(s);
        session_arm(s);
    } else {
        request_on_body_failed(s->request, 408);
    }
}

/* Bytes that trickle in put the timer off: the rate is judged here too. */
void
session_check_body(struct session *s)
{
    if (s->in.state == BODY_WANTED) {
        body_timer(s, loop_now_ms(s->worker->loop));
    } else {
        session_arm(s);
    }
}

static void
busy_timer(struct session *s)
{
    int64_t now_ms = loop_now_ms(s->worker->loop);

    /* Sending first: a client whose content comes well may yet not read. */
    if (is_sending(s) && now_ms >= send_total_ms(s)) {
        worker_count_limit(s->worker, LIMIT_SEND_TOTAL);
        session_end(s, true);
    } else if (is_sending(s) && now_ms >= s->out.gap_deadline_ms) {
        worker_count_limit(s->worker, LIMIT_SEND_TIMEOUT);
        session_end(s, true);
    } else if (s->in.state == BODY_WANTED) {
        body_timer(s, now_ms);
    } else {
        session_arm(s);
    }
}

static void
on_timer(void *ctx)
{
    struct session *s = OBJ_OF(struct session, ctx, SESSION_MAGIC);

    switch (s->state) {
    case SESSION_IDLE:
        worker_count_limit(s->worker, LIMIT_IDLE_TIMEOUT);
        session_end(s, false);
        break;
    case SESSION_HEAD:
        worker_count_limit(s->worker, LIMIT_HEAD_TIMEOUT);
        s->state = SESSION_BUSY;
        s->must_close = true;
        request_refuse(s->request, 408, "head_timeout");
        break;
    case SESSION_BUSY:
        busy_timer(s);
        break;
    case SESSION_LINGER:
        session_end(s, false);
        break;
    case SESSION_DEAD:
        break;
    }
}

void
session_place(struct session *s, struct list *where)
{
    list_remove(&s->link);
    list_push_back(where, &s->link);
}

/* --- life -------------------------------------------------------------- */

static void
on_readable(void *ctx)
{
    session_read(OBJ_OF(struct session, ctx, SESSION_MAGIC));
}

static void
on_writable(void *ctx)
{
    struct session *s = OBJ_OF(struct session, ctx, SESSION_MAGIC);

    conn_want_write(s->conn, false);
    if (s->out.is_active) {
        session_write(s);
    } else if (s->out.interim.len > 0) {
        session_write_interim(s);
    }
}

static const struct conn_callbacks session_conn_callbacks = {
    .on_readable = on_readable,
    .on_writable = on_writable,
};

static void
stream_abort(struct stream *stream)
{
    session_end(session_of(stream), true);
}

static void
stream_peer(struct stream *stream, struct address *out)
{
    conn_peer(session_of(stream)->conn, out);
}

static const struct stream_ops session_stream_ops = {
    .respond = stream_respond,
    .interim = stream_interim,
    .want_body = stream_want_body,
    .abort = stream_abort,
    .peer = stream_peer,
};

/* The next head is at hand, or its beginning. */
static void
read_ahead(struct session *s)
{
    if (s->state == SESSION_HEAD) { /* and has not run out of time */
        session_read_head(s);
        session_wants(s);
    }
}

/* The end of the turn: bury, go on with the next request, or write. */
static void
on_flush(void *ctx)
{
    struct session *s = OBJ_OF(struct session, ctx, SESSION_MAGIC);

    if (s->state == SESSION_DEAD) {
        session_free(s);
        return;
    }
    if (s->is_next_due) {
        s->is_next_due = false;
        read_ahead(s);
    }
    if (s->state == SESSION_BUSY && s->out.is_active) {
        session_write(s);
    }
}

void
session_start(struct worker *worker, int own_fd, const struct address *peer)
{
    struct session *s = calloc(1, sizeof(*s));
    struct conn *conn =
        conn_new(worker->loop, own_fd, &session_conn_callbacks, s);

    if (s == NULL || conn == NULL) {
        worker_count_limit(worker, LIMIT_MEMORY);
        conn_close(&conn);
        free(s);
        peers_put(worker->proxy->peers, peer);
        atomic_fetch_sub(&worker->proxy->connections, 1);
        return;
    }
    s->stream.ops = &session_stream_ops;
    s->magic = SESSION_MAGIC;
    s->worker = worker;
    s->conn = conn;
    conn_set_peer(conn, peer);
    buf_init(&s->more, worker->proxy->opts.limits.buffer_max);
    loop_task_init(&s->flush, on_flush, s);
    loop_timer_init(&s->timer, worker->loop, on_timer, s);
    list_init(&s->link);
    list_push_back(&worker->idle, &s->link);
    atomic_fetch_add(&worker->sessions_len, 1);
    metric_inc(worker->block, worker->proxy->metrics.connections);
    metric_inc(worker->block, worker->proxy->metrics.connections_total);
    session_wants(s);
    session_arm(s);
}

void
session_end(struct session *s, bool is_abort)
{
    MUST_OBJ(s, SESSION_MAGIC);
    if (s->state == SESSION_DEAD) {
        return;
    }
    session_place(s, &s->worker->sessions);
    s->state = SESSION_DEAD;
    conn_want_read(s->conn, false);
    conn_want_write(s->conn, false);
    s->is_aborted = is_abort;
    loop_timer_cancel(&s->timer);
    loop_defer(s->worker->loop, &s->flush);
}

void
session_free(struct session *s)
{
    struct worker *worker = s->worker;
    struct address peer;

    MUST_OBJ(s, SESSION_MAGIC);
    s->state = SESSION_DEAD;
    conn_peer(s->conn, &peer);
    if (s->is_aborted) {
        conn_abort(&s->conn);
    } else {
        conn_close(&s->conn);
    }
    if (s->request != NULL) {
        struct request *gone = s->request;
        s->request = NULL;
        request_on_gone(gone, s->out.body_sent);
    }
    loop_task_cancel(&s->flush);
    loop_timer_cancel(&s->timer);
    buf_fini(&s->more);
    list_remove(&s->link);
    peers_put(worker->proxy->peers, &peer);
    atomic_fetch_sub(&worker->proxy->connections, 1);
    atomic_fetch_sub(&worker->sessions_len, 1);
    metric_add_to(worker->block, worker->proxy->metrics.connections, -1);
    s->magic = 0;
    free(s);
    worker_check_drained(worker);
}

void
session_drain(struct session *s)
{
    MUST_OBJ(s, SESSION_MAGIC);
    s->must_close = true;
    if (s->state == SESSION_IDLE) {
        session_end(s, false);
    }
}

/* --- after an answer --------------------------------------------------- */

static void
session_linger(struct session *s)
{
    if (s->is_eof) {
        session_end(s, false);
        return;
    }
    conn_shutdown_write(s->conn);
    s->state = SESSION_LINGER;
    s->linger_left = LINGER_BYTES;
    session_wants(s);
    session_arm(s);
}

/* What was read ahead becomes the beginning of the next request. */
static bool
session_take_ahead(struct session *s, struct slice rest)
{
    struct request *next = request_take(s->worker, &s->stream);

    if (next == NULL || buf_append(&next->in, rest) != RC_OK ||
        buf_append(&next->in, buf_slice(&s->more)) != RC_OK) {
        if (next != NULL) {
            next->stream = NULL;
            request_unref(&next);
        }
        return false;
    }
    buf_clear(&s->more);
    s->request = next;
    s->state = SESSION_HEAD;
    s->is_next_due = true;
    loop_defer(s->worker->loop, &s->flush);
    return true;
}

static void
session_next(struct session *s, struct slice rest)
{
    if (rest.len + buf_len(&s->more) > 0) {
        if (!session_take_ahead(s, rest)) {
            worker_count_limit(s->worker, LIMIT_MEMORY);
            session_end(s, true);
            return;
        }
    } else {
        s->state = SESSION_IDLE;
        session_place(s, &s->worker->idle);
        buf_trim(&s->more);
        if (s->is_eof) {
            session_end(s, false);
            return;
        }
    }
    session_wants(s);
    session_arm(s);
}

void
session_answered(struct session *s)
{
    struct request *done = s->request;
    struct slice rest = s->in.rest;
    bool is_unread = s->in.state != BODY_NONE;
    bool must_close = s->must_close || is_unread || s->worker->is_draining;

    s->request = NULL;
    s->out.is_active = false;
    conn_want_write(s->conn, false);
    if (must_close) {
        request_on_sent(done, s->out.body_sent);
        session_linger(s);
        return;
    }
    /* The rest lies in the request's memory: copy it before letting go. */
    session_next(s, rest);
    request_on_sent(done, s->out.body_sent);
}
