/*
 * Freshening (RFC 9111 3.2, 4.3.4, 4.3.5). Law: only a response whose
 * validators show that it speaks of the stored one updates it. It never
 * changes a field that tells how to read the stored content.
 */
#include "nearside/http/update.h"

#include "http/known.h"
#include "nearside/http/date.h"
#include "nearside/http/stored_lines.h"
#include "nearside/http/storable.h"
#include "http/validator.h"

/* --- which response is meant --------------------------------------------- */

/* The validators of one response. */
struct validators {
    struct entity_tag tag;
    int64_t modified_s;
    bool has_tag;
    bool has_modified;
    bool is_malformed; /* one is there, but cannot be read */
};

static void
read_head(const struct head *head, int64_t now_s, struct validators *out)
{
    const struct field *tag = head_find(head, FIELD_ETAG);
    const struct field *date = head_find(head, FIELD_LAST_MODIFIED);

    *out = (struct validators){.has_tag = false};
    if (tag != NULL) {
        out->has_tag = head_find_next(head, tag) == NULL &&
                       entity_tag_parse(tag->value, &out->tag) == RC_OK;
    }
    if (date != NULL) {
        out->has_modified =
            head_find_next(head, date) == NULL &&
            date_parse(date->value, now_s, &out->modified_s) == RC_OK;
    }
    out->is_malformed =
        (tag != NULL && !out->has_tag) || (date != NULL && !out->has_modified);
}

static void
read_lines(struct slice lines, int64_t now_s, struct validators *out)
{
    *out = (struct validators){.has_tag = false};
    out->has_tag = validator_tag(lines, &out->tag);
    out->has_modified =
        validator_date(lines, SLICE("last-modified"), now_s, &out->modified_s);
}

static bool
is_same_date(const struct validators *a, const struct validators *b)
{
    return a->has_modified && b->has_modified && a->modified_s == b->modified_s;
}

static bool
is_same_tag(const struct validators *a, const struct validators *b)
{
    return a->has_tag && b->has_tag &&
           entity_tag_matches_weakly(&a->tag, &b->tag);
}

/* Is the Last-Modified of the stored response a strong one (8.8.2.2)? */
static bool
has_strong_date(
    const struct validators *stored, struct slice lines, int64_t now_s)
{
    int64_t date_s;

    return stored->has_modified &&
           validator_date(lines, SLICE("date"), now_s, &date_s) &&
           validator_is_strong_date(stored->modified_s, date_s);
}

/* Both have one, and it is another. */
static bool
contradicts(const struct validators *a, const struct validators *b)
{
    return (a->has_tag && b->has_tag && !is_same_tag(a, b)) ||
           (a->has_modified && b->has_modified && !is_same_date(a, b));
}

bool
update_is_identified(
    const struct head *not_modified, struct slice stored_lines, int64_t now_s)
{
    struct validators got, old;

    read_head(not_modified, now_s, &got);
    read_lines(stored_lines, now_s, &old);
    if (got.is_malformed) {
        return false;
    }
    if (!got.has_tag && !got.has_modified) {
        return old.has_tag || old.has_modified;
    }
    if (got.has_tag && !got.tag.is_weak) {
        /* Strong: an equal tag is enough, whatever its date has become. */
        if (old.has_tag) {
            return entity_tag_matches_strongly(&got.tag, &old.tag);
        }
        return is_same_date(&got, &old) &&
               has_strong_date(&old, stored_lines, now_s);
    }
    return !contradicts(&got, &old) &&
           (is_same_tag(&got, &old) || is_same_date(&got, &old));
}

enum update_head
update_by_head(const struct head *response, struct slice stored_lines,
    uint64_t stored_length)
{
    struct validators got, old;

    if (response->status != 200) {
        return UPDATE_HEAD_NONE;
    }
    /* Any now does: both sides read a two-digit year alike. */
    read_head(response, 0, &got);
    read_lines(stored_lines, 0, &old);
    if (got.is_malformed || (got.has_tag && !is_same_tag(&got, &old)) ||
        (got.has_tag && got.tag.is_weak != old.tag.is_weak) ||
        (got.has_modified && !is_same_date(&got, &old)) ||
        (response->has_content_length &&
            response->content_length != stored_length)) {
        return UPDATE_HEAD_STALE;
    }
    /* Nothing differs; but where nothing could have, that proves nothing. */
    return got.has_tag || got.has_modified || response->has_content_length
               ? UPDATE_HEAD_FRESHEN
               : UPDATE_HEAD_NONE;
}

/* --- the update (3.2) ---------------------------------------------------- */

/*
 * Does this field of a 304 or HEAD answer replace stored ones (3.2)? Not:
 * what is never stored, and Content-Encoding and Content-Range, on which the
 * stored content depends.
 */
static bool
has_field(
    const struct head *response, const struct field *f, bool has_set_cookie)
{
    if (f->id == FIELD_SET_COOKIE) {
        return has_set_cookie;
    }
    return !field_is_in(
               f->id, FIELD_BIT(CONTENT_ENCODING) | FIELD_BIT(CONTENT_RANGE)) &&
           storable_has_field(response, f);
}

static bool
is_stored_name(struct slice stored_lines, struct slice name)
{
    struct slice line_name, value;

    while (stored_next(&stored_lines, &line_name, &value)) {
        if (slice_ieq(line_name, SLICE("vary")) && slice_lists(value, name)) {
            return true;
        }
    }
    return false;
}

/* The stored response was chosen by the names that its Vary has. An update that
   names fewer does not undo that, so names are only added. */
static void
write_new_names(
    struct writer *w, const struct field *vary, struct slice stored_lines)
{
    struct slice names = vary->value;
    bool has_any = false;
    struct slice one;

    while (slice_split(&names, ',', &one)) {
        one = slice_trim(one);
        if (one.len > 0 && !is_stored_name(stored_lines, one)) {
            write_slice(w, has_any ? SLICE(",") : SLICE("vary: "));
            write_slice(w, one);
            has_any = true;
        }
    }
    write_slice(w, has_any ? SLICE("\r\n") : slice_of(NULL, 0));
}

enum rc
update_merge(const struct head *response, struct slice stored_lines,
    bool has_set_cookie, struct writer *w)
{
    struct slice rest = stored_lines;
    struct slice name, value;

    while (stored_next(&rest, &name, &value)) {
        const struct field *f = head_find_name(response, name);
        if (f == NULL || f->id == FIELD_VARY ||
            !has_field(response, f, has_set_cookie)) {
            write_field(w, name, value);
        }
    }
    for (size_t i = 0; i < response->field_count; i++) {
        const struct field *f = &response->fields[i];
        if (f->id == FIELD_VARY) {
            write_new_names(w, f, stored_lines);
        } else if (has_field(response, f, has_set_cookie)) {
            write_field_lower(w, f->name, f->value);
        }
    }
    return w->is_full ? RC_LIMIT : RC_OK;
}
