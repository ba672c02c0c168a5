/*
 * What the workers, the control thread and the coherence thread share: the
 * nodes, the newest map of who owns which slot, and the wish for a newer one.
 *
 * The floors inside this room. A file includes and calls lower floors only;
 * a lower floor tells a higher one by a callback that was handed down.
 *
 *     8  client       hold     near              a worker's doors
 *     7  error_reply  refresh   prober           what it leads to; discovery
 *     6  dispatch     probe                      calls on their way; trust
 *     5  pool         inquiry   probe_*          connections; questions
 *                               node_time
 *     4  wire*        redis     words    link    a connection; how it begins
 *     3  channel      reach     map      settle  what these are made of
 *     2  resp         topology  node     metrics   past   tracking
 *     1  reader       redirect  trust    info      time
 *     0  call         slot      secret
 */
#ifndef REDIS_MAP_H
#define REDIS_MAP_H

#include <pthread.h>
#include <stdatomic.h>

#include "nearside/base/shared_time.h"
#include "nearside/redis/near.h"
#include "nearside/redis/redis.h"
#include "nearside/redis/topology.h"
#include "redis/metrics.h"
#include "redis/node.h"
#include "redis/trust.h"

enum {
    MAP_MAGIC = 0x4d415020,
    REDIS_MAGIC = 0x52444953,
};

/* Who owns which slot; immutable once published, counted under the lock. */
struct map {
    uint32_t magic;
    unsigned refs;
    uint64_t version;
    struct topology *topology; /* owned */
    struct node *nodes[];      /* the topology's; counted references */
};

/* Hears of something by a message to its loop. One that is under way cannot be
   called back: then the member's owner is freed by its delivery. */
struct member {
    struct list link;
    struct loop *loop;
    struct loop_message message;
};

/* Everything below `lock` is guarded by it; the rest is constant after
   redis_new, atomic, or belongs to the control thread. */
struct redis {
    uint32_t magic;
    struct redis_opts opts;
    struct resolver *resolver;
    struct redis_metrics metrics;
    atomic_bool is_wanted;    /* a refresh was asked for, not yet taken up */
    _Atomic int wanted_cause; /* enum refresh_cause */
    atomic_bool is_patched;   /* a worker's copy of the map differs from it */
    struct loop *loop;        /* control thread's, as is the next */
    struct refresh *refresh;
    struct prober *prober;      /* coherence thread's */
    struct trust *trust;        /* owned; what it holds is atomic */
    struct shared_time time;    /* the prober tells it */
    near_changed_fn on_changed; /* or NULL: nobody keeps what is read */
    void *changed_ctx;
    pthread_mutex_t lock;
    struct list nodes;
    struct list members;    /* workers, who hear of a new map */
    struct map *map;        /* NULL: none yet */
    struct member *control; /* hears of wishes; NULL: nobody any more */
    uint64_t version;
    uint32_t serials;  /* of nodes, given so far */
    char refusal[256]; /* as in struct redis_status */
    atomic_bool is_password_doubted;
};

/* The node at an address, counted for the caller. NULL: no memory. */
struct node *redis_node_take(
    struct redis *redis, struct slice host, uint16_t port);
void redis_node_unref(struct redis *redis, struct node **node);

/* The node's breaker has opened: counts and logs it. */
void redis_tell_rest(const struct redis *redis, const struct node *node,
    struct log_ring *ring, struct metric_block *block);

/* The newest map, counted; NULL: there is none. */
struct map *redis_map_take(struct redis *redis);
void redis_map_unref(struct redis *redis, struct map **map);

/* Makes a topology the newest map, which takes it over, and tells all workers.
   One that changes nothing stays the caller's, and makes no new version, but
   workers that have patched their copies take the map over again. RC_NOMEM. */
enum rc redis_publish(
    struct redis *redis, struct topology **topology) RC_MUST_CHECK;

/* A worker has seen by a MOVED who owns a slot. */
void redis_see_owner(struct redis *redis, uint16_t slot,
    const struct node *node, const struct loop *loop);

/* Tells all workers to look again: at the map, and at what is trusted. */
void redis_tell_members(struct redis *redis);

/* What the node said when it refused a probe; empty: nothing. */
void redis_note_refusal(
    struct redis *redis, struct node *node, struct slice words);

void redis_join(struct redis *redis, struct member *member);
void redis_leave(struct redis *redis, struct member *member);

void redis_set_control(struct redis *redis, struct member *control);

/* A server has refused us in words: says so in the status, and has the password
   read again. Any thread. */
void redis_tell_refusal(
    struct redis *redis, const struct node *node, struct slice words);

/* A map was read: what was said before is over. */
void redis_forget_refusal(struct redis *redis);

/* Asks the control thread for a refresh. Any thread; cheap when one is
   wanted already. */
void redis_want_refresh(struct redis *redis, enum refresh_cause cause);

#endif
