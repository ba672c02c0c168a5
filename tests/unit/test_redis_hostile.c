/*
 * What no real server can be brought to say: a scripted one, a process of its
 * own, says it. Each of its connections greets well and answers the first
 * command after that by its line of the script.
 */
#include "redis_fixture.h"

#include <netinet/tcp.h>

enum {
    LINES_MAX = 4,
};

struct line {
    const char *answer; /* NULL: the script is over */
    bool is_reset;      /* and then a reset */
    bool is_dripped;    /* a byte at a time */
    bool is_unasked;    /* once more, right behind the greeting */
};

static void
say(int fd, const struct line *line)
{
    size_t len = strlen(line->answer);
    size_t step = line->is_dripped ? 1 : len;

    for (size_t at = 0; at < len; at += step) {
        if (write(fd, line->answer + at, step) < 0) {
            return;
        }
    }
    if (line->is_reset) {
        struct linger reset = {.l_onoff = 1};

        pause_ms(20); /* what was said arrives */
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    }
}

static void
serve(int fd, const struct line *line)
{
    static const struct line ok = {.answer = "+OK\r\n"};
    char buffer[4096];
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (read(fd, buffer, sizeof(buffer)) > 0) { /* CLIENT SETNAME */
        if (line->is_unasked) {
            struct line both = *line;

            snprintf(buffer, sizeof(buffer), "%s%s", ok.answer, line->answer);
            both.answer = buffer;
            say(fd, &both); /* in one segment */
        } else {
            say(fd, &ok);
        }
        if (read(fd, buffer, sizeof(buffer)) > 0) {
            say(fd, line);
            while (!line->is_reset && read(fd, buffer, sizeof(buffer)) > 0) {
                say(fd, line);
            }
        }
    }
    close(fd);
}

/* A server with a script; the last line serves all further connections. */
static void
scripted_server(uint16_t port, const struct line script[LINES_MAX])
{
    struct server *s = &fixture.servers[fixture.servers_len++];
    struct sockaddr_in in = {.sin_family = AF_INET};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;

    s->port = port;
    in.sin_port = htons(s->port);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    assert_int_equal(bind(listener, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(listener, 16), 0);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0) {
        const struct line *line = script;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            serve(accept(listener, NULL, NULL), line);
            line += line[1].answer != NULL;
        }
    }
    close(listener);
}

static int
teardown(void **state)
{
    (void)state;
    servers_end();
    return 0;
}

/* A client of the scripted server, without discovery. */
static void
open_client(struct rig *rig)
{
    const struct redis_opts opts = {
        .mode = REDIS_MODE_STANDALONE,
        .seeds = rig->seed_ptrs,
        .seeds_len = 1,
        .hang_ms = 2000,
    };

    snprintf(rig->seeds[0], sizeof(rig->seeds[0]), "127.0.0.1:%u",
        fixture.servers[0].port);
    rig->seed_ptrs[0] = rig->seeds[0];
    rig->loop = loop_new();
    rig->resolver = resolver_new();
    rig->redis = redis_new(&opts, rig->resolver, NULL);
    rig->client = redis_client_new(rig->redis, rig->loop, NULL, NULL);
    assert_non_null(rig->client);
}

static void
close_client(struct rig *rig)
{
    redis_client_free(&rig->client);
    redis_free(&rig->redis);
    loop_free(&rig->loop);
    resolver_free(&rig->resolver);
}

static void
moved_to_where_we_are_makes_a_new_connection(void **state)
{
    static char moved[64];
    static const struct line script[LINES_MAX] = {
        {.answer = moved}, {.answer = "$3\r\nnew\r\n"}};
    uint16_t port = port_pick();
    struct rig rig = {0};
    struct told t;

    (void)state;
    snprintf(
        moved, sizeof(moved), "-MOVED %u :%u\r\n", slot_of(SLICE("k")), port);
    scripted_server(port, script);
    open_client(&rig);
    assert_int_equal(run(&rig, &t, "GET k", 5000), RC_OK);
    assert_int_equal(t.type, REDIS_STRING);
    assert_string_equal(t.text, "new");
    assert_int_equal(t.call.impl.hops, 1);
    close_client(&rig);
}

static void
hostile_redirection_is_told_and_not_followed(void **state)
{
    static const struct line script[LINES_MAX] = {
        {.answer = "-MOVED 99999 127.0.0.1:1\r\n"}};
    struct rig rig = {0};
    struct told t;

    (void)state;
    scripted_server(port_pick(), script);
    open_client(&rig);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(run(&rig, &t, "GET k", 5000), RC_OK);
        assert_int_equal(t.type, REDIS_ERROR);
        assert_int_equal(t.call.impl.hops, 0);
    }
    close_client(&rig);
}

static void
reset_in_the_middle_of_a_value_is_not_its_end(void **state)
{
    static const struct line script[LINES_MAX] = {
        {.answer = "$100000\r\nbut this is all", .is_reset = true},
        {.answer = "$5\r\nwhole\r\n"}};
    struct rig rig = {0};
    struct told t;

    (void)state;
    scripted_server(port_pick(), script);
    open_client(&rig);
    /* A GET may be sent again; it is, once the node is tried anew. */
    AWAIT(&rig, run(&rig, &t, "GET k", 2000) == RC_OK);
    assert_string_equal(t.text, "whole");
    close_client(&rig);
}

static void
command_that_may_have_been_done_is_not_sent_again_unasked(void **state)
{
    static const struct line script[LINES_MAX] = {
        {.answer = "$10\r\n", .is_reset = true}, {.answer = "+OK\r\n"}};
    struct rig rig = {0};
    struct told t = {0};

    (void)state;
    scripted_server(port_pick(), script);
    open_client(&rig);
    t.call.deadline_ms = loop_now_ms(rig.loop) + 3000;
    send_words(&rig, &t, "INCR k");
    AWAIT(&rig, t.times > 0);
    assert_true(t.rc == RC_IO || t.rc == RC_CLOSED);
    assert_true(t.call.was_sent);
    close_client(&rig);
}

static void
reply_that_trickles_in_is_read(void **state)
{
    static const struct line script[LINES_MAX] = {
        {.answer = "$12\r\nhello, world\r\n", .is_dripped = true}};
    struct rig rig = {0};
    struct told t;

    (void)state;
    scripted_server(port_pick(), script);
    open_client(&rig);
    assert_int_equal(run(&rig, &t, "GET k", 5000), RC_OK);
    assert_string_equal(t.text, "hello, world");
    close_client(&rig);
}

static void
reply_nobody_asked_for_ends_the_connection(void **state)
{
    static const struct line script[LINES_MAX] = {
        {.answer = "$4\r\nevil\r\n", .is_unasked = true},
        {.answer = "$4\r\ngood\r\n"}};
    struct rig rig = {0};
    struct told t;

    (void)state;
    scripted_server(port_pick(), script);
    open_client(&rig);
    /* It comes while the command waits for the greeting's end: not its. */
    AWAIT(&rig, run(&rig, &t, "GET k", 500) == RC_OK);
    assert_string_equal(t.text, "good");
    close_client(&rig);
}

static void
server_that_speaks_something_else_is_left(void **state)
{
    static const struct line script[LINES_MAX] = {
        {.answer = "HTTP/1.1 400 Bad Request\r\n\r\n"}};
    struct rig rig = {0};
    struct told t;

    (void)state;
    scripted_server(port_pick(), script);
    open_client(&rig);
    assert_int_equal(run(&rig, &t, "GET k", 2000), RC_BAD);
    close_client(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(
            moved_to_where_we_are_makes_a_new_connection, teardown),
        cmocka_unit_test_teardown(
            hostile_redirection_is_told_and_not_followed, teardown),
        cmocka_unit_test_teardown(
            reset_in_the_middle_of_a_value_is_not_its_end, teardown),
        cmocka_unit_test_teardown(
            command_that_may_have_been_done_is_not_sent_again_unasked,
            teardown),
        cmocka_unit_test_teardown(reply_that_trickles_in_is_read, teardown),
        cmocka_unit_test_teardown(
            reply_nobody_asked_for_ends_the_connection, teardown),
        cmocka_unit_test_teardown(
            server_that_speaks_something_else_is_left, teardown),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
