/*
 * Chunked bodies: one verdict and one content however the bytes come, always
 * progress, and content that is chunked anew is the same content.
 */
#include "fuzz.h"
#include "nearside/http/chunk.h"

/* What came of a body. */
struct decoded {
    enum rc rc;
    size_t eaten;
    char *content; /* as long as the input at most */
    size_t content_len;
};

/* Feeds one run until it is used up. */
static void
feed(struct chunk *c, struct slice run, struct decoded *out)
{
    char *copy = fuzz_copy(run);
    struct slice in = {copy, run.len}, data;
    size_t eaten;

    while (in.len > 0 && out->rc == RC_AGAIN) {
        out->rc = chunk_decode(c, in, &eaten, &data);
        if (out->rc != RC_AGAIN && out->rc != RC_OK) {
            break;
        }
        MUST(eaten > 0 && eaten <= in.len);
        MUST(fuzz_is_within(data, slice_of(in.ptr, eaten)));
        memcpy(out->content + out->content_len, data.ptr, data.len);
        out->content_len += data.len;
        out->eaten += eaten;
        in = slice_skip(in, eaten);
    }
    free(copy);
}

static void
decode(struct slice in, size_t step, struct decoded *out)
{
    struct chunk c;

    *out = (struct decoded){.rc = RC_AGAIN, .content = malloc(in.len + 1)};
    MUST(out->content != NULL);
    chunk_start(&c);
    for (size_t at = 0; at < in.len; at += step) {
        size_t left = in.len - at;
        feed(&c, slice_of(in.ptr + at, left < step ? left : step), out);
    }
}

static void
must_survive_writing(const struct decoded *d)
{
    size_t len = 0;
    char *body = malloc(d->content_len + CHUNK_LINE_MAX + 8);
    struct decoded again;

    MUST(body != NULL);
    if (d->content_len > 0) {
        char line[CHUNK_LINE_MAX];
        len = chunk_write_line(line, d->content_len);
        memcpy(body, line, len);
        memcpy(body + len, d->content, d->content_len);
        len += d->content_len;
        memcpy(body + len, "\r\n", 2);
        len += 2;
    }
    memcpy(body + len, "0\r\n\r\n", 5);
    len += 5;
    decode(slice_of(body, len), len, &again);
    MUST(again.rc == RC_OK && again.eaten == len);
    MUST(slice_eq(slice_of(again.content, again.content_len),
        slice_of(d->content, d->content_len)));
    free(again.content);
    free(body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t steps[] = {1, 2, 7, 61};
    struct slice in = {(const char *)data, size};
    struct decoded whole, other;

    decode(in, size, &whole);
    for (size_t k = 0; k < ARRAY_LEN(steps); k++) {
        decode(in, steps[k], &other);
        MUST(other.rc == whole.rc);
        MUST(other.content_len == whole.content_len);
        MUST(whole.rc != RC_OK || other.eaten == whole.eaten);
        free(other.content);
    }
    must_survive_writing(&whole);
    free(whole.content);
    return 0;
}
