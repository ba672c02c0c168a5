/* The listening sockets (listeners.c): what is told of one that cannot be. */
#include "conf_given.h"

#include "app/server_inside.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "../support/listening.h"

/* What is said on stderr while a server fails to listen there. */
static const char *
said_of(const char *address)
{
    static char text[512];
    struct conf conf = {.listen = &address, .listen_len = 1};
    struct server s = {.magic = SERVER_MAGIC,
        .conf = &conf,
        .metrics_at = {.fd = -1},
        .admin_at = {.fd = -1}};
    int was = dup(STDERR_FILENO);
    FILE *to = tmpfile();
    size_t len;

    assert_true(was >= 0);
    assert_non_null(to);
    assert_int_equal(dup2(fileno(to), STDERR_FILENO), STDERR_FILENO);
    assert_false(server_open_listeners(&s));
    fflush(stderr);
    dup2(was, STDERR_FILENO);
    close(was);
    rewind(to);
    len = fread(text, 1, sizeof(text) - 1, to);
    text[len] = '\0';
    fclose(to);
    server_close_listeners(&s);
    return text;
}

/* The system's word for what failed there; our own for what is no address,
   since no call has failed. */
static void
why_an_address_cannot_be_listened_on_is_told(void **state)
{
    struct address at;
    struct address bound;
    char busy[ADDRESS_TEXT_MAX];
    char want[256];
    int fd = -1;

    (void)state;
    assert_int_equal(address_parse(SLICE("127.0.0.1:0"), &at), RC_OK);
    assert_int_equal(listen_at(&at, &fd, &bound), RC_OK);
    address_text(&bound, busy);
    /* The port is taken by one that does not share it. */
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, &bound.u.any, bound.len), 0);
    assert_int_equal(listen(fd, 1), 0);
    snprintf(want, sizeof(want),
        "nearside: cannot listen on %s: Address already in use\n", busy);
    assert_string_equal(said_of(busy), want);
    close(fd);
    snprintf(want, sizeof(want), "nearside: cannot listen on nowhere: %s\n",
        rc_text(RC_BAD));
    assert_string_equal(said_of("nowhere"), want);
}

/* A path in a folder that is not there cannot be bound. */
static void
only_an_admin_socket_that_is_named_has_to_be_bound(void **state)
{
    static const char *const listen[] = {"127.0.0.1:0"};
    struct conf conf = {
        .listen = listen, .listen_len = 1, .admin = "unix:/no/where/a.sock"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct server s = {.magic = SERVER_MAGIC,
            .conf = &conf,
            .metrics_at = {.fd = -1},
            .admin_at = {.fd = -1}};

        conf.admin_is_auto = i == 1;
        assert_int_equal(server_open_listeners(&s), conf.admin_is_auto);
        assert_int_equal(s.admin_at.fd, -1);
        server_close_listeners(&s);
    }
}

static bool
takes_ipv4(const struct listener *l)
{
    struct address v4;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_taken;

    assert_int_equal(address_parse(SLICE("127.0.0.1:0"), &v4), RC_OK);
    address_set_port(&v4, address_port(&l->bound));
    is_taken = connect(fd, &v4.u.any, v4.len) == 0;
    close(fd);
    return is_taken;
}

/* Alone it takes IPv4 too; written beside an IPv4 address it does not, since
   the two could not be bound. */
static void
the_ipv6_wildcard_is_what_was_meant(void **state)
{
    char v4[ADDRESS_TEXT_MAX], v6[ADDRESS_TEXT_MAX];
    const char *alone[] = {"[::]:0"};
    const char *both[] = {v6, v4};
    struct conf conf = {.listen = alone, .listen_len = 1};
    struct server s = {.magic = SERVER_MAGIC,
        .conf = &conf,
        .metrics_at = {.fd = -1},
        .admin_at = {.fd = -1}};

    (void)state;
    if (!server_open_listeners(&s)) {
        skip(); /* no IPv6 here */
    }
    assert_true(takes_ipv4(&s.listeners[0]));
    snprintf(v6, sizeof(v6), "[::]:%u", address_port(&s.listeners[0].bound));
    snprintf(
        v4, sizeof(v4), "127.0.0.1:%u", address_port(&s.listeners[0].bound));
    server_close_listeners(&s);

    conf = (struct conf){.listen = both, .listen_len = 2};
    assert_true(server_open_listeners(&s));
    server_close_listeners(&s);
    /* Whichever listener it is that has the IPv4 address. */
    conf = (struct conf){.listen = both, .listen_len = 1, .metrics = v4};
    assert_true(server_open_listeners(&s));
    server_close_listeners(&s);
    conf = (struct conf){.listen = both, .listen_len = 1, .admin = v4};
    assert_true(server_open_listeners(&s));
    server_close_listeners(&s);

    conf = (struct conf){.listen = both, .listen_len = 2};
    snprintf(v4, sizeof(v4), "127.0.0.1:0"); /* of another port */
    assert_true(server_open_listeners(&s));
    assert_true(takes_ipv4(&s.listeners[0]));
    server_close_listeners(&s);
}

/* ---- sockets in the file system ----------------------------------------- */

static unsigned
mode_of(const char *path)
{
    struct stat found;

    return stat(path, &found) == 0 ? found.st_mode & 0777 : 0;
}

static bool
has_any(const char *const paths[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (mode_of(paths[i]) != 0) {
            return true;
        }
    }
    return false;
}

/* Anybody may ask for what clients get and for metrics, the owner alone for
   the status. Held, the paths are for whoever comes next. */
static void
sockets_have_their_modes_and_go_when_held(void **state)
{
    static const char *const listen[] = {"unix:l", "unix:k"};
    static const char *const paths[] = {"l", "k", "m", "a"};
    const struct conf conf = {
        .listen = listen,
        .listen_len = 2,
        .metrics = "unix:m",
        .admin = "unix:a",
    };
    struct server s = {.magic = SERVER_MAGIC,
        .conf = &conf,
        .metrics_at = {.fd = -1},
        .admin_at = {.fd = -1}};

    (void)state;
    assert_true(server_open_listeners(&s));
    assert_int_equal(s.listeners_len, 2);
    assert_int_equal(mode_of("l"), 0666);
    assert_int_equal(mode_of("k"), 0666);
    assert_int_equal(mode_of("m"), 0666);
    assert_int_equal(mode_of("a"), 0600);
    s.is_draining = true;
    server_hold_listeners(&s);
    assert_false(has_any(paths, ARRAY_LEN(paths)));
    server_close_listeners(&s);
    assert_true(server_open_listeners(&s));
    server_close_listeners(&s);
    assert_false(has_any(paths, ARRAY_LEN(paths)));
    assert_int_equal(s.listeners_len, 0);
    assert_int_equal(s.metrics_at.fd, -1);
    assert_int_equal(s.admin_at.fd, -1);
}

/* So much may wait in the kernel for a client that reads slowly. */
static void
what_is_unsent_in_the_kernel_has_a_limit(void **state)
{
    static const char *const listen[] = {"127.0.0.1:0"};
    struct conf conf = {.listen = listen, .listen_len = 1};
    struct server s = {.magic = SERVER_MAGIC,
        .conf = &conf,
        .metrics_at = {.fd = -1},
        .admin_at = {.fd = -1}};
    unsigned max = 0;
    socklen_t size = sizeof(max);

    (void)state;
    conf.proxy.conf.limits.buffer_max = 12345;
    assert_true(server_open_listeners(&s));
    assert_int_equal(getsockopt(s.listeners[0].fd, IPPROTO_TCP,
                         TCP_NOTSENT_LOWAT, &max, &size),
        0);
    assert_int_equal(max, 12345);
    server_close_listeners(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(why_an_address_cannot_be_listened_on_is_told),
        cmocka_unit_test(only_an_admin_socket_that_is_named_has_to_be_bound),
        cmocka_unit_test(the_ipv6_wildcard_is_what_was_meant),
        cmocka_unit_test_setup_teardown(
            sockets_have_their_modes_and_go_when_held, folder_make,
            folder_remove),
        cmocka_unit_test(what_is_unsent_in_the_kernel_has_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
