/*
 * The answer to a POST that is stored for GETs: for which requests, under
 * which lease, and for how long Redis keeps it.
 */
#include "worker_given.h"

#include "http_given.h"

#include "nearside/body/fill.h"
#include "nearside/write/stored_post.h"

static void
given_route_of_posts(struct given *g)
{
    given_worker(g, 5000);
    g->asking.route.stores_post = true;
    g->asking.route.grace_ms = 600000;
}

static void
only_a_post_that_is_sent_as_a_get_would_be_is_stored(void **state)
{
    static const struct {
        const char *line;
        bool is_due;
    } rows[] = {{"POST /a", true}, {"PUT /a", false}, {"DELETE /a", false},
        {"PATCH /a", false}, {"QUERY /a", false}, {"GET /a", false}};
    struct given g;
    struct question *q;

    (void)state;
    given_route_of_posts(&g);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        q = given_question(&g.asking, rows[i].line, "");
        assert_int_equal(stored_post_is_due(&g.worker, q), rows[i].is_due);
        question_unref(&q);
    }
    g.asking.route.stores_post = false;
    q = given_question(&g.asking, "POST /a", "");
    assert_false(stored_post_is_due(&g.worker, q));
    question_unref(&q);
    g.asking.route.stores_post = true;
    q = given_question(&g.asking, "POST /a", "");
    g.worker.redis = NULL;
    assert_false(stored_post_is_due(&g.worker, q));
    question_unref(&q);
    worker_over(&g);
}

static void
on_ready(void *ctx)
{
    ++*(unsigned *)ctx;
}

/* A POST whose answer has begun, under the lease that it has asked for. */
static struct stored_post *
given_begun(
    struct given *g, struct question *q, struct arena *arena, bool *out_is_kept)
{
    unsigned ready = 0;
    const struct stored_post_opts opts = {.worker = &g->worker,
        .q = q,
        .arena = arena,
        .on_ready = on_ready,
        .ctx = &ready};
    struct stored_post *p = stored_post_begin(&opts);
    struct fetch_plan plan;

    assert_non_null(p);
    assert_int_equal(ready, 0);
    AWAIT(&g->rig, ready > 0);
    assert_int_equal(ready, 1);
    plan = stored_post_on_head(p, given_answer(METHOD_POST, 200,
                                      "Cache-Control: max-age=60\r\n"
                                      "Content-Length: 4\r\n"
                                      "Content-Location: /a\r\n"));
    *out_is_kept = plan.is_kept;
    return p;
}

static void
end_answer(struct given *g, struct stored_post *p)
{
    const struct response_head head = {
        .status = 200, .fields = SLICE("date: x\r\n")};
    const struct fill_opts fill_opts = {
        .window = 100, .held_max = 100, .is_kept = true};
    struct fill *fill = fill_new(g->rig.loop, &head, &fill_opts);

    assert_int_equal(fill_append(fill, SLICE("body")), 4);
    fill_finish(fill, FILL_COMPLETE);
    stored_post_on_complete(p, fill);
    fill_unref(&fill);
}

/* The same, complete. */
static struct stored_post *
given_answered(
    struct given *g, struct question *q, struct arena *arena, bool *out_is_kept)
{
    struct stored_post *p = given_begun(g, q, arena, out_is_kept);

    end_answer(g, p);
    /* Not before what it has made stale is deleted. */
    assert_true(nothing_is_sent(&g->worker));
    return p;
}

/* It is kept past its freshness for as long as it may stand in. */
static void
the_answer_is_stored_under_the_lease_and_kept_past_its_freshness(void **state)
{
    (void)state;
    for (int is_taken = 0; is_taken < 2; is_taken++) {
        struct given g;
        struct question *q;
        struct question *get;
        struct stored_post *p;
        struct arena arena;
        bool is_kept;

        given_route_of_posts(&g);
        arena_init(&arena, 65536);
        q = given_question(&g.asking, "POST /a", "");
        get = given_question(&g.asking, "GET /a", "");
        if (is_taken) {
            given_lease(&g, q, SLICE("another's"));
        }
        p = given_answered(&g, q, &arena, &is_kept);
        assert_int_equal(is_kept, !is_taken);
        assert_int_equal(stored_post_on_deleted(p, DELETION_DONE), !is_taken);
        stored_post_drop(&p);
        AWAIT(&g.rig, nothing_is_sent(&g.worker));
        assert_stored(&g, get, is_taken ? NULL : "body");
        assert_string_equal(lease_of(&g, q), is_taken ? "another's" : "");
        if (!is_taken) {
            assert_in_range(pttl_of(&g, get->entry_key), 600000, 660000);
        }
        question_unref(&q);
        question_unref(&get);
        arena_fini(&arena);
        worker_over(&g);
    }
}

/* Redis is quicker than the origin with the rest of the content. */
static void
an_answer_that_ends_after_its_deletion_is_stored(void **state)
{
    struct given g;
    struct question *q;
    struct question *get;
    struct stored_post *p;
    struct arena arena;
    bool is_kept;

    (void)state;
    given_route_of_posts(&g);
    arena_init(&arena, 65536);
    q = given_question(&g.asking, "POST /a", "");
    get = given_question(&g.asking, "GET /a", "");
    p = given_begun(&g, q, &arena, &is_kept);
    assert_true(stored_post_on_deleted(p, DELETION_DONE));
    assert_true(nothing_is_sent(&g.worker));
    end_answer(&g, p);
    stored_post_drop(&p);
    AWAIT(&g.rig, nothing_is_sent(&g.worker));
    assert_stored(&g, get, "body");
    assert_string_equal(lease_of(&g, q), "");
    question_unref(&q);
    question_unref(&get);
    arena_fini(&arena);
    worker_over(&g);
}

/* A further attempt would delete it again; and a lease that is deleted with
   what was stale guards nothing any more. */
static void
what_the_deletion_may_still_delete_is_not_stored(void **state)
{
    static const enum deletion_end ends[] = {
        DELETION_FAILED, DELETION_DONE_WHOLE};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct given g;
        struct question *q;
        struct stored_post *p;
        struct arena arena;
        bool is_kept;

        given_route_of_posts(&g);
        arena_init(&arena, 65536);
        q = given_question(&g.asking, "POST /a", "");
        p = given_answered(&g, q, &arena, &is_kept);
        assert_true(is_kept);
        assert_false(stored_post_on_deleted(p, ends[i]));
        stored_post_drop(&p);
        AWAIT(&g.rig, nothing_is_sent(&g.worker));
        assert_stored(&g, q, NULL);
        assert_string_equal(lease_of(&g, q), "");
        question_unref(&q);
        arena_fini(&arena);
        worker_over(&g);
    }
}

/* The plan is as for a GET: a route may store what sets a cookie, without it.
   What is not stored is for its client alone, who gets the cookie. */
static void
the_cookie_that_the_answer_sets_is_dropped_where_the_route_says_so(void **state)
{
    static const struct {
        enum route_set_cookie set_cookie;
        const char *fields;
        bool is_kept;
    } rows[] = {{ROUTE_SET_COOKIE_BYPASS, "", false},
        {ROUTE_SET_COOKIE_STRIP, "", true},
        {ROUTE_SET_COOKIE_STRIP, "Vary: Accept-Language\r\n", false},
        {ROUTE_SET_COOKIE_STRIP, "Cache-Control: no-store\r\n", false}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct given g;
        struct question *q;
        struct stored_post *p;
        struct arena arena;
        unsigned ready = 0;
        struct stored_post_opts opts = {.on_ready = on_ready, .ctx = &ready};
        struct fetch_plan plan;
        char fields[256];

        given_route_of_posts(&g);
        g.asking.route.set_cookie = rows[i].set_cookie;
        arena_init(&arena, 65536);
        q = given_question(&g.asking, "POST /a", "");
        opts.worker = &g.worker;
        opts.q = q;
        opts.arena = &arena;
        p = stored_post_begin(&opts);
        assert_non_null(p);
        AWAIT(&g.rig, ready > 0);
        snprintf(fields, sizeof(fields),
            "Cache-Control: max-age=60\r\n"
            "Content-Length: 4\r\n"
            "Content-Location: /a\r\n"
            "Set-Cookie: a=1\r\n%s",
            rows[i].fields);
        plan = stored_post_on_head(p, given_answer(METHOD_POST, 200, fields));
        assert_int_equal(plan.is_kept, rows[i].is_kept);
        assert_int_equal(plan.drops_set_cookie, rows[i].is_kept);
        stored_post_drop(&p);
        AWAIT(&g.rig, nothing_is_sent(&g.worker));
        question_unref(&q);
        arena_fini(&arena);
        worker_over(&g);
    }
}

/* Redis says nothing for as long as a command may take, and does later what it
   was told. The lease may be ours then. */
static void
a_lease_whose_reply_does_not_come_is_given_back(void **state)
{
    struct given g;
    struct question *q;
    struct arena arena;
    unsigned ready = 0;
    struct stored_post_opts opts = {.on_ready = on_ready, .ctx = &ready};
    struct stored_post *p;
    char out[64];

    (void)state;
    given_worker(&g, 100);
    g.asking.route.stores_post = true;
    arena_init(&arena, 65536);
    q = given_question(&g.asking, "POST /a", "");
    opts.worker = &g.worker;
    opts.q = q;
    opts.arena = &arena;
    assert_true(ask(g.server, out, sizeof(out), "CLIENT PAUSE 300 ALL"));
    p = stored_post_begin(&opts);
    assert_non_null(p);
    AWAIT(&g.rig, ready > 0);
    assert_false(
        stored_post_on_head(p, given_answer(METHOD_POST, 200, "")).is_kept);
    stored_post_drop(&p);
    AWAIT(&g.rig, nothing_is_sent(&g.worker));
    assert_string_equal(lease_of(&g, q), "");
    question_unref(&q);
    arena_fini(&arena);
    worker_over(&g);
}

/* The lease is on its way, and nobody is to wait for it. */
static void
one_that_is_dropped_before_it_has_its_lease_leaves_none(void **state)
{
    struct given g;
    struct question *q;
    struct arena arena;
    unsigned ready = 0;
    struct stored_post_opts opts = {
        .arena = &arena, .on_ready = on_ready, .ctx = &ready};
    struct stored_post *p = NULL;

    (void)state;
    given_route_of_posts(&g);
    opts.worker = &g.worker;
    opts.q = q = given_question(&g.asking, "POST /a", "");
    /* Without memory for it, or for its lease, there is none. */
    for (size_t max = 64; p == NULL; max += 64) {
        assert_true(max < 8192);
        arena_init(&arena, max);
        p = stored_post_begin(&opts);
        if (p == NULL) {
            arena_fini(&arena);
        }
    }
    stored_post_drop(&p);
    assert_null(p);
    stored_post_drop(&p);
    arena_fini(&arena);
    AWAIT(&g.rig, nothing_is_sent(&g.worker));
    assert_string_equal(lease_of(&g, q), "");
    assert_int_equal(ready, 0);
    question_unref(&q);
    worker_over(&g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_that_is_dropped_before_it_has_its_lease_leaves_none),
        TEST(only_a_post_that_is_sent_as_a_get_would_be_is_stored),
        TEST(the_answer_is_stored_under_the_lease_and_kept_past_its_freshness),
        TEST(an_answer_that_ends_after_its_deletion_is_stored),
        TEST(what_the_deletion_may_still_delete_is_not_stored),
        TEST(
            the_cookie_that_the_answer_sets_is_dropped_where_the_route_says_so),
        TEST(a_lease_whose_reply_does_not_come_is_given_back),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
