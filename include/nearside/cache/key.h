/*
 * Keys. A key says which stored response is meant. Its full form is
 * "<scheme>://<host><target>", byte exact, with " <variant>" behind it where
 * one URI has several responses. Entries and flights compare the full form.
 *
 * In Redis an entry lies under <prefix>e:{...}, its lease under
 * <prefix>l:{...}, tokens of writes under <prefix>w:{...}, all in one slot,
 * with ":<variant>" behind the brace. The part in braces is the URI in
 * printable form, of a length that is bounded.
 *
 * A key is made once and handed down with its hash, which is that of the
 * entry's name in Redis: whoever hears the name alone, in a message that the
 * entry has changed, comes to the same hash. Nobody but this file knows at
 * which byte of a key something stands.
 */
#ifndef NEARSIDE_CACHE_KEY_H
#define NEARSIDE_CACHE_KEY_H

#include "nearside/base/arena.h"
#include "nearside/base/hash.h"

enum {
    DIGEST_LEN = 32,
};

/* For what must not stand in the clear in a key: the first 128 bits of its
   SHA-256, in hex, without a NUL. Unkeyed: every instance gets the same. */
void digest_hex(struct slice s, char out[DIGEST_LEN]);

struct key {
    struct slice full;    /* in the arena it was made in */
    struct slice variant; /* DIGEST_LEN hex digits within full, or empty */
    uint64_t hash;        /* of its name in Redis without the prefix, keyed by
                             the process' hash key */
};

/* Borrowed for the call; host is already normalised. */
struct key_uri {
    struct slice scheme;
    struct slice host;
    struct slice target;
};

/* The key of a URI, without a variant. RC_NOMEM. */
enum rc key_make(struct arena *arena, const struct hash_key *hash_key,
    const struct key_uri *uri, struct key *out) RC_MUST_CHECK;

/* The key without a variant that has this full form, which it borrows. */
struct key key_of_full(const struct hash_key *hash_key, struct slice full);

/* The key of the variant of the same URI that has this digest;
   whatever variant `key` itself is, it does not count. RC_NOMEM. */
enum rc key_vary(struct arena *arena, const struct hash_key *hash_key,
    const struct key *key, struct slice digest, struct key *out) RC_MUST_CHECK;

/* The key in Redis of the entry. The prefix is "ns:" or the like and has no
   brace. RC_NOMEM. */
enum rc key_redis(struct arena *arena, struct slice prefix,
    const struct key *key, struct slice *out) RC_MUST_CHECK;

/* The same by a full key alone, as an entry has it. RC_NOMEM. */
enum rc key_redis_of_full(struct arena *arena, struct slice prefix,
    struct slice full, struct slice *out) RC_MUST_CHECK;

/* The hash of the key whose entry has that key in Redis. False: it is no
   entry's key with that prefix. */
bool key_hash_of_name(const struct hash_key *hash_key, struct slice prefix,
    struct slice redis_key, uint64_t *out_hash);

/* The lease's key of an entry's key with that prefix: entry.len bytes. */
void key_lease_of(struct slice entry, struct slice prefix, char *out);

/* Likewise that of the tokens of writes under way. */
void key_fence_of(struct slice entry, struct slice prefix, char *out);

/* The key of the set in which the variants of a Vary record are named: the
   record's own key in Redis with ":names:" and the record's generation behind
   it, so that both lie in one slot. RC_NOMEM. */
enum rc key_names(struct arena *arena, struct slice record_key,
    struct slice generation, struct slice *out) RC_MUST_CHECK;

#endif
