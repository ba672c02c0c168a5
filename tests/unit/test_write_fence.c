/* The token of a write, before a real Redis. */
#include "worker_given.h"

#include "../support/clock_advance.h"
#include "net/loop_inside.h"
#include "nearside/tier/store.h"
#include "nearside/write/fence.h"
#include "redis/map.h"

#include <event2/event.h>

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

/* A worker, a question for which there is an entry and a lease, and memory. */
struct writing {
    struct given g;
    struct question *q;
    struct arena arena;
    struct heard heard;
};

static int
writing_begins(void **state)
{
    static struct writing w;

    test_begins(state);
    w = (struct writing){0};
    given_worker_behind(&w.g);
    arena_init(&w.arena, 65536);
    w.q = given_written(&w.g);
    *state = &w;
    return 0;
}

static int
writing_ends(void **state)
{
    struct writing *w = *state;

    question_unref(&w->q);
    arena_fini(&w->arena);
    worker_over(&w->g);
    return test_ends(state);
}

static struct fence *
begin(struct writing *w)
{
    struct route *route = (struct route *)(uintptr_t)w->q->route;
    const struct fence_opts opts = {.worker = &w->g.worker,
        .q = w->q,
        .arena = &w->arena,
        .on_ready = on_ready,
        .ctx = &w->heard};

    route->refuses_unfenced = false;
    assert_false(fence_is_due(&w->g.worker, w->q));
    route->refuses_unfenced = true;
    assert_true(fence_is_due(&w->g.worker, w->q));
    w->heard = (struct heard){0};
    return fence_begin(&opts);
}

static struct fence *
held(struct writing *w)
{
    struct fence *fence = begin(w);

    assert_int_equal(w->heard.times, 0);
    AWAIT(&w->g.rig, w->heard.times > 0);
    assert_true(w->heard.is_held);
    return fence;
}

/* How many tokens stand there. */
static unsigned
tokens_of(struct writing *w)
{
    char key[256];
    char out[256];
    unsigned n = 0;

    key_fence_of(w->q->entry_key, SLICE("ns:"), key);
    assert_true(
        ask(w->g.server, out, sizeof(out), "GET %b", key, w->q->entry_key.len));
    for (const char *at = out; (at = strchr(at, '=')) != NULL; at++) {
        n++;
    }
    return n;
}

static void
let_fence_live(struct writing *w, const char *ms)
{
    char key[256];
    char out[8];

    key_fence_of(w->q->entry_key, SLICE("ns:"), key);
    assert_true(ask(w->g.server, out, sizeof(out), "PEXPIRE %b %s", key,
        w->q->entry_key.len, ms));
}

/* Is what a fetch under a lease of its own has brought stored? */
static bool
is_fill_stored(struct writing *w)
{
    const struct store own_store = {
        .kind = STORE_ENTRY,
        .q = w->q,
        .lease = held_lease(TOKEN),
        .value = given_value(&w->g, w->q, "new", 1000),
        .px_ms = 50000,
    };
    struct entry *entry;

    given_lease(&w->g, w->q, TOKEN);
    store_write(&w->g.worker, &own_store);
    AWAIT(&w->g.rig, nothing_is_sent(&w->g.worker));
    assert_string_equal(lease_of(&w->g, w->q), "");
    entry = entry_of(&w->g, w->q);
    if (entry == NULL) {
        return false;
    }
    entry_unref(&entry);
    return true;
}

/* Has Redis acknowledged a probe that was sent a moment ago? */
static bool
is_probed(struct writing *w)
{
    struct list *first = list_first(&w->g.rig.redis->nodes);
    struct node *node = CONTAINER_OF(first, struct node, link);

    return atomic_load(&node->usable_until_ms) >=
           loop_now_ms(w->g.rig.loop) + TRUST_BOUND_MS;
}

/* The loop's clock goes on, and Redis, if it is up, answers the probes. */
static void
later(struct writing *w, int64_t ms, bool is_up)
{
    struct clock *clock = (struct clock *)(uintptr_t)loop_clock(w->g.rig.loop);

    clock->is_manual = true;
    for (; ms > 0; ms -= 1700) {
        clock_advance(clock, 1700);
        event_active(&w->g.rig.loop->wheel.event, EV_TIMEOUT, 1);
        spin(&w->g.rig, 10);
        if (is_up) {
            AWAIT(&w->g.rig, is_probed(w));
        }
    }
}

static void
while_a_token_stands_there_nothing_is_stored(void **state)
{
    struct writing *w = *state;
    struct fence *fence;

    fence = held(w);
    assert_stored(&w->g, w->q, NULL);
    assert_string_equal(lease_of(&w->g, w->q), "");
    assert_int_equal(tokens_of(w), 1);
    assert_false(is_fill_stored(w));
    fence_leave(&fence); /* it ends by itself */
    assert_null(fence);
    spin(&w->g.rig, 20);
    assert_false(is_fill_stored(w));
}

static void
the_token_of_a_write_that_is_over_is_given_back(void **state)
{
    struct writing *w = *state;
    struct fence *fence;

    fence = held(w);
    fence_drop(&fence);
    assert_null(fence);
    AWAIT(&w->g.rig, tokens_of(w) == 0);
    fence_drop(&fence);
    assert_true(is_fill_stored(w));
}

static void
writes_of_one_target_have_a_token_each(void **state)
{
    struct writing *w = *state;
    struct fence *first;
    struct fence *second;

    first = held(w);
    second = held(w);
    assert_int_equal(tokens_of(w), 2);
    fence_drop(&first);
    AWAIT(&w->g.rig, tokens_of(w) == 1);
    assert_false(is_fill_stored(w));
    fence_drop(&second);
    AWAIT(&w->g.rig, tokens_of(w) == 0);
    assert_true(is_fill_stored(w));
}

static void
a_write_that_takes_long_keeps_its_token(void **state)
{
    struct writing *w = *state;
    struct fence *fence;
    char out[8];

    fence = held(w);
    let_fence_live(w, "5000");
    later(w, 11000, true);
    assert_false(is_fill_stored(w));
    assert_int_equal(counted(&w->g, COUNTER_STORES_FENCED), 1);
    /* A server that has lost it gets it again, and what was stored meanwhile
       is deleted. */
    assert_true(ask(w->g.server, out, sizeof(out), "FLUSHALL"));
    assert_true(is_fill_stored(w));
    later(w, 11000, true);
    assert_int_equal(tokens_of(w), 1);
    assert_stored(&w->g, w->q, NULL);
    assert_int_equal(w->heard.times, 1);
    fence_drop(&fence);
    AWAIT(&w->g.rig, tokens_of(w) == 0);
}

/* However many others write the same target. */
static void
a_token_that_nobody_renews_ends(void **state)
{
    struct writing *w = *state;
    struct fence *fence;

    fence = held(w);
    fence_leave(&fence);
    let_fence_live(w, "100"); /* as if it had stood there for long */
    fence = held(w);
    fence_drop(&fence);
    spin(&w->g.rig, 150);
    fence = held(w);
    assert_int_equal(tokens_of(w), 1);
    fence_drop(&fence);
    AWAIT(&w->g.rig, tokens_of(w) == 0);
}

static void
without_an_acknowledgement_it_is_not_held(void **state)
{
    struct writing *w = *state;
    struct fence *fence;
    char out[64];

    w->g.worker.conf->opts.limits.flight_wait_ms = 200;
    /* Before that, who asks waits for the first answers to the probes. */
    AWAIT(&w->g.rig, is_probed(w));
    assert_true(ask(
        w->g.server, out, sizeof(out), "CONFIG SET min-replicas-to-write 1"));
    fence = begin(w);
    AWAIT(&w->g.rig, w->heard.times > 0);
    assert_false(w->heard.is_held);
    assert_int_equal(w->heard.times, 1);
    assert_stored(&w->g, w->q, "body");
    fence_leave(&fence);
    assert_null(fence);
}

static void
a_token_that_came_too_late_is_given_back(void **state)
{
    struct writing *w = *state;
    struct fence *fence;

    fence = held(w); /* the server knows the script from now on */
    fence_drop(&fence);
    AWAIT(&w->g.rig, tokens_of(w) == 0);
    assert_true(is_fill_stored(w));
    w->g.worker.conf->opts.limits.flight_wait_ms = 200;
    w->g.rig.redis->opts.command_timeout_ms = 5000;
    server_stop(w->g.server);
    fence = begin(w);
    later(w, 6000, false); /* the command's own time is over, and the write's */
    AWAIT(&w->g.rig, w->heard.times > 0);
    assert_false(w->heard.is_held);
    kill(w->g.server->pid, SIGCONT);
    later(w, 5000, false);
    assert_stored(&w->g, w->q, NULL); /* it was executed */
    assert_int_equal(tokens_of(w), 0);
    fence_leave(&fence);
}

static void
a_full_server_takes_a_token(void **state)
{
    struct writing *w = *state;
    struct fence *fence;
    char out[64];

    assert_true(ask(w->g.server, out, sizeof(out), "CONFIG SET maxmemory 1"));
    fence = held(w);
    assert_int_equal(tokens_of(w), 1);
    fence_drop(&fence);
    AWAIT(&w->g.rig, tokens_of(w) == 0);
}

/* Nobody stores anything there either. */
static void
where_no_script_is_run_a_deletion_is_enough(void **state)
{
    struct writing *w = *state;
    struct fence *fence;
    char out[64];

    assert_true(ask(
        w->g.server, out, sizeof(out), "ACL SETUSER default -eval -evalsha"));
    fence = held(w);
    assert_stored(&w->g, w->q, NULL);
    assert_int_equal(tokens_of(w), 0);
    fence_drop(&fence);
}

/* Nothing of it goes on, for as long as another try would take. */
static void
assert_given_back(struct writing *w)
{
    arena_fini(&w->arena);
    arena_init(&w->arena, 65536);
    AWAIT(&w->g.rig, nothing_is_sent(&w->g.worker));
    later(w, 1700, true);
    assert_int_equal(tokens_of(w), 0);
    assert_int_equal(w->heard.times, 0);
}

/* Whoever drops it hears nothing of it any more, and a token that may have been
   sent is given back. */
static void
one_that_is_dropped_before_it_is_held_leaves_no_token(void **state)
{
    struct writing *w = *state;
    struct fence *fence;

    between_heard(w->g.between);
    fence = begin(w);
    while (atomic_load(&w->g.between->seen_len) == 0) {
        loop_turn(w->g.rig.loop, 1);
    }
    fence_drop(&fence);
    assert_given_back(w);
}

static void
one_that_is_dropped_while_another_try_is_due_leaves_no_token(void **state)
{
    struct writing *w = *state;
    struct fence *fence;
    struct told t;

    between_says(w->g.between, 0, "EVALSHA", "+OK\r\n", 1);
    fence = begin(w);
    AWAIT(&w->g.rig, atomic_load(&w->g.between->rules[0].times) == 0);
    assert_int_equal(run(&w->g.rig, &t, "PING", PATIENCE_MS), RC_OK);
    fence_leave(&fence); /* one that is not held is dropped */
    assert_given_back(w);
}

/* What Redis does not take the first time it is asked for again. */
static void
it_is_tried_again_until_it_is_held(void **state)
{
    struct writing *w = *state;
    struct fence *fence;

    between_says(w->g.between, 1, "EVALSHA", "+OK\r\n", 2);
    fence = held(w);
    assert_int_equal(atomic_load(&w->g.between->rules[1].times), 0);
    assert_int_equal(w->heard.times, 1);
    assert_int_equal(tokens_of(w), 1);
    fence_leave(&fence);
}

static void
without_memory_there_is_no_fence(void **state)
{
    struct writing *w = *state;

    arena_fini(&w->arena);
    arena_init(&w->arena, 64);
    assert_null(begin(w));
    assert_string_equal(lease_of(&w->g, w->q), "token-1");
}

#define WRITING(name)                                                          \
    cmocka_unit_test_setup_teardown(name, writing_begins, writing_ends)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WRITING(one_that_is_dropped_before_it_is_held_leaves_no_token),
        WRITING(one_that_is_dropped_while_another_try_is_due_leaves_no_token),
        WRITING(it_is_tried_again_until_it_is_held),
        WRITING(without_memory_there_is_no_fence),
        WRITING(while_a_token_stands_there_nothing_is_stored),
        WRITING(the_token_of_a_write_that_is_over_is_given_back),
        WRITING(writes_of_one_target_have_a_token_each),
        WRITING(a_write_that_takes_long_keeps_its_token),
        WRITING(a_token_that_nobody_renews_ends),
        WRITING(without_an_acknowledgement_it_is_not_held),
        WRITING(a_token_that_came_too_late_is_given_back),
        WRITING(a_full_server_takes_a_token),
        WRITING(where_no_script_is_run_a_deletion_is_enough),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
