/*
 * The one writer of stored responses. It sends a value to Redis, and nobody
 * waits for the reply: the writer counts the outcome, and gives the lease back
 * when nothing could be stored.
 *
 * Every store is a script that stores only while its guard holds. The guard is
 * the token of the fetch lease, which a write deletes, or the checksum of the
 * value that is replaced.
 *
 * A response that varies is stored as two values in one slot: a Vary record
 * under the base key, and the response under its variant's key. The record's
 * generation is part of each variant's key, and a further variant is stored
 * only while the record that chose it is still there. A write deletes the
 * record alone, and no variant can be found any more. When a response names
 * fields that the record lacks, a wider record takes its place.
 */
#ifndef NEARSIDE_TIER_STORE_H
#define NEARSIDE_TIER_STORE_H

#include "nearside/cache/codec.h"
#include "nearside/rules/question.h"

struct lease;
struct worker;

enum store_kind {
    STORE_ENTRY,   /* under the question's key */
    STORE_RECORD,  /* under the base key, with its first variant, which is the
                      question's; the lease is that of the base key */
    STORE_WIDER,   /* the same under the lease of a variant, in place of the
                      record that chose it */
    STORE_VARIANT, /* a further variant of the question's record */
    STORE_RENEWED, /* in place of a value under the question's key */
};

struct store {
    enum store_kind kind;
    struct question *q;
    struct lease *lease;     /* what guards it; RENEWED: none. It is the
                                writer's from now on */
    struct slice sum;        /* RENEWED: the checksum of the value there */
    struct question *leased; /* RECORD, WIDER: whose lease that is; a loan */
    struct value value;
    struct value record; /* RECORD, WIDER: its value */
    int64_t px_ms;       /* how long Redis keeps it; above 0 */
};

/* Could anything be stored under the question's key now, by what is known? Not
   where nothing stores. Costs no command, but for one a second to a node that
   runs no scripts: it may have changed its mind. */
bool store_is_possible(struct worker *w, struct question *q);

/* Takes over the values, refers to the question, and copies the guard. Only
   where something stores. With memory alone it is stored, or not, at once. */
void store_write(struct worker *w, const struct store *own_store);

/* The worker ends: gives up what is left. */
void stores_free(struct worker *w);

#endif
