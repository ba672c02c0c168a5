/* Proxy-Status (RFC 9209): what went wrong on the way to an answer. */
#ifndef NEARSIDE_HTTP_PROXY_STATUS_H
#define NEARSIDE_HTTP_PROXY_STATUS_H

#include "nearside/http/write.h"

/* Zero: not said. */
struct proxy_status {
    struct slice name;  /* of this proxy; not empty */
    struct slice error; /* a proxy error type (2.3), a token */
    struct slice next_hop;
    unsigned received_status; /* what the next hop answered */
    struct slice details;
};

/* The whole line, "proxy-status: name; error=dns_timeout\r\n", or
   nothing and w is full. */
void proxy_status_write_line(struct writer *w, const struct proxy_status *s);

#endif
