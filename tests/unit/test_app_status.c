/* What /status says, of a server that is made of its parts by hand. */
#include "conf_given.h"

#include "server/server_inside.h"
#undef SERVER_MAGIC /* a server of that room's; ours comes next */
#include "app/server_inside.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "../support/clock_advance.h"
#include "origin/group_inside.h"
#include "proxy/proxy.h"
#include "redis/map.h"
#include "redis_opts.h"

struct rig {
    struct server server;
    struct conf *conf;
    struct origin_group *groups[2]; /* one with an address, one with a name */
    struct metric_block *block;
    json_t *said;
};

static const char conf_text[] =
    "origin api { servers = { \"http://127.0.0.1:1\" } }\n"
    "origin named { servers = { \"http://api.example:1\" } }\n"
    "route \"/a\" { ttl = 1s origin = api }\n"
    "route \"/b\" { ttl = 1s origin = named }\n";

static struct conf *
given_conf(void)
{
    const struct conf_flags flags = {.path = "c"};
    struct conf_errors errors;
    struct conf *conf = NULL;

    file_write("c", 0644, conf_text);
    conf_errors_init(&errors);
    if (conf_load(&flags, &errors, &conf) != RC_OK) {
        conf_errors_print(&errors, stderr);
        fail();
    }
    conf_errors_fini(&errors);
    return conf;
}

static struct clock *
clock_of(struct rig *rig)
{
    return (struct clock *)(uintptr_t)loop_clock(rig->server.control);
}

static void
rig_start(struct rig *rig)
{
    struct server *s = &rig->server;
    struct proxy_opts opts;

    *rig = (struct rig){.conf = given_conf()};
    *s = (struct server){.magic = SERVER_MAGIC, .conf = rig->conf};
    s->registry = metric_registry_new();
    s->control = loop_new();
    s->groups = rig->groups;
    s->groups_len = ARRAY_LEN(rig->groups);
    s->threads_len = 3;
    for (size_t i = 0; i < s->groups_len; i++) {
        assert_int_equal(
            origin_group_new(&rig->conf->origins[i], &rig->groups[i]), RC_OK);
    }
    origin_groups_measure(s->groups, (unsigned)s->groups_len, s->registry);
    opts = rig->conf->proxy;
    opts.groups = s->groups;
    opts.conf.groups_len = s->groups_len;
    opts.workers = s->threads_len;
    opts.conf.limits.connections_max = 100;
    opts.conf.limits.held_max = 1 << 20;
    s->proxy = proxy_new(&opts, s->registry);
    assert_non_null(s->proxy);
    rig->block = metric_block_new(s->registry);
    clock_of(rig)->is_manual = true;
    s->start_ms = loop_now_ms(s->control);
}

static void
rig_stop(struct rig *rig)
{
    struct server *s = &rig->server;

    json_decref(rig->said);
    proxy_free(&s->proxy);
    for (size_t i = 0; i < s->groups_len; i++) {
        origin_group_free(&rig->groups[i]);
    }
    loop_free(&s->control);
    metric_registry_free(&s->registry);
    conf_free(&rig->conf);
}

/* What it says now. */
static const json_t *
status(struct rig *rig)
{
    struct buf text;

    buf_init(&text, 1000000);
    assert_int_equal(server_status(&rig->server, &text), RC_OK);
    assert_true(buf_slice(&text).ptr[buf_len(&text) - 1] == '\n');
    json_decref(rig->said);
    rig->said = json_loadb(buf_slice(&text).ptr, buf_slice(&text).len, 0, NULL);
    assert_non_null(rig->said);
    buf_fini(&text);
    return rig->said;
}

static const json_t *
requests(struct rig *rig)
{
    return json_object_get(status(rig), "requests");
}

/* n requests have ended so, on one route after the other. */
static void
count(struct rig *rig, enum result result, unsigned n)
{
    const struct requests *all = rig->server.proxy->requests;

    for (unsigned i = 0; i < n; i++) {
        metric_inc(
            rig->block, all->by_result[i % 2][result][i % STATUS_CLASS_COUNT]);
    }
}

static void
the_uptime_is_in_seconds_and_begins_with_the_start(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig);
    assert_float_equal(
        json_number_value(json_object_get(status(&rig), "uptime_seconds")), 0,
        1e-9);
    clock_advance(clock_of(&rig), 90500);
    assert_float_equal(
        json_number_value(json_object_get(status(&rig), "uptime_seconds")),
        90.5, 1e-9);
    assert_int_equal(
        json_integer_value(json_object_get(rig.said, "workers")), 3);
    rig_stop(&rig);
}

static void
each_result_is_told_of_all_routes(void **state)
{
    struct rig rig;
    const json_t *said;

    (void)state;
    rig_start(&rig);
    for (unsigned i = 0; i < RESULT_COUNT; i++) {
        count(&rig, (enum result)i, i + 1);
    }
    said = requests(&rig);
    for (unsigned i = 0; i < RESULT_COUNT; i++) {
        const char *text = result_text((enum result)i);

        assert_int_equal(
            json_integer_value(json_object_get(said, text)), i + 1);
    }
    assert_int_equal(json_object_size(said), RESULT_COUNT + 1);
    rig_stop(&rig);
}

/* Of what the cache could have answered; of nothing there is no part. */
static void
the_hit_ratio_is_hits_and_stale_ones_of_what_may_be_cached(void **state)
{
    static const struct {
        enum result result;
        double hit_ratio; /* of one such and one hit */
    } rows[] = {
        {RESULT_HIT, 1},
        {RESULT_STALE, 1},
        {RESULT_VALIDATED, 0.5},
        {RESULT_COLLAPSED, 0.5},
        {RESULT_MISS, 0.5},
        {RESULT_BYPASS, 0.5},
        {RESULT_WRITE, 1},
        {RESULT_PASS, 1},
        {RESULT_ERROR, 1},
        {RESULT_GONE, 1},
    };

    (void)state;
    assert_int_equal(ARRAY_LEN(rows), RESULT_COUNT);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        bool is_asked = rows[i].result <= RESULT_BYPASS;
        struct rig rig;
        const json_t *ratio;

        rig_start(&rig);
        count(&rig, rows[i].result, 1);
        ratio = json_object_get(requests(&rig), "hit_ratio");
        assert_int_equal(json_is_null(ratio), !is_asked);
        count(&rig, RESULT_HIT, 1);
        ratio = json_object_get(requests(&rig), "hit_ratio");
        assert_float_equal(json_number_value(ratio), rows[i].hit_ratio, 1e-9);
        rig_stop(&rig);
    }
}

/* One at an address shows it, and since when it rests; only one with a name
   shows look-ups. */
static void
an_origin_tells_its_addresses_or_its_lookups(void **state)
{
    struct rig rig;
    const json_t *origins, *api, *named, *lookups, *address;

    (void)state;
    rig_start(&rig);
    origins = json_object_get(status(&rig), "origins");
    assert_int_equal(json_array_size(origins), 2);
    api = json_array_get(origins, 0);
    named = json_array_get(origins, 1);
    assert_string_equal(json_string_value(json_object_get(api, "name")), "api");
    assert_true(json_is_null(json_object_get(api, "lookups")));
    assert_int_equal(json_array_size(json_object_get(api, "addresses")), 1);
    address = json_array_get(json_object_get(api, "addresses"), 0);
    assert_string_equal(
        json_string_value(json_object_get(address, "address")), "127.0.0.1:1");
    assert_float_equal(
        json_number_value(json_object_get(address, "rests_seconds")), 0, 1e-9);
    assert_string_equal(
        json_string_value(json_object_get(named, "name")), "named");
    assert_int_equal(json_array_size(json_object_get(named, "addresses")), 0);
    lookups = json_object_get(named, "lookups");
    assert_string_equal(
        json_string_value(json_object_get(lookups, "result")), "none");
    assert_int_equal(json_object_size(lookups), 2 + ORIGIN_LOOKUP_COUNT);
    for (unsigned i = 0; i < ORIGIN_LOOKUP_COUNT; i++) {
        const char *text = origin_lookup_text((enum origin_lookup)i);

        assert_true(json_is_integer(json_object_get(lookups, text)));
    }
    rig_stop(&rig);
}

/* In numbers of its own each, so that none is taken for another; times in
   seconds. */
static void
an_origin_tells_its_connections_and_times(void **state)
{
    struct rig rig;
    struct origin_group *api;
    struct server_lookup *l;
    struct origin_addresses *set;
    const json_t *origins, *said;

    (void)state;
    rig_start(&rig);
    api = rig.groups[0];
    atomic_store(&api->connections, 5);
    atomic_store(&api->in_flight, 3);
    atomic_store(&api->queue.len, 2);
    set = origin_server_addresses(api->server);
    atomic_store(
        &set->items[0]->rest_until_ms, loop_now_ms(rig.server.control) + 2500);
    origin_addresses_unref(&set);
    l = &rig.groups[1]->server->lookup;
    l->last.at_ms = 1795403557250;
    l->last.result = ORIGIN_LOOKUP_MISSING;
    for (unsigned i = 0; i < ORIGIN_LOOKUP_COUNT; i++) {
        l->last.counts[i] = i + 7;
    }
    origins = json_object_get(status(&rig), "origins");
    said = json_array_get(origins, 0);
    assert_int_equal(
        json_integer_value(json_object_get(said, "connections")), 5);
    assert_int_equal(json_integer_value(json_object_get(said, "in_flight")), 3);
    assert_int_equal(json_integer_value(json_object_get(said, "waiting")), 2);
    said = json_array_get(json_object_get(said, "addresses"), 0);
    assert_float_equal(
        json_number_value(json_object_get(said, "rests_seconds")), 2.5, 1e-9);
    said = json_object_get(json_array_get(origins, 1), "lookups");
    assert_string_equal(
        json_string_value(json_object_get(said, "result")), "missing");
    assert_float_equal(
        json_number_value(json_object_get(said, "last")), 1795403557.25, 1e-3);
    for (unsigned i = 0; i < ORIGIN_LOOKUP_COUNT; i++) {
        const char *text = origin_lookup_text((enum origin_lookup)i);

        assert_int_equal(
            json_integer_value(json_object_get(said, text)), i + 7);
    }
    atomic_store(&api->connections, 0);
    atomic_store(&api->in_flight, 0);
    atomic_store(&api->queue.len, 0);
    rig_stop(&rig);
}

static void
its_state_is_that_it_serves_or_drains(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig);
    assert_string_equal(
        json_string_value(json_object_get(status(&rig), "state")), "serving");
    assert_string_equal(json_string_value(json_object_get(rig.said, "version")),
        NEARSIDE_VERSION);
    assert_true(json_is_null(json_object_get(rig.said, "redis")));
    assert_int_equal(
        json_integer_value(json_object_get(rig.said, "connections")), 0);
    rig.server.is_draining = true;
    assert_string_equal(
        json_string_value(json_object_get(status(&rig), "state")), "draining");
    rig_stop(&rig);
}

/* ---- Redis --------------------------------------------------------------- */

/* Two nodes; the second one cannot be reached any more, and has refused. */
static void
redis_publishes(struct redis *redis)
{
    struct topology *topology = topology_new();
    struct node *node;
    uint16_t a, b;

    assert_int_equal(topology_add_node(
                         topology, SLICE("id-a"), SLICE("127.0.0.1"), 7001, &a),
        RC_OK);
    assert_int_equal(topology_add_node(
                         topology, SLICE("id-b"), SLICE("127.0.0.1"), 7002, &b),
        RC_OK);
    topology_give(topology, 0, 99, a);
    topology_give(topology, 100, 400, b);
    assert_int_equal(redis_publish(redis, &topology), RC_OK);
    node = redis_node_take(redis, SLICE("127.0.0.1"), 7001);
    atomic_store(&node->state, NODE_TRUSTED);
    atomic_store(&node->telling, NODE_TELLS);
    atomic_store(&node->in_flight, 4);
    redis_node_unref(redis, &node);
    node = redis_node_take(redis, SLICE("127.0.0.1"), 7002);
    atomic_store(&node->state, NODE_REFUSING);
    atomic_store(&node->telling, NODE_NEED_NOT);
    atomic_store(&node->is_down, true);
    snprintf(node->refusal, sizeof(node->refusal), "NO \"x\"");
    redis_tell_refusal(redis, node, SLICE("WRONGPASS"));
    redis_node_unref(redis, &node);
}

static void
node_is(const json_t *said, const char *want)
{
    char *text = json_dumps(said, JSON_COMPACT);

    assert_string_equal(text, want);
    free(text);
}

static void
redis_tells_of_each_of_its_nodes(void **state)
{
    static const char *const seeds[] = {"127.0.0.1:7001"};
    const struct redis_opts opts =
        redis_opts_filled((struct redis_opts){.seeds = seeds, .seeds_len = 1});
    struct rig rig;
    const json_t *said, *nodes;

    (void)state;
    rig_start(&rig);
    rig.server.redis = redis_new(&opts, NULL, NULL);
    said = json_object_get(status(&rig), "redis");
    assert_true(json_is_false(json_object_get(said, "up")));
    assert_int_equal(json_array_size(json_object_get(said, "nodes")), 0);
    assert_string_equal(
        json_string_value(json_object_get(said, "refusal")), "");
    redis_publishes(rig.server.redis);
    said = json_object_get(status(&rig), "redis");
    assert_true(json_is_true(json_object_get(said, "up")));
    assert_int_equal(
        json_integer_value(json_object_get(said, "slots_known")), 401);
    assert_int_equal(
        json_integer_value(json_object_get(said, "map_version")), 1);
    assert_string_equal(json_string_value(json_object_get(said, "refusal")),
        "127.0.0.1:7002: WRONGPASS");
    nodes = json_object_get(said, "nodes");
    assert_int_equal(json_array_size(nodes), 2);
    node_is(json_array_get(nodes, 0),
        "{\"id\":\"id-a\",\"address\":\"127.0.0.1:7001\",\"state\":\"up\","
        "\"refusal\":\"\",\"coherence\":\"tracking\",\"reachable\":true,"
        "\"slots\":100,\"in_flight\":4}");
    node_is(json_array_get(nodes, 1),
        "{\"id\":\"id-b\",\"address\":\"127.0.0.1:7002\","
        "\"state\":\"refusing\",\"refusal\":\"NO \\\\x22x\\\\x22\","
        "\"coherence\":\"ttl\",\"reachable\":false,\"slots\":301,\"in_flight\":"
        "0}");
    redis_free(&rig.server.redis);
    rig_stop(&rig);
}

/* The machine's clock may be ahead of the time by Redis, once that is known. */
static void
redis_tells_how_the_clock_stands(void **state)
{
    static const char *const seeds[] = {"127.0.0.1:7001"};
    const struct redis_opts opts =
        redis_opts_filled((struct redis_opts){.seeds = seeds, .seeds_len = 1});
    const struct clock *clock;
    struct rig rig;
    const json_t *said;

    (void)state;
    rig_start(&rig);
    clock = clock_of(&rig);
    rig.server.redis = redis_new(&opts, NULL, NULL);
    said = json_object_get(json_object_get(status(&rig), "redis"), "clock");
    assert_true(json_is_false(json_object_get(said, "shared")));
    assert_int_equal(json_integer_value(json_object_get(said, "ahead_ms")), 0);
    atomic_store(&rig.server.redis->time.start_ms,
        clock_wall_ms(clock) - clock_now_ms(clock) - 250);
    said = json_object_get(json_object_get(status(&rig), "redis"), "clock");
    assert_true(json_is_true(json_object_get(said, "shared")));
    assert_int_equal(
        json_integer_value(json_object_get(said, "ahead_ms")), 250);
    redis_free(&rig.server.redis);
    rig_stop(&rig);
}

/* One byte too few is known, wherever it is. */
static void
what_does_not_fit_is_no_status(void **state)
{
    struct rig rig;
    struct buf text;
    size_t len;

    (void)state;
    rig_start(&rig);
    buf_init(&text, 1000000);
    assert_int_equal(server_status(&rig.server, &text), RC_OK);
    len = buf_len(&text);
    buf_fini(&text);
    buf_init(&text, len);
    assert_int_equal(server_status(&rig.server, &text), RC_OK);
    buf_fini(&text);
    for (size_t room = len - 2; room < len; room++) {
        buf_init(&text, room);
        assert_int_equal(server_status(&rig.server, &text), RC_LIMIT);
        buf_fini(&text);
    }
    rig_stop(&rig);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_uptime_is_in_seconds_and_begins_with_the_start),
        TEST(each_result_is_told_of_all_routes),
        TEST(the_hit_ratio_is_hits_and_stale_ones_of_what_may_be_cached),
        TEST(an_origin_tells_its_addresses_or_its_lookups),
        TEST(an_origin_tells_its_connections_and_times),
        TEST(its_state_is_that_it_serves_or_drains),
        TEST(what_does_not_fit_is_no_status),
        TEST(redis_tells_of_each_of_its_nodes),
        TEST(redis_tells_how_the_clock_stands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
