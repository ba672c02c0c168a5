/*
 * Inside a fill, for the files that share it:
 *
 *     fill.c         its life, and what anybody may ask it
 *     fill_side.c    between owner and readers: how much room the readers
 *                    leave, which chunks are freed, who is woken
 *     fill_owner.c   appends, finishes
 *     fill_reader.c  joins, reads, leaves
 *
 * Laws:
 *
 * - The owner alone appends and finishes. It publishes the length with a
 *   release; a reader that sees the length sees the bytes and the links to
 *   them.
 * - A side holds the readers of one loop. Only that loop touches the readers
 *   and their list. Whoever walks the list of sides holds the lock.
 * - Whoever frees chunks holds the lock, and frees only what every side's
 *   published `slowest` has passed, and never the last. As a rule that is the
 *   owner. While it waits, or when it has finished, it is a reader.
 * - A side is woken once a turn: by a deferred task on the loop of whoever
 *   wakes it, by a message on another.
 */
#ifndef BODY_FILL_INSIDE_H
#define BODY_FILL_INSIDE_H

#include <pthread.h>

#include "nearside/body/fill.h"

#define FILL_MAGIC   UINT32_C(0x6e66696c)
#define SIDE_MAGIC   UINT32_C(0x6e667364)
#define READER_MAGIC UINT32_C(0x6e667264)

struct fill_chunk {
    _Atomic(struct fill_chunk *) next;
    uint64_t start; /* offset of data[0] in the body */
    size_t cap;
    size_t len; /* the owner's; readers go by the published length */
    char data[];
};

struct fill_side {
    uint32_t magic;
    unsigned readers_len;
    struct list link; /* fill's sides */
    struct fill *fill;
    struct loop *loop;
    struct list readers;
    _Atomic uint64_t slowest;    /* UINT64_MAX: no reader here */
    _Atomic uint64_t fastest;    /* 0: no reader here */
    struct loop_task task;       /* the pass over the readers */
    struct loop_message message; /* another loop asks for that pass */
};

struct fill {
    uint32_t magic;
    _Atomic uint32_t refs;
    struct loop *owner;
    struct response_head head; /* its lines lie in text */
    struct fill_opts opts;

    _Atomic uint64_t len;
    _Atomic(enum fill_state) state;
    _Atomic(enum origin_error) error;
    atomic_bool is_stalled; /* the owner waits for room */
    atomic_bool is_kept;
    struct loop_message room; /* tells the owner that there is some */

    /* That of the owner's loop, which reads nearly every fill: it costs no
       malloc. On the list of sides once it has had a reader. */
    struct fill_side owner_side;

    pthread_mutex_t lock; /* guards what follows */
    struct list sides;
    struct fill_chunk *first;
    struct fill_chunk *last;

    char text[];
};

/* Where the readers of all sides are; with none, as in a side. */
struct fill_span {
    uint64_t slowest;
    uint64_t fastest;
};

struct fill_span fill_span(struct fill *fill);
struct fill_span fill_span_locked(const struct fill *fill); /* holds the lock */

/* How many bytes may be appended now. */
size_t fill_room(struct fill *fill);

/* Frees the chunks that no reader needs any more. */
void fill_release(struct fill *fill);

/* Frees the first of them, whoever may need it. */
void fill_free_first(struct fill *fill);

/* Tells an owner that waits for room when there is enough of it. */
void fill_offer_room(struct fill *fill);

/* Readers have come further or left: frees what an owner that is at rest does
   not free, and offers it room. */
void fill_settle(struct fill *fill);

/* Wakes all readers. here: the loop of the calling thread. */
void fill_wake(struct fill *fill, struct loop *here);

/* The side for a loop; the caller holds the lock. NULL: no memory. */
struct fill_side *fill_side_of(struct fill *fill, struct loop *loop);

/* Says where the side's readers are; not while a pass has taken some of them
   off the list. */
void fill_side_publish(struct fill_side *side);

/* fill_len, in line: the fill's own files ask often. */
static inline uint64_t
len_of(const struct fill *fill)
{
    return atomic_load_explicit(&fill->len, memory_order_acquire);
}

/* Is there what a reader waits for? */
static inline bool
reader_has_news(const struct fill_reader *reader)
{
    return len_of(reader->fill) > reader->offset ||
           fill_state(reader->fill) != FILL_OPEN;
}

#endif
