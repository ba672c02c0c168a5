/* What real servers tell of changes, and what follows from it. */
#include "redis_fixture.h"

#include "nearside/base/check.h"
#include "nearside/redis/near.h"
#include "redis/map.h"

static const struct redis_opts standalone = {.mode = REDIS_MODE_STANDALONE};

/* Everything that one that is restricted needs; as in README. */
#define PERMITTED                                                              \
    "~ns:* &__redis__:invalidate +get +getrange +set +del +pexpire +eval "     \
    "+evalsha +exists +sadd +scard +srem +pttl +touch +ping +info +time "      \
    "+asking +client|setname +cluster|slots +cluster|nodes +client|id "        \
    "+client|tracking +subscribe"

static char changed[4096];

static void
on_changed(void *ctx, struct slice key)
{
    size_t len = strlen(changed);

    (void)ctx;
    assert_true(len + key.len + 2 < sizeof(changed));
    memcpy(changed + len, key.ptr, key.len);
    strcpy(changed + len + key.len, "\n");
}

static bool
was_told(const char *key)
{
    char line[128];

    snprintf(line, sizeof(line), "%s\n", key);
    return strstr(changed, line) != NULL;
}

static struct node *
node_of(struct rig *rig, const struct server *s)
{
    struct node *node =
        redis_node_take(rig->redis, SLICE("127.0.0.1"), s->port);
    struct node *same = node;

    redis_node_unref(rig->redis, &node);
    return same;
}

static bool
is_usable(struct rig *rig, const struct near_mark *mark)
{
    return near_why_not(rig->client, near_look(rig->client), mark) == NULL;
}

static const uint16_t slot = 7629; /* of k */

/* A server that tells, and a mark that counts. */
static struct near_mark
open_telling(struct rig *rig, struct redis_opts opts)
{
    struct near_mark mark = {0};

    changed[0] = '\0';
    rig->on_changed = on_changed;
    rig_open(rig, opts);
    AWAIT(
        rig, near_take_mark(rig->client, slot, &mark) && is_usable(rig, &mark));
    return mark;
}

static void
changes_by_others_are_told(void **state)
{
    static const struct {
        const char *commands[3];
        const char *told; /* by the last of them */
    } rows[] = {
        {{"SET ns:e:{a} 1"}, "ns:e:{a}"},
        {{"SET ns:e:{b} 1", "DEL ns:e:{b}"}, "ns:e:{b}"},
        {{"SET ns:e:{c} 1", "UNLINK ns:e:{c}"}, "ns:e:{c}"},
        {{"SET ns:e:{d} 1", "PEXPIRE ns:e:{d} 90000"}, "ns:e:{d}"},
        {{"SET ns:e:{e} 1", "RENAME ns:e:{e} x"}, "ns:e:{e}"},
        {{"SET x 1", "RENAME x ns:e:{f}"}, "ns:e:{f}"},
        {{"SADD ns:e:{g} 1"}, "ns:e:{g}"},
        /* The server looks for such ten times a second. */
        {{"SET ns:e:{h} 1 PX 60"}, "ns:e:{h}"},
        {{"SET ns:l:{a} 1", "SET other 1", "SET ns:e:{z} 1"}, "ns:e:{z}"},
    };
    struct server *s = server_new(NULL);
    struct near_mark mark;
    struct rig rig = {0};
    char text[64];

    (void)state;
    mark = open_telling(&rig, standalone);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        for (unsigned j = 0; j < 3 && rows[i].commands[j] != NULL; j++) {
            changed[0] = '\0';
            assert_true(ask(s, text, sizeof(text), rows[i].commands[j]));
            loop_turn(rig.loop, 0);
        }
        AWAIT(&rig, was_told(rows[i].told));
        assert_true(is_usable(&rig, &mark)); /* by the stamp, that is */
    }
    changed[0] = '\0';
    AWAIT(&rig, was_told("ns:e:{h}")); /* its end */
    assert_false(was_told("ns:l:{a}"));
    assert_false(was_told("other"));
    rig_close(&rig);
}

/* Its memory is full, and so it lets one go. */
static void
evictions_are_told(void **state)
{
    struct server *s = server_new(NULL);
    struct rig rig = {0};
    char text[64];

    (void)state;
    (void)open_telling(&rig, standalone);
    assert_true(ask(s, text, sizeof(text), "SET ns:e:{a} 1"));
    AWAIT(&rig, was_told("ns:e:{a}"));
    changed[0] = '\0';
    assert_true(ask(s, text, sizeof(text),
        "CONFIG SET maxmemory-policy allkeys-lru maxmemory 1"));
    AWAIT(&rig, was_told("ns:e:{a}"));
    rig_close(&rig);
}

/* What this process writes is told as well: it drops what others have put
   there meanwhile. */
static void
changes_by_ourselves_are_told(void **state)
{
    struct rig rig = {0};
    struct told t;

    (void)state;
    server_new(NULL);
    (void)open_telling(&rig, standalone);
    assert_int_equal(run(&rig, &t, "SET ns:e:{a} 1", PATIENCE_MS), RC_OK);
    AWAIT(&rig, was_told("ns:e:{a}"));
    rig_close(&rig);
}

static void
a_server_that_is_emptied_voids_all_there_is_of_it(void **state)
{
    static const char *const commands[] = {
        "FLUSHALL", "FLUSHDB", "FLUSHALL ASYNC", "FLUSHDB ASYNC"};
    struct server *s = server_new(NULL);
    struct near_mark mark;
    struct rig rig = {0};
    char text[64];

    (void)state;
    mark = open_telling(&rig, standalone);
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
        assert_true(ask(s, text, sizeof(text), "SET ns:e:{a} 1"));
        assert_true(ask(s, text, sizeof(text), commands[i]));
        AWAIT(&rig, !is_usable(&rig, &mark));
        assert_true(near_is_void(rig.client, &mark));
        AWAIT(&rig,
            near_take_mark(rig.client, slot, &mark) && is_usable(&rig, &mark));
    }
    assert_int_equal(rig_metric(&rig, "links_lost_total"), 0);
    rig_close(&rig);
}

static void
a_link_that_the_server_kills_leaves_all_unverified_and_comes_back(void **state)
{
    struct server *s = server_new(NULL);
    struct near_mark mark;
    struct near_mark young;
    struct rig rig = {0};
    char text[64];

    (void)state;
    mark = open_telling(&rig, standalone);
    assert_true(ask(s, text, sizeof(text), "CLIENT KILL TYPE pubsub"));
    assert_string_equal(text, "1");
    AWAIT(&rig, !is_usable(&rig, &mark));
    assert_false(near_is_void(rig.client, &mark));
    AWAIT(&rig,
        near_take_mark(rig.client, slot, &young) && is_usable(&rig, &young));
    assert_false(is_usable(&rig, &mark));
    changed[0] = '\0';
    assert_true(ask(s, text, sizeof(text), "SET ns:e:{a} 1"));
    AWAIT(&rig, was_told("ns:e:{a}"));
    rig_close(&rig);
}

/* More has to be told than the server wants to keep for us. */
static void
a_link_that_the_server_ends_for_what_it_has_to_tell_leaves_all_unverified(
    void **state)
{
    struct server *s = server_new(NULL);
    struct near_mark mark;
    struct rig rig = {0};
    char text[64];

    (void)state;
    mark = open_telling(&rig, standalone);
    assert_true(ask(s, text, sizeof(text), "CONFIG SET %s %s",
        "client-output-buffer-limit", "pubsub 100000 0 0"));
    assert_true(ask(s, text, sizeof(text), "EVAL %s 0",
        "for i = 1, 50000 do redis.call('SET', 'ns:e:' .. i, 1) end return 1"));
    AWAIT(&rig, !is_usable(&rig, &mark));
    assert_false(near_is_void(rig.client, &mark));
    assert_int_equal(rig_metric(&rig, "links_lost_total"), 1);
    rig_close(&rig);
}

static void
what_is_had_of_a_server_that_stands_still_is_not_used_after_the_bound(
    void **state)
{
    struct server *s = server_new(NULL);
    struct near_mark mark;
    struct rig rig = {0};

    (void)state;
    mark = open_telling(&rig, standalone);
    rig_stop_clock(&rig);
    server_stop(s);
    rig_pass(&rig, TRUST_BOUND_MS + 8);
    assert_false(is_usable(&rig, &mark));
    assert_false(near_is_void(rig.client, &mark));
    rig_start_clock(&rig);
    kill(s->pid, SIGCONT);
    AWAIT(&rig,
        near_take_mark(rig.client, slot, &mark) && is_usable(&rig, &mark));
    rig_close(&rig);
}

static void
a_restart_leaves_nothing_to_be_used(void **state)
{
    struct server *s = server_new(NULL);
    struct near_mark mark;
    struct near_mark young;
    struct rig rig = {0};

    (void)state;
    mark = open_telling(&rig, standalone);
    server_kill(s);
    AWAIT(&rig, !is_usable(&rig, &mark));
    server_up(s, NULL);
    AWAIT(&rig,
        near_take_mark(rig.client, slot, &young) && is_usable(&rig, &young));
    assert_false(is_usable(&rig, &mark));
    rig_close(&rig);
}

/* Redis 7.0 tells nothing of the keys that a node loses so. The new owner tells
   of what is written from then on. */
static void
a_slot_that_is_taken_from_its_owner_is_void(void **state)
{
    struct near_mark mark;
    struct near_mark young;
    struct rig rig = {0};
    char text[64];

    (void)state;
    cluster_new(3, 0);
    mark = open_telling(&rig, (struct redis_opts){0});
    assert_true(ask(&fixture.servers[1], text, sizeof(text), "SET ns:e:{k} 1"));
    AWAIT(&rig, was_told("ns:e:{k}"));
    changed[0] = '\0';
    assert_true(ask(&fixture.servers[2], text, sizeof(text),
        "CLUSTER SETSLOT %u IMPORTING %s", slot, fixture.servers[1].id));
    assert_true(ask(&fixture.servers[2], text, sizeof(text),
        "CLUSTER SETSLOT %u NODE %s", slot, fixture.servers[2].id));
    AWAIT(&rig, !is_usable(&rig, &mark) && near_is_void(rig.client, &mark));
    AWAIT(&rig,
        near_take_mark(rig.client, slot, &young) && is_usable(&rig, &young));
    assert_true(ask(&fixture.servers[2], text, sizeof(text), "SET ns:e:{k} 2"));
    AWAIT(&rig, was_told("ns:e:{k}"));
    assert_true(near_is_void(rig.client, &mark));
    rig_close(&rig);
}

/* ---- users --------------------------------------------------------------- */

static void
user_new(const struct server *s, const char *name, const char *rules)
{
    char command[1024];
    char text[256];

    snprintf(
        command, sizeof(command), "ACL SETUSER %s on >secret %s", name, rules);
    if (!ask(s, text, sizeof(text), command)) {
        fail_msg("%s", text);
    }
}

static void
a_user_who_is_permitted_what_the_manual_says_is_told(void **state)
{
    struct server *s = server_new(NULL);
    struct redis_opts opts = standalone;
    struct rig rig = {0};
    char text[64];

    (void)state;
    user_new(s, "near", PERMITTED);
    opts.user = "near";
    opts.password = "secret";
    (void)open_telling(&rig, opts);
    assert_int_equal(atomic_load(&node_of(&rig, s)->telling), NODE_TELLS);
    assert_true(ask(s, text, sizeof(text), "SET ns:e:{a} 1"));
    AWAIT(&rig, was_told("ns:e:{a}"));
    rig_close(&rig);
}

static void
a_user_who_may_not_be_told_uses_memory_for_the_bound(void **state)
{
    static const char *const denied[] = {
        "-client|tracking", "-client|id", "-subscribe", "resetchannels"};
    struct server *s = server_new(NULL);

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(denied); i++) {
        struct redis_opts opts = standalone;
        struct near_mark mark;
        struct rig rig = {0};
        char rules[512];

        snprintf(rules, sizeof(rules), "reset on >secret " PERMITTED " %s",
            denied[i]);
        user_new(s, "near", rules);
        opts.user = "near";
        opts.password = "secret";
        mark = open_telling(&rig, opts);
        assert_int_equal(
            atomic_load(&node_of(&rig, s)->telling), NODE_NEED_NOT);
        rig_stop_clock(&rig);
        clock_advance(rig_clock(&rig), TRUST_BOUND_MS);
        assert_false(is_usable(&rig, &mark));
        rig_close(&rig);
    }
}

static int
end(void **state)
{
    (void)state;
    servers_end();
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_teardown(name, end)
        T(changes_by_others_are_told),
        T(evictions_are_told),
        T(changes_by_ourselves_are_told),
        T(a_server_that_is_emptied_voids_all_there_is_of_it),
        T(a_link_that_the_server_kills_leaves_all_unverified_and_comes_back),
        T(a_link_that_the_server_ends_for_what_it_has_to_tell_leaves_all_unverified),
        T(what_is_had_of_a_server_that_stands_still_is_not_used_after_the_bound),
        T(a_restart_leaves_nothing_to_be_used),
        T(a_slot_that_is_taken_from_its_owner_is_void),
        T(a_user_who_is_permitted_what_the_manual_says_is_told),
        T(a_user_who_may_not_be_told_uses_memory_for_the_bound),
#undef T
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
