/*
 * The shared tier as a worker uses it: the scripts that store and delete, and
 * what is under way to Redis that no request waits for.
 */
#ifndef NEARSIDE_TIER_TIER_H
#define NEARSIDE_TIER_TIER_H

#include <stdatomic.h>

#include "nearside/cache/memory.h"
#include "nearside/lease/leases.h"
#include "nearside/redis/redis.h"
#include "nearside/rules/assess.h"
#include "nearside/rules/question.h"
#include "nearside/tier/journal.h"
#include "nearside/work/worker.h"
#include "nearside/work/written.h"

#define TIER_MAGIC        UINT32_C(0x6e746965)
#define TIER_WORKER_MAGIC UINT32_C(0x6e746977)

enum {
    TIER_LARGE_MAX = 1024, /* large values that a worker remembers */
};

struct tier_scripts {
    struct redis_script fill;
    struct redis_script widen;
    struct redis_script fill_variant;
    struct redis_script replace;
    struct redis_script drop;
    struct redis_script sum;
};

struct tier {
    uint32_t magic;
    struct written written;
    struct memory *memory;           /* own; NULL: none */
    const struct hash_key *hash_key; /* of all keys; NULL: memory is alone, or
                                        there is none */
    struct slice prefix;             /* of the entries' keys in Redis */
    struct leases leases;
    struct tier_scripts scripts;
    atomic_bool gets_whole;  /* the user may not GETRANGE */
    atomic_size_t value_max; /* takes.h; 0: no limit is known */
    _Atomic int64_t value_max_until_ms;
    _Atomic int64_t value_lost_ms; /* the last time, of a large one */
};

/* The tier's part of a worker. */
struct tier_worker {
    uint32_t magic;
    struct tier *tier;
    const struct tier_scripts *scripts; /* the tier's, as is the next */
    struct written *written;
    struct lease_worker lease;
    struct list stores;    /* store.c: values under way */
    struct list deletions; /* with attempts of their own */
    unsigned deletions_len;
    unsigned pumped;    /* of these, those that had been waiting */
    unsigned pass_left; /* of those that wait, to be tried without delay */
    struct loop_timer tick;
    uint32_t large[TIER_LARGE_MAX]; /* lookup.c: keys of large values */
    struct journal journal;         /* all deletions */
    void (*on_empty)(void *ctx);    /* no deletion is pending */
    void *ctx;
};

/* own_memory: for as long as the tier lives, or NULL. */
void tier_init(struct tier *tier, struct memory *own_memory);
/* Memory is to be used beside Redis, which tells from now on what has changed
   there. hash_key (of all keys) and prefix are borrowed; before redis_start. */
void tier_listen(struct tier *tier, struct redis *redis,
    const struct hash_key *hash_key, struct slice prefix);

/* Harmless on one that was never made (zeroed). */
void tier_fini(struct tier *tier);

/* worker->redis is set before. Sets worker->tier and worker->lease, for as long
   as the worker lives. */
void tier_worker_init(struct tier_worker *t, struct tier *tier,
    struct worker *worker, void (*on_empty)(void *ctx), void *ctx);

/* Gives up what is under way to Redis. */
void tier_worker_stop(struct worker *worker);

/* What a judge of the origin's answers has to know of this worker, now; the
   caller adds for whom, under which route and when it was asked. */
struct assess_opts tier_assess_opts(struct worker *w);

/* NULL: none. */
static inline struct memory *
tier_memory(const struct worker *w)
{
    MUST_OBJ(w->tier, TIER_WORKER_MAGIC);
    return w->tier->tier->memory;
}

/* The memory that the question's answers may be in. NULL: none. A route that is
   kept out of memory is so beside Redis: without it memory is all there is. */
static inline struct memory *
tier_memory_for(const struct worker *w, const struct question *q)
{
    return w->redis != NULL && q->reads != NULL && q->reads->skips_memory
               ? NULL
               : tier_memory(w);
}

/* Is there anything that stores? */
static inline bool
tier_stores(const struct worker *w)
{
    return w->redis != NULL || tier_memory(w) != NULL;
}

#endif
