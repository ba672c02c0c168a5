/* The client against real servers: one on its own, and what goes wrong. */
#include "redis_fixture.h"
#include "log_given.h"

#include "nearside/base/log.h"
#include "redis/dispatch.h"

static int
teardown(void **state)
{
    (void)state;
    servers_end();
    return 0;
}

static const struct redis_opts standalone = {.mode = REDIS_MODE_STANDALONE};

static void
get_set_and_eval_work_on_one_server(void **state)
{
    struct redis_script script;
    struct slice args[] = {SLICE("k"), SLICE("a"), SLICE("b")};
    struct rig rig = {0};
    struct told t;

    (void)state;
    server_new(NULL);
    rig_open(&rig, standalone);
    assert_int_equal(run(&rig, &t, "GET k", PATIENCE_MS), RC_OK);
    assert_int_equal(t.type, REDIS_NIL);
    assert_int_equal(run(&rig, &t, "SET k value PX 60000", PATIENCE_MS), RC_OK);
    assert_int_equal(t.type, REDIS_STATUS);
    assert_string_equal(t.text, "OK");
    assert_int_equal(run(&rig, &t, "GET k", PATIENCE_MS), RC_OK);
    assert_int_equal(t.type, REDIS_STRING);
    assert_string_equal(t.text, "value");

    redis_script_init(
        &script, "return redis.call('GET', KEYS[1]) .. ARGV[1] .. ARGV[2]");
    for (int i = 0; i < 2; i++) { /* unknown to the server, then known */
        memset(&t, 0, sizeof(t));
        t.call.on_reply = on_told;
        t.call.ctx = &t;
        t.call.deadline_ms = loop_now_ms(rig.loop) + 5000;
        redis_eval(rig.client, &t.call, &script, args, 1, 3);
        AWAIT(&rig, t.times > 0);
        assert_int_equal(t.rc, RC_OK);
        assert_string_equal(t.text, "valueab");
    }
    rig_close(&rig);
}

static bool
has_told(struct log_given *log, const char *words)
{
    ssize_t len = pread(log->fd, log->text, sizeof(log->text) - 1, 0);

    log->text[len > 0 ? len : 0] = '\0';
    return strstr(log->text, words) != NULL;
}

/* All instances reckon by Redis's. */
static void
a_clock_that_is_set_is_told_and_one_that_is_right_again(void **state)
{
    const struct shared_time *time;
    struct log_given log = {.fd = -1};
    struct rig rig = {0};
    struct clock *clock;

    (void)state;
    server_new(NULL);
    log_given_open(&log);
    rig.ring = log.ring;
    rig_open(&rig, standalone);
    time = redis_time(rig.redis);
    clock = (struct clock *)(uintptr_t)loop_clock(rig.loop);
    AWAIT(&rig, atomic_load(&time->start_ms) != 0);
    clock->is_manual = true;
    clock->wall_ms += 3600 * 1000;
    AWAIT(&rig, (clock_advance(clock, 5), has_told(&log, "clock_differs")));
    clock->is_manual = false;
    AWAIT(&rig, has_told(&log, "clock_agrees"));
    rig_close(&rig);
    (void)log_given_text(&log);
    assert_int_equal(log_given_count(&log, "clock_differs"), 1);
    assert_int_equal(log_given_count(&log, "clock_agrees"), 1);
}

/* A refresh is wanted since a node is not in reach, or has begun. */
static bool
is_map_doubted(struct rig *rig)
{
    return (atomic_load(&rig->redis->is_wanted) &&
               atomic_load(&rig->redis->wanted_cause) == REFRESH_UNREACHABLE) ||
           rig_metric(rig, "refreshes_total{cause=\"unreachable\"}") > 0;
}

/* Of a worker's connection alone: nobody else has noticed anything. */
static void
a_lost_connection_has_the_map_asked_for(void **state)
{
    struct server *s = server_new(NULL);
    struct rig rig = {0};
    char text[64];
    struct told t;

    (void)state;
    rig_open(&rig, standalone);
    assert_int_equal(run(&rig, &t, "CLIENT ID", PATIENCE_MS), RC_OK);
    /* Who calls before there is a map asks for it too. */
    AWAIT(&rig, !atomic_load(&rig.redis->is_wanted));
    assert_false(is_map_doubted(&rig));
    assert_true(ask(
        s, text, sizeof(text), "CLIENT KILL ID %lld", (long long)t.integer));
    AWAIT(&rig, rig_metric(&rig, "disconnects_total") == 1);
    assert_true(is_map_doubted(&rig));
    rig_close(&rig);
}

/* ---- a server that hangs, dies, comes back ------------------------------ */

static void
script_is_given_its_keys_and_arguments_apart(void **state)
{
    struct slice words[REDIS_SCRIPT_ARGS_MAX] = {SLICE("{k}1"), SLICE("{k}2")};
    struct redis_script script;
    struct rig rig = {0};
    struct told t = {0};

    (void)state;
    server_new(NULL);
    rig_open(&rig, standalone);
    redis_script_init(&script, "return KEYS[2] .. #KEYS .. #ARGV .. ARGV[8]");
    for (unsigned i = 2; i < REDIS_SCRIPT_ARGS_MAX; i++) {
        words[i] = slice_of(&"abcdefgh"[i - 2], 1);
    }
    for (unsigned i = 1; i <= 2; i++) {
        t.call.on_reply = on_told;
        t.call.ctx = &t;
        t.call.deadline_ms = loop_now_ms(rig.loop) + 5000;
        redis_eval(
            rig.client, &t.call, &script, words, 2, REDIS_SCRIPT_ARGS_MAX);
        AWAIT(&rig, t.times == i);
        assert_int_equal(t.rc, RC_OK);
        assert_string_equal(t.text, "{k}228h");
    }
    rig_close(&rig);
}

/* Commands under way to the only server, probes among them. */
static unsigned
in_flight(struct rig *rig)
{
    struct redis_status status;

    redis_status(rig->redis, &status);
    return (unsigned)status.nodes[0].in_flight;
}

/* Nothing is under way, not even a probe: what is sent next is the oldest. */
static void
await_no_reply(struct rig *rig)
{
    AWAIT(rig, in_flight(rig) == 0);
}

static void
hung_server_costs_the_deadline_and_its_connection_goes_after_hang(void **state)
{
    struct redis_opts opts = standalone;
    struct server *s = server_new(NULL);
    struct rig rig = {0};
    struct told t;

    (void)state;
    opts.hang_ms = 1000; /* long after the deadline */
    rig_open(&rig, opts);
    assert_int_equal(run(&rig, &t, "SET k v", PATIENCE_MS), RC_OK);
    rig_stop_clock(&rig);
    rig_pass(&rig, 152); /* so that the oldest is not as old as its wire */
    await_no_reply(&rig);
    server_stop(s);
    memset(&t, 0, sizeof(t));
    send_words(&rig, &t, "GET k"); /* with the default deadline */
    rig_pass(&rig, 44);
    assert_int_equal(t.times, 0);
    rig_pass(&rig, 12);
    assert_int_equal(t.times, 1);
    assert_int_equal(t.rc, RC_TIMEOUT);
    assert_true(t.call.was_sent);
    assert_int_equal(rig_metric(&rig, "failures_total{cause=\"timeout\"}"), 1);
    assert_true(in_flight(&rig) >= 1); /* its place stays */
    rig_pass(&rig, 936);
    assert_int_equal(rig_metric(&rig, "connections"), 1);
    rig_pass(&rig, 16); /* 1,008 since it was sent */
    assert_int_equal(rig_metric(&rig, "connections"), 0);
    assert_int_equal(rig_metric(&rig, "disconnects_total"), 1);
    /* Now it fails at once: no call waits for a node known to be down. */
    assert_int_equal(run(&rig, &t, "GET k", 10000), RC_TIMEOUT);
    assert_false(t.call.was_sent);
    rig_start_clock(&rig);
    kill(s->pid, SIGCONT);
    AWAIT(&rig, run(&rig, &t, "GET k", 500) == RC_OK);
    assert_string_equal(t.text, "v");
    rig_close(&rig);
}

enum {
    HUNG_CALLS = 30,
};

/* The age of the oldest command counts, not that of the last. */
static void
hung_server_is_given_up_however_often_it_is_asked(void **state)
{
    struct redis_opts opts = standalone;
    struct server *s = server_new(NULL);
    struct told t[HUNG_CALLS] = {0};
    struct rig rig = {0};
    unsigned len = 0;

    (void)state;
    opts.hang_ms = 300;
    rig_open(&rig, opts);
    assert_int_equal(run(&rig, &t[0], "SET k v", PATIENCE_MS), RC_OK);
    await_no_reply(&rig);
    rig_stop_clock(&rig);
    server_stop(s);
    memset(t, 0, sizeof(t));
    while (len < HUNG_CALLS && t[0].times == 0) {
        t[len].call.deadline_ms = loop_now_ms(rig.loop) + 60000;
        send_words(&rig, &t[len++], "GET k");
        rig_pass(&rig, 48);
    }
    assert_int_equal(len, 7); /* the first to do so after 300 ms */
    for (unsigned i = 0; i < len; i++) {
        assert_int_equal(t[i].times, 1);
        assert_int_equal(t[i].rc, RC_TIMEOUT);
    }
    assert_int_equal(rig_metric(&rig, "disconnects_total"), 1);
    rig_close(&rig);
}

static void
late_reply_is_dropped_and_the_next_call_gets_its_own(void **state)
{
    struct server *s = server_new(NULL);
    struct rig rig = {0};
    struct told late;
    struct told t;

    (void)state;
    rig_open(&rig, standalone);
    assert_int_equal(run(&rig, &t, "SET a 1", PATIENCE_MS), RC_OK);
    assert_int_equal(run(&rig, &t, "SET b 2", PATIENCE_MS), RC_OK);
    server_stop(s);
    assert_int_equal(run(&rig, &late, "GET a", 30), RC_TIMEOUT);
    kill(s->pid, SIGCONT);
    assert_int_equal(run(&rig, &t, "GET b", PATIENCE_MS), RC_OK);
    assert_string_equal(t.text, "2");
    assert_int_equal(late.times, 1);
    rig_close(&rig);
}

/* So many calls whose replies come after their deadline, but in the same
   millisecond. Time must have been stopped. */
static void
run_late(struct rig *rig, struct server *s, struct told *t, int n)
{
    int64_t span_ms = rig->redis->opts.command_timeout_ms;
    /* One of the timers' ticks, so that none is told later. */
    int64_t due_ms = (loop_now_ms(rig->loop) + span_ms + 8) / 4 * 4;

    server_stop(s);
    memset(t, 0, (size_t)n * sizeof(*t));
    rig_clock(rig)->mono_us = (due_ms - span_ms) * 1000 + 999;
    for (int i = 0; i < n; i++) {
        send_words(rig, &t[i], "GET k"); /* with the default deadline */
    }
    rig_clock(rig)->mono_us += 1;
    while (t[0].times == 0) {
        loop_turn(rig->loop, 5);
        if (t[0].times == 0) {
            clock_advance(rig_clock(rig), 1);
        }
    }
    for (int i = 0; i < n; i++) {
        AWAIT(rig, t[i].times > 0);
        assert_int_equal(t[i].rc, RC_TIMEOUT);
    }
    kill(s->pid, SIGCONT);
    await_no_reply(rig);
}

static void
late_replies_end_the_connection_only_in_a_row(void **state)
{
    struct server *s = server_new(NULL);
    struct redis_opts opts = standalone;
    struct rig rig = {0};
    struct told many[16];
    struct told t;

    (void)state;
    opts.hang_ms = PATIENCE_MS;
    rig_open(&rig, opts);
    assert_int_equal(run(&rig, &t, "SET k v", PATIENCE_MS), RC_OK);
    await_no_reply(&rig);
    rig_stop_clock(&rig);
    for (int i = 0; i < 3; i++) {
        /* Not 15: probes that a busy machine has wait are late as well. */
        run_late(&rig, s, many, 10);
        /* Told of a late reply, the breaker lets the next one try. */
        assert_int_equal(run(&rig, &t, "GET k", PATIENCE_MS), RC_OK);
        assert_string_equal(t.text, "v");
    }
    assert_int_equal(rig_metric(&rig, "disconnects_total"), 0);
    run_late(&rig, s, many, 16);
    AWAIT(&rig, rig_metric(&rig, "disconnects_total") == 1);
    rig_close(&rig);
}

/* Their callers gave up, and the replies come when all but 10 ms of the time
   for one are over. */
static void
replies_to_calls_that_were_given_up_in_time_are_not_late(void **state)
{
    struct server *s = server_new(NULL);
    struct rig rig = {0};
    struct told many[40] = {0};
    struct told t;

    (void)state;
    rig_open(&rig, standalone);
    assert_int_equal(run(&rig, &t, "SET k v", PATIENCE_MS), RC_OK);
    await_no_reply(&rig);
    rig_stop_clock(&rig); /* however long the server takes for them */
    server_stop(s);
    for (int i = 0; i < 40; i++) {
        send_words(&rig, &many[i], "GET k"); /* with the default deadline */
    }
    loop_turn(rig.loop, 0);
    for (int i = 0; i < 40; i++) {
        redis_call_cancel(&many[i].call);
    }
    rig_pass(&rig, 40);
    assert_true(in_flight(&rig) >= 40);
    kill(s->pid, SIGCONT);
    await_no_reply(&rig);
    assert_int_equal(run(&rig, &t, "GET k", PATIENCE_MS), RC_OK);
    assert_int_equal(rig_metric(&rig, "disconnects_total"), 0);
    rig_close(&rig);
}

static void
timeouts_in_a_row_open_the_breaker(void **state)
{
    struct server *s = server_new(NULL);
    struct redis_opts opts = standalone;
    struct rig rig = {0};
    struct told t;

    (void)state;
    opts.hang_ms = PATIENCE_MS; /* the connection stays */
    rig_open(&rig, opts);
    assert_int_equal(run(&rig, &t, "SET k v", PATIENCE_MS), RC_OK);
    AWAIT(&rig, !atomic_load(&rig.redis->is_wanted));
    await_no_reply(&rig); /* one that came would close it again */
    rig_stop_clock(&rig); /* nor is its rest over before it is looked at */
    server_stop(s);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(rig_metric(&rig, "breaker_opens_total"), 0);
        assert_int_equal(run_slowly(&rig, &t, "GET k", 20), RC_TIMEOUT);
    }
    assert_int_equal(run_slowly(&rig, &t, "GET k", 5000), RC_REFUSED);
    assert_int_equal(rig_metric(&rig, "breaker_opens_total"), 1);
    assert_int_equal(rig_metric(&rig, "disconnects_total"), 0);
    assert_true(is_map_doubted(&rig));
    kill(s->pid, SIGCONT);
    rig_start_clock(&rig);
    AWAIT(&rig, run(&rig, &t, "GET k", 500) == RC_OK);
    rig_close(&rig);
}

static void
connections_that_are_refused_in_a_row_open_the_breaker(void **state)
{
    struct server *s = server_new(NULL);
    struct rig rig = {0};
    struct told t;

    (void)state;
    rig_open(&rig, standalone);
    assert_int_equal(run(&rig, &t, "SET k v", PATIENCE_MS), RC_OK);
    server_kill(s);
    /* An idle connection that was up for long is not made again before it is
       needed. */
    assert_int_not_equal(run(&rig, &t, "GET k", 100), RC_OK);
    AWAIT(&rig, rig_metric(&rig, "breaker_opens_total") >= 1);
    rig_close(&rig);
}

/* Nobody calls. */
static void
questions_that_are_refused_in_a_row_open_the_breaker_too(void **state)
{
    struct rig rig = {0};

    (void)state;
    server_kill(server_new(NULL));
    rig_open(&rig, standalone);
    AWAIT(&rig, rig_metric(&rig, "breaker_opens_total") >= 1);
    rig_close(&rig);
}

/* The first commands fill the socket, the last does not leave. */
static void
command_that_never_left_is_known_as_unsent(void **state)
{
    static char value[4 * 1024 * 1024];
    struct slice set[] = {SLICE("SET"), SLICE("k"), {value, sizeof(value)}};
    struct server *s = server_new(NULL);
    struct redis_opts opts = standalone;
    struct rig rig = {0};
    struct told big[3] = {0};
    struct told last = {0};
    struct told t;

    (void)state;
    memset(value, 'x', sizeof(value));
    opts.in_flight_bytes_max = 64 * 1024 * 1024;
    opts.hang_ms = PATIENCE_MS;
    rig_open(&rig, opts);
    assert_int_equal(run(&rig, &t, "SET k v", PATIENCE_MS), RC_OK);
    server_stop(s);
    for (int i = 0; i < 3; i++) {
        big[i].call.on_reply = on_told;
        big[i].call.ctx = &big[i];
        big[i].call.deadline_ms = loop_now_ms(rig.loop) + PATIENCE_MS;
        redis_send(rig.client, &big[i].call, set[1], 3, set);
    }
    last.call.deadline_ms = loop_now_ms(rig.loop) + PATIENCE_MS;
    send_words(&rig, &last, "INCR n");
    loop_turn(rig.loop, 0);
    server_kill(s);
    AWAIT(&rig, last.times > 0 && big[0].times > 0);
    assert_true(big[0].call.was_sent);
    assert_int_not_equal(last.rc, RC_OK);
    assert_false(last.call.was_sent);
    rig_close(&rig);
}

static void
cancelled_call_is_not_told_and_others_are(void **state)
{
    struct rig rig = {0};
    struct told cancelled = {0};
    struct told t;

    (void)state;
    server_new(NULL);
    rig_open(&rig, standalone);
    assert_int_equal(run(&rig, &t, "SET a 1", PATIENCE_MS), RC_OK);
    send_words(&rig, &cancelled, "GET a");
    assert_true(redis_call_is_active(&cancelled.call));
    redis_call_cancel(&cancelled.call);
    assert_false(redis_call_is_active(&cancelled.call));
    redis_call_cancel(&cancelled.call);
    assert_int_equal(run(&rig, &t, "PING a", PATIENCE_MS), RC_OK);
    assert_string_equal(t.text, "a");
    assert_int_equal(cancelled.times, 0);
    rig_close(&rig);
}

static void
calls_end_cancelled_when_the_client_goes(void **state)
{
    struct server *s = server_new(NULL);
    struct rig rig = {0};
    struct told sent = {0};
    struct told t;

    (void)state;
    rig_open(&rig, standalone);
    assert_int_equal(run(&rig, &t, "SET a 1", PATIENCE_MS), RC_OK);
    server_stop(s);
    send_words(&rig, &sent, "GET a");
    rig_close(&rig);
    assert_int_equal(sent.times, 1);
    assert_int_equal(sent.rc, RC_CANCELLED);
}

static void
killed_server_fails_fast_and_is_found_again_after_its_restart(void **state)
{
    struct server *s = server_new(NULL);
    struct rig rig = {0};
    struct told t;

    (void)state;
    rig_open(&rig, standalone);
    assert_int_equal(run(&rig, &t, "SET k v", PATIENCE_MS), RC_OK);
    server_kill(s);
    AWAIT(&rig, run(&rig, &t, "GET k", 2000) == RC_REFUSED);
    rig_stop_clock(&rig); /* no deadline is waited for */
    for (int i = 0; i < 20; i++) {
        assert_int_not_equal(run(&rig, &t, "GET k", 2000), RC_OK);
    }
    rig_start_clock(&rig);
    server_up(s, NULL);
    AWAIT(&rig, run(&rig, &t, "GET k", 2000) == RC_OK);
    assert_int_equal(t.type, REDIS_NIL);
    rig_close(&rig);
}

static void
server_that_is_down_at_start_is_found_when_it_comes(void **state)
{
    struct server *s = server_new(NULL);
    struct rig rig = {0};
    struct told t;

    (void)state;
    server_kill(s);
    rig_open(&rig, standalone);
    /* It is not left to its deadline. */
    assert_int_equal(run(&rig, &t, "GET k", PATIENCE_MS), RC_REFUSED);
    server_up(s, NULL);
    AWAIT(&rig, run(&rig, &t, "GET k", 2000) == RC_OK);
    rig_close(&rig);
}

static void
next_seed_serves_while_the_first_is_down(void **state)
{
    struct server *first = server_new(NULL);
    struct server *second = server_new(NULL);
    struct rig rig = {0};
    struct told t;
    char text[64];

    (void)state;
    assert_true(ask(first, text, sizeof(text), "SET who first"));
    assert_true(ask(second, text, sizeof(text), "SET who second"));
    rig_open(&rig, standalone);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(run(&rig, &t, "GET who", PATIENCE_MS), RC_OK);
        assert_string_equal(t.text, "first");
    }
    server_kill(first);
    AWAIT(&rig, run(&rig, &t, "GET who", 2000) == RC_OK);
    assert_string_equal(t.text, "second");
    rig_close(&rig);
}

static void
loading_server_is_given_a_rest_and_then_used(void **state)
{
    static const char *const slow[] = {"--key-load-delay", "3000",
        "--loading-process-events-interval-bytes", "1024", NULL};
    struct server *s = server_new(NULL);
    char text[64];
    struct rig rig = {0};
    struct told t;

    (void)state;
    assert_true(ask(s, text, sizeof(text), "DEBUG POPULATE 400 key 200"));
    assert_true(ask(s, text, sizeof(text), "SAVE"));
    server_kill(s);
    server_up(s, slow);
    rig_open(&rig, standalone);
    AWAIT(&rig,
        run(&rig, &t, "GET key:1", 2000) == RC_OK && t.type == REDIS_ERROR);
    assert_memory_equal(t.text, "LOADING", 7);
    rig_stop_clock(&rig); /* or its rest might be over */
    assert_int_equal(run(&rig, &t, "GET key:1", 2000), RC_REFUSED);
    rig_start_clock(&rig);
    AWAIT(&rig,
        run(&rig, &t, "GET key:1", 2000) == RC_OK && t.type == REDIS_STRING);
    rig_close(&rig);
}

/* ---- who may come in ---------------------------------------------------- */

static void
password_opens_the_door_and_a_wrong_one_does_not(void **state)
{
    static const char *const args[] = {"--requirepass", "right", NULL};
    struct redis_opts opts = standalone;
    struct rig rig = {0};
    struct told t;

    (void)state;
    server_new(args);
    opts.password = "right";
    rig_open(&rig, opts);
    assert_int_equal(run(&rig, &t, "SET k v", PATIENCE_MS), RC_OK);
    assert_string_equal(t.text, "OK");
    rig_close(&rig);

    opts.password = "wrong";
    rig_open(&rig, opts);
    assert_int_equal(run(&rig, &t, "GET k", PATIENCE_MS), RC_REFUSED);
    assert_false(t.call.was_sent);
    rig_close(&rig);

    opts.password = NULL;
    rig_open(&rig, opts);
    assert_int_equal(run(&rig, &t, "GET k", PATIENCE_MS), RC_REFUSED);
    rig_close(&rig);
}

static void
acl_user_logs_in_by_name_and_may_be_forbidden_client(void **state)
{
    static const char *const args[] = {
        "--user", "cache", "on", ">secret", "~ns:*", "+get", "+set", NULL};
    struct redis_opts opts = standalone;
    struct rig rig = {0};
    struct told t;

    (void)state;
    server_new(args);
    opts.user = "cache";
    opts.password = "secret";
    rig_open(&rig, opts);
    assert_int_equal(run(&rig, &t, "SET ns:k v", PATIENCE_MS), RC_OK);
    assert_int_equal(t.type, REDIS_STATUS);
    assert_int_equal(run(&rig, &t, "GET other", PATIENCE_MS), RC_OK);
    assert_int_equal(t.type, REDIS_ERROR);
    assert_memory_equal(t.text, "NOPERM", 6);
    assert_int_equal(run(&rig, &t, "GET ns:k", PATIENCE_MS), RC_OK);
    assert_string_equal(t.text, "v");
    rig_close(&rig);
}

static void
password_changed_under_us_ends_in_refusal_and_heals(void **state)
{
    static const char *const args[] = {"--requirepass", "right", NULL};
    struct redis_opts opts = standalone;
    struct server *s = server_new(args);
    struct rig rig = {0};
    struct told t;
    redisContext *admin;

    (void)state;
    opts.password = "right";
    rig_open(&rig, opts);
    assert_int_equal(run(&rig, &t, "SET k v", PATIENCE_MS), RC_OK);
    admin = direct(s);
    assert_non_null(admin);
    freeReplyObject(redisCommand(admin, "AUTH right"));
    freeReplyObject(redisCommand(admin, "CONFIG SET requirepass new"));
    freeReplyObject(redisCommand(admin, "CLIENT KILL TYPE normal SKIPME yes"));
    AWAIT(&rig, run(&rig, &t, "GET k", 2000) == RC_REFUSED);
    freeReplyObject(redisCommand(admin, "CONFIG SET requirepass right"));
    redisFree(admin);
    AWAIT(&rig, run(&rig, &t, "GET k", 2000) == RC_OK);
    assert_string_equal(t.text, "v");
    rig_close(&rig);
}

static void
full_server_refuses_us_and_lets_us_in_later(void **state)
{
    static const char *const args[] = {"--maxclients", "2", NULL};
    struct redis_opts opts = standalone;
    struct server *s = server_new(args);
    redisContext *others[2];
    struct rig rig = {0};
    struct told t;

    (void)state;
    for (int i = 0; i < 2; i++) {
        others[i] = direct(s);
        assert_non_null(others[i]);
        freeReplyObject(redisCommand(others[i], "PING"));
    }
    rig_open(&rig, opts);
    assert_int_equal(run(&rig, &t, "GET k", PATIENCE_MS), RC_REFUSED);
    redisFree(others[0]);
    redisFree(others[1]);
    AWAIT(&rig, run(&rig, &t, "GET k", 2000) == RC_OK);
    rig_close(&rig);
}

static void
demoted_server_is_left_and_used_again_when_it_may_write(void **state)
{
    struct server *s = server_new(NULL);
    struct rig rig = {0};
    struct told t;
    char text[64];

    (void)state;
    rig_open(&rig, standalone);
    assert_int_equal(run(&rig, &t, "SET k v", PATIENCE_MS), RC_OK);
    assert_true(ask(s, text, sizeof(text), "REPLICAOF 127.0.0.1 1"));
    if (run(&rig, &t, "SET k w", 200) == RC_OK) {
        assert_int_equal(t.type, REDIS_ERROR);
        assert_memory_equal(t.text, "READONLY", 8);
    }
    assert_in_range(
        rig_metric(&rig, "error_replies_total{cause=\"readonly\"}"), 1, 6);
    assert_true(ask(s, text, sizeof(text), "REPLICAOF NO ONE"));
    AWAIT(&rig,
        run(&rig, &t, "SET k w", 2000) == RC_OK && t.type == REDIS_STATUS);
    rig_close(&rig);
}

static unsigned
file_count(const char *path, const char *text)
{
    static char content[65536];
    FILE *file = fopen(path, "r");
    unsigned count = 0;
    size_t n;

    if (file == NULL) {
        return 0;
    }
    n = fread(content, 1, sizeof(content) - 1, file);
    content[n] = '\0';
    fclose(file);
    for (const char *at = content; (at = strstr(at, text)) != NULL; at++) {
        count++;
    }
    return count;
}

static bool
file_has(const char *path, const char *text)
{
    return file_count(path, text) > 0;
}

static void
server_that_can_never_evict_is_warned_of_and_no_secret_is_logged(void **state)
{
    static const char *const args[] = {"--maxmemory", "100mb",
        "--maxmemory-policy", "noeviction", "--requirepass", "s3cret", NULL};
    struct redis_opts opts = standalone;
    struct server *s = server_new(args);
    struct log_opts log_opts = {.events = {.target = LOG_TARGET_FILE},
        .level = LOG_LEVEL_DEBUG,
        .rate_max = 20};
    char path[128];
    char why[256];
    struct log *log;
    struct rig rig = {0};
    struct told t;

    (void)state;
    snprintf(path, sizeof(path), "%s/log", s->dir);
    log_opts.events.path = path;
    log_opts.access.target = LOG_TARGET_NONE;
    assert_int_equal(log_open(&log_opts, &log, why), RC_OK);
    rig.ring = log_ring_new(log);
    opts.password = "s3cret";
    opts.refresh_interval_ms = 100;
    rig_open(&rig, opts);
    assert_int_equal(run(&rig, &t, "SET k v", PATIENCE_MS), RC_OK);
    AWAIT(&rig, file_has(path, "redis_never_evicts"));
    AWAIT(&rig, rig_metric(&rig, "refreshes_total{cause=\"periodic\"}") > 3);
    assert_int_equal(file_count(path, "redis_never_evicts"), 1);
    rig_close(&rig);
    opts.password = "s3cret-wrong";
    rig_open(&rig, opts);
    assert_int_equal(run(&rig, &t, "SET k v", PATIENCE_MS), RC_REFUSED);
    rig_close(&rig);
    log_close(&log);
    assert_true(file_has(path, "redis_node_down"));
    assert_true(file_has(path, "WRONGPASS"));
    assert_false(file_has(path, "s3cret"));
}

static void
server_that_evicts_or_has_no_limit_is_not_warned_of(void **state)
{
    static const char *const evicting[] = {
        "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru", NULL};
    static const char *const unlimited[] = {
        "--maxmemory", "0", "--maxmemory-policy", "noeviction", NULL};
    static const char *const *const args[] = {evicting, unlimited};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct server *s = server_new(args[i]);
        struct log_opts log_opts = {.events = {.target = LOG_TARGET_FILE},
            .level = LOG_LEVEL_DEBUG,
            .rate_max = 20};
        struct redis_opts opts = standalone;
        struct rig rig = {0};
        char path[128];
        char why[256];
        struct log *log;
        struct told t;

        snprintf(path, sizeof(path), "%s/log", s->dir);
        log_opts.events.path = path;
        log_opts.access.target = LOG_TARGET_NONE;
        assert_int_equal(log_open(&log_opts, &log, why), RC_OK);
        rig.ring = log_ring_new(log);
        opts.refresh_interval_ms = 100;
        rig_open(&rig, opts);
        assert_int_equal(run(&rig, &t, "SET k v", PATIENCE_MS), RC_OK);
        /* The first refresh is over, and what it asked was answered. */
        AWAIT(
            &rig, rig_metric(&rig, "refreshes_total{cause=\"periodic\"}") > 0);
        rig_close(&rig);
        log_close(&log);
        assert_true(file_has(path, "redis_node_up"));
        assert_false(file_has(path, "redis_never_evicts"));
        servers_end();
    }
}

/* ---- limits ------------------------------------------------------------- */

static void
too_many_commands_in_flight_are_refused_at_once(void **state)
{
    struct redis_opts opts = standalone;
    struct server *s = server_new(NULL);
    struct rig rig = {0};
    struct told t[5] = {0};

    (void)state;
    opts.in_flight_max = 4;
    rig_open(&rig, opts);
    assert_int_equal(run(&rig, &t[0], "SET k v", PATIENCE_MS), RC_OK);
    server_stop(s);
    memset(t, 0, sizeof(t));
    for (int i = 0; i < 5; i++) {
        t[i].call.deadline_ms = loop_now_ms(rig.loop) + 5000;
        send_words(&rig, &t[i], "GET k");
    }
    assert_int_equal(t[4].times, 0);
    loop_turn(rig.loop, 0);
    assert_int_equal(t[4].times, 1);
    assert_int_equal(t[4].rc, RC_LIMIT);
    assert_int_equal(rig_metric(&rig, "failures_total{cause=\"limit\"}"), 1);
    kill(s->pid, SIGCONT);
    AWAIT(&rig, t[0].times && t[1].times && t[2].times && t[3].times);
    assert_int_equal(t[3].rc, RC_OK);
    rig_close(&rig);
}

/* Nothing was sent yet: the connection is not up. */
static void
commands_that_wait_for_their_connection_count_as_in_flight(void **state)
{
    static char value[6000];
    struct slice set[] = {SLICE("SET"), SLICE("k"), {value, sizeof(value)}};
    struct redis_opts opts = standalone;

    (void)state;
    server_new(NULL);
    memset(value, 'x', sizeof(value));
    for (unsigned of_bytes = 0; of_bytes < 2; of_bytes++) {
        unsigned allowed = of_bytes ? 2 : 4;
        struct rig rig = {0};
        struct told t[5] = {0};

        opts.in_flight_max = of_bytes ? 1024 : 4;
        opts.in_flight_bytes_max = 15000;
        rig_open(&rig, opts);
        for (unsigned i = 0; i <= allowed; i++) {
            t[i].call.on_reply = on_told;
            t[i].call.ctx = &t[i];
            t[i].call.deadline_ms = loop_now_ms(rig.loop) + 5000;
            set[2].len = of_bytes ? sizeof(value) : 1;
            redis_send(rig.client, &t[i].call, set[1], 3, set);
        }
        AWAIT(&rig, t[allowed].times > 0);
        assert_int_equal(t[allowed].rc, RC_LIMIT);
        assert_int_equal(t[0].times, 0);
        for (unsigned i = 0; i < allowed; i++) {
            AWAIT(&rig, t[i].times > 0);
            assert_int_equal(t[i].rc, RC_OK);
        }
        rig_close(&rig);
    }
}

static void
too_many_calls_that_wait_for_a_map_miss_at_once(void **state)
{
    enum {
        COUNT = 1025
    };
    static const char *const seeds[] = {"127.0.0.1:1"};
    const struct redis_opts opts = {.seeds = seeds, .seeds_len = 1};
    static struct told t[COUNT];
    struct rig rig = {0};

    (void)state;
    rig_open(&rig, opts);
    memset(t, 0, sizeof(t));
    for (int i = 0; i < COUNT; i++) {
        t[i].call.deadline_ms = loop_now_ms(rig.loop) + 300;
        send_words(&rig, &t[i], "GET k");
    }
    loop_turn(rig.loop, 0);
    assert_int_equal(t[COUNT - 1].times, 1);
    assert_int_equal(t[COUNT - 1].rc, RC_MISS);
    assert_int_equal(t[COUNT - 2].times, 0);
    redis_call_cancel(&t[0].call); /* makes room */
    t[0].call.deadline_ms = loop_now_ms(rig.loop) + 300;
    send_words(&rig, &t[0], "GET k");
    loop_turn(rig.loop, 0);
    assert_int_equal(t[0].times, 0);
    AWAIT(&rig, t[0].times > 0);
    assert_int_equal(t[0].rc, RC_MISS);
    rig_close(&rig);
}

/* A caller who does not give up. */
static void
on_end_again(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct told *t = ctx;
    struct rig *rig = (struct rig *)(uintptr_t)t->integer;
    const struct slice argv[] = {SLICE("GET"), SLICE("k")};

    assert_null(reply);
    assert_int_equal(rc, RC_MISS);
    if (++t->times < 1000) {
        redis_send(rig->client, &t->call, argv[1], 2, argv);
    }
}

static void
caller_that_tries_again_on_failure_does_not_hold_up_the_loop(void **state)
{
    static const char *const seeds[] = {"127.0.0.1:1"};
    const struct redis_opts opts = {.seeds = seeds, .seeds_len = 1};
    struct rig rig = {0};
    struct told t = {0};
    struct clock *clock;

    (void)state;
    rig_open(&rig, opts);
    clock = (struct clock *)(uintptr_t)loop_clock(rig.loop);
    clock->is_manual = true;
    clock_advance(clock, 1000); /* no call waits for the first map any more */
    t.call.on_reply = on_end_again;
    t.call.ctx = &t;
    t.integer = (intptr_t)&rig;
    t.call.deadline_ms = loop_now_ms(rig.loop) + 5000;
    redis_send(rig.client, &t.call, SLICE("k"), 1, &SLICE("PING"));
    loop_turn(rig.loop, 0);
    assert_in_range(t.times, 1, 50);
    redis_call_cancel(&t.call);
    clock->is_manual = false;
    rig_close(&rig);
}

static void
patch_of_a_worker_ends_with_the_next_refresh(void **state)
{
    struct redis_opts opts = standalone;
    struct rig rig = {0};
    struct contact *first;
    struct contact *second;
    struct redis_client *pool;
    struct told t;

    (void)state;
    server_new(NULL);
    server_new(NULL);
    opts.refresh_interval_ms = 100;
    rig_open(&rig, opts);
    pool = rig.client;
    assert_int_equal(run(&rig, &t, "SET k v", PATIENCE_MS), RC_OK);
    first = pool_owner(pool, 7);
    second = pool_at(pool, SLICE("127.0.0.1"), fixture.servers[1].port);
    pool_patch(pool, 7, second);
    assert_ptr_equal(pool_owner(pool, 7), second);
    assert_ptr_equal(pool_owner(pool, 8), first);
    AWAIT(&rig, pool_owner(pool, 7) == first);
    assert_int_equal(rig_metric(&rig, "map_changes_total"), 0);
    rig_close(&rig);
}

static void
connection_we_give_up_ourselves_says_nothing_about_its_node(void **state)
{
    struct rig rig = {0};
    struct contact *contact;
    struct told t;

    (void)state;
    server_new(NULL);
    rig_open(&rig, standalone);
    assert_int_equal(run(&rig, &t, "SET k v", PATIENCE_MS), RC_OK);
    contact = pool_owner(rig.client, 0);
    wire_drop(contact->wire, RC_CLOSED);
    loop_turn(rig.loop, 0);
    assert_int_equal(rig_metric(&rig, "disconnects_total"), 1);
    assert_int_equal(contact->node->failures, 0);
    assert_false(contact->node->is_down);
    assert_int_equal(contact->node->wires, 0);
    assert_int_equal(run(&rig, &t, "GET k", PATIENCE_MS), RC_OK);
    assert_int_equal(contact->node->wires, 1);
    rig_close(&rig);
}

static void
connection_to_a_node_of_no_map_is_buried_when_idle(void **state)
{
    struct rig rig = {0};
    struct clock *clock;
    struct redis_client *pool;
    struct told t;

    (void)state;
    server_new(NULL);
    server_new(NULL);
    rig_open(&rig, standalone);
    pool = rig.client;
    assert_non_null(pool_at(pool, SLICE("127.0.0.1"), fixture.servers[1].port));
    assert_int_equal(run(&rig, &t, "SET k v", PATIENCE_MS), RC_OK);
    assert_int_equal(pool->contacts_len, 2);
    clock = (struct clock *)(uintptr_t)loop_clock(rig.loop);
    clock->is_manual = true;
    clock_advance(clock, 29000);
    pool->sweep.fire(pool->sweep.ctx);
    assert_int_equal(pool->contacts_len, 2);
    clock_advance(clock, 2000);
    pool->sweep.fire(pool->sweep.ctx);
    assert_int_equal(pool->contacts_len, 1);
    assert_true(loop_timer_is_armed(&pool->sweep));
    assert_ptr_equal(pool_owner(pool, 0),
        pool_at(pool, SLICE("127.0.0.1"), fixture.servers[0].port));
    clock->is_manual = false;
    rig_close(&rig);
}

static void
too_many_bytes_in_flight_are_refused_at_once(void **state)
{
    static char value[6000];
    struct slice argv[] = {SLICE("SET"), SLICE("k"), {value, sizeof(value)}};
    struct redis_opts opts = standalone;
    struct server *s = server_new(NULL);
    struct rig rig = {0};
    struct told t[3] = {0};

    (void)state;
    memset(value, 'x', sizeof(value));
    opts.in_flight_bytes_max = 15000;
    rig_open(&rig, opts);
    assert_int_equal(run(&rig, &t[0], "SET k v", PATIENCE_MS), RC_OK);
    server_stop(s);
    memset(t, 0, sizeof(t));
    for (int i = 0; i < 3; i++) {
        t[i].call.on_reply = on_told;
        t[i].call.ctx = &t[i];
        t[i].call.deadline_ms = loop_now_ms(rig.loop) + 5000;
        redis_send(rig.client, &t[i].call, argv[1], 3, argv);
    }
    loop_turn(rig.loop, 0);
    assert_int_equal(t[2].rc, RC_LIMIT);
    kill(s->pid, SIGCONT);
    AWAIT(&rig, t[0].times && t[1].times);
    assert_int_equal(t[0].rc, RC_OK);
    assert_int_equal(t[1].rc, RC_OK);
    rig_close(&rig);
}

/* Two of 9 MiB are more than the 16 MiB that a connection waits for. */
static void
too_many_bytes_of_large_replies_are_refused_at_once(void **state)
{
    static const struct slice argv[] = {SLICE("GET"), SLICE("k")};
    struct server *s = server_new(NULL);
    struct rig rig = {0};
    struct told t[4] = {0};

    (void)state;
    rig_open(&rig, standalone);
    for (int i = 0; i < 4; i++) {
        t[i].call.on_reply = on_told;
        t[i].call.ctx = &t[i];
        t[i].call.deadline_ms = loop_now_ms(rig.loop) + 5000;
        t[i].call.is_bulk = true;
        t[i].call.reply_len = 9 << 20;
        redis_send(rig.client, &t[i].call, argv[1], 2, argv);
        if (i == 0) {
            AWAIT(&rig, t[0].times > 0); /* the connection is up */
            server_stop(s);
        }
    }
    loop_turn(rig.loop, 0);
    assert_int_equal(t[1].times + t[2].times, 0);
    assert_int_equal(t[3].times, 1);
    assert_int_equal(t[3].rc, RC_LIMIT);
    kill(s->pid, SIGCONT);
    AWAIT(&rig, t[1].times > 0 && t[2].times > 0);
    assert_int_equal(t[1].rc, RC_OK);
    assert_int_equal(t[2].rc, RC_OK);
    rig_close(&rig);
}

struct large {
    struct redis_call call;
    char *bytes;
    size_t len;
    unsigned times;
    enum rc rc;
};

static void
on_large(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct large *l = ctx;

    l->times++;
    l->rc = rc;
    if (reply != NULL) {
        l->bytes = redis_reply_take(reply, &l->len);
    }
}

static void
large_values_come_back_as_they_went(void **state)
{
    static const size_t sizes[] = {
        0, 1, 16383, 16384, 16385, 65536, 1000003, 5000000};
    struct rig rig = {0};
    struct large l;

    (void)state;
    server_new(NULL);
    rig_open(&rig, standalone);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *value = malloc(sizes[i] + 1);
        struct slice set[] = {
            SLICE("SET"), SLICE("k"), slice_of(value, sizes[i])};
        struct slice get[] = {SLICE("GET"), SLICE("k")};

        for (size_t j = 0; j < sizes[i]; j++) {
            value[j] = (char)(j * 7 + j / 251);
        }
        memset(&l, 0, sizeof(l));
        loop_turn(rig.loop, 0);
        l.call.on_reply = on_large;
        l.call.ctx = &l;
        l.call.deadline_ms = loop_now_ms(rig.loop) + 10000;
        redis_send(rig.client, &l.call, set[1], 3, set);
        AWAIT(&rig, l.times > 0);
        assert_int_equal(l.rc, RC_OK);
        redis_send(rig.client, &l.call, get[1], 2, get);
        AWAIT(&rig, l.times > 1);
        assert_int_equal(l.rc, RC_OK);
        assert_int_equal(l.len, sizes[i]);
        assert_non_null(l.bytes);
        assert_memory_equal(l.bytes, value, sizes[i]);
        free(l.bytes);
        free(value);
    }
    rig_close(&rig);
}

static void
reply_over_the_limit_costs_the_connection_and_no_more(void **state)
{
    struct redis_opts opts = standalone;
    struct server *s = server_new(NULL);
    char text[64];
    struct rig rig = {0};
    struct told t;

    (void)state;
    opts.reply_max = 100000;
    assert_true(ask(s, text, sizeof(text), "SETRANGE big 100000 x"));
    rig_open(&rig, opts);
    assert_int_equal(run(&rig, &t, "GET big", PATIENCE_MS), RC_LIMIT);
    AWAIT(&rig, run(&rig, &t, "SET k v", 5000) == RC_OK);
    rig_close(&rig);
}

static void
ten_thousand_commands_keep_their_order(void **state)
{
    enum {
        COUNT = 10000
    };
    struct redis_opts opts = standalone;
    static struct told t[COUNT];
    static char words[COUNT][24];
    struct rig rig = {0};

    (void)state;
    server_new(NULL);
    opts.in_flight_max = COUNT;
    opts.hang_ms = PATIENCE_MS;
    rig_open(&rig, opts);
    memset(t, 0, sizeof(t));
    for (int i = 0; i < COUNT; i++) {
        snprintf(words[i], sizeof(words[i]), "ECHO m%d", i);
        t[i].call.deadline_ms = loop_now_ms(rig.loop) + PATIENCE_MS;
        send_words(&rig, &t[i], words[i]);
    }
    AWAIT(&rig, t[COUNT - 1].times > 0);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(t[i].rc, RC_OK);
        assert_string_equal(t[i].text, words[i] + 5);
    }
    rig_close(&rig);
}

/* Of the fixture: a server takes its time until it listens. */
static void
a_port_that_a_test_has_picked_is_no_other_tests(void **state)
{
    uint16_t port = port_pick();

    (void)state;
    assert_true(port_is_free(port));
    assert_false(port_claim(port));
    servers_end();
    assert_true(port_claim(port));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(
            a_port_that_a_test_has_picked_is_no_other_tests, teardown),
        cmocka_unit_test_teardown(
            get_set_and_eval_work_on_one_server, teardown),
        cmocka_unit_test_teardown(
            script_is_given_its_keys_and_arguments_apart, teardown),
        cmocka_unit_test_teardown(
            a_clock_that_is_set_is_told_and_one_that_is_right_again, teardown),
        cmocka_unit_test_teardown(
            a_lost_connection_has_the_map_asked_for, teardown),
        cmocka_unit_test_teardown(
            hung_server_costs_the_deadline_and_its_connection_goes_after_hang,
            teardown),
        cmocka_unit_test_teardown(
            hung_server_is_given_up_however_often_it_is_asked, teardown),
        cmocka_unit_test_teardown(
            late_reply_is_dropped_and_the_next_call_gets_its_own, teardown),
        cmocka_unit_test_teardown(
            cancelled_call_is_not_told_and_others_are, teardown),
        cmocka_unit_test_teardown(
            calls_end_cancelled_when_the_client_goes, teardown),
        cmocka_unit_test_teardown(
            killed_server_fails_fast_and_is_found_again_after_its_restart,
            teardown),
        cmocka_unit_test_teardown(
            server_that_is_down_at_start_is_found_when_it_comes, teardown),
        cmocka_unit_test_teardown(
            next_seed_serves_while_the_first_is_down, teardown),
        cmocka_unit_test_teardown(
            loading_server_is_given_a_rest_and_then_used, teardown),
        cmocka_unit_test_teardown(
            password_opens_the_door_and_a_wrong_one_does_not, teardown),
        cmocka_unit_test_teardown(
            acl_user_logs_in_by_name_and_may_be_forbidden_client, teardown),
        cmocka_unit_test_teardown(
            password_changed_under_us_ends_in_refusal_and_heals, teardown),
        cmocka_unit_test_teardown(
            full_server_refuses_us_and_lets_us_in_later, teardown),
        cmocka_unit_test_teardown(
            demoted_server_is_left_and_used_again_when_it_may_write, teardown),
        cmocka_unit_test_teardown(
            server_that_can_never_evict_is_warned_of_and_no_secret_is_logged,
            teardown),
        cmocka_unit_test_teardown(
            too_many_commands_in_flight_are_refused_at_once, teardown),
        cmocka_unit_test_teardown(
            too_many_bytes_in_flight_are_refused_at_once, teardown),
        cmocka_unit_test_teardown(
            too_many_bytes_of_large_replies_are_refused_at_once, teardown),
        cmocka_unit_test_teardown(
            large_values_come_back_as_they_went, teardown),
        cmocka_unit_test_teardown(
            reply_over_the_limit_costs_the_connection_and_no_more, teardown),
        cmocka_unit_test_teardown(
            ten_thousand_commands_keep_their_order, teardown),
        cmocka_unit_test_teardown(
            late_replies_end_the_connection_only_in_a_row, teardown),
        cmocka_unit_test_teardown(
            replies_to_calls_that_were_given_up_in_time_are_not_late, teardown),
        cmocka_unit_test_teardown(timeouts_in_a_row_open_the_breaker, teardown),
        cmocka_unit_test_teardown(
            connections_that_are_refused_in_a_row_open_the_breaker, teardown),
        cmocka_unit_test_teardown(
            questions_that_are_refused_in_a_row_open_the_breaker_too, teardown),
        cmocka_unit_test_teardown(
            command_that_never_left_is_known_as_unsent, teardown),
        cmocka_unit_test_teardown(
            server_that_evicts_or_has_no_limit_is_not_warned_of, teardown),
        cmocka_unit_test_teardown(
            commands_that_wait_for_their_connection_count_as_in_flight,
            teardown),
        cmocka_unit_test_teardown(
            too_many_calls_that_wait_for_a_map_miss_at_once, teardown),
        cmocka_unit_test_teardown(
            caller_that_tries_again_on_failure_does_not_hold_up_the_loop,
            teardown),
        cmocka_unit_test_teardown(
            patch_of_a_worker_ends_with_the_next_refresh, teardown),
        cmocka_unit_test_teardown(
            connection_we_give_up_ourselves_says_nothing_about_its_node,
            teardown),
        cmocka_unit_test_teardown(
            connection_to_a_node_of_no_map_is_buried_when_idle, teardown),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
