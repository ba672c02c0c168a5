/*
 * The cookies that count on a route: where it names them, no other is keyed or
 * forwarded (RFC 6265 4.2).
 */
#ifndef NEARSIDE_RULES_COOKIES_H
#define NEARSIDE_RULES_COOKIES_H

#include "nearside/base/arena.h"
#include "nearside/http/head.h"
#include "nearside/rules/route.h"

/*
 * The head with those cookies alone, in one Cookie line; the head itself where
 * the route names none or no cookie came. Names are compared byte by byte. What
 * has no name is no cookie that counts. RC_NOMEM.
 */
enum rc cookies_keep(struct arena *arena, const struct route *route,
    const struct head *head, const struct head **out) RC_MUST_CHECK;

#endif
