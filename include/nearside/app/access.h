/*
 * Access lines. Combined: the format of Apache and nginx, followed by
 * cache="<result>" tier="<tier>" route="..." and the time taken in seconds.
 * JSON: one object a line. Both are proxy_access_fn; ctx is not used. Every
 * byte from outside is escaped.
 */
#ifndef NEARSIDE_APP_ACCESS_H
#define NEARSIDE_APP_ACCESS_H

#include "nearside/proxy/proxy.h"

void access_combined(
    void *ctx, struct log_ring *ring, const struct proxy_access *access);
void access_json(
    void *ctx, struct log_ring *ring, const struct proxy_access *access);

#endif
