/*
 * Which address is dialled, for how long, and what follows (connect.c). No
 * dial of these goes anywhere: the test says how each ends, and when. The
 * addresses are those of a name, of which no look-up tells.
 */
#include "test_origin_peer.h"

#include "../support/clock_advance.h"
#include "origin/exchange_inside.h"
#include "server/server_inside.h"

#include <fcntl.h>

enum {
    CONNECT_MS = 4000,
};

#define RESTING "nearside_origin_addresses_resting{origin=\"api\"} "
#define ERRORS(cause)                                                          \
    "nearside_origin_errors_total{origin=\"api\",cause=\"" cause "\"} "

/* ---- dials -------------------------------------------------------------- */

static struct {
    unsigned count;
    struct dial *dial; /* the last one; NULL: it has ended */
    char to[ADDRESS_TEXT_MAX];
    int64_t timeout_ms;
} dialled;

void
dial_start(struct dial *dial, struct loop *loop, const struct address *to,
    const struct dial_opts *opts)
{
    assert_null(dialled.dial);
    assert_non_null(loop);
    dialled.count++;
    dialled.dial = dial;
    dialled.timeout_ms = opts->timeout_ms;
    address_text(to, dialled.to);
}

void
dial_cancel(struct dial *dial)
{
    if (dialled.dial == dial) {
        dialled.dial = NULL;
    }
}

/* The one under way goes there, for so long. */
static void
dials(const char *to, int64_t timeout_ms)
{
    assert_non_null(dialled.dial);
    assert_string_equal(dialled.to, to);
    assert_int_equal(dialled.timeout_ms, timeout_ms);
}

static void
later(struct rig *rig, int64_t ms)
{
    clock_advance((struct clock *)(uintptr_t)loop_clock(rig->loop), ms);
}

static void
on_bell(void *ctx)
{
    *(bool *)ctx = true;
}

/* The same; what was due by then is done. */
static void
later_seen(struct rig *rig, int64_t ms)
{
    struct loop_timer bell;
    bool is_rung = false;

    loop_timer_init(&bell, rig->loop, on_bell, &is_rung);
    loop_timer_arm(&bell, loop_now_ms(rig->loop) + 1);
    later(rig, ms);
    rig_until(rig, is_rung);
    rig_turns(rig, 2);
}

/* It ends so, that much later. */
static void
ends(struct rig *rig, enum rc rc, int64_t after_ms, struct conn *own_conn)
{
    struct dial *dial = dialled.dial;

    assert_non_null(dial);
    dialled.dial = NULL;
    later(rig, after_ms);
    dial->on_done(dial->ctx, rc, own_conn);
}

/* ---- the rig ------------------------------------------------------------ */

/* "127.0.0.1 127.0.0.2" are the name's from now on. */
static void
name_has(struct rig *rig, const char *hosts)
{
    struct origin_server *server = rig->group->server;
    struct origin_addresses *before = server->addresses;
    struct address items[ADDRESSES_MAX];
    struct addresses *found;
    struct slice rest = slice_of_str(hosts);
    unsigned count = 0;

    while (rest.len > 0) {
        ptrdiff_t end = slice_find(rest, ' ');
        size_t len = end < 0 ? rest.len : (size_t)end;

        assert_int_equal(
            address_of(slice_of(rest.ptr, len), 0, &items[count++]), RC_OK);
        rest = slice_skip(rest, end < 0 ? len : len + 1);
    }
    found = addresses_new(items, count);
    server->addresses = origin_addresses_new(found, 80, before);
    addresses_unref(&found);
    origin_addresses_unref(&before);
}

/* No look-up is to be waited for. */
static void
no_hope(struct rig *rig)
{
    rig->group->server->lookup.began_ms = INT64_MAX;
}

/* One is under way that began now. */
static void
hope(struct rig *rig)
{
    rig->group->server->lookup.is_under_way = true;
    rig->group->server->lookup.began_ms = loop_now_ms(rig->loop);
}

/* What a worker's pool is told when it has ended. */
static void
look_up_ends(struct rig *rig)
{
    struct origin_server *server = rig->group->server;

    server->lookup.is_under_way = false;
    no_hope(rig);
    server_lock(server);
    server_tell(server);
    server_unlock(server);
    rig_turns(rig, 2);
}

/* The test has the time. */
static void
stop_clock(struct rig *rig)
{
    ((struct clock *)(uintptr_t)loop_clock(rig->loop))->is_manual = true;
}

static void
up(struct rig *rig, const char *server, const char *hosts)
{
    *rig = (struct rig){0};
    memset(&dialled, 0, sizeof(dialled));
    snprintf(rig->server, sizeof(rig->server), "%s", server);
    rig_open(rig, (struct origin_opts){.connect_timeout_ms = CONNECT_MS});
    stop_clock(rig);
    if (hosts != NULL) {
        name_has(rig, hosts);
        origin_names_refresh(rig->pool);
        rig->pool->names.turn = 0;
    }
    no_hope(rig);
}

static void
named_up(struct rig *rig, const char *hosts)
{
    up(rig, "http://api.test", hosts);
}

/* It has failed so, and nothing is dialled any more. */
static void
failed(struct rig *rig, struct got *got, enum origin_error error)
{
    rig_turns(rig, 2);
    assert_int_equal(got->error, error);
    assert_null(dialled.dial);
    assert_int_equal(origin_group_connections(rig->group), 0);
}

/* ---- whom, and for how long --------------------------------------------- */

static void
a_fixed_address_has_all_the_time(void **state)
{
    struct got got = {0};
    struct rig rig;

    (void)state;
    up(&rig, "http://127.0.0.1:80", NULL);
    got_get(&rig, &got);
    dials("127.0.0.1:80", CONNECT_MS);
    ends(&rig, RC_TIMEOUT, CONNECT_MS, NULL);
    failed(&rig, &got, ORIGIN_ERROR_CONNECT_TIMEOUT);
    assert_int_equal(rig_metric(&rig, ERRORS("connect_timeout")), 1);
    rig_stop(&rig);
}

/* One share more is kept for what a look-up may bring; nothing came, and so
   those who took too long have what is left. */
static void
each_address_has_its_share_of_the_time(void **state)
{
    struct got got = {0};
    struct rig rig;

    (void)state;
    named_up(&rig, "127.0.0.1 127.0.0.2 127.0.0.3");
    got_get(&rig, &got);
    dials("127.0.0.1:80", 1000);
    ends(&rig, RC_TIMEOUT, 1000, NULL);
    dials("127.0.0.2:80", 1000);
    ends(&rig, RC_TIMEOUT, 1000, NULL);
    dials("127.0.0.3:80", 1000);
    ends(&rig, RC_TIMEOUT, 900, NULL);
    dials("127.0.0.1:80", 366);
    ends(&rig, RC_TIMEOUT, 366, NULL);
    dials("127.0.0.2:80", 367);
    ends(&rig, RC_TIMEOUT, 367, NULL);
    dials("127.0.0.3:80", 367);
    ends(&rig, RC_TIMEOUT, 366, NULL);
    failed(&rig, &got, ORIGIN_ERROR_CONNECT_TIMEOUT);
    assert_int_equal(rig_metric(&rig, ERRORS("connect_timeout")), 1);
    rig_stop(&rig);
}

static void
a_share_is_not_shorter_than_a_dial_may_take(void **state)
{
    struct got got = {0};
    struct rig rig;

    (void)state;
    named_up(&rig, "127.0.0.1 127.0.0.2 127.0.0.3");
    got_get(&rig, &got);
    ends(&rig, RC_TIMEOUT, CONNECT_MS - 749, NULL);
    dials("127.0.0.2:80", 250); /* not 749 / 3 */
    ends(&rig, RC_TIMEOUT, 500, NULL);
    dials("127.0.0.3:80", 249); /* there is no more */
    ends(&rig, RC_TIMEOUT, 248, NULL);
    for (unsigned i = 1; i <= 3; i++) { /* a try each */
        char to[32];

        snprintf(to, sizeof(to), "127.0.0.%u:80", i);
        dials(to, 1);
        ends(&rig, RC_TIMEOUT, 1, NULL);
    }
    failed(&rig, &got, ORIGIN_ERROR_CONNECT_TIMEOUT);
    rig_stop(&rig);
}

/* Whoever has refused is not asked again; who took too long is, while there is
   time. */
static void
only_who_took_too_long_is_dialled_again(void **state)
{
    struct got got = {0};
    struct rig rig;

    (void)state;
    named_up(&rig, "127.0.0.1 127.0.0.2 127.0.0.3");
    got_get(&rig, &got);
    ends(&rig, RC_REFUSED, 0, NULL);
    ends(&rig, RC_TIMEOUT, 1000, NULL);
    dials("127.0.0.3:80", 1500);
    ends(&rig, RC_IO, 0, NULL);
    dials("127.0.0.2:80", 3000);
    ends(&rig, RC_TIMEOUT, 1000, NULL);
    failed(&rig, &got, ORIGIN_ERROR_CONNECT_TIMEOUT);
    assert_int_equal(dialled.count, 4);
    rig_stop(&rig);
}

static void
who_has_refused_is_not_dialled_again(void **state)
{
    struct got got = {0};
    struct rig rig;

    (void)state;
    named_up(&rig, "127.0.0.1 127.0.0.2");
    got_get(&rig, &got);
    dials("127.0.0.1:80", CONNECT_MS / 3);
    ends(&rig, RC_IO, 0, NULL);
    dials("127.0.0.2:80", CONNECT_MS / 2);
    ends(&rig, RC_REFUSED, 0, NULL);
    failed(&rig, &got, ORIGIN_ERROR_REFUSED);
    assert_int_equal(dialled.count, 2);
    assert_int_equal(rig_metric(&rig, ERRORS("refused")), 1);
    rig_stop(&rig);
}

static void
without_time_there_is_no_second_round(void **state)
{
    struct got got = {0};
    struct rig rig;

    (void)state;
    named_up(&rig, "127.0.0.1 127.0.0.2");
    got_get(&rig, &got);
    ends(&rig, RC_TIMEOUT, 1000, NULL);
    ends(&rig, RC_TIMEOUT, CONNECT_MS - 1000, NULL);
    failed(&rig, &got, ORIGIN_ERROR_CONNECT_TIMEOUT);
    assert_int_equal(dialled.count, 2);
    rig_stop(&rig);
}

/* ---- what rests --------------------------------------------------------- */

static void
only_what_is_of_the_address_goes_on_to_the_next(void **state)
{
    static const struct {
        enum rc rc;
        enum origin_error error;
        bool goes_on;
    } rows[] = {
        {RC_REFUSED, ORIGIN_ERROR_REFUSED, true},
        {RC_TIMEOUT, ORIGIN_ERROR_CONNECT_TIMEOUT, true},
        {RC_IO, ORIGIN_ERROR_CONNECT, true},
        {RC_NOMEM, ORIGIN_ERROR_NOMEM, false},
        {RC_LIMIT, ORIGIN_ERROR_LIMIT, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct got got = {0};
        struct rig rig;

        named_up(&rig, "127.0.0.1 127.0.0.2");
        got_get(&rig, &got);
        ends(&rig, rows[i].rc, 10, NULL);
        assert_int_equal(rig_metric(&rig, RESTING), rows[i].goes_on);
        assert_int_equal(dialled.count, rows[i].goes_on ? 2 : 1);
        if (rows[i].goes_on) {
            ends(&rig, rows[i].rc, CONNECT_MS, NULL);
        }
        failed(&rig, &got, rows[i].error);
        rig_stop(&rig);
    }
}

/* The pool's log; the file is read when it is closed. */
static struct log *
logged_up(struct rig *rig, char *path, const char *server, const char *hosts)
{
    const struct log_opts opts = {
        .events = {.target = LOG_TARGET_FILE, .path = path},
        .access = {.target = LOG_TARGET_NONE},
        .level = LOG_LEVEL_INFO,
        .rate_max = 20,
    };
    struct log *log;

    close(mkstemp(path));
    assert_int_equal(log_open(&opts, &log, NULL), RC_OK);
    up(rig, server, hosts);
    rig->pool->ring = log_ring_new(log);
    return log;
}

static void
log_has(struct log *log, const char *path, const char *part, bool is_told)
{
    char text[4096] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    log_close(&log);
    assert_true(read(fd, text, sizeof(text) - 1) >= 0);
    close(fd);
    unlink(path);
    assert_int_equal(strstr(text, part) != NULL, is_told);
}

static void
of_several_the_log_hears_which_one_rests(void **state)
{
    char path[] = "/tmp/nearside-log-XXXXXX";
    struct got got = {0};
    struct log *log;
    struct rig rig;

    (void)state;
    log = logged_up(&rig, path, "http://api.test", "127.0.0.1 127.0.0.2");
    got_get(&rig, &got);
    ends(&rig, RC_REFUSED, 0, NULL);
    ends(&rig, RC_REFUSED, 0, NULL);
    failed(&rig, &got, ORIGIN_ERROR_REFUSED);
    rig_stop(&rig);
    log_has(log, path,
        " warn origin_address_rests origin=\"api\" "
        "address=\"127.0.0.1:80\" cause=\"connection refused\"\n",
        true);
}

/* Of the only one it hears that requests fail. */
static void
that_the_only_one_rests_is_not_told(void **state)
{
    char path[] = "/tmp/nearside-log-XXXXXX";
    struct got got = {0};
    struct log *log;
    struct rig rig;

    (void)state;
    log = logged_up(&rig, path, "http://api.test", "127.0.0.1");
    got_get(&rig, &got);
    ends(&rig, RC_REFUSED, 0, NULL);
    failed(&rig, &got, ORIGIN_ERROR_REFUSED);
    rig_stop(&rig);
    log_has(log, path, "origin_address_rests", false);
}

static const struct conn_callbacks no_events;

static void
who_is_reached_rests_no_more(void **state)
{
    struct got got = {0};
    struct conn *conn;
    struct rig rig;
    int fds[2];

    (void)state;
    named_up(&rig, "127.0.0.1");
    got_get(&rig, &got);
    ends(&rig, RC_REFUSED, 0, NULL);
    failed(&rig, &got, ORIGIN_ERROR_REFUSED);
    assert_int_equal(rig_metric(&rig, RESTING), 1);
    got = (struct got){0};
    got_get(&rig, &got);
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    conn = conn_new(rig.loop, fds[0], &no_events, NULL);
    ends(&rig, RC_OK, 10, conn);
    assert_int_equal(rig_metric(&rig, RESTING), 0);
    assert_int_equal(origin_group_connections(rig.group), 1);
    peer_answer(&rig, fds[1], &got);
    assert_true(got.is_ended);
    close(fds[1]);
    rig_stop(&rig);
}

/* ---- names that change -------------------------------------------------- */

/* The one that was dialled has another place in the new set. */
static void
what_a_look_up_has_brought_is_dialled_too(void **state)
{
    struct got got = {0};
    struct rig rig;

    (void)state;
    named_up(&rig, "127.0.0.1 127.0.0.2");
    got_get(&rig, &got);
    name_has(&rig, "127.0.0.3 127.0.0.2 127.0.0.4");
    ends(&rig, RC_REFUSED, 0, NULL);
    dials("127.0.0.2:80", CONNECT_MS / 2);
    ends(&rig, RC_TIMEOUT, 1000, NULL);
    dials("127.0.0.4:80", 1000); /* 3000 ms: 2 new ones, and one share more */
    ends(&rig, RC_REFUSED, 0, NULL);
    dials("127.0.0.3:80", 1500);
    ends(&rig, RC_REFUSED, 0, NULL);
    dials("127.0.0.2:80", 3000);
    ends(&rig, RC_TIMEOUT, 3000, NULL);
    failed(&rig, &got, ORIGIN_ERROR_CONNECT_TIMEOUT);
    assert_int_equal(dialled.count, 5);
    rig_stop(&rig);
}

static void
a_look_up_under_way_is_waited_for(void **state)
{
    struct got got = {0};
    struct rig rig;

    (void)state;
    named_up(&rig, "127.0.0.1");
    hope(&rig);
    got_get(&rig, &got);
    dials("127.0.0.1:80", CONNECT_MS / 2);
    ends(&rig, RC_REFUSED, 100, NULL);
    assert_null(dialled.dial);
    rig_turns(&rig, 2);
    assert_false(got_over(&got));
    name_has(&rig, "127.0.0.1 127.0.0.2");
    look_up_ends(&rig);
    dials("127.0.0.2:80", (CONNECT_MS - 100) / 2);
    ends(&rig, RC_REFUSED, 0, NULL);
    failed(&rig, &got, ORIGIN_ERROR_REFUSED);
    rig_stop(&rig);
}

/* It is what has failed so far that is told. */
static void
a_look_up_is_waited_for_as_long_as_may_be_dialled(void **state)
{
    struct got got = {0};
    struct rig rig;

    (void)state;
    named_up(&rig, "127.0.0.1");
    got_get(&rig, &got);
    later(&rig, 1000);
    hope(&rig); /* its patience would be longer */
    ends(&rig, RC_REFUSED, 100, NULL);
    assert_int_equal(got.x->names_until_ms, got.x->connect_until_ms);
    later_seen(&rig, 2890);
    assert_false(got_over(&got));
    later_seen(&rig, 20);
    failed(&rig, &got, ORIGIN_ERROR_REFUSED);
    rig_stop(&rig);
}

static void
without_any_address_and_hope_it_is_the_name(void **state)
{
    struct got got = {0};
    struct rig rig;

    (void)state;
    named_up(&rig, NULL);
    got_get(&rig, &got);
    assert_false(got_over(&got)); /* it is told later */
    failed(&rig, &got, ORIGIN_ERROR_DNS);
    got = (struct got){0};
    hope(&rig);
    got_get(&rig, &got);
    rig_turns(&rig, 2);
    assert_false(got_over(&got));
    look_up_ends(&rig);
    failed(&rig, &got, ORIGIN_ERROR_DNS);
    assert_int_equal(dialled.count, 0);
    assert_int_equal(rig_metric(&rig, ERRORS("dns")), 2);
    rig_stop(&rig);
}

/* What another worker has found meanwhile does for this one too. */
static void
what_is_known_by_now_is_looked_at_before_it_fails(void **state)
{
    struct got got = {0};
    struct rig rig;

    (void)state;
    named_up(&rig, NULL);
    name_has(&rig, "127.0.0.7");
    got_get(&rig, &got);
    dials("127.0.0.7:80", CONNECT_MS / 2);
    ends(&rig, RC_REFUSED, 0, NULL);
    failed(&rig, &got, ORIGIN_ERROR_REFUSED);
    rig_stop(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fixed_address_has_all_the_time),
        cmocka_unit_test(each_address_has_its_share_of_the_time),
        cmocka_unit_test(a_share_is_not_shorter_than_a_dial_may_take),
        cmocka_unit_test(only_who_took_too_long_is_dialled_again),
        cmocka_unit_test(who_has_refused_is_not_dialled_again),
        cmocka_unit_test(without_time_there_is_no_second_round),
        cmocka_unit_test(only_what_is_of_the_address_goes_on_to_the_next),
        cmocka_unit_test(of_several_the_log_hears_which_one_rests),
        cmocka_unit_test(that_the_only_one_rests_is_not_told),
        cmocka_unit_test(who_is_reached_rests_no_more),
        cmocka_unit_test(what_a_look_up_has_brought_is_dialled_too),
        cmocka_unit_test(a_look_up_under_way_is_waited_for),
        cmocka_unit_test(a_look_up_is_waited_for_as_long_as_may_be_dialled),
        cmocka_unit_test(without_any_address_and_hope_it_is_the_name),
        cmocka_unit_test(what_is_known_by_now_is_looked_at_before_it_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
