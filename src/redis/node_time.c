/* Asking one node for its time, and for how long its answer is of use. */
#include "redis/node_time.h"

#include "nearside/base/check.h"

enum {
    /* Of a node that has not answered for so long nothing is known. */
    OLD_MS = 10000,
};

void
node_time_ask(struct node_time *t, struct wire *wire, const struct clock *now)
{
    static const struct slice time[] = {{"TIME", 4}};

    MUST(wire != NULL);
    if (redis_call_is_active(&t->call)) {
        return;
    }
    t->sent_us = clock_now_us(now);
    call_init(&t->call);
    call_set_words(&t->call, ARRAY_LEN(time), time);
    /* A wire that is down says so in on_down. */
    (void)!wire_send(wire, &t->call);
}

enum rc
node_time_take(struct node_time *t, const struct redis_reply *reply,
    const struct clock *now)
{
    enum rc rc =
        time_sample_of(reply, t->sent_us, clock_now_us(now), &t->sample);

    MUST(!redis_call_is_active(&t->call));
    if (rc == RC_OK) {
        MUST(t->sample.start_ms > 0);
        t->heard_ms = clock_now_ms(now);
    }
    return rc;
}

bool
node_time_is_known(const struct node_time *t, const struct clock *now)
{
    MUST(clock_now_ms(now) >= t->heard_ms);
    return t->heard_ms != 0 && clock_now_ms(now) - t->heard_ms < OLD_MS;
}
