/*
 * A node's health and its breaker.
 *
 * Every worker reports to the same object, so that five timeouts in all, not
 * five a worker, open the breaker. The common case, a success while
 * nothing is wrong, only reads: no cache line is fought for.
 *
 * The transitions race with each other by design: whichever report comes
 * last wins, and a wrong guess costs one call or one rest.
 */
#include "redis/node.h"

#include <stdio.h>
#include <stdlib.h>

struct node *
node_new(struct slice host, uint16_t port)
{
    struct node *node = calloc(1, sizeof(*node));
    bool is_v6 = slice_find(host, ':') >= 0;

    MUST(host.len <= HOST_MAX);
    if (node == NULL) {
        return NULL;
    }
    node->magic = NODE_MAGIC;
    list_init(&node->link);
    node->port = port;
    memcpy(node->host, host.ptr, host.len);
    (void)snprintf(node->text, sizeof(node->text), is_v6 ? "[%s]:%u" : "%s:%u",
        node->host, port);
    return node;
}

void
node_free(struct node **node)
{
    struct node *n = *node;

    if (n == NULL) {
        return;
    }
    MUST_OBJ(n, NODE_MAGIC);
    MUST(!list_is_linked(&n->link));
    *node = NULL;
    n->magic = 0;
    free(n);
}

bool
node_is_at(const struct node *node, struct slice host, uint16_t port)
{
    MUST_OBJ(node, NODE_MAGIC);
    return node->port == port && slice_eq(slice_of_str(node->host), host);
}

bool
node_admits(struct node *node, int64_t now_ms)
{
    int expected = BREAKER_OPEN;

    MUST_OBJ(node, NODE_MAGIC);
    switch ((enum breaker)atomic_load_explicit(
        &node->breaker, memory_order_relaxed)) {
    case BREAKER_CLOSED:
        return true;
    case BREAKER_HALF:
        /* The one that was let through may have been cancelled: after its
           rest's time another may try. */
        if (now_ms < atomic_load(&node->open_until_ms) + NODE_REST_MS) {
            return false;
        }
        atomic_store(&node->open_until_ms, now_ms);
        return true;
    case BREAKER_OPEN:
        if (now_ms < atomic_load(&node->open_until_ms)) {
            return false;
        }
        return atomic_compare_exchange_strong(
            &node->breaker, &expected, BREAKER_HALF);
    }
    return false;
}

const char *
node_why_silent(struct node *node)
{
    MUST_OBJ(node, NODE_MAGIC);
    switch ((enum node_state)atomic_load(&node->state)) {
    case NODE_REFUSING:
        return "redis-refuses";
    case NODE_UNPROBED:
    case NODE_SILENT:
        return "redis-silent";
    case NODE_TRUSTED:
        break;
    }
    return "redis-minority";
}

void
node_succeeded(struct node *node)
{
    MUST_OBJ(node, NODE_MAGIC);
    if (atomic_load_explicit(&node->failures, memory_order_relaxed) != 0) {
        atomic_store(&node->failures, 0);
    }
    if (atomic_load_explicit(&node->breaker, memory_order_relaxed) !=
        BREAKER_CLOSED) {
        atomic_store(&node->opens, 0);
        atomic_store(&node->is_resting, false);
        atomic_store(&node->breaker, BREAKER_CLOSED);
    }
    if (atomic_load_explicit(&node->is_down, memory_order_relaxed)) {
        atomic_store(&node->is_down, false);
    }
    if (!atomic_load_explicit(&node->is_heard, memory_order_relaxed)) {
        atomic_store(&node->is_heard, true);
    }
}

/* It is tried again a second from now, however long it was to be left alone. */
static void
shorten_rest(struct node *node, int64_t now_ms)
{
    int64_t until_ms = atomic_load(&node->open_until_ms);

    MUST_OBJ(node, NODE_MAGIC);
    while (until_ms > now_ms + NODE_REST_MS &&
           !atomic_compare_exchange_weak(
               &node->open_until_ms, &until_ms, now_ms + NODE_REST_MS)) {
    }
}

void
node_is_there(struct node *node, int64_t now_ms)
{
    MUST_OBJ(node, NODE_MAGIC);
    atomic_store(&node->is_heard, true);
    atomic_store(&node->is_down, false);
    shorten_rest(node, now_ms);
}

void
node_heard(struct node *node)
{
    MUST_OBJ(node, NODE_MAGIC);
    if (atomic_load(&node->breaker) == BREAKER_OPEN &&
        !atomic_load(&node->is_resting)) {
        atomic_store(&node->open_until_ms, 0);
    }
}

static void
node_open(struct node *node, int64_t now_ms)
{
    unsigned opens = atomic_fetch_add(&node->opens, 1);
    int64_t rest_ms = NODE_REST_MS << (opens < 5 ? opens : 5);

    MUST(rest_ms >= NODE_REST_MS);
    rest_ms = rest_ms > NODE_REST_MAX_MS ? NODE_REST_MAX_MS : rest_ms;
    atomic_store(&node->open_until_ms, now_ms + rest_ms);
    atomic_store(&node->breaker, BREAKER_OPEN);
}

bool
node_failed(struct node *node, int64_t now_ms)
{
    MUST_OBJ(node, NODE_MAGIC);
    atomic_store(&node->is_down, true);
    switch ((enum breaker)atomic_load(&node->breaker)) {
    case BREAKER_CLOSED:
        if (atomic_fetch_add(&node->failures, 1) + 1 != NODE_FAILURES_MAX) {
            return false;
        }
        node_open(node, now_ms);
        return true;
    case BREAKER_HALF:
        node_open(node, now_ms);
        return true;
    case BREAKER_OPEN:
        /* Calls sent before it opened; nothing new. */
        return false;
    }
    return false;
}

void
node_rest(struct node *node, int64_t now_ms)
{
    MUST_OBJ(node, NODE_MAGIC);
    atomic_store(&node->is_down, true);
    atomic_store(&node->is_heard, true);
    atomic_store(&node->is_resting, true);
    atomic_store(&node->open_until_ms, now_ms + NODE_REST_MS);
    atomic_store(&node->breaker, BREAKER_OPEN);
}

/* ---- scripts ------------------------------------------------------------ */

static bool
node_is_shut(struct node *node, int64_t now_ms)
{
    switch ((enum breaker)atomic_load_explicit(
        &node->breaker, memory_order_relaxed)) {
    case BREAKER_CLOSED:
        return false;
    case BREAKER_HALF:
        return true;
    case BREAKER_OPEN:
        return now_ms < atomic_load(&node->open_until_ms);
    }
    return false;
}

enum redis_scripts
node_scripts(struct node *node, int64_t now_ms)
{
    int64_t again_ms =
        atomic_load_explicit(&node->scripts_again_ms, memory_order_relaxed);

    MUST_OBJ(node, NODE_MAGIC);
    if (node_is_shut(node, now_ms) || now_ms < again_ms) {
        return REDIS_SCRIPTS_FAIL;
    }
    if (!atomic_load_explicit(&node->runs_no_scripts, memory_order_relaxed)) {
        return REDIS_SCRIPTS_RUN;
    }
    return atomic_compare_exchange_strong(
               &node->scripts_again_ms, &again_ms, now_ms + NODE_SCRIPTS_MS)
               ? REDIS_SCRIPTS_UNSURE
               : REDIS_SCRIPTS_FAIL;
}

bool
node_script_failed(struct node *node, int64_t now_ms, bool is_for_good)
{
    MUST_OBJ(node, NODE_MAGIC);
    atomic_store(&node->scripts_again_ms, now_ms + NODE_SCRIPTS_MS);
    return is_for_good && !atomic_exchange(&node->runs_no_scripts, true);
}

bool
node_script_ran(struct node *node)
{
    MUST_OBJ(node, NODE_MAGIC);
    if (atomic_load_explicit(&node->scripts_again_ms, memory_order_relaxed) ==
        0) {
        return false;
    }
    atomic_store(&node->scripts_again_ms, 0);
    return atomic_exchange(&node->runs_no_scripts, false);
}
