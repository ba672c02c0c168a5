/*
 * References of Location and Content-Location: what is resolved is an
 * origin-form of the base's own origin, and resolves to itself when it is
 * written whole. Input: the target, a line end, the reference.
 */
#include "fuzz_http_fields.h"
#include "nearside/http/invalidate.h"
#include "nearside/http/parse.h"

/* What a Location of that reference has dropped; empty: nothing. */
static struct slice
resolved(struct slice reference, const struct invalidate_base *base,
    struct writer *w)
{
    struct slice targets[INVALIDATE_MORE_MAX] = {{NULL, 0}};
    static struct head response;

    response.field_count = 0;
    response.field_set = 0;
    fuzz_add_field(&response, FIELD_LOCATION, reference);
    invalidate_more(&response, base, w, targets);
    return targets[0];
}

static void
must_be_origin_form(struct slice target)
{
    MUST(target.len > 0 && *target.ptr == '/');
    MUST(slice_find(target, '#') < 0);
    for (size_t i = 0; i < target.len; i++) {
        MUST(target.ptr[i] > ' ' && target.ptr[i] < 0x7f);
    }
}

static void
must_resolve_to_itself(struct slice target, const struct invalidate_base *base)
{
    const size_t cap = target.len * 2 + base->target.len + 64;
    char *text = malloc(cap), *whole = malloc(cap);
    struct writer w = writer_of(text, cap), reference = writer_of(whole, cap);

    MUST(text != NULL && whole != NULL);
    write_slice(&reference, SLICE("HTTP://A.example:80"));
    write_slice(&reference, target);
    MUST(!reference.is_full);
    MUST(slice_eq(resolved(writer_slice(&reference), base, &w), target));
    free(text);
    free(whole);
}

/* Could it have been asked for? */
static bool
is_target(struct slice s)
{
    static struct head head;
    const struct parse_opts opts = {0};
    char *text = malloc(s.len + 64);
    struct writer w = writer_of(text, s.len + 64);
    struct parse p;
    size_t len;
    bool is_asked;

    MUST(text != NULL);
    if (s.len == 0) {
        free(text);
        return false;
    }
    write_request_line(&w, SLICE("GET"), s);
    write_slice(&w, SLICE("Host: a.example\r\n\r\n"));
    parse_start(&p);
    is_asked =
        parse_request(&p, &opts, writer_slice(&w), &head, &len) == RC_OK &&
        slice_eq(head.target, s);
    free(text);
    return is_asked;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = fuzz_copy(slice_of((const char *)data, size));
    struct slice rest = slice_of(copy, size);
    struct invalidate_base base = {
        .scheme = SLICE("http"), .host = SLICE("a.example")};
    size_t cap = size + 2;
    char *text = malloc(cap);
    struct writer w = writer_of(text, cap);
    struct slice target;

    MUST(text != NULL);
    slice_split(&rest, '\n', &base.target);
    target =
        is_target(base.target) ? resolved(rest, &base, &w) : slice_of(NULL, 0);
    if (target.len > 0) {
        MUST(fuzz_is_within(target, writer_slice(&w)));
        must_be_origin_form(target);
        if (rest.len > 0 && slice_find(rest, '?') != 0 &&
            slice_find(rest, '#') != 0) {
            must_resolve_to_itself(target, &base);
        }
    }
    MUST(!w.is_full || w.len == 0);
    free(text);
    free(copy);
    return 0;
}
