/*
 * A shard: S3-FIFO over seats (seats.h). A seat stands in one of two queues.
 *
 *     put ->  small  -- asked for twice --> main -- asked for --> main again
 *               |                             |
 *          else: leaves,                 else: leaves
 *          the ghost remembers it
 *
 * The small queue has a tenth of the entries' bytes. A key that the ghost
 * remembers is put into the main queue at once.
 *
 * Everything is counted in bytes: the entries as malloc made them, the tables
 * as they were allocated. What is put may exceed the budget for no longer than
 * the call: then others leave, in the order above.
 */
#include "shard.h"

#include <stdlib.h>
#include <string.h>

#include "nearside/base/check.h"

enum {
    SMALL_SHARE = 10, /* the small queue has one part in so many */
    ASKED_MAX = 3,    /* more is not counted: then a hit writes nothing;
                         a mask, too */
    ASKED_TWICE = 2,  /* of the small queue: it goes on to main */
    /* So often an entry of the main queue is passed over in one call, because
       it was asked for; then the oldest leaves all the same. */
    PASSES_MAX = 4096,
};

/* --- the queues ---------------------------------------------------------- */

static void
enqueue(struct shard *s, unsigned which, uint32_t number)
{
    MUST(which < QUEUES);
    seats_at(&s->seats, number)->queue = which & 1;
    queue_push(&s->queues[which], &s->seats, number);
}

static void
dequeue(struct shard *s, uint32_t number)
{
    const struct seat *seat = seats_at(&s->seats, number);

    MUST(seat->queue < QUEUES);
    queue_remove(&s->queues[seat->queue], &s->seats, number);
}

/* --- leaving ------------------------------------------------------------ */

static void
part(struct parting *parting, struct entry **own_entry)
{
    MUST(*own_entry != NULL);
    if (parting->len == SHARD_PARTING_MAX) {
        entry_unref(own_entry);
        return;
    }
    parting->entries[parting->len++] = *own_entry;
    *own_entry = NULL;
}

void
parting_end(struct parting *parting)
{
    MUST(parting->len <= SHARD_PARTING_MAX);
    for (unsigned i = 0; i < parting->len; i++) {
        entry_unref(&parting->entries[i]);
    }
    parting->len = 0;
}

static void
leave(struct shard *s, uint32_t number, struct parting *parting)
{
    struct seat *seat = seats_at(&s->seats, number);
    struct entry *own_entry = seat->entry;

    MUST(own_entry != NULL);
    dequeue(s, number);
    seats_remove(&s->seats, number);
    seat->entry = NULL;
    seats_give(&s->seats, number);
    part(parting, &own_entry);
}

/* One step of the small queue: its oldest goes on, or leaves. */
static void
step_small(struct shard *s, struct parting *parting)
{
    uint32_t number = s->queues[QUEUE_SMALL].oldest;
    struct seat *seat = seats_at(&s->seats, number);

    MUST(seat->queue == QUEUE_SMALL);
    if (seat->asked >= ASKED_TWICE) {
        dequeue(s, number);
        seat->asked = 0;
        enqueue(s, QUEUE_MAIN, number);
        return;
    }
    ghost_add(&s->ghost, seat->hash, s->seats.used);
    s->counts.evicted_small++;
    leave(s, number, parting);
}

/* One step of the main queue: its oldest begins anew, or leaves. */
static void
step_main(struct shard *s, unsigned *passes, struct parting *parting)
{
    uint32_t number = s->queues[QUEUE_MAIN].oldest;
    struct seat *seat = seats_at(&s->seats, number);

    MUST(seat->queue == QUEUE_MAIN);
    if (seat->asked > 0 && *passes < PASSES_MAX) {
        (*passes)++;
        dequeue(s, number);
        seat->asked--;
        enqueue(s, QUEUE_MAIN, number);
        return;
    }
    s->counts.evicted_main++;
    leave(s, number, parting);
}

static size_t
tables_size(const struct shard *s)
{
    return seats_size(&s->seats) + ghost_size(&s->ghost);
}

size_t
shard_bytes(const struct shard *s)
{
    MUST_OBJ(s, SHARD_MAGIC);
    return s->queues[QUEUE_SMALL].bytes + s->queues[QUEUE_MAIN].bytes +
           tables_size(s);
}

size_t
shard_len(const struct shard *s)
{
    MUST_OBJ(s, SHARD_MAGIC);
    return s->seats.used;
}

static void
make_room(struct shard *s, size_t need, struct parting *parting)
{
    size_t tables = tables_size(s);
    size_t room = tables < s->budget ? s->budget - tables : 0;
    unsigned passes = 0;

    while (s->seats.used > 0 && shard_bytes(s) + need > s->budget) {
        const struct queue *small = &s->queues[QUEUE_SMALL];

        if (small->len > 0 && (small->bytes > room / SMALL_SHARE ||
                                  s->queues[QUEUE_MAIN].len == 0)) {
            step_small(s, parting);
        } else {
            step_main(s, &passes, parting);
        }
    }
}

/* --- the door ----------------------------------------------------------- */

enum rc
shard_init(struct shard *s, size_t budget)
{
    *s = (struct shard){.magic = SHARD_MAGIC, .budget = budget};
    if (seats_init(&s->seats) != RC_OK) {
        return RC_NOMEM;
    }
    ghost_init(&s->ghost);
    return RC_OK;
}

void
shard_fini(struct shard *s)
{
    MUST_OBJ(s, SHARD_MAGIC);
    shard_drop_all(s);
    seats_fini(&s->seats);
    ghost_fini(&s->ghost);
    *s = (struct shard){.magic = 0};
}

void
shard_ask(struct seat *seat)
{
    MUST(seat->entry != NULL);
    if (seat->asked < ASKED_MAX) {
        seat->asked = (seat->asked + 1u) & ASKED_MAX;
    }
    if (!seat->was_asked) {
        seat->was_asked = true;
    }
}

/* Another entry in the same seat: it stays in its place in the queue. */
static void
replace(struct shard *s, struct seat *seat, struct entry *entry,
    struct parting *parting)
{
    struct entry *own_before = seat->entry;

    MUST(own_before != NULL);
    queue_weigh(&s->queues[seat->queue], own_before, entry);
    seat->entry = entry_ref(entry);
    part(parting, &own_before);
}

static void
take_in(struct shard *s, uint32_t number, uint32_t hash, struct entry *entry)
{
    struct seat *seat = seats_at(&s->seats, number);
    bool is_back = ghost_take(&s->ghost, hash);

    MUST(seat->entry == NULL);
    *seat = (struct seat){.entry = entry_ref(entry), .hash = hash};
    enqueue(s, is_back ? QUEUE_MAIN : QUEUE_SMALL, number);
    seats_enter(&s->seats, number);
    s->counts.ghost_returns += is_back;
}

/* A seat for an entry of so many bytes, as others leave. The ghost grows with
   their table: it remembers about as many as there are. */
static enum rc
find_place(struct shard *s, size_t need, struct parting *parting, uint32_t *out)
{
    size_t places = seats_places(&s->seats);
    uint32_t number;

    MUST(need > 0);
    number = seats_take(&s->seats);
    if (number == 0) {
        return RC_NOMEM;
    }
    if (seats_places(&s->seats) != places) {
        ghost_grow(&s->ghost, seats_places(&s->seats) / 2);
    }
    make_room(s, need, parting);
    if (shard_bytes(s) + need > s->budget) {
        seats_give(&s->seats, number);
        return RC_LIMIT;
    }
    *out = number;
    return RC_OK;
}

enum rc
shard_put(struct shard *s, uint32_t hash, struct entry *entry,
    const struct memory_note *note, struct parting *parting)
{
    struct seat *seat = seats_find(&s->seats, hash, entry_key(entry));
    uint32_t number;
    enum rc rc;

    if (seat != NULL) {
        replace(s, seat, entry, parting);
    } else {
        rc = find_place(s, entry_size(entry), parting, &number);
        if (rc != RC_OK) {
            return rc;
        }
        take_in(s, number, hash, entry);
        seat = seats_at(&s->seats, number);
    }
    seat->stamp = note->stamp;
    MUST(note->slot < MEMORY_SLOT_MAX);
    seat->slot = (uint16_t)(note->slot & (MEMORY_SLOT_MAX - 1));
    MUST(note->put < MEMORY_PUT_MAX);
    seat->put = (uint16_t)(note->put & (MEMORY_PUT_MAX - 1));
    s->counts.puts++;
    make_room(s, 0, parting); /* what it took the place of was smaller */
    return RC_OK;
}

uint32_t *
shard_drops(struct shard *s, uint32_t hash)
{
    MUST_OBJ(s, SHARD_MAGIC);
    return &s->drops[hash % SHARD_DROPS_LEN];
}

unsigned
shard_drop(struct shard *s, uint32_t hash, struct parting *parting)
{
    unsigned dropped = 0;
    uint32_t number;

    ++*shard_drops(s, hash);
    while ((number = seats_first_with(&s->seats, hash)) != 0) {
        leave(s, number, parting);
        dropped++;
    }
    s->counts.drops += dropped;
    return dropped;
}

void
shard_drop_all(struct shard *s)
{
    struct parting parting = {.len = 0};

    MUST_OBJ(s, SHARD_MAGIC);
    for (uint32_t n = 1; n <= s->seats.made; n++) {
        if (seats_at(&s->seats, n)->entry != NULL) {
            leave(s, n, &parting);
            s->counts.drops++;
            parting_end(&parting);
        }
    }
    for (unsigned i = 0; i < SHARD_DROPS_LEN; i++) {
        s->drops[i]++;
    }
    MUST(s->seats.used == 0);
}

/* --- for tests ---------------------------------------------------------- */

void
shard_check(const struct shard *s)
{
    MUST_OBJ(s, SHARD_MAGIC);
    queue_check(&s->queues[QUEUE_SMALL], &s->seats, QUEUE_SMALL);
    queue_check(&s->queues[QUEUE_MAIN], &s->seats, QUEUE_MAIN);
    seats_check(&s->seats);
    MUST(s->seats.used ==
         s->queues[QUEUE_SMALL].len + s->queues[QUEUE_MAIN].len);
    MUST(s->seats.used == 0 || shard_bytes(s) <= s->budget);
}
