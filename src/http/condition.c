/*
 * Conditional requests (RFC 9110 13, RFC 9111 4.3). Law: we answer "not
 * modified", or a part, only where all that leads to it is well-formed and
 * certain. In doubt the whole response goes out, which is never wrong.
 */
#include "nearside/http/condition.h"

#include "nearside/base/check.h"
#include "nearside/http/date.h"
#include "nearside/http/stored_lines.h"
#include "http/validator.h"

/* --- entity tags (RFC 9110 8.8.3) ---------------------------------------- */

static bool
is_etagc(char c)
{
    unsigned char byte = (unsigned char)c;

    return byte >= 0x21 && byte != '"' && byte != 0x7f;
}

/* Takes a tag off *rest. */
static bool
take_tag(struct slice *rest, struct entity_tag *out)
{
    bool is_weak = slice_starts(*rest, SLICE("W/"));
    struct slice at = slice_skip(*rest, is_weak ? 2 : 0);
    size_t len = 0;

    if (at.len == 0 || at.ptr[0] != '"') {
        return false;
    }
    at = slice_skip(at, 1);
    while (len < at.len && is_etagc(at.ptr[len])) {
        len++;
    }
    if (len == at.len || at.ptr[len] != '"') {
        return false;
    }
    *out = (struct entity_tag){slice_of(at.ptr, len), is_weak};
    *rest = slice_skip(at, len + 1);
    return true;
}

enum rc
entity_tag_parse(struct slice s, struct entity_tag *out)
{
    struct entity_tag tag;

    if (!take_tag(&s, &tag) || s.len > 0) {
        return RC_BAD;
    }
    *out = tag;
    return RC_OK;
}

bool
entity_tag_matches_strongly(
    const struct entity_tag *a, const struct entity_tag *b)
{
    return !a->is_weak && !b->is_weak && slice_eq(a->opaque, b->opaque);
}

bool
entity_tag_matches_weakly(
    const struct entity_tag *a, const struct entity_tag *b)
{
    return slice_eq(a->opaque, b->opaque);
}

/* --- what is stored ------------------------------------------------------ */

bool
validator_tag(struct slice lines, struct entity_tag *out)
{
    struct slice text;

    return stored_find_single(lines, SLICE("etag"), &text) &&
           entity_tag_parse(text, out) == RC_OK;
}

bool
validator_date(
    struct slice lines, struct slice name, int64_t now_s, int64_t *out_s)
{
    struct slice text;

    return stored_find_single(lines, name, &text) &&
           date_parse(text, now_s, out_s) == RC_OK;
}

bool
validator_is_strong_date(int64_t modified_s, int64_t date_s)
{
    return date_s >= modified_s &&
           date_s - modified_s >= VALIDATOR_STRONG_AFTER_S;
}

/* --- If-None-Match (RFC 9110 13.1.2) ------------------------------------- */

static struct slice
skip_separators(struct slice s)
{
    while (s.len > 0 && (*s.ptr == ',' || *s.ptr == ' ' || *s.ptr == '\t')) {
        s = slice_skip(s, 1);
    }
    return s;
}

/* RC_OK: one of the list is the tag. RC_MISS: none is. RC_BAD: no list. */
static enum rc
find_tag(struct slice list, const struct entity_tag *tag)
{
    struct entity_tag member;
    enum rc rc = RC_MISS;

    list = skip_separators(list);
    while (list.len > 0) {
        if (!take_tag(&list, &member)) {
            return RC_BAD;
        }
        if (entity_tag_matches_weakly(&member, tag)) {
            rc = RC_OK;
        }
        list = slice_trim(list);
        if (list.len > 0 && *list.ptr != ',') {
            return RC_BAD;
        }
        list = skip_separators(list);
    }
    return rc;
}

/* All lines of the field; f is the first. */
static bool
matches_none_match(const struct head *request, const struct field *f,
    const struct condition_stored *stored)
{
    struct entity_tag tag;
    bool found = false;

    if (slice_eq(f->value, SLICE("*"))) {
        return head_find_next(request, f) == NULL;
    }
    if (!validator_tag(stored->lines, &tag)) {
        return false;
    }
    for (; f != NULL; f = head_find_next(request, f)) {
        enum rc rc = find_tag(f->value, &tag);
        if (rc == RC_BAD) {
            return false;
        }
        found = found || rc == RC_OK;
    }
    return found;
}

/* --- If-Modified-Since (RFC 9110 13.1.3, RFC 9111 4.3.2) ----------------- */

/* The value of a field that may stand once only and be a date. */
static bool
read_date(const struct head *request, const struct field *f, int64_t now_s,
    int64_t *out_s)
{
    return head_find_next(request, f) == NULL &&
           date_parse(f->value, now_s, out_s) == RC_OK;
}

static bool
is_unmodified_since(const struct head *request, const struct field *f,
    const struct condition_stored *stored, int64_t now_s)
{
    int64_t since_s, modified_s;

    if (!read_date(request, f, now_s, &since_s)) {
        return false;
    }
    if (!validator_date(
            stored->lines, SLICE("last-modified"), now_s, &modified_s) &&
        !validator_date(stored->lines, SLICE("date"), now_s, &modified_s)) {
        modified_s = stored->received_s;
    }
    return modified_s <= since_s;
}

/* --- If-Range (RFC 9110 13.1.5) ------------------------------------------ */

static bool
is_same_date(const struct head *request, const struct field *f,
    const struct condition_stored *stored, int64_t now_s)
{
    int64_t wanted_s, modified_s, date_s;

    return read_date(request, f, now_s, &wanted_s) &&
           validator_date(
               stored->lines, SLICE("last-modified"), now_s, &modified_s) &&
           validator_date(stored->lines, SLICE("date"), now_s, &date_s) &&
           validator_is_strong_date(modified_s, date_s) &&
           wanted_s == modified_s;
}

static bool
is_range_wanted(const struct head *request,
    const struct condition_stored *stored, int64_t now_s)
{
    const struct field *f = head_find(request, FIELD_IF_RANGE);
    struct entity_tag wanted, tag;
    struct slice opening;

    if (f == NULL) {
        return true;
    }
    /* A quote among the first three tells a tag from a date (13.1.5). */
    opening = f->value;
    opening.len = opening.len < 3 ? opening.len : 3;
    if (slice_find(opening, '"') < 0) {
        return is_same_date(request, f, stored, now_s);
    }
    return head_find_next(request, f) == NULL &&
           entity_tag_parse(f->value, &wanted) == RC_OK &&
           validator_tag(stored->lines, &tag) &&
           entity_tag_matches_strongly(&wanted, &tag);
}

/* --- precedence (RFC 9110 13.2.2) ---------------------------------------- */

enum condition
condition_evaluate(const struct head *request,
    const struct condition_stored *stored, int64_t now_s)
{
    const struct field *none_match = head_find(request, FIELD_IF_NONE_MATCH);
    const struct field *since = head_find(request, FIELD_IF_MODIFIED_SINCE);
    bool is_unmodified = false;
    struct slice ignored;

    if ((request->method != METHOD_GET && request->method != METHOD_HEAD) ||
        head_has(request, FIELD_IF_MATCH) ||
        head_has(request, FIELD_IF_UNMODIFIED_SINCE)) {
        return CONDITION_PASS;
    }
    if (stored->status < 200 || stored->status > 299) {
        return CONDITION_FULL;
    }
    if (none_match != NULL) {
        is_unmodified = matches_none_match(request, none_match, stored);
    } else if (since != NULL) {
        is_unmodified = is_unmodified_since(request, since, stored, now_s);
    }
    if (is_unmodified) {
        return CONDITION_NOT_MODIFIED;
    }
    /* A stored Content-Range would stand beside the one of the part. */
    if (request->method == METHOD_GET && stored->status == 200 &&
        head_has(request, FIELD_RANGE) &&
        is_range_wanted(request, stored, now_s) &&
        !stored_find(stored->lines, SLICE("content-range"), &ignored)) {
        return CONDITION_RANGE;
    }
    return CONDITION_FULL;
}

/* --- conditions of our own, and the 304 ---------------------------------- */

bool
condition_write_validators(struct writer *w, struct slice lines)
{
    const struct slice etag = SLICE("etag"), modified = SLICE("last-modified");
    struct entity_tag tag;
    struct slice text;
    int64_t date_s;
    bool has_one = false;

    if (validator_tag(lines, &tag) && stored_find(lines, etag, &text)) {
        write_field(w, SLICE("if-none-match"), text);
        has_one = true;
    }
    if (validator_date(lines, modified, 0, &date_s) &&
        stored_find(lines, modified, &text)) {
        write_field(w, SLICE("if-modified-since"), text);
        has_one = true;
    }
    return has_one;
}

static bool
is_in_not_modified(struct slice name, bool has_tag)
{
    static const struct slice names[] = {
        {"cache-control", 13},
        {"cache-status", 12},
        {"cdn-cache-control", 17},
        {"content-location", 16},
        {"date", 4},
        {"etag", 4},
        {"expires", 7},
        {"vary", 4},
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (slice_eq(names[i], name)) {
            return true;
        }
    }
    return !has_tag && slice_eq(name, SLICE("last-modified"));
}

void
condition_write_not_modified(struct writer *w, struct slice lines)
{
    struct slice name, value;
    bool has_tag = stored_find(lines, SLICE("etag"), &value);

    while (stored_next(&lines, &name, &value)) {
        if (is_in_not_modified(name, has_tag)) {
            write_field(w, name, value);
        }
    }
}
