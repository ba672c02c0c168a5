/*
 * The room's inside of a connection: its state, which wire.c and wire_end.c
 * share.
 */
#ifndef REDIS_WIRE_INSIDE_H
#define REDIS_WIRE_INSIDE_H

#include "redis/channel.h"
#include "redis/reach.h"
#include "redis/wire.h"

enum {
    WIRE_MAGIC = 0x57495245,
};

enum wire_state {
    WIRE_DOWN,     /* nothing to do; wire_send begins to reach the node */
    WIRE_REACHING, /* or, after a failure, waiting to */
    WIRE_GREETING, /* the server has not let us in yet */
    WIRE_UP,
};

struct wire {
    uint32_t magic;
    enum wire_state state;
    struct wire_setup setup;
    struct reach reach;
    struct channel channel; /* open while GREETING or UP */
    struct list waiting;
    unsigned waiting_len;
    size_t waiting_bytes;
    struct list lost;
    struct loop_task flush_task;
    struct loop_task lost_task;
    struct loop_task drop_task;
    struct loop_timer hang;
    enum rc last_rc; /* why it failed last */
    enum rc drop_rc; /* RC_OK, or why we give it up ourselves */
    int64_t up_ms;
    int64_t dropped_ms; /* the last time by ourselves */
    int64_t used_ms;
    uint64_t moved;  /* bulk: bytes when the hang was looked for */
    unsigned late;   /* replies in a row */
    int64_t counted; /* of this wire's in node->in_flight */
};

static inline int64_t
wire_now_ms(const struct wire *w)
{
    MUST_OBJ(w, WIRE_MAGIC);
    return loop_now_ms(w->setup.loop);
}

/* Of a worker, which the node's counters are about. */
static inline bool
wire_is_workers(const struct wire *w)
{
    return !w->setup.is_once && !w->setup.is_probe;
}

/* --- wire_end.c --- */

/* What is to be armed when there is a connection. */
void wire_end_init(struct wire *w);

/* Tells the node's shared counter, which is about the workers, what has
   changed since the last time; once a turn, not once a call. */
void wire_count(struct wire *w);

void wire_reach(struct wire *w);

/* The call has its reply. */
void wire_answer(
    struct wire *w, struct redis_call *call, struct redis_reply *reply);

/* The call's end is told at the turn's end. */
void wire_lose(struct wire *w, struct redis_call *call, enum rc rc);

/* Ends the connection, whatever stage it is in. */
void wire_fail(struct wire *w, enum rc rc, struct slice why);

/* For ever, all its calls told. */
void wire_end(struct wire *w);

#endif
