/*
 * What is left of a request when it is over (accounting.c, requests.c,
 * unstored.c): its counters, its latency, its access line, and the warning of
 * routes of which nothing is stored.
 */
#include "request_given.h"

#include "nearside/base/log.h"
#include "request/unstored.h"

struct over {
    const char *text;
    enum result result;
    enum tier_id tier;
    unsigned status;
    const char *detail;
    bool is_stored;
};

/* A request that has ended so, and is accounted for. */
static void
end(const struct over *over)
{
    struct request *r = given_new(over->text);

    question_read(r->q);
    r->result = over->result;
    r->tier = over->tier;
    r->status = over->status;
    r->detail = over->detail;
    r->is_stored = over->is_stored;
    r->sent = 7;
    r->stream = NULL;
    request_account(r);
    request_unref(&r);
}

#define ITEM  REQUEST("GET /item/1")
#define OTHER REQUEST("GET /elsewhere")

/* --- counters ---------------------------------------------------------- */

static void
each_request_is_counted_by_route_result_class_and_tier(void **state)
{
    static const struct {
        struct over over;
        const char *counter;
        const char *latency;
    } rows[] = {
        {{ITEM, RESULT_HIT, TIER_SHARED, 200, NULL, false},
            "route=\"item\",result=\"hit\",status=\"2xx\"",
            "route=\"item\",tier=\"shared\""},
        {{ITEM, RESULT_MISS, TIER_ORIGIN, 299, NULL, true},
            "route=\"item\",result=\"miss\",status=\"2xx\"",
            "route=\"item\",tier=\"origin\""},
        {{GET, RESULT_STALE, TIER_SHARED, 300, NULL, false},
            "route=\"any\",result=\"stale\",status=\"3xx\"",
            "route=\"any\",tier=\"shared\""},
        {{GET, RESULT_COLLAPSED, TIER_ORIGIN, 499, NULL, false},
            "route=\"any\",result=\"collapsed\",status=\"4xx\"",
            "route=\"any\",tier=\"origin\""},
        {{GET, RESULT_ERROR, TIER_NONE, 500, NULL, false},
            "route=\"any\",result=\"error\",status=\"5xx\"",
            "route=\"any\",tier=\"none\""},
        {{GET, RESULT_BYPASS, TIER_ORIGIN, 799, NULL, false},
            "route=\"any\",result=\"bypass\",status=\"5xx\"", NULL},
        {{OTHER, RESULT_GONE, TIER_NONE, 0, NULL, false},
            "route=\"-\",result=\"gone\",status=\"none\"",
            "route=\"-\",tier=\"none\""},
    };
    uint64_t sums[RESULT_COUNT];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char line[160];

        end(&rows[i].over);
        snprintf(
            line, sizeof(line), "nearside_requests_total{%s}", rows[i].counter);
        assert_counted(line, 1);
        if (rows[i].latency != NULL) {
            snprintf(line, sizeof(line), "nearside_request_seconds_count{%s}",
                rows[i].latency);
            assert_counted(line, 1);
        }
        requests_sum(bench.requests, bench.registry, sums);
        assert_int_equal(sums[rows[i].over.result], 1);
    }
    assert_int_equal(sums[RESULT_WRITE], 0);
    assert_counted("nearside_body_bytes_total", 7 * ARRAY_LEN(rows));
}

/* A route has fifty rows; those of what has not come yet are left out, but for
   what most requests come to. */
static void
a_row_is_shown_when_it_is_usual_or_has_come(void **state)
{
    static const struct {
        const char *row;
        bool is_shown;
    } rows[] = {
        {"nearside_requests_total{route=\"item\",result=\"hit\",status=\"2xx\"",
            true},
        {"nearside_requests_total{route=\"item\",result=\"hit\",status=\"4xx\"",
            false},
        {"nearside_requests_total{route=\"-\",result=\"error\",status=\"5xx\"",
            true},
        {"nearside_requests_total{route=\"-\",result=\"error\",status=\"2xx\"",
            false},
        {"nearside_requests_total{route=\"-\",result=\"gone\",status=\"none\"",
            true},
        {"nearside_requests_total{route=\"-\",result=\"gone\",status=\"2xx\"",
            false},
        {"nearside_request_seconds_count{route=\"item\",tier=\"shared\"",
            false},
    };
    struct buf buf;

    (void)state;
    buf_init(&buf, 1 << 20);
    assert_int_equal(metric_render(bench.registry, &buf), RC_OK);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(memmem(buf_slice(&buf).ptr, buf_len(&buf), rows[i].row,
                             strlen(rows[i].row)) != NULL,
            rows[i].is_shown);
    }
    buf_fini(&buf);
}

static void
without_memory_there_are_no_requests(void **state)
{
    struct worker worker = bench.worker;
    struct requests *requests;
    struct request_worker *all = NULL;
    unsigned nth = 0;

    (void)state;
    worker.request = NULL;
    do {
        heap_refuse(++nth, 0);
        all = request_worker_new(bench.requests, &worker);
        assert_true((all == NULL) == heap_refused());
    } while (all == NULL);
    assert_int_equal(nth, 3);
    request_worker_free(&all);
    assert_null(all);
    request_worker_free(&all);
    for (nth = 1; nth <= 4; nth++) {
        struct metric_registry *registry = metric_registry_new();

        heap_refuse(nth, 0);
        requests = requests_new(bench.rules.conf, NULL, registry);
        assert_true(heap_refused());
        assert_null(requests);
        metric_registry_free(&registry);
    }
    requests_free(&requests);
}

/* --- the access line --------------------------------------------------- */

static struct request_access told;
static unsigned told_times;

static void
on_access(struct log_ring *ring, const struct request_access *access)
{
    assert_ptr_equal(ring, bench.worker.ring);
    told = *access;
    told_times++;
}

#define ASSERT_SLICE(slice, text)                                              \
    assert_true(slice_eq((slice), slice_of_str(text)))

static void
the_access_log_is_told_what_was_asked_and_answered(void **state)
{
    struct request *r =
        given_new("GET /item/1?c=2 HTTP/1.0\r\nHost: a.example\r\n"
                  "Referer: here\r\nUser-Agent: me\r\n\r\n");
    int64_t wall_ms;

    (void)state;
    bench.requests->on_access = on_access;
    told_times = 0;
    question_read(r->q);
    r->result = RESULT_MISS;
    r->tier = TIER_ORIGIN;
    r->status = 404;
    r->detail = "status";
    r->sent = 12345;
    r->queued_us = 17;
    r->start_us -= 3000000;
    r->stream = NULL;
    wall_ms = worker_own_wall_ms(&bench.worker);
    request_account(r);
    assert_int_equal(told_times, 1);
    assert_in_range(told.took_us, 3000000, 3900000);
    assert_int_equal(told.wall_ms, wall_ms - told.took_us / 1000);
    assert_int_equal(told.queued_us, 17);
    assert_memory_equal(&told.peer, &bench.rules.peer, sizeof(told.peer));
    ASSERT_SLICE(told.method, "GET");
    ASSERT_SLICE(told.target, "/item/1?c=2");
    ASSERT_SLICE(told.version, "HTTP/1.0");
    ASSERT_SLICE(told.host, "a.example");
    ASSERT_SLICE(told.referer, "here");
    ASSERT_SLICE(told.user_agent, "me");
    ASSERT_SLICE(told.route, "item");
    assert_int_equal(told.status, 404);
    assert_int_equal(told.bytes, 12345);
    assert_string_equal(told.result, "miss");
    assert_string_equal(told.tier, "origin");
    assert_string_equal(told.detail, "status");
    assert_null(told.fault);
    /* An origin's failure says more than anything else. */
    r->error = ORIGIN_ERROR_REFUSED;
    r->fault = "target";
    request_account(r);
    assert_string_equal(
        told.detail, origin_failure(ORIGIN_ERROR_REFUSED)->text);
    assert_string_equal(told.fault, "target");
    request_unref(&r);

    end(&(struct over){OTHER, RESULT_PASS, TIER_SHARED, 200, NULL, false});
    ASSERT_SLICE(told.version, "HTTP/1.1");
    assert_int_equal(told.route.len, 0);
    assert_int_equal(told.referer.len, 0);
    assert_string_equal(told.tier, "shared");
    assert_null(told.detail);
    end(&(struct over){OTHER, RESULT_GONE, TIER_NONE, 0, NULL, false});
    assert_string_equal(told.tier, "-");
    assert_string_equal(told.result, "gone");
}

/* --- what is not stored ------------------------------------------------ */

static void
answers_that_are_not_stored_are_counted_by_their_reason(void **state)
{
    static const struct {
        struct over over;
        const char *reason; /* NULL: it is none */
    } rows[] = {
        {{ITEM, RESULT_MISS, TIER_ORIGIN, 200, "not-storable", false},
            "not-storable"},
        {{ITEM, RESULT_MISS, TIER_ORIGIN, 200, "vary", false}, "vary"},
        {{ITEM, RESULT_MISS, TIER_ORIGIN, 200, "no-memory", false},
            "no-memory"},
        {{ITEM, RESULT_MISS, TIER_ORIGIN, 200, NULL, false}, "other"},
        {{ITEM, RESULT_MISS, TIER_ORIGIN, 200, "unheard-of", false}, "other"},
        {{ITEM, RESULT_MISS, TIER_ORIGIN, 0, "vary", false}, NULL},
        {{ITEM, RESULT_ERROR, TIER_ORIGIN, 502, "vary", false}, NULL},
        {{ITEM, RESULT_GONE, TIER_ORIGIN, 200, "vary", false}, NULL},
        {{ITEM, RESULT_MISS, TIER_SHARED, 200, "vary", false}, NULL},
        {{REQUEST("HEAD /item/1"), RESULT_MISS, TIER_ORIGIN, 200, "vary",
             false},
            NULL},
        {{REQUEST("PUT /item/1"), RESULT_WRITE, TIER_ORIGIN, 200, "vary",
             false},
            NULL},
        {{REQUEST("GET /pass/1"), RESULT_PASS, TIER_ORIGIN, 200, "vary", false},
            NULL},
        {{OTHER, RESULT_PASS, TIER_ORIGIN, 200, "vary", false}, NULL},
        {{ITEM, RESULT_VALIDATED, TIER_ORIGIN, 200, "vary", false}, NULL},
        {{ITEM, RESULT_MISS, TIER_ORIGIN, 200, "vary", true}, NULL},
        {{ITEM, RESULT_HIT, TIER_ORIGIN, 200, "vary", false}, NULL},
        {{ITEM, RESULT_STALE, TIER_ORIGIN, 200, "vary", false}, NULL},
    };
    unsigned vary = 0;
    unsigned others = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *reason = rows[i].reason;
        char line[96];

        vary += reason != NULL && strcmp(reason, "vary") == 0;
        others += reason != NULL && strcmp(reason, "other") == 0;
        end(&rows[i].over);
        if (reason != NULL) {
            snprintf(line, sizeof(line),
                "nearside_not_stored_total{reason=\"%s\"}", reason);
            assert_counted(line, strcmp(reason, "other") == 0 ? others : 1);
        }
        assert_counted("nearside_not_stored_total{reason=\"vary\"}", vary);
    }
    assert_counted("nearside_not_stored_total{reason=\"size\"}", 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void
setup_again(void)
{
    teardown(NULL);
    setup(NULL);
}

/* What the log says of so many requests; "": nothing. */
static const char *
logged(const struct over *over, unsigned times, const struct over *then,
    unsigned then_times)
{
    static char text[2048];
    static char client[1]; /* there is a Redis; it is not asked */
    char path[] = "/tmp/nearside-log-XXXXXX";
    int fd = mkstemp(path);
    const struct log_opts opts = {
        .events = {.target = LOG_TARGET_FILE, .path = path},
        .access = {.target = LOG_TARGET_NONE},
        .level = LOG_LEVEL_INFO,
        .rate_max = 100};
    struct log *log;
    ssize_t n;

    assert_true(fd >= 0);
    assert_int_equal(log_open(&opts, &log, NULL), RC_OK);
    bench.worker.ring = log_ring_new(log);
    bench.worker.redis = (struct redis_client *)client;
    for (unsigned i = 0; i < times; i++) {
        end(over);
    }
    for (unsigned i = 0; i < then_times; i++) {
        end(then);
    }
    bench.worker.redis = NULL;
    bench.worker.ring = NULL;
    log_close(&log);
    n = read(fd, text, sizeof(text) - 1);
    assert_true(n >= 0);
    text[n] = '\0';
    close(fd);
    unlink(path);
    return text;
}

static const struct over no_store = {
    ITEM, RESULT_MISS, TIER_ORIGIN, 200, "no-store", false};
static const struct over not_storable = {
    ITEM, RESULT_MISS, TIER_ORIGIN, 200, "not-storable", false};

static void
a_route_of_which_nothing_is_stored_is_told_of_once(void **state)
{
    const char *text;

    (void)state;
    assert_string_equal(logged(&no_store, 99, NULL, 0), "");
    text = logged(&no_store, 1, NULL, 0);
    assert_non_null(strstr(text, "route_not_cached"));
    assert_non_null(strstr(text, "route=\"item\" answered=\"100\""));
    assert_non_null(strstr(text, "cause=\"no-store\" cure=\"let the API say "
                                 "otherwise in Cache-Control"));
    assert_string_equal(logged(&no_store, 200, NULL, 0), "");
}

/* What came most often, but "not-storable" says the least. */
static void
the_cause_that_is_told_is_the_one_that_says_most(void **state)
{
    static const struct over vary = {
        ITEM, RESULT_MISS, TIER_ORIGIN, 200, "vary", false};

    (void)state;
    assert_non_null(
        strstr(logged(&not_storable, 90, &no_store, 10), "\"no-store\""));
    setup_again();
    assert_non_null(strstr(logged(&no_store, 51, &vary, 49), "\"no-store\""));
    setup_again();
    assert_non_null(strstr(logged(&no_store, 49, &vary, 51), "\"vary\""));
    setup_again();
    assert_non_null(
        strstr(logged(&not_storable, 100, NULL, 0), "\"not-storable\""));
}

static void
a_route_is_settled_by_the_first_sign_that_it_is_cached(void **state)
{
    static const struct over signs[] = {
        {ITEM, RESULT_MISS, TIER_ORIGIN, 200, NULL, true},
        {ITEM, RESULT_HIT, TIER_SHARED, 200, NULL, false},
        {ITEM, RESULT_STALE, TIER_SHARED, 200, NULL, false},
        {ITEM, RESULT_VALIDATED, TIER_ORIGIN, 200, NULL, false},
    };
    static const struct over passing[] = {
        {ITEM, RESULT_MISS, TIER_ORIGIN, 200, "no-memory", false},
        {ITEM, RESULT_MISS, TIER_ORIGIN, 200, NULL, false},
        {ITEM, RESULT_MISS, TIER_SHARED, 200, "no-store", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
        assert_string_equal(logged(&signs[i], 1, &no_store, 200), "");
        setup_again();
    }
    /* What passes, or says nothing, settles nothing and is not counted. */
    for (size_t i = 0; i < ARRAY_LEN(passing); i++) {
        assert_string_equal(logged(&passing[i], 150, &no_store, 99), "");
        assert_string_not_equal(logged(&no_store, 1, NULL, 0), "");
        setup_again();
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_request_is_counted_by_route_result_class_and_tier),
        TEST(a_row_is_shown_when_it_is_usual_or_has_come),
        TEST(without_memory_there_are_no_requests),
        TEST(the_access_log_is_told_what_was_asked_and_answered),
        TEST(answers_that_are_not_stored_are_counted_by_their_reason),
        TEST(a_route_of_which_nothing_is_stored_is_told_of_once),
        TEST(the_cause_that_is_told_is_the_one_that_says_most),
        TEST(a_route_is_settled_by_the_first_sign_that_it_is_cached),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
