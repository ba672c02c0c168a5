/*
 * Flights under way in this process, found by key: one lookup or fetch and
 * all requests that wait for it, on whichever worker they are.
 */
#ifndef NEARSIDE_COLLAPSE_FLIGHT_TABLE_H
#define NEARSIDE_COLLAPSE_FLIGHT_TABLE_H

#include <stdatomic.h>

#include "nearside/base/list.h"
#include "nearside/cache/key.h"
#include "nearside/net/loop.h"
#include "nearside/origin/exchange.h"
#include "nearside/work/written.h"

struct flight_table;
struct head;

/* What a flight came to. */
enum flight_outcome {
    FLIGHT_PENDING,
    FLIGHT_ENTRY,            /* an entry was found, in Redis or in memory */
    FLIGHT_FILL,             /* the origin answers; the fill can be read */
    FLIGHT_ALONE,            /* nothing to share: fetch for yourself */
    FLIGHT_ERROR,            /* the origin could not be asked */
    FLIGHT_REFUSED_BY_ROUTE, /* it is not to be asked: redis_down = refuse */
};

/* Immutable once the outcome is no longer PENDING. */
struct flight_result {
    enum flight_outcome outcome;
    struct entry *entry; /* ENTRY: a reference */
    bool is_of_memory;   /* ENTRY: found there, beside Redis */
    bool is_unverified; /* ENTRY: of memory, and Redis has not vouched for it */
    bool is_stale;      /* ENTRY: past its time, and used all the same */
    bool is_substitute; /* ENTRY: stale, the origin has failed */
    bool is_validated;  /* ENTRY: by a 304, just now */
    unsigned fwd_status;      /* ENTRY: what the origin said, or 0 */
    struct fill *fill;        /* FILL: a reference */
    enum origin_error error;  /* ERROR */
    bool is_stale_forbidden;  /* ERROR: a stale entry may not stand in */
    bool is_private;          /* only the leader may use it. The others take a
                                 FILL, or an ENTRY renewed by a 304, for ALONE,
                                 and fly again after an ERROR */
    bool is_personal;         /* private because of the leader's credentials,
                                 not of the response alone */
    uint16_t flags;           /* FILL: ENTRY_* of the response */
    int64_t created_ms;       /* FILL, wall: Age counts from here */
    int64_t fresh_until_ms;   /* FILL, wall; that can be joined */
    bool is_stale_fetch;      /* FILL: in place of a stale entry */
    bool is_stored;           /* it will be stored */
    int64_t queued_us;        /* its fetch waited for a connection */
    const char *detail;       /* why so; static, or NULL */
    struct entry *record;     /* FILL that varies: its record, a reference */
    char variant[DIGEST_LEN]; /* and the variant that the leader has got */
};

/* Counted; the part of a flight that waiters see. */
struct flight {
    uint32_t magic;
    _Atomic uint32_t refs;
    struct list link; /* table's bucket; unlinked: nobody joins any more */
    struct list waiters;
    struct flight_waiter *leader; /* while it waits; its own loop's alone */
    uint32_t written;             /* the count of writes when it was opened */
    _Atomic int64_t until_ms;     /* loop time; then nobody joins any more */
    uint64_t hash;
    struct slice key;
    struct slice form;
    struct flight_result result;
    char key_bytes[];
};

/* Lives in the request that waits. */
struct flight_waiter {
    struct list link;
    struct flight *flight; /* a reference while waiting */
    struct loop *loop;
    struct loop_message message;
    bool is_leader;  /* it opened the flight, on its owner's loop */
    bool is_late;    /* what it joined had been resolved before it came */
    bool has_result; /* resolved, on_result is due; guarded by the lock */
    /* A 1xx response for the leader, before its result; NULL: not wanted. */
    void (*on_interim)(void *ctx, const struct head *head);
    /* On the waiter's loop, once, unless it left before. The result stays
       until flight_unref(&waiter->flight). */
    void (*on_result)(void *ctx, const struct flight_result *result);
    void *ctx;
};

/* At most `max` flights at once; written is borrowed. NULL: no memory. */
struct flight_table *flight_table_new(
    unsigned max, const struct written *written);
void flight_table_free(struct flight_table **table);

enum flight_entry {
    FLIGHT_OPENED,  /* the caller flies it: it is the leader */
    FLIGHT_JOINED,  /* on_result will come */
    FLIGHT_REFUSED, /* too many flights, or no memory: fetch for yourself */
};

/*
 * Opens a flight for that form of the key, or joins the one under way; forms
 * are few and share a bucket. waiter's loop, on_result and ctx are set by the
 * caller; NULL: nobody waits. on_result never comes from inside this call.
 * OPENED: *out_own is the owner's reference.
 */
enum flight_entry flight_enter(struct flight_table *table,
    const struct key *key, struct slice form, struct flight_waiter *waiter,
    struct flight **out_own);

/* Passes a 1xx response of the origin on to the leader, if it still waits. On
   the owner's loop. */
void flight_interim(struct flight *flight, const struct head *head);

/* Opens one that nobody joins, on_result as above. False: no memory. */
bool flight_enter_alone(struct flight_table *table, const struct key *key,
    struct flight_waiter *waiter);

/*
 * The owner says what it came to; *result's references pass over. Waiters
 * are told: the leader before this returns, the others on their loops.
 * keeps_open: those who come later may still join (a fill under way).
 */
void flight_resolve(struct flight_table *table, struct flight *flight,
    const struct flight_result *own_result, bool keeps_open);

/* Nobody joins any more; those who wait go on waiting. */
void flight_close(struct flight_table *table, struct flight *flight);

/* Nobody joins from then on, by loop time; later calls say it anew. At first
   there is no such time. */
void flight_join_until(struct flight *flight, int64_t until_ms);

/* Has a write of this process come since it was opened? Then nobody joins it,
   and what it brings is not stored. */
bool flight_is_outdated(
    const struct flight_table *table, const struct flight *flight);

/*
 * A waiter gives up. True: on_result will not come and the waiter's memory
 * is free at once. False: a message to it is under way; on_result comes.
 */
bool flight_leave(struct flight_table *table, struct flight_waiter *waiter);

void flight_unref(struct flight **flight);

/* For the report of a failed MUST. */
void flight_describe(const struct flight *flight, FILE *to);

unsigned flight_table_len(const struct flight_table *table);

#endif
