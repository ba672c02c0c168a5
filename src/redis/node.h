/*
 * One Redis node as the whole process sees it: where it is, and how it has
 * been doing. All workers share it, and only its atomics change. It is
 * counted under the lock of struct redis (redis_node_take).
 */
#ifndef REDIS_NODE_H
#define REDIS_NODE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "nearside/base/list.h"
#include "nearside/redis/redirect.h"
#include "nearside/redis/redis.h"

enum {
    NODE_MAGIC = 0x4e4f4445,
    NODE_TEXT_MAX = HOST_MAX + 9, /* "[" host "]:65535" */
    /* Failures in a row after which calls are no longer tried. */
    NODE_FAILURES_MAX = 5,
    NODE_REST_MS = 1000,
    NODE_REST_MAX_MS = 30000,
    /* How long no script is tried after one that was refused. */
    NODE_SCRIPTS_MS = 1000,
    NODE_REFUSAL_MAX = 128,
};

enum breaker {
    BREAKER_CLOSED, /* calls pass; failures are counted */
    BREAKER_OPEN,   /* none passes until open_until_ms */
    BREAKER_HALF,   /* one has been let through; its end decides */
};

/* How it takes the probes. */
enum node_state {
    NODE_UNPROBED, /* none is answered yet, or none is sent to it */
    NODE_TRUSTED,  /* it acknowledges them */
    NODE_REFUSING, /* it answers, and refuses to write or to delete */
    NODE_SILENT,   /* it has not answered for TRUST_BOUND_MS */
};

/* Does it tell of changes? */
enum node_telling {
    NODE_TELLS_NOT, /* no: what is read from it is not put into memory */
    NODE_TELLS,     /* yes, as long as the coherence lease lasts */
    NODE_NEED_NOT,  /* it does not, and is not to: what was read from it may be
                       used from memory for the bound, and no longer */
};

struct node {
    uint32_t magic;
    struct list link; /* redis's nodes; under its lock */
    unsigned refs;    /* under redis's lock */
    uint16_t port;
    char host[HOST_MAX + 1];
    char text[NODE_TEXT_MAX]; /* for logs and the status */
    _Atomic int breaker;      /* enum breaker */
    _Atomic unsigned failures;
    _Atomic unsigned opens; /* in a row; doubles the rest */
    _Atomic int64_t open_until_ms;
    _Atomic int64_t in_flight; /* of all workers */
    _Atomic int wires;         /* that are up */
    atomic_bool is_resting;    /* it answers, but does not serve */
    atomic_bool is_down;       /* the last thing heard was a failure */
    atomic_bool is_heard;      /* has ever answered */
    atomic_bool runs_no_scripts;
    _Atomic int64_t scripts_again_ms; /* until then none is tried */
    uint32_t serial; /* tells it from every other node; not 0 */
    /* The probe's (probe.c). */
    _Atomic int64_t usable_until_ms; /* its values; 0: they are not */
    _Atomic int state;               /* enum node_state */
    char refusal[NODE_REFUSAL_MAX];  /* what it said; under redis's lock */
    /* The coherence thread's (near.h). */
    _Atomic int telling;               /* enum node_telling */
    _Atomic int64_t coherent_until_ms; /* as far as its link vouches for it; 0:
                                          there is none */
};

struct node *node_new(struct slice host, uint16_t port); /* NULL: no memory */
void node_free(struct node **node);
bool node_is_at(const struct node *node, struct slice host, uint16_t port);

/* May a call go there? Not while the breaker is open; when its time is over
   one call may, and how that ends decides. */
bool node_admits(struct node *node, int64_t now_ms);

/* Why its values are not to be used; its time is over. */
const char *node_why_silent(struct node *node);

/* Why its values are not to be used now; NULL: they may be. Asked twice for
   each lookup. */
static inline const char *
node_why_not(const struct node *node, int64_t now_ms)
{
    struct node *n = (struct node *)(uintptr_t)node;

    MUST_OBJ(n, NODE_MAGIC);
    return now_ms < atomic_load_explicit(
                        &n->usable_until_ms, memory_order_acquire)
               ? NULL
               : node_why_silent(n);
}

/* A reply in time. */
void node_succeeded(struct node *node);

/* It has answered something that is no call of a worker's: a greeting, a probe,
   an inquiry. It may fail each call all the same, so that this closes no
   breaker; but calls are tried again soon. */
void node_is_there(struct node *node, int64_t now_ms);

/* A reply came after its deadline, or a connection came up: the node is slow,
   yet alive, or is back. An open breaker lets the next call try. */
void node_heard(struct node *node);

/* No reply in time, or no connection. True: this opened the breaker. */
bool node_failed(struct node *node, int64_t now_ms);

/* Is a script worth sending? Changes nothing but who is told that it may be
   tried again. */
enum redis_scripts node_scripts(struct node *node, int64_t now_ms);

/* It did not run one: because it never does, or because it takes no writes now.
   True: this is new, and it never does. */
bool node_script_failed(struct node *node, int64_t now_ms, bool is_for_good);

/* It has run one. True: it did not before. */
bool node_script_ran(struct node *node);

/* Opens the breaker for NODE_REST_MS at once: the node answers, but does
   not serve (LOADING, CLUSTERDOWN, NOAUTH). */
void node_rest(struct node *node, int64_t now_ms);

#endif
