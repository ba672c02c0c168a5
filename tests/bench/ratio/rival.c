/*
 * Rivals (rival.h). An object stands in one queue at most; newer ones come
 * before older ones. Each policy is a handful of lines over the queues.
 */
#include "rival.h"

#include <stdlib.h>

#include "nearside/base/check.h"

enum {
    NONE,
    WHOLE, /* LRU and SIEVE have this one alone */
    SMALL,
    MAIN,
    GHOST,
    QUEUES,
};

enum {
    ASKED_MAX = 3,
};

/* Linked by numbers; 0: nobody. Object n is node n + 1. */
struct node {
    uint32_t newer;
    uint32_t older;
    uint8_t queue;
    uint8_t asked;
};

struct queue {
    uint32_t newest;
    uint32_t oldest;
    size_t bytes;
};

struct rival {
    const struct policy *policy;
    const uint32_t *sizes;
    size_t budget;
    struct queue queues[QUEUES];
    uint32_t hand; /* of SIEVE; 0: it begins at the oldest */
    struct node nodes[];
};

static size_t
size_of(const struct rival *r, uint32_t n)
{
    MUST(n > 0);
    return r->sizes[n - 1];
}

static void
push(struct rival *r, uint8_t queue, uint32_t n)
{
    struct queue *q = &r->queues[queue];
    struct node *node = &r->nodes[n];

    MUST(node->queue == NONE);
    node->queue = queue;
    node->newer = 0;
    node->older = q->newest;
    *(q->newest != 0 ? &r->nodes[q->newest].newer : &q->oldest) = n;
    q->newest = n;
    q->bytes += size_of(r, n);
}

static void
take_out(struct rival *r, uint32_t n)
{
    struct node *node = &r->nodes[n];
    struct queue *q = &r->queues[node->queue];

    MUST(node->queue != NONE);
    *(node->newer != 0 ? &r->nodes[node->newer].older : &q->newest) =
        node->older;
    *(node->older != 0 ? &r->nodes[node->older].newer : &q->oldest) =
        node->newer;
    q->bytes -= size_of(r, n);
    node->queue = NONE;
}

static bool
has_room(const struct rival *r, uint32_t n)
{
    return rival_bytes(r) + size_of(r, n) <= r->budget;
}

/* --- LRU ------------------------------------------------------------------ */

static bool
ask_lru(struct rival *r, uint32_t n)
{
    bool is_hit = r->nodes[n].queue == WHOLE;

    if (is_hit) {
        take_out(r, n);
    }
    while (!has_room(r, n)) {
        take_out(r, r->queues[WHOLE].oldest);
    }
    push(r, WHOLE, n);
    return is_hit;
}

/* --- SIEVE: Zhang, Yang, Yue, Vigfusson and Rashmi, NSDI 2024, algorithm 1 -
 */

static void
evict_sieve(struct rival *r)
{
    const struct queue *q = &r->queues[WHOLE];
    uint32_t n = r->hand != 0 ? r->hand : q->oldest;

    while (r->nodes[n].asked > 0) {
        r->nodes[n].asked = 0;
        n = r->nodes[n].newer != 0 ? r->nodes[n].newer : q->oldest;
    }
    r->hand = r->nodes[n].newer;
    take_out(r, n);
}

static bool
ask_sieve(struct rival *r, uint32_t n)
{
    if (r->nodes[n].queue == WHOLE) {
        r->nodes[n].asked = 1;
        return true;
    }
    while (!has_room(r, n)) {
        evict_sieve(r);
    }
    push(r, WHOLE, n);
    r->nodes[n].asked = 0;
    return false;
}

/* --- S3-FIFO: Yang, Zhang, Qiu, Yue and Rashmi, SOSP 2023, algorithm 1 -----
 */

static size_t
main_share(const struct rival *r)
{
    return r->budget - r->budget / 10;
}

static void
evict_main(struct rival *r)
{
    uint32_t n;

    while ((n = r->queues[MAIN].oldest) != 0) {
        take_out(r, n);
        if (r->nodes[n].asked == 0) {
            return;
        }
        r->nodes[n].asked--;
        push(r, MAIN, n);
    }
}

/* It knows as many bytes of objects as main may have. */
static void
remember(struct rival *r, uint32_t n)
{
    push(r, GHOST, n);
    while (r->queues[GHOST].bytes > main_share(r)) {
        take_out(r, r->queues[GHOST].oldest);
    }
}

static void
evict_small(struct rival *r)
{
    uint32_t n;

    while ((n = r->queues[SMALL].oldest) != 0) {
        take_out(r, n);
        if (r->nodes[n].asked <= 1) {
            remember(r, n);
            return;
        }
        r->nodes[n].asked = 0;
        push(r, MAIN, n);
        if (r->queues[MAIN].bytes > main_share(r)) {
            evict_main(r);
        }
    }
}

static bool
ask_s3fifo(struct rival *r, uint32_t n)
{
    struct node *node = &r->nodes[n];
    bool is_known;

    if (node->queue == SMALL || node->queue == MAIN) {
        if (node->asked < ASKED_MAX) {
            node->asked++;
        }
        return true;
    }
    while (!has_room(r, n)) {
        if (r->queues[SMALL].bytes >= r->budget / 10) {
            evict_small(r);
        } else {
            evict_main(r);
        }
    }
    is_known = node->queue == GHOST;
    if (is_known) {
        take_out(r, n);
    }
    push(r, is_known ? MAIN : SMALL, n);
    node->asked = 0;
    return false;
}

/* --- the door -------------------------------------------------------------
 */

const struct policy policies[RIVALS] = {
    [RIVAL_LRU] = {"lru", ask_lru},
    [RIVAL_SIEVE] = {"sieve", ask_sieve},
    [RIVAL_S3FIFO] = {"s3fifo", ask_s3fifo},
};

struct rival *
rival_new(const struct policy *policy, const uint32_t *sizes,
    uint32_t objects_len, size_t budget)
{
    struct rival *r = must_calloc(
        1, sizeof(*r) + ((size_t)objects_len + 1) * sizeof(r->nodes[0]));

    r->policy = policy;
    r->sizes = sizes;
    r->budget = budget;
    return r;
}

bool
rival_ask(struct rival *r, uint32_t object)
{
    MUST(r->sizes[object] <= r->budget);
    return r->policy->ask(r, object + 1);
}

size_t
rival_bytes(const struct rival *r)
{
    return r->queues[WHOLE].bytes + r->queues[SMALL].bytes +
           r->queues[MAIN].bytes;
}

void
rival_free(struct rival **r)
{
    free(*r);
    *r = NULL;
}
