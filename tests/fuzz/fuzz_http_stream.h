/* What the fuzzers of whole connections have in common: messages one behind
   the other, read as the bytes come and written anew. */
#ifndef TESTS_FUZZ_FUZZ_HTTP_STREAM_H
#define TESTS_FUZZ_FUZZ_HTTP_STREAM_H

#include "fuzz.h"
#include "nearside/http/chunk.h"
#include "nearside/http/parse.h"
#include "nearside/http/write.h"

/* A connection being read, step bytes more each time. */
struct stream {
    struct slice in;
    size_t step;
    size_t fed; /* bytes that have come */
    size_t at;  /* bytes that are done with */
};

/* What was seen of it. */
struct seen {
    enum rc rc; /* RC_AGAIN: the end of the bytes; RC_OK: it was closed */
    enum parse_fault fault;
    size_t count;
    struct writer w; /* the messages that came whole, written anew */
    char *content;   /* of the message under way */
    size_t content_len;
};

static inline bool
feed(struct stream *s)
{
    size_t left = s->in.len - s->fed;

    s->fed += left < s->step ? left : s->step;
    return left > 0;
}

static inline void
take(struct stream *s, struct seen *seen, struct slice data, size_t eaten)
{
    if (data.len > 0) {
        memcpy(seen->content + seen->content_len, data.ptr, data.len);
    }
    seen->content_len += data.len;
    s->at += eaten;
}

static inline enum rc
read_chunks(struct stream *s, struct seen *seen)
{
    struct slice data;
    struct chunk c;
    size_t eaten;
    enum rc rc = RC_AGAIN;

    chunk_start(&c);
    while (rc == RC_AGAIN && (s->at < s->fed || feed(s))) {
        rc = chunk_decode(
            &c, slice_of(s->in.ptr + s->at, s->fed - s->at), &eaten, &data);
        if (rc == RC_OK || rc == RC_AGAIN) {
            take(s, seen, data, eaten);
        }
    }
    return rc;
}

static inline enum rc
read_length(struct stream *s, struct seen *seen, uint64_t left)
{
    while (left > 0 && (s->at < s->fed || feed(s))) {
        struct slice data = slice_of(s->in.ptr + s->at, s->fed - s->at);
        data.len = data.len < left ? data.len : (size_t)left;
        take(s, seen, data, data.len);
        left -= data.len;
    }
    return left == 0 ? RC_OK : RC_AGAIN;
}

static inline void
write_content(struct writer *w, const struct seen *seen)
{
    char line[CHUNK_LINE_MAX];

    if (seen->content_len > 0) {
        write_slice(
            w, slice_of(line, chunk_write_line(line, seen->content_len)));
        write_slice(w, slice_of(seen->content, seen->content_len));
        write_end(w);
    }
    write_slice(w, SLICE("0\r\n\r\n"));
}

static inline void
seen_init(struct seen *s, size_t in_len)
{
    /* A length, a coding or a Host may have to be said anew each time. */
    size_t cap = 4 * in_len + 256;

    *s = (struct seen){.rc = RC_OK,
        .w = writer_of(malloc(cap), cap),
        .content = malloc(in_len + 1)};
    MUST(s->w.ptr != NULL && s->content != NULL);
}

static inline void
seen_fini(struct seen *s)
{
    free(s->w.ptr);
    free(s->content);
}

static inline void
must_be_same(const struct seen *a, const struct seen *b)
{
    MUST(a->count == b->count);
    MUST(slice_eq(writer_slice(&a->w), writer_slice(&b->w)));
}

#endif
