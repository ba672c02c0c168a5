/*
 * Timers: one wheel a loop, driven by one libevent timer.
 *
 * A timer stands in a slot that comes no later than its deadline. When the
 * slot comes up and the deadline has moved away meanwhile, the timer is put
 * further on; so pushing a deadline back, which happens with every request,
 * is one store. Cancelling leaves the slot's bit set: a wake-up in vain, at
 * most one a slot and round.
 *
 * A turn fires FIRE_TURN_MAX timers; what else is due waits for the next
 * one, behind whatever sockets are ready: thousands of clients that run out
 * of time together must not hold up the others.
 */
#include <event2/event.h>

#include "net/loop_inside.h"

enum {
    /* Cutting off a client costs some 50 us: 2 ms or so. */
    FIRE_TURN_MAX = 32,
};

static int64_t
tick_after(int64_t ms)
{
    return (ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
}

/* Fires at `tick` if nothing earlier is armed. */
static void
wheel_arm(struct loop *loop, int64_t tick)
{
    struct wheel *w = &loop->wheel;
    int64_t delay_ms = tick * WHEEL_TICK_MS - clock_now_ms(&loop->clock);
    struct timeval tv;

    if (tick >= w->armed_tick) {
        return;
    }
    if (delay_ms < 0) {
        delay_ms = 0;
    }
    tv.tv_sec = delay_ms / 1000;
    tv.tv_usec = delay_ms % 1000 * 1000;
    if (event_add(&w->event, &tv) == 0) {
        w->armed_tick = tick;
    }
}

static void
wheel_place(struct loop *loop, struct loop_timer *timer)
{
    struct wheel *w = &loop->wheel;
    int64_t tick = tick_after(timer->deadline_ms);
    size_t slot;

    if (tick <= w->done_tick) {
        tick = w->done_tick + 1;
    }
    if (tick > w->done_tick + WHEEL_SLOTS - 1) {
        tick = w->done_tick + WHEEL_SLOTS - 1;
    }
    slot = (size_t)tick % WHEEL_SLOTS;
    timer->tick = tick;
    list_push_back(&w->slots[slot], &timer->link);
    w->bits[slot / 64] |= UINT64_C(1) << (slot % 64);
    wheel_arm(loop, tick);
}

/* False: *budget is used up, and the rest stays in the slot. */
static bool
wheel_run_slot(struct loop *loop, int64_t tick, unsigned *budget)
{
    struct wheel *w = &loop->wheel;
    size_t slot = (size_t)tick % WHEEL_SLOTS;
    struct list due;
    struct list *link;

    w->bits[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    list_init(&due);
    list_splice(&due, &w->slots[slot]);
    while (*budget > 0 && (link = list_pop(&due)) != NULL) {
        struct loop_timer *timer = CONTAINER_OF(link, struct loop_timer, link);
        if (timer->deadline_ms > clock_now_ms(&loop->clock)) {
            wheel_place(loop, timer);
            continue;
        }
        MUST(timer->deadline_ms != 0);
        timer->deadline_ms = 0;
        timer->fire(timer->ctx);
        (*budget)--;
    }
    if (list_is_empty(&due)) {
        return true;
    }
    list_splice(&w->slots[slot], &due);
    w->bits[slot / 64] |= UINT64_C(1) << (slot % 64);
    return false;
}

/* The next tick whose slot may hold timers, or INT64_MAX. */
static int64_t
wheel_next(const struct wheel *w)
{
    for (int64_t i = 1; i < WHEEL_SLOTS;) {
        size_t slot = (size_t)(w->done_tick + i) % WHEEL_SLOTS;
        uint64_t word = w->bits[slot / 64] >> (slot % 64);
        if (word != 0) {
            return w->done_tick + i + __builtin_ctzll(word);
        }
        i += 64 - (int64_t)(slot % 64);
    }
    return INT64_MAX;
}

static void
on_wheel(evutil_socket_t fd, short what, void *ctx)
{
    struct loop *loop = OBJ_OF(struct loop, ctx, LOOP_MAGIC);
    struct wheel *w = &loop->wheel;
    unsigned budget = FIRE_TURN_MAX;
    int64_t now_tick;
    int64_t next;

    (void)fd;
    (void)what;
    loop_enter(loop);
    now_tick = clock_now_ms(&loop->clock) / WHEEL_TICK_MS;
    w->armed_tick = INT64_MAX;
    /* After a long stall each slot is looked at once, not once a tick. */
    if (now_tick - w->done_tick > WHEEL_SLOTS) {
        w->done_tick = now_tick - WHEEL_SLOTS;
    }
    while (w->done_tick < now_tick) {
        w->done_tick++;
        if (!wheel_run_slot(loop, w->done_tick, &budget)) {
            w->done_tick--;
            break;
        }
    }
    next = wheel_next(w);
    if (next != INT64_MAX) {
        wheel_arm(loop, next);
    }
}

void
wheel_init(struct loop *loop)
{
    struct wheel *w = &loop->wheel;

    for (size_t i = 0; i < WHEEL_SLOTS; i++) {
        list_init(&w->slots[i]);
    }
    w->done_tick = clock_now_ms(&loop->clock) / WHEEL_TICK_MS;
    w->armed_tick = INT64_MAX;
    event_assign(&w->event, loop->base, -1, 0, on_wheel, loop);
}

void
loop_timer_init(struct loop_timer *timer, struct loop *loop,
    void (*fire)(void *), void *ctx)
{
    MUST_OBJ(loop, LOOP_MAGIC);
    MUST(fire != NULL);
    *timer = (struct loop_timer){.loop = loop, .fire = fire, .ctx = ctx};
    list_init(&timer->link);
}

void
loop_timer_arm(struct loop_timer *timer, int64_t deadline_ms)
{
    int64_t tick = tick_after(deadline_ms);
    bool is_placed = timer->deadline_ms != 0;

    MUST_OBJ(timer->loop, LOOP_MAGIC);
    MUST(deadline_ms > 0);
    timer->deadline_ms = deadline_ms;
    if (is_placed && tick >= timer->tick) {
        return;
    }
    list_remove(&timer->link);
    wheel_place(timer->loop, timer);
}

void
loop_timer_cancel(struct loop_timer *timer)
{
    if (timer->deadline_ms != 0) {
        timer->deadline_ms = 0;
        list_remove(&timer->link);
    }
}
