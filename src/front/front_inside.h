/* What the files of the front share: the process' part and a worker's. */
#ifndef FRONT_FRONT_INSIDE_H
#define FRONT_FRONT_INSIDE_H

#include <stdatomic.h>

#include "nearside/base/spare.h"
#include "nearside/front/front.h"
#include "nearside/http/head.h"
#include "front/client_counts.h"

#define FRONT_MAGIC        UINT32_C(0x6e66726f)
#define FRONT_WORKER_MAGIC UINT32_C(0x6e667277)

struct front {
    uint32_t magic;
    struct front_opts opts;
    struct client_counts *client_counts;
    atomic_uint connections;
    atomic_uint lingering;         /* of these */
    struct front_worker **workers; /* [opts.workers]; NULL until made */
};

struct front_worker {
    uint32_t magic;
    struct front *front;
    struct worker *worker;
    struct list acceptors;
    struct list idle;         /* sessions without a turn, longest idle first */
    struct list lingering;    /* those that do, longest first */
    struct list sessions;     /* all others */
    atomic_uint sessions_len; /* of all, and those handed over to it */
    struct spare turns;       /* given back, to be borrowed again */
    struct head head;         /* room to parse in; its request takes a copy */
    _Atomic(struct handoff *) handoffs; /* accepted elsewhere, for us */
    struct loop_message handoff_message;
    struct loop_message shed_message;
    atomic_bool is_draining;
    void (*on_empty)(void *ctx);
    void *ctx;
};

/* One connection less, of those that are counted for the worker. */
void front_release(struct front_worker *f, const struct address *peer);

/* Has it begun to end its connections? */
bool front_is_drained(const struct front_worker *f);

/* Tells whoever waits for it that no session is left. */
void front_check_empty(struct front_worker *f);

#endif
