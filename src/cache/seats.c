/*
 * Seats lie in chunks that never move, so that growing copies no seats; only
 * the table of their numbers is made anew, twice as large. At most four in five
 * of its places are used.
 */
#include "seats.h"

#include <stdlib.h>

#include "nearside/base/check.h"

enum {
    BUCKET_BITS_MIN = 6,
    BUCKET_BITS_MAX = 30,
};

/* With the pointer to it. */
#define CHUNK_SIZE (SEATS_CHUNK * sizeof(struct seat) + sizeof(struct seat *))

/* --- the table ---------------------------------------------------------- */

size_t
seats_places(const struct seats *s)
{
    MUST_OBJ(s, SEATS_MAGIC);
    return (size_t)1 << s->bucket_bits;
}

static uint32_t
bucket_mask(const struct seats *s)
{
    return (UINT32_C(1) << s->bucket_bits) - 1;
}

/* Where the search for a hash begins: its product with the golden ratio's
   fraction (Knuth, TAOCP 6.4), since the ghost uses the bits as they are. */
static uint32_t
bucket_of(const struct seats *s, uint32_t hash)
{
    return (hash * UINT32_C(2654435769)) >> (32 - s->bucket_bits);
}

void
seats_enter(struct seats *s, uint32_t number)
{
    uint32_t i = bucket_of(s, seats_at(s, number)->hash);

    MUST(seats_at(s, number)->entry != NULL);
    MUST(s->used < bucket_mask(s)); /* the search ends */
    while (s->buckets[i] != 0) {
        i = (i + 1) & bucket_mask(s);
    }
    s->buckets[i] = number;
    s->used++;
}

/* A search ends at the first empty bucket. So each number behind the new gap
   moves into it, unless its own search begins behind the gap (Knuth, TAOCP 6.4,
   algorithm R). */
void
seats_remove(struct seats *s, uint32_t number)
{
    uint32_t mask = bucket_mask(s);
    uint32_t gap = bucket_of(s, seats_at(s, number)->hash);

    MUST(s->used > 0);
    while (s->buckets[gap] != number) {
        MUST(s->buckets[gap] != 0);
        gap = (gap + 1) & mask;
    }
    for (uint32_t i = (gap + 1) & mask; s->buckets[i] != 0;
         i = (i + 1) & mask) {
        uint32_t home = bucket_of(s, seats_at(s, s->buckets[i])->hash);

        if (((i - home) & mask) >= ((i - gap) & mask)) {
            s->buckets[gap] = s->buckets[i];
            gap = i;
        }
    }
    s->buckets[gap] = 0;
    s->used--;
}

static bool
table_make(struct seats *s, unsigned bits)
{
    size_t len = (size_t)1 << bits;
    uint32_t *buckets = calloc(len, sizeof(*buckets));

    MUST(bits <= BUCKET_BITS_MAX);
    if (buckets == NULL) {
        return false;
    }
    free(s->buckets);
    s->buckets = buckets;
    s->bucket_bits = bits;
    return true;
}

static bool
has_room(const struct seats *s)
{
    return s->used + 1 <= seats_places(s) * 4 / 5;
}

static bool
table_grow(struct seats *s)
{
    if (s->bucket_bits == BUCKET_BITS_MAX ||
        !table_make(s, s->bucket_bits + 1)) {
        return false;
    }
    s->used = 0;
    for (uint32_t n = 1; n <= s->made; n++) {
        if (seats_at(s, n)->entry != NULL) {
            seats_enter(s, n);
        }
    }
    MUST(has_room(s));
    return true;
}

struct seat *
seats_find(const struct seats *s, uint32_t hash, struct slice full)
{
    MUST_OBJ(s, SEATS_MAGIC);
    for (uint32_t i = bucket_of(s, hash); s->buckets[i] != 0;
         i = (i + 1) & bucket_mask(s)) {
        struct seat *seat = seats_at(s, s->buckets[i]);

        if (seat->hash == hash && slice_eq(entry_key(seat->entry), full)) {
            return seat;
        }
    }
    return NULL;
}

uint32_t
seats_first_with(const struct seats *s, uint32_t hash)
{
    uint32_t i = bucket_of(s, hash);

    MUST_OBJ(s, SEATS_MAGIC);
    while (s->buckets[i] != 0 && seats_at(s, s->buckets[i])->hash != hash) {
        i = (i + 1) & bucket_mask(s);
    }
    return s->buckets[i];
}

/* --- seats -------------------------------------------------------------- */

static bool
add_chunk(struct seats *s)
{
    size_t len = s->chunks_len + 1;
    struct seat **chunks = realloc(s->chunks, len * sizeof(struct seat *));

    MUST(s->made == s->chunks_len * SEATS_CHUNK);
    if (chunks == NULL) {
        return false;
    }
    s->chunks = chunks;
    chunks[s->chunks_len] = calloc(SEATS_CHUNK, sizeof(struct seat));
    if (chunks[s->chunks_len] == NULL) {
        return false;
    }
    s->chunks_len++;
    return true;
}

uint32_t
seats_take(struct seats *s)
{
    uint32_t number = s->free;

    MUST_OBJ(s, SEATS_MAGIC);
    if (!has_room(s) && !table_grow(s)) {
        return 0;
    }
    if (number != 0) {
        MUST(seats_at(s, number)->entry == NULL);
        s->free = seats_at(s, number)->next;
        return number;
    }
    if (s->made == s->chunks_len * SEATS_CHUNK && !add_chunk(s)) {
        return 0;
    }
    return ++s->made;
}

void
seats_give(struct seats *s, uint32_t number)
{
    struct seat *seat = seats_at(s, number);

    MUST(seat->entry == NULL);
    seat->next = s->free;
    s->free = number;
}

enum rc
seats_init(struct seats *s)
{
    *s = (struct seats){.magic = SEATS_MAGIC};
    return table_make(s, BUCKET_BITS_MIN) ? RC_OK : RC_NOMEM;
}

void
seats_fini(struct seats *s)
{
    MUST_OBJ(s, SEATS_MAGIC);
    MUST(s->used == 0);
    for (uint32_t i = 0; i < s->chunks_len; i++) {
        free(s->chunks[i]);
    }
    free(s->chunks);
    free(s->buckets);
    *s = (struct seats){.magic = 0};
}

size_t
seats_size(const struct seats *s)
{
    return seats_places(s) * sizeof(*s->buckets) + s->chunks_len * CHUNK_SIZE;
}

unsigned
seats_sample(
    struct seats *s, uint32_t *number, unsigned max, struct entry **out_own)
{
    unsigned len = 0;

    MUST_OBJ(s, SEATS_MAGIC);
    MUST(*number > 0);
    while (max > 0 && *number <= s->made) {
        struct seat *seat = seats_at(s, (*number)++);

        if (seat->entry != NULL && seat->was_asked) {
            seat->was_asked = false;
            out_own[len++] = entry_ref(seat->entry);
        }
        max--;
    }
    if (*number > s->made) {
        *number = 0;
    }
    return len;
}

/* --- for tests ---------------------------------------------------------- */

/* Every seat is found where the search for its hash leads. */
void
seats_check(const struct seats *s)
{
    size_t found = 0;

    for (uint32_t i = 0; i <= bucket_mask(s); i++) {
        uint32_t at;

        if (s->buckets[i] == 0) {
            continue;
        }
        at = bucket_of(s, seats_at(s, s->buckets[i])->hash);
        while (at != i) {
            MUST(s->buckets[at] != 0);
            at = (at + 1) & bucket_mask(s);
        }
        found++;
    }
    MUST(found == s->used);
}
