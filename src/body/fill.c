/* A fill's life, and what anybody may ask it (fill_inside.h: its laws). */
#include "body/fill_inside.h"

#include <stdlib.h>

static void
on_room(void *ctx)
{
    struct fill *fill = OBJ_OF(struct fill, ctx, FILL_MAGIC);

    /* The owner may have finished while the message was under way. */
    if (fill_state(fill) == FILL_OPEN) {
        fill->opts.on_room(fill->opts.ctx);
    }
    fill_unref(&fill); /* the message's */
}

struct fill *
fill_new(struct loop *owner, const struct response_head *head,
    const struct fill_opts *opts)
{
    struct fill *fill =
        malloc(sizeof(*fill) + head->private_fields.len + head->fields.len);

    MUST(opts->window > 0);
    MUST(opts->held_max > 0);
    if (fill == NULL) {
        return NULL;
    }
    *fill = (struct fill){.magic = FILL_MAGIC,
        .refs = 1,
        .owner = owner,
        .head = *head,
        .opts = *opts,
        .state = FILL_OPEN,
        .is_kept = opts->is_kept};
    fill->head.private_fields.ptr = fill->text;
    fill->head.fields.ptr = slice_put(fill->text, head->private_fields);
    slice_put(fill->text + head->private_fields.len, head->fields);
    MUST(pthread_mutex_init(&fill->lock, NULL) == 0);
    list_init(&fill->sides);
    loop_message_init(&fill->room, on_room, fill);
    return fill;
}

struct fill *
fill_ref(struct fill *fill)
{
    MUST_OBJ(fill, FILL_MAGIC);
    atomic_fetch_add_explicit(&fill->refs, 1, memory_order_relaxed);
    return fill;
}

void
fill_free_first(struct fill *fill)
{
    struct fill_chunk *chunk = fill->first;
    struct fill_chunk *next = atomic_load(&chunk->next);

    MUST(next == NULL || next->start == chunk->start + chunk->cap);
    if (fill->opts.credit != NULL) {
        MUST(atomic_load(&fill->opts.credit->held) >= chunk->cap);
        atomic_fetch_sub(&fill->opts.credit->held, chunk->cap);
    }
    free(chunk);
    fill->first = next;
}

static void
fill_free(struct fill *fill)
{
    struct list *link;

    while (fill->first != NULL) {
        fill_free_first(fill);
    }
    while ((link = list_pop(&fill->sides)) != NULL) {
        struct fill_side *side = CONTAINER_OF(link, struct fill_side, link);
        MUST_OBJ(side, SIDE_MAGIC);
        MUST(side->readers_len == 0);
        MUST(!list_is_linked(&side->task.link));
        side->magic = 0;
        if (side != &fill->owner_side) {
            free(side);
        }
    }
    pthread_mutex_destroy(&fill->lock);
    fill->magic = 0;
    free(fill);
}

void
fill_unref(struct fill **pfill)
{
    struct fill *fill = *pfill;

    if (fill == NULL) {
        return;
    }
    MUST_OBJ(fill, FILL_MAGIC);
    *pfill = NULL;
    if (atomic_fetch_sub_explicit(&fill->refs, 1, memory_order_acq_rel) == 1) {
        fill_free(fill);
    }
}

uint32_t
fill_sharers(const struct fill *fill)
{
    MUST_OBJ(fill, FILL_MAGIC);
    return atomic_load_explicit(&fill->refs, memory_order_relaxed);
}

const struct response_head *
fill_head(const struct fill *fill)
{
    MUST_OBJ(fill, FILL_MAGIC);
    return &fill->head;
}

enum fill_state
fill_state(const struct fill *fill)
{
    MUST_OBJ(fill, FILL_MAGIC);
    return atomic_load_explicit(&fill->state, memory_order_acquire);
}

enum origin_error
fill_error(const struct fill *fill)
{
    MUST(fill_state(fill) == FILL_FAILED);
    return atomic_load(&((struct fill *)(uintptr_t)fill)->error);
}

uint64_t
fill_len(const struct fill *fill)
{
    MUST_OBJ(fill, FILL_MAGIC);
    return len_of(fill);
}
