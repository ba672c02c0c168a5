/*
 * What no real server can be brought to say: a scripted one, a process of its
 * own, says it. Each of its connections greets well and answers the commands
 * after that by its line of the script.
 */
#include "redis_peer.h"
#include "redis/call.h"
#include "redis/pool.h"
#include "redis/wire_inside.h"

enum {
    LINES_MAX = 4,
};

struct line {
    const char *answer; /* NULL: the script is over */
    bool is_reset;      /* and then a reset */
    bool is_dripped;    /* a byte at a time */
    bool is_unasked;    /* once more, right behind the greeting */
    const char *later;  /* answers all but the first command; "": nothing */
    const char *slots;  /* a cluster's node: answers CLUSTER SLOTS, */
    const char *nodes;  /* CLUSTER NODES; and `answer` every GET */
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
        for (bool is_first = true; read(fd, buffer, sizeof(buffer)) > 0;
             is_first = false) {
            struct line says = *line;

            if (line->later != NULL) {
                says.answer = is_first ? line->answer : line->later;
                says.is_reset = line->is_reset && !is_first;
            }
            say(fd, &says);
            if (says.is_reset) {
                break;
            }
        }
    }
    close(fd);
}

/* A cluster's node, which has several connections at a time. */
static void
serve_cluster(int fd, const struct line *line)
{
    char buffer[4096];
    ssize_t n;

    if (fork() != 0) {
        close(fd);
        return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
        struct slice rest = slice_of(buffer, (size_t)n);
        struct slice word;

        while (slice_split(&rest, '\n', &word)) {
            struct line says = {
                .answer = slice_eq(word, SLICE("SLOTS\r"))     ? line->slots
                          : slice_eq(word, SLICE("NODES\r"))   ? line->nodes
                          : slice_eq(word, SLICE("GET\r"))     ? line->answer
                          : slice_eq(word, SLICE("SETNAME\r")) ? "+OK\r\n"
                          : slice_eq(word, SLICE("INFO\r"))    ? "$-1\r\n"
                                                               : ""};

            say(fd, &says);
        }
    }
    _exit(0);
}

/* A server with a script; the last line serves all further connections. */
static void
scripted_server(uint16_t port, const struct line script[LINES_MAX])
{
    struct server *s = &fixture.servers[fixture.servers_len++];
    int listens = listener(port);

    s->port = port;
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0) {
        const struct line *line = script;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGCHLD, SIG_IGN);
        for (;;) {
            int fd = accept(listens, NULL, NULL);

            if (line->slots != NULL) {
                serve_cluster(fd, line);
            } else {
                serve(fd, line);
            }
            line += line[1].answer != NULL;
        }
    }
    close(listens);
}

static int
teardown(void **state)
{
    return peers_end(state);
}

/* A client of that server, without discovery. */
static void
open_client_of(struct rig *rig, uint16_t port)
{
    struct redis_opts opts = {
        .mode = REDIS_MODE_STANDALONE,
        .seeds = rig->seed_ptrs,
        .seeds_len = 1,
        .hang_ms = PATIENCE_MS,
    };

    snprintf(rig->seeds[0], sizeof(rig->seeds[0]), "127.0.0.1:%u", port);
    rig->seed_ptrs[0] = rig->seeds[0];
    rig->loop = loop_new();
    rig->resolver = resolver_new();
    opts = redis_opts_filled(opts);
    rig->redis = redis_new(&opts, rig->resolver, NULL);
    rig->client = redis_client_new(rig->redis, rig->loop, NULL, NULL);
    assert_non_null(rig->client);
}

/* One of the scripted server. */
static void
open_client(struct rig *rig)
{
    open_client_of(rig, fixture.servers[0].port);
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
    char moved[64];
    const struct line script[LINES_MAX] = {
        {.answer = moved}, {.answer = "$3\r\nnew\r\n"}};
    uint16_t port = port_pick();
    struct rig rig = {0};
    struct told t;

    (void)state;
    snprintf(
        moved, sizeof(moved), "-MOVED %u :%u\r\n", slot_of(SLICE("k")), port);
    scripted_server(port, script);
    open_client(&rig);
    assert_int_equal(run(&rig, &t, "GET k", PATIENCE_MS), RC_OK);
    assert_int_equal(t.type, REDIS_STRING);
    assert_string_equal(t.text, "new");
    assert_int_equal(t.call.impl.hops, 1);
    close_client(&rig);
}

/* A call is moved to where it is, and that connection is dropped. */
static void
moved_here(struct rig *rig, struct told *t)
{
    run_begin(rig, t, "GET k", 5000);
    peers_rest(rig);
    assert_int_equal(t->call.impl.hops, 1);
    assert_int_equal(call_state(&t->call), CALL_PAUSED);
}

/* One new connection as soon as it is needed; the next ones only after waits
   that grow, in which calls are refused. All within a second. */
static void
server_that_always_moves_us_to_itself_is_not_dialled_again_and_again(
    void **state)
{
    struct peer *p = &peers[0];
    const struct wire *w;
    struct rig rig = {0};
    char moved[64];
    struct told t;

    (void)state;
    peers_new(1);
    snprintf(moved, sizeof(moved), "-MOVED %u :%u\r\n", slot_of(SLICE("k")),
        p->port);
    peer_says(p, "GET k", moved);
    open_client_of(&rig, p->port);
    rig_stop_clock(&rig);
    moved_here(&rig, &t);
    w = pool_owner(rig.client, slot_of(SLICE("k")))->wire;
    assert_int_equal(p->conns_taken, 1);
    assert_false(wire_is_failing(w));
    peers_pass(&rig, 24); /* a pause of 10 to 20 ms */
    assert_int_equal(t.call.impl.hops, 2);
    redis_call_cancel(&t.call);
    for (unsigned n = 1; n <= 4; n++) {
        int64_t wait_ms = w->reach.wait.deadline_ms - loop_now_ms(rig.loop);

        assert_int_equal(p->conns_taken, n + 1);
        assert_int_equal(w->reach.failures, n);
        assert_in_range(wait_ms, 1, 50 << n);
        assert_int_equal(peers_run(&rig, &t, "GET k"), RC_CLOSED);
        assert_int_equal(t.call.impl.hops, 0);
        assert_int_equal(p->conns_taken, n + 1);
        peers_pass(&rig, wait_ms + 8);
        moved_here(&rig, &t);
        redis_call_cancel(&t.call);
    }
    close_client(&rig);
}

static void
cut_all(struct rig *rig, struct peer *p)
{
    for (unsigned i = 0; i < PEER_CONNS_MAX; i++) {
        if (p->conns[i].fd != 0) {
            peer_cut(&p->conns[i]);
        }
    }
    peers_rest(rig);
}

/* To greet well is not enough. One that has lasted for a second has its first
   try anew. */
static void
connection_that_is_soon_cut_is_made_again_after_waits_that_grow(void **state)
{
    struct peer *p = &peers[0];
    const struct wire *w;
    struct rig rig = {0};
    struct told t;

    (void)state;
    peers_new(1);
    open_client_of(&rig, p->port);
    rig_stop_clock(&rig);
    assert_int_equal(peers_run(&rig, &t, "GET k"), RC_OK);
    w = pool_owner(rig.client, slot_of(SLICE("k")))->wire;
    for (unsigned n = 1; n <= 9; n++) {
        int64_t most_ms = n < 7 ? 50 << n : 5000;
        int64_t wait_ms;

        cut_all(&rig, p);
        wait_ms = w->reach.wait.deadline_ms - loop_now_ms(rig.loop);
        assert_int_equal(w->reach.failures, n);
        assert_in_range(wait_ms, 1, most_ms);
        peers_pass(&rig, wait_ms + 8);
        assert_true(wire_is_up(w));
        assert_int_equal(p->conns_taken, n + 1);
    }
    peers_pass(&rig, 1000);
    peer_says(p, "GET k", "");
    run_begin(&rig, &t, "GET k", 2 * PATIENCE_MS);
    peers_pass(&rig, PATIENCE_MS + 8); /* hang_ms */
    assert_int_equal(run_end(&t), RC_TIMEOUT);
    assert_int_equal(w->reach.failures, 1);
    close_client(&rig);
}

/* Two hops are free. Each further one waits, since a failover may be under
   way, and the two agree soon. */
static void
servers_that_move_us_to_each_other_are_given_time_to_agree(void **state)
{
    char to[2][64];
    const struct line scripts[2][LINES_MAX] = {
        {{.answer = to[1]}}, {{.answer = to[0]}}};
    uint16_t ports[] = {port_pick(), port_pick()};
    struct rig rig = {0};
    struct told t = {0};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        snprintf(to[i], sizeof(to[i]), "-MOVED %u 127.0.0.1:%u\r\n",
            slot_of(SLICE("k")), ports[i]);
    }
    scripted_server(ports[0], scripts[0]);
    scripted_server(ports[1], scripts[1]);
    open_client(&rig);
    loop_turn(rig.loop, 0); /* the clock may be old */
    t.call.deadline_ms = loop_now_ms(rig.loop) + PATIENCE_MS;
    send_words(&rig, &t, "GET k");
    for (unsigned hops = 1; hops <= 5; hops++) {
        AWAIT(&rig, t.call.impl.hops >= hops);
        assert_int_equal(t.call.impl.hops, hops);
        assert_int_equal(call_state(&t.call) == CALL_PAUSED, hops > 2);
    }
    AWAIT(&rig, t.times > 0);
    assert_int_equal(t.rc, RC_OK);
    assert_int_equal(t.type, REDIS_ERROR);
    close_client(&rig);
}

static void
demoted_server_is_asked_again_over_a_new_connection(void **state)
{
    static const struct line script[LINES_MAX] = {
        {.answer = "-READONLY You can't write\r\n"}, {.answer = "+OK\r\n"}};
    struct rig rig = {0};
    struct told t;

    (void)state;
    scripted_server(port_pick(), script);
    open_client(&rig);
    assert_int_equal(run(&rig, &t, "SET k v", PATIENCE_MS), RC_OK);
    assert_int_equal(t.type, REDIS_STATUS);
    assert_int_equal(t.call.impl.hops, 1);
    close_client(&rig);
}

/* It answers, but does not serve: the next call is not even sent. */
static void
node_that_does_not_serve_is_given_a_rest(void **state)
{
    static const char *const answers[] = {"-CLUSTERDOWN no\r\n",
        "-MASTERDOWN no\r\n", "-LOADING no\r\n", "-NOAUTH no\r\n",
        "-WRONGPASS no\r\n"};

    (void)state;
    for (unsigned i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        const struct line script[LINES_MAX] = {{.answer = answers[i]}};
        struct rig rig = {0};
        struct told t;

        scripted_server(port_pick(), script);
        open_client(&rig);
        rig_stop_clock(&rig); /* or its rest might be over */
        /* Told at once, or held back and then refused. */
        assert_int_equal(
            run_slowly(&rig, &t, "GET k", 5000), i < 2 ? RC_REFUSED : RC_OK);
        assert_int_equal(run_slowly(&rig, &t, "GET k", 5000), RC_REFUSED);
        assert_false(t.call.was_sent);
        close_client(&rig);
        servers_end();
    }
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
        assert_int_equal(run(&rig, &t, "GET k", PATIENCE_MS), RC_OK);
        assert_int_equal(t.type, REDIS_ERROR);
        assert_int_equal(t.call.impl.hops, 0);
    }
    close_client(&rig);
}

static void
redirection_for_another_slot_is_told_and_not_followed(void **state)
{
    static const struct line evil[LINES_MAX] = {{.answer = "$4\r\nevil\r\n"}};
    static const char *const words[] = {"MOVED", "ASK"};
    static char text[64];
    static const struct line script[LINES_MAX] = {{.answer = text}};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        uint16_t port = port_pick();
        struct rig rig = {0};
        struct told t;

        snprintf(text, sizeof(text), "-%s %u 127.0.0.1:%u\r\n", words[i],
            slot_of(SLICE("k")) ^ 1u, port);
        scripted_server(port_pick(), script);
        scripted_server(port, evil);
        open_client(&rig);
        assert_int_equal(run(&rig, &t, "GET k", PATIENCE_MS), RC_OK);
        assert_int_equal(t.type, REDIS_ERROR);
        assert_int_equal(t.call.impl.hops, 0);
        close_client(&rig);
        servers_end();
    }
}

static void
command_to_try_again_is_sent_again_after_a_pause(void **state)
{
    static const struct line script[LINES_MAX] = {
        {.answer = "-TRYAGAIN later\r\n", .later = "$2\r\nok\r\n"}};
    struct rig rig = {0};
    struct told t;
    int64_t began = real_ms();

    (void)state;
    scripted_server(port_pick(), script);
    open_client(&rig);
    assert_int_equal(run(&rig, &t, "GET k", PATIENCE_MS), RC_OK);
    assert_string_equal(t.text, "ok");
    assert_true(real_ms() - began >= 5);
    assert_int_equal(t.call.impl.attempts, 1);
    assert_int_equal(t.call.impl.hops, 0);
    close_client(&rig);
}

static void
call_that_has_paused_still_ends_at_its_deadline(void **state)
{
    struct rig rig = {0};
    struct told t;

    (void)state;
    peers_new(1);
    peer_says(&peers[0], "GET k", "-TRYAGAIN later\r\n");
    open_client_of(&rig, peers[0].port);
    rig_stop_clock(&rig);
    run_begin(&rig, &t, "GET k", 1000);
    peers_rest(&rig);
    assert_int_equal(call_state(&t.call), CALL_PAUSED);
    peer_says(&peers[0], "GET k", "");
    peers_pass(&rig, 24); /* a pause of 5 to 10 ms */
    assert_int_equal(peer_heard(&peers[0], "GET k"), 2);
    peers_pass(&rig, 1000 - 24 - 8);
    assert_int_equal(t.times, 0);
    peers_pass(&rig, 16);
    assert_int_equal(run_end(&t), RC_TIMEOUT);
    assert_int_equal(t.call.impl.attempts, 1);
    close_client(&rig);
}

/* What a node says that believes itself to own the slots up to `last`. */
static void
boast(struct line *line, char id, uint16_t port, unsigned epoch, unsigned last)
{
    static char texts[2][3][512];
    char(*own)[512] = texts[id == 'a'];
    char full_id[41] = {0};
    char common_id[41] = {0}; /* both know this replica: they are one cluster */
    char nodes[256];

    memset(full_id, id, 40);
    memset(common_id, 'c', 40);
    snprintf(own[0], sizeof(own[0]), "$1\r\n%c\r\n", id);
    snprintf(own[1], sizeof(own[1]),
        "*1\r\n*3\r\n:0\r\n:%u\r\n*3\r\n$9\r\n127.0.0.1\r\n:%u\r\n"
        "$40\r\n%s\r\n",
        last, port, full_id);
    snprintf(nodes, sizeof(nodes),
        "%s 127.0.0.1:1@2 master - 0 0 %u connected 0-%u\n"
        "%s 127.0.0.1:2@3 slave %s 0 0 %u connected\n",
        full_id, epoch, last, common_id, full_id, epoch);
    snprintf(own[2], sizeof(own[2]), "$%zu\r\n%s\r\n", strlen(nodes), nodes);
    *line = (struct line){.answer = own[0], .slots = own[1], .nodes = own[2]};
}

/* Two nodes, of which the one (a is asked first) is to be believed. */
static void
believe(bool is_a, const unsigned epochs[2], const unsigned lasts[2])
{
    struct line a[LINES_MAX] = {{0}};
    struct line b[LINES_MAX] = {{0}};
    const struct redis_opts opts = {.mode = REDIS_MODE_CLUSTER};
    uint16_t ports[] = {port_pick(), port_pick()};
    struct rig rig = {0};
    struct told t;

    boast(&a[0], 'a', ports[0], epochs[0], lasts[0]);
    boast(&b[0], 'b', ports[1], epochs[1], lasts[1]);
    scripted_server(ports[0], a);
    scripted_server(ports[1], b);
    rig_open(&rig, opts);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(run(&rig, &t, "GET k", PATIENCE_MS), RC_OK);
        assert_string_equal(t.text, is_a ? "a" : "b");
    }
    assert_true(rig_map_is_whole(&rig));
    rig_close(&rig);
    servers_end();
}

static void
nodes_that_disagree_are_settled_by_their_config_epochs(void **state)
{
    static const unsigned all[] = {SLOT_COUNT - 1, SLOT_COUNT - 1};

    (void)state;
    believe(true, (const unsigned[]){6, 5}, all);
    believe(false, (const unsigned[]){5, 6}, all);
}

/* What it has said of the slots stands: it is not taken for their owner. */
static void
node_that_tells_its_slots_and_no_nodes_is_believed(void **state)
{
    struct line a[LINES_MAX] = {{0}};
    struct line b[LINES_MAX] = {{0}};
    const struct redis_opts opts = {.mode = REDIS_MODE_CLUSTER};
    uint16_t ports[] = {port_pick(), port_pick()};
    char whole[512];
    struct rig rig = {0};
    struct told t;

    (void)state;
    boast(&b[0], 'b', ports[1], 5, SLOT_COUNT - 1);
    snprintf(whole, sizeof(whole), "%s", b[0].slots);
    a[0] = (struct line){.answer = "$1\r\na\r\n",
        .slots = whole,
        .nodes = "-ERR unknown command 'CLUSTER'\r\n"};
    boast(&b[0], 'b', ports[1], 5, 8000); /* they differ, so both are asked */
    scripted_server(ports[0], a);
    scripted_server(ports[1], b);
    rig_open(&rig, opts);
    assert_int_equal(run(&rig, &t, "GET k", PATIENCE_MS), RC_OK);
    assert_string_equal(t.text, "b");
    assert_true(rig_map_is_whole(&rig));
    rig_close(&rig);
}

static void
node_that_knows_all_slots_is_believed_before_one_that_does_not(void **state)
{
    (void)state;
    assert_in_range(slot_of(SLICE("k")), 0, 8000);
    believe(true, (const unsigned[]){5, 9},
        (const unsigned[]){SLOT_COUNT - 1, 8000});
    believe(false, (const unsigned[]){9, 5},
        (const unsigned[]){8000, SLOT_COUNT - 1});
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

/* As above, but the connection was a good one: the next is made at once. */
static void
loss_of_a_steady_connection_is_bridged_where_that_does_no_harm(void **state)
{
    static const struct line script[LINES_MAX] = {
        {.answer = "+OK\r\n", .later = "$10\r\n", .is_reset = true},
        {.answer = "+AGAIN\r\n"}};

    (void)state;
    for (unsigned retries = 0; retries < 2; retries++) {
        struct rig rig = {0};
        struct clock *clock;
        struct told t;

        scripted_server(port_pick(), script);
        open_client(&rig);
        assert_int_equal(run(&rig, &t, "GET k", PATIENCE_MS), RC_OK);
        clock = (struct clock *)(uintptr_t)loop_clock(rig.loop);
        clock->is_manual = true;
        clock_advance(clock, 1000);
        memset(&t, 0, sizeof(t));
        t.call.retries = retries == 1;
        send_words(&rig, &t, "INCR k");
        AWAIT(&rig, t.times > 0);
        assert_true(t.call.was_sent);
        if (retries == 1) {
            assert_int_equal(t.rc, RC_OK);
            assert_string_equal(t.text, "AGAIN");
        } else {
            assert_true(t.rc == RC_IO || t.rc == RC_CLOSED);
            assert_int_equal(t.call.impl.attempts, 0);
        }
        clock->is_manual = false;
        close_client(&rig);
        servers_end();
    }
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
    assert_int_equal(run(&rig, &t, "GET k", PATIENCE_MS), RC_OK);
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
    assert_int_equal(run(&rig, &t, "GET k", PATIENCE_MS), RC_BAD);
    close_client(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(
            moved_to_where_we_are_makes_a_new_connection, teardown),
        cmocka_unit_test_teardown(
            server_that_always_moves_us_to_itself_is_not_dialled_again_and_again,
            teardown),
        cmocka_unit_test_teardown(
            connection_that_is_soon_cut_is_made_again_after_waits_that_grow,
            teardown),
        cmocka_unit_test_teardown(
            servers_that_move_us_to_each_other_are_given_time_to_agree,
            teardown),
        cmocka_unit_test_teardown(
            demoted_server_is_asked_again_over_a_new_connection, teardown),
        cmocka_unit_test_teardown(
            node_that_does_not_serve_is_given_a_rest, teardown),
        cmocka_unit_test_teardown(
            hostile_redirection_is_told_and_not_followed, teardown),
        cmocka_unit_test_teardown(
            redirection_for_another_slot_is_told_and_not_followed, teardown),
        cmocka_unit_test_teardown(
            command_to_try_again_is_sent_again_after_a_pause, teardown),
        cmocka_unit_test_teardown(
            call_that_has_paused_still_ends_at_its_deadline, teardown),
        cmocka_unit_test_teardown(
            nodes_that_disagree_are_settled_by_their_config_epochs, teardown),
        cmocka_unit_test_teardown(
            node_that_tells_its_slots_and_no_nodes_is_believed, teardown),
        cmocka_unit_test_teardown(
            node_that_knows_all_slots_is_believed_before_one_that_does_not,
            teardown),
        cmocka_unit_test_teardown(
            reset_in_the_middle_of_a_value_is_not_its_end, teardown),
        cmocka_unit_test_teardown(
            command_that_may_have_been_done_is_not_sent_again_unasked,
            teardown),
        cmocka_unit_test_teardown(
            loss_of_a_steady_connection_is_bridged_where_that_does_no_harm,
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
