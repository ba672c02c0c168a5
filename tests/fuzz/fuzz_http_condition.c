/*
 * Conditions: an outcome is one that the request asked for; a tag is its own
 * text; and a client that validates with what is stored, as we validate with
 * the origin, is told that nothing has changed.
 *
 * Input: lines of "n" (If-None-Match), "s" (If-Modified-Since), "r"
 * (If-Range), "b" (Range), "m" (If-Match), "u" (If-Unmodified-Since) and a
 * value; an empty line; then the stored lines.
 */
#include "fuzz_http_fields.h"
#include "nearside/http/condition.h"
#include "nearside/http/stored_lines.h"

enum {
    NOW_S = 784111777,
};

static enum field_id
id_of(char c)
{
    switch (c) {
    case 'n':
        return FIELD_IF_NONE_MATCH;
    case 's':
        return FIELD_IF_MODIFIED_SINCE;
    case 'r':
        return FIELD_IF_RANGE;
    case 'b':
        return FIELD_RANGE;
    case 'm':
        return FIELD_IF_MATCH;
    case 'u':
        return FIELD_IF_UNMODIFIED_SINCE;
    default: /* a byte, not an enum */
        return FIELD_ACCEPT;
    }
}

static void
must_be_asked_for(const struct head *request, enum condition outcome)
{
    bool passes = head_has(request, FIELD_IF_MATCH) ||
                  head_has(request, FIELD_IF_UNMODIFIED_SINCE);

    MUST((outcome == CONDITION_PASS) == passes);
    MUST(outcome != CONDITION_NOT_MODIFIED ||
         head_has(request, FIELD_IF_NONE_MATCH) ||
         head_has(request, FIELD_IF_MODIFIED_SINCE));
    MUST(outcome != CONDITION_RANGE || head_has(request, FIELD_RANGE));
}

static void
must_be_its_text(struct slice s)
{
    struct entity_tag tag;
    char *text = malloc(s.len + 4);
    struct writer w = writer_of(text, s.len + 4);

    MUST(text != NULL);
    if (entity_tag_parse(s, &tag) == RC_OK) {
        write_slice(&w, tag.is_weak ? SLICE("W/\"") : SLICE("\""));
        write_slice(&w, tag.opaque);
        write_slice(&w, SLICE("\""));
        MUST(slice_eq(writer_slice(&w), s));
        MUST(entity_tag_matches_weakly(&tag, &tag));
    }
    free(text);
}

/* What we would ask the origin for, asked of what is stored. */
static void
must_be_unmodified(struct slice stored)
{
    static struct head request;
    char *text = malloc(stored.len + 64);
    struct writer w = writer_of(text, stored.len + 64);
    const struct condition_stored is = {200, stored, NOW_S};
    bool has_one;

    MUST(text != NULL);
    has_one = condition_write_validators(&w, stored);
    MUST(!w.is_full);
    MUST(has_one == (w.len > 0));
    if (has_one) {
        MUST(stored_to_head(writer_slice(&w), 200, &request) == RC_OK);
        request.method = METHOD_GET;
        MUST(
            condition_evaluate(&request, &is, NOW_S) == CONDITION_NOT_MODIFIED);
    }
    w = writer_of(text, stored.len + 64);
    condition_write_not_modified(&w, stored);
    free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct head request;
    char *copy = fuzz_copy(slice_of((const char *)data, size));
    struct condition_stored stored = {200, slice_of(copy, size), NOW_S};
    struct slice line;

    request.field_count = 0;
    request.field_set = 0;
    request.method = METHOD_GET;
    while (slice_split(&stored.lines, '\n', &line) && line.len > 0) {
        fuzz_add_field(&request, id_of(*line.ptr), slice_skip(line, 1));
        must_be_its_text(slice_skip(line, 1));
    }
    must_be_asked_for(&request, condition_evaluate(&request, &stored, NOW_S));
    must_be_unmodified(stored.lines);
    free(copy);
    return 0;
}
