/*
 * Replies out of bytes (RESP2).
 *
 *     space = resp_space(resp, scratch, sizeof(scratch));
 *     ... read n bytes to space.ptr ...
 *     resp_put(resp, n);
 *     while ((rc = resp_next(resp, &reply)) == RC_OK) { use reply }
 */
#ifndef NEARSIDE_REDIS_RESP_H
#define NEARSIDE_REDIS_RESP_H

#include "nearside/redis/redis.h"

struct resp;

enum {
    RESP_SCRATCH = 16 * 1024, /* a good size of the caller's scratch */
};

/* reply_max: bytes of one reply, objects counted. NULL: no memory. */
struct resp *resp_new(size_t reply_max);
void resp_free(struct resp **resp);

struct resp_space {
    char *ptr;
    size_t cap;
};

/*
 * Where to read the next bytes to: scratch, or a large body's own memory.
 * scratch is borrowed until resp_next said RC_AGAIN. Only after it said so.
 */
struct resp_space resp_space(struct resp *resp, char *scratch, size_t cap);

/* n bytes (<= cap) were read to the space given last. */
void resp_put(struct resp *resp, size_t n);

/*
 * RC_OK: *out_reply, a loan until the next call. RC_AGAIN: more bytes are
 * needed. RC_BAD: this is not RESP2. RC_LIMIT: larger, longer or deeper
 * than allowed. RC_NOMEM. After the last three the stream is lost and the
 * same answer comes again.
 */
enum rc resp_next(
    struct resp *resp, struct redis_reply **out_reply) RC_MUST_CHECK;

#endif
