/* A message to a loop whose sender may be freed while it is under way. */
#ifndef REDIS_MAILBOX_H
#define REDIS_MAILBOX_H

#include "nearside/base/check.h"
#include "nearside/net/loop.h"

struct mailbox;

/* deliver(ctx) will come on loop after a post. NULL: no memory. */
struct mailbox *mailbox_new(
    struct loop *loop, void (*deliver)(void *), void *ctx);

/* Any thread, but not while or after mailbox_close: the caller's lock. */
void mailbox_post(struct mailbox *mailbox);

/* On the loop's thread: deliver will not come any more. */
void mailbox_close(struct mailbox **mailbox);

#endif
