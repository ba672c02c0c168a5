/*
 * The title of a route: `[METHOD ' '] [host] /path`. The path is cut at each
 * '/'; a piece is a literal, `:name` for one segment, or a last `*` for all
 * that is left. Literals are compared byte by byte with the raw target, so a
 * pattern that no accepted request can match is refused here.
 */
#include "conf_inside.h"

#include <ctype.h>

#include "nearside/base/check.h"
#include "nearside/http/uri.h"

enum {
    METHOD_LEN_MAX = 32,
    HOST_LEN_MAX = 255,
    SEGMENTS_MAX = 64,
};

#define WHY(...) (snprintf(why, CONF_WHY_MAX, __VA_ARGS__), RC_BAD)

static enum rc
read_method(struct conf_route *route, struct slice *rest, struct arena *arena,
    char why[CONF_WHY_MAX])
{
    ptrdiff_t blank = slice_find(*rest, ' ');
    struct slice method;

    if (blank < 0) {
        return RC_OK;
    }
    method = slice_of(rest->ptr, (size_t)blank);
    for (size_t i = 0; i < method.len; i++) {
        if (!isupper((unsigned char)method.ptr[i]) && method.ptr[i] != '-') {
            return WHY("'%.*s' before the blank is not a method in capitals",
                SLICE_FMT(method));
        }
    }
    if (method.len == 0 || method.len > METHOD_LEN_MAX) {
        return WHY("it begins with a method, a host or '/', not with a blank");
    }
    if (slice_eq(method, SLICE("CONNECT")) ||
        slice_eq(method, SLICE("TRACE"))) {
        return WHY("%.*s is never served", SLICE_FMT(method));
    }
    *rest = slice_skip(*rest, method.len + 1);
    route->method = conf_copy(arena, method);
    return route->method == NULL ? RC_NOMEM : RC_OK;
}

static enum rc
read_host(struct conf_route *route, struct slice *rest, struct arena *arena,
    char why[CONF_WHY_MAX])
{
    ptrdiff_t slash = slice_find(*rest, '/');
    char name[HOST_LEN_MAX + 1];
    struct slice host;

    if (slash < 0) {
        return WHY("there is no '/': a title is \"/path\", \"METHOD /path\" or "
                   "\"host/path\"");
    }
    host = slice_of(rest->ptr, (size_t)slash);
    *rest = slice_skip(*rest, host.len);
    if (host.len == 0) {
        return RC_OK;
    }
    if (slice_eq(host, SLICE("http:")) || slice_eq(host, SLICE("https:"))) {
        return WHY("a title has no scheme; write the host alone");
    }
    if (host.len > HOST_LEN_MAX || !uri_is_authority(host)) {
        return WHY("'%.*s' is not a host", host.len > 64 ? 64 : (int)host.len,
            host.ptr);
    }
    host.len = uri_authority_normalise(host, SLICE("http"), name);
    route->host = conf_copy(arena, slice_of(name, host.len));
    return route->host == NULL ? RC_NOMEM : RC_OK;
}

static bool
is_name(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!isalnum((unsigned char)s.ptr[i]) && s.ptr[i] != '_') {
            return false;
        }
    }
    return s.len > 0 && !isdigit((unsigned char)s.ptr[0]);
}

/* Bytes that a target may hold in its path (RFC 3986 pchar), without the
   ones that make it ambiguous and so never stored. */
static bool
is_literal(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c == '%') {
            if (i + 2 >= s.len || !isxdigit((unsigned char)s.ptr[i + 1]) ||
                !isxdigit((unsigned char)s.ptr[i + 2])) {
                return false;
            }
        } else if (!isalnum((unsigned char)c) &&
                   (c == '\0' || strchr("-._~!$&'()+,=:@", c) == NULL)) {
            return false;
        }
    }
    return true;
}

static enum rc
refuse_literal(struct slice s, char why[CONF_WHY_MAX])
{
    int len = s.len > 64 ? 64 : (int)s.len;

    if (slice_find(s, '?') >= 0) {
        return WHY("a pattern has no query; see the option `query`");
    }
    if (slice_find(s, '*') >= 0) {
        return WHY("'*' stands alone, as the last segment: \"/files/*\"");
    }
    if (s.len > 2 && s.ptr[0] == '{' && s.ptr[s.len - 1] == '}') {
        return WHY("a parameter is written ':%.*s', not '%.*s'", len - 2,
            s.ptr + 1, len, s.ptr);
    }
    return WHY(
        "'%.*s' holds a byte that no path has; write it as %%XX", len, s.ptr);
}

static enum rc
read_param(const struct conf_pattern *pattern, struct slice name,
    char why[CONF_WHY_MAX])
{
    if (!is_name(name)) {
        return WHY("':%.*s': a parameter is named by letters, digits and '_'",
            name.len > 64 ? 64 : (int)name.len, name.ptr);
    }
    for (size_t i = 0; i < pattern->count; i++) {
        const struct conf_segment *s = &pattern->segments[i];

        if (s->kind == CONF_SEGMENT_PARAM &&
            slice_eq(slice_of_str(s->text), name)) {
            return WHY("two parameters are named ':%.*s'", SLICE_FMT(name));
        }
    }
    return RC_OK;
}

/* One piece between two '/'. */
static enum rc
read_segment(struct conf_pattern *pattern, struct slice piece, bool is_last,
    struct arena *arena, char why[CONF_WHY_MAX])
{
    struct conf_segment *segment = &pattern->segments[pattern->count];
    enum rc rc = RC_OK;

    piece = slice_of_str(conf_spelled(arena, piece));
    if (piece.ptr == NULL) {
        return RC_NOMEM;
    }
    segment->kind = CONF_SEGMENT_LITERAL;
    if (piece.len > 0 && piece.ptr[0] == ':') {
        segment->kind = CONF_SEGMENT_PARAM;
        piece = slice_skip(piece, 1);
        rc = read_param(pattern, piece, why);
    } else if (is_last && slice_eq(piece, SLICE("*"))) {
        segment->kind = CONF_SEGMENT_TAIL;
    } else if (!is_literal(piece)) {
        rc = refuse_literal(piece, why);
    } else if (piece.len == 0 && !is_last) {
        rc = WHY("'//' in a path is ambiguous and never stored");
    } else if (slice_eq(piece, SLICE(".")) || slice_eq(piece, SLICE(".."))) {
        rc = WHY("a path with '%.*s' is refused, it cannot be matched",
            SLICE_FMT(piece));
    }
    if (rc != RC_OK) {
        return rc;
    }
    segment->text = piece.ptr;
    pattern->count++;
    return RC_OK;
}

/* path begins with '/'. */
static enum rc
read_pattern(struct conf_pattern *pattern, struct slice path,
    struct arena *arena, char why[CONF_WHY_MAX])
{
    pattern->segments =
        arena_zalloc(arena, SEGMENTS_MAX * sizeof(*pattern->segments));
    if (pattern->segments == NULL) {
        return RC_NOMEM;
    }
    while (path.len > 0) {
        struct slice rest = slice_skip(path, 1);
        ptrdiff_t slash = slice_find(rest, '/');
        size_t len = slash < 0 ? rest.len : (size_t)slash;
        enum rc rc;

        if (pattern->count == SEGMENTS_MAX) {
            return WHY("more than %d segments", SEGMENTS_MAX);
        }
        rc = read_segment(
            pattern, slice_of(rest.ptr, len), slash < 0, arena, why);
        if (rc != RC_OK) {
            return rc;
        }
        path = slice_skip(rest, len);
    }
    return RC_OK;
}

enum rc
conf_title_read(
    struct conf_route *route, struct arena *arena, char why[CONF_WHY_MAX])
{
    struct slice rest = slice_of_str(route->title);
    enum rc rc;

    MUST(route->title != NULL);
    rc = read_method(route, &rest, arena, why);
    if (rc == RC_OK) {
        rc = read_host(route, &rest, arena, why);
    }
    if (rc == RC_OK) {
        rc = read_pattern(&route->pattern, rest, arena, why);
    }
    return rc;
}

static bool
is_same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool
conf_title_is_same(const struct conf_route *a, const struct conf_route *b)
{
    if (!is_same_text(a->method, b->method) ||
        !is_same_text(a->host, b->host) ||
        a->pattern.count != b->pattern.count) {
        return false;
    }
    for (size_t i = 0; i < a->pattern.count; i++) {
        const struct conf_segment *x = &a->pattern.segments[i];
        const struct conf_segment *y = &b->pattern.segments[i];

        if (x->kind != y->kind || (x->kind == CONF_SEGMENT_LITERAL &&
                                      strcmp(x->text, y->text) != 0)) {
            return false;
        }
    }
    return true;
}
