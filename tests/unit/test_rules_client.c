/* Who asks: trusted networks, and the scheme that a trusted proxy names. */
#include "nearside/rules/client.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "rules_given.h"

static struct client
client_of(const struct proxy_net *net, const char *peer, const char *fields)
{
    struct rules rules;
    struct client client;
    char text[256];

    rules_init(&rules);
    rules.opts.trusted = net;
    rules.opts.trusted_len = net == NULL ? 0 : 1;
    rules_make_conf(&rules);
    if (strncmp(peer, "unix:", 5) == 0) {
        assert_int_equal(address_parse(slice_of_str(peer), &rules.peer), RC_OK);
    } else {
        assert_int_equal(address_of(slice_of_str(peer), 1, &rules.peer), RC_OK);
    }
    snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", fields);
    client.peer = rules.peer;
    client_read(rules.conf, given_head(text), &client);
    rules_fini(&rules);
    return client;
}

static void
a_peer_is_trusted_by_the_network_it_is_in(void **state)
{
    static const struct {
        const char *net;
        unsigned bits;
        const char *peer;
        bool is_trusted;
    } rows[] = {
        {"192.0.2.1", 32, "192.0.2.1", true},
        {"192.0.2.1", 32, "192.0.2.0", false},
        {"192.0.2.1", 32, "192.0.2.129", false},
        {"192.0.2.0", 24, "192.0.2.255", true},
        {"192.0.2.0", 24, "192.0.3.0", false},
        {"192.0.2.0", 24, "191.0.2.0", false},
        {"192.0.2.0", 23, "192.0.3.255", true},
        {"192.0.2.0", 23, "192.0.4.0", false},
        {"192.0.2.128", 25, "192.0.2.128", true},
        {"192.0.2.128", 25, "192.0.2.127", false},
        {"128.0.0.0", 1, "255.255.255.255", true},
        {"128.0.0.0", 1, "127.255.255.255", false},
        {"0.0.0.0", 0, "203.0.113.9", true},
        {"0.0.0.0", 0, "::1", false}, /* another family */
        {"::", 0, "2001:db8::1", true},
        {"::", 0, "203.0.113.9", false},
        {"2001:db8::", 32, "2001:db8:ffff::1", true},
        {"2001:db8::", 32, "2001:db9::", false},
        {"2001:db8::8000:0", 113, "2001:db8::ffff:0", false},
        {"2001:db8::8000", 113, "2001:db8::ffff", true},
        {"2001:db8::8000", 113, "2001:db8::7fff", false},
        {"2001:db8::1", 128, "2001:db8::1", true},
        {"2001:db8::1", 128, "2001:db8::2", false},
        {"0.0.0.0", 0, "unix:/run/x", false},
        {"::", 0, "unix:/run/x", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct proxy_net net = given_net(rows[i].net, rows[i].bits);
        if (client_of(&net, rows[i].peer, "").is_trusted !=
            rows[i].is_trusted) {
            fail_msg("%s in %s/%u", rows[i].peer, rows[i].net, rows[i].bits);
        }
    }
    assert_false(client_of(NULL, "192.0.2.1", "").is_trusted);
}

static void
any_of_several_networks_will_do(void **state)
{
    const struct proxy_net nets[] = {given_net("192.0.2.0", 24),
        given_net("2001:db8::", 32), given_net("198.51.100.7", 32)};
    struct rules rules;
    struct client client;

    (void)state;
    rules_init(&rules);
    rules.opts.trusted = nets;
    rules.opts.trusted_len = ARRAY_LEN(nets);
    rules_make_conf(&rules);
    assert_int_equal(address_of(SLICE("198.51.100.7"), 1, &rules.peer), RC_OK);
    client.peer = rules.peer;
    client_read(
        rules.conf, given_head("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), &client);
    assert_true(client.is_trusted);
    rules_fini(&rules);
}

static void
a_trusted_proxy_names_the_scheme_and_nobody_else_does(void **state)
{
    static const struct {
        const char *fields;
        const char *scheme;
    } rows[] = {
        {"", "http"},
        {"X-Forwarded-Proto: https\r\n", "https"},
        {"X-Forwarded-Proto: HTTPS\r\n", "https"},
        {"X-Forwarded-Proto: http\r\n", "http"},
        /* Each proxy adds behind what it was told, and the nearest is the one
           that is trusted. */
        {"X-Forwarded-Proto: https , http\r\n", "http"},
        {"X-Forwarded-Proto: http, https\r\n", "https"},
        {"X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n", "http"},
        {"X-Forwarded-Proto: http\r\nX-Forwarded-Proto: https\r\n", "https"},
        {"X-Forwarded-Proto: https\r\nX-Forwarded-Proto: \r\n", "https"},
        {"X-Forwarded-Proto: http, https,\r\n", "https"},
        {"X-Forwarded-Proto: \r\n", "http"},
        {"X-Forwarded-Proto: httpss\r\n", "http"},
        {"X-Forwarded-Proto: ftp\r\n", "http"},
        {"Forwarded: proto=https\r\n", "http"},
    };
    const struct proxy_net net = given_net("192.0.2.0", 24);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_text(client_of(&net, "192.0.2.1", rows[i].fields).scheme,
            rows[i].scheme, rows[i].fields);
        assert_text(client_of(&net, "192.0.3.1", rows[i].fields).scheme, "http",
            rows[i].fields);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_is_trusted_by_the_network_it_is_in),
        cmocka_unit_test(any_of_several_networks_will_do),
        cmocka_unit_test(a_trusted_proxy_names_the_scheme_and_nobody_else_does),
    };

    return cmocka_run_group_tests_name("rules client", tests, NULL, NULL);
}
