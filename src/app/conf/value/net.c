/* Addresses, hosts, servers and networks. */
#include "app/conf/value/read.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "nearside/http/uri.h"
#include "nearside/net/address.h"
#include "nearside/redis/redirect.h"
#include "nearside/rules/conf.h"

enum rc
conf_read_address(const struct conf_reading *r)
{
    struct slice text = r->text;
    struct address a;

    /* "auto" stays a word until the whole is checked. */
    if (address_parse(text, &a) == RC_OK ||
        (r->option->kind == CONF_KIND_ADMIN && slice_eq(text, SLICE("auto")))) {
        return conf_value_give(r, text);
    }
    if (slice_eq(text, SLICE("off")) && !conf_option_is_list(r->option)) {
        *(const char **)r->out = NULL;
        return RC_OK;
    }
    if (text.len > 0 && conf_digits_len(text) == text.len) {
        return WHY(
            r, "a port alone; did you mean '0.0.0.0:%.*s'?", SLICE_FMT(text));
    }
    if (text.len > 0 && text.ptr[0] == '/') {
        return WHY(r, "did you mean 'unix:%.*s'?", SLICE_FMT(text));
    }
    return WHY(r,
        "not an address; it is written '127.0.0.1:8080', '[::1]:8080' "
        "or 'unix:/path'");
}

enum rc
conf_read_host(const struct conf_reading *r)
{
    struct slice text = r->text;
    char name[256];
    size_t len;

    if (text.len == 0 || text.len >= sizeof(name) || !uri_is_authority(text)) {
        return WHY(r, "not a host; it is written 'shop.example' or "
                      "'shop.example:8080'");
    }
    len = uri_authority_normalise(text, SLICE("http"), name);
    return conf_value_give(r, slice_of(name, len));
}

/* host:port, the port is obligatory. */
enum rc
conf_read_seed(const struct conf_reading *r)
{
    struct slice text = r->text;
    const char *scheme = memmem(text.ptr, text.len, "://", 3);
    const char *colon = text.len == 0 ? NULL : memrchr(text.ptr, ':', text.len);
    bool is_authority = text.len > 0 && uri_is_authority(text);
    uint64_t port;

    if (scheme != NULL) {
        return WHY(r,
            "a server of Redis is written 'host:port', without '%.*s'",
            (int)(scheme - text.ptr) + 3, text.ptr);
    }
    if (colon == NULL && is_authority) {
        return WHY(r, "the port is missing; did you mean '%.*s:6379'?",
            SLICE_FMT(text));
    }
    if (colon == NULL || colon == text.ptr || !is_authority ||
        slice_to_u64(slice_skip(text, (size_t)(colon - text.ptr) + 1), 65535,
            &port) != RC_OK ||
        port == 0) {
        return WHY(r, "not a server; it is written 'host:port', such as "
                      "'redis-1:6379'");
    }
    return conf_value_give(r, text);
}

/* "host:port = host:port": what servers announce, and what is reached. */
enum rc
conf_read_mapping(const struct conf_reading *r)
{
    struct slice rest = r->text, from = SLICE("");
    struct slice host = SLICE(""), to_host = SLICE("");
    struct address_mapping row = {0};

    if (!slice_split(&rest, '=', &from) ||
        host_port_parse(slice_trim(from), &host, &row.port) != RC_OK ||
        host_port_parse(slice_trim(rest), &to_host, &row.to_port) != RC_OK ||
        host.len == 0 || to_host.len == 0) {
        return WHY(r, "it is written 'announced:port = reached:port', such as "
                      "'172.19.0.3:6379 = 10.0.0.5:7001'");
    }
    row.host = conf_copy(r->arena, host);
    row.to_host = conf_copy(r->arena, to_host);
    if (row.host == NULL || row.to_host == NULL) {
        return RC_NOMEM;
    }
    *(struct address_mapping *)r->out = row;
    return RC_OK;
}

enum rc
conf_read_server(const struct conf_reading *r)
{
    struct slice text = r->text;
    struct uri_server server;

    if (uri_parse_server(text, &server) == RC_OK) {
        if (slice_ieq(server.scheme, SLICE("https"))) {
            return WHY(
                r, "https to an origin is not available in this version");
        }
        return conf_value_give(r, text);
    }
    if (uri_is_authority(text) && slice_find(text, ':') >= 0) {
        return WHY(r, "did you mean 'http://%.*s'?", SLICE_FMT(text));
    }
    return WHY(r, "not a server; it is written 'http://host:port' or "
                  "'unix:/path', without a path or a query");
}

/* Clears the bits behind the prefix; false: one was set. */
static bool
net_mask(struct proxy_net *net)
{
    bool was_clear = true;

    for (unsigned i = net->bits; i < (net->is_v6 ? 128 : 32); i++) {
        uint8_t bit = (uint8_t)(0x80 >> (i % 8));

        was_clear &= (net->address[i / 8] & bit) == 0;
        net->address[i / 8] &= (uint8_t)~bit;
    }
    return was_clear;
}

enum rc
conf_read_net(const struct conf_reading *r)
{
    struct proxy_net net = {.is_v6 = slice_find(r->text, ':') >= 0};
    int family = net.is_v6 ? AF_INET6 : AF_INET;
    unsigned width = net.is_v6 ? 128 : 32;
    struct slice rest = r->text, host = SLICE("");
    uint64_t bits = width;
    char name[64];

    if (slice_split(&rest, '/', &host) && rest.ptr != NULL &&
        slice_to_u64(rest, width, &bits) != RC_OK) {
        return WHY(
            r, "the prefix of a network is a number from 0 to %u", width);
    }
    if (host.len >= sizeof(name)) {
        return WHY(r, "not a network");
    }
    snprintf(name, sizeof(name), "%.*s", SLICE_FMT(host));
    net.bits = (unsigned)bits;
    if (inet_pton(family, name, net.address) != 1) {
        return WHY(r,
            "not a network; it is written '10.0.0.0/8', '2001:db8::/32' or as "
            "one address");
    }
    if (!net_mask(&net)) {
        inet_ntop(family, net.address, name, sizeof(name));
        return WHY(r, "bits are set behind the prefix; did you mean '%s/%u'?",
            name, net.bits);
    }
    *(struct proxy_net *)r->out = net;
    return RC_OK;
}
