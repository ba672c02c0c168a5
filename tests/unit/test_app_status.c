/* What /status says, of a server that is made of its parts by hand. */
#include "conf_given.h"

#include "app/server_inside.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "../support/clock_advance.h"
#include "proxy/proxy.h"

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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
