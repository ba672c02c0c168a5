/*
 * The event loop of one thread. Everything here belongs to that thread,
 * except loop_post and loop_stop, which any thread may call.
 *
 * A turn: the kernel says what is ready, callbacks run, posted messages are
 * delivered, then the tasks deferred during the turn run (writes batched
 * per turn, burials of dead objects), until none is left. The clock is read
 * once a turn.
 */
#ifndef NEARSIDE_NET_LOOP_H
#define NEARSIDE_NET_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>

#include "nearside/base/clock.h"
#include "nearside/base/list.h"
#include "nearside/base/rc.h"

struct loop;

struct loop *loop_new(void); /* NULL: no memory or no fds */
void loop_free(struct loop **loop);

/* Runs turns on the calling thread until loop_stop. */
void loop_run(struct loop *loop);

/* One turn that waits at most wait_ms; for tests. */
void loop_turn(struct loop *loop, int64_t wait_ms);

/* Ends loop_run after the current turn. Any thread. */
void loop_stop(struct loop *loop);

/* The turn's time. */
const struct clock *loop_clock(const struct loop *loop);

static inline int64_t
loop_now_ms(const struct loop *loop)
{
    return clock_now_ms(loop_clock(loop));
}

/*
 * A task runs once at the end of the turn in which it was deferred, no
 * matter how often it was. It lives inside its owner's object. A task may
 * defer others (or itself): they run in the same turn, after it.
 */
struct loop_task {
    struct list link;
    void (*run)(void *ctx);
    void *ctx;
};

void loop_task_init(struct loop_task *task, void (*run)(void *), void *ctx);
void loop_defer(struct loop *loop, struct loop_task *task);
void loop_task_cancel(struct loop_task *task);

/*
 * A message to another thread's loop. It lives inside its sender's object,
 * which must stay until the message was delivered. Posting a message that
 * is under way already does nothing: it will be delivered once, and what was
 * written before the post is visible to deliver.
 */
struct loop_message {
    _Atomic(struct loop_message *) next;
    atomic_bool is_posted;
    void (*deliver)(void *ctx);
    void *ctx;
};

void loop_message_init(
    struct loop_message *message, void (*deliver)(void *), void *ctx);

/* False when it was under way already. Any thread. */
bool loop_post(struct loop *loop, struct loop_message *message);

/*
 * Timers: a wheel, 4 ms fine; O(1) to arm and to cancel. Moving a deadline
 * further away costs one store.
 */
struct loop_timer {
    struct list link;
    struct loop *loop;
    int64_t deadline_ms; /* 0: not armed */
    int64_t tick;        /* where on the wheel; never after the deadline */
    void (*fire)(void *ctx);
    void *ctx;
};

void loop_timer_init(struct loop_timer *timer, struct loop *loop,
    void (*fire)(void *), void *ctx);

/* Fires once when loop_now_ms reaches deadline_ms; rearms if armed. */
void loop_timer_arm(struct loop_timer *timer, int64_t deadline_ms);

/* Harmless when not armed. */
void loop_timer_cancel(struct loop_timer *timer);

static inline bool
loop_timer_is_armed(const struct loop_timer *timer)
{
    return timer->deadline_ms != 0;
}

#endif
