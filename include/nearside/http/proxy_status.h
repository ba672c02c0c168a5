/* Proxy-Status (RFC 9209): what went wrong on the way to an answer. */
#ifndef NEARSIDE_HTTP_PROXY_STATUS_H
#define NEARSIDE_HTTP_PROXY_STATUS_H

#include "nearside/http/write.h"

/* The whole line, "proxy-status: name; error=dns_timeout\r\n", or nothing and
   w is full. name: of this proxy, not empty. error: a proxy error type (2.3), a
   token, or empty: not said. */
void proxy_status_write_line(
    struct writer *w, struct slice name, struct slice error);

#endif
