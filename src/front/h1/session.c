/*
 * The life of a session: what its connection, its timer, its task and its
 * request call, and what becomes of it then. Nothing dies inside its own
 * callback: session_end marks it, and the flush task buries it at the end of
 * the loop's turn.
 */
#include "front/h1/session.h"

#include <stdlib.h>

#include "nearside/body/source.h"

enum {
    /* From the beginning of a drain on. The rest of an upload is not worth a
       late restart. */
    LINGER_DRAIN_MS = 2000,
};

/* --- the timer --------------------------------------------------------- */

/* Sending first: a client whose content comes well may yet not read. */
static void
busy_timer(struct session *s)
{
    int64_t now_ms = session_now_ms(s);
    const struct turn_out *out = &s->turn->out;

    MUST_OBJ(s->turn, TURN_MAGIC);
    if (turn_is_sending(s->turn) && now_ms >= out->total_deadline_ms) {
        worker_count_limit(session_worker(s), LIMIT_SEND_TOTAL);
        session_end(s, true);
    } else if (turn_is_sending(s->turn) && now_ms >= out->gap_deadline_ms) {
        worker_count_limit(session_worker(s), LIMIT_SEND_TIMEOUT);
        session_end(s, true);
    } else if (turn_is_sending(s->turn) && now_ms >= out->rate_deadline_ms) {
        worker_count_limit(session_worker(s), LIMIT_SEND_RATE);
        session_end(s, true);
    } else {
        session_check_body(s);
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
        if (session_now_ms(s) >= s->linger_until_ms && !s->front->is_draining) {
            worker_count_limit(session_worker(s), LIMIT_LINGER_TOTAL);
        }
        session_end(s, false);
        break;
    case SESSION_DEAD:
        break;
    }
}

/* --- after an answer --------------------------------------------------- */

/* What was read ahead is the beginning of the next request. */
static void
go_on(struct session *s)
{
    MUST(s->state == SESSION_BUSY);
    turn_restart(s->turn, session_worker(s));
    s->state = SESSION_HEAD;
    s->is_next_due = true;
    loop_defer(session_worker(s)->loop, &s->flush);
}

/* One more lingers. When they are too many, of all workers together, this
   worker closes the one of its own that has been at it longest, unless that is
   the new one: a worker's only one stays. */
static void
linger_count(struct session *s)
{
    struct front_worker *f = s->front;
    unsigned others = atomic_fetch_add(&f->front->lingering, 1);
    struct list *longest = list_first(&f->lingering);

    if (others >= session_limits(s)->linger_max && longest != &s->link &&
        !f->is_draining) {
        worker_count_limit(session_worker(s), LIMIT_LINGER_MAX);
        session_end(CONTAINER_OF(longest, struct session, link), false);
    }
}

static void
linger_at_most(struct session *s, int64_t for_ms)
{
    int64_t until_ms = session_now_ms(s) + for_ms;

    MUST(s->state == SESSION_LINGER);
    if (until_ms < s->linger_until_ms) {
        s->linger_until_ms = until_ms;
    }
}

/*
 * The last answer has left. Closing now could destroy it: the kernel answers
 * what the client still sends with a reset, and that drops what the client has
 * not read yet (RFC 9112 9.6). So only our direction ends.
 */
static void
linger(struct session *s)
{
    struct front_worker *f = s->front;

    conn_shutdown_write(s->conn);
    s->state = SESSION_LINGER;
    s->linger_until_ms = session_now_ms(s) + session_limits(s)->linger_total_ms;
    session_place(s, &f->lingering);
    linger_count(s);
    if (f->is_draining) {
        linger_at_most(s, LINGER_DRAIN_MS);
    }
}

/* Without a turn: for the next request, or for the client's end. */
static void
rest(struct session *s, bool is_last)
{
    MUST(s->state == SESSION_BUSY);
    turn_put(s->front, &s->turn);
    if (s->is_eof) {
        session_end(s, false);
    } else if (is_last) {
        linger(s);
    } else {
        s->state = SESSION_IDLE;
        session_place(s, &s->front->idle);
    }
}

/* An answer ends its connection if it has said so. One whose head was made
   before the end began has not: its client may have sent the next request. */
static void
after_answer(struct session *s)
{
    struct turn *turn = s->turn;
    struct request *done = turn->request;
    bool must_close = s->must_close || turn->in.state != BODY_NONE;

    MUST(s->state == SESSION_BUSY);
    MUST(done != NULL);
    MUST(turn->out.left == 0);
    session_learn(s);
    turn->request = NULL;
    turn->out.response = NULL;
    conn_want_write(s->conn, false);
    request_on_sent(done, turn->out.body_sent);
    if (!must_close && buf_len(&turn->buf) > 0) {
        go_on(s);
    } else {
        rest(s, must_close);
    }
    session_wants(s);
    session_arm(s);
    if (s->state == SESSION_IDLE && s->front->is_draining) {
        session_drain(s);
    }
}

static void session_answer(struct session *s);

/* The answer's source has more, or has failed. */
static void
on_source(void *ctx)
{
    struct session *s = OBJ_OF(struct session, ctx, SESSION_MAGIC);

    if (s->state == SESSION_BUSY && s->turn->out.response != NULL) {
        session_answer(s);
    }
}

/* The client is gone, or is to see that its answer is cut. If nothing of it has
   left, there may be a better one. */
static void
answer_failed(struct session *s)
{
    struct turn *turn = s->turn;
    const struct response *response = turn->out.response;
    bool is_unseen = !turn->out.has_left && response->has_body &&
                     source_state(response->source) == SOURCE_FAILED;

    MUST(s->state == SESSION_BUSY);
    if (is_unseen) {
        memset(&turn->out, 0, sizeof(turn->out));
    }
    if (!is_unseen || !request_on_source_failed(turn->request)) {
        session_end(s, true);
    }
}

/* Writes the answer, as far as that goes now. */
static void
session_answer(struct session *s)
{
    struct turn *turn = s->turn;

    MUST_OBJ(turn, TURN_MAGIC);
    switch (session_write(s)) {
    case WRITTEN_ALL:
        after_answer(s);
        break;
    case WRITTEN_PART:
        request_on_blocked(turn->request);
        break;
    case WRITTEN_SO_FAR:
        source_await(turn->out.response->source, on_source, s);
        break;
    case WRITTEN_NO_FURTHER:
        answer_failed(s);
        break;
    }
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
    if (s->turn != NULL && s->turn->out.response != NULL) {
        session_answer(s);
    } else if (s->turn != NULL && buf_len(&s->turn->interim) > 0) {
        session_write_interim(s);
    }
}

static const struct conn_callbacks session_conn_callbacks = {
    .on_readable = on_readable,
    .on_writable = on_writable,
};

static void
stream_peer(const struct stream *stream, struct address *out)
{
    const struct session *s = CONTAINER_OF(stream, struct session, stream);

    MUST_OBJ(s, SESSION_MAGIC);
    conn_peer(s->conn, out);
}

static void
stream_abort(struct stream *stream)
{
    session_end(session_of(stream), true);
}

static const struct stream_ops session_stream_ops = {
    .respond = stream_respond,
    .interim = stream_interim,
    .want_body = stream_want_body,
    .peer = stream_peer,
    .abort = stream_abort,
};

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
        if (s->state == SESSION_HEAD) { /* and has not run out of time */
            session_read_head(s);
            session_wants(s);
        }
    }
    if (s->state == SESSION_BUSY && s->turn->out.response != NULL) {
        session_answer(s);
    }
}

void
session_start(struct front_worker *f, int own_fd, const struct address *peer)
{
    struct worker *w = f->worker;
    struct session *s = calloc(1, sizeof(*s));
    struct conn *conn = conn_new(w->loop, own_fd, &session_conn_callbacks, s);

    MUST_OBJ(f, FRONT_WORKER_MAGIC);
    MUST_OBJ(w, WORKER_MAGIC);
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
    list_push_back(&f->fresh, &s->link);
    s->is_fresh = true;
    s->speak_until_ms = worker_now_ms(w) + SPEAK_MS;
    worker_count(w, COUNTER_CONNECTIONS);
    worker_count(w, COUNTER_CONNECTIONS_TOTAL);
    session_wants(s);
    session_arm(s);
}

/* The request learns that its client has gone. */
static void
drop_turn(struct session *s)
{
    struct turn *turn = s->turn;
    struct request *gone;

    if (turn == NULL) {
        return;
    }
    MUST(s->state == SESSION_DEAD);
    MUST_OBJ(turn, TURN_MAGIC);
    gone = turn->request != NULL ? turn->request : session_unread(s);
    turn->request = NULL;
    if (gone != NULL) {
        request_on_gone(gone, turn->out.body_sent);
    }
    turn_put(s->front, &s->turn);
}

void
session_free(struct session *s)
{
    struct front_worker *f = s->front;
    struct address peer;

    MUST_OBJ(s, SESSION_MAGIC);
    session_leave(s);
    s->state = SESSION_DEAD;
    drop_turn(s);
    conn_peer(s->conn, &peer);
    if (s->is_aborted) {
        conn_abort(&s->conn);
    } else {
        conn_close(&s->conn);
    }
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
    MUST(s->front->is_draining);
    if (s->state == SESSION_LINGER) {
        linger_at_most(s, LINGER_DRAIN_MS);
    } else if (!session_may_speak(s) && conn_is_quiet(s->conn)) {
        /* A request that is on its way is not answered any more, but it is not
           answered with a reset either. */
        linger(s);
        linger_at_most(s, SPEAK_MS);
    }
    session_arm(s);
}
