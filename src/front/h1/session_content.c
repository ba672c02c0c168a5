/*
 * A request's content. It is decoded where it was read, counted, offered to
 * the request, and consumed once the request has taken it. While the request
 * takes no more, the rest stays in the buffer and nothing is read.
 *
 * Content fails when the client pauses too long or stays below the least
 * rate. Only the time in which it may send counts. A client that waits for a
 * 100 waits for the origin, which has its own deadline for that.
 */
#include "front/h1/session.h"

/* Decodes from what is at hand. RC_OK: the content has ended. */
static enum rc
body_decode(struct turn_in *in, struct slice input, size_t *out_eaten)
{
    MUST(input.len > 0);
    if (in->framing == FRAMING_CHUNKED) {
        return chunk_decode(&in->chunk, input, out_eaten, &in->pending);
    }
    *out_eaten = input.len < in->left ? input.len : (size_t)in->left;
    in->pending = slice_of(input.ptr, *out_eaten);
    in->left -= *out_eaten;
    return in->left == 0 ? RC_OK : RC_AGAIN;
}

/* A client whose answer has begun is to get it whole: a reset could destroy
   what it has not read yet (RFC 9112 9.6). */
static void
body_fail(struct session *s, unsigned status)
{
    struct turn *turn = s->turn;

    session_refuse_body(s);
    if (turn->out.response == NULL) {
        request_on_body_failed(turn->request, status);
        return;
    }
    session_wants(s);
    session_arm(s);
}

/* One run of input: decoded and counted. False: stop. */
static bool
body_step(struct session *s)
{
    uint64_t body_max = session_limits(s)->body_max;
    struct turn_in *in = &s->turn->in;
    struct slice input = buf_slice(&s->turn->buf);
    enum rc rc;

    MUST(in->pending.len == 0);
    if (input.len == 0) {
        return false;
    }
    rc = body_decode(in, input, &in->eaten);
    if (rc != RC_OK && rc != RC_AGAIN) {
        if (rc == RC_LIMIT) {
            worker_count_limit(session_worker(s), LIMIT_CHUNK_FRAMING);
        }
        body_fail(s, 400);
        return false;
    }
    in->received += in->eaten;
    in->is_last = rc == RC_OK;
    in->content += in->pending.len;
    if (body_max > 0 && in->content > body_max) {
        worker_count_limit(session_worker(s), LIMIT_BODY_MAX);
        body_fail(s, 413);
        return false;
    }
    return true;
}

/* Offers what is decoded. False: not all of it was taken. */
static bool
body_offer(struct turn *turn)
{
    struct turn_in *in = &turn->in;

    MUST(turn->request != NULL);
    if (in->pending.len > 0) {
        size_t taken = request_on_body(turn->request, in->pending);
        in->pending = slice_skip(in->pending, taken);
    }
    return in->pending.len == 0;
}

/* What was decoded has been taken: on with the input. */
static void
body_settle(struct turn *turn)
{
    MUST(turn->in.pending.len == 0);
    buf_consume(&turn->buf, turn->in.eaten);
    turn->in.eaten = 0;
    if (turn->in.is_last) {
        turn->in.state = BODY_NONE;
        request_on_body_end(turn->request);
    }
}

/* --- late and slow ----------------------------------------------------- */

static bool
is_body_slow(const struct session *s, int64_t now_ms)
{
    const struct limits *limits = session_limits(s);
    const struct turn_in *in = &s->turn->in;
    int64_t took_ms = now_ms - in->start_ms;

    return limits->body_min_rate > 0 && !s->turn->awaits_100 &&
           took_ms > limits->body_min_rate_after_ms &&
           in->received < limits->body_min_rate * (uint64_t)took_ms / 1000;
}

static void
body_late(struct session *s, enum limit limit)
{
    MUST(s->turn->in.state == BODY_WANTED);
    worker_count_limit(session_worker(s), limit);
    body_fail(s, 408);
}

void
session_check_body(struct session *s)
{
    const struct turn_in *in = &s->turn->in;
    int64_t now_ms = session_now_ms(s);

    MUST(s->state == SESSION_BUSY);
    if (in->state == BODY_WANTED && now_ms >= in->gap_deadline_ms) {
        body_late(s, LIMIT_BODY_TIMEOUT);
    } else if (in->state == BODY_WANTED && is_body_slow(s, now_ms)) {
        body_late(s, LIMIT_BODY_RATE);
    } else {
        session_arm(s);
    }
}

/* --- what the request takes -------------------------------------------- */

void
session_pump_body(struct session *s)
{
    struct turn *turn = s->turn;

    MUST_OBJ(turn, TURN_MAGIC);
    MUST(turn->in.state == BODY_WANTED);
    if (turn->awaits_100 && buf_len(&turn->buf) > 0) {
        turn->awaits_100 = false; /* it has waited long enough */
        turn->in.start_ms = session_now_ms(s);
    }
    session_await_body(s);
    while (s->state == SESSION_BUSY && turn->in.state == BODY_WANTED) {
        if (turn->in.eaten == 0 && !body_step(s)) {
            break;
        }
        if (!body_offer(turn)) {
            turn->in.state = BODY_STUCK;
            turn->in.stuck_ms = session_now_ms(s);
            break;
        }
        body_settle(turn);
    }
    if (s->state == SESSION_BUSY) {
        session_wants(s);
        /* The timer alone would not do: bytes that trickle in put it off. */
        session_check_body(s);
    }
}

void
stream_want_body(struct stream *stream)
{
    struct session *s = session_of(stream);
    struct turn *turn = s->turn;

    if (s->state != SESSION_BUSY || turn->in.state == BODY_NONE ||
        turn->in.state == BODY_WANTED || turn->in.state == BODY_REFUSED) {
        return;
    }
    MUST_OBJ(turn, TURN_MAGIC);
    MUST(turn->request != NULL);
    if (turn->in.state == BODY_WAITING) {
        turn->in.start_ms = session_now_ms(s);
    }
    if (turn->in.state == BODY_STUCK) {
        /* The client is not to blame for how long the origin took. */
        turn->in.start_ms += session_now_ms(s) - turn->in.stuck_ms;
    }
    turn->in.state = BODY_WANTED;
    session_pump_body(s);
}
