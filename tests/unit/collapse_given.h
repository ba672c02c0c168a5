/*
 * Flights between a real Redis and an origin whose answers the test writes by
 * hand: one flight at a time, those who wait for it, and what they are told.
 */
#ifndef TESTS_UNIT_COLLAPSE_GIVEN_H
#define TESTS_UNIT_COLLAPSE_GIVEN_H

#include "worker_given.h"

#include "nearside/body/fill.h"
#include "nearside/collapse/collapse.h"
#include "nearside/collapse/flight_run.h"
#include "nearside/origin/group.h"
#include "collapse/flight_inside.h"

struct bench {
    struct given g;
    struct collapse collapse;
    struct collapse_worker collapse_worker;
    struct metric_registry *origin_registry;
    struct origin_group *group;
    struct origin_pool *pool;
    int listen_fd;
    int fd; /* the connection of the last request; -1: none */
    char request[4096];
};

static inline void
bench_up_with(struct bench *b, int64_t command_timeout_ms)
{
    uint16_t port = port_pick();
    char server[64];
    const char *servers[] = {server};
    const struct origin_opts opts = {.name = "api",
        .servers = servers,
        .servers_len = 1,
        .connect_timeout_ms = PATIENCE_MS,
        .first_byte_timeout_ms = PATIENCE_MS,
        .between_bytes_timeout_ms = PATIENCE_MS,
        .idle_timeout_ms = PATIENCE_MS,
        .resolve_interval_ms = PATIENCE_MS,
        .idle_max = 4,
        .head_max = 32768,
        .fields_max = 100};

    *b = (struct bench){.fd = -1};
    given_worker(&b->g, command_timeout_ms);
    b->listen_fd = listener(port);
    fcntl(b->listen_fd, F_SETFL, O_NONBLOCK);
    snprintf(server, sizeof(server), "http://127.0.0.1:%u", port);
    b->origin_registry = metric_registry_new();
    assert_int_equal(origin_group_new(&opts, &b->group), RC_OK);
    origin_groups_measure(&b->group, 1, b->origin_registry);
    b->pool = origin_pool_new(
        b->group, b->g.rig.loop, NULL, metric_block_new(b->origin_registry));
    b->g.worker.pools = &b->pool;
    assert_int_equal(
        collapse_init(&b->collapse, 100, 0, b->g.worker.tier->written), RC_OK);
    collapse_worker_init(&b->collapse_worker, &b->collapse, &b->g.worker);
}

static inline void
bench_up(struct bench *b)
{
    bench_up_with(b, 5000);
}

static inline void
bench_down(struct bench *b)
{
    flight_runs_free(&b->g.worker);
    AWAIT(&b->g.rig, nothing_is_sent(&b->g.worker));
    loop_turn(b->g.rig.loop, 0);
    collapse_fini(&b->collapse); /* no flight is left */
    origin_pool_free(&b->pool);
    origin_group_free(&b->group);
    metric_registry_free(&b->origin_registry);
    if (b->fd >= 0) {
        close(b->fd);
    }
    close(b->listen_fd);
    worker_over(&b->g);
}

/* --- what is stored ---------------------------------------------------- */

static inline struct question *
given_stale(struct bench *b)
{
    struct question *q = given_question(&b->g.asking, "GET /a", "");
    struct value value = given_value(&b->g, q, "body", -1);

    given_stored(&b->g, q, value_slice(&value));
    value_free(&value);
    return q;
}

/* One that may be used while it is renewed. */
static inline struct question *
given_renewable(struct bench *b)
{
    struct question *q = given_question(&b->g.asking, "GET /a", "");
    int64_t now_ms = worker_wall_ms(&b->g.worker);
    const struct codec_parts parts = {.status = 200,
        .created_ms = now_ms - 2000,
        .fresh_until_ms = now_ms - 1000,
        .stale_until_ms = now_ms + 60000,
        .while_ms = 60000,
        .key = q->key.full,
        .fields = SLICE("etag: \"v1\"\r\n"),
        .body = SLICE("body")};
    struct value value;

    assert_int_equal(codec_encode(&parts, &value), RC_OK);
    given_stored(&b->g, q, value_slice(&value));
    value_free(&value);
    return q;
}

/* --- the origin -------------------------------------------------------- */

/* What the origin is sent, to the end of the head; on its one connection. */
static inline void
await_request(struct bench *b)
{
    size_t len = 0;

    b->request[0] = '\0';
    if (b->fd < 0) {
        AWAIT(&b->g.rig,
            (b->fd = accept4(b->listen_fd, NULL, NULL, SOCK_NONBLOCK)) >= 0);
    }
    while (strstr(b->request, "\r\n\r\n") == NULL) {
        ssize_t n;
        AWAIT(&b->g.rig, (n = read(b->fd, b->request + len,
                              sizeof(b->request) - 1 - len)) > 0);
        len += (size_t)n;
        b->request[len] = '\0';
    }
}

/* Has the origin been asked by now? Time is no proof; so the loop has turned
   until Redis has answered a question that was asked last. */
static inline bool
was_asked(struct bench *b)
{
    struct told t;
    int fd;

    for (int i = 0; i < 5; i++) {
        assert_int_equal(run(&b->g.rig, &t, "PING", PATIENCE_MS), RC_OK);
    }
    fd = accept4(b->listen_fd, NULL, NULL, SOCK_NONBLOCK);
    if (fd >= 0) {
        if (b->fd >= 0) {
            close(b->fd);
        }
        b->fd = fd;
    }
    return fd >= 0;
}

static inline void
say(struct bench *b, const char *status, const char *fields, const char *body)
{
    char text[4096];
    int n = snprintf(text, sizeof(text),
        "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s", status, fields,
        strlen(body), body);

    assert_int_equal(write(b->fd, text, (size_t)n), n);
}

#define FRESH "Cache-Control: max-age=60\r\n"

/* --- those who wait ---------------------------------------------------- */

struct waiting {
    struct flight_waiter waiter;
    struct flight_result result; /* its entry and fill are a reference each */
    unsigned times;
    unsigned interims;
    struct server *stops; /* when it is told; or NULL */
};

static inline void
on_result(void *ctx, const struct flight_result *result)
{
    struct waiting *w = ctx;

    w->times++;
    w->result = *result;
    if (result->entry != NULL) {
        entry_ref(result->entry);
    }
    if (result->fill != NULL) {
        fill_ref(result->fill);
    }
    if (w->stops != NULL) {
        server_stop(w->stops);
    }
    flight_unref(&w->waiter.flight);
}

static inline void
waiting_over(struct waiting *w)
{
    entry_unref(&w->result.entry);
    fill_unref(&w->result.fill);
}

static inline struct waiting
waiting_of(struct bench *b, struct waiting *w)
{
    return (struct waiting){
        .waiter = {.loop = b->g.rig.loop, .on_result = on_result, .ctx = w}};
}

static inline enum flight_entry
enter(struct bench *b, struct question *q, struct waiting *w)
{
    struct flight *own;

    *w = waiting_of(b, w);
    return flight_enter(
        b->collapse.flights, &q->key, question_form(q), &w->waiter, &own);
}

static inline void
fly(struct bench *b, struct question *q, struct waiting *w)
{
    assert_int_equal(enter(b, q, w), FLIGHT_OPENED);
    flight_run_start(&b->g.worker, q, w->waiter.flight,
        &(struct flight_run_opts){.wait_until_ms = INT64_MAX});
}

/* A bench whose one flight has asked the origin for /a. */
static inline struct question *
given_asked(struct bench *b, struct waiting *w)
{
    struct question *q;

    bench_up(b);
    q = given_question(&b->g.asking, "GET /a", "");
    fly(b, q, w);
    await_request(b);
    return q;
}

/* When all is over, nobody but whoever waited has kept what was told. */
static inline void
asked_over(struct bench *b, struct question **q, struct waiting *w)
{
    fill_unref(&w->result.fill);
    question_unref(q);
    bench_down(b);
    if (w->result.entry != NULL) {
        assert_int_equal(atomic_load(&w->result.entry->refs), 1);
        entry_unref(&w->result.entry);
    }
}

static inline void
await_told(struct bench *b, const struct waiting *w)
{
    AWAIT(&b->g.rig, w->times > 0);
    assert_int_equal(w->times, 1);
}

static inline void
await_no_run(struct bench *b)
{
    AWAIT(&b->g.rig, list_is_empty(&b->g.worker.collapse->runs));
    AWAIT(&b->g.rig, nothing_is_sent(&b->g.worker));
    assert_int_equal(flight_table_len(b->collapse.flights), 0);
}

#endif
