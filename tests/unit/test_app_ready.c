/* The health check of a container (ready.c), against a listener that says
   what a test gives it. */
#include "nearside/app/ready.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "nearside/net/address.h"

enum {
    LONG_MS = 10000, /* never waited for: the listener answers */
    SHORT_MS = 20,
};

struct peer {
    int fd;
    char at[ADDRESS_TEXT_MAX];
    const char *says;
    char asked[256];
    size_t asked_len;
};

static void
peer_open(struct peer *p, const char *says)
{
    struct address any;
    struct address bound;

    *p = (struct peer){.says = says};
    assert_int_equal(address_parse(SLICE("127.0.0.1:0"), &any), RC_OK);
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->fd, &any.u.any, any.len), 0);
    assert_int_equal(listen(p->fd, 1), 0);
    assert_int_equal(address_of_socket(p->fd, &bound), RC_OK);
    address_text(&bound, p->at);
}

/* Reads one request, answers, closes. */
static void *
peer_run(void *ctx)
{
    struct peer *p = ctx;
    int fd = accept(p->fd, NULL, NULL);
    size_t room = sizeof(p->asked) - 1;

    while (strstr(p->asked, "\r\n\r\n") == NULL) {
        ssize_t got = recv(fd, p->asked + p->asked_len, room - p->asked_len, 0);

        if (got <= 0) {
            break;
        }
        p->asked_len += (size_t)got;
    }
    (void)send(fd, p->says, strlen(p->says), MSG_NOSIGNAL);
    close(fd);
    return NULL;
}

/* What is asked, and told of it into `told`. */
static enum rc
ask(const char *address, unsigned timeout_ms, char told[256])
{
    FILE *to = fmemopen(told, 256, "w");
    enum rc rc;

    assert_non_null(to);
    rc = ready_ask(address, timeout_ms, to);
    assert_int_equal(fclose(to), 0);
    return rc;
}

static enum rc
answered(const char *says, char told[256])
{
    struct peer peer;
    pthread_t thread;
    enum rc rc;

    peer_open(&peer, says);
    assert_int_equal(pthread_create(&thread, NULL, peer_run, &peer), 0);
    rc = ask(peer.at, LONG_MS, told);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(peer.fd);
    assert_string_equal(peer.asked,
        "GET /readyz HTTP/1.1\r\nHost: nearside\r\nConnection: close\r\n\r\n");
    return rc;
}

static void
only_200_is_ready(void **state)
{
    char told[256] = "";

    (void)state;
    assert_int_equal(answered("HTTP/1.1 200 OK\r\n\r\nready\n", told), RC_OK);
    assert_string_equal(told, "");
    assert_int_equal(
        answered("HTTP/1.1 503 Service Unavailable\r\n\r\n", told), RC_REFUSED);
    assert_string_equal(told, "nearside: not ready: /readyz says 503\n");
}

static void
what_is_no_answer_is_not_ready(void **state)
{
    static const char *const said[] = {"", "HTTP/1.1 20", "SSH-2.0-OpenSSH"};
    char told[256];

    (void)state;
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        assert_int_equal(answered(said[i], told), RC_IO);
        assert_non_null(strstr(told, ": this is no answer of nearside\n"));
    }
}

static void
who_does_not_answer_is_waited_for_so_long(void **state)
{
    struct peer peer;
    char told[256];

    (void)state;
    peer_open(&peer, ""); /* the kernel accepts, nobody reads */
    assert_int_equal(ask(peer.at, SHORT_MS, told), RC_IO);
    assert_non_null(strstr(told, ": no answer in time\n"));
    close(peer.fd);
    assert_int_equal(ask(peer.at, LONG_MS, told), RC_IO);
    assert_non_null(strstr(told, ": Connection refused\n"));
}

static void
what_is_no_address_is_said_so(void **state)
{
    char told[256];

    (void)state;
    assert_int_equal(ask("localhost", LONG_MS, told), RC_BAD);
    assert_non_null(strstr(told, "nearside: localhost: no address, such as"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_200_is_ready),
        cmocka_unit_test(what_is_no_answer_is_not_ready),
        cmocka_unit_test(who_does_not_answer_is_waited_for_so_long),
        cmocka_unit_test(what_is_no_address_is_said_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
