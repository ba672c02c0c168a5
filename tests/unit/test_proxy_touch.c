/* Redis is told which entries are asked for, though memory answers. */
#include "worker_given.h"

#include "proxy/touch.h"

enum {
    LONG_MS = 3600 * 1000,
    IDLE_S = 50000,
    MANY = 700,
    AT_ONCE = 128, /* calls */
};

static struct touch touch;

/* A worker with memory beside Redis. */
static void
touching_begins(struct given *g)
{
    given_worker_behind(g);
    g->tier.memory = memory_new(&(struct memory_opts){.size = 4 << 20});
    g->tier.prefix = SLICE("ns:");
    time_stop(g->rig.loop);
    touch_start(&touch, &g->worker);
}

static void
touching_ends(struct given *g)
{
    touch_stop(&touch);
    worker_over(g);
    tier_fini(&g->tier);
}

/* Somebody asks for it, and memory answers. */
static void
asks(struct given *g, const struct question *q)
{
    struct memory_note note;
    struct entry *entry;

    assert_int_equal(memory_get(g->tier.memory, &q->key, &entry, &note), RC_OK);
    entry_unref(&entry);
}

static long
idle_s(struct given *g, const struct question *q)
{
    char out[32];

    assert_true(ask(g->server, out, sizeof(out), "OBJECT IDLETIME %b",
        q->entry_key.ptr, q->entry_key.len));
    return atol(out);
}

/* As if nobody had asked Redis for it for so long. */
static void
given_idle(struct given *g, const struct question *q)
{
    struct slice key = q->entry_key;
    redisContext *c = direct(g->server);
    redisReply *dump = redisCommand(c, "DUMP %b", key.ptr, key.len);
    redisReply *reply;

    assert_int_equal(dump->type, REDIS_REPLY_STRING);
    reply = redisCommand(c, "RESTORE %b 600000 %b REPLACE IDLETIME %d", key.ptr,
        key.len, dump->str, dump->len, IDLE_S);
    assert_int_equal(reply->type, REDIS_REPLY_STATUS);
    freeReplyObject(reply);
    freeReplyObject(dump);
    redisFree(c);
    assert_true(idle_s(g, q) >= IDLE_S);
}

/* It lies in memory and in Redis, of which nobody has asked for it for long. */
static struct question *
given_entry(struct given *g, const char *line)
{
    const struct memory_note note = {0};
    struct question *q = given_question(&g->asking, line, "");
    struct memory_watch watch = memory_watch(g->tier.memory, q->key.hash);
    struct value value = given_value(g, q, "old", LONG_MS);
    struct entry *entry;

    given_stored(g, q, value_slice(&value));
    assert_int_equal(codec_entry(&value, &entry), RC_OK);
    assert_int_equal(memory_put(g->tier.memory, &watch, entry, &note), RC_OK);
    entry_unref(&entry);
    value_free(&value);
    given_idle(g, q);
    return q;
}

/* Until each entry has been looked at. What was sent has its reply then. */
static void
a_round_passes(struct given *g)
{
    for (unsigned i = 0; i < 62; i++) {
        time_pass(g->rig.loop, 1000);
        AWAIT(&g->rig, touch.calls_len == 0);
    }
}

/* How many the server was sent since the last time. */
static unsigned
touches(struct given *g)
{
    unsigned count = 0;

    for (const char *at = between_heard(g->between);
         (at = strstr(at, "TOUCH ns:e:")) != NULL; at++) {
        count++;
    }
    return count;
}

static void
redis_is_told_of_what_is_asked_for_though_memory_answers(void **state)
{
    struct given g;
    struct question *asked, *idle;

    (void)state;
    touching_begins(&g);
    asked = given_entry(&g, "GET /a");
    idle = given_entry(&g, "GET /b");
    asks(&g, asked);
    a_round_passes(&g);
    assert_string_equal(between_heard(g.between), "TOUCH ns:e:{http://h/a}");
    assert_int_equal(counted(&g, COUNTER_TOUCHES), 1);
    assert_true(idle_s(&g, asked) < IDLE_S / 2);
    assert_true(idle_s(&g, idle) >= IDLE_S);
    a_round_passes(&g);
    assert_int_equal(touches(&g), 0); /* nobody has asked since */
    question_unref(&idle);
    question_unref(&asked);
    touching_ends(&g);
}

/* However often it is asked for. */
static void
an_entry_is_touched_once_a_minute(void **state)
{
    struct given g;
    struct question *q;
    unsigned count = 0;

    (void)state;
    touching_begins(&g);
    q = given_entry(&g, "GET /a");
    for (unsigned i = 0; i < 180; i++) {
        asks(&g, q);
        time_pass(g.rig.loop, 1000);
        AWAIT(&g.rig, touch.calls_len == 0);
        count += touches(&g);
    }
    assert_in_range(count, 2, 4);
    question_unref(&q);
    touching_ends(&g);
}

static struct question *many[MANY];

/* All of them have been asked for. */
static void
given_many(struct given *g)
{
    char line[32];

    for (unsigned i = 0; i < MANY; i++) {
        snprintf(line, sizeof(line), "GET /%u", i);
        many[i] = given_entry(g, line);
        asks(g, many[i]);
    }
}

static void
many_end(void)
{
    for (unsigned i = 0; i < MANY; i++) {
        question_unref(&many[i]);
    }
}

/* Until a second's share has been sent, and has its replies. */
static void
a_share_passes(struct given *g)
{
    while (touch.walk.seat == 0 && touch.walk.shard == 0) {
        time_pass(g->rig.loop, 1000);
        assert_true(touch.calls_len <= AT_ONCE);
    }
    AWAIT(&g->rig, touch.calls_len == 0);
}

/* Else they would fill the server's log of what it has refused. */
static void
a_server_that_refuses_is_left_alone_for_a_minute(void **state)
{
    struct given g;

    (void)state;
    touching_begins(&g);
    given_many(&g);
    between_heard(g.between);
    between_says(g.between, 0, "TOUCH", "-NOPERM no permissions\r\n", 1000);
    a_share_passes(&g);
    assert_true(touches(&g) > 0);
    for (unsigned i = 0; i < 55; i++) {
        time_pass(g.rig.loop, 1000);
        AWAIT(&g.rig, touch.calls_len == 0);
    }
    assert_int_equal(touches(&g), 0);
    assert_int_equal(counted(&g, COUNTER_TOUCHES), 0);
    between_says(g.between, 0, "TOUCH", "", 0);
    a_round_passes(&g);
    assert_true(counted(&g, COUNTER_TOUCHES) > 0);
    many_end();
    touching_ends(&g);
}

/* What is under way is bounded, and the rest of a second's share comes after
   it. */
static void
many_are_touched_some_at_a_time(void **state)
{
    struct given g;

    (void)state;
    touching_begins(&g);
    given_many(&g);
    a_share_passes(&g);
    assert_true(counted(&g, COUNTER_TOUCHES) > AT_ONCE);
    assert_true(counted(&g, COUNTER_TOUCHES) < MANY);
    a_round_passes(&g);
    assert_int_equal(counted(&g, COUNTER_TOUCHES), MANY);
    many_end();
    touching_ends(&g);
}

/* The worker ends while calls are under way; and one of them is lost. */
static void
what_is_under_way_is_given_up_with_the_worker(void **state)
{
    struct given g;
    struct question *q;

    (void)state;
    touching_begins(&g);
    q = given_entry(&g, "GET /a");
    between_says(g.between, 0, "TOUCH", "", 1000);
    asks(&g, q);
    a_round_passes(&g); /* the connection was closed */
    assert_int_equal(counted(&g, COUNTER_TOUCHES), 0);
    asks(&g, q);
    while (touch.calls_len == 0) {
        time_pass(g.rig.loop, 1000);
    }
    question_unref(&q);
    touching_ends(&g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(redis_is_told_of_what_is_asked_for_though_memory_answers),
        TEST(an_entry_is_touched_once_a_minute),
        TEST(a_server_that_refuses_is_left_alone_for_a_minute),
        TEST(many_are_touched_some_at_a_time),
        TEST(what_is_under_way_is_given_up_with_the_worker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
