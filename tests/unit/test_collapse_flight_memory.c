/*
 * Flights that are refused memory, one block at a time: whoever waits is told
 * once all the same, the lease is given back, and nothing is left behind.
 */
#include "collapse_given.h"

#include "nearside/tier/store.h"

/* Answers each request that comes until the one who waits is told and the run
   is over. */
static void
serve(struct bench *b, const struct waiting *w, const char *fields)
{
    int64_t until_ms = real_ms() + PATIENCE_MS;

    while (w->times == 0 || !list_is_empty(&b->collapse_worker.runs) ||
           !nothing_is_sent(&b->g.worker)) {
        assert_true(real_ms() < until_ms);
        loop_turn(b->g.rig.loop, 20);
        if (b->fd < 0) {
            b->fd = accept4(b->listen_fd, NULL, NULL, SOCK_NONBLOCK);
        }
        if (b->fd >= 0) {
            ssize_t n = read(b->fd, b->request, sizeof(b->request));
            if (n > 0) {
                say(b, "200 OK", fields, "body");
            } else if (n == 0) {
                close(b->fd);
                b->fd = -1;
            }
        }
    }
}

/* That it is not is noted, as with any answer that cannot be. */
static void
assert_not_stored(struct bench *b, const struct question *q)
{
    struct entry *entry = entry_of(&b->g, q);

    assert_non_null(entry);
    assert_int_equal(entry->flags, ENTRY_HIT_FOR_MISS);
    entry_unref(&entry);
}

struct scene {
    bool is_renewed; /* by what is stored already */
    const char *fields;
};

/* True: the nth block was asked for, and refused. */
static bool
is_told_without(struct bench *b, unsigned nth, const struct scene *scene)
{
    struct question *q;
    int64_t before = limited(&b->g, LIMIT_MEMORY);
    struct waiting w;
    bool is_refused;
    char out[16];

    assert_true(ask(b->g.server, out, sizeof(out), "FLUSHALL"));
    q = scene->is_renewed
            ? given_renewable(b)
            : given_question(&b->g.asking, "GET /a", "Accept: a\r\n");
    /* A connection that was refused memory has been lost. */
    AWAIT(&b->g.rig, store_is_possible(&b->g.worker, q));
    assert_int_equal(enter(b, q, &w), FLIGHT_OPENED);
    heap_refuse(nth, 0);
    flight_run_start(&b->g.worker, q, w.waiter.flight,
        &(struct flight_run_opts){.wait_until_ms = INT64_MAX});
    serve(b, &w, scene->fields);
    is_refused = heap_refused();
    assert_int_equal(w.times, 1);
    if (w.result.outcome == FLIGHT_ALONE) {
        assert_true(is_refused);
        assert_string_equal(w.result.detail, "no-memory");
        assert_int_equal(limited(&b->g, LIMIT_MEMORY), before + 1);
    } else if (w.result.detail != NULL &&
               strcmp(w.result.detail, "no-memory") == 0) {
        assert_not_stored(b, q);
    }
    assert_int_equal(flight_table_len(b->collapse.flights), 0);
    assert_string_equal(lease_of(&b->g, q), "");
    waiting_over(&w);
    question_unref(&q);
    return is_refused;
}

static void
without_any_one_block_of_memory_who_waits_is_told(void **state)
{
    static const struct scene scenes[] = {
        {.fields = FRESH},
        {.fields = FRESH "Vary: Accept\r\n"},
        {.fields = "Cache-Control: no-store\r\n"},
        {.fields = FRESH, .is_renewed = true},
    };
    struct bench b;

    (void)state;
    bench_up(&b);
    for (size_t i = 0; i < ARRAY_LEN(scenes); i++) {
        unsigned nth = 1;
        while (is_told_without(&b, nth, &scenes[i])) {
            nth++;
        }
        assert_true(nth > 6);
    }
    bench_down(&b);
}

/* Its lease's key has no room in the memory that a run may have. */
static void
without_memory_for_the_lease_who_waits_goes_on_alone(void **state)
{
    static char large[300000] = "{";
    struct bench b;
    struct question *q;
    struct slice was;
    struct waiting w;

    (void)state;
    bench_up(&b);
    q = given_question(&b.g.asking, "GET /a", "");
    was = q->entry_key;
    q->entry_key = slice_of(large, sizeof(large));
    fly(&b, q, &w);
    await_told(&b, &w);
    await_no_run(&b);
    q->entry_key = was;
    assert_int_equal(w.result.outcome, FLIGHT_ALONE);
    assert_string_equal(w.result.detail, "no-memory");
    assert_int_equal(limited(&b.g, LIMIT_MEMORY), 1);
    asked_over(&b, &q, &w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_memory_for_the_lease_who_waits_goes_on_alone),
        TEST(without_any_one_block_of_memory_who_waits_is_told),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
