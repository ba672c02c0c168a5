/*
 * Response heads: one verdict however the bytes come, and to each method;
 * and what is taken, written and taken again is the same.
 */
#include "fuzz_http_head.h"

#include "nearside/http/cache_control.h"
#include "nearside/http/fresh.h"
#include "nearside/http/write.h"

static enum rc
parse_to_get(struct parse *p, const struct parse_opts *opts, struct slice in,
    struct head *out, size_t *out_len)
{
    return parse_response(p, opts, METHOD_GET, in, out, out_len);
}

static enum rc
parse_to_head(struct parse *p, const struct parse_opts *opts, struct slice in,
    struct head *out, size_t *out_len)
{
    return parse_response(p, opts, METHOD_HEAD, in, out, out_len);
}

static void
must_have_freshness(const struct head *h)
{
    const struct fresh_times times = {1767225600000, 1767225602000};
    const struct fresh_opts opts = {0};
    struct cache_control cc;
    struct fresh fresh;

    cache_control_parse(h, FIELD_CACHE_CONTROL, &cc);
    fresh_compute(h, &cc, &times, &opts, &fresh);
    MUST(fresh.lifetime_s >= 0 && fresh.lifetime_s <= DELTA_MAX);
    MUST(fresh.initial_age_s >= 2 && fresh.initial_age_s <= DELTA_MAX);
}

/* The reason is gone, and the version is ours. */
static void
must_survive_writing(parse_fn parse, const struct head *h, size_t len)
{
    static struct parsed again;
    const struct parse_opts opts = {
        .keep_underscore = true, .field_max = 1 << 20, .head_max = 1 << 21};
    size_t cap = 2 * len + 2 * HEAD_FIELDS_MAX + 64;
    struct writer w = writer_of(malloc(cap), cap);

    MUST(w.ptr != NULL);
    write_status_line(&w, h->status);
    for (size_t i = 0; i < h->field_count; i++) {
        write_field(&w, h->fields[i].name, h->fields[i].value);
    }
    write_end(&w);
    MUST(!w.is_full);
    parse_in_steps(parse, &opts, writer_slice(&w), w.len, &again);
    MUST(again.rc == RC_OK && again.head_len == w.len);
    MUST(again.head.status == h->status);
    must_be_same_fields(&again.head, h);
    MUST(again.head.framing == h->framing);
    MUST(again.head.has_content_length == h->has_content_length);
    MUST(again.head.content_length == h->content_length);
    free(again.bytes);
    free(w.ptr);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct parse_opts opts[] = {
        {0},
        {.head_max = 200, .field_max = 40, .name_max = 12, .fields_max = 3},
    };
    static const parse_fn parsers[] = {parse_to_get, parse_to_head};
    static struct parsed whole;

    for (size_t i = 0; i < ARRAY_LEN(opts) * ARRAY_LEN(parsers); i++) {
        struct slice in = slice_of((const char *)data, size);
        parse_fn parse = parsers[i % ARRAY_LEN(parsers)];
        parse_all_ways(parse, &opts[i / ARRAY_LEN(parsers)], in, &whole);
        if (whole.rc == RC_OK) {
            MUST(whole.head.status >= 100 && whole.head.status <= 999);
            MUST(parse != parse_to_head || whole.head.framing == FRAMING_NONE);
            MUST(whole.head.framing != FRAMING_CLOSE ||
                 !whole.head.is_keep_alive);
            must_have_freshness(&whole.head);
            must_survive_writing(parse, &whole.head, size);
        }
        free(whole.bytes);
    }
    return 0;
}
