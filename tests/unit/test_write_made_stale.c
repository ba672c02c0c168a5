/* What a write makes stale: its target always, others where there is memory. */
#include "worker_given.h"

#include "http_given.h"

#include "nearside/write/made_stale.h"

#define MORE "Location: /b\r\nContent-Location: /c\r\n"

static void
given_kept(struct given *g, struct question *q)
{
    struct value value = given_value(g, q, "body", 60000);

    given_stored(g, q, value_slice(&value));
    value_free(&value);
}

static void
on_all_done(void *ctx)
{
    ++*(unsigned *)ctx;
}

/* Out of memory the target alone is deleted, and never nothing. */
static void
a_write_deletes_its_target_and_what_its_answer_names(void **state)
{
    static const struct {
        const char *line;
        unsigned status;
        size_t arena_max;
        bool has_target; /* they are stale */
        bool has_more;
    } rows[] = {
        {"PUT /a", 200, 65536, true, true},
        {"PUT /a", 302, 65536, true, true},
        {"PUT /a", 200, 64, true, false},
        {"PUT /a", 404, 65536, false, false},
        {"PUT /a", 500, 65536, false, false},
        {"GET /a", 200, 65536, false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        static const char *const lines[] = {"GET /a", "GET /b", "GET /c"};
        struct made_stale stale = {0};
        struct made_stale_opts opts = {.on_done = on_all_done};
        unsigned done = 0;
        const struct head *answer;
        struct question *kept[3];
        struct question *q;
        struct arena arena;
        struct given g;

        given_worker(&g, 5000);
        arena_init(&arena, rows[i].arena_max);
        for (size_t j = 0; j < 3; j++) {
            kept[j] = given_question(&g.asking, lines[j], "");
            given_kept(&g, kept[j]);
        }
        q = given_question(&g.asking, rows[i].line, "");
        answer = given_answer(METHOD_PUT, rows[i].status, MORE);
        opts.ctx = &done;
        made_stale_find(&stale, q, answer, &arena);
        assert_int_equal(stale.is_due, rows[i].has_target);
        if (stale.is_due) {
            assert_true(made_stale_delete(&stale, &g.worker, q, &opts));
            assert_true(made_stale_is_awaited(&stale));
            AWAIT(&g.rig, done > 0);
        }
        assert_false(made_stale_is_awaited(&stale));
        assert_true(list_is_empty(&g.worker.tier->deletions));
        assert_int_equal(done, rows[i].has_target);
        assert_stored(&g, kept[0], rows[i].has_target ? NULL : "body");
        assert_stored(&g, kept[1], rows[i].has_more ? NULL : "body");
        assert_stored(&g, kept[2], rows[i].has_more ? NULL : "body");
        for (size_t j = 0; j < 3; j++) {
            question_unref(&kept[j]);
        }
        question_unref(&q);
        arena_fini(&arena);
        worker_over(&g);
    }
}

/* No reader of its own target is answered from the cache: the others are. */
static void
a_write_of_no_route_deletes_what_its_answer_names(void **state)
{
    struct made_stale stale = {0};
    struct made_stale_opts opts = {.on_done = on_all_done};
    struct question *kept, *q;
    struct arena arena;
    unsigned done = 0;
    struct given g;

    (void)state;
    given_worker(&g, 5000);
    arena_init(&arena, 65536);
    kept = given_question(&g.asking, "GET /b", "");
    given_kept(&g, kept);
    g.asking.route.write = ROUTE_WRITE_PASS;
    q = given_question(&g.asking, "POST /a", "");
    assert_int_equal(q->key.full.len, 0);
    made_stale_find(&stale, q, given_answer(METHOD_POST, 201, ""), &arena);
    assert_false(stale.is_due);
    made_stale_find(&stale, q, given_answer(METHOD_POST, 201, MORE), &arena);
    assert_true(stale.is_due);
    opts.ctx = &done;
    assert_true(made_stale_delete(&stale, &g.worker, q, &opts));
    AWAIT(&g.rig, done > 0);
    assert_stored(&g, kept, NULL);
    question_unref(&kept);
    question_unref(&q);
    arena_fini(&arena);
    worker_over(&g);
}

/* Whoever waits is told when the last of them is done, or not at all. */
static void
one_who_has_left_is_not_told(void **state)
{
    struct made_stale stale = {0};
    struct made_stale_opts opts = {.on_done = on_all_done};
    struct question *q;
    struct arena arena;
    unsigned done = 0;
    struct given g;

    (void)state;
    given_worker(&g, 5000);
    arena_init(&arena, 65536);
    q = given_question(&g.asking, "PUT /a", "");
    made_stale_find(&stale, q, given_answer(METHOD_PUT, 200, MORE), &arena);
    opts.ctx = &done;
    assert_true(made_stale_delete(&stale, &g.worker, q, &opts));
    made_stale_forget(&stale);
    assert_false(made_stale_is_awaited(&stale));
    AWAIT(&g.rig, list_is_empty(&g.worker.tier->deletions));
    assert_int_equal(done, 0);
    assert_int_equal(counted(&g, COUNTER_INVALIDATIONS), 3);
    question_unref(&q);
    arena_fini(&arena);
    worker_over(&g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_write_deletes_its_target_and_what_its_answer_names),
        TEST(a_write_of_no_route_deletes_what_its_answer_names),
        TEST(one_who_has_left_is_not_told),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
