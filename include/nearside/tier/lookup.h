/*
 * The one reader of stored responses: it looks into memory, and if there is
 * nothing it asks Redis for a value, however large, and makes an entry of it.
 * What it has found in Redis is in memory from then on.
 *
 * How large a value is, is not known before. So its first 64 KiB are asked for
 * on the connection that all share, which is all of it as a rule. A larger one
 * is then asked for as a whole on the connection for what is large, where it
 * holds nobody up.
 */
#ifndef NEARSIDE_TIER_LOOKUP_H
#define NEARSIDE_TIER_LOOKUP_H

#include "nearside/cache/memory.h"
#include "nearside/redis/near.h"
#include "nearside/redis/redis.h"
#include "nearside/rules/question.h"
#include "nearside/work/worker.h"

enum lookup_end {
    LOOKUP_FOUND,
    LOOKUP_NOTHING, /* there is nothing under the key */
    LOOKUP_BAD,     /* something that is no entry for it, or one of a snapshot
                       that a server has come back with */
    LOOKUP_REFUSED, /* an error reply */
    LOOKUP_FAILED,  /* no reply, or one that may not be used (doubt) */
};

/* What was noted before Redis was asked, so that the value may be put into
   memory. */
struct lookup_watch {
    bool is_set; /* else it may not */
    struct near_mark mark;
    struct memory_watch watch;
};

#define LOOKUP_MAGIC UINT32_C(0x6e6c6f6b)

/* One under way, or one that has not begun (zeroed) or has ended. */
struct lookup {
    uint32_t magic; /* 0: it is not under way */
    struct redis_call call;
    struct loop_task task; /* memory answers, at the turn's end */
    bool is_task_due;      /* and that task will come */
    struct lookup_watch watch;
    bool is_of_memory;  /* FOUND there */
    bool is_unverified; /* FAILED, and memory has an entry all the same: it is
                           to be judged by found_unverified */
    bool may_answer;    /* that entry, as memory_find_unverified says */
    struct worker *worker;
    const struct question *q;
    int64_t asked_ms;
    int64_t until_ms;
    struct entry *own_entry; /* found: in memory, or to be looked for once more
                              */
    const char *doubt;       /* FAILED: why what is there may not be used, as in
                                redis_call; NULL: that is not why */
    void (*on_end)(void *ctx, enum lookup_end end, struct entry *own_entry);
    void *ctx;
};

struct lookup_opts {
    const struct question *q; /* outlives it */
    int64_t until_ms; /* loop time by which it has failed, however much of
                         a large value has come; 0: flight_wait from
                         now on */
    bool is_in_order; /* behind what was sent just before, to see what
                         that has done; Redis is asked in any case */
    /* Comes once, not from inside lookup_start. own_entry: FOUND, or FAILED
       with is_unverified. */
    void (*on_end)(void *ctx, enum lookup_end end, struct entry *own_entry);
    void *ctx;
};

/* Only where something stores. */
void lookup_start(struct lookup *lookup, struct worker *worker,
    const struct lookup_opts *opts);

/* on_end will not come. Harmless when it is not under way. */
void lookup_cancel(struct lookup *lookup);

static inline bool
lookup_is_active(const struct lookup *lookup)
{
    return lookup->is_task_due || redis_call_is_active(&lookup->call);
}

#endif
