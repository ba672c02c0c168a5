/*
 * What a server says over a connection on which it tells of changes (Redis
 * documentation, "Client-side caching", over RESP2). Pure.
 */
#ifndef REDIS_TRACKING_H
#define REDIS_TRACKING_H

#include "nearside/redis/redis.h"

/* The channel on which it tells. */
#define TRACKING_CHANNEL SLICE("__redis__:invalidate")

enum tracking_message {
    TRACKING_SUBSCRIBED, /* it tells from now on */
    TRACKING_PONG,       /* all that was changed before the PING was told */
    TRACKING_KEYS,       /* these were changed */
    TRACKING_ALL,        /* all were, as by FLUSHALL */
    TRACKING_BAD,        /* nothing that a server says there */
};

/* TRACKING_KEYS: the keys are the elements of the third element, all of them
   strings. */
enum tracking_message tracking_read(const struct redis_reply *reply);

/* The reply to CLIENT ID; 0: it is none. */
int64_t tracking_id(const struct redis_reply *reply);

/* By the reply to CLIENT LIST ID: does the server know that it has to tell that
   connection of all keys, over the connection itself? True as well when it does
   not say: older servers, and restricted users. */
bool tracking_is_on(const struct redis_reply *reply, int64_t id);

#endif
