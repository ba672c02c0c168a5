/* Exchanges that go well: one request, one response, one connection. */
#include "test_origin_peer.h"

static void
get_is_answered_and_connection_is_pooled(void **state)
{
    struct rig *rig = *state;
    struct got got = {0};
    int fd;

    got_get(rig, &got);
    fd = peer_accept(rig);
    assert_string_equal(
        peer_read_head(rig, fd), "GET /a HTTP/1.1\r\nhost: api\r\n\r\n");
    peer_say(rig, fd,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nNote: n\r\n\r\nhello");
    got_ends(rig, &got);
    assert_int_equal(got.status, 200);
    assert_string_equal(got.note, "n");
    assert_int_equal(got.body_len, 5);
    assert_memory_equal(got.body, "hello", 5);
    assert_false(got.is_doubtful);
    assert_int_equal(origin_group_connections(rig->group), 1);
    assert_int_equal(origin_group_in_flight(rig->group), 0);

    got = (struct got){0};
    got_get(rig, &got);
    peer_read_head(rig, fd);
    peer_say(rig, fd, "HTTP/1.1 204 No Content\r\n\r\n");
    rig_until(rig, got_over(&got));
    assert_int_equal(got.status, 204);
    assert_false(peer_is_waiting(rig));
    assert_int_equal(
        rig_metric(rig, "nearside_origin_requests_total{origin=\"api\"} "), 2);
    assert_int_equal(
        rig_metric(rig, "nearside_origin_reused_total{origin=\"api\"} "), 1);
    assert_int_equal(
        rig_metric(rig, "nearside_origin_connections{origin=\"api\"} "), 1);
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        RIGGED(get_is_answered_and_connection_is_pooled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
