/*
 * A reader of a fill. All of this runs on the reader's loop; it meets the owner
 * in the published length, and in its side's `slowest` and `fastest`.
 */
#include "body/fill_inside.h"

enum rc
fill_join(struct fill *fill, struct loop *loop, struct fill_reader *reader)
{
    struct fill_side *side = NULL;
    enum rc rc = RC_MISS;

    MUST_OBJ(fill, FILL_MAGIC);
    MUST(reader->fill == NULL);
    pthread_mutex_lock(&fill->lock);
    if (fill->first == NULL || fill->first->start == 0) {
        side = fill_side_of(fill, loop);
        rc = side == NULL ? RC_NOMEM : RC_OK;
    }
    if (rc == RC_OK) {
        atomic_store(&side->slowest, 0);
    }
    pthread_mutex_unlock(&fill->lock);
    if (rc != RC_OK) {
        return rc;
    }
    *reader = (struct fill_reader){
        .magic = READER_MAGIC,
        .fill = fill_ref(fill),
        .side = side,
        .on_wake = reader->on_wake,
        .ctx = reader->ctx,
    };
    list_push_back(&side->readers, &reader->link);
    side->readers_len++;
    return RC_OK;
}

void
fill_leave(struct fill_reader *reader)
{
    struct fill *fill = reader->fill;
    struct fill_side *side = reader->side;

    if (fill == NULL) {
        return;
    }
    MUST_OBJ(reader, READER_MAGIC);
    MUST(side->readers_len > 0);
    list_remove(&reader->link);
    side->readers_len--;
    reader->magic = 0;
    reader->fill = NULL;
    reader->side = NULL;
    if (side->readers_len == 0) {
        loop_task_cancel(&side->task);
        fill_side_publish(side);
        fill_settle(fill);
    } else if (fill_state(fill) == FILL_OPEN) {
        /* A pass may be under way around this call. So the next one says where
           the others are. */
        loop_defer(side->loop, &side->task);
    }
    fill_unref(&fill);
}

uint64_t
fill_left(const struct fill_reader *reader)
{
    MUST_OBJ(reader, READER_MAGIC);
    return len_of(reader->fill) - reader->offset;
}

uint64_t
fill_due(const struct fill_reader *reader)
{
    const struct response_head *head = fill_head(reader->fill);

    MUST_OBJ(reader, READER_MAGIC);
    if (!atomic_load(&reader->fill->is_kept)) {
        return 0;
    }
    if (!head->has_length || head->length < reader->offset ||
        fill_state(reader->fill) != FILL_OPEN) {
        return fill_left(reader);
    }
    return head->length - reader->offset;
}

int
fill_peek(struct fill_reader *reader, struct iovec *iov, int iov_max)
{
    struct fill *fill = reader->fill;
    uint64_t len = len_of(fill);
    uint64_t at = reader->offset;
    struct fill_chunk *chunk;
    int count = 0;

    MUST_OBJ(reader, READER_MAGIC);
    if (at >= len) {
        return 0;
    }
    if (reader->chunk == NULL) {
        /* The first is still there: none is freed before this reader moves. */
        pthread_mutex_lock(&fill->lock);
        reader->chunk = fill->first;
        pthread_mutex_unlock(&fill->lock);
        MUST(reader->chunk->start == 0);
    }
    chunk = reader->chunk;
    while (count < iov_max && at < len) {
        uint64_t end = chunk->start + chunk->cap;
        uint64_t stop = end < len ? end : len;
        if (at < stop) {
            iov[count].iov_base = chunk->data + (at - chunk->start);
            iov[count].iov_len = (size_t)(stop - at);
            count++;
            at = stop;
        }
        if (at == end && at < len) {
            chunk = atomic_load_explicit(&chunk->next, memory_order_acquire);
        }
    }
    return count;
}

/* Steps off the chunks that are done; at the very end of the last one the
   reader stays. True: it stands on another one now. */
static bool
reader_step(struct fill_reader *reader)
{
    const struct fill_chunk *from = reader->chunk;
    struct fill_chunk *next = reader->chunk;

    MUST(next != NULL);
    while (next != NULL) {
        reader->chunk = next;
        next = reader->offset < next->start + next->cap
                   ? NULL
                   : atomic_load_explicit(&next->next, memory_order_acquire);
    }
    return reader->chunk != from;
}

/* The owner is at rest, and this reader has come further. */
static void
reader_tell(struct fill_reader *reader)
{
    struct fill_side *side = reader->side;

    MUST_OBJ(side, SIDE_MAGIC);
    if (side->readers_len > 1) {
        loop_defer(side->loop, &side->task);
    } else {
        fill_settle(reader->fill);
    }
}

void
fill_advance(struct fill_reader *reader, uint64_t n)
{
    struct fill *fill = reader->fill;
    struct fill_side *side = reader->side;
    bool has_stepped;

    MUST_OBJ(reader, READER_MAGIC);
    MUST(n <= fill_left(reader));
    reader->offset += n;
    /* Step first, tell then: what lies behind the told offset may go. */
    has_stepped = reader_step(reader);
    if (reader->offset > atomic_load(&side->fastest)) {
        atomic_store(&side->fastest, reader->offset);
    }
    if (side->readers_len == 1) {
        atomic_store(&side->slowest, reader->offset);
    }
    if (atomic_load(&fill->is_stalled) ||
        (has_stepped && fill_state(fill) != FILL_OPEN &&
            !atomic_load(&fill->is_kept))) {
        reader_tell(reader);
    }
}

void
fill_await(struct fill_reader *reader)
{
    MUST_OBJ(reader, READER_MAGIC);
    MUST(reader->on_wake != NULL);
    reader->is_awaiting = true;
    /* What came between the last look and now has woken nobody. */
    if (reader_has_news(reader)) {
        loop_defer(reader->side->loop, &reader->side->task);
    }
}
