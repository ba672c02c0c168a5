/*
 * The title of a route: `[METHOD ' '] [host] /path`. The path is cut at each
 * '/'; a piece is a literal, `:name` for one segment, or a last `*` for all
 * that is left. Literals are compared byte by byte with the target's one
 * spelling, so a pattern that no accepted request can match is refused here.
 */
#include "app/conf/build.h"

#include <ctype.h>
#include <stdio.h>

#include "nearside/app/conf/value/value.h"
#include "nearside/base/check.h"
#include "nearside/http/uri.h"

enum {
    HOST_LEN_MAX = 255,
    SEGMENTS_MAX = 64,
    SHOWN_MAX = 64, /* bytes of the title in an explanation */
};

struct title {
    struct route *route;
    struct slice rest; /* what has not been read yet */
    struct arena *arena;
    char *why;
    struct route_segment segments[SEGMENTS_MAX];
    size_t len;
};

static int
shown_len(struct slice s)
{
    return s.len > SHOWN_MAX ? SHOWN_MAX : (int)s.len;
}

static enum rc
read_method(struct title *t)
{
    ptrdiff_t blank = slice_find(t->rest, ' ');
    struct slice method = slice_of(t->rest.ptr, blank < 0 ? 0 : (size_t)blank);
    const char *fault;

    if (blank < 0) {
        return RC_OK;
    }
    if (method.len == 0) {
        return WHY(
            t, "it begins with a method, a host or '/', not with a blank");
    }
    if (method.ptr[0] == '/') {
        return WHY(t, "a blank in a path is written %%20");
    }
    fault = conf_method_fault(method);
    if (fault != NULL) {
        return WHY(t, "'%.*s' before the blank: %s", shown_len(method),
            method.ptr, fault);
    }
    t->rest = slice_skip(t->rest, method.len + 1);
    t->route->method = method;
    return RC_OK;
}

static enum rc
read_host(struct title *t)
{
    ptrdiff_t slash = slice_find(t->rest, '/');
    struct slice host = slice_of(t->rest.ptr, slash < 0 ? 0 : (size_t)slash);
    char name[HOST_LEN_MAX + 1];

    if (slash < 0) {
        return WHY(t, "there is no '/': a title is \"/path\", \"METHOD /path\" "
                      "or \"host/path\"");
    }
    t->rest = slice_skip(t->rest, host.len);
    if (host.len == 0) {
        return RC_OK;
    }
    if (slice_eq(host, SLICE("http:")) || slice_eq(host, SLICE("https:"))) {
        return WHY(t, "a title has no scheme; write the host alone");
    }
    if (host.len > HOST_LEN_MAX || !uri_is_authority(host)) {
        return WHY(t, "'%.*s' is not a host", shown_len(host), host.ptr);
    }
    host.len = uri_authority_normalise(host, SLICE("http"), name);
    return arena_copy(t->arena, slice_of(name, host.len), &t->route->host);
}

/* A byte that a target may hold in its path (RFC 3986 pchar), but for the one
   that makes it ambiguous and so never stored. */
static bool
is_literal_at(struct slice s, size_t i)
{
    char c = s.ptr[i];

    if (c == '%') {
        return i + 2 < s.len && isxdigit((unsigned char)s.ptr[i + 1]) &&
               isxdigit((unsigned char)s.ptr[i + 2]);
    }
    return isalnum((unsigned char)c) ||
           (c != '\0' && strchr("-._~!$&'()+,=:@", c) != NULL);
}

static bool
is_literal(struct slice s)
{
    size_t i = 0;

    while (i < s.len && is_literal_at(s, i)) {
        i++;
    }
    return i == s.len;
}

/* How the segment would be written in a target; cut where there is no more
   room. */
static void
spell_out(struct slice s, char out[2 * SHOWN_MAX])
{
    size_t len = 0;

    for (size_t i = 0; i < s.len && len + 4 <= 2 * SHOWN_MAX; i++) {
        if (is_literal_at(s, i)) {
            out[len++] = s.ptr[i];
        } else {
            len += (size_t)snprintf(
                out + len, 4, "%%%02X", (unsigned)(unsigned char)s.ptr[i]);
        }
    }
    out[len] = '\0';
}

static enum rc
refuse_literal(struct title *t, struct slice s)
{
    char spelled[2 * SHOWN_MAX];

    if (slice_find(s, '?') >= 0) {
        return WHY(t, "a pattern has no query; see the option `query`");
    }
    if (slice_find(s, '*') >= 0) {
        return WHY(t, "'*' stands alone, as the last segment: \"/files/*\"");
    }
    if (s.len > 2 && s.ptr[0] == '{' && s.ptr[s.len - 1] == '}') {
        return WHY(t, "a parameter is written ':%.*s', not '%.*s'",
            shown_len(s) - 2, s.ptr + 1, shown_len(s), s.ptr);
    }
    if (slice_find(s, ';') >= 0) {
        return WHY(t,
            "'%.*s': what is asked for with ';' is never stored, as servers "
            "read it in different ways; ':name' matches such a segment too",
            shown_len(s), s.ptr);
    }
    spell_out(s, spelled);
    return WHY(t, "'%.*s' holds a byte that no path has; did you mean '%s'?",
        shown_len(s), s.ptr, spelled);
}

static bool
has_param(const struct route_segment *segments, size_t len, struct slice name)
{
    for (size_t i = 0; i < len; i++) {
        if (segments[i].kind == ROUTE_SEGMENT_PARAM &&
            slice_eq(segments[i].text, name)) {
            return true;
        }
    }
    return false;
}

/* name stands behind the ':'. */
static enum rc
check_param(struct title *t, struct slice name)
{
    if (!conf_text_is_name(name)) {
        return WHY(t,
            "':%.*s': a parameter is named by letters, digits and '_'",
            shown_len(name), name.ptr);
    }
    if (has_param(t->segments, t->len, name)) {
        return WHY(t, "two parameters are named ':%.*s'", SLICE_FMT(name));
    }
    return RC_OK;
}

/* Requests are matched in their one spelling (http/uri.h): so is this. */
static enum rc
spell(struct arena *arena, struct slice *piece)
{
    char *text = arena_alloc(arena, piece->len + 1);

    if (text == NULL) {
        return RC_NOMEM;
    }
    *piece = slice_of(text, uri_normalise(*piece, text));
    return RC_OK;
}

/* One piece between two '/'. */
static enum rc
read_segment(struct title *t, struct slice piece, bool is_last)
{
    enum route_segment_kind kind = ROUTE_SEGMENT_LITERAL;
    enum rc rc;

    if (t->len == SEGMENTS_MAX) {
        return WHY(t, "more than %d segments", SEGMENTS_MAX);
    }
    rc = spell(t->arena, &piece);
    if (rc != RC_OK) {
        return rc;
    }
    if (slice_starts(piece, SLICE(":"))) {
        kind = ROUTE_SEGMENT_PARAM;
        piece = slice_skip(piece, 1);
        rc = check_param(t, piece);
    } else if (is_last && slice_eq(piece, SLICE("*"))) {
        kind = ROUTE_SEGMENT_TAIL;
    } else if (!is_literal(piece)) {
        rc = refuse_literal(t, piece);
    } else if (piece.len == 0 && !is_last) {
        rc = WHY(t, "'//' in a path is ambiguous and never stored");
    } else if (slice_eq(piece, SLICE(".")) || slice_eq(piece, SLICE(".."))) {
        rc = WHY(t, "a path with '%.*s' is refused, it cannot be matched",
            SLICE_FMT(piece));
    }
    if (rc == RC_OK) {
        t->segments[t->len++] = (struct route_segment){kind, piece};
    }
    return rc;
}

/* The rest begins with '/'. */
static enum rc
read_path(struct title *t)
{
    struct slice rest = slice_skip(t->rest, 1);
    struct slice piece;
    enum rc rc = RC_OK;

    MUST(slice_starts(t->rest, SLICE("/")));
    while (rc == RC_OK && slice_split(&rest, '/', &piece)) {
        rc = read_segment(t, piece, rest.ptr == NULL);
    }
    return rc;
}

enum rc
conf_title_read(struct route *route, struct arena *arena, char *why)
{
    struct title t = {
        .route = route, .rest = route->title, .arena = arena, .why = why};
    struct route_segment *segments;
    enum rc rc;

    MUST(route->segments == NULL); /* once */
    MUST(why != NULL);
    rc = read_method(&t);
    if (rc == RC_OK) {
        rc = read_host(&t);
    }
    if (rc == RC_OK) {
        rc = read_path(&t);
    }
    if (rc != RC_OK) {
        return rc;
    }
    MUST(t.len > 0);
    segments = arena_alloc(arena, t.len * sizeof(*segments));
    if (segments == NULL) {
        return RC_NOMEM;
    }
    memcpy(segments, t.segments, t.len * sizeof(*segments));
    route->segments = segments;
    route->segments_len = t.len;
    return RC_OK;
}

bool
conf_title_has_param(const struct route *route, struct slice name)
{
    return has_param(route->segments, route->segments_len, name);
}
