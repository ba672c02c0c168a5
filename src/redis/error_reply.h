/* What an error reply leads to. */
#ifndef REDIS_ERROR_REPLY_H
#define REDIS_ERROR_REPLY_H

#include "redis/dispatch.h"

/* True: the call, which is on nothing now, goes on. False: its caller has to
   deal with the error. */
bool error_reply_is_dealt_with(struct redis_client *c, struct redis_call *call,
    struct contact *contact, struct slice text);

#endif
