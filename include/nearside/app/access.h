/*
 * Two functions that write an access line; each is a request_access_fn.
 * Combined: the format of Apache and nginx, what the cache did, and the time it
 * took:
 *
 *     192.0.2.1 - - [23/Nov/2026:03:12:37 +0000] "GET /products/42 HTTP/1.1"
 *     200 43 "referer" "user agent" cache=hit tier=shared
 *     route="/products/:id" time=0.000213
 *
 * in one line, with detail="..." behind it when there is one; "-" stands for
 * what is absent. JSON: the same and the host, one object a line; null
 * stands for what is absent. A client that left before its answer has status
 * 499. Every byte from outside is escaped, long texts are cut with "...",
 * and no field but Host, Referer and User-Agent is ever shown.
 */
#ifndef NEARSIDE_APP_ACCESS_H
#define NEARSIDE_APP_ACCESS_H

#include "nearside/proxy/proxy.h"

void access_combined(
    struct log_ring *ring, const struct request_access *access);
void access_json(struct log_ring *ring, const struct request_access *access);

#endif
