/*
 * Reaching a node. Each try looks the name up anew, since another server may
 * answer to it by now. The waits between tries double and are jittered from
 * their whole length, so that a fleet does not come back as one.
 */
#include "redis/reach.h"

enum {
    /* What is on the way at most, so that a link that large values fill does
       not hold the small ones up for longer: 10 ms at 100 Mbit/s. And what has
       been written has gone then, or nearly so. */
    BULK_BUFFER = 128 * 1024,
    WAIT_MIN_MS = 50,
    WAIT_MAX_MS = 5000,
    USER_TIMEOUT_MS = 3000,
    HURRY_MS = 500,
};

static void
reach_end(struct reach *r, enum rc rc, struct conn *own_conn, const char *why)
{
    MUST(r->state != REACH_IDLE);
    MUST((rc == RC_OK) == (own_conn != NULL));
    r->state = REACH_IDLE;
    addresses_unref(&r->found);
    r->on_end(r->ctx, rc, own_conn, why);
}

static void
dial_next(struct reach *r)
{
    const struct dial_opts opts = {
        .timeout_ms = r->timeout_ms,
        .user_timeout_ms = USER_TIMEOUT_MS,
        .buffer = r->is_bulk ? BULK_BUFFER : 0,
    };
    struct address to;

    MUST(r->found_next < r->found->count);
    r->state = REACH_DIALLING;
    to = r->found->items[r->found_next++];
    address_set_port(&to, r->node->port);
    dial_start(&r->dial, r->loop, &to, &opts);
}

static void
on_dialled(void *ctx, enum rc rc, struct conn *own_conn)
{
    struct reach *r = OBJ_OF(struct reach, ctx, REACH_MAGIC);

    MUST(r->state == REACH_DIALLING);
    if (rc != RC_OK && r->found_next < r->found->count) {
        dial_next(r);
        return;
    }
    reach_end(r, rc, own_conn, REACH_FAILED_TEXT);
}

static void
on_resolved(void *ctx, const struct resolve_answer *answer)
{
    struct reach *r = OBJ_OF(struct reach, ctx, REACH_MAGIC);

    MUST(r->state == REACH_RESOLVING);
    r->resolve = NULL;
    if (answer->rc != RC_OK) {
        reach_end(r, answer->rc, NULL, "name resolution failed");
        return;
    }
    r->found = addresses_ref(answer->addresses);
    dial_next(r);
}

/* Numbers need no resolver. */
void
reach_begin(struct reach *r)
{
    struct slice host = slice_of_str(r->node->host);
    struct address fixed;
    bool is_fixed = address_of(host, r->node->port, &fixed) == RC_OK;

    MUST_OBJ(r, REACH_MAGIC);
    MUST(r->state == REACH_IDLE);
    MUST(r->found == NULL);
    r->begun_ms = loop_now_ms(r->loop);
    r->found_next = 0;
    r->state = REACH_RESOLVING;
    if (is_fixed) {
        r->found = addresses_new(&fixed, 1);
    } else {
        r->resolve = resolve_start(r->resolver, r->loop, host, on_resolved, r);
    }
    if (r->found != NULL) {
        dial_next(r);
    } else if (r->resolve == NULL) {
        reach_end(r, RC_NOMEM, NULL, rc_text(RC_NOMEM));
    }
}

static void
on_waited(void *ctx)
{
    struct reach *r = OBJ_OF(struct reach, ctx, REACH_MAGIC);

    MUST(r->state == REACH_WAITING);
    r->state = REACH_IDLE;
    reach_begin(r);
}

void
reach_begin_later(struct reach *r)
{
    unsigned shift = ++r->failures < 7 ? r->failures : 7;
    int64_t most_ms = (int64_t)WAIT_MIN_MS << shift;

    MUST_OBJ(r, REACH_MAGIC);
    MUST(r->state == REACH_IDLE);
    most_ms = most_ms > WAIT_MAX_MS ? WAIT_MAX_MS : most_ms;
    r->state = REACH_WAITING;
    /* A millisecond at least, so that it is a wait. */
    loop_timer_arm(
        &r->wait, loop_now_ms(r->loop) + 1 +
                      (int64_t)random_below(&r->random, (uint64_t)most_ms));
}

void
reach_hurry(struct reach *r)
{
    int64_t now_ms = loop_now_ms(r->loop);
    int64_t due_ms = r->begun_ms + HURRY_MS;

    MUST_OBJ(r, REACH_MAGIC);
    if (r->state == REACH_WAITING && due_ms < r->wait.deadline_ms) {
        loop_timer_arm(&r->wait, due_ms > now_ms ? due_ms : now_ms + 1);
    }
}

void
reach_cancel(struct reach *r)
{
    MUST_OBJ(r, REACH_MAGIC);
    resolve_cancel(&r->resolve);
    dial_cancel(&r->dial);
    loop_timer_cancel(&r->wait);
    addresses_unref(&r->found);
    r->state = REACH_IDLE;
}

void
reach_init(struct reach *r)
{
    MUST(r->node != NULL);
    MUST(r->on_end != NULL);
    r->magic = REACH_MAGIC;
    r->state = REACH_IDLE;
    r->dial.on_done = on_dialled;
    r->dial.ctx = r;
    loop_timer_init(&r->wait, r->loop, on_waited, r);
    random_seed(&r->random);
}
