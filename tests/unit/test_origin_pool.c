/* Connections (conns.c, connect.c, names.c): reuse, death while idle, the one
   retry, limits, addresses. */
#include "test_origin_peer.h"

#include "names_given.h"
#include "origin/exchange_inside.h"
#include "server/server_inside.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/resource.h>

enum {
    HOUR_MS = 3600 * 1000,
};

#define RETRIES     "nearside_origin_retries_total{origin=\"api\"} "
#define CONNECTIONS "nearside_origin_connections{origin=\"api\"} "

/* One request answered; returns the connection, which is idle now. */
static int
idle_connection(struct rig *rig)
{
    struct got got = {0};
    int fd = peer_asked(rig, &got);

    peer_answer(rig, fd, &got);
    assert_true(got.is_ended);
    return fd;
}

/* A request that finds a fresh connection and is answered there. */
static void
answered_on_fresh_connection(struct rig *rig, struct got *got)
{
    int fd = peer_accept(rig);

    peer_read_head(rig, fd);
    peer_answer(rig, fd, got);
    assert_true(got->is_ended);
    assert_int_equal(got->status, 200);
    close(fd);
}

/* --- idle connections -------------------------------------------------- */

static void
byte_on_idle_connection_kills_it(void **state)
{
    struct rig *rig = *state;
    struct got got = {0};
    int fd = idle_connection(rig);

    assert_int_equal(origin_group_connections(rig->group), 1);
    peer_say(rig, fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    rig_until(rig, origin_group_connections(rig->group) == 0);
    assert_true(peer_is_closed(fd));
    got_get(rig, &got);
    answered_on_fresh_connection(rig, &got);
    assert_int_equal(got.body_len, 0);
    close(fd);
}

static void
end_of_idle_connection_closes_it(void **state)
{
    struct rig *rig = *state;
    int fd = idle_connection(rig);

    close(fd);
    rig_until(rig, origin_group_connections(rig->group) == 0);
}

/* A task that starts a request inside a turn, before the connection's own
   event of that turn is looked at. */
struct starter {
    struct loop_message message;
    struct rig *rig;
    struct got *got;
    struct exchange_request request;
};

static void
on_starter(void *ctx)
{
    struct starter *s = ctx;

    got_start(s->rig, s->got, &s->request);
}

/* The wake-up stands before the connection in the kernel's ready list: it
   becomes ready first, once the list has forgotten what was ready before. */
static void
start_before_event(struct rig *rig, struct starter *s, struct got *got)
{
    rig_turns(rig, 2);
    s->rig = rig;
    s->got = got;
    loop_message_init(&s->message, on_starter, s);
    assert_true(loop_post(rig->loop, &s->message));
}

static void
bytes_that_came_before_a_request_never_answer_it(void **state)
{
    const char *evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    struct rig *rig = *state;
    struct got got = {0};
    struct starter s = {.request = request_get()};
    int fd = idle_connection(rig);

    start_before_event(rig, &s, &got);
    assert_int_equal(send(fd, evil, strlen(evil), 0), strlen(evil));
    answered_on_fresh_connection(rig, &got);
    assert_int_equal(got.body_len, 0);
    assert_int_equal(rig_metric(rig, RETRIES), 1);
    close(fd);
}

static void
unrepeatable_request_is_not_sent_on_a_connection_with_bytes(void **state)
{
    struct rig *rig = *state;
    struct got got = {0};
    struct starter s = {.request = request_post(FRAMING_NONE, 0)};
    int fd = idle_connection(rig);

    start_before_event(rig, &s, &got);
    assert_int_equal(send(fd, "x", 1, 0), 1);
    answered_on_fresh_connection(rig, &got);
    assert_true(peer_is_closed(fd));
    close(fd);
}

static void
bytes_on_a_fresh_connection_before_the_request_drop_it(void **state)
{
    struct rig *rig = *state;
    struct got got = {0};
    int fd;

    got_get(rig, &got);
    fd = accept(rig->listen_fd, NULL, NULL);
    assert_true(fd >= 0);
    assert_int_equal(send(fd, "220 hello\r\n", 11, 0), 11);
    answered_on_fresh_connection(rig, &got);
    assert_true(peer_is_closed(fd));
    close(fd);
}

static void
origin_that_always_speaks_first_is_an_error(void **state)
{
    struct rig *rig = *state;
    struct got got = {0};

    got_get(rig, &got);
    for (int i = 0; i < 2; i++) {
        int fd = peer_accept(rig);
        /* No turn between accept and this: the pool has not sent yet. */
        assert_int_equal(send(fd, "220 hello\r\n", 11, 0), 11);
        close(fd);
    }
    got_fails(rig, &got, ORIGIN_ERROR_CLOSED);
    assert_false(peer_is_waiting(rig));
}

static void
a_wakeup_for_nothing_ends_nothing(void **state)
{
    struct rig *rig = *state;
    struct got got = {0};
    int fd = peer_asked(rig, &got);

    exchange_on_readable(got.x);
    assert_false(got_over(&got));
    peer_answer(rig, fd, &got);
    assert_true(got.is_ended);
    close(fd);
}

static void
connection_used_last_is_taken_first(void **state)
{
    struct rig *rig = *state;
    struct got a = {0};
    struct got b = {0};
    struct got c = {0};
    int fd_a;
    int fd_b;

    got_get(rig, &a);
    fd_a = peer_accept(rig);
    got_get(rig, &b);
    fd_b = peer_accept(rig);
    peer_read_head(rig, fd_a);
    peer_read_head(rig, fd_b);
    peer_answer(rig, fd_b, &b);
    peer_answer(rig, fd_a, &a);
    got_get(rig, &c);
    peer_read_head(rig, fd_a);
    peer_answer(rig, fd_a, &c);
    close(fd_a);
    close(fd_b);
}

static void
idle_connections_above_idle_max_are_closed(void **state)
{
    enum {
        COUNT = 5,
        KEPT = 2,
    };
    struct rig rig;
    struct got got[COUNT] = {0};
    int fds[COUNT];

    (void)state;
    rig_start(&rig, (struct origin_opts){.idle_max = KEPT});
    for (size_t i = 0; i < COUNT; i++) {
        fds[i] = peer_asked(&rig, &got[i]);
    }
    assert_int_equal(origin_group_connections(rig.group), COUNT);
    assert_int_equal(origin_group_in_flight(rig.group), COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        peer_answer(&rig, fds[i], &got[i]);
    }
    assert_int_equal(origin_group_connections(rig.group), KEPT);
    for (size_t i = 0; i < COUNT; i++) {
        close(fds[i]);
    }
    rig_stop(&rig);
}

static void
idle_connection_is_closed_after_the_idle_timeout(void **state)
{
    struct rig rig;
    int fd;

    (void)state;
    rig_start(&rig, (struct origin_opts){.idle_timeout_ms = 1000});
    time_stop(rig.loop);
    fd = idle_connection(&rig);
    time_pass(rig.loop, 992);
    assert_int_equal(origin_group_connections(rig.group), 1);
    time_pass(rig.loop, 16);
    assert_int_equal(origin_group_connections(rig.group), 0);
    assert_true(peer_is_closed(fd));
    assert_int_equal(rig_metric(&rig, CONNECTIONS), 0);
    close(fd);
    rig_stop(&rig);
}

/* Each for itself: the timer of the oldest ends no other. */
static void
idle_connections_have_a_timeout_each(void **state)
{
    struct got got[2] = {0};
    struct rig rig;
    int fds[2];

    (void)state;
    rig_start(&rig, (struct origin_opts){.idle_timeout_ms = 1000});
    time_stop(rig.loop);
    for (size_t i = 0; i < 2; i++) {
        fds[i] = peer_asked(&rig, &got[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        peer_answer(&rig, fds[i], &got[i]);
        time_pass(rig.loop, 600);
    }
    assert_true(peer_is_closed(fds[0]));
    assert_false(peer_is_closed(fds[1]));
    assert_int_equal(rig_metric(&rig, CONNECTIONS), 1);
    time_pass(rig.loop, 600);
    assert_true(peer_is_closed(fds[1]));
    assert_int_equal(rig_metric(&rig, CONNECTIONS), 0);
    close(fds[0]);
    close(fds[1]);
    rig_stop(&rig);
}

/* --- the retry --------------------------------------------------------- */

static void
get_is_retried_when_pooled_connection_was_closed(void **state)
{
    struct rig *rig = *state;
    struct got got = {0};
    int fd = idle_connection(rig);

    got_get(rig, &got);
    close(fd); /* with the request unread: a reset */
    answered_on_fresh_connection(rig, &got);
    assert_int_equal(rig_metric(rig, RETRIES), 1);
    assert_int_equal(
        rig_metric(rig, "nearside_origin_requests_total{origin=\"api\"} "), 2);
}

static void
get_is_retried_when_pooled_connection_ends_unanswered(void **state)
{
    struct rig *rig = *state;
    struct got got = {0};
    int fd = idle_connection(rig);

    got_get(rig, &got);
    peer_read_head(rig, fd);
    shutdown(fd, SHUT_WR);
    answered_on_fresh_connection(rig, &got);
    close(fd);
}

static void
get_is_retried_only_once_and_on_a_fresh_connection(void **state)
{
    struct rig *rig = *state;
    struct got a = {0};
    struct got b = {0};
    struct got got = {0};
    int fd_a;
    int fd_b;
    int fd_c;

    got_get(rig, &a);
    fd_a = peer_accept(rig);
    got_get(rig, &b);
    fd_b = peer_accept(rig);
    peer_read_head(rig, fd_a);
    peer_read_head(rig, fd_b);
    peer_say(rig, fd_a, OK_EMPTY);
    peer_say(rig, fd_b, OK_EMPTY);
    rig_until(rig, got_over(&a) && got_over(&b));
    got_get(rig, &got); /* goes to b, a stays idle */
    peer_read_head(rig, fd_b);
    close(fd_b);
    fd_c = peer_accept(rig);
    peer_read_head(rig, fd_c);
    close(fd_c);
    got_fails(rig, &got, ORIGIN_ERROR_CLOSED);
    assert_int_equal(rig_metric(rig, RETRIES), 1);
    assert_int_equal(rig_metric(rig, "nearside_origin_errors_total{origin="
                                     "\"api\",cause=\"closed\"} "),
        1);
    close(fd_a);
}

static void
fresh_connection_closed_unanswered_is_not_retried(void **state)
{
    struct rig *rig = *state;
    struct got got = {0};
    int fd = peer_asked(rig, &got);

    close(fd);
    got_fails(rig, &got, ORIGIN_ERROR_CLOSED);
    assert_false(peer_is_waiting(rig));
}

static void
post_on_pooled_connection_is_not_retried_once_sent(void **state)
{
    struct rig *rig = *state;
    struct got got = {0};
    struct exchange_request request = request_post(FRAMING_NONE, 0);
    int fd = idle_connection(rig);

    got_start(rig, &got, &request);
    peer_read_head(rig, fd);
    close(fd);
    got_fails(rig, &got, ORIGIN_ERROR_CLOSED);
    assert_false(peer_is_waiting(rig));
    assert_int_equal(rig_metric(rig, RETRIES), 0);
}

static void
idempotent_request_with_content_is_not_retried(void **state)
{
    struct rig *rig = *state;
    struct got got = {0};
    struct exchange_request request = request_post(FRAMING_LENGTH, 2);
    size_t taken;
    int fd;

    request.is_idempotent = true;
    fd = idle_connection(rig);
    got_start(rig, &got, &request);
    exchange_send(got.x, SLICE("hi"), &taken);
    peer_read_until(rig, fd, "hi");
    close(fd);
    got_fails(rig, &got, ORIGIN_ERROR_CLOSED);
    assert_false(peer_is_waiting(rig));
}

static void
no_retry_after_the_first_byte_of_an_answer(void **state)
{
    struct rig *rig = *state;
    struct got got = {0};
    int fd = idle_connection(rig);

    got_get(rig, &got);
    peer_read_head(rig, fd);
    peer_say(rig, fd, "H");
    close(fd);
    got_fails(rig, &got, ORIGIN_ERROR_TRUNCATED);
    assert_false(peer_is_waiting(rig));
}

/* --- limits and addresses ---------------------------------------------- */

static void
connections_max_holds_and_room_returns(void **state)
{
    struct rig rig;
    struct got a = {0};
    struct got b = {0};
    int fd;

    (void)state;
    rig_start(&rig, (struct origin_opts){.connections_max = 1});
    got_get(&rig, &a);
    fd = peer_accept(&rig);
    got_get(&rig, &b);
    got_fails(&rig, &b, ORIGIN_ERROR_LIMIT);
    assert_int_equal(origin_group_connections(rig.group), 1);
    peer_read_head(&rig, fd);
    peer_say(&rig, fd, "HTTP/1.0 200 OK\r\n\r\n");
    close(fd);
    rig_until(&rig, got_over(&a));
    b = (struct got){0};
    got_get(&rig, &b);
    answered_on_fresh_connection(&rig, &b);
    rig_stop(&rig);
}

static void
connections_max_holds_over_all_pools(void **state)
{
    struct rig rig;
    struct origin_pool *mine;
    struct origin_pool *other;
    struct got a = {0};
    struct got b = {0};
    int fd;

    (void)state;
    rig_start(&rig, (struct origin_opts){.connections_max = 1});
    other = origin_pool_new(rig.group, rig.loop, NULL, NULL);
    got_get(&rig, &a);
    fd = peer_accept(&rig);
    mine = rig.pool;
    rig.pool = other;
    got_get(&rig, &b);
    got_fails(&rig, &b, ORIGIN_ERROR_LIMIT);
    rig.pool = mine;
    exchange_cancel(&a.x);
    origin_pool_free(&other);
    close(fd);
    rig_stop(&rig);
}

static void
idle_connections_leave_other_pools_their_share(void **state)
{
    struct rig rig;
    struct origin_pool *mine;
    struct origin_pool *other;
    struct got got[2] = {0};
    int fds[2];

    (void)state;
    rig_start(&rig, (struct origin_opts){.connections_max = 2});
    other = origin_pool_new(rig.group, rig.loop, NULL, NULL);
    for (size_t i = 0; i < 2; i++) {
        fds[i] = peer_asked(&rig, &got[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        peer_answer(&rig, fds[i], &got[i]);
    }
    assert_int_equal(origin_group_connections(rig.group), 1);
    mine = rig.pool;
    rig.pool = other;
    got[0] = (struct got){0};
    got_get(&rig, &got[0]);
    answered_on_fresh_connection(&rig, &got[0]);
    rig.pool = mine;
    origin_pool_free(&other);
    close(fds[0]);
    close(fds[1]);
    rig_stop(&rig);
}

struct dialling {
    const struct exchange *x;
    uint64_t tried; /* when it has failed */
};

static void
note_dials(struct got *got, const char *callback)
{
    struct dialling *d = got->extra;

    assert_string_equal(callback, "error");
    d->tried = d->x->tried;
}

static void
refused_connection_is_an_error(void **state)
{
    struct rig *rig = *state;
    struct dialling d = {0};
    struct got got = {.during = note_dials, .extra = &d};

    close(rig->listen_fd);
    rig->listen_fd = -1;
    got_get(rig, &got);
    d.x = got.x;
    got_fails(rig, &got, ORIGIN_ERROR_REFUSED);
    assert_int_equal(d.tried, 1); /* its one address */
    assert_int_equal(rig_metric(rig, "nearside_origin_errors_total{origin="
                                     "\"api\",cause=\"refused\"} "),
        1);
    assert_int_equal(origin_group_connections(rig->group), 0);
}

/* It is ours to have enough of them, and no fault of the origin's. */
static void
without_a_file_for_the_connection_a_limit_is_met(void **state)
{
    struct rlimit before, tight;
    struct rig *rig = *state;
    struct got got = {0};
    int next;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    next = dup(rig->listen_fd);
    close(next);
    tight = before;
    tight.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    got_get(rig, &got);
    rig_until(rig, got_over(&got));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(got.error, ORIGIN_ERROR_LIMIT);
    assert_int_equal(origin_group_connections(rig->group), 0);
}

static void
unix_socket_is_an_origin_like_any_other(void **state)
{
    struct rig rig = {0};
    char dir[] = "/tmp/nearside-test-XXXXXX";
    char at[64];
    int fd;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(at, sizeof(at), "unix:%s/api.sock", dir);
    rig_listen(&rig, at);
    rig_open(&rig, (struct origin_opts){0});
    fd = idle_connection(&rig);
    assert_int_equal(origin_group_connections(rig.group), 1);
    close(fd);
    rig_stop(&rig);
    unlink(at + 5);
    rmdir(dir);
}

static void
missing_unix_socket_is_an_error(void **state)
{
    struct rig rig = {.server = "unix:/nonexistent/api.sock"};
    struct got got = {0};

    (void)state;
    rig_open(&rig, (struct origin_opts){0});
    got_get(&rig, &got);
    got_fails(&rig, &got, ORIGIN_ERROR_REFUSED);
    rig_stop(&rig);
}

static void
name_is_looked_up_once_for_all_who_wait(void **state)
{
    struct rig rig = {0};
    struct address bound;
    struct got a = {0};
    struct got b = {0};
    int fds[2];

    (void)state;
    rig_listen(&rig, "127.0.0.1:0");
    assert_int_equal(address_of_socket(rig.listen_fd, &bound), RC_OK);
    snprintf(rig.server, sizeof(rig.server), "http://localhost:%u",
        (unsigned)address_port(&bound));
    rig.resolver = resolver_new();
    rig_open(&rig, (struct origin_opts){0});
    got_get(&rig, &a);
    got_get(&rig, &b);
    for (size_t i = 0; i < 2; i++) {
        /* ::1 may come first, and is refused: the next address is tried. */
        fds[i] = peer_accept(&rig);
        peer_read_head(&rig, fds[i]);
        peer_say(&rig, fds[i], OK_EMPTY);
    }
    rig_until(&rig, got_over(&a) && got_over(&b));
    assert_true(a.is_ended);
    assert_true(b.is_ended);
    close(fds[0]);
    close(fds[1]);
    rig_stop(&rig);
}

/* Only the last of the name's addresses lets anybody in. */
static void
each_address_of_a_name_is_tried_in_turn(void **state)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    const struct addrinfo *last;
    struct rig rig = {0};
    struct address bound;
    char at[INET6_ADDRSTRLEN + 8];
    char host[INET6_ADDRSTRLEN];
    int fd;

    (void)state;
    if (!names_are("127.0.0.1 localhost\n"
                   "127.0.0.3 api.test\n127.0.0.2 api.test\n")) {
        skip(); /* this needs a mount namespace */
    }
    assert_int_equal(getaddrinfo("api.test", NULL, &hints, &found), 0);
    assert_non_null(found->ai_next);
    for (last = found; last->ai_next != NULL; last = last->ai_next) {
    }
    getnameinfo(last->ai_addr, last->ai_addrlen, host, sizeof(host), NULL, 0,
        NI_NUMERICHOST);
    snprintf(at, sizeof(at), "%s:0", host);
    freeaddrinfo(found);
    rig_listen(&rig, at);
    assert_int_equal(address_of_socket(rig.listen_fd, &bound), RC_OK);
    snprintf(rig.server, sizeof(rig.server), "http://api.test:%u",
        (unsigned)address_port(&bound));
    rig.resolver = resolver_new();
    rig_open(&rig, (struct origin_opts){0});
    fd = idle_connection(&rig);
    assert_int_equal(origin_group_connections(rig.group), 1);
    close(fd);
    rig_stop(&rig);
}

/* The next lookup runs beside the requests, which use the old answer. */
static void
old_addresses_serve_while_the_name_is_looked_up_again(void **state)
{
    struct rig rig = {0};
    struct address bound;

    (void)state;
    rig_listen(&rig, "127.0.0.1:0");
    assert_int_equal(address_of_socket(rig.listen_fd, &bound), RC_OK);
    snprintf(rig.server, sizeof(rig.server), "http://localhost:%u",
        (unsigned)address_port(&bound));
    rig.resolver = resolver_new();
    rig_open(&rig, (struct origin_opts){.resolve_interval_ms = 1});
    for (int i = 0; i < 20; i++) {
        struct got got = {0};
        int fd;
        loop_turn(rig.loop, 2);
        fd = peer_asked(&rig, &got);
        peer_say(&rig, fd, "HTTP/1.0 204 No Content\r\n\r\n");
        got_ends(&rig, &got);
        close(fd);
    }
    rig_stop(&rig);
}

/* The name server takes longer than the interval between lookups. */
static void
lookup_that_takes_longer_than_its_interval_is_the_only_one(void **state)
{
    struct rig rig = {0};
    struct address bound;
    struct got got[3] = {0};
    const struct resolve *lookup = NULL;
    struct clock *clock;

    (void)state;
    rig_listen(&rig, "127.0.0.1:0");
    assert_int_equal(address_of_socket(rig.listen_fd, &bound), RC_OK);
    snprintf(rig.server, sizeof(rig.server), "http://localhost:%u",
        (unsigned)address_port(&bound));
    rig.resolver = resolver_new();
    rig_open(&rig, (struct origin_opts){.resolve_interval_ms = 1000});
    lookup = rig.group->server->lookup.resolve;
    assert_non_null(lookup);
    /* From here on no turn of the loop brings an answer. */
    clock = (struct clock *)(uintptr_t)loop_clock(rig.loop);
    clock->is_manual = true;
    for (size_t i = 0; i < ARRAY_LEN(got); i++) {
        clock_advance(clock, 1001);
        got_get(&rig, &got[i]);
        assert_ptr_equal(rig.group->server->lookup.resolve, lookup);
    }
    clock->is_manual = false;
    for (size_t i = 0; i < ARRAY_LEN(got); i++) {
        exchange_cancel(&got[i].x);
    }
    rig_until(&rig, rig.group->server->lookup.resolve == NULL);
    rig_stop(&rig);
}

/* Nobody asks for it meanwhile, since nothing fails. */
static void
origin_that_moves_is_found_after_the_resolve_interval(void **state)
{
    const char *before = "127.0.0.1 localhost\n127.0.0.2 api.test\n";
    const char *after = "127.0.0.1 localhost\n127.0.0.3 api.test\n";
    const struct server_lookup *lookup;
    struct rig rig = {0};
    struct address bound;
    int64_t due_ms;
    char text[64];

    (void)state;
    if (!names_are(before)) {
        skip(); /* this needs a mount namespace */
    }
    rig_listen(&rig, "127.0.0.2:0");
    assert_int_equal(address_of_socket(rig.listen_fd, &bound), RC_OK);
    snprintf(rig.server, sizeof(rig.server), "http://api.test:%u",
        (unsigned)address_port(&bound));
    rig.resolver = resolver_new();
    rig_open(&rig, (struct origin_opts){.resolve_interval_ms = HOUR_MS});
    lookup = &rig.group->server->lookup;
    close(idle_connection(&rig));
    rig_until(&rig, origin_group_connections(rig.group) == 0);
    time_stop(rig.loop);
    assert_true(names_are(after));
    close(rig.listen_fd);
    snprintf(
        text, sizeof(text), "127.0.0.3:%u", (unsigned)address_port(&bound));
    rig_listen(&rig, text);
    due_ms = lookup->began_ms + HOUR_MS;
    time_pass(rig.loop, due_ms - loop_now_ms(rig.loop) - 1);
    assert_true(lookup->began_ms < loop_now_ms(rig.loop) - HOUR_MS / 2);
    time_pass(rig.loop, 8);
    assert_int_equal(lookup->began_ms, loop_now_ms(rig.loop));
    rig_until(&rig, !lookup->is_under_way);
    assert_int_equal(lookup->last.counts[ORIGIN_LOOKUP_CHANGED], 2);
    close(idle_connection(&rig));
    rig_stop(&rig);
}

/* Each worker has a pool of its own, and so has what follows a reload. */
static void
new_pool_has_the_addresses_that_another_found(void **state)
{
    struct rig rig = {0};
    struct address bound;

    (void)state;
    if (!names_are("127.0.0.1 api.test\n")) {
        skip(); /* this needs a mount namespace */
    }
    rig_listen(&rig, "127.0.0.1:0");
    assert_int_equal(address_of_socket(rig.listen_fd, &bound), RC_OK);
    snprintf(rig.server, sizeof(rig.server), "http://api.test:%u",
        (unsigned)address_port(&bound));
    rig.resolver = resolver_new();
    rig_open(&rig, (struct origin_opts){0});
    close(idle_connection(&rig));
    assert_true(names_are(""));
    origin_pool_free(&rig.pool);
    rig.pool = origin_pool_new(rig.group, rig.loop, NULL, rig.block);
    assert_non_null(rig.pool);
    close(idle_connection(&rig));
    rig_stop(&rig);
}

static void
pool_may_go_right_after_a_cancel(void **state)
{
    struct rig rig;
    struct got got = {0};
    struct exchange_request request = request_post(FRAMING_CHUNKED, 0);
    int fd;

    (void)state;
    rig_start(&rig, (struct origin_opts){0});
    fd = idle_connection(&rig);
    got_start(&rig, &got, &request); /* something waits for the turn's end */
    exchange_cancel(&got.x);
    rig_stop(&rig);
    close(fd);
}

static void
name_not_found_is_an_error(void **state)
{
    struct rig rig = {.server = "http://no-such-name.invalid:80"};
    struct got got = {0};

    (void)state;
    rig.resolver = resolver_new();
    rig_open(&rig, (struct origin_opts){.connect_timeout_ms = 4000});
    got_get(&rig, &got);
    rig_until(&rig, got_over(&got));
    assert_true(
        got.error == ORIGIN_ERROR_DNS || got.error == ORIGIN_ERROR_DNS_TIMEOUT);
    rig_stop(&rig);
}

static void
lookup_under_way_may_be_cancelled(void **state)
{
    struct rig rig = {.server = "http://no-such-name.invalid:80"};
    struct got got = {0};

    (void)state;
    rig.resolver = resolver_new();
    rig_open(&rig, (struct origin_opts){0});
    got_get(&rig, &got);
    exchange_cancel(&got.x);
    rig_turns(&rig, 2);
    rig_stop(&rig); /* with the lookup still under way, perhaps */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        RIGGED(byte_on_idle_connection_kills_it),
        RIGGED(end_of_idle_connection_closes_it),
        RIGGED(bytes_that_came_before_a_request_never_answer_it),
        RIGGED(unrepeatable_request_is_not_sent_on_a_connection_with_bytes),
        RIGGED(bytes_on_a_fresh_connection_before_the_request_drop_it),
        RIGGED(origin_that_always_speaks_first_is_an_error),
        RIGGED(a_wakeup_for_nothing_ends_nothing),
        RIGGED(connection_used_last_is_taken_first),
        cmocka_unit_test(idle_connections_above_idle_max_are_closed),
        cmocka_unit_test(idle_connection_is_closed_after_the_idle_timeout),
        cmocka_unit_test(idle_connections_have_a_timeout_each),
        RIGGED(get_is_retried_when_pooled_connection_was_closed),
        RIGGED(get_is_retried_when_pooled_connection_ends_unanswered),
        RIGGED(get_is_retried_only_once_and_on_a_fresh_connection),
        RIGGED(fresh_connection_closed_unanswered_is_not_retried),
        RIGGED(post_on_pooled_connection_is_not_retried_once_sent),
        RIGGED(idempotent_request_with_content_is_not_retried),
        RIGGED(no_retry_after_the_first_byte_of_an_answer),
        cmocka_unit_test(connections_max_holds_and_room_returns),
        cmocka_unit_test(connections_max_holds_over_all_pools),
        cmocka_unit_test(idle_connections_leave_other_pools_their_share),
        RIGGED(refused_connection_is_an_error),
        RIGGED(without_a_file_for_the_connection_a_limit_is_met),
        cmocka_unit_test(unix_socket_is_an_origin_like_any_other),
        cmocka_unit_test(missing_unix_socket_is_an_error),
        cmocka_unit_test(name_is_looked_up_once_for_all_who_wait),
        cmocka_unit_test(each_address_of_a_name_is_tried_in_turn),
        cmocka_unit_test(old_addresses_serve_while_the_name_is_looked_up_again),
        cmocka_unit_test(
            lookup_that_takes_longer_than_its_interval_is_the_only_one),
        cmocka_unit_test(origin_that_moves_is_found_after_the_resolve_interval),
        cmocka_unit_test(new_pool_has_the_addresses_that_another_found),
        cmocka_unit_test(pool_may_go_right_after_a_cancel),
        cmocka_unit_test(name_not_found_is_an_error),
        cmocka_unit_test(lookup_under_way_may_be_cancelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
