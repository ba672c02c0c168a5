/* When the map is asked for. */
#include "redis_fixture.h"

#include "redis/map.h"

static long long
starts(struct rig *rig, const char *cause)
{
    char row[64];

    snprintf(row, sizeof(row), "refreshes_total{cause=\"%s\"}", cause);
    return rig_metric(rig, row);
}

/* A cluster of which nobody answers. */
static void
open_deaf(struct rig *rig, uint16_t port, char seed[64])
{
    static const char *seeds[1];
    const struct redis_opts opts = {.seeds = seeds, .seeds_len = 1};

    snprintf(seed, 64, "127.0.0.1:%u", port);
    seeds[0] = seed;
    rig_open(rig, opts);
}

static void
refreshes_that_everybody_wants_begin_a_second_apart(void **state)
{
    char seed[64];
    struct rig rig = {0};
    int64_t last;

    (void)state;
    open_deaf(&rig, 1, seed);
    AWAIT(&rig, starts(&rig, "start") == 1);
    /* By the loop's clock: the turn that began one may have been over late. */
    last = loop_now_ms(rig.loop);
    for (int i = 1; i <= 3; i++) {
        AWAIT(&rig, (redis_want_refresh(rig.redis, REFRESH_MOVED),
                        starts(&rig, "moved") == i));
        assert_true(loop_now_ms(rig.loop) - last >= 950);
        last = loop_now_ms(rig.loop);
    }
    rig_close(&rig);
}

static void
refresh_that_is_wanted_during_another_follows_it(void **state)
{
    uint16_t port = port_pick();
    int fd = listener(port);
    char seed[64];
    struct rig rig = {0};

    (void)state;
    open_deaf(&rig, port, seed);
    AWAIT(&rig, starts(&rig, "start") == 1);
    redis_want_refresh(rig.redis, REFRESH_MOVED);
    loop_turn(rig.loop, 0);
    assert_int_equal(rig_metric(&rig, "refresh_failures_total"), 0);
    AWAIT(&rig, starts(&rig, "moved") == 1);
    assert_int_equal(rig_metric(&rig, "refresh_failures_total"), 1);
    assert_int_equal(starts(&rig, "periodic"), 0);
    rig_close(&rig);
    close(fd);
}

/* A node that is off, a name that nobody answers: they look like this. */
static void
seeds_that_say_nothing_are_not_waited_for(void **state)
{
    uint16_t port = port_pick();
    int fd = listener(port);
    char deaf[64];
    char good[64];
    const char *seeds[2] = {deaf, good};
    const struct redis_opts opts = {.seeds = seeds,
        .seeds_len = 2,
        .connect_timeout_ms = PATIENCE_MS,
        .hang_ms = PATIENCE_MS};
    struct rig rig = {0};
    int64_t began_ms;

    (void)state;
    snprintf(deaf, sizeof(deaf), "127.0.0.1:%u", port);
    snprintf(good, sizeof(good), "127.0.0.1:%u", server_new(NULL)->port);
    began_ms = real_ms();
    rig_open(&rig, opts);
    AWAIT(&rig, rig_map_is_whole(&rig));
    assert_true(real_ms() - began_ms < PATIENCE_MS / 2);
    rig_close(&rig);
    servers_end();
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refreshes_that_everybody_wants_begin_a_second_apart),
        cmocka_unit_test(refresh_that_is_wanted_during_another_follows_it),
        cmocka_unit_test(seeds_that_say_nothing_are_not_waited_for),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
