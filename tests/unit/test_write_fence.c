/* The token of a write, before a real Redis. */
#include "worker_given.h"
#include "../support/clock_advance.h"

#include <event2/event.h>

#include "net/loop_inside.h"

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
    given_worker_behind(&w.g);
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
begin_unheard(struct fenced *w)
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
}

static void
begin(struct fenced *w)
{
    begin_unheard(w);
    assert_non_null(w->fence);
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

/* Nothing of it goes on, for as long as another try would take. */
static void
assert_given_back(struct fenced *w)
{
    struct loop *loop = w->g.rig.loop;

    assert_null(w->fence);
    arena_fini(&w->arena);
    arena_init(&w->arena, 65536);
    loop->clock.is_manual = true;
    clock_advance(&loop->clock, 60);
    event_active(&loop->wheel.event, EV_TIMEOUT, 1);
    loop_turn(loop, 0);
    loop->clock.is_manual = false;
    AWAIT(&w->g.rig, list_is_empty(&w->g.worker.tier->stores));
    assert_string_equal(lease_of(&w->g, w->q), "");
    assert_int_equal(w->heard.times, 0);
}

/* Whoever drops it hears nothing of it any more, and a token that may have been
   sent is given back. */
static void
one_that_is_dropped_before_it_is_held_leaves_no_token(void **state)
{
    struct fenced *w = *state;

    between_heard(w->g.between);
    begin_unheard(w);
    while (atomic_load(&w->g.between->seen_len) == 0) {
        loop_turn(w->g.rig.loop, 1);
    }
    fence_drop(&w->fence);
    assert_given_back(w);
}

static void
one_that_is_dropped_while_another_try_is_due_leaves_no_token(void **state)
{
    struct fenced *w = *state;
    struct told t;

    between_says(w->g.between, 0, "DEL ns:e", "+OK\r\n", 1);
    begin_unheard(w);
    AWAIT(&w->g.rig, atomic_load(&w->g.between->rules[0].times) == 0);
    assert_int_equal(run(&w->g.rig, &t, "PING", PATIENCE_MS), RC_OK);
    fence_leave(&w->fence); /* one that is not held is dropped */
    assert_given_back(w);
}

/* What Redis does not take the first time it is asked for again. */
static void
it_is_tried_again_until_it_is_held(void **state)
{
    struct fenced *w = *state;

    between_says(w->g.between, 1, "SET ns:l", ":1\r\n", 1);
    between_says(w->g.between, 2, "DEL ns:e", "+OK\r\n", 1);
    between_heard(w->g.between);
    begin(w);
    assert_true(w->heard.is_held);
    assert_int_equal(w->heard.times, 1);
    assert_int_equal(atomic_load(&w->g.between->seen_len), 5);
    assert_stored(&w->g, w->q, NULL);
    assert_in_range(
        pttl_of(&w->g, lease_key(w->q, (char[256]){0})), 30000, 60000);
    fence_leave(&w->fence);
}

static void
without_memory_there_is_no_fence(void **state)
{
    struct fenced *w = *state;

    arena_fini(&w->arena);
    arena_init(&w->arena, 64);
    begin_unheard(w);
    assert_null(w->fence);
    assert_string_equal(lease_of(&w->g, w->q), "token-1");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FENCED(one_that_is_dropped_before_it_is_held_leaves_no_token),
        FENCED(one_that_is_dropped_while_another_try_is_due_leaves_no_token),
        FENCED(it_is_tried_again_until_it_is_held),
        FENCED(without_memory_there_is_no_fence),
        FENCED(a_token_takes_the_place_of_entry_and_lease),
        FENCED(the_token_of_a_write_that_was_not_done_is_given_back),
        FENCED(without_an_acknowledgement_it_is_not_held),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
