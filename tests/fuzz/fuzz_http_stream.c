/*
 * A client's connection: requests with their content, one behind the other,
 * read and written anew as a proxy does. However the bytes come, the same
 * requests are seen; what was written is read as what it is; and not even a
 * careless reader sees another number of requests in it, so that nothing can
 * be smuggled past this one.
 */
#include "fuzz_http_stream.h"

static enum rc
read_head(struct stream *s, const struct parse_opts *opts, struct head *out,
    enum parse_fault *out_fault)
{
    struct parse p;
    size_t len;
    enum rc rc;

    parse_start(&p);
    do {
        rc = parse_request(
            &p, opts, slice_of(s->in.ptr + s->at, s->fed - s->at), out, &len);
    } while (rc == RC_AGAIN && feed(s));
    *out_fault = p.fault;
    s->at += rc == RC_OK ? len : 0;
    return rc;
}

static enum rc
read_content(struct stream *s, struct seen *seen, const struct head *head)
{
    seen->content_len = 0;
    switch (head->framing) {
    case FRAMING_NONE:
        return RC_OK;
    case FRAMING_LENGTH:
        return read_length(s, seen, head->content_length);
    case FRAMING_CHUNKED:
        return read_chunks(s, seen);
    case FRAMING_CLOSE:
        break;
    }
    MUST(head->framing != FRAMING_CLOSE); /* requests never end so */
    return RC_BAD;
}

/* No framing that was received, and nothing that ends at this hop. */
static void
write_request(struct seen *seen, const struct head *head)
{
    struct writer *w = &seen->w;

    /* head_copy adds a slash to a query without a path. */
    write_slice(w, head->method_text);
    write_slice(w, head->target.ptr[0] == '?' ? SLICE(" /") : SLICE(" "));
    write_slice(w, head->target);
    write_slice(w, SLICE(" HTTP/1.1\r\n"));
    write_field(w, SLICE("Host"), head->host);
    for (size_t i = 0; i < head->field_count; i++) {
        const struct field *f = &head->fields[i];
        if (!head_is_hop_by_hop(head, f) && f->id != FIELD_HOST &&
            f->id != FIELD_CONTENT_LENGTH && f->id != FIELD_EXPECT) {
            write_field(w, f->name, f->value);
        }
    }
    if (head->framing == FRAMING_LENGTH) {
        write_field_u64(w, SLICE("Content-Length"), seen->content_len);
        write_end(w);
        write_slice(w, slice_of(seen->content, seen->content_len));
    } else if (head->framing == FRAMING_CHUNKED) {
        write_field(w, SLICE("Transfer-Encoding"), SLICE("chunked"));
        write_end(w);
        write_content(w, seen);
    } else {
        write_end(w);
    }
    MUST(!w->is_full);
}

static void
read_all(struct slice in, size_t step, const struct parse_opts *opts,
    struct seen *out)
{
    static struct head head;
    struct stream s = {.in = in, .step = step};
    bool is_open = true;

    seen_init(out, in.len);
    while (is_open && out->rc == RC_OK) {
        out->rc = read_head(&s, opts, &head, &out->fault);
        if (out->rc == RC_OK) {
            out->rc = read_content(&s, out, &head);
        }
        if (out->rc == RC_OK) {
            write_request(out, &head);
            out->count++;
            is_open = head.is_keep_alive;
        }
    }
}

/* --- the careless reader -------------------------------------------------- */

struct careless {
    bool takes_lf;     /* a line ends with LF */
    bool length_first; /* Content-Length counts before Transfer-Encoding */
    bool last_counts;  /* of two Content-Length; else the first */
};

/* What it makes of a head. */
struct guess {
    bool is_chunked;
    bool has_length;
    size_t length;
};

static bool
next_line(const struct careless *how, struct slice *rest, struct slice *out)
{
    for (size_t i = 0; i < rest->len; i++) {
        bool has_cr = i > 0 && rest->ptr[i - 1] == '\r';
        if (rest->ptr[i] == '\n' && (has_cr || how->takes_lf)) {
            *out = slice_of(rest->ptr, i - has_cr);
            *rest = slice_skip(*rest, i + 1);
            return true;
        }
    }
    return false;
}

/* Any digits it finds; a length beyond the bytes is all of them. */
static size_t
number_in(struct slice s, unsigned base, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len && n <= max; i++) {
        unsigned c = (unsigned char)ascii_lower(s.ptr[i]);
        unsigned digit = c >= 'a' ? c - 'a' + 10 : c - '0';
        if (digit >= base) {
            break;
        }
        n = n * base + digit;
    }
    return n > max ? max : n;
}

/* Underscores are hyphens to it, and blanks around names nothing. */
static bool
is_named(struct slice name, struct slice want)
{
    name = slice_trim(name);
    if (name.len != want.len) {
        return false;
    }
    for (size_t i = 0; i < want.len; i++) {
        char c = name.ptr[i] == '_' ? '-' : ascii_lower(name.ptr[i]);
        if (c != want.ptr[i]) {
            return false;
        }
    }
    return true;
}

static void
guess_line(const struct careless *how, struct slice line, size_t max,
    struct guess *out)
{
    struct slice name;

    if (!slice_split(&line, ':', &name)) {
        return;
    }
    if (is_named(name, SLICE("transfer-encoding"))) {
        out->is_chunked = true;
    } else if (is_named(name, SLICE("content-length")) &&
               (!out->has_length || how->last_counts)) {
        out->has_length = true;
        out->length = number_in(slice_trim(line), 10, max);
    }
}

static void
skip_chunks(const struct careless *how, struct slice *rest)
{
    struct slice line;

    while (next_line(how, rest, &line)) {
        size_t n = number_in(line, 16, rest->len);
        if (n == 0) {
            break;
        }
        *rest = slice_skip(*rest, n);
        next_line(how, rest, &line);
    }
    while (next_line(how, rest, &line) && line.len > 0) {
    }
}

static size_t
count_carelessly(const struct careless *how, struct slice rest)
{
    struct slice line;
    size_t count = 0;

    while (next_line(how, &rest, &line)) {
        struct guess guess = {0};
        while (next_line(how, &rest, &line) && line.len > 0) {
            guess_line(how, line, rest.len, &guess);
        }
        if (guess.has_length && (how->length_first || !guess.is_chunked)) {
            rest = slice_skip(rest, guess.length);
        } else if (guess.is_chunked) {
            skip_chunks(how, &rest);
        }
        count++;
    }
    return count;
}

/* --- all of it ------------------------------------------------------------ */

static void
must_be_plain(const struct seen *seen)
{
    /* Host has been added, and a head may have grown beyond its limits. */
    const struct parse_opts opts = {.field_max = 1 << 20,
        .head_max = 1 << 21,
        .target_max = 1 << 20,
        .fields_max = HEAD_FIELDS_MAX};
    struct slice in = writer_slice(&seen->w);
    struct seen again;

    read_all(in, in.len + 1, &opts, &again);
    must_be_same(seen, &again);
    seen_fini(&again);
    for (unsigned i = 0; i < 8; i++) {
        const struct careless how = {i & 1, i & 2, i & 4};
        MUST(count_carelessly(&how, in) == seen->count);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct parse_opts opts = {.default_host = {"a", 1}};
    static const size_t steps[] = {1, 2, 7, 61};
    char *copy = fuzz_copy(slice_of((const char *)data, size));
    struct slice in = slice_of(copy, size);
    struct seen whole, other;

    read_all(in, size + 1, &opts, &whole);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        read_all(in, steps[i], &opts, &other);
        MUST(other.rc == whole.rc && other.fault == whole.fault);
        must_be_same(&whole, &other);
        seen_fini(&other);
    }
    must_be_plain(&whole);
    seen_fini(&whole);
    free(copy);
    return 0;
}
