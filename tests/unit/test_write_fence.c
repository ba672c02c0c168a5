/* The token of a write, before a real Redis. */
#include "worker_given.h"

#include "nearside/write/fence.h"

struct heard {
    unsigned times;
    bool is_held;
};

static void
on_ready(void *ctx, bool is_held)
{
    struct heard *heard = ctx;

    heard->times++;
    heard->is_held = is_held;
}

static struct question *
given_written(struct given *g)
{
    struct question *q = given_question(&g->asking, "GET /a", "");
    struct value value = given_value(g, q, "body", 1000);

    given_stored(g, q, value_slice(&value));
    given_lease(g, q, TOKEN);
    value_free(&value);
    return q;
}

static struct fence *
begin(struct given *g, struct question *q, struct arena *arena,
    struct heard *heard)
{
    struct route *route = (struct route *)(uintptr_t)q->route;
    const struct fence_opts opts = {.worker = &g->worker,
        .q = q,
        .arena = arena,
        .on_ready = on_ready,
        .ctx = heard};

    assert_false(fence_is_due(&g->worker, q));
    route->refuses_unfenced = true;
    assert_true(fence_is_due(&g->worker, q));
    *heard = (struct heard){0};
    return fence_begin(&opts);
}

/* What was stored is gone, and whoever had the lease has lost it. */
static void
a_token_takes_the_place_of_entry_and_lease(void **state)
{
    struct given g;
    struct question *q;
    struct heard heard;
    struct arena arena;
    struct fence *fence;

    (void)state;
    given_worker(&g, 5000);
    arena_init(&arena, 65536);
    q = given_written(&g);
    fence = begin(&g, q, &arena, &heard);
    assert_int_equal(heard.times, 0);
    AWAIT(&g.rig, heard.times > 0);
    assert_true(heard.is_held);
    assert_stored(&g, q, NULL);
    assert_string_not_equal(lease_of(&g, q), "token-1");
    assert_string_not_equal(lease_of(&g, q), "");
    fence_leave(&fence); /* the deletion that follows takes it */
    assert_null(fence);
    spin(&g.rig, 20);
    assert_string_not_equal(lease_of(&g, q), "");
    question_unref(&q);
    arena_fini(&arena);
    worker_over(&g);
}

static void
the_token_of_a_write_that_was_not_done_is_given_back(void **state)
{
    struct given g;
    struct question *q;
    struct heard heard;
    struct arena arena;
    struct fence *fence;

    (void)state;
    given_worker(&g, 5000);
    arena_init(&arena, 65536);
    q = given_written(&g);
    fence = begin(&g, q, &arena, &heard);
    AWAIT(&g.rig, heard.times > 0);
    fence_drop(&fence);
    AWAIT(&g.rig, lease_of(&g, q)[0] == '\0');
    fence_drop(&fence);
    question_unref(&q);
    arena_fini(&arena);
    worker_over(&g);
}

static void
without_an_acknowledgement_it_is_not_held(void **state)
{
    struct given g;
    struct question *q;
    struct heard heard;
    struct arena arena;
    struct fence *fence;
    char out[64];

    (void)state;
    given_worker(&g, 5000);
    arena_init(&arena, 65536);
    q = given_written(&g);
    g.worker.conf->opts.limits.flight_wait_ms = 200;
    assert_true(
        ask(g.server, out, sizeof(out), "CONFIG SET min-replicas-to-write 1"));
    fence = begin(&g, q, &arena, &heard);
    AWAIT(&g.rig, heard.times > 0);
    assert_false(heard.is_held);
    assert_int_equal(heard.times, 1);
    assert_stored(&g, q, "body");
    fence_leave(&fence);
    assert_null(fence);
    question_unref(&q);
    arena_fini(&arena);
    worker_over(&g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_token_takes_the_place_of_entry_and_lease),
        TEST(the_token_of_a_write_that_was_not_done_is_given_back),
        TEST(without_an_acknowledgement_it_is_not_held),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
