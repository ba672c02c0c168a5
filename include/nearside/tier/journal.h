/*
 * The deletions that a worker remembers, in few bytes each: those that wait for
 * a further attempt, and those that Redis has acknowledged less than a minute
 * ago, which are repeated when their slot changes its owner.
 *
 *     journal_add --> under way --> kept --(a minute)--> freed
 *                      ^     |       |
 *                      |     v       | its slot has another owner
 *                     waiting <------+
 *
 * Values in a record's slot are not used (redis/hold.h) until it is kept. There
 * is a maximum of records. Beyond it the oldest kept one is forgotten, or else
 * the new one is lost; then what is in its slot is not used for an hour.
 */
#ifndef NEARSIDE_TIER_JOURNAL_H
#define NEARSIDE_TIER_JOURNAL_H

#include "nearside/base/list.h"
#include "nearside/base/slice.h"
#include "nearside/net/loop.h"

struct redis_client;

enum {
    JOURNAL_MAGIC = 0x6e6a6f75,
    JOURNAL_MAX = 100000,    /* records of a worker; some 200 bytes each */
    JOURNAL_KEPT_MS = 60000, /* counted while a majority of the primaries
                                acknowledges: by redis_confirmed_ms */
};

/* A deletion, wherever it is. */
struct record {
    struct list link;
    uint32_t version; /* KEPT: of its slot, when it was sent */
    uint16_t slot;
    bool is_pending;  /* it holds its slot */
    int64_t until_ms; /* KEPT: by redis_confirmed_ms */
    uint32_t key_len;
    char key[]; /* the entry's, in Redis */
};

struct journal {
    uint32_t magic;
    struct redis_client *redis;
    unsigned max;        /* records */
    unsigned len;        /* all records: under way, waiting and kept */
    unsigned pending;    /* of these, those that are not kept */
    uint64_t changes;    /* redis_changes when the kept were last looked at */
    struct list waiting; /* for an attempt */
    struct list kept;    /* the oldest first */
};

void journal_init(struct journal *journal, struct redis_client *redis);

/* A record that holds its slot, and is on no list. NULL: no memory, or too
   many; then its slot is lost. */
struct record *journal_add(struct journal *journal, struct slice entry_key);

/* It waits for a further attempt, behind all others that do. */
void journal_wait(struct journal *journal, struct record *record);

/* Takes the next record that waits off its list; NULL: none waits. */
struct record *journal_next(struct journal *journal);

/* The node `by` has acknowledged it, when the slot had that version
   (redis_call). False: that is not the slot's owner any more, or has restarted
   since, and so it is still pending. */
bool journal_keep(struct journal *journal, struct record *record, uint32_t by,
    uint32_t version);

/* Nobody tries the deletion any more. Clears the pointer. */
void journal_lose(struct journal *journal, struct record **record);

/* Those kept whose slots have changed their owner wait again, and hold their
   slots. How many they are. Cheap when none has since the last time. */
unsigned journal_renew(struct journal *journal);

/* Forgets those that have been kept for long enough. */
void journal_expire(struct journal *journal);

/* Forgets all that is not under way. How many of them were waiting. */
unsigned journal_fini(struct journal *journal);

#endif
