/*
 * The owner of a fill: it appends while the readers leave room. All of this
 * runs on the owner's loop.
 */
#include "body/fill_inside.h"

#include <stdlib.h>

enum {
    /* 16 KiB: four pages less the head, and one writev carries several. */
    CHUNK_SIZE_MAX = 16384 - 64,
};

/* How large the next chunk is. A body of known length that fits gets one of
   just that size. */
static size_t
chunk_cap(const struct fill *fill, uint64_t len, size_t want)
{
    const struct response_head *head = &fill->head;
    uint64_t cap = CHUNK_SIZE_MAX;

    if (head->has_length) {
        cap = head->length > len + want ? head->length - len : want;
    }
    return cap < CHUNK_SIZE_MAX ? (size_t)cap : CHUNK_SIZE_MAX;
}

static struct fill_chunk *
chunk_add(struct fill *fill, size_t want)
{
    uint64_t len = len_of(fill);
    size_t cap = chunk_cap(fill, len, want);
    struct fill_chunk *chunk = malloc(sizeof(*chunk) + cap);

    if (chunk == NULL) {
        return NULL;
    }
    *chunk = (struct fill_chunk){.start = len, .cap = cap};
    if (fill->opts.credit != NULL) {
        atomic_fetch_add(&fill->opts.credit->held, cap);
    }
    pthread_mutex_lock(&fill->lock);
    if (fill->last == NULL) {
        fill->first = chunk;
    } else {
        MUST(fill->last->len == fill->last->cap);
        atomic_store_explicit(&fill->last->next, chunk, memory_order_release);
    }
    fill->last = chunk;
    pthread_mutex_unlock(&fill->lock);
    return chunk;
}

/* Copies as much of data as one chunk takes; 0: no memory. */
static size_t
append_some(struct fill *fill, struct slice data)
{
    struct fill_chunk *chunk = fill->last;
    size_t n;

    if (chunk == NULL || chunk->len == chunk->cap) {
        chunk = chunk_add(fill, data.len);
    }
    if (chunk == NULL) {
        return 0;
    }
    n = chunk->cap - chunk->len < data.len ? chunk->cap - chunk->len : data.len;
    memcpy(chunk->data + chunk->len, data.ptr, n);
    chunk->len += n;
    atomic_store_explicit(
        &fill->len, chunk->start + chunk->len, memory_order_release);
    return n;
}

/* How much may be appended. 0: on_room follows. */
static size_t
room_or_stall(struct fill *fill)
{
    size_t room = fill_room(fill);

    if (room > 0) {
        return room;
    }
    /* Who makes room from now on sees the flag. Who made it before is seen by
       the second look. */
    atomic_store(&fill->is_stalled, true);
    room = fill_room(fill);
    if (room > 0 && !atomic_exchange(&fill->is_stalled, false)) {
        room = 0; /* a reader saw the flag: on_room is under way */
    }
    return room;
}

size_t
fill_append(struct fill *fill, struct slice data)
{
    size_t taken = 0;
    size_t room;

    MUST_OBJ(fill, FILL_MAGIC);
    MUST(fill_state(fill) == FILL_OPEN);
    while (taken < data.len && (room = room_or_stall(fill)) > 0) {
        struct slice part = slice_skip(data, taken);
        size_t n;
        part.len = part.len < room ? part.len : room;
        n = append_some(fill, part);
        if (n == 0) {
            fill_finish(fill, FILL_FAILED);
            return taken;
        }
        taken += n;
    }
    if (fill->last != NULL && fill->last->start > 0) {
        fill_release(fill);
    }
    fill_wake(fill, fill->owner);
    return taken;
}

void
fill_blame(struct fill *fill, enum origin_error error)
{
    MUST(fill_state(fill) == FILL_OPEN);
    MUST(error != ORIGIN_ERROR_NONE);
    atomic_store(&fill->error, error);
}

void
fill_finish(struct fill *fill, enum fill_state state)
{
    MUST(fill_state(fill) == FILL_OPEN);
    MUST(state != FILL_OPEN);
    atomic_store_explicit(&fill->state, state, memory_order_release);
    atomic_store(&fill->is_stalled, false);
    fill_wake(fill, fill->owner);
}

void
fill_stop_keeping(struct fill *fill)
{
    MUST_OBJ(fill, FILL_MAGIC);
    MUST(atomic_load(&fill->is_kept));
    atomic_store(&fill->is_kept, false);
    fill_release(fill);
    fill_offer_room(fill);
}

bool
fill_has_readers(struct fill *fill)
{
    return fill_span(fill).slowest != UINT64_MAX;
}

struct slice
fill_run(struct fill *fill, struct fill_chunk **cursor)
{
    struct fill_chunk *chunk =
        *cursor == NULL ? fill->first : atomic_load(&(*cursor)->next);

    MUST(fill_state(fill) == FILL_COMPLETE);
    MUST(atomic_load(&fill->is_kept));
    if (chunk == NULL) {
        return slice_of(NULL, 0);
    }
    *cursor = chunk;
    return slice_of(chunk->data, chunk->len);
}
