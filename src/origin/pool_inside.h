/* A pool's inside, for the files of this room. */
#ifndef ORIGIN_POOL_INSIDE_H
#define ORIGIN_POOL_INSIDE_H

#include "origin/group_inside.h"
#include "nearside/base/log.h"
#include "nearside/net/conn.h"

#define POOL_MAGIC        UINT32_C(0x6f706f6c)
#define ORIGIN_CONN_MAGIC UINT32_C(0x6f636f6e)

enum {
    /* One read takes at most this, heads and content alike. More would hardly
       save system calls, and so much waits for a client that pauses (the 64 KiB
       each way of the limits). */
    READ_MAX = 64 * 1024,
    /* Exchange objects kept for the next requests; about 1 KiB each. */
    SPARE_MAX = 64,
};

/* A connection to an origin: idle in the pool, or of one exchange, which is
   then its conn's owner. */
struct origin_conn {
    uint32_t magic;
    bool is_reused;   /* has answered before: the other side may have ended
                         it meanwhile, which is nobody's fault */
    struct list link; /* pool->idle, or pool->dead_conns */
    struct origin_pool *pool;
    struct origin_address *address; /* where it leads; a reference */
    struct conn *conn;              /* owned; NULL: closed, waits for burial */
    int64_t idle_since_ms;
};

/* Lives in the exchange that waits for a place. */
struct origin_waiter {
    struct list link; /* queue->waiting, then pool->granted; the queue's lock */
    struct origin_pool *pool;
    int64_t since_ms;
    bool is_granted; /* it is counted for; the lock's, too */
};

/* A worker's view of the server's addresses. */
struct origin_names {
    struct server_news news;
    struct origin_addresses *addresses; /* NULL: not known yet */
    unsigned turn;       /* the item that is dialled next, if it can be */
    struct list waiting; /* for a look-up's end; then on_names */
    void (*on_names)(struct list *waiting);
};

struct origin_pool {
    uint32_t magic;
    struct origin_group *group;
    struct loop *loop;
    struct log_ring *ring;
    struct metric_block *block; /* NULL: nothing is counted */
    struct origin_names names;
    struct list idle; /* the one used last is first */
    unsigned idle_len;
    struct loop_timer idle_timer; /* for the last of idle, or in vain */
    unsigned live;                /* exchanges not over */
    struct list spare;            /* exchanges for reuse */
    unsigned spare_len;
    struct list dead_conns; /* buried at the turn's end */
    struct list dead_exchanges;
    struct loop_task turn_end;
    struct list sibling; /* queue->pools */
    struct list granted; /* waiters with a place; guarded by the queue's lock */
    struct bell *bell;   /* rung for what queue.c has for it */
    /* A waiter of this pool has its turn: with a kept connection, or with the
       place for a new one. */
    void (*on_place)(struct origin_waiter *w, struct origin_conn *own_conn);
    struct buf in;    /* lent to whichever exchange reads just now */
    struct head head; /* the same: a head is a loan of one callback */
};

/* The turn's end will bury the dead. */
static inline void
origin_pool_turn(struct origin_pool *pool)
{
    loop_defer(pool->loop, &pool->turn_end);
}

/* --- conns.c ----------------------------------------------------------- */

void origin_conns_init(struct origin_pool *pool);

/* Closes the idle ones. */
void origin_conns_fini(struct origin_pool *pool);

void origin_conns_bury(struct origin_pool *pool);

/* Closes those that lead to an address which the server has no more. */
void origin_conns_leave(struct origin_pool *pool);

/* The idle connection used last, or NULL. */
struct origin_conn *origin_pool_take(struct origin_pool *pool);

/* Gives a connection back whose both directions are finished. */
void origin_pool_put(struct origin_pool *pool, struct origin_conn *c);

/*
 * Wraps a connection that was just made to `to`; its place was reserved with
 * the group before and is the connection's from here on, also on failure. NULL:
 * no memory; own_conn is closed.
 */
struct origin_conn *origin_pool_adopt(
    struct origin_pool *pool, struct origin_address *to, struct conn *own_conn);

/* Closes it, with a reset if is_abrupt; clears the caller's pointer. */
void origin_pool_close(struct origin_conn **c, bool is_abrupt);

/* The same, but its place with the group is the caller's from here on. */
void origin_pool_replace(struct origin_conn **c);

/* Closes idle connections while somebody waits for their places. */
void origin_conns_make_room(struct origin_pool *pool);

/* --- queue.c ------------------------------------------------------------- */

/* The pool is rung from here on, until it parts. */
void origin_queue_join(struct origin_pool *pool);
void origin_queue_part(struct origin_pool *pool);

/* Behind all who wait; pool->on_place comes, but not from inside. False: the
   queue is full. */
bool origin_queue_enter(struct origin_waiter *w, struct origin_pool *pool);

/* on_place will not come. True: it had been given a place, which is now the
   caller's. */
bool origin_queue_leave(struct origin_waiter *w);

/* Takes one off that waits in this pool, for a connection of this pool's. NULL:
   the first is another's, and none of ours came nearly as early. */
struct origin_waiter *origin_queue_take(struct origin_pool *pool);

/* The next of this pool's that has been given a place, or NULL. */
struct origin_waiter *origin_queue_pop(struct origin_pool *pool);

/* --- names.c ----------------------------------------------------------- */

enum rc origin_names_init(struct origin_pool *pool,
    void (*on_names)(struct list *waiting)) RC_MUST_CHECK;
void origin_names_fini(struct origin_pool *pool);

/* What all workers know by now, which this one may not have been told yet. */
void origin_names_refresh(struct origin_pool *pool);

/* The next item of `set` to dial that is not in `but`, each worker by turns.
   -1: none is left. */
int origin_names_next(struct origin_pool *pool, struct origin_addresses *set,
    uint64_t but, int64_t try_ms);

#endif
