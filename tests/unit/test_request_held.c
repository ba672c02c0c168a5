/*
 * What slow clients hold (held.c): who counts, who is cut, and that no byte
 * stays on the worker's account when they have left.
 */
#include "request_given.h"

enum {
    CLIENTS = 4,
};

/* Each is a client of its own, as far as it can be cut. */
struct client_of {
    struct stream stream;
    struct request *r;
    unsigned cuts;
};

static struct client_of clients[CLIENTS];

static void
on_answer(struct stream *stream, const struct response *response)
{
    (void)stream;
    (void)response;
}

static void
on_cut(struct stream *stream)
{
    struct client_of *c = CONTAINER_OF(stream, struct client_of, stream);

    c->cuts++;
}

static int
clients_up(void **state)
{
    static const struct stream_ops ops = {
        .respond = on_answer, .abort = on_cut};

    setup(state);
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client_of){.stream = {.ops = &ops}};
    }
    return 0;
}

static void
limit_to(size_t buffer_max, uint64_t held_max)
{
    bench.rules.conf->opts.limits.buffer_max = buffer_max;
    bench.rules.conf->opts.limits.held_max = held_max;
}

static struct entry *
given_large(const char *body)
{
    const struct codec_parts parts = {
        .status = 200,
        .key = SLICE(KEY),
        .created_ms = 1,
        .fresh_until_ms = worker_wall_ms(&bench.worker) + 9500,
        .stale_until_ms = worker_wall_ms(&bench.worker) + 9500,
        .body = slice_of_str(body),
    };

    return given_entry(&parts);
}

/* Its client has a hit, and has not read all of it. */
static void
given_answered(struct client_of *c, struct entry *own_entry)
{
    c->r = given_new(GET);
    c->r->stream = &c->stream;
    assert_int_equal(question_read(c->r->q).status, 0);
    c->r->wake = WAKE_LOOKUP;
    request_wake(
        c->r, WAKE_LOOKUP, request_deliver_hit(c->r, own_entry, TIER_SHARED));
}

static void
leave_all(void)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        if (clients[i].r != NULL) {
            request_on_gone(clients[i].r, 0);
        }
    }
    assert_int_equal(bench.worker.request->held, 0);
    assert_int_equal(atomic_load(&bench.requests->held), 0);
    assert_true(list_is_empty(&bench.worker.request->holders));
}

static unsigned
counted(void)
{
    return (
        unsigned)bench.worker.block->cells[bench.metrics.limits[LIMIT_HELD]];
}

/* --- entries ----------------------------------------------------------- */

static void
what_is_not_larger_than_a_buffer_does_not_count(void **state)
{
    struct entry *entry = given_large("abc");
    size_t size = entry_size(entry);

    (void)state;
    limit_to(size, 0);
    given_answered(&clients[0], entry);
    request_on_blocked(clients[0].r);
    assert_int_equal(bench.worker.request->held, 0);
    bench.rules.conf->opts.limits.buffer_max--;
    request_on_blocked(clients[0].r);
    assert_int_equal(bench.worker.request->held, size);
    leave_all();
}

/* Three clients with an answer each; how much one holds. */
static size_t
given_three(void)
{
    size_t size = 0;

    for (size_t i = 0; i < 3; i++) {
        struct entry *entry = given_large("abc");
        size = entry_size(entry);
        given_answered(&clients[i], entry);
    }
    return size;
}

static void
who_has_waited_longest_is_cut_when_the_sum_is_too_much(void **state)
{
    size_t size;

    (void)state;
    size = given_three();
    limit_to(1, 2 * size);
    request_on_blocked(clients[1].r);
    request_on_blocked(clients[0].r);
    request_on_blocked(clients[1].r); /* once more: it does not begin anew */
    assert_int_equal(bench.worker.request->held, 2 * size);
    assert_int_equal(counted(), 0);
    request_on_blocked(clients[2].r);
    assert_int_equal(clients[0].cuts, 0);
    assert_int_equal(clients[1].cuts, 1);
    assert_int_equal(clients[2].cuts, 0);
    assert_int_equal(counted(), 1);
    assert_int_equal(bench.worker.request->held, 2 * size);
    assert_int_equal(clients[1].r->held, 0);
    leave_all();
}

static void
what_other_workers_hold_counts_too_and_one_alone_is_never_cut(void **state)
{
    size_t size;

    (void)state;
    size = given_three();
    limit_to(1, 4 * size);
    atomic_fetch_add(&bench.requests->held, 3 * size);
    request_on_blocked(clients[0].r);
    assert_int_equal(counted(), 0);
    request_on_blocked(clients[1].r);
    assert_int_equal(clients[0].cuts, 1);
    bench.rules.conf->opts.limits.held_max = 1;
    request_on_blocked(clients[2].r);
    assert_int_equal(clients[1].cuts, 1);
    assert_int_equal(clients[2].cuts, 0);
    request_on_blocked(clients[2].r);
    assert_int_equal(clients[2].cuts, 0);
    assert_int_equal(counted(), 2);
    atomic_fetch_sub(&bench.requests->held, 3 * size);
    leave_all();
}

static void
an_entry_that_is_shared_counts_in_part(void **state)
{
    struct entry *entry = given_large("abcdefgh");
    size_t size = entry_size(entry);

    (void)state;
    limit_to(1, UINT64_MAX);
    given_answered(&clients[0], entry_ref(entry));
    given_answered(&clients[1], entry);
    request_on_blocked(clients[0].r);
    assert_int_equal(bench.worker.request->held, size / 2);
    request_on_gone(clients[1].r, 0);
    clients[1].r = NULL;
    request_on_blocked(clients[0].r);
    assert_int_equal(bench.worker.request->held, size);
    leave_all();
}

/* --- fills ------------------------------------------------------------- */

static void
read_some(struct request *r, uint64_t n)
{
    struct iovec iov;

    assert_int_equal(source_peek(&r->source, &iov, 1), 1);
    source_advance(&r->source, n);
}

/* It counts what its client has not taken yet, and no more when that is
   little. */
static void
a_fill_counts_what_is_left_of_it_and_in_part(void **state)
{
    struct fill *fill = given_fill(200, "0123456789", true);
    struct flight *flight = given_flight(GET);
    struct client_of *c = &clients[0];

    (void)state;
    limit_to(2, UINT64_MAX);
    c->r = given_new(GET);
    c->r->stream = &c->stream;
    request_start(c->r);
    land(&flight,
        &(struct flight_result){
            .outcome = FLIGHT_FILL, .fill = fill, .fresh_until_ms = INT64_MAX});
    assert_int_equal(c->r->status, 200);
    request_on_blocked(c->r);
    assert_int_equal(bench.worker.request->held, 10);
    fill_ref(fill); /* somebody else reads it too */
    request_on_blocked(c->r);
    assert_int_equal(bench.worker.request->held, 5);
    fill_unref(&fill);
    read_some(c->r, 7);
    request_on_blocked(c->r);
    assert_int_equal(bench.worker.request->held, 3);
    read_some(c->r, 1);
    request_on_blocked(c->r);
    assert_int_equal(bench.worker.request->held, 0);
    assert_true(list_is_empty(&bench.worker.request->holders));
    leave_all();
}

/* What turns out too large is kept no longer: its owner waits for its readers,
   and none of them is cut for what it holds. */
static void
a_fill_that_is_kept_no_longer_does_not_count(void **state)
{
    struct fill *fill = given_fill(200, "0123456789", false);
    struct flight *flight = given_flight(GET);
    struct client_of *c = &clients[0];
    uint64_t size;

    (void)state;
    limit_to(2, 10);
    c->r = given_new(GET);
    c->r->stream = &c->stream;
    request_start(c->r);
    land(&flight,
        &(struct flight_result){
            .outcome = FLIGHT_FILL, .fill = fill, .fresh_until_ms = INT64_MAX});
    request_on_blocked(c->r);
    assert_int_equal(bench.worker.request->held, 10);
    fill_stop_keeping(fill);
    given_answered(&clients[1], given_large("0123456789"));
    size = entry_size(clients[1].r->hit);
    request_on_blocked(clients[1].r);
    assert_int_equal(clients[0].cuts, 0);
    assert_int_equal(counted(), 0);
    assert_int_equal(bench.worker.request->held, size);
    request_on_blocked(c->r);
    assert_int_equal(bench.worker.request->held, size);
    fill_finish(fill, FILL_COMPLETE);
    leave_all();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, clients_up, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_not_larger_than_a_buffer_does_not_count),
        TEST(who_has_waited_longest_is_cut_when_the_sum_is_too_much),
        TEST(what_other_workers_hold_counts_too_and_one_alone_is_never_cut),
        TEST(an_entry_that_is_shared_counts_in_part),
        TEST(a_fill_counts_what_is_left_of_it_and_in_part),
        TEST(a_fill_that_is_kept_no_longer_does_not_count),
    };

    return cmocka_run_group_tests_name("request held", tests, NULL, NULL);
}
