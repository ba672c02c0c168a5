/*
 * A request without a client's socket: a stream that only notes what it is
 * told, a worker without Redis, flights that the test flies, and an origin
 * that takes connections and says what the test writes. The routes are those
 * of rules_given.h; a test may change them, and the limits, before it makes a
 * request.
 */
#ifndef TESTS_UNIT_REQUEST_GIVEN_H
#define TESTS_UNIT_REQUEST_GIVEN_H

#include "request/use_stored.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "heap.h"
#include "nearside/collapse/collapse.h"
#include "nearside/collapse/flight_run.h"
#include "../support/listening.h"
#include "nearside/origin/group.h"
#include "nearside/tier/tier.h"
#include "rules_given.h"

enum {
    FLIGHTS_MAX = 10,
};

struct bench {
    struct rules rules;
    struct metric_registry *registry;
    struct work_metrics metrics;
    struct collapse collapse;
    struct collapse_worker collapse_worker;
    struct tier tier;
    struct tier_worker tier_worker;
    struct requests *requests;
    struct worker worker;
    struct fill_credit credit;
    struct stream stream;
    unsigned responses;
    unsigned aborts;
    unsigned wants; /* of content */
    const struct response *response;
    char interim[256]; /* the fields of the last one */
    int listen_fd;
    int fd; /* the origin's end of its last connection; -1: none */
    char asked[4096];
    struct origin_group *group;
    struct origin_pool *pools[GROUPS]; /* all the same one */
    bool dies;                         /* when it is told the answer */
};

static struct bench bench;

static inline void
on_respond(struct stream *stream, const struct response *response)
{
    assert_ptr_equal(stream, &bench.stream);
    MUST(!bench.dies);
    bench.responses++;
    bench.response = response;
}

static inline void
on_abort(struct stream *stream)
{
    assert_ptr_equal(stream, &bench.stream);
    bench.aborts++;
}

static inline void
on_no_deletion(void *ctx)
{
    (void)ctx;
}

static inline void
on_stream_interim(struct stream *stream, unsigned status, struct slice fields)
{
    assert_ptr_equal(stream, &bench.stream);
    snprintf(bench.interim, sizeof(bench.interim), "%u %.*s", status,
        SLICE_FMT(fields));
}

static inline void
on_want_body(struct stream *stream)
{
    assert_ptr_equal(stream, &bench.stream);
    bench.wants++;
}

static inline void
origin_up(void)
{
    char server[ADDRESS_TEXT_MAX + 8], text[ADDRESS_TEXT_MAX];
    const char *servers[] = {server};
    const struct origin_opts opts = {.name = "api",
        .servers = servers,
        .servers_len = 1,
        .connect_timeout_ms = 20000,
        .first_byte_timeout_ms = 20000,
        .between_bytes_timeout_ms = 20000,
        .idle_timeout_ms = 20000,
        .resolve_interval_ms = 20000,
        .idle_max = 4,
        .head_max = 32768,
        .fields_max = 100};
    struct address want, bound;

    assert_int_equal(address_parse(SLICE("127.0.0.1:0"), &want), RC_OK);
    assert_int_equal(listen_at(&want, &bench.listen_fd, &bound), RC_OK);
    address_text(&bound, text);
    snprintf(server, sizeof(server), "http://%s", text);
    assert_int_equal(origin_group_new(&opts, &bench.group), RC_OK);
    origin_groups_measure(&bench.group, 1, bench.registry);
}

static inline void
pools_up(void)
{
    bench.pools[0] = origin_pool_new(
        bench.group, bench.worker.loop, NULL, bench.worker.block);
    assert_non_null(bench.pools[0]);
    bench.pools[1] = bench.pools[0];
    bench.worker.pools = bench.pools;
}

static inline void
origin_down(void)
{
    origin_pool_free(&bench.pools[0]);
    origin_group_free(&bench.group);
    close(bench.listen_fd);
    if (bench.fd >= 0) {
        close(bench.fd);
    }
}

/* loop: NULL: one of its own. */
static inline void
bench_up(struct loop *loop)
{
    static const struct stream_ops ops = {.respond = on_respond,
        .interim = on_stream_interim,
        .want_body = on_want_body,
        .abort = on_abort};

    bench = (struct bench){.stream = {.ops = &ops}, .fd = -1};
    rules_init(&bench.rules);
    rules_make_conf(&bench.rules);
    bench.registry = metric_registry_new();
    work_metrics_add(&bench.metrics, bench.registry);
    tier_init(&bench.tier, NULL);
    assert_int_equal(
        collapse_init(&bench.collapse, FLIGHTS_MAX, 0, &bench.tier.written),
        RC_OK);
    origin_up();
    bench.requests = requests_new(bench.rules.conf, NULL, bench.registry);
    bench.worker = (struct worker){
        .magic = WORKER_MAGIC,
        .time = &shared_time_own,
        .loop = loop == NULL ? loop_new() : loop,
        .block = metric_block_new(bench.registry),
        .metrics = &bench.metrics,
        .conf = bench.rules.conf,
        .credit = &bench.credit,
    };
    collapse_worker_init(
        &bench.collapse_worker, &bench.collapse, &bench.worker);
    assert_non_null(request_worker_new(bench.requests, &bench.worker));
    tier_worker_init(
        &bench.tier_worker, &bench.tier, &bench.worker, on_no_deletion, NULL);
    pools_up();
}

/* All but the loop. */
static inline void
bench_down(void)
{
    flight_runs_free(&bench.worker);
    tier_worker_stop(&bench.worker);
    loop_turn(bench.worker.loop, 0);
    request_worker_free(&bench.worker.request);
    requests_free(&bench.requests);
    collapse_fini(&bench.collapse);
    origin_down();
    loop_turn(bench.worker.loop, 0);
    assert_int_equal(atomic_load(&bench.rules.conf->refs), 1);
}

static inline int
setup(void **state)
{
    (void)state;
    heap_begins();
    bench_up(NULL);
    return 0;
}

static inline int
teardown(void **state)
{
    (void)state;
    bench_down();
    loop_free(&bench.worker.loop);
    metric_registry_free(&bench.registry);
    rules_fini(&bench.rules);
    heap_ends();
    return 0;
}

/* --- the origin -------------------------------------------------------- */

/* Turns the loop until it is so; for 20 s at most. */
#define UNTIL(condition)                                                       \
    do {                                                                       \
        int64_t until_ms_ = worker_now_ms(&bench.worker) + 20000;              \
        while (!(condition)) {                                                 \
            assert_true(worker_now_ms(&bench.worker) < until_ms_);             \
            loop_turn(bench.worker.loop, 20);                                  \
        }                                                                      \
    } while (0)

/* What it is sent next, to the end of the head; on a new connection if there
   is none. */
static inline const char *
await_asked(void)
{
    size_t len = 0;

    bench.asked[0] = '\0';
    if (bench.fd < 0) {
        UNTIL((bench.fd = accept4(
                   bench.listen_fd, NULL, NULL, SOCK_NONBLOCK)) >= 0);
    }
    while (strstr(bench.asked, "\r\n\r\n") == NULL) {
        ssize_t n;
        UNTIL((n = read(bench.fd, bench.asked + len,
                   sizeof(bench.asked) - 1 - len)) > 0);
        len += (size_t)n;
        bench.asked[len] = '\0';
    }
    return bench.asked;
}

static inline void
say(const char *text)
{
    assert_int_equal(write(bench.fd, text, strlen(text)), strlen(text));
}

/* --- requests ---------------------------------------------------------- */

#define REQUEST(line) line " HTTP/1.1\r\nHost: a.example\r\n\r\n"

static inline struct request *
given_new(const char *text)
{
    const struct head *head = given_head(text);
    const struct request_opts opts = {
        .question =
            {
                .head = head,
                .raw = slice_of(
                    head->method_text.ptr, strlen(head->method_text.ptr)),
                .peer = bench.rules.peer,
                .has_body = head->framing != FRAMING_NONE,
            },
        .start_us = worker_now_us(&bench.worker),
    };
    struct request *r = request_new(&bench.worker, &bench.stream, &opts);

    assert_non_null(r);
    return r;
}

/* A flight under way for the key of that request, flown by the test. */
static inline struct flight *
given_flight(const char *text)
{
    struct request *r = given_new(text);
    struct flight *flight = NULL;

    assert_int_equal(question_read(r->q).status, 0);
    assert_int_equal(flight_enter(bench.collapse.flights, &r->q->key,
                         question_form(r->q), NULL, &flight),
        FLIGHT_OPENED);
    request_on_gone(r, 0);
    return flight;
}

/* It has an answer, and what the wire says next comes. */
static inline void
land(struct flight **flight, const struct flight_result *result)
{
    flight_resolve(bench.collapse.flights, *flight, result, false);
    flight_unref(flight);
    loop_turn(bench.worker.loop, 0);
}

static inline void
assert_moves(const struct request *r, const char *want)
{
    char got[256] = "";

    for (unsigned i = 0; i < r->moves_len; i++) {
        size_t len = strlen(got);
        snprintf(got + len, sizeof(got) - len, "%s%s", i > 0 ? " " : "",
            r->moves[i].step->name);
    }
    assert_string_equal(got, want);
}

#define GET REQUEST("GET /any/x")
#define KEY "http://a.example/any/x"

static inline struct entry *
given_stored(const char *key)
{
    const struct codec_parts parts = {
        .status = 200,
        .key = slice_of_str(key),
        .created_ms = 1,
        .fresh_until_ms = worker_wall_ms(&bench.worker) + 9500,
        .stale_until_ms = worker_wall_ms(&bench.worker) + 9500,
        .fields = SLICE("x: 1\r\n"),
        .body = SLICE("abc"),
    };

    return given_entry(&parts);
}

/* A fill of that status and body; one reference. complete: all is there. */
static inline struct fill *
given_fill(unsigned status, const char *body, bool is_complete)
{
    const struct response_head head = {.status = (uint16_t)status,
        .fields = SLICE("x: 2\r\n"),
        .age_s = 7,
        .has_length = true,
        .length = strlen(body)};
    const struct fill_opts opts = {
        .window = 1 << 20, .held_max = 1 << 20, .is_kept = true};
    struct fill *fill = fill_new(bench.worker.loop, &head, &opts);

    assert_non_null(fill);
    assert_int_equal(fill_append(fill, slice_of_str(body)), strlen(body));
    if (is_complete) {
        fill_finish(fill, FILL_COMPLETE);
    }
    return fill;
}

/* The lines of the answer's own: "via: ...", "cache-status: ...". */
static inline void
assert_extra(const char *want)
{
    struct slice got = bench.response->extra;

    if (memmem(got.ptr, got.len, want, strlen(want)) == NULL) {
        fail_msg("[%.*s] has no [%s]", SLICE_FMT(got), want);
    }
}

static inline void
assert_no_extra(const char *unwanted)
{
    struct slice got = bench.response->extra;

    if (memmem(got.ptr, got.len, unwanted, strlen(unwanted)) != NULL) {
        fail_msg("[%.*s] has [%s]", SLICE_FMT(got), unwanted);
    }
}

/* The body that the stream would send, as far as it is there. */
static inline void
assert_body(const struct request *r, const char *want)
{
    struct source *source = bench.response->source;
    struct iovec iov[8];
    char got[256] = "";
    int n = source_peek(source, iov, 8);

    assert_ptr_equal(source, &r->source);
    for (int i = 0; i < n; i++) {
        strncat(got, iov[i].iov_base, iov[i].iov_len);
    }
    assert_string_equal(got, want);
}

static inline void
assert_counted(const char *metric, unsigned n)
{
    struct buf buf;
    char line[256];

    snprintf(line, sizeof(line), "\n%s %u\n", metric, n);
    buf_init(&buf, 1 << 20);
    assert_int_equal(metric_render(bench.registry, &buf), RC_OK);
    if (memmem(buf_slice(&buf).ptr, buf_len(&buf), line, strlen(line)) ==
        NULL) {
        fail_msg("not %s", line);
    }
    buf_fini(&buf);
}

#endif
