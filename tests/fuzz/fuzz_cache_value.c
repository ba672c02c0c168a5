/*
 * Any bytes as a stored value. They are decoded as they are, and once more
 * with their checksum made right, so that the fuzzer gets past it as a
 * malicious writer would. What is accepted must lie within the value and
 * be spelled by the encoder byte for byte the same.
 */
#include <stdint.h>
#include <stdlib.h>

#include <xxhash.h>

#include "nearside/base/check.h"
#include "nearside/cache/codec.h"

enum {
    HEAD_LEN = 64,
    KEY_LEN_AT = 40,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *
copy_of(const uint8_t *data, size_t size)
{
    char *copy = malloc(size == 0 ? 1 : size);

    MUST(copy != NULL);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

static void
seal(char *value, size_t len)
{
    uint64_t sum = XXH3_64bits(value, len - ENTRY_SUM_LEN);

    for (size_t i = 0; i < ENTRY_SUM_LEN; i++) {
        value[len - ENTRY_SUM_LEN + i] = (char)(sum >> (8 * i));
    }
}

/* Within what stood behind the value's head, of len bytes. The entry's own head
   lies before that. */
static void
check_within(const struct entry *e, size_t len, struct slice part)
{
    const char *start = entry_key(e).ptr;

    MUST(start > (const char *)e);
    MUST(part.ptr >= start);
    MUST(part.ptr + part.len <= start + len);
}

/* value: a copy of what the entry was made of. */
static void
check_entry(struct entry *e, struct slice value)
{
    bool is_record = (e->flags & ENTRY_VARY_RECORD) != 0;
    struct codec_parts parts = {
        .status = e->status,
        .flags = e->flags,
        .created_ms = entry_created_ms(e),
        .fresh_until_ms = entry_fresh_until_ms(e),
        .stale_until_ms = entry_stale_until_ms(e),
        .fetched = entry_fetched(e),
        .while_ms = entry_while_ms(e),
        .if_error_ms = entry_if_error_ms(e),
        .key = entry_key(e),
        .private_fields = is_record ? entry_vary_names(e) : entry_private(e),
        .fields = entry_fields(e),
        .body = is_record ? entry_generation(e) : entry_body(e),
    };
    struct value again = {NULL, 0};
    size_t len = value.len - HEAD_LEN;

    MUST(value.len >= HEAD_LEN);
    check_within(e, len, parts.key);
    check_within(e, len, parts.private_fields);
    check_within(e, len, parts.fields);
    check_within(e, len, parts.body);
    check_within(e, len, entry_sum(e));
    MUST(entry_stale_until_ms(e) >= entry_fresh_until_ms(e));
    MUST(codec_encode(&parts, &again) == RC_OK);
    MUST(slice_eq(value_slice(&again), value));
    value_free(&again);
}

static void
decode(const uint8_t *data, size_t size, struct slice key, bool is_sealed)
{
    struct entry *e = NULL;
    char *value = copy_of(data, size);
    char *kept;
    enum rc rc;

    if (is_sealed && size >= ENTRY_SUM_LEN) {
        seal(value, size);
    }
    kept = copy_of((const uint8_t *)value, size);
    rc = codec_decode(value, size, key, &e);
    MUST((rc == RC_OK) == (e != NULL));
    if (e != NULL) {
        MUST(slice_eq(entry_key(e), key));
        check_entry(e, slice_of(kept, size));
    }
    free(kept);
    entry_unref(&e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice key = SLICE("http://h/");

    decode(data, size, key, false);
    decode(data, size, key, true);
    /* Its own key, if the first length byte tells it. */
    if (size >= HEAD_LEN && size - HEAD_LEN >= data[KEY_LEN_AT]) {
        key = slice_of((const char *)data + HEAD_LEN, data[KEY_LEN_AT]);
        decode(data, size, key, true);
    }
    return 0;
}
