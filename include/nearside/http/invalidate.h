/*
 * Invalidation (RFC 9111 4.4): what an unsafe request that succeeded may
 * have changed.
 */
#ifndef NEARSIDE_HTTP_INVALIDATE_H
#define NEARSIDE_HTTP_INVALIDATE_H

#include "nearside/http/write.h"

enum {
    INVALIDATE_MORE_MAX = 2, /* Location, Content-Location */
};

/*
 * Is the target URI to be dropped? When an unsafe or unknown method was
 * answered with 2xx or 3xx.
 */
bool invalidate_is_due(enum method method, unsigned status);

/* The URI that was asked for. */
struct invalidate_base {
    struct slice scheme; /* "http" or "https" */
    struct slice host;   /* uri-host [":" port] */
    struct slice target; /* origin-form, in its one spelling (uri.h) */
};

/*
 * Further targets to drop, in origin-form: Location and Content-Location,
 * resolved against base (RFC 3986 5.2), where they are of the same origin
 * (scheme, host, port), well-formed, and neither base's target nor each
 * other. Their text is written to w, out_targets are loans into it; what
 * does not fit is left out. A field that stands twice is not looked at.
 * Returns how many. w->cap of INVALIDATE_MORE_MAX * (base target + longest
 * field) bytes is always enough.
 */
size_t invalidate_more(const struct head *response,
    const struct invalidate_base *base, struct writer *w,
    struct slice out_targets[INVALIDATE_MORE_MAX]);

#endif
