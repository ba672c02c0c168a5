/*
 * Fetches, with a peer on a real socket that plays the origin: what of a head
 * is carried on, who is waited for, and how each end is told.
 */
#include "nearside/body/fetch.h"

#include "nearside/body/source.h"
#include "nearside/http/parse.h"
#include "nearside/work/worker.h"
#include "heap.h"
#include "limits_given.h"
#include "test_origin_peer.h"

#include <malloc.h>

#define OK_5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"

enum {
    BUFFER_MAX = 20000,
    OBJECT_MAX = 1000000, /* more than WINDOW: it takes credit */
    /* How far a kept body of unknown length may run ahead; see fetch.c. */
    WINDOW = 262144,
};

struct given {
    struct rig rig;
    struct metric_registry *registry;
    struct work_metrics metrics;
    struct worker worker;
    struct question_pool questions;
    struct question *q;
    struct arena arena;
    struct fill_credit credit;
    struct fetch fetch;
    struct source source;
    int fd; /* the peer's end */

    /* How on_head and on_fill answer. */
    struct fetch_plan plan;
    bool is_read;
    bool cancels;

    /* What was told. */
    unsigned interims;
    unsigned heads;
    unsigned fills;
    unsigned refusals; /* on_fill without one */
    unsigned outgrown;
    unsigned ends;
    unsigned drains;
    enum fill_state end;
    bool is_doubtful;
    enum origin_error error;
};

static void
on_interim(void *ctx, const struct head *head)
{
    struct given *g = ctx;

    assert_int_equal(head->status, 103);
    g->interims++;
}

static struct fetch_plan
on_head(void *ctx, const struct head *head)
{
    struct given *g = ctx;

    (void)head;
    g->heads++;
    assert_null(g->fetch.fill);
    return g->plan;
}

static void
on_fill(void *ctx, struct fill *fill)
{
    struct given *g = ctx;

    g->fills += fill != NULL;
    g->refusals += fill == NULL;
    assert_ptr_equal(g->fetch.fill, fill);
    if (g->is_read && fill != NULL) {
        assert_int_equal(fill_len(fill), 0);
        assert_int_equal(source_of_fill(&g->source, fill, g->rig.loop), RC_OK);
    }
    if (g->cancels) {
        fetch_cancel(&g->fetch);
    }
}

static void
on_outgrown(void *ctx)
{
    struct given *g = ctx;

    g->outgrown++;
}

static void
on_end(void *ctx, enum fill_state state, bool is_doubtful)
{
    struct given *g = ctx;

    assert_false(fetch_is_active(&g->fetch));
    assert_int_equal(fill_state(g->fetch.fill), state);
    g->ends++;
    g->end = state;
    g->is_doubtful = is_doubtful;
}

static void
on_error(void *ctx, enum origin_error error)
{
    struct given *g = ctx;

    assert_false(fetch_is_active(&g->fetch));
    g->error = error;
}

static void
on_drain(void *ctx)
{
    struct given *g = ctx;

    g->drains++;
}

static const struct fetch_callbacks callbacks = {
    .on_interim = on_interim,
    .on_head = on_head,
    .on_fill = on_fill,
    .on_outgrown = on_outgrown,
    .on_end = on_end,
    .on_error = on_error,
    .on_drain = on_drain,
};

static const struct fetch_callbacks few_callbacks = {
    .on_head = on_head,
    .on_fill = on_fill,
    .on_outgrown = on_outgrown,
    .on_end = on_end,
    .on_error = on_error,
};

/* --- the rig ----------------------------------------------------------- */

static struct proxy_conf *
conf_new(void)
{
    static const struct slice host = {"api", 3};
    struct proxy_conf_opts opts = {
        .groups_len = 1,
        .group_hosts = &host,
        .group_names = &host,
        .prefix = "ns",
        .via = "test",
        .limits = limits_given(),
    };

    opts.limits.buffer_max = BUFFER_MAX;
    opts.limits.object_max = OBJECT_MAX;
    return proxy_conf_new(&opts);
}

static int
up(void **state)
{
    static const struct hash_key hash_key = {1, 2};
    struct given *g;

    heap_begins();
    g = calloc(1, sizeof(*g));
    rig_start(&g->rig, (struct origin_opts){0});
    g->registry = metric_registry_new();
    work_metrics_add(&g->metrics, g->registry);
    g->worker = (struct worker){
        .magic = WORKER_MAGIC,
        .time = &shared_time_own,
        .loop = g->rig.loop,
        .block = metric_block_new(g->registry),
        .metrics = &g->metrics,
        .conf = conf_new(),
        .pools = &g->rig.pool,
        .credit = &g->credit,
    };
    assert_non_null(g->worker.conf);
    question_pool_init(&g->questions, &hash_key);
    arena_init(&g->arena, 65536);
    g->fd = -1;
    *state = g;
    return 0;
}

static int
down(void **state)
{
    struct given *g = *state;

    fetch_cancel(&g->fetch);
    source_close(&g->source);
    question_unref(&g->q);
    question_pool_fini(&g->questions);
    proxy_conf_unref(&g->worker.conf);
    arena_fini(&g->arena);
    if (g->fd >= 0) {
        close(g->fd);
    }
    rig_stop(&g->rig);
    metric_registry_free(&g->registry);
    free(g);
    heap_ends();
    return 0;
}

static long
limit_hits(struct given *g, enum limit limit)
{
    return (long)g->worker.block->cells[g->metrics.limits[limit]];
}

/* A fetch of that request, whose head the peer has read. */
static void
begin(struct given *g, const char *request, const struct fetch_callbacks *with)
{
    static struct head head;
    const struct parse_opts parse_opts = {0};
    struct parse parse;
    size_t len;
    struct question_opts question_opts = {
        .head = &head, .raw = slice_of_str(request)};
    struct fetch_opts opts = {.arena = &g->arena, .callbacks = with, .ctx = g};

    parse_start(&parse);
    assert_int_equal(
        parse_request(&parse, &parse_opts, question_opts.raw, &head, &len),
        RC_OK);
    question_opts.has_body = head.framing == FRAMING_LENGTH;
    question_unref(&g->q);
    g->q = question_new(&g->questions, g->worker.conf, &question_opts);
    assert_int_equal(question_read(g->q).status, 0);
    opts.q = g->q;
    fetch_cancel(&g->fetch);
    assert_int_equal(fetch_start(&g->fetch, &g->worker, &opts), RC_OK);
    assert_true(fetch_is_active(&g->fetch));
    if (g->fd >= 0) {
        close(g->fd);
    }
    g->fd = peer_accept(&g->rig);
    assert_non_null(strstr(peer_read_head(&g->rig, g->fd), "host: api\r\n"));
}

#define GET "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"

static void
begin_get(struct given *g)
{
    begin(g, GET, &callbacks);
}

static void
say(struct given *g, const char *text)
{
    peer_say(&g->rig, g->fd, text);
}

static bool
is_over(const struct given *g)
{
    return g->ends > 0 || g->error != ORIGIN_ERROR_NONE || g->refusals > 0;
}

/* Sends until nothing moves any more; returns how much went out in all. */
static uint64_t
send_until_stalled(struct given *g, uint64_t sent, uint64_t total)
{
    static const char bytes[16384];

    for (int quiet = 0; quiet < 20 && sent < total;) {
        uint64_t left = total - sent;
        size_t n = left < sizeof(bytes) ? (size_t)left : sizeof(bytes);
        ssize_t done = send(g->fd, bytes, n, MSG_NOSIGNAL);
        quiet = done > 0 ? 0 : quiet + 1;
        sent += done > 0 ? (uint64_t)done : 0;
        loop_turn(g->rig.loop, 0);
    }
    rig_turns(&g->rig, 5);
    return sent;
}

static uint64_t
read_all(struct given *g)
{
    struct iovec iov;
    uint64_t len = 0;

    while (source_peek(&g->source, &iov, 1) > 0) {
        source_advance(&g->source, iov.iov_len);
        len += iov.iov_len;
    }
    return len;
}

/* --- the head ---------------------------------------------------------- */

#define DATE "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

static void
what_is_carried_goes_by_the_plan(void **state)
{
    static const struct slice withheld[] = {
        {"cdn-cache-control", 17}, {"our-cache-control", 17}};
    static const struct {
        const char *fields;
        bool is_kept;
        bool drops_set_cookie;
        size_t withheld;
        const char *private;
        const char *carried;
    } rows[] = {
        {"X-A:  b \r\nx-A: c\r\n", false, false, 0, "", "x-a: b\r\nx-a: c\r\n"},
        {"Age: 7\r\nKeep-Alive: 1\r\nConnection: x-hop\r\nX-Hop: 1\r\nE: f\r\n",
            false, false, 2, "", "e: f\r\n"},
        {"Set-Cookie: a\r\nProxy-Authentication-Info: q\r\n", false, false, 0,
            "", "set-cookie: a\r\nproxy-authentication-info: q\r\n"},
        {"Set-Cookie: a\r\nProxy-Authentication-Info: q\r\n", true, false, 0,
            "", "set-cookie: a\r\n"},
        {"Age: 7\r\nConnection: x-hop\r\nX-Hop: 1\r\nSet-Cookie: a\r\nE: f\r\n",
            true, true, 2, "", "e: f\r\n"},
        {"Our-Cache-Control: a\r\nE: f\r\nCDN-Cache-Control: b\r\n", true,
            false, 2, "our-cache-control: a\r\ncdn-cache-control: b\r\n",
            "e: f\r\n"},
        {"Our-Cache-Control: a\r\nE: f\r\nCDN-Cache-Control: b\r\n", false,
            false, 1, "cdn-cache-control: b\r\n",
            "our-cache-control: a\r\ne: f\r\n"},
        {"Our-Cache-Control: b\r\nConnection: our-cache-control\r\nE: f\r\n",
            true, false, 2, "", "e: f\r\n"},
    };
    struct given *g = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct response_head *head;
        char want[256];

        snprintf(want, sizeof(want), DATE "%s", rows[i].carried);
        g->plan = (struct fetch_plan){.is_kept = rows[i].is_kept,
            .drops_set_cookie = rows[i].drops_set_cookie,
            .withheld = {withheld, rows[i].withheld}};
        begin_get(g);
        say(g, "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        say(g, rows[i].fields);
        say(g, "Content-Length: 5\r\n\r\n");
        rig_until(&g->rig, g->fills == i + 1);
        head = fill_head(g->fetch.fill);
        if (!slice_eq(head->private_fields, slice_of_str(rows[i].private)) ||
            !slice_eq(head->fields, slice_of_str(want))) {
            fail_msg("%s: [%.*s] [%.*s]", rows[i].fields,
                SLICE_FMT(head->private_fields), SLICE_FMT(head->fields));
        }
        assert_int_equal(head->age_s,
            strstr(rows[i].fields, "Age: 7") ? 7 : RESPONSE_AGE_NONE);
    }
}

static void
a_response_without_date_has_the_time_of_its_receipt(void **state)
{
    struct given *g = *state;
    char want[64];

    begin_get(g);
    say(g, "HTTP/1.1 404 Not Found\r\nA: b\r\nContent-Length: 0\r\n\r\n");
    rig_until(&g->rig, g->fills == 1);
    snprintf(want, sizeof(want), "date: %.*s\r\na: b\r\n",
        SLICE_FMT(worker_date(&g->worker)));
    assert_true(slice_eq(fill_head(g->fetch.fill)->fields, slice_of_str(want)));
    assert_int_equal(fill_head(g->fetch.fill)->status, 404);
}

static void
a_length_is_what_the_framing_says_or_what_a_head_would_have(void **state)
{
    static const struct {
        const char *request;
        const char *response;
        bool has_length;
        uint64_t length;
    } rows[] = {
        {GET, OK_5 "hello", true, 5},
        {GET,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            "0\r\n\r\n",
            false, 0},
        {"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n", OK_5, true, 5},
        {"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
            false, 0},
        {GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false,
            0},
    };
    struct given *g = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct response_head *head;
        g->plan.is_kept = true;
        begin(g, rows[i].request, &callbacks);
        say(g, rows[i].response);
        rig_until(&g->rig, g->ends == i + 1);
        assert_int_equal(g->end, FILL_COMPLETE);
        head = fill_head(g->fetch.fill);
        assert_int_equal(head->has_length, rows[i].has_length);
        if (head->has_length) {
            assert_int_equal(head->length, rows[i].length);
        }
        peer_reset(
            g->fd); /* the next one is asked on a connection of its own */
        g->fd = -1;
        rig_until(&g->rig, origin_group_connections(g->rig.group) == 0);
    }
}

static void
an_interim_response_is_told_to_who_wants_it(void **state)
{
    struct given *g = *state;

    g->plan.is_kept = true;
    for (unsigned i = 0; i < 2; i++) {
        begin(g, GET, i == 0 ? &callbacks : &few_callbacks);
        say(g, "HTTP/1.1 103 Early Hints\r\n\r\n" OK_5);
        rig_until(&g->rig, g->heads == i + 1);
        assert_int_equal(g->interims, 1);
    }
}

/* --- the body ---------------------------------------------------------- */

static void
a_body_is_read_while_it_comes(void **state)
{
    struct given *g = *state;
    struct iovec iov;

    g->is_read = true;
    begin_get(g);
    say(g, OK_5 "hel");
    rig_until(&g->rig, g->fills == 1 && source_left(&g->source) == 3);
    assert_int_equal(source_state(&g->source), SOURCE_MORE);
    assert_true(fetch_is_active(&g->fetch));
    assert_true(g->fetch.start_us > 0);
    assert_true(g->fetch.head_us >= g->fetch.start_us);
    say(g, "lo");
    rig_until(&g->rig, is_over(g));
    assert_int_equal(g->ends, 1);
    assert_int_equal(g->end, FILL_COMPLETE);
    assert_false(g->is_doubtful);
    assert_int_equal(source_state(&g->source), SOURCE_END);
    assert_int_equal(source_peek(&g->source, &iov, 1), 1);
    assert_memory_equal(iov.iov_base, "hello", 5);
}

/* What passes is not fetched faster than its client takes it. */
static void
the_origin_of_what_passes_waits_for_the_reader(void **state)
{
    enum {
        TOTAL = 32 << 20,
    };
    struct given *g = *state;
    uint64_t sent;
    uint64_t got = 0;

    g->is_read = true;
    begin_get(g);
    say(g, "HTTP/1.1 200 OK\r\nContent-Length: 33554432\r\n\r\n");
    sent = send_until_stalled(g, 0, TOTAL);
    assert_true(sent < TOTAL);
    assert_int_equal(fill_len(g->fetch.fill), BUFFER_MAX);
    while (!is_over(g)) {
        got += read_all(g);
        sent = send_until_stalled(g, sent, TOTAL);
    }
    assert_int_equal(got + read_all(g), TOTAL);
    assert_int_equal(g->end, FILL_COMPLETE);
}

/* One that turns out too large waits when that is known. */
static void
what_is_kept_is_taken_ahead_of_its_reader_up_to_object_max(void **state)
{
    static const struct {
        const char *head;
        uint64_t total;
        uint64_t min;
        uint64_t max;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", OBJECT_MAX,
            OBJECT_MAX, OBJECT_MAX},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", 99999999,
            OBJECT_MAX + 1, OBJECT_MAX + WINDOW},
        {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", 99999999,
            OBJECT_MAX + 1, OBJECT_MAX + WINDOW},
    };
    struct given *g = *state;

    g->is_read = true;
    g->plan.is_kept = true;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        begin_get(g);
        say(g, rows[i].head);
        rig_until(&g->rig, g->fills == i + 1);
        send_until_stalled(g, 0, rows[i].total);
        assert_in_range(fill_len(g->fetch.fill), rows[i].min, rows[i].max);
        assert_int_equal(g->outgrown, i);
        assert_int_equal(g->ends, 1);
        source_close(&g->source);
    }
}

static void
a_body_that_nobody_reads_is_fetched_only_to_be_kept(void **state)
{
    struct given *g = *state;

    begin_get(g);
    say(g, OK_5 "hel");
    rig_until(&g->rig, is_over(g));
    assert_int_equal(g->end, FILL_FAILED);
    rig_until(&g->rig, peer_is_closed(g->fd));
    g->ends = 0;
    g->plan.is_kept = true;
    begin_get(g);
    say(g, OK_5 "hel");
    rig_until(&g->rig, fill_len(g->fetch.fill) == 3);
    say(g, "lo");
    rig_until(&g->rig, is_over(g));
    assert_int_equal(g->end, FILL_COMPLETE);
}

static void
a_body_may_be_as_large_as_object_max_to_be_kept(void **state)
{
    struct given *g = *state;

    for (unsigned i = 0; i < 2; i++) {
        uint64_t total = OBJECT_MAX + i;
        g->ends = 0;
        g->is_read = true;
        g->plan.is_kept = true;
        begin_get(g);
        say(g, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        assert_int_equal(send_until_stalled(g, 0, total), total);
        assert_int_equal(g->outgrown, i);
        assert_int_equal(limit_hits(g, LIMIT_OBJECT_MAX), i);
        shutdown(g->fd, SHUT_WR);
        rig_until(&g->rig, is_over(g));
        assert_int_equal(g->end, FILL_COMPLETE); /* its reader gets all of it */
        assert_int_equal(read_all(g), total);
        source_close(&g->source);
    }
}

/* Longer than a kept one may be held. */
static void
an_outgrown_body_goes_on_for_its_reader(void **state)
{
    enum {
        TOTAL = 4 << 20,
    };
    struct given *g = *state;
    uint64_t sent = 0;
    uint64_t got = 0;

    g->is_read = true;
    g->plan.is_kept = true;
    begin_get(g);
    say(g, "HTTP/1.1 200 OK\r\nContent-Length: 4194304\r\n\r\n");
    for (unsigned i = 0; i < 1000 && !is_over(g); i++) {
        sent = send_until_stalled(g, sent, TOTAL);
        got += read_all(g);
    }
    assert_int_equal(g->outgrown, 1);
    assert_int_equal(g->end, FILL_COMPLETE);
    assert_int_equal(got + read_all(g), TOTAL);
}

static void
an_outgrown_body_that_nobody_reads_is_given_up(void **state)
{
    struct given *g = *state;

    g->plan.is_kept = true;
    begin_get(g);
    say(g, "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n");
    rig_until(&g->rig, g->fills == 1);
    send_until_stalled(g, 0, 99999999);
    assert_int_equal(g->outgrown, 1);
    assert_int_equal(g->ends, 1);
    assert_int_equal(g->end, FILL_FAILED);
}

/* --- ends -------------------------------------------------------------- */

static void
an_error_before_the_head_is_told_as_such(void **state)
{
    struct given *g = *state;

    begin_get(g);
    say(g, "nonsense\r\n\r\n");
    rig_until(&g->rig, is_over(g));
    assert_int_not_equal(g->error, ORIGIN_ERROR_NONE);
    assert_int_equal(g->heads + g->fills + g->ends, 0);
}

static void
an_error_after_the_head_fails_the_fill(void **state)
{
    struct given *g = *state;

    g->is_read = true;
    begin_get(g);
    say(g, OK_5 "hel");
    rig_until(&g->rig, g->fills == 1 && source_left(&g->source) == 3);
    peer_reset(g->fd);
    g->fd = -1;
    rig_until(&g->rig, is_over(g));
    assert_int_equal(g->ends, 1);
    assert_int_equal(g->end, FILL_FAILED);
    assert_int_equal(g->error, ORIGIN_ERROR_NONE);
    assert_int_equal(source_state(&g->source), SOURCE_FAILED);
}

static void
a_doubtful_end_is_told(void **state)
{
    struct given *g = *state;

    g->plan.is_kept = true;
    begin_get(g);
    say(g, OK_5 "hello and more");
    rig_until(&g->rig, is_over(g));
    assert_int_equal(g->end, FILL_COMPLETE);
    assert_true(g->is_doubtful);
}

static void
a_cancelled_fetch_fails_its_fill_and_tells_no_more(void **state)
{
    struct given *g = *state;

    fetch_cancel(&g->fetch); /* it never began: harmless */
    g->is_read = true;
    begin_get(g);
    say(g, OK_5 "hel");
    rig_until(&g->rig, g->fills == 1 && source_left(&g->source) == 3);
    fetch_cancel(&g->fetch);
    assert_false(fetch_is_active(&g->fetch));
    assert_null(g->fetch.fill);
    assert_int_equal(fill_sharers(g->source.reader.fill), 1);
    assert_int_equal(source_state(&g->source), SOURCE_FAILED);
    rig_until(&g->rig, peer_is_closed(g->fd));
    fetch_cancel(&g->fetch);
    assert_false(is_over(g));
}

/* The reader made room, and the message to the owner is under way. */
static void
a_cancelled_fetch_is_not_resumed(void **state)
{
    struct given *g = *state;

    g->is_read = true;
    begin_get(g);
    say(g, "HTTP/1.1 200 OK\r\nContent-Length: 33554432\r\n\r\n");
    send_until_stalled(g, 0, 33554432);
    read_all(g);
    fetch_cancel(&g->fetch);
    rig_turns(&g->rig, 3);
    assert_false(is_over(g));
}

static void
a_fetch_can_be_cancelled_when_its_fill_is_told(void **state)
{
    struct given *g = *state;

    g->cancels = true;
    begin_get(g);
    say(g, OK_5 "hello");
    rig_until(&g->rig, g->fills == 1);
    rig_until(&g->rig, peer_is_closed(g->fd));
    assert_int_equal(g->ends, 0);
}

/* --- a request with content -------------------------------------------- */

static void
room_for_more_content_is_told_to_who_wants_it(void **state)
{
    static const char bytes[100000];
    struct given *g = *state;

    for (unsigned i = 0; i < 2; i++) {
        uint64_t sent = 0;
        size_t taken = 1;
        begin(g,
            "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n",
            i == 0 ? &callbacks : &few_callbacks);
        while (taken > 0) { /* until sockets and buffers are full */
            exchange_send(
                g->fetch.exchange, slice_of(bytes, sizeof(bytes)), &taken);
            sent += taken;
            rig_turns(&g->rig, 3);
        }
        assert_true(sent < 99999999);
        assert_int_equal(g->drains, i);
        for (int64_t until_ms = real_ms() + 200;
             i == 0 ? g->drains == 0 : real_ms() < until_ms;) {
            char sink[65536];
            ssize_t n = recv(g->fd, sink, sizeof(sink), 0);
            (void)n;
            loop_turn(g->rig.loop, 1);
        }
        assert_int_equal(g->drains, 1);
    }
}

/* --- no memory --------------------------------------------------------- */

/* For the head's lines, or for the fill that takes them. */
static void
a_head_that_there_is_no_memory_for_ends_the_fetch(void **state)
{
    struct given *g = *state;

    for (unsigned i = 1; i <= 2; i++) {
        char text[8000];
        g->plan.is_kept = true;
        begin_get(g);
        snprintf(text, sizeof(text), "A: %07000d\r\n\r\n", 0);
        say(g, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n");
        rig_turns(&g->rig, 3);
        g->refusals = 0;
        g->ends = 0;
        heap_refuse(i, 7000);
        say(g, text);
        rig_until(&g->rig, is_over(g));
        heap_refuse(0, 0);
        assert_int_equal(g->refusals, 1);
        assert_int_equal(g->ends, 0);
        assert_false(fetch_is_active(&g->fetch));
        rig_until(&g->rig, peer_is_closed(g->fd));
    }
}

static void
a_body_that_there_is_no_memory_for_fails(void **state)
{
    struct given *g = *state;

    g->is_read = true;
    begin_get(g);
    say(g, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    rig_until(&g->rig, g->fills == 1);
    heap_refuse(1, 16000);
    say(g, "hello");
    rig_until(&g->rig, is_over(g));
    assert_true(heap_refused());
    assert_int_equal(g->end, FILL_FAILED);
    assert_int_equal(limit_hits(g, LIMIT_MEMORY), 1);
    assert_int_equal(source_state(&g->source), SOURCE_FAILED);
    rig_until(&g->rig, peer_is_closed(g->fd));
}

/* However it ends. What the first ones leave is kept for those to come. */
static void
what_is_over_leaves_no_memory_behind(void **state)
{
    static const char *const rests[] = {"Content-Length: 5\r\n\r\nhello",
        "Content-Length: 5\r\n\r\nhalf", "nonsense\r\n\r\n"};
    struct given *g = *state;
    size_t before = 0;

    g->plan.is_kept = true;
    for (unsigned i = 0; i < 120; i++) {
        char text[3000];
        if (i == 30) {
            before = mallinfo2().uordblks;
        }
        g->ends = 0;
        g->error = ORIGIN_ERROR_NONE;
        begin_get(g);
        snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nA: %02000d\r\n%s", 0,
            rests[i % ARRAY_LEN(rests)]);
        say(g, text);
        shutdown(g->fd, SHUT_WR);
        rig_until(&g->rig, is_over(g));
        fetch_cancel(&g->fetch);
        arena_fini(&g->arena);
        arena_init(&g->arena, 65536);
        rig_turns(&g->rig, 3); /* what is dead is buried */
    }
    assert_in_range(mallinfo2().uordblks, 0, before + 50000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_carried_goes_by_the_plan),
        TEST(a_response_without_date_has_the_time_of_its_receipt),
        TEST(a_length_is_what_the_framing_says_or_what_a_head_would_have),
        TEST(an_interim_response_is_told_to_who_wants_it),
        TEST(a_body_is_read_while_it_comes),
        TEST(the_origin_of_what_passes_waits_for_the_reader),
        TEST(what_is_kept_is_taken_ahead_of_its_reader_up_to_object_max),
        TEST(a_body_that_nobody_reads_is_fetched_only_to_be_kept),
        TEST(a_body_may_be_as_large_as_object_max_to_be_kept),
        TEST(an_outgrown_body_goes_on_for_its_reader),
        TEST(an_outgrown_body_that_nobody_reads_is_given_up),
        TEST(an_error_before_the_head_is_told_as_such),
        TEST(an_error_after_the_head_fails_the_fill),
        TEST(a_doubtful_end_is_told),
        TEST(a_cancelled_fetch_fails_its_fill_and_tells_no_more),
        TEST(a_cancelled_fetch_is_not_resumed),
        TEST(a_fetch_can_be_cancelled_when_its_fill_is_told),
        TEST(room_for_more_content_is_told_to_who_wants_it),
        TEST(a_head_that_there_is_no_memory_for_ends_the_fetch),
        TEST(a_body_that_there_is_no_memory_for_fails),
        TEST(what_is_over_leaves_no_memory_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
