/*
 * Stored values of our own making: what is encoded is decoded to the same,
 * in however many runs the body comes; and a bit that is flipped, a byte
 * that is missing or one too many, or another's key, and it is no entry.
 *
 * Input: the numbers of a value's head, three lengths, the size of a run of
 * the body; then key, private fields, fields and body.
 */
#include "fuzz.h"
#include "nearside/cache/codec.h"

enum {
    FLIPS = 64,
    NUMBERS_LEN = 46,
};

/* A body that comes in runs. */
struct runs {
    struct slice rest;
    size_t run_len;
};

static struct slice
next_run(void *ctx)
{
    struct runs *runs = ctx;
    size_t len =
        runs->rest.len < runs->run_len ? runs->rest.len : runs->run_len;
    struct slice run = slice_of(runs->rest.ptr, len);

    runs->rest = slice_skip(runs->rest, len);
    return run;
}

static enum rc
decode(struct slice value, struct slice key, struct entry **out)
{
    return codec_decode(fuzz_copy(value), value.len, key, out);
}

static void
must_be_same(
    const struct entry *e, const struct codec_parts *parts, struct slice body)
{
    MUST(e->status == parts->status && e->flags == parts->flags);
    MUST(entry_created_ms(e) == parts->created_ms);
    MUST(entry_fresh_until_ms(e) == parts->fresh_until_ms);
    MUST(entry_stale_until_ms(e) == parts->stale_until_ms);
    MUST(entry_fetched(e) == parts->fetched);
    MUST(entry_while_ms(e) == parts->while_ms);
    MUST(entry_if_error_ms(e) == parts->if_error_ms);
    MUST(slice_eq(entry_key(e), parts->key));
    MUST(slice_eq(entry_fields(e), parts->fields));
    if ((e->flags & ENTRY_VARY_RECORD) != 0) {
        MUST(slice_eq(entry_vary_names(e), parts->vary_names));
        MUST(slice_eq(entry_generation(e), body));
    } else {
        MUST(slice_eq(entry_private(e), parts->private_fields));
        MUST(slice_eq(entry_body(e), body));
    }
}

static void
must_be_refused(struct slice value, struct slice key)
{
    struct entry *e = NULL;
    enum rc rc = decode(value, key, &e);

    MUST(rc == RC_BAD || rc == RC_MISS);
    MUST(e == NULL);
}

static void
must_notice_damage(struct slice value, struct slice key)
{
    char *bytes = malloc(value.len + 1);
    uint32_t at = 1;

    MUST(bytes != NULL);
    memcpy(bytes, value.ptr, value.len);
    bytes[value.len] = '\0';
    /* Some bits, spread by the constants of Knuth's generator. */
    for (unsigned i = 0; i < FLIPS; i++) {
        size_t bit;
        at = at * 1664525U + 1013904223U +
             (unsigned char)value.ptr[at % value.len];
        bit = (at >> 4) % (value.len * 8);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
        must_be_refused(slice_of(bytes, value.len), key);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
    }
    must_be_refused(slice_of(bytes, value.len - 1), key);
    must_be_refused(slice_of(bytes, value.len + 1), key);
    must_be_refused(slice_of(bytes, at % value.len), key);
    must_be_refused(value, slice_of(key.ptr, key.len - 1));
    bytes[0] = (char)(key.ptr[0] ^ 1); /* another of the same length */
    memcpy(bytes + 1, key.ptr + 1, key.len - 1);
    must_be_refused(value, slice_of(bytes, key.len));
    free(bytes);
}

static void
try_parts(const struct codec_parts *parts, size_t run_len)
{
    struct codec_parts cut = *parts;
    struct runs runs = {parts->body, run_len};
    struct value v = {NULL, 0}, other = {NULL, 0};
    struct entry *own = NULL, *back = NULL;

    cut.body = next_run(&runs);
    cut.body_len = parts->body.len;
    cut.body_next = next_run;
    cut.body_ctx = &runs;
    if (codec_encode(parts, &v) != RC_OK) {
        MUST(v.bytes == NULL);
        MUST(codec_encode(&cut, &other) == RC_BAD);
        return;
    }
    MUST(codec_entry(&v, &own) == RC_OK);
    must_be_same(own, parts, parts->body);
    MUST(codec_encode(&cut, &other) == RC_OK);
    MUST(slice_eq(value_slice(&v), value_slice(&other)));
    /* Runs that are a byte less, or more, than was said. */
    for (size_t k = 0; k < 2; k++) {
        struct value none = {NULL, 0};
        runs.rest = parts->body;
        cut.body = next_run(&runs);
        cut.body_len = k == 0 ? parts->body.len + 1 : parts->body.len - 1;
        MUST(parts->body.len < 2 || codec_encode(&cut, &none) == RC_BAD);
        MUST(none.bytes == NULL);
    }
    MUST(decode(value_slice(&v), parts->key, &back) == RC_OK);
    must_be_same(back, parts, parts->body);
    MUST(slice_eq(entry_sum(own), entry_sum(back)));
    must_notice_damage(value_slice(&v), parts->key);
    entry_unref(&own);
    entry_unref(&back);
    value_free(&v);
    value_free(&other);
}

static struct slice
take(struct slice *rest, size_t len)
{
    struct slice part = slice_of(rest->ptr, len < rest->len ? len : rest->len);

    *rest = slice_skip(*rest, part.len);
    return part;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct codec_parts parts = {0};
    struct slice rest;
    uint16_t lens[2];
    char *copy;

    if (size < NUMBERS_LEN) {
        return 0;
    }
    memcpy(&parts.status, data, 2);
    memcpy(&parts.flags, data + 2, 2);
    memcpy(&parts.created_ms, data + 4, 8);
    memcpy(&parts.fresh_until_ms, data + 12, 8);
    memcpy(&parts.stale_until_ms, data + 20, 8);
    memcpy(&parts.fetched, data + 28, 4);
    memcpy(&parts.while_ms, data + 32, 4);
    memcpy(&parts.if_error_ms, data + 36, 4);
    memcpy(lens, data + 40, 4);
    copy = fuzz_copy(
        slice_of((const char *)data + NUMBERS_LEN, size - NUMBERS_LEN));
    rest = slice_of(copy, size - NUMBERS_LEN);
    parts.key = take(&rest, lens[0]);
    parts.private_fields = take(&rest, data[44]);
    parts.fields = take(&rest, lens[1]);
    parts.body = rest;
    /* The caller's duty, checked there. */
    if (parts.stale_until_ms >= parts.fresh_until_ms) {
        try_parts(&parts, 1 + (size_t)data[45] % 16);
    }
    free(copy);
    return 0;
}
