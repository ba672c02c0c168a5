/*
 * An origin's connection: responses to requests of known methods, one behind
 * the other, read and written anew as a proxy does. However the bytes come,
 * the same responses are seen, each to its own request, interim ones apart;
 * and what was written is read as what it is. Content that only the end of
 * the connection ends is the last.
 *
 * Input: a byte, each bit of which makes one request of eight a HEAD, not a
 * GET; then what the origin sends.
 */
#include "fuzz_http_stream.h"

static enum method
method_of(uint8_t bits, size_t i)
{
    return (bits >> i % 8 & 1) != 0 ? METHOD_HEAD : METHOD_GET;
}

/* RFC 9112 6.3, the first rule. */
static bool
has_content(enum method method, unsigned status)
{
    return method != METHOD_HEAD && status >= 200 && status != 204 &&
           status != 304;
}

static enum rc
read_head(struct stream *s, const struct parse_opts *opts, enum method method,
    struct head *out, enum parse_fault *out_fault)
{
    struct parse p;
    size_t len;
    enum rc rc;

    parse_start(&p);
    do {
        rc = parse_response(&p, opts, method,
            slice_of(s->in.ptr + s->at, s->fed - s->at), out, &len);
    } while (rc == RC_AGAIN && feed(s));
    *out_fault = p.fault;
    s->at += rc == RC_OK ? len : 0;
    return rc;
}

/* All that comes. */
static enum rc
read_to_close(struct stream *s, struct seen *seen)
{
    while (s->at < s->fed || feed(s)) {
        struct slice data = slice_of(s->in.ptr + s->at, s->fed - s->at);
        take(s, seen, data, data.len);
    }
    return RC_OK;
}

static enum rc
read_content(struct stream *s, struct seen *seen, const struct head *head)
{
    enum rc rc = RC_OK;

    seen->content_len = 0;
    switch (head->framing) {
    case FRAMING_NONE:
        break;
    case FRAMING_LENGTH:
        rc = read_length(s, seen, head->content_length);
        break;
    case FRAMING_CHUNKED:
        rc = read_chunks(s, seen);
        break;
    case FRAMING_CLOSE:
        MUST(!head->is_keep_alive);
        rc = read_to_close(s, seen);
        break;
    }
    return rc;
}

/* As an answer to the same method. */
static void
write_response(struct seen *seen, const struct head *head)
{
    struct writer *w = &seen->w;

    write_status_line(w, head->status);
    for (size_t i = 0; i < head->field_count; i++) {
        const struct field *f = &head->fields[i];
        if (!head_is_hop_by_hop(head, f) && f->id != FIELD_CONTENT_LENGTH) {
            write_field(w, f->name, f->value);
        }
    }
    if (head->framing == FRAMING_CHUNKED || head->framing == FRAMING_CLOSE) {
        write_field(w, SLICE("Transfer-Encoding"), SLICE("chunked"));
        write_end(w);
        write_content(w, seen);
    } else {
        if (head->has_content_length) {
            write_field_u64(w, SLICE("Content-Length"), head->content_length);
        }
        write_end(w);
        write_slice(w, slice_of(seen->content, seen->content_len));
    }
    MUST(!w->is_full);
}

static void
read_all(struct slice in, size_t step, const struct parse_opts *opts,
    uint8_t bits, struct seen *out)
{
    static struct head head;
    struct stream s = {.in = in, .step = step};
    bool is_open = true;

    seen_init(out, in.len);
    while (is_open && out->rc == RC_OK) {
        enum method method = method_of(bits, out->count);
        out->rc = read_head(&s, opts, method, &head, &out->fault);
        if (out->rc == RC_OK) {
            MUST(head.method == method);
            MUST(has_content(method, head.status) ||
                 head.framing == FRAMING_NONE);
            out->rc = read_content(&s, out, &head);
        }
        if (out->rc == RC_OK && head.status >= 200) {
            write_response(out, &head);
            out->count++;
        }
        is_open = head.is_keep_alive;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct parse_opts opts = {0};
    static const struct parse_opts wide = {.field_max = 1 << 20,
        .head_max = 1 << 21,
        .fields_max = HEAD_FIELDS_MAX};
    static const size_t steps[] = {1, 2, 7, 61};
    struct slice in = slice_of((const char *)data, size), rest;
    struct seen whole, other;
    char *copy;

    if (size == 0) {
        return 0;
    }
    copy = fuzz_copy(slice_skip(in, 1));
    rest = slice_of(copy, size - 1);
    read_all(rest, size, &opts, data[0], &whole);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        read_all(rest, steps[i], &opts, data[0], &other);
        MUST(other.rc == whole.rc && other.fault == whole.fault);
        must_be_same(&whole, &other);
        seen_fini(&other);
    }
    rest = writer_slice(&whole.w);
    read_all(rest, rest.len + 1, &wide, data[0], &other);
    must_be_same(&whole, &other);
    seen_fini(&other);
    seen_fini(&whole);
    free(copy);
    return 0;
}
