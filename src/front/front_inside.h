/* What the files of the front share: the process' part and a worker's. */
#ifndef FRONT_FRONT_INSIDE_H
#define FRONT_FRONT_INSIDE_H

#include <stdatomic.h>

#include "nearside/base/spare.h"
#include "nearside/cache/entry.h"
#include "nearside/front/front.h"
#include "nearside/http/head.h"
#include "nearside/known/known.h"
#include "front/client_counts.h"

enum {
    /* A new connection is idle only once it has had this time to speak. At the
       end an idle one is heard out for as long. */
    SPEAK_MS = 1000,
};

#define FRONT_MAGIC        UINT32_C(0x6e66726f)
#define FRONT_WORKER_MAGIC UINT32_C(0x6e667277)

struct front {
    uint32_t magic;
    struct front_opts opts;
    struct client_counts *client_counts;
    atomic_uint connections;
    atomic_uint lingering;           /* of these */
    atomic_uint refusals;            /* connections that are no session */
    atomic_uint unsaid;              /* refused since the last warning */
    _Atomic int64_t refusal_warn_ms; /* when one may be warned of again */
    _Atomic int64_t protocol_warn_ms;
    struct front_worker **workers; /* [opts.workers]; NULL until made */
};

enum {
    KNOWN_HOST_MAX = 128, /* a longer one is judged each time */
    FIRST_MAX = 4096,     /* read of a request before a turn is taken for it */
};

/* An answer that has begun to leave before there was a request for it. */
struct begun {
    struct entry *entry; /* a reference; NULL: there is none */
    size_t size;         /* bytes of the answer, */
    size_t n;            /* and of them, what has left */
};

struct front_worker {
    uint32_t magic;
    struct front *front;
    struct worker *worker;
    struct list acceptors;
    struct list fresh;     /* sessions that have sent nothing yet, in the
                              order in which they came */
    struct list idle;      /* those between two requests, longest idle first */
    struct list lingering; /* those that do, longest first */
    struct list sessions;  /* all others */
    struct list refusals;  /* clients that were turned away and are heard out,
                              the longest first */
    atomic_uint sessions_len; /* of all, and those handed over to it */
    struct spare turns;       /* given back, to be borrowed again */
    struct head head;         /* room to parse in; its request takes a copy */
    char first[FIRST_MAX];    /* what a session has read just now */
    struct known *known;
    struct begun begun;              /* until the head has a turn */
    char known_host[KNOWN_HOST_MAX]; /* the last Host that was accepted */
    size_t known_host_len;
    _Atomic(struct handoff *) handoffs; /* accepted elsewhere, for us */
    struct loop_message handoff_message;
    struct loop_message shed_message;
    atomic_bool says_close; /* each answer ends its connection */
    bool is_draining;       /* nothing is accepted any more */
    void (*on_empty)(void *ctx);
    void *ctx;
};

/* --- refusal.c --- */

/* Tells a client 503, since the limit was hit; the fd is taken. */
void refusal_start(struct front_worker *f, int own_fd, enum limit limit,
    const struct address *peer);

/* Closes those that are still heard out: the worker ends. */
void refusals_end(struct front_worker *f);

/* --- front.c --- */

/* At most once a minute, of all workers: *next_ms says when again. */
bool front_may_warn(const struct front_worker *f, _Atomic int64_t *next_ms);

/* One connection less, of those that are counted for the worker. */
void front_release(struct front_worker *f, const struct address *peer);

/* Tells whoever waits for it that no connection is left. */
void front_check_empty(struct front_worker *f);

#endif
