/*
 * Which requests two titles have in common, by their hosts, methods and
 * patterns. Piece by piece: `*` is one piece or more, `:name` one that is not
 * empty, anything else itself. A title that was refused has no pieces, and no
 * requests.
 */
#include "app/conf/build.h"

#include "nearside/base/check.h"

static const struct route_segment *
piece_at(const struct route *route, size_t i)
{
    return i < route->segments_len ? &route->segments[i] : NULL;
}

/* Does a match whatever b matches? Neither is a tail. */
static bool
piece_covers(const struct route_segment *a, const struct route_segment *b)
{
    if (a->kind == ROUTE_SEGMENT_PARAM) {
        return b->kind == ROUTE_SEGMENT_PARAM || b->text.len > 0;
    }
    return b->kind == ROUTE_SEGMENT_LITERAL && slice_eq(a->text, b->text);
}

static bool
path_covers(const struct route *a, const struct route *b)
{
    for (size_t i = 0;; i++) {
        const struct route_segment *x = piece_at(a, i), *y = piece_at(b, i);

        if (x == NULL || y == NULL) {
            return x == y && i > 0;
        }
        if (x->kind == ROUTE_SEGMENT_TAIL) {
            return true;
        }
        if (y->kind == ROUTE_SEGMENT_TAIL || !piece_covers(x, y)) {
            return false;
        }
    }
}

static bool
path_meets(const struct route *a, const struct route *b)
{
    for (size_t i = 0;; i++) {
        const struct route_segment *x = piece_at(a, i), *y = piece_at(b, i);

        if (x == NULL || y == NULL) {
            return x == y && i > 0;
        }
        if (x->kind == ROUTE_SEGMENT_TAIL || y->kind == ROUTE_SEGMENT_TAIL) {
            return true;
        }
        if (!piece_covers(x, y) && !piece_covers(y, x)) {
            return false;
        }
    }
}

static bool
method_covers(struct slice a, struct slice b)
{
    return a.len == 0 || slice_eq(a, b) ||
           (slice_eq(a, SLICE("GET")) && slice_eq(b, SLICE("HEAD")));
}

bool
conf_title_covers(const struct route *a, const struct route *b)
{
    MUST(a != b);
    return method_covers(a->method, b->method) &&
           route_host_matches(a->host, b->host) && path_covers(a, b);
}

bool
conf_title_meets(const struct route *a, const struct route *b)
{
    return (route_host_matches(a->host, b->host) ||
               route_host_matches(b->host, a->host)) &&
           path_meets(a, b);
}
