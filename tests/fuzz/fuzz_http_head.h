/* What the fuzzers of request and response heads have in common. */
#ifndef TESTS_FUZZ_FUZZ_HTTP_HEAD_H
#define TESTS_FUZZ_FUZZ_HTTP_HEAD_H

#include "fuzz.h"
#include "nearside/http/parse.h"

/* One way of parsing: parse_request, or parse_response to some method. */
typedef enum rc (*parse_fn)(struct parse *p, const struct parse_opts *opts,
    struct slice in, struct head *out, size_t *out_len);

/* A head and the bytes it points into. */
struct parsed {
    char *bytes;
    enum rc rc;
    enum parse_fault fault;
    size_t head_len;
    struct head head;
};

/* Shows step bytes more at each call, each time at another place. */
static inline void
parse_in_steps(parse_fn parse, const struct parse_opts *opts, struct slice in,
    size_t step, struct parsed *out)
{
    struct parse p;
    size_t len = 0;

    out->bytes = NULL;
    out->rc = RC_AGAIN;
    parse_start(&p);
    while (out->rc == RC_AGAIN && len < in.len) {
        len = in.len - len < step ? in.len : len + step;
        free(out->bytes);
        out->bytes = fuzz_copy(slice_of(in.ptr, len));
        out->rc = parse(
            &p, opts, slice_of(out->bytes, len), &out->head, &out->head_len);
    }
    out->fault = p.fault;
    MUST(p.scanned <= in.len);
    MUST((out->rc == RC_BAD) == (out->fault != FAULT_NONE));
    MUST(out->rc != RC_BAD || fault_status(out->fault) >= 400);
}

static inline void
must_be_same_fields(const struct head *a, const struct head *b)
{
    MUST(a->field_count == b->field_count);
    MUST(a->field_set == b->field_set);
    for (size_t i = 0; i < a->field_count; i++) {
        MUST(a->fields[i].id == b->fields[i].id);
        MUST(slice_eq(a->fields[i].name, b->fields[i].name));
        MUST(slice_eq(a->fields[i].value, b->fields[i].value));
    }
}

static inline void
must_be_same_head(const struct head *a, const struct head *b)
{
    MUST(a->status == b->status && a->minor == b->minor);
    MUST(a->method == b->method && a->framing == b->framing);
    MUST(a->content_length == b->content_length);
    MUST(a->is_keep_alive == b->is_keep_alive);
    MUST(a->expects_100 == b->expects_100);
    MUST(a->has_underscore == b->has_underscore);
    MUST(slice_eq(a->method_text, b->method_text));
    MUST(slice_eq(a->target, b->target));
    MUST(slice_eq(a->host, b->host));
    MUST(slice_eq(a->reason, b->reason));
    must_be_same_fields(a, b);
}

/* Nothing that a serialiser would have to doubt. */
static inline void
must_be_clean(const struct head *h, struct slice in)
{
    MUST(h->field_count <= HEAD_FIELDS_MAX);
    for (size_t i = 0; i < h->field_count; i++) {
        struct slice value = h->fields[i].value;
        MUST(fuzz_is_within(h->fields[i].name, in));
        MUST(fuzz_is_within(value, in));
        MUST(h->fields[i].name.len > 0);
        MUST(slice_find(value, '\r') < 0);
        MUST(slice_find(value, '\n') < 0);
        MUST(slice_find(value, '\0') < 0);
        head_is_hop_by_hop(h, &h->fields[i]);
    }
    MUST(!(head_has(h, FIELD_CONTENT_LENGTH) &&
           head_has(h, FIELD_TRANSFER_ENCODING)));
    MUST(head_has(h, FIELD_TRANSFER_ENCODING) || h->framing != FRAMING_CHUNKED);
}

/* The whole in one piece into *out, and the same verdict in all others. */
static inline void
parse_all_ways(parse_fn parse, const struct parse_opts *opts, struct slice in,
    struct parsed *out)
{
    static const size_t steps[] = {1, 2, 7, 16, 61};
    static struct parsed other;

    parse_in_steps(parse, opts, in, in.len, out);
    for (size_t i = 0; i <= ARRAY_LEN(steps); i++) {
        /* The last way is in two pieces, cut where the input says. */
        size_t step = i < ARRAY_LEN(steps) ? steps[i] : fuzz_cut(in);
        parse_in_steps(parse, opts, in, step, &other);
        MUST(other.rc == out->rc);
        MUST(other.fault == out->fault);
        if (out->rc == RC_OK) {
            MUST(other.head_len == out->head_len);
            must_be_same_head(&other.head, &out->head);
        }
        free(other.bytes);
    }
    if (out->rc == RC_OK) {
        MUST(out->head_len <= in.len);
        must_be_clean(&out->head, slice_of(out->bytes, in.len));
    }
}

#endif
