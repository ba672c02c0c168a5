/*
 * Control thread, coherence thread and two workers, as in the daemon, over a
 * real cluster whose slots move meanwhile. Meant for the thread sanitizer;
 * without it, it still tells whether every call ends once and answers come to
 * the right one.
 */
#include "redis_fixture.h"

#include <pthread.h>

#include "nearside/base/check.h"
#include "nearside/base/metric.h"

enum {
    WORKERS = 2,
    CALLS = 32,
    ROUNDS = 150,
};

struct worker {
    pthread_t thread;
    struct loop *loop;
    struct redis *redis;
    struct metric_block *block;
    unsigned number;
    unsigned ok;
    unsigned failed;
    unsigned usable; /* times that an entry could be used */
    atomic_uint rounds;
};

static void
on_changed(void *ctx, struct slice key)
{
    (void)ctx;
    (void)key;
}

/* As for an entry in memory. */
static void
judge(struct worker *w, struct redis_client *client, unsigned round)
{
    uint16_t slot = (uint16_t)(round * 109 % SLOT_COUNT);
    uint32_t look = near_look(client);
    struct near_mark mark;

    w->usable += near_take_mark(client, slot, &mark) &&
                 near_why_not(client, look, &mark) == NULL;
}

static int
teardown(void **state)
{
    (void)state;
    servers_end();
    return 0;
}

static void
worker_round(struct worker *w, struct redis_client *client, unsigned round)
{
    static _Thread_local struct told t[CALLS];
    static _Thread_local char words[CALLS][48];
    int64_t until = real_ms() + PATIENCE_MS;
    unsigned ended = 0;

    judge(w, client, round);
    memset(t, 0, sizeof(t));
    for (unsigned i = 0; i < CALLS; i++) {
        snprintf(words[i], sizeof(words[i]), "GET key:%u", (round + i) % 100);
        t[i].call.on_reply = on_told;
        t[i].call.ctx = &t[i];
        t[i].call.retries = true;
        t[i].call.deadline_ms = loop_now_ms(w->loop) + 2000;
        struct slice argv[] = {SLICE("GET"), slice_of_str(words[i] + 4)};
        redis_send(client, &t[i].call, argv[1], 2, argv);
    }
    while (ended < CALLS && real_ms() < until) {
        loop_turn(w->loop, 20);
        ended = 0;
        for (unsigned i = 0; i < CALLS; i++) {
            ended += t[i].times;
        }
    }
    for (unsigned i = 0; i < CALLS; i++) {
        char expected[16];

        snprintf(expected, sizeof(expected), "v%u", (round + i) % 100);
        if (t[i].rc == RC_OK && strcmp(t[i].text, expected) == 0) {
            w->ok++;
        } else {
            w->failed++;
        }
    }
}

static void *
worker_main(void *ctx)
{
    struct worker *w = ctx;
    struct redis_client *client;

    w->loop = loop_new();
    client = redis_client_new(w->redis, w->loop, NULL, w->block);
    for (unsigned round = 0; round < ROUNDS; round++) {
        worker_round(w, client, round);
        atomic_fetch_add(&w->rounds, 1);
    }
    for (int64_t until = real_ms() + PATIENCE_MS;
         w->usable == 0 && real_ms() < until;) {
        loop_turn(w->loop, 5);
        judge(w, client, ROUNDS);
    }
    redis_client_free(&client);
    loop_free(&w->loop);
    return NULL;
}

static void *
loop_main(void *ctx)
{
    loop_run(ctx);
    return NULL;
}

/* Moves the (empty) slots `first` to `first + 20` from one node to another. */
static void
move_slots(struct server *from, struct server *to, unsigned first)
{
    char text[64];

    for (unsigned slot = first; slot < first + 20; slot++) {
        assert_true(ask(to, text, sizeof(text), "CLUSTER SETSLOT %u NODE %s",
            slot, to->id));
        assert_true(ask(from, text, sizeof(text), "CLUSTER SETSLOT %u NODE %s",
            slot, to->id));
    }
}

static bool
slot_is_used(unsigned slot)
{
    for (int i = 0; i < 100; i++) {
        char key[16];

        snprintf(key, sizeof(key), "key:%d", i);
        if (slot_of(slice_of_str(key)) == slot) {
            return true;
        }
    }
    return false;
}

/* The first of 20 slots of the first server that hold no key. */
static unsigned
free_slots(void)
{
    for (unsigned first = 0;; first++) {
        unsigned len = 0;

        while (len < 20 && !slot_is_used(first + len)) {
            len++;
        }
        if (len == 20) {
            return first;
        }
    }
}

static void
two_workers_and_control_share_a_moving_map(void **state)
{
    struct metric_registry *registry = metric_registry_new();
    struct resolver *resolver = resolver_new();
    struct redis_opts opts = {.refresh_interval_ms = 300};
    struct worker workers[WORKERS] = {0};
    char seed[64];
    const char *seeds[] = {seed};
    struct redis_thread control = {.loop = loop_new()};
    struct redis_thread coherence = {.loop = loop_new()};
    pthread_t threads[2];
    struct redis *redis;
    struct redis_status status;
    struct buf text;

    (void)state;
    cluster_new(3, 0);
    for (unsigned i = 0; i < 100; i++) {
        char key[16];
        char reply[16];
        unsigned slot;

        snprintf(key, sizeof(key), "key:%u", i);
        slot = slot_of(slice_of_str(key));
        assert_true(ask(&fixture.servers[slot * 3 / SLOT_COUNT], reply,
            sizeof(reply), "SET %s v%u", key, i));
    }
    snprintf(seed, sizeof(seed), "localhost:%u", fixture.servers[0].port);
    opts.seeds = seeds;
    opts.seeds_len = 1;
    opts = redis_opts_filled(opts);
    redis = redis_new(&opts, resolver, registry);
    control.block = metric_block_new(registry);
    coherence.block = metric_block_new(registry);
    near_listen(redis, on_changed, redis);
    redis_start(redis, &control, &coherence);
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i].redis = redis;
        workers[i].number = i;
        workers[i].block = metric_block_new(registry);
        assert_int_equal(
            pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]),
            0);
    }
    assert_int_equal(
        pthread_create(&threads[0], NULL, loop_main, control.loop), 0);
    assert_int_equal(
        pthread_create(&threads[1], NULL, loop_main, coherence.loop), 0);
    move_slots(&fixture.servers[0], &fixture.servers[1], free_slots());
    while (atomic_load(&workers[0].rounds) < ROUNDS ||
           atomic_load(&workers[1].rounds) < ROUNDS) {
        redis_status(redis, &status);
        pause_ms(5);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].ok, CALLS * ROUNDS);
        assert_int_equal(workers[i].failed, 0);
        assert_true(workers[i].usable > 0);
    }
    loop_stop(control.loop);
    loop_stop(coherence.loop);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    redis_stop(redis);
    assert_int_equal(status.slots_known, SLOT_COUNT);
    buf_init(&text, 1000000);
    assert_int_equal(metric_render(registry, &text), RC_OK);
    assert_non_null(memmem(
        text.data, buf_len(&text), "nearside_redis_commands_total 9600\n", 35));
    buf_fini(&text);
    redis_free(&redis);
    loop_free(&control.loop);
    loop_free(&coherence.loop);
    resolver_free(&resolver);
    metric_registry_free(&registry);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(
            two_workers_and_control_share_a_moving_map, teardown),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
