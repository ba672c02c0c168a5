/*
 * Who is asking? The peer, unless it is a proxy we trust: then X-Forwarded-
 * Proto says by which scheme the client came, and that is part of the key.
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

/* Of a list, the first: each proxy adds behind what it was told. */
static bool
is_https(struct slice value)
{
    struct slice first;

    return slice_split(&value, ',', &first) &&
           slice_ieq(slice_trim(first), SLICE("https"));
}

void
client_read(const struct proxy_conf *conf, const struct head *head,
    const struct address *peer, struct client *out)
{
    const struct field *proto;

    MUST_OBJ(conf, PROXY_CONF_MAGIC);
    *out = (struct client){
        .peer = *peer,
        .is_trusted = is_trusted(&conf->opts, peer),
        .scheme = SLICE("http"),
        .version = head->minor == 0 ? SLICE("1.0") : SLICE("1.1"),
    };
    if (!out->is_trusted) {
        return;
    }
    proto = head_find(head, FIELD_X_FORWARDED_PROTO);
    if (proto != NULL && is_https(proto->value)) {
        out->scheme = SLICE("https");
    }
}
