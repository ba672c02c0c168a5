/*
 * Who is asking? The peer, unless it is a proxy we trust: then X-Forwarded-
 * Proto says by which scheme the client came, and that is part of the key.
 */
#include "proxy/request.h"

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

/* Of a list, the first: each proxy adds behind what it was told. */
static bool
is_https(struct slice value)
{
    struct slice first;

    return slice_split(&value, ',', &first) &&
           slice_ieq(slice_trim(first), SLICE("https"));
}

void
request_find_client(struct request *r)
{
    const struct field *proto;

    r->client.is_trusted = is_trusted(&r->conf->opts, &r->client.peer);
    r->client.scheme = SLICE("http");
    if (!r->client.is_trusted) {
        return;
    }
    proto = head_find(r->head, FIELD_X_FORWARDED_PROTO);
    if (proto != NULL && is_https(proto->value)) {
        r->client.scheme = SLICE("https");
    }
}
