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

/* A write of a target that is stored, and whose lease somebody has. */
struct fenced {
    struct given g;
    struct question *q;
    struct arena arena;
    struct heard heard;
    struct fence *fence;
};

static int
fenced_up(void **state)
{
    static struct fenced w;

    test_begins(state);
    w = (struct fenced){0};
    given_worker(&w.g, 5000);
    arena_init(&w.arena, 65536);
    w.q = given_written(&w.g);
    *state = &w;
    return 0;
}

static int
fenced_down(void **state)
{
    struct fenced *w = *state;

    assert_null(w->fence);
    question_unref(&w->q);
    arena_fini(&w->arena);
    worker_over(&w->g);
    return test_ends(state);
}

static void
begin(struct fenced *w)
{
    struct route *route = (struct route *)(uintptr_t)w->q->route;
    const struct fence_opts opts = {.worker = &w->g.worker,
        .q = w->q,
        .arena = &w->arena,
        .on_ready = on_ready,
        .ctx = &w->heard};

    assert_false(fence_is_due(&w->g.worker, w->q));
    route->refuses_unfenced = true;
    assert_true(fence_is_due(&w->g.worker, w->q));
    w->fence = fence_begin(&opts);
    assert_int_equal(w->heard.times, 0);
    AWAIT(&w->g.rig, w->heard.times > 0);
}

/* What was stored is gone, and whoever had the lease has lost it. */
static void
a_token_takes_the_place_of_entry_and_lease(void **state)
{
    struct fenced *w = *state;

    begin(w);
    assert_true(w->heard.is_held);
    assert_stored(&w->g, w->q, NULL);
    assert_string_not_equal(lease_of(&w->g, w->q), "token-1");
    assert_string_not_equal(lease_of(&w->g, w->q), "");
    fence_leave(&w->fence); /* the deletion that follows takes it */
    assert_null(w->fence);
    spin(&w->g.rig, 20);
    assert_string_not_equal(lease_of(&w->g, w->q), "");
}

static void
the_token_of_a_write_that_was_not_done_is_given_back(void **state)
{
    struct fenced *w = *state;

    begin(w);
    fence_drop(&w->fence);
    AWAIT(&w->g.rig, lease_of(&w->g, w->q)[0] == '\0');
    fence_drop(&w->fence);
}

static void
without_an_acknowledgement_it_is_not_held(void **state)
{
    struct fenced *w = *state;
    char out[64];

    w->g.worker.conf->opts.limits.flight_wait_ms = 200;
    assert_true(ask(
        w->g.server, out, sizeof(out), "CONFIG SET min-replicas-to-write 1"));
    begin(w);
    assert_false(w->heard.is_held);
    assert_int_equal(w->heard.times, 1);
    assert_stored(&w->g, w->q, "body");
    fence_leave(&w->fence);
    assert_null(w->fence);
}

#define FENCED(name)                                                           \
    cmocka_unit_test_setup_teardown(name, fenced_up, fenced_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FENCED(a_token_takes_the_place_of_entry_and_lease),
        FENCED(the_token_of_a_write_that_was_not_done_is_given_back),
        FENCED(without_an_acknowledgement_it_is_not_held),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
