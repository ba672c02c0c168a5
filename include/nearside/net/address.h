/* A socket address, TCP over IPv4 or IPv6, or a unix socket. */
#ifndef NEARSIDE_NET_ADDRESS_H
#define NEARSIDE_NET_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "nearside/base/slice.h"

struct address {
    socklen_t len; /* 0: none */
    union {
        struct sockaddr_storage storage; /* first: {0} zeroes the first only */
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un unix_;
    } u;
};

enum {
    ADDRESS_TEXT_MAX = 128,
};

/*
 * "127.0.0.1:8080", "[::1]:8080", "unix:/path"; numbers only, no names.
 * RC_BAD: neither.
 */
enum rc address_parse(struct slice text, struct address *out) RC_MUST_CHECK;

/* From a numeric host (an IPv6 address without brackets) and a port. */
enum rc address_of(
    struct slice host, uint16_t port, struct address *out) RC_MUST_CHECK;

/* "127.0.0.1:8080", "[::1]:8080", "unix:/path" */
const char *address_text(const struct address *a, char out[ADDRESS_TEXT_MAX]);

/* Without the port: "127.0.0.1", "::1", "unix:" */
const char *address_host_text(
    const struct address *a, char out[ADDRESS_TEXT_MAX]);

uint16_t address_port(const struct address *a); /* 0 for unix sockets */
void address_set_port(struct address *a, uint16_t port); /* of IPv4 or IPv6 */

/* An IPv4 address that is written as one of IPv6 (::ffff:192.0.2.1) becomes
   what it is; any other stays. */
void address_unmap(struct address *a);

/* The address a socket is bound to. RC_IO. */
enum rc address_of_socket(int fd, struct address *out) RC_MUST_CHECK;

#endif
