/*
 * Fills. Laws:
 *
 * - The owner alone appends and finishes. It publishes the length with a
 *   release; a reader that sees the length sees the bytes and the links to
 *   them.
 * - Readers are kept by side: one side for each loop that reads. A side's
 *   list is touched by its own loop only; the list of sides, by whoever
 *   holds the lock.
 * - Chunks are freed by the owner alone, under the lock, and only behind
 *   every reader's published offset.
 * - One wake-up per side and turn: a deferred task on the owner's own loop,
 *   a message to another's.
 */
#include "nearside/body/fill.h"

#include <stdlib.h>

#include "nearside/base/check.h"

#define FILL_MAGIC UINT32_C(0x6e66696c)

enum {
    CHUNK_SIZE_MIN = 512,
    /* 16 KiB: four pages less the head, and one writev carries several. */
    CHUNK_SIZE_MAX = 16384 - 64,
};

struct fill_chunk {
    _Atomic(struct fill_chunk *) next;
    uint64_t start; /* offset of data[0] in the body */
    size_t cap;
    size_t len; /* the owner's; readers go by the published length */
    char data[];
};

struct fill_side {
    struct list link; /* fill's sides */
    struct fill *fill;
    struct loop *loop;
    struct list readers; /* the side's loop alone, as is the count */
    unsigned readers_len;
    _Atomic uint64_t slowest;    /* UINT64_MAX: no reader here */
    _Atomic uint64_t fastest;    /* 0: no reader here */
    struct loop_task task;       /* the pass over the readers */
    struct loop_message message; /* another loop asks for that pass */
};

struct fill {
    uint32_t magic;
    _Atomic uint32_t refs;
    struct loop *owner;
    struct message message;
    struct fill_opts opts;

    _Atomic uint64_t len;
    _Atomic int state;
    atomic_bool is_stalled; /* the owner waits for room */
    atomic_bool is_kept;
    struct loop_message room;

    pthread_mutex_t lock; /* guards what follows */
    struct list sides;
    struct fill_chunk *first;
    struct fill_chunk *last;
    uint64_t freed; /* bytes before this are gone */
    bool has_owner; /* the owner's loop alone */
    char *fields;   /* behind this struct; message.fields points there */
};

/* --- life -------------------------------------------------------------- */

static void on_room_message(void *ctx);

struct fill *
fill_new(struct loop *owner, const struct message *message,
    const struct fill_opts *opts)
{
    size_t note_len = message->note.len;
    size_t text_len = note_len + message->fields.len;
    struct fill *fill = calloc(1, sizeof(*fill) + text_len);

    MUST(opts->window > 0);
    if (fill == NULL) {
        return NULL;
    }
    fill->magic = FILL_MAGIC;
    fill->owner = owner;
    fill->opts = *opts;
    fill->message = *message;
    fill->fields = (char *)(fill + 1);
    if (note_len > 0) {
        memcpy(fill->fields, message->note.ptr, note_len);
    }
    if (message->fields.len > 0) {
        memcpy(
            fill->fields + note_len, message->fields.ptr, message->fields.len);
    }
    fill->message.note = slice_of(fill->fields, note_len);
    fill->message.fields =
        slice_of(fill->fields + note_len, message->fields.len);
    atomic_init(&fill->is_kept, opts->is_kept);
    fill->has_owner = true;
    atomic_init(&fill->refs, 1);
    atomic_init(&fill->state, FILL_OPEN);
    pthread_mutex_init(&fill->lock, NULL);
    list_init(&fill->sides);
    loop_message_init(&fill->room, on_room_message, fill);
    return fill;
}

struct fill *
fill_ref(struct fill *fill)
{
    MUST_OBJ(fill, FILL_MAGIC);
    atomic_fetch_add_explicit(&fill->refs, 1, memory_order_relaxed);
    return fill;
}

static void
sides_free(struct fill *fill)
{
    struct list *link;

    while ((link = list_pop(&fill->sides)) != NULL) {
        struct fill_side *side = CONTAINER_OF(link, struct fill_side, link);
        MUST(list_is_empty(&side->readers));
        free(side);
    }
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
    if (atomic_fetch_sub_explicit(&fill->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    while (fill->first != NULL) {
        struct fill_chunk *next =
            atomic_load_explicit(&fill->first->next, memory_order_relaxed);
        free(fill->first);
        fill->first = next;
    }
    sides_free(fill);
    pthread_mutex_destroy(&fill->lock);
    fill->magic = 0;
    free(fill);
}

uint32_t
fill_sharers(const struct fill *fill)
{
    MUST_OBJ(fill, FILL_MAGIC);
    return atomic_load_explicit(&fill->refs, memory_order_relaxed);
}

const struct message *
fill_message(const struct fill *fill)
{
    return &fill->message;
}

enum fill_state
fill_state(const struct fill *fill)
{
    return (enum fill_state)atomic_load_explicit(
        &fill->state, memory_order_acquire);
}

uint64_t
fill_len(const struct fill *fill)
{
    return atomic_load_explicit(&fill->len, memory_order_acquire);
}

/* --- the pass over a side's readers ------------------------------------ */

/* The lowest offset any reader still needs, with the lock held. */
static uint64_t
needed_offset(struct fill *fill)
{
    uint64_t needed = fill_len(fill);

    LIST_EACH (link, &fill->sides) {
        struct fill_side *side = CONTAINER_OF(link, struct fill_side, link);
        uint64_t slowest = atomic_load(&side->slowest);
        needed = slowest < needed ? slowest : needed;
    }
    return needed;
}

/* The furthest offset of those who still read, with the lock held. */
static uint64_t
fastest_offset(struct fill *fill)
{
    uint64_t fastest = 0;

    LIST_EACH (link, &fill->sides) {
        struct fill_side *side = CONTAINER_OF(link, struct fill_side, link);
        uint64_t of_side = atomic_load(&side->fastest);
        fastest = of_side > fastest ? of_side : fastest;
    }
    return fastest;
}

static bool
has_readers(struct fill *fill)
{
    LIST_EACH (link, &fill->sides) {
        struct fill_side *side = CONTAINER_OF(link, struct fill_side, link);
        if (atomic_load(&side->slowest) != UINT64_MAX) {
            return true;
        }
    }
    return false;
}

/*
 * How many bytes may be appended now, with the lock held? Chunks that could
 * be given back count as given back. The length is looked at last: it is
 * never behind an offset that was seen before.
 */
static size_t
room_of(struct fill *fill)
{
    uint64_t from = atomic_load(&fill->is_kept) ? 0 : needed_offset(fill);
    uint64_t fastest = fastest_offset(fill);
    uint64_t len = fill_len(fill);
    uint64_t ahead = has_readers(fill) ? len - fastest : 0;
    uint64_t held = len - from;
    size_t room;

    if (ahead >= fill->opts.window || held >= fill->opts.held_max) {
        return 0;
    }
    room = fill->opts.window - (size_t)ahead;
    return room < fill->opts.held_max - held
               ? room
               : (size_t)(fill->opts.held_max - held);
}

/*
 * Tells a stalled owner that there is room again: half a window at least,
 * so that the two do not wake each other for every few bytes.
 */
static void
room_ask(struct fill *fill)
{
    size_t room;

    if (!atomic_load(&fill->is_stalled)) {
        return;
    }
    pthread_mutex_lock(&fill->lock);
    room = room_of(fill);
    pthread_mutex_unlock(&fill->lock);
    if (room < fill->opts.window / 2 ||
        !atomic_exchange(&fill->is_stalled, false)) {
        return;
    }
    fill_ref(fill); /* the message's */
    if (!loop_post(fill->owner, &fill->room)) {
        fill_unref(&fill);
    }
}

static void
on_room_message(void *ctx)
{
    struct fill *fill = OBJ_OF(struct fill, ctx, FILL_MAGIC);

    if (fill->has_owner) {
        fill->opts.on_room(fill->opts.ctx);
    }
    fill_unref(&fill);
}

/* Says where the side's readers are; never while some of them stand on the
   list of a pass. */
static void
side_publish(struct fill_side *side)
{
    uint64_t slowest = UINT64_MAX;
    uint64_t fastest = 0;

    LIST_EACH (link, &side->readers) {
        struct fill_reader *reader =
            CONTAINER_OF(link, struct fill_reader, link);
        uint64_t offset =
            atomic_load_explicit(&reader->offset, memory_order_relaxed);
        slowest = offset < slowest ? offset : slowest;
        fastest = offset > fastest ? offset : fastest;
    }
    atomic_store(&side->fastest, fastest);
    atomic_store(&side->slowest, slowest);
}

/*
 * A reader below this offset is so far behind that it alone keeps the chunks
 * while others run dry: it is not waited for. 0: nobody is.
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
    side_publish(side); /* the fastest of before may have left */
    pthread_mutex_lock(&fill->lock);
    fastest = fastest_offset(fill);
    pthread_mutex_unlock(&fill->lock);
    return fastest > far ? fastest - far : 0;
}

/* Calls the reader if it waits for what there is now, or is cut. */
static void
reader_wake(struct fill *fill, struct fill_reader *reader, uint64_t cut)
{
    uint64_t offset =
        atomic_load_explicit(&reader->offset, memory_order_relaxed);
    bool has_news = fill_len(fill) > offset || fill_state(fill) != FILL_OPEN;

    if (offset < cut && !reader->is_cut) {
        reader->is_cut = true;
        reader->is_awaiting = true;
        has_news = true;
    }
    if (reader->is_awaiting && has_news) {
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
        reader_wake(fill, CONTAINER_OF(link, struct fill_reader, link), cut);
    }
    side_publish(side);
    room_ask(fill);
    fill_unref(&fill);
}

static void
on_side_task(void *ctx)
{
    side_pass(ctx);
}

static void
on_side_message(void *ctx)
{
    struct fill_side *side = ctx;
    struct fill *fill = side->fill;

    side_pass(side);
    fill_unref(&fill); /* the message's */
}

static void
side_wake(struct fill_side *side, struct loop *here)
{
    struct fill *fill = side->fill;

    if (atomic_load_explicit(&side->slowest, memory_order_relaxed) ==
        UINT64_MAX) {
        return;
    }
    if (side->loop == here) {
        loop_defer(side->loop, &side->task);
        return;
    }
    fill_ref(fill); /* the message's */
    if (!loop_post(side->loop, &side->message)) {
        fill_unref(&fill);
    }
}

/* here: the loop of the calling thread. */
static void
sides_wake(struct fill *fill, struct loop *here)
{
    pthread_mutex_lock(&fill->lock);
    LIST_EACH (link, &fill->sides) {
        side_wake(CONTAINER_OF(link, struct fill_side, link), here);
    }
    pthread_mutex_unlock(&fill->lock);
}

/* --- the owner --------------------------------------------------------- */

/* Frees the chunks that no reader needs any more. */
static void
chunks_release(struct fill *fill)
{
    uint64_t needed;

    if (atomic_load_explicit(&fill->is_kept, memory_order_relaxed)) {
        return;
    }
    pthread_mutex_lock(&fill->lock);
    needed = needed_offset(fill);
    /* A reader at the very end of a chunk may still stand on it, hence the
       strict comparison; the last one stays for the owner. */
    while (fill->first != fill->last &&
           fill->first->start + fill->first->cap < needed) {
        struct fill_chunk *next =
            atomic_load_explicit(&fill->first->next, memory_order_relaxed);
        free(fill->first);
        fill->first = next;
        fill->freed = next->start;
    }
    pthread_mutex_unlock(&fill->lock);
}

static size_t
room_now(struct fill *fill)
{
    size_t room;

    pthread_mutex_lock(&fill->lock);
    room = room_of(fill);
    pthread_mutex_unlock(&fill->lock);
    return room;
}

static struct fill_chunk *
chunk_add(struct fill *fill, size_t want)
{
    uint64_t len = fill_len(fill);
    size_t cap = want;
    struct fill_chunk *chunk;

    /* A body of known length that fits gets a chunk of just that size. */
    if (fill->message.has_length && fill->message.length > len &&
        fill->message.length - len > want) {
        cap = fill->message.length - len < CHUNK_SIZE_MAX
                  ? (size_t)(fill->message.length - len)
                  : CHUNK_SIZE_MAX;
    }
    if (!fill->message.has_length && cap < CHUNK_SIZE_MAX) {
        cap = CHUNK_SIZE_MAX;
    }
    cap = cap < CHUNK_SIZE_MIN ? CHUNK_SIZE_MIN : cap;
    cap = cap > CHUNK_SIZE_MAX ? CHUNK_SIZE_MAX : cap;
    chunk = malloc(sizeof(*chunk) + cap);
    if (chunk == NULL) {
        return NULL;
    }
    atomic_init(&chunk->next, NULL);
    chunk->start = len;
    chunk->cap = cap;
    chunk->len = 0;
    pthread_mutex_lock(&fill->lock);
    if (fill->last == NULL) {
        fill->first = chunk;
    } else {
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

/* The owner must wait. Who makes room after this sees the flag; who made it
   before is seen by the second look. */
static bool
stall(struct fill *fill)
{
    atomic_store(&fill->is_stalled, true);
    if (room_now(fill) == 0) {
        return true;
    }
    return !atomic_exchange(&fill->is_stalled, false);
}

size_t
fill_append(struct fill *fill, struct slice data)
{
    size_t taken = 0;

    MUST_OBJ(fill, FILL_MAGIC);
    MUST(fill_state(fill) == FILL_OPEN);
    while (taken < data.len) {
        size_t room = room_now(fill);
        struct slice part = slice_skip(data, taken);
        size_t n;
        if (room == 0) {
            if (stall(fill)) {
                break;
            }
            continue;
        }
        part.len = part.len < room ? part.len : room;
        n = append_some(fill, part);
        if (n == 0) {
            fill_finish(fill, FILL_FAILED);
            return taken;
        }
        taken += n;
    }
    chunks_release(fill);
    sides_wake(fill, fill->owner);
    return taken;
}

void
fill_finish(struct fill *fill, enum fill_state state)
{
    MUST_OBJ(fill, FILL_MAGIC);
    MUST(state != FILL_OPEN);
    atomic_store_explicit(&fill->state, state, memory_order_release);
    atomic_store(&fill->is_stalled, false);
    sides_wake(fill, fill->owner);
}

void
fill_stop_keeping(struct fill *fill)
{
    MUST_OBJ(fill, FILL_MAGIC);
    atomic_store(&fill->is_kept, false);
    sides_wake(fill, fill->owner);
    room_ask(fill);
}

void
fill_disown(struct fill *fill)
{
    MUST_OBJ(fill, FILL_MAGIC);
    fill->has_owner = false;
}

bool
fill_has_readers(struct fill *fill)
{
    bool has;

    pthread_mutex_lock(&fill->lock);
    has = has_readers(fill);
    pthread_mutex_unlock(&fill->lock);
    return has;
}

struct slice
fill_run(struct fill *fill, struct fill_chunk **cursor)
{
    struct fill_chunk *chunk = *cursor;

    MUST_OBJ(fill, FILL_MAGIC);
    MUST(atomic_load_explicit(&fill->is_kept, memory_order_relaxed));
    chunk = chunk == NULL
                ? fill->first
                : atomic_load_explicit(&chunk->next, memory_order_acquire);
    if (chunk == NULL) {
        return slice_of(NULL, 0);
    }
    *cursor = chunk;
    return slice_of(chunk->data, chunk->len);
}

/* --- readers ----------------------------------------------------------- */

/* With the lock held. NULL: no memory. */
static struct fill_side *
side_of(struct fill *fill, struct loop *loop)
{
    struct fill_side *side;

    LIST_EACH (link, &fill->sides) {
        side = CONTAINER_OF(link, struct fill_side, link);
        if (side->loop == loop) {
            return side;
        }
    }
    side = calloc(1, sizeof(*side));
    if (side == NULL) {
        return NULL;
    }
    side->fill = fill;
    side->loop = loop;
    list_init(&side->readers);
    atomic_init(&side->slowest, UINT64_MAX);
    loop_task_init(&side->task, on_side_task, side);
    loop_message_init(&side->message, on_side_message, side);
    list_push_back(&fill->sides, &side->link);
    return side;
}

enum rc
fill_join(struct fill *fill, struct loop *loop, struct fill_reader *reader)
{
    struct fill_side *side = NULL;
    enum rc rc = RC_MISS;

    MUST_OBJ(fill, FILL_MAGIC);
    MUST(reader->fill == NULL && reader->on_wake != NULL);
    pthread_mutex_lock(&fill->lock);
    if (fill->freed == 0) {
        side = side_of(fill, loop);
        rc = side == NULL ? RC_NOMEM : RC_OK;
    }
    if (rc == RC_OK) {
        atomic_store(&side->slowest, 0);
    }
    pthread_mutex_unlock(&fill->lock);
    if (rc != RC_OK) {
        return rc;
    }
    reader->fill = fill_ref(fill);
    reader->side = side;
    reader->chunk = NULL;
    reader->is_awaiting = false;
    reader->is_cut = false;
    atomic_init(&reader->offset, 0);
    list_init(&reader->link);
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
    list_remove(&reader->link);
    side->readers_len--;
    reader->fill = NULL;
    reader->side = NULL;
    if (side->readers_len == 0) {
        loop_task_cancel(&side->task);
        side_publish(side);
        room_ask(fill);
    } else if (fill_state(fill) == FILL_OPEN) {
        /* A pass may be under way around this call, so where the others are
           is told by the next one. */
        loop_defer(side->loop, &side->task);
    }
    fill_unref(&fill);
}

/* The first chunk, once there is one; joining came before any was freed,
   and none is freed before this reader has moved. */
static struct fill_chunk *
reader_chunk(struct fill_reader *reader)
{
    struct fill *fill = reader->fill;

    if (reader->chunk == NULL) {
        pthread_mutex_lock(&fill->lock);
        reader->chunk = fill->first;
        pthread_mutex_unlock(&fill->lock);
    }
    return reader->chunk;
}

uint64_t
fill_left(const struct fill_reader *reader)
{
    return fill_len(reader->fill) -
           atomic_load_explicit(&reader->offset, memory_order_relaxed);
}

uint64_t
fill_due(const struct fill_reader *reader)
{
    const struct fill *fill = reader->fill;
    uint64_t at = atomic_load_explicit(&reader->offset, memory_order_relaxed);

    if (!fill->message.has_length || fill->message.length < at ||
        !atomic_load(&fill->is_kept) || fill_state(fill) != FILL_OPEN) {
        return fill_left(reader);
    }
    return fill->message.length - at;
}

int
fill_peek(struct fill_reader *reader, struct iovec *iov, int iov_max)
{
    uint64_t len = fill_len(reader->fill);
    uint64_t at = atomic_load_explicit(&reader->offset, memory_order_relaxed);
    struct fill_chunk *chunk;
    int count = 0;

    if (at >= len) {
        return 0;
    }
    chunk = reader_chunk(reader);
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
   reader stays. */
static void
reader_step(struct fill_reader *reader, uint64_t offset)
{
    struct fill_chunk *chunk = reader->chunk;

    while (offset >= chunk->start + chunk->cap) {
        struct fill_chunk *next =
            atomic_load_explicit(&chunk->next, memory_order_acquire);
        if (next == NULL) {
            break;
        }
        chunk = next;
    }
    reader->chunk = chunk;
}

/* The owner waits, and a reader has come further. When that one has run dry
   the room is held by those left behind, on whichever loop: all look. */
static void
reader_tell(struct fill_reader *reader, uint64_t offset)
{
    struct fill *fill = reader->fill;
    struct fill_side *side = reader->side;

    if (offset == fill_len(fill) && !atomic_load(&fill->is_kept)) {
        sides_wake(fill, side->loop);
    } else if (side->readers_len > 1) {
        loop_defer(side->loop, &side->task);
    } else {
        room_ask(fill);
    }
}

void
fill_advance(struct fill_reader *reader, uint64_t n)
{
    struct fill *fill = reader->fill;
    struct fill_side *side = reader->side;
    uint64_t offset =
        atomic_load_explicit(&reader->offset, memory_order_relaxed) + n;

    MUST(offset <= fill_len(fill));
    MUST(reader->chunk != NULL);
    /* Step first, tell then: what lies behind the told offset may go. */
    reader_step(reader, offset);
    atomic_store(&reader->offset, offset);
    if (offset > atomic_load_explicit(&side->fastest, memory_order_relaxed)) {
        atomic_store(&side->fastest, offset);
    }
    if (side->readers_len == 1) {
        atomic_store(&side->slowest, offset);
    }
    if (atomic_load(&fill->is_stalled)) {
        reader_tell(reader, offset);
    }
}

void
fill_await(struct fill_reader *reader)
{
    struct fill *fill = reader->fill;
    uint64_t offset =
        atomic_load_explicit(&reader->offset, memory_order_relaxed);

    reader->is_awaiting = true;
    /* What came between the last look and now has woken nobody. */
    if (fill_len(fill) > offset || fill_state(fill) != FILL_OPEN) {
        loop_defer(reader->side->loop, &reader->side->task);
    }
}
