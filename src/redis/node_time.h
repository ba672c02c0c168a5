/* One node's clock, as it says itself when it is asked by TIME. */
#ifndef REDIS_NODE_TIME_H
#define REDIS_NODE_TIME_H

#include "redis/time.h"
#include "redis/wire.h"

/* Zeroed at first. */
struct node_time {
    struct redis_call call;
    int64_t sent_us;  /* monotonic: of the call */
    int64_t heard_ms; /* monotonic: of the sample */
    struct time_sample sample;
};

/* Asks, unless it is asked already. The wire's on_end gets the call. */
void node_time_ask(
    struct node_time *t, struct wire *wire, const struct clock *now);

/* The reply to that. RC_BAD: the server does not tell us. */
enum rc node_time_take(struct node_time *t, const struct redis_reply *reply,
    const struct clock *now) RC_MUST_CHECK;

/* Is there a sample that is not too old? */
bool node_time_is_known(const struct node_time *t, const struct clock *now);

#endif
