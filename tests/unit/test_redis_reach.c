/* Reaching a node: address after address, and again after a while. */
#include "redis_fixture.h"

#include "redis/reach.h"

struct end {
    struct loop *loop;
    struct node *node;
    struct reach reach;
    unsigned times;
    enum rc rc;
    struct conn *conn;
};

static void
on_end(void *ctx, enum rc rc, struct conn *own_conn, const char *why)
{
    struct end *end = ctx;

    assert_non_null(why);
    end->times++;
    end->rc = rc;
    end->conn = own_conn;
}

static void
end_open(struct end *end, uint16_t port)
{
    *end = (struct end){
        .loop = loop_new(), .node = node_new(SLICE("127.0.0.2"), port)};
    end->reach.loop = end->loop;
    end->reach.node = end->node;
    end->reach.timeout_ms = PATIENCE_MS;
    end->reach.on_end = on_end;
    end->reach.ctx = end;
    reach_init(&end->reach);
}

static void
end_close(struct end *end)
{
    reach_cancel(&end->reach);
    conn_close(&end->conn);
    node_free(&end->node);
    loop_free(&end->loop);
}

static void
next_address_is_tried_when_one_refuses(void **state)
{
    uint16_t port = port_pick();
    int fd = listener(port);
    struct address items[2];
    struct end end;

    (void)state;
    end_open(&end, port);
    assert_int_equal(address_of(SLICE("127.0.0.2"), 0, &items[0]), RC_OK);
    assert_int_equal(address_of(SLICE("127.0.0.1"), 0, &items[1]), RC_OK);
    reach_begin(&end.reach);
    /* As if the name had two addresses. */
    addresses_unref(&end.reach.found);
    end.reach.found = addresses_new(items, 2);
    AWAIT(&end, end.times > 0);
    assert_int_equal(end.times, 1);
    assert_int_equal(end.rc, RC_OK);
    assert_non_null(end.conn);
    end_close(&end);
    close(fd);
}

static void
refusal_is_told_and_the_next_try_comes_by_itself(void **state)
{
    int64_t longest_ms = 0;
    struct end end;

    (void)state;
    end_open(&end, 1);
    reach_begin(&end.reach);
    for (unsigned i = 1; i <= 3; i++) {
        AWAIT(&end, end.times == i);
        assert_int_equal(end.rc, RC_REFUSED);
        assert_null(end.conn);
        assert_int_equal(end.reach.state, REACH_IDLE);
        reach_begin_later(&end.reach);
        assert_int_equal(end.reach.failures, i);
        assert_int_equal(end.reach.state, REACH_WAITING);
        assert_in_range(
            end.reach.wait.deadline_ms - loop_now_ms(end.loop), 1, 50 << i);
    }
    reach_cancel(&end.reach);
    for (int i = 0; i < 50; i++) {
        int64_t wait_ms;

        end.reach.failures = 40;
        reach_begin_later(&end.reach);
        wait_ms = end.reach.wait.deadline_ms - loop_now_ms(end.loop);
        assert_in_range(wait_ms, 1, 5000);
        longest_ms = wait_ms > longest_ms ? wait_ms : longest_ms;
        reach_cancel(&end.reach);
    }
    assert_true(longest_ms > 1000);
    end_close(&end);
}

/* A deletion waits for it, or a probe. */
static void
one_in_a_hurry_tries_again_half_a_second_after_it_last_began(void **state)
{
    struct end end;

    (void)state;
    end_open(&end, 1);
    reach_hurry(&end.reach); /* it does not wait: nothing happens */
    assert_int_equal(end.reach.state, REACH_IDLE);
    reach_begin(&end.reach);
    AWAIT(&end, end.times == 1);
    for (int i = 0; i < 50; i++) {
        end.reach.failures = 40;
        reach_begin_later(&end.reach);
        reach_hurry(&end.reach);
        assert_in_range(
            end.reach.wait.deadline_ms - end.reach.begun_ms, 1, 500);
        reach_cancel(&end.reach);
    }
    /* That is over already. */
    end.reach.begun_ms -= 600;
    end.reach.failures = 40;
    reach_begin_later(&end.reach);
    reach_hurry(&end.reach);
    assert_int_equal(end.reach.wait.deadline_ms, loop_now_ms(end.loop) + 1);
    end_close(&end);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(next_address_is_tried_when_one_refuses),
        cmocka_unit_test(refusal_is_told_and_the_next_try_comes_by_itself),
        cmocka_unit_test(
            one_in_a_hurry_tries_again_half_a_second_after_it_last_began),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
