/* Who waits for a connection (queue.c, wait.c): order, bounds, and
   that each place which becomes free is somebody's. */
#include "test_origin_peer.h"

#include "origin/exchange_inside.h"

#include <pthread.h>

#define OK_KEPT   "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define OK_CLOSED "HTTP/1.0 200 OK\r\n\r\n"
#define WAITING   "nearside_origin_waiting{origin=\"api\"} "
#define WAITED    "nearside_origin_queue_seconds_count{origin=\"api\"} "
#define REUSED    "nearside_origin_reused_total{origin=\"api\"} "

/* A rig with one connection, which `first` has. */
struct queued {
    struct rig rig;
    struct got first;
    int fd;
};

static void
queued_start(struct queued *q, struct origin_opts opts)
{
    *q = (struct queued){0};
    opts.connections_max = 1;
    opts.queue_max = opts.queue_max == 0 ? 10 : opts.queue_max;
    rig_start(&q->rig, opts);
    got_get(&q->rig, &q->first);
    q->fd = peer_accept(&q->rig);
    peer_read_head(&q->rig, q->fd);
}

/* Starts a request that says who it is. */
static void
wait_as(struct queued *q, struct got *got, const char *head)
{
    struct exchange_request request = request_get();

    request.head = slice_of_str(head);
    got_start(&q->rig, got, &request);
    rig_turns(&q->rig, 2);
    assert_false(got_over(got));
}

/* Answers what `got` has asked on fd, which begins with `head`. */
static void
answer(struct queued *q, int fd, struct got *got, const char *head,
    const char *text)
{
    const char *came = peer_read_head(&q->rig, fd);

    assert_memory_equal(came, head, strlen(head));
    peer_say(&q->rig, fd, text);
    if (text[7] == '0') { /* HTTP/1.0 */
        close(fd);
    }
    rig_until(&q->rig, got_over(got));
    assert_true(got->is_ended);
}

static void
end_first(struct queued *q, const char *text)
{
    peer_say(&q->rig, q->fd, text);
    if (text[7] == '0') {
        close(q->fd);
    }
    rig_until(&q->rig, got_over(&q->first));
}

/* --- order ------------------------------------------------------------- */

static void
who_waits_gets_the_kept_connection(void **state)
{
    struct queued q;
    struct got b = {0};

    (void)state;
    queued_start(&q, (struct origin_opts){0});
    wait_as(&q, &b, "GET /b HTTP/1.1\r\n");
    assert_int_equal(origin_group_waiting(q.rig.group), 1);
    assert_int_equal(rig_metric(&q.rig, WAITING), 1);
    assert_false(peer_is_waiting(&q.rig));
    end_first(&q, OK_KEPT);
    answer(&q, q.fd, &b, "GET /b ", OK_KEPT);
    assert_false(peer_is_waiting(&q.rig));
    assert_int_equal(origin_group_waiting(q.rig.group), 0);
    assert_int_equal(rig_metric(&q.rig, WAITING), 0);
    assert_int_equal(rig_metric(&q.rig, WAITED), 1);
    assert_int_equal(rig_metric(&q.rig, REUSED), 1);
    close(q.fd);
    rig_stop(&q.rig);
}

static void
who_came_first_is_served_first(void **state)
{
    struct queued q;
    struct got b = {0};
    struct got c = {0};
    struct got d = {0};
    int fd;

    (void)state;
    queued_start(&q, (struct origin_opts){0});
    wait_as(&q, &b, "GET /b HTTP/1.1\r\n");
    wait_as(&q, &c, "GET /c HTTP/1.1\r\n");
    wait_as(&q, &d, "GET /d HTTP/1.1\r\n");
    end_first(&q, OK_KEPT);
    answer(&q, q.fd, &b, "GET /b ", OK_CLOSED);
    fd = peer_accept(&q.rig);
    answer(&q, fd, &c, "GET /c ", OK_KEPT);
    answer(&q, fd, &d, "GET /d ", OK_KEPT);
    assert_int_equal(origin_group_connections(q.rig.group), 1);
    close(fd);
    rig_stop(&q.rig);
}

/* The first one's own callback asks again, while another waits. */
static void
ask_again(struct got *got, const char *callback)
{
    struct got *again = got->extra;

    if (strcmp(callback, "end") == 0) {
        got_get(got->rig, again);
    }
}

static void
a_newcomer_passes_nobody_by(void **state)
{
    struct queued q;
    struct got b = {0};
    struct got again = {0};
    int fd;

    (void)state;
    queued_start(&q, (struct origin_opts){0});
    q.first.during = ask_again;
    q.first.extra = &again;
    wait_as(&q, &b, "GET /b HTTP/1.1\r\n");
    end_first(&q, OK_CLOSED);
    fd = peer_accept(&q.rig);
    answer(&q, fd, &b, "GET /b ", OK_KEPT);
    answer(&q, fd, &again, "GET /a ", OK_KEPT);
    close(fd);
    rig_stop(&q.rig);
}

/* Another worker has counted it down, and has not looked yet who waits. */
static void
a_place_that_is_given_back_meanwhile_is_the_first_ones(void **state)
{
    struct rig rig;
    struct got b = {0};
    struct got c = {0};
    int fd;

    (void)state;
    rig_start(
        &rig, (struct origin_opts){.connections_max = 1, .queue_max = 10});
    atomic_store(&rig.group->connections, 1);
    got_get(&rig, &b);
    assert_int_equal(origin_group_waiting(rig.group), 1);
    atomic_store(&rig.group->connections, 0);
    got_get(&rig, &c);
    assert_int_equal(origin_group_waiting(rig.group), 1);
    assert_int_equal(origin_group_connections(rig.group), 1);
    fd = peer_accept(&rig);
    peer_read_head(&rig, fd);
    peer_say(&rig, fd, OK_KEPT);
    rig_until(&rig, got_over(&b));
    assert_false(got_over(&c));
    peer_read_head(&rig, fd);
    peer_say(&rig, fd, OK_KEPT);
    rig_until(&rig, got_over(&c));
    close(fd);
    rig_stop(&rig);
}

/* --- bounds ------------------------------------------------------------ */

static void
a_full_queue_takes_nobody(void **state)
{
    struct queued q;
    struct got b = {0};
    struct got c = {0};

    (void)state;
    queued_start(&q, (struct origin_opts){.queue_max = 1});
    wait_as(&q, &b, "GET /b HTTP/1.1\r\n");
    got_get(&q.rig, &c);
    rig_until(&q.rig, got_over(&c));
    assert_int_equal(c.error, ORIGIN_ERROR_QUEUE_FULL);
    assert_false(got_over(&b));
    exchange_cancel(&b.x);
    exchange_cancel(&q.first.x);
    close(q.fd);
    rig_stop(&q.rig);
}

static void
a_wait_ends_after_queue_timeout(void **state)
{
    struct queued q;
    struct got b = {0};

    (void)state;
    queued_start(&q, (struct origin_opts){.queue_timeout_ms = 20});
    got_get(&q.rig, &b);
    rig_until(&q.rig, got_over(&b));
    assert_int_equal(b.error, ORIGIN_ERROR_QUEUE_TIMEOUT);
    assert_int_equal(origin_group_waiting(q.rig.group), 0);
    assert_int_equal(rig_metric(&q.rig, WAITED), 1);
    assert_int_equal(rig_metric(&q.rig, "nearside_origin_errors_total{origin="
                                        "\"api\",cause=\"queue_timeout\"} "),
        1);
    end_first(&q, OK_KEPT);
    assert_int_equal(origin_group_connections(q.rig.group), 1);
    close(q.fd);
    rig_stop(&q.rig);
}

static void
nobody_waits_in_the_background(void **state)
{
    struct exchange_request request = request_get();
    struct queued q;
    struct got b = {0};

    (void)state;
    request.is_background = true;
    queued_start(&q, (struct origin_opts){0});
    got_start(&q.rig, &b, &request);
    rig_until(&q.rig, got_over(&b));
    assert_int_equal(b.error, ORIGIN_ERROR_LIMIT);
    end_first(&q, OK_KEPT);
    b = (struct got){0};
    got_start(&q.rig, &b, &request); /* the kept one is free */
    answer(&q, q.fd, &b, "GET /a ", OK_KEPT);
    close(q.fd);
    rig_stop(&q.rig);
}

/* --- who leaves -------------------------------------------------------- */

static void
who_leaves_costs_nobody_a_turn(void **state)
{
    struct queued q;
    struct got b = {0};
    struct got c = {0};

    (void)state;
    queued_start(&q, (struct origin_opts){0});
    wait_as(&q, &b, "GET /b HTTP/1.1\r\n");
    wait_as(&q, &c, "GET /c HTTP/1.1\r\n");
    exchange_cancel(&b.x);
    assert_int_equal(origin_group_waiting(q.rig.group), 1);
    assert_int_equal(rig_metric(&q.rig, WAITING), 1);
    end_first(&q, OK_KEPT);
    answer(&q, q.fd, &c, "GET /c ", OK_KEPT);
    assert_int_equal(b.heads, 0);
    close(q.fd);
    rig_stop(&q.rig);
}

static void
cancel_other(struct got *got, const char *callback)
{
    struct got *other = got->extra;

    if (strcmp(callback, "end") == 0) {
        exchange_cancel(&other->x);
    }
}

/* Its place is given to it, and it goes before it hears of that. */
static void
the_place_of_who_leaves_is_the_next_ones(void **state)
{
    struct queued q;
    struct got b = {0};
    struct got c = {0};
    int fd;

    (void)state;
    queued_start(&q, (struct origin_opts){0});
    q.first.during = cancel_other;
    q.first.extra = &b;
    wait_as(&q, &b, "GET /b HTTP/1.1\r\n");
    wait_as(&q, &c, "GET /c HTTP/1.1\r\n");
    end_first(&q, OK_CLOSED);
    fd = peer_accept(&q.rig);
    answer(&q, fd, &c, "GET /c ", OK_KEPT);
    assert_int_equal(origin_group_connections(q.rig.group), 1);
    close(fd);
    rig_stop(&q.rig);
}

/* With its place given to it, and nobody else there to take it. */
static void
a_pool_may_go_while_its_bell_rings(void **state)
{
    struct queued q;
    struct got b = {0};

    (void)state;
    queued_start(&q, (struct origin_opts){0});
    wait_as(&q, &b, "GET /b HTTP/1.1\r\n");
    exchange_cancel(&q.first.x);
    exchange_cancel(&b.x);
    close(q.fd);
    rig_stop(&q.rig);
}

/* --- what gives a place back ------------------------------------------- */

static void
a_dial_that_fails_gives_its_place_to_the_next(void **state)
{
    struct origin_server_status status;
    struct rig rig;
    struct got a = {0};
    struct got b = {0};

    (void)state;
    rig_start(&rig, (struct origin_opts){.connections_max = 1, .queue_max = 1});
    close(rig.listen_fd);
    rig.listen_fd = -1;
    got_get(&rig, &a);
    got_get(&rig, &b);
    assert_int_equal(origin_group_waiting(rig.group), 1);
    rig_until(&rig, got_over(&a) && got_over(&b));
    assert_int_equal(a.error, ORIGIN_ERROR_REFUSED);
    assert_int_equal(b.error, ORIGIN_ERROR_REFUSED);
    assert_int_equal(origin_group_connections(rig.group), 0);
    /* Others dial it last. */
    origin_group_status(rig.group, loop_now_ms(rig.loop), &status);
    assert_true(status.addresses[0].rests_ms > 0);
    rig_stop(&rig);
}

static void
a_connection_that_is_cut_gives_its_place_to_the_next(void **state)
{
    struct queued q;
    struct got b = {0};
    int fd;

    (void)state;
    queued_start(&q, (struct origin_opts){0});
    wait_as(&q, &b, "GET /b HTTP/1.1\r\n");
    exchange_cancel(&q.first.x);
    fd = peer_accept(&q.rig);
    answer(&q, fd, &b, "GET /b ", OK_KEPT);
    close(fd);
    close(q.fd);
    rig_stop(&q.rig);
}

/* A kept connection that turns out dead is replaced, and nobody gets in. */
static void
who_has_had_its_turn_does_not_stand_in_line_again(void **state)
{
    struct queued q;
    struct got b = {0};
    struct got c = {0};
    int fd;

    (void)state;
    queued_start(&q, (struct origin_opts){0});
    wait_as(&q, &b, "GET /b HTTP/1.1\r\n");
    wait_as(&q, &c, "GET /c HTTP/1.1\r\n");
    end_first(&q, OK_KEPT);
    peer_read_head(&q.rig, q.fd);
    close(q.fd);
    fd = peer_accept(&q.rig);
    answer(&q, fd, &b, "GET /b ", OK_KEPT);
    answer(&q, fd, &c, "GET /c ", OK_KEPT);
    close(fd);
    rig_stop(&q.rig);
}

/* --- of several workers ------------------------------------------------ */

/* Starts a request in the other pool; until `of_other` ends. */
static void
wait_elsewhere(struct queued *q, struct origin_pool *other, struct got *got)
{
    struct origin_pool *mine = q->rig.pool;

    q->rig.pool = other;
    got_get(&q->rig, got);
    q->rig.pool = mine;
}

static void
a_kept_connection_is_for_its_own_worker_first(void **state)
{
    struct queued q;
    struct origin_pool *other;
    struct got b = {0};
    struct got c = {0};
    int fd;

    (void)state;
    queued_start(&q, (struct origin_opts){0});
    other = origin_pool_new(q.rig.group, q.rig.loop, NULL, q.rig.block);
    wait_elsewhere(&q, other, &b);
    wait_as(&q, &c, "GET /c HTTP/1.1\r\n");
    c.x->waiter.since_ms = b.x->waiter.since_ms; /* however slow this is */
    end_first(&q, OK_KEPT);
    answer(&q, q.fd, &c, "GET /c ", OK_KEPT);
    fd = peer_accept(&q.rig);
    answer(&q, fd, &b, "GET /a ", OK_CLOSED);
    origin_pool_free(&other);
    close(q.fd);
    rig_stop(&q.rig);
}

static void
the_place_goes_to_another_worker(void **state)
{
    struct queued q;
    struct origin_pool *other;
    struct got b = {0};
    struct got c = {0};
    int fd;

    (void)state;
    queued_start(&q, (struct origin_opts){0});
    other = origin_pool_new(q.rig.group, q.rig.loop, NULL, q.rig.block);
    wait_elsewhere(&q, other, &b);
    b.x->waiter.since_ms -= 51; /* it has waited for longer than that */
    wait_as(&q, &c, "GET /c HTTP/1.1\r\n");
    end_first(&q, OK_KEPT);
    fd = peer_accept(&q.rig);
    assert_true(peer_is_closed(q.fd));
    answer(&q, fd, &b, "GET /a ", OK_CLOSED);
    fd = peer_accept(&q.rig);
    answer(&q, fd, &c, "GET /c ", OK_KEPT);
    origin_pool_free(&other);
    close(fd);
    close(q.fd);
    rig_stop(&q.rig);
}

static void
what_is_idle_elsewhere_is_closed_for_who_waits(void **state)
{
    struct queued q;
    struct origin_pool *other;
    struct got b = {0};
    int fd;

    (void)state;
    queued_start(&q, (struct origin_opts){0});
    end_first(&q, OK_KEPT); /* while this pool is the only one */
    assert_int_equal(origin_group_connections(q.rig.group), 1);
    other = origin_pool_new(q.rig.group, q.rig.loop, NULL, q.rig.block);
    wait_elsewhere(&q, other, &b);
    assert_int_equal(origin_group_waiting(q.rig.group), 1);
    fd = peer_accept(&q.rig);
    assert_true(peer_is_closed(q.fd));
    answer(&q, fd, &b, "GET /a ", OK_CLOSED);
    origin_pool_free(&other);
    close(q.fd);
    rig_stop(&q.rig);
}

/* --- content ----------------------------------------------------------- */

static void
nothing_of_the_content_is_taken_before_the_turn(void **state)
{
    const struct exchange_request request = request_post(FRAMING_LENGTH, 5);
    struct queued q;
    struct got b = {0};
    size_t taken = 99;

    (void)state;
    queued_start(&q, (struct origin_opts){0});
    got_start(&q.rig, &b, &request);
    exchange_send(b.x, SLICE("12345"), &taken);
    assert_int_equal(taken, 0);
    rig_turns(&q.rig, 3);
    assert_int_equal(b.drains, 0);
    end_first(&q, OK_KEPT);
    rig_until(&q.rig, b.drains == 1);
    exchange_send(b.x, SLICE("12345"), &taken);
    assert_int_equal(taken, 5);
    exchange_send_end(b.x);
    peer_read_until(&q.rig, q.fd, "\r\n\r\n12345");
    peer_say(&q.rig, q.fd, OK_KEPT);
    rig_until(&q.rig, got_over(&b));
    assert_true(b.is_ended);
    close(q.fd);
    rig_stop(&q.rig);
}

/* On a connection that is made for it, likewise. */
static void
content_goes_out_on_a_fresh_connection(void **state)
{
    const struct exchange_request request = request_post(FRAMING_CHUNKED, 0);
    struct queued q;
    struct got b = {0};
    size_t taken = 99;
    int fd;

    (void)state;
    queued_start(&q, (struct origin_opts){0});
    got_start(&q.rig, &b, &request);
    exchange_send(b.x, SLICE("12345"), &taken);
    assert_int_equal(taken, 0);
    end_first(&q, OK_CLOSED);
    fd = peer_accept(&q.rig);
    rig_until(&q.rig, b.drains == 1);
    exchange_send(b.x, SLICE("12345"), &taken);
    assert_int_equal(taken, 5);
    exchange_send_end(b.x);
    peer_read_until(&q.rig, fd, "5\r\n12345\r\n0\r\n\r\n");
    peer_say(&q.rig, fd, OK_KEPT);
    rig_until(&q.rig, got_over(&b));
    assert_true(b.is_ended);
    close(fd);
    rig_stop(&q.rig);
}

/* --- threads ----------------------------------------------------------- */

enum {
    CROWD_POOLS = 3,
    CROWD_EACH = 300,
    CROWD_MAX = 2,
};

/* A worker whose requests all find the connections taken, and end at once since
   nobody listens: so each end is a place that somebody on another thread may
   wait for. */
struct crowd {
    struct rig rig; /* with a loop and a pool of its own */
    pthread_t thread;
    struct got got[CROWD_EACH];
};

static void *
crowd_run(void *ctx)
{
    struct crowd *c = ctx;

    for (size_t i = 0; i < CROWD_EACH; i++) {
        got_get(&c->rig, &c->got[i]);
    }
    for (size_t i = 0; i < CROWD_EACH; i++) {
        while (!got_over(&c->got[i])) {
            loop_turn(c->rig.loop, 1000);
        }
    }
    return NULL;
}

static void
no_place_is_lost_between_threads(void **state)
{
    static struct crowd crowd[CROWD_POOLS];
    struct rig rig;

    (void)state;
    rig_start(&rig, (struct origin_opts){.connections_max = CROWD_MAX,
                        .queue_max = CROWD_POOLS * CROWD_EACH});
    close(rig.listen_fd);
    rig.listen_fd = -1;
    for (size_t i = 0; i < CROWD_POOLS; i++) {
        struct rig *own = &crowd[i].rig;
        own->group = rig.group;
        own->loop = loop_new();
        own->pool = origin_pool_new(rig.group, own->loop, NULL, NULL);
        assert_int_equal(
            pthread_create(&crowd[i].thread, NULL, crowd_run, &crowd[i]), 0);
    }
    for (size_t i = 0; i < CROWD_POOLS; i++) {
        assert_int_equal(pthread_join(crowd[i].thread, NULL), 0);
    }
    for (size_t i = 0; i < CROWD_POOLS; i++) {
        for (size_t k = 0; k < CROWD_EACH; k++) {
            assert_int_equal(crowd[i].got[k].error, ORIGIN_ERROR_REFUSED);
        }
        origin_pool_free(&crowd[i].rig.pool);
        loop_free(&crowd[i].rig.loop);
    }
    assert_int_equal(origin_group_connections(rig.group), 0);
    assert_int_equal(origin_group_waiting(rig.group), 0);
    rig_stop(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_waits_gets_the_kept_connection),
        cmocka_unit_test(who_came_first_is_served_first),
        cmocka_unit_test(a_newcomer_passes_nobody_by),
        cmocka_unit_test(
            a_place_that_is_given_back_meanwhile_is_the_first_ones),
        cmocka_unit_test(a_full_queue_takes_nobody),
        cmocka_unit_test(a_wait_ends_after_queue_timeout),
        cmocka_unit_test(nobody_waits_in_the_background),
        cmocka_unit_test(who_leaves_costs_nobody_a_turn),
        cmocka_unit_test(the_place_of_who_leaves_is_the_next_ones),
        cmocka_unit_test(a_pool_may_go_while_its_bell_rings),
        cmocka_unit_test(a_dial_that_fails_gives_its_place_to_the_next),
        cmocka_unit_test(a_connection_that_is_cut_gives_its_place_to_the_next),
        cmocka_unit_test(who_has_had_its_turn_does_not_stand_in_line_again),
        cmocka_unit_test(a_kept_connection_is_for_its_own_worker_first),
        cmocka_unit_test(the_place_goes_to_another_worker),
        cmocka_unit_test(what_is_idle_elsewhere_is_closed_for_who_waits),
        cmocka_unit_test(nothing_of_the_content_is_taken_before_the_turn),
        cmocka_unit_test(content_goes_out_on_a_fresh_connection),
        cmocka_unit_test(no_place_is_lost_between_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
