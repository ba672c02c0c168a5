/*
 * What reading and writing share of a session: whether its socket is read,
 * when its timer fires, and the mark that it is over. Nothing here calls the
 * request, and nothing frees.
 */
#include "front/h1/session.h"

enum {
    /* Of the next requests, while one is under way. */
    AHEAD_MAX = 4096,
    RATE_CHECK_MS = 1000,
};

struct session *
session_of(struct stream *stream)
{
    struct session *s = CONTAINER_OF(stream, struct session, stream);

    MUST_OBJ(s, SESSION_MAGIC);
    return s;
}

void
session_place(struct session *s, struct list *where)
{
    MUST_OBJ(s, SESSION_MAGIC);
    list_remove(&s->link);
    list_push_back(where, &s->link);
}

void
session_leave(struct session *s)
{
    MUST_OBJ(s, SESSION_MAGIC);
    if (s->state == SESSION_LINGER) {
        MUST(atomic_load(&s->front->front->lingering) > 0);
        atomic_fetch_sub(&s->front->front->lingering, 1);
    }
}

void
session_refuse_body(struct session *s)
{
    struct turn *turn = s->turn;

    MUST(s->state == SESSION_BUSY);
    s->must_close = true;
    turn->in.state = BODY_REFUSED;
    turn->in.pending = slice_of(NULL, 0);
    buf_clear(&turn->buf);
}

/* --- is the socket read? ----------------------------------------------- */

/* Content is read when what there was has been taken. Behind the content, or
   without any, a little is read ahead, so that an abort is noticed. */
static bool
is_busy_read(const struct turn *turn)
{
    size_t ahead = buf_len(&turn->buf);

    MUST_OBJ(turn, TURN_MAGIC);
    switch (turn->in.state) {
    case BODY_NONE:
        return ahead < AHEAD_MAX;
    case BODY_WANTED:
        return ahead == 0;
    case BODY_REFUSED:
        return true;
    case BODY_WAITING:
    case BODY_STUCK:
        break;
    }
    return false;
}

void
session_wants(struct session *s)
{
    bool is_read = true;

    MUST_OBJ(s, SESSION_MAGIC);
    switch (s->state) {
    case SESSION_HEAD: /* what is at hand comes first */
        is_read = !s->is_next_due;
        break;
    case SESSION_BUSY:
        is_read = is_busy_read(s->turn);
        break;
    case SESSION_IDLE:
    case SESSION_LINGER:
        break;
    case SESSION_DEAD:
        return;
    }
    conn_want_read(s->conn, is_read && !s->is_eof);
}

/* --- the timer --------------------------------------------------------- */

static int64_t
earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void
session_await_body(struct session *s)
{
    struct turn *turn = s->turn;

    MUST_OBJ(turn, TURN_MAGIC);
    turn->in.gap_deadline_ms =
        turn->awaits_100
            ? INT64_MAX
            : session_now_ms(s) + session_limits(s)->body_timeout_ms;
}

/* INT64_MAX: nothing that the client does has a deadline now. */
static int64_t
busy_deadline(const struct session *s)
{
    const struct limits *limits = session_limits(s);
    const struct turn *turn = s->turn;
    int64_t deadline = INT64_MAX;

    MUST_OBJ(turn, TURN_MAGIC);
    if (turn->in.state == BODY_WANTED) {
        deadline = turn->in.gap_deadline_ms;
        if (limits->body_min_rate > 0 && !turn->awaits_100) {
            deadline = earlier(deadline, session_now_ms(s) + RATE_CHECK_MS);
        }
    }
    if (turn_is_sending(turn)) {
        deadline = earlier(deadline, turn->out.gap_deadline_ms);
        deadline = earlier(deadline, turn->out.total_deadline_ms);
        deadline = earlier(deadline, turn->out.rate_deadline_ms);
    }
    return deadline;
}

void
session_arm(struct session *s)
{
    const struct limits *limits = session_limits(s);
    int64_t deadline = INT64_MAX;

    MUST_OBJ(s, SESSION_MAGIC);
    switch (s->state) {
    case SESSION_IDLE:
        deadline = session_now_ms(s) + limits->idle_timeout_ms;
        if (s->is_fresh && s->front->is_draining) {
            deadline = earlier(deadline, s->speak_until_ms);
        }
        break;
    case SESSION_HEAD: /* armed at the first byte, for the whole head */
        deadline = session_now_ms(s) + limits->head_timeout_ms;
        break;
    case SESSION_BUSY:
        deadline = busy_deadline(s);
        break;
    case SESSION_LINGER:
        deadline = earlier(
            session_now_ms(s) + limits->linger_timeout_ms, s->linger_until_ms);
        break;
    case SESSION_DEAD:
        break;
    }
    if (deadline != INT64_MAX) {
        loop_timer_arm(&s->timer, deadline);
    }
}

/* --- the end ----------------------------------------------------------- */

void
session_end(struct session *s, bool is_abort)
{
    MUST_OBJ(s, SESSION_MAGIC);
    if (s->state == SESSION_DEAD) {
        return;
    }
    session_leave(s);
    session_place(s, &s->front->sessions);
    s->state = SESSION_DEAD;
    s->is_aborted = is_abort;
    conn_want_read(s->conn, false);
    conn_want_write(s->conn, false);
    loop_timer_cancel(&s->timer);
    loop_defer(session_worker(s)->loop, &s->flush);
}
