/* What memory answers before there is a flight or a lookup (step_memory.c). */
#include "request_given.h"

#include "nearside/cache/memory.h"

static int
memory_setup(void **state)
{
    setup(state);
    bench.tier.memory = memory_new(&(struct memory_opts){.size = 4 << 20});
    assert_non_null(bench.tier.memory);
    bench.tier.leases.memory = bench.tier.memory;
    return 0;
}

static int
memory_teardown(void **state)
{
    bench.tier.leases.memory = NULL;
    memory_free(&bench.tier.memory);
    return teardown(state);
}

/* Memory has it under the key of that request, or of its variant by `record`.
 */
static void
given_in_memory(
    const char *request, struct entry *record, struct codec_parts parts)
{
    struct request *r = given_new(request);
    struct memory_note note = {0};
    struct memory_watch watch;
    struct entry *entry;
    char key[256];

    assert_int_equal(question_read(r->q).status, 0);
    if (record != NULL) {
        assert_int_equal(request_choose_variant(r, record), RC_OK);
    }
    snprintf(key, sizeof(key), "%.*s", SLICE_FMT(r->q->key.full));
    parts.key = slice_of_str(key);
    entry = given_entry(&parts);
    watch = memory_watch(bench.tier.memory, r->q->key.hash);
    assert_int_equal(
        memory_put(bench.tier.memory, &watch, entry, &note), RC_OK);
    entry_unref(&entry);
    request_on_gone(r, 0);
}

/* fresh_ms, stale_ms: from now on; less than 0: before. */
static struct codec_parts
given_parts(uint16_t flags, int64_t fresh_ms, int64_t stale_ms)
{
    int64_t now_ms = worker_wall_ms(&bench.worker);

    return (struct codec_parts){
        .status = 200,
        .flags = flags,
        .created_ms = now_ms,
        .fresh_until_ms = now_ms + fresh_ms,
        .stale_until_ms = now_ms + stale_ms,
        .fields = SLICE("x: 1\r\n"),
        .body = SLICE("abc"),
    };
}

#define RANGE                                                                  \
    "GET /any/x HTTP/1.1\r\nHost: a.example\r\nRange: bytes=0-1\r\n\r\n"

static void
a_fresh_entry_answers_without_a_flight(void **state)
{
    static const struct {
        const char *text;
        unsigned status;
        bool has_body;
    } rows[] = {
        {GET, 200, true},
        {REQUEST("HEAD /any/x"), 200, false},
        {RANGE, 206, true},
        {REQUEST("GET /any/%78"), 200, true},
    };

    (void)state;
    given_in_memory(GET, NULL, given_parts(0, 60000, 60000));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *r = given_new(rows[i].text);

        request_start(r);
        assert_moves(r, "ask memory deliver_entry");
        assert_int_equal(bench.response->status, rows[i].status);
        assert_int_equal(bench.response->has_body, rows[i].has_body);
        assert_extra("detail=memory");
        assert_int_equal(r->result, RESULT_HIT);
        assert_int_equal(r->tier, TIER_MEMORY);
        request_on_sent(r, 0);
    }
}

static void
what_does_not_answer_is_left_to_a_flight_or_a_lookup(void **state)
{
    static const struct {
        const char *text;
        const char *moves;
        uint16_t flags;
        int64_t fresh_ms;
    } rows[] = {
        {GET, "ask memory flight", 0, -1000},
        {GET, "ask memory flight", ENTRY_MUST_VALIDATE, -1000},
        {GET, "ask memory flight", ENTRY_HIT_FOR_MISS, 60000},
        {GET, "ask memory flight", ENTRY_VARY_RECORD, -1000},
        {RANGE, "ask memory lookup", 0, -1000},
        {REQUEST("GET /any/y"), "ask memory flight", 0, 60000},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request *r;

        given_in_memory(
            GET, NULL, given_parts(rows[i].flags, rows[i].fresh_ms, 60000));
        r = given_new(rows[i].text);
        request_start(r);
        assert_moves(r, rows[i].moves);
        assert_null(r->hit);
        request_on_gone(r, 0);
        loop_turn(bench.worker.loop, 0);
    }
}

static void
a_record_leads_to_the_variant(void **state)
{
    static const char xml[] =
        "GET /any/x HTTP/1.1\r\nHost: a.example\r\nAccept: text/xml\r\n\r\n";
    struct codec_parts parts = given_parts(ENTRY_VARY_RECORD, 60000, 60000);
    struct entry *record;
    struct request *r;

    (void)state;
    parts.vary_names = SLICE("accept");
    parts.generation = SLICE("g");
    given_in_memory(GET, NULL, parts);
    parts.key = SLICE(KEY);
    record = given_entry(&parts);
    given_in_memory(xml, record, given_parts(0, 60000, 60000));
    entry_unref(&record);

    r = given_new(xml);
    request_start(r);
    assert_moves(r, "ask memory memory deliver_entry");
    assert_extra("hit;");
    request_on_sent(r, 0);

    r = given_new(GET);
    request_start(r);
    assert_moves(r, "ask memory memory flight");
    assert_int_equal(r->fwd, CACHE_FWD_VARY_MISS);
    request_on_gone(r, 0);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, memory_setup, memory_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_fresh_entry_answers_without_a_flight),
        TEST(what_does_not_answer_is_left_to_a_flight_or_a_lookup),
        TEST(a_record_leads_to_the_variant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
