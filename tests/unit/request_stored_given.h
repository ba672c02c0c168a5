/*
 * The bench of request_given.h with a real Redis, for the steps that ask it:
 * what they find there, and what lies there afterwards.
 */
#ifndef TESTS_UNIT_REQUEST_STORED_GIVEN_H
#define TESTS_UNIT_REQUEST_STORED_GIVEN_H

#include "redis_fixture.h"

#include "request_given.h"
#include "sent_given.h"

static struct server *redis_server;
static struct rig redis_rig;

static inline int
redis_setup(void **state)
{
    const struct redis_opts opts = {.mode = REDIS_MODE_STANDALONE,
        .command_timeout_ms = PATIENCE_MS,
        .hang_ms = PATIENCE_MS};
    struct told t;

    (void)state;
    redis_server = server_new(NULL);
    rig_open(&redis_rig, opts);
    bench_up(redis_rig.loop);
    bench.worker.redis = redis_rig.client;
    tier_worker_init(
        &bench.tier_worker, &bench.tier, &bench.worker, on_no_deletion, NULL);
    random_seed(&bench.worker.random);
    assert_int_equal(run(&redis_rig, &t, "PING", PATIENCE_MS), RC_OK);
    return 0;
}

static inline int
redis_teardown(void **state)
{
    (void)state;
    UNTIL(nothing_is_sent(&bench.worker));
    UNTIL(list_is_empty(&bench.worker.tier->deletions));
    bench_down();
    rig_close(&redis_rig);
    metric_registry_free(&bench.registry);
    rules_fini(&bench.rules);
    servers_end();
    return 0;
}

#define ENTRY_OF(path) "ns:e:{http://a.example" path "}"
#define LEASE_OF(path) "ns:l:{http://a.example" path "}"

static inline void
given_value_at(const char *key, const struct codec_parts *parts)
{
    struct value value;
    char out[16];

    assert_int_equal(codec_encode(parts, &value), RC_OK);
    assert_true(ask(redis_server, out, sizeof(out), "SET %s %b PX 60000", key,
        value.bytes, value.len));
    value_free(&value);
}

static inline bool
exists(const char *key)
{
    char out[16];

    assert_true(ask(redis_server, out, sizeof(out), "EXISTS %s", key));
    return out[0] == '1';
}

#endif
