/*
 * Invalidation (RFC 9111 4.4). Law: an answer may have things dropped that
 * belong to the origin that gave it, and nothing else; a reference that can
 * be read in two ways drops nothing.
 */
#include "nearside/http/invalidate.h"

#include "http/class.h"
#include "nearside/base/check.h"
#include "nearside/http/uri.h"

bool
invalidate_is_due(enum method method, unsigned status)
{
    return !method_is_safe(method) && status >= 200 && status <= 399;
}

/* --- taking a reference apart (RFC 3986 3, 4.2) -------------------------- */

struct reference {
    struct slice scheme; /* ptr NULL: none; so for the others */
    struct slice authority;
    struct slice path; /* may be empty */
    struct slice query;
};

/* Index of the first of the two, or the length. */
static size_t
find_either(struct slice s, char a, char b)
{
    size_t at = 0;

    while (at < s.len && s.ptr[at] != a && s.ptr[at] != b) {
        at++;
    }
    return at;
}

/* A colon before any slash or question mark ends a scheme. */
static void
take_scheme(struct slice *rest, struct slice *out)
{
    ptrdiff_t colon = slice_find(*rest, ':');

    if (colon >= 0 && (size_t)colon < find_either(*rest, '/', '?')) {
        *out = slice_of(rest->ptr, (size_t)colon);
        *rest = slice_skip(*rest, (size_t)colon + 1);
    }
}

static void
take_apart(struct slice text, struct reference *out)
{
    size_t len = find_either(text, '#', '#');
    ptrdiff_t mark;

    *out = (struct reference){.scheme = {NULL, 0}};
    text.len = len;
    take_scheme(&text, &out->scheme);
    if (slice_starts(text, SLICE("//"))) {
        text = slice_skip(text, 2);
        len = find_either(text, '/', '?');
        out->authority = slice_of(text.ptr, len);
        text = slice_skip(text, len);
    }
    mark = slice_find(text, '?');
    if (mark >= 0) {
        out->query = slice_skip(text, (size_t)mark + 1);
        text.len = (size_t)mark;
    }
    out->path = text;
}

static bool
is_target_text(struct slice s, unsigned classes)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!byte_is(c, classes) && c != '%' && c != '.') {
            return false;
        }
    }
    return true;
}

/* --- resolving (RFC 3986 5.2) -------------------------------------------- */

/* All but the last segment: beside it a relative path stands. */
static struct slice
directory_of(struct slice path)
{
    while (path.len > 0 && path.ptr[path.len - 1] != '/') {
        path.len--;
    }
    return path;
}

static void
write_target(struct writer *w, const struct reference *r, struct slice base)
{
    struct slice query = r->query;

    if (r->path.len > 0) {
        write_slice(
            w, *r->path.ptr == '/' ? SLICE("") : directory_of(uri_path(base)));
        write_slice(w, r->path);
    } else if (r->authority.ptr != NULL) {
        write_slice(w, SLICE("/"));
    } else {
        write_slice(w, uri_path(base));
        query = query.ptr == NULL ? uri_query(base) : query;
    }
    if (query.ptr != NULL) {
        write_slice(w, SLICE("?"));
        write_slice(w, query);
    }
}

static bool
is_same_origin(const struct reference *r, const struct invalidate_base *base)
{
    if (r->authority.ptr == NULL) {
        return r->scheme.ptr == NULL;
    }
    return (r->scheme.ptr == NULL || slice_ieq(r->scheme, base->scheme)) &&
           uri_is_same_authority(r->authority, base->host, base->scheme);
}

/* *out: the origin-form in its one spelling, a loan into w. False: malformed,
   of another origin, or without room. */
static bool
resolve(struct slice text, const struct invalidate_base *base, struct writer *w,
    struct slice *out)
{
    size_t start = w->len;
    struct reference r;

    take_apart(text, &r);
    if (!is_same_origin(&r, base) || !is_target_text(r.path, CLASS_TARGET) ||
        !is_target_text(r.query, CLASS_TARGET | CLASS_QUERY) ||
        base->target.len == 0 || *base->target.ptr != '/') {
        return false;
    }
    write_target(w, &r, base->target);
    if (w->is_full) {
        w->len = start;
        return false;
    }
    *out = slice_of(w->ptr + start, w->len - start);
    out->len = uri_normalise(*out, w->ptr + start);
    w->len = start + out->len;
    return true;
}

/* --- what an answer names ------------------------------------------------ */

static bool
is_listed(const struct slice *targets, size_t count, struct slice target)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_eq(targets[i], target)) {
            return true;
        }
    }
    return false;
}

size_t
invalidate_more(const struct head *response, const struct invalidate_base *base,
    struct writer *w, struct slice out_targets[INVALIDATE_MORE_MAX])
{
    static const enum field_id ids[INVALIDATE_MORE_MAX] = {
        FIELD_LOCATION, FIELD_CONTENT_LOCATION};
    struct slice target;
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        const struct field *f = head_find(response, ids[i]);
        if (f == NULL || head_find_next(response, f) != NULL ||
            !resolve(f->value, base, w, &target) ||
            slice_eq(target, base->target) ||
            is_listed(out_targets, count, target)) {
            continue;
        }
        out_targets[count++] = target;
    }
    return count;
}
