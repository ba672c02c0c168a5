/*
 * Sides: what stands between a fill's owner and its readers. Readers on a loop
 * say together how far they have come, and are woken together.
 */
#include "body/fill_inside.h"

#include <stdlib.h>

/* Posts a message that holds a reference until it is delivered. */
static void
post(struct fill *fill, struct loop *loop, struct loop_message *message)
{
    fill_ref(fill);
    if (!loop_post(loop, message)) {
        fill_unref(&fill); /* it is under way, and has one */
    }
}

/* --- room for the owner ------------------------------------------------ */

struct fill_span
fill_span_locked(const struct fill *fill)
{
    struct fill_span span = {.slowest = UINT64_MAX};

    LIST_EACH (link, &fill->sides) {
        struct fill_side *side = CONTAINER_OF(link, struct fill_side, link);
        uint64_t slowest = atomic_load(&side->slowest);
        uint64_t fastest = atomic_load(&side->fastest);
        span.slowest = slowest < span.slowest ? slowest : span.slowest;
        span.fastest = fastest > span.fastest ? fastest : span.fastest;
    }
    return span;
}

struct fill_span
fill_span(struct fill *fill)
{
    struct fill_span span;

    MUST_OBJ(fill, FILL_MAGIC);
    pthread_mutex_lock(&fill->lock);
    span = fill_span_locked(fill);
    pthread_mutex_unlock(&fill->lock);
    return span;
}

/*
 * Chunks that could be freed count as freed. The length is looked at last: it
 * is never behind an offset that was seen before.
 */
size_t
fill_room(struct fill *fill)
{
    bool is_kept = atomic_load(&fill->is_kept);
    struct fill_span span = fill_span(fill);
    uint64_t len = len_of(fill);
    uint64_t ahead = span.slowest == UINT64_MAX ? 0 : len - span.fastest;
    uint64_t held = is_kept ? len : span.slowest < len ? len - span.slowest : 0;
    uint64_t room;

    MUST(span.fastest <= len);
    if (ahead >= fill->opts.window || held >= fill->opts.held_max) {
        return 0;
    }
    room = fill->opts.held_max - held;
    ahead = fill->opts.window - ahead;
    return (size_t)(ahead < room ? ahead : room);
}

/* Half a window is enough: so the owner and its readers do not wake each other
   for every few bytes. */
void
fill_offer_room(struct fill *fill)
{
    if (atomic_load(&fill->is_stalled) &&
        fill_room(fill) >= fill->opts.window / 2 &&
        atomic_exchange(&fill->is_stalled, false)) {
        post(fill, fill->owner, &fill->room);
    }
}

/* --- the pass over a side's readers ------------------------------------ */

void
fill_side_publish(struct fill_side *side)
{
    uint64_t slowest = UINT64_MAX;
    uint64_t fastest = 0;

    MUST_OBJ(side, SIDE_MAGIC);
    LIST_EACH (link, &side->readers) {
        uint64_t offset = CONTAINER_OF(link, struct fill_reader, link)->offset;
        slowest = offset < slowest ? offset : slowest;
        fastest = offset > fastest ? offset : fastest;
    }
    atomic_store(&side->fastest, fastest);
    atomic_store(&side->slowest, slowest);
}

/*
 * While the owner waits, a reader below this offset alone holds the chunks
 * that others wait for. So it is cut. 0: nobody is.
 */
static uint64_t
cut_offset(struct fill_side *side)
{
    struct fill *fill = side->fill;
    uint64_t far = fill->opts.held_max / 2;
    uint64_t fastest;

    if (!atomic_load(&fill->is_stalled) || atomic_load(&fill->is_kept)) {
        return 0;
    }
    fill_side_publish(side); /* the fastest of before may have left */
    fastest = fill_span(fill).fastest;
    return fastest > far ? fastest - far : 0;
}

/* Calls the reader if it waits for what there is now, or is cut. */
static void
reader_wake(struct fill_reader *reader, uint64_t cut)
{
    MUST_OBJ(reader, READER_MAGIC);
    if (reader->offset < cut && !reader->is_cut) {
        MUST(!atomic_load(&reader->fill->is_kept));
        reader->is_cut = true;
        reader->is_awaiting = reader->on_wake != NULL;
    }
    if (reader->is_awaiting && reader_has_news(reader)) {
        reader->is_awaiting = false;
        reader->on_wake(reader->ctx);
    }
}

static void
side_pass(struct fill_side *side)
{
    struct fill *fill = fill_ref(side->fill);
    uint64_t cut = cut_offset(side);
    struct list now;
    struct list *link;

    /* Each reader is back on the list before it is called: it may leave, or
       ask to be woken again, and the walk does not mind. */
    list_init(&now);
    list_splice(&now, &side->readers);
    while ((link = list_pop(&now)) != NULL) {
        list_push_back(&side->readers, link);
        reader_wake(CONTAINER_OF(link, struct fill_reader, link), cut);
    }
    fill_side_publish(side);
    fill_offer_room(fill);
    fill_unref(&fill);
}

static void
on_side_task(void *ctx)
{
    side_pass(OBJ_OF(struct fill_side, ctx, SIDE_MAGIC));
}

static void
on_side_message(void *ctx)
{
    struct fill_side *side = OBJ_OF(struct fill_side, ctx, SIDE_MAGIC);
    struct fill *fill = side->fill;

    side_pass(side);
    fill_unref(&fill); /* the message's */
}

void
fill_wake(struct fill *fill, struct loop *here)
{
    pthread_mutex_lock(&fill->lock);
    LIST_EACH (link, &fill->sides) {
        struct fill_side *side = CONTAINER_OF(link, struct fill_side, link);
        MUST_OBJ(side, SIDE_MAGIC);
        if (atomic_load(&side->slowest) == UINT64_MAX) {
            continue; /* nobody reads there */
        }
        if (side->loop == here) {
            loop_defer(here, &side->task);
        } else {
            post(fill, side->loop, &side->message);
        }
    }
    pthread_mutex_unlock(&fill->lock);
}

struct fill_side *
fill_side_of(struct fill *fill, struct loop *loop)
{
    struct fill_side *side;

    LIST_EACH (link, &fill->sides) {
        side = CONTAINER_OF(link, struct fill_side, link);
        if (side->loop == loop) {
            return side;
        }
    }
    side = loop == fill->owner ? &fill->owner_side : malloc(sizeof(*side));
    if (side == NULL) {
        return NULL;
    }
    *side = (struct fill_side){
        .magic = SIDE_MAGIC, .fill = fill, .loop = loop, .slowest = UINT64_MAX};
    list_init(&side->readers);
    loop_task_init(&side->task, on_side_task, side);
    loop_message_init(&side->message, on_side_message, side);
    list_push_back(&fill->sides, &side->link);
    return side;
}
