/*
 * A shard: S3-FIFO over seats. A seat is found through an open table of their
 * numbers, and stands in one of two queues.
 *
 *     put ->  small  -- asked for twice --> main -- asked for --> main again
 *               |                             |
 *          else: leaves,                 else: leaves
 *          the ghost remembers it
 *
 * The small queue has a tenth of the entries' bytes. A key that the ghost
 * remembers is put into the main queue at once.
 *
 * Seats lie in chunks that never move, so that growing copies no seats; only
 * the table of their numbers is made anew, twice as large.
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
    CHUNK_SEATS = 256,
    BUCKET_BITS_MIN = 6,
    BUCKET_BITS_MAX = 30,
    SMALL_SHARE = 10, /* the small queue has one part in so many */
    ASKED_MAX = 3,    /* more is not counted: then a hit writes nothing */
    ASKED_TWICE = 2,  /* of the small queue: it goes on to main */
    /* So often an entry of the main queue is passed over in one call, because
       it was asked for; then the oldest leaves all the same. */
    PASSES_MAX = 4096,
};

/* With the pointer to it. */
#define CHUNK_SIZE (CHUNK_SEATS * sizeof(struct seat) + sizeof(struct seat *))

/* --- seats -------------------------------------------------------------- */

static struct seat *
seat_at(const struct shard *s, uint32_t number)
{
    MUST(number > 0);
    MUST(number <= s->seats_made);
    return &s->chunks[(number - 1) / CHUNK_SEATS][(number - 1) % CHUNK_SEATS];
}

static bool
add_chunk(struct shard *s)
{
    size_t len = s->chunks_len + 1;
    struct seat **chunks = realloc(s->chunks, len * sizeof(struct seat *));

    if (chunks == NULL) {
        return false;
    }
    s->chunks = chunks;
    chunks[s->chunks_len] = calloc(CHUNK_SEATS, sizeof(struct seat));
    if (chunks[s->chunks_len] == NULL) {
        return false;
    }
    s->chunks_len++;
    s->tables += CHUNK_SIZE;
    return true;
}

/* A free seat's number, or 0: no memory. */
static uint32_t
seat_take(struct shard *s)
{
    uint32_t number = s->free_seat;

    if (number != 0) {
        MUST(seat_at(s, number)->entry == NULL);
        s->free_seat = seat_at(s, number)->next;
        return number;
    }
    if (s->seats_made == s->chunks_len * CHUNK_SEATS && !add_chunk(s)) {
        return 0;
    }
    return ++s->seats_made;
}

static void
seat_give(struct shard *s, uint32_t number)
{
    struct seat *seat = seat_at(s, number);

    MUST(seat->entry == NULL);
    seat->next = s->free_seat;
    s->free_seat = number;
}

/* --- the table ---------------------------------------------------------- */

static size_t
seats_used(const struct shard *s)
{
    MUST_OBJ(s, SHARD_MAGIC);
    return s->queues[QUEUE_SMALL].len + s->queues[QUEUE_MAIN].len;
}

static uint32_t
bucket_mask(const struct shard *s)
{
    return (UINT32_C(1) << s->bucket_bits) - 1;
}

/* Where the search for a hash begins: its product with the golden ratio's
   fraction (Knuth, TAOCP 6.4), since the ghost uses the bits as they are. */
static uint32_t
bucket_of(const struct shard *s, uint32_t hash)
{
    return (hash * UINT32_C(2654435769)) >> (32 - s->bucket_bits);
}

static void
table_add(struct shard *s, uint32_t number)
{
    uint32_t i = bucket_of(s, seat_at(s, number)->hash);

    MUST(seats_used(s) <= bucket_mask(s)); /* the search ends */
    while (s->buckets[i] != 0) {
        i = (i + 1) & bucket_mask(s);
    }
    s->buckets[i] = number;
}

/* A search ends at the first empty bucket. So each number behind the new gap
   moves into it, unless its own search begins behind the gap (Knuth, TAOCP 6.4,
   algorithm R). */
static void
table_remove(struct shard *s, uint32_t number)
{
    uint32_t mask = bucket_mask(s);
    uint32_t gap = bucket_of(s, seat_at(s, number)->hash);

    while (s->buckets[gap] != number) {
        MUST(s->buckets[gap] != 0);
        gap = (gap + 1) & mask;
    }
    for (uint32_t i = (gap + 1) & mask; s->buckets[i] != 0;
         i = (i + 1) & mask) {
        uint32_t home = bucket_of(s, seat_at(s, s->buckets[i])->hash);

        if (((i - home) & mask) >= ((i - gap) & mask)) {
            s->buckets[gap] = s->buckets[i];
            gap = i;
        }
    }
    s->buckets[gap] = 0;
}

static bool
table_make(struct shard *s, unsigned bits)
{
    size_t len = (size_t)1 << bits;
    uint32_t *buckets = calloc(len, sizeof(*buckets));

    if (buckets == NULL) {
        return false;
    }
    free(s->buckets);
    s->buckets = buckets;
    s->bucket_bits = bits;
    return true;
}

/* Has the table room for one more? At most four in five buckets are used. */
static bool
has_room(const struct shard *s)
{
    return seats_used(s) + 1 <= ((size_t)bucket_mask(s) + 1) * 4 / 5;
}

/* The ghost grows with it: it remembers about as many as there are. */
static bool
table_grow(struct shard *s)
{
    size_t before = ((size_t)bucket_mask(s) + 1) * sizeof(*s->buckets);

    if (s->bucket_bits == BUCKET_BITS_MAX ||
        !table_make(s, s->bucket_bits + 1)) {
        return false;
    }
    s->tables += before;
    for (uint32_t n = 1; n <= s->seats_made; n++) {
        if (seat_at(s, n)->entry != NULL) {
            table_add(s, n);
        }
    }
    s->tables -= ghost_size(&s->ghost);
    ghost_grow(&s->ghost, ((size_t)bucket_mask(s) + 1) / 2);
    s->tables += ghost_size(&s->ghost);
    MUST(has_room(s));
    return true;
}

/* --- the queues --------------------------------------------------------- */

static void
queue_push(struct shard *s, unsigned which, uint32_t number)
{
    struct queue *q = &s->queues[which];
    struct seat *seat = seat_at(s, number);

    MUST(which < QUEUES);
    MUST(seat->entry != NULL);
    seat->queue = which & 1;
    seat->prev = 0;
    seat->next = q->newest;
    if (q->newest != 0) {
        seat_at(s, q->newest)->prev = number;
    } else {
        q->oldest = number;
    }
    q->newest = number;
    q->len++;
    q->bytes += entry_size(seat->entry);
}

static void
queue_remove(struct shard *s, uint32_t number)
{
    struct seat *seat = seat_at(s, number);
    struct queue *q = &s->queues[seat->queue];

    MUST(q->len > 0);
    MUST(q->bytes >= entry_size(seat->entry));
    if (seat->prev != 0) {
        seat_at(s, seat->prev)->next = seat->next;
    } else {
        q->newest = seat->next;
    }
    if (seat->next != 0) {
        seat_at(s, seat->next)->prev = seat->prev;
    } else {
        q->oldest = seat->prev;
    }
    q->len--;
    q->bytes -= entry_size(seat->entry);
}

/* --- leaving ------------------------------------------------------------ */

static void
part(struct parting *parting, struct entry **own_entry)
{
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
    struct seat *seat = seat_at(s, number);
    struct entry *own_entry = seat->entry;

    MUST(own_entry != NULL);
    queue_remove(s, number);
    table_remove(s, number);
    seat->entry = NULL;
    seat_give(s, number);
    part(parting, &own_entry);
}

/* One step of the small queue: its oldest goes on, or leaves. */
static void
step_small(struct shard *s, struct parting *parting)
{
    uint32_t number = s->queues[QUEUE_SMALL].oldest;
    struct seat *seat = seat_at(s, number);

    MUST(seat->queue == QUEUE_SMALL);
    if (seat->asked >= ASKED_TWICE) {
        queue_remove(s, number);
        seat->asked = 0;
        queue_push(s, QUEUE_MAIN, number);
        return;
    }
    ghost_add(&s->ghost, seat->hash, seats_used(s));
    s->counts.evicted_small++;
    leave(s, number, parting);
}

/* One step of the main queue: its oldest begins anew, or leaves. */
static void
step_main(struct shard *s, unsigned *passes, struct parting *parting)
{
    uint32_t number = s->queues[QUEUE_MAIN].oldest;
    struct seat *seat = seat_at(s, number);

    MUST(seat->queue == QUEUE_MAIN);
    if (seat->asked > 0 && *passes < PASSES_MAX) {
        (*passes)++;
        queue_remove(s, number);
        seat->asked--;
        queue_push(s, QUEUE_MAIN, number);
        return;
    }
    s->counts.evicted_main++;
    leave(s, number, parting);
}

size_t
shard_bytes(const struct shard *s)
{
    MUST_OBJ(s, SHARD_MAGIC);
    return s->queues[QUEUE_SMALL].bytes + s->queues[QUEUE_MAIN].bytes +
           s->tables;
}

size_t
shard_len(const struct shard *s)
{
    MUST_OBJ(s, SHARD_MAGIC);
    return seats_used(s);
}

static void
make_room(struct shard *s, size_t need, struct parting *parting)
{
    size_t room = s->tables < s->budget ? s->budget - s->tables : 0;
    unsigned passes = 0;

    while (seats_used(s) > 0 && shard_bytes(s) + need > s->budget) {
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
    if (!table_make(s, BUCKET_BITS_MIN)) {
        return RC_NOMEM;
    }
    s->tables = ((size_t)bucket_mask(s) + 1) * sizeof(*s->buckets);
    ghost_init(&s->ghost);
    return RC_OK;
}

void
shard_fini(struct shard *s)
{
    MUST_OBJ(s, SHARD_MAGIC);
    shard_drop_all(s);
    for (uint32_t i = 0; i < s->chunks_len; i++) {
        free(s->chunks[i]);
    }
    free(s->chunks);
    free(s->buckets);
    ghost_fini(&s->ghost);
    *s = (struct shard){.magic = 0};
}

struct seat *
shard_find(struct shard *s, uint32_t hash, struct slice full)
{
    MUST_OBJ(s, SHARD_MAGIC);
    for (uint32_t i = bucket_of(s, hash); s->buckets[i] != 0;
         i = (i + 1) & bucket_mask(s)) {
        struct seat *seat = seat_at(s, s->buckets[i]);

        if (seat->hash == hash && slice_eq(entry_key(seat->entry), full)) {
            return seat;
        }
    }
    return NULL;
}

void
shard_ask(struct seat *seat)
{
    MUST(seat->entry != NULL);
    if (seat->asked < ASKED_MAX) {
        seat->asked++;
    }
}

/* Another entry in the same seat: it stays in its place in the queue. */
static void
replace(struct shard *s, struct seat *seat, struct entry *entry,
    struct parting *parting)
{
    struct queue *q = &s->queues[seat->queue];
    struct entry *own_before = seat->entry;

    MUST(own_before != NULL);
    MUST(q->bytes >= entry_size(own_before));
    q->bytes -= entry_size(own_before);
    q->bytes += entry_size(entry);
    seat->entry = entry_ref(entry);
    part(parting, &own_before);
}

static void
take_in(struct shard *s, uint32_t number, uint32_t hash, struct entry *entry)
{
    struct seat *seat = seat_at(s, number);
    bool is_back = ghost_take(&s->ghost, hash);

    MUST(seat->entry == NULL);
    *seat = (struct seat){.entry = entry_ref(entry), .hash = hash};
    queue_push(s, is_back ? QUEUE_MAIN : QUEUE_SMALL, number);
    table_add(s, number);
    s->counts.ghost_returns += is_back;
}

/* A seat for an entry of so many bytes, as others leave. */
static enum rc
find_place(struct shard *s, size_t need, struct parting *parting, uint32_t *out)
{
    uint32_t number;

    MUST(need > 0);
    if (!has_room(s) && !table_grow(s)) {
        return RC_NOMEM;
    }
    number = seat_take(s);
    if (number == 0) {
        return RC_NOMEM;
    }
    make_room(s, need, parting);
    if (shard_bytes(s) + need > s->budget) {
        seat_give(s, number);
        return RC_LIMIT;
    }
    *out = number;
    return RC_OK;
}

enum rc
shard_put(struct shard *s, uint32_t hash, struct entry *entry,
    const struct memory_note *note, struct parting *parting)
{
    struct seat *seat = shard_find(s, hash, entry_key(entry));
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
        seat = seat_at(s, number);
    }
    seat->stamp = note->stamp;
    seat->slot = note->slot;
    MUST(note->put < MEMORY_PUT_MAX);
    seat->put = (uint16_t)(note->put & (MEMORY_PUT_MAX - 1));
    s->counts.puts++;
    make_room(s, 0, parting); /* what it took the place of was smaller */
    return RC_OK;
}

/* The number in the table of the first seat that has this hash; 0: none. */
static uint32_t
first_with(const struct shard *s, uint32_t hash)
{
    uint32_t i = bucket_of(s, hash);

    while (s->buckets[i] != 0 && seat_at(s, s->buckets[i])->hash != hash) {
        i = (i + 1) & bucket_mask(s);
    }
    return s->buckets[i];
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
    while ((number = first_with(s, hash)) != 0) {
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
    for (uint32_t n = 1; n <= s->seats_made; n++) {
        if (seat_at(s, n)->entry != NULL) {
            leave(s, n, &parting);
            s->counts.drops++;
            parting_end(&parting);
        }
    }
    for (unsigned i = 0; i < SHARD_DROPS_LEN; i++) {
        s->drops[i]++;
    }
    MUST(seats_used(s) == 0);
}

/* --- for tests ---------------------------------------------------------- */

static void
queue_check(const struct shard *s, unsigned which)
{
    const struct queue *q = &s->queues[which];
    size_t len = 0;
    size_t bytes = 0;
    uint32_t newer = 0;

    for (uint32_t n = q->newest; n != 0; n = seat_at(s, n)->next) {
        const struct seat *seat = seat_at(s, n);

        MUST(seat->prev == newer);
        MUST(seat->queue == which);
        MUST(seat->entry != NULL);
        bytes += entry_size(seat->entry);
        len++;
        newer = n;
    }
    MUST(q->oldest == newer);
    MUST(q->len == len);
    MUST(q->bytes == bytes);
}

/* Every seat is found where the search for its hash leads. */
static void
table_check(const struct shard *s)
{
    size_t found = 0;

    for (uint32_t i = 0; i <= bucket_mask(s); i++) {
        uint32_t at;

        if (s->buckets[i] == 0) {
            continue;
        }
        at = bucket_of(s, seat_at(s, s->buckets[i])->hash);
        while (at != i) {
            MUST(s->buckets[at] != 0);
            at = (at + 1) & bucket_mask(s);
        }
        found++;
    }
    MUST(found == seats_used(s));
}

void
shard_check(const struct shard *s)
{
    MUST_OBJ(s, SHARD_MAGIC);
    queue_check(s, QUEUE_SMALL);
    queue_check(s, QUEUE_MAIN);
    table_check(s);
    MUST(s->tables == ((size_t)bucket_mask(s) + 1) * sizeof(*s->buckets) +
                          s->chunks_len * CHUNK_SIZE + ghost_size(&s->ghost));
    MUST(seats_used(s) == 0 || shard_bytes(s) <= s->budget);
}
