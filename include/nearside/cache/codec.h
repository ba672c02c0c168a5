/*
 * Values: entries as they are stored in Redis, one string each. A value has
 * a head of numbers, the full key, the private fields, the fields, the body
 * and a checksum over all of it (codec.c shows the bytes). A value that comes
 * from Redis is never trusted: one that does not fit to the last byte is no
 * entry.
 */
#ifndef NEARSIDE_CACHE_CODEC_H
#define NEARSIDE_CACHE_CODEC_H

#include "nearside/cache/entry.h"

/* For a Lua script: the function sum(v) gives the checksum of the value v. The
   script compares it with the entry_sum of the entry that it expects. When GET
   has found nothing, v is false, and so is sum(v). */
#define CODEC_LUA_SUM "local function sum(v) return v and string.sub(v,-8) end "
static_assert(ENTRY_SUM_LEN == 8, "as in CODEC_LUA_SUM");

/* What goes into a value. Slices are borrowed for the call. */
struct codec_parts {
    uint16_t status;
    uint16_t flags;
    int64_t created_ms;
    int64_t fresh_until_ms;
    int64_t stale_until_ms;
    uint32_t fetched; /* entry_fetched_of; 0: not known */
    uint32_t while_ms;
    uint32_t if_error_ms;
    struct slice key;
    union {
        struct slice private_fields;
        struct slice vary_names; /* of a Vary record */
    };
    struct slice fields;
    union {
        struct slice body;       /* the first run of the body */
        struct slice generation; /* of a Vary record */
    };
    struct slice (*body_next)(void *ctx); /* further runs until one is
                                             empty; NULL: body is all */
    void *body_ctx;
    size_t body_len; /* of all runs together; 0 with no body_next takes
                        body.len */
};

/* A value of our own making; the bytes are malloc'ed and the holder's. */
struct value {
    char *bytes; /* NULL: none */
    size_t len;
};

/* Frees and clears; a value that is none is fine. */
void value_free(struct value *v);

/* The bytes to send, for as long as the value lives. */
static inline struct slice
value_slice(const struct value *v)
{
    MUST(v->bytes != NULL);
    return slice_of(v->bytes, v->len);
}

/*
 * A new value, owned by the caller.
 * RC_NOMEM. RC_LIMIT: a part is beyond what the format can say (4 GiB).
 * RC_BAD: what decoding would refuse (status, times, fields that are not
 * lines, an empty key), or the runs of the body are not body_len bytes.
 */
enum rc codec_encode(
    const struct codec_parts *parts, struct value *out_value) RC_MUST_CHECK;

/* An entry of a copy of that value, which is our own and is not checked.
   RC_NOMEM. */
enum rc codec_entry(
    const struct value *value, struct entry **out_entry) RC_MUST_CHECK;

/* How long the value is that begins with these bytes, by its own word; 0: they
   are no such beginning, or too few to tell. */
size_t codec_len(struct slice beginning);

/*
 * Takes a malloc'ed value that came from Redis, checks all of it, and turns
 * it into an entry for `key`, in place. Anything else than RC_OK frees it.
 * RC_BAD: not one of ours, damaged, or another version. RC_MISS: well
 * formed, but of another key.
 */
enum rc codec_decode(char *own_value, size_t len, struct slice key,
    struct entry **out_entry) RC_MUST_CHECK;

#endif
