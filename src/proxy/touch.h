/*
 * Redis is told which entries are asked for. Memory answers for them, so that a
 * Redis which evicts what nobody asks for would take the busiest for idle. Once
 * a minute each entry in memory that was asked for since is named to Redis in a
 * TOUCH, which reads nothing and changes nothing.
 *
 * The first worker does it for the process, some entries each second, so that
 * a minute's are spread over the minute. Nobody waits for a TOUCH, and none is
 * tried again. A call that fails ends the second's share, and a reply that is
 * an error, as to a user who may not TOUCH, ends all of it for a minute.
 */
#ifndef PROXY_TOUCH_H
#define PROXY_TOUCH_H

#include "nearside/cache/memory.h"
#include "nearside/net/loop.h"

struct worker;

enum {
    TOUCH_MAGIC = 0x6e746f75,
};

struct touch {
    uint32_t magic;
    struct worker *worker;
    struct loop_timer tick;
    struct memory_walk walk;
    struct list calls; /* under way */
    unsigned calls_len;
    size_t seats;          /* about as many as the walk goes over */
    unsigned left;         /* samples that this second may still take */
    int64_t next_round_ms; /* no sample before; loop time, as is the next */
    int64_t round_ms;      /* when the walk began its present round */
};

/* From now on, if the worker is the first one and there is memory beside Redis.
   worker->tier is set. */
void touch_start(struct touch *touch, struct worker *worker);

/* Before the worker's Redis client is freed. What is under way is given up. */
void touch_stop(struct touch *touch);

#endif
