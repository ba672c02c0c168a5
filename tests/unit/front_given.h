/*
 * The front without requests: sessions on socket pairs, a loop whose time the
 * test moves, and a stand-in for each request, which notes what it is told and
 * answers when the test says so. The functions of request.h are defined here,
 * and so stand before those of their room. Who calls is in caller_given.h.
 */
#ifndef TESTS_UNIT_FRONT_GIVEN_H
#define TESTS_UNIT_FRONT_GIVEN_H

#include "front/h1/session.h"

#include <errno.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "heap.h"
#include "../support/clock_advance.h"
#include "limits_given.h"
#include "nearside/body/source.h"
#include "nearside/known/known.h"
#include "net/loop_inside.h"

enum {
    REQUESTS_MAX = 64,
    SIDES = 2,
    GOT_MAX = 1 << 20,
    /* Of a wait for what the kernel does. */
    PATIENCE_S = 20,
};

/* How it ended. */
enum request_end {
    REQUEST_OPEN,
    REQUEST_SENT,
    REQUEST_GONE,
};

/* The stand-in. */
struct request {
    struct stream *stream;
    struct address peer;
    int64_t start_us;
    char asks[64]; /* "GET /a" */
    bool has_content;
    bool is_started;
    bool is_repeatable;
    unsigned refused; /* the status; 0: it is not */
    const char *detail;
    const char *fault;
    size_t credit; /* of content that it takes */
    char content[256];
    size_t content_len; /* also of what had no room here */
    unsigned content_ends;
    unsigned failed; /* its content; the status */
    unsigned blocked;
    struct response response;
    struct source source;
    bool has_other; /* an answer, if its source fails before it is seen */
    enum request_end end;
    uint64_t body_bytes;
};

/* A worker of the process; the loop is one for all. */
struct side {
    struct worker worker;
    struct front_worker *front;
    unsigned empties;
};

struct front_bench {
    struct proxy_conf_opts opts;
    struct proxy_conf *conf;
    struct front_opts front_opts;
    struct metric_registry *registry;
    struct work_metrics metrics;
    struct loop *loop;
    struct front *front;
    struct side sides[SIDES];
    struct side *side; /* the first */
    struct address peer;
    struct request requests[REQUESTS_MAX];
    unsigned requests_len;
    const char *known; /* what GET_KNOWN is answered at once; NULL: nothing */
    struct entry *known_entry;             /* a reference */
    unsigned known_asked;                  /* so often it was asked for, */
    unsigned known_sent;                   /* has left at once, */
    unsigned known_resumed;                /* and has not */
    unsigned requests_refused;             /* so many are not to be had */
    void (*on_start)(struct request *r);   /* or NULL */
    void (*on_content)(struct request *r); /* or NULL */
    void (*on_sent)(struct request *r);    /* or NULL */
    ssize_t room; /* bytes that leave, then the socket is full; -1: the kernel
                     decides */
    bool is_sink; /* all leaves, and no client reads it */
    unsigned writes;
};

static struct front_bench bench;

/* --- the socket -------------------------------------------------------- */

/* Stand before the kernel's. */
ssize_t
send(int fd, const void *bytes, size_t len, int flags)
{
    bench.writes++;
    if (bench.is_sink) {
        return (ssize_t)len;
    }
    if (bench.room < 0) {
        return sendto(fd, bytes, len, flags, NULL, 0);
    }
    if (bench.room == 0) {
        errno = EAGAIN;
        return -1;
    }
    len = len < (size_t)bench.room ? len : (size_t)bench.room;
    bench.room -= (ssize_t)len;
    return sendto(fd, bytes, len, flags, NULL, 0);
}

ssize_t
sendmsg(int fd, const struct msghdr *all, int flags)
{
    static char bytes[GOT_MAX];
    size_t len = 0;

    for (size_t i = 0; i < all->msg_iovlen; i++) {
        assert_true(all->msg_iov[i].iov_len <= sizeof(bytes) - len);
        memcpy(bytes + len, all->msg_iov[i].iov_base, all->msg_iov[i].iov_len);
        len += all->msg_iov[i].iov_len;
    }
    return send(fd, bytes, len, flags);
}

/* --- the request ------------------------------------------------------- */

static inline struct request *
last_request(void)
{
    assert_true(bench.requests_len > 0);
    return &bench.requests[bench.requests_len - 1];
}

struct request *
request_new(struct worker *worker, struct stream *stream,
    const struct request_opts *opts)
{
    const struct head *head = opts->question.head;
    struct slice raw = opts->question.raw;
    struct request *r;

    assert_int_equal(worker->magic, WORKER_MAGIC);
    if (bench.requests_refused > 0) {
        bench.requests_refused--;
        return NULL;
    }
    assert_true(bench.requests_len < REQUESTS_MAX);
    r = &bench.requests[bench.requests_len++];
    *r = (struct request){.stream = stream,
        .peer = opts->question.peer,
        .start_us = opts->start_us,
        .has_content = opts->question.has_body};
    snprintf(r->asks, sizeof(r->asks), "%.*s %.*s",
        SLICE_FMT(head->method_text), SLICE_FMT(head->target));
    if (head->method_text.len > 0) {
        assert_true(head->method_text.ptr >= raw.ptr);
        assert_true(head->target.ptr + head->target.len <= raw.ptr + raw.len);
    }
    return r;
}

void
request_start(struct request *r)
{
    assert_false(r->is_started);
    r->is_started = true;
    if (bench.on_start != NULL) {
        bench.on_start(r);
    }
}

/* --- what is known without a request ----------------------------------- */

#define GET_KNOWN "GET /known HTTP/1.1\r\nHost: a.example\r\n\r\n"

enum rc
known_answer(
    struct known *known, const struct known_asked *asked, struct known_hit *out)
{
    assert_non_null(known);
    assert_int_equal(asked->worker->magic, WORKER_MAGIC);
    assert_int_equal(asked->client->kind, 1);
    bench.known_asked++;
    if (bench.known == NULL || !slice_starts(asked->in, SLICE(GET_KNOWN))) {
        return RC_MISS;
    }
    out->size = strlen(bench.known);
    out->iov_len = 2;
    out->iov[0] = (struct iovec){(char *)(uintptr_t)bench.known, 10};
    out->iov[1] =
        (struct iovec){(char *)(uintptr_t)bench.known + 10, out->size - 10};
    out->head_len = SLICE(GET_KNOWN).len;
    out->entry = entry_ref(bench.known_entry);
    return RC_OK;
}

void
known_sent(struct worker *w, const struct stream *stream, struct known_hit *hit,
    int64_t start_us)
{
    assert_int_equal(w->magic, WORKER_MAGIC);
    assert_non_null(stream->ops->peer);
    assert_int_equal(start_us, worker_now_us(w));
    bench.known_sent++;
    entry_unref(&hit->entry);
}

/* Any but NULL: the stand-in of known_learn looks no further. */
struct question *
request_repeatable(const struct request *r)
{
    return r->is_repeatable ? (struct question *)(uintptr_t)r : NULL;
}

void
known_learn(
    struct known *known, struct question *q, struct known_client *client)
{
    assert_non_null(known);
    client->kind = q != NULL ? 1 : client->kind;
}

/* It is of the room whose functions stand here. */
struct known *
known_new(void)
{
    return malloc(1);
}

void
known_free(struct known **known)
{
    free(*known);
    *known = NULL;
}

void
request_resume_hit(struct request *r, struct entry *own_entry)
{
    assert_ptr_equal(own_entry, bench.known_entry);
    entry_unref(&own_entry);
    bench.known_resumed++;
    request_start(r);
}

size_t
request_on_body(struct request *r, struct slice data)
{
    size_t taken = data.len < r->credit ? data.len : r->credit;

    assert_int_equal(r->end, REQUEST_OPEN);
    assert_int_equal(r->content_ends, 0);
    assert_int_equal(r->failed, 0);
    assert_true(data.len > 0);
    if (r->content_len + taken < sizeof(r->content)) {
        memcpy(r->content + r->content_len, data.ptr, taken);
    }
    r->content_len += taken;
    r->credit -= taken;
    if (bench.on_content != NULL) {
        bench.on_content(r);
    }
    return taken;
}

void
request_on_body_end(struct request *r)
{
    assert_int_equal(r->end, REQUEST_OPEN);
    assert_int_equal(r->failed, 0);
    r->content_ends++;
}

/* An answer without a body, which does not ask for an end. */
static inline void
answer_bare(struct request *r, unsigned status)
{
    r->response =
        (struct response){.status = status, .fields = SLICE("x: 1\r\n")};
    r->stream->ops->respond(r->stream, &r->response);
}

void
request_on_body_failed(struct request *r, unsigned status)
{
    assert_int_equal(r->end, REQUEST_OPEN);
    assert_int_equal(r->failed, 0);
    assert_int_equal(r->response.status, 0);
    r->failed = status;
    answer_bare(r, status);
}

static inline void
request_over(struct request *r, enum request_end end, uint64_t body_bytes)
{
    assert_int_equal(r->end, REQUEST_OPEN);
    r->end = end;
    r->body_bytes = body_bytes;
    source_close(&r->source);
}

void
request_on_sent(struct request *r, uint64_t body_bytes)
{
    request_over(r, REQUEST_SENT, body_bytes);
    if (bench.on_sent != NULL) {
        bench.on_sent(r);
    }
}

void
request_on_gone(struct request *r, uint64_t body_bytes)
{
    request_over(r, REQUEST_GONE, body_bytes);
}

bool
request_on_source_failed(struct request *r)
{
    assert_int_equal(r->end, REQUEST_OPEN);
    if (r->has_other) {
        source_close(&r->source);
        answer_bare(r, 502);
    }
    return r->has_other;
}

void
request_on_blocked(struct request *r)
{
    assert_int_equal(r->end, REQUEST_OPEN);
    r->blocked++;
}

void
request_refuse(
    struct request *r, unsigned status, const char *detail, const char *fault)
{
    assert_false(r->is_started);
    r->refused = status;
    r->detail = detail;
    r->fault = fault;
    answer_bare(r, status);
}

/* --- what it does ------------------------------------------------------ */

static inline void
want(struct request *r, size_t credit)
{
    r->credit = credit;
    r->stream->ops->want_body(r->stream);
}

static inline void
interim(struct request *r, unsigned status, const char *fields)
{
    r->stream->ops->interim(r->stream, status, slice_of_str(fields));
}

/* With that body and its length. */
static inline void
answer(struct request *r, const char *body)
{
    source_of_bytes(&r->source, slice_of_str(body));
    r->response = (struct response){.status = 200,
        .fields = SLICE("x: 1\r\n"),
        .extra = SLICE("y: 2\r\n"),
        .has_length = true,
        .length = strlen(body),
        .has_body = true,
        .source = &r->source};
    r->stream->ops->respond(r->stream, &r->response);
}

/* A body under way; one reference. */
static inline struct fill *
given_fill(void)
{
    const struct response_head head = {.status = 200};
    const struct fill_opts opts = {.window = 4 << 20, .held_max = 4 << 20};
    struct fill *fill = fill_new(bench.loop, &head, &opts);

    assert_non_null(fill);
    return fill;
}

static inline void
append(struct fill *fill, const char *text)
{
    assert_int_equal(fill_append(fill, slice_of_str(text)), strlen(text));
}

/* With the fill's body. length -1: it is not known. */
static inline void
answer_fill(struct request *r, struct fill *fill, int64_t length)
{
    assert_int_equal(source_of_fill(&r->source, fill, bench.loop), RC_OK);
    r->response = (struct response){.status = 200,
        .fields = SLICE("x: 1\r\n"),
        .has_length = length >= 0,
        .length = length >= 0 ? (uint64_t)length : 0,
        .has_body = true,
        .source = &r->source};
    r->stream->ops->respond(r->stream, &r->response);
}

/* --- life -------------------------------------------------------------- */

static inline void
on_side_empty(void *ctx)
{
    ((struct side *)ctx)->empties++;
}

static inline void
side_up(struct side *side, unsigned index)
{
    side->worker = (struct worker){.magic = WORKER_MAGIC,
        .index = index,
        .time = &shared_time_own,
        .loop = bench.loop,
        .block = metric_block_new(bench.registry),
        .metrics = &bench.metrics,
        .conf = bench.conf};
    side->front =
        front_worker_new(bench.front, &side->worker, on_side_empty, side);
    assert_non_null(side->front);
}

static inline struct limits *
limits(void)
{
    return &bench.conf->opts.limits;
}

/* Limits may be changed after it; what is in front_opts is set before. */
static inline void
front_up(const struct front_opts *opts)
{
    bench.front = front_new(opts);
    assert_non_null(bench.front);
    for (unsigned i = 0; i < opts->workers; i++) {
        side_up(&bench.sides[i], i);
    }
}

static inline void
bench_up(void)
{
    static const struct slice names[] = {{"api", 3}};
    static const struct slice hosts[] = {{NULL, 0}};

    bench = (struct front_bench){.opts = {.groups_len = 1,
                                     .group_names = names,
                                     .group_hosts = hosts,
                                     .prefix = "ns:",
                                     .via = "near",
                                     .limits = limits_given()},
        .side = &bench.sides[0],
        .room = -1};
    bench.conf = proxy_conf_new(&bench.opts);
    assert_non_null(bench.conf);
    bench.registry = metric_registry_new();
    work_metrics_add(&bench.metrics, bench.registry);
    bench.loop = loop_new();
    assert_non_null(bench.loop);
    /* It stands still at a tick of the wheel, so that a limit of whole ticks is
       met to the millisecond. */
    bench.loop->clock.is_manual = true;
    bench.loop->clock.mono_us -= bench.loop->clock.mono_us % 4000;
    assert_int_equal(address_of(SLICE("192.0.2.1"), 4000, &bench.peer), RC_OK);
}

static inline void
bench_down(void)
{
    for (unsigned i = 0; i < SIDES; i++) {
        if (bench.sides[i].front != NULL) {
            front_worker_stop(bench.sides[i].front);
        }
    }
    loop_turn(bench.loop, 0);
    for (unsigned i = 0; i < SIDES; i++) {
        front_worker_free(&bench.sides[i].front);
    }
    front_free(&bench.front);
    loop_free(&bench.loop);
    metric_registry_free(&bench.registry);
    proxy_conf_unref(&bench.conf);
    for (unsigned i = 0; i < bench.requests_len; i++) {
        assert_int_not_equal(bench.requests[i].end, REQUEST_OPEN);
    }
}

static inline int
setup(void **state)
{
    const struct front_opts opts = {.connections_max = 100, .workers = 1};

    (void)state;
    heap_begins();
    bench_up();
    front_up(&opts);
    return 0;
}

static inline int
teardown(void **state)
{
    (void)state;
    bench_down();
    heap_ends();
    return 0;
}

#define FRONT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* --- the loop ---------------------------------------------------------- */

static inline void
turns(void)
{
    for (int i = 0; i < 6; i++) {
        loop_turn(bench.loop, 0);
    }
}

/* Time goes by, and what is due by then happens. */
static inline void
pass(int64_t ms)
{
    clock_advance(&bench.loop->clock, ms);
    event_active(&bench.loop->wheel.event, EV_TIMEOUT, 1);
    turns();
}

static inline int64_t
real_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* Turns the loop until the kernel has brought it about. */
#define UNTIL(condition)                                                       \
    do {                                                                       \
        int64_t until_s_ = real_s() + PATIENCE_S;                              \
        while (!(condition)) {                                                 \
            assert_true(real_s() < until_s_);                                  \
            loop_turn(bench.loop, 1);                                          \
        }                                                                      \
    } while (0)

struct wants {
    int fd;
    short what;
};

static inline int
note_wants(const struct event_base *base, const struct event *event, void *ctx)
{
    struct wants *wants = ctx;

    (void)base;
    if (event_get_fd(event) == wants->fd) {
        wants->what |= event_get_events(event);
    }
    return 0;
}

/* Does the loop wait for it: EV_READ, EV_WRITE? */
static inline bool
is_awaited(int fd, short what)
{
    struct wants wants = {.fd = fd};

    event_base_foreach_event(bench.loop->base, note_wants, &wants);
    return (wants.what & what) != 0;
}

#endif
