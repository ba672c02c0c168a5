/*
 * An entry: one stored response. It holds the status and the end-to-end
 * field lines, but no framing: the status line, Content-Length, Age and
 * Cache-Status are written anew for each answer.
 *
 * An entry is one block of memory: a head, then key, private fields, fields,
 * body and the checksum of its value. Memory holds millions of small ones, so
 * the head is as short as it can be. Nearly always that is *tight*: 32 bytes.
 * What few responses have comes behind (struct entry_more); a number that is
 * too large for the tight head makes it a *wide* one. In the block of a value
 * from Redis it stands right before the parts, where the value's longer head
 * was. Callers know nothing of that; they ask the functions below, and what
 * these lend lasts as long as the caller's reference.
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

#define ENTRY_MAGIC 0xe5u

/* The numbers of a tight head. It has room for what is seen: created until
   2109, fresh for four years and of use for four more, 16 KiB of key, 4 MiB of
   fields, 128 MiB of body. */
enum {
    ENTRY_CREATED_BITS = 42,
    ENTRY_SPAN_BITS = 37,
    ENTRY_KEY_BITS = 14,
    ENTRY_FIELDS_BITS = 22,
    ENTRY_BODY_BITS = 27,
    ENTRY_COST_BITS = 12,
};

/* What follows a tight head. */
enum {
    ENTRY_TIGHT, /* nothing */
    ENTRY_MORE,  /* struct entry_more */
    ENTRY_WIDE,  /* that, and struct entry_wide */
};

struct entry_tight {
    uint64_t created_ms : ENTRY_CREATED_BITS;
    uint64_t fields_len : ENTRY_FIELDS_BITS;
    uint64_t fresh_for_ms : ENTRY_SPAN_BITS; /* from created on */
    uint64_t body_len : ENTRY_BODY_BITS;
    uint64_t stale_for_ms : ENTRY_SPAN_BITS; /* from fresh_until on */
    uint64_t key_len : ENTRY_KEY_BITS;
    uint64_t is_age_known : 1;       /* ENTRY_FETCHED_AGE */
    uint64_t cost : ENTRY_COST_BITS; /* the lowest bits of `fetched` */
};

/* In its place, where a number does not fit. */
struct entry_times {
    int64_t created_ms;
    int64_t fresh_until_ms;
    int64_t stale_until_ms;
};

struct entry {
    _Atomic uint32_t refs;
    uint32_t magic : 8;
    uint32_t kind : 2;        /* ENTRY_TIGHT to ENTRY_WIDE */
    uint32_t is_in_value : 1; /* its block begins earlier */
    uint32_t status : 10;     /* 0: no response */
    uint32_t flags : 11;      /* ENTRY_* below */
    union {
        struct entry_tight tight;
        struct entry_times wide;
    };
    char bytes[];
};

struct entry_more {
    uint32_t fetched;
    uint32_t private_len;
    uint32_t while_ms;
    uint32_t if_error_ms;
};

struct entry_wide {
    uint32_t key_len;
    uint32_t fields_len;
    uint32_t body_len;
    uint32_t unused;
};

static_assert(sizeof(struct entry) == 32, "memory holds millions");
static_assert(offsetof(struct entry, bytes) == 32, "nothing is lost");

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
    ENTRY_UNVERIFIED = 1 << 10,     /* of no value: by whoever has read it, who
                                       does not use it before it is validated */
};

/* What entry_fetched gives: 19 bits of seconds, 12 bits of 16 ms each, and this
   one. Without it, in values of version 0.1, it is the milliseconds that the
   fetch took. */
#define ENTRY_FETCHED_AGE (UINT32_C(1) << 31)

enum {
    ENTRY_AGE_MAX_S = (1 << 19) - 1,
    ENTRY_COST_MAX = (1 << ENTRY_COST_BITS) - 1,
    ENTRY_COST_UNIT_MS = 16,
};

enum {
    ENTRY_SUM_LEN = 8, /* bytes of the checksum */
};

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

/* --- what its head says -------------------------------------------------- */

static inline const struct entry_more *
entry_more(const struct entry *e)
{
    MUST(e->kind != ENTRY_TIGHT);
    return (const struct entry_more *)(const void *)e->bytes;
}

static inline const struct entry_wide *
entry_wide(const struct entry *e)
{
    MUST(e->kind == ENTRY_WIDE);
    return (const struct entry_wide *)(const void *)(entry_more(e) + 1);
}

/* Wall: when its response head was received, less its age then: its age now is
   now - created. */
static inline int64_t
entry_created_ms(const struct entry *e)
{
    MUST_OBJ(e, ENTRY_MAGIC);
    return e->kind == ENTRY_WIDE ? e->wide.created_ms
                                 : (int64_t)e->tight.created_ms;
}

/* Wall. */
static inline int64_t
entry_fresh_until_ms(const struct entry *e)
{
    return e->kind == ENTRY_WIDE
               ? e->wide.fresh_until_ms
               : entry_created_ms(e) + (int64_t)e->tight.fresh_for_ms;
}

/* Wall; not before fresh_until: it is of use until then. */
static inline int64_t
entry_stale_until_ms(const struct entry *e)
{
    return e->kind == ENTRY_WIDE
               ? e->wide.stale_until_ms
               : entry_fresh_until_ms(e) + (int64_t)e->tight.stale_for_ms;
}

/* stale-while-revalidate (RFC 5861); 0: none. */
static inline uint32_t
entry_while_ms(const struct entry *e)
{
    MUST_OBJ(e, ENTRY_MAGIC);
    return e->kind != ENTRY_TIGHT ? entry_more(e)->while_ms : 0;
}

/* stale-if-error; 0: none. */
static inline uint32_t
entry_if_error_ms(const struct entry *e)
{
    MUST_OBJ(e, ENTRY_MAGIC);
    return e->kind != ENTRY_TIGHT ? entry_more(e)->if_error_ms : 0;
}

/* How old it was when received, and what the fetch took: entry_fetched_of. */
static inline uint32_t
entry_fetched(const struct entry *e)
{
    MUST_OBJ(e, ENTRY_MAGIC);
    if (e->kind != ENTRY_TIGHT) {
        return entry_more(e)->fetched;
    }
    return (e->tight.is_age_known ? ENTRY_FETCHED_AGE : 0) |
           (uint32_t)e->tight.cost;
}

/* Wall: when its response head was received, or a little earlier. Behind a
   cache of others that is long after it was created. */
static inline int64_t
entry_received_ms(const struct entry *e)
{
    uint32_t fetched = entry_fetched(e);
    uint32_t age_s = (fetched & ~ENTRY_FETCHED_AGE) >> ENTRY_COST_BITS;

    return (fetched & ENTRY_FETCHED_AGE) == 0
               ? entry_created_ms(e)
               : entry_created_ms(e) + (int64_t)age_s * 1000;
}

/* How long the fetch took until the response head, or a little more. */
static inline uint32_t
entry_cost_ms(const struct entry *e)
{
    uint32_t fetched = entry_fetched(e);

    return (fetched & ENTRY_FETCHED_AGE) == 0
               ? fetched
               : (fetched & ENTRY_COST_MAX) * ENTRY_COST_UNIT_MS;
}

/* Bytes of its own head. */
static inline size_t
entry_head_len(const struct entry *e)
{
    MUST_OBJ(e, ENTRY_MAGIC);
    static_assert(
        sizeof(struct entry_more) == sizeof(struct entry_wide), "one or both");
    return sizeof(*e) + e->kind * sizeof(struct entry_more);
}

/* All memory that the entry takes, malloc's own bytes included. */
size_t entry_size(const struct entry *e);

/* For who keeps it long: a reference to it, or to a copy that takes less
   memory. It is the caller's. */
struct entry *entry_ref_to_keep(struct entry *e);

/* --- its parts ------------------------------------------------------------ */

/* The full key (key.h), which tells it from every other response. */
static inline struct slice
entry_key(const struct entry *e)
{
    const char *at = (const char *)e + entry_head_len(e);

    return slice_of(
        at, e->kind == ENTRY_WIDE ? entry_wide(e)->key_len : e->tight.key_len);
}

/* Its second part: private fields, or a Vary record's names. */
static inline struct slice
entry_second(const struct entry *e)
{
    struct slice key = entry_key(e);

    return slice_of(key.ptr + key.len,
        e->kind != ENTRY_TIGHT ? entry_more(e)->private_len : 0);
}

/* Private fields: lines that are stored for us alone and never delivered
   (RFC 9213). Not of a Vary record. */
static inline struct slice
entry_private(const struct entry *e)
{
    MUST((e->flags & ENTRY_VARY_RECORD) == 0);
    return entry_second(e);
}

/* The lines to deliver: "name: value\r\n", names in lower case. */
static inline struct slice
entry_fields(const struct entry *e)
{
    struct slice before = entry_second(e);

    return slice_of(before.ptr + before.len, e->kind == ENTRY_WIDE
                                                 ? entry_wide(e)->fields_len
                                                 : e->tight.fields_len);
}

/* All lines, the private ones first. Not of a Vary record. */
static inline struct slice
entry_lines(const struct entry *e)
{
    struct slice lines = entry_private(e);

    lines.len += entry_fields(e).len;
    return lines;
}

/* Its last part: the body, or a Vary record's generation. */
static inline struct slice
entry_last(const struct entry *e)
{
    struct slice before = entry_fields(e);

    return slice_of(before.ptr + before.len,
        e->kind == ENTRY_WIDE ? entry_wide(e)->body_len : e->tight.body_len);
}

static inline struct slice
entry_body(const struct entry *e)
{
    MUST((e->flags & ENTRY_VARY_RECORD) == 0);
    return entry_last(e);
}

/* The names of the request fields that choose a variant. */
static inline struct slice
entry_vary_names(const struct entry *record)
{
    MUST((record->flags & ENTRY_VARY_RECORD) != 0);
    return entry_second(record);
}

/* What makes the record's variants differ from those of an older record. */
static inline struct slice
entry_generation(const struct entry *record)
{
    MUST((record->flags & ENTRY_VARY_RECORD) != 0);
    return entry_last(record);
}

/* The checksum of its value: two values with the same one are the same. */
static inline struct slice
entry_sum(const struct entry *e)
{
    struct slice before = entry_last(e);

    return slice_of(before.ptr + before.len, ENTRY_SUM_LEN);
}

#endif
