/* Bells. A message stays until it was delivered, which may be after the end of
   the bell: then it frees it. */
#include "nearside/net/bell.h"

#include <stdlib.h>

#define BELL_MAGIC UINT32_C(0x6e62656c)

struct bell {
    uint32_t magic;
    struct loop *loop;
    struct loop_message message;
    void (*on_ring)(void *ctx); /* NULL: nobody listens any more */
    void *ctx;
};

static void
bell_bury(struct bell *bell)
{
    bell->magic = 0;
    free(bell);
}

static void
on_message(void *ctx)
{
    struct bell *bell = OBJ_OF(struct bell, ctx, BELL_MAGIC);

    if (bell->on_ring != NULL) {
        bell->on_ring(bell->ctx);
    } else {
        bell_bury(bell);
    }
}

struct bell *
bell_new(struct loop *loop, void (*on_ring)(void *ctx), void *ctx)
{
    struct bell *bell = calloc(1, sizeof(*bell));

    MUST(on_ring != NULL);
    if (bell == NULL) {
        return NULL;
    }
    bell->magic = BELL_MAGIC;
    bell->loop = loop;
    bell->on_ring = on_ring;
    bell->ctx = ctx;
    loop_message_init(&bell->message, on_message, bell);
    return bell;
}

void
bell_ring(struct bell *bell)
{
    MUST_OBJ(bell, BELL_MAGIC);
    loop_post(bell->loop, &bell->message);
}

void
bell_free(struct bell **pbell)
{
    struct bell *bell = *pbell;

    if (bell == NULL) {
        return;
    }
    MUST_OBJ(bell, BELL_MAGIC);
    *pbell = NULL;
    bell->on_ring = NULL;
    if (!atomic_load(&bell->message.is_posted)) {
        bell_bury(bell);
    }
}
