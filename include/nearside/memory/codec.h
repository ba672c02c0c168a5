/*
 * The stored value (one Redis string; little-endian):
 * magic, version, flags, status, times, origin cost, full key, Vary, field
 * lines, body, and a checksum (XXH3, 64 bit) over everything before it.
 * A value is never trusted: whatever does not fit to the last byte is not
 * an entry.
 */
#ifndef NEARSIDE_MEMORY_CODEC_H
#define NEARSIDE_MEMORY_CODEC_H

#include "nearside/memory/entry.h"

/* What goes into a value. Slices are borrowed for the call. */
struct codec_parts {
    uint16_t status;
    uint16_t flags;
    int64_t created_ms;
    int64_t fresh_until_ms;
    int64_t stale_until_ms;
    uint32_t origin_cost_ms;
    uint32_t while_ms;
    uint32_t if_error_ms;
    struct slice key;
    struct slice note; /* as in entry.h; of a response: field lines */
    struct slice fields;
    struct slice body;                    /* the first run of the body */
    struct slice (*body_next)(void *ctx); /* further runs until one is
                                             empty; NULL: body is all */
    void *body_ctx;
    size_t body_len; /* of all runs together; 0 with no body_next takes
                        body.len */
};

/*
 * A new entry, owned by the caller, whose blob is the value to store.
 * RC_NOMEM. RC_LIMIT: a part is beyond what the format can say (4 GiB).
 * RC_BAD: what decoding would refuse (status, times, fields that are not
 * lines, an empty key), or the runs of the body are not body_len bytes.
 */
enum rc codec_encode(
    const struct codec_parts *parts, struct entry **out_entry) RC_MUST_CHECK;

/*
 * Takes a malloc'ed value, checks all of it, and makes it an entry for
 * `key`. own_value is freed when anything else than RC_OK is returned.
 * RC_BAD: not one of ours, damaged, or another version. RC_MISS: well
 * formed, but of another key. RC_NOMEM.
 */
enum rc codec_decode(char *own_value, size_t len, struct slice key,
    struct entry **out_entry) RC_MUST_CHECK;

#endif
