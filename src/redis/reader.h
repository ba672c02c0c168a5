/*
 * The grammar of RESP2 by hiredis' redisReader, with reply functions of our
 * own, so that what it builds is a struct redis_reply within our limits.
 */
#ifndef REDIS_READER_H
#define REDIS_READER_H

#include <hiredis/hiredis.h>

#include "nearside/redis/redis.h"

enum {
    READER_MAGIC = 0x52454144,
};

struct reader {
    uint32_t magic;
    enum rc refusal;                     /* why a reply function said NULL */
    redisReader *hiredis;                /* owned */
    redisReplyObjectFunctions functions; /* the library's door is not const */
    size_t reply_max;
    size_t spent;              /* bytes of the reply under way */
    bool is_line;              /* the reply under way is a single line */
    struct redis_reply *reply; /* owned; the one on loan */
};

/* A zeroed one. RC_NOMEM. */
enum rc reader_init(struct reader *reader, size_t reply_max) RC_MUST_CHECK;
void reader_fini(struct reader *reader);

/* No reply is half read: what comes next begins one. */
static inline bool
reader_is_at_boundary(const struct reader *reader)
{
    return reader->hiredis->ridx == -1 &&
           reader->hiredis->pos == reader->hiredis->len;
}

/* The next bytes, copied. RC_LIMIT, RC_NOMEM. */
enum rc reader_feed(struct reader *reader, struct slice bytes) RC_MUST_CHECK;

/* As resp_next; the last loan has ended before. */
enum rc reader_next(
    struct reader *reader, struct redis_reply **out_reply) RC_MUST_CHECK;

/* The loan of the last reply ends. */
void reader_clear(struct reader *reader);

#endif
