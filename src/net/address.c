/* Addresses as text and back. Numbers only: names are resolve's business. */
#include "nearside/net/address.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>

static enum rc
parse_unix(struct slice path, struct address *out)
{
    struct address a = {0};

    if (path.len == 0 || path.len >= sizeof(a.u.unix_.sun_path) ||
        slice_find(path, '\0') >= 0) {
        return RC_BAD;
    }
    a.u.unix_.sun_family = AF_UNIX;
    memcpy(a.u.unix_.sun_path, path.ptr, path.len);
    a.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
    *out = a;
    return RC_OK;
}

enum rc
address_of(struct slice host, uint16_t port, struct address *out)
{
    char text[INET6_ADDRSTRLEN];
    struct address a = {0};

    if (host.len == 0 || host.len >= sizeof(text) ||
        slice_find(host, '\0') >= 0) {
        return RC_BAD;
    }
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    if (inet_pton(AF_INET, text, &a.u.v4.sin_addr) == 1) {
        a.u.v4.sin_family = AF_INET;
        a.u.v4.sin_port = htons(port);
        a.len = sizeof(struct sockaddr_in);
    } else if (inet_pton(AF_INET6, text, &a.u.v6.sin6_addr) == 1) {
        a.u.v6.sin6_family = AF_INET6;
        a.u.v6.sin6_port = htons(port);
        a.len = sizeof(struct sockaddr_in6);
    } else {
        return RC_BAD;
    }
    *out = a;
    return RC_OK;
}

enum rc
address_parse(struct slice text, struct address *out)
{
    struct slice host = text;
    uint64_t port;

    if (slice_starts(text, SLICE("unix:"))) {
        return parse_unix(slice_skip(text, 5), out);
    }
    while (host.len > 0 && host.ptr[host.len - 1] != ':') {
        host.len--;
    }
    if (host.len < 2 ||
        slice_to_u64(slice_skip(text, host.len), 65535, &port) != RC_OK) {
        return RC_BAD;
    }
    host.len--;
    if (host.ptr[0] == '[' && host.ptr[host.len - 1] == ']') {
        host = slice_of(host.ptr + 1, host.len - 2);
    } else if (slice_find(host, ':') >= 0) {
        return RC_BAD;
    }
    return address_of(host, (uint16_t)port, out);
}

/* inet_ntop goes through sprintf, which is most of the cost of a line. */
static void
v4_text(const unsigned char *bytes, char *out)
{
    for (int i = 0; i < 4; i++) {
        unsigned n = bytes[i];
        if (n >= 100) {
            *out++ = (char)('0' + n / 100);
        }
        if (n >= 10) {
            *out++ = (char)('0' + n / 10 % 10);
        }
        *out++ = (char)('0' + n % 10);
        *out++ = i < 3 ? '.' : '\0';
    }
}

const char *
address_host_text(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
    out[0] = '\0';
    if (a->len == 0) {
        return out;
    }
    switch (a->u.any.sa_family) {
    case AF_INET:
        v4_text((const unsigned char *)&a->u.v4.sin_addr, out);
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &a->u.v6.sin6_addr, out, ADDRESS_TEXT_MAX);
        break;
    default:
        snprintf(out, ADDRESS_TEXT_MAX, "unix:");
        break;
    }
    return out;
}

const char *
address_text(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
    char host[ADDRESS_TEXT_MAX];

    if (a->len != 0 && a->u.any.sa_family == AF_UNIX) {
        snprintf(out, ADDRESS_TEXT_MAX, "unix:%s", a->u.unix_.sun_path);
        return out;
    }
    address_host_text(a, host);
    snprintf(out, ADDRESS_TEXT_MAX,
        a->len != 0 && a->u.any.sa_family == AF_INET6 ? "[%.100s]:%u"
                                                      : "%.100s:%u",
        host, (unsigned)address_port(a));
    return out;
}

uint16_t
address_port(const struct address *a)
{
    if (a->len == 0 || a->u.any.sa_family == AF_UNIX) {
        return 0;
    }
    return ntohs(
        a->u.any.sa_family == AF_INET ? a->u.v4.sin_port : a->u.v6.sin6_port);
}

void
address_set_port(struct address *a, uint16_t port)
{
    if (a->u.any.sa_family == AF_INET) {
        a->u.v4.sin_port = htons(port);
    } else if (a->u.any.sa_family == AF_INET6) {
        a->u.v6.sin6_port = htons(port);
    }
}

void
address_unmap(struct address *a)
{
    const struct sockaddr_in6 v6 = a->u.v6;

    if (a->u.any.sa_family != AF_INET6 ||
        !IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
        return;
    }
    *a = (struct address){.len = sizeof(struct sockaddr_in)};
    a->u.v4.sin_family = AF_INET;
    a->u.v4.sin_port = v6.sin6_port;
    memcpy(&a->u.v4.sin_addr, v6.sin6_addr.s6_addr + 12, 4);
}

enum rc
address_of_socket(int fd, struct address *out)
{
    struct address a = {.len = sizeof(a.u)};

    if (getsockname(fd, &a.u.any, &a.len) != 0) {
        return RC_IO;
    }
    *out = a;
    return RC_OK;
}
