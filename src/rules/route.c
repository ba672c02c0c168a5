/*
 * Finds a request's route. Paths come in their one spelling and are compared
 * byte by byte. A cache that decodes more than that reads some paths
 * differently from the origin, and can be tricked by them.
 */
#include "nearside/rules/route.h"

#include "nearside/base/check.h"

/* Where the segment ends that the path has at `at`, if it is the route's; or
   NULL. A literal is compared where it would stand: nearly all routes that are
   not the one are left at their first segment. */
static const char *
match_segment(
    const struct route_segment *segment, const char *at, const char *end)
{
    struct slice rest = slice_of(at, (size_t)(end - at));
    size_t len = segment->text.len;
    const char *stop;

    if (segment->kind == ROUTE_SEGMENT_PARAM) {
        stop = memchr(at, '/', rest.len);
        stop = stop == NULL ? end : stop;
        return stop == at ? NULL : stop;
    }
    if (!slice_starts(rest, segment->text)) {
        return NULL;
    }
    return len == rest.len || at[len] == '/' ? at + len : NULL;
}

static bool
match_segments(const struct route *route, struct slice path)
{
    const char *end = path.ptr + path.len;
    const char *at = path.ptr + 1; /* NULL: behind the last segment */

    MUST(route->segments_len > 0);
    for (size_t i = 0; i < route->segments_len; i++) {
        const struct route_segment *segment = &route->segments[i];
        const char *stop;
        if (segment->kind == ROUTE_SEGMENT_TAIL) {
            return at != NULL;
        }
        stop = at == NULL ? NULL : match_segment(segment, at, end);
        if (stop == NULL) {
            return false;
        }
        at = stop == end ? NULL : stop + 1;
    }
    return at == NULL;
}

bool
route_host_matches(struct slice want, struct slice host)
{
    if (want.len == 0 || slice_eq(want, host)) {
        return true;
    }
    return host.len > want.len && host.ptr[want.len] == ':' &&
           slice_starts(host, want) &&
           (want.ptr[want.len - 1] == ']' || slice_find(want, ':') < 0);
}

/* Where GET is meant, HEAD is too (RFC 9110 9.3.2). */
static bool
match_method(struct slice want, struct slice method)
{
    return slice_eq(want, method) ||
           (slice_eq(want, SLICE("GET")) && slice_eq(method, SLICE("HEAD")));
}

ptrdiff_t
route_match(const struct route *routes, size_t routes_len, struct slice method,
    struct slice host, struct slice path)
{
    MUST(routes != NULL || routes_len == 0);
    if (path.len == 0 || path.ptr[0] != '/') {
        return -1;
    }
    for (size_t i = 0; i < routes_len; i++) {
        const struct route *route = &routes[i];
        if ((route->method.len == 0 || match_method(route->method, method)) &&
            match_segments(route, path) &&
            route_host_matches(route->host, host)) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

bool
route_allows(const struct route *route, struct slice method)
{
    MUST(route != NULL);
    for (size_t i = 0; i < route->methods_len; i++) {
        if (match_method(route->methods[i], method)) {
            return true;
        }
    }
    return route->methods_len == 0;
}
