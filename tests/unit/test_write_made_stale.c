/* What a write makes stale: its target always, others where there is memory. */
#include "worker_given.h"

#include "http_given.h"

#include "nearside/write/made_stale.h"

static int
teardown(void **state)
{
    (void)state;
    servers_end();
    return 0;
}

#define MORE "Location: /b\r\nContent-Location: /c\r\n"

static void
given_kept(struct given *g, struct question *q)
{
    struct value value = given_value(g, q, "body", 60000);

    given_stored(g, q, value_slice(&value));
    value_free(&value);
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
        const struct made_stale *stale;
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
        stale = made_stale_find(q, answer, &arena);
        assert_int_equal(stale != NULL, rows[i].has_target);
        if (stale != NULL) {
            const struct deletion_opts none = {0};
            assert_non_null(made_stale_delete(&g.worker, q, stale, &none));
        }
        AWAIT(&g.rig, list_is_empty(&g.worker.tier->deletions));
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

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_write_deletes_its_target_and_what_its_answer_names),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
