/*
 * A mailbox lives until its last message was delivered: a message under way
 * cannot be called back, so closing cuts the connection to the owner and
 * leaves the burial to the delivery.
 */
#include "redis/mailbox.h"

#include <stdlib.h>

enum {
    MAILBOX_MAGIC = 0x4d41494c,
};

struct mailbox {
    uint32_t magic;
    struct loop_message message;
    struct loop *loop;
    void (*deliver)(void *ctx); /* NULL: closed */
    void *ctx;
};

static void
on_deliver(void *ctx)
{
    struct mailbox *mailbox = OBJ_OF(struct mailbox, ctx, MAILBOX_MAGIC);

    if (mailbox->deliver == NULL) {
        mailbox->magic = 0;
        free(mailbox);
        return;
    }
    mailbox->deliver(mailbox->ctx);
}

struct mailbox *
mailbox_new(struct loop *loop, void (*deliver)(void *), void *ctx)
{
    struct mailbox *mailbox = calloc(1, sizeof(*mailbox));

    MUST(deliver != NULL);
    if (mailbox == NULL) {
        return NULL;
    }
    mailbox->magic = MAILBOX_MAGIC;
    loop_message_init(&mailbox->message, on_deliver, mailbox);
    mailbox->loop = loop;
    mailbox->deliver = deliver;
    mailbox->ctx = ctx;
    return mailbox;
}

void
mailbox_post(struct mailbox *mailbox)
{
    MUST_OBJ(mailbox, MAILBOX_MAGIC);
    MUST(mailbox->deliver != NULL);
    (void)loop_post(mailbox->loop, &mailbox->message);
}

void
mailbox_close(struct mailbox **pmailbox)
{
    struct mailbox *mailbox = *pmailbox;

    if (mailbox == NULL) {
        return;
    }
    MUST_OBJ(mailbox, MAILBOX_MAGIC);
    *pmailbox = NULL;
    if (atomic_load(&mailbox->message.is_posted)) {
        mailbox->deliver = NULL;
        return;
    }
    mailbox->magic = 0;
    free(mailbox);
}
