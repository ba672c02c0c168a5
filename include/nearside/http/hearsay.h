/*
 * Hearsay: request fields by which somebody on the way says what the request
 * really is, or from whom. Frameworks believe them, caches do not key them:
 * whoever may send one chooses what the others are answered. So it depends
 * on who sends it whether it is passed on, and what is passed on is keyed.
 */
#ifndef NEARSIDE_HTTP_HEARSAY_H
#define NEARSIDE_HTTP_HEARSAY_H

#include "nearside/http/head.h"

enum hearsay {
    HEARSAY_NONE,
    HEARSAY_OVERRIDE, /* another method or target: never passed on */
    HEARSAY_VIEW,     /* host, scheme, port, path as the client saw them */
    HEARSAY_ADDRESS,  /* who the client is */
};

enum hearsay hearsay_of(const struct field *f);

/* The same for a name in any case. */
enum hearsay hearsay_of_name(struct slice name);

#endif
