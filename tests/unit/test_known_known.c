/* Hits without a request: which heads are known, and what they are answered
   (known/known.c). */
#include "nearside/known/known.h"

#include "request_given.h"

#include <pthread.h>
#include <stdatomic.h>

#include "nearside/cache/memory.h"
#include "nearside/http/write.h"

static struct known *room;
static struct known_client client;

static int
known_setup(void **state)
{
    setup(state);
    bench.tier.memory = memory_new(&(struct memory_opts){.size = 4 << 20});
    assert_non_null(bench.tier.memory);
    for (size_t i = 0; i < ROWS; i++) {
        bench.worker.request->is_settled[i] = true;
    }
    room = known_new();
    assert_non_null(room);
    client = (struct known_client){0};
    return 0;
}

static int
known_teardown(void **state)
{
    known_free(&room);
    memory_free(&bench.tier.memory);
    return teardown(state);
}

static struct codec_parts
given_parts(int64_t fresh_ms)
{
    int64_t now_ms = worker_wall_ms(&bench.worker);

    return (struct codec_parts){
        .status = 200,
        .created_ms = now_ms - 5500,
        .fresh_until_ms = now_ms + fresh_ms,
        .stale_until_ms = now_ms + fresh_ms + 60000,
        .fields = SLICE("x: 1\r\n"),
        .body = SLICE("abc"),
    };
}

/* Memory has it under the key of that request. */
static void
given_in_memory(const char *request, struct codec_parts parts)
{
    struct request *r = given_new(request);
    struct memory_note note = {0};
    struct memory_watch watch;
    struct entry *entry;

    assert_int_equal(question_read(r->q).status, 0);
    parts.key = r->q->key.full;
    entry = given_entry(&parts);
    watch = memory_watch(bench.tier.memory, r->q->key.hash);
    assert_int_equal(
        memory_put(bench.tier.memory, &watch, entry, &note), RC_OK);
    entry_unref(&entry);
    request_on_gone(r, 0);
}

/* Memory has it under a key that no request has. */
static void
given_under(struct slice full, struct codec_parts parts)
{
    const struct key key = key_of_full(&bench.requests->hash_key, full);
    struct memory_note note = {0};
    struct memory_watch watch = memory_watch(bench.tier.memory, key.hash);
    struct entry *entry;

    parts.key = full;
    entry = given_entry(&parts);
    assert_int_equal(
        memory_put(bench.tier.memory, &watch, entry, &note), RC_OK);
    entry_unref(&entry);
}

/* It is served in the usual way, and its answer leaves. As a front would write
   it. */
static const char *
serve(const char *text)
{
    static char out[4096];
    struct writer w = writer_of(out, sizeof(out) - 1);
    struct request *r = given_new(text);
    struct iovec iov = {0};

    request_start(r);
    if (r->status == 0) {
        request_on_gone(r, 0);
        return "";
    }
    write_status_line(&w, bench.response->status);
    write_slice(&w, bench.response->fields);
    write_slice(&w, bench.response->extra);
    write_field_u64(&w, SLICE("content-length"), bench.response->length);
    write_end(&w);
    if (bench.response->has_body) {
        assert_int_equal(source_peek(bench.response->source, &iov, 1), 1);
        write_slice(&w, slice_of(iov.iov_base, iov.iov_len));
    }
    out[w.len] = '\0';
    source_advance(bench.response->source, iov.iov_len);
    known_learn(room, request_repeatable(r), &client);
    request_on_sent(r, iov.iov_len);
    return out;
}

/* The answer that is known to it; NULL: none. */
static const char *
known(const char *text)
{
    static char out[65536];
    const struct known_asked asked = {
        &bench.worker, &client, slice_of_str(text)};
    struct known_hit hit;
    size_t len = 0;

    if (known_answer(room, &asked, &hit) != RC_OK) {
        return NULL;
    }
    for (int i = 0; i < hit.iov_len; i++) {
        memcpy(out + len, hit.iov[i].iov_base, hit.iov[i].iov_len);
        len += hit.iov[i].iov_len;
    }
    assert_int_equal(len, hit.size);
    out[len] = '\0';
    known_sent(
        &bench.worker, &bench.stream, &hit, worker_now_us(&bench.worker));
    return out;
}

#define WITH(target, fields)                                                   \
    "GET " target " HTTP/1.1\r\nHost: a.example\r\n" fields "\r\n"
#define BROWSER                                                                \
    "Connection: keep-alive\r\nUser-Agent: m\r\nAccept-Encoding: gzip\r\n"

static void
it_is_what_a_request_would_answer(void **state)
{
    static const char *const rows[] = {
        GET,
        WITH("/any/x", BROWSER),
        WITH("/any/x", "X-Forwarded-For: 192.0.2.9\r\n"),
        WITH("/any/x", "X-Forwarded-Host: b.example\r\n"),
    };

    (void)state;
    given_in_memory(GET, given_parts(9500));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *want;

        client.kind = 0;
        assert_null(known(rows[i]));
        want = serve(rows[i]);
        assert_int_not_equal(client.kind, 0);
        assert_non_null(strstr(want, "age: 5\r\n"));
        assert_non_null(strstr(want, "; hit; ttl=9; detail=memory\r\n"));
        assert_string_equal(known(rows[i]), want);
    }
}

static void
another_target_is_answered_by_its_own_entry(void **state)
{
    struct codec_parts parts = given_parts(9500);

    (void)state;
    given_in_memory(GET, parts);
    parts.body = SLICE("of y");
    given_in_memory(REQUEST("GET /any/y"), parts);
    parts.body = SLICE("of a query");
    given_in_memory(REQUEST("GET /any/y?q=1"), parts);
    serve(GET);
    assert_non_null(strstr(known(REQUEST("GET /any/y")), "\r\n\r\nof y"));
    assert_non_null(
        strstr(known(REQUEST("GET /any/y?q=1")), "\r\n\r\nof a query"));
    assert_non_null(strstr(known(GET), "\r\n\r\nabc"));
    assert_null(known(REQUEST("GET /any/z")));
}

static void
a_large_body_leaves_from_the_entry(void **state)
{
    static char body[32769];
    struct codec_parts parts = given_parts(9500);

    (void)state;
    memset(body, 'b', sizeof(body));
    parts.body = slice_of(body, 32768);
    given_in_memory(GET, parts);
    serve(WITH("/any/y", ""));
    given_in_memory(REQUEST("GET /any/y"), given_parts(9500));
    serve(REQUEST("GET /any/y"));
    assert_int_equal(strlen(strstr(known(GET), "\r\n\r\n")), 4 + 32768);
    parts.body = slice_of(body, 32769);
    given_in_memory(GET, parts);
    assert_null(known(GET));
}

static void
each_byte_of_the_head_counts(void **state)
{
    static const char head[] = WITH("/any/x", BROWSER);
    char other[sizeof(head)];

    (void)state;
    given_in_memory(GET, given_parts(9500));
    serve(head);
    assert_non_null(known(head));
    for (size_t at = 0; at < sizeof(head) - 1; at++) {
        memcpy(other, head, sizeof(head));
        other[at] ^= 1;
        assert_null(known(other));
        other[at] = '\0'; /* it ends here */
        assert_null(known(other));
    }
    assert_non_null(known(WITH("/any/x", BROWSER) "GET /any/y HT"));
    assert_null(known(WITH("/any/x", BROWSER "Range: bytes=0-1\r\n")));
}

static void
what_one_request_alone_asks_is_never_known(void **state)
{
    static const char *const rows[] = {
        WITH("/any/x", "Content-Length: 0\r\n"),
        WITH("/any/x", "Expect: 100-continue\r\n"),
        WITH("/any/x", "Upgrade: h2c\r\n"),
        WITH("/any/x", "Connection: close\r\n"),
        WITH("/any/x", "Range: bytes=0-1\r\n"),
        WITH("/any/x", "If-None-Match: \"a\"\r\n"),
        WITH("/any/x", "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n"),
        WITH("/any/x", "Cache-Control: max-stale=1\r\n"),
        REQUEST("HEAD /any/x"),
        REQUEST("GET /any/%78"),
        "GET http://a.example/any/x HTTP/1.1\r\nHost: a.example\r\n\r\n",
        ("GET /any/x HTTP/1.0\r\nHost: a.example\r\n"
         "Connection: keep-alive\r\n\r\n"),
    };

    (void)state;
    bench.rules.routes[ROW_ANY].honours_client = true;
    given_in_memory(GET, given_parts(9500));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        serve(rows[i]);
        assert_int_equal(client.kind, 0);
    }
    serve(GET);
    assert_int_not_equal(client.kind, 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_null(known(rows[i]));
    }
}

static void
what_is_not_fresh_is_not_known(void **state)
{
    struct codec_parts parts = given_parts(9500);

    (void)state;
    given_in_memory(GET, parts);
    serve(GET);
    assert_non_null(known(GET));
    given_in_memory(GET, given_parts(-1000));
    assert_null(known(GET));
    parts.flags = ENTRY_MUST_VALIDATE;
    given_in_memory(GET, parts);
    assert_null(known(GET));
    parts.flags = ENTRY_HIT_FOR_MISS;
    given_in_memory(GET, parts);
    assert_null(known(GET));
    parts.flags = 0;
    parts.status = 404;
    given_in_memory(GET, parts);
    assert_null(known(GET));
}

static void
hosts_that_take_turns_keep_their_own(void **state)
{
    static const char b[] = "GET /any/x HTTP/1.1\r\nHost: b.example\r\n\r\n";
    struct codec_parts parts = given_parts(9500);

    (void)state;
    given_in_memory(GET, parts);
    parts.body = SLICE("of b");
    given_in_memory(b, parts);
    for (int i = 0; i < 3; i++) {
        serve(GET);
        assert_null(known(b));
        assert_non_null(strstr(known(GET), "\r\n\r\nabc"));
        serve(b);
        assert_null(known(GET));
        assert_non_null(strstr(known(b), "\r\n\r\nof b"));
    }
}

/* Each route that a kind of client asks has its own question. */
static void
routes_take_turns(void **state)
{
    static const char item[] = REQUEST("GET /item/1");

    (void)state;
    given_in_memory(GET, given_parts(9500));
    given_in_memory(item, given_parts(9500));
    serve(GET);
    assert_null(known(item));
    serve(item);
    assert_non_null(known(item));
    assert_non_null(known(GET));
    given_under(SLICE("http://a.example/item/1?d=2"), given_parts(9500));
    given_under(SLICE("http://a.example/any//x"), given_parts(9500));
    assert_null(known(REQUEST("GET /item/1?d=2"))); /* its key is not all */
    assert_null(known(REQUEST("GET /pass/1")));
    assert_null(known(REQUEST("GET /any/a/../x")));
    assert_null(known(REQUEST("GET /any//x")));
}

static void
a_trusted_proxys_lines_are_no_other_clients(void **state)
{
    static const char https[] = WITH("/any/x", "X-Forwarded-Proto: https\r\n");

    (void)state;
    given_in_memory(GET, given_parts(9500));
    serve(https);
    assert_non_null(known(https));
    client.is_trusted = true;
    assert_null(known(https));
}

static void
it_is_counted_and_more_kinds_than_there_is_room_for_are_forgotten(void **state)
{
    char text[256];

    (void)state;
    given_in_memory(GET, given_parts(9500));
    serve(GET);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(text, sizeof(text), WITH("/any/x", "X: %u\r\n"), i);
        serve(text);
        assert_non_null(known(text));
    }
    client.kind = 1;
    assert_null(known(GET));
    assert_counted("nearside_requests_total{route=\"any\",result=\"hit\","
                   "status=\"2xx\"}",
        1 + 100 + 100);
}

static void
one_that_goes_on_has_the_same_answer(void **state)
{
    const struct known_asked asked = {&bench.worker, &client, SLICE(GET)};
    struct known_hit hit;
    struct request *r;

    (void)state;
    given_in_memory(GET, given_parts(9500));
    serve(GET);
    assert_int_equal(known_answer(room, &asked, &hit), RC_OK);
    memory_free(&bench.tier.memory); /* it is not asked again */
    r = given_new(GET);
    request_resume_hit(r, hit.entry);
    assert_int_equal(bench.response->status, 200);
    assert_extra("; hit; ttl=9; detail=memory");
    assert_body(r, "abc");
    request_on_sent(r, 3);
}

static void
a_head_too_long_to_be_known_is_not_kept(void **state)
{
    char pad[4096], text[8192];

    (void)state;
    given_in_memory(GET, given_parts(9500));
    memset(pad, 'x', sizeof(pad));
    snprintf(text, sizeof(text), WITH("/any/x", "X: %.*s\r\n"), 3900, pad);
    serve(text);
    assert_int_equal(client.kind, 1);
    assert_non_null(known(text));
    client.kind = 0;
    snprintf(text, sizeof(text), WITH("/any/x", "X: %.*s\r\n"), 4090, pad);
    serve(text);
    assert_int_equal(client.kind, 0);
}

enum {
    AHEAD_MS = 20000, /* by then nothing is fresh that was given */
};

struct told {
    struct shared_time time;
    int64_t start_ms;
    atomic_uint times;
    atomic_bool is_over;
};

/* As the coherence thread tells the time of Redis. */
static void *
tell_times(void *ctx)
{
    struct told *told = ctx;

    while (!atomic_load(&told->is_over)) {
        atomic_store(&told->time.start_ms, told->start_ms + AHEAD_MS);
        atomic_store(&told->time.start_ms, told->start_ms);
        atomic_fetch_add(&told->times, 1);
    }
    return NULL;
}

static void
the_time_may_be_told_anew_at_any_moment(void **state)
{
    const struct known_asked asked = {&bench.worker, &client, SLICE(GET)};
    struct told told = {0};
    struct known_hit hit;
    pthread_t teller;

    (void)state;
    given_in_memory(GET, given_parts(9500));
    serve(GET);
    told.start_ms = worker_wall_ms(&bench.worker) -
                    clock_now_ms(loop_clock(bench.worker.loop));
    atomic_store(&told.time.start_ms, told.start_ms);
    bench.worker.time = &told.time;
    assert_int_equal(pthread_create(&teller, NULL, tell_times, &told), 0);
    for (unsigned i = 0; i < 200000 || atomic_load(&told.times) < 200000; i++) {
        if (known_answer(room, &asked, &hit) == RC_OK) {
            entry_unref(&hit.entry);
        }
    }
    atomic_store(&told.is_over, true);
    assert_int_equal(pthread_join(teller, NULL), 0);
    assert_non_null(known(GET));
    bench.worker.time = &shared_time_own;
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, known_setup, known_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_what_a_request_would_answer),
        TEST(another_target_is_answered_by_its_own_entry),
        TEST(a_large_body_leaves_from_the_entry),
        TEST(each_byte_of_the_head_counts),
        TEST(what_one_request_alone_asks_is_never_known),
        TEST(what_is_not_fresh_is_not_known),
        TEST(hosts_that_take_turns_keep_their_own),
        TEST(routes_take_turns),
        TEST(a_trusted_proxys_lines_are_no_other_clients),
        TEST(it_is_counted_and_more_kinds_than_there_is_room_for_are_forgotten),
        TEST(one_that_goes_on_has_the_same_answer),
        TEST(a_head_too_long_to_be_known_is_not_kept),
        TEST(the_time_may_be_told_anew_at_any_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
