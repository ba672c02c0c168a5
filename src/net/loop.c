/*
 * The loop: libevent waits, this file decides what a turn is.
 *
 * Laws. One thread owns a loop. Only the message queue and the stop flag
 * are touched by others; they are lock-free, and an eventfd wakes the
 * owner when the queue was empty. Callbacks that come from libevent enter
 * by loop_enter, which reads the clock once a turn.
 */
#include "nearside/net/loop.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "net/loop_inside.h"

enum {
    /* Tasks that go on deferring each other get this many rounds, then the
       sockets have their turn. */
    TASK_ROUNDS_MAX = 8,
};

const struct clock *
loop_clock(const struct loop *loop)
{
    return &loop->clock;
}

/* --- messages ----------------------------------------------------------- */

void
loop_message_init(
    struct loop_message *message, void (*deliver)(void *), void *ctx)
{
    MUST(deliver != NULL);
    atomic_init(&message->next, NULL);
    atomic_init(&message->is_posted, false);
    message->deliver = deliver;
    message->ctx = ctx;
}

static void
loop_wake(struct loop *loop)
{
    uint64_t one = 1;
    ssize_t n = write(loop->wake_fd, &one, sizeof(one));

    /* EAGAIN means that the counter is full: awake it is. */
    (void)n;
}

bool
loop_post(struct loop *loop, struct loop_message *message)
{
    struct loop_message *newest;

    MUST_OBJ(loop, LOOP_MAGIC);
    MUST(message->deliver != NULL);
    if (atomic_exchange(&message->is_posted, true)) {
        return false;
    }
    newest = atomic_load(&loop->messages);
    do {
        atomic_store_explicit(&message->next, newest, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak(&loop->messages, &newest, message));
    if (newest == NULL) {
        loop_wake(loop);
    }
    return true;
}

/* The queue is a stack; turned over, the oldest message comes first. */
static struct loop_message *
messages_take(struct loop *loop)
{
    struct loop_message *stack = atomic_exchange(&loop->messages, NULL);
    struct loop_message *oldest = NULL;

    while (stack != NULL) {
        struct loop_message *next =
            atomic_load_explicit(&stack->next, memory_order_relaxed);
        atomic_store_explicit(&stack->next, oldest, memory_order_relaxed);
        oldest = stack;
        stack = next;
    }
    return oldest;
}

static void
messages_deliver(struct loop *loop)
{
    struct loop_message *message = messages_take(loop);

    while (message != NULL) {
        struct loop_message *next =
            atomic_load_explicit(&message->next, memory_order_relaxed);
        /* From here the message may be posted again, or freed by deliver. */
        atomic_exchange(&message->is_posted, false);
        message->deliver(message->ctx);
        message = next;
    }
}

static void
on_wake(evutil_socket_t fd, short what, void *ctx)
{
    struct loop *loop = OBJ_OF(struct loop, ctx, LOOP_MAGIC);
    uint64_t count;
    ssize_t n = read(fd, &count, sizeof(count));

    (void)n;
    (void)what;
    loop_enter(loop);
    messages_deliver(loop);
}

/* --- tasks ------------------------------------------------------------- */

void
loop_task_init(struct loop_task *task, void (*run)(void *), void *ctx)
{
    MUST(run != NULL);
    list_init(&task->link);
    task->run = run;
    task->ctx = ctx;
}

void
loop_defer(struct loop *loop, struct loop_task *task)
{
    MUST_OBJ(loop, LOOP_MAGIC);
    MUST(task->run != NULL);
    if (!list_is_linked(&task->link)) {
        list_push_back(&loop->tasks, &task->link);
    }
}

void
loop_task_cancel(struct loop_task *task)
{
    list_remove(&task->link);
}

static void
tasks_run(struct loop *loop)
{
    for (int round = 0; round < TASK_ROUNDS_MAX; round++) {
        struct list now;
        struct list *link;

        if (list_is_empty(&loop->tasks)) {
            return;
        }
        list_init(&now);
        list_splice(&now, &loop->tasks);
        while ((link = list_pop(&now)) != NULL) {
            struct loop_task *task = CONTAINER_OF(link, struct loop_task, link);
            task->run(task->ctx);
        }
    }
}

/* --- life -------------------------------------------------------------- */

static bool
loop_open(struct loop *loop)
{
    struct event_config *config = event_config_new();

    if (config == NULL) {
        return false;
    }
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    if (loop->base == NULL) {
        return false;
    }
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->wake_fd < 0) {
        return false;
    }
    event_assign(&loop->wake_event, loop->base, loop->wake_fd,
        EV_READ | EV_PERSIST, on_wake, loop);
    return event_add(&loop->wake_event, NULL) == 0;
}

struct loop *
loop_new(void)
{
    struct loop *loop = calloc(1, sizeof(*loop));

    if (loop == NULL) {
        return NULL;
    }
    loop->magic = LOOP_MAGIC;
    loop->wake_fd = -1;
    list_init(&loop->tasks);
    clock_init(&loop->clock);
    if (!loop_open(loop)) {
        loop_free(&loop);
        return NULL;
    }
    wheel_init(loop);
    return loop;
}

void
loop_free(struct loop **ploop)
{
    struct loop *loop = *ploop;

    if (loop == NULL) {
        return;
    }
    MUST_OBJ(loop, LOOP_MAGIC);
    /* Whoever sent a message waits for it to be delivered, and tasks may
       send some. They find the loop where it was. */
    for (int i = 0; i < TASK_ROUNDS_MAX; i++) {
        messages_deliver(loop);
        tasks_run(loop);
    }
    *ploop = NULL;
    if (loop->base != NULL) {
        if (event_initialized(&loop->wheel.event)) {
            event_del(&loop->wheel.event);
        }
        if (event_initialized(&loop->wake_event)) {
            event_del(&loop->wake_event);
        }
        event_base_free(loop->base);
    }
    if (loop->wake_fd >= 0) {
        close(loop->wake_fd);
    }
    loop->magic = 0;
    free(loop);
}

/* --- turns ------------------------------------------------------------- */

static void
turn(struct loop *loop)
{
    int flags = EVLOOP_ONCE;

    if (!list_is_empty(&loop->tasks)) {
        flags |= EVLOOP_NONBLOCK;
    }
    loop->is_clock_fresh = false;
    event_base_loop(loop->base, flags);
    loop_enter(loop);
    tasks_run(loop);
}

void
loop_run(struct loop *loop)
{
    MUST_OBJ(loop, LOOP_MAGIC);
    while (!atomic_load_explicit(&loop->is_stopped, memory_order_acquire)) {
        turn(loop);
    }
}

void
loop_turn(struct loop *loop, int64_t wait_ms)
{
    struct timeval tv = {
        .tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};

    MUST_OBJ(loop, LOOP_MAGIC);
    event_base_loopexit(loop->base, &tv);
    turn(loop);
}

void
loop_stop(struct loop *loop)
{
    MUST_OBJ(loop, LOOP_MAGIC);
    atomic_store_explicit(&loop->is_stopped, true, memory_order_release);
    loop_wake(loop);
}
