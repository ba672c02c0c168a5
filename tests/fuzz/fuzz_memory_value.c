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
#include "nearside/memory/codec.h"

enum {
    HEAD_LEN = 64,
    SUM_LEN = 8,
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
    uint64_t sum = XXH3_64bits(value, len - SUM_LEN);

    for (size_t i = 0; i < SUM_LEN; i++) {
        value[len - SUM_LEN + i] = (char)(sum >> (8 * i));
    }
}

static bool
is_within(struct slice part, struct slice whole)
{
    return part.ptr >= whole.ptr &&
           part.ptr + part.len <= whole.ptr + whole.len;
}

static void
check_entry(struct entry *e)
{
    struct codec_parts parts = {
        .status = e->status,
        .flags = e->flags,
        .created_ms = e->created_ms,
        .fresh_until_ms = e->fresh_until_ms,
        .stale_until_ms = e->stale_until_ms,
        .origin_cost_ms = e->origin_cost_ms,
        .while_ms = e->while_ms,
        .if_error_ms = e->if_error_ms,
        .key = e->key,
        .note = e->note,
        .fields = e->fields,
        .body = e->body,
    };
    struct entry *again = NULL;

    MUST(is_within(e->key, e->blob));
    MUST(is_within(e->note, e->blob));
    MUST(is_within(e->fields, e->blob));
    MUST(is_within(e->body, e->blob));
    MUST(e->stale_until_ms >= e->fresh_until_ms);
    MUST(codec_encode(&parts, &again) == RC_OK);
    MUST(slice_eq(again->blob, e->blob));
    entry_unref(&again);
}

static void
decode(const uint8_t *data, size_t size, struct slice key, bool is_sealed)
{
    struct entry *e = NULL;
    char *value = copy_of(data, size);
    enum rc rc;

    if (is_sealed && size >= SUM_LEN) {
        seal(value, size);
    }
    rc = codec_decode(value, size, key, &e);
    MUST((rc == RC_OK) == (e != NULL));
    if (e != NULL) {
        MUST(slice_eq(e->key, key));
        check_entry(e);
    }
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
