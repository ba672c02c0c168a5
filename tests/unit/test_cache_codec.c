/* The value format: what goes in comes out, and nothing else comes out. */
#include "nearside/cache/codec.h"

#include "heap.h"

#include <limits.h>
#include <stdlib.h>

#include <xxhash.h>

#include "nearside/base/check.h"

#define KEY SLICE("https://shop.example/products/42")

enum {
    HEAD_LEN = 64,
    COPY_MAX = 16 << 10, /* a larger one is kept as it is */
};

static struct codec_parts
parts_full(void)
{
    return (struct codec_parts){
        .status = 200,
        .flags = ENTRY_SHAREABLE | ENTRY_MUST_VALIDATE,
        .created_ms = 1700000000123,
        .fresh_until_ms = 1700000300123,
        .stale_until_ms = 1700000600123,
        .fetched = 97,
        .key = KEY,
        .private_fields = SLICE("x-us: 1\r\n"),
        .fields = SLICE("content-type: application/json\r\netag: \"1\"\r\n"),
        .body = SLICE("{\"id\":\"42\"}"),
    };
}

static struct value
encoded(const struct codec_parts *parts)
{
    struct value v = {NULL, 0};

    assert_int_equal(codec_encode(parts, &v), RC_OK);
    return v;
}

static void
assert_not_encoded(const struct codec_parts *parts, enum rc why)
{
    struct value v = {NULL, 0};

    assert_int_equal(codec_encode(parts, &v), why);
    assert_null(v.bytes);
}

static struct entry *
entry_of(const struct value *value)
{
    struct entry *e = NULL;

    assert_int_equal(codec_entry(value, &e), RC_OK);
    return e;
}

/* Decodes a copy, in a block of exactly its size so that a read past the
   end is seen by the sanitizers. */
static enum rc
decoded(struct slice value, struct slice key, struct entry **out)
{
    char *copy = malloc(value.len == 0 ? 1 : value.len);

    assert_non_null(copy);
    if (value.len > 0) {
        memcpy(copy, value.ptr, value.len);
    }
    return codec_decode(copy, value.len, key, out);
}

static void
assert_refused(struct slice value)
{
    struct entry *e = NULL;

    assert_int_equal(decoded(value, KEY, &e), RC_BAD);
    assert_null(e);
}

/* A value as somebody would forge it: changed, with a right checksum. */
static void
seal(char *value, size_t len)
{
    uint64_t sum = XXH3_64bits(value, len - ENTRY_SUM_LEN);

    for (size_t i = 0; i < ENTRY_SUM_LEN; i++) {
        value[len - ENTRY_SUM_LEN + i] = (char)(sum >> (8 * i));
    }
}

static void
assert_same(const struct entry *e, const struct codec_parts *parts)
{
    assert_int_equal(e->magic, ENTRY_MAGIC);
    assert_int_equal(e->status, parts->status);
    assert_int_equal(e->flags, parts->flags);
    assert_true(entry_created_ms(e) == parts->created_ms);
    assert_true(entry_fresh_until_ms(e) == parts->fresh_until_ms);
    assert_true(entry_stale_until_ms(e) == parts->stale_until_ms);
    assert_int_equal(entry_fetched(e), parts->fetched);
    assert_int_equal(entry_while_ms(e), parts->while_ms);
    assert_int_equal(entry_if_error_ms(e), parts->if_error_ms);
    assert_int_equal(atomic_load(&e->refs), 1);
    assert_true(slice_eq(entry_key(e), parts->key));
    assert_true(slice_eq(entry_private(e), parts->private_fields));
    assert_true(slice_eq(entry_fields(e), parts->fields));
    assert_true(slice_eq(entry_body(e), parts->body));
}

static void
what_is_encoded_is_decoded(void **state)
{
    struct codec_parts parts = parts_full();
    struct value made = encoded(&parts);
    struct entry *own = entry_of(&made);
    struct entry *read = NULL;

    (void)state;
    assert_same(own, &parts);
    assert_int_equal(decoded(value_slice(&made), KEY, &read), RC_OK);
    assert_same(read, &parts);
    entry_unref(&own);
    entry_unref(&read);
    value_free(&made);
    assert_null(made.bytes);
}

/* By which scripts in Redis know a value again. */
static void
the_sum_is_how_the_value_ends(void **state)
{
    struct codec_parts parts = parts_full();
    struct value made = encoded(&parts);
    struct entry *own = entry_of(&made);
    struct slice end = slice_skip(value_slice(&made), made.len - 8);

    (void)state;
    assert_true(slice_eq(entry_sum(own), end));
    entry_unref(&own);
    value_free(&made);
}

static void
a_vary_record_has_names_and_a_generation(void **state)
{
    struct codec_parts parts = {
        .flags = ENTRY_VARY_RECORD,
        .key = KEY,
        .vary_names = SLICE("accept-encoding, accept"),
        .fields = SLICE("a: b\r\n"),
        .generation = SLICE("0123456789abcdef"),
    };
    struct value made = encoded(&parts);
    struct entry *read = NULL;

    (void)state;
    assert_int_equal(decoded(value_slice(&made), KEY, &read), RC_OK);
    assert_true(slice_eq(entry_vary_names(read), parts.vary_names));
    assert_true(slice_eq(entry_generation(read), parts.generation));
    assert_int_equal(entry_sum(read).len, 8);
    entry_unref(&read);
    value_free(&made);
}

static void
the_least_entry_is_an_entry(void **state)
{
    struct codec_parts parts = {.status = 204, .key = KEY};
    struct value made = encoded(&parts);
    struct entry *read = NULL;

    (void)state;
    assert_int_equal(made.len, HEAD_LEN + KEY.len + ENTRY_SUM_LEN);
    assert_int_equal(decoded(value_slice(&made), KEY, &read), RC_OK);
    assert_same(read, &parts);
    value_free(&made);
    entry_unref(&read);
}

/* The format is on disks and in other instances: it may not drift. */
static void
the_bytes_of_version_1_are_these(void **state)
{
    static const unsigned char want[HEAD_LEN] = {'n', 's', 'e', 'v', 1, 0, 0x94,
        0x01, 0x12, 0, 0, 0, 0x04, 0x03, 0x02, 0x01, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0x02, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0,
        0, 0, 1, 0, 0, 0, 6, 0, 0, 0, 6, 0, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0, 9, 1,
        0, 0};
    struct codec_parts parts = {
        .status = 404,
        .flags = ENTRY_NEVER_STALE | ENTRY_MUST_VALIDATE,
        .fetched = 0x01020304,
        .while_ms = 7,
        .if_error_ms = 0x109,
        .created_ms = -1,
        .fresh_until_ms = 0x102,
        .stale_until_ms = 0x1000000,
        .key = SLICE("k"),
        .private_fields = SLICE("c: d\r\n"),
        .fields = SLICE("a: b\r\n"),
        .body = SLICE("bbb"),
    };
    struct value v = encoded(&parts);
    struct entry *read = NULL;
    uint64_t sum = XXH3_64bits(v.bytes, v.len - ENTRY_SUM_LEN);

    (void)state;
    assert_int_equal(v.len, HEAD_LEN + 1 + 6 + 6 + 3 + ENTRY_SUM_LEN);
    assert_memory_equal(v.bytes, want, sizeof(want));
    assert_memory_equal(v.bytes + HEAD_LEN, "kc: d\r\na: b\r\nbbb", 16);
    for (size_t i = 0; i < ENTRY_SUM_LEN; i++) {
        assert_int_equal((unsigned char)v.bytes[v.len - ENTRY_SUM_LEN + i],
            (sum >> (8 * i)) & 0xff);
    }
    assert_int_equal(decoded(value_slice(&v), SLICE("k"), &read), RC_OK);
    assert_same(read, &parts);
    entry_unref(&read);
    value_free(&v);
}

static void
decoding_copies_no_byte(void **state)
{
    struct codec_parts parts = parts_full();
    struct value made = encoded(&parts);
    struct entry *e = NULL;
    char *value = malloc(made.len);

    (void)state;
    memcpy(value, made.bytes, made.len);
    assert_int_equal(codec_decode(value, made.len, KEY, &e), RC_OK);
    assert_in_range(
        (uintptr_t)e, (uintptr_t)value, (uintptr_t)value + HEAD_LEN);
    assert_ptr_equal(entry_key(e).ptr, value + HEAD_LEN);
    assert_ptr_equal(
        entry_body(e).ptr, value + made.len - ENTRY_SUM_LEN - parts.body.len);
    value_free(&made);
    entry_unref(&e);
}

static void
every_flipped_bit_is_refused(void **state)
{
    struct codec_parts parts = parts_full();
    struct value made = encoded(&parts);
    char *value = malloc(made.len);

    (void)state;
    memcpy(value, made.bytes, made.len);
    for (size_t i = 0; i < made.len * 8; i++) {
        value[i / 8] = (char)(value[i / 8] ^ (1 << (i % 8)));
        assert_refused(slice_of(value, made.len));
        value[i / 8] = (char)(value[i / 8] ^ (1 << (i % 8)));
    }
    free(value);
    value_free(&made);
}

static void
every_cut_is_refused(void **state)
{
    struct codec_parts parts = parts_full();
    struct value made = encoded(&parts);

    (void)state;
    for (size_t len = 0; len < made.len; len++) {
        assert_refused(slice_of(made.bytes, len));
        /* The same without its front. */
        assert_refused(slice_skip(value_slice(&made), made.len - len));
    }
    value_free(&made);
}

static void
appended_bytes_are_refused(void **state)
{
    struct codec_parts parts = parts_full();
    struct value made = encoded(&parts);
    char *value = calloc(1, made.len + 16);

    (void)state;
    memcpy(value, made.bytes, made.len);
    for (size_t more = 1; more <= 16; more++) {
        assert_refused(slice_of(value, made.len + more));
    }
    free(value);
    value_free(&made);
}

static void
an_appended_byte_is_refused_with_a_right_checksum(void **state)
{
    struct codec_parts parts = parts_full();
    struct value made = encoded(&parts);
    size_t len = made.len + 1;
    char *value = calloc(1, len);

    (void)state;
    memcpy(value, made.bytes, made.len);
    seal(value, len);
    assert_refused(slice_of(value, len));
    free(value);
    value_free(&made);
}

static void
a_value_of_another_key_is_a_miss(void **state)
{
    struct codec_parts parts = parts_full();
    struct value made = encoded(&parts);
    struct entry *e = NULL;

    (void)state;
    assert_int_equal(decoded(value_slice(&made),
                         SLICE("https://shop.example/products/43"), &e),
        RC_MISS);
    assert_int_equal(decoded(value_slice(&made),
                         SLICE("https://shop.example/products/4"), &e),
        RC_MISS);
    assert_int_equal(decoded(value_slice(&made), SLICE(""), &e), RC_MISS);
    assert_null(e);
    value_free(&made);
}

/* One byte changed, the checksum made right again. */
struct forgery {
    size_t at;
    char byte;
};

static void
a_forged_head_is_refused(void **state)
{
    static const struct forgery forgeries[] = {
        {0, 'N'},        /* magic */
        {3, 'V'},        /* its last byte */
        {4, 0},          /* version */
        {4, 2},          /* version */
        {5, 1},          /* coding */
        {7, 0x7f},       /* status 32,712 */
        {6, 100},        /* status 100 */
        {9, (char)0x01}, /* a flag of later days */
        {9, (char)0x80},
        {10, 1},    /* a generation that is not there */
        {11, 1},    /* 256 of them */
        {23, 0x7f}, /* created, near the end of time */
        {23, (char)0x80},
        {31, 0x7f}, /* fresh until */
        {39, 0x7f}, /* stale until */
        {39, (char)0x80},
        {37, 0},  /* stale before fresh */
        {40, 33}, /* one byte more key */
        {43, (char)0xff},
        {44, 5}, /* private fields */
        {47, (char)0xff},
        {48, 42}, /* fields */
        {51, (char)0xff},
        {52, 10}, /* body */
        {55, (char)0xff},
    };
    struct codec_parts parts = parts_full();
    struct value made = encoded(&parts);
    char *value = malloc(made.len);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(forgeries); i++) {
        memcpy(value, made.bytes, made.len);
        assert_true(value[forgeries[i].at] != forgeries[i].byte);
        value[forgeries[i].at] = forgeries[i].byte;
        seal(value, made.len);
        assert_refused(slice_of(value, made.len));
    }
    free(value);
    value_free(&made);
}

/* Two lengths 2^31 too long each: in 32 bits the sum would be right. */
static void
lengths_whose_sum_wraps_round_are_refused(void **state)
{
    struct codec_parts parts = parts_full();
    struct value made = encoded(&parts);
    char *value = malloc(made.len);

    (void)state;
    memcpy(value, made.bytes, made.len);
    value[47] = (char)0x80;
    value[55] = (char)0x80;
    seal(value, made.len);
    assert_refused(slice_of(value, made.len));
    free(value);
    value_free(&made);
}

static const struct slice bad_fields[] = {
    {"a: b", 4},            /* no end */
    {"a: b\n", 5},          /* bare LF */
    {"a: b\r", 5},          /* bare CR */
    {"a: b\r\r\n", 7},      /* CR within */
    {"a: b\r\n\r\n", 8},    /* the head would end here */
    {"\r\na: b\r\n", 8},    /* and here */
    {"a: b\nc: d\r\n", 11}, /* two lines for a lenient reader */
    {"a: \0\r\n", 6},       /* NUL */
    {": b\r\n", 5},         /* no name */
    {"ab\r\n", 4},          /* no colon */
    {"a:b\r\n", 5},         /* not our spelling */
    {"a:\r\n", 4},
    {"a : b\r\n", 7},    /* space before the colon */
    {" a: b\r\n", 7},    /* folded */
    {"A: b\r\n", 6},     /* upper case */
    {"a\x80: b\r\n", 7}, /* not a name */
    {"\n", 1},
    {"\r\n", 2},
    {"a: b\r\ncontent-length: 1\r\n", 25},
    {"transfer-encoding: chunked\r\n", 28},
    {"connection: close\r\n", 19},
    {"keep-alive: a\r\n", 15},
    {"trailer: a\r\n", 12},
    {"upgrade: a\r\n", 12},
    {"age: 1\r\n", 8},
};

static void
fields_that_are_not_lines_are_not_encoded(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad_fields); i++) {
        struct codec_parts parts = parts_full();

        parts.fields = bad_fields[i];
        assert_not_encoded(&parts, RC_BAD);
        parts = parts_full();
        parts.private_fields = bad_fields[i];
        assert_not_encoded(&parts, RC_BAD);
    }
}

static void
fields_that_are_not_lines_are_refused_with_a_right_checksum(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad_fields); i++) {
        struct codec_parts parts = {.status = 200, .key = KEY};
        struct value made;
        char *value;

        /* Made as a body; then its length becomes the fields'. */
        parts.body = bad_fields[i];
        made = encoded(&parts);
        value = malloc(made.len);
        memcpy(value, made.bytes, made.len);
        value[48] = value[52];
        value[52] = 0;
        seal(value, made.len);
        assert_refused(slice_of(value, made.len));
        value[44] = value[48]; /* or the private fields' */
        value[48] = 0;
        seal(value, made.len);
        assert_refused(slice_of(value, made.len));
        free(value);
        value_free(&made);
    }
}

/* Such a line with that byte at that place. */
static bool
is_line_with(const char *line, size_t at, unsigned char byte)
{
    size_t colon = strcspn(line, ":");

    if (at < colon) {
        return byte > ' ' && byte < 0x7f && byte != ':' &&
               !(byte >= 'A' && byte <= 'Z');
    }
    if (at <= colon + 1 || line[at] == '\r' || line[at] == '\n') {
        return byte == (unsigned char)line[at];
    }
    return byte != '\0' && byte != '\r' && byte != '\n';
}

static void
each_byte_of_a_field_line_is_looked_at(void **state)
{
    static const char line[] =
        "x-a-name-of-many: its value has a few words\r\n";
    char changed[sizeof(line)];

    (void)state;
    for (size_t at = 0; at < sizeof(line) - 1; at++) {
        for (unsigned byte = 0; byte <= UINT8_MAX; byte++) {
            struct codec_parts parts = parts_full();
            struct value value;
            enum rc rc;

            memcpy(changed, line, sizeof(line));
            changed[at] = (char)byte;
            parts.fields = slice_of(changed, sizeof(line) - 1);
            rc = codec_encode(&parts, &value);
            assert_int_equal(rc,
                is_line_with(line, at, (unsigned char)byte) ? RC_OK : RC_BAD);
            if (rc == RC_OK) {
                value_free(&value);
            }
        }
    }
}

static void
an_empty_value_in_a_field_is_fine(void **state)
{
    struct codec_parts parts = parts_full();
    struct value made;
    struct entry *e = NULL;

    (void)state;
    parts.fields =
        SLICE("x-empty: \r\nx-colon: a:b: c\r\nx-high: \xc3\xa9\r\n");
    made = encoded(&parts);
    assert_int_equal(decoded(value_slice(&made), KEY, &e), RC_OK);
    assert_true(slice_eq(entry_fields(e), parts.fields));
    entry_unref(&e);
    value_free(&made);
}

static void
what_is_no_response_may_lack_a_status(void **state)
{
    struct codec_parts parts = {.key = KEY};
    struct value made;

    (void)state;
    assert_not_encoded(&parts, RC_BAD);
    parts.status = 103;
    assert_not_encoded(&parts, RC_BAD);
    parts.status = 1000;
    assert_not_encoded(&parts, RC_BAD);
    parts.status = 0;
    /* No other flag excuses it. */
    parts.flags = ENTRY_FLAGS_ALL & ~(ENTRY_HIT_FOR_MISS | ENTRY_VARY_RECORD);
    assert_not_encoded(&parts, RC_BAD);
    parts.flags = ENTRY_HIT_FOR_MISS;
    made = encoded(&parts);
    value_free(&made);
    parts.flags = ENTRY_VARY_RECORD;
    made = encoded(&parts);
    value_free(&made);
}

static void
what_decoding_would_refuse_is_not_encoded(void **state)
{
    struct codec_parts parts = parts_full();

    (void)state;
    parts.key = SLICE("");
    assert_not_encoded(&parts, RC_BAD);
    parts = parts_full();
    parts.flags = 1 << 9;
    assert_not_encoded(&parts, RC_BAD);
    /* About a condition, or a part: never the whole of anything. */
    parts = parts_full();
    parts.status = 206;
    assert_not_encoded(&parts, RC_BAD);
    parts.status = 304;
    assert_not_encoded(&parts, RC_BAD);
    parts.status = 416;
    assert_not_encoded(&parts, RC_BAD);
    parts = parts_full();
    parts.stale_until_ms = INT64_MAX;
    assert_not_encoded(&parts, RC_BAD);
    parts = parts_full();
    parts.created_ms = INT64_MIN;
    assert_not_encoded(&parts, RC_BAD);
}

/* A body in runs, as a fill holds it. */
struct runs {
    const struct slice *slices;
    size_t next;
};

static struct slice
next_run(void *ctx)
{
    struct runs *runs = ctx;

    return runs->slices[runs->next++];
}

static void
a_body_in_runs_is_the_same_body(void **state)
{
    static const char body[] = "{\"id\":\"42\"}";
    size_t len = sizeof(body) - 1;
    struct codec_parts whole = parts_full();
    struct value want = encoded(&whole);

    (void)state;
    for (size_t a = 0; a <= len; a++) {
        for (size_t b = a + 1; b < len; b++) {
            struct slice cut[] = {slice_of(body + a, b - a),
                slice_of(body + b, len - b), {NULL, 0}, {"x", 1}};
            struct runs runs = {.slices = cut};
            struct codec_parts parts = parts_full();
            struct value made;

            parts.body = slice_of(body, a);
            parts.body_next = next_run;
            parts.body_ctx = &runs;
            parts.body_len = len;
            made = encoded(&parts);
            assert_true(slice_eq(value_slice(&made), value_slice(&want)));
            assert_int_equal(runs.next, 3);
            value_free(&made);
        }
    }
    value_free(&want);
}

static void
runs_that_are_not_body_len_bytes_make_no_value(void **state)
{
    static const struct slice cut[] = {{"cd", 2}, {"ef", 2}, {NULL, 0}};

    (void)state;
    for (size_t len = 0; len < 12; len++) {
        struct runs runs = {.slices = cut};
        struct codec_parts parts = parts_full();
        struct value made = {NULL, 0};

        parts.body = SLICE("ab");
        parts.body_next = next_run;
        parts.body_ctx = &runs;
        parts.body_len = len;
        assert_int_equal(
            codec_encode(&parts, &made), len == 6 ? RC_OK : RC_BAD);
        assert_true((made.bytes != NULL) == (len == 6));
        value_free(&made);
    }
}

static void
a_part_beyond_4_gib_is_a_limit(void **state)
{
    struct codec_parts parts = parts_full();

    (void)state;
    /* Judged by its length before a byte is read. */
    parts.body.len = (size_t)UINT32_MAX + 1;
    assert_not_encoded(&parts, RC_LIMIT);
    parts = parts_full();
    parts.fields.len = (size_t)UINT32_MAX + 1;
    assert_not_encoded(&parts, RC_LIMIT);
    parts = parts_full();
    parts.key.len = (size_t)UINT32_MAX + 1;
    assert_not_encoded(&parts, RC_LIMIT);
}

/* The sanitizers bring a malloc of their own, so this one joins only where
   there is none. */
static void
a_failed_allocation_is_no_memory_and_leaks_nothing(void **state)
{
    struct codec_parts parts = parts_full();
    struct value made = encoded(&parts);
    struct value v = {NULL, 0};
    struct entry *e = NULL;
    size_t live = heap_blocks();
    enum rc rc;

    (void)state;
    heap_refuse(1, 0);
    rc = codec_encode(&parts, &v);
    assert_true(heap_refused());
    assert_int_equal(rc, RC_NOMEM);
    assert_null(v.bytes);
    heap_refuse(1, 0);
    rc = codec_entry(&made, &e);
    assert_true(heap_refused());
    assert_int_equal(rc, RC_NOMEM);
    assert_null(e);
    assert_int_equal(heap_blocks(), live);
    value_free(&made);
}

static void
decoding_allocates_nothing_and_frees_what_it_refuses(void **state)
{
    struct codec_parts parts = parts_full();
    struct value made = encoded(&parts);
    struct entry *e = NULL;
    size_t live = heap_blocks();
    enum rc rc;

    (void)state;
    for (size_t cut = 0; cut < 2; cut++) {
        char *value = malloc(made.len);

        memcpy(value, made.bytes, made.len);
        heap_refuse(1, 0);
        rc = codec_decode(value, made.len - cut, KEY, &e);
        assert_false(heap_refused());
        assert_int_equal(rc, cut == 0 ? RC_OK : RC_BAD);
        entry_unref(&e);
        assert_int_equal(heap_blocks(), live);
    }
    value_free(&made);
}

/* With what malloc adds, whatever the length is rounded up to. */
static void
a_tight_entry_costs_at_most_64_bytes_above_its_parts(void **state)
{
    static char body[100000];

    (void)state;
    for (size_t len = 0; len < sizeof(body); len += len < 128 ? 1 : 997) {
        struct codec_parts parts = {.status = 200, .key = SLICE("k")};
        struct value made;
        struct entry *e;

        parts.body = slice_of(body, len);
        made = encoded(&parts);
        e = entry_of(&made);
        assert_int_equal(entry_head_len(e), 32);
        assert_in_range(entry_size(e), 1 + len, 1 + len + 64);
        entry_unref(&e);
        value_free(&made);
    }
}

/* All three ways to have it say the same. */
static void
assert_kept(const struct codec_parts *parts, size_t head_len)
{
    struct value made = encoded(parts);
    struct entry *own = entry_of(&made);
    struct entry *read = NULL;
    struct entry *kept;

    assert_same(own, parts);
    assert_int_equal(entry_head_len(own), head_len);
    kept = entry_ref_to_keep(own);
    assert_ptr_equal(kept, own);
    entry_unref(&kept);
    assert_int_equal(decoded(value_slice(&made), parts->key, &read), RC_OK);
    assert_same(read, parts);
    if (entry_size(read) <= COPY_MAX) {
        kept = entry_ref_to_keep(read);
        assert_ptr_not_equal(kept, read);
        assert_same(kept, parts);
        assert_true(slice_eq(entry_sum(kept), entry_sum(own)));
        assert_int_equal(entry_size(kept), entry_size(own));
        entry_unref(&kept);
    }
    entry_unref(&read);
    entry_unref(&own);
    value_free(&made);
}

/* In a tight head, with more behind it, and in a wide one. */
static void
whatever_a_head_says_comes_back(void **state)
{
    static char text[20000];
    const int64_t created_ms = 1700000000123, span = INT64_C(1) << 37;
    const struct codec_parts plain = {.status = 999,
        .flags = ENTRY_FLAGS_ALL & ~(ENTRY_VARY_RECORD | ENTRY_HIT_FOR_MISS),
        .created_ms = created_ms,
        .fresh_until_ms = created_ms,
        .stale_until_ms = created_ms,
        .key = KEY,
        .fields = SLICE("a: b\r\n"),
        .body = SLICE("{}")};
    struct codec_parts rows[24];
    size_t tight, more, len = 0;

    (void)state;
    memset(text, 'k', sizeof(text));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        rows[i] = plain;
    }
    rows[len++].fetched = entry_fetched_of(999, UINT32_MAX);
    rows[len++].fetched = ENTRY_COST_MAX;
    rows[len++].created_ms = 0;
    rows[len - 1].fresh_until_ms = rows[len - 1].stale_until_ms = 0;
    rows[len++].fresh_until_ms = created_ms + span - 1;
    rows[len - 1].stale_until_ms = created_ms + 2 * (span - 1);
    rows[len++].key = slice_of(text, (1 << 14) - 1);
    tight = len;
    rows[len++].fetched = entry_fetched_of(1000, 0);
    rows[len++].fetched = ENTRY_COST_MAX + 1;
    rows[len++].while_ms = 1;
    rows[len++].if_error_ms = UINT32_MAX;
    rows[len++].private_fields = SLICE("x-us: 1\r\n");
    more = len;
    rows[len++].created_ms = created_ms + 1;
    rows[len++].created_ms = -1;
    rows[len++].created_ms = INT64_C(1) << 42;
    rows[len - 1].fresh_until_ms = rows[len - 1].stale_until_ms = 1LL << 42;
    rows[len++].fresh_until_ms = created_ms + span;
    rows[len - 1].stale_until_ms = created_ms + span;
    rows[len++].stale_until_ms = created_ms + span;
    rows[len++].key = slice_of(text, 1 << 14);
    rows[len++].created_ms = INT64_C(1) << 53;
    rows[len - 1].private_fields = SLICE("x-us: 1\r\n");
    rows[len - 1].while_ms = 1;
    rows[len - 1].fetched = UINT32_MAX;
    for (size_t i = 0; i < len; i++) {
        assert_kept(&rows[i], i < tight ? 32 : i < more ? 48 : 64);
    }
}

/* What is large is not copied, nor what there is no memory for. */
static void
an_entry_is_kept_as_it_is_where_no_copy_is_better(void **state)
{
    static char body[20000];
    struct codec_parts parts = {
        .status = 200, .key = KEY, .body = slice_of(body, sizeof(body))};
    struct value made = encoded(&parts);
    struct entry *e = NULL;
    struct entry *kept;

    (void)state;
    assert_int_equal(decoded(value_slice(&made), KEY, &e), RC_OK);
    kept = entry_ref_to_keep(e);
    assert_ptr_equal(kept, e);
    entry_unref(&kept);
    entry_unref(&e);
    value_free(&made);
    parts.body = SLICE("");
    made = encoded(&parts);
    assert_int_equal(decoded(value_slice(&made), KEY, &e), RC_OK);
    heap_refuse(1, 0);
    kept = entry_ref_to_keep(e);
    assert_true(heap_refused());
    assert_ptr_equal(kept, e);
    entry_unref(&kept);
    entry_unref(&e);
    value_free(&made);
}

/* As its first bytes say, which are not to be believed, yet have to be read. */
static void
the_beginning_of_a_value_says_how_long_it_is(void **state)
{
    const struct codec_parts parts = {.status = 200,
        .stale_until_ms = 1,
        .key = KEY,
        .fields = SLICE("a: b\r\n"),
        .body = SLICE("0123456789")};
    struct value value;

    (void)state;
    assert_int_equal(codec_encode(&parts, &value), RC_OK);
    for (size_t n = 0; n <= value.len; n++) {
        assert_int_equal(
            codec_len(slice_of(value.bytes, n)), n < 64 ? 0 : value.len);
    }
    value.bytes[0] ^= 1;
    assert_int_equal(codec_len(value_slice(&value)), 0);
    value.bytes[0] ^= 1;
    memset(value.bytes + 40, 0xff, 16);
    assert_true(codec_len(value_slice(&value)) > UINT32_MAX);
    value_free(&value);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_is_decoded),
        cmocka_unit_test(the_beginning_of_a_value_says_how_long_it_is),
        cmocka_unit_test(the_sum_is_how_the_value_ends),
        cmocka_unit_test(a_vary_record_has_names_and_a_generation),
        cmocka_unit_test(the_least_entry_is_an_entry),
        cmocka_unit_test(the_bytes_of_version_1_are_these),
        cmocka_unit_test(decoding_copies_no_byte),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(appended_bytes_are_refused),
        cmocka_unit_test(an_appended_byte_is_refused_with_a_right_checksum),
        cmocka_unit_test(a_value_of_another_key_is_a_miss),
        cmocka_unit_test(a_forged_head_is_refused),
        cmocka_unit_test(lengths_whose_sum_wraps_round_are_refused),
        cmocka_unit_test(fields_that_are_not_lines_are_not_encoded),
        cmocka_unit_test(
            fields_that_are_not_lines_are_refused_with_a_right_checksum),
        cmocka_unit_test(each_byte_of_a_field_line_is_looked_at),
        cmocka_unit_test(an_empty_value_in_a_field_is_fine),
        cmocka_unit_test(what_is_no_response_may_lack_a_status),
        cmocka_unit_test(what_decoding_would_refuse_is_not_encoded),
        cmocka_unit_test(a_body_in_runs_is_the_same_body),
        cmocka_unit_test(runs_that_are_not_body_len_bytes_make_no_value),
        cmocka_unit_test(a_part_beyond_4_gib_is_a_limit),
        cmocka_unit_test(a_failed_allocation_is_no_memory_and_leaks_nothing),
        cmocka_unit_test(decoding_allocates_nothing_and_frees_what_it_refuses),
        cmocka_unit_test(a_tight_entry_costs_at_most_64_bytes_above_its_parts),
        cmocka_unit_test(whatever_a_head_says_comes_back),
        cmocka_unit_test(an_entry_is_kept_as_it_is_where_no_copy_is_better),
    };

    return cmocka_run_group_tests_name("cache.codec", tests, NULL, NULL);
}
