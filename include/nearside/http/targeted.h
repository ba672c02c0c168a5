/*
 * Targeted cache control (RFC 9213): fields that speak to this cache. Where
 * one is valid, it decides alone.
 */
#ifndef NEARSIDE_HTTP_TARGETED_H
#define NEARSIDE_HTTP_TARGETED_H

#include "nearside/http/cache_control.h"

/*
 * The target list: lower-case names, first the one that counts most. Both
 * borrowed. For instance {"nearside-cache-control", "cdn-cache-control"}.
 */
struct targeted_list {
    const struct slice *names;
    size_t count;
};

/*
 * Puts the response's cache control into *out. True: it comes from the first
 * field of the list that is valid and not empty, and the response's
 * Cache-Control and Expires mean nothing here (see fresh_opts). False: there
 * is no such field, and it comes from Cache-Control.
 * A field that is no structured dictionary is ignored as a whole; how a valid
 * one is read says cache_control_add_dictionary.
 */
bool targeted_read(const struct head *response,
    const struct targeted_list *list, struct cache_control *out);

/* Is it a name of the list? Such fields are not passed on unless asked. */
bool targeted_has(const struct targeted_list *list, struct slice name);

#endif
