/*
 * Finds out who asks, and by which scheme. A trusted proxy names the client's
 * scheme by X-Forwarded-Proto, or by a target in absolute-form; the scheme is
 * part of the key.
 */
#include "nearside/rules/client.h"

#include "nearside/base/check.h"

static bool
net_has(const struct proxy_net *net, const unsigned char *address)
{
    unsigned whole = net->bits / 8;
    unsigned rest = net->bits % 8;

    MUST(net->bits <= (net->is_v6 ? 128 : 32));
    if (memcmp(net->address, address, whole) != 0) {
        return false;
    }
    return rest == 0 || ((net->address[whole] ^ address[whole]) &
                            (0xff00 >> rest) & 0xff) == 0;
}

bool
client_is_trusted(
    const struct proxy_conf_opts *opts, const struct address *peer)
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

/* The last one counts: the nearest proxy, which is the trusted one, has put it
   behind what it was told, and that may come from the client. */
static bool
is_https(const struct head *head)
{
    const struct field *field = head_find(head, FIELD_X_FORWARDED_PROTO);
    struct slice last = SLICE("");
    struct slice member;

    for (; field != NULL; field = head_find_next(head, field)) {
        struct slice rest = field->value;
        while (slice_split(&rest, ',', &member)) {
            member = slice_trim(member);
            last = member.len > 0 ? member : last;
        }
    }
    return slice_ieq(last, SLICE("https"));
}

void
client_read(const struct proxy_conf *conf, const struct head *head,
    struct client *client)
{
    MUST_OBJ(conf, PROXY_CONF_MAGIC);
    client->is_trusted = client_is_trusted(&conf->opts, &client->peer);
    client->scheme = client->is_trusted && (head->is_https || is_https(head))
                         ? SLICE("https")
                         : SLICE("http");
}
