/*
 * Where a server has its data from, by what it says of itself in INFO. A
 * snapshot brings back what was deleted after it was made: what a server has
 * from one is not to be used. Pure.
 *
 * - A server that has loaded nothing has what it was told in commands, and one
 *   with an AOF has kept the deletions too.
 * - A replica that was promoted has what its primary had. It names the data of
 *   that primary (master_replid2), and we know them when that primary was
 *   heard, and has not begun anew since.
 * - Whatever else a server had when it was started may be from a snapshot; and
 *   whatever it had when it came to our notice, if it has taken over from
 *   somebody whose data we do not know.
 *
 * Servers are known by the ids of their nodes, so that one is recognised
 * wherever, and as whatever, it comes back.
 */
#ifndef REDIS_PAST_H
#define REDIS_PAST_H

#include "nearside/base/slice.h"
#include "nearside/redis/topology.h"
#include "redis/node.h"

enum {
    PAST_SERVERS_MAX = 2 * TOPOLOGY_NODES_MAX,
    /* Its uptime is in whole seconds, and clocks differ a little. */
    PAST_MARGIN_MS = 2000,
    PAST_ID_LEN = 40, /* of a run, and of data */
};

/* What one INFO says. */
struct past_word {
    struct slice run_id;  /* empty: it does not say */
    struct slice replid;  /* master_replid: names its data */
    struct slice replid2; /* master_replid2: those of the primary from which it
                             has taken over; empty: none */
    bool is_replica;
    bool has_aof;
    bool has_loaded;    /* values, when it was started or as a replica; or it
                           does not say */
    int64_t started_ms; /* wall */
};

struct past_server {
    char id[NODE_TEXT_MAX]; /* or its address, when it has none */
    char run_id[PAST_ID_LEN + 1];
    char replid[PAST_ID_LEN + 1]; /* "": not a primary's any more */
    char replid2[PAST_ID_LEN + 1];
    int64_t not_before_ms; /* as in past_finding */
};

/* Zeroed at first. It is large, but memory for servers that were never heard
   is never touched. */
struct past {
    unsigned len;
    unsigned next; /* when all places are taken: the one to be forgotten */
    struct past_server servers[PAST_SERVERS_MAX];
};

struct past_finding {
    bool is_first;         /* it was never heard before */
    bool is_restart;       /* it is another process than the last time */
    bool is_unknown;       /* nobody knows where its data are from */
    int64_t not_before_ms; /* wall: what was received before is not to be used;
                              0: all is */
};

/* Reads INFO's sections server, persistence and replication, of that time. Its
   slices are loans into info. */
void past_read(struct slice info, int64_t wall_ms, struct past_word *out);

/* A primary with that id has said so, at the shared wall time wall_ms. is_late:
   others were heard long before, so that its data should be known. */
struct past_finding past_hear(struct past *past, struct slice id,
    const struct past_word *word, bool is_late, int64_t wall_ms);

#endif
