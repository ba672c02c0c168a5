/*
 * Reading: the socket, and the heads that come by it.
 *
 * Everything is read into the turn's one buffer. A head is parsed there and
 * consumed as soon as the request has its own copy. What follows it is
 * content, which session_content.c decodes in place, or the beginning of the
 * next head. When the client is only to see our answer before the end, what
 * it still sends is read and dropped.
 */
#include "front/h1/session.h"

#include "nearside/base/log.h"
#include "nearside/http/refused.h"

enum {
    HEAD_READ = 4096,
    BODY_READ = 16384,
    LINGER_READ = 16384,
    /* Of a refused head, what the log is told from. */
    REFUSED_MAX = 16384,
};

/* --- heads ------------------------------------------------------------- */

static struct parse_opts
parse_opts_of(const struct front_worker *f)
{
    const struct proxy_conf *conf = f->worker->conf;
    const struct limits *limits = &conf->opts.limits;

    return (struct parse_opts){
        .head_max = limits->head_max,
        .target_max = limits->target_max,
        .field_max = limits->field_max,
        .name_max = limits->field_name_max,
        .fields_max = limits->fields_max,
        .default_host = slice_of_str(conf->opts.default_host),
        .known_host = slice_of(f->known_host, f->known_host_len),
    };
}

static bool
has_content(const struct head *head)
{
    return head->framing == FRAMING_CHUNKED ||
           (head->framing == FRAMING_LENGTH && head->content_length > 0);
}

/* raw: the bytes that the head's slices lie in. NULL: no memory. */
static struct request *
make_request(struct session *s, const struct head *head, struct slice raw)
{
    struct request_opts opts = {
        .question = {.head = head, .raw = raw, .has_body = has_content(head)},
        .start_us = s->turn->start_us,
    };

    MUST(s->turn->request == NULL);
    conn_peer(s->conn, &opts.question.peer);
    return request_new(session_worker(s), &s->stream, &opts);
}

struct request *
session_unread(struct session *s)
{
    static const struct head nothing = {.minor = 1};

    return make_request(s, &nothing, slice_of(NULL, 0));
}

/* The request stands for the head; NULL: no memory. */
static void
refuse(struct session *s, struct request *request, unsigned status,
    const char *detail, const char *fault)
{
    struct turn *turn = s->turn;

    MUST(s->state == SESSION_HEAD);
    turn->request = request;
    if (turn->request == NULL) {
        worker_count_limit(session_worker(s), LIMIT_MEMORY);
        session_end(s, true);
        return;
    }
    s->state = SESSION_BUSY;
    s->must_close = true;
    session_refuse_body(s);
    session_wants(s);
    request_refuse(turn->request, status, detail, fault);
}

void
session_refuse(struct session *s, unsigned status, const char *detail)
{
    refuse(s, session_unread(s), status, detail, NULL);
}

/* Somebody takes this port for one that speaks something else: whoever set that
   up looks into the log. */
static void
warn_of_protocol(struct session *s, enum parse_fault fault)
{
    struct front_worker *f = s->front;
    char shown[ADDRESS_TEXT_MAX];
    struct address peer;

    if (front_may_warn(f, &f->front->protocol_warn_ms)) {
        conn_peer(s->conn, &peer);
        log_event(f->worker->ring, LOG_LEVEL_WARN, "other_protocol",
            "cause=\"%s\" peer=\"%s\" cure=\"speak HTTP/1.1 to this port\"",
            fault_text(fault), address_host_text(&peer, shown));
    }
}

/* The head is malformed, or larger than a limit allows. */
static void
refuse_fault(struct session *s)
{
    static const struct {
        enum parse_fault fault;
        enum limit limit;
    } rows[] = {
        {FAULT_HEAD_LONG, LIMIT_HEAD_SIZE},
        {FAULT_FIELD_LONG, LIMIT_FIELD_SIZE},
        {FAULT_NAME_LONG, LIMIT_FIELD_NAME_SIZE},
        {FAULT_FIELDS_MANY, LIMIT_FIELDS},
        {FAULT_TARGET_LONG, LIMIT_TARGET_SIZE},
    };
    struct slice raw = buf_slice(&s->turn->buf);
    enum parse_fault fault = refused_as(raw, s->turn->parse.fault);
    struct head *head = &s->front->head;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].fault == fault) {
            worker_count_limit(session_worker(s), rows[i].limit);
        }
    }
    if (fault != s->turn->parse.fault) {
        warn_of_protocol(s, fault);
    }
    if (raw.len > REFUSED_MAX) {
        raw.len = REFUSED_MAX;
    }
    refused_read(raw, head);
    refuse(s, make_request(s, head, raw), fault_status(fault),
        fault_text(fault), fault_name(fault));
}

static void
count_request(struct session *s)
{
    unsigned max = session_limits(s)->requests_per_connection;

    s->requests++;
    if (max > 0 && s->requests >= max) {
        worker_count_limit(session_worker(s), LIMIT_REQUESTS);
        s->must_close = true;
    }
}

/* The head is whole. How does its content come? */
static void
begin_busy(struct session *s, const struct head *head, size_t head_len)
{
    struct turn *turn = s->turn;

    MUST(turn->in.state == BODY_NONE); /* all zero since turn_restart */
    s->state = SESSION_BUSY;
    s->must_close = s->must_close || !head->is_keep_alive;
    count_request(s);
    buf_consume(&turn->buf, head_len);
    if (has_content(head)) {
        turn->in.state = BODY_WAITING;
        turn->in.framing = head->framing;
        turn->in.left = head->content_length;
        chunk_start(&turn->in.chunk);
    }
    turn->is_http10 = head->minor == 0;
    turn->awaits_100 = head->expects_100;
    session_wants(s);
}

/* Most clients of a worker name the same host, and nobody names another from
   one request of a connection to the next. */
static void
know_host(struct front_worker *f, const struct head *head)
{
    struct slice host = head->host;

    if (head_has(head, FIELD_HOST) && host.len <= KNOWN_HOST_MAX &&
        !slice_eq(host, slice_of(f->known_host, f->known_host_len))) {
        slice_put(f->known_host, host);
        f->known_host_len = host.len;
    }
}

static void
session_begin(struct session *s, const struct head *head, size_t head_len)
{
    struct turn *turn = s->turn;
    struct slice raw = {buf_slice(&turn->buf).ptr, head_len};

    turn->request = make_request(s, head, raw);
    if (turn->request == NULL) {
        worker_count_limit(session_worker(s), LIMIT_MEMORY);
        if (turn->begun.entry != NULL) { /* no other answer can follow */
            session_end(s, true);
        } else {
            session_refuse(s, 503, "no-memory");
        }
        return;
    }
    begin_busy(s, head, head_len);
    if (turn->begun.entry != NULL) {
        session_resume_known(s);
    } else {
        request_start(turn->request);
    }
}

void
session_read_head(struct session *s)
{
    const struct parse_opts opts = parse_opts_of(s->front);
    struct head *head = &s->front->head;
    struct turn *turn = s->turn;
    size_t head_len;
    enum rc rc;

    MUST(s->state == SESSION_HEAD);
    MUST_OBJ(turn, TURN_MAGIC);
    rc = parse_request(
        &turn->parse, &opts, buf_slice(&turn->buf), head, &head_len);
    if (rc == RC_OK) {
        know_host(s->front, head);
        session_begin(s, head, head_len);
    } else if (rc != RC_AGAIN) {
        refuse_fault(s);
    } else if (s->is_eof) {
        /* Half a head and no more to come: nothing to answer. */
        session_end(s, false);
    }
}

/* --- the socket -------------------------------------------------------- */

/* Reads up to n bytes behind the buffer's end. */
static enum rc
read_more(struct session *s, struct turn *turn, size_t n)
{
    size_t room = turn->buf.max - buf_len(&turn->buf);
    char *to = buf_reserve(&turn->buf, n < room ? n : room);
    size_t got;
    enum rc rc;

    MUST_OBJ(turn, TURN_MAGIC);
    if (to == NULL) {
        worker_count_limit(session_worker(s), LIMIT_MEMORY);
        return RC_NOMEM;
    }
    rc = conn_read(s->conn, to, n < room ? n : room, &got);
    if (rc == RC_OK) {
        buf_commit(&turn->buf, got);
    }
    return rc;
}

/* The first bytes of a head have a turn from now on. False: no memory. */
static bool
take_turn(struct session *s, struct slice first)
{
    struct turn *turn = turn_take(s->front);

    MUST(s->turn == NULL);
    MUST(first.len > 0);
    /* What comes next of the head has room too. */
    if (turn != NULL && (buf_reserve(&turn->buf, FIRST_MAX) == NULL ||
                            buf_append(&turn->buf, first) != RC_OK)) {
        turn_put(s->front, &turn);
    }
    if (turn == NULL) {
        worker_count_limit(session_worker(s), LIMIT_MEMORY);
        entry_unref(&s->front->begun.entry);
        session_end(s, true);
        return false;
    }
    s->turn = turn;
    turn->begun = s->front->begun;
    s->front->begun = (struct begun){0};
    return true;
}

static void
begin_head(struct session *s, struct slice first)
{
    MUST(s->state == SESSION_IDLE);
    if (!take_turn(s, first)) {
        return;
    }
    s->state = SESSION_HEAD;
    if (s->is_fresh) {
        s->is_fresh = false;
        s->requests = 0;
    }
    session_place(s, &s->front->sessions);
    session_read_head(s);
    if (s->state == SESSION_HEAD) {
        session_arm(s);
    }
}

static void
read_first(struct session *s)
{
    char *to = s->front->first;
    struct slice first;
    size_t n;
    enum rc rc = conn_read(s->conn, to, FIRST_MAX, &n);

    MUST(s->turn == NULL);
    if (rc != RC_OK) {
        if (rc != RC_AGAIN) {
            session_end(s, false);
        }
        return;
    }
    first = slice_of(to, n);
    session_answer_known(s, &first);
    if (first.len > 0) {
        begin_head(s, first);
    }
}

static void
read_head(struct session *s)
{
    enum rc rc = read_more(s, s->turn, HEAD_READ);

    if (rc == RC_OK) {
        session_read_head(s);
    } else if (rc != RC_AGAIN) {
        session_end(s, rc != RC_CLOSED);
    }
}

/* The client may have ended only its half of the connection. That does not end
   a request whose content is complete, or of which no more is needed, since
   its answer has begun. */
static void
read_busy_end(struct session *s)
{
    const struct turn *turn = s->turn;

    if (turn->in.state == BODY_WANTED && turn->out.response == NULL) {
        session_end(s, true);
        return;
    }
    if (turn->in.state == BODY_WANTED) {
        session_refuse_body(s);
    }
    s->is_eof = true;
    session_wants(s);
}

/* Content, or what the client sends ahead, or what nobody takes. */
static void
read_busy(struct session *s)
{
    struct turn *turn = s->turn;
    bool is_ahead = turn->in.state == BODY_NONE;
    enum rc rc = read_more(s, turn, is_ahead ? HEAD_READ : BODY_READ);

    if (rc == RC_OK) {
        if (turn->in.state == BODY_WANTED) {
            session_pump_body(s);
        } else if (turn->in.state == BODY_REFUSED) {
            buf_clear(&turn->buf);
        }
        session_wants(s);
    } else if (rc == RC_CLOSED) {
        read_busy_end(s);
    } else if (rc != RC_AGAIN) {
        session_end(s, true);
    }
}

static void
read_linger(struct session *s)
{
    char bytes[LINGER_READ];
    size_t n;
    enum rc rc = conn_read(s->conn, bytes, sizeof(bytes), &n);

    MUST(s->turn == NULL);
    if (rc == RC_OK) {
        session_arm(s);
    } else if (rc != RC_AGAIN) {
        session_end(s, false);
    }
}

void
session_read(struct session *s)
{
    MUST_OBJ(s, SESSION_MAGIC);
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
