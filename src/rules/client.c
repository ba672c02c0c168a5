/*
 * Finds out who asks, and by which scheme. A trusted proxy names the client's
 * scheme by X-Forwarded-Proto; the scheme is part of the key.
 */
#include "nearside/rules/client.h"

#include "nearside/base/check.h"

static bool
net_has(const struct proxy_net *net, const unsigned char *address)
{
    unsigned whole = net->bits / 8;
    unsigned rest = net->bits % 8;

    if (memcmp(net->address, address, whole) != 0) {
        return false;
    }
    return rest == 0 || ((net->address[whole] ^ address[whole]) &
                            (0xff00 >> rest) & 0xff) == 0;
}

static bool
is_trusted(const struct proxy_conf_opts *opts, const struct address *peer)
{
    const unsigned char *bytes;
    bool is_v6 = peer->u.any.sa_family == AF_INET6;

    if (opts->trusted_len == 0 || peer->u.any.sa_family == AF_UNIX) {
        return false;
    }
    bytes = is_v6 ? (const unsigned char *)&peer->u.v6.sin6_addr
                  : (const unsigned char *)&peer->u.v4.sin_addr;
    for (size_t i = 0; i < opts->trusted_len; i++) {
        if (opts->trusted[i].is_v6 == is_v6 &&
            net_has(&opts->trusted[i], bytes)) {
            return true;
        }
    }
    return false;
}

/* The first of a list counts: each proxy adds its own at the end. */
static bool
is_https(struct slice value)
{
    struct slice first;

    return slice_split(&value, ',', &first) &&
           slice_ieq(slice_trim(first), SLICE("https"));
}

void
client_read(const struct proxy_conf *conf, const struct head *head,
    struct client *client)
{
    const struct field *proto = head_find(head, FIELD_X_FORWARDED_PROTO);

    MUST_OBJ(conf, PROXY_CONF_MAGIC);
    client->is_trusted = is_trusted(&conf->opts, &client->peer);
    client->scheme =
        client->is_trusted && proto != NULL && is_https(proto->value)
            ? SLICE("https")
            : SLICE("http");
}
