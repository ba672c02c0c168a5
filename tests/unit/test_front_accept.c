/* Who connects: served, handed over, given the room of one that is idle, or
   turned away and told so. */
#include "accept_given.h"

#include "log_given.h"
#include "rules_given.h"

/* --- places ------------------------------------------------------------ */

static void
who_connects_is_served_and_counted(void **state)
{
    struct caller c, d;

    (void)state;
    given_front((struct front_opts){0});
    c = connects_from("127.0.0.3");
    d = connects();
    assert_int_equal(front_connections(bench.front), 2);
    assert_int_equal(connections(), 2);
    assert_served(&c);
    assert_int_equal(
        last_request()->peer.u.v4.sin_addr.s_addr, htonl(0x7f000003));
    goes(&c, 1);
    goes(&d, 0);
    assert_int_equal(connections(), 0);
    assert_int_equal(total(bench.side), 2);
}

static void
beyond_connections_max_one_is_turned_away(void **state)
{
    struct caller a, b, c;

    (void)state;
    given_front((struct front_opts){.connections_max = 2});
    a = connects();
    b = connects();
    assert_int_equal(limited(LIMIT_CONNECTIONS), 0);
    c = connects();
    assert_turned_away(&c);
    assert_int_equal(limited(LIMIT_CONNECTIONS), 1);
    assert_int_equal(front_connections(bench.front), 2);
    close(c.fd);
    goes(&a, 1);
    c = connects();
    assert_served(&c);
    assert_int_equal(limited(LIMIT_CONNECTIONS), 1);
    close(b.fd);
    goes(&c, 0);
}

static void
an_address_has_so_many(void **state)
{
    static struct proxy_net trusted;
    struct caller a, b, c, d;

    (void)state;
    trusted = given_net("127.0.0.9", 32);
    bench.conf->opts.trusted = &trusted;
    bench.conf->opts.trusted_len = 1;
    given_front((struct front_opts){.connections_per_ip = 1});
    a = connects_from("127.0.0.2");
    b = connects_from("127.0.0.2");
    assert_turned_away(&b);
    assert_int_equal(limited(LIMIT_CONNECTIONS_PER_IP), 1);
    assert_int_equal(front_connections(bench.front), 1);
    close(b.fd);
    b = connects_from("127.0.0.3");
    assert_served(&b);
    goes(&a, 1);
    a = connects_from("127.0.0.2");
    assert_served(&a);
    /* Who is trusted connects for many. */
    c = connects_from("127.0.0.9");
    d = connects_from("127.0.0.9");
    assert_served(&d);
    assert_int_equal(limited(LIMIT_CONNECTIONS_PER_IP), 1);
    close(a.fd);
    close(b.fd);
    close(c.fd);
    goes(&d, 0);
}

/* One that was refused for want of room has not used up its address' share. */
static void
files_are_kept_back(void **state)
{
    struct caller a, b;

    (void)state;
    /* The next number that is free, and one beyond that, are given out. */
    a = (struct caller){.fd = dup(0)};
    given_front((struct front_opts){
        .connections_per_ip = 1, .fds_max = (unsigned)a.fd + 32 + 1});
    close(a.fd);
    a = connects();
    assert_turned_away(&a);
    assert_int_equal(limited(LIMIT_FDS), 1);
    assert_int_equal(front_connections(bench.front), 0);
    close(a.fd);
    UNTIL(refusals() == 0);
    bench.front->opts.fds_max = 0;
    b = connects();
    assert_served(&b);
    assert_int_equal(limited(LIMIT_FDS), 1);
    goes(&b, 0);
}

/* From the first byte of its head to the last of its answer. */
static void
who_asks_is_told_from_who_is_idle(void **state)
{
    struct caller c, idle;

    (void)state;
    given_front((struct front_opts){0});
    c = connects();
    idle = connects();
    assert_int_equal(front_requests(bench.side->front), 0);
    calls(&c, "GET /a HTTP/1.1\r\n");
    UNTIL(front_requests(bench.side->front) == 1);
    calls(&c, "Host: a.example\r\n\r\n");
    UNTIL(bench.requests_len == 1);
    assert_int_equal(front_requests(bench.side->front), 1);
    answer(last_request(), "ok");
    assert_told(&c, OK);
    UNTIL(front_requests(bench.side->front) == 0);
    assert_int_equal(connections(), 2);
    goes(&c, 1);
    goes(&idle, 0);
}

/* --- room -------------------------------------------------------------- */

/* Who has never spoken, and has had its time to; then who has been idle
   longest; then who lingers. */
static void
who_is_idle_makes_room(void **state)
{
    struct caller c[9], idle, silent, next;

    (void)state;
    given_front((struct front_opts){.connections_max = 10});
    limits()->idle_timeout_ms = 60000;
    idle = connects();
    assert_served(&idle);
    silent = connects();
    pass(1000);
    for (size_t i = 0; i < 7; i++) {
        c[i] = connects();
    }
    assert_int_equal(limited(LIMIT_IDLE_SHED), 0);
    c[7] = connects();
    assert_int_equal(limited(LIMIT_IDLE_SHED), 1);
    assert_ended(&silent);
    c[8] = connects();
    assert_int_equal(limited(LIMIT_IDLE_SHED), 2);
    assert_ended(&idle);
    next = connects(); /* the rest may yet speak */
    assert_int_equal(limited(LIMIT_IDLE_SHED), 2);
    assert_int_equal(limited(LIMIT_CONNECTIONS), 0);
    close(next.fd);
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        close(c[i].fd);
    }
    UNTIL(front_connections(bench.front) == 0);
}

static void
who_lingers_makes_room_when_none_is_idle(void **state)
{
    struct caller a, b;

    (void)state;
    given_front((struct front_opts){.connections_max = 1});
    a = connects();
    bench.sides[0].front->says_close = true;
    calls(&a, GET("/a"));
    UNTIL(bench.requests_len == 1);
    answer(last_request(), "ok");
    UNTIL(!list_is_empty(&bench.side->front->lingering));
    b = connects();
    assert_turned_away(&b);
    UNTIL(front_connections(bench.front) == 0);
    assert_int_equal(limited(LIMIT_IDLE_SHED), 1);
    close(a.fd);
    close(b.fd);
}

/* accept itself has no file for it. */
static void
when_files_run_out_one_makes_room(void **state)
{
    static struct log_given log;
    struct caller a, b;

    (void)state;
    given_front((struct front_opts){0});
    log_given_open(&log);
    bench.side->worker.ring = log.ring;
    limits()->idle_timeout_ms = 60000;
    a = connects();
    pass(1000);
    accept_error = EMFILE;
    b = queued_from("127.0.0.1");
    UNTIL(limited(LIMIT_FDS) == 1);
    assert_ended(&a);
    assert_int_equal(limited(LIMIT_IDLE_SHED), 1);
    assert_non_null(strstr(log_given_text(&log), "accept_failed"));
    close(b.fd);
    bench.side->worker.ring = NULL;
}

/* --- turned away ------------------------------------------------------- */

/* Its request is on its way, and is answered with no reset. */
static void
who_is_turned_away_is_heard_out(void **state)
{
    struct caller c;

    (void)state;
    given_front((struct front_opts){.connections_per_ip = 1});
    bench.front->opts.connections_max = 0;
    c = connects();
    assert_turned_away(&c);
    calls(&c, GET("/a"));
    assert_int_equal(refusals(), 1);
    pass(996);
    assert_int_equal(refusals(), 1);
    pass(4);
    assert_int_equal(refusals(), 0);
    assert_true(front_is_empty(bench.side->front));
    close(c.fd);
    c = connects();
    assert_int_equal(refusals(), 1);
    close(c.fd);
    UNTIL(refusals() == 0);
    assert_int_equal(bench.requests_len, 0);
}

/* The longest goes; and far fewer are heard out when files are short. */
static void
so_many_are_heard_out_at_most(void **state)
{
    struct caller c[10];

    (void)state;
    given_front((struct front_opts){0});
    bench.front->opts.connections_max = 0;
    limits()->linger_max = 9;
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        c[i] = connects();
        UNTIL(limited(LIMIT_CONNECTIONS) == (int64_t)i + 1);
        assert_int_equal(refusals(), i < 9 ? i + 1 : 9);
        pass(i == 0 ? 500 : 0);
    }
    pass(500); /* the first one's second is over, and it has gone before */
    assert_int_equal(refusals(), 9);
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        close(c[i].fd);
    }
    UNTIL(refusals() == 0);
    bench.front->opts.fds_max = 1;
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        c[i] = queued_from("127.0.0.1");
        UNTIL(limited(LIMIT_FDS) == (int64_t)i + 1);
        assert_int_equal(refusals(), i < 8 ? i + 1 : 8);
    }
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        close(c[i].fd);
    }
}

/* Once a minute, and how many there were. */
static void
who_is_turned_away_is_told_of(void **state)
{
    static struct log_given log;

    (void)state;
    given_front((struct front_opts){0});
    bench.front->opts.connections_max = 0;
    log_given_open(&log);
    bench.side->worker.ring = log.ring;
    for (int i = 0; i < 4; i++) {
        struct caller c = queued_from("127.0.0.1");
        UNTIL(limited(LIMIT_CONNECTIONS) == i + 1);
        close(c.fd);
        pass(i < 2 ? 29996 : 8);
    }
    log_given_text(&log);
    assert_int_equal(log_given_count(&log, "turned_away"), 2);
    assert_int_equal(log_given_count(&log, "times=\"1\""), 1);
    assert_int_equal(log_given_count(&log, "times=\"3\""), 1);
    assert_int_equal(
        log_given_count(&log, "limit=\"connections_max\" peer=\"127.0.0.1\""),
        2);
    bench.side->worker.ring = NULL;
}

/* --- several workers --------------------------------------------------- */

static void
who_has_more_than_its_share_hands_over(void **state)
{
    struct caller c[5];

    (void)state;
    given_front((struct front_opts){.workers = 2});
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        c[i] = connects();
        assert_int_equal(sessions_of(1), i < 2 ? 0 : i / 2);
    }
    assert_int_equal(sessions_of(0), 3);
    assert_int_equal(sessions_of(1), 2);
    assert_int_equal(total(&bench.sides[1]), 2);
    assert_served(&c[2]);
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        close(c[i].fd);
    }
    UNTIL(front_connections(bench.front) == 0);
    assert_int_equal(sessions_of(0) + sessions_of(1), 0);
}

/* Another may have nothing left already, and wait for nothing. */
static void
at_the_end_each_keeps_what_it_has_accepted(void **state)
{
    struct caller c[3];

    (void)state;
    given_front((struct front_opts){.workers = 2});
    c[0] = connects();
    c[1] = connects();
    front_say_close(bench.side->front);
    c[2] = connects();
    assert_int_equal(sessions_of(0), 3);
    assert_int_equal(sessions_of(1), 0);
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        close(c[i].fd);
    }
    UNTIL(front_connections(bench.front) == 0);
}

static void
another_worker_makes_room(void **state)
{
    struct caller c[4];

    (void)state;
    given_front((struct front_opts){.connections_max = 3, .workers = 2});
    limits()->idle_timeout_ms = 60000;
    for (size_t i = 0; i < 3; i++) {
        c[i] = connects();
    }
    assert_int_equal(sessions_of(1), 1);
    calls(&c[0], GET("/a"));
    calls(&c[1], GET("/a"));
    UNTIL(bench.requests_len == 2);
    pass(1000);
    c[3] = connects();
    assert_turned_away(&c[3]);
    assert_ended(&c[2]);
    assert_int_equal(sessions_of(0), 2);
    assert_int_equal(sessions_of(1), 0);
    close(c[0].fd);
    close(c[1].fd);
    close(c[3].fd);
}

/* --- the end ----------------------------------------------------------- */

static void
who_is_queued_when_a_drain_begins_is_answered(void **state)
{
    struct caller a, b;

    (void)state;
    given_front((struct front_opts){0});
    a = queued_from("127.0.0.1");
    front_say_close(bench.side->front);
    front_drain(bench.side->front);
    assert_int_equal(connections(), 1);
    b.fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(b.fd, &bound.u.any, bound.len), -1);
    close(b.fd);
    assert_served(&a);
    goes(&a, 0);
    assert_int_equal(bench.side->empties, 1);
}

/* Its worker drains already. */
static void
who_is_handed_over_in_a_drain_is_answered(void **state)
{
    struct caller c[3];

    (void)state;
    given_front((struct front_opts){.workers = 2});
    front_say_close(bench.sides[1].front);
    front_drain(bench.sides[1].front);
    assert_int_equal(bench.sides[1].empties, 0);
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        c[i] = connects();
    }
    assert_int_equal(sessions_of(1), 1);
    assert_served(&c[2]);
    close(c[2].fd);
    UNTIL(bench.sides[1].empties == 1);
    close(c[0].fd);
    close(c[1].fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ACCEPT_TEST(who_connects_is_served_and_counted),
        ACCEPT_TEST(who_asks_is_told_from_who_is_idle),
        ACCEPT_TEST(beyond_connections_max_one_is_turned_away),
        ACCEPT_TEST(an_address_has_so_many),
        ACCEPT_TEST(files_are_kept_back),
        ACCEPT_TEST(who_is_idle_makes_room),
        ACCEPT_TEST(who_lingers_makes_room_when_none_is_idle),
        ACCEPT_TEST(when_files_run_out_one_makes_room),
        ACCEPT_TEST(who_is_turned_away_is_heard_out),
        ACCEPT_TEST(so_many_are_heard_out_at_most),
        ACCEPT_TEST(who_is_turned_away_is_told_of),
        ACCEPT_TEST(who_has_more_than_its_share_hands_over),
        ACCEPT_TEST(at_the_end_each_keeps_what_it_has_accepted),
        ACCEPT_TEST(another_worker_makes_room),
        ACCEPT_TEST(who_is_queued_when_a_drain_begins_is_answered),
        ACCEPT_TEST(who_is_handed_over_in_a_drain_is_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
