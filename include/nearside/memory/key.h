/*
 * What identifies a stored response: "<scheme>://<host><target>", byte
 * exact. In Redis: <prefix>e:{...} for the entry, <prefix>l:{...} for its
 * lease, in one slot. The part in braces is printable: braces and all
 * bytes outside 0x21-0x7e are percent-encoded, and beyond 200 bytes the
 * tail is replaced by its SHA-256 in hex (unkeyed: every instance must find
 * the same key).
 */
#ifndef NEARSIDE_MEMORY_KEY_H
#define NEARSIDE_MEMORY_KEY_H

#include "nearside/base/arena.h"

enum key_kind {
    KEY_ENTRY, /* <prefix>e:{uri} or <prefix>e:{uri}:<variant> */
    KEY_LEASE, /* <prefix>l:{uri} or <prefix>l:{uri}:<variant> */
};

/* RC_NOMEM. host is already normalised. */
enum rc key_full(struct arena *arena, struct slice scheme, struct slice host,
    struct slice target, struct slice *out) RC_MUST_CHECK;

/* variant: hex digits of a Vary digest, or empty. prefix: "ns:". */
enum rc key_redis(struct arena *arena, struct slice prefix, enum key_kind kind,
    struct slice full, struct slice variant, struct slice *out) RC_MUST_CHECK;

/* The lease's key of an entry's key with that prefix: entry.len bytes. */
void key_lease_of(struct slice entry, struct slice prefix, char *out);

#endif
