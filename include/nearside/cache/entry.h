/*
 * An entry: one stored response. It holds the status and the end-to-end
 * field lines, but no framing: the status line, Content-Length, Age and
 * Cache-Status are written anew for each answer.
 *
 * An entry is one block of memory: the value as it came from Redis, whose
 * head of 64 bytes has become this struct (codec.c). The parts lie behind it,
 * in the order of the lengths, and end with the value's checksum. Callers
 * know no offset; they ask the functions below, and what these lend lasts as
 * long as the caller's reference.
 *
 * Two entries are no response. A *hit-for-miss entry* says that the origin's
 * answer cannot be stored, so that nobody waits for anybody else. A *Vary
 * record* says by which request fields the responses of a URI vary, and has a
 * generation that is part of each variant's key.
 *
 * Entries are counted, immutable once made, and may be shared by threads.
 */
#ifndef NEARSIDE_CACHE_ENTRY_H
#define NEARSIDE_CACHE_ENTRY_H

#include <assert.h>
#include <stdatomic.h>

#include "nearside/base/check.h"
#include "nearside/base/slice.h"

#define ENTRY_MAGIC UINT32_C(0x6e74e517)

struct entry {
    uint32_t magic;
    _Atomic uint32_t refs;
    uint16_t status;        /* 0: no response */
    uint16_t flags;         /* ENTRY_* below */
    uint32_t fetched;       /* how old it was when received, and what the
                               fetch took: entry_fetched_of */
    int64_t created_ms;     /* wall: when its response head was received,
                               less its age then: Age = now - created */
    int64_t fresh_until_ms; /* wall */
    int64_t stale_until_ms; /* wall; >= fresh_until: of use until then */
    uint32_t key_len;
    uint32_t private_len; /* of a Vary record: its names */
    uint32_t fields_len;
    uint32_t body_len;    /* of a Vary record: its generation */
    uint32_t while_ms;    /* stale-while-revalidate (RFC 5861); 0: none */
    uint32_t if_error_ms; /* stale-if-error */
    char bytes[];         /* key, private fields, fields, body, checksum */
};

enum {
    ENTRY_SHAREABLE = 1 << 0,       /* the origin said public or s-maxage */
    ENTRY_NEVER_STALE = 1 << 1,     /* must-revalidate and its like */
    ENTRY_VARY_RECORD = 1 << 2,     /* no response, as told above */
    ENTRY_HIT_FOR_MISS = 1 << 3,    /* no response, as told above */
    ENTRY_MUST_VALIDATE = 1 << 4,   /* each use: no-cache, or NEVER_STALE and
                                       not fresh when it came */
    ENTRY_IMMUTABLE = 1 << 5,       /* RFC 8246 */
    ENTRY_AUTHORIZED = 1 << 6,      /* that, or must-revalidate */
    ENTRY_WINDOWS = 1 << 7,         /* NEVER_STALE, but within while_ms and
                                       if_error_ms */
    ENTRY_FLAGS_ALL = (1 << 8) - 1, /* a value with others is refused */
    ENTRY_UNVERIFIED = 1 << 15,     /* of no value: by whoever has read it, who
                                       does not use it before it is validated */
};

/* `fetched`: 19 bits of seconds, 12 bits of 16 ms each, and this one. Without
   it, in values of version 0.1, it is the milliseconds that the fetch took. */
#define ENTRY_FETCHED_AGE (UINT32_C(1) << 31)

enum {
    ENTRY_AGE_MAX_S = (1 << 19) - 1,
    ENTRY_COST_BITS = 12,
    ENTRY_COST_MAX = (1 << ENTRY_COST_BITS) - 1,
    ENTRY_COST_UNIT_MS = 16,
};

enum {
    ENTRY_SUM_LEN = 8, /* bytes of the checksum */
};

static_assert(sizeof(struct entry) == 64, "the head of a value is as long");

/* One more owner. */
struct entry *entry_ref(struct entry *e);

/* One owner less; clears the caller's pointer; NULL is fine. */
void entry_unref(struct entry **e);

/* `fetched` of a response that was so old when it was received, and whose fetch
   took so long. It is rounded: the response may count as received a little too
   early, never too late, and its fetch as a little dearer than it was. */
static inline uint32_t
entry_fetched_of(int64_t age_ms, uint32_t cost_ms)
{
    int64_t age_s = age_ms <= 0 ? 0 : age_ms / 1000;
    uint32_t cost =
        cost_ms / ENTRY_COST_UNIT_MS + (cost_ms % ENTRY_COST_UNIT_MS != 0);

    if (age_s > ENTRY_AGE_MAX_S) {
        age_s = ENTRY_AGE_MAX_S;
    }
    if (cost > ENTRY_COST_MAX) {
        cost = ENTRY_COST_MAX;
    }
    return ENTRY_FETCHED_AGE | (uint32_t)age_s << ENTRY_COST_BITS | cost;
}

/* Wall: when its response head was received, or a little earlier. Behind a
   cache of others that is long after it was created. */
static inline int64_t
entry_received_ms(const struct entry *e)
{
    uint32_t age_s = (e->fetched & ~ENTRY_FETCHED_AGE) >> ENTRY_COST_BITS;

    MUST_OBJ(e, ENTRY_MAGIC);
    return (e->fetched & ENTRY_FETCHED_AGE) == 0
               ? e->created_ms
               : e->created_ms + (int64_t)age_s * 1000;
}

/* How long the fetch took until the response head, or a little more. */
static inline uint32_t
entry_cost_ms(const struct entry *e)
{
    MUST_OBJ(e, ENTRY_MAGIC);
    return (e->fetched & ENTRY_FETCHED_AGE) == 0
               ? e->fetched
               : (e->fetched & ENTRY_COST_MAX) * ENTRY_COST_UNIT_MS;
}

/* All memory that the entry takes, malloc's own bytes included. */
size_t entry_size(const struct entry *e);

/* The full key (key.h), which tells it from every other response. */
static inline struct slice
entry_key(const struct entry *e)
{
    MUST_OBJ(e, ENTRY_MAGIC);
    return slice_of(e->bytes, e->key_len);
}

/* Private fields: lines that are stored for us alone and never delivered
   (RFC 9213). Not of a Vary record. */
static inline struct slice
entry_private(const struct entry *e)
{
    MUST_OBJ(e, ENTRY_MAGIC);
    MUST((e->flags & ENTRY_VARY_RECORD) == 0);
    return slice_of(e->bytes + e->key_len, e->private_len);
}

/* The lines to deliver: "name: value\r\n", names in lower case. */
static inline struct slice
entry_fields(const struct entry *e)
{
    MUST_OBJ(e, ENTRY_MAGIC);
    return slice_of(
        e->bytes + (size_t)e->key_len + e->private_len, e->fields_len);
}

/* All lines, the private ones first. Not of a Vary record. */
static inline struct slice
entry_lines(const struct entry *e)
{
    struct slice lines = entry_private(e);

    lines.len += e->fields_len;
    return lines;
}

static inline struct slice
entry_body(const struct entry *e)
{
    struct slice fields = entry_fields(e);

    MUST((e->flags & ENTRY_VARY_RECORD) == 0);
    return slice_of(fields.ptr + fields.len, e->body_len);
}

/* The names of the request fields that choose a variant. */
static inline struct slice
entry_vary_names(const struct entry *record)
{
    MUST_OBJ(record, ENTRY_MAGIC);
    MUST((record->flags & ENTRY_VARY_RECORD) != 0);
    return slice_of(record->bytes + record->key_len, record->private_len);
}

/* What makes the record's variants differ from those of an older record. */
static inline struct slice
entry_generation(const struct entry *record)
{
    struct slice fields = entry_fields(record);

    MUST((record->flags & ENTRY_VARY_RECORD) != 0);
    return slice_of(fields.ptr + fields.len, record->body_len);
}

/* The checksum of its value: two values with the same one are the same. */
static inline struct slice
entry_sum(const struct entry *e)
{
    struct slice fields = entry_fields(e);

    return slice_of(fields.ptr + fields.len + e->body_len, ENTRY_SUM_LEN);
}

#endif
