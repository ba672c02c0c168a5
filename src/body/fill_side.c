/*
 * Sides: what stands between a fill's owner and its readers. Readers on a loop
 * say together how far they have come, and are woken together. What they have
 * all read is freed.
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

static bool
has_credit(const struct fill *fill)
{
    const struct fill_opts *opts = &fill->opts;

    return opts->credit != NULL &&
           atomic_load(&opts->credit->held) < opts->credit_max;
}

static uint64_t
left_of(uint64_t max, uint64_t used)
{
    return used < max ? max - used : 0;
}

/* What the slowest reader still needs. The length is looked at last: it is
   never behind an offset that was seen before. */
static uint64_t
behind(const struct fill *fill, const struct fill_span *span)
{
    uint64_t len = len_of(fill);

    return span->slowest < len ? len - span->slowest : 0;
}

size_t
fill_room(struct fill *fill)
{
    const struct fill_opts *opts = &fill->opts;
    bool is_kept = atomic_load(&fill->is_kept);
    bool is_lent = has_credit(fill);
    struct fill_span span = fill_span(fill);
    uint64_t held = behind(fill, &span);
    uint64_t ahead = held == 0 ? 0 : len_of(fill) - span.fastest;
    uint64_t room = opts->window + (is_kept && is_lent ? opts->ahead_max : 0);

    room = left_of(room, ahead);
    if (!is_kept && !is_lent && left_of(opts->held_max, held) < room) {
        room = left_of(opts->held_max, held);
    }
    return (size_t)room;
}

bool
fill_waits_for_slowest(struct fill *fill)
{
    struct fill_span span = fill_span(fill);

    MUST_OBJ(fill, FILL_MAGIC);
    return atomic_load(&fill->is_stalled) && !atomic_load(&fill->is_kept) &&
           !has_credit(fill) && behind(fill, &span) >= fill->opts.held_max;
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

/* --- chunks ------------------------------------------------------------ */

void
fill_release(struct fill *fill)
{
    uint64_t needed;

    MUST_OBJ(fill, FILL_MAGIC);
    if (atomic_load(&fill->is_kept)) {
        return;
    }
    /* Who joins now needs the first chunk, so nobody does meanwhile. */
    pthread_mutex_lock(&fill->lock);
    needed = fill_span_locked(fill).slowest;
    /* The last chunk stays for the owner. A reader at the very end of a chunk
       may still stand on it, hence the strict comparison. */
    while (fill->first != fill->last &&
           fill->first->start + fill->first->cap < needed) {
        fill_free_first(fill);
    }
    pthread_mutex_unlock(&fill->lock);
}

void
fill_settle(struct fill *fill)
{
    if (fill_state(fill) == FILL_OPEN) {
        if (atomic_load(&fill->is_stalled)) {
            fill_release(fill);
            fill_offer_room(fill);
        }
    } else if (fill->last != NULL && fill->last->start > 0) {
        /* It is complete, so `last` stays as it is. As a rule there is one
           chunk, and no lock to pay for. */
        fill_release(fill);
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

/* Calls the reader if it waits for what there is now. */
static void
reader_wake(struct fill_reader *reader)
{
    MUST_OBJ(reader, READER_MAGIC);
    if (reader->is_awaiting && reader_has_news(reader)) {
        reader->is_awaiting = false;
        reader->on_wake(reader->ctx);
    }
}

static void
side_pass(struct fill_side *side)
{
    struct fill *fill = fill_ref(side->fill);
    struct list now;
    struct list *link;

    /* Each reader is back on the list before it is called: it may leave, or
       ask to be woken again, and the walk does not mind. */
    list_init(&now);
    list_splice(&now, &side->readers);
    while ((link = list_pop(&now)) != NULL) {
        list_push_back(&side->readers, link);
        reader_wake(CONTAINER_OF(link, struct fill_reader, link));
    }
    fill_side_publish(side);
    fill_settle(fill);
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
