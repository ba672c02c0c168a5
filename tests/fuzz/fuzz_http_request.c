/*
 * Request heads: one verdict however the bytes come, and what is taken,
 * written and taken again is the same.
 */
#include "fuzz_http_head.h"

#include "nearside/http/uri.h"
#include "nearside/http/write.h"

/* Does it lack the slash that head_copy adds? */
static bool
lacks_slash(const struct head *h)
{
    return h->target.ptr[0] == '?';
}

static void
write_request(struct writer *w, const struct head *h)
{
    write_slice(w, h->method_text);
    write_slice(w, lacks_slash(h) ? SLICE(" /") : SLICE(" "));
    write_slice(w, h->target);
    write_slice(w, SLICE(" HTTP/1.1\r\n"));
    for (size_t i = 0; i < h->field_count; i++) {
        if (h->fields[i].id != FIELD_HOST) {
            write_field(w, h->fields[i].name, h->fields[i].value);
        }
    }
    write_field(w, SLICE("Host"), h->host);
    write_end(w);
}

/* Host may have moved to the end, and an absolute-form is gone. */
static void
must_survive_writing(const struct head *h, size_t len)
{
    static struct parsed again;
    const struct parse_opts opts = {
        .keep_underscore = true, .field_max = 1 << 20, .head_max = 1 << 21};
    size_t cap = 2 * len + 2 * HEAD_FIELDS_MAX + 64;
    struct writer w = writer_of(malloc(cap), cap);

    MUST(w.ptr != NULL);
    write_request(&w, h);
    MUST(!w.is_full);
    parse_in_steps(parse_request, &opts, writer_slice(&w), w.len, &again);
    if (h->minor == 1) {
        MUST(again.rc == RC_OK);
        MUST(again.head_len == w.len);
        MUST(again.head.framing == h->framing);
        MUST(again.head.content_length == h->content_length);
        MUST(
            slice_eq(slice_skip(again.head.target, lacks_slash(h)), h->target));
        MUST(slice_eq(again.head.host, h->host));
    }
    free(again.bytes);
    free(w.ptr);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct parse_opts opts[] = {
        {0},
        {.keep_underscore = true, .default_host = {"default", 7}},
        {.head_max = 200,
            .target_max = 20,
            .field_max = 40,
            .name_max = 12,
            .fields_max = 3},
    };
    static struct parsed whole;

    for (size_t i = 0; i < ARRAY_LEN(opts); i++) {
        struct slice in = slice_of((const char *)data, size);
        parse_all_ways(parse_request, &opts[i], in, &whole);
        if (whole.rc == RC_OK) {
            MUST(whole.head.target.len > 0);
            MUST(uri_is_authority(whole.head.host));
            MUST(whole.head.framing != FRAMING_CLOSE);
            uri_is_ambiguous(whole.head.target);
            must_survive_writing(&whole.head, size);
        }
        free(whole.bytes);
    }
    return 0;
}
