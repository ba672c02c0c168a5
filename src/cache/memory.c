/*
 * Memory: shards, each behind its lock. An entry is looked for, asked for
 * and referenced in one hold of the lock; memory is given back after it.
 *
 * The upper bits of a key's hash choose the shard, the lower 32 are what the
 * shard knows of it.
 */
#include "nearside/cache/memory.h"

#include <pthread.h>
#include <stdlib.h>

#include "nearside/base/blind.h"
#include "nearside/base/check.h"

#include "shard.h"

#define MEMORY_MAGIC UINT32_C(0x6e73746f)

enum {
    LINE = 64, /* bytes that two cores do not share */
    ENTRY_SHARE = 4,
};

/* Its largest entry is a quarter of a shard, and as large as the largest
   response that is stored as a rule (object_max); and a table of so many seats
   grows in a millisecond or two. */
#define SHARD_SIZE ((size_t)32 << 20)

struct place {
    _Alignas(LINE) pthread_mutex_t lock;
    struct shard shard; /* under the lock */
};

struct memory {
    uint32_t magic;
    unsigned places_len; /* a power of two */
    size_t entry_max;
    struct place *places;
};

static unsigned
shards_for(const struct memory_opts *opts)
{
    unsigned shards = 1;

    if (opts->shards != 0) {
        return opts->shards;
    }
    while (shards < MEMORY_SHARDS_MAX && opts->size / shards > SHARD_SIZE) {
        shards *= 2;
    }
    return shards;
}

static bool
make_places(struct memory *memory, size_t size)
{
    unsigned len = memory->places_len;
    void *places;

    if (posix_memalign(&places, LINE, len * sizeof(struct place)) != 0) {
        return false;
    }
    memory->places = places;
    for (unsigned i = 0; i < len; i++) {
        struct place *place = &memory->places[i];

        if (shard_init(&place->shard, size / len) != RC_OK) {
            memory->places_len = i;
            return false;
        }
        MUST(pthread_mutex_init(&place->lock, NULL) == 0);
    }
    return true;
}

struct memory *
memory_new(const struct memory_opts *opts)
{
    struct memory *memory = calloc(1, sizeof(*memory));

    MUST(opts->size > 0);
    MUST(opts->shards <= MEMORY_SHARDS_MAX);
    MUST((opts->shards & (opts->shards - 1)) == 0);
    if (memory == NULL) {
        return NULL;
    }
    memory->magic = MEMORY_MAGIC;
    memory->places_len = shards_for(opts);
    memory->entry_max = opts->size / memory->places_len / ENTRY_SHARE;
    if (opts->entry_max != 0 && opts->entry_max < memory->entry_max) {
        memory->entry_max = opts->entry_max;
    }
    if (!make_places(memory, opts->size)) {
        memory_free(&memory);
    }
    return memory;
}

void
memory_free(struct memory **pmemory)
{
    struct memory *memory = *pmemory;

    if (memory == NULL) {
        return;
    }
    MUST_OBJ(memory, MEMORY_MAGIC);
    *pmemory = NULL;
    for (unsigned i = 0; memory->places != NULL && i < memory->places_len;
         i++) {
        shard_fini(&memory->places[i].shard);
        MUST(pthread_mutex_destroy(&memory->places[i].lock) == 0);
    }
    free(memory->places);
    memory->magic = 0;
    free(memory);
}

size_t
memory_entry_max(const struct memory *memory)
{
    MUST_OBJ(memory, MEMORY_MAGIC);
    return memory->entry_max;
}

static struct place *
place_lock(struct memory *memory, uint64_t hash)
{
    struct place *place;

    MUST_OBJ(memory, MEMORY_MAGIC);
    place = &memory->places[(hash >> 32) & (memory->places_len - 1)];
    MUST(pthread_mutex_lock(&place->lock) == 0);
    return place;
}

static void
place_unlock(struct place *place)
{
    MUST(pthread_mutex_unlock(&place->lock) == 0);
}

enum rc
memory_get(struct memory *memory, const struct key *key,
    struct entry **out_entry, struct memory_note *out_note)
{
    struct place *place = place_lock(memory, key->hash);
    struct seat *seat;

    MUST(key->full.len > 0);
    seat = seats_find(&place->shard.seats, (uint32_t)key->hash, key->full);
    if (seat != NULL) {
        shard_ask(seat);
        *out_entry = entry_ref(seat->entry);
        *out_note = (struct memory_note){
            .stamp = seat->stamp, .slot = seat->slot, .put = seat->put};
    }
    place_unlock(place);
    return seat == NULL ? RC_MISS : RC_OK;
}

/* --- watches ------------------------------------------------------------ */

struct memory_watch
memory_watch(struct memory *memory, uint64_t hash)
{
    struct place *place = place_lock(memory, hash);
    struct memory_watch watch = {
        .hash = hash, .drops = *shard_drops(&place->shard, (uint32_t)hash)};

    place_unlock(place);
    return watch;
}

/* Under the lock. */
static bool
is_unchanged(struct place *place, const struct memory_watch *watch)
{
    return *shard_drops(&place->shard, (uint32_t)watch->hash) == watch->drops;
}

bool
memory_has_changed(struct memory *memory, const struct memory_watch *watch)
{
    struct place *place = place_lock(memory, watch->hash);
    bool is_same = is_unchanged(place, watch);

    place_unlock(place);
    return !is_same;
}

/* --- changes ------------------------------------------------------------ */

/* Under the lock. */
static enum rc
put(struct memory *memory, struct place *place, uint64_t hash,
    struct entry *entry, const struct memory_note *note,
    struct parting *parting)
{
    enum rc rc = RC_LIMIT;

    MUST_OBJ(entry, ENTRY_MAGIC);
    if (entry_size(entry) <= memory->entry_max) {
        rc = shard_put(&place->shard, (uint32_t)hash, entry, note, parting);
    }
    if (rc != RC_OK) {
        (void)shard_drop(&place->shard, (uint32_t)hash, parting);
    }
    return rc;
}

enum rc
memory_put(struct memory *memory, const struct memory_watch *watch,
    struct entry *entry, const struct memory_note *note)
{
    struct parting parting = {.len = 0};
    struct entry *own_kept = entry_ref_to_keep(entry);
    struct place *place = place_lock(memory, watch->hash);
    enum rc rc = RC_MISS;

    if (is_unchanged(place, watch) || !SEES_DIRTY) {
        rc = put(memory, place, watch->hash, own_kept, note, &parting);
    }
    place_unlock(place);
    parting_end(&parting);
    entry_unref(&own_kept);
    return rc;
}

enum rc
memory_replace(struct memory *memory, const struct key *key, struct slice sum,
    struct entry *entry, const struct memory_note *note)
{
    struct parting parting = {.len = 0};
    struct entry *own_kept = entry_ref_to_keep(entry);
    struct place *place = place_lock(memory, key->hash);
    struct seat *seat =
        seats_find(&place->shard.seats, (uint32_t)key->hash, key->full);
    enum rc rc = RC_MISS;

    MUST(slice_eq(entry_key(entry), key->full));
    if (seat != NULL && slice_eq(entry_sum(seat->entry), sum)) {
        rc = put(memory, place, key->hash, own_kept, note, &parting);
    }
    place_unlock(place);
    parting_end(&parting);
    entry_unref(&own_kept);
    return rc;
}

unsigned
memory_drop(
    struct memory *memory, uint64_t hash, struct memory_watch *own_watch)
{
    struct parting parting = {.len = 0};
    struct place *place = place_lock(memory, hash);
    unsigned dropped;

    MUST(own_watch == NULL || own_watch->hash == hash);
    dropped = shard_drop(&place->shard, (uint32_t)hash, &parting);
    if (own_watch != NULL) {
        own_watch->drops++; /* one that was changed before stays so */
    }
    place_unlock(place);
    parting_end(&parting);
    return dropped;
}

void
memory_drop_all(struct memory *memory)
{
    MUST_OBJ(memory, MEMORY_MAGIC);
    for (unsigned i = 0; i < memory->places_len; i++) {
        struct place *place = &memory->places[i];

        MUST(pthread_mutex_lock(&place->lock) == 0);
        shard_drop_all(&place->shard);
        place_unlock(place);
    }
}

bool
memory_sample(struct memory *memory, struct memory_walk *walk, unsigned max,
    memory_sample_fn *on_asked, void *ctx)
{
    struct entry *own[MEMORY_SAMPLE_MAX];
    uint32_t number = walk->seat + 1;
    struct place *place;
    unsigned len;

    MUST_OBJ(memory, MEMORY_MAGIC);
    MUST(walk->shard < memory->places_len);
    MUST(max > 0);
    MUST(max <= MEMORY_SAMPLE_MAX);
    place = &memory->places[walk->shard];
    MUST(pthread_mutex_lock(&place->lock) == 0);
    len = seats_sample(&place->shard.seats, &number, max, own);
    place_unlock(place);
    if (number != 0) {
        walk->seat = number - 1;
    } else {
        walk->seat = 0;
        walk->shard = (walk->shard + 1) % memory->places_len;
    }
    for (unsigned i = 0; i < len; i++) {
        on_asked(ctx, own[i]);
        entry_unref(&own[i]);
    }
    return number == 0 && walk->shard == 0;
}

void
memory_count(struct memory *memory, struct memory_counts *out)
{
    struct memory_counts sum = {.bytes = sizeof(*memory)};

    MUST_OBJ(memory, MEMORY_MAGIC);
    for (unsigned i = 0; i < memory->places_len; i++) {
        struct place *place = &memory->places[i];
        const struct memory_counts *counts = &place->shard.counts;

        MUST(pthread_mutex_lock(&place->lock) == 0);
        sum.entries += shard_len(&place->shard);
        sum.bytes += shard_bytes(&place->shard) + sizeof(*place);
        sum.puts += counts->puts;
        sum.drops += counts->drops;
        sum.evicted_small += counts->evicted_small;
        sum.evicted_main += counts->evicted_main;
        sum.ghost_returns += counts->ghost_returns;
        place_unlock(place);
    }
    *out = sum;
}
