/*
 * Freshening: what a 304 or the answer to a HEAD makes of stored lines is
 * lines again and a head again, twice is as once, and what tells how to read
 * the stored content stays what it was.
 *
 * Input: a byte of options, the stored response's head, the other's head.
 */
#include "fuzz.h"
#include "nearside/http/condition.h"
#include "nearside/http/date.h"
#include "nearside/http/stored_lines.h"
#include "nearside/http/parse.h"
#include "nearside/http/storable.h"
#include "nearside/http/update.h"

#define NOW_S INT64_C(1767225600)

/* Lines are longer than those received by at most a blank each. */
static struct writer
writer_for(size_t len)
{
    size_t cap = 2 * len + 4 * HEAD_FIELDS_MAX;
    char *text = malloc(cap);

    MUST(text != NULL);
    return writer_of(text, cap);
}

/* As an entry is made of a response. */
static void
store_lines(struct writer *w, const struct head *head)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (storable_has_field(head, &head->fields[i])) {
            write_field_lower(w, head->fields[i].name, head->fields[i].value);
        }
    }
    MUST(!w->is_full);
}

/* Have both the same lines of that name, in the same order? */
static bool
is_same_field(struct slice a, struct slice b, struct slice name)
{
    struct slice value, other;

    while (stored_next_of(&a, name, &value)) {
        if (!stored_next_of(&b, name, &other) || !slice_eq(value, other)) {
            return false;
        }
    }
    return !stored_next_of(&b, name, &other);
}

static void
must_be_readable_as_before(
    struct slice before, struct slice after, bool has_set_cookie)
{
    static const struct slice kept[] = {{"content-encoding", 16},
        {"content-range", 13}, {"content-length", 14},
        {"transfer-encoding", 17}, {"age", 3}, {"connection", 10}};

    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        MUST(is_same_field(before, after, kept[i]));
    }
    MUST(has_set_cookie || is_same_field(before, after, SLICE("set-cookie")));
}

/* A head of those lines parses, and has them all. */
static void
must_parse(struct slice lines)
{
    const struct parse_opts opts = {
        .keep_underscore = true, .field_max = 1 << 20, .head_max = 1 << 21};
    static struct head head, stored;
    struct writer w = writer_for(lines.len + 64);
    struct parse p;
    size_t len;

    if (stored_to_head(lines, 200, &stored) == RC_OK) {
        write_status_line(&w, 200);
        write_slice(&w, lines);
        write_end(&w);
        parse_start(&p);
        MUST(parse_response(&p, &opts, METHOD_GET, writer_slice(&w), &head,
                 &len) == RC_OK);
        MUST(len == w.len);
        MUST(head.field_set == stored.field_set);
        MUST(head.field_count == stored.field_count);
    }
    free(w.ptr);
}

static bool
replaces(
    const struct head *response, const struct field *f, bool has_set_cookie)
{
    if (f->id == FIELD_SET_COOKIE) {
        return has_set_cookie;
    }
    return f->id != FIELD_CONTENT_ENCODING && f->id != FIELD_CONTENT_RANGE &&
           storable_has_field(response, f);
}

static void
must_have_new(
    struct slice lines, const struct head *response, bool has_set_cookie)
{
    for (size_t i = 0; i < response->field_count; i++) {
        const struct field *f = &response->fields[i];
        struct slice rest = lines, name, value;
        bool is_there = false;

        while (stored_next(&rest, &name, &value)) {
            is_there = is_there ||
                       (slice_ieq(name, f->name) && slice_eq(value, f->value));
        }
        MUST(is_there || !replaces(response, f, has_set_cookie));
    }
}

static void
must_merge(const struct head *response, struct slice stored, size_t room,
    bool has_set_cookie)
{
    struct writer once = writer_for(room), twice = writer_for(2 * room);
    struct slice rest, name, value;

    MUST(update_merge(response, stored, has_set_cookie, &once) == RC_OK);
    rest = writer_slice(&once);
    while (stored_next(&rest, &name, &value)) {
        MUST(name.len > 0);
    }
    MUST(rest.len == 0);
    must_be_readable_as_before(stored, writer_slice(&once), has_set_cookie);
    must_have_new(writer_slice(&once), response, has_set_cookie);
    must_parse(writer_slice(&once));
    MUST(update_merge(response, writer_slice(&once), has_set_cookie, &twice) ==
         RC_OK);
    MUST(slice_eq(writer_slice(&once), writer_slice(&twice)));
    free(once.ptr);
    free(twice.ptr);
}

/* Its validators are there once at most, and well-formed. */
static bool
has_good_validators(struct slice lines)
{
    struct entity_tag tag;
    const struct slice modified = SLICE("last-modified");
    struct slice value;
    int64_t at_s;

    if (stored_find(lines, SLICE("etag"), &value) &&
        (!stored_find_single(lines, SLICE("etag"), &value) ||
            entity_tag_parse(value, &tag) != RC_OK)) {
        return false;
    }
    return !stored_find(lines, modified, &value) ||
           (stored_find_single(lines, modified, &value) &&
               date_parse(value, NOW_S, &at_s) == RC_OK);
}

/* A response speaks of itself, where it has a validator to do so. */
static void
must_identify_itself(struct slice stored)
{
    static struct head head;

    if (stored_to_head(stored, 304, &head) == RC_OK &&
        has_good_validators(stored)) {
        struct writer w = writer_for(stored.len + 64);

        MUST(update_is_identified(&head, stored, NOW_S) ==
             condition_write_validators(&w, stored));
        free(w.ptr);
    }
}

static bool
take_head(struct slice *in, struct head *out)
{
    static const struct parse_opts opts = {0};
    struct parse p;
    size_t len;

    parse_start(&p);
    if (parse_response(&p, &opts, METHOD_GET, *in, out, &len) != RC_OK) {
        return false;
    }
    *in = slice_skip(*in, len);
    return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct head stored, response;
    char *copy = fuzz_copy(slice_of((const char *)data, size));
    struct slice in = slice_skip(slice_of(copy, size), 1);
    bool has_set_cookie = size > 0 && (data[0] & 1) != 0;
    struct writer w = writer_for(size);

    if (take_head(&in, &stored) && take_head(&in, &response)) {
        store_lines(&w, &stored);
        must_identify_itself(writer_slice(&w));
        must_merge(&response, writer_slice(&w), size, has_set_cookie);
        MUST(
            response.status == 200 ||
            update_by_head(&response, writer_slice(&w), 5) == UPDATE_HEAD_NONE);
        update_is_identified(&response, writer_slice(&w), NOW_S);
    }
    free(w.ptr);
    free(copy);
    return 0;
}
