/*
 * Who asks: the peer, unless a trusted proxy speaks for somebody behind it.
 */
#ifndef NEARSIDE_RULES_CLIENT_H
#define NEARSIDE_RULES_CLIENT_H

#include "nearside/http/head.h"
#include "nearside/net/address.h"
#include "nearside/rules/conf.h"

struct client {
    struct address peer;
    bool is_trusted;      /* the peer is one of trusted_proxies */
    struct slice scheme;  /* "http" or "https", by which the client came */
    struct slice version; /* of HTTP, by which the request came to us: "1.1" */
};

/* Is it an address of trusted_proxies? */
bool client_is_trusted(
    const struct proxy_conf_opts *opts, const struct address *peer);

/* Finds out whether the peer is trusted, and the scheme. */
void client_read(const struct proxy_conf *conf, const struct head *head,
    struct client *client);

#endif
