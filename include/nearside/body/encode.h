/* From responses to the values that are stored. */
#ifndef NEARSIDE_BODY_ENCODE_H
#define NEARSIDE_BODY_ENCODE_H

#include "nearside/cache/codec.h"
#include "nearside/cache/key.h"
#include "nearside/rules/assess.h"

struct fill;

/* What a value says of a response beside its lines and its body. */
struct encoding {
    const struct policy_verdict *verdict;
    unsigned status;
    uint32_t cost_ms; /* of the fetch, until its head; 0: not known */
    const struct key *key;
};

/* Of a fill that is complete. RC_NOMEM, RC_LIMIT, RC_BAD: as codec.h. */
enum rc encode_fill(const struct encoding *e, struct fill *fill,
    struct value *out) RC_MUST_CHECK;

/* Of a renewed response: its new lines and the stored body. */
enum rc encode_renewed(const struct encoding *e, const struct renewal *renewal,
    const struct entry *stored, struct value *out) RC_MUST_CHECK;

/* A hit-for-miss entry: what the key asks for is not to be stored for the next
   px_ms. It keeps the reason, a token, where a response has its body. */
enum rc encode_hit_for_miss(const struct key *key, const char *reason,
    int64_t now_ms, struct value *out, int64_t *out_px_ms) RC_MUST_CHECK;

/* A Vary record with those names; random makes its generation. */
enum rc encode_record(const struct key *key, struct slice names, int64_t now_ms,
    uint64_t random, struct value *out) RC_MUST_CHECK;

#endif
