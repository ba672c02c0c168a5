/*
 * An entry: one stored response. It holds status and end-to-end field
 * lines, no framing: the status line, Content-Length, Age and Cache-Status
 * are written for each answer. An entry is its own serialised form (one
 * blob, the value in Redis, its format in codec.c) plus slices into it.
 * Counted; immutable once made; may be shared between threads.
 */
#ifndef NEARSIDE_MEMORY_ENTRY_H
#define NEARSIDE_MEMORY_ENTRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "nearside/base/slice.h"

#define ENTRY_MAGIC UINT32_C(0x6e74e517)

struct entry {
    uint32_t magic;
    _Atomic uint32_t refs;
    uint16_t status;
    uint16_t flags;          /* ENTRY_* below */
    int64_t created_ms;      /* wall: when its response head was received,
                                less its age then: Age = now - created */
    int64_t fresh_until_ms;  /* wall */
    int64_t stale_until_ms;  /* wall; >= fresh_until: of use until then */
    uint32_t while_ms;       /* stale-while-revalidate (RFC 5861); 0: none */
    uint32_t if_error_ms;    /* stale-if-error */
    uint32_t origin_cost_ms; /* what the fetch took */
    struct slice key;        /* full key, not the Redis key's digest */
    struct slice note;       /* never delivered: a Vary record's names; of a
                                response the lines that are for us alone
                                (RFC 9213). fields follows it in memory */
    struct slice fields;     /* "name: value\r\n" lines, names lower-case */
    struct slice body;
    struct slice blob; /* all of it; owned */
};

enum {
    ENTRY_SHAREABLE = 1 << 0,     /* the origin said public or s-maxage */
    ENTRY_NEVER_STALE = 1 << 1,   /* must-revalidate and its like */
    ENTRY_VARY_RECORD = 1 << 2,   /* no response: names the Vary fields */
    ENTRY_PASS = 1 << 3,          /* no response: "not storable", a marker */
    ENTRY_MUST_VALIDATE = 1 << 4, /* each use: no-cache, or NEVER_STALE and not
                                     fresh when it came */
    ENTRY_IMMUTABLE = 1 << 5,     /* RFC 8246 */
    ENTRY_AUTHORIZED = 1 << 6,    /* that, or must-revalidate */
    ENTRY_FLAGS_ALL = (1 << 7) - 1, /* a value with others is refused */
};

/* One more owner. */
struct entry *entry_ref(struct entry *e);

/* One owner less; clears the caller's pointer; NULL is fine. */
void entry_unref(struct entry **e);

#endif
