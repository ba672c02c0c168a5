/* The inside of a loop, for the files of this room. */
#ifndef NET_LOOP_INSIDE_H
#define NET_LOOP_INSIDE_H

#include <event2/event_struct.h>

#include "nearside/net/loop.h"

#define LOOP_MAGIC UINT32_C(0x6e6c6f6f)

enum {
    WHEEL_TICK_MS = 4,
    WHEEL_SLOTS = 1024, /* times the tick: 4 s; what is later comes round */
    WHEEL_WORDS = WHEEL_SLOTS / 64,
};

struct wheel {
    struct list slots[WHEEL_SLOTS];
    uint64_t bits[WHEEL_WORDS]; /* slots that may hold timers */
    int64_t done_tick;          /* all slots up to here have been looked at */
    int64_t armed_tick;         /* when the event fires; INT64_MAX: never */
    struct event event;
};

struct loop {
    uint32_t magic;
    bool is_clock_fresh;
    atomic_bool is_stopped;
    struct event_base *base;
    struct clock clock;
    struct list tasks;
    _Atomic(struct loop_message *) messages; /* newest first */
    int wake_fd;
    struct event wake_event;
    struct wheel wheel;
};

void wheel_init(struct loop *loop);

/* Every callback that libevent calls begins with this. */
static inline void
loop_enter(struct loop *loop)
{
    MUST_OBJ(loop, LOOP_MAGIC);
    if (!loop->is_clock_fresh) {
        clock_update(&loop->clock);
        loop->is_clock_fresh = true;
    }
}

#endif
