/*
 * What a server makes of the machine and of its conf, as it says when it
 * starts. The machine is the test's: its processors, its memory and the open
 * files that it allows.
 */
#include "server_given.h"

#include <inttypes.h>
#include <sys/resource.h>

#include "app/machine.h"

#define MIB (UINT64_C(1) << 20)

#define AT_ONCE "drain_delay = 0s\n"

static struct {
    unsigned cpus;
    uint64_t memory;
    struct rlimit files;
} machine;

unsigned
machine_cpus(const struct cgroup_limits *limits)
{
    (void)limits;
    return machine.cpus;
}

uint64_t
machine_memory(const struct cgroup_limits *limits)
{
    (void)limits;
    return machine.memory;
}

int
getrlimit(__rlimit_resource_t what, struct rlimit *out)
{
    (void)what;
    *out = machine.files;
    return 0;
}

int
setrlimit(__rlimit_resource_t what, const struct rlimit *limit)
{
    assert_int_equal(what, RLIMIT_NOFILE);
    assert_true(limit->rlim_cur <= machine.files.rlim_max);
    machine.files = *limit;
    return 0;
}

static void
given_machine(void)
{
    machine.cpus = 1;
    machine.memory = 800 * MIB;
    machine.files = (struct rlimit){.rlim_cur = 1000, .rlim_max = 1000};
}

/* It starts, and ends at once, since it is told so already. */
static void
starts(const struct folder *f, const char *rest)
{
    struct conf *conf = conf_made(f, rest);

    end_is_pending();
    assert_int_equal(run_told(conf), 0);
    assert_true(was_told("\nready\n"));
    conf_free(&conf);
}

static void
does_not_start(const struct folder *f, const char *rest)
{
    struct conf *conf = conf_made(f, rest);

    assert_int_equal(run_told(conf), 1);
    assert_true(was_told("nearside: cannot start\n"));
    assert_false(was_told("ready\n"));
    conf_free(&conf);
}

static void
as_many_connections_as_the_open_files_leave_room_for(void **state)
{
    static const struct {
        rlim_t soft, hard;
        const char *told;
    } rows[] = {
        {128, 128, " connections_max=\"32\" open_files=\"128\" "},
        {510, 510, " connections_max=\"127\" open_files=\"510\" "},
        {512, 512, " connections_max=\"128\" open_files=\"512\" "},
        {516, 516, " connections_max=\"130\" open_files=\"516\" "},
        {200, 1000, " connections_max=\"372\" open_files=\"1000\" "},
        {999999, 999999, " connections_max=\"499871\" open_files=\"999999\" "},
        {1000001, 1000001,
            " connections_max=\"499872\" open_files=\"1000000\" "},
        {2000000, 2000000,
            " connections_max=\"499872\" open_files=\"1000000\" "},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        given_machine();
        machine.files.rlim_cur = rows[i].soft;
        machine.files.rlim_max = rows[i].hard;
        starts(*state, AT_ONCE TO_NOWHERE);
        assert_true(was_told(rows[i].told));
        assert_false(was_told("open_files_few"));
        assert_int_equal(machine.files.rlim_cur, rows[i].hard);
    }
}

static void
with_too_few_open_files_it_says_so_and_ends(void **state)
{
    given_machine();
    machine.files.rlim_cur = 100;
    machine.files.rlim_max = 127;
    does_not_start(*state, AT_ONCE TO_NOWHERE);
    assert_true(
        was_told("nearside: 127 open files are allowed, 128 are needed\n"));
    assert_false(was_told("listening on"));
}

/* The conf's word counts, and what it lacks is told. */
static void
more_connections_than_open_files_are_told(void **state)
{
    given_machine();
    starts(*state, AT_ONCE "limits { connections_max = 372 }\n" TO_NOWHERE);
    assert_true(was_told(" connections_max=\"372\" open_files=\"1000\" "));
    assert_false(was_told("open_files_few"));
    starts(*state, AT_ONCE "limits { connections_max = 373 }\n" TO_NOWHERE);
    assert_true(was_told(" connections_max=\"373\" open_files=\"1000\" "));
    assert_true(was_told(" warn open_files_few allowed=\"1000\" "
                         "connections_max=\"373\" advised=\"372\"\n"));
}

static void
as_many_workers_as_processors_or_as_the_conf_says(void **state)
{
    given_machine();
    machine.cpus = 3;
    starts(*state, AT_ONCE TO_NOWHERE);
    assert_true(was_told(" workers=\"3\" "));
    starts(*state, AT_ONCE "workers = 2\n" TO_NOWHERE);
    assert_true(was_told(" workers=\"2\" "));
}

static void
an_eighth_of_the_memory_is_held_for_slow_clients_a_quarter_caches(void **state)
{
    static const struct {
        uint64_t memory, held_max, memory_size;
    } rows[] = {
        /* Nobody knows how much there is. */
        {0, 256 * MIB, 256 * MIB},
        {3, 256 * MIB, 256 * MIB},
        {7, 256 * MIB, MIB},
        {8, MIB, MIB},
        {8 * MIB - 8, MIB, 2 * MIB - 2},
        {8 * MIB + 8, MIB + 1, 2 * MIB + 2},
        {800 * MIB, 100 * MIB, 200 * MIB},
        {1024 * MIB - 4, 128 * MIB - 1, 256 * MIB - 1},
        {1024 * MIB + 8, 128 * MIB + 1, 256 * MIB},
        {2048 * MIB - 8, 256 * MIB - 1, 256 * MIB},
        {2048 * MIB + 8, 256 * MIB, 256 * MIB},
        {64 * 1024 * MIB, 256 * MIB, 256 * MIB},
    };
    char want[160];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        given_machine();
        machine.memory = rows[i].memory;
        starts(*state, AT_ONCE TO_NOWHERE);
        snprintf(want, sizeof(want),
            " held_max=\"%" PRIu64 "\" memory=\"%" PRIu64
            "\" memory_size=\"%" PRIu64 "\"\n",
            rows[i].held_max, rows[i].memory, rows[i].memory_size);
        assert_true(was_told(want));
    }
    given_machine();
    starts(*state, AT_ONCE "limits { held_max = 300MB }\n" TO_NOWHERE);
    assert_true(was_told(" held_max=\"314572800\" memory=\"838860800\" "
                         "memory_size=\"209715200\"\n"));
}

/* Its clients' listener alone is there. */
static void
the_small_listeners_may_be_off(void **state)
{
    const struct folder *f = *state;
    struct conf *conf;

    given_machine();
    conf = conf_made(f, AT_ONCE TO_NOWHERE);
    conf->metrics = conf->admin = NULL;
    end_is_pending();
    assert_int_equal(run_told(conf), 0);
    assert_true(was_told("/l (http)\n"));
    assert_false(was_told(" (metrics)"));
    assert_false(was_told(" (admin)"));
    conf_free(&conf);
}

static void
a_log_that_cannot_be_opened_is_told(void **state)
{
    given_machine();
    does_not_start(*state,
        AT_ONCE "error_log { target = \"file:/nowhere/x\" }\n" TO_NOWHERE);
    assert_true(was_told("nearside: "));
    assert_true(was_told("/nowhere/x"));
    assert_false(was_told("listening on"));
}

/* ---- what the conf adds ------------------------------------------------- */

struct heard {
    char client[2048];
    char status[16384];
    char wrong[2048]; /* the status, asked for where it is not shown */
};

static void *
ask_once(void *ctx)
{
    struct heard *h = ctx;

    LOOK_UNTIL(access("a", F_OK) == 0);
    ask("l", "/a", h->client, sizeof(h->client));
    ask("m", "/status", h->wrong, sizeof(h->wrong));
    /* A name is looked up meanwhile. */
    LOOK_UNTIL((ask("a", "/status", h->status, sizeof(h->status)),
        strstr(h->status, "\"result\": \"none\"") == NULL));
    kill(getpid(), SIGTERM);
    return NULL;
}

static void
is_asked_once(const struct folder *f, const char *rest, struct heard *h)
{
    struct conf *conf = conf_made(f, rest);
    pthread_t thread;

    given_machine();
    signals_block();
    assert_int_equal(pthread_create(&thread, NULL, ask_once, h), 0);
    assert_int_equal(run_told(conf), 0);
    pthread_join(thread, NULL);
    conf_free(&conf);
}

static void
one_without_redis_and_memory_says_that_nothing_is_cached(void **state)
{
    struct heard h;

    is_asked_once(*state, AT_ONCE TO_NOWHERE, &h);
    assert_false(was_told("nothing_cached"));
    is_asked_once(*state, AT_ONCE "memory { size = 0 }\n" TO_NOWHERE, &h);
    assert_true(was_told(" warn nothing_cached cause=\"no redis is named, "));
    assert_non_null(strstr(h.status, "\"redis\": null"));
}

static void
each_small_listener_shows_its_own_pages(void **state)
{
    struct heard h;

    is_asked_once(*state, AT_ONCE TO_NOWHERE, &h);
    assert_memory_equal(h.status, "HTTP/1.1 200 ", 13);
    assert_memory_equal(h.wrong, "HTTP/1.1 404 ", 13);
}

static void
the_name_of_an_origin_is_looked_up(void **state)
{
    struct heard h;

    is_asked_once(*state,
        AT_ONCE "origin api { servers = { \"http://localhost:1\" } }\n"
                "route \"/a\" { ttl = 1s }\n",
        &h);
    assert_true(was_told(
        " info origin_addresses server=\"http://localhost:1\" count="));
    assert_non_null(strstr(h.status, "\"changed\": 1"));
}

/* Nobody answers there, and the origin is asked nevertheless. */
static void
one_with_redis_looks_for_it(void **state)
{
    struct heard h;

    is_asked_once(*state,
        AT_ONCE "redis { seeds = { \"127.0.0.1:1\" } }\n" TO_NOWHERE, &h);
    assert_false(was_told("nothing_cached"));
    assert_true(was_told("redis_"));
    assert_non_null(strstr(h.status, "\"redis\": {\n    \"up\": false"));
    assert_memory_equal(h.client, "HTTP/1.1 502 ", 13);
}

/* The access log is the file "lines" of the folder. */
static void
is_logged_once(const struct folder *f, const char *format)
{
    char conf[512];
    struct heard h;

    snprintf(conf, sizeof(conf),
        AT_ONCE "access_log { target = \"file:%s/lines\" %s }\n" TO_NOWHERE,
        f->path, format);
    is_asked_once(f, conf, &h);
}

static void
each_request_has_its_line_in_the_access_log(void **state)
{
    is_logged_once(*state, "");
    assert_true(file_has("lines", "\"GET /a HTTP/1.1\" 502 "));
    unlink("lines");
    is_logged_once(*state, "format = json");
    assert_true(file_has("lines", "{\"time\":\""));
    assert_true(file_has("lines", ",\"target\":\"/a\","));
    assert_true(file_has("lines", ",\"status\":502,"));
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(as_many_connections_as_the_open_files_leave_room_for),
        TEST(with_too_few_open_files_it_says_so_and_ends),
        TEST(more_connections_than_open_files_are_told),
        TEST(as_many_workers_as_processors_or_as_the_conf_says),
        TEST(an_eighth_of_the_memory_is_held_for_slow_clients_a_quarter_caches),
        TEST(the_small_listeners_may_be_off),
        TEST(a_log_that_cannot_be_opened_is_told),
        TEST(each_small_listener_shows_its_own_pages),
        TEST(the_name_of_an_origin_is_looked_up),
        TEST(one_without_redis_and_memory_says_that_nothing_is_cached),
        TEST(one_with_redis_looks_for_it),
        TEST(each_request_has_its_line_in_the_access_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
