/*
 * Finds a request's route. Paths come in their one spelling and are compared
 * byte by byte. A cache that decodes more than that reads some paths
 * differently from the origin, and can be tricked by them.
 */
#include "nearside/rules/route.h"

#include "nearside/base/check.h"

static bool
match_segments(const struct route *route, struct slice path)
{
    struct slice rest = slice_skip(path, 1);

    MUST(route->segments_len > 0);
    for (size_t i = 0; i < route->segments_len; i++) {
        const struct route_segment *segment = &route->segments[i];
        struct slice part;
        if (segment->kind == ROUTE_SEGMENT_TAIL) {
            return rest.ptr != NULL;
        }
        if (!slice_split(&rest, '/', &part)) {
            return false;
        }
        if (segment->kind == ROUTE_SEGMENT_PARAM
                ? part.len == 0
                : !slice_eq(part, segment->text)) {
            return false;
        }
    }
    return rest.ptr == NULL;
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
