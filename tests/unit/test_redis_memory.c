/*
 * Memory that is not to be had: whichever one block it is, who has sent a
 * command is told its end, the next one finds Redis again, and nothing of what
 * was begun is left.
 */
#include "redis_fixture.h"

#include "heap.h"

enum {
    BLOCKS_MAX = 80,
};

static pid_t parent;

static unsigned child_without; /* that block */
static enum rc child_ends[2];  /* of its two calls, so far */

/* Here a child comes of which an assertion has failed: nobody else tells. */
static int
teardown(void **state)
{
    (void)state;
    if (getpid() != parent) {
        fprintf(stderr, "block %u: %s, then %s\n", child_without,
            rc_text(child_ends[0]), rc_text(child_ends[1]));
        _exit(2);
    }
    servers_end();
    return 0;
}

static bool
is_an_end(enum rc rc)
{
    return rc == RC_OK || rc == RC_NOMEM || rc == RC_MISS || rc == RC_CLOSED ||
           rc == RC_DOUBT || rc == RC_TIMEOUT || rc == RC_REFUSED;
}

/* False: so many blocks are not wanted. */
static bool
is_told_without(unsigned nth, enum redis_mode mode)
{
    struct rig rig = {0};
    struct told first, then;
    bool is_refused;

    child_without = nth;
    heap_begins();
    rig_open(&rig, (struct redis_opts){.mode = mode,
                       .command_timeout_ms = PATIENCE_MS,
                       .connect_timeout_ms = PATIENCE_MS,
                       .hang_ms = PATIENCE_MS});
    heap_refuse(nth, 0);
    child_ends[0] = run(&rig, &first, "GET k", PATIENCE_MS);
    assert_true(is_an_end(child_ends[0]));
    do {
        child_ends[1] = run(&rig, &then, "SET k v", PATIENCE_MS);
        assert_true(is_an_end(child_ends[1]));
    } while (child_ends[1] != RC_OK);
    is_refused = heap_refused();
    assert_string_equal(then.text, "OK");
    rig_close(&rig);
    heap_ends();
    return is_refused;
}

/* All at once, each in a child: a cluster is asked again after a second. */
static void
is_told_without_any(enum redis_mode mode, unsigned at_least)
{
    pid_t children[BLOCKS_MAX];
    unsigned refused = 0;
    int status;

    for (unsigned i = 0; i < BLOCKS_MAX; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            _exit(is_told_without(i + 1, mode) ? 1 : 0);
        }
    }
    for (unsigned i = 0; i < BLOCKS_MAX; i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        assert_in_range(WEXITSTATUS(status), 0, 1);
        refused += (unsigned)WEXITSTATUS(status);
    }
    assert_in_range(refused, at_least, BLOCKS_MAX - 1);
}

static void
without_any_one_block_a_single_server_is_used_all_the_same(void **state)
{
    (void)state;
    server_new(NULL);
    is_told_without_any(REDIS_MODE_STANDALONE, 10);
}

static void
without_any_one_block_a_cluster_is_used_all_the_same(void **state)
{
    (void)state;
    cluster_new(1, 0);
    is_told_without_any(REDIS_MODE_CLUSTER, 40);
}

static void
without_any_one_block_nothing_of_a_client_is_left(void **state)
{
    const char *seed = "127.0.0.1:1";
    struct redis_opts opts = redis_opts_filled((struct redis_opts){
        .mode = REDIS_MODE_STANDALONE, .seeds = &seed, .seeds_len = 1});
    unsigned refused = 0;

    (void)state;
    for (bool is_refused = true; is_refused;) {
        struct loop *loop = loop_new();
        struct resolver *resolver = resolver_new();
        struct metric_registry *registry = metric_registry_new();
        size_t blocks = heap_blocks();
        struct redis *redis;

        heap_refuse(refused + 1, 0);
        redis = redis_new(&opts, resolver, NULL);
        is_refused = heap_refused();
        assert_true(is_refused == (redis == NULL));
        redis_free(&redis);
        assert_int_equal(heap_blocks(), blocks);
        refused += is_refused;
        loop_free(&loop);
        resolver_free(&resolver);
        metric_registry_free(&registry);
    }
    assert_in_range(refused, 5, 50);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_any_one_block_nothing_of_a_client_is_left),
        cmocka_unit_test_teardown(
            without_any_one_block_a_single_server_is_used_all_the_same,
            teardown),
        cmocka_unit_test_teardown(
            without_any_one_block_a_cluster_is_used_all_the_same, teardown),
    };

    parent = getpid();
    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
