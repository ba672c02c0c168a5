/*
 * A hit that is known (nearside/known/known.h) leaves while its head is read:
 * no turn is taken, nothing is left to be done at the end of the loop's turn,
 * and the session is idle before and after it.
 *
 * The socket may take a part of it only. Then the head gets a turn and a
 * request, as any other has, which gives the same answer: the session skips
 * what has left.
 */
#include "front/h1/session.h"

/* Will its answer end nothing, and its wire be free for it? */
static bool
may_answer(const struct session *s)
{
    unsigned max = session_limits(s)->requests_per_connection;

    return s->known.kind != 0 && !s->is_fresh && !s->is_eof && !s->must_close &&
           !s->front->is_draining && !atomic_load(&s->front->says_close) &&
           (max == 0 || s->requests + 1 < max);
}

void
session_answer_known(struct session *s, struct slice *first)
{
    struct front_worker *f = s->front;
    const struct known_asked asked = {f->worker, &s->known, *first};
    struct known_hit hit;
    size_t n = 0;

    MUST_OBJ(s, SESSION_MAGIC);
    MUST(s->state == SESSION_IDLE);
    if (!may_answer(s) || known_answer(f->known, &asked, &hit) != RC_OK) {
        return;
    }
    if (conn_writev(s->conn, hit.iov, hit.iov_len, &n) != RC_OK ||
        n < hit.size) {
        f->begun = (struct begun){hit.entry, hit.size, n};
        return;
    }
    known_sent(f->worker, &s->stream, &hit, worker_now_us(f->worker));
    s->requests++;
    *first = slice_skip(*first, hit.head_len);
    session_place(s, &f->idle);
    session_arm(s);
}

void
session_resume_known(struct session *s)
{
    struct entry *entry = s->turn->begun.entry;

    MUST_OBJ(s, SESSION_MAGIC);
    MUST(s->state == SESSION_BUSY);
    s->turn->begun.entry = NULL;
    request_resume_hit(s->turn->request, entry);
}

void
session_learn(struct session *s)
{
    MUST_OBJ(s, SESSION_MAGIC);
    MUST(s->turn->request != NULL);
    known_learn(
        s->front->known, request_repeatable(s->turn->request), &s->known);
}
