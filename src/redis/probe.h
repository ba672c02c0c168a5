/*
 * What one primary says to our probes. A probe belongs to the coherence thread;
 * what follows from it for the workers is in the node's atomics (node.h), in
 * the table of trust (trust.h) and in the shared time.
 */
#ifndef REDIS_PROBE_H
#define REDIS_PROBE_H

#include "redis/link.h"
#include "redis/map.h"
#include "redis/node_time.h"
#include "redis/past.h"
#include "redis/wire.h"

enum {
    PROBE_MAGIC = 0x50524245,
    PROBE_MS = 500, /* from one round to the next */
    PROBE_KEY_MAX = 64,
};

/* What all probes share. */
struct probing {
    struct redis *redis;
    struct redis_opts opts; /* redis's, but for what a probe has of its own */
    struct loop *loop;
    struct log_ring *ring;
    struct metric_block *block;
    struct loop_task judge; /* once a turn, however many have answered */
    bool has_news;          /* for the workers, when it is judged */
    bool had_majority;      /* at some time */
    bool has_told_info;     /* that INFO is refused */
    bool has_told_time;     /* that TIME is refused */
    bool has_asked_save;    /* CONFIG GET save was sent, to whichever */
    struct past past;
    struct linking linking; /* of all links */
};

/* The node, and what we know of it while the maps name it. */
struct probe {
    uint32_t magic;
    struct list link;       /* the prober's */
    struct probing *common; /* to all probes */
    struct node *node;      /* counted */
    struct wire *wire;      /* owned */
    struct link *teller;    /* owned; NULL: nobody keeps what is read, or there
                               was no memory */
    struct redis_call set;
    struct redis_call del;
    struct redis_call info;
    struct redis_call save;   /* CONFIG GET save, of one probe alone */
    struct node_time time;    /* with each round */
    struct loop_task again;   /* after a loss */
    char id[NODE_ID_LEN + 1]; /* in the newest map; "": not known */
    bool is_late;             /* the maps have named it for the first time when
                                 others had been heard */
    bool has_set;             /* of this round: SET is acknowledged */
    bool needs_key;           /* before the next round */
    bool is_known;            /* INFO has told whose connection this is, and no
                                 reply since that it is a replica */
    int64_t informed_ms;      /* when INFO was last asked for */
    int64_t not_before_ms;    /* its values, wall; 0: all are used */
    unsigned tag;             /* in the key; 0: there is none */
    size_t key_len;
    char key[PROBE_KEY_MAX];
    int64_t born_ms;
    int64_t sent_ms;         /* the round under way, or the last */
    int64_t acknowledged_ms; /* when that was sent; 0: nothing counts */
};

static inline struct probe *
probe_of(struct list *link)
{
    struct probe *p = CONTAINER_OF(link, struct probe, link);

    MUST_OBJ(p, PROBE_MAGIC);
    return p;
}

static inline int64_t
probing_now_ms(const struct probing *common)
{
    MUST_OBJ(common->redis, REDIS_MAGIC);
    return loop_now_ms(common->loop);
}

/* Sends a command on the probe's connection, behind all others. */
static inline void
probe_send(struct probe *p, struct redis_call *call, unsigned argc,
    const struct slice *argv)
{
    MUST_OBJ(p, PROBE_MAGIC);
    call_init(call);
    call_set_words(call, argc, argv);
    (void)!wire_send(p->wire, call); /* one that is down says so in on_down */
}

/* Of a node of the map, on no list. common outlives it. NULL: no memory. */
struct probe *probe_new(struct probing *common, const struct node *node);

/* Takes it off its list; its node is not trusted any more. */
void probe_free(struct probe *probe);

/* When the last acknowledged probe was sent; 0: nothing counts. */
int64_t probe_acknowledged_ms(const struct probe *probe);

/* Sends the next probe, unless one is under way. */
void probe_begin_round(struct probe *probe);

/* Likewise a PING over its link, which it gets if it has none. */
void probe_begin_link_round(struct probe *probe);

/* Has the node been silent for the bound? Then it is trusted no more. */
void probe_judge_silence(struct probe *probe);

/* --- probe_slots.c --- */

/* A key whose slot the node owns, if it owns any. */
void probe_choose_key(struct probe *probe);

/* Does the node own the slot of the probe's key? */
bool probe_has_key(const struct probe *probe, const struct map *map);

/* Calls fn, with ms, for all slots that the map gives to the node, or to any
   (NULL). */
void probing_each_slot(struct probing *common, const struct node *node,
    void (*fn)(struct trust *trust, uint16_t slot, int64_t ms), int64_t ms);

/* --- probe_info.c --- */

/* Asks the server what it is; the reply is for probe_informed. */
void probe_ask_info(struct probe *probe);

/* Has it said for a while what it is? Then it is asked again. */
bool probe_is_info_due(const struct probe *probe);

/* The reply to `info` or to `save`. */
void probe_informed(struct probe *probe, const struct redis_call *call,
    const struct redis_reply *reply);

/* Has the server refused to tell for a moment only? */
bool probe_is_put_off(const struct redis_reply *reply);

#endif
