/*
 * The request's way out (send.c) through a socket that takes only so many
 * bytes at once at first, whatever there is: wherever that cuts, all goes out
 * once and in order.
 */
#include "test_origin_peer.h"

#include <sys/syscall.h>
#include <sys/uio.h>

enum {
    DIRECT = 17000, /* bytes of content that do not wait for the turn's end */
    SMALL = 10,
    CALLS_CUT = 200,
    END = 20, /* which is like nothing before it */
};

static size_t takes;   /* by one call; 0: as much as the kernel does */
static unsigned calls; /* of so many; the rest is not cut */

ssize_t
send(int fd, const void *bytes, size_t len, int flags)
{
    bool is_cut = takes != 0 && takes < len && calls > 0;

    calls -= is_cut;
    return syscall(SYS_sendto, fd, bytes, is_cut ? takes : len, flags, NULL, 0);
}

ssize_t
sendmsg(int fd, const struct msghdr *all, int flags)
{
    static char text[1 << 20];
    size_t len = 0;

    for (size_t i = 0; i < all->msg_iovlen; i++) {
        const struct iovec *part = &all->msg_iov[i];

        assert_true(len + part->iov_len <= sizeof(text));
        memcpy(text + len, part->iov_base, part->iov_len);
        len += part->iov_len;
    }
    return send(fd, text, len, flags);
}

static size_t
send_some(struct got *got, struct slice content)
{
    size_t taken = 0;

    exchange_send(got->x, content, &taken);
    return taken;
}

/* The whole request, its content handed over in two pieces. */
static void
goes_out_as(enum framing framing, const char *content, const char *want)
{
    const struct exchange_request request =
        request_post(framing, framing == FRAMING_LENGTH ? SMALL + DIRECT : 0);
    struct slice direct = slice_of(content + SMALL, DIRECT);
    struct got got = {0};
    struct rig rig;
    int fd;

    calls = CALLS_CUT;
    rig_start(&rig, (struct origin_opts){0});
    got_start(&rig, &got, &request);
    fd = peer_accept(&rig);
    rig_turns(&rig, 1); /* it is connected */
    if (framing != FRAMING_NONE) {
        assert_int_equal(send_some(&got, slice_of(content, SMALL)), SMALL);
        assert_int_equal(send_some(&got, direct), DIRECT);
        exchange_send_end(got.x);
    }
    assert_string_equal(
        peer_read_until(&rig, fd, want + strlen(want) - END), want);
    peer_answer(&rig, fd, &got);
    assert_true(got.is_ended);
    assert_false(got.is_doubtful); /* it was answered to all of it */
    close(fd);
    rig_stop(&rig);
}

static void
all_of_it_goes_out_wherever_it_is_cut(void **state)
{
    static char content[SMALL + DIRECT + 1];
    static char by_length[2 * DIRECT], chunked[2 * DIRECT];

    (void)state;
    for (size_t i = 0; i < SMALL + DIRECT; i++) {
        content[i] = (char)('a' + i % 23);
    }
    snprintf(by_length, sizeof(by_length),
        "POST /a HTTP/1.1\r\nhost: api\r\ncontent-length: %u\r\n"
        "connection: close\r\n\r\n%s",
        SMALL + DIRECT, content);
    memcpy(by_length + strlen(by_length) - END, "0123456789", 10);
    memcpy(content + SMALL + DIRECT - END, "0123456789", 10);
    snprintf(chunked, sizeof(chunked),
        "POST /a HTTP/1.1\r\nhost: api\r\ntransfer-encoding: chunked\r\n"
        "connection: close\r\n\r\n%x\r\n%.*s\r\n%x\r\n%s\r\n0\r\n\r\n",
        SMALL, SMALL, content, DIRECT, content + SMALL);
    for (takes = 0; takes < 140; takes += takes < 8 ? 1 : 11) {
        goes_out_as(FRAMING_NONE, content,
            "POST /a HTTP/1.1\r\nhost: api\r\ncontent-length: 0\r\n\r\n");
        goes_out_as(FRAMING_LENGTH, content, by_length);
        goes_out_as(FRAMING_CHUNKED, content, chunked);
    }
    takes = 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_goes_out_wherever_it_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
