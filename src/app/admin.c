/*
 * The server behind /livez, /readyz, /metrics and /status: one request a
 * connection, then it closes.
 *
 *     HEAD ---> ANSWER ---> LINGER ---> DEAD
 *       '---------'------------'---------^
 *
 * Laws: all on the loop's thread. A client has one timer and, while it
 * lives, exactly one thing to wait for: bytes of a head, room for an
 * answer, or the other side's end. Nothing dies inside its own callback:
 * client_end closes the connection and a task frees the rest at the end of
 * the turn.
 *
 * Bounds: CLIENTS_MAX connections. Beyond, whoever comes takes the place of
 * one that has no answer under way, first of the one that has been silent
 * longest: a probe must not wait for clients that want nothing. While all are
 * being answered, or have only just come, the others wait in the kernel's
 * queue. HEAD_IN bytes are read, ADMIN_BODY_MAX bytes made. An answer is made
 * once and written as the socket takes it.
 */
#include "nearside/app/admin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/admin_answer.h"
#include "nearside/base/log.h"
#include "nearside/http/parse.h"
#include "nearside/http/refused.h"
#include "nearside/net/listen.h"

#define ADMIN_MAGIC  UINT32_C(0x6e61646d)
#define CLIENT_MAGIC UINT32_C(0x6e61636c)

enum {
    CLIENTS_MAX = 64, /* probes and a few scrapers; not a public service */
    HEAD_IN = 8192,
    HEAD_MS = 5000,
    /* A client that has said nothing for so long gives way to others. A probe
       speaks at once, and waits for a second or more. */
    SPEAK_MS = 100,
    ANSWER_MS = 10000,
    /* A client that is still sending would take a close for a reset and
       lose the answer, so it is heard out for a while. */
    LINGER_MS = 1000,
    LINGER_BYTES = 65536,
};

enum client_state {
    CLIENT_HEAD,   /* reads a head; ANSWER, or DEAD when it never comes */
    CLIENT_ANSWER, /* writes; LINGER when all is out, DEAD on failure */
    CLIENT_LINGER, /* drops what comes; DEAD at its end */
    CLIENT_DEAD,   /* closed; freed at the end of the turn */
};

struct client {
    uint32_t magic;
    enum client_state state;
    struct admin *admin;
    struct list link;  /* of admin->clients, until freed */
    struct conn *conn; /* owned; NULL when DEAD */
    struct loop_timer timer;
    int64_t speak_until_ms;
    struct loop_task burial;
    struct parse parse;
    size_t in_len;
    size_t sent;     /* of head and body together */
    size_t lingered; /* bytes dropped */
    struct admin_answer answer;
    char in[HEAD_IN];
};

struct admin {
    uint32_t magic;
    struct admin_asked asked;
    struct loop *loop;
    struct log_ring *ring;
    struct acceptor *acceptor;
    struct loop_timer again; /* while it is paused: looks for a place */
    struct list clients;     /* the dead included */
    unsigned clients_len;    /* without the dead */
};

/* --- the end of a client ------------------------------------------------- */

static void
client_free(struct client *c)
{
    loop_task_cancel(&c->burial);
    loop_timer_cancel(&c->timer);
    list_remove(&c->link);
    conn_close(&c->conn);
    admin_answer_fini(&c->answer);
    c->magic = 0;
    free(c);
}

static void
on_burial(void *ctx)
{
    struct client *c = OBJ_OF(struct client, ctx, CLIENT_MAGIC);

    MUST(c->state == CLIENT_DEAD);
    client_free(c);
}

static void
client_end(struct client *c)
{
    struct admin *admin = c->admin;

    MUST(c->state != CLIENT_DEAD);
    MUST(admin->clients_len > 0);
    c->state = CLIENT_DEAD;
    conn_close(&c->conn);
    loop_timer_cancel(&c->timer);
    loop_defer(admin->loop, &c->burial);
    admin->clients_len--;
    acceptor_pause(admin->acceptor, false);
}

/* --- the answer ---------------------------------------------------------- */

static void
client_linger(struct client *c)
{
    MUST(c->state == CLIENT_ANSWER);
    c->state = CLIENT_LINGER;
    conn_shutdown_write(c->conn);
    conn_want_write(c->conn, false);
    conn_want_read(c->conn, true);
    loop_timer_arm(&c->timer, loop_now_ms(c->admin->loop) + LINGER_MS);
    acceptor_pause(c->admin->acceptor, false); /* it may give way now */
}

static struct iovec
iovec_of(struct slice s)
{
    return (struct iovec){(char *)(uintptr_t)s.ptr, s.len};
}

/* One write a turn: the others are to have theirs. */
static void
client_write(struct client *c)
{
    const struct admin_answer *a = &c->answer;
    size_t len = a->head_len + buf_len(&a->body);
    struct slice head = slice_skip(slice_of(a->head, a->head_len), c->sent);
    size_t head_sent = a->head_len - head.len;
    struct slice body = slice_skip(buf_slice(&a->body), c->sent - head_sent);
    const struct iovec rest[] = {iovec_of(head), iovec_of(body)};
    size_t n = 0;
    enum rc rc = conn_writev(c->conn, rest, ARRAY_LEN(rest), &n);

    if (rc != RC_OK && rc != RC_AGAIN) {
        client_end(c);
        return;
    }
    c->sent += n;
    MUST(c->sent <= len);
    if (c->sent == len) {
        client_linger(c);
    } else {
        conn_want_write(c->conn, true);
    }
}

/* The answer is made; from here on the client only listens. */
static void
client_answer(struct client *c)
{
    MUST(c->state == CLIENT_HEAD);
    MUST(c->answer.head_len > 0);
    c->state = CLIENT_ANSWER;
    conn_want_read(c->conn, false);
    loop_timer_arm(&c->timer, loop_now_ms(c->admin->loop) + ANSWER_MS);
    client_write(c);
}

static int64_t
client_wall_ms(const struct client *c)
{
    return clock_wall_ms(loop_clock(c->admin->loop));
}

static const char *
client_from(const struct client *c, char out[ADDRESS_TEXT_MAX])
{
    struct address peer;

    conn_peer(c->conn, &peer);
    return address_host_text(&peer, out);
}

static void
client_refuse(struct client *c, unsigned status, const char *why)
{
    char from[ADDRESS_TEXT_MAX];

    log_event(c->admin->ring, LOG_LEVEL_INFO, "admin_refused",
        "status=%u cause=\"%s\" peer=\"%s\"", status, why,
        client_from(c, from));
    admin_answer_refusal(&c->answer, status, why, client_wall_ms(c));
    client_answer(c);
}

/* --- the head ------------------------------------------------------------ */

static void
client_parse(struct client *c)
{
    /* HTTP/1.0 probes send no Host; browsers, who could be misled, do. */
    static const struct parse_opts opts = {
        .head_max = HEAD_IN,
        .default_host = {"localhost", sizeof("localhost") - 1},
    };
    struct head head;
    size_t head_len;
    enum rc rc = parse_request(
        &c->parse, &opts, slice_of(c->in, c->in_len), &head, &head_len);

    if (rc == RC_OK) {
        admin_answer_request(
            &c->answer, &c->admin->asked, &head, client_wall_ms(c));
        client_answer(c);
    } else if (rc != RC_AGAIN) {
        enum parse_fault fault =
            refused_as(slice_of(c->in, c->in_len), c->parse.fault);
        client_refuse(c, fault_status(fault), fault_text(fault));
    }
}

static void
client_read_head(struct client *c)
{
    size_t n;
    enum rc rc;

    /* The parser refuses a head that fills the room without ending. */
    MUST(c->in_len < sizeof(c->in));
    rc = conn_read(c->conn, c->in + c->in_len, sizeof(c->in) - c->in_len, &n);
    if (rc == RC_OK) {
        c->in_len += n;
        client_parse(c);
    } else if (rc != RC_AGAIN) {
        client_end(c);
    }
}

static void
client_read_linger(struct client *c)
{
    size_t n;
    /* The head is answered: its room is free. */
    enum rc rc = conn_read(c->conn, c->in, sizeof(c->in), &n);

    if (rc == RC_OK) {
        c->lingered += n;
    }
    if ((rc != RC_OK && rc != RC_AGAIN) || c->lingered > LINGER_BYTES) {
        client_end(c);
    }
}

/* --- events -------------------------------------------------------------- */

static void
on_readable(void *ctx)
{
    struct client *c = OBJ_OF(struct client, ctx, CLIENT_MAGIC);

    MUST(c->state == CLIENT_HEAD || c->state == CLIENT_LINGER);
    if (c->state == CLIENT_HEAD) {
        client_read_head(c);
    } else {
        client_read_linger(c);
    }
}

static void
on_writable(void *ctx)
{
    struct client *c = OBJ_OF(struct client, ctx, CLIENT_MAGIC);

    MUST(c->state == CLIENT_ANSWER);
    client_write(c);
}

static const struct conn_callbacks client_callbacks = {
    .on_readable = on_readable,
    .on_writable = on_writable,
};

static void
on_timer(void *ctx)
{
    struct client *c = OBJ_OF(struct client, ctx, CLIENT_MAGIC);

    switch (c->state) {
    case CLIENT_HEAD:
        if (c->in_len > 0) {
            client_refuse(c, 408, "head timeout");
        } else {
            client_end(c); /* a probe that only connects wants no answer */
        }
        break;
    case CLIENT_ANSWER:
        /* With a reset: what was sent is not all there is. */
        conn_abort(&c->conn);
        client_end(c);
        break;
    case CLIENT_LINGER:
        client_end(c);
        break;
    case CLIENT_DEAD:
        MUST(c->state != CLIENT_DEAD); /* its timer was cancelled */
        break;
    }
}

/* --- the listener -------------------------------------------------------- */

/* In which order clients give way to a new one; 0: this one does not. */
static unsigned
readiness_to_go(const struct client *c)
{
    switch (c->state) {
    case CLIENT_HEAD:
        if (c->in_len > 0) {
            return 1; /* half a head */
        }
        return loop_now_ms(c->admin->loop) >= c->speak_until_ms &&
                       conn_is_quiet(c->conn)
                   ? 3
                   : 0;
    case CLIENT_LINGER:
        return 2; /* it has been answered */
    case CLIENT_ANSWER:
    case CLIENT_DEAD:
        break;
    }
    return 0;
}

/* Who gives way next: of those who are alike, who came first. NULL: nobody. */
static struct client *
first_to_go(struct admin *admin)
{
    struct client *found = NULL;
    unsigned best = 0;

    LIST_EACH (link, &admin->clients) {
        struct client *c = CONTAINER_OF(link, struct client, link);
        unsigned readiness = readiness_to_go(c);
        if (readiness > best) {
            best = readiness;
            found = c;
        }
    }
    return found;
}

/* Is there a place for one more, now that one has been made if need be? */
static bool
make_place(struct admin *admin)
{
    struct client *gone;
    char from[ADDRESS_TEXT_MAX];

    if (admin->clients_len < CLIENTS_MAX) {
        return true;
    }
    gone = first_to_go(admin);
    if (gone == NULL) {
        return false;
    }
    log_event(admin->ring, LOG_LEVEL_WARN, "admin_full",
        "connections=%u gone=\"%s\"", admin->clients_len,
        client_from(gone, from));
    client_end(gone);
    return true;
}

/* Accepts while there is a place, or one that can be made. */
static void
go_on(struct admin *admin)
{
    bool is_full =
        admin->clients_len == CLIENTS_MAX && first_to_go(admin) == NULL;

    acceptor_pause(admin->acceptor, is_full);
    if (is_full) {
        loop_timer_arm(&admin->again, loop_now_ms(admin->loop) + SPEAK_MS);
    }
}

static void
on_again(void *ctx)
{
    go_on(OBJ_OF(struct admin, ctx, ADMIN_MAGIC));
}

static void
client_start(struct client *c)
{
    struct admin *admin = c->admin;

    list_push_back(&admin->clients, &c->link);
    loop_task_init(&c->burial, on_burial, c);
    loop_timer_init(&c->timer, admin->loop, on_timer, c);
    parse_start(&c->parse);
    admin_answer_init(&c->answer);
    loop_timer_arm(&c->timer, loop_now_ms(admin->loop) + HEAD_MS);
    c->speak_until_ms = loop_now_ms(admin->loop) + SPEAK_MS;
    conn_want_read(c->conn, true);
    admin->clients_len++;
    MUST(admin->clients_len <= CLIENTS_MAX);
    go_on(admin);
}

static void
on_accept(void *ctx, int own_fd, const struct address *peer)
{
    struct admin *admin = OBJ_OF(struct admin, ctx, ADMIN_MAGIC);
    /* Who could give way may just have spoken: else the acceptor is paused. */
    struct client *c = make_place(admin) ? malloc(sizeof(*c)) : NULL;

    if (c == NULL) {
        close(own_fd);
        return;
    }
    memset(c, 0, offsetof(struct client, in));
    c->magic = CLIENT_MAGIC;
    c->admin = admin;
    c->conn = conn_new(admin->loop, own_fd, &client_callbacks, c);
    if (c->conn == NULL) {
        free(c);
        return;
    }
    conn_set_peer(c->conn, peer);
    client_start(c);
}

static void
on_exhausted(void *ctx)
{
    struct admin *admin = OBJ_OF(struct admin, ctx, ADMIN_MAGIC);

    log_event(admin->ring, LOG_LEVEL_WARN, "admin_accept_failed",
        "cause=\"%s\"", strerrordesc_np(errno));
}

static const struct acceptor_callbacks acceptor_callbacks = {
    .on_accept = on_accept,
    .on_exhausted = on_exhausted,
};

struct admin *
admin_new(struct loop *loop, int fd, enum admin_kind kind,
    const struct admin_sources *sources, struct log_ring *ring)
{
    struct admin *admin = calloc(1, sizeof(*admin));
    struct address bound;

    MUST(sources->registry != NULL);
    MUST(sources->is_ready != NULL);
    MUST(kind == ADMIN_METRICS || sources->status != NULL);
    if (admin == NULL) {
        return NULL;
    }
    admin->magic = ADMIN_MAGIC;
    admin->asked = (struct admin_asked){
        .kind = kind,
        .is_unix = address_of_socket(fd, &bound) == RC_OK &&
                   bound.u.any.sa_family == AF_UNIX,
        .sources = sources,
    };
    admin->loop = loop;
    admin->ring = ring;
    list_init(&admin->clients);
    loop_timer_init(&admin->again, loop, on_again, admin);
    admin->acceptor = acceptor_new(loop, fd, &acceptor_callbacks, admin);
    if (admin->acceptor == NULL) {
        admin->magic = 0;
        free(admin);
        return NULL;
    }
    return admin;
}

void
admin_free(struct admin **padmin)
{
    struct admin *admin = *padmin;

    if (admin == NULL) {
        return;
    }
    MUST_OBJ(admin, ADMIN_MAGIC);
    *padmin = NULL;
    LIST_EACH (link, &admin->clients) {
        client_free(CONTAINER_OF(link, struct client, link));
    }
    acceptor_free(&admin->acceptor);
    loop_timer_cancel(&admin->again);
    admin->magic = 0;
    free(admin);
}
