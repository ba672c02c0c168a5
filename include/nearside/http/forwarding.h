/*
 * Forwarding fields: request fields by which somebody on the way says what
 * the request really is, or from whom. Frameworks believe them, and caches do
 * not key them: so whoever may send one chooses what others are answered. A
 * proxy that we trust may send them; what we pass on of them is keyed. From
 * anybody else they are untrusted, and we drop them.
 */
#ifndef NEARSIDE_HTTP_FORWARDING_H
#define NEARSIDE_HTTP_FORWARDING_H

#include "nearside/http/head.h"

enum forwarding {
    FORWARDING_NONE,
    FORWARDING_OVERRIDE, /* another method or target: never passed on */
    FORWARDING_SITE,     /* host, scheme, port, path as the client saw them */
    FORWARDING_ADDRESS,  /* who the client is */
};

enum forwarding forwarding_of(const struct field *f);

/* The same for a name in any case. */
enum forwarding forwarding_of_name(struct slice name);

#endif
