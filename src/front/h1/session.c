/*
 * The life of a session: its states, its timer, its end. Nothing dies inside
 * its own callback: session_end closes the connection and lets the flush
 * task bury the rest at the end of the loop's turn.
 */
#include "front/h1/session.h"

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

struct session *
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
has_room_ahead(const struct turn *turn)
{
    size_t ahead = buf_len(&turn->buf);

    return turn->in.state == BODY_NONE ? ahead < AHEAD_MAX : ahead == 0;
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
        is_read = !s->is_eof && has_room_ahead(s->turn) &&
                  s->turn->in.state != BODY_WAITING &&
                  s->turn->in.state != BODY_STUCK;
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
is_sending(const struct turn_out *out)
{
    return out->response != NULL &&
           (out->pre_len > 0 || out->data_left > 0 || out->post.len > 0);
}

/* How long the client takes counts, not how long the origin does. */
static int64_t
send_total_ms(const struct session *s)
{
    const struct turn_out *out = &s->turn->out;
    int64_t total_ms = session_limits(s)->send_total_ms;

    return total_ms > 0 && out->wait_since_ms > 0
               ? out->wait_since_ms + total_ms - out->waited_ms
               : INT64_MAX;
}

static int64_t
busy_deadline(struct session *s, int64_t now_ms)
{
    const struct turn *turn = s->turn;
    int64_t deadline = 0;

    if (turn->in.state == BODY_WANTED) {
        deadline = turn->in.gap_deadline_ms;
        if (session_limits(s)->body_min_rate > 0) {
            deadline = earlier(deadline, now_ms + RATE_CHECK_MS);
        }
    }
    if (is_sending(&turn->out)) {
        deadline = earlier(deadline, turn->out.gap_deadline_ms);
        deadline = earlier(deadline, send_total_ms(s));
    }
    return deadline;
}

void
session_arm(struct session *s)
{
    const struct limits *limits = session_limits(s);
    int64_t now_ms = worker_now_ms(session_worker(s));
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
    const struct limits *limits = session_limits(s);
    const struct turn_in *in = &s->turn->in;
    int64_t took_ms = now_ms - in->start_ms;

    return limits->body_min_rate > 0 &&
           took_ms > limits->body_min_rate_after_ms &&
           in->received < limits->body_min_rate * (uint64_t)took_ms / 1000;
}

static void
body_timer(struct session *s, int64_t now_ms)
{
    struct turn *turn = s->turn;

    if (now_ms >= turn->in.gap_deadline_ms) {
        worker_count_limit(session_worker(s), LIMIT_BODY_TIMEOUT);
    } else if (is_body_slow(s, now_ms)) {
        worker_count_limit(session_worker(s), LIMIT_BODY_RATE);
    } else {
        session_arm(s);
        return;
    }
    s->must_close = true;
    turn->in.state = BODY_WAITING;
    if (turn->out.response != NULL) {
        /* Whoever has an answer need not send on (RFC 9112 9.5). */
        session_wants(s);
        session_arm(s);
    } else {
        request_on_body_failed(turn->request, 408);
    }
}

/* Bytes that trickle in put the timer off: the rate is judged here too. */
void
session_check_body(struct session *s)
{
    if (s->turn->in.state == BODY_WANTED) {
        body_timer(s, worker_now_ms(session_worker(s)));
    } else {
        session_arm(s);
    }
}

static void
busy_timer(struct session *s)
{
    int64_t now_ms = worker_now_ms(session_worker(s));
    const struct turn_out *out = &s->turn->out;

    /* Sending first: a client whose content comes well may yet not read. */
    if (is_sending(out) && now_ms >= send_total_ms(s)) {
        worker_count_limit(session_worker(s), LIMIT_SEND_TOTAL);
        session_end(s, true);
    } else if (is_sending(out) && now_ms >= out->gap_deadline_ms) {
        worker_count_limit(session_worker(s), LIMIT_SEND_TIMEOUT);
        session_end(s, true);
    } else if (s->turn->in.state == BODY_WANTED) {
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
        worker_count_limit(session_worker(s), LIMIT_IDLE_TIMEOUT);
        session_end(s, false);
        break;
    case SESSION_HEAD:
        worker_count_limit(session_worker(s), LIMIT_HEAD_TIMEOUT);
        session_refuse(s, 408, "head_timeout");
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
    if (s->turn == NULL) {
        return;
    }
    if (s->turn->out.response != NULL) {
        session_write(s);
    } else if (buf_len(&s->turn->interim) > 0) {
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

static const struct stream_ops session_stream_ops = {
    .respond = stream_respond,
    .interim = stream_interim,
    .want_body = stream_want_body,
    .abort = stream_abort,
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

/* The end of the loop's turn: bury, go on with the next request, or write. */
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
    if (s->state == SESSION_BUSY && s->turn->out.response != NULL) {
        session_write(s);
    }
}

void
session_start(struct front_worker *f, int own_fd, const struct address *peer)
{
    struct worker *w = f->worker;
    struct session *s = calloc(1, sizeof(*s));
    struct conn *conn = conn_new(w->loop, own_fd, &session_conn_callbacks, s);

    MUST_OBJ(f, FRONT_WORKER_MAGIC);
    if (s == NULL || conn == NULL) {
        worker_count_limit(w, LIMIT_MEMORY);
        conn_close(&conn);
        free(s);
        front_release(f, peer);
        return;
    }
    s->stream.ops = &session_stream_ops;
    s->magic = SESSION_MAGIC;
    s->front = f;
    s->conn = conn;
    conn_set_peer(conn, peer);
    loop_task_init(&s->flush, on_flush, s);
    loop_timer_init(&s->timer, w->loop, on_timer, s);
    list_init(&s->link);
    list_push_back(&f->idle, &s->link);
    worker_count(w, COUNTER_CONNECTIONS);
    worker_count(w, COUNTER_CONNECTIONS_TOTAL);
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
    session_place(s, &s->front->sessions);
    s->state = SESSION_DEAD;
    conn_want_read(s->conn, false);
    conn_want_write(s->conn, false);
    s->is_aborted = is_abort;
    loop_timer_cancel(&s->timer);
    loop_defer(session_worker(s)->loop, &s->flush);
}

/* The request learns that its client has gone. Who leaves in the middle of a
   head is counted and logged like any other: as one who said nothing. */
static void
drop_turn(struct session *s, const struct address *peer)
{
    struct request *gone;

    if (s->turn == NULL) {
        return;
    }
    gone = s->turn->request;
    s->turn->request = NULL;
    if (gone == NULL) {
        static const struct head nothing = {.minor = 1};
        const struct request_opts opts = {
            .question = {.head = &nothing, .peer = *peer},
            .start_us = s->turn->start_us,
        };
        gone = request_new(session_worker(s), &s->stream, &opts);
    }
    if (gone != NULL) {
        request_on_gone(gone, s->turn->out.body_sent);
    }
    turn_put(s->front, &s->turn);
}

void
session_free(struct session *s)
{
    struct front_worker *f = s->front;
    struct address peer;

    MUST_OBJ(s, SESSION_MAGIC);
    s->state = SESSION_DEAD;
    conn_peer(s->conn, &peer);
    if (s->is_aborted) {
        conn_abort(&s->conn);
    } else {
        conn_close(&s->conn);
    }
    drop_turn(s, &peer);
    loop_task_cancel(&s->flush);
    loop_timer_cancel(&s->timer);
    list_remove(&s->link);
    front_release(f, &peer);
    worker_count_by(f->worker, COUNTER_CONNECTIONS, -1);
    s->magic = 0;
    free(s);
    front_check_empty(f);
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
    turn_put(s->front, &s->turn);
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

static void
session_idle(struct session *s)
{
    turn_put(s->front, &s->turn);
    s->state = SESSION_IDLE;
    session_place(s, &s->front->idle);
    if (s->is_eof) {
        session_end(s, false);
        return;
    }
    session_wants(s);
    session_arm(s);
}

/* What was read ahead is the beginning of the next request. */
static void
session_next(struct session *s)
{
    turn_restart(s->turn, session_worker(s));
    s->state = SESSION_HEAD;
    s->is_next_due = true;
    loop_defer(session_worker(s)->loop, &s->flush);
    session_wants(s);
    session_arm(s);
}

void
session_answered(struct session *s)
{
    struct turn *turn = s->turn;
    struct request *done = turn->request;
    bool must_close = s->must_close || turn->in.state != BODY_NONE ||
                      atomic_load(&s->front->is_draining);

    MUST(s->state == SESSION_BUSY);
    turn->request = NULL;
    turn->out.response = NULL;
    conn_want_write(s->conn, false);
    request_on_sent(done, turn->out.body_sent);
    if (must_close) {
        session_linger(s);
    } else if (buf_len(&turn->buf) > 0) {
        session_next(s);
    } else {
        session_idle(s);
    }
}
